/* counter, string-iterator-producer, json-iterator, timer, queue-reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "harness.h"

/* Runs a producer until it is completed; all its data, one JSON text per line. */
static char *run_all(Harness *h, const char *key)
{
    FlowBuf said;
    flow_buf_init(&said, 0);
    while (harness_start(h, NULL) == FLOW_NODE_DONE) {
        FlowValue data = harness_json(h->data);
        const FlowValue *value = flow_object_get(*flow_object_get(data, key), "value");
        if (!value)
            value = flow_object_get(*flow_object_get(data, key), "current");
        flow_buf_printf(&said, "%s", said.len ? " " : "");
        if (flow_value_kind(*value) == FLOW_VALUE_STRING)
            flow_buf_printf(&said, "[%s]", flow_value_text(value));
        else
            flow_buf_printf(&said, "%lld", (long long)flow_value_get_int(*value));
        flow_value_unref(data);
        assert_true(said.len < 4096);
    }
    assert_int_equal(h->outcome, FLOW_NODE_COMPLETED);
    /* It stays completed. */
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_COMPLETED);
    flow_buf_byte(&said, '\0');
    return flow_buf_take(&said, NULL);
}

typedef struct Row {
    const char *name, *type, *form, *key, *wanted;
} Row;

static const Row rows[] = {
    {"counts up, both bounds included", "counter", "{\"min_value\": 1, \"max_value\": 5}", "counter",
     "1 2 3 4 5"},
    {"counts down", "counter", "{\"min_value\": 1, \"max_value\": 4, \"direction\": \"decrement\"}",
     "counter", "4 3 2 1"},
    {"a step that misses the bound", "counter", "{\"min_value\": 0, \"max_value\": 10, \"step\": 4}",
     "counter", "0 4 8"},
    {"downwards with a step", "counter",
     "{\"min_value\": 0, \"max_value\": 10, \"step\": 4, \"direction\": \"decrement\"}", "counter", "10 6 2"},
    {"defaults", "counter", "{}", "counter", "0 1 2 3 4 5 6 7 8 9 10"},
    {"numbers as text", "counter", "{\"min_value\": \"7\", \"max_value\": \" 9 \"}", "counter", "7 8 9"},
    {"negative numbers", "counter", "{\"min_value\": -2, \"max_value\": 1}", "counter", "-2 -1 0 1"},
    {"up to the last integer", "counter",
     "{\"min_value\": 9223372036854775805, \"max_value\": 9223372036854775807}", "counter",
     "9223372036854775805 9223372036854775806 9223372036854775807"},
    {"a step beyond all integers", "counter",
     "{\"min_value\": -9223372036854775807, \"max_value\": 9223372036854775807, \"step\": "
     "9223372036854775807}",
     "counter", "-9223372036854775807 0 9223372036854775807"},

    {"lines", "string-iterator-producer", "{\"data_content\": \"ada\\ngrace\\r\\n\\n  linus  \"}",
     "string_iterator", "[ada] [grace] [linus]"},
    {"commas", "string-iterator-producer",
     "{\"data_content\": \"ada, grace ,,linus,\", \"separator_type\": \"comma\"}", "string_iterator",
     "[ada] [grace] [linus]"},
    {"a separator of one's own", "string-iterator-producer",
     "{\"data_content\": \"a || b||c\", \"separator_type\": \"custom\", \"custom_separator\": \"||\"}",
     "string_iterator", "[a] [b] [c]"},
    {"white space as a separator", "string-iterator-producer",
     "{\"data_content\": \"a b  c\", \"separator_type\": \"custom\", \"custom_separator\": \" \"}",
     "string_iterator", "[a] [b] [c]"},
    {"only separators", "string-iterator-producer",
     "{\"data_content\": \", ,\", \"separator_type\": \"comma\"}", "string_iterator", ""},
    {"spaces of other scripts", "string-iterator-producer",
     "{\"data_content\": \"\\u00a0a\\u3000,\\u2003b\", \"separator_type\": \"comma\"}", "string_iterator",
     "[a] [b]"},

    {"an array", "json-iterator", "{\"items\": [1, 2, \"three\"]}", "item", "1 2 [three]"},
    {"an array as text", "json-iterator", "{\"items\": \"[1, 2]\"}", "item", "1 2"},
    {"JSON Lines", "json-iterator", "{\"items\": \"1\\n2\\n\\n3\\n\"}", "item", "1 2 3"},
    {"nothing", "json-iterator", "{\"items\": []}", "item", ""},
    {"never a template", "json-iterator", "{\"items\": [\"{{ data.x }}\"]}", "item", "[{{ data.x }}]"},
};

static void check_row(void **state)
{
    const Row *row = *state;
    Harness *h = harness_new(row->type, row->form);
    char *said = run_all(h, row->key);
    assert_string_equal(said, row->wanted);
    free(said);
    harness_free(h);
}

