/*
 * urlize.c - the filter urlize: URLs and e-mail addresses in text become links. Works word by word on the
 * escaped text, with Jinja's two patterns.
 */
#include "base/utf8.h"
#include "template/natives.h"
#include "template/regex.h"
#include "template/unicode.h"

static const char url_pattern[] =
    "^((https?://|www\\.)(([\\w%-]+\\.)+)?([a-z]{2,63}|xn--[\\w%]{2,59})|([\\w%-]{2,63}\\.)+"
    "(com|net|int|edu|gov|org|info|mil)|(https?://)((([\\d]{1,3})(\\.[\\d]{1,3}){3})|"
    "(\\[([\\da-f]{0,4}:){2}([\\da-f]{0,4}:?){1,6}])))(?::[\\d]{1,5})?(?:[/?#]\\S*)?$";
static const char email_pattern[] = "^\\S+@\\w[\\w.-]*\\.\\w+$";

typedef struct Urlize {
    FlowVm *vm;
    FlowBuild build;
    int64_t limit; /* of what is shown, in characters; -1: none */
    FlowVal attributes;
    FlowList *schemes;
} Urlize;

typedef struct Part {
    const char *text;
    size_t len;
} Part;

static bool begins(Part part, const char *with)
{
    size_t len = strlen(with);
    return part.len >= len && memcmp(part.text, with, len) == 0;
}

static bool ends(Part part, const char *with)
{
    size_t len = strlen(with);
    return part.len >= len && memcmp(part.text + part.len - len, with, len) == 0;
}

static size_t count_of(Part part, const char *what)
{
    size_t count = 0, len = strlen(what);
    for (const char *at = part.text;
         (at = memmem(at, (size_t)(part.text + part.len - at), what, len)) != NULL; at += len)
        count++;
    return count;
}

static size_t opening(Part word)
{
    size_t n = 0;
    for (;;) {
        Part rest = {word.text + n, word.len - n};
        if (begins(rest, "(") || begins(rest, "<"))
            n += 1;
        else if (begins(rest, "&lt;"))
            n += 4;
        else
            return n;
    }
}

static size_t closing(Part word)
{
    static const char *const marks[] = {")", ">", ".", ",", "\n", "&gt;"};
    size_t n = 0;
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < FLOW_COUNT(marks) && !more; i++) {
            if (ends((Part){word.text, word.len - n}, marks[i])) {
                n += strlen(marks[i]);
                more = true;
            }
        }
    }
    return n;
}

/* Brackets that belong to a URL come back from the tail. */
static void balance(Part *middle, Part *tail)
{
    static const char *const pairs[][2] = {{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}};
    for (size_t i = 0; i < FLOW_COUNT(pairs); i++) {
        size_t open = count_of(*middle, pairs[i][0]), close = count_of(*middle, pairs[i][1]);
        if (open <= close)
            continue;
        size_t in_tail = count_of(*tail, pairs[i][1]);
        for (size_t n = open < in_tail ? open : in_tail; n > 0; n--) {
            const char *hit = memmem(tail->text, tail->len, pairs[i][1], strlen(pairs[i][1]));
            size_t moved = (size_t)(hit - tail->text) + strlen(pairs[i][1]);
            middle->len += moved; /* they lie side by side */
            tail->text += moved;
            tail->len -= moved;
        }
    }
}

static void put(Urlize *u, Part part)
{
    flow_buf_append(u->build.buf, part.text, part.len);
}

static void put_str(Urlize *u, const char *text)
{
    flow_buf_str(u->build.buf, text);
}

static void put_shown(Urlize *u, Part part)
{
    size_t chars = flow_utf8_count(part.text, part.len);
    if (u->limit < 0 || chars <= (uint64_t)u->limit) {
        put(u, part);
        return;
    }
    put(u, (Part){part.text, flow_utf8_offset(part.text, part.len, (size_t)u->limit)});
    put_str(u, "...");
}

static void link_to(Urlize *u, const char *prefix, Part target, Part shown, bool with_attributes, bool trim)
{
    put_str(u, "<a href=\"");
    put_str(u, prefix);
    put(u, target);
    put_str(u, "\"");
    if (with_attributes)
        flow_buf_append(u->build.buf, u->attributes.s, u->attributes.len);
    put_str(u, ">");
    if (trim)
        put_shown(u, shown);
    else
        put(u, shown);
    put_str(u, "</a>");
}

static bool matches(Urlize *u, const char *pattern, Part part, bool *ret)
{
    return flow_regex__matches(u->vm, pattern, part.text, part.len, true, ret);
}

