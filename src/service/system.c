/* system.c - SystemService: what the server is, has, and accepts. */
#include "flowengine/v1/system_service.pb-c.h"

#include <string.h>

#include "base/mem.h"
#include "engine/workflow.h"
#include "service/convert.h"
#include "service/service_internal.h"
#include "wire/struct.h"

enum { REASONS_MAX = 8, PUSHES_PER_UNIT = 10000, PUSH_BATCH = 1000, STREAMS_PER_CONNECTION = 256 };

/* One call: first the ledger is asked for, then the workflows are counted, page by page. */
typedef struct Job {
    FlowServices *services;
    FlowRpcCall *call;
    union {
        FlowStoreOp op;
        FlowStoreLedger ledger;
        FlowStoreWorkflowList list;
    };
    uint64_t queues, queued, in_flight, open_dead_letters, workflows;
    char token[FLOW_STORE_TOKEN];
} Job;

static Job *job_of(FlowStoreOp *op)
{
    return flow_container_of(op, Job, op);
}

static Flowengine__V1__StoreInfo *make_store(FlowPb *pb, FlowServices *services, FlowStoreInfo *info)
{
    Flowengine__V1__StoreInfo *store =
        FLOW_PB(pb, Flowengine__V1__StoreInfo, flowengine__v1__store_info__init);
    if (store == NULL)
        return NULL;
    flow_store_info(services->store, info);
    store->kind = flow_pb_borrow(info->kind);
    store->url = info->url;
    store->durability = info->durability == FLOW_DURABILITY_POWER
                            ? FLOWENGINE__V1__STORE_INFO__DURABILITY__POWER
                            : FLOWENGINE__V1__STORE_INFO__DURABILITY__PROCESS;
    store->durability_note = flow_pb_borrow(info->durability_note);
    store->available = info->state == FLOW_STORE_READY;
    store->message = info->state != FLOW_STORE_READY ? info->state_error.message
                     : !info->balanced               ? info->imbalance.message
                                                     : flow_pb_borrow("");
    store->identity = info->identity;
    store->schema_version = info->schema_version;
    store->shared = info->shared;
    return store;
}

static Flowengine__V1__ServerCounts *make_counts(FlowPb *pb, const Job *job)
{
    Flowengine__V1__ServerCounts *counts =
        FLOW_PB(pb, Flowengine__V1__ServerCounts, flowengine__v1__server_counts__init);
    FlowEngineCounts engine;
    size_t types;
    if (counts == NULL)
        return NULL;
    flow_engine_counts(job->services->engine, &engine);
    free(flow_registry_list(job->services->registry, &types));
    counts->workflows = (int64_t)job->workflows;
    counts->active_runs = (int64_t)engine.runs_active;
    counts->loops = (int64_t)engine.loops_active;
    counts->queues = (int64_t)job->queues;
    counts->queued = (int64_t)job->queued;
    counts->in_flight = (int64_t)job->in_flight;
    counts->open_dead_letters = (int64_t)job->open_dead_letters;
    counts->watchers = engine.watches;
    counts->node_types = (int64_t)types;
    return counts;
}

static Flowengine__V1__ServerLimits *make_limits(FlowPb *pb, const FlowServices *services)
{
    Flowengine__V1__ServerLimits *limits =
        FLOW_PB(pb, Flowengine__V1__ServerLimits, flowengine__v1__server_limits__init);
    const FlowRpcLimits *rpc = flow_rpc_server_limits(services->server);
    if (limits == NULL)
        return NULL;
    limits->max_request_bytes = (int64_t)rpc->request_bytes;
    limits->max_response_bytes = (int64_t)rpc->reply_bytes;
    limits->max_payload_bytes = (int64_t)rpc->request_bytes;
    limits->max_payload_depth = FLOW_STRUCT_DEPTH;
    limits->max_pushes_per_unit = PUSHES_PER_UNIT;
    limits->max_page_size = FLOW_STORE_PAGE_MAX;
    limits->default_page_size = FLOW_PAGE_DEFAULT;
    limits->max_workflow_nodes = FLOW_WORKFLOW_MAX_NODES;
    limits->max_workflow_edges = FLOW_WORKFLOW_MAX_EDGES;
    limits->max_concurrent_streams = STREAMS_PER_CONNECTION;
    limits->default_queue_max_items = 10000;
    limits->default_queue_max_bytes = INT64_C(1) << 30;
    limits->max_push_batch = PUSH_BATCH;
    limits->request_id_window = flow_pb_duration(pb, 24 * 3600 * FLOW_NS_PER_S);
    return limits;
}

