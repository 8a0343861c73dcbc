/* container.c - lists, tuples and dicts that templates make; walking mappings of either kind. */
#include <string.h>

#include "template/values.h"

/* ---- lists ---- */

static bool too_many(FlowVm *vm)
{
    return flow_vm__limit(vm, "a list or dict of more than %zu items", vm->limits.value_items);
}

FlowList *flow_list__new(FlowVm *vm, size_t capacity)
{
    if (capacity > vm->limits.value_items) {
        too_many(vm);
        return NULL;
    }
    FlowList *list = flow_vm__alloc(vm, sizeof *list + capacity * sizeof(FlowVal));
    if (list != NULL)
        *list = (FlowList){(FlowVal *)(list + 1), 0, capacity};
    return list;
}

bool flow_list__push(FlowVm *vm, FlowList *list, FlowVal item)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity != 0 ? list->capacity * 2 : 8;
        if (list->count >= vm->limits.value_items)
            return too_many(vm);
        FlowVal *items = flow_vm__alloc(vm, capacity * sizeof *items);
        if (items == NULL)
            return false;
        if (list->count != 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return true;
}

bool flow_list__from(FlowVm *vm, FlowVal v, FlowList **ret)
{
    FlowIter iter;
    FlowVal item;
    int64_t length = flow_val__length_or_none(v);
    if (!flow_iter__begin(vm, &iter, v))
        return false;
    FlowList *list = flow_list__new(vm, length > 0 ? (size_t)length : 0);
    if (list == NULL)
        return false;
    while (flow_iter__next(vm, &iter, &item)) {
        if (!flow_list__push(vm, list, item))
            return false;
    }
    if (vm->failed)
        return false;
    *ret = list;
    return true;
}

bool flow_tuple__of(FlowVm *vm, FlowVal *ret, size_t count, const FlowVal *items)
{
    FlowList *list = flow_list__new(vm, count);
    if (list == NULL)
        return false;
    if (count != 0)
        memcpy(list->items, items, count * sizeof *items);
    list->count = count;
    *ret = val_tuple(list);
    return true;
}

FlowVal flow_list__at(FlowVal list, size_t index)
{
    if (list.type == V_ARRAY)
        return flow_val__from_json(flow_array_at(*list.json, index));
    return list.list->items[index];
}

/* ---- dicts ---- */

enum { INDEX_FROM = 8 };

FlowDict *flow_dict__new(FlowVm *vm, size_t capacity)
{
    if (capacity > vm->limits.value_items) {
        too_many(vm);
        return NULL;
    }
    FlowDict *dict = flow_vm__alloc(vm, sizeof *dict + capacity * sizeof(FlowDictEntry));
    if (dict != NULL)
        *dict = (FlowDict){.entries = (FlowDictEntry *)(dict + 1), .capacity = capacity};
    return dict;
}

static bool reindex(FlowVm *vm, FlowDict *dict)
{
    size_t size = 32;
    while (size < dict->capacity * 2)
        size *= 2;
    uint32_t *index = flow_vm__alloc(vm, size * sizeof *index);
    if (index == NULL)
        return false;
    memset(index, 0, size * sizeof *index);
    for (size_t i = 0; i < dict->used; i++) {
        if (dict->entries[i].key.type == V_MISSING)
            continue;
        size_t at = dict->entries[i].hash & (size - 1);
        while (index[at] != 0)
            at = (at + 1) & (size - 1);
        index[at] = (uint32_t)i + 1;
    }
    dict->index = index;
    dict->index_size = size;
    return true;
}

