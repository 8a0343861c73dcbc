/*
 * job.c - ExecuteNode: what stands before the node is looked at, executed where that was asked for, and then the node
 * itself. All of it on the FlowDev's loop, but for the executions, which have a thread where they need one.
 *
 * A job has a stack of targets. At the bottom lies the node that was asked for; the writers of a queue that turns out to
 * be empty come on top of it.
 */
#include <stdio.h>
#include <string.h>

#include "dev/dev_internal.h"
#include "engine/payload.h"

/* ---- looking things up ---- */

const FlowDevMock *dev_job_mock(const FlowDevJob *job, const char *node_id)
{
    for (size_t i = 0; i < job->request->mock_count; i++)
        if (strcmp(job->request->mocks[i].node_id, node_id) == 0)
            return &job->request->mocks[i];
    return NULL;
}

const FlowGraphNode *dev_job_node(const FlowDevJob *job, const char *node_id, FlowError *reterr)
{
    const FlowGraphNode *node =
        node_id && node_id[0] != '\0' ? flow_graph_find(job->graph->graph, node_id) : NULL;
    if (node)
        return node;
    if (node_id == NULL || node_id[0] == '\0')
        flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "REQUIRED_FIELD", "node_id", "say which node: node_id");
    else
        flow_error_set(reterr, FLOW_NOT_FOUND, "NODE_NOT_FOUND", node_id, "the workflow has no node \"%s\"",
                       node_id);
    return NULL;
}

const DevPlan *dev_job_plan(const FlowDevJob *job, uint32_t node)
{
    const DevPlan *best = NULL;
    uint64_t newest = 0;
    for (uint32_t i = 0; i < job->graph->plan_count; i++) {
        const DevPlan *plan = &job->graph->plans[i];
        if (dev_plan_place(plan, node) == FLOW_GRAPH_NONE)
            continue;
        const DevOutput *first = dev_session_output(job->session, plan->plan->nodes[0].def->id);
        uint64_t number = first ? first->number : 0;
        if (best == NULL || number > newest) {
            best = plan;
            newest = number;
        }
    }
    return best;
}

static bool has_input(const FlowDevJob *job)
{
    return !flow_value_is_null(job->request->input.data);
}

/* ---- the answer ---- */

static void fail_needed(FlowDevJob *job, const char *reason, const char **names_take, size_t count,
                        const char *format, const char *node_id)
{
    FlowError error;
    char list[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < count && len < sizeof list - 1; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s\"%s\"", i ? ", " : "", names_take[i]);
    char sentence[200];
    snprintf(sentence, sizeof sentence, format, node_id);
    if (count > 0)
        flow_error_set(&error, FLOW_FAILED_PRECONDITION, reason, node_id,
                       "%s; execute %s first, or set run_upstream, or give an input", sentence, list);
    else
        flow_error_set(&error, FLOW_FAILED_PRECONDITION, reason, node_id, "%s; give an input", sentence);
    free(job->needed);
    job->needed = names_take;
    job->request->needed = names_take;
    job->request->needed_count = count;
    dev_job_fail(job, &error);
}

/* ---- queues ---- */

static bool is_target(const FlowDevJob *job, uint32_t node)
{
    for (uint32_t i = 0; i < job->target_count; i++)
        if (job->targets[i].node == node)
            return true;
    return false;
}

static uint32_t writers_of(const FlowDevJob *job, const FlowGraphNode *reader, uint32_t *to)
{
    const FlowGraph *graph = job->graph->graph;
    uint32_t count = 0;
    for (uint32_t q = 0; q < graph->queue_count; q++)
        if (reader->queue_count > 0 && strcmp(graph->queues[q].name, reader->queues[0]) == 0)
            for (uint32_t i = 0; i < graph->queues[q].writer_count; i++)
                to[count++] = graph->queues[q].writers[i];
    return count;
}

static void on_peeked(FlowStoreOp *op)
{
    FlowDevJob *job = flow_container_of(op, FlowDevJob, peek.op);
    job->has_peeked = true;
    if (op->error.status == FLOW_OK && job->peek.count > 0 && job->peek.deliveries[0].body) {
        FlowDevPayload *to = &job->peeked;
        if (flow_payload_decode(job->peek.deliveries[0].body, &to->data, &to->metadata, NULL) == FLOW_OK)
            to->id = flow_value_string(job->peek.deliveries[0].payload_id);
    }
    flow_store_op_done(op);
    dev_job_step(job);
}

