#include "value_test.h"

#include <math.h>
#include <stdio.h>

typedef struct Row {
    const char *text;
    unsigned flags;
    const char *written;
} Row;

static const Row rows[] = {
    {"[]", FLOW_JSON_WRITE_PRETTY, "[]"},
    {"{}", FLOW_JSON_WRITE_PRETTY, "{}"},
    {"[1,[],{\"a\":{\"b\":null}}]", FLOW_JSON_WRITE_PRETTY,
     "[\n  1,\n  [],\n  {\n    \"a\": {\n      \"b\": null\n    }\n  }\n]"},
    {"[1,[2,3],{\"a\":1,\"b\":[]}]", FLOW_JSON_WRITE_SPACED, "[1, [2, 3], {\"a\": 1, \"b\": []}]"},
    {"{\"b\":1,\"a\":{\"d\":1,\"c\":2},\"\":0,\"ab\":3}", FLOW_JSON_WRITE_SORTED,
     "{\"\":0,\"a\":{\"c\":2,\"d\":1},\"ab\":3,\"b\":1}"},
    {"{\"b\":1,\"a\":2}", FLOW_JSON_WRITE_SORTED | FLOW_JSON_WRITE_PRETTY, "{\n  \"a\": 2,\n  \"b\": 1\n}"},
    {"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80x\x7f\"", FLOW_JSON_WRITE_ASCII,
     "\"\\u00e4\\u20ac\\ud83d\\ude00x\\u007f\""},
    {"{\"\xc3\xa4\":\"a long ASCII beginning and then \xc3\xa4 and more\"}", FLOW_JSON_WRITE_ASCII,
     "{\"\\u00e4\":\"a long ASCII beginning and then \\u00e4 and more\"}"},
    {"[9007199254740992,-9007199254740992,9007199254740993,-9007199254740993]", FLOW_JSON_WRITE_SAFE_INTS,
     "[9007199254740992,-9007199254740992,\"9007199254740993\",\"-9007199254740993\"]"},
    {"[9223372036854775807,1.0,1]", 0, "[9223372036854775807,1.0,1]"},
};

static void writes(void **state)
{
    const Row *row = *state;
    FlowValue value = json(row->text);
    char *text = flow_json_text(value, row->flags);
    assert_string_equal(text, row->written);
    free(text);
    flow_value_unref(value);
}

static void inexact_integers_are_named(void **state)
{
    (void)state;
    FlowValue value = json("{\"id\":9007199254740993,\"rows\":[{\"n\":1},{\"n\":-9223372036854775808}],"
                           "\"a.b\":[[9223372036854775807]]}");
    FlowValue paths = flow_value_array();
    FlowBuf buf;
    flow_buf_init(&buf, 0);
    assert_int_equal(flow_json_write_safe(value, &buf, 0, &paths, NULL), FLOW_OK);
    assert_string_equal(flow_buf_text(&buf),
                        "{\"id\":\"9007199254740993\",\"rows\":[{\"n\":1},{\"n\":\"-9223372036854775808\"}],"
                        "\"a.b\":[[\"9223372036854775807\"]]}");
    assert_json_take(paths, "[\"id\",\"rows[1].n\",\"[\\\"a.b\\\"][0][0]\"]");
    flow_buf_done(&buf);
    flow_value_unref(value);

    FlowValue many = flow_value_array();
    for (int i = 0; i < FLOW_JSON_MAX_INEXACT_PATHS + 5; i++)
        assert_int_equal(flow_array_push_take(&many, flow_value_int(INT64_MAX), NULL), FLOW_OK);
    paths = flow_value_array();
    assert_int_equal(flow_json_write_safe(many, &buf, 0, &paths, NULL), FLOW_OK);
    assert_int_equal(flow_array_count(paths), FLOW_JSON_MAX_INEXACT_PATHS);
    flow_value_unref(paths);
    flow_value_unref(many);
    flow_buf_done(&buf);
}

static void what_is_not_finite_is_refused(void **state)
{
    (void)state;
    static const double numbers[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < FLOW_COUNT(numbers); i++) {
        FlowValue value = json("{\"a\":[0]}"), inner = json("[0]");
        assert_int_equal(flow_array_set_take(&inner, 0, flow_value_float(numbers[i]), NULL), FLOW_OK);
        assert_int_equal(flow_object_set_take(&value, "a", inner, NULL), FLOW_OK);
        FlowBuf buf;
        FlowError error;
        flow_buf_init(&buf, 0);
        assert_int_equal(flow_json_write(value, &buf, 0, &error), FLOW_INVALID_ARGUMENT);
        assert_string_equal(error.reason, "NOT_FINITE");
        assert_string_equal(error.where, "a[0]");
        flow_buf_clear(&buf);
        assert_int_equal(flow_json_write(value, &buf, FLOW_JSON_WRITE_NONFINITE_NULL, NULL), FLOW_OK);
        assert_string_equal(flow_buf_text(&buf), "{\"a\":[null]}");
        flow_buf_done(&buf);
        flow_value_unref(value);
    }
}

/*
 * With every limit from 0 on: either all of the text is there, or the write failed and no byte is beyond the
 * limit.
 */
