/*
 * loop_status.c - what of a loop goes on after a restart of the server, besides what the settles keep: its nodes' counts,
 * last failures, and a pause by policy.
 *
 *   {"paused": true, "nodes": {"2": {"completed": 7, "failed": 1, "failure": {…}}}}
 */
#include <stdio.h>
#include <string.h>

#include "engine/runner_internal.h"
#include "value/json.h"

static void set(FlowValue *object, const char *key, FlowValue value_take)
{
    flow_object_set_take(object, key, value_take, NULL);
}

static FlowValue encode_failure(const FlowFailureNote *note)
{
    FlowValue object = flow_value_object();
    set(&object, "time_ns", flow_value_int(note->time_ns));
    set(&object, "code", flow_value_int(note->code));
    set(&object, "reason", flow_value_string(note->reason));
    set(&object, "message", flow_value_string(note->message));
    set(&object, "dead_letter_id", flow_value_string(note->dead_letter_id));
    set(&object, "fingerprint", flow_value_string(note->fingerprint));
    return object;
}

FlowBlob *flow_loop_status__encode(FlowRunner *runner)
{
    FlowValue nodes = flow_value_object();
    pthread_mutex_lock(&runner->failures_lock);
    for (uint32_t i = 0; i < runner->plan->node_count; i++) {
        const FlowNodeCounters *counters = &runner->node_counters[i];
        uint64_t completed = flow_count_read(&counters->completed),
                 failed = flow_count_read(&counters->failed);
        if (completed + failed == 0)
            continue;
        FlowValue node = flow_value_object();
        set(&node, "completed", flow_value_int((int64_t)completed));
        set(&node, "failed", flow_value_int((int64_t)failed));
        if (runner->failures[i])
            set(&node, "failure", encode_failure(runner->failures[i]));
        set(&nodes, runner->nodes[i].node.id, node);
    }
    const char *last =
        runner->last_failed == FLOW_GRAPH_NONE ? NULL : runner->nodes[runner->last_failed].node.id;
    pthread_mutex_unlock(&runner->failures_lock);

    FlowValue status = flow_value_object();
    set(&status, "paused", flow_value_bool(atomic_load(&runner->paused_by_policy)));
    if (last)
        set(&status, "last_failed", flow_value_string(last));
    set(&status, "nodes", nodes);
    FlowBuf text;
    flow_buf_init(&text, 0);
    flow_json_write(status, &text, FLOW_JSON_WRITE_NONFINITE_NULL, NULL);
    flow_value_unref(status);
    FlowBlob *blob = flow_blob_take(&text);
    flow_buf_done(&text);
    return blob;
}

static int64_t int_of(FlowValue object, const char *key)
{
    const FlowValue *value = flow_object_get(object, key);
    return value && flow_value_kind(*value) == FLOW_VALUE_INT ? flow_value_get_int(*value) : 0;
}

static void copy_text(FlowValue object, const char *key, char *to, size_t size)
{
    const FlowValue *value = flow_object_get(object, key);
    bool is_text = value && flow_value_kind(*value) == FLOW_VALUE_STRING;
    snprintf(to, size, "%s", is_text ? flow_value_text(value) : "");
}

static void restore_failure(FlowRunner *runner, uint32_t index, FlowValue failure)
{
    FlowFailureNote *note = flow_new(FlowFailureNote);
    note->time_ns = int_of(failure, "time_ns");
    note->code = (FlowStatus)int_of(failure, "code");
    copy_text(failure, "reason", note->reason, sizeof note->reason);
    copy_text(failure, "message", note->message, sizeof note->message);
    copy_text(failure, "dead_letter_id", note->dead_letter_id, sizeof note->dead_letter_id);
    copy_text(failure, "fingerprint", note->fingerprint, sizeof note->fingerprint);
    free(runner->failures[index]);
    runner->failures[index] = note;
}

static void restore_node(FlowRunner *runner, uint32_t index, FlowValue status)
{
    FlowNodeCounters *counters = &runner->node_counters[index];
    int64_t completed = int_of(status, "completed"), failed = int_of(status, "failed");
    atomic_store(&counters->completed, (uint64_t)completed);
    atomic_store(&counters->failed, (uint64_t)failed);
    atomic_store(&counters->started, (uint64_t)(completed + failed));
    const FlowValue *failure = flow_object_get(status, "failure");
    if (failure)
        restore_failure(runner, index, *failure);
}

