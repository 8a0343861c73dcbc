/* One compiled template, many threads at once: what TSan looks at. */
#include <pthread.h>

#include "template_test.h"

enum { THREADS = 8, ROUNDS = 200 };

static const char source[] =
    "Hello {{ data.user.name | title }}{% set total = namespace(n=0) %}{% macro cell(x, w=5) %}[{{ x | "
    "string | center(w) }}]"
    "{% endmacro %}{% for r in data.rows if r.n %}{{ loop.index }}:{{ cell(r.title) }}{% set total.n = "
    "total.n + r.n %}"
    "{% else %}none{% endfor %} {{ total.n }} {{ data.rows | map(attribute='title') | join(', ') }} {{ data "
    "| tojson | length }}"
    " {{ 'a1b2' | regex_replace('[0-9]', '#') }} {{ '[1, 2]' | from_json | sum }} {{ 2 ** 100 }}";

static const char expected[] =
    "Hello Ada Lovelace1:[ one ]2:[three] 4 one, two, three 124 a#b# 3 1267650600228229401496703205376";

typedef struct Shared {
    const FlowTemplate *tmpl;
    FlowValue data;
} Shared;

static void *render_often(void *context)
{
    Shared *shared = context;
    FlowBuf out;
    intptr_t wrong = 0;
    flow_buf_init(&out, 0);
    for (int i = 0; i < ROUNDS; i++) {
        FlowValue data = flow_value_ref(shared->data);
        const FlowTemplateVar vars[] = {{"data", data}};
        flow_buf_clear(&out);
        FlowStatus status = flow_template_render(
            shared->tmpl, &(FlowTemplateContext){.vars = vars, .var_count = 1}, &out, NULL, NULL);
        wrong += status != FLOW_OK || strcmp(flow_buf_text(&out), expected) != 0;
        flow_value_unref(data);
    }
    flow_buf_done(&out);
    return (void *)wrong;
}

static void share_one_template(void **state)
{
    (void)state;
    FlowTemplate *tmpl = NULL;
    FlowError error;
    if (flow_template_compile(source, sizeof source - 1, NULL, &tmpl, NULL, &error) != FLOW_OK)
        fail_msg("%s", error.message);
    Shared shared = {tmpl,
                     test_json("{\"user\":{\"name\":\"ada lovelace\"},\"rows\":[{\"title\":\"one\",\"n\":1},"
                               "{\"title\":\"two\",\"n\":0},{\"title\":\"three\",\"n\":3}]}")};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, render_often, &shared), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_ptr_equal(wrong, NULL);
    }
    flow_value_unref(shared.data);
    flow_template_unref(tmpl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(share_one_template)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
