/* path_steps.h - a path taken apart; private to the value room. */
#ifndef FLOW_VALUE_PATH_STEPS_H
#define FLOW_VALUE_PATH_STEPS_H

#include "value/path.h"

/* A key and, where it is a number, what it is as an index for an array; or [n], which has no key. */
typedef struct FlowPathStep {
    FlowValue key; /* null for [n] */
    int64_t index;
    bool has_index;
    size_t end; /* of this step in the text: errors show the path up to here */
} FlowPathStep;

struct FlowPath {
    size_t count;
    char *text;
    FlowPathStep steps[FLOW_PATH_MAX_STEPS]; /* only `count` of them are allocated */
};

/* The position in an array of `count`; -1 when the step names none. */
static inline int64_t flow_path__position(const FlowPathStep *step, size_t count)
{
    if (!step->has_index)
        return -1;
    int64_t index = step->index < 0 ? step->index + (int64_t)count : step->index;
    return index >= 0 && index < (int64_t)count ? index : -1;
}

/* What the step leads to in this array or object; NULL for nothing. */
const FlowValue *flow_path__part(FlowValue from, const FlowPathStep *step);

#endif
