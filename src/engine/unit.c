/*
 * unit.c - a unit's walk through its loop's plan: depth first, in edge order.
 *
 * A strand executes one node after another. The targets of a branch go on the strand's stack in reverse order, except
 * for a single one, which the strand goes on with at once. Where a way reaches a non-blocking node, the rest of it
 * becomes a strand of its own, in the background. Nothing here calls itself, whatever the graph looks like.
 *
 * Joins and dead paths: unit_join.c. Bodies of for-each nodes: unit_each.c. Making and recycling: unit_memory.c.
 */
#include "engine/runner_internal.h"

#include <string.h>

/* ---- failing ---- */

static FlowValue masked_form(FlowStrand *strand)
{
    FlowRunnerNode *node = &strand->runner->nodes[strand->at];
    if (!flow_value_is_null(strand->rendered))
        return flow_value_ref(strand->rendered);
    if (strand->owns_form_values)
        return flow_form_values_object(&strand->form_values, true);
    if (node->has_constant_form)
        return flow_form_values_object(&node->form_values, true);
    return flow_value_object();
}

static void note_failure(FlowStrand *strand, const FlowError *error)
{
    FlowUnit *unit = strand->unit;
    FlowUnitFailure *failure = flow_new(FlowUnitFailure);
    failure->node = strand->at;
    failure->error = *error;
    if (failure->error.reason[0] == '\0')
        strcpy(failure->error.reason, "NODE_FAILED");
    failure->form = masked_form(strand);
    failure->data = flow_value_ref(strand->data);
    failure->metadata = flow_value_ref(strand->metadata);
    failure->can_redrive_to_node = !unit->has_forked && strand->frame_count == 0 && unit->push_count == 0;
    unit->failure = failure;
    flow_runner__unit_failed(unit);
}

/* Those that only wait end at once, those with an open call when that has ended. */
static void drop_strands(FlowUnit *unit)
{
    FLOW_LIST_FOR_EACH(link, &unit->strands)
    {
        FlowStrand *strand = flow_list_entry(link, FlowStrand, unit_link);
        if (strand->state == FLOW_STRAND_OPEN)
            flow_strand__cancel(strand);
        else if (strand->state != FLOW_STRAND_FINISHED)
            flow_strand__free(strand);
    }
}

/* `strand` is in no list and has no open call, or is NULL (the unit is cancelled from outside). */
static void fail(FlowUnit *unit, FlowStrand *strand, const FlowError *error)
{
    if (strand && unit->failure == NULL)
        note_failure(strand, error);
    if (strand)
        flow_strand__free(strand);
    drop_strands(unit);
    if (flow_list_empty(&unit->strands))
        flow_runner__unit_ended(unit);
}

/* A strand with a node in hand: what the unit is doing. */
static FlowStrand *busy_strand(FlowUnit *unit)
{
    FlowStrand *busy = NULL;
    FLOW_LIST_FOR_EACH(link, &unit->strands)
    {
        FlowStrand *strand = flow_list_entry(link, FlowStrand, unit_link);
        if (strand->at != FLOW_GRAPH_NONE && (busy == NULL || strand->state == FLOW_STRAND_OPEN))
            busy = strand;
    }
    return busy;
}

void flow_unit__cancel(FlowUnit *unit, const FlowError *error)
{
    if (unit->failure || flow_list_empty(&unit->strands))
        return;
    FlowStrand *strand = busy_strand(unit);
    if (strand == NULL) {
        /* Between two nodes: it counts as the producer's. */
        strand = flow_list_entry(unit->strands.next, FlowStrand, unit_link);
        strand->at = 0;
    }
    note_failure(strand, error);
    fail(unit, NULL, NULL);
}

void flow_strand__cancel(FlowStrand *strand)
{
    FlowNodeCall *call = &strand->call;
    if (strand->state != FLOW_STRAND_OPEN || call->cancelled)
        return;
    call->cancelled = true;
    if (call->node->type->cancel)
        call->node->type->cancel(call);
}

