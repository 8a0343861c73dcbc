/* exec.h - frames, macros and calls: shared by exec.c and call.c. Private to the room. */
#ifndef FLOW_TEMPLATE_EXEC_H
#define FLOW_TEMPLATE_EXEC_H

#include "template/program.h"
#include "template/values.h"

/* The slots of one activation of a function. They outlive it when a macro made inside refers to them. */
struct FlowEnv {
    FlowEnv *outer; /* of the function around it in the text; recycled ones: the next */
    FlowVal slots[];
};

struct FlowMacro {
    const FlowFunction *function;
    FlowEnv *outer;
    bool autoescape; /* where it was defined */
};

/* What is printed goes elsewhere for a while. */
typedef struct FlowCapture {
    struct FlowCapture *outer;
    FlowBuf *out;
    size_t start; /* in vm->captured */
} FlowCapture;

/* A call in progress: what to go back to. */
struct FlowCallFrame {
    FlowCallFrame *caller;
    const FlowFunction *function;
    const FlowOp *ip;
    FlowVal *sp;
    FlowEnv *env;
    bool captured, autoescape;
};

/* The call that an instruction asks for: into the program, or done already with its result. */
typedef struct FlowCallOut {
    const FlowFunction *function; /* NULL: done */
    FlowEnv *env;
    bool autoescape; /* inside */
    FlowVal result;
} FlowCallOut;

FlowEnv *flow_env__new(FlowVm *vm, const FlowFunction *function, FlowEnv *outer);
void flow_env__recycle(FlowVm *vm, const FlowFunction *function, FlowEnv *env);

bool flow_capture__begin(FlowVm *vm);
bool flow_capture__end(FlowVm *vm, FlowVal *ret);

/* The values of a call site begin at `base`. The arrays of *ret may be new ones. */
bool flow_site__arguments(FlowVm *vm, const FlowSite *site, const FlowVal *base, FlowArgs *ret);
bool flow_call__value(FlowVm *vm, FlowVal callee, const FlowArgs *args, FlowCallOut *ret);
bool flow_call__method(FlowVm *vm, const FlowSite *site, FlowVal *base, FlowCallOut *ret);
bool flow_call__loop(FlowVm *vm, const FlowFunction *function, FlowEnv *outer, unsigned depth0, FlowVal over,
                     FlowCallOut *ret);
bool flow_call__native(FlowVm *vm, const FlowSite *site, bool is_filter, FlowVal *base, FlowVal *ret);

#endif
