/*
 * fields_time.c - dates, times of day and both, read by strptime formats as Python's _strptime matches them:
 * each directive tries its forms in a fixed order and gives back what a later one needs.
 */
#include "forms/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"

enum { FORMAT_BYTES = 64, NO_OFFSET = INT32_MIN };

typedef struct Moment {
    int year, month, day, hour, minute, second, micros;
    int offset; /* minutes east of UTC, or NO_OFFSET */
    int half;   /* 0: none said, 1: AM, 2: PM */
    bool twelve;
} Moment;

static const char *const date_formats[] = {"%Y-%m-%d",  "%m/%d/%Y", "%m/%d/%y",  "%b %d %Y",
                                           "%b %d, %Y", "%d %b %Y", "%d %b, %Y", "%B %d %Y",
                                           "%B %d, %Y", "%d %B %Y", "%d %B, %Y", NULL};
static const char *const time_formats[] = {"%H:%M:%S", "%H:%M:%S.%f", "%H:%M", NULL};
static const char *const datetime_formats[] = {"%Y-%m-%d %H:%M:%S",    "%Y-%m-%d %H:%M:%S.%f",
                                               "%Y-%m-%d %H:%M",       "%m/%d/%Y %H:%M:%S",
                                               "%m/%d/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M",
                                               "%m/%d/%y %H:%M:%S",    "%m/%d/%y %H:%M:%S.%f",
                                               "%m/%d/%y %H:%M",       NULL};

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const weekdays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};

/* Numeric directives: their forms in the order tried. Each digit position: the characters that may stand there. */
typedef struct Form {
    const char *positions[4];
} Form;

#define ANY "0123456789"

typedef struct Directive {
    char letter;
    Form forms[5];
} Directive;

static const Directive directives[] = {
    {'d', {{{"3", "01"}}, {{"12", ANY}}, {{"0", "123456789"}}, {{"123456789"}}, {{" ", "123456789"}}}},
    {'H', {{{"2", "0123"}}, {{"01", ANY}}, {{ANY}}}},
    {'I', {{{"1", "012"}}, {{"0", "123456789"}}, {{"123456789"}}}},
    {'m', {{{"1", "012"}}, {{"0", "123456789"}}, {{"123456789"}}}},
    {'M', {{{"012345", ANY}}, {{ANY}}}},
    {'S', {{{"6", "01"}}, {{"012345", ANY}}, {{ANY}}}},
    {'y', {{{ANY, ANY}}}},
    {'Y', {{{ANY, ANY, ANY, ANY}}}},
};

static const Directive *directive_of(char letter)
{
    for (size_t i = 0; i < FLOW_COUNT(directives); i++)
        if (directives[i].letter == letter)
            return &directives[i];
    return NULL;
}

bool flow_time__format_ok(const char *format)
{
    static const char words[] = "fbBaApz";
    const char *from = format;
    if (*format == '\0' || strlen(format) > FORMAT_BYTES)
        return false;
    for (; *format != '\0'; format++) {
        if (*format != '%' || *++format == '%')
            continue;
        if (*format == '\0' || (directive_of(*format) == NULL && strchr(words, *format) == NULL))
            return false;
        /* Twice the same directive: which one would count? */
        for (const char *before = from; before < format - 1; before++)
            if (*before == '%' && *++before == *format)
                return false;
    }
    return true;
}

static size_t form_length(const Form *form, const char *text, size_t len)
{
    size_t i = 0;
    for (; i < 4 && form->positions[i] != NULL; i++)
        if (i >= len || text[i] == '\0' || strchr(form->positions[i], text[i]) == NULL)
            return 0;
    return i;
}

static int number(const char *text, size_t len)
{
    int value = 0;
    for (size_t i = 0; i < len; i++)
        value = value * 10 + (text[i] == ' ' ? 0 : text[i] - '0');
    return value;
}

static void store(char letter, int value, Moment *moment)
{
    switch (letter) {
    case 'd':
        moment->day = value;
        break;
    case 'I':
        moment->twelve = true;
        /* fall through */
    case 'H':
        moment->hour = value;
        break;
    case 'm':
        moment->month = value;
        break;
    case 'M':
        moment->minute = value;
        break;
    case 'S':
        moment->second = value;
        break;
    case 'y':
        moment->year = value + (value <= 68 ? 2000 : 1900);
        break;
    default:
        moment->year = value;
    }
}

/* Index of the name that the text begins with, or -1; `cut` bytes of each name count (0: all). */
static int name_at(const char *const *names, size_t count, size_t cut, const char *text, size_t len,
                   size_t *ret_len)
{
    for (size_t i = 0; i < count; i++) {
        size_t name_len = cut != 0 ? cut : strlen(names[i]);
        if (name_len <= len && strncasecmp(names[i], text, name_len) == 0) {
            *ret_len = name_len;
            return (int)i;
        }
    }
    return -1;
}

