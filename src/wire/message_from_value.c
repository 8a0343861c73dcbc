/*
 * message_from_value.c - proto3 JSON to wire bytes, strictly: what is not understood is refused with its path.
 */
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "value/json.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/scalars.h"
#include "wire/step.h"
#include "wire/struct.h"

typedef struct Context {
    const FlowWirePool *pool;
    unsigned flags;
    FlowBuf *to;
    FlowError *reterr;
} Context;

static FlowStatus read_message(Context *c, const FlowWireMessage *type, FlowValue value, const FlowStep *step,
                               unsigned depth);

static FlowStatus wrong(Context *c, const FlowStep *step, const char *expected, FlowValue value)
{
    return flow_step_refuse(c->reterr, "WRONG_TYPE", NULL, step, "must be %s, not %s", expected,
                            flow_value_kind_name(flow_value_kind(value)));
}

static FlowStatus out_of_range(Context *c, const FlowStep *step, const char *type)
{
    return flow_step_refuse(c->reterr, "OUT_OF_RANGE", NULL, step, "does not fit %s", type);
}

/* ---- numbers ---- */

/* A sign and a magnitude, so that both int64 and uint64 fit. */
typedef struct Whole {
    bool negative;
    uint64_t magnitude;
} Whole;

static bool whole_from_double(double number, Whole *ret)
{
    double magnitude = fabs(number);
    if (magnitude != floor(magnitude) || magnitude >= 18446744073709551616.0)
        return false;
    *ret = (Whole){number < 0, (uint64_t)magnitude};
    return true;
}

/* Digits, without a float in between, because uint64 is wider than what JSON numbers become. */
static bool whole_from_digits(const char *text, size_t len, Whole *ret)
{
    size_t i = len > 0 && text[0] == '-';
    bool negative = i == 1;
    uint64_t magnitude = 0;
    if (i == len || (text[i] == '0' && len - i > 1))
        return false;
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(magnitude, 10, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)(text[i] - '0'), &magnitude))
            return false;
    }
    *ret = (Whole){negative, magnitude};
    return true;
}

/* A string must hold just a JSON number, without white space around it. */
static bool number_in_string(const FlowValue *string, FlowValue *ret)
{
    const char *text = flow_value_text(string);
    size_t len = flow_value_length(string);
    static const FlowJsonLimits one = {.values = 1, .flags = FLOW_JSON_READ_BIG_AS_FLOAT};
    if (len == 0 || !(text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) || text[len - 1] < '0' ||
        text[len - 1] > '9')
        return false;
    return flow_json_read(text, len, &one, ret, NULL) == FLOW_OK;
}

static bool whole_from_value(FlowValue value, Whole *ret)
{
    FlowValue inner;
    switch (flow_value_kind(value)) {
    case FLOW_VALUE_INT: {
        int64_t integer = flow_value_get_int(value);
        *ret = (Whole){integer < 0, integer < 0 ? -(uint64_t)integer : (uint64_t)integer};
        return true;
    }
    case FLOW_VALUE_FLOAT:
        return whole_from_double(flow_value_get_float(value), ret);
    case FLOW_VALUE_STRING:
        if (whole_from_digits(flow_value_text(&value), flow_value_length(&value), ret))
            return true;
        return number_in_string(&value, &inner) && flow_value_kind(inner) == FLOW_VALUE_FLOAT &&
               whole_from_double(flow_value_get_float(inner), ret);
    default:
        return false;
    }
}

static bool is_numeric_kind(FlowValue value)
{
    return flow_value_is_number(value) || flow_value_kind(value) == FLOW_VALUE_STRING;
}

typedef struct IntegerType {
    const char *name; /* NULL: not an integer */
    bool is_signed;
    int bits;
    bool zigzag;
    unsigned fixed; /* bytes; 0: varint */
} IntegerType;

