#include "wire/prescan.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "wire/cursor.h"

/* One message on the way down. Lives on the stack: FLOW_WIRE_DEPTH_MAX of them at most. */
typedef struct Frame {
    const struct Frame *outer;
    const FlowWireMessage *type;
    const uint8_t *start;        /* of this message's bytes */
    const FlowWireField *inside; /* the field that is being looked at */
    const uint8_t *inside_at;    /* where its tag begins */
} Frame;

typedef struct Scanner {
    FlowWireScanLimits limits;
    FlowWireScan *scan;
    FlowError *reterr;
} Scanner;

/* What the arena rounds to. */
static size_t rounded(size_t size)
{
    return (size + 15) & ~(size_t)15;
}

/* How many elements of the field stand before the one at hand. Only for errors: walks again. */
static size_t index_of(const Frame *frame)
{
    FlowSpan before = {frame->start, frame->inside_at};
    FlowWireItem item;
    size_t count = 0;
    while (flow_span_next(&before, &item) > 0)
        count += item.number == frame->inside->number;
    return count;
}

static void name_place(const Frame *frame, FlowError *error)
{
    for (; frame != NULL; frame = frame->outer) {
        if (frame->inside == NULL || frame->type->map_entry)
            continue;
        char step[160];
        if (frame->inside->repeated)
            snprintf(step, sizeof step, "%.120s[%zu]", frame->inside->name, index_of(frame));
        else
            snprintf(step, sizeof step, "%.150s", frame->inside->name);
        flow_error_within(error, step);
    }
}

static FlowStatus refuse(Scanner *self, const Frame *frame, FlowStatus status, const char *reason,
                         const char *format, ...) __attribute__((format(printf, 5, 6), cold));

static FlowStatus refuse(Scanner *self, const Frame *frame, FlowStatus status, const char *reason,
                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flow_error_vset(self->reterr, status, reason, NULL, format, args);
    va_end(args);
    if (self->reterr != NULL)
        name_place(frame, self->reterr);
    return status;
}

static FlowStatus count_nodes(Scanner *self, const Frame *frame, size_t nodes, size_t memory)
{
    self->scan->nodes += nodes;
    self->scan->memory += memory;
    if (self->scan->nodes > self->limits.nodes)
        return refuse(self, frame, FLOW_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE",
                      "the message has more than %zu fields and elements: send less at a time",
                      self->limits.nodes);
    if (self->scan->memory > self->limits.memory)
        return refuse(self, frame, FLOW_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE",
                      "unpacked the message would take more than %zu bytes: send less at a time",
                      self->limits.memory);
    return FLOW_OK;
}

static unsigned wire_of(FlowWireType type)
{
    static const unsigned char wires[] = {
        [FLOW_WIRE_DOUBLE] = FLOW_WT_FIXED64,   [FLOW_WIRE_FLOAT] = FLOW_WT_FIXED32,
        [FLOW_WIRE_INT64] = FLOW_WT_VARINT,     [FLOW_WIRE_UINT64] = FLOW_WT_VARINT,
        [FLOW_WIRE_INT32] = FLOW_WT_VARINT,     [FLOW_WIRE_FIXED64] = FLOW_WT_FIXED64,
        [FLOW_WIRE_FIXED32] = FLOW_WT_FIXED32,  [FLOW_WIRE_BOOL] = FLOW_WT_VARINT,
        [FLOW_WIRE_STRING] = FLOW_WT_LENGTH,    [FLOW_WIRE_GROUP] = 3,
        [FLOW_WIRE_MESSAGE] = FLOW_WT_LENGTH,   [FLOW_WIRE_BYTES] = FLOW_WT_LENGTH,
        [FLOW_WIRE_UINT32] = FLOW_WT_VARINT,    [FLOW_WIRE_ENUM] = FLOW_WT_VARINT,
        [FLOW_WIRE_SFIXED32] = FLOW_WT_FIXED32, [FLOW_WIRE_SFIXED64] = FLOW_WT_FIXED64,
        [FLOW_WIRE_SINT32] = FLOW_WT_VARINT,    [FLOW_WIRE_SINT64] = FLOW_WT_VARINT,
    };
    return wires[type];
}

/* Elements of a packed array; -1 when it is torn. */
static ssize_t packed_count(unsigned wire, FlowSpan reader)
{
    size_t len = flow_span_len(reader);
    if (wire == FLOW_WT_FIXED64)
        return len % 8 == 0 ? (ssize_t)(len / 8) : -1;
    if (wire == FLOW_WT_FIXED32)
        return len % 4 == 0 ? (ssize_t)(len / 4) : -1;
    ssize_t count = 0;
    for (uint64_t value; reader.next != reader.end; count++)
        if (!flow_span_varint(&reader, &value))
            return -1;
    return count;
}

static FlowStatus scan_text(Scanner *self, const Frame *frame, const FlowWireItem *item)
{
    const char *text = (const char *)item->bytes.next;
    size_t len = flow_span_len(item->bytes);
    if (!flow_utf8_valid(text, len))
        return refuse(self, frame, FLOW_INVALID_ARGUMENT, "MALFORMED_MESSAGE",
                      "the text is not UTF-8 from byte %zu on", flow_utf8_valid_prefix(text, len));
    /* The values of Structs carry their length, so there a NUL is a character like others. */
    bool c_string = frame->inside->c != NULL && frame->inside->c->type == PROTOBUF_C_TYPE_STRING;
    if (c_string && len != 0 && memchr(text, 0, len) != NULL)
        return refuse(self, frame, FLOW_INVALID_ARGUMENT, "MALFORMED_MESSAGE",
                      "the text contains a NUL character");
    return FLOW_OK;
}

