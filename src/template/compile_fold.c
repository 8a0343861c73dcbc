/* compile_fold.c - walking down the left of expressions, and computing what is constant in them. */
#include "template/compile.h"
#include "template/values.h"

FlowAst *flow_spine__left(const FlowAst *node)
{
    switch (node->kind) {
    case AST_CALL: /* the object of a method call, or what is called */
        return node->left->kind == AST_ATTR ? node->left->left : node->left;
    case AST_ATTR:
    case AST_ITEM:
    case AST_SLICE:
    case AST_FILTER:
    case AST_TEST:
    case AST_UNARY:
    case AST_BINARY:
    case AST_AND:
    case AST_OR:
    case AST_COMPARE:
    case AST_ISLAND:
        return node->left;
    default:
        return NULL;
    }
}

bool flow_spine__climb(FlowCompiler *c, FlowAst *node, FlowSpine *spine)
{
    size_t count = 0;
    FlowAst *n = node;
    for (FlowAst *left; (left = flow_spine__left(n)) != NULL || n->kind == AST_FILTER; n = left) {
        count++;
        if (left == NULL) { /* the first filter of a filter block */
            n = NULL;
            break;
        }
    }
    spine->leaf = n;
    spine->count = count;
    spine->nodes = spine->few;
    if (count > sizeof spine->few / sizeof spine->few[0]) {
        spine->nodes = flow_arena_alloc(c->scratch, count * sizeof *spine->nodes);
        if (spine->nodes == NULL) {
            flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, node->at,
                               "the template needs too much memory to compile");
            return false;
        }
    }
    for (n = node; count > 0; n = flow_spine__left(n))
        spine->nodes[--count] = n;
    return true;
}

static FlowAst *constant_node(FlowCompiler *c, const FlowAst *like, FlowVal value)
{
    FlowAst *node = flow_arena_calloc(c->scratch, 1, sizeof *node);
    if (node == NULL) {
        flow_compile__fail(c, FLOW_TEMPLATE_LIMIT, like->at, "the template needs too much memory to compile");
        return NULL;
    }
    node->kind = AST_CONST;
    node->at = like->at;
    node->value = value;
    return node;
}

FlowAst *flow_compile__constant_tuple(FlowCompiler *c, const FlowAst *node)
{
    FlowList *list = flow_arena_alloc(c->scratch, sizeof *list + node->items.count * sizeof(FlowVal));
    if (list == NULL)
        return NULL;
    *list = (FlowList){(FlowVal *)(list + 1), 0, node->items.count};
    for (FlowAst *item = node->items.first; item != NULL; item = item->next) {
        FlowAst *value = flow_compile__folded(c, item);
        if (value == NULL)
            return NULL;
        list->items[list->count++] = value->value;
    }
    return constant_node(c, node, val_tuple(list));
}

FlowAst *flow_compile__fold(FlowCompiler *c, const FlowAst *node, FlowAst *left)
{
    FlowVal result = val_none();
    FlowAst *right;
    FlowVm *vm;
    switch (node->kind) {
    case AST_UNARY:
        vm = flow_vm__folder(&c->folder);
        if (node->op == OP_NOT)
            result = val_bool(!flow_val__is_true(left->value));
        else if (!flow_arith__unary(vm, node->op, left->value, &result))
            return NULL;
        break;
    case AST_BINARY:
        right = flow_compile__folded(c, node->right);
        vm = flow_vm__folder(&c->folder);
        if (right == NULL || !flow_arith__binary(vm, node->op, left->value, right->value, &result))
            return NULL;
        break;
    default:
        return NULL;
    }
    /* A long string is cheaper to make than to keep. */
    if (result.type == V_STRING && result.len > 256)
        return NULL;
    return result.type <= V_STRING ? constant_node(c, node, result) : NULL;
}

FlowAst *flow_compile__folded(FlowCompiler *c, FlowAst *node)
{
    if (node->kind == AST_CONST)
        return node;
    if (node->kind == AST_TUPLE)
        return flow_compile__constant_tuple(c, node);
    if (node->kind != AST_UNARY && node->kind != AST_BINARY)
        return NULL;
    FlowSpine spine;
    if (!flow_spine__climb(c, node, &spine) || spine.leaf == NULL || spine.leaf->kind != AST_CONST)
        return NULL;
    FlowAst *value = spine.leaf;
    for (size_t i = 0; i < spine.count && value != NULL; i++)
        value = flow_compile__fold(c, spine.nodes[i], value);
    return value;
}
