/*
 * datetime.c - dates with time: now(), to_datetime, strftime, their fields and methods.
 *
 * The calendar is the proleptic Gregorian one, years 1 to 9999. A datetime may know its offset from UTC; one
 * without counts as UTC where the two kinds meet. The clock is that of the render's context.
 */
#include <math.h>
#include <stdio.h>

#include "template/natives.h"

enum { DAY = 86400, MAX_OFFSET = 86400 };

static const int64_t earliest = -62135596800, latest = 253402300799;

typedef struct Civil {
    int64_t year;
    int month, day, hour, minute, second, weekday, yearday; /* weekday: Monday is 0; yearday from 1 */
} Civil;

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01 (Hinnant: "chrono-Compatible Low-Level Date Algorithms"). */
static int64_t days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static Civil civil_of(int64_t seconds)
{
    Civil c;
    int64_t days = seconds / DAY, rest = seconds % DAY;
    if (rest < 0) {
        rest += DAY;
        days--;
    }
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    c.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    c.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    c.year = yoe + era * 400 + (c.month <= 2);
    c.hour = (int)(rest / 3600);
    c.minute = (int)(rest / 60 % 60);
    c.second = (int)(rest % 60);
    c.weekday = (int)(((days + 3) % 7 + 7) % 7);
    c.yearday = (int)(days - days_from_civil(c.year, 1, 1) + 1);
    return c;
}

static bool make(FlowVm *vm, FlowDateTime t, FlowVal *ret)
{
    if (t.seconds < earliest || t.seconds > latest)
        return flow_vm__fail(vm, "dates go from year 1 to year 9999");
    FlowDateTime *kept = flow_vm__alloc(vm, sizeof *kept);
    if (kept == NULL)
        return false;
    *kept = t;
    *ret = (FlowVal){.type = V_DATETIME, .datetime = kept};
    return true;
}

static int64_t utc_of(const FlowDateTime *t)
{
    return t->seconds - t->offset;
}

int flow_datetime__order(const FlowDateTime *a, const FlowDateTime *b)
{
    int64_t x = utc_of(a), y = utc_of(b);
    if (x != y)
        return x < y ? -1 : 1;
    return (a->nanos > b->nanos) - (a->nanos < b->nanos);
}

static bool from_seconds(FlowVm *vm, double seconds, int32_t offset, bool aware, FlowVal *ret)
{
    if (!isfinite(seconds) || seconds < -1e12 || seconds > 1e12)
        return flow_vm__fail(vm, "dates go from year 1 to year 9999");
    double whole = floor(seconds);
    int64_t micros = (int64_t)llround((seconds - whole) * 1e6);
    FlowDateTime t = {.seconds = (int64_t)whole + micros / 1000000 + offset,
                      .nanos = (int32_t)(micros % 1000000 * 1000),
                      .offset = offset,
                      .aware = aware};
    return make(vm, t, ret);
}

bool flow_datetime__shift(FlowVm *vm, const FlowDateTime *t, FlowVal seconds, int sign, FlowVal *ret)
{
    if (seconds.type == V_INT || seconds.type == V_BOOL) {
        FlowDateTime moved = *t;
        int64_t by;
        if (__builtin_mul_overflow(seconds.i, (int64_t)sign, &by) ||
            __builtin_add_overflow(moved.seconds, by, &moved.seconds))
            return flow_vm__fail(vm, "dates go from year 1 to year 9999");
        return make(vm, moved, ret);
    }
    double by;
    if (!flow_arith__to_double(vm, seconds, &by))
        return false;
    return from_seconds(vm, (double)utc_of(t) + t->nanos / 1e9 + sign * by, t->offset, t->aware, ret);
}

bool flow_datetime__difference(FlowVm *vm, const FlowDateTime *a, const FlowDateTime *b, FlowVal *ret)
{
    (void)vm;
    *ret = val_float((double)(utc_of(a) - utc_of(b)) + (a->nanos - b->nanos) / 1e9);
    return true;
}

/* ---- as text ---- */

