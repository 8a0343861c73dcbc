/* filters_list.c - filters over lists and dicts that give lists or one of their items. */
#include "base/utf8.h"
#include "template/natives.h"

static bool filter_length(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    size_t length;
    if (!flow_val__length(vm, args[0], &length))
        return false;
    *ret = val_int((int64_t)length);
    return true;
}

static bool filter_list(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list;
    if (!flow_list__from(vm, args[0], &list))
        return false;
    *ret = val_list(list);
    return true;
}

static bool filter_first(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowIter iter;
    FlowVal first;
    if (!flow_iter__begin(vm, &iter, args[0]))
        return false;
    if (flow_iter__next(vm, &iter, &first)) {
        *ret = first;
        return true;
    }
    return !vm->failed && flow_vm__undefined_hint(vm, "No first item, sequence was empty.", ret);
}

static bool filter_last(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal v = args[0];
    if (v.type == V_GENERATOR)
        return flow_vm__fail(
            vm, "filter 'last' can't go to the end of a generator; make it a list first with | list");
    int64_t length = flow_val__length_or_none(v);
    if (length == 0 && flow_val__is_iterable(v))
        return flow_vm__refuses(vm, v)
                   ? flow_vm__fail_undefined(vm, v)
                   : flow_vm__undefined_hint(vm, "No last item, sequence was empty.", ret);
    if (v.type == V_STRING || v.type == V_RANGE || val_is_list(v))
        return flow_val__item(vm, v, val_int(-1), ret);
    FlowList *list;
    if (!flow_list__from(vm, v, &list))
        return false;
    *ret = list->items[list->count - 1];
    return true;
}

/* The walk over a list that was computed as a whole: what Jinja gives as an iterator stays one. */
static bool as_generator(FlowVm *vm, FlowList *list, FlowVal *ret)
{
    FlowIter *iter = flow_vm__alloc(vm, sizeof *iter);
    if (iter == NULL || !flow_iter__begin(vm, iter, val_list(list)))
        return false;
    *ret = (FlowVal){.type = V_GENERATOR, .iter = iter};
    return true;
}

static bool reverse_string(FlowVm *vm, FlowVal text, FlowVal *ret)
{
    char *made = flow_vm__alloc_text(vm, text.len);
    if (made == NULL || !flow_vm__charge(vm, 1 + text.len / 16))
        return false;
    for (size_t i = 0, size; i < text.len; i += size) {
        flow_utf8_decode(text.s + i, text.len - i, &size);
        memcpy(made + text.len - i - size, text.s + i, size);
    }
    *ret = with_markup_of(val_string(made, text.len), text);
    return true;
}

static bool filter_reverse(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowList *list;
    if (args[0].type == V_STRING)
        return reverse_string(vm, args[0], ret);
    if (!flow_val__is_iterable(args[0]))
        return flow_vm__fail(vm, "filter 'reverse' wants something to loop over, not %s",
                             flow_val__type_name(args[0]));
    if (!flow_list__from(vm, args[0], &list))
        return false;
    for (size_t i = 0; i < list->count / 2; i++) {
        FlowVal other = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = other;
    }
    if (args[0].type != V_GENERATOR)
        return as_generator(vm, list, ret);
    *ret = val_list(list);
    return true;
}

/* ---- order ---- */

/* The keys to sort by: one per item, a list of them when `attribute` names several. */
static bool sort_key(FlowVm *vm, FlowVal item, FlowVal attribute, bool case_sensitive, FlowVal *ret)
{
    if (attribute.type != V_STRING || memchr(attribute.s, ',', attribute.len) == NULL) {
        return flow_val__attribute(vm, item, attribute, ret) &&
               (case_sensitive || flow_val__ignore_case(vm, *ret, ret));
    }
    FlowList *keys = flow_list__new(vm, 2);
    for (size_t begin = 0; keys != NULL && begin <= attribute.len;) {
        const char *comma = memchr(attribute.s + begin, ',', attribute.len - begin);
        size_t end = comma != NULL ? (size_t)(comma - attribute.s) : attribute.len;
        FlowVal key;
        if (!flow_val__attribute(vm, item, val_string(attribute.s + begin, end - begin), &key) ||
            (!case_sensitive && !flow_val__ignore_case(vm, key, &key)) || !flow_list__push(vm, keys, key))
            return false;
        begin = end + 1;
    }
    if (keys == NULL)
        return false;
    *ret = val_list(keys);
    return true;
}

