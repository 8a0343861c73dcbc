/*
 * runner.c - the life of a FlowRunner: taken over from the store, set up, turn after turn, ended.
 *
 * Everything happens in turns on the loop's thread. A turn looks at what is wished, runs strands that are ready, asks
 * the producer for the next unit, and decides how the loop stands. It ends when there is nothing to do, or after
 * TURN_NS, so that the other loops of the shard get theirs.
 */
#include <string.h>

#include "base/log.h"
#include "engine/runner_internal.h"
#include "value/json.h"

static const int64_t TURN_NS = 200000;
enum { TURN_STEPS_MAX = 8192, STEPS_AT_A_TIME = 64 };

/* ---- turns ---- */

void flow_runner__turn_soon(FlowRunner *runner)
{
    if (runner->is_turn_posted)
        return;
    runner->is_turn_posted = true;
    flow_loop_post(runner->loop, &runner->turn_task);
}

void flow_runner__back_off_over(FlowTimer *timer)
{
    flow_runner__turn_soon(flow_container_of(timer, FlowRunner, back_off));
}

static bool is_stopping(const FlowRunner *runner)
{
    return runner->policy_stop || runner->is_lost || atomic_load(&runner->wish.stop) ||
           atomic_load(&runner->wish.drain);
}

static bool is_held(const FlowRunner *runner)
{
    return atomic_load(&runner->wish.pause) || atomic_load(&runner->paused_by_policy);
}

/* Why no unit may begin although nobody holds the producer; NULL: one may. */
static const char *what_blocks(const FlowRunner *runner)
{
    if (runner->blocked_by)
        return flow_store_queue_name(runner->blocked_by);
    if (runner->in_background >= runner->config->max_in_flight)
        return "max_in_flight";
    if (flow_engine__store_is_away(runner->engine))
        return "the store is away";
    if (runner->settling_count >= FLOW_UNSETTLED_MAX)
        return "the store";
    if (runner->waiting_count >= FLOW_WAITING_MAX)
        return "an older unit";
    return NULL;
}

/* A strand to run: one that is ready, or a new unit's. */
static FlowStrand *next_strand(FlowRunner *runner)
{
    FlowList *link = flow_list_pop_front(&runner->ready);
    if (link)
        return flow_list_entry(link, FlowStrand, link);
    if (runner->foreground)
        return NULL;
    FlowStrand *produced = flow_runner__take_producer(runner);
    if (produced || is_stopping(runner) || is_held(runner) || what_blocks(runner))
        return produced;
    return flow_runner__begin_unit(runner);
}

static void work(FlowRunner *runner)
{
    int64_t began_ns = runner->now_ns;
    for (int total = 0; total < TURN_STEPS_MAX && runner->now_ns - began_ns <= TURN_NS;) {
        FlowStrand *strand = next_strand(runner);
        if (strand == NULL)
            return;
        int steps = STEPS_AT_A_TIME;
        flow_strand__run(strand, &steps);
        total += STEPS_AT_A_TIME - steps + 1;
    }
    flow_runner__turn_soon(runner);
}

/* ---- what is wished ---- */

/* A unit that ends can take others with it that wait behind it: so the search begins anew after each. */
static FlowUnit *next_to_cancel(const FlowRunner *runner)
{
    FLOW_LIST_FOR_EACH(link, &runner->units)
    {
        FlowUnit *unit = flow_list_entry(link, FlowUnit, link);
        if (!unit->has_ended && unit->failure == NULL)
            return unit;
    }
    return NULL;
}

static void cancel_all(FlowRunner *runner, const FlowError *error)
{
    FlowUnit *unit;
    while ((unit = next_to_cancel(runner)))
        flow_unit__cancel(unit, error);
}

static void cancel_units(FlowRunner *runner)
{
    FlowError error;
    flow_error_set(&error, FLOW_CANCELLED, "CANCELLED", NULL,
                   "the run was stopped by force while this unit went on");
    flow_store_loop_ignore_bounds(flow_engine__store(runner->engine), runner->owner);
    cancel_all(runner, &error);
}

