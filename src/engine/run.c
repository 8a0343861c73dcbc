/*
 * run.c - a run on the control thread: its loops' runners, its state, what was wished of it, and its end.
 *
 * The state follows from its loops. Control looks at all of them whenever one of them pokes it.
 */
#include <string.h>

#include "base/log.h"
#include "engine/run_internal.h"
#include "value/json.h"

/* ---- for other threads ---- */

const FlowRunNames *flow_run__names(const FlowRun *run)
{
    return &run->names;
}

const FlowRunContext *flow_run__context(const FlowRun *run)
{
    return &run->context;
}

FlowRun *flow_run__ref(FlowRun *run)
{
    atomic_fetch_add_explicit(&run->refs, 1, memory_order_relaxed);
    return run;
}

const FlowPlan *flow_run__plan(const FlowRun *run, uint32_t loop)
{
    return run->loops[loop].plan;
}

int64_t flow_run__wall_ns(const FlowRun *run)
{
    return flow_clock_wall_ns(run->engine->clock);
}

bool flow_run__is_control(const FlowRun *run)
{
    return flow_loop_is_current(run->engine->control);
}

void flow_run__count_watches(FlowRun *run, int change)
{
    atomic_fetch_add(&run->engine->watches, (uint32_t)change);
}

void flow_run__poke(FlowRun *run)
{
    if (atomic_exchange(&run->is_poked, true))
        return;
    flow_run__ref(run);
    flow_loop_post(run->engine->control, &run->poke_task);
}

void flow_run__wake_events(FlowRun *run, uint32_t loop)
{
    if (atomic_exchange(&run->loops[loop].is_waking, true))
        return;
    flow_run__ref(run);
    flow_loop_post(run->engine->control, &run->loops[loop].wake_task);
}

/* ---- the store ---- */

typedef struct Save {
    FlowStoreRunSave op; /* first */
    FlowRun *run;
    FlowEngineDone done;
    void *context;
    bool ends;
    FlowStoreUntil ready;
} Save;

static void ended(FlowRun *run);
static void on_saved(FlowStoreOp *op);

/* A run's end has to be stored, however long that takes: else its workflow can't be started again. */
static void on_store_ready(FlowStoreOp *op)
{
    Save *save = flow_container_of(flow_container_of(op, FlowStoreUntil, op), Save, ready);
    flow_store_op_done(op);
    if (op->error.status == FLOW_OK)
        flow_store_run_save(save->run->engine->store, &save->op);
    else
        on_saved(&save->op.op);
}

static void on_saved(FlowStoreOp *op)
{
    Save *save = (Save *)flow_container_of(op, FlowStoreRunSave, op);
    FlowRun *run = save->run;
    if (save->ends && strcmp(op->error.reason, "STORE_AWAY") == 0 && op->error.status == FLOW_UNAVAILABLE) {
        flow_store_op_done(op);
        save->ready = (FlowStoreUntil){.op = {.loop = run->engine->control, .done = on_store_ready},
                                       .condition = FLOW_STORE_IS_READY};
        flow_store_until(run->engine->store, &save->ready);
        return;
    }
    if (op->error.status != FLOW_OK)
        flow_log_error(FLOW_LOG_ERROR, "a run's state was not stored", &op->error);
    if (save->done)
        flow_engine__answer(save->done, save->context, run, &op->error);
    if (save->ends)
        ended(run);
    flow_blob_unref(save->op.status);
    flow_store_op_done(op);
    free(save);
    flow_run__unref(run);
}

/* {"paused_loops": […]} */
static FlowBlob *encode_pauses(const FlowRun *run)
{
    FlowValue loops = flow_value_array(), status = flow_value_object();
    for (uint32_t i = 0; i < run->loop_count; i++)
        if (run->loops[i].is_paused)
            flow_array_push_take(&loops, flow_value_string(run->loops[i].plan->nodes[0].def->id), NULL);
    flow_object_set_take(&status, "paused_loops", loops, NULL);
    FlowBuf text;
    flow_buf_init(&text, 0);
    flow_json_write(status, &text, 0, NULL);
    flow_value_unref(status);
    FlowBlob *blob = flow_blob_take(&text);
    flow_buf_done(&text);
    return blob;
}