static bool sorted(FlowVm *vm, FlowVal over, FlowVal attribute, bool case_sensitive, bool reverse,
                   FlowList **ret)
{
    FlowList *list;
    if (!flow_list__from(vm, over, &list))
        return false;
    FlowVal *keys = flow_vm__alloc(vm, (list->count + 1) * sizeof *keys);
    for (size_t i = 0; keys != NULL && i < list->count; i++) {
        if (!sort_key(vm, list->items[i], attribute, case_sensitive, &keys[i]))
            return false;
    }
    *ret = list;
    return keys != NULL && flow_sort(vm, list->items, keys, list->count,
                                     reverse ? SORT_AS_LISTS | SORT_REVERSE : SORT_AS_LISTS);
}

static bool filter_sort(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    bool reverse, case_sensitive;
    FlowList *list;
    if (!arg_flag(vm, args[1], "reverse", &reverse) || !arg_truth(vm, args[2], false, &case_sensitive) ||
        !sorted(vm, args[0], args[3], case_sensitive, reverse, &list))
        return false;
    *ret = val_list(list);
    return true;
}

static bool filter_dictsort(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    bool case_sensitive, reverse, by_value = false;
    FlowVal by = args[2], pair[2];
    if (val_given(by)) {
        by_value = by.type == V_STRING && by.len == 5 && memcmp(by.s, "value", 5) == 0;
        if (!by_value && !(by.type == V_STRING && by.len == 3 && memcmp(by.s, "key", 3) == 0))
            return flow_vm__fail(vm, "filter 'dictsort' sorts by either \"key\" or \"value\"");
    }
    if (!arg_truth(vm, args[1], false, &case_sensitive) || !arg_flag(vm, args[3], "reverse", &reverse))
        return false;
    if (args[0].type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, args[0]);
    if (!val_is_mapping(args[0]))
        return flow_vm__fail(vm, "filter 'dictsort' wants a dict, not %s", flow_val__type_name(args[0]));
    size_t count = flow_mapping__count(args[0]), at = 0;
    FlowList *list = flow_list__new(vm, count);
    FlowVal *keys = flow_vm__alloc(vm, (count + 1) * sizeof *keys);
    if (list == NULL || keys == NULL)
        return false;
    while (flow_mapping__next(args[0], &at, &pair[0], &pair[1])) {
        FlowVal *key = &keys[list->count];
        *key = pair[by_value];
        if ((!case_sensitive && !flow_val__ignore_case(vm, *key, key)) ||
            !flow_tuple__of(vm, &list->items[list->count], 2, pair) || !flow_vm__charge(vm, 1))
            return false;
        list->count++;
    }
    if (!flow_sort(vm, list->items, keys, list->count, reverse ? SORT_REVERSE : 0))
        return false;
    *ret = val_list(list);
    return true;
}

/* ---- groups ---- */

static bool group_key(FlowVm *vm, FlowVal item, FlowVal attribute, FlowVal otherwise, FlowVal *ret)
{
    if (arg_absent(otherwise))
        return flow_val__attribute(vm, item, attribute, ret);
    return flow_filter__attribute_or(vm, item, attribute, otherwise, ret);
}

static bool end_group(FlowVm *vm, FlowList *groups, FlowVal key, FlowList *items)
{
    FlowVal pair[2] = {key, val_list(items)}, group;
    if (!flow_tuple__of(vm, &group, 2, pair))
        return false;
    group.flags |= VAL_GROUP;
    return flow_list__push(vm, groups, group);
}

