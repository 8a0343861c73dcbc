/* sqlite_settle.c - push, take, untake and the settle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_internal.h"

bool flow_sqlite__check_item(FlowStoreOp *op, const FlowStoreItem *item, const char *where, size_t index)
{
    bool body_ok = item->body != NULL && flow_blob_len(item->body) <= BODY_MAX;
    if (body_ok && (item->payload_id == NULL || strlen(item->payload_id) <= FLOW_STORE_NAME_MAX))
        return true;
    char at[64];
    snprintf(at, sizeof at, "%s[%zu]", where, index);
    if (body_ok)
        flow_sqlite__refuse(op, FLOW_INVALID_ARGUMENT, "ID_INVALID", at,
                            "a payload's id has more than %d bytes", FLOW_STORE_NAME_MAX);
    else
        flow_sqlite__refuse(op, FLOW_INVALID_ARGUMENT, "BODY_INVALID", at,
                            "a payload has no body, or more than %d bytes", BODY_MAX);
    return false;
}

static Result exhausted(FlowStoreOp *op, const SqliteQueue *queue)
{
    return flow_sqlite__refuse(
        op, FLOW_RESOURCE_EXHAUSTED, "QUEUE_WORN_OUT", queue->base.name,
        "queue %.200s has numbered 2^43 deliveries: empty it, delete it and use it anew", queue->base.name);
}

Result flow_sqlite__queue_full(FlowStoreOp *op, const SqliteQueue *queue, size_t count, uint64_t bytes)
{
    const QueueState *q = &queue->now;
    return flow_sqlite__refuse(
        op, FLOW_RESOURCE_EXHAUSTED, "QUEUE_FULL", queue->base.name,
        "queue %.200s has no room for %zu more (%llu bytes): it holds %llu of %llu items and %llu "
        "of %llu bytes; try again when its readers have caught up, or raise its bounds",
        queue->base.name, count, (unsigned long long)bytes, (unsigned long long)q->queued,
        (unsigned long long)q->max_items, (unsigned long long)q->bytes, (unsigned long long)q->max_bytes);
}

Result flow_sqlite__push(SqliteStore *self, FlowStorePush *op)
{
    SqliteQueue *queue = sqlite_queue(op->queue);
    uint64_t bytes = 0;
    Request request;
    op->replayed = false;
    if (!self->balanced)
        return flow_sqlite__unbalanced(self, &op->op);
    if (op->queue == NULL || op->count == 0)
        return flow_sqlite__refuse(&op->op, FLOW_INVALID_ARGUMENT, "PUSH_EMPTY",
                                   op->queue == NULL ? "queue" : "items",
                                   "a push needs a queue and at least one payload");
    for (size_t i = 0; i < op->count; i++) {
        if (!flow_sqlite__check_item(&op->op, &op->items[i], "items", i))
            return REFUSED;
        bytes += flow_blob_len(op->items[i].body);
    }
    bool idempotent = flow_store__text(op->request_id)[0] != '\0';
    if (idempotent) {
        Result result = flow_sqlite__request_find(self, &op->op, REQUEST_PUSH, op->request_id,
                                                  op->request_hash, &request);
        if (result != DONE)
            return result;
        if (request.found) {
            op->first_id = request.number;
            op->replayed = true;
            return DONE;
        }
    }
    const QueueState *q = &queue->now;
    if (!op->ignore_bounds && (op->count > q->max_items || q->queued > q->max_items - op->count ||
                               bytes > q->max_bytes || q->bytes > q->max_bytes - bytes))
        return flow_sqlite__queue_full(&op->op, queue, op->count, bytes);
    if (op->count >= SEQ_MAX - q->next_seq)
        return exhausted(&op->op, queue);
    Result failed;
    if (q->number == 0 && !flow_sqlite__make_queue(self, queue, FLOW_QUEUE_NAMED, "", "", &op->op, &failed))
        return failed;
    int64_t now_ns = flow_clock_wall_ns(self->clock);
    op->first_id = delivery_key(q->number, q->next_seq);
    const SqliteDelivery *last = NULL;
    for (size_t i = 0; i < op->count; i++)
        last = flow_sqlite__push_one(self, queue, &op->items[i], now_ns, last);
    atomic_fetch_add_explicit(&self->pushed, op->count, memory_order_relaxed);
    if (idempotent &&
        !flow_sqlite__request_keep(self, REQUEST_PUSH, op->request_id, op->request_hash, op->first_id, ""))
        return FAULT;
    return DONE;
}

Result flow_sqlite__fenced(FlowStoreOp *op, const SqliteLoop *loop)
{
    return flow_sqlite__refuse(
        op, FLOW_ABORTED, "FENCED", loop->producer_node_id,
        "loop %.100s of run %.100s has another owner by now (this one's epoch is %lld)",
        loop->producer_node_id, loop->run_id, (long long)loop->epoch);
}

Result flow_sqlite__take(SqliteStore *self, FlowStoreTake *op)
{
    SqliteLoop *loop = (SqliteLoop *)op->owner;
    op->count = 0;
    if (loop->fenced)
        return flow_sqlite__fenced(&op->op, loop);
    if (op->max == 0 || op->max > FLOW_STORE_TAKE_MAX)
        return flow_sqlite__refuse(&op->op, FLOW_INVALID_ARGUMENT, "TAKE_SIZE", "max",
                                   "take 1 to %d deliveries at a time", FLOW_STORE_TAKE_MAX);
    Result result = flow_sqlite__serve_take(self, op);
    if (result != DONE || op->count != 0 || !op->wait)
        return result;
    flow_sqlite__park_take(op);
    return PARKED;
}

static Result not_in_flight(FlowStoreOp *op, const FlowDelivery *delivery, const char *why)
{
    return flow_sqlite__refuse(op, FLOW_FAILED_PRECONDITION, "NOT_IN_FLIGHT", "", "delivery %llu %s",
                               (unsigned long long)delivery->id, why);
}

/* Is it in flight with this loop, and named once? */
static bool owned(SqliteStore *self, SqliteLoop *loop, SqliteDelivery *delivery)
{
    bool ok =
        delivery->state == IN_FLIGHT && delivery->owner == loop && delivery->mark != self->settle_number;
    delivery->mark = self->settle_number;
    return ok;
}