static bool put_middle(Urlize *u, Part middle)
{
    bool is_url, is_email = false;
    if (!matches(u, url_pattern, middle, &is_url))
        return false;
    if (is_url) {
        bool has_scheme = begins(middle, "https://") || begins(middle, "http://");
        link_to(u, has_scheme ? "" : "https://", middle, middle, true, true);
        return true;
    }
    if (begins(middle, "mailto:")) {
        Part address = {middle.text + 7, middle.len - 7};
        if (!matches(u, email_pattern, address, &is_email))
            return false;
        if (is_email) {
            link_to(u, "", middle, address, false, false);
            return true;
        }
    }
    if (memchr(middle.text, '@', middle.len) != NULL && !begins(middle, "www.") &&
        memchr(middle.text, ':', middle.len) == NULL) {
        if (!matches(u, email_pattern, middle, &is_email))
            return false;
        if (is_email) {
            link_to(u, "mailto:", middle, middle, false, false);
            return true;
        }
    }
    for (size_t i = 0; u->schemes != NULL && i < u->schemes->count; i++) {
        FlowVal scheme = u->schemes->items[i];
        if (scheme.type == V_STRING && middle.len > scheme.len &&
            memcmp(middle.text, scheme.s, scheme.len) == 0) {
            link_to(u, "", middle, middle, true, false);
            return true;
        }
    }
    put(u, middle);
    return true;
}

static bool put_word(Urlize *u, Part word)
{
    Part head = {word.text, opening(word)};
    Part middle = {word.text + head.len, word.len - head.len};
    size_t closed = closing(middle);
    Part tail = {middle.text + middle.len - closed, closed};
    middle.len -= closed;
    balance(&middle, &tail);
    put(u, head);
    if (!flow_vm__charge(u->vm, 4 + word.len / 8) || !put_middle(u, middle))
        return false;
    put(u, tail);
    return flow_vm__build_ok(u->vm, u->build);
}

/* rel="..." with its words sorted, and target="..." */
static bool attributes(FlowVm *vm, FlowVal rel, FlowVal target, bool nofollow, FlowVal *ret)
{
    FlowList *words, *sorted = flow_list__new(vm, 4);
    FlowVal text = arg_absent(rel) ? val_string("", 0) : rel, escaped;
    if (sorted == NULL || !arg_string(vm, text, "rel") ||
        !flow_text__split(vm, text, val_missing(), -1, false, &words) ||
        (nofollow && !flow_list__push(vm, words, VAL_LITERAL("nofollow"))) ||
        !flow_list__push(vm, words, VAL_LITERAL("noopener")))
        return false;
    FlowVal *keys = flow_vm__alloc(vm, words->count * sizeof *keys);
    if (keys == NULL)
        return false;
    memcpy(keys, words->items, words->count * sizeof *keys);
    if (!flow_sort(vm, words->items, keys, words->count, 0))
        return false;
    for (size_t i = 0; i < words->count; i++) {
        bool same = false;
        if (i != 0 && !flow_val__equal(vm, words->items[i], words->items[i - 1], &same))
            return false;
        if (!same && !flow_list__push(vm, sorted, words->items[i]))
            return false;
    }
    FlowBuild build = flow_vm__build(vm);
    flow_buf_str(build.buf, " rel=\"");
    for (size_t i = 0; i < sorted->count; i++) {
        if (i != 0)
            flow_buf_byte(build.buf, ' ');
        flow_text__escape(build.buf, sorted->items[i].s, sorted->items[i].len);
    }
    flow_buf_byte(build.buf, '"');
    if (!arg_absent(target)) {
        if (!flow_val__escape(vm, target, &escaped))
            return flow_vm__build_drop(vm, build);
        flow_buf_str(build.buf, " target=\"");
        flow_buf_append(build.buf, escaped.s, escaped.len);
        flow_buf_byte(build.buf, '"');
    }
    return flow_vm__built(vm, build, ret);
}

bool flow_filter__urlize(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    Urlize u = {.vm = vm};
    bool nofollow;
    FlowVal text;
    if (!arg_truth(vm, args[2], false, &nofollow) ||
        !arg_int(vm, arg_absent(args[1]) ? val_missing() : args[1], "trim_url_limit", -1, &u.limit) ||
        !attributes(vm, args[4], args[3], nofollow, &u.attributes) ||
        (!arg_absent(args[5]) && !flow_list__from(vm, args[5], &u.schemes)) ||
        !flow_val__escape(vm, args[0], &text))
        return false;
    u.build = flow_vm__build(vm);
    for (size_t at = 0; at < text.len;) {
        size_t end = at, size;
        while (end < text.len &&
               !flow_unicode__is(flow_utf8_decode(text.s + end, text.len - end, &size), UNI_SPACE))
            end += size;
        if (end > at && !put_word(&u, (Part){text.s + at, end - at}))
            return flow_vm__build_drop(vm, u.build);
        at = end;
        while (at < text.len &&
               flow_unicode__is(flow_utf8_decode(text.s + at, text.len - at, &size), UNI_SPACE))
            at += size;
        put(&u, (Part){text.s + end, at - end});
    }
    if (!flow_vm__built(vm, u.build, ret))
        return false;
    ret->flags |= vm->autoescape ? VAL_MARKUP : 0;
    return true;
}
