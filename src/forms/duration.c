/*
 * duration.c - lengths of time: "30" (seconds), "1:30", "3 days 04:05:06.5", ISO 8601's "P1DT2H", exact to the
 * microsecond. What Python's timedelta computes in floats is computed here in the same steps.
 */
#include "forms/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "value/number.h"

typedef __int128 Wide;

#define DAY_US   INT64_C(86400000000)
#define DAYS_MAX INT64_C(999999999)

typedef enum Outcome { NO_DURATION, DURATION, TOO_LONG } Outcome;

typedef struct Scan {
    const char *at, *end;
} Scan;

/* Digits; answers how many. */
static size_t digits(Scan *scan)
{
    size_t count = 0;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        scan->at++;
        count++;
    }
    return count;
}

static bool take(Scan *scan, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return false;
    scan->at += len;
    return true;
}

/* The end, or a newline and the end: what $ matches in Python. */
static bool at_end(const Scan *scan)
{
    return scan->at == scan->end || (scan->at + 1 == scan->end && *scan->at == '\n');
}

/* One number of a duration, as text: parts are turned into a double first, as Python does. */
typedef struct Part {
    const char *text;
    size_t len;
} Part;

/* Adds number * unit microseconds; the fraction below one microsecond goes to *leftover. */
static bool add_part(Wide *sum, double *leftover, double number, int64_t unit)
{
    double whole, fraction = modf(number, &whole);
    if (fabs(whole) > 1e18)
        return false;
    *sum += (Wide)whole * unit;
    double rest = modf(fraction * (double)unit, &whole);
    *sum += (Wide)whole;
    *leftover += rest;
    return true;
}

static double number_of(Part part)
{
    char text[64], *copy = part.len < sizeof text ? text : flow_try_malloc(part.len + 1);
    double number = 0;
    if (part.len == 0)
        return 0;
    if (copy == NULL)
        return INFINITY;
    memcpy(copy, part.text, part.len);
    char *comma = memchr(copy, ',', part.len);
    if (comma != NULL)
        *comma = '.';
    if (!flow_parse_double(copy, part.len, &number))
        number = INFINITY;
    if (copy != text)
        free(copy);
    return number;
}

typedef struct Parts {
    bool negative, days_negative;
    Part days, hours, minutes, seconds;
    char micros[7]; /* six digits; "" where there are none */
} Parts;

/* Whole microseconds of a sum and its fraction; a tie goes to the even total. */
static Wide rounded(Wide sum, double leftover)
{
    double whole = round(leftover);
    if (fabs(whole - leftover) == 0.5) {
        int odd = (int)(sum & 1);
        whole = 2.0 * round((leftover + odd) * 0.5) - odd;
    }
    return sum + (Wide)whole;
}

static bool in_range(Wide us)
{
    return us >= -(Wide)DAYS_MAX * DAY_US && us < (Wide)(DAYS_MAX + 1) * DAY_US;
}

static Outcome sum_up(const Parts *parts, Wide *ret_us)
{
    const struct {
        Part part;
        int64_t unit;
    } units[] = {{parts->hours, 3600000000}, {parts->minutes, 60000000}, {parts->seconds, 1000000}};
    Wide days = 0, rest = 0;
    double leftover = 0;
    if (!add_part(&days, &leftover, number_of(parts->days), DAY_US))
        return TOO_LONG;
    days = rounded(days, leftover);
    if (parts->days_negative)
        days = -days;
    leftover = 0;
    for (size_t i = 0; i < FLOW_COUNT(units); i++)
        if (!add_part(&rest, &leftover, number_of(units[i].part), units[i].unit))
            return TOO_LONG;
    rest = rounded(rest + strtol(parts->micros, NULL, 10), leftover);
    if (parts->negative)
        rest = -rest;
    *ret_us = days + rest;
    return in_range(days) && in_range(rest) && in_range(*ret_us) ? DURATION : TOO_LONG;
}

static Part since(const char *from, const Scan *scan)
{
    return (Part){from, (size_t)(scan->at - from)};
}

/* Up to six digits, filled up with zeros; up to six more are skipped. */
static bool fraction(Scan *scan, char micros[7], bool skip_more)
{
    const char *from = scan->at;
    size_t count = digits(scan), kept = count < 6 ? count : 6;
    if (count == 0 || count > (skip_more ? 12u : 6u))
        return false;
    memcpy(micros, "000000", 7);
    memcpy(micros, from, kept);
    return true;
}

/* "-12 " in front of what follows. */
static bool leading_days(Scan *scan, Parts *parts)
{
    Scan ahead = *scan;
    const char *from;
    parts->days_negative = take(&ahead, "-");
    from = ahead.at;
    if (digits(&ahead) == 0)
        return false;
    parts->days = since(from, &ahead);
    *scan = ahead;
    return true;
}

/* Django's own form: [days ["day[s], "]][-][[hours:]minutes:]seconds[.micros] */
static bool read_standard(Scan scan, Parts *parts)
{
    *parts = (Parts){0};
    Scan ahead = scan;
    if (leading_days(&ahead, parts) && take(&ahead, " ")) {
        if (!take(&ahead, "days, "))
            take(&ahead, "day, ");
        scan = ahead;
    } else {
        *parts = (Parts){0};
    }
    parts->negative = take(&scan, "-");
    Part numbers[3];
    size_t count = 0;
    for (; count < 3; count++) {
        const char *from = scan.at;
        if (digits(&scan) == 0)
            return false;
        numbers[count] = since(from, &scan);
        if (count == 2 || !take(&scan, ":")) {
            count++;
            break;
        }
    }
    parts->seconds = numbers[count - 1];
    if (count > 1)
        parts->minutes = numbers[count - 2];
    if (count > 2)
        parts->hours = numbers[0];
    if ((take(&scan, ".") || take(&scan, ",")) && !fraction(&scan, parts->micros, true))
        return false;
    return at_end(&scan);
}

