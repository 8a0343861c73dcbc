/*
 * host.c - host names in addresses and URLs: labels, top-level domains, and names in other scripts, which are
 * judged by their ASCII form (IDNA 2003: "bücher.de" is "xn--bcher-kva.de"). Of the preparation that IDNA
 * asks for we do the part that decides whether a name is valid, not the normalisation: the name itself stays
 * as it was entered.
 */
#include "forms/internal.h"

#include <string.h>
#include <strings.h>

#include "base/utf8.h"

enum { LABEL_MAX = 63, ACE_MAX = 512 };

/* Characters that normalise to something with an ASCII character no host name may have: first, last. */
static const uint32_t forbidden[][2] = {
    {0xa8, 0xa8},       {0xaf, 0xaf},      {0xb4, 0xb4},     {0xb8, 0xb8},     {0x2d8, 0x2dd},
    {0x340, 0x341},     {0x37a, 0x37a},    {0x37e, 0x37e},   {0x384, 0x385},   {0x1fbd, 0x1fbd},
    {0x1fbf, 0x1fc1},   {0x1fcd, 0x1fcf},  {0x1fdd, 0x1fdf}, {0x1fed, 0x1fef}, {0x1ffd, 0x1ffe},
    {0x2017, 0x2017},   {0x2024, 0x2026},  {0x203c, 0x203c}, {0x203e, 0x203e}, {0x2047, 0x2049},
    {0x207a, 0x207a},   {0x207c, 0x207e},  {0x208a, 0x208a}, {0x208c, 0x208e}, {0x2100, 0x2101},
    {0x2105, 0x2106},   {0x2474, 0x24b5},  {0x2a74, 0x2a76}, {0x2ff0, 0x2ffb}, {0x309b, 0x309c},
    {0x3200, 0x321e},   {0x3220, 0x3243},  {0x33c2, 0x33c2}, {0x33c7, 0x33c7}, {0x33d8, 0x33d8},
    {0xfb29, 0xfb29},   {0xfc5e, 0xfc63},  {0xfdfa, 0xfdfb}, {0xfe10, 0xfe10}, {0xfe13, 0xfe16},
    {0xfe19, 0xfe19},   {0xfe30, 0xfe30},  {0xfe33, 0xfe38}, {0xfe47, 0xfe50}, {0xfe52, 0xfe52},
    {0xfe54, 0xfe57},   {0xfe59, 0xfe5c},  {0xfe5f, 0xfe62}, {0xfe64, 0xfe66}, {0xfe68, 0xfe6b},
    {0xfe70, 0xfe70},   {0xfe72, 0xfe72},  {0xfe74, 0xfe74}, {0xfe76, 0xfe76}, {0xfe78, 0xfe78},
    {0xfe7a, 0xfe7a},   {0xfe7c, 0xfe7c},  {0xfe7e, 0xfe7e}, {0xff01, 0xff0c}, {0xff0e, 0xff0f},
    {0xff1a, 0xff20},   {0xff3b, 0xff40},  {0xff5b, 0xff5e}, {0xffe3, 0xffe3}, {0xfff9, 0xfffd},
    {0x1f100, 0x1f10a}, {0x1f110, 0x1f129}};

static bool is_forbidden(uint32_t c)
{
    size_t low = 0, high = FLOW_COUNT(forbidden);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c < forbidden[middle][0])
            high = middle;
        else if (c > forbidden[middle][1])
            low = middle + 1;
        else
            return true;
    }
    return flow_py__is_space(c) || !flow_py__is_printable(c);
}

/* Punycode (RFC 3492): one digit, and how the bias moves. */
static char digit(uint32_t number)
{
    return (char)(number < 26 ? 'a' + number : '0' + number - 26);
}

static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / 700 : delta / 2;
    for (delta += delta / points; delta > 455; k += 36)
        delta /= 35;
    return k + 36 * delta / (delta + 38);
}

/* "xn--" and the label's Punycode; its length, 0 when it would be longer than a label may be. */
static size_t punycode(const uint32_t *points, size_t count, char to[LABEL_MAX + 1])
{
    size_t len = 4, done = 0, basic;
    uint32_t n = 0x80, delta = 0, bias = 72;
    memcpy(to, "xn--", 4);
    for (size_t i = 0; i < count; i++)
        if (points[i] < 0x80) {
            if (len >= LABEL_MAX)
                return 0;
            to[len++] = (char)points[i];
        }
    basic = done = len - 4;
    if (basic > 0) {
        if (len >= LABEL_MAX)
            return 0;
        to[len++] = '-';
    }
    while (done < count) {
        uint32_t next = UINT32_MAX;
        for (size_t i = 0; i < count; i++)
            if (points[i] >= n && points[i] < next)
                next = points[i];
        delta += (next - n) * (uint32_t)(done + 1); /* at most 0x10ffff * 64: no overflow */
        n = next;
        for (size_t i = 0; i < count; i++) {
            if (points[i] < n)
                delta++;
            if (points[i] != n)
                continue;
            uint32_t q = delta;
            for (uint32_t k = 36;; k += 36) {
                uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
                if (len >= LABEL_MAX)
                    return 0;
                if (q < t) {
                    to[len++] = digit(q);
                    break;
                }
                to[len++] = digit(t + (q - t) % (36 - t));
                q = (q - t) / (36 - t);
            }
            bias = adapt(delta, (uint32_t)(done + 1), done == basic);
            delta = 0;
            done++;
        }
        delta++;
        n++;
    }
    return len;
}

