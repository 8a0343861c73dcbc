/* fields_choice.c - one of a list, several of a list, and what the chosen text is turned into. */
#include "forms/internal.h"

#include <string.h>

#include "value/number.h"

static bool each_of(const FlowChoice *choices, bool (*each)(const FlowChoice *choice, void *data), void *data)
{
    for (; choices != NULL && choices->value != NULL; choices++)
        if (!each(choices, data))
            return false;
    return true;
}

void flow_field__each_choice(const FlowCleaning *cleaning, bool (*each)(const FlowChoice *choice, void *data),
                             void *data)
{
    const FlowField *field = cleaning->field;
    if (!each_of(field->spec->choices, each, data))
        return;
    if (cleaning->loaded != NULL && cleaning->loaded[field->index].loaded &&
        !each_of(cleaning->loaded[field->index].items, each, data))
        return;
    if (field->spec->choices_of == NULL || cleaning->raw == NULL)
        return;
    /* The parent counts as it was entered, valid or not, as Django sees posted data. */
    FlowValue parent = cleaning->raw[field->parents[0]];
    FlowBuf key;
    flow_buf_init(&key, 64 * 1024);
    flow_py__print(&key, parent);
    for (const FlowChoicesOf *of = field->spec->choices_of; of->value != NULL; of++)
        if (!key.failed && key.len == strlen(of->value) && memcmp(key.data, of->value, key.len) == 0) {
            each_of(of->choices, each, data);
            break;
        }
    flow_buf_done(&key);
}

typedef struct Wanted {
    const char *text;
    size_t len;
    bool found;
} Wanted;

static bool is_wanted(const FlowChoice *choice, void *data)
{
    Wanted *wanted = data;
    wanted->found =
        strlen(choice->value) == wanted->len && memcmp(choice->value, wanted->text, wanted->len) == 0;
    return !wanted->found;
}

static bool on_offer(FlowCleaning *cleaning, FlowValue text)
{
    Wanted wanted = {.text = flow_value_text(&text), .len = flow_value_length(&text)};
    const FlowField *field = cleaning->field;
    /* Without its loaded choices there is nothing to compare with: the node itself has to look. */
    if (field->loads_choices && (cleaning->loaded == NULL || !cleaning->loaded[field->index].loaded))
        return true;
    flow_field__each_choice(cleaning, is_wanted, &wanted);
    return wanted.found;
}

static bool refuse(FlowCleaning *cleaning, FlowValue text)
{
    return flow_cleaning__fail(cleaning, FLOW_MESSAGE_CHOICE, &(FlowMessageArgs){.value = text});
}

/* str(raw) */
static bool as_text(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    FlowBuf buf;
    if (flow_value_kind(raw) == FLOW_VALUE_STRING) {
        *ret_value = flow_value_ref(raw);
        return true;
    }
    flow_buf_init(&buf, FLOW_VALUE_MAX_SIZE / 2);
    flow_py__print(&buf, raw);
    bool ok = buf.failed ? flow_cleaning__fail(cleaning, FLOW_MESSAGE_TOO_LARGE, NULL)
                         : flow_cleaning__string(cleaning, buf.data, buf.len, ret_value);
    flow_buf_done(&buf);
    return ok;
}

static bool convert_choice(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    if (flow_value__is_empty(raw)) {
        *ret_value = flow_value_string("");
        return true;
    }
    return as_text(cleaning, raw, ret_value);
}

static void check_choice(FlowCleaning *cleaning, FlowValue value)
{
    if (!on_offer(cleaning, value))
        refuse(cleaning, value);
}

static bool convert_multiple(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    size_t count;
    const FlowValue *items = flow_array_items(raw, &count);
    FlowValue list = flow_value_array();
    /* Python's `if not value`: also 0 and false are nothing. */
    bool nothing = flow_value__is_empty(raw) ||
                   (flow_value_kind(raw) == FLOW_VALUE_BOOL && !flow_value_get_bool(raw)) ||
                   (flow_value_is_number(raw) && flow_value_near_double(raw) == 0);
    if (!nothing && flow_value_kind(raw) != FLOW_VALUE_ARRAY)
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_LIST, NULL);
    for (size_t i = 0; !nothing && i < count; i++) {
        FlowValue text;
        if (!as_text(cleaning, items[i], &text)) {
            flow_value_unref(list);
            return false;
        }
        if (flow_array_push_take(&list, text, NULL) != FLOW_OK) {
            flow_value_unref(list);
            return flow_cleaning__fail(cleaning, FLOW_MESSAGE_TOO_LARGE, NULL);
        }
    }
    *ret_value = list;
    return true;
}

