/*
 * runner_units.c - how units begin and what their ends mean to the loop: deliveries, the producer and its back-off,
 * failures and the policy for them.
 */
#include <string.h>

#include "base/log.h"
#include "engine/payload.h"
#include "engine/runner_internal.h"

enum { FIRST_MEMBERS = 4 };
static const int64_t FIRST_BACK_OFF_NS = 100 * FLOW_NS_PER_MS, LAST_BACK_OFF_NS = 30 * FLOW_NS_PER_S;

/* ---- beginning ---- */

static void list_unit(FlowUnit *unit)
{
    FlowRunner *runner = unit->runner;
    unit->is_listed = true;
    unit->iteration = ++runner->iterations;
    flow_list_push_back(&runner->units, &unit->link);
    flow_count(&runner->counters.produced);
}

static FlowStrand *begin(FlowRunner *runner, uint32_t at, FlowValue data_take, FlowValue metadata_take)
{
    FlowUnit *unit = flow_unit__new(runner);
    unit->began_ns = runner->now_ns;
    unit->in_foreground = true;
    runner->foreground = unit;
    if (unit->ways)
        unit->ways[0] = (FlowWay){0, 0};
    return flow_strand__new(unit, at, data_take, metadata_take);
}

/*
 * A unit that begins with a delivery. A reader's start() passes it on; in the entry of another producer it is a payload
 * which that producer made once, and goes on from there. NULL: it was no payload, and is a dead letter already.
 */
static FlowStrand *begin_delivery(FlowRunner *runner, FlowDelivery *delivery_take)
{
    FlowValue data = flow_value_object(), metadata = flow_value_object();
    FlowError error;
    FlowStatus status = flow_payload_decode(delivery_take->body, &data, &metadata, &error);
    FlowStrand *strand = begin(runner, 0, data, metadata);
    FlowUnit *unit = strand->unit;
    flow_delivery_start(delivery_take);
    unit->delivery = delivery_take;
    unit->id = flow_value_string(delivery_take->payload_id);
    list_unit(unit);
    if (status != FLOW_OK) {
        flow_unit__cancel(unit, &error);
        return NULL;
    }
    if (!runner->reads_queue)
        flow_strand__branch(strand, 0, 0, flow_value_steal(&strand->data),
                            flow_value_steal(&strand->metadata));
    return strand;
}

FlowStrand *flow_runner__begin_unit(FlowRunner *runner)
{
    FlowDelivery *delivery;
    while ((delivery = flow_inlet__next(&runner->inlet))) {
        FlowStrand *strand = begin_delivery(runner, delivery);
        if (strand)
            return strand;
    }
    if (runner->reads_queue || runner->producer_is_done || runner->asked ||
        flow_timer_armed(&runner->back_off))
        return NULL;
    /* What was redriven while the loop was not running comes first. */
    if (!runner->inlet.has_looked)
        return NULL;
    FlowValue data = flow_value_object();
    /* Room for what the first few nodes add, so that the object doesn't have to grow under each of them. */
    if (runner->nodes[0].node.type->output_key)
        flow_object_reserve(&data, FIRST_MEMBERS, NULL);
    return begin(runner, 0, data, flow_value_object());
}

/* ---- ending ---- */

void flow_runner__foreground_left(FlowUnit *unit)
{
    FlowRunner *runner = unit->runner;
    if (!unit->in_foreground)
        return;
    unit->in_foreground = false;
    runner->foreground = NULL;
    if (!flow_list_empty(&unit->strands)) {
        unit->in_background = true;
        runner->in_background++;
    }
}

void flow_runner__unit_ended(FlowUnit *unit)
{
    FlowRunner *runner = unit->runner;
    if (unit->in_background) {
        unit->in_background = false;
        runner->in_background--;
    }
    if (!unit->is_listed) {
        flow_unit__free(unit);
        return;
    }
    unit->has_ended = true;
    if (unit->failure == NULL)
        runner->failures_in_row = 0;
    flow_settle__ended(unit);
}

void flow_runner__note_failure(FlowRunner *runner, uint32_t node, const FlowError *error,
                               const char *dead_letter_id, const char *fingerprint)
{
    pthread_mutex_lock(&runner->failures_lock);
    FlowFailureNote *note = runner->failures[node];
    if (note == NULL)
        note = runner->failures[node] = flow_new(FlowFailureNote);
    note->time_ns = runner->now_ns + runner->wall_offset_ns;
    note->code = error->status;
    strcpy(note->reason, error->reason);
    strcpy(note->message, error->message);
    strcpy(note->dead_letter_id, dead_letter_id);
    strcpy(note->fingerprint, fingerprint);
    runner->last_failed = node;
    pthread_mutex_unlock(&runner->failures_lock);
}

