/*
 * parse.c - from bytes to a request: http-parser's callbacks, and what they refuse beyond what the parser does. Two
 * servers that read one request differently are how requests are smuggled: so whatever could be read in two ways isn't
 * read at all.
 */
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "http/internal.h"
#include "http/reply.h"

typedef FlowHttpConnection Connection;
typedef FlowHttpRequest Request;

static Connection *of(http_parser *parser)
{
    return flow_container_of(parser, Connection, parser);
}

/* Stops the parser; feed() then answers with this and closes. */
int flow_http__refuse(Connection *self, int code, const char *text)
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
    flow_http__guard(self, self->server->options.header_ms);
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
            return flow_http__refuse(self, 431, "the request has too many headers");
        if (request->header_count != 0)
            flow_buf_byte(&request->head, '\0');
        request->headers[request->header_count++] = (FlowHttpHeader){request->head.len, 0};
        request->value_last = false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_token(bytes[i]))
            return flow_http__refuse(self, 400, "a header's name has a character that can't stand there");
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
        return flow_http__refuse(self, 505, "this server speaks HTTP/1.1");
    if (parser->method == HTTP_CONNECT)
        return flow_http__refuse(self, 405, "this server is no proxy");
    if (!split_target(request))
        return flow_http__refuse(self, 400, "the request's target is a path such as /v1/runs");
    if (count_header(request, "host") > 1 || (parser->http_minor == 1 && count_header(request, "host") == 0))
        return flow_http__refuse(self, 400, "an HTTP/1.1 request has one Host header");
    if (encoding != NULL &&
        (count_header(request, "transfer-encoding") > 1 || strcasecmp(encoding, "chunked") != 0 ||
         count_header(request, "content-length") != 0 || parser->http_minor == 0))
        return flow_http__refuse(
            self, 400, "the only transfer encoding is \"chunked\", in HTTP/1.1, without a Content-Length");
    if (count_header(request, "content-length") > 1)
        return flow_http__refuse(self, 400, "a request has one Content-Length");
    if (parser->content_length != ULLONG_MAX && parser->content_length > self->server->options.body_bytes)
        return flow_http__refuse(self, 413, "the request body is too large");
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
        return flow_http__refuse(self, 431, "the request line and headers are too large");
    int wrong = check_head(self, parser);
    if (wrong != 0)
        return wrong;
    /* Whether it becomes a WebSocket the handler decides; any other offer is passed over, as RFC 9110 allows. */
    parser->upgrade = 0;
    const char *expect = flow_http_header(request, "expect");
    if (expect != NULL && strcasecmp(expect, "100-continue") == 0 && parser->http_minor == 1) {
        flow_http__put(request, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        flow_http__flush(request);
    } else if (expect != NULL) {
        return flow_http__refuse(self, 417, "the only expectation is 100-continue");
    }
    flow_http__guard(self, FLOW_HTTP_BODY_STEP_MS);
    return 0;
}

static int on_body(http_parser *parser, const char *bytes, size_t len)
{
    Connection *self = of(parser);
    FlowBuf *body = &self->request.body;
    if (len > self->server->options.body_bytes - body->len)
        return flow_http__refuse(self, 413, "the request body is too large");
    flow_buf_append(body, bytes, len);
    return body->failed ? flow_http__refuse(self, 413, "the request body is too large") : 0;
}

static int on_message_complete(http_parser *parser)
{
    http_parser_pause(parser, 1);
    return 0;
}

const http_parser_settings flow_http__parser = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* What the parser lets through and others read otherwise: bare CR and LF, folded lines, control characters. */
bool flow_http__scan_head(Connection *self, const char *bytes, size_t len)
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