static void save(FlowRun *run, bool ends, FlowEngineDone done, void *context)
{
    Save *self = flow_new(Save);
    self->run = flow_run__ref(run);
    self->done = done;
    self->context = context;
    self->ends = ends;
    self->op =
        (FlowStoreRunSave){.op = {.loop = run->engine->control, .done = on_saved},
                           .id = run->names.run_id,
                           .state = (int)atomic_load(&run->state),
                           .ended = ends,
                           .workflow_revision = run->revision,
                           .start_ns = run->start_ns,
                           .end_ns = run->end_ns,
                           .status = ends ? flow_run_view__encode(run->last_view) : encode_pauses(run)};
    flow_store_run_save(run->engine->store, &self->op);
}

static bool set_state(FlowRun *run, FlowRunState next, const char *detail)
{
    FlowRunState old = atomic_load(&run->state);
    if (!flow_run_state_set(&run->state, next))
        return false;
    flow_run__emit_state(run, old, detail);
    flow_log(FLOW_LOG_INFO, "run state", FLOW_F_STR("run", run->names.run_id),
             FLOW_F_STR("workflow", run->names.workflow_id), FLOW_F_STR("state", flow_run_state_name(next)));
    return true;
}

/* ---- the end ---- */

static void free_run(FlowRun *run)
{
    for (uint32_t i = 0; i < run->loop_count; i++) {
        FlowRunLoop *loop = &run->loops[i];
        flow_event_ring_free(loop->ring);
        flow_event_ring_free(loop->old_ring);
        free(loop->writers);
    }
    flow_run_events__done(&run->events);
    flow_value_unref(run->context.workflow);
    flow_value_unref(run->context.run);
    flow_value_unref(run->parameters);
    flow_value_unref(run->labels);
    flow_run_view_unref(run->last_view);
    flow_analyzer_unref(run->analyzer);
    free(run->loops);
    free((char *)run->names.run_id);
    free((char *)run->names.workflow_id);
    free((char *)run->names.workflow_name);
    free(run);
}

void flow_run__unref(FlowRun *run)
{
    if (atomic_fetch_sub_explicit(&run->refs, 1, memory_order_acq_rel) == 1)
        free_run(run);
}

static void on_released(FlowTask *task)
{
    FlowRunLoop *loop = flow_container_of(task, FlowRunLoop, release_task);
    FlowRun *run = loop->run;
    flow_runner_free(loop->runner);
    loop->runner = NULL;
    flow_engine__loop_gone(run->engine, loop);
    if (++run->loops_released == run->loop_count)
        flow_engine__run_ended(run->engine, run);
}

/* On the loop's thread: everything that it had to do with the runner lies before this. */
static void release(FlowTask *task)
{
    FlowRunLoop *loop = flow_container_of(task, FlowRunLoop, release_task);
    task->run = on_released;
    flow_loop_post(loop->run->engine->control, task);
}

/* Its last state is durable, or it is only drained. */
static void ended(FlowRun *run)
{
    FlowList *link;
    flow_timer_stop(&run->grace);
    flow_timer_stop(&run->drain_timer);
    flow_run_events__end(&run->events);
    while ((link = flow_list_pop_front(&run->stop_waiters))) {
        FlowWaiter *waiter = flow_list_entry(link, FlowWaiter, link);
        flow_engine__answer(waiter->done, waiter->context, run, NULL);
        free(waiter);
    }
    if (run->loop_count == 0)
        flow_engine__run_ended(run->engine, run);
    for (uint32_t i = 0; i < run->loop_count; i++) {
        run->loops[i].release_task.run = release;
        flow_loop_post(run->loops[i].loop, &run->loops[i].release_task);
    }
}

