/* arith.c - + - * / // % ** and ~, as Python has them. Integers grow beyond 64 bits up to the bound. */
#include <math.h>
#include <string.h>

#include "template/values.h"

static const char *const symbols[] = {
    [OP_ADD] = "+", [OP_SUB] = "-",  [OP_MUL] = "*", [OP_DIV] = "/", [OP_FLOORDIV] = "//",
    [OP_MOD] = "%", [OP_POW] = "**", [OP_NEG] = "-", [OP_POS] = "+"};

static bool cannot(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b)
{
    if (a.type == V_UNDEFINED || b.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, a.type == V_UNDEFINED ? a : b);
    const char *advice = "";
    if (op == OP_ADD && (a.type == V_STRING || b.type == V_STRING))
        advice = a.type == V_NONE || b.type == V_NONE ? "; use default('', true) first"
                                                      : "; use ~ to join text, | int or | float to calculate";
    else if (a.type == V_STRING || b.type == V_STRING)
        advice = "; convert with | int or | float first";
    return flow_vm__fail(vm, "'%s' can't work on %s and %s%s", symbols[op], flow_val__type_name(a),
                         flow_val__type_name(b), advice);
}

static bool zero_division(FlowVm *vm)
{
    return flow_vm__fail(vm, "division by zero");
}

/* ---- numbers ---- */

bool flow_arith__to_double(FlowVm *vm, FlowVal number, double *ret)
{
    double result = number.type == V_FLOAT ? number.f
                    : number.type == V_BIG ? flow_big__to_double(number)
                                           : (double)number.i;
    if (number.type == V_BIG && isinf(result))
        return flow_vm__fail(vm, "this integer is too large for a float");
    *ret = result;
    return true;
}

bool flow_arith__to_int(FlowVm *vm, FlowVal v, const char *what, int64_t *ret)
{
    if (v.type == V_INT || v.type == V_BOOL) {
        *ret = v.i;
        return true;
    }
    if (v.type == V_BIG)
        return flow_vm__limit(vm, "%s is too large", what);
    if (v.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, v);
    return flow_vm__fail(vm, "%s wants an integer, not %s", what, flow_val__type_name(v));
}

static double floor_div(double a, double b, double *ret_mod)
{
    double mod = fmod(a, b);
    double div = (a - mod) / b;
    if (mod != 0) {
        if ((b < 0) != (mod < 0)) {
            mod += b;
            div -= 1;
        }
    } else {
        mod = copysign(0, b);
    }
    *ret_mod = mod;
    if (div == 0)
        return copysign(0, a / b);
    double whole = floor(div);
    return div - whole > 0.5 ? whole + 1 : whole;
}

static bool power(FlowVm *vm, double a, double b, FlowVal *ret)
{
    if (a == 0 && b < 0)
        return flow_vm__fail(vm, "0 can't be raised to a negative power");
    if (a < 0 && b != floor(b) && isfinite(a) && isfinite(b))
        return flow_vm__fail(vm, "a negative number can't be raised to a fraction");
    double result = pow(a, b);
    if (isinf(result) && isfinite(a) && isfinite(b))
        return flow_vm__fail(vm, "the result of ** is too large for a float");
    *ret = val_float(result);
    return true;
}

static bool floats(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, FlowVal *ret)
{
    double x, y, mod;
    if (!flow_arith__to_double(vm, a, &x) || !flow_arith__to_double(vm, b, &y))
        return false;
    switch (op) {
    case OP_ADD:
        *ret = val_float(x + y);
        return true;
    case OP_SUB:
        *ret = val_float(x - y);
        return true;
    case OP_MUL:
        *ret = val_float(x * y);
        return true;
    case OP_POW:
        return power(vm, x, y, ret);
    default:
        break;
    }
    if (y == 0)
        return zero_division(vm);
    if (op == OP_DIV) {
        *ret = val_float(x / y);
        return true;
    }
    double div = floor_div(x, y, &mod);
    *ret = val_float(op == OP_MOD ? mod : div);
    return true;
}

static bool is_zero(FlowVal v)
{
    return v.type != V_BIG && v.i == 0;
}

static bool divide_integers(FlowVm *vm, FlowVal a, FlowVal b, FlowVal *ret)
{
    const int64_t exact = INT64_C(1) << 53;
    if (a.type != V_BIG && b.type != V_BIG && a.i <= exact && a.i >= -exact && b.i <= exact &&
        b.i >= -exact) {
        *ret = val_float((double)a.i / (double)b.i);
        return true;
    }
    double result;
    if (!flow_big__divide(vm, a, b, &result))
        return false;
    *ret = val_float(result);
    return true;
}

