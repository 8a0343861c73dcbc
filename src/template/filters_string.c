/* filters_string.c - filters whose value is text. Other values are printed first, as Jinja does it. */
#include <stdio.h>

#include "base/utf8.h"
#include "template/natives.h"
#include "template/unicode.h"

static bool filter_upper(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    return flow_val__to_string(vm, args[0], &text) && flow_text__upper(vm, text, ret);
}

static bool filter_lower(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    return flow_val__to_string(vm, args[0], &text) && flow_text__lower(vm, text, ret);
}

static bool filter_capitalize(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    return flow_val__to_string(vm, args[0], &text) && flow_text__map(vm, text, flow_unicode__capitalize, ret);
}

static bool begins_word_after(uint32_t c)
{
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || flow_unicode__is(c, UNI_SPACE);
}

/* Unlike str.title(), words begin only behind white space and - ( { [ <. */
static void title(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0, size; i < len;) {
        uint32_t c = flow_utf8_decode(text + i, len - i, &size);
        if (begins_word_after(c)) {
            flow_buf_append(to, text + i, size);
            i += size;
            continue;
        }
        flow_unicode__upper(to, text + i, size);
        i += size;
        size_t end = i;
        while (end < len && !begins_word_after(flow_utf8_decode(text + end, len - end, &size)))
            end += size;
        flow_unicode__lower(to, text + i, end - i);
        i = end;
    }
}

static bool filter_title(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    return flow_val__to_plain_string(vm, args[0], &text) && flow_text__map(vm, text, title, ret);
}

static bool filter_trim(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    return flow_val__to_string(vm, args[0], &text) && flow_text__strip(vm, text, args[1], STRIP_BOTH, ret);
}

static bool filter_string(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    return flow_val__to_string(vm, args[0], ret);
}

static bool filter_replace(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text, old, with;
    int64_t count = -1;
    if (!arg_absent(args[3]) && !flow_arith__to_int(vm, args[3], "count", &count))
        return false;
    if (!flow_val__to_string(vm, args[0], &text) || !flow_val__to_string(vm, args[1], &old) ||
        !flow_val__to_string(vm, args[2], &with))
        return false;
    bool markup = false;
    if (vm->autoescape) {
        if (val_is_markup(old) || (val_is_markup(with) && !val_is_markup(text))) {
            if (!flow_val__escape(vm, text, &text))
                return false;
        }
        markup = val_is_markup(text);
        if (markup && (!flow_val__escape(vm, old, &old) || !flow_val__escape(vm, with, &with)))
            return false;
    }
    if (!flow_text__replace(vm, text, old, with, count, ret))
        return false;
    ret->flags |= markup ? VAL_MARKUP : 0;
    return true;
}

static bool filter_center(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    int64_t width;
    return arg_int(vm, args[1], "width", 80, &width) && flow_val__to_string(vm, args[0], &text) &&
           flow_text__center(vm, text, width, VAL_LITERAL(" "), ret);
}

static bool filter_format(FlowVm *vm, const FlowArgs *args, FlowVal *ret)
{
    FlowVal text, values;
    if (args->count > 1 && args->named_count != 0)
        return flow_vm__fail(vm, "filter 'format' takes positional or named values, not both");
    if (!flow_val__to_string(vm, args->values[0], &text))
        return false;
    if (args->named_count == 0) {
        if (!flow_tuple__of(vm, &values, args->count - 1, args->values + 1))
            return false;
        return flow_format__percent(vm, text, values, ret);
    }
    FlowDict *dict = flow_dict__new(vm, args->named_count);
    for (size_t i = 0; dict != NULL && i < args->named_count; i++) {
        if (!flow_dict__set(vm, dict, args->names[i], args->named[i]))
            return false;
    }
    return dict != NULL && flow_format__percent(vm, text, val_dict(dict), ret);
}

/* ---- lines ---- */

static bool indentation(FlowVm *vm, FlowVal width, FlowVal *ret)
{
    int64_t n;
    if (width.type == V_STRING) {
        *ret = width;
        return true;
    }
    if (!arg_int(vm, width, "width", 4, &n))
        return false;
    return flow_arith__repeat(vm, VAL_LITERAL(" "), val_int(n), ret);
}

static bool filter_indent(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    bool first, blank;
    FlowVal text = args[0], indent;
    FlowList *lines;
    if (!arg_string(vm, text, "filter 'indent'") || !indentation(vm, args[1], &indent) ||
        !arg_truth(vm, args[2], false, &first) || !arg_truth(vm, args[3], false, &blank))
        return false;
    if (val_is_markup(text) && !val_is_markup(indent) && args[1].type == V_STRING)
        indent.flags |= VAL_MARKUP; /* Markup(indention): taken as it is */
    /* The newline that is added keeps an empty last line alive through splitlines(). */
    if (!flow_arith__binary(vm, OP_ADD, text, VAL_LITERAL("\n"), &text) ||
        !flow_text__splitlines(vm, text, false, &lines))
        return false;
    FlowBuild build = flow_vm__build(vm);
    for (size_t i = 0; i < lines->count; i++) {
        FlowVal line = lines->items[i];
        if (i != 0)
            flow_buf_byte(build.buf, '\n');
        if (i == 0 ? first : blank || line.len != 0)
            flow_buf_append(build.buf, indent.s, indent.len);
        flow_buf_append(build.buf, line.s, line.len);
        if (!flow_vm__charge(vm, 1 + line.len / 64) || !flow_vm__build_ok(vm, build))
            return flow_vm__build_drop(vm, build);
    }
    if (!flow_vm__built(vm, build, ret))
        return false;
    *ret = with_markup_of(*ret, text);
    return true;
}

