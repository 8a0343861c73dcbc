/*
 * watch.c - one reader of a run's events. It reads the run's ring at its own pace; what the ring has lost meanwhile it
 * learns as counts, and gets a new snapshot, which the control thread makes for it.
 */
#include "engine/watch.h"

#include <string.h>

static FlowEventRecord *kept(FlowRunEvents *events, uint64_t cursor)
{
    return &events->kept[cursor & (events->capacity - 1)];
}

FlowWatch *flow_watch__new(FlowRunEvents *events, const FlowWatchOptions *options, FlowRunView *snapshot)
{
    FlowWatch *watch = flow_new(FlowWatch);
    watch->events = events;
    watch->ready = options->ready;
    watch->context = options->context;
    watch->kinds = options->kinds ? options->kinds : FLOW_EVENTS_ALL;
    flow_map_init(&watch->node_ids);
    for (size_t i = 0; i < options->node_id_count; i++)
        flow_map_put(&watch->node_ids, options->node_ids[i], watch);
    watch->include_payloads = options->include_payloads;
    watch->payload_bytes = options->payload_bytes ? options->payload_bytes : FLOW_EVENT_PAYLOAD_BYTES;
    /* Until the first read says EMPTY nobody needs to be told. */
    watch->is_told = true;

    pthread_mutex_lock(&events->lock);
    memcpy(watch->dropped, events->dropped, sizeof watch->dropped);
    memcpy(watch->passed, events->evicted, sizeof watch->passed);
    watch->cursor = options->after_cursor + 1;
    if (options->after_cursor == 0 || watch->cursor < events->first || watch->cursor > events->next) {
        watch->cursor = events->next;
        watch->snapshot = flow_run_view_ref(snapshot);
    }
    for (uint64_t at = events->first; at < watch->cursor; at++)
        watch->passed[kept(events, at)->kind]++;
    flow_list_push_back(&events->watches, &watch->link);
    pthread_mutex_unlock(&events->lock);
    flow_run__ref(events->run);
    flow_run__count_watches(events->run, 1);
    return watch;
}

/* ---- what it wants ---- */

static const FlowPlanNode *node_of(const FlowWatch *watch, const FlowEventRecord *event)
{
    const FlowPlan *plan =
        event->loop == FLOW_GRAPH_NONE ? NULL : flow_run__plan(watch->events->run, event->loop);
    return plan && event->node != FLOW_GRAPH_NONE ? &plan->nodes[event->node] : NULL;
}

static bool wants(const FlowWatch *watch, const FlowEventRecord *event)
{
    if (!(watch->kinds & FLOW_EVENT_BIT(event->kind)))
        return false;
    const FlowPlanNode *node = watch->node_ids.count ? node_of(watch, event) : NULL;
    return node == NULL || flow_map_find(&watch->node_ids, node->def->id) != NULL;
}

/* By lock: counts what is gone for good since the last look. */
static void note_losses(FlowWatch *watch)
{
    FlowRunEvents *events = watch->events;
    for (unsigned kind = 0; kind < FLOW_EVENT_KIND_COUNT; kind++) {
        uint64_t lost = events->dropped[kind] - watch->dropped[kind];
        watch->dropped[kind] = events->dropped[kind];
        if (watch->cursor < events->first) {
            lost += events->evicted[kind] - watch->passed[kind];
            watch->passed[kind] = events->evicted[kind];
        }
        if (lost == 0 || !(watch->kinds & FLOW_EVENT_BIT(kind)))
            continue;
        watch->lost[kind] += lost;
        watch->has_lost = true;
    }
    if (watch->cursor < events->first)
        watch->cursor = events->first;
}

bool flow_watch__must_tell(FlowWatch *watch)
{
    FlowRunEvents *events = watch->events;
    if (watch->is_told || watch->wants_snapshot)
        return false;
    if (watch->snapshot || events->has_ended || watch->cursor < events->first)
        return true;
    while (watch->cursor < events->next) {
        const FlowEventRecord *event = kept(events, watch->cursor);
        if (wants(watch, event))
            return true;
        watch->passed[event->kind]++;
        watch->cursor++;
    }
    note_losses(watch);
    return watch->has_lost;
}

/* ---- reading ---- */

static void release(FlowWatch *watch)
{
    for (size_t i = 0; i < watch->held_count; i++)
        flow_event_detail_unref(watch->held[i]);
    watch->held_count = 0;
    watch->held_snapshot = flow_run_view_unref(watch->held_snapshot);
}

static const char *payload_id(FlowWatch *watch, const FlowEventRecord *record, size_t place)
{
    if (record->detail && !flow_value_is_null(record->detail->payload_id))
        return flow_value_text(&record->detail->payload_id);
    if (record->id_bits[0] == 0)
        return NULL;
    flow_uuid_text(record->id_bits, watch->ids[place]);
    return watch->ids[place];
}

static void fill_detail(FlowWatch *watch, FlowEvent *event, FlowEventDetail *detail)
{
    watch->held[watch->held_count++] = flow_event_detail_ref(detail);
    const char *text = flow_value_is_null(detail->message) ? "" : flow_value_text(&detail->message);
    if (event->kind == FLOW_EVENT_QUEUE_BOUND)
        event->queue = text;
    else if (event->kind == FLOW_EVENT_LOOP_STATE || event->kind == FLOW_EVENT_RUN_STATE)
        event->detail = text;
    else
        event->message = text;
    event->code = detail->code;
    event->reason = detail->reason;
    event->dead_letter_id = detail->dead_letter_id;
    event->fingerprint = detail->fingerprint;
    event->fields = detail->fields;
    if (watch->include_payloads) {
        bool fits = flow_value_size(detail->data) <= watch->payload_bytes;
        event->data = fits ? detail->data : flow_value_null();
        event->data_cut = detail->data_cut || !fits;
    }
}

