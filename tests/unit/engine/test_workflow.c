/* Reading definitions: shapes, keys, ids, settings, config. One row each, against a server that knows the test types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "graph_notation.h"
#include "value/json.h"

typedef struct Row {
    const char *name, *definition;
    const char *problems; /* "CODE field", separated by ", " */
} Row;

#define ONE(text)    "{\"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"" text "}]}"
#define CONFIG(text) ONE(", \"data\": {\"config\": {" text "}}")
#define TWO(text)                                                                                            \
    "{\"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}, {\"id\": \"2\", \"type\": \"test-node\"}], " \
    "\"edges\": "                                                                                            \
    "[{\"id\": \"e\", \"source\": \"1\", \"target\": \"2\"" text "}]}"

static const Row rows[] = {
    {"an array", "[]", "WORKFLOW_MALFORMED "},
    {"null", "null", "WORKFLOW_MALFORMED "},
    {"nodes that are no array", "{\"nodes\": {}}", "WORKFLOW_MALFORMED nodes, PRODUCER_MISSING nodes"},
    {"nodes that are null", "{\"nodes\": null, \"edges\": null}", "PRODUCER_MISSING nodes"},
    {"a node that is no object", "{\"nodes\": [1]}", "WORKFLOW_MALFORMED nodes[0], PRODUCER_MISSING nodes"},
    {"a node without id", "{\"nodes\": [{\"type\": \"test-producer\"}]}",
     "WORKFLOW_MALFORMED nodes[0].id, PRODUCER_MISSING nodes"},
    {"an id that is a number", "{\"nodes\": [{\"id\": 1, \"type\": \"test-producer\"}]}",
     "WORKFLOW_MALFORMED nodes[0].id, PRODUCER_MISSING nodes"},
    {"an empty id", "{\"nodes\": [{\"id\": \"\", \"type\": \"test-producer\"}]}",
     "VALUE_INVALID nodes[0].id, PRODUCER_MISSING nodes"},
    {"an id with a NUL", "{\"nodes\": [{\"id\": \"a\\u0000b\", \"type\": \"test-producer\"}]}",
     "VALUE_INVALID nodes[0].id, PRODUCER_MISSING nodes"},
    {"an id of another script", "{\"nodes\": [{\"id\": \"\\u00e4\\u65e5\", \"type\": \"test-producer\"}]}",
     ""},
    {"a node without type", "{\"nodes\": [{\"id\": \"1\"}]}", "NODE_TYPE_UNKNOWN nodes[0].type"},
    {"a type that is a number", "{\"nodes\": [{\"id\": \"1\", \"type\": 5}]}",
     "WORKFLOW_MALFORMED nodes[0].type, NODE_TYPE_UNKNOWN nodes[0].type"},
    {"a position", ONE(", \"position\": {\"x\": 1, \"y\": -2.5}"), ""},
    {"a position with z", ONE(", \"position\": {\"x\": 1, \"y\": 2, \"z\": 3}"),
     "UNKNOWN_FIELD nodes[0].position.z"},
    {"a position of text", ONE(", \"position\": {\"x\": \"1\"}"), "WORKFLOW_MALFORMED nodes[0].position.x"},
    {"data that is a list", ONE(", \"data\": []"), "WORKFLOW_MALFORMED nodes[0].data"},
    {"a form that is a list", ONE(", \"data\": {\"form\": []}"), "WORKFLOW_MALFORMED nodes[0].data.form"},
    {"nulls are absent",
     ONE(", \"position\": null, \"data\": {\"form\": null, \"config\": null, \"label\": null}"), ""},
    {"a label", ONE(", \"data\": {\"label\": \"Start\"}"), ""},

    {"editors' keys",
     "{\"viewport\": {\"x\": 0, \"y\": 0, \"zoom\": 1}, \"nodes\": [{\"id\": \"1\", \"type\": "
     "\"test-producer\", "
     "\"selected\": true, \"dragging\": false, \"measured\": {\"width\": 150}, \"style\": {}, \"width\": 1, "
     "\"height\": 1, \"positionAbsolute\": {}, \"sourcePosition\": \"right\", \"targetPosition\": \"left\", "
     "\"zIndex\": 1, \"parentId\": \"9\", \"extent\": \"parent\", \"data\": {\"icon\": \"x\", \"title\": "
     "\"y\"}}]}",
     ""},
    {"edges' editors' keys",
     TWO(", \"type\": \"smoothstep\", \"animated\": true, \"style\": {}, \"label\": \"x\", \"markerEnd\": "
         "{}, "
         "\"selected\": false, \"data\": {}, \"zIndex\": 0, \"sourceX\": 1, \"interactionWidth\": 20"),
     ""},
    {"a near miss at an edge", TWO(", \"souceHandle\": \"yes\""), "NAME_SUSPICIOUS edges[0].souceHandle"},
    {"a near miss at a node", ONE(", \"positon\": {}"), "NAME_SUSPICIOUS nodes[0].positon"},
    {"a near miss in data", ONE(", \"data\": {\"confg\": {}}"), "NAME_SUSPICIOUS nodes[0].data.confg"},
    {"another case is a near miss", ONE(", \"data\": {\"Form\": {}}"), "NAME_SUSPICIOUS nodes[0].data.Form"},
    {"a near miss at the top", "{\"nodez\": [], \"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}]}",
     "NAME_SUSPICIOUS nodez"},

    {"an edge that is no object",
     "{\"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}], \"edges\": [null]}",
     "WORKFLOW_MALFORMED edges[0]"},
    {"an edge without ends", "{\"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}], \"edges\": [{}]}",
     "WORKFLOW_MALFORMED edges[0].source, WORKFLOW_MALFORMED edges[0].target"},
    {"an edge without id",
     "{\"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}, {\"id\": \"2\", \"type\": \"test-node\"}], "
     "\"edges\": "
     "[{\"source\": \"1\", \"target\": \"2\"}]}",
     ""},
    {"two edges with one id",
     "{\"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}, {\"id\": \"2\", \"type\": \"test-node\"}], "
     "\"edges\": "
     "[{\"id\": \"e\", \"source\": \"1\", \"target\": \"2\"}, {\"id\": \"e\", \"source\": \"1\", \"target\": "
     "\"2\"}]}",
     "EDGE_ID_DUPLICATE edges[1].id"},
    {"ends that are missing",
     "{\"nodes\": [], \"edges\": [{\"id\": \"e\", \"source\": \"a\", \"target\": \"b\"}]}",
     "EDGE_SOURCE_MISSING edges[0].source, EDGE_TARGET_MISSING edges[0].target, PRODUCER_MISSING nodes"},
    {"a handle by its other spelling", TWO(", \"source_handle\": \"nowhere\""),
     "EDGE_HANDLE_UNKNOWN edges[0].sourceHandle"},
    {"a handle that is a number", TWO(", \"sourceHandle\": 1"), "WORKFLOW_MALFORMED edges[0].sourceHandle"},
    {"an empty handle", TWO(", \"sourceHandle\": \"\", \"targetHandle\": \"in\""), ""},

    {"an id for the workflow", "{\"id\": \"a b\", \"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}]}",
     "VALUE_INVALID id"},
    {"a name that is a number", "{\"name\": 5, \"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}]}",
     "WORKFLOW_MALFORMED name"},
    {"labels", "{\"labels\": {\"team\": \"a\"}, \"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}]}",
     ""},
    {"a label that is a number",
     "{\"labels\": {\"team\": 1}, \"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}]}",
     "WORKFLOW_MALFORMED labels.team"},
    {"lenient",
     "{\"settings\": {\"undefined\": \"lenient\"}, \"nodes\": [{\"id\": \"1\", \"type\": "
     "\"test-producer\"}]}",
     ""},
    {"neither strict nor lenient",
     "{\"settings\": {\"undefined\": \"maybe\"}, \"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}]}",
     "VALUE_INVALID settings.undefined"},
    {"an unknown setting",
     "{\"settings\": {\"undefinde\": 1}, \"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}]}",
     "UNKNOWN_FIELD settings.undefinde"},

    {"all of config",
     CONFIG("\"timeout\": \"1.5s\", \"pool\": \"thread\", \"on_error\": \"pause\", \"error_threshold\": 3, "
            "\"on_interrupt\": \"requeue\", \"max_in_flight\": 10, \"start_durable\": true"),
     ""},
    {"an unknown key", CONFIG("\"retries\": 3"), "CONFIG_INVALID nodes[0].data.config.retries"},
    {"a key by another spelling", CONFIG("\"onError\": \"stop\""),
     "CONFIG_INVALID nodes[0].data.config.onError"},
    {"a timeout that is a number", CONFIG("\"timeout\": 5"), "CONFIG_INVALID nodes[0].data.config.timeout"},
    {"a timeout of nothing", CONFIG("\"timeout\": \"0s\""), "CONFIG_INVALID nodes[0].data.config.timeout"},
    {"a negative timeout", CONFIG("\"timeout\": \"-1s\""), "CONFIG_INVALID nodes[0].data.config.timeout"},
    {"a timeout in ms", CONFIG("\"timeout\": \"5ms\""), "CONFIG_INVALID nodes[0].data.config.timeout"},
    {"a timeout too fine", CONFIG("\"timeout\": \"1.0000000001s\""),
     "CONFIG_INVALID nodes[0].data.config.timeout"},
    {"a nanosecond", CONFIG("\"timeout\": \"0.000000001s\""), ""},
    {"an unknown pool", CONFIG("\"pool\": \"gpu\""), "CONFIG_INVALID nodes[0].data.config.pool"},
    {"a pool in upper case", CONFIG("\"pool\": \"PROCESS\""), ""},
    {"an unknown policy", CONFIG("\"on_error\": \"retry\""), "CONFIG_INVALID nodes[0].data.config.on_error"},
    {"an unknown interrupt policy", CONFIG("\"on_interrupt\": 1"),
     "CONFIG_INVALID nodes[0].data.config.on_interrupt"},
    {"no threshold", CONFIG("\"error_threshold\": 0"), "CONFIG_INVALID nodes[0].data.config.error_threshold"},
    {"a threshold with a fraction", CONFIG("\"error_threshold\": 1.5"),
     "CONFIG_INVALID nodes[0].data.config.error_threshold"},
    {"a threshold as a float", CONFIG("\"error_threshold\": 2.0"), ""},
    {"too much in flight", CONFIG("\"max_in_flight\": 10001"),
     "CONFIG_INVALID nodes[0].data.config.max_in_flight"},
    {"durable, more or less", CONFIG("\"start_durable\": 1"),
     "CONFIG_INVALID nodes[0].data.config.start_durable"},
    {"a loop's setting elsewhere",
     "{\"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}, {\"id\": \"2\", \"type\": \"test-node\", "
     "\"data\": "
     "{\"config\": {\"timeout\": \"1s\", \"on_error\": \"stop\", \"max_in_flight\": 1}}}], \"edges\": "
     "[{\"id\": \"e\", "
     "\"source\": \"1\", \"target\": \"2\"}]}",
     "CONFIG_INVALID nodes[1].data.config.on_error, CONFIG_INVALID nodes[1].data.config.max_in_flight"},
    {"a pool below the type's",
     "{\"nodes\": [{\"id\": \"1\", \"type\": \"test-producer\"}, {\"id\": \"2\", \"type\": \"test-thread\", "
     "\"data\": "
     "{\"config\": {\"pool\": \"async\"}}}], \"edges\": [{\"id\": \"e\", \"source\": \"1\", \"target\": "
     "\"2\"}]}",
     "CONFIG_INVALID nodes[1].data.config.pool"},
};