/* "Z", "+0200" or "+02:00"; its length, 0 where there is none. */
static size_t offset_at(const char *text, size_t len, int *ret_minutes)
{
    if (len > 0 && text[0] == 'Z') {
        *ret_minutes = 0;
        return 1;
    }
    size_t colon = len > 3 && text[3] == ':';
    if (len < 5 + colon || (text[0] != '+' && text[0] != '-'))
        return 0;
    for (size_t i = 1; i < 5 + colon; i++)
        if ((i != 3 || !colon) && (text[i] < '0' || text[i] > '9'))
            return 0;
    if (text[3 + colon] > '5')
        return 0;
    int minutes = number(text + 1, 2) * 60 + number(text + 3 + colon, 2);
    *ret_minutes = text[0] == '-' ? -minutes : minutes;
    return 5 + colon;
}

static bool match(const char *format, const char *text, size_t len, Moment *moment, size_t *ret_used);

/* The directive `letter` takes `taken` digits; does the rest of the format fit what is left? */
static bool match_behind(const char *format, char letter, const char *text, size_t len, size_t taken,
                         Moment *moment, size_t *ret_used)
{
    Moment tried = *moment;
    if (letter == 'f') {
        tried.micros = number(text, taken);
        for (size_t i = taken; i < 6; i++)
            tried.micros *= 10;
    } else {
        store(letter, number(text, taken), &tried);
    }
    if (!match(format + 1, text + taken, len - taken, &tried, ret_used))
        return false;
    *moment = tried;
    *ret_used += taken;
    return true;
}

/* The forms of a numeric directive in their order; %f takes six digits down to one. */
static bool match_number(const char *format, const char *text, size_t len, Moment *moment, size_t *ret_used)
{
    static const Form one_digit = {{ANY}};
    const Directive *directive = directive_of(*format);
    if (directive == NULL) {
        size_t count = 0;
        while (count < 6 && form_length(&one_digit, text + count, len - count) == 1)
            count++;
        for (; count > 0; count--)
            if (match_behind(format, 'f', text, len, count, moment, ret_used))
                return true;
        return false;
    }
    for (size_t i = 0; i < FLOW_COUNT(directive->forms); i++) {
        size_t taken = form_length(&directive->forms[i], text, len);
        if (taken > 0 && match_behind(format, *format, text, len, taken, moment, ret_used))
            return true;
    }
    return false;
}

/* A name, AM or PM, an offset: there is one way to read them. Answers the length, 0 where there is none. */
static size_t match_word(char letter, const char *text, size_t len, Moment *moment)
{
    static const char *const halves[] = {"AM", "PM"};
    size_t taken = 0;
    int found;
    switch (letter) {
    case 'b':
    case 'B':
        found = name_at(months, FLOW_COUNT(months), letter == 'b' ? 3 : 0, text, len, &taken);
        moment->month = found + 1;
        return taken;
    case 'a':
    case 'A':
        name_at(weekdays, FLOW_COUNT(weekdays), letter == 'a' ? 3 : 0, text, len, &taken);
        return taken;
    case 'p':
        moment->half = name_at(halves, FLOW_COUNT(halves), 0, text, len, &taken) + 1;
        return taken;
    default:
        return offset_at(text, len, &moment->offset);
    }
}

static size_t spaces_at(const char *text, size_t len)
{
    size_t taken = 0, size;
    while (taken < len && flow_py__is_space(flow_utf8_decode(text + taken, len - taken, &size)))
        taken += size;
    return taken;
}

/*
 * Matches the format at the beginning of the text; how much it took goes to *ret_used. Each directive stands at
 * most once in a format, so the recursion is a dozen deep and backtracking has few ways to try.
 */