static const IntegerType integer_types[] = {
    [FLOW_WIRE_INT64] = {"int64", true, 64, false, 0},
    [FLOW_WIRE_UINT64] = {"uint64", false, 64, false, 0},
    [FLOW_WIRE_INT32] = {"int32", true, 32, false, 0},
    [FLOW_WIRE_FIXED64] = {"fixed64", false, 64, false, 8},
    [FLOW_WIRE_FIXED32] = {"fixed32", false, 32, false, 4},
    [FLOW_WIRE_UINT32] = {"uint32", false, 32, false, 0},
    [FLOW_WIRE_SFIXED32] = {"sfixed32", true, 32, false, 4},
    [FLOW_WIRE_SFIXED64] = {"sfixed64", true, 64, false, 8},
    [FLOW_WIRE_SINT32] = {"sint32", true, 32, true, 0},
    [FLOW_WIRE_SINT64] = {"sint64", true, 64, true, 0},
};

static void put_integer(FlowBuf *to, const IntegerType *type, uint64_t bits)
{
    if (type->zigzag) {
        bits = bits << 1 ^ (uint64_t)((int64_t)bits >> 63);
        if (type->bits == 32)
            bits = (uint32_t)bits;
    }
    if (type->fixed != 0)
        flow_put_fixed(to, bits, type->fixed);
    else
        flow_put_varint(to, bits);
}

static FlowStatus read_integer(Context *c, const IntegerType *type, FlowValue value, const FlowStep *step)
{
    Whole whole = {false, 0};
    if (!is_numeric_kind(value))
        return wrong(c, step, "an integer", value);
    if (!whole_from_value(value, &whole))
        return flow_step_refuse(c->reterr, "OUT_OF_RANGE", NULL, step, "must be an integer that fits %s",
                                type->name);
    uint64_t most = type->is_signed    ? (UINT64_C(1) << (type->bits - 1)) - 1 + whole.negative
                    : type->bits == 64 ? UINT64_MAX
                                       : UINT32_MAX;
    if (whole.magnitude > most || (whole.negative && !type->is_signed && whole.magnitude != 0))
        return out_of_range(c, step, type->name);
    put_integer(c->to, type, whole.negative ? -whole.magnitude : whole.magnitude);
    return FLOW_OK;
}

static FlowStatus read_floating(Context *c, FlowWireType type, FlowValue value, const FlowStep *step)
{
    double number;
    FlowValue inner = value;
    if (!is_numeric_kind(value))
        return wrong(c, step, "a number", value);
    if (flow_value_kind(value) == FLOW_VALUE_STRING) {
        if (flow_value_text_equals(&value, "NaN"))
            inner = flow_value_float(NAN);
        else if (flow_value_text_equals(&value, "Infinity"))
            inner = flow_value_float(INFINITY);
        else if (flow_value_text_equals(&value, "-Infinity"))
            inner = flow_value_float(-INFINITY);
        else if (!number_in_string(&value, &inner))
            return flow_step_refuse(c->reterr, "WRONG_TYPE", NULL, step,
                                    "must be a number, NaN, Infinity or -Infinity");
    }
    number = flow_value_near_double(inner);
    if (type == FLOW_WIRE_DOUBLE) {
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        flow_put_fixed(c->to, bits, 8);
        return FLOW_OK;
    }
    float narrow = (float)number;
    if (isinf(narrow) && !isinf(number))
        return out_of_range(c, step, "a float");
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    flow_put_fixed(c->to, bits, 4);
    return FLOW_OK;
}

