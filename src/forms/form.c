/*
 * form.c - loading: what is constant is cleaned here and now, what is a template is compiled. Views of a form are
 * made of the same parts, so a person sees the errors that a load would report.
 */
#include "forms/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"

typedef struct Binder {
    const FlowFormSchema *schema;
    const FlowFormBind *how;
    FlowForm *form;
    FlowFormErrors *errors;
    FlowTemplateOptions options;
    FlowValue *raw; /* borrowed: what stands in each slot */
} Binder;

bool flow_form__initial(const FlowField *field, FlowValue initial, FlowValue *ret_value)
{
    const FlowValue *own = flow_object_getn(initial, field->spec->name, field->name_len);
    if (own == NULL && !field->has_initial)
        return false;
    *ret_value = own != NULL ? *own : field->initial;
    return true;
}

FlowValue flow_form__from_post(const FlowField *field, const FlowValue *posted)
{
    bool is_text = posted != NULL && flow_value_kind(*posted) == FLOW_VALUE_STRING;
    if (field->widget == FLOW_WIDGET_CHECKBOX) {
        /* An unticked checkbox is not posted at all. */
        if (posted == NULL)
            return flow_value_bool(false);
        if (!is_text || flow_value_length(posted) == 0)
            return flow_value_bool(
                !flow_value__is_empty(*posted) &&
                !(flow_value_kind(*posted) == FLOW_VALUE_BOOL && !flow_value_get_bool(*posted)) &&
                !(flow_value_is_number(*posted) && flow_value_near_double(*posted) == 0));
        return flow_value_bool(flow_value_length(posted) != 5 ||
                               strncasecmp(flow_value_text(posted), "false", 5) != 0);
    }
    if (field->widget == FLOW_WIDGET_NULL_BOOLEAN_SELECT) {
        static const char *const words[] = {"False", "false", "3", "True", "true", "2"};
        for (size_t i = 0; is_text && i < FLOW_COUNT(words); i++)
            if (flow_value_text_equals(posted, words[i]))
                return flow_value_bool(i >= 3);
        double number = posted != NULL && flow_value_is_number(*posted) ? flow_value_near_double(*posted) : 2;
        if (number == 0 || number == 1)
            return flow_value_bool(number == 1);
        return posted != NULL && flow_value_kind(*posted) == FLOW_VALUE_BOOL ? *posted : flow_value_null();
    }
    return posted != NULL ? flow_value_ref(*posted) : flow_value_null();
}

static bool is_mask(const Binder *self, const FlowField *field, FlowValue value)
{
    return self->how->view && field->spec->type == FLOW_FIELD_SECRET &&
           flow_value_kind(value) == FLOW_VALUE_STRING && flow_value_text_equals(&value, FLOW_SECRET_MASK);
}

/* What stands in the slot before anything is looked at. */
static void fill(Binder *self, const FlowField *field, FlowValue values)
{
    FlowSlot *slot = &self->form->slots[field->index];
    const FlowValue *posted = flow_object_getn(values, field->spec->name, field->name_len);
    FlowValue initial = flow_value_null();
    bool has_initial = flow_form__initial(field, self->how->initial, &initial);
    slot->given = posted != NULL;
    slot->kind = FLOW_SLOT_CONSTANT;
    if (field->spec->flags & FLOW_FIELD_DISABLED)
        slot->stored = flow_value_ref(initial);
    else if (self->how->plain)
        slot->stored = flow_form__from_post(field, posted);
    else if (posted != NULL && is_mask(self, field, *posted))
        slot->kind = FLOW_SLOT_ABSENT;
    else if (posted != NULL)
        slot->stored = flow_value_ref(*posted);
    else if (self->how->partial)
        slot->kind = FLOW_SLOT_ABSENT;
    else if (has_initial)
        slot->stored = flow_value_ref(initial);
    self->raw[field->index] = slot->stored;
}

static void clean_constant(Binder *self, const FlowField *field)
{
    FlowCleaning cleaning = {.schema = self->schema,
                             .field = field,
                             .errors = self->errors,
                             .raw = self->raw,
                             .loaded = self->how->loaded};
    FlowSlot *slot = &self->form->slots[field->index];
    slot->failed = !flow_field__clean(&cleaning, slot->stored, &self->form->cleaned[field->index]);
}

static bool is_template(FlowValue value)
{
    return flow_value_kind(value) == FLOW_VALUE_STRING &&
           flow_template_is_template(flow_value_text(&value), flow_value_length(&value));
}

