#include "wire/descriptors.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"
#include "wire/descriptors_internal.h"

/* ------------------------------------------------------------------------------------------- look-up */

const FlowWireMessage *flow_wire_message(const FlowWirePool *pool, const char *full_name)
{
    return flow_map_find(&pool->messages_by_name, full_name);
}

const FlowWireEnum *flow_wire_enum(const FlowWirePool *pool, const char *full_name)
{
    return flow_map_find(&pool->enums_by_name, full_name);
}

const FlowWireService *flow_wire_service(const FlowWirePool *pool, const char *full_name)
{
    return flow_map_find(&pool->services_by_name, full_name);
}

const FlowWireMethod *flow_wire_method(const FlowWirePool *pool, const char *full_name)
{
    return flow_map_find(&pool->methods_by_name, full_name);
}

const FlowWireFile *flow_wire_file(const FlowWirePool *pool, const char *name)
{
    return flow_map_find(&pool->files_by_name, name);
}

/* A field, oneof or method: what stands before the last dot is its message or service. */
static const FlowWireFile *file_of_member(const FlowWirePool *pool, const char *symbol)
{
    const char *dot = strrchr(symbol, '.');
    if (dot == NULL)
        return NULL;
    char *scope = flow_strndup(symbol, (size_t)(dot - symbol));
    const FlowWireMessage *message = flow_wire_message(pool, scope);
    const FlowWireService *service = flow_wire_service(pool, scope);
    free(scope);
    if (message != NULL) {
        for (size_t i = 0; i < message->field_count; i++)
            if (strcmp(message->fields[i].name, dot + 1) == 0)
                return message->file;
        for (size_t i = 0; i < message->oneof_count; i++)
            if (strcmp(message->oneofs[i], dot + 1) == 0)
                return message->file;
    }
    for (size_t i = 0; service != NULL && i < service->method_count; i++)
        if (strcmp(service->methods[i].name, dot + 1) == 0)
            return service->file;
    return NULL;
}

/* Values of an enum live in the scope around the enum. */
static const FlowWireFile *file_of_enum_value(const FlowWirePool *pool, const char *symbol)
{
    const char *dot = strrchr(symbol, '.');
    const char *value = dot != NULL ? dot + 1 : symbol;
    size_t scope = (size_t)(value - symbol);
    for (size_t i = 0; i < pool->enum_count; i++) {
        const FlowWireEnum *e = &pool->enums[i];
        if ((size_t)(e->name - e->full_name) == scope && strncmp(e->full_name, symbol, scope) == 0 &&
            flow_wire_enum_value_named(e, value, strlen(value)) != NULL)
            return e->file;
    }
    return NULL;
}

const FlowWireFile *flow_wire_file_of_symbol(const FlowWirePool *pool, const char *symbol)
{
    const FlowWireMessage *message = flow_wire_message(pool, symbol);
    if (message != NULL)
        return message->file;
    const FlowWireEnum *enumeration = flow_wire_enum(pool, symbol);
    if (enumeration != NULL)
        return enumeration->file;
    const FlowWireService *service = flow_wire_service(pool, symbol);
    if (service != NULL)
        return service->file;
    for (size_t i = 0; i < pool->extension_count; i++)
        if (strcmp(pool->extensions[i].full_name, symbol) == 0)
            return pool->extensions[i].file;
    const FlowWireFile *file = file_of_member(pool, symbol);
    return file != NULL ? file : file_of_enum_value(pool, symbol);
}

const FlowWireFile *flow_wire_file_of_extension(const FlowWirePool *pool, const char *full_name,
                                                uint32_t number)
{
    for (size_t i = 0; i < pool->extension_count; i++)
        if (pool->extensions[i].number == number && strcmp(pool->extensions[i].extendee, full_name) == 0)
            return pool->extensions[i].file;
    return NULL;
}

size_t flow_wire_extensions_of(const FlowWirePool *pool, const char *full_name, int32_t *to, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < pool->extension_count; i++) {
        if (strcmp(pool->extensions[i].extendee, full_name) != 0)
            continue;
        int32_t number = (int32_t)pool->extensions[i].number;
        size_t at = count < max ? count : max;
        if (count++ >= max)
            continue;
        for (; at > 0 && to[at - 1] > number; at--)
            to[at] = to[at - 1];
        to[at] = number;
    }
    return count;
}

size_t flow_wire_service_count(const FlowWirePool *pool)
{
    return pool->service_count;
}

const FlowWireService *flow_wire_service_at(const FlowWirePool *pool, size_t index)
{
    return &pool->services[index];
}

size_t flow_wire_message_count(const FlowWirePool *pool)
{
    return pool->message_count;
}

const FlowWireMessage *flow_wire_message_at(const FlowWirePool *pool, size_t index)
{
    return &pool->messages[index];
}

size_t flow_wire_file_count(const FlowWirePool *pool)
{
    return pool->file_count;
}

const FlowWireFile *flow_wire_file_at(const FlowWirePool *pool, size_t index)
{
    return &pool->files[index];
}

