/*
 * scope.h - which variable a name means, decided before the template runs. Private to the room.
 *
 * A scope belongs to the template, a macro, a loop, a `with` ...; an `if` has none of its own, but while its
 * branches are looked at each is a scope "on top of" the one around it, so that a name set in only some of
 * the branches keeps its outer meaning in the others. The rules are those of Jinja's idtracking module.
 */
#ifndef FLOW_TEMPLATE_SCOPE_H
#define FLOW_TEMPLATE_SCOPE_H

#include "template/ast.h"

typedef struct FlowScope FlowScope;
typedef struct FlowRef FlowRef;
struct FlowBuilder;

/* What a variable holds when its scope is entered. */
typedef enum FlowLoad {
    LOAD_PARAMETER, /* set by whoever enters */
    LOAD_CONTEXT,   /* what the context has under this name */
    LOAD_ALIAS,     /* what the variable of an outer scope holds */
    LOAD_MISSING
} FlowLoad;

/* A variable of a scope. */
struct FlowRef {
    const FlowAtom *name;
    FlowRef *next; /* in the scope, in order of appearance */
    const FlowRef *alias;
    FlowScope *scope;
    uint32_t slot; /* once the scope is entered, when stored */
    uint8_t load;  /* FlowLoad */
    bool stored;   /* false: only ever read, so it is the context's */
};

typedef struct FlowAtomMap {
    const FlowAtom **keys;
    void **values;
    size_t count, capacity;
} FlowAtomMap;

struct FlowScope {
    FlowScope *parent;            /* NULL for the template and for blocks */
    FlowScope *below;             /* branch of an if: the scope it lies on top of */
    struct FlowBuilder *function; /* whose slots it uses */
    FlowAtomMap refs;             /* name -> FlowRef; of a branch: those it added */
    FlowAtomMap all;              /* those of all branches too: a name has one variable per scope */
    FlowAtomMap stores;           /* names that are assigned to */
    FlowRef *first, *last;
    FlowScope *place; /* a block: the scope it stands in */
    bool is_block, sees_place;
};

FlowScope *flow_scope__new(FlowArena *arena, FlowScope *parent, struct FlowBuilder *function);
/* NULL when the name has not been seen in this scope or around it. */
FlowRef *flow_scope__find(FlowScope *scope, const FlowAtom *name);
/* All answer false when memory ran out. */
bool flow_scope__parameter(FlowArena *arena, FlowScope *scope, const FlowAtom *name);
/* Looks at what the statements (or expressions) read and assign, nested scopes left out. */
bool flow_scope__analyse(FlowArena *arena, FlowScope *scope, const FlowAst *first);
bool flow_scope__analyse_one(FlowArena *arena, FlowScope *scope, const FlowAst *node);
bool flow_scope__analyse_target(FlowArena *arena, FlowScope *scope, const FlowAst *target, bool as_parameter);

/* The variable among those of `scope` and around it that is assigned to under this name; for scoped blocks. */
FlowRef *flow_scope__find_stored(FlowScope *scope, const FlowAtom *name);
bool flow_scope__stores(const FlowScope *scope, const FlowAtom *name);

/* ---- looking through whole subtrees, nested scopes included ---- */

enum {
    FLOW_NAMES_LOOP = 1,
    FLOW_NAMES_CALLER = 2,
    FLOW_NAMES_KWARGS = 4,
    FLOW_NAMES_VARARGS = 8,
    FLOW_NAMES_SELF = 16,
    FLOW_NAMES_SUPER = 32
};

/* Which of these names are read before they are assigned to; blocks are not looked into. */
unsigned flow_ast__undeclared(const FlowAst *first, unsigned names);
typedef enum FlowWalk { WALK_ON, WALK_PAST, WALK_STOP } FlowWalk;
/* Calls visit for every node below and beside `first`, outer ones first. False when it was stopped. */
bool flow_ast__walk(const FlowAst *first, FlowWalk (*visit)(const FlowAst *node, void *context),
                    void *context);

#endif
