#include "wire/scalars.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FIRST_SECOND     INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define LAST_SECOND      INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define LONGEST_DURATION INT64_C(315576000000)

enum { NANOS_PER_SECOND = 1000000000, DAY = 86400 };

/* Days since 1970-01-01 and back, by Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms". */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m + (m > 2 ? -3u : 9)) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

static void civil_from_days(int64_t z, int *y, unsigned *m, unsigned *d)
{
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int)((int64_t)yoe + era * 400 + (*m <= 2));
}

/* ".5" as ".500", and so on: 0, 3, 6 or 9 digits. */
static int format_fraction(char *to, size_t size, int32_t nanos)
{
    if (nanos == 0)
        return snprintf(to, size, "%s", "");
    if (nanos % 1000000 == 0)
        return snprintf(to, size, ".%03d", nanos / 1000000);
    if (nanos % 1000 == 0)
        return snprintf(to, size, ".%06d", nanos / 1000);
    return snprintf(to, size, ".%09d", nanos);
}

bool flow_timestamp_format(int64_t seconds, int32_t nanos, char to[FLOW_TIMESTAMP_TEXT])
{
    if (seconds < FIRST_SECOND || seconds > LAST_SECOND || nanos < 0 || nanos >= NANOS_PER_SECOND)
        return false;
    int64_t days = seconds / DAY, rest = seconds % DAY;
    if (rest < 0)
        days--, rest += DAY;
    int year;
    unsigned month, day;
    civil_from_days(days, &year, &month, &day);
    char fraction[16];
    format_fraction(fraction, sizeof fraction, nanos);
    snprintf(to, FLOW_TIMESTAMP_TEXT, "%04d-%02u-%02uT%02d:%02d:%02d%sZ", year, month, day,
             (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60), fraction);
    return true;
}

/* Exactly `count` digits. */
static bool digits(const char **next, const char *end, int count, int *ret)
{
    int value = 0;
    for (int i = 0; i < count; i++, ++*next) {
        if (*next >= end || **next < '0' || **next > '9')
            return false;
        value = value * 10 + (**next - '0');
    }
    *ret = value;
    return true;
}

static bool literal(const char **next, const char *end, char c)
{
    if (*next >= end || **next != c)
        return false;
    ++*next;
    return true;
}

/* Behind a point: 1 to 9 digits. */
static bool parse_fraction(const char **next, const char *end, int32_t *ret_nanos)
{
    int32_t nanos = 0;
    int count = 0;
    for (; *next < end && **next >= '0' && **next <= '9' && count < 9; ++*next, count++)
        nanos = nanos * 10 + (**next - '0');
    if (count == 0)
        return false;
    for (; count < 9; count++)
        nanos *= 10;
    *ret_nanos = nanos;
    return true;
}

