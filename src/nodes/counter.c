/* counter.c - a producer that counts. Its durable state is how many numbers it has given. */
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { MIN_VALUE, MAX_VALUE, DIRECTION, STEP };

static bool min_is_below_max(const FlowFormValues *values, FlowFormErrors *errors)
{
    (void)errors;
    return flow_form_values_int(values, MIN_VALUE, 0) < flow_form_values_int(values, MAX_VALUE, 0);
}

static const FlowChoice directions[] = {
    {"increment", "Increment", NULL}, {"decrement", "Decrement", NULL}, {NULL, NULL, NULL}};

static const FlowFieldSpec fields[] = {
    [MIN_VALUE] = {.name = "min_value",
                   .type = FLOW_FIELD_INTEGER,
                   .flags = FLOW_FIELD_REQUIRED,
                   .initial = FLOW_LITERAL_INT(0),
                   .help = "The smallest number; part of the count."},
    [MAX_VALUE] = {.name = "max_value",
                   .type = FLOW_FIELD_INTEGER,
                   .flags = FLOW_FIELD_REQUIRED,
                   .initial = FLOW_LITERAL_INT(10),
                   .help = "The largest number; part of the count."},
    [DIRECTION] = {.name = "direction",
                   .type = FLOW_FIELD_CHOICE,
                   .flags = FLOW_FIELD_REQUIRED,
                   .choices = directions,
                   .initial = FLOW_LITERAL_TEXT("increment"),
                   .help = "Upwards from the smallest, or downwards from the largest number."},
    [STEP] = {.name = "step",
              .type = FLOW_FIELD_INTEGER,
              .flags = FLOW_FIELD_REQUIRED,
              .min_value = FLOW_LITERAL_INT(1),
              .initial = FLOW_LITERAL_INT(1),
              .help = "The distance between two numbers."},
};

static const FlowFormRule rules[] = {
    {.kind = FLOW_RULE_CHECK,
     .fields = {"min_value", "max_value"},
     .check = min_is_below_max,
     .message = "min_value must be less than max_value."},
};

static const FlowFormSpec form = {
    .fields = fields, .field_count = FLOW_COUNT(fields), .rules = rules, .rule_count = FLOW_COUNT(rules)};

typedef struct Counter {
    int64_t given;
} Counter;

static FlowStatus counter_setup(FlowNode *node, FlowError *reterr)
{
    (void)reterr;
    Counter *self = node->memory;
    if (flow_value_kind(node->state) == FLOW_VALUE_INT)
        self->given = flow_value_get_int(node->state);
    return FLOW_OK;
}

static FlowNodeOutcome counter_start(FlowNodeCall *call)
{
    Counter *self = call->node->memory;
    int64_t min = flow_form_values_int(call->form, MIN_VALUE, 0);
    int64_t max = flow_form_values_int(call->form, MAX_VALUE, 10);
    int64_t step = flow_form_values_int(call->form, STEP, 1);
    bool down = flow_form_values_is(call->form, DIRECTION, "decrement");
    /* In 128 bits, where neither product nor sum can overflow. */
    __int128 distance = (__int128)self->given * step;
    __int128 wide = down ? max - distance : min + distance;
    if (wide < min || wide > max)
        return FLOW_NODE_COMPLETED;
    int64_t current = (int64_t)wide;
    self->given++;
    flow_node_call_state_take(call, flow_value_int(self->given));
    const FlowMember members[] = {
        flow_nodes__member("current", flow_value_int(current)),
        flow_nodes__member("min", flow_value_int(min)),
        flow_nodes__member("max", flow_value_int(max)),
        flow_nodes__member("step", flow_value_int(step)),
        flow_nodes__member("direction", flow_value_string(down ? "decrement" : "increment")),
        flow_nodes__member("iteration", flow_value_int(self->given)),
    };
    return flow_nodes__result_take(call, members, FLOW_COUNT(members));
}

const FlowNodeType flow_node_counter = {
    .name = "counter",
    .label = "Counter",
    .summary = "Counts from one number to another, one payload per number.",
    .description =
        "Both bounds are part of the count: 1 to 5 gives five payloads. Behind the last number the producer "
        "is completed. After a restart of the server it goes on behind the last number that was settled.",
    .result = "counter: {current, min, max, step, direction, iteration}; iteration counts from 1",
    .example = "{\"name\": \"count to five\", \"nodes\": ["
               "{\"id\": \"count\", \"type\": \"counter\", \"data\": {\"form\": {\"min_value\": 1, "
               "\"max_value\": 5}}},"
               "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ "
               "data.counter.current }} of {{ "
               "data.counter.max }}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"count\", \"target\": \"show\"}]}",
    .version = 1,
    .kind = FLOW_NODE_PRODUCER,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_ONLY_ADDS,
    .output_key = "counter",
    .form = &form,
    .instance_size = sizeof(Counter),
    .setup = counter_setup,
    .start = counter_start,
};