static void reply(Job *job)
{
    FlowServices *services = job->services;
    Flowengine__V1__GetServerInfoResponse response = FLOWENGINE__V1__GET_SERVER_INFO_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    FlowStoreInfo store;
    const char *reasons[REASONS_MAX];
    size_t reason_count;
    Flowengine__V1__ServerInfo *info =
        FLOW_PB(&pb, Flowengine__V1__ServerInfo, flowengine__v1__server_info__init);
    if (info != NULL) {
        info->version = flow_pb_borrow(FLOW_VERSION);
        info->name = flow_pb_borrow(services->server_name);
        info->start_time = flow_pb_time(&pb, services->start_wall_ns);
        info->uptime = flow_pb_duration(&pb, flow_clock_mono_ns(services->clock) - services->start_mono_ns);
        info->store = make_store(&pb, services, &store);
        info->counts = make_counts(&pb, job);
        info->limits = make_limits(&pb, services);
        info->ready = flow_services_ready(services, reasons, REASONS_MAX, &reason_count);
        info->not_ready_reasons = (char **)flow_pb_list(&pb, reason_count);
        for (size_t i = 0; info->not_ready_reasons != NULL && i < reason_count; i++)
            info->not_ready_reasons[info->n_not_ready_reasons++] = flow_pb_borrow(reasons[i]);
        info->listeners = (char **)flow_pb_list(&pb, services->listener_count);
        for (size_t i = 0; info->listeners != NULL && i < services->listener_count; i++)
            info->listeners[info->n_listeners++] = services->listeners[i];
    }
    response.server_info = info;
    if (pb.failed)
        flow_service_no_room(job->call);
    else
        flow_rpc_reply(job->call, &response.base);
    free(job);
}

static void count_workflows(Job *job);

static void on_list(FlowStoreOp *op)
{
    Job *job = job_of(op);
    job->workflows += job->list.count;
    memcpy(job->token, job->list.next_token, sizeof job->token);
    bool more = op->error.status == FLOW_OK && job->token[0] != '\0';
    flow_store_op_done(op);
    if (more)
        count_workflows(job);
    else
        reply(job);
}

static void count_workflows(Job *job)
{
    memset(&job->list, 0, sizeof job->list);
    job->op.loop = job->services->loop;
    job->op.done = on_list;
    job->list.max = FLOW_STORE_PAGE_MAX;
    job->list.token = job->token;
    flow_store_workflow_list(job->services->store, &job->list);
}

/* Who asks what the server is wants an answer also when its store is away: then the counts are 0. */
static void on_ledger(FlowStoreOp *op)
{
    Job *job = job_of(op);
    FlowStatus status = op->error.status;
    if (status == FLOW_OK) {
        job->queues = job->ledger.queue_count;
        job->queued = job->ledger.total.queued;
        job->in_flight = job->ledger.total.in_flight;
        job->open_dead_letters = job->ledger.dead_letters.open;
    }
    flow_store_op_done(op);
    if (status == FLOW_OK)
        count_workflows(job);
    else
        reply(job);
}

static void get_server_info(FlowRpcCall *call, void *context)
{
    Job *job = flow_new(Job);
    job->services = context;
    job->call = call;
    job->op.loop = job->services->loop;
    job->op.done = on_ledger;
    flow_store_ledger(job->services->store, &job->ledger);
}

const FlowRpcBinding flow_system_handlers[] = {
    {"flowengine.v1.SystemService/GetServerInfo", get_server_info},
    {NULL, NULL},
};