/* One "12.5H" of ISO 8601; nothing is fine too. */
static void iso_part(Scan *scan, const char *letter, Part *ret_part)
{
    Scan ahead = *scan;
    const char *from = ahead.at;
    if (digits(&ahead) == 0)
        return;
    if (take(&ahead, ".") || take(&ahead, ",")) {
        if (digits(&ahead) == 0)
            return;
    }
    Part part = since(from, &ahead);
    if (!take(&ahead, letter))
        return;
    *ret_part = part;
    *scan = ahead;
}

static bool read_iso(Scan scan, Parts *parts)
{
    *parts = (Parts){0};
    parts->negative = take(&scan, "-");
    if (!parts->negative)
        take(&scan, "+");
    parts->days_negative = parts->negative;
    if (!take(&scan, "P"))
        return false;
    iso_part(&scan, "D", &parts->days);
    if (take(&scan, "T")) {
        iso_part(&scan, "H", &parts->hours);
        iso_part(&scan, "M", &parts->minutes);
        iso_part(&scan, "S", &parts->seconds);
    }
    return at_end(&scan);
}

/* PostgreSQL's intervals: "3 days 04:05:06", "1 day", "-04:05:06.5". */
static bool read_postgres(Scan scan, Parts *parts)
{
    *parts = (Parts){0};
    Scan ahead = scan;
    if (leading_days(&ahead, parts) && take(&ahead, " day")) {
        take(&ahead, "s");
        take(&ahead, " ");
        scan = ahead;
    } else {
        *parts = (Parts){0};
    }
    if (at_end(&scan))
        return true;
    parts->negative = take(&scan, "-");
    if (!parts->negative)
        take(&scan, "+");
    const char *from = scan.at;
    if (digits(&scan) == 0)
        return false;
    parts->hours = since(from, &scan);
    if (!take(&scan, ":"))
        return false;
    from = scan.at;
    if (digits(&scan) != 2)
        return false;
    parts->minutes = since(from, &scan);
    if (!take(&scan, ":"))
        return false;
    from = scan.at;
    if (digits(&scan) != 2)
        return false;
    parts->seconds = since(from, &scan);
    if (take(&scan, ".") && !fraction(&scan, parts->micros, false))
        return false;
    return at_end(&scan);
}

static Outcome parse(const char *text, size_t len, Wide *ret_us)
{
    Scan scan = {text, text + len};
    Parts parts;
    if (!read_standard(scan, &parts) && !read_iso(scan, &parts) && !read_postgres(scan, &parts))
        return NO_DURATION;
    return sum_up(&parts, ret_us);
}

/* "[-]D HH:MM:SS[.ffffff]", the days left out when they are 0; negative ones as Python has them, "-1 23:00:00". */
static size_t print(Wide us, char to[64])
{
    int64_t days = (int64_t)(us / DAY_US), rest = (int64_t)(us % DAY_US);
    if (rest < 0) {
        rest += DAY_US;
        days--;
    }
    int seconds = (int)(rest / 1000000), micros = (int)(rest % 1000000), len = 0;
    if (days != 0)
        len += snprintf(to, 64, "%lld ", (long long)days);
    len += snprintf(to + len, 64 - (size_t)len, "%02d:%02d:%02d", seconds / 3600, seconds / 60 % 60,
                    seconds % 60);
    if (micros != 0)
        len += snprintf(to + len, 64 - (size_t)len, ".%06d", micros);
    return (size_t)len;
}

static bool convert_duration(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    FlowBuf buf;
    Wide us = 0;
    char printed[64], *ascii = NULL;
    if (flow_value__is_empty(raw)) {
        *ret_value = flow_value_null();
        return true;
    }
    if (flow_value_kind(raw) >= FLOW_VALUE_ARRAY)
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_DURATION, NULL);
    flow_buf_init(&buf, FLOW_VALUE_MAX_SIZE);
    flow_py__print(&buf, raw);
    size_t len = buf.len;
    const char *text = flow_py__ascii_digits(buf.data, &len, &ascii);
    Outcome outcome = parse(text, len, &us);
    free(ascii);
    flow_buf_done(&buf);
    if (outcome == TOO_LONG)
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_DURATION_OVERFLOW, NULL);
    if (outcome == NO_DURATION)
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_DURATION, NULL);
    *ret_value = flow_value_stringn(printed, print(us, printed));
    return true;
}

bool flow_duration_read(const char *text, int64_t *ret_microseconds)
{
    Wide us;
    if (text == NULL || parse(text, strlen(text), &us) != DURATION || us > INT64_MAX || us < INT64_MIN)
        return false;
    *ret_microseconds = (int64_t)us;
    return true;
}

static int compare_durations(FlowValue a, FlowValue b)
{
    Wide left, right;
    if (parse(flow_value_text(&a), flow_value_length(&a), &left) != DURATION ||
        parse(flow_value_text(&b), flow_value_length(&b), &right) != DURATION)
        return 2;
    return left < right ? -1 : left > right;
}

const FlowFieldOps flow_field__duration = {
    .name = "DurationField",
    .widget = FLOW_WIDGET_TEXT,
    .convert = convert_duration,
    .compare = compare_durations,
};
