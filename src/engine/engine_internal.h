/*
 * engine_internal.h - what the parts of the engine know of each other: FlowEngine and FlowRun as runners see them.
 */
#ifndef FLOW_ENGINE_ENGINE_INTERNAL_H
#define FLOW_ENGINE_ENGINE_INTERNAL_H

#include "engine/engine.h"
#include "engine/runner.h"
#include "template/template.h"

/* What a run is called; never changes. */
typedef struct FlowRunNames {
    const char *run_id, *workflow_id, *workflow_name;
} FlowRunNames;

/* ---- for runners; any thread ---- */

FlowStore *flow_engine__store(const FlowEngine *engine);
/* The storage fails: nothing new is begun until it is back. */
bool flow_engine__store_is_away(const FlowEngine *engine);
void *flow_engine__service(const FlowEngine *engine, const char *name);

const FlowRunNames *flow_run__names(const FlowRun *run);
/* The values behind `workflow`, `run` and `env` of templates; borrowed from the run. */
typedef struct FlowRunContext {
    FlowValue workflow, run, env;
} FlowRunContext;
const FlowRunContext *flow_run__context(const FlowRun *run);
/* Something about one of its runners has changed: control will look. */
void flow_run__poke(FlowRun *run);
/* Events of this runner's ring wait to be read. Once per flow_event_ring_must_wake(). */
void flow_run__wake_events(FlowRun *run, uint32_t loop);
/* An event of a loop that has no ring. Takes the detail. */
void flow_run__post_event(FlowRun *run, uint32_t loop, const FlowEventRecord *record_take);

/* ---- for watches; any thread ---- */

FlowRun *flow_run__ref(FlowRun *run);
void flow_run__unref(FlowRun *run);
/* The plan of a loop, by the number that events have; by the lock of the run's events. */
const FlowPlan *flow_run__plan(const FlowRun *run, uint32_t loop);
int64_t flow_run__wall_ns(const FlowRun *run);
/* This is the control thread. */
bool flow_run__is_control(const FlowRun *run);
/* A watch came or went: the loops are told, soon. */
void flow_run__watches_changed(FlowRun *run);
void flow_run__count_watches(FlowRun *run, int change);

#endif
