#include "template/scope.h"

#include <string.h>

/* ---- a small table from names to pointers ---- */

static size_t slot_of(const FlowAtomMap *map, const FlowAtom *name)
{
    size_t at = (name->id * 2654435761u) & (map->capacity - 1);
    while (map->keys[at] != NULL && map->keys[at] != name)
        at = (at + 1) & (map->capacity - 1);
    return at;
}

static void *map_get(const FlowAtomMap *map, const FlowAtom *name)
{
    if (map->count == 0)
        return NULL;
    return map->values[slot_of(map, name)];
}

static bool map_put(FlowArena *arena, FlowAtomMap *map, const FlowAtom *name, void *value)
{
    if (map->count * 2 >= map->capacity) {
        FlowAtomMap larger = {.capacity = map->capacity != 0 ? map->capacity * 2 : 8};
        larger.keys = flow_arena_calloc(arena, larger.capacity, sizeof *larger.keys);
        larger.values = flow_arena_calloc(arena, larger.capacity, sizeof *larger.values);
        if (larger.keys == NULL || larger.values == NULL)
            return false;
        for (size_t i = 0; i < map->capacity; i++) {
            if (map->keys[i] == NULL)
                continue;
            size_t at = slot_of(&larger, map->keys[i]);
            larger.keys[at] = map->keys[i];
            larger.values[at] = map->values[i];
        }
        larger.count = map->count;
        *map = larger;
    }
    size_t at = slot_of(map, name);
    map->count += map->keys[at] == NULL;
    map->keys[at] = name;
    map->values[at] = value;
    return true;
}

/* ---- scopes ---- */

FlowScope *flow_scope__new(FlowArena *arena, FlowScope *parent, struct FlowBuilder *function)
{
    FlowScope *scope = flow_arena_calloc(arena, 1, sizeof *scope);
    if (scope != NULL) {
        scope->parent = parent;
        scope->function = function;
    }
    return scope;
}

static FlowScope *whole(FlowScope *scope)
{
    while (scope->below != NULL)
        scope = scope->below;
    return scope;
}

/* Only this scope, not those around it. */
static FlowRef *find_here(FlowScope *scope, const FlowAtom *name)
{
    for (; scope != NULL; scope = scope->below) {
        FlowRef *ref = map_get(&scope->refs, name);
        if (ref != NULL)
            return ref;
    }
    return NULL;
}

FlowRef *flow_scope__find(FlowScope *scope, const FlowAtom *name)
{
    while (scope != NULL) {
        FlowRef *ref = find_here(scope, name);
        if (ref != NULL)
            return ref;
        scope = whole(scope)->parent;
    }
    return NULL;
}

bool flow_scope__stores(const FlowScope *scope, const FlowAtom *name)
{
    for (; scope != NULL; scope = scope->below) {
        if (map_get(&scope->stores, name) != NULL)
            return true;
    }
    return false;
}

FlowRef *flow_scope__find_stored(FlowScope *scope, const FlowAtom *name)
{
    for (; scope != NULL; scope = whole(scope)->parent) {
        if (flow_scope__stores(scope, name))
            return flow_scope__find(scope, name);
    }
    return NULL;
}

static FlowRef *define(FlowArena *arena, FlowScope *scope, const FlowAtom *name, FlowLoad load,
                       const FlowRef *alias)
{
    FlowScope *owner = whole(scope);
    FlowRef *ref = map_get(&owner->all, name);
    if (ref == NULL) {
        ref = flow_arena_calloc(arena, 1, sizeof *ref);
        if (ref == NULL || !map_put(arena, &owner->all, name, ref))
            return NULL;
        ref->name = name;
        ref->scope = owner;
        if (owner->last != NULL)
            owner->last->next = ref;
        else
            owner->first = ref;
        owner->last = ref;
    }
    ref->load = (uint8_t)load;
    ref->alias = alias;
    return map_put(arena, &scope->refs, name, ref) ? ref : NULL;
}

static bool load(FlowArena *arena, FlowScope *scope, const FlowAtom *name)
{
    return flow_scope__find(scope, name) != NULL || define(arena, scope, name, LOAD_CONTEXT, NULL) != NULL;
}

static bool store(FlowArena *arena, FlowScope *scope, const FlowAtom *name)
{
    if (!map_put(arena, &scope->stores, name, scope))
        return false;
    FlowRef *ref = find_here(scope, name);
    if (ref == NULL) {
        FlowScope *parent = whole(scope)->parent;
        const FlowRef *outer = parent != NULL ? flow_scope__find(parent, name) : NULL;
        ref = define(arena, scope, name, outer != NULL ? LOAD_ALIAS : LOAD_MISSING, outer);
    }
    if (ref != NULL)
        ref->stored = true;
    return ref != NULL;
}

