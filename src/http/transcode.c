/* transcode.c - answers: from C structs by way of wire bytes to JSON, or to what a google.api.HttpBody says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/call.h"
#include "value/json.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/unpack.h"

/* What `response_body` leaves of a response: the last part of it, since we wrote it in one. */
static FlowSpan unwrap_bytes(const FlowWireField *field, FlowSpan all)
{
    FlowSpan found = {0};
    FlowWireItem item = {0};
    while (field != NULL && flow_span_next(&all, &item) > 0)
        if (item.number == field->number && item.type == FLOW_WT_LENGTH)
            found = item.bytes;
    return field != NULL ? found : all;
}

static const FlowWireMessage *answered_type(const FlowRoute *route)
{
    if (route->response_body == NULL)
        return route->method->response;
    return route->response_body->repeated ? NULL : route->response_body->message;
}

static FlowValue absent(const FlowWireField *field)
{
    if (field->map)
        return flow_value_object();
    if (field->repeated)
        return flow_value_array();
    return field->type == FLOW_WIRE_MESSAGE && field->message->kind == FLOW_WIRE_ORDINARY
               ? flow_value_object()
               : flow_value_null();
}

static FlowStatus value_of_bytes(const FlowWirePool *pool, const FlowRoute *route, const FlowBuf *packed,
                                 FlowValue *ret_value, FlowValue *ret_whole, FlowError *reterr)
{
    FlowValue whole;
    FlowStatus status =
        flow_message_to_value(pool, route->method->response, packed->data, packed->len, 0, &whole, reterr);
    if (status != FLOW_OK)
        return status;
    if (route->response_body == NULL) {
        *ret_value = flow_value_ref(whole);
    } else {
        const FlowValue *inner = flow_object_get(whole, route->response_body->json_name);
        *ret_value = inner != NULL ? flow_value_ref(*inner) : absent(route->response_body);
    }
    if (ret_whole != NULL)
        *ret_whole = whole;
    else
        flow_value_unref(whole);
    return FLOW_OK;
}

FlowStatus flow_http__response_value(const FlowWirePool *pool, const FlowRoute *route,
                                     const ProtobufCMessage *message, FlowValue *ret_value,
                                     FlowValue *ret_whole, FlowError *reterr)
{
    FlowBuf packed;
    flow_buf_init(&packed, 0);
    flow_wire_pack(message, &packed);
    FlowStatus status = packed.failed ? flow_error_no_memory(reterr, NULL, packed.len)
                                      : value_of_bytes(pool, route, &packed, ret_value, ret_whole, reterr);
    flow_buf_done(&packed);
    return status;
}

/* Bytes and content type as the HttpBody has them. */
static void put_raw(FlowSpan body, FlowBuf *to, char type[128])
{
    FlowWireItem item = {0};
    snprintf(type, 128, "application/octet-stream");
    while (flow_span_next(&body, &item) > 0) {
        size_t len = flow_span_len(item.bytes);
        if (item.number == 2 && item.type == FLOW_WT_LENGTH)
            flow_buf_append(to, item.bytes.next, len);
        if (item.number != 1 || item.type != FLOW_WT_LENGTH || len == 0 || len >= 128)
            continue;
        bool printable = true;
        for (size_t i = 0; i < len; i++)
            printable &= item.bytes.next[i] >= 0x20 && item.bytes.next[i] < 0x7f;
        if (printable)
            snprintf(type, 128, "%.*s", (int)len, (const char *)item.bytes.next);
    }
}

FlowStatus flow_http__response_body(const FlowWirePool *pool, const FlowRoute *route,
                                    const ProtobufCMessage *message, FlowHttpFormat format, FlowBuf *to,
                                    char type[128], FlowError *reterr)
{
    const FlowWireMessage *answered = answered_type(route);
    FlowBuf packed;
    flow_buf_init(&packed, 0);
    flow_wire_pack(message, &packed);
    FlowSpan span = unwrap_bytes(route->response_body, flow_span(packed.data, packed.len));
    FlowStatus status = packed.failed ? flow_error_no_memory(reterr, NULL, packed.len) : FLOW_OK;
    if (status == FLOW_OK && answered != NULL && answered->kind == FLOW_WIRE_HTTP_BODY) {
        put_raw(span, to, type);
    } else if (status == FLOW_OK && format == FLOW_FORMAT_PROTOBUF && answered != NULL) {
        flow_buf_append(to, span.next, flow_span_len(span));
        snprintf(type, 128, "application/x-protobuf");
    } else if (status == FLOW_OK) {
        FlowValue value;
        status = value_of_bytes(pool, route, &packed, &value, NULL, reterr);
        snprintf(type, 128, "application/json");
        if (status == FLOW_OK) {
            status = flow_json_write(value, to, 0, reterr);
            flow_buf_byte(to, '\n');
            flow_value_unref(value);
        }
    }
    flow_buf_done(&packed);
    return status;
}

void flow_http__cursor_of(const FlowRoute *route, FlowValue whole, char to[24])
{
    const char *path = route->method->cursor_field;
    const FlowValue *at = &whole;
    FlowFieldPath fields;
    to[0] = '\0';
    if (*path == '\0' || !flow_field_path_find(route->method->response, path, strlen(path), &fields))
        return;
    for (size_t i = 0; i < fields.count && at != NULL; i++)
        at = flow_object_get(*at, fields.fields[i]->json_name);
    if (at != NULL && flow_value_kind(*at) == FLOW_VALUE_STRING)
        snprintf(to, 24, "%s", flow_value_text(at));
}
