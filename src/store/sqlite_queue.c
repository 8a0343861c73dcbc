/*
 * sqlite_queue.c - queues in memory: the head of each line, what is in flight, and the rows that stand for it.
 */
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

static SqliteDelivery **window_at(SqliteQueue *queue, uint32_t index)
{
    return &queue->window[(queue->window_first + index) & (queue->window_capacity - 1)];
}

static size_t memory_of(const SqliteDelivery *delivery)
{
    return sizeof *delivery + delivery->size;
}

/* Takes over the store's reference. */
static void window_insert(SqliteStore *self, SqliteQueue *queue, SqliteDelivery *delivery, bool at_front)
{
    if (queue->window_count == queue->window_capacity) {
        uint32_t capacity = queue->window_capacity != 0 ? queue->window_capacity * 2 : 64;
        SqliteDelivery **larger = flow_calloc(capacity, sizeof *larger);
        for (uint32_t i = 0; i < queue->window_count; i++)
            larger[i] = *window_at(queue, i);
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
    *window_at(queue, at_front ? 0 : queue->window_count - 1) = delivery;
    /* What comes back goes to its old place; with one reader that is the front, and the loop ends at once. */
    for (uint32_t i = 0; at_front && i + 1 < queue->window_count; i++) {
        SqliteDelivery **here = window_at(queue, i), **next = window_at(queue, i + 1);
        if ((*here)->base.base.id < (*next)->base.base.id)
            break;
        SqliteDelivery *swapped = *here;
        *here = *next;
        *next = swapped;
    }
}

static SqliteDelivery *window_pop(SqliteStore *self, SqliteQueue *queue)
{
    SqliteDelivery *delivery = *window_at(queue, 0);
    queue->window_first = (queue->window_first + 1) & (queue->window_capacity - 1);
    queue->window_count--;
    delivery->in_window = false;
    self->window_bytes -= memory_of(delivery);
    return delivery;
}

void flow_sqlite__drop_window(SqliteStore *self, SqliteQueue *queue)
{
    while (queue->window_count != 0) {
        SqliteDelivery *delivery = window_pop(self, queue);
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

static bool refill(SqliteStore *self, SqliteQueue *queue)
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
            window_insert(self, queue, delivery, false);
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

/* ---- deliveries ----------------------------------------------------------------------------------------- */

void flow_sqlite__delivery_touch(SqliteStore *self, SqliteDelivery *delivery)
{
    flow_delivery_ref(&delivery->base.base);
    VECTOR_PUSH(self->undo, (Undo){delivery, delivery->state, delivery->owner, delivery->reservation});
}

static void reservation_touch(SqliteStore *self, Reservation *r)
{
    if (r->dirty)
        return;
    r->dirty = true;
    r->before = r->now;
    r->stored_before = r->stored_last;
    r->next_dirty = self->dirty_reservations;
    self->dirty_reservations = r;
}

static Reservation *reservation_new(SqliteStore *self, SqliteLoop *loop, SqliteQueue *queue, uint64_t key)
{
    Reservation *r = flow_new(Reservation);
    r->loop = loop;
    r->queue = queue;
    r->first = key;
    r->now.last = key;
    flow_list_push_back(&queue->reservations, &r->queue_link);
    reservation_touch(self, r); /* before: live 0, not stored: undoing frees it */
    r->before.live = 0;
    return r;
}

/* Is `r` the one whose last key is the highest that was ever taken and may still exist? */
static bool is_highest(SqliteQueue *queue, const Reservation *r)
{
    FLOW_LIST_FOR_EACH(link, &queue->reservations)
    {
        const Reservation *other = flow_list_entry(link, Reservation, queue_link);
        if (other != r && other->now.live != 0 && other->now.last > r->now.last)
            return false;
    }
    return true;
}

/*
 * The delivery is the first of the line. A reservation may be extended to it when nothing that exists lies
 * between: directly behind its last key, or behind the highest key that was taken (what lies between that and
 * the first of the line is gone).
 */
static Reservation *reserve(SqliteStore *self, SqliteLoop *loop, SqliteQueue *queue, Reservation *previous,
                            uint64_t key)
{
    Reservation *r = queue->newest != NULL && queue->newest->loop == loop && key > queue->newest->now.last
                         ? queue->newest
                         : previous;
    if (r == NULL || (r != queue->newest && r->now.last + 1 != key)) {
        r = reservation_new(self, loop, queue, key);
        if (is_highest(queue, r))
            queue->newest = r;
    }
    reservation_touch(self, r);
    r->now.last = key;
    r->now.live++;
    return r;
}

Result flow_sqlite__serve_take(SqliteStore *self, FlowStoreTake *take)
{
    SqliteQueue *queue = sqlite_queue(take->queue);
    SqliteLoop *loop = (SqliteLoop *)take->owner;
    size_t bytes = 0, max_bytes = take->max_bytes != 0 ? take->max_bytes : (size_t)4 << 20;
    Reservation *previous = NULL;
    take->count = 0;
    if (queue->now.number == 0 || queue->now.paused)
        return DONE;
    while (take->count < take->max && queue->now.queued != 0) {
        if (queue->window_count == 0 && !refill(self, queue))
            return FAULT;
        if (queue->window_count == 0)
            return flow_sqlite__fault_text(self, FLOW_DATA_LOSS, "queue %s lacks %llu deliveries",
                                           queue->base.name, (unsigned long long)queue->now.queued);
        SqliteDelivery *delivery = *window_at(queue, 0);
        if (take->count != 0 && delivery->size > max_bytes - bytes)
            break;
        bytes += delivery->size < max_bytes - bytes ? delivery->size : max_bytes - bytes;
        flow_sqlite__queue_touch(self, queue);
        flow_sqlite__delivery_touch(self, delivery);
        window_pop(self, queue);
        delivery->state = IN_FLIGHT;
        delivery->owner = loop;
        atomic_store_explicit(&delivery->base.started, false, memory_order_relaxed);
        delivery->reservation = previous = reserve(self, loop, queue, previous, delivery->base.base.id);
        flow_list_push_back(&loop->in_flight, &delivery->link);
        loop->in_flight_count++;
        queue->now.queued--;
        queue->now.bytes -= delivery->size;
        queue->now.in_flight++;
        take->deliveries[take->count++] = flow_delivery_ref(&delivery->base.base);
    }
    return DONE;
}

void flow_sqlite__park_take(FlowStoreTake *take)
{
    SqliteQueue *queue = sqlite_queue(take->queue);
    take->op.place = IN_QUEUE;
    flow_list_push_back(&queue->takes, &take->op.link);
    ((SqliteLoop *)take->owner)->waiting_takes++;
    atomic_store_explicit(&queue->base.waiting_takes, ++queue->take_count, memory_order_relaxed);
}

void flow_sqlite__unpark_take(FlowStoreTake *take)
{
    SqliteQueue *queue = sqlite_queue(take->queue);
    flow_list_remove(&take->op.link);
    ((SqliteLoop *)take->owner)->waiting_takes--;
    atomic_store_explicit(&queue->base.waiting_takes, --queue->take_count, memory_order_relaxed);
}

void flow_sqlite__drop_taken(FlowStoreTake *take)
{
    while (take->count != 0)
        flow_delivery_unref(take->deliveries[--take->count]);
}

static void leave_owner(SqliteStore *self, SqliteDelivery *delivery)
{
    SqliteQueue *queue = sqlite_queue(delivery->base.base.queue);
    flow_sqlite__queue_touch(self, queue);
    flow_sqlite__delivery_touch(self, delivery);
    flow_list_remove(&delivery->link);
    delivery->owner->in_flight_count--;
    queue->now.in_flight--;
    reservation_touch(self, delivery->reservation);
    delivery->reservation->now.live--;
}

void flow_sqlite__delivery_gone(SqliteStore *self, SqliteDelivery *delivery)
{
    leave_owner(self, delivery);
    delivery->state = GONE;
    if (delivery->body_id != 0)
        flow_sqlite__body_release(self, delivery->body_id);
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = (*(SqliteDelivery *const *)a)->base.base.id, y = (*(SqliteDelivery *const *)b)->base.base.id;
    return x < y ? -1 : x > y;
}

/* `r` may cover no key of what was untaken, [untaken, untaken + count): what it still has is divided anew. */
static void split(SqliteStore *self, Reservation *r, SqliteDelivery *const *untaken, size_t count)
{
    VECTOR(SqliteDelivery *) rest = {0};
    FLOW_LIST_FOR_EACH(link, &r->loop->in_flight)
    {
        SqliteDelivery *delivery = flow_list_entry(link, SqliteDelivery, link);
        if (delivery->reservation == r)
            VECTOR_PUSH(rest, delivery);
    }
    if (rest.count != 0)
        qsort(rest.items, rest.count, sizeof *rest.items, by_key);
    Reservation *group = r;
    size_t u = 0;
    r->now.live = 0;
    for (size_t i = 0; i < rest.count; i++) {
        SqliteDelivery *delivery = rest.items[i];
        uint64_t key = delivery->base.base.id;
        bool gap = false;
        for (; u < count && untaken[u]->base.base.id < key; u++)
            gap = true;
        if (gap)
            group = reservation_new(self, r->loop, r->queue, key);
        if (group != r) {
            flow_sqlite__delivery_touch(self, delivery);
            delivery->reservation = group;
        }
        group->now.last = key;
        group->now.live++;
    }
    if (r->queue->newest == r)
        r->queue->newest = NULL;
    free(rest.items);
}

void flow_sqlite__deliveries_back(SqliteStore *self, SqliteDelivery *const *deliveries, size_t count)
{
    SqliteDelivery **sorted = flow_calloc(count + 1, sizeof *sorted);
    memcpy(sorted, deliveries, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_key);
    for (size_t i = 0; i < count; i++) {
        leave_owner(self, sorted[i]);
        sorted[i]->state = QUEUED;
    }
    for (size_t i = 0, next; i < count; i = next) {
        Reservation *r = sorted[i]->reservation;
        for (next = i + 1; next < count && sorted[next]->reservation == r;)
            next++;
        split(self, r, sorted + i, next - i);
    }
    /* From the last to the first, each to the front: with one reader that is already the right order. */
    for (size_t i = count; i-- > 0;) {
        SqliteDelivery *delivery = sorted[i];
        SqliteQueue *queue = sqlite_queue(delivery->base.base.queue);
        queue->now.queued++;
        queue->now.bytes += delivery->size;
        if ((delivery->base.base.id & SEQ_MAX) < queue->refill_seq) {
            window_insert(self, queue, delivery, true);
        } else {
            delivery->released = true; /* it will be read from the disk, as another object */
            flow_delivery_unref(&delivery->base.base);
        }
    }
    free(sorted);
}

/* ---- writing, undoing ----------------------------------------------------------------------------------- */

static bool delete_range(SqliteStore *self, uint64_t first, uint64_t last)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_DELETE);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, (int64_t)first);
    sqlite3_bind_int64(s, 2, (int64_t)last);
    return flow_sqlite__run(self, s);
}