static void limits_are_exact(void **state)
{
    (void)state;
    static const unsigned styles[] = {0, FLOW_JSON_WRITE_PRETTY,
                                      FLOW_JSON_WRITE_SPACED | FLOW_JSON_WRITE_ASCII};
    FlowValue value =
        json("{\"key\":[1,-2.5,\"text with \\n and \xc3\xa4 and more, so that it is long enough, and twice\","
             "true,false,null,[[[[[[[[[{\"deep\":{}}]]]]]]]]]],\"another key, a long one\":\"\"}");
    for (size_t style = 0; style < FLOW_COUNT(styles); style++) {
        char *whole = flow_json_text(value, styles[style]);
        size_t length = strlen(whole);
        for (size_t limit = 1; limit <= length + 2; limit++) {
            FlowBuf buf;
            FlowError error;
            flow_buf_init(&buf, limit + 3);
            flow_buf_append(&buf, "abc", 3);
            FlowStatus status = flow_json_write(value, &buf, styles[style], &error);
            assert_int_equal(status, limit >= length ? FLOW_OK : FLOW_RESOURCE_EXHAUSTED);
            assert_int_equal(buf.failed, limit < length);
            assert_true(buf.len <= buf.limit && buf.len <= buf.capacity && buf.capacity <= buf.limit);
            assert_memory_equal(buf.data, "abc", 3);
            assert_memory_equal(buf.data + 3, whole, buf.len - 3);
            if (status == FLOW_OK) {
                assert_int_equal(buf.len, length + 3);
                /* The buffer goes on as if nobody had written into it by himself. */
                for (size_t i = length; i < limit; i++)
                    flow_buf_byte(&buf, '!');
                assert_false(buf.failed);
                flow_buf_byte(&buf, '!');
                assert_true(buf.failed);
            } else {
                assert_string_equal(error.reason, "JSON_TOO_LARGE");
                assert_int_equal(buf.len, 3);
            }
            flow_buf_done(&buf);
        }
        free(whole);
    }
    flow_value_unref(value);
}

static void a_failed_buffer_stays_failed(void **state)
{
    (void)state;
    FlowBuf buf;
    flow_buf_init(&buf, 2);
    flow_buf_append(&buf, "abc", 3);
    assert_int_equal(flow_json_write(flow_value_int(1), &buf, 0, NULL), FLOW_RESOURCE_EXHAUSTED);
    flow_json_write_string(&buf, "x", 1, 0);
    assert_true(buf.failed);
    assert_int_equal(buf.len, 0);
    flow_buf_done(&buf);
}

/* Every position of a character that must be escaped, in texts that lie at the end of their memory. */
static void strings_are_escaped_anywhere(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *compact, *ascii;
    } pieces[] = {
        {"\"", "\\\"", "\\\""},
        {"\x01", "\\u0001", "\\u0001"},
        {"\xe2\x82\xac", "\xe2\x82\xac", "\\u20ac"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\\ud83d\\ude00"},
    };
    for (size_t piece = 0; piece < FLOW_COUNT(pieces); piece++) {
        for (size_t before = 0; before < 36; before++) {
            for (size_t after = 0; after < 36; after++) {
                char raw[100] = "", compact[120] = "\"", ascii[120] = "\"";
                char x[40] = "", y[40] = "";
                memset(x, 'x', before);
                memset(y, 'y', after);
                strcat(strcat(strcat(raw, x), pieces[piece].raw), y);
                strcat(strcat(strcat(strcat(compact, x), pieces[piece].compact), y), "\"");
                strcat(strcat(strcat(strcat(ascii, x), pieces[piece].ascii), y), "\"");
                char *exact = flow_malloc(strlen(raw));
                memcpy(exact, raw, strlen(raw));
                FlowBuf buf;
                flow_buf_init(&buf, 0);
                flow_json_write_string(&buf, exact, strlen(raw), 0);
                assert_string_equal(flow_buf_text(&buf), compact);
                flow_buf_clear(&buf);
                flow_json_write_string(&buf, exact, strlen(raw), FLOW_JSON_WRITE_ASCII);
                assert_string_equal(flow_buf_text(&buf), ascii);
                flow_buf_clear(&buf);
                free(exact);
                /* The last item of an array is the last thing in its memory. */
                FlowValue item = flow_value_string(raw), array;
                assert_int_equal(flow_array_from_take(&item, 1, &array, NULL), FLOW_OK);
                assert_int_equal(flow_json_write(array, &buf, 0, NULL), FLOW_OK);
                assert_int_equal(buf.len, strlen(compact) + 2);
                assert_memory_equal(buf.data + 1, compact, strlen(compact));
                flow_buf_done(&buf);
                flow_value_unref(array);
            }
        }
    }
}

static void invalid_utf8_is_replaced_in_ascii(void **state)
{
    (void)state;
    FlowBuf buf;
    flow_buf_init(&buf, 0);
    flow_json_write_string(&buf, "a\xff\xe2\x82", 4, FLOW_JSON_WRITE_ASCII);
    assert_string_equal(flow_buf_text(&buf), "\"a\\ufffd\\ufffd\\ufffd\"");
    flow_buf_done(&buf);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(inexact_integers_are_named),
        cmocka_unit_test(what_is_not_finite_is_refused),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(a_failed_buffer_stays_failed),
        cmocka_unit_test(strings_are_escaped_anywhere),
        cmocka_unit_test(invalid_utf8_is_replaced_in_ascii),
    };
    int failed = 0;
    RUN_ROWS(rows, text, writes, "writes");
    return failed + cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
