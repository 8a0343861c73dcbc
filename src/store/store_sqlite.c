/*
 * store_sqlite.c - the committer: gathers operations, executes them in one transaction, answers them after its
 * commit, and undoes everything when it fails.
 *
 * A cycle takes what has gathered, in order. An operation that has to wait is parked: a take at its queue, a
 * settle (and what follows it) at its loop. Others in the same transaction may end its wait: pushes feed takes,
 * takes make room for settles. So the cycle ends with rounds of that, until nothing moves; then it writes what is
 * noted, and commits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "store/sqlite.h"
#include "store/sqlite_internal.h"

enum { BATCH_BYTES = 16 << 20, PRUNE_S = 60 };

/* ---- small things --------------------------------------------------------------------------------------- */

Result flow_sqlite__refuse(FlowStoreOp *op, FlowStatus status, const char *reason, const char *where,
                           const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flow_error_vset(&op->error, status, reason, where, format, args);
    va_end(args);
    return REFUSED;
}

bool flow_sqlite__id_ok(const char *id)
{
    size_t len = id != NULL ? strlen(id) : 0;
    return len != 0 && len <= FLOW_STORE_NAME_MAX;
}

Result flow_sqlite__bad_id(FlowStoreOp *op, const char *where)
{
    return flow_sqlite__refuse(op, FLOW_INVALID_ARGUMENT, "ID_INVALID", where,
                               "%s is empty or longer than %d bytes", where, FLOW_STORE_NAME_MAX);
}

Result flow_sqlite__unbalanced(SqliteStore *self, FlowStoreOp *op)
{
    return flow_sqlite__refuse(op, FLOW_UNAVAILABLE, "LEDGER_UNBALANCED", self->imbalance.where,
                               "the store's ledger does not balance, so nothing new is accepted: %s",
                               self->imbalance.message);
}

Result flow_sqlite__flush(SqliteStore *self, FlowStoreFlush *op)
{
    (void)self;
    (void)op;
    return DONE;
}

/* ---- executing ------------------------------------------------------------------------------------------ */

Result flow_sqlite__dispatch(SqliteStore *self, FlowStoreOp *op)
{
    switch ((FlowStoreOpKind)op->kind) {
#define X(name, type, function, away)                                                                        \
    case FLOW_STORE_OP_##name:                                                                               \
        return flow_sqlite__##function(self, (type *)op);
        FLOW_STORE_OP_MAP(X)
#undef X
    case FLOW_STORE_OP_COUNT:
        break;
    }
    abort();
}

bool flow_sqlite__execute(SqliteStore *self, FlowStoreOp *op)
{
    SqliteLoop *loop = flow_sqlite__loop_of(op);
    bool behind = loop != NULL && !flow_list_empty(&loop->fifo);
    self->executing = op;
    Result result = behind ? PARKED : flow_sqlite__dispatch(self, op);
    if (result == FAULT)
        return false;
    self->executing = NULL;
    if (result != PARKED) {
        op->place = IN_EXECUTED;
        flow_list_push_back(&self->executed, &op->link);
    } else if (loop != NULL) {
        op->place = IN_LOOP;
        flow_list_push_back(&loop->fifo, &op->link);
        flow_list_remove(&loop->parked_link);
        flow_list_push_back(&self->parked_loops, &loop->parked_link);
        flow_sqlite__loop_show_blocked(loop);
    }
    return true;
}

static bool serve_takes(SqliteStore *self, SqliteQueue *queue, bool *ret_progress)
{
    while (queue->now.queued != 0 && !queue->now.paused && !flow_list_empty(&queue->takes)) {
        FlowStoreOp *op = flow_list_entry(queue->takes.next, FlowStoreOp, link);
        flow_sqlite__unpark_take((FlowStoreTake *)op);
        if (!flow_sqlite__execute(self, op))
            return false;
        *ret_progress = true;
    }
    return true;
}

static bool serve_settles(SqliteStore *self, SqliteQueue *queue, bool *ret_progress)
{
    /* Each of those that wait now gets one chance: one that finds the queue full again stands at the end. */
    for (uint32_t n = queue->waiting_count; n != 0 && flow_sqlite__has_room(&queue->now); n--) {
        SqliteLoop *loop = flow_list_entry(queue->waiting_loops.next, SqliteLoop, waiting_link);
        if (!flow_sqlite__loop_retry(self, loop, ret_progress))
            return false;
    }
    return true;
}

