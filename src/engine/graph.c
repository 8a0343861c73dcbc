#include "engine/graph.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/graph_internal.h"
#include "forms/form.h"

FlowGraph *flow_graph__new(FlowWorkflow *workflow_take)
{
    FlowGraph *graph = flow_new(FlowGraph);
    graph->workflow = workflow_take;
    graph->own = flow_new(struct FlowGraphParts);
    atomic_init(&graph->own->refs, 1);
    flow_arena_init(&graph->own->arena, 0);
    flow_map_init(&graph->own->by_id);
    return graph;
}

void *flow_graph__alloc(FlowGraph *graph, size_t count, size_t size)
{
    void *memory = flow_arena_calloc(&graph->own->arena, count ? count : 1, size);
    if (!memory)
        abort();
    return memory;
}

char *flow_graph__text(FlowGraph *graph, const char *text, size_t len)
{
    char *copy = flow_arena_strndup(&graph->own->arena, text, len);
    if (!copy)
        abort();
    return copy;
}

const char *flow_graph__form_field(char to[FLOW_GRAPH_FIELD_TEXT], const FlowGraphNode *node, const char *key)
{
    char brief[FLOW_BRIEF_TEXT];
    snprintf(to, FLOW_GRAPH_FIELD_TEXT, "nodes[%u].data.form%s%s", node->definition_index,
             key && *key ? "." : "", key ? flow_brief(brief, key, strlen(key)) : "");
    return to;
}

FlowGraph *flow_graph_ref(FlowGraph *graph)
{
    atomic_fetch_add_explicit(&graph->own->refs, 1, memory_order_relaxed);
    return graph;
}

FlowGraph *flow_graph_unref(FlowGraph *graph)
{
    if (!graph || atomic_fetch_sub_explicit(&graph->own->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        flow_form_unref(graph->nodes[i].form);
        flow_value_unref(graph->nodes[i].form_values);
    }
    flow_map_done(&graph->own->by_id, NULL);
    flow_arena_done(&graph->own->arena);
    free(graph->own);
    flow_workflow_free(graph->workflow);
    free(graph);
    return NULL;
}

const FlowGraphNode *flow_graph_find(const FlowGraph *graph, const char *node_id)
{
    return flow_map_find(&graph->own->by_id, node_id);
}

int flow_graph_branch(const FlowGraphNode *node, const char *name)
{
    for (uint32_t i = 0; i < node->branch_count; i++) {
        if (strcmp(node->branches[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}
