/* text.c - values as text: str() and repr() as Python has them, HTML escaping, characters of strings. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "template/unicode.h"
#include "template/values.h"
#include "value/number.h"

static const char *const type_names[V_TYPE_COUNT] = {
    [V_MISSING] = "nothing",     [V_UNDEFINED] = "undefined", [V_NONE] = "none",
    [V_BOOL] = "boolean",        [V_INT] = "integer",         [V_BIG] = "integer",
    [V_FLOAT] = "float",         [V_STRING] = "string",       [V_LIST] = "list",
    [V_TUPLE] = "tuple",         [V_DICT] = "dict",           [V_ARRAY] = "list",
    [V_OBJECT] = "dict",         [V_RANGE] = "range",         [V_VIEW] = "dict view",
    [V_GENERATOR] = "generator", [V_NAMESPACE] = "namespace", [V_LOOP] = "loop",
    [V_MACRO] = "macro",         [V_METHOD] = "method",       [V_FUNCTION] = "function",
    [V_CYCLER] = "cycler",       [V_JOINER] = "joiner",       [V_DATETIME] = "datetime",
    [V_SELF] = "self",           [V_BLOCK] = "block",
};

const char *flow_val__type_name(FlowVal v)
{
    return type_names[v.type];
}

/* ---- characters ---- */

bool flow_val__is_ascii(FlowVal string)
{
    if (string.flags & VAL_ASCII)
        return true;
    size_t i = 0;
    for (; i + 8 <= string.len; i += 8) {
        uint64_t eight;
        memcpy(&eight, string.s + i, 8);
        if (eight & UINT64_C(0x8080808080808080))
            return false;
    }
    for (; i < string.len; i++) {
        if ((uint8_t)string.s[i] >= 0x80)
            return false;
    }
    return true;
}

size_t flow_val__length_of_string(FlowVal string)
{
    return string.flags & VAL_ASCII ? string.len : flow_utf8_count(string.s, string.len);
}

FlowVal flow_val__substring(FlowVal string, size_t from, size_t to)
{
    bool ascii = flow_val__is_ascii(string);
    size_t begin =
        ascii ? (from < string.len ? from : string.len) : flow_utf8_offset(string.s, string.len, from);
    size_t end;
    if (to <= from)
        end = begin;
    else if (ascii)
        end = to < string.len ? to : string.len;
    else
        end = begin + flow_utf8_offset(string.s + begin, string.len - begin, to - from);
    FlowVal part = val_string(string.s + begin, end - begin);
    part.flags = (string.flags & VAL_MARKUP) | (ascii ? VAL_ASCII : 0);
    return part;
}

void flow_text__escape(FlowBuf *to, const char *text, size_t len)
{
    size_t start = 0;
    for (size_t i = 0; i < len; i++) {
        const char *entity;
        switch (text[i]) {
        case '&':
            entity = "&amp;";
            break;
        case '<':
            entity = "&lt;";
            break;
        case '>':
            entity = "&gt;";
            break;
        case '"':
            entity = "&#34;";
            break;
        case '\'':
            entity = "&#39;";
            break;
        default:
            continue;
        }
        flow_buf_append(to, text + start, i - start);
        flow_buf_str(to, entity);
        start = i + 1;
    }
    flow_buf_append(to, text + start, len - start);
}