typedef struct FormRow {
    const char *name, *type, *form, *wanted;
} FormRow;

static const FormRow form_rows[] = {
    {"min above max", "counter", "{\"min_value\": 9, \"max_value\": 3}",
     "min_value must be less than max_value."},
    {"min equal to max", "counter", "{\"min_value\": 3, \"max_value\": 3}",
     "min_value must be less than max_value."},
    {"step 0", "counter", "{\"step\": 0}", "step: Ensure this value is greater than or equal to 1."},
    {"unknown direction", "counter", "{\"direction\": \"up\"}",
     "direction: Select a valid choice. up is not one of the available choices."},
    {"no number", "counter", "{\"min_value\": \"one\"}", "min_value: Enter a whole number."},
    {"no content", "string-iterator-producer", "{}", "data_content: This field is required."},
    {"no separator", "string-iterator-producer", "{\"data_content\": \"a\", \"separator_type\": \"custom\"}",
     "custom_separator: Enter the separator, or choose another separator type."},
    {"no items", "json-iterator", "{}", "items: This field is required."},
    {"items that are no array", "json-iterator", "{\"items\": {\"a\": 1}}", NULL},
    {"no interval", "timer", "{}", "interval: Enter either an interval or a cron expression."},
    {"interval and cron", "timer", "{\"interval\": 1, \"cron\": \"@daily\"}",
     "interval: Enter either an interval or a cron expression."},
    {"cron that is none", "timer", "{\"cron\": \"61 * * * *\"}", "cron: the minute must be from 0 to 59"},
    {"a date that never comes", "timer", "{\"cron\": \"0 0 31 2 *\"}",
     "cron: such a date never comes: check day of month and month"},
    {"an unknown time zone", "timer", "{\"cron\": \"@daily\", \"timezone\": \"Mars/Olympus\"}", NULL},
    {"a time zone outside", "timer", "{\"cron\": \"@daily\", \"timezone\": \"../../etc/passwd\"}", NULL},
    {"interval 0", "timer", "{\"interval\": 0}",
     "interval: Ensure this value is greater than or equal to 1."},
    {"unknown unit", "timer", "{\"interval\": 1, \"unit\": \"weeks\"}",
     "unit: Select a valid choice. weeks is not one of the available choices."},
    {"an interval of ages", "timer", "{\"interval\": 36501, \"unit\": \"days\"}",
     "interval: This is longer than a hundred years."},
    {"a reader without a name is for the QueueMapper", "queue-reader", "{}", ""},
};

static void check_form(void **state)
{
    const FormRow *row = *state;
    char *said = harness_form_errors(row->type, row->form);
    if (row->wanted)
        assert_string_equal(said, row->wanted);
    else
        assert_string_not_equal(said, "");
    free(said);
}

/* ---- whole results, state ---- */

static void test_counter_result(void **state)
{
    (void)state;
    Harness *h = harness_new("counter", "{\"min_value\": 2, \"max_value\": 9, \"step\": 3}");
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_DONE);
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_DONE);
    assert_string_equal(h->data, "{\"counter\":{\"current\":5,\"min\":2,\"max\":9,\"step\":3,"
                                 "\"direction\":\"increment\",\"iteration\":2}}");
    assert_string_equal(h->metadata, "{}");
    harness_free(h);
}

static void test_string_iterator_result(void **state)
{
    (void)state;
    Harness *h = harness_new("string-iterator-producer", "{\"data_content\": \"a\\nb\"}");
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_DONE);
    assert_string_equal(h->data, "{\"string_iterator\":{\"value\":\"a\",\"iteration_index\":1}}");
    harness_free(h);
}

static void test_json_iterator_result(void **state)
{
    (void)state;
    Harness *h = harness_new("json-iterator", "{\"items\": [{\"x\": null}]}");
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_DONE);
    assert_string_equal(h->data, "{\"item\":{\"value\":{\"x\":null},\"index\":0}}");
    harness_free(h);
}

static const struct {
    const char *type, *form, *next;
} iterators[] = {
    {"counter", "{\"min_value\": 1, \"max_value\": 5}", "\"current\":3"},
    {"string-iterator-producer", "{\"data_content\": \"a\\n\\nb\\nc\\nd\"}", "\"value\":\"c\""},
    {"json-iterator", "{\"items\": [\"a\", \"b\", \"c\"]}", "\"value\":\"c\""},
};

/* What was given stands in the state; an instance that gets it goes on behind. */
static void test_restart(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(iterators); i++) {
        Harness *h = harness_new(iterators[i].type, iterators[i].form);
        assert_int_equal(harness_start(h, NULL), FLOW_NODE_DONE);
        assert_int_equal(harness_start(h, NULL), FLOW_NODE_DONE);
        FlowValue left = flow_value_ref(h->state);
        harness_free(h);
        h = harness_new_with(iterators[i].type, iterators[i].form, left, NULL, 0);
        assert_int_equal(harness_start(h, NULL), FLOW_NODE_DONE);
        assert_non_null(strstr(h->data, iterators[i].next));
        harness_free(h);
    }
}