static bool match(const char *format, const char *text, size_t len, Moment *moment, size_t *ret_used)
{
    size_t used = 0;
    for (; *format != '\0'; format++) {
        const char *rest = text + used;
        size_t left = len - used, taken;
        if (flow_py__is_space((unsigned char)*format)) {
            while (flow_py__is_space((unsigned char)format[1]))
                format++;
            taken = spaces_at(rest, left);
        } else if (*format != '%' || format[1] == '%') {
            format += *format == '%';
            taken = left > 0 && strncasecmp(rest, format, 1) == 0;
        } else if (directive_of(*++format) != NULL || *format == 'f') {
            if (!match_number(format, rest, left, moment, ret_used))
                return false;
            *ret_used += used;
            return true;
        } else {
            taken = match_word(*format, rest, left, moment);
        }
        if (taken == 0)
            return false;
        used += taken;
    }
    *ret_used = used;
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool exists(const Moment *moment)
{
    return moment->year >= 1 && moment->month >= 1 && moment->month <= 12 && moment->day >= 1 &&
           moment->day <= days_in(moment->year, moment->month) && moment->hour <= 23 &&
           moment->minute <= 59 && moment->second <= 59 &&
           (moment->offset == NO_OFFSET || (moment->offset > -1440 && moment->offset < 1440));
}

static bool read_by_format(const char *format, const char *text, size_t len, Moment *ret_moment)
{
    Moment moment = {.year = 1900, .month = 1, .day = 1, .offset = NO_OFFSET};
    size_t used = 0;
    if (!match(format, text, len, &moment, &used) || used != len)
        return false;
    if (moment.twelve) {
        if (moment.hour == 12)
            moment.hour = 0;
        if (moment.half == 2)
            moment.hour += 12;
    }
    if (!exists(&moment))
        return false;
    *ret_moment = moment;
    return true;
}

static bool read_by_formats(const char *const *formats, const char *text, size_t len, Moment *ret_moment)
{
    for (; *formats != NULL; formats++)
        if (read_by_format(*formats, text, len, ret_moment))
            return true;
    return false;
}

/* Between min and max digits at *at, which moves on. */
static bool digits(const char **at, const char *end, int min, int max, int *ret_value)
{
    int count = 0, value = 0;
    while (count < max && *at < end && **at >= '0' && **at <= '9') {
        value = value * 10 + *(*at)++ - '0';
        count++;
    }
    *ret_value = value;
    return count >= min;
}

static bool literal(const char **at, const char *end, const char *one_of)
{
    if (*at == end || **at == '\0' || strchr(one_of, **at) == NULL)
        return false;
    (*at)++;
    return true;
}

/* ":30" and ".5" or ",5": up to six digits count, six more are skipped. */
static bool read_seconds(const char **at, const char *end, Moment *moment)
{
    int skipped;
    if (!literal(at, end, ":"))
        return true;
    if (!digits(at, end, 1, 2, &moment->second))
        return false;
    if (!literal(at, end, ".,"))
        return true;
    const char *from = *at;
    if (!digits(at, end, 1, 6, &moment->micros))
        return false;
    for (ptrdiff_t i = *at - from; i < 6; i++)
        moment->micros *= 10;
    digits(at, end, 0, 6, &skipped);
    return true;
}

/* "Z", "+02", "+0200", "+02:00" or nothing. */
static bool read_offset(const char **at, const char *end, Moment *moment)
{
    int hours, minutes = 0;
    if (literal(at, end, "Z")) {
        moment->offset = 0;
        return true;
    }
    bool negative = *at < end && **at == '-';
    if (!literal(at, end, "+-"))
        return true;
    if (!digits(at, end, 2, 2, &hours))
        return false;
    if (*at < end) {
        literal(at, end, ":");
        if (!digits(at, end, 2, 2, &minutes))
            return false;
    }
    moment->offset = (negative ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

typedef enum Iso { ISO_NOT, ISO_OK, ISO_NO_SUCH_DATE } Iso;

/* ISO 8601, which a DateTimeField always takes. */
static Iso read_iso(const char *text, size_t len, Moment *ret_moment)
{
    Moment moment = {.offset = NO_OFFSET};
    const char *at = text, *end = text + len;
    if (!digits(&at, end, 4, 4, &moment.year) || !literal(&at, end, "-") ||
        !digits(&at, end, 1, 2, &moment.month) || !literal(&at, end, "-") ||
        !digits(&at, end, 1, 2, &moment.day) || !literal(&at, end, "T ") ||
        !digits(&at, end, 1, 2, &moment.hour) || !literal(&at, end, ":") ||
        !digits(&at, end, 1, 2, &moment.minute) || !read_seconds(&at, end, &moment) ||
        !read_offset(&at, end, &moment) || at != end)
        return ISO_NOT;
    if (!exists(&moment))
        return ISO_NO_SUCH_DATE;
    *ret_moment = moment;
    return ISO_OK;
}

static int print_date(const Moment *moment, char *to, size_t size)
{
    return snprintf(to, size, "%04d-%02d-%02d", moment->year, moment->month, moment->day);
}

static int print_time(const Moment *moment, char *to, size_t size)
{
    int len = snprintf(to, size, "%02d:%02d:%02d", moment->hour, moment->minute, moment->second);
    if (moment->micros != 0)
        len += snprintf(to + len, size - (size_t)len, ".%06d", moment->micros);
    return len;
}

/* The stripped text; false for what is no text. */
static bool stripped(FlowValue *raw, const char **ret_text, size_t *ret_len)
{
    if (flow_value_kind(*raw) != FLOW_VALUE_STRING)
        return false;
    *ret_text = flow_value_text(raw);
    *ret_len = flow_value_length(raw);
    flow_py__strip(ret_text, ret_len);
    return true;
}

static bool convert_date(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    const char *const *own = cleaning->field->spec->input_formats, *text;
    size_t len;
    Moment moment;
    char printed[16];
    *ret_value = flow_value_null();
    if (flow_value__is_empty(raw))
        return true;
    if (!stripped(&raw, &text, &len) ||
        !read_by_formats(own != NULL ? own : date_formats, text, len, &moment))
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_DATE, NULL);
    *ret_value = flow_value_stringn(printed, (size_t)print_date(&moment, printed, sizeof printed));
    return true;
}

static bool convert_time(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    const char *const *own = cleaning->field->spec->input_formats, *text;
    size_t len;
    Moment moment;
    char printed[24];
    *ret_value = flow_value_null();
    if (flow_value__is_empty(raw))
        return true;
    if (!stripped(&raw, &text, &len) ||
        !read_by_formats(own != NULL ? own : time_formats, text, len, &moment))
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_TIME, NULL);
    *ret_value = flow_value_stringn(printed, (size_t)print_time(&moment, printed, sizeof printed));
    return true;
}

static bool convert_datetime(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    const char *const *own = cleaning->field->spec->input_formats, *text;
    size_t len;
    Moment moment;
    char printed[48];
    *ret_value = flow_value_null();
    if (flow_value__is_empty(raw))
        return true;
    if (!stripped(&raw, &text, &len))
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_DATETIME, NULL);
    Iso iso = read_iso(text, len, &moment);
    bool ok = iso == ISO_OK;
    if (iso == ISO_NOT)
        ok = own != NULL ? read_by_formats(own, text, len, &moment)
                         : read_by_formats(datetime_formats, text, len, &moment) ||
                               read_by_formats(date_formats, text, len, &moment);
    if (!ok)
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_DATETIME, NULL);
    int at = print_date(&moment, printed, sizeof printed);
    printed[at++] = 'T';
    at += print_time(&moment, printed + at, sizeof printed - (size_t)at);
    if (moment.offset != NO_OFFSET) {
        int minutes = moment.offset < 0 ? -moment.offset : moment.offset;
        at += snprintf(printed + at, sizeof printed - (size_t)at, "%c%02d:%02d",
                       moment.offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
    }
    *ret_value = flow_value_stringn(printed, (size_t)at);
    return true;
}

