/* sqlite_workflow.c - workflows and their revisions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "store/sqlite_internal.h"

static Result no_workflow(FlowStoreOp *op, const char *id)
{
    return flow_sqlite__refuse(op, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND", id, "there is no workflow %.100s",
                               flow_store__text(id));
}

typedef struct Head {
    bool found, deleted, inline_workflow;
    FlowWorkflowRecord record; /* without body; name in `name` */
    char *name;
} Head;

static bool read_head(SqliteStore *self, const char *id, Head *ret_head)
{
    *ret_head = (Head){.found = false};
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_WORKFLOW_GET);
    if (s == NULL)
        return false;
    flow_sqlite__bind_text(s, 1, id);
    int code = flow_sqlite__step(self, s);
    if (code == SQLITE_ROW) {
        ret_head->found = true;
        ret_head->name = flow_strdup(flow_sqlite__text(s, 0));
        ret_head->record.revision = sqlite3_column_int64(s, 1);
        snprintf(ret_head->record.etag, sizeof ret_head->record.etag, "%s", flow_sqlite__text(s, 2));
        ret_head->record.draft = sqlite3_column_int(s, 3) != 0;
        ret_head->deleted = sqlite3_column_int(s, 4) != 0;
        ret_head->inline_workflow = sqlite3_column_int(s, 5) != 0;
        ret_head->record.create_ns = sqlite3_column_int64(s, 6);
        ret_head->record.update_ns = sqlite3_column_int64(s, 7);
    }
    sqlite3_reset(s);
    return code >= 0;
}

static bool write_revision(SqliteStore *self, const char *id, const char *name,
                           const FlowWorkflowRecord *record, FlowBlob *body, bool is_inline)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_WORKFLOW_SET);
    if (s == NULL)
        return false;
    flow_sqlite__bind_text(s, 1, id);
    flow_sqlite__bind_text(s, 2, name);
    sqlite3_bind_int64(s, 3, record->revision);
    flow_sqlite__bind_text(s, 4, record->etag);
    sqlite3_bind_int(s, 5, record->draft);
    sqlite3_bind_int(s, 6, is_inline);
    sqlite3_bind_int64(s, 7, record->create_ns);
    sqlite3_bind_int64(s, 8, record->update_ns);
    if (!flow_sqlite__run(self, s) || (s = flow_sqlite__statement(self, SQL_REVISION_SET)) == NULL)
        return false;
    flow_sqlite__bind_text(s, 1, id);
    sqlite3_bind_int64(s, 2, record->revision);
    flow_sqlite__bind_text(s, 3, name);
    flow_sqlite__bind_text(s, 4, record->etag);
    sqlite3_bind_int(s, 5, record->draft);
    sqlite3_bind_int64(s, 6, record->update_ns);
    flow_sqlite__bind_blob(s, 7, body);
    return flow_sqlite__run(self, s);
}

static void make_etag(FlowWorkflowRecord *record, FlowBlob *body)
{
    static const uint64_t key[2] = {UINT64_C(0x776f726b666c6f77), UINT64_C(0x7265766973696f6e)};
    size_t len;
    const void *bytes = flow_blob_bytes(body, &len);
    snprintf(record->etag, sizeof record->etag, "%lld-%08x", (long long)record->revision,
             (unsigned)flow_siphash(bytes, len, key));
}

static int by_label_key(const void *a, const void *b)
{
    return strcmp(((const FlowStoreLabel *)a)->key, ((const FlowStoreLabel *)b)->key);
}

/* 1: the stored labels are these; 0: they aren't; -1: FAULT. */
static int same_labels(SqliteStore *self, const char *id, const FlowStoreLabel *sorted, size_t count)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LABEL_ALL);
    if (s == NULL)
        return -1;
    flow_sqlite__bind_text(s, 1, id);
    size_t i = 0;
    int code, same = 1;
    for (; (code = flow_sqlite__step(self, s)) == SQLITE_ROW; i++)
        if (i >= count || strcmp(flow_sqlite__text(s, 0), sorted[i].key) != 0 ||
            strcmp(flow_sqlite__text(s, 1), flow_store__text(sorted[i].value)) != 0)
            same = 0;
    sqlite3_reset(s);
    return code < 0 ? -1 : same && i == count;
}