static void take_wishes(FlowRunner *runner)
{
    runner->listen = atomic_load(&runner->wish.listen);
    runner->listen_payloads = atomic_load(&runner->wish.listen_payloads);
    FlowEventRing *ring = atomic_load(&runner->wish.ring);
    if (ring != atomic_load_explicit(&runner->ring, memory_order_relaxed)) {
        atomic_store(&runner->ring, ring);
        flow_run__poke(runner->run);
    }
    uint64_t resumes = atomic_load(&runner->wish.resumes);
    if (resumes != runner->resumes_seen) {
        runner->resumes_seen = resumes;
        runner->failures_in_row = 0;
        atomic_store(&runner->paused_by_policy, false);
    }
}

/* Holds the producer, or lets it go again. */
static void hold(FlowRunner *runner)
{
    bool held = is_held(runner) || is_stopping(runner);
    if (held) {
        if (runner->asked)
            flow_strand__cancel(runner->asked);
        flow_inlet__give_back(&runner->inlet);
    } else if (runner->was_held && !runner->producer_is_done && !runner->queue_is_drained) {
        flow_inlet__open(&runner->inlet);
    }
    runner->was_held = held;
    if (is_held(runner) != runner->was_paused) {
        runner->was_paused = !runner->was_paused;
        runner->must_save = true;
        flow_run__poke(runner->run);
    }
    if (is_stopping(runner) && atomic_load(&runner->wish.force) && !runner->is_forced) {
        runner->is_forced = true;
        cancel_units(runner);
    }
}

/* ---- a reader's end ---- */

typedef struct RunnerUntil {
    FlowStoreUntil op;
    FlowRunner *runner;
} RunnerUntil;

static void on_drained(FlowStoreOp *op)
{
    RunnerUntil *done = flow_container_of(flow_container_of(op, FlowStoreUntil, op), RunnerUntil, op);
    FlowRunner *runner = done->runner;
    runner->drained = NULL;
    if (op->error.status == FLOW_OK)
        runner->queue_is_drained = true;
    else if (op->error.status != FLOW_CANCELLED)
        flow_runner__store_failed(runner, &op->error);
    flow_store_op_done(op);
    free(done);
    flow_runner__turn_soon(runner);
}

static void watch_drained(FlowRunner *runner)
{
    if (!runner->reader_may_end || !atomic_load(&runner->wish.writers_end) || runner->queue_is_drained ||
        runner->drained || is_stopping(runner))
        return;
    RunnerUntil *until = flow_new(RunnerUntil);
    until->runner = runner;
    until->op = (FlowStoreUntil){.op = {.loop = runner->loop, .done = on_drained},
                                 .condition = FLOW_STORE_QUEUE_DRAINED,
                                 .queue = runner->inlet.queue};
    runner->drained = &until->op;
    flow_store_until(flow_engine__store(runner->engine), &until->op);
}

/* ---- the store ---- */

void flow_runner__store_failed(FlowRunner *runner, const FlowError *error)
{
    if (runner->is_lost)
        return;
    runner->is_lost = true;
    runner->failure = *error;
    flow_log_error(FLOW_LOG_ERROR, "the loop can't go on", error);
    FlowError cancelled;
    flow_error_set(&cancelled, FLOW_CANCELLED, "CANCELLED", NULL, "the loop has lost its store: %s",
                   error->message);
    cancel_all(runner, &cancelled);
    flow_runner__turn_soon(runner);
}

/* A handle that the runner holds as long as it lives: others may look at the queue's name. */
static FlowStoreQueue *own_handle(const FlowRunner *runner, const FlowStoreQueue *queue)
{
    for (uint32_t i = 0; i < runner->plan->node_count; i++)
        for (uint32_t q = 0; q < runner->nodes[i].node.queue_count; q++)
            if (runner->nodes[i].queues[q] == queue)
                return runner->nodes[i].queues[q];
    return NULL;
}

static void on_blocked(void *context, FlowStoreQueue *queue)
{
    FlowRunner *runner = context;
    FlowStoreQueue *before = runner->blocked_by;
    runner->blocked_by = queue ? own_handle(runner, queue) : NULL;
    if (queue || before)
        flow_runner__emit_queue_bound(runner, flow_store_queue_name(queue ? queue : before), queue != NULL);
    flow_runner__turn_soon(runner);
}

typedef struct RunnerSave {
    FlowStoreLoopSave op;
    FlowRunner *runner;
} RunnerSave;

static void on_saved(FlowStoreOp *op)
{
    RunnerSave *done = flow_container_of(flow_container_of(op, FlowStoreLoopSave, op), RunnerSave, op);
    FlowRunner *runner = done->runner;
    runner->is_saving = false;
    flow_blob_unref(done->op.status);
    if (op->error.status != FLOW_OK)
        flow_runner__store_failed(runner, &op->error);
    flow_store_op_done(op);
    free(done);
    flow_runner__turn_soon(runner);
}

