/*
 * regex.c - regex_match, regex_search, regex_replace, regex_findall. Patterns are Python's as far as PCRE2
 * agrees (\Z is translated; classes know all scripts). PCRE2's memory is the render's, so it is bounded with
 * it; its steps and depth have bounds of their own, and every search ends with a look at the clock.
 */
#include "template/regex.h"

#include "base/utf8.h"
#include "template/natives.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MATCH_STEPS = 1000000,
    MATCH_KIB = 8192,
    PATTERN_BYTES = 16384,
    PATTERNS_KEPT = 64,
    STEPS_PER_SEARCH = 64
};

typedef struct Compiled {
    struct Compiled *next;
    const char *pattern;
    size_t len;
    uint32_t options;
    pcre2_code *code;
    pcre2_match_data *match;
} Compiled;

typedef struct FlowRegexCache {
    pcre2_general_context *general;
    pcre2_match_context *context;
    Compiled *first;
    size_t count;
} FlowRegexCache;

static void *allocate(size_t size, void *vm)
{
    return flow_vm__alloc(vm, size);
}

static void give_back(void *memory, void *vm)
{
    (void)memory;
    (void)vm;
}

static FlowRegexCache *cache(FlowVm *vm)
{
    if (vm->regex != NULL)
        return vm->regex;
    FlowRegexCache *made = flow_vm__alloc(vm, sizeof *made);
    if (made == NULL)
        return NULL;
    memset(made, 0, sizeof *made);
    made->general = pcre2_general_context_create(allocate, give_back, vm);
    made->context = made->general != NULL ? pcre2_match_context_create(made->general) : NULL;
    if (made->context == NULL)
        return NULL;
    pcre2_set_match_limit(made->context, MATCH_STEPS);
    pcre2_set_heap_limit(made->context, MATCH_KIB);
    vm->regex = made;
    return made;
}

/* \Z is \z outside of character classes, and Python has no [:classes:]. */
static bool translate(FlowVm *vm, const char *pattern, size_t len, FlowVal *ret)
{
    bool in_class = false;
    FlowBuild build = flow_vm__build(vm);
    FlowBuf *to = build.buf;
    for (size_t i = 0; i < len; i++) {
        char c = pattern[i];
        if (c == '\\' && i + 1 < len) {
            char next = pattern[++i];
            flow_buf_append(to, (const char[]){'\\', next == 'Z' && !in_class ? 'z' : next}, 2);
        } else if (c == '[' && !in_class) {
            in_class = true;
            flow_buf_byte(to, c);
            if (i + 1 < len && pattern[i + 1] == '^')
                flow_buf_byte(to, pattern[++i]);
            if (i + 1 < len && pattern[i + 1] == ']') {
                flow_buf_str(to, "\\]");
                i++;
            }
        } else if (c == '[') {
            flow_buf_str(to, "\\[");
        } else {
            in_class = in_class && c != ']';
            flow_buf_byte(to, c);
        }
    }
    return flow_vm__built(vm, build, ret);
}

static Compiled *compiled(FlowVm *vm, const char *pattern, size_t len, uint32_t options)
{
    FlowRegexCache *all = cache(vm);
    if (all == NULL)
        return NULL;
    for (Compiled *c = all->first; c != NULL; c = c->next) {
        if (c->len == len && c->options == options && memcmp(c->pattern, pattern, len) == 0)
            return c;
    }
    FlowVal text;
    int number;
    PCRE2_SIZE offset;
    if (len > PATTERN_BYTES) {
        flow_vm__limit(vm, "a regular expression of more than %d bytes", PATTERN_BYTES);
        return NULL;
    }
    Compiled *made = flow_vm__alloc(vm, sizeof *made);
    char *kept = flow_vm__alloc(vm, len + 1);
    pcre2_compile_context *how = pcre2_compile_context_create(all->general);
    if (made == NULL || kept == NULL || how == NULL || !translate(vm, pattern, len, &text) ||
        !flow_vm__charge(vm, 100 + len))
        return NULL;
    memcpy(kept, pattern, len);
    pcre2_set_parens_nest_limit(how, 50);
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text.s, text.len,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_BACKSLASH_C | options, &number,
                      &offset, how);
    if (code == NULL) {
        char why[120] = "no memory";
        pcre2_get_error_message(number, (PCRE2_UCHAR *)why, sizeof why);
        flow_vm__fail(vm, "not a regular expression: %s at character %zu", why,
                      flow_utf8_count(text.s, offset < text.len ? offset : text.len) + 1);
        return NULL;
    }
    *made = (Compiled){all->first, kept, len,
                       options,    code, pcre2_match_data_create_from_pattern(code, all->general)};
    if (made->match == NULL)
        return NULL;
    /* Beyond the bound a pattern is used once and forgotten: a template that makes new ones pays for each. */
    if (all->count < PATTERNS_KEPT) {
        all->first = made;
        all->count++;
    }
    return made;
}