static bool write_labels(SqliteStore *self, const char *id, const FlowStoreLabel *labels, size_t count)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_LABEL_DELETE_ALL);
    if (s == NULL)
        return false;
    flow_sqlite__bind_text(s, 1, id);
    if (!flow_sqlite__run(self, s))
        return false;
    for (size_t i = 0; i < count; i++) {
        if ((s = flow_sqlite__statement(self, SQL_LABEL_SET)) == NULL)
            return false;
        flow_sqlite__bind_text(s, 1, id);
        flow_sqlite__bind_text(s, 2, labels[i].key);
        flow_sqlite__bind_text(s, 3, labels[i].value);
        if (!flow_sqlite__run(self, s))
            return false;
    }
    return true;
}

/* 1: the newest revision is just this; 0: it isn't; -1: FAULT. */
static int is_same(SqliteStore *self, const FlowStoreWorkflowPut *op, const Head *head,
                   const FlowStoreLabel *sorted)
{
    if (head->record.draft != op->draft || strcmp(head->name, flow_store__text(op->name)) != 0)
        return 0;
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_REVISION_GET);
    if (s == NULL)
        return -1;
    flow_sqlite__bind_text(s, 1, op->id);
    sqlite3_bind_int64(s, 2, head->record.revision);
    int code = flow_sqlite__step(self, s);
    size_t len;
    const void *bytes = flow_blob_bytes(op->body, &len);
    bool same = code == SQLITE_ROW && (size_t)sqlite3_column_bytes(s, 4) == len &&
                (len == 0 || memcmp(sqlite3_column_blob(s, 4), bytes, len) == 0);
    if (code >= 0)
        sqlite3_reset(s);
    return code < 0 ? -1 : !same ? 0 : same_labels(self, op->id, sorted, op->label_count);
}

static bool prune(SqliteStore *self, const char *id, int64_t newest)
{
    if (newest <= (int64_t)self->base.options.revisions_max)
        return true;
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_REVISION_PRUNE);
    if (s == NULL)
        return false;
    flow_sqlite__bind_text(s, 1, id);
    sqlite3_bind_int64(s, 2, newest - (int64_t)self->base.options.revisions_max);
    return flow_sqlite__run(self, s);
}

static Result put(SqliteStore *self, FlowStoreWorkflowPut *op, const Head *head, const FlowStoreLabel *sorted)
{
    bool exists = head->found && !head->deleted;
    if (op->create && exists)
        return flow_sqlite__refuse(&op->op, FLOW_ALREADY_EXISTS, "WORKFLOW_EXISTS", op->id,
                                   "there is a workflow %.100s already: update it, or choose another id",
                                   op->id);
    if (!op->create && (!exists || head->inline_workflow))
        return no_workflow(&op->op, op->id);
    const char *etag = flow_store__text(op->etag);
    if (!op->create && etag[0] != '\0' && strcmp(etag, head->record.etag) != 0)
        return flow_sqlite__refuse(
            &op->op, FLOW_ABORTED, "ETAG_STALE", op->id,
            "workflow %.100s has changed since it was read: its etag is %.40s now, not %.40s; "
            "read it again",
            op->id, head->record.etag, etag);
    int same = op->create ? 0 : is_same(self, op, head, sorted);
    if (same < 0)
        return FAULT;
    op->workflow = head->record;
    if (!same) {
        op->changed = true;
        op->workflow.revision++;
        op->workflow.draft = op->draft;
        op->workflow.update_ns = flow_clock_wall_ns(self->clock);
        if (op->create)
            op->workflow.create_ns = op->workflow.update_ns;
        make_etag(&op->workflow, op->body);
        if (!write_revision(self, op->id, op->name, &op->workflow, op->body, false) ||
            !write_labels(self, op->id, sorted, op->label_count) ||
            !prune(self, op->id, op->workflow.revision))
            return FAULT;
    }
    op->workflow.id = op->id;
    op->workflow.name = flow_store__text(op->name);
    op->workflow.body = op->body;
    return DONE;
}

