/* sqlite_admin.c - what people do with queues: make, look, bound, pause, peek, purge, remove, move, delete. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_internal.h"

static Result no_queue(FlowStoreOp *op, const char *name)
{
    return flow_sqlite__refuse(op, FLOW_NOT_FOUND, "QUEUE_NOT_FOUND", name, "there is no queue %.200s",
                               flow_store__text(name));
}

static uint64_t first_key(const SqliteQueue *queue)
{
    return delivery_key(queue->now.number, 0);
}

static uint64_t last_key(const SqliteQueue *queue)
{
    return delivery_key(queue->now.number, SEQ_MAX);
}

/* Push time of the first one queued, 0 when there is none. */
static bool oldest(SqliteStore *self, SqliteQueue *queue, int64_t *ret_ns)
{
    *ret_ns = 0;
    if (queue->now.queued == 0)
        return true;
    if (queue->window_count != 0) {
        *ret_ns = queue->window[queue->window_first]->base.base.push_ns;
        return true;
    }
    uint64_t from = first_key(queue), last;
    while (*ret_ns == 0 && flow_sqlite__free_range(queue, &from, last_key(queue), &last)) {
        sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_FIRST);
        if (s == NULL)
            return false;
        sqlite3_bind_int64(s, 1, (int64_t)from);
        sqlite3_bind_int64(s, 2, (int64_t)last);
        int code = flow_sqlite__step(self, s);
        if (code < 0)
            return false;
        if (code == SQLITE_ROW)
            *ret_ns = sqlite3_column_int64(s, 1);
        sqlite3_reset(s);
        from = last + 1;
    }
    return true;
}

bool flow_sqlite__queue_info(SqliteStore *self, FlowStoreOp *op, SqliteQueue *queue, FlowQueueInfo *ret_info)
{
    if (!flow_sqlite__flush_deliveries(self))
        return false;
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_QUEUE_BY_NAME);
    if (s == NULL)
        return false;
    flow_sqlite__bind_text(s, 1, queue->base.name);
    int code = flow_sqlite__step(self, s);
    if (code != SQLITE_ROW) {
        if (code == SQLITE_DONE)
            flow_sqlite__fault_text(self, FLOW_DATA_LOSS, "queue %.200s has lost its row", queue->base.name);
        return false;
    }
    bool failed = false;
    const QueueState *q = &queue->now;
    *ret_info = (FlowQueueInfo){
        .name = flow_sqlite__result_text(op, s, 1, &failed),
        .kind = (FlowQueueKind)sqlite3_column_int(s, 2),
        .workflow_id = flow_sqlite__result_text(op, s, 3, &failed),
        .short_name = flow_sqlite__result_text(op, s, 4, &failed),
        .pushed = q->pushed,
        .queued = q->queued,
        .in_flight = q->in_flight,
        .done = q->done,
        .filtered = q->filtered,
        .dead_lettered = q->dead_lettered,
        .removed = q->removed,
        .moved_out = q->moved_out,
        .bytes = q->bytes,
        .max_items = q->max_items,
        .max_bytes = q->max_bytes,
        .paused = q->paused,
        .waiting_takes = queue->take_count,
        .waiting_settles = queue->waiting_count,
    };
    sqlite3_reset(s);
    if (failed)
        flow_sqlite__no_memory(self);
    return !failed && oldest(self, queue, &ret_info->oldest_ns);
}

Result flow_sqlite__queue_make(SqliteStore *self, FlowStoreQueueMake *op)
{
    op->made = false;
    if (op->queue == NULL)
        return flow_sqlite__bad_id(&op->op, "queue");
    SqliteQueue *queue = sqlite_queue(op->queue);
    if (queue->now.number != 0)
        return DONE;
    Result failed;
    op->made = true;
    return flow_sqlite__make_queue(self, queue, op->kind, op->workflow_id, op->short_name, &op->op, &failed)
               ? DONE
               : failed;
}

Result flow_sqlite__queue_get(SqliteStore *self, FlowStoreQueueGet *op)
{
    SqliteQueue *queue = flow_sqlite__queue_find(self, op->name);
    if (queue == NULL)
        return no_queue(&op->op, op->name);
    return flow_sqlite__queue_info(self, &op->op, queue, &op->info) ? DONE : FAULT;
}

