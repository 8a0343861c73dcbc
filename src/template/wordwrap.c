/*
 * wordwrap.c - the filter wordwrap: Python's textwrap, with expand_tabs and replace_whitespace off, line by
 * line. Lines are characters here, so that widths count characters.
 */
#include "base/utf8.h"
#include "template/natives.h"
#include "template/unicode.h"

typedef struct Chunk {
    size_t begin, end;
} Chunk;

typedef struct Wrap {
    FlowVm *vm;
    FlowBuild build;
    FlowVal separator;
    size_t width;
    bool break_long, break_hyphens;
    const uint32_t *text; /* of the line */
    size_t len;
    Chunk *chunks; /* of the line, in order */
    size_t count;
    bool any; /* something stands in `build` already */
} Wrap;

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(uint32_t c)
{
    return c == '_' || flow_unicode__is(c, UNI_ALNUM);
}

static bool is_letter(uint32_t c)
{
    return is_word(c) && !flow_unicode__is(c, UNI_DECIMAL);
}

static bool is_word_punctuation(uint32_t c)
{
    return is_word(c) || c == '!' || c == '"' || c == '\'' || c == '&' || c == '.' || c == ',' || c == '?';
}

/* The length of a dash of two or more hyphens at `at` with a word behind it; 0 when there is none. */
static size_t dash(const Wrap *w, size_t at)
{
    size_t end = at;
    while (end < w->len && w->text[end] == '-')
        end++;
    return end - at >= 2 && end < w->len && is_word(w->text[end]) ? end - at : 0;
}

static bool letter_at(const Wrap *w, size_t at)
{
    return at < w->len && is_letter(w->text[at]);
}

/* May the word be cut behind the hyphen at `at`? */
static bool cuts_at_hyphen(const Wrap *w, size_t at)
{
    bool behind = at >= 2 && letter_at(w, at - 1) &&
                  (letter_at(w, at - 2) || (at >= 3 && w->text[at - 2] == '-' && letter_at(w, at - 3)));
    bool ahead =
        letter_at(w, at + 1) &&
        (letter_at(w, at + 2) || (at + 2 < w->len && w->text[at + 2] == '-' && letter_at(w, at + 3)));
    return w->text[at] == '-' && behind && ahead;
}

static size_t word_end(const Wrap *w, size_t begin)
{
    if (w->break_hyphens && w->text[begin] == '-' && begin > 0 && is_word_punctuation(w->text[begin - 1])) {
        size_t dashes = dash(w, begin);
        if (dashes != 0)
            return begin + dashes;
    }
    for (size_t at = begin + 1;; at++) {
        if (at >= w->len || is_space(w->text[at]))
            return at;
        if (!w->break_hyphens)
            continue;
        if (cuts_at_hyphen(w, at))
            return at + 1;
        if (w->text[at] == '-' && is_word_punctuation(w->text[at - 1]) && dash(w, at) != 0)
            return at;
    }
}

static bool split(Wrap *w)
{
    w->chunks = flow_vm__alloc(w->vm, (w->len + 1) * sizeof *w->chunks);
    w->count = 0;
    if (w->chunks == NULL)
        return false;
    for (size_t at = 0; at < w->len;) {
        size_t end = at;
        if (is_space(w->text[at])) {
            while (end < w->len && is_space(w->text[end]))
                end++;
        } else {
            end = word_end(w, at);
        }
        w->chunks[w->count++] = (Chunk){at, end};
        at = end;
    }
    return true;
}

static bool is_blank(const Wrap *w, Chunk chunk)
{
    for (size_t i = chunk.begin; i < chunk.end; i++) {
        if (!flow_unicode__is(w->text[i], UNI_SPACE))
            return false;
    }
    return true;
}

static void put_line(Wrap *w, size_t begin, size_t end)
{
    if (w->any)
        flow_buf_append(w->build.buf, w->separator.s, w->separator.len);
    w->any = true;
    for (size_t i = begin; i < end; i++) {
        char bytes[4];
        flow_buf_append(w->build.buf, bytes, flow_utf8_encode(w->text[i], bytes));
    }
}

/* How much of a word that fits no line goes onto this one, which has room for `room` characters. */
static size_t cut_of(const Wrap *w, Chunk chunk, size_t room)
{
    size_t end = chunk.begin + room;
    if (!w->break_hyphens || chunk.end - chunk.begin <= room)
        return end < chunk.end ? end : chunk.end;
    for (size_t i = end; i > chunk.begin + 1; i--) {
        if (w->text[i - 1] != '-')
            continue;
        for (size_t k = chunk.begin; k < i - 1; k++) {
            if (w->text[k] != '-')
                return i;
        }
        break;
    }
    return end;
}

static bool wrap_line(Wrap *w)
{
    bool lines = false;
    for (size_t next = 0; next < w->count;) {
        if (lines && is_blank(w, w->chunks[next]))
            next++;
        if (next == w->count)
            break;
        size_t begin = w->chunks[next].begin, end = begin;
        Chunk last = {begin, begin}; /* what was put on the line last */
        while (next < w->count && w->chunks[next].end - begin <= w->width) {
            last = w->chunks[next++];
            end = last.end;
        }
        if (next < w->count && w->chunks[next].end - w->chunks[next].begin > w->width) {
            Chunk *rest = &w->chunks[next];
            size_t used = end - begin;
            if (w->break_long) {
                end = cut_of(w, *rest, w->width - used);
                last = (Chunk){rest->begin, end};
                rest->begin = end;
                next += rest->begin == rest->end;
            } else if (used == 0) {
                last = *rest;
                end = rest->end;
                next++;
            }
        }
        if (is_blank(w, last))
            end = last.begin;
        if (end > begin) {
            put_line(w, begin, end);
            lines = true;
        }
        if (!flow_vm__charge(w->vm, 1 + (end - begin)) || !flow_vm__build_ok(w->vm, w->build))
            return false;
    }
    return true;
}

static bool decode_line(Wrap *w, FlowVal line)
{
    uint32_t *text = flow_vm__alloc(w->vm, (line.len + 1) * sizeof *text);
    if (text == NULL)
        return false;
    w->len = 0;
    for (size_t i = 0, size; i < line.len; i += size)
        text[w->len++] = flow_utf8_decode(line.s + i, line.len - i, &size);
    w->text = text;
    return true;
}

bool flow_filter__wordwrap(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    Wrap w = {.vm = vm, .separator = arg_absent(args[3]) ? VAL_LITERAL("\n") : args[3]};
    int64_t width;
    FlowList *lines;
    if (!arg_string(vm, args[0], "filter 'wordwrap'") || !arg_int(vm, args[1], "width", 79, &width) ||
        !arg_truth(vm, args[2], true, &w.break_long) || !arg_string(vm, w.separator, "wrapstring") ||
        !arg_truth(vm, args[4], true, &w.break_hyphens) || !flow_text__splitlines(vm, args[0], false, &lines))
        return false;
    if (width <= 0 && lines->count != 0)
        return flow_vm__fail(vm, "filter 'wordwrap': invalid width %lld (must be > 0)", (long long)width);
    w.width = (size_t)width;
    w.build = flow_vm__build(vm);
    for (size_t i = 0; i < lines->count; i++) {
        w.any = false;
        if (i != 0)
            flow_buf_append(w.build.buf, w.separator.s, w.separator.len);
        if (!decode_line(&w, lines->items[i]) || !split(&w) || !wrap_line(&w))
            return flow_vm__build_drop(vm, w.build);
    }
    return flow_vm__built(vm, w.build, ret);
}
