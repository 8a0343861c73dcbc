#include "nodes/cron.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum { DAY = 86400, SEARCH_DAYS = 3660 };

/* ---- parsing ---- */

typedef struct Field {
    const char *name;
    int min, max;
    const char *const *names; /* of min, min + 1, … */
} Field;

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const Field fields[] = {
    {"second", 0, 59, NULL},       {"minute", 0, 59, NULL},       {"hour", 0, 23, NULL},
    {"day of month", 1, 31, NULL}, {"month", 1, 12, month_names}, {"day of week", 0, 7, weekday_names},
};

static const struct {
    const char *name, *fields;
} macros[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};

static FlowStatus bad(FlowError *reterr, const Field *field, const char *what)
{
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_CRON", NULL, "the %s %s", field->name,
                          what);
}

/* A number or a name; false for neither. */
static bool parse_value(const Field *field, const char **at, const char *end, int *ret_value)
{
    for (int i = 0; field->names && field->names[i]; i++) {
        if (end - *at >= 3 && strncasecmp(*at, field->names[i], 3) == 0) {
            *at += 3;
            *ret_value = field->min + i;
            return true;
        }
    }
    const char *from = *at;
    int value = 0;
    while (*at < end && **at >= '0' && **at <= '9' && *at - from < 4)
        value = value * 10 + (*(*at)++ - '0');
    *ret_value = value;
    return *at > from;
}

/* One item of a list: *, a, a-b, each with /step. */
static FlowStatus parse_item(const Field *field, const char *at, const char *end, uint64_t *set,
                             FlowError *reterr)
{
    int low = field->min, high = field->max, step = 1;
    if (at < end && (*at == '*' || *at == '?')) {
        at++;
    } else {
        if (!parse_value(field, &at, end, &low))
            return bad(reterr, field, "must be *, numbers, ranges or lists of them");
        high = low;
        if (at < end && *at == '-') {
            at++;
            if (!parse_value(field, &at, end, &high))
                return bad(reterr, field, "has a range without an end");
        } else if (at < end && *at == '/') {
            high = field->max;
        }
    }
    if (at < end && *at == '/') {
        at++;
        const char *from = at;
        for (step = 0; at < end && *at >= '0' && *at <= '9' && at - from < 4; at++)
            step = step * 10 + (*at - '0');
        if (step == 0)
            return bad(reterr, field, "has a step that is no number above 0");
    }
    if (at != end)
        return bad(reterr, field, "must be *, numbers, ranges or lists of them");
    if (low < field->min || high > field->max) {
        char what[64];
        snprintf(what, sizeof(what), "must be from %d to %d", field->min, field->max);
        return bad(reterr, field, what);
    }
    if (low > high)
        return bad(reterr, field, "has a range that ends before it begins");
    for (int i = low; i <= high; i += step)
        *set |= UINT64_C(1) << i;
    return FLOW_OK;
}

static FlowStatus parse_field(const Field *field, const char *text, size_t len, uint64_t *ret_set,
                              FlowError *reterr)
{
    const char *end = text + len;
    uint64_t set = 0;
    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        FlowStatus status = parse_item(field, text, comma ? comma : end, &set, reterr);
        if (status != FLOW_OK)
            return status;
        if (!comma)
            break;
        text = comma + 1;
    }
    *ret_set = set;
    return FLOW_OK;
}

static FlowStatus parse_fields(const char *text, size_t len, FlowCron *to, FlowError *reterr)
{
    enum { ALL = FLOW_COUNT(fields) };
    const char *starts[ALL + 1], *at = text, *end = text + len;
    size_t lengths[ALL + 1], count = 0;
    uint64_t sets[ALL];
    while (count <= ALL) {
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (at == end)
            break;
        starts[count] = at;
        while (at < end && *at != ' ' && *at != '\t')
            at++;
        lengths[count] = (size_t)(at - starts[count]);
        count++;
    }
    if (count != ALL && count != ALL - 1)
        return flow_error_set(
            reterr, FLOW_INVALID_ARGUMENT, "INVALID_CRON", NULL,
            "there must be 5 fields (minute, hour, day of month, month, day of week), or 6 with "
            "seconds in front");
    size_t skip = ALL - count;
    sets[0] = 1;
    for (size_t i = skip; i < ALL; i++) {
        FlowStatus status = parse_field(&fields[i], starts[i - skip], lengths[i - skip], &sets[i], reterr);
        if (status != FLOW_OK)
            return status;
    }
    to->seconds = sets[0];
    to->minutes = sets[1];
    to->hours = (uint32_t)sets[2];
    to->days = (uint32_t)sets[3];
    to->months = (uint32_t)sets[4];
    to->weekdays = (uint8_t)((sets[5] | sets[5] >> 7) & 0x7f); /* 7 is Sunday, too */
    to->any_day = *starts[3 - skip] == '*' || *starts[3 - skip] == '?';
    to->any_weekday = *starts[5 - skip] == '*' || *starts[5 - skip] == '?';
    return FLOW_OK;
}

