#include "engine/run_events.h"

#include <string.h>

#include "engine/watch.h"

enum { FIRST_CAPACITY = 16 };

const char *flow_event_kind_name(FlowEventKind kind)
{
    static const char *const names[FLOW_EVENT_KIND_COUNT] = {
#define X(name, text) [FLOW_EVENT_##name] = text,
        FLOW_EVENT_KIND_MAP(X)
#undef X
    };
    return (unsigned)kind < FLOW_EVENT_KIND_COUNT ? names[kind] : "unknown";
}

/* ---- a loop's ring ---- */

FlowEventRing *flow_event_ring_new(uint32_t size)
{
    FlowEventRing *ring = aligned_alloc(64, (sizeof *ring + size * sizeof *ring->records + 63) & ~(size_t)63);
    if (ring == NULL)
        return NULL;
    memset(ring, 0, sizeof *ring);
    ring->mask = size - 1;
    return ring;
}

void flow_event_ring_free(FlowEventRing *ring)
{
    if (ring == NULL)
        return;
    for (uint64_t at = atomic_load(&ring->read); at != atomic_load(&ring->written); at++)
        flow_event_detail_unref(ring->records[at & ring->mask].detail);
    free(ring);
}

/* ---- the run's ---- */

void flow_run_events__init(FlowRunEvents *events, FlowRun *run)
{
    *events = (FlowRunEvents){.run = run, .first = 1, .next = 1};
    pthread_mutex_init(&events->lock, NULL);
    pthread_cond_init(&events->ready_done, NULL);
    flow_list_init(&events->watches);
}

static FlowEventRecord *kept(FlowRunEvents *events, uint64_t cursor)
{
    return &events->kept[cursor & (events->capacity - 1)];
}

void flow_run_events__done(FlowRunEvents *events)
{
    for (uint64_t at = events->first; at < events->next; at++)
        flow_event_detail_unref(kept(events, at)->detail);
    free(events->kept);
    pthread_mutex_destroy(&events->lock);
    pthread_cond_destroy(&events->ready_done);
}

static void evict(FlowRunEvents *events)
{
    FlowEventRecord *oldest = kept(events, events->first);
    events->evicted[oldest->kind]++;
    flow_event_detail_unref(oldest->detail);
    events->first++;
}

/* Doubles the ring: cursors keep their places in it modulo its size. */
static void grow(FlowRunEvents *events)
{
    uint32_t capacity = events->capacity ? events->capacity * 2 : FIRST_CAPACITY;
    FlowEventRecord *larger = flow_malloc(capacity * sizeof *larger);
    for (uint64_t at = events->first; at < events->next; at++)
        larger[at & (capacity - 1)] = *kept(events, at);
    free(events->kept);
    events->kept = larger;
    events->capacity = capacity;
}

static void add(FlowRunEvents *events, uint32_t loop, const FlowEventRecord *record_take)
{
    uint32_t bound = flow_list_empty(&events->watches) ? FLOW_EVENTS_KEPT : FLOW_EVENTS_RING;
    while (events->next - events->first >= bound)
        evict(events);
    if (events->next - events->first == events->capacity)
        grow(events);
    FlowEventRecord *record = kept(events, events->next);
    *record = *record_take;
    record->loop = loop;
    events->next++;
}

void flow_run_events__add(FlowRunEvents *events, uint32_t loop, const FlowEventRecord *record_take)
{
    pthread_mutex_lock(&events->lock);
    add(events, loop, record_take);
    pthread_mutex_unlock(&events->lock);
}

void flow_run_events__dropped(FlowRunEvents *events, FlowEventKind kind, uint64_t count)
{
    pthread_mutex_lock(&events->lock);
    events->dropped[kind] += count;
    pthread_mutex_unlock(&events->lock);
}

uint32_t flow_run_events__drain(FlowRunEvents *events, uint32_t loop, FlowEventRing *ring, uint32_t max,
                                bool *ret_dropped)
{
    uint64_t from = atomic_load_explicit(&ring->read, memory_order_relaxed);
    uint64_t until = atomic_load_explicit(&ring->written, memory_order_acquire);
    if (until - from > max)
        until = from + max;
    pthread_mutex_lock(&events->lock);
    for (uint64_t at = from; at != until; at++)
        add(events, loop, &ring->records[at & ring->mask]);
    uint64_t dropped = 0;
    for (unsigned kind = 0; kind < FLOW_EVENT_KIND_COUNT; kind++)
        if (atomic_load_explicit(&ring->dropped[kind], memory_order_relaxed) != 0) {
            uint64_t count = atomic_exchange(&ring->dropped[kind], 0);
            events->dropped[kind] += count;
            dropped += count;
        }
    if (ret_dropped)
        *ret_dropped |= dropped > 0;
    pthread_mutex_unlock(&events->lock);
    atomic_store_explicit(&ring->read, until, memory_order_release);
    return (uint32_t)(until - from);
}

uint64_t flow_run_events__cursor(FlowRunEvents *events)
{
    pthread_mutex_lock(&events->lock);
    uint64_t cursor = events->next - 1;
    pthread_mutex_unlock(&events->lock);
    return cursor;
}

unsigned flow_run_events__wanted(FlowRunEvents *events, bool *ret_payloads)
{
    unsigned kinds = 0;
    *ret_payloads = false;
    pthread_mutex_lock(&events->lock);
    FLOW_LIST_FOR_EACH(link, &events->watches)
    {
        FlowWatch *watch = flow_list_entry(link, FlowWatch, link);
        kinds |= watch->kinds;
        *ret_payloads |= watch->include_payloads;
    }
    pthread_mutex_unlock(&events->lock);
    return kinds;
}

void flow_run_events__end(FlowRunEvents *events)
{
    pthread_mutex_lock(&events->lock);
    events->has_ended = true;
    pthread_mutex_unlock(&events->lock);
    flow_run_events__tell(events);
}

bool flow_run_events__wants_snapshot(FlowRunEvents *events)
{
    bool wants = false;
    pthread_mutex_lock(&events->lock);
    FLOW_LIST_FOR_EACH(link, &events->watches)
    wants |= flow_list_entry(link, FlowWatch, link)->wants_snapshot;
    pthread_mutex_unlock(&events->lock);
    return wants;
}

void flow_run_events__give_snapshot(FlowRunEvents *events, FlowRunView *snapshot)
{
    pthread_mutex_lock(&events->lock);
    FLOW_LIST_FOR_EACH(link, &events->watches)
    {
        FlowWatch *watch = flow_list_entry(link, FlowWatch, link);
        if (!watch->wants_snapshot)
            continue;
        watch->wants_snapshot = false;
        watch->snapshot = flow_run_view_ref(snapshot);
    }
    pthread_mutex_unlock(&events->lock);
    flow_run_events__tell(events);
}

void flow_run_events__tell(FlowRunEvents *events)
{
    pthread_mutex_lock(&events->lock);
    FlowList *link = events->watches.next;
    while (link != &events->watches) {
        FlowWatch *watch = flow_list_entry(link, FlowWatch, link);
        if (!flow_watch__must_tell(watch)) {
            link = link->next;
            continue;
        }
        watch->is_told = true;
        events->in_ready = watch;
        pthread_mutex_unlock(&events->lock);
        watch->ready(watch->context);
        pthread_mutex_lock(&events->lock);
        events->in_ready = NULL;
        pthread_cond_broadcast(&events->ready_done);
        /* The list may have changed meanwhile. Everyone told is marked, so beginning anew ends. */
        link = events->watches.next;
    }
    pthread_mutex_unlock(&events->lock);
}
