/*
 * Any bytes, as JSON and as wire format, for messages of the contract: nothing crashes, and what is accepted is stable:
 * JSON → bytes → JSON → bytes ends at the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "value/json.h"
#include "wire/json.h"
#include "wire/prescan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = {
    "flowengine.v1.Workflow",
    "flowengine.v1.ExecuteNodeRequest",
    "flowengine.v1.RedriveDeadLettersRequest",
    "flowengine.v1.Form",
    "google.rpc.Status",
    "flowengine.v1.UpdateWorkflowRequest",
    "flowengine.v1.AttachRequest",
    "flowengine.v1.WatchRunResponse",
    "flowengine.v1.LoadSessionRequest",
    "google.protobuf.Any",
    "google.protobuf.Value",
    "flowengine.v1.UpdateFormFieldRequest",
};

static void from_json(const FlowWireMessage *type, FlowValue value)
{
    const FlowWirePool *pool = flow_wire_contract();
    FlowBuf first, second;
    FlowError error;
    FlowValue back;
    flow_buf_init(&first, 1 << 20);
    flow_buf_init(&second, 1 << 20);
    if (flow_message_from_value(pool, type, value, 0, &first, &error) == FLOW_OK &&
        flow_message_to_value(pool, type, first.data != NULL ? first.data : "", first.len, 0, &back,
                              &error) == FLOW_OK) {
        if (flow_message_from_value(pool, type, back, 0, &second, &error) == FLOW_OK) {
            FlowValue again;
            if (flow_message_to_value(pool, type, second.data != NULL ? second.data : "", second.len, 0,
                                      &again, &error) != FLOW_OK ||
                !flow_value_equal(back, again))
                abort();
            flow_value_unref(again);
        }
        flow_value_unref(back);
    }
    flow_buf_done(&first);
    flow_buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const FlowWireMessage *type =
        flow_wire_message(flow_wire_contract(), types[data[0] % (sizeof types / sizeof *types)]);
    static const FlowJsonLimits limits = {.bytes = 65536, .values = 10000, .depth = 100};
    FlowError error;
    FlowValue value;
    if (flow_json_read((const char *)data + 1, size - 1, &limits, &value, &error) == FLOW_OK) {
        from_json(type, value);
        flow_value_unref(value);
    }
    if (flow_message_to_value(flow_wire_contract(), type, data + 1, size - 1, 0, &value, &error) == FLOW_OK) {
        from_json(type, value);
        flow_value_unref(value);
    }
    return 0;
}
