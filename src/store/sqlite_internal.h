/*
 * sqlite_internal.h - what the files of the SQLite store share.
 *
 * One thread, the committer (a FlowLoop), owns the connection and everything below but what is marked atomic. It
 * takes what operations have gathered, executes them in one transaction, commits, then answers them. So each
 * function here runs on the committer, within a transaction that begins with the first statement.
 *
 * In memory there are, beside the rows: each queue's counters and the head of its line, each open loop's
 * counters and deliveries in flight. Whatever changes there within a transaction is noted first (touch), so that
 * it can be undone when the commit fails. Counters, node states and deliveries are written once per transaction,
 * by flush.
 */
#ifndef FLOW_STORE_SQLITE_INTERNAL_H
#define FLOW_STORE_SQLITE_INTERNAL_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "base/list.h"
#include "loop/timer.h"
#include "store/sqlite_sql.h"
#include "store/store_backend.h"

/*
 * A delivery's key: queue number and sequence number within the queue, so that one B-tree holds all queues, each
 * in its order, and pushes append.
 */
enum { SEQ_BITS = 43, QUEUE_NUMBER_MAX = (1 << 20) - 1 };
#define SEQ_MAX ((UINT64_C(1) << SEQ_BITS) - 1)

/* Deliveries with the same blob share a row of the table body, if it has this size or more. */
enum { OWN_BODY_BYTES = 1024, BODY_MAX = 256 << 20 };

typedef enum StatementId {
#define X(name, sql) SQL_##name,
    SQLITE_STATEMENTS(X)
#undef X
        SQL_COUNT
} StatementId;

/* How the execution of an operation ended. */
typedef enum Result {
    DONE,    /* answered when the commit has succeeded */
    REFUSED, /* nothing changed, op->error says why; answered like DONE */
    PARKED,  /* stands in a list and will be executed again */
    FAULT    /* self->fault says why; the transaction must be rolled back */
} Result;

/* Where an operation is, op->place. */
enum { IN_TODO, IN_EXECUTED, IN_QUEUE, IN_LOOP, IN_UNTIL };

typedef struct SqliteStore SqliteStore;
typedef struct SqliteQueue SqliteQueue;
typedef struct SqliteLoop SqliteLoop;
typedef struct SqliteDelivery SqliteDelivery;
typedef struct Reservation Reservation;

typedef enum DeliveryState { QUEUED, IN_FLIGHT, GONE } DeliveryState;

/* One reference is the store's until it is GONE and that is committed: the window's, or the in-flight list's. */
struct SqliteDelivery {
    FlowDeliveryPrivate base;
    DeliveryState state;
    bool in_window, released;
    SqliteLoop *owner; /* while IN_FLIGHT */
    Reservation *reservation;
    FlowList link; /* in owner->in_flight */
    uint64_t size;
    uint64_t mark;   /* number of the settle that looked at it last */
    int64_t body_id; /* 0: the body stands in the row */
    char payload_id[];
};

/*
 * Keys that a loop has taken: every row that exists in [first, last] is in flight with this loop. So a take of
 * many deliveries writes one row, and a settle needn't change it.
 */
typedef struct ReservationState {
    uint64_t last;
    uint32_t live; /* deliveries in flight; 0: the row goes */
} ReservationState;
struct Reservation {
    SqliteLoop *loop;
    SqliteQueue *queue;
    FlowList queue_link;
    uint64_t first;
    ReservationState now, before;
    uint64_t stored_last, stored_before; /* as the row says; 0: there is none */
    bool dirty;
    Reservation *next_dirty;
};

typedef struct QueueState {
    int64_t number; /* 0: it doesn't exist */
    uint64_t next_seq;
    uint64_t pushed, done, filtered, dead_lettered, removed, moved_out;
    uint64_t queued, bytes, in_flight;
    uint64_t max_items, max_bytes;
    bool paused;
} QueueState;

