/* compile.h - shared by the parts of the compiler. Private to the room. */
#ifndef FLOW_TEMPLATE_COMPILE_H
#define FLOW_TEMPLATE_COMPILE_H

#include "base/map.h"
#include "template/ast.h"
#include "template/program.h"
#include "template/scope.h"

/* A growing array in the compiler's scratch memory. */
typedef struct FlowVec {
    void *items;
    size_t count, capacity;
} FlowVec;

/* A function while its instructions are written. */
typedef struct FlowBuilder {
    struct FlowBuilder *outer;
    FlowVec code, at; /* FlowOp, uint32_t */
    uint32_t index;   /* of the function */
    uint32_t slots;
    int depth, deepest; /* of the stack */
    bool has_closures;
    FlowFunction function;
} FlowBuilder;

/* Names that mean something by themselves; NULL in a compiler whose template doesn't mention them. */
typedef enum FlowSpecialName {
    NAME_LOOP,
    NAME_CALLER,
    NAME_KWARGS,
    NAME_VARARGS,
    NAME_SELF,
    NAME_SUPER,
    SPECIAL_NAMES
} FlowSpecialName;

typedef struct FlowCompiler {
    FlowTemplate *tmpl;
    FlowArena *scratch;
    const FlowParsed *parsed;
    FlowBuilder *builder;
    FlowScope *scope, *root_scope;
    bool soft; /* inside an if: unknown filters fail only when they are reached */
    bool failed;
    FlowTemplateError *error;
    size_t error_at;
    FlowVec constants, keys, chains, sites, globals, functions, paths, blocks;
    const FlowAtom *names[SPECIAL_NAMES];
    uint32_t *key_of, *global_of; /* by atom id, + 1 */
    FlowMap known_paths;
    FlowVm *folder; /* computes constant expressions; made when first needed */
} FlowCompiler;

/* Where a name's variable is, seen from the current function. */
typedef struct FlowPlace {
    uint32_t slot;
    uint8_t outer;
} FlowPlace;

void flow_compile__fail(FlowCompiler *c, FlowTemplateErrorKind kind, size_t at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A zeroed new item at the end; NULL when failed. */
void *flow_compile__push(FlowCompiler *c, FlowVec *vec, size_t item_size);
#define FLOW_PUSH(c, vec, type) ((type *)flow_compile__push((c), (vec), sizeof(type)))

/* Writes one instruction, answers its number. */
size_t flow_compile__emit(FlowCompiler *c, FlowOpCode op, unsigned a, size_t b, size_t operand, size_t at);
/* Corrects what emit can't know: UNPACK, or stack depth where paths meet. */
void flow_compile__adjust(FlowCompiler *c, int by);
size_t flow_compile__here(const FlowCompiler *c);
/* The jump `from` goes to where the next instruction will be. */
void flow_compile__land(FlowCompiler *c, size_t from);

uint32_t flow_compile__constant(FlowCompiler *c, FlowVal value);
uint32_t flow_compile__text(FlowCompiler *c, const char *text, size_t len);
uint32_t flow_compile__key(FlowCompiler *c, const FlowAtom *name);
uint32_t flow_compile__int_key(FlowCompiler *c, int64_t index);
uint32_t flow_compile__global(FlowCompiler *c, const FlowAtom *name);
FlowPlace flow_compile__place(FlowCompiler *c, const FlowRef *ref);
uint32_t flow_compile__new_slot(FlowCompiler *c, size_t at);

/* ---- constants, and the spine of an expression (compile_fold.c) ---- */

/* The nodes on the way down the left of an expression. */
typedef struct FlowSpine {
    FlowAst **nodes; /* nodes[0] is the innermost */
    size_t count;
    FlowAst *leaf; /* NULL: the value is already on the stack */
    FlowAst *few[16];
} FlowSpine;

/* What a node stands on; NULL for a leaf. */
FlowAst *flow_spine__left(const FlowAst *node);
bool flow_spine__climb(FlowCompiler *c, FlowAst *node, FlowSpine *spine);
/* The constant that the expression amounts to, as a node; NULL when it doesn't. */
FlowAst *flow_compile__folded(FlowCompiler *c, FlowAst *node);
/* What `node` (on top of the constant `left`) amounts to; NULL: only the run can tell, or it fails. */
FlowAst *flow_compile__fold(FlowCompiler *c, const FlowAst *node, FlowAst *left);
/* A tuple of the items of a list or tuple, when all are constants; else NULL. */
FlowAst *flow_compile__constant_tuple(FlowCompiler *c, const FlowAst *node);

/* ---- expressions ---- */

void flow_compile__expression(FlowCompiler *c, FlowAst *node);
/* The same for something printed; `raw`: never escaped. */
void flow_compile__print(FlowCompiler *c, FlowAst *node);
/* A filter (or a chain of them) whose innermost value is already on the stack. */
void flow_compile__filters(FlowCompiler *c, FlowAst *node);
/* A call to which the caller, already built as function `function`, is handed on. */
void flow_compile__call_block(FlowCompiler *c, FlowAst *call, uint32_t function);
/* What a loop goes over: a list that nobody else can see may be a constant. */
void flow_compile__iterable(FlowCompiler *c, FlowAst *node);

/* ---- scopes ---- */

FlowScope *flow_compile__open_scope(FlowCompiler *c, FlowScope *parent);
/* Fails unless ok: for what can only fail for want of memory. */
void flow_compile__need(FlowCompiler *c, bool ok);
/* Gives the scope's variables their slots and first values. */
void flow_compile__enter_scope(FlowCompiler *c, FlowScope *scope);
/* Statements in a scope of their own whose variables it already knows. */
void flow_compile__body_in(FlowCompiler *c, FlowScope *scope, FlowAst *first);

/* ---- statements ---- */

/* Stores the value on the stack in a name, or unpacks it into several. */
void flow_compile__assign(FlowCompiler *c, FlowScope *scope, const FlowAst *target);
void flow_compile__loop(FlowCompiler *c, const FlowAst *node);
/* A block, which stands in the scope `place` (NULL: it is called by name). */
void flow_compile__block(FlowCompiler *c, const FlowAst *node, FlowScope *place);

void flow_compile__statements(FlowCompiler *c, FlowAst *first);
/* The template's own function, and those of its blocks. */
void flow_compile__root(FlowCompiler *c);

/* ---- functions ---- */

/* Begins a function inside the current one; flow_compile__end_function() goes back, and answers its number. */
void flow_compile__begin_function(FlowCompiler *c, FlowBuilder *builder, FlowFunctionKind kind);
uint32_t flow_compile__end_function(FlowCompiler *c);

#endif
