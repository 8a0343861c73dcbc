/* json_dump.c - values as JSON text, as Python's json.dumps() writes it; and values as FlowValues. */
#include <math.h>
#include <stdio.h>

#include "base/utf8.h"
#include "template/natives.h"
#include "value/number.h"

typedef struct Dump {
    FlowVm *vm;
    FlowBuf *to;
    const FlowJsonStyle *style;
} Dump;

static bool dump(Dump *d, FlowVal v, unsigned depth);

static void put_escape(FlowBuf *to, uint32_t c)
{
    if (c >= 0x10000) {
        c -= 0x10000;
        flow_buf_printf(to, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
    } else {
        flow_buf_printf(to, "\\u%04x", c);
    }
}

static void put_string(const Dump *d, FlowVal text)
{
    static const char letters[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    FlowBuf *to = d->to;
    flow_buf_byte(to, '"');
    for (size_t i = 0, size; i < text.len && !to->failed; i += size) {
        uint8_t c = (uint8_t)text.s[i];
        size = 1;
        if (c == '"' || c == '\\') {
            flow_buf_append(to, (const char[]){'\\', (char)c}, 2);
        } else if (c < sizeof letters && letters[c] != 0) {
            flow_buf_append(to, (const char[]){'\\', letters[c]}, 2);
        } else if (c < 0x20 || (d->style->html_safe && (c == '<' || c == '>' || c == '&' || c == '\''))) {
            put_escape(to, c);
        } else if (c < 0x80) {
            size_t run = 1; /* plain text in one piece */
            while (i + run < text.len && (uint8_t)text.s[i + run] >= 0x20 &&
                   (uint8_t)text.s[i + run] < 0x80 && strchr("\"\\<>&'", text.s[i + run]) == NULL)
                run++;
            flow_buf_append(to, text.s + i, run);
            size = run;
        } else {
            uint32_t point = flow_utf8_decode(text.s + i, text.len - i, &size);
            if (d->style->ascii)
                put_escape(to, point);
            else
                flow_buf_append(to, text.s + i, size);
        }
    }
    flow_buf_byte(to, '"');
}

static void put_float(FlowBuf *to, double f)
{
    if (isnan(f))
        flow_buf_str(to, "NaN");
    else if (isinf(f))
        flow_buf_str(to, f > 0 ? "Infinity" : "-Infinity");
    else
        flow_val__print_scalar(to, val_float(f));
}

static bool new_line(Dump *d, unsigned depth)
{
    if (d->style->indent < 0)
        return true;
    flow_buf_byte(d->to, '\n');
    uint64_t spaces = (uint64_t)d->style->indent * depth;
    if (spaces > d->vm->limits.value_bytes)
        return flow_vm__limit(d->vm, "an indentation of more than %zu bytes", d->vm->limits.value_bytes);
    if (!flow_vm__charge(d->vm, spaces / 16) || !flow_buf_reserve(d->to, spaces))
        return !d->vm->failed;
    memset(d->to->data + d->to->len, ' ', spaces);
    d->to->len += spaces;
    return true;
}

static bool put_list(Dump *d, FlowVal list, unsigned depth)
{
    size_t count = (size_t)flow_val__length_or_none(list);
    flow_buf_byte(d->to, '[');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            flow_buf_str(d->to, d->style->item_separator);
        if (!new_line(d, depth + 1) || !dump(d, flow_list__at(list, i), depth + 1))
            return false;
    }
    if (count != 0 && !new_line(d, depth))
        return false;
    flow_buf_byte(d->to, ']');
    return true;
}

/* Keys become strings; what has no text in JSON can't be a key. */
static bool put_key(Dump *d, FlowVal key)
{
    switch (key.type) {
    case V_STRING:
        put_string(d, key);
        return true;
    case V_INT:
    case V_BIG:
    case V_FLOAT:
    case V_BOOL:
    case V_NONE:
        flow_buf_byte(d->to, '"');
        if (!dump(d, key, 0))
            return false;
        flow_buf_byte(d->to, '"');
        return true;
    default:
        return flow_vm__fail(d->vm, "a %s can't be a key in JSON", flow_val__type_name(key));
    }
}

static bool sorted_members(Dump *d, FlowVal mapping, FlowVal **ret_keys, FlowVal **ret_values,
                           size_t *ret_count)
{
    size_t count = flow_mapping__count(mapping), at = 0, n = 0;
    FlowVal *keys = flow_vm__alloc(d->vm, (count + 1) * sizeof *keys);
    FlowVal *order = flow_vm__alloc(d->vm, (count + 1) * sizeof *order);
    FlowVal *values = flow_vm__alloc(d->vm, (count + 1) * sizeof *values);
    if (keys == NULL || order == NULL || values == NULL)
        return false;
    while (n < count && flow_mapping__next(mapping, &at, &keys[n], &values[n])) {
        order[n] = val_int((int64_t)n);
        n++;
    }
    if (d->style->sorted && !flow_sort(d->vm, order, keys, n, 0))
        return false;
    FlowVal *sorted_keys = flow_vm__alloc(d->vm, (count + 1) * sizeof *keys);
    FlowVal *sorted_values = flow_vm__alloc(d->vm, (count + 1) * sizeof *values);
    if (sorted_keys == NULL || sorted_values == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        sorted_keys[i] = keys[order[i].i];
        sorted_values[i] = values[order[i].i];
    }
    *ret_keys = sorted_keys;
    *ret_values = sorted_values;
    *ret_count = n;
    return true;
}

static bool put_mapping(Dump *d, FlowVal mapping, unsigned depth)
{
    FlowVal *keys, *values;
    size_t count;
    if (!sorted_members(d, mapping, &keys, &values, &count))
        return false;
    flow_buf_byte(d->to, '{');
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            flow_buf_str(d->to, d->style->item_separator);
        if (!new_line(d, depth + 1) || !put_key(d, keys[i]))
            return false;
        flow_buf_str(d->to, d->style->key_separator);
        if (!dump(d, values[i], depth + 1))
            return false;
    }
    if (count != 0 && !new_line(d, depth))
        return false;
    flow_buf_byte(d->to, '}');
    return true;
}

