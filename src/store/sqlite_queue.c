/* sqlite_queue.c - queues in memory, and the head of each line. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_internal.h"

enum { REFILL_ITEMS = 512, REFILL_BYTES = 4 << 20 };

/* ---- queues --------------------------------------------------------------------------------------------- */

FlowStoreQueue *flow_sqlite__queue_new(FlowStore *store, const char *name)
{
    (void)name;
    SqliteQueue *queue = flow_new(SqliteQueue);
    flow_list_init(&queue->reservations);
    flow_list_init(&queue->takes);
    flow_list_init(&queue->waiting_loops);
    flow_list_init(&queue->untils);
    queue->now.max_items = store->options.queue_max_items;
    queue->now.max_bytes = store->options.queue_max_bytes;
    atomic_init(&queue->base.max_items, queue->now.max_items);
    atomic_init(&queue->base.max_bytes, queue->now.max_bytes);
    return &queue->base;
}

void flow_sqlite__queue_free(FlowStoreQueue *base)
{
    SqliteQueue *queue = sqlite_queue(base);
    FLOW_LIST_FOR_EACH(link, &queue->reservations)
    free(flow_list_entry(link, Reservation, queue_link));
    free(queue->window);
    free(queue);
}

SqliteQueue *flow_sqlite__queue_find(SqliteStore *self, const char *name)
{
    pthread_mutex_lock(&self->base.queue_lock);
    FlowStoreQueue *queue = flow_map_find(&self->base.queues, flow_store__text(name));
    pthread_mutex_unlock(&self->base.queue_lock);
    return queue != NULL && sqlite_queue(queue)->now.number != 0 ? sqlite_queue(queue) : NULL;
}

void flow_sqlite__queue_touch(SqliteStore *self, SqliteQueue *queue)
{
    if (queue->dirty)
        return;
    queue->dirty = true;
    queue->before = queue->now;
    queue->next_dirty = self->dirty_queues;
    self->dirty_queues = queue;
}

void flow_sqlite__queue_publish(SqliteQueue *queue)
{
    FlowStoreQueue *view = &queue->base;
    atomic_store_explicit(&view->queued, queue->now.queued, memory_order_relaxed);
    atomic_store_explicit(&view->bytes, queue->now.bytes, memory_order_relaxed);
    atomic_store_explicit(&view->in_flight, queue->now.in_flight, memory_order_relaxed);
    atomic_store_explicit(&view->max_items, queue->now.max_items, memory_order_relaxed);
    atomic_store_explicit(&view->max_bytes, queue->now.max_bytes, memory_order_relaxed);
    atomic_store_explicit(&view->paused, queue->now.paused, memory_order_relaxed);
}

bool flow_sqlite__make_queue(SqliteStore *self, SqliteQueue *queue, FlowQueueKind kind,
                             const char *workflow_id, const char *short_name, FlowStoreOp *op,
                             Result *ret_failed)
{
    *ret_failed = FAULT;
    /* Numbers of deleted queues are used again, behind their last sequence number: delivery ids never repeat. */
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_NUMBER_TAKE);
    int code = s != NULL ? flow_sqlite__step(self, s) : -1;
    if (code < 0)
        return false;
    int64_t number = 0;
    uint64_t next_seq = 1;
    if (code == SQLITE_ROW) {
        number = sqlite3_column_int64(s, 0);
        next_seq = (uint64_t)sqlite3_column_int64(s, 1);
    }
    if (!flow_sqlite__run(self, s))
        return false;
    if (number == 0 && self->last_queue_number == QUEUE_NUMBER_MAX) {
        *ret_failed = flow_sqlite__refuse(op, FLOW_RESOURCE_EXHAUSTED, "TOO_MANY_QUEUES", queue->base.name,
                                          "the store has %d queues already: delete some", QUEUE_NUMBER_MAX);
        return false;
    }
    if (number == 0)
        number = ++self->last_queue_number; /* one that a failed commit leaves unused is no loss */
    if ((s = flow_sqlite__statement(self, SQL_QUEUE_INSERT)) == NULL)
        return false;
    uint64_t max_items = self->base.options.queue_max_items, max_bytes = self->base.options.queue_max_bytes;
    sqlite3_bind_int64(s, 1, number);
    flow_sqlite__bind_text(s, 2, queue->base.name);
    sqlite3_bind_int(s, 3, (int)kind);
    flow_sqlite__bind_text(s, 4, workflow_id);
    flow_sqlite__bind_text(s, 5, short_name);
    sqlite3_bind_int64(s, 6, (int64_t)next_seq);
    sqlite3_bind_int64(s, 7, (int64_t)max_items);
    sqlite3_bind_int64(s, 8, (int64_t)max_bytes);
    if (!flow_sqlite__run(self, s))
        return false;
    flow_sqlite__queue_touch(self, queue);
    queue->now =
        (QueueState){.number = number, .next_seq = next_seq, .max_items = max_items, .max_bytes = max_bytes};
    queue->refill_seq = next_seq;
    return true;
}

