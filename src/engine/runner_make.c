/*
 * runner_make.c - a FlowRunner is put together and taken apart, and looked at from outside.
 */
#include <string.h>

#include "base/hash.h"
#include "engine/payload.h"
#include "engine/runner_internal.h"

/* ---- making ---- */

/* A node whose output may be the base of a join: where ways part that can meet again, in a body also at its end. */
static bool keeps_output(const FlowPlanNode *node)
{
    if (node->is_fork || (node->def->type->flags & FLOW_NODE_FOR_EACH))
        return true;
    if (node->body_of != FLOW_GRAPH_NONE)
        for (uint32_t b = 0; b < node->def->branch_count; b++)
            if (node->branches[b].edge_end - node->branches[b].edge_first > 1)
                return true;
    return false;
}

static void open_queues(FlowRunner *runner, FlowRunnerNode *node)
{
    const FlowGraphNode *def = node->plan->def;
    node->node.queues = def->queues;
    node->node.queue_count = def->queue_count;
    node->queues = flow_calloc(def->queue_count + 1, sizeof *node->queues);
    for (uint32_t i = 0; i < def->queue_count; i++)
        node->queues[i] = flow_store_queue_open(flow_engine__store(runner->engine), def->queues[i]);
}

static void make_node(FlowRunner *runner, uint32_t index)
{
    FlowRunnerNode *node = &runner->nodes[index];
    const FlowPlanNode *plan = &runner->plan->nodes[index];
    const FlowNodeType *type = plan->def->type;
    node->runner = runner;
    node->plan = plan;
    node->counters = &runner->node_counters[index];
    node->output = keeps_output(plan) ? runner->output_count++ : FLOW_GRAPH_NONE;
    if (type->flags & FLOW_NODE_FOR_EACH) {
        runner->has_ways = true;
        node->body_branch = (uint32_t)flow_graph_branch(plan->def, "body");
        node->default_branch = (uint32_t)flow_graph_branch(plan->def, "default");
    }
    flow_list_init(&node->waiting);
    node->node =
        (FlowNode){.type = type,
                   .id = plan->def->id,
                   .form = plan->def->form,
                   .loop = runner->loop,
                   .host = &flow_runner__host,
                   .memory = type->instance_size ? flow_calloc(1, type->instance_size) : NULL,
                   .lenient_undefined = flow_analyzer_graph(runner->analyzer)->workflow->undefined_lenient};
    if (type->output_key)
        node->node.output_key = flow_value_string(type->output_key);
    open_queues(runner, node);
    if (type->call_size > runner->call_size)
        runner->call_size = type->call_size;
}

/* The slots of each join in the order of its edges. */
static void sort_slots(FlowRunner *runner)
{
    const FlowPlan *plan = runner->plan;
    runner->join_first = flow_calloc(plan->join_count + 1, sizeof *runner->join_first);
    runner->join_slots = flow_calloc(plan->slot_count + 1, sizeof *runner->join_slots);
    uint32_t next = 0;
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i].join != FLOW_GRAPH_NONE) {
            runner->join_first[plan->nodes[i].join] = next;
            next += plan->nodes[i].in_count;
        }
    for (uint32_t i = 0; i < plan->slot_count; i++) {
        const FlowPlanSlot *slot = &plan->slots[i];
        runner->join_slots[runner->join_first[plan->nodes[slot->target].join] + slot->rank] = i;
    }
}

static FlowStoreQueue *open_inlet_queue(FlowRunner *runner)
{
    FlowStore *store = flow_engine__store(runner->engine);
    if (runner->reads_queue)
        return flow_store_queue_open(store, runner->plan->nodes[0].def->queues[0]);
    flow_cleanup(flow_buf_done) FlowBuf name;
    flow_buf_init(&name, FLOW_STORE_NAME_MAX);
    flow_entry_queue_name(&name, flow_run__names(runner->run)->workflow_id, runner->plan->nodes[0].def->id);
    return flow_store_queue_open(store, flow_buf_text(&name));
}

static void poked(FlowTask *task);

