/* ways.c - which ways live, and what a join is given: production's rules, over outputs that are there already. */
#include "dev/dev_internal.h"
#include "engine/merge.h"

uint32_t dev_ways_common(const DevOut *outs, uint32_t a, uint32_t b)
{
    while (a != b) {
        if (outs[a].depth >= outs[b].depth && a != outs[a].nearest)
            a = outs[a].nearest;
        else if (b != outs[b].nearest)
            b = outs[b].nearest;
        else
            return 0;
    }
    return a;
}

/* What all have in common: stands in for the fork where that has no output (the ways begin with pinned ones). */
static FlowValue shared_part(const FlowValue *values, size_t count)
{
    FlowValue shared = flow_value_object();
    size_t members_count;
    const FlowMember *members = flow_object_members(values[0], &members_count);
    for (size_t m = 0; m < members_count; m++) {
        bool in_all = true;
        for (size_t i = 1; i < count && in_all; i++) {
            const FlowValue *other = flow_object_get_key(values[i], members[m].key);
            in_all = other != NULL && flow_value_equal(*other, members[m].value);
        }
        if (in_all)
            flow_object_set_key_take(&shared, members[m].key, flow_value_ref(members[m].value), NULL);
    }
    return shared;
}

static FlowStatus merge_one(const FlowValue *fork, const FlowValue *values, size_t count,
                            FlowValue *ret_value, FlowError *reterr)
{
    FlowValue base = fork ? flow_value_ref(*fork) : shared_part(values, count);
    FlowStatus status = flow_merge(base, values, count, ret_value, reterr);
    flow_value_unref(base);
    return status;
}

FlowStatus dev_ways_merge(const DevPlan *plan, const DevOut *outs, const uint32_t *edges, size_t count,
                          FlowValue *ret_data, FlowValue *ret_metadata, uint32_t *ret_fork, FlowError *reterr)
{
    uint32_t fork = plan->plan->edges[edges[0]].source;
    if (count == 1) {
        *ret_data = flow_value_ref(outs[fork].data);
        *ret_metadata = flow_value_ref(outs[fork].metadata);
        *ret_fork = fork;
        return FLOW_OK;
    }
    FlowValue *data = flow_malloc(2 * count * sizeof *data), *metadata = data + count;
    for (size_t i = 0; i < count; i++) {
        uint32_t source = plan->plan->edges[edges[i]].source;
        fork = dev_ways_common(outs, fork, source);
        data[i] = outs[source].data;
        metadata[i] = outs[source].metadata;
    }
    const DevOut *base = outs[fork].has_output ? &outs[fork] : NULL;
    FlowValue merged;
    FlowStatus status = merge_one(base ? &base->data : NULL, data, count, &merged, reterr);
    if (status == FLOW_OK) {
        status = merge_one(base ? &base->metadata : NULL, metadata, count, ret_metadata, reterr);
        if (status == FLOW_OK)
            *ret_data = merged;
        else
            flow_value_unref(merged);
    }
    free(data);
    *ret_fork = fork;
    return status;
}

FlowStatus dev_ways_merge_nodes(const DevOut *outs, const uint32_t *nodes, size_t count, FlowValue *ret_data,
                                FlowError *reterr)
{
    uint32_t fork = nodes[0];
    FlowValue *data = flow_malloc(count * sizeof *data);
    for (size_t i = 0; i < count; i++) {
        fork = dev_ways_common(outs, fork, nodes[i]);
        data[i] = outs[nodes[i]].data;
    }
    FlowStatus status = flow_merge(outs[fork].data, data, count, ret_data, reterr);
    free(data);
    return status;
}

FlowStatus dev_with_for_each(FlowValue data, FlowMember *members_take, size_t count, FlowValue *ret_data,
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

FlowStatus dev_element(FlowValue data, FlowValue elements, size_t index, FlowValue *ret_data,
                       FlowError *reterr)
{
    FlowMember members[] = {
        {flow_value_string("item"), flow_value_ref(*flow_array_at(elements, index))},
        {flow_value_string("index"), flow_value_int((int64_t)index)},
        {flow_value_string("count"), flow_value_int((int64_t)flow_array_count(elements))},
    };
    return dev_with_for_each(data, members, FLOW_COUNT(members), ret_data, reterr);
}