static bool insert_row(SqliteStore *self, SqliteDelivery *delivery)
{
    const FlowDelivery *d = &delivery->base.base;
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_INSERT);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, (int64_t)d->id);
    flow_sqlite__bind_text(s, 2, d->payload_id);
    sqlite3_bind_int64(s, 3, d->push_ns);
    sqlite3_bind_int64(s, 4, d->redelivered);
    sqlite3_bind_int64(s, 5, d->redrives);
    sqlite3_bind_int64(s, 6, (int64_t)delivery->size);
    if (delivery->body_id != 0) {
        sqlite3_bind_int64(s, 7, delivery->body_id);
        sqlite3_bind_null(s, 8);
    } else {
        sqlite3_bind_null(s, 7);
        flow_sqlite__bind_blob(s, 8, d->body);
    }
    return flow_sqlite__run(self, s);
}

static bool write_reservation(SqliteStore *self, Reservation *r)
{
    uint64_t wanted = r->now.live != 0 ? r->now.last : 0;
    if (r->stored_last == wanted)
        return true;
    sqlite3_stmt *s =
        flow_sqlite__statement(self, wanted != 0 ? SQL_RESERVATION_SET : SQL_RESERVATION_DELETE);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, (int64_t)r->first);
    if (wanted != 0) {
        sqlite3_bind_int64(s, 2, (int64_t)wanted);
        sqlite3_bind_int64(s, 3, r->loop->number);
    }
    r->stored_last = wanted;
    return flow_sqlite__run(self, s);
}

