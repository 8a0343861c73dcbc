/*
 * engine.h - the FlowEngine: starts runs, holds them, ends them, shows them, and continues them after a
 * restart.
 *
 * Threads: every function may be called from any thread and returns at once. What takes time answers through
 * a `done` callback, called exactly once, on the engine's control thread (never from within the call itself):
 * it must not block there and must not keep what the reply borrows (it may take references). An engine's
 * threads: one for control (runs, events), `shards` event loops on which the ASYNC loops of all runs live,
 * and one for each THREAD loop.
 *
 * Order: requests about one run take effect in the order in which they were made by one thread.
 */
#ifndef FLOW_ENGINE_ENGINE_H
#define FLOW_ENGINE_ENGINE_H

#include "base/clock.h"
#include "engine/events.h"
#include "engine/registry.h"
#include "engine/view.h"
#include "value/value.h"

typedef struct FlowEngine FlowEngine;
typedef struct FlowProblems FlowProblems; /* engine/problem.h: what is wrong with a definition */

typedef struct FlowEngineOptions {
    FlowStore *store;       /* borrowed: outlives the engine */
    FlowRegistry *registry; /* borrowed: outlives the engine */
    const FlowClock *clock; /* NULL: the real one */
    const char *server;     /* this flowd's name, LoopStatus.server; NULL: "" */
    unsigned shards;        /* 0: one per core, at most 64 */
    unsigned threads_max;   /* THREAD loops at the same time, 0: 64; further ones wait (STARTING) */
    FlowValue env;          /* object: the allow-listed environment that templates see; borrowed */
    /* What nodes may ask for by name, flow_node_service(); may be NULL. Called on the nodes' threads. */
    void *(*service)(void *context, const char *name);
    void *service_context;
} FlowEngineOptions;

/* Starts the threads. Runs of an earlier life are left alone until flow_engine_resume(). */
FlowStatus flow_engine_open(const FlowEngineOptions *options, FlowEngine **ret_engine, FlowError *reterr);

/* How a request ended. Everything is borrowed for the length of the callback. */
typedef struct FlowEngineReply {
    FlowError error;              /* error.status FLOW_OK: it was done */
    FlowRunView *run;             /* NULL when it failed; flow_run_view_ref() keeps it */
    const FlowProblems *problems; /* start, restart: why the definition can't run; NULL otherwise */
    bool replayed;                /* start: `request_id` was known, `run` is the run of that first time */
} FlowEngineReply;
typedef void (*FlowEngineDone)(void *context, const FlowEngineReply *reply);

/*
 * Continues what the store says was going on: RUNNING runs go on under their id, PAUSED ones stay paused.
 * Once, after open. `done` (run is NULL) when all of them are under way; a run that can't be continued (its
 * definition no longer builds) ends FAILED and says why.
 */
void flow_engine_resume(FlowEngine *engine, FlowEngineDone done, void *context);

/*
 * For SIGTERM: every loop ends its current units and settles them, at most `grace_ns`; what is then still
 * open is cancelled. The store keeps the runs RUNNING or PAUSED for the next start. New requests get
 * UNAVAILABLE. A second call shortens the grace. `done` (run is NULL) when nothing runs any more.
 */
void flow_engine_drain(FlowEngine *engine, int64_t grace_ns, FlowEngineDone done, void *context);

/* Drains (grace 0) if that has not been done, ends the threads and frees. Blocks; not from an engine thread.
 */
void flow_engine_close(FlowEngine *engine);

typedef struct FlowStartOptions {
    const char *workflow_id; /* of a stored workflow; NULL with an inline one */
    int64_t revision;        /* 0: the newest */
    /* An inline workflow as proto3 JSON, already read (an object); null with a stored one. It gets an
     * unlisted workflow id of its own. */
    FlowValue workflow;
    FlowValue parameters;   /* object or null: `run.parameters` of templates */
    FlowValue labels;       /* object of strings, or null */
    const char *request_id; /* NULL: not idempotent */
} FlowStartOptions;

/*
 * Builds the workflow, makes the run durable, starts its loops. `reply->run` is STARTING or RUNNING.
 * INVALID_ARGUMENT: the definition has problems (reply->problems); the same request_id came with other
 * content. FAILED_PRECONDITION: the workflow has an active run (named), has no producer, or is a draft.
 * NOT_FOUND. UNAVAILABLE: the store is away, a ledger doesn't balance, or the engine drains. UNIMPLEMENTED: a
 * PROCESS node. The options and all they point to are copied.
 */