/* Only the first wrong one is named. */
static void check_multiple(FlowCleaning *cleaning, FlowValue value)
{
    size_t count;
    const FlowValue *items = flow_array_items(value, &count);
    for (size_t i = 0; i < count; i++)
        if (!on_offer(cleaning, items[i])) {
            refuse(cleaning, items[i]);
            return;
        }
}

static bool coerce(FlowCleaning *cleaning, FlowValue text, FlowValue *ret_value)
{
    FlowFieldSpec spec = {.name = "", .type = FLOW_FIELD_INTEGER};
    FlowField field = {.spec = &spec, .index = cleaning->field->index};
    FlowFormErrors ignored = {0};
    FlowCleaning inner = {.schema = cleaning->schema, .field = &field, .errors = &ignored};
    bool ok = true;
    *ret_value = flow_value_null();
    switch (cleaning->field->spec->coerce) {
    case FLOW_COERCE_INT:
        /* Python's int() takes no "2.0"; Django's IntegerField does. */
        ok = memchr(flow_value_text(&text), '.', flow_value_length(&text)) == NULL &&
             flow_field__integer.convert(&inner, text, ret_value);
        break;
    case FLOW_COERCE_FLOAT:
        ok = flow_field__float.convert(&inner, text, ret_value);
        break;
    case FLOW_COERCE_BOOL:
        *ret_value =
            flow_value_bool(flow_value_text_equals(&text, "True") || flow_value_text_equals(&text, "true") ||
                            flow_value_text_equals(&text, "1"));
        break;
    default:
        *ret_value = flow_value_ref(text);
    }
    flow_form_errors_done(&ignored);
    /* An empty text is no number, though an empty field may be none. */
    return (ok && !flow_value_is_null(*ret_value)) || refuse(cleaning, text);
}

static bool finish_typed(FlowCleaning *cleaning, FlowValue *value)
{
    FlowValue coerced;
    if (flow_value__is_empty(*value)) {
        flow_value_assign_take(value, flow_value_ref(cleaning->field->empty_value));
        return true;
    }
    if (!coerce(cleaning, *value, &coerced))
        return false;
    flow_value_assign_take(value, coerced);
    return true;
}

static bool finish_typed_multiple(FlowCleaning *cleaning, FlowValue *value)
{
    size_t count;
    const FlowValue *items = flow_array_items(*value, &count);
    if (count == 0) {
        flow_value_assign_take(value, flow_value_ref(cleaning->field->empty_value));
        return true;
    }
    FlowValue list = flow_value_array(), coerced;
    for (size_t i = 0; i < count; i++)
        /* No more items than the checked list has: pushing can only fail for want of memory. */
        if (!coerce(cleaning, items[i], &coerced) || flow_array_push_take(&list, coerced, NULL) != FLOW_OK) {
            flow_value_unref(list);
            return cleaning->failed ? false : flow_cleaning__fail(cleaning, FLOW_MESSAGE_TOO_LARGE, NULL);
        }
    flow_value_assign_take(value, list);
    return true;
}

const FlowFieldOps flow_field__choice = {
    .name = "ChoiceField",
    .widget = FLOW_WIDGET_SELECT,
    .options = FLOW_OPTION_CHOICES,
    .convert = convert_choice,
    .check = check_choice,
};

const FlowFieldOps flow_field__typed_choice = {
    .name = "TypedChoiceField",
    .widget = FLOW_WIDGET_SELECT,
    .options = FLOW_OPTION_CHOICES | FLOW_OPTION_COERCE | FLOW_OPTION_EMPTY_VALUE,
    .convert = convert_choice,
    .check = check_choice,
    .finish = finish_typed,
};

const FlowFieldOps flow_field__multiple_choice = {
    .name = "MultipleChoiceField",
    .widget = FLOW_WIDGET_SELECT_MULTIPLE,
    .options = FLOW_OPTION_CHOICES,
    .convert = convert_multiple,
    .check = check_multiple,
};

const FlowFieldOps flow_field__typed_multiple_choice = {
    .name = "TypedMultipleChoiceField",
    .widget = FLOW_WIDGET_SELECT_MULTIPLE,
    .options = FLOW_OPTION_CHOICES | FLOW_OPTION_COERCE | FLOW_OPTION_EMPTY_VALUE,
    .convert = convert_multiple,
    .check = check_multiple,
    .finish = finish_typed_multiple,
};
