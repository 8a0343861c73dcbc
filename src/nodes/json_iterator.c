/* json_iterator.c - gives the items of an array one by one. Its durable state is how many it has given. */
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { ITEMS };

static const FlowFieldSpec fields[] = {
    [ITEMS] = {.name = "items",
               .type = FLOW_FIELD_JSON,
               .json = FLOW_JSON_KIND_ARRAY,
               .flags =
                   FLOW_FIELD_REQUIRED | FLOW_FIELD_LITERAL | FLOW_FIELD_JSON_LINES | FLOW_FIELD_EMPTY_OK,
               .widget = FLOW_WIDGET_TEXTAREA,
               .help = "A JSON array; as text also JSON Lines, one value per line."},
};

static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

typedef struct Iterator {
    int64_t given;
} Iterator;

static FlowStatus iterator_setup(FlowNode *node, FlowError *reterr)
{
    (void)reterr;
    Iterator *self = node->memory;
    if (flow_value_kind(node->state) == FLOW_VALUE_INT && flow_value_get_int(node->state) >= 0)
        self->given = flow_value_get_int(node->state);
    return FLOW_OK;
}

static FlowNodeOutcome iterator_start(FlowNodeCall *call)
{
    Iterator *self = call->node->memory;
    const FlowValue *item = flow_array_at(flow_form_values_get(call->form, ITEMS), (size_t)self->given);
    if (!item)
        return FLOW_NODE_COMPLETED;
    const FlowMember members[] = {
        flow_nodes__member("value", flow_value_ref(*item)),
        flow_nodes__member("index", flow_value_int(self->given)),
    };
    self->given++;
    flow_node_call_state_take(call, flow_value_int(self->given));
    return flow_nodes__result_take(call, members, FLOW_COUNT(members));
}

const FlowNodeType flow_node_json_iterator = {
    .name = "json-iterator",
    .label = "JSON iterator",
    .summary = "Gives one payload per item of a JSON array.",
    .description =
        "The items stand in the form, as an array, as its JSON text, or as JSON Lines. They are never taken "
        "for templates. Behind the last item the producer is completed. After a restart of the server it "
        "goes on behind the last item that was settled.",
    .result = "item: {value, index}; index counts from 0",
    .example = "{\"name\": \"orders\", \"nodes\": ["
               "{\"id\": \"orders\", \"type\": \"json-iterator\", \"data\": {\"form\": {\"items\": [{\"id\": "
               "1, \"total\": "
               "20}, {\"id\": 2, \"total\": 35}]}}},"
               "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"Order {{ "
               "data.item.value.id }}: {{ "
               "data.item.value.total }}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"orders\", \"target\": \"show\"}]}",
    .version = 1,
    .kind = FLOW_NODE_PRODUCER,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_ONLY_ADDS,
    .output_key = "item",
    .form = &form,
    .instance_size = sizeof(Iterator),
    .setup = iterator_setup,
    .start = iterator_start,
};