static bool filter_groupby(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    bool case_sensitive;
    FlowList *list, *groups = flow_list__new(vm, 0), *items = NULL;
    if (groups == NULL || !arg_truth(vm, args[3], false, &case_sensitive) ||
        !flow_list__from(vm, args[0], &list))
        return false;
    FlowVal *keys = flow_vm__alloc(vm, (list->count + 1) * sizeof *keys);
    if (keys == NULL)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        if (!group_key(vm, list->items[i], args[1], args[2], &keys[i]) ||
            (!case_sensitive && !flow_val__ignore_case(vm, keys[i], &keys[i])))
            return false;
    }
    if (!flow_sort(vm, list->items, keys, list->count, 0))
        return false;
    FlowVal key = val_missing(), shown = val_missing();
    for (size_t i = 0; i < list->count; i++) {
        FlowVal each, real;
        bool same = false;
        if (!group_key(vm, list->items[i], args[1], args[2], &real))
            return false;
        each = real;
        if ((!case_sensitive && !flow_val__ignore_case(vm, each, &each)) ||
            (items != NULL && !flow_val__equal(vm, key, each, &same)))
            return false;
        if (!same) {
            if (items != NULL && !end_group(vm, groups, shown, items))
                return false;
            items = flow_list__new(vm, 0);
            key = each;
            shown = real; /* as the first of the group is written */
        }
        if (items == NULL || !flow_list__push(vm, items, list->items[i]))
            return false;
    }
    if (items != NULL && !end_group(vm, groups, shown, items))
        return false;
    *ret = val_list(groups);
    return true;
}

static bool same_number(FlowVal count, size_t n)
{
    return (count.type == V_INT || count.type == V_BOOL) ? count.i >= 0 && (uint64_t)count.i == n
                                                         : count.type == V_FLOAT && count.f == (double)n;
}

static bool filter_batch(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowIter iter;
    FlowVal item;
    FlowList *batches = flow_list__new(vm, 0), *batch = flow_list__new(vm, 0);
    if (batches == NULL || batch == NULL || !flow_iter__begin(vm, &iter, args[0]))
        return false;
    while (flow_iter__next(vm, &iter, &item)) {
        if (same_number(args[1], batch->count)) {
            if (!flow_list__push(vm, batches, val_list(batch)))
                return false;
            batch = flow_list__new(vm, 0);
        }
        if (batch == NULL || !flow_list__push(vm, batch, item))
            return false;
    }
    if (vm->failed)
        return false;
    if (batch->count != 0) {
        int64_t size = 0;
        if (!arg_absent(args[2]) && !flow_arith__to_int(vm, args[1], "filter 'batch'", &size))
            return false;
        if (size > (int64_t)vm->limits.value_items)
            return flow_vm__limit(vm, "a batch of more than %zu items", vm->limits.value_items);
        while (!arg_absent(args[2]) && (int64_t)batch->count < size) {
            if (!flow_vm__charge(vm, 1) || !flow_list__push(vm, batch, args[2]))
                return false;
        }
        if (!flow_list__push(vm, batches, val_list(batch)))
            return false;
    }
    return as_generator(vm, batches, ret);
}

static bool filter_slice(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    int64_t slices;
    FlowList *list, *parts = flow_list__new(vm, 0);
    if (parts == NULL || !flow_list__from(vm, args[0], &list) ||
        !flow_arith__to_int(vm, args[1], "filter 'slice'", &slices))
        return false;
    if (slices == 0)
        return flow_vm__fail(vm, "filter 'slice': division by zero slices");
    if (slices > (int64_t)vm->limits.value_items)
        return flow_vm__limit(vm, "more than %zu slices", vm->limits.value_items);
    size_t at = 0;
    for (int64_t i = 0; i < slices; i++) {
        size_t per_slice = list->count / (size_t)slices, larger = list->count % (size_t)slices;
        size_t count = per_slice + ((size_t)i < larger);
        FlowList *part = flow_list__new(vm, count + 1);
        if (part == NULL || !flow_vm__charge(vm, 1 + count))
            return false;
        for (size_t k = 0; k < count; k++)
            part->items[part->count++] = list->items[at++];
        if (!arg_absent(args[2]) && (size_t)i >= larger)
            part->items[part->count++] = args[2];
        if (!flow_list__push(vm, parts, val_list(part)))
            return false;
    }
    return as_generator(vm, parts, ret);
}

