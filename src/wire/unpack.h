/*
 * unpack.h - packed messages to the structs of the generated code, and back.
 */
#ifndef FLOW_WIRE_UNPACK_H
#define FLOW_WIRE_UNPACK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "wire/descriptors.h"
#include "wire/prescan.h"

/*
 * Scans, then unpacks into `arena`; the message lives as long as the arena does: never call
 * protobuf_c_message_free_unpacked() on it. Merges messages that came in several parts, as protobuf wants.
 * `type` must be joined with generated code. Errors are those of flow_wire_scan(), and RESOURCE_EXHAUSTED
 * when the arena's limit is reached.
 * What the caller must still expect: an entry of a map with message values may have a NULL value (it means
 * an empty message), and keys may come twice (the last one counts).
 */
FlowStatus flow_wire_unpack(const FlowWireMessage *type, const void *bytes, size_t len,
                            const FlowWireScanLimits *limits, FlowArena *arena,
                            const ProtobufCMessage **ret_message, FlowError *reterr);

/* The second half alone, for bytes that have passed flow_wire_scan() with this result. */
FlowStatus flow_wire_unpack_scanned(const FlowWireMessage *type, const void *bytes, size_t len,
                                    const FlowWireScan *scan, FlowArena *arena,
                                    const ProtobufCMessage **ret_message, FlowError *reterr);

/* Appends the packed message; look at to->failed. */
void flow_wire_pack(const ProtobufCMessage *message, FlowBuf *to);

/* Appends the message with every singular sub-message in one piece. `bytes` must have passed the scan. */
void flow_wire_merge(const FlowWireMessage *type, const void *bytes, size_t len, FlowBuf *to);

#endif
