/*
 * format_brace.c - '{:>8.2f} {name}'.format(…): Python's format strings. A field reaches values, items and keys,
 * nothing else.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "template/natives.h"
#include "template/unicode.h"
#include "value/number.h"

enum { MOST_PRECISION = 5000 };

typedef struct Spec {
    char fill[5]; /* one character; empty: none was given */
    char align;   /* < > ^ = or 0 */
    char sign;    /* + - space or 0 */
    bool alternate, zero;
    int64_t width, precision; /* -1: none */
    char grouping;            /* , _ or 0 */
    char type;                /* 0: none */
} Spec;

typedef struct Format {
    FlowVm *vm;
    FlowBuild build;
    const FlowArgs *args; /* NULL: format_map */
    FlowVal mapping;
    int64_t automatic; /* number of the next {}; -1 when numbers are written */
    bool numbered, markup;
} Format;

static bool bad(FlowVm *vm, const char *what)
{
    return flow_vm__fail(vm, "format: %s", what);
}

/* ---- the small language behind the colon ---- */

static bool is_align(char c)
{
    return c == '<' || c == '>' || c == '^' || c == '=';
}

static bool spec_number(FlowVm *vm, FlowVal text, uint32_t *at, int64_t *ret)
{
    int64_t value = -1;
    for (; *at < text.len && text.s[*at] >= '0' && text.s[*at] <= '9'; (*at)++) {
        value = (value < 0 ? 0 : value) * 10 + (text.s[*at] - '0');
        if (value > INT32_MAX)
            return flow_vm__limit(vm, "a format's width or precision is too large");
    }
    *ret = value;
    return true;
}

static bool parse_spec(FlowVm *vm, FlowVal text, Spec *spec)
{
    uint32_t at = 0;
    size_t size = 0;
    *spec = (Spec){.width = -1, .precision = -1};
    if (text.len != 0)
        flow_utf8_decode(text.s, text.len, &size);
    if (size < text.len && is_align(text.s[size])) {
        memcpy(spec->fill, text.s, size);
        spec->align = text.s[size];
        at = (uint32_t)size + 1;
    } else if (text.len != 0 && is_align(text.s[0])) {
        spec->align = text.s[at++];
    }
    if (at < text.len && (text.s[at] == '+' || text.s[at] == '-' || text.s[at] == ' '))
        spec->sign = text.s[at++];
    if (at < text.len && text.s[at] == '#') {
        spec->alternate = true;
        at++;
    }
    if (at < text.len && text.s[at] == '0') {
        spec->zero = true;
        at++;
    }
    if (!spec_number(vm, text, &at, &spec->width))
        return false;
    if (at < text.len && (text.s[at] == ',' || text.s[at] == '_'))
        spec->grouping = text.s[at++];
    if (at < text.len && text.s[at] == '.') {
        at++;
        if (!spec_number(vm, text, &at, &spec->precision))
            return false;
        if (spec->precision < 0)
            return bad(vm, "precision is missing behind '.'");
    }
    if (at < text.len)
        spec->type = text.s[at++];
    if (at != text.len)
        return bad(vm, "invalid format specifier");
    return true;
}

/* `text` between padding; `align` when the specifier names none. */
static bool put_padded(Format *f, const Spec *spec, char align, const char *text, size_t len)
{
    FlowVal padded, fill = spec->fill[0] != '\0' ? val_string(spec->fill, strlen(spec->fill))
                           : spec->zero          ? VAL_LITERAL("0")
                                                 : VAL_LITERAL(" ");
    size_t chars = flow_utf8_count(text, len);
    char how = spec->align != 0 ? spec->align : align;
    if (spec->width < 0 || (uint64_t)spec->width <= chars) {
        flow_buf_append(f->build.buf, text, len);
        return true;
    }
    uint64_t missing = (uint64_t)spec->width - chars;
    uint64_t left = how == '<' ? 0 : how == '^' ? missing / 2 : missing;
    if (!flow_text__pad(f->vm, val_string(text, len), left, missing - left, fill, &padded))
        return false;
    flow_buf_append(f->build.buf, padded.s, padded.len);
    return true;
}