/* Lets those go on for whom this transaction has made room or items. */
static bool settle_down(SqliteStore *self)
{
    bool progress;
    do {
        progress = false;
        while (!flow_list_empty(&self->retry_loops)) {
            SqliteLoop *loop = flow_list_entry(self->retry_loops.next, SqliteLoop, retry_link);
            if (!flow_sqlite__loop_retry(self, loop, &progress))
                return false;
        }
        for (SqliteQueue *queue = self->dirty_queues; queue != NULL; queue = queue->next_dirty)
            if (!serve_takes(self, queue, &progress) || !serve_settles(self, queue, &progress))
                return false;
    } while (progress && self->batch_bytes < BATCH_BYTES);
    return true;
}

/* ---- writing -------------------------------------------------------------------------------------------- */

static bool set_meta(SqliteStore *self, const char *key, int64_t value)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_META_SET);
    if (s == NULL)
        return false;
    flow_sqlite__bind_text(s, 1, key);
    sqlite3_bind_int64(s, 2, value);
    return flow_sqlite__run(self, s);
}

static bool flush(SqliteStore *self)
{
    if (!flow_sqlite__flush_deliveries(self))
        return false;
    for (SqliteQueue *queue = self->dirty_queues; queue != NULL; queue = queue->next_dirty) {
        const QueueState *q = &queue->now;
        if (q->number == 0)
            continue; /* deleted in this transaction */
        sqlite3_stmt *s = flow_sqlite__statement(self, SQL_QUEUE_UPDATE);
        if (s == NULL)
            return false;
        const uint64_t values[] = {(uint64_t)q->number, q->next_seq,      q->pushed,  q->done,
                                   q->filtered,         q->dead_lettered, q->removed, q->moved_out,
                                   q->max_items,        q->max_bytes,     q->paused};
        for (size_t i = 0; i < FLOW_COUNT(values); i++)
            sqlite3_bind_int64(s, (int)i + 1, (int64_t)values[i]);
        if (!flow_sqlite__run(self, s))
            return false;
    }
    if (!flow_sqlite__flush_loops(self))
        return false;
    const Letters *n = &self->letters;
    return !self->letters_dirty ||
           (set_meta(self, "letters_made", n->made) && set_meta(self, "letters_redriven", n->redriven) &&
            set_meta(self, "letters_consumed", n->consumed) &&
            set_meta(self, "letters_deleted", n->deleted) && set_meta(self, "letters_expired", n->expired));
}

static bool commit(SqliteStore *self)
{
    if (!self->in_transaction)
        return true;
    sqlite3_stmt *statement = self->statements[SQL_COMMIT];
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    if (code != SQLITE_DONE) {
        flow_sqlite__fault(self, code, "committing");
        return false;
    }
    self->in_transaction = false;
    atomic_fetch_add_explicit(&self->commits, 1, memory_order_relaxed);
    return true;
}

/* ---- answering ------------------------------------------------------------------------------------------ */

/* Answers of one commit go to each loop as one chain. */
typedef struct Chain {
    FlowLoop *loop;
    FlowTask *first, *last;
} Chain;
enum { CHAINS = 64 };
typedef struct Chains {
    Chain items[CHAINS];
    unsigned count, latest;
} Chains;

static void post_chains(Chains *chains)
{
    for (unsigned i = 0; i < chains->count; i++)
        flow_loop_post_chain(chains->items[i].loop, chains->items[i].first, chains->items[i].last);
    chains->count = chains->latest = 0;
}

static void answer(SqliteStore *self, FlowStoreOp *op, Chains *chains)
{
    FlowLoop *loop = op->loop;
    FlowTask *task;
    if (!flow_store__answer(&self->base, op, &task) || task == NULL)
        return;
    unsigned i = chains->latest;
    if (i >= chains->count || chains->items[i].loop != loop)
        for (i = 0; i < chains->count && chains->items[i].loop != loop;)
            i++;
    if (i == chains->count) {
        if (chains->count == CHAINS) {
            post_chains(chains);
            i = 0;
        }
        chains->items[chains->count++] = (Chain){loop, task, task};
    } else {
        chains->items[i].last->next = task;
        chains->items[i].last = task;
    }
    chains->latest = i;
}

