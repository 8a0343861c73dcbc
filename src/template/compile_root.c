/*
 * compile_root.c - the template's own function and its blocks. A block is written where it stands; where the
 * template says self.name(), it also becomes a function.
 */
#include "template/compile.h"
#include "template/values.h"

/* `self` and `super`, where the statements use them. */
static void special_names(FlowCompiler *c, FlowScope *scope, const FlowAst *first, bool in_block)
{
    unsigned names = flow_ast__undeclared(first, FLOW_NAMES_SELF | FLOW_NAMES_SUPER);
    if (names & FLOW_NAMES_SELF)
        flow_compile__need(c, flow_scope__parameter(c->scratch, scope, c->names[NAME_SELF]));
    if (in_block && (names & FLOW_NAMES_SUPER))
        flow_compile__need(c, flow_scope__parameter(c->scratch, scope, c->names[NAME_SUPER]));
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

void flow_compile__block(FlowCompiler *c, const FlowAst *node, FlowScope *place)
{
    FlowScope *outer = c->scope;
    FlowScope *scope = flow_compile__open_scope(c, NULL);
    if (scope == NULL)
        return;
    scope->is_block = true;
    scope->place = place;
    scope->sees_place = node->flag && place != NULL;
    special_names(c, scope, node->body.first, true);
    flow_compile__need(c, flow_scope__analyse(c->scratch, scope, node->body.first));
    flow_compile__enter_scope(c, scope);
    set_special_names(c, scope, node->body.first);
    bool soft = c->soft;
    c->scope = scope;
    c->soft = false;
    if (!c->failed)
        flow_compile__statements(c, node->body.first);
    c->scope = outer;
    c->soft = soft;
}

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
        flow_compile__fail(blocks->c, FLOW_TEMPLATE_SYNTAX, node->at, "block '%.80s' defined twice",
                           node->name->text);
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
    flow_compile__need(c, blocks.seen != NULL);
    if (c->failed || !flow_ast__walk(first, collect_block, &blocks))
        return;
    FlowBuilder root;
    flow_compile__begin_function(c, &root, FUNCTION_ROOT);
    c->root_scope = c->scope = flow_compile__open_scope(c, NULL);
    if (c->failed)
        return;
    special_names(c, c->scope, first, false);
    flow_compile__need(c, flow_scope__analyse(c->scratch, c->scope, first));
    flow_compile__enter_scope(c, c->scope);
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
        flow_compile__block(c, blocks.nodes[i], NULL);
        uint32_t function = flow_compile__end_function(c);
        uint32_t *place = FLOW_PUSH(c, &c->blocks, uint32_t);
        if (place != NULL)
            *place = function;
    }
    flow_compile__end_function(c);
}
