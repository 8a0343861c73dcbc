/* call.c - binding arguments: of natives to their parameters, of macros to their slots. */
#include <stdio.h>
#include <string.h>

#include "template/exec.h"

/* ---- natives ---- */

const FlowNative *flow_native__find(const FlowNativeTable *tables, size_t count, const char *name, size_t len)
{
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            const char *known = tables[t].rows[i].name;
            if (known[0] == name[0] && strlen(known) == len && memcmp(known, name, len) == 0)
                return &tables[t].rows[i];
        }
    }
    return NULL;
}

static unsigned param_count(const FlowNative *native)
{
    unsigned count = 0;
    while (count < FLOW_NATIVE_PARAMS && native->params[count] != NULL)
        count++;
    return count;
}

static int param_called(const FlowNative *native, FlowVal name)
{
    for (unsigned i = 0; i < FLOW_NATIVE_PARAMS && native->params[i] != NULL; i++) {
        if (strlen(native->params[i]) == name.len && memcmp(native->params[i], name.s, name.len) == 0)
            return (int)i;
    }
    return -1;
}

bool flow_native__call(FlowVm *vm, const char *what, const FlowNative *native, const FlowArgs *args,
                       FlowVal *ret)
{
    if (native->call_any != NULL)
        return native->call_any(vm, args, ret);
    FlowVal bound[FLOW_NATIVE_PARAMS] = {{0}};
    unsigned params = param_count(native);
    bool in_front = what[0] != 'g'; /* all but globals have a value in front, which people don't count */
    if (args->count > params)
        return flow_vm__fail(vm, "%s '%s' takes at most %u argument%s, got %zu", what, native->name,
                             params - in_front, params - in_front == 1 ? "" : "s", args->count - in_front);
    if (args->count != 0)
        memcpy(bound, args->values, args->count * sizeof *bound);
    for (size_t i = 0; i < args->named_count; i++) {
        int param = param_called(native, args->names[i]);
        if (param < 0 || (param == 0 && in_front)) {
            flow_vm__fail(vm, "%s '%s' has no parameter '%.*s'", what, native->name,
                          (int)(args->names[i].len < 60 ? args->names[i].len : 60), args->names[i].s);
            flow_vm__hint(vm, args->names[i].s, args->names[i].len, native->params + in_front,
                          params - in_front);
            return false;
        }
        if (val_given(bound[param]))
            return flow_vm__fail(vm, "%s '%s' got '%s' twice", what, native->name, native->params[param]);
        bound[param] = args->named[i];
    }
    for (unsigned i = 0; i < native->required; i++) {
        if (!val_given(bound[i]))
            return flow_vm__fail(vm, "%s '%s' needs the argument '%s'", what, native->name,
                                 native->params[i]);
    }
    return native->call(vm, bound, ret);
}

/* ---- call sites ---- */

static bool spread_named(FlowVm *vm, FlowVal mapping, FlowList *names, FlowList *values)
{
    FlowVal key, value;
    size_t at = 0;
    if (!val_is_mapping(mapping))
        return flow_vm__fail(vm, "** wants a dict, not %s", flow_val__type_name(mapping));
    while (flow_mapping__next(mapping, &at, &key, &value)) {
        if (key.type != V_STRING)
            return flow_vm__fail(vm, "** wants names as keys, not %s", flow_val__type_name(key));
        for (size_t i = 0; i < names->count; i++) {
            if (names->items[i].len == key.len && memcmp(names->items[i].s, key.s, key.len) == 0)
                return flow_vm__fail(vm, "the argument '%.*s' is given twice",
                                     (int)(key.len < 60 ? key.len : 60), key.s);
        }
        if (!flow_vm__charge(vm, 1 + names->count / 8) || !flow_list__push(vm, names, key) ||
            !flow_list__push(vm, values, value))
            return false;
    }
    return true;
}

