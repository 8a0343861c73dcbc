/*
 * join_check.c - finds joins that would have to wait in the foreground for what goes on in the background.
 *
 * Every way of a payload is in a stage: the last non-blocking node that it has passed, or the producer. A join is fine
 * when all ways that can reach it in one unit are in the same stage: then the non-blocking node stands before their
 * fork. Where ways of different stages meet, it matters whether they can be alive in one unit: after an if-condition
 * whose `yes` passes a `log` and whose `no` doesn't, only one of them is. Such a meeting begins a stage of its own
 * ("whichever it was").
 *
 * Two ways can be alive at once when they part at a node that sends the payload down both. Take the nearest common
 * dominator D of the two edges into the join: two ways from D to them exist that share nothing but D. So they are
 * alive at once if D can let them begin in one branch. Which branches of D lead to a node just below it in the
 * dominator tree is known per node; that two ways through the same branch are then free to part inside it is assumed
 * (only conditionals that cross each other twice could make that wrong, and then a workflow is refused that would run).
 */
#include "engine/join_check.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/dominators.h"
#include "engine/registry.h"

enum { BRANCH_WORDS = FLOW_NODE_BRANCHES_MAX / 64 };
#define NO_STAGE    UINT32_MAX
#define MIXED_STAGE (UINT32_MAX - 1)

typedef struct BranchSet {
    uint64_t word[BRANCH_WORDS];
} BranchSet;

typedef struct JoinCheck {
    const FlowGraph *graph;
    const FlowPlan *plan;
    uint32_t *stage;         /* per node: of the payload that enters it */
    uint32_t *in_first, *in; /* per node: its incoming edges, in plan order */
    /* Made when the first meeting of stages is found. */
    bool has_tree;
    FlowDominators tree;
    uint32_t *preorder;
    BranchSet *branches_to; /* per node: branches of its dominator that lead to it */
} JoinCheck;

static uint32_t stage_behind(const JoinCheck *self, uint32_t node)
{
    return self->plan->nodes[node].is_boundary ? node : self->stage[node];
}

static uint32_t branch_of(const JoinCheck *self, uint32_t edge)
{
    return self->graph->edges[self->plan->edges[edge].edge].branch;
}

static void list_incoming(JoinCheck *self)
{
    const FlowPlan *plan = self->plan;
    self->in_first = flow_calloc((size_t)plan->node_count + 2, sizeof(uint32_t));
    self->in = flow_calloc((size_t)plan->edge_count + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < plan->node_count; i++)
        self->in_first[i + 1] = self->in_first[i] + plan->nodes[i].in_count;
    uint32_t *next = flow_calloc((size_t)plan->node_count + 1, sizeof(uint32_t));
    memcpy(next, self->in_first, (size_t)plan->node_count * sizeof(uint32_t));
    for (uint32_t e = 0; e < plan->edge_count; e++)
        self->in[next[plan->edges[e].target]++] = e;
    free(next);
}

static void make_tree(JoinCheck *self)
{
    const FlowPlan *plan = self->plan;
    uint32_t count = plan->node_count;
    uint32_t *size = flow_calloc((size_t)count + 1, sizeof(*size));
    uint32_t *next = flow_calloc((size_t)count + 1, sizeof(*next));
    flow_dominators_init(&self->tree, count);
    for (uint32_t i = 1; i < count; i++)
        flow_dominators_add(&self->tree, i, plan->nodes[i].fork);
    for (uint32_t i = count; i-- > 0;) {
        size[i]++;
        if (i)
            size[self->tree.parent[i]] += size[i];
    }
    self->preorder = flow_calloc((size_t)count + 1, sizeof(uint32_t));
    next[0] = 1;
    for (uint32_t i = 1; i < count; i++) {
        uint32_t parent = self->tree.parent[i];
        self->preorder[i] = next[parent];
        next[parent] += size[i];
        next[i] = self->preorder[i] + 1;
    }
    self->branches_to = flow_calloc((size_t)count + 1, sizeof(BranchSet));
    for (uint32_t i = 1; i < count; i++) {
        uint32_t parent = self->tree.parent[i];
        for (uint32_t k = self->in_first[i]; k < self->in_first[i + 1]; k++) {
            uint32_t source = plan->edges[self->in[k]].source, branch = branch_of(self, self->in[k]);
            if (source == parent) {
                self->branches_to[i].word[branch / 64] |= UINT64_C(1) << branch % 64;
                continue;
            }
            uint32_t top = flow_dominators_at_depth(&self->tree, source, self->tree.depth[parent] + 1);
            for (int w = 0; w < BRANCH_WORDS; w++)
                self->branches_to[i].word[w] |= self->branches_to[top].word[w];
        }
    }
    free(next);
    free(size);
    self->has_tree = true;
}