/* What the loop does about a failure, by its policy. */
static void apply_policy(FlowRunner *runner, const char *node_id, const FlowError *error)
{
    const FlowNodeConfig *config = runner->config;
    runner->failures_in_row++;
    if (config->on_error == FLOW_ON_ERROR_STOP && !runner->policy_stop) {
        runner->policy_stop = true;
        runner->failure = *error;
        flow_error_set(&runner->failure, error->status, error->reason, node_id,
                       "node %s failed and on_error is \"stop\": %s", node_id, error->message);
    }
    bool too_many = config->error_threshold > 0 && runner->failures_in_row >= config->error_threshold;
    if (config->on_error == FLOW_ON_ERROR_PAUSE || too_many)
        atomic_store(&runner->paused_by_policy, true);
}

void flow_runner__unit_failed(FlowUnit *unit)
{
    FlowRunner *runner = unit->runner;
    FlowUnitFailure *failure = unit->failure;
    const FlowRunnerNode *node = &runner->nodes[failure->node];
    failure->time_ns = runner->now_ns + runner->wall_offset_ns;
    flow_uuid_make(failure->time_ns, failure->id);
    flow_dead_letter_fingerprint(failure->error.reason, flow_run__names(runner->run)->workflow_id,
                                 node->node.id, failure->error.message, failure->fingerprint);
    flow_runner__note_failure(runner, failure->node, &failure->error, failure->id, failure->fingerprint);
    flow_log(FLOW_LOG_WARNING, failure->error.message,
             FLOW_F_STR("run", flow_run__names(runner->run)->run_id), FLOW_F_STR("node", node->node.id),
             FLOW_F_STR("reason", failure->error.reason), FLOW_F_STR("dead_letter", failure->id),
             FLOW_F_STR("fingerprint", failure->fingerprint));
    if (strcmp(failure->error.reason, "CANCELLED") != 0)
        apply_policy(runner, node->node.id, &failure->error);
}

/* ---- the producer ---- */

static void producer_failed(FlowRunner *runner, const FlowError *error)
{
    char fingerprint[FLOW_FINGERPRINT_TEXT];
    const char *node_id = runner->nodes[0].node.id;
    FlowError failure = *error;
    if (failure.reason[0] == '\0')
        strcpy(failure.reason, "NODE_FAILED");
    flow_dead_letter_fingerprint(failure.reason, flow_run__names(runner->run)->workflow_id, node_id,
                                 failure.message, fingerprint);
    flow_runner__note_failure(runner, 0, &failure, "", fingerprint);
    runner->back_off_ns = runner->back_off_ns == 0 ? FIRST_BACK_OFF_NS : runner->back_off_ns * 2;
    if (runner->back_off_ns > LAST_BACK_OFF_NS)
        runner->back_off_ns = LAST_BACK_OFF_NS;
    flow_timer_start(&runner->back_off, runner->back_off_ns);
    flow_log(FLOW_LOG_WARNING, failure.message, FLOW_F_STR("run", flow_run__names(runner->run)->run_id),
             FLOW_F_STR("node", node_id), FLOW_F_STR("reason", failure.reason),
             FLOW_F_STR("fingerprint", fingerprint),
             FLOW_F_FLOAT("next_try_s", (double)runner->back_off_ns / 1e9));
    apply_policy(runner, node_id, &failure);
}

bool flow_runner__produced(FlowStrand *strand, FlowNodeOutcome outcome)
{
    FlowRunner *runner = strand->runner;
    FlowUnit *unit = strand->unit;
    FlowNodeCall *call = &strand->call;
    if (outcome != FLOW_NODE_COMPLETED && outcome != FLOW_NODE_FAILED && outcome != FLOW_RUNNER_WITHDRAWN) {
        list_unit(unit);
        runner->back_off_ns = 0;
        return true;
    }
    if (outcome == FLOW_NODE_COMPLETED) {
        runner->producer_is_done = true;
        if (call->has_state) {
            flow_value_assign_take(&runner->nodes[0].settled_state, flow_value_steal(&call->out_state));
            runner->nodes[0].is_state_dirty = runner->states_dirty = true;
        }
    } else if (outcome == FLOW_NODE_FAILED) {
        producer_failed(runner, &call->error);
    }
    flow_strand__free(strand);
    flow_runner__unit_ended(unit);
    return false;
}

/* What waits at the entry meanwhile may go first. */
void flow_runner__wait_for_producer(FlowStrand *strand)
{
    FlowRunner *runner = strand->runner;
    strand->unit->in_foreground = false;
    runner->foreground = NULL;
    runner->asked = strand;
}

FlowStrand *flow_runner__take_producer(FlowRunner *runner)
{
    FlowStrand *strand = runner->asked;
    if (strand == NULL || strand->state != FLOW_STRAND_FINISHED)
        return NULL;
    runner->asked = NULL;
    runner->foreground = strand->unit;
    strand->unit->in_foreground = true;
    return strand;
}
