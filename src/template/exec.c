/*
 * exec.c - the machine. One loop over instructions and a stack of values; calls of macros push a frame and go
 * on in the same loop, so the depth of the C stack does not depend on the template.
 */
#include "template/exec.h"

#include <string.h>

#include "base/utf8.h"
#include "value/number.h"

/* ---- printing ---- */

static bool print_slow(FlowVm *vm, FlowVal v, bool raw)
{
    if (!vm->autoescape || raw || val_is_markup(v))
        return flow_val__print(vm, vm->out, v);
    FlowVal text;
    if (!flow_val__to_string(vm, v, &text) || !flow_vm__charge(vm, 1 + text.len / 64))
        return false;
    flow_text__escape(vm->out, text.s, text.len);
    return true;
}

static inline bool print(FlowVm *vm, FlowVal v)
{
    if (v.type == V_STRING && !vm->autoescape) {
        flow_buf_append(vm->out, v.s, v.len);
        return true;
    }
    if (v.type == V_INT && (uint64_t)v.i < 10) {
        flow_buf_byte(vm->out, (char)('0' + v.i));
        return true;
    }
    return print_slow(vm, v, false);
}

bool flow_capture__begin(FlowVm *vm)
{
    FlowCapture *capture = flow_vm__alloc(vm, sizeof *capture);
    if (capture == NULL)
        return false;
    *capture = (FlowCapture){vm->capture, vm->out, vm->captured.len};
    vm->capture = capture;
    vm->out = &vm->captured;
    return true;
}

bool flow_capture__end(FlowVm *vm, FlowVal *ret)
{
    FlowCapture *capture = vm->capture;
    FlowBuild build = {&vm->captured, capture->start};
    vm->capture = capture->outer;
    vm->out = capture->out;
    if (!flow_vm__built(vm, build, ret))
        return false;
    ret->flags |= vm->autoescape ? VAL_MARKUP : 0;
    return true;
}

/* ---- names ---- */

static FlowVal undefined_name(const FlowVm *vm, uint32_t global)
{
    return (FlowVal){.type = V_UNDEFINED, .undefined = &vm->tmpl->globals[global].undefined};
}

static inline FlowEnv *outer_env(FlowEnv *env, unsigned out)
{
    for (; out != 0; out--)
        env = env->outer;
    return env;
}

static inline bool chain_value(FlowVm *vm, FlowEnv *env, const FlowChain *chain, FlowVal *ret)
{
    FlowVal v =
        chain->in_context ? vm->globals[chain->name] : outer_env(env, chain->outer)->slots[chain->slot];
    if (v.type == V_MISSING)
        v = undefined_name(vm, chain->name);
    const FlowKey *key = vm->tmpl->keys + chain->first;
    for (unsigned i = 0; i < chain->count; i++) {
        if (!flow_val__key(vm, v, key + i, &v))
            return false;
    }
    *ret = v;
    return true;
}

/* ---- instructions that are more than a line ---- */

static bool loop_begin(FlowVm *vm, const FlowFunction *function, FlowEnv *env, unsigned slot, bool extended,
                       FlowVal over)
{
    FlowLoopState *loop = NULL;
    /* A state that no `loop` leads to is nobody's but this loop's, and may be used again. */
    if (env->slots[slot].type == V_LOOP && !extended)
        loop = env->slots[slot].loop;
    else
        loop = flow_vm__alloc(vm, sizeof *loop);
    if (loop == NULL || !flow_loop__begin(vm, loop, over, extended))
        return false;
    if (function->kind == FUNCTION_LOOP && slot == 1) {
        loop->function = function;
        loop->outer = env->outer;
        loop->depth0 = vm->loop_depth;
    }
    env->slots[slot] = (FlowVal){.type = V_LOOP, .loop = loop};
    return true;
}

