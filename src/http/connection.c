/*
 * connection.c - one client: bytes in, requests to the handler, replies out.
 *
 * The socket is read in every state, so that a client's leaving is seen; what it sends ahead of its turn waits in
 * `ahead`, and when that is full the socket is left alone. A timer guards everything but the handler's own time.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/internal.h"
#include "http/reply.h"

enum {
    AHEAD_MAX = FLOW_HTTP_READ_SIZE,
    WRITE_MS = 30000, /* in which some byte of a reply must have gone */
    LINGER_MS = 1000,
    BODY_STEP_MS = 5000, /* then at least 1 KiB a second must have come */
    BODY_RATE = 1024
};

typedef FlowHttpConnection Connection;
typedef FlowHttpRequest Request;

static void feed(Connection *self, const char *bytes, size_t len);
static void go_on(Connection *self);

/* ---------------------------------------------------------------------------------------- closing */

void flow_http__let_go(Connection *self)
{
    if (--self->holds != 0)
        return;
    self->server->connection_count--;
    flow_list_remove(&self->link);
    flow_buf_done(&self->request.target);
    flow_buf_done(&self->request.head);
    flow_buf_done(&self->request.body);
    flow_buf_done(&self->request.reply_head);
    flow_buf_done(&self->ahead);
    flow_buf_done(&self->out);
    flow_buf_done(&self->sending);
    self->tls = flow_http__tls_free(self->tls);
    free(self);
}

static void on_closed(uv_handle_t *handle)
{
    flow_http__let_go(handle->data);
}

void flow_http__close(Connection *self)
{
    if (self->state == FLOW_HTTP_GONE)
        return;
    bool working = self->state == FLOW_HTTP_WORKING;
    self->state = FLOW_HTTP_GONE;
    flow_timer_stop(&self->timer);
    uv_close(&self->socket.handle, on_closed);
    if (self->relay != NULL)
        flow_http__relay_close(self->relay);
    self->relay = NULL;
    const FlowHttpWatch *watch = self->request.watch;
    if (working && watch != NULL && watch->on_gone != NULL)
        watch->on_gone(&self->request, self->request.watch_data);
}

void flow_http__close_all(FlowHttpServer *server)
{
    FLOW_LIST_FOR_EACH(link, &server->connections)
    {
        flow_http__close(flow_list_entry(link, Connection, link));
    }
}

static void guard(Connection *self, unsigned ms)
{
    flow_timer_start(&self->timer, ms * FLOW_NS_PER_MS);
}

/* ---------------------------------------------------------------------------------------- writing */

static void on_written(uv_write_t *write, int status);

static void flush(Connection *self)
{
    if (self->sending.len != 0 || self->out.len == 0 || self->state == FLOW_HTTP_GONE)
        return;
    uv_buf_t rest = uv_buf_init(self->out.data, (unsigned)self->out.len);
    int sent = uv_try_write(&self->socket.stream, &rest, 1);
    if (sent == (int)self->out.len) {
        flow_buf_clear(&self->out);
        return;
    }
    if (sent < 0 && sent != UV_EAGAIN) {
        flow_http__close(self);
        return;
    }
    FlowBuf swap = self->sending;
    self->sending = self->out;
    self->out = swap;
    size_t from = sent > 0 ? (size_t)sent : 0;
    rest = uv_buf_init(self->sending.data + from, (unsigned)(self->sending.len - from));
    self->write.data = self;
    self->unsent = rest.len;
    guard(self, WRITE_MS);
    if (uv_write(&self->write, &self->socket.stream, &rest, 1, on_written) != 0)
        flow_http__close(self);
}

void flow_http__out(Connection *self, const void *bytes, size_t len)
{
    if (self->state == FLOW_HTTP_GONE)
        return;
    flow_buf_append(&self->out, bytes, len);
    if (self->out.failed)
        flow_http__close(self);
}

