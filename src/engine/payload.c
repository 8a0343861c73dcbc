#include "engine/payload.h"

#include "base/id.h"
#include "base/mem.h"
#include "value/json.h"

typedef struct Values {
    FlowValue data, metadata;
} Values;

static void free_values(void *attachment)
{
    Values *values = attachment;
    flow_value_unref(values->data);
    flow_value_unref(values->metadata);
    free(values);
}

static FlowValue object_or_empty(FlowValue value)
{
    return flow_value_is_null(value) ? flow_value_object() : value;
}

static FlowStatus write_member(const char *before, FlowValue object, const char *what, FlowBuf *to,
                               FlowError *reterr)
{
    if (flow_value_kind(object) != FLOW_VALUE_OBJECT)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "NODE_FAILED", what,
                              "a payload's %s must be a JSON object, this is of kind %s", what,
                              flow_value_kind_name(flow_value_kind(object)));
    flow_buf_str(to, before);
    return flow_json_write(object, to, 0, reterr);
}

FlowStatus flow_payload_encode(FlowValue data, FlowValue metadata, FlowBlob **ret_body, FlowError *reterr)
{
    data = object_or_empty(data);
    metadata = object_or_empty(metadata);
    flow_cleanup(flow_buf_done) FlowBuf text;
    flow_buf_init(&text, FLOW_PAYLOAD_JSON_MAX);
    FlowStatus status = write_member("{\"data\":", data, "data", &text, reterr);
    if (status == FLOW_OK)
        status = write_member(",\"metadata\":", metadata, "metadata", &text, reterr);
    flow_buf_byte(&text, '}');
    if (text.failed)
        return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE", NULL,
                              "the payload takes more than %d MiB as JSON; pass less on",
                              FLOW_PAYLOAD_JSON_MAX >> 20);
    if (status != FLOW_OK)
        return status;
    FlowBlob *body = flow_blob_take(&text);
    if (body == NULL)
        return flow_error_no_memory(reterr, NULL, text.len);
    Values *values = flow_new(Values);
    values->data = flow_value_ref(data);
    values->metadata = flow_value_ref(metadata);
    flow_blob_attach(body, values, sizeof *values + flow_value_size(data) + flow_value_size(metadata),
                     free_values);
    *ret_body = body;
    return FLOW_OK;
}

FlowStatus flow_payload_decode(FlowBlob *body, FlowValue *ret_data, FlowValue *ret_metadata,
                               FlowError *reterr)
{
    const Values *values = flow_blob_attachment(body);
    if (values) {
        *ret_data = flow_value_ref(values->data);
        *ret_metadata = flow_value_ref(values->metadata);
        return FLOW_OK;
    }
    static const FlowJsonLimits limits = {
        .bytes = FLOW_PAYLOAD_JSON_MAX + 64, .values = FLOW_PAYLOAD_JSON_MAX, .depth = FLOW_VALUE_MAX_DEPTH};
    size_t len;
    const char *text = flow_blob_bytes(body, &len);
    flow_cleanup(flow_value_clear) FlowValue whole = flow_value_null();
    FlowError error;
    if (flow_json_read(text, len, &limits, &whole, &error) != FLOW_OK)
        return flow_error_set(reterr, FLOW_DATA_LOSS, "NODE_FAILED", NULL,
                              "what was queued is no payload: %s", error.message);
    const FlowValue *data = flow_object_get(whole, "data"), *metadata = flow_object_get(whole, "metadata");
    if (data == NULL || flow_value_kind(*data) != FLOW_VALUE_OBJECT ||
        (metadata && flow_value_kind(*metadata) != FLOW_VALUE_OBJECT))
        return flow_error_set(reterr, FLOW_DATA_LOSS, "NODE_FAILED", NULL,
                              "what was queued is no payload: \"data\" and \"metadata\" must be objects");
    *ret_data = flow_value_ref(*data);
    *ret_metadata = metadata ? flow_value_ref(*metadata) : flow_value_object();
    return FLOW_OK;
}

static bool identical(FlowValue a, FlowValue b)
{
    return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

bool flow_payload_is(const FlowBlob *body, FlowValue data, FlowValue metadata)
{
    const Values *values = flow_blob_attachment(body);
    return values && identical(values->data, object_or_empty(data)) &&
           identical(values->metadata, object_or_empty(metadata));
}

void flow_entry_queue_name(FlowBuf *to, const char *workflow_id, const char *producer_node_id)
{
    flow_buf_str(to, workflow_id);
    flow_buf_str(to, ".entry_");
    flow_id_encode(to, producer_node_id, strlen(producer_node_id));
}
