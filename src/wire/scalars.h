/* scalars.h - texts of proto3 JSON that stand for a message or bytes: Timestamp, Duration, FieldMask, base64. */
#ifndef FLOW_WIRE_SCALARS_H
#define FLOW_WIRE_SCALARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { FLOW_TIMESTAMP_TEXT = 64, FLOW_DURATION_TEXT = 64 };

/* RFC 3339 in UTC with 0, 3, 6 or 9 digits after the point. False outside the years 0001 to 9999 or 0..999,999,999 ns. */
bool flow_timestamp_format(int64_t seconds, int32_t nanos, char to[FLOW_TIMESTAMP_TEXT]);
/* RFC 3339 with any offset and up to 9 digits; anything else is refused. */
bool flow_timestamp_parse(const char *text, size_t len, int64_t *ret_seconds, int32_t *ret_nanos);

/* "-1.500s". False beyond ±10,000 years, or when the signs of both parts differ. */
bool flow_duration_format(int64_t seconds, int32_t nanos, char to[FLOW_DURATION_TEXT]);
bool flow_duration_parse(const char *text, size_t len, int64_t *ret_seconds, int32_t *ret_nanos);

/* "user.displayName" from "user.display_name"; false when that could not be turned back. */
bool flow_camel_from_snake(FlowBuf *to, const char *text, size_t len);
/* The other way; false for text with an underscore or another character that no path has. */
bool flow_snake_from_camel(FlowBuf *to, const char *text, size_t len);

void flow_base64_encode(FlowBuf *to, const void *bytes, size_t len);
/* Standard and URL-safe alphabet, with or without padding. False for anything else; appends nothing then. */
bool flow_base64_decode(FlowBuf *to, const char *text, size_t len);

#endif
