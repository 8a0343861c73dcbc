/*
 * job_run.c - one execution of a job: it is prepared from the session, started, and what came of it becomes the session's
 * and the answer's.
 */
#include <stdio.h>
#include <string.h>

#include "dev/dev_internal.h"

/* ---- the answer ---- */

static void take_logs(FlowDevJob *job, DevExec *exec)
{
    FlowDevRequest *request = job->request;
    if (exec->log_count == 0)
        return;
    size_t room = request->log_count >= FLOW_DEV_LOGS ? 0 : FLOW_DEV_LOGS - request->log_count;
    size_t count = exec->log_count < room ? exec->log_count : room;
    FlowDevLog *all =
        flow_realloc((void *)(uintptr_t)request->logs, (request->log_count + count + 1) * sizeof *all);
    memcpy(all + request->log_count, exec->logs, count * sizeof *all);
    memmove(exec->logs, exec->logs + count, (exec->log_count - count) * sizeof *all);
    exec->log_count -= count;
    request->logs = all;
    request->log_count += count;
}

static void answer(FlowDevJob *job, const DevExec *exec)
{
    FlowDevRequest *request = job->request;
    const FlowGraphNode *def = &job->graph->graph->nodes[job->targets[0].node];
    request->answer_node_id = def->id;
    request->node_type = def->type->name;
    request->pool = def->pool;
    request->executed = job->executed;
    request->executed_count = job->executed_count;
    if (exec && exec->def == def) {
        bool reads = def->type->kind != FLOW_NODE_PRODUCER || flow_graph_node_has(def, FLOW_NODE_READS_QUEUE);
        if (reads)
            request->given = dev_payload_ref(&exec->input);
        request->form = flow_value_ref(exec->form);
        request->duration_ns = exec->took_ns;
        request->mocked = exec->mocked;
        request->output = dev_payload_ref(&exec->output);
        request->completed = exec->outcome == FLOW_NODE_COMPLETED;
        request->ended = exec->outcome == FLOW_NODE_ENDED || exec->outcome == FLOW_NODE_FILTERED;
        const FlowGraphNode *graph_node = def;
        for (uint32_t b = 0; exec->branch && b < graph_node->branch_count; b++)
            if (strcmp(graph_node->branches[b].name, exec->branch) == 0)
                request->out_branch = graph_node->branches[b].name;
        if (request->completed) {
            const DevOutput *last = dev_session_output(job->session, def->id);
            if (last && !last->hollow)
                request->output = dev_payload_ref(&last->payload);
        }
    }
    dev_job_finish(job);
}

/* ---- after an execution ---- */

static DevOutput *make_output(const FlowDevJob *job, const DevExec *exec)
{
    DevOutput *output = flow_new(DevOutput);
    output->payload = dev_payload_ref(&exec->output);
    output->branch = exec->branch ? flow_strdup(exec->branch) : NULL;
    output->ended = exec->outcome != FLOW_NODE_DONE;
    output->hollow = exec->outcome == FLOW_NODE_FAILED;
    output->mocked = exec->mocked;
    output->form = flow_value_ref(exec->form);
    output->elements = flow_value_ref(exec->elements);
    output->each_data = flow_value_ref(exec->each_data);
    output->each_metadata = flow_value_ref(exec->each_metadata);
    output->duration_ns = exec->took_ns;
    output->key = (DevKey){.form = job->exec_form,
                           .body = exec->plan ? dev_body_key(exec->plan, exec->at) : (FlowHash128){0, 0},
                           .rendered = exec->rendered,
                           .inputs = job->exec_inputs,
                           .version = exec->def->type->version};
    snprintf(output->key.type, sizeof output->key.type, "%s", exec->def->type->name);
    return output;
}

static void keep_state(FlowDevJob *job, DevInstance *instance, FlowHash128 form)
{
    if (!instance->has_new_state)
        return;
    DevNode *node = dev_session_node_make(job->session, instance->def->id);
    dev_session_set_state(job->session, node, flow_value_steal(&instance->state), form);
}

