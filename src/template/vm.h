/*
 * vm.h - one render: its memory, its bounds, how it fails; and what filters, tests and methods are made of.
 * Private to the room.
 *
 * Functions that can fail take the FlowVm first and answer false; the reason is then in the vm, and the
 * caller just passes the false on. Results go to ret_x, untouched on failure.
 */
#ifndef FLOW_TEMPLATE_VM_H
#define FLOW_TEMPLATE_VM_H

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "template/template.h"
#include "template/val.h"

enum { FLOW_NATIVE_PARAMS = 8 };

/* The arguments of a call as they were written. */
typedef struct FlowArgs {
    const FlowVal *values; /* positional */
    size_t count;
    const FlowVal *names; /* strings, one per named value */
    const FlowVal *named;
    size_t named_count;
} FlowArgs;

/*
 * A filter, test, method or global function. Filters, tests and methods get the value they stand behind as
 * their first argument. `call` gets one value per parameter, V_MISSING where none was given; `call_any` is
 * for those that take what comes. Exactly one of the two is set.
 */
struct FlowNative {
    const char *name;
    bool (*call)(FlowVm *vm, const FlowVal *args, FlowVal *ret);
    const char *params[FLOW_NATIVE_PARAMS]; /* ends with NULL */
    unsigned required;                      /* how many of them must be given */
    bool (*call_any)(FlowVm *vm, const FlowArgs *args, FlowVal *ret);
};

typedef struct FlowNativeTable {
    const FlowNative *rows;
    size_t count;
} FlowNativeTable;

typedef struct FlowEnv FlowEnv;
typedef struct FlowCallFrame FlowCallFrame;

struct FlowVm {
    FlowArena memory;
    FlowBuf *out;     /* where text goes: the caller's buffer or `captured` */
    FlowBuf captured; /* texts of macros and blocks in progress, one behind the other */
    uint64_t fuel;    /* steps until the next look at the bounds */
    uint64_t reserve; /* steps that are left after those */
    int64_t deadline; /* monotonic ns; 0 until the first look: most renders end before it */
    FlowTemplateLimits limits;
    const FlowTemplate *tmpl;
    const FlowClock *clock; /* for now() */
    FlowVal *globals;       /* by index of the template's names; V_MISSING when there is no such thing */
    FlowEnv *root;
    FlowCallFrame *frame; /* NULL in the template's own function */
    FlowEnv **recycled;   /* by function: slots to use again */
    struct FlowCapture *capture;
    struct FlowOwned *owned;      /* JSON values that were read during the render */
    struct FlowRegexCache *regex; /* patterns that were compiled during the render */
    unsigned loop_depth;          /* handed to the recursive loop that begins next */
    unsigned call_depth;
    bool autoescape;
    bool strict;
    bool failed;
    const FlowTemplateContext *context;
    FlowTemplateErrorKind kind; /* once failed */
    char message[256];
    char hint[96];
};

/* An undefined value whose mere use is an error. */
static inline bool flow_vm__refuses(const FlowVm *vm, FlowVal v)
{
    return v.type == V_UNDEFINED && vm->strict && !v.undefined->lenient;
}

/* Gives back everything that a render took. */
void flow_vm__release(FlowVm *vm);

/* ---- failing: each answers false, and the first one wins. Macros, so that the compiler sees the false. ---- */

#define flow_vm__fail(vm, ...)                                                                               \
    ({                                                                                                       \
        flow_vm__set_failure((vm), FLOW_TEMPLATE_RUNTIME, __VA_ARGS__);                                      \
        false;                                                                                               \
    })
/* Says what there is more of than allowed. */
#define flow_vm__limit(vm, ...)                                                                              \
    ({                                                                                                       \
        flow_vm__set_failure((vm), FLOW_TEMPLATE_LIMIT, __VA_ARGS__);                                        \
        false;                                                                                               \
    })
/* An undefined value is used. */
#define flow_vm__fail_undefined(vm, undefined)                                                               \
    ({                                                                                                       \
        flow_vm__set_undefined_failure((vm), (undefined));                                                   \
        false;                                                                                               \
    })

