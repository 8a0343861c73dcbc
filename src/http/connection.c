/*
 * connection.c - one client: bytes in, requests to the handler, replies out.
 *
 *   READING  a request is awaited or coming in; the parser gets what arrives
 *   WORKING  the handler has it; the socket is not read, what the client sent ahead waits in `ahead`
 *   WRITING  the reply is on its way and did not fit into the socket at once
 * A timer guards READING and WRITING; a handler takes the time that it needs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/internal.h"
#include "loop/timer.h"

enum { AHEAD_MAX = FLOW_HTTP_READ_SIZE, WRITE_MS = 10000 };

typedef enum State { READING, WORKING, WRITING, CLOSING } State;

typedef struct Header {
    size_t name, value; /* offsets into `head` */
} Header;

typedef struct Connection Connection;

struct FlowHttpRequest {
    Connection *connection;
    FlowBuf target; /* path, NUL, query, NUL */
    size_t query;
    FlowBuf head; /* name, NUL, value, NUL, … */
    Header headers[FLOW_HTTP_HEADERS_MAX];
    size_t header_count;
    bool value_last; /* the parser gave a piece of a value last */
    FlowBuf body;
    FlowBuf reply_head;
};

struct Connection {
    FlowHttpStream socket;
    FlowHttpServer *server;
    FlowList link;
    FlowTimer timer;
    http_parser parser;
    State state;
    bool keep_alive;
    bool feeding; /* feed() is on the stack: a reply only notes that it may go on */
    int refusal;  /* HTTP code of what is wrong with the request; 0: nothing */
    const char *refusal_text;
    FlowHttpRequest request;
    FlowBuf ahead;
    FlowBuf out;
    uv_write_t write;
};

static void feed(Connection *self, const char *bytes, size_t len);
static void read_on(Connection *self);

/* ---------------------------------------------------------------------------------------- closing */

static void on_closed(uv_handle_t *handle)
{
    Connection *self = handle->data;
    self->server->connection_count--;
    flow_list_remove(&self->link);
    flow_buf_done(&self->request.target);
    flow_buf_done(&self->request.head);
    flow_buf_done(&self->request.body);
    flow_buf_done(&self->request.reply_head);
    flow_buf_done(&self->ahead);
    flow_buf_done(&self->out);
    free(self);
}

static void close_connection(Connection *self)
{
    if (self->state == CLOSING)
        return;
    /* A handler that is at work still holds the request: then its reply closes. */
    bool working = self->state == WORKING;
    self->state = CLOSING;
    flow_timer_stop(&self->timer);
    if (!working)
        uv_close(&self->socket.handle, on_closed);
}

void flow_http__close_all(FlowHttpServer *server)
{
    FLOW_LIST_FOR_EACH(link, &server->connections)
    {
        Connection *self = flow_list_entry(link, Connection, link);
        if (self->state == WORKING)
            self->state = READING;
        close_connection(self);
    }
}

static void on_timer(FlowTimer *timer)
{
    close_connection(flow_container_of(timer, Connection, timer));
}

static void guard(Connection *self, unsigned ms)
{
    flow_timer_start(&self->timer, ms * FLOW_NS_PER_MS);
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
    FlowHttpRequest *request = &self->request;
    flow_buf_clear(&request->target);
    flow_buf_clear(&request->head);
    flow_buf_clear(&request->body);
    flow_buf_clear(&request->reply_head);
    request->header_count = 0;
    request->value_last = true;
    guard(self, self->server->options.header_ms);
    return 0;
}

static int on_url(http_parser *parser, const char *bytes, size_t len)
{
    flow_buf_append(&of(parser)->request.target, bytes, len);
    return 0;
}

static int on_header_field(http_parser *parser, const char *bytes, size_t len)
{
    Connection *self = of(parser);
    FlowHttpRequest *request = &self->request;
    if (request->value_last) {
        if (request->header_count == FLOW_HTTP_HEADERS_MAX)
            return refuse(self, 431, "the request has too many headers");
        if (request->header_count != 0)
            flow_buf_byte(&request->head, '\0');
        request->headers[request->header_count++] = (Header){request->head.len, 0};
        request->value_last = false;
    }
    for (size_t i = 0; i < len; i++)
        flow_buf_byte(&request->head, bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] | 32) : bytes[i]);
    return 0;
}

static int on_header_value(http_parser *parser, const char *bytes, size_t len)
{
    FlowHttpRequest *request = &of(parser)->request;
    if (!request->value_last) {
        flow_buf_byte(&request->head, '\0');
        request->headers[request->header_count - 1].value = request->head.len;
        request->value_last = true;
    }
    flow_buf_append(&request->head, bytes, len);
    return 0;
}

static void write_now(Connection *self, const char *text)
{
    uv_buf_t piece = uv_buf_init((char *)text, (unsigned)strlen(text));
    (void)uv_try_write(&self->socket.stream, &piece, 1);
}

