/*
 * lex.c - templates into tokens, after the rules of Jinja's lexer with its default delimiters.
 *
 * Two differences are deliberate: digits are ASCII only, and brackets nest at most FLOW_LEX_BRACKETS deep.
 */
#include "template/lex.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "template/unicode.h"

enum { C_SPACE = 1, C_DIGIT = 2, C_NAME = 4, C_HIGH = 8 };

static const uint8_t class_of[256] = {
    ['\t' ... '\r'] = C_SPACE, [0x1c ... 0x1f] = C_SPACE, [' '] = C_SPACE, ['0' ... '9'] = C_DIGIT | C_NAME,
    ['A' ... 'Z'] = C_NAME,    ['a' ... 'z'] = C_NAME,    ['_'] = C_NAME,  [0x80 ... 0xff] = C_HIGH,
};

static const char *const token_text[] = {
#define X(name, text) [T_##name] = text,
    FLOW_TOKEN_MAP(X)
#undef X
};

const char *flow_token__text(FlowTokenType type)
{
    return token_text[type];
}

void flow_lex__init(FlowLex *lex, const char *text, size_t len, bool expression)
{
    lex->text = text;
    lex->len = len;
    lex->pos = 0;
    lex->mode = expression ? LEX_EXPRESSION : LEX_TEXT;
    lex->strip_next = false;
    lex->open = 0;
    lex->too_deep = false;
    lex->error[0] = '\0';
    lex->error_at = 0;
}

static char at(const FlowLex *lex, size_t pos)
{
    return pos < lex->len ? lex->text[pos] : '\0';
}

static uint8_t class_at(const FlowLex *lex, size_t pos)
{
    return pos < lex->len ? class_of[(uint8_t)lex->text[pos]] : 0;
}

static FlowToken token(FlowTokenType type, size_t begin, size_t end)
{
    return (FlowToken){.type = type, .at = (uint32_t)begin, .begin = (uint32_t)begin, .end = (uint32_t)end};
}

