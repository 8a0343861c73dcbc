/*
 * value.h - JSON values: what payloads, form values, workflow data and template contexts are made of.
 *
 * A FlowValue is 16 bytes and is passed by value. Null, booleans, numbers and strings of up to 14 bytes live
 * inside those bytes; longer strings, arrays and objects live in a box behind an atomic reference count.
 *
 * Ownership, once for all functions here:
 *   FlowValue argument            borrowed; the callee takes its own reference if it keeps it
 *   FlowValue x_take argument     the callee's from now on, even when the call fails
 *   returned FlowValue            yours: flow_value_unref() it, or pass it on as a _take argument
 *   returned const FlowValue *    borrowed (_get, _at, _members, _items): valid while you hold the container
 * and do not change it; NULL when there is no such thing; flow_value_ref(*p) makes it yours FlowValue *cell
 * argument      a variable that holds a value of its own. The function gives it another value: in place when
 * nobody else holds the old one, otherwise as a copy (copy on write). On failure the cell keeps what it had.
 * (FlowValue){0} is null, and null needs no unref.
 *
 * Threads: a box that is shared (count above 1) never changes, so values may be shared between threads
 * without locks. One FlowValue variable (a cell) belongs to one thread at a time.
 *
 * Bounds that hold for every value, because nothing can be built beyond them: depth <= FLOW_VALUE_MAX_DEPTH,
 * flow_value_size() <= FLOW_VALUE_MAX_SIZE. So recursion over a value is bounded, and so is the time that
 * writing, comparing or hashing one takes, shared parts included.
 *
 * Strings are UTF-8 and may contain NUL; who makes one from outside text checks it first (flow_utf8_valid()).
 */
#ifndef FLOW_VALUE_VALUE_H
#define FLOW_VALUE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "base/status.h"

typedef enum FlowValueKind {
    FLOW_VALUE_NULL,
    FLOW_VALUE_BOOL,
    FLOW_VALUE_INT,    /* int64_t, exact */
    FLOW_VALUE_FLOAT,  /* double; NaN and infinities can be held but not written as JSON */
    FLOW_VALUE_STRING, /* UTF-8 */
    FLOW_VALUE_ARRAY,
    FLOW_VALUE_OBJECT, /* members in the order in which they were first added; no key twice */
    FLOW_VALUE_KIND_COUNT
} FlowValueKind;

enum {
    FLOW_VALUE_MAX_DEPTH = 128,    /* of nested arrays and objects; a scalar has depth 0 */
    FLOW_VALUE_MAX_SIZE = 1 << 30, /* bytes, as flow_value_size() counts */
    FLOW_VALUE_SHORT_STRING = 14   /* bytes; longer ones are boxed */
};

/* The members are private to the value room: use the functions. */
typedef union FlowValue {
    struct {
        union {
            int64_t integer; /* also a boolean: 0 or 1 */
            double number;
            void *box;
        };
        uint32_t length; /* bytes of a boxed string */
        uint8_t zero[3];
        uint8_t tag; /* kind, and FLOW_VALUE__BOXED */
    };
    /* A short string: its bytes, zeros, and (14 - length) in [14]: so a full one ends with a NUL too. */
    char text[16];
    uint64_t word[2];
} FlowValue;

enum { FLOW_VALUE__BOXED = 0x80 };

/*
 * Made of two words, not member by member: reading 16 bytes that were just written in pieces stalls the
 * processor.
 */
static inline FlowValue flow_value__make(uint64_t first, uint32_t length, unsigned tag)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (FlowValue){.word = {first, (uint64_t)tag << 56 | length}};
#else
    return (FlowValue){.word = {first, (uint64_t)length << 32 | tag}};
#endif
}

/* A member of an object; `key` is a string. */
typedef struct FlowMember {
    FlowValue key, value;
} FlowMember;

/* ---- references ---- */

void flow_value__unref_box(FlowValue value);

/* Answers `value` again, which now has one more owner. */
static inline FlowValue flow_value_ref(FlowValue value)
{
    /* Every box begins with its count. */
    if (value.tag & FLOW_VALUE__BOXED)
        __atomic_fetch_add((uint32_t *)value.box, 1, __ATOMIC_RELAXED);
    return value;
}

static inline void flow_value_unref(FlowValue value)
{
    if (value.tag & FLOW_VALUE__BOXED)
        flow_value__unref_box(value);
}

/* Leaves null in the cell. Good for flow_cleanup(flow_value_clear). */
static inline void flow_value_clear(FlowValue *cell)
{
    FlowValue old = *cell;
    *cell = (FlowValue){.word = {0, 0}};
    flow_value_unref(old);
}

/* Gives the cell another value; the old one is unreferenced. */
static inline void flow_value_assign_take(FlowValue *cell, FlowValue value_take)
{
    FlowValue old = *cell;
    *cell = value_take;
    flow_value_unref(old);
}

/* What the cell holds becomes yours; the cell is null. */
static inline FlowValue flow_value_steal(FlowValue *cell)
{
    FlowValue value = *cell;
    *cell = (FlowValue){.word = {0, 0}};
    return value;
}

