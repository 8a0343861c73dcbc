/*
 * runner_events.c - what a loop tells: into its ring while somebody watches; otherwise only what is rare, by post.
 * When nobody watches, the frequent events cost one test of a bit, at the caller's.
 */
#include <stdio.h>
#include <string.h>

#include "engine/runner_internal.h"

/* These are made whoever watches: they are few, and kept for those who come later. */
static const unsigned always = FLOW_EVENT_BIT(FLOW_EVENT_LOOP_STATE) |
                               FLOW_EVENT_BIT(FLOW_EVENT_DEAD_LETTERED) | FLOW_EVENT_BIT(FLOW_EVENT_LOG) |
                               FLOW_EVENT_BIT(FLOW_EVENT_QUEUE_BOUND);

FlowEventDetail *flow_event_detail_new(void)
{
    FlowEventDetail *detail = flow_new(FlowEventDetail);
    atomic_init(&detail->refs, 1);
    return detail;
}

FlowEventDetail *flow_event_detail_ref(FlowEventDetail *detail)
{
    atomic_fetch_add_explicit(&detail->refs, 1, memory_order_relaxed);
    return detail;
}

void flow_event_detail_unref(FlowEventDetail *detail)
{
    if (detail == NULL || atomic_fetch_sub_explicit(&detail->refs, 1, memory_order_acq_rel) > 1)
        return;
    flow_value_unref(detail->payload_id);
    flow_value_unref(detail->data);
    flow_value_unref(detail->fields);
    flow_value_unref(detail->message);
    free(detail);
}

/* Where to fill an event in; NULL when it is not wanted or has no room. `local` serves where there is no ring. */
static FlowEventRecord *next(FlowRunner *runner, FlowEventKind kind, FlowEventRecord *local)
{
    FlowEventRing *ring = atomic_load_explicit(&runner->ring, memory_order_relaxed);
    if (!((runner->listen | always) & FLOW_EVENT_BIT(kind)) ||
        (ring == NULL && !(always & FLOW_EVENT_BIT(kind))))
        return NULL;
    FlowEventRecord *record = ring ? flow_event_ring_next(ring, kind) : local;
    runner->ring_is_full = record == NULL;
    if (record)
        *record = (FlowEventRecord){.wall_ns = runner->now_ns + runner->wall_offset_ns,
                                    .node = FLOW_GRAPH_NONE,
                                    .kind = (uint8_t)kind};
    return record;
}

static void commit(FlowRunner *runner, FlowEventRecord *record, const FlowEventRecord *local)
{
    if (record != local) {
        flow_event_ring_commit(atomic_load_explicit(&runner->ring, memory_order_relaxed));
        runner->has_events = true;
    } else {
        flow_run__post_event(runner->run, runner->index, record);
    }
}

static FlowEventDetail *detail_of(FlowEventRecord *record)
{
    if (record->detail == NULL)
        record->detail = flow_event_detail_new();
    return record->detail;
}

static void set_unit(FlowEventRecord *record, FlowUnit *unit)
{
    record->iteration = unit->is_listed ? unit->iteration : unit->runner->iterations + 1;
    const uint64_t *bits = flow_unit__id_bits(unit);
    record->id_bits[0] = bits[0];
    record->id_bits[1] = bits[1];
    if (bits[0] == 0)
        detail_of(record)->payload_id = flow_value_ref(unit->id);
}

static void set_error(FlowEventRecord *record, const FlowError *error)
{
    FlowEventDetail *detail = detail_of(record);
    detail->code = error->status;
    detail->message = flow_value_string(error->message);
    snprintf(detail->reason, sizeof detail->reason, "%s", error->reason[0] ? error->reason : "NODE_FAILED");
}

void flow_runner__emit_node_started(FlowStrand *strand)
{
    FlowEventRecord local, *record = next(strand->runner, FLOW_EVENT_NODE_STARTED, &local);
    if (record == NULL)
        return;
    record->node = strand->at;
    if (strand->unit->is_listed)
        set_unit(record, strand->unit);
    else
        record->iteration = strand->runner->iterations + 1;
    commit(strand->runner, record, &local);
}