static void save(FlowRunner *runner, FlowLoopState state, bool ended)
{
    runner->must_save = false;
    RunnerSave *loop = flow_new(RunnerSave);
    loop->runner = runner;
    loop->op = (FlowStoreLoopSave){.op = {.loop = runner->loop, .done = on_saved},
                                   .owner = runner->owner,
                                   .state = (int)state,
                                   .ended = ended,
                                   .status = flow_loop_status__encode(runner)};
    runner->is_saving = true;
    flow_store_loop_save(flow_engine__store(runner->engine), &loop->op);
}

typedef struct RunnerClose {
    FlowStoreLoopClose op;
    FlowRunner *runner;
} RunnerClose;

static void on_closed(FlowStoreOp *op)
{
    RunnerClose *done = flow_container_of(flow_container_of(op, FlowStoreLoopClose, op), RunnerClose, op);
    FlowRunner *runner = done->runner;
    flow_store_op_done(op);
    free(done);
    runner->owner = NULL;
    runner->phase = FLOW_RUNNER_ENDED;
    flow_runner__turn_soon(runner);
}

/* ---- the end ---- */

static void clean_up(FlowRunner *runner)
{
    for (uint32_t i = runner->plan->node_count; i-- > 0;) {
        FlowRunnerNode *node = &runner->nodes[i];
        if (node->is_set_up && node->node.type->cleanup)
            node->node.type->cleanup(&node->node);
        node->is_set_up = false;
    }
    flow_timer_stop(&runner->back_off);
    flow_timer_stop(&runner->settle_timer);
}

static FlowLoopState end_state(const FlowRunner *runner)
{
    if (runner->failure.status != FLOW_OK)
        return FLOW_LOOP_FAILED;
    bool completed = runner->producer_is_done || runner->queue_is_drained;
    return completed || !atomic_load(&runner->wish.stop) ? FLOW_LOOP_COMPLETED : FLOW_LOOP_STOPPED;
}

static void end(FlowRunner *runner)
{
    bool completed = runner->producer_is_done || runner->queue_is_drained;
    bool drained = atomic_load(&runner->wish.drain) && !completed && !runner->policy_stop &&
                   !atomic_load(&runner->wish.stop);
    /* A store that was closed under us is the end of the server, not of the loop. */
    drained |= runner->is_lost && runner->failure.status != FLOW_ABORTED;
    runner->end_state = drained ? 0 : end_state(runner);
    atomic_store(&runner->was_drained, drained);
    clean_up(runner);
    runner->phase = FLOW_RUNNER_SAVING;
    if (!runner->is_lost)
        save(runner, runner->end_state, !drained);
}

static void finish(FlowRunner *runner)
{
    FlowLoopState state = runner->end_state;
    if (state != 0 && flow_loop_state_set(&runner->state, state))
        flow_runner__emit_state(runner, state,
                                runner->failure.status == FLOW_OK ? "" : runner->failure.message);
    atomic_store(&runner->state_detail, "");
    flow_runner__events_done(runner);
    /* The last thing that this thread does with the runner: control may free it now. */
    FlowRun *run = runner->run;
    atomic_store(&runner->has_started, true);
    atomic_store_explicit(&runner->has_ended, true, memory_order_release);
    flow_run__poke(run);
}

/* Nothing of any unit is left. */
static bool is_idle(FlowRunner *runner)
{
    return runner->foreground == NULL && runner->asked == NULL && flow_list_empty(&runner->units) &&
           flow_list_empty(&runner->ready);
}

/* Whether the loop is to end, and can. */
static bool ends_now(FlowRunner *runner)
{
    if (is_stopping(runner)) {
        if (runner->drained && !runner->drained_cancelled) {
            runner->drained_cancelled = true;
            flow_store_cancel(flow_engine__store(runner->engine), &runner->drained->op);
        }
        if (!flow_inlet__give_back(&runner->inlet))
            return false;
    } else if (runner->producer_is_done || runner->queue_is_drained) {
        flow_inlet__stop_taking(&runner->inlet);
    } else {
        return false;
    }
    if (!is_idle(runner))
        return false;
    flow_settle__flush(runner);
    return flow_settle__is_clean(runner) && !runner->is_saving && !runner->drained &&
           flow_inlet__is_empty(&runner->inlet);
}

