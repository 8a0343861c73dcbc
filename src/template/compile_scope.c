/* compile_scope.c - entering scopes: which slots variables get, and what they hold at first. */
#include "template/compile.h"

FlowScope *flow_compile__open_scope(FlowCompiler *c, FlowScope *parent)
{
    FlowScope *scope = flow_scope__new(c->scratch, parent, c->builder);
    if (scope == NULL)
        flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, 0, "the template needs too much memory to compile");
    return scope;
}

void flow_compile__need(FlowCompiler *c, bool ok)
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
    for (; block != NULL && block->is_block && count < BLOCKS;
         block = block->place != NULL ? outermost(block->place) : NULL) {
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
void flow_compile__enter_scope(FlowCompiler *c, FlowScope *scope)
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
void flow_compile__body_in(FlowCompiler *c, FlowScope *scope, FlowAst *first)
{
    FlowScope *outer = c->scope;
    bool soft = c->soft;
    flow_compile__enter_scope(c, scope);
    c->scope = scope;
    c->soft = false;
    flow_compile__statements(c, first);
    c->scope = outer;
    c->soft = soft;
}