/* 1 found, 0 not, -1 failed. */
static int search(FlowVm *vm, Compiled *c, FlowVal text, size_t from, uint32_t options)
{
    if (!flow_vm__charge(vm, STEPS_PER_SEARCH + (text.len - from) / 64))
        return -1;
    int found = pcre2_match(c->code, (PCRE2_SPTR)text.s, text.len, from, PCRE2_NO_UTF_CHECK | options,
                            c->match, vm->regex->context);
    if (vm->failed || !flow_vm__refuel(vm, vm->fuel < STEPS_PER_SEARCH ? vm->fuel : STEPS_PER_SEARCH))
        return -1;
    if (found >= 0)
        return 1;
    if (found == PCRE2_ERROR_NOMATCH)
        return 0;
    flow_vm__limit(vm, "this regular expression takes too many steps on this text");
    return -1;
}

bool flow_regex__matches(FlowVm *vm, const char *pattern, const char *text, size_t len, bool ignore_case,
                         bool *ret)
{
    Compiled *c = compiled(vm, pattern, strlen(pattern), ignore_case ? PCRE2_CASELESS : 0);
    int found = c != NULL ? search(vm, c, val_string(text, len), 0, 0) : -1;
    *ret = found == 1;
    return found >= 0;
}

/* ---- filters ---- */

typedef struct Question {
    Compiled *compiled;
    FlowVal text;
} Question;

static bool ask(FlowVm *vm, const FlowVal *args, FlowVal ignore_case, FlowVal multiline, Question *ret)
{
    bool no_case, lines;
    if (!flow_val__to_plain_string(vm, args[0], &ret->text) ||
        !arg_string(vm, args[1], "a regular expression") || !arg_truth(vm, ignore_case, false, &no_case) ||
        !arg_truth(vm, multiline, false, &lines))
        return false;
    ret->compiled =
        compiled(vm, args[1].s, args[1].len, (no_case ? PCRE2_CASELESS : 0) | (lines ? PCRE2_MULTILINE : 0));
    return ret->compiled != NULL;
}

static FlowVal group_text(const Question *q, uint32_t group)
{
    PCRE2_SIZE *at = pcre2_get_ovector_pointer(q->compiled->match);
    if (group >= pcre2_get_ovector_count(q->compiled->match) || at[2 * group] == PCRE2_UNSET ||
        at[2 * group + 1] < at[2 * group])
        return val_missing();
    return val_string(q->text.s + at[2 * group], at[2 * group + 1] - at[2 * group]);
}

static bool filter_regex_match(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    Question q;
    if (!ask(vm, args, args[2], args[3], &q))
        return false;
    int found = search(vm, q.compiled, q.text, 0, PCRE2_ANCHORED);
    *ret = val_bool(found == 1);
    return found >= 0;
}

/* The number of the group called so, or numbered so; -1 when there is none (and the vm has failed). */
static int64_t group_number(FlowVm *vm, const Question *q, FlowVal group)
{
    int64_t number = 0;
    uint32_t count;
    pcre2_pattern_info(q->compiled->code, PCRE2_INFO_CAPTURECOUNT, &count);
    if (group.type == V_STRING && group.len < 64) {
        char name[65];
        memcpy(name, group.s, group.len);
        name[group.len] = '\0';
        number = pcre2_substring_number_from_name(q->compiled->code, (PCRE2_SPTR)name);
    } else if (!arg_int(vm, group, "group", 0, &number)) {
        return -1;
    }
    if (number < 0 || number > count) {
        flow_vm__fail(vm, "the regular expression has no such group");
        return -1;
    }
    return number;
}

static bool filter_regex_search(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    Question q;
    if (!ask(vm, args, args[2], args[3], &q))
        return false;
    int64_t group = group_number(vm, &q, args[4]);
    int found = group >= 0 ? search(vm, q.compiled, q.text, 0, 0) : -1;
    if (found < 0)
        return false;
    FlowVal text = found == 1 ? group_text(&q, (uint32_t)group) : val_missing();
    *ret = val_given(text) ? text : val_none();
    return true;
}

/* Where the next search begins: behind the match, one character further when it was empty. */
static size_t after_match(const Question *q, size_t *ret_begin, size_t *ret_end)
{
    PCRE2_SIZE *at = pcre2_get_ovector_pointer(q->compiled->match);
    *ret_begin = at[0] < at[1] ? at[0] : at[1]; /* \K can put the beginning behind the end */
    *ret_end = at[1];
    if (*ret_end > *ret_begin)
        return *ret_end;
    size_t size = 1;
    if (*ret_end < q->text.len)
        flow_utf8_decode(q->text.s + *ret_end, q->text.len - *ret_end, &size);
    return *ret_end + size;
}