static FlowStatus unknown_enum_value(Context *c, const FlowWireEnum *type, FlowValue value,
                                     const FlowStep *step)
{
    const char **names = flow_try_calloc(type->value_count, sizeof *names);
    const char *nearest = NULL;
    for (size_t i = 0; names != NULL && i < type->value_count; i++)
        names[i] = type->values[i].name;
    if (names != NULL)
        nearest =
            flow_nearest_name(flow_value_text(&value), flow_value_length(&value), names, type->value_count);
    free(names);
    return flow_step_refuse(c->reterr, "UNKNOWN_ENUM_VALUE", NULL, step, "\"%.64s\" is no %s%s%s%s",
                            flow_value_text(&value), type->name, nearest != NULL ? "; did you mean \"" : "",
                            nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
}

/* *ret_skip: an unknown name that is to be passed over. */
static FlowStatus read_enum(Context *c, const FlowWireEnum *type, FlowValue value, const FlowStep *step,
                            bool *ret_skip)
{
    if (flow_value_is_null(value)) { /* only NullValue gets here */
        flow_put_varint(c->to, 0);
        return FLOW_OK;
    }
    if (flow_value_kind(value) == FLOW_VALUE_STRING) {
        const FlowWireEnumValue *known =
            flow_wire_enum_value_named(type, flow_value_text(&value), flow_value_length(&value));
        if (known == NULL && c->flags & FLOW_MESSAGE_IGNORE_UNKNOWN) {
            *ret_skip = true;
            return FLOW_OK;
        }
        if (known == NULL)
            return unknown_enum_value(c, type, value, step);
        flow_put_varint(c->to, (uint64_t)(int64_t)known->number);
        return FLOW_OK;
    }
    if (!flow_value_is_number(value))
        return wrong(c, step, "the name or number of an enum value", value);
    return read_integer(c, &integer_types[FLOW_WIRE_INT32], value, step);
}

/* ---- strings, bytes ---- */

static FlowStatus read_bytes(Context *c, FlowValue value, const FlowStep *step)
{
    FlowBuf bytes;
    flow_buf_init(&bytes, 0);
    FlowStatus status = FLOW_OK;
    if (!flow_base64_decode(&bytes, flow_value_text(&value), flow_value_length(&value)))
        status = flow_step_refuse(c->reterr, "WRONG_TYPE", NULL, step, "must be base64");
    flow_put_varint(c->to, bytes.len);
    flow_buf_append(c->to, bytes.data, bytes.len);
    flow_buf_done(&bytes);
    return status;
}

static FlowStatus read_text(Context *c, FlowWireType type, FlowValue value, const FlowStep *step)
{
    if (flow_value_kind(value) != FLOW_VALUE_STRING)
        return wrong(c, step, type == FLOW_WIRE_BYTES ? "a base64 string" : "a string", value);
    if (type == FLOW_WIRE_BYTES)
        return read_bytes(c, value, step);
    const char *text = flow_value_text(&value);
    size_t len = flow_value_length(&value);
    flow_put_varint(c->to, len);
    flow_buf_append(c->to, text, len);
    return FLOW_OK;
}

/* ---- fields ---- */

static unsigned wire_type(const FlowWireField *field)
{
    switch (field->type) {
    case FLOW_WIRE_DOUBLE:
        return FLOW_WT_FIXED64;
    case FLOW_WIRE_FLOAT:
        return FLOW_WT_FIXED32;
    case FLOW_WIRE_STRING:
    case FLOW_WIRE_BYTES:
    case FLOW_WIRE_MESSAGE:
    case FLOW_WIRE_GROUP:
        return FLOW_WT_LENGTH;
    case FLOW_WIRE_BOOL:
    case FLOW_WIRE_ENUM:
        return FLOW_WT_VARINT;
    default: {
        unsigned fixed = integer_types[field->type].fixed;
        return fixed == 8 ? FLOW_WT_FIXED64 : fixed == 4 ? FLOW_WT_FIXED32 : FLOW_WT_VARINT;
    }
    }
}

/* The value without its tag. */
static FlowStatus read_scalar(Context *c, const FlowWireField *field, FlowValue value, const FlowStep *step,
                              bool *ret_skip)
{
    switch (field->type) {
    case FLOW_WIRE_DOUBLE:
    case FLOW_WIRE_FLOAT:
        return read_floating(c, field->type, value, step);
    case FLOW_WIRE_STRING:
    case FLOW_WIRE_BYTES:
        return read_text(c, field->type, value, step);
    case FLOW_WIRE_ENUM:
        return read_enum(c, field->enumeration, value, step, ret_skip);
    case FLOW_WIRE_BOOL:
        if (flow_value_kind(value) != FLOW_VALUE_BOOL)
            return wrong(c, step, "true or false", value);
        flow_put_varint(c->to, flow_value_get_bool(value));
        return FLOW_OK;
    default:
        return read_integer(c, &integer_types[field->type], value, step);
    }
}

/* Tag and value of one element. */
static FlowStatus read_element(Context *c, const FlowWireField *field, FlowValue value, const FlowStep *step,
                               unsigned depth)
{
    if (field->type == FLOW_WIRE_MESSAGE) {
        size_t begin = flow_put_begin(c->to, field->number);
        FlowStatus status = read_message(c, field->message, value, step, depth + 1);
        flow_put_end(c->to, begin);
        return status;
    }
    size_t before = c->to->len;
    bool skip = false;
    flow_put_tag(c->to, field->number, wire_type(field));
    FlowStatus status = read_scalar(c, field, value, step, &skip);
    if (skip)
        c->to->len = before;
    return status;
}

/* Whether JSON null is a value of the field's type rather than its absence. */
static bool null_is_a_value(const FlowWireField *field)
{
    return (field->type == FLOW_WIRE_MESSAGE && field->message->kind == FLOW_WIRE_VALUE) ||
           (field->type == FLOW_WIRE_ENUM &&
            strcmp(field->enumeration->full_name, "google.protobuf.NullValue") == 0);
}

static FlowStatus read_list(Context *c, const FlowWireField *field, FlowValue value, const FlowStep *up,
                            unsigned depth)
{
    if (flow_value_kind(value) != FLOW_VALUE_ARRAY)
        return wrong(c, up, "an array", value);
    size_t count;
    const FlowValue *items = flow_array_items(value, &count);
    bool packed = field->packed && wire_type(field) != FLOW_WT_LENGTH && count > 0;
    size_t begin = packed ? flow_put_begin(c->to, field->number) : 0;
    for (size_t i = 0; i < count; i++) {
        FlowStep step = {up, NULL, i};
        bool skip = false;
        if (flow_value_is_null(items[i]) && !null_is_a_value(field))
            return wrong(c, &step, "a value", items[i]);
        FlowStatus status = packed ? read_scalar(c, field, items[i], &step, &skip)
                                   : read_element(c, field, items[i], &step, depth);
        if (status != FLOW_OK)
            return status;
    }
    if (packed)
        flow_put_end(c->to, begin);
    return FLOW_OK;
}

/* A map's key comes as a JSON string, whatever its type. */
static FlowStatus read_key(Context *c, const FlowWireField *field, FlowValue key, const FlowStep *step)
{
    bool skip = false;
    if (field->type == FLOW_WIRE_BOOL) {
        bool yes = flow_value_text_equals(&key, "true");
        if (!yes && !flow_value_text_equals(&key, "false"))
            return flow_step_refuse(c->reterr, "WRONG_TYPE", NULL, step, "the key must be true or false");
        key = flow_value_bool(yes);
    }
    flow_put_tag(c->to, field->number, wire_type(field));
    return read_scalar(c, field, key, step, &skip);
}

static FlowStatus read_map(Context *c, const FlowWireField *field, FlowValue value, const FlowStep *up,
                           unsigned depth)
{
    if (flow_value_kind(value) != FLOW_VALUE_OBJECT)
        return wrong(c, up, "an object", value);
    const FlowWireField *key_field = &field->message->fields[0], *value_field = &field->message->fields[1];
    size_t count;
    const FlowMember *members = flow_object_members(value, &count);
    for (size_t i = 0; i < count; i++) {
        FlowStep step = {up, flow_value_text(&members[i].key), flow_value_length(&members[i].key)};
        if (flow_value_is_null(members[i].value) && !null_is_a_value(value_field))
            return wrong(c, &step, "a value", members[i].value);
        size_t before = c->to->len, begin = flow_put_begin(c->to, field->number);
        FlowStatus status = read_key(c, key_field, members[i].key, &step);
        size_t value_at = c->to->len;
        if (status == FLOW_OK)
            status = read_element(c, value_field, members[i].value, &step, depth);
        if (status != FLOW_OK)
            return status;
        if (c->to->len == value_at && value_field->type == FLOW_WIRE_ENUM)
            c->to->len = before; /* an enum name that is passed over takes its entry with it */
        else
            flow_put_end(c->to, begin);
    }
    return FLOW_OK;
}

static FlowStatus unknown_field(Context *c, const FlowWireMessage *type, const FlowStep *step)
{
    const char **names = flow_try_calloc(type->field_count + 1, sizeof *names);
    const char *nearest = NULL;
    for (size_t i = 0; names != NULL && i < type->field_count; i++)
        names[i] = type->fields[i].json_name;
    if (names != NULL)
        nearest = flow_nearest_name(step->key, step->len, names, type->field_count);
    free(names);
    return flow_step_refuse(c->reterr, "UNKNOWN_FIELD", NULL, step, "%s has no such field%s%s%s", type->name,
                            nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                            nearest != NULL ? "\"?" : "");
}

static const FlowWireField *fold_field(const FlowWireMessage *type)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (type->fields[i].fold_unknown)
            return &type->fields[i];
    return NULL;
}

