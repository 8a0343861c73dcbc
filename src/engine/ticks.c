#include "engine/ticks.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const int64_t LEAST_NS = 20 * FLOW_NS_PER_MS;

static _Atomic uint64_t known_scale;
static _Atomic int64_t first_ns;
static _Atomic uint64_t first_ticks;
static _Atomic int trusted; /* 0: not asked yet, 1: yes, -1: no */

static bool kernel_trusts_it(void)
{
    char name[16] = "";
#if defined(__x86_64__)
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (file == NULL)
        return false;
    if (fgets(name, sizeof name, file) == NULL)
        name[0] = '\0';
    fclose(file);
#endif
    return strncmp(name, "tsc", 3) == 0;
}

uint64_t flow_ticks_scale(const FlowClock *clock)
{
    uint64_t scale = atomic_load_explicit(&known_scale, memory_order_relaxed);
    if (clock != flow_clock_real() || atomic_load_explicit(&trusted, memory_order_relaxed) < 0)
        return 0;
    if (scale != 0)
        return scale;
    int64_t ns = flow_clock_mono_ns(clock);
    uint64_t ticks = flow_ticks_now();
    if (atomic_load(&trusted) == 0) {
        bool trust = kernel_trusts_it();
        atomic_store(&first_ticks, ticks);
        atomic_store(&first_ns, ns);
        atomic_store(&trusted, trust ? 1 : -1);
        return 0;
    }
    int64_t elapsed_ns = ns - atomic_load(&first_ns);
    uint64_t elapsed = ticks - atomic_load(&first_ticks);
    if (elapsed_ns < LEAST_NS || elapsed == 0)
        return 0;
    scale = (uint64_t)(((unsigned __int128)elapsed_ns << 32) / elapsed);
    atomic_store(&known_scale, scale);
    return scale;
}