void flow_sqlite__answer_parked(SqliteStore *self, FlowStoreOp *op)
{
    flow_store__try_complete(&self->base, op);
}

static bool holds(const SqliteStore *self, const FlowStoreUntil *op)
{
    const SqliteQueue *queue = op->queue != NULL ? sqlite_queue(op->queue) : NULL;
    switch (op->condition) {
    case FLOW_STORE_QUEUE_HAS_ITEMS:
        return queue->now.queued != 0 && !queue->now.paused;
    case FLOW_STORE_QUEUE_HAS_ROOM:
        return flow_sqlite__has_room(&queue->now);
    case FLOW_STORE_QUEUE_DRAINED:
        return queue->now.queued == 0 && queue->now.in_flight == 0;
    case FLOW_STORE_IS_AWAY:
        return self->state == FLOW_STORE_AWAY;
    case FLOW_STORE_IS_READY:
        return self->state == FLOW_STORE_READY;
    }
    return true;
}

static void serve_untils(SqliteStore *self, FlowList *untils)
{
    FLOW_LIST_FOR_EACH(link, untils)
    {
        FlowStoreOp *op = flow_list_entry(link, FlowStoreOp, link);
        if (!holds(self, (FlowStoreUntil *)op))
            continue;
        flow_list_remove(&op->link);
        flow_sqlite__answer_parked(self, op);
    }
}

/* Never executed in a transaction: conditions are those of the last commit. */
Result flow_sqlite__until(SqliteStore *self, FlowStoreUntil *op)
{
    (void)self;
    (void)op;
    return DONE;
}

static void submit_until(SqliteStore *self, FlowStoreUntil *op)
{
    bool of_queue = op->condition != FLOW_STORE_IS_AWAY && op->condition != FLOW_STORE_IS_READY;
    if (of_queue && op->queue == NULL) {
        flow_sqlite__bad_id(&op->op, "queue");
        flow_sqlite__answer_parked(self, &op->op);
    } else if (holds(self, op)) {
        flow_sqlite__answer_parked(self, &op->op);
    } else {
        op->op.place = IN_UNTIL;
        flow_list_push_back(of_queue ? &sqlite_queue(op->queue)->untils : &self->untils, &op->op.link);
    }
}

static void set_state(SqliteStore *self, FlowStoreState state, const FlowError *error)
{
    pthread_mutex_lock(&self->info_lock);
    if (self->state != state)
        self->state_since_ns = flow_clock_wall_ns(self->clock);
    self->state = state;
    if (error != NULL)
        self->state_error = *error;
    else
        self->state_error = (FlowError){.status = FLOW_OK};
    pthread_mutex_unlock(&self->info_lock);
    serve_untils(self, &self->untils);
}

static void fail(SqliteStore *self, FlowStoreOp *op, const FlowError *error)
{
    op->error = *error;
    if (op->error.status == FLOW_OK)
        op->error.status = FLOW_INTERNAL;
    flow_sqlite__answer_parked(self, op);
}

static void fail_closed(SqliteStore *self, FlowStoreOp *op)
{
    flow_error_set(&op->error, FLOW_UNAVAILABLE, "STORE_CLOSED", self->url, "the store is closing");
    flow_sqlite__answer_parked(self, op);
}

/* ---- undoing -------------------------------------------------------------------------------------------- */

static bool is_held(const FlowStoreOp *op)
{
    return flow_store__op_when_away(op->kind) == FLOW_STORE_HOLD ||
           (op->kind == FLOW_STORE_OP_TAKE && ((const FlowStoreTake *)op)->wait);
}

static void undo_operation(SqliteStore *self, FlowStoreOp *op)
{
    if (op->kind == FLOW_STORE_OP_TAKE)
        flow_sqlite__drop_taken((FlowStoreTake *)op);
    if (op->kind == FLOW_STORE_OP_LOOP_OPEN)
        flow_sqlite__undo_loop_open(self, (FlowStoreLoopOpen *)op);
    flow_store_op_done(op); /* results of an answer that is not given */
    op->error.status = FLOW_OK;
    op->ready = false;
}