/* ---- timer ---- */

static void test_timer(void **state)
{
    (void)state;
    Harness *h = harness_new("timer", "{\"interval\": 5, \"max_ticks\": 2}");
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_PENDING);
    assert_string_equal(h->waiting, "timer");
    harness_advance(h, 5 * FLOW_NS_PER_S - 1);
    assert_true(h->is_open);
    harness_advance(h, 1);
    assert_false(h->is_open);
    assert_string_equal(h->data, "{\"timer\":{\"tick\":1,\"scheduled_at\":\"2024-02-29T12:00:05.000Z\","
                                 "\"fired_at\":\"2024-02-29T12:00:05.000Z\",\"skipped\":0}}");
    /* Work in between doesn't move the rhythm. */
    harness_advance(h, 2 * FLOW_NS_PER_S);
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_PENDING);
    harness_advance(h, 3 * FLOW_NS_PER_S);
    assert_non_null(strstr(h->data, "\"scheduled_at\":\"2024-02-29T12:00:10.000Z\""));
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_COMPLETED);
    harness_free(h);
}

static void test_timer_skips(void **state)
{
    (void)state;
    Harness *h = harness_new("timer", "{\"interval\": 1, \"unit\": \"minutes\"}");
    /* Asked for 2.5 minutes late: the ticks of minutes 1 and 2 are gone. */
    harness_advance(h, 150 * FLOW_NS_PER_S);
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_PENDING);
    harness_advance(h, 30 * FLOW_NS_PER_S - 1);
    assert_true(h->is_open);
    harness_advance(h, 1);
    assert_string_equal(h->data, "{\"timer\":{\"tick\":1,\"scheduled_at\":\"2024-02-29T12:03:00.000Z\","
                                 "\"fired_at\":\"2024-02-29T12:03:00.000Z\",\"skipped\":2}}");
    /* Exactly on time is not late. */
    harness_advance(h, 60 * FLOW_NS_PER_S);
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_PENDING);
    harness_advance(h, 0);
    assert_non_null(strstr(h->data, "\"tick\":2,\"scheduled_at\":\"2024-02-29T12:04:00.000Z\""));
    harness_free(h);
}

static void test_timer_after_a_restart(void **state)
{
    (void)state;
    /* Three ticks given, the last at 11:58:30, one minute apart: 11:59:30 passed while the server was down. */
    FlowValue left = harness_json("[3, 1, 1709207910000000000]");
    Harness *h = harness_new_with("timer", "{\"interval\": 1, \"unit\": \"minutes\"}", left, NULL, 0);
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_PENDING);
    harness_advance(h, 30 * FLOW_NS_PER_S);
    assert_string_equal(h->data, "{\"timer\":{\"tick\":4,\"scheduled_at\":\"2024-02-29T12:00:30.000Z\","
                                 "\"fired_at\":\"2024-02-29T12:00:30.000Z\",\"skipped\":2}}");
    harness_free(h);
}

static void test_timer_cancel(void **state)
{
    (void)state;
    Harness *h = harness_new("timer", "{\"interval\": 1, \"unit\": \"days\"}");
    assert_int_equal(harness_start(h, NULL), FLOW_NODE_PENDING);
    harness_cancel(h);
    assert_int_equal(h->outcome, FLOW_NODE_FAILED);
    assert_int_equal(h->error.status, FLOW_CANCELLED);
    harness_advance(h, 2 * 86400 * FLOW_NS_PER_S);
    harness_free(h);
}

static void test_queue_reader(void **state)
{
    (void)state;
    Harness *h = harness_new("queue-reader", "{\"queue_name\": \"in\"}");
    assert_int_equal(harness_start(h, "{\"n\": 1}"), FLOW_NODE_DONE);
    assert_string_equal(h->data, "{\"n\":1}");
    harness_free(h);
}

int main(void)
{
    enum { ROWS = FLOW_COUNT(rows), FORMS = FLOW_COUNT(form_rows) };
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(test_counter_result),
        cmocka_unit_test(test_string_iterator_result),
        cmocka_unit_test(test_json_iterator_result),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_timer),
        cmocka_unit_test(test_timer_skips),
        cmocka_unit_test(test_timer_after_a_restart),
        cmocka_unit_test(test_timer_cancel),
        cmocka_unit_test(test_queue_reader),
    };
    static struct CMUnitTest tests[ROWS + FORMS + FLOW_COUNT(others)];
    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, (void *)&rows[i]};
    for (size_t i = 0; i < FORMS; i++)
        tests[ROWS + i] =
            (struct CMUnitTest){form_rows[i].name, check_form, NULL, NULL, (void *)&form_rows[i]};
    memcpy(tests + ROWS + FORMS, others, sizeof(others));
    return cmocka_run_group_tests_name("producers", tests, NULL, NULL);
}
