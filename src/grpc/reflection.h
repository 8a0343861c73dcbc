/*
 * reflection.h - grpc.reflection.v1 and v1alpha: clients learn the contract from the server, without .proto files.
 * Answers from the server's descriptor pool with the very bytes that were compiled, comments included.
 */
#ifndef FLOW_GRPC_REFLECTION_H
#define FLOW_GRPC_REFLECTION_H

#include "rpc/rpc.h"

/* Binds the handlers; there is nothing to undo. */
FlowStatus flow_grpc_reflection_bind(FlowRpcServer *rpc, FlowError *reterr);

#endif
