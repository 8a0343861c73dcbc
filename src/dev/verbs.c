/* verbs.c - what is asked of a session besides executing: inputs, outputs, pins, loading a dead letter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/dev_internal.h"
#include "engine/payload.h"

void dev_job_show_output(FlowDevJob *job, const FlowGraphNode *node, const DevOutput *output)
{
    FlowDevRequest *request = job->request;
    job->outputs = flow_realloc(job->outputs, (request->output_count + 1) * sizeof *job->outputs);
    FlowDevOutput *shown = &job->outputs[request->output_count++];
    *shown = (FlowDevOutput){.node_id = node->id,
                             .node_type = node->type ? node->type->name : "",
                             .payload = output->payload,
                             .branch = output->branch ? output->branch : "",
                             .branch_ended = output->ended,
                             .is_pinned = output->pinned,
                             .is_mocked = output->mocked,
                             .form = output->form,
                             .time_ns = output->time_ns,
                             .duration_ns = output->duration_ns,
                             .bytes = output->bytes};
    const DevPlan *plan = dev_job_plan(job, node->index);
    if (output->pinned) {
        shown->state = FLOW_DEV_PINNED;
        snprintf(shown->reason, sizeof shown->reason, "%s", output->pin_reason ? output->pin_reason : "");
    } else if (plan) {
        DevView view;
        dev_view_make(&view, job, plan, dev_plan_place(plan, node->index));
        shown->state = dev_view_judge(&view, shown->reason, sizeof shown->reason);
        dev_view_done(&view);
    } else {
        shown->state = FLOW_DEV_FRESH;
    }
    request->outputs = job->outputs;
}

static void fail_output(FlowDevJob *job, const FlowGraphNode *node)
{
    FlowError error;
    flow_error_set(&error, FLOW_NOT_FOUND, "OUTPUT_NOT_FOUND", node->id,
                   "node \"%s\" has no output in this session; execute it, or pin one", node->id);
    dev_job_fail(job, &error);
}

/* ---- GetNodeInput ---- */

static void get_input(FlowDevJob *job, const FlowGraphNode *node)
{
    const DevPlan *plan = dev_job_plan(job, node->index);
    FlowHash128 hash;
    bool off;
    FlowError error;
    job->request->answer_node_id = node->id;
    if (plan) {
        DevView view;
        dev_view_make(&view, job, plan, dev_plan_place(plan, node->index));
        job->inputs = dev_view_inputs(&view, &job->request->input_count);
        job->request->inputs = job->inputs;
        const DevNode *known = dev_session_node(job->session, node->id);
        if (known && !flow_value_is_null(known->loaded.data))
            job->request->given = dev_payload_ref(&known->loaded);
        else if (node->type && node->type->kind != FLOW_NODE_PRODUCER)
            dev_view_input(&view, &job->request->given, &hash, &off, &error);
        job->request->off_branch = false;
        dev_view_done(&view);
    }
    dev_job_finish(job);
}

/* ---- outputs ---- */

static void get_output(FlowDevJob *job, const FlowGraphNode *node)
{
    const DevOutput *output = dev_session_output(job->session, node->id);
    if (output == NULL || output->hollow) {
        fail_output(job, node);
        return;
    }
    dev_job_show_output(job, node, output);
    dev_job_finish(job);
}

/* What counts as set by hand. The payload is taken. */
static FlowStatus pin(FlowDevJob *job, const FlowGraphNode *node, FlowDevPayload payload_take,
                      const char *branch, bool ended, const char *reason, FlowError *reterr)
{
    DevOutput *output = flow_new(DevOutput);
    char made[FLOW_UUID_TEXT];
    output->payload = payload_take;
    if (flow_value_kind(output->payload.id) != FLOW_VALUE_STRING ||
        flow_value_length(&output->payload.id) == 0) {
        flow_uuid_make(flow_clock_wall_ns(job->dev->clock), made);
        flow_value_assign_take(&output->payload.id, flow_value_string(made));
    }
    if (flow_value_is_null(output->payload.metadata))
        output->payload.metadata = flow_value_object();
    output->branch = flow_strdup(branch);
    output->ended = ended;
    output->pinned = true;
    output->pin_reason = reason ? flow_strdup(reason) : NULL;
    output->form = flow_value_null();
    const DevOutput *before = dev_session_output(job->session, node->id);
    if (before) {
        /* The elements of a for-each stay: nodes of its body go on with them. */
        output->elements = flow_value_ref(before->elements);
        output->each_data = flow_value_ref(before->each_data);
        output->each_metadata = flow_value_ref(before->each_metadata);
    }
    return dev_session_store_take(job->session, node->id, output, reterr);
}

