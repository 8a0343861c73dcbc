#include "template_test.h"

static FlowTemplate *compiled(const char *source)
{
    FlowTemplate *tmpl = NULL;
    FlowError error;
    if (flow_template_compile(source, strlen(source), NULL, &tmpl, NULL, &error) != FLOW_OK)
        fail_msg("%s: %s", source, error.message);
    return tmpl;
}

static void says_what_kind_of_text_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_template, is_value, is_constant;
    } rows[] = {
        {"plain", false, false, true},
        {"a { b } 100%", false, false, true},
        {"{{ x }}", true, true, false},
        {"{{ x }}\n", true, true, false},
        {" {{ x }}", true, false, false},
        {"{{ x }}{{ y }}", true, false, false},
        {"{# note #}text", true, false, true},
        {"{% if x %}{% endif %}", true, false, false},
        {"{{ 'text' }}", true, true, false},
        {"{% raw %}{{ x }}{% endraw %}", true, false, true},
        {"", false, false, true},
        {"{", false, false, true},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowTemplate *tmpl = compiled(rows[i].text);
        if (flow_template_is_template(rows[i].text, strlen(rows[i].text)) != rows[i].is_template ||
            flow_template_is_value(tmpl) != rows[i].is_value ||
            flow_template_is_constant(tmpl) != rows[i].is_constant)
            fail_msg("wrong about \"%s\"", rows[i].text);
        flow_template_unref(tmpl);
    }
}

static void a_lone_expression_keeps_its_value(void **state)
{
    (void)state;
    static const struct {
        const char *source, *json;
    } rows[] = {
        {"{{ data.n }}", "5"},
        {"{{ data.list }}", "[1,2.5,null]"},
        {"{{ data }}", "{\"n\":5,\"list\":[1,2.5,null],\"s\":\"text\"}"},
        {"{{ data.n * 2 + 0.5 }}", "10.5"},
        {"{{ data.missing }}", "null"},
        {"{{ {'a': (1, 2), 'b': range(3)} }}", "{\"a\":[1,2],\"b\":[0,1,2]}"},
        {"{{ data.list | select | list }}", "[1,2.5]"},
        {"{{ data.list | map('string') }}", "[\"1\",\"2.5\",\"None\"]"},
        {"{{ data.items() }}", "[[\"n\",5],[\"list\",[1,2.5,null]],[\"s\",\"text\"]]"},
        {"{{ data.n > 3 }}", "true"},
        {"{{ '7' }}", "\"7\""},
        {"n is {{ data.n }}", "\"n is 5\""},
        {"plain", "\"plain\""},
        {"{{ '2026-01-02T03:04:05Z' | to_datetime }}", "\"2026-01-02T03:04:05+00:00\""},
    };
    FlowValue all = test_json("{\"data\":{\"n\":5,\"list\":[1,2.5,null],\"s\":\"text\"}}");
    FlowTemplateVar vars[TEST_VARS];
    FlowTemplateContext context = {.vars = vars, .var_count = test_vars(&all, vars)};
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowTemplate *tmpl = compiled(rows[i].source);
        FlowValue value;
        FlowError error;
        if (flow_template_eval(tmpl, &context, &value, NULL, &error) != FLOW_OK)
            fail_msg("%s: %s", rows[i].source, error.message);
        char *json = flow_json_text(value, 0);
        assert_string_equal(json, rows[i].json);
        free(json);
        flow_value_unref(value);
        flow_template_unref(tmpl);
    }
    flow_value_unref(all);
}

static void what_has_no_json_is_an_error(void **state)
{
    (void)state;
    static const char *const sources[] = {"{{ 2 ** 80 }}", "{{ range }}", "{{ {(1, 2): 3} }}"};
    for (size_t i = 0; i < FLOW_COUNT(sources); i++) {
        FlowTemplate *tmpl = compiled(sources[i]);
        FlowValue value = flow_value_int(99);
        FlowError error;
        assert_int_equal(flow_template_eval(tmpl, NULL, &value, NULL, &error), FLOW_INVALID_ARGUMENT);
        assert_string_equal(error.reason, "TEMPLATE_ERROR");
        assert_int_equal(flow_value_get_int(value), 99);
        flow_template_unref(tmpl);
    }
}

static void a_failed_render_leaves_the_output_as_it_was(void **state)
{
    (void)state;
    FlowTemplate *tmpl = compiled("text {{ 1 / x }}");
    FlowBuf out;
    FlowError error;
    const FlowTemplateVar vars[] = {{"x", flow_value_int(0)}};
    flow_buf_init(&out, 0);
    flow_buf_str(&out, "before ");
    assert_int_equal(
        flow_template_render(tmpl, &(FlowTemplateContext){.vars = vars, .var_count = 1}, &out, NULL, &error),
        FLOW_INVALID_ARGUMENT);
    assert_string_equal(flow_buf_text(&out), "before ");
    const FlowTemplateVar good[] = {{"x", flow_value_int(2)}};
    assert_int_equal(
        flow_template_render(tmpl, &(FlowTemplateContext){.vars = good, .var_count = 1}, &out, NULL, &error),
        FLOW_OK);
    assert_string_equal(flow_buf_text(&out), "before text 0.5");
    flow_buf_done(&out);
    flow_template_unref(tmpl);
}

