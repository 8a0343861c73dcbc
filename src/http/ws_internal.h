/*
 * ws_internal.h - sockets and their calls; for ws*.c.
 *
 * What has no lock of its own belongs to the service thread. Handlers on other threads put frames into their call,
 * under its lock, and post its task.
 */
#ifndef FLOW_HTTP_WS_INTERNAL_H
#define FLOW_HTTP_WS_INTERNAL_H

#include <libwebsockets.h>

#include "http/ws.h"

enum {
    FLOW_WS_CALLS = 256,   /* of one socket, at a time */
    FLOW_WS_ID = 64,       /* bytes of a call's id */
    FLOW_WS_INCOMING = 64, /* messages that wait for a handler */
    FLOW_WS_CREDIT = 64,   /* messages that a client gets without asking for more */
    FLOW_WS_BURST = 16     /* frames that are written at one go */
};

typedef struct FlowWsFrame {
    struct FlowWsFrame *next;
    size_t len;
    bool counts;  /* a message of the stream: takes credit */
    char bytes[]; /* LWS_PRE of room, then the text */
} FlowWsFrame;

typedef struct FlowWsQueue {
    FlowWsFrame *first, *last;
    size_t bytes;
} FlowWsQueue;

typedef struct FlowWsSocket {
    FlowWs *ws;
    struct lws *wsi;
    FlowList link;  /* in ws->sockets */
    FlowList calls; /* the one that writes next comes first */
    size_t call_count;
    bool many;    /* /v1/ws */
    bool closing; /* when all is written, with this code */
    int close_code;
    char close_reason[100];
    FlowBuf incoming; /* a message in pieces */
    FlowWsQueue own;  /* frames that belong to no call */
    FlowBuf headers;
    FlowRpcPeer peer;
    struct FlowWsJob *job; /* what to begin with, until it is established */
} FlowWsSocket;

typedef struct FlowWsMessage {
    struct FlowWsMessage *next;
    size_t len;
    char bytes[];
} FlowWsMessage;

typedef struct FlowWsCall {
    FlowRpcCall base;
    FlowWs *ws;
    FlowWsSocket *socket; /* NULL: gone */
    FlowRoute route;      /* method and response_body are what counts */
    FlowList link;        /* in socket->calls */
    FlowList all;         /* in ws->calls */
    char id[FLOW_WS_ID];  /* "" on a socket of its own */
    int64_t credit;
    lws_sorted_usec_list_t deadline;
    FlowWsMessage *first_message, *last_message;
    size_t message_count;
    bool half_closed, half_close_told;
    FlowBuf headers;
    FlowRpcPeer peer;

    pthread_mutex_t lock; /* for all below */
    FlowTask task;
    bool posted, finished, closing, orphan, wants_room, wants_message, tell_drain, tell_cancel;
    int close_code;
    FlowWsQueue out;
    char cursor[24];
} FlowWsCall;

/* A handshake that was checked, on its way to the thread. */
typedef struct FlowWsJob {
    FlowTask task;
    FlowWs *ws;
    int fd;
    FlowBuf handshake; /* what libwebsockets gets to read: ours, then what the client has sent already */
    FlowBuf headers;
    FlowRpcPeer peer;
    bool many;
    const FlowRoute *route;
    FlowBuf request; /* packed */
    int64_t deadline_ns;
} FlowWsJob;

struct FlowWs {
    FlowHttpDoor *door;
    struct lws_context *context;
    struct lws_vhost *vhost;
    pthread_t thread;
    FlowList sockets, calls;
    FlowWsSocket *adopting; /* until it is established, or known to libwebsockets */
    bool draining;
    bool stop;
    pthread_mutex_t lock; /* for the tasks */
    FlowTask *first_task, *last_task;
    bool woken;
    FlowTask stop_task, drain_task, cancel_task, orphan_task;
    FlowError cancel_error;
    pthread_cond_t changed;
    bool orphaned;
};

/* Any thread: runs the task on the service thread. */
void flow_ws__post(FlowWs *ws, FlowTask *task);

/* Takes the text. */
void flow_ws__push(FlowWsQueue *queue, const char *text, size_t len, bool counts);
void flow_ws__drop(FlowWsQueue *queue);
/* A frame that belongs to no call. */
void flow_ws__say(FlowWsSocket *socket, const char *text, size_t len);
/* When everything is written. Closes once; the first reason counts. */
void flow_ws__close(FlowWsSocket *socket, int code, const char *reason);

/* ---- ws_call.c ---- */

FlowWsCall *flow_ws__call_new(FlowWsSocket *socket, const char *id, const FlowRoute *route,
                              int64_t deadline_ns);
/* Starts it; `packed` is ignored where the client streams. */
void flow_ws__call_start(FlowWsCall *call, const void *packed, size_t len);
/* A request message in JSON. */
void flow_ws__call_message(FlowWsCall *call, const char *json, size_t len);
void flow_ws__call_half_close(FlowWsCall *call);
/* The socket is gone. */
void flow_ws__call_lost(FlowWsCall *call);
void flow_ws__call_tell(FlowWsCall *call, bool drain, bool cancel);
void flow_ws__call_orphan(FlowWsCall *call);
/* The next frame that may be written; NULL when there is none. Frees are the caller's. */
FlowWsFrame *flow_ws__call_take(FlowWsCall *call);
/* After something was taken. */
void flow_ws__call_written(FlowWsCall *call);

/* ---- ws_many.c ---- */

/* A message of a client that has many calls on its socket. */
void flow_ws__many_receive(FlowWsSocket *socket, const char *text, size_t len);
void flow_ws__many_ready(FlowWsSocket *socket);

#endif
