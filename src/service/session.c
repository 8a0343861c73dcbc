/*
 * session.c - DevelopmentService's methods on sessions: executing single nodes, inputs, outputs, pins.
 *
 * A handler turns its message into a FlowDevRequest; the answer is made on the FlowDev's loop, from what that lends.
 */
#include "flowengine/v1/development_service.pb-c.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "dev/dev.h"
#include "engine/payload.h"
#include "service/convert.h"
#include "service/service_internal.h"
#include "wire/json.h"

/* One call, from its start to its answer. */
typedef struct Job {
    FlowServices *services;
    FlowRpcCall *call;
    FlowDevRequest request;
    FlowDevMock *mocks;
    FlowValue *mock_values;
    atomic_int holds; /* the request, the door's callbacks, a cancellation on its way */
} Job;

static void drop(Job *job)
{
    if (atomic_fetch_sub(&job->holds, 1) > 1)
        return;
    FlowDevRequest *request = &job->request;
    flow_value_unref(request->workflow);
    flow_value_unref(request->input.id);
    flow_value_unref(request->input.data);
    flow_value_unref(request->input.metadata);
    flow_value_unref(request->form_values);
    flow_value_unref(request->parameters);
    for (size_t i = 0; i < 2 * request->mock_count; i++)
        flow_value_unref(job->mock_values[i]);
    free(job->mock_values);
    free(job->mocks);
    free(job);
}

static Job *new_job(FlowServices *services, FlowRpcCall *call, FlowDevVerb verb, const char *session_id,
                    const char *node_id, void (*done)(FlowDevRequest *request))
{
    Job *job = flow_new(Job);
    job->services = services;
    job->call = call;
    job->request.verb = verb;
    job->request.done = done;
    job->request.session_id = session_id;
    job->request.node_id = node_id;
    atomic_init(&job->holds, 1);
    return job;
}

static Job *job_of(FlowDevRequest *request)
{
    return flow_container_of(request, Job, request);
}

static void submit(Job *job)
{
    flow_dev_submit(job->services->dev, &job->request);
}

static void refuse(Job *job, const FlowError *error)
{
    flow_rpc_fail(job->call, error);
    drop(job);
}

/* True when the request failed: the call has been ended. */
static bool failed(Job *job)
{
    const FlowDevRequest *request = &job->request;
    FlowRpcDetails details;
    if (request->error.status == FLOW_OK)
        return false;
    flow_rpc_details_init(&details, &request->error);
    for (size_t i = 0; i < request->needed_count; i++)
        flow_rpc_details_precondition(&details, request->error.reason, request->needed[i],
                                      "execute this node first, pin its output, or set run_upstream");
    if (request->error.status == FLOW_NOT_FOUND) {
        bool of_session = strcmp(request->error.reason, "SESSION_NOT_FOUND") == 0;
        flow_rpc_details_resource(&details, of_session ? "Session" : "Node", request->error.where,
                                  request->error.message);
    }
    flow_rpc_fail_with(job->call, &details);
    flow_rpc_details_done(&details);
    drop(job);
    return true;
}

static void finish(Job *job, FlowPb *pb, ProtobufCMessage *response)
{
    if (pb->failed)
        flow_service_no_room(job->call);
    else
        flow_rpc_reply(job->call, response);
    drop(job);
}

/* ---- cancelling ---- */

static void on_cancel_seen(FlowDevRequest *request)
{
    drop(job_of(request));
}

static void on_cancel(FlowRpcCall *call, void *data)
{
    (void)call;
    Job *job = data;
    atomic_fetch_add(&job->holds, 1);
    flow_dev_cancel(&job->request);
}

static void on_done(void *data)
{
    drop(data);
}

static const FlowRpcCallbacks callbacks = {.on_cancel = on_cancel, .on_done = on_done};

/* ---- to messages ---- */

/* Null: no payload. */
static Flowengine__V1__Payload *make_payload(FlowPb *pb, const FlowDevPayload *from)
{
    if (flow_value_is_null(from->data))
        return NULL;
    const char *id = flow_value_kind(from->id) == FLOW_VALUE_STRING ? flow_value_text(&from->id) : "";
    return flow_pb_payload(pb, flow_pb_text(pb, "%s", id), from->data, from->metadata);
}

