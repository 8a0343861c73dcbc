/* node_validator.c - NodeValidator: loads every node's form, then asks the node whether it is ready. */
#include "engine/graph_internal.h"
#include "engine/post_process.h"
#include "forms/form.h"

static void report(FlowProblems *problems, const FlowGraphNode *node, const FlowFormErrors *errors)
{
    char field[FLOW_GRAPH_FIELD_TEXT];
    size_t kept = errors->count < FLOW_FORM_ERRORS_MAX ? errors->count : FLOW_FORM_ERRORS_MAX;
    for (size_t i = 0; i < kept; i++) {
        const FlowFormError *error = &errors->items[i];
        flow_graph__form_field(field, node, error->name);
        flow_problems_add(
            problems, error->warning ? FLOW_PROBLEM_FORM_KEY_UNKNOWN : FLOW_PROBLEM_FORM_INVALID, node->id,
            NULL, field, "%s%s%s", error->name ? error->name : "", error->name ? ": " : "", error->message);
    }
}

static void validate(FlowGraph *graph, FlowGraphNode *node, FlowProblems *problems)
{
    FlowFormOptions options = {.lenient = graph->workflow->undefined_lenient};
    FlowFormErrors errors = {0};
    if (node->schema) {
        FlowStatus status = flow_form_load(node->schema, node->form_values, &options, &node->form, &errors);
        report(problems, node, &errors);
        if (status != FLOW_OK && !errors.failures)
            flow_problems_add(problems, FLOW_PROBLEM_FORM_INVALID, node->id, NULL, NULL,
                              "the form of node '%s' can't be loaded: it takes too much memory", node->id);
        flow_form_errors_done(&errors);
        if (status != FLOW_OK)
            return;
    }
    FlowError error;
    if (node->type->is_ready && node->type->is_ready(node->form_values, &error) != FLOW_OK) {
        char field[FLOW_GRAPH_FIELD_TEXT];
        flow_problems_add(problems, FLOW_PROBLEM_NODE_NOT_READY, node->id, NULL,
                          flow_graph__form_field(field, node, error.where), "%s", error.message);
    }
}

void flow_node_validator_run(FlowGraph *graph, FlowProblems *problems)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (graph->nodes[i].type)
            validate(graph, &graph->nodes[i], problems);
    }
}
