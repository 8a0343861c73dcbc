/*
 * sqlite_recover.c - what opening a store does before anything else: reads queues and counters, checks that the
 * ledger balances, and puts what the last owner had in flight where it belongs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_internal.h"

enum { CHUNK = 256 };

static bool read_meta(SqliteStore *self, const char *key, int64_t *ret_value, char identity[37])
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_META_GET);
    if (s == NULL)
        return false;
    flow_sqlite__bind_text(s, 1, key);
    int code = flow_sqlite__step(self, s);
    if (code == SQLITE_ROW && identity != NULL)
        snprintf(identity, 37, "%s", flow_sqlite__text(s, 0));
    else if (code == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(s, 0);
    if (code >= 0)
        sqlite3_reset(s);
    if (code == SQLITE_DONE)
        flow_sqlite__fault_text(self, FLOW_DATA_LOSS, "the store has lost its \"%s\"", key);
    return code == SQLITE_ROW;
}

static bool load_queues(SqliteStore *self)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_QUEUE_ALL);
    int code = -1;
    while (s != NULL && (code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
        FlowStoreQueue *handle = flow_store_queue_open(&self->base, flow_sqlite__text(s, 1));
        if (handle == NULL) {
            flow_sqlite__fault_text(self, FLOW_DATA_LOSS, "queue number %lld has no name",
                                    (long long)sqlite3_column_int64(s, 0));
            sqlite3_reset(s);
            return false;
        }
        SqliteQueue *queue = sqlite_queue(handle);
        uint64_t value[15];
        for (int i = 5; i < 15; i++)
            value[i] = (uint64_t)sqlite3_column_int64(s, i);
        queue->now = (QueueState){.number = sqlite3_column_int64(s, 0),
                                  .next_seq = value[5],
                                  .pushed = value[6],
                                  .done = value[7],
                                  .filtered = value[8],
                                  .dead_lettered = value[9],
                                  .removed = value[10],
                                  .moved_out = value[11],
                                  .max_items = value[12],
                                  .max_bytes = value[13],
                                  .paused = value[14] != 0};
        flow_store_queue_unref(handle);
        if (!flow_sqlite__count_rows(self, queue, &queue->now.queued, &queue->now.bytes)) {
            sqlite3_reset(s);
            return false;
        }
    }
    if (code < 0)
        return false;
    sqlite3_reset(s);
    if ((s = flow_sqlite__statement(self, SQL_QUEUE_LAST)) == NULL ||
        flow_sqlite__step(self, s) != SQLITE_ROW)
        return false;
    self->last_queue_number = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return true;
}

/* ---- what was in flight --------------------------------------------------------------------------------- */

typedef struct Lost {
    uint64_t first, last;
    int64_t loop_number, workflow_revision;
    bool requeue;
    char *producer_node_id, *run_id, *workflow_id, *workflow_name;
} Lost;
typedef VECTOR(Lost) LostList;

static bool list_lost(SqliteStore *self, LostList *list)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_RESERVATION_ALL);
    int code = -1;
    while (s != NULL && (code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
        Lost lost = {.first = (uint64_t)sqlite3_column_int64(s, 0),
                     .last = (uint64_t)sqlite3_column_int64(s, 1),
                     .loop_number = sqlite3_column_int64(s, 2),
                     .producer_node_id = flow_strdup(flow_sqlite__text(s, 3)),
                     .workflow_revision = sqlite3_column_int64(s, 5),
                     .requeue = sqlite3_column_int(s, 6) != 0,
                     .run_id = flow_strdup(flow_sqlite__text(s, 7)),
                     .workflow_id = flow_strdup(flow_sqlite__text(s, 8)),
                     .workflow_name = flow_strdup(flow_sqlite__text(s, 9))};
        VECTOR_PUSH(*list, lost);
    }
    if (code >= 0)
        sqlite3_reset(s);
    return code >= 0;
}

static SqliteQueue *queue_of_key(SqliteStore *self, uint64_t key)
{
    for (FlowMapEntry *e = NULL; (e = flow_map_next(&self->base.queues, e));)
        if (sqlite_queue(e->value)->now.number == (int64_t)(key >> SEQ_BITS))
            return e->value;
    return NULL;
}

static bool requeue(SqliteStore *self, const Lost *lost)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_REQUEUE);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, (int64_t)lost->first);
    sqlite3_bind_int64(s, 2, (int64_t)lost->last);
    bool ok = flow_sqlite__run(self, s);
    self->recovery.requeued += ok ? (uint64_t)sqlite3_changes64(self->db) : 0;
    return ok;
}

/* Reads the next deliveries of the range; false: FAULT. */
static bool read_chunk(SqliteStore *self, SqliteQueue *queue, const Lost *lost, SqliteDelivery *chunk[CHUNK],
                       size_t *ret_count)
{
    *ret_count = 0;
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_DELIVERY_READ);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, (int64_t)lost->first);
    sqlite3_bind_int64(s, 2, (int64_t)lost->last);
    sqlite3_bind_int64(s, 3, CHUNK);
    int code;
    while ((code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
        chunk[*ret_count] = flow_sqlite__delivery_read(self, queue, s);
        if (chunk[*ret_count] == NULL)
            break;
        ++*ret_count;
    }
    if (code >= 0)
        sqlite3_reset(s);
    return code == SQLITE_DONE;
}

