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

static void step(FlowDevJob *job);

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
    const FlowGraphNode *node = node_id && node_id[0] != '\0' ? flow_graph_find(job->graph->graph, node_id) : NULL;
    if (node)
        return node;
    if (node_id == NULL || node_id[0] == '\0')
        flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "REQUIRED_FIELD", "node_id", "say which node: node_id");
    else
        flow_error_set(reterr, FLOW_NOT_FOUND, "NODE_NOT_FOUND", node_id, "the workflow has no node \"%s\"", node_id);
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

static bool is_final(const FlowDevJob *job)
{
    return job->target_count == 1;
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

static void take_logs(FlowDevJob *job, DevExec *exec)
{
    FlowDevRequest *request = job->request;
    if (exec->log_count == 0)
        return;
    size_t room = request->log_count >= FLOW_DEV_LOGS ? 0 : FLOW_DEV_LOGS - request->log_count;
    size_t count = exec->log_count < room ? exec->log_count : room;
    FlowDevLog *all = flow_realloc((void *)(uintptr_t)request->logs, (request->log_count + count + 1) * sizeof *all);
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
    bool final = is_final(job) && job->targets[0].node == exec->def->index;
    flow_timer_stop(&job->timeout);
    job->exec = NULL;
    job->has_run[exec->def->index] = 1;
    take_logs(job, exec);
    if (exec->outcome == FLOW_NODE_FAILED && (exec->is_stopped || job->timed_out)) {
        if (job->timed_out)
            flow_error_set(&exec->error, FLOW_DEADLINE_EXCEEDED, "TIMEOUT", exec->def->id,
                           "the node took longer than its timeout of %.3g s", (double)job->timeout_ns / 1e9);
        else
            flow_error_set(&exec->error, FLOW_CANCELLED, "CANCELLED", exec->def->id, "the execution was cancelled");
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
            bool is_new = (exec->def->type->kind == FLOW_NODE_PRODUCER && !reads) || flow_value_is_null(exec->input.id);
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
            step(job);
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
    return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, "SIDE_EFFECTS_NOT_ALLOWED", instance->node.id,
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
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FORM", def->id,
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
static void execute(FlowDevJob *job, const DevPlan *plan, const FlowGraphNode *def, FlowDevPayload input_take,
                    FlowHash128 inputs)
{
    DevExec *exec = dev_exec_new(job->dev, def);
    FlowError error = {.status = FLOW_OK};
    bool final = is_final(job) && job->targets[0].node == def->index;
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
                                       "the for-each \"%s\" has no producer before it; connect it to one", def->id);
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
    step(job);
}

static void execute_reader(FlowDevJob *job, const DevPlan *plan, const FlowGraphNode *def)
{
    FlowDevPayload taken = {flow_value_null(), flow_value_null(), flow_value_null()};
    const FlowHash128 none = {0, 0};
    if (dev_job_mock(job, def->id) ||
        (def->queue_count > 0 && dev_queue_pop(job->session, def->queues[0], &taken))) {
        execute(job, plan, def, taken, none);
        return;
    }
    if (!flow_value_is_null(job->peeked.data)) {
        taken = dev_payload_ref(&job->peeked);
        execute(job, plan, def, taken, none);
        return;
    }
    if (job->request->peek_queues && !job->has_peeked && def->queue_count > 0) {
        job->peek = (FlowStorePeek){.op = {.loop = job->dev->loop, .done = on_peeked},
                                    .queue = def->queues[0],
                                    .max = 1};
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
        step(job);
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
    bool final = is_final(job) && job->targets[0].node == def->index;
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
        fail_needed(job, "MISSING_INPUT", names, count, "what node \"%s\" is to be given isn't there", def->id);
        return;
    }
    if (final)
        job->request->off_branch = off;
    execute(job, plan, def, input, hash);
}

static void keep_inputs(FlowDevJob *job, const DevView *view)
{
    if (!is_final(job))
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

static void step(FlowDevJob *job)
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
        if (has_input(job) && is_final(job)) {
            FlowDevPayload input = dev_payload_ref(&job->request->input);
            execute(job, NULL, def, input, dev_hash_payload(input.data, input.metadata));
        } else {
            fail_needed(job, "MISSING_INPUT", flow_calloc(1, sizeof(char *)), 0, "no producer leads to node \"%s\"",
                        def->id);
        }
        return;
    }
    DevView view;
    uint32_t at = dev_plan_place(plan, target.node);
    dev_view_make(&view, job, plan, at);
    keep_inputs(job, &view);
    const DevNode *node = dev_session_node(job->session, def->id);
    bool is_given = (is_final(job) && has_input(job)) || (node && !flow_value_is_null(node->loaded.data));
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
                                  "mock_output has a mock for \"%s\", and the workflow has no such node", mock->node_id);
        if (node->type && mock->branch && mock->branch[0] != '\0' && flow_graph_branch(node, mock->branch) < 0)
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
        snprintf(error.where, sizeof error.where, "workflow%s%s", problem->field[0] ? "." : "", problem->field);
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
    flow_timer_init(&job->timeout, job->dev->loop, on_timeout);
    job->targets[0] = (DevTarget){NULL, def->index};
    job->target_count = 1;
    step(job);
}
