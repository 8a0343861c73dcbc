/*
 * compile_statement.c - statements and macros. Each statement leaves the stack as it found it.
 *
 * A macro, a call block and a recursive loop are functions with slots of their own; everything else that opens
 * a scope (for, with, filter, set block, block) uses slots of the function around it.
 */
#include <string.h>

#include "template/compile.h"
#include "template/values.h"

/* ---- functions ---- */

void flow_compile__begin_function(FlowCompiler *c, FlowBuilder *builder, FlowFunctionKind kind)
{
    *builder = (FlowBuilder){.outer = c->builder, .index = (uint32_t)c->functions.count};
    builder->function = (FlowFunction){
        .kind = kind, .caller_slot = FLOW_NO_SLOT, .named_slot = FLOW_NO_SLOT, .rest_slot = FLOW_NO_SLOT};
    c->builder = builder;
    (void)FLOW_PUSH(c, &c->functions, FlowFunction);
}

uint32_t flow_compile__end_function(FlowCompiler *c)
{
    FlowBuilder *b = c->builder;
    flow_compile__emit(c, I_RETURN, 0, 0, 0, 0);
    if (!c->failed) {
        b->function.code = b->code.items;
        b->function.at = b->at.items;
        b->function.count = b->code.count;
        b->function.slots = b->slots;
        b->function.stack = (uint32_t)b->deepest + FLOW_NATIVE_PARAMS;
        b->function.reusable = !b->has_closures;
        ((FlowFunction *)c->functions.items)[b->index] = b->function;
    }
    c->builder = b->outer;
    return b->index;
}

static bool is_param(const FlowAstParams *params, const char *name, bool *ret_has_default)
{
    size_t index = 0;
    for (const FlowAst *param = params != NULL ? params->names.first : NULL; param != NULL;
         param = param->next, index++) {
        if (strcmp(param->name->text, name) == 0) {
            *ret_has_default = index + params->defaults.count >= params->names.count;
            return true;
        }
    }
    return false;
}

/* A parameter that is there because the body mentions it. */
static const FlowAtom *special_param(FlowCompiler *c, FlowScope *scope, FlowSpecialName which)
{
    flow_compile__need(c, flow_scope__parameter(c->scratch, scope, c->names[which]));
    return c->names[which];
}

static uint32_t slot_of(FlowScope *scope, const FlowAtom *name)
{
    return name != NULL ? flow_scope__find(scope, name)->slot : FLOW_NO_SLOT;
}

/* Values for the parameters that the call left out. */
static void defaults(FlowCompiler *c, FlowScope *scope, const FlowAstParams *params)
{
    size_t without = params->names.count - params->defaults.count;
    FlowAst *value = params->defaults.first;
    size_t index = 0;
    for (const FlowAst *param = params->names.first; param != NULL; param = param->next, index++) {
        uint32_t slot = slot_of(scope, param->name);
        if (index < without) {
            flow_compile__emit(c, I_PARAM_UNDEFINED, 0, slot, flow_compile__key(c, param->name), param->at);
            continue;
        }
        size_t given = flow_compile__emit(c, I_PARAM_GIVEN, 0, slot, 0, param->at);
        flow_compile__expression(c, value);
        flow_compile__emit(c, I_STORE, 0, slot, 0, param->at);
        flow_compile__land(c, given);
        value = value->next;
    }
}