/* ---- can two stages meet? ---- */

/* A node where edges into the join have their nearest common dominator, or from which one comes. */
typedef struct Meeting {
    uint32_t preorder, node;
    uint32_t parent;                  /* index of another meeting; itself for the topmost */
    uint32_t stage;                   /* of all edges below; NO_STAGE: none, MIXED_STAGE: several */
    uint32_t edge_first, edge_end;    /* edges into the join that begin here, in the sorted list */
    uint32_t child_first, child_next; /* list of those whose parent this is, + 1 */
} Meeting;

typedef struct InEdge {
    uint32_t preorder, source, stage, branch;
} InEdge;

static int by_preorder(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/* What has been seen per branch of one node: the stage of the groups that begin there. */
typedef struct Groups {
    uint32_t stage[FLOW_NODE_BRANCHES_MAX];
    uint32_t whole; /* of all groups together */
    bool clash;
} Groups;

static void add_group(Groups *groups, const BranchSet *branches, uint32_t stage)
{
    for (int w = 0; w < BRANCH_WORDS; w++) {
        for (uint64_t bits = branches->word[w]; bits; bits &= bits - 1) {
            uint32_t *known = &groups->stage[w * 64 + __builtin_ctzll(bits)];
            if (*known == NO_STAGE)
                *known = stage;
            else
                groups->clash |= *known != stage || stage == MIXED_STAGE;
        }
    }
    groups->whole = groups->whole == NO_STAGE || groups->whole == stage ? stage : MIXED_STAGE;
}

/* Looks at all that meets at one node; true when two stages can be alive there at once. */
static bool clashes_at(const JoinCheck *self, Meeting *all, Meeting *here, const InEdge *edges,
                       Groups *groups)
{
    memset(groups->stage, 0xff, sizeof(groups->stage));
    groups->whole = NO_STAGE;
    groups->clash = false;
    for (uint32_t e = here->edge_first; e < here->edge_end; e++) {
        BranchSet one = {{0}};
        one.word[edges[e].branch / 64] |= UINT64_C(1) << edges[e].branch % 64;
        add_group(groups, &one, edges[e].stage);
    }
    for (uint32_t c = here->child_first; c; c = all[c - 1].child_next) {
        const Meeting *child = &all[c - 1];
        uint32_t top = flow_dominators_at_depth(&self->tree, child->node, self->tree.depth[here->node] + 1);
        add_group(groups, &self->branches_to[top], child->stage);
    }
    here->stage = groups->whole;
    return groups->clash;
}

/* The node from which ways of different stages can lead to `join` in one unit; FLOW_GRAPH_NONE when none can. */
static uint32_t find_clash(JoinCheck *self, uint32_t join)
{
    if (!self->has_tree)
        make_tree(self);
    uint32_t first = self->in_first[join], count = self->in_first[join + 1] - first;
    InEdge *edges = flow_calloc(count, sizeof(*edges));
    Meeting *all = flow_calloc(2 * (size_t)count, sizeof(*all));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t source = self->plan->edges[self->in[first + i]].source;
        edges[i] = (InEdge){self->preorder[source], source, stage_behind(self, source),
                            branch_of(self, self->in[first + i])};
    }
    qsort(edges, count, sizeof(*edges), by_preorder);

    /* All sources and the common dominators of neighbours, sorted, each once: an ancestor stands before what is
     * below it. */
    uint32_t meetings = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = edges[i].source;
        all[meetings++] = (Meeting){.preorder = self->preorder[node], .node = node};
        if (i + 1 == count)
            break;
        node = flow_dominators_common(&self->tree, node, edges[i + 1].source);
        all[meetings++] = (Meeting){.preorder = self->preorder[node], .node = node};
    }
    qsort(all, meetings, sizeof(*all), by_preorder);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < meetings; i++) {
        if (!kept || all[kept - 1].node != all[i].node)
            all[kept++] = all[i];
    }
    uint32_t edge = 0;
    for (uint32_t i = 0; i < kept; i++) {
        all[i].edge_first = edge;
        while (edge < count && edges[edge].source == all[i].node)
            edge++;
        all[i].edge_end = edge;
        uint32_t parent = i ? i - 1 : 0;
        while (i && flow_dominators_common(&self->tree, all[parent].node, all[i].node) != all[parent].node)
            parent = all[parent].parent;
        all[i].parent = parent;
        if (i) {
            all[i].child_next = all[parent].child_first;
            all[parent].child_first = i + 1;
        }
    }
    uint32_t clash = FLOW_GRAPH_NONE;
    Groups groups;
    for (uint32_t i = kept; i-- > 0 && clash == FLOW_GRAPH_NONE;) {
        if (clashes_at(self, all, &all[i], edges, &groups))
            clash = all[i].node;
    }
    free(all);
    free(edges);
    return clash;
}

