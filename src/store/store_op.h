/*
 * store_op.h - what all operations of a store have in common; include store/store.h.
 */
#ifndef FLOW_STORE_STORE_OP_H
#define FLOW_STORE_STORE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/status.h"
#include "loop/loop.h"
#include "store/blob.h"

typedef struct FlowStore FlowStore;
typedef struct FlowStoreQueue FlowStoreQueue; /* a queue's name, and a view of it that is always current */
typedef struct FlowStoreLoop FlowStoreLoop;   /* one loop of a run, owned under an epoch */
typedef struct FlowDeadLetter FlowDeadLetter;

enum {
    FLOW_STORE_NAME_MAX = 512,    /* bytes of an id or a queue's name */
    FLOW_STORE_SETTLES_MAX = 512, /* settles that one loop should have on their way */
    FLOW_STORE_PAGE_MAX = 1000,   /* entries of a page */
    FLOW_STORE_TAKE_MAX = 512,    /* deliveries of one take */
    FLOW_STORE_TOKEN = 1040,      /* bytes of a page token, with its NUL */
    FLOW_STORE_HASH = 16,         /* bytes of a request's content hash */
    FLOW_FINGERPRINT_TEXT = 17    /* 16 hex digits and the NUL */
};

typedef struct FlowStoreOp FlowStoreOp;
struct FlowStoreOp {
    FlowLoop *loop;
    void (*done)(FlowStoreOp *op);
    FlowError error; /* valid from done() on */

    /* private */
    FlowStore *store;
    int kind, place;
    _Atomic int phase;
    bool ready, cancel_seen;
    FlowTask task, cancel_task;
    FlowList link;
    FlowArena results;
    void *results_head;
};

/*
 * Asks an operation that waits to give up; call it on op->loop, before done() was called. done() still comes
 * exactly once: with CANCELLED, and nothing has happened; or with its result, because it was too late.
 */
void flow_store_cancel(FlowStore *store, FlowStoreOp *op);
/* Frees results; once per operation that was answered. Does nothing for those without such results. */
void flow_store_op_done(FlowStoreOp *op);
/*
 * Blocks until an operation that was submitted with op->loop and op->done NULL is answered; its status. For
 * start-up, tools and tests: not on a loop's thread.
 */
FlowStatus flow_store_wait(FlowStore *store, FlowStoreOp *op);

#endif
