/*
 * settle.c - how ended units reach the store.
 *
 * In the order in which they were produced: so a producer's state that is written with a unit covers exactly the units
 * up to it, and what one loop pushes stays in order. Only where a reader's units have no state between them, each is
 * settled as it ends. A unit that has an input, pushes or a dead letter is a settle of
 * its own. All others are only counted, and their states remembered: that goes along with the next settle, or with one
 * that is made for it after a while, so a loop without queues writes some times a second, however quick it is.
 */
#include "engine/payload.h"
#include "engine/runner_internal.h"

#include <string.h>

#include "value/json.h"

enum { SETTLES_KEPT = 16 }; /* recycled, per runner */
static const int64_t COALESCE_NS = 50 * FLOW_NS_PER_MS;

typedef struct FlowSettle {
    FlowStoreSettle op;
    FlowRunner *runner;
    FlowUnit *unit; /* NULL: only counts and states */
    FlowList link;
    FlowStoreUnit entry;
    FlowDeadLetter letter;
    char code[24];
    FlowStoreHeldPush *pushes;
    uint32_t push_capacity;
    FlowNodeState *states;
    uint32_t state_capacity;
} FlowSettle;

/* ---- node states ---- */

static bool encode_state(const void *attachment, FlowBuf *to)
{
    const FlowValue *state = attachment;
    return flow_json_write(*state, to, FLOW_JSON_WRITE_NONFINITE_NULL, NULL) == FLOW_OK;
}

static void free_state(void *attachment)
{
    FlowValue *state = attachment;
    flow_value_unref(*state);
    free(state);
}

static void remember_states(FlowUnit *unit)
{
    FlowRunner *runner = unit->runner;
    for (uint32_t i = 0; i < unit->state_count; i++) {
        FlowRunnerNode *node = &runner->nodes[unit->states[i].node];
        flow_value_assign_take(&node->settled_state, flow_value_steal(&unit->states[i].state));
        node->is_state_dirty = runner->states_dirty = true;
    }
    unit->state_count = 0;
}

/* All that have changed since the last settle; encoded only if they are still the last ones when the store writes. */
static uint32_t gather_states(FlowRunner *runner, FlowSettle *settle)
{
    uint32_t count = 0;
    if (!runner->states_dirty)
        return 0;
    for (uint32_t i = 0; i < runner->plan->node_count; i++) {
        FlowRunnerNode *node = &runner->nodes[i];
        if (!node->is_state_dirty)
            continue;
        node->is_state_dirty = false;
        FlowBlob *blob = NULL;
        if (!flow_value_is_null(node->settled_state)) {
            FlowValue *copy = flow_malloc(sizeof *copy);
            *copy = flow_value_ref(node->settled_state);
            blob = flow_blob_lazy(encode_state, copy, free_state);
        }
        settle->states = flow_grown(settle->states, count, &settle->state_capacity, sizeof *settle->states);
        settle->states[count++] = (FlowNodeState){node->node.id, blob};
    }
    runner->states_dirty = false;
    return count;
}

/* ---- making a settle ---- */

static FlowSettle *make_settle(FlowRunner *runner)
{
    FlowList *link = flow_list_pop_front(&runner->free_settles);
    FlowSettle *settle = link ? flow_list_entry(link, FlowSettle, link) : flow_new(FlowSettle);
    runner->free_settle_count -= link != NULL;
    settle->runner = runner;
    flow_list_init(&settle->link);
    return settle;
}

static void drop_settle(FlowSettle *settle)
{
    free(settle->pushes);
    free(settle->states);
    free(settle);
}

static void free_settle(FlowSettle *settle)
{
    FlowRunner *runner = settle->runner;
    for (size_t i = 0; i < settle->op.state_count; i++)
        flow_blob_unref(settle->states[i].state);
    if (settle->entry.dead_letter) {
        flow_blob_unref(settle->letter.payload);
        flow_blob_unref(settle->letter.form);
        flow_blob_unref(settle->letter.details);
        settle->letter = (FlowDeadLetter){0};
    }
    settle->entry = (FlowStoreUnit){0};
    if (settle->unit)
        flow_unit__free(settle->unit);
    settle->unit = NULL;
    if (runner->free_settle_count < SETTLES_KEPT) {
        runner->free_settle_count++;
        flow_list_push_front(&runner->free_settles, &settle->link);
    } else {
        drop_settle(settle);
    }
}

