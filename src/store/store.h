/*
 * store.h - the DataStore facade: everything that must survive, behind one contract that every backend keeps
 * (docs/store.md; the rules are tested once, over all of them, in tests/unit/store).
 *
 * Operations. Each is a struct that embeds FlowStoreOp and is filled in by the caller: inputs, the loop on which
 * the answer is wanted, and done(). The function that submits it returns at once, from any thread. From then
 * until done() the struct and everything that it points to belong to the store and must stay valid. done() is
 * called exactly once, on op.loop, never from within the submit; op.error.status is FLOW_OK, or error says why
 * not. Results whose memory isn't the caller's are freed by flow_store_op_done(); an operation that failed has
 * none, and its result fields mean nothing. An operation with op.loop and op.done NULL is waited for with
 * flow_store_wait().
 *
 * Atomicity. Each operation happens wholly or not at all; one that is refused has changed nothing.
 *
 * Durability. done() with FLOW_OK is called after the change has reached what the durability class promises
 * (FlowDurability), together with many others in one commit. What a read answers is durable as well.
 *
 * Order. Operations that one thread submits take effect in that order. Only takes that wait for items, settles
 * that wait for room, and waits are overtaken; settles, saves and untakes of one loop are never overtaken by
 * others of the same loop.
 *
 * When the storage fails (disk full, I/O error: FLOW_STORE_AWAY) nothing is half applied and nothing that was
 * answered with FLOW_OK is lost. Settles, loop saves, untakes and loop closes are then held, in order, and
 * applied when the storage is back; takes that wait go on waiting; everything else fails with UNAVAILABLE. The
 * store tries again by itself. A change that failed with UNAVAILABLE while a commit was under way may, after a
 * crash at that moment, turn out to have happened: repeat it with the same request_id, or look.
 *
 * Errors that any operation may give: UNAVAILABLE (STORE_AWAY; STORE_CLOSED after flow_store_close began),
 * INVALID_ARGUMENT (an id or name that is empty or too long), INTERNAL (a fault of ours, with SQL text or the
 * like), DATA_LOSS (what was read can't be right).
 *
 * Texts are NUL-terminated UTF-8; a NULL text input means "". Times are wall nanoseconds. Bodies, states and
 * the like are opaque blobs.
 */
#ifndef FLOW_STORE_STORE_H
#define FLOW_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/status.h"
#include "loop/loop.h"
#include "store/blob.h"

typedef struct FlowStore FlowStore;
typedef struct FlowStoreQueue FlowStoreQueue; /* a queue's name, and a view of it that is always current */
typedef struct FlowStoreLoop FlowStoreLoop;   /* one loop of a run, owned under an epoch */

enum {
    FLOW_STORE_NAME_MAX = 512,    /* bytes of an id or a queue's name */
    FLOW_STORE_SETTLES_MAX = 512, /* settles that one loop should have on their way */
    FLOW_STORE_PAGE_MAX = 1000,   /* entries of a page */
    FLOW_STORE_TAKE_MAX = 512,    /* deliveries of one take */
    FLOW_STORE_TOKEN = 1040,      /* bytes of a page token, with its NUL */
    FLOW_STORE_HASH = 16,         /* bytes of a request's content hash */
    FLOW_FINGERPRINT_TEXT = 17    /* 16 hex digits and the NUL */
};

/* ---- opening and closing ------------------------------------------------------------------------------- */

typedef enum FlowDurability {
    FLOW_DURABILITY_POWER,  /* survives the loss of power, if the device honours a flush */
    FLOW_DURABILITY_PROCESS /* survives the end of the process, kill -9 included */
} FlowDurability;

