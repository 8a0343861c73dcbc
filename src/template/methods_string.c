/*
 * methods_string.c - 'text'.method(…), as Python's str has them. Markup stays Markup, and what such a method is
 * given is escaped first.
 */
#include "base/utf8.h"
#include "template/natives.h"
#include "template/unicode.h"

/* ---- helpers ---- */

/* A string argument; escaped when self is Markup. */
static bool text_arg(FlowVm *vm, FlowVal self, FlowVal arg, const char *what, FlowVal *ret)
{
    if (!arg_string(vm, arg, what))
        return false;
    *ret = arg;
    return !val_is_markup(self) || flow_val__escape(vm, arg, ret);
}

static bool none_or_text(FlowVm *vm, FlowVal self, FlowVal arg, const char *what, FlowVal *ret)
{
    *ret = val_missing();
    return arg_absent(arg) || text_arg(vm, self, arg, what, ret);
}

/* One character to fill with. */
static bool fill_arg(FlowVm *vm, FlowVal self, FlowVal arg, FlowVal *ret)
{
    *ret = VAL_LITERAL(" ");
    if (!val_given(arg))
        return true;
    if (!text_arg(vm, self, arg, "fillchar", ret))
        return false;
    return flow_val__length_of_string(*ret) == 1 ||
           flow_vm__fail(vm, "the fill character must be exactly one character");
}

/* The part of self that start and end (characters, may count from the end) mean. */
static bool part_of(FlowVm *vm, FlowVal self, FlowVal start, FlowVal end, FlowVal *ret, size_t *ret_first)
{
    int64_t from, step;
    size_t count;
    FlowVal none = val_none();
    if (flow_val__is_ascii(self))
        self.flags |= VAL_ASCII;
    if (!val_given(start) && !val_given(end)) {
        *ret = self;
        *ret_first = 0;
        return true;
    }
    if (!flow_slice__resolve(vm, val_given(start) ? start : none, val_given(end) ? end : none, none,
                             flow_val__length_of_string(self), &from, &step, &count) ||
        !flow_vm__charge(vm, 1 + self.len / 64))
        return false;
    *ret = flow_val__substring(self, (size_t)from, (size_t)from + count);
    *ret_first = (size_t)from;
    return true;
}

/* A start beyond the end finds nothing, not even the empty string. */
static bool beyond(FlowVal self, FlowVal start)
{
    return val_given(start) && start.type == V_INT && start.i > (int64_t)flow_val__length_of_string(self);
}

/* ---- case ---- */

static bool method_upper(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return flow_text__upper(vm, args[0], ret);
}

static bool method_lower(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return flow_text__lower(vm, args[0], ret);
}

static bool method_title(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return flow_text__map(vm, args[0], flow_unicode__title, ret);
}

static bool method_capitalize(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return flow_text__map(vm, args[0], flow_unicode__capitalize, ret);
}

static bool method_swapcase(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return flow_text__map(vm, args[0], flow_unicode__swapcase, ret);
}

static bool method_casefold(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal plain = args[0];
    plain.flags &= (uint8_t)~VAL_MARKUP;
    return flow_text__map(vm, plain, flow_unicode__fold, ret);
}

/* ---- questions about all characters ---- */

static bool all_are(FlowVm *vm, FlowVal self, unsigned properties, FlowVal *ret)
{
    bool all = self.len != 0;
    for (size_t i = 0, size; i < self.len && all; i += size)
        all = flow_unicode__is(flow_utf8_decode(self.s + i, self.len - i, &size), properties);
    *ret = val_bool(all);
    return flow_vm__charge(vm, 1 + self.len / 16);
}

#define ALL_ARE(name, properties)                                                                            \
    static bool method_##name(FlowVm *vm, const FlowVal *args, FlowVal *ret)                                 \
    {                                                                                                        \
        return all_are(vm, args[0], (properties), ret);                                                      \
    }

ALL_ARE(isalpha, UNI_ALPHA)
ALL_ARE(isdigit, UNI_DIGIT | UNI_DECIMAL)
ALL_ARE(isdecimal, UNI_DECIMAL)
ALL_ARE(isnumeric, UNI_NUMERIC | UNI_DIGIT | UNI_DECIMAL)
ALL_ARE(isalnum, UNI_ALNUM)
ALL_ARE(isspace, UNI_SPACE)

static bool method_isascii(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    *ret = val_bool(flow_val__is_ascii(args[0]));
    return flow_vm__charge(vm, 1 + args[0].len / 64);
}

static bool method_isprintable(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    if (!all_are(vm, args[0], UNI_PRINTABLE, ret))
        return false;
    if (args[0].len == 0)
        *ret = val_bool(true);
    return true;
}

