/*
 * engine.c - the FlowEngine: its threads, its runs, and the requests that look at them or change them. Starting and
 * resuming runs: engine_start.c.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/run_internal.h"

enum { SHARDS_MAX = 64, THREADS_DEFAULT = 64 };
static const int64_t GRACE_DEFAULT_NS = 30 * FLOW_NS_PER_S;

/* ---- for runners ---- */

FlowStore *flow_engine__store(const FlowEngine *engine)
{
    return engine->store;
}

bool flow_engine__store_is_away(const FlowEngine *engine)
{
    return atomic_load_explicit(&engine->store_is_away, memory_order_relaxed);
}

void *flow_engine__service(const FlowEngine *engine, const char *name)
{
    return engine->service ? engine->service(engine->service_context, name) : NULL;
}

/* ---- answering ---- */

void flow_engine__answer(FlowEngineDone done, void *context, FlowRun *run, const FlowError *error)
{
    FlowEngineReply reply = {.error = {.status = FLOW_OK}};
    if (error && error->status != FLOW_OK)
        reply.error = *error;
    else
        reply.run = run ? flow_run__view(run) : NULL;
    done(context, &reply);
    flow_run_view_unref(reply.run);
}

static void not_found(const char *run_id, FlowError *reterr)
{
    flow_error_set(reterr, FLOW_NOT_FOUND, "RUN_NOT_FOUND", run_id,
                   "there is no run \"%s\"; ListRuns shows those there are", run_id);
}

FlowRun *flow_engine__find(const FlowEngine *engine, const char *run_id)
{
    return flow_map_find(&engine->runs_by_id, run_id);
}

/* ---- loops and threads ---- */

FlowLoop *flow_engine__loop_for(FlowEngine *engine, const FlowPlan *plan, bool *ret_owned, FlowError *reterr)
{
    FlowLoop *loop = NULL;
    *ret_owned = plan->pool != FLOW_POOL_ASYNC;
    if (*ret_owned)
        return flow_loop_new("loop", engine->clock, &loop, reterr) == FLOW_OK ? loop : NULL;
    unsigned least = 0;
    for (unsigned i = 1; i < engine->shard_count; i++)
        if (engine->shard_loads[i] < engine->shard_loads[least])
            least = i;
    engine->shard_loads[least]++;
    return engine->shards[least];
}

bool flow_engine__thread_for(FlowEngine *engine, FlowRunLoop *loop, bool beyond_bound)
{
    FlowError error;
    if (engine->threads >= engine->threads_max && !beyond_bound)
        return false;
    if (flow_loop_start(loop->loop, &error) != FLOW_OK) {
        flow_log_error(FLOW_LOG_WARNING, "a THREAD loop has to wait", &error);
        return false;
    }
    loop->has_thread = true;
    engine->threads++;
    atomic_store(&engine->thread_count, engine->threads);
    return true;
}

static void give_threads(FlowEngine *engine)
{
    FLOW_LIST_FOR_EACH(link, &engine->runs)
    {
        FlowRun *run = flow_list_entry(link, FlowRun, link);
        for (uint32_t i = 0; i < run->loop_count; i++)
            if (run->loops[i].owns_loop && !run->loops[i].has_thread &&
                !flow_engine__thread_for(engine, &run->loops[i], false))
                return;
    }
}

void flow_engine__loop_gone(FlowEngine *engine, FlowRunLoop *loop)
{
    if (!loop->owns_loop) {
        for (unsigned i = 0; i < engine->shard_count; i++)
            engine->shard_loads[i] -= engine->shards[i] == loop->loop;
        return;
    }
    flow_loop_free(loop->loop);
    loop->loop = NULL;
    if (!loop->has_thread)
        return;
    engine->threads--;
    atomic_store(&engine->thread_count, engine->threads);
    give_threads(engine);
}

/* ---- runs come and go ---- */

void flow_engine__add(FlowEngine *engine, FlowRun *run_take)
{
    flow_list_push_back(&engine->runs, &run_take->link);
    flow_map_put(&engine->runs_by_id, run_take->names.run_id, run_take);
    atomic_fetch_add(&engine->runs_active, 1);
}

static void forget(FlowEngine *engine, FlowRun *run)
{
    flow_list_remove(&run->link);
    flow_map_remove(&engine->runs_by_id, run->names.run_id, strlen(run->names.run_id));
    flow_run__unref(run);
}

