/* convert_event.c - one function per kind of event, and a table of them. */
#include "service/convert.h"

#include "base/mem.h"
#include "flowengine/v1/log.pb-c.h"

/* Sets the member of the oneof called `name`. */
#define SET(event, NAME, name, message)                                                                      \
    do {                                                                                                     \
        (event)->event_case = FLOWENGINE__V1__RUN_EVENT__EVENT_##NAME;                                       \
        (event)->name = (message);                                                                           \
    } while (0)

static Flowengine__V1__Failure *make_failure(FlowPb *pb, const FlowEvent *from)
{
    if (from->code == FLOW_OK)
        return NULL;
    FlowFailureView view = {.time_ns = from->time_ns,
                            .code = from->code,
                            .reason = from->reason,
                            .message = from->message,
                            .node_id = from->node_id,
                            .dead_letter_id = from->dead_letter_id,
                            .fingerprint = from->fingerprint};
    Flowengine__V1__Failure *failure = flow_pb_failure(pb, &view);
    if (failure != NULL)
        failure->payload_id = flow_pb_borrow(from->payload_id);
    return failure;
}

static Flowengine__V1__Payload *make_payload(FlowPb *pb, const FlowEvent *from)
{
    if (flow_value_is_null(from->data) && !from->data_cut)
        return NULL;
    Flowengine__V1__Payload *payload = flow_pb_payload(
        pb, from->payload_id, from->data_cut ? flow_value_null() : from->data, flow_value_null());
    if (payload != NULL)
        payload->truncated = from->data_cut;
    return payload;
}

static void add_snapshot(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    SET(to, SNAPSHOT, snapshot, flow_pb_run(pb, from->snapshot));
}

static void add_run_state(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    Flowengine__V1__RunStateChange *m =
        FLOW_PB(pb, Flowengine__V1__RunStateChange, flowengine__v1__run_state_change__init);
    if (m == NULL)
        return;
    m->from = (Flowengine__V1__Run__State)from->old_state;
    m->to = (Flowengine__V1__Run__State)from->new_state;
    m->message = flow_pb_borrow(from->detail);
    m->error = make_failure(pb, from);
    SET(to, RUN_STATE, run_state, m);
}

static void add_loop_state(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    Flowengine__V1__LoopStateChange *m =
        FLOW_PB(pb, Flowengine__V1__LoopStateChange, flowengine__v1__loop_state_change__init);
    if (m == NULL)
        return;
    m->producer_node_id = flow_pb_borrow(from->producer_node_id);
    m->from = (Flowengine__V1__LoopStatus__State)from->old_state;
    m->to = (Flowengine__V1__LoopStatus__State)from->new_state;
    m->message = flow_pb_borrow(from->detail);
    m->error = make_failure(pb, from);
    SET(to, LOOP_STATE, loop_state, m);
}

static void add_node_started(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    Flowengine__V1__NodeStarted *m =
        FLOW_PB(pb, Flowengine__V1__NodeStarted, flowengine__v1__node_started__init);
    if (m == NULL)
        return;
    m->node_id = flow_pb_borrow(from->node_id);
    m->producer_node_id = flow_pb_borrow(from->producer_node_id);
    m->payload_id = flow_pb_borrow(from->payload_id);
    m->iteration = (int64_t)from->iteration;
    m->payload = make_payload(pb, from);
    SET(to, NODE_STARTED, node_started, m);
}

static void add_node_completed(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    Flowengine__V1__NodeCompleted *m =
        FLOW_PB(pb, Flowengine__V1__NodeCompleted, flowengine__v1__node_completed__init);
    if (m == NULL)
        return;
    m->node_id = flow_pb_borrow(from->node_id);
    m->producer_node_id = flow_pb_borrow(from->producer_node_id);
    m->payload_id = flow_pb_borrow(from->payload_id);
    m->iteration = (int64_t)from->iteration;
    m->branch = flow_pb_borrow(from->branch);
    m->duration = flow_pb_duration(pb, from->duration_ns);
    m->payload = make_payload(pb, from);
    SET(to, NODE_COMPLETED, node_completed, m);
}

static void add_node_failed(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    Flowengine__V1__NodeFailed *m =
        FLOW_PB(pb, Flowengine__V1__NodeFailed, flowengine__v1__node_failed__init);
    if (m == NULL)
        return;
    m->node_id = flow_pb_borrow(from->node_id);
    m->producer_node_id = flow_pb_borrow(from->producer_node_id);
    m->payload_id = flow_pb_borrow(from->payload_id);
    m->iteration = (int64_t)from->iteration;
    m->duration = flow_pb_duration(pb, from->duration_ns);
    m->error = make_failure(pb, from);
    m->payload = make_payload(pb, from);
    SET(to, NODE_FAILED, node_failed, m);
}

static void add_iteration_completed(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    static const Flowengine__V1__IterationCompleted__Outcome outcomes[] = {
        [FLOW_UNIT_DONE] = FLOWENGINE__V1__ITERATION_COMPLETED__OUTCOME__DONE,
        [FLOW_UNIT_FILTERED] = FLOWENGINE__V1__ITERATION_COMPLETED__OUTCOME__FILTERED,
        [FLOW_UNIT_DEAD_LETTERED] = FLOWENGINE__V1__ITERATION_COMPLETED__OUTCOME__DEAD_LETTERED,
    };
    Flowengine__V1__IterationCompleted *m =
        FLOW_PB(pb, Flowengine__V1__IterationCompleted, flowengine__v1__iteration_completed__init);
    if (m == NULL)
        return;
    m->producer_node_id = flow_pb_borrow(from->producer_node_id);
    m->payload_id = flow_pb_borrow(from->payload_id);
    m->iteration = (int64_t)from->iteration;
    m->outcome = outcomes[from->outcome];
    m->duration = flow_pb_duration(pb, from->duration_ns);
    SET(to, ITERATION_COMPLETED, iteration_completed, m);
}