FlowRunner *flow_runner_new(const FlowRunnerSetup *setup)
{
    FlowRunner *runner = flow_new(FlowRunner);
    const FlowPlan *plan = setup->plan;
    runner->engine = setup->engine;
    runner->run = setup->run;
    runner->index = setup->index;
    runner->loop = setup->loop;
    runner->analyzer = flow_analyzer_ref(setup->analyzer);
    runner->plan = plan;
    runner->revision = setup->revision;
    runner->reader_may_end = setup->reader_may_end;
    runner->config = &plan->nodes[0].def->config;
    runner->reads_queue = plan->nodes[0].def->type->flags & FLOW_NODE_READS_QUEUE;
    runner->has_ways = plan->join_count > 0;
    runner->nodes = flow_calloc(plan->node_count, sizeof *runner->nodes);
    runner->node_counters = flow_calloc(plan->node_count, sizeof *runner->node_counters);
    runner->failures = flow_calloc(plan->node_count, sizeof *runner->failures);
    runner->last_failed = FLOW_GRAPH_NONE;
    for (uint32_t i = 0; i < plan->node_count; i++)
        make_node(runner, i);
    sort_slots(runner);

    const FlowRunContext *context = flow_run__context(runner->run);
    runner->vars[FLOW_VAR_DATA].name = "data";
    runner->vars[FLOW_VAR_METADATA].name = "metadata";
    runner->vars[FLOW_VAR_WORKFLOW] = (FlowTemplateVar){"workflow", context->workflow};
    runner->vars[FLOW_VAR_RUN] = (FlowTemplateVar){"run", context->run};
    runner->vars[FLOW_VAR_ENV] = (FlowTemplateVar){"env", context->env};

    flow_list_init(&runner->ready);
    flow_list_init(&runner->units);
    flow_list_init(&runner->free_units);
    flow_list_init(&runner->free_strands);
    flow_list_init(&runner->free_settles);
    flow_inlet__init(&runner->inlet, runner, open_inlet_queue(runner));
    flow_timer_init(&runner->back_off, runner->loop, flow_runner__back_off_over);
    flow_timer_init(&runner->settle_timer, runner->loop, flow_settle__on_timer);
    pthread_mutex_init(&runner->failures_lock, NULL);
    flow_random_bytes(runner->random, sizeof runner->random);
    runner->turn_task.run = flow_runner__turn;
    runner->poke_task.run = poked;
    runner->was_held = true;
    atomic_store(&runner->wish.pause, setup->paused);
    runner->was_paused = setup->paused;
    runner->state_detail = "";
    flow_loop_state_set(&runner->state, FLOW_LOOP_STARTING);
    runner->said_state = FLOW_LOOP_STARTING;
    return runner;
}

void flow_runner_start(FlowRunner *runner)
{
    flow_runner_poke(runner);
}

/* ---- freeing ---- */

static void free_node(FlowRunner *runner, uint32_t index)
{
    FlowRunnerNode *node = &runner->nodes[index];
    for (uint32_t i = 0; i < node->node.queue_count; i++)
        flow_store_queue_unref(node->queues[i]);
    free(node->queues);
    if (node->has_constant_form)
        flow_form_values_done(&node->form_values);
    flow_value_clear(&node->settled_state);
    free(node->node.memory);
    flow_value_unref(node->node.output_key);
    free(atomic_load(&node->counters->latency));
    free(runner->failures[index]);
}

void flow_runner_free(FlowRunner *runner)
{
    FlowList *link;
    while ((link = flow_list_pop_front(&runner->free_units)))
        flow_unit__destroy(flow_list_entry(link, FlowUnit, link));
    while ((link = flow_list_pop_front(&runner->free_strands)))
        flow_strand__destroy(flow_list_entry(link, FlowStrand, link));
    flow_settle__done(runner);
    flow_inlet__done(&runner->inlet);
    for (uint32_t i = 0; i < runner->plan->node_count; i++)
        free_node(runner, i);
    free(runner->nodes);
    free(runner->node_counters);
    free(runner->failures);
    free(runner->join_first);
    free(runner->join_slots);
    pthread_mutex_destroy(&runner->failures_lock);
    flow_analyzer_unref(runner->analyzer);
    free(runner);
}

/* ---- from outside ---- */

static void poked(FlowTask *task)
{
    FlowRunner *runner = flow_container_of(task, FlowRunner, poke_task);
    /* Before looking: what is wished from now on pokes again. */
    atomic_store(&runner->is_poked, false);
    if (!atomic_load(&runner->has_ended))
        flow_runner__turn_soon(runner);
}

void flow_runner_poke(FlowRunner *runner)
{
    if (!atomic_exchange(&runner->is_poked, true))
        flow_loop_post(runner->loop, &runner->poke_task);
}

FlowRunnerWish *flow_runner_wish(FlowRunner *runner)
{
    return &runner->wish;
}

FlowLoopState flow_runner_state(const FlowRunner *runner)
{
    return atomic_load_explicit(&runner->state, memory_order_acquire);
}

bool flow_runner_has_ended(const FlowRunner *runner)
{
    return atomic_load_explicit(&runner->has_ended, memory_order_acquire);
}

bool flow_runner_has_started(const FlowRunner *runner)
{
    return atomic_load_explicit(&runner->has_started, memory_order_acquire);
}

bool flow_runner_was_drained(const FlowRunner *runner)
{
    return atomic_load(&runner->was_drained);
}

bool flow_runner_is_paused_by_policy(const FlowRunner *runner)
{
    return atomic_load(&runner->paused_by_policy);
}

FlowEventRing *flow_runner_ring(const FlowRunner *runner)
{
    return atomic_load(&runner->ring);
}

const FlowPlan *flow_runner_plan(const FlowRunner *runner)
{
    return runner->plan;
}

uint32_t flow_runner_index(const FlowRunner *runner)
{
    return runner->index;
}

const FlowLoopCounters *flow_runner_counters(const FlowRunner *runner)
{
    return &runner->counters;
}

const FlowNodeCounters *flow_runner_node_counters(const FlowRunner *runner, uint32_t node)
{
    return &runner->node_counters[node];
}
