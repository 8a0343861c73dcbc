/*
 * engine_start.c - how runs come into being: StartRun (stored or inline), and what an earlier life of the server left.
 */
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "engine/builder.h"
#include "engine/run_internal.h"
#include "value/json.h"

enum { RESUME_PAGE = 100 };

/* ---- what both ways share ---- */

static FlowStatus read_definition(FlowBlob *body, FlowValue *ret_definition, FlowError *reterr)
{
    static const FlowJsonLimits limits = {.depth = FLOW_VALUE_MAX_DEPTH};
    size_t len;
    const char *text = flow_blob_bytes(body, &len);
    return flow_json_read(text, len, &limits, ret_definition, reterr);
}

/* NULL: reterr says why it can't run. */
static FlowAnalyzer *build(FlowEngine *engine, const char *workflow_id, FlowValue definition,
                           FlowProblems *problems, FlowError *reterr)
{
    FlowBuilder builder = {.registry = engine->registry, .workflow_id = workflow_id};
    FlowGraph *graph = flow_builder_build(&builder, definition, problems);
    FlowAnalyzer *analyzer = NULL;
    if (!graph->is_sound) {
        if (flow_problems_to_error(problems, reterr) == FLOW_OK)
            flow_error_set(reterr, FLOW_INTERNAL, NULL, workflow_id, "the workflow can't be built");
    } else {
        analyzer = flow_analyzer_new(graph);
    }
    flow_graph_unref(graph);
    return analyzer;
}

static FlowStatus check_plans(const FlowAnalyzer *analyzer, FlowError *reterr)
{
    uint32_t count = flow_analyzer_loop_count(analyzer);
    if (count == 0)
        return flow_error_set(
            reterr, FLOW_FAILED_PRECONDITION, "PRODUCER_MISSING", "workflow.nodes",
            "the workflow has no producer, so nothing would ever run; add a node that produces, "
            "such as counter, timer or queue-reader");
    for (uint32_t i = 0; i < count; i++) {
        const FlowPlan *plan = flow_analyzer_loop(analyzer, i);
        if (plan->pool == FLOW_POOL_PROCESS)
            return flow_error_set(
                reterr, FLOW_UNIMPLEMENTED, "POOL_NOT_AVAILABLE", plan->nodes[0].def->id,
                "the loop of %s needs the pool PROCESS (%s), which this server doesn't have yet; "
                "take that node out, or lower its data.config.pool",
                plan->nodes[0].def->id, plan->pool_reason);
    }
    return FLOW_OK;
}

typedef struct QueueMake {
    FlowStoreQueueMake op; /* first */
} QueueMake;

static void on_queue_made(FlowStoreOp *op)
{
    QueueMake *self = (QueueMake *)flow_container_of(op, FlowStoreQueueMake, op);
    if (op->error.status != FLOW_OK)
        flow_log_error(FLOW_LOG_WARNING, "a queue was not made; the first push makes it", &op->error);
    flow_store_queue_unref(self->op.queue);
    free((char *)self->op.workflow_id);
    free((char *)self->op.short_name);
    flow_store_op_done(op);
    free(self);
}

static void make_queues(FlowEngine *engine, const FlowGraph *graph)
{
    for (uint32_t i = 0; i < graph->queue_count; i++) {
        const FlowGraphQueue *queue = &graph->queues[i];
        QueueMake *self = flow_new(QueueMake);
        self->op = (FlowStoreQueueMake){.op = {.loop = engine->control, .done = on_queue_made},
                                        .queue = flow_store_queue_open(engine->store, queue->name),
                                        .kind = queue->is_mapped ? FLOW_QUEUE_MAPPED : FLOW_QUEUE_NAMED,
                                        .workflow_id = flow_strdup(graph->workflow_id),
                                        .short_name = flow_strdup(queue->short_name)};
        flow_store_queue_make(engine->store, &self->op);
    }
}

