/*
 * plan.c - a loop's plan: members in topological order, their edges, joins, slots, forks, bodies of for-each, pool.
 *
 * Order. Depth first from the producer, reverse postorder. Of a node's edges the last is followed first, and those of
 * a for-each's branch `body` last of all: so the first edge's target comes early, and a body directly behind its
 * for-each. (Everything reachable from a body is in it, so nothing else can have found its nodes earlier.)
 *
 * Slots. Cutting all edges into joins, and the body branches, leaves a forest: its roots are the producer, the joins
 * and the bodies. Numbering the slots depth first, tree by tree, branch by branch, makes the slots below any node or
 * branch of a tree one range.
 */
#include "engine/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "engine/dominators.h"

/* A plan with the memory it lives in. */
typedef struct OwnPlan {
    FlowPlan plan;
    FlowArena arena;
} OwnPlan;

/* Where the walk that finds the members stands in a node: what is left of which branch. */
typedef struct Step {
    uint32_t node;
    uint32_t branch, edge; /* next: edges[edge - 1] of branches[branch] */
    bool in_bodies;
} Step;

/* Where the walk that numbers slots stands. */
typedef struct Walk {
    uint32_t node, branch, edge, branch_end;
} Walk;

struct FlowPlanner {
    const FlowGraph *graph;
    const uint8_t *cycle_edges;
    /* Working space. Between plans `place` is all zero, the others hold leftovers. */
    uint32_t *place; /* per node of the graph: where in the plan, + 1; 0: not in this loop */
    uint32_t *order; /* per node of the graph, as all below */
    Step *steps;
    Walk *walks;
    uint32_t *slots_after, *joins_after;
    uint8_t *reaches_join;
    uint32_t *slot_of; /* per edge of the graph */
    /* What is being made, and its arrays, writable. */
    OwnPlan *own;
    FlowPlan *plan;
    FlowPlanNode *nodes;
    FlowPlanEdge *edges;
    FlowPlanSlot *slots;
};

static void *get(FlowPlanner *self, size_t count, size_t size)
{
    void *memory = flow_arena_calloc(&self->own->arena, count ? count : 1, size);
    if (!memory)
        abort(); /* bounded by FLOW_PLAN_MAX_EDGES */
    return memory;
}

static bool is_in_loop(const FlowPlanner *self, uint32_t edge)
{
    return !self->graph->edges[edge].is_queue && !(self->cycle_edges && self->cycle_edges[edge]);
}

static bool is_body_branch(const FlowGraphNode *node, uint32_t branch)
{
    return flow_graph_node_has(node, FLOW_NODE_FOR_EACH) && strcmp(node->branches[branch].name, "body") == 0;
}

/* ---- order ---- */

/* The next edge to follow: branches and edges from behind, bodies in a second round; FLOW_GRAPH_NONE at the end. */
static uint32_t next_edge(const FlowPlanner *self, Step *step)
{
    const FlowGraphNode *node = &self->graph->nodes[step->node];
    if (node->branch_count == 0)
        return FLOW_GRAPH_NONE;
    for (;;) {
        if (step->edge && is_body_branch(node, step->branch) == step->in_bodies)
            return node->branches[step->branch].edges[--step->edge];
        if (step->branch) {
            step->branch--;
        } else if (!step->in_bodies && flow_graph_node_has(node, FLOW_NODE_FOR_EACH)) {
            step->in_bodies = true;
            step->branch = node->branch_count - 1;
        } else {
            return FLOW_GRAPH_NONE;
        }
        step->edge = node->branches[step->branch].edge_count;
    }
}

static Step first_step(const FlowGraph *graph, uint32_t index)
{
    const FlowGraphNode *node = &graph->nodes[index];
    uint32_t last = node->branch_count ? node->branch_count - 1 : 0;
    return (Step){
        .node = index, .branch = last, .edge = node->branch_count ? node->branches[last].edge_count : 0};
}

