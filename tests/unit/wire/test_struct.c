/* google.protobuf.Struct in wire format to values and back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "value/json.h"
#include "wire/cursor.h"
#include "wire/struct.h"

static FlowValue value_of(const char *json)
{
    FlowError error;
    FlowValue value;
    if (flow_json_read(json, strlen(json), NULL, &value, &error) != FLOW_OK)
        fail_msg("%s: %s", json, error.message);
    return value;
}

static void values_go_there_and_back(void **state)
{
    (void)state;
    static const struct {
        FlowStructKind kind;
        const char *in, *out; /* out NULL: the same */
    } rows[] = {
        {FLOW_STRUCT_OBJECT, "{}", NULL},
        {FLOW_STRUCT_OBJECT,
         "{\"a\":1,\"b\":[true,false,null,\"\",\"long enough to be boxed\",{}],\"\":{\"x\":[[]]}}", NULL},
        {FLOW_STRUCT_LIST, "[]", NULL},
        {FLOW_STRUCT_LIST, "[1,\"2\",[3]]", NULL},
        {FLOW_STRUCT_ANY, "null", NULL},
        {FLOW_STRUCT_ANY, "\"text\"", NULL},
        {FLOW_STRUCT_ANY, "-9007199254740992", NULL},
        {FLOW_STRUCT_ANY, "0.1", NULL},
        {FLOW_STRUCT_ANY, "1.0", "1"},
        {FLOW_STRUCT_ANY, "-0.0", NULL},
        {FLOW_STRUCT_ANY, "1e300", "1e+300"},
        {FLOW_STRUCT_ANY, "9007199254740993", "\"9007199254740993\""},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowError error;
        FlowBuf bytes;
        flow_buf_init(&bytes, 0);
        FlowValue in = value_of(rows[i].in), back;
        if (flow_struct_write(rows[i].kind, in, &bytes, NULL, NULL, &error) != FLOW_OK ||
            flow_struct_read(rows[i].kind, bytes.data != NULL ? bytes.data : "", bytes.len, NULL, &back,
                             &error) != FLOW_OK)
            fail_msg("%s: %s", rows[i].in, error.message);
        char *text = flow_json_text(back, 0);
        assert_string_equal(text, rows[i].out != NULL ? rows[i].out : rows[i].in);
        free(text);
        flow_value_unref(in);
        flow_value_unref(back);
        flow_buf_done(&bytes);
    }
}

static void inexact_integers_are_reported(void **state)
{
    (void)state;
    FlowError error;
    FlowBuf bytes;
    flow_buf_init(&bytes, 0);
    FlowValue in =
        value_of("{\"a\":{\"b\":[1,9223372036854775807]},\"c\":-9007199254740993,\"d\":9007199254740992}");
    FlowValue paths = flow_value_array();
    assert_int_equal(flow_struct_write(FLOW_STRUCT_OBJECT, in, &bytes, "payload.data", &paths, &error),
                     FLOW_OK);
    char *text = flow_json_text(paths, 0);
    assert_string_equal(text, "[\"payload.data.a.b[1]\",\"payload.data.c\"]");
    free(text);
    flow_value_unref(paths);
    flow_value_unref(in);
    flow_buf_done(&bytes);
}

static void what_others_wrote_is_read(void **state)
{
    (void)state;
    static const struct {
        FlowStructKind kind;
        const char *bytes;
        size_t len;
        const char *json;
    } rows[] = {
        /* A key twice: the last wins. */
        {FLOW_STRUCT_OBJECT,
         "\x0a\x07\x0a\x01"
         "a\x12\x02\x20\x01"
         "\x0a\x07\x0a\x01"
         "a\x12\x02\x20\x00",
         18, "{\"a\":false}"},
        /* Value before key; no key is the empty one. */
        {FLOW_STRUCT_OBJECT, "\x0a\x07\x12\x02\x20\x01\x0a\x01k", 9, "{\"k\":true}"},
        {FLOW_STRUCT_OBJECT, "\x0a\x04\x12\x02\x20\x01", 6, "{\"\":true}"},
        /* Two kinds in one Value: the last wins. */
        {FLOW_STRUCT_ANY, "\x20\x01\x1a\x01x", 5, "\"x\""},
        /* Unknown fields are passed over. */
        {FLOW_STRUCT_ANY, "\x38\x05\x1a\x01x\x42\x00", 7, "\"x\""},
        {FLOW_STRUCT_ANY, "", 0, "null"},
        {FLOW_STRUCT_LIST, "", 0, "[]"},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowError error;
        FlowValue value;
        if (flow_struct_read(rows[i].kind, rows[i].bytes, rows[i].len, NULL, &value, &error) != FLOW_OK)
            fail_msg("row %zu: %s", i, error.message);
        char *text = flow_json_text(value, 0);
        assert_string_equal(text, rows[i].json);
        free(text);
        flow_value_unref(value);
    }
}