/* Text of a replacement: \1, \g<1>, \g<name>, \\, \n, \t; everything else as it is. */
static bool put_replacement(FlowVm *vm, FlowBuf *to, const Question *q, FlowVal with)
{
    for (uint32_t i = 0; i < with.len; i++) {
        char c = with.s[i];
        if (c != '\\' || i + 1 == with.len) {
            flow_buf_byte(to, c);
            continue;
        }
        c = with.s[++i];
        FlowVal group = val_missing();
        if (c >= '0' && c <= '9') {
            int64_t number = c - '0';
            if (i + 1 < with.len && with.s[i + 1] >= '0' && with.s[i + 1] <= '9')
                number = number * 10 + (with.s[++i] - '0');
            group = val_int(number);
        } else if (c == 'g' && i + 1 < with.len && with.s[i + 1] == '<') {
            const char *end = memchr(with.s + i, '>', with.len - i);
            if (end == NULL)
                return flow_vm__fail(vm, "regex_replace: \\g<name> is not closed");
            FlowVal name = val_string(with.s + i + 2, (size_t)(end - with.s) - i - 2);
            bool bad;
            i = (uint32_t)(end - with.s);
            if (!flow_text__to_integer(vm, name, 10, &group, &bad)) {
                if (vm->failed)
                    return false;
                group = name;
            }
        } else {
            flow_buf_byte(to, c == 'n' ? '\n' : c == 't' ? '\t' : c);
            continue;
        }
        int64_t number = group_number(vm, q, group);
        if (number < 0)
            return false;
        FlowVal text = group_text(q, (uint32_t)number);
        if (val_given(text))
            flow_buf_append(to, text.s, text.len);
    }
    return true;
}

static bool filter_regex_replace(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    Question q;
    FlowVal with;
    int64_t count;
    if (!ask(vm, args, args[3], args[4], &q) || !flow_val__to_plain_string(vm, args[2], &with) ||
        !arg_int(vm, args[5], "count", 0, &count))
        return false;
    size_t at = 0, from = 0, begin, end;
    FlowBuild build = flow_vm__build(vm);
    for (int64_t n = 0; from <= q.text.len && (count <= 0 || n < count); n++) {
        int found = search(vm, q.compiled, q.text, from, 0);
        if (found < 0)
            return flow_vm__build_drop(vm, build);
        if (found == 0)
            break;
        from = after_match(&q, &begin, &end);
        if (begin < at) /* a look-behind with \K went back */
            begin = at;
        flow_buf_append(build.buf, q.text.s + at, begin - at);
        if (!put_replacement(vm, build.buf, &q, with) || !flow_vm__build_ok(vm, build))
            return flow_vm__build_drop(vm, build);
        at = end > at ? end : at;
    }
    flow_buf_append(build.buf, q.text.s + at, q.text.len - at);
    return flow_vm__built(vm, build, ret);
}

static bool filter_regex_findall(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    Question q;
    size_t from = 0, begin, end;
    uint32_t groups;
    FlowList *list = flow_list__new(vm, 0);
    if (list == NULL || !ask(vm, args, args[2], args[3], &q))
        return false;
    pcre2_pattern_info(q.compiled->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    while (from <= q.text.len) {
        int found = search(vm, q.compiled, q.text, from, 0);
        if (found < 0)
            return false;
        if (found == 0)
            break;
        from = after_match(&q, &begin, &end);
        FlowList *parts = flow_list__new(vm, groups + 1);
        if (parts == NULL)
            return false;
        for (uint32_t i = groups != 0; i <= groups; i++) {
            FlowVal text = group_text(&q, i);
            parts->items[parts->count++] = val_given(text) ? text : val_string("", 0);
        }
        if (!flow_list__push(vm, list, parts->count == 1 ? parts->items[0] : val_tuple(parts)))
            return false;
    }
    *ret = val_list(list);
    return true;
}

static const FlowNative rows[] = {
    {"regex_match", filter_regex_match, {"value", "pattern", "ignorecase", "multiline"}, 2, NULL},
    {"regex_search", filter_regex_search, {"value", "pattern", "ignorecase", "multiline", "group"}, 2, NULL},
    {"regex_replace",
     filter_regex_replace,
     {"value", "pattern", "replacement", "ignorecase", "multiline", "count"},
     3,
     NULL},
    {"regex_findall", filter_regex_findall, {"value", "pattern", "ignorecase", "multiline"}, 2, NULL},
};
NATIVE_TABLE(flow_filters_regex, rows);