bool flow_site__arguments(FlowVm *vm, const FlowSite *site, const FlowVal *base, FlowArgs *ret)
{
    const FlowVal *names_of = site->named != 0 ? vm->tmpl->constants + site->names : NULL;
    *ret = (FlowArgs){base, site->positional, names_of, base + site->positional, site->named};
    if (!site->spread && !site->named_spread && !site->caller)
        return true;
    const FlowVal *more = base + site->positional + site->named;
    FlowList *values = flow_list__new(vm, site->positional), *names = flow_list__new(vm, site->named + 1u),
             *named = flow_list__new(vm, site->named + 1u);
    if (values == NULL || names == NULL || named == NULL)
        return false;
    for (size_t i = 0; i < site->positional; i++)
        values->items[values->count++] = base[i];
    for (size_t i = 0; i < site->named; i++) {
        names->items[names->count++] = ret->names[i];
        named->items[named->count++] = ret->named[i];
    }
    if (site->spread) {
        FlowIter iter;
        FlowVal item;
        if (!flow_iter__begin(vm, &iter, *more++))
            return false;
        while (flow_iter__next(vm, &iter, &item)) {
            if (!flow_list__push(vm, values, item))
                return false;
        }
        if (vm->failed)
            return false;
    }
    if (site->named_spread && !spread_named(vm, *more++, names, named))
        return false;
    if (site->caller &&
        (!flow_list__push(vm, names, VAL_LITERAL("caller")) || !flow_list__push(vm, named, *more)))
        return false;
    *ret = (FlowArgs){values->items, values->count, names->items, named->items, named->count};
    return true;
}

static bool unknown_native(FlowVm *vm, const FlowSite *site, bool is_filter)
{
    FlowVal name = vm->tmpl->keys[site->name].val;
    const char *names[160];
    size_t count = is_filter ? flow_filter__names(names, 160) : flow_test__names(names, 160);
    flow_vm__fail(vm, "No %s named '%.*s' found.", is_filter ? "filter" : "test",
                  (int)(name.len < 80 ? name.len : 80), name.s);
    flow_vm__hint(vm, name.s, name.len, names, count);
    return false;
}

bool flow_call__native(FlowVm *vm, const FlowSite *site, bool is_filter, FlowVal *base, FlowVal *ret)
{
    FlowArgs args;
    if (site->native == NULL)
        return unknown_native(vm, site, is_filter);
    return flow_site__arguments(vm, site, base, &args) &&
           flow_native__call(vm, is_filter ? "filter" : "test", site->native, &args, ret);
}

/* ---- macros ---- */

bool flow_macro__name(FlowVm *vm, const FlowMacro *macro, FlowVal *ret)
{
    if (macro->function->name == 0 || macro->function->kind == FUNCTION_CALLER)
        return false;
    *ret = vm->tmpl->keys[macro->function->name - 1].val;
    return true;
}

bool flow_macro__field(FlowVm *vm, const FlowMacro *macro, const char *name, size_t len, FlowVal *ret,
                       bool *ret_found)
{
    const FlowFunction *f = macro->function;
    *ret_found = true;
    if (len == 4 && memcmp(name, "name", 4) == 0) {
        if (!flow_macro__name(vm, macro, ret))
            *ret = val_none();
        return true;
    }
    if (len == 9 && memcmp(name, "arguments", 9) == 0) {
        FlowList *list = flow_list__new(vm, f->param_count);
        for (size_t i = 0; list != NULL && i < f->param_count; i++)
            list->items[list->count++] = vm->tmpl->keys[f->params[i].name].val;
        if (list != NULL)
            *ret = val_tuple(list);
        return list != NULL;
    }
    if (len == 12 && memcmp(name, "catch_kwargs", 12) == 0)
        *ret = val_bool(f->named_slot != FLOW_NO_SLOT);
    else if (len == 13 && memcmp(name, "catch_varargs", 13) == 0)
        *ret = val_bool(f->rest_slot != FLOW_NO_SLOT);
    else if (len == 6 && memcmp(name, "caller", 6) == 0)
        *ret = val_bool(f->caller_slot != FLOW_NO_SLOT);
    else
        *ret_found = false;
    return *ret_found;
}

FlowEnv *flow_env__new(FlowVm *vm, const FlowFunction *function, FlowEnv *outer)
{
    size_t index = (size_t)(function - vm->tmpl->functions);
    FlowEnv *env = vm->recycled != NULL ? vm->recycled[index] : NULL;
    if (env != NULL)
        vm->recycled[index] = env->outer;
    else
        env = flow_vm__alloc(vm, sizeof *env + ((size_t)function->slots + function->stack) * sizeof(FlowVal));
    if (env == NULL)
        return NULL;
    env->outer = outer;
    memset(env->slots, 0, function->slots * sizeof(FlowVal));
    return env;
}

