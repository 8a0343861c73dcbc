/*
 * definition.h - workflow definitions on their way between message, value and store.
 *
 * A definition is an object: the proto3 JSON of its Workflow message, which is what React Flow saves. The store keeps it as
 * text, without `revision`, `etag`, `createTime`, `updateTime` and `draft`, which the store has itself.
 */
#ifndef FLOW_SERVICE_DEFINITION_H
#define FLOW_SERVICE_DEFINITION_H

#include "base/arena.h"
#include "flowengine/v1/workflow.pb-c.h"
#include "store/store.h"
#include "value/value.h"

/* `id` (may be NULL) replaces the message's. */
FlowStatus flow_definition_from_pb(const Flowengine__V1__Workflow *workflow, const char *id,
                                   FlowValue *ret_definition, FlowError *reterr);
/* What the store keeps. */
FlowStatus flow_definition_encode(FlowValue definition, FlowBlob **ret_body, FlowError *reterr);
FlowStatus flow_definition_decode(const FlowWorkflowRecord *record, FlowValue *ret_definition,
                                  FlowError *reterr);
/* The whole message, made in `arena`; a record without body gives one without nodes. */
FlowStatus flow_definition_to_pb(const FlowWorkflowRecord *record, FlowArena *arena,
                                 Flowengine__V1__Workflow **ret_workflow, FlowError *reterr);

/*
 * Replaces the fields that the paths name (proto names of Workflow's own fields, or "*") by those of `from`; a field that
 * `from` lacks is taken away. INVALID_ARGUMENT (INVALID_MASK) for another path.
 */
FlowStatus flow_definition_mask(FlowValue *definition, FlowValue from, const char *const *paths, size_t count,
                                FlowError *reterr);

/* Makes `definition` what `from` says: it stays as it is, order included, when both say the same. */
FlowStatus flow_definition_keep_order(FlowValue *definition, FlowValue from, FlowError *reterr);

/* "" when there is no such text; borrowed. */
const char *flow_definition_text(FlowValue definition, const char *key);
bool flow_definition_flag(FlowValue definition, const char *key);

/* Fills in text and labels of a list from ListWorkflowsRequest.filter; what they point to is made in `arena`. */
FlowStatus flow_definition_filter(const char *filter, FlowArena *arena, FlowStoreWorkflowList *list,
                                  FlowError *reterr);

#endif