/* The last step: runners begin. */
static FlowRun *launch(const FlowRunMake *make, FlowError *reterr)
{
    FlowRun *run = flow_run__new(make, reterr);
    if (run == NULL)
        return NULL;
    flow_engine__add(make->engine, run);
    make_queues(make->engine, flow_analyzer_graph(make->analyzer));
    flow_run__start(run);
    return run;
}

/* A run that can't go on ends here, and says why. */
typedef struct Burial {
    FlowStoreRunSave op; /* first */
    char *id;
} Burial;

static void on_buried(FlowStoreOp *op)
{
    Burial *self = (Burial *)flow_container_of(op, FlowStoreRunSave, op);
    flow_blob_unref(self->op.status);
    free(self->id);
    flow_store_op_done(op);
    free(self);
}

static void bury(FlowEngine *engine, const FlowRunRecord *record, const FlowError *error)
{
    FlowRunView *view = flow_run_view__decode(record);
    view->error = *error;
    Burial *self = flow_new(Burial);
    self->id = flow_strdup(record->id);
    self->op = (FlowStoreRunSave){.op = {.loop = engine->control, .done = on_buried},
                                  .id = self->id,
                                  .state = FLOW_RUN_FAILED,
                                  .ended = true,
                                  .end_ns = flow_clock_wall_ns(engine->clock),
                                  .status = flow_run_view__encode(view)};
    flow_run_view_unref(view);
    flow_log_error(FLOW_LOG_ERROR, "a run can't go on", error);
    atomic_fetch_add(&engine->counts[FLOW_ENGINE_COUNT_FAILED], 1);
    flow_store_run_save(engine->store, &self->op);
}

/* ---- starting ---- */

typedef struct Start {
    FlowTask task;
    FlowEngine *engine;
    FlowEngineDone done;
    void *context;
    char *workflow_id, *request_id;
    char run_id[FLOW_UUID_TEXT];
    int64_t revision;
    bool is_inline;
    FlowValue definition, parameters, labels;
    FlowProblems problems;
    FlowAnalyzer *analyzer;
    FlowBlob *body, *spec;
    FlowStoreWorkflowGet get;
    FlowStoreRunCreate create;
} Start;

static void answer_start(Start *self, FlowRunView *view_take, bool replayed, const FlowError *error)
{
    FlowEngineReply reply = {.run = view_take, .replayed = replayed, .problems = &self->problems};
    if (error)
        reply.error = *error;
    self->done(self->context, &reply);
    flow_run_view_unref(view_take);
    FlowEngine *engine = self->engine;
    flow_problems_done(&self->problems);
    flow_value_unref(self->definition);
    flow_value_unref(self->parameters);
    flow_value_unref(self->labels);
    flow_analyzer_unref(self->analyzer);
    flow_blob_unref(self->body);
    flow_blob_unref(self->spec);
    free(self->workflow_id);
    free(self->request_id);
    free(self);
    flow_engine__start_is_over(engine);
}

static void fail_start(Start *self, const FlowError *error)
{
    answer_start(self, NULL, false, error);
}

static const char *workflow_name(const Start *self)
{
    return flow_analyzer_graph(self->analyzer)->workflow->name;
}

