/* sqlite_loop.c - who owns a loop, what happens to what a lost owner had in flight, and the loop's record. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_internal.h"

/* ---- notices -------------------------------------------------------------------------------------------- */

static void notice_unref(Notice *notice)
{
    if (notice != NULL && atomic_fetch_sub(&notice->refs, 1) == 1)
        free(notice);
}

static void on_notice(FlowTask *task)
{
    Notice *notice = flow_container_of(task, Notice, task);
    atomic_store(&notice->posted, false);
    FlowStoreQueue *queue = atomic_load(&notice->queue);
    if (queue != notice->told && !atomic_load(&notice->detached)) {
        notice->told = queue;
        notice->blocked(notice->context, queue);
    }
    notice_unref(notice);
}

void flow_sqlite__loop_show_blocked(SqliteLoop *loop)
{
    Notice *notice = loop->notice;
    FlowStoreQueue *queue = loop->waits_for != NULL ? &loop->waits_for->base : NULL;
    if (notice == NULL || atomic_exchange(&notice->queue, queue) == queue ||
        atomic_exchange(&notice->posted, true))
        return;
    atomic_fetch_add(&notice->refs, 1);
    flow_loop_post(notice->loop, &notice->task);
}

/* ---- loops in memory ------------------------------------------------------------------------------------ */

static char *map_key(const char *run_id, const char *producer_node_id, size_t *ret_len)
{
    size_t run_len = strlen(run_id), len = run_len + 1 + strlen(producer_node_id);
    char *key = flow_malloc(len + 1);
    memcpy(key, run_id, run_len + 1);
    strcpy(key + run_len + 1, producer_node_id);
    *ret_len = len;
    return key;
}

static SqliteLoop *find(SqliteStore *self, const char *run_id, const char *producer_node_id)
{
    size_t len;
    flow_cleanup(flow_freep) char *key = map_key(run_id, producer_node_id, &len);
    return flow_map_get(&self->loops, key, len);
}

static void set(SqliteStore *self, SqliteLoop *loop, SqliteLoop *value)
{
    size_t len;
    flow_cleanup(flow_freep) char *key = map_key(loop->run_id, loop->producer_node_id, &len);
    if (value == NULL)
        flow_map_remove(&self->loops, key, len);
    else if (!flow_map_set(&self->loops, key, len, value, NULL))
        abort();
}

void flow_sqlite__loop_free(SqliteStore *self, SqliteLoop *loop)
{
    if (find(self, loop->run_id, loop->producer_node_id) == loop)
        set(self, loop, NULL);
    FLOW_LIST_FOR_EACH(link, &loop->in_flight)
    {
        SqliteDelivery *delivery = flow_list_entry(link, SqliteDelivery, link);
        flow_list_remove(&delivery->link);
        flow_delivery_unref(&delivery->base.base);
    }
    flow_sqlite__loop_stop_waiting(loop);
    flow_list_remove(&loop->retry_link);
    flow_list_remove(&loop->parked_link);
    flow_list_remove(&loop->all_link);
    if (loop->notice != NULL) {
        atomic_store(&loop->notice->detached, true);
        notice_unref(loop->notice);
    }
    for (size_t i = 0; i < loop->slot_count; i++) {
        free(loop->slots[i].node_id);
        flow_blob_unref(loop->slots[i].state);
    }
    free(loop->slots);
    flow_blob_unref(loop->record.status);
    flow_blob_unref(loop->record_before.status);
    free(loop->run_id);
    free(loop->producer_node_id);
    free(loop->producer_type);
    free(loop->workflow_id);
    free(loop->workflow_name);
    free(loop);
}

void flow_sqlite__loop_touch(SqliteStore *self, SqliteLoop *loop)
{
    if (loop->dirty)
        return;
    loop->dirty = true;
    loop->before = loop->now;
    loop->record_before = loop->record;
    flow_blob_ref(loop->record_before.status);
    loop->next_dirty = self->dirty_loops;
    self->dirty_loops = loop;
}

