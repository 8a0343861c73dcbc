#include <stdio.h>

#include "template_test.h"

typedef struct Row {
    const char *source;
    FlowTemplateErrorKind kind;
    unsigned line, column;
    const char *message, *hint;
} Row;

static const char context[] = "{\"data\":{\"email\":\"a@b\",\"user\":{\"name\":\"Ada\"},\"list\":[1],\"n\":5,"
                              "\"s\":\"7\",\"none\":null}}";

static const Row rows[] = {
    /* unknown names */
    {"{{ dta.email.x }}", FLOW_TEMPLATE_UNDEFINED, 1, 13, "'dta' is undefined", "did you mean 'data'?"},
    {"{{ data.emial.x }}", FLOW_TEMPLATE_UNDEFINED, 1, 14, "this dict has no 'emial'",
     "did you mean 'email'?"},
    {"a\nb {{ data.user.nmae.first }}", FLOW_TEMPLATE_UNDEFINED, 2, 20, "this dict has no 'nmae'",
     "did you mean 'name'?"},
    {"{{ data.s.uper() }}", FLOW_TEMPLATE_UNDEFINED, 1, 10, "this string has no 'uper'",
     "did you mean 'upper'?"},
    {"{{ data.list[3].id }}", FLOW_TEMPLATE_UNDEFINED, 1, 16, "list has no element 3", ""},
    {"{{ data.none.a.b }}", FLOW_TEMPLATE_UNDEFINED, 1, 15, "this none has no 'a'", ""},
    {"{{ x | uper }}", FLOW_TEMPLATE_SYNTAX, 1, 8, "No filter named 'uper'.", "did you mean 'upper'?"},
    {"{{ x is defind }}", FLOW_TEMPLATE_SYNTAX, 1, 9, "No test named 'defind'.", "did you mean 'defined'?"},
    {"{% if data.n %}{{ x | uper }}{% endif %}", FLOW_TEMPLATE_RUNTIME, 1, 23,
     "No filter named 'uper' found.", "did you mean 'upper'?"},
    {"{{ [1] | map('uper') | list }}", FLOW_TEMPLATE_RUNTIME, 1, 24, "No filter named 'uper'.",
     "did you mean 'upper'?"},
    {"{{ data.s | replace('a', nw='b') }}", FLOW_TEMPLATE_RUNTIME, 1, 13,
     "filter 'replace' has no parameter 'nw'", "did you mean 'new'?"},
    {"{% iff x %}{% endif %}", FLOW_TEMPLATE_SYNTAX, 1, 4, "Encountered unknown tag 'iff'.",
     "did you mean 'if'?"},
    {"{% macro m(name) %}{% endmacro %}{{ m(nme=1) }}", FLOW_TEMPLATE_RUNTIME, 1, 38,
     "this macro takes no keyword argument 'nme'", "did you mean 'name'?"},
    /* what to do instead */
    {"{{ data.n + data.s }}", FLOW_TEMPLATE_RUNTIME, 1, 11,
     "'+' can't work on integer and string; use ~ to join text, | int or | float to calculate", ""},
    {"{{ data.s > 3 }}", FLOW_TEMPLATE_RUNTIME, 1, 11,
     "'>' can't compare string and integer; convert with | int or | float first", ""},
    {"{{ data.list.append(1) }}", FLOW_TEMPLATE_RUNTIME, 1, 13,
     "'append' would change the payload: work on a copy, {% set copy = list | list %}, or make a new list "
     "with +",
     ""},
    {"{% set x = 1 %}{% set x.y = 2 %}", FLOW_TEMPLATE_RUNTIME, 1, 23,
     "cannot assign attribute on non-namespace object: begin with {% set ns = namespace() %}", ""},
    {"{{ data.list | map('string') | length }}", FLOW_TEMPLATE_RUNTIME, 1, 32,
     "generator has no length; make it a list first with | list", ""},
    {"{% for x in data.list %}{% break %}{% endfor %}", FLOW_TEMPLATE_SYNTAX, 1, 28, NULL,
     "use a condition: {% for x in list if … %}"},
    {"{% include 'x' %}", FLOW_TEMPLATE_RUNTIME, 1, 4, NULL, ""},
    /* syntax */
    {"{% if x %}\n{% for y in x %}\n{% endif %}", FLOW_TEMPLATE_SYNTAX, 3, 4,
     "Encountered unknown tag 'endif'. You probably made a nesting mistake: it fits an outer block, but here "
     "we are "
     "looking for 'endfor' or 'else'. The innermost block that needs to be closed is 'for'.",
     ""},
    {"{{ 'abc }}", FLOW_TEMPLATE_SYNTAX, 1, 4, "this string has no closing '", ""},
    {"text {{ data.n", FLOW_TEMPLATE_SYNTAX, 1, 14,
     "unexpected end of template, expected 'end of print statement'.", ""},
    {"{{ 1 | round(x=", FLOW_TEMPLATE_SYNTAX, 1, 16, NULL, ""},
    {"ä {{ ? }}", FLOW_TEMPLATE_SYNTAX, 1, 6, "unexpected character '?'", ""},
    {"{{ f(a=1, a=2) }}", FLOW_TEMPLATE_SYNTAX, 1, 11, "keyword argument repeated: a", ""},
    {"{{ '\\ud800' }}", FLOW_TEMPLATE_SYNTAX, 1, 4, "half a surrogate pair in this string", ""},
    {"{{ '\\N{BULLET}' }}", FLOW_TEMPLATE_SYNTAX, 1, 4, NULL, ""},
};

