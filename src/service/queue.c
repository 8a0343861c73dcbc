/* queue.c - QueueService: queues are shown, filled from outside, emptied, paused; the ledger. */
#include "flowengine/v1/queue_service.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "engine/payload.h"
#include "service/convert.h"
#include "service/service_internal.h"

enum { PUSH_MAX = 1000, PEEK_BYTES = 4 << 20 };

/* One call, from its start to its answer. */
typedef struct Job {
    FlowServices *services;
    FlowRpcCall *call;
    union {
        FlowStoreOp op;
        FlowStoreQueueList list;
        FlowStoreQueueGet get;
        FlowStoreQueueUpdate update;
        FlowStorePush push;
        FlowStorePeek peek;
        FlowStorePurge purge;
        FlowStoreLedger ledger;
    };
    const char *queue; /* of the request, for messages */
    FlowStoreQueue *handle;
    FlowStoreItem *items;
} Job;

static Job *new_job(FlowServices *services, FlowRpcCall *call, const char *queue)
{
    Job *job = flow_new(Job);
    job->services = services;
    job->call = call;
    job->queue = queue;
    return job;
}

static void free_job(Job *job)
{
    for (size_t i = 0; job->items != NULL && i < job->push.count; i++)
        flow_blob_unref(job->items[i].body);
    free(job->items);
    flow_store_queue_unref(job->handle);
    free(job);
}

static Job *job_of(FlowStoreOp *op)
{
    return flow_container_of(op, Job, op);
}

static void prepare(Job *job, void (*done)(FlowStoreOp *op))
{
    job->op.loop = job->services->loop;
    job->op.done = done;
}

static void fail(Job *job, const FlowError *error)
{
    flow_service_fail_resource(job->call, error, "Queue", job->queue);
    free_job(job);
}

/* Answers, gives the operation's results back, and ends the job. */
static void finish(Job *job, FlowPb *pb, ProtobufCMessage *response)
{
    if (pb->failed)
        flow_service_no_room(job->call);
    else
        flow_rpc_reply(job->call, response);
    flow_store_op_done(&job->op);
    free_job(job);
}

static Flowengine__V1__Queue *make_queue(FlowPb *pb, const FlowQueueInfo *info)
{
    static const Flowengine__V1__Queue__Kind kinds[] = {
        [FLOW_QUEUE_NAMED] = FLOWENGINE__V1__QUEUE__KIND__NAMED,
        [FLOW_QUEUE_MAPPED] = FLOWENGINE__V1__QUEUE__KIND__MAPPED,
        [FLOW_QUEUE_ENTRY] = FLOWENGINE__V1__QUEUE__KIND__ENTRY};
    Flowengine__V1__Queue *queue = FLOW_PB(pb, Flowengine__V1__Queue, flowengine__v1__queue__init);
    if (queue == NULL)
        return NULL;
    queue->name = flow_pb_borrow(info->name);
    queue->depth = (int64_t)info->queued;
    queue->bytes = (int64_t)info->bytes;
    queue->in_flight = (int64_t)info->in_flight;
    queue->pushed = (int64_t)info->pushed;
    queue->done = (int64_t)info->done;
    queue->filtered = (int64_t)info->filtered;
    queue->dead_lettered = (int64_t)info->dead_lettered;
    queue->removed = (int64_t)info->removed;
    queue->max_items = (int64_t)info->max_items;
    queue->max_bytes = (int64_t)info->max_bytes;
    queue->paused = info->paused;
    queue->oldest_time = flow_pb_time(pb, info->oldest_ns);
    queue->kind = kinds[info->kind];
    queue->workflow_id = flow_pb_borrow(info->workflow_id);
    queue->short_name = flow_pb_borrow(info->short_name);
    return queue;
}

/* ---- list, get, update ---- */

