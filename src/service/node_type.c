/* node_type.c - NodeTypeService: the node types that the server knows, and their forms. */
#include "flowengine/v1/node_type_service.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "forms/view.h"
#include "service/convert.h"
#include "service/service_internal.h"
#include "value/json.h"
#include "wire/json.h"
#include "wire/struct.h"
#include "wire/unpack.h"

enum { FORM_BYTES = 4 << 20 };

static const FlowNodeType *find(FlowServices *services, FlowRpcCall *call, const char *name)
{
    const FlowNodeType *type = flow_registry_find(services->registry, name, strlen(name));
    if (type != NULL)
        return type;
    const char *nearest = flow_registry_nearest(services->registry, name, strlen(name));
    FlowError error;
    flow_error_set(&error, FLOW_NOT_FOUND, "NODE_TYPE_NOT_FOUND", "type",
                   "there is no node type \"%.64s\"%s%s%s", name, nearest != NULL ? "; did you mean \"" : "",
                   nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
    flow_service_fail_resource(call, &error, "NodeType", name);
    return NULL;
}

/* ---- forms ---- */

/* The form room shows a form in the shape of the Form message's JSON. */
static Flowengine__V1__Form *make_form(FlowPb *pb, FlowValue shown, bool bound, bool valid)
{
    const FlowWirePool *pool = flow_wire_contract();
    const FlowWireMessage *type = flow_wire_message(pool, "flowengine.v1.Form");
    const FlowWireScanLimits limits = FLOW_WIRE_SCAN_LIMITS_DEFAULT;
    const ProtobufCMessage *message = NULL;
    FlowBuf bytes;
    flow_buf_init(&bytes, FORM_BYTES);
    char *kept = NULL;
    if (flow_message_from_value(pool, type, shown, 0, &bytes, NULL) == FLOW_OK)
        kept = flow_arena_strndup(pb->arena, bytes.data != NULL ? bytes.data : "", bytes.len);
    if (kept == NULL ||
        flow_wire_unpack(type, kept, bytes.len, &limits, pb->arena, &message, NULL) != FLOW_OK)
        pb->failed = true;
    flow_buf_done(&bytes);
    Flowengine__V1__Form *form = (Flowengine__V1__Form *)(uintptr_t)message;
    if (form != NULL) {
        form->bound = bound;
        form->valid = valid;
    }
    return form;
}

/* ---- ListNodeTypes, GetNodeType ---- */

static Flowengine__V1__Port *make_port(FlowPb *pb, const char *name, const char *description, bool any_name)
{
    Flowengine__V1__Port *port = FLOW_PB(pb, Flowengine__V1__Port, flowengine__v1__port__init);
    if (port == NULL)
        return NULL;
    port->name = flow_pb_borrow(name);
    port->label = flow_pb_borrow(name);
    port->description = flow_pb_borrow(description);
    port->any_name = any_name;
    return port;
}

static void add_ports(FlowPb *pb, const FlowNodeType *from, Flowengine__V1__NodeType *to)
{
    size_t count = 0;
    while (from->branches != NULL && from->branches[count].name != NULL)
        count++;
    to->inputs = (Flowengine__V1__Port **)flow_pb_list(pb, 1);
    to->outputs = (Flowengine__V1__Port **)flow_pb_list(pb, count + 1);
    if (to->inputs == NULL || to->outputs == NULL)
        return;
    if (from->kind != FLOW_NODE_PRODUCER)
        to->inputs[to->n_inputs++] = make_port(pb, "default", "the payload", false);
    for (size_t i = 0; i < count; i++)
        to->outputs[to->n_outputs++] =
            make_port(pb, from->branches[i].name, from->branches[i].summary, false);
    if (from->flags & FLOW_NODE_OWN_BRANCHES)
        to->outputs[to->n_outputs++] = make_port(pb, "", "one for each case of the form", true);
    else if (count == 0)
        to->outputs[to->n_outputs++] = make_port(pb, "default", "the payload, with the result", false);
}

static void add_form(FlowPb *pb, FlowServices *services, const FlowNodeType *from,
                     Flowengine__V1__NodeType *to)
{
    const FlowFormSchema *schema = flow_registry_schema(services->registry, from);
    const FlowFormInput input = {.mode = FLOW_FORM_UNBOUND};
    FlowFormView view;
    if (schema == NULL) {
        to->form = FLOW_PB(pb, Flowengine__V1__Form, flowengine__v1__form__init);
        return;
    }
    /* A form whose choices have to be asked for is shown by GetForm. */
    if (flow_form_view_now(schema, &input, NULL, flow_value_null(), &view, NULL) != FLOW_OK)
        return;
    to->form = make_form(pb, view.form, false, false);
    flow_form_view_done(&view);
}

/* Form values of the example workflow's first node of this type. */
static void add_example(FlowPb *pb, const FlowNodeType *from, Flowengine__V1__NodeType *to)
{
    FlowValue workflow;
    if (from->example == NULL ||
        flow_json_read(from->example, strlen(from->example), NULL, &workflow, NULL) != FLOW_OK)
        return;
    const FlowValue *nodes = flow_object_get(workflow, "nodes");
    for (size_t i = 0; nodes != NULL && i < flow_array_count(*nodes); i++) {
        FlowValue node = *flow_array_at(*nodes, i);
        const FlowValue *type = flow_object_get(node, "type"), *data = flow_object_get(node, "data");
        const FlowValue *form = data != NULL ? flow_object_get(*data, "form") : NULL;
        if (type == NULL || form == NULL || !flow_value_text_equals(type, from->name))
            continue;
        FLOW_PB_SET_STRUCT(to, NODE_TYPE, example, EXAMPLE, flow_pb_struct(pb, *form, "example", NULL));
        break;
    }
    flow_value_unref(workflow);
}

static char *documentation(FlowPb *pb, const FlowNodeType *type)
{
    FlowBuf text;
    flow_buf_init(&text, 64 * 1024);
    flow_buf_printf(&text, "# %s\n\n%s\n", type->name, type->summary != NULL ? type->summary : "");
    if (type->description != NULL)
        flow_buf_printf(&text, "\n%s\n", type->description);
    if (type->result != NULL)
        flow_buf_printf(&text, "\n## Result\n\n%s\n", type->result);
    if (type->example != NULL)
        flow_buf_printf(&text, "\n## Example\n\n```json\n%s\n```\n", type->example);
    char *kept = text.failed ? NULL : flow_arena_strndup(pb->arena, text.data, text.len);
    pb->failed = pb->failed || kept == NULL;
    flow_buf_done(&text);
    return kept != NULL ? kept : flow_pb_borrow("");
}

static Flowengine__V1__NodeType *make_type(FlowPb *pb, FlowServices *services, const FlowNodeType *from)
{
    static const char *const categories[FLOW_NODE_KIND_COUNT] = {"producers", "blocking", "non-blocking",
                                                                 "conditional"};
    Flowengine__V1__NodeType *to = FLOW_PB(pb, Flowengine__V1__NodeType, flowengine__v1__node_type__init);
    if (to == NULL)
        return NULL;
    to->type = flow_pb_borrow(from->name);
    to->kind = (Flowengine__V1__NodeType__Kind)(from->kind + 1);
    to->pool = (Flowengine__V1__NodeType__Pool)(from->pool + 1);
    to->label = flow_pb_borrow(from->label != NULL ? from->label : from->name);
    to->description = flow_pb_borrow(from->summary);
    to->category = flow_pb_borrow(categories[from->kind]);
    to->version = flow_pb_text(pb, "%u", (unsigned)from->version);
    add_ports(pb, from, to);
    add_form(pb, services, from, to);
    to->result_key = flow_pb_borrow(from->output_key);
    to->side_effects = from->flags & FLOW_NODE_SIDE_EFFECTS;
    add_example(pb, from, to);
    to->documentation = documentation(pb, from);
    to->source = FLOWENGINE__V1__NODE_TYPE__SOURCE__BUILTIN;
    return to;
}

/* Pages begin behind the type whose name the token is: types come and go with workers, places don't. */
static void list_node_types(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__ListNodeTypesRequest *request = flow_rpc_request(call);
    size_t page_size = flow_service_page_size(call, request->page_size), count;
    if (page_size == 0)
        return;
    Flowengine__V1__ListNodeTypesResponse response = FLOWENGINE__V1__LIST_NODE_TYPES_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(call)};
    const FlowNodeType **types = flow_registry_list(services->registry, &count);
    response.node_types = (Flowengine__V1__NodeType **)flow_pb_list(&pb, count);
    for (size_t i = 0; response.node_types != NULL && i < count && !pb.failed; i++) {
        if (strcmp(types[i]->name, request->page_token) <= 0 ||
            (request->kind != 0 && (int)request->kind != (int)types[i]->kind + 1))
            continue;
        if (response.n_node_types == page_size) {
            response.next_page_token = response.node_types[page_size - 1]->type;
            break;
        }
        response.node_types[response.n_node_types++] = make_type(&pb, services, types[i]);
    }
    if (pb.failed)
        flow_service_no_room(call);
    else
        flow_rpc_reply(call, &response.base);
    free(types);
}