Result flow_sqlite__queue_list(SqliteStore *self, FlowStoreQueueList *op)
{
    char after[FLOW_STORE_TOKEN / 2];
    Result refused;
    op->count = 0;
    op->next_token[0] = '\0';
    if (!flow_sqlite__page_ok(&op->op, op->max, &refused) ||
        !flow_sqlite__name_token_read(&op->op, op->token, after, &refused))
        return refused;
    const char *prefix = flow_store__text(op->prefix);
    op->queues = flow_store__results(&op->op, op->max * sizeof *op->queues);
    VECTOR(char *) names = {0};
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_QUEUE_PAGE);
    int code = op->queues != NULL && s != NULL ? SQLITE_ROW : -1;
    if (op->queues == NULL)
        flow_sqlite__no_memory(self);
    if (code == SQLITE_ROW) {
        flow_sqlite__bind_text(s, 1, after);
        flow_sqlite__bind_text(s, 2, prefix);
        flow_sqlite__bind_text(s, 3, op->workflow_id);
        sqlite3_bind_int64(s, 4, (int64_t)op->max + 1);
        while ((code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
            if (strncmp(flow_sqlite__text(s, 1), prefix, strlen(prefix)) != 0)
                break; /* sorted: no further name begins with it */
            VECTOR_PUSH(names, flow_strdup(flow_sqlite__text(s, 1)));
        }
        sqlite3_reset(s);
    }
    bool ok = code >= 0;
    for (size_t i = 0; ok && i < names.count && i < op->max; i++) {
        SqliteQueue *queue = flow_sqlite__queue_find(self, names.items[i]);
        if (queue == NULL)
            continue;
        ok = flow_sqlite__queue_info(self, &op->op, queue, &op->queues[op->count]);
        op->count++;
    }
    if (ok && names.count > op->max)
        flow_sqlite__name_token_make(&op->op, op->next_token, names.items[op->max - 1]);
    for (size_t i = 0; i < names.count; i++)
        free(names.items[i]);
    free(names.items);
    return ok ? DONE : FAULT;
}

Result flow_sqlite__queue_update(SqliteStore *self, FlowStoreQueueUpdate *op)
{
    SqliteQueue *queue = flow_sqlite__queue_find(self, op->name);
    if (queue == NULL)
        return no_queue(&op->op, op->name);
    if (op->max_items > INT64_MAX || op->max_bytes > INT64_MAX)
        return flow_sqlite__refuse(&op->op, FLOW_INVALID_ARGUMENT, "BOUND_INVALID", "queue",
                                   "a bound is below 2^63");
    flow_sqlite__queue_touch(self, queue);
    if (op->max_items != 0)
        queue->now.max_items = op->max_items;
    if (op->max_bytes != 0)
        queue->now.max_bytes = op->max_bytes;
    if (op->pause != FLOW_QUEUE_PAUSE_KEEP)
        queue->now.paused = op->pause == FLOW_QUEUE_PAUSE;
    return flow_sqlite__queue_info(self, &op->op, queue, &op->info) ? DONE : FAULT;
}

Result flow_sqlite__queue_delete(SqliteStore *self, FlowStoreQueueDelete *op)
{
    SqliteQueue *queue = flow_sqlite__queue_find(self, op->name);
    if (queue == NULL)
        return no_queue(&op->op, op->name);
    if (queue->now.queued != 0 || queue->now.in_flight != 0)
        return flow_sqlite__refuse(
            &op->op, FLOW_FAILED_PRECONDITION, "QUEUE_NOT_EMPTY", op->name,
            "queue %.200s holds %llu deliveries and %llu are in flight: purge it and stop its "
            "readers first",
            op->name, (unsigned long long)queue->now.queued, (unsigned long long)queue->now.in_flight);
    if (!flow_sqlite__flush_deliveries(self))
        return FAULT;
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_QUEUE_DELETE);
    if (s == NULL)
        return FAULT;
    sqlite3_bind_int64(s, 1, queue->now.number);
    if (!flow_sqlite__run(self, s) || (s = flow_sqlite__statement(self, SQL_NUMBER_KEEP)) == NULL)
        return FAULT;
    sqlite3_bind_int64(s, 1, queue->now.number);
    sqlite3_bind_int64(s, 2, (int64_t)queue->now.next_seq);
    if (!flow_sqlite__run(self, s))
        return FAULT;
    flow_sqlite__queue_touch(self, queue);
    queue->now = (QueueState){.max_items = self->base.options.queue_max_items,
                              .max_bytes = self->base.options.queue_max_bytes};
    queue->refill_seq = 0;
    return DONE;
}

