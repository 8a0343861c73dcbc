/*
 * server.h - HTTP/1.1: requests come in, a handler answers each. What it accepts is bounded in size, time and
 * number, because anybody may connect.
 *
 * Everything of a server happens on one loop of its own; handlers run there and must not block. A request may be
 * answered later, on that loop. One request of a connection is worked on at a time: what a client sends ahead
 * waits.
 */
#ifndef FLOW_HTTP_SERVER_H
#define FLOW_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "loop/loop.h"

typedef struct FlowHttpServer FlowHttpServer;
typedef struct FlowHttpRequest FlowHttpRequest;

/* Answers with flow_http_reply() or flow_http_fail(), once, now or later. */
typedef void (*FlowHttpHandler)(FlowHttpRequest *request, void *data);

typedef struct FlowHttpOptions {
    const char *listen;   /* addresses as in rpc/listen.h, separated by commas */
    bool insecure_listen; /* allow a listener that others can reach: it is in clear */
    FlowHttpHandler handle;
    void *data;
    size_t body_bytes;    /* largest request body; 0: 4 MiB */
    unsigned connections; /* at a time; 0: 1024. More are closed at once */
    unsigned header_ms;   /* for a whole request head, and for a whole body; 0: 10 s */
    unsigned idle_ms;     /* between requests; 0: 60 s */
} FlowHttpOptions;

/* INVALID_ARGUMENT: a bad address, a listener that isn't local without `insecure_listen`. */
FlowStatus flow_http_options_check(const FlowHttpOptions *options, FlowError *reterr);
/* Fails like the check, and with FAILED_PRECONDITION (no such address) or ALREADY_EXISTS (another process listens
 * there). `options` is copied, the texts in it are not kept. */
FlowStatus flow_http_server_open(const FlowHttpOptions *options, FlowHttpServer **ret_server,
                                 FlowError *reterr);
/* "127.0.0.1:8080", ports filled in. */
const char *flow_http_server_address(const FlowHttpServer *server);
/* Closes all connections, also those whose request is not answered yet; waits for the loop. Always NULL. */
FlowHttpServer *flow_http_server_close(FlowHttpServer *server);

/* What was asked for; borrowed until the reply. Header names in lower case. */
const char *flow_http_method(const FlowHttpRequest *request);
const char *flow_http_path(const FlowHttpRequest *request);  /* as sent, not decoded, without query */
const char *flow_http_query(const FlowHttpRequest *request); /* behind the "?"; "" without one */
/* The first value of this name; NULL when there is none. */
const char *flow_http_header(const FlowHttpRequest *request, const char *name);
const char *flow_http_body(const FlowHttpRequest *request, size_t *ret_len);

/* `type` is the Content-Type; `body` is copied. The request is gone afterwards. */
void flow_http_reply(FlowHttpRequest *request, int code, const char *type, const void *body, size_t len);
/* The status as JSON, {"code":5,"message":"…"}, with the HTTP code that belongs to it. */
void flow_http_fail(FlowHttpRequest *request, const FlowError *error);
/* A header for the reply, before it. Names and values are ours: they are not checked. */
void flow_http_set_header(FlowHttpRequest *request, const char *name, const char *value);

#endif
