/* value_test.h - short ways to make and compare values in the tests of this room. */
#ifndef TEST_VALUE_TEST_H
#define TEST_VALUE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "value/json.h"
#include "value/value.h"

/* The value of a JSON text that must be good; yours. */
static inline FlowValue json(const char *text)
{
    FlowValue value = flow_value_null();
    FlowError error = {.message = ""};
    if (flow_json_read(text, strlen(text), &(FlowJsonLimits){.depth = 128}, &value, &error) != FLOW_OK)
        fail_msg("%s: %s", text, error.message);
    return value;
}

/* The value must read like this. It is unreferenced. */
static inline void assert_json_take(FlowValue value, const char *expected)
{
    char *text = flow_json_text(value, 0);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
    flow_value_unref(value);
}

/* The same xorshift everywhere, so that a failing seed can be repeated. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A row's text as a test's name: printable, and of bounded length. */
static inline const char *row_name(const char *text, char to[64])
{
    size_t length = 0;
    for (; *text != '\0' && length < 60; text++)
        to[length++] = (*text >= ' ' && *text < 0x7f) ? *text : '?';
    to[length] = '\0';
    return to;
}

/* Runs each row of a table as a test of its own. */
#define RUN_ROWS(rows, text_of, function, group)                                                             \
    do {                                                                                                     \
        static char names_[FLOW_COUNT(rows)][64];                                                            \
        static struct CMUnitTest tests_[FLOW_COUNT(rows)];                                                   \
        for (size_t i_ = 0; i_ < FLOW_COUNT(rows); i_++)                                                     \
            tests_[i_] = (struct CMUnitTest){row_name((rows)[i_].text_of, names_[i_]), function, NULL, NULL, \
                                             (void *)&(rows)[i_]};                                           \
        failed += _cmocka_run_group_tests(group, tests_, FLOW_COUNT(rows), NULL, NULL);                      \
    } while (0)

#endif