static bool flush_one(SqliteStore *self, SqliteLoop *loop)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LOOP_COUNT);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, loop->number);
    sqlite3_bind_int64(s, 2, (int64_t)loop->now.produced);
    sqlite3_bind_int64(s, 3, (int64_t)loop->now.done);
    sqlite3_bind_int64(s, 4, (int64_t)loop->now.filtered);
    sqlite3_bind_int64(s, 5, (int64_t)loop->now.dead_lettered);
    if (!flow_sqlite__run(self, s))
        return false;
    for (size_t i = 0; i < loop->slot_count; i++) {
        NodeSlot *slot = &loop->slots[i];
        if (!slot->pending)
            continue;
        s = flow_sqlite__statement(self, slot->state != NULL ? SQL_STATE_SET : SQL_STATE_DELETE);
        if (s == NULL)
            return false;
        sqlite3_bind_int64(s, 1, loop->number);
        flow_sqlite__bind_text(s, 2, slot->node_id);
        if (slot->state != NULL)
            flow_sqlite__bind_blob(s, 3, slot->state);
        if (!flow_sqlite__run(self, s))
            return false;
        slot->pending = false;
        slot->state = flow_blob_unref(slot->state);
    }
    if (!loop->save_pending)
        return true;
    if ((s = flow_sqlite__statement(self, SQL_LOOP_SAVE)) == NULL)
        return false;
    sqlite3_bind_int64(s, 1, loop->number);
    sqlite3_bind_int(s, 2, loop->record.state);
    sqlite3_bind_int(s, 3, loop->record.ended);
    sqlite3_bind_int64(s, 4, loop->record.revision);
    flow_sqlite__bind_blob(s, 5, loop->record.status);
    loop->save_pending = false;
    return flow_sqlite__run(self, s);
}

bool flow_sqlite__flush_loops(SqliteStore *self)
{
    for (SqliteLoop *loop = self->dirty_loops; loop != NULL; loop = loop->next_dirty)
        if (!loop->fenced && !flush_one(self, loop))
            return false; /* a fenced one's numbers went on to its successor */
    return true;
}

static void drop_pending(SqliteLoop *loop)
{
    for (size_t i = 0; i < loop->slot_count; i++) {
        loop->slots[i].state = flow_blob_unref(loop->slots[i].state);
        loop->slots[i].pending = false;
    }
    loop->save_pending = false;
}

void flow_sqlite__undo_loops(SqliteStore *self)
{
    for (SqliteLoop *loop = self->dirty_loops; loop != NULL; loop = loop->next_dirty) {
        loop->dirty = false;
        loop->now = loop->before;
        flow_blob_unref(loop->record.status);
        loop->record = loop->record_before;
        loop->record_before.status = NULL;
        /* The settles that set these are executed again. */
        drop_pending(loop);
    }
    self->dirty_loops = NULL;
}

void flow_sqlite__forget_loops(SqliteStore *self)
{
    for (SqliteLoop *loop = self->dirty_loops; loop != NULL; loop = loop->next_dirty) {
        loop->dirty = false;
        loop->replaced = NULL;
        loop->record_before.status = flow_blob_unref(loop->record_before.status);
    }
    self->dirty_loops = NULL;
}

/* ---- lost owners ---------------------------------------------------------------------------------------- */

bool flow_sqlite__interrupt(SqliteStore *self, FlowDeadLetter *letter, const FlowDelivery *delivery)
{
    letter->queue = delivery->queue->name;
    letter->delivery_id = delivery->id;
    letter->reason = "INTERRUPTED";
    letter->payload_id = delivery->payload_id;
    letter->payload = delivery->body;
    letter->redrives = delivery->redrives;
    return flow_sqlite__letter_insert(self, letter);
}

static bool interrupt(SqliteStore *self, SqliteLoop *loop, SqliteDelivery *delivery, const char *message)
{
    FlowDeadLetter letter = {.workflow_id = loop->workflow_id,
                             .workflow_name = loop->workflow_name,
                             .workflow_revision = loop->record.revision,
                             .run_id = loop->run_id,
                             .producer_node_id = loop->producer_node_id,
                             .message = message};
    if (!flow_sqlite__interrupt(self, &letter, &delivery->base.base))
        return false;
    SqliteQueue *queue = sqlite_queue(delivery->base.base.queue);
    flow_sqlite__loop_touch(self, loop);
    flow_sqlite__delivery_gone(self, delivery);
    queue->now.dead_lettered++;
    loop->now.produced++;
    loop->now.dead_lettered++;
    return true;
}