void flow_strand__timed_out(FlowTimer *timer)
{
    FlowStrand *strand = flow_container_of(timer, FlowStrand, timeout);
    strand->timed_out = true;
    flow_strand__cancel(strand);
    flow_runner__turn_soon(strand->runner);
}

/* ---- executing a node ---- */

/* True when the call has its form; otherwise call->error says what is wrong with it. */
static bool run_form(FlowStrand *strand, FlowRunnerNode *node)
{
    FlowNodeCall *call = &strand->call;
    if (node->node.form == NULL || node->has_constant_form) {
        call->form = node->node.form ? &node->form_values : NULL;
        return true;
    }
    FlowFormErrors errors = {0};
    call->form = &strand->form_values;
    strand->owns_form_values =
        flow_form_run(node->node.form, &strand->context, &strand->form_values, &errors) == FLOW_OK;
    if (!strand->owns_form_values) {
        flow_form_errors_to_error(&errors, &call->error);
        strand->rendered = flow_value_ref(errors.rendered);
    }
    flow_form_errors_done(&errors);
    return strand->owns_form_values;
}

static FlowNodeOutcome execute(FlowStrand *strand)
{
    FlowRunner *runner = strand->runner;
    FlowRunnerNode *node = &runner->nodes[strand->at];
    const FlowNodeType *type = node->node.type;
    FlowNodeCall *call = &strand->call;

    flow_strand__reset_call(call);
    call->node = &node->node;
    call->data = strand->vars[FLOW_VAR_DATA].value = strand->data;
    call->metadata = strand->vars[FLOW_VAR_METADATA].value = strand->metadata;
    strand->began_ns = runner->now_ns;
    flow_count(&node->counters->started);
    if (flow_runner__listens(runner, FLOW_EVENT_NODE_STARTED))
        flow_runner__emit_node_started(strand);
    if (!run_form(strand, node))
        return FLOW_NODE_FAILED;
    if (type->call_size > 0)
        memset(strand->memory, 0, type->call_size);

    strand->state = FLOW_STRAND_STARTING;
    FlowNodeOutcome outcome = type->start(call);
    if (outcome != FLOW_NODE_PENDING) {
        strand->state = FLOW_STRAND_READY;
        return outcome;
    }
    strand->state = FLOW_STRAND_OPEN;
    if (!strand->unit->is_listed)
        flow_runner__wait_for_producer(strand);
    if (node->plan->def->config.timeout_ns > 0 && strand->at != 0)
        flow_timer_start(&strand->timeout, node->plan->def->config.timeout_ns);
    return outcome;
}

/* The host's slot `finished`. */
void flow_strand__finished(FlowNodeCall *call, FlowNodeOutcome outcome)
{
    FlowStrand *strand = flow_container_of(call, FlowStrand, call);
    flow_loop_assert(strand->runner->loop);
    flow_timer_stop(&strand->timeout);
    strand->state = FLOW_STRAND_FINISHED;
    strand->outcome = outcome;
    /* A producer that was waited for gets its turn when the foreground is free. */
    if (strand != strand->runner->asked)
        flow_list_push_back(&strand->runner->ready, &strand->link);
    flow_runner__turn_soon(strand->runner);
}

/* ---- one node at a time ---- */

/* False: the strand waits for its turn. */
static bool acquire(FlowStrand *strand)
{
    FlowRunnerNode *node = &strand->runner->nodes[strand->at];
    if (!(node->node.type->flags & FLOW_NODE_ONE_AT_A_TIME) || node->busy == strand)
        return true;
    if (node->busy) {
        strand->state = FLOW_STRAND_QUEUED;
        flow_list_push_back(&node->waiting, &strand->link);
        return false;
    }
    node->busy = strand;
    return true;
}

void flow_strand__give_way(FlowRunnerNode *node)
{
    FlowList *link = flow_list_pop_front(&node->waiting);
    node->busy = link ? flow_list_entry(link, FlowStrand, link) : NULL;
    if (node->busy) {
        node->busy->state = FLOW_STRAND_READY;
        flow_list_push_back(&node->runner->ready, link);
    }
}

/* ---- going on ---- */

