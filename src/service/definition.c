#include "service/definition.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "value/json.h"
#include "wire/json.h"
#include "wire/scalars.h"
#include "wire/unpack.h"

enum { DEFINITION_MAX = 16 << 20, LABELS_MAX = 16 };

/* What the store has beside the body. */
static const char *const store_keys[] = {"revision", "etag", "createTime", "updateTime", "draft"};

FlowStatus flow_definition_from_pb(const Flowengine__V1__Workflow *workflow, const char *id,
                                   FlowValue *ret_definition, FlowError *reterr)
{
    FlowValue definition;
    FlowStatus status = flow_pb_to_value(&workflow->base, 0, &definition, reterr);
    if (status != FLOW_OK)
        return status;
    if (id != NULL)
        status = flow_object_set_take(&definition, "id", flow_value_string(id), reterr);
    if (status == FLOW_OK)
        *ret_definition = definition;
    else
        flow_value_unref(definition);
    return status;
}

FlowStatus flow_definition_encode(FlowValue definition, FlowBlob **ret_body, FlowError *reterr)
{
    FlowValue kept = flow_value_ref(definition);
    FlowBuf text;
    flow_buf_init(&text, DEFINITION_MAX);
    FlowStatus status = FLOW_OK;
    for (size_t i = 0; i < FLOW_COUNT(store_keys) && status == FLOW_OK; i++)
        status = flow_object_remove(&kept, store_keys[i], reterr);
    if (status == FLOW_OK)
        status = flow_json_write(kept, &text, 0, reterr);
    flow_value_unref(kept);
    if (status == FLOW_OK) {
        *ret_body = flow_blob_take(&text);
        if (*ret_body == NULL)
            status = flow_error_no_memory(reterr, "workflow", text.len);
    }
    flow_buf_done(&text);
    return status;
}

FlowStatus flow_definition_decode(const FlowWorkflowRecord *record, FlowValue *ret_definition,
                                  FlowError *reterr)
{
    static const FlowJsonLimits limits = {.bytes = DEFINITION_MAX, .depth = FLOW_VALUE_MAX_DEPTH};
    FlowError error;
    size_t len;
    const char *text = record->body != NULL ? flow_blob_bytes(record->body, &len) : NULL;
    if (text == NULL) {
        *ret_definition = flow_value_object();
        return FLOW_OK;
    }
    if (flow_json_read(text, len, &limits, ret_definition, &error) == FLOW_OK)
        return FLOW_OK;
    return flow_error_set(reterr, FLOW_DATA_LOSS, "STORE_DAMAGED", record->id,
                          "the stored workflow \"%s\" can't be read: %s", record->id, error.message);
}

static FlowStatus set_time(FlowValue *definition, const char *key, int64_t ns, FlowError *reterr)
{
    char text[FLOW_TIMESTAMP_TEXT];
    if (ns == 0 || !flow_timestamp_format(ns / FLOW_NS_PER_S, (int32_t)(ns % FLOW_NS_PER_S), text))
        return FLOW_OK;
    return flow_object_set_take(definition, key, flow_value_string(text), reterr);
}

static FlowStatus add_store_keys(FlowValue *definition, const FlowWorkflowRecord *record, FlowError *reterr)
{
    FlowStatus status = flow_object_set_take(definition, "id", flow_value_string(record->id), reterr);
    if (status == FLOW_OK && record->body == NULL)
        status = flow_object_set_take(definition, "name", flow_value_string(record->name), reterr);
    if (status == FLOW_OK)
        status = flow_object_set_take(definition, "revision", flow_value_int(record->revision), reterr);
    if (status == FLOW_OK)
        status = flow_object_set_take(definition, "etag", flow_value_string(record->etag), reterr);
    if (status == FLOW_OK)
        status = flow_object_set_take(definition, "draft", flow_value_bool(record->draft), reterr);
    if (status == FLOW_OK)
        status = set_time(definition, "createTime", record->create_ns, reterr);
    if (status == FLOW_OK)
        status = set_time(definition, "updateTime", record->update_ns, reterr);
    return status;
}

static FlowStatus to_message(FlowValue definition, FlowArena *arena, Flowengine__V1__Workflow **ret_workflow,
                             FlowError *reterr)
{
    const FlowWirePool *pool = flow_wire_contract();
    const FlowWireMessage *type = flow_wire_message(pool, "flowengine.v1.Workflow");
    const FlowWireScanLimits limits = FLOW_WIRE_SCAN_LIMITS_DEFAULT;
    const ProtobufCMessage *message = NULL;
    FlowBuf bytes;
    flow_buf_init(&bytes, DEFINITION_MAX);
    FlowStatus status = flow_message_from_value(pool, type, definition, 0, &bytes, reterr);
    /* The message's Structs point into the bytes that it is unpacked from, or are copied; keep them with it. */
    const char *kept =
        status == FLOW_OK ? flow_arena_strndup(arena, bytes.data != NULL ? bytes.data : "", bytes.len) : NULL;
    if (status == FLOW_OK && kept == NULL)
        status = flow_error_no_memory(reterr, "workflow", bytes.len);
    if (status == FLOW_OK)
        status = flow_wire_unpack(type, kept, bytes.len, &limits, arena, &message, reterr);
    if (status == FLOW_OK)
        *ret_workflow = (Flowengine__V1__Workflow *)(uintptr_t)message;
    flow_buf_done(&bytes);
    return status;
}