static bool unpack(FlowVm *vm, FlowVal v, FlowVal *to, size_t count)
{
    FlowIter iter;
    FlowVal item;
    size_t n = 0;
    if (!flow_val__is_iterable(v) && v.type != V_UNDEFINED)
        return flow_vm__fail(vm, "%s can't be unpacked into %zu names", flow_val__type_name(v), count);
    if (!flow_iter__begin(vm, &iter, v))
        return false;
    while (flow_iter__next(vm, &iter, &item)) {
        if (n == count)
            return flow_vm__fail(vm, "too many values to unpack (expected %zu)", count);
        to[count - 1 - n++] = item;
    }
    if (vm->failed)
        return false;
    if (n < count)
        return flow_vm__fail(vm, "not enough values to unpack (expected %zu, got %zu)", count, n);
    return true;
}

static bool make_dict(FlowVm *vm, const FlowVal *pairs, size_t count, FlowVal *ret)
{
    FlowDict *dict = flow_dict__new(vm, count / 2);
    if (dict == NULL)
        return false;
    for (size_t i = 0; i < count; i += 2) {
        if (!flow_dict__set(vm, dict, pairs[i], pairs[i + 1]))
            return false;
    }
    *ret = val_dict(dict);
    return true;
}

static bool make_list(FlowVm *vm, const FlowVal *items, size_t count, FlowVal *ret)
{
    FlowList *list = flow_list__new(vm, count);
    if (list == NULL)
        return false;
    if (count != 0)
        memcpy(list->items, items, count * sizeof *items);
    list->count = count;
    *ret = val_list(list);
    return true;
}

static bool make_macro(FlowVm *vm, const FlowFunction *function, FlowEnv *env, FlowVal *ret)
{
    FlowMacro *macro = flow_vm__alloc(vm, sizeof *macro);
    if (macro == NULL)
        return false;
    *macro = (FlowMacro){function, env, vm->autoescape};
    *ret = (FlowVal){.type = V_MACRO, .macro = macro};
    return true;
}

static bool set_attribute(FlowVm *vm, FlowVal target, const FlowKey *key, FlowVal value)
{
    if (target.type != V_NAMESPACE)
        return flow_vm__fail(
            vm, "cannot assign attribute on non-namespace object: begin with {%% set ns = namespace() %%}");
    return flow_dict__set(vm, target.dict, key->val, value);
}

/* [+-] digits [. digits] [e [+-] digits]: just a number. */
static bool number_in(FlowVm *vm, FlowVal text, FlowVal *ret)
{
    int64_t integer;
    double number;
    bool bad;
    if (text.len == 0 || text.len > 400 || text.s[text.len - 1] == '.' || text.s[0] == '.')
        return false;
    if (flow_parse_int(text.s, text.len, &integer)) {
        *ret = val_int(integer);
        return true;
    }
    if (flow_big__parse(vm, text.s, text.len, 10, ret, &bad))
        return true;
    if (!flow_parse_double(text.s, text.len, &number))
        return false;
    *ret = val_float(number);
    return true;
}

static bool is_plain_number(FlowVal v)
{
    return v.type == V_INT || v.type == V_FLOAT || v.type == V_BIG;
}

static void convert_islands(FlowVm *vm, FlowVal *left, FlowVal *right, unsigned mask)
{
    if ((mask & 1) && left->type == V_STRING && is_plain_number(*right))
        number_in(vm, *left, left);
    else if ((mask & 2) && right->type == V_STRING && is_plain_number(*left))
        number_in(vm, *right, right);
}

/* ---- the loop ---- */

#define CHECK(ok)                                                                                            \
    do {                                                                                                     \
        if (__builtin_expect(!(ok), 0))                                                                      \
            goto failed;                                                                                     \
    } while (0)

#define BRANCH(condition)                                                                                    \
    do {                                                                                                     \
        if (condition)                                                                                       \
            ip = function->code + op->c;                                                                     \
    } while (0)

