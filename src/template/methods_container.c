/*
 * methods_container.c - methods of lists, tuples, dicts, loop, cycler. Those that change a list or dict work
 * on what the template made itself; the payload is never changed, and asking for it says what to write instead.
 */
#include "template/natives.h"

/* ---- lists ---- */

/* A list of the template's own, which may be changed. */
static bool own_list(FlowVm *vm, FlowVal self, const char *method, FlowList **ret)
{
    if (self.type == V_LIST) {
        *ret = self.list;
        return true;
    }
    return flow_vm__fail(
        vm,
        "'%s' would change the payload: work on a copy, {%% set copy = list | list %%}, or make a new "
        "list with +",
        method);
}

static bool method_append(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list;
    if (!own_list(vm, args[0], "append", &list) || !flow_list__push(vm, list, args[1]))
        return false;
    *ret = val_none();
    return true;
}

static bool method_extend(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list, *more;
    if (!own_list(vm, args[0], "extend", &list) || !flow_list__from(vm, args[1], &more))
        return false;
    for (size_t i = 0; i < more->count; i++) {
        if (!flow_list__push(vm, list, more->items[i]))
            return false;
    }
    *ret = val_none();
    return true;
}

static bool method_insert(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list;
    int64_t at;
    if (!own_list(vm, args[0], "insert", &list) || !flow_arith__to_int(vm, args[1], "index", &at))
        return false;
    int64_t count = (int64_t)list->count;
    at = at < 0 ? (at < -count ? 0 : at + count) : at > count ? count : at;
    if (!flow_list__push(vm, list, val_none()) || !flow_vm__charge(vm, 1 + (uint64_t)(count - at) / 16))
        return false;
    memmove(list->items + at + 1, list->items + at, (size_t)(count - at) * sizeof(FlowVal));
    list->items[at] = args[2];
    *ret = val_none();
    return true;
}

static void take_out(FlowList *list, size_t at)
{
    memmove(list->items + at, list->items + at + 1, (list->count - at - 1) * sizeof(FlowVal));
    list->count--;
}

static bool list_pop(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list;
    int64_t at;
    if (!own_list(vm, args[0], "pop", &list) || !arg_int(vm, args[1], "index", -1, &at))
        return false;
    int64_t count = (int64_t)list->count;
    at = at < 0 ? at + count : at;
    if (at < 0 || at >= count)
        return flow_vm__fail(vm, count == 0 ? "pop from an empty list" : "pop index out of range");
    FlowVal item = list->items[at];
    if (!flow_vm__charge(vm, 1 + (uint64_t)(count - at) / 16))
        return false;
    take_out(list, (size_t)at);
    *ret = item;
    return true;
}

/* Where the item is; -1 when it is nowhere. */
static bool position(FlowVm *vm, FlowVal list, FlowVal item, size_t from, size_t to, int64_t *ret)
{
    *ret = -1;
    for (size_t i = from; i < to && i < (size_t)flow_val__length_or_none(list); i++) {
        bool same;
        if (!flow_val__equal(vm, flow_list__at(list, i), item, &same))
            return false;
        if (same) {
            *ret = (int64_t)i;
            return true;
        }
    }
    return true;
}

static bool method_remove(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list;
    int64_t at;
    if (!own_list(vm, args[0], "remove", &list) || !position(vm, args[0], args[1], 0, list->count, &at))
        return false;
    if (at < 0)
        return flow_vm__fail(vm, "remove: the value is not in the list");
    take_out(list, (size_t)at);
    *ret = val_none();
    return true;
}

static bool list_clear(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list;
    if (!own_list(vm, args[0], "clear", &list))
        return false;
    list->count = 0;
    *ret = val_none();
    return true;
}

static bool list_reverse(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list;
    if (!own_list(vm, args[0], "reverse", &list) || !flow_vm__charge(vm, 1 + list->count / 8))
        return false;
    for (size_t i = 0; i < list->count / 2; i++) {
        FlowVal other = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = other;
    }
    *ret = val_none();
    return true;
}

static bool list_sort(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list;
    bool reverse;
    if (!own_list(vm, args[0], "sort", &list) || !arg_flag(vm, args[1], "reverse", &reverse))
        return false;
    FlowVal *keys = flow_vm__alloc(vm, (list->count + 1) * sizeof *keys);
    if (keys == NULL)
        return false;
    memcpy(keys, list->items, list->count * sizeof *keys);
    if (!flow_sort(vm, list->items, keys, list->count, reverse ? SORT_REVERSE : 0))
        return false;
    *ret = val_none();
    return true;
}

