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

/* ---- the stack of values ---- */

static FlowStatus stack_grow(FlowJsonReader *r)
{
    size_t count = (size_t)(r->top - r->stack), capacity = (size_t)(r->stack_end - r->stack) * 2;
    FlowValue *old = r->stack == r->first ? NULL : r->stack;
    FlowValue *grown = flow_try_realloc_array(old, capacity, sizeof *grown);
    if (grown == NULL)
        return flow_value__no_memory(capacity * sizeof *grown, r->reterr);
    if (old == NULL)
        memcpy(grown, r->first, count * sizeof *grown);
    r->stack = grown;
    r->top = grown + count;
    r->stack_end = grown + capacity;
    return FLOW_OK;
}

static inline FlowStatus push_take(FlowJsonReader *r, const char *at, FlowValue value_take)
{
    FlowStatus status = FLOW_OK;
    if (r->values_left-- == 0)
        status = flow_json__fail(r, at, "JSON_TOO_LARGE",
                                 "more than %zu values; send less or raise the bound", r->values_limit);
    else if (r->top == r->stack_end)
        status = stack_grow(r);
    if (status == FLOW_OK)
        *r->top++ = value_take;
    else
        flow_value_unref(value_take);
    return status;
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

/* Decodes \uXXXX (`p` is behind the u), with its second half where it is a surrogate. */
static FlowStatus read_unicode_escape(FlowJsonReader *r, const char **p, char **to)
{
    const char *escape = *p - 2;
    int32_t code = read_hex(*p, r->end);
    if (code < 0)
        return flow_json__fail(r, escape, "INVALID_JSON", "\\u needs four hexadecimal digits");
    *p += 4;
    if (code == 0 && r->flags & FLOW_JSON_READ_NO_NUL)
        return flow_json__fail(r, escape, "INVALID_JSON",
                               "the character \\u0000 is not allowed here; remove it");
    if (code >= 0xd800 && code <= 0xdfff) {
        int32_t low = r->end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' ? read_hex(*p + 2, r->end) : -1;
        if (code >= 0xdc00 || low < 0xdc00 || low > 0xdfff)
            return flow_json__fail(
                r, escape, "INVALID_JSON",
                "\\u%04x is half of a surrogate pair; write both halves or the character itself",
                (unsigned)code);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        *p += 6;
    }
    *to += flow_utf8_encode((uint32_t)code, *to);
    return FLOW_OK;
}

static FlowStatus read_escape(FlowJsonReader *r, const char **p, char **to)
{
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    const char *escape = *p;
    if (r->end - *p < 2)
        return flow_json__fail(r, r->end, "INVALID_JSON", "the text ends inside a string; is it cut off?");
    char c = (*p)[1];
    *p += 2;
    if (c == 'u')
        return read_unicode_escape(r, p, to);
    for (const char *pair = plain; *pair != '\0'; pair += 2) {
        if (pair[0] == c) {
            *(*to)++ = pair[1];
            return FLOW_OK;
        }
    }
    return flow_json__fail(
        r, escape, "INVALID_JSON",
        "no such escape; a backslash itself is written \\\\, and only \" \\ / b f n r t u may follow one");
}

static FlowStatus scratch_reserve(FlowJsonReader *r, size_t size)
{
    if (size <= r->scratch_capacity)
        return FLOW_OK;
    size_t capacity = size < 4096 ? 4096 : size + size / 2;
    char *grown = flow_try_realloc_array(r->scratch, capacity, 1);
    if (grown == NULL)
        return flow_value__no_memory(capacity, r->reterr);
    r->scratch = grown;
    r->scratch_capacity = capacity;
    return FLOW_OK;
}

static FlowStatus check_text(FlowJsonReader *r, const char *p, size_t length)
{
    size_t valid = flow_utf8_valid_prefix(p, length);
    if (valid == length)
        return FLOW_OK;
    return flow_json__fail(r, p + valid, "INVALID_JSON", "byte 0x%02x is no UTF-8; encode the text as UTF-8",
                           (unsigned char)p[valid]);
}

/* `start` is behind the opening quote, `p` at the first backslash. */
static FlowStatus read_escaped(FlowJsonReader *r, const char *start, const char **at, bool high,
                               FlowValue *ret_value)
{
    const char *p = *at, *run = start;
    size_t length = 0;
    for (;;) {
        size_t plain = (size_t)(p - run);
        if (high) {
            FlowStatus status = check_text(r, run, plain);
            if (status != FLOW_OK)
                return status;
        }
        FlowStatus status = scratch_reserve(r, length + plain + FLOW_UTF8_MAX);
        if (status != FLOW_OK)
            return status;
        memcpy(r->scratch + length, run, plain);
        length += plain;
        if (p == r->end || *p != '\\')
            break;
        char *to = r->scratch + length;
        status = read_escape(r, &p, &to);
        if (status != FLOW_OK)
            return status;
        length = (size_t)(to - r->scratch);
        run = p;
        high = false;
        p = flow_scan__plain(p, r->end, &high);
    }
    *at = p;
    return flow_value_try_string(r->scratch, length, ret_value, r->reterr);
}

/* *at is behind the opening quote; afterwards behind the closing one. */
static FlowStatus read_any_string(FlowJsonReader *r, const char **at, FlowValue *ret_value)
{
    const char *start = *at;
    bool high = false;
    const char *p = flow_scan__plain(start, r->end, &high);
    FlowStatus status = FLOW_OK;
    FlowValue value = flow_value_null();
    if (p < r->end && *p == '\\') {
        status = read_escaped(r, start, &p, high, &value);
        if (status != FLOW_OK)
            return status;
    } else {
        if (high)
            status = check_text(r, start, (size_t)(p - start));
        if (status == FLOW_OK && p < r->end && *p == '"')
            status = flow_value_try_string(start, (size_t)(p - start), &value, r->reterr);
        if (status != FLOW_OK)
            return status;
    }
    if (p == r->end || *p != '"') {
        flow_value_unref(value);
        if (p == r->end)
            return flow_json__fail(r, p, "INVALID_JSON", "the text ends inside a string; is it cut off?");
        return flow_json__fail(r, p, "INVALID_JSON",
                               "the control character 0x%02x stands in a string; write \\u%04x",
                               (unsigned char)*p, (unsigned char)*p);
    }
    *at = p + 1;
    *ret_value = value;
    return FLOW_OK;
}

static inline FlowStatus read_string(FlowJsonReader *r, const char **at, FlowValue *ret_value)
{
#ifdef __SSE2__
    /* Most strings are short ASCII: one load finds the end and is the value. */
    static const char keep[32] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    const char *p = *at;
    if (r->end - p >= FLOW_SCAN_STEP) {
        uint32_t high, special = flow_scan__special(p, &high);
        unsigned length = (unsigned)__builtin_ctz(special | 1u << 16);
        if (length <= FLOW_VALUE_SHORT_STRING && p[length] == '"' && (high & ((1u << length) - 1)) == 0) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)p);
            __m128i mask = _mm_loadu_si128((const __m128i *)(keep + 16 - length));
            _mm_storeu_si128((__m128i *)ret_value->text, _mm_and_si128(bytes, mask));
            ret_value->text[14] = (char)(FLOW_VALUE_SHORT_STRING - length);
            ret_value->tag = FLOW_VALUE_STRING;
            *at = p + length + 1;
            return FLOW_OK;
        }
    }
