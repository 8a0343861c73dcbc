#include "fakes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "forms/form.h"
#include "loop/loop.h"
#include "value/json.h"

enum { SCRIPT, QUEUE_NAME };

static const FlowFieldSpec fields[] = {
    [SCRIPT] = {.name = "script",
                .type = FLOW_FIELD_JSON,
                .flags = FLOW_FIELD_EMPTY_OK | FLOW_FIELD_NO_TEMPLATE},
    [QUEUE_NAME] = {.name = "queue_name", .type = FLOW_FIELD_TEXT, .flags = FLOW_FIELD_LITERAL},
};
static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

/* ---- what is seen ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static FlowBuf trace = {.limit = 64 << 20}, lives = {.limit = 1 << 20};

static void note(FlowBuf *buf, const char *before, const char *id)
{
    pthread_mutex_lock(&lock);
    flow_buf_str(buf, before);
    flow_buf_str(buf, id);
    pthread_mutex_unlock(&lock);
}

static char *copy(FlowBuf *buf)
{
    pthread_mutex_lock(&lock);
    char *text = strdup(flow_buf_text(buf));
    pthread_mutex_unlock(&lock);
    return text;
}

char *fakes_trace(void)
{
    return copy(&trace);
}

char *fakes_lives(void)
{
    return copy(&lives);
}

char *fakes_trace_of(const char *letters)
{
    char *all = fakes_trace(), *out = calloc(1, strlen(all) + 1), *rest;
    for (char *word = strtok_r(all, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (strchr(letters, word[0])) {
            strcat(out, " ");
            strcat(out, word);
        }
    free(all);
    return out;
}

unsigned fakes_cleanups(void)
{
    char *text = fakes_lives();
    unsigned count = 0;
    for (const char *c = text; *c; c++)
        count += *c == '-';
    free(text);
    return count;
}

/* ---- scripts ---- */

static FlowValue script_of(const FlowNodeCall *call)
{
    return flow_form_values_get(call->form, SCRIPT);
}

static const FlowValue *option(const FlowNodeCall *call, const char *key)
{
    return flow_object_get(script_of(call), key);
}

static bool flag(const FlowNodeCall *call, const char *key)
{
    const FlowValue *value = option(call, key);
    return value && flow_value_kind(*value) == FLOW_VALUE_BOOL && flow_value_get_bool(*value);
}

/* {"if": x}: only when data.item is x. */
static bool applies(const FlowNodeCall *call)
{
    const FlowValue *wanted = option(call, "if"), *item = flow_object_get(call->data, "item");
    return wanted == NULL || (item && flow_value_equal(*wanted, *item));
}

static void seen(const FlowNodeCall *call)
{
    note(&trace, " ", call->node->id);
}

/* ---- gates ---- */

typedef struct Gate {
    FlowList link;
    char id[64];
    unsigned allowed, waiting;
    FlowList calls; /* Waiting.link */
} Gate;

typedef struct Waiting {
    FlowTask task;
    FlowList link;
    FlowNodeCall *call;
} Waiting;

static FlowList gates = {&gates, &gates};

static Gate *gate(const char *id)
{
    FLOW_LIST_FOR_EACH(link, &gates)
    if (strcmp(flow_list_entry(link, Gate, link)->id, id) == 0)
        return flow_list_entry(link, Gate, link);
    Gate *made = flow_new(Gate);
    snprintf(made->id, sizeof made->id, "%s", id);
    flow_list_init(&made->calls);
    flow_list_push_back(&gates, &made->link);
    return made;
}

static void let_through(FlowTask *task)
{
    Waiting *waiting = flow_container_of(task, Waiting, task);
    flow_node_call_finish(waiting->call, FLOW_NODE_DONE);
}

