/*
 * program.h - a compiled template: functions of instructions, and the tables that these point into. Private
 * to the room. Never changes once made, so threads share it.
 */
#ifndef FLOW_TEMPLATE_PROGRAM_H
#define FLOW_TEMPLATE_PROGRAM_H

#include <stdatomic.h>

#include "base/arena.h"
#include "template/op_list.h"
#include "template/vm.h"

typedef enum FlowOpCode {
#define X(name, effect) I_##name,
    FLOW_OP_MAP(X)
#undef X
} FlowOpCode;

typedef struct FlowOp {
    uint8_t op, a;
    uint16_t b;
    uint32_t c;
} FlowOp;

/* A key that the template text names: in each form that a lookup wants. */
typedef struct FlowKey {
    FlowVal val;    /* string, or integer for x.0 and x[0] */
    FlowValue json; /* string */
    uint64_t hash;  /* flow_val__hash(val) */
} FlowKey;

/* name.key.key ... */
typedef struct FlowChain {
    uint32_t name;  /* for messages and for the context */
    uint32_t slot;  /* when not in the context */
    uint32_t first; /* key */
    uint16_t count;
    uint8_t outer;
    bool in_context; /* the name is one of the context's, never assigned to */
} FlowChain;

enum { METHODS_OF_STRING, METHODS_OF_LIST, METHODS_OF_DICT, METHODS_OF_OTHER, FLOW_METHOD_CLASSES };

/* One place in the text where something is called with arguments. */
typedef struct FlowSite {
    const FlowNative *native; /* filter or test; NULL: resolved when reached */
    const FlowNative *method[FLOW_METHOD_CLASSES];
    uint32_t name;       /* key of the filter, test or method */
    uint32_t names;      /* constant of the first name of a named argument */
    uint16_t positional; /* the value in front included, the callee not */
    uint16_t named;
    bool spread, named_spread; /* *x, **x: the last values on the stack, in this order */
    bool caller;               /* a call block: the uppermost value is the caller */
    bool plain;                /* native takes a fixed number, and the arguments fit without looking */
    uint8_t fill;              /* plain: how many parameters were not given */
} FlowSite;

typedef struct FlowParam {
    uint32_t name; /* key */
    uint32_t slot;
} FlowParam;

typedef enum FlowFunctionKind {
    FUNCTION_ROOT,
    FUNCTION_MACRO,
    FUNCTION_CALLER,
    FUNCTION_LOOP,
    FUNCTION_BLOCK
} FlowFunctionKind;

enum { FLOW_NO_SLOT = UINT32_MAX };

typedef struct FlowFunction {
    FlowFunctionKind kind;
    const FlowOp *code;
    const uint32_t *at; /* where in the source, per instruction */
    size_t count;
    uint32_t slots, stack;
    uint32_t name; /* key of a macro's or block's name */
    const FlowParam *params;
    size_t param_count;
    uint32_t caller_slot, named_slot, rest_slot; /* caller, kwargs, varargs; FLOW_NO_SLOT */
    bool explicit_caller;                        /* a parameter is called caller */
    bool reusable;                               /* no macro in it keeps its slots alive */
} FlowFunction;

typedef struct FlowGlobal {
    FlowVal name;
    const FlowNative *native; /* what it is when the context has no such name; may be NULL */
    FlowUndefined undefined;  /* what it is when nothing has */
} FlowGlobal;

struct FlowTemplate {
    atomic_uint references;
    bool strict, is_expression, is_value, is_constant;
    FlowTemplateLimits limits;
    FlowArena memory;
    const char *source;
    size_t source_len;
    const FlowFunction *functions; /* the first one is the root */
    const FlowVal *constants;
    const FlowKey *keys;
    const FlowChain *chains;
    const FlowSite *sites;
    const FlowGlobal *globals;
    const uint32_t *block_functions; /* by V_BLOCK index */
    const FlowTemplatePath *paths;
    size_t function_count, constant_count, key_count, chain_count, site_count, global_count, block_count,
        path_count;
};

/* Fills `tmpl` from the source, which it already has. `at` of a failure in the source goes to *ret_at. */
bool flow_compile(FlowTemplate *tmpl, FlowTemplateError *error, size_t *ret_at);
/* Line, column and excerpt for a place in the source. */
void flow_template__locate(const char *source, size_t len, size_t at, FlowTemplateError *error);
/* The program as text, for tests and curious people. */
void flow_template__disassemble(const FlowTemplate *tmpl, FlowBuf *to);

#endif
