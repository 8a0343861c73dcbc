/*
 * descriptors_load.c - a FileDescriptorSet becomes a pool. Reads the wire format of google/protobuf/descriptor.proto
 * directly: the set then needs no generated code, and options that are extensions need no registry.
 *
 * Twice over the files: first every name gets its struct, then fields and methods find what they refer to.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/descriptors_internal.h"
#include "wire/cursor.h"

/* Field numbers of google/protobuf/descriptor.proto and google/api/http.proto. */
/* clang-format off */
enum {
    FILE_NAME = 1, FILE_PACKAGE = 2, FILE_IMPORT = 3, FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6,
    FILE_EXTENSION = 7, FILE_SOURCE = 9, FILE_SYNTAX = 12,
    MESSAGE_NAME = 1, MESSAGE_FIELD = 2, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4, MESSAGE_EXTENSION = 6,
    MESSAGE_OPTIONS = 7, MESSAGE_ONEOF = 8, MESSAGE_OPTION_MAP_ENTRY = 7,
    FIELD_NAME = 1, FIELD_EXTENDEE = 2, FIELD_NUMBER = 3, FIELD_LABEL = 4, FIELD_TYPE = 5,
    FIELD_TYPE_NAME = 6, FIELD_OPTIONS = 8, FIELD_ONEOF = 9, FIELD_JSON_NAME = 10,
    FIELD_PROTO3_OPTIONAL = 17, FIELD_OPTION_PACKED = 2,
    LABEL_REPEATED = 3, LABEL_REQUIRED = 2,
    ENUM_NAME = 1, ENUM_VALUE = 2,
    VALUE_NAME = 1, VALUE_NUMBER = 2,
    ONEOF_NAME = 1,
    SERVICE_NAME = 1, SERVICE_METHOD = 2,
    METHOD_NAME = 1, METHOD_INPUT = 2, METHOD_OUTPUT = 3, METHOD_OPTIONS = 4,
    METHOD_CLIENT_STREAMING = 5, METHOD_SERVER_STREAMING = 6,
    SOURCE_LOCATION = 1,
    LOCATION_PATH = 1, LOCATION_LEADING = 3,
    OPTION_HTTP = 72295728,
    HTTP_BODY = 7, HTTP_CUSTOM = 8, HTTP_MORE = 11, HTTP_RESPONSE_BODY = 12, HTTP_GET = 2, HTTP_PUT = 3,
    HTTP_POST = 4, HTTP_DELETE = 5, HTTP_PATCH = 6,
    OPTION_FIELD_RULES = 51230,
    RULES_FOLD_UNKNOWN = 1, RULES_REQUIRED = 2, RULES_OUTPUT_ONLY = 3,
    OPTION_STREAM_RULES = 51231,
    RULES_CURSOR_FIELD = 1, RULES_RESUME_FIELD = 2
};
/* clang-format on */

enum { DENSE_MAX = 256 };

/* Where a declaration stands: SourceCodeInfo names places by such paths. */
typedef struct Place {
    int32_t path[32];
    unsigned depth;
} Place;

typedef struct Loader {
    FlowWirePool *pool;
    const FlowWireFile *file;
    bool proto3;
    FlowMap comments;                             /* of the current file: path → text */
    bool fill;                                    /* the second time over */
    size_t messages, enums, services, extensions; /* how many were met so far */
    FlowError *reterr;
    FlowStatus status; /* the first failure */
} Loader;

static void fail(Loader *self, const char *where, const char *what)
{
    if (self->status == FLOW_OK)
        self->status = flow_error_set(self->reterr, FLOW_INTERNAL, "BAD_DESCRIPTORS", where,
                                      "the descriptor set can't be used: %s", what);
}

static void *take(Loader *self, size_t count, size_t size)
{
    void *memory = flow_arena_calloc(&self->pool->arena, count, size);
    if (memory == NULL)
        fail(self, NULL, "no memory");
    return memory;
}

