/* Random messages of the contract (random_messages): our JSON means what protobuf's own Python makes of them, both ways. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value/json.h"
#include "wire/json.h"

enum { COUNT = 1500 };

static FlowValue read_json(const char *text, size_t len)
{
    static const FlowJsonLimits limits = {.depth = 100, .flags = FLOW_JSON_READ_BIG_AS_FLOAT};
    FlowError error;
    FlowValue value;
    if (flow_json_read(text, len, &limits, &value, &error) != FLOW_OK)
        fail_msg("%.*s: %s", (int)len, text, error.message);
    return value;
}

static FlowValue message_value(const FlowWireMessage *type, const FlowBuf *bytes)
{
    FlowError error;
    FlowValue value;
    if (flow_message_to_value(flow_wire_contract(), type, bytes->data != NULL ? bytes->data : "", bytes->len,
                              0, &value, &error) != FLOW_OK)
        fail_msg("%s: %s", type->full_name, error.message);
    return value;
}

static void assert_same(const char *what, const FlowWireMessage *type, FlowValue ours, FlowValue theirs)
{
    if (flow_value_equal_numbers(ours, theirs))
        return;
    fail_msg("%s, %s:\nours   %s\ntheirs %s", what, type->full_name, flow_json_text(ours, 0),
             flow_json_text(theirs, 0));
}

static void check(FlowValue row)
{
    const FlowValue *hex = flow_array_at(row, 1), *text = flow_array_at(row, 2);
    const FlowWireMessage *type =
        flow_wire_message(flow_wire_contract(), flow_value_text(flow_array_at(row, 0)));
    assert_non_null(type);
    FlowBuf bytes, ours;
    FlowError error;
    flow_buf_init(&bytes, 0);
    flow_buf_init(&ours, 0);
    for (size_t i = 0; i < flow_value_length(hex); i += 2) {
        char pair[3] = {flow_value_text(hex)[i], flow_value_text(hex)[i + 1], '\0'};
        flow_buf_byte(&bytes, (char)strtoul(pair, NULL, 16));
    }
    FlowValue theirs = read_json(flow_value_text(text), flow_value_length(text));
    FlowValue first = message_value(type, &bytes);
    assert_same("bytes to JSON", type, first, theirs);
    if (flow_message_from_value(flow_wire_contract(), type, theirs, 0, &ours, &error) != FLOW_OK)
        fail_msg("%s: %s\n%s", type->full_name, error.message, flow_value_text(text));
    FlowValue second = message_value(type, &ours);
    assert_same("JSON to bytes to JSON", type, second, theirs);
    flow_value_unref(theirs);
    flow_value_unref(first);
    flow_value_unref(second);
    flow_buf_done(&bytes);
    flow_buf_done(&ours);
}

static void messages_mean_what_python_says(void **state)
{
    (void)state;
    const char *seed = getenv("FLOW_SEED");
    char command[1024];
    if (system("/usr/bin/python3 -c 'import google.protobuf' 2>/dev/null") != 0)
        skip();
    snprintf(command, sizeof command,
             "%s/tests/unit/wire/random_messages %s/generated/descriptors.binpb %s %d", FLOW_SOURCE_DIR,
             FLOW_SOURCE_DIR, seed != NULL ? seed : "1", COUNT);
    FILE *lines = popen(command, "r");
    assert_non_null(lines);
    char *line = NULL;
    size_t size = 0, count = 0;
    for (ssize_t len; (len = getline(&line, &size, lines)) > 0; count++) {
        FlowValue row = read_json(line, (size_t)len);
        check(row);
        flow_value_unref(row);
    }
    free(line);
    assert_int_equal(pclose(lines), 0);
    assert_int_equal(count, COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(messages_mean_what_python_says)};
    return cmocka_run_group_tests_name("python", tests, NULL, NULL);
}
