#include "value_test.h"

static void push_set_remove(void **state)
{
    (void)state;
    FlowValue array = flow_value_array();
    assert_int_equal(flow_array_count(array), 0);
    assert_null(flow_array_at(array, 0));
    for (int i = 0; i < 5; i++)
        assert_int_equal(flow_array_push_take(&array, flow_value_int(i), NULL), FLOW_OK);
    assert_int_equal(flow_array_set_take(&array, 2, json("[[7]]"), NULL), FLOW_OK);
    assert_int_equal(flow_value_depth(array), 3);
    assert_int_equal(flow_array_remove(&array, 0, NULL), FLOW_OK);
    assert_int_equal(flow_value_depth(array), 3);
    assert_null(flow_array_at(array, 4));
    assert_int_equal(flow_value_get_int(*flow_array_at(array, 3)), 4);
    assert_int_equal(flow_array_set_take(&array, 1, flow_value_string("a text instead of the arrays"), NULL),
                     FLOW_OK);
    assert_int_equal(flow_value_depth(array), 1);
    assert_int_equal(flow_value_size(array), 48 + 3 * 16 + 32 + 28);
    assert_json_take(array, "[1,\"a text instead of the arrays\",3,4]");
}

static void indexes_are_checked(void **state)
{
    (void)state;
    FlowValue array = json("[1]"), object = json("{}");
    FlowError error;
    assert_int_equal(flow_array_set_take(&array, 1, flow_value_string("a text that must be freed"), &error),
                     FLOW_OUT_OF_RANGE);
    assert_string_equal(error.message, "there is no item 1 in an array of 1");
    assert_int_equal(flow_array_remove(&array, 1, &error), FLOW_OUT_OF_RANGE);
    assert_int_equal(flow_array_push_take(&object, flow_value_string("a text that must be freed"), &error),
                     FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.message, "the kind must be array, this is object");
    assert_int_equal(flow_array_set_take(&object, 0, flow_value_null(), NULL), FLOW_INVALID_ARGUMENT);
    assert_int_equal(flow_array_remove(&object, 0, NULL), FLOW_INVALID_ARGUMENT);
    assert_int_equal(flow_array_reserve(&object, 3, NULL), FLOW_INVALID_ARGUMENT);
    assert_int_equal(flow_array_reserve(&array, SIZE_MAX / 8, &error), FLOW_RESOURCE_EXHAUSTED);
    assert_null(flow_array_at(object, 0));
    assert_json_take(array, "[1]");
    flow_value_unref(object);
}

static void shared_arrays_are_copied(void **state)
{
    (void)state;
    FlowValue before = json("[1,\"a text that has a box of its own\",[3]]"), after = flow_value_ref(before);
    assert_int_equal(flow_array_set_take(&after, 0, flow_value_int(9), NULL), FLOW_OK);
    assert_ptr_equal(flow_array_at(before, 1)->box, flow_array_at(after, 1)->box);
    assert_json_take(flow_value_ref(before), "[1,\"a text that has a box of its own\",[3]]");
    assert_int_equal(flow_array_push_take(&after, flow_value_ref(after), NULL), FLOW_OK);
    flow_value_assign_take(&before, flow_value_ref(after));
    assert_int_equal(flow_array_remove(&after, 1, NULL), FLOW_OK);
    assert_json_take(after, "[9,[3],[9,\"a text that has a box of its own\",[3]]]");
    assert_json_take(
        before, "[9,\"a text that has a box of its own\",[3],[9,\"a text that has a box of its own\",[3]]]");
}

static void unshared_arrays_change_in_place(void **state)
{
    (void)state;
    FlowValue array = flow_value_array();
    assert_int_equal(flow_array_reserve(&array, 100, NULL), FLOW_OK);
    const void *box = array.box;
    for (int i = 0; i < 100; i++)
        assert_int_equal(flow_array_push_take(&array, flow_value_int(i), NULL), FLOW_OK);
    assert_ptr_equal(array.box, box);
    size_t count;
    const FlowValue *items = flow_array_items(array, &count);
    assert_int_equal(count, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(flow_value_get_int(items[i]), i);
    for (int i = 0; i < 100; i++)
        assert_int_equal(flow_array_remove(&array, 0, NULL), FLOW_OK);
    assert_json_take(array, "[]");
}

static void from_items(void **state)
{
    (void)state;
    FlowValue items[] = {flow_value_int(1), json("{\"a\":[]}"),
                         flow_value_string("some text that is longer")},
              array;
    assert_int_equal(flow_array_from_take(items, 3, &array, NULL), FLOW_OK);
    assert_int_equal(flow_value_depth(array), 3);
    assert_json_take(array, "[1,{\"a\":[]},\"some text that is longer\"]");
    assert_int_equal(flow_array_from_take(NULL, 0, &array, NULL), FLOW_OK);
    assert_json_take(array, "[]");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_set_remove),
        cmocka_unit_test(indexes_are_checked),
        cmocka_unit_test(shared_arrays_are_copied),
        cmocka_unit_test(unshared_arrays_change_in_place),
        cmocka_unit_test(from_items),
    };
    return cmocka_run_group_tests_name("array", tests, NULL, NULL);
}