/* The function of a macro or a call block; answers its number. */
static uint32_t macro_function(FlowCompiler *c, const FlowAst *node, FlowFunctionKind kind)
{
    FlowBuilder builder;
    FlowScope *outer = c->scope;
    bool soft = c->soft;
    c->builder->has_closures = true;
    flow_compile__begin_function(c, &builder, kind);
    FlowScope *scope = flow_compile__open_scope(c, outer);
    if (scope == NULL || c->failed)
        return 0;
    static const FlowAstParams none;
    const FlowAstParams *params = node->params != NULL ? node->params : &none;
    for (const FlowAst *param = params->names.first; param != NULL; param = param->next)
        flow_compile__need(c, flow_scope__parameter(c->scratch, scope, param->name));
    flow_compile__need(c, flow_scope__analyse(c->scratch, scope, params->defaults.first) &&
                              flow_scope__analyse(c->scratch, scope, node->body.first));
    unsigned special =
        flow_ast__undeclared(node->body.first, FLOW_NAMES_CALLER | FLOW_NAMES_KWARGS | FLOW_NAMES_VARARGS);
    const FlowAtom *caller = NULL, *kwargs = NULL, *varargs = NULL;
    bool has_default = false;
    builder.function.explicit_caller = is_param(params, "caller", &has_default);
    if ((special & FLOW_NAMES_CALLER) && builder.function.explicit_caller && !has_default)
        flow_compile__fail(
            c, FLOW_TEMPLATE_SYNTAX, node->at,
            "When defining macros or call blocks the special \"caller\" argument must be omitted or be "
            "given a default.");
    if ((special & FLOW_NAMES_CALLER) && !builder.function.explicit_caller)
        caller = special_param(c, scope, NAME_CALLER);
    if ((special & FLOW_NAMES_KWARGS) && !is_param(params, "kwargs", &has_default))
        kwargs = special_param(c, scope, NAME_KWARGS);
    if ((special & FLOW_NAMES_VARARGS) && !is_param(params, "varargs", &has_default))
        varargs = special_param(c, scope, NAME_VARARGS);
    flow_compile__enter_scope(c, scope);
    c->scope = scope;
    c->soft = false;
    if (!c->failed) {
        FlowVec list = {0};
        for (const FlowAst *param = params->names.first; param != NULL && !c->failed; param = param->next) {
            FlowParam made = {flow_compile__key(c, param->name), slot_of(scope, param->name)};
            FlowParam *place = FLOW_PUSH(c, &list, FlowParam);
            if (place != NULL)
                *place = made;
        }
        builder.function.params = list.items;
        builder.function.param_count = list.count;
        builder.function.caller_slot = slot_of(scope, caller);
        builder.function.named_slot = slot_of(scope, kwargs);
        builder.function.rest_slot = slot_of(scope, varargs);
        if (node->name != NULL)
            builder.function.name = flow_compile__key(c, node->name) + 1;
        defaults(c, scope, params);
        flow_compile__statements(c, node->body.first);
    }
    c->scope = outer;
    c->soft = soft;
    return flow_compile__end_function(c);
}

/* ---- assignment ---- */

/* The value is on the stack. */
void flow_compile__assign(FlowCompiler *c, FlowScope *scope, const FlowAst *target)
{
    if (target->kind == AST_NAME) {
        FlowRef *ref = flow_scope__find(scope, target->name);
        flow_compile__emit(c, I_STORE, 0, ref->slot, 0, target->at);
        return;
    }
    flow_compile__emit(c, I_UNPACK, 0, 0, target->items.count, target->at);
    flow_compile__adjust(c, (int)target->items.count - 1);
    for (const FlowAst *item = target->items.first; item != NULL && !c->failed; item = item->next)
        flow_compile__assign(c, scope, item);
}

static void set_value(FlowCompiler *c, const FlowAst *node)
{
    if (node->name == NULL) {
        flow_compile__assign(c, c->scope, node->target);
        return;
    }
    flow_compile__expression(c, node->target);
    flow_compile__emit(c, I_SET_ATTRIBUTE, 0, 0, flow_compile__key(c, node->name), node->target->at);
}

/* The filters of a block, whose text is on the stack. */
static void filters_in(FlowCompiler *c, FlowScope *scope, FlowAst *filters)
{
    FlowScope *outer = c->scope;
    bool soft = c->soft;
    c->scope = scope;
    c->soft = false;
    if (!c->failed)
        flow_compile__filters(c, filters);
    c->scope = outer;
    c->soft = soft;
}

