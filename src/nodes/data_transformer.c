/* data_transformer.c - makes new data out of a template. */
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { OVERWRITE, OUTPUT_TEMPLATE };

static const FlowFieldSpec fields[] = {
    [OVERWRITE] = {.name = "overwrite",
                   .type = FLOW_FIELD_BOOLEAN,
                   .initial = FLOW_LITERAL_BOOL(true),
                   .help =
                       "The result takes the place of the data; otherwise it is added as data_transformer."},
    [OUTPUT_TEMPLATE] =
        {.name = "output_template",
         .type = FLOW_FIELD_JSON,
         .json = FLOW_JSON_KIND_OBJECT,
         .flags = FLOW_FIELD_REQUIRED | FLOW_FIELD_EMPTY_OK,
         .widget = FLOW_WIDGET_TEXTAREA,
         .help = "A template that renders to a JSON object, such as: {\"n\": {{ data.counter.current }}}"},
};

static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

static FlowNodeOutcome transformer_start(FlowNodeCall *call)
{
    FlowValue output = flow_value_ref(flow_form_values_get(call->form, OUTPUT_TEMPLATE));
    if (flow_form_values_bool(call->form, OVERWRITE, true))
        return flow_node_call_data_take(call, output);
    return flow_node_call_result_take(call, output);
}

const FlowNodeType flow_node_data_transformer = {
    .name = "data-transformer",
    .label = "Data transformer",
    .summary = "Makes new data out of a template.",
    .description =
        "The template sees data, metadata, workflow, run and env, and has to render to a JSON object. Text "
        "goes "
        "into JSON safely with the filter tojson: {\"name\": {{ data.name | tojson }}}. A template that is "
        "nothing but one {{ expression }} gives that value as it is.",
    .result = "with overwrite the data becomes the result; without, data_transformer: the result",
    .example = "{\"name\": \"squares\", \"nodes\": ["
               "{\"id\": \"count\", \"type\": \"counter\"},"
               "{\"id\": \"square\", \"type\": \"data-transformer\", \"data\": {\"form\": "
               "{\"output_template\": \"{\\\"n\\\": {{ "
               "data.counter.current }}, \\\"square\\\": {{ data.counter.current ** 2 }}}\"}}},"
               "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ data.n }} "
               "squared is {{ "
               "data.square }}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"count\", \"target\": \"square\"},"
               "{\"id\": \"e2\", \"source\": \"square\", \"target\": \"show\"}]}",
    .version = 1,
    .kind = FLOW_NODE_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_PURE,
    .output_key = "data_transformer",
    .form = &form,
    .start = transformer_start,
};
