#include "base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK = 1024, LARGEST_BLOCK = 64 * 1024 };

struct FlowArenaBlock {
    FlowArenaBlock *older;
    size_t size;
    alignas(max_align_t) char bytes[];
};

void flow_arena_init(FlowArena *arena, size_t limit)
{
    *arena = (FlowArena){.limit = limit != 0 ? limit : SIZE_MAX};
}

static void free_from(FlowArenaBlock *block)
{
    while (block != NULL) {
        FlowArenaBlock *older = block->older;
        free(block);
        block = older;
    }
}

void flow_arena_done(FlowArena *arena)
{
    free_from(arena->blocks);
    flow_arena_init(arena, arena->limit);
}

void flow_arena_reset(FlowArena *arena)
{
    FlowArenaBlock *kept = arena->blocks;
    if (kept == NULL || kept->size > LARGEST_BLOCK) {
        flow_arena_done(arena);
        return;
    }
    free_from(kept->older);
    kept->older = NULL;
    arena->next = kept->bytes;
    arena->end = kept->bytes + kept->size;
    arena->used = 0;
}

static bool new_block(FlowArena *arena, size_t size)
{
    size_t wanted = arena->blocks != NULL ? arena->blocks->size * 2 : FIRST_BLOCK;
    if (wanted > LARGEST_BLOCK)
        wanted = LARGEST_BLOCK;
    if (wanted < size)
        wanted = size;
    FlowArenaBlock *block = malloc(sizeof *block + wanted);
    if (block == NULL)
        return false;
    block->size = wanted;
    block->older = arena->blocks;
    arena->blocks = block;
    arena->next = block->bytes;
    arena->end = block->bytes + wanted;
    return true;
}

void *flow_arena_alloc(FlowArena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX - sizeof(FlowArenaBlock) - align)
        return NULL;
    size = size != 0 ? (size + align - 1) & ~(align - 1) : align;
    if (size > arena->limit - arena->used)
        return NULL;
    if (size > (size_t)(arena->end - arena->next) && !new_block(arena, size))
        return NULL;
    void *memory = arena->next;
    arena->next += size;
    arena->used += size;
    return memory;
}

void *flow_arena_calloc(FlowArena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *memory = flow_arena_alloc(arena, total);
    return memory != NULL ? memset(memory, 0, total) : NULL;
}

char *flow_arena_strndup(FlowArena *arena, const char *text, size_t len)
{
    if (len == SIZE_MAX)
        return NULL;
    char *made = flow_arena_alloc(arena, len + 1);
    if (made == NULL)
        return NULL;
    memcpy(made, text, len);
    made[len] = '\0';
    return made;
}
