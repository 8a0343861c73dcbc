/*
 * events.h - what happens in a run, as a stream: a snapshot first, then events with a growing cursor.
 *
 * A watch is opened by flow_engine_watch() (engine.h). It is pulled: `ready` says that there is something,
 * flow_watch_read() fetches it. The engine never waits for a watch: each run keeps a bounded ring of events,
 * and where a reader falls behind it, it loses them, is told how many of which kind, and gets a new snapshot.
 * Node events are only made while somebody watches who wants them; changes of state, dead letters, log lines
 * and queue bounds are kept (the newest FLOW_EVENTS_KEPT of a run) for those who come later.
 */
#ifndef FLOW_ENGINE_EVENTS_H
#define FLOW_ENGINE_EVENTS_H

#include "base/log.h"
#include "engine/view.h"
#include "store/store.h"

enum {
    FLOW_EVENTS_KEPT = 512,   /* events of a run that are kept while nobody watches, and after its end */
    FLOW_EVENTS_RING = 16384, /* events between the engine and its slowest watcher that is still served */
    FLOW_EVENT_PAYLOAD_BYTES = 65536
};

/*      name                 wire name, also in `kinds` filters */
#define FLOW_EVENT_KIND_MAP(X)                                                                               \
    X(SNAPSHOT, "snapshot")                                                                                  \
    X(RUN_STATE, "run_state")                                                                                \
    X(LOOP_STATE, "loop_state")                                                                              \
    X(NODE_STARTED, "node_started")                                                                          \
    X(NODE_COMPLETED, "node_completed")                                                                      \
    X(NODE_FAILED, "node_failed")                                                                            \
    X(ITERATION_COMPLETED, "iteration_completed")                                                            \
    X(DEAD_LETTERED, "dead_lettered")                                                                        \
    X(LOG, "log")                                                                                            \
    X(QUEUE_BOUND, "queue_bound")                                                                            \
    X(EVENTS_DROPPED, "events_dropped")

typedef enum FlowEventKind {
#define X(name, text) FLOW_EVENT_##name,
    FLOW_EVENT_KIND_MAP(X)
#undef X
        FLOW_EVENT_KIND_COUNT
} FlowEventKind;

#define FLOW_EVENT_BIT(kind) (1u << (kind))
#define FLOW_EVENTS_ALL      ((1u << FLOW_EVENT_KIND_COUNT) - 1)

const char *flow_event_kind_name(FlowEventKind kind);

/*
 * One event, borrowed: everything in it is valid until the next flow_watch_read() on the same watch, or its
 * close. Members that a kind doesn't name are 0, NULL or null.
 */
typedef struct FlowEvent {
    uint64_t
        cursor; /* grows along the run; SNAPSHOT: what it contains; EVENTS_DROPPED: of the last one lost */
    int64_t time_ns; /* wall */
    FlowEventKind kind;

    /* LOOP_STATE, NODE_*, ITERATION_COMPLETED, DEAD_LETTERED, LOG: which loop */
    const char *producer_node_id;
    /* NODE_*, DEAD_LETTERED, LOG */
    const char *node_id, *node_type;
    /* NODE_* (but a producer's start), ITERATION_COMPLETED, DEAD_LETTERED, LOG */
    const char *payload_id;

    int old_state, new_state; /* RUN_STATE: FlowRunState; LOOP_STATE: FlowLoopState */
    const char *detail;       /* the same: why; may be "" */

    uint64_t iteration;  /* NODE_*, ITERATION_COMPLETED: of its loop, from 1 */
    int64_t duration_ns; /* NODE_COMPLETED, NODE_FAILED, ITERATION_COMPLETED */
    const char
        *branch; /* NODE_COMPLETED: the branch taken; NULL where the branch ended or nothing was produced */
    FlowUnitOutcome outcome; /* ITERATION_COMPLETED */
    /* NODE_COMPLETED and NODE_FAILED of a watch with include_payloads: the data that went out (FAILED: came
     * in), with secrets masked; null otherwise. `data_cut`: it was larger than payload_bytes and is left out.
     */
    FlowValue data;
    bool data_cut;

    FlowStatus code;                          /* NODE_FAILED, DEAD_LETTERED, RUN_STATE to FAILED */
    const char *reason;                       /* the same */
    const char *message;                      /* the same, and LOG */
    const char *dead_letter_id, *fingerprint; /* DEAD_LETTERED; NODE_FAILED when known */

    FlowLogLevel level; /* LOG */
    FlowValue fields;   /* LOG: an object or null */

    const char *queue;           /* QUEUE_BOUND */
    bool bound_reached;          /* QUEUE_BOUND: false: there is room again */
    const FlowRunView *snapshot; /* SNAPSHOT */
    /* EVENTS_DROPPED: how many of each kind. A SNAPSHOT follows. */
    const uint64_t *dropped; /* [FLOW_EVENT_KIND_COUNT] */
} FlowEvent;

typedef struct FlowWatch FlowWatch;

typedef enum FlowWatchStatus {
    FLOW_WATCH_MORE,  /* read again, there is more */
    FLOW_WATCH_EMPTY, /* nothing now; `ready` will say when */
    FLOW_WATCH_ENDED, /* the run has ended and everything was read; `ready` will not be called any more */
} FlowWatchStatus;

/*
 * Copies up to `max` events into `events`, oldest first, and returns how it stands afterwards. Any thread,
 * one at a time per watch. The first event of a watch is a SNAPSHOT, unless `after_cursor` could be resumed
 * from.
 */
FlowWatchStatus flow_watch_read(FlowWatch *watch, FlowEvent *events, size_t max, size_t *ret_count);

/* The run that is watched; valid until close. */
const char *flow_watch_run_id(const FlowWatch *watch);

/* Any thread, any time, once; also from within `ready`. When it returns, `ready` doesn't run and will not any
 * more. */
void flow_watch_close(FlowWatch *watch);

#endif
