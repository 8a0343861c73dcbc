/*
 * call.h - one call over HTTP, and the door that it came through; for the files of this room.
 *
 * `request` and what stands before `lock` belong to the loop. Handlers put what they have to say under the lock and post
 * the call's task; the task, on the loop, writes it out. The call is over when the handler has ended it and the reply
 * is complete.
 */
#ifndef FLOW_HTTP_CALL_H
#define FLOW_HTTP_CALL_H

#include <pthread.h>

#include "base/list.h"
#include "http/door.h"
#include "http/policy.h"
#include "http/router.h"
#include "loop/timer.h"
#include "rpc/door.h"
#include "value/value.h"

typedef enum FlowHttpFormat {
    FLOW_FORMAT_JSON,     /* unary */
    FLOW_FORMAT_PROTOBUF, /* unary */
    FLOW_FORMAT_NDJSON,
    FLOW_FORMAT_SSE
} FlowHttpFormat;

struct FlowHttpDoor {
    FlowRpcServer *rpc;
    FlowRouter *router;
    FlowHttpPolicy policy;
    FlowLoop *loop;
    FlowList calls; /* loop's thread */
    FlowTask drain_task, cancel_task, orphan_task;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count; /* of calls; under lock */
    bool hurry;   /* under lock */
    bool draining;
    struct FlowWs *ws;
};

typedef struct FlowHttpCall {
    FlowRpcCall base;
    FlowHttpDoor *door;
    FlowHttpRequest *request; /* NULL: the reply is complete */
    const FlowRoute *route;
    FlowHttpFormat format;
    bool gzip;     /* the client takes it */
    bool resumes;  /* the client has seen events before */
    bool began;    /* a stream's head is out */
    bool gone;     /* the client is */
    FlowList link; /* in door->calls */
    FlowTimer deadline, heartbeat;
    FlowBuf headers; /* of the request: name, NUL, value, NUL, … */
    FlowRpcPeer peer;

    pthread_mutex_t lock; /* for all below */
    FlowTask task;
    bool posted;
    bool finished; /* the handler has ended the call */
    bool closing;  /* no more is said: the last record or the whole reply is in `body` */
    bool orphan;   /* the door is gone: ending the call is all that is left */
    bool said;     /* a stream's message was put into `body`: its head can't be an error's any more */
    bool wants_room, tell_drain, tell_gone;
    bool plain; /* `body` is a whole reply with `code` and `type` */
    int code;
    char type[128];
    FlowBuf body;    /* what waits for the loop */
    FlowBuf extra;   /* header lines of the reply */
    char cursor[24]; /* of the last message; "" without one */
} FlowHttpCall;

extern const FlowRpcDoor flow_http__rpc_door;

/* Its deadline runs from now on. */
FlowHttpCall *flow_http__call_new(FlowHttpDoor *door, FlowHttpRequest *request, const FlowRoute *route,
                                  int64_t deadline_ns);

/* Loop's thread: tells the handler that the server or the client goes. */
void flow_http__call_tell(FlowHttpCall *call, bool drain, bool gone);
/* Loop's thread: the door goes without waiting for the handler. */
void flow_http__call_orphan(FlowHttpCall *call);

/* Any thread: one call more or less. */
void flow_http__door_count(FlowHttpDoor *door, int change);
/* A request's headers as a call's metadata: pairs of texts, each behind the other. */
void flow_http__copy_headers(FlowBuf *to, const FlowHttpRequest *request);
void flow_http__copy_peer(FlowRpcPeer *to, const FlowHttpRequest *request);
bool flow_http__pair_at(const FlowBuf *pairs, size_t index, const char **ret_key, size_t *ret_key_len,
                        const char **ret_value, size_t *ret_value_len);

/* ---- transcode.c ---- */

/* A message as what its route answers: JSON, unwrapped by response_body. *ret_whole (may be NULL) is the whole message's
 * JSON. Both are the caller's. */
FlowStatus flow_http__response_value(const FlowWirePool *pool, const FlowRoute *route,
                                     const ProtobufCMessage *message, FlowValue *ret_value,
                                     FlowValue *ret_whole, FlowError *reterr);
/* A unary answer's body and its content type. */
FlowStatus flow_http__response_body(const FlowWirePool *pool, const FlowRoute *route,
                                    const ProtobufCMessage *message, FlowHttpFormat format, FlowBuf *to,
                                    char type[128], FlowError *reterr);
/* The text of a stream's cursor field in a message's JSON; "" when there is none. */
void flow_http__cursor_of(const FlowRoute *route, FlowValue whole, char to[24]);

#endif
