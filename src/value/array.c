#include "value/box.h"

static const FlowArrayBox empty = {.head = {.depth = 1, .size = FLOW_SIZE_CONTAINER}};

/* What an array without a box looks like. */
static const FlowArrayBox *box_of(FlowValue array)
{
    return array.tag == (FLOW_VALUE_ARRAY | FLOW_VALUE__BOXED) ? flow_array__box(array) : &empty;
}

static FlowValue boxed(FlowArrayBox *box)
{
    return flow_value__make((uintptr_t)box, 0, FLOW_VALUE_ARRAY | FLOW_VALUE__BOXED);
}

static FlowArrayBox *new_box(size_t capacity, FlowError *reterr)
{
    size_t bytes = flow_array__bytes(capacity);
    FlowArrayBox *box = flow_box__alloc(bytes);
    if (box == NULL) {
        flow_value__no_memory(bytes, reterr);
        return NULL;
    }
    box->head =
        (FlowContainer){.refs = 1, .capacity = (uint32_t)capacity, .depth = 1, .size = FLOW_SIZE_CONTAINER};
    return box;
}

static FlowArrayBox *copy(const FlowArrayBox *from, size_t capacity, FlowError *reterr)
{
    FlowArrayBox *box = new_box(capacity, reterr);
    if (box == NULL)
        return NULL;
    box->head.count = from->head.count;
    box->head.depth = from->head.depth;
    box->head.size = from->head.size;
    for (uint32_t i = 0; i < from->head.count; i++)
        box->items[i] = flow_value_ref(from->items[i]);
    return box;
}

static FlowArrayBox *grow(FlowValue *array, size_t capacity, FlowError *reterr)
{
    FlowArrayBox *box = flow_array__box(*array);
    size_t old = box->head.capacity;
    if (capacity <= old)
        return box;
    if (capacity < old + old / 2 + 4)
        capacity = old + old / 2 + 4;
    box = flow_box__resize(box, flow_array__bytes(old), flow_array__bytes(capacity));
    if (box == NULL) {
        flow_value__no_memory(flow_array__bytes(capacity), reterr);
        return NULL;
    }
    box->head.capacity = (uint32_t)capacity;
    array->box = box;
    return box;
}

FlowArrayBox *flow_array__own(FlowValue *array, size_t capacity, FlowError *reterr)
{
    if (flow_value_kind(*array) != FLOW_VALUE_ARRAY) {
        flow_value__wrong_kind(*array, FLOW_VALUE_ARRAY, reterr);
        return NULL;
    }
    if (capacity > FLOW_VALUE_MAX_SIZE / sizeof(FlowValue)) {
        flow_value__check_bounds(FLOW_VALUE_MAX_SIZE, 1, 0, reterr);
        return NULL;
    }
    const FlowArrayBox *old = box_of(*array);
    if (old != &empty && flow_box__is_mine(old))
        return grow(array, capacity, reterr);
    FlowArrayBox *box = copy(old, capacity > old->head.count ? capacity : old->head.count, reterr);
    if (box != NULL)
        flow_value_assign_take(array, boxed(box));
    return box;
}

void flow_array__settle_depth(FlowArrayBox *box, unsigned gone_depth)
{
    if (gone_depth == 0 || gone_depth + 1 < box->head.depth)
        return;
    unsigned deepest = 0;
    for (uint32_t i = 0; i < box->head.count && deepest < gone_depth; i++) {
        unsigned depth = flow_value__depth(box->items[i]);
        deepest = depth > deepest ? depth : deepest;
    }
    box->head.depth = deepest + 1;
}

FlowStatus flow_array_push_take(FlowValue *array, FlowValue item_take, FlowError *reterr)
{
    const FlowArrayBox *old = box_of(*array);
    unsigned depth = flow_value__depth(item_take);
    uint64_t size = flow_value__size(item_take);
    FlowStatus status = flow_value__check_bounds(old->head.size, size, depth, reterr);
    FlowArrayBox *box =
        status == FLOW_OK ? flow_array__own(array, (size_t)old->head.count + 1, reterr) : NULL;
    if (box == NULL) {
        flow_value_unref(item_take);
        return status != FLOW_OK                             ? status
               : flow_value_kind(*array) != FLOW_VALUE_ARRAY ? FLOW_INVALID_ARGUMENT
                                                             : FLOW_RESOURCE_EXHAUSTED;
    }
    box->items[box->head.count++] = item_take;
    box->head.size += size;
    if (depth + 1 > box->head.depth)
        box->head.depth = depth + 1;
    return FLOW_OK;
}

