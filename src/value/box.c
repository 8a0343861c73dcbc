#include "value/box.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * Boxes come and go by the million and most are small, so each thread keeps those that it frees, by size, up
 * to a bound, and takes them from there: JSON is read a fifth quicker by it. Sanitizers must see every
 * allocation: there it is off.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEP_BOXES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define KEEP_BOXES 0
#endif
#endif
#ifndef KEEP_BOXES
#define KEEP_BOXES 1
#endif

enum {
    STEP = 16,              /* bytes between two sizes */
    SIZES = 40,             /* the largest box that is kept has STEP * SIZES bytes */
    MOST_KEPT = 256 * 1024, /* bytes, by each thread */
};

#if KEEP_BOXES

typedef struct Kept {
    struct Kept *next;
} Kept;

typedef enum { CACHE_NEW, CACHE_OPEN, CACHE_CLOSED } CacheState;

/* Of this thread. */
static __thread struct {
    Kept *first[SIZES + 1]; /* by size / STEP, rounded up */
    size_t room;            /* bytes that may still be kept; 0 before the first use and after the last */
    CacheState state;
} cache;

static pthread_key_t at_exit_key;

/* When the thread ends. Values that are freed later still, by other destructors, go to free(). */
static void close_cache(void *unused)
{
    (void)unused;
    cache.state = CACHE_CLOSED;
    cache.room = 0;
    for (size_t i = 0; i <= SIZES; i++) {
        while (cache.first[i] != NULL) {
            Kept *kept = cache.first[i];
            cache.first[i] = kept->next;
            free(kept);
        }
    }
}

static void make_key(void)
{
    if (pthread_key_create(&at_exit_key, close_cache) != 0)
        abort();
}

/* There is no room to keep this one: perhaps because it is the first. */
static void free_slow(Kept *box, size_t class)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (cache.state != CACHE_NEW) {
        free(box);
        return;
    }
    pthread_once(&once, make_key);
    cache.state = pthread_setspecific(at_exit_key, &cache) == 0 ? CACHE_OPEN : CACHE_CLOSED;
    cache.room = cache.state == CACHE_OPEN ? MOST_KEPT : 0;
    if (cache.state == CACHE_OPEN)
        flow_box__free(box, class * STEP);
    else
        free(box);
}

void *flow_box__alloc(size_t size)
{
    size_t class = (size + STEP - 1) / STEP;
    if (class > SIZES)
        return malloc(size);
    Kept *box = cache.first[class];
    if (box == NULL)
        return malloc(class * STEP);
    cache.first[class] = box->next;
    cache.room += class * STEP;
    return box;
}

void flow_box__free(void *box, size_t size)
{
    size_t class = (size + STEP - 1) / STEP;
    Kept *kept = box;
    if (class > SIZES) {
        free(box);
    } else if (cache.room < class * STEP) {
        free_slow(kept, class);
    } else {
        cache.room -= class * STEP;
        kept->next = cache.first[class];
        cache.first[class] = kept;
    }
}

void *flow_box__resize(void *box, size_t old_size, size_t new_size)
{
    if (old_size > SIZES * STEP)
        return realloc(box, new_size);
    void *larger = flow_box__alloc(new_size);
    if (larger != NULL) {
        memcpy(larger, box, old_size < new_size ? old_size : new_size);
        flow_box__free(box, old_size);
    }
    return larger;
}

#else

void *flow_box__alloc(size_t size)
{
    return malloc(size);
}

void flow_box__free(void *box, size_t size)
{
    (void)size;
    free(box);
}

void *flow_box__resize(void *box, size_t old_size, size_t new_size)
{
    (void)old_size;
    return realloc(box, new_size);
}

#endif

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