static void on_created(FlowStoreOp *op)
{
    Start *self = flow_container_of(flow_container_of(op, FlowStoreRunCreate, op), Start, create);
    FlowEngine *engine = self->engine;
    const FlowRunRecord *record = &self->create.run;
    FlowError error = op->error;
    FlowRunView *view = NULL;
    bool replayed = self->create.replayed;
    if (error.status == FLOW_FAILED_PRECONDITION && strcmp(error.reason, "RUN_ACTIVE") == 0) {
        char active[FLOW_UUID_TEXT + 128];
        strcpy(active, error.where);
        flow_error_set(&error, FLOW_FAILED_PRECONDITION, "RUN_ACTIVE", active,
                       "workflow %s has an active run, %s; stop it first, or let it end", self->workflow_id,
                       active);
    } else if (error.status == FLOW_OK && replayed) {
        FlowRun *run = flow_engine__find(engine, record->id);
        view = run ? flow_run__view(run) : flow_run_view__decode(record);
    } else if (error.status == FLOW_OK) {
        FlowRun *run = launch(&(FlowRunMake){.engine = engine,
                                             .id = record->id,
                                             .workflow_id = record->workflow_id,
                                             .workflow_name = workflow_name(self),
                                             .revision = record->workflow_revision,
                                             .create_ns = record->create_ns,
                                             .start_ns = flow_clock_wall_ns(engine->clock),
                                             .is_inline = self->is_inline,
                                             .parameters = self->parameters,
                                             .labels = self->labels,
                                             .analyzer = self->analyzer},
                              &error);
        if (run) {
            atomic_fetch_add(&engine->counts[FLOW_ENGINE_COUNT_STARTED], 1);
            view = flow_run__view(run);
            if (engine->is_draining)
                flow_run__drain(run, engine->drain_forced);
        } else {
            bury(engine, record, &error);
        }
    }
    flow_store_op_done(op);
    if (error.status == FLOW_OK)
        answer_start(self, view, replayed, NULL);
    else
        fail_start(self, &error);
}

/* Equal for requests that ask for the same. */
static FlowHash128 request_hash(const Start *self)
{
    FlowValue parts[] = {
        self->is_inline ? flow_value_ref(self->definition) : flow_value_string(self->workflow_id),
        flow_value_int(self->is_inline ? 0 : self->revision),
        flow_value_ref(self->parameters),
        flow_value_ref(self->labels),
    };
    FlowValue whole;
    FlowHash128 hash = {0, 0};
    if (flow_array_from_take(parts, FLOW_COUNT(parts), &whole, NULL) == FLOW_OK) {
        hash = flow_value_hash(whole);
        flow_value_unref(whole);
    }
    return hash;
}

static FlowBlob *encode(FlowValue value)
{
    FlowBuf text;
    flow_buf_init(&text, 0);
    flow_json_write(value, &text, FLOW_JSON_WRITE_NONFINITE_NULL, NULL);
    FlowBlob *blob = flow_blob_take(&text);
    flow_buf_done(&text);
    return blob;
}

/* {"parameters": {…}, "labels": {…}} */
static FlowBlob *encode_spec(const Start *self)
{
    FlowValue spec = flow_value_object();
    flow_object_set_take(&spec, "parameters", flow_value_ref(self->parameters), NULL);
    flow_object_set_take(&spec, "labels", flow_value_ref(self->labels), NULL);
    FlowBlob *blob = encode(spec);
    flow_value_unref(spec);
    return blob;
}

static void create(Start *self, int64_t revision)
{
    FlowError error;
    flow_problems_init(&self->problems);
    self->analyzer = build(self->engine, self->workflow_id, self->definition, &self->problems, &error);
    if (self->analyzer == NULL || check_plans(self->analyzer, &error) != FLOW_OK) {
        fail_start(self, &error);
        return;
    }
    FlowHash128 hash = request_hash(self);
    flow_uuid_make(flow_clock_wall_ns(self->engine->clock), self->run_id);
    self->spec = encode_spec(self);
    self->body = self->is_inline ? encode(self->definition) : NULL;
    self->create = (FlowStoreRunCreate){.op = {.loop = self->engine->control, .done = on_created},
                                        .id = self->run_id,
                                        .workflow_id = self->workflow_id,
                                        .workflow_name = workflow_name(self),
                                        .workflow_revision = revision,
                                        .definition = self->body,
                                        .state = FLOW_RUN_STARTING,
                                        .spec = self->spec,
                                        .request_id = self->request_id};
    memcpy(self->create.request_hash, &hash, sizeof self->create.request_hash);
    flow_store_run_create(self->engine->store, &self->create);
}

