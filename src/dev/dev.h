/*
 * dev.h - Development Mode: single nodes are executed on real data, in sessions that never touch production.
 *
 * A FlowDev holds the sessions. A session belongs to one workflow and keeps what its nodes gave (FlowDevOutput), what
 * was pinned, the nodes' durable states and queues of its own. Everything that is asked of it is a FlowDevRequest:
 * embedded in memory of the caller's, submitted from any thread, answered exactly once through done() on the
 * FlowDev's own loop thread, which also owns all sessions. What takes long doesn't happen there: definitions are
 * built in a pool, nodes that may block have a thread.
 *
 * Requests that use one session run one after another, in the order in which they came; other sessions don't wait.
 */
#ifndef FLOW_DEV_DEV_H
#define FLOW_DEV_DEV_H

#include "engine/analyzer.h"
#include "engine/problem.h"
#include "engine/registry.h"
#include "store/store.h"
#include "value/value.h"

typedef struct FlowDev FlowDev;
typedef struct FlowDevRequest FlowDevRequest;

typedef struct FlowDevOptions {
    FlowStore *store;       /* borrowed, as all: outlives the FlowDev */
    FlowRegistry *registry; /* */
    const FlowClock *clock; /* NULL: the real one */
    FlowValue env;          /* object: what templates see as `env` */
    /* What nodes may ask for by name; may be NULL. Called on the nodes' threads. */
    void *(*service)(void *context, const char *name);
    void *service_context;
    unsigned sessions_max; /* 0: FLOW_DEV_SESSIONS */
    size_t session_bytes;  /* 0: FLOW_DEV_SESSION_BYTES */
    size_t total_bytes;    /* 0: FLOW_DEV_TOTAL_BYTES */
} FlowDevOptions;

enum {
    FLOW_DEV_SESSIONS = 1000,
    FLOW_DEV_SESSION_BYTES = 64 << 20,
    FLOW_DEV_TOTAL_BYTES = 512 << 20,
    FLOW_DEV_THREADS = 64,      /* executions with a thread of their own, at a time */
    FLOW_DEV_WAITING = 64,      /* requests that wait for one session */
    FLOW_DEV_LOGS = 1000,       /* lines of one execution that are kept */
    FLOW_DEV_LOG_MESSAGE = 4096 /* bytes of one line */
};
#define FLOW_DEV_LIFE_NS        (24 * 3600 * FLOW_NS_PER_S) /* of a session, behind its last use */
#define FLOW_DEV_TIMEOUT_NS     (60 * FLOW_NS_PER_S) /* of an execution, where nothing says otherwise */
#define FLOW_DEV_TIMEOUT_MAX_NS (3600 * FLOW_NS_PER_S)

/* Starts the loop. */
FlowStatus flow_dev_open(const FlowDevOptions *options, FlowDev **ret_dev, FlowError *reterr);
/* When no request is left. Blocks. Accepts NULL. */
void flow_dev_close(FlowDev *dev);

/* What an output is worth; the numbers are NodeInput.State's. */
typedef enum FlowDevState {
    FLOW_DEV_FRESH = 1,
    FLOW_DEV_STALE,
    FLOW_DEV_PINNED,
    FLOW_DEV_MISSING,
    FLOW_DEV_NOT_TAKEN
} FlowDevState;

/* A payload with its id. All three are references of the holder's. */
typedef struct FlowDevPayload {
    FlowValue id; /* string, or null */
    FlowValue data, metadata;
} FlowDevPayload;

typedef struct FlowDevInput {
    const char *node_id; /* of the graph, as edge_id */
    const char *edge_id;
    FlowDevState state;
    char reason[200];
    int64_t time_ns;
} FlowDevInput;

typedef struct FlowDevLog {
    int64_t time_ns;
    FlowLogLevel level;
    char *message;
    const char *node_id;
    FlowValue fields;
} FlowDevLog;

typedef struct FlowDevMock {
    const char *node_id;
    FlowValue data;     /* object */
    FlowValue metadata; /* object, or null: that of the input */
    const char *branch; /* "": default */
    const char *error;  /* "": none */
} FlowDevMock;

