/*
 * message_to_value.c - wire bytes to proto3 JSON.
 *
 * One pass collects a message's fields, in groups of one field each. Where a singular message came several times its
 * occurrences are joined: on the wire, merging two messages is writing one behind the other.
 */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/scalars.h"
#include "wire/step.h"
#include "wire/struct.h"

typedef struct Context {
    const FlowWirePool *pool;
    unsigned flags;
    FlowError *reterr;
} Context;

typedef struct Entry {
    uint32_t field; /* index into the type's fields */
    uint32_t order; /* as it came */
    FlowWireItem item;
} Entry;

static FlowStatus write_message(Context *c, const FlowWireMessage *type, FlowSpan span, const FlowStep *step,
                                unsigned depth, FlowValue *ret);

static FlowStatus torn(Context *c, const FlowStep *step)
{
    return flow_step_refuse(c->reterr, "INVALID_MESSAGE", NULL, step, "the message is torn or not protobuf");
}

/* ---- scalars ---- */

static int64_t zigzag(uint64_t n)
{
    return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
}

static FlowValue text_of_integer(bool is_signed, uint64_t bits)
{
    char digits[24];
    snprintf(digits, sizeof digits, is_signed ? "%" PRId64 : "%" PRIu64, bits);
    return flow_value_string(digits);
}

static FlowValue from_double(double number)
{
    if (isnan(number))
        return flow_value_string("NaN");
    if (isinf(number))
        return flow_value_string(number > 0 ? "Infinity" : "-Infinity");
    return flow_value_float(number);
}

/* The double whose shortest text is also the shortest text of this float: 0.1f as 0.1, not 0.10000000149011612. */
static FlowValue from_float(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    if (!isfinite(number))
        return from_double(number);
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtof(text, NULL) == number)
            break;
    }
    return flow_value_float(strtod(text, NULL));
}

static FlowValue from_enum(Context *c, const FlowWireEnum *enumeration, int32_t number)
{
    if (strcmp(enumeration->full_name, "google.protobuf.NullValue") == 0)
        return flow_value_null();
    const FlowWireEnumValue *value =
        c->flags & FLOW_MESSAGE_ENUM_NUMBERS ? NULL : flow_wire_enum_value(enumeration, number);
    return value != NULL ? flow_value_string(value->name) : flow_value_int(number);
}

static unsigned wire_type_of(FlowWireType type)
{
    switch (type) {
    case FLOW_WIRE_DOUBLE:
    case FLOW_WIRE_FIXED64:
    case FLOW_WIRE_SFIXED64:
        return FLOW_WT_FIXED64;
    case FLOW_WIRE_FLOAT:
    case FLOW_WIRE_FIXED32:
    case FLOW_WIRE_SFIXED32:
        return FLOW_WT_FIXED32;
    case FLOW_WIRE_STRING:
    case FLOW_WIRE_BYTES:
    case FLOW_WIRE_MESSAGE:
    case FLOW_WIRE_GROUP:
        return FLOW_WT_LENGTH;
    default:
        return FLOW_WT_VARINT;
    }
}

static FlowValue from_bits(Context *c, const FlowWireField *field, uint64_t bits)
{
    double number;
    switch (field->type) {
    case FLOW_WIRE_DOUBLE:
        memcpy(&number, &bits, sizeof number);
        return from_double(number);
    case FLOW_WIRE_FLOAT:
        return from_float((uint32_t)bits);
    case FLOW_WIRE_INT64:
    case FLOW_WIRE_SFIXED64:
        return text_of_integer(true, bits);
    case FLOW_WIRE_SINT64:
        return text_of_integer(true, (uint64_t)zigzag(bits));
    case FLOW_WIRE_UINT64:
    case FLOW_WIRE_FIXED64:
        return text_of_integer(false, bits);
    case FLOW_WIRE_INT32:
    case FLOW_WIRE_SFIXED32:
        return flow_value_int((int32_t)bits);
    case FLOW_WIRE_SINT32:
        return flow_value_int((int32_t)zigzag((uint32_t)bits));
    case FLOW_WIRE_BOOL:
        return flow_value_bool(bits != 0);
    case FLOW_WIRE_ENUM:
        return from_enum(c, field->enumeration, (int32_t)bits);
    default: /* UINT32, FIXED32 */
        return flow_value_int((uint32_t)bits);
    }
}