static void add_inputs(FlowPb *pb, const FlowDevRequest *request, size_t *ret_count,
                       Flowengine__V1__NodeInput ***ret_list)
{
    Flowengine__V1__NodeInput **list = (Flowengine__V1__NodeInput **)flow_pb_list(pb, request->input_count);
    *ret_list = list;
    *ret_count = 0;
    for (size_t i = 0; list != NULL && i < request->input_count; i++) {
        const FlowDevInput *from = &request->inputs[i];
        Flowengine__V1__NodeInput *to =
            FLOW_PB(pb, Flowengine__V1__NodeInput, flowengine__v1__node_input__init);
        if (to == NULL)
            return;
        to->node_id = flow_pb_borrow(from->node_id);
        to->edge_id = flow_pb_borrow(from->edge_id);
        to->state = (Flowengine__V1__NodeInput__State)from->state;
        to->reason = flow_pb_borrow(from->reason);
        to->time = flow_pb_time(pb, from->time_ns);
        list[(*ret_count)++] = to;
    }
}

static Flowengine__V1__NodeOutput *make_output(FlowPb *pb, const FlowDevOutput *from)
{
    Flowengine__V1__NodeOutput *to =
        FLOW_PB(pb, Flowengine__V1__NodeOutput, flowengine__v1__node_output__init);
    if (to == NULL)
        return NULL;
    FlowValue paths = flow_value_array();
    to->node_id = flow_pb_borrow(from->node_id);
    to->node_type = flow_pb_borrow(from->node_type);
    to->id = flow_value_kind(from->payload.id) == FLOW_VALUE_STRING
                 ? flow_pb_text(pb, "%s", flow_value_text(&from->payload.id))
                 : flow_pb_borrow("");
    FLOW_PB_SET_STRUCT(to, NODE_OUTPUT, data, DATA, flow_pb_struct(pb, from->payload.data, "data", &paths));
    FLOW_PB_SET_STRUCT(to, NODE_OUTPUT, metadata, METADATA,
                       flow_pb_struct(pb, from->payload.metadata, "metadata", &paths));
    if (flow_value_kind(from->form) == FLOW_VALUE_OBJECT)
        FLOW_PB_SET_STRUCT(to, NODE_OUTPUT, form, FORM, flow_pb_struct(pb, from->form, "form", &paths));
    flow_pb_paths(pb, paths, &to->n_inexact_paths, &to->inexact_paths);
    flow_value_unref(paths);
    to->branch = flow_pb_borrow(from->branch);
    to->branch_ended = from->branch_ended;
    to->mocked = from->is_mocked;
    to->state = (Flowengine__V1__NodeInput__State)from->state;
    to->reason = flow_pb_borrow(from->reason);
    to->time = flow_pb_time(pb, from->time_ns);
    to->duration = from->is_pinned ? NULL : flow_pb_duration(pb, from->duration_ns);
    to->bytes = (int64_t)from->bytes;
    return to;
}

static void add_outputs(FlowPb *pb, const FlowDevRequest *request, size_t *ret_count,
                        Flowengine__V1__NodeOutput ***ret_list)
{
    Flowengine__V1__NodeOutput **list =
        (Flowengine__V1__NodeOutput **)flow_pb_list(pb, request->output_count);
    *ret_list = list;
    *ret_count = 0;
    for (size_t i = 0; list != NULL && i < request->output_count && !pb->failed; i++)
        list[(*ret_count)++] = make_output(pb, &request->outputs[i]);
}

static Flowengine__V1__Session *make_session(FlowPb *pb, const FlowDevSessionView *from)
{
    Flowengine__V1__Session *to = FLOW_PB(pb, Flowengine__V1__Session, flowengine__v1__session__init);
    if (to == NULL)
        return NULL;
    to->id = flow_pb_borrow(from->id);
    to->workflow_id = flow_pb_borrow(from->workflow_id);
    to->create_time = flow_pb_time(pb, from->create_ns);
    to->expire_time = flow_pb_time(pb, from->expire_ns);
    to->bytes = (int64_t)from->bytes;
    to->output_count = (int32_t)from->output_count;
    return to;
}

static void add_logs(FlowPb *pb, const FlowDevRequest *request, Flowengine__V1__ExecuteNodeResponse *to)
{
    to->logs = (Flowengine__V1__LogLine **)flow_pb_list(pb, request->log_count);
    for (size_t i = 0; to->logs != NULL && i < request->log_count; i++) {
        const FlowDevLog *from = &request->logs[i];
        Flowengine__V1__LogLine *line = FLOW_PB(pb, Flowengine__V1__LogLine, flowengine__v1__log_line__init);
        if (line == NULL)
            return;
        line->time = flow_pb_time(pb, from->time_ns);
        line->level = (Flowengine__V1__LogLine__Level)(from->level + 1);
        line->message = flow_pb_borrow(from->message);
        line->node_id = flow_pb_borrow(from->node_id);
        if (flow_value_kind(from->fields) == FLOW_VALUE_OBJECT)
            FLOW_PB_SET_STRUCT(line, LOG_LINE, fields, FIELDS,
                               flow_pb_struct(pb, from->fields, "fields", NULL));
        to->logs[to->n_logs++] = line;
    }
}

