/*
 * box.h - what stands behind a boxed FlowValue; private to the value room.
 *
 * Every box begins with its reference count. While the count is 1, its only holder may change it in place; a
 * box that is shared never changes. Depth and size of a container are kept with every change, so asking for
 * them costs nothing and no value can be built beyond the bounds of value.h.
 */
#ifndef FLOW_VALUE_BOX_H
#define FLOW_VALUE_BOX_H

#include "value/value.h"

typedef struct FlowStringBox {
    uint32_t refs, unused;
    char text[]; /* FlowValue.length bytes, a NUL, and the rest of the padding */
} FlowStringBox;

/* So many bytes behind every string's text may be read (a short one is followed by its FlowValue's own
 * bytes). */
enum { FLOW_STRING_PADDING = 16 };

_Static_assert(sizeof(FlowStringBox) == FLOW_VALUE__STRING_HEADER,
               "flow_value_text() knows where the text begins");

/* What arrays and objects have in common; both begin with it. */
typedef struct FlowContainer {
    uint32_t refs, count, capacity;
    uint32_t depth;
    uint64_t size; /* as flow_value_size() */
} FlowContainer;

typedef struct FlowArrayBox {
    FlowContainer head;
    FlowValue items[]; /* head.capacity of them */
} FlowArrayBox;

/*
 * Where the members of a large object are found: open addressing, linear probing, at most 3/4 full. A slot is
 * 0 when free, else the upper half of the key's hash and, in its lower half, the member's position + 1.
 */
typedef struct FlowObjectIndex {
    uint32_t mask; /* slots - 1; the number of slots is a power of two */
    uint64_t slots[];
} FlowObjectIndex;

typedef struct FlowObjectBox {
    FlowContainer head;
    FlowObjectIndex *index; /* NULL below FLOW_OBJECT_INDEX_FROM members */
    FlowMember members[];   /* head.capacity of them */
} FlowObjectBox;

enum {
    /* What flow_value_size() counts for the value itself and for a box's head: fixed, so that sizes stay
       comparable. */
    FLOW_SIZE_VALUE = 16,
    FLOW_SIZE_STRING = 16,
    FLOW_SIZE_CONTAINER = 48
};

/* Memory for boxes; `size` must be the same when it is given back. NULL when there is none. */
void *flow_box__alloc(size_t size);
void flow_box__free(void *box, size_t size);
void *flow_box__resize(void *box, size_t old_size, size_t new_size);

static inline size_t flow_string__bytes(size_t length)
{
    return sizeof(FlowStringBox) + length + FLOW_STRING_PADDING;
}

static inline size_t flow_array__bytes(size_t capacity)
{
    return sizeof(FlowArrayBox) + capacity * sizeof(FlowValue);
}

static inline size_t flow_object__bytes(size_t capacity)
{
    return sizeof(FlowObjectBox) + capacity * sizeof(FlowMember);
}

/* Whether the caller's reference is the only one, so that the box may be changed in place. */
static inline bool flow_box__is_mine(const void *box)
{
    return __atomic_load_n((const uint32_t *)box, __ATOMIC_ACQUIRE) == 1;
}

static inline FlowArrayBox *flow_array__box(FlowValue array)
{
    return array.box;
}

static inline FlowObjectBox *flow_object__box(FlowValue object)
{
    return object.box;
}

static inline unsigned flow_value__depth(FlowValue value)
{
    if ((value.tag & 0x0f) < FLOW_VALUE_ARRAY)
        return 0;
    return value.tag & FLOW_VALUE__BOXED ? ((const FlowContainer *)value.box)->depth : 1;
}

static inline uint64_t flow_value__size(FlowValue value)
{
    if (!(value.tag & FLOW_VALUE__BOXED))
        return value.tag < FLOW_VALUE_ARRAY ? FLOW_SIZE_VALUE : FLOW_SIZE_CONTAINER;
    if (value.tag == (FLOW_VALUE_STRING | FLOW_VALUE__BOXED))
        return (uint64_t)FLOW_SIZE_VALUE + FLOW_SIZE_STRING + value.length;
    return ((const FlowContainer *)value.box)->size;
}

/* A string of at most FLOW_VALUE_SHORT_STRING bytes. */
static inline FlowValue flow_value__short_string(const char *text, size_t length)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    /* Overlapping loads instead of memcpy(), whose call costs more than all of this. */
    uint64_t first = 0, second = 0;
    if (length >= 8) {
        memcpy(&first, text, 8);
        if (length > 8) {
            memcpy(&second, text + length - 8, 8);
            second >>= 8 * (16 - length);
        }
    } else if (length >= 4) {
        uint32_t head, tail;
        memcpy(&head, text, 4);
        memcpy(&tail, text + length - 4, 4);
        first = head | (uint64_t)tail << (8 * (length - 4));
    } else if (length > 0) {
        first = (uint64_t)(unsigned char)text[0] |
                (uint64_t)(unsigned char)text[length / 2] << (8 * (length / 2)) |
                (uint64_t)(unsigned char)text[length - 1] << (8 * (length - 1));
    }
    second |= (uint64_t)FLOW_VALUE_STRING << 56 | (uint64_t)(FLOW_VALUE_SHORT_STRING - length) << 48;
    return (FlowValue){.word = {first, second}};
#else
    FlowValue value = {.word = {0, 0}};
    memcpy(value.text, text, length);
    value.text[14] = (char)(FLOW_VALUE_SHORT_STRING - length);
    value.tag = FLOW_VALUE_STRING;
    return value;
#endif
}

static inline bool flow_value__same_string(FlowValue a, FlowValue b)
{
    if (a.word[1] != b.word[1])
        return false;
    if (a.word[0] == b.word[0])
        return true;
    /* word[1] holds the length and says that both are boxed. */
    return a.tag & FLOW_VALUE__BOXED && memcmp(flow_value_text(&a), flow_value_text(&b), a.length) == 0;
}

/* An object that owns these members (not copied deeply, not counted again). *ret_twice >= 0: the key that
 * came twice. */
FlowStatus flow_object__adopt(const FlowMember *members, size_t count, FlowValue *ret_object,
                              int64_t *ret_twice, FlowError *reterr);
FlowStatus flow_array__adopt(const FlowValue *items, size_t count, FlowValue *ret_array, FlowError *reterr);
void flow_object__free_index(FlowObjectBox *box);

/* Position of a key, -1 when there is none. */
int64_t flow_object__find(const FlowObjectBox *box, const char *key, size_t key_length);
/* Makes the cell's box the caller's own, with room for `capacity`; NULL: the error is set and the cell
 * unchanged. */
FlowArrayBox *flow_array__own(FlowValue *array, size_t capacity, FlowError *reterr);
FlowObjectBox *flow_object__own(FlowValue *object, size_t capacity, FlowError *reterr);
/* To be called after a part was replaced or removed: the depth may have become smaller. */
void flow_array__settle_depth(FlowArrayBox *box, unsigned gone_depth);
void flow_object__settle_depth(FlowObjectBox *box, unsigned gone_depth);

/* FLOW_OK when a container of this size may take one more part of `added` bytes and `depth`. */
FlowStatus flow_value__check_bounds(uint64_t size, uint64_t added, unsigned depth, FlowError *reterr);
FlowStatus flow_value__wrong_kind(FlowValue value, FlowValueKind wanted, FlowError *reterr);
FlowStatus flow_value__no_memory(size_t bytes, FlowError *reterr);

#endif
