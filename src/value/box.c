#include "value/box.h"

#include <stdlib.h>

#include "base/mem.h"

void *flow_box__alloc(size_t size)
{
    return flow_try_malloc(size);
}

void flow_box__free(void *box, size_t size)
{
    (void)size;
    free(box);
}

void *flow_box__resize(void *box, size_t old_size, size_t new_size)
{
    (void)old_size;
    return flow_try_realloc_array(box, new_size, 1);
}

/* Recursion: as deep as the value, which is at most FLOW_VALUE_MAX_DEPTH. */
static void destroy(FlowValue value)
{
    switch (flow_value_kind(value)) {
    case FLOW_VALUE_STRING:
        flow_box__free(value.box, flow_string__bytes(value.length));
        break;
    case FLOW_VALUE_ARRAY: {
        FlowArrayBox *box = flow_array__box(value);
        for (uint32_t i = 0; i < box->head.count; i++)
            flow_value_unref(box->items[i]);
        flow_box__free(box, flow_array__bytes(box->head.capacity));
        break;
    }
    case FLOW_VALUE_OBJECT: {
        FlowObjectBox *box = flow_object__box(value);
        for (uint32_t i = 0; i < box->head.count; i++) {
            flow_value_unref(box->members[i].key);
            flow_value_unref(box->members[i].value);
        }
        flow_object__free_index(box);
        flow_box__free(box, flow_object__bytes(box->head.capacity));
        break;
    }
    default:
        break;
    }
}

void flow_value__unref_box(FlowValue value)
{
    uint32_t *refs = value.box;
    /* The only holder needs no locked instruction: nobody else can take a reference meanwhile. */
    if (__atomic_load_n(refs, __ATOMIC_ACQUIRE) == 1 || __atomic_sub_fetch(refs, 1, __ATOMIC_ACQ_REL) == 0)
        destroy(value);
}

FlowStatus flow_value__check_bounds(uint64_t size, uint64_t added, unsigned depth, FlowError *reterr)
{
    if (depth >= FLOW_VALUE_MAX_DEPTH)
        return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "VALUE_TOO_DEEP", NULL,
                              "the value would be nested deeper than %d levels; flatten it",
                              FLOW_VALUE_MAX_DEPTH);
    if (size + added > FLOW_VALUE_MAX_SIZE)
        return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "VALUE_TOO_LARGE", NULL,
                              "the value would be larger than %d MiB; split it", FLOW_VALUE_MAX_SIZE >> 20);
    return FLOW_OK;
}

FlowStatus flow_value__wrong_kind(FlowValue value, FlowValueKind wanted, FlowError *reterr)
{
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "WRONG_KIND", NULL,
                          "the kind must be %s, this is %s", flow_value_kind_name(wanted),
                          flow_value_kind_name(flow_value_kind(value)));
}

FlowStatus flow_value__no_memory(size_t bytes, FlowError *reterr)
{
    return flow_error_no_memory(reterr, "value", bytes);
}