/* ---- the beginning ---- */

static FlowStatus run_constant_form(FlowRunnerNode *node, FlowError *reterr)
{
    if (node->node.form == NULL || !flow_form_is_constant(node->node.form))
        return FLOW_OK;
    FlowFormErrors errors = {0};
    FlowStatus status = flow_form_run(node->node.form, NULL, &node->form_values, &errors);
    node->has_constant_form = status == FLOW_OK;
    if (status != FLOW_OK)
        flow_form_errors_to_error(&errors, reterr);
    flow_form_errors_done(&errors);
    return status;
}

static void restore_states(FlowRunner *runner)
{
    for (size_t s = 0; s < runner->open->state_count; s++)
        for (uint32_t i = 0; i < runner->plan->node_count; i++) {
            FlowRunnerNode *node = &runner->nodes[i];
            if (strcmp(node->node.id, runner->open->states[s].node_id) != 0 ||
                runner->open->states[s].state == NULL)
                continue;
            size_t len;
            const char *text = flow_blob_bytes(runner->open->states[s].state, &len);
            static const FlowJsonLimits limits = {.depth = FLOW_VALUE_MAX_DEPTH};
            if (flow_json_read(text, len, &limits, &node->settled_state, NULL) != FLOW_OK)
                flow_log(FLOW_LOG_ERROR, "a node's stored state can't be read; it begins anew",
                         FLOW_F_STR("run", flow_run__names(runner->run)->run_id),
                         FLOW_F_STR("node", node->node.id));
        }
}

static FlowStatus set_up(FlowRunner *runner, FlowError *reterr)
{
    for (uint32_t i = 0; i < runner->plan->node_count; i++) {
        FlowRunnerNode *node = &runner->nodes[i];
        const FlowNodeType *type = node->node.type;
        node->node.state = node->settled_state;
        FlowStatus status = run_constant_form(node, reterr);
        if (status == FLOW_OK && type->setup) {
            node->is_set_up = true;
            status = type->setup(&node->node, reterr);
        }
        node->is_set_up |= status == FLOW_OK;
        node->node.state = flow_value_null();
        if (status != FLOW_OK) {
            flow_error_set(reterr, status, "SETUP_FAILED", node->node.id, "node %s could not be set up: %s",
                           node->node.id, reterr->message);
            flow_runner__note_failure(runner, i, reterr, "", "");
            return status;
        }
    }
    return FLOW_OK;
}

/* A loop that ended in an earlier life of the server stays ended. */
static bool was_over(FlowRunner *runner)
{
    FlowLoopState state = (FlowLoopState)runner->open->record.state;
    if (!runner->open->record.ended || !flow_loop_state_is_final(state))
        return false;
    runner->end_state = state;
    return true;
}

static void restore(FlowRunner *runner)
{
    const FlowLoopRecord *record = &runner->open->record;
    atomic_store(&runner->counters.done, record->done);
    atomic_store(&runner->counters.filtered, record->filtered);
    atomic_store(&runner->counters.dead_lettered, record->dead_lettered);
    atomic_store(&runner->counters.produced, record->done + record->dead_lettered);
    runner->iterations = record->done + record->dead_lettered;
    if (record->status)
        flow_loop_status__restore(runner, record->status);
    restore_states(runner);
}

static void on_opened(FlowStoreOp *op)
{
    FlowStoreLoopOpen *done = flow_container_of(op, FlowStoreLoopOpen, op);
    FlowRunner *runner = done->context;
    runner->owner = done->owner;
    if (op->error.status != FLOW_OK) {
        runner->failure = op->error;
        runner->end_state = FLOW_LOOP_FAILED;
        atomic_store(&runner->was_drained, op->error.status == FLOW_UNAVAILABLE);
        runner->phase = FLOW_RUNNER_ENDED;
    } else {
        restore(runner);
        if (was_over(runner))
            runner->phase = FLOW_RUNNER_SAVING; /* nothing to save: it is given back */
        else if (set_up(runner, &runner->failure) == FLOW_OK)
            runner->phase = FLOW_RUNNER_WORKING;
        else
            end(runner);
    }
    flow_store_op_done(op);
    free(done);
    runner->open = NULL;
    if (runner->phase == FLOW_RUNNER_WORKING) {
        atomic_store(&runner->has_started, true);
        flow_run__poke(runner->run);
    }
    flow_runner__turn_soon(runner);
}

