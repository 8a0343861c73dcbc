/* plan.h - makes a FlowPlan (analyzer.h) out of a graph. Private to the analyzer and the graph's checks. */
#ifndef FLOW_ENGINE_PLAN_H
#define FLOW_ENGINE_PLAN_H

#include "engine/analyzer.h"

/* Edges of all loops of a workflow together: producers that share what they drive multiply it. */
enum { FLOW_PLAN_MAX_EDGES = 1000000 };

/*
 * For a whole graph at once: which edges stand on a cycle within a loop. One byte per edge of the graph, yours to
 * free(); plans leave these edges out.
 */
uint8_t *flow_graph__cycle_edges(const FlowGraph *graph);

/* Makes the plans of one graph, one after another, with one set of working space. */
typedef struct FlowPlanner FlowPlanner;

/* `cycle_edges` is borrowed; NULL when there are none. */
FlowPlanner *flow_planner__new(const FlowGraph *graph, const uint8_t *cycle_edges);
void flow_planner__free(FlowPlanner *planner);
/* The plan of this producer's loop; NULL when it has more than `max_edges` edges. Free with flow_plan__free(). */
FlowPlan *flow_planner__plan(FlowPlanner *planner, uint32_t producer, uint32_t max_edges);
void flow_plan__free(FlowPlan *plan);

#endif
