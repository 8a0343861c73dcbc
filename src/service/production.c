/* production.c - ProductionService: runs are started, stopped, shown and watched. */
#include "flowengine/v1/production_service.pb-c.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "service/convert.h"
#include "service/service_internal.h"
#include "wire/json.h"

/* ---- answers ---- */

/* Ends a call with a response whose only field is the run. */
static void reply_run(FlowRpcCall *call, const FlowEngineReply *reply, ProtobufCMessage *response,
                      Flowengine__V1__Run **field)
{
    FlowPb pb = {.arena = flow_rpc_arena(call)};
    if (reply->error.status != FLOW_OK) {
        flow_service_fail_problems(call, &reply->error, reply->problems);
        return;
    }
    *field = flow_pb_run(&pb, reply->run);
    if (pb.failed)
        flow_service_no_room(call);
    else
        flow_rpc_reply(call, response);
}

/* The callbacks of all methods that answer with a run differ only in the response's type. */
#define RUN_ANSWER(function, Type, INIT)                                                                     \
    static void function(void *context, const FlowEngineReply *reply)                                        \
    {                                                                                                        \
        Type response = INIT;                                                                                \
        reply_run(context, reply, &response.base, &response.run);                                            \
    }

RUN_ANSWER(started, Flowengine__V1__StartRunResponse, FLOWENGINE__V1__START_RUN_RESPONSE__INIT)
RUN_ANSWER(paused, Flowengine__V1__PauseRunResponse, FLOWENGINE__V1__PAUSE_RUN_RESPONSE__INIT)
RUN_ANSWER(resumed, Flowengine__V1__ResumeRunResponse, FLOWENGINE__V1__RESUME_RUN_RESPONSE__INIT)
RUN_ANSWER(got, Flowengine__V1__GetRunResponse, FLOWENGINE__V1__GET_RUN_RESPONSE__INIT)

/* Stopping a run that has ended changes nothing: the run is the answer. */
static void stopped(void *context, const FlowEngineReply *reply)
{
    Flowengine__V1__StopRunResponse response = FLOWENGINE__V1__STOP_RUN_RESPONSE__INIT;
    FlowRpcCall *call = context;
    if (reply->error.status == FLOW_FAILED_PRECONDITION &&
        strcmp(reply->error.reason, "RUN_NOT_ACTIVE") == 0) {
        FlowServices *services = flow_rpc_method(call)->service;
        const Flowengine__V1__StopRunRequest *request = flow_rpc_request(call);
        flow_engine_get_run(services->engine, request->run_id, stopped, call);
        return;
    }
    reply_run(call, reply, &response.base, &response.run);
}

/* ---- unary methods ---- */

static FlowStatus labels_from_pb(const Flowengine__V1__StartRunRequest *request, FlowValue *ret_labels,
                                 FlowError *reterr)
{
    FlowValue labels = flow_value_object();
    for (size_t i = 0; i < request->n_labels; i++) {
        const char *value = request->labels[i]->value;
        FlowStatus status =
            flow_object_set_take(&labels, request->labels[i]->key, flow_value_string(value), reterr);
        if (status != FLOW_OK) {
            flow_value_unref(labels);
            return status;
        }
    }
    *ret_labels = labels;
    return FLOW_OK;
}