void flow_vm__set_failure(FlowVm *vm, FlowTemplateErrorKind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void flow_vm__set_undefined_failure(FlowVm *vm, FlowVal undefined);
/* "did you mean"; does nothing when there already is one. */
void flow_vm__hint(FlowVm *vm, const char *wanted, size_t len, const char *const *names, size_t count);

/* ---- bounds ---- */

bool flow_vm__refuel(FlowVm *vm, uint64_t steps);

/* Pays for `steps` pieces of work. Every loop over data of the author or the payload calls it. */
static inline bool flow_vm__charge(FlowVm *vm, uint64_t steps)
{
    if (steps < vm->fuel) {
        vm->fuel -= steps;
        return true;
    }
    return flow_vm__refuel(vm, steps);
}

/* ---- memory: NULL means failed ---- */

void *flow_vm__alloc_slow(FlowVm *vm, size_t size);

static inline void *flow_vm__alloc(FlowVm *vm, size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    if (size < 4096 && rounded <= (size_t)(vm->memory.end - vm->memory.next) &&
        rounded <= vm->memory.limit - vm->memory.used) {
        void *memory = vm->memory.next;
        vm->memory.next += rounded;
        vm->memory.used += rounded;
        return memory;
    }
    return flow_vm__alloc_slow(vm, size);
}

/* Room for a string of `len` bytes within the bound on one value. */
char *flow_vm__alloc_text(FlowVm *vm, size_t len);
/* A string with its own copy of the bytes. */
bool flow_vm__string(FlowVm *vm, const char *text, size_t len, FlowVal *ret);
bool flow_vm__format(FlowVm *vm, FlowVal *ret, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Builds one string piece by piece in the scratch buffer behind the captured texts: begin, append to the
 * buffer it gives, end. `end` fails when the string became too long; `drop` forgets it.
 */
typedef struct FlowBuild {
    FlowBuf *buf;
    size_t start;
} FlowBuild;

FlowBuild flow_vm__build(FlowVm *vm);
bool flow_vm__built(FlowVm *vm, FlowBuild build, FlowVal *ret);
/* Answers false: for the branch that fails. */
static inline bool flow_vm__build_drop(FlowVm *vm, FlowBuild build)
{
    (void)vm;
    build.buf->len = build.start;
    return false;
}
/* Still within the bound on one value? Long writers ask now and then. */
bool flow_vm__build_ok(FlowVm *vm, FlowBuild build);

/* Keeps a value until the render ends, and counts its size as memory of the render. NULL: failed. */
const FlowValue *flow_vm__own_take(FlowVm *vm, FlowValue value);

/* ---- undefined ---- */

bool flow_vm__undefined_hint(FlowVm *vm, const char *hint, FlowVal *ret);
bool flow_vm__undefined_attr(FlowVm *vm, FlowVal owner, const char *name, size_t len, FlowVal *ret);

/* ---- calling ---- */

/* Binds the arguments to the parameters; `what` ("filter", "test", ...) is for messages. */
bool flow_native__call(FlowVm *vm, const char *what, const FlowNative *native, const FlowArgs *args,
                       FlowVal *ret);
const FlowNative *flow_native__find(const FlowNativeTable *tables, size_t count, const char *name,
                                    size_t len);

const FlowNative *flow_filter__find(const char *name, size_t len);
const FlowNative *flow_test__find(const char *name, size_t len);
const FlowNative *flow_global__find(const char *name, size_t len);
/* The method `name` of values like `self`; NULL when there is none. */
const FlowNative *flow_method__find(FlowVal self, const char *name, size_t len);
/* Fills names (at most max) with the names there are, for "did you mean". */
size_t flow_filter__names(const char **names, size_t max);
size_t flow_test__names(const char **names, size_t max);
size_t flow_method__names(FlowVal self, const char **names, size_t max);
size_t flow_global__names(const char **names, size_t max);

#endif
