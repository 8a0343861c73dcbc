#include "value_test.h"

#include <stdio.h>

#include "base/mem.h"

/* ---- texts that are JSON ---- */

typedef struct Good {
    const char *text;
    const char *written; /* NULL: as it was read */
    FlowValueKind kind;
} Good;

static const Good goods[] = {
    {"null", NULL, FLOW_VALUE_NULL},
    {"true", NULL, FLOW_VALUE_BOOL},
    {"false", NULL, FLOW_VALUE_BOOL},
    {" \t\r\n 1 \t\r\n ", "1", FLOW_VALUE_INT},
    {"0", NULL, FLOW_VALUE_INT},
    {"-0", "0", FLOW_VALUE_INT},
    {"-1", NULL, FLOW_VALUE_INT},
    {"123456789012345678", NULL, FLOW_VALUE_INT},
    {"9223372036854775807", NULL, FLOW_VALUE_INT},
    {"-9223372036854775808", NULL, FLOW_VALUE_INT},
    {"1.0", NULL, FLOW_VALUE_FLOAT},
    {"-0.0", NULL, FLOW_VALUE_FLOAT},
    {"-0e1", "-0.0", FLOW_VALUE_FLOAT},
    {"0.1", NULL, FLOW_VALUE_FLOAT},
    {"1e0", "1.0", FLOW_VALUE_FLOAT},
    {"1E+2", "100.0", FLOW_VALUE_FLOAT},
    {"1e-400", "0.0", FLOW_VALUE_FLOAT},
    {"0e999999999999999999999999", "0.0", FLOW_VALUE_FLOAT},
    {"1.7976931348623157e308", "1.7976931348623157e+308", FLOW_VALUE_FLOAT},
    {"4.9406564584124654e-324", "5e-324", FLOW_VALUE_FLOAT},
    {"100000000000000000000.0", "1e+20", FLOW_VALUE_FLOAT},
    {"\"\"", NULL, FLOW_VALUE_STRING},
    {"\"a\"", NULL, FLOW_VALUE_STRING},
    {"\"exactly fourteen\"", NULL, FLOW_VALUE_STRING},
    {"\"12345678901234\"", NULL, FLOW_VALUE_STRING},
    {"\"123456789012345\"", NULL, FLOW_VALUE_STRING},
    {"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"", NULL, FLOW_VALUE_STRING},
    {"\"\\u00e4\\u20AC\\ud83d\\ude00\"", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"", FLOW_VALUE_STRING},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"", FLOW_VALUE_STRING},
    {"\"a\\u0000b\"", NULL, FLOW_VALUE_STRING},
    {"\"\\u0001\\u001f\\u007f\"", "\"\\u0001\\u001f\x7f\"", FLOW_VALUE_STRING},
    {"\"a long text with \\\"quotes\\\" and \\\\ backslashes, \\n and so on to the end\"", NULL,
     FLOW_VALUE_STRING},
    {"[]", NULL, FLOW_VALUE_ARRAY},
    {" [ ] ", "[]", FLOW_VALUE_ARRAY},
    {"[1,[2,[3,[]]],{}]", NULL, FLOW_VALUE_ARRAY},
    {"{}", NULL, FLOW_VALUE_OBJECT},
    {"{ }", "{}", FLOW_VALUE_OBJECT},
    {"{\"\":0}", NULL, FLOW_VALUE_OBJECT},
    {"{ \"b\" : 1 , \"a\" : [ true , null ] }", "{\"b\":1,\"a\":[true,null]}", FLOW_VALUE_OBJECT},
    {"{\"a key that is longer than fourteen bytes\":{\"another one of those long keys\":\"and a long "
     "value\"}}",
     NULL, FLOW_VALUE_OBJECT},
};

static void reads(void **state)
{
    const Good *row = *state;
    size_t length = strlen(row->text);
    /* In memory of its own length, so that ASan sees a read behind the end. */
    char *exact = flow_malloc(length);
    memcpy(exact, row->text, length);
    FlowValue value;
    FlowError error = {.message = ""};
    assert_int_equal(flow_json_read(exact, length, NULL, &value, &error), FLOW_OK);
    free(exact);
    assert_int_equal(flow_value_kind(value), row->kind);
    assert_json_take(value, row->written != NULL ? row->written : row->text);
}