bool flow_scope__parameter(FlowArena *arena, FlowScope *scope, const FlowAtom *name)
{
    FlowRef *ref = define(arena, scope, name, LOAD_PARAMETER, NULL);
    if (ref != NULL)
        ref->stored = true;
    return ref != NULL && map_put(arena, &scope->stores, name, scope);
}

/* After the three branches (then, elifs, else) of an if: what they did becomes the scope's. */
static bool merge_branches(FlowArena *arena, FlowScope *scope, FlowScope *const branches[3])
{
    enum { IN_FIRST = 1, IN_ALL = 7 };
    FlowAtomMap seen = {0};
    for (int i = 0; i < 3; i++) {
        const FlowAtomMap *stores = &branches[i]->stores;
        for (size_t k = 0; k < stores->capacity; k++) {
            if (stores->keys[k] == NULL || flow_scope__stores(scope, stores->keys[k]))
                continue;
            uintptr_t in = (uintptr_t)map_get(&seen, stores->keys[k]) | (uintptr_t)(IN_FIRST << i);
            if (!map_put(arena, &seen, stores->keys[k], (void *)in))
                return false;
        }
    }
    for (int i = 0; i < 3; i++) {
        const FlowAtomMap *refs = &branches[i]->refs, *stores = &branches[i]->stores;
        for (size_t k = 0; k < refs->capacity; k++) {
            if (refs->keys[k] != NULL && !map_put(arena, &scope->refs, refs->keys[k], refs->values[k]))
                return false;
        }
        for (size_t k = 0; k < stores->capacity; k++) {
            if (stores->keys[k] != NULL && !map_put(arena, &scope->stores, stores->keys[k], scope))
                return false;
        }
    }
    for (size_t k = 0; k < seen.capacity; k++) {
        if (seen.keys[k] == NULL || (uintptr_t)seen.values[k] == IN_ALL)
            continue;
        FlowRef *ref = flow_scope__find(scope, seen.keys[k]);
        FlowScope *parent = whole(scope)->parent;
        const FlowRef *outer = parent != NULL ? flow_scope__find(parent, seen.keys[k]) : NULL;
        ref->load = outer != NULL ? LOAD_ALIAS : LOAD_CONTEXT;
        ref->alias = outer;
    }
    return true;
}

/* ---- what statements read and assign ---- */

typedef struct Analysis {
    FlowArena *arena;
    FlowScope *scope;
} Analysis;

static FlowWalk analyse_node(const FlowAst *node, void *context);

static bool analyse_branch(Analysis *a, const FlowAst *first, FlowScope **ret)
{
    FlowScope *branch = flow_scope__new(a->arena, NULL, a->scope->function);
    if (branch == NULL)
        return false;
    branch->below = a->scope;
    *ret = branch;
    Analysis inner = {a->arena, branch};
    return flow_ast__walk(first, analyse_node, &inner);
}

static bool analyse_if(Analysis *a, const FlowAst *node)
{
    FlowScope *branches[3];
    return flow_ast__walk(node->test, analyse_node, a) && analyse_branch(a, node->body.first, &branches[0]) &&
           analyse_branch(a, node->elifs.first, &branches[1]) &&
           analyse_branch(a, node->otherwise.first, &branches[2]) &&
           merge_branches(a->arena, a->scope, branches);
}

bool flow_scope__analyse_target(FlowArena *arena, FlowScope *scope, const FlowAst *target, bool as_parameter)
{
    if (target->kind == AST_NAME)
        return as_parameter ? flow_scope__parameter(arena, scope, target->name)
                            : store(arena, scope, target->name);
    for (const FlowAst *item = target->items.first; item != NULL; item = item->next) {
        if (!flow_scope__analyse_target(arena, scope, item, as_parameter))
            return false;
    }
    return true;
}

static FlowWalk past(bool ok)
{
    return ok ? WALK_PAST : WALK_STOP;
}

static FlowWalk analyse_node(const FlowAst *node, void *context)
{
    Analysis *a = context;
    switch (node->kind) {
    case AST_NAME:
        return load(a->arena, a->scope, node->name) ? WALK_ON : WALK_STOP;
    case AST_IF:
        return past(analyse_if(a, node));
    case AST_FOR:
        return past(flow_ast__walk(node->iter, analyse_node, a));
    case AST_SET:
        if (!flow_ast__walk(node->iter, analyse_node, a))
            return WALK_STOP;
        if (node->name != NULL) /* namespace.attribute: the namespace is read */
            return past(load(a->arena, a->scope, node->target->name));
        return past(flow_scope__analyse_target(a->arena, a->scope, node->target, false));
    case AST_SET_BLOCK:
        if (node->name != NULL)
            return past(load(a->arena, a->scope, node->target->name));
        return past(flow_scope__analyse_target(a->arena, a->scope, node->target, false));
    case AST_WITH:
        for (const FlowAst *set = node->elifs.first; set != NULL; set = set->next) {
            if (!flow_ast__walk(set->iter, analyse_node, a))
                return WALK_STOP;
        }
        return WALK_PAST;
    case AST_MACRO:
        return past(store(a->arena, a->scope, node->name));
    case AST_CALL_BLOCK:
        return past(flow_ast__walk(node->iter, analyse_node, a));
    case AST_FILTER_BLOCK:
        return past(flow_ast__walk(node->test, analyse_node, a));
    case AST_AUTOESCAPE:
    case AST_BLOCK:
    case AST_NO_LOADER:
        return WALK_PAST;
    default:
        return WALK_ON;
    }
}

