/*
 * conform_template.c - {"kind": "template", "template", "context"[, "strict"][, "native"][, "expression"]
 * [, "now"]} -> {"expect": text} or {"error": "syntax|undefined|runtime|limit", "detail", "line"}.
 *
 * Beyond the graders' protocol: "native" answers {"value": …}, "expression" takes the template as one
 * expression and answers {"true": …, "value": …}, "now" is the clock in nanoseconds since 1970.
 */
#include "conform/conform.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "template/template.h"

static const char *const kinds[] = {
    [FLOW_TEMPLATE_NO_ERROR] = "internal",   [FLOW_TEMPLATE_SYNTAX] = "syntax",
    [FLOW_TEMPLATE_UNDEFINED] = "undefined", [FLOW_TEMPLATE_RUNTIME] = "runtime",
    [FLOW_TEMPLATE_LIMIT] = "limit",
};

static FlowValue failure(const FlowTemplateError *detail, const FlowError *error)
{
    FlowValue answer = flow_conform_failure(kinds[detail->kind], error->message);
    flow_conform_put(&answer, "line", flow_value_int(detail->line));
    flow_conform_put(&answer, "column", flow_value_int(detail->column));
    flow_conform_put(&answer, "excerpt", flow_value_string(detail->excerpt));
    return answer;
}

static bool flag(FlowValue request, const char *name)
{
    const FlowValue *value = flow_object_get(request, name);
    return value != NULL && flow_value_kind(*value) == FLOW_VALUE_BOOL && flow_value_get_bool(*value);
}

static FlowValue answer_of(const FlowTemplate *tmpl, FlowValue request, const FlowTemplateContext *context)
{
    FlowTemplateError detail = {0};
    FlowError error;
    FlowValue answer = flow_value_object(), value;
    bool truth;
    if (flag(request, "expression")) {
        if (flow_expression_test(tmpl, context, &truth, &value, &detail, &error) != FLOW_OK)
            return failure(&detail, &error);
        flow_conform_put(&answer, "true", flow_value_bool(truth));
        flow_conform_put(&answer, "value", value);
    } else if (flag(request, "native")) {
        if (flow_template_eval(tmpl, context, &value, &detail, &error) != FLOW_OK)
            return failure(&detail, &error);
        flow_conform_put(&answer, "value", value);
    } else {
        FlowBuf out;
        flow_buf_init(&out, 0);
        FlowStatus status = flow_template_render(tmpl, context, &out, &detail, &error);
        if (status == FLOW_OK)
            flow_conform_put(&answer, "expect",
                             flow_value_stringn(out.data != NULL ? out.data : "", out.len));
        else
            answer = failure(&detail, &error);
        flow_buf_done(&out);
    }
    return answer;
}

FlowValue flow_conform_template(FlowValue request)
{
    const FlowValue *source = flow_object_get(request, "template"),
                    *names = flow_object_get(request, "context"), *now = flow_object_get(request, "now");
    if (source == NULL || flow_value_kind(*source) != FLOW_VALUE_STRING)
        return flow_conform_failure("protocol", "no template");
    size_t count = 0;
    const FlowMember *members = names != NULL ? flow_object_members(*names, &count) : NULL;
    FlowTemplateVar *vars = flow_calloc(count + 1, sizeof *vars);
    for (size_t i = 0; i < count; i++)
        vars[i] = (FlowTemplateVar){flow_value_text(&members[i].key), members[i].value};
    FlowClock *clock = now != NULL && flow_value_kind(*now) == FLOW_VALUE_INT
                           ? flow_test_clock_new(flow_value_get_int(*now))
                           : NULL;

    FlowTemplateOptions options = {.strict = flag(request, "strict")};
    FlowTemplateContext context = {.vars = vars, .var_count = count, .clock = clock};
    FlowTemplateError detail = {0};
    FlowError error;
    FlowTemplate *tmpl = NULL;
    FlowStatus status = (flag(request, "expression") ? flow_expression_compile : flow_template_compile)(
        flow_value_text(source), flow_value_length(source), &options, &tmpl, &detail, &error);
    FlowValue answer = status == FLOW_OK ? answer_of(tmpl, request, &context) : failure(&detail, &error);
    flow_template_unref(tmpl);
    flow_test_clock_free(clock);
    free(vars);
    return answer;
}