static void answer_drained(FlowEngine *engine)
{
    FlowList *link;
    if (!engine->is_draining || engine->starting > 0 || !flow_list_empty(&engine->runs))
        return;
    flow_timer_stop(&engine->drain_grace);
    while ((link = flow_list_pop_front(&engine->drain_waiters))) {
        FlowWaiter *waiter = flow_list_entry(link, FlowWaiter, link);
        flow_engine__answer(waiter->done, waiter->context, NULL, NULL);
        free(waiter);
    }
}

void flow_engine__run_ended(FlowEngine *engine, FlowRun *run)
{
    atomic_fetch_sub(&engine->runs_active, 1);
    flow_list_remove(&run->link);
    flow_list_push_back(&engine->ended, &run->link);
    if (++engine->ended_count > FLOW_RUNS_KEPT) {
        engine->ended_count--;
        forget(engine, flow_list_entry(engine->ended.next, FlowRun, link));
    }
    answer_drained(engine);
}

void flow_engine__start_is_over(FlowEngine *engine)
{
    engine->starting--;
    answer_drained(engine);
}

/* ---- requests ---- */

typedef struct Request {
    FlowTask task;
    FlowEngine *engine;
    FlowEngineDone done;
    void *context;
    char *run_id, *producer_node_id;
    FlowStopOptions stop;
    bool pause;
    FlowStoreRunGet get;
    FlowStoreRunDelete delete;
} Request;

static Request *make_request(FlowEngine *engine, const char *run_id, FlowEngineDone done, void *context)
{
    Request *self = flow_new(Request);
    self->engine = engine;
    self->run_id = flow_strdup(run_id ? run_id : "");
    self->done = done;
    self->context = context;
    return self;
}

static void post(Request *self, void (*run)(FlowTask *task))
{
    self->task.run = run;
    flow_loop_post(self->engine->control, &self->task);
}

static void free_request(Request *self)
{
    free(self->run_id);
    free(self->producer_node_id);
    free(self);
}

static void answer(Request *self, FlowRun *run, const FlowError *error)
{
    flow_engine__answer(self->done, self->context, run, error);
    free_request(self);
}

/* The run is not in memory: what does the store know? Answers with the record, or refuses because it has ended. */
static void on_got(FlowStoreOp *op)
{
    Request *self = flow_container_of(flow_container_of(op, FlowStoreRunGet, op), Request, get);
    FlowEngineReply reply = {.error = {.status = FLOW_OK}};
    if (op->error.status == FLOW_NOT_FOUND)
        not_found(self->run_id, &reply.error);
    else if (op->error.status != FLOW_OK)
        reply.error = op->error;
    else
        reply.run = flow_run_view__decode(&self->get.run);
    self->done(self->context, &reply);
    flow_run_view_unref(reply.run);
    flow_store_op_done(op);
    free_request(self);
}

static void on_refused(FlowStoreOp *op)
{
    Request *self = flow_container_of(flow_container_of(op, FlowStoreRunGet, op), Request, get);
    FlowError error = op->error;
    if (error.status == FLOW_NOT_FOUND)
        not_found(self->run_id, &error);
    else if (error.status == FLOW_OK)
        flow_error_set(&error, FLOW_FAILED_PRECONDITION, "RUN_NOT_ACTIVE", self->run_id,
                       "run %s is %s; only a run that goes on can be stopped, paused or resumed",
                       self->run_id, flow_run_state_name((FlowRunState)self->get.run.state));
    flow_store_op_done(op);
    answer(self, NULL, &error);
}

static void ask_store(Request *self, void (*done)(FlowStoreOp *op))
{
    self->get = (FlowStoreRunGet){.op = {.loop = self->engine->control, .done = done}, .id = self->run_id};
    flow_store_run_get(self->engine->store, &self->get);
}

static void run_get(FlowTask *task)
{
    Request *self = flow_container_of(task, Request, task);
    FlowRun *run = flow_engine__find(self->engine, self->run_id);
    if (run)
        answer(self, run, NULL);
    else
        ask_store(self, on_got);
}

void flow_engine_get_run(FlowEngine *engine, const char *run_id, FlowEngineDone done, void *context)
{
    post(make_request(engine, run_id, done, context), run_get);
}

static void run_stop(FlowTask *task)
{
    Request *self = flow_container_of(task, Request, task);
    FlowRun *run = flow_engine__find(self->engine, self->run_id);
    if (run == NULL || flow_run_state_is_final(atomic_load(&run->state)) || run->was_drained) {
        ask_store(self, on_refused);
        return;
    }
    flow_run__stop(run, self->stop.force, self->stop.grace_ns);
    if (self->stop.wait) {
        flow_run__wait_end(run, self->done, self->context);
        free_request(self);
    } else {
        answer(self, run, NULL);
    }
}

