/* internal.h - what server.c and connection.c share. */
#ifndef FLOW_HTTP_INTERNAL_H
#define FLOW_HTTP_INTERNAL_H

#include <http_parser.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "http/server.h"
#include "rpc/listen.h"

enum {
    FLOW_HTTP_HEAD_MAX = 16384, /* bytes of request line and headers */
    FLOW_HTTP_HEADERS_MAX = 100,
    FLOW_HTTP_READ_SIZE = 65536
};

typedef union FlowHttpStream {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
} FlowHttpStream;

typedef struct FlowHttpListener {
    FlowHttpStream socket;
    FlowHttpServer *server;
    FlowListen address;
    int lock_fd;
} FlowHttpListener;

struct FlowHttpServer {
    FlowHttpOptions options;
    FlowLoop *loop;
    FlowHttpListener listeners[FLOW_LISTEN_MAX];
    size_t listener_count;
    char *address;
    FlowTask close_task;
    FlowList connections;
    unsigned connection_count;
    bool closing;
    char buffer[FLOW_HTTP_READ_SIZE];
};

/* Takes the next connection that waits at `listener`. */
void flow_http__accept(FlowHttpListener *listener);
/* Closes every connection. */
void flow_http__close_all(FlowHttpServer *server);

#endif