static Flowengine__V1__Failure *make_failure(FlowPb *pb, const FlowDevRequest *request, int64_t now_ns)
{
    const FlowError *error = &request->failure;
    char fingerprint[FLOW_FINGERPRINT_TEXT];
    if (error->status == FLOW_OK)
        return NULL;
    Flowengine__V1__Failure *to = FLOW_PB(pb, Flowengine__V1__Failure, flowengine__v1__failure__init);
    if (to == NULL)
        return NULL;
    flow_dead_letter_fingerprint(error->reason, request->session.workflow_id, request->failed_node_id,
                                 error->message, fingerprint);
    to->reason = flow_pb_reason(error->reason);
    if (to->reason == 0)
        to->reason = FLOWENGINE__V1__DEAD_LETTER__REASON__NODE_FAILED;
    to->code = flow_pb_borrow(flow_status_name(error->status));
    to->message = flow_pb_borrow(error->message);
    to->node_id = flow_pb_borrow(request->failed_node_id);
    to->fingerprint = flow_pb_text(pb, "%s", fingerprint);
    to->time = flow_pb_time(pb, now_ns);
    return to;
}

/* ---- ExecuteNode ---- */

static void on_executed(FlowDevRequest *request)
{
    Job *job = job_of(request);
    Flowengine__V1__ExecuteNodeResponse response = FLOWENGINE__V1__EXECUTE_NODE_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (failed(job))
        return;
    FlowValue paths = flow_value_array();
    response.session_id = request->session.id;
    response.node_id = flow_pb_borrow(request->answer_node_id);
    response.node_type = flow_pb_borrow(request->node_type);
    response.input = make_payload(&pb, &request->given);
    response.output = make_payload(&pb, &request->output);
    response.branch = flow_pb_borrow(request->out_branch);
    response.branch_ended = request->ended;
    response.completed = request->completed;
    response.off_branch = request->off_branch;
    response.mocked = request->mocked;
    response.duration = flow_pb_duration(&pb, request->duration_ns);
    response.pool = (Flowengine__V1__NodeType__Pool)(request->pool + 1);
    if (flow_value_kind(request->form) == FLOW_VALUE_OBJECT)
        FLOW_PB_SET_STRUCT(&response, EXECUTE_NODE_RESPONSE, form, FORM,
                           flow_pb_struct(&pb, request->form, "form", &paths));
    flow_pb_paths(&pb, paths, &response.n_inexact_paths, &response.inexact_paths);
    add_logs(&pb, request, &response);
    add_inputs(&pb, request, &response.n_inputs, &response.inputs);
    response.executed_upstream = (char **)flow_pb_list(&pb, request->executed_count);
    for (size_t i = 0; response.executed_upstream != NULL && i < request->executed_count; i++)
        response.executed_upstream[response.n_executed_upstream++] = flow_pb_borrow(request->executed[i]);
    response.error = make_failure(&pb, request, flow_clock_wall_ns(job->services->clock));
    flow_value_unref(paths);
    finish(job, &pb, &response.base);
}

static FlowStatus take_mocks(Job *job, const Flowengine__V1__ExecuteNodeRequest *from, FlowError *reterr)
{
    FlowStatus status = FLOW_OK;
    job->mocks = flow_calloc(from->n_mock_output + 1, sizeof *job->mocks);
    job->mock_values = flow_calloc(2 * from->n_mock_output + 1, sizeof *job->mock_values);
    job->request.mocks = job->mocks;
    for (size_t i = 0; i < from->n_mock_output && status == FLOW_OK; i++) {
        const Flowengine__V1__NodeMock *mock = from->mock_output[i]->value;
        FlowDevMock *to = &job->mocks[i];
        FlowValue *values = &job->mock_values[2 * i];
        job->request.mock_count++;
        *to = (FlowDevMock){.node_id = from->mock_output[i]->key, .branch = "", .error = ""};
        if (mock == NULL) {
            to->data = values[0] = flow_value_object();
            continue;
        }
        to->branch = mock->branch;
        to->error = mock->error_message;
        status = flow_value_from_pb(mock->data, "mock_output.data", &values[0], reterr);
        if (status == FLOW_OK && mock->has_metadata_case != 0)
            status = flow_value_from_pb(mock->metadata, "mock_output.metadata", &values[1], reterr);
        to->data = values[0];
        to->metadata = values[1];
    }
    return status;
}

