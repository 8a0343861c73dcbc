#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/ticks.h"

static void a_test_clock_has_no_ticks(void **state)
{
    (void)state;
    FlowClock *clock = flow_test_clock_new(0);
    assert_int_equal(flow_ticks_scale(clock), 0);
    flow_test_clock_free(clock);
}

static void ticks_agree_with_the_clock(void **state)
{
    (void)state;
    const FlowClock *clock = flow_clock_real();
    int64_t end = flow_clock_mono_ns(clock) + 200 * FLOW_NS_PER_MS;
    uint64_t scale = 0;
    while (scale == 0 && flow_clock_mono_ns(clock) < end)
        scale = flow_ticks_scale(clock);
    if (scale == 0)
        skip(); /* the kernel does not trust the counter of this machine */
    int64_t from_ns = flow_clock_mono_ns(clock);
    uint64_t from = flow_ticks_now();
    while (flow_clock_mono_ns(clock) < from_ns + 50 * FLOW_NS_PER_MS)
        ;
    int64_t by_ticks = flow_ticks_ns(flow_ticks_now() - from, scale),
            by_clock = flow_clock_mono_ns(clock) - from_ns;
    assert_true(by_ticks > by_clock * 9 / 10 && by_ticks < by_clock * 11 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_test_clock_has_no_ticks),
        cmocka_unit_test(ticks_agree_with_the_clock),
    };
    return cmocka_run_group_tests_name("ticks", tests, NULL, NULL);
}
