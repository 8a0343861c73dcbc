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
 * applied when the storage is back; takes that wait go on waiting; what only reads is tried; everything else
 * fails with UNAVAILABLE. The store tries again by itself. A change that failed with UNAVAILABLE while a commit was under way may, after a
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

#include "store/store_definition.h"
#include "store/store_letter.h"
#include "store/store_op.h"
#include "store/store_queue.h"
#include "store/store_run.h"

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
