/*
 * workflow.h - a workflow definition, read from its JSON (docs/workflow-format.md).
 *
 * The JSON comes as a FlowValue: what React Flow saves, which is also the proto3 JSON form of the Workflow
 * message. Reading collects problems and goes on, so that a faulty definition can still be looked at. The
 * whole value is kept (keys of editors included); nothing here changes it. A FlowWorkflow never changes once
 * read; any thread may look.
 */
#ifndef FLOW_ENGINE_WORKFLOW_H
#define FLOW_ENGINE_WORKFLOW_H

#include "engine/node.h"
#include "engine/problem.h"

enum {
    FLOW_WORKFLOW_MAX_NODES = 10000,
    FLOW_WORKFLOW_MAX_EDGES = 100000,
    FLOW_NODE_ID_MAX = 128, /* bytes, of edges' ids, too */
    FLOW_WORKFLOW_MAX_LABELS = 64,
    FLOW_LABEL_KEY_MAX = 63, /* bytes */
    FLOW_LABEL_MAX = 255,
    FLOW_MAX_IN_FLIGHT_DEFAULT = 64,
    FLOW_MAX_IN_FLIGHT_MAX = 10000
};

typedef enum FlowOnError { FLOW_ON_ERROR_CONTINUE, FLOW_ON_ERROR_PAUSE, FLOW_ON_ERROR_STOP } FlowOnError;
typedef enum FlowOnInterrupt { FLOW_ON_INTERRUPT_DEAD_LETTER, FLOW_ON_INTERRUPT_REQUEUE } FlowOnInterrupt;

/* data.config of a node. Those from on_error downwards stand at a producer and hold for its loop. */
typedef struct FlowNodeConfig {
    int64_t timeout_ns; /* of one call; 0: none */
    FlowPoolKind pool;  /* what the config asks for; FLOW_POOL_ASYNC when it doesn't */
    bool has_pool;
    FlowOnError on_error;
    uint32_t error_threshold; /* failures in a row that pause the loop; 0: never */
    FlowOnInterrupt on_interrupt;
    uint32_t max_in_flight; /* units in the background */
    bool start_durable;
} FlowNodeConfig;

typedef struct FlowWorkflowNode {
    uint32_t index; /* in the definition's `nodes`; names it in field paths */
    const char *id; /* never empty */
    const char *type;
    const char *label;     /* "" when there is none */
    FlowValue form;        /* borrowed from the definition; an object */
    FlowValue config_keys; /* borrowed: data.config as it stands there; an object */
    FlowNodeConfig config;
} FlowWorkflowNode;

typedef struct FlowWorkflowEdge {
    uint32_t index; /* in the definition's `edges` */
    const char *id; /* "" when there is none */
    const char *source, *target;
    const char *branch; /* sourceHandle in lower case; "default" when null or absent */
} FlowWorkflowEdge;

typedef struct FlowWorkflow {
    FlowValue definition;   /* as it was given */
    const char *id, *name;  /* "" when absent */
    bool undefined_lenient; /* settings.undefined = "lenient" */
    /* In definition order, without those too malformed to be told apart (no object, no id). */
    FlowWorkflowNode *nodes;
    FlowWorkflowEdge *edges;
    uint32_t node_count, edge_count;
    FlowArena arena; /* private */
} FlowWorkflow;

/* Never NULL: what can't be read is left out, and a problem says so. */
FlowWorkflow *flow_workflow_read(FlowValue definition, FlowProblems *problems);
FlowWorkflow *flow_workflow_free(FlowWorkflow *workflow);

const char *flow_on_error_name(FlowOnError policy); /* "continue" */

#endif