/* ---- texts that are not ---- */

typedef struct Bad {
    const char *text;
    const char *reason, *where;
    const char *message; /* a part of it */
} Bad;

#define SYNTAX "INVALID_JSON"

static const Bad bads[] = {
    {"", SYNTAX, "1:1", "the text is empty"},
    {"  \n ", SYNTAX, "2:2", "the text is empty"},
    {"1 2", SYNTAX, "1:3", "text stands behind the value (found 2)"},
    {"[] x", SYNTAX, "1:4", "send one value only"},
    {"tru", SYNTAX, "1:1", "only true, false and null are written without quotes"},
    {"True", SYNTAX, "1:1", "in small letters"},
    {"nan", SYNTAX, "1:1", "only true, false and null"},
    {"Infinity", SYNTAX, "1:1", "only true, false and null"},
    {"trues", SYNTAX, "1:5", "text stands behind the value"},
    {"\xef\xbb\xbf{}", SYNTAX, "1:1", "byte order mark"},
    {"// x\n1", SYNTAX, "1:1", "no comments"},
    {"@", SYNTAX, "1:1", "expected a value, found @"},
    {"\x80", SYNTAX, "1:1", "found byte 0x80"},
    {"\x01", SYNTAX, "1:1", "found U+0001"},
    {"-", SYNTAX, "1:2", "a digit behind its minus sign"},
    {"-a", SYNTAX, "1:2", "a digit behind its minus sign"},
    {"+1", SYNTAX, "1:1", "a number begins with a digit"},
    {".5", SYNTAX, "1:1", "a number begins with a digit"},
    {"-.5", SYNTAX, "1:2", "a digit behind its minus"},
    {"5.", SYNTAX, "1:3", "a digit behind its point"},
    {"[5.]", SYNTAX, "1:4", "[0]: a number needs a digit behind its point"},
    {"5.e1", SYNTAX, "1:3", "a digit behind its point"},
    {"5e", SYNTAX, "1:3", "a digit in its exponent"},
    {"5e+", SYNTAX, "1:4", "a digit in its exponent"},
    {"01", SYNTAX, "1:1", "remove the leading zeros"},
    {"-01", SYNTAX, "1:2", "remove the leading zeros"},
    {"[00000000000000000000001]", SYNTAX, "1:2", "remove the leading zeros"},
    {"0x10", SYNTAX, "1:2", "text stands behind"},
    {"1_000", SYNTAX, "1:2", "text stands behind"},
    {"9223372036854775808", "NUMBER_TOO_LARGE", "1:1", "send it as a string"},
    {"-9223372036854775809", "NUMBER_TOO_LARGE", "1:1", "send it as a string"},
    {"{\"id\":123456789012345678901234567890}", "NUMBER_TOO_LARGE", "1:7",
     "id: the integer has more than 64 bits"},
    {"1e309", "NUMBER_TOO_LARGE", "1:1", "too large for a double"},
    {"[-1e99999999999999999999]", "NUMBER_TOO_LARGE", "1:2", "[0]: the number is too large"},
    {"\"abc", SYNTAX, "1:5", "the text ends inside a string"},
    {"\"a long text that never comes to its end", SYNTAX, "1:41", "the text ends inside a string"},
    {"\"abc\\", SYNTAX, "1:6", "the text ends inside a string"},
    {"\"abc\\\"", SYNTAX, "1:7", "the text ends inside a string"},
    {"\"\\x\"", SYNTAX, "1:2", "no such escape"},
    {"\"\\u12\"", SYNTAX, "1:2", "four hexadecimal digits"},
    {"\"\\u12g4\"", SYNTAX, "1:2", "four hexadecimal digits"},
    {"\"\\ud800\"", SYNTAX, "1:2", "\\ud800 is half of a surrogate pair"},
    {"\"\\udc00\"", SYNTAX, "1:2", "\\udc00 is half of a surrogate pair"},
    {"\"\\ud800\\ud800\"", SYNTAX, "1:2", "half of a surrogate pair"},
    {"\"\\ud800\\n\"", SYNTAX, "1:2", "half of a surrogate pair"},
    {"\"a\nb\"", SYNTAX, "1:3", "the control character 0x0a stands in a string; write \\u000a"},
    {"\"a long text with a \t in it\"", SYNTAX, "1:21", "write \\u0009"},
    {"\"\xff\"", SYNTAX, "1:2", "byte 0xff is no UTF-8"},
    {"\"\xc3\"", SYNTAX, "1:2", "byte 0xc3 is no UTF-8"},
    {"\"\xc0\x80\"", SYNTAX, "1:2", "byte 0xc0 is no UTF-8"},
    {"\"\xed\xa0\x80\"", SYNTAX, "1:2", "byte 0xed is no UTF-8"},
    {"\"\xf4\x90\x80\x80\"", SYNTAX, "1:2", "byte 0xf4 is no UTF-8"},
    {"\"some longer \xc3\xa4 text \\n before the \xff\"", SYNTAX, "1:35", "byte 0xff is no UTF-8"},
    {"\xe2\x80\x9cquoted\xe2\x80\x9d", SYNTAX, "1:1", "straight double quotes"},
    {"'a'", SYNTAX, "1:1", "straight double quotes"},
    {"[", SYNTAX, "1:2", "ends where a value should stand"},
    {"[1", SYNTAX, "1:3", "expected a comma or ], the text ends; is it cut off?"},
    {"[1,", SYNTAX, "1:4", "ends where a value should stand"},
    {"[1,]", SYNTAX, "1:4", "a comma stands before the closing bracket; remove it"},
    {"[,1]", SYNTAX, "1:2", "expected a value, found ,"},
    {"[1 2]", SYNTAX, "1:4", "[1]: expected a comma or ], found 2"},
    {"[1}", SYNTAX, "1:3", "expected a comma or ], found }"},
    {"{", SYNTAX, "1:2", "expected a key in straight double quotes or }, the text ends"},
    {"{\"a\"", SYNTAX, "1:5", "a: expected a colon behind the key"},
    {"{\"a\" 1}", SYNTAX, "1:6", "expected a colon behind the key, found 1"},
    {"{\"a\":", SYNTAX, "1:6", "ends where a value should stand"},
    {"{\"a\":1", SYNTAX, "1:7", "expected a comma or }"},
    {"{\"a\":1,}", SYNTAX, "1:8", "a comma stands before the closing bracket"},
    {"{\"a\":1,b:2}", SYNTAX, "1:8", "expected a key in straight double quotes, found b"},
    {"{a:1}", SYNTAX, "1:2", "expected a key in straight double quotes or }, found a"},
    {"{\"a\":1]", SYNTAX, "1:7", "expected a comma or }, found ]"},
    {"{1:2}", SYNTAX, "1:2", "expected a key"},
    {"{\"a\":}", SYNTAX, "1:6", "expected a value, found }"},
    {"]", SYNTAX, "1:1", "expected a value, found ]"},
    {"{\"orders\":[{},{},\n {\"na.me\":[1,2,x]}]}", SYNTAX, "2:16", "orders[2][\"na.me\"][2]: no JSON value"},
    {"[\"\xc3\xa4\xc3\xb6\",\n\"\xc3\xa4\",x]", SYNTAX, "2:5", "(line 2, column 5)"},
    {"{\"a\":1,\"b\":2,\"a\":3}", "DUPLICATE_KEY", "1:14", "the key \"a\" comes twice in one object"},
    {"[{\"a\":{\"x\":[{},\"}\\\"\"]},\n\"a\":3}]", "DUPLICATE_KEY", "2:1", "[0]: the key \"a\" comes twice"},
    {"{\"one very long key of many bytes\":1,\"one very long key of many bytes\":2}", "DUPLICATE_KEY", "1:38",
     "comes twice"},
    {"{\"\\u0061\":1,\"a\":2}", "DUPLICATE_KEY", "1:13", "comes twice"},
    {"{\"0\":0,\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,\"A\":0,\"B\":0,\"C\":"
     "0,\"D\":0,"
     "\"E\":0,\"F\":0,\"7\":0}",
     "DUPLICATE_KEY", "1:98", "the key \"7\" comes twice"},
    {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "JSON_TOO_DEEP", "1:33",
     "nested deeper than 32 levels"},
};

