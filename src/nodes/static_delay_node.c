/* static_delay_node.c - waits, then passes the payload on. */
#include "loop/timer.h"
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { INTERVAL, UNIT };

static bool interval_fits(const FlowFormValues *values, FlowFormErrors *errors)
{
    (void)errors;
    int64_t ns;
    return flow_nodes__duration(flow_form_values_int(values, INTERVAL, 1),
                                flow_form_values_text(values, UNIT, NULL), &ns);
}

static const FlowFieldSpec fields[] = {
    [INTERVAL] = {.name = "interval",
                  .type = FLOW_FIELD_INTEGER,
                  .flags = FLOW_FIELD_REQUIRED,
                  .min_value = FLOW_LITERAL_INT(1),
                  .help = "How long to wait, in units."},
    [UNIT] = {.name = "unit",
              .type = FLOW_FIELD_CHOICE,
              .flags = FLOW_FIELD_REQUIRED,
              .choices = flow_nodes__units,
              .help = "The unit of the interval."},
};

static const FlowFormRule rules[] = {
    {.kind = FLOW_RULE_CHECK,
     .fields = {"interval", "unit"},
     .check = interval_fits,
     .target = "interval",
     .message = FLOW_NODES_TOO_LONG},
};

static const FlowFormSpec form = {
    .fields = fields, .field_count = FLOW_COUNT(fields), .rules = rules, .rule_count = FLOW_COUNT(rules)};

typedef struct Delay {
    FlowTimer timer;
    FlowNodeCall *call;
} Delay;

static void on_time(FlowTimer *timer)
{
    Delay *self = flow_container_of(timer, Delay, timer);
    flow_node_call_finish(self->call, FLOW_NODE_DONE);
}

static FlowNodeOutcome delay_start(FlowNodeCall *call)
{
    Delay *self = call->memory;
    int64_t ns;
    if (!flow_nodes__duration(flow_form_values_int(call->form, INTERVAL, 1),
                              flow_form_values_text(call->form, UNIT, NULL), &ns))
        return flow_node_call_fail(call, FLOW_INVALID_ARGUMENT, "INVALID_FORM", FLOW_NODES_TOO_LONG);
    self->call = call;
    flow_timer_init(&self->timer, call->node->loop, on_time);
    flow_timer_start(&self->timer, ns);
    flow_node_call_wait(call, "delay");
    return FLOW_NODE_PENDING;
}

static void delay_cancel(FlowNodeCall *call)
{
    Delay *self = call->memory;
    flow_timer_stop(&self->timer);
    flow_node_call_finish(call,
                          flow_node_call_fail(call, FLOW_CANCELLED, "CANCELLED", "the delay was cancelled"));
}

const FlowNodeType flow_node_static_delay = {
    .name = "static-delay-node",
    .label = "Static delay",
    .summary = "Waits for a fixed time, then passes the payload on.",
    .description =
        "The loop waits meanwhile, and others go on. Behind a non-blocking node only this payload waits.",
    .result = "nothing: the payload goes on as it came",
    .example = "{\"name\": \"slowly\", \"nodes\": ["
               "{\"id\": \"count\", \"type\": \"counter\", \"data\": {\"form\": {\"min_value\": 1, "
               "\"max_value\": 3}}},"
               "{\"id\": \"wait\", \"type\": \"static-delay-node\", \"data\": {\"form\": {\"interval\": 500, "
               "\"unit\": "
               "\"milliseconds\"}}},"
               "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ "
               "data.counter.current }}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"count\", \"target\": \"wait\"},"
               "{\"id\": \"e2\", \"source\": \"wait\", \"target\": \"show\"}]}",
    .version = 1,
    .kind = FLOW_NODE_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_ONLY_ADDS,
    .form = &form,
    .call_size = sizeof(Delay),
    .start = delay_start,
    .cancel = delay_cancel,
};
