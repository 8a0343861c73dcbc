#include "template_test.h"

typedef struct Row {
    const char *source;
    bool truth;
    const char *value; /* JSON */
} Row;

static const char context_json[] =
    "{\"data\":{\"n\":5,\"text\":\"10\",\"float\":\"2.5\",\"name\":\"Ada\",\"none\":null,\"list\":[1,2],"
    "\"evil\":\"1 or true\","
    "\"followers\":\"420\",\"spaced\":\" 7 "
    "\",\"minus\":\"-3\",\"big\":\"99999999999999999999\",\"word\":\"ten\",\"yes\":true}}";

static const Row rows[] = {
    {"data.n > 2 and data.name is defined", true, "true"},
    {"data.n > 2 and data.missing is defined", false, "false"},
    {"{{ data.followers | int }} > 300", true, "true"},
    {"{{ data.followers }} > 300", true, "true"},
    {"300 < {{ data.followers }}", true, "true"},
    {"{{ data.followers }} > {{ data.n }}", true, "true"},
    {"{{ data.followers }} == 420", true, "true"},
    {"{{ data.followers }} != 420", false, "false"},
    {"{{ data.text }} + 1", true, "11"},
    {"2 * {{ data.float }}", true, "5.0"},
    {"{{ data.minus }} < 0", true, "true"},
    {"1 < {{ data.text }} < 20", true, "true"},
    {"{{ data.big }} > 1", true, "true"},
    /* two strings stay strings */
    {"{{ data.text }} < {{ data.followers }}", true, "true"},
    {"{{ data.text }} == '10'", true, "true"},
    {"{{ data.text }} ~ 1", true, "\"101\""},
    /* only a number, the whole number and nothing but the number */
    {"{{ data.spaced }} == 7", false, "false"},
    {"{{ data.word }} == 10", false, "false"},
    {"{{ data.yes }} == 1", true, "true"},
    /* only directly beside a number */
    {"({{ data.text }}) == 10", true, "true"},
    {"{{ data.text }} == data.n * 2", true, "true"},
    {"{{ data.text }} in [10]", false, "false"},
    /* text is never code */
    {"{{ data.evil }} == 1", false, "false"},
    {"{{ data.evil }}", true, "\"1 or true\""},
    {"not {{ data.none }}", true, "true"},
    {"{{ data.n > 3 }}", true, "true"},
    {"{{ data.n }} if {{ data.yes }} else 0", true, "5"},
    {"{'a': {'b': {{ data.n }}}}.a.b == 5", true, "true"},
    {"{{- data.n -}} == 5", true, "true"},
    {"{{ data.list, 1 }}[1]", true, "1"},
    {"data.missing", false, "null"},
    {"''", false, "\"\""},
    {"'false'", true, "\"false\""},
    {"1, 2", true, "[1,2]"},
};

static void evaluates(void **state)
{
    (void)state;
    FlowValue all = test_json(context_json);
    FlowTemplateVar vars[TEST_VARS];
    FlowTemplateContext context = {.vars = vars, .var_count = test_vars(&all, vars)};
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowTemplate *expression = NULL;
        FlowError error;
        FlowValue value;
        bool truth;
        if (flow_expression_compile(rows[i].source, strlen(rows[i].source), NULL, &expression, NULL,
                                    &error) != FLOW_OK ||
            flow_expression_test(expression, &context, &truth, &value, NULL, &error) != FLOW_OK)
            fail_msg("%s: %s", rows[i].source, error.message);
        char *json = flow_json_text(value, 0);
        if (strcmp(json, rows[i].value) != 0 || truth != rows[i].truth)
            fail_msg("%s gives %s", rows[i].source, json);
        free(json);
        flow_value_unref(value);
        assert_int_equal(flow_expression_test(expression, &context, &truth, NULL, NULL, &error), FLOW_OK);
        flow_template_unref(expression);
    }
    flow_value_unref(all);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *source, *message;
        unsigned column;
    } bad[] = {
        {"", "Expected an expression, got 'end of template'", 1},
        {"{{ data.n }", "unexpected '}', expected '}}'", 11},
        {"{{ data.n", "unexpected end of template, expected '}}'.", 9},
        {"data.n }} 5", "unexpected '}'", 8},
        {"data.n > ", "unexpected 'end of template'", 10},
        {"data.n = 5", "expected the end of the expression, got '='", 8},
        {"{% if x %}", "unexpected '%'", 2},
        {"data.n && 1", "unexpected character '&'", 8},
        {"{{ 1 }} {{ 2 }}", "expected the end of the expression, got '{{'", 9},
        {"data.n | inte", "No filter named 'inte'.", 10},
    };
    for (size_t i = 0; i < FLOW_COUNT(bad); i++) {
        FlowTemplate *expression = NULL;
        FlowTemplateError detail = {0};
        FlowError error;
        assert_int_equal(
            flow_expression_compile(bad[i].source, strlen(bad[i].source), NULL, &expression, &detail, &error),
            FLOW_INVALID_ARGUMENT);
        assert_string_equal(detail.message, bad[i].message);
        assert_int_equal(detail.column, bad[i].column);
        assert_string_equal(error.reason, "TEMPLATE_SYNTAX");
        assert_null(expression);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(evaluates), cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