void flow_runner__emit_node_ended(FlowStrand *strand, FlowNodeOutcome outcome, int64_t took_ns)
{
    FlowRunner *runner = strand->runner;
    const FlowNodeCall *call = &strand->call;
    FlowEventKind kind = outcome == FLOW_NODE_FAILED ? FLOW_EVENT_NODE_FAILED : FLOW_EVENT_NODE_COMPLETED;
    FlowEventRecord local, *record = next(runner, kind, &local);
    if (record == NULL)
        return;
    record->node = strand->at;
    record->duration_ns = took_ns;
    record->branch = outcome == FLOW_NODE_DONE ? (uint16_t)call->branch : UINT16_MAX;
    bool has_payload =
        outcome == FLOW_NODE_DONE || outcome == FLOW_NODE_ENDED || outcome == FLOW_NODE_FILTERED;
    if (strand->unit->is_listed || has_payload)
        set_unit(record, strand->unit);
    else
        record->iteration = runner->iterations + 1;
    if (kind == FLOW_EVENT_NODE_FAILED)
        set_error(record, &call->error);
    if (runner->listen_payloads && (kind == FLOW_EVENT_NODE_FAILED || has_payload)) {
        FlowValue data = kind == FLOW_EVENT_NODE_COMPLETED && call->has_data ? call->out_data : strand->data;
        bool cut = flow_value_size(data) > FLOW_EVENT_PAYLOAD_MAX;
        detail_of(record)->data = cut ? flow_value_null() : flow_value_ref(data);
        record->detail->data_cut = cut;
    }
    commit(runner, record, &local);
}

void flow_runner__emit_unit(FlowUnit *unit, FlowUnitOutcome outcome)
{
    FlowRunner *runner = unit->runner;
    if (outcome == FLOW_UNIT_DEAD_LETTERED)
        flow_runner__emit_dead_letter(unit);
    if (!flow_runner__listens(runner, FLOW_EVENT_ITERATION_COMPLETED))
        return;
    FlowEventRecord local, *record = next(runner, FLOW_EVENT_ITERATION_COMPLETED, &local);
    if (record == NULL)
        return;
    set_unit(record, unit);
    record->duration_ns = runner->now_ns - unit->began_ns;
    record->outcome = (uint8_t)outcome;
    commit(runner, record, &local);
}

void flow_runner__emit_dead_letter(FlowUnit *unit)
{
    FlowEventRecord local, *record = next(unit->runner, FLOW_EVENT_DEAD_LETTERED, &local);
    if (record == NULL)
        return;
    const FlowUnitFailure *failure = unit->failure;
    record->node = failure->node;
    set_unit(record, unit);
    set_error(record, &failure->error);
    strcpy(record->detail->dead_letter_id, failure->id);
    strcpy(record->detail->fingerprint, failure->fingerprint);
    commit(unit->runner, record, &local);
}

void flow_runner__emit_state(FlowRunner *runner, FlowLoopState now, const char *detail)
{
    /* Working and waiting alternate with every unit: that is told only to those who watch. */
    bool both_lively = (now == FLOW_LOOP_RUNNING || now == FLOW_LOOP_WAITING) &&
                       (runner->said_state == FLOW_LOOP_RUNNING || runner->said_state == FLOW_LOOP_WAITING);
    if (now == runner->said_state || (both_lively && !flow_runner__listens(runner, FLOW_EVENT_LOOP_STATE)))
        return;
    FlowEventRecord local, *record = next(runner, FLOW_EVENT_LOOP_STATE, &local);
    if (record == NULL)
        return;
    record->old_state = (uint8_t)runner->said_state;
    record->new_state = (uint8_t)now;
    if (detail[0] != '\0')
        detail_of(record)->message = flow_value_string(detail);
    runner->said_state = now;
    commit(runner, record, &local);
}

void flow_runner__emit_queue_bound(FlowRunner *runner, const char *queue, bool reached)
{
    FlowEventRecord local, *record = next(runner, FLOW_EVENT_QUEUE_BOUND, &local);
    if (record == NULL)
        return;
    detail_of(record)->message = flow_value_string(queue);
    record->outcome = reached;
    commit(runner, record, &local);
}

void flow_runner__emit_log(FlowStrand *strand, FlowLogLevel level, const char *message, FlowValue fields)
{
    FlowEventRecord local, *record = next(strand->runner, FLOW_EVENT_LOG, &local);
    if (record == NULL)
        return;
    record->node = strand->at;
    set_unit(record, strand->unit);
    FlowEventDetail *detail = detail_of(record);
    detail->message = flow_value_string(message);
    detail->fields = flow_value_ref(fields);
    record->outcome = (uint8_t)level;
    commit(strand->runner, record, &local);
}

void flow_runner__events_done(FlowRunner *runner)
{
    FlowEventRing *ring = atomic_load_explicit(&runner->ring, memory_order_relaxed);
    if (runner->ring_is_full) {
        for (unsigned kind = 0; kind < FLOW_EVENT_KIND_COUNT; kind++)
            if (ring && runner->dropped[kind] > 0)
                atomic_fetch_add_explicit(&ring->dropped[kind], runner->dropped[kind], memory_order_relaxed);
        memset(runner->dropped, 0, sizeof runner->dropped);
        runner->ring_is_full = false;
    }
    if (!runner->has_events || ring == NULL)
        return;
    runner->has_events = false;
    if (flow_event_ring_must_wake(ring))
        flow_run__wake_events(runner->run, runner->index);
}
