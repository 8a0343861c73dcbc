#include "wire/unpack.h"

#include "base/mem.h"
#include "wire/cursor.h"

static void *arena_alloc(void *arena, size_t size)
{
    return flow_arena_alloc(arena, size);
}

static void arena_free(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

FlowStatus flow_wire_unpack_scanned(const FlowWireMessage *type, const void *bytes, size_t len,
                                    const FlowWireScan *scan, FlowArena *arena,
                                    const ProtobufCMessage **ret_message, FlowError *reterr)
{
    if (type->c == NULL)
        return flow_error_set(reterr, FLOW_INTERNAL, "NO_GENERATED_CODE", type->full_name,
                              "the message has no generated code in this program");
    size_t room = arena->limit - arena->used;
    FlowBuf whole;
    flow_buf_init(&whole, 0);
    if (scan->split) {
        flow_wire_merge(type, bytes, len, &whole);
        if (whole.failed) {
            flow_buf_done(&whole);
            return flow_error_no_memory(reterr, NULL, len);
        }
        bytes = whole.data;
        len = whole.len;
    }
    ProtobufCAllocator allocator = {arena_alloc, arena_free, arena};
    /* An empty message may come as NULL; protobuf-c wants a pointer. */
    ProtobufCMessage *message =
        protobuf_c_message_unpack(type->c, &allocator, len, len != 0 ? bytes : (const void *)"");
    flow_buf_done(&whole);
    /* With room enough it was protobuf-c that refused: it is stricter in a few places, such as tags that are padded. */
    if (message == NULL && room >= scan->memory)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "MALFORMED_MESSAGE", NULL, "the bytes are no %s",
                              type->name);
    if (message == NULL)
        return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", NULL,
                              "the %s can't be unpacked in %zu bytes of memory: send less at a time",
                              type->name, arena->limit);
    *ret_message = message;
    return FLOW_OK;
}

FlowStatus flow_wire_unpack(const FlowWireMessage *type, const void *bytes, size_t len,
                            const FlowWireScanLimits *limits, FlowArena *arena,
                            const ProtobufCMessage **ret_message, FlowError *reterr)
{
    FlowWireScan scan;
    FlowStatus status = flow_wire_scan(type, bytes, len, limits, &scan, reterr);
    if (status != FLOW_OK)
        return status;
    return flow_wire_unpack_scanned(type, bytes, len, &scan, arena, ret_message, reterr);
}

void flow_wire_pack(const ProtobufCMessage *message, FlowBuf *to)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size == 0 || !flow_buf_reserve(to, size))
        return;
    to->len += protobuf_c_message_pack(message, (uint8_t *)to->data + to->len);
}

/* ------------------------------------------------------------------------------------------- merging */

/* Writes at most 10 bytes, answers how many. */
static size_t put_varint(uint8_t *to, uint64_t value)
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7)
        to[len++] = (uint8_t)value | 0x80;
    to[len++] = (uint8_t)value;
    return len;
}

typedef struct Merger {
    FlowBuf *to;
    size_t budget; /* bytes that may still be copied aside: nesting must not multiply them without end */
} Merger;

/* What is left of each field of one message: parts that a later rival in the same oneof wiped out don't count. */
typedef struct Survivor {
    unsigned parts;
    size_t bytes;
    bool written;
} Survivor;

static bool is_singular_message(const FlowWireField *field)
{
    return field != NULL && field->type == FLOW_WIRE_MESSAGE && !field->repeated;
}

static void count_parts(const FlowWireMessage *type, FlowSpan reader, Survivor *survivors)
{
    FlowWireItem item;
    while (flow_span_next(&reader, &item) > 0) {
        const FlowWireField *field = flow_wire_field(type, item.number);
        if (field == NULL)
            continue;
        Survivor *mine = &survivors[field - type->fields];
        if (field->oneof >= 0 && mine->parts == 0)
            for (size_t i = 0; i < type->field_count; i++)
                if (type->fields[i].oneof == field->oneof)
                    survivors[i] = (Survivor){0};
        mine->parts++;
        mine->bytes += item.type == FLOW_WT_LENGTH ? flow_span_len(item.bytes) : 0;
    }
}

static void merge_message(Merger *self, const FlowWireMessage *type, FlowSpan whole);

/* The tag, the merged content, and between them its length, which is known last. */
static void merge_field(Merger *self, const FlowWireField *field, FlowSpan content)
{
    uint8_t head[10];
    size_t len = put_varint(head, (uint64_t)field->number << 3 | FLOW_WT_LENGTH);
    flow_buf_append(self->to, head, len);
    size_t start = self->to->len;
    merge_message(self, field->message, content);
    if (self->to->failed)
        return;
    size_t size = self->to->len - start;
    len = put_varint(head, size);
    if (!flow_buf_reserve(self->to, len))
        return;
    char *at = self->to->data + start;
    memmove(at + len, at, size);
    memcpy(at, head, len);
    self->to->len += len;
}

/* All parts of one field behind each other: that is what merging means on the wire. */
static void merge_parts(Merger *self, const FlowWireMessage *type, const FlowWireField *field,
                        FlowSpan reader, const Survivor *survivor)
{
    FlowBuf parts;
    flow_buf_init(&parts, 0);
    if (survivor->bytes > self->budget) {
        self->to->failed = true;
        return;
    }
    self->budget -= survivor->bytes;
    FlowWireItem item;
    size_t of_field = 0, all = 0;
    for (FlowSpan walk = reader; flow_span_next(&walk, &item) > 0;)
        all += flow_wire_field(type, item.number) == field;
    while (flow_span_next(&reader, &item) > 0)
        if (flow_wire_field(type, item.number) == field && of_field++ >= all - survivor->parts)
            flow_buf_append(&parts, item.bytes.next, flow_span_len(item.bytes));
    self->to->failed |= parts.failed;
    merge_field(self, field, flow_span(parts.data, parts.len));
    self->budget += survivor->bytes;
    flow_buf_done(&parts);
}

static void merge_message(Merger *self, const FlowWireMessage *type, FlowSpan whole)
{
    FlowSpan reader = whole;
    FlowWireItem item;
    Survivor *survivors = flow_calloc(type->field_count + 1, sizeof *survivors);
    count_parts(type, whole, survivors);
    for (const uint8_t *start = reader.next; !self->to->failed && flow_span_next(&reader, &item) > 0;
         start = reader.next) {
        const FlowWireField *field = flow_wire_field(type, item.number);
        Survivor *survivor = field != NULL ? &survivors[field - type->fields] : NULL;
        if (field != NULL && field->oneof >= 0 && survivor->parts == 0)
            continue;
        if (field == NULL || field->type != FLOW_WIRE_MESSAGE) {
            flow_buf_append(self->to, start, (size_t)(reader.next - start));
        } else if (!is_singular_message(field) || (survivor->parts == 1 && field->oneof < 0)) {
            merge_field(self, field, item.bytes);
        } else if (!survivor->written) {
            survivor->written = true;
            merge_parts(self, type, field, whole, survivor);
        }
    }
    free(survivors);
}

void flow_wire_merge(const FlowWireMessage *type, const void *bytes, size_t len, FlowBuf *to)
{
    Merger self = {to, len < SIZE_MAX / 16 ? 8 * len + 65536 : len};
    merge_message(&self, type, flow_span(bytes, len));
}