static FlowStatus put_struct(Context *c, FlowStructKind kind, FlowValue value, const FlowStep *step)
{
    FlowValue inexact = flow_value_array();
    FlowStatus status = flow_struct_write(kind, value, c->to, NULL, &inexact, c->reterr);
    FlowBuf path;
    if (status == FLOW_OK && flow_array_count(inexact) > 0) {
        status = flow_error_set(c->reterr, FLOW_INVALID_ARGUMENT, "NUMBER_NOT_EXACT",
                                flow_value_text(flow_array_at(inexact, 0)),
                                "an integer beyond ±2^53 can't be kept exactly here; send it as a string");
    }
    if (status != FLOW_OK && c->reterr != NULL) {
        flow_error_within(c->reterr, flow_step_text(&path, NULL, step));
        flow_buf_done(&path);
    }
    flow_value_unref(inexact);
    return status;
}

static FlowStatus read_member(Context *c, const FlowWireMessage *type, const FlowMember *member,
                              const FlowStep *up, unsigned depth, bool *seen, FlowValue *folded)
{
    FlowStep step = {up, flow_value_text(&member->key), flow_value_length(&member->key)};
    const FlowWireField *field = flow_wire_field_named(type, step.key, step.len), *fold = fold_field(type);
    if (field == NULL && fold != NULL)
        return flow_object_set_key_take(folded, member->key, flow_value_ref(member->value), c->reterr);
    if (field == NULL)
        return c->flags & FLOW_MESSAGE_IGNORE_UNKNOWN ? FLOW_OK : unknown_field(c, type, &step);
    /* Places 0 … field_count - 1 are the fields, those behind them the oneofs. */
    size_t index = (size_t)(field - type->fields), oneof = type->field_count + (size_t)(field->oneof + 1);
    if (seen[index])
        return flow_step_refuse(c->reterr, "DUPLICATE_FIELD", NULL, &step,
                                "is given twice, under both its names");
    seen[index] = true;
    if (flow_value_is_null(member->value) && !null_is_a_value(field))
        return FLOW_OK;
    if (field->oneof >= 0 && seen[oneof])
        return flow_step_refuse(c->reterr, "DUPLICATE_FIELD", NULL, &step,
                                "only one field of \"%s\" may be given", type->oneofs[field->oneof]);
    if (field->oneof >= 0)
        seen[oneof] = true;
    if (field == fold && flow_value_kind(member->value) == FLOW_VALUE_OBJECT) {
        size_t count;
        FlowStatus status = FLOW_OK;
        const FlowMember *members = flow_object_members(member->value, &count);
        for (size_t i = 0; i < count && status == FLOW_OK; i++)
            status =
                flow_object_set_key_take(folded, members[i].key, flow_value_ref(members[i].value), c->reterr);
        return status;
    }
    if (field->map)
        return read_map(c, field, member->value, &step, depth);
    if (field->repeated)
        return read_list(c, field, member->value, &step, depth);
    return read_element(c, field, member->value, &step, depth);
}