static void on_workflow(FlowStoreOp *op)
{
    Start *self = flow_container_of(flow_container_of(op, FlowStoreWorkflowGet, op), Start, get);
    const FlowWorkflowRecord *workflow = &self->get.workflow;
    FlowError error = op->error;
    int64_t revision = workflow->revision;
    if (error.status == FLOW_NOT_FOUND)
        flow_error_set(&error, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND", "workflow_id",
                       "there is no workflow \"%s\"; ListWorkflows shows those there are", self->workflow_id);
    else if (error.status == FLOW_OK && workflow->draft)
        flow_error_set(&error, FLOW_FAILED_PRECONDITION, "WORKFLOW_IS_DRAFT", "workflow_id",
                       "workflow %s is a draft; update it without `draft` once it is valid",
                       self->workflow_id);
    if (error.status == FLOW_OK && read_definition(workflow->body, &self->definition, &error) != FLOW_OK)
        flow_error_set(&error, FLOW_DATA_LOSS, NULL, "workflow_id",
                       "what is stored of workflow %s can't be read: %s", self->workflow_id, error.message);
    flow_store_op_done(op);
    if (error.status == FLOW_OK)
        create(self, revision);
    else
        fail_start(self, &error);
}

static void run_start(FlowTask *task)
{
    Start *self = flow_container_of(task, Start, task);
    FlowEngine *engine = self->engine;
    engine->starting++;
    if (engine->is_draining) {
        FlowError error;
        flow_error_set(&error, FLOW_UNAVAILABLE, "DRAINING", NULL,
                       "the server is stopping; start the run when it is back");
        fail_start(self, &error);
    } else if (self->is_inline) {
        create(self, 1);
    } else {
        self->get = (FlowStoreWorkflowGet){.op = {.loop = engine->control, .done = on_workflow},
                                           .id = self->workflow_id,
                                           .revision = self->revision};
        flow_store_workflow_get(engine->store, &self->get);
    }
}

static FlowValue object_or_empty(FlowValue value)
{
    return flow_value_kind(value) == FLOW_VALUE_OBJECT ? flow_value_ref(value) : flow_value_object();
}

void flow_engine_start_run(FlowEngine *engine, const FlowStartOptions *options, FlowEngineDone done,
                           void *context)
{
    Start *self = flow_new(Start);
    self->engine = engine;
    self->done = done;
    self->context = context;
    self->is_inline = options->workflow_id == NULL;
    self->revision = options->revision;
    self->request_id = flow_strdup(options->request_id);
    self->definition = flow_value_ref(options->workflow);
    self->parameters = object_or_empty(options->parameters);
    self->labels = object_or_empty(options->labels);
    if (self->is_inline) {
        char id[FLOW_UUID_TEXT];
        flow_uuid_make(flow_clock_wall_ns(engine->clock), id);
        self->workflow_id = flow_strdup(id);
    } else {
        self->workflow_id = flow_strdup(options->workflow_id);
    }
    self->task.run = run_start;
    flow_loop_post(engine->control, &self->task);
}

/* ---- resuming ---- */

/* One run at a time: its workflow is fetched, built, its loops are started. */
typedef struct Resume {
    FlowTask task;
    FlowEngine *engine;
    FlowEngineDone done;
    void *context;
    char token[FLOW_STORE_TOKEN];
    size_t next;
    FlowStoreRunList list;
    FlowStoreWorkflowGet get;
} Resume;

static void resume_next(Resume *self);

static void end_resume(Resume *self, const FlowError *error)
{
    FlowEngine *engine = self->engine;
    flow_engine__answer(self->done, self->context, NULL, error);
    free(self);
    flow_engine__start_is_over(engine);
}

static FlowValue read_blob(FlowBlob *blob)
{
    FlowValue value = flow_value_null();
    if (blob)
        read_definition(blob, &value, NULL);
    return value;
}

static FlowValue get_object(FlowValue object, const char *key)
{
    const FlowValue *value = flow_object_get(object, key);
    return value && flow_value_kind(*value) == FLOW_VALUE_OBJECT ? *value : flow_value_object();
}

