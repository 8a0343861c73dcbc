/*
 * merge.h - what goes into a join: the data at the fork, and what each live path made of it.
 */
#ifndef FLOW_ENGINE_MERGE_H
#define FLOW_ENGINE_MERGE_H

#include "value/value.h"

/*
 * `fork`: the object where the paths parted; `paths`: what arrived, in edge order. The result is the fork's object
 * with every key that a path added or changed; a key that an earlier path has claimed already becomes `key_2`, then
 * `key_3`. A key is gone only if no path has it any more. Values that aren't objects count as empty ones.
 * RESOURCE_EXHAUSTED when the result would be beyond the bounds of a value.
 */
FlowStatus flow_merge(FlowValue fork, const FlowValue *paths, size_t count, FlowValue *ret_object,
                      FlowError *reterr);

#endif
