/* dead_letter.c - DeadLetterService: what failed is listed, shown, deleted. */
#include "flowengine/v1/dead_letter_service.pb-c.h"

#include <string.h>

#include "base/mem.h"
#include "engine/payload.h"
#include "service/convert.h"
#include "service/service_internal.h"
#include "value/json.h"

enum { LIST_BYTES = 4 << 20, DELETED_AT_ONCE = 10000, IDS_MAX = 10000 };

/* One call, from its start to its answer. */
typedef struct Job {
    FlowServices *services;
    FlowRpcCall *call;
    union {
        FlowStoreOp op;
        FlowStoreDeadLetterList list;
        FlowStoreDeadLetterGet get;
        FlowStoreDeadLetterDelete delete;
        FlowStoreDeadLetterCount count;
    };
    const char *id; /* of the request, for messages */
    uint64_t deleted;
} Job;

static Job *new_job(FlowServices *services, FlowRpcCall *call, const char *id)
{
    Job *job = flow_new(Job);
    job->services = services;
    job->call = call;
    job->id = id;
    return job;
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
    flow_service_fail_resource(job->call, error, "DeadLetter", job->id);
    free(job);
}

static void finish(Job *job, FlowPb *pb, ProtobufCMessage *response)
{
    if (pb->failed)
        flow_service_no_room(job->call);
    else
        flow_rpc_reply(job->call, response);
    flow_store_op_done(&job->op);
    free(job);
}

/* ---- letters ---- */

/* JSON that the engine has written; null where there is none or it can't be read. */
static FlowValue read_blob(FlowBlob *blob)
{
    FlowValue value;
    size_t len;
    const char *text = blob != NULL ? flow_blob_bytes(blob, &len) : NULL;
    static const FlowJsonLimits limits = {.depth = FLOW_VALUE_MAX_DEPTH};
    if (text == NULL || flow_json_read(text, len, &limits, &value, NULL) != FLOW_OK)
        return flow_value_null();
    return value;
}

static Flowengine__V1__Payload *make_payload(FlowPb *pb, const char *id, FlowBlob *body)
{
    FlowValue data, metadata;
    if (body == NULL || flow_payload_decode(body, &data, &metadata, NULL) != FLOW_OK)
        return NULL;
    Flowengine__V1__Payload *payload = flow_pb_payload(pb, id, data, metadata);
    flow_value_unref(data);
    flow_value_unref(metadata);
    return payload;
}

/* Details of the engine: {"can_redrive_to_node": bool, …}. */
static void add_details(Flowengine__V1__DeadLetter *to, FlowBlob *blob)
{
    FlowValue details = read_blob(blob);
    const FlowValue *redrivable = flow_object_get(details, "can_redrive_to_node");
    to->node_redrivable = redrivable != NULL && flow_value_kind(*redrivable) == FLOW_VALUE_BOOL &&
                          flow_value_get_bool(*redrivable);
    if (!to->node_redrivable)
        to->node_redrivable_reason = flow_pb_borrow("the failed node was not the unit's single live path, a "
                                                    "push was held, or it stands inside a for-each body");
    flow_value_unref(details);
}

static void add_form(FlowPb *pb, Flowengine__V1__DeadLetter *to, FlowBlob *blob)
{
    FlowValue form = read_blob(blob), paths = flow_value_array();
    if (flow_value_kind(form) == FLOW_VALUE_OBJECT) {
        FLOW_PB_SET_STRUCT(to, DEAD_LETTER, form, FORM, flow_pb_struct(pb, form, "form", &paths));
        flow_pb_paths(pb, paths, &to->n_inexact_paths, &to->inexact_paths);
    }
    flow_value_unref(form);
    flow_value_unref(paths);
}