static void set_block(FlowCompiler *c, const FlowAst *node)
{
    FlowScope *scope = flow_compile__open_scope(c, c->scope);
    if (scope == NULL)
        return;
    flow_compile__need(c, flow_scope__analyse(c->scratch, scope, node->body.first));
    if (node->test != NULL)
        flow_compile__need(c, flow_scope__analyse(c->scratch, scope, node->test));
    flow_compile__emit(c, I_CAPTURE, 0, 0, 0, node->at);
    flow_compile__body_in(c, scope, node->body.first);
    flow_compile__emit(c, I_CAPTURED, 0, 0, 0, node->at);
    if (node->test != NULL)
        filters_in(c, scope, node->test);
    set_value(c, node);
}

static void filter_block(FlowCompiler *c, const FlowAst *node)
{
    FlowScope *scope = flow_compile__open_scope(c, c->scope);
    if (scope == NULL)
        return;
    flow_compile__need(c, flow_scope__analyse(c->scratch, scope, node->body.first) &&
                              flow_scope__analyse(c->scratch, scope, node->test));
    flow_compile__emit(c, I_CAPTURE, 0, 0, 0, node->at);
    flow_compile__body_in(c, scope, node->body.first);
    flow_compile__emit(c, I_CAPTURED, 0, 0, 0, node->at);
    filters_in(c, scope, node->test);
    flow_compile__emit(c, I_PRINT, 1, 0, 0, node->at);
}

/* ---- the other statements ---- */

static void if_statement(FlowCompiler *c, const FlowAst *node)
{
    bool soft = c->soft;
    c->soft = true;
    size_t count = node->elifs.count + 1;
    size_t *ends = flow_arena_alloc(c->scratch, count * sizeof *ends);
    flow_compile__need(c, ends != NULL);
    size_t n = 0;
    const FlowAst *branch = node;
    while (branch != NULL && !c->failed) {
        flow_compile__expression(c, branch->test);
        size_t no = flow_compile__emit(c, I_JUMP_FALSE, 0, 0, 0, branch->test->at);
        flow_compile__statements(c, branch->body.first);
        const FlowAst *next = branch == node ? node->elifs.first : branch->next;
        if (next != NULL || node->otherwise.first != NULL)
            ends[n++] = flow_compile__emit(c, I_JUMP, 0, 0, 0, branch->at);
        flow_compile__land(c, no);
        branch = next;
    }
    flow_compile__statements(c, node->otherwise.first);
    for (size_t i = 0; i < n; i++)
        flow_compile__land(c, ends[i]);
    c->soft = soft;
}

static void with_statement(FlowCompiler *c, const FlowAst *node)
{
    FlowScope *scope = flow_compile__open_scope(c, c->scope);
    if (scope == NULL)
        return;
    for (const FlowAst *set = node->elifs.first; set != NULL; set = set->next)
        flow_compile__need(c, flow_scope__analyse_target(c->scratch, scope, set->target, true));
    flow_compile__need(c, flow_scope__analyse(c->scratch, scope, node->body.first));
    flow_compile__enter_scope(c, scope);
    for (const FlowAst *set = node->elifs.first; set != NULL && !c->failed; set = set->next) {
        flow_compile__expression(c, set->iter); /* in the outer scope: targets don't see each other */
        flow_compile__assign(c, scope, set->target);
    }
    FlowScope *outer = c->scope;
    bool soft = c->soft;
    c->scope = scope;
    c->soft = false;
    if (!c->failed)
        flow_compile__statements(c, node->body.first);
    c->scope = outer;
    c->soft = soft;
}

static void autoescape(FlowCompiler *c, const FlowAst *node)
{
    FlowScope *scope = flow_compile__open_scope(c, c->scope);
    if (scope == NULL)
        return;
    flow_compile__need(c, flow_scope__analyse_one(c->scratch, scope, node->test) &&
                              flow_scope__analyse(c->scratch, scope, node->body.first));
    FlowScope *outer = c->scope;
    bool soft = c->soft;
    flow_compile__enter_scope(c, scope);
    c->scope = scope;
    c->soft = false;
    uint32_t before = flow_compile__new_slot(c, node->at);
    flow_compile__expression(c, node->test);
    flow_compile__emit(c, I_AUTOESCAPE, 0, before, 0, node->at);
    flow_compile__statements(c, node->body.first);
    flow_compile__emit(c, I_AUTOESCAPE_END, 0, before, 0, node->at);
    c->scope = outer;
    c->soft = soft;
}