/* Fills in plan.nodes[].node and place[]; false when the loop has too many edges. */
static bool order_nodes(FlowPlanner *self, uint32_t producer, uint32_t max_edges)
{
    const FlowGraph *graph = self->graph;
    uint32_t *order = self->order; /* postorder */
    Step *stack = self->steps;
    uint32_t depth = 0, count = 0, edge_count = 0;
    stack[depth++] = first_step(graph, producer);
    self->place[producer] = 1;
    while (depth && edge_count <= max_edges) {
        uint32_t edge = next_edge(self, &stack[depth - 1]);
        if (edge == FLOW_GRAPH_NONE) {
            order[count++] = stack[--depth].node;
            continue;
        }
        if (!is_in_loop(self, edge))
            continue;
        edge_count++;
        uint32_t target = graph->edges[edge].target;
        if (!self->place[target]) {
            self->place[target] = 1;
            stack[depth++] = first_step(graph, target);
        }
    }
    bool fits = edge_count <= max_edges;
    if (fits) {
        self->nodes = get(self, count, sizeof(*self->nodes));
        self->plan->node_count = count;
        self->plan->edge_count = edge_count;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t node = order[count - 1 - i];
            self->nodes[i].node = node;
            self->nodes[i].def = &graph->nodes[node];
            self->place[node] = i + 1;
        }
    }
    /* Those still on the stack have a place, too. */
    for (uint32_t i = 0; !fits && i < depth; i++)
        self->place[stack[i].node] = 0;
    for (uint32_t i = 0; !fits && i < count; i++)
        self->place[order[i]] = 0;
    return fits;
}

/* ---- edges and joins ---- */

static void list_edges(FlowPlanner *self)
{
    const FlowGraph *graph = self->graph;
    uint32_t used = 0;
    self->edges = get(self, self->plan->edge_count, sizeof(*self->edges));
    for (uint32_t i = 0; i < self->plan->node_count; i++) {
        FlowPlanNode *node = &self->nodes[i];
        FlowPlanBranch *branches = get(self, node->def->branch_count, sizeof(*branches));
        node->branches = branches;
        node->edge_first = used;
        for (uint32_t b = 0; b < node->def->branch_count; b++) {
            const FlowGraphBranch *branch = &node->def->branches[b];
            branches[b].edge_first = used;
            for (uint32_t e = 0; e < branch->edge_count; e++) {
                if (!is_in_loop(self, branch->edges[e]))
                    continue;
                uint32_t target = self->place[graph->edges[branch->edges[e]].target] - 1;
                self->edges[used++] = (FlowPlanEdge){branch->edges[e], i, target, FLOW_GRAPH_NONE};
                self->nodes[target].in_count++;
            }
            branches[b].edge_end = used;
        }
        node->edge_end = used;
    }
    uint32_t joins = 0, slots = 0;
    for (uint32_t i = 0; i < self->plan->node_count; i++) {
        FlowPlanNode *node = &self->nodes[i];
        bool is_join = node->in_count > 1;
        node->join = is_join ? joins++ : FLOW_GRAPH_NONE;
        slots += is_join ? node->in_count : 0;
    }
    self->plan->join_count = joins;
    self->plan->slot_count = slots;
    self->slots = get(self, slots, sizeof(*self->slots));
}

/* ---- slots ---- */