static FlowToken fail(FlowLex *lex, size_t where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static FlowToken fail(FlowLex *lex, size_t where, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(lex->error, sizeof lex->error, format, args);
    va_end(args);
    lex->error_at = where;
    lex->pos = lex->len;
    return token(T_ERROR, where, where);
}

/* Where the white space that begins at `pos` ends. */
static size_t skip_space(const FlowLex *lex, size_t pos)
{
    while (pos < lex->len) {
        uint8_t class = class_of[(uint8_t)lex->text[pos]];
        if (class & C_SPACE) {
            pos++;
        } else if (class & C_HIGH) {
            size_t size;
            if (!flow_unicode__is(flow_utf8_decode(lex->text + pos, lex->len - pos, &size), UNI_SPACE))
                break;
            pos += size;
        } else {
            break;
        }
    }
    return pos;
}

/* Where text[begin, end) ends without the white space at its end. */
static size_t strip_end(const FlowLex *lex, size_t begin, size_t end)
{
    while (end > begin) {
        size_t last = end - 1;
        while (last > begin && ((uint8_t)lex->text[last] & 0xc0) == 0x80)
            last--;
        size_t size;
        if (!flow_unicode__is(flow_utf8_decode(lex->text + last, end - last, &size), UNI_SPACE))
            break;
        end = last;
    }
    return end;
}

/* ---- outside of tags ---- */

/* The length of "%}", "-%}" or "+%}" at `pos` with the white space that "-" takes; 0 when there is none. */
static size_t block_close(const FlowLex *lex, size_t pos)
{
    bool strip = at(lex, pos) == '-';
    size_t end = pos + (strip || at(lex, pos) == '+');
    if (at(lex, end) != '%' || at(lex, end + 1) != '}')
        return 0;
    end += 2;
    return (strip ? skip_space(lex, end) : end) - pos;
}

/* `word` between "{%" at `pos` and its "%}": the length of it all, 0 when something else stands there. */
static size_t lone_tag(const FlowLex *lex, size_t pos, const char *word, bool plus_close)
{
    size_t p = pos + 2;
    if (at(lex, p) == '-' || at(lex, p) == '+')
        p++;
    p = skip_space(lex, p);
    size_t len = strlen(word);
    if (len > lex->len - p || memcmp(lex->text + p, word, len) != 0)
        return 0;
    p = skip_space(lex, p + len);
    if (at(lex, p) == '+' && !plus_close)
        return 0;
    size_t close = block_close(lex, p);
    return close != 0 ? p + close - pos : 0;
}

/* The content of {% raw %}; `pos` is behind that tag. */
static FlowToken raw_text(FlowLex *lex, size_t tag, size_t pos)
{
    for (size_t p = pos; p + 1 < lex->len; p++) {
        const char *brace = memchr(lex->text + p, '{', lex->len - p);
        if (brace == NULL)
            break;
        p = (size_t)(brace - lex->text);
        size_t close = at(lex, p + 1) == '%' ? lone_tag(lex, p, "endraw", true) : 0;
        if (close != 0) {
            size_t end = at(lex, p + 2) == '-' ? strip_end(lex, pos, p) : p;
            lex->pos = p + close;
            return token(T_DATA, pos, end);
        }
    }
    (void)tag;
    return fail(lex, pos < lex->len ? pos : tag, "Missing end of raw directive");
}

static bool skip_comment(FlowLex *lex, size_t pos)
{
    for (size_t p = pos + 2; p + 1 < lex->len; p++) {
        const char *hash = memchr(lex->text + p, '#', lex->len - p);
        if (hash == NULL)
            break;
        p = (size_t)(hash - lex->text);
        if (at(lex, p + 1) == '}') {
            lex->pos = p + 2;
            if (p > pos + 2 && lex->text[p - 1] == '-')
                lex->pos = skip_space(lex, lex->pos);
            return true;
        }
    }
    fail(lex, pos, "Missing end of comment tag");
    return false;
}

/* The next opening delimiter at or behind `pos`; len when there is none. */
static size_t find_opener(const FlowLex *lex, size_t pos)
{
    while (pos + 1 < lex->len) {
        const char *brace = memchr(lex->text + pos, '{', lex->len - pos);
        if (brace == NULL)
            break;
        pos = (size_t)(brace - lex->text);
        char next = at(lex, pos + 1);
        if (next == '{' || next == '%' || next == '#')
            return pos;
        pos++;
    }
    return lex->len;
}

static FlowToken next_text(FlowLex *lex)
{
    for (;;) {
        size_t begin = lex->pos;
        if (begin >= lex->len)
            return token(T_EOF, lex->len, lex->len);
        size_t open = find_opener(lex, begin);
        size_t end = open < lex->len && at(lex, open + 2) == '-' ? strip_end(lex, begin, open) : open;
        if (end > begin) {
            lex->pos = open;
            return token(T_DATA, begin, end);
        }
        if (open >= lex->len) {
            lex->pos = lex->len;
            continue;
        }
        char kind = at(lex, open + 1);
        if (kind == '#') {
            if (!skip_comment(lex, open))
                return token(T_ERROR, open, open);
            continue;
        }
        size_t raw = kind == '%' ? lone_tag(lex, open, "raw", false) : 0;
        if (raw != 0) {
            FlowToken data = raw_text(lex, open, open + raw);
            if (data.type == T_DATA && data.begin == data.end)
                continue;
            return data;
        }
        bool sign = at(lex, open + 2) == '-' || at(lex, open + 2) == '+';
        lex->mode = kind == '{' ? LEX_PRINT : LEX_BLOCK;
        lex->pos = open + 2 + sign;
        lex->open = 0;
        return token(kind == '{' ? T_PRINT_BEGIN : T_BLOCK_BEGIN, open, lex->pos);
    }
}

/* ---- inside of tags ---- */

static size_t digits(const FlowLex *lex, size_t pos)
{
    size_t end = pos;
    while (class_at(lex, end) & C_DIGIT ||
           (at(lex, end) == '_' && end > pos && class_at(lex, end + 1) & C_DIGIT))
        end++;
    return end;
}

static bool digit_of_base(char c, int base)
{
    switch (base) {
    case 2:
        return c == '0' || c == '1';
    case 8:
        return c >= '0' && c <= '7';
    default:
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
    }
}

/* 0x1f, 0b1, 0o7 with single underscores between digits; `pos` when there is none. */
static size_t prefixed_integer(const FlowLex *lex, size_t pos)
{
    char letter = (char)(at(lex, pos + 1) | 0x20);
    int base = letter == 'x' ? 16 : letter == 'b' ? 2 : letter == 'o' ? 8 : 0;
    if (at(lex, pos) != '0' || base == 0)
        return pos;
    size_t end = pos + 2;
    for (;;) {
        size_t digit = end + (at(lex, end) == '_');
        if (digit >= lex->len || !digit_of_base(lex->text[digit], base))
            break;
        end = digit + 1;
    }
    return end > pos + 2 ? end : pos;
}

static FlowToken number(FlowLex *lex, size_t pos)
{
    size_t whole = digits(lex, pos);
    size_t end = whole;
    bool is_float = false;
    bool after_dot = pos > 0 && lex->text[pos - 1] == '.';
    if (!after_dot) {
        if (at(lex, end) == '.' && class_at(lex, end + 1) & C_DIGIT) {
            end = digits(lex, end + 1);
            is_float = true;
        }
        if ((at(lex, end) | 0x20) == 'e') {
            size_t exponent = end + 1 + (at(lex, end + 1) == '+' || at(lex, end + 1) == '-');
            if (class_at(lex, exponent) & C_DIGIT) {
                end = digits(lex, exponent);
                is_float = true;
            }
        }
    }
    if (!is_float) {
        end = prefixed_integer(lex, pos);
        if (end == pos && lex->text[pos] == '0') { /* 007 is 0, 0, 7, as in Jinja */
            end = pos + 1;
            while (at(lex, end) == '0' || (at(lex, end) == '_' && at(lex, end + 1) == '0'))
                end++;
        } else if (end == pos) {
            end = whole;
        }
    }
    lex->pos = end;
    return token(is_float ? T_FLOAT : T_INTEGER, pos, end);
}

static FlowToken name(FlowLex *lex, size_t pos)
{
    size_t end = pos;
    while (end < lex->len) {
        uint8_t class = class_of[(uint8_t)lex->text[end]];
        if (class & C_NAME) {
            end++;
            continue;
        }
        if (!(class & C_HIGH))
            break;
        size_t size;
        uint32_t c = flow_utf8_decode(lex->text + end, lex->len - end, &size);
        if (!flow_unicode__is(c, UNI_ID_CONTINUE)) {
            if (end == pos || flow_unicode__is(c, UNI_ALNUM))
                return fail(lex, end,
                            end == pos ? "unexpected character" : "Invalid character in identifier");
            break;
        }
        if (end == pos && !flow_unicode__is(c, UNI_ID_START))
            return fail(lex, end, "Invalid character in identifier");
        end += size;
    }
    lex->pos = end;
    return token(T_NAME, pos, end);
}

static FlowToken string(FlowLex *lex, size_t pos)
{
    char quote = lex->text[pos];
    for (size_t p = pos + 1; p < lex->len; p++) {
        if (lex->text[p] == '\\') {
            p++;
        } else if (lex->text[p] == quote) {
            lex->pos = p + 1;
            FlowToken t = token(T_STRING, pos + 1, p);
            t.at = (uint32_t)pos;
            return t;
        }
    }
    return fail(lex, pos, "this string has no closing %s", quote == '\'' ? "'" : "\"");
}

static FlowToken open_bracket(FlowLex *lex, FlowTokenType type, size_t pos, size_t len, char closer)
{
    if (lex->open == FLOW_LEX_BRACKETS) {
        lex->too_deep = true;
        return fail(lex, pos, "more than %d brackets inside each other", FLOW_LEX_BRACKETS);
    }
    lex->closer[lex->open++] = closer;
    lex->pos = pos + len;
    return token(type, pos, lex->pos);
}

static FlowToken close_bracket(FlowLex *lex, FlowTokenType type, size_t pos, char c)
{
    if (lex->open == 0)
        return fail(lex, pos, "unexpected '%c'", c);
    char wanted = lex->closer[--lex->open];
    if (wanted != c)
        return fail(lex, pos, "unexpected '%c', expected '%s'", c,
                    wanted == 'I' ? "}}" : (const char[]){wanted, '\0'});
    lex->pos = pos + 1;
    return token(type, pos, lex->pos);
}

static FlowToken operator_token(FlowLex *lex, size_t pos)
{
    static const struct {
        char text[3];
        uint8_t type;
    } table[] = {
        {"//", T_FLOORDIV}, {"**", T_POW},  {"==", T_EQ},  {"!=", T_NE},   {">=", T_GE},
        {"<=", T_LE},       {"+", T_ADD},   {"-", T_SUB},  {"/", T_DIV},   {"*", T_MUL},
        {"%", T_MOD},       {"~", T_TILDE}, {">", T_GT},   {"<", T_LT},    {"=", T_ASSIGN},
        {".", T_DOT},       {":", T_COLON}, {"|", T_PIPE}, {",", T_COMMA}, {";", T_SEMICOLON},
    };
    char c = lex->text[pos];
    char next = at(lex, pos + 1);
    switch (c) {
    case '(':
        return open_bracket(lex, T_LPAREN, pos, 1, ')');
    case '[':
        return open_bracket(lex, T_LBRACKET, pos, 1, ']');
    case '{':
        if (lex->mode == LEX_EXPRESSION && next == '{') {
            bool sign = at(lex, pos + 2) == '-' || at(lex, pos + 2) == '+';
            return open_bracket(lex, T_ISLAND_BEGIN, pos, 2 + sign, 'I');
        }
        return open_bracket(lex, T_LBRACE, pos, 1, '}');
    case ')':
        return close_bracket(lex, T_RPAREN, pos, c);
    case ']':
        return close_bracket(lex, T_RBRACKET, pos, c);
    case '}':
        return close_bracket(lex, T_RBRACE, pos, c);
    default:
        break;
    }
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].text[0] == c && (table[i].text[1] == '\0' || table[i].text[1] == next)) {
            lex->pos = pos + strlen(table[i].text);
            return token(table[i].type, pos, lex->pos);
        }
    }
    return fail(lex, pos, "unexpected character '%c'", c);
}

