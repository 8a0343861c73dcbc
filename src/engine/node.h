/*
 * node.h - the contract between a node type and whoever executes it (FlowRunner, Development Mode, tests).
 *
 * A node type is data with behaviour: one FlowNodeType, usually static const, in a registry. An instance
 * (FlowNode) lives in one loop, from setup() to cleanup(); a call (FlowNodeCall) is one execution on one
 * payload.
 *
 * Life of an instance: setup() once, then calls, then
 * cleanup() once, whatever happened in between, also when setup() failed half-way.
 *
 * Life of a call: start() either
 *   ends:   returns any outcome other than FLOW_NODE_PENDING; flow_node_call_finish() must not be called; or
 *   begins: returns FLOW_NODE_PENDING, and calls flow_node_call_finish() exactly once, later, on the same
 * thread, never from within start() or setup(). cancel() asks a call that has begun to end soon. The call
 * still finishes, from within cancel() or later; which outcome it then gives is all the same: who asked knows
 * why. A call is cancelled at most once. After flow_node_call_finish() the call, its input and its memory are
 * gone: let it be the last thing you do.
 *
 * Threads: everything above happens on the thread of the instance's loop (flow_node_loop()). In the ASYNC
 * pool that thread is shared with many loops: nothing may block there. A THREAD or PROCESS loop has its
 * thread for itself, and start() may block as long as it looks at flow_node_call_cancelled() now and then.
 *
 * Values: input, metadata and form values are borrowed for the length of the call. What a call is given with
 * _take belongs to it from then on, also when the function fails.
 */
#ifndef FLOW_ENGINE_NODE_H
#define FLOW_ENGINE_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"
#include "value/value.h"

typedef struct FlowForm FlowForm;                       /* forms/form.h */
typedef struct FlowFormSchema FlowFormSchema;           /* forms/spec.h */
typedef struct FlowFormSpec FlowFormSpec;               /* forms/spec.h */
typedef struct FlowFormValues FlowFormValues;           /* forms/form.h */
typedef struct FlowTemplateContext FlowTemplateContext; /* template/template.h */
typedef struct FlowLoop FlowLoop;                       /* loop/loop.h */

typedef struct FlowNode FlowNode;
typedef struct FlowNodeCall FlowNodeCall;
typedef struct FlowNodeHost FlowNodeHost;
typedef struct FlowNodeType FlowNodeType;

typedef enum FlowNodeKind {
    FLOW_NODE_PRODUCER,
    FLOW_NODE_BLOCKING,
    FLOW_NODE_NON_BLOCKING,
    FLOW_NODE_CONDITIONAL,
    FLOW_NODE_KIND_COUNT
} FlowNodeKind;

/* In order of preference: a loop runs in the highest pool that one of its nodes asks for. */
typedef enum FlowPoolKind {
    FLOW_POOL_ASYNC,
    FLOW_POOL_THREAD,
    FLOW_POOL_PROCESS,
    FLOW_POOL_COUNT
} FlowPoolKind;

/* "PRODUCER", "ASYNC"; "UNKNOWN" outside the enum. */
const char *flow_node_kind_name(FlowNodeKind kind);
const char *flow_pool_name(FlowPoolKind pool);

/* How a call ended. */
typedef enum FlowNodeOutcome {
    /* Only from start(): finish will come later. A producer with nothing to give stays PENDING until it has.
     */
    FLOW_NODE_PENDING,
    /* The payload goes on by the call's branch. For a producer: here is the next payload. */
    FLOW_NODE_DONE,
    /* The branch ends here, the unit counts as done (`end`, a payload that `aggregate` keeps). */
    FLOW_NODE_ENDED,
    /* The branch ends here because the payload wasn't wanted (`filter`, `deduplicate`). */
    FLOW_NODE_FILTERED,
    /* Producers only: execution completed, there will be no further payload. */
    FLOW_NODE_COMPLETED,
    /* The call's error says why: flow_node_call_fail() sets it and returns this. */
    FLOW_NODE_FAILED,
} FlowNodeOutcome;

typedef enum FlowNodeFlags {
    /* It changes something outside FlowEngine (a file, a remote service): previews leave it out. */
    FLOW_NODE_SIDE_EFFECTS = 1 << 0,
    /* Its payloads are deliveries of its queue: the host takes them, gives each as input; start() passes it
       on. */
    FLOW_NODE_READS_QUEUE = 1 << 1,
    /* It pushes to the queues in FlowNode.queues; it may have edges into queue-readers. */
    FLOW_NODE_WRITES_QUEUE = 1 << 2,
    /* start() only says what the elements are (flow_node_call_elements_take()); the host runs the branch
     * `body` once for each of them, then goes on with `default`. */
    FLOW_NODE_FOR_EACH = 1 << 3,
    /* Calls of one instance may overlap, where units go on in the background; with this flag they wait for
     * each other. A producer is asked for one payload at a time anyway. */
    FLOW_NODE_ONE_AT_A_TIME = 1 << 4,
    /* The form values decide which branches there are: see FlowNodeType.branches_of. */
    FLOW_NODE_OWN_BRANCHES = 1 << 5,
    /* The same input and form give the same result, and nothing else happens. */
    FLOW_NODE_PURE = 1 << 6,
    /* It changes `data` in no other way than adding its output_key; without one, not at all. So what stands behind it
     * can be told from the graph. */
    FLOW_NODE_ONLY_ADDS = 1 << 7,
    /* It never lets a payload go on: what stands behind it never runs. */
    FLOW_NODE_LAST = 1 << 8,
} FlowNodeFlags;

