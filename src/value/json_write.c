/*
 * json_write.c - a value as JSON text.
 *
 * The writer has a cursor of its own into the buffer's memory, which it makes SLACK bytes longer than it
 * says: so pieces up to that length are written without asking, and whether the limit was passed is seen
 * before the next piece.
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
    char *at, *end; /* at `end` there are SLACK bytes left */
    FlowBuf *buf;
    size_t memory; /* how much buf->data really has */
    unsigned flags, depth;
    FlowValue *inexact_paths;
    FlowStatus status;
    FlowError *reterr;
    Step steps[FLOW_VALUE_MAX_DEPTH];
} Writer;

/* ---- room in the buffer ---- */

static bool room_slow(Writer *w, size_t more)
{
    FlowBuf *buf = w->buf;
    size_t used = (size_t)(w->at - buf->data);
    if (more > buf->limit || used > buf->limit - more) {
        w->status =
            flow_error_set(w->reterr, FLOW_RESOURCE_EXHAUSTED, "JSON_TOO_LARGE", NULL,
                           "the JSON text would be larger than the %zu bytes that are allowed", buf->limit);
        return false;
    }
    size_t capacity = used + more;
    if (capacity < w->memory * 2)
        capacity = w->memory * 2;
    if (capacity < 256)
        capacity = 256;
    if (capacity > buf->limit)
        capacity = buf->limit;
    char *grown = flow_try_realloc_array(buf->data, capacity + SLACK, 1);
    if (grown == NULL) {
        w->status = flow_value__no_memory(capacity, w->reterr);
        return false;
    }
    buf->data = grown;
    w->memory = capacity + SLACK;
    w->at = grown + used;
    w->end = grown + capacity;
    return true;
}

/* Room for a piece of at most SLACK bytes. */
static inline bool room(Writer *w)
{
    return __builtin_expect(w->at <= w->end, 1) || room_slow(w, 0);
}

/* Room for `size` bytes and a short piece behind them. */
static inline bool room_for(Writer *w, size_t size)
{
    return (w->at <= w->end && size <= (size_t)(w->end - w->at)) || room_slow(w, size);
}

static bool begin(Writer *w, FlowBuf *buf, unsigned flags, FlowError *reterr)
{
    w->buf = buf;
    w->memory = buf->capacity;
    w->flags = flags;
    w->depth = 0;
    w->inexact_paths = NULL;
    w->status = FLOW_OK;
    w->reterr = reterr;
    w->at = buf->data != NULL ? buf->data + buf->len : NULL;
    if (buf->failed) {
        w->status = flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "JSON_TOO_LARGE", NULL,
                                   "the buffer had reached its bound of %zu bytes before", buf->limit);
        return false;
    }
    if (buf->capacity < SLACK)
        return room_slow(w, 0);
    w->end = buf->data + buf->capacity - SLACK;
    return true;
}

static FlowStatus finish(Writer *w)
{
    FlowBuf *buf = w->buf;
    if (w->status == FLOW_OK && (size_t)(w->at - buf->data) > buf->limit)
        room_slow(w, 0);
    /* The slack belongs to the buffer now, as far as its limit allows. */
    buf->capacity = w->memory < buf->limit ? w->memory : buf->limit;
    buf->len = (size_t)(w->at - buf->data) < buf->capacity ? (size_t)(w->at - buf->data) : buf->capacity;
    if (w->status == FLOW_RESOURCE_EXHAUSTED)
        buf->failed = true;
    return w->status;
}

/* ---- strings ---- */

static inline void put_hex(Writer *w, uint32_t code)
{
    static const char digits[] = "0123456789abcdef";
    char *at = w->at;
    at[0] = '\\';
    at[1] = 'u';
    at[2] = digits[code >> 12 & 15];
    at[3] = digits[code >> 8 & 15];
    at[4] = digits[code >> 4 & 15];
    at[5] = digits[code & 15];
    w->at = at + 6;
}

