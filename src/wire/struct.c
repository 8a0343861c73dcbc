/*
 * struct.c - reads and writes these messages (google/protobuf/struct.proto):
 *
 *   Struct     { map<string, Value> fields = 1; }       an entry is a message { key = 1; value = 2; }
 *   Value      { oneof: null = 1, number = 2 (double), string = 3, bool = 4, struct = 5, list = 6 }
 *   ListValue  { repeated Value values = 1; }
 */
#include "wire/struct.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "wire/cursor.h"
#include "wire/step.h"

enum { NULL_VALUE = 1, NUMBER_VALUE = 2, STRING_VALUE = 3, BOOL_VALUE = 4, STRUCT_VALUE = 5, LIST_VALUE = 6 };

static const char TOO_DEEP[] = "is nested deeper than 32; flatten it";

/* ---- reading ---- */

typedef struct Reader {
    const char *field;
    size_t values_left;
    FlowError *reterr;
} Reader;

static FlowStatus malformed(Reader *r, const FlowStep *step)
{
    return flow_step_refuse(r->reterr, "INVALID_STRUCT", r->field, step,
                            "is no well-formed google.protobuf.Struct");
}

static FlowStatus read_object(Reader *r, FlowSpan span, const FlowStep *step, unsigned depth, FlowValue *ret);
static FlowStatus read_list(Reader *r, FlowSpan span, const FlowStep *step, unsigned depth, FlowValue *ret);

static FlowStatus read_string(Reader *r, FlowSpan span, const FlowStep *step, FlowValue *ret)
{
    size_t len = flow_span_len(span);
    if (!flow_utf8_valid((const char *)span.next, len))
        return flow_step_refuse(r->reterr, "INVALID_STRUCT", r->field, step, "is a string that is not UTF-8");
    return flow_value_try_string((const char *)span.next, len, ret, r->reterr);
}

static FlowStatus read_number(Reader *r, uint64_t bits, const FlowStep *step, FlowValue *ret)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    if (!isfinite(number))
        return flow_step_refuse(r->reterr, "NUMBER_NOT_FINITE", r->field, step,
                                "is NaN or infinite, which JSON can't hold");
    *ret = flow_value_number(number);
    return FLOW_OK;
}

static FlowStatus read_any(Reader *r, FlowSpan span, const FlowStep *step, unsigned depth, FlowValue *ret)
{
    static const uint8_t types[] = {
        [NULL_VALUE] = FLOW_WT_VARINT, [NUMBER_VALUE] = FLOW_WT_FIXED64, [STRING_VALUE] = FLOW_WT_LENGTH,
        [BOOL_VALUE] = FLOW_WT_VARINT, [STRUCT_VALUE] = FLOW_WT_LENGTH,  [LIST_VALUE] = FLOW_WT_LENGTH,
    };
    if (r->values_left-- == 0)
        return flow_step_refuse(r->reterr, "STRUCT_TOO_LARGE", r->field, step,
                                "there are too many values; send fewer at a time");
    FlowValue value = flow_value_null();
    bool seen = false;
    for (FlowWireItem f; span.next < span.end;) {
        if (!flow_span_item(&span, &f)) {
            flow_value_unref(value);
            return malformed(r, step);
        }
        if (f.number >= FLOW_COUNT(types) || f.number == 0)
            continue;
        FlowValue made = flow_value_null();
        FlowStatus status = FLOW_OK;
        if (f.type != types[f.number])
            status = malformed(r, step);
        else if (f.number == NUMBER_VALUE)
            status = read_number(r, f.integer, step, &made);
        else if (f.number == STRING_VALUE)
            status = read_string(r, f.bytes, step, &made);
        else if (f.number == BOOL_VALUE)
            made = flow_value_bool(f.integer != 0);
        else if (f.number == STRUCT_VALUE)
            status = read_object(r, f.bytes, step, depth + 1, &made);
        else if (f.number == LIST_VALUE)
            status = read_list(r, f.bytes, step, depth + 1, &made);
        if (status != FLOW_OK) {
            flow_value_unref(value);
            return status;
        }
        flow_value_assign_take(&value, made);
        seen = true;
    }
    if (!seen)
        return flow_step_refuse(r->reterr, "INVALID_STRUCT", r->field, step,
                                "is a google.protobuf.Value with no kind set");
    *ret = value;
    return FLOW_OK;
}

