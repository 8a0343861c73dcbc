/* if_condition.c - two ways to go on, chosen by an expression. */
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { CONDITION_EXPRESSION };
enum { YES, NO };

static const FlowFieldSpec fields[] = {
    [CONDITION_EXPRESSION] =
        {.name = "condition_expression",
         .type = FLOW_FIELD_TEXT,
         .flags = FLOW_FIELD_REQUIRED | FLOW_FIELD_EXPRESSION,
         .widget = FLOW_WIDGET_TEXTAREA,
         .help = "One Jinja expression, such as: data.counter.current > 2 and data.name is defined"},
};

static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

static const FlowNodeBranch branches[] = {
    [YES] = {"yes", "the expression is true"}, [NO] = {"no", "the expression is false"}, {NULL, NULL}};

static FlowNodeOutcome condition_start(FlowNodeCall *call)
{
    bool result = flow_form_values_bool(call->form, CONDITION_EXPRESSION, false);
    call->branch = result ? YES : NO;
    const FlowMember members[] = {
        flow_nodes__member("route", flow_value_string(result ? "yes" : "no")),
        flow_nodes__member("expression",
                           flow_value_ref(flow_form_stored(call->node->form, CONDITION_EXPRESSION))),
        flow_nodes__member("result", flow_value_bool(result)),
    };
    return flow_nodes__result_take(call, members, FLOW_COUNT(members));
}

const FlowNodeType flow_node_if_condition = {
    .name = "if-condition",
    .label = "If condition",
    .summary = "Goes on by `yes` or by `no`, as an expression says.",
    .description =
        "The expression is one Jinja expression. {{ … }} inside it is a value in parentheses, never text, so "
        "what a payload holds can't change what the expression does. It counts as true or false by Jinja's "
        "rules: zero, empty and none are false.",
    .result = "if_condition: {route, expression, result}; route is the branch taken, result true or false",
    .example =
        "{\"name\": \"even or odd\", \"nodes\": ["
        "{\"id\": \"count\", \"type\": \"counter\"},"
        "{\"id\": \"even\", \"type\": \"if-condition\", \"data\": {\"form\": {\"condition_expression\": "
        "\"data.counter.current % 2 == 0\"}}},"
        "{\"id\": \"say-even\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ "
        "data.counter.current }} is "
        "even\"}}},"
        "{\"id\": \"say-odd\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ "
        "data.counter.current }} is "
        "odd\"}}}],"
        "\"edges\": [{\"id\": \"e1\", \"source\": \"count\", \"target\": \"even\"},"
        "{\"id\": \"e2\", \"source\": \"even\", \"target\": \"say-even\", \"sourceHandle\": \"yes\"},"
        "{\"id\": \"e3\", \"source\": \"even\", \"target\": \"say-odd\", \"sourceHandle\": \"no\"}]}",
    .version = 1,
    .kind = FLOW_NODE_CONDITIONAL,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_PURE | FLOW_NODE_ONLY_ADDS,
    .output_key = "if_condition",
    .branches = branches,
    .form = &form,
    .start = condition_start,
};