static FlowStatus no_such_item(size_t index, size_t count, FlowError *reterr)
{
    return flow_error_set(reterr, FLOW_OUT_OF_RANGE, "NO_SUCH_ITEM", NULL,
                          "there is no item %zu in an array of %zu", index, count);
}

FlowStatus flow_array_set_take(FlowValue *array, size_t index, FlowValue item_take, FlowError *reterr)
{
    size_t count = flow_array_count(*array);
    FlowStatus status = FLOW_OK;
    unsigned depth = flow_value__depth(item_take);
    uint64_t size = flow_value__size(item_take);
    FlowArrayBox *box = NULL;
    if (flow_value_kind(*array) != FLOW_VALUE_ARRAY)
        status = flow_value__wrong_kind(*array, FLOW_VALUE_ARRAY, reterr);
    else if (index >= count)
        status = no_such_item(index, count, reterr);
    else
        status = flow_value__check_bounds(
            box_of(*array)->head.size - flow_value__size(box_of(*array)->items[index]), size, depth, reterr);
    if (status == FLOW_OK) {
        box = flow_array__own(array, count, reterr);
        status = box != NULL ? FLOW_OK : FLOW_RESOURCE_EXHAUSTED;
    }
    if (status != FLOW_OK) {
        flow_value_unref(item_take);
        return status;
    }
    FlowValue gone = box->items[index];
    box->items[index] = item_take;
    box->head.size += size - flow_value__size(gone);
    flow_array__settle_depth(box, flow_value__depth(gone));
    if (depth + 1 > box->head.depth)
        box->head.depth = depth + 1;
    flow_value_unref(gone);
    return FLOW_OK;
}

FlowStatus flow_array_remove(FlowValue *array, size_t index, FlowError *reterr)
{
    size_t count = flow_array_count(*array);
    if (flow_value_kind(*array) != FLOW_VALUE_ARRAY)
        return flow_value__wrong_kind(*array, FLOW_VALUE_ARRAY, reterr);
    if (index >= count)
        return no_such_item(index, count, reterr);
    FlowArrayBox *box = flow_array__own(array, count, reterr);
    if (box == NULL)
        return FLOW_RESOURCE_EXHAUSTED;
    FlowValue gone = box->items[index];
    memmove(&box->items[index], &box->items[index + 1], (count - index - 1) * sizeof(FlowValue));
    box->head.count--;
    box->head.size -= flow_value__size(gone);
    flow_array__settle_depth(box, flow_value__depth(gone));
    flow_value_unref(gone);
    return FLOW_OK;
}

FlowStatus flow_array__adopt(const FlowValue *items, size_t count, FlowValue *ret_array, FlowError *reterr)
{
    if (count == 0) {
        *ret_array = flow_value_array();
        return FLOW_OK;
    }
    uint64_t size = FLOW_SIZE_CONTAINER;
    unsigned depth = 0;
    for (size_t i = 0; i < count; i++) {
        size += flow_value__size(items[i]);
        unsigned part = flow_value__depth(items[i]);
        depth = part > depth ? part : depth;
    }
    FlowStatus status = flow_value__check_bounds(size, 0, depth, reterr);
    if (status != FLOW_OK)
        return status;
    FlowArrayBox *box = new_box(count, reterr);
    if (box == NULL)
        return FLOW_RESOURCE_EXHAUSTED;
    memcpy(box->items, items, count * sizeof *items);
    box->head.count = (uint32_t)count;
    box->head.depth = depth + 1;
    box->head.size = size;
    *ret_array = boxed(box);
    return FLOW_OK;
}

FlowStatus flow_array_from_take(const FlowValue *items_take, size_t count, FlowValue *ret_array,
                                FlowError *reterr)
{
    FlowStatus status = flow_array__adopt(items_take, count, ret_array, reterr);
    for (size_t i = 0; status != FLOW_OK && i < count; i++)
        flow_value_unref(items_take[i]);
    return status;
}

FlowStatus flow_array_reserve(FlowValue *array, size_t count, FlowError *reterr)
{
    if (flow_array__own(array, count, reterr) != NULL)
        return FLOW_OK;
    return flow_value_kind(*array) != FLOW_VALUE_ARRAY ? FLOW_INVALID_ARGUMENT : FLOW_RESOURCE_EXHAUSTED;
}

size_t flow_array_count(FlowValue array)
{
    return box_of(array)->head.count;
}

const FlowValue *flow_array_at(FlowValue array, size_t index)
{
    const FlowArrayBox *box = box_of(array);
    return index < box->head.count ? &box->items[index] : NULL;
}

const FlowValue *flow_array_items(FlowValue array, size_t *ret_count)
{
    const FlowArrayBox *box = box_of(array);
    *ret_count = box->head.count;
    return box->head.count != 0 ? box->items : NULL;
}
