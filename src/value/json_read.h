/* json_read.h - the reader's state and its ways to fail; private to the value room. */
#ifndef FLOW_VALUE_JSON_READ_H
#define FLOW_VALUE_JSON_READ_H

#include "value/json.h"

/* An array or object whose closing bracket was not reached yet. */
typedef struct FlowJsonFrame {
    size_t start;     /* where its parts begin on the stack */
    const char *open; /* its bracket */
    bool is_object;
} FlowJsonFrame;

typedef struct FlowJsonReader {
    const char *text, *end;
    FlowValue *stack, *top, *stack_end;
    unsigned depth, depth_limit, flags;
    size_t values_left, values_limit;
    char *scratch; /* for strings with escapes */
    size_t scratch_capacity;
    FlowStatus status; /* why the reader stopped */
    FlowError *reterr;
    FlowJsonFrame frames[FLOW_VALUE_MAX_DEPTH];
    FlowValue first[256]; /* the stack until it needs more */
} FlowJsonReader;

/*
 * All of these answer NULL, which is where the reader goes on after a failure: nowhere. The status is
 * INVALID_ARGUMENT, `where` line and column of `at`, and the path stands before the message.
 */
const char *flow_json__fail(FlowJsonReader *r, const char *at, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
/* Something else stands where there should be ... */
const char *flow_json__fail_value(FlowJsonReader *r, const char *at) __attribute__((cold));
const char *flow_json__fail_key(FlowJsonReader *r, const char *at) __attribute__((cold));
const char *flow_json__fail_colon(FlowJsonReader *r, const char *at) __attribute__((cold));
const char *flow_json__fail_separator(FlowJsonReader *r, const char *at) __attribute__((cold));
const char *flow_json__fail_trailing(FlowJsonReader *r, const char *at) __attribute__((cold));
/* The member at `position` of the innermost object has a key that came before. */
const char *flow_json__fail_duplicate(FlowJsonReader *r, const FlowValue *key, size_t position)
    __attribute__((cold));

#endif