/* Back to the head, marked: the row changes, and the object that the lost owner may still read doesn't. */
static bool requeue(SqliteStore *self, SqliteDelivery *delivery)
{
    SqliteQueue *queue = sqlite_queue(delivery->base.base.queue);
    uint64_t key = delivery->base.base.id;
    flow_sqlite__deliveries_back(self, &delivery, 1);
    flow_sqlite__drop_window(self, queue);
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_REQUEUE);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, (int64_t)key);
    sqlite3_bind_int64(s, 2, (int64_t)key);
    return flow_sqlite__run(self, s);
}

bool flow_sqlite__reap(SqliteStore *self, SqliteLoop *loop, bool knows_started, const char *message)
{
    VECTOR(SqliteDelivery *) back = {0}, lost = {0};
    FLOW_LIST_FOR_EACH(link, &loop->in_flight)
    {
        SqliteDelivery *delivery = flow_list_entry(link, SqliteDelivery, link);
        if (knows_started && !atomic_load_explicit(&delivery->base.started, memory_order_relaxed))
            VECTOR_PUSH(back, delivery);
        else
            VECTOR_PUSH(lost, delivery);
    }
    bool ok = true;
    if (back.count != 0)
        flow_sqlite__deliveries_back(self, back.items, back.count);
    if (lost.count != 0 && loop->requeue)
        ok = flow_sqlite__flush_deliveries(self); /* rows to be marked may not be there yet */
    for (size_t i = 0; ok && i < lost.count; i++)
        ok = loop->requeue ? requeue(self, lost.items[i]) : interrupt(self, loop, lost.items[i], message);
    free(back.items);
    free(lost.items);
    return ok;
}

/* Takes of a loop that wait are told that it isn't theirs any more. */
static void evict_takes(SqliteStore *self, SqliteLoop *loop)
{
    pthread_mutex_lock(&self->base.queue_lock);
    for (FlowMapEntry *e = NULL; loop->waiting_takes != 0 && (e = flow_map_next(&self->base.queues, e));) {
        FLOW_LIST_FOR_EACH(link, &sqlite_queue(e->value)->takes)
        {
            FlowStoreTake *take = (FlowStoreTake *)flow_list_entry(link, FlowStoreOp, link);
            if ((SqliteLoop *)take->owner != loop)
                continue;
            flow_sqlite__unpark_take(take);
            flow_sqlite__fenced(&take->op, loop);
            take->op.place = IN_EXECUTED;
            flow_list_push_back(&self->executed, &take->op.link);
        }
    }
    pthread_mutex_unlock(&self->base.queue_lock);
}

/* ---- operations ----------------------------------------------------------------------------------------- */

SqliteLoop *flow_sqlite__loop_of(FlowStoreOp *op)
{
    switch (op->kind) {
    case FLOW_STORE_OP_SETTLE:
        return (SqliteLoop *)((FlowStoreSettle *)op)->owner;
    case FLOW_STORE_OP_LOOP_SAVE:
        return (SqliteLoop *)((FlowStoreLoopSave *)op)->owner;
    case FLOW_STORE_OP_LOOP_CLOSE:
        return (SqliteLoop *)((FlowStoreLoopClose *)op)->owner;
    case FLOW_STORE_OP_UNTAKE:
        return (SqliteLoop *)((FlowStoreUntake *)op)->owner;
    default:
        return NULL;
    }
}

void flow_sqlite__loop_stop_waiting(SqliteLoop *loop)
{
    if (loop->waits_for == NULL)
        return;
    flow_list_remove(&loop->waiting_link);
    atomic_store_explicit(&loop->waits_for->base.waiting_settles, --loop->waits_for->waiting_count,
                          memory_order_relaxed);
    loop->waits_for = NULL;
}

