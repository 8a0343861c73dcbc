/* required.h - refuses requests that lack a field which the contract marks as required. */
#ifndef FLOW_RPC_REQUIRED_H
#define FLOW_RPC_REQUIRED_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "rpc/details.h"
#include "wire/descriptors.h"

/* True when nothing is missing; else *ret_details names every missing field of the message itself (not of
 * messages within it) and is yours to give back. */
bool flow_rpc_required_present(const FlowWireMessage *type, const ProtobufCMessage *message,
                               FlowRpcDetails *ret_details);

#endif
