/*
 * server.h - HTTP/1.1: requests come in, a handler answers each. What it accepts is bounded in size, time and
 * number, because anybody may connect.
 *
 * Everything of a server happens on one loop of its own; handlers run there and must not block. A request may be
 * answered later, on that loop, at once or as a stream. One request of a connection is worked on at a time: what a
 * client sends ahead waits.
 */
#ifndef FLOW_HTTP_SERVER_H
#define FLOW_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "loop/loop.h"
#include "rpc/tls.h"

typedef struct FlowHttpServer FlowHttpServer;
typedef struct FlowHttpRequest FlowHttpRequest;

/* Answers with flow_http_reply() or flow_http_begin() … flow_http_end(), once, now or later. */
typedef void (*FlowHttpHandler)(FlowHttpRequest *request, void *data);

typedef struct FlowHttpOptions {
    const char *listen;   /* addresses as in rpc/listen.h, separated by commas */
    FlowTlsFiles tls;     /* for TCP; without `cert` TCP is in clear */
    bool insecure_listen; /* allow a listener that others can reach: it is in clear */
    FlowHttpHandler handle;
    void *data;
    void (*opened)(FlowHttpServer *server, void *data); /* before the first request; may be NULL */
    size_t body_bytes;                                  /* largest request body; 0: 4 MiB */
    unsigned connections; /* at a time; 0: 10000. For one more, the one that is idle longest goes */
    unsigned header_ms;   /* for a whole request head; 0: 10 s */
    unsigned idle_ms;     /* between requests; 0: 60 s */
    bool access_log;      /* a line for each request */
} FlowHttpOptions;

/* INVALID_ARGUMENT: a bad address, a listener that isn't local without TLS or `insecure_listen`. */
FlowStatus flow_http_options_check(const FlowHttpOptions *options, FlowError *reterr);
/* Fails like the check, and with FAILED_PRECONDITION (no such address) or ALREADY_EXISTS (another process listens
 * there). `options` is copied, the texts in it are not kept. */
FlowStatus flow_http_server_open(const FlowHttpOptions *options, FlowHttpServer **ret_server,
                                 FlowError *reterr);
/* "127.0.0.1:8080", ports filled in. */
const char *flow_http_server_address(const FlowHttpServer *server);
FlowLoop *flow_http_server_loop(const FlowHttpServer *server);
/* Closes all connections, also those whose request is not answered yet; waits for the loop. Always NULL. */
FlowHttpServer *flow_http_server_close(FlowHttpServer *server);

/* ---- what was asked for; borrowed until the reply ---- */

const char *flow_http_method(const FlowHttpRequest *request);
const char *flow_http_path(const FlowHttpRequest *request);  /* as sent, not decoded, without query */
const char *flow_http_query(const FlowHttpRequest *request); /* behind the "?"; "" without one */
/* The first value of this name (lower case); NULL when there is none. */
const char *flow_http_header(const FlowHttpRequest *request, const char *name);
/* The index-th one; false when there are no more. Names are in lower case. */
bool flow_http_header_at(const FlowHttpRequest *request, size_t index, const char **ret_name,
                         const char **ret_value);
const char *flow_http_body(const FlowHttpRequest *request, size_t *ret_len);

enum { FLOW_HTTP_PEER_TEXT = 64 };
/* "ipv4:127.0.0.1:41234", "unix:". */
const char *flow_http_peer(const FlowHttpRequest *request);
bool flow_http_is_secure(const FlowHttpRequest *request);
/* Common name of a verified client certificate; "" without one. */
void flow_http_identity(const FlowHttpRequest *request, char *to, size_t size);
/* It came to a listener that only this machine can reach. */
bool flow_http_is_local(const FlowHttpRequest *request);
bool flow_http_is_unix(const FlowHttpRequest *request);
/* The client wants this connection to become a WebSocket. */
bool flow_http_wants_websocket(const FlowHttpRequest *request);

/* ---- replies ---- */

/* `type` is the Content-Type, NULL for none; `body` is copied. The request is gone afterwards. */
void flow_http_reply(FlowHttpRequest *request, int code, const char *type, const void *body, size_t len);
/* The status as JSON, {"code":5,"message":"…"}, with the HTTP code that belongs to it. */
void flow_http_fail(FlowHttpRequest *request, const FlowError *error);
/* A header for the reply, before it. Names and values are ours: they are not checked. */
void flow_http_set_header(FlowHttpRequest *request, const char *name, const char *value);

/* A reply piece by piece: flow_http_begin(), flow_http_write() …, flow_http_end(), after which the request is gone. */
void flow_http_begin(FlowHttpRequest *request, int code, const char *type);
/* The bytes are copied; they go out at once, or wait as flow_http_waiting() says. */
void flow_http_write(FlowHttpRequest *request, const void *bytes, size_t len);
size_t flow_http_waiting(const FlowHttpRequest *request);
void flow_http_end(FlowHttpRequest *request);
/* Cuts the connection off, so that the client sees that its reply is not complete. The request is gone. */
void flow_http_break(FlowHttpRequest *request);

typedef struct FlowHttpWatch {
    /* The client is gone: nothing that is sent will arrive. The reply must still be ended. */
    void (*on_gone)(FlowHttpRequest *request, void *data);
    /* All that was written is out. */
    void (*on_drained)(FlowHttpRequest *request, void *data);
} FlowHttpWatch;
/* Until the reply ends. `watch` is borrowed. */
void flow_http_watch(FlowHttpRequest *request, const FlowHttpWatch *watch, void *data);

/*
 * Takes the connection's socket away from the server, for another protocol: the request is gone, the descriptor (a
 * duplicate, non-blocking) the caller's to close. What the client has sent behind the request goes to `ahead`. Of a
 * client that speaks TLS it is one end of a pair, through which the bytes go in clear. -1 when the client is gone.
 */
int flow_http_take_socket(FlowHttpRequest *request, FlowBuf *ahead);

#endif
