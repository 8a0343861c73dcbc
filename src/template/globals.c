/* globals.c - the functions every template has (range, dict, namespace, cycler, joiner, now), and the lists of all
 * tables. */
#include "template/natives.h"

/* ---- global functions ---- */

static bool global_range(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    int64_t start = 0, stop, step = 1;
    if (!flow_arith__to_int(vm, args[val_given(args[1])], "range", &stop) ||
        (val_given(args[1]) && !flow_arith__to_int(vm, args[0], "range", &start)) ||
        (val_given(args[2]) && !flow_arith__to_int(vm, args[2], "range", &step)))
        return false;
    if (step == 0)
        return flow_vm__fail(vm, "the step of a range must not be zero");
    unsigned __int128 distance = step > 0 ? (stop > start ? (unsigned __int128)((__int128)stop - start) : 0)
                                          : (stop < start ? (unsigned __int128)((__int128)start - stop) : 0);
    unsigned __int128 size = step > 0 ? (unsigned __int128)step : (unsigned __int128)(-(__int128)step);
    unsigned __int128 count = distance == 0 ? 0 : (distance - 1) / size + 1;
    if (count > vm->limits.range_items)
        return flow_vm__limit(vm, "a range of more than %zu numbers", vm->limits.range_items);
    FlowRange *range = flow_vm__alloc(vm, sizeof *range);
    if (range == NULL)
        return false;
    *range = (FlowRange){start, stop, step, (uint64_t)count};
    *ret = (FlowVal){.type = V_RANGE, .range = range};
    return true;
}

/* Adds a mapping, or pairs. */
bool flow_global__merge_into(FlowVm *vm, FlowDict *dict, FlowVal from)
{
    FlowIter iter;
    FlowVal pair;
    FlowList *two;
    if (val_is_mapping(from))
        return flow_dict__merge(vm, dict, from);
    if (from.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, from);
    if (from.type == V_NAMESPACE)
        return flow_dict__merge(vm, dict, val_dict(from.dict));
    if (!flow_iter__begin(vm, &iter, from))
        return false;
    while (flow_iter__next(vm, &iter, &pair)) {
        if (!flow_val__is_iterable(pair) || !flow_list__from(vm, pair, &two) || two->count != 2)
            return flow_vm__fail(vm, "a dict is made of pairs of a key and a value");
        if (!flow_dict__set(vm, dict, two->items[0], two->items[1]))
            return false;
    }
    return !vm->failed;
}

static bool make_dict(FlowVm *vm, const FlowArgs *args, const char *what, FlowDict **ret)
{
    FlowDict *dict = flow_dict__new(vm, args->named_count);
    if (args->count > 1)
        return flow_vm__fail(vm, "%s takes one dict (or pairs), and named values", what);
    if (dict == NULL || (args->count == 1 && !flow_global__merge_into(vm, dict, args->values[0])))
        return false;
    for (size_t i = 0; i < args->named_count; i++) {
        if (!flow_dict__set(vm, dict, args->names[i], args->named[i]))
            return false;
    }
    *ret = dict;
    return true;
}

static bool global_dict(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    FlowDict *dict;
    if (!make_dict(vm, args, "dict()", &dict))
        return false;
    *ret = val_dict(dict);
    return true;
}

static bool global_namespace(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    FlowDict *dict;
    if (!make_dict(vm, args, "namespace()", &dict))
        return false;
    *ret = (FlowVal){.type = V_NAMESPACE, .dict = dict};
    return true;
}

static bool make_cycler(FlowVm *vm, const FlowVal *items, size_t count, FlowValType type, FlowVal *ret)
{
    FlowCycler *cycler = flow_vm__alloc(vm, sizeof *cycler + count * sizeof(FlowVal));
    if (cycler == NULL)
        return false;
    *cycler = (FlowCycler){.items = {(FlowVal *)(cycler + 1), count, count}};
    memcpy(cycler->items.items, items, count * sizeof *items);
    *ret = (FlowVal){.type = (uint8_t)type, .cycler = cycler};
    return true;
}

static bool global_cycler(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    if (args->count == 0 || args->named_count != 0)
        return flow_vm__fail(vm, "cycler() wants at least one item, and no named ones");
    return make_cycler(vm, args->values, args->count, V_CYCLER, ret);
}

static bool global_joiner(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal separator = val_given(args[0]) ? args[0] : VAL_LITERAL(", ");
    return make_cycler(vm, &separator, 1, V_JOINER, ret);
}

