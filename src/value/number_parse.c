/*
 * number_parse.c - decimal text to the nearest double by Lemire's algorithm (Daniel Lemire, "Number parsing
 * at a gigabyte per second", 2021; without fallback after Mushtak and Lemire, 2023). More than 19 digits that
 * matter go to strtod().
 */
#include "value/number_parse.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value/number.h"
#include "value/powers_of_ten.h"

typedef unsigned __int128 Wide;

enum {
    FRACTION_BITS = 52,
    EXPONENT_BIAS = 1023,
    EXPONENT_INFINITE = 0x7ff,
    LARGEST_POWER = 308,
    KEPT_DIGITS = 19
};

static double from_bits(uint64_t fraction, int biased)
{
    uint64_t bits = fraction | (uint64_t)biased << FRACTION_BITS;
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* The nearest double of w * 10^q. */
static double nearest(uint64_t w, int64_t q)
{
    if (w == 0 || q < FLOW_POWER_FIRST)
        return 0;
    if (q > LARGEST_POWER)
        return HUGE_VAL;
    int zeros = __builtin_clzll(w);
    w <<= zeros;
    const uint64_t *power = flow_powers_of_ten[q - FLOW_POWER_FIRST];
    Wide product = (Wide)w * power[0];
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    /* Only where the bits below the ones that are kept are all set can the table's second half make a
     * difference. */
    if ((high & 0x1ff) == 0x1ff) {
        uint64_t more = (uint64_t)((Wide)w * power[1] >> 64);
        low += more;
        high += low < more;
    }
    int upper = (int)(high >> 63);
    int shift = upper + 64 - FRACTION_BITS - 3;
    uint64_t mantissa = high >> shift;
    int biased = (int)((217706 * q) >> 16) + 63 + upper - zeros + EXPONENT_BIAS;
    if (biased <= 0) {
        if (-biased + 1 >= 64)
            return 0;
        mantissa >>= -biased + 1;
        mantissa += mantissa & 1;
        mantissa >>= 1;
        /* Rounding up may have made the smallest normal number, whose bit 52 is then the exponent 1. */
        return from_bits(mantissa, 0);
    }
    /* Exactly between two doubles: the even one. Possible only for these powers. */
    if (low <= 1 && q >= -4 && q <= 23 && (mantissa & 3) == 1 && mantissa << shift == high)
        mantissa &= ~UINT64_C(1);
    mantissa += mantissa & 1;
    mantissa >>= 1;
    if (mantissa >= UINT64_C(2) << FRACTION_BITS) {
        mantissa = UINT64_C(1) << FRACTION_BITS;
        biased++;
    }
    if (biased >= EXPONENT_INFINITE)
        return HUGE_VAL;
    return from_bits(mantissa & ~(UINT64_C(1) << FRACTION_BITS), biased);
}

static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    if (c_locale == NULL)
        abort();
}

/*
 * Where 19 digits don't decide. Doubles lie so that 768 digits and the fact that more follow always do, which
 * bounds the work for numbers of a million digits.
 */
static double by_strtod(const FlowDecimal *decimal)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    enum { ENOUGH = 780 };
    char text[ENOUGH + 40];
    size_t count = 0;
    bool more = false;
    pthread_once(&once, make_c_locale);
    for (const char *p = decimal->text; p < decimal->end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.' || (*p == '0' && count == 0))
            continue;
        if (count < ENOUGH)
            text[count++] = *p;
        else
            more = more || *p != '0';
    }
    int64_t exponent = decimal->exponent + KEPT_DIGITS - (int64_t)count;
    if (more) {
        text[count++] = '1';
        exponent--;
    }
    snprintf(text + count, 40, "e%lld", (long long)exponent);
    return strtod_l(text, NULL, c_locale);
}