static bool put_text(Format *f, FlowVal text, const Spec *spec)
{
    if (spec->sign != 0)
        return bad(f->vm, "a sign makes no sense for a string");
    if (spec->alternate)
        return bad(f->vm, "'#' makes no sense for a string");
    if (spec->align == '=')
        return bad(f->vm, "'=' makes no sense for a string");
    if (spec->grouping != 0)
        return bad(f->vm, "',' and '_' make no sense for a string");
    if (spec->type != 0 && spec->type != 's')
        return flow_vm__fail(f->vm, "format: unknown code '%c' for a string%s", spec->type,
                             strchr("dfegx%", spec->type) != NULL ? "; convert with | int or | float first"
                                                                  : "");
    if (spec->precision >= 0)
        text = flow_val__substring(text, 0, (size_t)spec->precision);
    return put_padded(f, spec, '<', text.s, text.len);
}

/* ---- numbers ---- */

/* The pieces of a number as text: sign and prefix, digits before the point, the rest. */
typedef struct Pieces {
    char front[8];
    const char *digits;
    size_t digit_count;
    const char *rest;
    size_t rest_len;
} Pieces;

/* Digits with separators, at least `width` characters of them. */
static bool group(Format *f, const Pieces *p, char separator, size_t size, uint64_t width, FlowVal *ret)
{
    uint64_t digits = p->digit_count;
    /* With zeros in front; a separator never comes first. */
    while (digits + (digits - 1) / size < width)
        digits++;
    uint64_t total = digits + (digits - 1) / size;
    char *made = flow_vm__alloc_text(f->vm, total);
    if (made == NULL || !flow_vm__charge(f->vm, 1 + total / 16))
        return false;
    uint64_t at = total;
    for (uint64_t i = 0; i < digits; i++) {
        if (i != 0 && i % size == 0)
            made[--at] = separator;
        made[--at] = i < p->digit_count ? p->digits[p->digit_count - 1 - i] : '0';
    }
    *ret = val_string(made, total);
    return true;
}

static bool put_number(Format *f, const Spec *spec, const Pieces *p, size_t group_size)
{
    bool zeros = spec->align == 0 ? spec->zero : spec->align == '=' && spec->fill[0] == '0';
    FlowVal digits = val_string(p->digits, p->digit_count);
    size_t front = strlen(p->front);
    bool is_digits = p->digit_count != 0 && isxdigit((unsigned char)p->digits[0]);
    if ((uint64_t)(spec->width > 0 ? spec->width : 0) > f->vm->limits.value_bytes)
        return flow_vm__limit(f->vm, "a format's width would make a string of more than %zu bytes",
                              f->vm->limits.value_bytes);
    if (spec->grouping != 0 && is_digits) {
        int64_t room = spec->width - (int64_t)(front + p->rest_len);
        if (!group(f, p, spec->grouping, group_size, zeros && room > 0 ? (uint64_t)room : 0, &digits))
            return false;
    }
    FlowBuild build = flow_vm__build(f->vm);
    FlowVal text;
    flow_buf_append(build.buf, p->front, front);
    size_t known = front + digits.len + p->rest_len;
    if ((zeros || spec->align == '=') && spec->width > 0 && (uint64_t)spec->width > known) {
        const char *fill = spec->fill[0] != '\0' ? spec->fill : zeros || spec->zero ? "0" : " ";
        for (uint64_t i = known; i < (uint64_t)spec->width; i++)
            flow_buf_str(build.buf, fill);
    }
    flow_buf_append(build.buf, digits.s, digits.len);
    flow_buf_append(build.buf, p->rest, p->rest_len);
    if (!flow_vm__built(f->vm, build, &text))
        return false;
    return put_padded(f, spec, '>', text.s, text.len);
}

static void set_front(Pieces *p, bool negative, const Spec *spec, const char *prefix)
{
    const char *sign = negative ? "-" : spec->sign == '+' ? "+" : spec->sign == ' ' ? " " : "";
    snprintf(p->front, sizeof p->front, "%s%s", sign, prefix);
}

static bool put_integer(Format *f, FlowVal v, const Spec *spec)
{
    char type = spec->type;
    int base = type == 'b' ? 2 : type == 'o' ? 8 : type == 'x' || type == 'X' ? 16 : 10;
    if (spec->precision >= 0)
        return bad(f->vm, "precision makes no sense for an integer");
    if (type == 'c') {
        char bytes[4];
        size_t size =
            v.type == V_INT && v.i >= 0 && v.i <= 0x10ffff ? flow_utf8_encode((uint32_t)v.i, bytes) : 0;
        if (size == 0)
            return bad(f->vm, "'c' wants the number of a character");
        return put_padded(f, spec, '<', bytes, size);
    }
    if (spec->grouping == ',' && base != 10)
        return bad(f->vm, "',' makes no sense for this base");
    bool negative = v.type == V_BIG ? flow_big__sign(v) < 0 : v.i < 0;
    if (!flow_arith__unary(f->vm, negative ? OP_NEG : OP_POS, v, &v))
        return false;
    FlowVal digits;
    FlowBuild build = flow_vm__build(f->vm);
    flow_big__write(build.buf, v, base, type == 'X');
    if (!flow_vm__built(f->vm, build, &digits))
        return false;
    Pieces p = {.digits = digits.s, .digit_count = digits.len, .rest = ""};
    const char prefix[] = {'0', type, '\0'};
    set_front(&p, negative, spec, spec->alternate && base != 10 ? prefix : "");
    return put_number(f, spec, &p, base == 10 ? 3 : 4);
}

