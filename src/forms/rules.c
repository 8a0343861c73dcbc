/* rules.c - rules over several fields: Django's Form.clean(). */
#include "forms/internal.h"

/* A rule waits until all its fields are there: at load only constants are. */
static bool is_ready(const FlowForm *form, const FlowRuleFields *fields)
{
    for (size_t i = 0; i < fields->count; i++)
        if (form->slots[fields->fields[i]].kind != FLOW_SLOT_CONSTANT)
            return false;
    return true;
}

static bool is_broken(const FlowForm *form, const FlowRuleFields *fields, const FlowFormErrors *errors)
{
    for (size_t i = 0; i < fields->count; i++)
        if (form->slots[fields->fields[i]].kind == FLOW_SLOT_ABSENT ||
            flow_form_errors__has(errors, (int)fields->fields[i]))
            return true;
    return false;
}

static bool all_equal(const FlowFormValues *values, const FlowRuleFields *fields)
{
    const FlowField *all = values->schema->fields;
    size_t first = fields->fields[0];
    for (size_t i = 1; i < fields->count; i++) {
        size_t at = fields->fields[i];
        if (!flow_field__equal(&all[first], values->cleaned[first], &all[at], values->cleaned[at]))
            return false;
    }
    return true;
}

/* Values that have no order with each other, such as a date and a number, are not in order. */
static bool in_order(const FlowFormValues *values, const FlowRuleFields *fields)
{
    size_t last = SIZE_MAX;
    for (size_t i = 0; i < fields->count; i++) {
        size_t at = fields->fields[i];
        if (flow_value__is_empty(values->cleaned[at]))
            continue;
        if (last != SIZE_MAX &&
            flow_field__compare(&values->schema->fields[at], values->cleaned[last], values->cleaned[at]) > 0)
            return false;
        last = at;
    }
    return true;
}

static bool any_given(const FlowFormValues *values, const FlowRuleFields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        FlowValue value = values->cleaned[fields->fields[i]];
        bool unticked = flow_value_kind(value) == FLOW_VALUE_BOOL && !flow_value_get_bool(value);
        if (!flow_value__is_empty(value) && !unticked)
            return true;
    }
    return false;
}

static bool holds(const FlowFormRule *rule, const FlowRuleFields *fields, const FlowFormValues *values,
                  FlowFormErrors *errors)
{
    switch (rule->kind) {
    case FLOW_RULE_EQUAL:
        return all_equal(values, fields);
    case FLOW_RULE_ORDERED:
        return in_order(values, fields);
    case FLOW_RULE_ANY_OF:
        return any_given(values, fields);
    default:
        return rule->check(values, errors);
    }
}

void flow_form__check_rules(const FlowFormValues *values, bool at_load, FlowFormErrors *errors)
{
    const FlowFormSchema *schema = values->schema;
    for (size_t i = 0; i < schema->spec.rule_count; i++) {
        const FlowFormRule *rule = &schema->spec.rules[i];
        const FlowRuleFields *fields = &schema->rules[i];
        /* Each rule is checked once: as soon as its fields can't change any more. */
        if (is_ready(values->form, fields) != at_load || is_broken(values->form, fields, errors))
            continue;
        if (!holds(rule, fields, values, errors)) {
            const char *message = rule->message != NULL ? rule->message : "The form is not valid.";
            flow_form_errors__push(errors, fields->target, "rule", message, strlen(message));
        }
    }
}
