/*
 * workflow.c - WorkflowService: definitions are stored, checked and looked at.
 *
 * A definition is kept as the proto3 JSON of its Workflow message, without what the store knows better (revision, etag,
 * times, draft). Building a graph of a large one takes a while, so that happens in a pool; everything else on the
 * services' loop.
 */
#include "flowengine/v1/workflow_service.pb-c.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "engine/analyzer.h"
#include "engine/builder.h"
#include "service/convert.h"
#include "service/definition.h"
#include "service/service_internal.h"
#include "value/json.h"

/* One call, from its start to its answer. */
typedef struct Job Job;
struct Job {
    FlowServices *services;
    FlowRpcCall *call;
    union {
        FlowStoreOp op;
        FlowStoreWorkflowPut put;
        FlowStoreWorkflowGet get;
        FlowStoreWorkflowList list;
        FlowStoreRevisionList revisions;
        FlowStoreWorkflowDelete delete;
    };
    FlowValue definition;
    FlowWork build;
    FlowProblems problems;
    FlowGraph *graph;
    void (*built)(Job *job); /* behind the build, on the services' loop */
    bool create;
    char id[FLOW_ID_MAX + 1];
    char etag[64];
    int64_t revision;
    FlowStoreLabel *labels;
};

static Job *new_job(FlowServices *services, FlowRpcCall *call)
{
    Job *job = flow_new(Job);
    job->services = services;
    job->call = call;
    flow_problems_init(&job->problems);
    return job;
}

static void free_job(Job *job)
{
    flow_value_unref(job->definition);
    flow_graph_unref(job->graph);
    flow_problems_done(&job->problems);
    free(job->labels);
    free(job);
}

/* `op` is the first member of each operation, so its job is found from it. */
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
    flow_service_fail_resource(job->call, error, "Workflow", job->id);
    free_job(job);
}

static void fail_with_problems(Job *job)
{
    FlowError error;
    flow_problems_to_error(&job->problems, &error);
    flow_service_fail_problems(job->call, &error, &job->problems);
    free_job(job);
}

/* The id must be one before it is a key anywhere. */
static bool take_id(Job *job, const char *id, const char *field)
{
    FlowError error;
    if (flow_id_valid(id, strlen(id))) {
        snprintf(job->id, sizeof job->id, "%s", id);
        return true;
    }
    flow_error_set(&error, FLOW_INVALID_ARGUMENT, id[0] == '\0' ? "REQUIRED_FIELD" : "INVALID_FIELD", field,
                   "%s must be 1 to %d characters of A-Z a-z 0-9 _ . -", field, FLOW_ID_MAX);
    fail(job, &error);
    return false;
}

/* ---- building ---- */

static void do_build(FlowWork *work)
{
    Job *job = flow_container_of(work, Job, build);
    FlowBuilder builder = {.registry = job->services->registry, .workflow_id = job->id};
    job->graph = flow_builder_build(&builder, job->definition, &job->problems);
}

static void on_built(FlowWork *work, bool ran)
{
    Job *job = flow_container_of(work, Job, build);
    FlowError error;
    if (ran) {
        job->built(job);
        return;
    }
    flow_error_set(&error, FLOW_UNAVAILABLE, "DRAINING", NULL, "the server is stopping");
    fail(job, &error);
}

static void start_build(Job *job, void (*built)(Job *job))
{
    FlowError error;
    job->built = built;
    job->build = (FlowWork){.loop = job->services->loop, .work = do_build, .done = on_built};
    if (flow_pool_submit(job->services->definitions, &job->build, &error) != FLOW_OK)
        fail(job, &error);
}

/* ---- create, update ---- */

/* A response whose only field is the workflow. */
static void reply_workflow(Job *job, const FlowWorkflowRecord *record, ProtobufCMessage *response,
                           Flowengine__V1__Workflow **field)
{
    FlowError error;
    FlowStatus status = flow_definition_to_pb(record, flow_rpc_arena(job->call), field, &error);
    if (status != FLOW_OK) {
        fail(job, &error);
        return;
    }
    flow_rpc_reply(job->call, response);
    free_job(job);
}

static void on_put(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__CreateWorkflowResponse created = FLOWENGINE__V1__CREATE_WORKFLOW_RESPONSE__INIT;
    Flowengine__V1__UpdateWorkflowResponse updated = FLOWENGINE__V1__UPDATE_WORKFLOW_RESPONSE__INIT;
    FlowBlob *body = job->put.body;
    if (op->error.status != FLOW_OK)
        fail(job, &op->error);
    else if (job->create)
        reply_workflow(job, &job->put.workflow, &created.base, &created.workflow);
    else
        reply_workflow(job, &job->put.workflow, &updated.base, &updated.workflow);
    flow_blob_unref(body);
}

