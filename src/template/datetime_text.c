/* datetime_text.c - dates to text and back: ISO 8601, strftime, strptime. */
#include <stdio.h>
#include <strings.h>

#include "template/datetime.h"

static void put_offset(FlowBuf *to, int32_t offset, const char *colon)
{
    int32_t size = offset < 0 ? -offset : offset;
    flow_buf_printf(to, "%c%02d%s%02d", offset < 0 ? '-' : '+', size / 3600, colon, size / 60 % 60);
    if (size % 60 != 0)
        flow_buf_printf(to, "%s%02d", colon, size % 60);
}

void flow_datetime__print(FlowBuf *to, const FlowDateTime *t, char between)
{
    FlowCivil c = flow_civil__of(t->seconds);
    flow_buf_printf(to, "%04d-%02d-%02d%c%02d:%02d:%02d", (int)c.year, c.month, c.day, between, c.hour,
                    c.minute, c.second);
    if (t->nanos != 0)
        flow_buf_printf(to, ".%06d", t->nanos / 1000);
    if (t->aware)
        put_offset(to, t->offset, ":");
}

static const char *const weekdays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};
static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};

/* ISO 8601 week and its year. */
static int iso_week(const FlowCivil *c, int64_t *ret_year)
{
    int week = (c->yearday - 1 - c->weekday + 10) / 7;
    *ret_year = c->year;
    if (week < 1) {
        *ret_year = c->year - 1;
        int last = flow_civil__is_leap(c->year - 1) ? 366 : 365;
        return (c->yearday + last - 1 - c->weekday + 10) / 7;
    }
    if (week == 53) {
        int jan1 = (c->weekday + 7 - (c->yearday - 1) % 7) % 7;
        int last = flow_civil__is_leap(c->year) ? 366 : 365;
        int dec31 = (jan1 + last - 1) % 7;
        if (dec31 < 3) {
            *ret_year = c->year + 1;
            return 1;
        }
    }
    return week;
}

static bool put_field(FlowVm *vm, FlowBuf *to, const FlowDateTime *t, const FlowCivil *c, char letter,
                      bool unpadded)
{
    int64_t year;
    int week = iso_week(c, &year), hour12 = c->hour % 12 == 0 ? 12 : c->hour % 12;
    const char *two = unpadded ? "%d" : "%02d";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    switch (letter) {
    case 'Y':
        flow_buf_printf(to, unpadded ? "%d" : "%04d", (int)c->year);
        break;
    case 'y':
        flow_buf_printf(to, two, (int)(c->year % 100));
        break;
    case 'C':
        flow_buf_printf(to, two, (int)(c->year / 100));
        break;
    case 'm':
        flow_buf_printf(to, two, c->month);
        break;
    case 'd':
        flow_buf_printf(to, two, c->day);
        break;
    case 'e':
        flow_buf_printf(to, unpadded ? "%d" : "%2d", c->day);
        break;
    case 'H':
        flow_buf_printf(to, two, c->hour);
        break;
    case 'I':
        flow_buf_printf(to, two, hour12);
        break;
    case 'M':
        flow_buf_printf(to, two, c->minute);
        break;
    case 'S':
        flow_buf_printf(to, two, c->second);
        break;
    case 'f':
        flow_buf_printf(to, "%06d", t->nanos / 1000);
        break;
    case 'j':
        flow_buf_printf(to, unpadded ? "%d" : "%03d", c->yearday);
        break;
    case 'U':
        flow_buf_printf(to, two, (c->yearday + 6 - (c->weekday + 1) % 7) / 7);
        break;
    case 'W':
        flow_buf_printf(to, two, (c->yearday + 6 - c->weekday) / 7);
        break;
    case 'V':
        flow_buf_printf(to, two, week);
        break;
    case 'G':
        flow_buf_printf(to, "%04d", (int)year);
        break;
    case 'u':
        flow_buf_printf(to, "%d", c->weekday + 1);
        break;
    case 'w':
        flow_buf_printf(to, "%d", (c->weekday + 1) % 7);
        break;
    case 'a':
        flow_buf_append(to, weekdays[c->weekday], 3);
        break;
    case 'A':
        flow_buf_str(to, weekdays[c->weekday]);
        break;
    case 'b':
    case 'h':
        flow_buf_append(to, months[c->month - 1], 3);
        break;
    case 'B':
        flow_buf_str(to, months[c->month - 1]);
        break;
    case 'p':
        flow_buf_str(to, c->hour < 12 ? "AM" : "PM");
        break;
    case 'F':
        flow_buf_printf(to, "%04d-%02d-%02d", (int)c->year, c->month, c->day);
        break;
    case 'T':
    case 'X':
        flow_buf_printf(to, "%02d:%02d:%02d", c->hour, c->minute, c->second);
        break;
    case 'R':
        flow_buf_printf(to, "%02d:%02d", c->hour, c->minute);
        break;
    case 'D':
    case 'x':
        flow_buf_printf(to, "%02d/%02d/%02d", c->month, c->day, (int)(c->year % 100));
        break;
    case 'c':
        flow_buf_printf(to, "%.3s %.3s %2d %02d:%02d:%02d %d", weekdays[c->weekday], months[c->month - 1],
                        c->day, c->hour, c->minute, c->second, (int)c->year);
        break;
    case 's':
        flow_buf_printf(to, "%lld", (long long)flow_datetime__utc(t));
        break;
    case 'z':
        if (t->aware)
            put_offset(to, t->offset, "");
        break;
    case 'Z':
        if (t->aware && t->offset == 0)
            flow_buf_str(to, "UTC");
        else if (t->aware) {
            flow_buf_str(to, "UTC");
            put_offset(to, t->offset, ":");
        }
        break;
    case 'n':
        flow_buf_byte(to, '\n');
        break;
    case 't':
        flow_buf_byte(to, '\t');
        break;
    case '%':
        flow_buf_byte(to, '%');
        break;
    default:
        return flow_vm__fail(vm, "strftime: unknown field %%%c", letter);
    }
#pragma GCC diagnostic pop
    return true;
}