void flow_env__recycle(FlowVm *vm, const FlowFunction *function, FlowEnv *env)
{
    if (!function->reusable || function->kind == FUNCTION_ROOT)
        return;
    if (vm->recycled == NULL) {
        size_t size = vm->tmpl->function_count * sizeof *vm->recycled;
        vm->recycled = flow_vm__alloc(vm, size);
        if (vm->recycled == NULL)
            return;
        memset(vm->recycled, 0, size);
    }
    size_t index = (size_t)(function - vm->tmpl->functions);
    env->outer = vm->recycled[index];
    vm->recycled[index] = env;
}

/* A name among those given; its place is then marked as used. */
static int take_named(const FlowArgs *args, FlowVal name, bool *used)
{
    for (size_t i = 0; i < args->named_count; i++) {
        if (!used[i] && args->names[i].len == name.len && memcmp(args->names[i].s, name.s, name.len) == 0) {
            used[i] = true;
            return (int)i;
        }
    }
    return -1;
}

static bool bind_rest(FlowVm *vm, const FlowFunction *f, const FlowArgs *args, const bool *used, FlowEnv *env)
{
    FlowVal name = VAL_LITERAL("caller");
    if (f->named_slot != FLOW_NO_SLOT) {
        FlowDict *dict = flow_dict__new(vm, 0);
        if (dict == NULL)
            return false;
        for (size_t i = 0; i < args->named_count; i++) {
            if (!used[i] && !flow_dict__set(vm, dict, args->names[i], args->named[i]))
                return false;
        }
        env->slots[f->named_slot] = val_dict(dict);
    } else {
        for (size_t i = 0; i < args->named_count; i++) {
            FlowVal extra = args->names[i];
            if (used[i])
                continue;
            if (extra.len == name.len && memcmp(extra.s, name.s, name.len) == 0)
                return flow_vm__fail(vm, "this macro was called with a call block, but it takes no caller: "
                                         "mention caller() in it");
            flow_vm__fail(vm, "this macro takes no keyword argument '%.*s'",
                          (int)(extra.len < 60 ? extra.len : 60), extra.s);
            const char *names[32];
            size_t count = 0;
            for (; count < f->param_count && count < 32; count++)
                names[count] = vm->tmpl->keys[f->params[count].name].val.s;
            flow_vm__hint(vm, extra.s, extra.len, names, count);
            return false;
        }
    }
    size_t taken = args->count < f->param_count ? args->count : f->param_count;
    if (f->rest_slot != FLOW_NO_SLOT)
        return flow_tuple__of(vm, &env->slots[f->rest_slot], args->count - taken, args->values + taken);
    if (args->count > f->param_count)
        return flow_vm__fail(vm, "this macro takes not more than %zu argument(s)", f->param_count);
    return true;
}

static bool bind_macro(FlowVm *vm, const FlowFunction *f, const FlowArgs *args, FlowEnv *env)
{
    bool few[16] = {false}, *used = few;
    if (args->named_count > sizeof few) {
        used = flow_vm__alloc(vm, args->named_count);
        if (used == NULL)
            return false;
        memset(used, 0, args->named_count);
    }
    bool found_caller = f->explicit_caller;
    for (size_t i = 0; i < f->param_count; i++) {
        FlowVal *slot = &env->slots[f->params[i].slot];
        if (i < args->count) {
            *slot = args->values[i];
            continue;
        }
        int named =
            args->named_count != 0 ? take_named(args, vm->tmpl->keys[f->params[i].name].val, used) : -1;
        if (named >= 0)
            *slot = args->named[named];
    }
    if (f->caller_slot != FLOW_NO_SLOT && !found_caller) {
        int named = take_named(args, VAL_LITERAL("caller"), used);
        if (named >= 0)
            env->slots[f->caller_slot] = args->named[named];
        else if (!flow_vm__undefined_hint(vm, "No caller defined: this macro is made for a call block",
                                          &env->slots[f->caller_slot]))
            return false;
    }
    return bind_rest(vm, f, args, used, env);
}