/* Label keys and values are borrowed from the definition, which stays as it is until the answer. */
static void take_labels(Job *job)
{
    const FlowValue *labels = flow_object_get(job->definition, "labels");
    size_t count = 0;
    const FlowMember *members = labels != NULL ? flow_object_members(*labels, &count) : NULL;
    job->labels = flow_calloc(count + 1, sizeof *job->labels);
    for (size_t i = 0; i < count; i++)
        job->labels[job->put.label_count++] =
            (FlowStoreLabel){flow_value_text(&members[i].key), flow_value_text(&members[i].value)};
    job->put.labels = job->labels;
}

static void store(Job *job)
{
    bool draft = flow_definition_flag(job->definition, "draft");
    FlowError error;
    if (job->problems.errors > 0 && !draft) {
        fail_with_problems(job);
        return;
    }
    FlowBlob *body = NULL;
    if (flow_definition_encode(job->definition, &body, &error) != FLOW_OK) {
        fail(job, &error);
        return;
    }
    prepare(job, on_put);
    job->put.create = job->create;
    job->put.id = job->id;
    job->put.name = flow_definition_text(job->definition, "name");
    job->put.body = body;
    job->put.draft = draft;
    job->put.etag = job->etag;
    take_labels(job);
    flow_store_workflow_put(job->services->store, &job->put);
}

static void create_workflow(FlowRpcCall *call, void *context)
{
    Job *job = new_job(context, call);
    const Flowengine__V1__CreateWorkflowRequest *request = flow_rpc_request(call);
    FlowError error;
    job->create = true;
    if (request->workflow->id[0] == '\0')
        flow_uuid_make(flow_clock_wall_ns(job->services->clock), job->id);
    else if (!take_id(job, request->workflow->id, "workflow.id"))
        return;
    if (flow_definition_from_pb(request->workflow, job->id, &job->definition, &error) != FLOW_OK)
        fail(job, &error);
    else
        start_build(job, store);
}

/*
 * The current definition has been read. With a mask: the named fields are replaced in it, and the result is put under its
 * etag. Without: a new one that says the same takes the current one's text, which the store then knows to be no change
 * (clients write the members of a Struct in any order).
 */
static FlowStatus merge_with_current(Job *job, const Flowengine__V1__UpdateWorkflowRequest *request,
                                     FlowValue *current, FlowError *reterr)
{
    if (request->update_mask == NULL || request->update_mask->n_paths == 0)
        return flow_definition_keep_order(current, job->definition, reterr);
    if (job->etag[0] == '\0')
        snprintf(job->etag, sizeof job->etag, "%s", job->get.workflow.etag);
    return flow_definition_mask(current, job->definition, (const char *const *)request->update_mask->paths,
                                request->update_mask->n_paths, reterr);
}

static void on_got_for_update(FlowStoreOp *op)
{
    Job *job = job_of(op);
    const Flowengine__V1__UpdateWorkflowRequest *request = flow_rpc_request(job->call);
    FlowError error = op->error;
    FlowValue current = flow_value_null();
    FlowStatus status = error.status;
    if (status == FLOW_OK)
        status = flow_definition_decode(&job->get.workflow, &current, &error);
    if (status == FLOW_OK)
        status = merge_with_current(job, request, &current, &error);
    flow_store_op_done(op);
    if (status != FLOW_OK) {
        flow_value_unref(current);
        fail(job, &error);
        return;
    }
    flow_value_assign_take(&job->definition, current);
    memset(&job->put, 0, sizeof job->put);
    start_build(job, store);
}

static void update_workflow(FlowRpcCall *call, void *context)
{
    Job *job = new_job(context, call);
    const Flowengine__V1__UpdateWorkflowRequest *request = flow_rpc_request(call);
    FlowError error;
    if (!take_id(job, request->workflow->id, "workflow.id"))
        return;
    snprintf(job->etag, sizeof job->etag, "%s", request->workflow->etag);
    if (flow_definition_from_pb(request->workflow, job->id, &job->definition, &error) != FLOW_OK) {
        fail(job, &error);
    } else {
        prepare(job, on_got_for_update);
        job->get.id = job->id;
        flow_store_workflow_get(job->services->store, &job->get);
    }
}

/* ---- get, list, delete ---- */