static FlowStatus keep(FlowDevJob *job, DevExec *exec, FlowError *reterr)
{
    const char *id = exec->def->id;
    FlowStatus status = FLOW_OK;
    if (exec->outcome != FLOW_NODE_COMPLETED) {
        const DevOutput *before = dev_session_output(job->session, id);
        if (before == NULL || !before->pinned)
            status = dev_session_store_take(job->session, id, make_output(job, exec), reterr);
    }
    for (size_t i = 0; i < exec->push_count && status == FLOW_OK; i++)
        status = dev_queue_push(job->session, exec->pushes[i].queue, &exec->pushes[i].payload, reterr);
    if (status != FLOW_OK)
        return status;
    keep_state(job, &exec->target, job->exec_form);
    for (uint32_t i = 0; exec->body && i < exec->plan->plan->node_count; i++)
        if (exec->body[i].exec)
            keep_state(job, &exec->body[i],
                       dev_form_key(exec->body[i].def, exec->body[i].def->form_values, job->parameters));
    dev_session_node_make(job->session, id)->completed = exec->outcome == FLOW_NODE_COMPLETED;
    return FLOW_OK;
}

/* An older output stays, but nobody is to take it for a good one. */
static void note_failure(FlowDevJob *job, const DevExec *exec)
{
    DevOutput *output = dev_session_output(job->session, exec->def->id);
    bool has_elements = !flow_value_is_null(exec->elements);
    FlowError error;
    if (output && output->pinned)
        return;
    if (has_elements && (output == NULL || output->hollow) &&
        dev_session_store_take(job->session, exec->def->id, make_output(job, exec), &error) != FLOW_OK)
        return;
    output = dev_session_output(job->session, exec->def->id);
    if (output == NULL)
        return;
    if (has_elements) {
        flow_value_assign_take(&output->elements, flow_value_ref(exec->elements));
        flow_value_assign_take(&output->each_data, flow_value_ref(exec->each_data));
        flow_value_assign_take(&output->each_metadata, flow_value_ref(exec->each_metadata));
    }
    free(output->fail_reason);
    output->fail_reason = flow_strdup(exec->error.message);
}

static void on_executed(DevExec *exec)
{
    FlowDevJob *job = exec->owner;
    FlowError error;
    bool final = dev_job_is_final(job) && job->targets[0].node == exec->def->index;
    flow_timer_stop(&job->timeout);
    job->exec = NULL;
    job->has_run[exec->def->index] = 1;
    take_logs(job, exec);
    if (exec->outcome == FLOW_NODE_FAILED && atomic_load(&exec->aborted)) {
        if (job->timed_out)
            flow_error_set(&exec->error, FLOW_DEADLINE_EXCEEDED, "TIMEOUT", exec->def->id,
                           "the node took longer than its timeout of %.3g s", (double)job->timeout_ns / 1e9);
        else
            flow_error_set(&exec->error, FLOW_CANCELLED, "CANCELLED", exec->def->id,
                           "the execution was cancelled");
    }
    if (job->is_cancelled) {
        flow_error_set(&error, FLOW_CANCELLED, "CANCELLED", NULL, "the client gave up");
        dev_job_fail(job, &error);
    } else if (exec->outcome == FLOW_NODE_FAILED && exec->is_form_error) {
        char where[160];
        snprintf(where, sizeof where, "workflow.nodes[%u].data.form%s%.100s", exec->def->definition_index,
                 exec->error.where[0] ? "." : "", exec->error.where);
        strcpy(exec->error.where, where);
        if (!final) {
            FlowError inner = exec->error;
            flow_error_set(&exec->error, inner.status, inner.reason, where, "node \"%s\": %s", exec->def->id,
                           inner.message);
        }
        dev_job_fail(job, &exec->error);
    } else if (exec->outcome == FLOW_NODE_FAILED) {
        note_failure(job, exec);
        job->request->failure = exec->error;
        job->request->failed_node_id = exec->failed;
        dev_payload_done(&exec->output);
        answer(job, exec);
    } else {
        bool reads = flow_graph_node_has(exec->def, FLOW_NODE_READS_QUEUE);
        if (exec->outcome != FLOW_NODE_COMPLETED) {
            char made[FLOW_UUID_TEXT];
            bool is_new =
                (exec->def->type->kind == FLOW_NODE_PRODUCER && !reads) || flow_value_is_null(exec->input.id);
            flow_uuid_make(flow_clock_wall_ns(job->dev->clock), made);
            flow_value_assign_take(&exec->output.id,
                                   is_new ? flow_value_string(made) : flow_value_ref(exec->input.id));
        }
        if (keep(job, exec, &error) != FLOW_OK) {
            dev_job_fail(job, &error);
        } else if (final) {
            answer(job, exec);
        } else {
            job->executed[job->executed_count++] = exec->def->id;
            if (job->targets[job->target_count - 1].node == exec->def->index)
                job->target_count--;
            dev_job_step(job);
        }
    }
    dev_exec_free(exec);
}

