/*
 * unit_memory.c - units and strands are made once and used again: a unit in the steady state allocates nothing here.
 */
#include "engine/runner_internal.h"

#include <string.h>

void *flow_grown(void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? *capacity * 2 : 4;
    return flow_realloc(items, *capacity * size);
}

/* ---- units ---- */

static FlowUnit *make_unit(FlowRunner *runner)
{
    FlowUnit *unit = flow_new(FlowUnit);
    unit->runner = runner;
    flow_list_init(&unit->link);
    flow_list_init(&unit->strands);
    if (!runner->has_ways)
        return unit;
    const FlowPlan *plan = runner->plan;
    unit->slots = flow_calloc(plan->slot_count + 1, sizeof *unit->slots);
    unit->joins = flow_calloc(plan->join_count + 1, sizeof *unit->joins);
    unit->dying = flow_calloc(plan->join_count + 1, sizeof *unit->dying);
    unit->ways = flow_calloc(plan->node_count, sizeof *unit->ways);
    unit->outputs = flow_calloc(runner->output_count + 1, sizeof *unit->outputs);
    return unit;
}

FlowUnit *flow_unit__new(FlowRunner *runner)
{
    FlowList *link = flow_list_pop_front(&runner->free_units);
    if (link == NULL)
        return make_unit(runner);
    runner->free_unit_count--;
    return flow_list_entry(link, FlowUnit, link);
}

static void free_failure(FlowUnitFailure *failure)
{
    if (failure == NULL)
        return;
    flow_value_unref(failure->form);
    flow_value_unref(failure->data);
    flow_value_unref(failure->metadata);
    free(failure);
}

static void clear_ways(FlowUnit *unit)
{
    const FlowPlan *plan = unit->runner->plan;
    flow_join__reset(unit, 0, plan->slot_count, 0, plan->join_count);
    if (unit->has_outputs)
        for (uint32_t i = 0; i < unit->runner->output_count; i++) {
            flow_value_clear(&unit->outputs[i].data);
            flow_value_clear(&unit->outputs[i].metadata);
        }
    unit->has_outputs = false;
}

void flow_unit__free(FlowUnit *unit)
{
    FlowRunner *runner = unit->runner;
    flow_list_remove(&unit->link);
    for (uint32_t i = 0; i < unit->push_count; i++)
        flow_blob_unref(unit->pushes[i].body);
    for (uint32_t i = 0; i < unit->state_count; i++)
        flow_value_unref(unit->states[i].state);
    unit->push_count = unit->state_count = 0;
    flow_value_clear(&unit->id);
    unit->id_bits[0] = unit->id_bits[1] = 0;
    if (unit->delivery)
        unit->delivery = flow_delivery_unref(unit->delivery);
    if (unit->failure) {
        free_failure(unit->failure);
        unit->failure = NULL;
    }
    if (runner->has_ways)
        clear_ways(unit);
    unit->is_listed = unit->in_foreground = unit->in_background = unit->has_ended = false;
    unit->has_forked = unit->ended_kept = unit->ended_wanted = false;

    if (runner->free_unit_count < FLOW_UNITS_KEPT) {
        runner->free_unit_count++;
        flow_list_push_front(&runner->free_units, &unit->link);
    } else {
        flow_unit__destroy(unit);
    }
}

void flow_unit__destroy(FlowUnit *unit)
{
    free(unit->pushes);
    free(unit->states);
    free(unit->slots);
    free(unit->joins);
    free(unit->dying);
    free(unit->ways);
    free(unit->outputs);
    free(unit);
}

/* ---- payload ids ---- */