#endif
    return read_any_string(r, at, ret_value);
}

/* ---- numbers ---- */

static FlowStatus big_integer(FlowJsonReader *r, const char *at, const FlowDecimal *decimal, bool negative,
                              FlowValue *ret_value)
{
    double number = flow_decimal__to_double(decimal);
    if (!(r->flags & FLOW_JSON_READ_BIG_AS_FLOAT))
        return flow_json__fail(
            r, at, "NUMBER_TOO_LARGE",
            "the integer has more than 64 bits and can't be kept exactly; send it as a string");
    if (number > 1.7976931348623157e308)
        return flow_json__fail(r, at, "NUMBER_TOO_LARGE",
                               "the number is too large for a double; send it as a string");
    *ret_value = flow_value_float(negative ? -number : number);
    return FLOW_OK;
}

static FlowStatus read_number(FlowJsonReader *r, const char **at, FlowValue *ret_value)
{
    const char *start = *at, *p = start;
    bool negative = *p == '-';
    p += negative;
    FlowDecimal decimal;
    bool complete = flow_decimal__scan(p, r->end, &decimal);
    if (decimal.whole_digits == 0)
        return flow_json__fail(r, p, "INVALID_JSON", "a number needs a digit %s",
                               negative ? "behind its minus sign" : "before its point");
    if (*p == '0' && decimal.whole_digits > 1)
        return flow_json__fail(r, p, "INVALID_JSON", "a number can't begin with 0; remove the leading zeros");
    if (decimal.has_point && decimal.fraction_digits == 0)
        return flow_json__fail(r, p + decimal.whole_digits + 1, "INVALID_JSON",
                               "a number needs a digit behind its point");
    if (!complete)
        return flow_json__fail(r, decimal.end, "INVALID_JSON", "a number needs a digit in its exponent");
    *at = decimal.end;
    if (!decimal.has_point && !decimal.has_exponent) {
        if (decimal.cut || decimal.digits > (uint64_t)INT64_MAX + negative)
            return big_integer(r, start, &decimal, negative, ret_value);
        *ret_value = flow_value_int(negative ? (int64_t)(0 - decimal.digits) : (int64_t)decimal.digits);
        return FLOW_OK;
    }
    double number = flow_decimal__to_double(&decimal);
    if (number > 1.7976931348623157e308)
        return flow_json__fail(r, start, "NUMBER_TOO_LARGE",
                               "the number is too large for a double; send it as a string");
    *ret_value = flow_value_float(negative ? -number : number);
    return FLOW_OK;
}

