/*
 * json_write.c - a value as JSON text.
 *
 * The writer works in the buffer's memory, which it makes SLACK bytes longer than it says: so pieces up to
 * that length are written without asking, and whether the limit was passed is seen before the next piece.
 * What writes a part takes the place to write at and answers the place behind it; NULL after a failure, which
 * w->status and w->reterr tell.
 */
#include "value/json.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "value/box.h"
#include "value/number.h"
#include "value/path.h"
#include "value/scan.h"

enum { SLACK = 128, STYLED = FLOW_JSON_WRITE_PRETTY | FLOW_JSON_WRITE_SPACED };

/* Where the writer is in one array or object, so that errors and inexact integers can be named. */
typedef struct Step {
    const FlowValue *key; /* NULL in an array */
    size_t index;
} Step;

typedef struct Writer {
    char *end; /* there are SLACK bytes left behind it */
    FlowBuf *buf;
    size_t memory; /* how much buf->data really has */
    unsigned flags, depth;
    FlowValue *inexact_paths;
    FlowStatus status;
    FlowError *reterr;
    Step steps[FLOW_VALUE_MAX_DEPTH];
} Writer;

/* ---- room in the buffer ---- */

static char *failed(Writer *w, FlowStatus status)
{
    w->status = status;
    return NULL;
}

static char *room_slow(Writer *w, char *at, size_t more)
{
    FlowBuf *buf = w->buf;
    size_t used = (size_t)(at - buf->data);
    if (more > buf->limit || used > buf->limit - more)
        return failed(w, flow_error_set(w->reterr, FLOW_RESOURCE_EXHAUSTED, "JSON_TOO_LARGE", NULL,
                                        "the JSON text would be larger than the %zu bytes that are allowed",
                                        buf->limit));
    size_t capacity = used + more;
    if (capacity < w->memory * 2)
        capacity = w->memory * 2;
    if (capacity < 256)
        capacity = 256;
    if (capacity > buf->limit)
        capacity = buf->limit;
    char *grown = flow_try_realloc_array(buf->data, capacity + SLACK, 1);
    if (grown == NULL)
        return failed(w, flow_value__no_memory(capacity, w->reterr));
    buf->data = grown;
    w->memory = capacity + SLACK;
    w->end = grown + capacity;
    return grown + used;
}

/* Room for a piece of at most SLACK bytes. */
static inline char *room(Writer *w, char *at)
{
    return __builtin_expect(at <= w->end, 1) ? at : room_slow(w, at, 0);
}

/* Room for `size` bytes and a short piece behind them. */
static inline char *room_for(Writer *w, char *at, size_t size)
{
    return at <= w->end && size <= (size_t)(w->end - at) ? at : room_slow(w, at, size);
}

/* Answers where to write. */
static char *begin(Writer *w, FlowBuf *buf, unsigned flags, FlowError *reterr)
{
    w->buf = buf;
    w->memory = buf->capacity;
    w->flags = flags;
    w->depth = 0;
    w->inexact_paths = NULL;
    w->status = FLOW_OK;
    w->reterr = reterr;
    if (buf->failed)
        return failed(w, flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "JSON_TOO_LARGE", NULL,
                                        "the buffer had reached its bound of %zu bytes before", buf->limit));
    char *at = buf->data != NULL ? buf->data + buf->len : NULL;
    if (buf->capacity < SLACK)
        return room_slow(w, at, 0);
    w->end = buf->data + buf->capacity - SLACK;
    return at;
}

/* `at`: behind all that was written, or NULL; then nothing of it stays. */
static FlowStatus finish(Writer *w, char *at)
{
    FlowBuf *buf = w->buf;
    if (at != NULL && (size_t)(at - buf->data) > buf->limit)
        at = room_slow(w, at, 0);
    /* The slack belongs to the buffer now, as far as its limit allows. */
    buf->capacity = w->memory < buf->limit ? w->memory : buf->limit;
    if (at != NULL)
        buf->len = (size_t)(at - buf->data);
    else if (w->status == FLOW_RESOURCE_EXHAUSTED)
        buf->failed = true;
    return w->status;
}

