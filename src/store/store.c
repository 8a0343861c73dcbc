/* store.c - what all backends share: opening by URL, handing in and answering operations, queue handles. */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite.h"
#include "store/store_backend.h"

static const FlowStoreBackend *const backends[] = {&flow_store_sqlite};

static const struct {
    const char *name;
    FlowStoreWhenAway when_away;
} kinds[FLOW_STORE_OP_COUNT] = {
#define X(name, type, function, away) {#function, FLOW_STORE_##away},
    FLOW_STORE_OP_MAP(X)
#undef X
};

const char *flow_store__op_name(int kind)
{
    return kinds[kind].name;
}

FlowStoreWhenAway flow_store__op_when_away(int kind)
{
    return kinds[kind].when_away;
}

/* ---- opening -------------------------------------------------------------------------------------------- */

static FlowStoreOptions fill_in(const FlowStoreOptions *given)
{
    FlowStoreOptions o = given != NULL ? *given : (FlowStoreOptions){0};
#define DEFAULT(field, value)                                                                                \
    if (o.field == 0)                                                                                        \
    o.field = value
    if (o.clock == NULL)
        o.clock = flow_clock_real();
    DEFAULT(commit_operations, 4096);
    DEFAULT(memory_bytes, (size_t)64 << 20);
    DEFAULT(queue_max_items, 10000);
    DEFAULT(queue_max_bytes, (uint64_t)1 << 30);
    DEFAULT(request_ns, 24 * 3600 * FLOW_NS_PER_S);
    DEFAULT(revisions_max, 1000);
    DEFAULT(retry_ns, 500 * FLOW_NS_PER_MS);
#undef DEFAULT
    return o;
}

FlowStatus flow_store_open(const char *url, const FlowStoreOptions *options, FlowStore **ret_store,
                           FlowError *reterr)
{
    FlowStoreOptions filled = fill_in(options);
    const char *colon = strchr(url, ':');
    for (size_t i = 0; colon != NULL && i < FLOW_COUNT(backends); i++)
        if (strlen(backends[i]->scheme) == (size_t)(colon - url) &&
            strncmp(backends[i]->scheme, url, (size_t)(colon - url)) == 0)
            return backends[i]->open(url, colon + 1, &filled, ret_store, reterr);
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "STORE_URL", "store",
                          "\"%.200s\" names no store: give sqlite:PATH", url);
}

void flow_store_close(FlowStore *store)
{
    if (store != NULL)
        store->backend->close(store);
}

FlowStoreRecovery flow_store_recovery(const FlowStore *store)
{
    return store->backend->recovery(store);
}

void flow_store_info(FlowStore *store, FlowStoreInfo *ret_info)
{
    store->backend->info(store, ret_info);
}

void flow_store__init(FlowStore *store, const FlowStoreBackend *backend, const FlowStoreOptions *options)
{
    store->backend = backend;
    store->options = *options;
    pthread_mutex_init(&store->queue_lock, NULL);
    pthread_mutex_init(&store->wait_lock, NULL);
    pthread_cond_init(&store->answered, NULL);
    flow_map_init(&store->queues);
}

void flow_store__done(FlowStore *store)
{
    for (FlowMapEntry *e = NULL; (e = flow_map_next(&store->queues, e));) {
        FlowStoreQueue *queue = e->value;
        free(queue->name);
        store->backend->queue_free(queue);
    }
    flow_map_done(&store->queues, NULL);
    pthread_cond_destroy(&store->answered);
    pthread_mutex_destroy(&store->wait_lock);
    pthread_mutex_destroy(&store->queue_lock);
}

/* ---- operations ----------------------------------------------------------------------------------------- */

static void on_answer(FlowTask *task)
{
    FlowStoreOp *op = flow_container_of(task, FlowStoreOp, task);
    op->done(op); /* last: it may free the operation */
}

bool flow_store__answer(FlowStore *store, FlowStoreOp *op, FlowTask **ret_task)
{
    int phase = FLOW_STORE_OP_OPEN;
    op->ready = true;
    *ret_task = NULL;
    if (op->error.status != FLOW_OK)
        flow_store_op_done(op);
    if (op->loop == NULL) {
        pthread_mutex_lock(&store->wait_lock);
        atomic_store_explicit(&op->phase, FLOW_STORE_OP_ANSWERED, memory_order_relaxed);
        pthread_cond_broadcast(&store->answered);
        pthread_mutex_unlock(&store->wait_lock);
        return true;
    }
    /* From here to the post the caller can still cancel; it will find ANSWERED and do nothing. */
    if (!atomic_compare_exchange_strong(&op->phase, &phase, FLOW_STORE_OP_ANSWERED) && !op->cancel_seen)
        return false;
    op->task.run = on_answer;
    *ret_task = &op->task;
    return true;
}

bool flow_store__try_complete(FlowStore *store, FlowStoreOp *op)
{
    FlowTask *task;
    FlowLoop *loop = op->loop;
    if (!flow_store__answer(store, op, &task))
        return false;
    if (task != NULL)
        flow_loop_post(loop, task);
    return true;
}

void flow_store__complete(FlowStore *store, FlowStoreOp *op)
{
    op->cancel_seen = true;
    flow_store__try_complete(store, op);
}

static void submit(FlowStore *store, FlowStoreOp *op, FlowStoreOpKind kind)
{
    op->kind = kind;
    op->place = 0;
    op->ready = op->cancel_seen = false;
    op->error.status = FLOW_OK;
    atomic_store_explicit(&op->phase, FLOW_STORE_OP_OPEN, memory_order_relaxed);
    flow_list_init(&op->link);
    flow_arena_init(&op->results, 0);
    op->results_head = NULL;
    store->backend->submit(store, op);
}

