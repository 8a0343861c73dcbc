/*
 * graph_check.c - what is wrong, or suspicious, about a graph as a whole: cycles within a loop, bodies of for-each that
 * are entered or left other than through their for-each, nodes that no producer reaches, loops that feed each other.
 * Joins across non-blocking nodes have a file of their own: join_check.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "engine/graph_internal.h"
#include "engine/join_check.h"
#include "engine/plan.h"

enum { FOR_EACH_DEPTH_MAX = 16, NAMED_MAX = 12 };

/* ---- cycles within a loop ---- */

/* Appends "a -> b -> c", with the middle left out when there are many. */
static void append_way(FlowBuf *text, const FlowGraph *graph, const uint32_t *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char brief[FLOW_BRIEF_TEXT];
        if (count > NAMED_MAX && i == NAMED_MAX / 2) {
            flow_buf_str(text, " -> \xe2\x80\xa6");
            i = count - NAMED_MAX / 2;
        }
        const char *id = graph->nodes[nodes[i]].id;
        flow_buf_str(text, i ? " -> " : "");
        flow_buf_str(text, flow_brief(brief, id, strlen(id)));
    }
}

/* Follows cycle edges from `start` until a node comes twice, then reports that ring. */
static void report_ring(const FlowGraph *graph, const uint8_t *cycle_edges, uint32_t start, uint32_t *way,
                        uint32_t *place, FlowProblems *problems)
{
    uint32_t count = 0, at = start, closing = FLOW_GRAPH_NONE;
    while (!place[at]) {
        way[count++] = at;
        place[at] = count;
        const FlowGraphNode *node = &graph->nodes[at];
        closing = FLOW_GRAPH_NONE;
        for (uint32_t b = 0; b < node->branch_count && closing == FLOW_GRAPH_NONE; b++) {
            for (uint32_t e = 0; e < node->branches[b].edge_count && closing == FLOW_GRAPH_NONE; e++) {
                if (cycle_edges[node->branches[b].edges[e]])
                    closing = node->branches[b].edges[e];
            }
        }
        at = graph->edges[closing].target;
    }
    uint32_t first = place[at] - 1;
    FlowBuf text;
    flow_buf_init(&text, 4096);
    append_way(&text, graph, way + first, count - first);
    const FlowGraphNode *begin = &graph->nodes[way[first]];
    char field[64], brief[FLOW_BRIEF_TEXT];
    snprintf(field, sizeof(field), "edges[%u]", graph->edges[closing].definition_index);
    flow_problems_add(
        problems, FLOW_PROBLEM_LOOP_CYCLE, begin->id, graph->edges[closing].id, field,
        "nodes lead back to themselves within one loop: %s -> %s; let a queue-writer and a queue-reader "
        "close the circle",
        flow_buf_text(&text), flow_brief(brief, begin->id, strlen(begin->id)));
    flow_buf_done(&text);
}

/* One problem for each set of nodes that lead to each other. */
static void check_cycles(const FlowGraph *graph, const uint8_t *cycle_edges, FlowProblems *problems)
{
    uint32_t nodes = graph->node_count;
    uint32_t *way = flow_calloc((size_t)nodes + 1, sizeof(*way));
    uint32_t *place = flow_calloc((size_t)nodes + 1, sizeof(*place));
    uint8_t *done = flow_calloc((size_t)nodes + 1, 1);
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        uint32_t start = graph->edges[e].source;
        if (!cycle_edges[e] || done[start])
            continue;
        report_ring(graph, cycle_edges, start, way, place, problems);
        /* All that cycle edges reach from here leads back here: one component. */
        uint32_t head = 0, tail = 0;
        way[tail++] = start;
        done[start] = 1;
        while (head < tail) {
            const FlowGraphNode *node = &graph->nodes[way[head++]];
            for (uint32_t b = 0; b < node->branch_count; b++) {
                for (uint32_t i = 0; i < node->branches[b].edge_count; i++) {
                    uint32_t edge = node->branches[b].edges[i], target = graph->edges[edge].target;
                    if (cycle_edges[edge] && !done[target]) {
                        done[target] = 1;
                        way[tail++] = target;
                    }
                }
            }
        }
    }
    free(done);
    free(place);
    free(way);
}

