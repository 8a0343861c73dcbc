/* analysis.c - what FlowAnalyzer knows, as a message. */
#include "engine/analyzer.h"

#include <stdlib.h>
#include <string.h>

#include "service/convert.h"

/* With more nodes the neighbourhoods of all of them would make the answer grow with the square. */
enum { NEIGHBOURHOODS_MAX = 500 };

typedef struct Names {
    size_t count;
    char **ids;
} Names;

static Names no_names(void)
{
    return (Names){0, NULL};
}

static char *id_of(const FlowGraph *graph, uint32_t node)
{
    return flow_pb_borrow(graph->nodes[node].id);
}

static Names names_of(FlowPb *pb, const FlowGraph *graph, const uint32_t *nodes, size_t count)
{
    Names names = {0, (char **)flow_pb_list(pb, count)};
    for (size_t i = 0; names.ids != NULL && i < count; i++)
        names.ids[names.count++] = id_of(graph, nodes[i]);
    return names;
}

static Names names_of_set(FlowPb *pb, const FlowGraph *graph, FlowNodeSet set_take)
{
    Names names = names_of(pb, graph, set_take.nodes, set_take.count);
    free(set_take.nodes);
    return names;
}

static Names plan_names(FlowPb *pb, const FlowPlan *plan, const uint32_t *indexes, size_t count)
{
    Names names = {0, (char **)flow_pb_list(pb, count)};
    for (size_t i = 0; names.ids != NULL && i < count; i++)
        names.ids[names.count++] = flow_pb_borrow(plan->nodes[indexes != NULL ? indexes[i] : i].def->id);
    return names;
}

static Flowengine__V1__LoopAnalysis *make_loop(FlowPb *pb, const FlowPlan *plan)
{
    Flowengine__V1__LoopAnalysis *loop =
        FLOW_PB(pb, Flowengine__V1__LoopAnalysis, flowengine__v1__loop_analysis__init);
    if (loop == NULL)
        return NULL;
    Names members = plan_names(pb, plan, NULL, plan->node_count);
    Names ends = plan_names(pb, plan, plan->ends, plan->end_count);
    loop->producer_node_id = flow_pb_borrow(plan->nodes[0].def->id);
    loop->n_members = members.count;
    loop->members = members.ids;
    loop->n_ending_node_ids = ends.count;
    loop->ending_node_ids = ends.ids;
    loop->pool = (Flowengine__V1__NodeType__Pool)(plan->pool + 1);
    loop->pool_reason = flow_pb_borrow(plan->pool_reason);
    return loop;
}

static Flowengine__V1__QueueLink *make_queue(FlowPb *pb, const FlowGraph *graph, const FlowGraphQueue *queue)
{
    Flowengine__V1__QueueLink *link =
        FLOW_PB(pb, Flowengine__V1__QueueLink, flowengine__v1__queue_link__init);
    if (link == NULL)
        return NULL;
    Names writers = names_of(pb, graph, queue->writers, queue->writer_count);
    Names readers = names_of(pb, graph, queue->readers, queue->reader_count);
    link->queue = flow_pb_borrow(queue->name);
    link->short_name = flow_pb_borrow(queue->is_mapped ? queue->short_name : "");
    link->explicit_name = !queue->is_mapped;
    link->n_writer_node_ids = writers.count;
    link->writer_node_ids = writers.ids;
    link->n_reader_node_ids = readers.count;
    link->reader_node_ids = readers.ids;
    return link;
}

static Flowengine__V1__BranchTargets *make_branch(FlowPb *pb, const FlowGraph *graph,
                                                  const FlowGraphBranch *from)
{
    Flowengine__V1__BranchTargets *branch =
        FLOW_PB(pb, Flowengine__V1__BranchTargets, flowengine__v1__branch_targets__init);
    if (branch == NULL)
        return NULL;
    branch->branch = flow_pb_borrow(from->name);
    branch->node_ids = (char **)flow_pb_list(pb, from->edge_count);
    for (size_t i = 0; branch->node_ids != NULL && i < from->edge_count; i++)
        branch->node_ids[branch->n_node_ids++] = id_of(graph, graph->edges[from->edges[i]].target);
    return branch;
}

/* The loops that have the node as a member, and whether it joins branches in one of them. */
static void add_loops(FlowPb *pb, const FlowAnalyzer *analyzer, uint32_t node,
                      Flowengine__V1__NodeAnalysis *to)
{
    uint32_t loops = flow_analyzer_loop_count(analyzer);
    to->producer_node_ids = (char **)flow_pb_list(pb, loops);
    for (uint32_t i = 0; to->producer_node_ids != NULL && i < loops; i++) {
        const FlowPlan *plan = flow_analyzer_loop(analyzer, i);
        for (uint32_t n = 0; n < plan->node_count; n++) {
            if (plan->nodes[n].node != node)
                continue;
            to->producer_node_ids[to->n_producer_node_ids++] = flow_pb_borrow(plan->nodes[0].def->id);
            to->join = to->join || plan->nodes[n].in_count > 1;
        }
    }
}

