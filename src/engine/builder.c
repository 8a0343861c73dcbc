/*
 * builder.c - in this order: nodes with their types and branches, edges, adjacency, post-processors, and the checks of
 * the graph as a whole. What is wrong is reported and left out, so that later steps see a consistent graph.
 */
#include "engine/builder.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/graph_internal.h"

typedef struct Builder {
    const FlowBuilder *options;
    FlowGraph *graph;
    FlowWorkflow *workflow;
    FlowProblems *problems;
    bool *adopts; /* per node: nobody knows its branches, so edges bring theirs */
} Builder;

enum { ADOPTED_BRANCHES_MAX = 32 };

/* ---- nodes ---- */

static void find_type(Builder *self, const FlowWorkflowNode *source, FlowGraphNode *node)
{
    char field[64], brief[FLOW_BRIEF_TEXT];
    size_t len = strlen(source->type);
    node->type = len ? flow_registry_find(self->options->registry, source->type, len) : NULL;
    if (node->type) {
        node->schema = flow_registry_schema(self->options->registry, node->type);
        return;
    }
    snprintf(field, sizeof(field), "nodes[%u].type", source->index);
    if (!len) {
        flow_problems_add(self->problems, FLOW_PROBLEM_NODE_TYPE_UNKNOWN, node->id, NULL, field,
                          "the node has no type: say which of the known types it is");
        return;
    }
    const char *nearest = flow_registry_nearest(self->options->registry, source->type, len);
    flow_brief(brief, source->type, len);
    if (nearest)
        flow_problems_add(self->problems, FLOW_PROBLEM_NODE_TYPE_UNKNOWN, node->id, NULL, field,
                          "unknown node type '%s': did you mean '%s'?", brief, nearest);
    else
        flow_problems_add(self->problems, FLOW_PROBLEM_NODE_TYPE_UNKNOWN, node->id, NULL, field,
                          "unknown node type '%s': the list of node types says which there are", brief);
}

static void check_config(Builder *self, const FlowWorkflowNode *source, FlowGraphNode *node)
{
    static const char *const of_loops[] = {"on_error", "error_threshold", "on_interrupt", "max_in_flight",
                                           "start_durable"};
    const FlowNodeType *type = node->type;
    char field[96];
    node->pool = type->pool;
    if (node->config.has_pool && node->config.pool < type->pool) {
        snprintf(field, sizeof(field), "nodes[%u].data.config.pool", source->index);
        flow_problems_add(self->problems, FLOW_PROBLEM_CONFIG_INVALID, node->id, NULL, field,
                          "config pool can only raise what '%s' needs, which is %s: remove it", type->name,
                          flow_pool_name(type->pool));
    } else if (node->config.has_pool) {
        node->pool = node->config.pool;
    }
    if (type->kind == FLOW_NODE_PRODUCER)
        return;
    for (size_t i = 0; i < FLOW_COUNT(of_loops); i++) {
        if (!flow_object_get(source->config_keys, of_loops[i]))
            continue;
        snprintf(field, sizeof(field), "nodes[%u].data.config.%s", source->index, of_loops[i]);
        flow_problems_add(self->problems, FLOW_PROBLEM_CONFIG_INVALID, node->id, NULL, field,
                          "config %s holds for a whole loop: put it at the loop's producer", of_loops[i]);
    }
}

/* Names only; edges come later. A node whose branches can't be known gets none, and its edges bring theirs. */
static void find_branches(Builder *self, FlowGraphNode *node)
{
    FlowError error;
    FlowNodeBranches *branches =
        node->type ? flow_node_branches_new(node->type, node->form_values, &error) : NULL;
    if (!branches) {
        self->adopts[node->index] = true;
        if (node->type) {
            char field[FLOW_GRAPH_FIELD_TEXT];
            flow_problems_add(self->problems, FLOW_PROBLEM_FORM_INVALID, node->id, NULL,
                              flow_graph__form_field(field, node, error.where), "%s", error.message);
        }
        return;
    }
    node->branch_count = (uint32_t)flow_node_branches_count(branches);
    FlowGraphBranch *copy = flow_graph__alloc(self->graph, node->branch_count, sizeof(*copy));
    for (uint32_t i = 0; i < node->branch_count; i++) {
        const char *name = flow_node_branches_name(branches, i);
        copy[i].name = flow_graph__text(self->graph, name, strlen(name));
    }
    node->branches = copy;
    flow_node_branches_free(branches);
}

