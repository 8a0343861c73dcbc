/*
 * sqlite_cycle.c - the committer's work: executes operations in one transaction, answers them after its commit, and
 * undoes everything when it fails.
 *
 * A cycle takes what has gathered, in order. An operation that has to wait is parked: a take at its queue, a
 * settle (and what follows it) at its loop. Others in the same transaction may end its wait: pushes feed takes,
 * takes make room for settles. So the cycle ends with rounds of that, until nothing moves; then it writes what is
 * noted, and commits.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_internal.h"

enum { BATCH_BYTES = 16 << 20, PRUNE_S = 60 };

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

bool flow_sqlite__set_meta(SqliteStore *self, const char *key, int64_t value)
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
    return !self->letters_dirty || (flow_sqlite__set_meta(self, "letters_made", n->made) &&
                                    flow_sqlite__set_meta(self, "letters_redriven", n->redriven) &&
                                    flow_sqlite__set_meta(self, "letters_consumed", n->consumed) &&
                                    flow_sqlite__set_meta(self, "letters_deleted", n->deleted) &&
                                    flow_sqlite__set_meta(self, "letters_expired", n->expired));
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

/* ---- undoing -------------------------------------------------------------------------------------------- */

bool flow_sqlite__is_held(const FlowStoreOp *op)
{
    return flow_store__op_when_away(op->kind) == FLOW_STORE_HOLD ||
           (op->kind == FLOW_STORE_OP_TAKE && ((const FlowStoreTake *)op)->wait);
}

void flow_sqlite__undo_operation(SqliteStore *self, FlowStoreOp *op)
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
void flow_sqlite__roll_back(SqliteStore *self)
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
        flow_sqlite__undo_operation(self, op);
        bool repeat = is_storage ? flow_sqlite__is_held(op) : op != culprit && culprit != NULL;
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
        flow_list_push_back(!is_storage || flow_sqlite__is_held(op) ? &again : &failed, &op->link);
    }
    FLOW_LIST_FOR_EACH(link, &again)
    flow_list_entry(link, FlowStoreOp, link)->place = IN_TODO;
    flow_list_splice_back(&self->todo, &again);
    FLOW_LIST_FOR_EACH(link, &failed)
    {
        FlowStoreOp *op = flow_list_entry(link, FlowStoreOp, link);
        flow_list_remove(&op->link);
        flow_sqlite__fail(self, op, &fault);
    }
    if (is_storage)
        flow_sqlite__set_state(self, FLOW_STORE_AWAY, &fault);
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
        flow_sqlite__serve_untils(self, &queue->untils);
    if (self->state == FLOW_STORE_AWAY)
        flow_sqlite__set_state(self, FLOW_STORE_READY, NULL);
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

void flow_sqlite__run_cycle(SqliteStore *self)
{
    if (transact(self))
        committed(self);
    else
        flow_sqlite__roll_back(self);
    if (!flow_list_empty(&self->todo) && self->state == FLOW_STORE_READY)
        flow_sqlite__schedule(self);
}

static void on_cycle(FlowTask *task)
{
    SqliteStore *self = flow_container_of(task, SqliteStore, cycle);
    self->cycle_posted = false;
    if (self->state == FLOW_STORE_READY)
        flow_sqlite__run_cycle(self);
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
    if (flow_sqlite__set_meta(self, "probe", flow_clock_wall_ns(self->clock)))
        flow_sqlite__run_cycle(self);
    else
        flow_sqlite__roll_back(self);
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
        flow_sqlite__roll_back(self);
    else
        flow_sqlite__run_cycle(self);
    flow_sqlite__sweep_queues(self);
}

bool flow_sqlite__finish(SqliteStore *self)
{
    if (!flush(self) || !commit(self))
        return false;
    committed(self);
    return true;
}

void flow_sqlite__cycle_init(SqliteStore *self)
{
    self->cycle.run = on_cycle;
    flow_timer_init(&self->gather, self->loop, on_gathered);
    flow_timer_init(&self->retry, self->loop, on_retry);
    flow_timer_init(&self->prune, self->loop, on_prune);
    flow_loop_enter(self->loop);
    flow_timer_start(&self->prune, PRUNE_S * FLOW_NS_PER_S);
    flow_loop_leave(self->loop);
}
