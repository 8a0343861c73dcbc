#include "nodes/timezone.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { FILE_MAX = 256 << 10, HEADER = 44, NAME_MAX_LEN = 64, TYPES_MAX = 256 };
enum { DAY = 86400 };

/* When a rule's change comes in a year: Mm.w.d, Jn or n, at a local second of that day. */
typedef struct Change {
    enum { BY_WEEK, BY_JULIAN, BY_DAY } kind;
    int month, week, day;
    int32_t second;
} Change;

/* The POSIX TZ string at the end of a file: what holds behind the last transition. */
typedef struct Rule {
    bool is_known, has_summer;
    int32_t standard, summer; /* offsets */
    Change to_summer, to_standard;
} Rule;

struct FlowTimezone {
    int64_t *times;   /* of transitions, rising */
    int32_t *offsets; /* behind each of them */
    size_t count;
    int32_t first; /* offset before all of them */
    Rule rule;
};

/* ---- the calendar (Howard Hinnant's algorithms for civil dates) ---- */

int64_t flow_date_to_days(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

void flow_date_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (int)(month < 10 ? month + 3 : month - 9);
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* UTC second at which the change comes, `offset` being what holds before it. */
static int64_t change_in(const Change *change, int64_t year, int32_t offset)
{
    int64_t days = flow_date_to_days(year, 1, 1);
    if (change->kind == BY_JULIAN) {
        days += change->day - 1 + (is_leap(year) && change->day >= 60);
    } else if (change->kind == BY_DAY) {
        days += change->day;
    } else {
        days = flow_date_to_days(year, change->month, 1);
        int64_t weekday = ((days + 4) % 7 + 7) % 7;
        days += (change->day - weekday + 7) % 7 + 7 * (int64_t)(change->week - 1);
        int64_t next = change->month == 12 ? flow_date_to_days(year + 1, 1, 1)
                                           : flow_date_to_days(year, change->month + 1, 1);
        while (days >= next) /* the fifth means the last */
            days -= 7;
    }
    return days * DAY + change->second - offset;
}

/* ---- the rule ---- */

static bool parse_number(const char **text, int max, int *ret_number)
{
    const char *at = *text;
    int number = 0;
    while (*at >= '0' && *at <= '9' && at - *text < 4)
        number = number * 10 + (*at++ - '0');
    if (at == *text || number > max)
        return false;
    *text = at;
    *ret_number = number;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool parse_time(const char **text, int32_t *ret_seconds)
{
    int parts[3] = {0, 0, 0}, sign = **text == '-' ? -1 : 1;
    if (**text == '-' || **text == '+')
        (*text)++;
    for (int i = 0; i < 3; i++) {
        if (i && **text != ':')
            break;
        *text += i > 0;
        if (!parse_number(text, i ? 59 : 167, &parts[i]))
            return false;
    }
    *ret_seconds = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return true;
}

static bool skip_name(const char **text)
{
    const char *at = *text;
    if (*at == '<') {
        at = strchr(at, '>');
        if (!at)
            return false;
        *text = at + 1;
        return true;
    }
    while ((*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z'))
        at++;
    bool found = at - *text >= 3;
    *text = at;
    return found;
}

static bool parse_change(const char **text, Change *to)
{
    *to = (Change){.second = 2 * 3600};
    if (**text != ',')
        return false;
    (*text)++;
    if (**text == 'M') {
        (*text)++;
        to->kind = BY_WEEK;
        if (!parse_number(text, 12, &to->month) || to->month < 1 || *(*text)++ != '.' ||
            !parse_number(text, 5, &to->week) || to->week < 1 || *(*text)++ != '.' ||
            !parse_number(text, 6, &to->day))
            return false;
    } else if (**text == 'J') {
        (*text)++;
        to->kind = BY_JULIAN;
        if (!parse_number(text, 365, &to->day) || to->day < 1)
            return false;
    } else {
        to->kind = BY_DAY;
        if (!parse_number(text, 365, &to->day))
            return false;
    }
    if (**text != '/')
        return true;
    (*text)++;
    return parse_time(text, &to->second);
}

static bool parse_rule(const char *text, Rule *to)
{
    int32_t west;
    if (!skip_name(&text) || !parse_time(&text, &west))
        return false;
    to->standard = to->summer = -west;
    if (*text) {
        to->has_summer = true;
        to->summer = to->standard + 3600;
        if (!skip_name(&text))
            return false;
        if (*text != ',') {
            if (!parse_time(&text, &west))
                return false;
            to->summer = -west;
        }
        if (!parse_change(&text, &to->to_summer) || !parse_change(&text, &to->to_standard) || *text)
            return false;
    }
    to->is_known = true;
    return true;
}

/* ---- the file ---- */

static int64_t big_endian(const unsigned char *bytes, int size)
{
    uint64_t number = 0;
    for (int i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return size == 4 ? (int32_t)(uint32_t)number : (int64_t)number;
}

/* Size of the data behind a header; SIZE_MAX for a header that is none. */
static size_t block_size(const unsigned char *header, int time_size)
{
    size_t utc = (uint32_t)big_endian(header + 20, 4), standard = (uint32_t)big_endian(header + 24, 4);
    size_t leaps = (uint32_t)big_endian(header + 28, 4), times = (uint32_t)big_endian(header + 32, 4);
    size_t types = (uint32_t)big_endian(header + 36, 4), chars = (uint32_t)big_endian(header + 40, 4);
    if (utc > FILE_MAX || standard > FILE_MAX || leaps > FILE_MAX || times > FILE_MAX || types == 0 ||
        types > TYPES_MAX || chars > FILE_MAX)
        return SIZE_MAX;
    size_t time = (size_t)time_size;
    return times * (time + 1) + types * 6 + chars + leaps * (time + 4) + standard + utc;
}

static bool read_block(FlowTimezone *zone, const unsigned char *header, int time_size)
{
    size_t times = (uint32_t)big_endian(header + 32, 4), types = (uint32_t)big_endian(header + 36, 4);
    const unsigned char *at = header + HEADER, *indices = at + times * (size_t)time_size;
    const unsigned char *infos = indices + times;
    zone->times = flow_calloc(times + 1, sizeof(*zone->times));
    zone->offsets = flow_calloc(times + 1, sizeof(*zone->offsets));
    for (size_t i = 0; i < times; i++) {
        if (indices[i] >= types)
            return false;
        zone->times[i] = big_endian(at + i * (size_t)time_size, time_size);
        zone->offsets[i] = (int32_t)big_endian(infos + indices[i] * 6, 4);
        if ((i && zone->times[i] <= zone->times[i - 1]) || abs(zone->offsets[i]) > 2 * DAY)
            return false;
    }
    zone->count = times;
    zone->first = (int32_t)big_endian(infos, 4);
    return abs(zone->first) <= 2 * DAY;
}

static bool read_zone(FlowTimezone *zone, unsigned char *file, size_t len)
{
    if (len < HEADER || memcmp(file, "TZif", 4) != 0)
        return false;
    size_t size = block_size(file, 4);
    if (size > len - HEADER)
        return false;
    if (file[4] < '2')
        return read_block(zone, file, 4);
    unsigned char *second = file + HEADER + size;
    len -= HEADER + size;
    if (len < HEADER || memcmp(second, "TZif", 4) != 0 || (size = block_size(second, 8)) > len - HEADER ||
        !read_block(zone, second, 8))
        return false;
    /* "\nCET-1CEST,M3.5.0,M10.5.0/3\n"; the buffer has a NUL behind it. */
    char *footer = (char *)second + HEADER + size, *end = *footer == '\n' ? strchr(footer + 1, '\n') : NULL;
    if (!end)
        return false;
    *end = '\0';
    return footer[1] == '\0' || parse_rule(footer + 1, &zone->rule);
}

static bool is_name(const char *name)
{
    size_t len = strnlen(name, NAME_MAX_LEN + 1);
    if (len == 0 || len > NAME_MAX_LEN || *name == '/' || strstr(name, "..") || strstr(name, "//"))
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == len;
}

FlowStatus flow_timezone_open(const char *name, FlowTimezone **ret_zone, FlowError *reterr)
{
    FlowTimezone *zone = flow_new(FlowTimezone);
    if (strcmp(name, "UTC") == 0) { /* needs no file */
        *ret_zone = zone;
        return FLOW_OK;
    }
    char path[128];
    snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.64s", name);
    int fd = is_name(name) ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    unsigned char *file = flow_calloc(1, FILE_MAX + 1);
    ssize_t len = fd >= 0 ? read(fd, file, FILE_MAX) : -1;
    if (fd >= 0)
        close(fd);
    bool good = len > 0 && read_zone(zone, file, (size_t)len);
    free(file);
    if (good) {
        *ret_zone = zone;
        return FLOW_OK;
    }
    flow_timezone_free(zone);
    return flow_error_set(reterr, FLOW_NOT_FOUND, "UNKNOWN_TIMEZONE", NULL,
                          "the server knows no time zone '%.64s': use a name such as Europe/Berlin%s", name,
                          access("/usr/share/zoneinfo", R_OK) == 0 ? "" : " (and install tzdata)");
}

FlowTimezone *flow_timezone_free(FlowTimezone *zone)
{
    if (!zone)
        return NULL;
    free(zone->times);
    free(zone->offsets);
    free(zone);
    return NULL;
}

/* ---- spans ---- */

/* `file`: the span behind the file's last transition. */
static FlowTimeSpan by_rule(const Rule *rule, int64_t utc_s, FlowTimeSpan file)
{
    file.offset = rule->standard;
    if (!rule->has_summer)
        return file;
    int64_t year;
    int month, day, at = 0;
    flow_date_from_days((utc_s - (utc_s % DAY + DAY) % DAY) / DAY, &year, &month, &day);
    /* The changes of three years, in order: some are before utc_s, some behind it. */
    struct {
        int64_t time;
        int32_t offset;
    } changes[6];
    for (int i = 0; i < 3; i++) {
        int64_t summer = change_in(&rule->to_summer, year - 1 + i, rule->standard);
        int64_t standard = change_in(&rule->to_standard, year - 1 + i, rule->summer);
        int first = summer < standard ? 0 : 1;
        changes[2 * i + first].time = summer;
        changes[2 * i + first].offset = rule->summer;
        changes[2 * i + 1 - first].time = standard;
        changes[2 * i + 1 - first].offset = rule->standard;
    }
    while (at < 4 && changes[at + 1].time <= utc_s)
        at++;
    file.offset = changes[at].offset;
    file.end = changes[at + 1].time;
    if (changes[at].time > file.start) {
        file.start = changes[at].time;
        file.offset_before = file.offset == rule->summer ? rule->standard : rule->summer;
    }
    return file;
}

FlowTimeSpan flow_timezone_span(const FlowTimezone *zone, int64_t utc_s)
{
    size_t low = 0, high = zone->count; /* the first transition behind utc_s */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->times[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    FlowTimeSpan span = {
        .start = low ? zone->times[low - 1] : INT64_MIN,
        .end = low < zone->count ? zone->times[low] : INT64_MAX,
        .offset = low ? zone->offsets[low - 1] : zone->first,
        .offset_before = low > 1 ? zone->offsets[low - 2] : zone->first,
    };
    return low == zone->count && zone->rule.is_known ? by_rule(&zone->rule, utc_s, span) : span;
}
