#include "flowd/core.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "nodes/nodes.h"

/* A request to the engine that is waited for. */
typedef struct Waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    FlowError error;
} Waiting;

static void on_done(void *context, const FlowEngineReply *reply)
{
    Waiting *waiting = context;
    pthread_mutex_lock(&waiting->lock);
    waiting->error = reply->error;
    waiting->done = true;
    pthread_cond_signal(&waiting->changed);
    pthread_mutex_unlock(&waiting->lock);
}

static void wait_for(Waiting *waiting)
{
    pthread_mutex_lock(&waiting->lock);
    while (!waiting->done)
        pthread_cond_wait(&waiting->changed, &waiting->lock);
    pthread_mutex_unlock(&waiting->lock);
}

/* ---- store ---- */

static void log_recovery(FlowStore *store)
{
    FlowStoreRecovery recovery = flow_store_recovery(store);
    FlowStoreInfo info;
    flow_store_info(store, &info);
    flow_log(recovery.clean ? FLOW_LOG_INFO : FLOW_LOG_WARNING,
             recovery.clean ? "the store is open" : "the store is open; its last user did not close it",
             FLOW_F_STR("store", info.url), FLOW_F_INT("epoch", recovery.epoch),
             FLOW_F_INT("interrupted", recovery.interrupted), FLOW_F_INT("requeued", recovery.requeued),
             FLOW_F_INT("active_runs", recovery.active_runs));
    if (!info.balanced)
        flow_log_error(FLOW_LOG_ERROR, "the ledger does not balance: new runs and pushes are refused",
                       &info.imbalance);
}

FlowStatus flow_core_store_up(FlowCore *core, const FlowSettings *settings, FlowError *reterr)
{
    char url[4200];
    FlowStoreOptions options = {.durability = strcmp(settings->durability, "process") == 0
                                                  ? FLOW_DURABILITY_PROCESS
                                                  : FLOW_DURABILITY_POWER};
    if (strcmp(settings->store, "sqlite") == 0)
        snprintf(url, sizeof url, "sqlite:%s/flowengine.db", settings->data_dir);
    else
        snprintf(url, sizeof url, "%s", settings->store);
    FlowStatus status = flow_store_open(url, &options, &core->store, reterr);
    if (status != FLOW_OK)
        return status;
    log_recovery(core->store);
    core->registry = flow_registry_new();
    status = flow_nodes_register(core->registry, reterr);
    if (status != FLOW_OK)
        flow_core_store_down(core);
    return status;
}

void flow_core_store_down(FlowCore *core)
{
    flow_store_close(core->store);
    flow_registry_free(core->registry);
    core->store = NULL;
    core->registry = NULL;
}

/* ---- engine ---- */

/* Only the variables that the setting names: templates may see no others. */
static FlowValue allowed_environment(const char *names)
{
    FlowValue env = flow_value_object();
    flow_cleanup(flow_freep) char *list = flow_strdup(names);
    char *state = NULL;
    for (char *name = strtok_r(list, ", ", &state); name != NULL; name = strtok_r(NULL, ", ", &state)) {
        const char *value = getenv(name);
        if (value != NULL && flow_object_set_take(&env, name, flow_value_string(value), NULL) != FLOW_OK)
            break;
    }
    return env;
}

FlowStatus flow_core_engine_up(FlowCore *core, const FlowSettings *settings, const char *server_name,
                               FlowError *reterr)
{
    core->env = allowed_environment(settings->template_env);
    FlowEngineOptions options = {.store = core->store,
                                 .registry = core->registry,
                                 .server = server_name,
                                 .shards = (unsigned)settings->shards,
                                 .env = core->env};
    return flow_engine_open(&options, &core->engine, reterr);
}

void flow_core_engine_down(FlowCore *core)
{
    flow_engine_close(core->engine);
    core->engine = NULL;
    flow_value_clear(&core->env);
}

FlowStatus flow_core_resume(FlowCore *core, FlowError *reterr)
{
    Waiting waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    flow_engine_resume(core->engine, on_done, &waiting);
    wait_for(&waiting);
    if (waiting.error.status != FLOW_OK) {
        if (reterr != NULL)
            *reterr = waiting.error;
        return waiting.error.status;
    }
    flow_services_set_resumed(core->services);
    return FLOW_OK;
}

static void set_draining(FlowCore *core, bool draining)
{
    pthread_mutex_lock(&core->drain_lock);
    core->draining = draining;
    pthread_mutex_unlock(&core->drain_lock);
}

void flow_core_drain(FlowCore *core, int64_t grace_ns)
{
    Waiting waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    flow_services_set_stopping(core->services);
    set_draining(core, true);
    flow_engine_drain(core->engine, grace_ns, on_done, &waiting);
    wait_for(&waiting);
    set_draining(core, false);
}

static void on_hurried(void *context, const FlowEngineReply *reply)
{
    (void)context; /* who drains waits for its own answer */
    (void)reply;
}

void flow_core_hurry(FlowCore *core)
{
    pthread_mutex_lock(&core->drain_lock);
    if (core->draining)
        flow_engine_drain(core->engine, 0, on_hurried, NULL);
    pthread_mutex_unlock(&core->drain_lock);
}

/* ---- services ---- */

FlowStatus flow_core_services_up(FlowCore *core, FlowRpcServer *rpc, const char *server_name,
                                 FlowError *reterr)
{
    FlowServicesOptions options = {.engine = core->engine,
                                   .store = core->store,
                                   .registry = core->registry,
                                   .env = core->env,
                                   .server_name = server_name};
    return flow_services_open(&options, rpc, &core->services, reterr);
}

void flow_core_services_down(FlowCore *core)
{
    flow_services_close(core->services);
    core->services = NULL;
}
