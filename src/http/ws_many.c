/*
 * ws_many.c - many calls on one socket, /v1/ws. Messages are JSON objects with a "type":
 *
 *   in   init · call {id, method, request?, cursor?, timeoutMs?, credit?} · message {id, message} · half_close {id}
 *        · cancel {id} · credit {id, n} · ping
 *   out  ready {limits} · next {id, cursor?, message} · end {id, status} · drain {reconnectMs} · pong
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/binding.h"
#include "http/reply.h"
#include "http/ws_internal.h"
#include "value/json.h"
#include "wire/json.h"

enum { CLOSE_BAD_MESSAGE = 4400, CLOSE_DUPLICATE_ID = 4409, CREDIT_MAX = 1000000 };

void flow_ws__many_ready(FlowWsSocket *socket)
{
    char text[160];
    int len =
        snprintf(text, sizeof text,
                 "{\"type\":\"ready\",\"limits\":{\"calls\":%d,\"credit\":%d,\"messageBytes\":%zu}}",
                 FLOW_WS_CALLS, FLOW_WS_CREDIT, flow_rpc_server_limits(socket->ws->door->rpc)->request_bytes);
    flow_ws__say(socket, text, (size_t)len);
}

static FlowWsCall *call_named(FlowWsSocket *socket, const FlowValue *id)
{
    FLOW_LIST_FOR_EACH(link, &socket->calls)
    {
        FlowWsCall *call = flow_list_entry(link, FlowWsCall, link);
        if (id != NULL && flow_value_text_equals(id, call->id))
            return call;
    }
    return NULL;
}

static void bad(FlowWsSocket *socket, const char *what)
{
    flow_ws__close(socket, CLOSE_BAD_MESSAGE, what);
}

/* An error of a call that never was. */
static void end_at_once(FlowWsSocket *socket, const FlowValue *id, const FlowError *error)
{
    FlowRpcDetails details;
    FlowBuf text;
    flow_buf_init(&text, 0);
    flow_rpc_details_init(&details, error);
    flow_buf_str(&text, "{\"type\":\"end\",\"id\":");
    flow_json_write_string(&text, flow_value_text(id), flow_value_length(id), 0);
    flow_buf_str(&text, ",\"status\":");
    flow_http_status_json(&details, &text);
    text.len--; /* its newline */
    flow_buf_byte(&text, '}');
    flow_rpc_details_done(&details);
    flow_ws__say(socket, text.data, text.len);
    flow_buf_done(&text);
}

/* "cursor" resumes: it goes into the request's field that the stream's rules name. */
static FlowStatus add_cursor(const FlowWireMethod *method, const FlowValue *cursor, FlowValue *request,
                             FlowError *error)
{
    const FlowWireField *field =
        *method->resume_field != '\0'
            ? flow_wire_field_named(method->request, method->resume_field, strlen(method->resume_field))
            : NULL;
    if (cursor == NULL || flow_value_is_null(*cursor))
        return FLOW_OK;
    if (field == NULL)
        return flow_error_set(error, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "cursor", "%s can't be resumed",
                              method->name);
    return flow_object_set_take(request, field->json_name, flow_value_ref(*cursor), error);
}

static FlowStatus pack_request(FlowWsSocket *socket, const FlowWireMethod *method, FlowValue message,
                               FlowBuf *to, FlowError *error)
{
    const FlowValue *given = flow_object_get(message, "request");
    FlowValue request = given != NULL ? flow_value_ref(*given) : flow_value_object();
    FlowStatus status = add_cursor(method, flow_object_get(message, "cursor"), &request, error);
    if (status == FLOW_OK)
        status = flow_message_from_value(flow_rpc_server_pool(socket->ws->door->rpc), method->request,
                                         request, 0, to, error);
    flow_value_unref(request);
    return status;
}

static bool whole_number(FlowValue message, const char *name, int64_t least, int64_t most, int64_t *ret)
{
    const FlowValue *value = flow_object_get(message, name);
    if (value == NULL)
        return true;
    if (flow_value_kind(*value) != FLOW_VALUE_INT || flow_value_get_int(*value) < least ||
        flow_value_get_int(*value) > most)
        return false;
    *ret = flow_value_get_int(*value);
    return true;
}