/* xoshiro256++ (Blackman, Vigna 2019), seeded by the kernel: ids need to differ, not to be secret. */
static uint64_t next_random(uint64_t s[4])
{
    uint64_t sum = s[0] + s[3], result = ((sum << 23) | (sum >> 41)) + s[0], shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* A version 7 UUID, made when somebody first asks: most units come and go without. */
const uint64_t *flow_unit__id_bits(FlowUnit *unit)
{
    FlowRunner *runner = unit->runner;
    if (unit->id_bits[0] == 0 && flow_value_is_null(unit->id)) {
        uint64_t ms = (uint64_t)(runner->now_ns + runner->wall_offset_ns) / FLOW_NS_PER_MS;
        uint64_t random = next_random(runner->random);
        unit->id_bits[0] = ms << 16 | 0x7000 | (random >> 52);
        unit->id_bits[1] = UINT64_C(2) << 62 | next_random(runner->random) >> 2;
    }
    return unit->id_bits;
}

void flow_uuid_text(const uint64_t bits[2], char to[FLOW_UUID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *to++ = '-';
        *to++ = digits[bits[i / 16] >> (60 - 4 * (i % 16)) & 15];
    }
    *to = '\0';
}

FlowValue flow_unit__id(FlowUnit *unit)
{
    if (flow_value_is_null(unit->id)) {
        char text[FLOW_UUID_TEXT];
        flow_uuid_text(flow_unit__id_bits(unit), text);
        unit->id = flow_value_stringn(text, FLOW_UUID_TEXT - 1);
    }
    return unit->id;
}

void flow_unit__note_state(FlowUnit *unit, uint32_t node, FlowValue state_take)
{
    unit->runner->has_states = true;
    for (uint32_t i = 0; i < unit->state_count; i++)
        if (unit->states[i].node == node) {
            flow_value_assign_take(&unit->states[i].state, state_take);
            return;
        }
    unit->states = flow_grown(unit->states, unit->state_count, &unit->state_capacity, sizeof *unit->states);
    unit->states[unit->state_count++] = (FlowUnitState){node, state_take};
}

/* ---- strands ---- */

static FlowStrand *make_strand(FlowRunner *runner)
{
    FlowStrand *strand = flow_new(FlowStrand);
    strand->runner = runner;
    strand->call.host = &flow_runner__host;
    strand->call.adds_result = true;
    strand->call.context = &strand->context;
    strand->call.aborted = &runner->wish.force;
    strand->context = (FlowTemplateContext){
        .vars = strand->vars, .var_count = FLOW_VAR_COUNT, .clock = flow_loop_clock(runner->loop)};
    memcpy(strand->vars, runner->vars, sizeof strand->vars);
    strand->memory = runner->call_size ? flow_malloc(runner->call_size) : NULL;
    strand->call.memory = strand->memory;
    flow_timer_init(&strand->timeout, runner->loop, flow_strand__timed_out);
    flow_list_init(&strand->link);
    flow_list_init(&strand->unit_link);
    return strand;
}

FlowStrand *flow_strand__new(FlowUnit *unit, uint32_t at, FlowValue data_take, FlowValue metadata_take)
{
    FlowRunner *runner = unit->runner;
    FlowList *link = flow_list_pop_front(&runner->free_strands);
    FlowStrand *strand = link ? flow_list_entry(link, FlowStrand, link) : make_strand(runner);
    if (link)
        runner->free_strand_count--;
    strand->unit = unit;
    strand->state = FLOW_STRAND_READY;
    strand->at = at;
    strand->in_background = strand->timed_out = false;
    strand->data = data_take;
    strand->metadata = metadata_take;
    flow_list_push_back(&unit->strands, &strand->unit_link);
    return strand;
}

void flow_strand__free(FlowStrand *strand)
{
    FlowRunner *runner = strand->runner;
    FlowUnit *unit = strand->unit;
    flow_list_remove(&strand->link);
    flow_list_remove(&strand->unit_link);
    flow_timer_stop(&strand->timeout);
    if (strand->at != FLOW_GRAPH_NONE)
        flow_strand__release(strand);
    if (strand->owns_form_values) {
        flow_form_values_done(&strand->form_values);
        strand->owns_form_values = false;
    }
    flow_strand__clear_call(&strand->call);
    flow_value_clear(&strand->rendered);
    flow_value_clear(&strand->data);
    flow_value_clear(&strand->metadata);
    while (strand->frame_count > 0)
        flow_each__drop(strand);
    while (strand->pending_count > 0) {
        FlowPending *pending = &strand->pending[--strand->pending_count];
        flow_value_unref(pending->data);
        flow_value_unref(pending->metadata);
    }
    bool foreground = !strand->in_background;
    if (runner->free_strand_count < FLOW_STRANDS_KEPT) {
        runner->free_strand_count++;
        flow_list_push_front(&runner->free_strands, &strand->link);
    } else {
        flow_strand__destroy(strand);
    }
    if (foreground)
        flow_runner__foreground_left(unit);
}

void flow_strand__destroy(FlowStrand *strand)
{
    free(strand->pending);
    free(strand->frames);
    free(strand->memory);
    free(strand);
}