void flow_engine_stop_run(FlowEngine *engine, const char *run_id, const FlowStopOptions *options,
                          FlowEngineDone done, void *context)
{
    Request *self = make_request(engine, run_id, done, context);
    self->stop = *options;
    if (self->stop.grace_ns == 0)
        self->stop.grace_ns = GRACE_DEFAULT_NS;
    post(self, run_stop);
}

static void run_pause(FlowTask *task)
{
    Request *self = flow_container_of(task, Request, task);
    FlowRun *run = flow_engine__find(self->engine, self->run_id);
    if (run == NULL || run->was_drained || flow_run_state_is_final(atomic_load(&run->state))) {
        ask_store(self, on_refused);
        return;
    }
    flow_run__pause(run, self->producer_node_id, self->pause, self->done, self->context);
    free_request(self);
}

static void pause_or_resume(FlowEngine *engine, const char *run_id, const char *producer_node_id, bool pause,
                            FlowEngineDone done, void *context)
{
    Request *self = make_request(engine, run_id, done, context);
    self->producer_node_id = flow_strdup(producer_node_id);
    self->pause = pause;
    post(self, run_pause);
}

void flow_engine_pause_run(FlowEngine *engine, const char *run_id, const char *producer_node_id,
                           FlowEngineDone done, void *context)
{
    pause_or_resume(engine, run_id, producer_node_id, true, done, context);
}

void flow_engine_resume_run(FlowEngine *engine, const char *run_id, const char *producer_node_id,
                            FlowEngineDone done, void *context)
{
    pause_or_resume(engine, run_id, producer_node_id, false, done, context);
}

/* ---- deleting ---- */

static void on_deleted(FlowStoreOp *op)
{
    Request *self = flow_container_of(flow_container_of(op, FlowStoreRunDelete, op), Request, delete);
    FlowError error = op->error;
    if (error.status == FLOW_NOT_FOUND)
        not_found(self->run_id, &error);
    FlowRun *run = error.status == FLOW_OK ? flow_engine__find(self->engine, self->run_id) : NULL;
    if (run && run->last_view && !run->was_drained && run->loops_released == run->loop_count) {
        self->engine->ended_count--;
        forget(self->engine, run);
    }
    flow_store_op_done(op);
    answer(self, NULL, &error);
}

static void run_delete(FlowTask *task)
{
    Request *self = flow_container_of(task, Request, task);
    FlowRun *run = flow_engine__find(self->engine, self->run_id);
    if (run && (!run->last_view || run->loops_released < run->loop_count)) {
        FlowError error;
        flow_error_set(&error, FLOW_FAILED_PRECONDITION, "RUN_ACTIVE", self->run_id,
                       "run %s is %s; stop it first, then delete it", self->run_id,
                       flow_run_state_name(atomic_load(&run->state)));
        answer(self, NULL, &error);
        return;
    }
    self->delete =
        (FlowStoreRunDelete){.op = {.loop = self->engine->control, .done = on_deleted}, .id = self->run_id};
    flow_store_run_delete(self->engine->store, &self->delete);
}

void flow_engine_delete_run(FlowEngine *engine, const char *run_id, FlowEngineDone done, void *context)
{
    post(make_request(engine, run_id, done, context), run_delete);
}

/* ---- listing ---- */

typedef struct ListRequest {
    FlowTask task;
    FlowEngine *engine;
    FlowRunListDone done;
    void *context;
    char *workflow_id, *token;
    FlowStoreRunList list;
} ListRequest;

static void on_listed(FlowStoreOp *op)
{
    ListRequest *self = flow_container_of(flow_container_of(op, FlowStoreRunList, op), ListRequest, list);
    FlowRunList list = {.error = op->error, .next_page_token = ""};
    FlowRunView **views = NULL;
    if (op->error.status == FLOW_OK) {
        views = flow_calloc(self->list.count + 1, sizeof *views);
        for (size_t i = 0; i < self->list.count; i++) {
            /* What the engine has is newer. */
            FlowRun *run = flow_engine__find(self->engine, self->list.runs[i].id);
            views[i] = run ? flow_run__view(run) : flow_run_view__decode(&self->list.runs[i]);
        }
        list.runs = views;
        list.run_count = self->list.count;
        list.next_page_token = self->list.next_token;
    }
    self->done(self->context, &list);
    for (size_t i = 0; i < list.run_count; i++)
        flow_run_view_unref(views[i]);
    free(views);
    flow_store_op_done(op);
    free(self->workflow_id);
    free(self->token);
    free(self);
}