static void on_get(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__GetWorkflowResponse response = FLOWENGINE__V1__GET_WORKFLOW_RESPONSE__INIT;
    FlowError error = op->error;
    if (error.status == FLOW_OK)
        flow_definition_to_pb(&job->get.workflow, flow_rpc_arena(job->call), &response.workflow, &error);
    flow_store_op_done(op);
    if (error.status != FLOW_OK) {
        fail(job, &error);
        return;
    }
    flow_rpc_reply(job->call, &response.base);
    free_job(job);
}

static void get_workflow(FlowRpcCall *call, void *context)
{
    Job *job = new_job(context, call);
    const Flowengine__V1__GetWorkflowRequest *request = flow_rpc_request(call);
    if (!take_id(job, request->workflow_id, "workflow_id"))
        return;
    prepare(job, on_get);
    job->get.id = job->id;
    job->get.revision = request->revision;
    flow_store_workflow_get(job->services->store, &job->get);
}

static void on_list(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__ListWorkflowsResponse response = FLOWENGINE__V1__LIST_WORKFLOWS_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    FlowError error = op->error;
    if (error.status == FLOW_OK) {
        response.next_page_token = job->list.next_token;
        response.workflows = (Flowengine__V1__Workflow **)flow_pb_list(&pb, job->list.count);
        for (size_t i = 0; response.workflows != NULL && i < job->list.count && error.status == FLOW_OK; i++)
            flow_definition_to_pb(&job->list.workflows[i], pb.arena,
                                  &response.workflows[response.n_workflows++], &error);
    }
    if (error.status != FLOW_OK)
        flow_rpc_fail(job->call, &error);
    else if (pb.failed)
        flow_service_no_room(job->call);
    else
        flow_rpc_reply(job->call, &response.base);
    flow_store_op_done(op);
    free_job(job);
}

static void list_workflows(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__ListWorkflowsRequest *request = flow_rpc_request(call);
    size_t page_size = flow_service_page_size(call, request->page_size);
    FlowError error;
    if (page_size == 0)
        return;
    Job *job = new_job(context, call);
    if (flow_definition_filter(request->filter, flow_rpc_arena(call), &job->list, &error) != FLOW_OK) {
        fail(job, &error);
        return;
    }
    prepare(job, on_list);
    job->list.with_bodies = true;
    job->list.max = page_size;
    job->list.token = request->page_token;
    flow_store_workflow_list(job->services->store, &job->list);
}

static Flowengine__V1__WorkflowRevision *make_revision(FlowPb *pb, const FlowWorkflowRecord *record)
{
    Flowengine__V1__WorkflowRevision *revision =
        FLOW_PB(pb, Flowengine__V1__WorkflowRevision, flowengine__v1__workflow_revision__init);
    if (revision == NULL)
        return NULL;
    revision->revision = record->revision;
    revision->etag = flow_pb_borrow(record->etag);
    revision->create_time = flow_pb_time(pb, record->update_ns);
    revision->name = flow_pb_borrow(record->name);
    revision->draft = record->draft;
    return revision;
}

static void on_revisions(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__ListWorkflowRevisionsResponse response =
        FLOWENGINE__V1__LIST_WORKFLOW_REVISIONS_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (op->error.status != FLOW_OK) {
        fail(job, &op->error);
        return;
    }
    response.next_page_token = job->revisions.next_token;
    response.revisions = (Flowengine__V1__WorkflowRevision **)flow_pb_list(&pb, job->revisions.count);
    for (size_t i = 0; response.revisions != NULL && i < job->revisions.count && !pb.failed; i++)
        response.revisions[response.n_revisions++] = make_revision(&pb, &job->revisions.revisions[i]);
    if (pb.failed)
        flow_service_no_room(job->call);
    else
        flow_rpc_reply(job->call, &response.base);
    flow_store_op_done(op);
    free_job(job);
}

static void list_workflow_revisions(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__ListWorkflowRevisionsRequest *request = flow_rpc_request(call);
    size_t page_size = flow_service_page_size(call, request->page_size);
    if (page_size == 0)
        return;
    Job *job = new_job(context, call);
    if (!take_id(job, request->workflow_id, "workflow_id"))
        return;
    prepare(job, on_revisions);
    job->revisions.id = job->id;
    job->revisions.max = page_size;
    job->revisions.token = request->page_token;
    flow_store_revision_list(job->services->store, &job->revisions);
}

static void on_deleted(FlowStoreOp *op)
{
    Job *job = job_of(op);
    Flowengine__V1__DeleteWorkflowResponse response = FLOWENGINE__V1__DELETE_WORKFLOW_RESPONSE__INIT;
    if (op->error.status != FLOW_OK) {
        fail(job, &op->error);
        return;
    }
    flow_rpc_reply(job->call, &response.base);
    free_job(job);
}

