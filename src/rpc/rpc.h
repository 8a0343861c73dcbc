/*
 * rpc.h - one call, whatever door it came through.
 *
 * A FlowRpcServer holds the table of methods, built from the contract's descriptors. Services bind handlers
 * to methods; doors (gRPC, HTTP) find a method by name and start calls. A method without a handler answers
 * UNIMPLEMENTED and says which one it is.
 *
 * The life of a call, as its handler sees it:
 *
 *   static void get_run(FlowRpcCall *call, void *service)
 *   {
 *       const Flowengine__V1__GetRunRequest *request = flow_rpc_request(call);
 *       FlowError error;
 *       ...
 *       if (nothing_found)
 *           flow_rpc_fail(call, &error);
 *       else
 *           flow_rpc_reply(call, &response.base);
 *   }
 *
 * - `start` runs on a thread of the door and must not block: no store, no file, no lock that is held for
 * long. Work goes to a loop or a pool; the answer may be given from any thread, now or later.
 * - With `start` the handler gets one hold on the call. Exactly one of flow_rpc_reply(), flow_rpc_fail(),
 *   flow_rpc_fail_with() and flow_rpc_end() must follow, even when the call has been cancelled meanwhile;
 *   it ends the call and gives the hold back: don't touch the call, its request or its arena afterwards.
 * - Messages given to reply and send are encoded before the function returns: they stay yours.
 * - The request, its strings and the arena live as long as the handler's hold.
 *
 * Streams: flow_rpc_send() any number of times, then flow_rpc_end(). Send answers whether there is room for
 * more; when it says false, stop, and go on when `on_ready` is called. A handler that goes on regardless
 * fills a bounded queue and loses the call with RESOURCE_EXHAUSTED (SLOW_CONSUMER).
 * Methods whose client streams: no request; flow_rpc_receive() asks for the next message, `on_message` brings
 * it or `on_half_close` says that there are no more. Only what was asked for is read: that is the back
 * pressure.
 *
 * Threads: the functions of one call may be called from any thread, by one thread at a time (cancelled(),
 * request_id() and ref/unref: always). Callbacks run on a thread of the door, never two of one call at the
 * same time, but possibly at the same time as functions of the call on your thread, and until `on_done`
 * returns. What they use must live until then: free it in `on_done`.
 */
#ifndef FLOW_RPC_RPC_H
#define FLOW_RPC_RPC_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/status.h"
#include "wire/descriptors.h"

typedef struct FlowRpcServer FlowRpcServer;
typedef struct FlowRpcMethod FlowRpcMethod;
typedef struct FlowRpcCall FlowRpcCall;

/* ---------------------------------------------------------------- the server: methods, handlers, limits */

typedef void (*FlowRpcStart)(FlowRpcCall *call, void *service);

typedef struct FlowRpcBinding {
    const char *method; /* "flowengine.v1.WorkflowService/CreateWorkflow" */
    FlowRpcStart start;
} FlowRpcBinding;

typedef struct FlowRpcLimits {
    size_t request_bytes;  /* largest message that is read, packed; default 4 MiB */
    size_t reply_bytes;    /* largest message that is sent, packed; default 16 MiB */
    size_t request_memory; /* what one message may take unpacked; default 64 MiB */
    size_t total_memory;   /* what all messages in flight may take unpacked; default 256 MiB */
    size_t request_nodes;  /* fields and elements in one message; default 1,000,000 */
    unsigned calls;        /* unary calls in flight, all doors; more are shed; default 4096 */
    unsigned streams;      /* streaming calls in flight; default 4096 */
    size_t stream_queue;   /* bytes that wait in one stream before send() says "no more"; default 256 KiB */
} FlowRpcLimits;

#define FLOW_RPC_LIMITS_DEFAULT                                                                              \
    ((FlowRpcLimits){.request_bytes = (size_t)4 << 20,                                                       \
                     .reply_bytes = (size_t)16 << 20,                                                        \
                     .request_memory = (size_t)64 << 20,                                                     \
                     .total_memory = (size_t)256 << 20,                                                      \
                     .request_nodes = 1000000,                                                               \
                     .calls = 4096,                                                                          \
                     .streams = 4096,                                                                        \
                     .stream_queue = (size_t)256 << 10})