static void on_list(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__ListQueuesResponse response = FLOWENGINE__V1__LIST_QUEUES_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (op->error.status != FLOW_OK) {
        fail(job, &op->error);
        return;
    }
    response.next_page_token = job->list.next_token;
    response.queues = (Flowengine__V1__Queue **)flow_pb_list(&pb, job->list.count);
    for (size_t i = 0; response.queues != NULL && i < job->list.count && !pb.failed; i++)
        response.queues[response.n_queues++] = make_queue(&pb, &job->list.queues[i]);
    finish(job, &pb, &response.base);
}

static void list_queues(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__ListQueuesRequest *request = flow_rpc_request(call);
    size_t page_size = flow_service_page_size(call, request->page_size);
    if (page_size == 0)
        return;
    Job *job = new_job(context, call, "");
    prepare(job, on_list);
    job->list.prefix = request->prefix;
    job->list.workflow_id = request->workflow_id;
    job->list.max = page_size;
    job->list.token = request->page_token;
    flow_store_queue_list(job->services->store, &job->list);
}

static void on_get(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__GetQueueResponse response = FLOWENGINE__V1__GET_QUEUE_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (op->error.status != FLOW_OK) {
        fail(job, &op->error);
        return;
    }
    response.queue = make_queue(&pb, &job->get.info);
    finish(job, &pb, &response.base);
}

static void get_queue(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__GetQueueRequest *request = flow_rpc_request(call);
    Job *job = new_job(context, call, request->queue);
    prepare(job, on_get);
    job->get.name = request->queue;
    flow_store_queue_get(job->services->store, &job->get);
}

/* The answers of all methods that change a queue differ only in the response's type. */
#define UPDATE_ANSWER(function, Type, INIT)                                                                  \
    static void function(FlowStoreOp *op)                                                                    \
    {                                                                                                        \
        Job *job = job_of(op);                                                                               \
        Type response = INIT;                                                                                \
        FlowPb pb = {.arena = flow_rpc_arena(job->call)};                                                    \
        if (op->error.status != FLOW_OK) {                                                                   \
            fail(job, &op->error);                                                                           \
            return;                                                                                          \
        }                                                                                                    \
        response.queue = make_queue(&pb, &job->update.info);                                                 \
        finish(job, &pb, &response.base);                                                                    \
    }

UPDATE_ANSWER(on_updated, Flowengine__V1__UpdateQueueResponse, FLOWENGINE__V1__UPDATE_QUEUE_RESPONSE__INIT)
UPDATE_ANSWER(on_paused, Flowengine__V1__PauseQueueResponse, FLOWENGINE__V1__PAUSE_QUEUE_RESPONSE__INIT)
UPDATE_ANSWER(on_resumed, Flowengine__V1__ResumeQueueResponse, FLOWENGINE__V1__RESUME_QUEUE_RESPONSE__INIT)

/* Which bounds the mask names; without a mask, those that are given. */
static FlowStatus read_mask(const Flowengine__V1__UpdateQueueRequest *request, FlowStoreQueueUpdate *update,
                            FlowError *reterr)
{
    const Google__Protobuf__FieldMask *mask = request->update_mask;
    bool all = mask == NULL || mask->n_paths == 0;
    for (size_t i = 0; !all && i < mask->n_paths; i++) {
        if (strcmp(mask->paths[i], "max_items") != 0 && strcmp(mask->paths[i], "max_bytes") != 0 &&
            strcmp(mask->paths[i], "*") != 0)
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_MASK", "update_mask",
                                  "\"%.64s\" can't be updated; a mask may name max_items, max_bytes or *",
                                  mask->paths[i]);
    }
    const struct {
        const char *name;
        int64_t wanted;
        uint64_t *to;
    } bounds[] = {{"max_items", request->queue->max_items, &update->max_items},
                  {"max_bytes", request->queue->max_bytes, &update->max_bytes}};
    for (size_t b = 0; b < FLOW_COUNT(bounds); b++) {
        bool named = all && bounds[b].wanted != 0;
        for (size_t i = 0; !all && i < mask->n_paths; i++)
            named = named || strcmp(mask->paths[i], bounds[b].name) == 0 || strcmp(mask->paths[i], "*") == 0;
        if (!named)
            continue;
        char field[32];
        snprintf(field, sizeof field, "queue.%s", bounds[b].name);
        if (bounds[b].wanted < 1)
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", field,
                                  "%s must be at least 1", bounds[b].name);
        *bounds[b].to = (uint64_t)bounds[b].wanted;
    }
    return FLOW_OK;
}