/* ---- bodies of for-each ---- */

static uint32_t body_of_edge(const FlowPlan *plan, const FlowPlanEdge *edge)
{
    const FlowPlanNode *source = &plan->nodes[edge->source];
    if (!flow_graph_node_has(source->def, FLOW_NODE_FOR_EACH))
        return source->body_of;
    int body = flow_graph_branch(source->def, "body");
    uint32_t at = (uint32_t)(edge - plan->edges);
    bool in_body = at >= source->branches[body].edge_first && at < source->branches[body].edge_end;
    return in_body ? edge->source : source->body_of;
}

static void report_shared(const FlowGraph *graph, const FlowPlan *plan, const FlowPlanEdge *edge,
                          uint32_t for_each, FlowProblems *problems)
{
    const FlowGraphNode *node = plan->nodes[edge->target].def, *owner = plan->nodes[for_each].def;
    const FlowGraphEdge *origin = &graph->edges[edge->edge];
    char field[64];
    snprintf(field, sizeof(field), "edges[%u]", origin->definition_index);
    flow_problems_add(
        problems, FLOW_PROBLEM_FOR_EACH_SHARED, node->id, origin->id, field,
        "node '%s' is reached from the body of for-each '%s' and from outside of it (by the edge from "
        "'%s'): body and the rest must not share nodes",
        node->id, owner->id, graph->nodes[origin->source].id);
}

/* All edges into a node must come from the same body (or from none). */
static void check_bodies(const FlowGraph *graph, const FlowPlan *plan, uint8_t *reported,
                         FlowProblems *problems)
{
    uint32_t *body = flow_calloc((size_t)plan->node_count + 1, sizeof(*body));
    uint32_t *depth = flow_calloc((size_t)plan->node_count + 1, sizeof(*depth)); /* bodies around a node */
    for (uint32_t i = 0; i < plan->node_count; i++)
        body[i] = FLOW_GRAPH_NONE;
    /* Edges are sorted by their source, and sources stand before targets: body[] is complete when it is read. */
    for (uint32_t e = 0; e < plan->edge_count; e++) {
        const FlowPlanEdge *edge = &plan->edges[e];
        uint32_t its_body = body_of_edge(plan, edge), graph_node = plan->nodes[edge->target].node;
        if (!depth[edge->target]) {
            depth[edge->target] = 1 + (its_body == FLOW_GRAPH_NONE ? 0 : depth[its_body]);
            body[edge->target] = its_body;
            if (depth[edge->target] == FOR_EACH_DEPTH_MAX + 2 && !reported[graph_node]) {
                reported[graph_node] = 1;
                const FlowGraphNode *node = plan->nodes[edge->target].def;
                flow_problems_add(
                    problems, FLOW_PROBLEM_FOR_EACH_TOO_DEEP, node->id, NULL, NULL,
                    "node '%s' is inside more than %d for-each bodies: let a queue take some of them "
                    "apart",
                    node->id, FOR_EACH_DEPTH_MAX);
            }
        } else if (its_body != body[edge->target] && !reported[graph_node]) {
            reported[graph_node] = 1;
            report_shared(graph, plan, edge, its_body != FLOW_GRAPH_NONE ? its_body : body[edge->target],
                          problems);
        }
    }
    free(depth);
    free(body);
}

/* ---- what no producer reaches ---- */

/* `through_last`: also behind nodes that let nothing go on. */
static void mark_from(const FlowGraph *graph, uint32_t start, bool through_last, uint8_t *seen,
                      uint32_t *queue)
{
    uint32_t head = 0, tail = 0;
    if (seen[start])
        return;
    seen[start] = 1;
    queue[tail++] = start;
    while (head < tail) {
        const FlowGraphNode *node = &graph->nodes[queue[head++]];
        if (!through_last && flow_graph_node_has(node, FLOW_NODE_LAST))
            continue;
        for (uint32_t b = 0; b < node->branch_count; b++) {
            for (uint32_t e = 0; e < node->branches[b].edge_count; e++) {
                uint32_t target = graph->edges[node->branches[b].edges[e]].target;
                if (!seen[target]) {
                    seen[target] = 1;
                    queue[tail++] = target;
                }
            }
        }
    }
}

