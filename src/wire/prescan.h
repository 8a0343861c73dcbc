/*
 * prescan.h - looks through a packed message before anything is built from it, for everything that the
 * protobuf-c code takes on trust: nesting, lengths, UTF-8, NUL in texts, wire types, counts. Runs over the
 * bytes once, allocates nothing, needs a small bounded stack. Any thread.
 *
 * Every packed message from outside passes here, whatever door or store it comes from.
 */
#ifndef FLOW_WIRE_PRESCAN_H
#define FLOW_WIRE_PRESCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "wire/descriptors.h"

/* Other protobuf libraries stop at 100 messages within each other; what we accept they must be able to read. */
enum { FLOW_WIRE_DEPTH_MAX = 100 };

typedef struct FlowWireScanLimits {
    unsigned depth; /* messages within each other, the outermost counts; at most FLOW_WIRE_DEPTH_MAX */
    size_t nodes;   /* fields and elements in all */
    size_t memory;  /* bytes that the message may take unpacked */
} FlowWireScanLimits;

#define FLOW_WIRE_SCAN_LIMITS_DEFAULT                                                                        \
    ((FlowWireScanLimits){.depth = FLOW_WIRE_DEPTH_MAX, .nodes = 1000000, .memory = (size_t)64 << 20})

typedef struct FlowWireScan {
    size_t nodes;
    unsigned depth;
    size_t memory; /* never less than what flow_wire_unpack() takes */
    bool split;    /* a message stands in several parts, which protobuf-c would merge wrongly */
} FlowWireScan;

/*
 * INVALID_ARGUMENT (reason MALFORMED_MESSAGE), with the path of the field in `where` (such as
 * "workflow.nodes[2].name"), for: a torn message, a field with the wrong wire type, text that is not UTF-8, a NUL
 * in a text that becomes a C string, messages nested too deep.
 * RESOURCE_EXHAUSTED (MESSAGE_TOO_LARGE) for more nodes or memory than the limits allow.
 * Unknown fields are let through; they count as nodes.
 */
FlowStatus flow_wire_scan(const FlowWireMessage *type, const void *bytes, size_t len,
                          const FlowWireScanLimits *limits, FlowWireScan *ret_scan, FlowError *reterr);

#endif