void flow_val__print_quoted(FlowBuf *to, const char *text, size_t len)
{
    char quote = memchr(text, '\'', len) != NULL && memchr(text, '"', len) == NULL ? '"' : '\'';
    flow_buf_byte(to, quote);
    for (size_t i = 0, size; i < len && !to->failed; i += size) {
        uint32_t c = flow_utf8_decode(text + i, len - i, &size);
        if (c == (uint32_t)quote || c == '\\')
            flow_buf_printf(to, "\\%c", (int)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            flow_buf_str(to, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        else if (flow_unicode__is(c, UNI_PRINTABLE))
            flow_buf_append(to, text + i, size);
        else
            flow_buf_printf(to, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    }
    flow_buf_byte(to, quote);
}

/* ---- str() and repr() ---- */

static void print_int(FlowBuf *to, int64_t i)
{
    if (!flow_buf_reserve(to, 24))
        return;
    if (i >= 0 && i < 10)
        to->data[to->len++] = (char)('0' + i);
    else
        to->len += flow_format_int(to->data + to->len, i);
}

void flow_val__print_scalar(FlowBuf *to, FlowVal v)
{
    switch (v.type) {
    case V_STRING:
        flow_buf_append(to, v.s, v.len);
        break;
    case V_INT:
        print_int(to, v.i);
        break;
    case V_FLOAT:
        if (flow_buf_reserve(to, FLOW_DOUBLE_TEXT))
            to->len += flow_format_double(to->data + to->len, v.f, FLOW_DOUBLE_PYTHON);
        break;
    case V_BOOL:
        flow_buf_str(to, v.b ? "True" : "False");
        break;
    case V_NONE:
        flow_buf_append(to, "None", 4);
        break;
    case V_BIG:
        flow_big__write(to, v, 10, false);
        break;
    default:
        break;
    }
}

static bool print_nested(FlowVm *vm, FlowBuf *to, FlowVal v, unsigned depth);

static bool print_items(FlowVm *vm, FlowBuf *to, FlowVal v, unsigned depth)
{
    bool tuple = v.type == V_TUPLE;
    size_t count = v.type == V_ARRAY ? flow_array_count(*v.json) : v.list->count;
    flow_buf_byte(to, tuple ? '(' : '[');
    /* The count is read anew: nothing changes a list here, but a list may hold itself. */
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            flow_buf_append(to, ", ", 2);
        if (!print_nested(vm, to, flow_list__at(v, i), depth))
            return false;
    }
    if (tuple && count == 1)
        flow_buf_byte(to, ',');
    flow_buf_byte(to, tuple ? ')' : ']');
    return true;
}

static bool print_members(FlowVm *vm, FlowBuf *to, FlowVal mapping, FlowViewKind kind, bool braces,
                          unsigned depth)
{
    FlowVal key, value;
    size_t at = 0;
    const char *between = "";
    flow_buf_byte(to, braces ? '{' : '[');
    while (flow_mapping__next(mapping, &at, &key, &value)) {
        flow_buf_str(to, between);
        between = ", ";
        if (!braces && kind == VIEW_ITEMS)
            flow_buf_byte(to, '(');
        if ((braces || kind != VIEW_VALUES) && !print_nested(vm, to, key, depth))
            return false;
        if (braces || kind == VIEW_ITEMS)
            flow_buf_append(to, braces ? ": " : ", ", 2);
        if ((braces || kind != VIEW_KEYS) && !print_nested(vm, to, value, depth))
            return false;
        if (!braces && kind == VIEW_ITEMS)
            flow_buf_byte(to, ')');
    }
    flow_buf_byte(to, braces ? '}' : ']');
    return true;
}

static bool print_object(FlowVm *vm, FlowBuf *to, FlowVal v, unsigned depth)
{
    static const char *const views[] = {
        [VIEW_KEYS] = "dict_keys(", [VIEW_VALUES] = "dict_values(", [VIEW_ITEMS] = "dict_items("};
    bool ok = true;
    FlowVal name;
    switch (v.type) {
    case V_RANGE:
        flow_buf_printf(to, v.range->step == 1 ? "range(%lld, %lld)" : "range(%lld, %lld, %lld)",
                        (long long)v.range->start, (long long)v.range->stop, (long long)v.range->step);
        break;
    case V_VIEW:
        flow_buf_str(to, views[v.view->kind]);
        ok = print_members(vm, to, v.view->owner, v.view->kind, false, depth);
        flow_buf_byte(to, ')');
        break;
    case V_NAMESPACE:
        flow_buf_str(to, "<Namespace ");
        ok = print_members(vm, to, val_dict(v.dict), VIEW_ITEMS, true, depth);
        flow_buf_byte(to, '>');
        break;
    case V_LOOP:
        flow_buf_printf(to, "<LoopContext %lld/%zu>", (long long)v.loop->index0 + 1, v.loop->length);
        break;
    case V_MACRO:
        if (flow_macro__name(vm, v.macro, &name)) {
            flow_buf_str(to, "<Macro ");
            flow_val__print_quoted(to, name.s, name.len);
            flow_buf_byte(to, '>');
        } else {
            flow_buf_str(to, "<Macro anonymous>");
        }
        break;
    case V_METHOD:
        flow_buf_printf(to, "<method %s of %s>", v.method->native->name, flow_val__type_name(v.method->self));
        break;
    case V_FUNCTION:
        flow_buf_printf(to, "<function %s>", v.native->name);
        break;
    case V_DATETIME:
        flow_datetime__print(to, v.datetime, ' ');
        break;
    default:
        flow_buf_printf(to, "<%s>", flow_val__type_name(v));
        break;
    }
    return ok;
}

static bool print_nested(FlowVm *vm, FlowBuf *to, FlowVal v, unsigned depth)
{
    if (depth > vm->limits.data_depth)
        return flow_vm__limit(vm, "a value nested more than %u deep", vm->limits.data_depth);
    if (!flow_vm__charge(vm, 1) || to->failed)
        return !vm->failed;
    switch (v.type) {
    case V_STRING:
        if (v.flags & VAL_MARKUP)
            flow_buf_str(to, "Markup(");
        flow_val__print_quoted(to, v.s, v.len);
        if (v.flags & VAL_MARKUP)
            flow_buf_byte(to, ')');
        return flow_vm__charge(vm, v.len / 16);
    case V_NONE:
    case V_BOOL:
    case V_INT:
    case V_BIG:
    case V_FLOAT:
        flow_val__print_scalar(to, v);
        return true;
    case V_UNDEFINED:
        flow_buf_str(to, "Undefined");
        return true;
    case V_LIST:
    case V_TUPLE:
    case V_ARRAY:
        return print_items(vm, to, v, depth + 1);
    case V_DICT:
    case V_OBJECT:
        return print_members(vm, to, v, VIEW_ITEMS, true, depth + 1);
    default:
        return print_object(vm, to, v, depth + 1);
    }
}

bool flow_val__print_repr(FlowVm *vm, FlowBuf *to, FlowVal v)
{
    return print_nested(vm, to, v, 0);
}

bool flow_val__print(FlowVm *vm, FlowBuf *to, FlowVal v)
{
    switch (v.type) {
    case V_STRING:
        flow_buf_append(to, v.s, v.len);
        return flow_vm__charge(vm, v.len / 256);
    case V_NONE:
    case V_BOOL:
    case V_INT:
    case V_BIG:
    case V_FLOAT:
        flow_val__print_scalar(to, v);
        return true;
    case V_UNDEFINED:
        return !flow_vm__refuses(vm, v) || flow_vm__fail_undefined(vm, v);
    default:
        return print_nested(vm, to, v, 0);
    }
}

/* ---- as values ---- */

bool flow_val__to_string(FlowVm *vm, FlowVal v, FlowVal *ret)
{
    if (v.type == V_STRING) {
        *ret = v;
        return true;
    }
    FlowBuild build = flow_vm__build(vm);
    if (!flow_val__print(vm, build.buf, v))
        return flow_vm__build_drop(vm, build);
    return flow_vm__built(vm, build, ret);
}

bool flow_val__to_plain_string(FlowVm *vm, FlowVal v, FlowVal *ret)
{
    if (!flow_val__to_string(vm, v, ret))
        return false;
    ret->flags &= (uint8_t)~VAL_MARKUP;
    return true;
}

bool flow_val__escape(FlowVm *vm, FlowVal v, FlowVal *ret)
{
    FlowVal text;
    if (val_is_markup(v)) {
        *ret = v;
        return true;
    }
    if (!flow_val__to_string(vm, v, &text) || !flow_vm__charge(vm, 1 + text.len / 64))
        return false;
    FlowBuild build = flow_vm__build(vm);
    flow_text__escape(build.buf, text.s, text.len);
    if (!flow_vm__built(vm, build, ret))
        return false;
    ret->flags |= VAL_MARKUP;
    return true;
}