/* Whether a short integer stands at *at, which is then read. */
static inline bool read_small_int(const char **at, const char *end, FlowValue *ret_value)
{
    const char *p = *at;
    if (end - p < 20)
        return false;
    bool negative = *p == '-';
    p += negative;
    const char *first = p;
    uint64_t digits = 0;
    /* 18 digits can't overflow; the 19th ends the loop and leaves the rest to read_number(). */
    while ((unsigned char)(*p - '0') < 10 && p - first < 18)
        digits = digits * 10 + (uint64_t)(*p++ - '0');
    unsigned char next = (unsigned char)*p;
    if (p == first || (*first == '0' && p - first > 1) || next == '.' || (next | 0x20) == 'e' ||
        (unsigned char)(next - '0') < 10)
        return false;
    *ret_value = flow_value_int(negative ? -(int64_t)digits : (int64_t)digits);
    *at = p;
    return true;
}

/* ---- arrays and objects ---- */

static FlowStatus open_container(FlowJsonReader *r, const char *at, bool is_object)
{
    if (r->depth == r->depth_limit)
        return flow_json__fail(r, at, "JSON_TOO_DEEP", "nested deeper than %u levels; flatten it",
                               r->depth_limit);
    r->frames[r->depth++] = (FlowJsonFrame){(size_t)(r->top - r->stack), at, is_object};
    return FLOW_OK;
}

