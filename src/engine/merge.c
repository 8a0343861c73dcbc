#include "engine/merge.h"

#include "base/mem.h"

/* Most paths leave most of their data alone, and then it is the very same value. */
static bool same(const FlowValue *a, const FlowValue *b)
{
    return (a->word[0] == b->word[0] && a->word[1] == b->word[1]) || flow_value_equal(*a, *b);
}

static bool every_path_lost(FlowValue key, const FlowValue *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (flow_object_get_key(paths[i], key))
            return false;
    return true;
}

/* `claimed` holds the keys of `merged` that some path has given a value. */
static FlowStatus claim(FlowValue *merged, FlowValue *claimed, const FlowMember *member, FlowError *reterr)
{
    FlowValue value = flow_value_ref(member->value);
    if (flow_object_get_key(*claimed, member->key) == NULL) {
        FlowStatus status = flow_object_set_key_take(merged, member->key, value, reterr);
        return status ? status
                      : flow_object_set_key_take(claimed, member->key, flow_value_bool(true), reterr);
    }
    FlowValue used;
    FlowStatus status = flow_object_add_unique_take(merged, member->key, value, &used, reterr);
    if (status != FLOW_OK)
        return status;
    status = flow_object_set_key_take(claimed, used, flow_value_bool(true), reterr);
    flow_value_unref(used);
    return status;
}

FlowStatus flow_merge(FlowValue fork, const FlowValue *paths, size_t count, FlowValue *ret_object,
                      FlowError *reterr)
{
    flow_cleanup(flow_value_clear) FlowValue claimed = flow_value_object();
    flow_cleanup(flow_value_clear) FlowValue merged =
        flow_value_kind(fork) == FLOW_VALUE_OBJECT ? flow_value_ref(fork) : flow_value_object();
    FlowStatus status = FLOW_OK;

    size_t fork_count;
    const FlowMember *fork_members = flow_object_members(fork, &fork_count);
    for (size_t m = 0; m < fork_count && status == FLOW_OK; m++)
        if (every_path_lost(fork_members[m].key, paths, count)) {
            size_t length = flow_value_length(&fork_members[m].key);
            status = flow_object_removen(&merged, flow_value_text(&fork_members[m].key), length, reterr);
        }

    for (size_t i = 0; i < count && status == FLOW_OK; i++) {
        if (same(&paths[i], &fork))
            continue;
        size_t member_count;
        const FlowMember *members = flow_object_members(paths[i], &member_count);
        for (size_t m = 0; m < member_count && status == FLOW_OK; m++) {
            const FlowValue *before = flow_object_get_key(fork, members[m].key);
            if (before == NULL || !same(before, &members[m].value))
                status = claim(&merged, &claimed, &members[m], reterr);
        }
    }
    if (status != FLOW_OK)
        return status;
    *ret_object = flow_value_steal(&merged);
    return FLOW_OK;
}