/* ---- executing a node ---- */

static void on_timeout(FlowTimer *timer)
{
    FlowDevJob *job = flow_container_of(timer, FlowDevJob, timeout);
    job->timed_out = true;
    if (job->exec)
        dev_exec_stop(job->exec);
}

void dev_job_cancel_execution(FlowDevJob *job)
{
    if (job->exec)
        dev_exec_stop(job->exec);
}

static void set_instance(FlowDevJob *job, DevInstance *instance, FlowHash128 form)
{
    const DevNode *node = dev_session_node(job->session, instance->def->id);
    instance->mock = dev_job_mock(job, instance->def->id);
    /* A producer whose form was changed begins anew. */
    if (node && dev_hash_equal(node->state_form, form))
        instance->state = flow_value_ref(node->state);
}

static FlowStatus check_effects(const FlowDevJob *job, const DevInstance *instance, FlowError *reterr)
{
    const FlowDevRequest *request = job->request;
    if (!(instance->node.type->flags & FLOW_NODE_SIDE_EFFECTS) || instance->mock || request->dry_run ||
        request->allow_side_effects)
        return FLOW_OK;
    return flow_error_set(
        reterr, FLOW_FAILED_PRECONDITION, "SIDE_EFFECTS_NOT_ALLOWED", instance->node.id,
        "the node \"%s\" (%s) has effects outside of the session; set allow_side_effects to let it "
        "have them, dry_run to leave it out, or mock it with mock_output",
        instance->node.id, instance->node.type->name);
}

/* The form that was given instead of the stored one. */
static FlowStatus take_form(FlowDevJob *job, DevExec *exec, FlowError *reterr)
{
    const FlowGraphNode *def = exec->def;
    FlowFormErrors errors = {0};
    if (def->schema == NULL)
        return FLOW_OK;
    FlowFormOptions options = {.lenient = exec->lenient};
    FlowValue values = flow_form_unmask(def->schema, def->form_values, job->request->form_values);
    FlowStatus status = flow_form_load(def->schema, values, &options, &exec->target.own_form, &errors);
    if (status == FLOW_OK && (def->type->flags & FLOW_NODE_OWN_BRANCHES)) {
        exec->target.own_branches = flow_node_branches_new(def->type, values, reterr);
        status = exec->target.own_branches ? FLOW_OK : reterr->status;
    } else if (status != FLOW_OK) {
        flow_form_errors_to_error(&errors, reterr);
        char where[160];
        snprintf(where, sizeof where, "form_values%s%.140s", reterr->where[0] ? "." : "", reterr->where);
        strcpy(reterr->where, where);
    }
    if (status == FLOW_OK) {
        exec->target.node.form = exec->target.own_form;
        job->exec_form = dev_form_key(def, values, job->parameters);
    }
    flow_form_errors_done(&errors);
    flow_value_unref(values);
    return status;
}

