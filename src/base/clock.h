/*
 * clock.h - time as a thing that is handed in, so that tests and workflow tests need no sleeping.
 *
 * Wall time: nanoseconds since 1970-01-01 UTC, may jump. Monotonic time: nanoseconds since some start, never
 * goes back; deadlines and durations use it. Any thread may read a clock.
 */
#ifndef FLOW_BASE_CLOCK_H
#define FLOW_BASE_CLOCK_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#define FLOW_NS_PER_US INT64_C(1000)
#define FLOW_NS_PER_MS INT64_C(1000000)
#define FLOW_NS_PER_S  INT64_C(1000000000)

typedef struct FlowClock FlowClock;
struct FlowClock {
    int64_t (*wall_ns)(const FlowClock *clock);
    int64_t (*mono_ns)(const FlowClock *clock);
    /* A test clock stands still until it is moved: a loop then must not sleep on the operating system's
     * timers, but be woken by flow_clock_on_move(). */
    bool is_test;
};

static inline int64_t flow_clock_wall_ns(const FlowClock *clock)
{
    return clock->wall_ns(clock);
}

static inline int64_t flow_clock_mono_ns(const FlowClock *clock)
{
    return clock->mono_ns(clock);
}

/* The operating system's clocks. Never freed. */
const FlowClock *flow_clock_real(void);

/* A clock that only moves when told. Both its times begin where `start_wall_ns` and 0 say. */
FlowClock *flow_test_clock_new(int64_t start_wall_ns);
void flow_test_clock_free(FlowClock *clock);
/* Moves both times forward, then calls every registered mover (on the calling thread). */
void flow_test_clock_advance(FlowClock *clock, int64_t ns);
/* `moved` is called after each advance, until removed with the same pair. Only for test clocks; at most 256
 * of them. */
void flow_clock_on_move(FlowClock *clock, void (*moved)(void *context), void *context);
void flow_clock_off_move(FlowClock *clock, void (*moved)(void *context), void *context);

/* RFC 3339 in UTC with milliseconds, "2026-11-23T20:36:31.042Z"; years 0001 to 9999, others are cut to them.
 */
enum { FLOW_TIME_TEXT = 32 };
void flow_time_format(int64_t wall_ns, char to[FLOW_TIME_TEXT]);

#endif
