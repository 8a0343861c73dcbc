/* common.h - what several node types share. */
#ifndef FLOW_NODES_COMMON_H
#define FLOW_NODES_COMMON_H

#include "engine/node.h"
#include "forms/form.h"

/* The choices of every field `unit`. */
extern const FlowChoice flow_nodes__units[];
/* `amount` of one of them in nanoseconds; false for another word and beyond FLOW_NODES_LONGEST_NS. */
bool flow_nodes__duration(int64_t amount, const char *unit, int64_t *ret_ns);
#define FLOW_NODES_LONGEST_NS (INT64_C(100) * 365 * 86400 * 1000000000) /* a hundred years */
#define FLOW_NODES_TOO_LONG   "This is longer than a hundred years."

/* A member for flow_nodes__result_take(). */
static inline FlowMember flow_nodes__member(const char *key, FlowValue value_take)
{
    return (FlowMember){flow_value_string(key), value_take};
}
/* Makes an object of the members (taken) and adds it as the call's result. */
FlowNodeOutcome flow_nodes__result_take(FlowNodeCall *call, const FlowMember *members_take, size_t count);

/* RFC 3339 in UTC. */
FlowValue flow_nodes__time(int64_t wall_ns);

#endif
