/*
 * dev.c - FlowDev: a request's way to its session. The definition is fetched (and built, where it isn't the one that the
 * session knows), the session is found or made, and then it is the request's turn in it.
 */
#include <stdio.h>
#include <string.h>

#include "dev/dev_internal.h"
#include "value/json.h"

enum { BUILDERS = 2, BUILDS_WAITING = 256 };
#define EXPIRY_NS (600 * FLOW_NS_PER_S)

static void begin(FlowTask *task);
static void cancelled(FlowTask *task);

static void on_expiry(FlowTimer *timer)
{
    FlowDev *dev = flow_container_of(timer, FlowDev, expiry);
    dev_sessions_expire(dev);
    flow_timer_start(&dev->expiry, EXPIRY_NS);
}

typedef struct Opening {
    FlowTask task;
    FlowDev *dev;
} Opening;

static void first_expiry(FlowTask *task)
{
    Opening *opening = flow_container_of(task, Opening, task);
    flow_timer_start(&opening->dev->expiry, EXPIRY_NS);
    free(opening);
}

FlowStatus flow_dev_open(const FlowDevOptions *options, FlowDev **ret_dev, FlowError *reterr)
{
    FlowDev *dev = flow_new(FlowDev);
    dev->store = options->store;
    dev->registry = options->registry;
    dev->clock = options->clock ? options->clock : flow_clock_real();
    dev->env = options->env;
    dev->service = options->service;
    dev->service_context = options->service_context;
    dev->sessions_max = options->sessions_max ? options->sessions_max : FLOW_DEV_SESSIONS;
    dev->session_bytes = options->session_bytes ? options->session_bytes : FLOW_DEV_SESSION_BYTES;
    dev->total_bytes = options->total_bytes ? options->total_bytes : FLOW_DEV_TOTAL_BYTES;
    flow_map_init(&dev->sessions);
    FlowStatus status = flow_loop_open("dev", dev->clock, &dev->loop, reterr);
    if (status != FLOW_OK) {
        free(dev);
        return status;
    }
    dev->builders = flow_pool_new("dev-build", BUILDERS, BUILDS_WAITING);
    flow_timer_init(&dev->expiry, dev->loop, on_expiry);
    Opening *opening = flow_new(Opening);
    *opening = (Opening){.task = {.run = first_expiry}, .dev = dev};
    flow_loop_post(dev->loop, &opening->task);
    *ret_dev = dev;
    return FLOW_OK;
}

typedef struct Closing {
    FlowTask task;
    FlowDev *dev;
} Closing;

static void drop_all(FlowTask *task)
{
    FlowDev *dev = flow_container_of(task, Closing, task)->dev;
    FlowMapEntry *entry;
    flow_timer_stop(&dev->expiry);
    while ((entry = flow_map_next(&dev->sessions, NULL)))
        dev_session_drop(entry->value);
}

void flow_dev_close(FlowDev *dev)
{
    if (dev == NULL)
        return;
    Closing closing = {.task = {.run = drop_all}, .dev = dev};
    flow_loop_post(dev->loop, &closing.task);
    flow_loop_sync(dev->loop);
    flow_pool_free(dev->builders);
    flow_loop_free(dev->loop);
    flow_map_done(&dev->sessions, NULL);
    free(dev);
}

void flow_dev_submit(FlowDev *dev, FlowDevRequest *request)
{
    request->dev = dev;
    request->task.run = begin;
    flow_loop_post(dev->loop, &request->task);
}

void flow_dev_cancel(FlowDevRequest *request)
{
    atomic_store(&request->is_cancelled, true);
    request->cancel_task.run = cancelled;
    flow_loop_post(request->dev->loop, &request->cancel_task);
}

/* ---- ending ---- */

static void next_in(DevSession *session);

static void release(FlowDevJob *job)
{
    FlowDevRequest *request = job->request;
    dev_payload_done(&request->given);
    dev_payload_done(&request->output);
    flow_value_clear(&request->form);
    for (size_t i = 0; i < request->log_count; i++) {
        free(request->logs[i].message);
        flow_value_unref(request->logs[i].fields);
    }
    free((void *)(uintptr_t)request->logs);
    if (job->has_loaded)
        flow_store_op_done(&job->letter.op);
    dev_payload_done(&job->peeked);
    free(job->has_run);
    free(job->executed);
    free(job->needed);
    free(job->inputs);
    free(job->outputs);
    flow_value_unref(job->definition);
    flow_value_unref(job->parameters);
    flow_value_unref(job->var_workflow);
    flow_value_unref(job->var_run);
    dev_graph_unref(job->graph);
}

