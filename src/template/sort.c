/* sort.c - a stable merge sort that may fail in the middle: the comparison of two values can. */
#include <string.h>

#include "template/values.h"

typedef struct Pair {
    FlowVal key, item;
} Pair;

/* Is b's place before a's? Equal keys keep their order, in reverse too. */
static bool before(FlowVm *vm, const Pair *b, const Pair *a, unsigned how, bool *ret)
{
    bool usual =
        (val_is_number(a->key) && val_is_number(b->key)) || (val_is_string(a->key) && val_is_string(b->key));
    if ((how & SORT_AS_LISTS) && !usual) {
        bool same;
        if (!flow_val__equal(vm, a->key, b->key, &same))
            return false;
        if (same) {
            *ret = false;
            return true;
        }
    }
    return how & SORT_REVERSE ? flow_val__less(vm, a->key, b->key, ret)
                              : flow_val__less(vm, b->key, a->key, ret);
}

static bool merge(FlowVm *vm, const Pair *from, Pair *to, size_t low, size_t middle, size_t high,
                  unsigned how)
{
    size_t left = low, right = middle;
    for (size_t i = low; i < high; i++) {
        bool take_right = left >= middle;
        if (left < middle && right < high && !before(vm, &from[right], &from[left], how, &take_right))
            return false;
        to[i] = take_right ? from[right++] : from[left++];
    }
    return true;
}

bool flow_sort(FlowVm *vm, FlowVal *items, FlowVal *keys, size_t count, unsigned how)
{
    if (count < 2)
        return true;
    Pair *a = flow_vm__alloc(vm, count * sizeof *a), *b = flow_vm__alloc(vm, count * sizeof *b);
    if (a == NULL || b == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        a[i] = (Pair){keys[i], items[i]};
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t middle = low + width < count ? low + width : count;
            size_t high = low + 2 * width < count ? low + 2 * width : count;
            if (!merge(vm, a, b, low, middle, high, how))
                return false;
        }
        Pair *other = a;
        a = b;
        b = other;
    }
    for (size_t i = 0; i < count; i++)
        items[i] = a[i].item;
    return true;
}