static void begin_call(FlowWsSocket *socket, FlowValue message, const FlowValue *id)
{
    const FlowValue *name = flow_object_get(message, "method");
    int64_t timeout_ms = 0, credit = FLOW_WS_CREDIT;
    FlowError error;
    FlowBuf packed;
    if (flow_value_length(id) == 0 || flow_value_length(id) >= FLOW_WS_ID || name == NULL ||
        flow_value_kind(*name) != FLOW_VALUE_STRING ||
        !whole_number(message, "timeoutMs", 1, INT32_MAX, &timeout_ms) ||
        !whole_number(message, "credit", 1, CREDIT_MAX, &credit)) {
        bad(socket,
            "a call has an id of 1 to 63 bytes, a method, and perhaps request, cursor, timeoutMs, credit");
        return;
    }
    if (call_named(socket, id) != NULL) {
        flow_ws__close(socket, CLOSE_DUPLICATE_ID, "a call with this id is under way");
        return;
    }
    const char *text = flow_value_text(name);
    const FlowRpcMethod *method = flow_rpc_method_find(socket->ws->door->rpc, text + (*text == '/'),
                                                       flow_value_length(name) - (*text == '/'));
    FlowStatus status = FLOW_OK;
    flow_buf_init(&packed, 0);
    if (method == NULL)
        status = flow_error_set(&error, FLOW_UNIMPLEMENTED, "NOT_IMPLEMENTED", "method",
                                "this server has no method \"%.100s\"", text);
    else if (socket->call_count >= FLOW_WS_CALLS)
        status = flow_error_set(&error, FLOW_RESOURCE_EXHAUSTED, "LIMIT_REACHED", NULL,
                                "a socket can have %d calls at a time", FLOW_WS_CALLS);
    else if (!method->wire->client_streaming)
        status = pack_request(socket, method->wire, message, &packed, &error);
    if (status != FLOW_OK) {
        end_at_once(socket, id, &error);
    } else {
        FlowRoute route = {.method = method->wire, .target = (void *)method};
        /* As on the method's own URL: response_body unwraps. */
        if (method->wire->http_count != 0 && *method->wire->http[0].response_body != '\0')
            route.response_body =
                flow_wire_field_named(method->wire->response, method->wire->http[0].response_body,
                                      strlen(method->wire->http[0].response_body));
        int64_t deadline_ns = timeout_ms != 0
                                  ? flow_clock_mono_ns(flow_clock_real()) + timeout_ms * FLOW_NS_PER_MS
                                  : FLOW_RPC_NO_DEADLINE;
        FlowWsCall *call = flow_ws__call_new(socket, flow_value_text(id), &route, deadline_ns);
        call->credit = credit;
        flow_ws__call_start(call, packed.data != NULL ? packed.data : "", packed.len);
    }
    flow_buf_done(&packed);
}

static void pass_message(FlowWsSocket *socket, FlowWsCall *call, FlowValue message)
{
    const FlowValue *inner = flow_object_get(message, "message");
    if (inner == NULL || !call->route.method->client_streaming) {
        bad(socket, "a message has \"message\", and its call takes some");
        return;
    }
    char *text = flow_json_text(*inner, 0);
    if (text != NULL)
        flow_ws__call_message(call, text, strlen(text));
    free(text);
}

static void about_call(FlowWsSocket *socket, const FlowValue *type, FlowValue message, const FlowValue *id)
{
    FlowWsCall *call = call_named(socket, id);
    int64_t more = 0;
    bool known = flow_value_text_equals(type, "message") || flow_value_text_equals(type, "half_close") ||
                 flow_value_text_equals(type, "cancel") || flow_value_text_equals(type, "credit");
    if (!known)
        bad(socket, "the types are init, call, message, half_close, cancel, credit and ping");
    else if (call == NULL)
        ; /* it has ended meanwhile */
    else if (flow_value_text_equals(type, "message"))
        pass_message(socket, call, message);
    else if (flow_value_text_equals(type, "half_close"))
        flow_ws__call_half_close(call);
    else if (flow_value_text_equals(type, "cancel"))
        flow_ws__call_tell(call, false, true);
    else if (!whole_number(message, "n", 1, CREDIT_MAX, &more) || more == 0)
        bad(socket, "credit has \"n\", from 1");
    else {
        call->credit = call->credit + more < CREDIT_MAX ? call->credit + more : CREDIT_MAX;
        lws_callback_on_writable(socket->wsi);
    }
}

static void act(FlowWsSocket *socket, FlowValue message)
{
    static const char pong[] = "{\"type\":\"pong\"}";
    const FlowValue *type = flow_object_get(message, "type"), *id = flow_object_get(message, "id");
    if (type == NULL || flow_value_kind(*type) != FLOW_VALUE_STRING)
        bad(socket, "a message is an object with a \"type\"");
    else if (flow_value_text_equals(type, "init"))
        ; /* nothing to say yet: there are no tokens */
    else if (flow_value_text_equals(type, "ping"))
        flow_ws__say(socket, pong, sizeof pong - 1);
    else if (id == NULL || flow_value_kind(*id) != FLOW_VALUE_STRING)
        bad(socket, "\"id\" must be a string");
    else if (flow_value_text_equals(type, "call"))
        begin_call(socket, message, id);
    else
        about_call(socket, type, message, id);
}

void flow_ws__many_receive(FlowWsSocket *socket, const char *text, size_t len)
{
    FlowValue message;
    if (flow_json_read(text, len, &flow_binding_json_limits, &message, NULL) != FLOW_OK) {
        bad(socket, "a message is one JSON object");
        return;
    }
    act(socket, message);
    flow_value_unref(message);
}
