/*
 * val.h - the values that a running template works with. Private to the room.
 *
 * A FlowVal is 16 bytes and copied freely. What it points to lives in the memory of the render, in the
 * compiled template or in the context, all of which outlive the render's last use: nothing is counted,
 * nothing is freed one by one.
 *
 * JSON containers of the context stay what they are (V_ARRAY, V_OBJECT: borrowed, never changed); containers
 * that a template makes are V_LIST, V_TUPLE and V_DICT. The words of both kinds are the same for authors:
 * list and dict.
 */
#ifndef FLOW_TEMPLATE_VAL_H
#define FLOW_TEMPLATE_VAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "value/value.h"

typedef enum FlowValType {
    V_MISSING, /* not a value: a slot that was never set, an argument that was not given */
    V_UNDEFINED,
    V_NONE,
    V_BOOL,
    V_INT,
    V_BIG, /* an integer beyond 64 bits */
    V_FLOAT,
    V_STRING,
    V_LIST,
    V_TUPLE,
    V_DICT,
    V_ARRAY,  /* JSON array */
    V_OBJECT, /* JSON object */
    V_RANGE,
    V_VIEW,      /* keys(), values() or items() of a dict */
    V_GENERATOR, /* what map, select and their kin give: can be walked once */
    V_NAMESPACE,
    V_LOOP,
    V_MACRO,
    V_METHOD,   /* data.get without the call */
    V_FUNCTION, /* range, dict, now ... */
    V_CYCLER,
    V_JOINER,
    V_DATETIME,
    V_SELF,
    V_BLOCK,
    V_TYPE_COUNT
} FlowValType;

enum {
    VAL_MARKUP = 1, /* V_STRING: already escaped for HTML */
    VAL_ASCII = 2,  /* V_STRING: known to hold nothing but ASCII */
    VAL_GROUP = 4   /* V_TUPLE from groupby: .grouper and .list work */
};

typedef struct FlowUndefined FlowUndefined;
typedef struct FlowBig FlowBig;
typedef struct FlowList FlowList;
typedef struct FlowDict FlowDict;
typedef struct FlowRange FlowRange;
typedef struct FlowView FlowView;
typedef struct FlowIter FlowIter;
typedef struct FlowLoopState FlowLoopState;
typedef struct FlowMacro FlowMacro;
typedef struct FlowMethod FlowMethod;
typedef struct FlowNative FlowNative;
typedef struct FlowCycler FlowCycler;
typedef struct FlowDateTime FlowDateTime;
typedef struct FlowVm FlowVm;

typedef struct FlowVal {
    uint8_t type;  /* FlowValType */
    uint8_t flags; /* VAL_... */
    uint16_t unused;
    uint32_t len; /* V_STRING: bytes; V_VIEW: which; V_BLOCK: index */
    union {
        bool b;
        int64_t i;
        double f;
        const char *s; /* not NUL-terminated */
        const FlowUndefined *undefined;
        const FlowBig *big;
        FlowList *list; /* V_LIST, V_TUPLE */
        FlowDict *dict; /* V_DICT, V_NAMESPACE */
        const FlowValue *json;
        const FlowRange *range;
        const FlowView *view;
        FlowIter *iter;
        FlowLoopState *loop;
        const FlowMacro *macro;
        const FlowMethod *method;
        const FlowNative *native;
        FlowCycler *cycler; /* V_CYCLER, V_JOINER */
        const FlowDateTime *datetime;
    };
} FlowVal;

_Static_assert(sizeof(FlowVal) == 16, "FlowVal is copied everywhere and has to stay small");

struct FlowUndefined {
    const char *name; /* variable or key; NULL when hint says it all */
    size_t name_len;
    const char *hint; /* a whole sentence, or NULL */
    FlowVal owner;    /* what was asked for `name`; V_MISSING when name is a variable */
    bool lenient;     /* of an inline if without else: no error when strict */
};

struct FlowList {
    FlowVal *items;
    size_t count, capacity;
};

typedef struct FlowDictEntry {
    FlowVal key; /* V_MISSING when removed */
    FlowVal value;
    uint64_t hash;
} FlowDictEntry;

struct FlowDict {
    FlowDictEntry *entries; /* in insertion order */
    size_t used, capacity;  /* entries, removed ones included */
    size_t count;
    uint32_t *index; /* open addressing: entry + 1, 0 is free; NULL while there are few entries */
    size_t index_size;
};

struct FlowRange {
    int64_t start, stop, step;
    uint64_t count;
};

typedef enum FlowViewKind { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS } FlowViewKind;

struct FlowView {
    FlowViewKind kind;
    FlowVal owner; /* V_DICT or V_OBJECT */
};

struct FlowMethod {
    const FlowNative *native;
    FlowVal self;
};

struct FlowCycler {
    FlowList items;
    size_t at;
};

struct FlowDateTime {
    int64_t seconds; /* since 1970-01-01T00:00:00 of the clock on the wall there: UTC seconds + offset */
    int32_t nanos;
    int32_t offset; /* east of UTC, in seconds */
    bool aware;     /* false: no offset was given */
};

static inline FlowVal val_none(void)
{
    return (FlowVal){.type = V_NONE};
}

static inline FlowVal val_missing(void)
{
    return (FlowVal){.type = V_MISSING};
}

static inline FlowVal val_bool(bool b)
{
    return (FlowVal){.type = V_BOOL, .i = b};
}

static inline FlowVal val_int(int64_t i)
{
    return (FlowVal){.type = V_INT, .i = i};
}

static inline FlowVal val_float(double f)
{
    return (FlowVal){.type = V_FLOAT, .f = f};
}

/* Borrows the bytes. */
static inline FlowVal val_string(const char *text, size_t len)
{
    return (FlowVal){.type = V_STRING, .len = (uint32_t)len, .s = text};
}

#define VAL_LITERAL(text) val_string("" text, sizeof(text) - 1)

static inline FlowVal val_list(FlowList *list)
{
    return (FlowVal){.type = V_LIST, .list = list};
}

static inline FlowVal val_tuple(FlowList *list)
{
    return (FlowVal){.type = V_TUPLE, .list = list};
}

static inline FlowVal val_dict(FlowDict *dict)
{
    return (FlowVal){.type = V_DICT, .dict = dict};
}

static inline bool val_is_string(FlowVal v)
{
    return v.type == V_STRING;
}

static inline bool val_is_markup(FlowVal v)
{
    return v.type == V_STRING && (v.flags & VAL_MARKUP) != 0;
}

/* A bool counts as an integer, as in Python. */
static inline bool val_is_integer(FlowVal v)
{
    return v.type == V_INT || v.type == V_BOOL || v.type == V_BIG;
}

static inline bool val_is_number(FlowVal v)
{
    return v.type >= V_BOOL && v.type <= V_FLOAT;
}

static inline bool val_is_mapping(FlowVal v)
{
    return v.type == V_DICT || v.type == V_OBJECT;
}

/* list, tuple, or an array of the context */
static inline bool val_is_list(FlowVal v)
{
    return v.type == V_LIST || v.type == V_TUPLE || v.type == V_ARRAY;
}

static inline bool val_given(FlowVal v)
{
    return v.type != V_MISSING;
}

/* "string", "list", "dict" ...: the word that messages use. */
const char *flow_val__type_name(FlowVal v);

#endif
