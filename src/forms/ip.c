/* ip.c - IP addresses as Python's ipaddress module reads and prints them: stricter than inet_pton(). */
#include "forms/internal.h"

#include <stdio.h>
#include <string.h>

bool flow_ip__v4(const char *text, size_t len, uint8_t ret_address[4])
{
    uint8_t address[4];
    size_t at = 0;
    for (int octet = 0; octet < 4; octet++) {
        unsigned number = 0;
        size_t from = at;
        while (at < len && text[at] >= '0' && text[at] <= '9' && at - from < 3)
            number = number * 10 + (unsigned)(text[at++] - '0');
        /* 010 could be meant as octal: refused. */
        if (at == from || number > 255 || (at - from > 1 && text[from] == '0'))
            return false;
        address[octet] = (uint8_t)number;
        if (octet < 3 && (at == len || text[at++] != '.'))
            return false;
    }
    if (at != len)
        return false;
    memcpy(ret_address, address, sizeof address);
    return true;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* One group of up to four hexadecimal digits. */
static bool read_group(const char *text, size_t len, uint8_t to[2])
{
    unsigned number = 0;
    if (len == 0 || len > 4)
        return false;
    for (size_t i = 0; i < len; i++) {
        int digit = hex_of(text[i]);
        if (digit < 0)
            return false;
        number = number << 4 | (unsigned)digit;
    }
    to[0] = (uint8_t)(number >> 8);
    to[1] = (uint8_t)number;
    return true;
}

typedef struct Part {
    const char *text;
    size_t len;
} Part;

/* Cuts at colons: at most nine parts, as "1:2:3:4:5:6:7::" has. */
static size_t split_colons(const char *text, size_t len, Part parts[9])
{
    size_t count = 0;
    for (;;) {
        const char *colon = memchr(text, ':', len);
        if (count == 9)
            return 0;
        parts[count++] = (Part){text, colon != NULL ? (size_t)(colon - text) : len};
        if (colon == NULL)
            return count;
        len -= (size_t)(colon - text) + 1;
        text = colon + 1;
    }
}

/* The text without "%scope"; false when the scope is empty or strange. */
static bool drop_scope(const char *text, size_t *len)
{
    const char *percent = memchr(text, '%', *len);
    if (percent == NULL)
        return true;
    size_t scope = *len - (size_t)(percent - text) - 1;
    if (scope == 0 || memchr(percent + 1, '%', scope) != NULL || memchr(percent + 1, '/', scope) != NULL)
        return false;
    *len = (size_t)(percent - text);
    return true;
}

bool flow_ip__v6(const char *text, size_t len, uint8_t ret_address[16])
{
    Part parts[9];
    uint8_t address[16] = {0}, v4[4];
    if (!drop_scope(text, &len))
        return false;
    size_t count = split_colons(text, len, parts), groups = 8;
    if (count < 3)
        return false;
    const Part *last = &parts[count - 1];
    bool dotted = memchr(last->text, '.', last->len) != NULL;
    if (dotted) {
        if (!flow_ip__v4(last->text, last->len, v4))
            return false;
        memcpy(address + 12, v4, sizeof v4);
        groups = 6; /* the dotted part stands for two of the eight */
        count--;
    }
    /* The "::" is an empty part with a neighbour on each side, or at the very beginning or end. */
    size_t gap = SIZE_MAX;
    for (size_t i = 1; i + (dotted ? 0 : 1) < count; i++)
        if (parts[i].len == 0) {
            if (gap != SIZE_MAX)
                return false;
            gap = i;
        }
    size_t high = count, low = 0;
    if (gap != SIZE_MAX) {
        high = gap;
        low = count - gap - 1;
        if (parts[0].len == 0 && --high != 0)
            return false;
        if (!dotted && parts[count - 1].len == 0 && --low != 0)
            return false;
        if (high + low >= groups)
            return false;
    } else if (count != groups) {
        return false;
    }
    for (size_t i = 0; i < high; i++)
        if (!read_group(parts[i].text, parts[i].len, address + 2 * i))
            return false;
    for (size_t i = 0; i < low; i++) {
        const Part *part = &parts[gap + 1 + i];
        if (!read_group(part->text, part->len, address + 2 * (groups - low + i)))
            return false;
    }
    memcpy(ret_address, address, sizeof address);
    return true;
}

size_t flow_ip__print_v6(const uint8_t address[16], char to[64])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (memcmp(address, mapped, sizeof mapped) == 0)
        return (size_t)snprintf(to, 64, "::ffff:%u.%u.%u.%u", address[12], address[13], address[14],
                                address[15]);
    unsigned groups[8];
    int best = -1, best_len = 1; /* a single zero is not worth a "::" */
    for (int i = 0; i < 8; i++)
        groups[i] = (unsigned)address[2 * i] << 8 | address[2 * i + 1];
    for (int i = 0; i < 8; i++) {
        int zeros = 0;
        while (i + zeros < 8 && groups[i + zeros] == 0)
            zeros++;
        if (zeros > best_len) {
            best = i;
            best_len = zeros;
        }
    }
    size_t at = 0;
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            at += (size_t)snprintf(to + at, 64 - at, "::");
            i += best_len - 1;
            continue;
        }
        /* Without a "::" (best -1, best_len 1) this is: before every group but the first. */
        const char *colon = i > 0 && i != best + best_len ? ":" : "";
        at += (size_t)snprintf(to + at, 64 - at, "%s%x", colon, groups[i]);
    }
    return at;
}
