/* filters_number.c - filters that make or change numbers. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "template/natives.h"

static bool filter_abs(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal v = args[0];
    if (v.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, v);
    if (!val_is_number(v))
        return flow_vm__fail(vm, "filter 'abs' wants a number, not %s%s", flow_val__type_name(v),
                             v.type == V_STRING ? "; convert with | int or | float first" : "");
    if (v.type == V_FLOAT) {
        *ret = val_float(fabs(v.f));
        return true;
    }
    bool negative = v.type == V_BIG ? flow_big__sign(v) < 0 : v.i < 0;
    return flow_arith__unary(vm, negative ? OP_NEG : OP_POS, v, ret);
}

/* ---- int and float ---- */

/* A float towards zero; *ret_bad for NaN. */
static bool from_double(FlowVm *vm, double number, FlowVal *ret, bool *ret_bad)
{
    *ret_bad = isnan(number);
    if (isinf(number))
        return flow_vm__fail(vm, "an infinite float can't become an integer");
    return !*ret_bad && flow_big__from_double(vm, number, ret);
}

static bool filter_int(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal v = args[0];
    bool bad = true;
    int64_t base = 10;
    double number;
    if (v.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, v);
    if (val_given(args[2]) && !flow_arith__to_int(vm, args[2], "base", &base))
        return false;
    if (val_is_integer(v))
        return flow_arith__unary(vm, OP_POS, v, ret);
    if (v.type == V_FLOAT) {
        if (from_double(vm, v.f, ret, &bad) || !bad)
            return !vm->failed;
    } else if (v.type == V_STRING) {
        if (flow_text__to_integer(vm, v, base >= 0 && base <= 36 ? (int)base : 1, ret, &bad) || vm->failed)
            return !vm->failed;
        if (flow_text__to_float(v, &number) && (from_double(vm, number, ret, &bad) || !bad))
            return !vm->failed;
    }
    *ret = val_given(args[1]) ? args[1] : val_int(0);
    return !vm->failed;
}

static bool filter_float(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal v = args[0];
    double number;
    if (v.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, v);
    if (val_is_number(v)) {
        if (!flow_arith__to_double(vm, v, &number))
            return false;
        *ret = val_float(number);
    } else if (v.type == V_STRING && flow_text__to_float(v, &number)) {
        *ret = val_float(number);
    } else {
        *ret = val_given(args[1]) ? args[1] : val_float(0);
    }
    return true;
}

/* ---- round ---- */

/* Half to even on the decimal digits that the double exactly is, as Python's round(). */
static double round_double(double number, int64_t digits)
{
    enum { EXACT = 1100, MOST_DIGITS = 323, MOST_ZEROS = 309 };
    if (!isfinite(number) || digits > MOST_DIGITS)
        return number;
    if (digits < -MOST_ZEROS)
        return copysign(0, number);
    char text[EXACT + 400];
    if (digits >= 0) {
        snprintf(text, sizeof text, "%.*f", (int)digits, number);
        return strtod(text, NULL);
    }
    /* printf rounds no digits before the point: do it by hand on the exact expansion. */
    int len = snprintf(text, sizeof text, "%.*f", EXACT, fabs(number));
    char *point = memchr(text, '.', (size_t)len);
    int64_t whole = point - text, kept = whole + digits;
    if (kept < 0)
        return copysign(0, number);
    bool rest = false;
    for (const char *c = text + kept + 1; *c != '\0'; c++)
        rest |= *c != '0' && *c != '.';
    char next = text[kept];
    bool odd = kept > 0 && ((text[kept - 1] - '0') & 1);
    bool up = next > '5' || (next == '5' && (rest || odd));
    char digits_text[400] = "0";
    memcpy(digits_text + 1, text, (size_t)kept);
    for (int64_t i = kept; up; i--) {
        if (digits_text[i] < '9') {
            digits_text[i]++;
            up = false;
        } else {
            digits_text[i] = '0';
        }
    }
    snprintf(digits_text + kept + 1, sizeof digits_text - (size_t)kept - 1, "e%d", (int)-digits);
    return copysign(strtod(digits_text, NULL), number);
}

