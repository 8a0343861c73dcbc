/*
 * number_format.c - the shortest decimal digits of a double by Raffaello Giulietti's Schubfach ("The
 * Schubfach way to render doubles", 2022), and their layout as Python, JSON and JavaScript have it.
 */
#include "value/number.h"

#include <math.h>
#include <string.h>

#include "value/powers_of_ten.h"

typedef unsigned __int128 Wide;

static const char two_digits[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

/* ---- integers ---- */

static const uint64_t powers[20] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    UINT64_C(10000000000000000000),
};

static unsigned count_digits(uint64_t x)
{
    /*
     * 1233 / 4096 is log10(2), a little too small: exact or one too few. The one bit makes 0 a number of one
     * digit.
     */
    x |= 1;
    unsigned guess = (64 - (unsigned)__builtin_clzll(x)) * 1233 >> 12;
    return guess + (x >= powers[guess]);
}

/* `count` is at least as many as x has; zeros lead. */
static void put_digits(char *to, uint64_t x, unsigned count)
{
    for (; count >= 2; count -= 2) {
        memcpy(to + count - 2, two_digits + x % 100 * 2, 2);
        x /= 100;
    }
    if (count != 0)
        to[0] = (char)('0' + x);
}

size_t flow_format_int(char to[FLOW_INT_TEXT], int64_t integer)
{
    /* Negated as unsigned: the smallest int64 has no positive counterpart. */
    uint64_t magnitude = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    unsigned sign = integer < 0, count = count_digits(magnitude);
    to[0] = '-';
    put_digits(to + sign, magnitude, count);
    to[sign + count] = '\0';
    return sign + count;
}

/* ---- shortest digits ---- */

static int floor_log2_of_power(int q)
{
    return (q * 1741647) >> 19;
}

/* The upper 64 bits of the 192-bit product, with the last bit set when anything was cut off. */
static uint64_t round_to_odd(const uint64_t power[2], uint64_t x)
{
    Wide low = (Wide)power[1] * x, high = (Wide)power[0] * x;
    uint64_t high_low = (uint64_t)high, sum = high_low + (uint64_t)(low >> 64);
    uint64_t top = (uint64_t)(high >> 64) + (sum < high_low);
    return top | (sum > 1);
}

static uint64_t strip_zeros(uint64_t digits, int *exponent)
{
    while (digits % 100000000 == 0) {
        digits /= 100000000;
        *exponent += 8;
    }
    while (digits % 10 == 0) {
        digits /= 10;
        *exponent += 1;
    }
    return digits;
}

uint64_t flow_double_shortest(double number, int *ret_exponent)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    int biased = (int)(bits >> 52 & 0x7ff);
    uint64_t c = biased != 0 ? fraction | UINT64_C(1) << 52 : fraction;
    int q = (biased != 0 ? biased : 1) - 1075;
    /* Integers below 2^53 are their own digits. */
    if (q <= 0 && q > -53 && (c & ((UINT64_C(1) << -q) - 1)) == 0) {
        *ret_exponent = 0;
        return strip_zeros(c >> -q, ret_exponent);
    }
    /* The interval that rounds to this double; below a power of two the lower half is narrower. */
    bool closer = fraction == 0 && biased > 1;
    bool even = (c & 1) == 0;
    int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
    int shift = q + floor_log2_of_power(-k) + 1;
    const uint64_t *entry = flow_powers_of_ten[-k - FLOW_POWER_FIRST];
    uint64_t power[2] = {entry[0], entry[1]};
    if (-k < -27 || -k > 55)
        power[0] += ++power[1] == 0;
    uint64_t lower = round_to_odd(power, (4 * c - 2 + closer) << shift) + !even;
    uint64_t middle = round_to_odd(power, 4 * c << shift);
    uint64_t upper = round_to_odd(power, (4 * c + 2) << shift) - !even;
    uint64_t s = middle / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down = lower <= 40 * tens, up = 40 * tens + 40 <= upper;
        if (down != up) {
            *ret_exponent = k + 1;
            return strip_zeros(tens + up, ret_exponent);
        }
    }
    bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
    *ret_exponent = k;
    if (down != up)
        return strip_zeros(s + up, ret_exponent);
    uint64_t half = 4 * s + 2;
    return strip_zeros(s + (middle > half || (middle == half && (s & 1) != 0)), ret_exponent);
}

