#include "rpc/required.h"

#include <string.h>

static bool is_zero(const void *bytes, size_t size)
{
    static const char zeros[8];
    return memcmp(bytes, zeros, size) == 0;
}

static bool is_present(const FlowWireField *field, const ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *c = field->c;
    const char *quantifier = (const char *)message + c->quantifier_offset;
    const char *member = (const char *)message + c->offset;
    if (c->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)(const void *)quantifier != 0;
    if ((c->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
        *(const uint32_t *)(const void *)quantifier != field->number)
        return false;
    switch (c->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(void *const *)(const void *)member != NULL;
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)(const void *)member;
        return text != NULL && *text != '\0';
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *data = (const ProtobufCBinaryData *)(const void *)member;
        /* A Struct that is kept as bytes is present when its oneof says so, even if it is empty. */
        if (field->type == FLOW_WIRE_MESSAGE && (c->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
            return true;
        return data->len != 0;
    }
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return !is_zero(member, 8);
    default:
        return !is_zero(member, 4);
    }
}

bool flow_rpc_required_present(const FlowWireMessage *type, const ProtobufCMessage *message,
                               FlowRpcDetails *ret_details)
{
    bool failed = false;
    for (size_t i = 0; i < type->field_count; i++) {
        const FlowWireField *field = &type->fields[i];
        if (!field->required || field->c == NULL || is_present(field, message))
            continue;
        if (!failed) {
            FlowError error;
            flow_error_set(&error, FLOW_INVALID_ARGUMENT, "REQUIRED_FIELD", NULL,
                           "%s: the field %s is required", type->name, field->name);
            flow_rpc_details_init(ret_details, &error);
            failed = true;
        }
        flow_rpc_details_field(ret_details, field->name, "the field is required");
    }
    return !failed;
}
