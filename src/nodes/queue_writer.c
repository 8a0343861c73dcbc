/* queue_writer.c - pushes into queues; the pushes are held and made when the unit settles. */
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { QUEUE_NAME, PAYLOAD };

static const FlowFieldSpec fields[] = {
    /* Literal: the QueueMapper checks names, and refuses templates in its own words. */
    [QUEUE_NAME] = {.name = "queue_name",
                    .type = FLOW_FIELD_TEXT,
                    .flags = FLOW_FIELD_LITERAL,
                    .help = "The queue to write to; empty: those of the queue-readers that edges lead to."},
    [PAYLOAD] = {.name = "payload",
                 .type = FLOW_FIELD_JSON,
                 .json = FLOW_JSON_KIND_OBJECT,
                 .flags = FLOW_FIELD_EMPTY_OK,
                 .widget = FLOW_WIDGET_TEXTAREA,
                 .help = "The data to push, a JSON object; empty: the whole data."},
};

static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

static FlowNodeOutcome writer_start(FlowNodeCall *call)
{
    const FlowNode *node = call->node;
    FlowValue payload = flow_form_values_get(call->form, PAYLOAD);
    FlowValue data = flow_value_kind(payload) == FLOW_VALUE_OBJECT ? payload : call->data;
    for (uint32_t i = 0; i < node->queue_count; i++) {
        FlowError error;
        if (flow_node_call_push(call, node->queues[i], flow_value_ref(data), flow_value_ref(call->metadata),
                                &error) != FLOW_OK)
            return flow_node_call_fail_with(call, &error);
    }
    return FLOW_NODE_DONE;
}

const FlowNodeType flow_node_queue_writer = {
    .name = "queue-writer",
    .label = "Queue writer",
    .summary = "Pushes the payload into a queue.",
    .description =
        "The push is held until the unit settles, and made in one step with the acknowledgement of the "
        "unit's "
        "own input: a unit that fails pushes nothing. Edges to queue-readers connect loops; a queue that is "
        "named can be read by other workflows and through the API. A writer with edges to several readers "
        "writes to each of their queues. The payload goes on unchanged to other nodes behind the writer.",
    .result = "nothing: the payload goes on as it came",
    .example =
        "{\"name\": \"numbers\", \"nodes\": ["
        "{\"id\": \"count\", \"type\": \"counter\"},"
        "{\"id\": \"write\", \"type\": \"queue-writer\", \"data\": {\"form\": {\"queue_name\": \"numbers\", "
        "\"payload\": \"{\\\"n\\\": {{ data.counter.current }}}\"}}}],"
        "\"edges\": [{\"id\": \"e1\", \"source\": \"count\", \"target\": \"write\"}]}",
    .version = 1,
    .kind = FLOW_NODE_NON_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_WRITES_QUEUE | FLOW_NODE_ONLY_ADDS,
    .form = &form,
    .start = writer_start,
};