Result flow_sqlite__workflow_put(SqliteStore *self, FlowStoreWorkflowPut *op)
{
    op->changed = false;
    if (!flow_sqlite__id_ok(op->id))
        return flow_sqlite__bad_id(&op->op, "id");
    if (op->body == NULL)
        return flow_sqlite__refuse(&op->op, FLOW_INVALID_ARGUMENT, "BODY_INVALID", op->id,
                                   "a workflow needs a body");
    for (size_t i = 0; i < op->label_count; i++)
        if (!flow_sqlite__id_ok(op->labels[i].key))
            return flow_sqlite__bad_id(&op->op, "labels");
    FlowStoreLabel *sorted = flow_calloc(op->label_count + 1, sizeof *sorted);
    if (op->label_count != 0) {
        memcpy(sorted, op->labels, op->label_count * sizeof *sorted);
        qsort(sorted, op->label_count, sizeof *sorted, by_label_key);
    }
    Head head;
    Result result = read_head(self, op->id, &head) ? put(self, op, &head, sorted) : FAULT;
    free(head.name);
    free(sorted);
    return result;
}

Result flow_sqlite__workflow_keep_inline(SqliteStore *self, FlowStoreOp *op, const char *id, const char *name,
                                         FlowBlob *body)
{
    Head head;
    if (!read_head(self, id, &head))
        return FAULT;
    free(head.name);
    if (head.found)
        return flow_sqlite__refuse(op, FLOW_ALREADY_EXISTS, "WORKFLOW_EXISTS", id,
                                   "there is a workflow %.100s already", id);
    int64_t now_ns = flow_clock_wall_ns(self->clock);
    FlowWorkflowRecord record = {.revision = 1, .create_ns = now_ns, .update_ns = now_ns};
    make_etag(&record, body);
    return write_revision(self, id, name, &record, body, true) ? DONE : FAULT;
}

/* Reads a revision into `record`, whose texts and body are results of `op`. */
static Result read_revision(SqliteStore *self, FlowStoreOp *op, const char *id, FlowWorkflowRecord *record,
                            bool with_body)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_REVISION_GET);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, id);
    sqlite3_bind_int64(s, 2, record->revision);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return FAULT;
    if (code != SQLITE_ROW) {
        sqlite3_reset(s);
        return flow_sqlite__refuse(op, FLOW_NOT_FOUND, "REVISION_NOT_FOUND", id,
                                   "workflow %.100s has no revision %lld", id, (long long)record->revision);
    }
    bool failed = false;
    record->id = flow_store__result_text(op, id, strlen(id));
    record->name = flow_sqlite__result_text(op, s, 0, &failed);
    snprintf(record->etag, sizeof record->etag, "%s", flow_sqlite__text(s, 1));
    record->draft = sqlite3_column_int(s, 2) != 0;
    record->update_ns = sqlite3_column_int64(s, 3);
    if (with_body)
        record->body = flow_sqlite__result_blob(op, s, 4, &failed);
    sqlite3_reset(s);
    return failed || record->id == NULL ? flow_sqlite__no_memory(self) : DONE;
}

Result flow_sqlite__workflow_revision(SqliteStore *self, FlowStoreOp *op, const char *id, int64_t *revision)
{
    Head head;
    if (!read_head(self, id, &head))
        return FAULT;
    free(head.name);
    if (!head.found || head.deleted)
        return no_workflow(op, id);
    if (*revision == 0)
        *revision = head.record.revision;
    FlowWorkflowRecord record = {.revision = *revision};
    return read_revision(self, op, id, &record, false);
}