static FlowStatus revive(FlowEngine *engine, const FlowRunRecord *record, FlowValue definition,
                         FlowError *reterr)
{
    FlowProblems problems;
    flow_problems_init(&problems);
    FlowAnalyzer *analyzer = build(engine, record->workflow_id, definition, &problems, reterr);
    FlowStatus status = analyzer ? check_plans(analyzer, reterr) : reterr->status;
    flow_problems_done(&problems);
    FlowValue spec = read_blob(record->spec), saved = read_blob(record->status);
    if (status == FLOW_OK) {
        const FlowValue *paused = flow_object_get(saved, "paused_loops");
        FlowRun *run = launch(&(FlowRunMake){.engine = engine,
                                             .id = record->id,
                                             .workflow_id = record->workflow_id,
                                             .workflow_name = record->workflow_name,
                                             .revision = record->workflow_revision,
                                             .create_ns = record->create_ns,
                                             .start_ns = record->start_ns,
                                             .is_inline = record->inline_workflow,
                                             .wants_stop = record->state == FLOW_RUN_STOPPING,
                                             .all_paused = record->state == FLOW_RUN_PAUSED && paused == NULL,
                                             .paused_loops = paused ? *paused : flow_value_null(),
                                             .parameters = get_object(spec, "parameters"),
                                             .labels = get_object(spec, "labels"),
                                             .analyzer = analyzer},
                              reterr);
        status = run ? FLOW_OK : reterr->status;
        if (run && engine->is_draining)
            flow_run__drain(run, engine->drain_forced);
    }
    flow_value_unref(spec);
    flow_value_unref(saved);
    flow_analyzer_unref(analyzer);
    return status;
}

static void on_run_workflow(FlowStoreOp *op)
{
    Resume *self = flow_container_of(flow_container_of(op, FlowStoreWorkflowGet, op), Resume, get);
    const FlowRunRecord *record = &self->list.runs[self->next++];
    FlowValue definition = flow_value_null();
    FlowError error = op->error;
    if (error.status == FLOW_OK && read_definition(self->get.workflow.body, &definition, &error) == FLOW_OK)
        revive(self->engine, record, definition, &error);
    flow_value_unref(definition);
    if (error.status != FLOW_OK && error.status != FLOW_UNAVAILABLE)
        bury(self->engine, record, &error);
    flow_store_op_done(op);
    resume_next(self);
}

static void on_active_runs(FlowStoreOp *op)
{
    Resume *self = flow_container_of(flow_container_of(op, FlowStoreRunList, op), Resume, list);
    if (op->error.status != FLOW_OK) {
        FlowError error = op->error;
        flow_store_op_done(op);
        end_resume(self, &error);
        return;
    }
    self->next = 0;
    resume_next(self);
}

static void list_active_runs(Resume *self)
{
    self->list = (FlowStoreRunList){.op = {.loop = self->engine->control, .done = on_active_runs},
                                    .active_only = true,
                                    .max = RESUME_PAGE,
                                    .token = self->token};
    flow_store_run_list(self->engine->store, &self->list);
}

static void resume_next(Resume *self)
{
    if (self->next < self->list.count && !self->engine->is_draining) {
        const FlowRunRecord *record = &self->list.runs[self->next];
        self->get = (FlowStoreWorkflowGet){.op = {.loop = self->engine->control, .done = on_run_workflow},
                                           .id = record->workflow_id,
                                           .revision = record->workflow_revision};
        flow_store_workflow_get(self->engine->store, &self->get);
        return;
    }
    memcpy(self->token, self->list.next_token, sizeof self->token);
    flow_store_op_done(&self->list.op);
    if (self->token[0] != '\0' && !self->engine->is_draining)
        list_active_runs(self);
    else
        end_resume(self, NULL);
}

static void run_resume(FlowTask *task)
{
    Resume *self = flow_container_of(task, Resume, task);
    self->engine->starting++;
    list_active_runs(self);
}

void flow_engine_resume(FlowEngine *engine, FlowEngineDone done, void *context)
{
    Resume *self = flow_new(Resume);
    *self = (Resume){.task = {.run = run_resume}, .engine = engine, .done = done, .context = context};
    flow_loop_post(engine->control, &self->task);
}