static void get_node_type(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__GetNodeTypeRequest *request = flow_rpc_request(call);
    const FlowNodeType *type = find(services, call, request->type);
    if (type == NULL)
        return;
    Flowengine__V1__GetNodeTypeResponse response = FLOWENGINE__V1__GET_NODE_TYPE_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(call)};
    response.node_type = make_type(&pb, services, type);
    if (pb.failed)
        flow_service_no_room(call);
    else
        flow_rpc_reply(call, &response.base);
}

/* ---- GetForm, UpdateFormField ---- */

/* A form that is being shown: its choices may take a while. */
typedef struct Showing {
    FlowRpcCall *call;
    FlowFormMode mode;
    bool update;
} Showing;

static void on_shown(FlowFormView *view, const FlowError *error, void *data)
{
    Showing *showing = data;
    FlowRpcCall *call = showing->call;
    bool update = showing->update, bound = showing->mode != FLOW_FORM_UNBOUND;
    free(showing);
    if (error != NULL) {
        flow_rpc_fail(call, error);
        return;
    }
    FlowPb pb = {.arena = flow_rpc_arena(call)};
    Flowengine__V1__GetFormResponse shown = FLOWENGINE__V1__GET_FORM_RESPONSE__INIT;
    Flowengine__V1__UpdateFormFieldResponse updated = FLOWENGINE__V1__UPDATE_FORM_FIELD_RESPONSE__INIT;
    shown.form = updated.form = make_form(&pb, view->form, bound, view->valid);
    if (update) {
        flow_pb_paths(&pb, view->cleared, &updated.n_cleared, &updated.cleared);
        FLOW_PB_SET_STRUCT(&updated, UPDATE_FORM_FIELD_RESPONSE, values, VALUES,
                           flow_pb_struct(&pb, view->values, "values", NULL));
    }
    if (pb.failed)
        flow_service_no_room(call);
    else
        flow_rpc_reply(call, update ? &updated.base : &shown.base);
}

