/*
 * perform.c - one test: a store in memory, an engine, a clock that is moved when nothing goes on any more.
 *
 * The engine has threads, so "nothing goes on" is what a few looks in a row say. Each move is a tenth longer than the one
 * before, from 1 ms on, so a timer is late by a tenth of its interval at most and never skips a tick.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "engine/payload.h"
#include "trial/trial_internal.h"
#include "value/json.h"

enum { LOOKS = 3, LOOK_NS = 200000, PATIENCE_S = 60, GRACE_S = 1 };
#define BEGIN_NS   (INT64_C(1767225600) * FLOW_NS_PER_S) /* 2026-01-01: tests see the same dates each time */
#define VIRTUAL_NS (INT64_C(366) * 24 * 3600 * FLOW_NS_PER_S)
#define STEP_NS    FLOW_NS_PER_MS

/* A request to the engine that is waited for. */
typedef struct Answer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    FlowError error;
    FlowRunState state;
    char run_id[64];
    char problem[512]; /* the first one of the definition */
} Answer;

static void on_answer(void *context, const FlowEngineReply *reply)
{
    Answer *answer = context;
    pthread_mutex_lock(&answer->lock);
    answer->error = reply->error;
    if (reply->run) {
        answer->state = reply->run->state;
        snprintf(answer->run_id, sizeof answer->run_id, "%s", reply->run->id);
    }
    answer->done = true;
    pthread_cond_signal(&answer->changed);
    pthread_mutex_unlock(&answer->lock);
}

static void wait_for(Answer *answer)
{
    pthread_mutex_lock(&answer->lock);
    while (!answer->done)
        pthread_cond_wait(&answer->changed, &answer->lock);
    answer->done = false;
    pthread_mutex_unlock(&answer->lock);
}

/* ---- before the start ---- */

static FlowStatus store_workflow(FlowStore *store, const TrialCase *test, const char *id, FlowError *reterr)
{
    flow_cleanup(flow_buf_done) FlowBuf text;
    flow_buf_init(&text, 0);
    FlowStatus status = flow_json_write(test->workflow, &text, 0, reterr);
    if (status != FLOW_OK)
        return status;
    const FlowValue *name = trial_get(test->workflow, "name");
    FlowBlob *body = flow_blob_take(&text);
    FlowStoreWorkflowPut put = {
        .create = true,
        .id = id,
        .name = name && flow_value_kind(*name) == FLOW_VALUE_STRING ? flow_value_text(name) : id,
        .body = body};
    flow_store_workflow_put(store, &put);
    status = flow_store_wait(store, &put.op);
    if (status != FLOW_OK)
        *reterr = put.op.error;
    flow_store_op_done(&put.op);
    flow_blob_unref(body);
    return status;
}

static FlowStatus push_one(FlowStore *store, const char *queue, FlowValue data, FlowError *reterr)
{
    FlowBlob *body;
    FlowStatus status = flow_payload_encode(data, flow_value_null(), &body, reterr);
    if (status != FLOW_OK)
        return status;
    FlowStoreQueue *handle = flow_store_queue_open(store, queue);
    FlowStoreItem item = {.payload_id = "", .body = body};
    FlowStorePush push = {.queue = handle, .items = &item, .count = 1};
    flow_store_push(store, &push);
    status = flow_store_wait(store, &push.op);
    if (status != FLOW_OK)
        *reterr = push.op.error;
    flow_store_op_done(&push.op);
    flow_store_queue_unref(handle);
    flow_blob_unref(body);
    return status;
}

static FlowStatus fill_queues(FlowStore *store, const FlowValue *queues, FlowError *reterr)
{
    size_t count = 0;
    const FlowMember *members = queues ? flow_object_members(*queues, &count) : NULL;
    FlowStatus status = FLOW_OK;
    for (size_t q = 0; q < count; q++)
        for (size_t i = 0; status == FLOW_OK && i < flow_array_count(members[q].value); i++)
            status = push_one(store, flow_value_text(&members[q].key), *flow_array_at(members[q].value, i),
                              reterr);
    return status;
}

/* Inputs stand in for a producer that makes payloads; what a reader reads lies in its queue. */
static bool inputs_are_right(const TrialCase *test, FlowBuf *failures)
{
    size_t count = 0;
    const FlowValue *inputs = trial_get(test->spec, "inputs"), *nodes = trial_get(test->workflow, "nodes");
    const FlowMember *members = inputs ? flow_object_members(*inputs, &count) : NULL;
    bool right = true;
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; nodes && n < flow_array_count(*nodes); n++) {
            const FlowValue *node = flow_array_at(*nodes, n);
            const FlowValue *id = trial_get(*node, "id"), *type = trial_get(*node, "type");
            if (id && type && flow_value_equal(*id, members[i].key) &&
                flow_value_kind(*type) == FLOW_VALUE_STRING && flow_value_text_equals(type, "queue-reader")) {
                flow_buf_printf(failures, "\"%s\" is a queue-reader: give what it reads in \"queues\"\n",
                                flow_value_text(&members[i].key));
                right = false;
            }
        }
    return right;
}

/* ---- driving ---- */

static void look_away(void)
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    nanosleep(&pause, NULL);
}

