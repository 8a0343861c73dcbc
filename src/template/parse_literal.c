/* parse_literal.c - numbers, strings with their escapes, and names. */
#include <stdlib.h>

#include "base/utf8.h"
#include "template/big.h"
#include "template/parse.h"
#include "value/number.h"

static FlowAst *constant(FlowParser *p, size_t at, FlowVal value)
{
    FlowAst *node = flow_parse__node(p, AST_CONST, at);
    if (node != NULL)
        node->value = value;
    return node;
}

static void *take(FlowParser *p, size_t size)
{
    void *memory = flow_arena_alloc(p->arena, size);
    if (memory == NULL)
        flow_parse__limit(p, p->token.at, "the template needs too much memory to compile");
    return memory;
}

/* Without the underscores between digits, NUL-terminated. */
static char *plain_digits(FlowParser *p, FlowToken t)
{
    char *plain = take(p, flow_token__length(t) + 1);
    size_t n = 0;
    for (size_t i = 0; plain != NULL && i < flow_token__length(t); i++) {
        if (flow_token__begin(p, t)[i] != '_')
            plain[n++] = flow_token__begin(p, t)[i];
    }
    if (plain != NULL)
        plain[n] = '\0';
    return plain;
}

FlowAst *flow_parse__integer(FlowParser *p)
{
    FlowToken t = p->token;
    char *digits = plain_digits(p, t);
    if (digits == NULL)
        return NULL;
    FlowVal value;
    if (!flow_big__parse_literal(p->arena, digits, &value))
        return flow_parse__limit(p, t.at, "this integer is too large");
    flow_parse__advance(p);
    return constant(p, t.at, value);
}

FlowAst *flow_parse__float(FlowParser *p)
{
    FlowToken t = p->token;
    char *digits = plain_digits(p, t);
    if (digits == NULL)
        return NULL;
    double number = 0;
    if (!flow_parse_double(digits, strlen(digits), &number))
        return flow_parse__fail(p, t.at, "this is no number");
    flow_parse__advance(p);
    return constant(p, t.at, val_float(number));
}

static int hex_digits(const char *text, size_t len, uint32_t *ret)
{
    uint32_t value = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9'                     ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | (uint32_t)digit;
    }
    *ret = value;
    return 0;
}

/* A code point from \x, \u or \U; surrogate halves in a row become one character. */
static bool put_escaped(FlowParser *p, FlowToken t, uint32_t c, char *out, size_t *n)
{
    if (c >= 0xdc00 && c <= 0xdfff && *n >= 3 && (uint8_t)out[*n - 3] == 0xed &&
        (uint8_t)out[*n - 2] >= 0xa0 && (uint8_t)out[*n - 2] < 0xb0) {
        uint32_t high = 0xd000 | ((uint32_t)out[*n - 2] & 0x3f) << 6 | ((uint32_t)out[*n - 1] & 0x3f);
        c = 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00);
        *n -= 3;
    } else if (c >= 0xd800 && c <= 0xdfff) { /* a half: kept in this form until its other half comes */
        out[(*n)++] = (char)0xed;
        out[(*n)++] = (char)(0x80 | (c >> 6 & 0x3f));
        out[(*n)++] = (char)(0x80 | (c & 0x3f));
        return true;
    }
    char bytes[4];
    size_t size = flow_utf8_encode(c, bytes);
    if (size == 0) {
        flow_parse__fail(p, t.at, "illegal Unicode character in this string");
        return false;
    }
    memcpy(out + *n, bytes, size);
    *n += size;
    return true;
}