struct SqliteQueue {
    FlowStoreQueue base;
    QueueState now, before;
    bool dirty;
    SqliteQueue *next_dirty;
    /*
     * The head of the line, in order: every queued delivery whose sequence number is below refill_seq. The rest
     * is only on the disk.
     */
    SqliteDelivery **window; /* ring; capacity is a power of two */
    uint32_t window_first, window_count, window_capacity;
    uint64_t refill_seq;
    FlowList reservations;  /* Reservation.queue_link */
    Reservation *newest;    /* the one taken last; NULL when it was split or is over */
    FlowList takes;         /* operations that wait for items */
    FlowList waiting_loops; /* SqliteLoop.waiting_link: their first settle waits for room here */
    FlowList untils;        /* operations that wait for a condition of this queue */
    uint32_t take_count, waiting_count;
};

typedef struct LoopState {
    uint64_t produced, done, filtered, dead_lettered; /* settled ones only */
} LoopState;

typedef struct LoopShown {
    int state;
    bool ended;
    int64_t revision;
    FlowBlob *status; /* with a reference */
} LoopShown;

typedef struct NodeSlot {
    char *node_id;
    FlowBlob *state;
    bool pending; /* to be written by the next flush; NULL state: to be removed */
} NodeSlot;

/* What tells a loop that it is blocked; outlives the loop while its task is posted. */
typedef struct Notice {
    FlowTask task;
    FlowLoop *loop;
    _Atomic unsigned refs;
    _Atomic bool posted, detached;
    _Atomic(FlowStoreQueue *) queue;
    FlowStoreQueue *told;
    void (*blocked)(void *context, FlowStoreQueue *queue);
    void *context;
} Notice;

struct FlowStoreLoop {
    FlowStore *store;
};

struct SqliteLoop {
    FlowStoreLoop base;
    int64_t number, run_number, epoch;
    char *run_id, *producer_node_id, *producer_type, *workflow_id, *workflow_name;
    bool requeue, fenced;
    SqliteLoop *replaced; /* while the transaction that opened it isn't committed: whom it fenced */
    LoopState now, before;
    bool dirty;
    SqliteLoop *next_dirty;
    NodeSlot *slots;
    size_t slot_count;
    LoopShown record, record_before;
    bool save_pending;  /* the record is to be written by the next flush */
    FlowList in_flight; /* SqliteDelivery.link */
    uint32_t in_flight_count;
    FlowList fifo; /* settles, saves, untakes, closes behind a settle that waits for room */
    SqliteQueue *waits_for;
    FlowList waiting_link;
    FlowList retry_link;    /* in store->retry_loops */
    FlowList all_link;      /* in store->all_loops */
    uint32_t waiting_takes; /* of this loop's operations, in queues' lines */
    FlowList parked_link;   /* in store->parked_loops while fifo isn't empty */
    _Atomic bool ignore_bounds, nudged;
    FlowTask nudge;
    Notice *notice;
};

/* What a delivery was before it was touched. */
typedef struct Undo {
    SqliteDelivery *delivery;
    DeliveryState state;
    SqliteLoop *owner;
    Reservation *reservation;
} Undo;

/* A change to how many deliveries share a body. */
typedef struct BodyUse {
    int64_t id;
    int change;
} BodyUse;

typedef struct BodyInsert {
    int64_t id;
    FlowBlob *blob; /* with a reference; NULL: not needed after all */
} BodyInsert;

#define VECTOR(type)                                                                                         \
    struct {                                                                                                 \
        type *items;                                                                                         \
        size_t count, capacity;                                                                              \
    }
#define VECTOR_PUSH(vector, ...)                                                                             \
    do {                                                                                                     \
        if ((vector).count == (vector).capacity) {                                                           \
            (vector).capacity = (vector).capacity != 0 ? (vector).capacity * 2 : 64;                         \
            (vector).items = flow_realloc((vector).items, (vector).capacity * sizeof *(vector).items);       \
        }                                                                                                    \
        (vector).items[(vector).count++] = (__VA_ARGS__);                                                    \
    } while (0)

typedef struct Letters {
    int64_t made, redriven, consumed, deleted, expired;
} Letters;

struct SqliteStore {
    FlowStore base;
    char *url, *path; /* path NULL: in memory only */
    int lock_fd;
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    FlowLoop *loop;
    const FlowClock *clock;
    FlowStoreRecovery recovery;
    char identity[37];
    bool balanced;
    FlowError imbalance;