/* An integer to tens, hundreds ...: half to even. */
static bool round_integer(FlowVm *vm, FlowVal v, int64_t digits, FlowVal *ret)
{
    FlowVal unit, rest, twice, half = val_int(0);
    bool more, same, odd = false;
    if (digits >= 0)
        return flow_arith__unary(vm, OP_POS, v, ret);
    if (digits < -2000) {
        *ret = val_int(0);
        return true;
    }
    if (!flow_arith__binary(vm, OP_POW, val_int(10), val_int(-digits), &unit) ||
        !flow_arith__binary(vm, OP_MOD, v, unit, &rest) || !flow_arith__binary(vm, OP_SUB, v, rest, &half) ||
        !flow_arith__binary(vm, OP_ADD, rest, rest, &twice) || !flow_val__less(vm, unit, twice, &more) ||
        !flow_val__equal(vm, unit, twice, &same))
        return false;
    if (same) {
        FlowVal quotient, bit;
        if (!flow_arith__binary(vm, OP_FLOORDIV, half, unit, &quotient) ||
            !flow_arith__binary(vm, OP_MOD, quotient, val_int(2), &bit))
            return false;
        odd = flow_val__is_true(bit);
    }
    if (more || odd)
        return flow_arith__binary(vm, OP_ADD, half, unit, ret);
    *ret = half;
    return true;
}

/* ceil or floor at `digits` behind the point, by the same arithmetic as Jinja: value * 10**digits and back. */
static bool round_to(FlowVm *vm, FlowVal v, int64_t digits, bool up, FlowVal *ret)
{
    FlowVal unit, scaled, whole;
    if (!flow_arith__binary(vm, OP_POW, val_int(10), val_int(digits), &unit) ||
        !flow_arith__binary(vm, OP_MUL, v, unit, &scaled))
        return false;
    whole = scaled;
    if (scaled.type == V_FLOAT) {
        if (!isfinite(scaled.f))
            return flow_vm__fail(vm, "filter 'round' can't round this float");
        if (!flow_big__from_double(vm, up ? ceil(scaled.f) : floor(scaled.f), &whole))
            return false;
    }
    return flow_arith__binary(vm, OP_DIV, whole, unit, ret);
}

static bool is_word(FlowVal v, const char *word)
{
    return v.type == V_STRING && v.len == strlen(word) && memcmp(v.s, word, v.len) == 0;
}

static bool filter_round(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal v = args[0];
    int64_t digits;
    bool up = is_word(args[2], "ceil"), down = is_word(args[2], "floor");
    if (val_given(args[2]) && !up && !down && !is_word(args[2], "common"))
        return flow_vm__fail(vm, "filter 'round': method must be common, ceil or floor");
    if (v.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, v);
    if (!val_is_number(v))
        return flow_vm__fail(vm, "filter 'round' wants a number, not %s%s", flow_val__type_name(v),
                             v.type == V_STRING ? "; convert with | float first" : "");
    if (!arg_int(vm, args[1], "precision", 0, &digits))
        return false;
    if (up || down)
        return round_to(vm, v, digits, up, ret);
    if (v.type != V_FLOAT)
        return round_integer(vm, v, digits, ret);
    *ret = val_float(round_double(v.f, digits));
    if (isinf(ret->f) && !isinf(v.f))
        return flow_vm__fail(vm, "the rounded value is too large for a float");
    return true;
}

static bool filter_filesizeformat(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    static const char *const units[2][8] = {{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"},
                                            {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}};
    FlowVal v = args[0];
    bool binary;
    double bytes;
    if (v.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, v);
    if (!arg_truth(vm, args[1], false, &binary))
        return false;
    if (val_is_number(v)) {
        if (!flow_arith__to_double(vm, v, &bytes))
            return false;
    } else if (v.type != V_STRING || !flow_text__to_float(v, &bytes)) {
        return flow_vm__fail(vm, "filter 'filesizeformat' wants a number of bytes, not %s",
                             flow_val__type_name(v));
    }
    double base = binary ? 1024 : 1000, unit = base;
    if (bytes == 1)
        return flow_vm__format(vm, ret, "1 Byte");
    if (bytes < base) {
        FlowVal whole;
        bool bad;
        if (!from_double(vm, bytes, &whole, &bad))
            return vm->failed ? false : flow_vm__fail(vm, "filter 'filesizeformat' got no number");
        FlowBuild build = flow_vm__build(vm);
        flow_val__print_scalar(build.buf, whole);
        flow_buf_str(build.buf, " Bytes");
        return flow_vm__built(vm, build, ret);
    }
    size_t i = 0;
    for (unit *= base; i < 7 && !(bytes < unit); i++)
        unit *= base;
    return flow_vm__format(vm, ret, "%.1f %s", base * bytes / unit, units[binary][i]);
}

static const FlowNative rows[] = {
    {"abs", filter_abs, {"x"}, 1, NULL},
    {"int", filter_int, {"value", "default", "base"}, 1, NULL},
    {"float", filter_float, {"value", "default"}, 1, NULL},
    {"round", filter_round, {"value", "precision", "method"}, 1, NULL},
    {"filesizeformat", filter_filesizeformat, {"value", "binary"}, 1, NULL},
};
NATIVE_TABLE(flow_filters_number, rows);
