/* development.c - DevelopmentService: templates are tried out. The methods on sessions: session.c. */
#include "flowengine/v1/development_service.pb-c.h"

#include <string.h>

#include "base/mem.h"
#include "dev/dev.h"
#include "service/convert.h"
#include "service/service_internal.h"
#include "template/template.h"
#include "wire/struct.h"

enum { TEMPLATE_BYTES = 1 << 20, OUTPUT_BYTES = 4 << 20 };

/* A render may take up to the limits' two seconds: it happens in the pool. */
typedef struct Render {
    FlowServices *services;
    FlowRpcCall *call;
    FlowWork work;
    FlowDevRequest input; /* where data and metadata come from a session */
    FlowValue data, metadata, run;
    FlowBuf text;
    FlowValue value;
    bool has_value;
    FlowTemplateError detail;
    FlowError error;
} Render;

static void free_render(Render *render)
{
    flow_value_unref(render->data);
    flow_value_unref(render->metadata);
    flow_value_unref(render->run);
    flow_value_unref(render->value);
    flow_buf_done(&render->text);
    free(render);
}

static FlowStatus run_template(Render *render, const FlowTemplate *template)
{
    const FlowTemplateVar vars[] = {{"data", render->data},
                                    {"metadata", render->metadata},
                                    {"workflow", flow_value_object()},
                                    {"run", render->run},
                                    {"env", render->services->env}};
    const FlowTemplateContext context = {
        .vars = vars, .var_count = FLOW_COUNT(vars), .clock = render->services->clock};
    FlowStatus status =
        flow_template_is_value(template)
            ? flow_template_eval(template, &context, &render->value, &render->detail, &render->error)
            : FLOW_OK;
    render->has_value = status == FLOW_OK && flow_template_is_value(template);
    if (status == FLOW_OK)
        status = flow_template_render(template, &context, &render->text, &render->detail, &render->error);
    return status;
}

static void do_render(FlowWork *work)
{
    Render *render = flow_container_of(work, Render, work);
    const Flowengine__V1__RenderTemplateRequest *request = flow_rpc_request(render->call);
    const FlowTemplateOptions options = {.strict = !request->lenient};
    FlowTemplate *template = NULL;
    size_t len = strlen(request->template_);
    FlowStatus status = (request->expression ? flow_expression_compile : flow_template_compile)(
        request->template_, len, &options, &template, &render->detail, &render->error);
    if (status == FLOW_OK)
        status = run_template(render, template);
    if (status == FLOW_OK)
        render->error.status = FLOW_OK;
    flow_template_unref(template);
}

static Flowengine__V1__TemplateError *make_error(FlowPb *pb, const FlowTemplateError *from)
{
    Flowengine__V1__TemplateError *to =
        FLOW_PB(pb, Flowengine__V1__TemplateError, flowengine__v1__template_error__init);
    if (to == NULL)
        return NULL;
    to->kind = (Flowengine__V1__TemplateError__Kind)from->kind;
    to->message = flow_pb_borrow(from->message);
    to->line = (int32_t)from->line;
    to->column = (int32_t)from->column;
    to->excerpt = flow_pb_borrow(from->excerpt);
    to->suggestion = flow_pb_borrow(from->hint);
    return to;
}

static void add_value(FlowPb *pb, Render *render, Flowengine__V1__RenderTemplateResponse *to)
{
    FlowBuf bytes;
    FlowValue paths = flow_value_array();
    flow_buf_init(&bytes, OUTPUT_BYTES);
    char *kept = NULL;
    if (flow_struct_write(FLOW_STRUCT_ANY, render->value, &bytes, "value", &paths, NULL) == FLOW_OK)
        kept = flow_arena_strndup(pb->arena, bytes.data, bytes.len);
    if (kept != NULL)
        FLOW_PB_SET_STRUCT(to, RENDER_TEMPLATE_RESPONSE, value, VALUE,
                           ((ProtobufCBinaryData){bytes.len, (uint8_t *)kept}));
    flow_pb_paths(pb, paths, &to->n_inexact_paths, &to->inexact_paths);
    flow_value_unref(paths);
    flow_buf_done(&bytes);
}

