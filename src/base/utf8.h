/* utf8.h - UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef FLOW_BASE_UTF8_H
#define FLOW_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLOW_UTF8_MAX = 4, FLOW_UTF8_INVALID = 0xffffffff };

bool flow_utf8_valid(const char *text, size_t len);
/* Offset of the first byte that is not UTF-8; len when all is well. */
size_t flow_utf8_valid_prefix(const char *text, size_t len);
/* The code point at `text`, its length in *ret_size (1 to 4). FLOW_UTF8_INVALID (and size 1) where there is
 * none. */
uint32_t flow_utf8_decode(const char *text, size_t len, size_t *ret_size);
/* Writes up to 4 bytes, answers how many; 0 for what is no code point. */
size_t flow_utf8_encode(uint32_t code_point, char to[4]);
/* Code points in valid UTF-8. */
size_t flow_utf8_count(const char *text, size_t len);
/* Byte offset of the index-th code point in valid UTF-8; len when there are fewer. */
size_t flow_utf8_offset(const char *text, size_t len, size_t index);

#endif