/* Resolves the escape at text[*i] (behind the backslash), as Python does. */
static bool unescape(FlowParser *p, FlowToken t, const char *text, size_t len, size_t *i, char *out,
                     size_t *n)
{
    static const char simple[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
    char c = text[(*i)++];
    if (c == '\n')
        return true;
    for (const char *s = simple; *s != '\0'; s += 2) {
        if (*s == c) {
            out[(*n)++] = s[1];
            return true;
        }
    }
    uint32_t value = 0;
    if (c >= '0' && c <= '7') {
        value = (uint32_t)(c - '0');
        for (int k = 0; k < 2 && *i < len && text[*i] >= '0' && text[*i] <= '7'; k++)
            value = value * 8 + (uint32_t)(text[(*i)++] - '0');
        return put_escaped(p, t, value, out, n);
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits != 0) {
        if (len - *i < digits || hex_digits(text + *i, digits, &value) != 0) {
            flow_parse__fail(p, t.at,
                             "truncated \\%c escape in this string: %zu hexadecimal digits must follow", c,
                             digits);
            return false;
        }
        *i += digits;
        return put_escaped(p, t, value, out, n);
    }
    if (c == 'N') {
        flow_parse__fail(p, t.at,
                         "\\N{name} is not available in strings: write the character itself or \\uXXXX");
        return false;
    }
    out[(*n)++] = '\\';
    out[(*n)++] = c;
    return true;
}

/* Appends what the string token stands for to out[*n]; out has room for all of the token. */
static bool append_string(FlowParser *p, FlowToken t, char *out, size_t *n)
{
    const char *text = flow_token__begin(p, t);
    size_t len = flow_token__length(t);
    size_t start = *n;
    bool escaped = false;
    for (size_t i = 0; i < len;) {
        if (text[i] != '\\') {
            out[(*n)++] = text[i++];
            continue;
        }
        escaped = true;
        i++;
        if (i < len && !unescape(p, t, text, len, &i, out, n))
            return false;
    }
    if (escaped && !flow_utf8_valid(out + start, *n - start)) {
        flow_parse__fail(p, t.at, "half a surrogate pair in this string");
        return false;
    }
    return true;
}

FlowAst *flow_parse__string(FlowParser *p)
{
    FlowToken first = p->token;
    bool plain = memchr(flow_token__begin(p, first), '\\', flow_token__length(first)) == NULL;
    if (plain && flow_parse__look(p).type != T_STRING) { /* the usual one needs no copy */
        flow_parse__advance(p);
        return constant(p, first.at, val_string(p->lex.text + first.begin, flow_token__length(first)));
    }
    char *joined = NULL;
    size_t len = 0, capacity = 0;
    while (p->token.type == T_STRING && !p->failed) {
        /* An escape is never longer than what it is written with, three bytes for \777 apart. */
        size_t room = len + flow_token__length(p->token) + 4;
        if (room > capacity) {
            char *grown = take(p, room * 2);
            if (grown == NULL)
                return NULL;
            if (len != 0)
                memcpy(grown, joined, len);
            joined = grown;
            capacity = room * 2;
        }
        if (!append_string(p, p->token, joined, &len))
            return NULL;
        flow_parse__advance(p);
    }
    return p->failed ? NULL : constant(p, first.at, val_string(joined, len));
}

FlowAst *flow_parse__name(FlowParser *p)
{
    static const struct {
        const char *word;
        uint8_t type;
        bool truth;
    } words[] = {{"true", V_BOOL, true}, {"false", V_BOOL, false}, {"none", V_NONE, false},
                 {"True", V_BOOL, true}, {"False", V_BOOL, false}, {"None", V_NONE, false}};
    FlowToken t = p->token;
    size_t len = flow_token__length(t);
    if (len == 4 || len == 5) {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (flow_token__is_word(p, t, words[i].word)) {
                flow_parse__advance(p);
                return constant(p, t.at, words[i].type == V_BOOL ? val_bool(words[i].truth) : val_none());
            }
        }
    }
    FlowAst *node = flow_parse__node(p, AST_NAME, t.at);
    if (node == NULL)
        return NULL;
    node->name = flow_parse__atom(p, flow_token__begin(p, t), len);
    flow_parse__advance(p);
    return node->name != NULL ? node : NULL;
}
