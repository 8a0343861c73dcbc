#include "nodes/common.h"

#include <string.h>

#include "base/clock.h"

const FlowChoice flow_nodes__units[] = {
    {"milliseconds", "Milliseconds", NULL},
    {"seconds", "Seconds", NULL},
    {"minutes", "Minutes", NULL},
    {"hours", "Hours", NULL},
    {"days", "Days", NULL},
    {NULL, NULL, NULL},
};

bool flow_nodes__duration(int64_t amount, const char *unit, int64_t *ret_ns)
{
    static const int64_t sizes[] = {FLOW_NS_PER_MS, FLOW_NS_PER_S, 60 * FLOW_NS_PER_S, 3600 * FLOW_NS_PER_S,
                                    86400 * FLOW_NS_PER_S};
    for (size_t i = 0; flow_nodes__units[i].value; i++) {
        if (strcmp(unit, flow_nodes__units[i].value) != 0)
            continue;
        if (amount < 0 || amount > FLOW_NODES_LONGEST_NS / sizes[i])
            return false;
        *ret_ns = amount * sizes[i];
        return true;
    }
    return false;
}

FlowNodeOutcome flow_nodes__result_take(FlowNodeCall *call, const FlowMember *members_take, size_t count)
{
    FlowValue object = flow_value_null();
    FlowError error;
    if (flow_object_from_take(members_take, count, &object, &error) != FLOW_OK)
        return flow_node_call_fail_with(call, &error);
    return flow_node_call_result_take(call, object);
}

FlowValue flow_nodes__time(int64_t wall_ns)
{
    char text[FLOW_TIME_TEXT];
    flow_time_format(wall_ns, text);
    return flow_value_string(text);
}