static void run_list(FlowTask *task)
{
    ListRequest *self = flow_container_of(task, ListRequest, task);
    flow_store_run_list(self->engine->store, &self->list);
}

void flow_engine_list_runs(FlowEngine *engine, const FlowRunFilter *filter, unsigned page_size,
                           const char *page_token, FlowRunListDone done, void *context)
{
    ListRequest *self = flow_new(ListRequest);
    self->engine = engine;
    self->done = done;
    self->context = context;
    self->workflow_id = flow_strdup(filter->workflow_id);
    self->token = flow_strdup(page_token);
    self->list = (FlowStoreRunList){.op = {.loop = engine->control, .done = on_listed},
                                    .workflow_id = self->workflow_id,
                                    .states = filter->states,
                                    .max = page_size,
                                    .token = self->token};
    self->task.run = run_list;
    flow_loop_post(engine->control, &self->task);
}

/* ---- the active run of a workflow ---- */

typedef struct ActiveRequest {
    FlowTask task;
    FlowEngine *engine;
    char *workflow_id;
    FlowActiveRunDone done;
    void *context;
} ActiveRequest;

static void run_active(FlowTask *task)
{
    ActiveRequest *self = flow_container_of(task, ActiveRequest, task);
    const char *run_id = "";
    FLOW_LIST_FOR_EACH(link, &self->engine->runs)
    {
        FlowRun *run = flow_list_entry(link, FlowRun, link);
        if (strcmp(run->names.workflow_id, self->workflow_id) == 0 &&
            !flow_run_state_is_final(atomic_load(&run->state)))
            run_id = run->names.run_id;
    }
    self->done(self->context, run_id);
    free(self->workflow_id);
    free(self);
}

void flow_engine_active_run(FlowEngine *engine, const char *workflow_id, FlowActiveRunDone done,
                            void *context)
{
    ActiveRequest *self = flow_new(ActiveRequest);
    *self = (ActiveRequest){{.run = run_active}, engine, flow_strdup(workflow_id), done, context};
    flow_loop_post(engine->control, &self->task);
}

/* ---- watching ---- */

typedef struct WatchRequest {
    FlowTask task;
    FlowEngine *engine;
    FlowWatchOptions options;
    char **node_ids;
    FlowWatchDone done;
    void *context;
    FlowStoreRunGet get;
} WatchRequest;

static void free_watch_request(WatchRequest *self)
{
    free((char *)self->options.run_id);
    for (size_t i = 0; i < self->options.node_id_count; i++)
        free(self->node_ids[i]);
    free(self->node_ids);
    free(self);
}

/* A run that ended before this life of the server, or long ago: its last state is all that is kept. */
static void on_watched_ended(FlowStoreOp *op)
{
    WatchRequest *self = flow_container_of(flow_container_of(op, FlowStoreRunGet, op), WatchRequest, get);
    FlowError error = op->error;
    FlowWatch *watch = NULL;
    if (error.status == FLOW_NOT_FOUND) {
        not_found(self->options.run_id, &error);
    } else if (error.status == FLOW_OK) {
        FlowRun *run = flow_run__new_ended(self->engine, &self->get.run);
        watch = flow_watch__new(&run->events, &self->options, run->last_view);
        flow_run__unref(run);
    }
    self->done(self->context, &error, watch);
    flow_store_op_done(op);
    free_watch_request(self);
}

static void run_watch(FlowTask *task)
{
    WatchRequest *self = flow_container_of(task, WatchRequest, task);
    FlowRun *run = flow_engine__find(self->engine, self->options.run_id);
    if (run == NULL) {
        self->get = (FlowStoreRunGet){.op = {.loop = self->engine->control, .done = on_watched_ended},
                                      .id = self->options.run_id};
        flow_store_run_get(self->engine->store, &self->get);
        return;
    }
    FlowRunView *view = flow_run__view(run);
    FlowWatch *watch = flow_watch__new(&run->events, &self->options, view);
    flow_run_view_unref(view);
    flow_run__watches_changed(run);
    FlowError fine = {.status = FLOW_OK};
    self->done(self->context, &fine, watch);
    free_watch_request(self);
}