/* The table of all methods of `pool` (which must outlive it). `limits` may be NULL: the defaults. */
FlowRpcServer *flow_rpc_server_new(const FlowWirePool *pool, const FlowRpcLimits *limits);
/* When every door is closed and no call is left. Always NULL. */
FlowRpcServer *flow_rpc_server_free(FlowRpcServer *server);

/*
 * Binds handlers before the doors open. `bindings` is borrowed and must outlive the server; `service` is
 * handed to `start`. INTERNAL when a method is not in the contract or already bound.
 */
FlowStatus flow_rpc_server_bind(FlowRpcServer *server, const FlowRpcBinding *bindings, size_t count,
                                void *service, FlowError *reterr);

const FlowWirePool *flow_rpc_server_pool(const FlowRpcServer *server);
const FlowRpcLimits *flow_rpc_server_limits(const FlowRpcServer *server);

typedef struct FlowRpcCounts {
    uint64_t started;                  /* calls that reached a method, shed ones too */
    uint64_t ended[FLOW_STATUS_COUNT]; /* by status; a call that the client gave up counts as CANCELLED */
    uint64_t shed;                     /* of these: refused because a limit was reached */
    uint64_t duration_ns;              /* sum over the ended ones */
    unsigned calls_in_flight, streams_in_flight;
} FlowRpcCounts;

/* Over all methods; any thread, at any time. */
void flow_rpc_server_counts(const FlowRpcServer *server, FlowRpcCounts *ret_counts);

/* ------------------------------------------------------------------------------------------- methods */

struct FlowRpcMethod {
    const FlowWireMethod *wire; /* names, types, streaming, HTTP rules */
    FlowRpcStart start;         /* NULL: not bound */
    void *service;
    void *counters; /* private */
};

/* `name` is "package.Service/Method", without a leading slash; NULL when there is none. */
const FlowRpcMethod *flow_rpc_method_find(const FlowRpcServer *server, const char *name, size_t len);
size_t flow_rpc_method_count(const FlowRpcServer *server);
const FlowRpcMethod *flow_rpc_method_at(const FlowRpcServer *server, size_t index);
void flow_rpc_method_counts(const FlowRpcMethod *method, FlowRpcCounts *ret_counts);

/* ----------------------------------------------------------------------------------- what a call brings */

FlowRpcServer *flow_rpc_call_server(const FlowRpcCall *call);
const FlowRpcMethod *flow_rpc_method(const FlowRpcCall *call);
/* The message, unpacked; its type is the method's request type. NULL where the client streams. */
const void *flow_rpc_request(const FlowRpcCall *call);
/* Memory that goes when the handler's hold goes; bounded by the limit on request memory. */
FlowArena *flow_rpc_arena(FlowRpcCall *call);
/* From metadata x-request-id, or made: at most 128 characters of [A-Za-z0-9_.-]. */
const char *flow_rpc_request_id(const FlowRpcCall *call);
/* A value of request metadata, lower-case `key`; the first one when there are several; NULL when there is
 * none. Not NUL-terminated. Keys that end in -bin have raw bytes. */
const char *flow_rpc_metadata(const FlowRpcCall *call, const char *key, size_t *ret_len);
/* The index-th pair, in the order they came; false when there are no more. */
bool flow_rpc_metadata_at(const FlowRpcCall *call, size_t index, const char **ret_key, size_t *ret_key_len,
                          const char **ret_value, size_t *ret_value_len);

enum { FLOW_RPC_PEER_TEXT = 128 };
typedef struct FlowRpcPeer {
    char address[FLOW_RPC_PEER_TEXT];  /* "ipv4:127.0.0.1:41234", "unix:"; for logs, not for trust */
    char identity[FLOW_RPC_PEER_TEXT]; /* common name of a verified client certificate; "" without one */
    bool secure;                       /* over TLS */
} FlowRpcPeer;
void flow_rpc_peer(const FlowRpcCall *call, FlowRpcPeer *ret_peer);