static FlowStatus read_entry(Reader *r, FlowSpan span, const FlowStep *up, unsigned depth, FlowValue *object)
{
    FlowSpan key = {0}, value = {0};
    for (FlowWireItem f; span.next < span.end;) {
        if (!flow_span_item(&span, &f) || (f.number <= 2 && f.type != FLOW_WT_LENGTH))
            return malformed(r, up);
        if (f.number == 1)
            key = f.bytes;
        else if (f.number == 2)
            value = f.bytes;
    }
    size_t len = flow_span_len(key);
    FlowStep step = {up, (const char *)key.next, len};
    if (key.next == NULL)
        step.key = "";
    if (!flow_utf8_valid(step.key, len))
        return flow_step_refuse(r->reterr, "INVALID_STRUCT", r->field, up, "has a key that is not UTF-8");
    FlowValue made;
    FlowStatus status = read_any(r, value, &step, depth, &made);
    if (status != FLOW_OK)
        return status;
    return flow_object_setn_take(object, step.key, len, made, r->reterr);
}

static FlowStatus read_object(Reader *r, FlowSpan span, const FlowStep *step, unsigned depth, FlowValue *ret)
{
    if (depth > FLOW_STRUCT_DEPTH)
        return flow_step_refuse(r->reterr, "STRUCT_TOO_LARGE", r->field, step, "%s", TOO_DEEP);
    FlowValue object = flow_value_object();
    for (FlowWireItem f; span.next < span.end;) {
        FlowStatus status = FLOW_OK;
        if (!flow_span_item(&span, &f) || (f.number == 1 && f.type != FLOW_WT_LENGTH))
            status = malformed(r, step);
        else if (f.number == 1)
            status = read_entry(r, f.bytes, step, depth, &object);
        if (status != FLOW_OK) {
            flow_value_unref(object);
            return status;
        }
    }
    *ret = object;
    return FLOW_OK;
}

static FlowStatus read_list(Reader *r, FlowSpan span, const FlowStep *up, unsigned depth, FlowValue *ret)
{
    if (depth > FLOW_STRUCT_DEPTH)
        return flow_step_refuse(r->reterr, "STRUCT_TOO_LARGE", r->field, up, "%s", TOO_DEEP);
    FlowValue array = flow_value_array();
    FlowStep step = {up, NULL, 0};
    for (FlowWireItem f; span.next < span.end;) {
        FlowStatus status = FLOW_OK;
        if (!flow_span_item(&span, &f) || (f.number == 1 && f.type != FLOW_WT_LENGTH)) {
            status = malformed(r, up);
        } else if (f.number == 1) {
            FlowValue item;
            status = read_any(r, f.bytes, &step, depth, &item);
            if (status == FLOW_OK)
                status = flow_array_push_take(&array, item, r->reterr);
            step.len++;
        }
        if (status != FLOW_OK) {
            flow_value_unref(array);
            return status;
        }
    }
    *ret = array;
    return FLOW_OK;
}

FlowStatus flow_struct_read(FlowStructKind kind, const void *bytes, size_t len, const char *field,
                            FlowValue *ret_value, FlowError *reterr)
{
    Reader r = {field, FLOW_STRUCT_VALUES, reterr};
    FlowSpan span = flow_span(bytes, len);
    if (kind == FLOW_STRUCT_OBJECT)
        return read_object(&r, span, NULL, 1, ret_value);
    if (kind == FLOW_STRUCT_LIST)
        return read_list(&r, span, NULL, 1, ret_value);
    if (len == 0) {
        *ret_value = flow_value_null();
        return FLOW_OK;
    }
    return read_any(&r, span, NULL, 0, ret_value);
}

/* ---- writing ---- */

typedef struct Writer {
    const char *field;
    FlowValue *inexact_paths;
    FlowError *reterr;
    FlowBuf *to;
} Writer;

static FlowStatus write_object(Writer *w, FlowValue object, const FlowStep *step, unsigned depth);
static FlowStatus write_list(Writer *w, FlowValue array, const FlowStep *step, unsigned depth);

static void write_number(FlowBuf *to, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    flow_put_tag(to, NUMBER_VALUE, FLOW_WT_FIXED64);
    flow_put_fixed(to, bits, 8);
}

static FlowStatus write_integer(Writer *w, int64_t integer, const FlowStep *step)
{
    if (flow_int_is_safe(integer)) {
        write_number(w->to, (double)integer);
        return FLOW_OK;
    }
    char digits[24];
    flow_put_bytes(w->to, STRING_VALUE, digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, integer));
    if (w->inexact_paths == NULL)
        return FLOW_OK;
    FlowBuf path;
    FlowValue text = flow_value_string(flow_step_text(&path, w->field, step));
    flow_buf_done(&path);
    return flow_array_push_take(w->inexact_paths, text, w->reterr);
}