bool flow_sqlite__loop_retry(SqliteStore *self, SqliteLoop *loop, bool *ret_progress)
{
    flow_list_remove(&loop->retry_link);
    flow_sqlite__loop_stop_waiting(loop);
    FlowList *link;
    while (loop->waits_for == NULL && (link = flow_list_pop_front(&loop->fifo)) != NULL) {
        FlowStoreOp *op = flow_list_entry(link, FlowStoreOp, link);
        self->executing = op;
        Result result = flow_sqlite__dispatch(self, op);
        if (result == FAULT)
            return false;
        self->executing = NULL;
        if (result == PARKED) {
            flow_list_push_front(&loop->fifo, &op->link);
            break;
        }
        op->place = IN_EXECUTED;
        flow_list_push_back(&self->executed, &op->link);
        *ret_progress = true;
    }
    if (flow_list_empty(&loop->fifo))
        flow_list_remove(&loop->parked_link);
    flow_sqlite__loop_show_blocked(loop);
    return true;
}

static void on_nudge(FlowTask *task)
{
    SqliteLoop *loop = flow_container_of(task, SqliteLoop, nudge);
    SqliteStore *self = sqlite_store(loop->base.store);
    atomic_store(&loop->nudged, false);
    flow_list_remove(&loop->retry_link);
    flow_list_push_back(&self->retry_loops, &loop->retry_link);
    flow_sqlite__schedule(self);
}

void flow_sqlite__ignore_bounds(FlowStore *store, FlowStoreLoop *owner)
{
    SqliteLoop *loop = (SqliteLoop *)owner;
    atomic_store(&loop->ignore_bounds, true);
    if (!atomic_exchange(&loop->nudged, true))
        flow_loop_post(sqlite_store(store)->loop, &loop->nudge);
}

static SqliteLoop *loop_new(SqliteStore *self, const FlowStoreLoopOpen *op, sqlite3_stmt *run)
{
    SqliteLoop *loop = flow_new(SqliteLoop);
    loop->base.store = &self->base;
    loop->run_number = sqlite3_column_int64(run, 0);
    loop->workflow_id = flow_strdup(flow_sqlite__text(run, 2));
    loop->workflow_name = flow_strdup(flow_sqlite__text(run, 3));
    loop->run_id = flow_strdup(op->run_id);
    loop->producer_node_id = flow_strdup(op->producer_node_id);
    loop->producer_type = flow_strdup(flow_store__text(op->producer_type));
    loop->requeue = op->requeue_interrupted;
    loop->nudge.run = on_nudge;
    flow_list_init(&loop->in_flight);
    flow_list_init(&loop->fifo);
    flow_list_init(&loop->waiting_link);
    flow_list_init(&loop->retry_link);
    flow_list_init(&loop->parked_link);
    flow_list_push_back(&self->all_loops, &loop->all_link);
    if (op->blocked != NULL && op->op.loop != NULL) {
        loop->notice = flow_new(Notice);
        loop->notice->task.run = on_notice;
        loop->notice->loop = op->op.loop;
        loop->notice->blocked = op->blocked;
        loop->notice->context = op->context;
        atomic_init(&loop->notice->refs, 1);
    }
    return loop;
}

