/* filters_html.c - escaping, and text for HTML, XML and URLs. */
#include <stdio.h>

#include "base/utf8.h"
#include "template/html_entities.h"
#include "template/natives.h"
#include "template/unicode.h"

static bool filter_escape(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return flow_val__escape(vm, args[0], ret);
}

static bool filter_forceescape(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    return flow_val__to_plain_string(vm, args[0], &text) && flow_val__escape(vm, text, ret);
}

static bool filter_safe(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    if (!flow_val__to_string(vm, args[0], ret))
        return false;
    ret->flags |= VAL_MARKUP;
    return true;
}

/* ---- URLs ---- */

static void quote(FlowBuf *to, FlowVal text, bool in_query)
{
    static const char hex[] = "0123456789ABCDEF";
    for (uint32_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.s[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' ||
                     c == '.' || c == '-' || c == '~' || (c == '/' && !in_query);
        if (plain)
            flow_buf_byte(to, (char)c);
        else if (c == ' ' && in_query)
            flow_buf_byte(to, '+');
        else
            flow_buf_append(to, (const char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
    }
}

static bool quote_value(FlowVm *vm, FlowBuf *to, FlowVal v, bool in_query)
{
    FlowVal text;
    if (!flow_val__to_string(vm, v, &text) || !flow_vm__charge(vm, 1 + text.len / 32))
        return false;
    quote(to, text, in_query);
    return true;
}

static bool quote_pair(FlowVm *vm, FlowBuild *build, FlowVal key, FlowVal value)
{
    /* Strings made on the way lie in the same buffer: they are taken out again before the pair goes on. */
    if (build->buf->len != build->start)
        flow_buf_byte(build->buf, '&');
    if (!quote_value(vm, build->buf, key, true))
        return false;
    flow_buf_byte(build->buf, '=');
    return quote_value(vm, build->buf, value, true) && flow_vm__build_ok(vm, *build);
}

static bool filter_urlencode(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal v = args[0], item, key, value;
    if (v.type == V_STRING || !flow_val__is_iterable(v)) {
        FlowBuild one = flow_vm__build(vm);
        if (!quote_value(vm, one.buf, v, false))
            return flow_vm__build_drop(vm, one);
        return flow_vm__built(vm, one, ret);
    }
    FlowBuild build = flow_vm__build(vm);
    if (val_is_mapping(v)) {
        size_t at = 0;
        while (flow_mapping__next(v, &at, &key, &value)) {
            if (!quote_pair(vm, &build, key, value))
                return flow_vm__build_drop(vm, build);
        }
        return flow_vm__built(vm, build, ret);
    }
    FlowIter iter;
    if (!flow_iter__begin(vm, &iter, v))
        return false;
    while (flow_iter__next(vm, &iter, &item)) {
        FlowList *pair;
        if (!flow_val__is_iterable(item) || item.type == V_UNDEFINED) {
            flow_vm__fail(vm, "filter 'urlencode' wants pairs of a name and a value");
            return flow_vm__build_drop(vm, build);
        }
        if (!flow_list__from(vm, item, &pair))
            return flow_vm__build_drop(vm, build);
        if (pair->count != 2) {
            flow_vm__fail(vm, "filter 'urlencode' wants pairs of a name and a value");
            return flow_vm__build_drop(vm, build);
        }
        if (!quote_pair(vm, &build, pair->items[0], pair->items[1]))
            return flow_vm__build_drop(vm, build);
    }
    return vm->failed ? flow_vm__build_drop(vm, build) : flow_vm__built(vm, build, ret);
}

/* ---- tags ---- */

static bool filter_xmlattr(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    bool space;
    FlowVal key, value;
    size_t at = 0;
    if (!arg_truth(vm, args[1], true, &space))
        return false;
    if (args[0].type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, args[0]);
    if (!val_is_mapping(args[0]))
        return flow_vm__fail(vm, "filter 'xmlattr' wants a dict, not %s", flow_val__type_name(args[0]));
    FlowBuild build = flow_vm__build(vm);
    while (flow_mapping__next(args[0], &at, &key, &value)) {
        FlowVal text;
        if (value.type == V_NONE || value.type == V_UNDEFINED)
            continue;
        bool bad = key.type != V_STRING;
        for (uint32_t i = 0; !bad && i < key.len; i++)
            bad = strchr(" \t\n\r\f\v/>=", key.s[i]) != NULL && key.s[i] != '\0';
        if (bad) {
            flow_vm__fail(vm, "filter 'xmlattr': invalid character in an attribute name");
            return flow_vm__build_drop(vm, build);
        }
        if (!flow_val__escape(vm, value, &text))
            return flow_vm__build_drop(vm, build);
        if (build.buf->len != build.start || space)
            flow_buf_byte(build.buf, ' ');
        flow_text__escape(build.buf, key.s, key.len);
        flow_buf_append(build.buf, "=\"", 2);
        flow_buf_append(build.buf, text.s, text.len);
        flow_buf_byte(build.buf, '"');
        if (!flow_vm__charge(vm, 1) || !flow_vm__build_ok(vm, build))
            return flow_vm__build_drop(vm, build);
    }
    if (!flow_vm__built(vm, build, ret))
        return false;
    ret->flags |= vm->autoescape ? VAL_MARKUP : 0;
    return true;
}

/* What lies between `open` and `close` goes, delimiters included, as long as there is a `close`. */
static void without(FlowBuf *to, FlowVal text, const char *open, const char *close)
{
    size_t at = 0, open_len = strlen(open), close_len = strlen(close);
    bool closes = true;
    while (closes && at < text.len) {
        const char *begin = memmem(text.s + at, text.len - at, open, open_len);
        if (begin == NULL)
            break;
        size_t hit = (size_t)(begin - text.s);
        const char *end = memmem(text.s + hit + open_len, text.len - hit - open_len, close, close_len);
        closes = end != NULL; /* when no end follows, none follows later openers either */
        if (!closes)
            break;
        flow_buf_append(to, text.s + at, hit - at);
        at = (size_t)(end - text.s) + close_len;
    }
    flow_buf_append(to, text.s + at, text.len - at);
}

/* Runs of white space as one space, none at the ends. */
static void collapse(FlowBuf *to, FlowVal text)
{
    bool gap = false, any = false;
    for (size_t i = 0, size; i < text.len; i += size) {
        uint32_t c = flow_utf8_decode(text.s + i, text.len - i, &size);
        if (flow_unicode__is(c, UNI_SPACE)) {
            gap = any;
            continue;
        }
        if (gap)
            flow_buf_byte(to, ' ');
        gap = false;
        any = true;
        flow_buf_append(to, text.s + i, size);
    }
}

/* The character that "&#...;" at text[0] stands for; its length in *ret_len, 0 when it is none. */
static uint32_t numeric_entity(const char *text, size_t len, size_t *ret_len)
{
    size_t i = 2;
    bool hex = i < len && (text[i] | 0x20) == 'x';
    uint32_t value = 0;
    size_t begin = i += hex;
    for (; i < len; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9'                            ? c - '0'
                    : hex && (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                    : -1;
        if (digit < 0)
            break;
        value = value < 0x1000000 ? value * (hex ? 16 : 10) + (uint32_t)digit : value;
    }
    *ret_len = i == begin ? 0 : i + (i < len && text[i] == ';');
    return value;
}

static void put_numeric(FlowBuf *to, uint32_t value)
{
    /* What Windows-1252 has at 0x80..0x9f: browsers read numeric references so, and html.unescape() with them. */
    static const uint16_t windows[32] = {0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                         0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d,   0x017d, 0x8f,
                                         0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                         0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178};
    char bytes[4];
    if (value >= 0x80 && value <= 0x9f)
        value = windows[value - 0x80];
    else if (value == 0 || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        value = 0xfffd;
    else if ((value < 0x20 && value != '\t' && value != '\n' && value != '\f' && value != '\r') ||
             value == 0x7f || (value >= 0xfdd0 && value <= 0xfdef) || (value & 0xfffe) == 0xfffe ||
             value == 0xb)
        return; /* no character in HTML: html.unescape() drops it */
    flow_buf_append(to, bytes, flow_utf8_encode(value, bytes));
}

static int compare_entity(const char *name, size_t len, const char *known)
{
    int order = strncmp(name, known, len);
    return order != 0 ? order : known[len] == '\0' ? 0 : -1;
}

static const FlowHtmlEntity *find_entity(const char *name, size_t len)
{
    size_t low = 0, high = FLOW_COUNT(html_entities);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_entity(name, len, html_entities[middle].name);
        if (order == 0)
            return &html_entities[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* html.unescape(): "&name;" and, for old names, the longest beginning that is one without the semicolon. */
static size_t put_named(FlowBuf *to, const char *text, size_t len)
{
    enum { LONGEST = 32 };
    size_t end = 1;
    while (end < len && end <= LONGEST && strchr("\t\n\f <&#;", text[end]) == NULL)
        end++;
    size_t with_semicolon = end < len && text[end] == ';' ? end + 1 : end;
    const FlowHtmlEntity *entity = find_entity(text + 1, with_semicolon - 1);
    size_t used = with_semicolon;
    for (size_t shorter = end; entity == NULL && shorter > 2; shorter--) {
        entity = find_entity(text + 1, shorter - 1);
        used = shorter;
    }
    if (entity == NULL)
        return 0;
    flow_buf_str(to, entity->text);
    return used;
}

static void unescape(FlowBuf *to, FlowVal text)
{
    for (size_t at = 0; at < text.len;) {
        const char *amp = memchr(text.s + at, '&', text.len - at);
        size_t hit = amp != NULL ? (size_t)(amp - text.s) : text.len;
        flow_buf_append(to, text.s + at, hit - at);
        if (amp == NULL)
            break;
        size_t used = 0;
        if (hit + 1 < text.len && text.s[hit + 1] == '#') {
            uint32_t value = numeric_entity(text.s + hit, text.len - hit, &used);
            if (used != 0)
                put_numeric(to, value);
        } else {
            used = put_named(to, text.s + hit, text.len - hit);
        }
        if (used == 0) {
            flow_buf_byte(to, '&');
            used = 1;
        }
        at = hit + used;
    }
}

/* One of the four passes of striptags over the whole text. */
static bool pass(FlowVm *vm, FlowVal *text, unsigned which)
{
    if (!flow_vm__charge(vm, 1 + text->len / 16))
        return false;
    FlowBuild build = flow_vm__build(vm);
    switch (which) {
    case 0:
        without(build.buf, *text, "<!--", "-->");
        break;
    case 1:
        without(build.buf, *text, "<", ">");
        break;
    case 2:
        collapse(build.buf, *text);
        break;
    default:
        unescape(build.buf, *text);
        break;
    }
    return flow_vm__built(vm, build, text);
}

static bool filter_striptags(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    if (!flow_val__to_plain_string(vm, args[0], &text))
        return false;
    for (unsigned i = 0; i < 4; i++) {
        if (!pass(vm, &text, i))
            return false;
    }
    *ret = text;
    return true;
}

static const FlowNative rows[] = {
    {"e", filter_escape, {"s"}, 1, NULL},
    {"escape", filter_escape, {"s"}, 1, NULL},
    {"forceescape", filter_forceescape, {"value"}, 1, NULL},
    {"safe", filter_safe, {"value"}, 1, NULL},
    {"urlencode", filter_urlencode, {"value"}, 1, NULL},
    {"xmlattr", filter_xmlattr, {"d", "autospace"}, 1, NULL},
    {"striptags", filter_striptags, {"value"}, 1, NULL},
    {"urlize",
     flow_filter__urlize,
     {"value", "trim_url_limit", "nofollow", "target", "rel", "extra_schemes"},
     1,
     NULL},
};
NATIVE_TABLE(flow_filters_html, rows);
