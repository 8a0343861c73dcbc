/*
 * openapi.c - paths from the HTTP rules, schemas from the messages that they reach. What a schema allows is what the JSON
 * reader accepts (wire/json.h): so a client that keeps to it is understood, and one that doesn't is refused.
 */
#include "http/openapi.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "http/router.h"
#include "http/template.h"
#include "value/json.h"

enum { QUERY_DEPTH = 3 };

typedef struct Writer {
    FlowBuf *to;
    FlowMap known;                  /* messages whose schema is wanted; the value is the message */
    const FlowWireMessage **wanted; /* in the order in which they were met */
    size_t wanted_count;
    bool first; /* no comma before the next member */
} Writer;

static void text(Writer *w, const char *value)
{
    flow_json_write_string(w->to, value, strlen(value), 0);
}

static void comma(Writer *w)
{
    if (!w->first)
        flow_buf_byte(w->to, ',');
    w->first = false;
}

static void key(Writer *w, const char *name)
{
    comma(w);
    text(w, name);
    flow_buf_byte(w->to, ':');
}

static void open(Writer *w, char bracket)
{
    flow_buf_byte(w->to, bracket);
    w->first = true;
}

static void close(Writer *w, char bracket)
{
    flow_buf_byte(w->to, bracket);
    w->first = false;
}

static void member(Writer *w, const char *name, const char *value)
{
    key(w, name);
    text(w, value);
}

/* A member whose value is JSON already. */
static void member_json(Writer *w, const char *name, const char *json)
{
    key(w, name);
    flow_buf_str(w->to, json);
}

static void describe(Writer *w, const char *comment)
{
    if (*comment == '\0')
        return;
    size_t len = strlen(comment);
    while (len > 0 && isspace((unsigned char)comment[len - 1]))
        len--;
    while (len > 0 && isspace((unsigned char)*comment)) {
        comment++;
        len--;
    }
    key(w, "description");
    flow_json_write_string(w->to, comment, len, 0);
}

/* ---- schemas ---- */

static void want(Writer *w, const FlowWireMessage *type)
{
    if (flow_map_find(&w->known, type->full_name) != NULL)
        return;
    if (!flow_map_put(&w->known, type->full_name, (void *)type))
        abort();
    w->wanted = flow_realloc(w->wanted, (w->wanted_count + 1) * sizeof *w->wanted);
    w->wanted[w->wanted_count++] = type;
}

static const char *scalar_schema(FlowWireType type)
{
    switch (type) {
    case FLOW_WIRE_BOOL:
        return "{\"type\":\"boolean\"}";
    case FLOW_WIRE_STRING:
        return "{\"type\":\"string\"}";
    case FLOW_WIRE_BYTES:
        return "{\"type\":\"string\",\"contentEncoding\":\"base64\"}";
    case FLOW_WIRE_DOUBLE:
    case FLOW_WIRE_FLOAT:
        return "{\"anyOf\":[{\"type\":\"number\"},{\"type\":\"string\",\"pattern\":"
               "\"^(-?(0|[1-9][0-9]*)(\\\\.[0-9]+)?([eE][-+]?[0-9]+)?|NaN|-?Infinity)$\"}]}";
    case FLOW_WIRE_INT32:
    case FLOW_WIRE_SINT32:
    case FLOW_WIRE_SFIXED32:
        return "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":2147483647},"
               "{\"type\":\"string\",\"pattern\":\"^-?(0|[1-9][0-9]{0,8})$\"}]}";
    case FLOW_WIRE_UINT32:
    case FLOW_WIRE_FIXED32:
        return "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295},"
               "{\"type\":\"string\",\"pattern\":\"^(0|[1-9][0-9]{0,8})$\"}]}";
    case FLOW_WIRE_UINT64:
    case FLOW_WIRE_FIXED64:
        return "{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^(0|[1-9][0-9]{0,18})$\"},"
               "{\"type\":\"integer\",\"minimum\":0,\"maximum\":9223372036854775807}]}";
    default:
        return "{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^-?(0|[1-9][0-9]{0,17})$\"},"
               "{\"type\":\"integer\",\"minimum\":-9223372036854775808,\"maximum\":9223372036854775807}]}";
    }
}