static FlowRunState end_state(FlowRun *run)
{
    for (uint32_t i = 0; i < run->loop_count; i++)
        if (flow_runner_state(run->loops[i].runner) == FLOW_LOOP_FAILED)
            return FLOW_RUN_FAILED;
    return run->wants_stop ? FLOW_RUN_STOPPED : FLOW_RUN_COMPLETED;
}

static void note_error(FlowRun *run)
{
    FlowRunView *view = flow_run__view(run);
    for (size_t i = 0; i < view->loop_count && run->error.status == FLOW_OK; i++) {
        const FlowLoopView *loop = &view->loops[i];
        if (loop->state == FLOW_LOOP_FAILED)
            flow_error_set(&run->error, loop->last_error.code ? loop->last_error.code : FLOW_INTERNAL,
                           loop->last_error.reason[0] ? loop->last_error.reason : "LOOP_FAILED",
                           loop->producer_node_id, "the loop of %s has failed: %s", loop->producer_node_id,
                           loop->last_error.message);
    }
    flow_run_view_unref(view);
}

static void finish(FlowRun *run)
{
    run->is_ending = true;
    flow_run__drain_completely(run);
    for (uint32_t i = 0; i < run->loop_count; i++)
        run->was_drained |= flow_runner_was_drained(run->loops[i].runner);
    if (run->was_drained) {
        run->last_view = flow_run__view(run);
        ended(run);
        return;
    }
    FlowRunState state = end_state(run);
    if (state == FLOW_RUN_FAILED)
        note_error(run);
    run->end_ns = flow_run__wall_ns(run);
    set_state(run, state, run->error.status == FLOW_OK ? "" : run->error.message);
    static const unsigned counts[FLOW_RUN_STATE_COUNT] = {[FLOW_RUN_COMPLETED] = FLOW_ENGINE_COUNT_COMPLETED,
                                                          [FLOW_RUN_STOPPED] = FLOW_ENGINE_COUNT_STOPPED,
                                                          [FLOW_RUN_FAILED] = FLOW_ENGINE_COUNT_FAILED};
    atomic_fetch_add(&run->engine->counts[counts[state]], 1);
    run->last_view = flow_run__view(run);
    save(run, true, NULL, NULL);
}

/* ---- looking ---- */

static void count_end(FlowRun *run, FlowRunLoop *loop)
{
    const FlowLoopCounters *counters = flow_runner_counters(loop->runner);
    loop->counted_end = true;
    run->loops_ended++;
    atomic_fetch_sub(&run->engine->loops_active, 1);
    atomic_fetch_add(&run->engine->counts[FLOW_ENGINE_COUNT_DONE], flow_count_read(&counters->done));
    atomic_fetch_add(&run->engine->counts[FLOW_ENGINE_COUNT_DEAD], flow_count_read(&counters->dead_lettered));
}

static bool writers_have_ended(const FlowRun *run, const FlowRunLoop *loop)
{
    for (uint32_t i = 0; i < loop->writer_count; i++) {
        const FlowRunLoop *writer = &run->loops[loop->writers[i]];
        if (!writer->counted_end || flow_runner_was_drained(writer->runner))
            return false;
    }
    return loop->writer_count > 0;
}

static void tell_readers(FlowRun *run)
{
    for (uint32_t i = 0; i < run->loop_count; i++) {
        FlowRunLoop *loop = &run->loops[i];
        if (loop->told_writers_end || loop->counted_end || !writers_have_ended(run, loop))
            continue;
        loop->told_writers_end = true;
        atomic_store(&flow_runner_wish(loop->runner)->writers_end, true);
        flow_runner_poke(loop->runner);
    }
}

/* All loops that go on are held. */
static bool is_paused(const FlowRun *run)
{
    for (uint32_t i = 0; i < run->loop_count; i++) {
        const FlowRunLoop *loop = &run->loops[i];
        if (!loop->counted_end && !loop->is_paused && !flow_runner_is_paused_by_policy(loop->runner))
            return false;
    }
    return run->loops_ended < run->loop_count;
}