static void compile(Binder *self, const FlowField *field, bool expression)
{
    FlowSlot *slot = &self->form->slots[field->index];
    FlowTemplateError detail = {0};
    FlowError error = {0};
    const char *text = flow_value_text(&slot->stored);
    size_t len = flow_value_length(&slot->stored);
    FlowStatus status = expression
                            ? flow_expression_compile(text, len, &self->options, &slot->tmpl, &detail, &error)
                            : flow_template_compile(text, len, &self->options, &slot->tmpl, &detail, &error);
    if (status != FLOW_OK) {
        flow_form_errors__template(self->errors, (int)field->index, "", &detail, &error);
        slot->failed = true;
        return;
    }
    bool native = field->spec->type == FLOW_FIELD_JSON && !(field->spec->flags & FLOW_FIELD_NO_NATIVE) &&
                  flow_template_is_value(slot->tmpl);
    slot->kind = expression ? FLOW_SLOT_EXPRESSION : native ? FLOW_SLOT_NATIVE : FLOW_SLOT_TEMPLATE;
}

/* An expression is compiled whatever its text; what is no text is true or false as it stands. */
static void load_expression(Binder *self, const FlowField *field)
{
    FlowSlot *slot = &self->form->slots[field->index];
    if (flow_value_kind(slot->stored) == FLOW_VALUE_STRING && flow_value_length(&slot->stored) > 0) {
        const char *text = flow_value_text(&slot->stored);
        size_t len = flow_value_length(&slot->stored);
        flow_py__strip(&text, &len);
        if (len > 0) {
            compile(self, field, true);
            return;
        }
    }
    clean_constant(self, field);
    if (slot->failed)
        return;
    FlowValue *cleaned = &self->form->cleaned[field->index];
    /* Left out: null, so that a node sees that there is no condition. */
    bool given = !flow_value__is_empty(*cleaned);
    FlowValue truth = flow_value_null();
    FlowCleaning none = {.field = &(FlowField){.spec = &(FlowFieldSpec){.flags = 0}}};
    flow_field__boolean.convert(&none, slot->stored, &truth);
    flow_value_assign_take(cleaned, given ? truth : flow_value_null());
}

/* Text that is JSON is taken apart first, so that templates stay inside its strings. True when that is all there
 * is to do. */
static bool load_nested(Binder *self, const FlowField *field)
{
    FlowSlot *slot = &self->form->slots[field->index];
    FlowValue parsed = flow_value_null(), value = slot->stored;
    if (flow_value_kind(value) == FLOW_VALUE_STRING) {
        if (!flow_form__read_json(value, &parsed))
            return false;
        value = parsed;
    }
    if (flow_value_kind(value) >= FLOW_VALUE_ARRAY)
        slot->nested = flow_nested__compile(field, value, &self->options, self->errors, &slot->failed);
    if (slot->nested != NULL) {
        FlowCleaning cleaning = {.schema = self->schema, .field = field, .errors = self->errors};
        slot->kind = FLOW_SLOT_NESTED;
        slot->failed = !flow_field__check_json_kind(&cleaning, value);
    }
    flow_value_unref(parsed);
    return slot->nested != NULL || slot->failed;
}

/* Choices by the value of a parent can't be judged while a template stands there. */
static bool is_late(const Binder *self, const FlowField *field)
{
    if (field->spec->choices_of == NULL)
        return false;
    const FlowSlot *parent = &self->form->slots[field->parents[0]];
    /* A template that does not compile is told of already; what depends on it is not its fault. */
    bool broken = parent->failed && is_template(parent->stored) && !self->how->plain;
    return broken || (parent->kind != FLOW_SLOT_CONSTANT && parent->kind != FLOW_SLOT_ABSENT);
}

static void load_field(Binder *self, const FlowField *field)
{
    FlowSlot *slot = &self->form->slots[field->index];
    unsigned flags = field->spec->flags;
    if (slot->kind == FLOW_SLOT_ABSENT)
        return;
    bool literal = self->how->plain || (flags & (FLOW_FIELD_LITERAL | FLOW_FIELD_DISABLED));
    if (!self->how->plain && (flags & FLOW_FIELD_EXPRESSION)) {
        load_expression(self, field);
        return;
    }
    if (!literal && (flags & FLOW_FIELD_NESTED) && load_nested(self, field))
        return;
    if (!literal && is_template(slot->stored)) {
        FlowCleaning cleaning = {.schema = self->schema, .field = field, .errors = self->errors};
        if (flags & FLOW_FIELD_NO_TEMPLATE)
            slot->failed = !flow_cleaning__fail(&cleaning, FLOW_MESSAGE_NO_TEMPLATE, NULL);
        else
            compile(self, field, false);
        return;
    }
    if (is_late(self, field))
        slot->kind = FLOW_SLOT_LATE;
    else
        clean_constant(self, field);
}

