/* sqlite_ledger.c - every delivery, unit and dead letter is in exactly one place: counting that it is so. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_internal.h"

bool flow_sqlite__count_rows(SqliteStore *self, SqliteQueue *queue, uint64_t *ret_rows, uint64_t *ret_bytes)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_SUM);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, (int64_t)delivery_key(queue->now.number, 0));
    sqlite3_bind_int64(s, 2, (int64_t)delivery_key(queue->now.number, SEQ_MAX));
    if (flow_sqlite__step(self, s) != SQLITE_ROW)
        return false;
    *ret_rows = (uint64_t)sqlite3_column_int64(s, 0);
    *ret_bytes = (uint64_t)sqlite3_column_int64(s, 1);
    sqlite3_reset(s);
    return true;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = (*(SqliteQueue *const *)a)->now.number, y = (*(SqliteQueue *const *)b)->now.number;
    return x < y ? -1 : x > y;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(SqliteQueue *const *)a)->base.name, (*(SqliteQueue *const *)b)->base.name);
}

/* The queues that exist; free() it. */
static SqliteQueue **all_queues(SqliteStore *self, size_t *ret_count,
                                int (*order)(const void *, const void *))
{
    VECTOR(SqliteQueue *) queues = {0};
    pthread_mutex_lock(&self->base.queue_lock);
    for (FlowMapEntry *e = NULL; (e = flow_map_next(&self->base.queues, e));)
        if (sqlite_queue(e->value)->now.number != 0)
            VECTOR_PUSH(queues, sqlite_queue(e->value));
    pthread_mutex_unlock(&self->base.queue_lock);
    if (queues.count != 0)
        qsort(queues.items, queues.count, sizeof *queues.items, order);
    *ret_count = queues.count;
    return queues.items;
}

static void unbalanced(FlowError *reterr, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void unbalanced(FlowError *reterr, const char *what, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flow_error_vset(reterr, FLOW_DATA_LOSS, "LEDGER_UNBALANCED", what, format, args);
    va_end(args);
}

/* A row with a number that no queue has. */
static bool find_stray(SqliteStore *self, SqliteQueue *const *queues, size_t count, FlowError *reterr)
{
    int64_t next = 0;
    for (size_t i = 0; i <= count; i++) {
        int64_t end = i < count ? queues[i]->now.number : (int64_t)QUEUE_NUMBER_MAX + 1;
        sqlite3_stmt *s = end > next ? flow_sqlite__statement(self, SQL_DELIVERY_FIRST) : NULL;
        if (s != NULL) {
            sqlite3_bind_int64(s, 1, (int64_t)delivery_key(next, 0));
            sqlite3_bind_int64(s, 2, (int64_t)(delivery_key(end, 0) - 1));
            int code = flow_sqlite__step(self, s);
            if (code == SQLITE_ROW)
                unbalanced(reterr, "", "delivery %lld belongs to no queue",
                           (long long)sqlite3_column_int64(s, 0));
            if (code >= 0)
                sqlite3_reset(s);
            if (code != SQLITE_DONE)
                return true;
        }
        next = end + 1;
    }
    return false;
}

static bool check_queue(SqliteStore *self, SqliteQueue *queue, bool count_rows, FlowError *reterr)
{
    const QueueState *q = &queue->now;
    uint64_t rows = q->queued + q->in_flight, bytes;
    if (count_rows && !flow_sqlite__count_rows(self, queue, &rows, &bytes))
        return false;
    uint64_t accounted = rows + q->done + q->dead_lettered + q->removed;
    if (rows == q->queued + q->in_flight && q->pushed == accounted)
        return true;
    unbalanced(reterr, queue->base.name,
               "queue %.200s: %llu pushed, but %llu accounted for (%llu queued or in flight, %llu done, %llu "
               "dead-lettered, %llu removed)%s",
               queue->base.name, (unsigned long long)q->pushed, (unsigned long long)accounted,
               (unsigned long long)rows, (unsigned long long)q->done, (unsigned long long)q->dead_lettered,
               (unsigned long long)q->removed,
               rows != q->queued + q->in_flight ? "; the rows are not those in memory" : "");
    return false;
}

static bool check_letters(SqliteStore *self, FlowError *reterr)
{
    const Letters *n = &self->letters;
    uint64_t open;
    if (!flow_sqlite__letters_open(self, &open))
        return false;
    uint64_t accounted = open + (uint64_t)(n->redriven + n->consumed + n->deleted + n->expired);
    if ((uint64_t)n->made == accounted)
        return true;
    unbalanced(reterr, "dead letters", "dead letters: %lld made, but %llu accounted for", (long long)n->made,
               (unsigned long long)accounted);
    return false;
}

static bool check_loops(SqliteStore *self, FlowError *reterr)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LOOP_ALL);
    int code = -1;
    bool ok = true;
    while (s != NULL && ok && (code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
        long long produced = sqlite3_column_int64(s, 7), done = sqlite3_column_int64(s, 8),
                  dead = sqlite3_column_int64(s, 10);
        ok = produced == done + dead;
        if (!ok)
            unbalanced(reterr, flow_sqlite__text(s, 11),
                       "loop %.100s of run %.100s: %lld units settled, but %lld done and %lld dead-lettered",
                       flow_sqlite__text(s, 2), flow_sqlite__text(s, 11), produced, done, dead);
    }
    if (code >= 0)
        sqlite3_reset(s);
    return ok && code >= 0;
}

bool flow_sqlite__check_ledger(SqliteStore *self, FlowError *reterr)
{
    size_t count;
    SqliteQueue **queues = all_queues(self, &count, by_number);
    bool ok = !find_stray(self, queues, count, reterr);
    for (size_t i = 0; ok && i < count; i++)
        ok = check_queue(self, queues[i], true, reterr);
    free(queues);
    return ok && check_loops(self, reterr) && check_letters(self, reterr);
}

