/*
 * workflow.c - reads a definition. Texts are not copied: the definition is held, and values never change, so their
 * bytes stay where they are.
 */
#include "engine/workflow.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "base/map.h"

enum { PLACE_MAX = 200, FIELD_MAX = 320 };

/* What may stand in one kind of object. */
typedef struct Names {
    const char *const *ours; /* ended by NULL */
    const char *const
        *editor; /* of editors, near to ours but right; ended by NULL. NULL: no editor keys here */
} Names;

static const char *const workflow_names[] = {
    "id",          "name",     "description", "nodes",      "edges",      "labels",
    "settings",    "revision", "etag",        "createTime", "updateTime", "create_time",
    "update_time", "draft",    "viewport",    "editor",     NULL};
static const char *const node_names[] = {"id", "type", "position", "data", "editor", NULL};
static const char *const data_names[] = {"form", "config", "label", "editor", NULL};
static const char *const edge_names[] = {
    "id",     "source", "target", "sourceHandle", "targetHandle", "source_handle", "target_handle",
    "editor", NULL};
static const char *const position_names[] = {"x", "y", NULL};
static const char *const settings_names[] = {"undefined", NULL};
static const char *const config_names[] = {
    "timeout", "pool", "on_error", "error_threshold", "on_interrupt", "max_in_flight", "start_durable", NULL};

static const char *const editor_names[] = {
    "style",      "sourceX", "sourceY",          "targetX",   "targetY",   "sourceNode",
    "targetNode", "types",   "positionAbsolute", "nodeTypes", "edgeTypes", "version",
    "tags",       "label",   "labels",           NULL};
static const char *const no_names[] = {NULL};

static const Names workflow_keys = {workflow_names, editor_names};
static const Names node_keys = {node_names, editor_names};
static const Names data_keys = {data_names, no_names};
static const Names edge_keys = {edge_names, editor_names};
static const Names position_keys = {position_names, NULL};
static const Names settings_keys = {settings_names, NULL};

typedef struct Reader {
    FlowWorkflow *workflow;
    FlowProblems *problems;
} Reader;

/* Where in the definition one is, and whose problem it would be. */
typedef struct Place {
    const char *node_id, *edge_id;
    char field[PLACE_MAX];
} Place;

static size_t count_names(const char *const *names)
{
    size_t count = 0;
    while (names[count])
        count++;
    return count;
}

static bool is_among(const char *const *names, const FlowValue *key)
{
    for (; *names; names++) {
        if (flow_value_text_equals(key, *names))
            return true;
    }
    return false;
}

static void place_under(const Place *place, const char *key, size_t len, char to[FIELD_MAX])
{
    char brief[FLOW_BRIEF_TEXT];
    snprintf(to, FIELD_MAX, "%s%s%s", place->field, *place->field ? "." : "", flow_brief(brief, key, len));
}

static void malformed(Reader *self, const Place *place, const char *key, const char *what,
                      const FlowValue *found)
{
    char field[FIELD_MAX];
    place_under(place, key, strlen(key), field);
    flow_problems_add(self->problems, FLOW_PROBLEM_WORKFLOW_MALFORMED, place->node_id, place->edge_id, field,
                      "%s must be %s, not %s", field, what,
                      found ? flow_value_kind_name(flow_value_kind(*found)) : "absent");
}