static void what_is_no_struct_is_refused(void **state)
{
    (void)state;
    static const struct {
        FlowStructKind kind;
        const char *bytes;
        size_t len;
        const char *reason, *where;
    } rows[] = {
        {FLOW_STRUCT_OBJECT, "\x0a", 1, "INVALID_STRUCT", "f"},
        {FLOW_STRUCT_OBJECT, "\x08\x01", 2, "INVALID_STRUCT", "f"},
        {FLOW_STRUCT_OBJECT, "\x0a\x05\x0a\x01\xff\x12\x00", 7, "INVALID_STRUCT", "f"},
        {FLOW_STRUCT_OBJECT, "\x0a\x05\x0a\x01k\x12\x00", 7, "INVALID_STRUCT", "f.k"},
        {FLOW_STRUCT_OBJECT, "\x0a\x03\x0a\x01k", 5, "INVALID_STRUCT", "f.k"},
        {FLOW_STRUCT_ANY, "\x1a\x01\xff", 3, "INVALID_STRUCT", "f"},
        {FLOW_STRUCT_ANY, "\x18\x01", 2, "INVALID_STRUCT", "f"},
        {FLOW_STRUCT_ANY, "\x11\x00\x00\x00\x00\x00\x00\xf8\x7f", 9, "NUMBER_NOT_FINITE", "f"},
        {FLOW_STRUCT_ANY, "\x11\x00\x00\x00\x00\x00\x00\xf0\xff", 9, "NUMBER_NOT_FINITE", "f"},
        {FLOW_STRUCT_LIST, "\x0a\x02\x20\x01\x0a\x03\x1a\x01\xc0", 9, "INVALID_STRUCT", "f[1]"},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowError error;
        FlowValue value;
        assert_int_equal(flow_struct_read(rows[i].kind, rows[i].bytes, rows[i].len, "f", &value, &error),
                         FLOW_INVALID_ARGUMENT);
        if (strcmp(error.reason, rows[i].reason) != 0 || strcmp(error.where, rows[i].where) != 0)
            fail_msg("row %zu: %s at \"%s\"", i, error.reason, error.where);
    }
}

/* One list inside another, `depth` of them. */
static void nested_lists(FlowBuf *to, unsigned depth)
{
    for (unsigned i = 1; i < depth; i++) {
        FlowBuf list, outer;
        flow_buf_init(&list, 0);
        flow_buf_init(&outer, 0);
        flow_put_bytes(&list, 6, to->data, to->len); /* Value { list_value } */
        flow_put_bytes(&outer, 1, list.data, list.len);
        flow_buf_done(&list);
        flow_buf_done(to);
        *to = outer;
    }
}

static void depth_and_size_are_bounded(void **state)
{
    (void)state;
    FlowError error;
    FlowValue value;
    for (unsigned depth = FLOW_STRUCT_DEPTH; depth <= FLOW_STRUCT_DEPTH + 1; depth++) {
        FlowBuf bytes;
        flow_buf_init(&bytes, 0);
        nested_lists(&bytes, depth);
        FlowStatus status = flow_struct_read(FLOW_STRUCT_LIST, bytes.data, bytes.len, NULL, &value, &error);
        assert_int_equal(status, depth == FLOW_STRUCT_DEPTH ? FLOW_OK : FLOW_INVALID_ARGUMENT);
        if (status == FLOW_OK) {
            assert_int_equal(flow_value_depth(value), depth);
            FlowBuf out;
            flow_buf_init(&out, 0);
            assert_int_equal(flow_struct_write(FLOW_STRUCT_LIST, value, &out, NULL, NULL, &error), FLOW_OK);
            assert_int_equal(out.len, bytes.len);
            flow_buf_done(&out);
            FlowValue deeper = flow_value_array();
            assert_int_equal(flow_array_push_take(&deeper, value, &error), FLOW_OK);
            flow_buf_init(&out, 0);
            assert_int_equal(flow_struct_write(FLOW_STRUCT_LIST, deeper, &out, NULL, NULL, &error),
                             FLOW_INVALID_ARGUMENT);
            assert_int_equal(out.len, 0);
            flow_buf_done(&out);
            flow_value_unref(deeper);
        }
        flow_buf_done(&bytes);
    }
    /* A million values take 4 MB on the wire: "too many" must come before memory is gone. */
    FlowBuf many;
    flow_buf_init(&many, 0);
    for (size_t i = 0; i <= FLOW_STRUCT_VALUES; i++)
        flow_buf_append(&many, "\x0a\x02\x20\x01", 4);
    assert_int_equal(flow_struct_read(FLOW_STRUCT_LIST, many.data, many.len, NULL, &value, &error),
                     FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "STRUCT_TOO_LARGE");
    flow_buf_done(&many);
}

static void writing_refuses_what_a_struct_cannot_hold(void **state)
{
    (void)state;
    FlowError error;
    FlowBuf bytes;
    flow_buf_init(&bytes, 0);
    flow_buf_str(&bytes, "x");
    FlowValue array = flow_value_array();
    assert_int_equal(flow_array_push_take(&array, flow_value_float(INFINITY), &error), FLOW_OK);
    assert_int_equal(flow_struct_write(FLOW_STRUCT_LIST, array, &bytes, "f", NULL, &error),
                     FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.where, "f[0]");
    assert_int_equal(flow_struct_write(FLOW_STRUCT_OBJECT, array, &bytes, "f", NULL, &error),
                     FLOW_INVALID_ARGUMENT);
    assert_int_equal(bytes.len, 1);
    flow_value_unref(array);
    flow_buf_done(&bytes);
    flow_buf_init(&bytes, 4);
    assert_int_equal(flow_struct_write(FLOW_STRUCT_ANY, flow_value_float(0.5), &bytes, NULL, NULL, &error),
                     FLOW_RESOURCE_EXHAUSTED);
    flow_buf_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_go_there_and_back),
        cmocka_unit_test(inexact_integers_are_reported),
        cmocka_unit_test(what_others_wrote_is_read),
        cmocka_unit_test(what_is_no_struct_is_refused),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(writing_refuses_what_a_struct_cannot_hold),
    };
    return cmocka_run_group_tests_name("struct", tests, NULL, NULL);
}