static FlowStatus from_bytes(Context *c, const FlowWireField *field, FlowSpan span, const FlowStep *step,
                             unsigned depth, FlowValue *ret)
{
    const char *text = (const char *)span.next;
    size_t len = flow_span_len(span);
    if (field->type == FLOW_WIRE_STRING) {
        if (!flow_utf8_valid(text, len))
            return flow_step_refuse(c->reterr, "INVALID_MESSAGE", NULL, step,
                                    "is a string that is not UTF-8");
        return flow_value_try_string(text, len, ret, c->reterr);
    }
    if (field->type != FLOW_WIRE_BYTES)
        return write_message(c, field->message, span, step, depth + 1, ret);
    FlowBuf base64;
    flow_buf_init(&base64, 0);
    flow_base64_encode(&base64, text, len);
    FlowStatus status = base64.failed ? flow_error_no_memory(c->reterr, field->name, len)
                                      : flow_value_try_string(base64.data, base64.len, ret, c->reterr);
    flow_buf_done(&base64);
    return status;
}

static FlowStatus from_item(Context *c, const FlowWireField *field, const FlowWireItem *item,
                            const FlowStep *step, unsigned depth, FlowValue *ret)
{
    if (item->type != wire_type_of(field->type))
        return torn(c, step);
    if (item->type == FLOW_WT_LENGTH)
        return from_bytes(c, field, item->bytes, step, depth, ret);
    *ret = from_bits(c, field, item->integer);
    return FLOW_OK;
}

/* ---- fields ---- */

static FlowStatus push_packed(Context *c, const FlowWireField *field, FlowSpan span, const FlowStep *step,
                              FlowValue *array)
{
    unsigned type = wire_type_of(field->type);
    while (span.next < span.end) {
        uint64_t bits = 0;
        if (type == FLOW_WT_VARINT ? !flow_span_varint(&span, &bits)
                                   : !flow_span_fixed(&span, type == FLOW_WT_FIXED64 ? 8 : 4, &bits))
            return torn(c, step);
        FlowStatus status = flow_array_push_take(array, from_bits(c, field, bits), c->reterr);
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}

static FlowStatus write_list(Context *c, const FlowWireField *field, const Entry *entries, size_t count,
                             const FlowStep *up, unsigned depth, FlowValue *array)
{
    for (size_t i = 0; i < count; i++) {
        FlowStep step = {up, NULL, i};
        FlowStatus status;
        if (entries[i].item.type == FLOW_WT_LENGTH && wire_type_of(field->type) != FLOW_WT_LENGTH) {
            status = push_packed(c, field, entries[i].item.bytes, &step, array);
        } else {
            FlowValue item;
            status = from_item(c, field, &entries[i].item, &step, depth, &item);
            if (status == FLOW_OK)
                status = flow_array_push_take(array, item, c->reterr);
        }
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}

/* A default in JSON form: what an absent field stands for. */
static FlowStatus default_of(Context *c, const FlowWireField *field, const FlowStep *step, unsigned depth,
                             FlowValue *ret)
{
    FlowWireItem none = {.number = field->number, .type = wire_type_of(field->type)};
    return from_item(c, field, &none, step, depth, ret);
}

static FlowValue key_text(FlowValue key)
{
    if (flow_value_kind(key) == FLOW_VALUE_STRING)
        return key;
    char text[24];
    if (flow_value_kind(key) == FLOW_VALUE_BOOL)
        return flow_value_string(flow_value_get_bool(key) ? "true" : "false");
    snprintf(text, sizeof text, "%" PRId64, flow_value_get_int(key));
    return flow_value_string(text);
}

static FlowStatus write_map_entry(Context *c, const FlowWireMessage *type, FlowSpan span, const FlowStep *up,
                                  unsigned depth, FlowValue *object)
{
    FlowWireItem parts[2];
    bool have[2] = {false, false};
    for (FlowWireItem item; span.next < span.end;) {
        if (!flow_span_item(&span, &item))
            return torn(c, up);
        if (item.number == 1 || item.number == 2) {
            parts[item.number - 1] = item;
            have[item.number - 1] = true;
        }
    }
    FlowValue key = flow_value_null(), value = flow_value_null();
    FlowStatus status = have[0] ? from_item(c, &type->fields[0], &parts[0], up, depth, &key)
                                : default_of(c, &type->fields[0], up, depth, &key);
    if (status != FLOW_OK)
        return status;
    key = key_text(key);
    FlowStep step = {up, flow_value_text(&key), flow_value_length(&key)};
    status = have[1] ? from_item(c, &type->fields[1], &parts[1], &step, depth, &value)
                     : default_of(c, &type->fields[1], &step, depth, &value);
    if (status == FLOW_OK)
        status = flow_object_set_key_take(object, key, value, c->reterr);
    flow_value_unref(key);
    return status;
}

static FlowStatus write_map(Context *c, const FlowWireField *field, const Entry *entries, size_t count,
                            const FlowStep *step, unsigned depth, FlowValue *object)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].item.type != FLOW_WT_LENGTH)
            return torn(c, step);
        FlowStatus status = write_map_entry(c, field->message, entries[i].item.bytes, step, depth, object);
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}