static FlowGraph *build(FlowRegistry *registry, const char *definition, FlowProblems *problems)
{
    FlowValue value;
    FlowError error;
    if (flow_json_read(definition, strlen(definition), NULL, &value, &error) != FLOW_OK)
        fail_msg("%s: %s", error.message, definition);
    FlowBuilder builder = {.registry = registry, .workflow_id = "wf"};
    flow_problems_init(problems);
    FlowGraph *graph = flow_builder_build(&builder, value, problems);
    flow_value_unref(value);
    return graph;
}

static void check_row(void **state)
{
    const Row *row = *state;
    FlowRegistry *registry = test_registry();
    FlowProblems problems;
    FlowGraph *graph = build(registry, row->definition, &problems);
    FlowBuf said;
    flow_buf_init(&said, 0);
    for (size_t i = 0; i < problems.count; i++)
        flow_buf_printf(&said, "%s%s %s", i ? ", " : "", flow_problem_code_name(problems.items[i].code),
                        problems.items[i].field);
    assert_int_equal(strncmp(flow_buf_text(&said), row->problems, strlen(row->problems)), 0);
    if (*row->problems && row->problems[strlen(row->problems) - 1] != ' ')
        assert_string_equal(flow_buf_text(&said), row->problems);
    if (!*row->problems)
        assert_string_equal(flow_buf_text(&said), "");
    flow_buf_done(&said);
    flow_graph_unref(graph);
    flow_problems_done(&problems);
    flow_registry_free(registry);
}

