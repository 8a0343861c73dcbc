#include "value/box.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static const FlowObjectBox empty = {.head = {.depth = 1, .size = FLOW_SIZE_CONTAINER}};

static const FlowObjectBox *box_of(FlowValue object)
{
    return object.tag == (FLOW_VALUE_OBJECT | FLOW_VALUE__BOXED) ? flow_object__box(object) : &empty;
}

static FlowValue boxed(FlowObjectBox *box)
{
    return flow_value__make((uintptr_t)box, 0, FLOW_VALUE_OBJECT | FLOW_VALUE__BOXED);
}

/* ---- the index of large objects ---- */

static uint64_t slot_of(uint64_t hash, size_t position)
{
    return (hash & 0xffffffff00000000) | (position + 1);
}

static size_t index_bytes(uint32_t mask)
{
    return sizeof(FlowObjectIndex) + ((size_t)mask + 1) * sizeof(uint64_t);
}

/* An index with room for `count` members. */
static FlowObjectIndex *new_index(size_t count, FlowError *reterr)
{
    size_t slots = 32;
    while (slots * 3 / 4 < count)
        slots *= 2;
    FlowObjectIndex *index = flow_try_calloc(1, index_bytes((uint32_t)(slots - 1)));
    if (index == NULL)
        flow_value__no_memory(slots * sizeof(uint64_t), reterr);
    else
        index->mask = (uint32_t)(slots - 1);
    return index;
}

static void index_put(FlowObjectIndex *index, uint64_t slot)
{
    uint32_t at = (uint32_t)(slot >> 32) & index->mask;
    while (index->slots[at] != 0)
        at = (at + 1) & index->mask;
    index->slots[at] = slot;
}

static uint64_t hash_of(FlowValue key)
{
    return flow_hash_bytes(flow_value_text(&key), flow_value_length(&key));
}

static FlowObjectIndex *index_members(const FlowMember *members, size_t count, size_t room, FlowError *reterr)
{
    FlowObjectIndex *index = new_index(room, reterr);
    for (size_t i = 0; index != NULL && i < count; i++)
        index_put(index, slot_of(hash_of(members[i].key), i));
    return index;
}

/* Room for one member more. */
static bool index_grow(FlowObjectBox *box, FlowError *reterr)
{
    size_t count = (size_t)box->head.count + 1;
    if (box->index == NULL) {
        if (count < FLOW_OBJECT_INDEX_FROM)
            return true;
        box->index = index_members(box->members, count - 1, count, reterr);
        return box->index != NULL;
    }
    if (count * 4 <= ((size_t)box->index->mask + 1) * 3)
        return true;
    FlowObjectIndex *larger = new_index(count, reterr);
    if (larger == NULL)
        return false;
    for (size_t i = 0; i <= box->index->mask; i++) {
        if (box->index->slots[i] != 0)
            index_put(larger, box->index->slots[i]);
    }
    free(box->index);
    box->index = larger;
    return true;
}

/* After the member at `gone` was taken out: those behind it moved up by one. */
static void index_remove(FlowObjectIndex *index, size_t gone)
{
    uint64_t mask = index->mask;
    size_t hole = 0;
    for (size_t i = 0; i <= mask; i++) {
        uint32_t position = (uint32_t)index->slots[i];
        if (position == gone + 1)
            hole = i;
        else if (position > gone + 1)
            index->slots[i]--;
    }
    /* Close the hole: move back what was pushed beyond it by a collision. */
    for (size_t i = (hole + 1) & mask; index->slots[i] != 0; i = (i + 1) & mask) {
        size_t home = (index->slots[i] >> 32) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            index->slots[hole] = index->slots[i];
            hole = i;
        }
    }
    index->slots[hole] = 0;
}

void flow_object__free_index(FlowObjectBox *box)
{
    free(box->index);
}

/* ---- finding ---- */

static bool is_key(FlowValue key, const char *text, size_t length)
{
    return flow_value_length(&key) == length && memcmp(flow_value_text(&key), text, length) == 0;
}

