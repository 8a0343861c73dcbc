/*
 * view.c - what a session's outputs say before a node is executed: which nodes before it are live, what their outputs
 * are worth, and what it would be given.
 *
 * All of it goes through the plan once, in its order (a node comes after all that lead to it). Inputs are compared by
 * hashes of the outputs that they are made of, so nothing is merged or hashed again that isn't asked for.
 */
#include <stdio.h>
#include <string.h>

#include "dev/dev_internal.h"

static const FlowGraphNode *def_of(const DevView *view, uint32_t at)
{
    return view->plan->plan->nodes[at].def;
}

static DevOutput *output_of(const DevView *view, uint32_t at)
{
    return dev_session_output(view->job->session, def_of(view, at)->id);
}

/* ---- keys ---- */

FlowHash128 dev_form_key(const FlowGraphNode *def, FlowValue form, FlowValue parameters)
{
    /* Parameters count where the form may read them. */
    bool reads = def->form == NULL || !flow_form_is_constant(def->form);
    return dev_hash_two(flow_value_hash(form), flow_value_hash(reads ? parameters : flow_value_null()));
}

FlowHash128 dev_body_key(const DevPlan *plan, uint32_t at)
{
    FlowHash128 hash = {0, 0};
    if (plan == NULL || !flow_graph_node_has(plan->plan->nodes[at].def, FLOW_NODE_FOR_EACH))
        return hash;
    for (uint32_t i = at + 1; i < plan->plan->nodes[at].body_end; i++) {
        const FlowGraphNode *def = plan->plan->nodes[i].def;
        FlowValue name = flow_value_string(def->type->name);
        hash = dev_hash_two(hash, flow_value_hash(name));
        hash = dev_hash_two(hash, flow_value_hash(def->form_values));
        flow_value_unref(name);
        for (uint32_t e = plan->in_first[i]; e < plan->in_first[i + 1]; e++)
            hash = dev_hash_two(hash, (FlowHash128){plan->plan->edges[plan->in_edges[e]].source,
                                                    dev_edge_branch(plan, plan->in_edges[e])});
    }
    return hash;
}

/* ---- edges ---- */

/* Is the node asked about inside the body of the for-each at `each`? */
static bool is_in_body(const DevView *view, uint32_t each)
{
    for (uint32_t b = view->plan->plan->nodes[view->at].body_of; b != FLOW_GRAPH_NONE;
         b = view->plan->plan->nodes[b].body_of)
        if (b == each)
            return true;
    return false;
}

/* Edges into `at` whose sources have an output; `live_only`: that took this very edge. */
static size_t sources(const DevView *view, uint32_t at, bool live_only, uint32_t *to)
{
    const DevPlan *plan = view->plan;
    size_t count = 0;
    for (uint32_t i = plan->in_first[at]; i < plan->in_first[at + 1]; i++) {
        uint32_t edge = plan->in_edges[i];
        const DevOut *out = &view->outs[plan->plan->edges[edge].source];
        if (live_only ? dev_edge_is_live(plan, view->outs, edge) : out->has_output)
            to[count++] = edge;
    }
    return count;
}

static uint32_t *room_for_edges(const DevView *view, uint32_t at)
{
    return flow_malloc((view->plan->in_first[at + 1] - view->plan->in_first[at] + 1) * sizeof(uint32_t));
}

/* ---- outputs ---- */

static uint32_t branch_index(const FlowGraphNode *def, const DevOutput *output)
{
    if (output->ended)
        return FLOW_GRAPH_NONE;
    int branch = flow_graph_branch(def, output->branch ? output->branch : "default");
    return branch < 0 ? FLOW_GRAPH_NONE : (uint32_t)branch;
}