/* Unknown keys: an error, or (where editors keep theirs) a warning when one is nearly ours. */
static void check_keys(Reader *self, const Place *place, FlowValue object, const Names *names)
{
    size_t count;
    const FlowMember *members = flow_object_members(object, &count);
    size_t known = count_names(names->ours);
    for (size_t i = 0; i < count; i++) {
        const FlowValue *key = &members[i].key;
        if (is_among(names->ours, key) || (names->editor && is_among(names->editor, key)))
            continue;
        const char *text = flow_value_text(key);
        size_t len = flow_value_length(key);
        const char *nearest = flow_nearest_name(text, len, names->ours, known);
        char brief[FLOW_BRIEF_TEXT], field[FIELD_MAX];
        place_under(place, text, len, field);
        flow_brief(brief, text, len);
        if (names->editor) {
            if (nearest && len > 2)
                flow_problems_add(
                    self->problems, FLOW_PROBLEM_NAME_SUSPICIOUS, place->node_id, place->edge_id, field,
                    "'%s' is kept for the editor and otherwise ignored: did you mean '%s'?", brief, nearest);
        } else if (nearest) {
            flow_problems_add(self->problems, FLOW_PROBLEM_UNKNOWN_FIELD, place->node_id, place->edge_id,
                              field, "unknown field '%s': did you mean '%s'?", brief, nearest);
        } else {
            flow_problems_add(self->problems, FLOW_PROBLEM_UNKNOWN_FIELD, place->node_id, place->edge_id,
                              field, "unknown field '%s': remove it", brief);
        }
    }
}

/* The member, or NULL when it is absent or null. */
static const FlowValue *get(FlowValue object, const char *key)
{
    const FlowValue *value = flow_object_get(object, key);
    return value && !flow_value_is_null(*value) ? value : NULL;
}

/* Like get(); a member of another kind is a problem and counts as absent. */
static const FlowValue *get_kind(Reader *self, const Place *place, FlowValue object, const char *key,
                                 FlowValueKind kind, const char *what)
{
    const FlowValue *value = get(object, key);
    if (!value || flow_value_kind(*value) == kind)
        return value;
    malformed(self, place, key, what, value);
    return NULL;
}

static const char *get_text(Reader *self, const Place *place, FlowValue object, const char *key)
{
    const FlowValue *value = get_kind(self, place, object, key, FLOW_VALUE_STRING, "a string");
    return value ? flow_value_text(value) : "";
}

/* A non-empty string that can serve as an id; NULL (and a problem) otherwise. */
static const char *get_id(Reader *self, const Place *place, FlowValue object, const char *key, bool required)
{
    const FlowValue *value = get(object, key);
    if (!value && !required)
        return "";
    if (!value || flow_value_kind(*value) != FLOW_VALUE_STRING) {
        malformed(self, place, key, "a string", value);
        return NULL;
    }
    const char *text = flow_value_text(value);
    size_t len = flow_value_length(value);
    bool good = len > 0 && len <= FLOW_NODE_ID_MAX;
    for (size_t i = 0; good && i < len; i++)
        good = (unsigned char)text[i] >= 0x20 && text[i] != 0x7f;
    if (good)
        return text;
    char field[FIELD_MAX];
    place_under(place, key, strlen(key), field);
    flow_problems_add(self->problems, FLOW_PROBLEM_VALUE_INVALID, place->node_id, place->edge_id, field,
                      "%s must have 1 to %d bytes and no control characters", field, FLOW_NODE_ID_MAX);
    return NULL;
}

static void *get_memory(FlowWorkflow *workflow, size_t count, size_t size)
{
    void *memory = flow_arena_calloc(&workflow->arena, count ? count : 1, size);
    if (!memory)
        abort(); /* bounded by FLOW_WORKFLOW_MAX_NODES and _EDGES */
    return memory;
}

/* ---- data.config ---- */

static void config_problem(Reader *self, const Place *place, const char *key, const char *what)
{
    char field[FIELD_MAX];
    place_under(place, key, strlen(key), field);
    flow_problems_add(self->problems, FLOW_PROBLEM_CONFIG_INVALID, place->node_id, NULL, field,
                      "config %s %s", key, what);
}