/* Microseconds since the year 1, to compare with. */
static int64_t instant(const Moment *moment)
{
    int64_t year = moment->year - 1, days = year * 365 + year / 4 - year / 100 + year / 400;
    for (int month = 1; month < moment->month; month++)
        days += days_in(moment->year, month);
    int offset = moment->offset != NO_OFFSET ? moment->offset : 0;
    int64_t minutes = ((days + moment->day) * 24 + moment->hour) * 60 + moment->minute - offset;
    return (minutes * 60 + moment->second) * 1000000 + moment->micros;
}

/* With an offset or without: the two can't be compared with each other. */
static int compare_datetimes(FlowValue a, FlowValue b)
{
    Moment left, right;
    if (flow_value_kind(a) != FLOW_VALUE_STRING || flow_value_kind(b) != FLOW_VALUE_STRING ||
        read_iso(flow_value_text(&a), flow_value_length(&a), &left) != ISO_OK ||
        read_iso(flow_value_text(&b), flow_value_length(&b), &right) != ISO_OK ||
        (left.offset == NO_OFFSET) != (right.offset == NO_OFFSET))
        return 2;
    int64_t first = instant(&left), second = instant(&right);
    return first < second ? -1 : first > second;
}

const FlowFieldOps flow_field__date = {
    .name = "DateField",
    .widget = FLOW_WIDGET_TEXT,
    .options = FLOW_OPTION_FORMATS,
    .convert = convert_date,
};

const FlowFieldOps flow_field__time = {
    .name = "TimeField",
    .widget = FLOW_WIDGET_TEXT,
    .options = FLOW_OPTION_FORMATS,
    .convert = convert_time,
};

const FlowFieldOps flow_field__datetime = {
    .name = "DateTimeField",
    .widget = FLOW_WIDGET_TEXT,
    .options = FLOW_OPTION_FORMATS,
    .convert = convert_datetime,
    .compare = compare_datetimes,
};
