#include "template/unicode.h"

#include "base/utf8.h"
#include "template/unicode_table.h"

static unsigned record_of(uint32_t c)
{
    return uni_block[(uint32_t)uni_top[c >> UNI_SHIFT] << UNI_SHIFT | (c & ((1u << UNI_SHIFT) - 1))];
}

bool flow_unicode__is(uint32_t c, unsigned properties)
{
    return c <= 0x10ffff && (uni_record[record_of(c)].flags & properties) != 0;
}

int flow_unicode__decimal(uint32_t c)
{
    return c <= 0x10ffff ? uni_record[record_of(c)].decimal : 0;
}

unsigned flow_unicode__map(uint32_t c, FlowCase to, uint32_t ret[3])
{
    ret[0] = c;
    if (c > 0x10ffff)
        return 1;
    unsigned r = record_of(c);
    if (uni_record[r].special != 0) {
        const uint32_t *mapped = uni_special[uni_record[r].special - 1][to];
        unsigned n = 0;
        while (n < 3 && mapped[n] != 0) {
            ret[n] = mapped[n];
            n++;
        }
        return n;
    }
    int32_t distance = to == CASE_UPPER   ? uni_record[r].upper
                       : to == CASE_TITLE ? uni_record[r].title
                                          : uni_record[r].lower;
    ret[0] = (uint32_t)((int32_t)c + distance);
    return 1;
}

static void put(FlowBuf *to, uint32_t c)
{
    char bytes[4];
    flow_buf_append(to, bytes, flow_utf8_encode(c, bytes));
}

static void put_mapped(FlowBuf *to, uint32_t c, FlowCase how)
{
    uint32_t mapped[3];
    unsigned n = flow_unicode__map(c, how, mapped);
    for (unsigned i = 0; i < n; i++)
        put(to, mapped[i]);
}

/* The sigma at text[at] ends a word: a cased character stands before it, none behind, case-ignorables apart. */
static bool is_final_sigma(const char *text, size_t len, size_t at, size_t size)
{
    bool before = false;
    for (size_t i = at; i > 0;) {
        do
            i--;
        while (i > 0 && ((uint8_t)text[i] & 0xc0) == 0x80);
        size_t n;
        uint32_t c = flow_utf8_decode(text + i, len - i, &n);
        if (flow_unicode__is(c, UNI_CASE_IGNORABLE))
            continue;
        before = flow_unicode__is(c, UNI_CASED);
        break;
    }
    if (!before)
        return false;
    for (size_t i = at + size; i < len;) {
        size_t n;
        uint32_t c = flow_utf8_decode(text + i, len - i, &n);
        i += n;
        if (flow_unicode__is(c, UNI_CASE_IGNORABLE))
            continue;
        return !flow_unicode__is(c, UNI_CASED);
    }
    return true;
}

enum { SIGMA = 0x3a3, FINAL_SIGMA = 0x3c2 };

static void put_lower(FlowBuf *to, uint32_t c, const char *text, size_t len, size_t at, size_t size)
{
    if (c == SIGMA && is_final_sigma(text, len, at, size))
        put(to, FINAL_SIGMA);
    else
        put_mapped(to, c, CASE_LOWER);
}

/*
 * Bytes that are ASCII go through the table-free path: it is what nearly all text is made of. `flip` is the
 * first letter of the range that changes case.
 */
static size_t ascii_run(FlowBuf *to, const char *text, size_t len, char first, char last)
{
    size_t n = 0;
    while (n < len && (uint8_t)text[n] < 0x80)
        n++;
    if (n == 0 || !flow_buf_reserve(to, n))
        return n;
    char *out = to->data + to->len;
    for (size_t i = 0; i < n; i++)
        out[i] = text[i] >= first && text[i] <= last ? (char)(text[i] ^ 0x20) : text[i];
    to->len += n;
    return n;
}

void flow_unicode__lower(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        i += ascii_run(to, text + i, len - i, 'A', 'Z');
        if (i >= len)
            break;
        size_t size;
        uint32_t c = flow_utf8_decode(text + i, len - i, &size);
        put_lower(to, c, text, len, i, size);
        i += size;
    }
}

void flow_unicode__upper(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        i += ascii_run(to, text + i, len - i, 'a', 'z');
        if (i >= len)
            break;
        size_t size;
        put_mapped(to, flow_utf8_decode(text + i, len - i, &size), CASE_UPPER);
        i += size;
    }
}

void flow_unicode__fold(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        i += ascii_run(to, text + i, len - i, 'A', 'Z');
        if (i >= len)
            break;
        size_t size;
        put_mapped(to, flow_utf8_decode(text + i, len - i, &size), CASE_FOLD);
        i += size;
    }
}

void flow_unicode__swapcase(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0, size; i < len; i += size) {
        uint32_t c = flow_utf8_decode(text + i, len - i, &size);
        if (flow_unicode__is(c, UNI_UPPER))
            put_lower(to, c, text, len, i, size);
        else if (flow_unicode__is(c, UNI_LOWER))
            put_mapped(to, c, CASE_UPPER);
        else
            put(to, c);
    }
}

void flow_unicode__capitalize(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0, size; i < len; i += size) {
        uint32_t c = flow_utf8_decode(text + i, len - i, &size);
        if (i == 0)
            put_mapped(to, c, CASE_TITLE);
        else
            put_lower(to, c, text, len, i, size);
    }
}

void flow_unicode__title(FlowBuf *to, const char *text, size_t len)
{
    bool inside = false;
    for (size_t i = 0, size; i < len; i += size) {
        uint32_t c = flow_utf8_decode(text + i, len - i, &size);
        if (inside)
            put_lower(to, c, text, len, i, size);
        else
            put_mapped(to, c, CASE_TITLE);
        inside = flow_unicode__is(c, UNI_CASED);
    }
}
