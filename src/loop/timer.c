/*
 * timer.c - all timers of a loop in one heap, and one alarm of libuv's for the first of them.
 *
 * libuv's own timers know no test clock, and closing one takes a callback; ours are plain memory.
 */
#include "loop/timer.h"

#include <stdlib.h>

#include "base/mem.h"
#include "loop/loop_internal.h"

static bool before(const FlowTimer *a, const FlowTimer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void put(FlowLoop *loop, size_t place, FlowTimer *timer)
{
    loop->heap[place - 1] = timer;
    timer->place = place;
}

static void sift(FlowLoop *loop, FlowTimer *timer)
{
    size_t place = timer->place;
    while (place > 1 && before(timer, loop->heap[place / 2 - 1])) {
        put(loop, place, loop->heap[place / 2 - 1]);
        place /= 2;
    }
    for (;;) {
        size_t child = place * 2;
        if (child > loop->armed)
            break;
        if (child < loop->armed && before(loop->heap[child], loop->heap[child - 1]))
            child++;
        if (!before(loop->heap[child - 1], timer))
            break;
        put(loop, place, loop->heap[child - 1]);
        place = child;
    }
    put(loop, place, timer);
}

static void take_out(FlowLoop *loop, FlowTimer *timer)
{
    size_t place = timer->place;
    FlowTimer *last = loop->heap[--loop->armed];
    timer->place = 0;
    if (last != timer) {
        put(loop, place, last);
        sift(loop, last);
    }
}

static void on_alarm(uv_timer_t *alarm)
{
    FlowLoop *loop = alarm->data;
    loop->alarm_ns = INT64_MAX;
    flow_loop__timers_fire(loop);
}

/* A test clock doesn't run by itself: what is due already is looked at in the loop's next turn. */
static void tell(FlowLoop *loop)
{
    if (!atomic_exchange(&loop->clock_told, true))
        flow_loop_post(loop, &loop->clock_moved);
}

static void set_alarm(FlowLoop *loop)
{
    if (loop->clock->is_test) {
        if (loop->armed != 0 && loop->heap[0]->due_ns <= flow_clock_mono_ns(loop->clock))
            tell(loop);
        return;
    }
    if (loop->armed == 0 || loop->heap[0]->due_ns >= loop->alarm_ns)
        return; /* an alarm that goes off too early only looks, and sets itself again */
    int64_t wait_ns = loop->heap[0]->due_ns - flow_clock_mono_ns(loop->clock);
    loop->alarm_ns = loop->heap[0]->due_ns;
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->alarm, on_alarm,
                   wait_ns > 0 ? (uint64_t)((wait_ns + FLOW_NS_PER_MS - 1) / FLOW_NS_PER_MS) : 0, 0);
}

void flow_loop__timers_fire(FlowLoop *loop)
{
    int64_t now = flow_clock_mono_ns(loop->clock);
    uint64_t first_new = loop->timer_number;
    /* A timer that is started by a callback waits for the next turn, else one that restarts itself with no
     * delay would keep the loop from everything else. */
    while (loop->armed != 0 && loop->heap[0]->due_ns <= now && loop->heap[0]->number < first_new) {
        FlowTimer *timer = loop->heap[0];
        take_out(loop, timer);
        loop->ran_something = true;
        timer->fired(timer);
    }
    set_alarm(loop);
}

static void on_clock_moved(FlowTask *task)
{
    FlowLoop *loop = flow_container_of(task, FlowLoop, clock_moved);
    atomic_store(&loop->clock_told, false);
    if (!atomic_load(&loop->stopping))
        flow_loop__timers_fire(loop);
}

static void on_move(void *context)
{
    tell(context);
}

void flow_loop__timers_init(FlowLoop *loop)
{
    loop->alarm_ns = INT64_MAX;
    uv_timer_init(&loop->uv, &loop->alarm);
    loop->alarm.data = loop;
    loop->clock_moved.run = on_clock_moved;
    /* Only a test clock keeps a list of movers; it was handed out writable and is const for its readers. */
    if (loop->clock->is_test)
        flow_clock_on_move((FlowClock *)loop->clock, on_move, loop);
}

void flow_loop__timers_done(FlowLoop *loop)
{
    if (loop->clock->is_test)
        flow_clock_off_move((FlowClock *)loop->clock, on_move, loop);
    for (size_t i = 0; i < loop->armed; i++)
        loop->heap[i]->place = 0;
    free(loop->heap);
    loop->heap = NULL;
    loop->armed = 0;
    uv_close((uv_handle_t *)&loop->alarm, NULL);
}

void flow_timer_init(FlowTimer *timer, FlowLoop *loop, void (*fired)(FlowTimer *timer))
{
    *timer = (FlowTimer){.loop = loop, .fired = fired};
}

void flow_timer_start_at(FlowTimer *timer, int64_t due_ns)
{
    FlowLoop *loop = timer->loop;
    flow_loop_assert(loop);
    timer->due_ns = due_ns;
    timer->number = loop->timer_number++;
    if (timer->place == 0) {
        if (loop->armed == loop->heap_capacity) {
            loop->heap_capacity = loop->heap_capacity != 0 ? loop->heap_capacity * 2 : 16;
            loop->heap = flow_realloc(loop->heap, loop->heap_capacity * sizeof *loop->heap);
        }
        loop->armed++;
        put(loop, loop->armed, timer);
    }
    sift(loop, timer);
    if (loop->heap[0] == timer)
        set_alarm(loop);
}

void flow_timer_start(FlowTimer *timer, int64_t delay_ns)
{
    int64_t now = flow_clock_mono_ns(timer->loop->clock);
    flow_timer_start_at(timer, delay_ns < INT64_MAX - now ? now + delay_ns : INT64_MAX);
}

void flow_timer_stop(FlowTimer *timer)
{
    if (timer->place == 0)
        return;
    flow_loop_assert(timer->loop);
    take_out(timer->loop, timer);
}
