/* text_tools.c - what filters and methods of strings have in common. */
#include <math.h>
#include <strings.h>

#include "base/utf8.h"
#include "template/natives.h"
#include "template/unicode.h"
#include "value/number.h"

/* ---- case ---- */

static bool map_ascii(FlowVm *vm, FlowVal text, char first, char last, FlowVal *ret)
{
    char *made = flow_vm__alloc_text(vm, text.len);
    if (made == NULL)
        return false;
    for (uint32_t i = 0; i < text.len; i++) {
        char c = text.s[i];
        made[i] = c >= first && c <= last ? (char)(c ^ 0x20) : c;
    }
    *ret = val_string(made, text.len);
    ret->flags = (text.flags & VAL_MARKUP) | VAL_ASCII;
    return flow_vm__charge(vm, 1 + text.len / 64);
}

bool flow_text__map(FlowVm *vm, FlowVal text, void (*map)(FlowBuf *to, const char *text, size_t len),
                    FlowVal *ret)
{
    if (!flow_vm__charge(vm, 1 + text.len / 16))
        return false;
    FlowBuild build = flow_vm__build(vm);
    map(build.buf, text.s, text.len);
    if (!flow_vm__built(vm, build, ret))
        return false;
    ret->flags |= text.flags & VAL_MARKUP;
    return true;
}

bool flow_text__lower(FlowVm *vm, FlowVal text, FlowVal *ret)
{
    if (flow_val__is_ascii(text))
        return map_ascii(vm, text, 'A', 'Z', ret);
    return flow_text__map(vm, text, flow_unicode__lower, ret);
}

bool flow_text__upper(FlowVm *vm, FlowVal text, FlowVal *ret)
{
    if (flow_val__is_ascii(text))
        return map_ascii(vm, text, 'a', 'z', ret);
    return flow_text__map(vm, text, flow_unicode__upper, ret);
}

bool flow_val__ignore_case(FlowVm *vm, FlowVal v, FlowVal *ret)
{
    if (v.type == V_STRING)
        return flow_text__lower(vm, v, ret);
    *ret = v;
    return true;
}

/* ---- strip ---- */

static bool is_stripped(uint32_t c, FlowVal chars)
{
    if (arg_absent(chars))
        return flow_unicode__is(c, UNI_SPACE);
    for (size_t i = 0, size; i < chars.len; i += size) {
        if (flow_utf8_decode(chars.s + i, chars.len - i, &size) == c)
            return true;
    }
    return false;
}

bool flow_text__strip(FlowVm *vm, FlowVal text, FlowVal chars, FlowStrip where, FlowVal *ret)
{
    size_t begin = 0, end = text.len, size;
    uint64_t cost = 1;
    size_t per_char = 1 + (arg_absent(chars) ? 0 : chars.len / 16);
    if (!arg_absent(chars) && !arg_string(vm, chars, "strip"))
        return false;
    while ((where & STRIP_LEFT) && begin < end) {
        uint32_t c = flow_utf8_decode(text.s + begin, end - begin, &size);
        cost += per_char;
        if (!is_stripped(c, chars))
            break;
        begin += size;
    }
    while ((where & STRIP_RIGHT) && end > begin) {
        size_t last = end - 1;
        while (last > begin && ((uint8_t)text.s[last] & 0xc0) == 0x80)
            last--;
        cost += per_char;
        if (!is_stripped(flow_utf8_decode(text.s + last, end - last, &size), chars))
            break;
        end = last;
    }
    *ret = val_string(text.s + begin, end - begin);
    ret->flags = text.flags & (VAL_MARKUP | VAL_ASCII);
    return flow_vm__charge(vm, cost);
}

/* ---- replace ---- */