/* Everything is as after the last commit; what was executed is to be executed again, or fails. */
static void roll_back(SqliteStore *self)
{
    for (int i = 0; i < SQL_COUNT; i++)
        if (self->statements[i] != NULL)
            sqlite3_reset(self->statements[i]);
    if (!sqlite3_get_autocommit(self->db))
        sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    self->in_transaction = false;
    FlowError fault = self->fault;
    bool is_storage = self->fault_is_storage;
    self->fault.status = FLOW_OK;

    flow_sqlite__undo_deliveries(self);
    flow_sqlite__undo_loops(self);
    for (SqliteQueue *queue = self->dirty_queues; queue != NULL; queue = queue->next_dirty) {
        queue->dirty = false;
        queue->now = queue->before;
    }
    self->dirty_queues = NULL;
    if (self->letters_dirty)
        self->letters = self->letters_before;
    self->letters_dirty = false;
    self->batch_bytes = 0;

    if (is_storage) /* before anybody is told, who might move a test's clock */
        flow_timer_start(&self->retry, self->base.options.retry_ns);
    /* In the order in which they would be executed: what was, what stands behind in the loops, what has come. */
    FlowStoreOp *culprit = self->executing;
    self->executing = NULL;
    if (culprit != NULL)
        flow_list_push_back(&self->executed, &culprit->link);
    FlowList again, failed;
    flow_list_init(&again);
    flow_list_init(&failed);
    FLOW_LIST_FOR_EACH(link, &self->executed)
    {
        FlowStoreOp *op = flow_list_entry(link, FlowStoreOp, link);
        flow_list_remove(&op->link);
        undo_operation(self, op);
        bool repeat = is_storage ? is_held(op) : op != culprit && culprit != NULL;
        flow_list_push_back(repeat ? &again : &failed, &op->link);
    }
    while (!flow_list_empty(&self->parked_loops)) {
        SqliteLoop *loop = flow_list_entry(self->parked_loops.next, SqliteLoop, parked_link);
        flow_list_remove(&loop->parked_link);
        flow_sqlite__loop_stop_waiting(loop);
        flow_sqlite__loop_show_blocked(loop);
        flow_list_splice_back(&again, &loop->fifo);
    }
    FLOW_LIST_FOR_EACH(link, &self->todo)
    {
        FlowStoreOp *op = flow_list_entry(link, FlowStoreOp, link);
        flow_list_remove(&op->link);
        flow_list_push_back(!is_storage || is_held(op) ? &again : &failed, &op->link);
    }
    FLOW_LIST_FOR_EACH(link, &again)
    flow_list_entry(link, FlowStoreOp, link)->place = IN_TODO;
    flow_list_splice_back(&self->todo, &again);
    FLOW_LIST_FOR_EACH(link, &failed)
    {
        FlowStoreOp *op = flow_list_entry(link, FlowStoreOp, link);
        flow_list_remove(&op->link);
        fail(self, op, &fault);
    }
    if (is_storage)
        set_state(self, FLOW_STORE_AWAY, &fault);
}

/* ---- the cycle ------------------------------------------------------------------------------------------ */

static void committed(SqliteStore *self)
{
    Chains chains = {.count = 0};
    uint64_t operations = 0;
    flow_sqlite__forget_undo(self);
    flow_sqlite__forget_loops(self);
    self->letters_dirty = false;
    self->batch_bytes = 0;
    SqliteQueue *dirty = self->dirty_queues;
    self->dirty_queues = NULL;
    for (SqliteQueue *queue = dirty; queue != NULL; queue = queue->next_dirty) {
        queue->dirty = false;
        flow_sqlite__queue_publish(queue);
    }
    FlowList *link;
    while ((link = flow_list_pop_front(&self->executed)) != NULL) {
        FlowStoreOp *op = flow_list_entry(link, FlowStoreOp, link);
        operations++;
        if (op->kind == FLOW_STORE_OP_LOOP_CLOSE)
            flow_sqlite__loop_free(self, (SqliteLoop *)((FlowStoreLoopClose *)op)->owner);
        answer(self, op, &chains);
    }
    post_chains(&chains);
    atomic_fetch_add_explicit(&self->operations, operations, memory_order_relaxed);
    for (SqliteQueue *queue = dirty; queue != NULL; queue = queue->next_dirty)
        serve_untils(self, &queue->untils);
    if (self->state == FLOW_STORE_AWAY)
        set_state(self, FLOW_STORE_READY, NULL);
}

