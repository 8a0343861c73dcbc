/*
 * store_backend.h - for authors of backends; callers include store.h only.
 *
 * A backend is one FlowStoreBackend and its line in store.c. It gets operations by submit(), from any thread and
 * without waiting, with op->kind set and checked for nothing; it answers each with flow_store__complete() once
 * the promises of store.h are kept. Structs below are first members of the backend's own.
 */
#ifndef FLOW_STORE_STORE_BACKEND_H
#define FLOW_STORE_STORE_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "store/store.h"

/* What happens to an operation while the storage fails: it is held; it only reads, and is tried; or it fails. */
typedef enum FlowStoreWhenAway { FLOW_STORE_FAIL, FLOW_STORE_HOLD, FLOW_STORE_READ } FlowStoreWhenAway;

/*      kind, struct, function, when the storage fails */
#define FLOW_STORE_OP_MAP(X)                                                                                 \
    X(PUSH, FlowStorePush, push, FAIL)                                                                       \
    X(TAKE, FlowStoreTake, take, FAIL)                                                                       \
    X(UNTAKE, FlowStoreUntake, untake, HOLD)                                                                 \
    X(UNTIL, FlowStoreUntil, until, FAIL)                                                                    \
    X(QUEUE_MAKE, FlowStoreQueueMake, queue_make, FAIL)                                                      \
    X(QUEUE_GET, FlowStoreQueueGet, queue_get, READ)                                                         \
    X(QUEUE_LIST, FlowStoreQueueList, queue_list, READ)                                                      \
    X(QUEUE_UPDATE, FlowStoreQueueUpdate, queue_update, FAIL)                                                \
    X(QUEUE_DELETE, FlowStoreQueueDelete, queue_delete, FAIL)                                                \
    X(PEEK, FlowStorePeek, peek, READ)                                                                       \
    X(PURGE, FlowStorePurge, purge, FAIL)                                                                    \
    X(REMOVE, FlowStoreRemove, remove, FAIL)                                                                 \
    X(LOOP_OPEN, FlowStoreLoopOpen, loop_open, FAIL)                                                         \
    X(SETTLE, FlowStoreSettle, settle, HOLD)                                                                 \
    X(LOOP_SAVE, FlowStoreLoopSave, loop_save, HOLD)                                                         \
    X(LOOP_CLOSE, FlowStoreLoopClose, loop_close, HOLD)                                                      \
    X(RUN_CREATE, FlowStoreRunCreate, run_create, FAIL)                                                      \
    X(RUN_SAVE, FlowStoreRunSave, run_save, FAIL)                                                            \
    X(RUN_GET, FlowStoreRunGet, run_get, READ)                                                               \
    X(RUN_LIST, FlowStoreRunList, run_list, READ)                                                            \
    X(RUN_DELETE, FlowStoreRunDelete, run_delete, FAIL)                                                      \
    X(WORKFLOW_PUT, FlowStoreWorkflowPut, workflow_put, FAIL)                                                \
    X(WORKFLOW_GET, FlowStoreWorkflowGet, workflow_get, READ)                                                \
    X(WORKFLOW_LIST, FlowStoreWorkflowList, workflow_list, READ)                                             \
    X(REVISION_LIST, FlowStoreRevisionList, revision_list, READ)                                             \
    X(WORKFLOW_DELETE, FlowStoreWorkflowDelete, workflow_delete, FAIL)                                       \
    X(DEAD_LETTER_LIST, FlowStoreDeadLetterList, dead_letter_list, READ)                                     \
    X(DEAD_LETTER_GET, FlowStoreDeadLetterGet, dead_letter_get, READ)                                        \
    X(DEAD_LETTER_DELETE, FlowStoreDeadLetterDelete, dead_letter_delete, FAIL)                               \
    X(DEAD_LETTER_COUNT, FlowStoreDeadLetterCount, dead_letter_count, READ)                                  \
    X(LEDGER, FlowStoreLedger, ledger, READ)                                                                 \
    X(FLUSH, FlowStoreFlush, flush, FAIL)