/* proto3 JSON: seconds with up to nine decimals and an "s". False for anything else. */
static bool parse_duration(const FlowValue *value, int64_t *ret_ns)
{
    if (flow_value_kind(*value) != FLOW_VALUE_STRING)
        return false;
    const char *text = flow_value_text(value), *end = text + flow_value_length(value);
    int64_t seconds = 0, ns = 0;
    const char *at = text;
    for (; at < end && *at >= '0' && *at <= '9' && at - text < 9; at++)
        seconds = seconds * 10 + (*at - '0');
    if (at == text)
        return false;
    if (at < end && *at == '.') {
        const char *fraction = ++at;
        int64_t unit = FLOW_NS_PER_S;
        for (; at < end && *at >= '0' && *at <= '9' && unit > 1; at++) {
            unit /= 10;
            ns += unit * (*at - '0');
        }
        if (at == fraction)
            return false;
    }
    if (at != end - 1 || *at != 's')
        return false;
    *ret_ns = seconds * FLOW_NS_PER_S + ns;
    return true;
}

/* The index of the value among `choices`, in any case; -1 (and a problem) when it is none of them. */
static int get_choice(Reader *self, const Place *place, const char *key, const FlowValue *value,
                      const char *const *choices, const char *what)
{
    if (flow_value_kind(*value) == FLOW_VALUE_STRING) {
        for (int i = 0; choices[i]; i++) {
            if (strcasecmp(flow_value_text(value), choices[i]) == 0 &&
                strlen(choices[i]) == flow_value_length(value))
                return i;
        }
    }
    config_problem(self, place, key, what);
    return -1;
}

static uint32_t get_count(Reader *self, const Place *place, const char *key, const FlowValue *value,
                          int64_t max, uint32_t otherwise)
{
    int64_t number;
    if (flow_value_is_number(*value) && flow_value_to_int(*value, &number) && number >= 1 && number <= max)
        return (uint32_t)number;
    char what[96];
    snprintf(what, sizeof(what), "must be a whole number from 1 to %lld", (long long)max);
    config_problem(self, place, key, what);
    return otherwise;
}

static void read_config(Reader *self, const Place *place, FlowValue config, FlowNodeConfig *to)
{
    static const char *const pools[] = {"async", "thread", "process", NULL};
    static const char *const on_errors[] = {"continue", "pause", "stop", NULL};
    static const char *const on_interrupts[] = {"dead_letter", "requeue", NULL};
    const FlowValue *value;
    int choice;

    size_t count;
    const FlowMember *members = flow_object_members(config, &count);
    for (size_t i = 0; i < count; i++) {
        const FlowValue *key = &members[i].key;
        if (is_among(config_names, key))
            continue;
        const char *nearest = flow_nearest_name(flow_value_text(key), flow_value_length(key), config_names,
                                                count_names(config_names));
        char brief[FLOW_BRIEF_TEXT], what[160];
        snprintf(what, sizeof(what), nearest ? "is unknown: did you mean '%s'?" : "is unknown: remove it",
                 nearest);
        config_problem(self, place, flow_brief(brief, flow_value_text(key), flow_value_length(key)), what);
    }
    if ((value = get(config, "timeout")) &&
        (!parse_duration(value, &to->timeout_ns) || to->timeout_ns == 0)) {
        to->timeout_ns = 0;
        config_problem(self, place, "timeout", "must be a positive duration such as \"1.5s\"");
    }
    if ((value = get(config, "pool"))) {
        choice =
            get_choice(self, place, "pool", value, pools, "must be \"async\", \"thread\" or \"process\"");
        to->has_pool = choice >= 0;
        to->pool = choice >= 0 ? (FlowPoolKind)choice : FLOW_POOL_ASYNC;
    }
    if ((value = get(config, "on_error"))) {
        choice = get_choice(self, place, "on_error", value, on_errors,
                            "must be \"continue\", \"pause\" or \"stop\"");
        to->on_error = choice >= 0 ? (FlowOnError)choice : FLOW_ON_ERROR_CONTINUE;
    }
    if ((value = get(config, "on_interrupt"))) {
        choice = get_choice(self, place, "on_interrupt", value, on_interrupts,
                            "must be \"dead_letter\" or \"requeue\"");
        to->on_interrupt = choice >= 0 ? (FlowOnInterrupt)choice : FLOW_ON_INTERRUPT_DEAD_LETTER;
    }
    if ((value = get(config, "error_threshold")))
        to->error_threshold = get_count(self, place, "error_threshold", value, 1000000000, 0);
    if ((value = get(config, "max_in_flight")))
        to->max_in_flight = get_count(self, place, "max_in_flight", value, FLOW_MAX_IN_FLIGHT_MAX,
                                      FLOW_MAX_IN_FLIGHT_DEFAULT);
    if ((value = get(config, "start_durable"))) {
        to->start_durable = flow_value_kind(*value) == FLOW_VALUE_BOOL && flow_value_get_bool(*value);
        if (flow_value_kind(*value) != FLOW_VALUE_BOOL)
            config_problem(self, place, "start_durable", "must be true or false");
    }
}