static void refuses(void **state)
{
    const Bad *row = *state;
    size_t length = strlen(row->text);
    char *exact = flow_malloc(length);
    memcpy(exact, row->text, length);
    FlowValue value = flow_value_int(77);
    FlowError error = {.message = ""};
    assert_int_equal(flow_json_read(exact, length, NULL, &value, &error), FLOW_INVALID_ARGUMENT);
    free(exact);
    assert_int_equal(flow_value_get_int(value), 77);
    assert_string_equal(error.reason, row->reason);
    assert_string_equal(error.where, row->where);
    if (strstr(error.message, row->message) == NULL)
        fail_msg("\"%s\" does not contain \"%s\"", error.message, row->message);
}

/* ---- limits and options ---- */

static FlowStatus read_with(const char *text, FlowJsonLimits limits, FlowValue *ret, FlowError *reterr)
{
    return flow_json_read(text, strlen(text), &limits, ret, reterr);
}

static void limits_hold(void **state)
{
    (void)state;
    FlowValue value;
    FlowError error;
    assert_int_equal(read_with("[1,2]", (FlowJsonLimits){.bytes = 4}, &value, &error), FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "JSON_TOO_LARGE");
    assert_int_equal(read_with("[1,2]", (FlowJsonLimits){.values = 2}, &value, &error),
                     FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "JSON_TOO_LARGE");
    assert_int_equal(read_with("{\"a\":{}}", (FlowJsonLimits){.values = 2}, &value, &error),
                     FLOW_INVALID_ARGUMENT);
    assert_int_equal(read_with("{\"a\":{}}", (FlowJsonLimits){.values = 3}, &value, NULL), FLOW_OK);
    flow_value_unref(value);
    assert_int_equal(read_with("[[]]", (FlowJsonLimits){.depth = 1}, &value, &error), FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "JSON_TOO_DEEP");
    assert_int_equal(
        read_with("[[1,2]]", (FlowJsonLimits){.bytes = 7, .values = 4, .depth = 2}, &value, NULL), FLOW_OK);
    assert_json_take(value, "[[1,2]]");
}

