/* forms_test.h - short ways to make schemas, load values and look at what is wrong. */
#ifndef TEST_FORMS_FORMS_TEST_H
#define TEST_FORMS_FORMS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "forms/form.h"
#include "value/json.h"

/* The value of a JSON text that must be good; yours. NULL stands for null. */
static inline FlowValue json(const char *text)
{
    FlowValue value = flow_value_null();
    FlowError error = {.message = ""};
    if (text != NULL && flow_json_read(text, strlen(text), NULL, &value, &error) != FLOW_OK)
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

/* The schema of a description that must be good; yours. */
static inline FlowFormSchema *schema_of(const char *description)
{
    FlowFormSchema *schema = NULL;
    FlowError error = {.message = ""};
    FlowValue value = json(description);
    if (flow_form_schema_read(value, NULL, NULL, &schema, &error) != FLOW_OK)
        fail_msg("%s: %s: %s", description, error.where, error.message);
    flow_value_unref(value);
    return schema;
}

/* All that is wrong, as "field: message | message"; in a buffer that the next call uses again. */
static inline const char *told(const FlowFormErrors *errors)
{
    static FlowBuf buf;
    flow_buf_done(&buf);
    for (size_t i = 0; i < errors->count; i++) {
        const FlowFormError *error = &errors->items[i];
        flow_buf_printf(&buf, "%s%s%s%s%s", i > 0 ? " | " : "", error->warning ? "warning " : "",
                        error->name != NULL ? error->name : "", error->name != NULL ? ": " : "",
                        error->message);
    }
    return flow_buf_text(&buf);
}

/* Runs each row of a table as a test of its own, named by the row's member `text_of`. */
#define RUN_ROWS(rows, text_of, function, group)                                                             \
    do {                                                                                                     \
        static char names_[FLOW_COUNT(rows)][64];                                                            \
        static struct CMUnitTest tests_[FLOW_COUNT(rows)];                                                   \
        for (size_t i_ = 0; i_ < FLOW_COUNT(rows); i_++) {                                                   \
            snprintf(names_[i_], sizeof names_[i_], "%.60s", rows[i_].text_of);                              \
            tests_[i_] = (struct CMUnitTest){names_[i_], function, NULL, NULL, (void *)&rows[i_]};           \
        }                                                                                                    \
        failed_ += _cmocka_run_group_tests(group, tests_, FLOW_COUNT(rows), NULL, NULL);                     \
    } while (0)

#endif
