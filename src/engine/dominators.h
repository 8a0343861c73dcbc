/*
 * dominators.h - the dominator tree of an acyclic graph, grown node by node in topological order.
 *
 * A node's dominators stand on every way from the root to it; its parent in the tree is the nearest of them. For an
 * acyclic graph the parent is the nearest common ancestor of all predecessors. Each node has a jump pointer (Myers,
 * "An applicative random-access stack", 1983), so finding an ancestor takes O(log depth) and O(1) memory a node.
 */
#ifndef FLOW_ENGINE_DOMINATORS_H
#define FLOW_ENGINE_DOMINATORS_H

#include <stdint.h>

typedef struct FlowDominators {
    uint32_t *parent, *jump, *depth; /* of node 0: itself, itself, 0 */
} FlowDominators;

void flow_dominators_init(FlowDominators *tree, uint32_t node_count);
void flow_dominators_done(FlowDominators *tree);

/* Hangs `node` below `parent`, which is in the tree. */
void flow_dominators_add(FlowDominators *tree, uint32_t node, uint32_t parent);
/* The nearest node that is an ancestor of both, or one of them. */
uint32_t flow_dominators_common(const FlowDominators *tree, uint32_t a, uint32_t b);
/* The ancestor of `node` (or itself) at that depth, which must not be below it. */
uint32_t flow_dominators_at_depth(const FlowDominators *tree, uint32_t node, uint32_t depth);

#endif
