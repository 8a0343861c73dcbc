#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void *checked(void *memory, size_t size)
{
    if (memory == NULL) {
        fprintf(stderr, "flowengine: out of memory (%zu bytes wanted)\n", size);
        abort();
    }
    return memory;
}

/* malloc(0) may give NULL, which would look like a failure. */
static size_t at_least_one(size_t size)
{
    return size != 0 ? size : 1;
}

void *flow_malloc(size_t size)
{
    return checked(malloc(at_least_one(size)), size);
}

void *flow_calloc(size_t count, size_t size)
{
    return checked(calloc(at_least_one(count), at_least_one(size)), size);
}

void *flow_realloc(void *old, size_t size)
{
    return checked(realloc(old, at_least_one(size)), size);
}

char *flow_strdup(const char *text)
{
    return text != NULL ? flow_strndup(text, strlen(text)) : NULL;
}

char *flow_strndup(const char *text, size_t len)
{
    char *made = flow_malloc(len + 1);
    memcpy(made, text, len);
    made[len] = '\0';
    return made;
}

void *flow_try_malloc(size_t size)
{
    return malloc(at_least_one(size));
}

void *flow_try_calloc(size_t count, size_t size)
{
    return calloc(at_least_one(count), at_least_one(size));
}

void *flow_try_realloc_array(void *old, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return realloc(old, at_least_one(total));
}

void flow_freep(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}
