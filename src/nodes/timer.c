/*
 * timer.c - a payload at regular times: at an interval, or by a cron expression.
 *
 * Ticks of an interval stand on a grid of monotonic time, those of a cron expression are wall times. A tick whose time
 * passes before the loop asks for it is skipped and counted. The durable state is [ticks given, ticks skipped, wall
 * time of the last one in ns]: what passes while the server is down is skipped, too.
 */
#include "base/clock.h"
#include "loop/timer.h"
#include "nodes/common.h"
#include "nodes/cron.h"
#include "nodes/nodes.h"

enum { INTERVAL, UNIT, CRON, TIMEZONE, MAX_TICKS };
/* A wait for a wall time is looked at anew so often, since that clock may be set. */
#define LOOK_AGAIN_NS (INT64_C(600) * FLOW_NS_PER_S)
/* Missed cron ticks are counted one by one, up to so many. */
enum { COUNTED_MAX = 1000000 };

static bool interval_fits(const FlowFormValues *values, FlowFormErrors *errors)
{
    (void)errors;
    int64_t ns;
    return flow_nodes__duration(flow_form_values_int(values, INTERVAL, 1),
                                flow_form_values_text(values, UNIT, NULL), &ns);
}

static bool has_one(const FlowFormValues *values, FlowFormErrors *errors)
{
    (void)errors;
    return flow_form_values_given(values, INTERVAL) != flow_form_values_given(values, CRON);
}

static bool cron_parses(const FlowFormValues *values, FlowFormErrors *errors)
{
    FlowCron cron;
    FlowError error;
    size_t len;
    const char *text = flow_form_values_text(values, CRON, &len);
    if (len && flow_cron_parse(text, len, &cron, &error) != FLOW_OK)
        flow_form_errors_add(errors, CRON, "invalid", "%s", error.message);
    return true;
}

static bool zone_is_known(const FlowFormValues *values, FlowFormErrors *errors)
{
    FlowTimezone *zone = NULL;
    FlowError error;
    if (flow_timezone_open(flow_form_values_text(values, TIMEZONE, NULL), &zone, &error) != FLOW_OK)
        flow_form_errors_add(errors, TIMEZONE, "invalid", "%s", error.message);
    flow_timezone_free(zone);
    return true;
}

static const FlowFieldSpec fields[] = {
    [INTERVAL] = {.name = "interval",
                  .type = FLOW_FIELD_INTEGER,
                  .min_value = FLOW_LITERAL_INT(1),
                  .help = "The time between two ticks, in units; or use cron."},
    [UNIT] = {.name = "unit",
              .type = FLOW_FIELD_CHOICE,
              .flags = FLOW_FIELD_REQUIRED,
              .choices = flow_nodes__units,
              .initial = FLOW_LITERAL_TEXT("seconds"),
              .help = "The unit of the interval."},
    [CRON] = {.name = "cron",
              .type = FLOW_FIELD_TEXT,
              .flags = FLOW_FIELD_NO_TEMPLATE,
              .help = "Minute, hour, day of month, month, day of week, such as: 30 8 * * mon-fri; with a "
                      "sixth field in "
                      "front for seconds. Also @hourly, @daily, @weekly, @monthly, @yearly."},
    [TIMEZONE] = {.name = "timezone",
                  .type = FLOW_FIELD_TEXT,
                  .flags = FLOW_FIELD_REQUIRED | FLOW_FIELD_NO_TEMPLATE,
                  .initial = FLOW_LITERAL_TEXT("UTC"),
                  .help = "Where the cron expression's times are meant, such as Europe/Berlin."},
    [MAX_TICKS] = {.name = "max_ticks",
                   .type = FLOW_FIELD_INTEGER,
                   .min_value = FLOW_LITERAL_INT(1),
                   .help = "Completed after so many ticks; empty: never."},
};

static const FlowFormRule rules[] = {
    {.kind = FLOW_RULE_CHECK,
     .fields = {"interval", "cron"},
     .check = has_one,
     .target = "interval",
     .message = "Enter either an interval or a cron expression."},
    {.kind = FLOW_RULE_CHECK,
     .fields = {"interval", "unit"},
     .check = interval_fits,
     .target = "interval",
     .message = FLOW_NODES_TOO_LONG},
    /* These two say more themselves. */
    {.kind = FLOW_RULE_CHECK,
     .fields = {"cron"},
     .check = cron_parses,
     .message = "Enter a cron expression."},
    {.kind = FLOW_RULE_CHECK,
     .fields = {"timezone"},
     .check = zone_is_known,
     .message = "Enter a time zone."},
};

static const FlowFormSpec form = {
    .fields = fields, .field_count = FLOW_COUNT(fields), .rules = rules, .rule_count = FLOW_COUNT(rules)};

typedef struct Timer {
    int64_t given, skipped;
    int64_t last_ns;     /* interval: monotonic time of the last tick on the grid, given or not */
    int64_t last_wall_s; /* cron: wall time of the last tick, given or not */
    bool has_cron;
    FlowCron cron;
    FlowTimezone *zone;
} Timer;

typedef struct Call {
    FlowTimer timer;
    FlowNodeCall *call;
    int64_t due_wall_s; /* cron */
} Call;

static int64_t state_int(FlowValue state, size_t index)
{
    const FlowValue *item = flow_array_at(state, index);
    return item && flow_value_kind(*item) == FLOW_VALUE_INT ? flow_value_get_int(*item) : 0;
}

