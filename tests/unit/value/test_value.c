#include "value_test.h"

#include <math.h>
#include <stdio.h>

static void scalars(void **state)
{
    (void)state;
    assert_int_equal(sizeof(FlowValue), 16);
    FlowValue zeroed = {.word = {0, 0}};
    assert_true(flow_value_is_null(zeroed));
    assert_true(flow_value_get_bool(flow_value_bool(true)));
    assert_false(flow_value_get_bool(flow_value_bool(false)));
    assert_true(flow_value_get_int(flow_value_int(INT64_MIN)) == INT64_MIN);
    assert_true(flow_value_get_float(flow_value_float(-0.5)) == -0.5);
    assert_true(flow_value_is_number(flow_value_int(1)) && flow_value_is_number(flow_value_float(1)));
    assert_false(flow_value_is_number(flow_value_bool(true)) || flow_value_is_number(flow_value_null()));
    static const char *const names[] = {"null", "bool", "int", "float", "string", "array", "object"};
    for (int kind = 0; kind < FLOW_VALUE_KIND_COUNT; kind++)
        assert_string_equal(flow_value_kind_name((FlowValueKind)kind), names[kind]);
}

static void strings_of_every_length(void **state)
{
    (void)state;
    char text[64];
    for (size_t length = 0; length < sizeof text; length++) {
        memset(text, 'a' + (int)(length % 26), length);
        FlowValue value = flow_value_stringn(text, length), again = flow_value_stringn(text, length);
        assert_int_equal(flow_value_kind(value), FLOW_VALUE_STRING);
        assert_int_equal(flow_value_length(&value), length);
        assert_memory_equal(flow_value_text(&value), text, length);
        assert_int_equal(flow_value_text(&value)[length], 0);
        assert_true(flow_value_equal(value, again));
        if (length > 0) {
            text[length - 1] = '!';
            FlowValue other = flow_value_stringn(text, length);
            assert_false(flow_value_equal(value, other));
            flow_value_unref(other);
        }
        flow_value_unref(value);
        flow_value_unref(again);
    }
    FlowValue nul = flow_value_stringn("a\0b", 3), shorter = flow_value_stringn("a", 1);
    assert_int_equal(flow_value_length(&nul), 3);
    assert_false(flow_value_equal(nul, shorter));
    assert_true(flow_value_text_equals(&shorter, "a"));
    assert_false(flow_value_text_equals(&nul, "a"));
    FlowValue number = flow_value_int(97);
    assert_false(flow_value_text_equals(&number, "a"));
}