static void update_queue(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__UpdateQueueRequest *request = flow_rpc_request(call);
    Job *job = new_job(context, call, request->queue->name);
    FlowError error;
    prepare(job, on_updated);
    job->update.name = request->queue->name;
    if (read_mask(request, &job->update, &error) != FLOW_OK)
        fail(job, &error);
    else
        flow_store_queue_update(job->services->store, &job->update);
}

static void pause_queue(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__PauseQueueRequest *request = flow_rpc_request(call);
    Job *job = new_job(context, call, request->queue);
    prepare(job, on_paused);
    job->update.name = request->queue;
    job->update.pause = FLOW_QUEUE_PAUSE;
    flow_store_queue_update(job->services->store, &job->update);
}

static void resume_queue(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__ResumeQueueRequest *request = flow_rpc_request(call);
    Job *job = new_job(context, call, request->queue);
    prepare(job, on_resumed);
    job->update.name = request->queue;
    job->update.pause = FLOW_QUEUE_RESUME;
    flow_store_queue_update(job->services->store, &job->update);
}

/* ---- push ---- */

static char *delivery_id(FlowPb *pb, uint64_t id)
{
    return flow_pb_text(pb, "%" PRIu64, id);
}

static void on_pushed(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__PushPayloadsResponse response = FLOWENGINE__V1__PUSH_PAYLOADS_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (op->error.status != FLOW_OK) {
        fail(job, &op->error);
        return;
    }
    response.repeated_request = job->push.replayed;
    response.delivery_ids = (char **)flow_pb_list(&pb, job->push.count);
    response.payload_ids = (char **)flow_pb_list(&pb, job->push.count);
    for (size_t i = 0; response.delivery_ids != NULL && response.payload_ids != NULL && i < job->push.count;
         i++) {
        response.delivery_ids[response.n_delivery_ids++] = delivery_id(&pb, job->push.first_id + i);
        response.payload_ids[response.n_payload_ids++] = flow_pb_borrow(job->items[i].payload_id);
    }
    finish(job, &pb, &response.base);
}

/*
 * One payload: its id (made when it has none), its body. What it says is added to `content`, whose hash tells whether a
 * request id comes again with the same content: in values, because clients may order the members of a Struct anew. For a
 * payload without an id the id is derived from the request's, so that the same request gives the same answer.
 */
static FlowStatus take_payload(Job *job, const Flowengine__V1__PushPayloadsRequest *request, size_t index,
                               FlowValue *content, FlowError *reterr)
{
    const Flowengine__V1__Payload *from = request->payloads[index];
    FlowStoreItem *item = &job->items[index];
    FlowValue data = flow_value_null(), metadata = flow_value_null();
    char field[48];
    snprintf(field, sizeof field, "payloads[%zu].id", index);
    if (from->id[0] != '\0' && !flow_uuid_valid(from->id, strlen(from->id)))
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", field,
                              "a payload's id must be a UUID; leave it out and the server makes one");
    snprintf(field, sizeof field, "payloads[%zu].data", index);
    FlowStatus status = flow_value_from_pb(from->data, field, &data, reterr);
    if (status != FLOW_OK)
        return status;
    snprintf(field, sizeof field, "payloads[%zu].metadata", index);
    status = flow_value_from_pb(from->metadata, field, &metadata, reterr);
    if (status == FLOW_OK)
        status = flow_payload_encode(data, metadata, &item->body, reterr);
    if (status == FLOW_OK)
        status = flow_array_push_take(content, flow_value_string(from->id), reterr);
    if (status == FLOW_OK)
        status = flow_array_push_take(content, flow_value_ref(data), reterr);
    if (status == FLOW_OK)
        status = flow_array_push_take(content, flow_value_ref(metadata), reterr);
    flow_value_unref(data);
    flow_value_unref(metadata);
    return status;
}