void dev_job_finish(FlowDevJob *job)
{
    FlowDevRequest *request = job->request;
    DevSession *session = job->session;
    if (session) {
        dev_session_touch(session);
        dev_session_view(session, &request->session);
    }
    /* From done() on the request is the caller's again; what it points to goes right behind. */
    FlowDevRequest shown = *request;
    request->job = NULL;
    if (session && session->busy == job)
        session->busy = NULL;
    job->request = &shown;
    request->done(request);
    release(job);
    free(job);
    if (session) {
        next_in(session);
        dev_session_unref(session);
    }
}

void dev_job_fail(FlowDevJob *job, const FlowError *error)
{
    job->request->error = *error;
    dev_job_finish(job);
}

/* ---- the turn in a session ---- */

static void run(FlowDevJob *job)
{
    job->is_running = true;
    dev_verb_run(job);
}

static void next_in(DevSession *session)
{
    FlowList *link;
    if (session->busy || (link = flow_list_pop_front(&session->waiting)) == NULL)
        return;
    FlowDevJob *job = flow_list_entry(link, FlowDevJob, link);
    session->waiting_count--;
    session->busy = job;
    run(job);
}

static void take_turn(FlowDevJob *job)
{
    DevSession *session = job->session;
    FlowDevVerb verb = job->request->verb;
    FlowError error;
    bool reads = verb == FLOW_DEV_GET_INPUT || verb == FLOW_DEV_GET_OUTPUT || verb == FLOW_DEV_LIST;
    if (reads) {
        run(job);
    } else if (session->busy == NULL) {
        session->busy = job;
        run(job);
    } else if (session->waiting_count >= FLOW_DEV_WAITING) {
        flow_error_set(&error, FLOW_RESOURCE_EXHAUSTED, "LIMIT_REACHED", "session_id",
                       "%d requests wait for the session \"%s\" already", FLOW_DEV_WAITING, session->id);
        dev_job_fail(job, &error);
    } else {
        session->waiting_count++;
        flow_list_push_back(&session->waiting, &job->link);
    }
}

/* ---- the session ---- */

static bool may_make(const FlowDevJob *job)
{
    const FlowDevRequest *request = job->request;
    return request->verb == FLOW_DEV_EXECUTE || request->verb == FLOW_DEV_LOAD ||
           (request->verb == FLOW_DEV_SET_OUTPUT && request->workflow_id && request->workflow_id[0] != '\0');
}

static FlowStatus fail_other(const DevSession *session, FlowError *reterr)
{
    return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, "SESSION_OF_OTHER_WORKFLOW", "session_id",
                          "the session \"%s\" belongs to %s%s%s; use another session", session->id,
                          session->workflow_id[0] ? "workflow \"" : "a workflow that isn't stored",
                          session->workflow_id, session->workflow_id[0] ? "\"" : "");
}

static FlowValue object_of(const FlowMember *members, size_t count)
{
    FlowValue object = flow_value_object();
    flow_object_from_take(members, count, &object, NULL);
    return object;
}

static void make_context(FlowDevJob *job)
{
    const FlowDevRequest *request = job->request;
    if (request->verb == FLOW_DEV_EXECUTE && !flow_value_is_null(request->parameters))
        flow_value_assign_take(&job->session->parameters, flow_value_ref(request->parameters));
    job->parameters = flow_value_ref(job->session->parameters);
    const FlowMember workflow[] = {
        {flow_value_string("id"), flow_value_string(job->workflow_id)},
        {flow_value_string("name"), flow_value_string(job->graph->graph->workflow->name)},
        {flow_value_string("revision"), flow_value_int(job->graph->revision)},
    };
    const FlowMember this_run[] = {
        {flow_value_string("id"), flow_value_string(job->session->id)},
        {flow_value_string("parameters"), flow_value_ref(job->parameters)},
        {flow_value_string("labels"), flow_value_object()},
    };
    job->var_workflow = object_of(workflow, FLOW_COUNT(workflow));
    job->var_run = object_of(this_run, FLOW_COUNT(this_run));
}