static bool list_copy(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list;
    if (!flow_list__from(vm, args[0], &list))
        return false;
    *ret = val_list(list);
    return true;
}

static bool list_index(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    int64_t from, step, at;
    size_t count;
    FlowVal none = val_none();
    if (!flow_slice__resolve(vm, val_given(args[2]) ? args[2] : none, val_given(args[3]) ? args[3] : none,
                             none, (size_t)flow_val__length_or_none(args[0]), &from, &step, &count) ||
        !position(vm, args[0], args[1], (size_t)from, (size_t)from + count, &at))
        return false;
    if (at < 0)
        return flow_vm__fail(vm, "index: the value is not in the list");
    *ret = val_int(at);
    return true;
}

static bool list_count(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    size_t length = (size_t)flow_val__length_or_none(args[0]);
    int64_t count = 0;
    for (size_t i = 0; i < length; i++) {
        bool same;
        if (!flow_val__equal(vm, flow_list__at(args[0], i), args[1], &same))
            return false;
        count += same;
    }
    *ret = val_int(count);
    return true;
}

static const FlowNative list_rows[] = {
    {"append", method_append, {"self", "item"}, 2, NULL},
    {"extend", method_extend, {"self", "items"}, 2, NULL},
    {"insert", method_insert, {"self", "index", "item"}, 3, NULL},
    {"pop", list_pop, {"self", "index"}, 1, NULL},
    {"remove", method_remove, {"self", "item"}, 2, NULL},
    {"clear", list_clear, {"self"}, 1, NULL},
    {"reverse", list_reverse, {"self"}, 1, NULL},
    {"sort", list_sort, {"self", "reverse"}, 1, NULL},
    {"copy", list_copy, {"self"}, 1, NULL},
    {"index", list_index, {"self", "item", "start", "end"}, 2, NULL},
    {"count", list_count, {"self", "item"}, 2, NULL},
};
NATIVE_TABLE(flow_methods_list, list_rows);

static const FlowNative tuple_rows[] = {
    {"index", list_index, {"self", "item", "start", "end"}, 2, NULL},
    {"count", list_count, {"self", "item"}, 2, NULL},
};
NATIVE_TABLE(flow_methods_tuple, tuple_rows);

/* ---- dicts ---- */

static bool own_dict(FlowVm *vm, FlowVal self, const char *method, FlowDict **ret)
{
    if (self.type == V_DICT) {
        *ret = self.dict;
        return true;
    }
    return flow_vm__fail(
        vm, "'%s' would change the payload: work on a copy, {%% set copy = dict(data) %%}, or use | combine",
        method);
}

static bool method_get(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal value;
    bool found;
    if (!flow_val__lookup(vm, args[0], args[1], &value, &found))
        return false;
    *ret = found ? value : val_given(args[2]) ? args[2] : val_none();
    return true;
}

static bool view(FlowVm *vm, FlowVal self, FlowViewKind kind, FlowVal *ret)
{
    FlowView *made = flow_vm__alloc(vm, sizeof *made);
    if (made == NULL)
        return false;
    *made = (FlowView){kind, self};
    *ret = (FlowVal){.type = V_VIEW, .view = made};
    return true;
}

static bool method_keys(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return view(vm, args[0], VIEW_KEYS, ret);
}

static bool method_values(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return view(vm, args[0], VIEW_VALUES, ret);
}

static bool method_items(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return view(vm, args[0], VIEW_ITEMS, ret);
}

static bool dict_copy(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowDict *dict = flow_dict__new(vm, flow_mapping__count(args[0]));
    if (dict == NULL || !flow_dict__merge(vm, dict, args[0]))
        return false;
    *ret = val_dict(dict);
    return true;
}

static bool method_update(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    FlowDict *dict;
    if (!own_dict(vm, args->values[0], "update", &dict))
        return false;
    if (args->count > 2)
        return flow_vm__fail(vm, "update takes one dict, and named values");
    if (args->count == 2 && !flow_global__merge_into(vm, dict, args->values[1]))
        return false;
    for (size_t i = 0; i < args->named_count; i++) {
        if (!flow_dict__set(vm, dict, args->names[i], args->named[i]))
            return false;
    }
    *ret = val_none();
    return true;
}