static void mark_reachable(const FlowGraph *graph, bool through_last, uint8_t *seen, uint32_t *queue)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        /* An unknown type may well have been meant to be a producer. */
        if (!graph->nodes[i].type || flow_graph_node_is(&graph->nodes[i], FLOW_NODE_PRODUCER))
            mark_from(graph, i, through_last, seen, queue);
    }
    /* Behind an edge that was left out as faulty, silence is better than a second complaint. */
    for (uint32_t i = 0; i < graph->own->dropped_count; i++)
        mark_from(graph, graph->own->dropped[i].target, through_last, seen, queue);
}

static void check_reachable(const FlowGraph *graph, FlowProblems *problems)
{
    uint8_t *seen = flow_calloc((size_t)graph->node_count + 1, 1);
    uint8_t *alive = flow_calloc((size_t)graph->node_count + 1, 1);
    uint32_t *queue = flow_calloc((size_t)graph->node_count + 1, sizeof(*queue));
    bool has_start = false;
    for (uint32_t i = 0; i < graph->node_count && !has_start; i++)
        has_start = !graph->nodes[i].type || flow_graph_node_is(&graph->nodes[i], FLOW_NODE_PRODUCER);
    if (!has_start)
        flow_problems_add(
            problems, FLOW_PROBLEM_PRODUCER_MISSING, NULL, NULL, "nodes",
            "the workflow has no producer, so it can't be started: add one, such as a counter, a timer "
            "or a queue-reader");
    mark_reachable(graph, true, seen, queue);
    mark_reachable(graph, false, alive, queue);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        char field[64];
        const FlowGraphNode *node = &graph->nodes[i];
        snprintf(field, sizeof(field), "nodes[%u]", node->definition_index);
        if (!seen[i])
            flow_problems_add(problems, FLOW_PROBLEM_NODE_UNREACHABLE, node->id, NULL, field,
                              "no producer reaches node '%s', so it will never run: connect it or remove it",
                              node->id);
        else if (!alive[i])
            flow_problems_add(
                problems, FLOW_PROBLEM_BRANCH_UNREACHABLE, node->id, NULL, field,
                "node '%s' will never run: every way to it passes a node that lets nothing go on, such "
                "as `end`",
                node->id);
    }
    free(queue);
    free(alive);
    free(seen);
}

/* ---- the whole ---- */

void flow_graph__check(FlowGraph *graph, FlowProblems *problems)
{
    uint8_t *cycle_edges = flow_graph__cycle_edges(graph);
    check_cycles(graph, cycle_edges, problems);
    check_reachable(graph, problems);
    flow_graph__check_supply(graph, problems);
    FlowPlanner *planner = flow_planner__new(graph, cycle_edges);
    uint32_t edges_left = FLOW_PLAN_MAX_EDGES;
    uint8_t *reported_bodies = flow_calloc((size_t)graph->node_count + 1, 1);
    uint8_t *reported_joins = flow_calloc((size_t)graph->node_count + 1, 1);
    FlowQueueCycles *queue_cycles = flow_queue_cycles__new(graph);
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (!flow_graph_node_is(&graph->nodes[i], FLOW_NODE_PRODUCER))
            continue;
        FlowPlan *plan = flow_planner__plan(planner, i, edges_left);
        if (!plan) {
            flow_problems_add(
                problems, FLOW_PROBLEM_TOO_LARGE, graph->nodes[i].id, NULL, NULL,
                "the loops of the workflow have more than %u edges together, counting what several "
                "producers share: let the producers write to a queue and one reader drive the rest",
                FLOW_PLAN_MAX_EDGES);
            break;
        }
        edges_left -= plan->edge_count;
        check_bodies(graph, plan, reported_bodies, problems);
        flow_join_check__run(graph, plan, reported_joins, problems);
        flow_queue_cycles__add(queue_cycles, plan);
        flow_plan__free(plan);
    }
    flow_queue_cycles__report(queue_cycles, problems);
    flow_queue_cycles__free(queue_cycles);
    free(reported_joins);
    free(reported_bodies);
    flow_planner__free(planner);
    free(cycle_edges);
}