static FlowNodeOutcome wait_at_gate(FlowNodeCall *call)
{
    Waiting *self = call->memory;
    pthread_mutex_lock(&lock);
    Gate *at = gate(call->node->id);
    FlowNodeOutcome outcome = FLOW_NODE_PENDING;
    if (at->allowed > 0) {
        at->allowed--;
        outcome = FLOW_NODE_DONE;
    } else {
        self->call = call;
        self->task.run = let_through;
        flow_list_init(&self->link);
        flow_list_push_back(&at->calls, &self->link);
        at->waiting++;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    return outcome;
}

static void gate_cancel(FlowNodeCall *call)
{
    Waiting *self = call->memory;
    note(&trace, " !", call->node->id);
    if (flag(call, "deaf"))
        return;
    pthread_mutex_lock(&lock);
    bool stands = !flow_list_empty(&self->link);
    if (stands) {
        flow_list_remove(&self->link);
        gate(call->node->id)->waiting--;
    }
    pthread_mutex_unlock(&lock);
    /* Otherwise it was let through a moment ago, and will finish by that. */
    if (stands)
        flow_node_call_finish(call, FLOW_NODE_FAILED);
}

static void deadline(struct timespec *ret)
{
    clock_gettime(CLOCK_REALTIME, ret);
    ret->tv_sec += 30;
}

void fakes_gate_wait(const char *node_id, unsigned count)
{
    struct timespec until;
    deadline(&until);
    pthread_mutex_lock(&lock);
    while (gate(node_id)->waiting < count)
        if (pthread_cond_timedwait(&changed, &lock, &until) != 0) {
            fprintf(stderr, "gate %s: %u instead of %u calls came\n", node_id, gate(node_id)->waiting, count);
            abort();
        }
    pthread_mutex_unlock(&lock);
}

void fakes_gate_open(const char *node_id, unsigned count)
{
    pthread_mutex_lock(&lock);
    Gate *at = gate(node_id);
    for (; count > 0 && !flow_list_empty(&at->calls); count--) {
        Waiting *waiting = flow_list_entry(flow_list_pop_front(&at->calls), Waiting, link);
        at->waiting--;
        flow_loop_post(flow_node_loop(waiting->call->node), &waiting->task);
    }
    at->allowed += count;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void fakes_reset(void)
{
    pthread_mutex_lock(&lock);
    flow_buf_clear(&trace);
    flow_buf_clear(&lives);
    FLOW_LIST_FOR_EACH(link, &gates)
    {
        flow_list_remove(link);
        free(flow_list_entry(link, Gate, link));
    }
    pthread_mutex_unlock(&lock);
}

/* ---- life ---- */

static FlowStatus life_setup(FlowNode *node, FlowError *reterr)
{
    note(&lives, " +", node->id);
    if (node->id[0] == 'z')
        return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, NULL, node->id, "this one never works");
    return FLOW_OK;
}

static void life_cleanup(FlowNode *node)
{
    note(&lives, " -", node->id);
}

/* ---- producers ---- */

typedef struct Items {
    int64_t next;
    bool has_failed; /* at this item, once */
    bool waits;
} Items;

static FlowStatus items_setup(FlowNode *node, FlowError *reterr)
{
    Items *self = node->memory;
    if (flow_value_kind(node->state) == FLOW_VALUE_INT)
        self->next = flow_value_get_int(node->state);
    return life_setup(node, reterr);
}

static FlowNodeOutcome give(FlowNodeCall *call, FlowValue item_take)
{
    Items *self = call->node->memory;
    FlowValue data = flow_value_object();
    flow_object_set_take(&data, "item", item_take, NULL);
    self->next++;
    self->has_failed = false;
    flow_node_call_state_take(call, flow_value_int(self->next));
    return flow_node_call_data_take(call, data);
}

static FlowNodeOutcome items_start(FlowNodeCall *call)
{
    Items *self = call->node->memory;
    seen(call);
    if (flag(call, "broken"))
        return flow_node_call_fail(call, FLOW_UNAVAILABLE, NULL, "broken");
    if (flag(call, "spin"))
        return give(call, flow_value_int(self->next));
    const FlowValue *items = option(call, "items");
    const FlowValue *item = items ? flow_array_at(*items, (size_t)self->next) : NULL;
    if (item == NULL)
        return FLOW_NODE_COMPLETED;
    const FlowValue *failure = flow_object_get(*item, "fail");
    if (failure && !self->has_failed) {
        self->has_failed = true;
        return flow_node_call_fail(call, FLOW_UNAVAILABLE, NULL, "%s", flow_value_text(failure));
    }
    if (flow_object_get(*item, "wait")) {
        FlowNodeOutcome outcome = wait_at_gate(call);
        if (outcome == FLOW_NODE_PENDING) {
            flow_node_call_wait(call, "gate");
            give(call, flow_value_string("waited"));
            /* Given only when the gate opens: a cancel takes it back. */
            self->next--;
            self->waits = true;
            return outcome;
        }
    }
    return give(call, flow_value_ref(*item));
}

/* The item that waited counts from here on; the next start reads self->next. */
static void items_through(FlowTask *task)
{
    Waiting *waiting = flow_container_of(task, Waiting, task);
    Items *self = waiting->call->node->memory;
    self->next++;
    flow_node_call_finish(waiting->call, FLOW_NODE_DONE);
}

static FlowNodeOutcome items_start_checked(FlowNodeCall *call)
{
    FlowNodeOutcome outcome = items_start(call);
    if (outcome == FLOW_NODE_PENDING)
        ((Waiting *)call->memory)->task.run = items_through;
    return outcome;
}

static FlowNodeOutcome pass_start(FlowNodeCall *call)
{
    seen(call);
    return FLOW_NODE_DONE;
}

/* ---- others ---- */

static FlowNodeOutcome write_start(FlowNodeCall *call)
{
    FlowError error;
    seen(call);
    for (uint32_t i = 0; i < call->node->queue_count; i++)
        if (flow_node_call_push(call, call->node->queues[i], flow_value_ref(call->data),
                                flow_value_ref(call->metadata), &error) != FLOW_OK)
            return flow_node_call_fail_with(call, &error);
    return FLOW_NODE_DONE;
}

static FlowNodeOutcome each_start(FlowNodeCall *call)
{
    const FlowValue *key = option(call, "array");
    const FlowValue *array = flow_object_get(call->data, key ? flow_value_text(key) : "array");
    seen(call);
    flow_node_call_elements_take(call, array ? flow_value_ref(*array) : flow_value_array());
    return FLOW_NODE_DONE;
}

static FlowNodeOutcome pick_start(FlowNodeCall *call)
{
    const FlowValue *by = option(call, "by"), *branch = option(call, "branch");
    seen(call);
    if (by)
        branch = flow_object_get(call->data, flow_value_text(by));
    if (branch == NULL || flow_value_kind(*branch) != FLOW_VALUE_STRING)
        return flow_node_call_fail(call, FLOW_INVALID_ARGUMENT, NULL, "no branch to pick");
    call->branch = (uint32_t)(flow_value_text(branch)[0] - 'a');
    return FLOW_NODE_DONE;
}

static FlowNodeOutcome boundary_start(FlowNodeCall *call)
{
    seen(call);
    return flag(call, "gate") ? wait_at_gate(call) : FLOW_NODE_DONE;
}

static FlowNodeOutcome gate_start(FlowNodeCall *call)
{
    seen(call);
    return wait_at_gate(call);
}

static FlowNodeOutcome bad_start(FlowNodeCall *call)
{
    const FlowValue *message = option(call, "message");
    seen(call);
    if (!applies(call))
        return FLOW_NODE_DONE;
    return flow_node_call_fail(call, FLOW_INVALID_ARGUMENT, NULL, "%s",
                               message ? flow_value_text(message) : "bad");
}

static FlowNodeOutcome drop_start(FlowNodeCall *call)
{
    seen(call);
    return applies(call) ? FLOW_NODE_FILTERED : FLOW_NODE_DONE;
}

static FlowNodeOutcome end_start(FlowNodeCall *call)
{
    seen(call);
    return FLOW_NODE_ENDED;
}

static FlowStatus count_setup(FlowNode *node, FlowError *reterr)
{
    int64_t *count = node->memory;
    if (flow_value_kind(node->state) == FLOW_VALUE_INT)
        *count = flow_value_get_int(node->state);
    return life_setup(node, reterr);
}

static FlowNodeOutcome count_start(FlowNodeCall *call)
{
    int64_t *count = call->node->memory;
    seen(call);
    ++*count;
    flow_node_call_state_take(call, flow_value_int(*count));
    return flow_node_call_result_as_take(call, "count", flow_value_int(*count));
}

static FlowNodeOutcome thread_start(FlowNodeCall *call)
{
    seen(call);
    struct timespec until;
    FlowNodeOutcome outcome = FLOW_NODE_DONE;
    pthread_mutex_lock(&lock);
    Gate *at = gate(call->node->id);
    at->waiting++;
    pthread_cond_broadcast(&changed);
    while (at->allowed == 0 && !flow_node_call_cancelled(call)) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 5000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&changed, &lock, &until);
    }
    if (at->allowed > 0)
        at->allowed--;
    else
        outcome = FLOW_NODE_FAILED;
    at->waiting--;
    pthread_mutex_unlock(&lock);
    return outcome == FLOW_NODE_DONE ? outcome
                                     : flow_node_call_fail(call, FLOW_CANCELLED, "CANCELLED", "aborted");
}

