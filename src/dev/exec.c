/*
 * exec.c - one execution of a node, on the thread that the node wants: the FlowDev's loop, or a loop of its own with a
 * thread for itself. A for-each is executed with its whole body (exec_each.c).
 *
 * The FlowDev's loop makes the DevExec and posts `start`; from then on it is the business of exec->loop, until
 * finished() comes back. Only `aborted` and the task `stop` reach over in between.
 */
#include <stdio.h>
#include <string.h>

#include "dev/dev_internal.h"

enum { PUSHES_MAX = 10000 };

static const FlowNodeHost host;

/* ---- making ---- */

void dev_exec_prepare(DevInstance *self, DevExec *exec, const FlowGraphNode *def)
{
    self->exec = exec;
    self->def = def;
    self->node =
        (FlowNode){.type = def->type,
                   .id = def->id,
                   .form = def->form,
                   .host = &host,
                   .memory = def->type->instance_size ? flow_calloc(1, def->type->instance_size) : NULL,
                   .queues = def->queues,
                   .queue_count = def->queue_count,
                   .lenient_undefined = exec->lenient};
    if (def->type->output_key)
        self->node.output_key = flow_value_string(def->type->output_key);
}

static void on_start(FlowTask *task);
static void on_resume(FlowTask *task);
static void on_stop(FlowTask *task);
static void on_finish(FlowTask *task);

DevExec *dev_exec_new(FlowDev *dev, const FlowGraphNode *def)
{
    DevExec *exec = flow_new(DevExec);
    exec->dev = dev;
    exec->loop = dev->loop;
    exec->def = def;
    exec->start.run = on_start;
    exec->resume.run = on_resume;
    exec->stop.run = on_stop;
    exec->finish.run = on_finish;
    exec->outcome = FLOW_NODE_PENDING;
    return exec;
}

static void free_instance(DevInstance *self)
{
    free(self->node.memory);
    flow_value_unref(self->node.output_key);
    flow_form_unref(self->own_form);
    flow_node_branches_free(self->own_branches);
    flow_value_unref(self->state);
}

void dev_exec_free(DevExec *exec)
{
    if (exec->owns_loop) {
        flow_loop_free(exec->loop);
        exec->dev->threads--;
    }
    free_instance(&exec->target);
    for (uint32_t i = 0; exec->body && i < exec->plan->plan->node_count; i++)
        if (exec->body[i].exec)
            free_instance(&exec->body[i]);
    free(exec->body);
    for (size_t i = 0; i < exec->log_count; i++) {
        free(exec->logs[i].message);
        flow_value_unref(exec->logs[i].fields);
    }
    free(exec->logs);
    for (size_t i = 0; i < exec->push_count; i++) {
        free(exec->pushes[i].queue);
        dev_payload_done(&exec->pushes[i].payload);
    }
    free(exec->pushes);
    dev_payload_done(&exec->input);
    dev_payload_done(&exec->output);
    flow_value_unref(exec->form);
    flow_value_unref(exec->elements);
    flow_value_unref(exec->each_data);
    flow_value_unref(exec->each_metadata);
    flow_value_unref(exec->now_data);
    flow_value_unref(exec->now_metadata);
    dev_each_done(exec);
    free(exec->branch);
    free(exec->memory);
    free(exec);
}

FlowStatus dev_exec_start(DevExec *exec, FlowPoolKind pool, FlowError *reterr)
{
    FlowDev *dev = exec->dev;
    if (pool == FLOW_POOL_PROCESS)
        return flow_error_set(
            reterr, FLOW_FAILED_PRECONDITION, "POOL_UNAVAILABLE", exec->def->id,
            "the node \"%s\" needs the pool PROCESS, which this server doesn't have yet; mock it "
            "with mock_output",
            exec->def->id);
    if (pool == FLOW_POOL_THREAD) {
        if (dev->threads >= FLOW_DEV_THREADS)
            return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "LIMIT_REACHED", exec->def->id,
                                  "%d executions have a thread already; try again when one has ended",
                                  FLOW_DEV_THREADS);
        FlowStatus status = flow_loop_open("dev-node", dev->clock, &exec->loop, reterr);
        if (status != FLOW_OK)
            return status;
        exec->owns_loop = true;
        dev->threads++;
        flow_loop_post(exec->loop, &exec->start);
        return FLOW_OK;
    }
    /* On the same thread: without the way through the inbox. */
    on_start(&exec->start);
    return FLOW_OK;
}

/* ---- ending ---- */