/* What a session keeps of a node. Borrowed by answers: valid until done() returns. */
typedef struct FlowDevOutput {
    const char *node_id, *node_type;
    FlowDevPayload payload;
    const char *branch;
    bool branch_ended, is_pinned, is_mocked;
    FlowDevState state;
    char reason[200];
    FlowValue form;
    int64_t time_ns, duration_ns;
    size_t bytes;
} FlowDevOutput;

typedef struct FlowDevSessionView {
    char id[129], workflow_id[129];
    int64_t create_ns, expire_ns;
    size_t bytes;
    uint32_t output_count;
} FlowDevSessionView;

typedef enum FlowDevVerb {
    FLOW_DEV_EXECUTE,
    FLOW_DEV_GET_INPUT,
    FLOW_DEV_GET_OUTPUT,
    FLOW_DEV_SET_OUTPUT,
    FLOW_DEV_CLEAR_OUTPUT,
    FLOW_DEV_LIST,
    FLOW_DEV_CLEAR,
    FLOW_DEV_LOAD,
} FlowDevVerb;

struct FlowDevRequest {
    FlowDevVerb verb;
    void (*done)(FlowDevRequest *request);
    void (*cancel_seen)(FlowDevRequest *request); /* only for flow_dev_cancel() */

    /* The question. Borrowed until done() returns; texts may be NULL. */
    const char *session_id;  /* EXECUTE: "" for a new one */
    const char *workflow_id; /* a stored one, or */
    FlowValue workflow;      /* one that isn't stored (an object); null: the session's */
    const char *node_id;
    const char *from_dead_letter;
    FlowDevPayload input;              /* data null: none. SET_OUTPUT: the output */
    FlowValue form_values, parameters; /* null: none */
    bool run_upstream, dry_run, allow_side_effects, peek_queues;
    int32_t for_each_index;
    int64_t timeout_ns; /* 0: none given */
    const FlowDevMock *mocks;
    size_t mock_count;
    const char *branch; /* SET_OUTPUT */
    bool branch_ended;
    size_t page_size; /* LIST */
    const char *page_token;

    /* The answer; what it points to is freed when done() returns. */
    FlowError error;              /* status OK: the rest is there */
    const FlowProblems *problems; /* WORKFLOW_INVALID: all of them */
    const char *const *needed;    /* MISSING_INPUT, QUEUE_EMPTY: nodes to execute first */
    size_t needed_count;
    FlowDevSessionView session;
    const char *answer_node_id, *node_type;
    FlowDevPayload given;   /* what the node was (would be) given; data null: nothing */
    FlowDevPayload output;  /* data null: it failed */
    FlowValue form;         /* rendered, masked; null: none */
    const char *out_branch; /* "" */
    bool completed, off_branch, mocked, ended;
    FlowPoolKind pool;
    int64_t duration_ns;
    FlowError failure; /* of the node; status OK: it did not fail */
    const char *failed_node_id;
    const FlowDevLog *logs;
    size_t log_count;
    const FlowDevInput *inputs;
    size_t input_count;
    const char *const *executed;
    size_t executed_count;
    const FlowDevOutput *outputs; /* GET_OUTPUT, SET_OUTPUT: one; LIST, LOAD: many */
    size_t output_count;
    char next_page_token[32];

    struct FlowDevJob *job;     /* private */
    FlowTask task;              /* private */
    FlowTask cancel_task;       /* private */
    FlowDev *dev;               /* set by submit; before it only where flow_dev_cancel() may come first */
    _Atomic(bool) is_cancelled; /* private */
};

/* Any thread. */
void flow_dev_submit(FlowDev *dev, FlowDevRequest *request);
/*
 * Asks a request to end soon; done() still comes, normally with CANCELLED. Any thread, at most once, also when done()
 * has been called: the request's memory must stay until cancel_seen() is called, on the loop.
 */
void flow_dev_cancel(FlowDevRequest *request);

#endif