static void open_loop(FlowRunner *runner)
{
    const FlowRunnerNode *producer = &runner->nodes[0];
    runner->phase = FLOW_RUNNER_OPENING;
    runner->open = flow_new(FlowStoreLoopOpen);
    *runner->open = (FlowStoreLoopOpen){
        .op = {.loop = runner->loop, .done = on_opened},
        .run_id = flow_run__names(runner->run)->run_id,
        .producer_node_id = producer->node.id,
        .producer_type = producer->node.type->name,
        .workflow_revision = runner->revision,
        .requeue_interrupted = runner->config->on_interrupt == FLOW_ON_INTERRUPT_REQUEUE,
        .blocked = on_blocked,
        .context = runner,
    };
    flow_store_loop_open(flow_engine__store(runner->engine), runner->open);
}

/* ---- states ---- */

static FlowLoopState state_now(FlowRunner *runner, const char **ret_detail)
{
    const char *blocked = what_blocks(runner);
    *ret_detail = "";
    if (is_stopping(runner))
        return FLOW_LOOP_STOPPING;
    if (is_held(runner)) {
        *ret_detail = atomic_load(&runner->paused_by_policy) ? "paused by its error policy" : "";
        return FLOW_LOOP_PAUSED;
    }
    if (runner->foreground || !flow_list_empty(&runner->ready))
        return FLOW_LOOP_RUNNING;
    if (blocked) {
        *ret_detail = blocked;
        return FLOW_LOOP_BLOCKED;
    }
    if (runner->asked && runner->asked->call.waiting) {
        *ret_detail = runner->asked->call.waiting;
        return FLOW_LOOP_WAITING;
    }
    if (flow_timer_armed(&runner->back_off)) {
        *ret_detail = "the producer failed";
        return FLOW_LOOP_BACKING_OFF;
    }
    if (runner->reads_queue && runner->inlet.count == 0 && runner->settling_count == 0) {
        *ret_detail = flow_store_queue_name(runner->inlet.queue);
        return FLOW_LOOP_WAITING;
    }
    return FLOW_LOOP_RUNNING;
}

static void show_state(FlowRunner *runner)
{
    const char *detail;
    FlowLoopState state = state_now(runner, &detail);
    atomic_store_explicit(&runner->state_detail, detail, memory_order_release);
    if (flow_loop_state_set(&runner->state, state))
        flow_runner__emit_state(runner, state, detail);
}

/* ---- the turn ---- */

/* How it goes on from here. */
static void decide(FlowRunner *runner)
{
    if (runner->phase == FLOW_RUNNER_WORKING) {
        show_state(runner);
        flow_settle__flush_later(runner);
        if (runner->must_save && !runner->is_saving && !runner->is_lost)
            save(runner, 0, false);
        if (ends_now(runner))
            end(runner);
    }
    if (runner->phase == FLOW_RUNNER_SAVING && !runner->is_saving) {
        runner->phase = FLOW_RUNNER_CLOSING;
        RunnerClose *loop = flow_new(RunnerClose);
        loop->runner = runner;
        loop->op =
            (FlowStoreLoopClose){.op = {.loop = runner->loop, .done = on_closed}, .owner = runner->owner};
        flow_store_loop_close(flow_engine__store(runner->engine), &loop->op);
    }
    flow_runner__events_done(runner);
    if (runner->phase == FLOW_RUNNER_ENDED && !runner->is_turn_posted)
        finish(runner);
}

/* Once a turn: the real clocks. */
static void look_at_clocks(FlowRunner *runner)
{
    const FlowClock *clock = flow_loop_clock(runner->loop);
    runner->now_ns = runner->turn_ns = flow_clock_mono_ns(clock);
    runner->turn_ticks = flow_ticks_now();
    runner->tick_scale = flow_ticks_scale(clock);
    runner->wall_offset_ns = flow_clock_wall_ns(clock) - runner->now_ns;
}

void flow_runner__turn(FlowTask *task)
{
    FlowRunner *runner = flow_container_of(task, FlowRunner, turn_task);
    runner->is_turn_posted = false;
    look_at_clocks(runner);
    take_wishes(runner);
    if (runner->phase == FLOW_RUNNER_NEW)
        open_loop(runner);
    if (runner->phase == FLOW_RUNNER_WORKING) {
        hold(runner);
        work(runner);
        watch_drained(runner);
    }
    decide(runner);
}