void flow_strand__push(FlowStrand *strand, uint32_t edge, uint32_t join, FlowValue data_take,
                       FlowValue metadata_take)
{
    FlowPending *pending =
        flow_grown(strand->pending, strand->pending_count, &strand->pending_capacity, sizeof *pending);
    strand->pending = pending;
    pending[strand->pending_count++] = (FlowPending){edge, join, data_take, metadata_take};
}

void flow_strand__set(FlowStrand *strand, uint32_t node, FlowValue data_take, FlowValue metadata_take)
{
    strand->at = node;
    flow_value_assign_take(&strand->data, data_take);
    flow_value_assign_take(&strand->metadata, metadata_take);
}

/*
 * The strand has a non-blocking node in hand: the producer doesn't wait for what comes now. What else the strand has
 * to do is not behind that node, so it stays with it, and the node gets a strand of its own, which goes first. False
 * when it did so.
 */
static bool cross_boundary(FlowStrand *strand)
{
    FlowRunner *runner = strand->runner;
    if (strand->pending_count == 0) {
        if (!strand->in_background) {
            strand->in_background = true;
            flow_runner__foreground_left(strand->unit);
        }
        return true;
    }
    FlowStrand *other = flow_strand__new(strand->unit, strand->at, flow_value_steal(&strand->data),
                                         flow_value_steal(&strand->metadata));
    other->in_background = true;
    strand->at = FLOW_GRAPH_NONE;
    flow_list_push_front(&runner->ready, &strand->link);
    flow_list_push_front(&runner->ready, &other->link);
    return false;
}

/* Follows an edge, or goes into a join. The node in hand stays FLOW_GRAPH_NONE where a join isn't complete yet. */
static FlowStatus take_pending(FlowStrand *strand, FlowError *reterr)
{
    FlowPending pending = strand->pending[--strand->pending_count];
    uint32_t join = pending.join;
    if (pending.edge != FLOW_GRAPH_NONE) {
        const FlowPlanEdge *edge = &strand->runner->plan->edges[pending.edge];
        if (edge->slot == FLOW_GRAPH_NONE) {
            flow_join__way(strand->unit, edge->target, edge->source);
            flow_strand__set(strand, edge->target, pending.data, pending.metadata);
            return FLOW_OK;
        }
        if (!flow_join__reach(strand->unit, edge, pending.data, pending.metadata))
            return FLOW_OK;
        join = edge->target;
    }
    strand->at = join;
    return flow_join__enter(strand, join, reterr);
}

/* A branch was taken with this payload; the node `at` is no longer in hand. */
void flow_strand__branch(FlowStrand *strand, uint32_t at, uint32_t branch, FlowValue data_take,
                         FlowValue metadata_take)
{
    FlowUnit *unit = strand->unit;
    const FlowPlanBranch *taken = &strand->runner->plan->nodes[at].branches[branch];
    uint32_t targets = taken->edge_end - taken->edge_first;

    strand->at = FLOW_GRAPH_NONE;
    if (targets == 0) {
        if (strand->frame_count > 0) {
            flow_each__end(strand, at, data_take, metadata_take);
            return;
        }
        unit->ended_kept = true;
        flow_value_unref(data_take);
        flow_value_unref(metadata_take);
        return;
    }
    if (targets > 1) {
        unit->has_forked = true;
        flow_join__keep(unit, at, data_take, metadata_take);
    }
    for (uint32_t e = taken->edge_end; e-- > taken->edge_first;) {
        bool last = e == taken->edge_first;
        flow_strand__push(strand, e, FLOW_GRAPH_NONE, last ? data_take : flow_value_ref(data_take),
                          last ? metadata_take : flow_value_ref(metadata_take));
    }
}

