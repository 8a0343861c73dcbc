/*
 * fuzz_workflow.c - workflow JSON -> FlowBuilder (with all built-in types) -> FlowAnalyzer, and what every plan
 * promises.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/analyzer.h"
#include "engine/builder.h"
#include "nodes/nodes.h"
#include "value/json.h"

#define CHECK(what)                                                                                          \
    do {                                                                                                     \
        if (!(what))                                                                                         \
            abort();                                                                                         \
    } while (0)

static void check_plan(const FlowGraph *graph, const FlowPlan *plan)
{
    uint32_t *slots = flow_calloc((size_t)plan->node_count + 1, sizeof(*slots));
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const FlowPlanNode *node = &plan->nodes[i];
        CHECK(node->def == &graph->nodes[node->node]);
        CHECK(node->fork <= i && (i == 0 || node->fork < i));
        CHECK((node->join != FLOW_GRAPH_NONE) == (node->in_count > 1));
        CHECK(node->dead_first <= node->dead_end && node->dead_end <= plan->slot_count);
        CHECK(node->body_end > i && node->body_end <= plan->node_count);
        CHECK(node->edge_first <= node->edge_end && node->edge_end <= plan->edge_count);
        for (uint32_t b = 0; b < node->def->branch_count; b++) {
            const FlowPlanBranch *branch = &node->branches[b];
            CHECK(branch->edge_first >= node->edge_first && branch->edge_end <= node->edge_end);
            CHECK(branch->dead_first <= branch->dead_end && branch->dead_end <= plan->slot_count);
        }
    }
    for (uint32_t e = 0; e < plan->edge_count; e++) {
        const FlowPlanEdge *edge = &plan->edges[e];
        CHECK(edge->source < edge->target && edge->target < plan->node_count);
        CHECK((edge->slot != FLOW_GRAPH_NONE) == (plan->nodes[edge->target].join != FLOW_GRAPH_NONE));
        CHECK(edge->slot == FLOW_GRAPH_NONE || plan->slots[edge->slot].edge == e);
    }
    for (uint32_t s = 0; s < plan->slot_count; s++) {
        CHECK(plan->slots[s].rank < plan->nodes[plan->slots[s].target].in_count);
        slots[plan->slots[s].target]++;
    }
    for (uint32_t i = 0; i < plan->node_count; i++)
        CHECK(plan->nodes[i].join == FLOW_GRAPH_NONE || slots[i] == plan->nodes[i].in_count);
    free(slots);
}

static void look_at(FlowGraph *graph)
{
    FlowAnalyzer *analyzer = flow_analyzer_new(graph);
    for (uint32_t i = 0; i < flow_analyzer_loop_count(analyzer); i++)
        check_plan(graph, flow_analyzer_loop(analyzer, i));
    uint32_t first = flow_analyzer_first_node(analyzer);
    if (first != FLOW_GRAPH_NONE) {
        FlowNodeSet set = flow_analyzer_downstream(analyzer, first, true);
        free(set.nodes);
        set = flow_analyzer_chain(analyzer, first, graph->node_count - 1, true);
        free(set.nodes);
    }
    flow_analyzer_unref(analyzer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FlowRegistry *registry;
    static const FlowJsonLimits limits = {.bytes = 1 << 16, .values = 1 << 14};
    if (!registry) {
        registry = flow_registry_new();
        CHECK(flow_nodes_register(registry, NULL) == FLOW_OK);
    }
    FlowValue definition;
    if (flow_json_read((const char *)data, size, &limits, &definition, NULL) != FLOW_OK)
        return 0;
    FlowBuilder builder = {.registry = registry, .workflow_id = "fuzz"};
    FlowProblems problems;
    flow_problems_init(&problems);
    FlowGraph *graph = flow_builder_build(&builder, definition, &problems);
    CHECK(graph->is_sound == (problems.errors == 0));
    look_at(graph);
    flow_graph_unref(graph);
    flow_problems_done(&problems);
    flow_value_unref(definition);
    return 0;
}