/* Of messages whose JSON form is their own; NULL for the others. */
static const char *special_schema(const FlowWireMessage *type)
{
    switch (type->kind) {
    case FLOW_WIRE_TIMESTAMP:
        return "{\"type\":\"string\",\"format\":\"date-time\"}";
    case FLOW_WIRE_DURATION:
        return "{\"type\":\"string\",\"pattern\":\"^-?[0-9]{1,11}(\\\\.[0-9]{1,9})?s$\",\"examples\":[\"1."
               "5s\"]}";
    case FLOW_WIRE_FIELD_MASK:
        return "{\"type\":\"string\",\"pattern\":\"^([a-z][a-zA-Z0-9]*(\\\\.[a-z][a-zA-Z0-9]*)*(,[a-z][a-zA-"
               "Z0-9]*(\\\\.[a-z]"
               "[a-zA-Z0-9]*)*)*)?$\",\"examples\":[\"name,labels\"]}";
    case FLOW_WIRE_STRUCT:
        return "{\"type\":\"object\",\"additionalProperties\":true}";
    case FLOW_WIRE_VALUE:
        return "{}";
    case FLOW_WIRE_LIST_VALUE:
        return "{\"type\":\"array\"}";
    case FLOW_WIRE_WRAPPER:
        return scalar_schema(type->fields[0].type);
    case FLOW_WIRE_ANY:
        return "{\"type\":\"object\",\"properties\":{\"@type\":{\"type\":\"string\"}},"
               "\"additionalProperties\":true}";
    case FLOW_WIRE_EMPTY:
        return "{\"type\":\"object\",\"additionalProperties\":false}";
    default:
        return NULL;
    }
}

static void enum_schema(Writer *w, const FlowWireEnum *enumeration)
{
    open(w, '{');
    key(w, "anyOf");
    flow_buf_str(w->to, "[{\"type\":\"string\",\"enum\":[");
    for (size_t i = 0; i < enumeration->value_count; i++) {
        if (i > 0)
            flow_buf_byte(w->to, ',');
        text(w, enumeration->values[i].name);
    }
    flow_buf_str(w->to, "]},{\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":2147483647}]");
    close(w, '}');
}

/* One value of the field, without what `repeated` makes of it. */
static void element_schema(Writer *w, const FlowWireField *field)
{
    const char *special = field->type == FLOW_WIRE_MESSAGE ? special_schema(field->message) : NULL;
    if (special != NULL) {
        flow_buf_str(w->to, special);
    } else if (field->type == FLOW_WIRE_MESSAGE) {
        want(w, field->message);
        flow_buf_printf(w->to, "{\"$ref\":\"#/components/schemas/%s\"}", field->message->full_name);
    } else if (field->type == FLOW_WIRE_ENUM) {
        enum_schema(w, field->enumeration);
    } else {
        flow_buf_str(w->to, scalar_schema(field->type));
    }
    w->first = false;
}

static void value_schema(Writer *w, const FlowWireField *field)
{
    if (field->map) {
        flow_buf_str(w->to, "{\"type\":\"object\",\"additionalProperties\":");
        element_schema(w, &field->message->fields[1]);
        flow_buf_byte(w->to, '}');
    } else if (field->repeated) {
        flow_buf_str(w->to, "{\"type\":\"array\",\"items\":");
        element_schema(w, field);
        flow_buf_byte(w->to, '}');
    } else {
        element_schema(w, field);
    }
}

static void property(Writer *w, const FlowWireField *field, const char *name, bool other_spelling)
{
    key(w, name);
    open(w, '{');
    if (other_spelling)
        member_json(w, "deprecated", "true");
    else
        describe(w, field->comment);
    if (field->output_only)
        member_json(w, "readOnly", "true");
    key(w, "anyOf");
    flow_buf_byte(w->to, '[');
    value_schema(w, field);
    flow_buf_str(w->to, ",{\"type\":\"null\"}]");
    close(w, '}');
}