double flow_decimal__to_double(const FlowDecimal *decimal)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t w = decimal->digits;
    int64_t q = decimal->exponent;
    if (decimal->cut) {
        /* The true value lies between these two; mostly they are one double. */
        double low = nearest(w, q), high = nearest(w + 1, q);
        return low == high ? low : by_strtod(decimal);
    }
    /* Both exact in a double, so one rounding does it. */
    if (w <= UINT64_C(1) << 53 && q >= -22 && q <= 22)
        return q < 0 ? (double)w / powers[-q] : (double)w * powers[q];
    return nearest(w, q);
}

/* ---- taking text apart ---- */

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static const char *take_digits(const char *p, const char *end, uint64_t *digits)
{
    uint64_t w = *digits;
    while (p < end && is_digit(*p))
        w = w * 10 + (uint64_t)(*p++ - '0');
    *digits = w;
    return p;
}

/* More than 19 digits stand there, so `digits` has overflown, unless zeros lead. */
static void take_first_digits(FlowDecimal *decimal, const char *end)
{
    const char *p = decimal->text;
    uint64_t w = 0;
    int kept = 0;
    size_t seen = 0, leading = 0;
    bool leads = true;
    for (; p < end && kept < KEPT_DIGITS; p++) {
        if (*p == '.')
            continue;
        seen++;
        leads = leads && *p == '0';
        if (leads) {
            leading++;
            continue;
        }
        w = w * 10 + (uint64_t)(*p - '0');
        kept++;
    }
    decimal->digits = w;
    decimal->exponent = (int64_t)decimal->whole_digits - (int64_t)seen;
    decimal->cut = decimal->whole_digits + decimal->fraction_digits > seen;
}

bool flow_decimal__scan(const char *text, const char *end, FlowDecimal *decimal)
{
    /* Beyond this every number is 0 or infinite, however many digits it has in memory. */
    const int64_t huge = INT64_C(1) << 40;
    uint64_t digits = 0;
    size_t fraction_digits = 0;
    const char *p = take_digits(text, end, &digits);
    size_t whole_digits = (size_t)(p - text);
    bool has_point = p < end && *p == '.';
    if (has_point) {
        const char *first = p + 1;
        p = take_digits(first, end, &digits);
        fraction_digits = (size_t)(p - first);
    }
    decimal->text = text;
    decimal->digits = digits;
    decimal->exponent = -(int64_t)fraction_digits;
    decimal->cut = false;
    decimal->whole_digits = whole_digits;
    decimal->fraction_digits = fraction_digits;
    decimal->has_point = has_point;
    decimal->has_exponent = false;
    if (whole_digits + fraction_digits > KEPT_DIGITS)
        take_first_digits(decimal, p);
    if (p < end && (*p | 0x20) == 'e') {
        bool negative = false;
        int64_t exponent = 0;
        decimal->has_exponent = true;
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            negative = *p++ == '-';
        const char *first = p;
        for (; p < end && is_digit(*p); p++)
            exponent = exponent < huge ? exponent * 10 + (*p - '0') : exponent;
        decimal->exponent += negative ? -exponent : exponent;
        decimal->end = p;
        return p > first;
    }
    decimal->end = p;
    return true;
}

bool flow_parse_double(const char *text, size_t length, double *ret_number)
{
    const char *p = text, *end = text + length;
    bool negative = false;
    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    FlowDecimal decimal;
    if (!flow_decimal__scan(p, end, &decimal) || decimal.end != end ||
        decimal.whole_digits + decimal.fraction_digits == 0)
        return false;
    double number = flow_decimal__to_double(&decimal);
    *ret_number = negative ? -number : number;
    return true;
}

bool flow_parse_int(const char *text, size_t length, int64_t *ret_integer)
{
    const char *p = text, *end = text + length;
    bool negative = false;
    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    if (p == end)
        return false;
    uint64_t magnitude = 0, limit = (uint64_t)INT64_MAX + negative;
    for (; p < end; p++) {
        if (!is_digit(*p) || __builtin_mul_overflow(magnitude, 10, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)(*p - '0'), &magnitude) || magnitude > limit)
            return false;
    }
    *ret_integer = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}