static void build_nodes(Builder *self)
{
    FlowGraph *graph = self->graph;
    graph->nodes = flow_graph__alloc(graph, self->workflow->node_count, sizeof(*graph->nodes));
    self->adopts = flow_graph__alloc(graph, self->workflow->node_count, sizeof(*self->adopts));
    for (uint32_t i = 0; i < self->workflow->node_count; i++) {
        const FlowWorkflowNode *source = &self->workflow->nodes[i];
        FlowGraphNode *node = &graph->nodes[graph->node_count];
        const FlowGraphNode *other = flow_graph_find(graph, source->id);
        if (other) {
            char field[64];
            snprintf(field, sizeof(field), "nodes[%u].id", source->index);
            flow_problems_add(self->problems, FLOW_PROBLEM_NODE_ID_DUPLICATE, source->id, NULL, field,
                              "the id '%s' is taken by nodes[%u]: give each node its own", source->id,
                              other->definition_index);
            /* Its own problems are still worth knowing. */
            FlowGraphNode unused = {.id = source->id, .definition_index = source->index};
            find_type(self, source, &unused);
            continue;
        }
        *node = (FlowGraphNode){
            .index = graph->node_count,
            .definition_index = source->index,
            .id = source->id,
            .label = source->label,
            .config = source->config,
            .form_values = flow_value_ref(source->form),
        };
        if (!flow_map_put(&graph->own->by_id, node->id, node))
            abort();
        graph->node_count++;
        find_type(self, source, node);
        if (node->type)
            check_config(self, source, node);
        find_branches(self, node);
    }
}

/* ---- edges ---- */

static void drop(Builder *self, uint32_t source, uint32_t target)
{
    self->graph->own->dropped[self->graph->own->dropped_count++] = (FlowGraphLink){source, target};
}

static void report_handle(Builder *self, const FlowWorkflowEdge *edge, const FlowGraphNode *source)
{
    char names[200], brief[FLOW_BRIEF_TEXT], field[64];
    size_t len = 0;
    names[0] = '\0';
    for (uint32_t i = 0; i < source->branch_count && len < sizeof(names) - 80; i++) {
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s'%.60s'", i ? ", " : "",
                                source->branches[i].name);
    }
    snprintf(field, sizeof(field), "edges[%u].sourceHandle", edge->index);
    flow_problems_add(self->problems, FLOW_PROBLEM_EDGE_HANDLE_UNKNOWN, source->id, edge->id, field,
                      "node '%s' (%s) has no handle '%s': use %s", source->id, source->type->name,
                      flow_brief(brief, edge->branch, strlen(edge->branch)), names);
}

static int adopt_branch(Builder *self, FlowGraphNode *node, const char *name)
{
    if (node->branch_count == ADOPTED_BRANCHES_MAX)
        return -1;
    if (!node->branches)
        node->branches = flow_graph__alloc(self->graph, ADOPTED_BRANCHES_MAX, sizeof(*node->branches));
    ((FlowGraphBranch *)node->branches)[node->branch_count].name = name;
    return (int)node->branch_count++;
}

/* The ends, or a problem for each that is missing. */
static bool find_ends(Builder *self, const FlowWorkflowEdge *edge, FlowGraphNode **ret_source,
                      FlowGraphNode **ret_target)
{
    char field[64];
    FlowGraphNode *source = (FlowGraphNode *)flow_graph_find(self->graph, edge->source);
    FlowGraphNode *target = (FlowGraphNode *)flow_graph_find(self->graph, edge->target);
    if (!source) {
        snprintf(field, sizeof(field), "edges[%u].source", edge->index);
        flow_problems_add(
            self->problems, FLOW_PROBLEM_EDGE_SOURCE_MISSING, target ? target->id : NULL, edge->id, field,
            "there is no node '%s' for the edge to come from: add it or remove the edge", edge->source);
    }
    if (!target) {
        snprintf(field, sizeof(field), "edges[%u].target", edge->index);
        flow_problems_add(
            self->problems, FLOW_PROBLEM_EDGE_TARGET_MISSING, source ? source->id : NULL, edge->id, field,
            "there is no node '%s' for the edge to lead to: add it or remove the edge", edge->target);
    }
    *ret_source = source;
    *ret_target = target;
    return source && target;
}

