/*
 * values.h - what can be done with values: print, compare, count, look into, walk, change. Private to the
 * room. Functions that take a FlowVm can fail and answer false then; see vm.h.
 */
#ifndef FLOW_TEMPLATE_VALUES_H
#define FLOW_TEMPLATE_VALUES_H

#include "template/ast.h"
#include "template/big.h"
#include "template/program.h"
#include "template/vm.h"

/* ---- to and from JSON values ---- */

/* Borrows: strings and containers keep pointing at *json. */
static inline FlowVal flow_val__from_json(const FlowValue *json)
{
    switch (flow_value_kind(*json)) {
    case FLOW_VALUE_BOOL:
        return val_bool(flow_value_get_bool(*json));
    case FLOW_VALUE_INT:
        return val_int(flow_value_get_int(*json));
    case FLOW_VALUE_FLOAT:
        return val_float(flow_value_get_float(*json));
    case FLOW_VALUE_STRING:
        return val_string(flow_value_text(json), flow_value_length(json));
    case FLOW_VALUE_ARRAY:
        return (FlowVal){.type = V_ARRAY, .json = json};
    case FLOW_VALUE_OBJECT:
        return (FlowVal){.type = V_OBJECT, .json = json};
    default:
        return val_none();
    }
}

/* Yours. Tuples, ranges, views and generators become arrays, datetimes text. */
bool flow_val__to_json(FlowVm *vm, FlowVal v, FlowValue *ret);

/* ---- text (text.c) ---- */

/* str() of none, booleans, numbers and strings. */
void flow_val__print_scalar(FlowBuf *to, FlowVal v);
/* str(): what {{ }} prints. */
bool flow_val__print(FlowVm *vm, FlowBuf *to, FlowVal v);
/* repr(): how it looks inside a list. */
bool flow_val__print_repr(FlowVm *vm, FlowBuf *to, FlowVal v);
void flow_val__print_quoted(FlowBuf *to, const char *text, size_t len);
/* str() as a value; a string stays what it is, Markup too. */
bool flow_val__to_string(FlowVm *vm, FlowVal v, FlowVal *ret);
/* The same, and Markup becomes plain. */
bool flow_val__to_plain_string(FlowVm *vm, FlowVal v, FlowVal *ret);
/* A new string: the value escaped for HTML, Markup as it is. */
bool flow_val__escape(FlowVm *vm, FlowVal v, FlowVal *ret);
void flow_text__escape(FlowBuf *to, const char *text, size_t len);
bool flow_val__is_ascii(FlowVal string);
/* In characters. */
size_t flow_val__length_of_string(FlowVal string);
/* The characters from..to of a string, in its own bytes. */
FlowVal flow_val__substring(FlowVal string, size_t from, size_t to);

/* ---- truth, equality, order (compare.c) ---- */

bool flow_val__is_true(FlowVal v);
/* The same; an undefined value fails when strict. */
bool flow_val__truth(FlowVm *vm, FlowVal v, bool *ret);
bool flow_val__equal(FlowVm *vm, FlowVal a, FlowVal b, bool *ret);
/* Any comparison operator, `in` included. */
bool flow_val__compare(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, bool *ret);
/* a < b, as sorting asks. */
bool flow_val__less(FlowVm *vm, FlowVal a, FlowVal b, bool *ret);
bool flow_val__contains(FlowVm *vm, FlowVal container, FlowVal item, bool *ret);
uint64_t flow_val__hash_text(const char *text, size_t len);
/* Fails for lists and dicts. */
bool flow_val__hash(FlowVm *vm, FlowVal v, uint64_t *ret);

/* ---- arithmetic (arith.c) ---- */

bool flow_arith__binary(FlowVm *vm, FlowOperator op, FlowVal a, FlowVal b, FlowVal *ret);
bool flow_arith__unary(FlowVm *vm, FlowOperator op, FlowVal v, FlowVal *ret);
bool flow_arith__concat(FlowVm *vm, const FlowVal *parts, size_t count, FlowVal *ret);
bool flow_arith__repeat(FlowVm *vm, FlowVal sequence, FlowVal times, FlowVal *ret);
/* The nearest double of a number; fails when a big integer is beyond doubles. */
bool flow_arith__to_double(FlowVm *vm, FlowVal number, double *ret);
/* A V_INT or V_BOOL as int64; fails ("… wants an integer") for everything else. `what` names the parameter. */
bool flow_arith__to_int(FlowVm *vm, FlowVal v, const char *what, int64_t *ret);