static FlowStatus write_singular(Context *c, const FlowWireField *field, const Entry *entries, size_t count,
                                 const FlowStep *step, unsigned depth, FlowValue *ret)
{
    if (count == 1 || field->type != FLOW_WIRE_MESSAGE)
        return from_item(c, field, &entries[count - 1].item, step, depth, ret);
    FlowBuf merged;
    flow_buf_init(&merged, 0);
    for (size_t i = 0; i < count; i++)
        if (entries[i].item.type == FLOW_WT_LENGTH)
            flow_buf_append(&merged, entries[i].item.bytes.next, flow_span_len(entries[i].item.bytes));
    FlowSpan span = flow_span(merged.data, merged.len);
    FlowStatus status = merged.failed ? flow_error_no_memory(c->reterr, field->name, merged.len)
                                      : write_message(c, field->message, span, step, depth + 1, ret);
    flow_buf_done(&merged);
    return status;
}

/* A varint may be wider than the type that it holds: then the upper bits don't count. */
static bool is_narrow(FlowWireType type)
{
    return type == FLOW_WIRE_INT32 || type == FLOW_WIRE_UINT32 || type == FLOW_WIRE_SINT32 ||
           type == FLOW_WIRE_ENUM;
}

/* An implicit default, which proto3 JSON leaves out. */
static bool is_default(const FlowWireField *field, const FlowWireItem *item)
{
    if (field->presence)
        return false;
    if (item->type == FLOW_WT_LENGTH)
        return flow_span_len(item->bytes) == 0;
    return (is_narrow(field->type) ? (uint32_t)item->integer : item->integer) == 0;
}

/* The members of a `fold_unknown` Struct go beside the message's own keys, which win. */
static FlowStatus unfold(Context *c, FlowValue folded_take, FlowValue *object)
{
    size_t count;
    FlowStatus status = FLOW_OK;
    const FlowMember *members = flow_object_members(folded_take, &count);
    for (size_t i = 0; i < count && status == FLOW_OK; i++)
        if (flow_object_get_key(*object, members[i].key) == NULL)
            status =
                flow_object_set_key_take(object, members[i].key, flow_value_ref(members[i].value), c->reterr);
    flow_value_unref(folded_take);
    return status;
}

