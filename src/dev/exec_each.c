/*
 * exec_each.c - a for-each with its body: node by node in the order of the plan, once for each element. A body within a
 * body has a frame of its own on top. The rules are production's (semantics of for-each, joins, dead ways).
 */
#include "dev/dev_internal.h"

static DevFrame *top(DevExec *exec)
{
    return &exec->frames[exec->frame_count - 1];
}

static void clear_out(DevOut *out)
{
    flow_value_unref(out->data);
    flow_value_unref(out->metadata);
    *out = (DevOut){0};
}

static void pop(DevExec *exec)
{
    DevFrame *frame = top(exec);
    flow_value_unref(frame->data);
    flow_value_unref(frame->metadata);
    flow_value_unref(frame->elements);
    flow_value_unref(frame->results);
    exec->frame_count--;
}

void dev_each_done(DevExec *exec)
{
    while (exec->frame_count > 0)
        pop(exec);
    free(exec->frames);
    for (uint32_t i = 0; exec->outs && i < exec->plan->plan->node_count; i++)
        clear_out(&exec->outs[i]);
    free(exec->outs);
}

/* The values become the output's. */
static void set_out(DevOut *out, uint32_t branch, FlowValue data_take, FlowValue metadata_take)
{
    flow_value_assign_take(&out->data, data_take);
    flow_value_assign_take(&out->metadata, metadata_take);
    out->branch = branch;
    out->is_live = out->has_output = true;
}

static FlowStatus start_element(DevExec *exec, DevFrame *frame, FlowError *reterr)
{
    const FlowPlanNode *each = &exec->plan->plan->nodes[frame->each];
    FlowValue data;
    FlowStatus status = dev_element(frame->data, frame->elements, frame->index, &data, reterr);
    if (status != FLOW_OK)
        return status;
    for (uint32_t i = frame->each + 1; i < each->body_end; i++)
        clear_out(&exec->outs[i]);
    set_out(&exec->outs[frame->each], (uint32_t)flow_graph_branch(each->def, "body"), data,
            flow_value_ref(frame->metadata));
    frame->cursor = frame->each + 1;
    return FLOW_OK;
}

static void fail_each(DevExec *exec, const DevFrame *frame, const FlowError *why)
{
    FlowError error;
    flow_error_set(&error, why->status,
                   why->status == FLOW_RESOURCE_EXHAUSTED ? "PAYLOAD_TOO_LARGE" : "NODE_FAILED", NULL,
                   "the results of the for-each can't be put together: %s", why->message);
    dev_exec_fail(exec, exec->plan->plan->nodes[frame->each].def->id, &error);
}

void dev_each_begin(DevExec *exec)
{
    FlowNodeCall *call = &exec->call;
    FlowError error;
    exec->frames = flow_realloc(exec->frames, (exec->frame_count + 1) * sizeof *exec->frames);
    DevFrame *frame = &exec->frames[exec->frame_count++];
    *frame = (DevFrame){
        .each = exec->current_at,
        .data = flow_value_ref(call->has_data ? call->out_data : exec->now_data),
        .metadata = flow_value_ref(call->has_metadata ? call->out_metadata : exec->now_metadata),
        .elements = flow_value_steal(&call->elements),
        .results = flow_value_array(),
    };
    frame->count = flow_array_count(frame->elements);
    frame->cursor = exec->plan->plan->nodes[frame->each].body_end;
    if (exec->current == &exec->target) {
        exec->elements = flow_value_kind(frame->elements) == FLOW_VALUE_ARRAY
                             ? flow_value_ref(frame->elements)
                             : flow_value_array();
        exec->each_data = flow_value_ref(frame->data);
        exec->each_metadata = flow_value_ref(frame->metadata);
    }
    if (frame->count > 0 && start_element(exec, frame, &error) != FLOW_OK)
        fail_each(exec, frame, &error);
}

static bool is_end(const DevExec *exec, const DevFrame *frame, uint32_t node)
{
    const FlowPlanNode *plan = &exec->plan->plan->nodes[node];
    const DevOut *out = &exec->outs[node];
    if (plan->body_of != frame->each || !out->is_live || !out->has_output)
        return false;
    return out->branch == FLOW_GRAPH_NONE ||
           plan->branches[out->branch].edge_first == plan->branches[out->branch].edge_end;
}

