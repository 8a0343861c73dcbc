/*
 * store_run.h - owners of loops, the settle, and runs; include store/store.h.
 */
#ifndef FLOW_STORE_STORE_RUN_H
#define FLOW_STORE_STORE_RUN_H

#include "store/store_op.h"
#include "store/store_queue.h"

/* ---- loops and the settle ------------------------------------------------------------------------------- */

typedef struct FlowNodeState {
    const char *node_id;
    FlowBlob *state; /* NULL: the node has none any more */
} FlowNodeState;

typedef struct FlowLoopRecord {
    const char *producer_node_id;
    int64_t workflow_revision;
    int state;        /* the engine's number; 0: never saved */
    bool ended;       /* for good */
    FlowBlob *status; /* opaque, as last saved; NULL: none. Borrowed */
    /* produced = done + dead_lettered + in_flight; in flight here: deliveries that it has taken, begun or not */
    uint64_t produced, done, filtered, dead_lettered, in_flight;
} FlowLoopRecord;

/*
 * Becomes the owner of a loop of a run, under a new, larger epoch; makes the loop's record if there is none.
 * Who owned it before is fenced: its operations get ABORTED, what it had in flight is treated as `on_interrupt`
 * of that owner says. NOT_FOUND (no such run).
 */
typedef struct FlowStoreLoopOpen {
    FlowStoreOp op;
    const char *run_id, *producer_node_id, *producer_type;
    int64_t workflow_revision;
    bool requeue_interrupted; /* on_interrupt: requeue */
    /*
     * Optional: called on op.loop when the oldest settle begins to wait for room in `queue`, and with NULL when
     * it waits no more. Borrowed for the length of the call. Not after close's done().
     */
    void (*blocked)(void *context, FlowStoreQueue *queue);
    void *context;
    /* results */
    FlowStoreLoop *owner; /* yours until flow_store_loop_close() */
    int64_t epoch;
    FlowLoopRecord record;
    FlowNodeState *states; /* as last settled */
    size_t state_count;
} FlowStoreLoopOpen;
void flow_store_loop_open(FlowStore *store, FlowStoreLoopOpen *op);

typedef enum FlowUnitOutcome { FLOW_UNIT_DONE, FLOW_UNIT_FILTERED, FLOW_UNIT_DEAD_LETTERED } FlowUnitOutcome;

/* A unit that has ended. */
typedef struct FlowStoreUnit {
    FlowDelivery *input; /* what it began with; NULL: its producer made it */
    FlowUnitOutcome outcome;
    const FlowDeadLetter *dead_letter; /* with FLOW_UNIT_DEAD_LETTERED */
} FlowStoreUnit;

typedef struct FlowStoreHeldPush {
    FlowStoreQueue *queue;
    FlowStoreItem item;
} FlowStoreHeldPush;

/*
 * Settles units of a loop, in one atomic step: acknowledges their inputs, makes all held pushes (in order), adds
 * the dead letters, writes node states, counts, and marks the loop as ended if it is.
 *
 * Settles of a loop happen in the order in which they were submitted. One that pushes waits, its units still in
 * flight, until every target queue is below its bound, and the loop's later settles wait behind it; then it
 * makes all its pushes, even beyond the bound. Within a commit only a loop's last states and counters are
 * written. Units that have neither input, pushes nor dead letters need no entry of their own: count them.
 *
 * Errors: ABORTED (FENCED); FAILED_PRECONDITION (NOT_IN_FLIGHT: an input isn't in flight with this loop);
 * CANCELLED; UNAVAILABLE only at close. The inputs' references stay the caller's in every case.
 */
typedef struct FlowStoreSettle {
    FlowStoreOp op;
    FlowStoreLoop *owner;
    const FlowStoreUnit *units;
    size_t unit_count;
    uint64_t plain_done;     /* further units that are done … */
    uint64_t plain_filtered; /* … and how many of these were filtered */
    const FlowStoreHeldPush *pushes;
    size_t push_count;
    const FlowNodeState *states;
    size_t state_count;
    int loop_state;  /* 0: as it is */
    bool loop_ended; /* with loop_state */
} FlowStoreSettle;
void flow_store_settle(FlowStore *store, FlowStoreSettle *op);

/* From now on the loop's settles don't wait for room (a drain that may not lose finished units). Any thread. */
void flow_store_loop_ignore_bounds(FlowStore *store, FlowStoreLoop *owner);