static void name_the_place_and_the_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        const Row *row = &rows[i];
        Rendered r = test_render(row->source, context, NULL, NULL);
        if (r.status == FLOW_OK)
            fail_msg("%s renders: %s", row->source, r.text);
        if (r.detail.kind != row->kind || r.detail.line != row->line || r.detail.column != row->column)
            fail_msg("%s: kind %d at %u:%u: %s", row->source, r.detail.kind, r.detail.line, r.detail.column,
                     r.detail.message);
        if (row->message != NULL)
            assert_string_equal(r.detail.message, row->message);
        if (row->hint != NULL)
            assert_string_equal(r.detail.hint, row->hint);
        char where[32];
        snprintf(where, sizeof where, "%u:%u", row->line, row->column);
        assert_string_equal(r.error.where, where);
        assert_string_equal(r.error.reason,
                            row->kind == FLOW_TEMPLATE_SYNTAX ? "TEMPLATE_SYNTAX" : "TEMPLATE_ERROR");
        assert_int_equal(r.status, FLOW_INVALID_ARGUMENT);
    }
}

static void show_the_line_with_a_caret(void **state)
{
    (void)state;
    static const struct {
        const char *source, *excerpt;
    } excerpts[] = {
        {"one\ntwo {{ data.x.y }}\nthree", "two {{ data.x.y }}\n             ^"},
        {"\t{{ ? }}", " {{ ? }}\n    ^"},
        {"日本 {{ ? }}", "日本 {{ ? }}\n      ^"},
        {"0123456789012345678901234567890123456789 {{ ? }} 0123456789012345678901234567890123456789",
         "…901234567890123456789012345678901234567 {{ ? }} 012345678901234567890123456…\n"
         "                                     ^"},
    };
    for (size_t i = 0; i < FLOW_COUNT(excerpts); i++) {
        Rendered r = test_render(excerpts[i].source, context, NULL, NULL);
        assert_int_not_equal(r.status, FLOW_OK);
        if (i < 3)
            assert_string_equal(r.detail.excerpt, excerpts[i].excerpt);
        const char *caret = strchr(r.detail.excerpt, '\n');
        assert_non_null(caret);
        assert_int_equal(caret[strlen(caret) - 1], '^');
    }
}

static void invalid_utf8_is_refused(void **state)
{
    (void)state;
    Rendered r = test_render("ok \xff\xfe", NULL, NULL, NULL);
    assert_int_equal(r.status, FLOW_INVALID_ARGUMENT);
    assert_string_equal(r.detail.message, "the template is no valid UTF-8 at byte 3");
    assert_int_equal(r.detail.column, 4);
}

static void strict_templates_refuse_undefined_values(void **state)
{
    (void)state;
    static const char *const refused[] = {"{{ data.x }}",
                                          "{% if data.x %}{% endif %}",
                                          "{% for i in data.x %}{% endfor %}",
                                          "{{ data.x ~ 'a' }}",
                                          "{{ data.x == 1 }}",
                                          "{{ data.x | length }}",
                                          "{{ nope }}",
                                          "{{ [1] | select('equalto', data.x) | list }}",
                                          "{{ not data.x }}",
                                          "{{ 1 in data.x }}"};
    static const char *const fine[] = {"{{ data.x | default(1) }}", "{{ data.x is defined }}",
                                       "{{ 'a' if false }}", "{{ (data.x or 1) if data.x is defined }}",
                                       "{% set y = data.x %}"};
    const FlowTemplateOptions strict = {.strict = true};
    for (size_t i = 0; i < FLOW_COUNT(refused); i++) {
        Rendered r = test_render(refused[i], context, &strict, NULL);
        if (r.status == FLOW_OK || r.detail.kind != FLOW_TEMPLATE_UNDEFINED)
            fail_msg("%s: %s", refused[i], r.text);
        r = test_render(refused[i], context, NULL, NULL);
        if (r.status != FLOW_OK)
            fail_msg("lenient, %s: %s", refused[i], r.error.message);
        free(r.text);
    }
    for (size_t i = 0; i < FLOW_COUNT(fine); i++) {
        Rendered r = test_render(fine[i], context, &strict, NULL);
        if (r.status != FLOW_OK)
            fail_msg("%s: %s", fine[i], r.error.message);
        free(r.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_the_place_and_the_remedy),
        cmocka_unit_test(show_the_line_with_a_caret),
        cmocka_unit_test(invalid_utf8_is_refused),
        cmocka_unit_test(strict_templates_refuse_undefined_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
