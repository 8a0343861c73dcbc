/* rig.h - a store to try things on, and the operations as one-liners. */
#ifndef FLOW_TESTS_STORE_RIG_H
#define FLOW_TESTS_STORE_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store.h"

/* What the rules are tried on; a new backend adds its line. */
typedef struct RigStore {
    const char *name;
    const char *url; /* "%s" becomes a directory of the test's own */
    FlowDurability durability;
    bool survives; /* what was stored is there after closing */
} RigStore;
extern const RigStore rig_stores[];
extern const size_t rig_store_count;

typedef struct Rig {
    const RigStore *kind;
    char directory[64], url[128];
    FlowStoreOptions options;
    FlowClock *clock;
    FlowStore *store;
} Rig;

/* A rule gets it as *state. `options` may be NULL. */
Rig *rig_new(const RigStore *kind, const FlowStoreOptions *options);
void rig_free(Rig *rig);
void rig_reopen(Rig *rig);

/* Submits an operation that was filled in, and waits for its status. */
#define DO(rig, function, operation)                                                                         \
    (flow_store_##function((rig)->store, &(operation)), flow_store_wait((rig)->store, &(operation).op))
#define OK(rig, function, operation)                                                                         \
    do {                                                                                                     \
        FlowStatus status_ = DO(rig, function, operation);                                                   \
        if (status_ != FLOW_OK)                                                                              \
            fail_msg("%s: %s: %s", #function, flow_status_name(status_), (operation).op.error.message);      \
    } while (0)
#define REFUSED(rig, function, operation, status, why)                                                       \
    do {                                                                                                     \
        assert_int_equal(DO(rig, function, operation), status);                                              \
        assert_string_equal((operation).op.error.reason, why);                                               \
    } while (0)
/* Answered already? After a flush of what was submitted before. */
bool rig_pending(Rig *rig, const FlowStoreOp *op);

FlowBlob *rig_blob(const char *text);
bool rig_blob_is(FlowBlob *blob, const char *text);

FlowStoreQueue *rig_queue(Rig *rig, const char *name); /* kept by the rig's store until it is closed */
/* Pushes `count` payloads called first, first + 1, …: the payload id and the body are that number. */
uint64_t rig_push(Rig *rig, const char *queue, int first, int count);
FlowQueueInfo rig_info(Rig *rig, const char *queue); /* its texts are gone */
/* All that is queued, by payload id: "1 2 3". */
const char *rig_line(Rig *rig, const char *queue);
/* Counts everything; fails the test when something doesn't balance. */
void rig_balance(Rig *rig);

/* A stored workflow "w", a run of it, and an owner of one of its loops. */
void rig_run(Rig *rig, const char *run_id);
FlowStoreLoop *rig_loop(Rig *rig, const char *run_id, const char *producer, bool requeue);
void rig_close_loop(Rig *rig, FlowStoreLoop *loop);
/* Takes up to `max` without waiting; answers how many. */
size_t rig_take(Rig *rig, FlowStoreLoop *loop, const char *queue, FlowDelivery **deliveries, size_t max);
/* Settles one delivery; its reference is given back. */
void rig_settle(Rig *rig, FlowStoreLoop *loop, FlowDelivery *input, FlowUnitOutcome outcome);

#endif
