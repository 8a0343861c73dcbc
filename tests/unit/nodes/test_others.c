/* Everything that is no producer: what it makes of its input, what it says to a bad form, how it fails and is cancelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "harness.h"
#include "value/json.h"

typedef struct Row {
    const char *name, *type, *form, *data;
    FlowNodeOutcome outcome;
    int branch;
    const char *wanted; /* the data that goes on; the reason, for a failure */
} Row;

#define TRANSFORM "data-transformer"

static const Row rows[] = {
    {"yes", "if-condition", "{\"condition_expression\": \"data.n > 2\"}", "{\"n\": 3}", FLOW_NODE_DONE, 0,
     "{\"n\":3,\"if_condition\":{\"route\":\"yes\",\"expression\":\"data.n > 2\",\"result\":true}}"},
    {"no", "if-condition", "{\"condition_expression\": \"data.n > 2\"}", "{\"n\": 2}", FLOW_NODE_DONE, 1,
     "{\"n\":2,\"if_condition\":{\"route\":\"no\",\"expression\":\"data.n > 2\",\"result\":false}}"},
    {"an island", "if-condition", "{\"condition_expression\": \"{{ data.n }} % 2 == 0\"}", "{\"n\": 4}",
     FLOW_NODE_DONE, 0,
     "{\"n\":4,\"if_condition\":{\"route\":\"yes\",\"expression\":\"{{ data.n }} % 2 == "
     "0\",\"result\":true}}"},
    {"a second if-condition", "if-condition", "{\"condition_expression\": \"true\"}", "{\"if_condition\": 1}",
     FLOW_NODE_DONE, 0,
     "{\"if_condition\":1,\"if_condition_2\":{\"route\":\"yes\",\"expression\":\"true\",\"result\":true}}"},
    {"an undefined name", "if-condition", "{\"condition_expression\": \"data.x > 2\"}", "{}",
     FLOW_NODE_FAILED, -1, "TEMPLATE_ERROR"},

    {"passes", "filter", "{\"condition_expression\": \"data.n\"}", "{\"n\": 1}", FLOW_NODE_DONE, 0,
     "{\"n\":1}"},
    {"filtered", "filter", "{\"condition_expression\": \"data.n\"}", "{\"n\": 0}", FLOW_NODE_FILTERED, -1,
     NULL},
    {"a filter that fails", "filter", "{\"condition_expression\": \"1 // data.n\"}", "{\"n\": 0}",
     FLOW_NODE_FAILED, -1, "TEMPLATE_ERROR"},

    {"overwrites", TRANSFORM, "{\"output_template\": \"{\\\"a\\\": {{ data.n }}}\"}", "{\"n\": 1}",
     FLOW_NODE_DONE, 0, "{\"a\":1}"},
    {"adds", TRANSFORM, "{\"overwrite\": false, \"output_template\": \"{\\\"a\\\": {{ data.n }}}\"}",
     "{\"n\": 1}", FLOW_NODE_DONE, 0, "{\"n\":1,\"data_transformer\":{\"a\":1}}"},
    {"adds once more", TRANSFORM, "{\"overwrite\": false, \"output_template\": {\"a\": 1}}",
     "{\"data_transformer\": 0}", FLOW_NODE_DONE, 0,
     "{\"data_transformer\":0,\"data_transformer_2\":{\"a\":1}}"},
    {"an object as it is", TRANSFORM, "{\"output_template\": {\"a\": [1, \"{{ x }}\"]}}", "{}",
     FLOW_NODE_DONE, 0, "{\"a\":[1,\"{{ x }}\"]}"},
    {"one expression", TRANSFORM, "{\"output_template\": \"{{ data.inner }}\"}",
     "{\"inner\": {\"big\": 9007199254740993}}", FLOW_NODE_DONE, 0, "{\"big\":9007199254740993}"},
    {"no object", TRANSFORM, "{\"output_template\": \"[{{ data.n }}]\"}", "{\"n\": 1}", FLOW_NODE_FAILED, -1,
     "INVALID_FORM"},
    {"no JSON", TRANSFORM, "{\"output_template\": \"{{ data.n }} apples\"}", "{\"n\": 1}", FLOW_NODE_FAILED,
     -1, "INVALID_FORM"},
    {"divides by zero", TRANSFORM, "{\"output_template\": \"{\\\"a\\\": {{ 1 // data.n }}}\"}", "{\"n\": 0}",
     FLOW_NODE_FAILED, -1, "TEMPLATE_ERROR"},

    {"sets", "set-fields", "{\"fields\": {\"a.b\": \"{{ data.n }}\", \"c\": \"x{{ data.n }}\"}}",
     "{\"n\": 1}", FLOW_NODE_DONE, 0, "{\"n\":1,\"a\":{\"b\":1},\"c\":\"x1\"}"},
    {"sets and removes", "set-fields",
     "{\"fields\": {\"list[0]\": true}, \"remove\": [\"n\", \"none.such\"]}", "{\"n\": 1, \"list\": [0, 1]}",
     FLOW_NODE_DONE, 0, "{\"list\":[true,1]}"},
    {"only removes", "set-fields", "{\"fields\": {}, \"remove\": [\"list[-1]\"]}", "{\"list\": [0, 1]}",
     FLOW_NODE_DONE, 0, "{\"list\":[0]}"},
    {"a scalar in the way", "set-fields", "{\"fields\": {\"n.m\": 1}}", "{\"n\": 1}", FLOW_NODE_FAILED, -1,
     "NODE_FAILED"},

    {"first case", "switch",
     "{\"value\": \"{{ data.k }}\", \"cases\": [{\"name\": \"A\", \"equals\": \"a\"}, {\"name\": \"b\", "
     "\"equals\": 2}]}",
     "{\"k\": \"a\"}", FLOW_NODE_DONE, 0, "{\"k\":\"a\"}"},
    {"a number", "switch",
     "{\"value\": \"{{ data.k }}\", \"cases\": [{\"name\": \"a\", \"equals\": \"a\"}, {\"name\": \"b\", "
     "\"equals\": 2}]}",
     "{\"k\": 2.0}", FLOW_NODE_DONE, 1, "{\"k\":2.0}"},
    {"no case", "switch",
     "{\"value\": \"{{ data.k }}\", \"cases\": [{\"name\": \"a\", \"equals\": \"a\"}, {\"name\": \"b\", "
     "\"equals\": 2}]}",
     "{\"k\": \"c\"}", FLOW_NODE_DONE, 2, "{\"k\":\"c\"}"},
    {"a condition", "switch",
     "{\"value\": \"x\", \"cases\": \"[{\\\"name\\\": \\\"a\\\", \\\"condition\\\": \\\"{{ data.k }} > "
     "3\\\"}]\"}",
     "{\"k\": 4}", FLOW_NODE_DONE, 0, "{\"k\":4}"},
    {"a template to compare with", "switch",
     "{\"value\": \"{{ data.k }}\", \"cases\": [{\"name\": \"a\", \"equals\": \"{{ data.other }}\"}]}",
     "{\"k\": \"4\", \"other\": 4}", FLOW_NODE_DONE, 0, "{\"k\":\"4\",\"other\":4}"},
    {"true", "switch", "{\"value\": \"{{ data.k }}\", \"cases\": [{\"name\": \"a\", \"equals\": true}]}",
     "{\"k\": true}", FLOW_NODE_DONE, 0, "{\"k\":true}"},
    {"a condition that fails", "switch",
     "{\"value\": \"x\", \"cases\": [{\"name\": \"a\", \"condition\": \"data.none > 3\"}]}", "{}",
     FLOW_NODE_FAILED, -1, "TEMPLATE_ERROR"},

    {"logs", "log", "{\"level\": \"warning\", \"message\": \"n is {{ data.n }}\"}", "{\"n\": 1}",
     FLOW_NODE_DONE, 0, "{\"n\":1}"},
    {"a message that fails", "log", "{\"message\": \"{{ data.n.m.o }}\"}", "{\"n\": 1}", FLOW_NODE_FAILED, -1,
     "TEMPLATE_ERROR"},
    {"ends", "end", "{}", "{\"n\": 1}", FLOW_NODE_ENDED, -1, NULL},
    {"elements", "for-each", "{\"array_expression\": \"{{ data.xs }}\"}", "{\"xs\": [1, 2]}", FLOW_NODE_DONE,
     0, "{\"xs\":[1,2]}"},
    {"no elements", "for-each", "{\"array_expression\": \"{{ data.xs }}\"}", "{\"xs\": []}", FLOW_NODE_DONE,
     0, "{\"xs\":[]}"},
    {"no array", "for-each", "{\"array_expression\": \"{{ data.xs }}\"}", "{\"xs\": 1}", FLOW_NODE_FAILED, -1,
     "INVALID_FORM"},
    {"a delay that is no number", "static-delay-node", "{\"interval\": \"{{ data.n }}\", \"unit\": \"days\"}",
     "{\"n\": \"soon\"}", FLOW_NODE_FAILED, -1, "INVALID_FORM"},
    {"a delay of ages", "static-delay-node", "{\"interval\": \"{{ data.n }}\", \"unit\": \"days\"}",
     "{\"n\": 9223372036854775807}", FLOW_NODE_FAILED, -1, "INVALID_FORM"},
};

