/*
 * json_read.c - JSON text to a value, in one pass and without recursion.
 *
 * Values that are read wait on a stack; a closing bracket makes those since its opening one into an array or
 * object. The members of an object lie on the stack just as they will lie in its box: key, value, key, value.
 */
#include "value/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "value/box.h"
#include "value/json_read.h"
#include "value/number_parse.h"
#include "value/scan.h"

/*
 * What reads a part takes a place in the text and answers the place behind that part; NULL after a failure,
 * which r->status and r->reterr tell.
 */

static const char *failed(FlowJsonReader *r, FlowStatus status)
{
    r->status = status;
    return NULL;
}

/* ---- the stack of values ---- */

static const char *stack_grow(FlowJsonReader *r, const char *p)
{
    size_t count = (size_t)(r->top - r->stack), capacity = (size_t)(r->stack_end - r->stack) * 2;
    FlowValue *old = r->stack == r->first ? NULL : r->stack;
    FlowValue *grown = flow_try_realloc_array(old, capacity, sizeof *grown);
    if (grown == NULL)
        return failed(r, flow_value__no_memory(capacity * sizeof *grown, r->reterr));
    if (old == NULL)
        memcpy(grown, r->first, count * sizeof *grown);
    r->stack = grown;
    r->top = grown + count;
    r->stack_end = grown + capacity;
    return p;
}

static const char *make_room_slow(FlowJsonReader *r, const char *p)
{
    if (r->values_left == 0)
        return flow_json__fail(r, p, "JSON_TOO_LARGE", "more than %zu values; send less or raise the bound",
                               r->values_limit);
    return stack_grow(r, p);
}

/* Makes r->top a place for one value more, which is counted. Values are made there, not copied there. */
static inline const char *make_room(FlowJsonReader *r, const char *p)
{
    if (__builtin_expect(r->values_left == 0 || r->top == r->stack_end, 0))
        p = make_room_slow(r, p);
    r->values_left--;
    return p;
}

