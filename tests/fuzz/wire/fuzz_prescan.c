/*
 * fuzz_prescan.c - the first byte chooses a message, the rest are its bytes. What the scan lets through must unpack in
 * the memory that it foretold, or be refused in order; and pack again.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "wire/unpack.h"

static const char *const names[] = {
    "flowengine.v1.CreateWorkflowRequest", "flowengine.v1.AttachRequest",
    "flowengine.v1.PushPayloadsRequest",   "flowengine.v1.ExecuteNodeRequest",
    "flowengine.v1.WatchRunRequest",       "grpc.reflection.v1.ServerReflectionRequest",
    "flowengine.v1.GetFormRequest",        "google.rpc.Status",
    "flowengine.v1.ListRunsResponse",      "flowengine.v1.WatchRunResponse",
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const FlowWireScanLimits limits = {
        .depth = FLOW_WIRE_DEPTH_MAX, .nodes = 100000, .memory = (size_t)16 << 20};
    if (len == 0)
        return 0;
    const FlowWireMessage *type =
        flow_wire_message(flow_wire_contract(), names[bytes[0] % FLOW_COUNT(names)]);
    FlowWireScan scan;
    FlowError error;
    FlowStatus status = flow_wire_scan(type, bytes + 1, len - 1, &limits, &scan, &error);
    if (status != FLOW_OK) {
        if (status != FLOW_INVALID_ARGUMENT && status != FLOW_RESOURCE_EXHAUSTED)
            abort();
        return 0;
    }
    FlowArena arena;
    const ProtobufCMessage *message = NULL;
    flow_arena_init(&arena, scan.memory);
    status = flow_wire_unpack_scanned(type, bytes + 1, len - 1, &scan, &arena, &message, &error);
    /* Running out of memory is no excuse: the scan has said how much it takes. Merging alone has a bound of its own. */
    if (status != FLOW_OK && status != FLOW_INVALID_ARGUMENT && !scan.split)
        abort();
    if (status == FLOW_OK) {
        FlowBuf packed;
        flow_buf_init(&packed, 0);
        flow_wire_pack(message, &packed);
        if (packed.failed)
            abort();
        flow_buf_done(&packed);
    }
    flow_arena_done(&arena);
    return 0;
}