    FlowList todo;     /* to be executed, in order */
    FlowList executed; /* answered after the commit */
    FlowStoreOp *executing;
    FlowTask cycle;
    bool cycle_posted, closing, closed;
    FlowTimer gather, retry, prune;

    /* the transaction */
    bool in_transaction;
    FlowError fault;
    bool fault_is_storage;
    SqliteQueue *dirty_queues;
    SqliteLoop *dirty_loops;
    Reservation *dirty_reservations;
    FlowList retry_loops; /* whose waiting operations may go on */
    FlowList parked_loops;
    FlowList all_loops;
    VECTOR(Undo) undo;
    VECTOR(SqliteDelivery *) inserts; /* with a reference each */
    VECTOR(BodyUse) body_uses;
    size_t body_uses_flushed;
    VECTOR(BodyInsert) body_inserts;
    VECTOR(int64_t) body_deletes;
    size_t flushed; /* of undo: those GONE before are deleted from the disk already */
    uint64_t batch_bytes;
    Letters letters, letters_before;
    bool letters_dirty;
    int64_t epoch; /* the last one given out */
    uint64_t settle_number;

    FlowMap loops;   /* run id, NUL, producer → SqliteLoop */
    FlowList untils; /* that wait for IS_AWAY or IS_READY */
    size_t window_bytes;
    int64_t last_queue_number;
    int64_t last_body_id;
    FlowMap shared_bodies; /* id → how many deliveries use it; those that are used once aren't in it */

    /* Read by flow_store_info() on any thread. */
    pthread_mutex_t info_lock;
    FlowStoreState state;
    int64_t state_since_ns;
    FlowError state_error;
    _Atomic uint64_t commits, operations, pushed, settled;
};

static inline SqliteStore *sqlite_store(FlowStore *store)
{
    return (SqliteStore *)store;
}

static inline SqliteQueue *sqlite_queue(FlowStoreQueue *queue)
{
    return (SqliteQueue *)queue;
}

static inline uint64_t delivery_key(int64_t number, uint64_t seq)
{
    return (uint64_t)number << SEQ_BITS | seq;
}

/* ---- sqlite_db.c: the connection, statements, schema ---------------------------------------------------- */

