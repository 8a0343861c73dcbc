/*
 * run_internal.h - runs and the engine from the inside, for engine*.c and run*.c. Everything here belongs to the control
 * thread, except what says otherwise.
 */
#ifndef FLOW_ENGINE_RUN_INTERNAL_H
#define FLOW_ENGINE_RUN_INTERNAL_H

#include "base/map.h"
#include "loop/timer.h"
#include "engine/run_events.h"

enum {
    FLOW_RUNS_KEPT = 64,        /* ended ones that stay in memory with their events */
    FLOW_EVENT_POSTS_MAX = 1024 /* of one run, on their way without a ring */
};

/* ---- requests ---- */

/* Someone waits for an answer about a run. */
typedef struct FlowWaiter {
    FlowList link;
    FlowEngineDone done;
    void *context;
} FlowWaiter;

/* ---- runs ---- */

typedef struct FlowRunLoop {
    FlowRun *run;
    uint32_t index;
    const FlowPlan *plan;
    FlowRunner *runner;
    FlowLoop *loop; /* what it runs on */
    bool owns_loop; /* a THREAD loop's; its thread runs when `has_thread` */
    bool has_thread, counted_end, is_paused;
    uint32_t *writers; /* loops that write the queue which this one reads; NULL: it doesn't end with them */
    uint32_t writer_count;
    bool told_writers_end;
    FlowEventRing *ring;     /* what the runner writes, or is to write, to */
    FlowEventRing *old_ring; /* taken back; freed when the runner has let go of it */
    _Atomic bool is_waking;  /* wake_task is in control's inbox */
    FlowTask wake_task;
    FlowTask release_task; /* through the loop and back, after its runner has ended */
} FlowRunLoop;

struct FlowRun {
    FlowEngine *engine;
    _Atomic uint32_t refs;
    FlowList link; /* in engine->runs or engine->ended */
    FlowRunNames names;
    FlowRunContext context;
    FlowValue parameters, labels;
    int64_t revision;
    bool is_inline;
    int64_t create_ns, start_ns, end_ns;
    _Atomic(FlowRunState) state;
    FlowError error;
    FlowAnalyzer *analyzer;
    FlowRunLoop *loops;
    uint32_t loop_count, loops_started, loops_ended, loops_released;
    bool wants_stop, is_draining, is_forced, was_drained, is_ending;
    FlowTimer grace;
    FlowList stop_waiters;  /* FlowWaiter: answered when it has ended */
    FlowRunView *last_view; /* of a run that has ended */
    FlowRunEvents events;
    FlowTimer drain_timer; /* looks into rings again */
    _Atomic bool is_poked; /* any thread: poke_task is in control's inbox */
    FlowTask poke_task;
    _Atomic uint32_t posts; /* any thread: events on their way */
    _Atomic uint64_t posts_dropped[FLOW_EVENT_KIND_COUNT];
};

typedef struct FlowRunMake {
    FlowEngine *engine;
    const char *id, *workflow_id, *workflow_name;
    int64_t revision, create_ns, start_ns;
    bool is_inline, wants_stop;
    bool all_paused;
    FlowValue paused_loops;       /* array of producer ids; borrowed, as all values here */
    FlowValue parameters, labels; /* objects */
    FlowAnalyzer *analyzer;
} FlowRunMake;

/* A run in state STARTING, with a runner for each loop; the reference is yours. NULL: no loop to be had. */
FlowRun *flow_run__new(const FlowRunMake *make, FlowError *reterr);
void flow_run__start(FlowRun *run);
/* One that has no loops any more: only its last view, for watches. The reference is yours. */
FlowRun *flow_run__new_ended(FlowEngine *engine, const FlowRunRecord *record);
void flow_run__stop(FlowRun *run, bool force, int64_t grace_ns);
/* For the end of the server: like stop, but the run goes on after a restart. */
void flow_run__drain(FlowRun *run, bool force);
/* `producer_node_id` NULL: all loops. Answers when it is durable, or at once when it can't be done. */
void flow_run__pause(FlowRun *run, const char *producer_node_id, bool pause, FlowEngineDone done,
                     void *context);