static void show_element(DevView *view, uint32_t at, DevOutput *output)
{
    DevOut *out = &view->outs[at];
    const FlowGraphNode *def = def_of(view, at);
    FlowError error;
    int64_t index = view->plan->plan->nodes[view->at].body_of == at ? view->job->request->for_each_index
                                                                    : (int64_t)output->element;
    out->branch = (uint32_t)flow_graph_branch(def, "body");
    out->has_output =
        index >= 0 && (size_t)index < flow_array_count(output->elements) &&
        dev_element(output->each_data, output->elements, (size_t)index, &view->made[at], &error) == FLOW_OK;
    if (!out->has_output)
        return;
    output->element = (uint32_t)index;
    out->data = view->made[at];
    out->metadata = output->each_metadata;
    view->seen[at].hash = dev_hash_payload(out->data, out->metadata);
}

/* A mock that gives something: it is used instead of the session's output. One that fails has to be executed. */
static const FlowDevMock *stand_in(const DevView *view, uint32_t at)
{
    const FlowDevMock *mock = at != view->at ? dev_job_mock(view->job, def_of(view, at)->id) : NULL;
    return mock && (mock->error == NULL || mock->error[0] == '\0') ? mock : NULL;
}

static void show_output(DevView *view, uint32_t at)
{
    DevOutput *output = output_of(view, at);
    const FlowDevMock *mock = stand_in(view, at);
    DevOut *out = &view->outs[at];
    DevSeen *seen = &view->seen[at];
    if (mock) {
        int branch =
            mock->branch && mock->branch[0] != '\0' ? flow_graph_branch(def_of(view, at), mock->branch) : 0;
        if (flow_graph_node_has(def_of(view, at), FLOW_NODE_FOR_EACH))
            branch = flow_graph_branch(def_of(view, at), "default");
        out->branch = branch < 0 ? FLOW_GRAPH_NONE : (uint32_t)branch;
        out->data = mock->data;
        view->made[at] =
            flow_value_is_null(mock->metadata) ? flow_value_object() : flow_value_ref(mock->metadata);
        out->metadata = view->made[at];
        out->has_output = true;
        seen->hash = dev_hash_payload(out->data, out->metadata);
        seen->number = UINT64_MAX;
        return;
    }
    if (output == NULL)
        return;
    seen->number = output->number;
    if (is_in_body(view, at)) {
        show_element(view, at, output);
        return;
    }
    if (output->hollow)
        return;
    out->branch = branch_index(def_of(view, at), output);
    out->data = output->payload.data;
    out->metadata = output->payload.metadata;
    out->has_output = true;
    seen->hash = output->hash;
}

/* ---- judging ---- */

static FlowHash128 input_hash(const DevView *view, const uint32_t *edges, size_t count)
{
    const FlowPlanEdge *all = view->plan->plan->edges;
    if (count == 0)
        return (FlowHash128){0, 0};
    FlowHash128 hash = view->seen[all[edges[0]].source].hash;
    if (count == 1)
        return hash;
    uint32_t fork = all[edges[0]].source;
    for (size_t i = 1; i < count; i++) {
        fork = dev_ways_common(view->outs, fork, all[edges[i]].source);
        hash = dev_hash_two(hash, view->seen[all[edges[i]].source].hash);
    }
    return dev_hash_two(hash, view->seen[fork].hash);
}

static void say(DevSeen *seen, FlowDevState state, const char *format, const char *what)
{
    seen->state = state;
    snprintf(seen->reason, sizeof seen->reason, format, what);
}

