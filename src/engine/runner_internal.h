/*
 * runner_internal.h - how a FlowRunner is built inside; for runner*.c, unit*.c, settle*.c and inlet.c only.
 *
 * One thread (the loop's) owns everything here. Others read what is _Atomic, and set FlowRunner.wish.
 *
 *   FlowRunner   one producer and what it drives, for the length of a run
 *     FlowUnit     one unit of work: from its producer until it is settled; in `units`, oldest first
 *       FlowStrand   one walk through the plan: the foreground, and one for each way behind a non-blocking node
 *         FlowPending   what the walk still has to do, as a stack
 *         FlowEachFrame one for each for-each whose body the walk is in, innermost last
 */
#ifndef FLOW_ENGINE_RUNNER_INTERNAL_H
#define FLOW_ENGINE_RUNNER_INTERNAL_H

#include <pthread.h>

#include "base/id.h"
#include "base/list.h"
#include "engine/analyzer.h"
#include "engine/counters.h"
#include "engine/event_record.h"
#include "engine/engine_internal.h"
#include "engine/runner.h"
#include "engine/ticks.h"
#include "forms/form.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "template/template.h"

enum {
    FLOW_UNSETTLED_MAX = FLOW_STORE_SETTLES_MAX, /* settles of a loop on their way */
    FLOW_WAITING_MAX = 4096,                     /* units that have ended behind one that goes on */
    FLOW_UNIT_PUSHES_MAX = 10000,                /* of one unit */
    FLOW_PAYLOAD_BYTES_MAX = 64 << 20,           /* of one payload's data, as flow_value_size() counts */
    FLOW_TURN_STEPS = 256, /* node executions before other loops of the shard get their turn */
    FLOW_STRANDS_KEPT = 4, /* recycled, per runner */
    FLOW_UNITS_KEPT = 4,
};

/* What templates see, in this order. */
enum { FLOW_VAR_DATA, FLOW_VAR_METADATA, FLOW_VAR_WORKFLOW, FLOW_VAR_RUN, FLOW_VAR_ENV, FLOW_VAR_COUNT };

typedef struct FlowUnit FlowUnit;
typedef struct FlowStrand FlowStrand;
typedef struct FlowRunnerNode FlowRunnerNode;

struct FlowRunnerNode {
    FlowNode node;
    FlowRunner *runner;
    const FlowPlanNode *plan;
    FlowNodeCounters *counters;
    FlowFormValues form_values; /* of a constant form: run once, at setup */
    bool has_constant_form;
    bool is_set_up;  /* setup() was called, so cleanup() must be */
    uint32_t output; /* in FlowUnit.outputs, for a node that may be a fork; otherwise FLOW_GRAPH_NONE */
    uint32_t body_branch, default_branch; /* of a for-each */
    FlowStrand *busy;                     /* FLOW_NODE_ONE_AT_A_TIME: whose call is open */
    FlowList waiting;                     /* the same: strands that wait for it */
    FlowValue
        settled_state;   /* the durable state as of the last unit that was settled, or handed to the store */
    bool is_state_dirty; /* it changed since */
    FlowStoreQueue **queues; /* [node.queue_count] */
};

/* What a walk still has to do: follow an edge, or execute a join whose last edge was decided. */
typedef struct FlowPending {
    uint32_t edge; /* in the plan; FLOW_GRAPH_NONE for a join */
    uint32_t join; /* node in the plan */
    FlowValue data, metadata;
} FlowPending;

/* Where a way ended in the body of a for-each. */
typedef struct FlowEachEnd {
    uint32_t source; /* the last node executed */
    FlowValue data, metadata;
} FlowEachEnd;

typedef struct FlowEachFrame {
    uint32_t node;               /* the for-each */
    uint32_t base;               /* pending_count below which the walk isn't in the body any more */
    FlowValue data, metadata;    /* the for-each's input */
    FlowValue elements, results; /* arrays */
    size_t index, count;
    FlowEachEnd *ends; /* of the element in hand */
    uint32_t end_count, end_capacity;
} FlowEachFrame;

