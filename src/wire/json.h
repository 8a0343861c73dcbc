/*
 * json.h - messages and their proto3 JSON form, by descriptor, both ways.
 *
 * The JSON form is a FlowValue; value/json.h makes text of it and reads it. A message is its wire bytes, so what has no
 * generated code works as well. Any thread.
 *
 * The mapping is https://protobuf.dev/programming-guides/json/, with one rule of our own: a field with the option
 * `fold_unknown` (flowengine/v1/options.proto) takes the keys that its message doesn't know, and gives them back beside the
 * message's own keys.
 */
#ifndef FLOW_WIRE_JSON_H
#define FLOW_WIRE_JSON_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "value/value.h"
#include "wire/descriptors.h"

enum {
    FLOW_MESSAGE_DEPTH = 100, /* messages inside each other */
    FLOW_MESSAGE_IGNORE_UNKNOWN =
        1 << 0, /* reading: unknown keys and enum names are passed over; else an error */
    FLOW_MESSAGE_WITH_DEFAULTS =
        1 << 1, /* writing: scalars, lists and maps with their default value are written too */
    FLOW_MESSAGE_PROTO_NAMES = 1 << 2, /* writing: page_size instead of pageSize */
    FLOW_MESSAGE_ENUM_NUMBERS = 1 << 3 /* writing: enums as numbers */
};

/*
 * The JSON form of the message whose bytes these are. INVALID_ARGUMENT when they are torn, or hold what JSON can't say (a
 * Timestamp beyond year 9999, an Any of unknown type); `where` is the path.
 */
FlowStatus flow_message_to_value(const FlowWirePool *pool, const FlowWireMessage *type, const void *bytes,
                                 size_t len, unsigned flags, FlowValue *ret_value, FlowError *reterr);

/*
 * Appends the bytes of the message whose JSON form this is. INVALID_ARGUMENT, `where` the path in JSON names, with the
 * reasons UNKNOWN_FIELD, DUPLICATE_FIELD, WRONG_TYPE, OUT_OF_RANGE, UNKNOWN_ENUM_VALUE, NUMBER_NOT_EXACT and those of
 * struct.h; RESOURCE_EXHAUSTED when the buffer is full. A failure appends nothing.
 */
FlowStatus flow_message_from_value(const FlowWirePool *pool, const FlowWireMessage *type, FlowValue value,
                                   unsigned flags, FlowBuf *to, FlowError *reterr);

/* The same for a message of the contract in its C struct. */
FlowStatus flow_pb_to_value(const ProtobufCMessage *message, unsigned flags, FlowValue *ret_value,
                            FlowError *reterr);

#endif
