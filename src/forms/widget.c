/* widget.c - how a field looks in HTML: element, type, attributes, options. As Django's widgets. */
#include "forms/view_internal.h"

#include <string.h>

static const struct Widget {
    const char *tag, *type;
    bool options;
} widgets[FLOW_WIDGET_COUNT] = {
    [FLOW_WIDGET_TEXT] = {"input", "text", false},
    [FLOW_WIDGET_TEXTAREA] = {"textarea", "", false},
    [FLOW_WIDGET_PASSWORD] = {"input", "password", false},
    [FLOW_WIDGET_HIDDEN] = {"input", "hidden", false},
    [FLOW_WIDGET_NUMBER] = {"input", "number", false},
    [FLOW_WIDGET_EMAIL] = {"input", "email", false},
    [FLOW_WIDGET_URL] = {"input", "url", false},
    [FLOW_WIDGET_CHECKBOX] = {"input", "checkbox", false},
    [FLOW_WIDGET_SELECT] = {"select", "", true},
    [FLOW_WIDGET_NULL_BOOLEAN_SELECT] = {"select", "", true},
    [FLOW_WIDGET_SELECT_MULTIPLE] = {"select", "", true},
    [FLOW_WIDGET_RADIO] = {"input", "radio", true},
    [FLOW_WIDGET_CHECKBOXES] = {"input", "checkbox", true},
};

static const FlowChoice null_boolean_choices[] = {
    {"unknown", "Unknown", NULL}, {"true", "Yes", NULL}, {"false", "No", NULL}, {0}};

const char *flow_widget__tag(FlowWidget widget)
{
    return widgets[widget].tag;
}

const char *flow_widget__type(FlowWidget widget)
{
    return widgets[widget].type;
}

bool flow_widget__has_options(FlowWidget widget)
{
    return widgets[widget].options;
}

bool flow_widget__is_multiple(FlowWidget widget)
{
    return widget == FLOW_WIDGET_SELECT_MULTIPLE || widget == FLOW_WIDGET_CHECKBOXES;
}

FlowValue flow_widget__printed(FlowValue value)
{
    FlowBuf buf;
    FlowValue text = flow_value_null();
    if (flow_value_kind(value) == FLOW_VALUE_STRING)
        return flow_value_ref(value);
    flow_buf_init(&buf, FLOW_VALUE_MAX_SIZE / 2);
    flow_py__print(&buf, value);
    if (buf.failed || flow_value_try_string(buf.data, buf.len, &text, NULL) != FLOW_OK)
        text = flow_value_string("");
    flow_buf_done(&buf);
    return text;
}

void flow_view__put(FlowValue *object, const char *key, FlowValue value_take)
{
    /* A form that is larger than any value can be loses what doesn't fit. */
    (void)flow_object_set_take(object, key, value_take, NULL);
}

/* ---- attributes ---- */

/* "0.01" for two places; beyond six "1e-7", since browsers take 0.0000001 for zero. */
static FlowValue step_of(const FlowField *field)
{
    static const FlowDecimal one = {.digits = "1", .count = 1};
    FlowDecimal step = one;
    FlowBuf text;
    if (field->decimal_places < 0)
        return flow_value_string("any");
    step.exponent = -field->decimal_places;
    flow_buf_init(&text, 64);
    flow_decimal__print(&step, &text);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == 'E')
            text.data[i] = 'e';
    FlowValue value = flow_value_stringn(text.data, text.len);
    flow_buf_done(&text);
    return value;
}

/* Whether a browser may be told that the field is required. */
static bool says_required(const FlowField *field, const FlowCleaning *offer);

static void put_number_attributes(const FlowField *field, FlowValue *attributes)
{
    FlowFieldType type = field->spec->type;
    if (field->widget != FLOW_WIDGET_NUMBER)
        return;
    if (!flow_value_is_null(field->min_value))
        flow_view__put(attributes, "min", flow_widget__printed(field->min_value));
    if (!flow_value_is_null(field->max_value))
        flow_view__put(attributes, "max", flow_widget__printed(field->max_value));
    if ((type == FLOW_FIELD_FLOAT || type == FLOW_FIELD_DECIMAL) &&
        flow_object_get(*attributes, "step") == NULL)
        flow_view__put(attributes, "step", step_of(field));
}

FlowValue flow_widget__attributes(const FlowField *field, const FlowCleaning *offer)
{
    const FlowFieldSpec *spec = field->spec;
    FlowValue attributes = flow_value_object();
    if (field->widget == FLOW_WIDGET_TEXTAREA) {
        flow_view__put(&attributes, "cols", flow_value_string("40"));
        flow_view__put(&attributes, "rows", flow_value_string("10"));
    }
    for (const FlowFieldAttribute *own = spec->attributes; own != NULL && own->name != NULL; own++)
        flow_view__put(&attributes, own->name, flow_value_string(own->value));
    if (field->widget != FLOW_WIDGET_HIDDEN) {
        if (field->max_length != 0)
            flow_view__put(&attributes, "maxlength", flow_widget__printed(flow_value_int(field->max_length)));
        if (spec->min_length != 0)
            flow_view__put(&attributes, "minlength", flow_widget__printed(flow_value_int(spec->min_length)));
    }
    put_number_attributes(field, &attributes);
    if ((spec->flags & FLOW_FIELD_REQUIRED) && says_required(field, offer))
        flow_view__put(&attributes, "required", flow_value_bool(true));
    if (spec->flags & FLOW_FIELD_DISABLED)
        flow_view__put(&attributes, "disabled", flow_value_bool(true));
    return attributes;
}