/* ---- strings ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX; -1 when they are not. */
static int32_t read_hex(const char *p, const char *end)
{
    int32_t code = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* Decodes \uXXXX at `p`, with its second half where it is a surrogate, to *to, which moves on. */
static const char *read_unicode_escape(FlowJsonReader *r, const char *p, char **to)
{
    int32_t code = read_hex(p + 2, r->end);
    if (code < 0)
        return flow_json__fail(r, p, "INVALID_JSON", "\\u needs four hexadecimal digits");
    if (code == 0 && r->flags & FLOW_JSON_READ_NO_NUL)
        return flow_json__fail(r, p, "INVALID_JSON", "the character \\u0000 is not allowed here; remove it");
    size_t length = 6;
    if (code >= 0xd800 && code <= 0xdfff) {
        int32_t low = r->end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? read_hex(p + 8, r->end) : -1;
        if (code >= 0xdc00 || low < 0xdc00 || low > 0xdfff)
            return flow_json__fail(
                r, p, "INVALID_JSON",
                "\\u%04x is half of a surrogate pair; write both halves or the character itself",
                (unsigned)code);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        length = 12;
    }
    *to += flow_utf8_encode((uint32_t)code, *to);
    return p + length;
}

static const char *read_escape(FlowJsonReader *r, const char *p, char **to)
{
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (r->end - p < 2)
        return flow_json__fail(r, r->end, "INVALID_JSON", "the text ends inside a string; is it cut off?");
    if (p[1] == 'u')
        return read_unicode_escape(r, p, to);
    for (const char *pair = plain; *pair != '\0'; pair += 2) {
        if (pair[0] == p[1]) {
            *(*to)++ = pair[1];
            return p + 2;
        }
    }
    return flow_json__fail(
        r, p, "INVALID_JSON",
        "no such escape; a backslash itself is written \\\\, and only \" \\ / b f n r t u may follow one");
}

static const char *scratch_reserve(FlowJsonReader *r, size_t size, const char *p)
{
    if (size <= r->scratch_capacity)
        return p;
    size_t capacity = size < 4096 ? 4096 : size + size / 2;
    char *grown = flow_try_realloc_array(r->scratch, capacity, 1);
    if (grown == NULL)
        return failed(r, flow_value__no_memory(capacity, r->reterr));
    r->scratch = grown;
    r->scratch_capacity = capacity;
    return p;
}

/* That the text from `start` to `p` is UTF-8. */
static const char *check_text(FlowJsonReader *r, const char *start, const char *p)
{
    const char *valid = start + flow_utf8_valid_prefix(start, (size_t)(p - start));
    if (valid == p)
        return p;
    return flow_json__fail(r, valid, "INVALID_JSON", "byte 0x%02x is no UTF-8; encode the text as UTF-8",
                           (unsigned char)*valid);
}

static const char *make_string(FlowJsonReader *r, const char *text, size_t length, FlowValue *ret_value,
                               const char *p)
{
    FlowStatus status = flow_value_try_string(text, length, ret_value, r->reterr);
    return status == FLOW_OK ? p : failed(r, status);
}

/* A string ends at `p`: with a quote, as it should? */
static const char *check_end(FlowJsonReader *r, const char *p)
{
    if (p == r->end)
        return flow_json__fail(r, p, "INVALID_JSON", "the text ends inside a string; is it cut off?");
    if (*p != '"')
        return flow_json__fail(r, p, "INVALID_JSON",
                               "the control character 0x%02x stands in a string; write \\u%04x",
                               (unsigned char)*p, (unsigned char)*p);
    return p;
}

/*
 * The string begins at `start` and has its first backslash at `p`; `high`: and something before it that isn't
 * ASCII.
 */
static const char *read_escaped(FlowJsonReader *r, const char *start, const char *p, bool high,
                                FlowValue *ret_value)
{
    size_t length = 0;
    for (;;) {
        size_t plain = (size_t)(p - start);
        if ((high && check_text(r, start, p) == NULL) ||
            scratch_reserve(r, length + plain + FLOW_UTF8_MAX, p) == NULL)
            return NULL;
        memcpy(r->scratch + length, start, plain);
        length += plain;
        if (p == r->end || *p != '\\')
            break;
        char *to = r->scratch + length;
        start = read_escape(r, p, &to);
        if (start == NULL)
            return NULL;
        length = (size_t)(to - r->scratch);
        high = false;
        p = flow_scan__plain(start, r->end, &high);
    }
    if (check_end(r, p) == NULL)
        return NULL;
    return make_string(r, r->scratch, length, ret_value, p + 1);
}

/* `start` is behind the opening quote. */
static const char *read_any_string(FlowJsonReader *r, const char *start, FlowValue *ret_value)
{
    bool high = false;
    const char *p = flow_scan__plain(start, r->end, &high);
    if (p < r->end && *p == '\\')
        return read_escaped(r, start, p, high, ret_value);
    if ((high && check_text(r, start, p) == NULL) || check_end(r, p) == NULL)
        return NULL;
    return make_string(r, start, (size_t)(p - start), ret_value, p + 1);
}

static inline const char *read_string(FlowJsonReader *r, const char *p, FlowValue *ret_value)
{
#ifdef __SSE2__
    /* Most strings are short ASCII: one load finds the end, and with the rest masked it is the value. */
    static const char keep[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    if (r->end - p >= FLOW_SCAN_STEP) {
        uint32_t high, special = flow_scan__special(p, &high);
        unsigned length = (unsigned)__builtin_ctz(special | 1u << 16);
        if (length <= FLOW_VALUE_SHORT_STRING && p[length] == '"' && (high & ((1u << length) - 1)) == 0) {
            uint64_t tail = (uint64_t)FLOW_VALUE_STRING << 56 | (uint64_t)(FLOW_VALUE_SHORT_STRING - length)
                                                                    << 48;
            __m128i bytes = _mm_loadu_si128((const __m128i *)p);
            __m128i mask = _mm_loadu_si128((const __m128i *)(keep + 16 - length));
            __m128i value = _mm_or_si128(_mm_and_si128(bytes, mask), _mm_set_epi64x((int64_t)tail, 0));
            _mm_storeu_si128((__m128i *)ret_value, value);
            return p + length + 1;
        }
    }
#endif
    return read_any_string(r, p, ret_value);
}

/* ---- numbers ---- */

static const char *too_large(FlowJsonReader *r, const char *at)
{
    return flow_json__fail(r, at, "NUMBER_TOO_LARGE",
                           "the number is too large for a double; send it as a string");
}

static const char *read_number(FlowJsonReader *r, const char *start, FlowValue *ret_value)
{
    bool negative = *start == '-';
    const char *p = start + negative;
    FlowDecimal decimal;
    bool complete = flow_decimal__scan(p, r->end, &decimal);
    if (decimal.whole_digits == 0)
        return flow_json__fail(r, p, "INVALID_JSON", "a number needs a digit behind its minus sign");
    if (*p == '0' && decimal.whole_digits > 1)
        return flow_json__fail(r, p, "INVALID_JSON", "a number can't begin with 0; remove the leading zeros");
    if (decimal.has_point && decimal.fraction_digits == 0)
        return flow_json__fail(r, p + decimal.whole_digits + 1, "INVALID_JSON",
                               "a number needs a digit behind its point");
    if (!complete)
        return flow_json__fail(r, decimal.end, "INVALID_JSON", "a number needs a digit in its exponent");
    if (!decimal.has_point && !decimal.has_exponent) {
        if (!decimal.cut && decimal.digits <= (uint64_t)INT64_MAX + negative) {
            *ret_value = flow_value_int((int64_t)(negative ? 0 - decimal.digits : decimal.digits));
            return decimal.end;
        }
        if (!(r->flags & FLOW_JSON_READ_BIG_AS_FLOAT))
            return flow_json__fail(
                r, start, "NUMBER_TOO_LARGE",
                "the integer has more than 64 bits and can't be kept exactly; send it as a string");
    }
    double number = flow_decimal__to_double(&decimal);
    if (number > 1.7976931348623157e308)
        return too_large(r, start);
    *ret_value = flow_value_float(negative ? -number : number);
    return decimal.end;
}

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/*
 * The place behind an integer of up to 18 digits, which can't overflow; NULL when something else stands
 * there.
 */
static inline const char *read_small_int(const char *p, const char *end, FlowValue *ret_value)
{
    enum { MOST = 20 };
    if (end - p < MOST)
        return NULL;
    bool negative = *p == '-';
    p += negative;
    const char *first = p;
    uint64_t digits = 0;
    while (is_digit(*p) && p - first < MOST - 2)
        digits = digits * 10 + (uint64_t)(*p++ - '0');
    if (p == first || (*first == '0' && p - first > 1) || *p == '.' || (*p | 0x20) == 'e' || is_digit(*p))
        return NULL;
    *ret_value = flow_value_int((int64_t)(negative ? 0 - digits : digits));
    return p;
}

/* ---- arrays and objects ---- */

static const char *open_container(FlowJsonReader *r, const char *p, bool is_object)
{
    if (r->depth == r->depth_limit)
        return flow_json__fail(r, p, "JSON_TOO_DEEP", "nested deeper than %u levels; flatten it",
                               r->depth_limit);
    r->frames[r->depth++] = (FlowJsonFrame){(size_t)(r->top - r->stack), p, is_object};
    return p + 1;
}

/* Equal keys: the last value wins, at the place of the first. */
static FlowStatus object_with_duplicates(FlowMember *members, size_t count, FlowValue *ret_object,
                                         FlowError *reterr)
{
    FlowValue object = flow_value_object();
    FlowStatus status = flow_object_reserve(&object, count, reterr);
    for (size_t i = 0; status == FLOW_OK && i < count; i++) {
        status = flow_object_set_key_take(&object, members[i].key, members[i].value, reterr);
        members[i].value = flow_value_null();
        flow_value_clear(&members[i].key);
    }
    if (status == FLOW_OK)
        *ret_object = object;
    else
        flow_value_unref(object);
    return status;
}

/* The values since the opening bracket become one. On failure they stay on the stack. */
static const char *close_container(FlowJsonReader *r, const char *p)
{
    const FlowJsonFrame *frame = &r->frames[r->depth - 1];
    FlowValue *first = r->stack + frame->start, made;
    size_t count = (size_t)(r->top - first);
    FlowStatus status;
    if (frame->is_object) {
        FlowMember *members = (FlowMember *)first;
        int64_t twice;
        status = flow_object__adopt(members, count / 2, &made, &twice, r->reterr);
        if (twice >= 0 && !(r->flags & FLOW_JSON_READ_DUPLICATES))
            return flow_json__fail_duplicate(r, &members[twice].key, (size_t)twice);
        if (twice >= 0)
            status = object_with_duplicates(members, count / 2, &made, r->reterr);
    } else {
        status = flow_array__adopt(first, count, &made, r->reterr);
    }
    if (status != FLOW_OK)
        return failed(r, status);
    r->depth--;
    r->top = first;
    *r->top++ = made;
    return p + 1;
}

/* ---- the grammar ---- */

static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p <= ' ') {
        if (*p != ' ' && *p != '\n' && *p != '\t' && *p != '\r')
            break;
        p++;
    }
    return p;
}