static bool interrupt(SqliteStore *self, SqliteQueue *queue, const Lost *lost)
{
    FlowDeadLetter letter = {.workflow_id = lost->workflow_id,
                             .workflow_name = lost->workflow_name,
                             .workflow_revision = lost->workflow_revision,
                             .run_id = lost->run_id,
                             .producer_node_id = lost->producer_node_id,
                             .message =
                                 "the server ended while this unit was under way; what its nodes had done by "
                                 "then is not known"};
    SqliteDelivery *chunk[CHUNK];
    size_t count;
    bool ok;
    do {
        ok = read_chunk(self, queue, lost, chunk, &count);
        for (size_t i = 0; ok && i < count; i++) {
            FlowDeadLetter one = letter;
            ok = flow_sqlite__interrupt(self, &one, &chunk[i]->base.base);
        }
        if (ok && count != 0)
            ok = flow_sqlite__remove_range(self, lost->first, chunk[count - 1]->base.base.id);
        for (size_t i = 0; i < count; i++) {
            queue->now.queued--;
            queue->now.bytes -= chunk[i]->size;
            flow_delivery_unref(&chunk[i]->base.base);
        }
        queue->now.dead_lettered += count;
        self->recovery.interrupted += count;
        sqlite3_stmt *s = ok && count != 0 ? flow_sqlite__statement(self, SQL_LOOP_ADD_DEAD) : NULL;
        if (s != NULL) {
            sqlite3_bind_int64(s, 1, lost->loop_number);
            sqlite3_bind_int64(s, 2, (int64_t)count);
            ok = flow_sqlite__run(self, s);
        }
    } while (ok && count == CHUNK);
    return ok && self->fault.status == FLOW_OK;
}

static bool reap(SqliteStore *self)
{
    LostList list = {0};
    bool ok = list_lost(self, &list);
    for (size_t i = 0; i < list.count; i++) {
        Lost *lost = &list.items[i];
        SqliteQueue *queue = queue_of_key(self, lost->first);
        if (queue != NULL)
            flow_sqlite__queue_touch(self, queue);
        if (ok && queue != NULL)
            ok =
                lost->requeue || lost->run_id[0] == '\0' ? requeue(self, lost) : interrupt(self, queue, lost);
        sqlite3_stmt *s = ok ? flow_sqlite__statement(self, SQL_RESERVATION_DELETE) : NULL;
        if (s != NULL) {
            sqlite3_bind_int64(s, 1, (int64_t)lost->first);
            ok = flow_sqlite__run(self, s);
        }
        free(lost->producer_node_id);
        free(lost->run_id);
        free(lost->workflow_id);
        free(lost->workflow_name);
    }
    free(list.items);
    return ok && self->fault.status == FLOW_OK;
}

static bool recover(SqliteStore *self)
{
    int64_t clean = 0;
    const struct {
        const char *key;
        int64_t *value;
    } numbers[] = {
        {"epoch", &self->epoch},
        {"clean", &clean},
        {"letters_made", &self->letters.made},
        {"letters_redriven", &self->letters.redriven},
        {"letters_consumed", &self->letters.consumed},
        {"letters_deleted", &self->letters.deleted},
        {"letters_expired", &self->letters.expired},
    };
    for (size_t i = 0; i < FLOW_COUNT(numbers); i++)
        if (!read_meta(self, numbers[i].key, numbers[i].value, NULL))
            return false;
    if (!read_meta(self, "identity", NULL, self->identity) || !load_queues(self) ||
        !flow_sqlite__bodies_load(self))
        return false;
    self->balanced = flow_sqlite__check_ledger(self, &self->imbalance);
    if (self->fault.status != FLOW_OK || !reap(self))
        return false;
    self->recovery.epoch = ++self->epoch;
    self->recovery.clean = clean != 0;
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_RUN_ACTIVE_COUNT);
    if (s == NULL || flow_sqlite__step(self, s) != SQLITE_ROW)
        return false;
    self->recovery.active_runs = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return flow_sqlite__set_meta(self, "epoch", self->epoch) && flow_sqlite__set_meta(self, "clean", 0);
}

FlowStatus flow_sqlite__recover(SqliteStore *self, FlowError *reterr)
{
    if (recover(self) && flow_sqlite__finish(self)) {
        for (FlowMapEntry *e = NULL; (e = flow_map_next(&self->base.queues, e));)
            flow_sqlite__queue_publish(e->value);
        return FLOW_OK;
    }
    if (self->fault.status != FLOW_OK && reterr != NULL)
        *reterr = self->fault;
    return self->fault.status != FLOW_OK ? self->fault.status : FLOW_INTERNAL;
}
