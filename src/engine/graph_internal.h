/* graph_internal.h - how a graph is put together: for builder.c and the post-processors. */
#ifndef FLOW_ENGINE_GRAPH_INTERNAL_H
#define FLOW_ENGINE_GRAPH_INTERNAL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/map.h"
#include "engine/graph.h"

/* An edge that was left out because it is wrong: its target still doesn't count as unreachable. */
typedef struct FlowGraphLink {
    uint32_t source, target;
} FlowGraphLink;

struct FlowGraphParts {
    atomic_uint refs;
    FlowArena arena;
    FlowMap by_id; /* FlowGraphNode */
    FlowGraphLink *dropped;
    uint32_t dropped_count;
};

/* Takes the workflow. */
FlowGraph *flow_graph__new(FlowWorkflow *workflow_take);
/* Zeroed memory that lives as long as the graph. What asks for it is bounded by the limits of a workflow; aborts. */
void *flow_graph__alloc(FlowGraph *graph, size_t count, size_t size);
char *flow_graph__text(FlowGraph *graph, const char *text, size_t len);
/* The text of the field `data.form.KEY` of a node, for problems: "nodes[3].data.form.url". */
enum { FLOW_GRAPH_FIELD_TEXT = 320 };
const char *flow_graph__form_field(char to[FLOW_GRAPH_FIELD_TEXT], const FlowGraphNode *node,
                                   const char *key);

/* What is wrong with a graph as a whole (graph_check.c): cycles, joins, for-each bodies, reachability. */
void flow_graph__check(FlowGraph *graph, FlowProblems *problems);

/* Warns of templates that read what no node before them can supply (supply_check.c). */
void flow_graph__check_supply(const FlowGraph *graph, FlowProblems *problems);

#endif