static bool dict_pop(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowDict *dict;
    FlowVal value;
    bool found;
    if (!own_dict(vm, args[0], "pop", &dict) || !flow_dict__remove(vm, dict, args[1], &value, &found))
        return false;
    if (!found && !val_given(args[2]))
        return flow_vm__fail(vm, "pop: the dict has no such key; give a default: pop(key, none)");
    *ret = found ? value : args[2];
    return true;
}

static bool method_popitem(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowDict *dict;
    if (!own_dict(vm, args[0], "popitem", &dict))
        return false;
    for (size_t i = dict->used; i-- > 0;) {
        FlowDictEntry *entry = &dict->entries[i];
        if (entry->key.type == V_MISSING)
            continue;
        FlowVal pair[2] = {entry->key, entry->value};
        bool found;
        return flow_dict__remove(vm, dict, pair[0], &pair[1], &found) && flow_tuple__of(vm, ret, 2, pair);
    }
    return flow_vm__fail(vm, "popitem: the dict is empty");
}

static bool method_setdefault(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowDict *dict;
    FlowVal value;
    bool found;
    if (!own_dict(vm, args[0], "setdefault", &dict) ||
        !flow_val__lookup(vm, args[0], args[1], &value, &found))
        return false;
    if (!found) {
        value = val_given(args[2]) ? args[2] : val_none();
        if (!flow_dict__set(vm, dict, args[1], value))
            return false;
    }
    *ret = value;
    return true;
}

static bool dict_clear(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowDict *dict;
    if (!own_dict(vm, args[0], "clear", &dict))
        return false;
    *dict = (FlowDict){0};
    *ret = val_none();
    return true;
}

static const FlowNative dict_rows[] = {
    {"get", method_get, {"self", "key", "default"}, 2, NULL},
    {"keys", method_keys, {"self"}, 1, NULL},
    {"values", method_values, {"self"}, 1, NULL},
    {"items", method_items, {"self"}, 1, NULL},
    {"copy", dict_copy, {"self"}, 1, NULL},
    {"update", NULL, {"self"}, 1, method_update},
    {"pop", dict_pop, {"self", "key", "default"}, 2, NULL},
    {"popitem", method_popitem, {"self"}, 1, NULL},
    {"setdefault", method_setdefault, {"self", "key", "default"}, 2, NULL},
    {"clear", dict_clear, {"self"}, 1, NULL},
};
NATIVE_TABLE(flow_methods_dict, dict_rows);

/* ---- loop and cycler ---- */

static bool loop_cycle(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    if (args->count < 2 || args->named_count != 0)
        return flow_vm__fail(vm, "loop.cycle wants the values to cycle through");
    *ret = args->values[1 + (size_t)args->values[0].loop->index0 % (args->count - 1)];
    return true;
}

static bool loop_changed(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    FlowLoopState *loop = args->values[0].loop;
    FlowVal now;
    bool same = false;
    if (args->named_count != 0)
        return flow_vm__fail(vm, "loop.changed takes no named values");
    if (!flow_tuple__of(vm, &now, args->count - 1, args->values + 1) ||
        (val_given(loop->changed) && !flow_val__equal(vm, loop->changed, now, &same)))
        return false;
    if (!same)
        loop->changed = now;
    *ret = val_bool(!same);
    return true;
}

static const FlowNative loop_rows[] = {
    {"cycle", NULL, {"self"}, 1, loop_cycle},
    {"changed", NULL, {"self"}, 1, loop_changed},
};
NATIVE_TABLE(flow_methods_loop, loop_rows);

static bool cycler_next(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    (void)vm;
    FlowCycler *cycler = args[0].cycler;
    *ret = cycler->items.items[cycler->at];
    cycler->at = (cycler->at + 1) % cycler->items.count;
    return true;
}

static bool cycler_reset(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    (void)vm;
    args[0].cycler->at = 0;
    *ret = val_none();
    return true;
}

static const FlowNative cycler_rows[] = {
    {"next", cycler_next, {"self"}, 1, NULL},
    {"reset", cycler_reset, {"self"}, 1, NULL},
};
NATIVE_TABLE(flow_methods_cycler, cycler_rows);