static FlowStatus read_ordinary(Context *c, const FlowWireMessage *type, FlowValue value,
                                const FlowStep *step, unsigned depth)
{
    if (flow_value_kind(value) != FLOW_VALUE_OBJECT)
        return wrong(c, step, "an object", value);
    bool *seen = flow_try_calloc(type->field_count + type->oneof_count + 2, sizeof *seen);
    if (seen == NULL)
        return flow_error_no_memory(c->reterr, type->full_name, type->field_count);
    FlowValue folded = flow_value_object();
    FlowStatus status = FLOW_OK;
    size_t count;
    const FlowMember *members = flow_object_members(value, &count);
    for (size_t i = 0; i < count && status == FLOW_OK; i++)
        status = read_member(c, type, &members[i], step, depth, seen, &folded);
    if (status == FLOW_OK && flow_object_count(folded) > 0) {
        size_t begin = flow_put_begin(c->to, fold_field(type)->number);
        status = put_struct(c, FLOW_STRUCT_OBJECT, folded, step);
        flow_put_end(c->to, begin);
    }
    flow_value_unref(folded);
    free(seen);
    return status;
}

/* ---- messages with a JSON form of their own ---- */

static FlowStatus read_time(Context *c, const FlowWireMessage *type, FlowValue value, const FlowStep *step)
{
    bool is_timestamp = type->kind == FLOW_WIRE_TIMESTAMP;
    const char *expected =
        is_timestamp ? "a time as in \"2026-01-31T10:00:00.5Z\"" : "a duration in seconds as in \"1.5s\"";
    int64_t seconds;
    int32_t nanos;
    if (flow_value_kind(value) != FLOW_VALUE_STRING)
        return wrong(c, step, expected, value);
    if (!(is_timestamp ? flow_timestamp_parse : flow_duration_parse)(
            flow_value_text(&value), flow_value_length(&value), &seconds, &nanos))
        return flow_step_refuse(c->reterr, "OUT_OF_RANGE", NULL, step, "must be %s", expected);
    if (seconds != 0) {
        flow_put_tag(c->to, 1, FLOW_WT_VARINT);
        flow_put_varint(c->to, (uint64_t)seconds);
    }
    if (nanos != 0) {
        flow_put_tag(c->to, 2, FLOW_WT_VARINT);
        flow_put_varint(c->to, (uint64_t)(int64_t)nanos);
    }
    return FLOW_OK;
}