bool flow_exec(FlowVm *vm, FlowVal *ret_value, uint32_t *ret_at)
{
    const FlowTemplate *t = vm->tmpl;
    const FlowFunction *function = &t->functions[0];
    FlowEnv *env = flow_env__new(vm, function, NULL);
    const FlowOp *ip = function->code;
    const FlowOp *op = ip;
    if (env == NULL)
        return false;
    vm->root = env;
    FlowVal *slots = env->slots;
    FlowVal *sp = slots + function->slots; /* the first free place */
    FlowVal value;
    FlowCallOut out;
    FlowArgs args;
    bool yes;

    for (;;) {
        op = ip++;
        switch ((FlowOpCode)op->op) {
        case I_TEXT:
            value = t->constants[op->c];
            flow_buf_append(vm->out, value.s, value.len);
            break;
        case I_CONST:
            *sp++ = t->constants[op->c];
            break;
        case I_LOCAL:
            *sp = slots[op->b];
            if (sp->type == V_MISSING)
                *sp = undefined_name(vm, op->c);
            sp++;
            break;
        case I_OUTER:
            *sp = outer_env(env, op->a)->slots[op->b];
            if (sp->type == V_MISSING)
                *sp = undefined_name(vm, op->c);
            sp++;
            break;
        case I_GLOBAL:
            *sp = vm->globals[op->c];
            if (sp->type == V_MISSING)
                *sp = undefined_name(vm, op->c);
            sp++;
            break;
        case I_STORE:
            slots[op->b] = *--sp;
            break;
        case I_SET_GLOBAL:
            slots[op->b] = vm->globals[op->c];
            break;
        case I_SET_MISSING:
            slots[op->b] = val_missing();
            break;
        case I_SET_COPY:
            slots[op->b] = outer_env(env, op->a)->slots[op->c];
            break;
        case I_IF_MISSING_COPY:
            if (slots[op->b].type == V_MISSING)
                slots[op->b] = outer_env(env, op->a)->slots[op->c];
            break;
        case I_IF_MISSING_GLOBAL:
            if (slots[op->b].type == V_MISSING)
                slots[op->b] = vm->globals[op->c];
            break;
        case I_SET_SELF:
            slots[op->b] = (FlowVal){.type = V_SELF};
            break;
        case I_CHAIN:
            CHECK(chain_value(vm, env, &t->chains[op->c], sp));
            sp++;
            break;
        case I_PRINT_CHAIN:
            CHECK(chain_value(vm, env, &t->chains[op->c], &value) && print(vm, value));
            break;
        case I_KEY:
            CHECK(flow_val__key(vm, sp[-1], &t->keys[op->c], &sp[-1]));
            break;
        case I_ITEM:
            sp--;
            CHECK(flow_val__item(vm, sp[-1], sp[0], &sp[-1]));
            break;
        case I_SLICE:
            sp -= 3;
            CHECK(flow_val__slice(vm, sp[-1], sp[0], sp[1], sp[2], &sp[-1]));
            break;
        case I_LOOP_FIELD:
            CHECK(flow_loop__get(vm, outer_env(env, op->a)->slots[op->b].loop, (FlowLoopField)op->c, sp));
            sp++;
            break;
        case I_PRINT_LOOP_FIELD:
            CHECK(
                flow_loop__get(vm, outer_env(env, op->a)->slots[op->b].loop, (FlowLoopField)op->c, &value) &&
                print(vm, value));
            break;
        case I_PRINT:
            sp--;
            CHECK(op->a ? print_slow(vm, *sp, true) : print(vm, *sp));
            break;
        case I_RESULT:
            sp--;
            if (ret_value != NULL) {
                *ret_value = *sp;
                return true;
            }
            CHECK(print(vm, *sp));
            break;
        case I_POP:
            sp--;
            break;
        case I_DUP:
            sp[0] = sp[-1];
            sp++;
            break;
        case I_LIST:
            sp -= op->c;
            CHECK(make_list(vm, sp, op->c, sp));
            sp++;
            break;
        case I_TUPLE:
            sp -= op->c;
            CHECK(flow_tuple__of(vm, sp, op->c, sp));
            sp++;
            break;
        case I_DICT:
            sp -= op->c;
            CHECK(make_dict(vm, sp, op->c, sp));
            sp++;
            break;
        case I_CONCAT:
            sp -= op->c;
            CHECK(flow_arith__concat(vm, sp, op->c, sp));
            sp++;
            break;
        case I_NOT:
            CHECK(flow_val__truth(vm, sp[-1], &yes));
            sp[-1] = val_bool(!yes);
            break;
        case I_NEG:
            CHECK(flow_arith__unary(vm, OP_NEG, sp[-1], &sp[-1]));
            break;
        case I_POS:
            CHECK(flow_arith__unary(vm, OP_POS, sp[-1], &sp[-1]));
            break;
        case I_BINARY:
            sp--;
            CHECK(flow_arith__binary(vm, (FlowOperator)op->a, sp[-1], sp[0], &sp[-1]));
            break;
        case I_COMPARE:
            sp--;
            CHECK(flow_val__compare(vm, (FlowOperator)op->a, sp[-1], sp[0], &yes));
            sp[-1] = val_bool(yes);
            break;
        case I_COMPARE_CHAIN:
            sp--;
            CHECK(flow_val__compare(vm, (FlowOperator)op->a, sp[-1], sp[0], &yes));
            sp[-1] = yes ? sp[0] : val_bool(false);
            BRANCH(!yes);
            break;
        case I_ISLANDS:
            convert_islands(vm, &sp[-2], &sp[-1], op->a);
            CHECK(!vm->failed);
            break;
        case I_JUMP:
            BRANCH(true);
            break;
        case I_JUMP_FALSE:
            sp--;
            CHECK(flow_val__truth(vm, *sp, &yes));
            BRANCH(!yes);
            break;
        case I_JUMP_TRUE:
            sp--;
            CHECK(flow_val__truth(vm, *sp, &yes));
            BRANCH(yes);
            break;
        case I_AND:
            CHECK(flow_val__truth(vm, sp[-1], &yes));
            BRANCH(!yes);
            sp -= yes;
            break;
        case I_OR:
            CHECK(flow_val__truth(vm, sp[-1], &yes));
            BRANCH(yes);
            sp -= !yes;
            break;
        case I_FILTER:
        case I_TEST: {
            const FlowSite *site = &t->sites[op->c];
            if (site->plain) {
                sp -= site->positional;
                memset(sp + site->positional, 0, site->fill * sizeof *sp);
                CHECK(site->native->call(vm, sp, &value));
            } else {
                sp -= site->positional + site->named + site->spread + site->named_spread;
                CHECK(flow_call__native(vm, site, op->op == I_FILTER, sp, &value));
            }
            *sp++ = value;
            break;
        }
        case I_CALL:
        case I_PRINT_CALL:
        case I_CALL_METHOD: {
            const FlowSite *site = &t->sites[op->c];
            sp -= site->positional + site->named + site->spread + site->named_spread + site->caller;
            out.function = NULL;
            if (op->op == I_CALL_METHOD) {
                CHECK(flow_call__method(vm, site, sp, &out));
            } else {
                CHECK(flow_site__arguments(vm, site, sp, &args));
                sp--;
                CHECK(flow_call__value(vm, *sp, &args, &out));
            }
            if (out.function != NULL)
                goto enter;
            if (op->op == I_PRINT_CALL)
                CHECK(print(vm, out.result));
            else
                *sp++ = out.result;
            break;
        }
        case I_LOOP_BEGIN:
            sp--;
            CHECK(loop_begin(vm, function, env, op->b, op->a, *sp));
            break;
        case I_LOOP_NEXT: {
            FlowLoopState *loop = slots[op->b].loop;
            /* The turn pays for the instructions of the body, whether it goes through all of them or not. */
            CHECK(flow_vm__charge(vm, op->c - (uint64_t)(ip - function->code)));
            if (flow_iter__next(vm, &loop->iter, sp)) {
                loop->index0++;
                sp++;
                break;
            }
            CHECK(!vm->failed);
            BRANCH(true);
            break;
        }
        case I_LOOP_END:
            BRANCH(slots[op->b].type == V_LIST ||
                   (slots[op->b].type == V_LOOP && slots[op->b].loop->index0 >= 0));
            break;
        case I_LOOP_CALL:
            sp--;
            CHECK(flow_call__loop(vm, &t->functions[op->c], env, 0, *sp, &out));
            goto enter;
        case I_LIST_NEW:
            CHECK(make_list(vm, NULL, 0, &slots[op->b]));
            break;
        case I_LIST_ADD:
            sp--;
            CHECK(flow_list__push(vm, slots[op->b].list, *sp));
            break;
        case I_UNPACK:
            sp--;
            value = *sp;
            CHECK(unpack(vm, value, sp, op->c));
            sp += op->c;
            break;
        case I_MACRO:
            CHECK(make_macro(vm, &t->functions[op->c], env, sp));
            sp++;
            break;
        case I_CAPTURE:
            CHECK(flow_capture__begin(vm));
            break;
        case I_CAPTURED:
            CHECK(flow_capture__end(vm, sp));
            sp++;
            break;
        case I_SET_ATTRIBUTE:
            sp -= 2;
            CHECK(set_attribute(vm, sp[1], &t->keys[op->c], sp[0]));
            break;
        case I_PARAM_GIVEN:
            BRANCH(slots[op->b].type != V_MISSING);
            break;
        case I_PARAM_UNDEFINED:
            if (slots[op->b].type == V_MISSING) {
                CHECK(
                    flow_vm__format(vm, &value, "parameter '%.80s' was not provided", t->keys[op->c].val.s));
                char *hint = flow_arena_strndup(&vm->memory, value.s, value.len);
                CHECK(hint != NULL && flow_vm__undefined_hint(vm, hint, &slots[op->b]));
            }
            break;
        case I_AUTOESCAPE:
            sp--;
            slots[op->b] = val_bool(vm->autoescape);
            CHECK(flow_val__truth(vm, *sp, &vm->autoescape));
            break;
        case I_AUTOESCAPE_END:
            vm->autoescape = slots[op->b].b;
            break;
        case I_UNDEFINED: {
            FlowUndefined *undefined = flow_vm__alloc(vm, sizeof *undefined);
            CHECK(undefined != NULL);
            *undefined = (FlowUndefined){.hint = t->constants[op->c].s, .lenient = op->a};
            *sp++ = (FlowVal){.type = V_UNDEFINED, .undefined = undefined};
            break;
        }
        case I_FAIL:
            flow_vm__fail(vm, "%.*s", (int)t->constants[op->c].len, t->constants[op->c].s);
            goto failed;
        case I_RETURN: {
            FlowCallFrame *frame = vm->frame;
            if (frame == NULL) {
                if (vm->out->failed)
                    flow_vm__limit(vm, "the output is longer than %zu bytes", vm->limits.output_bytes);
                return !vm->failed;
            }
            vm->autoescape = frame->autoescape;
            if (frame->captured)
                CHECK(flow_capture__end(vm, frame->sp));
            flow_env__recycle(vm, function, env);
            function = frame->function;
            ip = frame->ip;
            sp = frame->sp + frame->captured;
            env = frame->env;
            slots = env->slots;
            vm->frame = frame->caller;
            vm->call_depth--;
            break;
        }
        }
        continue;

    enter : { /* out.function with out.env, whose text is the result or, straight away, output */
        bool captured = op->op == I_CALL || op->op == I_CALL_METHOD;
        if (vm->call_depth >= vm->limits.call_depth) {
            flow_vm__limit(vm, "calls more than %u deep inside each other", vm->limits.call_depth);
            goto failed;
        }
        FlowCallFrame *frame = flow_vm__alloc(vm, sizeof *frame);
        CHECK(frame != NULL && flow_vm__charge(vm, out.function->count));
        *frame = (FlowCallFrame){vm->frame, function, ip, sp, env, captured, vm->autoescape};
        if (captured)
            CHECK(flow_capture__begin(vm));
        vm->frame = frame;
        vm->call_depth++;
        vm->autoescape = out.autoescape;
        function = out.function;
        env = out.env;
        slots = env->slots;
        sp = slots + function->slots;
        ip = function->code;
    }
    }

failed:
    *ret_at = function->at[op - function->code];
    return false;
}
