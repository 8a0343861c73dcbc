/*
 * ticks.h - time between two moments of one turn, cheaply. A look at the system's clock costs about 25 ns, which is a good
 * part of a node's execution; the processor's own counter costs half of it or less.
 *
 * Used only where the kernel itself trusts that counter, and only from an anchor that was read from the real clock a
 * moment ago, so that nothing drifts.
 */
#ifndef FLOW_ENGINE_TICKS_H
#define FLOW_ENGINE_TICKS_H

#include <stdint.h>

#include "base/clock.h"

/* Nanoseconds per tick, times 2^32; 0: there are no ticks to be had with this clock, or not yet (it takes some
 * milliseconds after the first call to know). Any thread. */
uint64_t flow_ticks_scale(const FlowClock *clock);

static inline uint64_t flow_ticks_now(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}

static inline int64_t flow_ticks_ns(uint64_t ticks, uint64_t scale)
{
    return (int64_t)(((unsigned __int128)ticks * scale) >> 32);
}

#endif
