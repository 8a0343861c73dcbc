/*
 * store_queue.h - queues: handles, pushing, taking, waiting, and what people do with them; include store/store.h.
 */
#ifndef FLOW_STORE_STORE_QUEUE_H
#define FLOW_STORE_STORE_QUEUE_H

#include "store/store_op.h"

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

#endif