Result flow_sqlite__untake(SqliteStore *self, FlowStoreUntake *op)
{
    SqliteLoop *loop = (SqliteLoop *)op->owner;
    if (loop->fenced)
        return flow_sqlite__fenced(&op->op, loop);
    self->settle_number++;
    for (size_t i = 0; i < op->count; i++) {
        SqliteDelivery *delivery = (SqliteDelivery *)op->deliveries[i];
        if (!owned(self, loop, delivery))
            return not_in_flight(&op->op, op->deliveries[i],
                                 "is not in flight with this loop: it can't be untaken");
        if (atomic_load_explicit(&delivery->base.started, memory_order_relaxed))
            return not_in_flight(&op->op, op->deliveries[i], "was started: it can only be settled");
    }
    flow_sqlite__deliveries_back(self, (SqliteDelivery *const *)op->deliveries, op->count);
    return DONE;
}

/* ---- settle --------------------------------------------------------------------------------------------- */

static Result check(SqliteStore *self, SqliteLoop *loop, FlowStoreSettle *op)
{
    self->settle_number++;
    for (size_t i = 0; i < op->unit_count; i++) {
        const FlowStoreUnit *unit = &op->units[i];
        if (unit->input != NULL && !owned(self, loop, (SqliteDelivery *)unit->input))
            return not_in_flight(&op->op, unit->input,
                                 "is not in flight with this loop: it can't be settled");
        if ((unit->outcome == FLOW_UNIT_DEAD_LETTERED) != (unit->dead_letter != NULL))
            return flow_sqlite__refuse(&op->op, FLOW_INVALID_ARGUMENT, "DEAD_LETTER", "units",
                                       "a unit has a dead letter if and only if it is dead-lettered");
        if (unit->dead_letter == NULL || flow_store__text(unit->dead_letter->id)[0] == '\0')
            continue;
        sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LETTER_EXISTS);
        if (s == NULL)
            return FAULT;
        flow_sqlite__bind_text(s, 1, unit->dead_letter->id);
        int code = flow_sqlite__step(self, s);
        if (code < 0)
            return FAULT;
        sqlite3_reset(s);
        if (code == SQLITE_ROW)
            return flow_sqlite__refuse(&op->op, FLOW_ALREADY_EXISTS, "DEAD_LETTER", unit->dead_letter->id,
                                       "there is a dead letter %.100s already", unit->dead_letter->id);
    }
    if (op->plain_filtered > op->plain_done)
        return flow_sqlite__refuse(&op->op, FLOW_INVALID_ARGUMENT, "SETTLE_COUNTS", "plain_filtered",
                                   "more units are filtered than done");
    for (size_t i = 0; i < op->push_count; i++) {
        if (op->pushes[i].queue == NULL)
            return flow_sqlite__refuse(&op->op, FLOW_INVALID_ARGUMENT, "QUEUE_INVALID", "pushes",
                                       "a push has no queue");
        if (!flow_sqlite__check_item(&op->op, &op->pushes[i].item, "pushes", i))
            return REFUSED;
        SqliteQueue *queue = sqlite_queue(op->pushes[i].queue);
        if (op->push_count >= SEQ_MAX - queue->now.next_seq)
            return exhausted(&op->op, queue);
    }
    for (size_t i = 0; i < op->state_count; i++)
        if (!flow_sqlite__id_ok(op->states[i].node_id))
            return flow_sqlite__bad_id(&op->op, "states");
    return DONE;
}

