/*
 * pool.h - a bounded pool of threads for work that would block a loop.
 *
 * A FlowWork is the caller's memory, from submit until its done() is called or a cancel succeeded. work()
 * runs on a pool thread and may touch what the work owns, nothing of the loop's. done() runs on the loop.
 */
#ifndef FLOW_LOOP_POOL_H
#define FLOW_LOOP_POOL_H

#include <stdbool.h>

#include "base/list.h"
#include "base/status.h"
#include "loop/loop.h"

typedef struct FlowPool FlowPool;

typedef struct FlowWork FlowWork;
struct FlowWork {
    FlowLoop *loop;
    void (*work)(FlowWork *work);
    /* `ran` is false when the pool was freed before the work's turn came. */
    void (*done)(FlowWork *work, bool ran);
    /* private */
    FlowTask task;
    FlowList link;
    bool waiting, ran;
};

typedef struct FlowPoolStats {
    unsigned threads, busy, waiting;
} FlowPoolStats;

/*
 * Up to `max_threads` (≥ 1) threads, started when work needs them and then kept; up to `max_waiting` works
 * wait for one. `name` is copied.
 */
FlowPool *flow_pool_new(const char *name, unsigned max_threads, unsigned max_waiting);
/*
 * Waits for the works that run; those that wait are given back with ran = false. The loops that works belong
 * to must still run. Accepts NULL.
 */
void flow_pool_free(FlowPool *pool);

/* Any thread. Errors: RESOURCE_EXHAUSTED when max_waiting works wait, or no thread can be had. */
FlowStatus flow_pool_submit(FlowPool *pool, FlowWork *work, FlowError *reterr);
/* True: the work had not begun and never will, done() is not called. False: done() is called, or has been. */
bool flow_pool_cancel(FlowPool *pool, FlowWork *work);

FlowPoolStats flow_pool_stats(FlowPool *pool);

#endif