/* The graph is there. */
static void enter(FlowDevJob *job)
{
    FlowDevRequest *request = job->request;
    FlowError error = {.status = FLOW_OK};
    const char *id = request->session_id ? request->session_id : "";
    DevSession *session = id[0] != '\0' ? dev_session_find(job->dev, id) : NULL;
    if (job->has_loaded && (request->node_id == NULL || request->node_id[0] == '\0'))
        request->node_id = job->letter.letter.node_id;
    bool names_node = request->verb == FLOW_DEV_EXECUTE || request->verb == FLOW_DEV_SET_OUTPUT;
    if (session == NULL && names_node && dev_job_node(job, request->node_id, &error) == NULL) {
        dev_job_fail(job, &error);
        return;
    }
    if (session == NULL && may_make(job) && dev_session_new(job->dev, id, &session, &error) != FLOW_OK) {
        dev_job_fail(job, &error);
        return;
    }
    if (session == NULL) {
        flow_error_set(&error, FLOW_NOT_FOUND, "SESSION_NOT_FOUND", "session_id",
                       "there is no session \"%s\"; ExecuteNode makes one", id);
        dev_job_fail(job, &error);
        return;
    }
    if (session->is_bound && strcmp(session->workflow_id, job->workflow_id) != 0) {
        fail_other(session, &error);
        dev_job_fail(job, &error);
        return;
    }
    if (!session->is_bound) {
        session->is_bound = true;
        strcpy(session->workflow_id, job->workflow_id);
    }
    session->is_stored = !job->is_inline;
    dev_graph_ref(job->graph);
    dev_graph_unref(session->graph);
    session->graph = job->graph;
    job->session = dev_session_ref(session);
    make_context(job);
    take_turn(job);
}

/* ---- the definition ---- */

static void do_build(FlowWork *work)
{
    FlowDevJob *job = flow_container_of(work, FlowDevJob, build);
    job->built = dev_graph_new(job->dev->registry, job->workflow_id, job->definition);
}

static void on_built(FlowWork *work, bool ran)
{
    FlowDevJob *job = flow_container_of(work, FlowDevJob, build);
    FlowError error;
    if (!ran) {
        flow_error_set(&error, FLOW_UNAVAILABLE, "DRAINING", NULL, "the server is stopping");
        dev_job_fail(job, &error);
        return;
    }
    job->graph = job->built;
    strcpy(job->graph->etag, job->etag);
    job->graph->revision = job->revision;
    enter(job);
}

static void build(FlowDevJob *job)
{
    FlowError error;
    job->build = (FlowWork){.loop = job->dev->loop, .work = do_build, .done = on_built};
    if (flow_pool_submit(job->dev->builders, &job->build, &error) != FLOW_OK)
        dev_job_fail(job, &error);
}

static DevSession *known_session(const FlowDevJob *job)
{
    const char *id = job->request->session_id;
    return id && id[0] != '\0' ? dev_session_find(job->dev, id) : NULL;
}

/* The graph that the session has, where it was built from just this; otherwise a new one. */
static void use_or_build(FlowDevJob *job)
{
    DevSession *session = known_session(job);
    const DevGraph *known = session ? session->graph : NULL;
    bool same = known && strcmp(session->workflow_id, job->workflow_id) == 0 &&
                strcmp(known->etag, job->etag) == 0 &&
                (job->etag[0] != '\0' || flow_value_equal(known->definition, job->definition));
    if (!same) {
        build(job);
        return;
    }
    job->graph = dev_graph_ref(session->graph);
    enter(job);
}

static FlowStatus read_workflow(FlowDevJob *job, FlowError *reterr)
{
    const FlowWorkflowRecord *record = &job->get.workflow;
    DevSession *session = known_session(job);
    snprintf(job->etag, sizeof job->etag, "%s", record->etag);
    job->revision = record->revision;
    if (session && session->graph && strcmp(session->graph->etag, job->etag) == 0 &&
        strcmp(session->workflow_id, job->workflow_id) == 0)
        return FLOW_OK; /* it won't be looked at */
    static const FlowJsonLimits limits = {.depth = FLOW_VALUE_MAX_DEPTH};
    size_t len;
    const char *text = record->body ? flow_blob_bytes(record->body, &len) : NULL;
    if (text && flow_json_read(text, len, &limits, &job->definition, reterr) == FLOW_OK)
        return FLOW_OK;
    return flow_error_set(reterr, FLOW_DATA_LOSS, "STORE_FAILED", job->workflow_id,
                          "what the store has of workflow \"%s\" can't be read", job->workflow_id);
}

static void on_workflow(FlowStoreOp *op)
{
    FlowDevJob *job = flow_container_of(op, FlowDevJob, get.op);
    FlowError error = op->error;
    if (error.status == FLOW_OK)
        read_workflow(job, &error);
    else if (error.status == FLOW_NOT_FOUND)
        flow_error_set(&error, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND", job->workflow_id,
                       "there is no workflow \"%s\"", job->workflow_id);
    flow_store_op_done(op);
    if (error.status != FLOW_OK)
        dev_job_fail(job, &error);
    else
        use_or_build(job);
}