static const char *text_of(Loader *self, const FlowWireItem *item)
{
    char *text =
        flow_arena_strndup(&self->pool->arena, (const char *)item->bytes.next, flow_span_len(item->bytes));
    if (text == NULL)
        fail(self, NULL, "no memory");
    return text != NULL ? text : "";
}

/* "package.Outer" + "Inner". */
static const char *within(Loader *self, const char *scope, const char *name)
{
    size_t size = strlen(scope) + strlen(name) + 2;
    char *text = flow_arena_alloc(&self->pool->arena, size);
    if (text == NULL) {
        fail(self, name, "no memory");
        return "";
    }
    snprintf(text, size, "%s%s%s", scope, *scope != '\0' ? "." : "", name);
    return text;
}

static const char *last_part(const char *full_name)
{
    const char *dot = strrchr(full_name, '.');
    return dot != NULL ? dot + 1 : full_name;
}

/* The first item with this number; the number is 0 when there is none. */
static FlowWireItem find(FlowSpan reader, uint32_t number)
{
    FlowWireItem item = {0};
    while (flow_span_next(&reader, &item) > 0)
        if (item.number == number)
            return item;
    return (FlowWireItem){0};
}

static FlowSpan inside(const FlowWireItem *item)
{
    return item->type == FLOW_WT_LENGTH ? item->bytes : (FlowSpan){0};
}

static size_t count(FlowSpan reader, uint32_t number)
{
    FlowWireItem item;
    size_t found = 0;
    while (flow_span_next(&reader, &item) > 0)
        found += item.number == number;
    return found;
}

static const char *name_of(Loader *self, FlowSpan reader, uint32_t number)
{
    FlowWireItem item = find(reader, number);
    return item.type == FLOW_WT_LENGTH ? text_of(self, &item) : "";
}

static uint64_t number_of(FlowSpan reader, uint32_t number)
{
    return find(reader, number).integer;
}

static void declare(Loader *self, FlowMap *names, const char *name, void *thing)
{
    void *old = NULL;
    if (!flow_map_set(names, name, strlen(name), thing, &old))
        fail(self, name, "no memory");
    else if (old != NULL)
        fail(self, name, "a name is declared twice");
}

static Place step(const Place *outer, int32_t number, size_t index)
{
    Place place = *outer;
    if (place.depth + 2 <= FLOW_COUNT(place.path)) {
        place.path[place.depth++] = number;
        place.path[place.depth++] = (int32_t)index;
    }
    return place;
}

/* ------------------------------------------------------------------------------------------ comments */

static void load_comments(Loader *self, FlowSpan file)
{
    FlowWireItem source = find(file, FILE_SOURCE), location;
    for (FlowSpan all = inside(&source); flow_span_next(&all, &location) > 0;) {
        if (location.number != SOURCE_LOCATION)
            continue;
        FlowSpan leading = find(inside(&location), LOCATION_LEADING).bytes;
        if (leading.next == NULL)
            continue;
        FlowWireItem path = find(inside(&location), LOCATION_PATH);
        FlowSpan numbers = inside(&path);
        Place place = {.depth = 0};
        uint64_t number;
        while (place.depth < FLOW_COUNT(place.path) && numbers.next != numbers.end &&
               flow_span_varint(&numbers, &number))
            place.path[place.depth++] = (int32_t)number;
        while (leading.next < leading.end && (leading.end[-1] == '\n' || leading.end[-1] == ' '))
            leading.end--;
        char *text = flow_arena_alloc(&self->pool->arena, flow_span_len(leading) + 1);
        if (text == NULL) {
            fail(self, NULL, "no memory");
            return;
        }
        size_t len = 0;
        /* One space stands before each line's text. */
        for (bool line_start = true; leading.next < leading.end; leading.next++) {
            if (!line_start || *leading.next != ' ')
                text[len++] = (char)*leading.next;
            line_start = *leading.next == '\n';
        }
        text[len] = '\0';
        flow_map_set(&self->comments, (const char *)place.path, place.depth * sizeof *place.path, text, NULL);
    }
}

static const char *comment_at(const Loader *self, const Place *place)
{
    const char *text =
        flow_map_get(&self->comments, (const char *)place->path, place->depth * sizeof *place->path);
    return text != NULL ? text : "";
}