#define X(name, type, function, away)                                                                        \
    void flow_store_##function(FlowStore *store, type *op)                                                   \
    {                                                                                                        \
        submit(store, &op->op, FLOW_STORE_OP_##name);                                                        \
    }
FLOW_STORE_OP_MAP(X)
#undef X

void flow_store_cancel(FlowStore *store, FlowStoreOp *op)
{
    int phase = FLOW_STORE_OP_OPEN;
    if (atomic_compare_exchange_strong(&op->phase, &phase, FLOW_STORE_OP_CANCELLING))
        store->backend->cancel(store, op);
}

FlowStatus flow_store_wait(FlowStore *store, FlowStoreOp *op)
{
    pthread_mutex_lock(&store->wait_lock);
    while (atomic_load_explicit(&op->phase, memory_order_relaxed) != FLOW_STORE_OP_ANSWERED)
        pthread_cond_wait(&store->answered, &store->wait_lock);
    pthread_mutex_unlock(&store->wait_lock);
    return op->error.status;
}

/* Blobs among the results are chained through their places in the arena. */
typedef struct HeldBlob {
    struct HeldBlob *next;
    FlowBlob *blob;
} HeldBlob;

/* The arena's first allocation is the chain's head. */
static HeldBlob **held_blobs(FlowStoreOp *op)
{
    if (op->results_head == NULL)
        op->results_head = flow_arena_calloc(&op->results, 1, sizeof(HeldBlob *));
    return op->results_head;
}

void *flow_store__results(FlowStoreOp *op, size_t size)
{
    return flow_arena_calloc(&op->results, 1, size != 0 ? size : 1);
}

char *flow_store__result_text(FlowStoreOp *op, const void *text, size_t len)
{
    return flow_arena_strndup(&op->results, len != 0 ? text : "", len);
}

bool flow_store__result_blob(FlowStoreOp *op, FlowBlob *blob_take)
{
    HeldBlob **head = held_blobs(op);
    HeldBlob *held = head != NULL ? flow_arena_alloc(&op->results, sizeof *held) : NULL;
    if (held == NULL) {
        flow_blob_unref(blob_take);
        return false;
    }
    *held = (HeldBlob){*head, blob_take};
    *head = held;
    return true;
}

void flow_store_op_done(FlowStoreOp *op)
{
    for (HeldBlob *held = op->results_head != NULL ? *(HeldBlob **)op->results_head : NULL; held != NULL;
         held = held->next)
        flow_blob_unref(held->blob);
    op->results_head = NULL;
    flow_arena_done(&op->results);
}

/* ---- queues and deliveries ------------------------------------------------------------------------------ */

FlowStoreQueue *flow_store_queue_open(FlowStore *store, const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;
    if (len == 0 || len > FLOW_STORE_NAME_MAX)
        return NULL;
    pthread_mutex_lock(&store->queue_lock);
    FlowStoreQueue *queue = flow_map_get(&store->queues, name, len);
    if (queue == NULL) {
        queue = store->backend->queue_new(store, name);
        queue->store = store;
        queue->name = flow_strdup(name);
        if (!flow_map_set(&store->queues, name, len, queue, NULL))
            abort();
    }
    atomic_fetch_add(&queue->refs, 1);
    pthread_mutex_unlock(&store->queue_lock);
    return queue;
}

FlowStoreQueue *flow_store_queue_ref(FlowStoreQueue *queue)
{
    atomic_fetch_add(&queue->refs, 1);
    return queue;
}

FlowStoreQueue *flow_store_queue_unref(FlowStoreQueue *queue)
{
    if (queue != NULL)
        atomic_fetch_sub(&queue->refs, 1); /* the backend sweeps those that nobody knows any more */
    return NULL;
}

const char *flow_store_queue_name(const FlowStoreQueue *queue)
{
    return queue->name;
}

FlowStoreQueueView flow_store_queue_view(const FlowStoreQueue *queue)
{
    return (FlowStoreQueueView){
        .queued = atomic_load_explicit(&queue->queued, memory_order_relaxed),
        .bytes = atomic_load_explicit(&queue->bytes, memory_order_relaxed),
        .in_flight = atomic_load_explicit(&queue->in_flight, memory_order_relaxed),
        .max_items = atomic_load_explicit(&queue->max_items, memory_order_relaxed),
        .max_bytes = atomic_load_explicit(&queue->max_bytes, memory_order_relaxed),
        .paused = atomic_load_explicit(&queue->paused, memory_order_relaxed),
        .waiting_takes = atomic_load_explicit(&queue->waiting_takes, memory_order_relaxed),
        .waiting_settles = atomic_load_explicit(&queue->waiting_settles, memory_order_relaxed),
    };
}

FlowDelivery *flow_delivery_ref(FlowDelivery *delivery)
{
    atomic_fetch_add_explicit(&((FlowDeliveryPrivate *)delivery)->refs, 1, memory_order_relaxed);
    return delivery;
}

FlowDelivery *flow_delivery_unref(FlowDelivery *delivery)
{
    if (delivery != NULL &&
        atomic_fetch_sub_explicit(&((FlowDeliveryPrivate *)delivery)->refs, 1, memory_order_acq_rel) == 1) {
        flow_blob_unref(delivery->body);
        free(delivery);
    }
    return NULL;
}

void flow_delivery_start(FlowDelivery *delivery)
{
    atomic_store_explicit(&((FlowDeliveryPrivate *)delivery)->started, true, memory_order_relaxed);
}

void flow_store_loop_ignore_bounds(FlowStore *store, FlowStoreLoop *owner)
{
    store->backend->ignore_bounds(store, owner);
}