static void test_config_is_read(void **state)
{
    (void)state;
    FlowRegistry *registry = test_registry();
    FlowProblems problems;
    FlowGraph *graph =
        build(registry,
              CONFIG("\"timeout\": \"1.5s\", \"pool\": \"thread\", \"on_error\": \"pause\", "
                     "\"error_threshold\": 3, \"on_interrupt\": \"requeue\", \"max_in_flight\": 10, "
                     "\"start_durable\": true"),
              &problems);
    const FlowNodeConfig *config = &graph->nodes[0].config;
    assert_int_equal(config->timeout_ns, 1500000000);
    assert_int_equal(config->on_error, FLOW_ON_ERROR_PAUSE);
    assert_int_equal(config->error_threshold, 3);
    assert_int_equal(config->on_interrupt, FLOW_ON_INTERRUPT_REQUEUE);
    assert_int_equal(config->max_in_flight, 10);
    assert_true(config->start_durable);
    assert_int_equal(graph->nodes[0].pool, FLOW_POOL_THREAD);
    flow_graph_unref(graph);
    flow_problems_done(&problems);
    graph = build(registry, ONE(""), &problems);
    config = &graph->nodes[0].config;
    assert_int_equal(config->timeout_ns, 0);
    assert_int_equal(config->on_error, FLOW_ON_ERROR_CONTINUE);
    assert_int_equal(config->max_in_flight, FLOW_MAX_IN_FLIGHT_DEFAULT);
    assert_false(config->start_durable);
    flow_graph_unref(graph);
    flow_problems_done(&problems);
    flow_registry_free(registry);
}