bool flow_text__replace(FlowVm *vm, FlowVal text, FlowVal old, FlowVal with, int64_t count, FlowVal *ret)
{
    FlowBuild build = flow_vm__build(vm);
    size_t at = 0;
    if (!flow_vm__charge(vm, 1 + text.len / 64))
        return false;
    while (count != 0) {
        size_t hit;
        if (old.len == 0) { /* between all characters, and at both ends */
            size_t size = 0;
            if (at < text.len)
                flow_utf8_decode(text.s + at, text.len - at, &size);
            flow_buf_append(build.buf, with.s, with.len);
            flow_buf_append(build.buf, text.s + at, size);
            at += size;
            count -= count > 0;
            if (!flow_vm__charge(vm, 1) || !flow_vm__build_ok(vm, build))
                return flow_vm__build_drop(vm, build);
            if (size == 0)
                break;
            continue;
        }
        const char *found = memmem(text.s + at, text.len - at, old.s, old.len);
        if (found == NULL)
            break;
        hit = (size_t)(found - text.s);
        flow_buf_append(build.buf, text.s + at, hit - at);
        flow_buf_append(build.buf, with.s, with.len);
        at = hit + old.len;
        count -= count > 0;
        if (!flow_vm__charge(vm, 1) || !flow_vm__build_ok(vm, build))
            return flow_vm__build_drop(vm, build);
    }
    flow_buf_append(build.buf, text.s + at, text.len - at);
    return flow_vm__built(vm, build, ret);
}

/* ---- padding ---- */

bool flow_text__pad(FlowVm *vm, FlowVal text, uint64_t left, uint64_t right, FlowVal fill, FlowVal *ret)
{
    uint64_t most = vm->limits.value_bytes;
    if (left > most || right > most || (left + right) * fill.len + text.len > most)
        return flow_vm__limit(vm, "padding would make a string of more than %zu bytes",
                              vm->limits.value_bytes);
    size_t total = (left + right) * fill.len + text.len;
    char *made = flow_vm__alloc_text(vm, total);
    if (made == NULL)
        return false;
    char *to = made;
    for (uint64_t i = 0; i < left; i++, to += fill.len)
        memcpy(to, fill.s, fill.len);
    memcpy(to, text.s, text.len);
    to += text.len;
    for (uint64_t i = 0; i < right; i++, to += fill.len)
        memcpy(to, fill.s, fill.len);
    *ret = val_string(made, total);
    ret->flags = text.flags & VAL_MARKUP;
    return flow_vm__charge(vm, 1 + total / 64);
}

bool flow_text__center(FlowVm *vm, FlowVal text, int64_t width, FlowVal fill, FlowVal *ret)
{
    uint64_t length = flow_val__length_of_string(text);
    if (width < 0 || (uint64_t)width <= length) {
        *ret = text;
        return true;
    }
    uint64_t pad = (uint64_t)width - length;
    uint64_t left = pad / 2 + (pad & (uint64_t)width & 1);
    return flow_text__pad(vm, text, left, pad - left, fill, ret);
}

/* ---- splitting ---- */

static bool push_part(FlowVm *vm, FlowList *list, FlowVal text, size_t begin, size_t end)
{
    FlowVal part = val_string(text.s + begin, end - begin);
    part.flags = text.flags & (VAL_MARKUP | VAL_ASCII);
    return flow_vm__charge(vm, 1) && flow_list__push(vm, list, part);
}

/* The line break at `at`: its length, "\r\n" as one; 0 when there is none. */
static size_t line_break(const char *text, size_t len, size_t at)
{
    size_t size;
    uint32_t c = flow_utf8_decode(text + at, len - at, &size);
    switch (c) {
    case '\r':
        return at + 1 < len && text[at + 1] == '\n' ? 2 : 1;
    case '\n':
    case '\v':
    case '\f':
    case 0x1c:
    case 0x1d:
    case 0x1e:
    case 0x85:
    case 0x2028:
    case 0x2029:
        return size;
    default:
        return 0;
    }
}