void flow_engine_watch(FlowEngine *engine, const FlowWatchOptions *options, FlowWatchDone done, void *context)
{
    WatchRequest *self = flow_new(WatchRequest);
    self->engine = engine;
    self->options = *options;
    self->options.run_id = flow_strdup(options->run_id ? options->run_id : "");
    self->node_ids = flow_calloc(options->node_id_count + 1, sizeof *self->node_ids);
    for (size_t i = 0; i < options->node_id_count; i++)
        self->node_ids[i] = flow_strdup(options->node_ids[i]);
    self->options.node_ids = (const char *const *)self->node_ids;
    self->done = done;
    self->context = context;
    self->task.run = run_watch;
    flow_loop_post(engine->control, &self->task);
}

void flow_engine_counts(FlowEngine *engine, FlowEngineCounts *ret_counts)
{
    *ret_counts = (FlowEngineCounts){
        .runs_active = atomic_load(&engine->runs_active),
        .loops_active = atomic_load(&engine->loops_active),
        .runs_started = atomic_load(&engine->counts[FLOW_ENGINE_COUNT_STARTED]),
        .runs_completed = atomic_load(&engine->counts[FLOW_ENGINE_COUNT_COMPLETED]),
        .runs_stopped = atomic_load(&engine->counts[FLOW_ENGINE_COUNT_STOPPED]),
        .runs_failed = atomic_load(&engine->counts[FLOW_ENGINE_COUNT_FAILED]),
        .units_done = atomic_load(&engine->counts[FLOW_ENGINE_COUNT_DONE]),
        .units_dead_lettered = atomic_load(&engine->counts[FLOW_ENGINE_COUNT_DEAD]),
        .watches = atomic_load(&engine->watches),
        .shards = engine->shard_count,
        .threads = atomic_load(&engine->thread_count),
    };
}

/* ---- draining ---- */

static void force_drain(FlowTimer *timer)
{
    FlowEngine *engine = flow_container_of(timer, FlowEngine, drain_grace);
    engine->drain_forced = true;
    FLOW_LIST_FOR_EACH(link, &engine->runs)
    flow_run__drain(flow_list_entry(link, FlowRun, link), true);
}

static void run_drain(FlowTask *task)
{
    Request *self = flow_container_of(task, Request, task);
    FlowEngine *engine = self->engine;
    FlowWaiter *waiter = flow_new(FlowWaiter);
    waiter->done = self->done;
    waiter->context = self->context;
    flow_list_push_back(&engine->drain_waiters, &waiter->link);
    int64_t grace_ns = self->stop.grace_ns;
    int64_t due_ns = flow_clock_mono_ns(engine->clock) + grace_ns;
    free_request(self);

    engine->is_draining = true;
    engine->drain_forced |= grace_ns <= 0;
    FLOW_LIST_FOR_EACH(link, &engine->runs)
    flow_run__drain(flow_list_entry(link, FlowRun, link), engine->drain_forced);
    if (grace_ns > 0 && (!flow_timer_armed(&engine->drain_grace) || due_ns < engine->drain_grace.due_ns))
        flow_timer_start(&engine->drain_grace, grace_ns);
    answer_drained(engine);
}

void flow_engine_drain(FlowEngine *engine, int64_t grace_ns, FlowEngineDone done, void *context)
{
    Request *self = make_request(engine, NULL, done, context);
    self->stop.grace_ns = grace_ns;
    post(self, run_drain);
}

/* ---- the store's weather ---- */

static void watch_store(FlowEngine *engine);

static void on_store_changed(FlowStoreOp *op)
{
    FlowEngine *engine =
        flow_container_of(flow_container_of(op, FlowStoreUntil, op), FlowEngine, store_watch);
    engine->is_watching_store = false;
    bool answered = op->error.status == FLOW_OK;
    flow_store_op_done(op);
    if (!answered || engine->is_closing)
        return;
    bool away = !atomic_load(&engine->store_is_away);
    atomic_store(&engine->store_is_away, away);
    flow_log(away ? FLOW_LOG_ERROR : FLOW_LOG_INFO,
             away ? "the store is away: loops wait" : "the store is back");
    FLOW_LIST_FOR_EACH(link, &engine->runs)
    flow_run__poke_runners(flow_list_entry(link, FlowRun, link));
    watch_store(engine);
}

static void watch_store(FlowEngine *engine)
{
    bool away = atomic_load(&engine->store_is_away);
    engine->store_watch = (FlowStoreUntil){.op = {.loop = engine->control, .done = on_store_changed},
                                           .condition = away ? FLOW_STORE_IS_READY : FLOW_STORE_IS_AWAY};
    engine->is_watching_store = true;
    flow_store_until(engine->store, &engine->store_watch);
}