/* Equal keys: the last value wins, at the place of the first. */
static FlowStatus object_with_duplicates(FlowMember *members, size_t count, FlowValue *ret_object,
                                         FlowError *reterr)
{
    FlowValue object = flow_value_object();
    FlowStatus status = flow_object_reserve(&object, count, reterr);
    size_t i;
    for (i = 0; status == FLOW_OK && i < count; i++) {
        FlowValue key = members[i].key;
        status = flow_object_set_key_take(&object, key, members[i].value, reterr);
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
static FlowStatus close_container(FlowJsonReader *r)
{
    const FlowJsonFrame *frame = &r->frames[r->depth - 1];
    FlowValue *first = r->stack + frame->start, made;
    size_t count = (size_t)(r->top - first);
    FlowStatus status;
    if (frame->is_object) {
        FlowMember *members = (FlowMember *)first;
        int64_t twice;
        status = flow_object__adopt(members, count / 2, &made, &twice, r->reterr);
        if (twice >= 0 && r->flags & FLOW_JSON_READ_DUPLICATES)
            status = object_with_duplicates(members, count / 2, &made, r->reterr);
        else if (twice >= 0)
            status = flow_json__fail_duplicate(r, &members[twice].key, (size_t)twice);
    } else {
        status = flow_array__adopt(first, count, &made, r->reterr);
    }
    if (status != FLOW_OK)
        return status;
    r->depth--;
    *first = made;
    r->top = first + 1;
    return FLOW_OK;
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

static inline bool word_at(const char *p, const char *end, const char *word, size_t length)
{
    return (size_t)(end - p) >= length && memcmp(p, word, length) == 0;
}

#define TRY(call)                                                                                            \
    do {                                                                                                     \
        FlowStatus status_ = (call);                                                                         \
        if (__builtin_expect(status_ != FLOW_OK, 0))                                                         \
            return status_;                                                                                  \
    } while (0)

/* Leaves the one value on the stack. */
static FlowStatus read_all(FlowJsonReader *r)
{
    const char *p = r->text, *end = r->end;
    FlowValue value;

value:
    p = skip_space(p, end);
    if (p == end)
        return flow_json__fail_value(r, p);
    switch (*p) {
    case '"':
        p++;
        TRY(read_string(r, &p, &value));
        break;
    case '{':
        TRY(open_container(r, p, true));
        p = skip_space(p + 1, end);
        if (p < end && *p == '}')
            goto close;
        goto key;
    case '[':
        TRY(open_container(r, p, false));
        p = skip_space(p + 1, end);
        if (p < end && *p == ']')
            goto close;
        goto value;
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
        if (!read_small_int(&p, end, &value))
            TRY(read_number(r, &p, &value));
        break;
    case 't':
        if (!word_at(p, end, "true", 4))
            return flow_json__fail_value(r, p);
        value = flow_value_bool(true);
        p += 4;
        break;
    case 'f':
        if (!word_at(p, end, "false", 5))
            return flow_json__fail_value(r, p);
        value = flow_value_bool(false);
        p += 5;
        break;
    case 'n':
        if (!word_at(p, end, "null", 4))
            return flow_json__fail_value(r, p);
        value = flow_value_null();
        p += 4;
        break;
    default:
        return flow_json__fail_value(r, p);
    }
    TRY(push_take(r, p, value));

after_value:
    p = skip_space(p, end);
    if (r->depth == 0) {
        if (p != end)
            return flow_json__fail_trailing(r, p);
        return FLOW_OK;
    }
    if (p == end)
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
    if (p == end || *p != '"')
        return flow_json__fail_key(r, p);
    p++;
    TRY(read_string(r, &p, &value));
    TRY(push_take(r, p, value));
    p = skip_space(p, end);
    if (p == end || *p != ':')
        return flow_json__fail_colon(r, p);
    p++;
    goto value;

close:
    TRY(close_container(r));
    p++;
    /* The bracket's value takes the place of its parts, so there is room; it still counts as one. */
    if (r->values_left-- == 0)
        return flow_json__fail(r, p, "JSON_TOO_LARGE", "more than %zu values; send less or raise the bound",
                               r->values_limit);
    goto after_value;
}

FlowStatus flow_json_read(const char *text, size_t length, const FlowJsonLimits *limits, FlowValue *ret_value,
                          FlowError *reterr)
{
    static const FlowJsonLimits none;
    if (limits == NULL)
        limits = &none;
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
    r.reterr = reterr;
    size_t bytes_limit = limits->bytes != 0 ? limits->bytes : FLOW_JSON_DEFAULT_BYTES;
    FlowStatus status;
    if (length > bytes_limit)
        status = flow_error_set(
            reterr, FLOW_INVALID_ARGUMENT, "JSON_TOO_LARGE", NULL,
            "the JSON text has %zu bytes, at most %zu are allowed; send less or raise the bound", length,
            bytes_limit);
    else
        status = read_all(&r);
    if (status == FLOW_OK) {
        *ret_value = r.stack[0];
    } else {
        while (r.top > r.stack)
            flow_value_unref(*--r.top);
    }
    if (r.stack != r.first)
        free(r.stack);
    free(r.scratch);
    return status;
}