static void check_row(void **state)
{
    const Row *row = *state;
    Harness *h = harness_new(row->type, row->form);
    FlowNodeOutcome outcome = harness_start(h, row->data);
    if (outcome == FLOW_NODE_FAILED && row->outcome != FLOW_NODE_FAILED)
        fail_msg("%s", h->error.message);
    assert_int_equal(outcome, row->outcome);
    if (outcome == FLOW_NODE_FAILED) {
        assert_string_equal(h->error.reason, row->wanted);
    } else if (outcome == FLOW_NODE_DONE) {
        assert_string_equal(h->data, row->wanted);
        assert_int_equal(h->branch, row->branch);
    }
    harness_free(h);
}

typedef struct FormRow {
    const char *name, *type, *form, *wanted; /* NULL: any error will do */
} FormRow;

static const FormRow form_rows[] = {
    {"no condition", "if-condition", "{}", "condition_expression: This field is required."},
    {"a condition that doesn't compile", "if-condition", "{\"condition_expression\": \"{{ data.x \"}", NULL},
    {"two expressions", "filter", "{\"condition_expression\": \"1 2\"}", NULL},
    {"no template", TRANSFORM, "{}", "output_template: This field is required."},
    {"a template that doesn't compile", TRANSFORM, "{\"output_template\": \"{\\\"a\\\": {{ }}}\"}", NULL},
    {"a constant that is no object", TRANSFORM, "{\"output_template\": \"[1]\"}", NULL},
    {"no fields", "set-fields", "{}", "fields: This field is required."},
    {"a path that is none", "set-fields", "{\"fields\": {\"a[\": 1}}", NULL},
    {"a path to remove that is none", "set-fields", "{\"fields\": {}, \"remove\": [\"..\"]}", NULL},
    {"no interval", "static-delay-node", "{\"unit\": \"days\"}", "interval: This field is required."},
    {"no unit", "static-delay-node", "{\"interval\": 1}", "unit: This field is required."},
    {"interval 0", "static-delay-node", "{\"interval\": 0, \"unit\": \"days\"}",
     "interval: Ensure this value is greater than or equal to 1."},
    {"a constant delay of ages", "static-delay-node", "{\"interval\": 36501, \"unit\": \"days\"}",
     "interval: This is longer than a hundred years."},
    {"no message", "log", "{}", "message: This field is required."},
    {"unknown level", "log", "{\"message\": \"x\", \"level\": \"loud\"}",
     "level: Select a valid choice. loud is not one of the available choices."},
    {"no array", "for-each", "{}", "array_expression: This field is required."},
    {"a payload that is no object", "queue-writer", "{\"payload\": \"[1]\"}", NULL},
    {"no value", "switch", "{\"cases\": [{\"name\": \"a\", \"equals\": 1}]}",
     "value: This field is required."},
    {"a case whose condition doesn't compile", "switch",
     "{\"value\": \"x\", \"cases\": [{\"name\": \"a\", \"condition\": \"1 +\"}]}", NULL},
    {"end takes anything", "end", "{}", ""},
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

/* ---- branches of a switch ---- */

static const struct {
    const char *cases, *wanted; /* the names, or the beginning of the message */
} switch_rows[] = {
    {"[]", "default"},
    {"[{\"name\": \"A\", \"equals\": 1}, {\"name\": \"b\", \"condition\": \"x\"}]", "a b default"},
    {"\"[{\\\"name\\\": \\\"a\\\", \\\"equals\\\": \\\"{{ x }}\\\"}]\"", "a default"},
    {"\"{{ data.cases }}\"", "cases must be a JSON list"},
    {"null", "cases must be a JSON list"},
    {"[1]", "case 0 must be an object"},
    {"[{\"equals\": 1}]", "case 0 needs a name"},
    {"[{\"name\": \"{{ x }}\", \"equals\": 1}]", "case 0 has a template as its name"},
    {"[{\"name\": \"default\", \"equals\": 1}]", "case 0 is named `default`"},
    {"[{\"name\": \"a\"}]", "case 0 needs either"},
    {"[{\"name\": \"a\", \"equals\": 1, \"condition\": \"x\"}]", "case 0 needs either"},
    {"[{\"name\": \"a\", \"condition\": 1}]", "case 0 needs an expression"},
    {"[{\"name\": \"a\", \"equals\": 1, \"then\": 2}]", "case 0 has an unknown key"},
    {"[{\"name\": \"a\", \"equals\": 1}, {\"name\": \"A\", \"equals\": 2}]", "two branches are named 'A'"},
};

static void test_switch_branches(void **state)
{
    (void)state;
    Harness *h = harness_new("end", "{}");
    const FlowNodeType *type = flow_registry_find(h->registry, "switch", 6);
    for (size_t i = 0; i < FLOW_COUNT(switch_rows); i++) {
        FlowValue values = flow_value_object();
        FlowError error = {0};
        flow_object_set_take(&values, "cases", harness_json(switch_rows[i].cases), NULL);
        FlowNodeBranches *branches = flow_node_branches_new(type, values, &error);
        FlowBuf said;
        flow_buf_init(&said, 0);
        for (size_t b = 0; branches && b < flow_node_branches_count(branches); b++)
            flow_buf_printf(&said, "%s%s", b ? " " : "", flow_node_branches_name(branches, b));
        if (branches) {
            assert_string_equal(flow_buf_text(&said), switch_rows[i].wanted);
        } else {
            assert_int_equal(strncmp(error.message, switch_rows[i].wanted, strlen(switch_rows[i].wanted)), 0);
            assert_string_equal(error.where, "cases");
        }
        flow_buf_done(&said);
        flow_node_branches_free(branches);
        flow_value_unref(values);
    }
    harness_free(h);
}

/* ---- the rest ---- */

static void test_delay(void **state)
{
    (void)state;
    Harness *h = harness_new("static-delay-node", "{\"interval\": \"{{ data.n }}\", \"unit\": \"minutes\"}");
    assert_int_equal(harness_start(h, "{\"n\": 2}"), FLOW_NODE_PENDING);
    assert_string_equal(h->waiting, "delay");
    harness_advance(h, 120 * FLOW_NS_PER_S - 1);
    assert_true(h->is_open);
    harness_advance(h, 1);
    assert_int_equal(h->outcome, FLOW_NODE_DONE);
    assert_string_equal(h->data, "{\"n\":2}");
    assert_int_equal(harness_start(h, "{\"n\": 2}"), FLOW_NODE_PENDING);
    harness_cancel(h);
    assert_int_equal(h->outcome, FLOW_NODE_FAILED);
    assert_int_equal(h->error.status, FLOW_CANCELLED);
    assert_string_equal(h->error.reason, "CANCELLED");
    harness_advance(h, 300 * FLOW_NS_PER_S);
    harness_free(h);
}

static void test_log(void **state)
{
    (void)state;
    Harness *h = harness_new("log", "{\"level\": \"warning\", \"message\": \"n is {{ data.n }}\"}");
    assert_int_equal(harness_start(h, "{\"n\": 1}"), FLOW_NODE_DONE);
    assert_int_equal(harness_start(h, "{\"n\": 2}"), FLOW_NODE_DONE);
    assert_string_equal(flow_buf_text(&h->log), "warning: n is 1\nwarning: n is 2\n");
    harness_free(h);
}

static void test_queue_writer(void **state)
{
    (void)state;
    static const char *const queues[] = {"one", "two"};
    Harness *h = harness_new_with("queue-writer", "{}", flow_value_null(), queues, 2);
    assert_int_equal(harness_start(h, "{\"n\": 1}"), FLOW_NODE_DONE);
    assert_string_equal(flow_buf_text(&h->pushes), "one: {\"n\":1}\ntwo: {\"n\":1}\n");
    assert_string_equal(h->data, "{\"n\":1}");
    harness_free(h);
    h = harness_new_with("queue-writer", "{\"payload\": \"{\\\"m\\\": {{ data.n + 1 }}}\"}",
                         flow_value_null(), queues, 1);
    assert_int_equal(harness_start(h, "{\"n\": 1}"), FLOW_NODE_DONE);
    assert_string_equal(flow_buf_text(&h->pushes), "one: {\"m\":2}\n");
    assert_string_equal(h->data, "{\"n\":1}");
    harness_free(h);
}

static void test_for_each(void **state)
{
    (void)state;
    Harness *h = harness_new("for-each", "{\"array_expression\": \"{{ data.xs }}\"}");
    assert_int_equal(harness_start(h, "{\"xs\": [1, [2]]}"), FLOW_NODE_DONE);
    char *elements = flow_json_text(h->elements, 0);
    assert_string_equal(elements, "[1,[2]]");
    free(elements);
    harness_free(h);
}

int main(void)
{
    enum { ROWS = FLOW_COUNT(rows), FORMS = FLOW_COUNT(form_rows) };
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(test_switch_branches), cmocka_unit_test(test_delay),    cmocka_unit_test(test_log),
        cmocka_unit_test(test_queue_writer),    cmocka_unit_test(test_for_each),
    };
    static struct CMUnitTest tests[ROWS + FORMS + FLOW_COUNT(others)];
    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, (void *)&rows[i]};
    for (size_t i = 0; i < FORMS; i++)
        tests[ROWS + i] =
            (struct CMUnitTest){form_rows[i].name, check_form, NULL, NULL, (void *)&form_rows[i]};
    memcpy(tests + ROWS + FORMS, others, sizeof(others));
    return cmocka_run_group_tests_name("others", tests, NULL, NULL);
}
