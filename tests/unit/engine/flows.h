/*
 * flows.h - an engine over a store of its own, and requests that wait for their answer. For tests of the run side.
 *
 *     Flows *flows = flows_open(NULL);
 *     char *run = flows_start(flows, fakes_definition(NULL, "p>a a>w", "{'p': {'items': [1]}, 'w': {'queue': 'q'}}", NULL));
 *     flows_expect(flows, run, FLOW_RUN_COMPLETED);
 *     flows_expect_queue(flows, "q", "[{'item': 1}]");
 *     flows_close(flows);
 */
#ifndef TESTS_FLOWS_H
#define TESTS_FLOWS_H

#include "engine/engine.h"
#include "fakes.h"

typedef struct FlowsOptions {
    const char *path; /* of the store; NULL: in memory */
    FlowClock *clock; /* NULL: the real one */
    unsigned shards;  /* 0: 2 */
    unsigned threads_max;
    uint64_t queue_max_items;
    bool dont_resume;
} FlowsOptions;

typedef struct Flows {
    FlowStore *store;
    FlowEngine *engine;
    FlowRegistry *registry;
    FlowClock *clock;
    struct Answer *drain;
} Flows;

/* Resumes what the store has, too. */
Flows *flows_open(const FlowsOptions *options);
/* Asks the engine to drain; flows_close() waits for it. */
void flows_drain(Flows *flows, int64_t grace_ns);
/* Drains (without grace, unless flows_drain() has begun it), then closes everything. */
void flows_close(Flows *flows);

/* An inline workflow; the run's id, yours to free(). Fails the test when it is refused. */
char *flows_start(Flows *flows, FlowValue definition_take);
/* Any start; the answer's status goes to *ret_error. NULL when it was refused. */
char *flows_try_start(Flows *flows, const FlowStartOptions *options, FlowError *ret_error);
/* Stores a workflow. */
void flows_put(Flows *flows, const char *id, FlowValue definition_take);

/* Yours to unref; NULL: *ret_error (may be NULL) says why. */
FlowRunView *flows_get(Flows *flows, const char *run_id, FlowError *ret_error);
/* Waits until the run is in this state, and gives its view. Aborts after a while. */
FlowRunView *flows_wait(Flows *flows, const char *run_id, FlowRunState state);
/* The same, without the view. */
void flows_expect(Flows *flows, const char *run_id, FlowRunState state);
/* Waits until the loop of this producer is in this state. */
void flows_expect_loop(Flows *flows, const char *run_id, const char *producer, FlowLoopState state);
/* Until `is` says so. */
FlowRunView *flows_until(Flows *flows, const char *run_id,
                         bool (*is)(const FlowRunView *view, const void *context), const void *context);
const FlowLoopView *flows_loop(const FlowRunView *view, const char *producer);
const FlowNodeView *flows_node(const FlowRunView *view, const char *node_id);

FlowStatus flows_stop(Flows *flows, const char *run_id, const FlowStopOptions *options);
FlowStatus flows_pause(Flows *flows, const char *run_id, const char *producer, bool pause);

/* What is queued, as an array of the payloads' data; yours. */
FlowValue flows_queue(Flows *flows, const char *queue);
/* The same against a JSON text with ' for ". Waits until as many are there. */
void flows_expect_queue(Flows *flows, const char *queue, const char *expected);
/* {queued, in_flight, done, dead_lettered, pushed, filtered} of a queue; all 0 when there is none. */
FlowQueueInfo flows_ledger(Flows *flows, const char *queue);
void flows_push(Flows *flows, const char *queue, const char *data);
void flows_set_bound(Flows *flows, const char *queue, uint64_t max_items);

/* Dead letters, newest first, as an array of objects {node, type, reason, code, message, payload, form, queue}. */
FlowValue flows_letters(Flows *flows, const char *run_id);
/* The whole store balances. */
void flows_expect_balance(Flows *flows);

/* Two values are the same JSON; says how they differ. */
void expect_json(FlowValue got, const char *expected);

#endif
