/* sqlite_letter.c - dead letters. */
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "store/sqlite_internal.h"

void flow_sqlite__letters_touch(SqliteStore *self)
{
    if (self->letters_dirty)
        return;
    self->letters_dirty = true;
    self->letters_before = self->letters;
}

bool flow_sqlite__letters_open(SqliteStore *self, uint64_t *ret_count)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LETTER_OPEN_COUNT);
    if (s == NULL || flow_sqlite__step(self, s) != SQLITE_ROW)
        return false;
    *ret_count = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return true;
}

bool flow_sqlite__letter_insert(SqliteStore *self, const FlowDeadLetter *letter)
{
    int64_t now_ns = flow_clock_wall_ns(self->clock);
    char id[FLOW_UUID_TEXT], fingerprint[FLOW_FINGERPRINT_TEXT];
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LETTER_INSERT);
    if (s == NULL)
        return false;
    const char *given = flow_store__text(letter->id), *print = flow_store__text(letter->fingerprint);
    if (given[0] == '\0')
        flow_uuid_make(now_ns, id);
    if (print[0] == '\0')
        flow_dead_letter_fingerprint(letter->reason, letter->workflow_id, letter->node_id, letter->message,
                                     fingerprint);
    int i = 1;
    flow_sqlite__bind_text(s, i++, given[0] != '\0' ? given : id);
    flow_sqlite__bind_text(s, i++, letter->workflow_id);
    flow_sqlite__bind_text(s, i++, letter->workflow_name);
    sqlite3_bind_int64(s, i++, letter->workflow_revision);
    flow_sqlite__bind_text(s, i++, letter->run_id);
    flow_sqlite__bind_text(s, i++, letter->producer_node_id);
    flow_sqlite__bind_text(s, i++, letter->node_id);
    flow_sqlite__bind_text(s, i++, letter->node_type);
    flow_sqlite__bind_text(s, i++, letter->queue);
    sqlite3_bind_int64(s, i++, (int64_t)letter->delivery_id);
    flow_sqlite__bind_text(s, i++, letter->reason);
    flow_sqlite__bind_text(s, i++, letter->code);
    flow_sqlite__bind_text(s, i++, letter->message);
    flow_sqlite__bind_text(s, i++, print[0] != '\0' ? print : fingerprint);
    flow_sqlite__bind_text(s, i++, letter->payload_id);
    sqlite3_bind_int64(s, i++, letter->time_ns != 0 ? letter->time_ns : now_ns);
    sqlite3_bind_int64(s, i++, letter->redrives);
    flow_sqlite__bind_text(s, i++, letter->edited_from);
    flow_sqlite__bind_blob(s, i++, letter->payload);
    flow_sqlite__bind_blob(s, i++, letter->input);
    flow_sqlite__bind_blob(s, i++, letter->form);
    flow_sqlite__bind_blob(s, i++, letter->details);
    if (!flow_sqlite__run(self, s))
        return false;
    flow_sqlite__letters_touch(self);
    self->letters.made++;
    return true;
}

/* ---- filters -------------------------------------------------------------------------------------------- */

/* Texts that a filter compares, with their columns. */
static size_t texts_of(const FlowDeadLetterFilter *filter, const char *columns[7], const char *values[7])
{
    const struct {
        const char *column, *value;
    } all[] = {
        {"workflow_id", filter->workflow_id},
        {"run_id", filter->run_id},
        {"node_id", filter->node_id},
        {"producer_node_id", filter->producer_node_id},
        {"queue", filter->queue},
        {"reason", filter->reason},
        {"fingerprint", filter->fingerprint},
    };
    size_t count = 0;
    for (size_t i = 0; i < FLOW_COUNT(all); i++) {
        if (flow_store__text(all[i].value)[0] == '\0')
            continue;
        columns[count] = all[i].column;
        values[count++] = all[i].value;
    }
    return count;
}

