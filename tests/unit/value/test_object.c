#include "value_test.h"

#include <stdio.h>

static void set_get_remove(void **state)
{
    (void)state;
    FlowValue object = flow_value_object();
    assert_int_equal(flow_object_count(object), 0);
    assert_null(flow_object_get(object, "a"));
    assert_int_equal(flow_object_set_take(&object, "b", flow_value_int(1), NULL), FLOW_OK);
    assert_int_equal(flow_object_set_take(&object, "a", flow_value_int(2), NULL), FLOW_OK);
    assert_int_equal(flow_object_set_take(&object, "b", flow_value_string("again, at its old place"), NULL),
                     FLOW_OK);
    assert_int_equal(flow_object_setn_take(&object, "", 0, flow_value_null(), NULL), FLOW_OK);
    assert_int_equal(flow_object_setn_take(&object, "a\0b", 3, flow_value_bool(true), NULL), FLOW_OK);
    assert_int_equal(flow_object_count(object), 4);
    assert_int_equal(flow_value_get_int(*flow_object_get(object, "a")), 2);
    assert_true(flow_value_is_null(*flow_object_get(object, "")));
    assert_non_null(flow_object_getn(object, "a\0b", 3));
    assert_null(flow_object_getn(object, "a\0", 2));
    assert_int_equal(flow_object_remove(&object, "a", NULL), FLOW_OK);
    assert_int_equal(flow_object_remove(&object, "never there", NULL), FLOW_OK);
    assert_json_take(object, "{\"b\":\"again, at its old place\",\"\":null,\"a\\u0000b\":true}");
}

static void removing_the_last_leaves_an_empty_object(void **state)
{
    (void)state;
    FlowValue object = json("{\"a\":{\"b\":[]}}"), empty = flow_value_object();
    assert_int_equal(flow_object_remove(&object, "a", NULL), FLOW_OK);
    assert_int_equal(flow_value_depth(object), 1);
    assert_int_equal(flow_value_size(object), flow_value_size(empty));
    assert_true(flow_value_equal(object, empty));
    FlowHash128 a = flow_value_hash(object), b = flow_value_hash(empty);
    assert_true(a.low == b.low && a.high == b.high);
    assert_json_take(object, "{}");
}

static void shared_objects_are_copied(void **state)
{
    (void)state;
    FlowValue before =
        json("{\"a\":1,\"inner\":{\"x\":\"some text that has a box\"},\"long key, long enough\":3}");
    FlowValue after = flow_value_ref(before);
    const void *box = before.box;
    assert_int_equal(flow_object_set_take(&after, "a", flow_value_int(2), NULL), FLOW_OK);
    assert_int_equal(flow_object_set_take(&after, "new", flow_value_int(3), NULL), FLOW_OK);
    assert_int_equal(flow_object_remove(&after, "long key, long enough", NULL), FLOW_OK);
    assert_ptr_equal(before.box, box);
    /* What did not change is shared, not copied. */
    assert_ptr_equal(flow_object_get(before, "inner")->box, flow_object_get(after, "inner")->box);
    assert_json_take(after, "{\"a\":2,\"inner\":{\"x\":\"some text that has a box\"},\"new\":3}");
    assert_json_take(before,
                     "{\"a\":1,\"inner\":{\"x\":\"some text that has a box\"},\"long key, long enough\":3}");
}

static void unshared_objects_change_in_place(void **state)
{
    (void)state;
    FlowValue object = json("{\"a\":1}");
    assert_int_equal(flow_object_reserve(&object, 10, NULL), FLOW_OK);
    const void *box = object.box;
    for (int i = 0; i < 9; i++) {
        char key[] = {(char)('b' + i), '\0'};
        assert_int_equal(flow_object_set_take(&object, key, flow_value_int(i), NULL), FLOW_OK);
    }
    assert_ptr_equal(object.box, box);
    flow_value_unref(object);
}