typedef enum FlowStoreOpKind {
#define X(name, type, function, away) FLOW_STORE_OP_##name,
    FLOW_STORE_OP_MAP(X)
#undef X
        FLOW_STORE_OP_COUNT
} FlowStoreOpKind;

/* Only the phase tells whether a cancel came before the answer; see flow_store__try_complete(). */
enum { FLOW_STORE_OP_OPEN, FLOW_STORE_OP_CANCELLING, FLOW_STORE_OP_ANSWERED };

typedef struct FlowStoreBackend {
    const char *scheme; /* "sqlite": what stands before the colon of a store's URL */
    /* `rest` is what stands behind the colon. Options are filled in, no zeros left. */
    FlowStatus (*open)(const char *url, const char *rest, const FlowStoreOptions *options,
                       FlowStore **ret_store, FlowError *reterr);
    void (*close)(FlowStore *store);
    void (*submit)(FlowStore *store, FlowStoreOp *op);
    /* Called with op->phase CANCELLING, on op->loop; the operation may be freed only after the backend has seen
     * this. */
    void (*cancel)(FlowStore *store, FlowStoreOp *op);
    /* A queue object with its name, one reference; any thread, called with the store's queue lock held. */
    FlowStoreQueue *(*queue_new)(FlowStore *store, const char *name);
    void (*queue_free)(FlowStoreQueue *queue);
    void (*ignore_bounds)(FlowStore *store, FlowStoreLoop *owner);
    void (*info)(FlowStore *store, FlowStoreInfo *ret_info);
    FlowStoreRecovery (*recovery)(const FlowStore *store);
} FlowStoreBackend;

struct FlowStore {
    const FlowStoreBackend *backend;
    FlowStoreOptions options;
    pthread_mutex_t queue_lock; /* guards `queues` and the references of queues that reach 0 */
    FlowMap queues;             /* name → FlowStoreQueue, without a reference of its own */
    pthread_mutex_t wait_lock;  /* of flow_store_wait() */
    pthread_cond_t answered;
};

struct FlowStoreQueue {
    FlowStore *store;
    char *name;
    _Atomic uint32_t refs;
    /* The view: written by the backend after each commit, read by anybody. */
    _Atomic uint64_t queued, bytes, in_flight, max_items, max_bytes;
    _Atomic bool paused;
    _Atomic uint32_t waiting_takes, waiting_settles;
};

/* A delivery as it is allocated; its payload id stands behind it. */
typedef struct FlowDeliveryPrivate {
    FlowDelivery base;
    _Atomic uint32_t refs;
    _Atomic bool started;
} FlowDeliveryPrivate;

void flow_store__init(FlowStore *store, const FlowStoreBackend *backend, const FlowStoreOptions *options);
void flow_store__done(FlowStore *store);

/*
 * The answer is in op->error. False: a cancel is on its way to the backend, which must answer with
 * flow_store__complete() when it has come. True: answered, the operation is not the backend's any more.
 */
bool flow_store__try_complete(FlowStore *store, FlowStoreOp *op);
/* Answers; no cancel can be on its way. */
void flow_store__complete(FlowStore *store, FlowStoreOp *op);
/*
 * The same for many: answered() marks it (same result as try_complete) and gives the task to post to op->loop,
 * NULL when somebody waits and was woken.
 */
bool flow_store__answer(FlowStore *store, FlowStoreOp *op, FlowTask **ret_task);

const char *flow_store__op_name(int kind);
FlowStoreWhenAway flow_store__op_when_away(int kind);

/* Memory of an operation's results, freed by flow_store_op_done(). NULL when it is exhausted. */
void *flow_store__results(FlowStoreOp *op, size_t size);
char *flow_store__result_text(FlowStoreOp *op, const void *text, size_t len);
/* A blob that is given back with the results. */
bool flow_store__result_blob(FlowStoreOp *op, FlowBlob *blob_take);

/* "" for NULL. */
static inline const char *flow_store__text(const char *text)
{
    return text != NULL ? text : "";
}

#endif