/* A producer's call that ended without a payload because we asked it to; besides FlowNodeOutcome. */
#define FLOW_RUNNER_WITHDRAWN ((FlowNodeOutcome)100)

typedef enum FlowStrandState {
    FLOW_STRAND_READY,    /* in runner->ready, or being run */
    FLOW_STRAND_STARTING, /* inside start() */
    FLOW_STRAND_OPEN,     /* its call is PENDING */
    FLOW_STRAND_FINISHED, /* its call has finished; in runner->ready */
    FLOW_STRAND_QUEUED,   /* waits for a node that executes one at a time */
} FlowStrandState;

struct FlowStrand {
    FlowNodeCall call;
    FlowRunner *runner;
    FlowUnit *unit;
    FlowList link;      /* in runner->ready or FlowRunnerNode.waiting; or in the runner's free list */
    FlowList unit_link; /* in unit->strands */
    FlowStrandState state;
    FlowNodeOutcome outcome; /* FINISHED: what it gave */
    uint32_t at;             /* the node in hand; FLOW_GRAPH_NONE: take what is pending */
    bool in_background, timed_out, owns_form_values;
    FlowValue data, metadata; /* input of the node in hand */
    int64_t began_ns;         /* monotonic */
    FlowFormValues form_values;
    FlowValue rendered; /* of a form that failed: what its templates gave, masked */
    FlowTemplateVar vars[FLOW_VAR_COUNT];
    FlowTemplateContext context;
    FlowTimer timeout;
    FlowPending *pending;
    uint32_t pending_count, pending_capacity;
    FlowEachFrame *frames;
    uint32_t frame_count, frame_capacity;
    void *memory; /* FlowNodeCall.memory */
};

typedef struct FlowUnitPush {
    FlowStoreQueue *queue; /* the node's */
    FlowBlob *body;
} FlowUnitPush;

/* A node's durable state from this unit on. */
typedef struct FlowUnitState {
    uint32_t node;
    FlowValue state;
} FlowUnitState;

/* Why a unit became a dead letter. */
typedef struct FlowUnitFailure {
    uint32_t node; /* in the plan */
    int64_t time_ns;
    FlowError error; /* reason: DeadLetter.reason */
    FlowValue form, data, metadata;
    bool can_redrive_to_node;
    char id[FLOW_UUID_TEXT];
    char fingerprint[17];
} FlowUnitFailure;

/* An edge into a join that was reached. */
typedef struct FlowSlotValue {
    FlowValue data, metadata;
    bool is_live;
} FlowSlotValue;

typedef struct FlowJoinState {
    uint32_t decided, live;
} FlowJoinState;

/* Dominators among what was executed in this unit: the nearest node on all live ways to this one. */
typedef struct FlowWay {
    uint32_t nearest, depth;
} FlowWay;

typedef struct FlowOutput {
    FlowValue data, metadata;
} FlowOutput;

struct FlowUnit {
    FlowRunner *runner;
    FlowList link;    /* in runner->units; or in the free list */
    FlowList strands; /* FlowStrand.unit_link */
    uint64_t iteration;
    int64_t began_ns;    /* monotonic */
    uint64_t id_bits[2]; /* the payload's id, when it is a UUID of ours; 0, 0: not made yet */
    FlowValue id;   /* the same as text, null until somebody asks; what the delivery said, if there is one */
    bool is_listed; /* in runner->units: its producer has given a payload */
    bool in_foreground, in_background, has_ended;
    bool has_forked;        /* more than one way was alive at some time */
    bool ended_kept;        /* a branch ended by itself, or at `end` */
    bool ended_wanted;      /* a branch was ended by `filter` or its kin */
    FlowDelivery *delivery; /* what it began with; NULL: its producer made it */
    FlowUnitFailure *failure;
    FlowUnitPush *pushes;
    uint32_t push_count, push_capacity;
    FlowUnitState *states;
    uint32_t state_count, state_capacity;
    /* Only where the plan has joins or bodies. */
    FlowSlotValue *slots; /* [plan->slot_count] */
    FlowJoinState *joins; /* [plan->join_count] */
    FlowWay *ways;        /* [plan->node_count] */
    FlowOutput *outputs;  /* [runner->output_count] */
    uint32_t *dying;      /* [plan->join_count]: scratch */
    uint32_t live_slots;  /* with a value in them */
    bool has_outputs;     /* some output was kept */
};

