/*
 * status.h - the outcomes of an operation, one list for every door.
 *
 * The numbers are the canonical gRPC codes, so no door needs a table of its own to translate them.
 * A FlowError lives on the caller's stack and owns nothing: reporting that memory ran out needs no memory.
 */
#ifndef FLOW_BASE_STATUS_H
#define FLOW_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>

/*      name                 code  HTTP  advice to the caller */
#define FLOW_STATUS_MAP(X)                                                                                   \
    X(OK, 0, 200, "")                                                                                        \
    X(CANCELLED, 1, 499, "the caller gave up")                                                               \
    X(UNKNOWN, 2, 500, "report it with the request id")                                                      \
    X(INVALID_ARGUMENT, 3, 400, "mend the request")                                                          \
    X(DEADLINE_EXCEEDED, 4, 504, "look whether it took effect, then try again with more time")               \
    X(NOT_FOUND, 5, 404, "check the name")                                                                   \
    X(ALREADY_EXISTS, 6, 409, "choose another name or use the one that exists")                              \
    X(PERMISSION_DENIED, 7, 403, "use other credentials")                                                    \
    X(RESOURCE_EXHAUSTED, 8, 429, "wait, send less, or raise the bound")                                     \
    X(FAILED_PRECONDITION, 9, 400, "change the state it names, then try again")                              \
    X(ABORTED, 10, 409, "read it again, then try again")                                                     \
    X(OUT_OF_RANGE, 11, 400, "ask for what exists")                                                          \
    X(UNIMPLEMENTED, 12, 501, "use another method")                                                          \
    X(INTERNAL, 13, 500, "report it with the request id")                                                    \
    X(UNAVAILABLE, 14, 503, "try again later")                                                               \
    X(DATA_LOSS, 15, 500, "restore from a backup")                                                           \
    X(UNAUTHENTICATED, 16, 401, "send credentials")

typedef enum FlowStatus {
#define X(name, code, http, advice) FLOW_##name = code,
    FLOW_STATUS_MAP(X)
#undef X
        FLOW_STATUS_COUNT
} FlowStatus;

/* Why a thing failed and where. Filled in by the function that fails, untouched by one that succeeds. */
typedef struct FlowError {
    FlowStatus status;
    char reason[48];   /* for programs: UPPER_SNAKE_CASE, such as WORKFLOW_INVALID; may be empty */
    char where[160];   /* for programs: field path, node id or "line:column"; may be empty */
    char message[512]; /* for people: one sentence, no newline, safe to show a client */
} FlowError;

/* "NOT_FOUND"; "UNKNOWN" for a number outside the list. */
const char *flow_status_name(FlowStatus status);
int flow_status_http(FlowStatus status);
const char *flow_status_advice(FlowStatus status);
/* The status called `name`, or -1. */
int flow_status_from_name(const char *name);

/*
 * Fills `reterr` (may be NULL) and returns `status`, so that a failing branch is one line. `reason` and
 * `where` may be NULL. Longer texts are cut at a character boundary of UTF-8; control characters become
 * spaces.
 */
FlowStatus flow_error_set(FlowError *reterr, FlowStatus status, const char *reason, const char *where,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));
FlowStatus flow_error_vset(FlowError *reterr, FlowStatus status, const char *reason, const char *where,
                           const char *format, va_list args) __attribute__((format(printf, 5, 0)));

/* Puts `prefix` before what `where` already says: "workflow" + "nodes[2].data" = "workflow.nodes[2].data". */
void flow_error_within(FlowError *error, const char *prefix);

/* "cannot allocate N bytes": the one sentence for a failed try_ allocation. */
FlowStatus flow_error_no_memory(FlowError *reterr, const char *where, unsigned long long bytes);

#endif