static void begin_watching(FlowTask *task)
{
    Request *self = flow_container_of(task, Request, task);
    watch_store(self->engine);
    free_request(self);
}

/* ---- opening and closing ---- */

static void free_engine(FlowEngine *engine)
{
    for (unsigned i = 0; i < engine->shard_count; i++)
        flow_loop_free(engine->shards[i]);
    flow_loop_free(engine->control);
    FLOW_LIST_FOR_EACH(link, &engine->ended)
    forget(engine, flow_list_entry(link, FlowRun, link));
    flow_map_done(&engine->runs_by_id, NULL);
    flow_value_unref(engine->env);
    free(engine->shards);
    free(engine->shard_loads);
    free(engine->server);
    free(engine);
}

FlowStatus flow_engine_open(const FlowEngineOptions *options, FlowEngine **ret_engine, FlowError *reterr)
{
    FlowEngine *engine = flow_new(FlowEngine);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned shards = options->shards ? options->shards : cores > 0 ? (unsigned)cores : 1;
    engine->store = options->store;
    engine->registry = options->registry;
    engine->clock = options->clock ? options->clock : flow_clock_real();
    engine->server = flow_strdup(options->server ? options->server : "");
    engine->env = flow_value_kind(options->env) == FLOW_VALUE_OBJECT ? flow_value_ref(options->env)
                                                                     : flow_value_object();
    engine->service = options->service;
    engine->service_context = options->service_context;
    engine->threads_max = options->threads_max ? options->threads_max : THREADS_DEFAULT;
    flow_list_init(&engine->runs);
    flow_list_init(&engine->ended);
    flow_list_init(&engine->drain_waiters);
    flow_map_init(&engine->runs_by_id);
    if (shards > SHARDS_MAX)
        shards = SHARDS_MAX;
    engine->shards = flow_calloc(shards, sizeof *engine->shards);
    engine->shard_loads = flow_calloc(shards, sizeof *engine->shard_loads);

    FlowStatus status = flow_loop_open("control", engine->clock, &engine->control, reterr);
    for (unsigned i = 0; i < shards && status == FLOW_OK; i++) {
        char name[16];
        snprintf(name, sizeof name, "shard-%u", i);
        status = flow_loop_open(name, engine->clock, &engine->shards[i], reterr);
        engine->shard_count += status == FLOW_OK;
    }
    if (status != FLOW_OK) {
        free_engine(engine);
        return status;
    }
    flow_timer_init(&engine->drain_grace, engine->control, force_drain);
    post(make_request(engine, NULL, NULL, NULL), begin_watching);
    *ret_engine = engine;
    return FLOW_OK;
}

typedef struct Closing {
    FlowTask task;
    FlowEngine *engine;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
} Closing;

static void say_done(Closing *closing)
{
    pthread_mutex_lock(&closing->lock);
    closing->is_done = true;
    pthread_cond_signal(&closing->changed);
    pthread_mutex_unlock(&closing->lock);
}

static void on_drained(void *context, const FlowEngineReply *reply)
{
    (void)reply;
    say_done(context);
}

static void wait_done(Closing *closing)
{
    pthread_mutex_lock(&closing->lock);
    while (!closing->is_done)
        pthread_cond_wait(&closing->changed, &closing->lock);
    closing->is_done = false;
    pthread_mutex_unlock(&closing->lock);
}

/* The operation that waits for a change of the store is the engine's memory: it has to come back first. */
static void stop_watching(FlowTask *task)
{
    Closing *closing = flow_container_of(task, Closing, task);
    FlowEngine *engine = closing->engine;
    if (!engine->is_closing && engine->is_watching_store)
        flow_store_cancel(engine->store, &engine->store_watch.op);
    engine->is_closing = true;
    if (engine->is_watching_store)
        flow_loop_post(engine->control, task);
    else
        say_done(closing);
}

void flow_engine_close(FlowEngine *engine)
{
    if (engine == NULL)
        return;
    Closing closing = {.task = {.run = stop_watching}, .engine = engine};
    pthread_mutex_init(&closing.lock, NULL);
    pthread_cond_init(&closing.changed, NULL);
    flow_engine_drain(engine, 0, on_drained, &closing);
    wait_done(&closing);
    flow_loop_post(engine->control, &closing.task);
    wait_done(&closing);
    pthread_mutex_destroy(&closing.lock);
    pthread_cond_destroy(&closing.changed);
    free_engine(engine);
}
