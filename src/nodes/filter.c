/* filter.c - lets pass what fits an expression. */
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { CONDITION_EXPRESSION };

static const FlowFieldSpec fields[] = {
    [CONDITION_EXPRESSION] = {.name = "condition_expression",
                              .type = FLOW_FIELD_TEXT,
                              .flags = FLOW_FIELD_REQUIRED | FLOW_FIELD_EXPRESSION,
                              .widget = FLOW_WIDGET_TEXTAREA,
                              .help = "One Jinja expression; the branch ends where it is false."},
};

static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

static FlowNodeOutcome filter_start(FlowNodeCall *call)
{
    return flow_form_values_bool(call->form, CONDITION_EXPRESSION, false) ? FLOW_NODE_DONE
                                                                          : FLOW_NODE_FILTERED;
}

const FlowNodeType flow_node_filter = {
    .name = "filter",
    .label = "Filter",
    .summary = "Lets a payload pass only where an expression is true.",
    .description =
        "Where the expression is false the branch ends; that is no failure. A unit all of whose branches end "
        "this way, with nothing pushed, counts as filtered.",
    .result = "nothing: the payload goes on as it came",
    .example = "{\"name\": \"large orders\", \"nodes\": ["
               "{\"id\": \"orders\", \"type\": \"json-iterator\", \"data\": {\"form\": {\"items\": "
               "[{\"total\": 20}, "
               "{\"total\": 350}]}}},"
               "{\"id\": \"large\", \"type\": \"filter\", \"data\": {\"form\": {\"condition_expression\": "
               "\"data.item.value.total > 100\"}}},"
               "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ "
               "data.item.value.total }} is a lot"
               "\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"orders\", \"target\": \"large\"},"
               "{\"id\": \"e2\", \"source\": \"large\", \"target\": \"show\"}]}",
    .version = 1,
    .kind = FLOW_NODE_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_PURE | FLOW_NODE_ONLY_ADDS,
    .form = &form,
    .start = filter_start,
};
