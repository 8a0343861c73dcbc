/*
 * mem.h - allocation in two spellings, and clean-up bound to a scope.
 *
 * flow_malloc() and its kin abort when memory runs out: for small, fixed sizes. flow_try_malloc() and its kin
 * return NULL and must be checked: for every size that comes from outside.
 */
#ifndef FLOW_BASE_MEM_H
#define FLOW_BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>

#define FLOW_COUNT(array)                        (sizeof(array) / sizeof((array)[0]))
#define flow_container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define flow_cleanup(function) __attribute__((cleanup(function)))
/* Hands a pointer on and leaves NULL behind, so that its scope's clean-up does nothing. */
#define flow_steal(pointer)                                                                                  \
    ({                                                                                                       \
        __typeof__(pointer) stolen_ = (pointer);                                                             \
        (pointer) = NULL;                                                                                    \
        stolen_;                                                                                             \
    })

/* Zeroed memory for one object of `type`; never NULL. */
#define flow_new(type) ((type *)flow_calloc(1, sizeof(type)))

void *flow_malloc(size_t size) __attribute__((malloc, returns_nonnull));
void *flow_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *flow_realloc(void *old, size_t size) __attribute__((returns_nonnull));
/* NULL stays NULL. */
char *flow_strdup(const char *text);
char *flow_strndup(const char *text, size_t len) __attribute__((returns_nonnull));

void *flow_try_malloc(size_t size) __attribute__((malloc, warn_unused_result));
void *flow_try_calloc(size_t count, size_t size) __attribute__((malloc, warn_unused_result));
/* count * size with the overflow checked; NULL leaves `old` as it was. */
void *flow_try_realloc_array(void *old, size_t count, size_t size) __attribute__((warn_unused_result));

/* For flow_cleanup(): frees what the variable points to. */
void flow_freep(void *pointer_to_pointer);

#endif
