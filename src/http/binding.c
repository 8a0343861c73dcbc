#include "http/binding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "wire/cursor.h"
#include "wire/json.h"

const FlowJsonLimits flow_binding_json_limits = {
    .values = 1000000, .depth = 64, .flags = FLOW_JSON_READ_NO_NUL | FLOW_JSON_READ_BIG_AS_FLOAT};

static FlowStatus refuse(FlowError *reterr, const char *reason, const char *name, size_t len,
                         const char *what)
{
    char where[160];
    int shown = len < sizeof where ? (int)len : (int)sizeof where - 1;
    snprintf(where, sizeof where, "%.*s", (int)flow_utf8_valid_prefix(name, (size_t)shown), name);
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, reason, where, "%s: %s", where, what);
}

/* ---- texts to JSON values ---- */

static bool is_number_text(const char *text, size_t len)
{
    size_t i = len > 0 && text[0] == '-';
    if (i == len)
        return false;
    for (; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

static bool is_scalar_message(const FlowWireMessage *type)
{
    return type->kind == FLOW_WIRE_TIMESTAMP || type->kind == FLOW_WIRE_DURATION ||
           type->kind == FLOW_WIRE_FIELD_MASK || type->kind == FLOW_WIRE_WRAPPER;
}

FlowStatus flow_binding_scalar(const FlowWireField *field, const char *text, size_t len, FlowValue *ret_value,
                               FlowError *reterr)
{
    if (field->type == FLOW_WIRE_MESSAGE && field->message->kind == FLOW_WIRE_WRAPPER)
        field = &field->message->fields[0];
    if (field->type == FLOW_WIRE_BOOL) {
        bool yes = len == 4 && memcmp(text, "true", 4) == 0, no = len == 5 && memcmp(text, "false", 5) == 0;
        if (!yes && !no)
            return refuse(reterr, "WRONG_TYPE", field->json_name, strlen(field->json_name),
                          "must be true or false");
        *ret_value = flow_value_bool(yes);
        return FLOW_OK;
    }
    if (field->type == FLOW_WIRE_ENUM && is_number_text(text, len)) {
        static const FlowJsonLimits one = {.values = 1, .flags = FLOW_JSON_READ_BIG_AS_FLOAT};
        if (flow_json_read(text, len, &one, ret_value, NULL) == FLOW_OK)
            return FLOW_OK;
    }
    /* Numbers, bytes, times and masks are texts in JSON too, or may be. */
    return flow_value_try_string(text, len, ret_value, reterr);
}

/* ---- a tree of the fields that path and query set ---- */

static const FlowValue *member_of(FlowValue object, const FlowWireField *field)
{
    const FlowValue *found = flow_object_get(object, field->json_name);
    return found != NULL ? found : flow_object_get(object, field->name);
}

/* Sets the value at the path, making objects on the way; a repeated leaf gets one more element. Takes the value. */
static FlowStatus set_at(FlowValue *object, const FlowFieldPath *path, size_t at, FlowValue value,
                         FlowError *reterr)
{
    const FlowWireField *field = path->fields[at];
    const FlowValue *there = flow_object_get(*object, field->json_name);
    if (at + 1 == path->count && !field->repeated)
        return flow_object_set_take(object, field->json_name, value, reterr);
    FlowValue inner = there != NULL ? flow_value_ref(*there) : flow_value_null();
    if (there == NULL)
        inner = field->repeated ? flow_value_array() : flow_value_object();
    FlowStatus status = field->repeated ? flow_array_push_take(&inner, value, reterr)
                                        : set_at(&inner, path, at + 1, value, reterr);
    if (status != FLOW_OK) {
        flow_value_unref(inner);
        return status;
    }
    return flow_object_set_take(object, field->json_name, inner, reterr);
}

static bool is_set(FlowValue object, const FlowFieldPath *path)
{
    const FlowValue *at = &object;
    for (size_t i = 0; i < path->count && at != NULL; i++)
        at = member_of(*at, path->fields[i]);
    return at != NULL;
}

/* ---- the path ---- */

/* The body may repeat what the path says, not contradict it. Compared as the field's wire bytes: "7" is 7. */
static bool contradicts(const FlowWirePool *pool, FlowValue body, FlowValue extra,
                        const FlowRouteVariable *variable)
{
    const FlowValue *given = &body, *wanted = &extra;
    const FlowWireMessage *type = NULL;
    for (size_t i = 0; i < variable->path.count && given != NULL && wanted != NULL; i++) {
        type = variable->path.fields[i]->owner;
        given = member_of(*given, variable->path.fields[i]);
        wanted = member_of(*wanted, variable->path.fields[i]);
    }
    if (given == NULL || wanted == NULL || flow_value_is_null(*given) || flow_value_equal(*given, *wanted))
        return false;
    const char *name = variable->path.fields[variable->path.count - 1]->json_name;
    FlowBuf bytes[2];
    bool same = true;
    for (int i = 0; i < 2; i++) {
        FlowValue object = flow_value_object();
        flow_buf_init(&bytes[i], 0);
        same =
            same &&
            flow_object_set_take(&object, name, flow_value_ref(i == 0 ? *given : *wanted), NULL) == FLOW_OK &&
            flow_message_from_value(pool, type, object, 0, &bytes[i], NULL) == FLOW_OK;
        flow_value_unref(object);
    }
    same = same && bytes[0].len == bytes[1].len && memcmp(bytes[0].data, bytes[1].data, bytes[0].len) == 0;
    flow_buf_done(&bytes[0]);
    flow_buf_done(&bytes[1]);
    return !same;
}

static FlowStatus bind_path(const FlowWirePool *pool, const FlowRouteMatch *match, FlowValue body,
                            FlowValue *extra, FlowError *reterr)
{
    const FlowRoute *route = match->route;
    for (size_t i = 0; i < route->variable_count; i++) {
        const FlowRouteVariable *variable = &route->variables[i];
        FlowBuf text;
        FlowValue value;
        flow_buf_init(&text, 0);
        FlowStatus status = flow_route_variable_text(match, variable, &text, reterr);
        if (status == FLOW_OK && text.data != NULL && memchr(text.data, '\0', text.len) != NULL)
            status =
                refuse(reterr, "INVALID_FIELD", variable->name, strlen(variable->name), "has a NUL in it");
        if (status == FLOW_OK)
            status = flow_binding_scalar(variable->path.fields[variable->path.count - 1],
                                         flow_buf_text(&text), text.len, &value, reterr);
        flow_buf_done(&text);
        if (status == FLOW_OK)
            status = set_at(extra, &variable->path, 0, value, reterr);
        if (status == FLOW_OK && contradicts(pool, body, *extra, variable))
            status = refuse(reterr, "INVALID_FIELD", variable->name, strlen(variable->name),
                            "the body says otherwise than the path");
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}

/* ---- the query ---- */

static FlowStatus bind_parameter(const FlowRoute *route, FlowBuf *key, FlowBuf *text, FlowValue *extra,
                                 FlowError *reterr)
{
    FlowFieldPath path;
    const char *name = flow_buf_text(key);
    if (!flow_utf8_valid(name, key->len) || (text->len != 0 && !flow_utf8_valid(text->data, text->len)))
        return refuse(reterr, "INVALID_FIELD", name, key->len, "the query is not UTF-8");
    if (text->len != 0 && memchr(text->data, '\0', text->len) != NULL)
        return refuse(reterr, "INVALID_FIELD", name, key->len, "has a NUL in it");
    if (route->body_is_request)
        return refuse(reterr, "UNKNOWN_FIELD", name, key->len,
                      "this method takes everything from its body, nothing from the query");
    if (!flow_field_path_find(route->method->request, name, key->len, &path))
        return refuse(reterr, "UNKNOWN_FIELD", name, key->len, "the method has no such parameter");
    const FlowWireField *leaf = path.fields[path.count - 1];
    for (size_t i = 0; i + 1 < path.count; i++)
        if (path.fields[i]->repeated)
            return refuse(reterr, "WRONG_TYPE", name, key->len,
                          "fields of a list can't be given in the query");
    if (route->body != NULL && path.fields[0] == route->body)
        return refuse(reterr, "INVALID_FIELD", name, key->len, "belongs into the body");
    if (leaf->map ||
        (leaf->type == FLOW_WIRE_MESSAGE && (leaf->repeated || !is_scalar_message(leaf->message))))
        return refuse(reterr, "WRONG_TYPE", name, key->len, "can't be given in the query");
    if (!leaf->repeated && is_set(*extra, &path))
        return refuse(reterr, "DUPLICATE_FIELD", name, key->len, "is given twice");
    FlowValue value;
    FlowStatus status =
        flow_binding_scalar(leaf, text->len != 0 ? flow_buf_text(text) : "", text->len, &value, reterr);
    return status == FLOW_OK ? set_at(extra, &path, 0, value, reterr) : status;
}

/* What the door itself reads from the query. */
static bool is_ours(const FlowBuf *key)
{
    return key->len == 7 && memcmp(key->data, "timeout", 7) == 0;
}

static FlowStatus bind_query(const FlowRoute *route, const char *query, FlowValue *extra, FlowError *reterr)
{
    FlowStatus status = FLOW_OK;
    size_t count = 0;
    for (const char *at = query; *at != '\0' && status == FLOW_OK;) {
        const char *end = strchrnul(at, '&'), *equals = memchr(at, '=', (size_t)(end - at));
        const char *key_end = equals != NULL ? equals : end;
        FlowBuf key, text;
        flow_buf_init(&key, 0);
        flow_buf_init(&text, 0);
        if (end == at)
            ; /* "&&", or one at the end */
        else if (++count > FLOW_QUERY_PARAMETERS)
            status = flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", NULL,
                                    "the query has too many parameters");
        else if (!flow_percent_decode(&key, at, (size_t)(key_end - at), false, true) ||
                 (equals != NULL &&
                  !flow_percent_decode(&text, equals + 1, (size_t)(end - equals - 1), false, true)))
            status = refuse(reterr, "INVALID_FIELD", at, (size_t)(key_end - at),
                            "the query has a \"%\" that is no escape such as %20");
        else if (!is_ours(&key))
            status = bind_parameter(route, &key, &text, extra, reterr);
        flow_buf_done(&key);
        flow_buf_done(&text);
        at = *end == '&' ? end + 1 : end;
    }
    return status;
}

/* ---- the body ---- */

bool flow_binding_takes_raw(const FlowRoute *route)
{
    return route->body != NULL && route->body->type == FLOW_WIRE_MESSAGE && !route->body->repeated &&
           route->body->message->kind == FLOW_WIRE_HTTP_BODY;
}

static void put_raw(const FlowRoute *route, const FlowHttpInput *input, FlowBuf *to)
{
    size_t begin = flow_put_begin(to, route->body->number);
    if (input->content_type != NULL)
        flow_put_bytes(to, 1, input->content_type, strlen(input->content_type));
    flow_put_bytes(to, 2, input->body, input->body_len);
    flow_put_end(to, begin);
}

/* *ret_body is the request's JSON as far as the body says it: {} without one. */
static FlowStatus read_json(const FlowRoute *route, const FlowHttpInput *input, FlowValue *ret_body,
                            FlowError *reterr)
{
    FlowValue value, object = flow_value_object();
    FlowStatus status =
        flow_json_read(input->body, input->body_len, &flow_binding_json_limits, &value, reterr);
    if (status != FLOW_OK) {
        /* "line:column" is no field: it stays in the message alone. */
        if (reterr != NULL)
            reterr->where[0] = '\0';
        return status;
    }
    if (route->body_is_request) {
        *ret_body = value;
        return FLOW_OK;
    }
    status = flow_object_set_take(&object, route->body->json_name, value, reterr);
    if (status != FLOW_OK)
        flow_value_unref(object);
    else
        *ret_body = object;
    return status;
}

static FlowStatus bind_body(const FlowWirePool *pool, const FlowRoute *route, const FlowHttpInput *input,
                            FlowValue *ret_body, FlowBuf *to, FlowError *reterr)
{
    *ret_body = flow_value_object();
    if (flow_binding_takes_raw(route) && input->body_kind == FLOW_BODY_RAW) {
        put_raw(route, input, to);
        return FLOW_OK;
    }
    if (input->body_len == 0)
        return FLOW_OK;
    if (!route->body_is_request && route->body == NULL)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", NULL,
                              "%s takes no body: put what it needs into the query", route->method->name);
    if (input->body_kind == FLOW_BODY_PROTOBUF) {
        if (route->body_is_request)
            flow_buf_append(to, input->body, input->body_len);
        else if (route->body->type == FLOW_WIRE_MESSAGE && !route->body->repeated)
            flow_put_bytes(to, route->body->number, input->body, input->body_len);
        else
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", NULL,
                                  "\"%s\" is no message: send JSON", route->body->json_name);
        return FLOW_OK;
    }
    FlowStatus status = read_json(route, input, ret_body, reterr);
    if (status == FLOW_OK)
        status = flow_message_from_value(pool, route->method->request, *ret_body, 0, to, reterr);
    return status;
}

FlowStatus flow_binding_request(const FlowWirePool *pool, const FlowRouteMatch *match,
                                const FlowHttpInput *input, FlowBuf *to, FlowError *reterr)
{
    const FlowRoute *route = match->route;
    FlowValue body, extra = flow_value_object();
    FlowStatus status = bind_body(pool, route, input, &body, to, reterr);
    if (status == FLOW_OK)
        status = bind_path(pool, match, body, &extra, reterr);
    if (status == FLOW_OK && !input->query_is_free)
        status = bind_query(route, input->query, &extra, reterr);
    /* Behind the body's bytes: on the wire that merges, and what comes later counts. */
    if (status == FLOW_OK && flow_object_count(extra) != 0)
        status = flow_message_from_value(pool, route->method->request, extra, 0, to, reterr);
    flow_value_unref(body);
    flow_value_unref(extra);
    return status;
}