bool flow_sqlite__flush_deliveries(SqliteStore *self)
{
    /* Deleting first leaves free pages for what is inserted: the commit writes fewer of them. */
    uint64_t first = 1, last = 0;
    for (; self->flushed < self->undo.count; self->flushed++) {
        const Undo *undo = &self->undo.items[self->flushed];
        if (undo->delivery->state != GONE || undo->state != IN_FLIGHT)
            continue;
        uint64_t key = undo->delivery->base.base.id;
        if (first <= last && key == last + 1) {
            last = key;
            continue;
        }
        if (first <= last && !delete_range(self, first, last))
            return false;
        first = last = key;
    }
    if (first <= last && !delete_range(self, first, last))
        return false;
    if (!flow_sqlite__flush_body_deletes(self))
        return false;
    for (size_t i = 0; i < self->inserts.count; i++)
        if (self->inserts.items[i]->state != GONE && !insert_row(self, self->inserts.items[i]))
            return false;
    if (!flow_sqlite__flush_body_inserts(self))
        return false;
    for (size_t i = 0; i < self->inserts.count; i++)
        flow_delivery_unref(&self->inserts.items[i]->base.base);
    self->inserts.count = 0;
    for (Reservation *r = self->dirty_reservations; r != NULL; r = r->next_dirty)
        if (!write_reservation(self, r))
            return false;
    return true;
}