static int64_t find_hashed(const FlowObjectBox *box, const char *key, size_t key_length, uint64_t hash)
{
    const FlowObjectIndex *index = box->index;
    for (uint32_t at = (uint32_t)(hash >> 32) & index->mask; index->slots[at] != 0;
         at = (at + 1) & index->mask) {
        uint64_t slot = index->slots[at];
        uint32_t position = (uint32_t)slot - 1;
        if ((slot ^ hash) >> 32 == 0 && is_key(box->members[position].key, key, key_length))
            return position;
    }
    return -1;
}

static int64_t find_linear(const FlowObjectBox *box, const char *key, size_t key_length)
{
    uint32_t count = box->head.count;
    if (key_length > FLOW_VALUE_SHORT_STRING) {
        for (uint32_t i = 0; i < count; i++) {
            if (is_key(box->members[i].key, key, key_length))
                return i;
        }
        return -1;
    }
    FlowValue wanted = flow_value__short_string(key, key_length);
    for (uint32_t i = 0; i < count; i++) {
        if (box->members[i].key.word[0] == wanted.word[0] && box->members[i].key.word[1] == wanted.word[1])
            return i;
    }
    return -1;
}

int64_t flow_object__find(const FlowObjectBox *box, const char *key, size_t key_length)
{
    if (box->index != NULL)
        return find_hashed(box, key, key_length, flow_hash_bytes(key, key_length));
    return find_linear(box, key, key_length);
}

const FlowValue *flow_object_getn(FlowValue object, const char *key, size_t key_length)
{
    const FlowObjectBox *box = box_of(object);
    int64_t position = flow_object__find(box, key, key_length);
    return position >= 0 ? &box->members[position].value : NULL;
}

const FlowValue *flow_object_get_key(FlowValue object, FlowValue key)
{
    if (flow_value_kind(key) != FLOW_VALUE_STRING)
        return NULL;
    return flow_object_getn(object, flow_value_text(&key), flow_value_length(&key));
}

size_t flow_object_count(FlowValue object)
{
    return box_of(object)->head.count;
}

const FlowMember *flow_object_members(FlowValue object, size_t *ret_count)
{
    const FlowObjectBox *box = box_of(object);
    *ret_count = box->head.count;
    return box->head.count != 0 ? box->members : NULL;
}

/* ---- changing ---- */

static FlowObjectBox *new_box(size_t capacity, FlowError *reterr)
{
    size_t bytes = flow_object__bytes(capacity);
    FlowObjectBox *box = flow_box__alloc(bytes);
    if (box == NULL) {
        flow_value__no_memory(bytes, reterr);
        return NULL;
    }
    box->head =
        (FlowContainer){.refs = 1, .capacity = (uint32_t)capacity, .depth = 1, .size = FLOW_SIZE_CONTAINER};
    box->index = NULL;
    return box;
}

static FlowObjectBox *copy(const FlowObjectBox *from, size_t capacity, FlowError *reterr)
{
    FlowObjectBox *box = new_box(capacity, reterr);
    if (box == NULL)
        return NULL;
    if (from->index != NULL) {
        size_t bytes = index_bytes(from->index->mask);
        box->index = flow_try_malloc(bytes);
        if (box->index == NULL) {
            flow_value__no_memory(bytes, reterr);
            flow_box__free(box, flow_object__bytes(capacity));
            return NULL;
        }
        memcpy(box->index, from->index, bytes);
    }
    box->head.count = from->head.count;
    box->head.depth = from->head.depth;
    box->head.size = from->head.size;
    for (uint32_t i = 0; i < from->head.count; i++) {
        box->members[i].key = flow_value_ref(from->members[i].key);
        box->members[i].value = flow_value_ref(from->members[i].value);
    }
    return box;
}

static FlowObjectBox *grow(FlowValue *object, size_t capacity, FlowError *reterr)
{
    FlowObjectBox *box = flow_object__box(*object);
    size_t old = box->head.capacity;
    if (capacity <= old)
        return box;
    if (capacity < old + old / 2 + 3)
        capacity = old + old / 2 + 3;
    box = flow_box__resize(box, flow_object__bytes(old), flow_object__bytes(capacity));
    if (box == NULL) {
        flow_value__no_memory(flow_object__bytes(capacity), reterr);
        return NULL;
    }
    box->head.capacity = (uint32_t)capacity;
    object->box = box;
    return box;
}