/* ---- looking into (access.c) ---- */

/* v.key and v['key']: a key of a dict, a field, or a method. Undefined when there is none. */
bool flow_val__key(FlowVm *vm, FlowVal v, const FlowKey *key, FlowVal *ret);
bool flow_val__item(FlowVm *vm, FlowVal v, FlowVal index, FlowVal *ret);
bool flow_val__slice(FlowVm *vm, FlowVal v, FlowVal from, FlowVal to, FlowVal step, FlowVal *ret);
/* "a.b.0" as filters take it in `attribute`. */
bool flow_val__attribute(FlowVm *vm, FlowVal v, FlowVal path, FlowVal *ret);
/* Dict lookup; NULL value (false in *ret_found) when there is none. */
bool flow_val__lookup(FlowVm *vm, FlowVal mapping, FlowVal key, FlowVal *ret, bool *ret_found);
/* What a range means for a sequence of `count`, as Python's slice.indices(). */
bool flow_slice__resolve(FlowVm *vm, FlowVal from, FlowVal to, FlowVal step, size_t count, int64_t *ret_from,
                         int64_t *ret_step, size_t *ret_count);

/* ---- length and walking (iter.c) ---- */

/* Fails for what has no length; generators have none. */
bool flow_val__length(FlowVm *vm, FlowVal v, size_t *ret);
/* -1 when it has none. */
int64_t flow_val__length_or_none(FlowVal v);
bool flow_val__is_iterable(FlowVal v);

/*
 * A walk over the items of a value:
 *     FlowIter iter;
 *     if (!flow_iter__begin(vm, &iter, v))
 *         return false;
 *     while (flow_iter__next(vm, &iter, &item)) ...
 *     if (vm->failed)
 *         return false;
 */
struct FlowIter {
    bool (*next)(FlowVm *vm, FlowIter *iter, FlowVal *ret);
    union {
        FlowVal over;
        FlowIter *inner; /* a generator, or what a generator walks over */
    };
    size_t at;
    union {
        size_t count;
        const FlowValue *items;
    };
    unsigned depth; /* generators over generators */
};

bool flow_iter__begin(FlowVm *vm, FlowIter *iter, FlowVal v);

/* False at the end and when failed. */
static inline bool flow_iter__next(FlowVm *vm, FlowIter *iter, FlowVal *ret)
{
    return iter->next(vm, iter, ret);
}

/* A generator: `iter` is the first member of what `size` bytes are allocated for; it walks over `over`. */
FlowIter *flow_iter__generator(FlowVm *vm, size_t size, FlowVal over,
                               bool (*next)(FlowVm *vm, FlowIter *iter, FlowVal *ret));

/* ---- lists, dicts, tuples (container.c) ---- */

FlowList *flow_list__new(FlowVm *vm, size_t capacity);
bool flow_list__push(FlowVm *vm, FlowList *list, FlowVal item);
/* A new list of all items of anything that can be walked. */
bool flow_list__from(FlowVm *vm, FlowVal v, FlowList **ret);
bool flow_tuple__of(FlowVm *vm, FlowVal *ret, size_t count, const FlowVal *items);
/* The items of a list, tuple or array at `index`, which must exist. */
FlowVal flow_list__at(FlowVal list, size_t index);

FlowDict *flow_dict__new(FlowVm *vm, size_t capacity);
/* NULL when there is none. */
FlowDictEntry *flow_dict__find(FlowVm *vm, const FlowDict *dict, FlowVal key, uint64_t hash);
FlowDictEntry *flow_dict__find_text(const FlowDict *dict, const char *text, size_t len, uint64_t hash);
bool flow_dict__set(FlowVm *vm, FlowDict *dict, FlowVal key, FlowVal value);
bool flow_dict__remove(FlowVm *vm, FlowDict *dict, FlowVal key, FlowVal *ret_value, bool *ret_found);
/* Adds all of a mapping. */
bool flow_dict__merge(FlowVm *vm, FlowDict *dict, FlowVal mapping);

