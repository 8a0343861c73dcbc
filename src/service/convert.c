#include "service/convert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/struct.h"

void *flow_pb_make(FlowPb *pb, size_t size, void (*init)(void *message))
{
    void *message = flow_arena_alloc(pb->arena, size);
    if (message == NULL)
        pb->failed = true;
    else
        init(message);
    return message;
}

void **flow_pb_list(FlowPb *pb, size_t count)
{
    if (count == 0)
        return NULL;
    void **list = flow_arena_calloc(pb->arena, count, sizeof *list);
    if (list == NULL)
        pb->failed = true;
    return list;
}

char *flow_pb_text(FlowPb *pb, const char *format, ...)
{
    char small[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    size_t kept = len < 0 ? 0 : (size_t)len < sizeof small ? (size_t)len : sizeof small - 1;
    char *text = flow_arena_strndup(pb->arena, small, kept);
    if (text == NULL) {
        pb->failed = true;
        return (char *)"";
    }
    return text;
}

char *flow_pb_borrow(const char *text)
{
    return (char *)(uintptr_t)(text != NULL ? text : "");
}

/* ---- times ---- */

/* Whole seconds, rounded down, and what is left of them, so that times before 1970 come out right. */
static void split(int64_t ns, int64_t *ret_seconds, int32_t *ret_nanos)
{
    *ret_seconds = ns / FLOW_NS_PER_S;
    *ret_nanos = (int32_t)(ns % FLOW_NS_PER_S);
}

Google__Protobuf__Timestamp *flow_pb_time(FlowPb *pb, int64_t wall_ns)
{
    if (wall_ns == 0)
        return NULL;
    Google__Protobuf__Timestamp *time =
        FLOW_PB(pb, Google__Protobuf__Timestamp, google__protobuf__timestamp__init);
    if (time == NULL)
        return NULL;
    split(wall_ns, &time->seconds, &time->nanos);
    if (time->nanos < 0) {
        time->seconds--;
        time->nanos += (int32_t)FLOW_NS_PER_S;
    }
    return time;
}

Google__Protobuf__Duration *flow_pb_duration(FlowPb *pb, int64_t ns)
{
    Google__Protobuf__Duration *duration =
        FLOW_PB(pb, Google__Protobuf__Duration, google__protobuf__duration__init);
    if (duration != NULL)
        split(ns, &duration->seconds, &duration->nanos);
    return duration;
}

static int64_t join(int64_t seconds, int32_t nanos)
{
    int64_t ns;
    if (__builtin_mul_overflow(seconds, FLOW_NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)nanos, &ns))
        return seconds < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

int64_t flow_time_from_pb(const Google__Protobuf__Timestamp *time, int64_t otherwise)
{
    return time != NULL ? join(time->seconds, time->nanos) : otherwise;
}

int64_t flow_duration_from_pb(const Google__Protobuf__Duration *duration, int64_t otherwise)
{
    return duration != NULL ? join(duration->seconds, duration->nanos) : otherwise;
}

/* ---- payloads ---- */

ProtobufCBinaryData flow_pb_struct(FlowPb *pb, FlowValue object, const char *field, FlowValue *paths)
{
    FlowBuf bytes;
    flow_buf_init(&bytes, pb->arena->limit - pb->arena->used);
    ProtobufCBinaryData data = {0, NULL};
    if (flow_struct_write(FLOW_STRUCT_OBJECT, object, &bytes, field, paths, NULL) != FLOW_OK) {
        pb->failed = true;
    } else if (bytes.len > 0) {
        data.data = (uint8_t *)flow_arena_strndup(pb->arena, bytes.data, bytes.len);
        data.len = data.data != NULL ? bytes.len : 0;
        pb->failed = pb->failed || data.data == NULL;
    }
    flow_buf_done(&bytes);
    return data;
}

void flow_pb_paths(FlowPb *pb, FlowValue paths, size_t *ret_count, char ***ret_texts)
{
    size_t count = flow_array_count(paths);
    char **texts = (char **)flow_pb_list(pb, count);
    *ret_count = texts != NULL ? count : 0;
    *ret_texts = texts;
    for (size_t i = 0; i < *ret_count; i++)
        texts[i] = flow_pb_text(pb, "%s", flow_value_text(flow_array_at(paths, i)));
}

FlowStatus flow_value_from_pb(ProtobufCBinaryData bytes, const char *field, FlowValue *ret_object,
                              FlowError *reterr)
{
    return flow_struct_read(FLOW_STRUCT_OBJECT, bytes.data, bytes.len, field, ret_object, reterr);
}

Flowengine__V1__Payload *flow_pb_payload(FlowPb *pb, const char *id, FlowValue data, FlowValue metadata)
{
    Flowengine__V1__Payload *payload = FLOW_PB(pb, Flowengine__V1__Payload, flowengine__v1__payload__init);
    if (payload == NULL)
        return NULL;
    FlowValue paths = flow_value_array();
    payload->id = flow_pb_borrow(id);
    if (!flow_value_is_null(data))
        FLOW_PB_SET_STRUCT(payload, PAYLOAD, data, DATA, flow_pb_struct(pb, data, "data", &paths));
    if (!flow_value_is_null(metadata))
        FLOW_PB_SET_STRUCT(payload, PAYLOAD, metadata, METADATA,
                           flow_pb_struct(pb, metadata, "metadata", &paths));
    flow_pb_paths(pb, paths, &payload->n_inexact_paths, &payload->inexact_paths);
    flow_value_unref(paths);
    return payload;
}

/* ---- failures and problems ---- */

Flowengine__V1__DeadLetter__Reason flow_pb_reason(const char *reason)
{
    const ProtobufCEnumValue *known = reason != NULL
                                          ? protobuf_c_enum_descriptor_get_value_by_name(
                                                &flowengine__v1__dead_letter__reason__descriptor, reason)
                                          : NULL;
    return known != NULL ? (Flowengine__V1__DeadLetter__Reason)known->value
                         : FLOWENGINE__V1__DEAD_LETTER__REASON__REASON_UNSPECIFIED;
}

Flowengine__V1__Failure *flow_pb_failure(FlowPb *pb, const FlowFailureView *failure)
{
    if (failure->time_ns == 0)
        return NULL;
    Flowengine__V1__Failure *made = FLOW_PB(pb, Flowengine__V1__Failure, flowengine__v1__failure__init);
    if (made == NULL)
        return NULL;
    made->reason = flow_pb_reason(failure->reason);
    made->code = flow_pb_borrow(flow_status_name(failure->code));
    made->message = flow_pb_borrow(failure->message);
    made->node_id = flow_pb_borrow(failure->node_id);
    made->dead_letter_id = flow_pb_borrow(failure->dead_letter_id);
    made->fingerprint = flow_pb_borrow(failure->fingerprint);
    made->time = flow_pb_time(pb, failure->time_ns);
    return made;
}

/* A failure that is known only by its error. */
static Flowengine__V1__Failure *failure_of(FlowPb *pb, FlowStatus code, const char *reason,
                                           const char *message)
{
    if (code == FLOW_OK)
        return NULL;
    Flowengine__V1__Failure *made = FLOW_PB(pb, Flowengine__V1__Failure, flowengine__v1__failure__init);
    if (made == NULL)
        return NULL;
    made->reason = flow_pb_reason(reason);
    made->code = flow_pb_borrow(flow_status_name(code));
    made->message = flow_pb_borrow(message);
    return made;
}

void flow_pb_problems(FlowPb *pb, const FlowProblems *problems, size_t *ret_count,
                      Flowengine__V1__Problem ***ret_list)
{
    Flowengine__V1__Problem **list = (Flowengine__V1__Problem **)flow_pb_list(pb, problems->count);
    *ret_list = list;
    *ret_count = 0;
    for (int pass = FLOW_SEVERITY_ERROR; list != NULL && pass <= FLOW_SEVERITY_WARNING; pass++) {
        for (size_t i = 0; i < problems->count; i++) {
            const FlowProblem *from = &problems->items[i];
            if (from->severity != (FlowSeverity)pass)
                continue;
            Flowengine__V1__Problem *to = FLOW_PB(pb, Flowengine__V1__Problem, flowengine__v1__problem__init);
            if (to == NULL) {
                *ret_count = 0;
                return;
            }
            to->severity = from->severity == FLOW_SEVERITY_ERROR ? FLOWENGINE__V1__PROBLEM__SEVERITY__ERROR
                                                                 : FLOWENGINE__V1__PROBLEM__SEVERITY__WARNING;
            to->node_id = flow_pb_borrow(from->node_id);
            to->edge_id = flow_pb_borrow(from->edge_id);
            to->field = flow_pb_borrow(from->field);
            to->code = flow_pb_borrow(flow_problem_code_name(from->code));
            to->message = flow_pb_borrow(from->message);
            list[(*ret_count)++] = to;
        }
    }
}

/* ---- runs ---- */

/* The engine counts pools from 0, the contract from 1. */
static Flowengine__V1__NodeType__Pool pool_of(FlowPoolKind pool)
{
    return (Flowengine__V1__NodeType__Pool)(pool + 1);
}

static Flowengine__V1__LoopStatus *make_loop(FlowPb *pb, const FlowLoopView *view)
{
    Flowengine__V1__LoopStatus *loop =
        FLOW_PB(pb, Flowengine__V1__LoopStatus, flowengine__v1__loop_status__init);
    if (loop == NULL)
        return NULL;
    loop->producer_node_id = flow_pb_borrow(view->producer_node_id);
    loop->workflow_revision = view->workflow_revision;
    loop->state = (Flowengine__V1__LoopStatus__State)view->state;
    loop->pool = pool_of(view->pool);
    loop->pool_reason = flow_pb_borrow(view->pool_reason);
    loop->blocked_on = flow_pb_borrow(view->state_detail);
    loop->produced = (int64_t)view->produced;
    loop->done = (int64_t)view->done;
    loop->filtered = (int64_t)view->filtered;
    loop->dead_lettered = (int64_t)view->dead_lettered;
    loop->in_flight = (int64_t)view->in_flight;
    loop->last_error = flow_pb_failure(pb, &view->last_error);
    loop->server = flow_pb_borrow(view->server);
    loop->members = (char **)flow_pb_list(pb, view->member_count);
    if (loop->members != NULL)
        loop->n_members = view->member_count;
    for (size_t i = 0; i < loop->n_members; i++)
        loop->members[i] = flow_pb_borrow(view->members[i]);
    return loop;
}

static Flowengine__V1__Latency *make_latency(FlowPb *pb, const FlowLatency *from)
{
    if (from->count == 0)
        return NULL;
    Flowengine__V1__Latency *latency = FLOW_PB(pb, Flowengine__V1__Latency, flowengine__v1__latency__init);
    if (latency == NULL)
        return NULL;
    latency->p50 = flow_pb_duration(pb, from->p50_ns);
    latency->p90 = flow_pb_duration(pb, from->p90_ns);
    latency->p99 = flow_pb_duration(pb, from->p99_ns);
    latency->max = flow_pb_duration(pb, from->max_ns);
    latency->count = (int64_t)from->count;
    return latency;
}

static Flowengine__V1__NodeStatus *make_node(FlowPb *pb, const FlowNodeView *view)
{
    Flowengine__V1__NodeStatus *node =
        FLOW_PB(pb, Flowengine__V1__NodeStatus, flowengine__v1__node_status__init);
    if (node == NULL)
        return NULL;
    node->node_id = flow_pb_borrow(view->node_id);
    node->type = flow_pb_borrow(view->type);
    node->started = (int64_t)view->started;
    node->completed = (int64_t)view->completed;
    node->failed = (int64_t)view->failed;
    node->in_flight = (int64_t)view->in_flight;
    node->last_error = flow_pb_failure(pb, &view->last_error);
    node->latency = make_latency(pb, &view->latency);
    return node;
}

static void add_labels(FlowPb *pb, FlowValue labels, Flowengine__V1__Run *run)
{
    size_t count;
    const FlowMember *members = flow_object_members(labels, &count);
    run->labels = (Flowengine__V1__Run__LabelsEntry **)flow_pb_list(pb, count);
    for (size_t i = 0; run->labels != NULL && i < count; i++) {
        Flowengine__V1__Run__LabelsEntry *entry =
            FLOW_PB(pb, Flowengine__V1__Run__LabelsEntry, flowengine__v1__run__labels_entry__init);
        if (entry == NULL)
            return;
        entry->key = flow_pb_borrow(flow_value_text(&members[i].key));
        if (flow_value_kind(members[i].value) == FLOW_VALUE_STRING)
            entry->value = flow_pb_borrow(flow_value_text(&members[i].value));
        run->labels[run->n_labels++] = entry;
    }
}

Flowengine__V1__Run *flow_pb_run(FlowPb *pb, const FlowRunView *view)
{
    Flowengine__V1__Run *run = FLOW_PB(pb, Flowengine__V1__Run, flowengine__v1__run__init);
    if (run == NULL)
        return NULL;
    run->id = flow_pb_borrow(view->id);
    run->workflow_id = flow_pb_borrow(view->workflow_id);
    run->workflow_name = flow_pb_borrow(view->workflow_name);
    run->workflow_revision = view->workflow_revision;
    run->state = (Flowengine__V1__Run__State)view->state;
    run->create_time = flow_pb_time(pb, view->create_ns);
    run->start_time = flow_pb_time(pb, view->start_ns);
    run->end_time = flow_pb_time(pb, view->end_ns);
    run->error = failure_of(pb, view->error.status, view->error.reason, view->error.message);
    FLOW_PB_SET_STRUCT(run, RUN, parameters, PARAMETERS,
                       flow_pb_struct(pb, view->parameters, "parameters", NULL));
    run->cursor = (int64_t)view->cursor;
    add_labels(pb, view->labels, run);
    run->loops = (Flowengine__V1__LoopStatus **)flow_pb_list(pb, view->loop_count);
    for (size_t i = 0; run->loops != NULL && i < view->loop_count && !pb->failed; i++)
        run->loops[run->n_loops++] = make_loop(pb, &view->loops[i]);
    run->nodes = (Flowengine__V1__NodeStatus **)flow_pb_list(pb, view->node_count);
    for (size_t i = 0; run->nodes != NULL && i < view->node_count && !pb->failed; i++)
        run->nodes[run->n_nodes++] = make_node(pb, &view->nodes[i]);
    return run;
}
