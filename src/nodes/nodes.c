#include "nodes/nodes.h"

static const FlowNodeType *const types[] = {
    &flow_node_counter,
    &flow_node_string_iterator_producer,
    &flow_node_json_iterator,
    &flow_node_timer,
    &flow_node_queue_reader,
    &flow_node_data_transformer,
    &flow_node_set_fields,
    &flow_node_filter,
    &flow_node_static_delay,
    &flow_node_dynamic_delay,
    &flow_node_rate_limit,
    &flow_node_deduplicate,
    &flow_node_for_each,
    &flow_node_if_condition,
    &flow_node_switch,
    &flow_node_queue_writer,
    &flow_node_log,
    &flow_node_end,
    NULL,
};

const FlowNodeType *const *flow_nodes_list(void)
{
    return types;
}

FlowStatus flow_nodes_register(FlowRegistry *registry, FlowError *reterr)
{
    for (size_t i = 0; types[i]; i++) {
        FlowStatus status = flow_registry_add(registry, types[i], reterr);
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}