/* Deliveries that were taken from a queue and wait for their turn; inlet.c. */
typedef struct FlowInlet {
    FlowRunner *runner;
    FlowStoreQueue *queue;
    FlowStoreTake take;
    FlowDelivery **window; /* [capacity], a ring */
    FlowDelivery **taken;  /* where the store puts them */
    uint32_t first, count;
    uint32_t size;     /* how many to take next: grows while the loop is quick */
    int64_t filled_ns; /* when the last ones came */
    bool is_taking, is_untaking, is_held;
    bool has_looked; /* what was queued before the loop began is here */
} FlowInlet;

typedef enum FlowRunnerPhase {
    FLOW_RUNNER_NEW,
    FLOW_RUNNER_OPENING, /* the loop is being taken over in the store */
    FLOW_RUNNER_WORKING,
    FLOW_RUNNER_SAVING,  /* nodes are cleaned up, the last state is on its way */
    FLOW_RUNNER_CLOSING, /* the loop is being given back */
    FLOW_RUNNER_ENDED,
} FlowRunnerPhase;

/* The last failure of a node. */
typedef struct FlowFailureNote {
    int64_t time_ns;
    FlowStatus code;
    char reason[48], message[512];
    char dead_letter_id[FLOW_UUID_TEXT], fingerprint[FLOW_FINGERPRINT_TEXT];
} FlowFailureNote;

struct FlowRunner {
    /* ---- what it is; set before it starts ---- */
    FlowEngine *engine;
    FlowRun *run;   /* borrowed: outlives its runners */
    uint32_t index; /* among the run's loops */
    FlowLoop *loop;
    FlowAnalyzer *analyzer;
    const FlowPlan *plan;
    int64_t revision;
    const FlowNodeConfig *config; /* the producer's */
    FlowRunnerNode *nodes;        /* [plan->node_count] */
    uint32_t *join_first;         /* by join: in join_slots */
    uint32_t *join_slots;         /* slots by join and rank */
    uint32_t output_count;
    size_t call_size; /* the largest of its types */
    FlowTemplateVar
        vars[FLOW_VAR_COUNT]; /* what a strand's context begins with; values borrowed from the run */
    bool has_ways;            /* joins or bodies: units need the arrays for them */
    bool reads_queue;         /* the producer's payloads are deliveries */
    bool reader_may_end;

    /* ---- shared with other threads ---- */
    FlowLoopCounters counters;
    FlowNodeCounters *node_counters; /* [plan->node_count] */
    _Atomic(FlowLoopState) state;
    _Atomic(const char *) state_detail; /* static text, or a queue's name */
    _Atomic bool has_started, has_ended, was_drained, paused_by_policy;
    FlowRunnerWish wish;
    _Atomic bool is_poked; /* poke_task is in the loop's inbox */
    FlowTask poke_task;
    _Atomic(FlowEventRing *) ring; /* only the loop thread changes it */
    pthread_mutex_t failures_lock;
    FlowFailureNote **failures; /* by failures_lock: [plan->node_count], each NULL until it failed */
    uint32_t last_failed;       /* by failures_lock: node, or FLOW_GRAPH_NONE */

    /* ---- the loop thread's ---- */
    FlowRunnerPhase phase;
    FlowTask turn_task;
    bool is_turn_posted;
    int64_t now_ns;         /* monotonic, of the last look at the clock */
    int64_t turn_ns;        /* the same, when this turn began … */
    uint64_t turn_ticks;    /* … and what the processor's counter said then */
    uint64_t tick_scale;    /* 0: no ticks */
    int64_t wall_offset_ns; /* wall - monotonic, as of this turn */
    unsigned listen;        /* FLOW_EVENT_BIT()s that somebody wants */
    bool listen_payloads, has_events;
    bool ring_is_full;                       /* was found so in this turn */
    uint32_t dropped[FLOW_EVENT_KIND_COUNT]; /* since then */
    FlowLoopState said_state;                /* in the last LOOP_STATE event */
    uint64_t random[4];                      /* of payload ids */