/* What a DONE call gives goes on by its branch; the other branches are dead. */
static void go_on(FlowStrand *strand)
{
    FlowRunner *runner = strand->runner;
    FlowNodeCall *call = &strand->call;
    uint32_t at = strand->at;
    const FlowPlanNode *node = &runner->plan->nodes[at];
    const FlowPlanBranch *taken = &node->branches[call->branch];
    if (call->has_data)
        flow_value_assign_take(&strand->data, flow_value_steal(&call->out_data));
    if (call->has_metadata)
        flow_value_assign_take(&strand->metadata, flow_value_steal(&call->out_metadata));

    if (taken->edge_end - taken->edge_first == 1 && !runner->has_ways) {
        strand->at = runner->plan->edges[taken->edge_first].target;
        return;
    }
    FlowValue data = flow_value_steal(&strand->data), metadata = flow_value_steal(&strand->metadata);
    flow_strand__branch(strand, at, call->branch, data, metadata);
    if (node->dead_first != node->dead_end)
        for (uint32_t b = 0; b < node->def->branch_count; b++)
            if (b != call->branch)
                flow_join__kill(strand, node->branches[b].dead_first, node->branches[b].dead_end);
}

/* Nothing leaves the node: its branch ends here. */
static void end_branch(FlowStrand *strand, bool filtered)
{
    FlowUnit *unit = strand->unit;
    const FlowPlanNode *node = &strand->runner->plan->nodes[strand->at];
    uint32_t at = strand->at;
    strand->at = FLOW_GRAPH_NONE;
    if (strand->frame_count > 0 && !filtered) {
        flow_each__end(strand, at, flow_value_steal(&strand->data), flow_value_steal(&strand->metadata));
    } else if (strand->frame_count == 0) {
        unit->ended_kept |= !filtered;
        unit->ended_wanted |= filtered;
        flow_value_clear(&strand->data);
        flow_value_clear(&strand->metadata);
    }
    flow_join__kill(strand, node->dead_first, node->dead_end);
}

/* Gives what a node answered a meaning that holds for all of them. */
static FlowNodeOutcome judge(FlowStrand *strand, FlowNodeOutcome outcome, int64_t took_ns)
{
    FlowNodeCall *call = &strand->call;
    const FlowRunnerNode *node = &strand->runner->nodes[strand->at];
    int64_t timeout_ns = node->plan->def->config.timeout_ns;
    if (strand->timed_out || (timeout_ns > 0 && took_ns > timeout_ns && strand->at != 0)) {
        flow_error_set(&call->error, FLOW_DEADLINE_EXCEEDED, "TIMEOUT", node->node.id,
                       "the node took longer than its timeout of %.3g s", (double)timeout_ns / 1e9);
        return FLOW_NODE_FAILED;
    }
    if (outcome == FLOW_NODE_DONE && call->branch >= node->plan->def->branch_count) {
        flow_error_set(&call->error, FLOW_INTERNAL, "NODE_FAILED", node->node.id,
                       "the node type %s took branch %u of %u; this is a fault of the node type",
                       node->node.type->name, call->branch, node->plan->def->branch_count);
        return FLOW_NODE_FAILED;
    }
    size_t size = outcome != FLOW_NODE_DONE ? 0
                  : call->has_result        ? flow_value_size(strand->data) + flow_value_size(call->result)
                  : call->has_data          ? flow_value_size(call->out_data)
                                            : 0;
    if (size > FLOW_PAYLOAD_BYTES_MAX) {
        flow_error_set(
            &call->error, FLOW_RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE", node->node.id,
            "the node's output takes %zu bytes, more than the %d that a payload may have; pass less on", size,
            FLOW_PAYLOAD_BYTES_MAX);
        return FLOW_NODE_FAILED;
    }
    if (outcome == FLOW_NODE_DONE && call->has_result) {
        /* On failure the input stays as it was. */
        FlowStatus status = flow_object_add_unique_take(&strand->data, call->result_key,
                                                        flow_value_steal(&call->result), NULL, &call->error);
        flow_value_clear(&call->result_key);
        call->has_result = false;
        if (status != FLOW_OK)
            return FLOW_NODE_FAILED;
    }
    if (outcome == FLOW_NODE_PENDING || (outcome == FLOW_NODE_COMPLETED && strand->at != 0)) {
        flow_error_set(&call->error, FLOW_INTERNAL, "NODE_FAILED", node->node.id,
                       "the node type %s ended with an outcome that it may not give", node->node.type->name);
        return FLOW_NODE_FAILED;
    }
    return outcome;
}