/* A UUID (version 8) from the request id and the payload's place in it; without a request id, a new one. */
static char *make_payload_id(Job *job, const Flowengine__V1__PushPayloadsRequest *request, size_t index)
{
    char *id = flow_arena_alloc(flow_rpc_arena(job->call), FLOW_UUID_TEXT);
    if (id == NULL)
        return NULL;
    flow_uuid_make(flow_clock_wall_ns(job->services->clock), id);
    if (request->request_id[0] == '\0')
        return id;
    static const uint64_t key[2] = {0x7061796c6f616420, 0x6f66207265717565};
    char text[256];
    int len = snprintf(text, sizeof text, "%s\n%s\n%zu", request->request_id, request->queue, index);
    FlowHash128 hash = flow_siphash128(text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1, key);
    snprintf(id, FLOW_UUID_TEXT, "%08x-%04x-8%03x-%04x-%012llx", (unsigned)(hash.low >> 32),
             (unsigned)(hash.low >> 16) & 0xffff, (unsigned)hash.low & 0xfff,
             0x8000 | ((unsigned)(hash.high >> 48) & 0x3fff),
             (unsigned long long)(hash.high & 0xffffffffffff));
    return id;
}

static FlowStatus take_payloads(Job *job, const Flowengine__V1__PushPayloadsRequest *request,
                                FlowError *reterr)
{
    FlowValue content = flow_value_array();
    FlowStatus status = flow_array_push_take(&content, flow_value_string(request->queue), reterr);
    job->items = flow_calloc(request->n_payloads, sizeof *job->items);
    job->push.items = job->items;
    job->push.count = request->n_payloads;
    for (size_t i = 0; i < request->n_payloads && status == FLOW_OK; i++) {
        status = take_payload(job, request, i, &content, reterr);
        job->items[i].payload_id =
            request->payloads[i]->id[0] != '\0' ? request->payloads[i]->id : make_payload_id(job, request, i);
        if (status == FLOW_OK && job->items[i].payload_id == NULL)
            status = flow_error_no_memory(reterr, "payloads", FLOW_UUID_TEXT);
    }
    FlowHash128 hash = flow_value_hash(content);
    memcpy(job->push.request_hash, &hash, sizeof job->push.request_hash);
    flow_value_unref(content);
    return status;
}

static void push_payloads(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__PushPayloadsRequest *request = flow_rpc_request(call);
    Job *job = new_job(context, call, request->queue);
    FlowError error;
    if (!flow_id_valid(request->queue, strlen(request->queue))) {
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "queue",
                       "a queue's name must be 1 to %d characters of A-Z a-z 0-9 _ . -", FLOW_ID_MAX);
        fail(job, &error);
        return;
    }
    if (request->n_payloads > PUSH_MAX) {
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, "LIMIT_REACHED", "payloads",
                       "at most %d payloads at a time", PUSH_MAX);
        fail(job, &error);
        return;
    }
    prepare(job, on_pushed);
    job->handle = flow_store_queue_open(job->services->store, request->queue);
    job->push.queue = job->handle;
    job->push.request_id = request->request_id;
    if (take_payloads(job, request, &error) != FLOW_OK)
        fail(job, &error);
    else
        flow_store_push(job->services->store, &job->push);
}

/* ---- peek, purge ---- */

