#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "engine/merge.h"
#include "flows.h"

typedef struct Row {
    const char *name, *fork, *paths /* an array */, *merged;
} Row;

static const Row rows[] = {
    {"what each path added", "{'a': 1}", "[{'a': 1, 'b': 2}, {'a': 1, 'c': 3}]", "{'a': 1, 'b': 2, 'c': 3}"},
    {"a key claimed a second time", "{}", "[{'v': 1}, {'v': 2}]", "{'v': 1, 'v_2': 2}"},
    {"a key claimed a third time", "{}", "[{'v': 1}, {'v': 2}, {'v': 3}]", "{'v': 1, 'v_2': 2, 'v_3': 3}"},
    {"the same value is claimed, too", "{}", "[{'v': 1}, {'v': 1}]", "{'v': 1, 'v_2': 1}"},
    {"changed by one path", "{'a': 1}", "[{'a': 1}, {'a': 5}]", "{'a': 5}"},
    {"changed by both", "{'a': 1}", "[{'a': 4}, {'a': 5}]", "{'a': 4, 'a_2': 5}"},
    {"removed by one path stays", "{'a': 1, 'b': 2}", "[{'b': 2}, {'a': 1, 'b': 2}]", "{'a': 1, 'b': 2}"},
    {"removed by all is gone", "{'a': 1, 'b': 2}", "[{'b': 2}, {'b': 2, 'c': 3}]", "{'b': 2, 'c': 3}"},
    {"removed by one, changed by another", "{'a': 1}", "[{}, {'a': 7}]", "{'a': 7}"},
    {"the free name is taken at the fork", "{'v': 0, 'v_2': 0}", "[{'v': 1, 'v_2': 0}, {'v': 2, 'v_2': 0}]",
     "{'v': 1, 'v_2': 0, 'v_3': 2}"},
    {"replaced wholly", "{'a': 1}", "[{'x': 1}, {'y': 2}]", "{'x': 1, 'y': 2}"},
    {"deep values are compared", "{'a': {'b': [1, 2]}}", "[{'a': {'b': [1, 2]}}, {'a': {'b': [1, 3]}}]",
     "{'a': {'b': [1, 3]}}"},
    {"one path", "{'a': 1}", "[{'b': 2}]", "{'b': 2}"},
    {"empty everything", "{}", "[{}, {}]", "{}"},
};

static void check_row(void **state)
{
    const Row *row = *state;
    FlowValue fork = json(row->fork), paths = json(row->paths), merged;
    size_t count;
    const FlowValue *items = flow_array_items(paths, &count);
    assert_int_equal(flow_merge(fork, items, count, &merged, NULL), FLOW_OK);
    expect_json(merged, row->merged);
    expect_json(fork, row->fork);
    expect_json(paths, row->paths);
    flow_value_unref(merged);
    flow_value_unref(fork);
    flow_value_unref(paths);
}

static void keys_keep_their_order(void **state)
{
    (void)state;
    FlowValue fork = json("{'a': 1, 'b': 2}"),
              paths = json("[{'a': 1, 'b': 3, 'z': 1}, {'a': 1, 'b': 2, 'c': 1}]"), merged;
    assert_int_equal(flow_merge(fork, flow_array_items(paths, &(size_t){0}), 2, &merged, NULL), FLOW_OK);
    static const char *const keys[] = {"a", "b", "z", "c"};
    size_t count;
    const FlowMember *members = flow_object_members(merged, &count);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(flow_value_text(&members[i].key), keys[i]);
    flow_value_unref(merged);
    flow_value_unref(fork);
    flow_value_unref(paths);
}

int main(void)
{
    struct CMUnitTest tests[FLOW_COUNT(rows) + 1];
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, (void *)&rows[i]};
    tests[FLOW_COUNT(rows)] = (struct CMUnitTest)cmocka_unit_test(keys_keep_their_order);
    return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