/* The character at `p`, which can't stand as it is; answers its length. */
static size_t put_escaped(Writer *w, const char *p, size_t length)
{
    static const char shorts[] = "\"\"\\\\b\bf\fn\nr\rt\t";
    unsigned char c = (unsigned char)*p;
    if (c >= 0x80) {
        size_t size;
        uint32_t code = flow_utf8_decode(p, length, &size);
        if (code == FLOW_UTF8_INVALID)
            code = 0xfffd;
        if (code >= 0x10000) {
            put_hex(w, 0xd800 + ((code - 0x10000) >> 10));
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        put_hex(w, code);
        return size;
    }
    for (const char *pair = shorts; *pair != '\0'; pair += 2) {
        if ((unsigned char)pair[1] == c) {
            *w->at++ = '\\';
            *w->at++ = pair[0];
            return 1;
        }
    }
    put_hex(w, c);
    return 1;
}

/* In ASCII, DEL is escaped like everything that isn't printable: as Python has it. */
static uint32_t not_ascii(const char *p, uint32_t high)
{
    for (unsigned i = 0; i < FLOW_SCAN_STEP; i++)
        high |= (uint32_t)(p[i] == 0x7f) << i;
    return high;
}

/* Up to `readable`, at or behind the end of the text, there is memory. */
static bool put_string(Writer *w, const char *p, size_t length, const char *readable)
{
    bool ascii = w->flags & FLOW_JSON_WRITE_ASCII;
    if (!room(w))
        return false;
    *w->at++ = '"';
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
        if (!room(w))
            return false;
        memcpy(w->at, from, FLOW_SCAN_STEP);
        size_t plain = (size_t)__builtin_ctz(special | 1u << 16);
        if (plain >= length) {
            w->at += length;
            break;
        }
        w->at += plain;
        p += plain;
        length -= plain;
        if (special != 0) {
            size_t taken = put_escaped(w, p, length);
            p += taken;
            length -= taken;
        }
    }
    if (!room(w))
        return false;
    *w->at++ = '"';
    return true;
}

