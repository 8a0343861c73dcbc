/* Stands in for the template engine, which is not in this tree yet: nothing compiles. Delete it when the engine comes. */
#include "template/template.h"
const FlowTemplateLimits flow_template_default_limits;
FlowStatus flow_template_compile(const char *s, size_t l, const FlowTemplateOptions *o, FlowTemplate **r,
                                 FlowTemplateError *d, FlowError *e)
{
    (void)s;
    (void)l;
    (void)o;
    (void)r;
    (void)d;
    return flow_error_set(e, FLOW_INVALID_ARGUMENT, "X", NULL, "stub");
}
FlowStatus flow_expression_compile(const char *s, size_t l, const FlowTemplateOptions *o, FlowTemplate **r,
                                   FlowTemplateError *d, FlowError *e)
{
    return flow_template_compile(s, l, o, r, d, e);
}
FlowTemplate *flow_template_ref(FlowTemplate *t)
{
    return t;
}
FlowTemplate *flow_template_unref(FlowTemplate *t)
{
    (void)t;
    return NULL;
}
FlowStatus flow_template_render(const FlowTemplate *t, const FlowTemplateContext *c, FlowBuf *o,
                                FlowTemplateError *d, FlowError *e)
{
    (void)t;
    (void)c;
    (void)o;
    (void)d;
    return flow_error_set(e, FLOW_INVALID_ARGUMENT, "X", NULL, "stub");
}
FlowStatus flow_template_eval(const FlowTemplate *t, const FlowTemplateContext *c, FlowValue *o,
                              FlowTemplateError *d, FlowError *e)
{
    (void)t;
    (void)c;
    (void)o;
    (void)d;
    return flow_error_set(e, FLOW_INVALID_ARGUMENT, "X", NULL, "stub");
}
FlowStatus flow_expression_test(const FlowTemplate *t, const FlowTemplateContext *c, bool *b, FlowValue *o,
                                FlowTemplateError *d, FlowError *e)
{
    (void)t;
    (void)c;
    (void)b;
    (void)o;
    (void)d;
    return flow_error_set(e, FLOW_INVALID_ARGUMENT, "X", NULL, "stub");
}
bool flow_template_is_template(const char *t, size_t l)
{
    (void)t;
    (void)l;
    return false;
}
bool flow_template_is_value(const FlowTemplate *t)
{
    (void)t;
    return false;
}
bool flow_template_is_constant(const FlowTemplate *t)
{
    (void)t;
    return false;
}
size_t flow_template_path_count(const FlowTemplate *t)
{
    (void)t;
    return 0;
}
const FlowTemplatePath *flow_template_path(const FlowTemplate *t, size_t i)
{
    (void)t;
    (void)i;
    return NULL;
}