static void not_both(Writer *w, const char *one, const char *other)
{
    comma(w);
    flow_buf_printf(w->to, "{\"not\":{\"required\":[\"%s\",\"%s\"]}}", one, other);
}

/* A field comes under one of its names, and of a oneof comes one field. */
static void exclusions(Writer *w, const FlowWireMessage *type)
{
    bool any = false;
    for (size_t i = 0; i < type->field_count; i++)
        any |= type->fields[i].oneof >= 0 || strcmp(type->fields[i].name, type->fields[i].json_name) != 0;
    if (!any)
        return;
    key(w, "allOf");
    open(w, '[');
    for (size_t i = 0; i < type->field_count; i++) {
        const FlowWireField *field = &type->fields[i];
        if (strcmp(field->name, field->json_name) != 0)
            not_both(w, field->json_name, field->name);
        for (size_t j = i + 1; j < type->field_count && field->oneof >= 0; j++) {
            const FlowWireField *other = &type->fields[j];
            if (other->oneof != field->oneof)
                continue;
            not_both(w, field->json_name, other->json_name);
            if (strcmp(other->name, other->json_name) != 0)
                not_both(w, field->json_name, other->name);
            if (strcmp(field->name, field->json_name) != 0)
                not_both(w, field->name, other->json_name);
            if (strcmp(field->name, field->json_name) != 0 && strcmp(other->name, other->json_name) != 0)
                not_both(w, field->name, other->name);
        }
    }
    close(w, ']');
}

static void message_schema(Writer *w, const FlowWireMessage *type)
{
    bool folds = false;
    key(w, type->full_name);
    open(w, '{');
    member(w, "type", "object");
    describe(w, type->comment);
    key(w, "properties");
    open(w, '{');
    for (size_t i = 0; i < type->field_count; i++) {
        const FlowWireField *field = &type->fields[i];
        folds |= field->fold_unknown;
        property(w, field, field->json_name, false);
        if (strcmp(field->name, field->json_name) != 0)
            property(w, field, field->name, true);
    }
    close(w, '}');
    member_json(w, "additionalProperties", folds ? "true" : "false");
    exclusions(w, type);
    close(w, '}');
}

/* ---- operations ---- */

static void parameter(Writer *w, const FlowWireField *field, const char *name, const char *in,
                      bool other_spelling)
{
    comma(w);
    open(w, '{');
    member(w, "name", name);
    member(w, "in", in);
    if (*in == 'p')
        member_json(w, "required", "true");
    if (other_spelling)
        member_json(w, "deprecated", "true");
    else
        describe(w, field->comment);
    key(w, "schema");
    value_schema(w, field);
    close(w, '}');
}

/* Dots in a path's variables are nothing that tools expect. */
static void undot(char *name)
{
    for (; *name != '\0'; name++)
        if (*name == '.')
            *name = '_';
}

static bool in_path(const FlowTemplate *parsed, const FlowWireMessage *request, const FlowFieldPath *path)
{
    for (size_t i = 0; i < parsed->variable_count; i++) {
        FlowFieldPath variable;
        if (flow_field_path_find(request, parsed->variables[i].name, parsed->variables[i].name_len,
                                 &variable) &&
            memcmp(&variable, path, sizeof variable) == 0)
            return true;
    }
    return false;
}

static void query_name(const FlowFieldPath *path, bool json, FlowBuf *to)
{
    for (size_t i = 0; i < path->count; i++)
        flow_buf_printf(to, "%s%s", i > 0 ? "." : "",
                        json ? path->fields[i]->json_name : path->fields[i]->name);
}