static Showing *new_showing(FlowRpcCall *call, FlowFormMode mode, bool update)
{
    Showing *showing = flow_new(Showing);
    *showing = (Showing){call, mode, update};
    return showing;
}

/* A type without a form has an empty one. */
static const FlowFormSchema *schema_of(FlowServices *services, FlowRpcCall *call, const FlowNodeType *type)
{
    const FlowFormSchema *schema = flow_registry_schema(services->registry, type);
    if (schema != NULL)
        return schema;
    FlowError error;
    flow_error_set(&error, FLOW_FAILED_PRECONDITION, "FIELD_NOT_FOUND", "type",
                   "the node type \"%s\" has no form", type->name);
    flow_rpc_fail(call, &error);
    return NULL;
}

static void get_form(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__GetFormRequest *request = flow_rpc_request(call);
    const FlowNodeType *type = find(services, call, request->type);
    const FlowFormSchema *schema = type != NULL ? flow_registry_schema(services->registry, type) : NULL;
    FlowError error;
    if (type == NULL)
        return;
    if (schema == NULL) {
        Flowengine__V1__GetFormResponse response = FLOWENGINE__V1__GET_FORM_RESPONSE__INIT;
        Flowengine__V1__Form empty = FLOWENGINE__V1__FORM__INIT;
        response.form = &empty;
        flow_rpc_reply(call, &response.base);
        return;
    }
    bool bound = request->has_values_case != FLOWENGINE__V1__GET_FORM_REQUEST__HAS_VALUES__NOT_SET;
    FlowFormInput input = {.mode = !bound             ? FLOW_FORM_UNBOUND
                                   : request->partial ? FLOW_FORM_PARTIAL
                                                      : FLOW_FORM_BOUND};
    if (flow_value_from_pb(request->values, "values", &input.values, &error) != FLOW_OK) {
        flow_rpc_fail(call, &error);
        return;
    }
    flow_form_job_unref(flow_form_show(schema, &input, on_shown, new_showing(call, input.mode, false)));
    flow_value_unref(input.values);
}

static void update_form_field(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__UpdateFormFieldRequest *request = flow_rpc_request(call);
    const FlowNodeType *type = find(services, call, request->type);
    const FlowFormSchema *schema = type != NULL ? schema_of(services, call, type) : NULL;
    FlowFormInput input = {.mode = FLOW_FORM_PARTIAL};
    FlowValue value = flow_value_null();
    FlowError error;
    if (schema == NULL)
        return;
    FlowStatus status = flow_value_from_pb(request->values, "values", &input.values, &error);
    if (status == FLOW_OK)
        status = flow_struct_read(FLOW_STRUCT_ANY, request->value.data, request->value.len, "value", &value,
                                  &error);
    if (status == FLOW_OK)
        flow_form_job_unref(flow_form_update_field(schema, &input, request->field, value, on_shown,
                                                   new_showing(call, input.mode, true)));
    else
        flow_rpc_fail(call, &error);
    flow_value_unref(input.values);
    flow_value_unref(value);
}

const FlowRpcBinding flow_node_type_handlers[] = {
    {"flowengine.v1.NodeTypeService/ListNodeTypes", list_node_types},
    {"flowengine.v1.NodeTypeService/GetNodeType", get_node_type},
    {"flowengine.v1.NodeTypeService/GetForm", get_form},
    {"flowengine.v1.NodeTypeService/UpdateFormField", update_form_field},
    {NULL, NULL},
};
