/*
 * rate_limit.c - lets at most so many payloads pass in any span of time.
 *
 * A limiter remembers when its last `permits` permits are due; the next one is due `per` after the oldest of them. So
 * no span of that length ever holds more than `permits`, whoever asks. Limiters with a name are shared by all loops of
 * the process, on all threads; those without belong to their node.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "loop/timer.h"
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { PERMITS, PER, UNIT, LIMITER };
enum { PERMITS_MAX = 100000 };

static bool span_fits(const FlowFormValues *values, FlowFormErrors *errors)
{
    (void)errors;
    int64_t ns;
    return flow_nodes__duration(flow_form_values_int(values, PER, 1),
                                flow_form_values_text(values, UNIT, NULL), &ns);
}

static const FlowFieldSpec fields[] = {
    [PERMITS] = {.name = "permits",
                 .type = FLOW_FIELD_INTEGER,
                 .flags = FLOW_FIELD_REQUIRED | FLOW_FIELD_NO_TEMPLATE,
                 .min_value = FLOW_LITERAL_INT(1),
                 .max_value = FLOW_LITERAL_INT(PERMITS_MAX),
                 .help = "How many payloads may pass in the span."},
    [PER] = {.name = "per",
             .type = FLOW_FIELD_INTEGER,
             .flags = FLOW_FIELD_REQUIRED | FLOW_FIELD_NO_TEMPLATE,
             .min_value = FLOW_LITERAL_INT(1),
             .help = "The length of the span, in units."},
    [UNIT] = {.name = "unit",
              .type = FLOW_FIELD_CHOICE,
              .flags = FLOW_FIELD_REQUIRED | FLOW_FIELD_NO_TEMPLATE,
              .choices = flow_nodes__units,
              .help = "The unit of the span."},
    [LIMITER] = {.name = "limiter",
                 .type = FLOW_FIELD_TEXT,
                 .flags = FLOW_FIELD_NO_TEMPLATE,
                 .max_length = 128,
                 .help = "Nodes that name the same limiter share its permits; empty: this node alone."},
};

static const FlowFormRule rules[] = {
    {.kind = FLOW_RULE_CHECK,
     .fields = {"per", "unit"},
     .check = span_fits,
     .target = "per",
     .message = FLOW_NODES_TOO_LONG},
};

static const FlowFormSpec form = {
    .fields = fields, .field_count = FLOW_COUNT(fields), .rules = rules, .rule_count = FLOW_COUNT(rules)};

/* ---- limiters ---- */

typedef struct Limiter {
    char *name; /* NULL: not shared */
    unsigned users;
    int64_t *due_ns; /* of the last permits, a ring of `capacity` */
    size_t capacity, count, next;
} Limiter;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what is below, and all limiters */
static FlowMap shared;
static bool shared_is_made;

static Limiter *limiter_open(const char *name)
{
    pthread_mutex_lock(&lock);
    if (!shared_is_made) {
        flow_map_init(&shared);
        shared_is_made = true;
    }
    Limiter *limiter = *name ? flow_map_find(&shared, name) : NULL;
    if (!limiter) {
        limiter = flow_new(Limiter);
        if (*name) {
            limiter->name = flow_strdup(name);
            if (!flow_map_put(&shared, name, limiter))
                abort();
        }
    }
    limiter->users++;
    pthread_mutex_unlock(&lock);
    return limiter;
}

static void limiter_close(Limiter *limiter)
{
    pthread_mutex_lock(&lock);
    bool is_last = --limiter->users == 0;
    if (is_last && limiter->name)
        flow_map_remove(&shared, limiter->name, strlen(limiter->name));
    if (is_last && shared.count == 0) {
        flow_map_done(&shared, NULL);
        shared_is_made = false;
    }
    pthread_mutex_unlock(&lock);
    if (!is_last)
        return;
    free(limiter->due_ns);
    free(limiter->name);
    free(limiter);
}

/* Nodes that share a limiter may differ in how many permits they see: the ring grows to the largest. */
static bool make_room(Limiter *limiter, size_t permits)
{
    if (permits <= limiter->capacity)
        return true;
    int64_t *ring = flow_try_calloc(permits, sizeof(*ring));
    if (!ring)
        return false;
    for (size_t i = 0; i < limiter->count; i++)
        ring[i] =
            limiter->due_ns[(limiter->next + limiter->capacity - limiter->count + i) % limiter->capacity];
    free(limiter->due_ns);
    limiter->due_ns = ring;
    limiter->next = limiter->count % permits;
    limiter->capacity = permits;
    return true;
}

