/*
 * unit_each.c - for-each: the body runs once per element, one after another, within the strand that met the for-each.
 * A body that contains another for-each has a frame of its own on top.
 */
#include "engine/runner_internal.h"

static FlowEachFrame *top(FlowStrand *strand)
{
    return &strand->frames[strand->frame_count - 1];
}

/* The call of a for-each is DONE: it has said what the elements are. */
void flow_each__begin(FlowStrand *strand)
{
    FlowNodeCall *call = &strand->call;
    if (call->has_data)
        flow_value_assign_take(&strand->data, flow_value_steal(&call->out_data));
    if (call->has_metadata)
        flow_value_assign_take(&strand->metadata, flow_value_steal(&call->out_metadata));
    strand->frames =
        flow_grown(strand->frames, strand->frame_count, &strand->frame_capacity, sizeof *strand->frames);
    strand->frames[strand->frame_count++] = (FlowEachFrame){
        .node = strand->at,
        .base = strand->pending_count,
        .data = flow_value_steal(&strand->data),
        .metadata = flow_value_steal(&strand->metadata),
        .elements = flow_value_steal(&call->elements),
        .results = flow_value_array(),
    };
    top(strand)->count = flow_array_count(top(strand)->elements);
    strand->at = FLOW_GRAPH_NONE;
}

void flow_each__end(FlowStrand *strand, uint32_t source, FlowValue data_take, FlowValue metadata_take)
{
    FlowEachFrame *frame = top(strand);
    frame->ends = flow_grown(frame->ends, frame->end_count, &frame->end_capacity, sizeof *frame->ends);
    frame->ends[frame->end_count++] = (FlowEachEnd){source, data_take, metadata_take};
}

static void clear_ends(FlowEachFrame *frame)
{
    for (uint32_t i = 0; i < frame->end_count; i++) {
        flow_value_unref(frame->ends[i].data);
        flow_value_unref(frame->ends[i].metadata);
    }
    frame->end_count = 0;
}

void flow_each__drop(FlowStrand *strand)
{
    FlowEachFrame *frame = top(strand);
    clear_ends(frame);
    free(frame->ends);
    flow_value_unref(frame->data);
    flow_value_unref(frame->metadata);
    flow_value_unref(frame->elements);
    flow_value_unref(frame->results);
    strand->frame_count--;
}

/* What the element in hand came to: the data at the ends of the body, joined; nothing where all ways were filtered. */
static FlowStatus collect(FlowStrand *strand, FlowEachFrame *frame, FlowError *reterr)
{
    if (frame->end_count == 0)
        return FLOW_OK;
    if (frame->end_count == 1)
        return flow_array_push_take(&frame->results, flow_value_ref(frame->ends[0].data), reterr);

    uint32_t count = frame->end_count, fork = frame->ends[0].source;
    FlowValue *data = flow_malloc(2 * count * sizeof *data), *metadata = data + count;
    for (uint32_t i = 0; i < count; i++) {
        fork = flow_join__common(strand->unit, fork, frame->ends[i].source);
        data[i] = frame->ends[i].data;
        metadata[i] = frame->ends[i].metadata;
    }
    FlowValue merged, merged_metadata;
    FlowStatus status =
        flow_join__merge(strand->unit, fork, data, metadata, count, &merged, &merged_metadata, reterr);
    free(data);
    if (status != FLOW_OK)
        return status;
    flow_value_unref(merged_metadata);
    return flow_array_push_take(&frame->results, merged, reterr);
}

/* `data` plus for_each {first_key: first, …}, under a key that is free. */
static FlowStatus with_for_each(FlowValue data, FlowMember *members_take, size_t count, FlowValue *ret_data,
                                FlowError *reterr)
{
    FlowValue each;
    FlowStatus status = flow_object_from_take(members_take, count, &each, reterr);
    if (status != FLOW_OK)
        return status;
    flow_cleanup(flow_value_clear) FlowValue with =
        flow_value_kind(data) == FLOW_VALUE_OBJECT ? flow_value_ref(data) : flow_value_object();
    status = flow_object_add_unique_take(&with, flow_value_string("for_each"), each, NULL, reterr);
    if (status == FLOW_OK)
        *ret_data = flow_value_steal(&with);
    return status;
}

static FlowStatus start_element(FlowStrand *strand, FlowEachFrame *frame, FlowError *reterr)
{
    FlowUnit *unit = strand->unit;
    const FlowPlanNode *each = &unit->runner->plan->nodes[frame->node];
    FlowMember members[] = {
        {flow_value_string("item"), flow_value_ref(*flow_array_at(frame->elements, frame->index))},
        {flow_value_string("index"), flow_value_int((int64_t)frame->index)},
        {flow_value_string("count"), flow_value_int((int64_t)frame->count)},
    };
    FlowValue data;
    FlowStatus status = with_for_each(frame->data, members, FLOW_COUNT(members), &data, reterr);
    if (status != FLOW_OK)
        return status;
    frame->index++;
    flow_join__reset(unit, each->body_slot_first, each->body_slot_end, each->body_join_first,
                     each->body_join_end);
    flow_join__keep(unit, frame->node, data, frame->metadata);
    flow_strand__branch(strand, frame->node, unit->runner->nodes[frame->node].body_branch, data,
                        flow_value_ref(frame->metadata));
    return FLOW_OK;
}

static FlowStatus finish(FlowStrand *strand, FlowEachFrame *frame, FlowError *reterr)
{
    FlowRunner *runner = strand->runner;
    uint32_t node = frame->node;
    FlowMember members[] = {
        {flow_value_string("results"), flow_value_steal(&frame->results)},
        {flow_value_string("count"), flow_value_int((int64_t)frame->count)},
    };
    FlowValue data;
    FlowStatus status = with_for_each(frame->data, members, FLOW_COUNT(members), &data, reterr);
    if (status != FLOW_OK)
        return status;
    FlowValue metadata = flow_value_steal(&frame->metadata);
    flow_each__drop(strand);
    flow_strand__branch(strand, node, runner->nodes[node].default_branch, data, metadata);
    return FLOW_OK;
}

FlowStatus flow_each__next(FlowStrand *strand, FlowError *reterr)
{
    FlowEachFrame *frame = top(strand);
    FlowStatus status = frame->index > 0 ? collect(strand, frame, reterr) : FLOW_OK;
    clear_ends(frame);
    if (status == FLOW_OK)
        status = frame->index < frame->count ? start_element(strand, frame, reterr)
                                             : finish(strand, frame, reterr);
    if (status != FLOW_OK)
        flow_error_set(reterr, status,
                       status == FLOW_RESOURCE_EXHAUSTED ? "PAYLOAD_TOO_LARGE" : "NODE_FAILED", NULL,
                       "the results of the for-each can't be put together: %s", reterr->message);
    return status;
}