static void test_messages(void **state)
{
    (void)state;
    FlowRegistry *registry = test_registry();
    FlowProblems problems;
    FlowGraph *graph =
        build(registry, "{\"nodes\": [{\"id\": \"1\", \"type\": \"test-producr\"}]}", &problems);
    assert_string_equal(problems.items[0].message,
                        "unknown node type 'test-producr': did you mean 'test-producer'?");
    FlowError error;
    assert_int_equal(flow_problems_to_error(&problems, &error), FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "WORKFLOW_INVALID");
    assert_string_equal(error.where, "nodes[0].type");
    flow_graph_unref(graph);
    flow_problems_done(&problems);
    graph = build(registry, TWO(", \"souceHandle\": \"x\""), &problems);
    assert_string_equal(
        problems.items[0].message,
        "'souceHandle' is kept for the editor and otherwise ignored: did you mean 'sourceHandle'?");
    assert_string_equal(problems.items[0].edge_id, "e");
    assert_int_equal(flow_problems_to_error(&problems, &error), FLOW_OK);
    assert_true(graph->is_sound);
    flow_graph_unref(graph);
    flow_problems_done(&problems);
    flow_registry_free(registry);
}

/* A list that is full goes on counting; long and odd texts are made fit to be shown. */
static void test_problem_bounds(void **state)
{
    (void)state;
    FlowProblems problems;
    flow_problems_init(&problems);
    char *long_text = flow_calloc(1, 5000);
    memset(long_text, 'x', 4999);
    memcpy(long_text, "a\nb\x01", 4);
    for (int i = 0; i < FLOW_PROBLEMS_MAX + 5; i++)
        flow_problems_add(&problems, FLOW_PROBLEM_VALUE_INVALID, long_text, NULL, NULL, "%s", long_text);
    assert_int_equal(problems.count, FLOW_PROBLEMS_MAX);
    assert_int_equal(problems.errors, FLOW_PROBLEMS_MAX + 5);
    assert_true(strlen(problems.items[0].message) < 1100);
    assert_int_equal(strncmp(problems.items[0].message, "a b x", 5), 0);
    free(long_text);
    flow_problems_done(&problems);
    char brief[FLOW_BRIEF_TEXT];
    assert_string_equal(flow_brief(brief, "short", 5), "short");
    char wide[200];
    for (int i = 0; i < 100; i++)
        memcpy(wide + 2 * i, "\xc3\xa4", 2);
    flow_brief(brief, wide, sizeof(wide));
    assert_int_equal(strlen(brief), 83);
    assert_string_equal(brief + 80, "\xe2\x80\xa6");
}

/* Every code is explained to people. */
static void test_codes_are_documented(void **state)
{
    (void)state;
    FILE *file = fopen(FLOW_SOURCE_DIR "/docs/workflow-format.md", "r");
    assert_non_null(file);
    char *text = flow_calloc(1, 1 << 18);
    assert_true(fread(text, 1, (1 << 18) - 1, file) > 0);
    fclose(file);
    for (int code = 0; code < FLOW_PROBLEM_CODE_COUNT; code++) {
        char row[512];
        snprintf(row, sizeof(row), "| `%s` | %s | %s |", flow_problem_code_name((FlowProblemCode)code),
                 flow_problem_code_severity((FlowProblemCode)code) == FLOW_SEVERITY_ERROR ? "error"
                                                                                          : "warning",
                 flow_problem_code_summary((FlowProblemCode)code));
        if (!strstr(text, row))
            fail_msg("docs/workflow-format.md lacks the row: %s", row);
    }
    free(text);
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(test_config_is_read),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_problem_bounds),
        cmocka_unit_test(test_codes_are_documented),
    };
    static struct CMUnitTest tests[FLOW_COUNT(rows) + FLOW_COUNT(others)];
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, (void *)&rows[i]};
    memcpy(tests + FLOW_COUNT(rows), others, sizeof(others));
    return cmocka_run_group_tests_name("workflow", tests, NULL, NULL);
}