static void fetch(FlowDevJob *job, const char *workflow_id)
{
    snprintf(job->workflow_id, sizeof job->workflow_id, "%s", workflow_id);
    job->get =
        (FlowStoreWorkflowGet){.op = {.loop = job->dev->loop, .done = on_workflow}, .id = job->workflow_id};
    flow_store_workflow_get(job->dev->store, &job->get);
}

static void find_definition(FlowDevJob *job)
{
    FlowDevRequest *request = job->request;
    FlowError error;
    DevSession *session = known_session(job);
    if (!flow_value_is_null(request->workflow)) {
        const FlowValue *id = flow_object_get(request->workflow, "id");
        if (id && flow_value_kind(*id) == FLOW_VALUE_STRING)
            snprintf(job->workflow_id, sizeof job->workflow_id, "%s", flow_value_text(id));
        job->is_inline = true;
        job->definition = flow_value_ref(request->workflow);
        use_or_build(job);
    } else if (request->workflow_id && request->workflow_id[0] != '\0') {
        if (session && session->is_bound && strcmp(session->workflow_id, request->workflow_id) != 0) {
            fail_other(session, &error);
            dev_job_fail(job, &error);
            return;
        }
        fetch(job, request->workflow_id);
    } else if (session && session->is_stored) {
        fetch(job, session->workflow_id);
    } else if (session && session->graph) {
        strcpy(job->workflow_id, session->workflow_id);
        job->is_inline = true;
        job->graph = dev_graph_ref(session->graph);
        enter(job);
    } else if (job->has_loaded) {
        fetch(job, job->letter.letter.workflow_id);
    } else if (request->verb == FLOW_DEV_EXECUTE) {
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, "REQUIRED_FIELD", "workflow_id",
                       "give the id of a stored workflow as workflow_id, or a whole workflow");
        dev_job_fail(job, &error);
    } else {
        flow_error_set(&error, FLOW_NOT_FOUND, "SESSION_NOT_FOUND", "session_id",
                       "there is no session \"%s\"; ExecuteNode makes one",
                       request->session_id ? request->session_id : "");
        dev_job_fail(job, &error);
    }
}

static void on_letter(FlowStoreOp *op)
{
    FlowDevJob *job = flow_container_of(op, FlowDevJob, letter.op);
    FlowError error;
    if (op->error.status != FLOW_OK) {
        error = op->error;
        if (error.status == FLOW_NOT_FOUND)
            flow_error_set(&error, FLOW_NOT_FOUND, "DEAD_LETTER_NOT_FOUND", job->request->from_dead_letter,
                           "there is no dead letter \"%s\"", job->request->from_dead_letter);
        flow_store_op_done(op);
        dev_job_fail(job, &error);
        return;
    }
    job->has_loaded = true;
    find_definition(job);
}

/* ---- beginning ---- */

static void clear(FlowDevJob *job)
{
    DevSession *session = known_session(job);
    if (session) {
        if (session->busy)
            dev_job_cancel_execution(session->busy);
        dev_session_drop(session);
    }
    dev_job_finish(job);
}

static void begin(FlowTask *task)
{
    FlowDevRequest *request = flow_container_of(task, FlowDevRequest, task);
    FlowDevJob *job = flow_new(FlowDevJob);
    job->request = request;
    job->dev = request->dev;
    job->is_cancelled = atomic_load(&request->is_cancelled);
    flow_list_init(&job->link);
    request->job = job;
    request->error.status = FLOW_OK;
    request->failure.status = FLOW_OK;
    if (request->verb == FLOW_DEV_CLEAR) {
        clear(job);
    } else if (request->from_dead_letter && request->from_dead_letter[0] != '\0') {
        job->letter = (FlowStoreDeadLetterGet){.op = {.loop = job->dev->loop, .done = on_letter},
                                               .id = request->from_dead_letter};
        flow_store_dead_letter_get(job->dev->store, &job->letter);
    } else {
        find_definition(job);
    }
}

static void cancelled(FlowTask *task)
{
    FlowDevRequest *request = flow_container_of(task, FlowDevRequest, cancel_task);
    FlowDevJob *job = request->job;
    if (job) {
        FlowError error;
        job->is_cancelled = true;
        if (job->session && !job->is_running && !flow_list_empty(&job->link)) {
            flow_list_remove(&job->link);
            job->session->waiting_count--;
            flow_error_set(&error, FLOW_CANCELLED, "CANCELLED", NULL, "the client gave up");
            dev_job_fail(job, &error);
        } else {
            dev_job_cancel_execution(job);
        }
    }
    request->cancel_seen(request);
}