static bool filter_items(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal v = args[0];
    FlowList *list;
    if (v.type == V_UNDEFINED) {
        if (flow_vm__refuses(vm, v))
            return flow_vm__fail_undefined(vm, v);
        list = flow_list__new(vm, 0);
        return list != NULL && as_generator(vm, list, ret);
    }
    if (!val_is_mapping(v))
        return flow_vm__fail(vm, "filter 'items' can only get item pairs from a dict, not %s",
                             flow_val__type_name(v));
    FlowView *view = flow_vm__alloc(vm, sizeof *view);
    if (view == NULL)
        return false;
    *view = (FlowView){VIEW_ITEMS, v};
    return flow_list__from(vm, (FlowVal){.type = V_VIEW, .view = view}, &list) && as_generator(vm, list, ret);
}

/* ---- smallest, largest ---- */

static bool extreme(FlowVm *vm, const FlowVal *args, bool largest, FlowVal *ret)
{
    FlowIter iter;
    FlowVal item, key, best = val_missing(), best_key = val_missing();
    bool case_sensitive, better;
    if (!arg_truth(vm, args[1], false, &case_sensitive) || !flow_iter__begin(vm, &iter, args[0]))
        return false;
    while (flow_iter__next(vm, &iter, &item)) {
        if (!flow_val__attribute(vm, item, args[2], &key) ||
            (!case_sensitive && !flow_val__ignore_case(vm, key, &key)))
            return false;
        if (val_given(best)) {
            if (!(largest ? flow_val__less(vm, best_key, key, &better)
                          : flow_val__less(vm, key, best_key, &better)))
                return false;
            if (!better)
                continue;
        }
        best = item;
        best_key = key;
    }
    if (vm->failed)
        return false;
    if (!val_given(best))
        return flow_vm__undefined_hint(vm, "No aggregated item, sequence was empty.", ret);
    *ret = best;
    return true;
}

static bool filter_min(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return extreme(vm, args, false, ret);
}

static bool filter_max(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return extreme(vm, args, true, ret);
}

static bool filter_sum(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowIter iter;
    FlowVal item, sum = val_given(args[2]) ? args[2] : val_int(0);
    if (sum.type == V_STRING)
        return flow_vm__fail(vm, "filter 'sum' can't join strings: use | join");
    if (!flow_iter__begin(vm, &iter, args[0]))
        return false;
    while (flow_iter__next(vm, &iter, &item)) {
        if ((!arg_absent(args[1]) && !flow_val__attribute(vm, item, args[1], &item)) ||
            !flow_arith__binary(vm, OP_ADD, sum, item, &sum))
            return false;
    }
    *ret = sum;
    return !vm->failed;
}

static const FlowNative rows[] = {
    {"length", filter_length, {"obj"}, 1, NULL},
    {"count", filter_length, {"obj"}, 1, NULL},
    {"list", filter_list, {"value"}, 1, NULL},
    {"first", filter_first, {"seq"}, 1, NULL},
    {"last", filter_last, {"seq"}, 1, NULL},
    {"reverse", filter_reverse, {"value"}, 1, NULL},
    {"sort", filter_sort, {"value", "reverse", "case_sensitive", "attribute"}, 1, NULL},
    {"dictsort", filter_dictsort, {"value", "case_sensitive", "by", "reverse"}, 1, NULL},
    {"groupby", filter_groupby, {"value", "attribute", "default", "case_sensitive"}, 2, NULL},
    {"batch", filter_batch, {"value", "linecount", "fill_with"}, 2, NULL},
    {"slice", filter_slice, {"value", "slices", "fill_with"}, 2, NULL},
    {"items", filter_items, {"value"}, 1, NULL},
    {"min", filter_min, {"value", "case_sensitive", "attribute"}, 1, NULL},
    {"max", filter_max, {"value", "case_sensitive", "attribute"}, 1, NULL},
    {"sum", filter_sum, {"iterable", "attribute", "start"}, 1, NULL},
};
NATIVE_TABLE(flow_filters_list, rows);