/* What the element in hand came to; nothing where all ways were filtered. */
static FlowStatus collect(DevExec *exec, DevFrame *frame, FlowError *reterr)
{
    uint32_t first = frame->each + 1, behind = exec->plan->plan->nodes[frame->each].body_end;
    uint32_t *ends = flow_malloc((behind - first + 1) * sizeof *ends);
    size_t count = 0;
    FlowValue data;
    for (uint32_t i = first; i < behind; i++)
        if (is_end(exec, frame, i))
            ends[count++] = i;
    FlowStatus status = FLOW_OK;
    if (count == 1)
        data = flow_value_ref(exec->outs[ends[0]].data);
    else if (count > 1)
        status = dev_ways_merge_nodes(exec->outs, ends, count, &data, reterr);
    free(ends);
    if (status == FLOW_OK && count > 0)
        status = flow_array_push_take(&frame->results, data, reterr);
    return status;
}

/* All elements are through: the for-each's own output. */
static FlowStatus finish(DevExec *exec, DevFrame *frame, FlowError *reterr)
{
    const FlowGraphNode *def = exec->plan->plan->nodes[frame->each].def;
    uint32_t each = frame->each;
    FlowMember members[] = {
        {flow_value_string("results"), flow_value_steal(&frame->results)},
        {flow_value_string("count"), flow_value_int((int64_t)frame->count)},
    };
    FlowValue data;
    FlowStatus status = dev_with_for_each(frame->data, members, FLOW_COUNT(members), &data, reterr);
    if (status != FLOW_OK)
        return status;
    FlowValue metadata = flow_value_ref(frame->metadata);
    pop(exec);
    if (exec->frame_count > 0) {
        set_out(&exec->outs[each], (uint32_t)flow_graph_branch(def, "default"), data, metadata);
        return FLOW_OK;
    }
    exec->output.data = data;
    exec->output.metadata = metadata;
    exec->outcome = FLOW_NODE_DONE;
    exec->branch = flow_strdup("default");
    exec->is_ended = true;
    return FLOW_OK;
}

static FlowStatus next_element(DevExec *exec, DevFrame *frame, FlowError *reterr)
{
    if (frame->count > 0) {
        FlowStatus status = collect(exec, frame, reterr);
        if (status != FLOW_OK)
            return status;
        frame->index++;
    }
    return frame->index < frame->count ? start_element(exec, frame, reterr) : finish(exec, frame, reterr);
}

/* The node at the cursor: executed when something live leads to it. */
static FlowStatus visit(DevExec *exec, DevFrame *frame, FlowError *reterr)
{
    const DevPlan *plan = exec->plan;
    uint32_t at = frame->cursor;
    bool is_each = plan->plan->nodes[at].def->type->flags & FLOW_NODE_FOR_EACH;
    frame->cursor = is_each ? plan->plan->nodes[at].body_end : at + 1;

    uint32_t first = plan->in_first[at], count = plan->in_first[at + 1] - first;
    uint32_t *live = flow_malloc((count + 1) * sizeof *live);
    size_t live_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (dev_edge_is_live(plan, exec->outs, plan->in_edges[first + i]))
            live[live_count++] = plan->in_edges[first + i];
    FlowStatus status = FLOW_OK;
    if (live_count > 0) {
        FlowValue data, metadata;
        uint32_t fork;
        status = dev_ways_merge(plan, exec->outs, live, live_count, &data, &metadata, &fork, reterr);
        if (status == FLOW_OK) {
            exec->outs[at].is_live = true;
            exec->outs[at].nearest = fork;
            exec->outs[at].depth = exec->outs[fork].depth + 1;
            dev_exec_run_node(exec, &exec->body[at], at, data, metadata);
        }
    }
    free(live);
    return status;
}

bool dev_each_advance(DevExec *exec)
{
    FlowError error;
    if (exec->frame_count == 0 || exec->is_ended)
        return false;
    DevFrame *frame = top(exec);
    uint32_t each = frame->each;
    bool at_end = frame->cursor >= exec->plan->plan->nodes[each].body_end;
    FlowStatus status = at_end ? next_element(exec, frame, &error) : visit(exec, frame, &error);
    if (status != FLOW_OK) {
        DevFrame where = {.each = each};
        fail_each(exec, &where, &error);
    }
    return !exec->is_ended;
}

void dev_each_record(DevExec *exec, FlowNodeOutcome outcome)
{
    FlowNodeCall *call = &exec->call;
    DevOut *out = &exec->outs[exec->current_at];
    if (outcome == FLOW_NODE_FILTERED) {
        out->has_output = false;
        return;
    }
    set_out(out, outcome == FLOW_NODE_DONE ? call->branch : FLOW_GRAPH_NONE,
            flow_value_ref(call->has_data ? call->out_data : exec->now_data),
            flow_value_ref(call->has_metadata ? call->out_metadata : exec->now_metadata));
}
