/*
 * json.h - JSON text to values and back.
 *
 * Reading is strict RFC 8259: one value, valid UTF-8, no comments, no trailing commas, nothing behind the
 * value, and bounded in bytes, depth and number of values. "1" is an INT, "1.0" and "1e0" are FLOATs; -0 is
 * the INT 0, -0.0 a FLOAT. Writing keeps that: an INT has no point, a FLOAT always has a point or an
 * exponent, so that reading gives the same value. All of it may be called from any thread.
 */
#ifndef FLOW_VALUE_JSON_H
#define FLOW_VALUE_JSON_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "value/value.h"

enum { FLOW_JSON_DEFAULT_BYTES = 64 << 20, FLOW_JSON_DEFAULT_VALUES = 4 << 20, FLOW_JSON_DEFAULT_DEPTH = 32 };

enum {
    FLOW_JSON_READ_DUPLICATES =
        1 << 0, /* the last of equal keys wins, at the first one's place; else an error */
    FLOW_JSON_READ_BIG_AS_FLOAT = 1 << 1, /* integers beyond int64 become the nearest FLOAT; else an error */
    FLOW_JSON_READ_NO_NUL = 1 << 2, /* \u0000 in a string is an error; else it is a character like others */
};

/* A bound of 0 means the default above. */
typedef struct FlowJsonLimits {
    size_t bytes;   /* of text */
    size_t values;  /* scalars, arrays, objects and keys */
    unsigned depth; /* of nesting; at most FLOW_VALUE_MAX_DEPTH */
    unsigned flags; /* FLOW_JSON_READ_* */
} FlowJsonLimits;

/*
 * Reads exactly one value. `limits` may be NULL for the defaults. Errors: `where` is "line:column" (both from
 * 1, columns count characters), the message says the path, what is wrong and what to do. Reasons:
 * INVALID_JSON, DUPLICATE_KEY, NUMBER_TOO_LARGE (these FLOW_INVALID_ARGUMENT), JSON_TOO_DEEP, JSON_TOO_LARGE
 * (FLOW_RESOURCE_EXHAUSTED for memory, otherwise FLOW_INVALID_ARGUMENT).
 */
FlowStatus flow_json_read(const char *text, size_t length, const FlowJsonLimits *limits, FlowValue *ret_value,
                          FlowError *reterr);

enum {
    FLOW_JSON_WRITE_PRETTY = 1 << 0,    /* two spaces per level, "key": value; no newline at the end */
    FLOW_JSON_WRITE_SORTED = 1 << 1,    /* members by the bytes of their keys */
    FLOW_JSON_WRITE_ASCII = 1 << 2,     /* everything beyond ASCII as \uXXXX */
    FLOW_JSON_WRITE_SAFE_INTS = 1 << 3, /* integers beyond +-2^53 as decimal strings */
    FLOW_JSON_WRITE_NONFINITE_NULL = 1
                                     << 4, /* NaN and infinities as null; else an error that names the path */
    FLOW_JSON_WRITE_SPACED = 1 << 5,       /* on one line, with ", " and ": " as Python's json.dumps() */
};

/*
 * Appends the text. FLOW_INVALID_ARGUMENT for a NaN or infinity (reason NOT_FINITE), FLOW_RESOURCE_EXHAUSTED
 * when the buffer reaches its limit; what was appended until then stays.
 */
FlowStatus flow_json_write(FlowValue value, FlowBuf *buf, unsigned flags, FlowError *reterr);

enum { FLOW_JSON_MAX_INEXACT_PATHS = 1000 };

/*
 * The same with FLOW_JSON_WRITE_SAFE_INTS, and the path of each integer that became a string is pushed to the
 * array in `inexact_paths` ("a.b[0]"); the first FLOW_JSON_MAX_INEXACT_PATHS of them.
 */
FlowStatus flow_json_write_safe(FlowValue value, FlowBuf *buf, unsigned flags, FlowValue *inexact_paths,
                                FlowError *reterr);

/* Appends a quoted and escaped string; `flags` may hold FLOW_JSON_WRITE_ASCII. */
void flow_json_write_string(FlowBuf *buf, const char *text, size_t length, unsigned flags);

/* The text, NUL-terminated, yours to free(); NaN and infinities are null. NULL when memory runs out. */
char *flow_json_text(FlowValue value, unsigned flags);

#endif