/* The state that follows from the loops of a run that goes on. True when it has changed. */
static bool follow_loops(FlowRun *run)
{
    FlowRunState state = atomic_load(&run->state);
    if (run->wants_stop)
        return set_state(run, FLOW_RUN_STOPPING, "");
    if (state == FLOW_RUN_STARTING && run->loops_started < run->loop_count)
        return false;
    return set_state(run, is_paused(run) ? FLOW_RUN_PAUSED : FLOW_RUN_RUNNING, "");
}

static void look(FlowRun *run)
{
    bool some_ended = false;
    run->loops_started = 0;
    for (uint32_t i = 0; i < run->loop_count; i++) {
        FlowRunLoop *loop = &run->loops[i];
        run->loops_started += flow_runner_has_started(loop->runner);
        flow_run__free_old_ring(run, loop);
        if (!loop->counted_end && flow_runner_has_ended(loop->runner)) {
            count_end(run, loop);
            some_ended = true;
        }
    }
    if (some_ended)
        tell_readers(run);
    if (run->loops_ended == run->loop_count && atomic_load(&run->posts) > 0)
        flow_run__poke(run); /* the loops' last events are behind us in the inbox */
    else if (run->loops_ended == run->loop_count)
        finish(run);
    else if (!run->is_draining && follow_loops(run))
        save(run, false, NULL, NULL);
}

static void on_poke(FlowTask *task)
{
    FlowRun *run = flow_container_of(task, FlowRun, poke_task);
    /* Before looking: what changes from now on pokes again. */
    atomic_store(&run->is_poked, false);
    if (!run->is_ending)
        look(run);
    if (flow_run_events__wants_snapshot(&run->events)) {
        if (!run->last_view)
            flow_run__drain_rings(run);
        FlowRunView *view = flow_run__view(run);
        flow_run_events__give_snapshot(&run->events, view);
        flow_run_view_unref(view);
    }
    flow_run__unref(run);
}

/* ---- what is wished ---- */

void flow_run__poke_runners(FlowRun *run)
{
    for (uint32_t i = 0; i < run->loop_count; i++)
        if (!run->loops[i].counted_end)
            flow_runner_poke(run->loops[i].runner);
}

void flow_run__wait_end(FlowRun *run, FlowEngineDone done, void *context)
{
    FlowWaiter *waiter = flow_new(FlowWaiter);
    waiter->done = done;
    waiter->context = context;
    flow_list_init(&waiter->link);
    flow_list_push_back(&run->stop_waiters, &waiter->link);
}

static void force(FlowRun *run)
{
    run->is_forced = true;
    for (uint32_t i = 0; i < run->loop_count; i++)
        atomic_store(&flow_runner_wish(run->loops[i].runner)->force, true);
    flow_run__poke_runners(run);
}

static void on_grace(FlowTimer *timer)
{
    force(flow_container_of(timer, FlowRun, grace));
}

/* THREAD loops that wait for a thread need one to end in, which doesn't take long. */
static void start_waiting(FlowRun *run)
{
    for (uint32_t i = 0; i < run->loop_count; i++)
        if (run->loops[i].owns_loop && !run->loops[i].has_thread)
            flow_engine__thread_for(run->engine, &run->loops[i], true);
}

void flow_run__stop(FlowRun *run, bool by_force, int64_t grace_ns)
{
    if (run->is_ending)
        return;
    run->wants_stop = true;
    for (uint32_t i = 0; i < run->loop_count; i++)
        atomic_store(&flow_runner_wish(run->loops[i].runner)->stop, true);
    start_waiting(run);
    if (set_state(run, FLOW_RUN_STOPPING, ""))
        save(run, false, NULL, NULL);
    if (by_force || grace_ns == 0)
        force(run);
    else
        flow_run__poke_runners(run);
    if (grace_ns > 0 && !run->is_forced)
        flow_timer_start(&run->grace, grace_ns);
}