static void blank_strings_are_filled_in(void **state)
{
    (void)state;
    for (size_t length = 0; length < 40; length++) {
        FlowValue value;
        char *text, expected[40];
        memset(expected, 'z', length);
        assert_int_equal(flow_value_try_blank_string(length, &value, &text, NULL), FLOW_OK);
        memset(text, 'z', length);
        FlowValue made = flow_value_stringn(expected, length);
        assert_true(flow_value_equal(value, made));
        flow_value_unref(made);
        flow_value_unref(value);
    }
    FlowValue value;
    char *text;
    FlowError error;
    assert_int_equal(flow_value_try_blank_string(SIZE_MAX / 2, &value, &text, &error),
                     FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(error.reason, "VALUE_TOO_LARGE");
}

static void cells(void **state)
{
    (void)state;
    FlowValue cell = flow_value_string("a string that is longer than fourteen");
    FlowValue held = flow_value_ref(cell);
    flow_value_assign_take(&cell, flow_value_string("another string, just as long as that"));
    assert_string_equal(flow_value_text(&held), "a string that is longer than fourteen");
    flow_value_unref(held);
    FlowValue stolen = flow_value_steal(&cell);
    assert_true(flow_value_is_null(cell));
    flow_value_clear(&stolen);
    flow_value_clear(&stolen);
}

/* ---- numbers ---- */

static void numbers_convert_only_exactly(void **state)
{
    (void)state;
    static const struct {
        double number;
        bool is_int;
    } doubles[] = {
        {0.0, true},
        {-0.0, true},
        {1.5, false},
        {-3.0, true},
        {9007199254740992.0, true},
        {0x1p63, false},
        {-0x1p63, true},
        {0x1.8p62, true},
        {-0x1.8p63, false},
        {NAN, false},
        {INFINITY, false},
        {-INFINITY, false},
        {1e300, false},
        {5e-324, false},
    };
    for (size_t i = 0; i < FLOW_COUNT(doubles); i++) {
        int64_t integer = 77;
        assert_int_equal(flow_value_to_int(flow_value_float(doubles[i].number), &integer), doubles[i].is_int);
        assert_true(doubles[i].is_int ? (double)integer == doubles[i].number : integer == 77);
    }
    static const struct {
        int64_t integer;
        bool is_double;
    } ints[] = {
        {0, true},
        {INT64_C(1) << 53, true},
        {(INT64_C(1) << 53) + 1, false},
        {-(INT64_C(1) << 53) - 1, false},
        {(INT64_C(1) << 53) + 2, true},
        {INT64_MAX, false},
        {INT64_MAX - 511, false},
        {INT64_MAX - 1023, true},
        {INT64_MIN, true},
    };
    for (size_t i = 0; i < FLOW_COUNT(ints); i++) {
        double number = 77;
        assert_int_equal(flow_value_to_double(flow_value_int(ints[i].integer), &number), ints[i].is_double);
        assert_true(ints[i].is_double ? (int64_t)number == ints[i].integer : number == 77);
    }
    int64_t integer;
    double number;
    assert_false(flow_value_to_int(flow_value_bool(true), &integer));
    assert_false(flow_value_to_double(flow_value_null(), &number));
    assert_true(flow_value_near_double(flow_value_int(INT64_MAX)) == 0x1p63);
    assert_true(flow_value_near_double(flow_value_null()) == 0);
    assert_true(flow_int_is_safe(INT64_C(1) << 53) && flow_int_is_safe(-(INT64_C(1) << 53)));
    assert_false(flow_int_is_safe((INT64_C(1) << 53) + 1) || flow_int_is_safe(INT64_MIN));
}

static void numbers_of_a_struct(void **state)
{
    (void)state;
    static const struct {
        double number;
        FlowValueKind kind;
    } rows[] = {
        {0.0, FLOW_VALUE_INT},          {-0.0, FLOW_VALUE_FLOAT},   {3.0, FLOW_VALUE_INT},
        {3.5, FLOW_VALUE_FLOAT},        {0x1p53, FLOW_VALUE_INT},   {-0x1p53, FLOW_VALUE_INT},
        {0x1p53 + 2, FLOW_VALUE_FLOAT}, {0x1p63, FLOW_VALUE_FLOAT}, {NAN, FLOW_VALUE_FLOAT},
        {INFINITY, FLOW_VALUE_FLOAT},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        assert_int_equal(flow_value_kind(flow_value_number(rows[i].number)), rows[i].kind);
}

static void numbers_compare_exactly(void **state)
{
    (void)state;
    const FlowValue inf = flow_value_float(INFINITY), minus_inf = flow_value_float(-INFINITY);
    const struct {
        FlowValue a, b;
        int order;
    } rows[] = {
        {flow_value_int(1), flow_value_int(2), -1},
        {flow_value_int(1), flow_value_float(1.0), 0},
        {flow_value_int(1), flow_value_float(1.5), -1},
        {flow_value_int(-1), flow_value_float(-1.5), 1},
        {flow_value_int((INT64_C(1) << 53) + 1), flow_value_float(0x1p53), 1},
        {flow_value_int(INT64_MAX), flow_value_float(0x1p63), -1},
        {flow_value_int(INT64_MIN), flow_value_float(-0x1p63), 0},
        {flow_value_int(0), flow_value_float(-0.0), 0},
        {flow_value_int(INT64_MAX), inf, -1},
        {flow_value_int(INT64_MIN), minus_inf, 1},
        {flow_value_float(-1), flow_value_float(1), -1},
        {flow_value_float(0.0), flow_value_float(-0.0), 0},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        assert_int_equal(flow_value_compare_numbers(rows[i].a, rows[i].b), rows[i].order);
        assert_int_equal(flow_value_compare_numbers(rows[i].b, rows[i].a), -rows[i].order);
    }
    const FlowValue nan = flow_value_float(NAN), zero = flow_value_int(0), half = flow_value_float(0.5);
    assert_int_equal(flow_value_compare_numbers(nan, zero), 2);
    assert_int_equal(flow_value_compare_numbers(zero, nan), 2);
    assert_int_equal(flow_value_compare_numbers(half, nan), 2);
}

/* ---- equality and hash ---- */

typedef struct Pair {
    const char *a, *b;
    bool equal, equal_numbers;
} Pair;

static const Pair pairs[] = {
    {"null", "null", true, true},
    {"null", "false", false, false},
    {"0", "false", false, false},
    {"1", "true", false, false},
    {"1", "1.0", false, true},
    {"0.0", "-0.0", false, true},
    {"9007199254740993", "9007199254740992.0", false, false},
    {"\"\"", "null", false, false},
    {"\"1\"", "1", false, false},
    {"\"a\"", "\"b\"", false, false},
    {"\"the same long string in both\"", "\"the same long string in both\"", true, true},
    {"\"the same long string in both\"", "\"the same long string in botH\"", false, false},
    {"[]", "{}", false, false},
    {"[]", "[]", true, true},
    {"[1]", "[]", false, false},
    {"[1,2]", "[2,1]", false, false},
    {"[1,[2.0]]", "[1.0,[2]]", false, true},
    {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true, true},
    {"{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}", false, false},
    {"{\"a\":1}", "{\"a\":1,\"b\":null}", false, false},
    {"{\"a\":1,\"b\":null}", "{\"a\":1,\"c\":null}", false, false},
    {"{\"a\":{\"x\":[1,{\"long key of an inner object\":2}]}}",
     "{\"a\":{\"x\":[1,{\"long key of an inner object\":2}]}}", true, true},
    {"[\"a\"]", "[[\"a\"]]", false, false},
    {"[[],[[]]]", "[[[]],[]]", false, false},
    {"{\"a\":\"b\"}", "{\"b\":\"a\"}", false, false},
};

static void equality_and_hash(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(pairs); i++) {
        FlowValue a = json(pairs[i].a), b = json(pairs[i].b);
        FlowHash128 hash_a = flow_value_hash(a), hash_b = flow_value_hash(b);
        if (flow_value_equal(a, b) != pairs[i].equal || flow_value_equal(b, a) != pairs[i].equal ||
            flow_value_equal_numbers(a, b) != pairs[i].equal_numbers ||
            flow_value_equal_numbers(b, a) != pairs[i].equal_numbers ||
            (hash_a.low == hash_b.low && hash_a.high == hash_b.high) != pairs[i].equal)
            fail_msg("%s and %s", pairs[i].a, pairs[i].b);
        assert_true(flow_value_equal(a, a));
        flow_value_unref(a);
        flow_value_unref(b);
    }
    FlowValue nan = flow_value_float(NAN), array = flow_value_array();
    assert_true(flow_value_equal(nan, nan));
    assert_false(flow_value_equal_numbers(nan, nan));
    assert_int_equal(flow_array_push_take(&array, nan, NULL), FLOW_OK);
    assert_true(flow_value_equal(array, array));
    assert_false(flow_value_equal_numbers(array, array));
    flow_value_unref(array);
}

static void large_objects_are_equal_in_any_order(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    FlowValue a = flow_value_object(), b = flow_value_object();
    for (int i = 0; i < COUNT; i++) {
        char key[32];
        snprintf(key, sizeof key, "a rather long key %d", i);
        assert_int_equal(flow_object_set_take(&a, key, flow_value_int(i), NULL), FLOW_OK);
        snprintf(key, sizeof key, "a rather long key %d", COUNT - 1 - i);
        assert_int_equal(flow_object_set_take(&b, key, flow_value_int(COUNT - 1 - i), NULL), FLOW_OK);
    }
    assert_true(flow_value_equal(a, b));
    FlowHash128 hash_a = flow_value_hash(a), hash_b = flow_value_hash(b);
    assert_true(hash_a.low == hash_b.low && hash_a.high == hash_b.high);
    assert_int_equal(flow_value_size(a), flow_value_size(b));
    flow_value_unref(a);
    flow_value_unref(b);
}

/* Stored hashes must mean the same in every release: these numbers may never change. */
static void hashes_are_stable(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t low, high;
    } rows[] = {
        {"null", 0x9d851e4292b4b8ea, 0x8e6366b6b1efcb13},
        {"[true,1,-2.5,\"x\"]", 0xb6ff9ab8d2229375, 0x65131debaae1eb71},
        {"{\"a\":\"a string of more than fourteen bytes\",\"b\":{}}", 0xac46aec5a51437b9, 0xf9ccdc33eb719146},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowValue value = json(rows[i].text);
        FlowHash128 hash = flow_value_hash(value);
        if (hash.low != rows[i].low || hash.high != rows[i].high)
            fail_msg("{0x%016llx, 0x%016llx} for %s", (unsigned long long)hash.low,
                     (unsigned long long)hash.high, rows[i].text);
        flow_value_unref(value);
    }
}