void flow_loop_status__restore(FlowRunner *runner, FlowBlob *blob)
{
    size_t len;
    const char *text = flow_blob_bytes(blob, &len);
    flow_cleanup(flow_value_clear) FlowValue status = flow_value_null();
    if (flow_json_read(text, len, NULL, &status, NULL) != FLOW_OK)
        return;
    const FlowValue *paused = flow_object_get(status, "paused"), *nodes = flow_object_get(status, "nodes");
    const FlowValue *last = flow_object_get(status, "last_failed");
    if (paused && flow_value_kind(*paused) == FLOW_VALUE_BOOL && flow_value_get_bool(*paused)) {
        atomic_store(&runner->paused_by_policy, true);
        runner->was_paused = true;
    }
    pthread_mutex_lock(&runner->failures_lock);
    for (uint32_t i = 0; i < runner->plan->node_count; i++) {
        const char *id = runner->nodes[i].node.id;
        const FlowValue *node = nodes ? flow_object_get(*nodes, id) : NULL;
        if (node)
            restore_node(runner, i, *node);
        if (last && flow_value_kind(*last) == FLOW_VALUE_STRING && flow_value_text_equals(last, id) &&
            runner->failures[i])
            runner->last_failed = i;
    }
    pthread_mutex_unlock(&runner->failures_lock);
}

/* ---- for views ---- */

static const char *copy(FlowArena *arena, const char *text)
{
    const char *copied = flow_arena_strndup(arena, text, strlen(text));
    return copied ? copied : "";
}

static void view_failure(FlowRunner *runner, uint32_t node, FlowArena *arena, FlowFailureView *ret_failure)
{
    const FlowFailureNote *note = node == FLOW_GRAPH_NONE ? NULL : runner->failures[node];
    if (note == NULL) {
        *ret_failure = (FlowFailureView){.reason = "",
                                         .message = "",
                                         .node_id = "",
                                         .node_type = "",
                                         .dead_letter_id = "",
                                         .fingerprint = ""};
        return;
    }
    *ret_failure = (FlowFailureView){
        .time_ns = note->time_ns,
        .code = note->code,
        .reason = copy(arena, note->reason),
        .message = copy(arena, note->message),
        .node_id = copy(arena, runner->nodes[node].node.id),
        .node_type = runner->nodes[node].node.type->name,
        .dead_letter_id = copy(arena, note->dead_letter_id),
        .fingerprint = copy(arena, note->fingerprint),
    };
}

bool flow_runner_node_failure(FlowRunner *runner, uint32_t node, FlowArena *arena,
                              FlowFailureView *ret_failure)
{
    pthread_mutex_lock(&runner->failures_lock);
    bool has = runner->failures[node] != NULL;
    view_failure(runner, node, arena, ret_failure);
    pthread_mutex_unlock(&runner->failures_lock);
    return has;
}

void flow_runner_view(FlowRunner *runner, FlowArena *arena, FlowLoopView *ret_view)
{
    const FlowPlan *plan = runner->plan;
    const char **members = flow_arena_calloc(arena, plan->node_count, sizeof *members);
    for (uint32_t i = 0; members && i < plan->node_count; i++)
        members[i] = copy(arena, runner->nodes[i].node.id);
    /* What has been settled is read before what was produced: so in_flight is never negative. */
    uint64_t dead_lettered = flow_count_read(&runner->counters.dead_lettered);
    uint64_t filtered = flow_count_read(&runner->counters.filtered);
    uint64_t done = flow_count_read(&runner->counters.done);
    uint64_t produced = flow_count_read(&runner->counters.produced);
    *ret_view = (FlowLoopView){
        .producer_node_id = members ? members[0] : "",
        .workflow_revision = runner->revision,
        .state = flow_runner_state(runner),
        .state_detail = copy(arena, atomic_load_explicit(&runner->state_detail, memory_order_acquire)),
        .pool = plan->pool,
        .pool_reason = copy(arena, plan->pool_reason),
        .on_error = flow_on_error_name(runner->config->on_error),
        .produced = produced,
        .done = done,
        .filtered = filtered,
        .dead_lettered = dead_lettered,
        .in_flight = produced - done - dead_lettered,
        .members = members,
        .member_count = members ? plan->node_count : 0,
        .server = "",
    };
    pthread_mutex_lock(&runner->failures_lock);
    view_failure(runner, runner->last_failed, arena, &ret_view->last_error);
    pthread_mutex_unlock(&runner->failures_lock);
}