/* ---- nodes and edges ---- */

static void read_position(Reader *self, Place *place, FlowValue node)
{
    const FlowValue *position = get_kind(self, place, node, "position", FLOW_VALUE_OBJECT, "an object");
    if (!position)
        return;
    size_t end = strlen(place->field);
    snprintf(place->field + end, PLACE_MAX - end, ".position");
    check_keys(self, place, *position, &position_keys);
    for (const char *const *key = position_names; *key; key++) {
        const FlowValue *value = get(*position, *key);
        if (value && !flow_value_is_number(*value))
            malformed(self, place, *key, "a number", value);
    }
    place->field[end] = '\0';
}

static void read_data(Reader *self, Place *place, FlowValue node, FlowWorkflowNode *to)
{
    const FlowValue *data = get_kind(self, place, node, "data", FLOW_VALUE_OBJECT, "an object");
    if (!data)
        return;
    size_t end = strlen(place->field);
    snprintf(place->field + end, PLACE_MAX - end, ".data");
    check_keys(self, place, *data, &data_keys);
    to->label = get_text(self, place, *data, "label");
    const FlowValue *form = get_kind(self, place, *data, "form", FLOW_VALUE_OBJECT, "an object");
    if (form)
        to->form = *form;
    const FlowValue *config = get_kind(self, place, *data, "config", FLOW_VALUE_OBJECT, "an object");
    if (config) {
        snprintf(place->field + end, PLACE_MAX - end, ".data.config");
        read_config(self, place, *config, &to->config);
        to->config_keys = *config;
    }
    place->field[end] = '\0';
}

static bool read_node(Reader *self, FlowValue node, uint32_t index, FlowWorkflowNode *to)
{
    Place place = {0};
    snprintf(place.field, sizeof(place.field), "nodes[%u]", index);
    if (flow_value_kind(node) != FLOW_VALUE_OBJECT) {
        flow_problems_add(self->problems, FLOW_PROBLEM_WORKFLOW_MALFORMED, NULL, NULL, place.field,
                          "%s must be an object", place.field);
        return false;
    }
    const char *id = get_id(self, &place, node, "id", true);
    if (!id)
        return false;
    place.node_id = id;
    check_keys(self, &place, node, &node_keys);
    *to = (FlowWorkflowNode){
        .index = index,
        .id = id,
        .label = "",
        .form = flow_value_object(),
        .config = {.max_in_flight = FLOW_MAX_IN_FLIGHT_DEFAULT},
        .config_keys = flow_value_object(),
    };
    to->type = get_text(self, &place, node, "type");
    read_position(self, &place, node);
    read_data(self, &place, node, to);
    return true;
}