static inline const char *read_word(FlowJsonReader *r, const char *p, const char *word, size_t length,
                                    FlowValue value, FlowValue *ret_value)
{
    if ((size_t)(r->end - p) < length || memcmp(p, word, length) != 0)
        return flow_json__fail_value(r, p);
    *ret_value = value;
    return p + length;
}

/* A value that is no array or object. */
static inline const char *read_scalar(FlowJsonReader *r, const char *p, FlowValue *ret_value)
{
    const char *behind;
    switch (*p) {
    case '"':
        return read_string(r, p + 1, ret_value);
    case 't':
        return read_word(r, p, "true", 4, flow_value_bool(true), ret_value);
    case 'f':
        return read_word(r, p, "false", 5, flow_value_bool(false), ret_value);
    case 'n':
        return read_word(r, p, "null", 4, flow_value_null(), ret_value);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        behind = read_small_int(p, r->end, ret_value);
        return behind != NULL ? behind : read_number(r, p, ret_value);
    default:
        return flow_json__fail_value(r, p);
    }
}

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Leaves the one value on the stack; NULL after a failure. */
static const char *read_all(FlowJsonReader *r)
{
    const char *p = r->text, *const end = r->end;

value:
    p = skip_space(p, end);
    if (UNLIKELY(p == end))
        return flow_json__fail_value(r, p);
    p = make_room(r, p);
    if (UNLIKELY(p == NULL))
        return NULL;
    if (*p == '{' || *p == '[') {
        bool is_object = *p == '{';
        p = open_container(r, p, is_object);
        if (UNLIKELY(p == NULL))
            return NULL;
        p = skip_space(p, end);
        if (p < end && *p == (is_object ? '}' : ']'))
            goto close;
        if (is_object)
            goto key;
        goto value;
    }
    p = read_scalar(r, p, r->top);
    if (UNLIKELY(p == NULL))
        return NULL;
    r->top++;

after_value:
    p = skip_space(p, end);
    if (r->depth == 0)
        return UNLIKELY(p != end) ? flow_json__fail_trailing(r, p) : p;
    if (UNLIKELY(p == end))
        return flow_json__fail_separator(r, p);
    if (r->frames[r->depth - 1].is_object) {
        if (*p == ',') {
            p = skip_space(p + 1, end);
            goto key;
        }
        if (*p == '}')
            goto close;
    } else {
        if (*p == ',') {
            p++;
            goto value;
        }
        if (*p == ']')
            goto close;
    }
    return flow_json__fail_separator(r, p);

key:
    if (UNLIKELY(p == end || *p != '"'))
        return flow_json__fail_key(r, p);
    p = make_room(r, p);
    if (UNLIKELY(p == NULL))
        return NULL;
    p = read_string(r, p + 1, r->top);
    if (UNLIKELY(p == NULL))
        return NULL;
    r->top++;
    p = skip_space(p, end);
    if (UNLIKELY(p == end || *p != ':'))
        return flow_json__fail_colon(r, p);
    p++;
    goto value;

close:
    p = close_container(r, p);
    if (UNLIKELY(p == NULL))
        return NULL;
    goto after_value;
}