static void add(FlowQueueInfo *total, const FlowQueueInfo *queue)
{
    total->pushed += queue->pushed;
    total->queued += queue->queued;
    total->in_flight += queue->in_flight;
    total->done += queue->done;
    total->filtered += queue->filtered;
    total->dead_lettered += queue->dead_lettered;
    total->removed += queue->removed;
    total->moved_out += queue->moved_out;
    total->bytes += queue->bytes;
}

static bool list_loops(SqliteStore *self, FlowStoreLedger *op)
{
    VECTOR(FlowLoopLedger) loops = {0};
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LOOP_ALL);
    int code = -1;
    bool ok = s != NULL;
    while (ok && (code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
        FlowLoopLedger entry;
        bool failed = false;
        entry.run_id = flow_sqlite__result_text(&op->op, s, 11, &failed);
        ok = !failed && flow_sqlite__loop_record(self, &op->op, s, entry.run_id, &entry.loop);
        if (ok)
            VECTOR_PUSH(loops, entry);
    }
    if (code >= 0)
        sqlite3_reset(s);
    op->loop_count = loops.count;
    op->loops = flow_store__results(&op->op, loops.count * sizeof *op->loops);
    if (op->loops != NULL && loops.count != 0)
        memcpy(op->loops, loops.items, loops.count * sizeof *op->loops);
    free(loops.items);
    if (op->loops == NULL || (!ok && self->fault.status == FLOW_OK))
        flow_sqlite__no_memory(self);
    return ok && code >= 0 && op->loops != NULL;
}

static Result loops_of(SqliteStore *self, FlowStoreLedger *op)
{
    FlowLoopRecord *records = NULL;
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_RUN_GET);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, op->run_id);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return FAULT;
    int64_t number = code == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_reset(s);
    if (number == 0)
        return flow_sqlite__refuse(&op->op, FLOW_NOT_FOUND, "RUN_NOT_FOUND", op->run_id,
                                   "there is no run %.100s", op->run_id);
    const char *run_id = flow_store__result_text(&op->op, op->run_id, strlen(op->run_id));
    if (!flow_sqlite__loops_of_run(self, &op->op, number, op->run_id, &records, &op->loop_count))
        return FAULT;
    op->loops = flow_store__results(&op->op, op->loop_count * sizeof *op->loops);
    if (op->loops == NULL || run_id == NULL)
        return flow_sqlite__no_memory(self);
    for (size_t i = 0; i < op->loop_count; i++)
        op->loops[i] = (FlowLoopLedger){run_id, records[i]};
    return DONE;
}

Result flow_sqlite__ledger(SqliteStore *self, FlowStoreLedger *op)
{
    const char *name = flow_store__text(op->queue), *run_id = flow_store__text(op->run_id);
    bool all = name[0] == '\0' && run_id[0] == '\0';
    SqliteQueue *one = NULL;
    op->time_ns = flow_clock_wall_ns(self->clock);
    op->queue_count = op->loop_count = 0;
    op->total = (FlowQueueInfo){.name = "", .workflow_id = "", .short_name = ""};
    op->dead_letters = (FlowDeadLetterLedger){0};
    op->balanced = true;
    op->imbalance.status = FLOW_OK;
    if (run_id[0] != '\0') {
        Result result = loops_of(self, op);
        for (size_t i = 0; result == DONE && i < op->loop_count; i++) {
            const FlowLoopRecord *loop = &op->loops[i].loop;
            op->balanced &= loop->produced == loop->done + loop->dead_lettered + loop->in_flight;
        }
        return result;
    }
    if (name[0] != '\0' && (one = flow_sqlite__queue_find(self, name)) == NULL)
        return flow_sqlite__refuse(&op->op, FLOW_NOT_FOUND, "QUEUE_NOT_FOUND", name,
                                   "there is no queue %.200s", name);
    if (!flow_sqlite__flush_deliveries(self))
        return FAULT;
    size_t count = 1;
    SqliteQueue **queues = all ? all_queues(self, &count, by_name) : &one;
    op->queues = flow_store__results(&op->op, count * sizeof *op->queues);
    if (op->queues == NULL)
        flow_sqlite__no_memory(self);
    bool ok = op->queues != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        ok = flow_sqlite__queue_info(self, &op->op, queues[i], &op->queues[i]);
        op->queue_count += ok;
        if (ok && op->balanced && !check_queue(self, queues[i], op->check, &op->imbalance))
            op->balanced = false;
        ok = ok && self->fault.status == FLOW_OK;
        if (ok)
            add(&op->total, &op->queues[i]);
    }
    if (all)
        free(queues);
    if (!ok || !all)
        return ok ? DONE : FAULT;
    const Letters *n = &self->letters;
    op->dead_letters = (FlowDeadLetterLedger){.made = (uint64_t)n->made,
                                              .redriven = (uint64_t)n->redriven,
                                              .consumed = (uint64_t)n->consumed,
                                              .deleted = (uint64_t)n->deleted,
                                              .expired = (uint64_t)n->expired};
    if (!flow_sqlite__letters_open(self, &op->dead_letters.open) || !list_loops(self, op))
        return FAULT;
    if (op->balanced && !self->balanced) {
        op->balanced = false;
        op->imbalance = self->imbalance;
    }
    if (op->balanced && op->check)
        op->balanced = flow_sqlite__flush_loops(self) && flow_sqlite__check_ledger(self, &op->imbalance);
    return self->fault.status == FLOW_OK ? DONE : FAULT;
}