/* "WHERE …" with its values bound by bind_filter(), which answers the next free index. */
static void append_filter(FlowBuf *sql, const FlowDeadLetterFilter *filter)
{
    const char *columns[7], *values[7];
    size_t count = texts_of(filter, columns, values);
    unsigned states = filter->states != 0 ? filter->states : 1u << FLOW_DEAD_LETTER_OPEN;
    /* The plus keeps SQLite from choosing the index by state where a narrower one is at hand. */
    flow_buf_printf(sql, " WHERE (1 << %sstate) & %u", count != 0 ? "+" : "", states);
    if (count == 0 && (states & (states - 1)) == 0)
        flow_buf_printf(sql, " AND state = %d", __builtin_ctz(states));
    for (size_t i = 0; i < count; i++)
        flow_buf_printf(sql, " AND %s = ?", columns[i]);
    if (filter->after_ns != 0)
        flow_buf_str(sql, " AND time_ns >= ?");
    if (filter->before_ns != 0)
        flow_buf_str(sql, " AND time_ns < ?");
}

static int bind_filter(sqlite3_stmt *s, const FlowDeadLetterFilter *filter)
{
    const char *columns[7], *values[7];
    size_t count = texts_of(filter, columns, values);
    int next = 1;
    for (size_t i = 0; i < count; i++)
        flow_sqlite__bind_text(s, next++, values[i]);
    if (filter->after_ns != 0)
        sqlite3_bind_int64(s, next++, filter->after_ns);
    if (filter->before_ns != 0)
        sqlite3_bind_int64(s, next++, filter->before_ns);
    return next;
}

static sqlite3_stmt *prepare(SqliteStore *self, const FlowDeadLetterFilter *filter, const char *before,
                             const char *after, int *ret_next)
{
    FlowBuf sql;
    flow_buf_init(&sql, 0);
    flow_buf_str(&sql, before);
    append_filter(&sql, filter);
    flow_buf_str(&sql, after);
    sqlite3_stmt *s = flow_sqlite__prepare(self, flow_buf_text(&sql));
    flow_buf_done(&sql);
    if (s != NULL)
        *ret_next = bind_filter(s, filter);
    return s;
}

/* A row of SQLITE_LETTER_COLUMNS; with bodies the four blobs behind them. */
static bool read_letter(SqliteStore *self, FlowStoreOp *op, sqlite3_stmt *s, bool with_bodies,
                        FlowDeadLetter *ret)
{
    bool failed = false;
    *ret = (FlowDeadLetter){
        .id = flow_sqlite__result_text(op, s, 1, &failed),
        .state = (FlowDeadLetterState)sqlite3_column_int(s, 2),
        .workflow_id = flow_sqlite__result_text(op, s, 3, &failed),
        .workflow_name = flow_sqlite__result_text(op, s, 4, &failed),
        .workflow_revision = sqlite3_column_int64(s, 5),
        .run_id = flow_sqlite__result_text(op, s, 6, &failed),
        .producer_node_id = flow_sqlite__result_text(op, s, 7, &failed),
        .node_id = flow_sqlite__result_text(op, s, 8, &failed),
        .node_type = flow_sqlite__result_text(op, s, 9, &failed),
        .queue = flow_sqlite__result_text(op, s, 10, &failed),
        .delivery_id = (uint64_t)sqlite3_column_int64(s, 11),
        .reason = flow_sqlite__result_text(op, s, 12, &failed),
        .code = flow_sqlite__result_text(op, s, 13, &failed),
        .message = flow_sqlite__result_text(op, s, 14, &failed),
        .fingerprint = flow_sqlite__result_text(op, s, 15, &failed),
        .payload_id = flow_sqlite__result_text(op, s, 16, &failed),
        .time_ns = sqlite3_column_int64(s, 17),
        .redrives = (uint32_t)sqlite3_column_int64(s, 18),
        .redriven_ns = sqlite3_column_int64(s, 19),
        .redrive_id = flow_sqlite__result_text(op, s, 20, &failed),
        .edited_from = flow_sqlite__result_text(op, s, 21, &failed),
    };
    if (with_bodies && !failed) {
        ret->payload = flow_sqlite__result_blob(op, s, 22, &failed);
        ret->input = flow_sqlite__result_blob(op, s, 23, &failed);
        ret->form = flow_sqlite__result_blob(op, s, 24, &failed);
        ret->details = flow_sqlite__result_blob(op, s, 25, &failed);
    }
    if (failed)
        flow_sqlite__no_memory(self);
    return !failed;
}

/* ---- operations ----------------------------------------------------------------------------------------- */

