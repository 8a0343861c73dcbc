/*
 * store_sqlite.c - the embedded store as a backend: opening and closing, what comes in, what waits, what is told.
 * What is done with operations is in sqlite_cycle.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite.h"
#include "store/sqlite_internal.h"

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

/* ---- waiting and telling ---------------------------------------------------------------------------------- */

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

void flow_sqlite__serve_untils(SqliteStore *self, FlowList *untils)
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

void flow_sqlite__set_state(SqliteStore *self, FlowStoreState state, const FlowError *error)
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
    flow_sqlite__serve_untils(self, &self->untils);
}

void flow_sqlite__fail(SqliteStore *self, FlowStoreOp *op, const FlowError *error)
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

/* ---- what comes in --------------------------------------------------------------------------------------- */

/* A read while the storage fails: what can still be read is. */
static void read_alone(SqliteStore *self, FlowStoreOp *op)
{
    FlowError error;
    if (flow_sqlite__dispatch(self, op) == FAULT) {
        error = self->fault;
        flow_sqlite__undo_operation(self, op);
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
    } else if (self->state == FLOW_STORE_READY || flow_sqlite__is_held(op)) {
        op->place = IN_TODO;
        flow_list_push_back(&self->todo, &op->link);
        flow_sqlite__schedule(self);
    } else if (flow_store__op_when_away(op->kind) == FLOW_STORE_READ) {
        read_alone(self, op);
    } else {
        flow_sqlite__fail(self, op, &self->state_error);
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
    FlowStatus status = flow_sqlite__connect(self, reterr);
    if (status == FLOW_OK)
        status = flow_sqlite__recover(self, reterr);
    if (status == FLOW_OK)
        status = flow_loop_new("store", self->clock, &self->loop, reterr);
    if (status == FLOW_OK) {
        flow_sqlite__cycle_init(self);
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
        flow_sqlite__run_cycle(self);
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
    if (ok && flow_sqlite__set_meta(self, "clean", 1) && flow_sqlite__finish(self))
        sqlite3_wal_checkpoint_v2(self->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    else
        flow_sqlite__roll_back(self);
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