static FlowStatus write_any(Writer *w, FlowValue value, const FlowStep *step, unsigned depth)
{
    FlowStatus status = FLOW_OK;
    size_t begin;
    switch (flow_value_kind(value)) {
    case FLOW_VALUE_BOOL:
        flow_put_tag(w->to, BOOL_VALUE, FLOW_WT_VARINT);
        flow_put_varint(w->to, flow_value_get_bool(value));
        break;
    case FLOW_VALUE_INT:
        return write_integer(w, flow_value_get_int(value), step);
    case FLOW_VALUE_FLOAT:
        if (!isfinite(flow_value_get_float(value)))
            return flow_step_refuse(w->reterr, "NUMBER_NOT_FINITE", w->field, step,
                                    "is NaN or infinite, which JSON can't hold");
        write_number(w->to, flow_value_get_float(value));
        break;
    case FLOW_VALUE_STRING:
        flow_put_bytes(w->to, STRING_VALUE, flow_value_text(&value), flow_value_length(&value));
        break;
    case FLOW_VALUE_ARRAY:
        begin = flow_put_begin(w->to, LIST_VALUE);
        status = write_list(w, value, step, depth + 1);
        flow_put_end(w->to, begin);
        break;
    case FLOW_VALUE_OBJECT:
        begin = flow_put_begin(w->to, STRUCT_VALUE);
        status = write_object(w, value, step, depth + 1);
        flow_put_end(w->to, begin);
        break;
    default:
        flow_put_tag(w->to, NULL_VALUE, FLOW_WT_VARINT);
        flow_put_varint(w->to, 0);
        break;
    }
    return status;
}

static FlowStatus write_object(Writer *w, FlowValue object, const FlowStep *up, unsigned depth)
{
    if (depth > FLOW_STRUCT_DEPTH)
        return flow_step_refuse(w->reterr, "STRUCT_TOO_LARGE", w->field, up, "%s", TOO_DEEP);
    size_t count;
    const FlowMember *members = flow_object_members(object, &count);
    for (size_t i = 0; i < count; i++) {
        FlowStep step = {up, flow_value_text(&members[i].key), flow_value_length(&members[i].key)};
        size_t entry = flow_put_begin(w->to, 1);
        flow_put_bytes(w->to, 1, step.key, step.len);
        size_t value = flow_put_begin(w->to, 2);
        FlowStatus status = write_any(w, members[i].value, &step, depth);
        if (status != FLOW_OK)
            return status;
        flow_put_end(w->to, value);
        flow_put_end(w->to, entry);
    }
    return FLOW_OK;
}

static FlowStatus write_list(Writer *w, FlowValue array, const FlowStep *up, unsigned depth)
{
    if (depth > FLOW_STRUCT_DEPTH)
        return flow_step_refuse(w->reterr, "STRUCT_TOO_LARGE", w->field, up, "%s", TOO_DEEP);
    size_t count;
    const FlowValue *items = flow_array_items(array, &count);
    for (size_t i = 0; i < count; i++) {
        size_t begin = flow_put_begin(w->to, 1);
        FlowStatus status = write_any(w, items[i], &(FlowStep){up, NULL, i}, depth);
        if (status != FLOW_OK)
            return status;
        flow_put_end(w->to, begin);
    }
    return FLOW_OK;
}

FlowStatus flow_struct_write(FlowStructKind kind, FlowValue value, FlowBuf *to, const char *field,
                             FlowValue *inexact_paths, FlowError *reterr)
{
    Writer w = {.field = field, .inexact_paths = inexact_paths, .reterr = reterr, .to = to};
    FlowValueKind wanted = kind == FLOW_STRUCT_LIST ? FLOW_VALUE_ARRAY : FLOW_VALUE_OBJECT;
    if (kind != FLOW_STRUCT_ANY && flow_value_kind(value) != wanted)
        return flow_step_refuse(reterr, "INVALID_STRUCT", field, NULL,
                                kind == FLOW_STRUCT_LIST ? "must be a JSON array" : "must be a JSON object");
    size_t before = to->len;
    FlowStatus status = kind == FLOW_STRUCT_ANY    ? write_any(&w, value, NULL, 0)
                        : kind == FLOW_STRUCT_LIST ? write_list(&w, value, NULL, 1)
                                                   : write_object(&w, value, NULL, 1);
    if (status == FLOW_OK && to->failed)
        status = flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "STRUCT_TOO_LARGE", field,
                                "the value takes more than the %zu bytes that are allowed here", to->limit);
    if (status != FLOW_OK)
        to->len = before;
    return status;
}