static void query_parameters(Writer *w, const FlowWireMethod *method, const FlowTemplate *parsed,
                             const FlowWireMessage *type, FlowFieldPath *path, const char *body)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const FlowWireField *field = &type->fields[i];
        if (path->count == 0 && strcmp(field->name, body) == 0)
            continue;
        path->fields[path->count++] = field;
        bool message = field->type == FLOW_WIRE_MESSAGE;
        bool scalar = !message || field->message->kind == FLOW_WIRE_TIMESTAMP ||
                      field->message->kind == FLOW_WIRE_DURATION ||
                      field->message->kind == FLOW_WIRE_FIELD_MASK ||
                      field->message->kind == FLOW_WIRE_WRAPPER;
        if (!in_path(parsed, method->request, path) && scalar && !(message && field->repeated)) {
            FlowBuf json, proto;
            flow_buf_init(&json, 0);
            flow_buf_init(&proto, 0);
            query_name(path, true, &json);
            query_name(path, false, &proto);
            parameter(w, field, flow_buf_text(&json), "query", false);
            if (strcmp(flow_buf_text(&json), flow_buf_text(&proto)) != 0)
                parameter(w, field, flow_buf_text(&proto), "query", true);
            flow_buf_done(&json);
            flow_buf_done(&proto);
        } else if (message && !field->repeated && field->message->kind == FLOW_WIRE_ORDINARY &&
                   path->count < QUERY_DEPTH) {
            query_parameters(w, method, parsed, field->message, path, body);
        }
        path->fields[--path->count] = NULL;
    }
}

static void parameters(Writer *w, const FlowWireMethod *method, const FlowWireHttpRule *rule,
                       const FlowTemplate *parsed)
{
    key(w, "parameters");
    open(w, '[');
    for (size_t i = 0; i < parsed->variable_count; i++) {
        FlowFieldPath path;
        char name[160];
        snprintf(name, sizeof name, "%.*s", (int)parsed->variables[i].name_len, parsed->variables[i].name);
        if (!flow_field_path_find(method->request, name, parsed->variables[i].name_len, &path))
            continue;
        undot(name);
        parameter(w, path.fields[path.count - 1], name, "path", false);
    }
    const FlowWireField *body = flow_wire_field_named(method->request, rule->body, strlen(rule->body));
    bool raw = body != NULL && body->type == FLOW_WIRE_MESSAGE && body->message->kind == FLOW_WIRE_HTTP_BODY;
    if (strcmp(rule->body, "*") != 0 && !raw) {
        FlowFieldPath path = {.count = 0};
        query_parameters(w, method, parsed, method->request, &path, rule->body);
    }
    comma(w);
    flow_buf_str(w->to, "{\"$ref\":\"#/components/parameters/timeout\"}");
    close(w, ']');
}

static void content(Writer *w, const char *type, const FlowWireMessage *message, const FlowWireField *field)
{
    key(w, type);
    flow_buf_str(w->to, "{\"schema\":");
    if (field != NULL) {
        value_schema(w, field);
    } else {
        want(w, message);
        flow_buf_printf(w->to, "{\"$ref\":\"#/components/schemas/%s\"}", message->full_name);
    }
    flow_buf_byte(w->to, '}');
    w->first = false;
}

/* The whole request as a body: with what it requires, unless that stands in the path. */
static void whole_request(Writer *w, const FlowWireMethod *method, const FlowTemplate *parsed)
{
    const FlowWireMessage *type = method->request;
    want(w, type);
    key(w, "application/json");
    flow_buf_printf(w->to, "{\"schema\":{\"allOf\":[{\"$ref\":\"#/components/schemas/%s\"}", type->full_name);
    for (size_t i = 0; i < type->field_count; i++) {
        const FlowWireField *field = &type->fields[i];
        FlowFieldPath path = {.fields = {field}, .count = 1};
        if (!field->required || in_path(parsed, type, &path))
            continue;
        const char *least = "\"type\":\"object\"";
        if (field->repeated)
            least = "\"type\":\"array\",\"minItems\":1";
        else if (field->type == FLOW_WIRE_STRING)
            least = "\"type\":\"string\",\"minLength\":1";
        for (int spelling = 0; spelling < 2; spelling++) {
            const char *name = spelling == 0 ? field->json_name : field->name;
            if (spelling == 0 || strcmp(field->name, field->json_name) != 0)
                flow_buf_printf(w->to, "%s{\"required\":[\"%s\"],\"properties\":{\"%s\":{%s}}}",
                                spelling == 0 ? ",{\"anyOf\":[" : ",", name, name, least);
        }
        flow_buf_str(w->to, "]}");
    }
    flow_buf_str(w->to, "]}}");
    w->first = false;
}

