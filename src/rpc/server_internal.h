/* server_internal.h - the server's counters and limits, for server.c and call.c only. */
#ifndef FLOW_RPC_SERVER_INTERNAL_H
#define FLOW_RPC_SERVER_INTERNAL_H

#include <stdatomic.h>

#include "base/map.h"
#include "rpc/rpc.h"
#include "wire/prescan.h"

typedef struct FlowRpcCounters {
    _Atomic uint64_t started, shed, duration_ns;
    _Atomic uint64_t ended[FLOW_STATUS_COUNT];
    _Atomic unsigned in_flight;
} FlowRpcCounters;

struct FlowRpcServer {
    const FlowWirePool *pool;
    FlowRpcLimits limits;
    FlowWireScanLimits scan_limits;
    FlowRpcMethod *methods;
    FlowRpcCounters *counters; /* one per method, and the last for calls of unknown methods */
    size_t method_count;
    FlowMap by_name;
    _Atomic unsigned calls, streams;
    _Atomic size_t memory;
    uint64_t id_prefix;
    _Atomic uint64_t id_next;
};

static inline bool flow_rpc__is_stream(const FlowRpcMethod *method)
{
    return method->wire->client_streaming || method->wire->server_streaming;
}

#endif
