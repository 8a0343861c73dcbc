/*
 * details.h - what a failed call tells its client: google.rpc.Status with its details, bounded.
 *
 * Every error carries an ErrorInfo: `reason` (one of ApiError.Reason in the contract; one that fits the status when the error has none),
 * domain "flowengine", and metadata. Made from a FlowError, the rest follows from the status:
 * INVALID_ARGUMENT with a `where` gets a BadRequest violation of that field, FAILED_PRECONDITION a
 * PreconditionFailure. More is added one by one:
 *
 *   FlowRpcDetails details;
 *   flow_rpc_details_init(&details, &error);
 *   for (each problem)
 *       flow_rpc_details_field(&details, problem->where, problem->message);
 *   flow_rpc_fail_with(call, &details);
 *   flow_rpc_details_done(&details);
 *
 * Clients refuse more than 8 KiB of trailers: of the violations as many are sent as fit into 4 KiB, the
 * ErrorInfo always, and its metadata says `total` (how many there were) and `truncated` when some are
 * missing. One owner, no locks.
 */
#ifndef FLOW_RPC_DETAILS_H
#define FLOW_RPC_DETAILS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "rpc/rpc.h"

enum {
    FLOW_RPC_DETAILS_MAX = 4096, /* bytes of the encoded Status */
    FLOW_RPC_MESSAGE_MAX = 1024  /* bytes of its message */
};

struct FlowRpcDetails {
    FlowStatus status;
    char message[FLOW_RPC_MESSAGE_MAX];
    char reason[64];
    FlowBuf metadata;      /* private: encoded ErrorInfo.metadata entries */
    FlowBuf fields;        /* private: encoded BadRequest violations */
    FlowBuf preconditions; /* private: encoded PreconditionFailure violations */
    FlowBuf resource;      /* private: encoded ResourceInfo */
    size_t total, kept;    /* violations of both kinds */
    int64_t retry_ms;      /* -1: none */
};

/* With the details that follow from `error`; an error with status OK becomes INTERNAL. */
void flow_rpc_details_init(FlowRpcDetails *details, const FlowError *error);
void flow_rpc_details_done(FlowRpcDetails *details);

/* Adds to ErrorInfo.metadata: key [a-z][a-zA-Z0-9-_]+ of at most 64 characters. */
void flow_rpc_details_metadata(FlowRpcDetails *details, const char *key, const char *value);
/* BadRequest: `field` is a path in the request such as "workflow.nodes[2].data.form.url". */
void flow_rpc_details_field(FlowRpcDetails *details, const char *field, const char *description);
/* PreconditionFailure: type UPPER_SNAKE_CASE such as RUN_ACTIVE, subject such as "runs/7". */
void flow_rpc_details_precondition(FlowRpcDetails *details, const char *type, const char *subject,
                                   const char *description);
/* ResourceInfo: type such as "Workflow", its name or id. The last call counts. */
void flow_rpc_details_resource(FlowRpcDetails *details, const char *type, const char *name,
                               const char *description);
/* RetryInfo. */
void flow_rpc_details_retry(FlowRpcDetails *details, int64_t ms);

/* Appends the encoded google.rpc.Status, at most FLOW_RPC_DETAILS_MAX bytes. */
void flow_rpc_details_encode(const FlowRpcDetails *details, FlowBuf *to);

#endif