/* ---- options ---- */

typedef struct Options {
    FlowValue list, chosen; /* chosen: array of texts */
    bool multiple, grouped, any_selected;
} Options;

static bool is_chosen(const Options *self, const char *value)
{
    size_t count;
    const FlowValue *items = flow_array_items(self->chosen, &count);
    for (size_t i = 0; i < count; i++)
        if (flow_value_text_equals(&items[i], value))
            return true;
    return false;
}

static bool add_option(const FlowChoice *choice, void *data)
{
    Options *self = data;
    bool selected = is_chosen(self, choice->value) && (self->multiple || !self->any_selected);
    FlowValue option = flow_value_object();
    self->any_selected = self->any_selected || selected;
    flow_view__put(&option, "value", flow_value_string(choice->value));
    flow_view__put(&option, "text", flow_value_string(choice->text != NULL ? choice->text : choice->value));
    flow_view__put(&option, "selected", flow_value_bool(selected));
    if (choice->group != NULL && self->grouped)
        flow_view__put(&option, "group", flow_value_string(choice->group));
    return flow_array_push_take(&self->list, option, NULL) == FLOW_OK;
}

static const char *null_boolean_text(FlowValue value)
{
    if (flow_value_kind(value) == FLOW_VALUE_STRING)
        return flow_value_text_equals(&value, "true") || flow_value_text_equals(&value, "2")    ? "true"
               : flow_value_text_equals(&value, "false") || flow_value_text_equals(&value, "3") ? "false"
                                                                                                : "unknown";
    double number = flow_value_kind(value) == FLOW_VALUE_BOOL ? flow_value_get_bool(value)
                    : flow_value_is_number(value)             ? flow_value_near_double(value)
                                                              : 2;
    return number == 1 ? "true" : number == 0 ? "false" : "unknown";
}

/* The value as the texts that options are compared with. */
static FlowValue chosen_texts(const FlowField *field, FlowValue value)
{
    FlowValue texts = flow_value_array();
    size_t count;
    const FlowValue *items = flow_array_items(value, &count);
    if (field->widget == FLOW_WIDGET_NULL_BOOLEAN_SELECT) {
        (void)flow_array_push_take(&texts, flow_value_string(null_boolean_text(value)), NULL);
    } else if (flow_value_kind(value) == FLOW_VALUE_ARRAY) {
        for (size_t i = 0; i < count; i++)
            (void)flow_array_push_take(
                &texts, flow_value_is_null(items[i]) ? flow_value_string("") : flow_widget__printed(items[i]),
                NULL);
    } else if (!flow_value_is_null(value)) {
        (void)flow_array_push_take(&texts, flow_widget__printed(value), NULL);
    } else if (!flow_widget__is_multiple(field->widget)) {
        (void)flow_array_push_take(&texts, flow_value_string(""), NULL);
    }
    return texts;
}

FlowValue flow_widget__options(const FlowField *field, const FlowCleaning *offer, FlowValue value)
{
    Options options = {.list = flow_value_array(),
                       .chosen = chosen_texts(field, value),
                       .multiple = flow_widget__is_multiple(field->widget),
                       /* Radio buttons and checkboxes stand in one list. */
                       .grouped = field->widget == FLOW_WIDGET_SELECT ||
                                  field->widget == FLOW_WIDGET_SELECT_MULTIPLE};
    if (field->widget == FLOW_WIDGET_NULL_BOOLEAN_SELECT)
        for (const FlowChoice *choice = null_boolean_choices; choice->value != NULL; choice++)
            add_option(choice, &options);
    else
        flow_field__each_choice(offer, add_option, &options);
    flow_value_unref(options.chosen);
    return options.list;
}

static bool note_first(const FlowChoice *choice, void *data)
{
    const FlowChoice **first = data;
    *first = choice;
    return false;
}

static bool says_required(const FlowField *field, const FlowCleaning *offer)
{
    const FlowChoice *first = NULL;
    switch (field->widget) {
    case FLOW_WIDGET_HIDDEN:
    case FLOW_WIDGET_NULL_BOOLEAN_SELECT:
    case FLOW_WIDGET_CHECKBOXES: /* it would mean that each of them must be ticked */
        return false;
    case FLOW_WIDGET_SELECT:
        /* Valid HTML only where "nothing chosen" can be seen: the first option is empty. */
        flow_field__each_choice(offer, note_first, &first);
        return first != NULL && first->value[0] == '\0' && first->group == NULL;
    default:
        return true;
    }
}