static bool transact(SqliteStore *self)
{
    for (unsigned n = 0; n < self->base.options.commit_operations && self->batch_bytes < BATCH_BYTES; n++) {
        FlowList *link = flow_list_pop_front(&self->todo);
        if (link == NULL)
            break;
        if (!flow_sqlite__execute(self, flow_list_entry(link, FlowStoreOp, link)))
            return false;
    }
    return settle_down(self) && flush(self) && commit(self);
}

static void run_cycle(SqliteStore *self)
{
    if (transact(self))
        committed(self);
    else
        roll_back(self);
    if (!flow_list_empty(&self->todo) && self->state == FLOW_STORE_READY)
        flow_sqlite__schedule(self);
}

static void on_cycle(FlowTask *task)
{
    SqliteStore *self = flow_container_of(task, SqliteStore, cycle);
    self->cycle_posted = false;
    if (self->state == FLOW_STORE_READY)
        run_cycle(self);
}

static void on_gathered(FlowTimer *timer)
{
    on_cycle(&flow_container_of(timer, SqliteStore, gather)->cycle);
}

void flow_sqlite__schedule(SqliteStore *self)
{
    if (self->cycle_posted || self->state == FLOW_STORE_AWAY)
        return; /* while the storage fails, the retry timer says when */
    self->cycle_posted = true;
    if (self->base.options.commit_wait_ms != 0 && !self->closing)
        flow_timer_start(&self->gather, self->base.options.commit_wait_ms * FLOW_NS_PER_MS);
    else
        flow_loop_post(self->loop, &self->cycle);
}

/* While the storage fails: something is written, so that success means something. */
static void on_retry(FlowTimer *timer)
{
    SqliteStore *self = flow_container_of(timer, SqliteStore, retry);
    if (self->state == FLOW_STORE_READY)
        return;
    if (set_meta(self, "probe", flow_clock_wall_ns(self->clock)))
        run_cycle(self);
    else
        roll_back(self);
}

/* A read while the storage fails: what can still be read is. */
static void read_alone(SqliteStore *self, FlowStoreOp *op)
{
    FlowError error;
    if (flow_sqlite__dispatch(self, op) == FAULT) {
        error = self->fault;
        undo_operation(self, op);
        op->error = error;
    }
    for (int i = 0; i < SQL_COUNT; i++)
        if (self->statements[i] != NULL)
            sqlite3_reset(self->statements[i]);
    sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    self->in_transaction = false;
    self->fault.status = FLOW_OK;
    flow_sqlite__answer_parked(self, op);
}

static void on_submit(FlowTask *task)
{
    FlowStoreOp *op = flow_container_of(task, FlowStoreOp, task);
    SqliteStore *self = sqlite_store(op->store);
    if (self->closing) {
        fail_closed(self, op);
    } else if (op->kind == FLOW_STORE_OP_UNTIL) {
        submit_until(self, (FlowStoreUntil *)op);
    } else if (self->state == FLOW_STORE_READY || is_held(op)) {
        op->place = IN_TODO;
        flow_list_push_back(&self->todo, &op->link);
        flow_sqlite__schedule(self);
    } else if (flow_store__op_when_away(op->kind) == FLOW_STORE_READ) {
        read_alone(self, op);
    } else {
        fail(self, op, &self->state_error);
    }
}

static void submit(FlowStore *store, FlowStoreOp *op)
{
    op->store = store;
    op->task.run = on_submit;
    flow_loop_post(sqlite_store(store)->loop, &op->task);
}

static void on_cancel(FlowTask *task)
{
    FlowStoreOp *op = flow_container_of(task, FlowStoreOp, cancel_task);
    SqliteStore *self = sqlite_store(op->store);
    op->cancel_seen = true;
    if (op->ready) { /* its answer has waited for this */
        flow_store__try_complete(&self->base, op);
        return;
    }
    SqliteLoop *loop = flow_sqlite__loop_of(op);
    bool is_first = op->place == IN_LOOP && loop->fifo.next == &op->link;
    if (op->place == IN_QUEUE)
        flow_sqlite__unpark_take((FlowStoreTake *)op);
    flow_list_remove(&op->link);
    if (is_first) {
        flow_list_remove(&loop->retry_link);
        flow_list_push_back(&self->retry_loops, &loop->retry_link);
        flow_sqlite__schedule(self);
    }
    flow_error_set(&op->error, FLOW_CANCELLED, "CANCELLED", "",
                   "the operation was given up before it happened");
    flow_sqlite__answer_parked(self, op);
}

