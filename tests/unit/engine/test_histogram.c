#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "engine/histogram.h"

static void buckets_grow_and_stay_in_bounds(void **state)
{
    (void)state;
    unsigned last = 0;
    for (int64_t ns = 0; ns < INT64_C(1) << 62; ns = ns + ns / 16 + 1) {
        unsigned bucket = flow_histogram_bucket(ns);
        assert_true(bucket >= last && bucket < FLOW_HISTOGRAM_BUCKETS);
        assert_true(bucket <= last + 1);
        last = bucket;
    }
    assert_int_equal(flow_histogram_bucket(-5), 0);
    assert_int_equal(flow_histogram_bucket(INT64_MAX), FLOW_HISTOGRAM_BUCKETS - 1);
}

static void assert_near(int64_t got, int64_t wanted)
{
    assert_true(got >= wanted - wanted / 8 && got <= wanted + wanted / 8);
}

static void percentiles(void **state)
{
    (void)state;
    static FlowHistogram a, b;
    for (int i = 1; i <= 1000; i++)
        flow_histogram_record(i % 2 ? &a : &b, (int64_t)i * 1000);
    FlowLatency latency;
    flow_histogram_read((const FlowHistogram *const[]){&a, NULL, &b}, 3, &latency);
    assert_int_equal(latency.count, 1000);
    assert_near(latency.p50_ns, 500000);
    assert_near(latency.p90_ns, 900000);
    assert_near(latency.p99_ns, 990000);
    assert_int_equal(latency.max_ns, 1000000);
}

static void nothing_and_one(void **state)
{
    (void)state;
    FlowLatency latency;
    flow_histogram_read(NULL, 0, &latency);
    assert_int_equal(latency.count, 0);
    assert_int_equal(latency.p99_ns, 0);
    static FlowHistogram one;
    flow_histogram_record(&one, INT64_C(3) << 50);
    flow_histogram_read((const FlowHistogram *const[]){&one}, 1, &latency);
    assert_int_equal(latency.max_ns, INT64_C(3) << 50);
    assert_true(latency.p50_ns <= latency.max_ns && latency.p50_ns > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_grow_and_stay_in_bounds),
        cmocka_unit_test(percentiles),
        cmocka_unit_test(nothing_and_one),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