static void release_form(FlowStrand *strand)
{
    if (strand->owns_form_values) {
        flow_form_values_done(&strand->form_values);
        strand->owns_form_values = false;
    }
}

/* The call has ended. False when the strand is gone. */
static bool conclude(FlowStrand *strand, FlowNodeOutcome outcome)
{
    FlowRunner *runner = strand->runner;
    FlowUnit *unit = strand->unit;
    FlowNodeCall *call = &strand->call;
    FlowRunnerNode *node = &runner->nodes[strand->at];
    int64_t took_ns = flow_runner__look_at_clock(runner) - strand->began_ns;

    outcome = judge(strand, outcome, took_ns);
    flow_strand__release(strand);
    /* A producer that was asked to end because the loop pauses or stops has not failed. */
    if (outcome == FLOW_NODE_FAILED && strand->at == 0 && !unit->is_listed && call->cancelled)
        outcome = FLOW_RUNNER_WITHDRAWN;
    flow_count(outcome == FLOW_NODE_FAILED ? &node->counters->failed : &node->counters->completed);
    flow_runner__record_latency(node, took_ns);
    if (flow_runner__listens(runner, outcome == FLOW_NODE_FAILED ? FLOW_EVENT_NODE_FAILED
                                                                 : FLOW_EVENT_NODE_COMPLETED))
        flow_runner__emit_node_ended(strand, outcome, took_ns);

    if (unit->failure) {
        fail(unit, strand, NULL);
        return false;
    }
    if (strand->at == 0 && !unit->is_listed && !flow_runner__produced(strand, outcome))
        return false;
    if (outcome == FLOW_NODE_FAILED) {
        fail(unit, strand, &call->error);
        return false;
    }
    if (call->has_state)
        flow_unit__note_state(unit, strand->at, flow_value_steal(&call->out_state));
    release_form(strand);
    if (outcome != FLOW_NODE_DONE) {
        flow_strand__clear_call(call);
        end_branch(strand, outcome == FLOW_NODE_FILTERED);
    } else if (!(node->node.type->flags & FLOW_NODE_FOR_EACH))
        go_on(strand);
    else
        flow_each__begin(strand);
    return true;
}

/* ---- the walk ---- */

/* Puts a node in the strand's hand, or ends it. False when it is gone. */
static bool find_next(FlowStrand *strand)
{
    FlowUnit *unit = strand->unit;
    FlowEachFrame *frame = strand->frame_count ? &strand->frames[strand->frame_count - 1] : NULL;
    FlowError error;
    FlowStatus status;
    if (strand->pending_count > (frame ? frame->base : 0)) {
        status = take_pending(strand, &error);
    } else if (frame) {
        uint32_t each = frame->node;
        status = flow_each__next(strand, &error);
        if (status != FLOW_OK)
            strand->at = each;
    } else {
        flow_strand__free(strand);
        if (flow_list_empty(&unit->strands))
            flow_runner__unit_ended(unit);
        return false;
    }
    if (status != FLOW_OK)
        fail(unit, strand, &error);
    return status == FLOW_OK;
}

void flow_strand__run(FlowStrand *strand, int *steps)
{
    if (strand->state == FLOW_STRAND_FINISHED) {
        strand->state = FLOW_STRAND_READY;
        if (!conclude(strand, strand->outcome))
            return;
    }
    for (;;) {
        if (*steps <= 0) {
            flow_list_push_front(&strand->runner->ready, &strand->link);
            return;
        }
        if (strand->at == FLOW_GRAPH_NONE) {
            *steps -= strand->frame_count > 0;
            if (!find_next(strand))
                return;
            continue;
        }
        if (strand->runner->nodes[strand->at].plan->is_boundary && !cross_boundary(strand))
            return;
        if (!acquire(strand))
            return;
        --*steps;
        FlowNodeOutcome outcome = execute(strand);
        if (outcome == FLOW_NODE_PENDING)
            return;
        if (!conclude(strand, outcome))
            return;
    }
}
