/*
 * deduplicate.c - ends the branch for keys that have come before.
 *
 * The keys are remembered as 128-bit hashes in generations: a list of objects, oldest first, {hash: wall time in ms}. A key
 * that is seen goes into the newest one; one that is full begins another, and behind KEYS_MAX keys the oldest generation
 * is forgotten. That list is the durable state: since values share their parts, giving it with every payload costs no
 * more than the newest generation.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "loop/loop.h"
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { KEY, TTL, UNIT };
enum { GENERATION_KEYS = 256, GENERATIONS_MAX = 128, KEYS_MAX = GENERATION_KEYS * GENERATIONS_MAX };

static bool ttl_fits(const FlowFormValues *values, FlowFormErrors *errors)
{
    (void)errors;
    int64_t ns;
    return flow_nodes__duration(flow_form_values_int(values, TTL, 1),
                                flow_form_values_text(values, UNIT, NULL), &ns);
}

static const FlowFieldSpec fields[] = {
    [KEY] = {.name = "key",
             .type = FLOW_FIELD_TEXT,
             .flags = FLOW_FIELD_REQUIRED,
             .help = "What makes two payloads the same, such as {{ data.order.id }}."},
    [TTL] = {.name = "ttl",
             .type = FLOW_FIELD_INTEGER,
             .min_value = FLOW_LITERAL_INT(1),
             .help = "How long a key is remembered after it was first seen, in units; empty: as long as "
                     "there is room."},
    [UNIT] = {.name = "unit",
              .type = FLOW_FIELD_CHOICE,
              .flags = FLOW_FIELD_REQUIRED,
              .choices = flow_nodes__units,
              .initial = FLOW_LITERAL_TEXT("seconds"),
              .help = "The unit of the ttl."},
};

static const FlowFormRule rules[] = {
    {.kind = FLOW_RULE_CHECK,
     .fields = {"ttl", "unit"},
     .check = ttl_fits,
     .target = "ttl",
     .message = FLOW_NODES_TOO_LONG},
};

static const FlowFormSpec form = {
    .fields = fields, .field_count = FLOW_COUNT(fields), .rules = rules, .rule_count = FLOW_COUNT(rules)};

typedef struct Seen {
    FlowValue generations; /* array of objects, never empty once a key was seen */
} Seen;

static FlowStatus dedup_setup(FlowNode *node, FlowError *reterr)
{
    (void)reterr;
    Seen *self = node->memory;
    self->generations =
        flow_value_kind(node->state) == FLOW_VALUE_ARRAY ? flow_value_ref(node->state) : flow_value_array();
    return FLOW_OK;
}

static void dedup_cleanup(FlowNode *node)
{
    Seen *self = node->memory;
    flow_value_clear(&self->generations);
}

/* The hash as text: what a key costs doesn't depend on its length, and keys can't be read out of the state. */
static void hash_key(const char *key, size_t len, char to[33])
{
    static const uint64_t secret[2] = {0x666c6f772d646564, 0x75706c6963617465}; /* stored: never change it */
    FlowHash128 hash = flow_siphash128(key, len, secret);
    snprintf(to, 33, "%016llx%016llx", (unsigned long long)hash.high, (unsigned long long)hash.low);
}

/* When the key was first seen, in ms; -1 when it wasn't. */
static int64_t first_seen(const Seen *self, const char *key)
{
    size_t count;
    const FlowValue *generations = flow_array_items(self->generations, &count);
    for (size_t i = count; generations && i-- > 0;) {
        const FlowValue *seen = flow_object_getn(generations[i], key, 32);
        if (seen && flow_value_kind(*seen) == FLOW_VALUE_INT)
            return flow_value_get_int(*seen);
    }
    return -1;
}

/* Generations whose newest key is older than the ttl. Keys are added in the order of time. */
static FlowStatus forget(Seen *self, int64_t now_ms, int64_t ttl_ms, FlowError *reterr)
{
    FlowStatus status = FLOW_OK;
    while (status == FLOW_OK && flow_array_count(self->generations) > 1) {
        size_t count;
        const FlowMember *members = flow_object_members(*flow_array_at(self->generations, 0), &count);
        bool is_over = flow_array_count(self->generations) > GENERATIONS_MAX || count == 0 ||
                       (ttl_ms > 0 && flow_value_kind(members[count - 1].value) == FLOW_VALUE_INT &&
                        flow_value_get_int(members[count - 1].value) <= now_ms - ttl_ms);
        if (!is_over)
            break;
        status = flow_array_remove(&self->generations, 0, reterr);
    }
    return status;
}

