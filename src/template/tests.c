/* tests.c - what stands behind `is`. */
#include "template/natives.h"

/* For unknown names, `is` lists what there is; a test gives true or false. */
#define TEST(name, condition)                                                                                \
    static bool test_##name(FlowVm *vm, const FlowVal *args, FlowVal *ret)                                   \
    {                                                                                                        \
        FlowVal v = args[0];                                                                                 \
        (void)vm;                                                                                            \
        *ret = val_bool(condition);                                                                          \
        return true;                                                                                         \
    }

TEST(defined, v.type != V_UNDEFINED)
TEST(undefined, v.type == V_UNDEFINED)
TEST(none, v.type == V_NONE)
TEST(boolean, v.type == V_BOOL)
TEST(true, v.type == V_BOOL && v.b)
TEST(false, v.type == V_BOOL && !v.b)
TEST(integer, v.type == V_INT || v.type == V_BIG)
TEST(float, v.type == V_FLOAT)
TEST(number, val_is_number(v))
TEST(string, v.type == V_STRING)
TEST(mapping, val_is_mapping(v))
TEST(sequence, v.type == V_STRING || val_is_list(v) || val_is_mapping(v) || v.type == V_RANGE ||
                   (v.type == V_UNDEFINED && !flow_vm__refuses(vm, v)))
TEST(callable, v.type == V_MACRO || v.type == V_METHOD || v.type == V_FUNCTION || v.type == V_JOINER ||
                   v.type == V_BLOCK || v.type == V_LOOP || v.type == V_UNDEFINED)
TEST(escaped, val_is_markup(v))

static bool test_iterable(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    if (flow_vm__refuses(vm, args[0]))
        return flow_vm__fail_undefined(vm, args[0]);
    *ret = val_bool(flow_val__is_iterable(args[0]));
    return true;
}

static bool divisible(FlowVm *vm, FlowVal v, FlowVal by, FlowVal remainder, FlowVal *ret)
{
    FlowVal rest;
    bool same;
    if (v.type == V_STRING)
        return flow_vm__fail(vm, "this test wants a number, not string; convert with | int first");
    if (!flow_arith__binary(vm, OP_MOD, v, by, &rest) || !flow_val__equal(vm, rest, remainder, &same))
        return false;
    *ret = val_bool(same);
    return true;
}

static bool test_odd(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return divisible(vm, args[0], val_int(2), val_int(1), ret);
}

static bool test_even(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return divisible(vm, args[0], val_int(2), val_int(0), ret);
}

static bool test_divisibleby(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return divisible(vm, args[0], args[1], val_int(0), ret);
}

static bool as_method(FlowVm *vm, const FlowVal *args, const char *method, FlowVal *ret)
{
    FlowVal text;
    if (!flow_val__to_plain_string(vm, args[0], &text))
        return false;
    return flow_method__find(text, method, strlen(method))->call(vm, &text, ret);
}

static bool test_lower(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return as_method(vm, args, "islower", ret);
}

static bool test_upper(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return as_method(vm, args, "isupper", ret);
}

static bool test_filter(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    (void)vm;
    *ret = val_bool(args[0].type == V_STRING && flow_filter__find(args[0].s, args[0].len) != NULL);
    return true;
}

static bool test_test(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    (void)vm;
    *ret = val_bool(args[0].type == V_STRING && flow_test__find(args[0].s, args[0].len) != NULL);
    return true;
}

/* The very same value: equal scalars, or the same list or dict. */
static bool test_sameas(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal a = args[0], b = args[1];
    bool same = a.type == b.type;
    switch (a.type) {
    case V_NONE:
    case V_UNDEFINED:
    case V_SELF:
        break;
    case V_BOOL:
    case V_INT:
    case V_BIG:
    case V_FLOAT:
    case V_STRING:
        if (same && !flow_val__equal(vm, a, b, &same))
            return false;
        break;
    default:
        same = same && a.json == b.json;
        break;
    }
    *ret = val_bool(same);
    return true;
}

