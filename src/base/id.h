/*
 * id.h - ids and names: UUIDs that we make, the rule for ids that users give, percent-encoding, and "did you
 * mean".
 */
#ifndef FLOW_BASE_ID_H
#define FLOW_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    FLOW_UUID_TEXT = 37, /* 36 characters and the NUL */
    FLOW_ID_MAX = 128    /* longest id that a user may give, in bytes */
};

/* A version 7 UUID (RFC 9562) in lower case: sorts by `wall_ns`, the rest random. Any thread. */
void flow_uuid_make(int64_t wall_ns, char to[FLOW_UUID_TEXT]);
/* Any version, upper or lower case. */
bool flow_uuid_valid(const char *text, size_t len);

/* [A-Za-z0-9_.-]{1,128} */
bool flow_id_valid(const char *id, size_t len);
/* The characters of flow_id_valid() as they are, all others as %XX. */
void flow_id_encode(FlowBuf *to, const char *text, size_t len);

/*
 * The name among `count` that is nearest to `wanted` by edit distance (Damerau, optimal string alignment),
 * for "did you mean …?"; NULL when none is near enough (a third of its length, at least 1), or `wanted` is
 * longer than 64 bytes. Case does not count.
 */
const char *flow_nearest_name(const char *wanted, size_t len, const char *const *names, size_t count);

#endif
