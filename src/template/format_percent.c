/* format_percent.c - '%s is %d' % (a, b): printf's formats as Python has them. */
#include <math.h>
#include <stdio.h>

#include "base/utf8.h"
#include "template/natives.h"

enum { MOST_PRECISION = 5000 };

typedef struct Format {
    FlowVm *vm;
    FlowBuild build;
    FlowVal mapping; /* V_MISSING when the values have no names */
    const FlowVal *values;
    size_t count, next;
    bool markup; /* values are escaped */
} Format;

typedef struct Spec {
    bool left, plus, space, alternate, zero;
    int64_t width, precision; /* precision -1: none */
    char type;
} Spec;

static bool next_value(Format *f, FlowVal *ret)
{
    if (f->next >= f->count)
        return flow_vm__fail(f->vm, "not enough arguments for format string");
    *ret = f->values[f->next++];
    return true;
}

/* Padding around text[start...] of the buffer, `sign` bytes of which stay in front of zeros. */
static bool pad(Format *f, size_t start, const Spec *spec, size_t sign, bool zeros)
{
    FlowBuf *to = f->build.buf;
    if (to->failed)
        return flow_vm__build_ok(f->vm, f->build);
    size_t chars = flow_utf8_count(to->data + start, to->len - start);
    if (spec->width < 0 || (uint64_t)spec->width <= chars)
        return true;
    size_t missing = (size_t)spec->width - chars;
    if (missing > f->vm->limits.value_bytes)
        return flow_vm__limit(f->vm, "a format's width would make a string of more than %zu bytes",
                              f->vm->limits.value_bytes);
    if (!flow_vm__charge(f->vm, missing / 64) || !flow_buf_reserve(to, missing))
        return flow_vm__build_ok(f->vm, f->build);
    size_t at = spec->left ? to->len : start + (zeros ? sign : 0);
    memmove(to->data + at + missing, to->data + at, to->len - at);
    memset(to->data + at, zeros && !spec->left ? '0' : ' ', missing);
    to->len += missing;
    return true;
}