static bool method_isidentifier(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    size_t size = 0;
    FlowVal rest = args[0];
    bool ok = rest.len != 0 && flow_unicode__is(flow_utf8_decode(rest.s, rest.len, &size), UNI_ID_START);
    rest.s += size;
    rest.len -= (uint32_t)size;
    if (!all_are(vm, rest, UNI_ID_CONTINUE, ret))
        return false;
    *ret = val_bool(ok && (rest.len == 0 || ret->b));
    return true;
}

/* Some character has case, and none has the other one. */
static bool one_case(FlowVm *vm, FlowVal self, unsigned wanted, unsigned unwanted, FlowVal *ret)
{
    bool some = false, none = true;
    for (size_t i = 0, size; i < self.len && none; i += size) {
        uint32_t c = flow_utf8_decode(self.s + i, self.len - i, &size);
        some |= flow_unicode__is(c, wanted);
        none = !flow_unicode__is(c, unwanted);
    }
    *ret = val_bool(some && none);
    return flow_vm__charge(vm, 1 + self.len / 16);
}

static bool method_islower(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return one_case(vm, args[0], UNI_LOWER, UNI_UPPER | UNI_TITLE, ret);
}

static bool method_isupper(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return one_case(vm, args[0], UNI_UPPER, UNI_LOWER | UNI_TITLE, ret);
}

static bool method_istitle(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    bool cased = false, inside = false, ok = true;
    for (size_t i = 0, size; i < args[0].len && ok; i += size) {
        uint32_t c = flow_utf8_decode(args[0].s + i, args[0].len - i, &size);
        bool big = flow_unicode__is(c, UNI_UPPER | UNI_TITLE), small = flow_unicode__is(c, UNI_LOWER);
        ok = !(big && inside) && !(small && !inside);
        inside = big || small;
        cased |= inside;
    }
    *ret = val_bool(ok && cased);
    return flow_vm__charge(vm, 1 + args[0].len / 16);
}

/* ---- looking for something ---- */

static bool find(FlowVm *vm, const FlowVal *args, bool last, int64_t *ret)
{
    FlowVal part, sub;
    size_t first;
    *ret = -1;
    if (!arg_string(vm, args[1], "sub") || !part_of(vm, args[0], args[2], args[3], &part, &first) ||
        !flow_vm__charge(vm, 1 + part.len / 16))
        return false;
    sub = args[1];
    if (beyond(args[0], args[2]))
        return true;
    const char *hit = NULL;
    if (!last) {
        hit = sub.len == 0 ? part.s : memmem(part.s, part.len, sub.s, sub.len);
    } else {
        for (size_t at = part.len + 1; at-- > 0 && hit == NULL;) {
            if (part.len - at >= sub.len && memcmp(part.s + at, sub.s, sub.len) == 0)
                hit = part.s + at;
        }
    }
    if (hit != NULL)
        *ret = (int64_t)(first + flow_utf8_count(part.s, (size_t)(hit - part.s)));
    return true;
}

static bool method_find(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    int64_t at;
    if (!find(vm, args, false, &at))
        return false;
    *ret = val_int(at);
    return true;
}

static bool method_rfind(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    int64_t at;
    if (!find(vm, args, true, &at))
        return false;
    *ret = val_int(at);
    return true;
}

static bool method_index(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    if (!method_find(vm, args, ret))
        return false;
    return ret->i >= 0 || flow_vm__fail(vm, "substring not found");
}

static bool method_rindex(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    if (!method_rfind(vm, args, ret))
        return false;
    return ret->i >= 0 || flow_vm__fail(vm, "substring not found");
}

static bool method_count(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal part;
    size_t first;
    int64_t count = 0;
    if (!arg_string(vm, args[1], "sub") || !part_of(vm, args[0], args[2], args[3], &part, &first) ||
        !flow_vm__charge(vm, 1 + part.len / 16))
        return false;
    if (beyond(args[0], args[2])) {
        *ret = val_int(0);
        return true;
    }
    if (args[1].len == 0)
        count = (int64_t)flow_val__length_of_string(part) + 1;
    for (const char *at = part.s; args[1].len != 0; at += args[1].len, count++) {
        at = memmem(at, part.len - (size_t)(at - part.s), args[1].s, args[1].len);
        if (at == NULL)
            break;
    }
    *ret = val_int(count);
    return true;
}