static int on_headers_complete(http_parser *parser)
{
    Connection *self = of(parser);
    FlowHttpRequest *request = &self->request;
    if (request->header_count != 0)
        flow_buf_byte(&request->head, '\0');
    char *question = request->target.len != 0 ? memchr(request->target.data, '?', request->target.len) : NULL;
    if (question != NULL)
        *question = '\0';
    flow_buf_byte(&request->target, '\0');
    request->query =
        question != NULL ? (size_t)(question - request->target.data) + 1 : request->target.len - 1;
    self->keep_alive = http_should_keep_alive(parser) != 0;
    if (request->target.failed || request->head.failed)
        return refuse(self, 431, "the request line and headers are too large");
    if (parser->upgrade)
        return refuse(self, 400, "this server offers no upgrade here");
    if (parser->http_minor == 1 && parser->http_major == 1 && flow_http_header(request, "host") == NULL)
        return refuse(self, 400, "an HTTP/1.1 request has a Host header");
    if (parser->content_length != ULLONG_MAX && parser->content_length > self->server->options.body_bytes)
        return refuse(self, 413, "the request body is too large");
    const char *expect = flow_http_header(request, "expect");
    if (expect != NULL && strcasecmp(expect, "100-continue") == 0)
        write_now(self, "HTTP/1.1 100 Continue\r\n\r\n");
    guard(self, self->server->options.header_ms);
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
        return "Unknown";
    }
}

static void after_write(Connection *self)
{
    if (!self->keep_alive || self->server->closing) {
        self->state = READING;
        close_connection(self);
        return;
    }
    self->state = READING;
    guard(self, self->server->options.idle_ms);
    if (!self->feeding)
        read_on(self);
}

static void on_written(uv_write_t *write, int status)
{
    Connection *self = write->data;
    if (self->state != WRITING)
        return;
    if (status != 0)
        self->keep_alive = false;
    after_write(self);
}

static void send_out(Connection *self)
{
    uv_buf_t rest = uv_buf_init(self->out.data, (unsigned)self->out.len);
    int sent = uv_try_write(&self->socket.stream, &rest, 1);
    if (sent == (int)self->out.len) {
        after_write(self);
        return;
    }
    if (sent < 0 && sent != UV_EAGAIN) {
        self->keep_alive = false;
        after_write(self);
        return;
    }
    if (sent > 0) {
        rest.base += sent;
        rest.len -= (unsigned)sent;
    }
    self->state = WRITING;
    self->write.data = self;
    guard(self, WRITE_MS);
    if (uv_write(&self->write, &self->socket.stream, &rest, 1, on_written) != 0) {
        self->keep_alive = false;
        after_write(self);
    }
}

void flow_http_reply(FlowHttpRequest *request, int code, const char *type, const void *body, size_t len)
{
    Connection *self = request->connection;
    if (self->state == CLOSING) {
        uv_close(&self->socket.handle, on_closed);
        return;
    }
    char date[64];
    struct tm now;
    time_t seconds = (time_t)(flow_clock_wall_ns(flow_clock_real()) / FLOW_NS_PER_S);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &now));
    flow_buf_clear(&self->out);
    flow_buf_printf(&self->out,
                    "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                    "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: %s\r\n",
                    code, phrase_of(code), date, type, len, self->keep_alive ? "keep-alive" : "close");
    flow_buf_append(&self->out, request->reply_head.data, request->reply_head.len);
    flow_buf_str(&self->out, "\r\n");
    if (self->parser.method != HTTP_HEAD)
        flow_buf_append(&self->out, body, len);
    if (self->out.failed)
        self->keep_alive = false;
    send_out(self);
}

static void append_json_text(FlowBuf *to, const char *text)
{
    flow_buf_byte(to, '"');
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20)
            flow_buf_printf(to, "\\u%04x", (unsigned char)*text);
        else if (*text == '"' || *text == '\\')
            flow_buf_printf(to, "\\%c", *text);
        else
            flow_buf_byte(to, *text);
    }
    flow_buf_byte(to, '"');
}

static void reply_status(FlowHttpRequest *request, int http_code, FlowStatus status, const char *message)
{
    FlowBuf body;
    flow_buf_init(&body, 0);
    flow_buf_printf(&body, "{\"code\":%d,\"message\":", (int)status);
    append_json_text(&body, message);
    flow_buf_str(&body, "}\n");
    flow_http_reply(request, http_code, "application/json", body.data, body.len);
    flow_buf_done(&body);
}

void flow_http_fail(FlowHttpRequest *request, const FlowError *error)
{
    reply_status(request, flow_status_http(error->status), error->status, error->message);
}