    FlowList ready;         /* FlowStrand.link: those to be run */
    FlowList units;         /* listed ones, oldest first, until they are handed to the store */
    uint32_t waiting_count; /* of these: have ended, but an older one goes on */
    FlowUnit *foreground;   /* whose iteration is going on */
    FlowStrand *asked;      /* the producer's call, while it is waited for; its unit has no payload yet */
    uint32_t in_background; /* units of which only the background goes on */
    uint64_t iterations;
    FlowList free_units, free_strands;
    uint32_t free_unit_count, free_strand_count;

    FlowInlet inlet; /* the reader's queue; for other producers the loop's entry */
    bool producer_is_done, queue_is_drained;
    FlowStoreUntil *drained; /* on its way */
    uint64_t resumes_seen;
    bool was_held, was_paused, is_forced, drained_cancelled;

    FlowTimer back_off;
    int64_t back_off_ns; /* the next delay; 0: the producer's last call was fine */
    uint32_t failures_in_row;
    bool policy_stop;

    FlowStoreLoop *owner;
    FlowStoreLoopOpen *open;    /* on its way */
    FlowStoreQueue *blocked_by; /* the oldest settle waits for room there */
    FlowList free_settles;
    uint32_t free_settle_count, settling_count;
    uint64_t plain_done, plain_filtered; /* not handed to the store yet */
    bool has_states;                     /* some node has durable state */
    bool states_dirty, is_saving, must_save;
    FlowTimer settle_timer;
    FlowLoopState end_state;
    bool is_lost;      /* the store doesn't take anything from this loop any more */
    FlowError failure; /* why the loop ends as FAILED; status FLOW_OK: it doesn't */
};

/* ---- runner.c ---- */

/* Whether somebody wants such an event. Counts it as dropped when there is no room for it: a ring that was found full
 * stays so for the rest of the turn, so that a watcher who doesn't keep up costs next to nothing. */
static inline bool flow_runner__listens(FlowRunner *runner, FlowEventKind kind)
{
    if (__builtin_expect((runner->listen & FLOW_EVENT_BIT(kind)) == 0, 1))
        return false;
    runner->dropped[kind] += runner->ring_is_full;
    return !runner->ring_is_full;
}

/* Within a turn. */
static inline int64_t flow_runner__look_at_clock(FlowRunner *runner)
{
    if (__builtin_expect(runner->tick_scale == 0, 0))
        return runner->now_ns = flow_clock_mono_ns(flow_loop_clock(runner->loop));
    return runner->now_ns =
               runner->turn_ns + flow_ticks_ns(flow_ticks_now() - runner->turn_ticks, runner->tick_scale);
}

static inline void flow_runner__record_latency(FlowRunnerNode *node, int64_t ns)
{
    FlowHistogram *histogram = atomic_load_explicit(&node->counters->latency, memory_order_relaxed);
    if (__builtin_expect(histogram == NULL, 0)) {
        histogram = flow_new(FlowHistogram);
        atomic_store_explicit(&node->counters->latency, histogram, memory_order_release);
    }
    flow_histogram_record(histogram, ns);
}

void flow_runner__turn_soon(FlowRunner *runner);
void flow_runner__turn(FlowTask *task);
void flow_runner__back_off_over(FlowTimer *timer);
/* The store has refused something that it may only refuse at the end, or because the loop has another owner now. */
void flow_runner__store_failed(FlowRunner *runner, const FlowError *error);

/* ---- runner_units.c ---- */

