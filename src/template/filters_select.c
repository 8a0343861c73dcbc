/*
 * filters_select.c - map, select, reject, selectattr, rejectattr, unique: generators over another value. They
 * work when they are walked, item by item, as Jinja's do.
 */
#include "template/natives.h"

/* Looks a path up; where any step of it finds nothing, the walk goes on with `otherwise`. */
bool flow_filter__attribute_or(FlowVm *vm, FlowVal v, FlowVal path, FlowVal otherwise, FlowVal *ret)
{
    if (path.type != V_STRING) {
        if (!flow_val__attribute(vm, v, path, &v))
            return false;
        *ret = v.type == V_UNDEFINED ? otherwise : v;
        return true;
    }
    for (size_t begin = 0; begin <= path.len;) {
        const char *dot = memchr(path.s + begin, '.', path.len - begin);
        size_t end = dot != NULL ? (size_t)(dot - path.s) : path.len;
        if (!flow_val__attribute(vm, v, val_string(path.s + begin, end - begin), &v))
            return false;
        if (v.type == V_UNDEFINED)
            v = otherwise;
        begin = end + 1;
    }
    *ret = v;
    return true;
}

typedef struct Generator {
    FlowIter iter; /* first */
    const FlowNative *native;
    FlowVal attribute, otherwise;
    bool looks_up, rejects, case_sensitive;
    FlowArgs args; /* values[0] is free for the item */
    FlowVal *values;
    FlowDict *seen;
    FlowVal name; /* of a filter or test that does not exist: an error when the first item comes */
} Generator;

/* The arguments from `first` on, with room for the item in front. */
static bool keep_arguments(FlowVm *vm, Generator *g, const FlowArgs *args, size_t first)
{
    size_t count = args->count > first ? args->count - first : 0;
    FlowVal *all = flow_vm__alloc(vm, (count + 1 + 2 * args->named_count) * sizeof *all);
    if (all == NULL)
        return false;
    FlowVal *names = all + count + 1, *named = names + args->named_count;
    if (count != 0)
        memcpy(all + 1, args->values + first, count * sizeof *all);
    if (args->named_count != 0) {
        memcpy(names, args->names, args->named_count * sizeof *names);
        memcpy(named, args->named, args->named_count * sizeof *named);
    }
    g->values = all;
    g->args = (FlowArgs){all, count + 1, names, named, args->named_count};
    return true;
}

static bool unknown(FlowVm *vm, const Generator *g, bool is_filter)
{
    const char *names[160];
    size_t count = is_filter ? flow_filter__names(names, 160) : flow_test__names(names, 160);
    flow_vm__fail(vm, "No %s named '%.*s'.", is_filter ? "filter" : "test",
                  (int)(g->name.len < 80 ? g->name.len : 80), g->name.s);
    flow_vm__hint(vm, g->name.s, g->name.len, names, count);
    return false;
}

static bool empty(FlowVm *vm, FlowVal *ret)
{
    FlowIter *iter = flow_vm__alloc(vm, sizeof *iter);
    if (iter == NULL || !flow_iter__begin(vm, iter, val_string("", 0)))
        return false;
    *ret = (FlowVal){.type = V_GENERATOR, .iter = iter};
    return true;
}

/* ---- map ---- */

static bool map_next(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    Generator *g = (Generator *)iter;
    FlowVal item;
    if (!flow_iter__next(vm, iter->inner, &item))
        return false;
    if (g->looks_up)
        return arg_absent(g->otherwise)
                   ? flow_val__attribute(vm, item, g->attribute, ret)
                   : flow_filter__attribute_or(vm, item, g->attribute, g->otherwise, ret);
    if (g->native == NULL)
        return unknown(vm, g, true);
    g->values[0] = item;
    return flow_native__call(vm, "filter", g->native, &g->args, ret);
}

static bool map_attribute(FlowVm *vm, Generator *g, const FlowArgs *args)
{
    g->looks_up = true;
    for (size_t i = 0; i < args->named_count; i++) {
        FlowVal name = args->names[i];
        if (name.len == 9 && memcmp(name.s, "attribute", 9) == 0)
            g->attribute = args->named[i];
        else if (name.len == 7 && memcmp(name.s, "default", 7) == 0)
            g->otherwise = args->named[i];
        else
            return flow_vm__fail(vm, "filter 'map' has no parameter '%.*s'",
                                 (int)(name.len < 60 ? name.len : 60), name.s);
    }
    return true;
}

static bool has_attribute(const FlowArgs *args)
{
    for (size_t i = 0; i < args->named_count; i++) {
        if (args->names[i].len == 9 && memcmp(args->names[i].s, "attribute", 9) == 0)
            return true;
    }
    return false;
}

