/* development.c - DevelopmentService: templates are tried out. */
#include "flowengine/v1/development_service.pb-c.h"

#include <string.h>

#include "base/mem.h"
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
    if (request->session_id[0] != '\0' || request->node_id[0] != '\0')
        return flow_error_set(reterr, FLOW_UNIMPLEMENTED, "NOT_IMPLEMENTED", "session_id",
                              "there are no sessions yet; give data and metadata");
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

static void render_template(FlowRpcCall *call, void *context)
{
    FlowServices *services = context;
    Render *render = flow_new(Render);
    render->services = services;
    render->call = call;
    flow_buf_init(&render->text, OUTPUT_BYTES);
    render->work = (FlowWork){.loop = services->loop, .work = do_render, .done = on_rendered};
    FlowStatus status = take_context(render, flow_rpc_request(call), &render->error);
    if (status == FLOW_OK)
        status = flow_pool_submit(services->definitions, &render->work, &render->error);
    if (status == FLOW_OK)
        return;
    flow_rpc_fail(call, &render->error);
    free_render(render);
}

const FlowRpcBinding flow_development_handlers[] = {
    {"flowengine.v1.DevelopmentService/RenderTemplate", render_template},
    {NULL, NULL},
};
