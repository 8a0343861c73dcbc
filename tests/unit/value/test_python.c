/* What Python makes of random JSON and of hard doubles (tests/data/value/generate), and we the same. */
#include "value_test.h"

#include <stdio.h>

#include "value/number.h"

static char *read_file(const char *name, size_t *ret_length)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/data/value/%s", FLOW_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *ret_length = (size_t)ftell(file);
    rewind(file);
    char *content = flow_malloc(*ret_length + 1);
    assert_int_equal(fread(content, 1, *ret_length, file), *ret_length);
    content[*ret_length] = '\0';
    fclose(file);
    return content;
}

static void assert_written(FlowValue value, unsigned flags, const FlowValue *expected, size_t line)
{
    FlowBuf buf;
    flow_buf_init(&buf, 0);
    assert_int_equal(flow_json_write(value, &buf, flags, NULL), FLOW_OK);
    if (buf.len != flow_value_length(expected) || memcmp(buf.data, flow_value_text(expected), buf.len) != 0)
        fail_msg("line %zu, flags %u:\n%.*s\n%s", line, flags, (int)buf.len, buf.data,
                 flow_value_text(expected));
    flow_buf_done(&buf);
}

static void json_as_python(void **state)
{
    (void)state;
    size_t length, line = 0;
    char *content = read_file("json_cases.jsonl", &length);
    for (char *at = content, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        FlowValue row, value;
        FlowError error = {.message = ""};
        line++;
        assert_int_equal(flow_json_read(at, (size_t)(end - at), NULL, &row, &error), FLOW_OK);
        const FlowValue *text = flow_array_at(row, 0);
        if (flow_json_read(flow_value_text(text), flow_value_length(text), NULL, &value, &error) != FLOW_OK)
            fail_msg("line %zu: %s", line, error.message);
        assert_written(value, 0, flow_array_at(row, 1), line);
        assert_written(value, FLOW_JSON_WRITE_SPACED | FLOW_JSON_WRITE_ASCII | FLOW_JSON_WRITE_SORTED,
                       flow_array_at(row, 2), line);
        assert_written(value, FLOW_JSON_WRITE_PRETTY, flow_array_at(row, 3), line);

        /* Each of the texts means the same value; in sorted order too. */
        for (size_t i = 1; i < 4; i++) {
            FlowValue again;
            const FlowValue *written = flow_array_at(row, i);
            assert_int_equal(
                flow_json_read(flow_value_text(written), flow_value_length(written), NULL, &again, NULL),
                FLOW_OK);
            assert_true(flow_value_equal(value, again));
            assert_true(flow_value_equal_numbers(value, again));
            FlowHash128 a = flow_value_hash(value), b = flow_value_hash(again);
            assert_true(a.low == b.low && a.high == b.high);
            assert_int_equal(flow_value_size(value), flow_value_size(again));
            assert_int_equal(flow_value_depth(value), flow_value_depth(again));
            flow_value_unref(again);
        }
        flow_value_unref(value);
        flow_value_unref(row);
    }
    assert_int_equal(line, 250);
    free(content);
}

static void doubles_as_python(void **state)
{
    (void)state;
    size_t length, line = 0;
    char *content = read_file("doubles.txt", &length);
    for (char *at = content, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        char repr[64], text[400], written[FLOW_DOUBLE_TEXT], json_text[FLOW_DOUBLE_TEXT];
        unsigned long long bits;
        line++;
        *end = '\0';
        assert_int_equal(sscanf(at, "%llx %63s %399s", &bits, repr, text), 3);
        double number, parsed;
        memcpy(&number, &bits, sizeof number);
        flow_format_double(written, number, FLOW_DOUBLE_PYTHON);
        if (strcmp(written, repr) != 0)
            fail_msg("line %zu: %s is written as %s", line, repr, written);
        flow_format_double(json_text, number, FLOW_DOUBLE_JSON);
        assert_string_equal(json_text, repr);
        assert_true(flow_parse_double(text, strlen(text), &parsed));
        if (memcmp(&parsed, &number, sizeof parsed) != 0)
            fail_msg("line %zu: %s is read as %a, not %a", line, text, parsed, number);
        assert_true(flow_parse_double(written, strlen(written), &parsed));
        assert_memory_equal(&parsed, &number, sizeof parsed);
        flow_format_double(written, number, FLOW_DOUBLE_ECMASCRIPT);
        assert_true(flow_parse_double(written, strlen(written), &parsed));
        assert_true(parsed == number);
    }
    assert_true(line > 3000);
    free(content);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_as_python),
        cmocka_unit_test(doubles_as_python),
    };
    return cmocka_run_group_tests_name("python", tests, NULL, NULL);
}
