/* json_error.c - what is wrong with a JSON text, where, and what to do about it. */
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "value/json_read.h"
#include "value/path.h"

/* Where on the way from the root the reader is: "orders[2].name". */
static void append_path(FlowBuf *path, const FlowJsonReader *r)
{
    for (unsigned i = 0; i < r->depth; i++) {
        const FlowJsonFrame *frame = &r->frames[i];
        const FlowValue *first = r->stack + frame->start;
        const FlowValue *last = i + 1 < r->depth ? r->stack + r->frames[i + 1].start : r->top;
        size_t count = (size_t)(last - first);
        if (!frame->is_object)
            flow_path_append_index(path, count);
        else if (count % 2 == 1)
            flow_path_append_key(path, flow_value_text(last - 1), flow_value_length(last - 1));
    }
}

const char *flow_json__fail(FlowJsonReader *r, const char *at, const char *reason, const char *format, ...)
{
    size_t line = 1;
    const char *line_start = r->text;
    for (const char *p = r->text; p < at; p++) {
        if (*p == '\n') {
            line++;
            line_start = p + 1;
        }
    }
    char where[64], message[400];
    snprintf(where, sizeof where, "%zu:%zu", line,
             flow_utf8_count(line_start, (size_t)(at - line_start)) + 1);
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    FlowBuf path;
    flow_buf_init(&path, 160);
    append_path(&path, r);
    const char *shown = flow_buf_text(&path);
    flow_error_set(r->reterr, FLOW_INVALID_ARGUMENT, reason, where, "%s%s%s%s (line %zu, column %zu)",
                   shown != NULL ? shown : "", path.failed ? "..." : "",
                   path.len != 0 || path.failed ? ": " : "", message, line,
                   flow_utf8_count(line_start, (size_t)(at - line_start)) + 1);
    flow_buf_done(&path);
    r->status = FLOW_INVALID_ARGUMENT;
    return NULL;
}

/* What stands at `at`, in words. */
static const char *found(const FlowJsonReader *r, const char *at, char to[32])
{
    if (at == r->end)
        return "the text ends";
    size_t size;
    uint32_t code = flow_utf8_decode(at, (size_t)(r->end - at), &size);
    if (code == FLOW_UTF8_INVALID)
        snprintf(to, 32, "found byte 0x%02x", (unsigned char)*at);
    else if (code > ' ' && code < 0x7f)
        snprintf(to, 32, "found %c", (char)code);
    else
        snprintf(to, 32, "found U+%04X", code);
    return to;
}

static bool after_comma(const FlowJsonReader *r, const char *at)
{
    while (at > r->text && (at[-1] == ' ' || at[-1] == '\n' || at[-1] == '\t' || at[-1] == '\r'))
        at--;
    return at > r->text && at[-1] == ',';
}

static bool is_quote(const FlowJsonReader *r, const char *at)
{
    size_t size;
    uint32_t code = flow_utf8_decode(at, (size_t)(r->end - at), &size);
    return code == '\'' || code == '`' || (code >= 0x2018 && code <= 0x201f);
}

const char *flow_json__fail_value(FlowJsonReader *r, const char *at)
{
    static const char reason[] = "INVALID_JSON";
    char text[32];
    if (at == r->end && r->depth == 0)
        return flow_json__fail(r, at, reason, "the text is empty; a JSON value should stand here");
    if (at == r->end)
        return flow_json__fail(r, at, reason, "the text ends where a value should stand; is it cut off?");
    if (is_quote(r, at))
        return flow_json__fail(r, at, reason, "strings stand in straight double quotes, \"like this\"");
    if ((*at == ']' || *at == '}') && after_comma(r, at))
        return flow_json__fail(r, at, reason, "a comma stands before the closing bracket; remove it");
    if (*at == '/' || *at == '#')
        return flow_json__fail(r, at, reason, "JSON has no comments; remove it");
    if (*at == '+' || *at == '.')
        return flow_json__fail(r, at, reason, "a number begins with a digit or a minus sign");
    if (at == r->text && r->end - at >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
        return flow_json__fail(r, at, reason, "the text begins with a byte order mark; remove it");
    if ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z')
        return flow_json__fail(
            r, at, reason,
            "no JSON value; only true, false and null are written without quotes, in small letters");
    return flow_json__fail(r, at, reason, "expected a value, %s", found(r, at, text));
}

const char *flow_json__fail_key(FlowJsonReader *r, const char *at)
{
    static const char reason[] = "INVALID_JSON";
    char text[32];
    if (at < r->end && *at == '}' && after_comma(r, at))
        return flow_json__fail(r, at, reason, "a comma stands before the closing bracket; remove it");
    return flow_json__fail(r, at, reason, "expected a key in straight double quotes%s, %s",
                           at < r->end && after_comma(r, at) ? "" : " or }", found(r, at, text));
}

const char *flow_json__fail_colon(FlowJsonReader *r, const char *at)
{
    char text[32];
    return flow_json__fail(r, at, "INVALID_JSON", "expected a colon behind the key, %s", found(r, at, text));
}

const char *flow_json__fail_separator(FlowJsonReader *r, const char *at)
{
    char text[32], close = r->frames[r->depth - 1].is_object ? '}' : ']';
    return flow_json__fail(r, at, "INVALID_JSON", "expected a comma or %c, %s%s", close, found(r, at, text),
                           at == r->end ? "; is it cut off?" : "");
}

const char *flow_json__fail_trailing(FlowJsonReader *r, const char *at)
{
    char text[32];
    return flow_json__fail(r, at, "INVALID_JSON", "text stands behind the value (%s); send one value only",
                           found(r, at, text));
}

/* The key of the member at `position` in an object whose text was read before, so it is known to be right. */
static const char *find_key(const char *open, size_t position)
{
    unsigned depth = 0;
    bool at_key = true;
    for (const char *p = open;; p++) {
        switch (*p) {
        case '"':
            if (depth == 1 && at_key && position-- == 0)
                return p;
            for (p++; *p != '"'; p++)
                p += *p == '\\';
            at_key = false;
            break;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0)
                return open;
            break;
        case ',':
            at_key = depth == 1;
            break;
        default:
            break;
        }
    }
}

const char *flow_json__fail_duplicate(FlowJsonReader *r, const FlowValue *key, size_t position)
{
    const char *at = find_key(r->frames[r->depth - 1].open, position);
    return flow_json__fail(r, at, "DUPLICATE_KEY", "the key \"%.100s\" comes twice in one object; remove one",
                           flow_value_text(key));
}