FlowStatus flow_json_read(const char *text, size_t length, const FlowJsonLimits *limits, FlowValue *ret_value,
                          FlowError *reterr)
{
    static const FlowJsonLimits none;
    if (limits == NULL)
        limits = &none;
    size_t bytes_limit = limits->bytes != 0 ? limits->bytes : FLOW_JSON_DEFAULT_BYTES;
    if (length > bytes_limit)
        return flow_error_set(
            reterr, FLOW_INVALID_ARGUMENT, "JSON_TOO_LARGE", NULL,
            "the JSON text has %zu bytes, at most %zu are allowed; send less or raise the bound", length,
            bytes_limit);
    /* Not by an initialiser: that would clear the stack, too. */
    FlowJsonReader r;
    r.text = length != 0 ? text : "";
    r.end = r.text + length;
    r.stack = r.top = r.first;
    r.stack_end = r.first + FLOW_COUNT(r.first);
    r.depth = 0;
    r.depth_limit = limits->depth != 0 ? limits->depth : FLOW_JSON_DEFAULT_DEPTH;
    if (r.depth_limit > FLOW_VALUE_MAX_DEPTH)
        r.depth_limit = FLOW_VALUE_MAX_DEPTH;
    r.values_limit = r.values_left = limits->values != 0 ? limits->values : FLOW_JSON_DEFAULT_VALUES;
    r.flags = limits->flags;
    r.scratch = NULL;
    r.scratch_capacity = 0;
    r.status = FLOW_OK;
    r.reterr = reterr;
    if (read_all(&r) != NULL) {
        *ret_value = r.stack[0];
    } else {
        while (r.top > r.stack)
            flow_value_unref(*--r.top);
    }
    if (r.stack != r.first)
        free(r.stack);
    free(r.scratch);
    return r.status;
}