static void add_dead_lettered(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    Flowengine__V1__DeadLettered *m =
        FLOW_PB(pb, Flowengine__V1__DeadLettered, flowengine__v1__dead_lettered__init);
    if (m == NULL)
        return;
    m->dead_letter_id = flow_pb_borrow(from->dead_letter_id);
    m->fingerprint = flow_pb_borrow(from->fingerprint);
    m->node_id = flow_pb_borrow(from->node_id);
    m->producer_node_id = flow_pb_borrow(from->producer_node_id);
    m->payload_id = flow_pb_borrow(from->payload_id);
    m->reason = flow_pb_reason(from->reason);
    m->code = flow_pb_borrow(flow_status_name(from->code));
    m->message = flow_pb_borrow(from->message);
    SET(to, DEAD_LETTERED, dead_lettered, m);
}

static void add_log(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    Flowengine__V1__LogLine *m = FLOW_PB(pb, Flowengine__V1__LogLine, flowengine__v1__log_line__init);
    if (m == NULL)
        return;
    m->time = flow_pb_time(pb, from->time_ns);
    m->level = (Flowengine__V1__LogLine__Level)(from->level + 1);
    m->message = flow_pb_borrow(from->message);
    m->node_id = flow_pb_borrow(from->node_id);
    m->producer_node_id = flow_pb_borrow(from->producer_node_id);
    m->payload_id = flow_pb_borrow(from->payload_id);
    if (!flow_value_is_null(from->fields))
        FLOW_PB_SET_STRUCT(m, LOG_LINE, fields, FIELDS, flow_pb_struct(pb, from->fields, "fields", NULL));
    SET(to, LOG, log, m);
}

static void add_queue_bound(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    Flowengine__V1__QueueBound *m =
        FLOW_PB(pb, Flowengine__V1__QueueBound, flowengine__v1__queue_bound__init);
    if (m == NULL)
        return;
    m->queue = flow_pb_borrow(from->queue);
    m->full = from->bound_reached;
    SET(to, QUEUE_BOUND, queue_bound, m);
}

static void add_events_dropped(FlowPb *pb, const FlowEvent *from, Flowengine__V1__RunEvent *to)
{
    Flowengine__V1__EventsDropped *m =
        FLOW_PB(pb, Flowengine__V1__EventsDropped, flowengine__v1__events_dropped__init);
    if (m == NULL)
        return;
    m->by_kind = (Flowengine__V1__EventsDropped__ByKindEntry **)flow_pb_list(pb, FLOW_EVENT_KIND_COUNT);
    for (int kind = 0; m->by_kind != NULL && kind < FLOW_EVENT_KIND_COUNT; kind++) {
        if (from->dropped[kind] == 0)
            continue;
        Flowengine__V1__EventsDropped__ByKindEntry *entry =
            FLOW_PB(pb, Flowengine__V1__EventsDropped__ByKindEntry,
                    flowengine__v1__events_dropped__by_kind_entry__init);
        if (entry == NULL)
            return;
        entry->key = flow_pb_borrow(flow_event_kind_name((FlowEventKind)kind));
        entry->value = (int64_t)from->dropped[kind];
        m->total += entry->value;
        m->by_kind[m->n_by_kind++] = entry;
    }
    m->last_cursor = (int64_t)from->cursor;
    SET(to, EVENTS_DROPPED, events_dropped, m);
}

static void (*const adders[FLOW_EVENT_KIND_COUNT])(FlowPb *, const FlowEvent *,
                                                   Flowengine__V1__RunEvent *) = {
    [FLOW_EVENT_SNAPSHOT] = add_snapshot,
    [FLOW_EVENT_RUN_STATE] = add_run_state,
    [FLOW_EVENT_LOOP_STATE] = add_loop_state,
    [FLOW_EVENT_NODE_STARTED] = add_node_started,
    [FLOW_EVENT_NODE_COMPLETED] = add_node_completed,
    [FLOW_EVENT_NODE_FAILED] = add_node_failed,
    [FLOW_EVENT_ITERATION_COMPLETED] = add_iteration_completed,
    [FLOW_EVENT_DEAD_LETTERED] = add_dead_lettered,
    [FLOW_EVENT_LOG] = add_log,
    [FLOW_EVENT_QUEUE_BOUND] = add_queue_bound,
    [FLOW_EVENT_EVENTS_DROPPED] = add_events_dropped,
};

Flowengine__V1__RunEvent *flow_pb_event(FlowPb *pb, const FlowEvent *event, const char *run_id,
                                        const char *workflow_id)
{
    Flowengine__V1__RunEvent *made = FLOW_PB(pb, Flowengine__V1__RunEvent, flowengine__v1__run_event__init);
    if (made == NULL)
        return NULL;
    made->cursor = (int64_t)event->cursor;
    made->time = flow_pb_time(pb, event->time_ns);
    made->run_id = flow_pb_borrow(run_id);
    made->workflow_id = flow_pb_borrow(workflow_id);
    adders[event->kind](pb, event, made);
    return made;
}
