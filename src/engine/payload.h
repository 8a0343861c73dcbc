/*
 * payload.h - how payloads lie in queues and dead letters: {"data": {…}, "metadata": {…}} as JSON, with the values
 * attached, so that a payload that stays in memory is never parsed. The payload's id lies beside it.
 */
#ifndef FLOW_ENGINE_PAYLOAD_H
#define FLOW_ENGINE_PAYLOAD_H

#include "store/blob.h"
#include "value/value.h"

/*
 * Both are borrowed; null counts as {}. INVALID_ARGUMENT: no JSON (NaN, infinity), or no object. RESOURCE_EXHAUSTED,
 * PAYLOAD_TOO_LARGE: beyond FLOW_PAYLOAD_JSON_MAX bytes.
 */
FlowStatus flow_payload_encode(FlowValue data, FlowValue metadata, FlowBlob **ret_body, FlowError *reterr);

/* Both results are yours. DATA_LOSS when the bytes are no payload. */
FlowStatus flow_payload_decode(FlowBlob *body, FlowValue *ret_data, FlowValue *ret_metadata,
                               FlowError *reterr);

/* The body is what these two would be encoded to: the very same values are attached to it. */
bool flow_payload_is(const FlowBlob *body, FlowValue data, FlowValue metadata);

/* "{workflow_id}.entry_{producer id}": where payloads wait for a loop whose producer reads no queue. */
void flow_entry_queue_name(FlowBuf *to, const char *workflow_id, const char *producer_node_id);

enum { FLOW_PAYLOAD_JSON_MAX = 64 << 20 };

#endif
