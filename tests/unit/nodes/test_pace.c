/* Nodes that remember what came before: deduplicate, dynamic-delay-node, rate-limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "harness.h"
#include "loop/timer.h"

/* ---- deduplicate ---- */

static FlowNodeOutcome come(Harness *h, const char *key)
{
    char data[64];
    snprintf(data, sizeof(data), "{\"k\": \"%s\"}", key);
    return harness_start(h, data);
}

static void test_deduplicate(void **state)
{
    (void)state;
    Harness *h = harness_new("deduplicate", "{\"key\": \"{{ data.k }}\"}");
    assert_int_equal(come(h, "a"), FLOW_NODE_DONE);
    assert_string_equal(h->data, "{\"k\":\"a\"}");
    assert_int_equal(come(h, "b"), FLOW_NODE_DONE);
    assert_int_equal(come(h, "a"), FLOW_NODE_FILTERED);
    harness_advance(h, 1000 * FLOW_NS_PER_S);
    assert_int_equal(come(h, "b"), FLOW_NODE_FILTERED);
    assert_int_equal(come(h, "c"), FLOW_NODE_DONE);
    /* Over a restart. */
    FlowValue left = flow_value_ref(h->state);
    harness_free(h);
    h = harness_new_with("deduplicate", "{\"key\": \"{{ data.k }}\"}", left, NULL, 0);
    assert_int_equal(come(h, "a"), FLOW_NODE_FILTERED);
    assert_int_equal(come(h, "c"), FLOW_NODE_FILTERED);
    assert_int_equal(come(h, "d"), FLOW_NODE_DONE);
    harness_free(h);
}

static void test_deduplicate_forgets(void **state)
{
    (void)state;
    Harness *h = harness_new("deduplicate", "{\"key\": \"{{ data.k }}\", \"ttl\": 10}");
    assert_int_equal(come(h, "a"), FLOW_NODE_DONE);
    harness_advance(h, 9 * FLOW_NS_PER_S);
    assert_int_equal(come(h, "a"), FLOW_NODE_FILTERED);
    harness_advance(h, FLOW_NS_PER_S);
    assert_int_equal(come(h, "a"), FLOW_NODE_DONE);
    assert_int_equal(come(h, "a"), FLOW_NODE_FILTERED);
    harness_free(h);
    /* Many keys: the newest 32,768 are known, and the state stays bounded. */
    h = harness_new("deduplicate", "{\"key\": \"{{ data.k }}\"}");
    char key[16];
    for (int i = 0; i < 33100; i++) {
        snprintf(key, sizeof(key), "%d", i);
        assert_int_equal(come(h, key), FLOW_NODE_DONE);
    }
    assert_int_equal(flow_array_count(h->state), 128);
    assert_int_equal(come(h, "33099"), FLOW_NODE_FILTERED);
    assert_int_equal(come(h, "1000"), FLOW_NODE_FILTERED);
    assert_int_equal(come(h, "0"), FLOW_NODE_DONE);
    harness_free(h);
}

/* ---- dynamic-delay-node ---- */

/* Runs one round; the sum of its delays, the shortest and the longest. */
static int64_t run_round(Harness *h, int count, int64_t *ret_min, int64_t *ret_max)
{
    int64_t sum = 0;
    *ret_min = INT64_MAX;
    *ret_max = 0;
    for (int i = 0; i < count; i++) {
        assert_int_equal(harness_start(h, "{}"), FLOW_NODE_PENDING);
        int64_t begin = flow_clock_mono_ns(h->clock);
        /* The call's memory begins with its timer. */
        int64_t due = ((const FlowTimer *)h->call.memory)->due_ns;
        harness_advance(h, due - begin);
        assert_int_equal(h->outcome, FLOW_NODE_DONE);
        int64_t took = due - begin;
        sum += took;
        *ret_min = took < *ret_min ? took : *ret_min;
        *ret_max = took > *ret_max ? took : *ret_max;
    }
    return sum;
}

static void test_dynamic_delay(void **state)
{
    (void)state;
    static const struct {
        const char *form;
        int executions;
        int64_t total;
        double spread; /* the longest against the shortest, at most */
    } rows[] = {
        {"{\"total_time\": 10, \"unit\": \"seconds\", \"executions\": 7}", 7, 10 * FLOW_NS_PER_S, 1.3 / 0.7},
        {"{\"total_time\": 1, \"unit\": \"days\", \"executions\": 100, \"jitter_percent\": 0}", 100,
         86400 * FLOW_NS_PER_S, 1.0001},
        {"{\"total_time\": 1, \"unit\": \"milliseconds\", \"executions\": 3, \"jitter_percent\": 100}", 3,
         FLOW_NS_PER_MS, 1e18},
        {"{\"total_time\": 5, \"unit\": \"hours\", \"executions\": 1}", 1, 5 * 3600 * FLOW_NS_PER_S, 1.0001},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        Harness *h = harness_new("dynamic-delay-node", rows[i].form);
        for (int round = 0; round < 3; round++) {
            int64_t min, max;
            assert_int_equal(run_round(h, rows[i].executions, &min, &max), rows[i].total);
            assert_true((double)max <= rows[i].spread * (double)min + 2);
        }
        harness_free(h);
    }
}