/* Numbers the slots below branches [first, end) of `root`, without entering joins or bodies. */
static void number_tree(FlowPlanner *self, uint32_t root, uint32_t first, uint32_t end, uint32_t *next_slot)
{
    Walk *stack = self->walks;
    uint32_t depth = 0;
    stack[depth++] = (Walk){root, first, self->nodes[root].branches[first].edge_first, end};
    ((FlowPlanBranch *)self->nodes[root].branches)[first].dead_first = *next_slot;
    while (depth) {
        Walk *top = &stack[depth - 1];
        FlowPlanNode *node = &self->nodes[top->node];
        FlowPlanBranch *branch = (FlowPlanBranch *)&node->branches[top->branch];
        if (top->edge < branch->edge_end) {
            FlowPlanEdge *edge = &self->edges[top->edge++];
            FlowPlanNode *target = &self->nodes[edge->target];
            if (target->join != FLOW_GRAPH_NONE) {
                edge->slot = (*next_slot)++;
                self->slots[edge->slot] = (FlowPlanSlot){.target = edge->target, .edge = top->edge - 1};
                continue;
            }
            target->dead_first = *next_slot;
            target->dead_end = *next_slot;
            if (target->def->branch_count == 0)
                continue;
            uint32_t begin = 0, stop = target->def->branch_count;
            if (flow_graph_node_has(target->def, FLOW_NODE_FOR_EACH)) {
                begin = (uint32_t)flow_graph_branch(target->def, "default");
                stop = begin + 1;
            }
            ((FlowPlanBranch *)target->branches)[begin].dead_first = *next_slot;
            stack[depth++] = (Walk){edge->target, begin, target->branches[begin].edge_first, stop};
            continue;
        }
        branch->dead_end = *next_slot;
        if (++top->branch < top->branch_end) {
            branch[1].dead_first = *next_slot;
            top->edge = branch[1].edge_first;
            continue;
        }
        node->dead_end = *next_slot;
        depth--;
    }
}

static void number_slots(FlowPlanner *self)
{
    uint32_t count = self->plan->node_count, next_slot = 0;
    uint32_t *after = self->slots_after, *joins_after = self->joins_after;
    for (uint32_t i = 0; i < count; i++) {
        FlowPlanNode *node = &self->nodes[i];
        bool is_for_each = flow_graph_node_has(node->def, FLOW_NODE_FOR_EACH);
        bool is_root = i == 0 || node->join != FLOW_GRAPH_NONE;
        if (is_root && node->def->branch_count) {
            uint32_t first = 0, end = node->def->branch_count;
            if (is_for_each) {
                first = (uint32_t)flow_graph_branch(node->def, "default");
                end = first + 1;
            }
            node->dead_first = next_slot;
            number_tree(self, i, first, end, &next_slot);
        }
        node->body_slot_first = node->body_slot_end = next_slot;
        if (is_for_each) {
            uint32_t body = (uint32_t)flow_graph_branch(node->def, "body");
            uint32_t dead_first = node->dead_first, dead_end = node->dead_end;
            number_tree(self, i, body, body + 1, &next_slot);
            node->dead_first = dead_first;
            node->dead_end = dead_end;
        }
        after[i] = next_slot;
    }
    for (uint32_t i = 0, joins = 0; i < count; i++) {
        joins += self->nodes[i].join != FLOW_GRAPH_NONE;
        joins_after[i] = joins;
    }
    for (uint32_t i = 0; i < count; i++) {
        FlowPlanNode *node = &self->nodes[i];
        node->body_join_first = node->body_join_end = joins_after[i];
        if (!flow_graph_node_has(node->def, FLOW_NODE_FOR_EACH))
            continue;
        node->body_slot_end = after[node->body_end - 1];
        node->body_join_end = joins_after[node->body_end - 1];
    }
}

/* Ranks of the slots: a join's incoming edges in the order of the definition. */
static void rank_slots(FlowPlanner *self)
{
    uint32_t *slot_of = self->slot_of;
    for (uint32_t s = 0; s < self->plan->slot_count; s++)
        slot_of[self->edges[self->slots[s].edge].edge] = s;
    for (uint32_t i = 0; i < self->plan->node_count; i++) {
        const FlowPlanNode *node = &self->nodes[i];
        if (node->join == FLOW_GRAPH_NONE)
            continue;
        uint32_t rank = 0;
        for (uint32_t e = 0; e < node->def->in_count; e++) {
            uint32_t edge = node->def->in_edges[e];
            if (is_in_loop(self, edge) && self->place[self->graph->edges[edge].source])
                self->slots[slot_of[edge]].rank = rank++;
        }
    }
}