static bool integers(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, FlowVal *ret)
{
    int64_t result;
    bool small = a.type != V_BIG && b.type != V_BIG;
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && is_zero(b))
        return zero_division(vm);
    switch (op) {
    case OP_ADD:
        if (small && !__builtin_add_overflow(a.i, b.i, &result)) {
            *ret = val_int(result);
            return true;
        }
        break;
    case OP_SUB:
        if (small && !__builtin_sub_overflow(a.i, b.i, &result)) {
            *ret = val_int(result);
            return true;
        }
        break;
    case OP_MUL:
        if (small && !__builtin_mul_overflow(a.i, b.i, &result)) {
            *ret = val_int(result);
            return true;
        }
        break;
    case OP_FLOORDIV:
    case OP_MOD:
        if (small && b.i != -1) {
            int64_t quotient = a.i / b.i, rest = a.i % b.i;
            if (rest != 0 && (rest < 0) != (b.i < 0)) {
                quotient--;
                rest += b.i;
            }
            *ret = val_int(op == OP_MOD ? rest : quotient);
            return true;
        }
        break;
    case OP_DIV:
        return divide_integers(vm, a, b, ret);
    default: /* OP_POW */
        if (b.type == V_BIG ? flow_big__sign(b) < 0 : b.i < 0)
            return floats(vm, op, a, b, ret);
        break;
    }
    return flow_big__binary(vm, op, a, b, ret);
}

/* ---- strings and lists ---- */

static bool joined(FlowVm *vm, FlowVal a, FlowVal b, FlowVal *ret)
{
    char *text = flow_vm__alloc_text(vm, (size_t)a.len + b.len);
    if (text == NULL)
        return false;
    memcpy(text, a.s, a.len);
    memcpy(text + a.len, b.s, b.len);
    *ret = val_string(text, (size_t)a.len + b.len);
    return flow_vm__charge(vm, 1 + ret->len / 256);
}

static bool add_strings(FlowVm *vm, FlowVal a, FlowVal b, FlowVal *ret)
{
    bool markup = val_is_markup(a) || val_is_markup(b);
    if (markup && (!flow_val__escape(vm, a, &a) || !flow_val__escape(vm, b, &b)))
        return false;
    if (!joined(vm, a, b, ret))
        return false;
    ret->flags |= markup ? VAL_MARKUP : 0;
    return true;
}

static bool add_lists(FlowVm *vm, FlowVal a, FlowVal b, FlowVal *ret)
{
    size_t in_a = (size_t)flow_val__length_or_none(a), in_b = (size_t)flow_val__length_or_none(b);
    FlowList *list = flow_list__new(vm, in_a + in_b);
    if (list == NULL || !flow_vm__charge(vm, 1 + (in_a + in_b) / 16))
        return false;
    for (size_t i = 0; i < in_a; i++)
        list->items[i] = flow_list__at(a, i);
    for (size_t i = 0; i < in_b; i++)
        list->items[in_a + i] = flow_list__at(b, i);
    list->count = in_a + in_b;
    *ret = a.type == V_TUPLE ? val_tuple(list) : val_list(list);
    return true;
}

bool flow_arith__repeat(FlowVm *vm, FlowVal sequence, FlowVal times, FlowVal *ret)
{
    int64_t n = times.type == V_BIG ? (flow_big__sign(times) < 0 ? 0 : INT64_MAX) : times.i;
    uint64_t count = n > 0 ? (uint64_t)n : 0;
    uint64_t length = sequence.type == V_STRING ? sequence.len : (uint64_t)flow_val__length_or_none(sequence);
    uint64_t total;
    uint64_t most = sequence.type == V_STRING ? vm->limits.value_bytes : vm->limits.value_items;
    if (__builtin_mul_overflow(count, length, &total) || total > most)
        return flow_vm__limit(vm, "'*' would make a %s of more than %llu %s", flow_val__type_name(sequence),
                              (unsigned long long)most, sequence.type == V_STRING ? "bytes" : "items");
    if (!flow_vm__charge(vm, 1 + total / 64))
        return false;
    if (sequence.type == V_STRING) {
        char *text = flow_vm__alloc_text(vm, total);
        if (text == NULL)
            return false;
        for (uint64_t at = 0; at < total; at += length)
            memcpy(text + at, sequence.s, length);
        *ret = val_string(text, total);
        ret->flags = sequence.flags;
        return true;
    }
    FlowList *list = flow_list__new(vm, total);
    if (list == NULL)
        return false;
    for (uint64_t at = 0; at < total; at++)
        list->items[at] = flow_list__at(sequence, at % length);
    list->count = total;
    *ret = sequence.type == V_TUPLE ? val_tuple(list) : val_list(list);
    return true;
}