static void cancel(FlowStore *store, FlowStoreOp *op)
{
    op->cancel_task.run = on_cancel;
    flow_loop_post(sqlite_store(store)->loop, &op->cancel_task);
}

static void on_prune(FlowTimer *timer)
{
    SqliteStore *self = flow_container_of(timer, SqliteStore, prune);
    flow_timer_start(&self->prune, PRUNE_S * FLOW_NS_PER_S);
    if (self->state == FLOW_STORE_AWAY)
        return;
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_REQUEST_PRUNE);
    if (s != NULL) {
        sqlite3_bind_int64(s, 1, flow_clock_wall_ns(self->clock) - self->base.options.request_ns);
        flow_sqlite__run(self, s);
    }
    if (self->fault.status != FLOW_OK)
        roll_back(self);
    else
        run_cycle(self);
    flow_sqlite__sweep_queues(self);
}

/* ---- opening and closing -------------------------------------------------------------------------------- */

static void free_store(SqliteStore *self)
{
    flow_sqlite__disconnect(self);
    flow_map_done(&self->loops, NULL);
    flow_map_done(&self->shared_bodies, NULL);
    free(self->undo.items);
    free(self->inserts.items);
    free(self->body_uses.items);
    free(self->body_inserts.items);
    free(self->body_deletes.items);
    flow_store__done(&self->base);
    pthread_mutex_destroy(&self->info_lock);
    free(self->path);
    free(self->url);
    free(self);
}

static FlowStatus open_store(const char *url, const char *rest, const FlowStoreOptions *options,
                             FlowStore **ret_store, FlowError *reterr)
{
    if (rest[0] == '\0')
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "STORE_URL", "store",
                              "\"%.200s\" names no file: give sqlite:PATH", url);
    SqliteStore *self = flow_new(SqliteStore);
    flow_store__init(&self->base, &flow_store_sqlite, options);
    self->url = flow_strdup(url);
    self->path = strcmp(rest, ":memory:") == 0 ? NULL : flow_strdup(rest);
    self->lock_fd = -1;
    self->clock = options->clock;
    self->balanced = true;
    self->state_since_ns = flow_clock_wall_ns(self->clock);
    pthread_mutex_init(&self->info_lock, NULL);
    flow_list_init(&self->todo);
    flow_list_init(&self->executed);
    flow_list_init(&self->retry_loops);
    flow_list_init(&self->parked_loops);
    flow_list_init(&self->all_loops);
    flow_list_init(&self->untils);
    self->cycle.run = on_cycle;
    FlowStatus status = flow_sqlite__connect(self, reterr);
    if (status == FLOW_OK)
        status = flow_sqlite__recover(self, reterr);
    if (status == FLOW_OK)
        status = flow_loop_new("store", self->clock, &self->loop, reterr);
    if (status == FLOW_OK) {
        flow_timer_init(&self->gather, self->loop, on_gathered);
        flow_timer_init(&self->retry, self->loop, on_retry);
        flow_timer_init(&self->prune, self->loop, on_prune);
        flow_loop_enter(self->loop);
        flow_timer_start(&self->prune, PRUNE_S * FLOW_NS_PER_S);
        flow_loop_leave(self->loop);
        status = flow_loop_start(self->loop, reterr);
        if (status != FLOW_OK)
            flow_loop_free(self->loop);
    }
    if (status != FLOW_OK) {
        free_store(self);
        return status;
    }
    *ret_store = &self->base;
    return FLOW_OK;
}

FlowStatus flow_sqlite__recovery_transaction(SqliteStore *self, FlowError *reterr)
{
    if (flush(self) && commit(self)) {
        committed(self);
        return FLOW_OK;
    }
    if (reterr != NULL)
        *reterr = self->fault;
    return self->fault.status;
}

static void fail_list(SqliteStore *self, FlowList *list)
{
    FlowList *link;
    while ((link = flow_list_pop_front(list)) != NULL)
        fail_closed(self, flow_list_entry(link, FlowStoreOp, link));
}

typedef struct Closing {
    FlowTask task;
    SqliteStore *self;
} Closing;

