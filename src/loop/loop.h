/*
 * loop.h - an event loop of one thread (libuv inside), and the way to send it work from other threads.
 *
 * Everything that belongs to a loop is touched on its thread only; other threads post tasks. Tasks of one
 * poster run in the order in which they were posted. A task is memory of the poster's: it must stay valid
 * until its run() is called, stands in one loop's inbox at most, and may be freed or posted again inside
 * run().
 *
 * A loop either has a thread of its own (flow_loop_start), or lives on the caller's (flow_loop_run, or
 * flow_loop_turn for tests that go step by step).
 */
#ifndef FLOW_LOOP_LOOP_H
#define FLOW_LOOP_LOOP_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/status.h"

typedef struct FlowLoop FlowLoop;
struct uv_loop_s;

typedef struct FlowTask FlowTask;
struct FlowTask {
    FlowTask *next; /* private while it is posted */
    void (*run)(FlowTask *task);
};

/*
 * Makes a loop that nobody runs yet; tasks may be posted from now on. `name` becomes the thread's name (cut
 * at 15 bytes); copied. `clock` drives its timers and must outlive it. Errors: RESOURCE_EXHAUSTED (no
 * descriptors left).
 */
FlowStatus flow_loop_new(const char *name, const FlowClock *clock, FlowLoop **ret_loop, FlowError *reterr);
/* Runs it on a new thread. Errors: RESOURCE_EXHAUSTED (no thread to be had). Call at most once. */
FlowStatus flow_loop_start(FlowLoop *loop, FlowError *reterr);
/* new and start in one. */
FlowStatus flow_loop_open(const char *name, const FlowClock *clock, FlowLoop **ret_loop, FlowError *reterr);

/* Runs it on the calling thread until flow_loop_stop(). */
void flow_loop_run(FlowLoop *loop);
/* Runs on the calling thread what can be done without waiting; true when any task or timer ran. */
bool flow_loop_turn(FlowLoop *loop);
/*
 * For a loop without a thread: from enter to leave the calling thread counts as the loop's, so that tests may
 * call between turns what belongs on it.
 */
void flow_loop_enter(FlowLoop *loop);
void flow_loop_leave(FlowLoop *loop);
/* Asks it to return once what is posted now has run. Any thread, any number of times. */
void flow_loop_stop(FlowLoop *loop);
/*
 * Stops it, waits for its thread, runs on the calling thread what was posted meanwhile, frees it. Timers that
 * are armed don't fire any more; other libuv handles on it must be closed before. Not from the loop itself.
 * Accepts NULL.
 */
void flow_loop_free(FlowLoop *loop);

/*
 * Any thread. Costs a system call only when the loop may be asleep: a burst wakes it once. Posting from the
 * loop's own thread costs none, and the task runs in the loop's next turn, after what I/O is ready.
 */
void flow_loop_post(FlowLoop *loop, FlowTask *task);
/* A chain linked by `next`, in order; one atomic step, one wake-up. `last->next` need not be set. */
void flow_loop_post_chain(FlowLoop *loop, FlowTask *first, FlowTask *last);
/*
 * Waits until everything that was posted before the call has run. Not from the loop's own thread, and not for
 * a loop that nobody runs.
 */
void flow_loop_sync(FlowLoop *loop);

/* The loop whose thread this is; NULL elsewhere. */
FlowLoop *flow_loop_current(void);
static inline bool flow_loop_is_current(const FlowLoop *loop)
{
    return flow_loop_current() == loop;
}
/* Aborts, naming both, when called on another thread than the loop's. */
void flow_loop_assert(const FlowLoop *loop);

const char *flow_loop_name(const FlowLoop *loop);
const FlowClock *flow_loop_clock(const FlowLoop *loop);
/* For libuv handles of one's own; loop's thread only (or before it is started). */
struct uv_loop_s *flow_loop_uv(FlowLoop *loop);

#endif