static void macro_statement(FlowCompiler *c, const FlowAst *node)
{
    uint32_t function = macro_function(c, node, FUNCTION_MACRO);
    if (c->failed)
        return;
    flow_compile__emit(c, I_MACRO, 0, 0, function, node->at);
    flow_compile__emit(c, I_STORE, 0, flow_scope__find(c->scope, node->name)->slot, 0, node->at);
}

static void no_loader(FlowCompiler *c, const FlowAst *node)
{
    static const char message[] = "no loader: a template stands alone here, so include, import, from, "
                                  "extends and required blocks are not available";
    flow_compile__emit(c, I_FAIL, FLOW_TEMPLATE_RUNTIME, 0,
                       flow_compile__text(c, message, sizeof message - 1), node->at);
}

static void statement(FlowCompiler *c, FlowAst *node)
{
    switch (node->kind) {
    case AST_IF:
        if_statement(c, node);
        break;
    case AST_FOR:
        flow_compile__loop(c, node);
        break;
    case AST_SET:
        flow_compile__expression(c, node->iter);
        set_value(c, node);
        break;
    case AST_SET_BLOCK:
        set_block(c, node);
        break;
    case AST_WITH:
        with_statement(c, node);
        break;
    case AST_MACRO:
        macro_statement(c, node);
        break;
    case AST_CALL_BLOCK: {
        uint32_t function = macro_function(c, node, FUNCTION_CALLER);
        if (c->failed)
            break;
        flow_compile__call_block(c, node->iter, function);
        flow_compile__emit(c, I_PRINT, 1, 0, 0, node->at);
        break;
    }
    case AST_FILTER_BLOCK:
        filter_block(c, node);
        break;
    case AST_BLOCK:
        flow_compile__block(c, node, c->scope);
        break;
    case AST_AUTOESCAPE:
        autoescape(c, node);
        break;
    default:
        no_loader(c, node);
        break;
    }
}

/* ---- text ---- */

/* Appends what a constant prints; false when that is not known before the run. */
static bool print_constant(FlowCompiler *c, FlowAst *node, FlowBuf *to)
{
    if (c->parsed->has_autoescape)
        return false;
    FlowAst *value = flow_compile__folded(c, node);
    if (value == NULL || value->value.type == V_TUPLE || value->value.type == V_BIG)
        return false;
    flow_val__print_scalar(to, value->value);
    return !to->failed;
}

static void flush_text(FlowCompiler *c, FlowBuf *text, const FlowAst *only)
{
    if (text->len == 0)
        return;
    /* One piece of the source needs no copy. */
    uint32_t constant = only != NULL
                            ? flow_compile__text(c, c->tmpl->source + only->begin, only->end - only->begin)
                            : flow_compile__text(c, text->data, text->len);
    flow_compile__emit(c, I_TEXT, 0, 0, constant, only != NULL ? only->at : 0);
    flow_buf_clear(text);
}

void flow_compile__statements(FlowCompiler *c, FlowAst *first)
{
    FlowBuf text;
    flow_buf_init(&text, c->tmpl->limits.source_bytes * 4 + 1024);
    const FlowAst *only = NULL; /* the text's single source, when it has one */
    for (FlowAst *node = first; node != NULL && !c->failed; node = node->next) {
        if (node->kind == AST_TEXT) {
            only = text.len == 0 ? node : NULL;
            flow_buf_append(&text, c->tmpl->source + node->begin, node->end - node->begin);
            continue;
        }
        size_t before = text.len;
        if (node->kind == AST_PRINT && print_constant(c, node->left, &text)) {
            if (text.len != before)
                only = NULL;
            continue;
        }
        flush_text(c, &text, only);
        if (node->kind == AST_PRINT)
            flow_compile__print(c, node->left);
        else
            statement(c, node);
    }
    flush_text(c, &text, only);
    flow_buf_done(&text);
}