#define COMPARISON(name, op)                                                                                 \
    static bool test_##name(FlowVm *vm, const FlowVal *args, FlowVal *ret)                                   \
    {                                                                                                        \
        bool yes;                                                                                            \
        if (!flow_val__compare(vm, op, args[0], args[1], &yes))                                              \
            return false;                                                                                    \
        *ret = val_bool(yes);                                                                                \
        return true;                                                                                         \
    }

COMPARISON(eq, OP_EQ)
COMPARISON(ne, OP_NE)
COMPARISON(lt, OP_LT)
COMPARISON(le, OP_LE)
COMPARISON(gt, OP_GT)
COMPARISON(ge, OP_GE)
COMPARISON(in, OP_IN)

static const FlowNative rows[] = {
    {"defined", test_defined, {"value"}, 1, NULL},
    {"undefined", test_undefined, {"value"}, 1, NULL},
    {"none", test_none, {"value"}, 1, NULL},
    {"boolean", test_boolean, {"value"}, 1, NULL},
    {"true", test_true, {"value"}, 1, NULL},
    {"false", test_false, {"value"}, 1, NULL},
    {"integer", test_integer, {"value"}, 1, NULL},
    {"float", test_float, {"value"}, 1, NULL},
    {"number", test_number, {"value"}, 1, NULL},
    {"string", test_string, {"value"}, 1, NULL},
    {"mapping", test_mapping, {"value"}, 1, NULL},
    {"sequence", test_sequence, {"value"}, 1, NULL},
    {"iterable", test_iterable, {"value"}, 1, NULL},
    {"callable", test_callable, {"value"}, 1, NULL},
    {"escaped", test_escaped, {"value"}, 1, NULL},
    {"odd", test_odd, {"value"}, 1, NULL},
    {"even", test_even, {"value"}, 1, NULL},
    {"divisibleby", test_divisibleby, {"value", "num"}, 2, NULL},
    {"lower", test_lower, {"value"}, 1, NULL},
    {"upper", test_upper, {"value"}, 1, NULL},
    {"filter", test_filter, {"value"}, 1, NULL},
    {"test", test_test, {"value"}, 1, NULL},
    {"sameas", test_sameas, {"value", "other"}, 2, NULL},
    {"in", test_in, {"value", "seq"}, 2, NULL},
    {"==", test_eq, {"a", "b"}, 2, NULL},
    {"eq", test_eq, {"a", "b"}, 2, NULL},
    {"equalto", test_eq, {"a", "b"}, 2, NULL},
    {"!=", test_ne, {"a", "b"}, 2, NULL},
    {"ne", test_ne, {"a", "b"}, 2, NULL},
    {"<", test_lt, {"a", "b"}, 2, NULL},
    {"lt", test_lt, {"a", "b"}, 2, NULL},
    {"lessthan", test_lt, {"a", "b"}, 2, NULL},
    {"<=", test_le, {"a", "b"}, 2, NULL},
    {"le", test_le, {"a", "b"}, 2, NULL},
    {">", test_gt, {"a", "b"}, 2, NULL},
    {"gt", test_gt, {"a", "b"}, 2, NULL},
    {"greaterthan", test_gt, {"a", "b"}, 2, NULL},
    {">=", test_ge, {"a", "b"}, 2, NULL},
    {"ge", test_ge, {"a", "b"}, 2, NULL},
};

static const FlowNativeTable tables[] = {{rows, FLOW_COUNT(rows)}};

const FlowNative *flow_test__find(const char *name, size_t len)
{
    return flow_native__find(tables, FLOW_COUNT(tables), name, len);
}

size_t flow_test__names(const char **names, size_t max)
{
    size_t count = 0;
    for (; count < FLOW_COUNT(rows) && count < max; count++)
        names[count] = rows[count].name;
    return count;
}
