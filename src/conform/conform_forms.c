/* conform_forms.c - fields, forms and the two phases, as Django has them: no templates where Django knows none, no
 * initial value for a field that was not posted. */
#include "conform/conform.h"

#include <stdio.h>
#include <string.h>

#include "forms/form.h"
#include "forms/view.h"

/* The member, or null. */
static FlowValue get(FlowValue object, const char *key)
{
    const FlowValue *member = flow_object_get(object, key);
    return member != NULL ? *member : flow_value_null();
}

/* A one-field description: the case's options and what makes the field behave like Django's. */
static FlowValue one_field(FlowValue field, bool templates)
{
    FlowValue description = flow_value_object(), fields = flow_value_array(), copy = flow_value_ref(field);
    FlowValue type = get(field, "type");
    flow_conform_put(&copy, "name", flow_value_string("f"));
    (void)flow_object_remove(&copy, "initial", NULL);
    if (flow_value_kind(type) == FLOW_VALUE_STRING && flow_value_text_equals(&type, "JSONField") &&
        flow_object_get(field, "native") == NULL)
        flow_conform_put(&copy, "native", flow_value_bool(false));
    if (!templates)
        flow_conform_put(&copy, "template", flow_value_string("literal"));
    (void)flow_array_push_take(&fields, copy, NULL);
    flow_conform_put(&description, "fields", fields);
    return description;
}

static FlowFormSchema *schema_of(FlowValue description, FlowValue *ret_failure)
{
    FlowFormSchema *schema = NULL;
    FlowError error = {0};
    if (flow_form_schema_read(description, NULL, NULL, &schema, &error) == FLOW_OK)
        return schema;
    char text[sizeof error.where + sizeof error.message + 2];
    snprintf(text, sizeof text, "%s: %s", error.where, error.message);
    *ret_failure = flow_conform_failure("protocol", text);
    return NULL;
}

static FlowValue failed(const FlowFormErrors *errors)
{
    FlowValue answer = flow_value_object(), messages = flow_value_array(), codes = flow_value_array();
    for (size_t i = 0; i < errors->count; i++) {
        (void)flow_array_push_take(&messages, flow_value_string(errors->items[i].message), NULL);
        (void)flow_array_push_take(&codes, flow_value_string(errors->items[i].code), NULL);
    }
    flow_conform_put(&answer, "ok", flow_value_bool(false));
    flow_conform_put(&answer, "errors", messages);
    flow_conform_put(&answer, "codes", codes);
    return answer;
}

static FlowValue succeeded(const FlowFormValues *values)
{
    FlowValue answer = flow_value_object();
    flow_conform_put(&answer, "ok", flow_value_bool(true));
    if (values != NULL)
        flow_conform_put(&answer, "cleaned", flow_value_ref(flow_form_values_get(values, 0)));
    return answer;
}

FlowValue flow_conform_field(FlowValue request)
{
    FlowValue description = one_field(get(request, "field"), false), answer = flow_value_null();
    flow_cleanup(flow_form_schema_unrefp) FlowFormSchema *schema = schema_of(description, &answer);
    flow_value_unref(description);
    if (schema == NULL)
        return answer;
    const FlowValue *value = flow_object_get(request, "value");
    FlowValue values = flow_value_object();
    if (value != NULL)
        flow_conform_put(&values, "f", flow_value_ref(*value));
    FlowFormErrors errors = {0};
    FlowForm *form = NULL;
    if (flow_form_load(schema, values, NULL, &form, &errors) == FLOW_OK) {
        FlowFormValues cleaned = {0};
        (void)flow_form_run(form, NULL, &cleaned, &errors);
        answer = succeeded(&cleaned);
        flow_form_values_done(&cleaned);
        flow_form_unref(form);
    } else {
        answer = failed(&errors);
    }
    flow_value_unref(values);
    flow_form_errors_done(&errors);
    return answer;
}

/* ---- two phases ---- */

static const char *kind_name(FlowTemplateErrorKind kind)
{
    static const char *const names[] = {"", "syntax", "undefined", "runtime", "limit"};
    return names[kind];
}

/* The text that the field's template renders to; null when it does not. */
static FlowValue rendered_text(FlowValue source, const FlowTemplateContext *context)
{
    FlowTemplate *tmpl = NULL;
    FlowValue text = flow_value_null();
    FlowBuf out;
    if (flow_value_kind(source) != FLOW_VALUE_STRING)
        return text;
    flow_buf_init(&out, 0);
    if (flow_template_compile(flow_value_text(&source), flow_value_length(&source), NULL, &tmpl, NULL,
                              NULL) == FLOW_OK &&
        flow_template_render(tmpl, context, &out, NULL, NULL) == FLOW_OK)
        text = flow_value_stringn(out.len > 0 ? out.data : "", out.len);
    flow_buf_done(&out);
    flow_template_unref(tmpl);
    return text;
}

static FlowValue run_answer(const FlowForm *form, FlowValue source, FlowValue names)
{
    FlowTemplateVar vars[16];
    size_t count;
    const FlowMember *members = flow_object_members(names, &count);
    if (count > FLOW_COUNT(vars))
        return flow_conform_failure("protocol", "too many names in the context");
    for (size_t i = 0; i < count; i++)
        vars[i] = (FlowTemplateVar){flow_value_text(&members[i].key), members[i].value};
    FlowTemplateContext context = {.vars = vars, .var_count = count};
    FlowFormValues values = {0};
    FlowFormErrors errors = {0};
    FlowValue answer;
    bool dynamic = flow_form_is_dynamic(form, 0);
    if (flow_form_run(form, &context, &values, &errors) == FLOW_OK) {
        answer = succeeded(&values);
    } else if (errors.items[0].template_error) {
        answer = flow_value_object();
        flow_conform_put(&answer, "ok", flow_value_bool(false));
        flow_conform_put(&answer, "render_error",
                         flow_value_string(kind_name(errors.items[0].template_kind)));
        flow_conform_put(&answer, "detail", flow_value_string(errors.items[0].message));
        dynamic = false;
    } else {
        answer = failed(&errors);
    }
    if (dynamic)
        flow_conform_put(&answer, "rendered", rendered_text(source, &context));
    flow_form_values_done(&values);
    flow_form_errors_done(&errors);
    return answer;
}

