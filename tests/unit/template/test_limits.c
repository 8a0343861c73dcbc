#include "template_test.h"

typedef struct Row {
    const char *what, *source;
    FlowTemplateLimits limits;
    const char *says; /* part of the message */
} Row;

static const Row rows[] = {
    {"length of the text", "0123456789", {.source_bytes = 9}, "longer than 9 bytes"},
    {"nesting of the text", "{{ ((((1)))) }}", {.parse_depth = 4}, "nested more than 4 deep"},
    {"nesting of blocks",
     "{% if 1 %}{% if 1 %}{% if 1 %}{% endif %}{% endif %}{% endif %}",
     {.parse_depth = 2},
     "nested more than 2"},
    {"steps of a loop",
     "{% for i in range(1000) %}{{ i }}{% endfor %}",
     {.steps = 500},
     "more than 500 steps"},
    {"steps of a filter", "{{ range(90000) | sum }}", {.steps = 50000}, "more than 50000 steps"},
    {"steps of a comparison",
     "{{ 1 in range(1, 90000) | list and -1 in range(90000) | list }}",
     {.steps = 300000},
     "steps"},
    {"time",
     "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
     {.steps = UINT64_MAX, .time_ns = 20000000},
     "longer than 20 ms"},
    {"memory",
     "{% for i in range(1000) %}{% set x = 'a' * 10000 %}{% endfor %}",
     {.memory_bytes = 1 << 20},
     "memory"},
    {"output",
     "{% for i in range(1000) %}0123456789{% endfor %}",
     {.output_bytes = 5000},
     "longer than 5000 bytes"},
    {"a string", "{{ ('a' * 2000) | length }}", {.value_bytes = 1000}, "more than 1000 bytes"},
    {"a string by joining",
     "{{ (['aaaaaaaaaa'] * 200) | join | length }}",
     {.value_bytes = 1000},
     "more than 1000 bytes"},
    {"a string by padding", "{{ 'a'.ljust(2000) }}", {.value_bytes = 1000}, "more than 1000 bytes"},
    {"a string by formats", "{{ '%2000d' % 1 }}", {.value_bytes = 1000}, "more than 1000 bytes"},
    {"a string by braces", "{{ '{:2000}'.format(1) }}", {.value_bytes = 1000}, "more than 1000 bytes"},
    {"a captured string",
     "{% set x %}{% for i in range(200) %}0123456789{% endfor %}{% endset %}",
     {.value_bytes = 1000},
     "more than 1000 bytes"},
    {"a list", "{{ [0] * 2000 }}", {.value_items = 1000}, "more than 1000 items"},
    {"a list that grows",
     "{% set l = [] %}{% for i in range(2000) %}{% set _ = l.append(i) %}{% endfor %}",
     {.value_items = 1000},
     "more than 1000 items"},
    {"a dict",
     "{{ dict(range(2000) | map('string') | map('center', 2) | batch(2)) }}",
     {.value_items = 100},
     "more than 100 items"},
    {"a range", "{{ range(1001) }}", {.range_items = 1000}, "more than 1000 numbers"},
    {"a huge range",
     "{{ range(-9223372036854775807, 9223372036854775807) }}",
     {.range_items = 1000},
     "more than 1000 numbers"},
    {"calls",
     "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
     {.call_depth = 20},
     "more than 20 deep"},
    {"recursive loops",
     "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
     {.call_depth = 20},
     "more than 20 deep"},
    {"printed depth",
     "{% set ns = namespace(v=[]) %}{% for i in range(300) %}{% set ns.v = [ns.v] %}{% endfor %}{{ ns.v }}",
     {.data_depth = 50},
     "more than 50 deep"},
    {"compared depth",
     "{% set ns = namespace(v=[]) %}{% for i in range(300) %}{% set ns.v = [ns.v] %}{% endfor %}{{ ns.v == "
     "[ns.v] }}",
     {.data_depth = 50},
     "more than 50 deep"},
    {"a list in itself", "{% set l = [] %}{% set _ = l.append(l) %}{{ l }}", {0}, "deep"},
    {"JSON depth",
     "{% set ns = namespace(v=[]) %}{% for i in range(300) %}{% set ns.v = [ns.v] %}{% endfor %}{{ ns.v | "
     "tojson }}",
     {.data_depth = 50},
     "more than 50 deep"},
    {"integers", "{{ 2 ** 5000 }}", {0}, "more than 4096 bits"},
    {"integers by multiplying",
     "{% set ns = namespace(n=3) %}{% for i in range(20) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
     {0},
     "more than 4096 bits"},
    {"generators over generators",
     "{% set ns = namespace(g=[1]) %}{% for i in range(100) %}{% set ns.g = ns.g | map('abs') %}{% endfor %}",
     {0},
     "in a row"},
    {"a regular expression",
     "{{ ('a' * 40) | regex_search('(a+)+x?$(?<=b)') }}",
     {.steps = 100000000},
     "too many steps"},
    {"the length of a pattern", "{{ 'a' | regex_search('a' * 20000) }}", {0}, "more than 16384 bytes"},
};

static void each_bound_has_its_words(void **state)
{
    const Row *row = *state;
    const FlowTemplateOptions options = {.limits = &row->limits};
    Rendered r = test_render(row->source, NULL, &options, NULL);
    if (r.status == FLOW_OK)
        fail_msg("renders: %.100s", r.text);
    if (r.status != FLOW_RESOURCE_EXHAUSTED || r.detail.kind != FLOW_TEMPLATE_LIMIT ||
        strstr(r.detail.message, row->says) == NULL)
        fail_msg("status %d: %s", r.status, r.error.message);
    assert_string_equal(r.error.reason, "TEMPLATE_LIMIT");
}

static void a_render_may_bring_bounds_of_its_own(void **state)
{
    (void)state;
    FlowTemplate *tmpl = NULL;
    const char source[] = "{{ 'a' * 100 }}{% for i in range(5) %}{{ i }}{% endfor %}";
    assert_int_equal(flow_template_compile(source, sizeof source - 1, NULL, &tmpl, NULL, NULL), FLOW_OK);
    FlowBuf out;
    flow_buf_init(&out, 0);
    const FlowTemplateLimits tight = {.output_bytes = 50};
    assert_int_equal(flow_template_render(tmpl, &(FlowTemplateContext){.limits = &tight}, &out, NULL, NULL),
                     FLOW_RESOURCE_EXHAUSTED);
    assert_int_equal(out.len, 0);
    assert_int_equal(flow_template_render(tmpl, NULL, &out, NULL, NULL), FLOW_OK);
    assert_int_equal(out.len, 105);
    flow_buf_done(&out);
    flow_template_unref(tmpl);
}

int main(void)
{
    struct CMUnitTest tests[FLOW_COUNT(rows) + 1];
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].what, each_bound_has_its_words, NULL, NULL, (void *)&rows[i]};
    tests[FLOW_COUNT(rows)] = (struct CMUnitTest)cmocka_unit_test(a_render_may_bring_bounds_of_its_own);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