static const FlowNative functions[] = {
    {"range", global_range, {"start", "stop", "step"}, 1, NULL},
    {"dict", NULL, {NULL}, 0, global_dict},
    {"namespace", NULL, {NULL}, 0, global_namespace},
    {"cycler", NULL, {NULL}, 0, global_cycler},
    {"joiner", global_joiner, {"sep"}, 0, NULL},
};

const FlowNative *flow_global__find(const char *name, size_t len)
{
    static const FlowNativeTable table = {functions, FLOW_COUNT(functions)};
    if (len == 3 && memcmp(name, "now", 3) == 0)
        return &flow_global_now;
    return flow_native__find(&table, 1, name, len);
}

size_t flow_global__names(const char **names, size_t max)
{
    size_t count = 0;
    for (; count < FLOW_COUNT(functions) && count < max; count++)
        names[count] = functions[count].name;
    if (count < max)
        names[count++] = flow_global_now.name;
    return count;
}

/* ---- self ---- */

bool flow_self__block(FlowVm *vm, const char *name, size_t len, FlowVal *ret)
{
    const FlowTemplate *t = vm->tmpl;
    for (size_t i = 0; i < t->block_count; i++) {
        FlowVal known = t->keys[t->functions[t->block_functions[i]].name - 1].val;
        if (known.len == len && memcmp(known.s, name, len) == 0) {
            *ret = (FlowVal){.type = V_BLOCK, .len = (uint32_t)i};
            return true;
        }
    }
    return false;
}

/* ---- filters ---- */

static const FlowNativeTable *const filter_tables[] = {
    &flow_filters_string, &flow_filters_list,  &flow_filters_select,
    &flow_filters_number, &flow_filters_html,  &flow_filters_json,
    &flow_filters_host,   &flow_filters_regex, &flow_filters_datetime,
};

const FlowNative *flow_filter__find(const char *name, size_t len)
{
    const FlowNative *found = NULL;
    for (size_t i = 0; i < FLOW_COUNT(filter_tables) && found == NULL; i++)
        found = flow_native__find(filter_tables[i], 1, name, len);
    return found;
}

static size_t add_names(const FlowNativeTable *table, const char **names, size_t count, size_t max)
{
    for (size_t i = 0; i < table->count && count < max; i++)
        names[count++] = table->rows[i].name;
    return count;
}

size_t flow_filter__names(const char **names, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < FLOW_COUNT(filter_tables); i++)
        count = add_names(filter_tables[i], names, count, max);
    return count;
}

/* ---- methods ---- */

static const FlowNativeTable *const other_methods[] = {&flow_methods_loop, &flow_methods_cycler,
                                                       &flow_methods_datetime};

int flow_method__class(FlowVal self)
{
    switch (self.type) {
    case V_STRING:
        return METHODS_OF_STRING;
    case V_LIST:
    case V_TUPLE:
    case V_ARRAY:
        return METHODS_OF_LIST;
    case V_DICT:
    case V_OBJECT:
        return METHODS_OF_DICT;
    case V_LOOP:
    case V_CYCLER:
    case V_DATETIME:
        return METHODS_OF_OTHER;
    default:
        return -1;
    }
}

static const FlowNativeTable *methods_of(FlowVal self)
{
    switch (self.type) {
    case V_STRING:
        return &flow_methods_string;
    case V_LIST:
    case V_ARRAY:
        return &flow_methods_list;
    case V_TUPLE:
        return &flow_methods_tuple;
    case V_DICT:
    case V_OBJECT:
        return &flow_methods_dict;
    case V_LOOP:
        return &flow_methods_loop;
    case V_CYCLER:
        return &flow_methods_cycler;
    case V_DATETIME:
        return &flow_methods_datetime;
    default:
        return NULL;
    }
}

const FlowNative *flow_method__of_class(int class, const char *name, size_t len)
{
    static const FlowNativeTable *const tables[] = {[METHODS_OF_STRING] = &flow_methods_string,
                                                    [METHODS_OF_LIST] = &flow_methods_list,
                                                    [METHODS_OF_DICT] = &flow_methods_dict};
    if (class != METHODS_OF_OTHER)
        return flow_native__find(tables[class], 1, name, len);
    const FlowNative *found = NULL;
    for (size_t i = 0; i < FLOW_COUNT(other_methods) && found == NULL; i++)
        found = flow_native__find(other_methods[i], 1, name, len);
    return found;
}

const FlowNative *flow_method__find(FlowVal self, const char *name, size_t len)
{
    const FlowNativeTable *table = methods_of(self);
    return table != NULL ? flow_native__find(table, 1, name, len) : NULL;
}

size_t flow_method__names(FlowVal self, const char **names, size_t max)
{
    const FlowNativeTable *table = methods_of(self);
    return table != NULL ? add_names(table, names, 0, max) : 0;
}
