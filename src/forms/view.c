/* view.c - a form as JSON, in the shape of the contract's Form message. */
#include "forms/view_internal.h"

#include <stdio.h>

enum { FIELDS_MAX = 256 };

typedef struct Viewer {
    const FlowFormSchema *schema;
    const FlowViewParts *parts;
    FlowForm *form; /* NULL: unbound */
    FlowFormErrors errors;
    FlowValue raw[FIELDS_MAX];
} Viewer;

FlowValue flow_view__raw(const FlowField *field, const FlowViewParts *parts)
{
    const FlowValue *posted = flow_object_getn(parts->values, field->spec->name, field->name_len);
    FlowValue initial = flow_value_null();
    bool disabled = (field->spec->flags & FLOW_FIELD_DISABLED) != 0;
    if (!(parts->below != NULL && parts->below[field->index]))
        flow_form__initial(field, parts->initial, &initial);
    if (parts->mode == FLOW_FORM_UNBOUND || disabled)
        return initial;
    if (parts->plain)
        return posted != NULL ? *posted : flow_value_null();
    return posted != NULL ? *posted : initial;
}

/* JSON is shown as text: in a posted form in Django's spelling of what it understood, otherwise as written. */
static FlowValue json_shown(const Viewer *self, const FlowField *field, FlowValue value)
{
    FlowValue parsed = flow_value_null();
    bool is_text = flow_value_kind(value) == FLOW_VALUE_STRING;
    bool posted = self->parts->mode != FLOW_FORM_UNBOUND && !(field->spec->flags & FLOW_FIELD_DISABLED);
    if (!self->parts->plain)
        return is_text || flow_value_is_null(value) ? flow_value_ref(value) : flow_py__json_dumps(value);
    if (!posted || !is_text)
        return posted && flow_value_is_null(value) ? flow_value_null() : flow_py__json_dumps(value);
    if (!flow_form__read_json(value, &parsed))
        return flow_value_ref(value);
    FlowValue shown = flow_py__json_dumps(parsed);
    flow_value_unref(parsed);
    return shown;
}

/* BoundField.value(), without what must not be shown; yours. */
static FlowValue shown(const Viewer *self, const FlowField *field)
{
    FlowValue value = self->raw[field->index];
    bool bound = self->parts->mode != FLOW_FORM_UNBOUND;
    if (bound && self->parts->plain && !(field->spec->flags & FLOW_FIELD_DISABLED))
        return flow_form__from_post(
            field, flow_object_getn(self->parts->values, field->spec->name, field->name_len));
    if (field->spec->type == FLOW_FIELD_SECRET) {
        if (flow_value__is_empty(value) ||
            (flow_value_kind(value) == FLOW_VALUE_STRING && flow_secret__may_show(value)))
            return flow_value_ref(value);
        return flow_value_string(FLOW_SECRET_MASK);
    }
    return flow_value_ref(value);
}

static FlowValue value_of(const Viewer *self, const FlowField *field)
{
    if (field->widget == FLOW_WIDGET_PASSWORD && field->spec->type != FLOW_FIELD_SECRET &&
        !(field->spec->flags & FLOW_FIELD_SHOW_PASSWORD))
        return flow_value_null();
    FlowValue value = shown(self, field);
    if (field->spec->type != FLOW_FIELD_JSON)
        return value;
    FlowValue text = json_shown(self, field, value);
    flow_value_unref(value);
    return text;
}

static bool is_checked(FlowValue value)
{
    bool empty_text = flow_value_kind(value) == FLOW_VALUE_STRING && flow_value_length(&value) == 0;
    return !empty_text && !flow_value_is_null(value) &&
           !(flow_value_kind(value) == FLOW_VALUE_BOOL && !flow_value_get_bool(value));
}

static void put_errors(const Viewer *self, int field, FlowValue *object)
{
    FlowValue messages = flow_value_array(), codes = flow_value_array();
    for (size_t i = 0; i < self->errors.count; i++) {
        const FlowFormError *error = &self->errors.items[i];
        if (error->field != field || error->warning)
            continue;
        (void)flow_array_push_take(&messages, flow_value_string(error->message), NULL);
        (void)flow_array_push_take(&codes, flow_value_string(error->code), NULL);
    }
    if (field == FLOW_FORM_NO_FIELD) {
        flow_view__put(object, "non_field_errors", messages);
        flow_value_unref(codes);
    } else {
        flow_view__put(object, "errors", messages);
        flow_view__put(object, "error_codes", codes);
    }
}

static bool takes_templates(const FlowField *field)
{
    return !(field->spec->flags & (FLOW_FIELD_LITERAL | FLOW_FIELD_NO_TEMPLATE | FLOW_FIELD_DISABLED));
}