/* ---- scalars ---- */

static inline FlowValue flow_value_null(void)
{
    return (FlowValue){.word = {0, 0}};
}

static inline FlowValue flow_value_bool(bool boolean)
{
    return flow_value__make(boolean, 0, FLOW_VALUE_BOOL);
}

static inline FlowValue flow_value_int(int64_t integer)
{
    return flow_value__make((uint64_t)integer, 0, FLOW_VALUE_INT);
}

static inline FlowValue flow_value_float(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return flow_value__make(bits, 0, FLOW_VALUE_FLOAT);
}

/* INT for an integral number within +-2^53 (but not -0.0), else FLOAT: how numbers of a protobuf Struct are
 * read. */
FlowValue flow_value_number(double number);

static inline FlowValueKind flow_value_kind(FlowValue value)
{
    return (FlowValueKind)(value.tag & 0x0f);
}

static inline bool flow_value_is_null(FlowValue value)
{
    return value.tag == FLOW_VALUE_NULL;
}

/* INT or FLOAT; a boolean is no number. */
static inline bool flow_value_is_number(FlowValue value)
{
    return value.tag == FLOW_VALUE_INT || value.tag == FLOW_VALUE_FLOAT;
}

/* "null", "bool", "int", "float", "string", "array", "object": the words for messages and programs. */
const char *flow_value_kind_name(FlowValueKind kind);

/* The kind must be the one that the function names. */
static inline bool flow_value_get_bool(FlowValue value)
{
    return value.integer != 0;
}

static inline int64_t flow_value_get_int(FlowValue value)
{
    return value.integer;
}

static inline double flow_value_get_float(FlowValue value)
{
    return value.number;
}

/* The value as an integer, when it is one exactly: an INT, or an integral FLOAT within int64. False: not
 * touched. */
bool flow_value_to_int(FlowValue value, int64_t *ret_integer);
/* The value as a double, when it is one exactly: a FLOAT, or an INT that a double can hold. False: not
 * touched. */
bool flow_value_to_double(FlowValue value, double *ret_number);
/* The nearest double of a number; 0 for what is none. */
double flow_value_near_double(FlowValue value);
/* Whether readers that keep numbers as doubles (JavaScript, Struct) keep it exactly: within +-2^53. */
static inline bool flow_int_is_safe(int64_t integer)
{
    return integer >= -(INT64_C(1) << 53) && integer <= INT64_C(1) << 53;
}

/* ---- strings ---- */

/* Copies. They abort when memory runs out: for texts whose size is known to be modest. */
FlowValue flow_value_string(const char *text);
FlowValue flow_value_stringn(const char *text, size_t length);

static inline FlowValue flow_value__short(const char *text, size_t length)
{
    FlowValue value = {.word = {0, 0}};
    memcpy(value.text, text, length);
    value.text[FLOW_VALUE_SHORT_STRING] = (char)(FLOW_VALUE_SHORT_STRING - length);
    value.tag = FLOW_VALUE_STRING;
    return value;
}
/* A short literal is put together by the compiler. */
#define flow_value_string(text)                                                                              \
    (__builtin_constant_p(strlen(text)) && strlen(text) <= FLOW_VALUE_SHORT_STRING                           \
         ? flow_value__short(text, strlen(text))                                                             \
         : (flow_value_string)(text))
/* Copies. Beyond FLOW_VALUE_MAX_SIZE or memory: FLOW_RESOURCE_EXHAUSTED. */
FlowStatus flow_value_try_string(const char *text, size_t length, FlowValue *ret_value, FlowError *reterr);
/*
 * A string of `length` bytes that the caller fills in at *ret_text before anybody else sees the value. The
 * text is inside *ret_value when it is short: fill it in before *ret_value is copied or moved.
 */
FlowStatus flow_value_try_blank_string(size_t length, FlowValue *ret_value, char **ret_text,
                                       FlowError *reterr);

static inline size_t flow_value_length(const FlowValue *string)
{
    return string->tag & FLOW_VALUE__BOXED ? string->length : (size_t)(14 - string->text[14]);
}

enum { FLOW_VALUE__STRING_HEADER = 8 };

/*
 * The bytes of a string, NUL-terminated. They may lie inside *string, which is why this wants a pointer: keep
 * the FlowValue where it is while you use them.
 */
static inline const char *flow_value_text(const FlowValue *string)
{
    return string->tag & FLOW_VALUE__BOXED ? (const char *)string->box + FLOW_VALUE__STRING_HEADER
                                           : string->text;
}

bool flow_value_text_equals(const FlowValue *string, const char *text);

/* ---- arrays ---- */

static inline FlowValue flow_value_array(void)
{
    return flow_value__make(0, 0, FLOW_VALUE_ARRAY);
}

/*
 * All that change an array or object can fail: FLOW_RESOURCE_EXHAUSTED beyond the bounds above or memory,
 * FLOW_INVALID_ARGUMENT when the cell holds another kind, FLOW_OUT_OF_RANGE for an index that is not there.
 */
