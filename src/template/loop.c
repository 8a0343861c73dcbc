/* loop.c - the state of a `for`, and what `loop` tells about it. */
#include <string.h>

#include "template/values.h"

static const char *const names[LOOP_FIELD_COUNT] = {
    [LOOP_INDEX] = "index",         [LOOP_INDEX0] = "index0",     [LOOP_REVINDEX] = "revindex",
    [LOOP_REVINDEX0] = "revindex0", [LOOP_FIRST] = "first",       [LOOP_LAST] = "last",
    [LOOP_LENGTH] = "length",       [LOOP_DEPTH] = "depth",       [LOOP_DEPTH0] = "depth0",
    [LOOP_PREVITEM] = "previtem",   [LOOP_NEXTITEM] = "nextitem",
};

int flow_loop__field(const char *name, size_t len)
{
    for (int i = 0; i < LOOP_FIELD_COUNT; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
            return i;
    }
    return -1;
}

bool flow_loop__begin(FlowVm *vm, FlowLoopState *loop, FlowVal over, bool extended)
{
    loop->index0 = -1;
    loop->extended = extended;
    loop->changed = val_missing();
    loop->depth0 = 0;
    loop->function = NULL;
    loop->outer = NULL;
    loop->length = 0;
    if (extended) {
        /* `loop` looks ahead and back, so what has no places by number becomes a list first. */
        if (!val_is_list(over) && over.type != V_RANGE) {
            FlowList *list;
            if (!flow_list__from(vm, over, &list))
                return false;
            over = val_list(list);
        }
        loop->items = over;
        loop->length = (size_t)flow_val__length_or_none(over);
    }
    return flow_iter__begin(vm, &loop->iter, over);
}

static bool neighbour(FlowVm *vm, const FlowLoopState *loop, int64_t index, const char *missing, FlowVal *ret)
{
    if (index < 0 || (uint64_t)index >= (uint64_t)flow_val__length_or_none(loop->items))
        return flow_vm__undefined_hint(vm, missing, ret);
    if (loop->items.type == V_RANGE)
        *ret = val_int(loop->items.range->start + index * loop->items.range->step);
    else
        *ret = flow_list__at(loop->items, (size_t)index);
    return true;
}

bool flow_loop__get(FlowVm *vm, const FlowLoopState *loop, FlowLoopField field, FlowVal *ret)
{
    int64_t length = (int64_t)loop->length;
    switch (field) {
    case LOOP_INDEX:
        *ret = val_int(loop->index0 + 1);
        break;
    case LOOP_INDEX0:
        *ret = val_int(loop->index0);
        break;
    case LOOP_REVINDEX:
        *ret = val_int(length - loop->index0);
        break;
    case LOOP_REVINDEX0:
        *ret = val_int(length - loop->index0 - 1);
        break;
    case LOOP_FIRST:
        *ret = val_bool(loop->index0 == 0);
        break;
    case LOOP_LAST:
        *ret = val_bool(loop->index0 + 1 >= flow_val__length_or_none(loop->items));
        break;
    case LOOP_LENGTH:
        *ret = val_int(length);
        break;
    case LOOP_DEPTH:
        *ret = val_int(loop->depth0 + 1);
        break;
    case LOOP_DEPTH0:
        *ret = val_int(loop->depth0);
        break;
    case LOOP_PREVITEM:
        return neighbour(vm, loop, loop->index0 - 1, "there is no previous item", ret);
    default:
        return neighbour(vm, loop, loop->index0 + 1, "there is no next item", ret);
    }
    return true;
}
