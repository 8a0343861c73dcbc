#include "graph_notation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static FlowNodeOutcome pass(FlowNodeCall *call)
{
    (void)call;
    return FLOW_NODE_DONE;
}

static const FlowNodeBranch yes_no[] = {{"yes", ""}, {"no", ""}, {NULL, NULL}};
static const FlowNodeBranch body_default[] = {{"body", ""}, {"default", ""}, {NULL, NULL}};

#define COMMON .summary = "For tests.", .version = 1, .start = pass

static const FlowNodeType types[] = {
    {.name = "test-producer", .kind = FLOW_NODE_PRODUCER, COMMON},
    {.name = "test-reader", .kind = FLOW_NODE_PRODUCER, .flags = FLOW_NODE_READS_QUEUE, COMMON},
    {.name = "test-writer", .kind = FLOW_NODE_NON_BLOCKING, .flags = FLOW_NODE_WRITES_QUEUE, COMMON},
    {.name = "test-condition", .kind = FLOW_NODE_CONDITIONAL, .branches = yes_no, COMMON},
    {.name = "test-non-blocking", .kind = FLOW_NODE_NON_BLOCKING, COMMON},
    {.name = "test-for-each",
     .kind = FLOW_NODE_BLOCKING,
     .flags = FLOW_NODE_FOR_EACH,
     .branches = body_default,
     COMMON},
    {.name = "test-thread", .kind = FLOW_NODE_BLOCKING, .pool = FLOW_POOL_THREAD, COMMON},
    {.name = "test-end", .kind = FLOW_NODE_NON_BLOCKING, .flags = FLOW_NODE_LAST, COMMON},
    {.name = "test-node", .kind = FLOW_NODE_BLOCKING, COMMON},
};

FlowRegistry *test_registry(void)
{
    FlowRegistry *registry = flow_registry_new();
    for (size_t i = 0; i < FLOW_COUNT(types); i++) {
        FlowError error;
        if (flow_registry_add(registry, &types[i], &error) != FLOW_OK) {
            fprintf(stderr, "%s\n", error.message);
            abort();
        }
    }
    return registry;
}

static const char *type_of(char letter)
{
    switch (letter) {
    case 'p':
        return "test-producer";
    case 'r':
        return "test-reader";
    case 'w':
        return "test-writer";
    case 'c':
        return "test-condition";
    case 'n':
        return "test-non-blocking";
    case 'f':
        return "test-for-each";
    case 'e':
        return "test-end";
    case 't':
        return "test-thread";
    case 'u':
        return "test-unheard-of";
    default:
        return "test-node";
    }
}

static void set(FlowValue *object, const char *key, FlowValue value_take)
{
    if (flow_object_set_take(object, key, value_take, NULL) != FLOW_OK)
        abort();
}

static void add_node(FlowValue *nodes, const char *id, size_t len, const char *queue, size_t queue_len)
{
    for (size_t i = 0; i < flow_array_count(*nodes); i++) {
        const FlowValue *known = flow_object_get(*flow_array_at(*nodes, i), "id");
        if (flow_value_length(known) == len && memcmp(flow_value_text(known), id, len) == 0 && !queue)
            return;
    }
    FlowValue node = flow_value_object(), data = flow_value_object(), form = flow_value_object();
    if (queue)
        set(&form, "queue_name", flow_value_stringn(queue, queue_len));
    set(&data, "form", form);
    set(&node, "id", flow_value_stringn(id, len));
    set(&node, "type", flow_value_string(type_of(id[0])));
    set(&node, "data", data);
    if (flow_array_push_take(nodes, node, NULL) != FLOW_OK)
        abort();
}

FlowValue test_definition(const char *notation)
{
    FlowValue nodes = flow_value_array(), edges = flow_value_array(), workflow = flow_value_object();
    while (*notation) {
        size_t len = strcspn(notation, " ");
        const char *arrow = memchr(notation, '>', len), *equals = memchr(notation, '=', len);
        if (equals) {
            add_node(&nodes, notation, (size_t)(equals - notation), equals + 1,
                     (size_t)(notation + len - equals - 1));
        } else if (!arrow) {
            add_node(&nodes, notation, len, NULL, 0);
        } else {
            size_t source = (size_t)(arrow - notation), target = len - source - 1;
            const char *dot = memchr(notation, '.', source);
            char id[32];
            FlowValue edge = flow_value_object();
            snprintf(id, sizeof(id), "e%zu", flow_array_count(edges));
            set(&edge, "id", flow_value_string(id));
            set(&edge, "sourceHandle",
                dot ? flow_value_stringn(dot + 1, (size_t)(arrow - dot - 1)) : flow_value_null());
            source = dot ? (size_t)(dot - notation) : source;
            set(&edge, "source", flow_value_stringn(notation, source));
            set(&edge, "target", flow_value_stringn(arrow + 1, target));
            add_node(&nodes, notation, source, NULL, 0);
            add_node(&nodes, arrow + 1, target, NULL, 0);
            if (flow_array_push_take(&edges, edge, NULL) != FLOW_OK)
                abort();
        }
        notation += len;
        notation += strspn(notation, " ");
    }
    set(&workflow, "nodes", nodes);
    set(&workflow, "edges", edges);
    return workflow;
}

FlowGraph *test_build(FlowRegistry *registry, const char *notation, FlowProblems *problems)
{
    FlowValue definition = test_definition(notation);
    FlowBuilder builder = {.registry = registry, .workflow_id = "wf"};
    flow_problems_init(problems);
    FlowGraph *graph = flow_builder_build(&builder, definition, problems);
    flow_value_unref(definition);
    return graph;
}
