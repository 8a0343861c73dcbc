#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

void flow_map_init(FlowMap *map)
{
    *map = (FlowMap){0};
}

void flow_map_done(FlowMap *map, void (*free_value)(void *))
{
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].key == NULL)
            continue;
        if (free_value != NULL)
            free_value(map->entries[i].value);
        free(map->entries[i].key);
    }
    free(map->entries);
    flow_map_init(map);
}

/* The entry with this key, or the free place where it would stand. There is always a free place. */
static FlowMapEntry *place(const FlowMap *map, const char *key, size_t len, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        FlowMapEntry *e = &map->entries[i];
        if (e->key == NULL || (e->hash == hash && e->key_len == len && memcmp(e->key, key, len) == 0))
            return e;
    }
}

static FlowMapEntry *find(const FlowMap *map, const char *key, size_t len)
{
    if (map->count == 0)
        return NULL;
    FlowMapEntry *e = place(map, key, len, flow_hash_bytes(key, len));
    return e->key != NULL ? e : NULL;
}

static bool grow(FlowMap *map)
{
    FlowMap larger = {.capacity = map->capacity != 0 ? map->capacity * 2 : 8, .count = map->count};
    larger.entries = flow_try_calloc(larger.capacity, sizeof *larger.entries);
    if (larger.entries == NULL)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        FlowMapEntry *e = &map->entries[i];
        if (e->key != NULL)
            *place(&larger, e->key, e->key_len, e->hash) = *e;
    }
    free(map->entries);
    *map = larger;
    return true;
}

bool flow_map_set(FlowMap *map, const char *key, size_t len, void *value, void **ret_old)
{
    if (map->count >= map->capacity / 4 * 3 && !grow(map))
        return false;
    uint64_t hash = flow_hash_bytes(key, len);
    FlowMapEntry *e = place(map, key, len, hash);
    void *old = e->key != NULL ? e->value : NULL;
    if (e->key == NULL) {
        char *copy = flow_try_malloc(len + 1);
        if (copy == NULL)
            return false;
        memcpy(copy, key, len);
        copy[len] = '\0';
        *e = (FlowMapEntry){copy, len, hash, NULL};
        map->count++;
    }
    e->value = value;
    if (ret_old != NULL)
        *ret_old = old;
    return true;
}

void *flow_map_get(const FlowMap *map, const char *key, size_t len)
{
    FlowMapEntry *e = find(map, key, len);
    return e != NULL ? e->value : NULL;
}

bool flow_map_has(const FlowMap *map, const char *key, size_t len)
{
    return find(map, key, len) != NULL;
}

void *flow_map_remove(FlowMap *map, const char *key, size_t len)
{
    FlowMapEntry *hole = find(map, key, len);
    if (hole == NULL)
        return NULL;
    void *value = hole->value;
    free(hole->key);
    hole->key = NULL;
    map->count--;
    /* Entries behind the hole may have been pushed there by what was removed: move them up, so no tombstones.
     */
    size_t mask = map->capacity - 1;
    size_t free_at = (size_t)(hole - map->entries);
    for (size_t i = (free_at + 1) & mask; map->entries[i].key != NULL; i = (i + 1) & mask) {
        size_t home = map->entries[i].hash & mask;
        if (((i - home) & mask) >= ((i - free_at) & mask)) {
            map->entries[free_at] = map->entries[i];
            map->entries[i].key = NULL;
            free_at = i;
        }
    }
    return value;
}

bool flow_map_put(FlowMap *map, const char *key, void *value)
{
    return flow_map_set(map, key, strlen(key), value, NULL);
}

void *flow_map_find(const FlowMap *map, const char *key)
{
    return flow_map_get(map, key, strlen(key));
}

FlowMapEntry *flow_map_next(const FlowMap *map, FlowMapEntry *after)
{
    size_t i = after != NULL ? (size_t)(after - map->entries) + 1 : 0;
    for (; i < map->capacity; i++)
        if (map->entries[i].key != NULL)
            return &map->entries[i];
    return NULL;
}