static void start_run(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__StartRunRequest *request = flow_rpc_request(call);
    FlowStartOptions options = {.request_id = request->request_id[0] != '\0' ? request->request_id : NULL};
    FlowError error = {.status = FLOW_OK};
    FlowStatus status = FLOW_OK;
    options.parameters = options.labels = options.workflow = flow_value_null();
    switch (request->definition_case) {
    case FLOWENGINE__V1__START_RUN_REQUEST__DEFINITION_WORKFLOW_ID:
        options.workflow_id = request->workflow_id;
        break;
    case FLOWENGINE__V1__START_RUN_REQUEST__DEFINITION_WORKFLOW:
        status = flow_pb_to_value(&request->workflow->base, 0, &options.workflow, &error);
        break;
    default:
        status = flow_error_set(&error, FLOW_INVALID_ARGUMENT, "REQUIRED_FIELD", "workflow_id",
                                "give the id of a stored workflow as workflow_id, or a whole workflow");
    }
    if (status == FLOW_OK)
        status = flow_value_from_pb(request->parameters, "parameters", &options.parameters, &error);
    if (status == FLOW_OK)
        status = labels_from_pb(request, &options.labels, &error);
    if (status == FLOW_OK)
        flow_engine_start_run(services->engine, &options, started, call);
    else
        flow_rpc_fail(call, &error);
    flow_value_unref(options.workflow);
    flow_value_unref(options.parameters);
    flow_value_unref(options.labels);
}

static void stop_run(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__StopRunRequest *request = flow_rpc_request(call);
    FlowStopOptions options = {.force = request->force, .grace_ns = flow_duration_from_pb(request->grace, 0)};
    flow_engine_stop_run(services->engine, request->run_id, &options, stopped, call);
}

/* "" stands for all loops. */
static const char *producer(const char *node_id)
{
    return node_id[0] != '\0' ? node_id : NULL;
}

static void pause_run(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__PauseRunRequest *request = flow_rpc_request(call);
    flow_engine_pause_run(services->engine, request->run_id, producer(request->producer_node_id), paused,
                          call);
}

static void resume_run(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__ResumeRunRequest *request = flow_rpc_request(call);
    flow_engine_resume_run(services->engine, request->run_id, producer(request->producer_node_id), resumed,
                           call);
}

static void get_run(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__GetRunRequest *request = flow_rpc_request(call);
    flow_engine_get_run(services->engine, request->run_id, got, call);
}

static void deleted(void *context, const FlowEngineReply *reply)
{
    Flowengine__V1__DeleteRunResponse response = FLOWENGINE__V1__DELETE_RUN_RESPONSE__INIT;
    if (reply->error.status != FLOW_OK)
        flow_rpc_fail(context, &reply->error);
    else
        flow_rpc_reply(context, &response.base);
}

static void delete_run(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__DeleteRunRequest *request = flow_rpc_request(call);
    flow_engine_delete_run(services->engine, request->run_id, deleted, call);
}

static void listed(void *context, const FlowRunList *list)
{
    FlowRpcCall *call = context;
    if (list->error.status != FLOW_OK) {
        flow_rpc_fail(call, &list->error);
        return;
    }
    Flowengine__V1__ListRunsResponse response = FLOWENGINE__V1__LIST_RUNS_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(call)};
    response.next_page_token = flow_pb_borrow(list->next_page_token);
    response.runs = (Flowengine__V1__Run **)flow_pb_list(&pb, list->run_count);
    for (size_t i = 0; response.runs != NULL && i < list->run_count && !pb.failed; i++)
        response.runs[response.n_runs++] = flow_pb_run(&pb, list->runs[i]);
    if (pb.failed)
        flow_service_no_room(call);
    else
        flow_rpc_reply(call, &response.base);
}

static unsigned active_states(void)
{
    unsigned bits = 0;
    for (int state = 1; state < FLOW_RUN_STATE_COUNT; state++)
        if (!flow_run_state_is_final((FlowRunState)state))
            bits |= 1u << state;
    return bits;
}

static void list_runs(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__ListRunsRequest *request = flow_rpc_request(call);
    size_t page_size = flow_service_page_size(call, request->page_size);
    if (page_size == 0)
        return;
    FlowRunFilter filter = {.workflow_id = request->workflow_id[0] != '\0' ? request->workflow_id : NULL,
                            .states = request->state != 0 ? 1u << request->state : 0};
    if (request->active)
        filter.states = filter.states != 0 ? filter.states & active_states() : active_states();
    flow_engine_list_runs(services->engine, &filter, (unsigned)page_size, request->page_token, listed, call);
}

/* ---- WatchRun ---- */

