/* sqlite_run.c - runs and the records of their loops. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite_internal.h"

static Result no_run(FlowStoreOp *op, const char *id)
{
    return flow_sqlite__refuse(op, FLOW_NOT_FOUND, "RUN_NOT_FOUND", id, "there is no run %.100s",
                               flow_store__text(id));
}

bool flow_sqlite__loops_of_run(SqliteStore *self, FlowStoreOp *op, int64_t run_number, const char *run_id,
                               FlowLoopRecord **ret_loops, size_t *ret_count)
{
    VECTOR(FlowLoopRecord) loops = {0};
    /* What open loops have settled in this transaction is in memory; loop_record looks there. */
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LOOP_OF_RUN);
    if (s == NULL)
        return false;
    sqlite3_bind_int64(s, 1, run_number);
    bool ok = true;
    int code;
    while (ok && (code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
        FlowLoopRecord record;
        ok = flow_sqlite__loop_record(self, op, s, run_id, &record);
        if (ok)
            VECTOR_PUSH(loops, record);
    }
    sqlite3_reset(s);
    if (ok && code >= 0) {
        *ret_loops = flow_store__results(op, loops.count * sizeof **ret_loops);
        *ret_count = loops.count;
        if (*ret_loops == NULL)
            flow_sqlite__no_memory(self);
        else if (loops.count != 0)
            memcpy(*ret_loops, loops.items, loops.count * sizeof **ret_loops);
    }
    free(loops.items);
    return ok && code >= 0 && *ret_loops != NULL;
}

/* A row of SQLITE_RUN_COLUMNS, without its loops. */
static bool read_run(SqliteStore *self, FlowStoreOp *op, sqlite3_stmt *s, FlowRunRecord *ret_run)
{
    bool failed = false;
    *ret_run = (FlowRunRecord){
        .id = flow_sqlite__result_text(op, s, 1, &failed),
        .workflow_id = flow_sqlite__result_text(op, s, 2, &failed),
        .workflow_name = flow_sqlite__result_text(op, s, 3, &failed),
        .workflow_revision = sqlite3_column_int64(s, 4),
        .inline_workflow = sqlite3_column_int(s, 5) != 0,
        .state = sqlite3_column_int(s, 6),
        .active = sqlite3_column_int(s, 7) != 0,
        .create_ns = sqlite3_column_int64(s, 8),
        .start_ns = sqlite3_column_int64(s, 9),
        .end_ns = sqlite3_column_int64(s, 10),
        .spec = flow_sqlite__result_blob(op, s, 11, &failed),
        .status = flow_sqlite__result_blob(op, s, 12, &failed),
    };
    if (failed)
        flow_sqlite__no_memory(self);
    return !failed;
}

/* The run with its loops. */
static Result get(SqliteStore *self, FlowStoreOp *op, const char *id, FlowRunRecord *ret_run,
                  int64_t *ret_number)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_RUN_GET);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, id);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return FAULT;
    if (code != SQLITE_ROW) {
        sqlite3_reset(s);
        return no_run(op, id);
    }
    *ret_number = sqlite3_column_int64(s, 0);
    bool ok = read_run(self, op, s, ret_run);
    sqlite3_reset(s);
    return ok && flow_sqlite__loops_of_run(self, op, *ret_number, ret_run->id, &ret_run->loops,
                                           &ret_run->loop_count)
               ? DONE
               : FAULT;
}

Result flow_sqlite__run_get(SqliteStore *self, FlowStoreRunGet *op)
{
    int64_t number;
    return get(self, &op->op, op->id, &op->run, &number);
}

/* REFUSED when there is an active run of this workflow. */
Result flow_sqlite__no_active_run(SqliteStore *self, FlowStoreOp *op, const char *workflow_id)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_RUN_ACTIVE);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, workflow_id);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return FAULT;
    Result result = DONE;
    if (code == SQLITE_ROW)
        result = flow_sqlite__refuse(op, FLOW_FAILED_PRECONDITION, "RUN_ACTIVE", flow_sqlite__text(s, 0),
                                     "workflow %.100s has an active run, %.100s: stop it first", workflow_id,
                                     flow_sqlite__text(s, 0));
    sqlite3_reset(s);
    return result;
}

