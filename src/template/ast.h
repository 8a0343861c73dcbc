/*
 * ast.h - a parsed template. Nodes live in the parser's arena and point into the source. Private to the room.
 *
 * Chains that lean to the left (a.b.c, x|f|g, 1+1+1) may be very long, so code that walks expressions goes
 * down the `left` of a node in a loop and recurses only into the rest, whose depth the parser bounds.
 */
#ifndef FLOW_TEMPLATE_AST_H
#define FLOW_TEMPLATE_AST_H

#include "base/arena.h"
#include "template/template.h"
#include "template/val.h"

/* A name, once per template: equal names are equal pointers. */
typedef struct FlowAtom {
    const char *text; /* NUL-terminated */
    uint32_t len;
    uint32_t id; /* 0, 1, 2 ... */
} FlowAtom;

typedef enum FlowAstKind {
    /* expressions */
    AST_CONST,
    AST_NAME,
    AST_TUPLE,
    AST_LIST,
    AST_DICT,
    AST_ATTR,  /* left.name */
    AST_ITEM,  /* left[right] */
    AST_SLICE, /* left[a:b:c] */
    AST_CALL,  /* left(args) */
    AST_FILTER,
    AST_TEST,
    AST_UNARY,
    AST_BINARY,
    AST_AND,
    AST_OR,
    AST_CONCAT,
    AST_COMPARE,
    AST_IF_ELSE,
    AST_ISLAND, /* {{ left }} in an expression */
    /* statements */
    AST_TEXT,
    AST_PRINT,
    AST_IF,
    AST_FOR,
    AST_SET,
    AST_SET_BLOCK,
    AST_WITH,
    AST_MACRO,
    AST_CALL_BLOCK,
    AST_FILTER_BLOCK,
    AST_BLOCK,
    AST_AUTOESCAPE,
    AST_NO_LOADER /* include, import, from, extends: refused when reached */
} FlowAstKind;

typedef enum FlowOperator {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
    OP_NOT,
    OP_NEG,
    OP_POS
} FlowOperator;

typedef struct FlowAst FlowAst;

typedef struct FlowAstList {
    FlowAst *first, *last;
    size_t count;
} FlowAstList;

typedef struct FlowAstArgs {
    FlowAstList positional;
    FlowAstList named;              /* each has `name` set */
    FlowAst *spread, *named_spread; /* *x and **x, or NULL */
} FlowAstArgs;

/* Parameters of a macro or a call block. */
typedef struct FlowAstParams {
    FlowAstList names;    /* AST_NAME */
    FlowAstList defaults; /* of the last ones */
} FlowAstParams;

struct FlowAst {
    uint8_t kind; /* FlowAstKind */
    uint8_t op;   /* FlowOperator */
    bool flag;    /* TEST: negated; FOR: recursive; BLOCK: scoped */
    bool store;   /* NAME: is assigned to */
    uint32_t at;  /* where in the source */
    FlowAst *next;
    const FlowAtom
        *name;      /* NAME, ATTR, FILTER, TEST, MACRO, BLOCK, named argument; SET: namespace attribute */
    FlowAst *left;  /* operand, callee, first of a comparison; FILTER of a block: NULL */
    FlowAst *right; /* second operand; value of a dict's pair */
    union {
        FlowVal value;     /* CONST */
        FlowAstList items; /* TUPLE, LIST, DICT (pairs: left, right), CONCAT and COMPARE (the rest) */
        FlowAst *slice[3]; /* SLICE: NULL where left out */
        FlowAstArgs args;  /* CALL, FILTER, TEST */
        struct {           /* TEXT */
            uint32_t begin, end;
        };
        struct {                           /* IF, FOR, IF_ELSE and all statements with a body */
            FlowAst *target, *test, *iter; /* IF_ELSE: target if test else iter (may be NULL) */
            FlowAstList body, otherwise;
            FlowAstList elifs; /* IF: each an AST_IF of its own, with test and body */
            FlowAstParams *params;
        };
    };
};

typedef struct FlowParsed {
    FlowAstList body; /* statements; of an expression: one AST_PRINT */
    bool has_autoescape;
    FlowAtom *const *atoms; /* by id */
    size_t atom_count;
} FlowParsed;

/*
 * `text` has "\n" newlines only and outlives the nodes. On failure answers false and fills `error` (kind,
 * message, hint) and *ret_at, where in the text.
 */
bool flow_parse(const char *text, size_t len, bool expression, const FlowTemplateLimits *limits,
                FlowArena *arena, FlowParsed *ret, FlowTemplateError *error, size_t *ret_at);

#endif
