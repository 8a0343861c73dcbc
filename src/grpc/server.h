/*
 * server.h - door 1: gRPC over HTTP/2, by the C core of gRPC.
 *
 * A door is opened with everything bound to its FlowRpcServer, serves at once, and is stopped and freed before
 * that server is. Reflection and health are handlers like others: see reflection.h and health.h.
 *
 * Threads: open, drain, stop and free are called by one thread; flow_grpc_server_hurry() by any. Each completion queue
 * has one thread of its own; a call lives on one of them.
 */
#ifndef FLOW_GRPC_SERVER_H
#define FLOW_GRPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "rpc/rpc.h"
#include "rpc/tls.h"

typedef struct FlowGrpcServer FlowGrpcServer;

typedef struct FlowGrpcOptions {
    const char *listen;   /* addresses as in rpc/listen.h, separated by commas */
    FlowTlsFiles tls;     /* for TCP; without `cert` TCP is in clear */
    bool insecure_listen; /* allow a listener that others can reach without TLS */
    unsigned threads;     /* completion queues; 0: one when all listeners are local, else 16 */
    unsigned streams;     /* calls at a time on one connection; 0: 256 */
    size_t memory;        /* resource quota of the transport in bytes; 0: 128 MiB */
} FlowGrpcOptions;

/* INVALID_ARGUMENT: a bad address, bad TLS files, a listener that isn't local without TLS or `insecure_listen`. */
FlowStatus flow_grpc_options_check(const FlowGrpcOptions *options, FlowError *reterr);

/*
 * Fails like the check, and with FAILED_PRECONDITION (an address that this machine doesn't have) and
 * ALREADY_EXISTS (another process listens there).
 */
FlowStatus flow_grpc_server_open(FlowRpcServer *rpc, const FlowGrpcOptions *options,
                                 FlowGrpcServer **ret_server, FlowError *reterr);

/* What it listens on, ports filled in: "127.0.0.1:50051", several separated by commas. Borrowed. */
const char *flow_grpc_server_address(const FlowGrpcServer *server);

/* Tells every open stream that the end is near (on_drain). New calls are still taken. */
void flow_grpc_server_drain(FlowGrpcServer *server);

/*
 * Takes no more calls, waits for those that are there at most `grace_ns`, then cancels them. When it returns, no
 * thread of the door runs any more; handlers of cancelled calls may still end them.
 */
void flow_grpc_server_stop(FlowGrpcServer *server, int64_t grace_ns);
/* A stop that waits cancels all calls now. Any thread, until the server is freed. */
void flow_grpc_server_hurry(FlowGrpcServer *server);
/* After stop. Always NULL. */
FlowGrpcServer *flow_grpc_server_free(FlowGrpcServer *server);

#endif