bool flow_text__splitlines(FlowVm *vm, FlowVal text, bool keep_ends, FlowList **ret)
{
    FlowList *list = flow_list__new(vm, 0);
    size_t begin = 0;
    if (list == NULL || !flow_vm__charge(vm, 1 + text.len / 16))
        return false;
    for (size_t i = 0, size; i < text.len; i += size) {
        size_t end = line_break(text.s, text.len, i);
        if (end == 0) {
            flow_utf8_decode(text.s + i, text.len - i, &size);
            continue;
        }
        if (!push_part(vm, list, text, begin, keep_ends ? i + end : i))
            return false;
        size = end;
        begin = i + end;
    }
    if (begin < text.len && !push_part(vm, list, text, begin, text.len))
        return false;
    *ret = list;
    return true;
}

static bool space_at(FlowVal text, size_t at, size_t *ret_size)
{
    return flow_unicode__is(flow_utf8_decode(text.s + at, text.len - at, ret_size), UNI_SPACE);
}

static bool split_at_space(FlowVm *vm, FlowVal text, int64_t max, FlowList *list)
{
    size_t at = 0, size;
    for (;;) {
        while (at < text.len && space_at(text, at, &size))
            at += size;
        if (at >= text.len)
            return true;
        size_t begin = at;
        if (max == 0) { /* the rest, without the white space at its end */
            FlowVal rest = val_string(text.s + begin, text.len - begin);
            if (!flow_text__strip(vm, rest, val_missing(), STRIP_RIGHT, &rest))
                return false;
            return push_part(vm, list, text, begin, begin + rest.len);
        }
        while (at < text.len && !space_at(text, at, &size))
            at += size;
        max -= max > 0;
        if (!push_part(vm, list, text, begin, at))
            return false;
    }
}

static size_t before(FlowVal text, size_t at)
{
    do
        at--;
    while (at > 0 && ((uint8_t)text.s[at] & 0xc0) == 0x80);
    return at;
}

static bool split_at_space_from_right(FlowVm *vm, FlowVal text, int64_t max, FlowList *list)
{
    size_t end = text.len, size;
    for (;;) {
        while (end > 0 && space_at(text, before(text, end), &size))
            end = before(text, end);
        if (end == 0)
            return true;
        if (max == 0) {
            size_t begin = 0;
            while (begin < end && space_at(text, begin, &size))
                begin += size;
            return push_part(vm, list, text, begin, end);
        }
        size_t begin = end;
        while (begin > 0 && !space_at(text, before(text, begin), &size))
            begin = before(text, begin);
        max -= max > 0;
        if (!push_part(vm, list, text, begin, end))
            return false;
        end = begin;
    }
}

static void reverse(FlowList *list)
{
    for (size_t i = 0; i < list->count / 2; i++) {
        FlowVal other = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = other;
    }
}

/* The last place of `sep` in text[0, end). */
static const char *find_last(FlowVal text, size_t end, FlowVal sep)
{
    for (size_t i = end; i >= sep.len && i > 0; i--) {
        if (memcmp(text.s + i - sep.len, sep.s, sep.len) == 0)
            return text.s + i - sep.len;
    }
    return NULL;
}

static bool split_at(FlowVm *vm, FlowVal text, FlowVal sep, int64_t max, bool from_right, FlowList *list)
{
    size_t begin = 0, end = text.len;
    for (; max != 0; max -= max > 0) {
        const char *hit =
            from_right ? find_last(text, end, sep) : memmem(text.s + begin, end - begin, sep.s, sep.len);
        if (hit == NULL)
            break;
        size_t at = (size_t)(hit - text.s);
        if (!push_part(vm, list, text, from_right ? at + sep.len : begin, from_right ? end : at))
            return false;
        if (from_right)
            end = at;
        else
            begin = at + sep.len;
    }
    return push_part(vm, list, text, begin, end);
}

