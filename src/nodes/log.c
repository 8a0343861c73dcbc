/* log.c - a line in the log and an event of the run. */
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { LEVEL, MESSAGE };

static const FlowChoice levels[] = {{"debug", "Debug", NULL},
                                    {"info", "Info", NULL},
                                    {"warning", "Warning", NULL},
                                    {"error", "Error", NULL},
                                    {NULL, NULL, NULL}};

static const FlowFieldSpec fields[] = {
    [LEVEL] = {.name = "level",
               .type = FLOW_FIELD_CHOICE,
               .flags = FLOW_FIELD_REQUIRED,
               .choices = levels,
               .initial = FLOW_LITERAL_TEXT("info"),
               .help = "How important the line is."},
    [MESSAGE] = {.name = "message",
                 .type = FLOW_FIELD_TEXT,
                 .flags = FLOW_FIELD_REQUIRED,
                 .widget = FLOW_WIDGET_TEXTAREA,
                 .help = "The text of the line."},
};

static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

static FlowNodeOutcome log_start(FlowNodeCall *call)
{
    int level = flow_log_level_from_name(flow_form_values_text(call->form, LEVEL, NULL));
    flow_node_call_log(call, level < 0 ? FLOW_LOG_INFO : (FlowLogLevel)level,
                       flow_form_values_text(call->form, MESSAGE, NULL), flow_value_null());
    return FLOW_NODE_DONE;
}

const FlowNodeType flow_node_log = {
    .name = "log",
    .label = "Log",
    .summary = "Writes a line to the log and shows it to those who watch the run.",
    .description = "The line carries workflow, run, node and payload id. The producer doesn't wait for what "
                   "stands behind "
                   "a log node.",
    .result = "nothing: the payload goes on as it came",
    .example =
        "{\"name\": \"hello\", \"nodes\": ["
        "{\"id\": \"once\", \"type\": \"json-iterator\", \"data\": {\"form\": {\"items\": [\"world\"]}}},"
        "{\"id\": \"hello\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"Hello {{ "
        "data.item.value }}\"}}}],"
        "\"edges\": [{\"id\": \"e1\", \"source\": \"once\", \"target\": \"hello\"}]}",
    .version = 1,
    .kind = FLOW_NODE_NON_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_ONLY_ADDS,
    .form = &form,
    .start = log_start,
};
