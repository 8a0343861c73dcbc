#include "engine/dominators.h"

#include "base/mem.h"

void flow_dominators_init(FlowDominators *tree, uint32_t node_count)
{
    tree->parent = flow_calloc(3 * ((size_t)node_count + 1), sizeof(uint32_t));
    tree->jump = tree->parent + node_count + 1;
    tree->depth = tree->jump + node_count + 1;
}

void flow_dominators_done(FlowDominators *tree)
{
    free(tree->parent);
    *tree = (FlowDominators){0};
}

void flow_dominators_add(FlowDominators *tree, uint32_t node, uint32_t parent)
{
    uint32_t jump = tree->jump[parent];
    tree->parent[node] = parent;
    tree->depth[node] = tree->depth[parent] + 1;
    /* Two jumps of equal length become one of twice that length and the step to the parent. */
    if (tree->depth[parent] - tree->depth[jump] == tree->depth[jump] - tree->depth[tree->jump[jump]])
        tree->jump[node] = tree->jump[jump];
    else
        tree->jump[node] = parent;
}

uint32_t flow_dominators_at_depth(const FlowDominators *tree, uint32_t node, uint32_t depth)
{
    while (tree->depth[node] > depth)
        node = tree->depth[tree->jump[node]] >= depth ? tree->jump[node] : tree->parent[node];
    return node;
}

uint32_t flow_dominators_common(const FlowDominators *tree, uint32_t a, uint32_t b)
{
    if (tree->depth[a] > tree->depth[b])
        a = flow_dominators_at_depth(tree, a, tree->depth[b]);
    else
        b = flow_dominators_at_depth(tree, b, tree->depth[a]);
    while (a != b) {
        /* Equal depths have jumps of equal length. */
        if (tree->jump[a] != tree->jump[b]) {
            a = tree->jump[a];
            b = tree->jump[b];
        } else {
            a = tree->parent[a];
            b = tree->parent[b];
        }
    }
    return a;
}
