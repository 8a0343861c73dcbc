/*
 * stage.c - the node types that a test runs with: each stands before the real one of the same name. It plays the mock
 * of a node that has one, gives a producer's inputs, hands everything else to the real type, and notes what came out.
 *
 * The answer of a call that goes on asynchronously passes through `finished` of the host; so does the stage, by a host of
 * its own in front of the engine's.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/registry.h"
#include "forms/form.h"
#include "nodes/nodes.h"
#include "trial/trial_internal.h"

typedef struct StagedType {
    FlowNodeType type; /* first: a node's type leads here */
    const FlowNodeType *real;
    TrialStage *stage;
} StagedType;

struct TrialStage {
    FlowValue inputs, mocks; /* borrowed; objects or null */
    FlowRegistry *real, *staged;
    StagedType *types;
    FlowNodeHost host; /* the engine's, with `finished` replaced */
    const FlowNodeHost *engine_host;
    pthread_mutex_t lock;
    TrialRecord *records;
    size_t record_count;
    FlowValue played; /* object: node id -> calls so far */
};

static StagedType *staged_of(const FlowNode *node)
{
    return flow_container_of(node->type, StagedType, type);
}

/* ---- records ---- */

static void record(TrialStage *stage, FlowNodeCall *call, FlowNodeOutcome outcome)
{
    const FlowNodeType *type = call->node->type;
    if (outcome == FLOW_NODE_FAILED || outcome == FLOW_NODE_COMPLETED || outcome == FLOW_NODE_PENDING)
        return;
    TrialRecord made = {.node_id = flow_strdup(call->node->id),
                        .data = flow_value_ref(call->has_data ? call->out_data : call->data)};
    if (call->has_result) /* the host will put it there */
        flow_object_add_unique_take(&made.data, call->result_key, flow_value_ref(call->result), NULL, NULL);
    if (outcome == FLOW_NODE_DONE && (type->flags & FLOW_NODE_OWN_BRANCHES)) {
        /* The names are in the stored form. */
        FlowValue form = flow_value_object();
        for (size_t f = 0; call->node->form && type->form && f < type->form->field_count; f++)
            flow_object_set_take(&form, type->form->fields[f].name,
                                 flow_value_ref(flow_form_stored(call->node->form, f)), NULL);
        FlowNodeBranches *branches = flow_node_branches_new(type, form, NULL);
        const char *name = branches ? flow_node_branches_name(branches, call->branch) : NULL;
        made.branch = name ? flow_strdup(name) : NULL;
        flow_node_branches_free(branches);
        flow_value_unref(form);
    } else if (outcome == FLOW_NODE_DONE) {
        made.branch = flow_strdup(type->branches ? type->branches[call->branch].name : "default");
    }
    pthread_mutex_lock(&stage->lock);
    if ((stage->record_count & (stage->record_count - 1)) == 0)
        stage->records = flow_realloc(stage->records, (stage->record_count ? 2 * stage->record_count : 1) *
                                                          sizeof *stage->records);
    stage->records[stage->record_count++] = made;
    pthread_mutex_unlock(&stage->lock);
}

size_t trial_stage_count(TrialStage *stage)
{
    pthread_mutex_lock(&stage->lock);
    size_t count = stage->record_count;
    pthread_mutex_unlock(&stage->lock);
    return count;
}

const TrialRecord *trial_stage_records(TrialStage *stage, size_t *ret_count)
{
    *ret_count = stage->record_count;
    return stage->records;
}

/* ---- playing ---- */

static const FlowValue *role(const FlowNode *node, FlowValue roles)
{
    return flow_value_kind(roles) == FLOW_VALUE_OBJECT ? trial_get(roles, node->id) : NULL;
}

/* How often it was played before. */
static int64_t next_turn(TrialStage *stage, const char *node_id)
{
    pthread_mutex_lock(&stage->lock);
    const FlowValue *count = flow_object_get(stage->played, node_id);
    int64_t turn = count ? flow_value_get_int(*count) : 0;
    flow_object_set_take(&stage->played, node_id, flow_value_int(turn + 1), NULL);
    pthread_mutex_unlock(&stage->lock);
    return turn;
}

static int branch_of(const FlowNodeCall *call, const char *name)
{
    const FlowNodeType *type = call->node->type;
    for (uint32_t b = 0; type->branches && type->branches[b].name; b++)
        if (strcmp(type->branches[b].name, name) == 0)
            return (int)b;
    return type->branches == NULL && strcmp(name, "default") == 0 ? 0 : -1;
}