Result flow_sqlite__peek(SqliteStore *self, FlowStorePeek *op)
{
    Result refused;
    int64_t position;
    op->count = 0;
    op->next_token[0] = '\0';
    SqliteQueue *queue = flow_sqlite__queue_find(self, op->queue);
    if (queue == NULL)
        return no_queue(&op->op, op->queue);
    if (!flow_sqlite__page_ok(&op->op, op->max, &refused) ||
        !flow_sqlite__token_read(&op->op, op->token, 0, &position, &refused))
        return refused;
    if (!flow_sqlite__flush_deliveries(self))
        return FAULT;
    op->deliveries = flow_store__results(&op->op, op->max * sizeof *op->deliveries);
    if (op->deliveries == NULL)
        return flow_sqlite__no_memory(self);
    size_t bytes = 0, max_bytes = op->max_bytes != 0 ? op->max_bytes : (size_t)4 << 20;
    uint64_t from = delivery_key(queue->now.number, (uint64_t)position & SEQ_MAX), last;
    bool more = false;
    while (!more && flow_sqlite__free_range(queue, &from, last_key(queue), &last)) {
        sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_READ);
        if (s == NULL)
            return FAULT;
        sqlite3_bind_int64(s, 1, (int64_t)from);
        sqlite3_bind_int64(s, 2, (int64_t)last);
        sqlite3_bind_int64(s, 3, (int64_t)(op->max + 1 - op->count));
        int code;
        while ((code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
            size_t size = (size_t)sqlite3_column_int64(s, 5);
            if (op->count == op->max || (op->count != 0 && size > max_bytes - bytes)) {
                flow_sqlite__token_make(&op->op, op->next_token,
                                        sqlite3_column_int64(s, 0) & (int64_t)SEQ_MAX);
                more = true;
                break;
            }
            bytes += size < max_bytes - bytes ? size : max_bytes - bytes;
            bool failed = false;
            op->deliveries[op->count++] = (FlowDeliveryInfo){
                .id = (uint64_t)sqlite3_column_int64(s, 0),
                .payload_id = flow_sqlite__result_text(&op->op, s, 1, &failed),
                .body = flow_sqlite__result_blob(&op->op, s, 7, &failed),
                .size = size,
                .push_ns = sqlite3_column_int64(s, 2),
                .redelivered = (uint32_t)sqlite3_column_int64(s, 3),
                .redrives = (uint32_t)sqlite3_column_int64(s, 4),
            };
            if (failed) {
                sqlite3_reset(s);
                return flow_sqlite__no_memory(self);
            }
        }
        if (code < 0)
            return FAULT;
        sqlite3_reset(s);
        from = last + 1;
    }
    return DONE;
}

bool flow_sqlite__remove_range(SqliteStore *self, uint64_t first, uint64_t last)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_BODIES);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, (int64_t)first);
    sqlite3_bind_int64(s, 2, (int64_t)last);
    int code;
    while ((code = flow_sqlite__step(self, s)) == SQLITE_ROW)
        for (int64_t n = sqlite3_column_int64(s, 1); n > 0; n--)
            flow_sqlite__body_release(self, sqlite3_column_int64(s, 0));
    if (code < 0)
        return false;
    sqlite3_reset(s);
    if ((s = flow_sqlite__statement(self, SQL_DELIVERY_DELETE)) == NULL)
        return false;
    sqlite3_bind_int64(s, 1, (int64_t)first);
    sqlite3_bind_int64(s, 2, (int64_t)last);
    return flow_sqlite__run(self, s);
}

Result flow_sqlite__purge(SqliteStore *self, FlowStorePurge *op)
{
    op->removed = 0;
    SqliteQueue *queue = flow_sqlite__queue_find(self, op->queue);
    if (queue == NULL)
        return no_queue(&op->op, op->queue);
    if (!flow_sqlite__flush_deliveries(self))
        return FAULT;
    uint64_t from = first_key(queue), last;
    while (flow_sqlite__free_range(queue, &from, last_key(queue), &last)) {
        if (!flow_sqlite__remove_range(self, from, last))
            return FAULT;
        from = last + 1;
    }
    flow_sqlite__queue_touch(self, queue);
    flow_sqlite__drop_window(self, queue);
    queue->refill_seq = queue->now.next_seq;
    op->removed = queue->now.queued;
    queue->now.removed += queue->now.queued;
    queue->now.queued = queue->now.bytes = 0;
    return DONE;
}

/* ---- remove and move ------------------------------------------------------------------------------------ */

typedef VECTOR(SqliteDelivery *) Deliveries;