static void execute_reader(FlowDevJob *job, const DevPlan *plan, const FlowGraphNode *def)
{
    FlowDevPayload taken = {flow_value_null(), flow_value_null(), flow_value_null()};
    const FlowHash128 none = {0, 0};
    if (dev_job_mock(job, def->id) ||
        (def->queue_count > 0 && dev_queue_pop(job->session, def->queues[0], &taken))) {
        dev_job_run(job, plan, def, taken, none);
        return;
    }
    if (!flow_value_is_null(job->peeked.data)) {
        taken = dev_payload_ref(&job->peeked);
        dev_job_run(job, plan, def, taken, none);
        return;
    }
    if (job->request->peek_queues && !job->has_peeked && def->queue_count > 0) {
        job->peek = (FlowStorePeek){
            .op = {.loop = job->dev->loop, .done = on_peeked}, .queue = def->queues[0], .max = 1};
        flow_store_peek(job->dev->store, &job->peek);
        return;
    }
    uint32_t *writers = flow_malloc((job->graph->graph->node_count + 1) * sizeof *writers);
    uint32_t count = writers_of(job, def, writers), pushed = 0;
    for (uint32_t i = count; job->request->run_upstream && i-- > 0;)
        if (!job->has_run[writers[i]] && !is_target(job, writers[i]) && job->target_count < DEV_TARGETS_MAX) {
            job->targets[job->target_count++] = (DevTarget){dev_job_plan(job, writers[i]), writers[i]};
            pushed++;
        }
    if (pushed > 0) {
        free(writers);
        dev_job_step(job);
        return;
    }
    const char **names = flow_calloc(count + 1, sizeof *names);
    for (uint32_t i = 0; i < count; i++)
        names[i] = job->graph->graph->nodes[writers[i]].id;
    free(writers);
    fail_needed(job, "QUEUE_EMPTY", names, count, "the queue of \"%s\" is empty in this session", def->id);
}

/* ---- the way to the node ---- */

static void execute_at(FlowDevJob *job, DevView *view)
{
    const DevPlan *plan = view->plan;
    const FlowGraphNode *def = plan->plan->nodes[view->at].def;
    bool final = dev_job_is_final(job) && job->targets[0].node == def->index;
    const DevNode *node = dev_session_node(job->session, def->id);
    FlowDevPayload input = {flow_value_null(), flow_value_null(), flow_value_null()};
    FlowHash128 hash = {0, 0};
    FlowError error;
    bool off = false;
    if (final && has_input(job)) {
        input = dev_payload_ref(&job->request->input);
        hash = dev_hash_payload(input.data, input.metadata);
    } else if (node && !flow_value_is_null(node->loaded.data)) {
        input = dev_payload_ref(&node->loaded);
        hash = dev_hash_payload(input.data, input.metadata);
    } else if (flow_graph_node_has(def, FLOW_NODE_READS_QUEUE)) {
        execute_reader(job, plan, def);
        return;
    } else if (def->type->kind != FLOW_NODE_PRODUCER && !dev_view_input(view, &input, &hash, &off, &error)) {
        if (error.status != FLOW_OK) {
            dev_job_fail(job, &error);
            return;
        }
        size_t count;
        const char **names = dev_view_missing(view, &count);
        fail_needed(job, "MISSING_INPUT", names, count, "what node \"%s\" is to be given isn't there",
                    def->id);
        return;
    }
    if (final)
        job->request->off_branch = off;
    dev_job_run(job, plan, def, input, hash);
}

static void keep_inputs(FlowDevJob *job, const DevView *view)
{
    if (!dev_job_is_final(job))
        return;
    free(job->inputs);
    job->inputs = dev_view_inputs(view, &job->request->input_count);
    const DevNode *node = dev_session_node(job->session, view->plan->plan->nodes[view->at].def->id);
    for (size_t i = 0; node && !flow_value_is_null(node->loaded.data) && i < job->request->input_count; i++) {
        job->inputs[i].state = FLOW_DEV_PINNED;
        snprintf(job->inputs[i].reason, sizeof job->inputs[i].reason, "%s", node->loaded_reason);
    }
    job->request->inputs = job->inputs;
}