static size_t without_zeros(const char *text, size_t len)
{
    while (len > 0 && text[len - 1] == '0')
        len--;
    return len > 0 && text[len - 1] == '.' ? len - 1 : len;
}

/* A precision but no type: like g, but what has no exponent has a point, and for that gives up a digit. */
static bool short_text(Format *f, double number, int precision, FlowVal *ret)
{
    FlowBuild build = flow_vm__build(f->vm);
    precision = precision == 0 ? 1 : precision;
    flow_buf_printf(build.buf, "%.*e", precision - 1, number);
    if (build.buf->failed || !isfinite(number))
        return flow_vm__built(f->vm, build, ret);
    flow_buf_byte(build.buf, '\0');
    char *text = build.buf->data + build.start, *e = strchr(text, 'e');
    int exponent = atoi(e + 1);
    if (exponent < -4 || exponent >= precision - 1) {
        size_t kept = memchr(text, '.', (size_t)(e - text)) != NULL ? without_zeros(text, (size_t)(e - text))
                                                                    : (size_t)(e - text);
        memmove(text + kept, e, strlen(e) + 1);
        build.buf->len = build.start + strlen(text);
        return flow_vm__built(f->vm, build, ret);
    }
    build.buf->len = build.start;
    flow_buf_printf(build.buf, "%.*f", precision - 1 - exponent, number);
    size_t len = build.buf->len - build.start;
    text = build.buf->data + build.start;
    if (memchr(text, '.', len) != NULL)
        len = without_zeros(text, len);
    build.buf->len = build.start + len;
    if (memchr(text, '.', len) == NULL)
        flow_buf_str(build.buf, ".0");
    return flow_vm__built(f->vm, build, ret);
}

