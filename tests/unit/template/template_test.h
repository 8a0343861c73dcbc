/* template_test.h - what the tests of this room share. */
#ifndef TESTS_UNIT_TEMPLATE_TEMPLATE_TEST_H
#define TESTS_UNIT_TEMPLATE_TEMPLATE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "template/template.h"
#include "value/json.h"

enum { TEST_VARS = 8 };

typedef struct Rendered {
    FlowStatus status;
    FlowError error;
    FlowTemplateError detail;
    char *text; /* NULL when it failed */
} Rendered;

/* The members of a JSON object as top-level names; borrowed from *all. */
static inline size_t test_vars(const FlowValue *all, FlowTemplateVar vars[TEST_VARS])
{
    size_t count;
    const FlowMember *members = flow_object_members(*all, &count);
    assert_true(count <= TEST_VARS);
    for (size_t i = 0; i < count; i++)
        vars[i] = (FlowTemplateVar){flow_value_text(&members[i].key), members[i].value};
    return count;
}

static inline FlowValue test_json(const char *text)
{
    FlowValue value;
    FlowError error;
    if (flow_json_read(text, strlen(text), NULL, &value, &error) != FLOW_OK)
        fail_msg("%s: %s", text, error.message);
    return value;
}

/* Compiles and renders in one go. `context` is JSON, NULL for none; free the text. */
static inline Rendered test_render(const char *source, const char *context,
                                   const FlowTemplateOptions *options, const FlowClock *clock)
{
    Rendered r = {0};
    FlowTemplate *tmpl = NULL;
    r.status = flow_template_compile(source, strlen(source), options, &tmpl, &r.detail, &r.error);
    if (r.status != FLOW_OK)
        return r;
    FlowValue all = test_json(context != NULL ? context : "{}");
    FlowTemplateVar vars[TEST_VARS];
    FlowTemplateContext c = {.vars = vars, .var_count = test_vars(&all, vars), .clock = clock};
    FlowBuf out;
    flow_buf_init(&out, 0);
    r.status = flow_template_render(tmpl, &c, &out, &r.detail, &r.error);
    if (r.status == FLOW_OK)
        r.text = flow_strndup(out.data != NULL ? out.data : "", out.len);
    else
        assert_int_equal(out.len, 0);
    flow_buf_done(&out);
    flow_value_unref(all);
    flow_template_unref(tmpl);
    return r;
}

typedef struct TextRow {
    const char *source, *context, *expected;
} TextRow;

static inline void test_rows(const TextRow *rows, size_t count, const FlowClock *clock)
{
    for (size_t i = 0; i < count; i++) {
        Rendered r = test_render(rows[i].source, rows[i].context, NULL, clock);
        if (r.status != FLOW_OK)
            fail_msg("%s: %s", rows[i].source, r.error.message);
        if (strcmp(r.text, rows[i].expected) != 0)
            fail_msg("%s\n  gives    %s\n  expected %s", rows[i].source, r.text, rows[i].expected);
        free(r.text);
    }
}

#endif