static Result insert(SqliteStore *self, FlowStoreRunCreate *op, int64_t revision)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_RUN_INSERT);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, op->id);
    flow_sqlite__bind_text(s, 2, op->workflow_id);
    flow_sqlite__bind_text(s, 3, op->workflow_name);
    sqlite3_bind_int64(s, 4, revision);
    sqlite3_bind_int(s, 5, op->definition != NULL);
    sqlite3_bind_int(s, 6, op->state);
    sqlite3_bind_int64(s, 7, flow_clock_wall_ns(self->clock));
    flow_sqlite__bind_blob(s, 8, op->spec);
    return flow_sqlite__run(self, s) ? DONE : FAULT;
}

Result flow_sqlite__run_create(SqliteStore *self, FlowStoreRunCreate *op)
{
    Result result;
    Request request;
    int64_t number, revision = op->definition != NULL ? 1 : op->workflow_revision;
    bool idempotent = flow_store__text(op->request_id)[0] != '\0';
    op->replayed = false;
    if (!self->balanced)
        return flow_sqlite__unbalanced(self, &op->op);
    if (!flow_sqlite__id_ok(op->id))
        return flow_sqlite__bad_id(&op->op, "id");
    if (!flow_sqlite__id_ok(op->workflow_id))
        return flow_sqlite__bad_id(&op->op, "workflow_id");
    if (idempotent) {
        result =
            flow_sqlite__request_find(self, &op->op, REQUEST_RUN, op->request_id, op->request_hash, &request);
        if (result != DONE)
            return result;
        if (request.found) {
            op->replayed = true;
            return get(self, &op->op, request.text, &op->run, &number);
        }
    }
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_RUN_GET);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, op->id);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return FAULT;
    sqlite3_reset(s);
    if (code == SQLITE_ROW)
        return flow_sqlite__refuse(&op->op, FLOW_ALREADY_EXISTS, "RUN_EXISTS", op->id,
                                   "there is a run %.100s already", op->id);
    result = flow_sqlite__no_active_run(self, &op->op, op->workflow_id);
    if (result == DONE)
        result = op->definition != NULL
                     ? flow_sqlite__workflow_keep_inline(self, &op->op, op->workflow_id, op->workflow_name,
                                                         op->definition)
                     : flow_sqlite__workflow_revision(self, &op->op, op->workflow_id, &revision);
    if (result == DONE)
        result = insert(self, op, revision);
    if (result == DONE && idempotent &&
        !flow_sqlite__request_keep(self, REQUEST_RUN, op->request_id, op->request_hash, 0, op->id))
        result = FAULT;
    return result == DONE ? get(self, &op->op, op->id, &op->run, &number) : result;
}

Result flow_sqlite__run_save(SqliteStore *self, FlowStoreRunSave *op)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_RUN_GET);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, op->id);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return FAULT;
    if (code != SQLITE_ROW) {
        sqlite3_reset(s);
        return no_run(&op->op, op->id);
    }
    bool failed = false;
    int64_t number = sqlite3_column_int64(s, 0);
    int64_t revision = op->workflow_revision != 0 ? op->workflow_revision : sqlite3_column_int64(s, 4);
    int state = op->state != 0 ? op->state : sqlite3_column_int(s, 6);
    bool active = sqlite3_column_int(s, 7) != 0 && !op->ended;
    int64_t start_ns = op->start_ns != 0 ? op->start_ns : sqlite3_column_int64(s, 9);
    int64_t end_ns = op->end_ns != 0 ? op->end_ns : sqlite3_column_int64(s, 10);
    FlowBlob *status = op->status != NULL ? flow_blob_ref(op->status) : flow_sqlite__blob(s, 12, &failed);
    sqlite3_reset(s);
    Result result = FAULT;
    if (failed) {
        flow_sqlite__no_memory(self);
    } else if ((s = flow_sqlite__statement(self, SQL_RUN_SAVE)) != NULL) {
        sqlite3_bind_int64(s, 1, number);
        sqlite3_bind_int(s, 2, state);
        sqlite3_bind_int(s, 3, active);
        sqlite3_bind_int64(s, 4, revision);
        sqlite3_bind_int64(s, 5, start_ns);
        sqlite3_bind_int64(s, 6, end_ns);
        flow_sqlite__bind_blob(s, 7, status);
        if (flow_sqlite__run(self, s))
            result = DONE;
    }
    flow_blob_unref(status);
    return result;
}

