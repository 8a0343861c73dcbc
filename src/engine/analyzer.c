#include "engine/analyzer.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "engine/plan.h"

struct FlowAnalyzer {
    atomic_uint refs;
    FlowGraph *graph;
    FlowPlan **loops;
    uint32_t loop_count;
    /* Per node, the queues that it reads or writes: queues[queue_first[i]] up to queue_first[i + 1]. */
    uint32_t *queue_first, *queues;
};

/* ---- making one ---- */

/* The i-th of a queue's writers and readers. */
static uint32_t user_of(const FlowGraphQueue *queue, uint32_t i)
{
    return i < queue->writer_count ? queue->writers[i] : queue->readers[i - queue->writer_count];
}

static void index_queues(FlowAnalyzer *self)
{
    const FlowGraph *graph = self->graph;
    uint32_t *first = flow_calloc((size_t)graph->node_count + 2, sizeof(*first));
    uint32_t *next = flow_calloc((size_t)graph->node_count + 2, sizeof(*next));
    for (uint32_t q = 0; q < graph->queue_count; q++) {
        const FlowGraphQueue *queue = &graph->queues[q];
        for (uint32_t i = 0; i < queue->writer_count + queue->reader_count; i++)
            first[user_of(queue, i) + 1]++;
    }
    for (uint32_t n = 0; n < graph->node_count; n++)
        first[n + 1] += first[n];
    memcpy(next, first, ((size_t)graph->node_count + 1) * sizeof(*next));
    self->queue_first = first;
    self->queues = flow_calloc((size_t)first[graph->node_count] + 1, sizeof(uint32_t));
    for (uint32_t q = 0; q < graph->queue_count; q++) {
        const FlowGraphQueue *queue = &graph->queues[q];
        for (uint32_t i = 0; i < queue->writer_count + queue->reader_count; i++)
            self->queues[next[user_of(queue, i)]++] = q;
    }
    free(next);
}

FlowAnalyzer *flow_analyzer_new(FlowGraph *graph)
{
    FlowAnalyzer *self = flow_new(FlowAnalyzer);
    atomic_init(&self->refs, 1);
    self->graph = flow_graph_ref(graph);
    self->loops = flow_calloc((size_t)graph->node_count + 1, sizeof(*self->loops));
    uint8_t *cycle_edges = flow_graph__cycle_edges(graph);
    FlowPlanner *planner = flow_planner__new(graph, cycle_edges);
    uint32_t edges_left = FLOW_PLAN_MAX_EDGES;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (!flow_graph_node_is(&graph->nodes[i], FLOW_NODE_PRODUCER))
            continue;
        FlowPlan *plan = flow_planner__plan(planner, i, edges_left);
        if (!plan)
            continue; /* the builder has reported it: such a graph isn't sound */
        edges_left -= plan->edge_count;
        self->loops[self->loop_count++] = plan;
    }
    flow_planner__free(planner);
    free(cycle_edges);
    index_queues(self);
    return self;
}

FlowAnalyzer *flow_analyzer_ref(FlowAnalyzer *analyzer)
{
    atomic_fetch_add_explicit(&analyzer->refs, 1, memory_order_relaxed);
    return analyzer;
}

FlowAnalyzer *flow_analyzer_unref(FlowAnalyzer *analyzer)
{
    if (!analyzer || atomic_fetch_sub_explicit(&analyzer->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (uint32_t i = 0; i < analyzer->loop_count; i++)
        flow_plan__free(analyzer->loops[i]);
    free(analyzer->loops);
    free(analyzer->queue_first);
    free(analyzer->queues);
    flow_graph_unref(analyzer->graph);
    free(analyzer);
    return NULL;
}

/* ---- loops ---- */

FlowGraph *flow_analyzer_graph(const FlowAnalyzer *analyzer)
{
    return analyzer->graph;
}

uint32_t flow_analyzer_loop_count(const FlowAnalyzer *analyzer)
{
    return analyzer->loop_count;
}

const FlowPlan *flow_analyzer_loop(const FlowAnalyzer *analyzer, uint32_t index)
{
    return index < analyzer->loop_count ? analyzer->loops[index] : NULL;
}

const FlowPlan *flow_analyzer_loop_of(const FlowAnalyzer *analyzer, uint32_t producer)
{
    uint32_t low = 0, high = analyzer->loop_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (analyzer->loops[middle]->nodes[0].node < producer)
            low = middle + 1;
        else
            high = middle;
    }
    return low < analyzer->loop_count && analyzer->loops[low]->nodes[0].node == producer
               ? analyzer->loops[low]
               : NULL;
}

uint32_t flow_analyzer_first_node(const FlowAnalyzer *analyzer)
{
    const FlowGraph *graph = analyzer->graph;
    uint32_t first = FLOW_GRAPH_NONE;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (!flow_graph_node_is(&graph->nodes[i], FLOW_NODE_PRODUCER))
            continue;
        if (first == FLOW_GRAPH_NONE)
            first = i;
        bool is_fed = false;
        for (uint32_t q = analyzer->queue_first[i]; q < analyzer->queue_first[i + 1] && !is_fed; q++)
            is_fed = graph->queues[analyzer->queues[q]].writer_count > 0;
        if (!is_fed)
            return i;
    }
    return first;
}

