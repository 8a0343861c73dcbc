/*
 * compile_loop.c - for. A plain loop is instructions in the function around it; a recursive one is a function of
 * its own, which loop(…) calls.
 */
#include <string.h>

#include "template/compile.h"
#include "template/values.h"

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
    uint32_t state = flow_compile__new_slot(c, loop->node->at),
             list = flow_compile__new_slot(c, loop->node->at);
    flow_compile__emit(c, I_LOOP_BEGIN, 0, state, 0, loop->node->at);
    flow_compile__emit(c, I_LIST_NEW, 0, list, 0, loop->node->at);
    flow_compile__enter_scope(c, loop->test);
    size_t next = flow_compile__emit(c, I_LOOP_NEXT, 0, state, 0, loop->node->at);
    flow_compile__emit(c, I_DUP, 0, 0, 0, loop->node->at);
    flow_compile__assign(c, loop->test, loop->node->target);
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
        flow_compile__enter_scope(c, loop->test);
    size_t next = flow_compile__emit(c, I_LOOP_NEXT, 0, loop->slot, 0, node->at);
    if (select_in_place) {
        flow_compile__emit(c, I_DUP, 0, 0, 0, node->at);
        flow_compile__assign(c, loop->test, node->target);
        test_in_scope(c, loop);
        size_t yes = flow_compile__emit(c, I_JUMP_TRUE, 0, 0, 0, node->test->at);
        flow_compile__emit(c, I_POP, 0, 0, 0, node->at);
        flow_compile__emit(c, I_JUMP, 0, 0, next, node->at);
        flow_compile__land(c, yes);
        flow_compile__adjust(c, 1);
    }
    bool soft = c->soft;
    flow_compile__enter_scope(c, loop->body);
    flow_compile__assign(c, loop->body, node->target);
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
        flow_compile__body_in(c, loop->otherwise, node->otherwise.first);
        flow_compile__land(c, over);
    }
    c->soft = soft;
}

static bool analyse_loop(FlowCompiler *c, Loop *loop)
{
    const FlowAst *node = loop->node;
    loop->body = flow_compile__open_scope(c, c->scope);
    loop->test = flow_compile__open_scope(c, c->scope);
    loop->otherwise = flow_compile__open_scope(c, c->scope);
    if (c->failed)
        return false;
    if (loop->extended && loop->name != NULL)
        flow_compile__need(c, flow_scope__parameter(c->scratch, loop->body, loop->name));
    flow_compile__need(c, flow_scope__analyse_target(c->scratch, loop->body, node->target, true) &&
                              flow_scope__analyse(c->scratch, loop->body, node->body.first) &&
                              flow_scope__analyse(c->scratch, loop->otherwise, node->otherwise.first));
    if (node->test != NULL)
        flow_compile__need(c, flow_scope__analyse_target(c->scratch, loop->test, node->target, true) &&
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
    /* flow_compile__enter_scope() would give it another one. */
    FlowRef **link = &loop->body->first;
    while (*link != ref)
        link = &(*link)->next;
    *link = ref->next;
}

void flow_compile__loop(FlowCompiler *c, const FlowAst *node)
{
    Loop loop = {.node = node, .name = c->names[NAME_LOOP]};
    loop.extended = node->flag ||
                    (loop.name != NULL && flow_ast__undeclared(node->body.first, FLOW_NAMES_LOOP) != 0) ||
                    !flow_ast__walk(node->body.first, is_scoped_block, NULL);
    size_t at = 0;
    FlowAst alone = *node;
    alone.next = NULL;
    if (loop.name != NULL && !flow_ast__walk(&alone, assigns_loop, &at)) {
        flow_compile__fail(c, FLOW_TEMPLATE_SYNTAX, at,
                           "Can't assign to special loop variable in for-loop target");
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