/* Zero means the default, for each. */
typedef struct FlowStoreOptions {
    const FlowClock *clock; /* the real one */
    FlowDurability durability;
    unsigned commit_wait_ms;    /* how long a commit waits for company: 0. While one commit is on its way to
                                   the disk, what comes is gathered for the next one anyway */
    unsigned commit_operations; /* at most in one commit: 4096 */
    size_t memory_bytes;        /* of queued payloads kept in memory, so that takes need no reading: 64 MiB */
    uint64_t queue_max_items;   /* bound of a new queue: 10,000 */
    uint64_t queue_max_bytes;   /* 1 GiB */
    int64_t request_ns;         /* how long request ids are kept: 24 h */
    unsigned revisions_max;     /* revisions kept of a workflow, besides those that runs use: 1000 */
    int64_t retry_ns;           /* between attempts while the storage fails: 500 ms */
} FlowStoreOptions;

/*
 * Opens, migrates, recovers (see FlowStoreRecovery) and checks the ledger; blocks meanwhile. `url`:
 * "sqlite:PATH", or "sqlite::memory:" for a store that dies with the process. `options` may be NULL.
 * Errors: INVALID_ARGUMENT (URL), FAILED_PRECONDITION (STORE_IN_USE: another process has it, named;
 * STORE_TOO_NEW: made by a newer version), PERMISSION_DENIED, UNAVAILABLE, DATA_LOSS.
 */
FlowStatus flow_store_open(const char *url, const FlowStoreOptions *options, FlowStore **ret_store,
                           FlowError *reterr);
/*
 * Commits what was submitted; what waits is answered with UNAVAILABLE; ends the store's thread and frees.
 * Blocks. The loops of operations under way must still run, or be freed later. Deliveries may be kept; queue
 * and loop handles may not. Accepts NULL.
 */
void flow_store_close(FlowStore *store);

/* What opening found and did. */
typedef struct FlowStoreRecovery {
    int64_t epoch;        /* of this opening; larger than all before */
    bool clean;           /* the last user closed it */
    uint64_t interrupted; /* deliveries in flight that became dead letters, reason INTERRUPTED */
    uint64_t requeued;    /* deliveries in flight that went back to the head of their queue */
    uint64_t active_runs; /* to be resumed: flow_store_run_list() with active_only */
} FlowStoreRecovery;
FlowStoreRecovery flow_store_recovery(const FlowStore *store);

typedef enum FlowStoreState { FLOW_STORE_READY, FLOW_STORE_AWAY } FlowStoreState;

typedef struct FlowStoreInfo {
    const char *kind; /* "sqlite"; static */
    char url[512];    /* without secrets */
    FlowDurability durability;
    const char *durability_note; /* what it survives and on what that depends, one sentence; static */
    char identity[37];           /* made once with the store */
    int schema_version;
    bool shared; /* several servers may use it at a time */
    FlowStoreState state;
    int64_t state_since_ns;
    FlowError state_error; /* why it is AWAY */
    /* The ledger did not balance when the store was opened: reads are served, run creation and pushes answer
     * UNAVAILABLE (LEDGER_UNBALANCED) with the queue's name. */
    bool balanced;
    FlowError imbalance;
    uint64_t commits, operations, pushed, settled; /* since opening */
} FlowStoreInfo;
/* Any thread; doesn't wait. */
void flow_store_info(FlowStore *store, FlowStoreInfo *ret_info);

/* ---- operations in general ------------------------------------------------------------------------------ */

typedef struct FlowStoreOp FlowStoreOp;
struct FlowStoreOp {
    FlowLoop *loop;
    void (*done)(FlowStoreOp *op);
    FlowError error; /* valid from done() on */

    /* private */
    FlowStore *store;
    int kind, place;
    _Atomic int phase;
    bool ready, cancel_seen;
    FlowTask task, cancel_task;
    FlowList link;
    FlowArena results;
    void *results_head;
};

/*
 * Asks an operation that waits to give up; call it on op->loop, before done() was called. done() still comes
 * exactly once: with CANCELLED, and nothing has happened; or with its result, because it was too late.
 */
void flow_store_cancel(FlowStore *store, FlowStoreOp *op);
/* Frees results; once per operation that was answered. Does nothing for those without such results. */
void flow_store_op_done(FlowStoreOp *op);
/*
 * Blocks until an operation that was submitted with op->loop and op->done NULL is answered; its status. For
 * start-up, tools and tests: not on a loop's thread.
 */
