#include "value_test.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

#include "value/number.h"

/* ---- writing ---- */

typedef struct Written {
    double number;
    const char *python, *json, *ecmascript;
} Written;

static void doubles_are_written(void **state)
{
    (void)state;
    static const Written rows[] = {
        {0.0, "0.0", "0.0", "0"},
        {-0.0, "-0.0", "-0.0", "0"},
        {1.0, "1.0", "1.0", "1"},
        {-1.5, "-1.5", "-1.5", "-1.5"},
        {10.0, "10.0", "10.0", "10"},
        {123456789.0, "123456789.0", "123456789.0", "123456789"},
        {0.1, "0.1", "0.1", "0.1"},
        {1e15, "1000000000000000.0", "1000000000000000.0", "1000000000000000"},
        {1e16, "1e+16", "1e+16", "10000000000000000"},
        {9999999999999998.0, "9999999999999998.0", "9999999999999998.0", "9999999999999998"},
        {1e20, "1e+20", "1e+20", "100000000000000000000"},
        {1e21, "1e+21", "1e+21", "1e+21"},
        {123456789012345680000.0, "1.2345678901234568e+20", "1.2345678901234568e+20",
         "123456789012345680000"},
        {0.0001, "0.0001", "0.0001", "0.0001"},
        {0.00001, "1e-05", "1e-05", "0.00001"},
        {0.000012, "1.2e-05", "1.2e-05", "0.000012"},
        {1e-6, "1e-06", "1e-06", "0.000001"},
        {1e-7, "1e-07", "1e-07", "1e-7"},
        {1.5e-10, "1.5e-10", "1.5e-10", "1.5e-10"},
        {5e-324, "5e-324", "5e-324", "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308",
         "1.7976931348623157e+308"},
        {-2.2250738585072014e-308, "-2.2250738585072014e-308", "-2.2250738585072014e-308",
         "-2.2250738585072014e-308"},
        {INFINITY, "inf", "", "Infinity"},
        {-INFINITY, "-inf", "", "-Infinity"},
        {NAN, "nan", "", "NaN"},
        {-NAN, "nan", "", "NaN"},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        char text[FLOW_DOUBLE_TEXT];
        assert_int_equal(flow_format_double(text, rows[i].number, FLOW_DOUBLE_PYTHON),
                         strlen(rows[i].python));
        assert_string_equal(text, rows[i].python);
        assert_int_equal(flow_format_double(text, rows[i].number, FLOW_DOUBLE_JSON), strlen(rows[i].json));
        assert_string_equal(text, rows[i].json);
        assert_int_equal(flow_format_double(text, rows[i].number, FLOW_DOUBLE_ECMASCRIPT),
                         strlen(rows[i].ecmascript));
        assert_string_equal(text, rows[i].ecmascript);
    }
}

static void integers_are_written(void **state)
{
    (void)state;
    int64_t power = 1;
    for (int digits = 1; digits <= 18; digits++, power *= 10) {
        for (int64_t near = power - 2; near <= power + 2; near++) {
            for (int sign = -1; sign <= 1; sign += 2) {
                char text[FLOW_INT_TEXT], expected[32];
                snprintf(expected, sizeof expected, "%lld", (long long)(sign * near));
                assert_int_equal(flow_format_int(text, sign * near), strlen(expected));
                assert_string_equal(text, expected);
            }
        }
    }
    char text[FLOW_INT_TEXT];
    flow_format_int(text, INT64_MIN);
    assert_string_equal(text, "-9223372036854775808");
    flow_format_int(text, INT64_MAX);
    assert_string_equal(text, "9223372036854775807");
}

/* ---- reading ---- */