bool flow_datetime__format(FlowVm *vm, const FlowDateTime *t, FlowVal format, FlowVal *ret)
{
    FlowCivil c = flow_civil__of(t->seconds);
    FlowBuild build = flow_vm__build(vm);
    for (uint32_t i = 0; i < format.len; i++) {
        if (format.s[i] != '%' || i + 1 == format.len) {
            flow_buf_byte(build.buf, format.s[i]);
            continue;
        }
        bool unpadded = format.s[++i] == '-' && i + 1 < format.len;
        i += unpadded;
        if (!put_field(vm, build.buf, t, &c, format.s[i], unpadded) || !flow_vm__charge(vm, 2) ||
            !flow_vm__build_ok(vm, build))
            return flow_vm__build_drop(vm, build);
    }
    return flow_vm__built(vm, build, ret);
}

/* ---- from text ---- */

typedef struct Reader {
    const char *text;
    size_t len, at;
} Reader;

static bool skip(Reader *r, char c)
{
    if (r->at >= r->len || r->text[r->at] != c)
        return false;
    r->at++;
    return true;
}

/* Exactly (or, with `most`, up to) so many digits. */
static bool digits(Reader *r, int least, int most, int *ret)
{
    int n = 0, value = 0;
    while (n < most && r->at < r->len && r->text[r->at] >= '0' && r->text[r->at] <= '9') {
        value = value * 10 + (r->text[r->at++] - '0');
        n++;
    }
    *ret = value;
    return n >= least;
}

static void fraction(Reader *r, int32_t *ret_nanos)
{
    int32_t unit = 100000000;
    *ret_nanos = 0;
    while (r->at < r->len && r->text[r->at] >= '0' && r->text[r->at] <= '9') {
        *ret_nanos += (r->text[r->at++] - '0') * unit;
        unit /= 10;
    }
}

static bool offset(Reader *r, FlowDateTime *t)
{
    int hours, minutes = 0, sign = 1;
    if (skip(r, 'Z') || skip(r, 'z')) {
        t->aware = true;
        return true;
    }
    if (skip(r, '-'))
        sign = -1;
    else if (!skip(r, '+'))
        return false;
    if (!digits(r, 2, 2, &hours))
        return false;
    if (skip(r, ':') ? !digits(r, 2, 2, &minutes) : r->at < r->len && !digits(r, 2, 2, &minutes))
        return false;
    if (hours > 23 || minutes > 59)
        return false;
    t->offset = sign * (hours * 3600 + minutes * 60);
    t->aware = true;
    return true;
}

static bool valid(const FlowCivil *c)
{
    return c->year >= 1 && c->year <= 9999 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= flow_civil__days_in(c->year, c->month) && c->hour <= 23 && c->minute <= 59 &&
           c->second <= 59;
}

static void set_seconds(FlowDateTime *t, const FlowCivil *c)
{
    t->seconds = flow_civil__days(c->year, c->month, c->day) * FLOW_SECONDS_OF_DAY + c->hour * 3600 +
                 c->minute * 60 + c->second;
}