/* Reads what an earlier owner left, or makes the record. */
static bool own(SqliteStore *self, SqliteLoop *loop, int64_t revision)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LOOP_GET);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, loop->run_number);
    flow_sqlite__bind_text(s, 2, loop->producer_node_id);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return false;
    bool failed = false;
    if (code == SQLITE_ROW) {
        loop->number = sqlite3_column_int64(s, 0);
        loop->record.state = sqlite3_column_int(s, 4);
        loop->record.ended = sqlite3_column_int(s, 5) != 0;
        loop->record.status = flow_sqlite__blob(s, 6, &failed);
        loop->now.produced = (uint64_t)sqlite3_column_int64(s, 7);
        loop->now.done = (uint64_t)sqlite3_column_int64(s, 8);
        loop->now.filtered = (uint64_t)sqlite3_column_int64(s, 9);
        loop->now.dead_lettered = (uint64_t)sqlite3_column_int64(s, 10);
    }
    sqlite3_reset(s);
    if (failed) {
        flow_sqlite__no_memory(self);
        return false;
    }
    loop->record.revision = revision;
    loop->epoch = ++self->epoch;
    bool is_new = loop->number == 0;
    if ((s = flow_sqlite__statement(self, is_new ? SQL_LOOP_INSERT : SQL_LOOP_OWN)) == NULL)
        return false;
    int i = 1;
    sqlite3_bind_int64(s, i++, is_new ? loop->run_number : loop->number);
    if (is_new)
        flow_sqlite__bind_text(s, i++, loop->producer_node_id);
    flow_sqlite__bind_text(s, i++, loop->producer_type);
    sqlite3_bind_int64(s, i++, revision);
    sqlite3_bind_int64(s, i++, loop->epoch);
    sqlite3_bind_int(s, i++, loop->requeue);
    if (!flow_sqlite__run(self, s))
        return false;
    if (is_new)
        loop->number = sqlite3_last_insert_rowid(self->db);
    if ((s = flow_sqlite__statement(self, SQL_META_SET)) == NULL)
        return false;
    flow_sqlite__bind_text(s, 1, "epoch");
    sqlite3_bind_int64(s, 2, self->epoch);
    return flow_sqlite__run(self, s);
}

static bool read_states(SqliteStore *self, FlowStoreLoopOpen *op, SqliteLoop *loop)
{
    VECTOR(FlowNodeState) states = {0};
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_STATE_ALL);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, loop->number);
    bool failed = false;
    int code;
    while ((code = flow_sqlite__step(self, s)) == SQLITE_ROW && !failed) {
        FlowNodeState state = {.node_id = flow_sqlite__result_text(&op->op, s, 0, &failed),
                               .state = flow_sqlite__result_blob(&op->op, s, 1, &failed)};
        VECTOR_PUSH(states, state);
    }
    sqlite3_reset(s);
    op->state_count = states.count;
    op->states = flow_store__results(&op->op, states.count * sizeof *op->states);
    if (op->states != NULL && states.count != 0)
        memcpy(op->states, states.items, states.count * sizeof *op->states);
    free(states.items);
    if (failed || op->states == NULL)
        flow_sqlite__no_memory(self);
    return code >= 0 && !failed && op->states != NULL;
}

void flow_sqlite__undo_loop_open(SqliteStore *self, FlowStoreLoopOpen *op)
{
    SqliteLoop *loop = (SqliteLoop *)op->owner;
    if (loop == NULL)
        return;
    if (loop->replaced != NULL) {
        loop->replaced->fenced = false;
        set(self, loop, loop->replaced);
    }
    op->owner = NULL;
    flow_sqlite__loop_free(self, loop);
}

Result flow_sqlite__loop_open(SqliteStore *self, FlowStoreLoopOpen *op)
{
    op->owner = NULL;
    if (!flow_sqlite__id_ok(op->run_id))
        return flow_sqlite__bad_id(&op->op, "run_id");
    if (!flow_sqlite__id_ok(op->producer_node_id))
        return flow_sqlite__bad_id(&op->op, "producer_node_id");
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_RUN_GET);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, op->run_id);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return FAULT;
    if (code != SQLITE_ROW) {
        sqlite3_reset(s);
        return flow_sqlite__refuse(&op->op, FLOW_NOT_FOUND, "RUN_NOT_FOUND", op->run_id,
                                   "there is no run %.100s", op->run_id);
    }
    SqliteLoop *loop = loop_new(self, op, s);
    int64_t revision = op->workflow_revision != 0 ? op->workflow_revision : sqlite3_column_int64(s, 4);
    sqlite3_reset(s);
    op->owner = &loop->base; /* from here on undo_loop_open frees it */
    SqliteLoop *old = find(self, op->run_id, op->producer_node_id);
    if (old != NULL) {
        /* What the old owner settled in this transaction must be in the rows that are read below. */
        if (!flow_sqlite__flush_deliveries(self) || !flow_sqlite__flush_loops(self) ||
            !flow_sqlite__reap(self, old, false,
                               "another owner took the loop over while this unit was under way"))
            return FAULT;
        evict_takes(self, old);
        old->fenced = true;
        loop->replaced = old;
        flow_list_remove(&old->retry_link);
        flow_list_push_back(&self->retry_loops, &old->retry_link);
    }
    if (!own(self, loop, revision) || !read_states(self, op, loop))
        return FAULT;
    if (old != NULL)
        loop->now = old->now;
    flow_sqlite__loop_touch(self, loop); /* so that it is flushed, and learns of the commit */
    set(self, loop, loop);
    op->epoch = loop->epoch;
    op->record = (FlowLoopRecord){
        .producer_node_id = op->producer_node_id,
        .workflow_revision = loop->record.revision,
        .state = loop->record.state,
        .ended = loop->record.ended,
        .produced = loop->now.produced,
        .done = loop->now.done,
        .filtered = loop->now.filtered,
        .dead_lettered = loop->now.dead_lettered,
    };
    if (loop->record.status != NULL) {
        op->record.status = loop->record.status;
        if (!flow_store__result_blob(&op->op, flow_blob_ref(loop->record.status)))
            return flow_sqlite__no_memory(self);
    }
    return DONE;
}