static bool filter_truncate(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    int64_t length, leeway;
    bool kill_words;
    FlowVal end = val_given(args[3]) ? args[3] : VAL_LITERAL("...");
    size_t chars;
    if (!arg_int(vm, args[1], "length", 255, &length) || !arg_truth(vm, args[2], false, &kill_words) ||
        !arg_string(vm, end, "end") ||
        !arg_int(vm, arg_absent(args[4]) ? val_missing() : args[4], "leeway", 5, &leeway))
        return false;
    int64_t end_chars = (int64_t)flow_val__length_of_string(end);
    if (length < end_chars)
        return flow_vm__fail(vm, "filter 'truncate': expected length >= %lld, got %lld", (long long)end_chars,
                             (long long)length);
    if (leeway < 0)
        return flow_vm__fail(vm, "filter 'truncate': expected leeway >= 0, got %lld", (long long)leeway);
    if (!flow_val__length(vm, args[0], &chars))
        return false;
    if (length >= INT64_MAX - leeway || chars <= (uint64_t)(length + leeway)) {
        *ret = args[0];
        return true;
    }
    if (args[0].type != V_STRING)
        return flow_vm__fail(vm, "filter 'truncate' wants a string, not %s: put | string before it",
                             flow_val__type_name(args[0]));
    FlowVal text = flow_val__substring(args[0], 0, (size_t)(length - end_chars));
    for (uint32_t i = text.len; !kill_words && i > 0; i--) {
        if (text.s[i - 1] == ' ') {
            text.len = i - 1;
            break;
        }
    }
    return flow_arith__binary(vm, OP_ADD, text, end, ret);
}

static bool filter_wordcount(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal text;
    int64_t words = 0;
    bool inside = false;
    if (!flow_val__to_string(vm, args[0], &text) || !flow_vm__charge(vm, 1 + text.len / 8))
        return false;
    for (size_t i = 0, size; i < text.len; i += size) {
        uint32_t c = flow_utf8_decode(text.s + i, text.len - i, &size);
        bool word = c == '_' || flow_unicode__is(c, UNI_ALNUM);
        words += word && !inside;
        inside = word;
    }
    *ret = val_int(words);
    return true;
}

/* ---- joining ---- */

/* With autoescape: when the separator or any item is Markup, the others are escaped. */
static bool join_escaping(FlowVm *vm, FlowList *items, FlowVal separator, FlowVal *ret)
{
    bool markup = val_is_markup(separator);
    for (size_t i = 0; i < items->count; i++) {
        if (!flow_val__to_string(vm, items->items[i], &items->items[i]))
            return false;
        markup |= val_is_markup(items->items[i]);
    }
    if (markup && !flow_val__escape(vm, separator, &separator))
        return false;
    FlowBuild build = flow_vm__build(vm);
    for (size_t i = 0; i < items->count; i++) {
        FlowVal item = items->items[i];
        if (i != 0)
            flow_buf_append(build.buf, separator.s, separator.len);
        if (markup && !val_is_markup(item))
            flow_text__escape(build.buf, item.s, item.len);
        else
            flow_buf_append(build.buf, item.s, item.len);
        if (!flow_vm__charge(vm, 1) || !flow_vm__build_ok(vm, build))
            return flow_vm__build_drop(vm, build);
    }
    if (!flow_vm__built(vm, build, ret))
        return false;
    ret->flags |= markup ? VAL_MARKUP : 0;
    return true;
}

static bool filter_join(FlowVm *vm, const FlowVal *args, FlowVal *ret)
{
    FlowVal separator = val_string("", 0), item;
    FlowIter iter;
    bool first = true;
    if (val_given(args[1]) && !flow_val__to_string(vm, args[1], &separator))
        return false;
    if (vm->autoescape && arg_absent(args[2])) {
        FlowList *items;
        return flow_list__from(vm, args[0], &items) && join_escaping(vm, items, separator, ret);
    }
    if (!flow_iter__begin(vm, &iter, args[0]))
        return false;
    FlowBuild build = flow_vm__build(vm);
    while (flow_iter__next(vm, &iter, &item)) {
        if (!arg_absent(args[2]) && !flow_val__attribute(vm, item, args[2], &item))
            return flow_vm__build_drop(vm, build);
        if (!first)
            flow_buf_append(build.buf, separator.s, separator.len);
        first = false;
        if (!flow_val__print(vm, build.buf, item) || !flow_vm__build_ok(vm, build))
            return flow_vm__build_drop(vm, build);
    }
    return vm->failed ? flow_vm__build_drop(vm, build) : flow_vm__built(vm, build, ret);
}

static const FlowNative rows[] = {
    {"upper", filter_upper, {"s"}, 1, NULL},
    {"lower", filter_lower, {"s"}, 1, NULL},
    {"capitalize", filter_capitalize, {"s"}, 1, NULL},
    {"title", filter_title, {"s"}, 1, NULL},
    {"trim", filter_trim, {"value", "chars"}, 1, NULL},
    {"string", filter_string, {"object"}, 1, NULL},
    {"replace", filter_replace, {"s", "old", "new", "count"}, 3, NULL},
    {"center", filter_center, {"value", "width"}, 1, NULL},
    {"format", NULL, {"value"}, 1, filter_format},
    {"indent", filter_indent, {"s", "width", "first", "blank"}, 1, NULL},
    {"truncate", filter_truncate, {"s", "length", "killwords", "end", "leeway"}, 1, NULL},
    {"wordcount", filter_wordcount, {"s"}, 1, NULL},
    {"wordwrap",
     flow_filter__wordwrap,
     {"s", "width", "break_long_words", "wrapstring", "break_on_hyphens"},
     1,
     NULL},
    {"join", filter_join, {"value", "d", "attribute"}, 1, NULL},
};
NATIVE_TABLE(flow_filters_string, rows);