/* 2026-11-23, 2026-11-23T20:36, 2026-11-23 20:36:31.042+01:00, 20261123T203631Z */
bool flow_datetime__read_iso(FlowVal text, FlowDateTime *ret)
{
    Reader r = {text.s, text.len, 0};
    FlowCivil c = {0};
    FlowDateTime t = {0};
    int year;
    if (!digits(&r, 4, 4, &year))
        return false;
    c.year = year;
    bool dashes = skip(&r, '-');
    if (!digits(&r, 2, 2, &c.month) || (dashes && !skip(&r, '-')) || !digits(&r, 2, 2, &c.day))
        return false;
    if (r.at < r.len && (skip(&r, 'T') || skip(&r, 't') || skip(&r, ' '))) {
        if (!digits(&r, 2, 2, &c.hour))
            return false;
        bool colons = skip(&r, ':');
        if ((colons || (r.at < r.len && r.text[r.at] >= '0' && r.text[r.at] <= '9')) &&
            !digits(&r, 2, 2, &c.minute))
            return false;
        if (colons ? skip(&r, ':') : r.at < r.len && r.text[r.at] >= '0' && r.text[r.at] <= '9') {
            if (!digits(&r, 2, 2, &c.second))
                return false;
            if (skip(&r, '.') || skip(&r, ','))
                fraction(&r, &t.nanos);
        }
        skip(&r, ' ');
        if (r.at < r.len && !offset(&r, &t))
            return false;
    }
    if (r.at != r.len || !valid(&c))
        return false;
    set_seconds(&t, &c);
    *ret = t;
    return true;
}

static bool name_of(Reader *r, const char *const *names, int count, bool whole, int *ret)
{
    for (int i = 0; i < count; i++) {
        size_t len = whole ? strlen(names[i]) : 3;
        if (len <= r->len - r->at && strncasecmp(names[i], r->text + r->at, len) == 0) {
            r->at += len;
            *ret = i;
            return true;
        }
    }
    return false;
}

/* The fields that strptime knows and that say something about a moment. */
static bool read_field(Reader *r, char letter, FlowCivil *c, FlowDateTime *t, int *half)
{
    int value;
    switch (letter) {
    case 'Y':
        return digits(r, 4, 4, &value) && (c->year = value, true);
    case 'y':
        return digits(r, 2, 2, &value) && (c->year = value + (value < 69 ? 2000 : 1900), true);
    case 'm':
        return digits(r, 1, 2, &c->month);
    case 'd':
    case 'e':
        return digits(r, 1, 2, &c->day);
    case 'H':
    case 'I':
        return digits(r, 1, 2, &c->hour);
    case 'M':
        return digits(r, 1, 2, &c->minute);
    case 'S':
        return digits(r, 1, 2, &c->second);
    case 'f':
        fraction(r, &t->nanos);
        return true;
    case 'b':
    case 'h':
        return name_of(r, months, 12, false, &c->month) && ++c->month;
    case 'B':
        return name_of(r, months, 12, true, &c->month) && ++c->month;
    case 'a':
        return name_of(r, weekdays, 7, false, &value);
    case 'A':
        return name_of(r, weekdays, 7, true, &value);
    case 'p': {
        static const char *const halves[] = {"AM ", "PM "};
        Reader two = {r->text, r->at + 2 <= r->len ? r->at + 2 : r->len, r->at};
        for (int i = 0; i < 2; i++) {
            if (two.len - two.at == 2 && strncasecmp(halves[i], two.text + two.at, 2) == 0) {
                *half = i;
                r->at += 2;
                return true;
            }
        }
        return false;
    }
    case 'z':
        return offset(r, t);
    default:
        return letter == '%' && skip(r, '%');
    }
}

bool flow_datetime__read(FlowVal text, FlowVal format, FlowDateTime *ret)
{
    Reader r = {text.s, text.len, 0};
    FlowCivil c = {.year = 1900, .month = 1, .day = 1};
    FlowDateTime t = {0};
    int half = -1;
    for (uint32_t i = 0; i < format.len; i++) {
        char f = format.s[i];
        if (f == '%' && i + 1 < format.len) {
            if (!read_field(&r, format.s[++i], &c, &t, &half))
                return false;
        } else if (f == ' ') {
            while (skip(&r, ' '))
                ;
        } else if (!skip(&r, f)) {
            return false;
        }
    }
    if (half >= 0)
        c.hour = c.hour % 12 + 12 * half;
    if (r.at != r.len || !valid(&c))
        return false;
    set_seconds(&t, &c);
    *ret = t;
    return true;
}