static void on_rendered(FlowWork *work, bool ran)
{
    Render *render = flow_container_of(work, Render, work);
    Flowengine__V1__RenderTemplateResponse response = FLOWENGINE__V1__RENDER_TEMPLATE_RESPONSE__INIT;
    FlowPb pb = {.arena = flow_rpc_arena(render->call)};
    if (!ran) {
        flow_error_set(&render->error, FLOW_UNAVAILABLE, "DRAINING", NULL, "the server is stopping");
        flow_rpc_fail(render->call, &render->error);
        free_render(render);
        return;
    }
    if (render->error.status != FLOW_OK) {
        response.error = make_error(&pb, &render->detail);
    } else {
        const char *text = flow_buf_text(&render->text);
        response.text = flow_pb_borrow(text);
        if (render->has_value)
            add_value(&pb, render, &response);
    }
    if (pb.failed)
        flow_service_no_room(render->call);
    else
        flow_rpc_reply(render->call, &response.base);
    free_render(render);
}

static FlowStatus take_context(Render *render, const Flowengine__V1__RenderTemplateRequest *request,
                               FlowError *reterr)
{
    FlowValue parameters = flow_value_null();
    FlowStatus status = flow_value_from_pb(request->data, "data", &render->data, reterr);
    if (status == FLOW_OK)
        status = flow_value_from_pb(request->metadata, "metadata", &render->metadata, reterr);
    if (status == FLOW_OK)
        status = flow_value_from_pb(request->parameters, "parameters", &parameters, reterr);
    render->run = flow_value_object();
    if (status == FLOW_OK)
        status = flow_object_set_take(&render->run, "parameters", parameters, reterr);
    return status;
}

static void fail(Render *render)
{
    flow_rpc_fail(render->call, &render->error);
    free_render(render);
}

static void start(Render *render)
{
    render->work = (FlowWork){.loop = render->services->loop, .work = do_render, .done = on_rendered};
    if (flow_pool_submit(render->services->definitions, &render->work, &render->error) != FLOW_OK)
        fail(render);
}

/* What the node would be given in the session; what the request says itself comes first. */
static void on_input(FlowDevRequest *input)
{
    Render *render = flow_container_of(input, Render, input);
    const Flowengine__V1__RenderTemplateRequest *request = flow_rpc_request(render->call);
    if (input->error.status != FLOW_OK) {
        render->error = input->error;
        fail(render);
        return;
    }
    if (request->has_data_case == 0 && !flow_value_is_null(input->given.data))
        flow_value_assign_take(&render->data, flow_value_ref(input->given.data));
    if (request->has_metadata_case == 0 && !flow_value_is_null(input->given.metadata))
        flow_value_assign_take(&render->metadata, flow_value_ref(input->given.metadata));
    start(render);
}

static void render_template(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    const Flowengine__V1__RenderTemplateRequest *request = flow_rpc_request(call);
    Render *render = flow_new(Render);
    render->services = services;
    render->call = call;
    flow_buf_init(&render->text, OUTPUT_BYTES);
    if (take_context(render, request, &render->error) != FLOW_OK) {
        fail(render);
    } else if (request->session_id[0] != '\0' || request->node_id[0] != '\0') {
        render->input = (FlowDevRequest){.verb = FLOW_DEV_GET_INPUT,
                                         .done = on_input,
                                         .session_id = request->session_id,
                                         .node_id = request->node_id};
        flow_dev_submit(services->dev, &render->input);
    } else {
        start(render);
    }
}

const FlowRpcBinding flow_development_handlers[] = {
    {"flowengine.v1.DevelopmentService/ExecuteNode", flow_session__execute},
    {"flowengine.v1.DevelopmentService/GetNodeInput", flow_session__get_input},
    {"flowengine.v1.DevelopmentService/GetNodeOutput", flow_session__get_output},
    {"flowengine.v1.DevelopmentService/SetNodeOutput", flow_session__set_output},
    {"flowengine.v1.DevelopmentService/ClearNodeOutput", flow_session__clear_output},
    {"flowengine.v1.DevelopmentService/ListNodeOutputs", flow_session__list},
    {"flowengine.v1.DevelopmentService/ClearSession", flow_session__clear},
    {"flowengine.v1.DevelopmentService/LoadSession", flow_session__load},
    {"flowengine.v1.DevelopmentService/RenderTemplate", render_template},
    {NULL, NULL},
};