static bool put_text(Format *f, FlowVal v, const Spec *spec)
{
    FlowVal text;
    size_t start = f->build.buf->len;
    if (spec->type == 's') {
        if (!flow_val__to_string(f->vm, v, &text))
            return false;
    } else {
        FlowBuild inner = flow_vm__build(f->vm);
        if (!flow_val__print_repr(f->vm, inner.buf, v))
            return flow_vm__build_drop(f->vm, inner);
        if (!flow_vm__built(f->vm, inner, &text))
            return false;
    }
    if (f->markup && !flow_val__escape(f->vm, text, &text))
        return false;
    if (spec->precision >= 0)
        text = flow_val__substring(text, 0, (size_t)spec->precision);
    if (spec->type != 'a') {
        flow_buf_append(f->build.buf, text.s, text.len);
    } else {
        for (size_t i = 0, size; i < text.len; i += size) {
            uint32_t c = flow_utf8_decode(text.s + i, text.len - i, &size);
            if (c < 0x80)
                flow_buf_byte(f->build.buf, (char)c);
            else
                flow_buf_printf(f->build.buf, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        }
    }
    return pad(f, start, spec, 0, false);
}

static bool put_char(Format *f, FlowVal v, const Spec *spec)
{
    size_t start = f->build.buf->len;
    if (v.type == V_STRING && flow_val__length_of_string(v) == 1) {
        flow_buf_append(f->build.buf, v.s, v.len);
    } else {
        char bytes[4];
        size_t size =
            v.type == V_INT && v.i >= 0 && v.i <= 0x10ffff ? flow_utf8_encode((uint32_t)v.i, bytes) : 0;
        if (size == 0)
            return flow_vm__fail(f->vm, "%%c wants a character or its number");
        flow_buf_append(f->build.buf, bytes, size);
    }
    return pad(f, start, spec, 0, false);
}

static size_t put_sign(FlowBuf *to, bool negative, const Spec *spec)
{
    if (!negative && !spec->plus && !spec->space)
        return 0;
    flow_buf_byte(to, negative ? '-' : spec->plus ? '+' : ' ');
    return 1;
}

static bool put_integer(Format *f, FlowVal v, const Spec *spec)
{
    FlowBuf *to = f->build.buf;
    FlowVal whole = v;
    int base = spec->type == 'o' ? 8 : spec->type == 'x' || spec->type == 'X' ? 16 : 10;
    if (v.type == V_FLOAT && base == 10) {
        if (!isfinite(v.f))
            return flow_vm__fail(f->vm, "%%%c can't print an infinite float or NaN", spec->type);
        if (!flow_big__from_double(f->vm, v.f, &whole))
            return false;
    } else if (!val_is_integer(v)) {
        if (v.type == V_UNDEFINED)
            return flow_vm__fail_undefined(f->vm, v);
        return flow_vm__fail(f->vm, "%%%c wants a number, not %s%s", spec->type, flow_val__type_name(v),
                             v.type == V_STRING ? "; convert with | int first" : "");
    }
    size_t start = to->len;
    bool negative = whole.type == V_BIG ? flow_big__sign(whole) < 0 : whole.i < 0;
    if (negative && !flow_arith__unary(f->vm, OP_NEG, whole, &whole))
        return false;
    size_t sign = put_sign(to, negative, spec);
    if (spec->alternate && base != 10) {
        flow_buf_append(to, (const char[]){'0', spec->type}, 2);
        sign += 2;
    }
    size_t digits = to->len;
    flow_big__write(to, whole, base, spec->type == 'X');
    if (spec->precision > 0 && (uint64_t)spec->precision > to->len - digits) {
        Spec zeros = {.width = spec->precision, .precision = -1};
        if (!pad(f, digits, &zeros, 0, true))
            return false;
    }
    return pad(f, start, spec, sign, spec->zero);
}

static bool put_float(Format *f, FlowVal v, const Spec *spec)
{
    FlowBuf *to = f->build.buf;
    double number;
    if (!val_is_number(v)) {
        if (v.type == V_UNDEFINED)
            return flow_vm__fail_undefined(f->vm, v);
        return flow_vm__fail(f->vm, "%%%c wants a number, not %s%s", spec->type, flow_val__type_name(v),
                             v.type == V_STRING ? "; convert with | float first" : "");
    }
    if (!flow_arith__to_double(f->vm, v, &number))
        return false;
    if (spec->precision > MOST_PRECISION)
        return flow_vm__limit(f->vm, "more than %d digits behind the point", MOST_PRECISION);
    char format[8];
    snprintf(format, sizeof format, spec->alternate ? "%%#.*%c" : "%%.*%c", spec->type);
    size_t start = to->len;
    size_t sign = put_sign(to, signbit(number) && !isnan(number), spec);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    flow_buf_printf(to, format, (int)(spec->precision < 0 ? 6 : spec->precision), fabs(number));
#pragma GCC diagnostic pop
    return flow_vm__charge(f->vm, 1 + (uint64_t)(spec->precision > 0 ? spec->precision : 0) / 16) &&
           pad(f, start, spec, sign, spec->zero);
}

/* A number in the format, or * for the next value. */
static bool number(Format *f, FlowVal text, uint32_t *at, const char *what, int64_t *ret)
{
    if (*at < text.len && text.s[*at] == '*') {
        FlowVal v;
        (*at)++;
        return next_value(f, &v) && flow_arith__to_int(f->vm, v, "* in a format", ret);
    }
    int64_t value = *ret;
    for (; *at < text.len && text.s[*at] >= '0' && text.s[*at] <= '9'; (*at)++) {
        value = (value < 0 ? 0 : value) * 10 + (text.s[*at] - '0');
        if (value > INT32_MAX)
            return flow_vm__limit(f->vm, "a format's %s is too large", what);
    }
    *ret = value;
    return true;
}

static bool put_value(Format *f, const Spec *spec, FlowVal v)
{
    switch (spec->type) {
    case 's':
    case 'r':
    case 'a':
        return put_text(f, v, spec);
    case 'c':
        return put_char(f, v, spec);
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X':
        return put_integer(f, v, spec);
    default:
        return put_float(f, v, spec);
    }
}

/* What follows a "%" at text[at]. */
static bool conversion(Format *f, FlowVal text, uint32_t *at)
{
    Spec spec = {.width = -1, .precision = -1};
    FlowVal v = val_missing();
    if (*at < text.len && text.s[*at] == '(') {
        if (!val_given(f->mapping))
            return flow_vm__fail(f->vm, "%%(name)s wants named values: format(name=…)");
        uint32_t begin = *at + 1;
        int open = 1;
        while (open > 0 && ++*at < text.len)
            open += (text.s[*at] == '(') - (text.s[*at] == ')');
        if (open > 0)
            return flow_vm__fail(f->vm, "incomplete %%(name) in a format");
        FlowVal key = val_string(text.s + begin, *at - begin);
        bool found = false;
        if (val_is_mapping(f->mapping) && !flow_val__lookup(f->vm, f->mapping, key, &v, &found))
            return false;
        if (!found)
            return flow_vm__fail(f->vm, "the format names '%.*s', which is not given",
                                 (int)(key.len < 60 ? key.len : 60), key.s);
        (*at)++;
    }
    for (bool flags = true; flags && *at < text.len; *at += flags) {
        char c = text.s[*at];
        flags = c == '-' || c == '+' || c == ' ' || c == '#' || c == '0';
        spec.left |= c == '-';
        spec.plus |= c == '+';
        spec.space |= c == ' ';
        spec.alternate |= c == '#';
        spec.zero |= c == '0';
    }
    if (!number(f, text, at, "width", &spec.width))
        return false;
    if (spec.width < -1) {
        spec.left = true;
        spec.width = spec.width < -INT32_MAX ? INT32_MAX : -spec.width;
    }
    if (*at < text.len && text.s[*at] == '.') {
        spec.precision = 0;
        (*at)++;
        if (!number(f, text, at, "precision", &spec.precision))
            return false;
        spec.precision = spec.precision < 0 ? 0 : spec.precision;
    }
    while (*at < text.len && (text.s[*at] == 'l' || text.s[*at] == 'h' || text.s[*at] == 'L'))
        (*at)++;
    if (*at == text.len)
        return flow_vm__fail(f->vm, "incomplete format");
    spec.type = text.s[(*at)++];
    if (spec.type == '%') {
        flow_buf_byte(f->build.buf, '%');
        return true;
    }
    if (memchr("srcadiuoxXeEfFgG", spec.type, 16) == NULL)
        return flow_vm__fail(f->vm, "unsupported format character '%c' at index %u", spec.type, *at - 1);
    if (!val_given(v) && !next_value(f, &v))
        return false;
    return put_value(f, &spec, v);
}

bool flow_format__percent(FlowVm *vm, FlowVal format, FlowVal values, FlowVal *ret)
{
    bool tuple = values.type == V_TUPLE;
    bool has_items = !tuple && (val_is_mapping(values) || val_is_list(values) || values.type == V_RANGE ||
                                values.type == V_UNDEFINED);
    Format f = {.vm = vm,
                .mapping = has_items ? values : val_missing(),
                .values = tuple ? values.list->items : &values,
                .count = tuple ? values.list->count : 1,
                .markup = val_is_markup(format)};
    f.build = flow_vm__build(vm);
    for (uint32_t at = 0; at < format.len;) {
        const char *percent = memchr(format.s + at, '%', format.len - at);
        uint32_t plain = percent != NULL ? (uint32_t)(percent - format.s) - at : format.len - at;
        flow_buf_append(f.build.buf, format.s + at, plain);
        at += plain;
        if (percent == NULL)
            break;
        at++;
        if (!conversion(&f, format, &at) || !flow_vm__charge(vm, 1) || !flow_vm__build_ok(vm, f.build))
            return flow_vm__build_drop(vm, f.build);
    }
    if (f.next < f.count && !has_items) {
        flow_vm__fail(vm, "not all arguments converted during string formatting");
        return flow_vm__build_drop(vm, f.build);
    }
    if (!flow_vm__built(vm, f.build, ret))
        return false;
    *ret = with_markup_of(*ret, format);
    return true;
}