/* -------------------------------------------------------------------------------------------- fields */

static FlowWireKind kind_of(const char *full_name)
{
    static const struct {
        const char *name;
        FlowWireKind kind;
    } special[] = {
        {"google.protobuf.Timestamp", FLOW_WIRE_TIMESTAMP},
        {"google.protobuf.Duration", FLOW_WIRE_DURATION},
        {"google.protobuf.FieldMask", FLOW_WIRE_FIELD_MASK},
        {"google.protobuf.Struct", FLOW_WIRE_STRUCT},
        {"google.protobuf.Value", FLOW_WIRE_VALUE},
        {"google.protobuf.ListValue", FLOW_WIRE_LIST_VALUE},
        {"google.protobuf.Any", FLOW_WIRE_ANY},
        {"google.protobuf.Empty", FLOW_WIRE_EMPTY},
        {"google.api.HttpBody", FLOW_WIRE_HTTP_BODY},
        {"google.protobuf.DoubleValue", FLOW_WIRE_WRAPPER},
        {"google.protobuf.FloatValue", FLOW_WIRE_WRAPPER},
        {"google.protobuf.Int64Value", FLOW_WIRE_WRAPPER},
        {"google.protobuf.UInt64Value", FLOW_WIRE_WRAPPER},
        {"google.protobuf.Int32Value", FLOW_WIRE_WRAPPER},
        {"google.protobuf.UInt32Value", FLOW_WIRE_WRAPPER},
        {"google.protobuf.BoolValue", FLOW_WIRE_WRAPPER},
        {"google.protobuf.StringValue", FLOW_WIRE_WRAPPER},
        {"google.protobuf.BytesValue", FLOW_WIRE_WRAPPER},
    };
    for (size_t i = 0; i < FLOW_COUNT(special); i++)
        if (strcmp(special[i].name, full_name) == 0)
            return special[i].kind;
    return FLOW_WIRE_ORDINARY;
}

/* What protoc does when no json_name is given: drop underscores, the letter behind one becomes a capital. */
static const char *camel(Loader *self, const char *name)
{
    char *text = flow_arena_alloc(&self->pool->arena, strlen(name) + 1);
    if (text == NULL) {
        fail(self, name, "no memory");
        return "";
    }
    size_t len = 0;
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '_')
            continue;
        bool capital = c != name && c[-1] == '_' && *c >= 'a' && *c <= 'z';
        text[len++] = capital ? (char)(*c - 'a' + 'A') : *c;
    }
    text[len] = '\0';
    return text;
}

static void *referred(Loader *self, const FlowMap *names, FlowSpan reader, uint32_t number)
{
    FlowWireItem item = find(reader, number);
    FlowSpan name = inside(&item);
    if (name.next == name.end || *name.next != '.') {
        fail(self, NULL, "a type has no full name");
        return NULL;
    }
    void *thing = flow_map_get(names, (const char *)name.next + 1, flow_span_len(name) - 1);
    if (thing == NULL)
        fail(self, text_of(self, &item), "it lacks this type");
    return thing;
}

