/*
 * counters.h - what a loop and its nodes count. One thread adds (the loop's), any thread reads; readers add up what
 * several loops counted. A count may be a moment behind another one of the same loop, never ahead of its cause.
 */
#ifndef FLOW_ENGINE_COUNTERS_H
#define FLOW_ENGINE_COUNTERS_H

#include "engine/histogram.h"

/* started = completed + failed + what is being executed. */
typedef struct FlowNodeCounters {
    _Atomic uint64_t started, completed, failed;
    _Atomic(FlowHistogram *) latency; /* NULL until the first execution ended; freed with the counters */
} FlowNodeCounters;

/* produced = done + dead_lettered + what is in flight; filtered is a part of done. */
typedef struct FlowLoopCounters {
    _Atomic uint64_t produced, done, filtered, dead_lettered;
} FlowLoopCounters;

/* Only the thread that owns the counter. Not a locked instruction: there is just one writer. */
static inline void flow_count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_release);
}

static inline uint64_t flow_count_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_acquire);
}

#endif
