/*
 * dynamic_delay_node.c - delays that look like a person's: each a bit different, together exactly as long as asked for.
 *
 * A round is a list of `executions` delays, drawn at once. The durable state is {"round": [ns, …], "next": index, "for":
 * what it was drawn for}: after a restart the round goes on where it was; other form values begin a new one.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "loop/timer.h"
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { TOTAL_TIME, UNIT, EXECUTIONS, JITTER_PERCENT };
enum { EXECUTIONS_MAX = 100000 };

static bool time_fits(const FlowFormValues *values, FlowFormErrors *errors)
{
    (void)errors;
    int64_t ns;
    return flow_nodes__duration(flow_form_values_int(values, TOTAL_TIME, 1),
                                flow_form_values_text(values, UNIT, NULL), &ns);
}

static const FlowFieldSpec fields[] = {
    [TOTAL_TIME] = {.name = "total_time",
                    .type = FLOW_FIELD_INTEGER,
                    .flags = FLOW_FIELD_REQUIRED,
                    .min_value = FLOW_LITERAL_INT(1),
                    .help = "How long all executions of a round wait together, in units."},
    [UNIT] = {.name = "unit",
              .type = FLOW_FIELD_CHOICE,
              .flags = FLOW_FIELD_REQUIRED,
              .choices = flow_nodes__units,
              .help = "The unit of the total time."},
    [EXECUTIONS] = {.name = "executions",
                    .type = FLOW_FIELD_INTEGER,
                    .flags = FLOW_FIELD_REQUIRED,
                    .min_value = FLOW_LITERAL_INT(1),
                    .max_value = FLOW_LITERAL_INT(EXECUTIONS_MAX),
                    .help = "How many payloads make a round."},
    [JITTER_PERCENT] = {.name = "jitter_percent",
                        .type = FLOW_FIELD_INTEGER,
                        .min_value = FLOW_LITERAL_INT(0),
                        .max_value = FLOW_LITERAL_INT(100),
                        .initial = FLOW_LITERAL_INT(30),
                        .help =
                            "How far a delay may be from the average before they are scaled to the total."},
};

static const FlowFormRule rules[] = {
    {.kind = FLOW_RULE_CHECK,
     .fields = {"total_time", "unit"},
     .check = time_fits,
     .target = "total_time",
     .message = FLOW_NODES_TOO_LONG},
};

static const FlowFormSpec form = {
    .fields = fields, .field_count = FLOW_COUNT(fields), .rules = rules, .rule_count = FLOW_COUNT(rules)};

typedef struct Delays {
    FlowValue round; /* array of ns */
    size_t next;
    int64_t total_ns, executions, jitter; /* what it was drawn for */
} Delays;

typedef struct Call {
    FlowTimer timer;
    FlowNodeCall *call;
    FlowValue state; /* given when the delay is over: a cancelled one is waited for again */
} Call;

/* ---- the round ---- */

/* Each weight is 1 ± jitter; scaled, rounded down, the rest spread a nanosecond each: the sum is exact. */
static FlowStatus draw(Delays *self, FlowError *reterr)
{
    size_t count = (size_t)self->executions;
    uint32_t *random = flow_try_calloc(count, sizeof(*random));
    FlowValue *items = flow_try_calloc(count, sizeof(*items));
    FlowStatus status = FLOW_OK;
    if (!random || !items)
        status = flow_error_no_memory(reterr, "executions", count * sizeof(*items));
    if (status == FLOW_OK) {
        double weights = 0, jitter = (double)self->jitter / 100;
        int64_t given = 0;
        flow_random_bytes(random, count * sizeof(*random));
        for (size_t i = 0; i < count; i++)
            weights += 1 + jitter * ((double)random[i] / 2147483647.5 - 1);
        for (size_t i = 0; i < count; i++) {
            double weight = 1 + jitter * ((double)random[i] / 2147483647.5 - 1);
            /* All weights zero: all delays alike. */
            double share = weights > 0 ? weight / weights : 1.0 / (double)count;
            int64_t ns = (int64_t)((double)self->total_ns * share);
            if (ns > self->total_ns - given)
                ns = self->total_ns - given;
            items[i] = flow_value_int(ns);
            given += ns;
        }
        int64_t rest = self->total_ns - given, each = rest / (int64_t)count, more = rest % (int64_t)count;
        for (size_t i = 0; i < count; i++)
            items[i] = flow_value_int(flow_value_get_int(items[i]) + each + ((int64_t)i < more));
        FlowValue round;
        status = flow_array_from_take(items, count, &round, reterr);
        if (status == FLOW_OK) {
            flow_value_assign_take(&self->round, round);
            self->next = 0;
        }
    }
    free(items);
    free(random);
    return status;
}

