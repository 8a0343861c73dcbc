/*
 * timer.h - timers on a loop's clock: real time, or a test clock that fires them when it is advanced.
 *
 * All functions: loop's thread only (init: any). A timer is plain memory: after flow_timer_stop(), and inside
 * its own callback, it may be freed at once. Due timers fire in the order of their times, equal ones in the
 * order in which they were started. On the real clock they fire up to 1 ms late, never early.
 */
#ifndef FLOW_LOOP_TIMER_H
#define FLOW_LOOP_TIMER_H

#include <stddef.h>

#include "loop/loop.h"

typedef struct FlowTimer FlowTimer;
struct FlowTimer {
    FlowLoop *loop;
    void (*fired)(FlowTimer *timer);
    int64_t due_ns;  /* read-only while armed: monotonic time of the loop's clock */
    uint64_t number; /* private: order of starting */
    size_t place;    /* private: index in the loop's heap + 1; 0 when it isn't armed */
};

void flow_timer_init(FlowTimer *timer, FlowLoop *loop, void (*fired)(FlowTimer *timer));
/* Fires once, `delay_ns` (≥ 0) from now. An armed timer is moved. */
void flow_timer_start(FlowTimer *timer, int64_t delay_ns);
/* Fires once at a monotonic time; a past one means the loop's next turn. */
void flow_timer_start_at(FlowTimer *timer, int64_t due_ns);
/* Does nothing to one that isn't armed. */
void flow_timer_stop(FlowTimer *timer);

static inline bool flow_timer_armed(const FlowTimer *timer)
{
    return timer->place != 0;
}

#endif
