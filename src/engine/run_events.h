/*
 * run_events.h - the events of one run on the control side: collected from its loops, numbered, kept in a bounded ring,
 * read by watches. Internal to the engine.
 */
#ifndef FLOW_ENGINE_RUN_EVENTS_H
#define FLOW_ENGINE_RUN_EVENTS_H

#include <pthread.h>

#include "base/list.h"
#include "engine/engine_internal.h"

typedef struct FlowRunEvents {
    FlowRun *run;
    pthread_mutex_t lock;
    pthread_cond_t ready_done;
    /* by lock */
    FlowEventRecord *kept; /* ring of `capacity`, a power of two; NULL until the first event */
    uint64_t first, next;  /* cursors: kept are [first, next) */
    uint32_t capacity;
    bool has_ended;                          /* nothing is added any more */
    uint64_t evicted[FLOW_EVENT_KIND_COUNT]; /* with cursors below `first` */
    uint64_t dropped[FLOW_EVENT_KIND_COUNT]; /* never got a cursor: a loop's ring was full */
    FlowList watches;
    FlowWatch *in_ready; /* whose ready() is being called */
} FlowRunEvents;

void flow_run_events__init(FlowRunEvents *events, FlowRun *run);
/* No watch is left. */
void flow_run_events__done(FlowRunEvents *events);

/* Control thread, all of these. */

/* Takes the record's detail. */
void flow_run_events__add(FlowRunEvents *events, uint32_t loop, const FlowEventRecord *record_take);
void flow_run_events__dropped(FlowRunEvents *events, FlowEventKind kind, uint64_t count);
/* Up to `max` records of a loop's ring; how many there were. `ret_dropped` (may be NULL): the loop had to drop some. */
uint32_t flow_run_events__drain(FlowRunEvents *events, uint32_t loop, FlowEventRing *ring, uint32_t max,
                                bool *ret_dropped);
/* Tells watches that have something to read. */
void flow_run_events__tell(FlowRunEvents *events);
/* The run has ended: watches end when they have read everything. */
void flow_run_events__end(FlowRunEvents *events);
/* What all watches together want: FLOW_EVENT_BIT()s. */
unsigned flow_run_events__wanted(FlowRunEvents *events, bool *ret_payloads);
/* The newest cursor. */
uint64_t flow_run_events__cursor(FlowRunEvents *events);

/* A watch, which holds a reference on the run. `snapshot` (made now) is what it begins with, unless it can resume. */
FlowWatch *flow_watch__new(FlowRunEvents *events, const FlowWatchOptions *options, FlowRunView *snapshot);
/* Some watch has lost events and waits for a new snapshot. */
bool flow_run_events__wants_snapshot(FlowRunEvents *events);
void flow_run_events__give_snapshot(FlowRunEvents *events, FlowRunView *snapshot);

/* ---- watch.c ---- */

/* By lock: it is told that there is something to read; false: it wants nothing of it, or was told already. */
bool flow_watch__must_tell(FlowWatch *watch);

#endif