static Flowengine__V1__Payload *make_payload(FlowPb *pb, const FlowDeliveryInfo *info, FlowError *error)
{
    FlowValue data, metadata;
    if (flow_payload_decode(info->body, &data, &metadata, error) != FLOW_OK)
        return NULL;
    Flowengine__V1__Payload *payload = flow_pb_payload(pb, info->payload_id, data, metadata);
    flow_value_unref(data);
    flow_value_unref(metadata);
    if (payload == NULL)
        return NULL;
    payload->delivery_id = delivery_id(pb, info->id);
    payload->push_time = flow_pb_time(pb, info->push_ns);
    payload->redelivered = info->redelivered > 0;
    payload->redrives = (int32_t)info->redrives;
    payload->bytes = (int64_t)info->size;
    return payload;
}

static void on_peeked(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__PeekPayloadsResponse response = FLOWENGINE__V1__PEEK_PAYLOADS_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    FlowError error = op->error;
    if (error.status == FLOW_OK) {
        response.next_page_token = job->peek.next_token;
        response.payloads = (Flowengine__V1__Payload **)flow_pb_list(&pb, job->peek.count);
    }
    for (size_t i = 0;
         response.payloads != NULL && i < job->peek.count && !pb.failed && error.status == FLOW_OK; i++)
        response.payloads[response.n_payloads++] = make_payload(&pb, &job->peek.deliveries[i], &error);
    if (error.status == FLOW_OK) {
        finish(job, &pb, &response.base);
        return;
    }
    flow_store_op_done(op);
    fail(job, &error);
}

static void peek_payloads(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__PeekPayloadsRequest *request = flow_rpc_request(call);
    size_t page_size = flow_service_page_size(call, request->page_size);
    if (page_size == 0)
        return;
    Job *job = new_job(context, call, request->queue);
    prepare(job, on_peeked);
    job->peek.queue = request->queue;
    job->peek.max = page_size;
    job->peek.max_bytes = PEEK_BYTES;
    job->peek.token = request->page_token;
    flow_store_peek(job->services->store, &job->peek);
}

static void on_purged(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__PurgeQueueResponse response = FLOWENGINE__V1__PURGE_QUEUE_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (op->error.status != FLOW_OK) {
        fail(job, &op->error);
        return;
    }
    response.purged = (int64_t)job->purge.removed;
    finish(job, &pb, &response.base);
}

static void purge_queue(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__PurgeQueueRequest *request = flow_rpc_request(call);
    Job *job = new_job(context, call, request->queue);
    prepare(job, on_purged);
    job->purge.queue = request->queue;
    flow_store_purge(job->services->store, &job->purge);
}

/* ---- the ledger ---- */

static Flowengine__V1__QueueLedger *make_queue_ledger(FlowPb *pb, const FlowQueueInfo *info)
{
    Flowengine__V1__QueueLedger *ledger =
        FLOW_PB(pb, Flowengine__V1__QueueLedger, flowengine__v1__queue_ledger__init);
    if (ledger == NULL)
        return NULL;
    ledger->queue = flow_pb_borrow(info->name);
    ledger->pushed = (int64_t)info->pushed;
    ledger->queued = (int64_t)info->queued;
    ledger->in_flight = (int64_t)info->in_flight;
    ledger->done = (int64_t)info->done;
    ledger->filtered = (int64_t)info->filtered;
    ledger->dead_lettered = (int64_t)info->dead_lettered;
    ledger->removed = (int64_t)info->removed;
    ledger->moved_out = (int64_t)info->moved_out;
    ledger->difference = ledger->pushed - ledger->queued - ledger->in_flight - ledger->done -
                         ledger->dead_lettered - ledger->removed;
    return ledger;
}

static Flowengine__V1__LoopLedger *make_loop_ledger(FlowPb *pb, const FlowLoopLedger *from)
{
    Flowengine__V1__LoopLedger *ledger =
        FLOW_PB(pb, Flowengine__V1__LoopLedger, flowengine__v1__loop_ledger__init);
    if (ledger == NULL)
        return NULL;
    ledger->run_id = flow_pb_borrow(from->run_id);
    ledger->producer_node_id = flow_pb_borrow(from->loop.producer_node_id);
    ledger->produced = (int64_t)from->loop.produced;
    ledger->done = (int64_t)from->loop.done;
    ledger->filtered = (int64_t)from->loop.filtered;
    ledger->dead_lettered = (int64_t)from->loop.dead_lettered;
    ledger->in_flight = (int64_t)from->loop.in_flight;
    ledger->difference = ledger->produced - ledger->done - ledger->dead_lettered - ledger->in_flight;
    return ledger;
}

