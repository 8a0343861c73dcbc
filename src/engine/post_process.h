/*
 * post_process.h - what runs over a new graph, in order, before anyone else sees it: a list that can be
 * extended.
 *
 * A post-processor also gets graphs of faulty definitions (nodes without type, for one); what it finds it
 * adds to the problems. It may allocate in flow_graph__arena() what it hangs into the graph.
 */
#ifndef FLOW_ENGINE_POST_PROCESS_H
#define FLOW_ENGINE_POST_PROCESS_H

#include "engine/graph.h"

typedef struct FlowPostProcessor {
    const char *name;
    void (*run)(FlowGraph *graph, FlowProblems *problems);
} FlowPostProcessor;

/* QueueMapper, NodeValidator, and the end mark. */
const FlowPostProcessor *flow_post_processors_default(void);

void flow_queue_mapper_run(FlowGraph *graph, FlowProblems *problems);   /* queue_mapper.c */
void flow_node_validator_run(FlowGraph *graph, FlowProblems *problems); /* node_validator.c */

#endif