/* The next unit, if there is one to begin; the caller knows that one may. */
FlowStrand *flow_runner__begin_unit(FlowRunner *runner);
/* The producer's call is open: until it has something to give, the foreground is free. */
void flow_runner__wait_for_producer(FlowStrand *strand);
/* The call that was waited for has ended: its unit is the foreground's now. NULL: there is none. */
FlowStrand *flow_runner__take_producer(FlowRunner *runner);
/* The producer's call has ended. False: there is no payload, and strand and unit are gone. */
bool flow_runner__produced(FlowStrand *strand, FlowNodeOutcome outcome);
/* The producer needn't wait for this unit any more. */
void flow_runner__foreground_left(FlowUnit *unit);
void flow_runner__unit_failed(FlowUnit *unit);
/* Nothing of it goes on. */
void flow_runner__unit_ended(FlowUnit *unit);
void flow_runner__note_failure(FlowRunner *runner, uint32_t node, const FlowError *error,
                               const char *dead_letter_id, const char *fingerprint);

/* ---- runner_host.c ---- */

extern const FlowNodeHost flow_runner__host;

/* ---- runner_events.c ---- */

void flow_runner__emit_node_started(FlowStrand *strand);
void flow_runner__emit_node_ended(FlowStrand *strand, FlowNodeOutcome outcome, int64_t took_ns);
/* The unit is settled. */
void flow_runner__emit_unit(FlowUnit *unit, FlowUnitOutcome outcome);
void flow_runner__emit_state(FlowRunner *runner, FlowLoopState now, const char *detail);
void flow_runner__emit_queue_bound(FlowRunner *runner, const char *queue, bool reached);
void flow_runner__emit_log(FlowStrand *strand, FlowLogLevel level, const char *message, FlowValue fields);
void flow_runner__emit_dead_letter(FlowUnit *unit);
/* Wakes who reads the events, if there were any. */
void flow_runner__events_done(FlowRunner *runner);

/* ---- inlet.c ---- */

void flow_inlet__init(FlowInlet *inlet, FlowRunner *runner, FlowStoreQueue *queue_take);
void flow_inlet__done(FlowInlet *inlet);
/* Takes from now on. */
void flow_inlet__open(FlowInlet *inlet);
/* NULL: nothing here now. The reference is yours. */
FlowDelivery *flow_inlet__next(FlowInlet *inlet);
/* What is in the window stays there; flow_inlet__next() still gives it. */
void flow_inlet__stop_taking(FlowInlet *inlet);
/* Nothing is on its way, and nothing in the window. */
static inline bool flow_inlet__is_empty(const FlowInlet *inlet)
{
    return inlet->count == 0 && !inlet->is_taking && !inlet->is_untaking;
}
/* Stops, and gives back what is in the window. True when that is done; the runner's turn comes again until then. */
bool flow_inlet__give_back(FlowInlet *inlet);

/* ---- settle.c ---- */

/* Settles the unit, or lets it wait for older ones; settles those that have waited for it. */
void flow_settle__ended(FlowUnit *unit);
/* Everything is settled. */
bool flow_settle__is_clean(const FlowRunner *runner);
/* Hands over what is only counted so far. */
void flow_settle__flush(FlowRunner *runner);
void flow_settle__flush_later(FlowRunner *runner);
void flow_settle__on_timer(FlowTimer *timer);
void flow_settle__done(FlowRunner *runner);

/* ---- loop_status.c ---- */

/* What is shown of the loop when nobody runs it any more, as JSON. */
FlowBlob *flow_loop_status__encode(FlowRunner *runner);
/* Takes from an earlier one what goes on: node counters, the last failures, a pause by policy. */
void flow_loop_status__restore(FlowRunner *runner, FlowBlob *status);

/* ---- unit.c ---- */

/* Until it has nothing to do, waits for something, or `steps` are used up (then it is in `ready` again). */
void flow_strand__run(FlowStrand *strand, int *steps);
void flow_strand__finished(FlowNodeCall *call, FlowNodeOutcome outcome);
void flow_strand__cancel(FlowStrand *strand);
void flow_strand__timed_out(FlowTimer *timer);
/* Lets the next one have a node that executes one at a time. */
void flow_strand__give_way(FlowRunnerNode *node);

static inline void flow_strand__release(FlowStrand *strand)
{
    FlowRunnerNode *node = &strand->runner->nodes[strand->at];
    if (node->busy == strand)
        flow_strand__give_way(node);
}