static void set_all(FlowValue *object, const FlowValue *members)
{
    size_t count;
    const FlowMember *all = members ? flow_object_members(*members, &count) : NULL;
    for (size_t i = 0; all && i < count; i++)
        flow_object_set_key_take(object, all[i].key, flow_value_ref(all[i].value), NULL);
}

static FlowNodeOutcome set_start(FlowNodeCall *call)
{
    const FlowValue *remove = option(call, "remove"), *meta = option(call, "meta"),
                    *push = option(call, "push");
    FlowValue data = flow_value_ref(call->data);
    seen(call);
    set_all(&data, option(call, "set"));
    for (size_t i = 0; remove && i < flow_array_count(*remove); i++) {
        const FlowValue *key = flow_array_at(*remove, i);
        flow_object_remove(&data, flow_value_text(key), NULL);
    }
    if (meta) {
        FlowValue metadata = flow_value_ref(call->metadata);
        set_all(&metadata, meta);
        flow_node_call_metadata_take(call, metadata);
    }
    (void)push;
    return flow_node_call_data_take(call, data);
}

static FlowNodeOutcome many_start(FlowNodeCall *call)
{
    const FlowValue *pushes = option(call, "push");
    FlowError error;
    seen(call);
    for (int64_t i = 0; pushes && i < flow_value_get_int(*pushes); i++)
        if (flow_node_call_push(call, call->node->queues[0], flow_value_ref(call->data), flow_value_object(),
                                &error) != FLOW_OK)
            return flow_node_call_fail_with(call, &error);
    return FLOW_NODE_DONE;
}

