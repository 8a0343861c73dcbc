/* iter.c - length, and walking over anything that can be walked. Every step is paid for. */
#include "base/utf8.h"
#include "template/values.h"

enum { GENERATORS_INSIDE = 64 };

int64_t flow_val__length_or_none(FlowVal v)
{
    switch (v.type) {
    case V_STRING:
        return (int64_t)flow_val__length_of_string(v);
    case V_LIST:
    case V_TUPLE:
        return (int64_t)v.list->count;
    case V_DICT:
        return (int64_t)v.dict->count;
    case V_ARRAY:
        return (int64_t)flow_array_count(*v.json);
    case V_OBJECT:
        return (int64_t)flow_object_count(*v.json);
    case V_RANGE:
        return (int64_t)v.range->count;
    case V_VIEW:
        return (int64_t)flow_mapping__count(v.view->owner);
    case V_UNDEFINED:
        return 0;
    case V_LOOP:
        return (int64_t)v.loop->length;
    default:
        return -1;
    }
}

bool flow_val__length(FlowVm *vm, FlowVal v, size_t *ret)
{
    if (flow_vm__refuses(vm, v))
        return flow_vm__fail_undefined(vm, v);
    int64_t length = flow_val__length_or_none(v);
    if (length < 0)
        return flow_vm__fail(vm, "%s has no length%s", flow_val__type_name(v),
                             v.type == V_GENERATOR ? "; make it a list first with | list" : "");
    *ret = (size_t)length;
    return flow_vm__charge(vm, v.type == V_STRING ? 1 + v.len / 256 : 1);
}

bool flow_val__is_iterable(FlowVal v)
{
    switch (v.type) {
    case V_UNDEFINED:
    case V_STRING:
    case V_LIST:
    case V_TUPLE:
    case V_DICT:
    case V_ARRAY:
    case V_OBJECT:
    case V_RANGE:
    case V_VIEW:
    case V_GENERATOR:
        return true;
    default:
        return false;
    }
}

/* ---- one walker per kind ---- */

static bool next_of_none(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    (void)vm;
    (void)iter;
    (void)ret;
    return false;
}

/* The count is read anew each time: the body of a loop may append. */
static bool next_of_list(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    if (iter->at >= iter->over.list->count || !flow_vm__charge(vm, 1))
        return false;
    *ret = iter->over.list->items[iter->at++];
    return true;
}

static bool next_of_array(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    if (iter->at >= iter->over.len || !flow_vm__charge(vm, 1))
        return false;
    *ret = flow_val__from_json(&iter->items[iter->at++]);
    return true;
}

static bool next_of_mapping(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    FlowVal value;
    return flow_mapping__next(iter->over, &iter->at, ret, &value) && flow_vm__charge(vm, 1);
}

static bool next_of_view(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    FlowVal pair[2];
    if (!flow_mapping__next(iter->over.view->owner, &iter->at, &pair[0], &pair[1]) || !flow_vm__charge(vm, 1))
        return false;
    if (iter->over.view->kind == VIEW_ITEMS)
        return flow_tuple__of(vm, ret, 2, pair);
    *ret = pair[iter->over.view->kind == VIEW_VALUES];
    return true;
}

static bool next_of_string(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    if (iter->at >= iter->over.len || !flow_vm__charge(vm, 1))
        return false;
    const char *text = iter->over.s + iter->at;
    size_t size;
    flow_utf8_decode(text, iter->over.len - iter->at, &size);
    *ret = val_string(text, size);
    ret->flags = size == 1 ? VAL_ASCII : 0;
    iter->at += size;
    return true;
}

static bool next_of_range(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    const FlowRange *range = iter->over.range;
    if (iter->at >= range->count || !flow_vm__charge(vm, 1))
        return false;
    *ret = val_int(range->start + (int64_t)iter->at++ * range->step);
    return true;
}

static bool next_of_generator(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    return iter->inner->next(vm, iter->inner, ret);
}

bool flow_iter__begin(FlowVm *vm, FlowIter *iter, FlowVal v)
{
    iter->over = v;
    iter->at = 0;
    iter->count = 0;
    iter->depth = 0;
    switch (v.type) {
    case V_LIST:
    case V_TUPLE:
        iter->next = next_of_list;
        return true;
    case V_ARRAY: {
        size_t count;
        iter->items = flow_array_items(*v.json, &count);
        iter->over.len = (uint32_t)count;
        iter->next = next_of_array;
        return true;
    }
    case V_DICT:
    case V_OBJECT:
        iter->next = next_of_mapping;
        return true;
    case V_VIEW:
        iter->next = next_of_view;
        return true;
    case V_STRING:
        iter->next = next_of_string;
        return true;
    case V_RANGE:
        iter->next = next_of_range;
        return true;
    case V_GENERATOR:
        iter->next = next_of_generator;
        iter->inner = v.iter;
        iter->depth = v.iter->depth;
        return true;
    case V_UNDEFINED:
        iter->next = next_of_none;
        return !flow_vm__refuses(vm, v) || flow_vm__fail_undefined(vm, v);
    default:
        return flow_vm__fail(vm, "%s can't be looped over: it is no list, dict or string",
                             flow_val__type_name(v));
    }
}

FlowIter *flow_iter__generator(FlowVm *vm, size_t size, FlowVal over,
                               bool (*next)(FlowVm *vm, FlowIter *iter, FlowVal *ret))
{
    FlowIter *generator = flow_vm__alloc(vm, size);
    FlowIter *inner = flow_vm__alloc(vm, sizeof *inner);
    if (generator == NULL || inner == NULL || !flow_iter__begin(vm, inner, over))
        return NULL;
    if (inner->depth >= GENERATORS_INSIDE) {
        flow_vm__limit(vm, "more than %d filters over generators in a row: put | list between them",
                       GENERATORS_INSIDE);
        return NULL;
    }
    *generator = (FlowIter){.next = next, .inner = inner, .depth = inner->depth + 1};
    return generator;
}
