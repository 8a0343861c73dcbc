/*
 * timer.c - a payload at regular times. Ticks stand on a grid of monotonic time; a tick whose time passes before the
 * loop asks for it is skipped and counted. The durable state is [ticks given, ticks skipped, wall time of the last one
 * in ns]: what passes while the server is down is skipped, too.
 */
#include <stdio.h>

#include "base/clock.h"
#include "loop/timer.h"
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { INTERVAL, UNIT, MAX_TICKS };

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
                  .help = "The time between two ticks, in units."},
    [UNIT] = {.name = "unit",
              .type = FLOW_FIELD_CHOICE,
              .flags = FLOW_FIELD_REQUIRED,
              .choices = flow_nodes__units,
              .initial = FLOW_LITERAL_TEXT("seconds"),
              .help = "The unit of the interval."},
    [MAX_TICKS] = {.name = "max_ticks",
                   .type = FLOW_FIELD_INTEGER,
                   .min_value = FLOW_LITERAL_INT(1),
                   .help = "Completed after so many ticks; empty: never."},
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

typedef struct Timer {
    int64_t given, skipped;
    int64_t last_ns; /* monotonic time of the last tick on the grid, given or not */
} Timer;

typedef struct Call {
    FlowTimer timer;
    FlowNodeCall *call;
} Call;

static int64_t state_int(FlowValue state, size_t index)
{
    const FlowValue *item = flow_array_at(state, index);
    return item && flow_value_kind(*item) == FLOW_VALUE_INT ? flow_value_get_int(*item) : 0;
}

static FlowStatus timer_setup(FlowNode *node, FlowError *reterr)
{
    (void)reterr;
    Timer *self = node->memory;
    const FlowClock *clock = flow_loop_clock(node->loop);
    self->last_ns = flow_clock_mono_ns(clock);
    if (flow_array_count(node->state) != 3)
        return FLOW_OK;
    self->given = state_int(node->state, 0);
    self->skipped = state_int(node->state, 1);
    /* A wall clock that went back meanwhile must not hold the timer up. */
    int64_t since = flow_clock_wall_ns(clock) - state_int(node->state, 2);
    if (since > 0)
        self->last_ns -= since;
    return FLOW_OK;
}

static FlowNodeOutcome tick(FlowNodeCall *call, int64_t due_ns)
{
    Timer *self = call->node->memory;
    const FlowClock *clock = flow_loop_clock(call->node->loop);
    int64_t wall_ns = flow_clock_wall_ns(clock);
    int64_t scheduled_ns = wall_ns - (flow_clock_mono_ns(clock) - due_ns);
    self->given++;
    self->last_ns = due_ns;
    const FlowValue items[] = {flow_value_int(self->given), flow_value_int(self->skipped),
                               flow_value_int(scheduled_ns)};
    FlowValue state = flow_value_null();
    FlowError error;
    if (flow_array_from_take(items, FLOW_COUNT(items), &state, &error) != FLOW_OK)
        return flow_node_call_fail_with(call, &error);
    flow_node_call_state_take(call, state);
    const FlowMember members[] = {
        flow_nodes__member("tick", flow_value_int(self->given)),
        flow_nodes__member("scheduled_at", flow_nodes__time(scheduled_ns)),
        flow_nodes__member("fired_at", flow_nodes__time(wall_ns)),
        flow_nodes__member("skipped", flow_value_int(self->skipped)),
    };
    return flow_nodes__result_take(call, members, FLOW_COUNT(members));
}

static void on_time(FlowTimer *timer)
{
    Call *self = flow_container_of(timer, Call, timer);
    FlowNodeCall *call = self->call;
    flow_node_call_finish(call, tick(call, timer->due_ns));
}

static FlowNodeOutcome timer_start(FlowNodeCall *call)
{
    Timer *self = call->node->memory;
    Call *waiting = call->memory;
    int64_t interval_ns, max_ticks = flow_form_values_int(call->form, MAX_TICKS, INT64_MAX);
    if (self->given >= max_ticks)
        return FLOW_NODE_COMPLETED;
    if (!flow_nodes__duration(flow_form_values_int(call->form, INTERVAL, 1),
                              flow_form_values_text(call->form, UNIT, NULL), &interval_ns))
        return flow_node_call_fail(call, FLOW_INVALID_ARGUMENT, "INVALID_FORM", FLOW_NODES_TOO_LONG);
    int64_t now_ns = flow_clock_mono_ns(flow_loop_clock(call->node->loop));
    int64_t due_ns = self->last_ns + interval_ns;
    if (due_ns < now_ns) {
        int64_t late = (now_ns - due_ns + interval_ns - 1) / interval_ns;
        self->skipped += late;
        due_ns += late * interval_ns;
        self->last_ns = due_ns - interval_ns;
    }
    waiting->call = call;
    flow_timer_init(&waiting->timer, call->node->loop, on_time);
    flow_timer_start_at(&waiting->timer, due_ns);
    flow_node_call_wait(call, "timer");
    return FLOW_NODE_PENDING;
}

static void timer_cancel(FlowNodeCall *call)
{
    Call *waiting = call->memory;
    flow_timer_stop(&waiting->timer);
    flow_node_call_finish(call,
                          flow_node_call_fail(call, FLOW_CANCELLED, "CANCELLED", "the timer was cancelled"));
}

const FlowNodeType flow_node_timer = {
    .name = "timer",
    .label = "Timer",
    .summary = "Gives a payload at regular times.",
    .description =
        "The first tick comes one interval after the start. Ticks keep their rhythm: how long the loop works "
        "on one doesn't move the next. A tick whose time passes while the loop is busy, or while the server "
        "is down, is skipped and counted, never made up for.",
    .result = "timer: {tick, scheduled_at, fired_at, skipped}; tick counts from 1, times are RFC 3339 in "
              "UTC, skipped is "
              "the number of ticks skipped so far",
    .example = "{\"name\": \"heartbeat\", \"nodes\": ["
               "{\"id\": \"every-second\", \"type\": \"timer\", \"data\": {\"form\": {\"interval\": 1, "
               "\"unit\": \"seconds\", "
               "\"max_ticks\": 3}}},"
               "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"Tick {{ "
               "data.timer.tick }}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"every-second\", \"target\": \"show\"}]}",
    .version = 1,
    .kind = FLOW_NODE_PRODUCER,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_ONLY_ADDS,
    .output_key = "timer",
    .form = &form,
    .instance_size = sizeof(Timer),
    .call_size = sizeof(Call),
    .setup = timer_setup,
    .start = timer_start,
    .cancel = timer_cancel,
};