static FlowBlob *as_json(FlowValue value)
{
    FlowBuf text;
    flow_buf_init(&text, FLOW_PAYLOAD_JSON_MAX);
    flow_json_write(value, &text, FLOW_JSON_WRITE_NONFINITE_NULL, NULL);
    FlowBlob *blob = flow_blob_take(&text);
    flow_buf_done(&text);
    return blob;
}

/* A payload that is no JSON (a NaN in it) is what the unit failed for: then null stands in its place. */
static FlowBlob *letter_payload(const FlowUnit *unit)
{
    const FlowUnitFailure *failure = unit->failure;
    FlowBlob *body;
    FlowError error;
    if (unit->delivery && flow_payload_is(unit->delivery->body, failure->data, failure->metadata))
        return flow_blob_ref(unit->delivery->body);
    if (flow_payload_encode(failure->data, failure->metadata, &body, &error) == FLOW_OK)
        return body;
    FlowMember members[] = {{flow_value_string("data"), flow_value_ref(failure->data)},
                            {flow_value_string("metadata"), flow_value_ref(failure->metadata)}};
    FlowValue whole;
    if (flow_object_from_take(members, FLOW_COUNT(members), &whole, NULL) != FLOW_OK)
        return flow_blob_new("{\"data\":{},\"metadata\":{}}", 25);
    body = as_json(whole);
    flow_value_unref(whole);
    return body ? body : flow_blob_new("{\"data\":{},\"metadata\":{}}", 25);
}

/* {"can_redrive_to_node": bool}: what redriving asks. */
static FlowBlob *letter_details(const FlowUnitFailure *failure)
{
    return failure->can_redrive_to_node ? flow_blob_new("{\"can_redrive_to_node\":true}", 28)
                                        : flow_blob_new("{\"can_redrive_to_node\":false}", 29);
}

static void fill_letter(FlowSettle *settle)
{
    FlowUnit *unit = settle->unit;
    FlowRunner *runner = settle->runner;
    const FlowUnitFailure *failure = unit->failure;
    const FlowRunnerNode *node = &runner->nodes[failure->node];
    const FlowRunNames *names = flow_run__names(runner->run);
    flow_unit__id(unit);
    settle->letter = (FlowDeadLetter){
        .id = failure->id,
        .workflow_id = names->workflow_id,
        .workflow_name = names->workflow_name,
        .run_id = names->run_id,
        .producer_node_id = runner->nodes[0].node.id,
        .node_id = node->node.id,
        .node_type = node->node.type->name,
        .workflow_revision = runner->revision,
        .queue = unit->delivery ? flow_store_queue_name(unit->delivery->queue) : "",
        .delivery_id = unit->delivery ? unit->delivery->id : 0,
        .reason = failure->error.reason,
        .code = flow_status_name(failure->error.status),
        .message = failure->error.message,
        .fingerprint = failure->fingerprint,
        .payload_id = flow_value_text(&unit->id),
        .payload = letter_payload(unit),
        .input = unit->delivery ? unit->delivery->body : NULL,
        .form = as_json(failure->form),
        .details = letter_details(failure),
        .time_ns = failure->time_ns,
        .redrives = unit->delivery ? unit->delivery->redrives : 0,
    };
    settle->entry.dead_letter = &settle->letter;
}

static bool is_filtered(const FlowUnit *unit)
{
    return unit->ended_wanted && !unit->ended_kept && unit->push_count == 0;
}

static FlowUnitOutcome outcome_of(const FlowUnit *unit)
{
    if (unit->failure)
        return FLOW_UNIT_DEAD_LETTERED;
    return is_filtered(unit) ? FLOW_UNIT_FILTERED : FLOW_UNIT_DONE;
}

static void count_unit(FlowUnit *unit)
{
    FlowLoopCounters *counters = &unit->runner->counters;
    FlowUnitOutcome outcome = outcome_of(unit);
    flow_count(outcome == FLOW_UNIT_DEAD_LETTERED ? &counters->dead_lettered : &counters->done);
    if (outcome == FLOW_UNIT_FILTERED)
        flow_count(&counters->filtered);
    flow_runner__emit_unit(unit, outcome);
}

static void on_settled(FlowStoreOp *op);

