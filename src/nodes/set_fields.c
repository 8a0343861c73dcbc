/* set_fields.c - sets and removes parts of the data. */
#include "nodes/common.h"
#include "nodes/nodes.h"
#include "template/template.h"
#include "value/path.h"

enum { FIELDS, REMOVE };

static const FlowFieldSpec fields[] = {
    [FIELDS] = {.name = "fields",
                .type = FLOW_FIELD_JSON,
                .json = FLOW_JSON_KIND_OBJECT,
                .flags = FLOW_FIELD_REQUIRED | FLOW_FIELD_EMPTY_OK | FLOW_FIELD_NESTED,
                .widget = FLOW_WIDGET_TEXTAREA,
                .help = "Path to value, such as {\"customer.name\": \"{{ data.name | title }}\"}; strings "
                        "are templates."},
    [REMOVE] = {.name = "remove",
                .type = FLOW_FIELD_JSON,
                .json = FLOW_JSON_KIND_TEXTS,
                .flags = FLOW_FIELD_EMPTY_OK,
                .widget = FLOW_WIDGET_TEXTAREA,
                .help = "Paths to take away, such as [\"password\", \"items[0].price\"]."},
};

static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

static FlowStatus parse(const FlowValue *text, FlowPath **ret_path, FlowError *reterr)
{
    return flow_path_parse(flow_value_text(text), flow_value_length(text), ret_path, reterr);
}

static FlowStatus check_path(const FlowValue *text, const char *field, FlowError *reterr)
{
    FlowPath *path = NULL;
    if (flow_value_kind(*text) != FLOW_VALUE_STRING ||
        flow_template_is_template(flow_value_text(text), flow_value_length(text)))
        return FLOW_OK; /* what it is shows only at run time */
    FlowError error;
    FlowStatus status = parse(text, &path, &error);
    flow_path_free(path);
    return status == FLOW_OK ? FLOW_OK
                             : flow_error_set(reterr, status, error.reason, field, "%s", error.message);
}

static FlowStatus set_fields_is_ready(FlowValue form_values, FlowError *reterr)
{
    const FlowValue *set = flow_object_get(form_values, "fields");
    const FlowValue *removed = flow_object_get(form_values, "remove");
    size_t count = 0;
    const FlowMember *members = set ? flow_object_members(*set, &count) : NULL;
    FlowStatus status = FLOW_OK;
    for (size_t i = 0; i < count && status == FLOW_OK; i++)
        status = check_path(&members[i].key, "fields", reterr);
    const FlowValue *items = removed ? flow_array_items(*removed, &count) : NULL;
    for (size_t i = 0; items && i < count && status == FLOW_OK; i++)
        status = check_path(&items[i], "remove", reterr);
    return status;
}

static FlowNodeOutcome set_fields_start(FlowNodeCall *call)
{
    FlowValue data = flow_value_ref(call->data);
    FlowStatus status = FLOW_OK;
    FlowError error;
    size_t count = 0;
    const FlowMember *members = flow_object_members(flow_form_values_get(call->form, FIELDS), &count);
    for (size_t i = 0; i < count && status == FLOW_OK; i++) {
        FlowPath *path = NULL;
        status = parse(&members[i].key, &path, &error);
        if (status == FLOW_OK)
            status = flow_path_set_take(&data, path, flow_value_ref(members[i].value), &error);
        flow_path_free(path);
    }
    const FlowValue *items = flow_array_items(flow_form_values_get(call->form, REMOVE), &count);
    for (size_t i = 0; items && i < count && status == FLOW_OK; i++) {
        FlowPath *path = NULL;
        status = parse(&items[i], &path, &error);
        if (status == FLOW_OK)
            status = flow_path_remove(&data, path, NULL, &error);
        flow_path_free(path);
    }
    if (status == FLOW_OK)
        return flow_node_call_data_take(call, data);
    flow_value_unref(data);
    return flow_node_call_fail_with(call, &error);
}

const FlowNodeType flow_node_set_fields = {
    .name = "set-fields",
    .label = "Set fields",
    .summary = "Sets and removes parts of the data.",
    .description =
        "A path names keys and indices: customer.name, items[0].price, items[-1], [\"odd.key\"]. Missing "
        "objects "
        "on the way are made. A string that is nothing but one {{ expression }} sets that value with its "
        "type. "
        "First everything is set, in the order of the form, then the paths of `remove` are taken away; one "
        "that isn't there is no failure.",
    .result = "the data, changed",
    .example = "{\"name\": \"prices\", \"nodes\": ["
               "{\"id\": \"orders\", \"type\": \"json-iterator\", \"data\": {\"form\": {\"items\": "
               "[{\"net\": 100}]}}},"
               "{\"id\": \"price\", \"type\": \"set-fields\", \"data\": {\"form\": {\"fields\": "
               "{\"order.gross\": \"{{ "
               "data.item.value.net * 1.19 }}\"}, \"remove\": [\"item\"]}}},"
               "{\"id\": \"show\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"{{ "
               "data.order.gross }}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"orders\", \"target\": \"price\"},"
               "{\"id\": \"e2\", \"source\": \"price\", \"target\": \"show\"}]}",
    .version = 1,
    .kind = FLOW_NODE_BLOCKING,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_PURE,
    .form = &form,
    .is_ready = set_fields_is_ready,
    .start = set_fields_start,
};