void flow_http__push(Connection *self)
{
    flush(self);
}

/* HTTP's bytes, into TLS or right to the socket. */
static void put(Connection *self, const void *bytes, size_t len)
{
    if (self->state == FLOW_HTTP_GONE || len == 0)
        return;
    if (self->tls != NULL)
        flow_http__tls_out(self->tls, bytes, len);
    else
        flow_http__out(self, bytes, len);
}

static bool all_out(const Connection *self)
{
    return self->out.len == 0 && self->sending.len == 0;
}

/* Says that no more comes, and waits a moment for the client to read it: closing with bytes unread would reset. */
static void on_shut_down(uv_shutdown_t *shutdown, int status)
{
    (void)shutdown;
    (void)status;
}

static void linger(Connection *self)
{
    if (self->client_done || self->server->closing) {
        flow_http__close(self);
        return;
    }
    self->state = FLOW_HTTP_LINGERING;
    if (self->tls != NULL)
        flow_http__tls_bye(self->tls);
    flush(self);
    guard(self, LINGER_MS);
    if (self->state == FLOW_HTTP_GONE ||
        uv_shutdown(&self->shutdown, &self->socket.stream, on_shut_down) != 0)
        flow_http__close(self);
    else
        go_on(self);
}

static void next_request(Connection *self)
{
    if (!self->keep_alive || self->server->closing) {
        linger(self);
        return;
    }
    self->state = FLOW_HTTP_READING;
    self->scan = FLOW_HTTP_SCAN_START;
    flow_list_remove(&self->link);
    flow_list_push_back(&self->server->connections, &self->link);
    guard(self, self->server->options.idle_ms);
    if (!self->feeding)
        go_on(self);
}

static void on_written(uv_write_t *write, int status)
{
    Connection *self = write->data;
    flow_buf_clear(&self->sending);
    if (self->sending.capacity > (size_t)1 << 20)
        flow_buf_done(&self->sending);
    if (self->state == FLOW_HTTP_GONE)
        return;
    if (status != 0) {
        flow_http__close(self);
        return;
    }
    flush(self);
    if (!all_out(self))
        return;
    flow_timer_stop(&self->timer);
    const FlowHttpWatch *watch = self->request.watch;
    if (self->state == FLOW_HTTP_FLUSHING)
        next_request(self);
    else if (self->state == FLOW_HTTP_LINGERING)
        guard(self, LINGER_MS);
    else if (self->state == FLOW_HTTP_RELAYED)
        flow_http__relay_look(self->relay);
    else if (self->state == FLOW_HTTP_WORKING && watch != NULL && watch->on_drained != NULL)
        watch->on_drained(&self->request, self->request.watch_data);
}

static void log_access(const Request *request)
{
    const Connection *self = request->connection;
    if (!self->server->options.access_log)
        return;
    const char *id = request->log_id != NULL ? request->log_id : flow_http_header(request, "x-request-id");
    flow_log(FLOW_LOG_INFO, "http", FLOW_F_STR("method", flow_http_method(request)),
             FLOW_F_STR("path", flow_http_path(request)), FLOW_F_INT("code", request->code),
             FLOW_F_INT("bytes", request->sent),
             FLOW_F_FLOAT("ms", (double)(flow_clock_mono_ns(flow_clock_real()) - request->started_ns) / 1e6),
             FLOW_F_STR("peer", self->peer), FLOW_F_STR("request_id", id));
}

/* The reply is complete. */
void flow_http__done(Request *request)
{
    Connection *self = request->connection;
    log_access(request);
    request->watch = NULL;
    if (self->state != FLOW_HTTP_GONE) {
        self->state = FLOW_HTTP_FLUSHING;
        flush(self);
        if (self->state == FLOW_HTTP_FLUSHING && all_out(self))
            next_request(self);
    }
    flow_http__let_go(self);
}

void flow_http__put(Request *request, const void *bytes, size_t len)
{
    put(request->connection, bytes, len);
}