void dev_job_step(FlowDevJob *job)
{
    FlowError error;
    const DevTarget target = job->targets[job->target_count - 1];
    const FlowGraphNode *def = &job->graph->graph->nodes[target.node];
    if (job->is_cancelled) {
        flow_error_set(&error, FLOW_CANCELLED, "CANCELLED", NULL, "the client gave up");
        dev_job_fail(job, &error);
        return;
    }
    /* Executing may have made another loop the newest one. */
    const DevPlan *plan = dev_job_plan(job, target.node);
    if (plan == NULL) {
        if (has_input(job) && dev_job_is_final(job)) {
            FlowDevPayload input = dev_payload_ref(&job->request->input);
            dev_job_run(job, NULL, def, input, dev_hash_payload(input.data, input.metadata));
        } else {
            fail_needed(job, "MISSING_INPUT", flow_calloc(1, sizeof(char *)), 0,
                        "no producer leads to node \"%s\"", def->id);
        }
        return;
    }
    DevView view;
    uint32_t at = dev_plan_place(plan, target.node);
    dev_view_make(&view, job, plan, at);
    keep_inputs(job, &view);
    const DevNode *node = dev_session_node(job->session, def->id);
    bool is_given =
        (dev_job_is_final(job) && has_input(job)) || (node && !flow_value_is_null(node->loaded.data));
    uint32_t next = job->request->run_upstream && !is_given ? dev_view_next(&view) : FLOW_GRAPH_NONE;
    if (next == FLOW_GRAPH_NONE) {
        execute_at(job, &view);
    } else {
        DevView before;
        dev_view_make(&before, job, plan, next);
        execute_at(job, &before);
        dev_view_done(&before);
    }
    dev_view_done(&view);
}

static FlowStatus check_mocks(const FlowDevJob *job, FlowError *reterr)
{
    for (size_t i = 0; i < job->request->mock_count; i++) {
        const FlowDevMock *mock = &job->request->mocks[i];
        const FlowGraphNode *node = flow_graph_find(job->graph->graph, mock->node_id);
        if (node == NULL)
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "mock_output",
                                  "mock_output has a mock for \"%s\", and the workflow has no such node",
                                  mock->node_id);
        if (node->type && mock->branch && mock->branch[0] != '\0' &&
            flow_graph_branch(node, mock->branch) < 0)
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "mock_output",
                                  "the mock for \"%s\" takes the branch \"%s\", which that node doesn't have",
                                  mock->node_id, mock->branch);
    }
    return FLOW_OK;
}

void dev_job_execute(FlowDevJob *job)
{
    FlowError error;
    const FlowGraphNode *def = dev_job_node(job, job->request->node_id, &error);
    if (def == NULL || check_mocks(job, &error) != FLOW_OK) {
        dev_job_fail(job, &error);
        return;
    }
    const FlowProblem *problem =
        dev_graph_obstacle(job->graph, def->index, !flow_value_is_null(job->request->form_values));
    if (problem) {
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, "WORKFLOW_INVALID", "", "the workflow isn't right: %s",
                       problem->message);
        snprintf(error.where, sizeof error.where, "workflow%s%s", problem->field[0] ? "." : "",
                 problem->field);
        if (problem->code == FLOW_PROBLEM_FORM_INVALID && strcmp(problem->node_id, def->id) == 0)
            strcpy(error.reason, "INVALID_FORM");
        dev_job_fail(job, &error);
        return;
    }
    if (job->request->for_each_index < 0) {
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "for_each_index",
                       "for_each_index must not be negative");
        dev_job_fail(job, &error);
        return;
    }
    job->has_run = flow_calloc(job->graph->graph->node_count + 1, 1);
    job->executed = flow_calloc(job->graph->graph->node_count + 1, sizeof *job->executed);
    job->targets[0] = (DevTarget){NULL, def->index};
    job->target_count = 1;
    dev_job_step(job);
}
