/*
 * struct.h - google.protobuf.Struct, Value and ListValue in wire format to FlowValue and back, without a tree between.
 *
 * In the generated C code such fields are `bytes` (tools/struct_fields_as_bytes), so a message holds a payload as it came
 * and these functions are the only ones that look inside. Any thread.
 *
 * Numbers: a Struct holds doubles. Read: an integral one within ±2^53 is an INT, any other a FLOAT; NaN and infinities are
 * refused. Written: an INT beyond ±2^53 becomes a decimal string, and its path is reported.
 */
#ifndef FLOW_WIRE_STRUCT_H
#define FLOW_WIRE_STRUCT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "value/value.h"

enum {
    FLOW_STRUCT_DEPTH = 32, /* objects and arrays inside each other: other languages' Struct stops at 33 */
    FLOW_STRUCT_VALUES = 1000 * 1000 /* values in one Struct */
};

typedef enum FlowStructKind { FLOW_STRUCT_OBJECT, FLOW_STRUCT_ANY, FLOW_STRUCT_LIST } FlowStructKind;

/*
 * Reads the bytes of a Struct (no bytes: {}), Value (no bytes: null) or ListValue (no bytes: []). A key that comes twice:
 * the last wins, as for every map. FLOW_INVALID_ARGUMENT with reason INVALID_STRUCT (not the wire format, not UTF-8),
 * NUMBER_NOT_FINITE or STRUCT_TOO_LARGE; `where` is the path in it, behind `field` (may be NULL): "payload.data.a[3]".
 */
FlowStatus flow_struct_read(FlowStructKind kind, const void *bytes, size_t len, const char *field,
                            FlowValue *ret_value, FlowError *reterr);

/*
 * Appends the bytes. An OBJECT must be one, a LIST an array. Paths of integers that became strings are pushed to the array
 * in `inexact_paths` (may be NULL), each behind `field` (may be NULL). FLOW_INVALID_ARGUMENT for NaN, infinities and
 * values deeper than FLOW_STRUCT_DEPTH; FLOW_RESOURCE_EXHAUSTED when the buffer is full. A failure appends nothing.
 */
FlowStatus flow_struct_write(FlowStructKind kind, FlowValue value, FlowBuf *to, const char *field,
                             FlowValue *inexact_paths, FlowError *reterr);

#endif