/* What is shown of a loop. Takes its place among the loop's settles. ABORTED (FENCED). */
typedef struct FlowStoreLoopSave {
    FlowStoreOp op;
    FlowStoreLoop *owner;
    int state; /* 0: as it is */
    bool ended;
    int64_t workflow_revision; /* 0: as it is */
    FlowBlob *status;          /* NULL: as it is */
} FlowStoreLoopSave;
void flow_store_loop_save(FlowStore *store, FlowStoreLoopSave *op);

/*
 * Gives the ownership back, behind the loop's settles. What is in flight and was not started goes back to the
 * head of its queue; what was started is treated as interrupted. The handle is gone when done() is called,
 * whatever the answer; op.loop is the one with which it was opened.
 */
typedef struct FlowStoreLoopClose {
    FlowStoreOp op;
    FlowStoreLoop *owner;
} FlowStoreLoopClose;
void flow_store_loop_close(FlowStore *store, FlowStoreLoopClose *op);

/* ---- runs ----------------------------------------------------------------------------------------------- */

typedef struct FlowRunRecord {
    const char *id, *workflow_id, *workflow_name;
    int64_t workflow_revision;
    bool inline_workflow;
    int state;                           /* the engine's number */
    bool active;                         /* has not ended */
    int64_t create_ns, start_ns, end_ns; /* 0: not yet */
    FlowBlob *spec, *status;             /* opaque; borrowed; NULL: none */
    FlowLoopRecord *loops;               /* in the order in which they were made */
    size_t loop_count;
} FlowRunRecord;

/*
 * Makes a run of a stored workflow, or (with `definition`) of an inline one, which is stored under
 * `workflow_id` as an unlisted workflow, revision 1, in the same step.
 * Idempotent by request_id as FlowStorePush is; the first answer is the run as it is now.
 * Errors: FAILED_PRECONDITION (RUN_ACTIVE: the workflow has an active run; error.where is its id);
 * NOT_FOUND (workflow or revision); ALREADY_EXISTS (run id); INVALID_ARGUMENT (REQUEST_ID_REUSED); UNAVAILABLE
 * (STORE_AWAY, LEDGER_UNBALANCED).
 */
typedef struct FlowStoreRunCreate {
    FlowStoreOp op;
    const char *id, *workflow_id, *workflow_name;
    int64_t workflow_revision; /* 0: the newest */
    FlowBlob *definition;      /* NULL: a stored workflow */
    int state;
    FlowBlob *spec; /* never changes: parameters, labels, … */
    const char *request_id;
    uint8_t request_hash[FLOW_STORE_HASH];
    /* results */
    FlowRunRecord run;
    bool replayed;
} FlowStoreRunCreate;
void flow_store_run_create(FlowStore *store, FlowStoreRunCreate *op);

/* NOT_FOUND. */
typedef struct FlowStoreRunSave {
    FlowStoreOp op;
    const char *id;
    int state;                 /* 0: as it is */
    bool ended;                /* not active any more, for good */
    int64_t workflow_revision; /* 0: as it is */
    int64_t start_ns, end_ns;  /* 0: as they are */
    FlowBlob *status;          /* NULL: as it is */
} FlowStoreRunSave;
void flow_store_run_save(FlowStore *store, FlowStoreRunSave *op);

/* NOT_FOUND. */
typedef struct FlowStoreRunGet {
    FlowStoreOp op;
    const char *id;
    FlowRunRecord run; /* result */
} FlowStoreRunGet;
void flow_store_run_get(FlowStore *store, FlowStoreRunGet *op);

typedef struct FlowStoreRunList {
    FlowStoreOp op;
    const char *workflow_id; /* filters; NULL or "": any */
    uint64_t states;         /* bits 1 << state; 0: any */
    bool active_only;
    size_t max;
    const char *token;
    /* results, newest first */
    FlowRunRecord *runs;
    size_t count;
    char next_token[FLOW_STORE_TOKEN];
} FlowStoreRunList;
void flow_store_run_list(FlowStore *store, FlowStoreRunList *op);

/* With its loops and node states; an inline workflow with its last run. NOT_FOUND; FAILED_PRECONDITION
 * (RUN_ACTIVE). */
typedef struct FlowStoreRunDelete {
    FlowStoreOp op;
    const char *id;
} FlowStoreRunDelete;
void flow_store_run_delete(FlowStore *store, FlowStoreRunDelete *op);

#endif