static void fill(FlowWatch *watch, const FlowEventRecord *record, uint64_t cursor, size_t place,
                 FlowEvent *event)
{
    const FlowPlanNode *node = node_of(watch, record);
    *event = (FlowEvent){
        .cursor = cursor,
        .time_ns = record->wall_ns,
        .kind = record->kind,
        .payload_id = payload_id(watch, record, place),
        .old_state = record->old_state,
        .new_state = record->new_state,
        .detail = "",
        .iteration = record->iteration,
        .duration_ns = record->duration_ns,
    };
    if (record->loop != FLOW_GRAPH_NONE)
        event->producer_node_id = flow_run__plan(watch->events->run, record->loop)->nodes[0].def->id;
    if (node) {
        event->node_id = node->def->id;
        event->node_type = node->def->type->name;
        if (record->kind == FLOW_EVENT_NODE_COMPLETED && record->branch < node->def->branch_count)
            event->branch = node->def->branches[record->branch].name;
    }
    if (record->kind == FLOW_EVENT_ITERATION_COMPLETED)
        event->outcome = record->outcome;
    else if (record->kind == FLOW_EVENT_LOG)
        event->level = record->outcome;
    else if (record->kind == FLOW_EVENT_QUEUE_BOUND)
        event->bound_reached = record->outcome;
    if (record->detail)
        fill_detail(watch, event, record->detail);
}

static void make_room(FlowWatch *watch, size_t max)
{
    if (max <= watch->held_capacity)
        return;
    watch->held = flow_realloc(watch->held, max * sizeof *watch->held);
    watch->ids = flow_realloc(watch->ids, max * sizeof *watch->ids);
    watch->held_capacity = max;
}

/* By lock. What was lost is told first, then comes the snapshot that makes good for it. */
static size_t read_losses(FlowWatch *watch, FlowEvent *events)
{
    memcpy(watch->told_lost, watch->lost, sizeof watch->lost);
    memset(watch->lost, 0, sizeof watch->lost);
    watch->has_lost = false;
    events[0] = (FlowEvent){.kind = FLOW_EVENT_EVENTS_DROPPED,
                            .cursor = watch->snapshot->cursor,
                            .time_ns = flow_run__wall_ns(watch->events->run),
                            .dropped = watch->told_lost};
    return 1;
}

static size_t read_snapshot(FlowWatch *watch, FlowEvent *event)
{
    FlowRunEvents *events = watch->events;
    watch->held_snapshot = watch->snapshot;
    watch->snapshot = NULL;
    while (watch->cursor <= watch->held_snapshot->cursor && watch->cursor < events->next) {
        if (watch->cursor >= events->first)
            watch->passed[kept(events, watch->cursor)->kind]++;
        watch->cursor++;
    }
    *event = (FlowEvent){.kind = FLOW_EVENT_SNAPSHOT,
                         .cursor = watch->held_snapshot->cursor,
                         .time_ns = flow_run__wall_ns(events->run),
                         .snapshot = watch->held_snapshot};
    return 1;
}

FlowWatchStatus flow_watch_read(FlowWatch *watch, FlowEvent *events, size_t max, size_t *ret_count)
{
    FlowRunEvents *source = watch->events;
    FlowWatchStatus status = FLOW_WATCH_MORE;
    size_t count = 0;
    release(watch);
    make_room(watch, max);

    pthread_mutex_lock(&source->lock);
    note_losses(watch);
    if (watch->has_lost && watch->snapshot == NULL && !watch->wants_snapshot) {
        watch->wants_snapshot = true;
        flow_run__poke(source->run);
    }
    if (watch->wants_snapshot) {
        watch->is_told = false;
        pthread_mutex_unlock(&source->lock);
        *ret_count = 0;
        return FLOW_WATCH_EMPTY;
    }
    if (watch->snapshot && max > 0) {
        if (watch->has_lost)
            count += read_losses(watch, events);
        if (count < max)
            count += read_snapshot(watch, events + count);
    }
    while (count < max && watch->snapshot == NULL && watch->cursor < source->next) {
        const FlowEventRecord *event = kept(source, watch->cursor);
        if (wants(watch, event)) {
            fill(watch, event, watch->cursor, count, &events[count]);
            count++;
        }
        watch->passed[event->kind]++;
        watch->cursor++;
    }
    if (count < max && watch->snapshot == NULL) {
        status = source->has_ended ? FLOW_WATCH_ENDED : FLOW_WATCH_EMPTY;
        watch->is_told = source->has_ended;
    }
    pthread_mutex_unlock(&source->lock);
    *ret_count = count;
    return status;
}

const char *flow_watch_run_id(const FlowWatch *watch)
{
    return flow_run__names(watch->events->run)->run_id;
}

void flow_watch_close(FlowWatch *watch)
{
    FlowRunEvents *events = watch->events;
    pthread_mutex_lock(&events->lock);
    flow_list_remove(&watch->link);
    while (events->in_ready == watch && !flow_run__is_control(events->run))
        pthread_cond_wait(&events->ready_done, &events->lock);
    pthread_mutex_unlock(&events->lock);
    release(watch);
    flow_run_view_unref(watch->snapshot);
    flow_map_done(&watch->node_ids, NULL);
    free(watch->held);
    free(watch->ids);
    FlowRun *run = events->run;
    free(watch);
    flow_run__count_watches(run, -1);
    flow_run__watches_changed(run);
    flow_run__unref(run);
}