static Flowengine__V1__NodeAnalysis *make_node(FlowPb *pb, const FlowAnalyzer *analyzer, uint32_t index)
{
    const FlowGraph *graph = flow_analyzer_graph(analyzer);
    const FlowGraphNode *from = &graph->nodes[index];
    Flowengine__V1__NodeAnalysis *node =
        FLOW_PB(pb, Flowengine__V1__NodeAnalysis, flowengine__v1__node_analysis__init);
    if (node == NULL)
        return NULL;
    bool small = graph->node_count <= NEIGHBOURHOODS_MAX;
    Names up = small ? names_of_set(pb, graph, flow_analyzer_upstream(analyzer, index, true)) : no_names();
    Names down =
        small ? names_of_set(pb, graph, flow_analyzer_downstream(analyzer, index, true)) : no_names();
    node->node_id = flow_pb_borrow(from->id);
    node->type = flow_pb_borrow(from->type != NULL ? from->type->name : "");
    if (from->type != NULL)
        node->kind = (Flowengine__V1__NodeType__Kind)(from->type->kind + 1);
    node->n_upstream = up.count;
    node->upstream = up.ids;
    node->n_downstream = down.count;
    node->downstream = down.ids;
    node->branches = (Flowengine__V1__BranchTargets **)flow_pb_list(pb, from->branch_count);
    for (uint32_t i = 0; node->branches != NULL && i < from->branch_count && !pb->failed; i++)
        node->branches[node->n_branches++] = make_branch(pb, graph, &from->branches[i]);
    add_loops(pb, analyzer, index, node);
    return node;
}

static void fill_in(FlowPb *pb, const FlowAnalyzer *analyzer, Flowengine__V1__Analysis *to)
{
    FlowGraph *graph = flow_analyzer_graph(analyzer);
    uint32_t loops = flow_analyzer_loop_count(analyzer), first = flow_analyzer_first_node(analyzer);
    to->producer_node_ids = (char **)flow_pb_list(pb, loops);
    to->loops = (Flowengine__V1__LoopAnalysis **)flow_pb_list(pb, loops);
    for (uint32_t i = 0; to->producer_node_ids != NULL && to->loops != NULL && i < loops && !pb->failed;
         i++) {
        const FlowPlan *plan = flow_analyzer_loop(analyzer, i);
        to->producer_node_ids[to->n_producer_node_ids++] = flow_pb_borrow(plan->nodes[0].def->id);
        to->loops[to->n_loops++] = make_loop(pb, plan);
    }
    if (first != FLOW_GRAPH_NONE)
        to->first_node_id = id_of(graph, first);
    Names non_blocking = names_of_set(pb, graph, flow_analyzer_non_blocking(analyzer));
    to->n_non_blocking_node_ids = non_blocking.count;
    to->non_blocking_node_ids = non_blocking.ids;
    to->queues = (Flowengine__V1__QueueLink **)flow_pb_list(pb, graph->queue_count);
    for (uint32_t i = 0; to->queues != NULL && i < graph->queue_count && !pb->failed; i++)
        to->queues[to->n_queues++] = make_queue(pb, graph, &graph->queues[i]);
    to->nodes = (Flowengine__V1__NodeAnalysis **)flow_pb_list(pb, graph->node_count);
    for (uint32_t i = 0; to->nodes != NULL && i < graph->node_count && !pb->failed; i++)
        to->nodes[to->n_nodes++] = make_node(pb, analyzer, i);
}

static bool named(const char *id)
{
    return id != NULL && id[0] != '\0';
}

Flowengine__V1__Analysis *flow_pb_analysis(FlowPb *pb, FlowGraph *graph, const FlowProblems *problems,
                                           int64_t revision, const char *from_node_id, const char *to_node_id)
{
    Flowengine__V1__Analysis *analysis =
        FLOW_PB(pb, Flowengine__V1__Analysis, flowengine__v1__analysis__init);
    if (analysis == NULL)
        return NULL;
    FlowAnalyzer *analyzer = flow_analyzer_new(graph);
    analysis->workflow_id = flow_pb_borrow(revision != 0 ? graph->workflow_id : "");
    analysis->workflow_revision = revision;
    fill_in(pb, analyzer, analysis);
    if (named(from_node_id) && named(to_node_id)) {
        const FlowGraphNode *from = flow_graph_find(graph, from_node_id),
                            *to = flow_graph_find(graph, to_node_id);
        Names chain =
            from != NULL && to != NULL
                ? names_of_set(pb, graph, flow_analyzer_chain(analyzer, from->index, to->index, true))
                : no_names();
        analysis->n_chain = chain.count;
        analysis->chain = chain.ids;
    }
    if (problems != NULL)
        flow_pb_problems(pb, problems, &analysis->n_problems, &analysis->problems);
    /* pool_reason is the analyzer's text: it goes with it unless the message is encoded first. */
    for (size_t i = 0; i < analysis->n_loops && !pb->failed; i++)
        analysis->loops[i]->pool_reason = flow_pb_text(pb, "%s", analysis->loops[i]->pool_reason);
    flow_analyzer_unref(analyzer);
    return analysis;
}
