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
/* The constant that the expression amounts to, as a node; NULL when it doesn't. */
FlowAst *flow_compile__folded(FlowCompiler *c, FlowAst *node);

/* ---- statements ---- */

void flow_compile__statements(FlowCompiler *c, FlowAst *first);
/* The template's own function, and those of its blocks. */
void flow_compile__root(FlowCompiler *c);

/* ---- functions ---- */

/* Begins a function inside the current one; flow_compile__end_function() goes back, and answers its number. */
void flow_compile__begin_function(FlowCompiler *c, FlowBuilder *builder, FlowFunctionKind kind);
uint32_t flow_compile__end_function(FlowCompiler *c);

#endif