static FlowStatus make_state(const Delays *self, FlowValue *ret_state, FlowError *reterr)
{
    const FlowValue drawn_for[] = {flow_value_int(self->total_ns), flow_value_int(self->executions),
                                   flow_value_int(self->jitter)};
    FlowValue list;
    FlowStatus status = flow_array_from_take(drawn_for, FLOW_COUNT(drawn_for), &list, reterr);
    if (status != FLOW_OK)
        return status;
    const FlowMember members[] = {
        flow_nodes__member("round", flow_value_ref(self->round)),
        flow_nodes__member("next", flow_value_int((int64_t)self->next)),
        flow_nodes__member("for", list),
    };
    return flow_object_from_take(members, FLOW_COUNT(members), ret_state, reterr);
}

static int64_t int_at(FlowValue array, size_t index)
{
    const FlowValue *item = flow_array_at(array, index);
    return item && flow_value_kind(*item) == FLOW_VALUE_INT ? flow_value_get_int(*item) : -1;
}

static FlowStatus delays_setup(FlowNode *node, FlowError *reterr)
{
    (void)reterr;
    Delays *self = node->memory;
    const FlowValue *round = flow_object_get(node->state, "round"),
                    *next = flow_object_get(node->state, "next");
    const FlowValue *drawn_for = flow_object_get(node->state, "for");
    if (!round || !next || !drawn_for || flow_value_kind(*next) != FLOW_VALUE_INT)
        return FLOW_OK;
    self->round = flow_value_ref(*round);
    self->next = (size_t)flow_value_get_int(*next);
    self->total_ns = int_at(*drawn_for, 0);
    self->executions = int_at(*drawn_for, 1);
    self->jitter = int_at(*drawn_for, 2);
    return FLOW_OK;
}

static void delays_cleanup(FlowNode *node)
{
    Delays *self = node->memory;
    flow_value_clear(&self->round);
}

/* ---- the call ---- */

static void on_time(FlowTimer *timer)
{
    Call *self = flow_container_of(timer, Call, timer);
    flow_node_call_state_take(self->call, flow_value_steal(&self->state));
    flow_node_call_finish(self->call, FLOW_NODE_DONE);
}

static FlowNodeOutcome delay_start(FlowNodeCall *call)
{
    Delays *self = call->node->memory;
    Call *waiting = call->memory;
    FlowError error;
    int64_t total_ns, executions = flow_form_values_int(call->form, EXECUTIONS, 1);
    int64_t jitter = flow_form_values_int(call->form, JITTER_PERCENT, 30);
    if (!flow_nodes__duration(flow_form_values_int(call->form, TOTAL_TIME, 1),
                              flow_form_values_text(call->form, UNIT, NULL), &total_ns))
        return flow_node_call_fail(call, FLOW_INVALID_ARGUMENT, "INVALID_FORM", FLOW_NODES_TOO_LONG);
    if (self->next >= flow_array_count(self->round) || total_ns != self->total_ns ||
        executions != self->executions || jitter != self->jitter) {
        self->total_ns = total_ns;
        self->executions = executions;
        self->jitter = jitter;
        if (draw(self, &error) != FLOW_OK)
            return flow_node_call_fail_with(call, &error);
    }
    int64_t ns = int_at(self->round, self->next++);
    if (make_state(self, &waiting->state, &error) != FLOW_OK)
        return flow_node_call_fail_with(call, &error);
    waiting->call = call;
    flow_timer_init(&waiting->timer, call->node->loop, on_time);
    flow_timer_start(&waiting->timer, ns > 0 ? ns : 0);
    flow_node_call_wait(call, "delay");
    return FLOW_NODE_PENDING;
}

static void delay_cancel(FlowNodeCall *call)
{
    Call *waiting = call->memory;
    flow_timer_stop(&waiting->timer);
    flow_value_clear(&waiting->state);
    flow_node_call_finish(call,
                          flow_node_call_fail(call, FLOW_CANCELLED, "CANCELLED", "the delay was cancelled"));
}

const FlowNodeType flow_node_dynamic_delay = {
    .name = "dynamic-delay-node",
    .label = "Dynamic delay",
    .summary = "Waits, each time a bit differently, but for a given time over all.",
    .description =
        "A round is as many payloads as `executions` says. Its delays are drawn at random around their "
        "average and scaled so that they add up to the total time exactly. After a restart of the server the "
        "round goes on where it was.",
    .result = "nothing: the payload goes on as it came",
    .example = "{\"name\": \"like a person\", \"nodes\": ["
               "{\"id\": \"count\", \"type\": \"counter\", \"data\": {\"form\": {\"min_value\": 1, "
               "\"max_value\": 5}}},"
               "{\"id\": \"wait\", \"type\": \"dynamic-delay-node\", \"data\": {\"form\": {\"total_time\": "
               "2, \"unit\": "
               "\"seconds\", \"executions\": 5}}},"
               "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ "
               "data.counter.current }}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"count\", \"target\": \"wait\"},"
               "{\"id\": \"e2\", \"source\": \"wait\", \"target\": \"show\"}]}",
    .version = 1,
    .kind = FLOW_NODE_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_ONLY_ADDS,
    .form = &form,
    .instance_size = sizeof(Delays),
    .call_size = sizeof(Call),
    .setup = delays_setup,
    .start = delay_start,
    .cancel = delay_cancel,
    .cleanup = delays_cleanup,
};
