#include "flows.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/payload.h"
#include "value/json.h"

enum { PATIENCE_S = 60 };

/* ---- waiting for answers ---- */

typedef struct Answer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_there;
    FlowError error;
    FlowRunView *run;
} Answer;

static void answer_init(Answer *answer)
{
    memset(answer, 0, sizeof *answer);
    pthread_mutex_init(&answer->lock, NULL);
    pthread_cond_init(&answer->changed, NULL);
}

static void on_answer(void *context, const FlowEngineReply *reply)
{
    Answer *answer = context;
    pthread_mutex_lock(&answer->lock);
    answer->error = reply->error;
    answer->run = flow_run_view_ref(reply->run);
    answer->is_there = true;
    pthread_cond_signal(&answer->changed);
    pthread_mutex_unlock(&answer->lock);
}

static FlowStatus answer_wait(Answer *answer)
{
    pthread_mutex_lock(&answer->lock);
    while (!answer->is_there)
        pthread_cond_wait(&answer->changed, &answer->lock);
    pthread_mutex_unlock(&answer->lock);
    pthread_mutex_destroy(&answer->lock);
    pthread_cond_destroy(&answer->changed);
    return answer->error.status;
}

/* ---- opening and closing ---- */

Flows *flows_open(const FlowsOptions *given)
{
    FlowsOptions none = {0};
    const FlowsOptions *options = given ? given : &none;
    Flows *flows = flow_new(Flows);
    FlowError error;
    char url[512];
    flow_log_set_level(FLOW_LOG_ERROR);
    snprintf(url, sizeof url, "sqlite:%s", options->path ? options->path : ":memory:");
    flows->clock = options->clock;
    FlowStoreOptions store = {.clock = options->clock,
                              .durability = FLOW_DURABILITY_PROCESS,
                              .queue_max_items = options->queue_max_items};
    if (flow_store_open(url, &store, &flows->store, &error) != FLOW_OK)
        fail_msg("%s", error.message);
    flows->registry = fakes_registry();
    FlowEngineOptions engine = {.store = flows->store,
                                .registry = flows->registry,
                                .clock = options->clock,
                                .server = "test",
                                .shards = options->shards ? options->shards : 2,
                                .threads_max = options->threads_max};
    if (flow_engine_open(&engine, &flows->engine, &error) != FLOW_OK)
        fail_msg("%s", error.message);
    if (!options->dont_resume) {
        Answer answer;
        answer_init(&answer);
        flow_engine_resume(flows->engine, on_answer, &answer);
        assert_int_equal(answer_wait(&answer), FLOW_OK);
    }
    return flows;
}

void flows_drain(Flows *flows, int64_t grace_ns)
{
    flows->drain = flow_new(Answer);
    answer_init(flows->drain);
    flow_engine_drain(flows->engine, grace_ns, on_answer, flows->drain);
}

void flows_close(Flows *flows)
{
    if (flows->drain == NULL)
        flows_drain(flows, 0);
    assert_int_equal(answer_wait(flows->drain), FLOW_OK);
    flow_engine_close(flows->engine);
    flow_store_close(flows->store);
    flow_registry_free(flows->registry);
    free(flows->drain);
    free(flows);
}

/* ---- runs ---- */

char *flows_try_start(Flows *flows, const FlowStartOptions *options, FlowError *ret_error)
{
    Answer answer;
    answer_init(&answer);
    flow_engine_start_run(flows->engine, options, on_answer, &answer);
    answer_wait(&answer);
    if (ret_error)
        *ret_error = answer.error;
    char *id = answer.run ? strdup(answer.run->id) : NULL;
    flow_run_view_unref(answer.run);
    return id;
}

char *flows_start(Flows *flows, FlowValue definition_take)
{
    FlowError error;
    char *id = flows_try_start(flows, &(FlowStartOptions){.workflow = definition_take}, &error);
    flow_value_unref(definition_take);
    if (id == NULL)
        fail_msg("%s: %s", flow_status_name(error.status), error.message);
    return id;
}

void flows_put(Flows *flows, const char *id, FlowValue definition_take)
{
    FlowBuf text;
    flow_buf_init(&text, 0);
    flow_json_write(definition_take, &text, 0, NULL);
    flow_value_unref(definition_take);
    FlowStoreWorkflowPut put = {.create = true, .id = id, .name = "test", .body = flow_blob_take(&text)};
    flow_store_workflow_put(flows->store, &put);
    if (flow_store_wait(flows->store, &put.op) == FLOW_ALREADY_EXISTS) {
        flow_store_op_done(&put.op);
        put = (FlowStoreWorkflowPut){.id = id, .name = "test", .body = put.body};
        flow_store_workflow_put(flows->store, &put);
        assert_int_equal(flow_store_wait(flows->store, &put.op), FLOW_OK);
    }
    flow_store_op_done(&put.op);
    flow_blob_unref(put.body);
}

FlowRunView *flows_get(Flows *flows, const char *run_id, FlowError *ret_error)
{
    Answer answer;
    answer_init(&answer);
    flow_engine_get_run(flows->engine, run_id, on_answer, &answer);
    answer_wait(&answer);
    if (ret_error)
        *ret_error = answer.error;
    return answer.run;
}