FlowStatus flow_store_wait(FlowStore *store, FlowStoreOp *op);

/* ---- queues: handles ------------------------------------------------------------------------------------ */

/*
 * The queue of this name, whether it exists yet or not; the same handle for the same name. Any thread. NULL for
 * a name that is empty or longer than FLOW_STORE_NAME_MAX.
 */
FlowStoreQueue *flow_store_queue_open(FlowStore *store, const char *name);
FlowStoreQueue *flow_store_queue_ref(FlowStoreQueue *queue);
FlowStoreQueue *flow_store_queue_unref(FlowStoreQueue *queue); /* always NULL */
const char *flow_store_queue_name(const FlowStoreQueue *queue);

/* As of the last commit. Each number is exact; together they may straddle a commit (the ledger doesn't). */
typedef struct FlowStoreQueueView {
    uint64_t queued, bytes, in_flight;
    uint64_t max_items, max_bytes;
    bool paused;
    uint32_t waiting_takes;   /* readers that wait for items */
    uint32_t waiting_settles; /* loops whose next settle waits for room here */
} FlowStoreQueueView;
/* Any thread; a few loads. */
FlowStoreQueueView flow_store_queue_view(const FlowStoreQueue *queue);
/* Below both bounds: a settle that pushes here wouldn't wait. */
static inline bool flow_store_queue_has_room(const FlowStoreQueueView *view)
{
    return view->queued < view->max_items && view->bytes < view->max_bytes;
}

/* One push of a payload into one queue. */
typedef struct FlowDelivery FlowDelivery;
struct FlowDelivery {
    uint64_t id; /* unique in the store, never used again; in a queue, later pushes have larger ones */
    const char *payload_id;
    FlowBlob *body;
    FlowStoreQueue *queue;
    int64_t push_ns;
    uint32_t redelivered; /* how often it went back to its queue because its owner died */
    uint32_t redrives;
    /* private parts follow */
};
FlowDelivery *flow_delivery_ref(FlowDelivery *delivery);
FlowDelivery *flow_delivery_unref(FlowDelivery *delivery); /* always NULL */
/*
 * Before the first node of its unit runs: from now on the delivery may have had effects, so it can't be untaken,
 * and an owner that dies leaves it INTERRUPTED. Costs no I/O that could fail. Loop's thread.
 */
void flow_delivery_start(FlowDelivery *delivery);

/* ---- queues: operations --------------------------------------------------------------------------------- */

/* A payload on its way into a queue. */
typedef struct FlowStoreItem {
    const char *payload_id;
    FlowBlob *body; /* the same blob as a delivery's costs no copying, if it is large */
    uint32_t redrives;
} FlowStoreItem;

/*
 * Pushes from outside: all of them, in order, or none. Makes the queue if there is none.
 * With a request_id: the same id again (within FlowStoreOptions.request_ns) with the same hash gives the first
 * answer and pushes nothing; with another hash INVALID_ARGUMENT (REQUEST_ID_REUSED).
 * Errors: RESOURCE_EXHAUSTED (QUEUE_FULL) when they don't all fit below the bounds. UNAVAILABLE.
 */
typedef struct FlowStorePush {
    FlowStoreOp op;
    FlowStoreQueue *queue;
    const FlowStoreItem *items;
    size_t count;           /* ≥ 1 */
    const char *request_id; /* NULL or "": not idempotent */
    uint8_t request_hash[FLOW_STORE_HASH];
    bool ignore_bounds; /* a redrive */
    /* results */
    uint64_t first_id; /* delivery ids are first_id, first_id + 1, … */
    bool replayed;
} FlowStorePush;
void flow_store_push(FlowStore *store, FlowStorePush *op);

/*
 * Takes up to `max` from the head, durably owned by `owner` until settled or untaken. With `wait` it is answered
 * when there is something (in the same commit as the push), else at once, maybe with count 0. A paused queue, or
 * one that doesn't exist, counts as empty.
 * Errors: ABORTED (FENCED), CANCELLED, UNAVAILABLE (only without `wait`, or at close).
 */