static void an_object_may_hold_its_old_self(void **state)
{
    (void)state;
    FlowValue object = json("{\"a\":1}");
    assert_int_equal(flow_object_set_take(&object, "self", flow_value_ref(object), NULL), FLOW_OK);
    assert_json_take(object, "{\"a\":1,\"self\":{\"a\":1}}");
}

static void keys_are_made_unique(void **state)
{
    (void)state;
    FlowValue object = flow_value_object(), key = flow_value_string("counter"), used;
    for (int i = 0; i < 3; i++)
        assert_int_equal(flow_object_add_unique_take(&object, key, flow_value_int(i), NULL, NULL), FLOW_OK);
    assert_int_equal(flow_object_remove(&object, "counter_2", NULL), FLOW_OK);
    assert_int_equal(flow_object_add_unique_take(&object, key, flow_value_int(3), &used, NULL), FLOW_OK);
    assert_string_equal(flow_value_text(&used), "counter_2");
    flow_value_unref(used);
    FlowValue long_key = flow_value_string("static-delay-node");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(flow_object_add_unique_take(&object, long_key, flow_value_null(), &used, NULL),
                         FLOW_OK);
        assert_string_equal(flow_value_text(&used), i == 0 ? "static-delay-node" : "static-delay-node_2");
        flow_value_unref(used);
    }
    flow_value_unref(long_key);
    assert_json_take(object, "{\"counter\":0,\"counter_3\":2,\"counter_2\":3,\"static-delay-node\":null,"
                             "\"static-delay-node_2\":null}");
}

static void other_kinds_are_refused(void **state)
{
    (void)state;
    FlowValue array = json("[1]"), object = json("{}"), key = flow_value_int(1), made;
    FlowError error;
    assert_int_equal(
        flow_object_set_take(&array, "a", flow_value_string("a text that must be freed"), &error),
        FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.message, "the kind must be object, this is array");
    assert_int_equal(
        flow_object_set_key_take(&object, key, flow_value_string("a text that must be freed"), &error),
        FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.message, "the kind must be string, this is int");
    assert_int_equal(
        flow_object_add_unique_take(&array, key, flow_value_string("a text that must be freed"), NULL, NULL),
        FLOW_INVALID_ARGUMENT);
    assert_int_equal(flow_object_remove(&array, "a", NULL), FLOW_INVALID_ARGUMENT);
    assert_int_equal(flow_object_reserve(&array, 3, NULL), FLOW_INVALID_ARGUMENT);
    FlowMember members[] = {{flow_value_string("k"), flow_value_string("a text that must be freed")},
                            {flow_value_int(3), flow_value_string("a text that must be freed")}};
    assert_int_equal(flow_object_from_take(members, 2, &made, NULL), FLOW_INVALID_ARGUMENT);
    assert_null(flow_object_get(array, "a"));
    assert_null(flow_object_get_key(object, key));
    assert_int_equal(flow_object_count(array), 0);
    assert_int_equal(flow_array_count(object), 0);
    assert_json_take(array, "[1]");
    flow_value_unref(object);
}

static void from_members(void **state)
{
    (void)state;
    FlowMember members[] = {{flow_value_string("b"), flow_value_int(1)},
                            {flow_value_string("a"), json("[[]]")}};
    FlowValue object;
    assert_int_equal(flow_object_from_take(members, 2, &object, NULL), FLOW_OK);
    assert_int_equal(flow_value_depth(object), 3);
    assert_json_take(object, "{\"b\":1,\"a\":[[]]}");
    FlowMember twice[] = {{flow_value_string("the same long key here"), flow_value_int(1)},
                          {flow_value_string("the same long key here"), json("[[]]")}};
    FlowError error;
    assert_int_equal(flow_object_from_take(twice, 2, &object, &error), FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "DUPLICATE_KEY");
}

/*
 * Random sets and removes on some objects that now and then become copies of each other, compared with plain
 * arrays. Sizes go to and fro across the border where the index begins.
 */
enum { OBJECTS = 4, KEYS = 60 };

typedef struct Model {
    int count, keys[KEYS], values[KEYS];
} Model;