static void set_output(FlowDevJob *job, const FlowGraphNode *node)
{
    FlowDevRequest *request = job->request;
    FlowError error;
    bool is_each = flow_graph_node_has(node, FLOW_NODE_FOR_EACH);
    const char *branch = request->branch && request->branch[0] != '\0' ? request->branch : "default";
    int index = flow_graph_branch(node, branch);
    if (index < 0 && (request->branch == NULL || request->branch[0] == '\0') && node->branch_count > 0 &&
        !is_each) {
        branch = node->branches[0].name;
        index = 0;
    }
    if (index < 0 && !request->branch_ended) {
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "output.branch",
                       "node \"%s\" has no branch \"%s\"", node->id, branch);
        dev_job_fail(job, &error);
        return;
    }
    if (pin(job, node, dev_payload_ref(&request->input), branch, request->branch_ended, NULL, &error) !=
        FLOW_OK) {
        dev_job_fail(job, &error);
        return;
    }
    get_output(job, node);
}

static void list_outputs(FlowDevJob *job)
{
    FlowDevRequest *request = job->request;
    const FlowGraph *graph = job->graph->graph;
    uint32_t from = 0;
    FlowError error;
    if (request->page_token && request->page_token[0] != '\0') {
        char *end;
        unsigned long long at = strtoull(request->page_token, &end, 10);
        if (*end != '\0' || request->page_token[0] < '0' || request->page_token[0] > '9' ||
            at > graph->node_count) {
            flow_error_set(&error, FLOW_INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", "page_token",
                           "page_token isn't one that this method has given");
            dev_job_fail(job, &error);
            return;
        }
        from = (uint32_t)at;
    }
    for (uint32_t i = from; i < graph->node_count; i++) {
        const DevOutput *output = dev_session_output(job->session, graph->nodes[i].id);
        if (output == NULL || output->hollow)
            continue;
        if (request->output_count == request->page_size) {
            snprintf(request->next_page_token, sizeof request->next_page_token, "%u", i);
            break;
        }
        dev_job_show_output(job, &graph->nodes[i], output);
    }
    dev_job_finish(job);
}

/* ---- from production ---- */

static FlowStatus load_payload(FlowDevJob *job, const FlowGraphNode *node, const FlowDevPayload *payload,
                               const char *reason, FlowError *reterr)
{
    const FlowGraph *graph = job->graph->graph;
    if (flow_graph_node_has(node, FLOW_NODE_READS_QUEUE))
        return dev_queue_push(job->session, node->queues[0], payload, reterr);
    if (node->type->kind == FLOW_NODE_PRODUCER)
        return pin(job, node, dev_payload_ref(payload), "default", false, reason, reterr);
    const DevPlan *plan = dev_job_plan(job, node->index);
    uint32_t at = plan ? dev_plan_place(plan, node->index) : 0;
    if (plan && plan->in_first[at + 1] - plan->in_first[at] == 1 &&
        plan->plan->nodes[at].body_of == FLOW_GRAPH_NONE) {
        /* The one node before it gave just this. */
        const FlowPlanEdge *edge = &plan->plan->edges[plan->in_edges[plan->in_first[at]]];
        const FlowGraphNode *source = plan->plan->nodes[edge->source].def;
        const char *branch = source->branches[graph->edges[edge->edge].branch].name;
        return pin(job, source, dev_payload_ref(payload), branch, false, reason, reterr);
    }
    DevNode *known = dev_session_node_make(job->session, node->id);
    dev_payload_done(&known->loaded);
    known->loaded = dev_payload_ref(payload);
    free(known->loaded_reason);
    known->loaded_reason = flow_strdup(reason);
    return FLOW_OK;
}

