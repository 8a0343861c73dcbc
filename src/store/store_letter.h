/*
 * store_letter.h - dead letters; include store/store.h.
 */
#ifndef FLOW_STORE_STORE_LETTER_H
#define FLOW_STORE_STORE_LETTER_H

#include "store/store_op.h"

/* ---- dead letters --------------------------------------------------------------------------------------- */

typedef enum FlowDeadLetterState {
    FLOW_DEAD_LETTER_OPEN = 1,
    FLOW_DEAD_LETTER_REDRIVEN = 2,
    FLOW_DEAD_LETTER_CONSUMED = 3
} FlowDeadLetterState;

struct FlowDeadLetter {
    const char *id; /* "": the store makes one */
    const char *workflow_id, *workflow_name, *run_id, *producer_node_id, *node_id, *node_type;
    int64_t workflow_revision;
    const char *queue;    /* where the input came from; "" when the producer made it */
    uint64_t delivery_id; /* of the input; 0 when there was none */
    const char *reason;   /* "NODE_FAILED", … */
    const char *code;
    const char *message;
    const char *fingerprint; /* "": made from reason, node and message: flow_dead_letter_fingerprint() */
    const char *payload_id;
    FlowBlob *payload; /* as it entered the node; encoded like a delivery's body */
    FlowBlob *input;   /* what the unit began with; NULL: the same as `payload` */
    FlowBlob *form;
    FlowBlob *details; /* whatever else the engine wants to show: opaque */
    int64_t time_ns;   /* 0: the store's clock */
    uint32_t redrives;
    const char *edited_from;
    /* the store's */
    FlowDeadLetterState state;
    int64_t redriven_ns;
    const char *redrive_id;
};

/* Reason, workflow, node, and the message with numbers, ids, addresses and quoted texts taken out. Any thread. */
void flow_dead_letter_fingerprint(const char *reason, const char *workflow_id, const char *node_id,
                                  const char *message, char ret_fingerprint[FLOW_FINGERPRINT_TEXT]);

/* NULL, "", 0: any. */
typedef struct FlowDeadLetterFilter {
    const char *workflow_id, *run_id, *node_id, *producer_node_id, *queue, *reason, *fingerprint;
    int64_t after_ns;  /* not older than this */
    int64_t before_ns; /* older than this */
    unsigned states;   /* bits 1 << FlowDeadLetterState; 0: open ones */
} FlowDeadLetterFilter;

typedef struct FlowStoreDeadLetterList {
    FlowStoreOp op;
    FlowDeadLetterFilter filter;
    bool with_bodies; /* payload, input, form, details; else they are NULL */
    size_t max_bytes; /* of bodies, at least one letter comes; 0: 16 MiB */
    size_t max;
    const char *token;
    /* results, newest first */
    FlowDeadLetter *letters;
    size_t count;
    char next_token[FLOW_STORE_TOKEN];
} FlowStoreDeadLetterList;
void flow_store_dead_letter_list(FlowStore *store, FlowStoreDeadLetterList *op);

/* With bodies. NOT_FOUND. */
typedef struct FlowStoreDeadLetterGet {
    FlowStoreOp op;
    const char *id;
    FlowDeadLetter letter; /* result */
} FlowStoreDeadLetterGet;
void flow_store_dead_letter_get(FlowStore *store, FlowStoreDeadLetterGet *op);

/* Those with these ids (unknown ones are passed over), or with count 0 all that the filter finds, oldest first,
 * at most `max` in one step: call again while `more`. */
typedef struct FlowStoreDeadLetterDelete {
    FlowStoreOp op;
    const char *const *ids;
    size_t count;
    FlowDeadLetterFilter filter;
    size_t max; /* 0: 10,000 */
    /* results */
    uint64_t deleted;
    bool more;
} FlowStoreDeadLetterDelete;
void flow_store_dead_letter_delete(FlowStore *store, FlowStoreDeadLetterDelete *op);

/* How many the filter finds. */
typedef struct FlowStoreDeadLetterCount {
    FlowStoreOp op;
    FlowDeadLetterFilter filter;
    uint64_t count; /* result */
} FlowStoreDeadLetterCount;
void flow_store_dead_letter_count(FlowStore *store, FlowStoreDeadLetterCount *op);

#endif