/* ---- the window ----------------------------------------------------------------------------------------- */

SqliteDelivery **flow_sqlite__window_at(SqliteQueue *queue, uint32_t index)
{
    return &queue->window[(queue->window_first + index) & (queue->window_capacity - 1)];
}

static size_t memory_of(const SqliteDelivery *delivery)
{
    return sizeof *delivery + delivery->size;
}

void flow_sqlite__window_insert(SqliteStore *self, SqliteQueue *queue, SqliteDelivery *delivery,
                                bool at_front)
{
    if (queue->window_count == queue->window_capacity) {
        uint32_t capacity = queue->window_capacity != 0 ? queue->window_capacity * 2 : 64;
        SqliteDelivery **larger = flow_calloc(capacity, sizeof *larger);
        for (uint32_t i = 0; i < queue->window_count; i++)
            larger[i] = *flow_sqlite__window_at(queue, i);
        free(queue->window);
        queue->window = larger;
        queue->window_first = 0;
        queue->window_capacity = capacity;
    }
    delivery->in_window = true;
    self->window_bytes += memory_of(delivery);
    if (at_front)
        queue->window_first = (queue->window_first - 1) & (queue->window_capacity - 1);
    queue->window_count++;
    *flow_sqlite__window_at(queue, at_front ? 0 : queue->window_count - 1) = delivery;
    /* What comes back goes to its old place; with one reader that is the front, and the loop ends at once. */
    for (uint32_t i = 0; at_front && i + 1 < queue->window_count; i++) {
        SqliteDelivery **here = flow_sqlite__window_at(queue, i),
                       **next = flow_sqlite__window_at(queue, i + 1);
        if ((*here)->base.base.id < (*next)->base.base.id)
            break;
        SqliteDelivery *swapped = *here;
        *here = *next;
        *next = swapped;
    }
}

SqliteDelivery *flow_sqlite__window_pop(SqliteStore *self, SqliteQueue *queue)
{
    SqliteDelivery *delivery = *flow_sqlite__window_at(queue, 0);
    queue->window_first = (queue->window_first + 1) & (queue->window_capacity - 1);
    queue->window_count--;
    delivery->in_window = false;
    self->window_bytes -= memory_of(delivery);
    return delivery;
}

void flow_sqlite__drop_window(SqliteStore *self, SqliteQueue *queue)
{
    while (queue->window_count != 0) {
        SqliteDelivery *delivery = flow_sqlite__window_pop(self, queue);
        if (delivery->state != QUEUED)
            continue; /* an untake that is undone: the reference is the in-flight list's again */
        delivery->released = true;
        flow_delivery_unref(&delivery->base.base);
    }
    queue->refill_seq = 0;
}

static SqliteDelivery *delivery_new(SqliteQueue *queue, uint64_t id, const char *payload_id,
                                    FlowBlob *body_take)
{
    size_t len = strlen(payload_id);
    SqliteDelivery *delivery = flow_malloc(sizeof *delivery + len + 1);
    memset(delivery, 0, sizeof *delivery);
    memcpy(delivery->payload_id, payload_id, len + 1);
    atomic_init(&delivery->base.refs, 1);
    delivery->base.base.id = id;
    delivery->base.base.payload_id = delivery->payload_id;
    delivery->base.base.body = body_take;
    delivery->base.base.queue = &queue->base;
    delivery->state = QUEUED;
    flow_list_init(&delivery->link);
    return delivery;
}

