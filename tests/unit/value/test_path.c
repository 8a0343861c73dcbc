#include "value_test.h"

#include "value/path.h"

static FlowPath *path_of(const char *text)
{
    FlowPath *path = NULL;
    FlowError error = {.message = ""};
    if (flow_path_parse(text, strlen(text), &path, &error) != FLOW_OK)
        fail_msg("%s: %s", text, error.message);
    assert_string_equal(flow_path_text(path), text);
    return path;
}

/* ---- get ---- */

static const char document[] =
    "{\"a\":{\"b\":[10,{\"c\":\"x\"},[1,2]]},\"0\":\"zero\",\"a.b\":1,\"\":2,\"q\\\"\":3,\"sp ace\":4,"
    "\"\xc3\xa4\":5,\"n\":null}";

typedef struct Get {
    const char *path, *found; /* NULL: nothing */
} Get;

static const Get gets[] = {
    {"a.b[0]", "10"},
    {"a.b[1].c", "\"x\""},
    {"a.b.1.c", "\"x\""},
    {"a.b[2][1]", "2"},
    {"a.b[-1][-2]", "1"},
    {"a[\"b\"][0]", "10"},
    {"0", "\"zero\""},
    {"[\"0\"]", "\"zero\""},
    {"[\"a.b\"]", "1"},
    {"[\"\"]", "2"},
    {"[\"q\\\"\"]", "3"},
    {"sp ace", "4"},
    {"\xc3\xa4", "5"},
    {"[\"\\u00e4\"]", "5"},
    {"n", "null"},
    {"a.b[3]", NULL},
    {"a.b[-4]", NULL},
    {"a.b[9223372036854775807]", NULL},
    {"a.b[-9223372036854775808]", NULL},
    {"a.b.x", NULL},
    {"a.x.y", NULL},
    {"[0]", NULL},
    {"a[0]", NULL},
    {"n.x", NULL},
    {"a.b[1].c.d", NULL},
    {"a.b[1].c[0]", NULL},
};

static void gets_by_path(void **state)
{
    const Get *row = *state;
    FlowValue root = json(document);
    FlowPath *path = path_of(row->path);
    const FlowValue *found = flow_path_get(root, path);
    assert_ptr_equal(found, flow_path_get_text(root, row->path));
    assert_int_equal(found != NULL, row->found != NULL);
    if (found != NULL)
        assert_json_take(flow_value_ref(*found), row->found);
    flow_path_free(path);
    flow_value_unref(root);
}

