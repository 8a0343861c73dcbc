/*
 * run_listen.c - how events come from a run's loops to the control thread: from rings, looked into at intervals while
 * somebody watches, and by post.
 */
#include <string.h>

#include "engine/run_internal.h"

enum { RING_RECORDS = 8192 };
/* Between two looks into the rings. A loop that tells more than a ring takes in the short time loses events anyway: then
 * moving fewer of them between the cores costs it less. */
static const int64_t SHORT_PAUSE_NS = 5 * FLOW_NS_PER_MS, LONG_PAUSE_NS = 20 * FLOW_NS_PER_MS;

/* ---- by post ---- */

typedef struct EventPost {
    FlowTask task;
    FlowRun *run;
    uint32_t loop;
    FlowEventRecord record;
} EventPost;

static void on_event_post(FlowTask *task)
{
    EventPost *post = flow_container_of(task, EventPost, task);
    FlowRun *run = post->run;
    flow_run_events__add(&run->events, post->loop, &post->record);
    flow_run_events__tell(&run->events);
    atomic_fetch_sub_explicit(&run->posts, 1, memory_order_relaxed);
    free(post);
    flow_run__unref(run);
}

void flow_run__post_event(FlowRun *run, uint32_t loop, const FlowEventRecord *record_take)
{
    if (atomic_fetch_add_explicit(&run->posts, 1, memory_order_relaxed) >= FLOW_EVENT_POSTS_MAX) {
        atomic_fetch_sub_explicit(&run->posts, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&run->posts_dropped[record_take->kind], 1, memory_order_relaxed);
        flow_event_detail_unref(record_take->detail);
        return;
    }
    EventPost *post = flow_malloc(sizeof *post);
    *post = (EventPost){
        .task = {.run = on_event_post}, .run = flow_run__ref(run), .loop = loop, .record = *record_take};
    flow_loop_post(run->engine->control, &post->task);
}

/* ---- of the run itself ---- */

void flow_run__emit_state(FlowRun *run, FlowRunState old, const char *detail)
{
    FlowEventRecord record = {.kind = FLOW_EVENT_RUN_STATE,
                              .wall_ns = flow_run__wall_ns(run),
                              .node = FLOW_GRAPH_NONE,
                              .old_state = (uint8_t)old,
                              .new_state = (uint8_t)atomic_load(&run->state)};
    if (detail[0] != '\0') {
        record.detail = flow_event_detail_new();
        record.detail->message = flow_value_string(detail);
        record.detail->code = run->error.status;
        strcpy(record.detail->reason, run->error.reason);
    }
    flow_run_events__add(&run->events, FLOW_GRAPH_NONE, &record);
    flow_run_events__tell(&run->events);
}

/* ---- rings ---- */

static void collect_drops(FlowRun *run)
{
    for (unsigned kind = 0; kind < FLOW_EVENT_KIND_COUNT; kind++)
        if (atomic_load_explicit(&run->posts_dropped[kind], memory_order_relaxed) != 0)
            flow_run_events__dropped(&run->events, kind, atomic_exchange(&run->posts_dropped[kind], 0));
}

/* True when there may be more in this ring, or its writer will soon write: look again. */
static bool drain_ring(FlowRun *run, FlowRunLoop *loop, bool *ret_dropped)
{
    if (loop->ring == NULL || !atomic_load(&loop->ring->is_awake))
        return false;
    if (flow_run_events__drain(&run->events, loop->index, loop->ring, RING_RECORDS, ret_dropped) > 0)
        return true;
    /* Nothing for a while: the writer is to wake us. It may have written before it could see that. */
    atomic_store(&loop->ring->is_awake, false);
    if (atomic_load(&loop->ring->written) == atomic_load(&loop->ring->read))
        return false;
    return !atomic_exchange(&loop->ring->is_awake, true);
}

void flow_run__drain_rings(FlowRun *run)
{
    bool again = false, dropped = false;
    collect_drops(run);
    for (uint32_t i = 0; i < run->loop_count; i++)
        again |= drain_ring(run, &run->loops[i], &dropped);
    flow_run_events__tell(&run->events);
    /* Looking at intervals costs the writers no wake-ups, and lets us take many events at once. */
    if (again && !flow_timer_armed(&run->drain_timer))
        flow_timer_start(&run->drain_timer, run->engine->clock->is_test ? 0
                                            : dropped                   ? LONG_PAUSE_NS
                                                                        : SHORT_PAUSE_NS);
}

void flow_run__on_drain_timer(FlowTimer *timer)
{
    flow_run__drain_rings(flow_container_of(timer, FlowRun, drain_timer));
}

void flow_run__on_wake(FlowTask *task)
{
    FlowRunLoop *loop = flow_container_of(task, FlowRunLoop, wake_task);
    FlowRun *run = loop->run;
    /* Before looking: who writes from now on wakes again. */
    atomic_store(&loop->is_waking, false);
    if (!run->last_view)
        flow_run__drain_rings(run);
    flow_run__unref(run);
}

/* Everything that the loops, which don't write any more, have told. */
void flow_run__drain_completely(FlowRun *run)
{
    collect_drops(run);
    for (uint32_t i = 0; i < run->loop_count; i++) {
        FlowRunLoop *loop = &run->loops[i];
        while (loop->ring && flow_run_events__drain(&run->events, i, loop->ring, RING_RECORDS, NULL) > 0)
            ;
    }
}

void flow_run__listen(FlowRun *run)
{
    if (run->last_view)
        return;
    bool payloads;
    unsigned kinds = flow_run_events__wanted(&run->events, &payloads);
    for (uint32_t i = 0; i < run->loop_count; i++) {
        FlowRunLoop *loop = &run->loops[i];
        FlowRunnerWish *wish = flow_runner_wish(loop->runner);
        if (loop->counted_end)
            continue;
        if (kinds && loop->ring == NULL && loop->old_ring == NULL)
            loop->ring = flow_event_ring_new(RING_RECORDS);
        if (!kinds && loop->ring) {
            loop->old_ring = loop->ring;
            loop->ring = NULL;
        }
        atomic_store(&wish->ring, loop->ring);
        atomic_store(&wish->listen, loop->ring ? kinds : 0);
        atomic_store(&wish->listen_payloads, payloads);
        flow_runner_poke(loop->runner);
    }
}

typedef struct WatchesChanged {
    FlowTask task;
    FlowRun *run;
} WatchesChanged;

static void on_watches_changed(FlowTask *task)
{
    WatchesChanged *self = flow_container_of(task, WatchesChanged, task);
    flow_run__listen(self->run);
    flow_run__unref(self->run);
    free(self);
}

void flow_run__watches_changed(FlowRun *run)
{
    WatchesChanged *self = flow_malloc(sizeof *self);
    *self = (WatchesChanged){{.run = on_watches_changed}, flow_run__ref(run)};
    flow_loop_post(run->engine->control, &self->task);
}

void flow_run__free_old_ring(FlowRun *run, FlowRunLoop *loop)
{
    if (loop->old_ring == NULL || flow_runner_ring(loop->runner) == loop->old_ring)
        return;
    while (flow_run_events__drain(&run->events, loop->index, loop->old_ring, RING_RECORDS, NULL) > 0)
        ;
    flow_event_ring_free(loop->old_ring);
    loop->old_ring = NULL;
    flow_run__listen(run);
}
