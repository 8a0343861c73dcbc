/* compare.c - truth, equality, order, membership and hashes, as Python has them. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "template/values.h"

/* ---- truth ---- */

bool flow_val__is_true(FlowVal v)
{
    switch (v.type) {
    case V_MISSING:
    case V_UNDEFINED:
    case V_NONE:
        return false;
    case V_BOOL:
        return v.b;
    case V_INT:
        return v.i != 0;
    case V_FLOAT:
        return v.f != 0;
    case V_STRING:
        return v.len != 0;
    case V_LIST:
    case V_TUPLE:
        return v.list->count != 0;
    case V_DICT:
        return v.dict->count != 0;
    case V_ARRAY:
        return flow_array_count(*v.json) != 0;
    case V_OBJECT:
        return flow_object_count(*v.json) != 0;
    case V_RANGE:
        return v.range->count != 0;
    case V_VIEW:
        return flow_mapping__count(v.view->owner) != 0;
    case V_LOOP:
        return v.loop->length != 0;
    default:
        return true;
    }
}

bool flow_val__truth(FlowVm *vm, FlowVal v, bool *ret)
{
    if (flow_vm__refuses(vm, v))
        return flow_vm__fail_undefined(vm, v);
    *ret = flow_val__is_true(v);
    return true;
}

/* ---- numbers ---- */

/* -1, 0, 1; 2 when one is NaN. Exact, whatever the two are. */
static int order_of_numbers(FlowVal a, FlowVal b)
{
    if (a.type != V_FLOAT && b.type != V_FLOAT) {
        if (a.type == V_BIG || b.type == V_BIG)
            return flow_big__compare(a, b);
        return (a.i > b.i) - (a.i < b.i);
    }
    if (a.type == V_FLOAT && b.type == V_FLOAT)
        return isnan(a.f) || isnan(b.f) ? 2 : (a.f > b.f) - (a.f < b.f);
    if (a.type == V_FLOAT) {
        int order = order_of_numbers(b, a);
        return order == 2 ? 2 : -order;
    }
    if (isnan(b.f))
        return 2;
    if (a.type == V_BIG || a.i > INT64_C(1) << 53 || a.i < -(INT64_C(1) << 53))
        return flow_big__compare_double(a, b.f);
    double x = (double)a.i;
    return (x > b.f) - (x < b.f);
}

/* ---- equality ---- */

static bool equal(FlowVm *vm, FlowVal a, FlowVal b, unsigned depth, bool *ret);

static bool equal_lists(FlowVm *vm, FlowVal a, FlowVal b, unsigned depth, bool *ret)
{
    size_t count = (size_t)flow_val__length_or_none(a);
    *ret = count == (size_t)flow_val__length_or_none(b);
    for (size_t i = 0; i < count && *ret; i++) {
        if (!equal(vm, flow_list__at(a, i), flow_list__at(b, i), depth, ret))
            return false;
    }
    return true;
}

static bool equal_mappings(FlowVm *vm, FlowVal a, FlowVal b, unsigned depth, bool *ret)
{
    *ret = flow_mapping__count(a) == flow_mapping__count(b);
    FlowVal key, value, other;
    size_t at = 0;
    while (*ret && flow_mapping__next(a, &at, &key, &value)) {
        bool found;
        if (!flow_val__lookup(vm, b, key, &other, &found))
            return false;
        *ret = found;
        if (found && !equal(vm, value, other, depth, ret))
            return false;
    }
    return true;
}

static bool equal_ranges(const FlowRange *a, const FlowRange *b)
{
    return a->count == b->count &&
           (a->count == 0 || (a->start == b->start && (a->count == 1 || a->step == b->step)));
}

static bool equal(FlowVm *vm, FlowVal a, FlowVal b, unsigned depth, bool *ret)
{
    if (depth > vm->limits.data_depth)
        return flow_vm__limit(vm, "values nested more than %u deep can't be compared", vm->limits.data_depth);
    if (!flow_vm__charge(vm, 1))
        return false;
    if (flow_vm__refuses(vm, a) || flow_vm__refuses(vm, b))
        return flow_vm__fail_undefined(vm, flow_vm__refuses(vm, a) ? a : b);
    if (val_is_number(a)) {
        *ret = val_is_number(b) && order_of_numbers(a, b) == 0;
        return true;
    }
    if (a.type == V_STRING) {
        *ret = b.type == V_STRING && a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
        return flow_vm__charge(vm, *ret ? a.len / 256 : 0);
    }
    if (val_is_mapping(a) && val_is_mapping(b))
        return equal_mappings(vm, a, b, depth + 1, ret);
    if (val_is_list(a) && val_is_list(b) && (a.type == V_TUPLE) == (b.type == V_TUPLE))
        return equal_lists(vm, a, b, depth + 1, ret);
    if (a.type != b.type) {
        *ret = false;
        return true;
    }
    switch (a.type) {
    case V_UNDEFINED:
    case V_NONE:
    case V_SELF:
        *ret = true;
        break;
    case V_RANGE:
        *ret = equal_ranges(a.range, b.range);
        break;
    case V_DATETIME:
        *ret = flow_datetime__order(a.datetime, b.datetime) == 0;
        break;
    case V_BLOCK:
        *ret = a.len == b.len;
        break;
    default:
        *ret = a.json == b.json;
        break;
    }
    return true;
}

