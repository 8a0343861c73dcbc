#include "base/id.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

/* Random bytes are drawn in bulk: a system call per id would cost more than all the rest of making one. */
static void random_16(unsigned char to[16])
{
    static _Thread_local unsigned char pool[1024];
    static _Thread_local size_t left;
    if (left == 0) {
        flow_random_bytes(pool, sizeof pool);
        left = sizeof pool;
    }
    left -= 16;
    memcpy(to, pool + left, 16);
    memset(pool + left, 0, 16);
}

void flow_uuid_make(int64_t wall_ns, char to[FLOW_UUID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char b[16];
    random_16(b);
    uint64_t ms = (uint64_t)(wall_ns / 1000000);
    for (int i = 0; i < 6; i++)
        b[i] = (unsigned char)(ms >> (40 - 8 * i));
    b[6] = (unsigned char)(0x70 | (b[6] & 0x0f));
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
    char *out = to;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[b[i] >> 4];
        *out++ = digits[b[i] & 15];
    }
    *out = '\0';
}

bool flow_uuid_valid(const char *text, size_t len)
{
    if (len != FLOW_UUID_TEXT - 1)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    }
    return true;
}

static bool plain(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '.' || c == '-';
}

bool flow_id_valid(const char *id, size_t len)
{
    if (len == 0 || len > FLOW_ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!plain((unsigned char)id[i]))
            return false;
    return true;
}

void flow_id_encode(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (plain((unsigned char)text[i]))
            flow_buf_byte(to, text[i]);
        else
            flow_buf_printf(to, "%%%02X", (unsigned char)text[i]);
    }
}

enum { NAME_MAX_COMPARED = 64 };

static int smallest(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

static int distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int rows[3][NAME_MAX_COMPARED + 1];
    int *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        last[j] = (int)j;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = (int)i;
        for (size_t j = 1; j <= b_len; j++) {
            int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
            now[j] = smallest(last[j] + 1, now[j - 1] + 1, last[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        int *oldest = before;
        before = last, last = now, now = oldest;
    }
    return last[b_len];
}

const char *flow_nearest_name(const char *wanted, size_t len, const char *const *names, size_t count)
{
    if (len > NAME_MAX_COMPARED)
        return NULL;
    const char *nearest = NULL;
    int best = len > 3 ? (int)(len / 3) : 1;
    for (size_t i = 0; i < count; i++) {
        size_t name_len = strlen(names[i]);
        if (name_len > NAME_MAX_COMPARED)
            continue;
        int d = distance(wanted, len, names[i], name_len);
        if (d < best || (d == best && nearest == NULL)) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}