/* One string, or a tuple of them. */
static bool has_end(FlowVm *vm, const FlowVal *args, bool at_start, FlowVal *ret)
{
    FlowVal part;
    size_t first;
    bool yes = false, tuple = args[1].type == V_TUPLE;
    if (!tuple && !arg_string(vm, args[1], at_start ? "startswith" : "endswith"))
        return false;
    if (!part_of(vm, args[0], args[2], args[3], &part, &first))
        return false;
    for (size_t i = 0; i < (tuple ? args[1].list->count : 1) && !yes; i++) {
        FlowVal end = tuple ? args[1].list->items[i] : args[1];
        if (!arg_string(vm, end, at_start ? "startswith" : "endswith") || !flow_vm__charge(vm, 1))
            return false;
        yes = end.len <= part.len &&
              memcmp(at_start ? part.s : part.s + part.len - end.len, end.s, end.len) == 0;
    }
    *ret = val_bool(yes && !beyond(args[0], args[2]));
    return true;
}

static bool method_startswith(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return has_end(vm, args, true, ret);
}

static bool method_endswith(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return has_end(vm, args, false, ret);
}

/* ---- cutting ---- */

static bool strip(FlowVm *vm, const FlowVal *args, FlowStrip where, FlowVal *ret)
{
    FlowVal chars;
    return none_or_text(vm, args[0], args[1], "strip", &chars) &&
           flow_text__strip(vm, args[0], chars, where, ret);
}

static bool method_strip(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return strip(vm, args, STRIP_BOTH, ret);
}

static bool method_lstrip(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return strip(vm, args, STRIP_LEFT, ret);
}

static bool method_rstrip(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return strip(vm, args, STRIP_RIGHT, ret);
}

static bool split(FlowVm *vm, const FlowVal *args, bool from_right, FlowVal *ret)
{
    int64_t max;
    FlowList *list;
    if (!arg_int(vm, args[2], "maxsplit", -1, &max) ||
        !flow_text__split(vm, args[0], args[1], max, from_right, &list))
        return false;
    *ret = val_list(list);
    return true;
}

static bool method_split(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return split(vm, args, false, ret);
}

static bool method_rsplit(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return split(vm, args, true, ret);
}

static bool method_splitlines(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    bool keep;
    FlowList *list;
    if (!arg_truth(vm, args[1], false, &keep) || !flow_text__splitlines(vm, args[0], keep, &list))
        return false;
    *ret = val_list(list);
    return true;
}

static bool partition(FlowVm *vm, const FlowVal *args, bool last, FlowVal *ret)
{
    FlowVal self = args[0], sep, parts[3];
    FlowList *list;
    if (!text_arg(vm, self, args[1], "partition", &sep) || !flow_text__split(vm, self, sep, 1, last, &list))
        return false;
    FlowVal empty = with_markup_of(val_string("", 0), self);
    bool found = list->count == 2;
    parts[0] = found ? list->items[0] : last ? empty : self;
    parts[1] = found ? with_markup_of(sep, self) : empty;
    parts[2] = found ? list->items[1] : last ? self : empty;
    return flow_tuple__of(vm, ret, 3, parts);
}

static bool method_partition(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return partition(vm, args, false, ret);
}

static bool method_rpartition(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return partition(vm, args, true, ret);
}

static bool remove_end(FlowVm *vm, const FlowVal *args, bool at_start, FlowVal *ret)
{
    FlowVal self = args[0];
    if (!arg_string(vm, args[1], at_start ? "removeprefix" : "removesuffix"))
        return false;
    uint32_t len = args[1].len;
    bool there = len <= self.len && memcmp(at_start ? self.s : self.s + self.len - len, args[1].s, len) == 0;
    if (there) {
        self.s += at_start ? len : 0;
        self.len -= len;
        self.flags &= (uint8_t)~VAL_MARKUP;
    }
    *ret = self;
    return true;
}

static bool method_removeprefix(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return remove_end(vm, args, true, ret);
}

static bool method_removesuffix(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return remove_end(vm, args, false, ret);
}

/* ---- making ---- */

static bool method_replace(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal old, with;
    int64_t count;
    if (!text_arg(vm, args[0], args[1], "replace", &old) ||
        !text_arg(vm, args[0], args[2], "replace", &with) || !arg_int(vm, args[3], "count", -1, &count) ||
        !flow_text__replace(vm, args[0], old, with, count, ret))
        return false;
    *ret = with_markup_of(*ret, args[0]);
    return true;
}