static void end(DevExec *exec)
{
    exec->is_ended = true;
    exec->took_ns = flow_clock_mono_ns(exec->dev->clock) - exec->began_ns;
    if (exec->target.is_set_up && exec->def->type->cleanup)
        exec->def->type->cleanup(&exec->target.node);
    for (uint32_t i = 0; exec->body && i < exec->plan->plan->node_count; i++)
        if (exec->body[i].is_set_up && exec->body[i].def->type->cleanup)
            exec->body[i].def->type->cleanup(&exec->body[i].node);
    flow_loop_post(exec->dev->loop, &exec->finish);
}

static void on_finish(FlowTask *task)
{
    DevExec *exec = flow_container_of(task, DevExec, finish);
    exec->finished(exec);
}

void dev_exec_fail(DevExec *exec, const char *node_id, const FlowError *error)
{
    exec->outcome = FLOW_NODE_FAILED;
    exec->failed = node_id;
    exec->error = *error;
    if (exec->error.reason[0] == '\0')
        strcpy(exec->error.reason, "NODE_FAILED");
    exec->is_ended = true;
}

static void on_stop(FlowTask *task)
{
    DevExec *exec = flow_container_of(task, DevExec, stop);
    if (!exec->is_open || exec->call.cancelled)
        return;
    exec->call.cancelled = true;
    if (exec->current->node.type->cancel)
        exec->current->node.type->cancel(&exec->call);
}

void dev_exec_stop(DevExec *exec)
{
    if (atomic_exchange(&exec->aborted, true))
        return;
    if (exec->owns_loop)
        flow_loop_post(exec->loop, &exec->stop);
    else
        on_stop(&exec->stop);
}

/* ---- one node ---- */

FlowHash128 dev_form_hash(const FlowFormValues *values)
{
    FlowValue object = flow_form_values_object(values, false);
    FlowHash128 hash = flow_value_hash(object);
    flow_value_unref(object);
    return hash;
}

static bool run_form(DevExec *exec, DevInstance *instance)
{
    FlowNodeCall *call = &exec->call;
    call->form = NULL;
    if (instance->node.form == NULL)
        return true;
    FlowFormErrors errors = {0};
    exec->owns_form_values =
        flow_form_run(instance->node.form, &exec->context, &exec->form_values, &errors) == FLOW_OK;
    call->form = &exec->form_values;
    if (!exec->owns_form_values) {
        flow_form_errors_to_error(&errors, &call->error);
        exec->is_form_error = instance == &exec->target;
        if (instance == &exec->target)
            flow_value_assign_take(&exec->form, flow_value_ref(errors.rendered));
    } else if (instance == &exec->target) {
        flow_value_assign_take(&exec->form, flow_form_values_object(&exec->form_values, true));
        exec->rendered = dev_form_hash(&exec->form_values);
    }
    flow_form_errors_done(&errors);
    return exec->owns_form_values;
}

static FlowNodeOutcome set_up(DevExec *exec, DevInstance *instance)
{
    FlowError error = {.status = FLOW_OK};
    if (instance->is_set_up)
        return FLOW_NODE_DONE;
    instance->is_set_up = true;
    instance->node.loop = exec->loop;
    instance->node.state = instance->state;
    if (instance->node.type->setup == NULL || instance->node.type->setup(&instance->node, &error) == FLOW_OK)
        return FLOW_NODE_DONE;
    if (error.reason[0] == '\0')
        strcpy(error.reason, "NODE_FAILED");
    return flow_node_call_fail_with(&exec->call, &error);
}

static FlowNodeOutcome play_mock(DevExec *exec, const DevInstance *instance)
{
    const FlowDevMock *mock = instance->mock;
    exec->mocked = exec->mocked || instance == &exec->target;
    if (mock->error && mock->error[0] != '\0')
        return flow_node_call_fail(&exec->call, FLOW_UNKNOWN, NULL, "%s", mock->error);
    flow_node_call_data_take(&exec->call, flow_value_ref(mock->data));
    if (!flow_value_is_null(mock->metadata))
        flow_node_call_metadata_take(&exec->call, flow_value_ref(mock->metadata));
    if (instance->node.type->flags & FLOW_NODE_FOR_EACH) {
        exec->call.branch = (uint32_t)flow_graph_branch(instance->def, "default");
        return FLOW_NODE_DONE;
    }
    int branch = mock->branch && mock->branch[0] != '\0' ? flow_graph_branch(instance->def, mock->branch) : 0;
    exec->call.branch = branch < 0 ? 0 : (uint32_t)branch;
    return FLOW_NODE_DONE;
}

static void conclude(DevExec *exec, FlowNodeOutcome outcome);

