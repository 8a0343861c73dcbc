#include "engine/run_state.h"

#include <assert.h>

#define BIT(state) (1u << (state))

/* Which states may come next. A row of zeros is final: nothing leaves it. */
static const unsigned run_may_follow[FLOW_RUN_STATE_COUNT] = {
    /* 0: before the first one */
    [0] = BIT(FLOW_RUN_STARTING),
    /* A run that is resumed after a restart of the server, or whose loops end at once, skips RUNNING. */
    [FLOW_RUN_STARTING] = BIT(FLOW_RUN_RUNNING) | BIT(FLOW_RUN_PAUSED) | BIT(FLOW_RUN_STOPPING) |
                          BIT(FLOW_RUN_COMPLETED) | BIT(FLOW_RUN_FAILED),
    [FLOW_RUN_RUNNING] =
        BIT(FLOW_RUN_PAUSED) | BIT(FLOW_RUN_STOPPING) | BIT(FLOW_RUN_COMPLETED) | BIT(FLOW_RUN_FAILED),
    /* What went on in the background of a paused run can end its last loop. */
    [FLOW_RUN_PAUSED] =
        BIT(FLOW_RUN_RUNNING) | BIT(FLOW_RUN_STOPPING) | BIT(FLOW_RUN_COMPLETED) | BIT(FLOW_RUN_FAILED),
    [FLOW_RUN_STOPPING] = BIT(FLOW_RUN_STOPPED) | BIT(FLOW_RUN_FAILED),
};

#define AT_WORK                                                                                              \
    (BIT(FLOW_LOOP_RUNNING) | BIT(FLOW_LOOP_WAITING) | BIT(FLOW_LOOP_BLOCKED) | BIT(FLOW_LOOP_BACKING_OFF))
#define ENDED (BIT(FLOW_LOOP_COMPLETED) | BIT(FLOW_LOOP_STOPPED) | BIT(FLOW_LOOP_FAILED))

static const unsigned loop_may_follow[FLOW_LOOP_STATE_COUNT] = {
    [0] = BIT(FLOW_LOOP_STARTING) | ENDED, /* a loop that had ended before the server restarted stays ended */
    [FLOW_LOOP_STARTING] = AT_WORK | BIT(FLOW_LOOP_PAUSED) | BIT(FLOW_LOOP_STOPPING) | ENDED,
    [FLOW_LOOP_RUNNING] = AT_WORK | BIT(FLOW_LOOP_PAUSED) | BIT(FLOW_LOOP_STOPPING) | ENDED,
    [FLOW_LOOP_WAITING] = AT_WORK | BIT(FLOW_LOOP_PAUSED) | BIT(FLOW_LOOP_STOPPING) | ENDED,
    [FLOW_LOOP_BLOCKED] = AT_WORK | BIT(FLOW_LOOP_PAUSED) | BIT(FLOW_LOOP_STOPPING) | ENDED,
    [FLOW_LOOP_BACKING_OFF] = AT_WORK | BIT(FLOW_LOOP_PAUSED) | BIT(FLOW_LOOP_STOPPING) | ENDED,
    [FLOW_LOOP_PAUSED] = AT_WORK | BIT(FLOW_LOOP_STOPPING) | ENDED,
    [FLOW_LOOP_STOPPING] = ENDED,
};

static const char *const run_names[FLOW_RUN_STATE_COUNT] = {
#define X(name, number, meaning) [number] = #name,
    FLOW_RUN_STATE_MAP(X)
#undef X
};

static const char *const loop_names[FLOW_LOOP_STATE_COUNT] = {
#define X(name, number, meaning) [number] = #name,
    FLOW_LOOP_STATE_MAP(X)
#undef X
};

const char *flow_run_state_name(FlowRunState state)
{
    return state > 0 && state < FLOW_RUN_STATE_COUNT ? run_names[state] : "UNSPECIFIED";
}

const char *flow_loop_state_name(FlowLoopState state)
{
    return state > 0 && state < FLOW_LOOP_STATE_COUNT ? loop_names[state] : "UNSPECIFIED";
}

bool flow_run_state_is_final(FlowRunState state)
{
    return state > 0 && state < FLOW_RUN_STATE_COUNT && run_may_follow[state] == 0;
}

bool flow_loop_state_is_final(FlowLoopState state)
{
    return state > 0 && state < FLOW_LOOP_STATE_COUNT && loop_may_follow[state] == 0;
}

bool flow_run_state_may_follow(FlowRunState now, FlowRunState next)
{
    return now < FLOW_RUN_STATE_COUNT && next < FLOW_RUN_STATE_COUNT &&
           (run_may_follow[now] & BIT(next)) != 0;
}

bool flow_loop_state_may_follow(FlowLoopState now, FlowLoopState next)
{
    return now < FLOW_LOOP_STATE_COUNT && next < FLOW_LOOP_STATE_COUNT &&
           (loop_may_follow[now] & BIT(next)) != 0;
}

bool flow_run_state_set(_Atomic(FlowRunState) *state, FlowRunState next)
{
    FlowRunState now = atomic_load_explicit(state, memory_order_relaxed);
    if (now == next)
        return false;
    bool legal = flow_run_state_may_follow(now, next);
    assert(legal);
    if (legal)
        atomic_store_explicit(state, next, memory_order_release);
    return legal;
}

bool flow_loop_state_set(_Atomic(FlowLoopState) *state, FlowLoopState next)
{
    FlowLoopState now = atomic_load_explicit(state, memory_order_relaxed);
    if (now == next)
        return false;
    bool legal = flow_loop_state_may_follow(now, next);
    assert(legal);
    if (legal)
        atomic_store_explicit(state, next, memory_order_release);
    return legal;
}