static Flowengine__V1__DeadLetter *make_letter(FlowPb *pb, const FlowDeadLetter *from)
{
    Flowengine__V1__DeadLetter *to =
        FLOW_PB(pb, Flowengine__V1__DeadLetter, flowengine__v1__dead_letter__init);
    if (to == NULL)
        return NULL;
    to->id = flow_pb_borrow(from->id);
    to->workflow_id = flow_pb_borrow(from->workflow_id);
    to->workflow_name = flow_pb_borrow(from->workflow_name);
    to->workflow_revision = from->workflow_revision;
    to->run_id = flow_pb_borrow(from->run_id);
    to->node_id = flow_pb_borrow(from->node_id);
    to->node_type = flow_pb_borrow(from->node_type);
    to->producer_node_id = flow_pb_borrow(from->producer_node_id);
    to->queue = flow_pb_borrow(from->queue);
    to->reason = flow_pb_reason(from->reason);
    to->code = flow_pb_borrow(from->code);
    to->message = flow_pb_borrow(from->message);
    to->fingerprint = flow_pb_borrow(from->fingerprint);
    to->payload = make_payload(pb, from->payload_id, from->payload);
    to->input = make_payload(pb, from->payload_id, from->input != NULL ? from->input : from->payload);
    add_form(pb, to, from->form);
    add_details(to, from->details);
    to->time = flow_pb_time(pb, from->time_ns);
    to->redrives = (int32_t)from->redrives;
    to->redriven_time = flow_pb_time(pb, from->redriven_ns);
    to->redrive_id = flow_pb_borrow(from->redrive_id);
    to->edited_from = flow_pb_borrow(from->edited_from);
    to->state = (Flowengine__V1__DeadLetter__State)from->state;
    return to;
}

/* The contract's name of a reason; NULL for UNSPECIFIED, which stands for any. */
static const char *reason_name(Flowengine__V1__DeadLetter__Reason reason)
{
    const ProtobufCEnumValue *value =
        reason != 0 ? protobuf_c_enum_descriptor_get_value(&flowengine__v1__dead_letter__reason__descriptor,
                                                           (int)reason)
                    : NULL;
    return value != NULL ? value->name : NULL;
}

/* ---- methods ---- */

static void on_list(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__ListDeadLettersResponse response = FLOWENGINE__V1__LIST_DEAD_LETTERS_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (op->error.status != FLOW_OK) {
        fail(job, &op->error);
        return;
    }
    response.next_page_token = job->list.next_token;
    response.dead_letters = (Flowengine__V1__DeadLetter **)flow_pb_list(&pb, job->list.count);
    for (size_t i = 0; response.dead_letters != NULL && i < job->list.count && !pb.failed; i++)
        response.dead_letters[response.n_dead_letters++] = make_letter(&pb, &job->list.letters[i]);
    finish(job, &pb, &response.base);
}

static void list_dead_letters(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__ListDeadLettersRequest *request = flow_rpc_request(call);
    size_t page_size = flow_service_page_size(call, request->page_size);
    if (page_size == 0)
        return;
    Job *job = new_job(context, call, "");
    unsigned states = request->all ? 1u << FLOW_DEAD_LETTER_OPEN | 1u << FLOW_DEAD_LETTER_REDRIVEN |
                                         1u << FLOW_DEAD_LETTER_CONSUMED
                      : request->state != 0 ? 1u << request->state
                                            : 0;
    prepare(job, on_list);
    job->list.filter = (FlowDeadLetterFilter){.workflow_id = request->workflow_id,
                                              .run_id = request->run_id,
                                              .node_id = request->node_id,
                                              .producer_node_id = request->producer_node_id,
                                              .queue = request->queue,
                                              .reason = reason_name(request->reason),
                                              .fingerprint = request->fingerprint,
                                              .after_ns = flow_time_from_pb(request->after_time, 0),
                                              .before_ns = flow_time_from_pb(request->before_time, 0),
                                              .states = states};
    job->list.with_bodies = true;
    job->list.max_bytes = LIST_BYTES;
    job->list.max = page_size;
    job->list.token = request->page_token;
    flow_store_dead_letter_list(job->services->store, &job->list);
}