void flow_http__flush(Request *request)
{
    flush(request->connection);
}

/* ---------------------------------------------------------------------------------------- parsing */

static Connection *of(http_parser *parser)
{
    return flow_container_of(parser, Connection, parser);
}

/* Stops the parser; feed() then answers with this and closes. */
static int refuse(Connection *self, int code, const char *text)
{
    self->refusal = code;
    self->refusal_text = text;
    return -1;
}

static int on_message_begin(http_parser *parser)
{
    Connection *self = of(parser);
    Request *request = &self->request;
    flow_buf_clear(&request->target);
    flow_buf_clear(&request->head);
    if (request->body.capacity > (size_t)1 << 18)
        flow_buf_done(&request->body);
    flow_buf_clear(&request->body);
    flow_buf_clear(&request->reply_head);
    request->header_count = 0;
    request->value_last = true;
    request->head_done = request->began = request->chunked = false;
    request->sent = 0;
    request->log_id = NULL;
    request->path = 0;
    request->started_ns = flow_clock_mono_ns(flow_clock_real());
    guard(self, self->server->options.header_ms);
    return 0;
}

static int on_url(http_parser *parser, const char *bytes, size_t len)
{
    flow_buf_append(&of(parser)->request.target, bytes, len);
    return 0;
}

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int on_header_field(http_parser *parser, const char *bytes, size_t len)
{
    Connection *self = of(parser);
    Request *request = &self->request;
    if (request->head_done)
        return 0; /* trailers mean nothing here */
    if (request->value_last) {
        if (request->header_count == FLOW_HTTP_HEADERS_MAX)
            return refuse(self, 431, "the request has too many headers");
        if (request->header_count != 0)
            flow_buf_byte(&request->head, '\0');
        request->headers[request->header_count++] = (FlowHttpHeader){request->head.len, 0};
        request->value_last = false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_token(bytes[i]))
            return refuse(self, 400, "a header's name has a character that can't stand there");
        flow_buf_byte(&request->head, bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] | 32) : bytes[i]);
    }
    return 0;
}

static int on_header_value(http_parser *parser, const char *bytes, size_t len)
{
    Request *request = &of(parser)->request;
    if (request->head_done)
        return 0;
    if (!request->value_last) {
        flow_buf_byte(&request->head, '\0');
        request->headers[request->header_count - 1].value = request->head.len;
        request->value_last = true;
    }
    flow_buf_append(&request->head, bytes, len);
    return 0;
}

static size_t count_header(const Request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        count += strcmp(request->head.data + request->headers[i].name, name) == 0;
    return count;
}

/* "http://host/path" is "/path"; the Host header says the host. */
static bool split_target(Request *request)
{
    char *text = request->target.data, *end = text + request->target.len - 1;
    if (*text == '/' || strcmp(text, "*") == 0) {
        request->path = 0;
    } else if (strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0) {
        char *slash = strchr(strstr(text, "://") + 3, '/');
        if (slash == NULL)
            return false;
        request->path = (size_t)(slash - text);
    } else {
        return false;
    }
    char *question = strchr(text + request->path, '?'), *fragment = strchr(text, '#');
    if (fragment != NULL)
        return false;
    if (question != NULL)
        *question = '\0';
    request->query = question != NULL ? (size_t)(question - text) + 1 : (size_t)(end - text);
    return true;
}