FlowValue flow_conform_two_phase(FlowValue request)
{
    FlowValue description = one_field(get(request, "field"), true), answer = flow_value_null();
    flow_cleanup(flow_form_schema_unrefp) FlowFormSchema *schema = schema_of(description, &answer);
    flow_value_unref(description);
    if (schema == NULL)
        return answer;
    FlowValue value = get(request, "value"), values = flow_value_object(), load, run;
    flow_conform_put(&values, "f", flow_value_ref(value));
    FlowFormErrors errors = {0};
    FlowForm *form = NULL;
    FlowFormOptions options = {.lenient = true};
    if (flow_form_load(schema, values, &options, &form, &errors) == FLOW_OK) {
        bool dynamic = flow_form_is_dynamic(form, 0);
        FlowFormValues cleaned = {0};
        if (!dynamic)
            (void)flow_form_run(form, NULL, &cleaned, &errors);
        load = succeeded(dynamic ? NULL : &cleaned);
        flow_form_values_done(&cleaned);
        run = run_answer(form, value, get(request, "context"));
        flow_form_unref(form);
    } else if (errors.items[0].template_error) {
        load = succeeded(NULL);
        flow_conform_put(&load, "syntax_error", flow_value_string(errors.items[0].message));
        run = flow_value_object();
        flow_conform_put(&run, "ok", flow_value_bool(false));
        flow_conform_put(&run, "render_error", flow_value_string("syntax"));
    } else {
        load = failed(&errors);
        run = flow_value_ref(load);
    }
    flow_value_unref(values);
    flow_form_errors_done(&errors);
    answer = flow_value_object();
    flow_conform_put(&answer, "load", load);
    flow_conform_put(&answer, "run", run);
    return answer;
}

/* ---- whole forms ---- */

/* Posted names have the form's prefix: "p-name" becomes "name", all others are not of this form. */
static FlowValue without_prefix(FlowValue data, FlowValue prefix)
{
    FlowValue to = flow_value_object();
    size_t count, len = flow_value_length(&prefix);
    const FlowMember *members = flow_object_members(data, &count);
    for (size_t i = 0; i < count; i++) {
        const char *key = flow_value_text(&members[i].key);
        if (strncmp(key, flow_value_text(&prefix), len) == 0 && key[len] == '-')
            flow_conform_put(&to, key + len + 1, flow_value_ref(members[i].value));
    }
    return to;
}

/* The grader's name for a field's attributes is `attrs`. */
static FlowValue renamed_fields(FlowValue fields)
{
    FlowValue to = flow_value_array();
    size_t count;
    const FlowValue *items = flow_array_items(fields, &count);
    for (size_t i = 0; i < count; i++) {
        FlowValue field = flow_value_ref(items[i]);
        flow_conform_put(&field, "attrs", flow_value_ref(get(items[i], "attributes")));
        (void)flow_object_remove(&field, "attributes", NULL);
        (void)flow_array_push_take(&to, field, NULL);
    }
    return to;
}

FlowValue flow_conform_form(FlowValue request)
{
    FlowValue form = get(request, "form"), bound = get(request, "bound");
    FlowValue prefix = get(form, "prefix"), data = get(request, "data");
    FlowValue description = flow_value_ref(form), answer = flow_value_null();
    (void)flow_object_remove(&description, "prefix", NULL);
    flow_cleanup(flow_form_schema_unrefp) FlowFormSchema *schema = schema_of(description, &answer);
    flow_value_unref(description);
    if (schema == NULL)
        return answer;
    bool is_bound = flow_value_kind(bound) == FLOW_VALUE_BOOL && flow_value_get_bool(bound);
    FlowValue posted =
        flow_value_kind(prefix) == FLOW_VALUE_STRING ? without_prefix(data, prefix) : flow_value_ref(data);
    FlowFormInput input = {.mode = is_bound ? FLOW_FORM_BOUND : FLOW_FORM_UNBOUND,
                           .values = posted,
                           .initial = get(request, "initial"),
                           .plain = true};
    FlowFormView view = {0};
    FlowError error;
    FlowStatus status = flow_form_view_now(schema, &input, NULL, flow_value_null(), &view, &error);
    flow_value_unref(posted);
    if (status != FLOW_OK)
        return flow_conform_failure("protocol", error.message);
    FlowValue expect = flow_value_object();
    flow_conform_put(&expect, "is_valid", is_bound ? flow_value_bool(view.valid) : flow_value_null());
    flow_conform_put(&expect, "fields", renamed_fields(get(view.form, "fields")));
    flow_conform_put(&expect, "dependencies", flow_value_ref(get(view.form, "dependencies")));
    flow_conform_put(&expect, "non_field_errors", flow_value_ref(get(view.form, "non_field_errors")));
    if (is_bound)
        flow_conform_put(&expect, "cleaned", flow_value_ref(view.cleaned));
    flow_form_view_done(&view);
    answer = flow_value_object();
    flow_conform_put(&answer, "expect", expect);
    return answer;
}