static void on_get(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__GetDeadLetterResponse response = FLOWENGINE__V1__GET_DEAD_LETTER_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (op->error.status != FLOW_OK) {
        fail(job, &op->error);
        return;
    }
    response.dead_letter = make_letter(&pb, &job->get.letter);
    finish(job, &pb, &response.base);
}

static void get_dead_letter(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__GetDeadLetterRequest *request = flow_rpc_request(call);
    Job *job = new_job(context, call, request->id);
    prepare(job, on_get);
    job->get.id = request->id;
    flow_store_dead_letter_get(job->services->store, &job->get);
}

static void reply_deleted(Job *job, uint64_t deleted)
{
    Flowengine__V1__DeleteDeadLettersResponse response = FLOWENGINE__V1__DELETE_DEAD_LETTERS_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    response.deleted = (int64_t)deleted;
    finish(job, &pb, &response.base);
}

/* The store deletes a bounded number in one step; a filter may find more. */
static void on_deleted(FlowStoreOp *op)
{
    Job *job = job_of(op);
    if (op->error.status != FLOW_OK) {
        fail(job, &op->error);
        return;
    }
    job->deleted += job->delete.deleted;
    if (!job->delete.more) {
        reply_deleted(job, job->deleted);
        return;
    }
    FlowDeadLetterFilter filter = job->delete.filter;
    memset(&job->delete, 0, sizeof job->delete);
    prepare(job, on_deleted);
    job->delete.filter = filter;
    job->delete.max = DELETED_AT_ONCE;
    flow_store_dead_letter_delete(job->services->store, &job->delete);
}

static void on_counted(FlowStoreOp *op)
{
    Job *job = job_of(op);
    if (op->error.status != FLOW_OK)
        fail(job, &op->error);
    else
        reply_deleted(job, job->count.count);
}

static FlowDeadLetterFilter filter_from_pb(const Flowengine__V1__DeadLetterFilter *from)
{
    return (FlowDeadLetterFilter){.workflow_id = from->workflow_id,
                                  .run_id = from->run_id,
                                  .node_id = from->node_id,
                                  .producer_node_id = from->producer_node_id,
                                  .queue = from->queue,
                                  .reason = reason_name(from->reason),
                                  .fingerprint = from->fingerprint,
                                  .after_ns = flow_time_from_pb(from->after_time, 0),
                                  .before_ns = flow_time_from_pb(from->before_time, 0)};
}

static void delete_dead_letters(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__DeleteDeadLettersRequest *request = flow_rpc_request(call);
    Job *job = new_job(context, call, "");
    FlowError error = {.status = FLOW_OK};
    if ((request->n_ids > 0) == (request->filter != NULL))
        flow_error_set(
            &error, FLOW_INVALID_ARGUMENT, "REQUIRED_FIELD", "ids",
            "say which dead letters: give ids or a filter (an empty filter means all), one of the two");
    else if (request->n_ids > IDS_MAX)
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, "LIMIT_REACHED", "ids", "at most %d ids at a time",
                       IDS_MAX);
    else if (request->dry_run && request->n_ids > 0)
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "dry_run",
                       "dry_run goes with a filter");
    if (error.status != FLOW_OK) {
        fail(job, &error);
    } else if (request->dry_run) {
        prepare(job, on_counted);
        job->count.filter = filter_from_pb(request->filter);
        flow_store_dead_letter_count(job->services->store, &job->count);
    } else {
        prepare(job, on_deleted);
        job->delete.ids = (const char *const *)request->ids;
        job->delete.count = request->n_ids;
        if (request->filter != NULL)
            job->delete.filter = filter_from_pb(request->filter);
        job->delete.max = DELETED_AT_ONCE;
        flow_store_dead_letter_delete(job->services->store, &job->delete);
    }
}

const FlowRpcBinding flow_dead_letter_handlers[] = {
    {"flowengine.v1.DeadLetterService/ListDeadLetters", list_dead_letters},
    {"flowengine.v1.DeadLetterService/GetDeadLetter", get_dead_letter},
    {"flowengine.v1.DeadLetterService/DeleteDeadLetters", delete_dead_letters},
    {NULL, NULL},
};