static bool method_join(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowIter iter;
    FlowVal item;
    bool first = true, markup = val_is_markup(args[0]);
    if (!flow_iter__begin(vm, &iter, args[1]))
        return false;
    FlowBuild build = flow_vm__build(vm);
    while (flow_iter__next(vm, &iter, &item)) {
        if (markup ? !flow_val__escape(vm, item, &item) : !arg_string(vm, item, "join"))
            return flow_vm__build_drop(vm, build);
        if (!first)
            flow_buf_append(build.buf, args[0].s, args[0].len);
        first = false;
        flow_buf_append(build.buf, item.s, item.len);
        if (!flow_vm__build_ok(vm, build))
            return flow_vm__build_drop(vm, build);
    }
    if (vm->failed)
        return flow_vm__build_drop(vm, build);
    if (!flow_vm__built(vm, build, ret))
        return false;
    *ret = with_markup_of(*ret, args[0]);
    return true;
}

static bool justify(FlowVm *vm, const FlowVal *args, char how, FlowVal *ret)
{
    int64_t width;
    FlowVal fill;
    if (!flow_arith__to_int(vm, args[1], "width", &width) || !fill_arg(vm, args[0], args[2], &fill))
        return false;
    if (how == '^')
        return flow_text__center(vm, args[0], width, fill, ret);
    uint64_t chars = flow_val__length_of_string(args[0]);
    uint64_t missing = width > 0 && (uint64_t)width > chars ? (uint64_t)width - chars : 0;
    return flow_text__pad(vm, args[0], how == '>' ? missing : 0, how == '>' ? 0 : missing, fill, ret);
}

static bool method_ljust(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return justify(vm, args, '<', ret);
}

static bool method_rjust(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return justify(vm, args, '>', ret);
}

static bool method_center(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return justify(vm, args, '^', ret);
}

static bool method_zfill(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal self = args[0], digits, sign;
    int64_t width;
    if (!flow_arith__to_int(vm, args[1], "width", &width))
        return false;
    uint64_t chars = flow_val__length_of_string(self);
    if (width <= 0 || (uint64_t)width <= chars) {
        *ret = self;
        return true;
    }
    bool has_sign = self.len != 0 && (self.s[0] == '+' || self.s[0] == '-');
    sign = with_markup_of(val_string(self.s, has_sign), self);
    digits = with_markup_of(val_string(self.s + has_sign, self.len - has_sign), self);
    return flow_text__pad(vm, digits, (uint64_t)width - chars, 0, VAL_LITERAL("0"), &digits) &&
           flow_arith__binary(vm, OP_ADD, sign, digits, ret);
}

static bool method_expandtabs(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    int64_t size, column = 0;
    if (!arg_int(vm, args[1], "tabsize", 8, &size))
        return false;
    if (size > (int64_t)vm->limits.value_bytes)
        return flow_vm__limit(vm, "tabs of more than %zu characters", vm->limits.value_bytes);
    FlowBuild build = flow_vm__build(vm);
    for (uint32_t i = 0; i < args[0].len; i++) {
        char c = args[0].s[i];
        if (c != '\t') {
            flow_buf_byte(build.buf, c);
            column = c == '\n' || c == '\r' ? 0 : column + (((uint8_t)c & 0xc0) != 0x80);
            continue;
        }
        int64_t spaces = size > 0 ? size - column % size : 0;
        column += spaces;
        if (!flow_vm__charge(vm, 1 + (uint64_t)spaces / 16) ||
            !flow_buf_reserve(build.buf, (size_t)spaces + 1) || !flow_vm__build_ok(vm, build)) {
            flow_vm__build_ok(vm, build);
            return flow_vm__build_drop(vm, build);
        }
        memset(build.buf->data + build.buf->len, ' ', (size_t)spaces);
        build.buf->len += (size_t)spaces;
    }
    if (!flow_vm__charge(vm, 1 + args[0].len / 16))
        return flow_vm__build_drop(vm, build);
    if (!flow_vm__built(vm, build, ret))
        return false;
    *ret = with_markup_of(*ret, args[0]);
    return true;
}

static bool method_translate(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    if (!val_is_mapping(args[1]))
        return flow_vm__fail(vm, "translate wants a dict of character numbers, not %s",
                             flow_val__type_name(args[1]));
    FlowBuild build = flow_vm__build(vm);
    for (size_t i = 0, size; i < args[0].len; i += size) {
        uint32_t c = flow_utf8_decode(args[0].s + i, args[0].len - i, &size);
        FlowVal to;
        bool found;
        char bytes[4];
        if (!flow_vm__charge(vm, 1) || !flow_val__lookup(vm, args[1], val_int(c), &to, &found))
            return flow_vm__build_drop(vm, build);
        if (!found) {
            flow_buf_append(build.buf, args[0].s + i, size);
        } else if (to.type == V_STRING) {
            flow_buf_append(build.buf, to.s, to.len);
        } else if (to.type == V_INT && to.i >= 0 && to.i <= 0x10ffff) {
            flow_buf_append(build.buf, bytes, flow_utf8_encode((uint32_t)to.i, bytes));
        } else if (to.type != V_NONE) {
            flow_vm__fail(vm, "translate maps characters to text, numbers or none");
            return flow_vm__build_drop(vm, build);
        }
        if (!flow_vm__build_ok(vm, build))
            return flow_vm__build_drop(vm, build);
    }
    if (!flow_vm__built(vm, build, ret))
        return false;
    *ret = with_markup_of(*ret, args[0]);
    return true;
}

