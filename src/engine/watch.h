/* watch.h - the inside of a FlowWatch; for run_events.c and watch.c. */
#ifndef FLOW_ENGINE_WATCH_H
#define FLOW_ENGINE_WATCH_H

#include "base/map.h"
#include "engine/run_events.h"

struct FlowWatch {
    FlowRunEvents *events;
    FlowList link; /* in events->watches */
    void (*ready)(void *context);
    void *context;
    unsigned kinds;
    FlowMap node_ids; /* empty: all */
    bool include_payloads;
    size_t payload_bytes;

    /* by events->lock */
    uint64_t cursor;                         /* the next one to be read */
    uint64_t passed[FLOW_EVENT_KIND_COUNT];  /* events with cursors below `cursor` that were seen or lost */
    uint64_t dropped[FLOW_EVENT_KIND_COUNT]; /* as much of events->dropped as it was told */
    uint64_t lost[FLOW_EVENT_KIND_COUNT];    /* not told yet */
    bool has_lost, wants_snapshot, is_told;
    FlowRunView *snapshot; /* to be read next */

    /* the reader's: what the last read lent out */
    FlowEventDetail **held;
    size_t held_count, held_capacity;
    char (*ids)[FLOW_UUID_TEXT];
    size_t id_capacity;
    FlowRunView *held_snapshot;
    uint64_t told_lost[FLOW_EVENT_KIND_COUNT];
};

#endif
