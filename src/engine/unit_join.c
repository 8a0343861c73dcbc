/*
 * unit_join.c - joins and dead paths of one unit.
 *
 * Every edge into a join has a slot. A slot is decided once per unit (per element, in a for-each body): reached, or
 * dead. The last decision makes the join run with what its live slots brought, or makes it dead, and with it the slots
 * that only it could have reached. What the live ways share is found in the tree of dominators of what was executed:
 * a node's parent there is the nearest node on all live ways to it.
 */
#include "engine/merge.h"
#include "engine/runner_internal.h"

#include <string.h>

void flow_join__way(FlowUnit *unit, uint32_t node, uint32_t nearest)
{
    if (unit->ways)
        unit->ways[node] = (FlowWay){nearest, unit->ways[nearest].depth + 1};
}

/* The deepest node that is on all ways to `a` and to `b`, themselves included. */
static uint32_t common(const FlowWay *ways, uint32_t a, uint32_t b)
{
    while (a != b) {
        if (ways[a].depth >= ways[b].depth)
            a = ways[a].nearest;
        else
            b = ways[b].nearest;
    }
    return a;
}

void flow_join__keep(FlowUnit *unit, uint32_t node, FlowValue data, FlowValue metadata)
{
    uint32_t output = unit->runner->nodes[node].output;
    if (output == FLOW_GRAPH_NONE)
        return;
    flow_value_assign_take(&unit->outputs[output].data, flow_value_ref(data));
    flow_value_assign_take(&unit->outputs[output].metadata, flow_value_ref(metadata));
    unit->has_outputs = true;
}

bool flow_join__reach(FlowUnit *unit, const FlowPlanEdge *edge, FlowValue data_take, FlowValue metadata_take)
{
    const FlowPlanNode *target = &unit->runner->plan->nodes[edge->target];
    FlowJoinState *join = &unit->joins[target->join];
    unit->slots[edge->slot] = (FlowSlotValue){data_take, metadata_take, true};
    unit->live_slots++;
    join->live++;
    return ++join->decided == target->in_count;
}

void flow_join__kill(FlowStrand *strand, uint32_t first, uint32_t end)
{
    FlowUnit *unit = strand->unit;
    const FlowPlan *plan = unit->runner->plan;
    uint32_t waiting = 0, ready_from = strand->pending_count;
    for (;;) {
        for (uint32_t slot = first; slot < end; slot++) {
            uint32_t node = plan->slots[slot].target;
            FlowJoinState *join = &unit->joins[plan->nodes[node].join];
            if (++join->decided < plan->nodes[node].in_count)
                continue;
            if (join->live > 0)
                flow_strand__push(strand, FLOW_GRAPH_NONE, node, flow_value_null(), flow_value_null());
            else if (plan->nodes[node].dead_first < plan->nodes[node].dead_end)
                unit->dying[waiting++] = node; /* a join dies once, so there is room for all of them */
        }
        if (waiting == 0)
            break;
        const FlowPlanNode *dead = &plan->nodes[unit->dying[--waiting]];
        first = dead->dead_first;
        end = dead->dead_end;
    }
    /* Joins that became ready together run in the order in which they were found. */
    for (uint32_t low = ready_from, high = strand->pending_count; low + 1 < high; low++) {
        FlowPending swapped = strand->pending[low];
        strand->pending[low] = strand->pending[--high];
        strand->pending[high] = swapped;
    }
}

FlowStatus flow_join__merge(FlowUnit *unit, uint32_t fork, const FlowValue *data, const FlowValue *metadata,
                            size_t count, FlowValue *ret_data, FlowValue *ret_metadata, FlowError *reterr)
{
    const FlowOutput *base = &unit->outputs[unit->runner->nodes[fork].output];
    FlowValue merged;
    FlowStatus status = flow_merge(base->data, data, count, &merged, reterr);
    if (status != FLOW_OK)
        goto too_large;
    status = flow_merge(base->metadata, metadata, count, ret_metadata, reterr);
    if (status != FLOW_OK) {
        flow_value_unref(merged);
        goto too_large;
    }
    *ret_data = merged;
    return FLOW_OK;
too_large:
    flow_error_set(reterr, status, "PAYLOAD_TOO_LARGE", NULL,
                   "what the paths bring together is too large: %s", reterr->message);
    return status;
}

FlowStatus flow_join__enter(FlowStrand *strand, uint32_t node, FlowError *reterr)
{
    FlowUnit *unit = strand->unit;
    const FlowRunner *runner = unit->runner;
    const FlowPlanNode *target = &runner->plan->nodes[node];
    const uint32_t *slots = runner->join_slots + runner->join_first[target->join];
    uint32_t live = unit->joins[target->join].live, count = 0, fork = FLOW_GRAPH_NONE;
    FlowValue few[16];
    FlowValue *data = live <= FLOW_COUNT(few) / 2 ? few : flow_malloc(2 * live * sizeof(FlowValue));
    FlowValue *metadata = data + live;
    for (uint32_t rank = 0; rank < target->in_count; rank++) {
        FlowSlotValue *slot = &unit->slots[slots[rank]];
        if (!slot->is_live)
            continue;
        uint32_t source = runner->plan->edges[runner->plan->slots[slots[rank]].edge].source;
        fork = count == 0 ? source : common(unit->ways, fork, source);
        data[count] = slot->data;
        metadata[count++] = slot->metadata;
        *slot = (FlowSlotValue){0};
        unit->live_slots--;
    }
    flow_join__way(unit, node, fork);

    FlowStatus status = FLOW_OK;
    if (count == 1) {
        flow_strand__set(strand, node, data[0], metadata[0]);
    } else {
        FlowValue merged, merged_metadata;
        status = flow_join__merge(unit, fork, data, metadata, count, &merged, &merged_metadata, reterr);
        for (uint32_t i = 0; i < count; i++) {
            flow_value_unref(data[i]);
            flow_value_unref(metadata[i]);
        }
        if (status == FLOW_OK)
            flow_strand__set(strand, node, merged, merged_metadata);
    }
    if (data != few)
        free(data);
    return status;
}

static void clear_slots(FlowUnit *unit, uint32_t first, uint32_t end)
{
    for (uint32_t slot = first; slot < end && unit->live_slots > 0; slot++)
        if (unit->slots[slot].is_live) {
            flow_value_clear(&unit->slots[slot].data);
            flow_value_clear(&unit->slots[slot].metadata);
            unit->slots[slot].is_live = false;
            unit->live_slots--;
        }
}

void flow_join__reset(FlowUnit *unit, uint32_t slot_first, uint32_t slot_end, uint32_t join_first,
                      uint32_t join_end)
{
    clear_slots(unit, slot_first, slot_end);
    if (join_end > join_first)
        memset(unit->joins + join_first, 0, (join_end - join_first) * sizeof *unit->joins);
}

uint32_t flow_join__common(const FlowUnit *unit, uint32_t a, uint32_t b)
{
    return common(unit->ways, a, b);
}