static FlowStatus timer_setup(FlowNode *node, FlowError *reterr)
{
    Timer *self = node->memory;
    const FlowClock *clock = flow_loop_clock(node->loop);
    int64_t wall_ns = flow_clock_wall_ns(clock);
    self->last_ns = flow_clock_mono_ns(clock);
    self->last_wall_s = wall_ns / FLOW_NS_PER_S;
    if (flow_array_count(node->state) == 3) {
        self->given = state_int(node->state, 0);
        self->skipped = state_int(node->state, 1);
        /* A wall clock that went back meanwhile must not hold the timer up. */
        int64_t since = wall_ns - state_int(node->state, 2);
        if (since > 0) {
            self->last_ns -= since;
            self->last_wall_s = state_int(node->state, 2) / FLOW_NS_PER_S;
        }
    }
    FlowValue cron = flow_form_stored(node->form, CRON), zone = flow_form_stored(node->form, TIMEZONE);
    self->has_cron = flow_value_kind(cron) == FLOW_VALUE_STRING && flow_value_length(&cron) > 0;
    if (!self->has_cron)
        return FLOW_OK;
    FlowStatus status =
        flow_cron_parse(flow_value_text(&cron), flow_value_length(&cron), &self->cron, reterr);
    if (status != FLOW_OK)
        return status;
    return flow_timezone_open(flow_value_kind(zone) == FLOW_VALUE_STRING ? flow_value_text(&zone) : "UTC",
                              &self->zone, reterr);
}

static void timer_cleanup(FlowNode *node)
{
    Timer *self = node->memory;
    self->zone = flow_timezone_free(self->zone);
}

static FlowNodeOutcome tick(FlowNodeCall *call, int64_t scheduled_ns)
{
    Timer *self = call->node->memory;
    int64_t wall_ns = flow_clock_wall_ns(flow_loop_clock(call->node->loop));
    self->given++;
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

/* ---- at an interval ---- */

static void on_interval(FlowTimer *timer)
{
    Call *waiting = flow_container_of(timer, Call, timer);
    FlowNodeCall *call = waiting->call;
    Timer *self = call->node->memory;
    const FlowClock *clock = flow_loop_clock(call->node->loop);
    int64_t late_ns = flow_clock_mono_ns(clock) - timer->due_ns;
    self->last_ns = timer->due_ns;
    flow_node_call_finish(call, tick(call, flow_clock_wall_ns(clock) - late_ns));
}

static FlowNodeOutcome start_interval(FlowNodeCall *call)
{
    Timer *self = call->node->memory;
    Call *waiting = call->memory;
    int64_t interval_ns;
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
    flow_timer_init(&waiting->timer, call->node->loop, on_interval);
    flow_timer_start_at(&waiting->timer, due_ns);
    flow_node_call_wait(call, "timer");
    return FLOW_NODE_PENDING;
}

/* ---- by a cron expression ---- */

static void wait_for_wall(Call *waiting)
{
    int64_t now_ns = flow_clock_wall_ns(flow_loop_clock(waiting->call->node->loop));
    int64_t wait_ns = waiting->due_wall_s * FLOW_NS_PER_S - now_ns;
    flow_timer_start(&waiting->timer, wait_ns < 0 ? 0 : wait_ns > LOOK_AGAIN_NS ? LOOK_AGAIN_NS : wait_ns);
}

static void on_wall(FlowTimer *timer)
{
    Call *waiting = flow_container_of(timer, Call, timer);
    FlowNodeCall *call = waiting->call;
    Timer *self = call->node->memory;
    if (flow_clock_wall_ns(flow_loop_clock(call->node->loop)) < waiting->due_wall_s * FLOW_NS_PER_S) {
        wait_for_wall(waiting);
        return;
    }
    self->last_wall_s = waiting->due_wall_s;
    flow_node_call_finish(call, tick(call, waiting->due_wall_s * FLOW_NS_PER_S));
}

static FlowNodeOutcome start_cron(FlowNodeCall *call)
{
    Timer *self = call->node->memory;
    Call *waiting = call->memory;
    int64_t now_ns = flow_clock_wall_ns(flow_loop_clock(call->node->loop));
    int64_t due_s = flow_cron_next(&self->cron, self->zone, self->last_wall_s);
    for (int counted = 0; due_s != INT64_MAX && due_s * FLOW_NS_PER_S < now_ns; counted++) {
        self->skipped++;
        self->last_wall_s = counted < COUNTED_MAX ? due_s : (now_ns - 1) / FLOW_NS_PER_S;
        due_s = flow_cron_next(&self->cron, self->zone, self->last_wall_s);
    }
    if (due_s == INT64_MAX)
        return FLOW_NODE_COMPLETED;
    waiting->due_wall_s = due_s;
    flow_timer_init(&waiting->timer, call->node->loop, on_wall);
    wait_for_wall(waiting);
    flow_node_call_wait(call, "timer");
    return FLOW_NODE_PENDING;
}

/* ---- both ---- */

static FlowNodeOutcome timer_start(FlowNodeCall *call)
{
    Timer *self = call->node->memory;
    Call *waiting = call->memory;
    if (self->given >= flow_form_values_int(call->form, MAX_TICKS, INT64_MAX))
        return FLOW_NODE_COMPLETED;
    waiting->call = call;
    return self->has_cron ? start_cron(call) : start_interval(call);
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
        "At an interval the first tick comes one interval after the start, and ticks keep their rhythm: how "
        "long the loop works on one doesn't move the next. By cron, ticks come when the clocks of the time "
        "zone "
        "say so; a time that is left out when clocks are put forward comes at that moment, one that comes "
        "twice "
        "only the first time, unless the expression is for every hour. A tick whose time passes while the "
        "loop "
        "is busy, or while the server is down, is skipped and counted, never made up for.",
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
    .cleanup = timer_cleanup,
};