/* ---- depth and size ---- */

static void depth_and_size(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned depth;
        size_t size;
    } rows[] = {
        {"null", 0, 16},
        {"\"12345678901234\"", 0, 16},
        {"\"123456789012345\"", 0, 16 + 16 + 15},
        {"[]", 1, 48},
        {"{}", 1, 48},
        {"[1,2]", 1, 48 + 2 * 16},
        {"[[[]]]", 3, 3 * 48},
        {"{\"a\":1}", 1, 48 + 2 * 16},
        {"{\"a\":{\"b\":[1]},\"c\":2}", 3, 48 * 3 + 5 * 16},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowValue value = json(rows[i].text);
        assert_int_equal(flow_value_depth(value), rows[i].depth);
        assert_int_equal(flow_value_size(value), rows[i].size);
        flow_value_unref(value);
    }
}

/* [a, a] of [b, b] of ...: small in memory, 2^n large for whoever walks it. */
static void shared_parts_count_each_time(void **state)
{
    (void)state;
    FlowValue value = flow_value_array();
    FlowStatus status = FLOW_OK;
    FlowError error;
    int levels = 0;
    for (; status == FLOW_OK && levels < 100; levels++) {
        FlowValue both[2] = {flow_value_ref(value), flow_value_ref(value)}, outer;
        status = flow_array_from_take(both, 2, &outer, &error);
        if (status == FLOW_OK)
            flow_value_assign_take(&value, outer);
    }
    assert_int_equal(status, FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(error.reason, "VALUE_TOO_LARGE");
    assert_true(levels < 30);
    assert_true(flow_value_size(value) <= FLOW_VALUE_MAX_SIZE);
    flow_value_unref(value);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    FlowValue value = flow_value_int(1);
    for (int i = 0; i < FLOW_VALUE_MAX_DEPTH; i++) {
        FlowValue outer = i % 2 == 0 ? flow_value_array() : flow_value_object();
        assert_int_equal(i % 2 == 0 ? flow_array_push_take(&outer, value, NULL)
                                    : flow_object_set_take(&outer, "k", value, NULL),
                         FLOW_OK);
        value = outer;
    }
    assert_int_equal(flow_value_depth(value), FLOW_VALUE_MAX_DEPTH);
    FlowError error;
    FlowValue array = json("[1]"), object = json("{\"k\":1}"), made;
    assert_int_equal(flow_array_push_take(&array, flow_value_ref(value), &error), FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(error.reason, "VALUE_TOO_DEEP");
    assert_int_equal(flow_array_set_take(&array, 0, flow_value_ref(value), NULL), FLOW_RESOURCE_EXHAUSTED);
    assert_int_equal(flow_object_set_take(&object, "k", flow_value_ref(value), NULL),
                     FLOW_RESOURCE_EXHAUSTED);
    assert_int_equal(flow_object_set_take(&object, "new", flow_value_ref(value), NULL),
                     FLOW_RESOURCE_EXHAUSTED);
    FlowValue item = flow_value_ref(value);
    assert_int_equal(flow_array_from_take(&item, 1, &made, NULL), FLOW_RESOURCE_EXHAUSTED);
    FlowMember member = {flow_value_string("k"), flow_value_ref(value)};
    assert_int_equal(flow_object_from_take(&member, 1, &made, NULL), FLOW_RESOURCE_EXHAUSTED);
    /* What failed has changed nothing. */
    assert_json_take(array, "[1]");
    assert_json_take(object, "{\"k\":1}");
    flow_value_unref(value);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars),
        cmocka_unit_test(strings_of_every_length),
        cmocka_unit_test(blank_strings_are_filled_in),
        cmocka_unit_test(cells),
        cmocka_unit_test(numbers_convert_only_exactly),
        cmocka_unit_test(numbers_of_a_struct),
        cmocka_unit_test(numbers_compare_exactly),
        cmocka_unit_test(equality_and_hash),
        cmocka_unit_test(large_objects_are_equal_in_any_order),
        cmocka_unit_test(hashes_are_stable),
        cmocka_unit_test(depth_and_size),
        cmocka_unit_test(shared_parts_count_each_time),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