FlowStatus flow_cron_parse(const char *text, size_t len, FlowCron *ret_cron, FlowError *reterr)
{
    FlowCron cron;
    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    while (len && strchr(" \t\r\n", *text))
        text++, len--;
    for (size_t i = 0; i < FLOW_COUNT(macros); i++) {
        if (len == strlen(macros[i].name) && strncasecmp(text, macros[i].name, len) == 0) {
            text = macros[i].fields;
            len = strlen(text);
        }
    }
    FlowStatus status = parse_fields(text, len, &cron, reterr);
    if (status != FLOW_OK)
        return status;
    FlowTimezone *utc;
    status = flow_timezone_open("UTC", &utc, reterr);
    if (status != FLOW_OK)
        return status;
    bool never = flow_cron_next(&cron, utc, 0) == INT64_MAX;
    flow_timezone_free(utc);
    if (never)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_CRON", NULL,
                              "such a date never comes: check day of month and month");
    *ret_cron = cron;
    return FLOW_OK;
}

/* ---- searching ---- */

static bool day_fits(const FlowCron *cron, int64_t days)
{
    int64_t year;
    int month, day;
    flow_date_from_days(days, &year, &month, &day);
    if (!(cron->months >> month & 1))
        return false;
    int weekday = (int)(((days + 4) % 7 + 7) % 7);
    bool by_day = cron->days >> day & 1, by_weekday = cron->weekdays >> weekday & 1;
    if (cron->any_day || cron->any_weekday)
        return by_day && by_weekday;
    return by_day || by_weekday;
}

/* The first bit at or above `from`; -1 when there is none. */
static int next_bit(uint64_t set, int from)
{
    set = from > 63 ? 0 : set & ~UINT64_C(0) << from;
    return set ? __builtin_ctzll(set) : -1;
}

/* The first second of a fitting day at or behind `from`; -1 when there is none. */
static int next_second(const FlowCron *cron, int from)
{
    int hour = from / 3600, minute = from / 60 % 60, second = from % 60;
    for (int h = next_bit(cron->hours, hour); h >= 0; h = next_bit(cron->hours, h + 1)) {
        for (int m = next_bit(cron->minutes, h == hour ? minute : 0); m >= 0;
             m = next_bit(cron->minutes, m + 1)) {
            int s = next_bit(cron->seconds, h == hour && m == minute ? second : 0);
            if (s >= 0)
                return h * 3600 + m * 60 + s;
        }
    }
    return -1;
}

/* The first fitting local second in [from, end); INT64_MAX when there is none. */
static int64_t next_local(const FlowCron *cron, int64_t from, int64_t end)
{
    int64_t days = (from - (from % DAY + DAY) % DAY) / DAY;
    int second = (int)(from - days * DAY);
    for (; days * DAY < end; days++, second = 0) {
        if (!day_fits(cron, days))
            continue;
        int found = next_second(cron, second);
        if (found >= 0)
            return days * DAY + found < end ? days * DAY + found : INT64_MAX;
    }
    return INT64_MAX;
}

int64_t flow_cron_next(const FlowCron *cron, const FlowTimezone *zone, int64_t utc_s)
{
    static const uint32_t every_hour = (1u << 24) - 1;
    bool by_elapsed_time = cron->hours == every_hour;
    int64_t at = utc_s + 1, give_up = utc_s + (int64_t)SEARCH_DAYS * DAY;
    while (at < give_up) {
        FlowTimeSpan span = flow_timezone_span(zone, at);
        int64_t end = span.end < give_up ? span.end : give_up;
        int64_t local = at + span.offset;
        int32_t jump = span.offset - span.offset_before;
        if (!by_elapsed_time && span.start != INT64_MIN && jump > 0 && at == span.start &&
            next_local(cron, at + span.offset_before, at + span.offset) != INT64_MAX)
            return at; /* left out by the clocks: now */
        if (!by_elapsed_time && span.start != INT64_MIN && jump < 0 &&
            local < span.start + span.offset_before)
            local = span.start + span.offset_before; /* these came before the clocks were put back */
        int64_t found = next_local(cron, local, end + span.offset);
        if (found != INT64_MAX)
            return found - span.offset;
        at = end;
    }
    return INT64_MAX;
}