/* An output port. `name` is what an edge's sourceHandle says, in lower case. */
typedef struct FlowNodeBranch {
    const char *name;
    const char *summary;
} FlowNodeBranch;

/* Collects the branches of one node; branches_of() gets one. Names are copied and turned into lower case. */
typedef struct FlowNodeBranches FlowNodeBranches;
/* INVALID_ARGUMENT for a name that is empty, too long (128 bytes) or there already. */
FlowStatus flow_node_branches_add(FlowNodeBranches *branches, const char *name, size_t len,
                                  FlowError *reterr);

struct FlowNodeType {
    /* What people read. All but `name` and `summary` may be NULL. Plain text; `description` may have
     * paragraphs. */
    const char *name;        /* kebab-case: "if-condition" */
    const char *label;       /* "If condition"; NULL: made from the name */
    const char *summary;     /* one sentence */
    const char *description; /* everything a user has to know */
    const char *result;      /* what it adds to `data`, in words */
    const char *example;     /* a whole workflow, as JSON, that shows it; a test builds it */
    uint32_t version;        /* of its behaviour, from 1: part of the key of cached outputs */

    FlowNodeKind kind;
    FlowPoolKind pool; /* the least that it needs */
    unsigned flags;    /* FlowNodeFlags */

    /* The key under which flow_node_call_result_take() adds to `data`; NULL for a type that adds nothing. */
    const char *output_key;

    /* NULL: the one branch `default`. Otherwise ended by an entry without a name. */
    const FlowNodeBranch *branches;
    /*
     * With FLOW_NODE_OWN_BRANCHES: the branches of a node with these stored (not yet rendered) form values.
     * Called when a workflow is built; the order in which they are added is their index.
     */
    FlowStatus (*branches_of)(FlowValue form_values, FlowNodeBranches *branches, FlowError *reterr);

    /* Its fields: a table, or (types that come at run time) a schema that the maker keeps; both NULL: none.
     */
    const FlowFormSpec *form;
    const FlowFormSchema *schema;
    /* Optional: asked when a workflow is built, after the form was found right, for what a form can't know.
     */
    FlowStatus (*is_ready)(FlowValue form_values, FlowError *reterr);

    size_t instance_size; /* bytes of FlowNode.memory, zeroed before setup() */
    size_t call_size;     /* bytes of FlowNodeCall.memory, zeroed before start() */

    /*
     * Optional. Never blocks (in the ASYNC pool). node->state holds what the last settled call left, or null;
     * node may keep a reference. A failure ends the loop in the state FAILED; cleanup() is still called.
     */
    FlowStatus (*setup)(FlowNode *node, FlowError *reterr);
    FlowNodeOutcome (*start)(FlowNodeCall *call);
    /* Needed by every type whose start() may return FLOW_NODE_PENDING. */
    void (*cancel)(FlowNodeCall *call);
    /* Optional. No call is open any more. Frees what setup() and calls have put into node->memory. */
    void (*cleanup)(FlowNode *node);

    const void *impl; /* whatever the type's maker wants: workers and plugins share functions between types */
};

/* One node in one loop. Made by the host; a node type reads it. */
struct FlowNode {
    const FlowNodeType *type;
    const char *id;       /* as in the workflow */
    const FlowForm *form; /* the stored form, compiled; NULL for a type without one */
    FlowLoop *loop;
    const FlowNodeHost *host;
    void *memory;    /* instance_size bytes */
    FlowValue state; /* what was restored; the host's, look at it in setup() */
    /* A reader's queue, or all queues of a writer: filled in by the QueueMapper. */
    const char *const *queues;
    uint32_t queue_count;
    bool
        lenient_undefined; /* settings.undefined of the workflow, for types that compile templates themselves */
    /* type->output_key as a string value, so that no call has to make it; null is fine, too. */
    FlowValue output_key;
};

/* One execution. The first part is the host's and read-only for the node, the second is the answer. */
struct FlowNodeCall {
    FlowNode *node;
    const FlowNodeHost *host;
    FlowValue data, metadata;   /* the input; both empty objects for a producer that reads no queue */
    const FlowFormValues *form; /* rendered and cleaned, by the index of the field in the type's form */
    const FlowTemplateContext
        *context;   /* what templates of this call see: data, metadata, workflow, run, env */
    void *memory;   /* call_size bytes */
    bool cancelled; /* cancel() was called */
    /* Set from another thread when the loop is to end by force: for a start() that blocks (THREAD). May be NULL. */
    const _Atomic(bool) *aborted;

    /* The host puts the (one) result into the data itself, so that data which nobody else holds needs no copy. */
    bool adds_result;