FlowObjectBox *flow_object__own(FlowValue *object, size_t capacity, FlowError *reterr)
{
    if (flow_value_kind(*object) != FLOW_VALUE_OBJECT) {
        flow_value__wrong_kind(*object, FLOW_VALUE_OBJECT, reterr);
        return NULL;
    }
    if (capacity > FLOW_VALUE_MAX_SIZE / sizeof(FlowMember)) {
        flow_value__check_bounds(FLOW_VALUE_MAX_SIZE, 1, 0, reterr);
        return NULL;
    }
    const FlowObjectBox *old = box_of(*object);
    if (old != &empty && flow_box__is_mine(old))
        return grow(object, capacity, reterr);
    FlowObjectBox *box = copy(old, capacity > old->head.count ? capacity : old->head.count, reterr);
    if (box != NULL)
        flow_value_assign_take(object, boxed(box));
    return box;
}

void flow_object__settle_depth(FlowObjectBox *box, unsigned gone_depth)
{
    if (gone_depth == 0 || gone_depth + 1 < box->head.depth)
        return;
    unsigned deepest = 0;
    for (uint32_t i = 0; i < box->head.count && deepest < gone_depth; i++) {
        unsigned depth = flow_value__depth(box->members[i].value);
        deepest = depth > deepest ? depth : deepest;
    }
    box->head.depth = deepest + 1;
}

static FlowStatus replace_take(FlowValue *object, size_t position, FlowValue value_take, FlowError *reterr)
{
    const FlowObjectBox *old = box_of(*object);
    unsigned depth = flow_value__depth(value_take);
    uint64_t size = flow_value__size(value_take);
    FlowStatus status = flow_value__check_bounds(
        old->head.size - flow_value__size(old->members[position].value), size, depth, reterr);
    FlowObjectBox *box = NULL;
    if (status == FLOW_OK) {
        box = flow_object__own(object, old->head.count, reterr);
        status = box != NULL ? FLOW_OK : FLOW_RESOURCE_EXHAUSTED;
    }
    if (status != FLOW_OK) {
        flow_value_unref(value_take);
        return status;
    }
    FlowValue gone = box->members[position].value;
    box->members[position].value = value_take;
    box->head.size += size - flow_value__size(gone);
    flow_object__settle_depth(box, flow_value__depth(gone));
    if (depth + 1 > box->head.depth)
        box->head.depth = depth + 1;
    flow_value_unref(gone);
    return FLOW_OK;
}

/* The key must not be there yet. */
static FlowStatus append_take(FlowValue *object, FlowValue key_take, FlowValue value_take, FlowError *reterr)
{
    const FlowObjectBox *old = box_of(*object);
    unsigned depth = flow_value__depth(value_take);
    uint64_t size = flow_value__size(key_take) + flow_value__size(value_take);
    FlowStatus status = flow_value__check_bounds(old->head.size, size, depth, reterr);
    if (status == FLOW_OK) {
        FlowObjectBox *box = flow_object__own(object, (size_t)old->head.count + 1, reterr);
        if (box != NULL && index_grow(box, reterr)) {
            if (box->index != NULL)
                index_put(box->index, slot_of(hash_of(key_take), box->head.count));
            box->members[box->head.count++] = (FlowMember){key_take, value_take};
            box->head.size += size;
            if (depth + 1 > box->head.depth)
                box->head.depth = depth + 1;
            return FLOW_OK;
        }
        status = FLOW_RESOURCE_EXHAUSTED;
    }
    flow_value_unref(key_take);
    flow_value_unref(value_take);
    return status;
}

FlowStatus flow_object_setn_take(FlowValue *object, const char *key, size_t key_length, FlowValue value_take,
                                 FlowError *reterr)
{
    FlowStatus status;
    FlowValue made;
    if (flow_value_kind(*object) != FLOW_VALUE_OBJECT) {
        flow_value_unref(value_take);
        return flow_value__wrong_kind(*object, FLOW_VALUE_OBJECT, reterr);
    }
    int64_t position = flow_object__find(box_of(*object), key, key_length);
    if (position >= 0)
        return replace_take(object, (size_t)position, value_take, reterr);
    status = flow_value_try_string(key, key_length, &made, reterr);
    if (status == FLOW_OK)
        return append_take(object, made, value_take, reterr);
    flow_value_unref(value_take);
    return status;
}