/* The form isn't the one that was executed; but maybe it renders to the same. */
static bool renders_alike(const DevView *view, uint32_t at, const DevOutput *output, const uint32_t *edges,
                          size_t count)
{
    const FlowGraphNode *def = def_of(view, at);
    FlowValue data = flow_value_object(), metadata = flow_value_object();
    FlowFormErrors errors = {0};
    FlowFormValues values = {0};
    uint32_t fork;
    if (def->form == NULL || flow_graph_node_has(def, FLOW_NODE_FOR_EACH) ||
        (count > 0 &&
         dev_ways_merge(view->plan, view->outs, edges, count, &data, &metadata, &fork, NULL) != FLOW_OK))
        return false;
    const FlowTemplateVar vars[] = {{"data", data},
                                    {"metadata", metadata},
                                    {"workflow", view->job->var_workflow},
                                    {"run", view->job->var_run},
                                    {"env", view->job->dev->env}};
    const FlowTemplateContext context = {
        .vars = vars, .var_count = FLOW_COUNT(vars), .clock = view->job->dev->clock};
    bool alike = flow_form_run(def->form, &context, &values, &errors) == FLOW_OK;
    if (alike) {
        alike = dev_hash_equal(dev_form_hash(&values), output->key.rendered);
        flow_form_values_done(&values);
    }
    flow_form_errors_done(&errors);
    flow_value_unref(data);
    flow_value_unref(metadata);
    return alike;
}

static bool writers_have_moved(const DevView *view, const FlowGraphNode *reader, const DevOutput *output,
                               DevSeen *seen)
{
    const FlowGraph *graph = view->plan->graph;
    for (uint32_t i = 0; i < reader->in_count; i++) {
        const FlowGraphEdge *edge = &graph->edges[reader->in_edges[i]];
        if (!edge->is_queue)
            continue;
        const DevOutput *writer = dev_session_output(view->job->session, graph->nodes[edge->source].id);
        if (writer && writer->number > output->number) {
            say(seen, FLOW_DEV_STALE, "the queue-writer \"%s\" has pushed since",
                graph->nodes[edge->source].id);
            return true;
        }
    }
    return false;
}

static void judge_stale(DevView *view, uint32_t at, const DevOutput *output, const uint32_t *edges,
                        size_t count)
{
    const FlowGraphNode *def = def_of(view, at);
    DevSeen *seen = &view->seen[at];
    FlowHash128 form = dev_form_key(def, def->form_values, view->job->parameters);
    bool in_body = at != view->at && is_in_body(view, at);
    seen->state = FLOW_DEV_FRESH;
    for (size_t i = 0; i < count; i++) {
        uint32_t source = view->plan->plan->edges[edges[i]].source;
        if (view->seen[source].state == FLOW_DEV_STALE) {
            say(seen, FLOW_DEV_STALE, "the output of node \"%s\" before it is stale",
                def_of(view, source)->id);
            return;
        }
    }
    for (uint32_t i = view->plan->in_first[at]; i < view->plan->in_first[at + 1]; i++) {
        uint32_t source = view->plan->plan->edges[view->plan->in_edges[i]].source;
        if (view->seen[source].state == FLOW_DEV_MISSING && view->outs[source].is_live) {
            say(seen, FLOW_DEV_STALE, "node \"%s\" before it has no output any more",
                def_of(view, source)->id);
            return;
        }
    }
    if (output->fail_reason && !in_body) {
        say(seen, FLOW_DEV_STALE, "its last execution failed: %s", output->fail_reason);
    } else if (strcmp(output->key.type, def->type->name) != 0 || output->key.version != def->type->version) {
        say(seen, FLOW_DEV_STALE, "its node type was another one (%s)", output->key.type);
    } else if (count > 0 && !dev_hash_equal(output->key.inputs, seen->inputs)) {
        const char *newer = NULL;
        for (size_t i = 0; i < count && newer == NULL; i++) {
            uint32_t source = view->plan->plan->edges[edges[i]].source;
            if (view->seen[source].number > output->number)
                newer = def_of(view, source)->id;
        }
        if (newer)
            say(seen, FLOW_DEV_STALE, "node \"%s\" before it has been executed again", newer);
        else
            say(seen, FLOW_DEV_STALE, "%s", "it was executed on another input");
    } else if (!dev_hash_equal(output->key.form, form) && !renders_alike(view, at, output, edges, count)) {
        say(seen, FLOW_DEV_STALE, "%s", "its form has changed since it was executed");
    } else if (!in_body && !dev_hash_equal(output->key.body, dev_body_key(view->plan, at))) {
        say(seen, FLOW_DEV_STALE, "%s", "its body has changed since it was executed");
    } else if (flow_graph_node_has(def, FLOW_NODE_READS_QUEUE)) {
        writers_have_moved(view, def, output, seen);
    }
}

