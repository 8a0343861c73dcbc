/*
 * sqlite_delivery.c - deliveries on their way: taken, given back, gone; the reservations that stand for those in
 * flight; writing all that a transaction has changed, and undoing it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_internal.h"

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
        if (queue->window_count == 0 && !flow_sqlite__refill(self, queue))
            return FAULT;
        if (queue->window_count == 0)
            return flow_sqlite__fault_text(self, FLOW_DATA_LOSS, "queue %s lacks %llu deliveries",
                                           queue->base.name, (unsigned long long)queue->now.queued);
        SqliteDelivery *delivery = *flow_sqlite__window_at(queue, 0);
        if (take->count != 0 && delivery->size > max_bytes - bytes)
            break;
        bytes += delivery->size < max_bytes - bytes ? delivery->size : max_bytes - bytes;
        flow_sqlite__queue_touch(self, queue);
        flow_sqlite__delivery_touch(self, delivery);
        flow_sqlite__window_pop(self, queue);
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
            flow_sqlite__window_insert(self, queue, delivery, true);
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