static void request_body(Writer *w, const FlowWireMethod *method, const FlowWireHttpRule *rule,
                         const FlowTemplate *parsed)
{
    const FlowWireField *field = strcmp(rule->body, "*") == 0
                                     ? NULL
                                     : flow_wire_field_named(method->request, rule->body, strlen(rule->body));
    if (*rule->body == '\0')
        return;
    key(w, "requestBody");
    open(w, '{');
    key(w, "content");
    open(w, '{');
    if (field != NULL && field->type == FLOW_WIRE_MESSAGE && field->message->kind == FLOW_WIRE_HTTP_BODY)
        member_json(w, "*/*", "{}");
    else if (field == NULL)
        whole_request(w, method, parsed);
    else
        content(w, "application/json", method->request, field);
    close(w, '}');
    close(w, '}');
}

static void responses(Writer *w, const FlowWireMethod *method, const FlowWireHttpRule *rule)
{
    const FlowWireField *field =
        flow_wire_field_named(method->response, rule->response_body, strlen(rule->response_body));
    key(w, "responses");
    open(w, '{');
    key(w, "200");
    open(w, '{');
    member(w, "description", "The answer.");
    key(w, "content");
    open(w, '{');
    if (field != NULL && field->type == FLOW_WIRE_MESSAGE && field->message->kind == FLOW_WIRE_HTTP_BODY) {
        member_json(w, "*/*", "{}");
    } else if (method->server_streaming) {
        member_json(w, "application/x-ndjson",
                    "{\"schema\":{\"$ref\":\"#/components/schemas/StreamRecord\"}}");
        member_json(w, "text/event-stream", "{\"schema\":{\"type\":\"string\"}}");
    } else {
        content(w, "application/json", method->response, field);
    }
    close(w, '}');
    close(w, '}');
    member_json(w, "default", "{\"$ref\":\"#/components/responses/Error\"}");
    close(w, '}');
}

static void operation(Writer *w, const FlowWireMethod *method, const FlowWireHttpRule *rule, size_t index)
{
    FlowTemplate parsed;
    char verb[16], id[160], summary[160];
    if (flow_template_path_parse(rule->path, &parsed) != NULL)
        return;
    size_t i = 0;
    for (; rule->verb[i] != '\0' && i < sizeof verb - 1; i++)
        verb[i] = (char)tolower((unsigned char)rule->verb[i]);
    verb[i] = '\0';
    const char *comment = method->comment + strspn(method->comment, " \n");
    snprintf(summary, sizeof summary, "%.*s", (int)strcspn(comment, ".:\n"), comment);
    snprintf(id, sizeof id, index == 0 ? "%s_%s" : "%s_%s_%zu", method->service->name, method->name, index);
    key(w, verb);
    open(w, '{');
    member(w, "operationId", id);
    key(w, "tags");
    flow_buf_printf(w->to, "[\"%s\"]", method->service->name);
    member(w, "summary", summary);
    describe(w, method->comment);
    parameters(w, method, rule, &parsed);
    request_body(w, method, rule, &parsed);
    responses(w, method, rule);
    close(w, '}');
}

typedef struct Rule {
    char *path; /* as the document says it; freed with the rule */
    const FlowWireMethod *method;
    FlowWireHttpRule rule;
    size_t index;
} Rule;

static int by_path(const void *a, const void *b)
{
    const Rule *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order != 0 ? order : strcmp(x->rule.verb, y->rule.verb);
}

/* "/v1/queues/{queue.name}" as "/v1/queues/{queue_name}". */
static char *shown_path(const char *path)
{
    char *copy = flow_strdup(path);
    for (char *brace = strchr(copy, '{'); brace != NULL; brace = strchr(brace + 1, '{')) {
        char *end = strchr(brace, '}');
        *end = '\0';
        undot(brace);
        *end = '}';
    }
    return copy;
}

