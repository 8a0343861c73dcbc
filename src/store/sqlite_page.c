/* sqlite_page.c - page tokens, and the memory of request ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite_internal.h"

bool flow_sqlite__page_ok(FlowStoreOp *op, size_t max, Result *ret_refused)
{
    if (max >= 1 && max <= FLOW_STORE_PAGE_MAX)
        return true;
    *ret_refused = flow_sqlite__refuse(op, FLOW_INVALID_ARGUMENT, "PAGE_SIZE", "page_size",
                                       "a page has 1 to %d entries", FLOW_STORE_PAGE_MAX);
    return false;
}

/* The kind of list stands in the token, so that one list's isn't taken for another's. */
void flow_sqlite__token_make(FlowStoreOp *op, char to[FLOW_STORE_TOKEN], int64_t position)
{
    snprintf(to, FLOW_STORE_TOKEN, "%02x%llx", (unsigned)op->kind, (unsigned long long)position);
}

void flow_sqlite__name_token_make(FlowStoreOp *op, char to[FLOW_STORE_TOKEN], const char *name)
{
    char *end = to + snprintf(to, FLOW_STORE_TOKEN, "%02x", (unsigned)op->kind);
    for (; *name != '\0'; name++)
        end += sprintf(end, "%02x", (unsigned)(unsigned char)*name); /* a name fits: FLOW_STORE_NAME_MAX */
}

/* What stands behind the kind; NULL when it is no token of this list. */
static const char *token_rest(FlowStoreOp *op, const char *token, Result *ret_refused)
{
    char kind[8];
    snprintf(kind, sizeof kind, "%02x", (unsigned)op->kind);
    if (strncmp(token, kind, 2) == 0 && token[2] != '\0' && strlen(token) < FLOW_STORE_TOKEN &&
        strspn(token, "0123456789abcdef") == strlen(token))
        return token + 2;
    *ret_refused =
        flow_sqlite__refuse(op, FLOW_INVALID_ARGUMENT, "PAGE_TOKEN", "page_token",
                            "this page token is none that this list has given: begin with the first page");
    return NULL;
}

bool flow_sqlite__token_read(FlowStoreOp *op, const char *token, int64_t first, int64_t *ret_position,
                             Result *ret_refused)
{
    *ret_position = first;
    if (flow_store__text(token)[0] == '\0')
        return true;
    const char *rest = token_rest(op, token, ret_refused);
    if (rest == NULL)
        return false;
    unsigned long long position = strtoull(rest, NULL, 16);
    *ret_position = position <= INT64_MAX ? (int64_t)position : INT64_MAX;
    return true;
}

bool flow_sqlite__name_token_read(FlowStoreOp *op, const char *token, char ret_name[FLOW_STORE_TOKEN / 2],
                                  Result *ret_refused)
{
    ret_name[0] = '\0';
    if (flow_store__text(token)[0] == '\0')
        return true;
    const char *rest = token_rest(op, token, ret_refused);
    if (rest == NULL)
        return false;
    size_t len = 0;
    for (unsigned byte; rest[0] != '\0' && rest[1] != '\0'; rest += 2) {
        sscanf(rest, "%2x", &byte);
        ret_name[len++] = (char)byte;
    }
    ret_name[len] = '\0';
    return true;
}

Result flow_sqlite__request_find(SqliteStore *self, FlowStoreOp *op, int kind, const char *id,
                                 const uint8_t hash[FLOW_STORE_HASH], Request *ret_request)
{
    ret_request->found = false;
    if (!flow_sqlite__id_ok(id))
        return flow_sqlite__bad_id(op, "request_id");
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_REQUEST_GET);
    if (s == NULL)
        return FAULT;
    sqlite3_bind_int(s, 1, kind);
    flow_sqlite__bind_text(s, 2, id);
    int code = flow_sqlite__step(self, s);
    if (code < 0)
        return FAULT;
    int64_t oldest = flow_clock_wall_ns(self->clock) - self->base.options.request_ns;
    Result result = DONE;
    if (code == SQLITE_ROW && sqlite3_column_int64(s, 1) >= oldest) {
        if (sqlite3_column_bytes(s, 0) == FLOW_STORE_HASH &&
            memcmp(sqlite3_column_blob(s, 0), hash, FLOW_STORE_HASH) == 0) {
            ret_request->found = true;
            ret_request->number = (uint64_t)sqlite3_column_int64(s, 2);
            snprintf(ret_request->text, sizeof ret_request->text, "%s", flow_sqlite__text(s, 3));
        } else {
            result = flow_sqlite__refuse(
                op, FLOW_INVALID_ARGUMENT, "REQUEST_ID_REUSED", "request_id",
                "request id %.100s was used before with other content: a new request needs a "
                "new id",
                id);
        }
    }
    sqlite3_reset(s);
    return result;
}

bool flow_sqlite__request_keep(SqliteStore *self, int kind, const char *id,
                               const uint8_t hash[FLOW_STORE_HASH], uint64_t number, const char *text)
{
    sqlite3_stmt *s = flow_sqlite__statement(self, SQL_REQUEST_SET);
    if (s == NULL)
        return false;
    sqlite3_bind_int(s, 1, kind);
    flow_sqlite__bind_text(s, 2, id);
    sqlite3_bind_blob(s, 3, hash, FLOW_STORE_HASH, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, flow_clock_wall_ns(self->clock));
    sqlite3_bind_int64(s, 5, (int64_t)number);
    flow_sqlite__bind_text(s, 6, text);
    return flow_sqlite__run(self, s);
}