static int64_t seconds(void)
{
    return flow_clock_mono_ns(flow_clock_real()) / FLOW_NS_PER_S;
}

static void print_view(const FlowRunView *view)
{
    fprintf(stderr, "run %s %s\n", flow_run_state_name(view->state), view->error.message);
    for (size_t i = 0; i < view->loop_count; i++) {
        const FlowLoopView *loop = &view->loops[i];
        fprintf(stderr, "  loop %s %s \"%s\" produced %llu done %llu dead %llu in flight %llu: %s\n",
                loop->producer_node_id, flow_loop_state_name(loop->state), loop->state_detail,
                (unsigned long long)loop->produced, (unsigned long long)loop->done,
                (unsigned long long)loop->dead_lettered, (unsigned long long)loop->in_flight,
                loop->last_error.message);
    }
    for (size_t i = 0; i < view->node_count; i++)
        fprintf(stderr, "  node %s started %llu completed %llu failed %llu\n", view->nodes[i].node_id,
                (unsigned long long)view->nodes[i].started, (unsigned long long)view->nodes[i].completed,
                (unsigned long long)view->nodes[i].failed);
}

FlowRunView *flows_until(Flows *flows, const char *run_id, bool (*is)(const FlowRunView *, const void *),
                         const void *context)
{
    int64_t end = seconds() + PATIENCE_S;
    for (;;) {
        FlowError error;
        FlowRunView *view = flows_get(flows, run_id, &error);
        if (view == NULL)
            fail_msg("%s", error.message);
        if (is(view, context))
            return view;
        if (seconds() > end) {
            char *trace = fakes_trace();
            print_view(view);
            fprintf(stderr, "trace:%.2000s\n", trace);
            fail_msg("waited in vain");
        }
        flow_run_view_unref(view);
        sched_yield();
    }
}

static bool is_in_state(const FlowRunView *view, const void *context)
{
    FlowRunState wanted = *(const FlowRunState *)context;
    if (flow_run_state_is_final(view->state) && view->state != wanted) {
        print_view(view);
        fail_msg("the run is %s instead of %s", flow_run_state_name(view->state),
                 flow_run_state_name(wanted));
    }
    return view->state == wanted;
}

FlowRunView *flows_wait(Flows *flows, const char *run_id, FlowRunState state)
{
    return flows_until(flows, run_id, is_in_state, &state);
}

void flows_expect(Flows *flows, const char *run_id, FlowRunState state)
{
    flow_run_view_unref(flows_wait(flows, run_id, state));
}

const FlowLoopView *flows_loop(const FlowRunView *view, const char *producer)
{
    for (size_t i = 0; i < view->loop_count; i++)
        if (strcmp(view->loops[i].producer_node_id, producer) == 0)
            return &view->loops[i];
    fail_msg("no loop of %s", producer);
    return NULL;
}

const FlowNodeView *flows_node(const FlowRunView *view, const char *node_id)
{
    for (size_t i = 0; i < view->node_count; i++)
        if (strcmp(view->nodes[i].node_id, node_id) == 0)
            return &view->nodes[i];
    fail_msg("no node %s", node_id);
    return NULL;
}

typedef struct LoopWish {
    const char *producer;
    FlowLoopState state;
} LoopWish;

static bool loop_is(const FlowRunView *view, const void *context)
{
    const LoopWish *wish = context;
    return flows_loop(view, wish->producer)->state == wish->state;
}

void flows_expect_loop(Flows *flows, const char *run_id, const char *producer, FlowLoopState state)
{
    flow_run_view_unref(flows_until(flows, run_id, loop_is, &(LoopWish){producer, state}));
}

FlowStatus flows_stop(Flows *flows, const char *run_id, const FlowStopOptions *options)
{
    Answer answer;
    answer_init(&answer);
    flow_engine_stop_run(flows->engine, run_id, options, on_answer, &answer);
    answer_wait(&answer);
    flow_run_view_unref(answer.run);
    return answer.error.status;
}

FlowStatus flows_pause(Flows *flows, const char *run_id, const char *producer, bool pause)
{
    Answer answer;
    answer_init(&answer);
    (pause ? flow_engine_pause_run : flow_engine_resume_run)(flows->engine, run_id, producer, on_answer,
                                                             &answer);
    answer_wait(&answer);
    flow_run_view_unref(answer.run);
    return answer.error.status;
}

/* ---- queues ---- */

static FlowValue data_of(FlowBlob *body)
{
    FlowValue data, metadata;
    FlowError error;
    if (flow_payload_decode(body, &data, &metadata, &error) != FLOW_OK)
        fail_msg("%s", error.message);
    flow_value_unref(metadata);
    return data;
}

FlowValue flows_queue(Flows *flows, const char *queue)
{
    FlowStorePeek peek = {.queue = queue, .max = FLOW_STORE_PAGE_MAX};
    FlowValue all = flow_value_array();
    flow_store_peek(flows->store, &peek);
    FlowStatus status = flow_store_wait(flows->store, &peek.op);
    if (status != FLOW_NOT_FOUND)
        assert_int_equal(status, FLOW_OK);
    for (size_t i = 0; status == FLOW_OK && i < peek.count; i++)
        flow_array_push_take(&all, data_of(peek.deliveries[i].body), NULL);
    flow_store_op_done(&peek.op);
    return all;
}