static FlowStatus write_field(Context *c, const FlowWireField *field, const Entry *entries, size_t count,
                              const FlowStep *up, unsigned depth, FlowValue *object)
{
    const char *name = c->flags & FLOW_MESSAGE_PROTO_NAMES ? field->name : field->json_name;
    FlowStep step = {up, name, strlen(name)};
    FlowValue value = flow_value_null();
    FlowStatus status;
    bool with_defaults = c->flags & FLOW_MESSAGE_WITH_DEFAULTS && !field->presence;
    if (field->repeated) {
        if (count == 0 && !with_defaults)
            return FLOW_OK;
        value = field->map ? flow_value_object() : flow_value_array();
        status = (field->map ? write_map : write_list)(c, field, entries, count, &step, depth, &value);
    } else if (count == 0 || is_default(field, &entries[count - 1].item)) {
        if (!with_defaults)
            return FLOW_OK;
        status = default_of(c, field, &step, depth, &value);
    } else {
        status = write_singular(c, field, entries, count, &step, depth, &value);
    }
    if (status != FLOW_OK) {
        flow_value_unref(value);
        return status;
    }
    return flow_object_set_take(object, name, value, c->reterr);
}

static int by_field_then_order(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->field != y->field)
        return x->field < y->field ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Of each oneof only the member that came last counts, and of that only what came after the other members. */
static bool keep_last_of_oneofs(const FlowWireMessage *type, Entry *entries, size_t *count)
{
    enum { NONE = 0, CLOSED = UINT32_MAX };
    if (type->oneof_count == 0 || *count == 0)
        return true;
    uint32_t *last = flow_try_calloc(type->oneof_count, sizeof *last); /* index of the field + 1 */
    if (last == NULL)
        return false;
    size_t to = *count;
    for (size_t i = *count; i-- > 0;) {
        int oneof = type->fields[entries[i].field].oneof;
        if (oneof >= 0 && last[oneof] == NONE)
            last[oneof] = entries[i].field + 1;
        else if (oneof >= 0 && last[oneof] != entries[i].field + 1)
            last[oneof] = CLOSED;
        if (oneof < 0 || last[oneof] != CLOSED)
            entries[--to] = entries[i];
    }
    *count -= to;
    memmove(entries, entries + to, *count * sizeof *entries);
    free(last);
    return true;
}

/* Collects the known fields, grouped by field, in `to`. */
static FlowStatus collect(Context *c, const FlowWireMessage *type, FlowSpan span, const FlowStep *step,
                          FlowBuf *to, size_t *ret_count)
{
    bool sorted = true;
    uint32_t order = 0, highest = 0;
    for (FlowWireItem item; span.next < span.end;) {
        if (!flow_span_item(&span, &item))
            return torn(c, step);
        const FlowWireField *field = flow_wire_field(type, item.number);
        if (field == NULL)
            continue;
        Entry entry = {(uint32_t)(field - type->fields), order++, item};
        sorted = sorted && entry.field >= highest;
        highest = entry.field;
        flow_buf_append(to, &entry, sizeof entry);
    }
    if (to->failed)
        return flow_error_no_memory(c->reterr, type->full_name, to->len);
    size_t count = to->len / sizeof(Entry);
    if (!keep_last_of_oneofs(type, (Entry *)(void *)to->data, &count))
        return flow_error_no_memory(c->reterr, type->full_name, type->oneof_count);
    if (!sorted && count > 1)
        qsort(to->data, count, sizeof(Entry), by_field_then_order);
    *ret_count = count;
    return FLOW_OK;
}

static FlowStatus write_ordinary(Context *c, const FlowWireMessage *type, FlowSpan span, const FlowStep *step,
                                 unsigned depth, FlowValue *ret)
{
    FlowBuf collected;
    flow_buf_init(&collected, 0);
    size_t count = 0, next = 0;
    FlowStatus status = collect(c, type, span, step, &collected, &count);
    static const Entry nothing;
    const Entry *entries = count != 0 ? (const Entry *)(const void *)collected.data : &nothing;
    FlowValue object = flow_value_object(), folded = flow_value_null();
    for (uint32_t i = 0; i < type->field_count && status == FLOW_OK; i++) {
        size_t first = next;
        while (next < count && entries[next].field == i)
            next++;
        if (type->fields[i].fold_unknown && next > first)
            status = write_singular(c, &type->fields[i], entries + first, next - first, step, depth, &folded);
        else if (!type->fields[i].fold_unknown)
            status = write_field(c, &type->fields[i], entries + first, next - first, step, depth, &object);
    }
    if (status == FLOW_OK && !flow_value_is_null(folded))
        status = unfold(c, flow_value_steal(&folded), &object);
    flow_value_unref(folded);
    flow_buf_done(&collected);
    if (status == FLOW_OK)
        *ret = object;
    else
        flow_value_unref(object);
    return status;
}

