/* cycles.c - which edges of a graph stand on a cycle: Tarjan's strongly connected components, without recursion. */
#include "base/mem.h"
#include "engine/plan.h"

typedef struct Search {
    const FlowGraph *graph;
    uint32_t *number, *low; /* 0: not yet visited */
    uint32_t *component;    /* 0: not yet known */
    uint32_t *open, open_count;
    uint32_t visited, components;
} Search;

typedef struct Frame {
    uint32_t node, branch, edge;
} Frame;

/* The next edge within loops that leaves the frame's node. */
static uint32_t next_edge(const FlowGraph *graph, Frame *frame)
{
    const FlowGraphNode *node = &graph->nodes[frame->node];
    for (; frame->branch < node->branch_count; frame->branch++, frame->edge = 0) {
        const FlowGraphBranch *branch = &node->branches[frame->branch];
        while (frame->edge < branch->edge_count) {
            uint32_t edge = branch->edges[frame->edge++];
            if (!graph->edges[edge].is_queue)
                return edge;
        }
    }
    return FLOW_GRAPH_NONE;
}

static void enter(Search *self, uint32_t node)
{
    self->number[node] = self->low[node] = ++self->visited;
    self->open[self->open_count++] = node;
}

static void search_from(Search *self, uint32_t root, Frame *stack)
{
    uint32_t depth = 0;
    stack[depth++] = (Frame){.node = root};
    enter(self, root);
    while (depth) {
        Frame *top = &stack[depth - 1];
        uint32_t node = top->node, edge = next_edge(self->graph, top);
        if (edge != FLOW_GRAPH_NONE) {
            uint32_t target = self->graph->edges[edge].target;
            if (!self->number[target]) {
                enter(self, target);
                stack[depth++] = (Frame){.node = target};
            } else if (!self->component[target] && self->number[target] < self->low[node]) {
                self->low[node] = self->number[target];
            }
            continue;
        }
        depth--;
        if (depth && self->low[node] < self->low[stack[depth - 1].node])
            self->low[stack[depth - 1].node] = self->low[node];
        if (self->low[node] != self->number[node])
            continue;
        self->components++;
        uint32_t member;
        do {
            member = self->open[--self->open_count];
            self->component[member] = self->components;
        } while (member != node);
    }
}

uint8_t *flow_graph__cycle_edges(const FlowGraph *graph)
{
    size_t nodes = (size_t)graph->node_count + 1;
    Search self = {.graph = graph};
    uint32_t *memory = flow_calloc(4 * nodes, sizeof(uint32_t));
    self.number = memory;
    self.low = memory + nodes;
    self.component = memory + 2 * nodes;
    self.open = memory + 3 * nodes;
    Frame *stack = flow_calloc(nodes, sizeof(*stack));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (!self.number[i])
            search_from(&self, i, stack);
    }
    uint8_t *on_cycle = flow_calloc((size_t)graph->edge_count + 1, 1);
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        const FlowGraphEdge *edge = &graph->edges[e];
        on_cycle[e] = !edge->is_queue && self.component[edge->source] == self.component[edge->target];
    }
    free(stack);
    free(memory);
    return on_cycle;
}