static FlowNodeOutcome begin(DevExec *exec, DevInstance *instance)
{
    FlowNodeCall *call = &exec->call;
    const FlowNodeType *type = instance->node.type;
    flow_node_call_reset(call);
    *call = (FlowNodeCall){.node = &instance->node,
                           .host = &host,
                           .data = exec->now_data,
                           .metadata = exec->now_metadata,
                           .context = &exec->context,
                           .aborted = &exec->aborted};
    exec->vars[0].value = exec->now_data;
    exec->vars[1].value = exec->now_metadata;
    if (atomic_load(&exec->aborted))
        return flow_node_call_fail(call, FLOW_CANCELLED, "CANCELLED", "the execution was cancelled");
    if (instance->mock)
        return play_mock(exec, instance);
    if (!run_form(exec, instance))
        return FLOW_NODE_FAILED;
    if (exec->dry_run && (type->flags & FLOW_NODE_SIDE_EFFECTS)) {
        exec->mocked = exec->mocked || instance == &exec->target;
        return FLOW_NODE_DONE;
    }
    FlowNodeOutcome outcome = set_up(exec, instance);
    if (outcome != FLOW_NODE_DONE)
        return outcome;
    free(exec->memory);
    call->memory = exec->memory = flow_calloc(1, type->call_size + 1);
    return type->start(call);
}

/* Takes the input; ends in conclude(), at once or later. */
void dev_exec_run_node(DevExec *exec, DevInstance *instance, uint32_t at, FlowValue data_take,
                       FlowValue metadata_take)
{
    exec->current = instance;
    exec->current_at = at;
    flow_value_assign_take(&exec->now_data, data_take);
    flow_value_assign_take(&exec->now_metadata, metadata_take);
    FlowNodeOutcome outcome = begin(exec, instance);
    exec->is_open = outcome == FLOW_NODE_PENDING;
    if (!exec->is_open)
        conclude(exec, outcome);
}

static void finished(FlowNodeCall *call, FlowNodeOutcome outcome)
{
    DevExec *exec = flow_container_of(call, DevExec, call);
    exec->is_open = false;
    exec->call_outcome = outcome;
    flow_loop_post(exec->loop, &exec->resume);
}

static void keep_output(DevExec *exec, FlowNodeOutcome outcome)
{
    FlowNodeCall *call = &exec->call;
    exec->outcome = outcome;
    if (outcome == FLOW_NODE_COMPLETED)
        return;
    exec->output.data = flow_value_ref(call->has_data ? call->out_data : exec->now_data);
    exec->output.metadata = flow_value_ref(call->has_metadata ? call->out_metadata : exec->now_metadata);
    if (outcome != FLOW_NODE_DONE)
        return;
    if (exec->target.own_branches) {
        const char *name = flow_node_branches_name(exec->target.own_branches, call->branch);
        exec->branch = flow_strdup(name ? name : "");
    } else {
        exec->branch = flow_strdup(exec->def->branches[call->branch].name);
    }
}

static FlowNodeOutcome judge(DevExec *exec, FlowNodeOutcome outcome)
{
    const DevInstance *instance = exec->current;
    FlowNodeCall *call = &exec->call;
    size_t branches = instance->own_branches ? flow_node_branches_count(instance->own_branches)
                                             : instance->def->branch_count;
    if (outcome == FLOW_NODE_DONE && call->branch >= branches)
        return flow_node_call_fail(call, FLOW_INTERNAL, NULL,
                                   "the node type %s took branch %u of %zu; this is a fault of the node type",
                                   instance->node.type->name, call->branch, branches);
    if (outcome == FLOW_NODE_PENDING ||
        (outcome == FLOW_NODE_COMPLETED && instance->node.type->kind != FLOW_NODE_PRODUCER))
        return flow_node_call_fail(call, FLOW_INTERNAL, NULL,
                                   "the node type %s ended with an outcome that it may not give",
                                   instance->node.type->name);
    return outcome;
}

/* The call has ended. The next node of a body is begun by whoever has called: on_start() or on_resume(). */
static void conclude(DevExec *exec, FlowNodeOutcome outcome)
{
    FlowNodeCall *call = &exec->call;
    DevInstance *instance = exec->current;
    outcome = judge(exec, outcome);
    if (outcome == FLOW_NODE_FAILED) {
        dev_exec_fail(exec, instance->node.id, &call->error);
    } else {
        if (call->has_state) {
            flow_value_assign_take(&instance->state, flow_value_steal(&call->out_state));
            instance->has_new_state = true;
        }
        bool is_each = (instance->node.type->flags & FLOW_NODE_FOR_EACH) && outcome == FLOW_NODE_DONE &&
                       instance->mock == NULL && exec->body;
        if (is_each)
            dev_each_begin(exec);
        else if (instance != &exec->target)
            dev_each_record(exec, outcome);
        else {
            keep_output(exec, outcome);
            exec->is_ended = true;
        }
    }
    flow_node_call_done(call);
    if (exec->owns_form_values)
        flow_form_values_done(&exec->form_values);
    exec->owns_form_values = false;
}