static FlowStatus read_mask(Context *c, FlowValue value, const FlowStep *step)
{
    if (flow_value_kind(value) != FLOW_VALUE_STRING)
        return wrong(c, step, "a list of paths as in \"name,labels\"", value);
    const char *text = flow_value_text(&value), *end = text + flow_value_length(&value);
    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *stop = comma != NULL ? comma : end;
        size_t begin = flow_put_begin(c->to, 1);
        if (!flow_snake_from_camel(c->to, text, (size_t)(stop - text)))
            return flow_step_refuse(c->reterr, "WRONG_TYPE", NULL, step,
                                    "must be a list of paths in lowerCamelCase");
        flow_put_end(c->to, begin);
        text = comma != NULL ? comma + 1 : end;
    }
    return FLOW_OK;
}

/* {"@type": "…/pkg.Name", fields…}, or "value" beside it for messages with a JSON form of their own. */
static FlowStatus read_any_message(Context *c, FlowValue value, const FlowStep *up, unsigned depth)
{
    if (flow_value_kind(value) != FLOW_VALUE_OBJECT)
        return wrong(c, up, "an object with \"@type\"", value);
    if (flow_object_count(value) == 0)
        return FLOW_OK;
    FlowStep step = {up, "@type", 5};
    const FlowValue *url = flow_object_get(value, "@type");
    if (url == NULL || flow_value_kind(*url) != FLOW_VALUE_STRING)
        return flow_step_refuse(c->reterr, "WRONG_TYPE", NULL, up,
                                "must have \"@type\", such as \"type.googleapis.com/pkg.Name\"");
    const char *text = flow_value_text(url), *slash = strrchr(text, '/');
    const FlowWireMessage *type = slash != NULL ? flow_wire_message(c->pool, slash + 1) : NULL;
    if (type == NULL)
        return flow_step_refuse(c->reterr, "UNKNOWN_TYPE", NULL, &step,
                                "no message type is known as \"%.128s\"", text);
    flow_put_bytes(c->to, 1, text, flow_value_length(url));
    size_t begin = flow_put_begin(c->to, 2);
    FlowStatus status;
    if (!flow_wire__has_own_json(type)) {
        FlowValue rest = flow_value_ref(value);
        status = flow_object_remove(&rest, "@type", c->reterr);
        if (status == FLOW_OK)
            status = read_message(c, type, rest, up, depth + 1);
        flow_value_unref(rest);
    } else {
        const FlowValue *inner = flow_object_get(value, "value");
        step = (FlowStep){up, "value", 5};
        if (inner != NULL && (flow_object_count(value) == 2 || c->flags & FLOW_MESSAGE_IGNORE_UNKNOWN))
            status = read_message(c, type, *inner, &step, depth + 1);
        else
            status = flow_step_refuse(c->reterr, "WRONG_TYPE", NULL, up,
                                      "must have \"value\" beside \"@type\", and nothing else");
    }
    flow_put_end(c->to, begin);
    return status;
}

