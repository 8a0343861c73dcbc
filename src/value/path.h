/*
 * path.h - paths into values: "a.b[0].c".
 *
 * A step is a key, an index in brackets (from 0; -1 is the last item) or a key in brackets as a JSON string,
 * for keys that contain dots, brackets, quotes or are empty: orders[0]["unit.price"]. On an array, a key that
 * is a number counts as its index: "items.0.name".
 */
#ifndef FLOW_VALUE_PATH_H
#define FLOW_VALUE_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "value/value.h"

enum { FLOW_PATH_MAX_STEPS = 64, FLOW_PATH_MAX_BYTES = 4096 };

/* A path that was parsed once. Immutable, so threads may share one. */
typedef struct FlowPath FlowPath;

/* FLOW_INVALID_ARGUMENT, reason INVALID_PATH, for what is no path; the empty text is none. */
FlowStatus flow_path_parse(const char *text, size_t length, FlowPath **ret_path, FlowError *reterr);
void flow_path_free(FlowPath *path);
/* flow_cleanup(flow_path_freep) */
void flow_path_freep(FlowPath **path);
/* The text as it was given; borrowed. */
const char *flow_path_text(const FlowPath *path);

/* What stands at the path: borrowed from `root`; NULL when nothing does. */
const FlowValue *flow_path_get(FlowValue root, const FlowPath *path);

/*
 * Puts a value at the path, copying what is shared on the way. Missing objects (also in the place of null)
 * are made; an index may be the array's count, which appends; an index beyond it is FLOW_OUT_OF_RANGE, so a
 * path can't make an array of a billion nulls. A scalar in the way, a key on an array:
 * FLOW_FAILED_PRECONDITION. Both name the part of the path.
 */
FlowStatus flow_path_set_take(FlowValue *root, const FlowPath *path, FlowValue value_take, FlowError *reterr);
/* Takes away what stands at the path. FLOW_OK when nothing does; *ret_removed (may be NULL) says which. */
FlowStatus flow_path_remove(FlowValue *root, const FlowPath *path, bool *ret_removed, FlowError *reterr);

/* The same for a text that is used once. A text that is no path: NULL. */
const FlowValue *flow_path_get_text(FlowValue root, const char *text);

/* Append one step as paths are shown: ".key" ("key" at the start), "[\"odd.key\"]", "[3]". */
void flow_path_append_key(FlowBuf *buf, const char *key, size_t length);
void flow_path_append_index(FlowBuf *buf, size_t index);

#endif