/* Goes on until a call is open or everything has ended. */
static void walk(DevExec *exec)
{
    while (!exec->is_open && !exec->is_ended)
        if (!dev_each_advance(exec))
            break;
    if (exec->is_ended)
        end(exec);
}

static void on_start(FlowTask *task)
{
    DevExec *exec = flow_container_of(task, DevExec, start);
    static const char *const names[] = {"data", "metadata", "workflow", "run", "env"};
    const FlowValue values[] = {flow_value_null(), flow_value_null(), exec->var_workflow, exec->var_run,
                                exec->var_env};
    for (size_t i = 0; i < FLOW_COUNT(names); i++)
        exec->vars[i] = (FlowTemplateVar){names[i], values[i]};
    exec->context = (FlowTemplateContext){
        .vars = exec->vars, .var_count = FLOW_COUNT(exec->vars), .clock = exec->dev->clock};
    exec->began_ns = flow_clock_mono_ns(exec->dev->clock);
    dev_exec_run_node(exec, &exec->target, exec->at, flow_value_ref(exec->input.data),
                      flow_value_ref(exec->input.metadata));
    walk(exec);
}

static void on_resume(FlowTask *task)
{
    DevExec *exec = flow_container_of(task, DevExec, resume);
    conclude(exec, exec->call_outcome);
    walk(exec);
}

/* ---- what nodes may ask for ---- */

static FlowStatus push(FlowNodeCall *call, const char *queue, FlowValue data_take, FlowValue metadata_take,
                       FlowError *reterr)
{
    DevExec *exec = flow_container_of(call, DevExec, call);
    FlowDevPayload payload = {flow_value_ref(exec->input.id), data_take, metadata_take};
    bool is_own = false;
    for (uint32_t i = 0; i < call->node->queue_count; i++)
        is_own = is_own || strcmp(call->node->queues[i], queue) == 0;
    if (!is_own || exec->push_count >= PUSHES_MAX) {
        dev_payload_done(&payload);
        return is_own
                   ? flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE", call->node->id,
                                    "a unit may make %d pushes; split the work into several units",
                                    PUSHES_MAX)
                   : flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "NODE_FAILED", call->node->id,
                                    "the node pushes to queue \"%s\", which isn't one of its queues", queue);
    }
    if ((exec->push_count & (exec->push_count - 1)) == 0)
        exec->pushes =
            flow_realloc(exec->pushes, (exec->push_count ? 2 * exec->push_count : 1) * sizeof(DevPush));
    exec->pushes[exec->push_count++] = (DevPush){flow_strdup(queue), payload};
    return FLOW_OK;
}

static void log_line(FlowNodeCall *call, FlowLogLevel level, const char *message, FlowValue fields)
{
    DevExec *exec = flow_container_of(call, DevExec, call);
    if (exec->log_count >= FLOW_DEV_LOGS)
        return;
    if ((exec->log_count & (exec->log_count - 1)) == 0)
        exec->logs =
            flow_realloc(exec->logs, (exec->log_count ? 2 * exec->log_count : 1) * sizeof(FlowDevLog));
    size_t len = strlen(message);
    if (len > FLOW_DEV_LOG_MESSAGE) {
        len = FLOW_DEV_LOG_MESSAGE - 3;
        while (len > 0 && ((unsigned char)message[len] & 0xC0) == 0x80)
            len--;
    }
    FlowDevLog *line = &exec->logs[exec->log_count++];
    *line = (FlowDevLog){.time_ns = flow_clock_wall_ns(exec->dev->clock),
                         .level = level,
                         .node_id = call->node->id,
                         .fields = flow_value_ref(fields)};
    line->message = flow_malloc(len + 4);
    memcpy(line->message, message, len);
    strcpy(line->message + len, message[len] == '\0' ? "" : "…");
}

static void waiting(FlowNodeCall *call)
{
    (void)call;
}

static void *service(FlowNode *node, const char *name)
{
    const FlowDev *dev = flow_container_of(node, DevInstance, node)->exec->dev;
    return dev->service ? dev->service(dev->service_context, name) : NULL;
}

static const FlowNodeHost host = {
    .finished = finished,
    .push = push,
    .log = log_line,
    .waiting = waiting,
    .service = service,
};