static void judge(DevView *view, uint32_t at)
{
    DevOut *out = &view->outs[at];
    DevSeen *seen = &view->seen[at];
    const DevOutput *output = output_of(view, at);
    uint32_t *edges = room_for_edges(view, at);
    size_t live = sources(view, at, true, edges);

    out->is_live = at == 0 || live > 0;
    for (uint32_t i = view->plan->in_first[at]; i < view->plan->in_first[at + 1]; i++) {
        uint32_t source = view->plan->plan->edges[view->plan->in_edges[i]].source;
        seen->is_unknown |=
            view->seen[source].is_unknown || (view->outs[source].is_live && !view->outs[source].has_output &&
                                              view->seen[source].state == FLOW_DEV_MISSING);
    }
    if (out->is_live && at != 0) {
        uint32_t fork = view->plan->plan->edges[edges[0]].source;
        for (size_t i = 1; i < live; i++)
            fork = dev_ways_common(view->outs, fork, view->plan->plan->edges[edges[i]].source);
        out->nearest = fork;
        out->depth = view->outs[fork].depth + 1;
        seen->is_unknown = false;
    }
    if (!out->is_live && seen->is_unknown) {
        /* Nobody knows yet; what was pinned here is taken to be on the way. */
        const FlowPlanNode *plan = &view->plan->plan->nodes[at];
        out->is_live = true;
        out->nearest = plan->fork;
        out->depth = view->outs[plan->fork].depth + 1;
    }
    seen->inputs = input_hash(view, edges, live);
    if (at != view->at)
        show_output(view, at);
    if (stand_in(view, at))
        say(seen, FLOW_DEV_PINNED, "%s", "a mock stands in for it");
    else if (output == NULL)
        say(seen, FLOW_DEV_MISSING, "%s", "it has not been executed in this session");
    else if (at != view->at && !out->has_output)
        say(seen, FLOW_DEV_MISSING, "%s",
            output->hollow && output->fail_reason && !is_in_body(view, at) ? output->fail_reason
                                                                           : "it has no such element");
    else if (output->pinned)
        say(seen, FLOW_DEV_PINNED, "%s", output->pin_reason ? output->pin_reason : "it was set by hand");
    else
        judge_stale(view, at, output, edges, live);
    if (!out->is_live && seen->state != FLOW_DEV_PINNED && at != view->at)
        say(seen, FLOW_DEV_NOT_TAKEN, "%s", "the branch that was taken doesn't lead here");
    if (output && out->has_output && out->is_live && seen->state != FLOW_DEV_PINNED)
        seen->is_unknown = false;
    free(edges);
}

/* ---- making ---- */

static void find_before(DevView *view)
{
    const DevPlan *plan = view->plan;
    view->seen[view->at].is_before = true;
    for (uint32_t at = view->at + 1; at-- > 0;)
        for (uint32_t i = plan->in_first[at]; view->seen[at].is_before && i < plan->in_first[at + 1]; i++)
            view->seen[plan->plan->edges[plan->in_edges[i]].source].is_before = true;
}

/* Nothing before a pinned output, or a mock, matters. */
static void find_wanted(DevView *view)
{
    const DevPlan *plan = view->plan;
    view->seen[view->at].is_wanted = true;
    for (uint32_t at = view->at + 1; at-- > 0;) {
        if (!view->seen[at].is_wanted || (at != view->at && view->seen[at].state == FLOW_DEV_PINNED))
            continue;
        for (uint32_t i = plan->in_first[at]; i < plan->in_first[at + 1]; i++) {
            uint32_t source = plan->plan->edges[plan->in_edges[i]].source;
            view->seen[source].is_wanted |= view->outs[source].is_live;
        }
    }
}