enum { EVENTS_AT_ONCE = 64, EVENTS_PER_TURN = 1024, EVENT_BYTES = 16 << 20 };

/*
 * A watch is pumped on the services' loop only. The engine (something to read), the door (room to send, cancelled, drain)
 * and the opening of the watch just set a flag and schedule a pump, so nothing here needs a lock.
 */
typedef struct Watch {
    FlowServices *services;
    FlowRpcCall *call;
    FlowWatch *watch;
    FlowError error; /* of the opening */
    char *run_id;
    int64_t cursor;
    bool ended; /* the call was ended; the pump's own */
    atomic_bool opened, cancelled, draining, scheduled;
    atomic_int holds; /* the call's handler, the door's callbacks, a scheduled pump, the opening */
    FlowTask pump;
} Watch;

static void drop(Watch *watch)
{
    if (atomic_fetch_sub(&watch->holds, 1) > 1)
        return;
    free(watch->run_id);
    free(watch);
}

static void schedule(Watch *watch)
{
    if (atomic_exchange(&watch->scheduled, true))
        return;
    atomic_fetch_add(&watch->holds, 1);
    flow_loop_post(watch->services->loop, &watch->pump);
}

static void end(Watch *watch, const FlowError *error)
{
    if (watch->watch != NULL)
        flow_watch_close(watch->watch);
    watch->watch = NULL;
    watch->ended = true;
    flow_rpc_end(watch->call, error);
    drop(watch);
}

/* False: the client has to catch up first. */
static bool send(Watch *watch, const FlowEvent *event)
{
    FlowArena arena;
    flow_arena_init(&arena, EVENT_BYTES);
    FlowPb pb = {.arena = &arena};
    Flowengine__V1__WatchRunResponse response = FLOWENGINE__V1__WATCH_RUN_RESPONSE__INIT;
    bool room = true;
    response.event = flow_pb_event(&pb, event, watch->run_id, NULL);
    if (!pb.failed)
        room = flow_rpc_send(watch->call, &response.base);
    watch->cursor = (int64_t)event->cursor;
    flow_arena_done(&arena);
    return room;
}

static void end_draining(Watch *watch)
{
    FlowError error;
    flow_error_set(&error, FLOW_UNAVAILABLE, "DRAINING", NULL,
                   "the server is stopping; watch again with after_cursor %lld when it is back",
                   (long long)watch->cursor);
    end(watch, &error);
}

static void pump_events(Watch *watch)
{
    FlowEvent events[EVENTS_AT_ONCE];
    FlowWatchStatus status = FLOW_WATCH_MORE;
    int left = EVENTS_PER_TURN;
    while (status == FLOW_WATCH_MORE && left > 0 && flow_rpc_ready(watch->call)) {
        size_t count;
        status = flow_watch_read(watch->watch, events, FLOW_COUNT(events), &count);
        /* What was read has to be sent, room or not: the stream's own queue takes these few. */
        for (size_t i = 0; i < count; i++)
            send(watch, &events[i]);
        left -= (int)count;
    }
    /* An engine that drains ends its watches, although the runs go on after a restart. */
    if (status == FLOW_WATCH_ENDED && atomic_load(&watch->services->stopping))
        end_draining(watch);
    else if (status == FLOW_WATCH_ENDED)
        end(watch, NULL);
    else if (left <= 0)
        schedule(watch);
}

static void pump(FlowTask *task)
{
    Watch *watch = flow_container_of(task, Watch, pump);
    FlowError error;
    /* Before looking at anything: what is set from now on schedules another pump. */
    atomic_store(&watch->scheduled, false);
    if (watch->ended || !atomic_load(&watch->opened)) {
        drop(watch);
        return;
    }
    if (watch->error.status != FLOW_OK) {
        end(watch, &watch->error);
    } else if (atomic_load(&watch->cancelled)) {
        flow_error_set(&error, FLOW_CANCELLED, NULL, NULL, "the client gave up");
        end(watch, &error);
    } else if (atomic_load(&watch->draining)) {
        end_draining(watch);
    } else {
        pump_events(watch);
    }
    drop(watch);
}