Result flow_sqlite__run_list(SqliteStore *self, FlowStoreRunList *op)
{
    Result refused;
    int64_t before;
    op->count = 0;
    op->next_token[0] = '\0';
    if (!flow_sqlite__page_ok(&op->op, op->max, &refused) ||
        !flow_sqlite__token_read(&op->op, op->token, INT64_MAX, &before, &refused))
        return refused;
    const char *workflow_id = flow_store__text(op->workflow_id);
    FlowBuf sql;
    flow_buf_init(&sql, 0);
    flow_buf_str(&sql, "SELECT " SQLITE_RUN_COLUMNS " FROM run WHERE no < ?1");
    if (workflow_id[0] != '\0')
        flow_buf_str(&sql, " AND workflow_id = ?2");
    if (op->active_only)
        flow_buf_str(&sql, " AND active");
    if (op->states != 0)
        flow_buf_str(&sql, " AND (1 << state) & ?3");
    flow_buf_str(&sql, " ORDER BY no DESC LIMIT ?4");
    sqlite3_stmt *s = flow_sqlite__prepare(self, flow_buf_text(&sql));
    flow_buf_done(&sql);
    if (s == NULL)
        return FAULT;
    sqlite3_bind_int64(s, 1, before);
    if (workflow_id[0] != '\0')
        flow_sqlite__bind_text(s, 2, workflow_id);
    if (op->states != 0)
        sqlite3_bind_int64(s, 3, (int64_t)op->states);
    sqlite3_bind_int64(s, 4, (int64_t)op->max + 1);
    op->runs = flow_store__results(&op->op, op->max * sizeof *op->runs);
    bool ok = op->runs != NULL;
    if (!ok)
        flow_sqlite__no_memory(self);
    int code = SQLITE_DONE;
    int64_t last = 0;
    while (ok && (code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
        if (op->count == op->max) {
            flow_sqlite__token_make(&op->op, op->next_token, last);
            break;
        }
        last = sqlite3_column_int64(s, 0);
        FlowRunRecord *run = &op->runs[op->count++];
        ok = read_run(self, &op->op, s, run) &&
             flow_sqlite__loops_of_run(self, &op->op, last, run->id, &run->loops, &run->loop_count);
    }
    sqlite3_finalize(s);
    return ok && code >= 0 ? DONE : FAULT;
}

static Result erase(SqliteStore *self, FlowStoreRunDelete *op)
{
    FlowRunRecord run;
    int64_t number;
    Result result = get(self, &op->op, op->id, &run, &number);
    if (result != DONE)
        return result;
    if (run.active)
        return flow_sqlite__refuse(&op->op, FLOW_FAILED_PRECONDITION, "RUN_ACTIVE", op->id,
                                   "run %.100s has not ended: stop it first", op->id);
    static const StatementId statements[] = {SQL_RUN_DELETE_STATES, SQL_RUN_DELETE_LOOPS, SQL_RUN_DELETE};
    for (size_t i = 0; i < FLOW_COUNT(statements); i++) {
        sqlite3_stmt *s = flow_sqlite__statement(self, statements[i]);
        if (s == NULL)
            return FAULT;
        sqlite3_bind_int64(s, 1, number);
        if (!flow_sqlite__run(self, s))
            return FAULT;
    }
    if (!run.inline_workflow)
        return DONE;
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_RUN_OF_WORKFLOW);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, run.workflow_id);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return FAULT;
    sqlite3_reset(s);
    return code == SQLITE_ROW || flow_sqlite__workflow_erase(self, run.workflow_id) ? DONE : FAULT;
}

Result flow_sqlite__run_delete(SqliteStore *self, FlowStoreRunDelete *op)
{
    Result result = erase(self, op);
    flow_store_op_done(&op->op); /* what was read of the run is nobody's result */
    return result;
}