bool flow_scope__analyse(FlowArena *arena, FlowScope *scope, const FlowAst *first)
{
    return flow_ast__walk(first, analyse_node, &(Analysis){arena, scope});
}

bool flow_scope__analyse_one(FlowArena *arena, FlowScope *scope, const FlowAst *node)
{
    /* walk() goes on to what stands beside a node; a copy stands alone. */
    FlowAst alone = *node;
    alone.next = NULL;
    return flow_ast__walk(&alone, analyse_node, &(Analysis){arena, scope});
}

/* ---- walking ---- */

static bool walk_args(const FlowAstArgs *args, FlowWalk (*visit)(const FlowAst *node, void *context),
                      void *context)
{
    return flow_ast__walk(args->positional.first, visit, context) &&
           flow_ast__walk(args->named.first, visit, context) &&
           flow_ast__walk(args->spread, visit, context) && flow_ast__walk(args->named_spread, visit, context);
}

/* What lies below a node, its `left` apart. */
static bool walk_rest(const FlowAst *node, FlowWalk (*visit)(const FlowAst *node, void *context),
                      void *context)
{
    switch (node->kind) {
    case AST_TUPLE:
    case AST_LIST:
    case AST_DICT:
    case AST_CONCAT:
    case AST_COMPARE:
        return flow_ast__walk(node->items.first, visit, context) &&
               flow_ast__walk(node->right, visit, context);
    case AST_SLICE:
        return flow_ast__walk(node->slice[0], visit, context) &&
               flow_ast__walk(node->slice[1], visit, context) &&
               flow_ast__walk(node->slice[2], visit, context);
    case AST_CALL:
    case AST_FILTER:
    case AST_TEST:
        return walk_args(&node->args, visit, context);
    case AST_CONST:
    case AST_NAME:
    case AST_TEXT:
    case AST_NO_LOADER:
        return true;
    case AST_ATTR:
    case AST_ITEM:
    case AST_UNARY:
    case AST_BINARY:
    case AST_AND:
    case AST_OR:
    case AST_ISLAND:
    case AST_PRINT:
        return flow_ast__walk(node->right, visit, context);
    default: /* inline if, and statements */
        return flow_ast__walk(node->target, visit, context) && flow_ast__walk(node->iter, visit, context) &&
               flow_ast__walk(node->test, visit, context) &&
               (node->params == NULL || (flow_ast__walk(node->params->names.first, visit, context) &&
                                         flow_ast__walk(node->params->defaults.first, visit, context))) &&
               flow_ast__walk(node->body.first, visit, context) &&
               flow_ast__walk(node->elifs.first, visit, context) &&
               flow_ast__walk(node->otherwise.first, visit, context);
    }
}

bool flow_ast__walk(const FlowAst *first, FlowWalk (*visit)(const FlowAst *node, void *context),
                    void *context)
{
    for (; first != NULL; first = first->next) {
        const FlowAst *node = first;
        while (node != NULL) { /* down the left, which may be long */
            FlowWalk how = visit(node, context);
            if (how == WALK_STOP)
                return false;
            if (how == WALK_PAST)
                break;
            if (!walk_rest(node, visit, context))
                return false;
            node = node->left;
        }
    }
    return true;
}

typedef struct Undeclared {
    unsigned wanted, found;
} Undeclared;

static FlowWalk undeclared_node(const FlowAst *node, void *context)
{
    static const struct {
        const char *name;
        unsigned bit;
    } names[] = {{"loop", FLOW_NAMES_LOOP},     {"caller", FLOW_NAMES_CALLER},
                 {"kwargs", FLOW_NAMES_KWARGS}, {"varargs", FLOW_NAMES_VARARGS},
                 {"self", FLOW_NAMES_SELF},     {"super", FLOW_NAMES_SUPER}};
    Undeclared *u = context;
    if (node->kind == AST_BLOCK)
        return WALK_PAST;
    if (node->kind != AST_NAME)
        return WALK_ON;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(node->name->text, names[i].name) != 0)
            continue;
        if (node->store)
            u->wanted &= ~names[i].bit;
        else
            u->found |= u->wanted & names[i].bit;
        return u->found == u->wanted && u->wanted != 0 ? WALK_STOP : WALK_ON;
    }
    return WALK_ON;
}

unsigned flow_ast__undeclared(const FlowAst *first, unsigned names)
{
    Undeclared u = {names, 0};
    flow_ast__walk(first, undeclared_node, &u);
    return u.found;
}