typedef struct FlowStoreTake {
    FlowStoreOp op;
    FlowStoreLoop *owner;
    FlowStoreQueue *queue;
    FlowDelivery *
        *deliveries;  /* room for `max`; from done() on each of the `count` is a reference of yours */
    size_t max;       /* 1 to FLOW_STORE_TAKE_MAX */
    size_t max_bytes; /* of bodies, at least one comes; 0: 4 MiB */
    bool wait;
    /* results */
    size_t count;
} FlowStoreTake;
void flow_store_take(FlowStore *store, FlowStoreTake *op);

/*
 * Gives deliveries back to the head of their queues, in their old order, as if they had not been taken.
 * Errors: FAILED_PRECONDITION (NOT_IN_FLIGHT) when one isn't this loop's or was started; ABORTED (FENCED).
 */
typedef struct FlowStoreUntake {
    FlowStoreOp op;
    FlowStoreLoop *owner;
    FlowDelivery *const *deliveries;
    size_t count;
} FlowStoreUntake;
void flow_store_untake(FlowStore *store, FlowStoreUntake *op);

typedef enum FlowStoreCondition {
    FLOW_STORE_QUEUE_HAS_ITEMS, /* something queued, not paused */
    FLOW_STORE_QUEUE_HAS_ROOM,  /* below both bounds */
    FLOW_STORE_QUEUE_DRAINED,   /* nothing queued or in flight */
    FLOW_STORE_IS_AWAY,         /* the storage fails */
    FLOW_STORE_IS_READY
} FlowStoreCondition;

/* Answered as soon as the condition holds (maybe at once). It need not hold any more when done() runs. */
typedef struct FlowStoreUntil {
    FlowStoreOp op;
    FlowStoreCondition condition;
    FlowStoreQueue *queue; /* NULL for IS_AWAY, IS_READY */
} FlowStoreUntil;
void flow_store_until(FlowStore *store, FlowStoreUntil *op);

typedef enum FlowQueueKind {
    FLOW_QUEUE_NAMED = 0,
    FLOW_QUEUE_MAPPED = 1,
    FLOW_QUEUE_ENTRY = 2
} FlowQueueKind;

/* Makes the queue if there is none; otherwise changes nothing. A push of an unknown name makes it NAMED. */
typedef struct FlowStoreQueueMake {
    FlowStoreOp op;
    FlowStoreQueue *queue;
    FlowQueueKind kind;
    const char *workflow_id, *short_name;
    bool made; /* result */
} FlowStoreQueueMake;
void flow_store_queue_make(FlowStore *store, FlowStoreQueueMake *op);

/* Everything about a queue at one moment. pushed = queued + in_flight + done + dead_lettered + removed. */
typedef struct FlowQueueInfo {
    const char *name, *workflow_id, *short_name;
    FlowQueueKind kind;
    uint64_t pushed, queued, in_flight, done, filtered, dead_lettered, removed, moved_out;
    uint64_t bytes, max_items, max_bytes;
    bool paused;
    int64_t oldest_ns; /* push time of the first one queued; 0 when there is none */
    uint32_t waiting_takes, waiting_settles;
} FlowQueueInfo;

/* NOT_FOUND. */
typedef struct FlowStoreQueueGet {
    FlowStoreOp op;
    const char *name;
    FlowQueueInfo info; /* result */
} FlowStoreQueueGet;
void flow_store_queue_get(FlowStore *store, FlowStoreQueueGet *op);

/* Pages: `token` "" or NULL for the first; `next_token` is "" at the end. INVALID_ARGUMENT (PAGE_TOKEN). */
typedef struct FlowStoreQueueList {
    FlowStoreOp op;
    const char *prefix, *workflow_id; /* filters; NULL or "": any */
    size_t max;                       /* 1 to FLOW_STORE_PAGE_MAX */
    const char *token;
    /* results, sorted by name */
    FlowQueueInfo *queues;
    size_t count;
    char next_token[FLOW_STORE_TOKEN];
} FlowStoreQueueList;
void flow_store_queue_list(FlowStore *store, FlowStoreQueueList *op);

