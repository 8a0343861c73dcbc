/*
 * graph.h - FlowGraph: the nodes of a workflow with their types and forms, and per node: branch -> ordered
 * list of next nodes. Built by FlowBuilder (builder.h), completed by the post-processors (post_process.h),
 * immutable from then on: any thread may read it, everyone who keeps it takes a reference.
 *
 * Nodes and edges are known by their index. A graph built from a faulty definition holds what could be built
 * of it; only a sound one may be run.
 */
#ifndef FLOW_ENGINE_GRAPH_H
#define FLOW_ENGINE_GRAPH_H

#include "engine/workflow.h"

#define FLOW_GRAPH_NONE UINT32_MAX /* no node, no edge */

typedef struct FlowGraphEdge {
    const char *id;            /* "" when the definition has none */
    uint32_t definition_index; /* in the definition's `edges` */
    uint32_t source, target;   /* nodes */
    uint32_t branch;           /* of the source */
    bool is_queue;             /* writer -> reader: ends one loop's way and begins another's */
} FlowGraphEdge;

typedef struct FlowGraphBranch {
    const char *name;
    const uint32_t *edges; /* in definition order */
    uint32_t edge_count;
} FlowGraphBranch;

typedef struct FlowGraphNode {
    uint32_t index;
    uint32_t definition_index; /* in the definition's `nodes` */
    const char *id;
    const char *label;        /* "" when there is none */
    const FlowNodeType *type; /* NULL only in a graph that isn't sound */
    FlowNodeConfig config;
    FlowPoolKind pool;            /* the higher one of the type's and the config's */
    FlowValue form_values;        /* as stored, with what post-processors filled in; an object */
    const FlowFormSchema *schema; /* NULL for a type without form */
    FlowForm
        *form; /* form_values, compiled by the NodeValidator; NULL without schema, and where it has errors */
    const FlowGraphBranch *branches; /* in the order of the type */
    uint32_t branch_count;
    const uint32_t *in_edges; /* in definition order, queue edges included */
    uint32_t in_count;
    /* A reader's one queue; all queues of a writer, in edge order, without repetition. By the QueueMapper. */
    const char *const *queues;
    uint32_t queue_count;
} FlowGraphNode;

/* One queue that this workflow's readers and writers use. Filled in by the QueueMapper. */
typedef struct FlowGraphQueue {
    const char *name;                  /* as the store knows it */
    const char *short_name;            /* "queue_w_r" for a mapped one, otherwise the name */
    bool is_mapped;                    /* the name was made by the QueueMapper */
    const uint32_t *writers, *readers; /* nodes, in node order */
    uint32_t writer_count, reader_count;
} FlowGraphQueue;

typedef struct FlowGraph FlowGraph;
struct FlowGraph {
    FlowWorkflow *workflow;
    const char *workflow_id;
    FlowGraphNode *nodes;
    FlowGraphEdge *edges;
    FlowGraphQueue *queues;
    uint32_t node_count, edge_count, queue_count;
    bool is_sound;              /* no error was found */
    struct FlowGraphParts *own; /* private */
};

FlowGraph *flow_graph_ref(FlowGraph *graph);
FlowGraph *flow_graph_unref(FlowGraph *graph); /* always NULL */

/* NULL when there is none. */
const FlowGraphNode *flow_graph_find(const FlowGraph *graph, const char *node_id);
/* -1 when there is none. `name` in lower case. */
int flow_graph_branch(const FlowGraphNode *node, const char *name);

static inline bool flow_graph_node_is(const FlowGraphNode *node, FlowNodeKind kind)
{
    return node->type && node->type->kind == kind;
}

static inline bool flow_graph_node_has(const FlowGraphNode *node, FlowNodeFlags flag)
{
    return node->type && (node->type->flags & flag);
}

#endif