bool flow_arith__concat(FlowVm *vm, const FlowVal *parts, size_t count, FlowVal *ret)
{
    bool markup = false;
    for (size_t i = 0; i < count && vm->autoescape; i++)
        markup |= val_is_markup(parts[i]);
    FlowBuild build = flow_vm__build(vm);
    for (size_t i = 0; i < count; i++) {
        if (!markup || val_is_markup(parts[i])) {
            if (!flow_val__print(vm, build.buf, parts[i]))
                return flow_vm__build_drop(vm, build);
            continue;
        }
        FlowVal text;
        if (!flow_val__to_string(vm, parts[i], &text))
            return flow_vm__build_drop(vm, build);
        flow_text__escape(build.buf, text.s, text.len);
    }
    if (!flow_vm__built(vm, build, ret))
        return false;
    ret->flags |= markup ? VAL_MARKUP : 0;
    return true;
}

/* ---- all operators ---- */

static bool is_sequence(FlowVal v)
{
    return v.type == V_STRING || val_is_list(v);
}

bool flow_arith__binary(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, FlowVal *ret)
{
    if (val_is_number(a) && val_is_number(b)) {
        if (a.type == V_FLOAT || b.type == V_FLOAT)
            return floats(vm, op, a, b, ret);
        return integers(vm, op, a, b, ret);
    }
    switch (op) {
    case OP_ADD:
        if (a.type == V_STRING && b.type == V_STRING)
            return add_strings(vm, a, b, ret);
        if (val_is_list(a) && val_is_list(b) && (a.type == V_TUPLE) == (b.type == V_TUPLE))
            return add_lists(vm, a, b, ret);
        if (a.type == V_DATETIME && val_is_number(b))
            return flow_datetime__shift(vm, a.datetime, b, 1, ret);
        if (b.type == V_DATETIME && val_is_number(a))
            return flow_datetime__shift(vm, b.datetime, a, 1, ret);
        break;
    case OP_SUB:
        if (a.type == V_DATETIME && b.type == V_DATETIME)
            return flow_datetime__difference(vm, a.datetime, b.datetime, ret);
        if (a.type == V_DATETIME && val_is_number(b))
            return flow_datetime__shift(vm, a.datetime, b, -1, ret);
        break;
    case OP_MUL:
        if (is_sequence(a) && val_is_integer(b))
            return flow_arith__repeat(vm, a, b, ret);
        if (is_sequence(b) && val_is_integer(a))
            return flow_arith__repeat(vm, b, a, ret);
        if ((is_sequence(a) && b.type == V_FLOAT) || (is_sequence(b) && a.type == V_FLOAT))
            return flow_vm__fail(vm, "'*' can't repeat a %s a fraction of times",
                                 flow_val__type_name(is_sequence(a) ? a : b));
        break;
    case OP_MOD:
        if (a.type == V_STRING)
            return flow_format__percent(vm, a, b, ret);
        break;
    default:
        break;
    }
    return cannot(vm, op, a, b);
}

bool flow_arith__unary(FlowVm *vm, FlowOperator op, FlowVal v, FlowVal *ret)
{
    if (!val_is_number(v)) {
        if (v.type == V_UNDEFINED)
            return flow_vm__fail_undefined(vm, v);
        return flow_vm__fail(vm, "'%s' wants a number, not %s", symbols[op], flow_val__type_name(v));
    }
    if (v.type == V_FLOAT)
        *ret = val_float(op == OP_NEG ? -v.f : v.f);
    else if (op == OP_POS)
        *ret = v.type == V_BIG ? v : val_int(v.i);
    else if (v.type == V_BIG || v.i == INT64_MIN)
        return flow_big__binary(vm, OP_NEG, v, v, ret);
    else
        *ret = val_int(-v.i);
    return true;
}