/* NOT_FOUND. Smaller bounds than what is queued are fine: nothing is lost, pushes wait. */
typedef struct FlowStoreQueueUpdate {
    FlowStoreOp op;
    const char *name;
    uint64_t max_items, max_bytes; /* 0: as it is */
    enum { FLOW_QUEUE_PAUSE_KEEP, FLOW_QUEUE_PAUSE, FLOW_QUEUE_RESUME } pause;
    FlowQueueInfo info; /* result */
} FlowStoreQueueUpdate;
void flow_store_queue_update(FlowStore *store, FlowStoreQueueUpdate *op);

/* FAILED_PRECONDITION (QUEUE_NOT_EMPTY) while anything is queued or in flight; NOT_FOUND. Its counters go. */
typedef struct FlowStoreQueueDelete {
    FlowStoreOp op;
    const char *name;
} FlowStoreQueueDelete;
void flow_store_queue_delete(FlowStore *store, FlowStoreQueueDelete *op);

typedef struct FlowDeliveryInfo {
    uint64_t id;
    const char *payload_id;
    FlowBlob *body; /* borrowed until flow_store_op_done(); NULL without bodies */
    size_t size;
    int64_t push_ns;
    uint32_t redelivered, redrives;
} FlowDeliveryInfo;

/* What is queued, from the head; takes nothing. NOT_FOUND. */
typedef struct FlowStorePeek {
    FlowStoreOp op;
    const char *queue;
    size_t max;       /* 1 to FLOW_STORE_PAGE_MAX */
    size_t max_bytes; /* of bodies, at least one comes; 0: 4 MiB */
    const char *token;
    /* results */
    FlowDeliveryInfo *deliveries;
    size_t count;
    char next_token[FLOW_STORE_TOKEN];
} FlowStorePeek;
void flow_store_peek(FlowStore *store, FlowStorePeek *op);

/* Removes everything that is queued. NOT_FOUND. */
typedef struct FlowStorePurge {
    FlowStoreOp op;
    const char *queue;
    uint64_t removed; /* result */
} FlowStorePurge;
void flow_store_purge(FlowStore *store, FlowStorePurge *op);

/*
 * Removes these deliveries as far as they are queued here, or moves them to the end of another queue (made if
 * there is none), in the order given, under new ids. NOT_FOUND (queue); RESOURCE_EXHAUSTED (QUEUE_FULL) when not
 * all of them fit into the other one.
 */
typedef struct FlowStoreRemove {
    FlowStoreOp op;
    const char *queue;
    const uint64_t *ids;
    size_t count;
    FlowStoreQueue *move_to; /* NULL: they are removed */
    uint64_t removed;        /* result: how many were queued here; the others changed nothing */
} FlowStoreRemove;
void flow_store_remove(FlowStore *store, FlowStoreRemove *op);

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

typedef struct FlowDeadLetter FlowDeadLetter;

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

/* ---- workflows ------------------------------------------------------------------------------------------ */

typedef struct FlowStoreLabel {
    const char *key, *value;
} FlowStoreLabel;

typedef struct FlowWorkflowRecord {
    const char *id, *name;
    int64_t revision;
    char etag[40];
    bool draft;
    int64_t create_ns; /* of the workflow */
    int64_t update_ns; /* of this revision */
    FlowBlob *body;    /* borrowed; NULL in lists without bodies */
} FlowWorkflowRecord;

/*
 * Creates a workflow (its revision is 1, or goes on behind what was kept of a deleted one of the same id) or
 * replaces the newest revision by the next one. An update to the same body, name, labels and draft mark changes
 * nothing: neither revision nor etag nor time.
 * Errors: ALREADY_EXISTS (create); NOT_FOUND (update); ABORTED (ETAG_STALE) when `etag` isn't the current one.
 */