static bool dump(Dump *d, FlowVal v, unsigned depth)
{
    if (depth > d->vm->limits.data_depth)
        return flow_vm__limit(d->vm, "a value nested more than %u deep", d->vm->limits.data_depth);
    if (!flow_vm__charge(d->vm, 1 + (v.type == V_STRING ? v.len / 16 : 0)) || d->to->failed)
        return !d->vm->failed;
    switch (v.type) {
    case V_NONE:
        flow_buf_append(d->to, "null", 4);
        return true;
    case V_BOOL:
        flow_buf_str(d->to, v.b ? "true" : "false");
        return true;
    case V_INT:
    case V_BIG:
        flow_val__print_scalar(d->to, v);
        return true;
    case V_FLOAT:
        put_float(d->to, v.f);
        return true;
    case V_STRING:
        put_string(d, v);
        return true;
    case V_LIST:
    case V_TUPLE:
    case V_ARRAY:
        return put_list(d, v, depth);
    case V_DICT:
    case V_OBJECT:
        return put_mapping(d, v, depth);
    case V_DATETIME:
        flow_buf_byte(d->to, '"');
        flow_datetime__print(d->to, v.datetime, 'T');
        flow_buf_byte(d->to, '"');
        return true;
    case V_UNDEFINED:
        return flow_vm__fail_undefined(d->vm, v);
    default:
        return flow_vm__fail(d->vm, "%s has no form in JSON%s", flow_val__type_name(v),
                             flow_val__is_iterable(v) ? "; make it a list first with | list" : "");
    }
}

bool flow_json__dump(FlowVm *vm, FlowBuf *to, FlowVal v, const FlowJsonStyle *style)
{
    return dump(&(Dump){vm, to, style}, v, 0);
}

/* ---- as FlowValue ---- */

static bool convert(FlowVm *vm, FlowVal v, unsigned depth, FlowValue *ret);

static bool too_large(FlowVm *vm)
{
    return flow_vm__limit(vm, "the value is too large");
}