/* ---- ways ---- */

/* Breadth first; `seen` gets 1 for every node that is reached, `from` included. */
static void reach(const FlowAnalyzer *self, uint32_t from, bool backwards, bool through_queues, uint8_t *seen)
{
    const FlowGraph *graph = self->graph;
    uint32_t *queue = flow_calloc((size_t)graph->node_count + 1, sizeof(*queue));
    uint8_t *queues_seen = flow_calloc((size_t)graph->queue_count + 1, 1);
    uint32_t head = 0, tail = 0;
    queue[tail++] = from;
    seen[from] = 1;
    while (head < tail) {
        const FlowGraphNode *node = &graph->nodes[queue[head++]];
        for (uint32_t e = 0; backwards && e < node->in_count; e++) {
            const FlowGraphEdge *edge = &graph->edges[node->in_edges[e]];
            if (!edge->is_queue && !seen[edge->source]) {
                seen[edge->source] = 1;
                queue[tail++] = edge->source;
            }
        }
        for (uint32_t b = 0; !backwards && b < node->branch_count; b++) {
            for (uint32_t e = 0; e < node->branches[b].edge_count; e++) {
                const FlowGraphEdge *edge = &graph->edges[node->branches[b].edges[e]];
                if (!edge->is_queue && !seen[edge->target]) {
                    seen[edge->target] = 1;
                    queue[tail++] = edge->target;
                }
            }
        }
        /* From a queue's writer to its readers, or back. */
        if (!through_queues ||
            !flow_graph_node_has(node, backwards ? FLOW_NODE_READS_QUEUE : FLOW_NODE_WRITES_QUEUE))
            continue;
        for (uint32_t q = self->queue_first[node->index]; q < self->queue_first[node->index + 1]; q++) {
            const FlowGraphQueue *hop = &graph->queues[self->queues[q]];
            if (queues_seen[self->queues[q]])
                continue;
            queues_seen[self->queues[q]] = 1;
            const uint32_t *others = backwards ? hop->writers : hop->readers;
            uint32_t count = backwards ? hop->writer_count : hop->reader_count;
            for (uint32_t i = 0; i < count; i++) {
                if (!seen[others[i]]) {
                    seen[others[i]] = 1;
                    queue[tail++] = others[i];
                }
            }
        }
    }
    free(queues_seen);
    free(queue);
}

static FlowNodeSet make_set(const FlowAnalyzer *self, const uint8_t *wanted)
{
    FlowNodeSet set = {flow_calloc((size_t)self->graph->node_count + 1, sizeof(uint32_t)), 0};
    for (uint32_t i = 0; i < self->graph->node_count; i++) {
        if (wanted[i])
            set.nodes[set.count++] = i;
    }
    return set;
}

static FlowNodeSet reachable(const FlowAnalyzer *self, uint32_t node, bool backwards, bool through_queues)
{
    uint8_t *seen = flow_calloc((size_t)self->graph->node_count + 1, 1);
    reach(self, node, backwards, through_queues, seen);
    seen[node] = 0;
    FlowNodeSet set = make_set(self, seen);
    free(seen);
    return set;
}

FlowNodeSet flow_analyzer_upstream(const FlowAnalyzer *analyzer, uint32_t node, bool through_queues)
{
    return reachable(analyzer, node, true, through_queues);
}

FlowNodeSet flow_analyzer_downstream(const FlowAnalyzer *analyzer, uint32_t node, bool through_queues)
{
    return reachable(analyzer, node, false, through_queues);
}

FlowNodeSet flow_analyzer_chain(const FlowAnalyzer *analyzer, uint32_t from, uint32_t to, bool through_queues)
{
    uint32_t count = analyzer->graph->node_count;
    uint8_t *after = flow_calloc((size_t)count + 1, 1), *before = flow_calloc((size_t)count + 1, 1);
    reach(analyzer, from, false, through_queues, after);
    reach(analyzer, to, true, through_queues, before);
    for (uint32_t i = 0; i < count; i++)
        after[i] &= before[i];
    FlowNodeSet set = make_set(analyzer, after);
    free(before);
    free(after);
    return set;
}

FlowNodeSet flow_analyzer_non_blocking(const FlowAnalyzer *analyzer)
{
    const FlowGraph *graph = analyzer->graph;
    uint8_t *wanted = flow_calloc((size_t)graph->node_count + 1, 1);
    for (uint32_t i = 0; i < graph->node_count; i++)
        wanted[i] = flow_graph_node_is(&graph->nodes[i], FLOW_NODE_NON_BLOCKING);
    FlowNodeSet set = make_set(analyzer, wanted);
    free(wanted);
    return set;
}