static uint64_t progress(FlowEngine *engine, TrialStage *stage)
{
    FlowEngineCounts counts;
    flow_engine_counts(engine, &counts);
    return counts.node_executions + counts.units_done + counts.units_dead_lettered + trial_stage_count(stage);
}

static bool has_ended(FlowRunState state)
{
    return state == FLOW_RUN_COMPLETED || state == FLOW_RUN_STOPPED || state == FLOW_RUN_FAILED;
}

/* Until the run has ended. `run_for_ns` of the test's clock later it is stopped; 0: never. */
static bool drive(FlowEngine *engine, FlowClock *clock, TrialStage *stage, Answer *answer, int64_t run_for_ns,
                  FlowBuf *failures)
{
    int64_t passed_ns = 0, step_ns = STEP_NS;
    time_t give_up = time(NULL) + PATIENCE_S;
    uint64_t seen = UINT64_MAX;
    int quiet = 0;
    bool stopped = false;
    char run_id[sizeof answer->run_id];
    strcpy(run_id, answer->run_id);
    for (;;) {
        flow_engine_get_run(engine, run_id, on_answer, answer);
        wait_for(answer);
        if (answer->error.status != FLOW_OK || has_ended(answer->state))
            return true;
        uint64_t now = progress(engine, stage);
        if (now != seen) {
            seen = now;
            quiet = 0;
            step_ns = STEP_NS;
        } else if (++quiet >= LOOKS) {
            quiet = LOOKS - 1;
            flow_test_clock_advance(clock, step_ns);
            passed_ns += step_ns;
            step_ns += step_ns / 10;
        }
        if (run_for_ns > 0 && passed_ns >= run_for_ns && !stopped) {
            FlowStopOptions options = {.grace_ns = GRACE_S * FLOW_NS_PER_S};
            flow_engine_stop_run(engine, run_id, &options, on_answer, answer);
            wait_for(answer);
            stopped = true;
        }
        if (passed_ns > VIRTUAL_NS || time(NULL) > give_up) {
            flow_buf_printf(failures, "the run did not end within %s; \"run_for\" (seconds) stops it\n",
                            passed_ns > VIRTUAL_NS ? "a year of its clock" : "60 s");
            return false;
        }
        look_away();
    }
}

static int64_t seconds_of(const FlowValue *seconds)
{
    return seconds ? (int64_t)(flow_value_near_double(*seconds) * 1e9) : 0;
}

static const char *state_text(FlowRunState state)
{
    return flow_run_state_name(state);
}

/* ---- one test ---- */

static void run(const TrialCase *test, FlowStore *store, FlowClock *clock, TrialStage *stage,
                FlowBuf *failures)
{
    const FlowValue *parameters = trial_get(test->spec, "parameters"), *id = trial_get(test->workflow, "id");
    const char *workflow_id = id && flow_value_kind(*id) == FLOW_VALUE_STRING && flow_value_length(id) > 0
                                  ? flow_value_text(id)
                                  : "test";
    FlowEngineOptions options = {.store = store,
                                 .registry = trial_stage_registry(stage),
                                 .clock = clock,
                                 .server = "test",
                                 .shards = 1,
                                 .env = flow_value_object()};
    FlowStartOptions start = {.workflow_id = workflow_id};
    Answer answer = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    FlowError error;
    FlowEngine *engine;
    start.workflow = start.labels = flow_value_null();
    start.parameters = parameters ? *parameters : flow_value_null();
    if (flow_engine_open(&options, &engine, &error) != FLOW_OK ||
        store_workflow(store, test, workflow_id, &error) != FLOW_OK ||
        fill_queues(store, trial_get(test->spec, "queues"), &error) != FLOW_OK) {
        flow_buf_printf(failures, "the test can't be set up: %s\n", error.message);
        return;
    }
    flow_engine_start_run(engine, &start, on_answer, &answer);
    wait_for(&answer);
    TrialOutcome outcome = {.store = store, .stage = stage, .state = "", .error = ""};
    bool ended = true;
    if (answer.error.status != FLOW_OK)
        outcome.error = answer.error.message;
    else
        ended = drive(engine, clock, stage, &answer, seconds_of(trial_get(test->spec, "run_for")), failures);
    if (answer.error.status == FLOW_OK)
        outcome.state = state_text(answer.state);
    flow_engine_close(engine);
    if (ended)
        trial_judge(test, &outcome, failures);
}

bool trial_perform(const TrialCase *test, FlowBuf *failures)
{
    FlowError error;
    FlowStore *store;
    size_t before = failures->len;
    if (!inputs_are_right(test, failures))
        return false;
    FlowClock *clock = flow_test_clock_new(BEGIN_NS);
    FlowStoreOptions options = {.clock = clock, .durability = FLOW_DURABILITY_PROCESS};
    TrialStage *stage = trial_stage_new(test->spec, &error);
    if (stage == NULL || flow_store_open("sqlite::memory:", &options, &store, &error) != FLOW_OK) {
        flow_buf_printf(failures, "the test can't be set up: %s\n", error.message);
    } else {
        run(test, store, clock, stage, failures);
        flow_store_close(store);
    }
    trial_stage_free(stage);
    flow_test_clock_free(clock);
    return failures->len == before;
}
