/*
 * sqlite_body.c - a large body that goes on unchanged, or to several queues, gets a row of its own and moves as an
 * id from then on. Others stand in the delivery's row, where they cost least. How many deliveries use a body is
 * counted in memory; only those shared are noted.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_internal.h"

static int64_t uses(SqliteStore *self, int64_t id)
{
    intptr_t count = (intptr_t)flow_map_get(&self->shared_bodies, (const char *)&id, sizeof id);
    return count != 0 ? count : 1;
}

static void set_uses(SqliteStore *self, int64_t id, int64_t count)
{
    if (count <= 1)
        flow_map_remove(&self->shared_bodies, (const char *)&id, sizeof id);
    else if (!flow_map_set(&self->shared_bodies, (const char *)&id, sizeof id, (void *)(intptr_t)count, NULL))
        abort();
}

static void change(SqliteStore *self, int64_t id, int by)
{
    VECTOR_PUSH(self->body_uses, (BodyUse){id, by});
    set_uses(self, id, uses(self, id) + by);
}

void flow_sqlite__body_use(SqliteStore *self, SqliteDelivery *delivery, const SqliteDelivery *like)
{
    FlowBlob *blob = delivery->base.base.body;
    if (like->body_id != 0) {
        delivery->body_id = like->body_id;
        change(self, like->body_id, 1);
        return;
    }
    delivery->body_id = ++self->last_body_id;
    VECTOR_PUSH(self->body_inserts, (BodyInsert){delivery->body_id, flow_blob_ref(blob)});
}

void flow_sqlite__body_release(SqliteStore *self, int64_t body_id)
{
    if (uses(self, body_id) > 1) {
        change(self, body_id, -1);
        return;
    }
    for (size_t i = self->body_inserts.count; i-- > 0;) {
        BodyInsert *insert = &self->body_inserts.items[i];
        if (insert->id == body_id) {
            insert->blob = flow_blob_unref(insert->blob);
            return;
        }
    }
    VECTOR_PUSH(self->body_deletes, body_id);
}

bool flow_sqlite__flush_body_deletes(SqliteStore *self)
{
    for (size_t i = 0; i < self->body_deletes.count; i++) {
        sqlite3_stmt *s = flow_sqlite__statement(self, SQL_BODY_DELETE);
        if (s == NULL)
            return false;
        sqlite3_bind_int64(s, 1, self->body_deletes.items[i]);
        if (!flow_sqlite__run(self, s))
            return false;
    }
    self->body_deletes.count = 0;
    return true;
}

static int by_body(const void *a, const void *b)
{
    int64_t x = ((const BodyUse *)a)->id, y = ((const BodyUse *)b)->id;
    return x < y ? -1 : x > y;
}

/* Most that are shared for a moment (a payload that goes on as it is) aren't any more when it comes to writing. */
static bool flush_uses(SqliteStore *self)
{
    if (self->body_uses.count == self->body_uses_flushed)
        return true;
    size_t count = self->body_uses.count;
    BodyUse *sorted = flow_calloc(count, sizeof *sorted);
    memcpy(sorted, self->body_uses.items, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_body);
    bool ok = true;
    for (size_t i = 0, next; ok && i < count; i = next) {
        int sum = 0;
        for (next = i; next < count && sorted[next].id == sorted[i].id; next++)
            sum += sorted[next].change;
        /* Once written in this transaction, it is written again: the sum tells only of the whole transaction. */
        if (sum == 0 && self->body_uses_flushed == 0)
            continue;
        int64_t left = uses(self, sorted[i].id);
        sqlite3_stmt *s = flow_sqlite__statement(self, left > 1 ? SQL_SHARED_SET : SQL_SHARED_DELETE);
        if ((ok = s != NULL)) {
            sqlite3_bind_int64(s, 1, sorted[i].id);
            if (left > 1)
                sqlite3_bind_int64(s, 2, left);
            ok = flow_sqlite__run(self, s);
        }
    }
    free(sorted);
    self->body_uses_flushed = count;
    return ok;
}

static void drop_inserts(SqliteStore *self)
{
    for (size_t i = 0; i < self->body_inserts.count; i++)
        flow_blob_unref(self->body_inserts.items[i].blob);
    self->body_inserts.count = 0;
}

bool flow_sqlite__flush_body_inserts(SqliteStore *self)
{
    for (size_t i = 0; i < self->body_inserts.count; i++) {
        BodyInsert *insert = &self->body_inserts.items[i];
        if (insert->blob == NULL)
            continue;
        sqlite3_stmt *s = flow_sqlite__statement(self, SQL_BODY_INSERT);
        if (s == NULL)
            return false;
        sqlite3_bind_int64(s, 1, insert->id);
        flow_sqlite__bind_blob(s, 2, insert->blob);
        if (!flow_sqlite__run(self, s))
            return false;
    }
    drop_inserts(self);
    return flush_uses(self);
}

void flow_sqlite__undo_bodies(SqliteStore *self)
{
    for (size_t i = self->body_uses.count; i-- > 0;) {
        BodyUse *use = &self->body_uses.items[i];
        set_uses(self, use->id, uses(self, use->id) - use->change);
    }
    self->body_uses.count = self->body_uses_flushed = 0;
    self->body_deletes.count = 0;
    drop_inserts(self);
}

void flow_sqlite__forget_body_uses(SqliteStore *self)
{
    self->body_uses.count = self->body_uses_flushed = 0;
}

bool flow_sqlite__bodies_load(SqliteStore *self)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_SHARED_ALL);
    int code = -1;
    while (s != NULL && (code = flow_sqlite__step(self, s)) == SQLITE_ROW)
        set_uses(self, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1));
    if (code < 0)
        return false;
    sqlite3_reset(s);
    if ((s = flow_sqlite__statement(self, SQL_BODY_LAST)) == NULL || flow_sqlite__step(self, s) != SQLITE_ROW)
        return false;
    self->last_body_id = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return true;
}