static void the_output_buffer_may_bound_it_further(void **state)
{
    (void)state;
    FlowTemplate *tmpl = compiled("{% for i in range(100) %}0123456789{% endfor %}");
    FlowBuf out;
    FlowError error;
    flow_buf_init(&out, 999);
    assert_int_equal(flow_template_render(tmpl, NULL, &out, NULL, &error), FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(error.reason, "TEMPLATE_LIMIT");
    assert_int_equal(out.limit, 999);
    assert_false(out.failed);
    flow_buf_done(&out);
    flow_buf_init(&out, 1000);
    assert_int_equal(flow_template_render(tmpl, NULL, &out, NULL, &error), FLOW_OK);
    assert_int_equal(out.len, 1000);
    flow_buf_done(&out);
    flow_template_unref(tmpl);
}

static void lists_the_paths_that_a_template_reads(void **state)
{
    (void)state;
    static const char source[] =
        "{% set own = 1 %}{{ own }}{{ range(3) }}\n"
        "{{ data.counter.current + data.counter.current }} {{ data['first name'].x }}\n"
        "{{ data.rows[0].id }}{{ data.maybe | default(1) }}{{ data.other is defined }}"
        "{% for r in data.rows %}{{ r.title }}{% if r[data.key] %}{% endif %}{% endfor %}{{ env.HOME }}";
    static const struct {
        const char *text;
        unsigned line, column;
        bool guarded;
    } expected[] = {
        {"data.counter.current", 2, 4, false}, {"data.first name.x", 2, 54, false},
        {"data.rows.0.id", 3, 4, false},       {"data.maybe", 3, 25, true},
        {"data.other", 3, 54, true},           {"data.rows", 3, 90, false},
        {"data.key", 3, 123, false},           {"env.HOME", 3, 161, false},
    };
    FlowTemplate *tmpl = compiled(source);
    assert_int_equal(flow_template_path_count(tmpl), FLOW_COUNT(expected));
    for (size_t i = 0; i < FLOW_COUNT(expected); i++) {
        const FlowTemplatePath *path = flow_template_path(tmpl, i);
        assert_string_equal(path->text, expected[i].text);
        assert_int_equal(path->line, expected[i].line);
        assert_int_equal(path->column, expected[i].column);
        assert_int_equal(path->guarded, expected[i].guarded);
    }
    assert_null(flow_template_path(tmpl, FLOW_COUNT(expected)));
    assert_true(flow_template_size(tmpl) > sizeof source);
    flow_template_unref(flow_template_ref(tmpl));
    flow_template_unref(tmpl);
    assert_null(flow_template_unref(NULL));
}

static void the_context_may_hide_a_global_function(void **state)
{
    (void)state;
    static const TextRow rows[] = {
        {"{{ range }}", "{\"range\":\"mine\"}", "mine"},
        {"{{ range(3) | join }}", "{}", "012"},
        {"{{ now }}", "{\"now\":7}", "7"},
    };
    test_rows(rows, FLOW_COUNT(rows), NULL);
}

static void strings_may_hold_anything(void **state)
{
    (void)state;
    const FlowTemplateVar vars[] = {{"s", flow_value_stringn("a\0b", 3)}};
    FlowTemplate *tmpl = compiled("{{ s }}{{ s | length }}{{ s | upper }}");
    FlowBuf out;
    flow_buf_init(&out, 0);
    assert_int_equal(
        flow_template_render(tmpl, &(FlowTemplateContext){.vars = vars, .var_count = 1}, &out, NULL, NULL),
        FLOW_OK);
    assert_int_equal(out.len, 7);
    assert_memory_equal(out.data, "a\0b3A\0B", 7);
    flow_buf_done(&out);
    flow_template_unref(tmpl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_kind_of_text_it_is),
        cmocka_unit_test(a_lone_expression_keeps_its_value),
        cmocka_unit_test(what_has_no_json_is_an_error),
        cmocka_unit_test(a_failed_render_leaves_the_output_as_it_was),
        cmocka_unit_test(the_output_buffer_may_bound_it_further),
        cmocka_unit_test(lists_the_paths_that_a_template_reads),
        cmocka_unit_test(the_context_may_hide_a_global_function),
        cmocka_unit_test(strings_may_hold_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