static bool is_dot(uint32_t c)
{
    return c == '.' || c == 0x3002 || c == 0xff0e || c == 0xff61;
}

/* One label's ASCII form, appended. */
static bool append_label(const char *text, size_t len, FlowBuf *to)
{
    uint32_t points[LABEL_MAX];
    char ace[LABEL_MAX + 1];
    size_t count = 0, size;
    bool ascii = true;
    for (size_t i = 0; i < len; i += size) {
        uint32_t c = flow_utf8_decode(text + i, len - i, &size);
        ascii = ascii && c < 0x80;
        if (count == LABEL_MAX || (c >= 0x80 && is_forbidden(c)))
            return false;
        points[count++] = c;
    }
    if (count == 0)
        return false;
    if (ascii) {
        flow_buf_append(to, text, len);
        return true;
    }
    for (size_t i = 0; i < count; i++)
        if (points[i] >= 'A' && points[i] <= 'Z')
            points[i] += 'a' - 'A';
    size_t ace_len = punycode(points, count, ace);
    flow_buf_append(to, ace, ace_len);
    return ace_len > 0;
}

bool flow_host__to_ascii(const char *text, size_t len, FlowBuf *to)
{
    size_t from = 0, size;
    for (size_t i = 0; i < len; i += size) {
        if (!is_dot(flow_utf8_decode(text + i, len - i, &size)))
            continue;
        if (!append_label(text + from, i - from, to))
            return false;
        flow_buf_byte(to, '.');
        from = i + size;
    }
    /* A dot at the end is fine: the root of all names. */
    return (from == len && len > 0) || append_label(text + from, len - from, to);
}

/* ASCII letters, and the four others that a case-insensitive [a-z] of Python matches. */
static bool is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == 0x130 || c == 0x131 || c == 0x17f ||
           c == 0x212a;
}

static bool is_email_char(uint32_t c)
{
    return is_letter(c) || (c >= '0' && c <= '9');
}

/* Letters and signs of all scripts in the basic plane count in URLs. */
static bool is_url_char(uint32_t c)
{
    return is_email_char(c) || (c >= 0xa1 && c <= 0xffff);
}

static bool is_url_letter(uint32_t c)
{
    return is_letter(c) || (c >= 0xa1 && c <= 0xffff);
}

/* All characters are `allowed` or hyphens, between min and max of them; hyphens not at the ends asked for. */
static bool label_fits(const char *text, size_t len, bool (*allowed)(uint32_t), size_t min, size_t max,
                       bool hyphen_first)
{
    size_t count = 0, size;
    uint32_t c = '-';
    for (size_t i = 0; i < len; i += size, count++) {
        c = flow_utf8_decode(text + i, len - i, &size);
        if (!allowed(c) && (c != '-' || (i == 0 && !hyphen_first)))
            return false;
    }
    return count >= min && count <= max && c != '-';
}

/* Calls out the labels between dots: *at moves behind the next dot. */
static bool next_label(const char **at, const char *end, const char **ret_label, size_t *ret_len)
{
    if (*at > end)
        return false;
    const char *dot = memchr(*at, '.', (size_t)(end - *at));
    *ret_label = *at;
    *ret_len = (size_t)((dot != NULL ? dot : end) - *at);
    *at = dot != NULL ? dot + 1 : end + 1;
    return true;
}

bool flow_host__email_domain(const char *text, size_t len)
{
    const char *at = text, *end = text + len, *label;
    size_t label_len, labels = 0;
    while (next_label(&at, end, &label, &label_len)) {
        bool last = at > end;
        if (last ? !label_fits(label, label_len, is_email_char, 2, LABEL_MAX, true)
                 : !label_fits(label, label_len, is_email_char, 1, LABEL_MAX, false))
            return false;
        labels++;
    }
    return labels >= 2;
}

bool flow_host__url_host(const char *text, size_t len)
{
    const char *at = text, *label;
    size_t label_len, labels = 0;
    if (len == 9 && strncasecmp(text, "localhost", 9) == 0)
        return true;
    if (len > 0 && text[len - 1] == '.')
        len--;
    const char *end = text + len;
    while (next_label(&at, end, &label, &label_len)) {
        bool fits = label_fits(label, label_len, is_url_char, 1, LABEL_MAX, false);
        if (at > end)
            fits = labels > 0 &&
                   (label_fits(label, label_len, is_url_letter, 2, LABEL_MAX, false) ||
                    (label_len > 4 && strncasecmp(label, "xn--", 4) == 0 &&
                     memchr(label + 4, '-', label_len - 4) == NULL &&
                     label_fits(label + 4, label_len - 4, is_email_char, 1, LABEL_MAX - 4, false)));
        if (!fits)
            return false;
        labels++;
    }
    return labels >= 2;
}
