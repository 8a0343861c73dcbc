/* run.c - the second phase: render for one unit, clean the results, check the rules that waited for them. */
#include "forms/internal.h"

#include <stdlib.h>

#include "value/value.h"

enum { FIELDS_MAX = 256 };

typedef struct Runner {
    const FlowForm *form;
    const FlowTemplateContext *context;
    FlowFormErrors *errors;
    FlowBuf scratch;
    FlowValue *rendered; /* one for each field that isn't constant; ours */
    FlowValue *cleaned;
} Runner;

/* What the slot's template gives, before cleaning. */
static bool render(Runner *self, size_t index)
{
    const FlowSlot *slot = &self->form->slots[index];
    /* Only what says "nothing": clearing all of these texts for each render would cost more than many a render. */
    FlowTemplateError detail;
    detail.kind = FLOW_TEMPLATE_NO_ERROR;
    detail.line = detail.column = 0;
    detail.message[0] = detail.hint[0] = detail.excerpt[0] = '\0';
    FlowError error;
    error.status = FLOW_OK;
    error.reason[0] = error.where[0] = error.message[0] = '\0';
    FlowValue *to = &self->rendered[index];
    FlowStatus status = FLOW_OK;
    bool truth;
    switch (slot->kind) {
    case FLOW_SLOT_TEMPLATE:
        flow_buf_clear(&self->scratch);
        status = flow_template_render(slot->tmpl, self->context, &self->scratch, &detail, &error);
        if (status == FLOW_OK)
            status = flow_value_try_string(self->scratch.len > 0 ? self->scratch.data : "", self->scratch.len,
                                           to, &error);
        break;
    case FLOW_SLOT_NATIVE:
        status = flow_template_eval(slot->tmpl, self->context, to, &detail, &error);
        break;
    case FLOW_SLOT_NESTED:
        status = flow_nested__render(slot->nested, self->context, &self->scratch, to, &detail, &error);
        break;
    case FLOW_SLOT_EXPRESSION:
        status = flow_expression_test(slot->tmpl, self->context, &truth, NULL, &detail, &error);
        if (status == FLOW_OK)
            *to = flow_value_bool(truth);
        break;
    default:
        *to = flow_value_ref(slot->stored);
    }
    if (status != FLOW_OK)
        flow_form_errors__template(self->errors, (int)index, "", &detail, &error);
    return status == FLOW_OK;
}

static void clean(Runner *self, size_t index, const FlowValue *raw)
{
    const FlowFormSchema *schema = self->form->schema;
    FlowCleaning cleaning = {
        .schema = schema, .field = &schema->fields[index], .errors = self->errors, .raw = raw};
    FlowSlotKind kind = self->form->slots[index].kind;
    if (kind == FLOW_SLOT_EXPRESSION)
        self->cleaned[index] = self->rendered[index];
    else if (kind == FLOW_SLOT_NATIVE)
        flow_field__clean_native(&cleaning, self->rendered[index], &self->cleaned[index]);
    else
        flow_field__clean(&cleaning, self->rendered[index], &self->cleaned[index]);
}

/* For the person who looks at the failure: {field: what it rendered to, or its stored text where it did not render}. */
static FlowValue rendered_object(const Runner *self, const bool *done)
{
    FlowValue object = flow_value_object();
    for (size_t i = 0; i < self->form->schema->count; i++) {
        const FlowField *field = &self->form->schema->fields[i];
        FlowValue shown = done[i] ? self->rendered[i] : self->form->slots[i].stored;
        bool secret = field->spec->type == FLOW_FIELD_SECRET && !flow_value__is_empty(shown);
        FlowValue value = secret ? flow_value_string(FLOW_SECRET_MASK) : flow_value_ref(shown);
        if (flow_object_setn_take(&object, field->spec->name, field->name_len, value, NULL) != FLOW_OK)
            break;
    }
    return object;
}

static void run(Runner *self)
{
    const FlowForm *form = self->form;
    size_t count = form->schema->count;
    bool done[FIELDS_MAX];
    FlowValue raw[FIELDS_MAX];
    for (size_t i = 0; i < count; i++) {
        bool constant = form->slots[i].kind == FLOW_SLOT_CONSTANT;
        self->rendered[i] = flow_value_null();
        self->cleaned[i] = constant ? form->cleaned[i] : flow_value_null();
        done[i] = !constant && render(self, i);
        raw[i] = constant ? form->slots[i].stored : self->rendered[i];
    }
    for (size_t i = 0; i < count; i++) {
        const FlowField *field = &form->schema->fields[i];
        /* Choices that depend on a field that did not render can't be judged. */
        if (field->spec->choices_of != NULL && form->slots[field->parents[0]].kind != FLOW_SLOT_CONSTANT &&
            !done[field->parents[0]])
            done[i] = false;
        if (done[i])
            clean(self, i, form->schema->has_choices_of ? raw : NULL);
    }
    if (self->errors->failures > 0)
        flow_form_errors__sort(self->errors);
    FlowFormValues values = {.form = form, .schema = form->schema, .cleaned = self->cleaned};
    flow_form__check_rules(&values, false, self->errors);
    if (self->errors->failures > 0) {
        flow_form_errors__sort(self->errors);
        self->errors->rendered = rendered_object(self, done);
    }
    for (size_t i = 0; i < count; i++)
        flow_value_unref(self->rendered[i]);
}

FlowStatus flow_form_run(const FlowForm *form, const FlowTemplateContext *context, FlowFormValues *ret_values,
                         FlowFormErrors *errors)
{
    static const FlowTemplateContext empty;
    flow_form_errors__begin(errors, form->schema);
    if (form->constant) {
        *ret_values = (FlowFormValues){.form = form, .schema = form->schema, .cleaned = form->cleaned};
        return FLOW_OK;
    }
    FlowValue rendered[FIELDS_MAX];
    Runner runner = {.form = form,
                     .context = context != NULL ? context : &empty,
                     .errors = errors,
                     .rendered = rendered,
                     .cleaned = flow_malloc((form->schema->count + 1) * sizeof *runner.cleaned)};
    flow_buf_init(&runner.scratch, 0);
    run(&runner);
    flow_buf_done(&runner.scratch);
    FlowFormValues values = {
        .form = form, .schema = form->schema, .cleaned = runner.cleaned, .own = runner.cleaned};
    if (errors->failures > 0) {
        flow_form_values_done(&values);
        return FLOW_INVALID_ARGUMENT;
    }
    *ret_values = values;
    return FLOW_OK;
}