static bool method_format(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    FlowArgs rest = *args;
    rest.values++;
    rest.count--;
    return flow_format__brace(vm, args->values[0], &rest, val_missing(), ret);
}

static bool method_format_map(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    if (!val_is_mapping(args[1]))
        return flow_vm__fail(vm, "format_map wants a dict, not %s", flow_val__type_name(args[1]));
    return flow_format__brace(vm, args[0], NULL, args[1], ret);
}

static const FlowNative rows[] = {
    {"upper", method_upper, {"self"}, 1, NULL},
    {"lower", method_lower, {"self"}, 1, NULL},
    {"title", method_title, {"self"}, 1, NULL},
    {"capitalize", method_capitalize, {"self"}, 1, NULL},
    {"swapcase", method_swapcase, {"self"}, 1, NULL},
    {"casefold", method_casefold, {"self"}, 1, NULL},
    {"isalpha", method_isalpha, {"self"}, 1, NULL},
    {"isdigit", method_isdigit, {"self"}, 1, NULL},
    {"isdecimal", method_isdecimal, {"self"}, 1, NULL},
    {"isnumeric", method_isnumeric, {"self"}, 1, NULL},
    {"isalnum", method_isalnum, {"self"}, 1, NULL},
    {"isspace", method_isspace, {"self"}, 1, NULL},
    {"isascii", method_isascii, {"self"}, 1, NULL},
    {"isprintable", method_isprintable, {"self"}, 1, NULL},
    {"isidentifier", method_isidentifier, {"self"}, 1, NULL},
    {"islower", method_islower, {"self"}, 1, NULL},
    {"isupper", method_isupper, {"self"}, 1, NULL},
    {"istitle", method_istitle, {"self"}, 1, NULL},
    {"find", method_find, {"self", "sub", "start", "end"}, 2, NULL},
    {"rfind", method_rfind, {"self", "sub", "start", "end"}, 2, NULL},
    {"index", method_index, {"self", "sub", "start", "end"}, 2, NULL},
    {"rindex", method_rindex, {"self", "sub", "start", "end"}, 2, NULL},
    {"count", method_count, {"self", "sub", "start", "end"}, 2, NULL},
    {"startswith", method_startswith, {"self", "prefix", "start", "end"}, 2, NULL},
    {"endswith", method_endswith, {"self", "suffix", "start", "end"}, 2, NULL},
    {"strip", method_strip, {"self", "chars"}, 1, NULL},
    {"lstrip", method_lstrip, {"self", "chars"}, 1, NULL},
    {"rstrip", method_rstrip, {"self", "chars"}, 1, NULL},
    {"split", method_split, {"self", "sep", "maxsplit"}, 1, NULL},
    {"rsplit", method_rsplit, {"self", "sep", "maxsplit"}, 1, NULL},
    {"splitlines", method_splitlines, {"self", "keepends"}, 1, NULL},
    {"partition", method_partition, {"self", "sep"}, 2, NULL},
    {"rpartition", method_rpartition, {"self", "sep"}, 2, NULL},
    {"removeprefix", method_removeprefix, {"self", "prefix"}, 2, NULL},
    {"removesuffix", method_removesuffix, {"self", "suffix"}, 2, NULL},
    {"replace", method_replace, {"self", "old", "new", "count"}, 3, NULL},
    {"join", method_join, {"self", "iterable"}, 2, NULL},
    {"ljust", method_ljust, {"self", "width", "fillchar"}, 2, NULL},
    {"rjust", method_rjust, {"self", "width", "fillchar"}, 2, NULL},
    {"center", method_center, {"self", "width", "fillchar"}, 2, NULL},
    {"zfill", method_zfill, {"self", "width"}, 2, NULL},
    {"expandtabs", method_expandtabs, {"self", "tabsize"}, 1, NULL},
    {"translate", method_translate, {"self", "table"}, 2, NULL},
    {"format", NULL, {"self"}, 1, method_format},
    {"format_map", method_format_map, {"self", "mapping"}, 2, NULL},
};
NATIVE_TABLE(flow_methods_string, rows);
