/*
 * service.h - the handlers of every method of the contract: wire messages in, engine and store calls, wire messages out.
 *
 * One file per proto service. A handler starts on a door's thread and doesn't block: what needs the store or the engine
 * is asked for, and the answer is built where it arrives (the services' loop, or the engine's control thread).
 */
#ifndef FLOW_SERVICE_SERVICE_H
#define FLOW_SERVICE_SERVICE_H

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "rpc/rpc.h"
#include "store/store.h"

typedef struct FlowServices FlowServices;

typedef struct FlowServicesOptions {
    FlowEngine *engine; /* all borrowed: they outlive the services */
    FlowStore *store;
    FlowRegistry *registry;
    const FlowClock *clock; /* NULL: the real one */
    FlowValue env;          /* object: what templates see as `env`; borrowed */
    const char *server_name;
} FlowServicesOptions;

/* Starts the services' loop and binds every handler. INTERNAL when the contract and the code don't fit. */
FlowStatus flow_services_open(const FlowServicesOptions *options, FlowRpcServer *server,
                              FlowServices **ret_services, FlowError *reterr);
/* When no call is left and the store and the engine are still open. Blocks. Accepts NULL. */
void flow_services_close(FlowServices *services);

/* For GetServerInfo and /readyz; any thread. The listeners are copied ("grpc://127.0.0.1:50051"). */
void flow_services_set_listeners(FlowServices *services, const char *const *listeners, size_t count);
/* Whether the server can do its work: the store is there and balances, runs were resumed, it isn't stopping. Reasons are
 * static texts; *ret_count of them, at most `max`. */
bool flow_services_ready(FlowServices *services, const char **reasons, size_t max, size_t *ret_count);
/* Runs were resumed (true once, at start); the server is about to stop. */
void flow_services_set_resumed(FlowServices *services);
void flow_services_set_stopping(FlowServices *services);

#endif
