#include "engine/node.h"

#include <string.h>

#include "base/mem.h"

const char *flow_node_kind_name(FlowNodeKind kind)
{
    static const char *const names[FLOW_NODE_KIND_COUNT] = {
        [FLOW_NODE_PRODUCER] = "PRODUCER",
        [FLOW_NODE_BLOCKING] = "BLOCKING",
        [FLOW_NODE_NON_BLOCKING] = "NON_BLOCKING",
        [FLOW_NODE_CONDITIONAL] = "CONDITIONAL",
    };
    return (unsigned)kind < FLOW_NODE_KIND_COUNT ? names[kind] : "UNKNOWN";
}

const char *flow_pool_name(FlowPoolKind pool)
{
    static const char *const names[FLOW_POOL_COUNT] = {
        [FLOW_POOL_ASYNC] = "ASYNC",
        [FLOW_POOL_THREAD] = "THREAD",
        [FLOW_POOL_PROCESS] = "PROCESS",
    };
    return (unsigned)pool < FLOW_POOL_COUNT ? names[pool] : "UNKNOWN";
}

static void drop_result(FlowNodeCall *call)
{
    call->has_result = false;
    flow_value_clear(&call->result_key);
    flow_value_clear(&call->result);
}

void flow_node_call_done(FlowNodeCall *call)
{
    flow_value_clear(&call->out_data);
    flow_value_clear(&call->out_metadata);
    flow_value_clear(&call->out_state);
    flow_value_clear(&call->elements);
    drop_result(call);
    call->has_data = call->has_metadata = call->has_state = false;
}

static FlowStatus add(FlowNodeCall *call, FlowValue key, FlowValue result_take)
{
    if (!call->has_data) {
        call->out_data = flow_value_ref(call->data);
        call->has_data = true;
    }
    return flow_object_add_unique_take(&call->out_data, key, result_take, NULL, &call->error);
}

static FlowNodeOutcome add_result(FlowNodeCall *call, FlowValue key, FlowValue result_take)
{
    if (call->adds_result && !call->has_data && !call->has_result) {
        call->has_result = true;
        call->result_key = flow_value_ref(key);
        call->result = result_take;
        return FLOW_NODE_DONE;
    }
    FlowStatus status = FLOW_OK;
    if (call->has_result) {
        status = add(call, call->result_key, flow_value_steal(&call->result));
        drop_result(call);
    }
    if (status == FLOW_OK)
        status = add(call, key, result_take);
    else
        flow_value_unref(result_take);
    return status == FLOW_OK ? FLOW_NODE_DONE : flow_node_call_fail_with(call, &call->error);
}

FlowNodeOutcome flow_node_call_result_as_take(FlowNodeCall *call, const char *key, FlowValue result_take)
{
    FlowValue name = flow_value_string(key);
    FlowNodeOutcome outcome = add_result(call, name, result_take);
    flow_value_unref(name);
    return outcome;
}

FlowNodeOutcome flow_node_call_result_take(FlowNodeCall *call, FlowValue result_take)
{
    const FlowNode *node = call->node;
    if (flow_value_kind(node->output_key) == FLOW_VALUE_STRING)
        return add_result(call, node->output_key, result_take);
    return flow_node_call_result_as_take(call, node->type->output_key, result_take);
}

FlowNodeOutcome flow_node_call_data_take(FlowNodeCall *call, FlowValue data_take)
{
    if (call->has_result)
        drop_result(call);
    flow_value_assign_take(&call->out_data, data_take);
    call->has_data = true;
    return FLOW_NODE_DONE;
}

void flow_node_call_metadata_take(FlowNodeCall *call, FlowValue metadata_take)
{
    flow_value_assign_take(&call->out_metadata, metadata_take);
    call->has_metadata = true;
}

void flow_node_call_state_take(FlowNodeCall *call, FlowValue state_take)
{
    flow_value_assign_take(&call->out_state, state_take);
    call->has_state = true;
}

void flow_node_call_elements_take(FlowNodeCall *call, FlowValue array_take)
{
    flow_value_assign_take(&call->elements, array_take);
}

/* Dead letters know only these reasons; what lower rooms say beyond them stays in the message. */
static FlowNodeOutcome failed(FlowNodeCall *call)
{
    static const char *const known[] = {"NODE_FAILED", "INVALID_FORM",    "TEMPLATE_ERROR",
                                        "TIMEOUT",     "CANCELLED",       "INTERRUPTED",
                                        "WORKER_LOST", "PROCESS_CRASHED", "PAYLOAD_TOO_LARGE"};
    static const char *const others[][2] = {{"TEMPLATE_LIMIT", "TEMPLATE_ERROR"},
                                            {"TEMPLATE_SYNTAX", "TEMPLATE_ERROR"},
                                            {"VALUE_TOO_LARGE", "PAYLOAD_TOO_LARGE"},
                                            {"VALUE_TOO_DEEP", "PAYLOAD_TOO_LARGE"}};
    char *reason = call->error.reason;
    for (size_t i = 0; i < FLOW_COUNT(known); i++) {
        if (strcmp(reason, known[i]) == 0)
            return FLOW_NODE_FAILED;
    }
    const char *instead = "NODE_FAILED";
    for (size_t i = 0; i < FLOW_COUNT(others); i++) {
        if (strcmp(reason, others[i][0]) == 0)
            instead = others[i][1];
    }
    strcpy(reason, instead);
    return FLOW_NODE_FAILED;
}

FlowNodeOutcome flow_node_call_fail(FlowNodeCall *call, FlowStatus status, const char *reason,
                                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flow_error_vset(&call->error, status, reason, call->node->id, format, args);
    va_end(args);
    return failed(call);
}

FlowNodeOutcome flow_node_call_fail_with(FlowNodeCall *call, const FlowError *error)
{
    if (error != &call->error)
        call->error = *error;
    return failed(call);
}