static void put_offset(FlowBuf *to, int32_t offset, const char *colon)
{
    int32_t size = offset < 0 ? -offset : offset;
    flow_buf_printf(to, "%c%02d%s%02d", offset < 0 ? '-' : '+', size / 3600, colon, size / 60 % 60);
    if (size % 60 != 0)
        flow_buf_printf(to, "%s%02d", colon, size % 60);
}

void flow_datetime__print(FlowBuf *to, const FlowDateTime *t, char between)
{
    Civil c = civil_of(t->seconds);
    flow_buf_printf(to, "%04d-%02d-%02d%c%02d:%02d:%02d", (int)c.year, c.month, c.day, between, c.hour, c.minute, c.second);
    if (t->nanos != 0)
        flow_buf_printf(to, ".%06d", t->nanos / 1000);
    if (t->aware)
        put_offset(to, t->offset, ":");
}

static const char *const weekdays[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};

/* ISO 8601 week and its year. */
static int iso_week(const Civil *c, int64_t *ret_year)
{
    int week = (c->yearday - 1 - c->weekday + 10) / 7;
    *ret_year = c->year;
    if (week < 1) {
        *ret_year = c->year - 1;
        int last = is_leap(c->year - 1) ? 366 : 365;
        return (c->yearday + last - 1 - c->weekday + 10) / 7;
    }
    if (week == 53) {
        int jan1 = (c->weekday + 7 - (c->yearday - 1) % 7) % 7;
        int last = is_leap(c->year) ? 366 : 365;
        int dec31 = (jan1 + last - 1) % 7;
        if (dec31 < 3) {
            *ret_year = c->year + 1;
            return 1;
        }
    }
    return week;
}

static bool put_field(FlowVm *vm, FlowBuf *to, const FlowDateTime *t, const Civil *c, char letter, bool unpadded)
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
        flow_buf_printf(to, "%.3s %.3s %2d %02d:%02d:%02d %d", weekdays[c->weekday], months[c->month - 1], c->day, c->hour,
                        c->minute, c->second, (int)c->year);
        break;
    case 's':
        flow_buf_printf(to, "%lld", (long long)utc_of(t));
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