Result flow_sqlite__workflow_get(SqliteStore *self, FlowStoreWorkflowGet *op)
{
    Head head;
    if (!read_head(self, flow_store__text(op->id), &head))
        return FAULT;
    free(head.name);
    if (!head.found || (head.deleted && op->revision == 0))
        return no_workflow(&op->op, op->id);
    op->workflow = (FlowWorkflowRecord){.create_ns = head.record.create_ns};
    op->workflow.revision = op->revision != 0 ? op->revision : head.record.revision;
    return read_revision(self, &op->op, op->id, &op->workflow, true);
}

Result flow_sqlite__workflow_list(SqliteStore *self, FlowStoreWorkflowList *op)
{
    char after[FLOW_STORE_TOKEN / 2];
    Result refused;
    op->count = 0;
    op->next_token[0] = '\0';
    if (!flow_sqlite__page_ok(&op->op, op->max, &refused) ||
        !flow_sqlite__name_token_read(&op->op, op->token, after, &refused))
        return refused;
    FlowBuf sql;
    flow_buf_init(&sql, 0);
    flow_buf_str(&sql,
                 "SELECT id, revision, create_ns FROM workflow WHERE NOT deleted AND NOT inline_workflow AND "
                 "id > ?1 AND (?2 = '' OR instr(lower(id), lower(?2)) OR instr(lower(name), lower(?2)))");
    if (op->drafts != FLOW_WORKFLOWS_ALL)
        flow_buf_printf(&sql, " AND draft = %d", op->drafts == FLOW_WORKFLOWS_DRAFTS);
    for (size_t i = 0; i < op->label_count; i++)
        flow_buf_printf(&sql,
                        " AND EXISTS (SELECT 1 FROM workflow_label WHERE workflow_id = id AND key = ?%zu AND "
                        "value = ?%zu)",
                        4 + 2 * i, 5 + 2 * i);
    flow_buf_str(&sql, " ORDER BY id LIMIT ?3");
    sqlite3_stmt *s = flow_sqlite__prepare(self, flow_buf_text(&sql));
    flow_buf_done(&sql);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, after);
    flow_sqlite__bind_text(s, 2, op->text);
    sqlite3_bind_int64(s, 3, (int64_t)op->max + 1);
    for (size_t i = 0; i < op->label_count; i++) {
        flow_sqlite__bind_text(s, (int)(4 + 2 * i), op->labels[i].key);
        flow_sqlite__bind_text(s, (int)(5 + 2 * i), op->labels[i].value);
    }
    op->workflows = flow_store__results(&op->op, op->max * sizeof *op->workflows);
    Result result = op->workflows != NULL ? DONE : flow_sqlite__no_memory(self);
    int code = SQLITE_DONE;
    while (result == DONE && (code = flow_sqlite__step(self, s)) == SQLITE_ROW) {
        if (op->count == op->max) {
            flow_sqlite__name_token_make(&op->op, op->next_token, op->workflows[op->count - 1].id);
            break;
        }
        FlowWorkflowRecord *record = &op->workflows[op->count++];
        record->revision = sqlite3_column_int64(s, 1);
        record->create_ns = sqlite3_column_int64(s, 2);
        result = read_revision(self, &op->op, flow_sqlite__text(s, 0), record, op->with_bodies);
    }
    sqlite3_finalize(s);
    return code < 0 ? FAULT : result;
}

