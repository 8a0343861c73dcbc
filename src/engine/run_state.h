/*
 * run_state.h - the states of runs and loops, which may follow which, and the one gate that changes them.
 *
 * The numbers are stored and shown: they never change meaning.
 */
#ifndef FLOW_ENGINE_RUN_STATE_H
#define FLOW_ENGINE_RUN_STATE_H

#include <stdatomic.h>
#include <stdbool.h>

/*      name         number  what it means */
#define FLOW_RUN_STATE_MAP(X)                                                                                \
    X(STARTING, 1, "its loops are being set up")                                                             \
    X(RUNNING, 2, "at least one loop is at work, or waits for some")                                         \
    X(PAUSED, 3, "its producers are held until it is resumed")                                               \
    X(STOPPING, 4, "it was asked to stop; the current units are ending")                                     \
    X(COMPLETED, 5, "all its loops have ended by themselves")                                                \
    X(STOPPED, 6, "it was asked to stop, and all its loops have ended")                                      \
    X(FAILED, 7, "all its loops have ended, at least one of them by failing")

typedef enum FlowRunState {
#define X(name, number, meaning) FLOW_RUN_##name = number,
    FLOW_RUN_STATE_MAP(X)
#undef X
        FLOW_RUN_STATE_COUNT
} FlowRunState;

#define FLOW_LOOP_STATE_MAP(X)                                                                               \
    X(STARTING, 1, "its nodes are being set up, or it waits for a thread")                                   \
    X(RUNNING, 2, "a unit is being worked on")                                                               \
    X(PAUSED, 3, "its producer is held until it is resumed")                                                 \
    X(STOPPING, 4, "it was asked to stop; its current units are ending")                                     \
    X(COMPLETED, 5, "its producer has nothing more to give, and all units have ended")                       \
    X(STOPPED, 6, "it was asked to stop, and all units have ended")                                          \
    X(FAILED, 7, "a node could not be set up, or a failure met the policy `stop`")                           \
    X(WAITING, 8, "nothing to do: an empty queue, a timer, a webhook")                                       \
    X(BLOCKED, 9, "held back: a full queue, too many units in flight, or the store is away")                 \
    X(BACKING_OFF, 10, "the producer failed; it is asked again after a delay")

typedef enum FlowLoopState {
#define X(name, number, meaning) FLOW_LOOP_##name = number,
    FLOW_LOOP_STATE_MAP(X)
#undef X
        FLOW_LOOP_STATE_COUNT
} FlowLoopState;

/* "RUNNING"; "UNSPECIFIED" for a number outside the list. */
const char *flow_run_state_name(FlowRunState state);
const char *flow_loop_state_name(FlowLoopState state);

bool flow_run_state_is_final(FlowRunState state);
bool flow_loop_state_is_final(FlowLoopState state);

bool flow_run_state_may_follow(FlowRunState now, FlowRunState next);
bool flow_loop_state_may_follow(FlowLoopState now, FlowLoopState next);

/*
 * The gates. Only the state's owner (the run's, the loop's thread) goes through; any thread may read the
 * atomic. True when the state changed, false when it was that already. A change that the table doesn't know
 * is a fault of ours: it aborts in debug builds and is refused (false) otherwise.
 */
bool flow_run_state_set(_Atomic(FlowRunState) *state, FlowRunState next);
bool flow_loop_state_set(_Atomic(FlowLoopState) *state, FlowLoopState next);

#endif
