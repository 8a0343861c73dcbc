/*
 * map.h - a hash table from byte strings to pointers: open addressing, keyed with the process's random key,
 * so that hostile names can't make it slow. Keys are copied; values are the caller's. One owner, no locks.
 */
#ifndef FLOW_BASE_MAP_H
#define FLOW_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct FlowMapEntry {
    char *key; /* NUL-terminated copy; NULL marks a free place */
    size_t key_len;
    uint64_t hash;
    void *value;
} FlowMapEntry;

typedef struct FlowMap {
    FlowMapEntry *entries; /* private */
    size_t capacity;       /* private */
    size_t count;          /* read-only */
} FlowMap;

void flow_map_init(FlowMap *map);
/* `free_value` may be NULL. */
void flow_map_done(FlowMap *map, void (*free_value)(void *));

/* Sets or replaces; the value that was there before goes to *ret_old (may be NULL). False when memory is
 * exhausted. */
bool flow_map_set(FlowMap *map, const char *key, size_t len, void *value, void **ret_old);
/* NULL when there is none. */
void *flow_map_get(const FlowMap *map, const char *key, size_t len);
bool flow_map_has(const FlowMap *map, const char *key, size_t len);
/* Takes the entry out; gives its value back, NULL when there was none. */
void *flow_map_remove(FlowMap *map, const char *key, size_t len);

/* The same with NUL-terminated keys. */
bool flow_map_put(FlowMap *map, const char *key, void *value);
void *flow_map_find(const FlowMap *map, const char *key);

/* Walks in no particular order: `for (FlowMapEntry *e = NULL; (e = flow_map_next(&map, e));)`. Don't change
 * it meanwhile. */
FlowMapEntry *flow_map_next(const FlowMap *map, FlowMapEntry *after);

#endif
