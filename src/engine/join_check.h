/* join_check.h - two checks over the plans of a graph, private to graph_check.c. */
#ifndef FLOW_ENGINE_JOIN_CHECK_H
#define FLOW_ENGINE_JOIN_CHECK_H

#include "engine/analyzer.h"

/* Joins with a non-blocking node on a way from their fork. `reported`: per node of the graph, 1: already said. */
void flow_join_check__run(const FlowGraph *graph, const FlowPlan *plan, uint8_t *reported,
                          FlowProblems *problems);

/* Loops that feed each other through queues (queue_cycles.c): collects the loops one by one, then says what it saw. */
typedef struct FlowQueueCycles FlowQueueCycles;
FlowQueueCycles *flow_queue_cycles__new(const FlowGraph *graph);
void flow_queue_cycles__add(FlowQueueCycles *cycles, const FlowPlan *plan);
void flow_queue_cycles__report(FlowQueueCycles *cycles, FlowProblems *problems);
void flow_queue_cycles__free(FlowQueueCycles *cycles);

#endif