static int by_id(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Those of `ids` that are queued here, in the order given, each once. */
static bool find_queued(SqliteStore *self, SqliteQueue *queue, const uint64_t *ids, size_t count,
                        Deliveries *found)
{
    uint64_t *seen = flow_calloc(count + 1, sizeof *seen);
    memcpy(seen, ids, count * sizeof *seen);
    qsort(seen, count, sizeof *seen, by_id);
    bool *taken = flow_calloc(count + 1, sizeof *taken), ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        uint64_t *at = bsearch(&ids[i], seen, count, sizeof *seen, by_id), from = ids[i], last;
        while (at > seen && at[-1] == *at)
            at--;
        if (taken[at - seen] || ids[i] < first_key(queue) || ids[i] > last_key(queue) ||
            !flow_sqlite__free_range(queue, &from, ids[i], &last))
            continue;
        taken[at - seen] = true;
        sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_READ);
        int code = -1;
        if (s != NULL) {
            sqlite3_bind_int64(s, 1, (int64_t)ids[i]);
            sqlite3_bind_int64(s, 2, (int64_t)ids[i]);
            sqlite3_bind_int64(s, 3, 1);
            code = flow_sqlite__step(self, s);
        }
        SqliteDelivery *delivery = code == SQLITE_ROW ? flow_sqlite__delivery_read(self, queue, s) : NULL;
        if (delivery != NULL)
            VECTOR_PUSH(*found, delivery);
        ok = code == SQLITE_DONE || delivery != NULL;
        if (s != NULL)
            sqlite3_reset(s);
    }
    free(seen);
    free(taken);
    return ok;
}

static Result remove_found(SqliteStore *self, FlowStoreRemove *op, SqliteQueue *queue,
                           const Deliveries *found)
{
    SqliteQueue *target = op->move_to != NULL ? sqlite_queue(op->move_to) : NULL;
    uint64_t bytes = 0;
    for (size_t i = 0; i < found->count; i++)
        bytes += found->items[i]->size;
    if (found->count == 0)
        return DONE;
    if (target != NULL && target != queue) {
        const QueueState *q = &target->now;
        if (found->count > q->max_items || q->queued > q->max_items - found->count || bytes > q->max_bytes ||
            q->bytes > q->max_bytes - bytes)
            return flow_sqlite__queue_full(&op->op, target, found->count, bytes);
        Result failed;
        if (q->number == 0 &&
            !flow_sqlite__make_queue(self, target, FLOW_QUEUE_NAMED, "", "", &op->op, &failed))
            return failed;
    }
    flow_sqlite__queue_touch(self, queue);
    int64_t now_ns = flow_clock_wall_ns(self->clock);
    for (size_t i = 0; i < found->count; i++) {
        SqliteDelivery *delivery = found->items[i];
        const FlowDelivery *d = &delivery->base.base;
        FlowStoreItem item = {.payload_id = d->payload_id, .body = d->body, .redrives = d->redrives};
        if (target != NULL)
            flow_sqlite__push_one(self, target, &item, now_ns, delivery);
        if (!flow_sqlite__remove_range(self, d->id, d->id))
            return FAULT;
        queue->now.queued--;
        queue->now.bytes -= delivery->size;
        queue->now.removed++;
        queue->now.moved_out += target != NULL;
    }
    flow_sqlite__drop_window(self, queue); /* some of what it held is gone */
    op->removed = found->count;
    return DONE;
}

Result flow_sqlite__remove(SqliteStore *self, FlowStoreRemove *op)
{
    op->removed = 0;
    SqliteQueue *queue = flow_sqlite__queue_find(self, op->queue);
    if (queue == NULL)
        return no_queue(&op->op, op->queue);
    Deliveries found = {0};
    Result result = FAULT;
    if (flow_sqlite__flush_deliveries(self) && find_queued(self, queue, op->ids, op->count, &found))
        result = remove_found(self, op, queue, &found);
    for (size_t i = 0; i < found.count; i++)
        flow_delivery_unref(&found.items[i]->base.base);
    free(found.items);
    return result;
}

void flow_sqlite__sweep_queues(SqliteStore *self)
{
    VECTOR(SqliteQueue *) unknown = {0};
    pthread_mutex_lock(&self->base.queue_lock);
    for (FlowMapEntry *e = NULL; (e = flow_map_next(&self->base.queues, e));) {
        SqliteQueue *queue = e->value;
        if (queue->now.number == 0 && !queue->dirty && atomic_load(&queue->base.refs) == 0 &&
            flow_list_empty(&queue->takes) && flow_list_empty(&queue->waiting_loops) &&
            flow_list_empty(&queue->untils))
            VECTOR_PUSH(unknown, queue);
    }
    for (size_t i = 0; i < unknown.count; i++) {
        SqliteQueue *queue = unknown.items[i];
        flow_map_remove(&self->base.queues, queue->base.name, strlen(queue->base.name));
        free(queue->base.name);
        flow_sqlite__queue_free(&queue->base);
    }
    pthread_mutex_unlock(&self->base.queue_lock);
    free(unknown.items);
}