void flow_http_set_header(FlowHttpRequest *request, const char *name, const char *value)
{
    flow_buf_printf(&request->reply_head, "%s: %s\r\n", name, value);
}

/* ---------------------------------------------------------------------------------------- reading */

/* The parser has stopped for good: says why, then closes. */
static void refuse_rest(Connection *self)
{
    enum http_errno error = HTTP_PARSER_ERRNO(&self->parser);
    int code = self->refusal;
    const char *text = self->refusal_text;
    if (code == 0) {
        code = error == HPE_HEADER_OVERFLOW ? 431 : 400;
        text = error == HPE_HEADER_OVERFLOW ? "the request line and headers are too large"
                                            : http_errno_description(error);
    }
    self->keep_alive = false;
    self->state = WORKING;
    FlowStatus status = code == 431 || code == 413 ? FLOW_RESOURCE_EXHAUSTED : FLOW_INVALID_ARGUMENT;
    reply_status(&self->request, code, status, text);
}

static void feed(Connection *self, const char *bytes, size_t len)
{
    self->feeding = true;
    while (len > 0 && self->state == READING) {
        size_t done = http_parser_execute(&self->parser, &settings, bytes, len);
        bytes += done;
        len -= done;
        enum http_errno error = HTTP_PARSER_ERRNO(&self->parser);
        if (error == HPE_PAUSED) {
            http_parser_pause(&self->parser, 0);
            self->state = WORKING;
            flow_timer_stop(&self->timer);
            self->server->options.handle(&self->request, self->server->options.data);
        } else if (error != HPE_OK || self->parser.upgrade) {
            refuse_rest(self);
            len = 0;
        }
    }
    self->feeding = false;
    if (len > 0 && self->state != CLOSING)
        flow_buf_append(&self->ahead, bytes, len);
    if (self->state == WORKING || self->state == WRITING)
        uv_read_stop(&self->socket.stream);
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
    if (len < 0)
        close_connection(self);
    else if (len > 0)
        feed(self, buffer->base, (size_t)len);
}

/* First what the client sent ahead, then the socket again. */
static void read_on(Connection *self)
{
    if (self->ahead.len != 0) {
        FlowBuf ahead = self->ahead;
        flow_buf_init(&self->ahead, AHEAD_MAX);
        feed(self, ahead.data, ahead.len);
        flow_buf_done(&ahead);
    }
    if (self->state == READING)
        uv_read_start(&self->socket.stream, on_alloc, on_read);
}

void flow_http__accept(FlowHttpListener *listener)
{
    FlowHttpServer *server = listener->server;
    Connection *self = flow_calloc(1, sizeof *self);
    uv_loop_t *loop = flow_loop_uv(server->loop);
    if (listener->address.kind == FLOW_LISTEN_TCP)
        uv_tcp_init(loop, &self->socket.tcp);
    else
        uv_pipe_init(loop, &self->socket.pipe, 0);
    self->socket.handle.data = self;
    self->server = server;
    flow_list_init(&self->link);
    flow_timer_init(&self->timer, server->loop, on_timer);
    FlowHttpRequest *request = &self->request;
    request->connection = self;
    flow_buf_init(&request->target, FLOW_HTTP_HEAD_MAX);
    flow_buf_init(&request->head, 2 * FLOW_HTTP_HEAD_MAX);
    flow_buf_init(&request->body, 0);
    flow_buf_init(&request->reply_head, FLOW_HTTP_HEAD_MAX);
    flow_buf_init(&self->ahead, AHEAD_MAX);
    flow_buf_init(&self->out, 0);
    http_parser_init(&self->parser, HTTP_REQUEST);
    server->connection_count++;
    flow_list_push_back(&server->connections, &self->link);
    if (uv_accept(&listener->socket.stream, &self->socket.stream) != 0 ||
        server->connection_count > server->options.connections) {
        close_connection(self);
        return;
    }
    if (listener->address.kind == FLOW_LISTEN_TCP)
        uv_tcp_nodelay(&self->socket.tcp, 1);
    guard(self, server->options.header_ms);
    read_on(self);
}

/* --------------------------------------------------------------------------- what handlers can see */

const char *flow_http_method(const FlowHttpRequest *request)
{
    return http_method_str((enum http_method)request->connection->parser.method);
}

const char *flow_http_path(const FlowHttpRequest *request)
{
    return request->target.len != 0 ? request->target.data : "";
}

const char *flow_http_query(const FlowHttpRequest *request)
{
    return request->target.len != 0 ? request->target.data + request->query : "";
}

const char *flow_http_header(const FlowHttpRequest *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->head.data + request->headers[i].name, name) == 0)
            return request->headers[i].value != 0 ? request->head.data + request->headers[i].value : "";
    return NULL;
}

const char *flow_http_body(const FlowHttpRequest *request, size_t *ret_len)
{
    *ret_len = request->body.len;
    return request->body.data;
}
