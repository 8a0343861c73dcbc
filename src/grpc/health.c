#include "grpc/health.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "grpc/health/v1/health.pb-c.h"

#define STATE(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus State;

struct FlowGrpcHealth {
    const FlowWirePool *pool;
    pthread_mutex_t lock; /* for all below, and for what is sent to watchers */
    State state;
    FlowList watchers;
};

typedef struct Watcher {
    FlowList link;
    FlowGrpcHealth *health;
    FlowRpcCall *call;
    bool known;   /* there is such a service */
    bool waiting; /* for room in the stream */
    bool ended;
    State told;
} Watcher;

static bool is_known(const FlowGrpcHealth *self, const char *service)
{
    return *service == '\0' || flow_wire_service(self->pool, service) != NULL;
}

static State state_of(FlowGrpcHealth *self)
{
    pthread_mutex_lock(&self->lock);
    State state = self->state;
    pthread_mutex_unlock(&self->lock);
    return state;
}

static void check(FlowRpcCall *call, void *service)
{
    FlowGrpcHealth *self = service;
    const Grpc__Health__V1__HealthCheckRequest *request = flow_rpc_request(call);
    if (!is_known(self, request->service)) {
        FlowError error;
        flow_error_set(&error, FLOW_NOT_FOUND, NULL, "service", "there is no service \"%s\"",
                       request->service);
        flow_rpc_fail(call, &error);
        return;
    }
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = state_of(self);
    flow_rpc_reply(call, &response.base);
}

static void list(FlowRpcCall *call, void *service)
{
    FlowGrpcHealth *self = service;
    size_t count = flow_wire_service_count(self->pool) + 1;
    Grpc__Health__V1__HealthCheckResponse state = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    Grpc__Health__V1__HealthListResponse response = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
    Grpc__Health__V1__HealthListResponse__StatusesEntry *entries = flow_calloc(count, sizeof *entries);
    response.statuses = flow_calloc(count, sizeof *response.statuses);
    state.status = state_of(self);
    for (size_t i = 0; i < count; i++) {
        grpc__health__v1__health_list_response__statuses_entry__init(&entries[i]);
        if (i != 0)
            entries[i].key = (char *)flow_wire_service_at(self->pool, i - 1)->full_name;
        entries[i].value = &state;
        response.statuses[response.n_statuses++] = &entries[i];
    }
    flow_rpc_reply(call, &response.base);
    free(response.statuses);
    free(entries);
}

/* Lock held. A watcher that reads slowly misses states in between, never the last one. */
static void tell(Watcher *watcher)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    State state = watcher->known ? watcher->health->state : STATE(SERVICE_UNKNOWN);
    if (watcher->ended || watcher->waiting || state == watcher->told)
        return;
    watcher->told = state;
    response.status = state;
    watcher->waiting = !flow_rpc_send(watcher->call, &response.base);
}

static void on_ready(FlowRpcCall *call, void *data)
{
    Watcher *watcher = data;
    (void)call;
    pthread_mutex_lock(&watcher->health->lock);
    watcher->waiting = false;
    tell(watcher);
    pthread_mutex_unlock(&watcher->health->lock);
}

static void end(Watcher *watcher, const FlowError *error)
{
    pthread_mutex_lock(&watcher->health->lock);
    bool first = !watcher->ended;
    watcher->ended = true;
    flow_list_remove(&watcher->link);
    pthread_mutex_unlock(&watcher->health->lock);
    if (first)
        flow_rpc_end(watcher->call, error);
}

static void on_cancel(FlowRpcCall *call, void *data)
{
    (void)call;
    end(data, NULL);
}

static void on_drain(FlowRpcCall *call, void *data)
{
    FlowError error;
    (void)call;
    flow_error_set(&error, FLOW_UNAVAILABLE, "DRAINING", NULL, "the server is shutting down");
    end(data, &error);
}

static const FlowRpcCallbacks callbacks = {
    .on_cancel = on_cancel,
    .on_drain = on_drain,
    .on_ready = on_ready,
    .on_done = free,
};

static void watch(FlowRpcCall *call, void *service)
{
    FlowGrpcHealth *self = service;
    const Grpc__Health__V1__HealthCheckRequest *request = flow_rpc_request(call);
    Watcher *watcher = flow_new(Watcher);
    flow_list_init(&watcher->link);
    watcher->health = self;
    watcher->call = call;
    watcher->known = is_known(self, request->service);
    watcher->told = (State)-1;
    pthread_mutex_lock(&self->lock);
    flow_list_push_back(&self->watchers, &watcher->link);
    tell(watcher);
    pthread_mutex_unlock(&self->lock);
    flow_rpc_watch(call, &callbacks, watcher);
}

void flow_grpc_health_set(FlowGrpcHealth *health, bool serving)
{
    pthread_mutex_lock(&health->lock);
    health->state = serving ? STATE(SERVING) : STATE(NOT_SERVING);
    FLOW_LIST_FOR_EACH(link, &health->watchers)
    tell(flow_list_entry(link, Watcher, link));
    pthread_mutex_unlock(&health->lock);
}

FlowStatus flow_grpc_health_new(FlowRpcServer *rpc, FlowGrpcHealth **ret_health, FlowError *reterr)
{
    static const FlowRpcBinding bindings[] = {
        {"grpc.health.v1.Health/Check", check},
        {"grpc.health.v1.Health/List", list},
        {"grpc.health.v1.Health/Watch", watch},
    };
    FlowGrpcHealth *self = flow_new(FlowGrpcHealth);
    self->pool = flow_rpc_server_pool(rpc);
    self->state = STATE(NOT_SERVING);
    pthread_mutex_init(&self->lock, NULL);
    flow_list_init(&self->watchers);
    FlowStatus status = flow_rpc_server_bind(rpc, bindings, FLOW_COUNT(bindings), self, reterr);
    if (status != FLOW_OK) {
        flow_grpc_health_free(self);
        return status;
    }
    *ret_health = self;
    return FLOW_OK;
}

FlowGrpcHealth *flow_grpc_health_free(FlowGrpcHealth *health)
{
    if (health == NULL)
        return NULL;
    pthread_mutex_destroy(&health->lock);
    free(health);
    return NULL;
}