/* ---- messages with a JSON form of their own ---- */

/* Fields 1 and 2 of Timestamp, Duration and Any. The last occurrence counts. */
static bool two_fields(FlowSpan span, FlowWireItem items[2])
{
    items[0] = items[1] = (FlowWireItem){0};
    for (FlowWireItem item; span.next < span.end;) {
        if (!flow_span_item(&span, &item))
            return false;
        if (item.number == 1 || item.number == 2)
            items[item.number - 1] = item;
    }
    return true;
}

static FlowStatus write_time(Context *c, const FlowWireMessage *type, FlowSpan span, const FlowStep *step,
                             FlowValue *ret)
{
    FlowWireItem items[2];
    char text[FLOW_TIMESTAMP_TEXT];
    if (!two_fields(span, items) || items[0].type != FLOW_WT_VARINT || items[1].type != FLOW_WT_VARINT)
        return torn(c, step);
    bool ok = (type->kind == FLOW_WIRE_TIMESTAMP ? flow_timestamp_format : flow_duration_format)(
        (int64_t)items[0].integer, (int32_t)items[1].integer, text);
    if (!ok)
        return flow_step_refuse(c->reterr, "OUT_OF_RANGE", NULL, step, "is a %s out of range", type->name);
    *ret = flow_value_string(text);
    return FLOW_OK;
}

static FlowStatus write_mask(Context *c, FlowSpan span, const FlowStep *step, FlowValue *ret)
{
    FlowBuf text;
    flow_buf_init(&text, 0);
    FlowStatus status = FLOW_OK;
    for (FlowWireItem item; span.next < span.end && status == FLOW_OK;) {
        if (!flow_span_item(&span, &item)) {
            status = torn(c, step);
        } else if (item.number == 1 && item.type == FLOW_WT_LENGTH) {
            if (text.len > 0)
                flow_buf_byte(&text, ',');
            if (!flow_camel_from_snake(&text, (const char *)item.bytes.next, flow_span_len(item.bytes)))
                status = flow_step_refuse(c->reterr, "OUT_OF_RANGE", NULL, step,
                                          "holds a path that JSON can't say");
        }
    }
    if (status == FLOW_OK)
        status = flow_value_try_string(text.data != NULL ? text.data : "", text.len, ret, c->reterr);
    flow_buf_done(&text);
    return status;
}

static FlowStatus write_any_message(Context *c, FlowSpan span, const FlowStep *step, unsigned depth,
                                    FlowValue *ret)
{
    FlowWireItem items[2];
    if (!two_fields(span, items))
        return torn(c, step);
    if (items[0].type != FLOW_WT_LENGTH || flow_span_len(items[0].bytes) == 0) {
        *ret = flow_value_object();
        return FLOW_OK;
    }
    const char *url = (const char *)items[0].bytes.next;
    size_t len = flow_span_len(items[0].bytes);
    const char *slash = memrchr(url, '/', len);
    char name[256];
    snprintf(name, sizeof name, "%.*s", slash != NULL ? (int)(url + len - slash - 1) : 0,
             slash != NULL ? slash + 1 : "");
    const FlowWireMessage *type = flow_wire_message(c->pool, name);
    if (type == NULL || !flow_utf8_valid(url, len))
        return flow_step_refuse(c->reterr, "UNKNOWN_TYPE", NULL, step,
                                "is an Any of a type that is not known here: \"%s\"", name);
    FlowValue inner;
    FlowSpan value = items[1].type == FLOW_WT_LENGTH ? items[1].bytes : (FlowSpan){0};
    FlowStatus status = write_message(c, type, value, step, depth + 1, &inner);
    if (status != FLOW_OK)
        return status;
    FlowValue object = flow_value_object();
    status = flow_object_set_take(&object, "@type", flow_value_stringn(url, len), c->reterr);
    if (status == FLOW_OK && !flow_wire__has_own_json(type))
        status = unfold(c, inner, &object);
    else if (status == FLOW_OK)
        status = flow_object_set_take(&object, "value", inner, c->reterr);
    else
        flow_value_unref(inner);
    if (status == FLOW_OK)
        *ret = object;
    else
        flow_value_unref(object);
    return status;
}

