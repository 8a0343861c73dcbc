/* for_each.c - says which elements there are; running the body for each of them is the host's. */
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { ARRAY_EXPRESSION };

static const FlowFieldSpec fields[] = {
    [ARRAY_EXPRESSION] = {.name = "array_expression",
                          .type = FLOW_FIELD_JSON,
                          .json = FLOW_JSON_KIND_ARRAY,
                          .flags = FLOW_FIELD_REQUIRED | FLOW_FIELD_EMPTY_OK,
                          .widget = FLOW_WIDGET_TEXTAREA,
                          .help = "The array, such as {{ data.order.items }}."},
};

static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

static const FlowNodeBranch branches[] = {
    {"body", "runs once for each element"}, {"default", "goes on when all elements are done"}, {NULL, NULL}};

static FlowNodeOutcome for_each_start(FlowNodeCall *call)
{
    flow_node_call_elements_take(call, flow_value_ref(flow_form_values_get(call->form, ARRAY_EXPRESSION)));
    return FLOW_NODE_DONE;
}

const FlowNodeType flow_node_for_each = {
    .name = "for-each",
    .label = "For each",
    .summary = "Runs its body once for each element of an array, then goes on with the results.",
    .description =
        "The body runs on a copy of the data plus for_each {item, index, count}. What stands at the end of "
        "the "
        "body is that element's result; several ends are joined. Elements that a filter took out are left "
        "out of the results, count stays. Inside a body a non-blocking node is waited for like any other. A "
        "failing element fails the unit. Body and default must not share nodes.",
    .result =
        "in the body for_each: {item, index, count}, index from 0; behind it for_each: {results, count}",
    .example =
        "{\"name\": \"double\", \"nodes\": ["
        "{\"id\": \"lists\", \"type\": \"json-iterator\", \"data\": {\"form\": {\"items\": [[1, 2, 3], "
        "[]]}}},"
        "{\"id\": \"each\", \"type\": \"for-each\", \"data\": {\"form\": {\"array_expression\": \"{{ "
        "data.item.value "
        "}}\"}}},"
        "{\"id\": \"double\", \"type\": \"data-transformer\", \"data\": {\"form\": {\"output_template\": "
        "\"{\\\"n\\\": {{ "
        "data.for_each.item * 2 }}}\"}}},"
        "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ data.for_each.results "
        "}}\"}}}],"
        "\"edges\": [{\"id\": \"e1\", \"source\": \"lists\", \"target\": \"each\"},"
        "{\"id\": \"e2\", \"source\": \"each\", \"target\": \"double\", \"sourceHandle\": \"body\"},"
        "{\"id\": \"e3\", \"source\": \"each\", \"target\": \"show\", \"sourceHandle\": \"default\"}]}",
    .version = 1,
    .kind = FLOW_NODE_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_FOR_EACH | FLOW_NODE_ONLY_ADDS,
    .output_key = "for_each",
    .branches = branches,
    .form = &form,
    .start = for_each_start,
};