/* Walks a mapping of either kind: *at begins as 0. False at the end. */
bool flow_mapping__next(FlowVal mapping, size_t *at, FlowVal *ret_key, FlowVal *ret_value);
size_t flow_mapping__count(FlowVal mapping);

/* ---- sorting (sort.c) ---- */

enum {
    SORT_REVERSE = 1,
    SORT_AS_LISTS = 2 /* keys are compared as if each stood in a list: equal ones need no order */
};

/* Stable; keys[i] belongs to items[i]. */
bool flow_sort(FlowVm *vm, FlowVal *items, FlowVal *keys, size_t count, unsigned how);

/* ---- loops (loop.c) ---- */

typedef enum FlowLoopField {
    LOOP_INDEX,
    LOOP_INDEX0,
    LOOP_REVINDEX,
    LOOP_REVINDEX0,
    LOOP_FIRST,
    LOOP_LAST,
    LOOP_LENGTH,
    LOOP_DEPTH,
    LOOP_DEPTH0,
    LOOP_PREVITEM,
    LOOP_NEXTITEM,
    LOOP_FIELD_COUNT
} FlowLoopField;

/* One `for` in progress. */
struct FlowLoopState {
    FlowIter iter;
    int64_t index0; /* -1 before the first turn */
    size_t length;  /* extended loops only */
    FlowVal items;  /* extended: list, tuple, array or range */
    FlowVal changed;
    unsigned depth0;
    bool extended;
    const FlowFunction *function; /* recursive loops */
    FlowEnv *outer;
};

/* -1: no such field. */
int flow_loop__field(const char *name, size_t len);
bool flow_loop__get(FlowVm *vm, const FlowLoopState *loop, FlowLoopField field, FlowVal *ret);
/* Begins a loop in `loop`. */
bool flow_loop__begin(FlowVm *vm, FlowLoopState *loop, FlowVal over, bool extended);

/* ---- macros, self (call.c, globals.c) ---- */

/* False when it has none. */
bool flow_macro__name(FlowVm *vm, const FlowMacro *macro, FlowVal *ret);
bool flow_macro__field(FlowVm *vm, const FlowMacro *macro, const char *name, size_t len, FlowVal *ret,
                       bool *ret_found);
bool flow_self__block(FlowVm *vm, const char *name, size_t len, FlowVal *ret);

/* ---- date and time (datetime.c) ---- */

void flow_datetime__print(FlowBuf *to, const FlowDateTime *t, char between);
int flow_datetime__order(const FlowDateTime *a, const FlowDateTime *b);
bool flow_datetime__shift(FlowVm *vm, const FlowDateTime *t, FlowVal seconds, int sign, FlowVal *ret);
/* In seconds, as a float. */
bool flow_datetime__difference(FlowVm *vm, const FlowDateTime *a, const FlowDateTime *b, FlowVal *ret);
bool flow_datetime__field(const FlowDateTime *t, const char *name, size_t len, FlowVal *ret);

/* ---- formatting (format_percent.c, format_brace.c) ---- */

bool flow_format__percent(FlowVm *vm, FlowVal format, FlowVal values, FlowVal *ret);
bool flow_format__brace(FlowVm *vm, FlowVal format, const FlowArgs *args, FlowVal mapping, FlowVal *ret);

/* ---- methods ---- */

const FlowNative *flow_method__of_class(int class, const char *name, size_t len);
/* METHODS_OF_...; -1 for values without methods. */
int flow_method__class(FlowVal self);

/* ---- the machine (exec.c) ---- */

/* A vm that computes constants while compiling; made on first use, freed with flow_vm__free_folder(). Any
 * failure of the last use is forgotten. */
FlowVm *flow_vm__folder(FlowVm **folder);
void flow_vm__free_folder(FlowVm *folder);
/* Runs the template; the value of a V_RESULT instruction goes to *ret_value (may be NULL: print it). */
bool flow_exec(FlowVm *vm, FlowVal *ret_value, uint32_t *ret_at);

#endif
