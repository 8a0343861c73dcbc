/*
 * What holds for every built-in type: it is in order, it is documented, its example builds and shows it, and
 * docs/nodes.md is what the tables say. FLOW_UPDATE_DOCS=1 in the environment writes that file anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/builder.h"
#include "engine/node_type_doc.h"
#include "nodes/nodes.h"
#include "value/json.h"

static FlowRegistry *registry(void)
{
    FlowRegistry *all = flow_registry_new();
    FlowError error;
    if (flow_nodes_register(all, &error) != FLOW_OK)
        fail_msg("%s: %s", error.where, error.message);
    return all;
}

static void test_texts(void **state)
{
    (void)state;
    for (const FlowNodeType *const *type = flow_nodes_list(); *type; type++) {
        print_message("%s\n", (*type)->name);
        assert_non_null((*type)->label);
        assert_non_null((*type)->description);
        assert_non_null((*type)->result);
        assert_non_null((*type)->example);
        for (const FlowNodeBranch *branch = (*type)->branches; branch && branch->name; branch++)
            assert_true(strlen(branch->summary) > 5);
    }
}

/* What may wait can be cancelled. */
static void test_cancel(void **state)
{
    (void)state;
    for (const FlowNodeType *const *type = flow_nodes_list(); *type; type++) {
        if ((*type)->call_size)
            assert_non_null((*type)->cancel);
    }
}

static void test_examples(void **state)
{
    (void)state;
    FlowRegistry *all = registry();
    for (const FlowNodeType *const *type = flow_nodes_list(); *type; type++) {
        FlowValue example = flow_node_type_example(*type);
        assert_int_equal(flow_value_kind(example), FLOW_VALUE_OBJECT);
        FlowBuilder builder = {.registry = all, .workflow_id = "example"};
        FlowProblems problems;
        flow_problems_init(&problems);
        FlowGraph *graph = flow_builder_build(&builder, example, &problems);
        for (size_t i = 0; i < problems.count; i++)
            print_error("%s: %s: %s\n", (*type)->name, problems.items[i].field, problems.items[i].message);
        assert_int_equal(problems.count, 0);
        bool shown = false;
        for (uint32_t i = 0; i < graph->node_count; i++)
            shown |= graph->nodes[i].type == *type;
        assert_true(shown);
        FlowValue form = flow_node_type_example_form(*type);
        assert_int_equal(flow_value_kind(form), FLOW_VALUE_OBJECT);
        flow_value_unref(form);
        flow_graph_unref(graph);
        flow_problems_done(&problems);
        flow_value_unref(example);
    }
    flow_registry_free(all);
}

static void write_docs(FlowBuf *to)
{
    static const char *const groups[] = {"producers", "blocking", "flow", "non-blocking"};
    static const char *const titles[] = {"Producers", "Blocking nodes", "Nodes that decide the way",
                                         "Non-blocking nodes"};
    FlowRegistry *all = registry();
    flow_buf_str(
        to,
        "# Node types\n\n<!-- Made from the tables in src/nodes by tests/unit/nodes/test_catalog.c: "
        "FLOW_UPDATE_DOCS=1 writes it anew. -->\n\n"
        "Fields marked * are required; an absent key takes the default first. Text fields take Jinja "
        "templates (docs/templates.md), unless said otherwise. A result is added to `data` under the key "
        "named; "
        "where that is taken it becomes `counter_2`, then `counter_3`. A type's pool says what it needs at "
        "least; a whole loop runs in the highest pool of its nodes.\n");
    for (size_t g = 0; g < FLOW_COUNT(groups); g++) {
        flow_buf_printf(to, "\n## %s\n", titles[g]);
        for (const FlowNodeType *const *type = flow_nodes_list(); *type; type++) {
            if (strcmp(flow_node_type_category(*type), groups[g]) != 0)
                continue;
            flow_buf_printf(to, "\n### %s\n\n", (*type)->name);
            flow_node_type_markdown(*type, flow_registry_schema(all, *type), to);
            FlowValue example = flow_node_type_example(*type);
            char *text = flow_json_text(example, FLOW_JSON_WRITE_PRETTY);
            flow_buf_printf(to, "```json\n%s\n```\n", text);
            free(text);
            flow_value_unref(example);
        }
    }
    flow_registry_free(all);
}

static void test_docs(void **state)
{
    (void)state;
    static const char path[] = FLOW_SOURCE_DIR "/docs/nodes.md";
    FlowBuf wanted;
    flow_buf_init(&wanted, 0);
    write_docs(&wanted);
    if (getenv("FLOW_UPDATE_DOCS")) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(wanted.data, 1, wanted.len, file), wanted.len);
        assert_int_equal(fclose(file), 0);
    }
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("docs/nodes.md is missing: run this test with FLOW_UPDATE_DOCS=1");
    char *found = flow_calloc(1, wanted.len + 2);
    size_t len = fread(found, 1, wanted.len + 1, file);
    fclose(file);
    if (len != wanted.len || memcmp(found, wanted.data, len) != 0)
        fail_msg("docs/nodes.md is not what the tables say: run this test with FLOW_UPDATE_DOCS=1");
    free(found);
    flow_buf_done(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_docs),
    };
    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