bool flow_val__equal(FlowVm *vm, FlowVal a, FlowVal b, bool *ret)
{
    return equal(vm, a, b, 0, ret);
}

/* ---- order ---- */

static const char *symbol_of(FlowOperator op)
{
    static const char *const symbols[] = {[OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">", [OP_GE] = ">="};
    return symbols[op];
}

static bool cannot_order(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b)
{
    if (a.type == V_UNDEFINED || b.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, a.type == V_UNDEFINED ? a : b);
    bool mixed = (a.type == V_STRING && val_is_number(b)) || (b.type == V_STRING && val_is_number(a));
    return flow_vm__fail(vm, "'%s' can't compare %s and %s%s", symbol_of(op), flow_val__type_name(a),
                         flow_val__type_name(b), mixed ? "; convert with | int or | float first" : "");
}

static bool holds(FlowOperator op, int order)
{
    switch (op) {
    case OP_LT:
        return order == -1;
    case OP_LE:
        return order == -1 || order == 0;
    case OP_GT:
        return order == 1;
    default:
        return order == 1 || order == 0;
    }
}

static bool ordered(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, unsigned depth, bool *ret);

/* The first items that differ decide, then the lengths. */
static bool order_lists(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, unsigned depth, bool *ret)
{
    size_t in_a = (size_t)flow_val__length_or_none(a), in_b = (size_t)flow_val__length_or_none(b);
    for (size_t i = 0; i < in_a && i < in_b; i++) {
        FlowVal x = flow_list__at(a, i), y = flow_list__at(b, i);
        bool same;
        if (!equal(vm, x, y, depth, &same))
            return false;
        if (!same)
            return ordered(vm, op, x, y, depth, ret);
    }
    *ret = holds(op, (in_a > in_b) - (in_a < in_b));
    return true;
}

static bool ordered(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, unsigned depth, bool *ret)
{
    if (depth > vm->limits.data_depth)
        return flow_vm__limit(vm, "values nested more than %u deep can't be compared", vm->limits.data_depth);
    if (!flow_vm__charge(vm, 1))
        return false;
    if (val_is_number(a) && val_is_number(b)) {
        *ret = holds(op, order_of_numbers(a, b));
        return true;
    }
    if (a.type == V_STRING && b.type == V_STRING) {
        /* UTF-8 sorts by bytes as it does by code points. */
        int order = memcmp(a.s, b.s, a.len < b.len ? a.len : b.len);
        if (order == 0)
            order = (a.len > b.len) - (a.len < b.len);
        *ret = holds(op, (order > 0) - (order < 0));
        return true;
    }
    if (val_is_list(a) && val_is_list(b) && (a.type == V_TUPLE) == (b.type == V_TUPLE))
        return order_lists(vm, op, a, b, depth + 1, ret);
    if (a.type == V_DATETIME && b.type == V_DATETIME) {
        *ret = holds(op, flow_datetime__order(a.datetime, b.datetime));
        return true;
    }
    return cannot_order(vm, op, a, b);
}

bool flow_val__less(FlowVm *vm, FlowVal a, FlowVal b, bool *ret)
{
    return ordered(vm, OP_LT, a, b, 0, ret);
}

bool flow_val__compare(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, bool *ret)
{
    bool same;
    switch (op) {
    case OP_EQ:
        return equal(vm, a, b, 0, ret);
    case OP_NE:
        if (!equal(vm, a, b, 0, &same))
            return false;
        *ret = !same;
        return true;
    case OP_IN:
        return flow_val__contains(vm, b, a, ret);
    case OP_NOT_IN:
        if (!flow_val__contains(vm, b, a, &same))
            return false;
        *ret = !same;
        return true;
    default:
        return ordered(vm, op, a, b, 0, ret);
    }
}

/* ---- membership ---- */

static bool in_range(const FlowRange *range, int64_t i)
{
    if (range->count == 0)
        return false;
    int64_t last = range->start + (int64_t)(range->count - 1) * range->step;
    if (range->step > 0 ? i < range->start || i > last : i > range->start || i < last)
        return false;
    return ((__int128)i - range->start) % range->step == 0;
}

static bool in_items(FlowVm *vm, FlowVal container, FlowVal item, bool *ret)
{
    FlowIter iter;
    FlowVal each;
    *ret = false;
    if (!flow_iter__begin(vm, &iter, container))
        return false;
    while (!*ret && flow_iter__next(vm, &iter, &each)) {
        if (!equal(vm, each, item, 0, ret))
            return false;
    }
    return !vm->failed;
}

bool flow_val__contains(FlowVm *vm, FlowVal container, FlowVal item, bool *ret)
{
    FlowVal ignored;
    switch (container.type) {
    case V_STRING:
        if (item.type == V_UNDEFINED && !flow_vm__refuses(vm, item))
            return flow_vm__fail(vm, "'in' asks a string for a string, not for an undefined value");
        if (item.type != V_STRING)
            return item.type == V_UNDEFINED
                       ? flow_vm__fail_undefined(vm, item)
                       : flow_vm__fail(
                             vm, "'in' asks a string for a string, not for %s; convert with | string first",
                             flow_val__type_name(item));
        *ret = item.len == 0 || memmem(container.s, container.len, item.s, item.len) != NULL;
        return flow_vm__charge(vm, 1 + container.len / 64);
    case V_DICT:
    case V_OBJECT:
        return flow_val__lookup(vm, container, item, &ignored, ret);
    case V_VIEW:
        if (container.view->kind == VIEW_KEYS)
            return flow_val__lookup(vm, container.view->owner, item, &ignored, ret);
        return in_items(vm, container, item, ret);
    case V_RANGE:
        if (item.type == V_INT || item.type == V_BOOL) {
            *ret = in_range(container.range, item.i);
            return true;
        }
        if (item.type == V_FLOAT && item.f == floor(item.f) && fabs(item.f) < 9e18) {
            *ret = in_range(container.range, (int64_t)item.f);
            return true;
        }
        *ret = false;
        return true;
    case V_UNDEFINED:
        if (flow_vm__refuses(vm, container))
            return flow_vm__fail_undefined(vm, container);
        *ret = false;
        return true;
    default:
        if (!flow_val__is_iterable(container))
            return flow_vm__fail(vm, "'in' can't look into %s", flow_val__type_name(container));
        return in_items(vm, container, item, ret);
    }
}

/* ---- hashes ---- */

uint64_t flow_val__hash_text(const char *text, size_t len)
{
    return flow_hash_bytes(text, len);
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    return x;
}

static bool hash_nested(FlowVm *vm, FlowVal v, unsigned depth, uint64_t *ret)
{
    uint64_t sum = 0x9e3779b97f4a7c15;
    if (depth > vm->limits.data_depth)
        return flow_vm__limit(vm, "a key nested more than %u deep", vm->limits.data_depth);
    if (!flow_vm__charge(vm, 1))
        return false;
    switch (v.type) {
    case V_STRING:
        *ret = flow_hash_bytes(v.s, v.len);
        return true;
    case V_BOOL:
    case V_INT:
        *ret = mix((uint64_t)v.i);
        return true;
    case V_FLOAT: /* 1.0 and 1 are the same key */
        if (v.f >= -9.2e18 && v.f <= 9.2e18 && v.f == floor(v.f))
            *ret = mix((uint64_t)(int64_t)v.f);
        else
            *ret = mix((uint64_t)v.i);
        return true;
    case V_BIG:
        *ret = flow_big__hash(v);
        return true;
    case V_TUPLE:
        for (size_t i = 0; i < v.list->count; i++) {
            uint64_t part;
            if (!hash_nested(vm, v.list->items[i], depth + 1, &part))
                return false;
            sum = mix(sum ^ part);
        }
        *ret = sum;
        return true;
    case V_UNDEFINED:
        if (flow_vm__refuses(vm, v))
            return flow_vm__fail_undefined(vm, v);
        *ret = 7;
        return true;
    case V_NONE:
        *ret = 3;
        return true;
    case V_DATETIME:
        *ret = mix((uint64_t)(v.datetime->seconds - v.datetime->offset)) ^ (uint64_t)v.datetime->nanos;
        return true;
    case V_RANGE:
        *ret = mix(v.range->count) ^ mix((uint64_t)v.range->start);
        return true;
    case V_LIST:
    case V_ARRAY:
    case V_DICT:
    case V_OBJECT:
        return flow_vm__fail(vm, "a %s can't be a key or be told apart by unique: use a string or a tuple",
                             flow_val__type_name(v));
    default:
        *ret = mix((uint64_t)(uintptr_t)v.json + v.len);
        return true;
    }
}

bool flow_val__hash(FlowVm *vm, FlowVal v, uint64_t *ret)
{
    return hash_nested(vm, v, 0, ret);
}