static const char *read_branch(Reader *self, const Place *place, FlowValue edge)
{
    const FlowValue *handle =
        get_kind(self, place, edge, "sourceHandle", FLOW_VALUE_STRING, "a string or null");
    if (!handle)
        handle = get_kind(self, place, edge, "source_handle", FLOW_VALUE_STRING, "a string or null");
    if (!handle || flow_value_length(handle) == 0)
        return "default";
    const char *text = flow_value_text(handle);
    size_t len = strlen(text);
    char *copy = NULL;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 'A' || text[i] > 'Z')
            continue;
        if (!copy) {
            copy = get_memory(self->workflow, len + 1, 1);
            memcpy(copy, text, len);
        }
        copy[i] = (char)(text[i] - 'A' + 'a');
    }
    return copy ? copy : text;
}

static bool read_edge(Reader *self, FlowValue edge, uint32_t index, FlowWorkflowEdge *to)
{
    Place place = {0};
    snprintf(place.field, sizeof(place.field), "edges[%u]", index);
    if (flow_value_kind(edge) != FLOW_VALUE_OBJECT) {
        flow_problems_add(self->problems, FLOW_PROBLEM_WORKFLOW_MALFORMED, NULL, NULL, place.field,
                          "%s must be an object", place.field);
        return false;
    }
    const char *id = get_id(self, &place, edge, "id", false);
    place.edge_id = id;
    check_keys(self, &place, edge, &edge_keys);
    const char *source = get_id(self, &place, edge, "source", true);
    const char *target = get_id(self, &place, edge, "target", true);
    get_kind(self, &place, edge, "targetHandle", FLOW_VALUE_STRING, "a string or null");
    if (!source || !target)
        return false;
    *to = (FlowWorkflowEdge){.index = index, .id = id ? id : "", .source = source, .target = target};
    to->branch = read_branch(self, &place, edge);
    return true;
}

/* The items of the array `key`, at most `max` of them. */
static const FlowValue *get_items(Reader *self, const char *key, uint32_t max, uint32_t *ret_count)
{
    Place top = {0};
    *ret_count = 0;
    const FlowValue *array =
        get_kind(self, &top, self->workflow->definition, key, FLOW_VALUE_ARRAY, "an array");
    if (!array)
        return NULL;
    size_t count;
    const FlowValue *items = flow_array_items(*array, &count);
    if (count > max)
        flow_problems_add(self->problems, FLOW_PROBLEM_TOO_LARGE, NULL, NULL, key,
                          "%zu %s are more than the %u that a workflow can have: split it, joined by queues",
                          count, key, max);
    *ret_count = count > max ? max : (uint32_t)count;
    return items;
}

static void read_settings(Reader *self)
{
    Place place = {0};
    FlowWorkflow *workflow = self->workflow;
    const FlowValue *settings =
        get_kind(self, &place, workflow->definition, "settings", FLOW_VALUE_OBJECT, "an object");
    if (!settings)
        return;
    snprintf(place.field, sizeof(place.field), "settings");
    check_keys(self, &place, *settings, &settings_keys);
    const FlowValue *undefined = get(*settings, "undefined");
    if (!undefined)
        return;
    workflow->undefined_lenient =
        flow_value_kind(*undefined) == FLOW_VALUE_STRING && flow_value_text_equals(undefined, "lenient");
    if (!workflow->undefined_lenient &&
        (flow_value_kind(*undefined) != FLOW_VALUE_STRING || !flow_value_text_equals(undefined, "strict")))
        flow_problems_add(self->problems, FLOW_PROBLEM_VALUE_INVALID, NULL, NULL, "settings.undefined",
                          "settings.undefined must be \"strict\" or \"lenient\"");
}