static void submit(FlowSettle *settle)
{
    FlowRunner *runner = settle->runner;
    FlowUnit *unit = settle->unit;
    uint32_t pushes = unit && !unit->failure ? unit->push_count : 0;
    for (uint32_t i = 0; i < pushes; i++) {
        const FlowUnitPush *push = &unit->pushes[i];
        settle->pushes = flow_grown(settle->pushes, i, &settle->push_capacity, sizeof *settle->pushes);
        settle->pushes[i] =
            (FlowStoreHeldPush){push->queue, {.payload_id = flow_value_text(&unit->id), .body = push->body}};
    }
    settle->op = (FlowStoreSettle){
        .op = {.loop = runner->loop, .done = on_settled},
        .owner = runner->owner,
        .units = unit ? &settle->entry : NULL,
        .unit_count = unit ? 1 : 0,
        .plain_done = runner->plain_done,
        .plain_filtered = runner->plain_filtered,
        .pushes = settle->pushes,
        .push_count = pushes,
    };
    settle->op.state_count = gather_states(runner, settle);
    settle->op.states = settle->states;
    runner->plain_done = runner->plain_filtered = 0;
    flow_timer_stop(&runner->settle_timer);
    runner->settling_count++;
    flow_store_settle(flow_engine__store(runner->engine), &settle->op);
}

static void settle_unit(FlowUnit *unit)
{
    FlowSettle *settle = make_settle(unit->runner);
    settle->unit = unit;
    if (unit->push_count > 0)
        flow_unit__id(unit);
    settle->entry = (FlowStoreUnit){.input = unit->delivery, .outcome = outcome_of(unit)};
    if (unit->failure)
        fill_letter(settle);
    remember_states(unit);
    submit(settle);
}

/* Takes a unit that has ended out of the list. */
static void settle(FlowUnit *unit)
{
    FlowRunner *runner = unit->runner;
    flow_list_remove(&unit->link);
    if (!runner->is_lost && (unit->delivery || unit->push_count > 0 || unit->failure)) {
        settle_unit(unit);
        return;
    }
    if (!runner->is_lost) {
        runner->plain_done++;
        runner->plain_filtered += is_filtered(unit);
        if (unit->state_count > 0)
            remember_states(unit);
        count_unit(unit);
    }
    flow_unit__free(unit);
}

void flow_settle__ended(FlowUnit *unit)
{
    FlowRunner *runner = unit->runner;
    /* Deliveries don't depend on each other, as long as no node keeps a state that the order goes into. */
    if (runner->reads_queue && !runner->has_states) {
        settle(unit);
        return;
    }
    runner->waiting_count++;
    while (!flow_list_empty(&runner->units)) {
        FlowUnit *oldest = flow_list_entry(runner->units.next, FlowUnit, link);
        if (!oldest->has_ended)
            return;
        runner->waiting_count--;
        settle(oldest);
    }
}

/* ---- what is only counted ---- */

bool flow_settle__is_clean(const FlowRunner *runner)
{
    return runner->settling_count == 0 &&
           (runner->is_lost || (runner->plain_done == 0 && !runner->states_dirty));
}

void flow_settle__flush(FlowRunner *runner)
{
    if (!runner->is_lost && (runner->plain_done > 0 || runner->states_dirty))
        submit(make_settle(runner));
}

void flow_settle__flush_later(FlowRunner *runner)
{
    if ((runner->plain_done > 0 || runner->states_dirty) && runner->settling_count == 0 &&
        !flow_timer_armed(&runner->settle_timer))
        flow_timer_start(&runner->settle_timer, COALESCE_NS);
}

void flow_settle__on_timer(FlowTimer *timer)
{
    FlowRunner *runner = flow_container_of(timer, FlowRunner, settle_timer);
    flow_settle__flush(runner);
}

/* ---- the store has answered ---- */

static void on_settled(FlowStoreOp *op)
{
    FlowStoreSettle *done = flow_container_of(op, FlowStoreSettle, op);
    FlowSettle *settle = flow_container_of(done, FlowSettle, op);
    FlowRunner *runner = settle->runner;
    runner->settling_count--;
    if (op->error.status != FLOW_OK)
        flow_runner__store_failed(runner, &op->error);
    else if (settle->unit)
        count_unit(settle->unit);
    flow_store_op_done(op);
    free_settle(settle);
    flow_runner__turn_soon(runner);
}

void flow_settle__done(FlowRunner *runner)
{
    FlowList *link;
    while ((link = flow_list_pop_front(&runner->free_settles)))
        drop_settle(flow_list_entry(link, FlowSettle, link));
}
