/* What the builder says about graphs, one row each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "graph_notation.h"

typedef struct Row {
    const char *name, *graph;
    const char *problems; /* "CODE node[/edge]", separated by ", "; "" for none */
} Row;

static const Row rows[] = {
    {"one producer alone", "p", ""},
    {"a chain", "p>a a>b", ""},
    {"a diamond joins again", "p>a p>b a>j b>j", ""},
    {"two producers share a node", "p1>a p2>a", ""},
    {"two edges to one target", "p>a p>a", ""},
    {"no producer", "a>b", "PRODUCER_MISSING, NODE_UNREACHABLE a, NODE_UNREACHABLE b"},
    {"nothing at all", "", "PRODUCER_MISSING"},
    {"an unreachable node", "p>a x", "NODE_UNREACHABLE x"},
    {"an unreachable island", "p>a x>y", "NODE_UNREACHABLE x, NODE_UNREACHABLE y"},

    {"behind an end", "p>e e>a a>b", "BRANCH_UNREACHABLE a, BRANCH_UNREACHABLE b"},
    {"behind an end, but not only", "p>e e>a p>a", "JOIN_ACROSS_NON_BLOCKING a/e1"},
    {"an end is an end", "p>c c.yes>e c.no>a", ""},

    {"unknown type", "p>u", "NODE_TYPE_UNKNOWN u"},
    {"behind an unknown type nothing is unreachable", "u>a a>b", "NODE_TYPE_UNKNOWN u"},
    {"the default handle by its name", "p>a p.default>b", ""},
    {"unknown handle", "p.out>a", "EDGE_HANDLE_UNKNOWN p/e0"},
    {"handles in any case", "p>c c.Yes>a c.NO>b p.Default>d", ""},
    {"a conditional has no default", "p>c c>a", "EDGE_HANDLE_UNKNOWN c/e1"},
    {"any handle of an unknown type", "u.left>a u.right>b", "NODE_TYPE_UNKNOWN u"},
    {"edge into a producer", "p>a a>p2", "EDGE_INTO_PRODUCER p2/e1"},
    {"edge into a reader from a blocking node", "r=x p>a a>r r>b", "EDGE_INTO_PRODUCER r/e1"},
    {"writer into a producer", "w=q p>w w>p2", "EDGE_INTO_PRODUCER p2/e1"},

    {"a node feeding itself", "p>a a>a", "LOOP_CYCLE a/e1"},
    {"a ring of two", "p>a a>b b>a", "LOOP_CYCLE a/e2"},
    {"a ring behind a healthy head", "p>a a>b b>c c.yes>b c.no>d", "LOOP_CYCLE b/e3"},
    {"two rings are two problems", "p>a a>b b>a p>x x>y y>x", "LOOP_CYCLE a/e2, LOOP_CYCLE x/e5"},
    {"rings that touch are one", "p>a a>b b>a b>d d>b", "LOOP_CYCLE a/e2"},
    {"a ring that no producer reaches", "p>z a>b b>a",
     "LOOP_CYCLE a/e2, NODE_UNREACHABLE a, NODE_UNREACHABLE b"},
    {"no ring through a queue", "p>w w>r r>a a>w2 w2>r2 r2>b", ""},

    {"join with a non-blocking node on one way", "p>n p>b n>j b>j", "JOIN_ACROSS_NON_BLOCKING j/e2"},
    {"join with a non-blocking node on each way", "p>n1 p>n2 n1>j n2>j", "JOIN_ACROSS_NON_BLOCKING j/e2"},
    {"join at a non-blocking node", "p>a p>b a>n b>n n>c c.yes>d", ""},
    {"join wholly behind a non-blocking node", "p>n n>a n>b a>j b>j", ""},
    {"join behind, the fork two steps further", "p>n n>x x>a x>b a>j b>j", ""},
    {"a way around a non-blocking node", "p>n p>j n>j", "JOIN_ACROSS_NON_BLOCKING j/e2"},
    {"exclusive branches may differ", "p>c c.yes>n c.no>b n>j b>j", ""},
    {"exclusive branches, one direct", "p>c c.yes>n n>j c.no>j", ""},
    {"one branch that forks isn't exclusive", "p>c c.yes>n c.yes>b n>j b>j", "JOIN_ACROSS_NON_BLOCKING j/e3"},
    {"direct edge in the same branch", "p>c c.yes>n n>j c.yes>j", "JOIN_ACROSS_NON_BLOCKING j/e2"},
    {"exclusive, then joined with a third way", "p>c p>z c.yes>n c.no>b n>j b>j j>k z>k",
     "JOIN_ACROSS_NON_BLOCKING k/e6"},
    {"exclusive, then forked and joined", "p>c c.yes>n c.no>b n>j b>j j>x j>y x>k y>k", ""},
    {"exclusive behind a join of its own", "p>a p>b a>c b>c c.yes>n n>j c.no>j", ""},
    {"join in a loop is no join in another", "p1>n n>j p2>j", ""},
    {"a body waits for non-blocking nodes", "p>f f.body>n f.body>b n>j b>j f.default>x", ""},

    {"for-each", "p>f f.body>b f.default>d", ""},
    {"for-each without body", "p>f f.default>d", ""},
    {"body and default share a node", "p>f f.body>b f.default>d b>x d>x", "FOR_EACH_SHARED x/e4"},
    {"body leads to default's node", "p>f f.body>d f.default>d", "FOR_EACH_SHARED d/e2"},
    {"a body entered from outside", "p>f p>b f.body>b f.default>d", "FOR_EACH_SHARED b/e2"},
    {"a nested for-each", "p>f1 f1.body>f2 f2.body>x f2.default>y f1.default>z", ""},
    {"nested bodies share", "p>f1 f1.body>f2 f2.body>x f2.default>x f1.default>z", "FOR_EACH_SHARED x/e3"},
    {"default joins with others", "p>f p>b f.body>x f.default>j b>j", ""},

    {"sixteen bodies",
     "p>f1 f1.body>f2 f2.body>f3 f3.body>f4 f4.body>f5 f5.body>f6 f6.body>f7 f7.body>f8 f8.body>f9 "
     "f9.body>fa fa.body>fb fb.body>fc fc.body>fd fd.body>fe fe.body>ff ff.body>fg fg.body>x",
     ""},
    {"seventeen bodies",
     "p>f1 f1.body>f2 f2.body>f3 f3.body>f4 f4.body>f5 f5.body>f6 f6.body>f7 f7.body>f8 f8.body>f9 "
     "f9.body>fa fa.body>fb fb.body>fc fc.body>fd fd.body>fe fe.body>ff ff.body>fg fg.body>fh fh.body>x",
     "FOR_EACH_TOO_DEEP x"},

    {"a reader without name and writer", "r>a", "QUEUE_UNNAMED r"},
    {"a reader with a name", "r=q r>a", ""},
    {"an id that comes twice", "p>a a=x", "NODE_ID_DUPLICATE a"},
    {"a writer without name and reader", "p>w", "QUEUE_UNNAMED w"},
    {"a template as a name", "p w={{x}} p>w", "QUEUE_NAME_INVALID w"},
    {"no id as a name", "p w=a/b p>w", "QUEUE_NAME_INVALID w"},
    {"names that differ on an edge", "w=a r=b p>w w>r", "QUEUE_NAME_CONFLICT w/e1"},
    {"writers that differ", "w1=a w2=b p>w1 p>w2 w1>r w2>r", "QUEUE_NAME_CONFLICT w2/e3"},
    {"one name for all", "w1=a w2=a r=a p>w1 p>w2 w1>r w2>r", ""},
    {"readers that name different queues", "r1=a r2=b p>w w>r1 w>r2", ""},
    {"loops that feed each other", "p>w w>r r>w2 w2>r2 r2>w3 w3>r", "QUEUE_CYCLE r"},
    {"a loop that feeds itself", "w=q r=q p>w r>w", "QUEUE_CYCLE r"},
    {"a cycle by names alone", "r1=a w1=b r2=b w2=a r1>w1 r2>w2", "QUEUE_CYCLE r1"},
};

