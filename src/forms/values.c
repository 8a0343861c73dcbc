/* values.c - cleaned values by field index, and what of them may be seen. */
#include "forms/internal.h"

#include <stdlib.h>
#include <string.h>

void flow_form_values_done(FlowFormValues *values)
{
    for (size_t i = 0; values->own != NULL && i < values->schema->count; i++)
        if (values->form->slots[i].kind != FLOW_SLOT_CONSTANT)
            flow_value_unref(values->own[i]);
    free(values->own);
    *values = (FlowFormValues){0};
}

FlowValue flow_form_values_get(const FlowFormValues *values, size_t field)
{
    return values->cleaned[field];
}

bool flow_form_values_given(const FlowFormValues *values, size_t field)
{
    return !flow_value__is_empty(values->cleaned[field]);
}

int64_t flow_form_values_int(const FlowFormValues *values, size_t field, int64_t otherwise)
{
    FlowValue value = values->cleaned[field];
    return flow_value_kind(value) == FLOW_VALUE_INT ? flow_value_get_int(value) : otherwise;
}

double flow_form_values_float(const FlowFormValues *values, size_t field, double otherwise)
{
    FlowValue value = values->cleaned[field];
    return flow_value_is_number(value) ? flow_value_near_double(value) : otherwise;
}

bool flow_form_values_bool(const FlowFormValues *values, size_t field, bool otherwise)
{
    FlowValue value = values->cleaned[field];
    return flow_value_kind(value) == FLOW_VALUE_BOOL ? flow_value_get_bool(value) : otherwise;
}

const char *flow_form_values_text(const FlowFormValues *values, size_t field, size_t *ret_len)
{
    const FlowValue *value = &values->cleaned[field];
    bool is_text = flow_value_kind(*value) == FLOW_VALUE_STRING;
    if (ret_len != NULL)
        *ret_len = is_text ? flow_value_length(value) : 0;
    return is_text ? flow_value_text(value) : "";
}

bool flow_form_values_is(const FlowFormValues *values, size_t field, const char *text)
{
    const FlowValue *value = &values->cleaned[field];
    return flow_value_kind(*value) == FLOW_VALUE_STRING && flow_value_text_equals(value, text);
}

FlowValue flow_form_values_object(const FlowFormValues *values, bool masked)
{
    FlowValue object = flow_value_object();
    for (size_t i = 0; i < values->schema->count; i++) {
        const FlowField *field = &values->schema->fields[i];
        FlowValue value = flow_value_ref(values->cleaned[i]);
        if (masked && field->spec->type == FLOW_FIELD_SECRET && !flow_value__is_empty(value))
            flow_value_assign_take(&value, flow_value_string(FLOW_SECRET_MASK));
        if (flow_object_setn_take(&object, field->spec->name, field->name_len, value, NULL) != FLOW_OK)
            break; /* larger than any value can be: what fits is shown */
    }
    return object;
}

/* ---- secrets ---- */

/* One island, "{{ env.TOKEN }}", without a string in it that could be the secret itself. */
bool flow_secret__may_show(FlowValue value)
{
    const char *text = flow_value_text(&value);
    size_t len = flow_value_length(&value);
    flow_py__strip(&text, &len);
    if (len < 5 || memcmp(text, "{{", 2) != 0 || memcmp(text + len - 2, "}}", 2) != 0)
        return false;
    for (size_t i = 2; i < len - 2; i++)
        if (strchr("{}'\"", text[i]) != NULL)
            return false;
    return true;
}

FlowValue flow_form_mask(const FlowFormSchema *schema, FlowValue values)
{
    FlowValue shown = flow_value_ref(values);
    for (size_t i = 0; i < schema->count; i++) {
        const FlowField *field = &schema->fields[i];
        const FlowValue *value = flow_object_getn(shown, field->spec->name, field->name_len);
        if (field->spec->type != FLOW_FIELD_SECRET || value == NULL || flow_value__is_empty(*value) ||
            (flow_value_kind(*value) == FLOW_VALUE_STRING && flow_secret__may_show(*value)))
            continue;
        /* Replacing a member with a short string needs no more room than a copy of the object. */
        if (flow_object_setn_take(&shown, field->spec->name, field->name_len,
                                  flow_value_string(FLOW_SECRET_MASK), NULL) != FLOW_OK) {
            flow_value_assign_take(&shown, flow_value_object());
            break;
        }
    }
    return shown;
}

FlowValue flow_form_unmask(const FlowFormSchema *schema, FlowValue stored, FlowValue incoming)
{
    FlowValue values = flow_value_ref(incoming);
    for (size_t i = 0; i < schema->count; i++) {
        const FlowField *field = &schema->fields[i];
        const char *name = field->spec->name;
        const FlowValue *value = flow_object_getn(values, name, field->name_len);
        if (field->spec->type != FLOW_FIELD_SECRET || value == NULL ||
            flow_value_kind(*value) != FLOW_VALUE_STRING || !flow_value_text_equals(value, FLOW_SECRET_MASK))
            continue;
        const FlowValue *kept = flow_object_getn(stored, name, field->name_len);
        if (kept != NULL)
            (void)flow_object_setn_take(&values, name, field->name_len, flow_value_ref(*kept), NULL);
        else
            (void)flow_object_removen(&values, name, field->name_len, NULL);
    }
    return values;
}
