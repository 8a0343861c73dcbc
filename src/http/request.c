/* request.c - what handlers see of a request, and how they answer it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"
#include "http/internal.h"
#include "http/reply.h"
#include "value/json.h"

/* --------------------------------------------------------------------------- what handlers can see */

const char *flow_http_method(const FlowHttpRequest *request)
{
    return http_method_str((enum http_method)request->connection->parser.method);
}

const char *flow_http_path(const FlowHttpRequest *request)
{
    return request->target.len != 0 ? request->target.data + request->path : "";
}

const char *flow_http_query(const FlowHttpRequest *request)
{
    return request->target.len != 0 ? request->target.data + request->query : "";
}

bool flow_http_header_at(const FlowHttpRequest *request, size_t index, const char **ret_name,
                         const char **ret_value)
{
    if (index >= request->header_count)
        return false;
    *ret_name = request->head.data + request->headers[index].name;
    *ret_value = request->headers[index].value != 0 ? request->head.data + request->headers[index].value : "";
    return true;
}

const char *flow_http_header(const FlowHttpRequest *request, const char *name)
{
    const char *there, *value;
    for (size_t i = 0; flow_http_header_at(request, i, &there, &value); i++)
        if (strcmp(there, name) == 0)
            return value;
    return NULL;
}

const char *flow_http_body(const FlowHttpRequest *request, size_t *ret_len)
{
    *ret_len = request->body.len;
    return request->body.len != 0 ? request->body.data : "";
}

const char *flow_http_peer(const FlowHttpRequest *request)
{
    return request->connection->peer;
}

bool flow_http_is_secure(const FlowHttpRequest *request)
{
    return request->connection->tls != NULL;
}

void flow_http_identity(const FlowHttpRequest *request, char *to, size_t size)
{
    *to = '\0';
    if (request->connection->tls != NULL)
        flow_http__tls_identity(request->connection->tls, to, size);
}

bool flow_http_is_local(const FlowHttpRequest *request)
{
    return request->connection->listener->address.local;
}

bool flow_http_is_unix(const FlowHttpRequest *request)
{
    return request->connection->listener->address.kind != FLOW_LISTEN_TCP;
}

/* Whether a comma-separated list has this word, in any case. */
bool flow_http_list_has(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; at != NULL && *at != '\0';) {
        at += strspn(at, " \t,");
        size_t size = strcspn(at, ",;");
        while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t'))
            size--;
        if (size == len && strncasecmp(at, word, len) == 0)
            return true;
        at = strchr(at, ',');
    }
    return false;
}

bool flow_http_wants_websocket(const FlowHttpRequest *request)
{
    const char *upgrade = flow_http_header(request, "upgrade");
    return upgrade != NULL && flow_http_list_has(upgrade, "websocket") &&
           flow_http_list_has(flow_http_header(request, "connection"), "upgrade");
}

/* ---------------------------------------------------------------------------------------- replies */

static const char *phrase_of(int code)
{
    switch (code) {
#define X(number, name, string)                                                                              \
    case number:                                                                                             \
        return #string;
        HTTP_STATUS_MAP(X)
#undef X
    default:
        return code == 499 ? "Client Closed Request" : "Unknown";
    }
}

/* The date changes once a second, requests come faster. One thread: each server has its own. */
static const char *date(void)
{
    static _Thread_local char text[40];
    static _Thread_local time_t made;
    time_t now = (time_t)(flow_clock_wall_ns(flow_clock_real()) / FLOW_NS_PER_S);
    if (now != made) {
        struct tm parts;
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
        made = now;
    }
    return text;
}

static void put_text(FlowHttpRequest *request, const char *text)
{
    flow_http__put(request, text, strlen(text));
}