bool flow_text__split(FlowVm *vm, FlowVal text, FlowVal sep, int64_t max, bool from_right, FlowList **ret)
{
    FlowList *list = flow_list__new(vm, 0);
    if (list == NULL || !flow_vm__charge(vm, 1 + text.len / 16))
        return false;
    if (!arg_absent(sep)) {
        if (!arg_string(vm, sep, "split"))
            return false;
        if (sep.len == 0)
            return flow_vm__fail(vm,
                                 "split wants a separator that is not empty; | list gives the characters");
        /* find_last() may look at every byte several times. */
        if (from_right && !flow_vm__charge(vm, text.len / 4))
            return false;
        if (!split_at(vm, text, sep, max, from_right, list))
            return false;
    } else if (!(from_right ? split_at_space_from_right : split_at_space)(vm, text, max, list)) {
        return false;
    }
    if (from_right)
        reverse(list);
    *ret = list;
    return true;
}

/* ---- numbers in text ---- */

/* Without white space around, underscores between digits removed, digits of other scripts as ASCII. */
static bool plain_number(FlowVal text, char *to, size_t size, size_t *ret_len)
{
    size_t n = 0, begin = 0, end = text.len, width;
    while (begin < end && space_at(text, begin, &width))
        begin += width;
    while (end > begin && space_at(text, before(text, end), &width))
        end = before(text, end);
    for (size_t i = begin; i < end; i += width) {
        uint32_t c = flow_utf8_decode(text.s + i, text.len - i, &width);
        if (n + 1 >= size)
            return false;
        if (c == '_') {
            bool between = n > 0 && i + 1 < end && (to[n - 1] != '_') && text.s[i + 1] != '_' &&
                           ((to[n - 1] >= '0' && to[n - 1] <= '9') || (to[n - 1] | 0x20) >= 'a');
            if (!between)
                return false;
            continue;
        }
        if (c >= 0x80 && !flow_unicode__is(c, UNI_DECIMAL))
            return false;
        to[n++] = c >= 0x80 ? (char)('0' + flow_unicode__decimal(c)) : (char)c;
    }
    to[n] = '\0';
    *ret_len = n;
    return n > 0;
}

bool flow_text__to_integer(FlowVm *vm, FlowVal text, int base, FlowVal *ret, bool *ret_bad)
{
    char digits[4400];
    size_t len;
    *ret_bad = true;
    if (text.len > 40000 || !flow_vm__charge(vm, 1 + text.len / 16) ||
        !plain_number(text, digits, sizeof digits, &len) || base < 0 || base > 36 || base == 1)
        return false;
    size_t sign = digits[0] == '+' || digits[0] == '-';
    char letter = len > sign + 1 && digits[sign] == '0' ? (char)(digits[sign + 1] | 0x20) : '\0';
    int prefix = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (prefix != 0 && (base == prefix || base == 0)) {
        memmove(digits + sign, digits + sign + 2, len - sign - 1);
        len -= 2;
        base = prefix;
        if (len == sign || digits[sign] == '-' || digits[sign] == '+')
            return false;
    } else if (base == 0) {
        if (len > sign + 1 && digits[sign] == '0' && strspn(digits + sign, "0") != len - sign)
            return false;
        base = 10;
    }
    return flow_big__parse(vm, digits, len, base, ret, ret_bad);
}

static bool parse_float(const char *digits, size_t len, double *ret)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"inf", INFINITY}, {"infinity", INFINITY}, {"nan", NAN}};
    size_t sign = digits[0] == '+' || digits[0] == '-';
    for (size_t i = 0; i < FLOW_COUNT(words); i++) {
        if (strcasecmp(digits + sign, words[i].word) == 0) {
            *ret = digits[0] == '-' ? -words[i].value : words[i].value;
            return true;
        }
    }
    return flow_parse_double(digits, len, ret);
}

bool flow_text__to_float(FlowVal text, double *ret)
{
    char digits[1200];
    size_t len;
    if (text.len > 4096 || !plain_number(text, digits, sizeof digits, &len))
        return false;
    return parse_float(digits, len, ret);
}