SqliteDelivery *flow_sqlite__delivery_read(SqliteStore *self, SqliteQueue *queue, sqlite3_stmt *row)
{
    bool failed = false;
    FlowBlob *body = flow_sqlite__blob(row, 7, &failed);
    if (body == NULL) {
        if (failed)
            flow_sqlite__no_memory(self);
        else
            flow_sqlite__fault_text(self, FLOW_DATA_LOSS, "delivery %lld of queue %s has lost its body",
                                    (long long)sqlite3_column_int64(row, 0), queue->base.name);
        return NULL;
    }
    SqliteDelivery *delivery =
        delivery_new(queue, (uint64_t)sqlite3_column_int64(row, 0), flow_sqlite__text(row, 1), body);
    delivery->base.base.push_ns = sqlite3_column_int64(row, 2);
    delivery->base.base.redelivered = (uint32_t)sqlite3_column_int64(row, 3);
    delivery->base.base.redrives = (uint32_t)sqlite3_column_int64(row, 4);
    delivery->size = (uint64_t)sqlite3_column_int64(row, 5);
    delivery->body_id = sqlite3_column_int64(row, 6);
    return delivery;
}

bool flow_sqlite__free_range(SqliteQueue *queue, uint64_t *from, uint64_t end, uint64_t *ret_last)
{
    bool moved;
    do {
        moved = false;
        FLOW_LIST_FOR_EACH(link, &queue->reservations)
        {
            Reservation *r = flow_list_entry(link, Reservation, queue_link);
            if (r->now.live != 0 && r->first <= *from && *from <= r->now.last) {
                *from = r->now.last + 1;
                moved = true;
            }
        }
    } while (moved);
    *ret_last = end;
    FLOW_LIST_FOR_EACH(link, &queue->reservations)
    {
        Reservation *r = flow_list_entry(link, Reservation, queue_link);
        if (r->now.live != 0 && r->first > *from && r->first <= *ret_last)
            *ret_last = r->first - 1;
    }
    return *from <= end;
}

bool flow_sqlite__refill(SqliteStore *self, SqliteQueue *queue)
{
    if (!flow_sqlite__flush_deliveries(self))
        return false;
    uint64_t from = delivery_key(queue->now.number, queue->refill_seq);
    uint64_t end = delivery_key(queue->now.number, queue->now.next_seq - 1), last;
    uint32_t room = REFILL_ITEMS;
    size_t bytes = 0;
    while (room != 0 && bytes < REFILL_BYTES && flow_sqlite__free_range(queue, &from, end, &last)) {
        sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_READ);
        if (s == NULL)
            return false;
        sqlite3_bind_int64(s, 1, (int64_t)from);
        sqlite3_bind_int64(s, 2, (int64_t)last);
        sqlite3_bind_int64(s, 3, room);
        int code;
        from = last + 1; /* unless there is more than fits */
        while ((code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
            SqliteDelivery *delivery = flow_sqlite__delivery_read(self, queue, s);
            if (delivery == NULL) {
                sqlite3_reset(s);
                return false;
            }
            flow_sqlite__window_insert(self, queue, delivery, false);
            bytes += delivery->size;
            if (--room == 0 || bytes >= REFILL_BYTES) {
                from = delivery->base.base.id + 1;
                break;
            }
        }
        if (code < 0)
            return false;
        sqlite3_reset(s);
    }
    queue->refill_seq = from > end ? queue->now.next_seq : from & SEQ_MAX;
    return true;
}

SqliteDelivery *flow_sqlite__push_one(SqliteStore *self, SqliteQueue *queue, const FlowStoreItem *item,
                                      int64_t now_ns, const SqliteDelivery *like)
{
    flow_sqlite__queue_touch(self, queue);
    uint64_t seq = queue->now.next_seq++;
    SqliteDelivery *delivery = delivery_new(queue, delivery_key(queue->now.number, seq),
                                            flow_store__text(item->payload_id), flow_blob_ref(item->body));
    delivery->base.base.push_ns = now_ns;
    delivery->base.base.redrives = item->redrives;
    delivery->size = flow_blob_len(item->body);
    if (delivery->size >= OWN_BODY_BYTES && like != NULL && like->base.base.body == item->body)
        flow_sqlite__body_use(self, delivery, like);
    queue->now.pushed++;
    queue->now.queued++;
    queue->now.bytes += delivery->size;
    self->batch_bytes += delivery->size;
    flow_delivery_ref(&delivery->base.base);
    VECTOR_PUSH(self->inserts, delivery);
    if (queue->refill_seq == seq && self->window_bytes < self->base.options.memory_bytes) {
        queue->refill_seq = seq + 1;
        flow_sqlite__window_insert(self, queue, delivery, false);
    } else {
        flow_delivery_unref(&delivery->base.base);
    }
    return delivery;
}