FlowStatus flow_object_set_key_take(FlowValue *object, FlowValue key, FlowValue value_take, FlowError *reterr)
{
    FlowValueKind wrong =
        flow_value_kind(*object) != FLOW_VALUE_OBJECT ? FLOW_VALUE_OBJECT : FLOW_VALUE_STRING;
    if (wrong == FLOW_VALUE_OBJECT || flow_value_kind(key) != FLOW_VALUE_STRING) {
        flow_value_unref(value_take);
        return flow_value__wrong_kind(wrong == FLOW_VALUE_OBJECT ? *object : key, wrong, reterr);
    }
    int64_t position = flow_object__find(box_of(*object), flow_value_text(&key), flow_value_length(&key));
    if (position >= 0)
        return replace_take(object, (size_t)position, value_take, reterr);
    return append_take(object, flow_value_ref(key), value_take, reterr);
}

FlowStatus flow_object_add_unique_take(FlowValue *object, FlowValue key, FlowValue value_take,
                                       FlowValue *ret_key, FlowError *reterr)
{
    if (flow_value_kind(*object) != FLOW_VALUE_OBJECT || flow_value_kind(key) != FLOW_VALUE_STRING) {
        bool wrong_key = flow_value_kind(*object) == FLOW_VALUE_OBJECT;
        flow_value_unref(value_take);
        return flow_value__wrong_kind(wrong_key ? key : *object,
                                      wrong_key ? FLOW_VALUE_STRING : FLOW_VALUE_OBJECT, reterr);
    }
    FlowValue unique = flow_value_ref(key);
    FlowStatus status = FLOW_OK;
    for (unsigned n = 2; status == FLOW_OK && flow_object_get_key(*object, unique) != NULL; n++) {
        char suffix[16], *text;
        size_t length = flow_value_length(&key), more = (size_t)snprintf(suffix, sizeof suffix, "_%u", n);
        FlowValue next;
        status = flow_value_try_blank_string(length + more, &next, &text, reterr);
        if (status != FLOW_OK)
            break;
        memcpy(text, flow_value_text(&key), length);
        memcpy(text + length, suffix, more);
        flow_value_assign_take(&unique, next);
    }
    if (status == FLOW_OK)
        status = append_take(object, flow_value_ref(unique), value_take, reterr);
    else
        flow_value_unref(value_take);
    if (status == FLOW_OK && ret_key != NULL)
        *ret_key = unique;
    else
        flow_value_unref(unique);
    return status;
}

FlowStatus flow_object_removen(FlowValue *object, const char *key, size_t key_length, FlowError *reterr)
{
    if (flow_value_kind(*object) != FLOW_VALUE_OBJECT)
        return flow_value__wrong_kind(*object, FLOW_VALUE_OBJECT, reterr);
    int64_t position = flow_object__find(box_of(*object), key, key_length);
    if (position < 0)
        return FLOW_OK;
    FlowObjectBox *box = flow_object__own(object, 0, reterr);
    if (box == NULL)
        return FLOW_RESOURCE_EXHAUSTED;
    FlowMember *member = &box->members[position], gone = *member;
    memmove(member, member + 1, (box->head.count - (size_t)position - 1) * sizeof *member);
    box->head.count--;
    box->head.size -= flow_value__size(gone.key) + flow_value__size(gone.value);
    if (box->index != NULL)
        index_remove(box->index, (size_t)position);
    flow_object__settle_depth(box, flow_value__depth(gone.value));
    flow_value_unref(gone.key);
    flow_value_unref(gone.value);
    return FLOW_OK;
}

FlowStatus flow_object_reserve(FlowValue *object, size_t count, FlowError *reterr)
{
    if (flow_object__own(object, count, reterr) != NULL)
        return FLOW_OK;
    return flow_value_kind(*object) != FLOW_VALUE_OBJECT ? FLOW_INVALID_ARGUMENT : FLOW_RESOURCE_EXHAUSTED;
}

/* ---- many members at once ---- */