#define FLOW_RPC_NO_DEADLINE INT64_MAX
/* On the monotonic clock, in ns. The door ends the call itself when it passes: see on_cancel. */
int64_t flow_rpc_deadline_ns(const FlowRpcCall *call);
/* The client is gone, has cancelled, or the deadline has passed: the answer interests nobody. Any thread. */
bool flow_rpc_cancelled(const FlowRpcCall *call);

/* A second hold, for what looks at the call beside its handler: keeps request id and cancelled() alive, not
 * the request. Any thread. */
FlowRpcCall *flow_rpc_ref(FlowRpcCall *call);
FlowRpcCall *flow_rpc_unref(FlowRpcCall *call); /* always NULL */

/* ---------------------------------------------------------------------------------------- callbacks */

typedef struct FlowRpcCallbacks {
    /* Once, when the answer interests nobody any more: stop the work, then end the call as always. Called
     * from within flow_rpc_watch() when it has already happened. */
    void (*on_cancel)(FlowRpcCall *call, void *data);
    /* The server is about to stop: end a stream soon, with UNAVAILABLE and what lets the client resume. */
    void (*on_drain)(FlowRpcCall *call, void *data);
    /* There is room again after flow_rpc_send() said no. */
    void (*on_ready)(FlowRpcCall *call, void *data);
    /* What flow_rpc_receive() asked for. The message lives until the next flow_rpc_receive() or the end. */
    void (*on_message)(FlowRpcCall *call, const void *message, void *data);
    /* … or there are no more messages. */
    void (*on_half_close)(FlowRpcCall *call, void *data);
    /* Last of all, exactly once, on the door's thread: the call is over on both sides and none of these will
     * be called again. The place to free `data`. The call itself must not be used any more. */
    void (*on_done)(void *data);
} FlowRpcCallbacks;

/* At most once per call, within `start`. `callbacks` is borrowed and must outlive the call; slots may be
 * NULL. */
void flow_rpc_watch(FlowRpcCall *call, const FlowRpcCallbacks *callbacks, void *data);

/* ------------------------------------------------------------------------------------------- answers */

/*
 * Metadata for the client: before the first send or the end. Lower-case key; bytes for keys that end in -bin,
 * else printable ASCII. False when it can't be taken: a reserved key ("grpc-…", ":…"), a bad character, more
 * than 4 KiB in all, or too late.
 */
bool flow_rpc_set_metadata(FlowRpcCall *call, const char *key, const char *value, size_t len);

/* Ends the call with OK and this message: for methods that don't stream back. */
void flow_rpc_reply(FlowRpcCall *call, const ProtobufCMessage *message);
/* Ends the call with an error; its reason, where and message become status details, see details.h. */
void flow_rpc_fail(FlowRpcCall *call, const FlowError *error);
/* The same with details of your own. Takes nothing: `details` stays yours (flow_rpc_details_done()). */
typedef struct FlowRpcDetails FlowRpcDetails;
void flow_rpc_fail_with(FlowRpcCall *call, const FlowRpcDetails *details);

/* Puts a message into the stream. True: there is room for another one. False: wait for on_ready (or, on a
 * cancelled call, just end it). */
bool flow_rpc_send(FlowRpcCall *call, const ProtobufCMessage *message);
/* Whether the next send would have room. */
bool flow_rpc_ready(const FlowRpcCall *call);
/* Ends a stream: with OK when `error` is NULL, after everything that was sent before. */
void flow_rpc_end(FlowRpcCall *call, const FlowError *error);
/* Asks for the client's next message; one at a time. */
void flow_rpc_receive(FlowRpcCall *call);

/* flow_log() with the fields request_id and method in front. */
#define flow_rpc_log(call, level, message, ...)                                                              \
    flow_log(level, message, FLOW_F_STR("request_id", flow_rpc_request_id(call)),                            \
             FLOW_F_STR("method", flow_rpc_method(call)->wire->full_name), ##__VA_ARGS__)

#endif