/* Rules of the methods that speak HTTP, by path, and for each method the one that all have. */
static Rule *all_rules(const FlowRpcServer *rpc, size_t *ret_count)
{
    Rule *rules = NULL;
    size_t count = 0;
    for (size_t i = 0; i < flow_rpc_method_count(rpc); i++) {
        const FlowWireMethod *method = flow_rpc_method_at(rpc, i)->wire;
        if (method->client_streaming || strncmp(method->full_name, "flowengine.", 11) != 0)
            continue;
        rules = flow_realloc(rules, (count + method->http_count + 1) * sizeof *rules);
        for (size_t r = 0; r < method->http_count; r++)
            rules[count++] = (Rule){shown_path(method->http[r].path), method, method->http[r], r};
        rules[count++] =
            (Rule){flow_strdup(method->path), method, {"POST", method->path, "*", ""}, method->http_count};
    }
    qsort(rules, count, sizeof *rules, by_path);
    *ret_count = count;
    return rules;
}

static void paths(Writer *w, const FlowRpcServer *rpc)
{
    size_t count;
    Rule *rules = all_rules(rpc, &count);
    key(w, "paths");
    open(w, '{');
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(rules[i].path, rules[i - 1].path) != 0) {
            if (i != 0)
                close(w, '}');
            key(w, rules[i].path);
            open(w, '{');
        }
        operation(w, rules[i].method, &rules[i].rule, rules[i].index);
    }
    if (count != 0)
        close(w, '}');
    close(w, '}');
    for (size_t i = 0; i < count; i++)
        free(rules[i].path);
    free(rules);
}

static void components(Writer *w, const FlowWirePool *pool)
{
    const FlowWireMessage *status = flow_wire_message(pool, "google.rpc.Status");
    want(w, status);
    key(w, "components");
    open(w, '{');
    member_json(w, "parameters",
                "{\"timeout\":{\"name\":\"timeout\",\"in\":\"query\",\"description\":\"How long the call may "
                "take, as 1.5s.\","
                "\"schema\":{\"type\":\"string\",\"pattern\":\"^[1-9][0-9]{0,5}(\\\\.[0-9]{1,9})?s$\"}}}");
    member_json(
        w, "responses",
        "{\"Error\":{\"description\":\"What went wrong.\",\"content\":{\"application/json\":{\"schema\":"
        "{\"$ref\":\"#/components/schemas/google.rpc.Status\"}}}}}");
    key(w, "schemas");
    open(w, '{');
    for (size_t i = 0; i < w->wanted_count; i++) /* grows meanwhile */
        message_schema(w, w->wanted[i]);
    member_json(
        w, "StreamRecord",
        "{\"type\":\"object\",\"description\":\"A line of a stream: a result, or how it "
        "ended.\",\"properties\":{"
        "\"result\":{},\"end\":{\"type\":\"object\",\"properties\":{\"cursor\":{\"type\":\"string\"}}},"
        "\"error\":{\"$ref\":\"#/components/schemas/google.rpc.Status\"}}}");
    close(w, '}');
    close(w, '}');
}

void flow_openapi_write(const FlowRpcServer *rpc, FlowBuf *to)
{
    Writer w = {.to = to, .first = true};
    flow_map_init(&w.known);
    open(&w, '{');
    member(&w, "openapi", "3.1.0");
    member_json(
        &w, "info",
        "{\"title\":\"FlowEngine\",\"version\":\"" FLOW_VERSION
        "\",\"description\":\"Every method of the gRPC contract as JSON over HTTP. Streams answer with "
        "NDJSON, "
        "server-sent events or a WebSocket on the same URL.\",\"license\":{\"name\":\"see LICENSE\"}}");
    member_json(&w, "servers", "[{\"url\":\"/\"}]");
    paths(&w, rpc);
    components(&w, flow_rpc_server_pool(rpc));
    close(&w, '}');
    flow_buf_byte(to, '\n');
    flow_map_done(&w.known, NULL);
    free(w.wanted);
}