static bool format_datetime(FlowVm *vm, const FlowDateTime *t, FlowVal format, FlowVal *ret)
{
    Civil c = civil_of(t->seconds);
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

static bool valid(const Civil *c)
{
    return c->year >= 1 && c->year <= 9999 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= days_in(c->year, c->month) && c->hour <= 23 && c->minute <= 59 && c->second <= 59;
}

static void set_seconds(FlowDateTime *t, const Civil *c)
{
    t->seconds = days_from_civil(c->year, c->month, c->day) * DAY + c->hour * 3600 + c->minute * 60 + c->second;
}

/* 2026-11-23, 2026-11-23T20:36, 2026-11-23 20:36:31.042+01:00, 20261123T203631Z */
static bool read_iso(FlowVal text, FlowDateTime *ret)
{
    Reader r = {text.s, text.len, 0};
    Civil c = {0};
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
        if ((colons || (r.at < r.len && r.text[r.at] >= '0' && r.text[r.at] <= '9')) && !digits(&r, 2, 2, &c.minute))
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
static bool read_field(Reader *r, char letter, Civil *c, FlowDateTime *t, int *half)
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

static bool read_formatted(FlowVal text, FlowVal format, FlowDateTime *ret)
{
    Reader r = {text.s, text.len, 0};
    Civil c = {.year = 1900, .month = 1, .day = 1};
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

/* A datetime, text in ISO 8601, or seconds since 1970. */
static bool moment(FlowVm *vm, FlowVal v, FlowVal format, FlowVal *ret)
{
    double seconds;
    FlowDateTime t;
    FlowVal text;
    switch (v.type) {
    case V_DATETIME:
        *ret = v;
        return true;
    case V_INT:
    case V_FLOAT:
    case V_BIG:
        return flow_arith__to_double(vm, v, &seconds) && from_seconds(vm, seconds, 0, true, ret);
    case V_STRING:
        if (!flow_text__strip(vm, v, val_missing(), STRIP_BOTH, &text) || !flow_vm__charge(vm, 4))
            return false;
        if (arg_absent(format) ? read_iso(text, &t) : read_formatted(text, format, &t))
            return make(vm, t, ret);
        return flow_vm__fail(vm, arg_absent(format) ? "this is no date in ISO 8601, such as 2026-11-23T20:36:31Z; give a format: to_datetime('%%d.%%m.%%Y')"
                                                    : "this text is no date of that format");
    case V_UNDEFINED:
        return flow_vm__fail_undefined(vm, v);
    default:
        return flow_vm__fail(vm, "a date is a datetime, text or seconds since 1970, not %s", flow_val__type_name(v));
    }
}

/* ---- what templates see ---- */

static bool filter_to_datetime(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    if (!arg_absent(args[1]) && !arg_string(vm, args[1], "format"))
        return false;
    return moment(vm, args[0], args[1], ret);
}

static bool filter_strftime(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal t;
    return arg_string(vm, args[1], "filter 'strftime'") && moment(vm, args[0], val_missing(), &t) &&
           format_datetime(vm, t.datetime, args[1], ret);
}

static bool global_now(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    int64_t ns = flow_clock_wall_ns(vm->clock), hours_east = 0;
    double offset_hours = 0;
    if (val_given(args[0])) {
        if (!val_is_number(args[0]))
            return flow_vm__fail(vm, "now() wants the offset from UTC in hours, not %s", flow_val__type_name(args[0]));
        if (!flow_arith__to_double(vm, args[0], &offset_hours))
            return false;
        if (!(offset_hours > -24 && offset_hours < 24))
            return flow_vm__fail(vm, "now(): an offset from UTC is less than 24 hours");
    }
    hours_east = (int64_t)llround(offset_hours * 3600);
    int64_t seconds = ns / FLOW_NS_PER_S, nanos = ns % FLOW_NS_PER_S;
    if (nanos < 0) {
        nanos += FLOW_NS_PER_S;
        seconds--;
    }
    FlowDateTime t = {.seconds = seconds + hours_east,
                      .nanos = (int32_t)(nanos / 1000 * 1000),
                      .offset = (int32_t)hours_east,
                      .aware = true};
    return make(vm, t, ret);
}

const FlowNative flow_global_now = {"now", global_now, {"offset_hours"}, 0, NULL};

static bool method_strftime(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return arg_string(vm, args[1], "strftime") && format_datetime(vm, args[0].datetime, args[1], ret);
}

static bool method_isoformat(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowBuild build = flow_vm__build(vm);
    flow_datetime__print(build.buf, args[0].datetime, 'T');
    return flow_vm__built(vm, build, ret);
}

static bool method_timestamp(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    (void)vm;
    const FlowDateTime *t = args[0].datetime;
    *ret = val_float((double)utc_of(t) + t->nanos / 1e9);
    return true;
}

static bool method_weekday(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    (void)vm;
    *ret = val_int(civil_of(args[0].datetime->seconds).weekday);
    return true;
}

static bool method_isoweekday(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    (void)vm;
    *ret = val_int(civil_of(args[0].datetime->seconds).weekday + 1);
    return true;
}

bool flow_datetime__field(const FlowDateTime *t, const char *name, size_t len, FlowVal *ret)
{
    static const char *const names[] = {"year", "month", "day", "hour", "minute", "second", "microsecond", "utc_offset"};
    Civil c = civil_of(t->seconds);
    int64_t values[] = {c.year, c.month, c.day, c.hour, c.minute, c.second, t->nanos / 1000, t->offset};
    for (size_t i = 0; i < FLOW_COUNT(names); i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
            *ret = val_int(values[i]);
            return true;
        }
    }
    return false;
}

static const FlowNative filters[] = {
    {"to_datetime", filter_to_datetime, {"value", "format"}, 1, NULL},
    {"strftime", filter_strftime, {"value", "format"}, 2, NULL},
};
NATIVE_TABLE(flow_filters_datetime, filters);

static const FlowNative methods[] = {
    {"strftime", method_strftime, {"self", "format"}, 2, NULL},
    {"isoformat", method_isoformat, {"self"}, 1, NULL},
    {"timestamp", method_timestamp, {"self"}, 1, NULL},
    {"weekday", method_weekday, {"self"}, 1, NULL},
    {"isoweekday", method_isoweekday, {"self"}, 1, NULL},
};
NATIVE_TABLE(flow_methods_datetime, methods);
