/*
 * registry.h - the node types that a server knows, by name. Any thread.
 *
 * A type is borrowed: it must stay where it is until the registry is freed, also after it was removed (graphs
 * that use it may still run).
 */
#ifndef FLOW_ENGINE_REGISTRY_H
#define FLOW_ENGINE_REGISTRY_H

#include "engine/node.h"

enum {
    FLOW_REGISTRY_MAX_TYPES = 10000,
    FLOW_NODE_TYPE_NAME_MAX = 64, /* bytes */
    FLOW_NODE_BRANCHES_MAX = 256, /* of one node */
    FLOW_NODE_BRANCH_NAME_MAX = 128
};

typedef struct FlowRegistry FlowRegistry;

FlowRegistry *flow_registry_new(void);
void flow_registry_free(FlowRegistry *registry);

/*
 * Checks the type, then makes it known. ALREADY_EXISTS for a name that is taken, INVALID_ARGUMENT with
 * `where` = the type's name and a sentence that says which slot is wrong.
 */
FlowStatus flow_registry_add(FlowRegistry *registry, const FlowNodeType *type, FlowError *reterr);
/* Unknown from now on. False when there was none. */
bool flow_registry_remove(FlowRegistry *registry, const char *name);

/* NULL when there is none. */
const FlowNodeType *flow_registry_find(FlowRegistry *registry, const char *name, size_t len);
/* The schema of a type's form, NULL for a type without one. Borrowed: stays until the registry is freed. */
const FlowFormSchema *flow_registry_schema(FlowRegistry *registry, const FlowNodeType *type);
/* The known name that is most like `name`, NULL when none is like it. */
const char *flow_registry_nearest(FlowRegistry *registry, const char *name, size_t len);
/* All types, sorted by name; the array is yours to free(). */
const FlowNodeType **flow_registry_list(FlowRegistry *registry, size_t *ret_count);

/* The check of flow_registry_add() alone. */
FlowStatus flow_node_type_check(const FlowNodeType *type, FlowError *reterr);

/*
 * The branches of a node of this type with these stored form values; NULL and *reterr when they can't be
 * known. Free with flow_node_branches_free().
 */
FlowNodeBranches *flow_node_branches_new(const FlowNodeType *type, FlowValue form_values, FlowError *reterr);
FlowNodeBranches *flow_node_branches_free(FlowNodeBranches *branches);
size_t flow_node_branches_count(const FlowNodeBranches *branches);
const char *flow_node_branches_name(const FlowNodeBranches *branches, size_t index);
/* -1 when there is none. Case doesn't count. */
int flow_node_branches_index(const FlowNodeBranches *branches, const char *name, size_t len);

#endif