/* ---- layout ---- */

typedef struct Layout {
    int positional_from, positional_to; /* where the point may stand, counted from before the first digit */
    int exponent_digits;                /* at least so many */
    bool point_zero;                    /* ".0" behind an integer */
    const char *infinity, *nan;
} Layout;

static const Layout layouts[] = {
    [FLOW_DOUBLE_JSON] = {-3, 16, 2, true, "", ""},
    [FLOW_DOUBLE_PYTHON] = {-3, 16, 2, true, "inf", "nan"},
    [FLOW_DOUBLE_ECMASCRIPT] = {-5, 21, 1, false, "Infinity", "NaN"},
};

static size_t put_text(char *to, const char *sign, const char *text)
{
    size_t sign_length = strlen(sign), length = strlen(text);
    memcpy(to, sign, sign_length);
    memcpy(to + sign_length, text, length + 1);
    return sign_length + length;
}

static char *put_exponent(char *at, int exponent, int least_digits)
{
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    unsigned magnitude = (unsigned)(exponent < 0 ? -exponent : exponent);
    unsigned count = count_digits(magnitude);
    for (; (int)count < least_digits; least_digits--)
        *at++ = '0';
    put_digits(at, magnitude, count);
    return at + count;
}

/* `point`: where the decimal point stands, counted from before the first digit. */
static char *put_positional(char *at, uint64_t digits, int count, int point, bool point_zero)
{
    if (point <= 0) {
        *at++ = '0';
        *at++ = '.';
        memset(at, '0', (size_t)-point);
        at += -point;
        put_digits(at, digits, (unsigned)count);
        return at + count;
    }
    if (point < count) {
        uint64_t whole = digits / powers[count - point];
        put_digits(at, whole, (unsigned)point);
        at[point] = '.';
        put_digits(at + point + 1, digits - whole * powers[count - point], (unsigned)(count - point));
        return at + count + 1;
    }
    put_digits(at, digits, (unsigned)count);
    memset(at + count, '0', (size_t)(point - count));
    at += point;
    if (point_zero) {
        *at++ = '.';
        *at++ = '0';
    }
    return at;
}

size_t flow_format_double(char to[FLOW_DOUBLE_TEXT], double number, FlowDoubleStyle style)
{
    const Layout *layout = &layouts[style];
    if (isnan(number))
        return put_text(to, "", layout->nan);
    bool negative = signbit(number);
    if (isinf(number))
        return put_text(to, negative && layout->infinity[0] != '\0' ? "-" : "", layout->infinity);
    if (number == 0) {
        if (style == FLOW_DOUBLE_ECMASCRIPT)
            return put_text(to, "", "0");
        return put_text(to, negative ? "-" : "", "0.0");
    }
    char *at = to;
    if (negative)
        *at++ = '-';
    int exponent;
    uint64_t digits = flow_double_shortest(fabs(number), &exponent);
    int count = (int)count_digits(digits), point = count + exponent;
    if (point >= layout->positional_from && point <= layout->positional_to) {
        at = put_positional(at, digits, count, point, layout->point_zero);
    } else {
        if (count > 1) {
            put_digits(at + 1, digits, (unsigned)count);
            at[0] = at[1];
            at[1] = '.';
            at += count + 1;
        } else {
            *at++ = (char)('0' + digits);
        }
        at = put_exponent(at, point - 1, layout->exponent_digits);
    }
    *at = '\0';
    return (size_t)(at - to);
}
