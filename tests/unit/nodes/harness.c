#include "harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nodes/nodes.h"
#include "template/template.h"
#include "value/json.h"

enum { START_WALL_S = 1709208000 };

FlowValue harness_json(const char *text)
{
    FlowValue value = flow_value_null();
    FlowError error;
    if (flow_json_read(text, strlen(text), NULL, &value, &error) != FLOW_OK)
        fail_msg("%s: %s", text, error.message);
    return value;
}

static FlowRegistry *make_registry(void)
{
    FlowRegistry *registry = flow_registry_new();
    FlowError error;
    if (flow_nodes_register(registry, &error) != FLOW_OK)
        fail_msg("%s: %s", error.where, error.message);
    return registry;
}

/* ---- the host ---- */

static Harness *of_call(FlowNodeCall *call)
{
    return flow_container_of(call, Harness, call);
}

static void ended(Harness *h, FlowNodeOutcome outcome)
{
    FlowNodeCall *call = &h->call;
    assert_true(h->is_open);
    assert_int_not_equal(outcome, FLOW_NODE_PENDING);
    h->is_open = false;
    h->outcome = outcome;
    h->branch = call->branch;
    h->error = call->error;
    free(h->data);
    free(h->metadata);
    h->data = flow_json_text(call->has_data ? call->out_data : call->data, 0);
    h->metadata = flow_json_text(call->has_metadata ? call->out_metadata : call->metadata, 0);
    flow_value_assign_take(&h->elements, flow_value_steal(&call->elements));
    if (call->has_state)
        flow_value_assign_take(&h->state, flow_value_steal(&call->out_state));
    flow_node_call_done(call);
    flow_value_clear(&call->data);
    flow_value_clear(&call->metadata);
    flow_form_values_done(&h->values);
    /* Poisoned, so that a node that goes on using it is found out. */
    memset(call->memory, 0xee, h->node.type->call_size);
}

static void on_finished(FlowNodeCall *call, FlowNodeOutcome outcome)
{
    ended(of_call(call), outcome);
}

static FlowStatus on_push(FlowNodeCall *call, const char *queue, FlowValue data_take, FlowValue metadata_take,
                          FlowError *reterr)
{
    (void)reterr;
    char *data = flow_json_text(data_take, 0);
    flow_buf_printf(&of_call(call)->pushes, "%s: %s\n", queue, data);
    free(data);
    flow_value_unref(data_take);
    flow_value_unref(metadata_take);
    return FLOW_OK;
}

static void on_log(FlowNodeCall *call, FlowLogLevel level, const char *message, FlowValue fields)
{
    (void)fields;
    flow_buf_printf(&of_call(call)->log, "%s: %s\n", flow_log_level_name(level), message);
}

static void on_waiting(FlowNodeCall *call)
{
    of_call(call)->waiting = call->waiting;
}

static const FlowNodeHost host = {
    .finished = on_finished, .push = on_push, .log = on_log, .waiting = on_waiting};

/* ---- life ---- */

Harness *harness_new_with(const char *type, const char *form, FlowValue state_take, const char *const *queues,
                          uint32_t queue_count)
{
    Harness *h = flow_new(Harness);
    FlowError error;
    h->registry = make_registry();
    h->clock = flow_test_clock_new(START_WALL_S * FLOW_NS_PER_S);
    assert_int_equal(flow_loop_new("test", h->clock, &h->loop, NULL), FLOW_OK);
    flow_buf_init(&h->pushes, 0);
    flow_buf_init(&h->log, 0);
    const FlowNodeType *found = flow_registry_find(h->registry, type, strlen(type));
    assert_non_null(found);
    const FlowFormSchema *schema = flow_registry_schema(h->registry, found);
    if (schema) {
        FlowValue values = harness_json(form);
        FlowFormErrors errors = {0};
        if (flow_form_load(schema, values, NULL, &h->form, &errors) != FLOW_OK)
            fail_msg("%s: %s", form, errors.count ? errors.items[0].message : "?");
        flow_form_errors_done(&errors);
        flow_value_unref(values);
    }
    h->node = (FlowNode){
        .type = found,
        .id = "node",
        .form = h->form,
        .loop = h->loop,
        .host = &host,
        .memory = flow_calloc(1, found->instance_size + 1),
        .state = state_take,
        .queues = queues,
        .queue_count = queue_count,
        .output_key = found->output_key ? flow_value_string(found->output_key) : flow_value_null(),
    };
    h->call.node = &h->node;
    h->call.host = &host;
    h->call.memory = flow_calloc(1, found->call_size + 1);
    flow_loop_enter(h->loop);
    if (found->setup && found->setup(&h->node, &error) != FLOW_OK)
        fail_msg("setup: %s", error.message);
    flow_loop_leave(h->loop);
    return h;
}