/* Takes the next permit; when it is due. -1 when memory is exhausted. */
static int64_t limiter_take(Limiter *limiter, size_t permits, int64_t per_ns, int64_t now_ns)
{
    pthread_mutex_lock(&lock);
    int64_t due_ns = -1;
    if (make_room(limiter, permits)) {
        due_ns = now_ns;
        size_t capacity = limiter->capacity;
        if (limiter->count >= permits) {
            int64_t oldest_ns = limiter->due_ns[(limiter->next + capacity - permits) % capacity];
            if (oldest_ns + per_ns > due_ns)
                due_ns = oldest_ns + per_ns;
        }
        /* First come, first served: never before one that was taken earlier. */
        if (limiter->count) {
            int64_t last_ns = limiter->due_ns[(limiter->next + capacity - 1) % capacity];
            due_ns = last_ns > due_ns ? last_ns : due_ns;
        }
        limiter->due_ns[limiter->next] = due_ns;
        limiter->next = (limiter->next + 1) % capacity;
        limiter->count += limiter->count < capacity;
    }
    pthread_mutex_unlock(&lock);
    return due_ns;
}

/* ---- the node ---- */

typedef struct Gate {
    Limiter *limiter;
} Gate;

typedef struct Call {
    FlowTimer timer;
    FlowNodeCall *call;
} Call;

static FlowStatus limit_setup(FlowNode *node, FlowError *reterr)
{
    (void)reterr;
    FlowValue name = flow_form_stored(node->form, LIMITER);
    Gate *self = node->memory;
    self->limiter = limiter_open(flow_value_kind(name) == FLOW_VALUE_STRING ? flow_value_text(&name) : "");
    return FLOW_OK;
}

static void limit_cleanup(FlowNode *node)
{
    Gate *self = node->memory;
    if (self->limiter)
        limiter_close(self->limiter);
}

static void on_time(FlowTimer *timer)
{
    Call *self = flow_container_of(timer, Call, timer);
    flow_node_call_finish(self->call, FLOW_NODE_DONE);
}

static FlowNodeOutcome limit_start(FlowNodeCall *call)
{
    Gate *self = call->node->memory;
    Call *waiting = call->memory;
    int64_t per_ns = 0, now_ns = flow_clock_mono_ns(flow_loop_clock(call->node->loop));
    if (!flow_nodes__duration(flow_form_values_int(call->form, PER, 1),
                              flow_form_values_text(call->form, UNIT, NULL), &per_ns))
        return flow_node_call_fail(call, FLOW_INVALID_ARGUMENT, "INVALID_FORM", FLOW_NODES_TOO_LONG);
    size_t permits = (size_t)flow_form_values_int(call->form, PERMITS, 1);
    int64_t due_ns = limiter_take(self->limiter, permits, per_ns, now_ns);
    if (due_ns < 0)
        return flow_node_call_fail(call, FLOW_RESOURCE_EXHAUSTED, NULL, "no memory for %zu permits", permits);
    if (due_ns <= now_ns)
        return FLOW_NODE_DONE;
    waiting->call = call;
    flow_timer_init(&waiting->timer, call->node->loop, on_time);
    flow_timer_start_at(&waiting->timer, due_ns);
    flow_node_call_wait(call, "permit");
    return FLOW_NODE_PENDING;
}

static void limit_cancel(FlowNodeCall *call)
{
    Call *waiting = call->memory;
    flow_timer_stop(&waiting->timer);
    flow_node_call_finish(
        call, flow_node_call_fail(call, FLOW_CANCELLED, "CANCELLED", "waiting for a permit was cancelled"));
}

const FlowNodeType flow_node_rate_limit = {
    .name = "rate-limit",
    .label = "Rate limit",
    .summary = "Lets at most so many payloads pass in a span of time; the others wait.",
    .description =
        "No span of that length ever holds more payloads than there are permits. Whoever comes first is "
        "served "
        "first. Nodes that name the same limiter, in any loop of the server, share its permits; its past is "
        "forgotten when the last of these loops ends, or the server.",
    .result = "nothing: the payload goes on as it came",
    .example = "{\"name\": \"five a second\", \"nodes\": ["
               "{\"id\": \"count\", \"type\": \"counter\", \"data\": {\"form\": {\"min_value\": 1, "
               "\"max_value\": 20}}},"
               "{\"id\": \"slowly\", \"type\": \"rate-limit\", \"data\": {\"form\": {\"permits\": 5, "
               "\"per\": 1, \"unit\": "
               "\"seconds\"}}},"
               "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ "
               "data.counter.current }}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"count\", \"target\": \"slowly\"},"
               "{\"id\": \"e2\", \"source\": \"slowly\", \"target\": \"show\"}]}",
    .version = 1,
    .kind = FLOW_NODE_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_ONLY_ADDS,
    .form = &form,
    .instance_size = sizeof(Gate),
    .call_size = sizeof(Call),
    .setup = limit_setup,
    .start = limit_start,
    .cancel = limit_cancel,
    .cleanup = limit_cleanup,
};