/* ---- forks and bodies ---- */

/* In topological order, from each node's incoming edges, which come from earlier nodes. */
static void find_forks_and_bodies(FlowPlanner *self)
{
    uint32_t count = self->plan->node_count;
    FlowDominators tree;
    flow_dominators_init(&tree, count);
    self->nodes[0].body_of = FLOW_GRAPH_NONE;
    self->nodes[0].body_end = 1;
    for (uint32_t i = 1; i < count; i++) {
        FlowPlanNode *node = &self->nodes[i];
        uint32_t fork = FLOW_GRAPH_NONE, body = FLOW_GRAPH_NONE;
        for (uint32_t e = 0; e < node->def->in_count; e++) {
            const FlowGraphEdge *edge = &self->graph->edges[node->def->in_edges[e]];
            if (!is_in_loop(self, node->def->in_edges[e]) || !self->place[edge->source])
                continue;
            uint32_t source = self->place[edge->source] - 1;
            uint32_t its_body =
                is_body_branch(self->nodes[source].def, edge->branch) ? source : self->nodes[source].body_of;
            if (fork == FLOW_GRAPH_NONE) {
                fork = source;
                body = its_body;
            } else {
                fork = flow_dominators_common(&tree, fork, source);
                /* They differ only in a graph that isn't sound: then the node counts as outside of both. */
                body = its_body == body ? body : FLOW_GRAPH_NONE;
            }
        }
        flow_dominators_add(&tree, i, fork);
        node->fork = fork;
        node->body_of = body;
        node->body_end = i + 1;
    }
    flow_dominators_done(&tree);
    for (uint32_t i = count - 1; i > 0; i--) {
        const FlowPlanNode *node = &self->nodes[i];
        if (node->body_of != FLOW_GRAPH_NONE && self->nodes[node->body_of].body_end < node->body_end)
            self->nodes[node->body_of].body_end = node->body_end;
    }
}

/* ---- flags, ends, pool ---- */

static void set_flags(FlowPlanner *self)
{
    uint32_t count = self->plan->node_count;
    uint8_t *reaches_join = self->reaches_join;
    for (uint32_t i = count; i-- > 0;) {
        FlowPlanNode *node = &self->nodes[i];
        reaches_join[i] = 0;
        node->is_boundary =
            flow_graph_node_is(node->def, FLOW_NODE_NON_BLOCKING) && node->body_of == FLOW_GRAPH_NONE;
        for (uint32_t b = 0; b < node->def->branch_count; b++) {
            uint32_t ways = 0;
            for (uint32_t e = node->branches[b].edge_first; e < node->branches[b].edge_end; e++) {
                const FlowPlanEdge *edge = &self->edges[e];
                ways += edge->slot != FLOW_GRAPH_NONE || reaches_join[edge->target];
            }
            reaches_join[i] |= ways > 0;
            node->is_fork |= ways > 1;
        }
        self->plan->has_boundary |= node->is_boundary;
    }
}

/* Nodes behind a boundary are none of the producer's, those in a body belong to its for-each. */
static void find_ends(FlowPlanner *self)
{
    uint32_t count = 0;
    uint32_t *ends = get(self, self->plan->node_count, sizeof(*ends));
    uint8_t *is_reached = self->reaches_join; /* not needed any more */
    memset(is_reached, 0, self->plan->node_count);
    is_reached[0] = 1;
    for (uint32_t i = 0; i < self->plan->node_count; i++) {
        const FlowPlanNode *node = &self->nodes[i];
        if (!is_reached[i] || node->body_of != FLOW_GRAPH_NONE)
            continue;
        bool goes_on = false;
        for (uint32_t b = 0; b < node->def->branch_count && !node->is_boundary; b++) {
            const FlowPlanBranch *branch = &node->branches[b];
            goes_on |= !is_body_branch(node->def, b) && branch->edge_first != branch->edge_end;
            for (uint32_t e = branch->edge_first; e < branch->edge_end; e++)
                is_reached[self->edges[e].target] = 1;
        }
        if (!goes_on)
            ends[count++] = i;
    }
    self->plan->ends = ends;
    self->plan->end_count = count;
}