/* The token that ends this tag, if it stands at `pos`. */
static bool tag_end(FlowLex *lex, size_t pos, FlowToken *ret)
{
    char c = lex->text[pos];
    if (lex->mode == LEX_EXPRESSION) {
        if (lex->open == 0 || lex->closer[lex->open - 1] != 'I')
            return false;
        size_t end = pos + (c == '-');
        if (at(lex, end) != '}' || at(lex, end + 1) != '}')
            return false;
        lex->open--;
        lex->pos = end + 2;
        *ret = token(T_ISLAND_END, pos, lex->pos);
        return true;
    }
    if (lex->open != 0)
        return false;
    if (lex->mode == LEX_BLOCK) {
        size_t close = block_close(lex, pos);
        if (close == 0)
            return false;
        lex->pos = pos + close;
        lex->mode = LEX_TEXT;
        *ret = token(T_BLOCK_END, pos, lex->pos);
        return true;
    }
    size_t end = pos + (c == '-');
    if (at(lex, end) != '}' || at(lex, end + 1) != '}')
        return false;
    end += 2;
    lex->pos = c == '-' ? skip_space(lex, end) : end;
    lex->mode = LEX_TEXT;
    *ret = token(T_PRINT_END, pos, lex->pos);
    return true;
}

FlowToken flow_lex__next(FlowLex *lex)
{
    if (lex->error[0] != '\0')
        return token(T_ERROR, lex->error_at, lex->error_at);
    if (lex->mode == LEX_TEXT)
        return next_text(lex);
    size_t pos = skip_space(lex, lex->pos);
    if (pos >= lex->len) {
        lex->pos = pos;
        return token(T_EOF, lex->len, lex->len);
    }
    char c = lex->text[pos];
    FlowToken end;
    if ((c == '}' || c == '-' || c == '+' || c == '%') && tag_end(lex, pos, &end))
        return end;
    uint8_t class = class_of[(uint8_t)c];
    if (class & C_DIGIT)
        return number(lex, pos);
    if (class & (C_NAME | C_HIGH))
        return name(lex, pos);
    if (c == '\'' || c == '"')
        return string(lex, pos);
    return operator_token(lex, pos);
}
