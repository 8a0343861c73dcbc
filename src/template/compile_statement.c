/*
 * compile_statement.c - statements and functions. Each statement leaves the stack as it found it.
 *
 * A macro, a call block and a recursive loop are functions with slots of their own; everything else that opens
 * a scope (for, with, filter, set block, block) uses slots of the function around it.
 */
#include <string.h>

#include "template/compile.h"
#include "template/values.h"

/* ---- scopes ---- */

static FlowScope *open_scope(FlowCompiler *c, FlowScope *parent)
{
    FlowScope *scope = flow_scope__new(c->scratch, parent, c->builder);
    if (scope == NULL)
        flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, 0, "the template needs too much memory to compile");
    return scope;
}

static void need(FlowCompiler *c, bool ok)
{
    if (!ok)
        flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, 0, "the template needs too much memory to compile");
}

static FlowScope *outermost(FlowScope *scope)
{
    while (scope->parent != NULL)
        scope = scope->parent;
    return scope;
}

static void copy_if_missing(FlowCompiler *c, const FlowRef *to, const FlowRef *from, bool first)
{
    FlowPlace place = flow_compile__place(c, from);
    flow_compile__emit(c, first ? I_SET_COPY : I_IF_MISSING_COPY, place.outer, to->slot, place.slot, 0);
}

/*
 * A name of the context, as a block sees it: the context as the template has changed it until then. First come
 * the variables of the block's place when it is scoped, and of the places of the blocks around it; then those
 * of the template itself. Answers false when there are none of these, and the context itself is meant.
 */
static bool enter_from_block(FlowCompiler *c, FlowScope *scope, FlowRef *ref)
{
    enum { BLOCKS = 160 };
    const FlowRef *seen[BLOCKS + 1];
    size_t count = 0;
    FlowScope *block = outermost(scope);
    if (!block->is_block)
        return false;
    for (; block != NULL && block->is_block && count < BLOCKS; block = block->place != NULL ? outermost(block->place) : NULL) {
        const FlowRef *found = block->sees_place ? flow_scope__find_stored(block->place, ref->name) : NULL;
        if (found != NULL)
            seen[count++] = found;
    }
    if (flow_scope__stores(c->root_scope, ref->name))
        seen[count++] = flow_scope__find(c->root_scope, ref->name);
    if (count == 0)
        return false;
    ref->stored = true;
    ref->slot = flow_compile__new_slot(c, 0);
    for (size_t i = 0; i < count; i++)
        copy_if_missing(c, ref, seen[i], i == 0);
    flow_compile__emit(c, I_IF_MISSING_GLOBAL, 0, ref->slot, flow_compile__global(c, ref->name), 0);
    return true;
}

/* Gives the scope's variables their slots and first values. */
static void enter_scope(FlowCompiler *c, FlowScope *scope)
{
    for (FlowRef *ref = scope->first; ref != NULL && !c->failed; ref = ref->next) {
        if ((ref->load == LOAD_CONTEXT && enter_from_block(c, scope, ref)) || !ref->stored)
            continue;
        ref->slot = flow_compile__new_slot(c, 0);
        if (ref->load == LOAD_MISSING)
            flow_compile__emit(c, I_SET_MISSING, 0, ref->slot, 0, 0);
        else if (ref->load == LOAD_ALIAS && ref->alias->stored)
            copy_if_missing(c, ref, ref->alias, true);
        else if (ref->load != LOAD_PARAMETER)
            flow_compile__emit(c, I_SET_GLOBAL, 0, ref->slot, flow_compile__global(c, ref->name), 0);
    }
}

/* Statements in a scope of their own whose variables `scope` already knows. */
static void body_in(FlowCompiler *c, FlowScope *scope, FlowAst *first)
{
    FlowScope *outer = c->scope;
    bool soft = c->soft;
    enter_scope(c, scope);
    c->scope = scope;
    c->soft = false;
    flow_compile__statements(c, first);
    c->scope = outer;
    c->soft = soft;
}

/* ---- functions ---- */

