#include "engine/fingerprint.h"

#include <stdint.h>
#include <stdio.h>

#include "base/hash.h"

enum { NAME_MAX_LENGTH = 40 };

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* What holds a word together: so a date, a UUID, an address or a version is one word. */
static bool is_joint(char c)
{
    return c == '.' || c == '-' || c == '_' || c == ':' || c == '/' || c == '@' || c == '+' || c == '%' ||
           c == '#' || c == '?' || c == '=' || c == '&' || c == '~';
}

static bool reads_like_a_name(const char *text, size_t len)
{
    if (len == 0 || len > NAME_MAX_LENGTH)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool inner_space = text[i] == ' ' && i > 0 && text[i - 1] != ' ';
        if (!is_letter(text[i]) && text[i] != '_' && text[i] != '.' && text[i] != '-' && !inner_space)
            return false;
    }
    return true;
}

/* The length of a quoted text with both quotes, 0 when this quote opens none (an apostrophe). */
static size_t quoted(const char *text)
{
    const char *end = strchr(text + 1, text[0]);
    return end ? (size_t)(end - text) + 1 : 0;
}

static size_t word_length(const char *text)
{
    size_t len = 0;
    while (is_letter(text[len]) || is_digit(text[len]) || (len > 0 && is_joint(text[len])))
        len++;
    /* The full stop or colon behind a word is the sentence's. */
    while (len > 1 && is_joint(text[len - 1]))
        len--;
    return len;
}

static bool is_variable(const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (is_digit(word[i]) || word[i] == '@' || (word[i] == ':' && i + 2 < len && word[i + 1] == '/'))
            return true;
    return false;
}

void flow_fingerprint_normalise(const char *message, FlowBuf *to)
{
    const char *at = message;
    char before = ' ';
    while (*at != '\0') {
        if (is_space(*at)) {
            while (is_space(*at))
                at++;
            flow_buf_byte(to, ' ');
            before = ' ';
            continue;
        }
        bool opens = (*at == '"' || *at == '\'' || *at == '`') && !is_letter(before);
        size_t len = opens ? quoted(at) : 0;
        if (len > 0) {
            if (reads_like_a_name(at + 1, len - 2))
                flow_buf_append(to, at, len);
            else
                flow_buf_byte(to, '#');
        } else if ((len = word_length(at)) > 0) {
            if (is_variable(at, len))
                flow_buf_byte(to, '#');
            else
                flow_buf_append(to, at, len);
        } else {
            len = 1;
            flow_buf_byte(to, *at);
        }
        before = at[len - 1];
        at += len;
    }
}

void flow_fingerprint(const char *reason, const char *workflow_id, const char *node_id, const char *message,
                      char to[FLOW_FINGERPRINT_TEXT])
{
    static const uint64_t key[2] = {UINT64_C(0x666c6f77656e6769), UINT64_C(0x6e652f6c65747465)};
    FlowBuf text;
    flow_buf_init(&text, 8192);
    /* The NULs keep "ab" + "c" apart from "a" + "bc". */
    flow_buf_append(&text, reason, strlen(reason) + 1);
    flow_buf_append(&text, workflow_id, strlen(workflow_id) + 1);
    flow_buf_append(&text, node_id, strlen(node_id) + 1);
    flow_fingerprint_normalise(message, &text);
    snprintf(to, FLOW_FINGERPRINT_TEXT, "%016llx",
             (unsigned long long)flow_siphash(text.data, text.len, key));
    flow_buf_done(&text);
}