static void check_row(void **state)
{
    const Row *row = *state;
    FlowRegistry *registry = test_registry();
    FlowProblems problems;
    FlowGraph *graph = test_build(registry, row->graph, &problems);
    FlowBuf said;
    flow_buf_init(&said, 0);
    for (size_t i = 0; i < problems.count; i++) {
        const FlowProblem *problem = &problems.items[i];
        flow_buf_printf(&said, "%s%s%s%s%s%s", i ? ", " : "", flow_problem_code_name(problem->code),
                        *problem->node_id ? " " : "", problem->node_id, *problem->edge_id ? "/" : "",
                        problem->edge_id);
        assert_true(strlen(problem->message) > 10);
    }
    assert_string_equal(flow_buf_text(&said), row->problems);
    assert_int_equal(graph->is_sound, problems.errors == 0);
    /* Whatever is wrong with it, it can be looked at. */
    FlowAnalyzer *analyzer = flow_analyzer_new(graph);
    flow_analyzer_unref(analyzer);
    flow_buf_done(&said);
    flow_graph_unref(graph);
    flow_problems_done(&problems);
    flow_registry_free(registry);
}

/* The list of post-processors can be extended; all of them get faulty graphs, too. */
static uint32_t nodes_seen, untyped_seen;

static void count_nodes(FlowGraph *graph, FlowProblems *problems)
{
    nodes_seen = graph->node_count;
    untyped_seen = 0;
    for (uint32_t i = 0; i < graph->node_count; i++)
        untyped_seen += graph->nodes[i].type == NULL;
    flow_problems_add(problems, FLOW_PROBLEM_NODE_NOT_READY, "p", NULL, NULL,
                      "the third post-processor says so");
}