typedef struct FlowStoreWorkflowPut {
    FlowStoreOp op;
    bool create;
    const char *id, *name;
    FlowBlob *body;
    bool draft;
    const FlowStoreLabel *labels;
    size_t label_count;
    const char *etag; /* update: NULL or "": whatever is there */
    /* results */
    FlowWorkflowRecord workflow;
    bool changed;
} FlowStoreWorkflowPut;
void flow_store_workflow_put(FlowStore *store, FlowStoreWorkflowPut *op);

/* NOT_FOUND; of a deleted workflow the revisions that runs use can still be had. */
typedef struct FlowStoreWorkflowGet {
    FlowStoreOp op;
    const char *id;
    int64_t revision;            /* 0: the newest */
    FlowWorkflowRecord workflow; /* result */
} FlowStoreWorkflowGet;
void flow_store_workflow_get(FlowStore *store, FlowStoreWorkflowGet *op);

typedef struct FlowStoreWorkflowList {
    FlowStoreOp op;
    const char *text;             /* in the id or the name, case ignored; NULL or "": any */
    const FlowStoreLabel *labels; /* all of these */
    size_t label_count;
    enum { FLOW_WORKFLOWS_ALL, FLOW_WORKFLOWS_DRAFTS, FLOW_WORKFLOWS_NO_DRAFTS } drafts;
    bool with_bodies;
    size_t max;
    const char *token;
    /* results, sorted by id; inline ones are left out */
    FlowWorkflowRecord *workflows;
    size_t count;
    char next_token[FLOW_STORE_TOKEN];
} FlowStoreWorkflowList;
void flow_store_workflow_list(FlowStore *store, FlowStoreWorkflowList *op);

/* Newest first, without bodies. NOT_FOUND. */
typedef struct FlowStoreRevisionList {
    FlowStoreOp op;
    const char *id;
    size_t max;
    const char *token;
    /* results */
    FlowWorkflowRecord *revisions;
    size_t count;
    char next_token[FLOW_STORE_TOKEN];
} FlowStoreRevisionList;
void flow_store_revision_list(FlowStore *store, FlowStoreRevisionList *op);

/* Revisions that runs use are kept. NOT_FOUND; ABORTED (ETAG_STALE); FAILED_PRECONDITION (RUN_ACTIVE; where: the
 * run) unless `force`. */
typedef struct FlowStoreWorkflowDelete {
    FlowStoreOp op;
    const char *id;
    const char *etag;
    bool force;
} FlowStoreWorkflowDelete;
void flow_store_workflow_delete(FlowStore *store, FlowStoreWorkflowDelete *op);

/* ---- dead letters --------------------------------------------------------------------------------------- */

typedef enum FlowDeadLetterState {
    FLOW_DEAD_LETTER_OPEN = 1,
    FLOW_DEAD_LETTER_REDRIVEN = 2,
    FLOW_DEAD_LETTER_CONSUMED = 3
} FlowDeadLetterState;

struct FlowDeadLetter {
    const char *id; /* "": the store makes one */
    const char *workflow_id, *workflow_name, *run_id, *producer_node_id, *node_id, *node_type;
    int64_t workflow_revision;
    const char *queue;    /* where the input came from; "" when the producer made it */
    uint64_t delivery_id; /* of the input; 0 when there was none */
    const char *reason;   /* "NODE_FAILED", … */
    const char *code;
    const char *message;
    const char *fingerprint; /* "": made from reason, node and message: flow_dead_letter_fingerprint() */
    const char *payload_id;
    FlowBlob *payload; /* as it entered the node; encoded like a delivery's body */
    FlowBlob *input;   /* what the unit began with; NULL: the same as `payload` */
    FlowBlob *form;
    FlowBlob *details; /* whatever else the engine wants to show: opaque */
    int64_t time_ns;   /* 0: the store's clock */
    uint32_t redrives;
    const char *edited_from;
    /* the store's */
    FlowDeadLetterState state;
    int64_t redriven_ns;
    const char *redrive_id;
};