void flow_sqlite__undo_deliveries(SqliteStore *self)
{
    for (size_t i = self->undo.count; i-- > 0;) {
        Undo *undo = &self->undo.items[i];
        SqliteDelivery *delivery = undo->delivery;
        bool was_listed = undo->state == IN_FLIGHT, is_listed = delivery->state == IN_FLIGHT;
        if (is_listed && (!was_listed || undo->owner != delivery->owner)) {
            flow_list_remove(&delivery->link);
            delivery->owner->in_flight_count--;
            is_listed = false;
        }
        if (was_listed && !is_listed) {
            flow_list_push_back(&undo->owner->in_flight, &delivery->link);
            undo->owner->in_flight_count++;
        }
        delivery->state = undo->state;
        delivery->owner = undo->owner;
        delivery->reservation = undo->reservation;
    }
    for (size_t i = 0; i < self->undo.count; i++) {
        SqliteDelivery *delivery = self->undo.items[i].delivery;
        if (delivery->state == QUEUED && !delivery->in_window && !delivery->released) {
            delivery->released = true; /* nobody holds it for the store: the disk has it, as before */
            flow_delivery_unref(&delivery->base.base);
        } else if (delivery->state == IN_FLIGHT && delivery->released) {
            delivery->released = false;
            flow_delivery_ref(&delivery->base.base);
        }
    }
    for (size_t i = 0; i < self->inserts.count; i++)
        flow_delivery_unref(&self->inserts.items[i]->base.base);
    self->inserts.count = 0;
    for (SqliteQueue *queue = self->dirty_queues; queue != NULL; queue = queue->next_dirty) {
        flow_sqlite__drop_window(self, queue);
        queue->newest = NULL;
    }
    for (size_t i = 0; i < self->undo.count; i++)
        flow_delivery_unref(&self->undo.items[i].delivery->base.base);
    self->undo.count = self->flushed = 0;
    for (Reservation *r = self->dirty_reservations, *next; r != NULL; r = next) {
        next = r->next_dirty;
        r->dirty = false;
        r->now = r->before;
        r->stored_last = r->stored_before;
        if (r->now.live == 0) {
            flow_list_remove(&r->queue_link);
            free(r);
        }
    }
    self->dirty_reservations = NULL;
    flow_sqlite__undo_bodies(self);
}

void flow_sqlite__forget_undo(SqliteStore *self)
{
    for (size_t i = 0; i < self->undo.count; i++) {
        SqliteDelivery *delivery = self->undo.items[i].delivery;
        if (delivery->state == GONE && !delivery->released) {
            delivery->released = true;
            flow_delivery_unref(&delivery->base.base);
        }
    }
    for (size_t i = 0; i < self->undo.count; i++)
        flow_delivery_unref(&self->undo.items[i].delivery->base.base);
    self->undo.count = self->flushed = 0;
    for (Reservation *r = self->dirty_reservations, *next; r != NULL; r = next) {
        next = r->next_dirty;
        r->dirty = false;
        if (r->now.live == 0) {
            if (r->queue->newest == r)
                r->queue->newest = NULL;
            flow_list_remove(&r->queue_link);
            free(r);
        }
    }
    self->dirty_reservations = NULL;
    flow_sqlite__forget_body_uses(self);
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
        window_insert(self, queue, delivery, false);
    } else {
        flow_delivery_unref(&delivery->base.base);
    }
    return delivery;
}