static FlowStatus set_body(FlowDevJob *job, DevExec *exec, FlowPoolKind *pool, FlowError *reterr)
{
    const FlowPlan *plan = exec->plan->plan;
    exec->body = flow_calloc(plan->node_count, sizeof *exec->body);
    exec->outs = flow_calloc(plan->node_count, sizeof *exec->outs);
    exec->outs[exec->at].nearest = exec->at;
    for (uint32_t i = exec->at + 1; i < plan->nodes[exec->at].body_end; i++) {
        DevInstance *instance = &exec->body[i];
        const FlowGraphNode *def = plan->nodes[i].def;
        if (def->schema && def->form == NULL && dev_job_mock(job, def->id) == NULL)
            return flow_error_set(
                reterr, FLOW_INVALID_ARGUMENT, "INVALID_FORM", def->id,
                "the form of node \"%s\" in the body isn't right; ValidateWorkflow says why", def->id);
        dev_exec_prepare(instance, exec, def);
        set_instance(job, instance, dev_form_key(def, def->form_values, job->parameters));
        FlowStatus status = check_effects(job, instance, reterr);
        if (status != FLOW_OK)
            return status;
        if (instance->mock == NULL && def->pool > *pool)
            *pool = def->pool;
    }
    return FLOW_OK;
}

static int64_t timeout_of(const FlowDevJob *job, const FlowGraphNode *def)
{
    int64_t ns = job->request->timeout_ns > 0 ? job->request->timeout_ns
                 : def->config.timeout_ns > 0 ? def->config.timeout_ns
                                              : FLOW_DEV_TIMEOUT_NS;
    return ns < FLOW_DEV_TIMEOUT_MAX_NS ? ns : FLOW_DEV_TIMEOUT_MAX_NS;
}

/* Takes the input. */
void dev_job_run(FlowDevJob *job, const DevPlan *plan, const FlowGraphNode *def, FlowDevPayload input_take,
                 FlowHash128 inputs)
{
    DevExec *exec = dev_exec_new(job->dev, def);
    FlowError error = {.status = FLOW_OK};
    bool final = dev_job_is_final(job) && job->targets[0].node == def->index;
    flow_timer_init(&job->timeout, job->dev->loop, on_timeout);
    exec->owner = job;
    exec->finished = on_executed;
    exec->plan = plan;
    exec->at = plan ? dev_plan_place(plan, def->index) : 0;
    exec->lenient = job->graph->graph->workflow->undefined_lenient;
    exec->dry_run = job->request->dry_run;
    exec->var_workflow = job->var_workflow;
    exec->var_run = job->var_run;
    exec->var_env = job->dev->env;
    exec->input = input_take;
    if (flow_value_is_null(exec->input.data)) {
        exec->input.data = flow_value_object();
        exec->input.metadata = flow_value_object();
    }
    job->exec_form = dev_form_key(def, def->form_values, job->parameters);
    job->exec_inputs = inputs;
    dev_exec_prepare(&exec->target, exec, def);
    exec->target.mock = dev_job_mock(job, def->id);
    FlowPoolKind pool = exec->target.mock ? FLOW_POOL_ASYNC : def->pool;
    FlowStatus status = FLOW_OK;
    if (final && !flow_value_is_null(job->request->form_values))
        status = take_form(job, exec, &error);
    set_instance(job, &exec->target, job->exec_form);
    if (status == FLOW_OK && def->schema && exec->target.node.form == NULL && exec->target.mock == NULL)
        status = flow_error_set(&error, FLOW_INVALID_ARGUMENT, "INVALID_FORM", def->id,
                                "the form of node \"%s\" isn't right; ValidateWorkflow says why", def->id);
    if (status == FLOW_OK)
        status = check_effects(job, &exec->target, &error);
    if (status == FLOW_OK && flow_graph_node_has(def, FLOW_NODE_FOR_EACH) && exec->target.mock == NULL)
        status = plan ? set_body(job, exec, &pool, &error)
                      : flow_error_set(&error, FLOW_FAILED_PRECONDITION, "MISSING_INPUT", def->id,
                                       "the for-each \"%s\" has no producer before it; connect it to one",
                                       def->id);
    if (status == FLOW_OK) {
        job->exec = exec;
        job->exec_node = def->index;
        job->timed_out = false;
        job->timeout_ns = timeout_of(job, def);
        flow_timer_start(&job->timeout, job->timeout_ns);
        status = dev_exec_start(exec, pool, &error);
    }
    if (status != FLOW_OK) {
        flow_timer_stop(&job->timeout);
        job->exec = NULL;
        dev_exec_free(exec);
        dev_job_fail(job, &error);
    }
}