static void test_post_processors(void **state)
{
    (void)state;
    static const FlowPostProcessor list[] = {
        {"QueueMapper", flow_queue_mapper_run}, {"Counter", count_nodes}, {NULL, NULL}};
    FlowRegistry *registry = test_registry();
    FlowValue definition = test_definition("p>u u>w w>r");
    FlowBuilder builder = {.registry = registry, .workflow_id = "wf", .post_processors = list};
    FlowProblems problems;
    flow_problems_init(&problems);
    FlowGraph *graph = flow_builder_build(&builder, definition, &problems);
    assert_int_equal(nodes_seen, 4);
    assert_int_equal(untyped_seen, 1);
    assert_int_equal(problems.errors, 2);
    assert_int_equal(graph->queue_count, 1);
    assert_false(graph->is_sound);
    flow_graph_unref(graph);
    flow_problems_done(&problems);
    flow_value_unref(definition);
    flow_registry_free(registry);
}

/* The workflow's own id serves where the builder gets none; very long names end with a hash. */
static void test_mapped_names(void **state)
{
    (void)state;
    FlowRegistry *registry = test_registry();
    FlowValue definition = test_definition("p>w w>r");
    FlowBuilder builder = {.registry = registry};
    FlowProblems problems;
    flow_problems_init(&problems);
    assert_int_equal(flow_object_set_take(&definition, "id", flow_value_string("mine"), NULL), FLOW_OK);
    FlowGraph *graph = flow_builder_build(&builder, definition, &problems);
    assert_string_equal(graph->queues[0].name, "mine.queue_w_r");
    flow_graph_unref(graph);
    flow_value_unref(definition);
    char slashes[101] = "", notation[400];
    memset(slashes, '/', 100);
    snprintf(notation, sizeof(notation), "p>w%s w%s>r", slashes, slashes);
    definition = test_definition(notation);
    graph = flow_builder_build(&builder, definition, &problems);
    assert_int_equal(strlen(graph->queues[0].name), 233);
    assert_int_equal(strncmp(graph->queues[0].name, "queue_w%2F%2F", 13), 0);
    assert_int_equal(problems.count, 0);
    flow_graph_unref(graph);
    flow_value_unref(definition);
    flow_problems_done(&problems);
    flow_registry_free(registry);
}

int main(void)
{
    static const struct CMUnitTest others[] = {cmocka_unit_test(test_post_processors),
                                               cmocka_unit_test(test_mapped_names)};
    static struct CMUnitTest tests[FLOW_COUNT(rows) + FLOW_COUNT(others)];
    memcpy(tests + FLOW_COUNT(rows), others, sizeof(others));
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, (void *)&rows[i]};
    return cmocka_run_group_tests_name("builder", tests, NULL, NULL);
}
