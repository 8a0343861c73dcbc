/*
 * internal.h - what server.c and call.c share.
 *
 * One FlowGrpcCall is both an armed request ("give me the next call") and, once one has come, that call. All its
 * events arrive on the thread of its queue. Everything that is sent is sent under `lock`, from whatever thread has
 * something to send.
 *
 * Ends in this order: the handler has ended it (`finished`), the client's side is over (`closed`), and no batch
 * is outstanding (`batches` is 0). Then flow_rpc_call_over(), and the core's objects go.
 */
#ifndef FLOW_GRPC_INTERNAL_H
#define FLOW_GRPC_INTERNAL_H

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "grpc/server.h"
#include "rpc/door.h"
#include "rpc/listen.h"

/* gRPC's core isn't instrumented: what its queues hand from thread to thread, ThreadSanitizer must be told. */
#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define FLOW_GRPC_HAND_OVER(tag) __tsan_release(tag)
#define FLOW_GRPC_TAKE_OVER(tag) __tsan_acquire(tag)
#else
#define FLOW_GRPC_HAND_OVER(tag) ((void)0)
#define FLOW_GRPC_TAKE_OVER(tag) ((void)0)
#endif

typedef struct FlowGrpcCall FlowGrpcCall;
typedef struct FlowGrpcQueue FlowGrpcQueue;
/* Looks for changed files at every new connection. */
typedef struct FlowGrpcTls FlowGrpcTls;

typedef struct FlowGrpcTag {
    void (*run)(struct FlowGrpcTag *tag, bool ok);
    FlowGrpcCall *call;
} FlowGrpcTag;

typedef struct FlowGrpcMessage {
    struct FlowGrpcMessage *next;
    grpc_byte_buffer *buffer;
    size_t size;
} FlowGrpcMessage;

struct FlowGrpcCall {
    FlowRpcCall base;
    FlowGrpcQueue *queue;
    FlowList link; /* in queue->live, or queue->idle */
    FlowGrpcTag on_new, on_close, on_receive, on_send, on_wake;
    grpc_call_details details;
    grpc_metadata_array metadata;
    bool in_event;              /* its own thread runs an event of this call: used there only */
    int cancelled;              /* written by the core until on_close */
    grpc_byte_buffer *incoming; /* written by the core until on_receive */

    pthread_mutex_t lock; /* for all below */
    grpc_call *call;      /* NULL: given back */
    FlowGrpcMessage *first, *last;
    size_t queued; /* bytes in these */
    unsigned batches;
    bool sending, receiving, waking;
    bool head_sent, status_sent;
    bool ending;   /* the status is known: it goes behind what is queued */
    bool finished; /* the handler has ended the call */
    bool closed;   /* on_close has come */
    bool dead;     /* the client is gone: nothing is sent any more */
    bool wants_room, tell_drain;
    grpc_status_code code;
    grpc_slice message; /* of the status */
    grpc_metadata *head;
    size_t head_count;
    grpc_metadata head_one[1]; /* `head` when there is only the request id */
    grpc_metadata trailer[2];
    size_t trailer_count;
};

struct FlowGrpcQueue {
    FlowGrpcServer *server;
    grpc_completion_queue *cq;
    pthread_t thread;
    pthread_mutex_t lock; /* for `live` */
    FlowList live;        /* calls that have come and are not over */
    FlowList idle;        /* spare calls; its own thread only */
    unsigned idle_count;
};

enum { FLOW_GRPC_QUEUES_MAX = 64 };

struct FlowGrpcServer {
    FlowRpcServer *rpc;
    grpc_server *core;
    grpc_resource_quota *quota;
    FlowGrpcQueue queues[FLOW_GRPC_QUEUES_MAX];
    size_t queue_count, armed_per_queue;
    char *address;
    int lock_fds[FLOW_LISTEN_MAX];
    FlowGrpcTls *tls[FLOW_LISTEN_MAX];
    size_t listener_count;
    _Atomic unsigned live;   /* calls that have come and are not over */
    _Atomic bool stopping;   /* nothing is armed any more */
    _Atomic bool letting_go; /* calls are given back even when their handlers have not ended them */
    FlowGrpcTag on_shutdown;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut_down, hurry; /* under lock */
};

/* Asks the core for the next call of this queue. On the queue's thread, or before it runs. */
void flow_grpc__arm(FlowGrpcQueue *queue);
/* The loop of a queue's thread. */
void *flow_grpc__queue_thread(void *queue);
/* Any thread: runs something on the call's thread (tell_drain is set before, under its lock). Lock held. */
void flow_grpc__wake(FlowGrpcCall *call);
/* The last call is over, and the server waits for that. Any thread. */
void flow_grpc__quiet(FlowGrpcServer *server);
void flow_grpc__queue_done(FlowGrpcQueue *queue);

/* Appends the content of a compressed buffer; RESOURCE_EXHAUSTED when it is larger than `limit`. */
FlowStatus flow_grpc__inflate(const grpc_byte_buffer *buffer, size_t limit, FlowBuf *to, FlowError *reterr);

/* The credentials for one listener; they use *ret_tls, which is freed when the server is gone. */
FlowStatus flow_grpc__tls_new(const FlowTlsFiles *files, FlowGrpcTls **ret_tls,
                              grpc_server_credentials **ret_credentials, FlowError *reterr);
FlowGrpcTls *flow_grpc__tls_free(FlowGrpcTls *tls);

#endif