/* One of 64 bits, the same for equal keys. */
static uint64_t key_bit(const FlowValue *key)
{
    uint64_t a = key->word[0], b = key->word[1];
    if (key->tag & FLOW_VALUE__BOXED) {
        memcpy(&a, flow_value_text(key), 8);
        memcpy(&b, flow_value_text(key) + key->length - 8, 8);
    }
    return UINT64_C(1) << ((a * 0x9e3779b97f4a7c15 ^ b * 0xc2b2ae3d27d4eb4f) >> 58);
}

/* For few members. Mostly the bits already tell that a key was not there before. */
static int64_t find_twice_linear(const FlowMember *members, size_t count)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bit = key_bit(&members[i].key);
        if ((seen & bit) != 0) {
            for (size_t j = 0; j < i; j++) {
                if (flow_value__same_string(members[i].key, members[j].key))
                    return (int64_t)i;
            }
        }
        seen |= bit;
    }
    return -1;
}

/* Puts the members of a box that has none in its index yet; answers the first whose key is there already, or
 * -1. */
static int64_t find_twice_hashed(FlowObjectBox *box)
{
    for (size_t i = 0; i < box->head.count; i++) {
        FlowValue key = box->members[i].key;
        uint64_t hash = hash_of(key);
        if (find_hashed(box, flow_value_text(&key), flow_value_length(&key), hash) >= 0)
            return (int64_t)i;
        index_put(box->index, slot_of(hash, i));
    }
    return -1;
}

FlowStatus flow_object__adopt(const FlowMember *members, size_t count, FlowValue *ret_object,
                              int64_t *ret_twice, FlowError *reterr)
{
    *ret_twice = -1;
    if (count == 0) {
        *ret_object = flow_value_object();
        return FLOW_OK;
    }
    uint64_t size = FLOW_SIZE_CONTAINER;
    unsigned depth = 0;
    for (size_t i = 0; i < count; i++) {
        size += flow_value__size(members[i].key) + flow_value__size(members[i].value);
        unsigned part = flow_value__depth(members[i].value);
        depth = part > depth ? part : depth;
    }
    FlowStatus status = flow_value__check_bounds(size, 0, depth, reterr);
    if (status != FLOW_OK)
        return status;
    if (count < FLOW_OBJECT_INDEX_FROM)
        *ret_twice = find_twice_linear(members, count);
    FlowObjectBox *box = *ret_twice < 0 ? new_box(count, reterr) : NULL;
    if (box != NULL) {
        memcpy(box->members, members, count * sizeof *members);
        box->head.count = (uint32_t)count;
        box->head.depth = depth + 1;
        box->head.size = size;
        if (count >= FLOW_OBJECT_INDEX_FROM) {
            box->index = new_index(count, reterr);
            if (box->index != NULL)
                *ret_twice = find_twice_hashed(box);
        }
        if (*ret_twice < 0 && (count < FLOW_OBJECT_INDEX_FROM || box->index != NULL)) {
            *ret_object = boxed(box);
            return FLOW_OK;
        }
        free(box->index);
        flow_box__free(box, flow_object__bytes(count));
    }
    if (*ret_twice < 0)
        return FLOW_RESOURCE_EXHAUSTED;
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "DUPLICATE_KEY", NULL,
                          "the key \"%.100s\" comes twice", flow_value_text(&members[*ret_twice].key));
}

FlowStatus flow_object_from_take(const FlowMember *members_take, size_t count, FlowValue *ret_object,
                                 FlowError *reterr)
{
    int64_t twice;
    for (size_t i = 0; i < count; i++) {
        if (flow_value_kind(members_take[i].key) == FLOW_VALUE_STRING)
            continue;
        FlowStatus status = flow_value__wrong_kind(members_take[i].key, FLOW_VALUE_STRING, reterr);
        for (i = 0; i < count; i++) {
            flow_value_unref(members_take[i].key);
            flow_value_unref(members_take[i].value);
        }
        return status;
    }
    FlowStatus status = flow_object__adopt(members_take, count, ret_object, &twice, reterr);
    for (size_t i = 0; status != FLOW_OK && i < count; i++) {
        flow_value_unref(members_take[i].key);
        flow_value_unref(members_take[i].value);
    }
    return status;
}