static int check_head(Connection *self, const http_parser *parser)
{
    Request *request = &self->request;
    const char *encoding = flow_http_header(request, "transfer-encoding");
    if (parser->http_major != 1 || parser->http_minor > 1)
        return refuse(self, 505, "this server speaks HTTP/1.1");
    if (parser->method == HTTP_CONNECT)
        return refuse(self, 405, "this server is no proxy");
    if (!split_target(request))
        return refuse(self, 400, "the request's target is a path such as /v1/runs");
    if (count_header(request, "host") > 1 || (parser->http_minor == 1 && count_header(request, "host") == 0))
        return refuse(self, 400, "an HTTP/1.1 request has one Host header");
    if (encoding != NULL &&
        (count_header(request, "transfer-encoding") > 1 || strcasecmp(encoding, "chunked") != 0 ||
         count_header(request, "content-length") != 0 || parser->http_minor == 0))
        return refuse(self, 400,
                      "the only transfer encoding is \"chunked\", in HTTP/1.1, without a Content-Length");
    if (count_header(request, "content-length") > 1)
        return refuse(self, 400, "a request has one Content-Length");
    if (parser->content_length != ULLONG_MAX && parser->content_length > self->server->options.body_bytes)
        return refuse(self, 413, "the request body is too large");
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    Connection *self = of(parser);
    Request *request = &self->request;
    if (request->header_count != 0)
        flow_buf_byte(&request->head, '\0');
    flow_buf_byte(&request->target, '\0');
    request->head_done = true;
    self->keep_alive = http_should_keep_alive(parser) != 0;
    if (request->target.failed || request->head.failed)
        return refuse(self, 431, "the request line and headers are too large");
    int wrong = check_head(self, parser);
    if (wrong != 0)
        return wrong;
    /* Whether it becomes a WebSocket the handler decides; any other offer is passed over, as RFC 9110 allows. */
    parser->upgrade = 0;
    const char *expect = flow_http_header(request, "expect");
    if (expect != NULL && strcasecmp(expect, "100-continue") == 0 && parser->http_minor == 1) {
        put(self, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        flush(self);
    } else if (expect != NULL) {
        return refuse(self, 417, "the only expectation is 100-continue");
    }
    guard(self, BODY_STEP_MS);
    return 0;
}

static int on_body(http_parser *parser, const char *bytes, size_t len)
{
    Connection *self = of(parser);
    FlowBuf *body = &self->request.body;
    if (len > self->server->options.body_bytes - body->len)
        return refuse(self, 413, "the request body is too large");
    flow_buf_append(body, bytes, len);
    return body->failed ? refuse(self, 413, "the request body is too large") : 0;
}

static int on_message_complete(http_parser *parser)
{
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* What the parser lets through and others read otherwise: bare CR and LF, folded lines, control characters. */
static bool scan_head(Connection *self, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && self->scan != FLOW_HTTP_SCAN_DONE; i++) {
        char c = bytes[i];
        switch (self->scan) {
        case FLOW_HTTP_SCAN_START:
            if (c == '\n')
                return false;
            self->scan = c == '\r' ? FLOW_HTTP_SCAN_START_CR : FLOW_HTTP_SCAN_FIRST;
            break;
        case FLOW_HTTP_SCAN_FIRST:
        case FLOW_HTTP_SCAN_FIRST_SPACE:
            if ((unsigned char)c < 0x20 ? c != '\r' : c == ' ' && self->scan == FLOW_HTTP_SCAN_FIRST_SPACE)
                return false;
            self->scan = c == '\r'  ? FLOW_HTTP_SCAN_CR
                         : c == ' ' ? FLOW_HTTP_SCAN_FIRST_SPACE
                                    : FLOW_HTTP_SCAN_FIRST;
            break;
        case FLOW_HTTP_SCAN_START_CR:
        case FLOW_HTTP_SCAN_CR:
        case FLOW_HTTP_SCAN_LAST_CR:
            if (c != '\n')
                return false;
            self->scan = self->scan == FLOW_HTTP_SCAN_START_CR ? FLOW_HTTP_SCAN_START
                         : self->scan == FLOW_HTTP_SCAN_CR     ? FLOW_HTTP_SCAN_LINE_BEGIN
                                                               : FLOW_HTTP_SCAN_DONE;
            break;
        case FLOW_HTTP_SCAN_LINE_BEGIN:
            if (c == ' ' || c == '\t' || c == '\n')
                return false;
            self->scan = c == '\r' ? FLOW_HTTP_SCAN_LAST_CR : FLOW_HTTP_SCAN_LINE;
            break;
        default:
            if (c == '\r')
                self->scan = FLOW_HTTP_SCAN_CR;
            else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
                return false;
            break;
        }
    }
    return true;
}

/* ---------------------------------------------------------------------------------------- reading */

static void fail_with(Request *request, int code, const char *text)
{
    FlowError error;
    request->connection->keep_alive = false;
    flow_error_set(&error, code == 431 || code == 413 ? FLOW_RESOURCE_EXHAUSTED : FLOW_INVALID_ARGUMENT,
                   code == 413 ? "MESSAGE_TOO_LARGE" : "MALFORMED_MESSAGE", NULL, "%s", text);
    flow_http_fail_with_code(request, code, &error);
}

/* The parser has stopped for good: says why, then closes. */
static void refuse_rest(Connection *self)
{
    enum http_errno error = HTTP_PARSER_ERRNO(&self->parser);
    int code = self->refusal;
    const char *text = self->refusal_text;
    if (code == 0) {
        code = error == HPE_HEADER_OVERFLOW ? 431 : error == HPE_INVALID_METHOD ? 405 : 400;
        text = error == HPE_HEADER_OVERFLOW ? "the request line and headers are too large"
                                            : http_errno_description(error);
    }
    if (!self->request.head_done) {
        /* A head that was cut off has no headers that a reply could go by. */
        self->request.header_count = 0;
        flow_buf_clear(&self->request.target);
    }
    self->state = FLOW_HTTP_WORKING;
    self->holds++;
    if (code == 405)
        flow_http_set_header(&self->request, "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    fail_with(&self->request, code, text);
}

static void handle(Connection *self)
{
    self->state = FLOW_HTTP_WORKING;
    self->holds++;
    flow_timer_stop(&self->timer);
    self->server->options.handle(&self->request, self->server->options.data);
}

static void feed(Connection *self, const char *bytes, size_t len)
{
    self->feeding = true;
    while (len > 0 && self->state == FLOW_HTTP_READING) {
        if (self->scan != FLOW_HTTP_SCAN_DONE && !scan_head(self, bytes, len)) {
            refuse(self, 400, "the request's head has bytes that can't stand there");
            refuse_rest(self);
            len = 0;
            break;
        }
        size_t done = http_parser_execute(&self->parser, &settings, bytes, len);
        bytes += done;
        len -= done;
        enum http_errno error = HTTP_PARSER_ERRNO(&self->parser);
        if (error == HPE_PAUSED) {
            http_parser_pause(&self->parser, 0);
            handle(self);
        } else if (error != HPE_OK) {
            refuse_rest(self);
            len = 0;
        }
    }
    self->feeding = false;
    if (len > 0 && (self->state == FLOW_HTTP_WORKING || self->state == FLOW_HTTP_FLUSHING))
        flow_buf_append(&self->ahead, bytes, len);
}

void flow_http__in(Connection *self, const char *bytes, size_t len)
{
    if (self->state == FLOW_HTTP_RELAYED) {
        flow_http__relay_in(self->relay, bytes, len);
    } else if (self->state == FLOW_HTTP_READING && self->ahead.len == 0) {
        feed(self, bytes, len);
    } else if (self->state != FLOW_HTTP_LINGERING && self->state != FLOW_HTTP_GONE) {
        flow_buf_append(&self->ahead, bytes, len);
        if (self->ahead.failed)
            flow_http__close(self);
    }
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    Connection *self = handle->data;
    (void)wanted;
    /* One for all: what is read is used up before the next read. */
    *ret = uv_buf_init(self->server->buffer, sizeof self->server->buffer);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    Connection *self = stream->data;
    if (len < 0) {
        self->client_done = true;
        self->keep_alive = false;
        /* A client that closes its side while it waits for a reply is gone, as far as HTTP servers go. */
        if (self->state != FLOW_HTTP_FLUSHING || len != UV_EOF)
            flow_http__close(self);
        else
            uv_read_stop(stream);
        return;
    }
    self->holds++;
    if (len > 0 && self->tls != NULL)
        flow_http__tls_in(self->tls, buffer->base, (size_t)len);
    else if (len > 0)
        flow_http__in(self, buffer->base, (size_t)len);
    go_on(self);
    flow_http__let_go(self);
}

/* First what the client sent ahead, then the socket again. */
static void go_on(Connection *self)
{
    while (self->state == FLOW_HTTP_READING && self->ahead.len != 0 && !self->feeding) {
        FlowBuf ahead = self->ahead;
        flow_buf_init(&self->ahead, 2 * AHEAD_MAX + FLOW_HTTP_READ_SIZE);
        feed(self, ahead.data, ahead.len);
        flow_buf_done(&ahead);
    }
    if (self->state == FLOW_HTTP_GONE)
        return;
    bool wanted = self->ahead.len < AHEAD_MAX && !self->client_done &&
                  !(self->state == FLOW_HTTP_RELAYED && flow_http__relay_full(self->relay));
    if (wanted && !self->reading)
        uv_read_start(&self->socket.stream, on_alloc, on_read);
    else if (!wanted && self->reading)
        uv_read_stop(&self->socket.stream);
    self->reading = wanted;
}

/* ---------------------------------------------------------------------------------------- timing */

/* A body may take its time as long as it keeps coming. */
static bool body_comes(Connection *self)
{
    int64_t took_ms = (flow_clock_mono_ns(flow_clock_real()) - self->request.started_ns) / FLOW_NS_PER_MS;
    int64_t wanted = (took_ms - BODY_STEP_MS) * BODY_RATE / 1000;
    return (int64_t)self->request.body.len > wanted;
}

static void on_timer(FlowTimer *timer)
{
    Connection *self = flow_container_of(timer, Connection, timer);
    size_t unsent = uv_stream_get_write_queue_size(&self->socket.stream);
    if (self->sending.len != 0 && unsent < self->unsent) {
        self->unsent = unsent;
        guard(self, WRITE_MS);
    } else if (self->state != FLOW_HTTP_READING || self->scan == FLOW_HTTP_SCAN_START) {
        flow_http__close(self);
    } else if (self->request.head_done && self->scan == FLOW_HTTP_SCAN_DONE && body_comes(self)) {
        guard(self, BODY_STEP_MS);
    } else {
        refuse(self, 408, "the request comes too slowly");
        refuse_rest(self);
    }
}

/* --------------------------------------------------------------------------------------- accepting */

static void name_peer(Connection *self)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    char text[INET6_ADDRSTRLEN] = "";
    snprintf(self->peer, sizeof self->peer, "unix:");
    if (self->listener->address.kind != FLOW_LISTEN_TCP ||
        uv_tcp_getpeername(&self->socket.tcp, (struct sockaddr *)&address, &len) != 0)
        return;
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&address;
        inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
        snprintf(self->peer, sizeof self->peer, "ipv6:[%s]:%d", text, ntohs(in->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        snprintf(self->peer, sizeof self->peer, "ipv4:%s:%d", text, ntohs(in->sin_port));
    }
}

/* Makes room: the connection that has been waiting for a request longest. */
static void evict(FlowHttpServer *server)
{
    FLOW_LIST_FOR_EACH(link, &server->connections)
    {
        Connection *idle = flow_list_entry(link, Connection, link);
        if (idle->state == FLOW_HTTP_READING || idle->state == FLOW_HTTP_LINGERING) {
            flow_http__close(idle);
            return;
        }
    }
}

void flow_http__accept(FlowHttpListener *listener)
{
    FlowHttpServer *server = listener->server;
    Connection *self = flow_calloc(1, sizeof *self);
    uv_loop_t *loop = flow_loop_uv(server->loop);
    bool tcp = listener->address.kind == FLOW_LISTEN_TCP;
    if (tcp)
        uv_tcp_init(loop, &self->socket.tcp);
    else
        uv_pipe_init(loop, &self->socket.pipe, 0);
    self->socket.handle.data = self;
    self->server = server;
    self->listener = listener;
    self->holds = 1;
    flow_list_init(&self->link);
    flow_timer_init(&self->timer, server->loop, on_timer);
    Request *request = &self->request;
    request->connection = self;
    flow_buf_init(&request->target, FLOW_HTTP_HEAD_MAX);
    flow_buf_init(&request->head, 2 * FLOW_HTTP_HEAD_MAX);
    flow_buf_init(&request->body, 0);
    flow_buf_init(&request->reply_head, FLOW_HTTP_HEAD_MAX);
    flow_buf_init(&self->ahead, 2 * AHEAD_MAX + FLOW_HTTP_READ_SIZE);
    flow_buf_init(&self->out, 0);
    flow_buf_init(&self->sending, 0);
    http_parser_init(&self->parser, HTTP_REQUEST);
    server->connection_count++;
    flow_list_push_back(&server->connections, &self->link);
    if (uv_accept(&listener->socket.stream, &self->socket.stream) != 0) {
        flow_http__close(self);
        return;
    }
    if (server->connection_count > server->options.connections)
        evict(server);
    if (tcp)
        uv_tcp_nodelay(&self->socket.tcp, 1);
    name_peer(self);
    if (tcp && server->certificates != NULL) {
        self->tls = flow_http__tls_new(server->certificates, self);
        if (self->tls == NULL) {
            flow_http__close(self);
            return;
        }
    }
    guard(self, server->options.header_ms);
    go_on(self);
}

/* ---------------------------------------------------------------------------- another protocol */

void flow_http__relay_out(Connection *self, const void *bytes, size_t len)
{
    put(self, bytes, len);
    flush(self);
}

void flow_http__relay_end(Connection *self)
{
    if (self->state != FLOW_HTTP_RELAYED)
        return;
    if (self->relay != NULL)
        flow_http__relay_close(self->relay);
    self->relay = NULL;
    self->keep_alive = false;
    linger(self);
}

void flow_http__relay_room(Connection *self)
{
    if (self->state == FLOW_HTTP_RELAYED)
        go_on(self);
}

/* The connection stays, and what comes over it goes in clear to the descriptor. */
static int relay_socket(Connection *self, FlowBuf *ahead)
{
    int taken = -1;
    self->relay = flow_http__relay_new(self, &taken);
    if (self->relay == NULL) {
        flow_http__close(self);
        return -1;
    }
    flow_buf_append(ahead, self->ahead.data, self->ahead.len);
    flow_buf_done(&self->ahead);
    self->state = FLOW_HTTP_RELAYED;
    flow_timer_stop(&self->timer);
    go_on(self);
    return taken;
}

int flow_http_take_socket(Request *request, FlowBuf *ahead)
{
    Connection *self = request->connection;
    uv_os_fd_t fd;
    int taken = -1;
    bool ready = self->state == FLOW_HTTP_WORKING && all_out(self);
    request->watch = NULL;
    request->code = 101;
    log_access(request);
    if (ready && self->tls != NULL) {
        taken = relay_socket(self, ahead);
    } else {
        if (ready && uv_fileno(&self->socket.handle, &fd) == 0)
            taken = dup(fd);
        if (taken >= 0)
            flow_buf_append(ahead, self->ahead.data, self->ahead.len);
        if (self->reading && self->state != FLOW_HTTP_GONE)
            uv_read_stop(&self->socket.stream);
        flow_http__close(self);
    }
    flow_http__let_go(self);
    return taken;
}