static FlowStatus read_message(Context *c, const FlowWireMessage *type, FlowValue value, const FlowStep *step,
                               unsigned depth)
{
    if (depth > FLOW_MESSAGE_DEPTH)
        return flow_step_refuse(c->reterr, "JSON_TOO_DEEP", NULL, step, "is nested deeper than %d messages",
                                FLOW_MESSAGE_DEPTH);
    switch (type->kind) {
    case FLOW_WIRE_TIMESTAMP:
    case FLOW_WIRE_DURATION:
        return read_time(c, type, value, step);
    case FLOW_WIRE_FIELD_MASK:
        return read_mask(c, value, step);
    case FLOW_WIRE_STRUCT:
        return put_struct(c, FLOW_STRUCT_OBJECT, value, step);
    case FLOW_WIRE_VALUE:
        return put_struct(c, FLOW_STRUCT_ANY, value, step);
    case FLOW_WIRE_LIST_VALUE:
        return put_struct(c, FLOW_STRUCT_LIST, value, step);
    case FLOW_WIRE_WRAPPER:
        return read_element(c, &type->fields[0], value, step, depth);
    case FLOW_WIRE_ANY:
        return read_any_message(c, value, step, depth);
    default:
        return read_ordinary(c, type, value, step, depth);
    }
}

FlowStatus flow_message_from_value(const FlowWirePool *pool, const FlowWireMessage *type, FlowValue value,
                                   unsigned flags, FlowBuf *to, FlowError *reterr)
{
    Context c = {pool, flags, to, reterr};
    size_t before = to->len;
    FlowStatus status = read_message(&c, type, value, NULL, 0);
    if (status == FLOW_OK && to->failed)
        status = flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", NULL,
                                "the message takes more than the %zu bytes that are allowed", to->limit);
    if (status != FLOW_OK)
        to->len = before;
    return status;
}
