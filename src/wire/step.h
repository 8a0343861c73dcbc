/* step.h - where a reader or writer stands in a message: a chain on the C stack, written out when something is wrong. */
#ifndef FLOW_WIRE_STEP_H
#define FLOW_WIRE_STEP_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "wire/descriptors.h"

typedef struct FlowStep {
    const struct FlowStep *up;
    const char *key; /* NULL: an index */
    size_t len;      /* of the key, or the index */
} FlowStep;

/* The path's text, "a.b[0]", behind `field` (may be NULL). Initialises `buf`, which the caller frees. Never NULL. */
const char *flow_step_text(FlowBuf *buf, const char *field, const FlowStep *step);

/* INVALID_ARGUMENT, "PATH: what"; `where` is the path. */
FlowStatus flow_step_refuse(FlowError *reterr, const char *reason, const char *field, const FlowStep *step,
                            const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Whether the message's JSON form is not an object of its fields: in an Any it stands under "value". */
static inline bool flow_wire__has_own_json(const FlowWireMessage *type)
{
    return type->kind != FLOW_WIRE_ORDINARY && type->kind != FLOW_WIRE_EMPTY &&
           type->kind != FLOW_WIRE_HTTP_BODY;
}

#endif
