/*
 * unicode.h - what Python's str knows about characters (Unicode 14): classes and full case mapping. The
 * tables are made by tools/tables/unicode_table.py. Private to this room and to forms, which cleans text as
 * Python does.
 */
#ifndef FLOW_TEMPLATE_UNICODE_H
#define FLOW_TEMPLATE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    UNI_ALPHA = 1 << 0,
    UNI_DECIMAL = 1 << 1,
    UNI_DIGIT = 1 << 2,
    UNI_NUMERIC = 1 << 3,
    UNI_SPACE = 1 << 4,
    UNI_PRINTABLE = 1 << 5,
    UNI_LOWER = 1 << 6,
    UNI_UPPER = 1 << 7,
    UNI_TITLE = 1 << 8,
    UNI_CASED = 1 << 9,
    UNI_CASE_IGNORABLE = 1 << 10,
    UNI_ID_START = 1 << 11,
    UNI_ID_CONTINUE = 1 << 12,
    UNI_ALNUM = UNI_ALPHA | UNI_DECIMAL | UNI_DIGIT | UNI_NUMERIC
};

/* Has the character any of these properties? False beyond U+10FFFF. */
bool flow_unicode__is(uint32_t c, unsigned properties);
/* The value of a decimal digit (property UNI_DECIMAL). */
int flow_unicode__decimal(uint32_t c);

typedef enum FlowCase { CASE_LOWER, CASE_UPPER, CASE_TITLE, CASE_FOLD } FlowCase;

/* The mapping of one character, up to three; answers how many. */
unsigned flow_unicode__map(uint32_t c, FlowCase to, uint32_t ret[3]);

/* Whole strings of valid UTF-8, as Python's methods of these names do it (final sigma included). */
void flow_unicode__lower(FlowBuf *to, const char *text, size_t len);
void flow_unicode__upper(FlowBuf *to, const char *text, size_t len);
void flow_unicode__fold(FlowBuf *to, const char *text, size_t len);
void flow_unicode__swapcase(FlowBuf *to, const char *text, size_t len);
/* First character in title case, the rest lower. */
void flow_unicode__capitalize(FlowBuf *to, const char *text, size_t len);
/* str.title(): words begin behind anything that has no case. */
void flow_unicode__title(FlowBuf *to, const char *text, size_t len);

#endif