static bool enter_macro(FlowVm *vm, const FlowMacro *macro, const FlowArgs *args, FlowCallOut *ret)
{
    FlowEnv *env = flow_env__new(vm, macro->function, macro->outer);
    if (env == NULL || !bind_macro(vm, macro->function, args, env))
        return false;
    ret->function = macro->function;
    ret->env = env;
    ret->autoescape = macro->autoescape;
    return true;
}

bool flow_call__loop(FlowVm *vm, const FlowFunction *function, FlowEnv *outer, unsigned depth0, FlowVal over,
                     FlowCallOut *ret)
{
    FlowEnv *env = flow_env__new(vm, function, outer);
    if (env == NULL)
        return false;
    env->slots[0] = over;
    vm->loop_depth = depth0;
    ret->function = function;
    ret->env = env;
    ret->autoescape = vm->autoescape;
    return true;
}

/* ---- values that are called ---- */

static bool call_recursive(FlowVm *vm, const FlowLoopState *loop, const FlowArgs *args, FlowCallOut *ret)
{
    if (loop->function == NULL)
        return flow_vm__fail(vm, "loop(...) needs a loop marked recursive: {%% for x in list recursive %%}");
    if (args->count != 1 || args->named_count != 0)
        return flow_vm__fail(vm, "loop(...) takes one argument: what to go over");
    return flow_call__loop(vm, loop->function, loop->outer, loop->depth0 + 1, args->values[0], ret);
}

static bool call_method_value(FlowVm *vm, const FlowMethod *method, const FlowArgs *args, FlowVal *ret)
{
    FlowList *values = flow_list__new(vm, args->count + 1);
    if (values == NULL)
        return false;
    values->items[0] = method->self;
    if (args->count != 0)
        memcpy(values->items + 1, args->values, args->count * sizeof(FlowVal));
    FlowArgs with_self = *args;
    with_self.values = values->items;
    with_self.count = args->count + 1;
    return flow_native__call(vm, "method", method->native, &with_self, ret);
}

static bool call_joiner(FlowVm *vm, FlowCycler *joiner, const FlowArgs *args, FlowVal *ret)
{
    if (args->count != 0 || args->named_count != 0)
        return flow_vm__fail(vm, "a joiner takes no arguments");
    *ret = joiner->at++ == 0 ? val_string("", 0) : joiner->items.items[0];
    return true;
}

bool flow_call__value(FlowVm *vm, FlowVal callee, const FlowArgs *args, FlowCallOut *ret)
{
    ret->function = NULL;
    switch (callee.type) {
    case V_MACRO:
        return enter_macro(vm, callee.macro, args, ret);
    case V_FUNCTION:
        return flow_native__call(vm, "global function", callee.native, args, &ret->result);
    case V_METHOD:
        return call_method_value(vm, callee.method, args, &ret->result);
    case V_LOOP:
        return call_recursive(vm, callee.loop, args, ret);
    case V_JOINER:
        return call_joiner(vm, callee.cycler, args, &ret->result);
    case V_BLOCK:
        ret->function = &vm->tmpl->functions[vm->tmpl->block_functions[callee.len]];
        ret->env = flow_env__new(vm, ret->function, vm->root);
        ret->autoescape = false;
        return ret->env != NULL;
    case V_UNDEFINED:
        return flow_vm__fail_undefined(vm, callee);
    default:
        return flow_vm__fail(vm, "a %s can't be called", flow_val__type_name(callee));
    }
}

bool flow_call__method(FlowVm *vm, const FlowSite *site, FlowVal *base, FlowCallOut *ret)
{
    FlowArgs args;
    FlowVal self = base[0], callee;
    int class = flow_method__class(self);
    const FlowNative *native = class >= 0 ? site->method[class] : NULL;
    if (class == METHODS_OF_OTHER && native != NULL)
        native =
            flow_method__find(self, vm->tmpl->keys[site->name].val.s, vm->tmpl->keys[site->name].val.len);
    if (self.type == V_TUPLE && native != NULL)
        native = flow_method__find(self, native->name, strlen(native->name));
    if (!flow_site__arguments(vm, site, base, &args))
        return false;
    if (native != NULL) {
        ret->function = NULL;
        return flow_native__call(vm, "method", native, &args, &ret->result);
    }
    if (!flow_val__key(vm, self, &vm->tmpl->keys[site->name], &callee))
        return false;
    args.values++;
    args.count--;
    return flow_call__value(vm, callee, &args, ret);
}