static unsigned days_in_month(int year, int month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

bool flow_timestamp_parse(const char *text, size_t len, int64_t *ret_seconds, int32_t *ret_nanos)
{
    const char *p = text, *end = text + len;
    int year, month, day, hour, minute, second, offset_hour = 0, offset_minute = 0, sign = 0;
    int32_t nanos = 0;
    if (!digits(&p, end, 4, &year) || !literal(&p, end, '-') || !digits(&p, end, 2, &month) ||
        !literal(&p, end, '-') || !digits(&p, end, 2, &day) || !literal(&p, end, 'T') ||
        !digits(&p, end, 2, &hour) || !literal(&p, end, ':') || !digits(&p, end, 2, &minute) ||
        !literal(&p, end, ':') || !digits(&p, end, 2, &second))
        return false;
    if (literal(&p, end, '.') && !parse_fraction(&p, end, &nanos))
        return false;
    if (!literal(&p, end, 'Z')) {
        sign = literal(&p, end, '+') ? 1 : literal(&p, end, '-') ? -1 : 0;
        if (sign == 0 || !digits(&p, end, 2, &offset_hour) || !literal(&p, end, ':') ||
            !digits(&p, end, 2, &offset_minute))
            return false;
    }
    if (p != end || year < 1 || month < 1 || month > 12 || day < 1 ||
        (unsigned)day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59 ||
        offset_hour > 23 || offset_minute > 59)
        return false;
    int64_t seconds = days_from_civil(year, (unsigned)month, (unsigned)day) * DAY + hour * 3600 +
                      minute * 60 + second - sign * (offset_hour * 3600 + offset_minute * 60);
    if (seconds < FIRST_SECOND || seconds > LAST_SECOND)
        return false;
    *ret_seconds = seconds;
    *ret_nanos = nanos;
    return true;
}

bool flow_duration_format(int64_t seconds, int32_t nanos, char to[FLOW_DURATION_TEXT])
{
    if (seconds < -LONGEST_DURATION || seconds > LONGEST_DURATION || nanos <= -NANOS_PER_SECOND ||
        nanos >= NANOS_PER_SECOND || (seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0))
        return false;
    bool negative = seconds < 0 || nanos < 0;
    char fraction[16];
    format_fraction(fraction, sizeof fraction, nanos < 0 ? -nanos : nanos);
    snprintf(to, FLOW_DURATION_TEXT, "%s%" PRId64 "%ss", negative ? "-" : "",
             seconds < 0 ? -seconds : seconds, fraction);
    return true;
}

bool flow_duration_parse(const char *text, size_t len, int64_t *ret_seconds, int32_t *ret_nanos)
{
    const char *p = text, *end = text + len;
    bool negative = literal(&p, end, '-');
    int64_t seconds = 0;
    int32_t nanos = 0;
    const char *first = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        seconds = seconds * 10 + (*p - '0');
        if (seconds > LONGEST_DURATION)
            return false;
    }
    if (p == first || (literal(&p, end, '.') && !parse_fraction(&p, end, &nanos)) || !literal(&p, end, 's') ||
        p != end)
        return false;
    *ret_seconds = negative ? -seconds : seconds;
    *ret_nanos = negative ? -nanos : nanos;
    return true;
}

bool flow_camel_from_snake(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] >= 'A' && text[i] <= 'Z')
            return false;
        if (text[i] != '_') {
            flow_buf_byte(to, text[i]);
            continue;
        }
        if (++i == len || text[i] < 'a' || text[i] > 'z')
            return false;
        flow_buf_byte(to, (char)(text[i] - 'a' + 'A'));
    }
    return true;
}

bool flow_snake_from_camel(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z') {
            flow_buf_byte(to, '_');
            flow_buf_byte(to, (char)(c - 'A' + 'a'));
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.') {
            flow_buf_byte(to, c);
        } else {
            return false;
        }
    }
    return true;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void flow_base64_encode(FlowBuf *to, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < len; i += 3) {
        size_t here = len - i < 3 ? len - i : 3;
        uint32_t group =
            (uint32_t)p[i] << 16 | (here > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (here > 2 ? p[i + 2] : 0);
        char four[4] = {base64_digits[group >> 18], base64_digits[group >> 12 & 63],
                        here > 1 ? base64_digits[group >> 6 & 63] : '=',
                        here > 2 ? base64_digits[group & 63] : '='};
        flow_buf_append(to, four, 4);
    }
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

bool flow_base64_decode(FlowBuf *to, const char *text, size_t len)
{
    size_t padding = 0, before = to->len;
    while (padding < 2 && len > 0 && text[len - 1] == '=')
        len--, padding++;
    if (len % 4 == 1 || (padding > 0 && (len + padding) % 4 != 0))
        return false;
    uint32_t group = 0;
    for (size_t i = 0; i < len; i++) {
        int value = base64_value(text[i]);
        if (value < 0) {
            to->len = before;
            return false;
        }
        group = group << 6 | (uint32_t)value;
        if (i % 4 == 3)
            flow_buf_append(to, (const char[]){(char)(group >> 16), (char)(group >> 8), (char)group}, 3);
    }
    if (len % 4 == 3)
        flow_buf_append(to, (const char[]){(char)(group >> 10), (char)(group >> 2)}, 2);
    else if (len % 4 == 2)
        flow_buf_byte(to, (char)(group >> 4));
    return true;
}