static FlowValue field_of(const Viewer *self, const FlowField *field)
{
    const FlowFieldSpec *spec = field->spec;
    FlowCleaning offer = {
        .schema = self->schema, .field = field, .raw = self->raw, .loaded = self->parts->loaded};
    FlowValue object = flow_value_object(), value = value_of(self, field);
    char id[80];
    int id_len = snprintf(id, sizeof id, "id_%s", spec->name);
    flow_view__put(&object, "name", flow_value_string(spec->name));
    flow_view__put(&object, "html_name", flow_value_string(spec->name));
    flow_view__put(&object, "id", flow_value_stringn(id, (size_t)id_len));
    flow_view__put(&object, "tag", flow_value_string(flow_widget__tag(field->widget)));
    flow_view__put(&object, "type", flow_value_string(flow_widget__type(field->widget)));
    flow_view__put(&object, "field_type", flow_value_string(field->ops->name));
    flow_view__put(&object, "label", flow_value_ref(field->label));
    flow_view__put(&object, "help_text", flow_value_string(spec->help != NULL ? spec->help : ""));
    flow_view__put(&object, "required", flow_value_bool((spec->flags & FLOW_FIELD_REQUIRED) != 0));
    flow_view__put(&object, "templates", flow_value_bool(takes_templates(field)));
    flow_view__put(&object, "secret", flow_value_bool(spec->type == FLOW_FIELD_SECRET));
    flow_view__put(&object, "multiple", flow_value_bool(flow_widget__is_multiple(field->widget)));
    flow_view__put(&object, "checked",
                   flow_value_bool(field->widget == FLOW_WIDGET_CHECKBOX && is_checked(value)));
    flow_view__put(&object, "value", flow_value_ref(value));
    flow_view__put(&object, "options",
                   flow_widget__has_options(field->widget) ? flow_widget__options(field, &offer, value)
                                                           : flow_value_array());
    put_errors(self, (int)field->index, &object);
    flow_view__put(&object, "attributes", flow_widget__attributes(field, &offer));
    flow_value_unref(value);
    return object;
}

static FlowValue dependencies_of(const FlowFormSchema *schema)
{
    FlowValue dependencies = flow_value_object();
    for (size_t parent = 0; parent < schema->count; parent++) {
        FlowValue children = flow_value_array();
        for (size_t i = 0; i < schema->count; i++)
            for (size_t k = 0; k < schema->fields[i].parent_count; k++)
                if (schema->fields[i].parents[k] == parent)
                    (void)flow_array_push_take(&children, flow_value_string(schema->fields[i].spec->name),
                                               NULL);
        if (flow_array_count(children) > 0)
            flow_view__put(&dependencies, schema->fields[parent].spec->name, children);
        else
            flow_value_unref(children);
    }
    return dependencies;
}

static FlowValue cleaned_of(const Viewer *self)
{
    FlowValue cleaned = flow_value_object();
    for (size_t i = 0; self->form != NULL && i < self->schema->count; i++) {
        const FlowSlot *slot = &self->form->slots[i];
        if (slot->kind == FLOW_SLOT_CONSTANT && !slot->failed &&
            !flow_form_errors__has(&self->errors, (int)i))
            flow_view__put(&cleaned, self->schema->fields[i].spec->name,
                           flow_value_ref(self->form->cleaned[i]));
    }
    return cleaned;
}

void flow_view__build(const FlowFormSchema *schema, const FlowViewParts *parts, FlowFormView *view)
{
    Viewer viewer = {.schema = schema, .parts = parts};
    FlowValue form = flow_value_object(), fields = flow_value_array();
    bool bound = parts->mode != FLOW_FORM_UNBOUND;
    for (size_t i = 0; i < schema->count; i++)
        viewer.raw[i] = flow_view__raw(&schema->fields[i], parts);
    flow_form_errors__begin(&viewer.errors, schema);
    if (bound) {
        FlowFormBind how = {.loaded = parts->loaded,
                            .initial = parts->initial,
                            .plain = parts->plain,
                            .partial = parts->mode == FLOW_FORM_PARTIAL,
                            .view = true};
        viewer.form = flow_form__bind(schema, parts->values, &how, &viewer.errors);
    }
    for (size_t i = 0; i < schema->count; i++)
        if (parts->loaded[i].error != NULL)
            flow_form_errors_add(&viewer.errors, (int)i, "choices", "The choices could not be loaded: %s",
                                 parts->loaded[i].error);
    for (size_t i = 0; i < schema->count; i++)
        (void)flow_array_push_take(&fields, field_of(&viewer, &schema->fields[i]), NULL);
    flow_view__put(&form, "fields", fields);
    flow_view__put(&form, "dependencies", dependencies_of(schema));
    put_errors(&viewer, FLOW_FORM_NO_FIELD, &form);
    view->valid = bound && viewer.errors.failures == 0;
    flow_view__put(&form, "bound", flow_value_bool(bound));
    flow_view__put(&form, "valid", flow_value_bool(view->valid));
    view->form = form;
    view->cleaned = cleaned_of(&viewer);
    flow_form_unref(viewer.form);
    flow_form_errors_done(&viewer.errors);
}

void flow_form_view_done(FlowFormView *view)
{
    flow_value_unref(view->form);
    flow_value_unref(view->values);
    flow_value_unref(view->cleaned);
    flow_value_unref(view->cleared);
    *view = (FlowFormView){0};
}
