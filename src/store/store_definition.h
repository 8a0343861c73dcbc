/*
 * store_definition.h - workflows with their revisions; include store/store.h.
 */
#ifndef FLOW_STORE_STORE_DEFINITION_H
#define FLOW_STORE_STORE_DEFINITION_H

#include "store/store_op.h"

/* ---- workflows ------------------------------------------------------------------------------------------ */

typedef struct FlowStoreLabel {
    const char *key, *value;
} FlowStoreLabel;

typedef struct FlowWorkflowRecord {
    const char *id, *name;
    int64_t revision;
    char etag[40];
    bool draft;
    int64_t create_ns; /* of the workflow */
    int64_t update_ns; /* of this revision */
    FlowBlob *body;    /* borrowed; NULL in lists without bodies */
} FlowWorkflowRecord;

/*
 * Creates a workflow (its revision is 1, or goes on behind what was kept of a deleted one of the same id) or
 * replaces the newest revision by the next one. An update to the same body, name, labels and draft mark changes
 * nothing: neither revision nor etag nor time.
 * Errors: ALREADY_EXISTS (create); NOT_FOUND (update); ABORTED (ETAG_STALE) when `etag` isn't the current one.
 */
typedef struct FlowStoreWorkflowPut {
    FlowStoreOp op;
    bool create;
    const char *id, *name;
    FlowBlob *body;
    bool draft;
    const FlowStoreLabel *labels;
    size_t label_count;
    const char *etag; /* update: NULL or "": whatever is there */
    /* results */
    FlowWorkflowRecord workflow;
    bool changed;
} FlowStoreWorkflowPut;
void flow_store_workflow_put(FlowStore *store, FlowStoreWorkflowPut *op);

/* NOT_FOUND; of a deleted workflow the revisions that runs use can still be had. */
typedef struct FlowStoreWorkflowGet {
    FlowStoreOp op;
    const char *id;
    int64_t revision;            /* 0: the newest */
    FlowWorkflowRecord workflow; /* result */
} FlowStoreWorkflowGet;
void flow_store_workflow_get(FlowStore *store, FlowStoreWorkflowGet *op);

typedef struct FlowStoreWorkflowList {
    FlowStoreOp op;
    const char *text;             /* in the id or the name, case ignored; NULL or "": any */
    const FlowStoreLabel *labels; /* all of these */
    size_t label_count;
    enum { FLOW_WORKFLOWS_ALL, FLOW_WORKFLOWS_DRAFTS, FLOW_WORKFLOWS_NO_DRAFTS } drafts;
    bool with_bodies;
    size_t max;
    const char *token;
    /* results, sorted by id; inline ones are left out */
    FlowWorkflowRecord *workflows;
    size_t count;
    char next_token[FLOW_STORE_TOKEN];
} FlowStoreWorkflowList;
void flow_store_workflow_list(FlowStore *store, FlowStoreWorkflowList *op);

/* Newest first, without bodies. NOT_FOUND. */
typedef struct FlowStoreRevisionList {
    FlowStoreOp op;
    const char *id;
    size_t max;
    const char *token;
    /* results */
    FlowWorkflowRecord *revisions;
    size_t count;
    char next_token[FLOW_STORE_TOKEN];
} FlowStoreRevisionList;
void flow_store_revision_list(FlowStore *store, FlowStoreRevisionList *op);

/* Revisions that runs use are kept. NOT_FOUND; ABORTED (ETAG_STALE); FAILED_PRECONDITION (RUN_ACTIVE; where: the
 * run) unless `force`. */
typedef struct FlowStoreWorkflowDelete {
    FlowStoreOp op;
    const char *id;
    const char *etag;
    bool force;
} FlowStoreWorkflowDelete;
void flow_store_workflow_delete(FlowStore *store, FlowStoreWorkflowDelete *op);

#endif