static FlowStatus scan_message(Scanner *self, const Frame *outer, const FlowWireMessage *type,
                               FlowSpan reader, unsigned depth);

static FlowStatus scan_known(Scanner *self, Frame *frame, const FlowWireItem *item, unsigned depth)
{
    const FlowWireField *field = frame->inside;
    unsigned wire = wire_of(field->type);
    bool packed = field->repeated && wire != FLOW_WT_LENGTH && item->type == FLOW_WT_LENGTH;
    if (item->type != wire && !packed)
        return refuse(self, frame, FLOW_INVALID_ARGUMENT, "MALFORMED_MESSAGE",
                      "the field has wire type %u instead of %u: the sender uses another .proto file",
                      item->type, wire);
    if (packed) {
        ssize_t count = packed_count(wire, item->bytes);
        if (count < 0)
            return refuse(self, frame, FLOW_INVALID_ARGUMENT, "MALFORMED_MESSAGE",
                          "the packed array is torn: its length is no multiple of its elements");
        return count_nodes(self, frame, (size_t)count, rounded((size_t)count * 8));
    }
    size_t memory = field->repeated ? 16 : 0;
    /* Copied are texts, and what is kept as bytes; of messages only their structs count, see scan_message(). */
    const ProtobufCFieldDescriptor *c = field->c;
    if (c != NULL && (c->type == PROTOBUF_C_TYPE_STRING || c->type == PROTOBUF_C_TYPE_BYTES))
        memory += rounded(flow_span_len(item->bytes) + 1);
    FlowStatus status = count_nodes(self, frame, 1, memory);
    if (status == FLOW_OK && field->type == FLOW_WIRE_STRING)
        status = scan_text(self, frame, item);
    if (status == FLOW_OK && field->type == FLOW_WIRE_MESSAGE)
        status = scan_message(self, frame, field->message, item->bytes, depth + 1);
    return status;
}

static FlowStatus scan_message(Scanner *self, const Frame *outer, const FlowWireMessage *type,
                               FlowSpan reader, unsigned depth)
{
    if (depth > self->limits.depth)
        return refuse(self, outer, FLOW_INVALID_ARGUMENT, "MALFORMED_MESSAGE",
                      "messages are nested more than %u deep", self->limits.depth);
    if (depth > self->scan->depth)
        self->scan->depth = depth;
    Frame frame = {outer, type, reader.next, NULL, NULL};
    if (type->c != NULL) {
        FlowStatus status = count_nodes(self, outer, 0, rounded(type->c->sizeof_message));
        if (status != FLOW_OK)
            return status;
    }
    FlowWireItem item;
    uint64_t seen = 0;
    size_t members = 0;
    int more;
    for (; frame.inside_at = reader.next, (more = flow_span_next(&reader, &item)) > 0; members++) {
        frame.inside = flow_wire_field(type, item.number);
        FlowStatus status;
        if (frame.inside == NULL) {
            /* protobuf-c keeps what it doesn't know. */
            size_t kept = item.type == FLOW_WT_LENGTH ? flow_span_len(item.bytes) + 10 : 10;
            status = count_nodes(self, &frame, 1, sizeof(ProtobufCMessageUnknownField) + rounded(kept));
        } else {
            status = scan_known(self, &frame, &item, depth);
            if (frame.inside->type == FLOW_WIRE_MESSAGE && !frame.inside->repeated) {
                /* Fields 64 apart share a bit; then a merge happens that changes nothing. */
                uint64_t bit = UINT64_C(1) << ((size_t)(frame.inside - type->fields) % 64);
                self->scan->split |= (seen & bit) != 0;
                seen |= bit;
            }
        }
        if (status != FLOW_OK)
            return status;
    }
    frame.inside = NULL;
    if (more < 0)
        return refuse(self, &frame, FLOW_INVALID_ARGUMENT, "MALFORMED_MESSAGE",
                      "the %s is torn: byte %zu is no protobuf", type->name,
                      (size_t)(frame.inside_at - frame.start));
    /* protobuf-c notes every member beyond the 16th in slabs of doubling size. */
    if (members > 16)
        return count_nodes(self, outer, 0, rounded(members * 128));
    return FLOW_OK;
}

FlowStatus flow_wire_scan(const FlowWireMessage *type, const void *bytes, size_t len,
                          const FlowWireScanLimits *limits, FlowWireScan *ret_scan, FlowError *reterr)
{
    FlowWireScan scan = {0};
    Scanner self = {*limits, &scan, reterr};
    if (self.limits.depth > FLOW_WIRE_DEPTH_MAX)
        self.limits.depth = FLOW_WIRE_DEPTH_MAX;
    FlowStatus status = scan_message(&self, NULL, type, flow_span(bytes, len), 1);
    if (status == FLOW_OK)
        *ret_scan = scan;
    return status;
}
