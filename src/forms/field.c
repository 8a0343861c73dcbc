/* field.c - Django's Field.clean(), and the list of field types. */
#include "forms/internal.h"

#include <string.h>

const FlowFieldOps *flow_field__ops(FlowFieldType type)
{
    static const FlowFieldOps *const ops[FLOW_FIELD_TYPE_COUNT] = {
        [FLOW_FIELD_TEXT] = &flow_field__text,
        [FLOW_FIELD_SECRET] = &flow_field__secret,
        [FLOW_FIELD_REGEX] = &flow_field__regex,
        [FLOW_FIELD_SLUG] = &flow_field__slug,
        [FLOW_FIELD_EMAIL] = &flow_field__email,
        [FLOW_FIELD_URL] = &flow_field__url,
        [FLOW_FIELD_IP] = &flow_field__ip,
        [FLOW_FIELD_UUID] = &flow_field__uuid,
        [FLOW_FIELD_INTEGER] = &flow_field__integer,
        [FLOW_FIELD_FLOAT] = &flow_field__float,
        [FLOW_FIELD_DECIMAL] = &flow_field__decimal,
        [FLOW_FIELD_BOOLEAN] = &flow_field__boolean,
        [FLOW_FIELD_NULL_BOOLEAN] = &flow_field__null_boolean,
        [FLOW_FIELD_CHOICE] = &flow_field__choice,
        [FLOW_FIELD_TYPED_CHOICE] = &flow_field__typed_choice,
        [FLOW_FIELD_MULTIPLE_CHOICE] = &flow_field__multiple_choice,
        [FLOW_FIELD_TYPED_MULTIPLE_CHOICE] = &flow_field__typed_multiple_choice,
        [FLOW_FIELD_DATE] = &flow_field__date,
        [FLOW_FIELD_DATETIME] = &flow_field__datetime,
        [FLOW_FIELD_TIME] = &flow_field__time,
        [FLOW_FIELD_DURATION] = &flow_field__duration,
        [FLOW_FIELD_JSON] = &flow_field__json,
    };
    return (unsigned)type < FLOW_COUNT(ops) ? ops[type] : NULL;
}

bool flow_value__is_empty(FlowValue value)
{
    switch (flow_value_kind(value)) {
    case FLOW_VALUE_NULL:
        return true;
    case FLOW_VALUE_STRING:
        return flow_value_length(&value) == 0;
    case FLOW_VALUE_ARRAY:
        return flow_array_count(value) == 0;
    case FLOW_VALUE_OBJECT:
        return flow_object_count(value) == 0;
    default:
        return false;
    }
}

/* Empty to this field: a JSON field may count [] and {} as values. */
static bool is_empty_here(const FlowField *field, FlowValue value)
{
    if ((field->spec->flags & FLOW_FIELD_EMPTY_OK) && flow_value_kind(value) >= FLOW_VALUE_ARRAY)
        return false;
    return flow_value__is_empty(value);
}

bool flow_field__clean(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    const FlowField *field = cleaning->field;
    FlowValue value = flow_value_null();
    cleaning->failed = false;
    if (!field->ops->convert(cleaning, raw, &value))
        return false;
    /* A NullBoolean has no empty value: null is one of its three. */
    if (is_empty_here(field, value)) {
        if ((field->spec->flags & FLOW_FIELD_REQUIRED) && field->spec->type != FLOW_FIELD_NULL_BOOLEAN)
            flow_cleaning__fail(cleaning, FLOW_MESSAGE_REQUIRED, NULL);
    } else if (field->ops->check != NULL) {
        field->ops->check(cleaning, value);
    }
    if (!cleaning->failed && field->ops->finish != NULL)
        cleaning->failed = !field->ops->finish(cleaning, &value);
    if (cleaning->failed) {
        flow_value_unref(value);
        return false;
    }
    *ret_value = value;
    return true;
}

int flow_field__compare(const FlowField *field, FlowValue a, FlowValue b)
{
    if (field->ops != NULL && field->ops->compare != NULL)
        return field->ops->compare(a, b);
    if (flow_value_is_number(a) && flow_value_is_number(b))
        return flow_value_compare_numbers(a, b);
    if (flow_value_kind(a) == FLOW_VALUE_STRING && flow_value_kind(b) == FLOW_VALUE_STRING) {
        /* The bytes of UTF-8 sort as its code points do. */
        size_t left = flow_value_length(&a), right = flow_value_length(&b);
        int order = memcmp(flow_value_text(&a), flow_value_text(&b), left < right ? left : right);
        if (order == 0)
            order = left < right ? -1 : left > right;
        return order < 0 ? -1 : order > 0;
    }
    return 2;
}

bool flow_field__equal(const FlowField *field_a, FlowValue a, const FlowField *field_b, FlowValue b)
{
    bool decimal_a = field_a->spec->type == FLOW_FIELD_DECIMAL,
         decimal_b = field_b->spec->type == FLOW_FIELD_DECIMAL;
    bool numbers = (decimal_a || flow_value_is_number(a)) && (decimal_b || flow_value_is_number(b));
    if (flow_value_is_null(a) || flow_value_is_null(b))
        return flow_value_is_null(a) && flow_value_is_null(b);
    if ((decimal_a || decimal_b) && numbers)
        return flow_decimal__compare_values(a, b) == 0;
    if (field_a->ops->compare != NULL && field_a->ops == field_b->ops)
        return field_a->ops->compare(a, b) == 0;
    return flow_value_equal_numbers(a, b);
}