/* Status line and what all replies have; `more` are header lines. */
static void put_head(FlowHttpRequest *request, int code, const char *type, const char *more)
{
    FlowHttpConnection *self = request->connection;
    char line[512];
    request->code = code;
    snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s%s", code, phrase_of(code), date(),
             type != NULL ? "Content-Type: " : "", type != NULL ? type : "", type != NULL ? "\r\n" : "");
    put_text(request, line);
    put_text(request, more);
    put_text(request, "X-Content-Type-Options: nosniff\r\n");
    if (request->reply_head.len == 0 || strstr(flow_buf_text(&request->reply_head), "Cache-Control:") == NULL)
        put_text(request, "Cache-Control: no-store\r\n");
    if (!self->keep_alive)
        put_text(request, "Connection: close\r\n");
    else if (self->parser.http_minor == 0)
        put_text(request, "Connection: keep-alive\r\n");
    flow_http__put(request, request->reply_head.data, request->reply_head.len);
    put_text(request, "\r\n");
}

static bool has_body(const FlowHttpRequest *request, int code)
{
    return request->connection->parser.method != HTTP_HEAD && code != 204 && code != 304;
}

void flow_http_reply(FlowHttpRequest *request, int code, const char *type, const void *body, size_t len)
{
    char length[64] = "";
    if (code != 204 && code != 304)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", len);
    put_head(request, code, code == 204 || code == 304 ? NULL : type, length);
    if (has_body(request, code)) {
        flow_http__put(request, body, len);
        request->sent = len;
    }
    flow_http__done(request);
}

void flow_http_begin(FlowHttpRequest *request, int code, const char *type)
{
    request->began = true;
    request->chunked = request->connection->parser.http_minor == 1;
    if (!request->chunked)
        request->connection->keep_alive = false;
    put_head(request, code, type, request->chunked ? "Transfer-Encoding: chunked\r\n" : "");
    flow_http__flush(request);
}

void flow_http_write(FlowHttpRequest *request, const void *bytes, size_t len)
{
    char size[24];
    if (len == 0 || !has_body(request, request->code))
        return;
    if (request->chunked)
        flow_http__put(request, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", len));
    flow_http__put(request, bytes, len);
    if (request->chunked)
        flow_http__put(request, "\r\n", 2);
    request->sent += len;
    flow_http__flush(request);
}

size_t flow_http_waiting(const FlowHttpRequest *request)
{
    return request->connection->out.len + request->connection->sending.len;
}

void flow_http_end(FlowHttpRequest *request)
{
    if (request->chunked && has_body(request, request->code))
        put_text(request, "0\r\n\r\n");
    flow_http__done(request);
}

void flow_http_break(FlowHttpRequest *request)
{
    request->watch = NULL;
    flow_http__close(request->connection);
    flow_http__done(request);
}

void flow_http_watch(FlowHttpRequest *request, const FlowHttpWatch *watch, void *data)
{
    request->watch = watch;
    request->watch_data = data;
}

void flow_http_set_header(FlowHttpRequest *request, const char *name, const char *value)
{
    flow_buf_printf(&request->reply_head, "%s: %s\r\n", name, value);
}

void flow_http_set_log_id(FlowHttpRequest *request, const char *id)
{
    request->log_id = id;
}

/* ----------------------------------------------------------------------------------------- errors */

/* Every reply has one; a call's own is set by the call. */
void flow_http_set_request_id(FlowHttpRequest *request)
{
    const char *given = flow_http_header(request, "x-request-id");
    char made[FLOW_UUID_TEXT];
    if (request->reply_head.len != 0 && strstr(flow_buf_text(&request->reply_head), "X-Request-Id:") != NULL)
        return;
    if (given == NULL || !flow_id_valid(given, strlen(given))) {
        flow_uuid_make(flow_clock_wall_ns(flow_clock_real()), made);
        given = made;
    }
    flow_http_set_header(request, "X-Request-Id", given);
}

void flow_http_fail_with_code(FlowHttpRequest *request, int http_code, const FlowError *error)
{
    FlowRpcDetails details;
    FlowBuf body;
    flow_buf_init(&body, 0);
    flow_rpc_details_init(&details, error);
    flow_http_status_json(&details, &body);
    flow_rpc_details_done(&details);
    flow_http_set_request_id(request);
    if (http_code == 401)
        flow_http_set_header(request, "WWW-Authenticate", "Bearer");
    flow_http_reply(request, http_code, "application/json", body.data, body.len);
    flow_buf_done(&body);
}

void flow_http_fail(FlowHttpRequest *request, const FlowError *error)
{
    flow_http_fail_with_code(request, flow_http_code_of(error->status, error->reason), error);
}