void flow_run__drain(FlowRun *run, bool by_force)
{
    if (run->is_ending)
        return;
    run->is_draining = true;
    for (uint32_t i = 0; i < run->loop_count; i++)
        atomic_store(&flow_runner_wish(run->loops[i].runner)->drain, true);
    start_waiting(run);
    if (by_force)
        force(run);
    else
        flow_run__poke_runners(run);
}

void flow_run__pause(FlowRun *run, const char *producer_node_id, bool pause, FlowEngineDone done,
                     void *context)
{
    FlowError error = {0};
    bool found = false;
    if (run->is_ending || run->wants_stop)
        flow_error_set(&error, FLOW_FAILED_PRECONDITION, "RUN_NOT_ACTIVE", run->names.run_id,
                       "run %s is %s; only a run that goes on can be %s", run->names.run_id,
                       flow_run_state_name(atomic_load(&run->state)), pause ? "paused" : "resumed");
    for (uint32_t i = 0; i < run->loop_count && error.status == FLOW_OK; i++) {
        FlowRunLoop *loop = &run->loops[i];
        if (producer_node_id && strcmp(producer_node_id, loop->plan->nodes[0].def->id) != 0)
            continue;
        found = true;
        if (loop->counted_end)
            continue;
        FlowRunnerWish *wish = flow_runner_wish(loop->runner);
        loop->is_paused = pause;
        atomic_store(&wish->pause, pause);
        if (!pause)
            atomic_fetch_add(&wish->resumes, 1);
        flow_runner_poke(loop->runner);
    }
    if (error.status == FLOW_OK && producer_node_id && !found)
        flow_error_set(&error, FLOW_NOT_FOUND, "PRODUCER_NOT_FOUND", producer_node_id,
                       "run %s has no loop whose producer is \"%s\"; LoopStatus.producer_node_id names them",
                       run->names.run_id, producer_node_id);
    if (error.status != FLOW_OK) {
        flow_engine__answer(done, context, run, &error);
        return;
    }
    /* A pause by policy ends in the runner: it will poke us. */
    if (atomic_load(&run->state) != FLOW_RUN_STARTING)
        follow_loops(run);
    save(run, false, done, context);
}

/* ---- making ---- */

static FlowValue object_of(const FlowMember *members, size_t count)
{
    FlowValue object = flow_value_object();
    flow_object_from_take(members, count, &object, NULL);
    return object;
}

static void make_context(FlowRun *run, const FlowRunMake *make)
{
    const FlowMember workflow[] = {
        {flow_value_string("id"), flow_value_string(make->workflow_id)},
        {flow_value_string("name"), flow_value_string(make->workflow_name)},
        {flow_value_string("revision"), flow_value_int(make->revision)},
    };
    const FlowMember this_run[] = {
        {flow_value_string("id"), flow_value_string(make->id)},
        {flow_value_string("parameters"), flow_value_ref(make->parameters)},
        {flow_value_string("labels"), flow_value_ref(make->labels)},
    };
    run->context = (FlowRunContext){.workflow = object_of(workflow, FLOW_COUNT(workflow)),
                                    .run = object_of(this_run, FLOW_COUNT(this_run)),
                                    .env = run->engine->env};
}

static bool is_in(FlowValue ids, const char *id)
{
    size_t count;
    const FlowValue *items = flow_array_items(ids, &count);
    for (size_t i = 0; i < count; i++)
        if (flow_value_kind(items[i]) == FLOW_VALUE_STRING && flow_value_text_equals(&items[i], id))
            return true;
    return false;
}