Result flow_sqlite__revision_list(SqliteStore *self, FlowStoreRevisionList *op)
{
    Result refused;
    int64_t before;
    Head head;
    op->count = 0;
    op->next_token[0] = '\0';
    if (!flow_sqlite__page_ok(&op->op, op->max, &refused) ||
        !flow_sqlite__token_read(&op->op, op->token, INT64_MAX, &before, &refused))
        return refused;
    if (!read_head(self, flow_store__text(op->id), &head))
        return FAULT;
    free(head.name);
    if (!head.found || head.deleted)
        return no_workflow(&op->op, op->id);
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_REVISION_PAGE);
    op->revisions = flow_store__results(&op->op, op->max * sizeof *op->revisions);
    if (s == NULL || op->revisions == NULL)
        return s == NULL ? FAULT : flow_sqlite__no_memory(self);
    flow_sqlite__bind_text(s, 1, op->id);
    sqlite3_bind_int64(s, 2, before);
    sqlite3_bind_int64(s, 3, (int64_t)op->max + 1);
    bool failed = false;
    int code;
    while ((code = flow_sqlite__step(self, s)) == SQLITE_ROW && !failed) {
        if (op->count == op->max) {
            flow_sqlite__token_make(&op->op, op->next_token, op->revisions[op->count - 1].revision);
            break;
        }
        FlowWorkflowRecord *record = &op->revisions[op->count++];
        *record = (FlowWorkflowRecord){.id = op->id,
                                       .revision = sqlite3_column_int64(s, 0),
                                       .name = flow_sqlite__result_text(&op->op, s, 1, &failed),
                                       .draft = sqlite3_column_int(s, 3) != 0,
                                       .create_ns = head.record.create_ns,
                                       .update_ns = sqlite3_column_int64(s, 4)};
        snprintf(record->etag, sizeof record->etag, "%s", flow_sqlite__text(s, 2));
    }
    if (code >= 0)
        sqlite3_reset(s);
    return failed ? flow_sqlite__no_memory(self) : code < 0 ? FAULT : DONE;
}

bool flow_sqlite__workflow_erase(SqliteStore *self, const char *id)
{
    static const StatementId statements[] = {SQL_REVISION_DELETE_ALL, SQL_LABEL_DELETE_ALL,
                                             SQL_WORKFLOW_DELETE};
    for (size_t i = 0; i < FLOW_COUNT(statements); i++) {
        sqlite3_stmt *s = flow_sqlite__statement(self, statements[i]);
        if (s == NULL)
            return false;
        flow_sqlite__bind_text(s, 1, id);
        if (!flow_sqlite__run(self, s))
            return false;
    }
    return true;
}

Result flow_sqlite__workflow_delete(SqliteStore *self, FlowStoreWorkflowDelete *op)
{
    Head head;
    if (!read_head(self, flow_store__text(op->id), &head))
        return FAULT;
    free(head.name);
    if (!head.found || head.deleted || head.inline_workflow)
        return no_workflow(&op->op, op->id);
    const char *etag = flow_store__text(op->etag);
    if (etag[0] != '\0' && strcmp(etag, head.record.etag) != 0)
        return flow_sqlite__refuse(&op->op, FLOW_ABORTED, "ETAG_STALE", op->id,
                                   "workflow %.100s has changed since it was read: its etag is %.40s now",
                                   op->id, head.record.etag);
    Result result = op->force ? DONE : flow_sqlite__no_active_run(self, &op->op, op->id);
    if (result != DONE)
        return result;
    /* The row stays, marked, so that a workflow of the same id doesn't use a revision number twice. */
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_WORKFLOW_MARK_DELETED);
    if (s == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, op->id);
    if (!flow_sqlite__run(self, s) || (s = flow_sqlite__statement(self, SQL_LABEL_DELETE_ALL)) == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, op->id);
    if (!flow_sqlite__run(self, s) || (s = flow_sqlite__statement(self, SQL_REVISION_PRUNE)) == NULL)
        return FAULT;
    flow_sqlite__bind_text(s, 1, op->id);
    sqlite3_bind_int64(s, 2, INT64_MAX);
    return flow_sqlite__run(self, s) ? DONE : FAULT;
}
