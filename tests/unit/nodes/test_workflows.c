/* The workflow cases of tests/data/workflows, as far as building goes; warnings that need real types and templates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/analyzer.h"
#include "engine/builder.h"
#include "harness.h"
#include "nodes/nodes.h"

static FlowRegistry *registry;

static int make_registry(void **state)
{
    (void)state;
    registry = flow_registry_new();
    return flow_nodes_register(registry, NULL) == FLOW_OK ? 0 : -1;
}

static int free_registry(void **state)
{
    (void)state;
    flow_registry_free(registry);
    return 0;
}

static FlowValue read_file(const char *path)
{
    FlowBuf text;
    char part[4096];
    size_t len;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    flow_buf_init(&text, 0);
    while ((len = fread(part, 1, sizeof(part), file)) > 0)
        flow_buf_append(&text, part, len);
    fclose(file);
    FlowValue value = harness_json(flow_buf_text(&text));
    flow_buf_done(&text);
    return value;
}

static FlowGraph *build(FlowValue definition, FlowProblems *problems)
{
    FlowBuilder builder = {.registry = registry, .workflow_id = "wf"};
    flow_problems_init(problems);
    return flow_builder_build(&builder, definition, problems);
}

/* All that is said, one problem per line. */
static void list(const FlowProblems *problems, FlowBuf *to)
{
    for (size_t i = 0; i < problems->count; i++) {
        const FlowProblem *problem = &problems->items[i];
        flow_buf_printf(to, "%s %s %s %s: %s\n", flow_problem_code_name(problem->code), problem->node_id,
                        problem->edge_id, problem->field, problem->message);
    }
}

static void check_case(const char *path)
{
    FlowValue file = read_file(path);
    const FlowValue *expect = flow_object_get(file, "expect");
    const FlowValue *least = flow_object_get(*expect, "problems_at_least");
    const FlowValue *mentions = flow_object_get(*expect, "mentions");
    FlowProblems problems;
    FlowBuf said;
    flow_buf_init(&said, 0);
    FlowGraph *graph = build(*flow_object_get(file, "workflow"), &problems);
    list(&problems, &said);
    if (!least) {
        if (problems.count)
            fail_msg("%s: %s", path, flow_buf_text(&said));
        const FlowValue *mapped = flow_object_get(*expect, "mapped_queues");
        for (size_t i = 0; mapped && i < flow_array_count(*mapped); i++)
            assert_string_equal(graph->queues[i].short_name, flow_value_text(flow_array_at(*mapped, i)));
    } else {
        if ((int64_t)problems.errors < flow_value_get_int(*least))
            fail_msg("%s: only %s", path, flow_buf_text(&said));
        for (size_t i = 0; mentions && i < flow_array_count(*mentions); i++) {
            if (!strstr(flow_buf_text(&said), flow_value_text(flow_array_at(*mentions, i))))
                fail_msg("%s: no word of %s in %s", path, flow_value_text(flow_array_at(*mentions, i)),
                         flow_buf_text(&said));
        }
    }
    flow_buf_done(&said);
    flow_graph_unref(graph);
    flow_problems_done(&problems);
    flow_value_unref(file);
}

static void test_cases(void **state)
{
    (void)state;
    static const char folder[] = FLOW_SOURCE_DIR "/tests/data/workflows";
    DIR *dir = opendir(folder);
    int count = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[1024];
        if (!strstr(entry->d_name, ".json"))
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        check_case(path);
        count++;
    }
    closedir(dir);
    assert_true(count >= 7);
}

/* ---- what templates read ---- */

#define NODE(id, type, form) "{\"id\": \"" id "\", \"type\": \"" type "\", \"data\": {\"form\": {" form "}}}"
#define EDGE(id, from, to)   "{\"id\": \"" id "\", \"source\": \"" from "\", \"target\": \"" to "\"}"
#define LOG(text)            NODE("l", "log", "\"message\": \"" text "\"")
#define FLOW2(first, text)   "{\"nodes\": [" first ", " LOG(text) "], \"edges\": [" EDGE("e", "p", "l") "]}"