/* The dead letter is there: what is known of its unit becomes the session's. */
static FlowStatus load_letter(FlowDevJob *job, FlowError *reterr)
{
    const FlowDeadLetter *letter = &job->letter.letter;
    FlowDevPayload payload = {flow_value_null(), flow_value_null(), flow_value_null()};
    const FlowGraphNode *node = dev_job_node(job, letter->node_id, reterr);
    if (node == NULL)
        return reterr->status;
    if (letter->payload == NULL)
        return FLOW_OK;
    char reason[200];
    snprintf(reason, sizeof reason, "loaded from the dead letter %s", letter->id);
    FlowStatus status = flow_payload_decode(letter->payload, &payload.data, &payload.metadata, reterr);
    if (status == FLOW_OK) {
        payload.id = flow_value_string(letter->payload_id);
        status = load_payload(job, node, &payload, reason, reterr);
    }
    if (status == FLOW_OK && letter->input) {
        /* What the unit began with. */
        const DevPlan *plan = dev_job_plan(job, node->index);
        const FlowGraphNode *first = plan ? plan->plan->nodes[0].def : node;
        const DevOutput *there = dev_session_output(job->session, first->id);
        FlowDevPayload input = {flow_value_ref(payload.id), flow_value_null(), flow_value_null()};
        if (first != node && letter->queue && letter->queue[0] != '\0' && (there == NULL || !there->pinned) &&
            flow_payload_decode(letter->input, &input.data, &input.metadata, NULL) == FLOW_OK)
            status = pin(job, first, dev_payload_ref(&input), "default", false, reason, reterr);
        dev_payload_done(&input);
    }
    dev_payload_done(&payload);
    return status;
}

void dev_job_load(FlowDevJob *job, void (*then)(FlowDevJob *job))
{
    FlowError error;
    FlowStatus status = load_letter(job, &error);
    if (status != FLOW_OK)
        dev_job_fail(job, &error);
    else
        then(job);
}

static void loaded(FlowDevJob *job)
{
    const FlowGraph *graph = job->graph->graph;
    const FlowGraphNode *node = flow_graph_find(graph, job->letter.letter.node_id);
    job->request->answer_node_id = node ? node->id : "";
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const DevOutput *output = dev_session_output(job->session, graph->nodes[i].id);
        if (output && !output->hollow && job->request->output_count < FLOW_STORE_PAGE_MAX)
            dev_job_show_output(job, &graph->nodes[i], output);
    }
    dev_job_finish(job);
}

/* ---- one of them ---- */

void dev_verb_run(FlowDevJob *job)
{
    FlowError error;
    FlowDevVerb verb = job->request->verb;
    if (verb == FLOW_DEV_EXECUTE && job->has_loaded) {
        dev_job_load(job, dev_job_execute);
        return;
    }
    if (verb == FLOW_DEV_EXECUTE || verb == FLOW_DEV_LOAD || verb == FLOW_DEV_LIST) {
        if (verb == FLOW_DEV_EXECUTE)
            dev_job_execute(job);
        else if (verb == FLOW_DEV_LOAD)
            dev_job_load(job, loaded);
        else
            list_outputs(job);
        return;
    }
    const FlowGraphNode *node = dev_job_node(job, job->request->node_id, &error);
    if (node == NULL) {
        dev_job_fail(job, &error);
    } else if (verb == FLOW_DEV_GET_INPUT) {
        get_input(job, node);
    } else if (verb == FLOW_DEV_GET_OUTPUT) {
        get_output(job, node);
    } else if (verb == FLOW_DEV_SET_OUTPUT) {
        set_output(job, node);
    } else {
        dev_session_forget(job->session, node->id);
        dev_job_finish(job);
    }
}
