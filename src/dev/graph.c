/* graph.c - definitions as Development Mode sees them: edges by their target, and what is in the way of a node. */
#include <string.h>

#include "dev/dev_internal.h"

static void make_plan(DevPlan *self, const FlowGraph *graph, const FlowPlan *plan)
{
    self->plan = plan;
    self->graph = graph;
    self->place = flow_malloc((graph->node_count + 1) * sizeof *self->place);
    self->in_first = flow_calloc(plan->node_count + 2, sizeof *self->in_first);
    self->in_edges = flow_calloc(plan->edge_count + 1, sizeof *self->in_edges);
    for (uint32_t i = 0; i < graph->node_count; i++)
        self->place[i] = FLOW_GRAPH_NONE;
    for (uint32_t i = 0; i < plan->node_count; i++)
        self->place[plan->nodes[i].node] = i;
    for (uint32_t e = 0; e < plan->edge_count; e++)
        self->in_first[plan->edges[e].target + 1]++;
    for (uint32_t i = 0; i < plan->node_count; i++)
        self->in_first[i + 1] += self->in_first[i];

    /* A graph's edges lie in the order of the definition; so each target's do, too, when they are dealt out in it. */
    uint32_t *by_edge = flow_malloc((graph->edge_count + 1) * sizeof *by_edge);
    uint32_t *next = flow_malloc((plan->node_count + 1) * sizeof *next);
    for (uint32_t e = 0; e < graph->edge_count; e++)
        by_edge[e] = FLOW_GRAPH_NONE;
    for (uint32_t e = 0; e < plan->edge_count; e++)
        by_edge[plan->edges[e].edge] = e;
    memcpy(next, self->in_first, plan->node_count * sizeof *next);
    for (uint32_t e = 0; e < graph->edge_count; e++)
        if (by_edge[e] != FLOW_GRAPH_NONE)
            self->in_edges[next[plan->edges[by_edge[e]].target]++] = by_edge[e];
    free(by_edge);
    free(next);
}

DevGraph *dev_graph_new(FlowRegistry *registry, const char *workflow_id, FlowValue definition)
{
    DevGraph *self = flow_new(DevGraph);
    FlowBuilder builder = {.registry = registry, .workflow_id = workflow_id};
    self->refs = 1;
    flow_problems_init(&self->problems);
    self->definition = flow_value_ref(definition);
    self->graph = flow_builder_build(&builder, definition, &self->problems);
    self->analyzer = flow_analyzer_new(self->graph);
    self->plan_count = flow_analyzer_loop_count(self->analyzer);
    self->plans = flow_calloc(self->plan_count + 1, sizeof *self->plans);
    for (uint32_t i = 0; i < self->plan_count; i++)
        make_plan(&self->plans[i], self->graph, flow_analyzer_loop(self->analyzer, i));
    return self;
}

DevGraph *dev_graph_ref(DevGraph *graph)
{
    graph->refs++;
    return graph;
}

void dev_graph_unref(DevGraph *graph)
{
    if (graph == NULL || --graph->refs > 0)
        return;
    for (uint32_t i = 0; i < graph->plan_count; i++) {
        free(graph->plans[i].place);
        free(graph->plans[i].in_first);
        free(graph->plans[i].in_edges);
    }
    free(graph->plans);
    flow_analyzer_unref(graph->analyzer);
    flow_graph_unref(graph->graph);
    flow_problems_done(&graph->problems);
    flow_value_unref(graph->definition);
    free(graph);
}

static bool concerns(const FlowProblem *problem, const DevGraph *graph, uint32_t node,
                     const FlowNodeSet *before)
{
    const FlowGraphNode *about = flow_graph_find(graph->graph, problem->node_id);
    if (about == NULL || about->index == node)
        return true;
    for (uint32_t i = 0; i < before->count; i++)
        if (before->nodes[i] == about->index)
            return true;
    return false;
}

const FlowProblem *dev_graph_obstacle(const DevGraph *graph, uint32_t node, bool form_is_given)
{
    if (graph->problems.errors == 0)
        return NULL;
    const FlowProblem *found = NULL;
    FlowNodeSet before = flow_analyzer_upstream(graph->analyzer, node, true);
    for (size_t i = 0; i < graph->problems.count && found == NULL; i++) {
        const FlowProblem *problem = &graph->problems.items[i];
        bool of_form =
            problem->code == FLOW_PROBLEM_FORM_INVALID || problem->code == FLOW_PROBLEM_NODE_NOT_READY;
        /* What is wrong with nodes behind it, or beside it, doesn't matter: workflows are made step by step. */
        if (problem->severity != FLOW_SEVERITY_ERROR || !concerns(problem, graph, node, &before))
            continue;
        if (of_form && form_is_given && strcmp(problem->node_id, graph->graph->nodes[node].id) == 0)
            continue;
        found = problem;
    }
    free(before.nodes);
    return found;
}