static FlowNodeOutcome play(TrialStage *stage, FlowNodeCall *call, const FlowValue *mock)
{
    int64_t turn = next_turn(stage, call->node->id);
    if (call->node->type->flags & FLOW_NODE_FOR_EACH)
        return flow_node_call_fail(call, FLOW_INVALID_ARGUMENT, NULL,
                                   "a for-each can't be mocked; mock the nodes of its body");
    if (flow_value_kind(*mock) == FLOW_VALUE_ARRAY) {
        mock = flow_array_at(*mock, (size_t)turn);
        if (mock == NULL)
            return flow_node_call_fail(call, FLOW_OUT_OF_RANGE, NULL,
                                       "the node was executed more often than it has mocks");
    }
    const FlowValue *error = trial_get(*mock, "error"), *data = trial_get(*mock, "data"),
                    *metadata = trial_get(*mock, "metadata"), *branch = trial_get(*mock, "branch");
    if (error && flow_value_kind(*error) == FLOW_VALUE_STRING)
        return flow_node_call_fail(call, FLOW_UNKNOWN, NULL, "%s", flow_value_text(error));
    if (branch && flow_value_kind(*branch) == FLOW_VALUE_STRING) {
        int index = branch_of(call, flow_value_text(branch));
        if (index < 0)
            return flow_node_call_fail(call, FLOW_INVALID_ARGUMENT, NULL,
                                       "its mock takes the branch \"%s\", which it "
                                       "doesn't have",
                                       flow_value_text(branch));
        call->branch = (uint32_t)index;
    }
    if (data)
        flow_node_call_data_take(call, flow_value_ref(*data));
    if (metadata)
        flow_node_call_metadata_take(call, flow_value_ref(*metadata));
    return FLOW_NODE_DONE;
}

static FlowNodeOutcome produce(TrialStage *stage, FlowNodeCall *call, FlowValue inputs)
{
    const FlowValue *data = flow_array_at(inputs, (size_t)next_turn(stage, call->node->id));
    if (data == NULL)
        return FLOW_NODE_COMPLETED;
    return flow_node_call_data_take(call, flow_value_ref(*data));
}

/* ---- the types' functions ---- */

static void on_finished(FlowNodeCall *call, FlowNodeOutcome outcome)
{
    TrialStage *stage = staged_of(call->node)->stage;
    record(stage, call, outcome);
    call->host = stage->engine_host;
    call->host->finished(call, outcome);
}

static FlowNodeOutcome on_start(FlowNodeCall *call)
{
    StagedType *staged = staged_of(call->node);
    TrialStage *stage = staged->stage;
    const FlowValue *mock = role(call->node, stage->mocks);
    const FlowValue *inputs = role(call->node, stage->inputs);
    FlowNodeOutcome outcome = inputs ? produce(stage, call, *inputs)
                              : mock ? play(stage, call, mock)
                                     : FLOW_NODE_PENDING;
    if (!inputs && !mock) {
        pthread_mutex_lock(&stage->lock);
        if (stage->engine_host == NULL) {
            stage->engine_host = call->host;
            stage->host = *call->host;
            stage->host.finished = on_finished;
        }
        pthread_mutex_unlock(&stage->lock);
        call->host = &stage->host;
        outcome = staged->real->start(call);
        if (outcome == FLOW_NODE_PENDING)
            return outcome;
        call->host = stage->engine_host;
    }
    record(stage, call, outcome);
    return outcome;
}

static bool is_played(const FlowNode *node)
{
    const StagedType *staged = staged_of(node);
    return role(node, staged->stage->mocks) || role(node, staged->stage->inputs);
}

static FlowStatus on_setup(FlowNode *node, FlowError *reterr)
{
    const FlowNodeType *real = staged_of(node)->real;
    return real->setup && !is_played(node) ? real->setup(node, reterr) : FLOW_OK;
}

static void on_cleanup(FlowNode *node)
{
    const FlowNodeType *real = staged_of(node)->real;
    if (real->cleanup && !is_played(node))
        real->cleanup(node);
}

/* ---- making ---- */

TrialStage *trial_stage_new(FlowValue spec, FlowError *reterr)
{
    TrialStage *stage = flow_new(TrialStage);
    const FlowValue *inputs = trial_get(spec, "inputs"), *mocks = trial_get(spec, "mocks");
    stage->inputs = inputs ? *inputs : flow_value_null();
    stage->mocks = mocks ? *mocks : flow_value_null();
    stage->played = flow_value_object();
    stage->real = flow_registry_new();
    stage->staged = flow_registry_new();
    pthread_mutex_init(&stage->lock, NULL);
    FlowStatus status = flow_nodes_register(stage->real, reterr);
    size_t count = 0;
    const FlowNodeType **types = flow_registry_list(stage->real, &count);
    stage->types = flow_calloc(count + 1, sizeof *stage->types);
    for (size_t i = 0; i < count && status == FLOW_OK; i++) {
        StagedType *staged = &stage->types[i];
        *staged = (StagedType){.type = *types[i], .real = types[i], .stage = stage};
        staged->type.start = on_start;
        staged->type.setup = on_setup;
        staged->type.cleanup = on_cleanup;
        status = flow_registry_add(stage->staged, &staged->type, reterr);
    }
    free(types);
    if (status == FLOW_OK)
        return stage;
    trial_stage_free(stage);
    return NULL;
}

void trial_stage_free(TrialStage *stage)
{
    if (stage == NULL)
        return;
    flow_registry_free(stage->staged);
    flow_registry_free(stage->real);
    for (size_t i = 0; i < stage->record_count; i++) {
        free(stage->records[i].node_id);
        free(stage->records[i].branch);
        flow_value_unref(stage->records[i].data);
    }
    free(stage->records);
    free(stage->types);
    flow_value_unref(stage->played);
    pthread_mutex_destroy(&stage->lock);
    free(stage);
}

FlowRegistry *trial_stage_registry(TrialStage *stage)
{
    return stage->staged;
}