static void set_state(SqliteLoop *loop, const FlowNodeState *state)
{
    NodeSlot *slot = NULL;
    for (size_t i = 0; i < loop->slot_count && slot == NULL; i++)
        if (strcmp(loop->slots[i].node_id, state->node_id) == 0)
            slot = &loop->slots[i];
    if (slot == NULL) {
        loop->slots = flow_realloc(loop->slots, (loop->slot_count + 1) * sizeof *loop->slots);
        slot = &loop->slots[loop->slot_count++];
        *slot = (NodeSlot){.node_id = flow_strdup(state->node_id)};
    }
    flow_blob_unref(slot->state);
    slot->state = flow_blob_ref(state->state);
    slot->pending = true;
}

/* A delivery with the same blob, whose row the push may share. */
static const SqliteDelivery *same_body(const FlowStoreSettle *op, const FlowStoreItem *item,
                                       const SqliteDelivery *pushed_before)
{
    if (pushed_before != NULL && pushed_before->base.base.body == item->body)
        return pushed_before;
    for (size_t i = 0; i < op->unit_count && i < 8; i++)
        if (op->units[i].input != NULL && op->units[i].input->body == item->body)
            return (SqliteDelivery *)op->units[i].input;
    return NULL;
}

static bool count_unit(SqliteStore *self, SqliteLoop *loop, const FlowStoreUnit *unit)
{
    loop->now.produced++;
    loop->now.done += unit->outcome != FLOW_UNIT_DEAD_LETTERED;
    loop->now.filtered += unit->outcome == FLOW_UNIT_FILTERED;
    loop->now.dead_lettered += unit->outcome == FLOW_UNIT_DEAD_LETTERED;
    if (unit->input != NULL) {
        SqliteQueue *queue = sqlite_queue(unit->input->queue);
        flow_sqlite__delivery_gone(self, (SqliteDelivery *)unit->input);
        queue->now.done += unit->outcome != FLOW_UNIT_DEAD_LETTERED;
        queue->now.filtered += unit->outcome == FLOW_UNIT_FILTERED;
        queue->now.dead_lettered += unit->outcome == FLOW_UNIT_DEAD_LETTERED;
    }
    return unit->dead_letter == NULL || flow_sqlite__letter_insert(self, unit->dead_letter);
}

Result flow_sqlite__settle(SqliteStore *self, FlowStoreSettle *op)
{
    SqliteLoop *loop = (SqliteLoop *)op->owner;
    if (loop->fenced)
        return flow_sqlite__fenced(&op->op, loop);
    Result result = check(self, loop, op);
    if (result != DONE)
        return result;
    bool wait = !atomic_load_explicit(&loop->ignore_bounds, memory_order_relaxed);
    for (size_t i = 0; i < op->push_count && wait; i++) {
        SqliteQueue *queue = sqlite_queue(op->pushes[i].queue);
        if (flow_sqlite__has_room(&queue->now))
            continue;
        loop->waits_for = queue;
        flow_list_push_back(&queue->waiting_loops, &loop->waiting_link);
        atomic_store_explicit(&queue->base.waiting_settles, ++queue->waiting_count, memory_order_relaxed);
        op->op.place = IN_LOOP;
        return PARKED;
    }
    for (size_t i = 0; i < op->push_count; i++) {
        SqliteQueue *queue = sqlite_queue(op->pushes[i].queue);
        if (queue->now.number == 0 &&
            !flow_sqlite__make_queue(self, queue, FLOW_QUEUE_NAMED, "", "", &op->op, &result))
            return result;
    }
    flow_sqlite__loop_touch(self, loop);
    int64_t now_ns = op->push_count != 0 ? flow_clock_wall_ns(self->clock) : 0;
    const SqliteDelivery *pushed = NULL;
    for (size_t i = 0; i < op->push_count; i++) {
        const FlowStoreItem *item = &op->pushes[i].item;
        pushed = flow_sqlite__push_one(self, sqlite_queue(op->pushes[i].queue), item, now_ns,
                                       same_body(op, item, pushed));
    }
    for (size_t i = 0; i < op->unit_count; i++)
        if (!count_unit(self, loop, &op->units[i]))
            return FAULT;
    loop->now.produced += op->plain_done;
    loop->now.done += op->plain_done;
    loop->now.filtered += op->plain_filtered;
    for (size_t i = 0; i < op->state_count; i++)
        set_state(loop, &op->states[i]);
    if (op->loop_state != 0) {
        loop->save_pending = true;
        loop->record.state = op->loop_state;
        loop->record.ended |= op->loop_ended;
    }
    atomic_fetch_add_explicit(&self->pushed, op->push_count, memory_order_relaxed);
    atomic_fetch_add_explicit(&self->settled, op->unit_count + op->plain_done, memory_order_relaxed);
    return DONE;
}