static Flowengine__V1__DeadLetterLedger *make_letter_ledger(FlowPb *pb, const FlowDeadLetterLedger *from)
{
    Flowengine__V1__DeadLetterLedger *ledger =
        FLOW_PB(pb, Flowengine__V1__DeadLetterLedger, flowengine__v1__dead_letter_ledger__init);
    if (ledger == NULL)
        return NULL;
    ledger->made = (int64_t)from->made;
    ledger->open = (int64_t)from->open;
    ledger->redriven = (int64_t)from->redriven;
    ledger->consumed = (int64_t)from->consumed;
    ledger->deleted = (int64_t)from->deleted;
    ledger->expired = (int64_t)from->expired;
    ledger->difference =
        ledger->made - ledger->open - ledger->redriven - ledger->consumed - ledger->deleted - ledger->expired;
    return ledger;
}

static void on_ledger(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__GetLedgerResponse response = FLOWENGINE__V1__GET_LEDGER_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (op->error.status != FLOW_OK) {
        fail(job, &op->error);
        return;
    }
    Flowengine__V1__Ledger *ledger = FLOW_PB(&pb, Flowengine__V1__Ledger, flowengine__v1__ledger__init);
    if (ledger != NULL) {
        ledger->time = flow_pb_time(&pb, job->ledger.time_ns);
        ledger->balanced = job->ledger.balanced;
        ledger->queues = (Flowengine__V1__QueueLedger **)flow_pb_list(&pb, job->ledger.queue_count);
        ledger->loops = (Flowengine__V1__LoopLedger **)flow_pb_list(&pb, job->ledger.loop_count);
        for (size_t i = 0; ledger->queues != NULL && i < job->ledger.queue_count && !pb.failed; i++)
            ledger->queues[ledger->n_queues++] = make_queue_ledger(&pb, &job->ledger.queues[i]);
        for (size_t i = 0; ledger->loops != NULL && i < job->ledger.loop_count && !pb.failed; i++)
            ledger->loops[ledger->n_loops++] = make_loop_ledger(&pb, &job->ledger.loops[i]);
        ledger->dead_letters = make_letter_ledger(&pb, &job->ledger.dead_letters);
        ledger->total = make_queue_ledger(&pb, &job->ledger.total);
    }
    response.ledger = ledger;
    finish(job, &pb, &response.base);
}

static void get_ledger(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__GetLedgerRequest *request = flow_rpc_request(call);
    Job *job = new_job(context, call, request->queue);
    FlowError error;
    if (request->run_id[0] != '\0' && request->queue[0] != '\0') {
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "queue",
                       "give a run_id or a queue, not both");
        fail(job, &error);
        return;
    }
    prepare(job, on_ledger);
    job->ledger.queue = request->queue;
    job->ledger.run_id = request->run_id;
    flow_store_ledger(job->services->store, &job->ledger);
}

const FlowRpcBinding flow_queue_handlers[] = {
    {"flowengine.v1.QueueService/ListQueues", list_queues},
    {"flowengine.v1.QueueService/GetQueue", get_queue},
    {"flowengine.v1.QueueService/UpdateQueue", update_queue},
    {"flowengine.v1.QueueService/PushPayloads", push_payloads},
    {"flowengine.v1.QueueService/PeekPayloads", peek_payloads},
    {"flowengine.v1.QueueService/PurgeQueue", purge_queue},
    {"flowengine.v1.QueueService/PauseQueue", pause_queue},
    {"flowengine.v1.QueueService/ResumeQueue", resume_queue},
    {"flowengine.v1.QueueService/GetLedger", get_ledger},
    {NULL, NULL},
};