const FlowWireField *flow_wire_field_slow(const FlowWireMessage *message, uint32_t number)
{
    size_t low = 0, high = message->field_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (message->fields[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < message->field_count && message->fields[low].number == number ? &message->fields[low] : NULL;
}

static bool same(const char *text, const char *bytes, size_t len)
{
    return strncmp(text, bytes, len) == 0 && text[len] == '\0';
}

const FlowWireField *flow_wire_field_named(const FlowWireMessage *message, const char *name, size_t len)
{
    for (size_t i = 0; i < message->field_count; i++)
        if (same(message->fields[i].json_name, name, len))
            return &message->fields[i];
    for (size_t i = 0; i < message->field_count; i++)
        if (same(message->fields[i].name, name, len))
            return &message->fields[i];
    return NULL;
}

const FlowWireEnumValue *flow_wire_enum_value(const FlowWireEnum *enumeration, int32_t number)
{
    for (size_t i = 0; i < enumeration->value_count; i++)
        if (enumeration->values[i].number == number)
            return &enumeration->values[i];
    return NULL;
}

const FlowWireEnumValue *flow_wire_enum_value_named(const FlowWireEnum *enumeration, const char *name,
                                                    size_t len)
{
    for (size_t i = 0; i < enumeration->value_count; i++)
        if (same(enumeration->values[i].name, name, len))
            return &enumeration->values[i];
    return NULL;
}

/* --------------------------------------------------------------------- joining with the generated code */

static bool types_agree(FlowWireType wire, ProtobufCType code)
{
    static const signed char twins[] = {
        [FLOW_WIRE_DOUBLE] = PROTOBUF_C_TYPE_DOUBLE,     [FLOW_WIRE_FLOAT] = PROTOBUF_C_TYPE_FLOAT,
        [FLOW_WIRE_INT64] = PROTOBUF_C_TYPE_INT64,       [FLOW_WIRE_UINT64] = PROTOBUF_C_TYPE_UINT64,
        [FLOW_WIRE_INT32] = PROTOBUF_C_TYPE_INT32,       [FLOW_WIRE_FIXED64] = PROTOBUF_C_TYPE_FIXED64,
        [FLOW_WIRE_FIXED32] = PROTOBUF_C_TYPE_FIXED32,   [FLOW_WIRE_BOOL] = PROTOBUF_C_TYPE_BOOL,
        [FLOW_WIRE_STRING] = PROTOBUF_C_TYPE_STRING,     [FLOW_WIRE_GROUP] = -1,
        [FLOW_WIRE_MESSAGE] = PROTOBUF_C_TYPE_MESSAGE,   [FLOW_WIRE_BYTES] = PROTOBUF_C_TYPE_BYTES,
        [FLOW_WIRE_UINT32] = PROTOBUF_C_TYPE_UINT32,     [FLOW_WIRE_ENUM] = PROTOBUF_C_TYPE_ENUM,
        [FLOW_WIRE_SFIXED32] = PROTOBUF_C_TYPE_SFIXED32, [FLOW_WIRE_SFIXED64] = PROTOBUF_C_TYPE_SFIXED64,
        [FLOW_WIRE_SINT32] = PROTOBUF_C_TYPE_SINT32,     [FLOW_WIRE_SINT64] = PROTOBUF_C_TYPE_SINT64,
    };
    return twins[wire] == (int)code || (wire == FLOW_WIRE_MESSAGE && code == PROTOBUF_C_TYPE_BYTES);
}

static FlowStatus join_fields(FlowWirePool *pool, FlowWireMessage *message, FlowError *reterr)
{
    const ProtobufCMessageDescriptor *code = message->c;
    for (unsigned i = 0; i < code->n_fields; i++) {
        const ProtobufCFieldDescriptor *c = &code->fields[i];
        FlowWireField *field = (FlowWireField *)flow_wire_field(message, c->id);
        if (field == NULL || !types_agree(field->type, c->type) ||
            field->repeated != (c->label == PROTOBUF_C_LABEL_REPEATED))
            return flow_error_set(
                reterr, FLOW_INTERNAL, "DESCRIPTORS_DIFFER", message->full_name,
                "the generated code and the descriptor set differ in field \"%s\": run ./flow gen", c->name);
        field->c = c;
        if (c->type == PROTOBUF_C_TYPE_MESSAGE) {
            FlowStatus status = flow_wire_pool_join(pool, c->descriptor, reterr);
            if (status != FLOW_OK)
                return status;
        }
    }
    return FLOW_OK;
}

FlowStatus flow_wire_pool_join(FlowWirePool *pool, const ProtobufCMessageDescriptor *code, FlowError *reterr)
{
    FlowWireMessage *message = flow_map_find(&pool->messages_by_name, code->name);
    if (message == NULL)
        return flow_error_set(reterr, FLOW_INTERNAL, "DESCRIPTORS_DIFFER", code->name,
                              "the descriptor set lacks this message of the generated code: run ./flow gen");
    if (message->c == code)
        return FLOW_OK;
    message->c = code;
    return join_fields(pool, message, reterr);
}

FlowStatus flow_wire_pool_join_service(FlowWirePool *pool, const ProtobufCServiceDescriptor *code,
                                       FlowError *reterr)
{
    for (unsigned i = 0; i < code->n_methods; i++) {
        FlowStatus status = flow_wire_pool_join(pool, code->methods[i].input, reterr);
        if (status == FLOW_OK)
            status = flow_wire_pool_join(pool, code->methods[i].output, reterr);
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}