/* What can be done is done, the rest is told; then loops that nobody has closed are treated as if they had been. */
static void on_close(FlowTask *task)
{
    SqliteStore *self = flow_container_of(task, Closing, task)->self;
    self->closing = true;
    flow_timer_stop(&self->gather);
    while (self->state == FLOW_STORE_READY &&
           (!flow_list_empty(&self->todo) || !flow_list_empty(&self->retry_loops)))
        run_cycle(self);
    fail_list(self, &self->todo);
    fail_list(self, &self->untils);
    while (!flow_list_empty(&self->parked_loops)) {
        SqliteLoop *loop = flow_list_entry(self->parked_loops.next, SqliteLoop, parked_link);
        flow_list_remove(&loop->parked_link);
        flow_sqlite__loop_stop_waiting(loop);
        fail_list(self, &loop->fifo);
    }
    pthread_mutex_lock(&self->base.queue_lock);
    for (FlowMapEntry *e = NULL; (e = flow_map_next(&self->base.queues, e));) {
        fail_list(self, &sqlite_queue(e->value)->takes);
        fail_list(self, &sqlite_queue(e->value)->untils);
    }
    pthread_mutex_unlock(&self->base.queue_lock);
    bool ok = self->state == FLOW_STORE_READY;
    FLOW_LIST_FOR_EACH(link, &self->all_loops)
    ok = ok && flow_sqlite__reap(self, flow_list_entry(link, SqliteLoop, all_link), true,
                                 "the server was stopped while this unit was under way");
    if (ok && set_meta(self, "clean", 1) && flush(self) && commit(self)) {
        committed(self);
        sqlite3_wal_checkpoint_v2(self->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    } else {
        roll_back(self);
    }
    flow_timer_stop(&self->retry);
    flow_timer_stop(&self->prune);
}

static void close_store(FlowStore *store)
{
    SqliteStore *self = sqlite_store(store);
    Closing closing = {.task = {.run = on_close}, .self = self};
    flow_loop_post(self->loop, &closing.task);
    flow_loop_sync(self->loop);
    flow_loop_free(self->loop); /* runs what was submitted too late: it is told that the store is closing */
    while (!flow_list_empty(&self->all_loops))
        flow_sqlite__loop_free(self, flow_list_entry(self->all_loops.next, SqliteLoop, all_link));
    for (FlowMapEntry *e = NULL; (e = flow_map_next(&self->base.queues, e));)
        flow_sqlite__drop_window(self, sqlite_queue(e->value));
    free_store(self);
}

static void get_info(FlowStore *store, FlowStoreInfo *ret_info)
{
    SqliteStore *self = sqlite_store(store);
    *ret_info = (FlowStoreInfo){
        .kind = "sqlite",
        .durability = self->base.options.durability,
        .durability_note =
            self->path == NULL ? "kept in memory only: it ends with the process"
            : self->base.options.durability == FLOW_DURABILITY_POWER
                ? "what is answered survives the loss of power, if the disk honours a flush"
                : "what is answered survives the end of the process, kill -9 included; the loss of "
                  "power may take the last commits, never a part of one",
        .schema_version = 1,
        .balanced = self->balanced,
        .imbalance = self->imbalance,
        .commits = atomic_load(&self->commits),
        .operations = atomic_load(&self->operations),
        .pushed = atomic_load(&self->pushed),
        .settled = atomic_load(&self->settled),
    };
    snprintf(ret_info->url, sizeof ret_info->url, "%s", self->url);
    snprintf(ret_info->identity, sizeof ret_info->identity, "%s", self->identity);
    pthread_mutex_lock(&self->info_lock);
    ret_info->state = self->state;
    ret_info->state_since_ns = self->state_since_ns;
    ret_info->state_error = self->state_error;
    pthread_mutex_unlock(&self->info_lock);
}

static FlowStoreRecovery get_recovery(const FlowStore *store)
{
    return ((const SqliteStore *)store)->recovery;
}

const FlowStoreBackend flow_store_sqlite = {
    .scheme = "sqlite",
    .open = open_store,
    .close = close_store,
    .submit = submit,
    .cancel = cancel,
    .queue_new = flow_sqlite__queue_new,
    .queue_free = flow_sqlite__queue_free,
    .ignore_bounds = flow_sqlite__ignore_bounds,
    .info = get_info,
    .recovery = get_recovery,
};
