/*
 * datetime.c - dates with time: now(), to_datetime, strftime, their fields and methods.
 *
 * The calendar is the proleptic Gregorian one, years 1 to 9999. A datetime may know its offset from UTC; one
 * without counts as UTC where the two kinds meet. The clock is that of the render's context.
 */
#include <math.h>

#include "template/datetime.h"

static const int64_t earliest = -62135596800, latest = 253402300799;

bool flow_civil__is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int flow_civil__days_in(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && flow_civil__is_leap(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01 (Hinnant: "chrono-Compatible Low-Level Date Algorithms"). */
int64_t flow_civil__days(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

FlowCivil flow_civil__of(int64_t seconds)
{
    FlowCivil c;
    int64_t days = seconds / FLOW_SECONDS_OF_DAY, rest = seconds % FLOW_SECONDS_OF_DAY;
    if (rest < 0) {
        rest += FLOW_SECONDS_OF_DAY;
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
    c.yearday = (int)(days - flow_civil__days(c.year, 1, 1) + 1);
    return c;
}

bool flow_datetime__make(FlowVm *vm, FlowDateTime t, FlowVal *ret)
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

int64_t flow_datetime__utc(const FlowDateTime *t)
{
    return t->seconds - t->offset;
}

bool flow_datetime__from_seconds(FlowVm *vm, double seconds, int32_t offset, bool aware, FlowVal *ret)
{
    if (!isfinite(seconds) || seconds < -1e12 || seconds > 1e12)
        return flow_vm__fail(vm, "dates go from year 1 to year 9999");
    double whole = floor(seconds);
    int64_t micros = (int64_t)llround((seconds - whole) * 1e6);
    FlowDateTime t = {.seconds = (int64_t)whole + micros / 1000000 + offset,
                      .nanos = (int32_t)(micros % 1000000 * 1000),
                      .offset = offset,
                      .aware = aware};
    return flow_datetime__make(vm, t, ret);
}

int flow_datetime__order(const FlowDateTime *a, const FlowDateTime *b)
{
    int64_t x = flow_datetime__utc(a), y = flow_datetime__utc(b);
    if (x != y)
        return x < y ? -1 : 1;
    return (a->nanos > b->nanos) - (a->nanos < b->nanos);
}

bool flow_datetime__shift(FlowVm *vm, const FlowDateTime *t, FlowVal seconds, int sign, FlowVal *ret)
{
    if (seconds.type == V_INT || seconds.type == V_BOOL) {
        FlowDateTime moved = *t;
        int64_t by;
        if (__builtin_mul_overflow(seconds.i, (int64_t)sign, &by) ||
            __builtin_add_overflow(moved.seconds, by, &moved.seconds))
            return flow_vm__fail(vm, "dates go from year 1 to year 9999");
        return flow_datetime__make(vm, moved, ret);
    }
    double by;
    if (!flow_arith__to_double(vm, seconds, &by))
        return false;
    return flow_datetime__from_seconds(vm, (double)flow_datetime__utc(t) + t->nanos / 1e9 + sign * by,
                                       t->offset, t->aware, ret);
}

bool flow_datetime__difference(FlowVm *vm, const FlowDateTime *a, const FlowDateTime *b, FlowVal *ret)
{
    (void)vm;
    *ret = val_float((double)(flow_datetime__utc(a) - flow_datetime__utc(b)) + (a->nanos - b->nanos) / 1e9);
    return true;
}

/* ---- what templates see ---- */

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
        return flow_arith__to_double(vm, v, &seconds) &&
               flow_datetime__from_seconds(vm, seconds, 0, true, ret);
    case V_STRING:
        if (!flow_text__strip(vm, v, val_missing(), STRIP_BOTH, &text) || !flow_vm__charge(vm, 4))
            return false;
        if (arg_absent(format) ? flow_datetime__read_iso(text, &t) : flow_datetime__read(text, format, &t))
            return flow_datetime__make(vm, t, ret);
        return flow_vm__fail(vm, arg_absent(format)
                                     ? "this is no date in ISO 8601, such as 2026-11-23T20:36:31Z; give a "
                                       "format: to_datetime('%%d.%%m.%%Y')"
                                     : "this text is no date of that format");
    case V_UNDEFINED:
        return flow_vm__fail_undefined(vm, v);
    default:
        return flow_vm__fail(vm, "a date is a datetime, text or seconds since 1970, not %s",
                             flow_val__type_name(v));
    }
}

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
           flow_datetime__format(vm, t.datetime, args[1], ret);
}

static bool global_now(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    int64_t ns = flow_clock_wall_ns(vm->clock), hours_east = 0;
    double offset_hours = 0;
    if (val_given(args[0])) {
        if (!val_is_number(args[0]))
            return flow_vm__fail(vm, "now() wants the offset from UTC in hours, not %s",
                                 flow_val__type_name(args[0]));
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
    return flow_datetime__make(vm, t, ret);
}

const FlowNative flow_global_now = {"now", global_now, {"offset_hours"}, 0, NULL};

static bool method_strftime(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return arg_string(vm, args[1], "strftime") && flow_datetime__format(vm, args[0].datetime, args[1], ret);
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
    *ret = val_float((double)flow_datetime__utc(t) + t->nanos / 1e9);
    return true;
}

static bool method_weekday(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    (void)vm;
    *ret = val_int(flow_civil__of(args[0].datetime->seconds).weekday);
    return true;
}

static bool method_isoweekday(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    (void)vm;
    *ret = val_int(flow_civil__of(args[0].datetime->seconds).weekday + 1);
    return true;
}

bool flow_datetime__field(const FlowDateTime *t, const char *name, size_t len, FlowVal *ret)
{
    static const char *const names[] = {"year",   "month",  "day",         "hour",
                                        "minute", "second", "microsecond", "utc_offset"};
    FlowCivil c = flow_civil__of(t->seconds);
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