void dev_view_make(DevView *view, FlowDevJob *job, const DevPlan *plan, uint32_t at)
{
    uint32_t count = at + 1;
    *view = (DevView){.job = job, .plan = plan, .at = at};
    view->outs = flow_calloc(count, sizeof *view->outs);
    view->seen = flow_calloc(count, sizeof *view->seen);
    view->made = flow_calloc(count, sizeof *view->made);
    find_before(view);
    for (uint32_t i = 0; i < count; i++)
        if (view->seen[i].is_before)
            judge(view, i);
    find_wanted(view);
}

void dev_view_done(DevView *view)
{
    for (uint32_t i = 0; view->made && i <= view->at; i++)
        flow_value_unref(view->made[i]);
    free(view->outs);
    free(view->seen);
    free(view->made);
}

/* ---- asking ---- */

/* All ways to the node asked about are dead, and nothing on them has an output: the first one to be executed. */
static uint32_t next_off_branch(const DevView *view)
{
    const DevPlan *plan = view->plan;
    uint32_t at = view->at;
    for (;;) {
        uint32_t before = FLOW_GRAPH_NONE;
        for (uint32_t i = plan->in_first[at]; i < plan->in_first[at + 1]; i++) {
            uint32_t source = plan->plan->edges[plan->in_edges[i]].source;
            if (view->outs[source].has_output)
                return at == view->at ? FLOW_GRAPH_NONE : at;
            before = before == FLOW_GRAPH_NONE ? source : before;
        }
        if (before == FLOW_GRAPH_NONE)
            return at == view->at ? FLOW_GRAPH_NONE : at;
        at = before;
    }
}

uint32_t dev_view_next(const DevView *view)
{
    const FlowDevJob *job = view->job;
    for (uint32_t at = 0; at < view->at; at++) {
        FlowDevState state = view->seen[at].state;
        if (view->seen[at].is_wanted && view->outs[at].is_live &&
            (state == FLOW_DEV_MISSING || state == FLOW_DEV_STALE) &&
            !job->has_run[view->plan->plan->nodes[at].node])
            return at;
    }
    uint32_t off = view->outs[view->at].is_live ? FLOW_GRAPH_NONE : next_off_branch(view);
    return off != FLOW_GRAPH_NONE && !job->has_run[view->plan->plan->nodes[off].node] ? off : FLOW_GRAPH_NONE;
}

const char **dev_view_missing(const DevView *view, size_t *ret_count)
{
    const char **names = flow_calloc(view->at + 2, sizeof *names);
    *ret_count = 0;
    /* The nearest pinned or known outputs end the search: what is before them isn't needed. */
    bool *wanted = flow_calloc(view->at + 1, sizeof *wanted);
    wanted[view->at] = true;
    for (uint32_t at = view->at + 1; at-- > 0;) {
        if (!wanted[at] || (at != view->at && view->outs[at].has_output))
            continue;
        for (uint32_t i = view->plan->in_first[at]; i < view->plan->in_first[at + 1]; i++) {
            uint32_t source = view->plan->plan->edges[view->plan->in_edges[i]].source;
            wanted[source] = wanted[source] || view->outs[source].is_live;
        }
    }
    for (uint32_t at = 0; at < view->at; at++)
        if (wanted[at] && !view->outs[at].has_output)
            names[(*ret_count)++] = def_of(view, at)->id;
    if (*ret_count == 0) /* all ways are dead: any of the nodes before it would do */
        for (uint32_t i = view->plan->in_first[view->at]; i < view->plan->in_first[view->at + 1]; i++)
            if (!view->outs[view->plan->plan->edges[view->plan->in_edges[i]].source].has_output &&
                *ret_count <= view->at)
                names[(*ret_count)++] =
                    def_of(view, view->plan->plan->edges[view->plan->in_edges[i]].source)->id;
    free(wanted);
    return names;
}

