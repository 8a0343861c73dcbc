/*
 * nodes.h - the built-in node types, one file each. Adding one: a file, a line here, a line in nodes.c.
 */
#ifndef FLOW_NODES_NODES_H
#define FLOW_NODES_NODES_H

#include "engine/registry.h"

/* Producers */
extern const FlowNodeType flow_node_counter;
extern const FlowNodeType flow_node_string_iterator_producer;
extern const FlowNodeType flow_node_json_iterator;
extern const FlowNodeType flow_node_timer;
extern const FlowNodeType flow_node_queue_reader;

/* Blocking */
extern const FlowNodeType flow_node_data_transformer;
extern const FlowNodeType flow_node_set_fields;
extern const FlowNodeType flow_node_filter;
extern const FlowNodeType flow_node_static_delay;
extern const FlowNodeType flow_node_dynamic_delay;
extern const FlowNodeType flow_node_rate_limit;
extern const FlowNodeType flow_node_deduplicate;
extern const FlowNodeType flow_node_for_each;

/* Conditional */
extern const FlowNodeType flow_node_if_condition;
extern const FlowNodeType flow_node_switch;

/* Non-blocking */
extern const FlowNodeType flow_node_queue_writer;
extern const FlowNodeType flow_node_log;
extern const FlowNodeType flow_node_end;

/* Makes all of them known. Fails only when a table here is wrong. */
FlowStatus flow_nodes_register(FlowRegistry *registry, FlowError *reterr);
/* The types in the order of this header; NULL behind the last. */
const FlowNodeType *const *flow_nodes_list(void);

#endif