    /* What goes on. A call that leaves `has_data` (`has_metadata`) false passes its input on as it is. */
    bool has_data, has_metadata, has_state, has_result;
    uint32_t branch; /* index into the branches of the node; 0 unless set */
    FlowValue out_data, out_metadata;
    FlowValue result_key, result; /* only with adds_result */
    FlowValue out_state; /* the node's durable state from this unit on: written in the unit's settle */
    FlowValue elements;  /* of a for-each, an array */
    const char *waiting; /* while PENDING: for what, in a word or two ("timer"); static text; shown as state
                            WAITING */
    FlowError error;     /* only meaningful with FLOW_NODE_FAILED */
};

/*
 * What a host offers. Nodes use the functions below instead. All slots but `service` are there always; all
 * are called on the loop's thread (a THREAD node's own), `finished` never from within start().
 */
struct FlowNodeHost {
    void (*finished)(FlowNodeCall *call, FlowNodeOutcome outcome);
    /* Holds the push until the unit settles. RESOURCE_EXHAUSTED with reason PAYLOAD_TOO_LARGE beyond the
     * unit's bound. */
    FlowStatus (*push)(FlowNodeCall *call, const char *queue, FlowValue data_take, FlowValue metadata_take,
                       FlowError *reterr);
    /* A structured log line and an event of the run. `fields` is an object or null. */
    void (*log)(FlowNodeCall *call, FlowLogLevel level, const char *message, FlowValue fields);
    /* `call->waiting` has changed. */
    void (*waiting)(FlowNodeCall *call);
    /* What the server shares between nodes ("http-client", "rate-limiter"); NULL when it has none of that
     * name. */
    void *(*service)(FlowNode *node, const char *name);
};

/* For hosts. */

/* Makes `call` fit for start(): the answer is emptied, the host's part is left as it is. */
static inline void flow_node_call_reset(FlowNodeCall *call);
/* Gives back what the answer holds, e.g. after a failure. A host that takes a value out leaves null behind.
 */
void flow_node_call_done(FlowNodeCall *call);

/* For node types. */

static inline FlowLoop *flow_node_loop(const FlowNode *node)
{
    return node->loop;
}

/* Ends a call that is PENDING. The call is gone afterwards. */
static inline void flow_node_call_finish(FlowNodeCall *call, FlowNodeOutcome outcome)
{
    call->host->finished(call, outcome);
}

static inline bool flow_node_call_cancelled(const FlowNodeCall *call)
{
    return call->cancelled || (call->aborted && atomic_load_explicit(call->aborted, memory_order_relaxed));
}

/*
 * Adds `result` to the input's data under the type's output_key, made unique (`counter`, `counter_2`), and
 * lets that go on. May be called several times. Always returns FLOW_NODE_DONE.
 */
FlowNodeOutcome flow_node_call_result_take(FlowNodeCall *call, FlowValue result_take);
/* The same under another key. */
FlowNodeOutcome flow_node_call_result_as_take(FlowNodeCall *call, const char *key, FlowValue result_take);
/* Replaces the whole of `data` (an object), or of `metadata`. */
FlowNodeOutcome flow_node_call_data_take(FlowNodeCall *call, FlowValue data_take);
void flow_node_call_metadata_take(FlowNodeCall *call, FlowValue metadata_take);
/* The node's durable state from this unit on. */
void flow_node_call_state_take(FlowNodeCall *call, FlowValue state_take);
void flow_node_call_elements_take(FlowNodeCall *call, FlowValue array_take);

/* What stands in the dead letter: `reason` is one of DeadLetter.reason, NULL for NODE_FAILED. */
FlowNodeOutcome flow_node_call_fail(FlowNodeCall *call, FlowStatus status, const char *reason,
                                    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same from an error that something else has filled in (`call->error` may be it). */
FlowNodeOutcome flow_node_call_fail_with(FlowNodeCall *call, const FlowError *error);

static inline FlowStatus flow_node_call_push(FlowNodeCall *call, const char *queue, FlowValue data_take,
                                             FlowValue metadata_take, FlowError *reterr)
{
    return call->host->push(call, queue, data_take, metadata_take, reterr);
}

static inline void flow_node_call_log(FlowNodeCall *call, FlowLogLevel level, const char *message,
                                      FlowValue fields)
{
    call->host->log(call, level, message, fields);
}

/* Says for what a PENDING call waits; NULL: it works again. */
static inline void flow_node_call_wait(FlowNodeCall *call, const char *waiting)
{
    call->waiting = waiting;
    call->host->waiting(call);
}

static inline void *flow_node_service(FlowNode *node, const char *name)
{
    return node->host->service ? node->host->service(node, name) : NULL;
}

static inline void flow_node_call_reset(FlowNodeCall *call)
{
    call->cancelled = call->has_data = call->has_metadata = call->has_state = call->has_result = false;
    call->branch = 0;
    call->out_data = call->out_metadata = call->out_state = call->elements = flow_value_null();
    call->result_key = call->result = flow_value_null();
    call->waiting = NULL;
    call->error.status = FLOW_OK;
}

#endif