Result flow_sqlite__loop_save(SqliteStore *self, FlowStoreLoopSave *op)
{
    SqliteLoop *loop = (SqliteLoop *)op->owner;
    if (loop->fenced)
        return flow_sqlite__fenced(&op->op, loop);
    flow_sqlite__loop_touch(self, loop);
    loop->save_pending = true;
    if (op->state != 0)
        loop->record.state = op->state;
    loop->record.ended |= op->ended;
    if (op->workflow_revision != 0)
        loop->record.revision = op->workflow_revision;
    if (op->status != NULL) {
        flow_blob_unref(loop->record.status);
        loop->record.status = flow_blob_ref(op->status);
    }
    return DONE;
}

Result flow_sqlite__loop_close(SqliteStore *self, FlowStoreLoopClose *op)
{
    SqliteLoop *loop = (SqliteLoop *)op->owner;
    if (loop->fenced)
        return DONE;
    evict_takes(self, loop);
    if (!flow_sqlite__reap(self, loop, true, "the loop was ended while this unit was under way"))
        return FAULT;
    return DONE; /* the committer frees it after the commit */
}

bool flow_sqlite__loop_record(SqliteStore *self, FlowStoreOp *op, sqlite3_stmt *row, const char *run_id,
                              FlowLoopRecord *ret_record)
{
    bool failed = false;
    FlowLoopRecord *record = ret_record;
    *record = (FlowLoopRecord){
        .producer_node_id = flow_sqlite__result_text(op, row, 2, &failed),
        .workflow_revision = sqlite3_column_int64(row, 3),
        .state = sqlite3_column_int(row, 4),
        .ended = sqlite3_column_int(row, 5) != 0,
        .produced = (uint64_t)sqlite3_column_int64(row, 7),
        .done = (uint64_t)sqlite3_column_int64(row, 8),
        .filtered = (uint64_t)sqlite3_column_int64(row, 9),
        .dead_lettered = (uint64_t)sqlite3_column_int64(row, 10),
    };
    SqliteLoop *loop = failed ? NULL : find(self, run_id, record->producer_node_id);
    FlowBlob *status;
    if (loop != NULL) {
        record->workflow_revision = loop->record.revision;
        record->state = loop->record.state;
        record->ended = loop->record.ended;
        record->in_flight = loop->in_flight_count;
        record->produced = loop->now.produced + loop->in_flight_count;
        record->done = loop->now.done;
        record->filtered = loop->now.filtered;
        record->dead_lettered = loop->now.dead_lettered;
        status = flow_blob_ref(loop->record.status);
    } else {
        status = flow_sqlite__blob(row, 6, &failed);
    }
    record->status = status;
    if (status != NULL && !flow_store__result_blob(op, status))
        failed = true;
    if (failed)
        flow_sqlite__no_memory(self);
    return !failed;
}