FlowStatus flow_array_push_take(FlowValue *array, FlowValue item_take, FlowError *reterr);
/* Replaces the item at `index`, which must exist. */
FlowStatus flow_array_set_take(FlowValue *array, size_t index, FlowValue item_take, FlowError *reterr);
/* Takes the item at `index` out; those behind it move up. O(count). */
FlowStatus flow_array_remove(FlowValue *array, size_t index, FlowError *reterr);
/* An array of these items, each of them taken. */
FlowStatus flow_array_from_take(const FlowValue *items_take, size_t count, FlowValue *ret_array,
                                FlowError *reterr);
/* Makes room for `count` items in all, so that pushing them doesn't move the array again. */
FlowStatus flow_array_reserve(FlowValue *array, size_t count, FlowError *reterr);

/* 0 for other kinds too. */
size_t flow_array_count(FlowValue array);
/* NULL when there is no such item. */
const FlowValue *flow_array_at(FlowValue array, size_t index);
/* All of them in a row; NULL when there are none. */
const FlowValue *flow_array_items(FlowValue array, size_t *ret_count);

/* ---- objects ---- */

static inline FlowValue flow_value_object(void)
{
    return flow_value__make(0, 0, FLOW_VALUE_OBJECT);
}

/*
 * Gives `key` this value: replaced at its place, or added at the end. Keys are looked up by a hashed index
 * from FLOW_OBJECT_INDEX_FROM members on, so that objects of any size take O(1) per key; O(count) where the
 * object is shared and has to be copied. The `n` forms take a key that needn't end with a NUL, the `_key`
 * forms one that is a string value.
 */
FlowStatus flow_object_setn_take(FlowValue *object, const char *key, size_t key_length, FlowValue value_take,
                                 FlowError *reterr);
FlowStatus flow_object_set_key_take(FlowValue *object, FlowValue key, FlowValue value_take,
                                    FlowError *reterr);
static inline FlowStatus flow_object_set_take(FlowValue *object, const char *key, FlowValue value_take,
                                              FlowError *reterr)
{
    return flow_object_setn_take(object, key, strlen(key), value_take, reterr);
}

/*
 * Adds under `key`, or under "key_2", "key_3", ... when that is taken: the first that is free. The key that
 * was used goes to *ret_key (may be NULL), as a string of yours.
 */
FlowStatus flow_object_add_unique_take(FlowValue *object, FlowValue key, FlowValue value_take,
                                       FlowValue *ret_key, FlowError *reterr);

/* Takes the member out; those behind it move up: O(count). FLOW_OK when there is none. */
FlowStatus flow_object_removen(FlowValue *object, const char *key, size_t key_length, FlowError *reterr);
static inline FlowStatus flow_object_remove(FlowValue *object, const char *key, FlowError *reterr)
{
    return flow_object_removen(object, key, strlen(key), reterr);
}

/* Makes room for `count` members in all. */
FlowStatus flow_object_reserve(FlowValue *object, size_t count, FlowError *reterr);
/* An object of these members, keys and values taken. A key that comes twice: FLOW_INVALID_ARGUMENT. */
FlowStatus flow_object_from_take(const FlowMember *members_take, size_t count, FlowValue *ret_object,
                                 FlowError *reterr);

enum { FLOW_OBJECT_INDEX_FROM = 17 };

/* NULL when there is no such member, or it is no object. */
const FlowValue *flow_object_getn(FlowValue object, const char *key, size_t key_length);
const FlowValue *flow_object_get_key(FlowValue object, FlowValue key);
static inline const FlowValue *flow_object_get(FlowValue object, const char *key)
{
    return flow_object_getn(object, key, strlen(key));
}

/* 0 for other kinds too. */
size_t flow_object_count(FlowValue object);
/* All members in order; NULL when there are none. */
const FlowMember *flow_object_members(FlowValue object, size_t *ret_count);

/* ---- whole values ---- */

/*
 * The same JSON: kinds equal (1 is not 1.0), numbers equal bit by bit (0.0 is not -0.0, a NaN is itself),
 * objects whatever the order of their members.
 */
bool flow_value_equal(FlowValue a, FlowValue b);
/* As Python compares: like flow_value_equal(), but 1 == 1.0, 0.0 == -0.0, NaN != NaN; true is still not 1. */
bool flow_value_equal_numbers(FlowValue a, FlowValue b);
/* Exact order of two numbers, also of INT with FLOAT: -1, 0, 1; 2 when one is NaN. */
int flow_value_compare_numbers(FlowValue a, FlowValue b);

/* 0 for scalars, 1 + the deepest part for arrays and objects. O(1). */
unsigned flow_value_depth(FlowValue value);
/* Bytes that the value takes, shared parts counted wherever they occur: what queues' bounds count. O(1),
 * steady. */
size_t flow_value_size(FlowValue value);

/*
 * 128 bits that are equal for values that are flow_value_equal(), on every machine and in every release: good
 * for cache keys and for "is this the same request". Keyed with a constant, so no defence against one who
 * searches for collisions.
 */
FlowHash128 flow_value_hash(FlowValue value);

#endif