static void read_labels(Reader *self)
{
    Place place = {0};
    const FlowValue *labels =
        get_kind(self, &place, self->workflow->definition, "labels", FLOW_VALUE_OBJECT, "an object");
    size_t count = 0;
    const FlowMember *members = labels ? flow_object_members(*labels, &count) : NULL;
    snprintf(place.field, sizeof(place.field), "labels");
    if (count > FLOW_WORKFLOW_MAX_LABELS)
        flow_problems_add(self->problems, FLOW_PROBLEM_TOO_LARGE, NULL, NULL, "labels",
                          "%zu labels are more than the %d that a workflow can have: remove some", count,
                          FLOW_WORKFLOW_MAX_LABELS);
    for (size_t i = 0; i < count; i++) {
        const FlowMember *label = &members[i];
        char brief[FLOW_BRIEF_TEXT], field[FIELD_MAX];
        size_t key_len = flow_value_length(&label->key);
        flow_brief(brief, flow_value_text(&label->key), key_len);
        if (flow_value_kind(label->value) != FLOW_VALUE_STRING) {
            malformed(self, &place, brief, "a string", &label->value);
        } else if (key_len == 0 || key_len > FLOW_LABEL_KEY_MAX ||
                   flow_value_length(&label->value) > FLOW_LABEL_MAX) {
            place_under(&place, brief, strlen(brief), field);
            flow_problems_add(self->problems, FLOW_PROBLEM_VALUE_INVALID, NULL, NULL, field,
                              "a label has a key of 1 to %d bytes and a value of at most %d",
                              FLOW_LABEL_KEY_MAX, FLOW_LABEL_MAX);
        }
    }
}

FlowWorkflow *flow_workflow_read(FlowValue definition, FlowProblems *problems)
{
    FlowWorkflow *workflow = flow_new(FlowWorkflow);
    flow_arena_init(&workflow->arena, 0);
    workflow->definition = flow_value_ref(definition);
    workflow->id = workflow->name = "";
    Reader self = {workflow, problems};
    Place top = {0};
    if (flow_value_kind(definition) != FLOW_VALUE_OBJECT) {
        flow_problems_add(problems, FLOW_PROBLEM_WORKFLOW_MALFORMED, NULL, NULL, NULL,
                          "a workflow must be a JSON object with `nodes` and `edges`, not %s",
                          flow_value_kind_name(flow_value_kind(definition)));
        return workflow;
    }
    check_keys(&self, &top, definition, &workflow_keys);
    workflow->id = get_text(&self, &top, definition, "id");
    if (*workflow->id && !flow_id_valid(workflow->id, strlen(workflow->id)))
        flow_problems_add(problems, FLOW_PROBLEM_VALUE_INVALID, NULL, NULL, "id",
                          "a workflow's id has 1 to %d characters out of A-Z a-z 0-9 _ . -", FLOW_ID_MAX);
    workflow->name = get_text(&self, &top, definition, "name");
    get_text(&self, &top, definition, "description");
    read_labels(&self);
    read_settings(&self);

    uint32_t count;
    const FlowValue *items = get_items(&self, "nodes", FLOW_WORKFLOW_MAX_NODES, &count);
    workflow->nodes = get_memory(workflow, count, sizeof(*workflow->nodes));
    for (uint32_t i = 0; i < count; i++)
        workflow->node_count += read_node(&self, items[i], i, &workflow->nodes[workflow->node_count]);
    items = get_items(&self, "edges", FLOW_WORKFLOW_MAX_EDGES, &count);
    workflow->edges = get_memory(workflow, count, sizeof(*workflow->edges));
    for (uint32_t i = 0; i < count; i++)
        workflow->edge_count += read_edge(&self, items[i], i, &workflow->edges[workflow->edge_count]);
    return workflow;
}

FlowWorkflow *flow_workflow_free(FlowWorkflow *workflow)
{
    if (!workflow)
        return NULL;
    flow_value_unref(workflow->definition);
    flow_arena_done(&workflow->arena);
    free(workflow);
    return NULL;
}

const char *flow_on_error_name(FlowOnError policy)
{
    static const char *const names[] = {"continue", "pause", "stop"};
    return (unsigned)policy < FLOW_COUNT(names) ? names[policy] : "unknown";
}
