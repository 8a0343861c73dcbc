/*
 * decimal.c - decimal numbers of any length, exact, as Python's Decimal reads, compares and prints them.
 */
#include "forms/internal.h"

#include <stdlib.h>
#include <string.h>

/* Python's own bound on exponents (MAX_EMAX); what lies beyond is no number to it either. */
#define EXPONENT_MAX INT64_C(999999999999999999)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t take_digits(const char **at, const char *end, char *to)
{
    size_t count = 0;
    for (; *at < end && is_digit(**at); (*at)++)
        to[count++] = **at;
    return count;
}

/* 'e', an optional sign and digits up to the end; nothing is 0. */
static bool take_exponent(const char *at, const char *end, int64_t *ret_exponent)
{
    bool negative = false;
    int64_t exponent = 0;
    if (at == end)
        return true;
    if (*at++ != 'e' && at[-1] != 'E')
        return false;
    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    if (at == end)
        return false;
    for (; at < end; at++) {
        if (!is_digit(*at))
            return false;
        exponent = exponent > EXPONENT_MAX / 10 ? EXPONENT_MAX + 1 : exponent * 10 + (*at - '0');
    }
    *ret_exponent = negative ? -exponent : exponent;
    return exponent <= EXPONENT_MAX;
}

/* Sign, digits with at most one point, exponent; underscores anywhere are ignored. */
static bool read(char *text, size_t len, FlowDecimal *ret_decimal)
{
    FlowDecimal decimal = {.digits = text};
    size_t to = 0;
    for (size_t i = 0; i < len; i++)
        if (text[i] != '_')
            text[to++] = text[i];
    const char *at = text, *end = text + to;
    if (at < end && (*at == '+' || *at == '-'))
        decimal.negative = *at++ == '-';
    /* The digits move to the front of the same memory, over what was read already. */
    decimal.count = take_digits(&at, end, text);
    if (at < end && *at == '.') {
        at++;
        size_t fraction = take_digits(&at, end, text + decimal.count);
        decimal.count += fraction;
        decimal.exponent = -(int64_t)fraction;
    }
    int64_t exponent = 0;
    if (decimal.count == 0 || !take_exponent(at, end, &exponent))
        return false;
    decimal.exponent += exponent;
    while (decimal.count > 1 && *decimal.digits == '0') {
        decimal.digits++;
        decimal.count--;
    }
    *ret_decimal = decimal;
    return true;
}

bool flow_decimal__read(const char *text, size_t len, FlowDecimal *ret_decimal, char **ret_buf)
{
    char *buf = NULL;
    flow_py__strip(&text, &len);
    if (flow_py__ascii_digits(text, &len, &buf) == text && buf == NULL) {
        buf = flow_try_malloc(len + 1);
        if (buf == NULL)
            return false;
        memcpy(buf, text, len);
    }
    if (read(buf, len, ret_decimal)) {
        *ret_buf = buf;
        return true;
    }
    free(buf);
    return false;
}

/* Where the point stands: value = 0.d1d2d3… * 10^magnitude. */
static int64_t magnitude(const FlowDecimal *decimal)
{
    return (int64_t)decimal->count + decimal->exponent;
}

void flow_decimal__print(const FlowDecimal *decimal, FlowBuf *to)
{
    int64_t point = magnitude(decimal), count = (int64_t)decimal->count;
    /* Plain notation while there is no positive exponent and at most six zeros behind the point. */
    bool plain = decimal->exponent <= 0 && point > -6;
    int64_t shown = plain ? point : 1;
    if (decimal->negative)
        flow_buf_byte(to, '-');
    if (shown <= 0) {
        flow_buf_str(to, "0.");
        for (int64_t i = shown; i < 0; i++)
            flow_buf_byte(to, '0');
        flow_buf_append(to, decimal->digits, decimal->count);
    } else if (shown >= count) {
        flow_buf_append(to, decimal->digits, decimal->count);
        for (int64_t i = count; i < shown; i++)
            flow_buf_byte(to, '0');
    } else {
        flow_buf_append(to, decimal->digits, (size_t)shown);
        flow_buf_byte(to, '.');
        flow_buf_append(to, decimal->digits + shown, (size_t)(count - shown));
    }
    if (point != shown)
        flow_buf_printf(to, "E%+lld", (long long)(point - shown));
}

static bool is_zero(const FlowDecimal *decimal)
{
    return decimal->count == 1 && decimal->digits[0] == '0';
}

static int compare_magnitudes(const FlowDecimal *a, const FlowDecimal *b)
{
    int64_t left = magnitude(a), right = magnitude(b);
    if (left != right)
        return left < right ? -1 : 1;
    size_t shared = a->count < b->count ? a->count : b->count;
    int order = memcmp(a->digits, b->digits, shared);
    if (order != 0)
        return order < 0 ? -1 : 1;
    const FlowDecimal *longer = a->count > b->count ? a : b;
    for (size_t i = shared; i < longer->count; i++)
        if (longer->digits[i] != '0')
            return longer == a ? 1 : -1;
    return 0;
}

int flow_decimal__compare(const FlowDecimal *a, const FlowDecimal *b)
{
    bool zero_a = is_zero(a), zero_b = is_zero(b);
    if (zero_a && zero_b)
        return 0;
    if (zero_a)
        return b->negative ? 1 : -1;
    if (zero_b)
        return a->negative ? -1 : 1;
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    int order = compare_magnitudes(a, b);
    return a->negative ? -order : order;
}

static bool read_value(FlowValue value, FlowDecimal *ret_decimal, char **ret_buf)
{
    FlowBuf text;
    if (flow_value_kind(value) == FLOW_VALUE_STRING)
        return flow_decimal__read(flow_value_text(&value), flow_value_length(&value), ret_decimal, ret_buf);
    if (!flow_value_is_number(value))
        return false;
    flow_buf_init(&text, 0);
    flow_py__print(&text, value);
    bool ok = flow_decimal__read(text.data, text.len, ret_decimal, ret_buf);
    flow_buf_done(&text);
    return ok;
}

int flow_decimal__compare_values(FlowValue a, FlowValue b)
{
    FlowDecimal left, right;
    char *left_buf = NULL, *right_buf = NULL;
    int order = 2;
    if (read_value(a, &left, &left_buf) && read_value(b, &right, &right_buf))
        order = flow_decimal__compare(&left, &right);
    free(left_buf);
    free(right_buf);
    return order;
}