static bool convert_items(FlowVm *vm, FlowVal v, unsigned depth, FlowValue *ret)
{
    FlowIter iter;
    FlowVal item;
    FlowValue array = flow_value_array();
    bool ok = flow_iter__begin(vm, &iter, v);
    while (ok && flow_iter__next(vm, &iter, &item)) {
        FlowValue made;
        ok = convert(vm, item, depth + 1, &made);
        if (ok && flow_array_push_take(&array, made, NULL) != FLOW_OK)
            ok = too_large(vm);
    }
    if (!ok || vm->failed) {
        flow_value_unref(array);
        return false;
    }
    *ret = array;
    return true;
}

static bool key_text(FlowVm *vm, FlowVal key, FlowVal *ret)
{
    if (key.type == V_STRING) {
        *ret = key;
        return true;
    }
    static const FlowJsonStyle style = {.indent = -1, .item_separator = ", ", .key_separator = ": "};
    FlowBuild build = flow_vm__build(vm);
    if (key.type == V_TUPLE || !flow_json__dump(vm, build.buf, key, &style)) {
        flow_vm__fail(vm, "a %s can't be a key in JSON", flow_val__type_name(key));
        return flow_vm__build_drop(vm, build);
    }
    return flow_vm__built(vm, build, ret);
}

static bool convert_mapping(FlowVm *vm, FlowVal v, unsigned depth, FlowValue *ret)
{
    FlowVal key, value;
    size_t at = 0;
    FlowValue object = flow_value_object();
    bool ok = true;
    while (ok && flow_mapping__next(v, &at, &key, &value)) {
        FlowValue made;
        ok = flow_vm__charge(vm, 1) && key_text(vm, key, &key) && convert(vm, value, depth + 1, &made);
        if (ok && flow_object_setn_take(&object, key.s, key.len, made, NULL) != FLOW_OK)
            ok = too_large(vm);
    }
    if (!ok) {
        flow_value_unref(object);
        return false;
    }
    *ret = object;
    return true;
}

static bool convert(FlowVm *vm, FlowVal v, unsigned depth, FlowValue *ret)
{
    FlowVal text;
    if (depth > vm->limits.data_depth || depth > FLOW_VALUE_MAX_DEPTH)
        return flow_vm__limit(vm, "a value nested more than %u deep", vm->limits.data_depth);
    switch (v.type) {
    case V_NONE:
        *ret = flow_value_null();
        return true;
    case V_BOOL:
        *ret = flow_value_bool(v.b);
        return true;
    case V_INT:
        *ret = flow_value_int(v.i);
        return true;
    case V_FLOAT:
        *ret = flow_value_float(v.f);
        return true;
    case V_BIG:
        return flow_vm__fail(
            vm, "an integer beyond 64 bits can't be kept exactly; print it as text with | string");
    case V_STRING:
        return flow_value_try_string(v.s, v.len, ret, NULL) == FLOW_OK || too_large(vm);
    case V_ARRAY:
    case V_OBJECT:
        *ret = flow_value_ref(*v.json);
        return true;
    case V_UNDEFINED:
        if (flow_vm__refuses(vm, v))
            return flow_vm__fail_undefined(vm, v);
        *ret = flow_value_null();
        return true;
    case V_DICT:
        return convert_mapping(vm, v, depth, ret);
    case V_NAMESPACE:
        return convert_mapping(vm, val_dict(v.dict), depth, ret);
    case V_LIST:
    case V_TUPLE:
    case V_RANGE:
    case V_VIEW:
    case V_GENERATOR:
        return convert_items(vm, v, depth, ret);
    case V_DATETIME: {
        FlowBuild build = flow_vm__build(vm);
        flow_datetime__print(build.buf, v.datetime, 'T');
        return flow_vm__built(vm, build, &text) && convert(vm, text, depth, ret);
    }
    default:
        return flow_vm__fail(vm, "%s has no form in JSON", flow_val__type_name(v));
    }
}

bool flow_val__to_json(FlowVm *vm, FlowVal v, FlowValue *ret)
{
    return convert(vm, v, 0, ret);
}