static void load_field(Loader *self, FlowWireMessage *owner, FlowWireField *field, FlowSpan reader,
                       const Place *place)
{
    field->name = name_of(self, reader, FIELD_NAME);
    field->comment = comment_at(self, place);
    field->number = (uint32_t)number_of(reader, FIELD_NUMBER);
    field->type = (FlowWireType)number_of(reader, FIELD_TYPE);
    field->owner = owner;
    field->repeated = number_of(reader, FIELD_LABEL) == LABEL_REPEATED;
    FlowWireItem json_name = find(reader, FIELD_JSON_NAME);
    field->json_name = json_name.number != 0 ? text_of(self, &json_name) : camel(self, field->name);
    if (field->number == 0 || field->type < FLOW_WIRE_DOUBLE || field->type > FLOW_WIRE_SINT64) {
        fail(self, field->name, "a field has no number or type");
        return;
    }
    if (field->type == FLOW_WIRE_MESSAGE || field->type == FLOW_WIRE_GROUP)
        field->message = referred(self, &self->pool->messages_by_name, reader, FIELD_TYPE_NAME);
    if (field->type == FLOW_WIRE_ENUM)
        field->enumeration = referred(self, &self->pool->enums_by_name, reader, FIELD_TYPE_NAME);

    FlowWireItem oneof = find(reader, FIELD_ONEOF), options = find(reader, FIELD_OPTIONS);
    bool optional = number_of(reader, FIELD_PROTO3_OPTIONAL) != 0;
    field->oneof =
        oneof.number != 0 && !optional && oneof.integer < owner->oneof_count ? (int)oneof.integer : -1;
    field->presence =
        !field->repeated && (field->message != NULL || optional || field->oneof >= 0 || !self->proto3);
    bool scalar = field->type != FLOW_WIRE_STRING && field->type != FLOW_WIRE_BYTES && field->message == NULL;
    FlowWireItem packed = find(inside(&options), FIELD_OPTION_PACKED);
    field->packed = field->repeated && scalar && (packed.number != 0 ? packed.integer != 0 : self->proto3);

    FlowWireItem rules = find(inside(&options), OPTION_FIELD_RULES);
    field->fold_unknown = number_of(inside(&rules), RULES_FOLD_UNKNOWN) != 0;
    field->required = number_of(inside(&rules), RULES_REQUIRED) != 0;
    field->output_only = number_of(inside(&rules), RULES_OUTPUT_ONLY) != 0;
}