static FlowStatus make_loop(FlowRun *run, uint32_t index, const FlowRunMake *make, FlowError *reterr)
{
    FlowRunLoop *loop = &run->loops[index];
    loop->loop = flow_engine__loop_for(run->engine, loop->plan, &loop->owns_loop, reterr);
    if (loop->loop == NULL)
        return reterr->status;
    loop->wake_task.run = flow_run__on_wake;
    loop->is_paused = make->all_paused || is_in(make->paused_loops, loop->plan->nodes[0].def->id);
    loop->runner = flow_runner_new(&(FlowRunnerSetup){
        .engine = run->engine,
        .run = run,
        .index = index,
        .analyzer = run->analyzer,
        .plan = loop->plan,
        .revision = run->revision,
        .loop = loop->loop,
        .reader_may_end = loop->writer_count > 0,
        .paused = loop->is_paused,
    });
    if (make->wants_stop)
        atomic_store(&flow_runner_wish(loop->runner)->stop, true);
    return FLOW_OK;
}

FlowRun *flow_run__new(const FlowRunMake *make, FlowError *reterr)
{
    FlowRun *run = flow_new(FlowRun);
    run->engine = make->engine;
    atomic_init(&run->refs, 1);
    flow_list_init(&run->link);
    flow_list_init(&run->stop_waiters);
    run->names = (FlowRunNames){flow_strdup(make->id), flow_strdup(make->workflow_id),
                                flow_strdup(make->workflow_name)};
    run->parameters = flow_value_ref(make->parameters);
    run->labels = flow_value_ref(make->labels);
    run->revision = make->revision;
    run->is_inline = make->is_inline;
    run->create_ns = make->create_ns;
    run->start_ns = make->start_ns;
    run->wants_stop = make->wants_stop;
    run->analyzer = flow_analyzer_ref(make->analyzer);
    run->poke_task.run = on_poke;
    make_context(run, make);
    flow_run_events__init(&run->events, run);
    flow_timer_init(&run->grace, make->engine->control, on_grace);
    flow_timer_init(&run->drain_timer, make->engine->control, flow_run__on_drain_timer);
    run->loop_count = flow_analyzer_loop_count(make->analyzer);
    run->loops = flow_calloc(run->loop_count + 1, sizeof *run->loops);
    for (uint32_t i = 0; i < run->loop_count; i++) {
        run->loops[i].run = run;
        run->loops[i].index = i;
        run->loops[i].plan = flow_analyzer_loop(make->analyzer, i);
    }
    flow_run__find_writers(run);
    for (uint32_t i = 0; i < run->loop_count; i++)
        if (make_loop(run, i, make, reterr) != FLOW_OK) {
            while (i-- > 0) {
                flow_runner_free(run->loops[i].runner);
                flow_engine__loop_gone(run->engine, &run->loops[i]);
            }
            flow_run__unref(run);
            return NULL;
        }
    atomic_fetch_add(&run->engine->loops_active, run->loop_count);
    set_state(run, FLOW_RUN_STARTING, "");
    return run;
}

void flow_run__start(FlowRun *run)
{
    for (uint32_t i = 0; i < run->loop_count; i++) {
        FlowRunLoop *loop = &run->loops[i];
        if (loop->owns_loop)
            flow_engine__thread_for(run->engine, loop, false);
        flow_runner_start(loop->runner);
    }
    flow_run__poke(run);
}

FlowRun *flow_run__new_ended(FlowEngine *engine, const FlowRunRecord *record)
{
    FlowRun *run = flow_new(FlowRun);
    run->engine = engine;
    atomic_init(&run->refs, 1);
    flow_list_init(&run->link);
    flow_list_init(&run->stop_waiters);
    run->names = (FlowRunNames){flow_strdup(record->id), flow_strdup(record->workflow_id),
                                flow_strdup(record->workflow_name)};
    run->poke_task.run = on_poke;
    run->is_ending = true;
    run->last_view = flow_run_view__decode(record);
    flow_run_events__init(&run->events, run);
    run->events.first = run->events.next = run->last_view->cursor + 1;
    flow_run_events__end(&run->events);
    return run;
}