/* A live edge whose source has no output: it must be there before the node can be executed. */
static bool lacks_a_source(const DevView *view)
{
    const DevPlan *plan = view->plan;
    for (uint32_t i = plan->in_first[view->at]; i < plan->in_first[view->at + 1]; i++) {
        uint32_t source = plan->plan->edges[plan->in_edges[i]].source;
        if (view->outs[source].is_live && !view->outs[source].has_output)
            return true;
    }
    return false;
}

bool dev_view_input(DevView *view, FlowDevPayload *ret_input, FlowHash128 *ret_hash, bool *ret_off,
                    FlowError *reterr)
{
    reterr->status = FLOW_OK;
    uint32_t *edges = room_for_edges(view, view->at);
    size_t count = sources(view, view->at, true, edges);
    *ret_off = count == 0;
    bool there = !lacks_a_source(view);
    if (there && count == 0)
        there = (count = sources(view, view->at, false, edges)) > 0;
    if (there) {
        uint32_t fork;
        FlowDevPayload input = {flow_value_null(), flow_value_null(), flow_value_null()};
        there = dev_ways_merge(view->plan, view->outs, edges, count, &input.data, &input.metadata, &fork,
                               reterr) == FLOW_OK;
        if (there) {
            const DevOutput *source = output_of(view, view->plan->plan->edges[edges[0]].source);
            input.id = source ? flow_value_ref(source->payload.id) : flow_value_null();
            *ret_hash = input_hash(view, edges, count);
            *ret_input = input;
        }
    }
    free(edges);
    return there;
}

FlowDevInput *dev_view_inputs(const DevView *view, size_t *ret_count)
{
    const DevPlan *plan = view->plan;
    const FlowGraphNode *def = def_of(view, view->at);
    FlowDevInput *inputs = flow_calloc(def->in_count + 1, sizeof *inputs);
    size_t count = 0;
    for (uint32_t i = plan->in_first[view->at]; i < plan->in_first[view->at + 1]; i++) {
        const FlowPlanEdge *edge = &plan->plan->edges[plan->in_edges[i]];
        const DevSeen *seen = &view->seen[edge->source];
        const DevOutput *output = output_of(view, edge->source);
        FlowDevInput *input = &inputs[count++];
        *input = (FlowDevInput){.node_id = def_of(view, edge->source)->id,
                                .edge_id = plan->graph->edges[edge->edge].id,
                                .state = seen->state,
                                .time_ns = output ? output->time_ns : 0};
        if (view->outs[edge->source].has_output && !dev_edge_is_live(plan, view->outs, plan->in_edges[i])) {
            input->state = FLOW_DEV_NOT_TAKEN;
            snprintf(input->reason, sizeof input->reason, "%s",
                     view->outs[edge->source].branch == FLOW_GRAPH_NONE && view->outs[edge->source].is_live
                         ? "its branch ended there"
                         : "the branch that was taken doesn't lead here");
        } else {
            snprintf(input->reason, sizeof input->reason, "%s", seen->reason);
        }
    }
    for (uint32_t i = 0; i < def->in_count; i++) {
        const FlowGraphEdge *edge = &plan->graph->edges[def->in_edges[i]];
        if (!edge->is_queue)
            continue;
        const char *writer = plan->graph->nodes[edge->source].id;
        const DevOutput *output = dev_session_output(view->job->session, writer);
        inputs[count] = (FlowDevInput){.node_id = writer,
                                       .edge_id = "",
                                       .state = output ? FLOW_DEV_FRESH : FLOW_DEV_MISSING,
                                       .time_ns = output ? output->time_ns : 0};
        if (output == NULL)
            strcpy(inputs[count].reason, "it has not been executed in this session");
        count++;
    }
    *ret_count = count;
    return inputs;
}

FlowDevState dev_view_judge(DevView *view, char *reason, size_t size)
{
    const DevSeen *seen = &view->seen[view->at];
    snprintf(reason, size, "%s", seen->reason);
    return seen->state;
}