static void on_engine_ready(void *context)
{
    schedule(context);
}

static void on_opened(void *context, const FlowError *error, FlowWatch *opened)
{
    Watch *watch = context;
    watch->watch = opened;
    if (opened == NULL)
        watch->error = *error;
    atomic_store(&watch->opened, true);
    schedule(watch);
    drop(watch);
}

static void on_cancel(FlowRpcCall *call, void *data)
{
    (void)call;
    Watch *watch = data;
    atomic_store(&watch->cancelled, true);
    schedule(watch);
}

static void on_drain(FlowRpcCall *call, void *data)
{
    (void)call;
    Watch *watch = data;
    atomic_store(&watch->draining, true);
    schedule(watch);
}

static void on_room(FlowRpcCall *call, void *data)
{
    (void)call;
    schedule(data);
}

static void on_done(void *data)
{
    drop(data);
}

static const FlowRpcCallbacks watch_callbacks = {
    .on_cancel = on_cancel, .on_drain = on_drain, .on_ready = on_room, .on_done = on_done};

static FlowStatus check_watch(const Flowengine__V1__WatchRunRequest *request, unsigned *ret_kinds,
                              FlowError *reterr)
{
    if (request->mode == FLOWENGINE__V1__WATCH_RUN_REQUEST__MODE__AGGREGATED)
        return flow_error_set(reterr, FLOW_UNIMPLEMENTED, "NOT_IMPLEMENTED", "mode",
                              "the mode AGGREGATED is not there yet; use EVENTS");
    unsigned kinds = 0;
    for (size_t i = 0; i < request->n_kinds; i++) {
        int kind = (int)request->kinds[i];
        if (kind < 1 || kind > FLOW_EVENT_KIND_COUNT)
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "kinds",
                                  "%d is no kind of event that this mode has", kind);
        kinds |= FLOW_EVENT_BIT(kind - 1);
    }
    if (request->after_cursor != NULL && request->after_cursor->value < 0)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "after_cursor",
                              "a cursor is not negative");
    *ret_kinds = kinds;
    return FLOW_OK;
}

static void watch_run(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__WatchRunRequest *request = flow_rpc_request(call);
    FlowError error;
    unsigned kinds = 0;
    if (check_watch(request, &kinds, &error) != FLOW_OK) {
        flow_rpc_end(call, &error);
        return;
    }
    Watch *watch = flow_new(Watch);
    watch->services = services;
    watch->call = call;
    watch->run_id = flow_strdup(request->run_id);
    watch->pump.run = pump;
    atomic_init(&watch->holds, 3); /* handler, callbacks, opening */
    FlowWatchOptions options = {
        .run_id = watch->run_id,
        .after_cursor = request->after_cursor != NULL ? (uint64_t)request->after_cursor->value : 0,
        .kinds = kinds,
        .node_ids = (const char *const *)request->node_ids,
        .node_id_count = request->n_node_ids,
        .include_payloads = request->include_payloads,
        .ready = on_engine_ready,
        .context = watch};
    flow_rpc_watch(call, &watch_callbacks, watch);
    flow_engine_watch(services->engine, &options, on_opened, watch);
}

const FlowRpcBinding flow_production_handlers[] = {
    {"flowengine.v1.ProductionService/StartRun", start_run},
    {"flowengine.v1.ProductionService/StopRun", stop_run},
    {"flowengine.v1.ProductionService/PauseRun", pause_run},
    {"flowengine.v1.ProductionService/ResumeRun", resume_run},
    {"flowengine.v1.ProductionService/GetRun", get_run},
    {"flowengine.v1.ProductionService/ListRuns", list_runs},
    {"flowengine.v1.ProductionService/WatchRun", watch_run},
    {"flowengine.v1.ProductionService/DeleteRun", delete_run},
    {NULL, NULL},
};
