#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "wire/scalars.h"

static void timestamps_there_and_back(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        int32_t nanos;
        const char *text;
    } rows[] = {
        {0, 0, "1970-01-01T00:00:00Z"},
        {-1, 999000000, "1969-12-31T23:59:59.999Z"},
        {INT64_C(-62135596800), 0, "0001-01-01T00:00:00Z"},
        {INT64_C(253402300799), 999999999, "9999-12-31T23:59:59.999999999Z"},
        {951782400, 10000, "2000-02-29T00:00:00.000010Z"},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        char text[FLOW_TIMESTAMP_TEXT];
        int64_t seconds;
        int32_t nanos;
        assert_true(flow_timestamp_format(rows[i].seconds, rows[i].nanos, text));
        assert_string_equal(text, rows[i].text);
        assert_true(flow_timestamp_parse(text, strlen(text), &seconds, &nanos));
        assert_int_equal(seconds, rows[i].seconds);
        assert_int_equal(nanos, rows[i].nanos);
    }
    char text[FLOW_TIMESTAMP_TEXT];
    assert_false(flow_timestamp_format(INT64_C(253402300800), 0, text));
    assert_false(flow_timestamp_format(0, -1, text));
}

static void timestamps_with_offsets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } rows[] = {
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T23:30:00-00:30", 0},
        {"1970-01-01T00:00:01.5Z", 1},
        {"1970-01-01t00:00:00Z", -1},
        {"1970-01-01T00:00:00", -1},
        {"1970-01-01T00:00:00z", -1},
        {"1970-02-30T00:00:00Z", -1},
        {"1900-02-29T00:00:00Z", -1},
        {"1970-01-01T24:00:00Z", -1},
        {"1970-01-01T00:00:60Z", -1},
        {"0001-01-01T00:00:00+01:00", -1},
        {"1970-01-01T00:00:00.Z", -1},
        {"1970-01-01T00:00:00.1234567890Z", -1},
        {"1970-1-01T00:00:00Z", -1},
        {" 1970-01-01T00:00:00Z", -1},
        {"", -1},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        int64_t seconds = -1;
        int32_t nanos;
        bool ok = flow_timestamp_parse(rows[i].text, strlen(rows[i].text), &seconds, &nanos);
        assert_int_equal(ok ? seconds : -1, rows[i].seconds);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t seconds;
        int32_t nanos;
        const char *again;
    } rows[] = {
        {"1.5s", true, 1, 500000000, "1.500s"},
        {"-0.000001s", true, 0, -1000, "-0.000001s"},
        {"315576000000s", true, INT64_C(315576000000), 0, "315576000000s"},
        {"0s", true, 0, 0, "0s"},
        {"315576000001s", false, 0, 0, NULL},
        {"1", false, 0, 0, NULL},
        {"s", false, 0, 0, NULL},
        {"1.s", false, 0, 0, NULL},
        {"+1s", false, 0, 0, NULL},
        {"1 s", false, 0, 0, NULL},
        {"1e3s", false, 0, 0, NULL},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        int64_t seconds;
        int32_t nanos;
        char text[FLOW_DURATION_TEXT];
        assert_int_equal(flow_duration_parse(rows[i].text, strlen(rows[i].text), &seconds, &nanos),
                         rows[i].ok);
        if (!rows[i].ok)
            continue;
        assert_int_equal(seconds, rows[i].seconds);
        assert_int_equal(nanos, rows[i].nanos);
        assert_true(flow_duration_format(seconds, nanos, text));
        assert_string_equal(text, rows[i].again);
    }
    char text[FLOW_DURATION_TEXT];
    assert_false(flow_duration_format(1, -1, text));
}

static void field_mask_names(void **state)
{
    (void)state;
    static const struct {
        const char *snake, *camel; /* NULL: not to be had */
    } rows[] = {
        {"user.display_name", "user.displayName"},
        {"a", "a"},
        {"max_items", "maxItems"},
        {"bad_", NULL},
        {"bad__x", NULL},
        {"Bad", NULL},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowBuf buf;
        flow_buf_init(&buf, 0);
        bool ok = flow_camel_from_snake(&buf, rows[i].snake, strlen(rows[i].snake));
        assert_int_equal(ok, rows[i].camel != NULL);
        if (ok) {
            assert_string_equal(flow_buf_text(&buf), rows[i].camel);
            flow_buf_clear(&buf);
            assert_true(flow_snake_from_camel(&buf, rows[i].camel, strlen(rows[i].camel)));
            assert_string_equal(flow_buf_text(&buf), rows[i].snake);
        }
        flow_buf_done(&buf);
    }
}

static void base64(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } rows[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xfb\xff\xfe", "+//+"}};
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowBuf buf;
        flow_buf_init(&buf, 0);
        flow_base64_encode(&buf, rows[i].bytes, strlen(rows[i].bytes));
        assert_string_equal(flow_buf_text(&buf), rows[i].text);
        flow_buf_clear(&buf);
        assert_true(flow_base64_decode(&buf, rows[i].text, strlen(rows[i].text)));
        assert_string_equal(flow_buf_text(&buf), rows[i].bytes);
        flow_buf_done(&buf);
    }
    static const struct {
        const char *text;
        bool ok;
    } more[] = {{"Zg", true},     {"-__-", true},  {"Zg=", false}, {"Z", false},
                {"Zm9v=", false}, {"Zm 9", false}, {"====", false}};
    for (size_t i = 0; i < FLOW_COUNT(more); i++) {
        FlowBuf buf;
        flow_buf_init(&buf, 0);
        assert_int_equal(flow_base64_decode(&buf, more[i].text, strlen(more[i].text)), more[i].ok);
        if (!more[i].ok)
            assert_int_equal(buf.len, 0);
        flow_buf_done(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamps_there_and_back),
        cmocka_unit_test(timestamps_with_offsets),
        cmocka_unit_test(durations),
        cmocka_unit_test(field_mask_names),
        cmocka_unit_test(base64),
    };
    return cmocka_run_group_tests_name("scalars", tests, NULL, NULL);
}