static void key_text(int key, char to[40])
{
    snprintf(to, 40, key % 3 == 0 ? "key %d that has more than fourteen bytes" : "k%d", key);
}

static int model_find(const Model *model, int key)
{
    for (int i = 0; i < model->count; i++) {
        if (model->keys[i] == key)
            return i;
    }
    return -1;
}

static void assert_like_model(FlowValue object, const Model *model)
{
    size_t count;
    const FlowMember *members = flow_object_members(object, &count);
    assert_int_equal(count, model->count);
    size_t size = 48;
    unsigned depth = 1;
    for (int i = 0; i < model->count; i++) {
        char key[40];
        key_text(model->keys[i], key);
        assert_string_equal(flow_value_text(&members[i].key), key);
        const FlowValue *found = flow_object_get(object, key);
        assert_ptr_equal(found, &members[i].value);
        const FlowValue *number =
            flow_value_kind(*found) == FLOW_VALUE_ARRAY ? flow_array_at(*found, 0) : found;
        assert_int_equal(flow_value_get_int(*number), model->values[i]);
        size += flow_value_size(members[i].key) + flow_value_size(*found);
        depth = flow_value_depth(*found) + 1 > depth ? flow_value_depth(*found) + 1 : depth;
    }
    assert_int_equal(flow_value_size(object), size);
    assert_int_equal(flow_value_depth(object), depth);
    for (int key = 0; key < KEYS; key++) {
        char text[40];
        key_text(key, text);
        assert_int_equal(flow_object_get(object, text) != NULL, model_find(model, key) >= 0);
    }
}

static void random_changes(void **state)
{
    (void)state;
    FlowValue objects[OBJECTS];
    static Model models[OBJECTS];
    uint64_t seed = 88172645463325252;
    for (int i = 0; i < OBJECTS; i++)
        objects[i] = flow_value_object();
    for (int step = 0; step < 40000; step++) {
        int at = (int)(next_random(&seed) % OBJECTS), key = (int)(next_random(&seed) % KEYS);
        Model *model = &models[at];
        int position = model_find(model, key);
        char text[40];
        key_text(key, text);
        /* Phases of growth and of shrinking. */
        bool removes = next_random(&seed) % 10 < (step / 2000 % 2 == 0 ? 3 : 7);
        if (next_random(&seed) % 50 == 0) {
            int from = (int)(next_random(&seed) % OBJECTS);
            FlowValue copy = flow_value_ref(objects[from]);
            flow_value_assign_take(&objects[at], copy);
            models[at] = models[from];
        } else if (removes) {
            assert_int_equal(flow_object_remove(&objects[at], text, NULL), FLOW_OK);
            if (position >= 0) {
                model->count--;
                for (int i = position; i < model->count; i++) {
                    model->keys[i] = model->keys[i + 1];
                    model->values[i] = model->values[i + 1];
                }
            }
        } else {
            FlowValue value = flow_value_int(step);
            if (next_random(&seed) % 4 == 0)
                assert_int_equal(flow_array_from_take(&value, 1, &value, NULL), FLOW_OK);
            assert_int_equal(flow_object_set_take(&objects[at], text, value, NULL), FLOW_OK);
            if (position < 0) {
                position = model->count++;
                model->keys[position] = key;
            }
            model->values[position] = step;
        }
        if (step % 7 == 0)
            assert_like_model(objects[at], &models[at]);
    }
    for (int i = 0; i < OBJECTS; i++) {
        assert_like_model(objects[i], &models[i]);
        flow_value_unref(objects[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_get_remove),
        cmocka_unit_test(removing_the_last_leaves_an_empty_object),
        cmocka_unit_test(shared_objects_are_copied),
        cmocka_unit_test(unshared_objects_change_in_place),
        cmocka_unit_test(an_object_may_hold_its_old_self),
        cmocka_unit_test(keys_are_made_unique),
        cmocka_unit_test(other_kinds_are_refused),
        cmocka_unit_test(from_members),
        cmocka_unit_test(random_changes),
    };
    return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