void flow_compile__begin_function(FlowCompiler *c, FlowBuilder *builder, FlowFunctionKind kind)
{
    *builder = (FlowBuilder){.outer = c->builder, .index = (uint32_t)c->functions.count};
    builder->function = (FlowFunction){.kind = kind,
                                       .caller_slot = FLOW_NO_SLOT,
                                       .named_slot = FLOW_NO_SLOT,
                                       .rest_slot = FLOW_NO_SLOT};
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
    for (const FlowAst *param = params != NULL ? params->names.first : NULL; param != NULL; param = param->next, index++) {
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
    need(c, flow_scope__parameter(c->scratch, scope, c->names[which]));
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
    FlowScope *scope = open_scope(c, outer);
    if (scope == NULL || c->failed)
        return 0;
    static const FlowAstParams none;
    const FlowAstParams *params = node->params != NULL ? node->params : &none;
    for (const FlowAst *param = params->names.first; param != NULL; param = param->next)
        need(c, flow_scope__parameter(c->scratch, scope, param->name));
    need(c, flow_scope__analyse(c->scratch, scope, params->defaults.first) &&
                flow_scope__analyse(c->scratch, scope, node->body.first));
    unsigned special =
        flow_ast__undeclared(node->body.first, FLOW_NAMES_CALLER | FLOW_NAMES_KWARGS | FLOW_NAMES_VARARGS);
    const FlowAtom *caller = NULL, *kwargs = NULL, *varargs = NULL;
    bool has_default = false;
    builder.function.explicit_caller = is_param(params, "caller", &has_default);
    if ((special & FLOW_NAMES_CALLER) && builder.function.explicit_caller && !has_default)
        flow_compile__fail(c, FLOW_TEMPLATE_SYNTAX, node->at,
                           "When defining macros or call blocks the special \"caller\" argument must be omitted or be "
                           "given a default.");
    if ((special & FLOW_NAMES_CALLER) && !builder.function.explicit_caller)
        caller = special_param(c, scope, NAME_CALLER);
    if ((special & FLOW_NAMES_KWARGS) && !is_param(params, "kwargs", &has_default))
        kwargs = special_param(c, scope, NAME_KWARGS);
    if ((special & FLOW_NAMES_VARARGS) && !is_param(params, "varargs", &has_default))
        varargs = special_param(c, scope, NAME_VARARGS);
    enter_scope(c, scope);
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
static void assign(FlowCompiler *c, FlowScope *scope, const FlowAst *target)
{
    if (target->kind == AST_NAME) {
        FlowRef *ref = flow_scope__find(scope, target->name);
        flow_compile__emit(c, I_STORE, 0, ref->slot, 0, target->at);
        return;
    }
    flow_compile__emit(c, I_UNPACK, 0, 0, target->items.count, target->at);
    flow_compile__adjust(c, (int)target->items.count - 1);
    for (const FlowAst *item = target->items.first; item != NULL && !c->failed; item = item->next)
        assign(c, scope, item);
}

static void set_value(FlowCompiler *c, const FlowAst *node)
{
    if (node->name == NULL) {
        assign(c, c->scope, node->target);
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
    FlowScope *scope = open_scope(c, c->scope);
    if (scope == NULL)
        return;
    need(c, flow_scope__analyse(c->scratch, scope, node->body.first));
    if (node->test != NULL)
        need(c, flow_scope__analyse(c->scratch, scope, node->test));
    flow_compile__emit(c, I_CAPTURE, 0, 0, 0, node->at);
    body_in(c, scope, node->body.first);
    flow_compile__emit(c, I_CAPTURED, 0, 0, 0, node->at);
    if (node->test != NULL)
        filters_in(c, scope, node->test);
    set_value(c, node);
}

static void filter_block(FlowCompiler *c, const FlowAst *node)
{
    FlowScope *scope = open_scope(c, c->scope);
    if (scope == NULL)
        return;
    need(c, flow_scope__analyse(c->scratch, scope, node->body.first) &&
                flow_scope__analyse(c->scratch, scope, node->test));
    flow_compile__emit(c, I_CAPTURE, 0, 0, 0, node->at);
    body_in(c, scope, node->body.first);
    flow_compile__emit(c, I_CAPTURED, 0, 0, 0, node->at);
    filters_in(c, scope, node->test);
    flow_compile__emit(c, I_PRINT, 1, 0, 0, node->at);
}

/* ---- loops ---- */

static FlowWalk assigns_loop(const FlowAst *node, void *context)
{
    if (node->kind != AST_NAME || !node->store || strcmp(node->name->text, "loop") != 0)
        return WALK_ON;
    *(size_t *)context = node->at;
    return WALK_STOP;
}

static FlowWalk is_scoped_block(const FlowAst *node, void *context)
{
    (void)context;
    return node->kind == AST_BLOCK && node->flag ? WALK_STOP : WALK_ON;
}

typedef struct Loop {
    const FlowAst *node;
    bool extended; /* the body asks for `loop` */
    uint32_t slot; /* of its state */
    const FlowAtom *name;
    FlowScope *body, *test, *otherwise;
} Loop;

static void test_in_scope(FlowCompiler *c, const Loop *loop)
{
    FlowScope *outer = c->scope;
    bool soft = c->soft;
    c->scope = loop->test;
    c->soft = false;
    flow_compile__expression(c, loop->node->test);
    c->scope = outer;
    c->soft = soft;
}

/* Only what passes the test, as a list: a loop that knows its length has to. */
static void select_first(FlowCompiler *c, Loop *loop)
{
    uint32_t state = flow_compile__new_slot(c, loop->node->at), list = flow_compile__new_slot(c, loop->node->at);
    flow_compile__emit(c, I_LOOP_BEGIN, 0, state, 0, loop->node->at);
    flow_compile__emit(c, I_LIST_NEW, 0, list, 0, loop->node->at);
    enter_scope(c, loop->test);
    size_t next = flow_compile__emit(c, I_LOOP_NEXT, 0, state, 0, loop->node->at);
    flow_compile__emit(c, I_DUP, 0, 0, 0, loop->node->at);
    assign(c, loop->test, loop->node->target);
    test_in_scope(c, loop);
    size_t no = flow_compile__emit(c, I_JUMP_FALSE, 0, 0, 0, loop->node->test->at);
    flow_compile__emit(c, I_LIST_ADD, 0, list, 0, loop->node->at);
    flow_compile__emit(c, I_JUMP, 0, 0, next, loop->node->at);
    flow_compile__land(c, no);
    flow_compile__adjust(c, 1);
    flow_compile__emit(c, I_POP, 0, 0, 0, loop->node->at);
    flow_compile__emit(c, I_JUMP, 0, 0, next, loop->node->at);
    flow_compile__land(c, next);
    flow_compile__emit(c, I_LOCAL, 0, list, 0, loop->node->at);
}

/* What is looped over is on the stack. */
static void loop_over(FlowCompiler *c, Loop *loop)
{
    const FlowAst *node = loop->node;
    FlowScope *outer = c->scope;
    bool select_in_place = node->test != NULL && !loop->extended;
    /* Whether there was a turn: the loop itself can't tell, it also counts the items that fail the test. */
    uint32_t turns = loop->slot;
    if (select_in_place && node->otherwise.first != NULL) {
        turns = flow_compile__new_slot(c, node->at);
        flow_compile__emit(c, I_SET_MISSING, 0, turns, 0, node->at);
    }
    if (node->test != NULL && loop->extended)
        select_first(c, loop);
    flow_compile__emit(c, I_LOOP_BEGIN, loop->extended, loop->slot, 0, node->iter->at);
    if (select_in_place)
        enter_scope(c, loop->test);
    size_t next = flow_compile__emit(c, I_LOOP_NEXT, 0, loop->slot, 0, node->at);
    if (select_in_place) {
        flow_compile__emit(c, I_DUP, 0, 0, 0, node->at);
        assign(c, loop->test, node->target);
        test_in_scope(c, loop);
        size_t yes = flow_compile__emit(c, I_JUMP_TRUE, 0, 0, 0, node->test->at);
        flow_compile__emit(c, I_POP, 0, 0, 0, node->at);
        flow_compile__emit(c, I_JUMP, 0, 0, next, node->at);
        flow_compile__land(c, yes);
        flow_compile__adjust(c, 1);
    }
    bool soft = c->soft;
    enter_scope(c, loop->body);
    assign(c, loop->body, node->target);
    if (turns != loop->slot)
        flow_compile__emit(c, I_LIST_NEW, 0, turns, 0, node->at);
    c->scope = loop->body;
    c->soft = false;
    flow_compile__statements(c, node->body.first);
    c->scope = outer;
    flow_compile__emit(c, I_JUMP, 0, 0, next, node->at);
    flow_compile__land(c, next);
    if (node->otherwise.first != NULL && !c->failed) {
        size_t over = flow_compile__emit(c, I_LOOP_END, 0, turns, 0, node->at);
        body_in(c, loop->otherwise, node->otherwise.first);
        flow_compile__land(c, over);
    }
    c->soft = soft;
}

static bool analyse_loop(FlowCompiler *c, Loop *loop)
{
    const FlowAst *node = loop->node;
    loop->body = open_scope(c, c->scope);
    loop->test = open_scope(c, c->scope);
    loop->otherwise = open_scope(c, c->scope);
    if (c->failed)
        return false;
    if (loop->extended && loop->name != NULL)
        need(c, flow_scope__parameter(c->scratch, loop->body, loop->name));
    need(c, flow_scope__analyse_target(c->scratch, loop->body, node->target, true) &&
                flow_scope__analyse(c->scratch, loop->body, node->body.first) &&
                flow_scope__analyse(c->scratch, loop->otherwise, node->otherwise.first));
    if (node->test != NULL)
        need(c, flow_scope__analyse_target(c->scratch, loop->test, node->target, true) &&
                    flow_scope__analyse_one(c->scratch, loop->test, node->test));
    return !c->failed;
}

/* The loop's state is its variable `loop`, or a slot that no name leads to. */
static void give_state(FlowCompiler *c, Loop *loop)
{
    loop->slot = flow_compile__new_slot(c, loop->node->at);
    if (!loop->extended || loop->name == NULL)
        return;
    FlowRef *ref = flow_scope__find(loop->body, loop->name);
    ref->slot = loop->slot;
    /* enter_scope() would give it another one. */
    FlowRef **link = &loop->body->first;
    while (*link != ref)
        link = &(*link)->next;
    *link = ref->next;
}

static void for_loop(FlowCompiler *c, const FlowAst *node)
{
    Loop loop = {.node = node, .name = c->names[NAME_LOOP]};
    loop.extended = node->flag || (loop.name != NULL && flow_ast__undeclared(node->body.first, FLOW_NAMES_LOOP) != 0) ||
                    !flow_ast__walk(node->body.first, is_scoped_block, NULL);
    size_t at = 0;
    FlowAst alone = *node;
    alone.next = NULL;
    if (loop.name != NULL && !flow_ast__walk(&alone, assigns_loop, &at)) {
        flow_compile__fail(c, FLOW_TEMPLATE_SYNTAX, at, "Can't assign to special loop variable in for-loop target");
        return;
    }
    if (!node->flag) {
        flow_compile__iterable(c, node->iter);
        if (!analyse_loop(c, &loop))
            return;
        give_state(c, &loop);
        loop_over(c, &loop);
        return;
    }
    FlowScope *outer = c->scope;
    flow_compile__expression(c, node->iter);
    c->builder->has_closures = true;
    FlowBuilder builder;
    flow_compile__begin_function(c, &builder, FUNCTION_LOOP);
    if (analyse_loop(c, &loop)) {
        uint32_t iterable = flow_compile__new_slot(c, node->at);
        give_state(c, &loop);
        flow_compile__emit(c, I_LOCAL, 0, iterable, 0, node->at);
        loop_over(c, &loop);
    }
    uint32_t function = flow_compile__end_function(c);
    c->scope = outer;
    flow_compile__emit(c, I_LOOP_CALL, 0, 0, function, node->iter->at);
}

/* ---- the other statements ---- */

static void if_statement(FlowCompiler *c, const FlowAst *node)
{
    bool soft = c->soft;
    c->soft = true;
    size_t count = node->elifs.count + 1;
    size_t *ends = flow_arena_alloc(c->scratch, count * sizeof *ends);
    need(c, ends != NULL);
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
    FlowScope *scope = open_scope(c, c->scope);
    if (scope == NULL)
        return;
    for (const FlowAst *set = node->elifs.first; set != NULL; set = set->next)
        need(c, flow_scope__analyse_target(c->scratch, scope, set->target, true));
    need(c, flow_scope__analyse(c->scratch, scope, node->body.first));
    enter_scope(c, scope);
    for (const FlowAst *set = node->elifs.first; set != NULL && !c->failed; set = set->next) {
        flow_compile__expression(c, set->iter); /* in the outer scope: targets don't see each other */
        assign(c, scope, set->target);
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
    FlowScope *scope = open_scope(c, c->scope);
    if (scope == NULL)
        return;
    need(c, flow_scope__analyse_one(c->scratch, scope, node->test) &&
                flow_scope__analyse(c->scratch, scope, node->body.first));
    FlowScope *outer = c->scope;
    bool soft = c->soft;
    enter_scope(c, scope);
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

/* `self` and `super`, where the statements use them. */
static void special_names(FlowCompiler *c, FlowScope *scope, const FlowAst *first, bool in_block)
{
    unsigned names = flow_ast__undeclared(first, FLOW_NAMES_SELF | FLOW_NAMES_SUPER);
    if (names & FLOW_NAMES_SELF)
        need(c, flow_scope__parameter(c->scratch, scope, c->names[NAME_SELF]));
    if (in_block && (names & FLOW_NAMES_SUPER))
        need(c, flow_scope__parameter(c->scratch, scope, c->names[NAME_SUPER]));
}

static void set_special_names(FlowCompiler *c, FlowScope *scope, const FlowAst *first)
{
    static const char hint[] = "there is no parent block: super needs a template to inherit from";
    const FlowAtom *self = c->names[NAME_SELF], *super = c->names[NAME_SUPER];
    unsigned names = flow_ast__undeclared(first, FLOW_NAMES_SELF | FLOW_NAMES_SUPER);
    if (c->failed)
        return;
    if (names & FLOW_NAMES_SELF)
        flow_compile__emit(c, I_SET_SELF, 0, flow_scope__find(scope, self)->slot, 0, 0);
    if ((names & FLOW_NAMES_SUPER) && scope->is_block) {
        flow_compile__emit(c, I_UNDEFINED, 0, 0, flow_compile__text(c, hint, sizeof hint - 1), 0);
        flow_compile__emit(c, I_STORE, 0, flow_scope__find(scope, super)->slot, 0, 0);
    }
}

static void block_body(FlowCompiler *c, const FlowAst *node, FlowScope *place)
{
    FlowScope *outer = c->scope;
    FlowScope *scope = open_scope(c, NULL);
    if (scope == NULL)
        return;
    scope->is_block = true;
    scope->place = place;
    scope->sees_place = node->flag && place != NULL;
    special_names(c, scope, node->body.first, true);
    need(c, flow_scope__analyse(c->scratch, scope, node->body.first));
    enter_scope(c, scope);
    set_special_names(c, scope, node->body.first);
    bool soft = c->soft;
    c->scope = scope;
    c->soft = false;
    if (!c->failed)
        flow_compile__statements(c, node->body.first);
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
    static const char message[] =
        "no loader: a template stands alone here, so include, import, from, extends and required blocks are not available";
    flow_compile__emit(c, I_FAIL, FLOW_TEMPLATE_RUNTIME, 0, flow_compile__text(c, message, sizeof message - 1),
                       node->at);
}

static void statement(FlowCompiler *c, FlowAst *node)
{
    switch (node->kind) {
    case AST_IF:
        if_statement(c, node);
        break;
    case AST_FOR:
        for_loop(c, node);
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
        block_body(c, node, c->scope);
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

/* ---- the root ---- */

typedef struct Blocks {
    FlowCompiler *c;
    const FlowAst **nodes;
    size_t count, capacity;
    bool *seen; /* by atom id */
} Blocks;

static FlowWalk collect_block(const FlowAst *node, void *context)
{
    Blocks *blocks = context;
    if (node->kind != AST_BLOCK)
        return WALK_ON;
    if (blocks->seen[node->name->id]) {
        flow_compile__fail(blocks->c, FLOW_TEMPLATE_SYNTAX, node->at, "block '%.80s' defined twice", node->name->text);
        return WALK_STOP;
    }
    blocks->seen[node->name->id] = true;
    FlowVec vec = {blocks->nodes, blocks->count, blocks->capacity};
    const FlowAst **place = FLOW_PUSH(blocks->c, &vec, const FlowAst *);
    if (place == NULL)
        return WALK_STOP;
    *place = node;
    *blocks = (Blocks){blocks->c, vec.items, vec.count, vec.capacity, blocks->seen};
    return WALK_ON;
}

void flow_compile__root(FlowCompiler *c)
{
    FlowAst *first = c->parsed->body.first;
    Blocks blocks = {.c = c, .seen = flow_arena_calloc(c->scratch, c->parsed->atom_count + 1, sizeof(bool))};
    need(c, blocks.seen != NULL);
    if (c->failed || !flow_ast__walk(first, collect_block, &blocks))
        return;
    FlowBuilder root;
    flow_compile__begin_function(c, &root, FUNCTION_ROOT);
    c->root_scope = c->scope = open_scope(c, NULL);
    if (c->failed)
        return;
    special_names(c, c->scope, first, false);
    need(c, flow_scope__analyse(c->scratch, c->scope, first));
    enter_scope(c, c->scope);
    set_special_names(c, c->scope, first);
    if (first != NULL && first->next == NULL && first->kind == AST_PRINT && !c->failed) {
        c->tmpl->is_value = true;
        flow_compile__expression(c, first->left);
        flow_compile__emit(c, I_RESULT, 0, 0, 0, first->at);
    } else {
        flow_compile__statements(c, first);
    }
    /* {{ self.name() }} may ask for any block; inside the template each is written where it stands. */
    bool uses_self = c->names[NAME_SELF] != NULL;
    for (size_t i = 0; uses_self && i < blocks.count && !c->failed; i++) {
        FlowBuilder builder;
        flow_compile__begin_function(c, &builder, FUNCTION_BLOCK);
        builder.function.name = flow_compile__key(c, blocks.nodes[i]->name) + 1;
        block_body(c, blocks.nodes[i], NULL);
        uint32_t function = flow_compile__end_function(c);
        uint32_t *place = FLOW_PUSH(c, &c->blocks, uint32_t);
        if (place != NULL)
            *place = function;
    }
    flow_compile__end_function(c);
}