Result flow_sqlite__dead_letter_get(SqliteStore *self, FlowStoreDeadLetterGet *op)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LETTER_BY_ID);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, op->id);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return FAULT;
    Result result = DONE;
    if (code != SQLITE_ROW)
        result = flow_sqlite__refuse(&op->op, FLOW_NOT_FOUND, "DEAD_LETTER_NOT_FOUND", op->id,
                                     "there is no dead letter %.100s", flow_store__text(op->id));
    else if (!read_letter(self, &op->op, s, true, &op->letter))
        result = FAULT;
    sqlite3_reset(s);
    return result;
}

Result flow_sqlite__dead_letter_list(SqliteStore *self, FlowStoreDeadLetterList *op)
{
    Result refused;
    int64_t before;
    int next;
    op->count = 0;
    op->next_token[0] = '\0';
    if (!flow_sqlite__page_ok(&op->op, op->max, &refused) ||
        !flow_sqlite__token_read(&op->op, op->token, INT64_MAX, &before, &refused))
        return refused;
    op->letters = flow_store__results(&op->op, op->max * sizeof *op->letters);
    if (op->letters == NULL)
        return flow_sqlite__no_memory(self);
    sqlite3_stmt *s = prepare(self, &op->filter,
                              op->with_bodies ? "SELECT " SQLITE_LETTER_COLUMNS
                                                ", payload, input, form, details FROM dead_letter"
                                              : "SELECT " SQLITE_LETTER_COLUMNS " FROM dead_letter",
                              " AND no < ? ORDER BY no DESC LIMIT ?", &next);
    if (s == NULL)
        return FAULT;
    sqlite3_bind_int64(s, next, before);
    sqlite3_bind_int64(s, next + 1, (int64_t)op->max + 1);
    size_t bytes = 0, max_bytes = op->max_bytes != 0 ? op->max_bytes : (size_t)16 << 20;
    int64_t last = 0;
    int code;
    bool ok = true;
    while (ok && (code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
        for (int i = 22; op->with_bodies && i < 26; i++)
            bytes += (size_t)sqlite3_column_bytes(s, i);
        if (op->count == op->max || (op->count != 0 && bytes > max_bytes)) {
            flow_sqlite__token_make(&op->op, op->next_token, last);
            break;
        }
        last = sqlite3_column_int64(s, 0);
        ok = read_letter(self, &op->op, s, op->with_bodies, &op->letters[op->count++]);
    }
    sqlite3_finalize(s);
    return ok && code >= 0 ? DONE : FAULT;
}

Result flow_sqlite__dead_letter_count(SqliteStore *self, FlowStoreDeadLetterCount *op)
{
    int next;
    sqlite3_stmt *s = prepare(self, &op->filter, "SELECT count(*) FROM dead_letter", "", &next);
    if (s == NULL)
        return FAULT;
    int code = flow_sqlite__step(self, s);
    op->count = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);
    return code == SQLITE_ROW ? DONE : FAULT;
}

/* Runs a DELETE … RETURNING state. Only what was open is counted: others were when they left that state. */
static bool delete_rows(SqliteStore *self, sqlite3_stmt *s, uint64_t *deleted)
{
    int code;
    while ((code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
        ++*deleted;
        self->letters.deleted += sqlite3_column_int(s, 0) == FLOW_DEAD_LETTER_OPEN;
    }
    return code == SQLITE_DONE;
}

Result flow_sqlite__dead_letter_delete(SqliteStore *self, FlowStoreDeadLetterDelete *op)
{
    op->deleted = 0;
    op->more = false;
    flow_sqlite__letters_touch(self);
    for (size_t i = 0; i < op->count; i++) {
        sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LETTER_DELETE);
        if (s == NULL)
            return FAULT;
        flow_sqlite__bind_text(s, 1, op->ids[i]);
        if (!delete_rows(self, s, &op->deleted))
            return FAULT;
        sqlite3_reset(s);
    }
    if (op->count != 0)
        return DONE;
    int next;
    uint64_t max = op->max != 0 ? op->max : 10000;
    sqlite3_stmt *s =
        prepare(self, &op->filter, "DELETE FROM dead_letter WHERE no IN (SELECT no FROM dead_letter",
                " ORDER BY no LIMIT ?) RETURNING state", &next);
    if (s == NULL)
        return FAULT;
    sqlite3_bind_int64(s, next, (int64_t)max);
    bool ok = delete_rows(self, s, &op->deleted);
    sqlite3_finalize(s);
    op->more = op->deleted == max;
    return ok ? DONE : FAULT;
}