static void warn_of_unknown_keys(Binder *self, FlowValue values)
{
    const char *names[256];
    size_t count;
    const FlowMember *members = flow_object_members(values, &count);
    for (size_t i = 0; i < self->schema->count && i < FLOW_COUNT(names); i++)
        names[i] = self->schema->fields[i].spec->name;
    for (size_t i = 0; i < count; i++) {
        const char *key = flow_value_text(&members[i].key);
        size_t len = flow_value_length(&members[i].key);
        if (flow_form_schema_find(self->schema, key, len) >= 0)
            continue;
        const char *nearest = flow_nearest_name(key, len, names, self->schema->count);
        FlowBuf message;
        flow_buf_init(&message, 1024);
        flow_buf_printf(&message, "There is no field '%.200s'.", key);
        if (nearest != NULL)
            flow_buf_printf(&message, " Did you mean '%s'?", nearest);
        FlowFormError *warning = flow_form_errors__push(self->errors, FLOW_FORM_NO_FIELD, "unknown_key",
                                                        flow_buf_text(&message), message.len);
        self->errors->failures--;
        if (warning != NULL) {
            warning->warning = true;
            warning->name = flow_strndup(key, len);
        }
        flow_buf_done(&message);
    }
}

static bool all_constant(const FlowForm *form)
{
    for (size_t i = 0; i < form->schema->count; i++)
        if (form->slots[i].kind != FLOW_SLOT_CONSTANT)
            return false;
    return true;
}

FlowForm *flow_form__bind(const FlowFormSchema *schema, FlowValue values, const FlowFormBind *how,
                          FlowFormErrors *errors)
{
    FlowForm *form = flow_new(FlowForm);
    atomic_init(&form->refs, 1);
    form->schema = flow_form_schema_ref(schema);
    form->slots = flow_calloc(schema->count + 1, sizeof *form->slots);
    form->cleaned = flow_calloc(schema->count + 1, sizeof *form->cleaned);
    FlowValue raw[256];
    Binder binder = {.schema = schema, .how = how, .form = form, .errors = errors, .raw = raw};
    binder.options.strict = how->options == NULL || !how->options->lenient;
    binder.options.limits = how->options != NULL ? how->options->limits : NULL;
    for (size_t i = 0; i < schema->count; i++)
        fill(&binder, &schema->fields[i], values);
    for (size_t i = 0; i < schema->count; i++)
        load_field(&binder, &schema->fields[schema->order[i]]);
    flow_form_errors__sort(errors);
    FlowFormValues cleaned = {.form = form, .schema = schema, .cleaned = form->cleaned};
    flow_form__check_rules(&cleaned, true, errors);
    flow_form_errors__sort(errors);
    if (!how->plain)
        warn_of_unknown_keys(&binder, values);
    form->constant = all_constant(form);
    return form;
}

FlowStatus flow_form_load(const FlowFormSchema *schema, FlowValue values, const FlowFormOptions *options,
                          FlowForm **ret_form, FlowFormErrors *errors)
{
    FlowFormBind how = {.options = options};
    flow_form_errors__begin(errors, schema);
    if (!flow_value_is_null(values) && flow_value_kind(values) != FLOW_VALUE_OBJECT) {
        flow_form_errors_add(errors, FLOW_FORM_NO_FIELD, "invalid", "A form's values are an object.");
        return FLOW_INVALID_ARGUMENT;
    }
    FlowForm *form = flow_form__bind(schema, values, &how, errors);
    if (errors->failures > 0) {
        flow_form_unref(form);
        return FLOW_INVALID_ARGUMENT;
    }
    *ret_form = form;
    return FLOW_OK;
}

FlowForm *flow_form_ref(const FlowForm *form)
{
    /* Counting owners is no change to the form. */
    FlowForm *self = (FlowForm *)form;
    atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
    return self;
}

FlowForm *flow_form_unref(const FlowForm *form)
{
    FlowForm *self = (FlowForm *)form;
    if (self == NULL || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < self->schema->count; i++) {
        flow_value_unref(self->slots[i].stored);
        flow_value_unref(self->cleaned[i]);
        flow_template_unref(self->slots[i].tmpl);
        flow_nested__free(self->slots[i].nested);
    }
    free(self->slots);
    free(self->cleaned);
    flow_form_schema_unref(self->schema);
    free(self);
    return NULL;
}

void flow_form_unrefp(FlowForm **form)
{
    *form = flow_form_unref(*form);
}

bool flow_form_is_constant(const FlowForm *form)
{
    return form->constant;
}

FlowValue flow_form_stored(const FlowForm *form, size_t field)
{
    return form->slots[field].stored;
}

bool flow_form_is_dynamic(const FlowForm *form, size_t field)
{
    return form->slots[field].kind != FLOW_SLOT_CONSTANT;
}

void flow_form_each_template(const FlowForm *form,
                             void (*each)(size_t field, const FlowTemplate *tmpl, void *data), void *data)
{
    for (size_t i = 0; i < form->schema->count; i++) {
        if (form->slots[i].tmpl != NULL)
            each(i, form->slots[i].tmpl, data);
        flow_nested__each_template(form->slots[i].nested, i, each, data);
    }
}
