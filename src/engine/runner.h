/*
 * runner.h - the FlowRunner: executes one loop of a run. Internal to the engine: run.c makes runners, wishes things of
 * them, and looks at them; everything else about them is in runner_internal.h.
 *
 * Control thread and loop thread talk by level, not by message: control sets what it wishes and pokes the runner; the
 * runner sets its state and pokes control. So nothing queues up between them, however often something changes.
 */
#ifndef FLOW_ENGINE_RUNNER_H
#define FLOW_ENGINE_RUNNER_H

#include "engine/analyzer.h"
#include "engine/counters.h"
#include "engine/engine.h"
#include "engine/event_record.h"

typedef struct FlowRun FlowRun;
typedef struct FlowRunner FlowRunner;

/* What control wants. Any thread may set; flow_runner_poke() makes the runner look. Nothing but `pause` and `listen` is
 * ever taken back. */
typedef struct FlowRunnerWish {
    _Atomic bool pause;       /* hold the producer */
    _Atomic bool stop;        /* end the current units, then end */
    _Atomic bool drain;       /* the same, but the loop goes on after a restart of the server */
    _Atomic bool force;       /* with stop or drain: cancel the current units */
    _Atomic uint64_t resumes; /* grows with each resume: also ends a pause by policy */
    _Atomic bool writers_end; /* all loops of this run that write to the reader's queue have ended */
    _Atomic unsigned listen;  /* FLOW_EVENT_BIT()s that somebody watches */
    _Atomic bool listen_payloads;
    _Atomic(FlowEventRing *) ring; /* where events go; NULL: they are posted, the rare ones */
} FlowRunnerWish;

typedef struct FlowRunnerSetup {
    FlowEngine *engine;
    FlowRun *run;
    uint32_t index; /* among the loops of the run */
    FlowAnalyzer *analyzer;
    const FlowPlan *plan;
    int64_t revision;
    FlowLoop *loop;
    bool
        reader_may_end; /* the producer reads a queue that loops of this run write, and is on no cycle with them */
    bool paused;
} FlowRunnerSetup;

/* Control thread. Nothing runs yet. */
FlowRunner *flow_runner_new(const FlowRunnerSetup *setup);
/* Takes the loop over in the store, sets the nodes up, goes to work. */
void flow_runner_start(FlowRunner *runner);
/* After it has ended (flow_runner_has_ended()) and flow_runner_free()d nothing of it is on its loop any more. */
void flow_runner_free(FlowRunner *runner);

FlowRunnerWish *flow_runner_wish(FlowRunner *runner);
/* Any thread. */
void flow_runner_poke(FlowRunner *runner);

/* ---- what others may look at; any thread ---- */

FlowLoopState flow_runner_state(const FlowRunner *runner);
/* It is over: nothing of it runs any more, its last state is durable (or it was drained). */
bool flow_runner_has_ended(const FlowRunner *runner);
/* It was set up, or has failed to be. */
bool flow_runner_has_started(const FlowRunner *runner);
/* It ended because the server drains: the loop as such goes on. */
bool flow_runner_was_drained(const FlowRunner *runner);
/* It holds its producer because of the policy `pause` or error_threshold: not by wish. */
bool flow_runner_is_paused_by_policy(const FlowRunner *runner);
/* The ring that it writes to now; a ring that was taken back from `wish` may be freed when it is no longer this one. */
FlowEventRing *flow_runner_ring(const FlowRunner *runner);

const FlowPlan *flow_runner_plan(const FlowRunner *runner);
uint32_t flow_runner_index(const FlowRunner *runner);
const FlowLoopCounters *flow_runner_counters(const FlowRunner *runner);
const FlowNodeCounters *flow_runner_node_counters(const FlowRunner *runner, uint32_t node);
/* Everything but `server` and `on_error` of a view; texts are copied into the arena. */
void flow_runner_view(FlowRunner *runner, FlowArena *arena, FlowLoopView *ret_view);
/* The last failure of a node of the plan; false when it has none. Texts are copied into the arena. */
bool flow_runner_node_failure(FlowRunner *runner, uint32_t node, FlowArena *arena,
                              FlowFailureView *ret_failure);

#endif