void flow_run__poke_runners(FlowRun *run);
/* An answer for when it has ended. */
void flow_run__wait_end(FlowRun *run, FlowEngineDone done, void *context);
/* Fills in FlowRunLoop.writers of all loops: run_queues.c. */
void flow_run__find_writers(FlowRun *run);

/* ---- run_listen.c ---- */

/* The state has changed from `old`. */
void flow_run__emit_state(FlowRun *run, FlowRunState old, const char *detail);
/* Collects what the loops' rings hold, and looks again as long as there is more. */
void flow_run__drain_rings(FlowRun *run);
/* Everything that loops which have ended have told. */
void flow_run__drain_completely(FlowRun *run);
/* Tells the loops what is watched. */
void flow_run__listen(FlowRun *run);
void flow_run__free_old_ring(FlowRun *run, FlowRunLoop *loop);
void flow_run__on_drain_timer(FlowTimer *timer);
void flow_run__on_wake(FlowTask *task);

/* ---- run_view.c ---- */

FlowRunView *flow_run__view(FlowRun *run);
FlowBlob *flow_run_view__encode(const FlowRunView *view);
/* From what the store keeps. Never NULL: what is missing is empty. */
FlowRunView *flow_run_view__decode(const FlowRunRecord *record);

/* ---- the engine ---- */

struct FlowEngine {
    FlowStore *store;
    FlowRegistry *registry;
    const FlowClock *clock;
    char *server;
    FlowValue env;
    void *(*service)(void *context, const char *name);
    void *service_context;
    FlowLoop *control;
    FlowLoop **shards;
    unsigned *shard_loads; /* runners on each */
    unsigned shard_count, threads_max, threads;
    FlowMap runs_by_id;             /* active and ended ones */
    FlowList runs, ended;           /* FlowRun.link; ended: oldest first */
    uint32_t ended_count, starting; /* requests that will make a run */
    bool is_draining, drain_forced, is_closing;
    FlowList drain_waiters; /* FlowWaiter */
    FlowTimer drain_grace;
    _Atomic bool store_is_away;
    FlowStoreUntil store_watch;
    bool is_watching_store;
    _Atomic uint64_t counts[6]; /* see FLOW_ENGINE_COUNT_* */
    _Atomic uint32_t runs_active, loops_active, watches, thread_count;
};

enum {
    FLOW_ENGINE_COUNT_STARTED,
    FLOW_ENGINE_COUNT_COMPLETED,
    FLOW_ENGINE_COUNT_STOPPED,
    FLOW_ENGINE_COUNT_FAILED,
    FLOW_ENGINE_COUNT_DONE,
    FLOW_ENGINE_COUNT_DEAD
};

/* A loop for a runner: a shard, or (THREAD) one of its own, which has a thread when there is one to be had. */
FlowLoop *flow_engine__loop_for(FlowEngine *engine, const FlowPlan *plan, bool *ret_owned, FlowError *reterr);
/* Gives a THREAD loop its thread; false: all are in use, it comes later. */
bool flow_engine__thread_for(FlowEngine *engine, FlowRunLoop *loop, bool beyond_bound);
void flow_engine__loop_gone(FlowEngine *engine, FlowRunLoop *loop);
/* The run is over: it goes to the ended ones, or (drained) away. */
void flow_engine__run_ended(FlowEngine *engine, FlowRun *run);
void flow_engine__add(FlowEngine *engine, FlowRun *run_take);
/* A request that could have made a run (counted in engine->starting) is answered. */
void flow_engine__start_is_over(FlowEngine *engine);
FlowRun *flow_engine__find(const FlowEngine *engine, const char *run_id);

void flow_engine__answer(FlowEngineDone done, void *context, FlowRun *run, const FlowError *error);

#endif
