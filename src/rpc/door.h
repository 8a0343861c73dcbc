/*
 * door.h - what a door (gRPC, HTTP) does for a call and what it tells the rpc room. Only doors include this;
 * services see rpc.h.
 *
 * A door's own call struct begins with a FlowRpcCall. From the door's thread, one at a time for one call:
 *
 *   flow_rpc_call_init()       when a request has arrived; metadata must be readable through `metadata_at`
 *   flow_rpc_call_begin()      the method is known by name: counts, limits, unknown methods
 *   flow_rpc_call_start()      where the client doesn't stream: with its message; runs the handler
 *   flow_rpc_call_start_stream()  where it does: runs the handler, which asks for messages
 *   flow_rpc_call_message() / _half_close()  what `receive` asked for
 *   flow_rpc_call_ready()      there is room again after `send` said no
 *   flow_rpc_call_cancel()     the client is gone or the deadline has passed
 *   flow_rpc_call_drain()      the server is about to stop
 *   flow_rpc_call_over()       last: `finish` was called and nothing is on its way any more
 *
 * `finish` is called exactly once for every call that was begun, by whoever ends it; begin and start may do so
 * themselves. Until flow_rpc_call_over() the handler's memory stays.
 */
#ifndef FLOW_RPC_DOOR_H
#define FLOW_RPC_DOOR_H

#include <stdatomic.h>

#include "base/arena.h"
#include "rpc/details.h"
#include "rpc/rpc.h"

typedef struct FlowRpcDoor {
    const char *name; /* "grpc" */
    /* Any thread. Encodes the message and puts it into the stream; answers whether there is room for another. */
    bool (*send)(FlowRpcCall *call, const ProtobufCMessage *message);
    bool (*ready)(const FlowRpcCall *call);
    /* Any thread, once. Ends the call: with `message` (NULL: none, as at the end of a stream) and OK, or with
     * `details`. flow_rpc_call_over() must follow on the door's thread, never from within. */
    void (*finish)(FlowRpcCall *call, const ProtobufCMessage *message, const FlowRpcDetails *details);
    /* Any thread. Ends the client's side with this error at once and forgets what waits to be sent. Then
     * flow_rpc_call_cancel(), so that the handler ends the call too; that `finish` has nothing left to send. */
    void (*abort)(FlowRpcCall *call, const FlowRpcDetails *details);
    /* Any thread: the client's next message is wanted. */
    void (*receive)(FlowRpcCall *call);
    /* Any thread. The index-th pair of request metadata. */
    bool (*metadata_at)(const FlowRpcCall *call, size_t index, const char **ret_key, size_t *ret_key_len,
                        const char **ret_value, size_t *ret_value_len);
    void (*peer)(const FlowRpcCall *call, FlowRpcPeer *ret_peer);
    /* The last hold is gone: any thread. */
    void (*free)(FlowRpcCall *call);
} FlowRpcDoor;

enum { FLOW_RPC_REQUEST_ID_MAX = 128 };

struct FlowRpcCall {
    const FlowRpcDoor *door;
    FlowRpcServer *server;
    const FlowRpcMethod *method;
    _Atomic unsigned refs;
    _Atomic bool cancelled;
    _Atomic bool ended;              /* finish was called */
    _Atomic FlowStatus abort_status; /* OK: not aborted */
    bool counted;                    /* in the calls or streams in flight */
    bool started;                    /* the handler ran */
    bool watched;                    /* `callbacks` are set */
    bool answered;                   /* too late for reply metadata */
    FlowStatus status;               /* how it ended */
    int64_t started_ns, deadline_ns;
    FlowArena arena;
    FlowArena message_arena; /* of the last streamed message */
    size_t reserved;         /* of the server's total memory */
    const ProtobufCMessage *request;
    const FlowRpcCallbacks *callbacks;
    void *callback_data;
    FlowBuf reply_metadata; /* see flow_rpc_call_reply_metadata() */
    char request_id[FLOW_RPC_REQUEST_ID_MAX + 1];
};

/* One hold, the door's. The arenas of a call that was used before (and is over) are kept for the next. */
void flow_rpc_call_new(FlowRpcCall *call, const FlowRpcDoor *door, FlowRpcServer *server);
void flow_rpc_call_init(FlowRpcCall *call, int64_t deadline_ns);
/* Frees what the call owns; the struct is the door's. */
void flow_rpc_call_done(FlowRpcCall *call);

/* `name` is "package.Service/Method". False when it has been ended already: unknown, unbound, too busy. */
bool flow_rpc_call_begin(FlowRpcCall *call, const char *name, size_t len);
bool flow_rpc_call_begin_method(FlowRpcCall *call, const FlowRpcMethod *method);
void flow_rpc_call_start(FlowRpcCall *call, const void *bytes, size_t len);
/* The same with a message that the door has unpacked into the call's arena (JSON). */
void flow_rpc_call_start_unpacked(FlowRpcCall *call, const ProtobufCMessage *request);
void flow_rpc_call_start_stream(FlowRpcCall *call);
void flow_rpc_call_message(FlowRpcCall *call, const void *bytes, size_t len);
void flow_rpc_call_half_close(FlowRpcCall *call);
void flow_rpc_call_ready(FlowRpcCall *call);
void flow_rpc_call_cancel(FlowRpcCall *call);
void flow_rpc_call_drain(FlowRpcCall *call);
void flow_rpc_call_over(FlowRpcCall *call);
/* For a stream whose client misbehaves (bad messages, not reading): see `abort`. Any thread. */
void flow_rpc_call_abort(FlowRpcCall *call, const FlowError *error);
/* Ends a call whose handler has not run. */
void flow_rpc_call_refuse(FlowRpcCall *call, FlowStatus status, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Walks over what flow_rpc_set_metadata() was given: begin with *at = 0. */
bool flow_rpc_call_reply_metadata(const FlowRpcCall *call, size_t *at, const char **ret_key,
                                  size_t *ret_key_len, const char **ret_value, size_t *ret_value_len);

#endif