void expect_json(FlowValue got, const char *expected_text)
{
    FlowValue expected = json(expected_text);
    if (!flow_value_equal(got, expected)) {
        FlowBuf text;
        flow_buf_init(&text, 0);
        flow_json_write(got, &text, FLOW_JSON_WRITE_SPACED, NULL);
        fail_msg("got      %s\nexpected %s", flow_buf_text(&text), expected_text);
    }
    flow_value_unref(expected);
}

void flows_expect_queue(Flows *flows, const char *queue, const char *expected)
{
    FlowValue wanted = json(expected), got = flows_queue(flows, queue);
    int64_t end = seconds() + PATIENCE_S;
    while (flow_array_count(got) < flow_array_count(wanted) && seconds() <= end) {
        flow_value_unref(got);
        got = flows_queue(flows, queue);
    }
    expect_json(got, expected);
    flow_value_unref(got);
    flow_value_unref(wanted);
}

FlowQueueInfo flows_ledger(Flows *flows, const char *queue)
{
    FlowStoreQueueGet get = {.name = queue};
    flow_store_queue_get(flows->store, &get);
    FlowQueueInfo info = {0};
    if (flow_store_wait(flows->store, &get.op) == FLOW_OK)
        info = get.info;
    info.name = info.workflow_id = info.short_name = NULL;
    flow_store_op_done(&get.op);
    return info;
}

void flows_push(Flows *flows, const char *queue, const char *data_text)
{
    FlowValue data = json(data_text);
    FlowStoreItem item = {.payload_id = "00000000-0000-7000-8000-000000000001"};
    assert_int_equal(flow_payload_encode(data, flow_value_null(), &item.body, NULL), FLOW_OK);
    FlowStorePush push = {.queue = flow_store_queue_open(flows->store, queue), .items = &item, .count = 1};
    flow_store_push(flows->store, &push);
    if (flow_store_wait(flows->store, &push.op) != FLOW_OK)
        fail_msg("%s", push.op.error.message);
    flow_store_op_done(&push.op);
    flow_store_queue_unref(push.queue);
    flow_blob_unref(item.body);
    flow_value_unref(data);
}

void flows_set_bound(Flows *flows, const char *queue, uint64_t max_items)
{
    FlowStoreQueueMake make = {.queue = flow_store_queue_open(flows->store, queue)};
    flow_store_queue_make(flows->store, &make);
    assert_int_equal(flow_store_wait(flows->store, &make.op), FLOW_OK);
    flow_store_op_done(&make.op);
    flow_store_queue_unref(make.queue);
    FlowStoreQueueUpdate update = {.name = queue, .max_items = max_items};
    flow_store_queue_update(flows->store, &update);
    assert_int_equal(flow_store_wait(flows->store, &update.op), FLOW_OK);
    flow_store_op_done(&update.op);
}

/* ---- dead letters and the ledger ---- */

static void set(FlowValue *object, const char *key, const char *text)
{
    flow_object_set_take(object, key, flow_value_string(text ? text : ""), NULL);
}

FlowValue flows_letters(Flows *flows, const char *run_id)
{
    FlowStoreDeadLetterList list = {
        .filter = {.run_id = run_id}, .with_bodies = true, .max = FLOW_STORE_PAGE_MAX};
    FlowValue all = flow_value_array();
    flow_store_dead_letter_list(flows->store, &list);
    assert_int_equal(flow_store_wait(flows->store, &list.op), FLOW_OK);
    for (size_t i = 0; i < list.count; i++) {
        const FlowDeadLetter *letter = &list.letters[i];
        FlowValue object = flow_value_object(), form = flow_value_null();
        set(&object, "node", letter->node_id);
        set(&object, "type", letter->node_type);
        set(&object, "producer", letter->producer_node_id);
        set(&object, "reason", letter->reason);
        set(&object, "code", letter->code);
        set(&object, "message", letter->message);
        set(&object, "queue", letter->queue);
        set(&object, "fingerprint", letter->fingerprint);
        if (letter->payload)
            flow_object_set_take(&object, "payload", data_of(letter->payload), NULL);
        if (letter->form) {
            size_t len;
            const char *text = flow_blob_bytes(letter->form, &len);
            flow_json_read(text, len, NULL, &form, NULL);
            flow_object_set_take(&object, "form", form, NULL);
        }
        flow_array_push_take(&all, object, NULL);
    }
    flow_store_op_done(&list.op);
    return all;
}

void flows_expect_balance(Flows *flows)
{
    FlowStoreLedger ledger = {.check = true};
    flow_store_ledger(flows->store, &ledger);
    assert_int_equal(flow_store_wait(flows->store, &ledger.op), FLOW_OK);
    if (!ledger.balanced)
        fail_msg("%s", ledger.imbalance.message);
    flow_store_op_done(&ledger.op);
}