static void depth_is_bounded_by_the_value(void **state)
{
    (void)state;
    char text[2 * 200 + 1];
    for (size_t depth = 127; depth <= 129; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        FlowValue value;
        FlowStatus status = flow_json_read(text, 2 * depth, &(FlowJsonLimits){.depth = 1000}, &value, NULL);
        assert_int_equal(status, depth <= FLOW_VALUE_MAX_DEPTH ? FLOW_OK : FLOW_INVALID_ARGUMENT);
        if (status == FLOW_OK) {
            assert_int_equal(flow_value_depth(value), depth);
            flow_value_unref(value);
        }
    }
    /* A hostile text of brackets costs neither stack nor memory. */
    char *hostile = flow_malloc(1 << 20);
    memset(hostile, '[', 1 << 20);
    FlowValue value;
    assert_int_equal(flow_json_read(hostile, 1 << 20, NULL, &value, NULL), FLOW_INVALID_ARGUMENT);
    free(hostile);
}

static void duplicates_may_be_allowed(void **state)
{
    (void)state;
    FlowValue value;
    FlowJsonLimits limits = {.flags = FLOW_JSON_READ_DUPLICATES};
    assert_int_equal(read_with("{\"a\":1,\"b\":[2],\"a\":{\"x\":[3]}}", limits, &value, NULL), FLOW_OK);
    assert_json_take(value, "{\"a\":{\"x\":[3]},\"b\":[2]}");
}

static void big_integers_may_become_floats(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written;
    } rows[] = {
        {"9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "9.223372036854776e+18"},
        {"-9223372036854775809", "-9.223372036854776e+18"},
        {"123456789012345678901234567890", "1.2345678901234568e+29"},
    };
    FlowJsonLimits limits = {.flags = FLOW_JSON_READ_BIG_AS_FLOAT};
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowValue value;
        assert_int_equal(read_with(rows[i].text, limits, &value, NULL), FLOW_OK);
        assert_json_take(value, rows[i].written);
    }
    char huge[401];
    FlowValue value;
    FlowError error;
    memset(huge, '9', 400);
    huge[400] = '\0';
    assert_int_equal(read_with(huge, limits, &value, &error), FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "NUMBER_TOO_LARGE");
}