static void build_edge(Builder *self, const FlowWorkflowEdge *edge, FlowMap *ids)
{
    FlowGraph *graph = self->graph;
    FlowGraphNode *source, *target;
    char field[64];
    if (*edge->id) {
        const FlowWorkflowEdge *other = flow_map_find(ids, edge->id);
        if (other) {
            snprintf(field, sizeof(field), "edges[%u].id", edge->index);
            flow_problems_add(self->problems, FLOW_PROBLEM_EDGE_ID_DUPLICATE, NULL, edge->id, field,
                              "the id '%s' is taken by edges[%u]: give each edge its own", edge->id,
                              other->index);
        } else if (!flow_map_put(ids, edge->id, (void *)edge)) {
            abort();
        }
    }
    if (!find_ends(self, edge, &source, &target))
        return;
    int branch = flow_graph_branch(source, edge->branch);
    if (branch < 0 && self->adopts[source->index])
        branch = adopt_branch(self, source, edge->branch);
    if (branch < 0) {
        if (!self->adopts[source->index])
            report_handle(self, edge, source);
        drop(self, source->index, target->index);
        return;
    }
    bool is_queue = false;
    if (flow_graph_node_is(target, FLOW_NODE_PRODUCER)) {
        is_queue = flow_graph_node_has(target, FLOW_NODE_READS_QUEUE) &&
                   flow_graph_node_has(source, FLOW_NODE_WRITES_QUEUE);
        if (!is_queue) {
            snprintf(field, sizeof(field), "edges[%u].target", edge->index);
            if (source->type)
                flow_problems_add(
                    self->problems, FLOW_PROBLEM_EDGE_INTO_PRODUCER, target->id, edge->id, field,
                    "'%s' (%s) is a producer and takes no input; only an edge from a queue-writer to a "
                    "queue-reader may lead into one",
                    target->id, target->type->name);
            drop(self, source->index, target->index);
            return;
        }
    }
    graph->edges[graph->edge_count++] = (FlowGraphEdge){
        .id = edge->id,
        .definition_index = edge->index,
        .source = source->index,
        .target = target->index,
        .branch = (uint32_t)branch,
        .is_queue = is_queue,
    };
}

static void build_edges(Builder *self)
{
    FlowGraph *graph = self->graph;
    uint32_t count = self->workflow->edge_count;
    graph->edges = flow_graph__alloc(graph, count, sizeof(*graph->edges));
    graph->own->dropped = flow_graph__alloc(graph, count, sizeof(*graph->own->dropped));
    FlowMap ids;
    flow_map_init(&ids);
    for (uint32_t i = 0; i < count; i++)
        build_edge(self, &self->workflow->edges[i], &ids);
    flow_map_done(&ids, NULL);
}

/* Per branch and per node the edges that leave and enter, in definition order, by counting. */
static void build_adjacency(FlowGraph *graph)
{
    uint32_t *out = flow_graph__alloc(graph, graph->edge_count, sizeof(uint32_t));
    uint32_t *in = flow_graph__alloc(graph, graph->edge_count, sizeof(uint32_t));
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        const FlowGraphEdge *edge = &graph->edges[i];
        ((FlowGraphBranch *)graph->nodes[edge->source].branches)[edge->branch].edge_count++;
        graph->nodes[edge->target].in_count++;
    }
    uint32_t out_used = 0, in_used = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        FlowGraphNode *node = &graph->nodes[i];
        node->in_edges = in + in_used;
        in_used += node->in_count;
        node->in_count = 0;
        FlowGraphBranch *branches = (FlowGraphBranch *)node->branches;
        for (uint32_t b = 0; b < node->branch_count; b++) {
            branches[b].edges = out + out_used;
            out_used += branches[b].edge_count;
            branches[b].edge_count = 0;
        }
    }
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        const FlowGraphEdge *edge = &graph->edges[i];
        FlowGraphBranch *branch = (FlowGraphBranch *)&graph->nodes[edge->source].branches[edge->branch];
        FlowGraphNode *target = &graph->nodes[edge->target];
        ((uint32_t *)branch->edges)[branch->edge_count++] = i;
        ((uint32_t *)target->in_edges)[target->in_count++] = i;
    }
}

FlowGraph *flow_builder_build(const FlowBuilder *builder, FlowValue definition, FlowProblems *problems)
{
    size_t errors_before = problems->errors;
    FlowWorkflow *workflow = flow_workflow_read(definition, problems);
    FlowGraph *graph = flow_graph__new(workflow);
    const char *id = builder->workflow_id && *builder->workflow_id ? builder->workflow_id : workflow->id;
    graph->workflow_id = flow_graph__text(graph, id, strlen(id));
    Builder self = {builder, graph, workflow, problems, NULL};
    build_nodes(&self);
    build_edges(&self);
    build_adjacency(graph);
    const FlowPostProcessor *processor =
        builder->post_processors ? builder->post_processors : flow_post_processors_default();
    for (; processor->name; processor++)
        processor->run(graph, problems);
    flow_graph__check(graph, problems);
    graph->is_sound = problems->errors == errors_before;
    return graph;
}
