/*
 * builder.h - FlowBuilder: definition in, FlowGraph out, with everything that is wrong about it at once.
 */
#ifndef FLOW_ENGINE_BUILDER_H
#define FLOW_ENGINE_BUILDER_H

#include "engine/graph.h"
#include "engine/post_process.h"
#include "engine/registry.h"

typedef struct FlowBuilder {
    FlowRegistry *registry;
    const char *workflow_id; /* for mapped queues' names; NULL or "": the definition's own id */
    /* Run in this order over the new graph; NULL: flow_post_processors_default(). Ended by an entry without a
     * name. */
    const FlowPostProcessor *post_processors;
} FlowBuilder;

/*
 * Reads, builds, runs the post-processors, and looks for what is wrong with the graph as a whole. Never NULL;
 * yours to unref. graph->is_sound tells whether it may be run; `problems` (initialised by the caller, may
 * hold earlier ones) says what is wrong and what is suspicious. Linear in the size of the definition, but for
 * sorting.
 */
FlowGraph *flow_builder_build(const FlowBuilder *builder, FlowValue definition, FlowProblems *problems);

#endif
