/*
 * pattern.c - regular expressions in Python's syntax, run by PCRE2 with bounded work. What the two differ in
 * and what is translated: \Z (Python: the very end), (?P=name) and (?P<name>) are the same in both, \d \w \s
 * mean all scripts (PCRE2_UCP).
 */
#include "forms/internal.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Steps of one search; a search that needs more counts as not found, so a pattern can't stall a loop. */
enum { MATCH_LIMIT = 200000, HEAP_LIMIT_KIB = 4096, PATTERN_BYTES = 8192 };

struct FlowPattern {
    pcre2_code *code;
    pcre2_match_context *context;
};

/* One escape; everything that isn't named here is the same to both. */
static void translate_escape(FlowBuf *to, char letter, bool in_class)
{
    if (letter == 'Z' && !in_class)
        flow_buf_str(to, "\\z");
    else if (letter == 's')
        flow_buf_str(to, in_class ? "\\s\\x1c-\\x1f" : "[\\s\\x1c-\\x1f]");
    else if (letter == 'S' && !in_class)
        flow_buf_str(to, "[^\\s\\x1c-\\x1f]");
    else
        flow_buf_printf(to, "\\%c", letter);
}

static void translate(FlowBuf *to, const char *pattern, size_t len)
{
    bool in_class = false;
    for (size_t i = 0; i < len; i++) {
        char c = pattern[i];
        if (c == '\\' && i + 1 < len) {
            translate_escape(to, pattern[++i], in_class);
            continue;
        }
        if (c == '[' && !in_class) {
            in_class = true;
            flow_buf_byte(to, c);
            /* A ] right behind the opening is a member of the class. */
            if (i + 1 < len && pattern[i + 1] == '^')
                flow_buf_byte(to, pattern[++i]);
            if (i + 1 < len && pattern[i + 1] == ']') {
                flow_buf_str(to, "\\]");
                i++;
            }
            continue;
        }
        if (c == '[') { /* Python has no [:classes:] */
            flow_buf_str(to, "\\[");
            continue;
        }
        if (c == ']')
            in_class = false;
        flow_buf_byte(to, c);
    }
}

FlowPattern *flow_pattern__compile(const char *pattern, size_t len, FlowError *reterr)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    FlowBuf text;
    if (len > PATTERN_BYTES) {
        flow_error_set(reterr, FLOW_INVALID_ARGUMENT, NULL, NULL,
                       "the pattern has %zu bytes, at most %d are taken", len, PATTERN_BYTES);
        return NULL;
    }
    flow_buf_init(&text, 0);
    translate(&text, pattern, len);
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)(text.data != NULL ? text.data : ""), text.len,
                                         PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_BACKSLASH_C,
                                         &code, &offset, NULL);
    flow_buf_done(&text);
    if (compiled == NULL) {
        unsigned char message[120];
        pcre2_get_error_message(code, message, sizeof message);
        flow_error_set(reterr, FLOW_INVALID_ARGUMENT, NULL, NULL, "the pattern does not compile: %s (at %zu)",
                       (const char *)message, (size_t)offset);
        return NULL;
    }
    FlowPattern *self = flow_new(FlowPattern);
    self->code = compiled;
    self->context = pcre2_match_context_create(NULL);
    if (self->context == NULL)
        abort();
    pcre2_set_match_limit(self->context, MATCH_LIMIT);
    pcre2_set_depth_limit(self->context, MATCH_LIMIT);
    pcre2_set_heap_limit(self->context, HEAP_LIMIT_KIB);
    return self;
}

void flow_pattern__free(FlowPattern *pattern)
{
    if (pattern == NULL)
        return;
    pcre2_match_context_free(pattern->context);
    pcre2_code_free(pattern->code);
    free(pattern);
}

bool flow_pattern__found(const FlowPattern *pattern, const char *text, size_t len)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (data == NULL)
        return false;
    /* A pattern with more groups than the data has room for answers 0: found all the same. */
    int found =
        pcre2_match(pattern->code, (PCRE2_SPTR)text, len, 0, PCRE2_NO_UTF_CHECK, data, pattern->context);
    pcre2_match_data_free(data);
    return found >= 0;
}