static FlowStatus take_input(FlowDevPayload *to, const Flowengine__V1__Payload *from, FlowError *reterr)
{
    if (from == NULL)
        return FLOW_OK;
    if (from->id[0] != '\0')
        to->id = flow_value_string(from->id);
    FlowStatus status = flow_value_from_pb(from->data, "input.data", &to->data, reterr);
    return status == FLOW_OK ? flow_value_from_pb(from->metadata, "input.metadata", &to->metadata, reterr)
                             : status;
}

static FlowStatus take_question(Job *job, const Flowengine__V1__ExecuteNodeRequest *from, FlowError *reterr)
{
    FlowDevRequest *to = &job->request;
    FlowStatus status = FLOW_OK;
    if (from->from_payload[0] != '\0')
        return flow_error_set(reterr, FLOW_UNIMPLEMENTED, "NOT_IMPLEMENTED", "from_payload",
                              "this server keeps no history of units yet; use from_dead_letter");
    to->from_dead_letter = from->from_dead_letter;
    to->run_upstream = from->run_upstream;
    to->dry_run = from->dry_run;
    to->allow_side_effects = from->allow_side_effects;
    to->peek_queues = from->peek_queues;
    to->for_each_index = from->for_each_index;
    to->timeout_ns = flow_duration_from_pb(from->timeout, 0);
    if (from->timeout && (to->timeout_ns <= 0 || to->timeout_ns > FLOW_DEV_TIMEOUT_MAX_NS))
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "timeout",
                              "timeout must be more than 0 s and at most 3600 s");
    if (from->definition_case == FLOWENGINE__V1__EXECUTE_NODE_REQUEST__DEFINITION_WORKFLOW_ID)
        to->workflow_id = from->workflow_id;
    else if (from->definition_case == FLOWENGINE__V1__EXECUTE_NODE_REQUEST__DEFINITION_WORKFLOW)
        status = flow_pb_to_value(&from->workflow->base, 0, &to->workflow, reterr);
    if (status == FLOW_OK)
        status = take_input(&to->input, from->input, reterr);
    if (status == FLOW_OK && from->has_form_values_case != 0)
        status = flow_value_from_pb(from->form_values, "form_values", &to->form_values, reterr);
    if (status == FLOW_OK && from->has_parameters_case != 0)
        status = flow_value_from_pb(from->parameters, "parameters", &to->parameters, reterr);
    return status == FLOW_OK ? take_mocks(job, from, reterr) : status;
}

void flow_session__execute(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__ExecuteNodeRequest *request = flow_rpc_request(call);
    FlowError error;
    Job *job = new_job(context, call, FLOW_DEV_EXECUTE, request->session_id, request->node_id, on_executed);
    if (take_question(job, request, &error) != FLOW_OK) {
        refuse(job, &error);
        return;
    }
    job->request.cancel_seen = on_cancel_seen;
    job->request.dev = job->services->dev;
    atomic_fetch_add(&job->holds, 1);
    flow_rpc_watch(call, &callbacks, job);
    submit(job);
}

/* ---- inputs and outputs ---- */

static void on_input(FlowDevRequest *request)
{
    Job *job = job_of(request);
    Flowengine__V1__GetNodeInputResponse response = FLOWENGINE__V1__GET_NODE_INPUT_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (failed(job))
        return;
    response.input = make_payload(&pb, &request->given);
    add_inputs(&pb, request, &response.n_inputs, &response.inputs);
    finish(job, &pb, &response.base);
}

void flow_session__get_input(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__GetNodeInputRequest *request = flow_rpc_request(call);
    Job *job = new_job(context, call, FLOW_DEV_GET_INPUT, request->session_id, request->node_id, on_input);
    job->request.for_each_index = request->for_each_index;
    submit(job);
}

static void on_output(FlowDevRequest *request)
{
    Job *job = job_of(request);
    Flowengine__V1__GetNodeOutputResponse response = FLOWENGINE__V1__GET_NODE_OUTPUT_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (failed(job))
        return;
    response.output = make_output(&pb, &request->outputs[0]);
    finish(job, &pb, &response.base);
}

void flow_session__get_output(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__GetNodeOutputRequest *request = flow_rpc_request(call);
    submit(new_job(context, call, FLOW_DEV_GET_OUTPUT, request->session_id, request->node_id, on_output));
}