/* repr()-like text, or printf's for the types it knows. */
static bool float_text(Format *f, double number, const Spec *spec, FlowVal *ret)
{
    char type = spec->type == 'n' ? 'g' : spec->type;
    int precision = spec->precision < 0 ? 6 : (int)spec->precision;
    FlowBuild build = flow_vm__build(f->vm);
    if (spec->precision > MOST_PRECISION) {
        flow_vm__limit(f->vm, "more than %d digits behind the point", MOST_PRECISION);
        return flow_vm__build_drop(f->vm, build);
    }
    if (type == 0 && spec->precision < 0) {
        flow_val__print_scalar(build.buf, val_float(number));
        return flow_vm__built(f->vm, build, ret);
    }
    if (type == '%') {
        number *= 100;
        type = 'f';
    }
    if (type == 0)
        return short_text(f, number, precision, ret);
    char format[8];
    snprintf(format, sizeof format, spec->alternate ? "%%#.*%c" : "%%.*%c", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    flow_buf_printf(build.buf, format, precision, number);
#pragma GCC diagnostic pop
    return flow_vm__built(f->vm, build, ret);
}

static bool put_float(Format *f, FlowVal v, const Spec *spec)
{
    double number;
    FlowVal text;
    if (!flow_arith__to_double(f->vm, v, &number) || !float_text(f, fabs(number), spec, &text) ||
        !flow_vm__charge(f->vm, 1 + text.len / 16))
        return false;
    size_t whole = 0;
    while (whole < text.len && isdigit((unsigned char)text.s[whole]))
        whole++;
    if (spec->type == '%' && !flow_arith__binary(f->vm, OP_ADD, text, VAL_LITERAL("%"), &text))
        return false;
    if (whole == 0) /* inf, nan */
        whole = text.len;
    Pieces p = {.digits = text.s, .digit_count = whole, .rest = text.s + whole, .rest_len = text.len - whole};
    set_front(&p, signbit(number) && !isnan(number), spec, "");
    return put_number(f, spec, &p, 3);
}

static bool put_formatted(Format *f, FlowVal v, FlowVal spec_text)
{
    Spec spec;
    FlowVal text;
    if (v.type == V_DATETIME && spec_text.len != 0) {
        const FlowVal args[2] = {v, spec_text};
        const FlowNative *strftime = flow_method__find(v, "strftime", 8);
        if (!strftime->call(f->vm, args, &text))
            return false;
        flow_buf_append(f->build.buf, text.s, text.len);
        return true;
    }
    if (spec_text.len == 0)
        return flow_val__print(f->vm, f->build.buf, v);
    if (!val_is_number(v) && v.type != V_STRING) {
        if (v.type == V_UNDEFINED)
            return flow_vm__fail_undefined(f->vm, v);
        return flow_vm__fail(f->vm, "format: %s takes no specifier", flow_val__type_name(v));
    }
    if (!parse_spec(f->vm, spec_text, &spec))
        return false;
    if (v.type == V_STRING)
        return put_text(f, v, &spec);
    bool as_float = spec.type != 0 && strchr("eEfFgG%", spec.type) != NULL;
    if (v.type != V_FLOAT && !as_float) {
        if (spec.type != 0 && strchr("bcdoxXn", spec.type) == NULL)
            return flow_vm__fail(f->vm, "format: unknown code '%c' for an integer", spec.type);
        return put_integer(f, v.type == V_BOOL ? val_int(v.i) : v, &spec);
    }
    if (spec.type != 0 && !as_float && spec.type != 'n')
        return flow_vm__fail(f->vm, "format: unknown code '%c' for a float", spec.type);
    return put_float(f, v, &spec);
}

/* ---- fields ---- */

static bool first_value(Format *f, FlowVal name, FlowVal *ret)
{
    bool digits = name.len != 0 && name.len < 9, found = false;
    int64_t number = 0;
    for (uint32_t i = 0; i < name.len; i++) {
        digits &= name.s[i] >= '0' && name.s[i] <= '9';
        number = digits ? number * 10 + (name.s[i] - '0') : number;
    }
    if (name.len == 0 || digits) {
        if (name.len == 0 ? f->numbered : f->automatic > 0)
            return bad(f->vm, "{} and {0} can't be mixed");
        if (name.len == 0)
            number = f->automatic++;
        else
            f->numbered = true;
        if (f->args == NULL)
            return bad(f->vm, "format_map wants names in the braces");
        if ((uint64_t)number >= f->args->count)
            return flow_vm__fail(f->vm, "format: there is no value number %lld", (long long)number);
        *ret = f->args->values[number];
        return true;
    }
    for (size_t i = 0; f->args != NULL && i < f->args->named_count; i++) {
        if (f->args->names[i].len == name.len && memcmp(f->args->names[i].s, name.s, name.len) == 0) {
            *ret = f->args->named[i];
            return true;
        }
    }
    if (val_given(f->mapping) && !flow_val__lookup(f->vm, f->mapping, name, ret, &found))
        return false;
    return found || flow_vm__fail(f->vm, "format: no value is called '%.*s'",
                                  (int)(name.len < 60 ? name.len : 60), name.s);
}

/* "user[0].name": the value that it names. */
static bool field_value(Format *f, FlowVal field, FlowVal *ret)
{
    uint32_t at = 0;
    while (at < field.len && field.s[at] != '.' && field.s[at] != '[')
        at++;
    if (!first_value(f, val_string(field.s, at), ret))
        return false;
    while (at < field.len) {
        FlowVal part;
        bool bracket = field.s[at] == '[';
        uint32_t begin = ++at;
        while (at < field.len && (bracket ? field.s[at] != ']' : field.s[at] != '.' && field.s[at] != '['))
            at++;
        if ((bracket && at == field.len) || at == begin)
            return bad(f->vm, "empty or unclosed part of a field");
        part = val_string(field.s + begin, at - begin);
        if (bracket) {
            bool not_number;
            FlowVal number;
            at++;
            if (at < field.len && field.s[at] != '.' && field.s[at] != '[')
                return bad(f->vm, "only '.' or '[' may follow ']' in a field");
            if (flow_text__to_integer(f->vm, part, 10, &number, &not_number))
                part = number;
            if (f->vm->failed)
                return false;
        }
        if (!flow_val__item(f->vm, *ret, part, ret))
            return false;
        if (ret->type == V_UNDEFINED)
            return flow_vm__fail_undefined(f->vm, *ret);
        if (ret->type == V_METHOD)
            return bad(f->vm, "a field can't name a method");
    }
    return true;
}

static bool put_all(Format *f, FlowVal format, unsigned depth);

/* A specifier may hold fields of its own: {:{width}}. */
static bool expand(Format *f, FlowVal spec, unsigned depth, FlowVal *ret)
{
    if (memchr(spec.s, '{', spec.len) == NULL && memchr(spec.s, '}', spec.len) == NULL) {
        *ret = spec;
        return true;
    }
    if (depth > 1)
        return bad(f->vm, "fields are nested too deeply");
    FlowBuild outer = f->build;
    f->build = flow_vm__build(f->vm);
    bool ok = put_all(f, spec, depth + 1);
    FlowBuild inner = f->build;
    f->build = outer;
    if (!ok)
        return flow_vm__build_drop(f->vm, inner);
    return flow_vm__built(f->vm, inner, ret);
}

static bool put_field(Format *f, FlowVal field, unsigned depth)
{
    uint32_t name_end = 0, open = 0;
    while (name_end < field.len && (open != 0 || (field.s[name_end] != ':' && field.s[name_end] != '!'))) {
        open += field.s[name_end] == '[';
        open -= field.s[name_end] == ']' && open != 0;
        name_end++;
    }
    FlowVal value, spec = val_string("", 0);
    uint32_t at = name_end;
    char conversion = 0;
    if (at < field.len && field.s[at] == '!') {
        if (at + 1 >= field.len || (at + 2 < field.len && field.s[at + 2] != ':'))
            return bad(f->vm, "one of !s !r !a must stand before ':' or the end");
        conversion = field.s[at + 1];
        at += 2;
    }
    if (at < field.len && field.s[at] == ':')
        spec = val_string(field.s + at + 1, field.len - at - 1);
    if (!field_value(f, val_string(field.s, name_end), &value) || !expand(f, spec, depth, &spec))
        return false;
    if (conversion != 0) {
        if (strchr("sra", conversion) == NULL)
            return flow_vm__fail(f->vm, "format: unknown conversion '!%c'", conversion);
        FlowVal tuple;
        const char how[] = {'%', conversion, '\0'};
        if (!flow_tuple__of(f->vm, &tuple, 1, &value) ||
            !flow_format__percent(f->vm, val_string(how, 2), tuple, &value))
            return false;
    }
    if (!f->markup)
        return put_formatted(f, value, spec);
    if (val_is_markup(value) && spec.len != 0)
        return bad(f->vm, "escaped text takes no specifier");
    FlowBuild outer = f->build;
    FlowVal text;
    f->build = flow_vm__build(f->vm);
    bool ok = put_formatted(f, value, spec);
    FlowBuild inner = f->build;
    f->build = outer;
    if (!ok)
        return flow_vm__build_drop(f->vm, inner);
    if (!flow_vm__built(f->vm, inner, &text))
        return false;
    if (val_is_markup(value))
        flow_buf_append(f->build.buf, text.s, text.len);
    else
        flow_text__escape(f->build.buf, text.s, text.len);
    return true;
}

static bool put_all(Format *f, FlowVal format, unsigned depth)
{
    for (uint32_t at = 0; at < format.len;) {
        char c = format.s[at];
        if (c != '{' && c != '}') {
            flow_buf_byte(f->build.buf, c);
            at++;
            continue;
        }
        if (at + 1 < format.len && format.s[at + 1] == c) {
            flow_buf_byte(f->build.buf, c);
            at += 2;
            continue;
        }
        if (c == '}')
            return bad(f->vm, "single '}' encountered in format string");
        uint32_t begin = ++at, open = 1;
        for (; at < format.len && open != 0; at++) {
            open += format.s[at] == '{';
            open -= format.s[at] == '}';
        }
        if (open != 0)
            return bad(f->vm, begin == format.len ? "single '{' encountered in format string"
                                                  : "expected '}' before end of string");
        if (!put_field(f, val_string(format.s + begin, at - 1 - begin), depth) ||
            !flow_vm__charge(f->vm, 4) || !flow_vm__build_ok(f->vm, f->build))
            return false;
    }
    return flow_vm__charge(f->vm, 1 + format.len / 32);
}

bool flow_format__brace(FlowVm *vm, FlowVal format, const FlowArgs *args, FlowVal mapping, FlowVal *ret)
{
    Format f = {.vm = vm, .args = args, .mapping = mapping, .markup = val_is_markup(format)};
    f.build = flow_vm__build(vm);
    if (!put_all(&f, format, 0))
        return flow_vm__build_drop(vm, f.build);
    if (!flow_vm__built(vm, f.build, ret))
        return false;
    *ret = with_markup_of(*ret, format);
    return true;
}
