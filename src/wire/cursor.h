/* cursor.h - protobuf's wire format, field by field, without copying. Nothing is read beyond `end`. */
#ifndef FLOW_WIRE_CURSOR_H
#define FLOW_WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

enum { FLOW_WT_VARINT = 0, FLOW_WT_FIXED64 = 1, FLOW_WT_LENGTH = 2, FLOW_WT_FIXED32 = 5 };

typedef struct FlowSpan {
    const uint8_t *next, *end;
} FlowSpan;

typedef struct FlowWireItem {
    uint32_t number, type;
    uint64_t integer; /* VARINT, FIXED32, FIXED64 */
    FlowSpan bytes;   /* LENGTH */
} FlowWireItem;

static inline size_t flow_span_len(FlowSpan span)
{
    return (size_t)(span.end - span.next);
}

static inline FlowSpan flow_span(const void *bytes, size_t len)
{
    const uint8_t *next = bytes;
    return (FlowSpan){next, len != 0 ? next + len : next};
}

static inline bool flow_span_varint(FlowSpan *span, uint64_t *ret)
{
    if (span->next < span->end && *span->next < 0x80) {
        *ret = *span->next++;
        return true;
    }
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && span->next < span->end; shift += 7) {
        uint8_t byte = *span->next++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static inline bool flow_span_fixed(FlowSpan *span, size_t size, uint64_t *ret)
{
    if (flow_span_len(*span) < size)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)span->next[i] << (8 * i);
    span->next += size;
    *ret = value;
    return true;
}

/* The next field. False when the bytes are torn, or hold a group, which proto3 doesn't have. */
static inline bool flow_span_item(FlowSpan *span, FlowWireItem *item)
{
    uint64_t tag, len;
    item->integer = 0;
    item->bytes = (FlowSpan){span->next, span->next};
    if (!flow_span_varint(span, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return false;
    item->number = (uint32_t)(tag >> 3);
    item->type = (uint32_t)(tag & 7);
    switch (item->type) {
    case FLOW_WT_VARINT:
        return flow_span_varint(span, &item->integer);
    case FLOW_WT_FIXED64:
        return flow_span_fixed(span, 8, &item->integer);
    case FLOW_WT_FIXED32:
        return flow_span_fixed(span, 4, &item->integer);
    case FLOW_WT_LENGTH:
        if (!flow_span_varint(span, &len) || len > flow_span_len(*span))
            return false;
        item->bytes = (FlowSpan){span->next, span->next + len};
        span->next += len;
        return true;
    default:
        return false;
    }
}

/* For loops: 1 = *item is the next field, 0 = the end, -1 = torn. */
static inline int flow_span_next(FlowSpan *span, FlowWireItem *item)
{
    if (span->next == span->end)
        return 0;
    return flow_span_item(span, item) ? 1 : -1;
}

static inline size_t flow_varint_size(uint64_t value)
{
    return (size_t)(70 - __builtin_clzll(value | 1)) / 7;
}

static inline void flow_put_varint(FlowBuf *to, uint64_t value)
{
    char bytes[10];
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[len++] = (char)(value | 0x80);
    bytes[len++] = (char)value;
    flow_buf_append(to, bytes, len);
}

static inline void flow_put_tag(FlowBuf *to, uint32_t number, unsigned type)
{
    flow_put_varint(to, (uint64_t)number << 3 | type);
}

static inline void flow_put_fixed(FlowBuf *to, uint64_t value, size_t size)
{
    char bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(value >> (8 * i));
    flow_buf_append(to, bytes, size);
}

static inline void flow_put_bytes(FlowBuf *to, uint32_t number, const void *bytes, size_t len)
{
    flow_put_tag(to, number, FLOW_WT_LENGTH);
    flow_put_varint(to, len);
    flow_buf_append(to, bytes, len);
}

/*
 * A nested message whose length is known only when it is written: begin reserves one byte for the length, end moves the
 * content up where more are needed.
 */
static inline size_t flow_put_begin(FlowBuf *to, uint32_t number)
{
    flow_put_tag(to, number, FLOW_WT_LENGTH);
    flow_buf_byte(to, 0);
    return to->len;
}

static inline void flow_put_end(FlowBuf *to, size_t begin)
{
    if (to->failed)
        return;
    size_t len = to->len - begin, extra = flow_varint_size(len) - 1;
    if (!flow_buf_reserve(to, extra))
        return;
    memmove(to->data + begin + extra, to->data + begin, len);
    to->len = begin - 1;
    flow_put_varint(to, len);
    to->len = begin + extra + len;
}

#endif
