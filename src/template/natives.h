/*
 * natives.h - how filters, tests and methods are written. Private to the room.
 *
 * Each topic is a file with its functions and, at its end, the table of their names and parameters. A row
 * says how many of the parameters must be given; the value in front counts as the first one.
 */
#ifndef FLOW_TEMPLATE_NATIVES_H
#define FLOW_TEMPLATE_NATIVES_H

#include <string.h>

#include "base/mem.h"
#include "template/values.h"

extern const FlowNativeTable flow_filters_string, flow_filters_list, flow_filters_select, flow_filters_number,
    flow_filters_html, flow_filters_json, flow_filters_host, flow_filters_regex, flow_filters_datetime;

extern const FlowNativeTable flow_methods_string, flow_methods_list, flow_methods_tuple, flow_methods_dict,
    flow_methods_loop, flow_methods_cycler, flow_methods_datetime;
extern const FlowNative flow_global_now;

#define NATIVE_TABLE(name, rows) const FlowNativeTable name = {rows, FLOW_COUNT(rows)}

/* ---- reading arguments: each has a default for what was not given ---- */

static inline bool arg_int(FlowVm *vm, FlowVal arg, const char *what, int64_t otherwise, int64_t *ret)
{
    if (!val_given(arg)) {
        *ret = otherwise;
        return true;
    }
    return flow_arith__to_int(vm, arg, what, ret);
}

static inline bool arg_truth(FlowVm *vm, FlowVal arg, bool otherwise, bool *ret)
{
    *ret = otherwise;
    return !val_given(arg) || flow_val__truth(vm, arg, ret);
}

/* True or false (or a number), and nothing that would only count as such. */
static inline bool arg_flag(FlowVm *vm, FlowVal arg, const char *what, bool *ret)
{
    *ret = false;
    if (!val_given(arg))
        return true;
    if (arg.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, arg);
    if (arg.type != V_BOOL && arg.type != V_INT)
        return flow_vm__fail(vm, "%s wants true or false, not %s", what, flow_val__type_name(arg));
    *ret = arg.i != 0;
    return true;
}

/* None counts as not given. */
static inline bool arg_absent(FlowVal arg)
{
    return !val_given(arg) || arg.type == V_NONE;
}

/* A string is asked for, nothing else will do. */
static inline bool arg_string(FlowVm *vm, FlowVal arg, const char *what)
{
    if (arg.type == V_STRING)
        return true;
    if (arg.type == V_UNDEFINED)
        return flow_vm__fail_undefined(vm, arg);
    return flow_vm__fail(vm, "%s wants a string, not %s", what, flow_val__type_name(arg));
}

static inline FlowVal with_markup_of(FlowVal made, FlowVal from)
{
    made.flags |= from.flags & VAL_MARKUP;
    return made;
}

/* ---- shared between filters and methods ---- */

typedef enum FlowStrip { STRIP_LEFT = 1, STRIP_RIGHT = 2, STRIP_BOTH = 3 } FlowStrip;

/* `chars`: which ones go; absent: white space. */
bool flow_text__strip(FlowVm *vm, FlowVal text, FlowVal chars, FlowStrip where, FlowVal *ret);
/* `count` < 0: all. Plain bytes in, plain string out. */
bool flow_text__replace(FlowVm *vm, FlowVal text, FlowVal old, FlowVal with, int64_t count, FlowVal *ret);
/* `fill` is one character. left + text + right, as bytes of padding characters. */
bool flow_text__pad(FlowVm *vm, FlowVal text, uint64_t left, uint64_t right, FlowVal fill, FlowVal *ret);
bool flow_text__center(FlowVm *vm, FlowVal text, int64_t width, FlowVal fill, FlowVal *ret);
bool flow_text__splitlines(FlowVm *vm, FlowVal text, bool keep_ends, FlowList **ret);
/* Splits at white space (sep absent) or at sep; at most `max` times when max >= 0. */
bool flow_text__split(FlowVm *vm, FlowVal text, FlowVal sep, int64_t max, bool from_right, FlowList **ret);
/* Maps a whole string: FlowBuf writer of unicode.h, with a short way for ASCII. */
bool flow_text__map(FlowVm *vm, FlowVal text, void (*map)(FlowBuf *to, const char *text, size_t len),
                    FlowVal *ret);
bool flow_text__lower(FlowVm *vm, FlowVal text, FlowVal *ret);
bool flow_text__upper(FlowVm *vm, FlowVal text, FlowVal *ret);
/* "12", " -1_000 ", "0x1f" with base 16 or 0 ...: as int(). *ret_bad: it is no such number. */
bool flow_text__to_integer(FlowVm *vm, FlowVal text, int base, FlowVal *ret, bool *ret_bad);
/* As float(): white space around, underscores, inf and nan. */
bool flow_text__to_float(FlowVal text, double *ret);
/* Lower case for strings, everything else as it is: how sorting and the like ignore case. */
bool flow_val__ignore_case(FlowVm *vm, FlowVal v, FlowVal *ret);

bool flow_global__merge_into(FlowVm *vm, FlowDict *dict, FlowVal from);
bool flow_filter__attribute_or(FlowVm *vm, FlowVal v, FlowVal path, FlowVal otherwise, FlowVal *ret);
bool flow_filter__urlize(FlowVm *vm, const FlowVal *args, FlowVal *ret);
bool flow_filter__wordwrap(FlowVm *vm, const FlowVal *args, FlowVal *ret);

/* JSON text; `indent` < 0: on one line. */
typedef struct FlowJsonStyle {
    int64_t indent;
    const char *item_separator, *key_separator;
    bool sorted, ascii, html_safe;
} FlowJsonStyle;
bool flow_json__dump(FlowVm *vm, FlowBuf *to, FlowVal v, const FlowJsonStyle *style);

#endif