static void on_pinned(FlowDevRequest *request)
{
    Job *job = job_of(request);
    Flowengine__V1__SetNodeOutputResponse response = FLOWENGINE__V1__SET_NODE_OUTPUT_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (failed(job))
        return;
    response.output = make_output(&pb, &request->outputs[0]);
    finish(job, &pb, &response.base);
}

void flow_session__set_output(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__SetNodeOutputRequest *request = flow_rpc_request(call);
    const Flowengine__V1__NodeOutput *output = request->output;
    FlowError error;
    Job *job = new_job(context, call, FLOW_DEV_SET_OUTPUT, request->session_id, request->node_id, on_pinned);
    FlowDevPayload *to = &job->request.input;
    job->request.workflow_id = request->workflow_id;
    job->request.branch = output->branch;
    job->request.branch_ended = output->branch_ended;
    if (output->id[0] != '\0')
        to->id = flow_value_string(output->id);
    FlowStatus status = flow_value_from_pb(output->data, "output.data", &to->data, &error);
    if (status == FLOW_OK)
        status = flow_value_from_pb(output->metadata, "output.metadata", &to->metadata, &error);
    if (status == FLOW_OK)
        submit(job);
    else
        refuse(job, &error);
}

static void on_cleared_output(FlowDevRequest *request)
{
    Job *job = job_of(request);
    Flowengine__V1__ClearNodeOutputResponse response = FLOWENGINE__V1__CLEAR_NODE_OUTPUT_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (!failed(job))
        finish(job, &pb, &response.base);
}

void flow_session__clear_output(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__ClearNodeOutputRequest *request = flow_rpc_request(call);
    submit(new_job(context, call, FLOW_DEV_CLEAR_OUTPUT, request->session_id, request->node_id,
                   on_cleared_output));
}

static void on_listed(FlowDevRequest *request)
{
    Job *job = job_of(request);
    Flowengine__V1__ListNodeOutputsResponse response = FLOWENGINE__V1__LIST_NODE_OUTPUTS_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (failed(job))
        return;
    response.session = make_session(&pb, &request->session);
    response.next_page_token = request->next_page_token;
    add_outputs(&pb, request, &response.n_outputs, &response.outputs);
    finish(job, &pb, &response.base);
}

void flow_session__list(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__ListNodeOutputsRequest *request = flow_rpc_request(call);
    size_t page_size = flow_service_page_size(call, request->page_size);
    if (page_size == 0)
        return;
    Job *job = new_job(context, call, FLOW_DEV_LIST, request->session_id, "", on_listed);
    job->request.page_size = page_size;
    job->request.page_token = request->page_token;
    submit(job);
}

static void on_cleared(FlowDevRequest *request)
{
    Job *job = job_of(request);
    Flowengine__V1__ClearSessionResponse response = FLOWENGINE__V1__CLEAR_SESSION_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (!failed(job))
        finish(job, &pb, &response.base);
}

void flow_session__clear(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__ClearSessionRequest *request = flow_rpc_request(call);
    submit(new_job(context, call, FLOW_DEV_CLEAR, request->session_id, "", on_cleared));
}

static void on_loaded(FlowDevRequest *request)
{
    Job *job = job_of(request);
    Flowengine__V1__LoadSessionResponse response = FLOWENGINE__V1__LOAD_SESSION_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(job->call)};
    if (failed(job))
        return;
    response.session = make_session(&pb, &request->session);
    response.node_id = flow_pb_borrow(request->answer_node_id);
    add_outputs(&pb, request, &response.n_outputs, &response.outputs);
    finish(job, &pb, &response.base);
}

void flow_session__load(FlowRpcCall *call, void *context)
{
    const Flowengine__V1__LoadSessionRequest *request = flow_rpc_request(call);
    FlowError error;
    if (request->source_case != FLOWENGINE__V1__LOAD_SESSION_REQUEST__SOURCE_FROM_DEAD_LETTER ||
        request->from_dead_letter[0] == '\0') {
        bool none = request->source_case != FLOWENGINE__V1__LOAD_SESSION_REQUEST__SOURCE_FROM_PAYLOAD;
        flow_error_set(&error, none ? FLOW_INVALID_ARGUMENT : FLOW_UNIMPLEMENTED,
                       none ? "REQUIRED_FIELD" : "NOT_IMPLEMENTED",
                       none ? "from_dead_letter" : "from_payload",
                       none ? "say what to load: from_dead_letter"
                            : "this server keeps no history of units yet; use from_dead_letter");
        flow_rpc_fail(call, &error);
        return;
    }
    Job *job = new_job(context, call, FLOW_DEV_LOAD, request->session_id, "", on_loaded);
    job->request.from_dead_letter = request->from_dead_letter;
    submit(job);
}