/* ---- report ---- */

/* A non-blocking node that stands for this stage. Stages lead to earlier ones, so this ends. */
static uint32_t non_blocking_of(const JoinCheck *self, uint32_t stage)
{
    while (stage && !self->plan->nodes[stage].is_boundary) {
        uint32_t latest = 0;
        for (uint32_t k = self->in_first[stage]; k < self->in_first[stage + 1]; k++) {
            uint32_t other = stage_behind(self, self->plan->edges[self->in[k]].source);
            if (other > latest && other < stage)
                latest = other;
        }
        stage = latest;
    }
    return stage;
}

static void report(const JoinCheck *self, uint32_t join, uint32_t fork, FlowProblems *problems)
{
    const FlowPlan *plan = self->plan;
    uint32_t before = stage_behind(self, fork), culprit = 0, edge = self->in[self->in_first[join]];
    for (uint32_t k = self->in_first[join]; k < self->in_first[join + 1] && !culprit; k++) {
        uint32_t stage = stage_behind(self, plan->edges[self->in[k]].source);
        if (stage == before)
            continue;
        culprit = non_blocking_of(self, stage);
        edge = self->in[k];
    }
    const FlowGraphEdge *entry = &self->graph->edges[plan->edges[edge].edge];
    const char *node = plan->nodes[join].def->id;
    char field[64];
    snprintf(field, sizeof(field), "edges[%u]", entry->definition_index);
    flow_problems_add(
        problems, FLOW_PROBLEM_JOIN_ACROSS_NON_BLOCKING, node, entry->id, field,
        "'%s' joins ways that part at '%s', and one of them passes the non-blocking node '%s', behind "
        "which things go on in the background: move '%s' before the fork, behind the join or onto a way "
        "of its own",
        node, plan->nodes[fork].def->id, plan->nodes[culprit].def->id, plan->nodes[culprit].def->id);
}

void flow_join_check__run(const FlowGraph *graph, const FlowPlan *plan, uint8_t *reported,
                          FlowProblems *problems)
{
    if (!plan->has_boundary || !plan->join_count)
        return;
    JoinCheck self = {.graph = graph, .plan = plan};
    self.stage = flow_calloc((size_t)plan->node_count + 1, sizeof(uint32_t));
    list_incoming(&self);
    for (uint32_t i = 1; i < plan->node_count; i++) {
        uint32_t first = self.in_first[i], end = self.in_first[i + 1];
        uint32_t stage = stage_behind(&self, plan->edges[self.in[first]].source);
        bool same = true;
        for (uint32_t k = first + 1; k < end && same; k++)
            same = stage_behind(&self, plan->edges[self.in[k]].source) == stage;
        self.stage[i] = stage;
        if (same)
            continue;
        /* Set after the search: it looks at the stages of earlier nodes only. */
        uint32_t fork = find_clash(&self, i);
        if (fork != FLOW_GRAPH_NONE && !reported[plan->nodes[i].node]) {
            reported[plan->nodes[i].node] = 1;
            report(&self, i, fork, problems);
        }
        self.stage[i] = i;
    }
    if (self.has_tree) {
        flow_dominators_done(&self.tree);
        free(self.preorder);
        free(self.branches_to);
    }
    free(self.in);
    free(self.in_first);
    free(self.stage);
}