FlowStatus flow_sqlite__connect(SqliteStore *self, FlowError *reterr);
void flow_sqlite__disconnect(SqliteStore *self);
/* The prepared statement, with the transaction begun if need be. NULL: FAULT. */
sqlite3_stmt *flow_sqlite__statement(SqliteStore *self, StatementId id);
/* One that is put together; finalize it. NULL: FAULT. */
sqlite3_stmt *flow_sqlite__prepare(SqliteStore *self, const char *sql);
/* SQLITE_ROW or SQLITE_DONE; -1: FAULT, and the statement is reset. */
int flow_sqlite__step(SqliteStore *self, sqlite3_stmt *statement);
/* Steps to the end and resets; false: FAULT. */
bool flow_sqlite__run(SqliteStore *self, sqlite3_stmt *statement);
/* Notes the connection's error as the transaction's fault. */
Result flow_sqlite__fault(SqliteStore *self, int code, const char *doing);
Result flow_sqlite__fault_text(SqliteStore *self, FlowStatus status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
FlowStatus flow_sqlite__error(SqliteStore *self, int code, const char *doing, FlowError *reterr,
                              bool *ret_is_storage);

void flow_sqlite__bind_text(sqlite3_stmt *statement, int index, const char *text);
void flow_sqlite__bind_blob(sqlite3_stmt *statement, int index, FlowBlob *blob);
const char *flow_sqlite__text(sqlite3_stmt *statement,
                              int column); /* never NULL; borrowed until the next step */
/* NULL for SQL NULL. *ret_failed when there is no memory. */
FlowBlob *flow_sqlite__blob(sqlite3_stmt *statement, int column, bool *ret_failed);
char *flow_sqlite__result_text(FlowStoreOp *op, sqlite3_stmt *statement, int column, bool *ret_failed);
FlowBlob *flow_sqlite__result_blob(FlowStoreOp *op, sqlite3_stmt *statement, int column, bool *ret_failed);

/* ---- sqlite_cycle.c: the committer's work --------------------------------------------------------------- */

void flow_sqlite__cycle_init(SqliteStore *self);
/* There is something to do: a cycle will come. */
void flow_sqlite__schedule(SqliteStore *self);
/* Executes what has gathered, commits or undoes, answers. */
void flow_sqlite__run_cycle(SqliteStore *self);
/* Executes an operation and puts it where its result says. False: FAULT. */
bool flow_sqlite__execute(SqliteStore *self, FlowStoreOp *op);
Result flow_sqlite__dispatch(SqliteStore *self, FlowStoreOp *op);
bool flow_sqlite__set_meta(SqliteStore *self, const char *key, int64_t value);
/* Writes and commits what was done outside of a cycle. False: FAULT. */
bool flow_sqlite__finish(SqliteStore *self);
/* Everything is as after the last commit; what was executed is to be executed again, or fails. */
void flow_sqlite__roll_back(SqliteStore *self);
void flow_sqlite__undo_operation(SqliteStore *self, FlowStoreOp *op);
/* While the storage fails, it waits. */
bool flow_sqlite__is_held(const FlowStoreOp *op);

/* ---- store_sqlite.c: answers that need no transaction --------------------------------------------------- */

/* Fills in op->error. */
Result flow_sqlite__refuse(FlowStoreOp *op, FlowStatus status, const char *reason, const char *where,
                           const char *format, ...) __attribute__((format(printf, 5, 6)));
Result flow_sqlite__no_memory(SqliteStore *self);
bool flow_sqlite__id_ok(const char *id);
Result flow_sqlite__bad_id(FlowStoreOp *op, const char *where);
Result flow_sqlite__unbalanced(SqliteStore *self, FlowStoreOp *op);
/* REFUSED when there is an active run of this workflow. */
Result flow_sqlite__no_active_run(SqliteStore *self, FlowStoreOp *op, const char *workflow_id);
Result flow_sqlite__fenced(FlowStoreOp *op, const SqliteLoop *loop);
Result flow_sqlite__queue_full(FlowStoreOp *op, const SqliteQueue *queue, size_t count, uint64_t bytes);
/* Answers an operation that stands in no list; op->error is filled in. */
void flow_sqlite__answer_parked(SqliteStore *self, FlowStoreOp *op);
void flow_sqlite__fail(SqliteStore *self, FlowStoreOp *op, const FlowError *error);
/* Answers those whose condition holds. */
void flow_sqlite__serve_untils(SqliteStore *self, FlowList *untils);
/* And tells those who wait for it. `error` NULL: none. */
void flow_sqlite__set_state(SqliteStore *self, FlowStoreState state, const FlowError *error);

/* ---- sqlite_queue.c: queues in memory, the head of each line -------------------------------------------- */

FlowStoreQueue *flow_sqlite__queue_new(FlowStore *store, const char *name);
void flow_sqlite__queue_free(FlowStoreQueue *queue);
SqliteQueue *flow_sqlite__queue_find(SqliteStore *self,
                                     const char *name); /* NULL: no such queue in the store */
void flow_sqlite__queue_touch(SqliteStore *self, SqliteQueue *queue);
bool flow_sqlite__make_queue(SqliteStore *self, SqliteQueue *queue, FlowQueueKind kind,
                             const char *workflow_id, const char *short_name, FlowStoreOp *op,
                             Result *ret_failed);
void flow_sqlite__queue_publish(SqliteQueue *queue);
static inline bool flow_sqlite__has_room(const QueueState *q)
{
    return q->queued < q->max_items && q->bytes < q->max_bytes;
}
/* The queue exists, the item was checked. If `like` (may be NULL) has the same large blob, its row is shared. */
SqliteDelivery *flow_sqlite__push_one(SqliteStore *self, SqliteQueue *queue, const FlowStoreItem *item,
                                      int64_t now_ns, const SqliteDelivery *like);
bool flow_sqlite__check_item(FlowStoreOp *op, const FlowStoreItem *item, const char *where, size_t index);
SqliteDelivery **flow_sqlite__window_at(SqliteQueue *queue, uint32_t index);
/* Takes over the store's reference. At the front it goes to its place among those that stand there. */
void flow_sqlite__window_insert(SqliteStore *self, SqliteQueue *queue, SqliteDelivery *delivery,
                                bool at_front);
SqliteDelivery *flow_sqlite__window_pop(SqliteStore *self, SqliteQueue *queue);
/* The window is empty: reads what stands behind it. False: FAULT. */
bool flow_sqlite__refill(SqliteStore *self, SqliteQueue *queue);

/* ---- sqlite_delivery.c: taking, giving back, writing, undoing ------------------------------------------- */

Result flow_sqlite__serve_take(SqliteStore *self, FlowStoreTake *take);
void flow_sqlite__park_take(FlowStoreTake *take);
void flow_sqlite__unpark_take(FlowStoreTake *take);
/* The operation won't be answered with what it has taken. */
void flow_sqlite__drop_taken(FlowStoreTake *take);
void flow_sqlite__drop_window(SqliteStore *self, SqliteQueue *queue);
void flow_sqlite__delivery_touch(SqliteStore *self, SqliteDelivery *delivery);
/* In flight → gone, or → queued. The queue's counters of what becomes of it are the caller's. */
void flow_sqlite__delivery_gone(SqliteStore *self, SqliteDelivery *delivery);
void flow_sqlite__deliveries_back(SqliteStore *self, SqliteDelivery *const *deliveries, size_t count);
void flow_sqlite__undo_deliveries(SqliteStore *self);
void flow_sqlite__forget_undo(SqliteStore *self);
/* Deletes and inserts what is noted; reservations too. */
bool flow_sqlite__flush_deliveries(SqliteStore *self);
/* From *from on, the first key that no loop has taken, and the last one before the next that is; false: there is
 * none up to `end`. */
bool flow_sqlite__free_range(SqliteQueue *queue, uint64_t *from, uint64_t end, uint64_t *ret_last);
SqliteDelivery *flow_sqlite__delivery_read(SqliteStore *self, SqliteQueue *queue, sqlite3_stmt *row);

/* ---- sqlite_admin.c ------------------------------------------------------------------------------------- */

bool flow_sqlite__queue_info(SqliteStore *self, FlowStoreOp *op, SqliteQueue *queue, FlowQueueInfo *ret_info);
/* Deletes the rows of a range without owners; their bodies too. */
bool flow_sqlite__remove_range(SqliteStore *self, uint64_t first, uint64_t last);
/* Frees queue objects that stand for nothing and that nobody holds. */
void flow_sqlite__sweep_queues(SqliteStore *self);

/* ---- sqlite_body.c: large bodies ------------------------------------------------------------------------ */

/* Gives the delivery a body row; that of `like`, which has the same blob, if it has one. */
void flow_sqlite__body_use(SqliteStore *self, SqliteDelivery *delivery, const SqliteDelivery *like);
void flow_sqlite__body_release(SqliteStore *self, int64_t body_id);
bool flow_sqlite__flush_body_deletes(SqliteStore *self);
bool flow_sqlite__flush_body_inserts(SqliteStore *self);
void flow_sqlite__undo_bodies(SqliteStore *self);
void flow_sqlite__forget_body_uses(SqliteStore *self);
bool flow_sqlite__bodies_load(SqliteStore *self);

/* ---- sqlite_loop.c: owners, settle ---------------------------------------------------------------------- */

void flow_sqlite__loop_touch(SqliteStore *self, SqliteLoop *loop);
bool flow_sqlite__flush_loops(SqliteStore *self);
void flow_sqlite__undo_loops(SqliteStore *self);
void flow_sqlite__forget_loops(SqliteStore *self);
void flow_sqlite__undo_loop_open(SqliteStore *self, FlowStoreLoopOpen *op);
void flow_sqlite__loop_free(SqliteStore *self, SqliteLoop *loop);
/* Executes the waiting operations of a loop as far as they can be. False: FAULT. */
bool flow_sqlite__loop_retry(SqliteStore *self, SqliteLoop *loop, bool *ret_progress);
void flow_sqlite__loop_stop_waiting(SqliteLoop *loop);
void flow_sqlite__loop_show_blocked(SqliteLoop *loop);
/* The loop of an operation that keeps its place among the loop's settles; NULL for all others. */
SqliteLoop *flow_sqlite__loop_of(FlowStoreOp *op);
void flow_sqlite__ignore_bounds(FlowStore *store, FlowStoreLoop *owner);
/* What happens to what a lost owner had in flight. With `knows_started`: what wasn't started just goes back. */
bool flow_sqlite__reap(SqliteStore *self, SqliteLoop *loop, bool knows_started, const char *message);
/* In `letter` stands everything but what the delivery knows. */
bool flow_sqlite__interrupt(SqliteStore *self, FlowDeadLetter *letter, const FlowDelivery *delivery);
/* From a row of SQLITE_LOOP_COLUMNS, with what an open loop knows better. False: no memory. */
bool flow_sqlite__loop_record(SqliteStore *self, FlowStoreOp *op, sqlite3_stmt *row, const char *run_id,
                              FlowLoopRecord *ret_record);

/* ---- sqlite_recover.c ----------------------------------------------------------------------------------- */

FlowStatus flow_sqlite__recover(SqliteStore *self, FlowError *reterr);
/* Counts rows; true when everything balances, otherwise *reterr names the first thing that doesn't. FAULT shows
 * as self->fault.status. */
bool flow_sqlite__check_ledger(SqliteStore *self, FlowError *reterr);
bool flow_sqlite__count_rows(SqliteStore *self, SqliteQueue *queue, uint64_t *ret_rows, uint64_t *ret_bytes);

/* ---- sqlite_run.c, sqlite_workflow.c -------------------------------------------------------------------- */

/* The loops of a run, in the memory of `op`. */
bool flow_sqlite__loops_of_run(SqliteStore *self, FlowStoreOp *op, int64_t run_number, const char *run_id,
                               FlowLoopRecord **ret_loops, size_t *ret_count);
/* An inline workflow becomes revision 1 of an unlisted one. */
Result flow_sqlite__workflow_keep_inline(SqliteStore *self, FlowStoreOp *op, const char *id, const char *name,
                                         FlowBlob *body);
/* *revision 0 becomes the newest. REFUSED: there is none. */
Result flow_sqlite__workflow_revision(SqliteStore *self, FlowStoreOp *op, const char *id, int64_t *revision);
bool flow_sqlite__workflow_erase(SqliteStore *self, const char *id);

/* ---- dead letters, requests ----------------------------------------------------------------------------- */

bool flow_sqlite__letter_insert(SqliteStore *self, const FlowDeadLetter *letter);
void flow_sqlite__letters_touch(SqliteStore *self);
bool flow_sqlite__letters_open(SqliteStore *self, uint64_t *ret_count);

enum { REQUEST_RUN = 1, REQUEST_PUSH = 2 };
typedef struct Request {
    bool found;
    uint64_t number;
    char text[FLOW_STORE_NAME_MAX + 1];
} Request;
/* DONE with found or not; REFUSED when it came with another hash. */
Result flow_sqlite__request_find(SqliteStore *self, FlowStoreOp *op, int kind, const char *id,
                                 const uint8_t hash[FLOW_STORE_HASH], Request *ret_request);
bool flow_sqlite__request_keep(SqliteStore *self, int kind, const char *id,
                               const uint8_t hash[FLOW_STORE_HASH], uint64_t number, const char *text);

/* Page tokens: a position in the order of the list, ≥ 0 (an empty token means `first`), or a name ("" first). */
void flow_sqlite__token_make(FlowStoreOp *op, char to[FLOW_STORE_TOKEN], int64_t position);
bool flow_sqlite__token_read(FlowStoreOp *op, const char *token, int64_t first, int64_t *ret_position,
                             Result *ret_refused);
void flow_sqlite__name_token_make(FlowStoreOp *op, char to[FLOW_STORE_TOKEN], const char *name);
bool flow_sqlite__name_token_read(FlowStoreOp *op, const char *token, char ret_name[FLOW_STORE_TOKEN / 2],
                                  Result *ret_refused);
bool flow_sqlite__page_ok(FlowStoreOp *op, size_t max, Result *ret_refused);

/* ---- one function per operation ------------------------------------------------------------------------- */

#define X(name, type, function, away) Result flow_sqlite__##function(SqliteStore *self, type *op);
FLOW_STORE_OP_MAP(X)
#undef X

#endif