static int by_number(const void *left, const void *right)
{
    const FlowWireField *a = left, *b = right;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void load_fields(Loader *self, FlowWireMessage *message, FlowSpan reader, const Place *place)
{
    FlowWireItem item;
    size_t fields = count(reader, MESSAGE_FIELD), oneofs = count(reader, MESSAGE_ONEOF);
    const char **names = take(self, oneofs + 1, sizeof *names);
    FlowWireField *table = take(self, fields + 1, sizeof *table);
    if (self->status != FLOW_OK)
        return;
    size_t at = 0;
    for (FlowSpan all = reader; flow_span_next(&all, &item) > 0;)
        if (item.number == MESSAGE_ONEOF)
            names[at++] = name_of(self, inside(&item), ONEOF_NAME);
    message->oneofs = names;
    message->oneof_count = oneofs;
    at = 0;
    for (FlowSpan all = reader; self->status == FLOW_OK && flow_span_next(&all, &item) > 0;) {
        if (item.number != MESSAGE_FIELD)
            continue;
        Place inner = step(place, MESSAGE_FIELD, at);
        load_field(self, message, &table[at++], inside(&item), &inner);
    }
    if (self->status != FLOW_OK)
        return;
    qsort(table, fields, sizeof *table, by_number);
    message->fields = table;
    message->field_count = fields;
    uint32_t largest = fields != 0 ? table[fields - 1].number : 0;
    message->dense_count = largest < DENSE_MAX ? largest + 1 : DENSE_MAX;
    message->dense = take(self, message->dense_count, sizeof *message->dense);
    for (size_t i = 0; message->dense != NULL && i < fields; i++) {
        table[i].map = table[i].repeated && table[i].message != NULL && table[i].message->map_entry;
        if (table[i].number < message->dense_count)
            message->dense[table[i].number] = (uint16_t)(i + 1);
    }
}

/* -------------------------------------------------------------------------------- messages and enums */

static void load_enum(Loader *self, FlowSpan reader, const char *scope, const Place *place)
{
    FlowWireEnum *e = &self->pool->enums[self->enums++];
    if (!self->fill) {
        e->full_name = within(self, scope, name_of(self, reader, ENUM_NAME));
        e->name = last_part(e->full_name);
        e->file = self->file;
        declare(self, &self->pool->enums_by_name, e->full_name, e);
        return;
    }
    e->comment = comment_at(self, place);
    e->value_count = count(reader, ENUM_VALUE);
    FlowWireEnumValue *values = take(self, e->value_count + 1, sizeof *values);
    e->values = values;
    FlowWireItem item;
    for (size_t i = 0; values != NULL && flow_span_next(&reader, &item) > 0;) {
        if (item.number != ENUM_VALUE)
            continue;
        Place inner = step(place, ENUM_VALUE, i);
        values[i].name = name_of(self, inside(&item), VALUE_NAME);
        values[i].number = (int32_t)number_of(inside(&item), VALUE_NUMBER);
        values[i++].comment = comment_at(self, &inner);
    }
}

static void load_extension(Loader *self, FlowSpan reader, const char *scope)
{
    FlowWireExtension *extension = &self->pool->extensions[self->extensions++];
    if (!self->fill)
        return;
    const char *extendee = name_of(self, reader, FIELD_EXTENDEE);
    extension->extendee = *extendee == '.' ? extendee + 1 : extendee;
    extension->full_name = within(self, scope, name_of(self, reader, FIELD_NAME));
    extension->number = (uint32_t)number_of(reader, FIELD_NUMBER);
    extension->file = self->file;
}

static void load_message(Loader *self, FlowSpan reader, const char *scope, const Place *place)
{
    FlowWireMessage *message = &self->pool->messages[self->messages++];
    if (!self->fill) {
        FlowWireItem options = find(reader, MESSAGE_OPTIONS);
        message->full_name = within(self, scope, name_of(self, reader, MESSAGE_NAME));
        message->name = last_part(message->full_name);
        message->kind = kind_of(message->full_name);
        message->map_entry = number_of(inside(&options), MESSAGE_OPTION_MAP_ENTRY) != 0;
        message->file = self->file;
        declare(self, &self->pool->messages_by_name, message->full_name, message);
    } else {
        message->comment = comment_at(self, place);
        load_fields(self, message, reader, place);
    }
    FlowWireItem item;
    size_t nested = 0, enums = 0;
    while (self->status == FLOW_OK && flow_span_next(&reader, &item) > 0) {
        Place inner = step(place, (int32_t)item.number, item.number == MESSAGE_NESTED ? nested : enums);
        if (item.number == MESSAGE_NESTED) {
            nested++;
            load_message(self, inside(&item), message->full_name, &inner);
        } else if (item.number == MESSAGE_ENUM) {
            enums++;
            load_enum(self, inside(&item), message->full_name, &inner);
        } else if (item.number == MESSAGE_EXTENSION) {
            load_extension(self, inside(&item), message->full_name);
        }
    }
}

/* -------------------------------------------------------------------------------- services and rules */

static void load_rule(Loader *self, FlowWireHttpRule *rule, FlowSpan reader)
{
    static const char *const verbs[] = {[HTTP_GET] = "GET",
                                        [HTTP_PUT] = "PUT",
                                        [HTTP_POST] = "POST",
                                        [HTTP_DELETE] = "DELETE",
                                        [HTTP_PATCH] = "PATCH"};
    *rule = (FlowWireHttpRule){"", "", "", ""};
    FlowWireItem item;
    while (flow_span_next(&reader, &item) > 0) {
        if (item.number >= HTTP_GET && item.number <= HTTP_PATCH) {
            rule->verb = verbs[item.number];
            rule->path = text_of(self, &item);
        } else if (item.number == HTTP_CUSTOM) {
            rule->verb = name_of(self, inside(&item), 1);
            rule->path = name_of(self, inside(&item), 2);
        } else if (item.number == HTTP_BODY) {
            rule->body = text_of(self, &item);
        } else if (item.number == HTTP_RESPONSE_BODY) {
            rule->response_body = text_of(self, &item);
        }
    }
}

static void load_rules(Loader *self, FlowWireMethod *method, FlowSpan options)
{
    FlowWireItem stream = find(options, OPTION_STREAM_RULES), http = find(options, OPTION_HTTP), item;
    method->cursor_field = name_of(self, inside(&stream), RULES_CURSOR_FIELD);
    method->resume_field = name_of(self, inside(&stream), RULES_RESUME_FIELD);
    if (http.number == 0)
        return;
    FlowWireHttpRule *rules = take(self, 1 + count(inside(&http), HTTP_MORE), sizeof *rules);
    if (rules == NULL)
        return;
    load_rule(self, &rules[method->http_count++], inside(&http));
    for (FlowSpan all = inside(&http); flow_span_next(&all, &item) > 0;)
        if (item.number == HTTP_MORE)
            load_rule(self, &rules[method->http_count++], inside(&item));
    method->http = rules;
}

static void load_method(Loader *self, const FlowWireService *service, FlowWireMethod *method, FlowSpan reader)
{
    char path[512];
    FlowWireItem options = find(reader, METHOD_OPTIONS);
    method->name = name_of(self, reader, METHOD_NAME);
    snprintf(path, sizeof path, "/%s/%s", service->full_name, method->name);
    method->path = flow_arena_strndup(&self->pool->arena, path, strlen(path));
    if (method->path == NULL) {
        fail(self, path, "no memory");
        return;
    }
    method->full_name = method->path + 1;
    method->service = service;
    method->request = referred(self, &self->pool->messages_by_name, reader, METHOD_INPUT);
    method->response = referred(self, &self->pool->messages_by_name, reader, METHOD_OUTPUT);
    method->client_streaming = number_of(reader, METHOD_CLIENT_STREAMING) != 0;
    method->server_streaming = number_of(reader, METHOD_SERVER_STREAMING) != 0;
    load_rules(self, method, inside(&options));
    declare(self, &self->pool->methods_by_name, method->full_name, method);
}

static void load_service(Loader *self, FlowSpan reader, const char *package, const Place *place)
{
    FlowWireService *service = &self->pool->services[self->services++];
    if (!self->fill)
        return;
    service->full_name = within(self, package, name_of(self, reader, SERVICE_NAME));
    service->name = last_part(service->full_name);
    service->comment = comment_at(self, place);
    service->file = self->file;
    service->method_count = count(reader, SERVICE_METHOD);
    FlowWireMethod *methods = take(self, service->method_count + 1, sizeof *methods);
    service->methods = methods;
    declare(self, &self->pool->services_by_name, service->full_name, service);
    FlowWireItem item;
    for (size_t i = 0; self->status == FLOW_OK && flow_span_next(&reader, &item) > 0;) {
        if (item.number != SERVICE_METHOD)
            continue;
        Place inner = step(place, SERVICE_METHOD, i);
        methods[i].comment = comment_at(self, &inner);
        load_method(self, service, &methods[i++], inside(&item));
    }
}

/* --------------------------------------------------------------------------------------------- files */

static void load_file_head(Loader *self, FlowWireFile *file, FlowSpan reader)
{
    file->name = name_of(self, reader, FILE_NAME);
    file->package = name_of(self, reader, FILE_PACKAGE);
    file->import_count = count(reader, FILE_IMPORT);
    const char **imports = take(self, file->import_count + 1, sizeof *imports);
    FlowWireItem item;
    for (size_t i = 0; imports != NULL && flow_span_next(&reader, &item) > 0;)
        if (item.number == FILE_IMPORT)
            imports[i++] = text_of(self, &item);
    file->imports = imports;
    declare(self, &self->pool->files_by_name, file->name, file);
}

static void load_file(Loader *self, const FlowWireFile *file)
{
    FlowSpan reader = flow_span(file->bytes, file->len);
    FlowWireItem item, syntax = find(reader, FILE_SYNTAX);
    const Place top = {.depth = 0};
    size_t messages = 0, enums = 0, services = 0;
    self->file = file;
    self->proto3 = flow_span_len(inside(&syntax)) == 6 && memcmp(syntax.bytes.next, "proto3", 6) == 0;
    if (self->fill) {
        flow_map_init(&self->comments);
        load_comments(self, reader);
    }
    while (self->status == FLOW_OK && flow_span_next(&reader, &item) > 0) {
        if (item.number == FILE_MESSAGE) {
            Place place = step(&top, FILE_MESSAGE, messages++);
            load_message(self, inside(&item), file->package, &place);
        } else if (item.number == FILE_ENUM) {
            Place place = step(&top, FILE_ENUM, enums++);
            load_enum(self, inside(&item), file->package, &place);
        } else if (item.number == FILE_SERVICE) {
            Place place = step(&top, FILE_SERVICE, services++);
            load_service(self, inside(&item), file->package, &place);
        } else if (item.number == FILE_EXTENSION) {
            load_extension(self, inside(&item), file->package);
        }
    }
    if (self->fill)
        flow_map_done(&self->comments, NULL);
}

static void count_in_message(FlowWirePool *pool, FlowSpan reader)
{
    FlowWireItem item;
    pool->message_count++;
    while (flow_span_next(&reader, &item) > 0) {
        if (item.number == MESSAGE_NESTED)
            count_in_message(pool, inside(&item));
        pool->enum_count += item.number == MESSAGE_ENUM;
        pool->extension_count += item.number == MESSAGE_EXTENSION;
    }
}

/* How much there is of what, so that each kind lies in one array whose addresses stay. */
static void count_in_file(FlowWirePool *pool, FlowSpan reader)
{
    FlowWireItem item;
    while (flow_span_next(&reader, &item) > 0) {
        if (item.number == FILE_MESSAGE)
            count_in_message(pool, inside(&item));
        pool->enum_count += item.number == FILE_ENUM;
        pool->service_count += item.number == FILE_SERVICE;
        pool->extension_count += item.number == FILE_EXTENSION;
    }
}

static void load_set(Loader *self, FlowSpan set)
{
    FlowWirePool *pool = self->pool;
    FlowSpan all = set;
    FlowWireItem item;
    int more;
    while ((more = flow_span_next(&all, &item)) > 0) {
        pool->file_count++;
        count_in_file(pool, inside(&item));
    }
    if (more < 0) {
        fail(self, NULL, "it is torn");
        return;
    }
    pool->files = take(self, pool->file_count + 1, sizeof *pool->files);
    pool->messages = take(self, pool->message_count + 1, sizeof *pool->messages);
    pool->enums = take(self, pool->enum_count + 1, sizeof *pool->enums);
    pool->services = take(self, pool->service_count + 1, sizeof *pool->services);
    pool->extensions = take(self, pool->extension_count + 1, sizeof *pool->extensions);
    if (self->status != FLOW_OK)
        return;
    size_t at = 0;
    while (flow_span_next(&set, &item) > 0) {
        FlowWireFile *file = &pool->files[at++];
        file->bytes = item.bytes.next;
        file->len = flow_span_len(item.bytes);
        load_file_head(self, file, inside(&item));
    }
    for (int round = 0; round < 2; round++) {
        self->fill = round == 1;
        self->messages = self->enums = self->services = self->extensions = 0;
        for (size_t i = 0; self->status == FLOW_OK && i < pool->file_count; i++)
            load_file(self, &pool->files[i]);
    }
}

FlowStatus flow_wire_pool_new(const void *set, size_t len, FlowWirePool **ret_pool, FlowError *reterr)
{
    FlowWirePool *pool = flow_new(FlowWirePool);
    flow_arena_init(&pool->arena, 0);
    flow_map_init(&pool->files_by_name);
    flow_map_init(&pool->messages_by_name);
    flow_map_init(&pool->enums_by_name);
    flow_map_init(&pool->services_by_name);
    flow_map_init(&pool->methods_by_name);
    Loader loader = {.pool = pool, .reterr = reterr};
    load_set(&loader, flow_span(set, len));
    if (loader.status != FLOW_OK) {
        flow_wire_pool_free(pool);
        return loader.status;
    }
    *ret_pool = pool;
    return FLOW_OK;
}

FlowWirePool *flow_wire_pool_free(FlowWirePool *pool)
{
    if (pool == NULL)
        return NULL;
    flow_map_done(&pool->files_by_name, NULL);
    flow_map_done(&pool->messages_by_name, NULL);
    flow_map_done(&pool->enums_by_name, NULL);
    flow_map_done(&pool->services_by_name, NULL);
    flow_map_done(&pool->methods_by_name, NULL);
    flow_arena_done(&pool->arena);
    free(pool);
    return NULL;
}