static FlowStatus write_wrapper(Context *c, const FlowWireMessage *type, FlowSpan span, const FlowStep *step,
                                unsigned depth, FlowValue *ret)
{
    FlowWireItem items[2];
    if (!two_fields(span, items))
        return torn(c, step);
    if (items[0].number == 0)
        return default_of(c, &type->fields[0], step, depth, ret);
    return from_item(c, &type->fields[0], &items[0], step, depth, ret);
}

static FlowStatus write_struct(Context *c, FlowStructKind kind, FlowSpan span, const FlowStep *step,
                               FlowValue *ret)
{
    FlowStatus status = flow_struct_read(kind, span.next, flow_span_len(span), NULL, ret, c->reterr);
    if (status != FLOW_OK && c->reterr != NULL) {
        FlowBuf path;
        flow_error_within(c->reterr, flow_step_text(&path, NULL, step));
        flow_buf_done(&path);
    }
    return status;
}

static FlowStatus write_message(Context *c, const FlowWireMessage *type, FlowSpan span, const FlowStep *step,
                                unsigned depth, FlowValue *ret)
{
    if (depth > FLOW_MESSAGE_DEPTH)
        return flow_step_refuse(c->reterr, "INVALID_MESSAGE", NULL, step, "is nested deeper than %d messages",
                                FLOW_MESSAGE_DEPTH);
    switch (type->kind) {
    case FLOW_WIRE_TIMESTAMP:
    case FLOW_WIRE_DURATION:
        return write_time(c, type, span, step, ret);
    case FLOW_WIRE_FIELD_MASK:
        return write_mask(c, span, step, ret);
    case FLOW_WIRE_STRUCT:
        return write_struct(c, FLOW_STRUCT_OBJECT, span, step, ret);
    case FLOW_WIRE_VALUE:
        return write_struct(c, FLOW_STRUCT_ANY, span, step, ret);
    case FLOW_WIRE_LIST_VALUE:
        return write_struct(c, FLOW_STRUCT_LIST, span, step, ret);
    case FLOW_WIRE_WRAPPER:
        return write_wrapper(c, type, span, step, depth, ret);
    case FLOW_WIRE_ANY:
        return write_any_message(c, span, step, depth, ret);
    default:
        return write_ordinary(c, type, span, step, depth, ret);
    }
}

FlowStatus flow_message_to_value(const FlowWirePool *pool, const FlowWireMessage *type, const void *bytes,
                                 size_t len, unsigned flags, FlowValue *ret_value, FlowError *reterr)
{
    Context c = {pool, flags, reterr};
    FlowSpan span = flow_span(bytes, len);
    return write_message(&c, type, span, NULL, 0, ret_value);
}

FlowStatus flow_pb_to_value(const ProtobufCMessage *message, unsigned flags, FlowValue *ret_value,
                            FlowError *reterr)
{
    const FlowWirePool *pool = flow_wire_contract();
    const FlowWireMessage *type = flow_wire_message(pool, message->descriptor->name);
    if (type == NULL)
        return flow_error_set(reterr, FLOW_INTERNAL, NULL, NULL, "%s is not in the contract",
                              message->descriptor->name);
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = flow_try_malloc(len);
    if (bytes == NULL)
        return flow_error_no_memory(reterr, type->full_name, len);
    protobuf_c_message_pack(message, bytes);
    FlowStatus status = flow_message_to_value(pool, type, bytes, len, flags, ret_value, reterr);
    free(bytes);
    return status;
}