/* Reason, workflow, node, and the message with numbers, ids, addresses and quoted texts taken out. Any thread. */
void flow_dead_letter_fingerprint(const char *reason, const char *workflow_id, const char *node_id,
                                  const char *message, char ret_fingerprint[FLOW_FINGERPRINT_TEXT]);

/* NULL, "", 0: any. */
typedef struct FlowDeadLetterFilter {
    const char *workflow_id, *run_id, *node_id, *producer_node_id, *queue, *reason, *fingerprint;
    int64_t after_ns;  /* not older than this */
    int64_t before_ns; /* older than this */
    unsigned states;   /* bits 1 << FlowDeadLetterState; 0: open ones */
} FlowDeadLetterFilter;

typedef struct FlowStoreDeadLetterList {
    FlowStoreOp op;
    FlowDeadLetterFilter filter;
    bool with_bodies; /* payload, input, form, details; else they are NULL */
    size_t max_bytes; /* of bodies, at least one letter comes; 0: 16 MiB */
    size_t max;
    const char *token;
    /* results, newest first */
    FlowDeadLetter *letters;
    size_t count;
    char next_token[FLOW_STORE_TOKEN];
} FlowStoreDeadLetterList;
void flow_store_dead_letter_list(FlowStore *store, FlowStoreDeadLetterList *op);

/* With bodies. NOT_FOUND. */
typedef struct FlowStoreDeadLetterGet {
    FlowStoreOp op;
    const char *id;
    FlowDeadLetter letter; /* result */
} FlowStoreDeadLetterGet;
void flow_store_dead_letter_get(FlowStore *store, FlowStoreDeadLetterGet *op);

/* Those with these ids (unknown ones are passed over), or with count 0 all that the filter finds, oldest first,
 * at most `max` in one step: call again while `more`. */
typedef struct FlowStoreDeadLetterDelete {
    FlowStoreOp op;
    const char *const *ids;
    size_t count;
    FlowDeadLetterFilter filter;
    size_t max; /* 0: 10,000 */
    /* results */
    uint64_t deleted;
    bool more;
} FlowStoreDeadLetterDelete;
void flow_store_dead_letter_delete(FlowStore *store, FlowStoreDeadLetterDelete *op);

/* How many the filter finds. */
typedef struct FlowStoreDeadLetterCount {
    FlowStoreOp op;
    FlowDeadLetterFilter filter;
    uint64_t count; /* result */
} FlowStoreDeadLetterCount;
void flow_store_dead_letter_count(FlowStore *store, FlowStoreDeadLetterCount *op);

/* ---- the ledger ----------------------------------------------------------------------------------------- */

/* made = open + redriven + consumed + deleted + expired */
typedef struct FlowDeadLetterLedger {
    uint64_t made, open, redriven, consumed, deleted, expired;
} FlowDeadLetterLedger;

typedef struct FlowLoopLedger {
    const char *run_id;
    FlowLoopRecord loop;
} FlowLoopLedger;

/*
 * One moment of the whole store, or of one queue, or of one run (its loops; no queues). NOT_FOUND for a queue or
 * run that doesn't exist. `check` counts the rows of everything asked for instead of trusting the counters in
 * memory: slow where much is queued.
 */
typedef struct FlowStoreLedger {
    FlowStoreOp op;
    const char *queue, *run_id; /* NULL or "": all; at most one of them */
    bool check;
    /* results */
    int64_t time_ns;
    FlowQueueInfo *queues; /* sorted by name */
    size_t queue_count;
    FlowQueueInfo total;
    FlowLoopLedger *loops;
    size_t loop_count;
    FlowDeadLetterLedger dead_letters;
    bool balanced;
    FlowError imbalance; /* what doesn't balance first */
} FlowStoreLedger;
void flow_store_ledger(FlowStore *store, FlowStoreLedger *op);

/* Answered when everything that was submitted before is durable (and nothing of it waits for a commit). */
typedef struct FlowStoreFlush {
    FlowStoreOp op;
} FlowStoreFlush;
void flow_store_flush(FlowStore *store, FlowStoreFlush *op);

#endif
