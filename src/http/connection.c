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

void flow_http__guard(Connection *self, unsigned ms)
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
    flow_http__guard(self, WRITE_MS);
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
    flow_http__guard(self, LINGER_MS);
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
    flow_http__guard(self, self->server->options.idle_ms);
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
        flow_http__guard(self, LINGER_MS);
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
        if (self->scan != FLOW_HTTP_SCAN_DONE && !flow_http__scan_head(self, bytes, len)) {
            flow_http__refuse(self, 400, "the request's head has bytes that can't stand there");
            refuse_rest(self);
            len = 0;
            break;
        }
        size_t done = http_parser_execute(&self->parser, &flow_http__parser, bytes, len);
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
    int64_t wanted = (took_ms - FLOW_HTTP_BODY_STEP_MS) * BODY_RATE / 1000;
    return (int64_t)self->request.body.len > wanted;
}

static void on_timer(FlowTimer *timer)
{
    Connection *self = flow_container_of(timer, Connection, timer);
    size_t unsent = uv_stream_get_write_queue_size(&self->socket.stream);
    if (self->sending.len != 0 && unsent < self->unsent) {
        self->unsent = unsent;
        flow_http__guard(self, WRITE_MS);
    } else if (self->state != FLOW_HTTP_READING || self->scan == FLOW_HTTP_SCAN_START) {
        flow_http__close(self);
    } else if (self->request.head_done && self->scan == FLOW_HTTP_SCAN_DONE && body_comes(self)) {
        flow_http__guard(self, FLOW_HTTP_BODY_STEP_MS);
    } else {
        flow_http__refuse(self, 408, "the request comes too slowly");
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
    flow_http__guard(self, server->options.header_ms);
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
