#include "base/utf8.h"

#include <string.h>

uint32_t flow_utf8_decode(const char *text, size_t len, size_t *ret_size)
{
    const unsigned char *p = (const unsigned char *)text;
    *ret_size = 1;
    if (len == 0)
        return FLOW_UTF8_INVALID;
    if (p[0] < 0x80)
        return p[0];
    /* The first continuation byte's range rules out overlong forms, surrogates and what is beyond U+10FFFF.
     */
    unsigned low = 0x80, high = 0xbf;
    size_t size;
    uint32_t code;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        size = 2, code = p[0] & 0x1f;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        size = 3, code = p[0] & 0x0f;
        if (p[0] == 0xe0)
            low = 0xa0;
        if (p[0] == 0xed)
            high = 0x9f;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        size = 4, code = p[0] & 0x07;
        if (p[0] == 0xf0)
            low = 0x90;
        if (p[0] == 0xf4)
            high = 0x8f;
    } else {
        return FLOW_UTF8_INVALID;
    }
    if (len < size || p[1] < low || p[1] > high)
        return FLOW_UTF8_INVALID;
    code = code << 6 | (p[1] & 0x3f);
    for (size_t i = 2; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return FLOW_UTF8_INVALID;
        code = code << 6 | (p[i] & 0x3f);
    }
    *ret_size = size;
    return code;
}

size_t flow_utf8_valid_prefix(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint64_t eight;
        if (len - i >= sizeof eight) {
            memcpy(&eight, text + i, sizeof eight);
            if ((eight & 0x8080808080808080) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        size_t size;
        if (flow_utf8_decode(text + i, len - i, &size) == FLOW_UTF8_INVALID)
            return i;
        i += size;
    }
    return len;
}

bool flow_utf8_valid(const char *text, size_t len)
{
    return flow_utf8_valid_prefix(text, len) == len;
}

size_t flow_utf8_encode(uint32_t code, char to[4])
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        if (code >= 0xd800 && code <= 0xdfff)
            return 0;
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    if (code > 0x10ffff)
        return 0;
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t flow_utf8_count(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

size_t flow_utf8_offset(const char *text, size_t len, size_t index)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80 && index-- == 0)
            return i;
    return len;
}
