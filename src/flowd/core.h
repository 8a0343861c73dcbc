/* core.h - what stands behind the doors: store, node types, engine, services; opened in this order. */
#ifndef FLOW_FLOWD_CORE_H
#define FLOW_FLOWD_CORE_H

#include <pthread.h>
#include <stdbool.h>

#include "engine/engine.h"
#include "engine/registry.h"
#include "flowd/settings.h"
#include "rpc/rpc.h"
#include "service/service.h"
#include "store/store.h"

typedef struct FlowCore {
    FlowStore *store;
    FlowRegistry *registry;
    FlowEngine *engine;
    FlowServices *services;
    FlowValue env;              /* what templates see as `env` */
    pthread_mutex_t drain_lock; /* for `draining` */
    bool draining;              /* flow_core_drain() is under way, so the engine is there */
} FlowCore;

/* Opens the store, which may take a while when it has to recover, and makes node types known. */
FlowStatus flow_core_store_up(FlowCore *core, const FlowSettings *settings, FlowError *reterr);
void flow_core_store_down(FlowCore *core);

FlowStatus flow_core_engine_up(FlowCore *core, const FlowSettings *settings, const char *server_name,
                               FlowError *reterr);
void flow_core_engine_down(FlowCore *core);

FlowStatus flow_core_services_up(FlowCore *core, FlowRpcServer *rpc, const char *server_name,
                                 FlowError *reterr);
void flow_core_services_down(FlowCore *core);

/* Continues the runs that the store says were going on; blocks until they are under way. */
FlowStatus flow_core_resume(FlowCore *core, FlowError *reterr);
/* Lets the current units end, at most `grace_ns`; blocks. Runs stay as they are in the store. */
void flow_core_drain(FlowCore *core, int64_t grace_ns);
/* Any thread: a drain that is under way doesn't wait any longer. */
void flow_core_hurry(FlowCore *core);

#endif
