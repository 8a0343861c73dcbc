#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "rpc/rpc.h"
#include "rpc/server_internal.h"

static size_t methods_of(const FlowWirePool *pool)
{
    size_t count = 0;
    for (size_t i = 0; i < flow_wire_service_count(pool); i++)
        count += flow_wire_service_at(pool, i)->method_count;
    return count;
}

FlowRpcServer *flow_rpc_server_new(const FlowWirePool *pool, const FlowRpcLimits *limits)
{
    FlowRpcServer *self = flow_new(FlowRpcServer);
    self->pool = pool;
    self->limits = limits != NULL ? *limits : FLOW_RPC_LIMITS_DEFAULT;
    self->scan_limits = (FlowWireScanLimits){.depth = FLOW_WIRE_DEPTH_MAX,
                                             .nodes = self->limits.request_nodes,
                                             .memory = self->limits.request_memory};
    size_t count = methods_of(pool);
    self->methods = flow_calloc(count + 1, sizeof *self->methods);
    self->counters = flow_calloc(count + 1, sizeof *self->counters);
    flow_map_init(&self->by_name);
    flow_random_bytes(&self->id_prefix, sizeof self->id_prefix);
    for (size_t i = 0; i < flow_wire_service_count(pool); i++) {
        const FlowWireService *service = flow_wire_service_at(pool, i);
        for (size_t m = 0; m < service->method_count; m++) {
            FlowRpcMethod *method = &self->methods[self->method_count];
            method->wire = &service->methods[m];
            method->counters = &self->counters[self->method_count++];
            if (!flow_map_put(&self->by_name, method->wire->full_name, method))
                abort();
        }
    }
    return self;
}

FlowRpcServer *flow_rpc_server_free(FlowRpcServer *server)
{
    if (server == NULL)
        return NULL;
    flow_map_done(&server->by_name, NULL);
    free(server->methods);
    free(server->counters);
    free(server);
    return NULL;
}

FlowStatus flow_rpc_server_bind(FlowRpcServer *server, const FlowRpcBinding *bindings, size_t count,
                                void *service, FlowError *reterr)
{
    for (size_t i = 0; i < count; i++) {
        FlowRpcMethod *method = flow_map_find(&server->by_name, bindings[i].method);
        if (method == NULL)
            return flow_error_set(reterr, FLOW_INTERNAL, "METHOD_UNKNOWN", bindings[i].method,
                                  "the contract has no method \"%s\"", bindings[i].method);
        if (method->start != NULL)
            return flow_error_set(reterr, FLOW_INTERNAL, "METHOD_BOUND_TWICE", bindings[i].method,
                                  "two handlers are bound to \"%s\"", bindings[i].method);
        if (method->wire->request->c == NULL || method->wire->response->c == NULL)
            return flow_error_set(reterr, FLOW_INTERNAL, "NO_GENERATED_CODE", bindings[i].method,
                                  "the messages of \"%s\" have no generated code in this program",
                                  bindings[i].method);
        method->start = bindings[i].start;
        method->service = service;
    }
    return FLOW_OK;
}

const FlowWirePool *flow_rpc_server_pool(const FlowRpcServer *server)
{
    return server->pool;
}

const FlowRpcLimits *flow_rpc_server_limits(const FlowRpcServer *server)
{
    return &server->limits;
}

const FlowRpcMethod *flow_rpc_method_find(const FlowRpcServer *server, const char *name, size_t len)
{
    return flow_map_get(&server->by_name, name, len);
}

size_t flow_rpc_method_count(const FlowRpcServer *server)
{
    return server->method_count;
}

const FlowRpcMethod *flow_rpc_method_at(const FlowRpcServer *server, size_t index)
{
    return &server->methods[index];
}

static void add_counts(const FlowRpcCounters *from, bool stream, FlowRpcCounts *to)
{
    to->started += atomic_load_explicit(&from->started, memory_order_relaxed);
    to->shed += atomic_load_explicit(&from->shed, memory_order_relaxed);
    to->duration_ns += atomic_load_explicit(&from->duration_ns, memory_order_relaxed);
    for (size_t i = 0; i < FLOW_STATUS_COUNT; i++)
        to->ended[i] += atomic_load_explicit(&from->ended[i], memory_order_relaxed);
    unsigned in_flight = atomic_load_explicit(&from->in_flight, memory_order_relaxed);
    *(stream ? &to->streams_in_flight : &to->calls_in_flight) += in_flight;
}

void flow_rpc_server_counts(const FlowRpcServer *server, FlowRpcCounts *ret_counts)
{
    *ret_counts = (FlowRpcCounts){0};
    for (size_t i = 0; i < server->method_count; i++)
        add_counts(&server->counters[i], flow_rpc__is_stream(&server->methods[i]), ret_counts);
    add_counts(&server->counters[server->method_count], false, ret_counts);
}

void flow_rpc_method_counts(const FlowRpcMethod *method, FlowRpcCounts *ret_counts)
{
    *ret_counts = (FlowRpcCounts){0};
    add_counts(method->counters, flow_rpc__is_stream(method), ret_counts);
}
