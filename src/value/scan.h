/* scan.h - finding the end of what a JSON string may hold as it is; private to the value room. */
#ifndef FLOW_VALUE_SCAN_H
#define FLOW_VALUE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { FLOW_SCAN_STEP = 16 };

/* Bit i: byte i of these 16 is a quote, a backslash or a control character. *ret_high: bit i: it isn't ASCII.
 */
static inline uint32_t flow_scan__special(const char *p, uint32_t *ret_high)
{
#ifdef __SSE2__
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    *ret_high = (uint32_t)_mm_movemask_epi8(bytes);
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control));
#else
    uint32_t special = 0, high = 0;
    for (unsigned i = 0; i < FLOW_SCAN_STEP; i++) {
        unsigned char c = (unsigned char)p[i];
        special |= (uint32_t)(c == '"' || c == '\\' || c < 0x20) << i;
        high |= (uint32_t)(c >> 7) << i;
    }
    *ret_high = high;
    return special;
#endif
}

/* The first quote, backslash or control character from `p` on, or `end`. *high is set when what lies before
 * isn't ASCII. */
static inline const char *flow_scan__plain(const char *p, const char *end, bool *high)
{
    for (; end - p >= FLOW_SCAN_STEP; p += FLOW_SCAN_STEP) {
        uint32_t high_bits, special = flow_scan__special(p, &high_bits);
        if (special != 0) {
            unsigned length = (unsigned)__builtin_ctz(special);
            *high |= (high_bits & ((1u << length) - 1)) != 0;
            return p + length;
        }
        *high |= high_bits != 0;
    }
    for (; p < end; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\' || c < 0x20)
            break;
        *high |= c >= 0x80;
    }
    return p;
}

#endif