static void what_is_no_path(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",      ".a",  "a.",   "a..b",  "a[",      "a[]",       "a[x]",  "a[1",
        "a[1]b", "a]b", "a\"b", "[\"a]", "[\"a\"x", "[\"\\x\"]", "[1.5]", "a[99999999999999999999]",
        "[\"a\\"};
    for (size_t i = 0; i < FLOW_COUNT(bad); i++) {
        FlowPath *path = NULL;
        FlowError error;
        if (flow_path_parse(bad[i], strlen(bad[i]), &path, &error) != FLOW_INVALID_ARGUMENT)
            fail_msg("%s", bad[i]);
        assert_string_equal(error.reason, "INVALID_PATH");
        assert_null(path);
        assert_null(flow_path_get_text(flow_value_null(), bad[i]));
    }
    char text[FLOW_PATH_MAX_BYTES + 2];
    FlowPath *path;
    memset(text, 'a', sizeof text);
    assert_int_equal(flow_path_parse(text, sizeof text, &path, NULL), FLOW_INVALID_ARGUMENT);
    for (size_t i = 1; i < sizeof text; i += 2)
        text[i] = '.';
    assert_int_equal(flow_path_parse(text, 2 * FLOW_PATH_MAX_STEPS + 1, &path, NULL), FLOW_INVALID_ARGUMENT);
    assert_int_equal(flow_path_parse(text, 2 * FLOW_PATH_MAX_STEPS - 1, &path, NULL), FLOW_OK);
    flow_path_freep(&path);
}

/* ---- set and remove ---- */

typedef struct Set {
    const char *root, *path, *value; /* NULL: remove */
    const char *after;               /* NULL: fails */
    FlowStatus status;
    const char *message; /* a part of it */
} Set;

static const Set sets[] = {
    {"{}", "a", "1", "{\"a\":1}", FLOW_OK, ""},
    {"{\"a\":1,\"b\":2}", "a", "[]", "{\"a\":[],\"b\":2}", FLOW_OK, ""},
    {"{}", "a.b.c", "1", "{\"a\":{\"b\":{\"c\":1}}}", FLOW_OK, ""},
    {"{}", "a[0].b[0]", "1", "{\"a\":[{\"b\":[1]}]}", FLOW_OK, ""},
    {"{\"a\":{\"x\":1}}", "a.y", "2", "{\"a\":{\"x\":1,\"y\":2}}", FLOW_OK, ""},
    {"{\"a\":[1,2]}", "a[1]", "3", "{\"a\":[1,3]}", FLOW_OK, ""},
    {"{\"a\":[1,2]}", "a[2]", "3", "{\"a\":[1,2,3]}", FLOW_OK, ""},
    {"{\"a\":[1,2]}", "a.2.b", "3", "{\"a\":[1,2,{\"b\":3}]}", FLOW_OK, ""},
    {"{\"a\":[1,2]}", "a[-1]", "3", "{\"a\":[1,3]}", FLOW_OK, ""},
    {"{\"a\":[1,{\"b\":2}]}", "a[1].b", "3", "{\"a\":[1,{\"b\":3}]}", FLOW_OK, ""},
    {"{\"a\":null}", "a.b", "1", "{\"a\":{\"b\":1}}", FLOW_OK, ""},
    {"{\"a\":[null]}", "a[0][0]", "1", "{\"a\":[[1]]}", FLOW_OK, ""},
    {"null", "a.b", "1", "{\"a\":{\"b\":1}}", FLOW_OK, ""},
    {"null", "[0].b", "1", "[{\"b\":1}]", FLOW_OK, ""},
    {"[1]", "[1]", "2", "[1,2]", FLOW_OK, ""},
    {"{}", "0", "1", "{\"0\":1}", FLOW_OK, ""},
    {"{}", "a.0", "1", "{\"a\":{\"0\":1}}", FLOW_OK, ""},
    {"{}", "[\"a.b\"][\"\"]", "1", "{\"a.b\":{\"\":1}}", FLOW_OK, ""},
    {"{\"a\":[1,2]}", "a[3]", "3", NULL, FLOW_OUT_OF_RANGE,
     "\"a[3]\" is not in its array of 2 items; the next free index is 2"},
    {"{\"a\":[1,2]}", "a[-3]", "3", NULL, FLOW_OUT_OF_RANGE, "is not in its array"},
    {"{}", "a[1]", "3", NULL, FLOW_OUT_OF_RANGE, "\"a[1]\" is not in its array of 0 items"},
    {"{}", "a.b[0].c[7].d", "3", NULL, FLOW_OUT_OF_RANGE, "\"a.b[0].c[7]\" is not in its array of 0 items"},
    {"{}", "a[1000000000]", "3", NULL, FLOW_OUT_OF_RANGE, "next free index is 0"},
    {"{\"a\":1}", "a.b", "2", NULL, FLOW_FAILED_PRECONDITION,
     "\"a\" is of kind int, not an object, so \"a.b\" can't be set"},
    {"{\"a\":\"x\"}", "a[0]", "2", NULL, FLOW_FAILED_PRECONDITION, "\"a\" is of kind string, not an array"},
    {"{\"a\":{}}", "a[0]", "2", NULL, FLOW_FAILED_PRECONDITION, "\"a\" is of kind object, not an array"},
    {"{\"a\":[]}", "a.b", "2", NULL, FLOW_FAILED_PRECONDITION, "\"a\" is of kind array, not an object"},
    {"1", "a", "2", NULL, FLOW_FAILED_PRECONDITION, "the value is of kind int"},
    {"{\"a\":1,\"b\":2}", "a", NULL, "{\"b\":2}", FLOW_OK, ""},
    {"{\"a\":{\"b\":[1,2,3]}}", "a.b[1]", NULL, "{\"a\":{\"b\":[1,3]}}", FLOW_OK, ""},
    {"{\"a\":{\"b\":[1,2,3]}}", "a.b.-1", NULL, "{\"a\":{\"b\":[1,2,3]}}", FLOW_OK, ""},
    {"{\"a\":{\"b\":[1,2,3]}}", "a.b[-1]", NULL, "{\"a\":{\"b\":[1,2]}}", FLOW_OK, ""},
    {"{\"a\":{\"b\":[1,2,3]}}", "a.b", NULL, "{\"a\":{}}", FLOW_OK, ""},
    {"{\"a\":1}", "a.b.c", NULL, "{\"a\":1}", FLOW_OK, ""},
    {"{\"a\":[]}", "a[0]", NULL, "{\"a\":[]}", FLOW_OK, ""},
    {"null", "a", NULL, "null", FLOW_OK, ""},
};

static void sets_by_path(void **state)
{
    const Set *row = *state;
    FlowPath *path = path_of(row->path);
    /* Once with everything its own, once with everything shared: whoever else holds it sees no change. */
    for (int shared = 0; shared < 2; shared++) {
        FlowValue root = json(row->root), held = shared ? flow_value_ref(root) : flow_value_null();
        FlowError error = {.message = ""};
        bool removed = false, found = flow_path_get(root, path) != NULL;
        FlowStatus status = row->value != NULL ? flow_path_set_take(&root, path, json(row->value), &error)
                                               : flow_path_remove(&root, path, &removed, &error);
        assert_int_equal(status, row->status);
        assert_int_equal(removed, row->value == NULL && found);
        if (strstr(error.message, row->message) == NULL)
            fail_msg("\"%s\" does not contain \"%s\"", error.message, row->message);
        if (status == FLOW_OK) {
            /* Size and depth on the way up are what reading it anew gives. */
            FlowValue expected = json(row->after);
            assert_int_equal(flow_value_size(root), flow_value_size(expected));
            assert_int_equal(flow_value_depth(root), flow_value_depth(expected));
            flow_value_unref(expected);
        }
        assert_json_take(root, row->after != NULL ? row->after : row->root);
        if (shared)
            assert_json_take(held, row->root);
    }
    flow_path_free(path);
}

static void a_path_can_not_make_a_value_too_deep(void **state)
{
    (void)state;
    char text[2 * FLOW_PATH_MAX_STEPS];
    for (int i = 0; i < FLOW_PATH_MAX_STEPS; i++)
        memcpy(text + 2 * i, "a.", 2);
    FlowPath *path;
    assert_int_equal(flow_path_parse(text, sizeof text - 1, &path, NULL), FLOW_OK);
    FlowValue root = flow_value_object(), deep;
    assert_int_equal(flow_path_set_take(&root, path, flow_value_null(), NULL), FLOW_OK);
    assert_int_equal(flow_path_set_take(&root, path, flow_value_ref(root), NULL), FLOW_OK);
    assert_int_equal(flow_value_depth(root), 2 * FLOW_PATH_MAX_STEPS);
    deep = flow_value_ref(root);
    FlowError error;
    assert_int_equal(flow_path_set_take(&root, path, flow_value_ref(root), &error), FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(error.reason, "VALUE_TOO_DEEP");
    assert_true(flow_value_equal(root, deep));
    flow_value_unref(deep);
    flow_path_free(path);
    flow_value_unref(root);
}

/* What a path text shows, parsing gives back. */
static void steps_are_shown_as_they_are_read(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "",   "a.b",      "[", "]",    "\"",       "\\",
                                       " ", "\n", "\xc3\xa4", "0", "it's", "two words"};
    for (size_t i = 0; i < FLOW_COUNT(keys); i++) {
        FlowBuf buf;
        flow_buf_init(&buf, 0);
        flow_path_append_key(&buf, keys[i], strlen(keys[i]));
        flow_path_append_index(&buf, 0);
        flow_path_append_key(&buf, keys[i], strlen(keys[i]));
        FlowValue root = flow_value_object(), one = flow_value_object(), array = flow_value_array();
        assert_int_equal(flow_object_set_take(&one, keys[i], flow_value_int(7), NULL), FLOW_OK);
        assert_int_equal(flow_array_push_take(&array, one, NULL), FLOW_OK);
        assert_int_equal(flow_object_set_take(&root, keys[i], array, NULL), FLOW_OK);
        const FlowValue *found = flow_path_get_text(root, flow_buf_text(&buf));
        if (found == NULL)
            fail_msg("%s", flow_buf_text(&buf));
        assert_int_equal(flow_value_get_int(*found), 7);
        flow_buf_done(&buf);
        flow_value_unref(root);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_path),
        cmocka_unit_test(a_path_can_not_make_a_value_too_deep),
        cmocka_unit_test(steps_are_shown_as_they_are_read),
    };
    int failed = 0;
    RUN_ROWS(gets, path, gets_by_path, "gets");
    RUN_ROWS(sets, path, sets_by_path, "sets");
    return failed + cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