static bool filter_map(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    bool any;
    if (!flow_val__truth(vm, args->values[0], &any))
        return false;
    if (!any)
        return empty(vm, ret);
    Generator *g = (Generator *)flow_iter__generator(vm, sizeof *g, args->values[0], map_next);
    if (g == NULL)
        return false;
    memset((char *)g + sizeof g->iter, 0, sizeof *g - sizeof g->iter);
    if (args->count == 1 && has_attribute(args)) {
        if (!map_attribute(vm, g, args))
            return false;
    } else {
        if (args->count == 1)
            return flow_vm__fail(vm, "filter 'map' wants the name of a filter, or attribute='…'");
        if (!arg_string(vm, args->values[1], "the name of a filter") || !keep_arguments(vm, g, args, 2))
            return false;
        g->name = args->values[1];
        g->native = flow_filter__find(g->name.s, g->name.len);
    }
    *ret = (FlowVal){.type = V_GENERATOR, .iter = &g->iter};
    return true;
}

/* ---- select and reject ---- */

static bool select_next(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    Generator *g = (Generator *)iter;
    FlowVal item, tested;
    while (flow_iter__next(vm, iter->inner, &item)) {
        bool yes;
        tested = item;
        if (g->looks_up && !flow_val__attribute(vm, item, g->attribute, &tested))
            return false;
        if (val_given(g->name)) {
            FlowVal answer;
            if (g->native == NULL)
                return unknown(vm, g, false);
            g->values[0] = tested;
            if (!flow_native__call(vm, "test", g->native, &g->args, &answer))
                return false;
            yes = flow_val__is_true(answer);
        } else if (!flow_val__truth(vm, tested, &yes)) {
            return false;
        }
        if (yes != g->rejects) {
            *ret = item;
            return true;
        }
    }
    return false;
}

static bool select_or_reject(FlowVm *vm, const FlowArgs *args, bool rejects, bool looks_up, FlowVal *ret)
{
    bool any;
    size_t at = 1 + looks_up; /* where the name of the test stands */
    if (!flow_val__truth(vm, args->values[0], &any))
        return false;
    if (!any)
        return empty(vm, ret);
    if (args->count < at)
        return flow_vm__fail(vm, "selectattr and rejectattr want the name of an attribute");
    Generator *g = (Generator *)flow_iter__generator(vm, sizeof *g, args->values[0], select_next);
    if (g == NULL)
        return false;
    memset((char *)g + sizeof g->iter, 0, sizeof *g - sizeof g->iter);
    g->rejects = rejects;
    g->looks_up = looks_up;
    if (looks_up)
        g->attribute = args->values[1];
    if (args->count > at) {
        if (!arg_string(vm, args->values[at], "the name of a test") || !keep_arguments(vm, g, args, at + 1))
            return false;
        g->name = args->values[at];
        g->native = flow_test__find(g->name.s, g->name.len);
    }
    *ret = (FlowVal){.type = V_GENERATOR, .iter = &g->iter};
    return true;
}

static bool filter_select(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    return select_or_reject(vm, args, false, false, ret);
}

static bool filter_reject(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    return select_or_reject(vm, args, true, false, ret);
}

static bool filter_selectattr(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    return select_or_reject(vm, args, false, true, ret);
}

static bool filter_rejectattr(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    return select_or_reject(vm, args, true, true, ret);
}

/* ---- unique ---- */

static bool unique_next(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    Generator *g = (Generator *)iter;
    FlowVal item, key;
    while (flow_iter__next(vm, iter->inner, &item)) {
        uint64_t hash;
        if (!flow_val__attribute(vm, item, g->attribute, &key) ||
            (!g->case_sensitive && !flow_val__ignore_case(vm, key, &key)) || !flow_val__hash(vm, key, &hash))
            return false;
        bool known = flow_dict__find(vm, g->seen, key, hash) != NULL;
        if (vm->failed || (!known && !flow_dict__set(vm, g->seen, key, val_none())))
            return false;
        if (!known) {
            *ret = item;
            return true;
        }
    }
    return false;
}

static bool filter_unique(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    Generator *g = (Generator *)flow_iter__generator(vm, sizeof *g, args[0], unique_next);
    if (g == NULL)
        return false;
    memset((char *)g + sizeof g->iter, 0, sizeof *g - sizeof g->iter);
    g->attribute = args[2];
    g->seen = flow_dict__new(vm, 0);
    if (g->seen == NULL || !arg_truth(vm, args[1], false, &g->case_sensitive))
        return false;
    *ret = (FlowVal){.type = V_GENERATOR, .iter = &g->iter};
    return true;
}

static const FlowNative rows[] = {
    {"map", NULL, {"value"}, 1, filter_map},
    {"select", NULL, {"value"}, 1, filter_select},
    {"reject", NULL, {"value"}, 1, filter_reject},
    {"selectattr", NULL, {"value"}, 1, filter_selectattr},
    {"rejectattr", NULL, {"value"}, 1, filter_rejectattr},
    {"unique", filter_unique, {"value", "case_sensitive", "attribute"}, 1, NULL},
};
NATIVE_TABLE(flow_filters_select, rows);