void flow_engine_start_run(FlowEngine *engine, const FlowStartOptions *options, FlowEngineDone done,
                           void *context);

typedef struct FlowStopOptions {
    bool force; /* cancel the current units: dead letters with reason CANCELLED */
    int64_t
        grace_ns; /* without force: how long the units may take; then forced. 0: 30 s; negative: no limit */
    bool wait;    /* answer when the run has ended, not when it is STOPPING */
} FlowStopOptions;

/* FAILED_PRECONDITION when it has ended. Stopping a run that is STOPPING may add force or shorten the grace.
 */
void flow_engine_stop_run(FlowEngine *engine, const char *run_id, const FlowStopOptions *options,
                          FlowEngineDone done, void *context);

/*
 * `producer_node_id` NULL: all loops of the run. Pausing what is paused, and resuming what isn't, changes
 * nothing and succeeds. Answers when it is durable; the current units may still be ending
 * (LoopStatus.in_flight).
 */
void flow_engine_pause_run(FlowEngine *engine, const char *run_id, const char *producer_node_id,
                           FlowEngineDone done, void *context);
void flow_engine_resume_run(FlowEngine *engine, const char *run_id, const char *producer_node_id,
                            FlowEngineDone done, void *context);

/* Also a run that has ended, from the store. */
void flow_engine_get_run(FlowEngine *engine, const char *run_id, FlowEngineDone done, void *context);

typedef struct FlowRunFilter {
    const char *workflow_id; /* NULL: any */
    unsigned states;         /* bits 1 << FlowRunState; 0: any */
} FlowRunFilter;

typedef struct FlowRunList {
    FlowError error;
    FlowRunView *const *runs; /* newest first; without nodes[] */
    size_t run_count;
    const char *next_page_token; /* "" at the end */
} FlowRunList;
typedef void (*FlowRunListDone)(void *context, const FlowRunList *list);

/* `page_size` 1 to 1000; `page_token` NULL or "" for the first page; a wrong one is INVALID_ARGUMENT. */
void flow_engine_list_runs(FlowEngine *engine, const FlowRunFilter *filter, unsigned page_size,
                           const char *page_token, FlowRunListDone done, void *context);

/* A run that has ended. FAILED_PRECONDITION otherwise. */
void flow_engine_delete_run(FlowEngine *engine, const char *run_id, FlowEngineDone done, void *context);

/* The active run of a stored workflow, for DeleteWorkflow and its kin: "" when there is none. */
typedef void (*FlowActiveRunDone)(void *context, const char *run_id);
void flow_engine_active_run(FlowEngine *engine, const char *workflow_id, FlowActiveRunDone done,
                            void *context);

typedef struct FlowWatchOptions {
    const char *run_id;
    uint64_t after_cursor;       /* 0: from now on (a snapshot first) */
    unsigned kinds;              /* FLOW_EVENT_BIT()s; 0: all. SNAPSHOT and EVENTS_DROPPED always come */
    const char *const *node_ids; /* events that name a node: only these; none: all */
    size_t node_id_count;
    bool include_payloads;
    size_t payload_bytes; /* larger ones are left out; 0: FLOW_EVENT_PAYLOAD_BYTES */
    /* There is something to read. Any engine thread; must not block or read there, may close. Called again
     * only after a read has answered EMPTY. */
    void (*ready)(void *context);
    void *context;
} FlowWatchOptions;

/* `watch` is NULL when `error` says why (NOT_FOUND). Close it with flow_watch_close(). */
typedef void (*FlowWatchDone)(void *context, const FlowError *error, FlowWatch *watch);
void flow_engine_watch(FlowEngine *engine, const FlowWatchOptions *options, FlowWatchDone done,
                       void *context);

typedef struct FlowEngineCounts {
    uint64_t runs_active, loops_active, runs_started, runs_completed, runs_stopped, runs_failed;
    uint64_t units_done, units_dead_lettered, node_executions; /* of this life of the server */
    unsigned watches, shards, threads;
} FlowEngineCounts;
/* Any thread; does not wait. */
void flow_engine_counts(FlowEngine *engine, FlowEngineCounts *ret_counts);

#endif