static FlowStatus remember(Seen *self, const char *key, int64_t now_ms, FlowError *reterr)
{
    size_t count = flow_array_count(self->generations);
    const FlowValue *newest = flow_array_at(self->generations, count - 1);
    FlowValue generation = flow_value_object();
    bool begins = !newest || flow_object_count(*newest) >= GENERATION_KEYS;
    if (!begins)
        generation = flow_value_ref(*newest);
    /* Taken out first: an object that comes again after its ttl goes to the end, where the new ones are. */
    FlowStatus status = flow_object_removen(&generation, key, 32, reterr);
    if (status == FLOW_OK)
        status = flow_object_setn_take(&generation, key, 32, flow_value_int(now_ms), reterr);
    if (status != FLOW_OK) {
        flow_value_unref(generation);
        return status;
    }
    return begins ? flow_array_push_take(&self->generations, generation, reterr)
                  : flow_array_set_take(&self->generations, count - 1, generation, reterr);
}

static FlowNodeOutcome dedup_start(FlowNodeCall *call)
{
    Seen *self = call->node->memory;
    int64_t now_ms = flow_clock_wall_ns(flow_loop_clock(call->node->loop)) / FLOW_NS_PER_MS, ttl_ns = 0;
    if (flow_form_values_given(call->form, TTL) &&
        !flow_nodes__duration(flow_form_values_int(call->form, TTL, 1),
                              flow_form_values_text(call->form, UNIT, NULL), &ttl_ns))
        return flow_node_call_fail(call, FLOW_INVALID_ARGUMENT, "INVALID_FORM", FLOW_NODES_TOO_LONG);
    int64_t ttl_ms = ttl_ns / FLOW_NS_PER_MS;
    size_t len;
    const char *text = flow_form_values_text(call->form, KEY, &len);
    char key[33];
    hash_key(text, len, key);
    int64_t seen_ms = first_seen(self, key);
    if (seen_ms >= 0 && (ttl_ms == 0 || seen_ms > now_ms - ttl_ms))
        return FLOW_NODE_FILTERED;
    FlowError error;
    if (remember(self, key, now_ms, &error) != FLOW_OK || forget(self, now_ms, ttl_ms, &error) != FLOW_OK)
        return flow_node_call_fail_with(call, &error);
    flow_node_call_state_take(call, flow_value_ref(self->generations));
    return FLOW_NODE_DONE;
}

const FlowNodeType flow_node_deduplicate = {
    .name = "deduplicate",
    .label = "Deduplicate",
    .summary = "Lets each key pass once; where it comes again, the branch ends.",
    .description =
        "That is no failure: such a unit counts as filtered. The last 32,768 keys are remembered, in the "
        "order "
        "in which they were first seen, also over a restart of the server; with a ttl a key may pass again "
        "when that time is over.",
    .result = "nothing: the payload goes on as it came",
    .example = "{\"name\": \"each name once\", \"nodes\": ["
               "{\"id\": \"names\", \"type\": \"string-iterator-producer\", \"data\": {\"form\": "
               "{\"data_content\": \"ada, grace, "
               "ada\", \"separator_type\": \"comma\"}}},"
               "{\"id\": \"once\", \"type\": \"deduplicate\", \"data\": {\"form\": {\"key\": \"{{ "
               "data.string_iterator.value "
               "}}\"}}},"
               "{\"id\": \"greet\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"Hello {{ "
               "data.string_iterator.value }}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"names\", \"target\": \"once\"},"
               "{\"id\": \"e2\", \"source\": \"once\", \"target\": \"greet\"}]}",
    .version = 1,
    .kind = FLOW_NODE_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_ONLY_ADDS,
    .form = &form,
    .instance_size = sizeof(Seen),
    .setup = dedup_setup,
    .start = dedup_start,
    .cleanup = dedup_cleanup,
};