/* As flow_node_call_reset(), for a call whose answer was taken out or cleared: its values are null already. */
static inline void flow_strand__reset_call(FlowNodeCall *call)
{
    call->cancelled = call->has_data = call->has_metadata = call->has_state = call->has_result = false;
    call->branch = 0;
    call->waiting = NULL;
    call->error.status = FLOW_OK;
}

/* As flow_node_call_done(). */
static inline void flow_strand__clear_call(FlowNodeCall *call)
{
    if (call->has_data || call->has_metadata || call->has_state || call->has_result ||
        !flow_value_is_null(call->elements))
        flow_node_call_done(call);
}

void flow_strand__push(FlowStrand *strand, uint32_t edge, uint32_t join, FlowValue data_take,
                       FlowValue metadata_take);
void flow_strand__set(FlowStrand *strand, uint32_t node, FlowValue data_take, FlowValue metadata_take);
void flow_strand__branch(FlowStrand *strand, uint32_t at, uint32_t branch, FlowValue data_take,
                         FlowValue metadata_take);
/* The unit, which has a payload, becomes a dead letter; it ends when its open calls have. */
void flow_unit__cancel(FlowUnit *unit, const FlowError *error);

/* ---- unit_memory.c ---- */

/* Room for one more item. */
void *flow_grown(void *items, uint32_t count, uint32_t *capacity, size_t size);
FlowUnit *flow_unit__new(FlowRunner *runner);
void flow_unit__free(FlowUnit *unit);
void flow_unit__note_state(FlowUnit *unit, uint32_t node, FlowValue state_take);
/* Frees one that lies in the free list. */
void flow_unit__destroy(FlowUnit *unit);
/* The payload's id as text; borrowed. */
FlowValue flow_unit__id(FlowUnit *unit);
/* The same as bits; 0, 0 where it came with a delivery. */
const uint64_t *flow_unit__id_bits(FlowUnit *unit);
FlowStrand *flow_strand__new(FlowUnit *unit, uint32_t at, FlowValue data_take, FlowValue metadata_take);
/* It is in no list of the runner's but maybe `ready`, and has no open call. */
void flow_strand__free(FlowStrand *strand);
void flow_strand__destroy(FlowStrand *strand);

/* ---- unit_join.c ---- */

/* `nearest` is the last node that all live ways to `node` share. */
void flow_join__way(FlowUnit *unit, uint32_t node, uint32_t nearest);
uint32_t flow_join__common(const FlowUnit *unit, uint32_t a, uint32_t b);
/* Remembers what leaves a node that may be a fork. */
void flow_join__keep(FlowUnit *unit, uint32_t node, FlowValue data, FlowValue metadata);
/* An edge into a join was reached. True when it was the last one. */
bool flow_join__reach(FlowUnit *unit, const FlowPlanEdge *edge, FlowValue data_take, FlowValue metadata_take);
/* Slots that can't be reached any more; joins that become ready go on the strand's stack. */
void flow_join__kill(FlowStrand *strand, uint32_t first, uint32_t end);
/* A complete join comes into the strand's hand. */
FlowStatus flow_join__enter(FlowStrand *strand, uint32_t node, FlowError *reterr);
FlowStatus flow_join__merge(FlowUnit *unit, uint32_t fork, const FlowValue *data, const FlowValue *metadata,
                            size_t count, FlowValue *ret_data, FlowValue *ret_metadata, FlowError *reterr);
/* Undecided again. */
void flow_join__reset(FlowUnit *unit, uint32_t slot_first, uint32_t slot_end, uint32_t join_first,
                      uint32_t join_end);

/* ---- unit_each.c ---- */

void flow_each__begin(FlowStrand *strand);
/* A way ends in the body that the strand is in. */
void flow_each__end(FlowStrand *strand, uint32_t source, FlowValue data_take, FlowValue metadata_take);
/* The body has nothing more to do for the element in hand: the next one, or on behind the for-each. */
FlowStatus flow_each__next(FlowStrand *strand, FlowError *reterr);
/* The innermost frame goes. */
void flow_each__drop(FlowStrand *strand);

#endif
