/*
 * arena.h - memory that is given back all at once. One owner, no locks. Blocks grow by doubling up to 64 KiB,
 * larger wishes get a block of their own. `limit` bounds the bytes handed out (and the rounding), so that
 * hostile input costs no more than was planned.
 */
#ifndef FLOW_BASE_ARENA_H
#define FLOW_BASE_ARENA_H

#include <stddef.h>

typedef struct FlowArenaBlock FlowArenaBlock;

typedef struct FlowArena {
    FlowArenaBlock *blocks; /* newest first */
    char *next, *end;
    size_t used, limit;
} FlowArena;

/* `limit` in bytes; 0 means no limit. Takes no memory until the first allocation. */
void flow_arena_init(FlowArena *arena, size_t limit);
/* Frees everything; the arena may be used again. */
void flow_arena_done(FlowArena *arena);
/* Like done, but keeps one block for the next round. */
void flow_arena_reset(FlowArena *arena);

/* Aligned for any type, not zeroed. NULL when the limit or memory is exhausted. */
void *flow_arena_alloc(FlowArena *arena, size_t size) __attribute__((malloc, warn_unused_result));
void *flow_arena_calloc(FlowArena *arena, size_t count, size_t size) __attribute__((warn_unused_result));
/* A NUL-terminated copy. */
char *flow_arena_strndup(FlowArena *arena, const char *text, size_t len) __attribute__((warn_unused_result));

#endif
