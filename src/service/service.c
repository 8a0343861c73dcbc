#include "service/service_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/problem.h"

enum { DEFINITION_THREADS = 2, DEFINITIONS_WAITING = 1024 };

static const FlowRpcBinding *const handlers[] = {
    flow_workflow_handlers,  flow_production_handlers,  flow_queue_handlers,  flow_dead_letter_handlers,
    flow_node_type_handlers, flow_development_handlers, flow_system_handlers,
};

static FlowStatus bind(FlowServices *services, FlowRpcServer *server, FlowError *reterr)
{
    for (size_t i = 0; i < FLOW_COUNT(handlers); i++) {
        size_t count = 0;
        while (handlers[i][count].method != NULL)
            count++;
        FlowStatus status = flow_rpc_server_bind(server, handlers[i], count, services, reterr);
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}

FlowStatus flow_services_open(const FlowServicesOptions *options, FlowRpcServer *server,
                              FlowServices **ret_services, FlowError *reterr)
{
    FlowServices *services = flow_new(FlowServices);
    services->engine = options->engine;
    services->store = options->store;
    services->registry = options->registry;
    services->clock = options->clock != NULL ? options->clock : flow_clock_real();
    services->server = server;
    services->env = options->env;
    services->server_name = options->server_name != NULL ? options->server_name : "";
    services->start_wall_ns = flow_clock_wall_ns(services->clock);
    services->start_mono_ns = flow_clock_mono_ns(services->clock);
    FlowStatus status = flow_loop_open("services", services->clock, &services->loop, reterr);
    if (status == FLOW_OK) {
        const FlowDevOptions dev = {.store = options->store,
                                    .registry = options->registry,
                                    .clock = services->clock,
                                    .env = options->env};
        status = flow_dev_open(&dev, &services->dev, reterr);
    }
    if (status == FLOW_OK) {
        services->definitions = flow_pool_new("definitions", DEFINITION_THREADS, DEFINITIONS_WAITING);
        status = bind(services, server, reterr);
    }
    if (status != FLOW_OK) {
        flow_services_close(services);
        return status;
    }
    *ret_services = services;
    return FLOW_OK;
}

void flow_services_close(FlowServices *services)
{
    if (services == NULL)
        return;
    flow_dev_close(services->dev);
    flow_pool_free(services->definitions);
    flow_loop_free(services->loop);
    free(services);
}

void flow_services_set_listeners(FlowServices *services, const char *const *listeners, size_t count)
{
    for (size_t i = 0; i < count && i < FLOW_LISTENERS_MAX; i++)
        snprintf(services->listeners[i], sizeof services->listeners[i], "%s", listeners[i]);
    services->listener_count = count < FLOW_LISTENERS_MAX ? count : FLOW_LISTENERS_MAX;
}

bool flow_services_ready(FlowServices *services, const char **reasons, size_t max, size_t *ret_count)
{
    FlowStoreInfo info;
    flow_store_info(services->store, &info);
    const struct {
        bool holds;
        const char *reason;
    } rows[] = {
        {info.state != FLOW_STORE_READY, "the store is away"},
        {!info.balanced, "the ledger does not balance"},
        {!atomic_load(&services->resumed), "runs are still being resumed"},
        {atomic_load(&services->stopping), "the server is stopping"},
    };
    *ret_count = 0;
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        if (rows[i].holds && *ret_count < max)
            reasons[(*ret_count)++] = rows[i].reason;
    return *ret_count == 0;
}

void flow_services_set_resumed(FlowServices *services)
{
    atomic_store(&services->resumed, true);
}

void flow_services_set_stopping(FlowServices *services)
{
    atomic_store(&services->stopping, true);
}

/* ---- answers ---- */

void flow_service_no_room(FlowRpcCall *call)
{
    FlowError error;
    flow_error_set(&error, FLOW_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", NULL,
                   "the answer is larger than the server makes; ask for less at a time (page_size)");
    flow_rpc_fail(call, &error);
}

void flow_service_fail_resource(FlowRpcCall *call, const FlowError *error, const char *type, const char *name)
{
    FlowRpcDetails details;
    flow_rpc_details_init(&details, error);
    if (error->status == FLOW_NOT_FOUND || error->status == FLOW_ALREADY_EXISTS ||
        error->status == FLOW_ABORTED)
        flow_rpc_details_resource(&details, type, name, error->message);
    flow_rpc_fail_with(call, &details);
    flow_rpc_details_done(&details);
}

void flow_service_fail_problems(FlowRpcCall *call, const FlowError *error, const FlowProblems *problems)
{
    FlowRpcDetails details;
    FlowError whole = *error;
    if (problems != NULL && problems->count > 0)
        whole.where[0] = '\0'; /* each problem names its own place */
    flow_rpc_details_init(&details, &whole);
    for (size_t i = 0; problems != NULL && i < problems->count; i++) {
        const FlowProblem *p = &problems->items[i];
        char field[256];
        snprintf(field, sizeof field, "workflow%s%s", p->field[0] != '\0' ? "." : "", p->field);
        if (p->severity == FLOW_SEVERITY_ERROR)
            flow_rpc_details_field(&details, field, p->message);
    }
    flow_rpc_fail_with(call, &details);
    flow_rpc_details_done(&details);
}

size_t flow_service_page_size(FlowRpcCall *call, int32_t page_size)
{
    FlowError error;
    if (page_size >= 0)
        return page_size == 0                    ? 50
               : page_size > FLOW_STORE_PAGE_MAX ? FLOW_STORE_PAGE_MAX
                                                 : (size_t)page_size;
    flow_error_set(&error, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "page_size",
                   "page_size must not be negative");
    flow_rpc_fail(call, &error);
    return 0;
}