static void find_pool(FlowPlanner *self)
{
    FlowPlan *plan = self->plan;
    plan->pool_node = FLOW_GRAPH_NONE;
    for (uint32_t i = 0; i < plan->node_count; i++) {
        const FlowGraphNode *node = self->nodes[i].def;
        if (node->pool <= plan->pool)
            continue;
        plan->pool = node->pool;
        plan->pool_node = i;
    }
    if (plan->pool_node == FLOW_GRAPH_NONE) {
        plan->pool_reason = "ASYNC, since no node needs more";
        return;
    }
    const FlowGraphNode *node = self->nodes[plan->pool_node].def;
    bool by_type = node->type && node->type->pool == node->pool;
    char text[FLOW_NODE_ID_MAX + 160];
    snprintf(text, sizeof(text), "%s because of node %s (%s)", flow_pool_name(plan->pool), node->id,
             by_type ? node->type->name : "its config.pool");
    char *copy = get(self, strlen(text) + 1, 1);
    memcpy(copy, text, strlen(text));
    plan->pool_reason = copy;
}

FlowPlanner *flow_planner__new(const FlowGraph *graph, const uint8_t *cycle_edges)
{
    FlowPlanner *self = flow_new(FlowPlanner);
    size_t nodes = (size_t)graph->node_count + 1;
    self->graph = graph;
    self->cycle_edges = cycle_edges;
    self->place = flow_calloc(nodes, sizeof(*self->place));
    self->order = flow_calloc(nodes, sizeof(*self->order));
    self->steps = flow_calloc(nodes, sizeof(*self->steps));
    self->walks = flow_calloc(nodes, sizeof(*self->walks));
    self->slots_after = flow_calloc(nodes, sizeof(*self->slots_after));
    self->joins_after = flow_calloc(nodes, sizeof(*self->joins_after));
    self->reaches_join = flow_calloc(nodes, sizeof(*self->reaches_join));
    self->slot_of = flow_calloc((size_t)graph->edge_count + 1, sizeof(*self->slot_of));
    return self;
}

void flow_planner__free(FlowPlanner *planner)
{
    if (!planner)
        return;
    free(planner->place);
    free(planner->order);
    free(planner->steps);
    free(planner->walks);
    free(planner->slots_after);
    free(planner->joins_after);
    free(planner->reaches_join);
    free(planner->slot_of);
    free(planner);
}

FlowPlan *flow_planner__plan(FlowPlanner *self, uint32_t producer, uint32_t max_edges)
{
    self->own = flow_new(OwnPlan);
    self->plan = &self->own->plan;
    flow_arena_init(&self->own->arena, 0);
    if (!order_nodes(self, producer, max_edges)) {
        flow_plan__free(self->plan);
        return NULL;
    }
    list_edges(self);
    find_forks_and_bodies(self);
    number_slots(self);
    rank_slots(self);
    set_flags(self);
    find_ends(self);
    find_pool(self);
    self->plan->nodes = self->nodes;
    self->plan->edges = self->edges;
    self->plan->slots = self->slots;
    for (uint32_t i = 0; i < self->plan->node_count; i++)
        self->place[self->nodes[i].node] = 0;
    return self->plan;
}

void flow_plan__free(FlowPlan *plan)
{
    if (!plan)
        return;
    OwnPlan *own = flow_container_of(plan, OwnPlan, plan);
    flow_arena_done(&own->arena);
    free(own);
}