static bool grow(FlowVm *vm, FlowDict *dict)
{
    if (dict->count >= vm->limits.value_items)
        return too_many(vm);
    size_t capacity = dict->capacity != 0 ? dict->capacity * 2 : 4;
    FlowDictEntry *entries = flow_vm__alloc(vm, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    size_t used = 0;
    for (size_t i = 0; i < dict->used; i++) {
        if (dict->entries[i].key.type != V_MISSING)
            entries[used++] = dict->entries[i];
    }
    dict->entries = entries;
    dict->used = used;
    dict->capacity = capacity;
    return capacity <= INDEX_FROM || reindex(vm, dict);
}

FlowDictEntry *flow_dict__find_text(const FlowDict *dict, const char *text, size_t len, uint64_t hash)
{
    if (dict->index == NULL) {
        for (size_t i = 0; i < dict->used; i++) {
            FlowDictEntry *entry = &dict->entries[i];
            if (entry->hash == hash && entry->key.type == V_STRING && entry->key.len == len &&
                memcmp(entry->key.s, text, len) == 0)
                return entry;
        }
        return NULL;
    }
    for (size_t at = hash & (dict->index_size - 1); dict->index[at] != 0;
         at = (at + 1) & (dict->index_size - 1)) {
        FlowDictEntry *entry = &dict->entries[dict->index[at] - 1];
        if (entry->hash == hash && entry->key.type == V_STRING && entry->key.len == len &&
            memcmp(entry->key.s, text, len) == 0)
            return entry;
    }
    return NULL;
}

FlowDictEntry *flow_dict__find(FlowVm *vm, const FlowDict *dict, FlowVal key, uint64_t hash)
{
    if (key.type == V_STRING)
        return flow_dict__find_text(dict, key.s, key.len, hash);
    size_t at = dict->index != NULL ? hash & (dict->index_size - 1) : 0;
    for (size_t i = 0; dict->index != NULL ? dict->index[at] != 0 : i < dict->used; i++) {
        FlowDictEntry *entry = &dict->entries[dict->index != NULL ? dict->index[at] - 1 : i];
        bool same = false;
        if (entry->hash == hash && entry->key.type != V_MISSING &&
            !flow_val__equal(vm, entry->key, key, &same))
            return NULL;
        if (same)
            return entry;
        if (dict->index != NULL)
            at = (at + 1) & (dict->index_size - 1);
    }
    return NULL;
}

bool flow_dict__set(FlowVm *vm, FlowDict *dict, FlowVal key, FlowVal value)
{
    uint64_t hash;
    if (!flow_val__hash(vm, key, &hash))
        return false;
    FlowDictEntry *entry = flow_dict__find(vm, dict, key, hash);
    if (vm->failed)
        return false;
    if (entry != NULL) {
        entry->value = value;
        return true;
    }
    if (dict->used == dict->capacity && !grow(vm, dict))
        return false;
    dict->entries[dict->used++] = (FlowDictEntry){key, value, hash};
    dict->count++;
    if (dict->index == NULL)
        return dict->capacity <= INDEX_FROM || reindex(vm, dict);
    size_t at = hash & (dict->index_size - 1);
    while (dict->index[at] != 0)
        at = (at + 1) & (dict->index_size - 1);
    dict->index[at] = (uint32_t)dict->used;
    return true;
}

bool flow_dict__remove(FlowVm *vm, FlowDict *dict, FlowVal key, FlowVal *ret_value, bool *ret_found)
{
    uint64_t hash;
    if (!flow_val__hash(vm, key, &hash))
        return false;
    FlowDictEntry *entry = flow_dict__find(vm, dict, key, hash);
    *ret_found = entry != NULL;
    if (entry != NULL) {
        *ret_value = entry->value;
        entry->key = val_missing(); /* its place in the index stays, and matches nothing */
        dict->count--;
    }
    return !vm->failed;
}

bool flow_dict__merge(FlowVm *vm, FlowDict *dict, FlowVal mapping)
{
    FlowVal key, value;
    size_t at = 0;
    while (flow_mapping__next(mapping, &at, &key, &value)) {
        if (!flow_vm__charge(vm, 1) || !flow_dict__set(vm, dict, key, value))
            return false;
    }
    return true;
}

/* ---- mappings of either kind ---- */

bool flow_mapping__next(FlowVal mapping, size_t *at, FlowVal *ret_key, FlowVal *ret_value)
{
    if (mapping.type == V_OBJECT) {
        size_t count;
        const FlowMember *members = flow_object_members(*mapping.json, &count);
        if (*at >= count)
            return false;
        *ret_key = flow_val__from_json(&members[*at].key);
        *ret_value = flow_val__from_json(&members[*at].value);
        (*at)++;
        return true;
    }
    const FlowDict *dict = mapping.dict;
    while (*at < dict->used && dict->entries[*at].key.type == V_MISSING)
        (*at)++;
    if (*at >= dict->used)
        return false;
    *ret_key = dict->entries[*at].key;
    *ret_value = dict->entries[*at].value;
    (*at)++;
    return true;
}

size_t flow_mapping__count(FlowVal mapping)
{
    return mapping.type == V_OBJECT ? flow_object_count(*mapping.json) : mapping.dict->count;
}
