/*
 * runner_host.c - what nodes may ask of the runner that executes them: the slots of FlowNodeHost.
 */
#include <string.h>

#include "engine/payload.h"
#include "engine/runner_internal.h"

static FlowStrand *strand_of(FlowNodeCall *call)
{
    return flow_container_of(call, FlowStrand, call);
}

static FlowStoreQueue *find_queue(const FlowRunnerNode *node, const char *name)
{
    for (uint32_t i = 0; i < node->node.queue_count; i++)
        if (node->node.queues[i] == name || strcmp(node->node.queues[i], name) == 0)
            return node->queues[i];
    return NULL;
}

static FlowStatus push(FlowNodeCall *call, const char *queue, FlowValue data_take, FlowValue metadata_take,
                       FlowError *reterr)
{
    FlowStrand *strand = strand_of(call);
    FlowUnit *unit = strand->unit;
    flow_cleanup(flow_value_clear) FlowValue data = data_take;
    flow_cleanup(flow_value_clear) FlowValue metadata = metadata_take;
    FlowStoreQueue *handle = find_queue(&strand->runner->nodes[strand->at], queue);
    if (handle == NULL)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "NODE_FAILED", call->node->id,
                              "the node pushes to queue \"%s\", which isn't one of its queues", queue);
    if (unit->push_count >= FLOW_UNIT_PUSHES_MAX)
        return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE", call->node->id,
                              "a unit may make %d pushes; split the work into several units",
                              FLOW_UNIT_PUSHES_MAX);
    FlowBlob *body;
    if (unit->delivery && flow_payload_is(unit->delivery->body, data, metadata)) {
        body = flow_blob_ref(unit->delivery->body);
    } else {
        FlowStatus status = flow_payload_encode(data, metadata, &body, reterr);
        if (status != FLOW_OK)
            return status;
    }
    unit->pushes = flow_grown(unit->pushes, unit->push_count, &unit->push_capacity, sizeof *unit->pushes);
    unit->pushes[unit->push_count++] = (FlowUnitPush){handle, body};
    return FLOW_OK;
}

static void log_line(FlowNodeCall *call, FlowLogLevel level, const char *message, FlowValue fields)
{
    FlowStrand *strand = strand_of(call);
    const FlowRunNames *names = flow_run__names(strand->runner->run);
    if (flow_log_enabled(level)) {
        FlowValue id = flow_unit__id(strand->unit);
        flow_log(level, message, FLOW_F_STR("run", names->run_id), FLOW_F_STR("workflow", names->workflow_id),
                 FLOW_F_STR("node", call->node->id), FLOW_F_STR("payload", flow_value_text(&id)));
    }
    flow_runner__emit_log(strand, level, message, fields);
}

static void waiting(FlowNodeCall *call)
{
    flow_runner__turn_soon(strand_of(call)->runner);
}

static void *service(FlowNode *node, const char *name)
{
    FlowRunnerNode *runner_node = flow_container_of(node, FlowRunnerNode, node);
    return flow_engine__service(runner_node->runner->engine, name);
}

const FlowNodeHost flow_runner__host = {
    .finished = flow_strand__finished,
    .push = push,
    .log = log_line,
    .waiting = waiting,
    .service = service,
};
