/*
 * event_record.h - an event on its way from a loop's thread to the control thread, before anybody has given it names.
 * Internal to the engine.
 */
#ifndef FLOW_ENGINE_EVENT_RECORD_H
#define FLOW_ENGINE_EVENT_RECORD_H

#include "base/id.h"
#include "engine/events.h"

enum { FLOW_EVENT_PAYLOAD_MAX = 1 << 20 }; /* bytes that a ring may hold on to for one event */

/* What only some events have. Shared by reference count. */
typedef struct FlowEventDetail {
    _Atomic uint32_t refs;
    FlowValue payload_id; /* a text that isn't in `id_bits`, or null */
    FlowValue data;       /* NODE_* with payloads */
    FlowValue fields;     /* LOG */
    FlowValue message;    /* text or null; QUEUE_BOUND: the queue's name */
    FlowStatus code;
    bool data_cut;
    char reason[48];
    char dead_letter_id[37];
    char fingerprint[17];
} FlowEventDetail;

FlowEventDetail *flow_event_detail_new(void);
FlowEventDetail *flow_event_detail_ref(FlowEventDetail *detail);
void flow_event_detail_unref(FlowEventDetail *detail); /* NULL is fine */

/* Bits of a UUID, the first digits first, as text. */
void flow_uuid_text(const uint64_t bits[2], char to[FLOW_UUID_TEXT]);

/* One cache line: it travels from the core of the loop to that of control. */
typedef struct FlowEventRecord {
    int64_t wall_ns;
    uint64_t iteration;
    int64_t duration_ns;
    uint64_t id_bits[2];     /* the payload's UUID; 0, 0: none, or see detail */
    FlowEventDetail *detail; /* owned; may be NULL */
    uint32_t node;           /* in the loop's plan; UINT32_MAX: none */
    uint32_t loop;           /* among the run's, filled in by control; UINT32_MAX: of the run itself */
    uint16_t branch;         /* NODE_COMPLETED: UINT16_MAX: none */
    uint8_t kind;            /* FlowEventKind */
    uint8_t old_state, new_state;
    uint8_t outcome; /* FlowUnitOutcome; LOG: the level; QUEUE_BOUND: reached */
} FlowEventRecord;
_Static_assert(sizeof(FlowEventRecord) == 64, "an event takes one cache line");

/*
 * A ring with one writer (the loop's thread) and one reader (control). Where it is full the writer counts what it had to
 * drop and goes on.
 */
typedef struct FlowEventRing {
    _Alignas(64) _Atomic uint64_t written; /* records ever */
    uint64_t read_seen;                    /* the writer's copy of `read` */
    _Alignas(64) _Atomic uint64_t read;
    _Alignas(64) _Atomic uint64_t dropped[FLOW_EVENT_KIND_COUNT];
    /* The reader looks by itself and needn't be woken; false: the writer that sets it wakes the reader. */
    _Atomic bool is_awake;
    uint32_t mask;
    _Alignas(64) FlowEventRecord records[];
} FlowEventRing;

/* `size` a power of two. NULL when there is no memory. */
FlowEventRing *flow_event_ring_new(uint32_t size);
/* Frees what is still in it. NULL is fine. */
void flow_event_ring_free(FlowEventRing *ring);

/* A place to fill in, made visible by flow_event_ring_commit(); NULL when there is none (counted as dropped). */
static inline FlowEventRecord *flow_event_ring_next(FlowEventRing *ring, FlowEventKind kind)
{
    uint64_t at = atomic_load_explicit(&ring->written, memory_order_relaxed);
    if (__builtin_expect(at - ring->read_seen > ring->mask, 0)) {
        ring->read_seen = atomic_load_explicit(&ring->read, memory_order_acquire);
        if (at - ring->read_seen > ring->mask) {
            atomic_fetch_add_explicit(&ring->dropped[kind], 1, memory_order_relaxed);
            return NULL;
        }
    }
    return &ring->records[at & ring->mask];
}

static inline void flow_event_ring_commit(FlowEventRing *ring)
{
    atomic_store_explicit(&ring->written, atomic_load_explicit(&ring->written, memory_order_relaxed) + 1,
                          memory_order_release);
}

/*
 * For the writer, after a batch of events: true when the reader sleeps and is to be woken, which is now the caller's
 * duty. The exchange orders it behind the commits: either we see that the reader sleeps, or it sees the records.
 */
static inline bool flow_event_ring_must_wake(FlowEventRing *ring)
{
    return !atomic_exchange_explicit(&ring->is_awake, true, memory_order_seq_cst);
}

#endif