static void doubles_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double number;
    } good[] = {
        {"0", 0},
        {"+1", 1},
        {"-1", -1},
        {"007", 7},
        {".5", 0.5},
        {"5.", 5},
        {"1e3", 1000},
        {"1E+03", 1000},
        {"1e-3", 0.001},
        {"1e400", INFINITY},
        {"-1e400", -INFINITY},
        {"1e-400", 0},
        {"1e99999999999999999999", INFINITY},
        {"1e-99999999999999999999", 0},
        {"0e99999999999999999999", 0},
        {"1.7976931348623158e308", 1.7976931348623157e308},
        {"1.7976931348623159e308", INFINITY},
        {"2.4703282292062327e-324", 0},
        {"2.4703282292062328e-324", 5e-324},
        {"9007199254740993", 9007199254740992.0},
        {"9007199254740993.0000000000000000000000000000001", 9007199254740994.0},
        {"9007199254740992.9999999999999999999999999999999", 9007199254740992.0},
        {"0.000000000000000000000000000000000000000000000000000000000000000000000000000000000001", 1e-84},
        {"2.22507385850720113605740979670913197593481954635164564e-308", 2.2250738585072011e-308},
        {"1000000000000000000000000000000000000000000000000000000000000000000000000000000000000e-83", 10},
    };
    for (size_t i = 0; i < FLOW_COUNT(good); i++) {
        double number = NAN;
        assert_true(flow_parse_double(good[i].text, strlen(good[i].text), &number));
        if (number != good[i].number)
            fail_msg("%s is read as %.17g, not %.17g", good[i].text, number, good[i].number);
    }
    static const char *const bad[] = {"",   "+",  "-",   ".",     "e1",  "1e",  "1e+",  "1x",
                                      " 1", "1 ", "--1", "1.2.3", "inf", "nan", "0x10", "1_000"};
    for (size_t i = 0; i < FLOW_COUNT(bad); i++) {
        double number = 7;
        assert_false(flow_parse_double(bad[i], strlen(bad[i]), &number));
        assert_true(number == 7);
    }
}

/* A million digits must be read in a moment, and exactly. */
static void endless_digits_are_read(void **state)
{
    (void)state;
    enum { DIGITS = 1000000 };
    char *text = flow_malloc(DIGITS);
    double number;
    memset(text, '0', DIGITS);
    memcpy(text, "9007199254740993.", 17);
    assert_true(flow_parse_double(text, DIGITS, &number));
    assert_true(number == 9007199254740992.0);
    text[DIGITS - 1] = '1';
    assert_true(flow_parse_double(text, DIGITS, &number));
    assert_true(number == 9007199254740994.0);
    memset(text, '0', DIGITS);
    memcpy(text + DIGITS - 1, "5", 1);
    text[1] = '.';
    assert_true(flow_parse_double(text, DIGITS, &number));
    assert_true(number == 0);
    memset(text, '9', DIGITS);
    assert_true(flow_parse_double(text, DIGITS, &number));
    assert_true(isinf(number));
    free(text);
}

static void the_locale_does_not_matter(void **state)
{
    (void)state;
    /* Where the machine has no such locale, this proves nothing and harms nothing. */
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
        skip();
    char text[FLOW_DOUBLE_TEXT];
    double number;
    flow_format_double(text, 1.5, FLOW_DOUBLE_JSON);
    assert_string_equal(text, "1.5");
    assert_true(flow_parse_double("1.50000000000000011102230246251565404236316680908203125", 53, &number));
    assert_true(number == 1.5);
    setlocale(LC_ALL, "C");
}

static void integers_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t integer;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"+5", 5},
                {"007", 7},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"0000000000000000000000000000000001", 1}};
    for (size_t i = 0; i < FLOW_COUNT(good); i++) {
        int64_t integer = 1;
        assert_true(flow_parse_int(good[i].text, strlen(good[i].text), &integer));
        assert_true(integer == good[i].integer);
    }
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      "1.0",
                                      " 1",
                                      "1 ",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < FLOW_COUNT(bad); i++) {
        int64_t integer = 7;
        assert_false(flow_parse_int(bad[i], strlen(bad[i]), &integer));
        assert_true(integer == 7);
    }
}

static void random_doubles_survive(void **state)
{
    (void)state;
    uint64_t seed = 0x9e3779b97f4a7c15;
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = next_random(&seed);
        double number, again;
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            continue;
        char text[FLOW_DOUBLE_TEXT];
        size_t length =
            flow_format_double(text, number, i % 2 == 0 ? FLOW_DOUBLE_JSON : FLOW_DOUBLE_ECMASCRIPT);
        assert_true(length < FLOW_DOUBLE_TEXT && flow_parse_double(text, length, &again));
        if (memcmp(&number, &again, sizeof again) != 0 || strtod(text, NULL) != number)
            fail_msg("%a is written as %s, which is read as %a", number, text, again);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_are_written),    cmocka_unit_test(integers_are_written),
        cmocka_unit_test(doubles_are_read),       cmocka_unit_test(endless_digits_are_read),
        cmocka_unit_test(integers_are_read),      cmocka_unit_test(the_locale_does_not_matter),
        cmocka_unit_test(random_doubles_survive),
    };
    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