FlowStatus flow_definition_to_pb(const FlowWorkflowRecord *record, FlowArena *arena,
                                 Flowengine__V1__Workflow **ret_workflow, FlowError *reterr)
{
    FlowValue definition;
    FlowStatus status = flow_definition_decode(record, &definition, reterr);
    if (status != FLOW_OK)
        return status;
    status = add_store_keys(&definition, record, reterr);
    if (status == FLOW_OK)
        status = to_message(definition, arena, ret_workflow, reterr);
    flow_value_unref(definition);
    return status;
}

/* ---- masks ---- */

/* Fields that a mask may name, and all others that a definition may have. */
static const char *const maskable[] = {"name",   "description", "nodes", "edges",
                                       "labels", "settings",    "draft", "editor"};

static bool is_message_key(const FlowValue *key)
{
    const FlowWireMessage *type = flow_wire_message(flow_wire_contract(), "flowengine.v1.Workflow");
    const FlowWireField *field = flow_wire_field_named(type, flow_value_text(key), flow_value_length(key));
    return field != NULL && !field->fold_unknown;
}

/* The keys of editors, which lie beside the message's own. */
static FlowStatus replace_editor_keys(FlowValue *definition, FlowValue from, FlowError *reterr)
{
    FlowValue old = flow_value_ref(*definition);
    FlowStatus status = FLOW_OK;
    size_t count;
    const FlowMember *members = flow_object_members(old, &count);
    for (size_t i = 0; i < count && status == FLOW_OK; i++)
        if (!is_message_key(&members[i].key))
            status = flow_object_remove(definition, flow_value_text(&members[i].key), reterr);
    members = flow_object_members(from, &count);
    for (size_t i = 0; i < count && status == FLOW_OK; i++)
        if (!is_message_key(&members[i].key))
            status = flow_object_set_key_take(definition, members[i].key, flow_value_ref(members[i].value),
                                              reterr);
    flow_value_unref(old);
    return status;
}

static FlowStatus replace_key(FlowValue *definition, FlowValue from, const char *key, FlowError *reterr)
{
    if (strcmp(key, "editor") == 0)
        return replace_editor_keys(definition, from, reterr);
    const FlowValue *value = flow_object_get(from, key);
    return value != NULL ? flow_object_set_take(definition, key, flow_value_ref(*value), reterr)
                         : flow_object_remove(definition, key, reterr);
}

FlowStatus flow_definition_mask(FlowValue *definition, FlowValue from, const char *const *paths, size_t count,
                                FlowError *reterr)
{
    for (size_t i = 0; i < count; i++) {
        bool known = strcmp(paths[i], "*") == 0;
        for (size_t j = 0; j < FLOW_COUNT(maskable); j++) {
            bool named = strcmp(paths[i], maskable[j]) == 0;
            known = known || named;
            FlowStatus status = FLOW_OK;
            if (named || strcmp(paths[i], "*") == 0)
                status = replace_key(definition, from, maskable[j], reterr);
            if (status != FLOW_OK)
                return status;
        }
        if (!known)
            return flow_error_set(
                reterr, FLOW_INVALID_ARGUMENT, "INVALID_MASK", "update_mask",
                "\"%.64s\" can't be updated; a mask may name name, description, nodes, edges, labels, "
                "settings, draft, editor or *",
                paths[i]);
    }
    return FLOW_OK;
}

FlowStatus flow_definition_keep_order(FlowValue *definition, FlowValue from, FlowError *reterr)
{
    FlowValue kept = flow_value_ref(from);
    FlowStatus status = FLOW_OK;
    for (size_t i = 0; i < FLOW_COUNT(store_keys) && status == FLOW_OK; i++)
        status = flow_object_remove(&kept, store_keys[i], reterr);
    if (status == FLOW_OK && !flow_value_equal(kept, *definition)) {
        flow_value_assign_take(definition, flow_value_ref(from));
    } else if (status == FLOW_OK) {
        const FlowValue *draft = flow_object_get(from, "draft");
        if (draft != NULL)
            status = flow_object_set_take(definition, "draft", flow_value_ref(*draft), reterr);
    }
    flow_value_unref(kept);
    return status;
}

/* ---- small things ---- */

const char *flow_definition_text(FlowValue definition, const char *key)
{
    const FlowValue *value = flow_object_get(definition, key);
    return value != NULL && flow_value_kind(*value) == FLOW_VALUE_STRING ? flow_value_text(value) : "";
}

bool flow_definition_flag(FlowValue definition, const char *key)
{
    const FlowValue *value = flow_object_get(definition, key);
    return value != NULL && flow_value_kind(*value) == FLOW_VALUE_BOOL && flow_value_get_bool(*value);
}

FlowStatus flow_definition_filter(const char *filter, FlowArena *arena, FlowStoreWorkflowList *list,
                                  FlowError *reterr)
{
    static const char prefix[] = "label.";
    char *rest = flow_arena_strndup(arena, filter, strlen(filter)), *term, *state = NULL;
    FlowStoreLabel *labels = flow_arena_calloc(arena, LABELS_MAX, sizeof *labels);
    if (rest == NULL || labels == NULL)
        return flow_error_no_memory(reterr, "filter", strlen(filter));
    list->labels = labels;
    for (; (term = strtok_r(rest, " ", &state)) != NULL; rest = NULL) {
        char *equals = strchr(term, '=');
        if (strncmp(term, prefix, sizeof prefix - 1) == 0 && equals != NULL) {
            if (list->label_count == LABELS_MAX)
                return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "filter",
                                      "at most %d labels", LABELS_MAX);
            *equals = '\0';
            labels[list->label_count++] = (FlowStoreLabel){term + sizeof prefix - 1, equals + 1};
        } else if (list->text == NULL) {
            list->text = term;
        } else {
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "filter",
                                  "a filter has at most one text; further terms must be label.KEY=VALUE");
        }
    }
    return FLOW_OK;
}