/* ---- the types ---- */

static const FlowNodeBranch a_b_c[] = {{"a", ""}, {"b", ""}, {"c", ""}, {NULL, NULL}};
static const FlowNodeBranch body_default[] = {{"body", ""}, {"default", ""}, {NULL, NULL}};

#define FAKE(letter, what, ...)                                                                              \
    {                                                                                                        \
        .name = "fake-" letter, .summary = "For tests.", .version = 1, .kind = FLOW_NODE_##what,             \
        .form = &form, .setup = life_setup, .cleanup = life_cleanup, __VA_ARGS__                             \
    }
#define GATED .call_size = sizeof(Waiting), .cancel = gate_cancel

static FlowNodeType types[] = {
    FAKE("p", PRODUCER, .start = items_start_checked, .instance_size = sizeof(Items), GATED),
    FAKE("r", PRODUCER, .start = pass_start, .flags = FLOW_NODE_READS_QUEUE),
    FAKE("w", NON_BLOCKING, .start = write_start, .flags = FLOW_NODE_WRITES_QUEUE),
    FAKE("y", NON_BLOCKING, .start = many_start, .flags = FLOW_NODE_WRITES_QUEUE),
    FAKE("f", BLOCKING, .start = each_start, .flags = FLOW_NODE_FOR_EACH, .branches = body_default),
    FAKE("c", CONDITIONAL, .start = pick_start, .branches = a_b_c),
    FAKE("n", NON_BLOCKING, .start = boundary_start, GATED),
    FAKE("g", BLOCKING, .start = gate_start, GATED),
    FAKE("o", BLOCKING, .start = gate_start, .flags = FLOW_NODE_ONE_AT_A_TIME, GATED),
    FAKE("b", BLOCKING, .start = bad_start),
    FAKE("d", BLOCKING, .start = drop_start),
    FAKE("e", NON_BLOCKING, .start = end_start),
    FAKE("s", BLOCKING, .start = count_start, .instance_size = sizeof(int64_t)),
    FAKE("t", BLOCKING, .start = thread_start, .pool = FLOW_POOL_THREAD),
    FAKE("z", BLOCKING, .start = pass_start),
    FAKE("x", BLOCKING, .start = set_start),
};