static void delete_workflow(FlowRpcCall *call, void *context)
{
    Job *job = new_job(context, call);
    const Flowengine__V1__DeleteWorkflowRequest *request = flow_rpc_request(call);
    if (!take_id(job, request->workflow_id, "workflow_id"))
        return;
    snprintf(job->etag, sizeof job->etag, "%s", request->etag);
    prepare(job, on_deleted);
    job->delete.id = job->id;
    job->delete.etag = job->etag;
    job->delete.force = request->force;
    flow_store_workflow_delete(job->services->store, &job->delete);
}

/* ---- validate, analyze ---- */

static void on_validated(Job *job)
{
    const Flowengine__V1__ValidateWorkflowRequest *request = flow_rpc_request(job->call);
    Flowengine__V1__ValidateWorkflowResponse response = FLOWENGINE__V1__VALIDATE_WORKFLOW_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    flow_pb_problems(&pb, &job->problems, &response.n_problems, &response.problems);
    response.valid = job->problems.errors == 0;
    if (request->analyze)
        response.analysis = flow_pb_analysis(&pb, job->graph, NULL, 0, NULL, NULL);
    if (pb.failed)
        flow_service_no_room(job->call);
    else
        flow_rpc_reply(job->call, &response.base);
    free_job(job);
}

static void validate_workflow(FlowRpcCall *call, void *context)
{
    Job *job = new_job(context, call);
    const Flowengine__V1__ValidateWorkflowRequest *request = flow_rpc_request(call);
    FlowError error;
    snprintf(job->id, sizeof job->id, "%.*s", FLOW_ID_MAX, request->workflow->id);
    if (flow_definition_from_pb(request->workflow, NULL, &job->definition, &error) != FLOW_OK)
        fail(job, &error);
    else
        start_build(job, on_validated);
}

static void on_analyzed(Job *job)
{
    const Flowengine__V1__AnalyzeWorkflowRequest *request = flow_rpc_request(job->call);
    Flowengine__V1__AnalyzeWorkflowResponse response = FLOWENGINE__V1__ANALYZE_WORKFLOW_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    const char *const ends[] = {request->from_node_id, request->to_node_id};
    FlowError error;
    for (size_t i = 0; i < FLOW_COUNT(ends); i++) {
        if (ends[i][0] == '\0' || flow_graph_find(job->graph, ends[i]) != NULL)
            continue;
        flow_error_set(&error, FLOW_NOT_FOUND, "NODE_NOT_FOUND", i == 0 ? "from_node_id" : "to_node_id",
                       "the workflow has no node \"%.64s\"", ends[i]);
        fail(job, &error);
        return;
    }
    response.analysis = flow_pb_analysis(&pb, job->graph, &job->problems, job->revision,
                                         request->from_node_id, request->to_node_id);
    if (pb.failed)
        flow_service_no_room(job->call);
    else
        flow_rpc_reply(job->call, &response.base);
    free_job(job);
}

static void on_got_for_analysis(FlowStoreOp *op)
{
    Job *job = job_of(op);
    FlowError error = op->error;
    if (error.status == FLOW_OK) {
        job->revision = job->get.workflow.revision;
        flow_definition_decode(&job->get.workflow, &job->definition, &error);
    }
    flow_store_op_done(op);
    if (error.status != FLOW_OK)
        fail(job, &error);
    else
        start_build(job, on_analyzed);
}

static void analyze_workflow(FlowRpcCall *call, void *context)
{
    Job *job = new_job(context, call);
    const Flowengine__V1__AnalyzeWorkflowRequest *request = flow_rpc_request(call);
    if (!take_id(job, request->workflow_id, "workflow_id"))
        return;
    prepare(job, on_got_for_analysis);
    job->get.id = job->id;
    job->get.revision = request->revision;
    flow_store_workflow_get(job->services->store, &job->get);
}

const FlowRpcBinding flow_workflow_handlers[] = {
    {"flowengine.v1.WorkflowService/CreateWorkflow", create_workflow},
    {"flowengine.v1.WorkflowService/GetWorkflow", get_workflow},
    {"flowengine.v1.WorkflowService/ListWorkflows", list_workflows},
    {"flowengine.v1.WorkflowService/UpdateWorkflow", update_workflow},
    {"flowengine.v1.WorkflowService/DeleteWorkflow", delete_workflow},
    {"flowengine.v1.WorkflowService/ListWorkflowRevisions", list_workflow_revisions},
    {"flowengine.v1.WorkflowService/ValidateWorkflow", validate_workflow},
    {"flowengine.v1.WorkflowService/AnalyzeWorkflow", analyze_workflow},
    {NULL, NULL},
};