static inline bool put_string_value(Writer *w, const FlowValue *string)
{
    const char *text = flow_value_text(string);
    size_t length = flow_value_length(string);
    return put_string(w, text, length,
                      length > FLOW_VALUE_SHORT_STRING ? text + length + FLOW_STRING_PADDING : text + 16);
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

static bool not_finite(Writer *w)
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

static bool put_int(Writer *w, int64_t integer)
{
    if (!(w->flags & FLOW_JSON_WRITE_SAFE_INTS) || flow_int_is_safe(integer)) {
        w->at += flow_format_int(w->at, integer);
        return true;
    }
    *w->at++ = '"';
    w->at += flow_format_int(w->at, integer);
    *w->at++ = '"';
    return note_inexact(w);
}

static bool put_float(Writer *w, double number)
{
    size_t length = flow_format_double(w->at, number, FLOW_DOUBLE_JSON);
    if (length == 0) {
        if (!(w->flags & FLOW_JSON_WRITE_NONFINITE_NULL))
            return not_finite(w);
        memcpy(w->at, "null", length = 4);
    }
    w->at += length;
    return true;
}

/* What stands between two parts, or before the first and behind the last one. */
static bool put_break(Writer *w, bool comma, bool inside)
{
    if (comma)
        *w->at++ = ',';
    if (w->flags & FLOW_JSON_WRITE_PRETTY) {
        size_t indent = 2 * (w->depth - !inside);
        if (!room_for(w, indent))
            return false;
        *w->at++ = '\n';
        memset(w->at, ' ', indent);
        w->at += indent;
    } else if (comma) {
        *w->at++ = ' ';
    }
    return true;
}

static bool put_value(Writer *w, const FlowValue *value);

static bool put_array(Writer *w, FlowValue array)
{
    size_t count;
    const FlowValue *items = flow_array_items(array, &count);
    bool styled = w->flags & STYLED;
    *w->at++ = '[';
    Step *step = &w->steps[w->depth++];
    step->key = NULL;
    for (size_t i = 0; i < count; i++) {
        step->index = i;
        if (!room(w))
            return false;
        if (styled) {
            if (!put_break(w, i > 0, true))
                return false;
        } else if (i > 0) {
            *w->at++ = ',';
        }
        if (!put_value(w, &items[i]))
            return false;
    }
    if (!room(w) || (styled && count > 0 && !put_break(w, false, false)))
        return false;
    w->depth--;
    *w->at++ = ']';
    return true;
}

static bool put_member(Writer *w, const FlowMember *member, bool first)
{
    if (!room(w))
        return false;
    if (w->flags & STYLED) {
        if (!put_break(w, !first, true))
            return false;
    } else if (!first) {
        *w->at++ = ',';
    }
    w->steps[w->depth - 1].key = &member->key;
    if (!put_string_value(w, &member->key))
        return false;
    *w->at++ = ':';
    if (w->flags & STYLED)
        *w->at++ = ' ';
    return put_value(w, &member->value);
}

static int by_key(const void *a, const void *b)
{
    const FlowValue *x = &(*(const FlowMember *const *)a)->key, *y = &(*(const FlowMember *const *)b)->key;
    size_t length_x = flow_value_length(x), length_y = flow_value_length(y);
    int order = memcmp(flow_value_text(x), flow_value_text(y), length_x < length_y ? length_x : length_y);
    return order != 0 ? order : (length_x > length_y) - (length_x < length_y);
}

static bool put_sorted(Writer *w, const FlowMember *members, size_t count)
{
    const FlowMember **sorted = flow_try_calloc(count, sizeof *sorted);
    bool good = sorted != NULL;
    if (!good)
        w->status = flow_value__no_memory(count * sizeof *sorted, w->reterr);
    for (size_t i = 0; good && i < count; i++)
        sorted[i] = &members[i];
    if (good)
        qsort(sorted, count, sizeof *sorted, by_key);
    for (size_t i = 0; good && i < count; i++)
        good = put_member(w, sorted[i], i == 0);
    free(sorted);
    return good;
}

static bool put_object(Writer *w, FlowValue object)
{
    size_t count;
    const FlowMember *members = flow_object_members(object, &count);
    *w->at++ = '{';
    w->depth++;
    if (w->flags & FLOW_JSON_WRITE_SORTED && count > 1) {
        if (!put_sorted(w, members, count))
            return false;
    } else {
        for (size_t i = 0; i < count; i++) {
            if (!put_member(w, &members[i], i == 0))
                return false;
        }
    }
    if (!room(w) || (w->flags & STYLED && count > 0 && !put_break(w, false, false)))
        return false;
    w->depth--;
    *w->at++ = '}';
    return true;
}

/* Recursion: as deep as the value, which is at most FLOW_VALUE_MAX_DEPTH. */
static bool put_value(Writer *w, const FlowValue *value)
{
    static const char words[3][6] = {"null", "false", "true"};
    if (!room(w))
        return false;
    switch (flow_value_kind(*value)) {
    case FLOW_VALUE_BOOL:
        memcpy(w->at, words[1 + flow_value_get_bool(*value)], 5);
        w->at += 5 - flow_value_get_bool(*value);
        return true;
    case FLOW_VALUE_INT:
        return put_int(w, flow_value_get_int(*value));
    case FLOW_VALUE_FLOAT:
        return put_float(w, flow_value_get_float(*value));
    case FLOW_VALUE_STRING:
        return put_string_value(w, value);
    case FLOW_VALUE_ARRAY:
        return put_array(w, *value);
    case FLOW_VALUE_OBJECT:
        return put_object(w, *value);
    default:
        memcpy(w->at, words[0], 4);
        w->at += 4;
        return true;
    }
}

/* ---- the doors ---- */

FlowStatus flow_json_write(FlowValue value, FlowBuf *buf, unsigned flags, FlowError *reterr)
{
    Writer w;
    if (!begin(&w, buf, flags, reterr))
        return w.status;
    put_value(&w, &value);
    return finish(&w);
}

FlowStatus flow_json_write_safe(FlowValue value, FlowBuf *buf, unsigned flags, FlowValue *inexact_paths,
                                FlowError *reterr)
{
    Writer w;
    if (!begin(&w, buf, flags | FLOW_JSON_WRITE_SAFE_INTS, reterr))
        return w.status;
    w.inexact_paths = inexact_paths;
    put_value(&w, &value);
    return finish(&w);
}

void flow_json_write_string(FlowBuf *buf, const char *text, size_t length, unsigned flags)
{
    Writer w;
    if (!begin(&w, buf, flags, NULL)) {
        buf->failed = true;
        return;
    }
    put_string(&w, text, length, text + length);
    finish(&w);
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
