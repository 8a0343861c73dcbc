/*
 * view.h - what the outside sees of runs, loops and nodes: plain structs, filled at one moment, never changed
 * after.
 *
 * A FlowRunView owns everything that it points to and is shared by reference count between threads.
 */
#ifndef FLOW_ENGINE_VIEW_H
#define FLOW_ENGINE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/histogram.h"
#include "engine/node.h"
#include "engine/run_state.h"
#include "value/value.h"

/* The last failure of a loop or node. Texts are "" when there is none. */
typedef struct FlowFailureView {
    int64_t time_ns; /* wall; 0: nothing has failed */
    FlowStatus code;
    const char *reason; /* DeadLetter.reason, or SETUP_FAILED, PRODUCER_FAILED, STORE_FAILED */
    const char *message;
    const char *node_id, *node_type;
    const char *dead_letter_id; /* "" for a producer's failure, which has no payload */
    const char *fingerprint;
} FlowFailureView;

typedef struct FlowLoopView {
    const char *producer_node_id;
    int64_t workflow_revision;
    FlowLoopState state;
    const char *state_detail; /* "waits for queue orders.in", "timer", "queue x is full"; may be "" */
    FlowPoolKind pool;
    const char *pool_reason; /* "THREAD because of node 4" */
    const char *on_error;    /* "continue", "pause", "stop" */
    /* produced = done + dead_lettered + in_flight, always; filtered is a part of done. */
    uint64_t produced, done, filtered, dead_lettered, in_flight;
    FlowFailureView last_error;
    const char *const *members; /* node ids, in the order of the plan; the producer is the first */
    size_t member_count;
    const char *server; /* the flowd that runs it; "" once it has ended */
} FlowLoopView;

/* A node, all its instances (loops) added up. */
typedef struct FlowNodeView {
    const char *node_id, *type;
    uint64_t started, completed, failed, in_flight; /* started = completed + failed + in_flight */
    FlowFailureView last_error;
    FlowLatency latency; /* of completed and failed executions, waiting included */
} FlowNodeView;

typedef struct FlowRunView {
    const char *id, *workflow_id, *workflow_name;
    int64_t workflow_revision;
    FlowRunState state;
    int64_t create_ns, start_ns, end_ns; /* wall; 0: not yet */
    FlowError error;                     /* status FLOW_OK: none; otherwise why the run is FAILED */
    FlowValue parameters, labels;        /* objects */
    uint64_t cursor;           /* of the newest event; watch with after_cursor = this to miss nothing */
    const FlowLoopView *loops; /* in the order of the producers in the workflow */
    size_t loop_count;
    const FlowNodeView *nodes; /* in the order of the workflow; nodes that no loop reaches are left out */
    size_t node_count;
} FlowRunView;

FlowRunView *flow_run_view_ref(FlowRunView *view);
/* NULL stays NULL. Always returns NULL. */
FlowRunView *flow_run_view_unref(FlowRunView *view);

#endif