static void test_dynamic_delay_restart(void **state)
{
    (void)state;
    static const char form[] = "{\"total_time\": 10, \"unit\": \"seconds\", \"executions\": 4}";
    Harness *h = harness_new("dynamic-delay-node", form);
    int64_t min, max, sum = run_round(h, 2, &min, &max);
    /* One that is cancelled isn't over: after the restart it is waited for again. */
    assert_int_equal(harness_start(h, "{}"), FLOW_NODE_PENDING);
    harness_cancel(h);
    FlowValue left = flow_value_ref(h->state);
    harness_free(h);
    h = harness_new_with("dynamic-delay-node", form, left, NULL, 0);
    sum += run_round(h, 2, &min, &max);
    assert_int_equal(sum, 10 * FLOW_NS_PER_S);
    harness_free(h);
}

/* ---- rate-limit ---- */

static void test_rate_limit(void **state)
{
    (void)state;
    Harness *h = harness_new("rate-limit", "{\"permits\": 2, \"per\": 10, \"unit\": \"seconds\"}");
    assert_int_equal(harness_start(h, "{}"), FLOW_NODE_DONE);
    harness_advance(h, 4 * FLOW_NS_PER_S);
    assert_int_equal(harness_start(h, "{}"), FLOW_NODE_DONE);
    assert_int_equal(harness_start(h, "{\"n\": 3}"), FLOW_NODE_PENDING);
    assert_string_equal(h->waiting, "permit");
    harness_advance(h, 6 * FLOW_NS_PER_S - 1);
    assert_true(h->is_open);
    harness_advance(h, 1);
    assert_false(h->is_open);
    assert_string_equal(h->data, "{\"n\":3}");
    /* At 10 s; the next permit is due 10 s behind the one of 4 s. */
    assert_int_equal(harness_start(h, "{}"), FLOW_NODE_PENDING);
    harness_advance(h, 4 * FLOW_NS_PER_S);
    assert_false(h->is_open);
    assert_int_equal(harness_start(h, "{}"), FLOW_NODE_PENDING);
    harness_cancel(h);
    assert_int_equal(h->error.status, FLOW_CANCELLED);
    harness_free(h);
}

static void test_shared_limiter(void **state)
{
    (void)state;
    static const char form[] = "{\"permits\": 1, \"per\": 1, \"unit\": \"minutes\", \"limiter\": \"api\"}";
    Harness *a = harness_new("rate-limit", form), *b = harness_new("rate-limit", form);
    Harness *alone = harness_new("rate-limit", "{\"permits\": 1, \"per\": 1, \"unit\": \"minutes\"}");
    assert_int_equal(harness_start(a, "{}"), FLOW_NODE_DONE);
    assert_int_equal(harness_start(b, "{}"), FLOW_NODE_PENDING);
    assert_int_equal(harness_start(alone, "{}"), FLOW_NODE_DONE);
    harness_advance(b, 60 * FLOW_NS_PER_S);
    assert_false(b->is_open);
    harness_free(a);
    harness_free(b);
    harness_free(alone);
    /* Nobody left: forgotten. */
    a = harness_new("rate-limit", form);
    assert_int_equal(harness_start(a, "{}"), FLOW_NODE_DONE);
    harness_free(a);
}

static const struct {
    const char *type, *form, *wanted;
} form_rows[] = {
    {"deduplicate", "{}", "key: This field is required."},
    {"deduplicate", "{\"key\": \"a\", \"ttl\": 0}", "ttl: Ensure this value is greater than or equal to 1."},
    {"dynamic-delay-node", "{\"unit\": \"days\"}",
     "total_time: This field is required.; executions: This field is required."},
    {"dynamic-delay-node",
     "{\"total_time\": 1, \"unit\": \"days\", \"executions\": 1, \"jitter_percent\": 101}",
     "jitter_percent: Ensure this value is less than or equal to 100."},
    {"dynamic-delay-node", "{\"total_time\": 36501, \"unit\": \"days\", \"executions\": 1}",
     "total_time: This is longer than a hundred years."},
    {"rate-limit", "{\"permits\": 0, \"per\": 1, \"unit\": \"days\"}",
     "permits: Ensure this value is greater than or equal to 1."},
    {"rate-limit", "{\"permits\": 1, \"per\": 36501, \"unit\": \"days\"}",
     "per: This is longer than a hundred years."},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(form_rows); i++) {
        char *said = harness_form_errors(form_rows[i].type, form_rows[i].form);
        assert_string_equal(said, form_rows[i].wanted);
        free(said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deduplicate),   cmocka_unit_test(test_deduplicate_forgets),
        cmocka_unit_test(test_dynamic_delay), cmocka_unit_test(test_dynamic_delay_restart),
        cmocka_unit_test(test_rate_limit),    cmocka_unit_test(test_shared_limiter),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