/* ---- strings ---- */

static inline char *put_hex(char *at, uint32_t code)
{
    static const char digits[] = "0123456789abcdef";
    at[0] = '\\';
    at[1] = 'u';
    at[2] = digits[code >> 12 & 15];
    at[3] = digits[code >> 8 & 15];
    at[4] = digits[code >> 4 & 15];
    at[5] = digits[code & 15];
    return at + 6;
}

/* The character at `p`, which can't stand as it is; its length goes to *ret_size. */
static char *put_escaped(char *at, const char *p, size_t length, size_t *ret_size)
{
    static const char shorts[] = "\"\"\\\\b\bf\fn\nr\rt\t";
    unsigned char c = (unsigned char)*p;
    *ret_size = 1;
    if (c >= 0x80) {
        uint32_t code = flow_utf8_decode(p, length, ret_size);
        if (code == FLOW_UTF8_INVALID)
            code = 0xfffd;
        if (code >= 0x10000) {
            at = put_hex(at, 0xd800 + ((code - 0x10000) >> 10));
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        return put_hex(at, code);
    }
    for (const char *pair = shorts; *pair != '\0'; pair += 2) {
        if ((unsigned char)pair[1] == c) {
            at[0] = '\\';
            at[1] = pair[0];
            return at + 2;
        }
    }
    return put_hex(at, c);
}

/* In ASCII, DEL is escaped like everything that isn't printable: as Python has it. */
static uint32_t not_ascii(const char *p, uint32_t high)
{
    for (unsigned i = 0; i < FLOW_SCAN_STEP; i++)
        high |= (uint32_t)(p[i] == 0x7f) << i;
    return high;
}

/* Up to `readable`, at or behind the end of the text, there is memory. */
static char *put_string(Writer *w, char *at, const char *p, size_t length, const char *readable)
{
    bool ascii = w->flags & FLOW_JSON_WRITE_ASCII;
    at = room(w, at);
    if (at == NULL)
        return NULL;
    *at++ = '"';
    while (length > 0) {
        char tail[FLOW_SCAN_STEP] = {0};
        const char *from = p;
        if (readable - p < FLOW_SCAN_STEP) {
            memcpy(tail, p, length);
            from = tail;
        }
        uint32_t high, special = flow_scan__special(from, &high);
        if (ascii)
            special |= not_ascii(from, high);
        at = room(w, at);
        if (at == NULL)
            return NULL;
        memcpy(at, from, FLOW_SCAN_STEP);
        size_t plain = (size_t)__builtin_ctz(special | 1u << FLOW_SCAN_STEP);
        if (plain >= length) {
            at += length;
            break;
        }
        at += plain;
        p += plain;
        length -= plain;
        if (special != 0) {
            size_t size;
            at = put_escaped(at, p, length, &size);
            p += size;
            length -= size;
        }
    }
    at = room(w, at);
    if (at != NULL)
        *at++ = '"';
    return at;
}

/* Room for a short piece must be there. */
static inline char *put_string_value(Writer *w, char *at, const FlowValue *string)
{
    if (string->tag & FLOW_VALUE__BOXED) {
        const char *text = flow_value_text(string);
        return put_string(w, at, text, string->length, text + string->length + FLOW_STRING_PADDING);
    }
    uint32_t high, special = flow_scan__special(string->text, &high);
    if (w->flags & FLOW_JSON_WRITE_ASCII)
        special |= not_ascii(string->text, high);
    size_t length = flow_value_length(string);
    if ((special & ((1u << length) - 1)) != 0)
        return put_string(w, at, string->text, length, string->text + sizeof *string);
    *at++ = '"';
    memcpy(at, string->text, sizeof *string);
    at[length] = '"';
    return at + length + 1;
}

/* ---- what must be named ---- */

static void append_path(const Writer *w, FlowBuf *path)
{
    for (unsigned i = 0; i < w->depth; i++) {
        if (w->steps[i].key != NULL)
            flow_path_append_key(path, flow_value_text(w->steps[i].key), flow_value_length(w->steps[i].key));
        else
            flow_path_append_index(path, w->steps[i].index);
    }
}

static char *not_finite(Writer *w)
{
    FlowBuf path;
    flow_buf_init(&path, 150);
    append_path(w, &path);
    const char *text = flow_buf_text(&path);
    w->status =
        flow_error_set(w->reterr, FLOW_INVALID_ARGUMENT, "NOT_FINITE", text,
                       "%s%sNaN and infinities can't be written as JSON; replace them, by null or a string",
                       text != NULL ? text : "", path.len != 0 ? ": " : "");
    flow_buf_done(&path);
    return false;
}

static bool note_inexact(Writer *w)
{
    if (w->inexact_paths == NULL || flow_array_count(*w->inexact_paths) >= FLOW_JSON_MAX_INEXACT_PATHS)
        return true;
    FlowBuf path;
    FlowValue text;
    flow_buf_init(&path, FLOW_PATH_MAX_BYTES);
    append_path(w, &path);
    w->status = flow_value_try_string(path.data != NULL ? path.data : "", path.len, &text, w->reterr);
    flow_buf_done(&path);
    if (w->status == FLOW_OK)
        w->status = flow_array_push_take(w->inexact_paths, text, w->reterr);
    return w->status == FLOW_OK;
}

/* ---- values ---- */

static char *put_int(Writer *w, char *at, int64_t integer)
{
    if (!(w->flags & FLOW_JSON_WRITE_SAFE_INTS) || flow_int_is_safe(integer))
        return at + flow_format_int(at, integer);
    *at++ = '"';
    at += flow_format_int(at, integer);
    *at++ = '"';
    return note_inexact(w) ? at : NULL;
}

static char *put_float(Writer *w, char *at, double number)
{
    size_t length = flow_format_double(at, number, FLOW_DOUBLE_JSON);
    if (length == 0) {
        if (!(w->flags & FLOW_JSON_WRITE_NONFINITE_NULL))
            return not_finite(w);
        memcpy(at, "null", length = 4);
    }
    return at + length;
}

/* What stands between two parts, or before the first and behind the last one. */
static char *put_break(Writer *w, char *at, bool comma, bool inside)
{
    if (comma)
        *at++ = ',';
    if (w->flags & FLOW_JSON_WRITE_PRETTY) {
        size_t indent = 2 * (w->depth - !inside);
        at = room_for(w, at, indent + 1);
        if (at == NULL)
            return NULL;
        *at++ = '\n';
        memset(at, ' ', indent);
        at += indent;
    } else if (comma) {
        *at++ = ' ';
    }
    return at;
}

static char *put_value(Writer *w, char *at, const FlowValue *value);

/* The beginning of a part: what separates it from the one before. */
static inline char *put_part(Writer *w, char *at, bool first)
{
    at = room(w, at);
    if (at == NULL)
        return NULL;
    if (w->flags & STYLED)
        return put_break(w, at, !first, true);
    if (!first)
        *at++ = ',';
    return at;
}

static char *put_end(Writer *w, char *at, bool is_empty, char bracket)
{
    at = room(w, at);
    if (at != NULL && w->flags & STYLED && !is_empty)
        at = put_break(w, at, false, false);
    if (at == NULL)
        return NULL;
    w->depth--;
    *at++ = bracket;
    return at;
}

static char *put_array(Writer *w, char *at, FlowValue array)
{
    size_t count;
    const FlowValue *items = flow_array_items(array, &count);
    *at++ = '[';
    Step *step = &w->steps[w->depth++];
    step->key = NULL;
    for (size_t i = 0; i < count; i++) {
        step->index = i;
        at = put_part(w, at, i == 0);
        if (at != NULL)
            at = put_value(w, at, &items[i]);
        if (at == NULL)
            return NULL;
    }
    return put_end(w, at, count == 0, ']');
}

static inline char *put_member(Writer *w, char *at, const FlowMember *member, bool first)
{
    at = put_part(w, at, first);
    if (at == NULL)
        return NULL;
    w->steps[w->depth - 1].key = &member->key;
    at = put_string_value(w, at, &member->key);
    if (at == NULL)
        return NULL;
    *at++ = ':';
    if (w->flags & STYLED)
        *at++ = ' ';
    return put_value(w, at, &member->value);
}

static int by_key(const void *a, const void *b)
{
    const FlowValue *x = &(*(const FlowMember *const *)a)->key, *y = &(*(const FlowMember *const *)b)->key;
    size_t length_x = flow_value_length(x), length_y = flow_value_length(y);
    int order = memcmp(flow_value_text(x), flow_value_text(y), length_x < length_y ? length_x : length_y);
    return order != 0 ? order : (length_x > length_y) - (length_x < length_y);
}

static char *put_sorted(Writer *w, char *at, const FlowMember *members, size_t count)
{
    const FlowMember **sorted = flow_try_calloc(count, sizeof *sorted);
    if (sorted == NULL)
        return failed(w, flow_value__no_memory(count * sizeof *sorted, w->reterr));
    for (size_t i = 0; i < count; i++)
        sorted[i] = &members[i];
    qsort(sorted, count, sizeof *sorted, by_key);
    for (size_t i = 0; at != NULL && i < count; i++)
        at = put_member(w, at, sorted[i], i == 0);
    free(sorted);
    return at;
}

static char *put_object(Writer *w, char *at, FlowValue object)
{
    size_t count;
    const FlowMember *members = flow_object_members(object, &count);
    *at++ = '{';
    w->depth++;
    if (w->flags & FLOW_JSON_WRITE_SORTED && count > 1) {
        at = put_sorted(w, at, members, count);
    } else {
        for (size_t i = 0; at != NULL && i < count; i++)
            at = put_member(w, at, &members[i], i == 0);
    }
    return at != NULL ? put_end(w, at, count == 0, '}') : NULL;
}

/* Recursion: as deep as the value, which is at most FLOW_VALUE_MAX_DEPTH. */
static char *put_value(Writer *w, char *at, const FlowValue *value)
{
    at = room(w, at);
    if (at == NULL)
        return NULL;
    switch (flow_value_kind(*value)) {
    case FLOW_VALUE_BOOL:
        memcpy(at, flow_value_get_bool(*value) ? "true" : "fals", 4);
        at[4] = 'e';
        return at + 5 - flow_value_get_bool(*value);
    case FLOW_VALUE_INT:
        return put_int(w, at, flow_value_get_int(*value));
    case FLOW_VALUE_FLOAT:
        return put_float(w, at, flow_value_get_float(*value));
    case FLOW_VALUE_STRING:
        return put_string_value(w, at, value);
    case FLOW_VALUE_ARRAY:
        return put_array(w, at, *value);
    case FLOW_VALUE_OBJECT:
        return put_object(w, at, *value);
    default:
        memcpy(at, "null", 4);
        return at + 4;
    }
}

/* ---- the doors ---- */

FlowStatus flow_json_write(FlowValue value, FlowBuf *buf, unsigned flags, FlowError *reterr)
{
    Writer w;
    char *at = begin(&w, buf, flags, reterr);
    return finish(&w, at != NULL ? put_value(&w, at, &value) : NULL);
}

FlowStatus flow_json_write_safe(FlowValue value, FlowBuf *buf, unsigned flags, FlowValue *inexact_paths,
                                FlowError *reterr)
{
    Writer w;
    char *at = begin(&w, buf, flags | FLOW_JSON_WRITE_SAFE_INTS, reterr);
    w.inexact_paths = inexact_paths;
    return finish(&w, at != NULL ? put_value(&w, at, &value) : NULL);
}

void flow_json_write_string(FlowBuf *buf, const char *text, size_t length, unsigned flags)
{
    Writer w;
    char *at = begin(&w, buf, flags, NULL);
    finish(&w, at != NULL ? put_string(&w, at, text, length, text + length) : NULL);
}

char *flow_json_text(FlowValue value, unsigned flags)
{
    FlowBuf buf;
    flow_buf_init(&buf, 0);
    FlowStatus status = flow_json_write(value, &buf, flags | FLOW_JSON_WRITE_NONFINITE_NULL, NULL);
    char *text = status == FLOW_OK ? flow_buf_take(&buf, NULL) : NULL;
    flow_buf_done(&buf);
    return text;
}