Harness *harness_new(const char *type, const char *form)
{
    return harness_new_with(type, form, flow_value_null(), NULL, 0);
}

FlowNodeOutcome harness_start(Harness *h, const char *data)
{
    assert_false(h->is_open);
    h->is_open = true;
    FlowNodeCall *call = &h->call;
    call->data = data ? harness_json(data) : flow_value_object();
    call->metadata = flow_value_object();
    h->vars[0] = (FlowTemplateVar){"data", call->data};
    h->vars[1] = (FlowTemplateVar){"metadata", call->metadata};
    h->context = (FlowTemplateContext){.vars = h->vars, .var_count = 2, .clock = h->clock};
    call->context = &h->context;
    flow_node_call_reset(call);
    memset(call->memory, 0, h->node.type->call_size);
    if (h->form) {
        FlowFormErrors errors = {0};
        FlowStatus status = flow_form_run(h->form, &h->context, &h->values, &errors);
        if (status != FLOW_OK) {
            flow_form_errors_to_error(&errors, &call->error);
            flow_form_errors_done(&errors);
            ended(h, FLOW_NODE_FAILED);
            return FLOW_NODE_FAILED;
        }
        flow_form_errors_done(&errors);
    }
    call->form = h->form ? &h->values : NULL;
    flow_loop_enter(h->loop);
    FlowNodeOutcome outcome = h->node.type->start(call);
    flow_loop_leave(h->loop);
    assert_true(h->is_open); /* finish within start */
    if (outcome != FLOW_NODE_PENDING)
        ended(h, outcome);
    return outcome;
}

void harness_advance(Harness *h, int64_t ns)
{
    flow_test_clock_advance(h->clock, ns);
    while (flow_loop_turn(h->loop))
        continue;
}

void harness_cancel(Harness *h)
{
    assert_true(h->is_open);
    h->call.cancelled = true;
    flow_loop_enter(h->loop);
    h->node.type->cancel(&h->call);
    flow_loop_leave(h->loop);
    harness_advance(h, 0);
    assert_false(h->is_open);
}

void harness_free(Harness *h)
{
    assert_false(h->is_open);
    flow_loop_enter(h->loop);
    if (h->node.type->cleanup)
        h->node.type->cleanup(&h->node);
    flow_loop_leave(h->loop);
    flow_value_unref(h->node.state);
    flow_value_unref(h->node.output_key);
    flow_value_unref(h->state);
    flow_value_unref(h->elements);
    free(h->node.memory);
    free(h->call.memory);
    free(h->data);
    free(h->metadata);
    flow_buf_done(&h->pushes);
    flow_buf_done(&h->log);
    flow_form_unref(h->form);
    flow_loop_free(h->loop);
    flow_test_clock_free(h->clock);
    flow_registry_free(h->registry);
    free(h);
}

char *harness_form_errors(const char *type, const char *form)
{
    FlowRegistry *registry = make_registry();
    const FlowNodeType *found = flow_registry_find(registry, type, strlen(type));
    FlowValue values = harness_json(form);
    FlowFormErrors errors = {0};
    FlowForm *loaded = NULL;
    FlowBuf said;
    assert_non_null(found);
    flow_buf_init(&said, 0);
    const FlowFormSchema *schema = flow_registry_schema(registry, found);
    if (schema)
        flow_form_load(schema, values, NULL, &loaded, &errors);
    for (size_t i = 0; i < errors.count; i++)
        flow_buf_printf(&said, "%s%s%s%s", i ? "; " : "", errors.items[i].name ? errors.items[i].name : "",
                        errors.items[i].name ? ": " : "", errors.items[i].message);
    FlowError error;
    if (loaded && found->is_ready && found->is_ready(values, &error) != FLOW_OK)
        flow_buf_printf(&said, "%s: %s", error.where, error.message);
    flow_form_errors_done(&errors);
    flow_form_unref(loaded);
    flow_value_unref(values);
    flow_registry_free(registry);
    flow_buf_byte(&said, '\0');
    return flow_buf_take(&said, NULL);
}