static const struct {
    const char *name, *definition;
    const char *wanted; /* part of what is said; NULL: nothing */
} supply_rows[] = {
    {"there", FLOW2(NODE("p", "counter", ""), "{{ data.counter.current }}"), NULL},
    {"misspelt", FLOW2(NODE("p", "counter", ""), "{{ data.countr.current }}"),
     "TEMPLATE_FIELD_UNKNOWN l  nodes[1].data.form.message: line 1, column 4: no node before 'l' supplies "
     "data.countr: "
     "did you mean data.counter?"},
    {"guarded", FLOW2(NODE("p", "counter", ""), "{{ data.name | default('x') }}"), NULL},
    {"a second one", FLOW2(NODE("p", "counter", ""), "{{ data.counter_2 }}"), NULL},
    {"lenient",
     "{\"settings\": {\"undefined\": \"lenient\"}, \"nodes\": [" NODE("p", "counter", "") ", " LOG(
         "{{ data.x }}") "], \"edges\": [" EDGE("e", "p", "l") "]}",
     NULL},
    {"a named queue brings anything",
     FLOW2(NODE("p", "queue-reader", "\"queue_name\": \"q\""), "{{ data.x }}"), NULL},
    {"the whole of data", FLOW2(NODE("p", "counter", ""), "{{ data }}"), NULL},
    {"a producer has no input", "{\"nodes\": [" NODE("p", "counter", "\"max_value\": \"{{ data.x }}\"") "]}",
     "TEMPLATE_FIELD_UNKNOWN p  nodes[0].data.form.max_value"},
    {"through a mapped queue",
     "{\"nodes\": [" NODE("p", "counter", "") ", " NODE("w", "queue-writer", "") ", " NODE("r", "queue-reader", "") ", " LOG(
         "{{ data.counter.current }}{{ data.item }}") "], \"edges\": [" EDGE("e1", "p",
                                                                             "w") ", " EDGE("e2", "w",
                                                                                            "r") ", " EDGE("e"
                                                                                                           "3",
                                                                                                           "r",
                                                                                                           "l") "]}",
     "supplies data.item: there is only data.counter"},
    {"behind a transformer anything is possible",
     "{\"nodes\": [" NODE("p", "counter", "") ", " NODE(
         "t", "data-transformer",
         "\"output_template\": {\"a\": 1}") ", " LOG("{{ data.b }}") "], \"edges\": [" EDGE("e1", "p",
                                                                                            "t") ", " EDGE("e"
                                                                                                           "2",
                                                                                                           "t",
                                                                                                           "l") "]}",
     NULL},
    {"in a condition",
     "{\"nodes\": [" NODE("p", "counter", "") ", " NODE("c", "if-condition",
                                                        "\"condition_expression\": \"data.count > "
                                                        "1\"") "], \"edges\": [" EDGE("e1", "p", "c") "]}",
     "nodes[1].data.form.condition_expression"},
};

static void test_supply(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(supply_rows); i++) {
        FlowValue definition = harness_json(supply_rows[i].definition);
        FlowProblems problems;
        FlowGraph *graph = build(definition, &problems);
        FlowBuf said;
        flow_buf_init(&said, 0);
        list(&problems, &said);
        const char *text = flow_buf_text(&said);
        if (supply_rows[i].wanted ? !strstr(text, supply_rows[i].wanted) : *text != '\0')
            fail_msg("%s: %s", supply_rows[i].name, text);
        assert_int_equal(problems.errors, 0);
        flow_buf_done(&said);
        flow_graph_unref(graph);
        flow_problems_done(&problems);
        flow_value_unref(definition);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_supply)};
    return cmocka_run_group_tests_name("workflows", tests, make_registry, free_registry);
}