FlowRegistry *fakes_registry(void)
{
    FlowRegistry *registry = flow_registry_new();
    for (size_t i = 0; i < FLOW_COUNT(types); i++) {
        FlowError error;
        if (strcmp(types[i].name, "fake-p") == 0)
            types[i].setup = items_setup;
        if (strcmp(types[i].name, "fake-s") == 0)
            types[i].setup = count_setup;
        if (flow_registry_add(registry, &types[i], &error) != FLOW_OK) {
            fprintf(stderr, "%s: %s\n", types[i].name, error.message);
            abort();
        }
    }
    return registry;
}

/* ---- definitions ---- */

FlowValue json(const char *text)
{
    char *copied = strdup(text);
    for (char *c = copied; *c; c++)
        if (*c == '\'')
            *c = '"';
        else if (*c == ',' && c[strspn(c + 1, " ") + 1] == '}')
            *c = ' ';
    FlowValue value;
    FlowError error;
    if (flow_json_read(copied, strlen(copied), NULL, &value, &error) != FLOW_OK) {
        fprintf(stderr, "%s: %s\n", copied, error.message);
        abort();
    }
    free(copied);
    return value;
}

static char type_letter(const char *id)
{
    return strchr("prwyfcngobdestz", id[0]) ? id[0] : 'x';
}

static void add_node(FlowValue *nodes, FlowValue *known, const char *id, FlowValue scripts, FlowValue configs)
{
    if (flow_object_get(*known, id))
        return;
    char type[16];
    snprintf(type, sizeof type, "fake-%c", type_letter(id));
    const FlowValue *script = flow_object_get(scripts, id), *config = flow_object_get(configs, id);
    FlowValue values = flow_value_object(), data = flow_value_object(), node = flow_value_object();
    flow_object_set_take(&values, "script", script ? flow_value_ref(*script) : flow_value_object(), NULL);
    const FlowValue *queue = script ? flow_object_get(*script, "queue") : NULL;
    if (queue)
        flow_object_set_take(&values, "queue_name", flow_value_ref(*queue), NULL);
    flow_object_set_take(&data, "form", values, NULL);
    if (config)
        flow_object_set_take(&data, "config", flow_value_ref(*config), NULL);
    flow_object_set_take(&node, "id", flow_value_string(id), NULL);
    flow_object_set_take(&node, "type", flow_value_string(type), NULL);
    flow_object_set_take(&node, "data", data, NULL);
    flow_array_push_take(nodes, node, NULL);
    flow_object_set_take(known, id, flow_value_bool(true), NULL);
}

FlowValue fakes_definition(const char *id, const char *notation, const char *scripts_text,
                           const char *configs_text)
{
    FlowValue scripts = json(scripts_text ? scripts_text : "{}"),
              configs = json(configs_text ? configs_text : "{}");
    FlowValue nodes = flow_value_array(), edges = flow_value_array(), known = flow_value_object();
    char *words = strdup(notation), *rest;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *arrow = strchr(word, '>'), *dot = strchr(word, '.'), name[16];
        if (arrow)
            *arrow = '\0';
        if (dot)
            *dot = '\0';
        add_node(&nodes, &known, word, scripts, configs);
        if (arrow == NULL)
            continue;
        add_node(&nodes, &known, arrow + 1, scripts, configs);
        FlowValue edge = flow_value_object();
        snprintf(name, sizeof name, "e%zu", flow_array_count(edges));
        flow_object_set_take(&edge, "id", flow_value_string(name), NULL);
        flow_object_set_take(&edge, "source", flow_value_string(word), NULL);
        flow_object_set_take(&edge, "target", flow_value_string(arrow + 1), NULL);
        if (dot)
            flow_object_set_take(&edge, "sourceHandle", flow_value_string(dot + 1), NULL);
        flow_array_push_take(&edges, edge, NULL);
    }
    FlowValue definition = flow_value_object();
    if (id)
        flow_object_set_take(&definition, "id", flow_value_string(id), NULL);
    flow_object_set_take(&definition, "name", flow_value_string("test"), NULL);
    flow_object_set_take(&definition, "nodes", nodes, NULL);
    flow_object_set_take(&definition, "edges", edges, NULL);
    free(words);
    flow_value_unref(scripts);
    flow_value_unref(configs);
    flow_value_unref(known);
    return definition;
}