static void nul_may_be_refused(void **state)
{
    (void)state;
    FlowValue value;
    FlowError error;
    assert_int_equal(
        read_with("[\"a\\u0000\"]", (FlowJsonLimits){.flags = FLOW_JSON_READ_NO_NUL}, &value, &error),
        FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.where, "1:4");
}

static void many_values_are_quick(void **state)
{
    (void)state;
    /* A quadratic reader would take minutes for these. */
    enum { COUNT = 100000 };
    FlowBuf buf;
    flow_buf_init(&buf, 0);
    for (int i = 0; i < COUNT; i++)
        flow_buf_printf(&buf, "%s\"key %d\":%d", i == 0 ? "{" : ",", i, i);
    flow_buf_byte(&buf, '}');
    FlowValue value;
    assert_int_equal(flow_json_read(buf.data, buf.len, NULL, &value, NULL), FLOW_OK);
    assert_int_equal(flow_object_count(value), COUNT);
    for (int i = 0; i < COUNT; i++) {
        char key[32];
        snprintf(key, sizeof key, "key %d", i);
        assert_int_equal(flow_value_get_int(*flow_object_get(value, key)), i);
    }
    FlowBuf again;
    flow_buf_init(&again, 0);
    assert_int_equal(flow_json_write(value, &again, 0, NULL), FLOW_OK);
    assert_int_equal(again.len, buf.len);
    assert_memory_equal(again.data, buf.data, buf.len);
    flow_value_unref(value);
    flow_buf_done(&again);
    flow_buf_done(&buf);
}

/* Every beginning of a good text is bad (but for numbers), and none reads behind its end. */
static void cut_texts_are_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1,-2.5e+3,\"x\\u00e4\\ud83d\\ude00 and a longer text \\n with more\",true,false,null],"
        "\"a longer key than fourteen\":{\"\xc3\xa4\":\"\xf0\x9f\x98\x80\"}}";
    FlowValue value;
    for (size_t length = 0; length < sizeof text - 1; length++) {
        char *exact = flow_malloc(length);
        memcpy(exact, text, length);
        assert_int_equal(flow_json_read(exact, length, NULL, &value, NULL), FLOW_INVALID_ARGUMENT);
        free(exact);
    }
    assert_int_equal(flow_json_read(text, sizeof text - 1, NULL, &value, NULL), FLOW_OK);
    flow_value_unref(value);
}

/* Where a string ends must not depend on how it lies in its 16-byte pieces. */
static void strings_of_all_lengths(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "\xc3\xa4", "\\n", "\\u00e4"};
    static const char *const meanings[] = {"a", "\xc3\xa4", "\n", "\xc3\xa4"};
    for (size_t piece = 0; piece < FLOW_COUNT(pieces); piece++) {
        for (size_t before = 0; before < 40; before++) {
            for (size_t after = 0; after < 40; after += 3) {
                char text[200] = "\"", meaning[200] = "";
                memset(text + 1, 'x', before);
                strcpy(text + 1 + before, pieces[piece]);
                memset(text + strlen(text), 'y', after);
                strcat(text, "\"");
                memset(meaning, 'x', before);
                strcpy(meaning + before, meanings[piece]);
                memset(meaning + strlen(meaning), 'y', after);
                size_t length = strlen(text);
                char *exact = flow_malloc(length);
                memcpy(exact, text, length);
                FlowValue value;
                assert_int_equal(flow_json_read(exact, length, NULL, &value, NULL), FLOW_OK);
                free(exact);
                assert_int_equal(flow_value_length(&value), strlen(meaning));
                assert_string_equal(flow_value_text(&value), meaning);
                /* What is equal is equal in its bytes, also where a short string came by the quick way. */
                FlowValue made = flow_value_string(meaning);
                assert_true(flow_value_equal(value, made));
                flow_value_unref(made);
                flow_value_unref(value);
            }
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(depth_is_bounded_by_the_value),
        cmocka_unit_test(duplicates_may_be_allowed),
        cmocka_unit_test(big_integers_may_become_floats),
        cmocka_unit_test(nul_may_be_refused),
        cmocka_unit_test(many_values_are_quick),
        cmocka_unit_test(cut_texts_are_refused),
        cmocka_unit_test(strings_of_all_lengths),
    };
    int failed = 0;
    RUN_ROWS(goods, text, reads, "reads");
    RUN_ROWS(bads, text, refuses, "refuses");
    return failed + cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
