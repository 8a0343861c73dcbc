/*
 * problem.h - what is wrong with a workflow: a list that collects, so that a user sees everything at once.
 */
#ifndef FLOW_ENGINE_PROBLEM_H
#define FLOW_ENGINE_PROBLEM_H

#include <stdarg.h>

#include "base/arena.h"
#include "base/status.h"

enum { FLOW_PROBLEMS_MAX = 10000 }; /* kept; further ones are only counted */

typedef enum FlowSeverity { FLOW_SEVERITY_ERROR, FLOW_SEVERITY_WARNING } FlowSeverity;

/* One row per code: docs/workflow-format.md lists them, and a test compares. */
#define FLOW_PROBLEM_MAP(X)                                                                                  \
    X(WORKFLOW_MALFORMED, ERROR, "a part of the definition has the wrong JSON type")                         \
    X(UNKNOWN_FIELD, ERROR, "a key that nothing reads, in a place where editors keep nothing")               \
    X(VALUE_INVALID, ERROR, "a setting or an id with a value it can't have")                                 \
    X(TOO_LARGE, ERROR, "more nodes, edges or bytes than the server accepts")                                \
    X(NODE_ID_DUPLICATE, ERROR, "two nodes with one id")                                                     \
    X(EDGE_ID_DUPLICATE, ERROR, "two edges with one id")                                                     \
    X(NODE_TYPE_UNKNOWN, ERROR, "no node type has this name")                                                \
    X(CONFIG_INVALID, ERROR, "a key of data.config that is unknown, misplaced or has a wrong value")         \
    X(FORM_INVALID, ERROR, "a form field doesn't validate, or a template in it doesn't compile")             \
    X(NODE_NOT_READY, ERROR, "the node says that it can't run as it is configured")                          \
    X(EDGE_SOURCE_MISSING, ERROR, "an edge from a node that doesn't exist")                                  \
    X(EDGE_TARGET_MISSING, ERROR, "an edge to a node that doesn't exist")                                    \
    X(EDGE_HANDLE_UNKNOWN, ERROR, "an edge from a handle that the source's type doesn't have")               \
    X(EDGE_INTO_PRODUCER, ERROR, "an edge into a producer; only queue-writer to queue-reader is allowed")    \
    X(LOOP_CYCLE, ERROR, "nodes of one loop that lead back to themselves")                                   \
    X(JOIN_ACROSS_NON_BLOCKING, ERROR, "a join with a non-blocking node between its fork and itself")        \
    X(FOR_EACH_SHARED, ERROR, "a node that is reached from inside a for-each body and from outside of it")   \
    X(FOR_EACH_TOO_DEEP, ERROR, "for-each nodes nested too deep")                                            \
    X(QUEUE_NAME_INVALID, ERROR, "a queue name that is no id, or contains a template")                       \
    X(QUEUE_NAME_CONFLICT, ERROR,                                                                            \
      "differing explicit queue names on one edge or among the writers of a reader")                         \
    X(QUEUE_UNNAMED, ERROR, "a reader without name and writer, or a writer without name and reader")         \
    X(PRODUCER_MISSING, WARNING, "no producer: the workflow can be stored but not started")                  \
    X(NODE_UNREACHABLE, WARNING, "a node that no producer reaches")                                          \
    X(QUEUE_CYCLE, WARNING, "loops that feed each other through queues")                                     \
    X(BRANCH_UNREACHABLE, WARNING, "a node that only stands behind nodes that let nothing go on")            \
    X(TEMPLATE_FIELD_UNKNOWN, WARNING, "a template reads a part of data that no node before it can supply")  \
    X(FORM_KEY_UNKNOWN, WARNING, "a key of data.form that the node type has no field for")                   \
    X(NAME_SUSPICIOUS, WARNING, "an editor's key that is nearly one of ours")

typedef enum FlowProblemCode {
#define X(name, severity, summary) FLOW_PROBLEM_##name,
    FLOW_PROBLEM_MAP(X)
#undef X
        FLOW_PROBLEM_CODE_COUNT
} FlowProblemCode;

typedef struct FlowProblem {
    FlowSeverity severity;
    FlowProblemCode code;
    const char *node_id; /* "" when it isn't about a node */
    const char *edge_id; /* "" when it isn't about an edge */
    const char *field;   /* path within the workflow: "nodes[2].data.form.url"; may be "" */
    const char *message; /* one sentence with a remedy */
} FlowProblem;

typedef struct FlowProblems {
    FlowProblem *items; /* in the order in which they were found */
    size_t count, capacity;
    size_t errors, warnings; /* including those that weren't kept */
    FlowArena arena;         /* holds all the texts */
} FlowProblems;

void flow_problems_init(FlowProblems *problems);
void flow_problems_done(FlowProblems *problems);

/* ids and field may be NULL. Texts are copied and bounded; control characters become spaces. */
void flow_problems_add(FlowProblems *problems, FlowProblemCode code, const char *node_id, const char *edge_id,
                       const char *field, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* OK without errors; otherwise INVALID_ARGUMENT, WORKFLOW_INVALID: the first error and how many there are. */
FlowStatus flow_problems_to_error(const FlowProblems *problems, FlowError *reterr);

const char *flow_severity_name(FlowSeverity severity);       /* "ERROR", "WARNING" */
const char *flow_problem_code_name(FlowProblemCode code);    /* "NODE_TYPE_UNKNOWN" */
const char *flow_problem_code_summary(FlowProblemCode code); /* what stands in the list above */
FlowSeverity flow_problem_code_severity(FlowProblemCode code);

/* Text from outside for use in a message: cut to what fits, at a character's boundary, with an ellipsis. */
enum { FLOW_BRIEF_TEXT = 84 };
const char *flow_brief(char to[FLOW_BRIEF_TEXT], const char *text, size_t len);

#endif
