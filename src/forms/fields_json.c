/* fields_json.c - JSON: text is parsed, anything else is a value already. */
#include "forms/internal.h"

#include <string.h>

#include "value/json.h"

static const FlowJsonLimits limits = {.depth = FLOW_JSON_DEFAULT_DEPTH, .flags = FLOW_JSON_READ_DUPLICATES};

bool flow_form__read_json(FlowValue text, FlowValue *ret_value)
{
    return flow_json_read(flow_value_text(&text), flow_value_length(&text), &limits, ret_value, NULL) ==
           FLOW_OK;
}

/* Python's json.loads() ignores the same white space as the standard does, and nothing else. */
static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (memchr(" \t\r\n", text[i], 4) == NULL)
            return false;
    return true;
}

/* One value per line; empty lines are skipped. */
static bool read_lines(const char *text, size_t len, FlowValue *ret_value)
{
    FlowValue list = flow_value_array();
    for (const char *end = text + len; text < end;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line = (size_t)((newline != NULL ? newline : end) - text);
        FlowValue item = flow_value_null();
        if (!is_blank(text, line) && (flow_json_read(text, line, &limits, &item, NULL) != FLOW_OK ||
                                      flow_array_push_take(&list, item, NULL) != FLOW_OK)) {
            flow_value_unref(list);
            return false;
        }
        text += line + 1;
        if (newline == NULL)
            break;
    }
    *ret_value = list;
    return true;
}

static bool convert_json(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    const FlowFieldSpec *spec = cleaning->field->spec;
    const char *text = flow_value_text(&raw);
    size_t len = flow_value_kind(raw) == FLOW_VALUE_STRING ? flow_value_length(&raw) : 0;
    if (flow_value__is_empty(raw)) {
        bool keep = (spec->flags & FLOW_FIELD_EMPTY_OK) && flow_value_kind(raw) >= FLOW_VALUE_ARRAY;
        *ret_value = keep ? flow_value_ref(raw) : flow_value_null();
        return true;
    }
    /* The value of a disabled field comes from its declaration: it is the value, not a text to parse. */
    if (flow_value_kind(raw) != FLOW_VALUE_STRING || (spec->flags & FLOW_FIELD_DISABLED)) {
        *ret_value = flow_value_ref(raw);
        return true;
    }
    if (flow_form__read_json(raw, ret_value))
        return true;
    if ((spec->flags & FLOW_FIELD_JSON_LINES) && read_lines(text, len, ret_value))
        return true;
    return flow_cleaning__fail(cleaning, FLOW_MESSAGE_JSON, &(FlowMessageArgs){.value = raw});
}

/* A string for a number or a boolean; null for what can't be one. */
static bool as_string(FlowValue value, FlowValue *ret_text)
{
    char *text;
    switch (flow_value_kind(value)) {
    case FLOW_VALUE_STRING:
        *ret_text = flow_value_ref(value);
        return true;
    case FLOW_VALUE_BOOL:
    case FLOW_VALUE_INT:
    case FLOW_VALUE_FLOAT:
        text = flow_json_text(value, 0);
        if (text == NULL)
            return false;
        *ret_text = flow_value_string(text);
        free(text);
        return true;
    default:
        return false;
    }
}

static bool all_strings(FlowValue value)
{
    size_t count;
    const FlowValue *items = flow_array_items(value, &count);
    for (size_t i = 0; i < count; i++)
        if (flow_value_kind(items[i]) != FLOW_VALUE_STRING)
            return false;
    const FlowMember *members = flow_object_members(value, &count);
    for (size_t i = 0; i < count; i++)
        if (flow_value_kind(members[i].value) != FLOW_VALUE_STRING)
            return false;
    return true;
}

static bool stringify(FlowValue *value)
{
    bool ok = true;
    size_t count;
    FlowValue text;
    if (all_strings(*value))
        return true;
    if (flow_value_kind(*value) == FLOW_VALUE_ARRAY) {
        FlowValue to = flow_value_array();
        const FlowValue *items = flow_array_items(*value, &count);
        for (size_t i = 0; i < count && ok; i++)
            ok = as_string(items[i], &text) && flow_array_push_take(&to, text, NULL) == FLOW_OK;
        flow_value_assign_take(ok ? value : &to, ok ? to : flow_value_null());
    } else {
        FlowValue to = flow_value_object();
        const FlowMember *members = flow_object_members(*value, &count);
        for (size_t i = 0; i < count && ok; i++)
            ok = as_string(members[i].value, &text) &&
                 flow_object_set_key_take(&to, members[i].key, text, NULL) == FLOW_OK;
        flow_value_assign_take(ok ? value : &to, ok ? to : flow_value_null());
    }
    return ok;
}

static const struct {
    FlowValueKind kind;
    FlowMessageId message;
    bool texts;
} kinds[] = {
    [FLOW_JSON_KIND_OBJECT] = {FLOW_VALUE_OBJECT, FLOW_MESSAGE_JSON_OBJECT, false},
    [FLOW_JSON_KIND_ARRAY] = {FLOW_VALUE_ARRAY, FLOW_MESSAGE_JSON_ARRAY, false},
    [FLOW_JSON_KIND_TEXTS] = {FLOW_VALUE_ARRAY, FLOW_MESSAGE_JSON_TEXTS, true},
    [FLOW_JSON_KIND_TEXT_MAP] = {FLOW_VALUE_OBJECT, FLOW_MESSAGE_JSON_TEXT_MAP, true},
};

bool flow_field__check_json_kind(FlowCleaning *cleaning, FlowValue value)
{
    FlowJsonKind wanted = cleaning->field->spec->json;
    return wanted == FLOW_JSON_KIND_ANY || flow_value_kind(value) == kinds[wanted].kind ||
           flow_cleaning__fail(cleaning, kinds[wanted].message, NULL);
}

/* The kind of JSON that is asked for; runs on every value that is not null. */
static bool finish_json(FlowCleaning *cleaning, FlowValue *value)
{
    FlowJsonKind wanted = cleaning->field->spec->json;
    if (wanted == FLOW_JSON_KIND_ANY || flow_value_is_null(*value))
        return true;
    if (!flow_field__check_json_kind(cleaning, *value))
        return false;
    return !kinds[wanted].texts || stringify(value) ||
           flow_cleaning__fail(cleaning, kinds[wanted].message, NULL);
}

/* The lengths of a JSONField are nowhere checked by Django either (they would fail on numbers). */
static void check_json(FlowCleaning *cleaning, FlowValue value)
{
    flow_field__check_nul(cleaning, value);
}

bool flow_field__clean_native(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    const FlowFieldSpec *spec = cleaning->field->spec;
    FlowValue parsed = flow_value_null();
    if (flow_value_kind(raw) != FLOW_VALUE_STRING || flow_value_length(&raw) == 0 ||
        spec->json != FLOW_JSON_KIND_ANY)
        return flow_field__clean(cleaning, raw, ret_value);
    /* {{ data.items | tojson }} means the list; {{ data.name }} the name, also when it looks like a number. */
    if (flow_form__read_json(raw, &parsed) && flow_value_kind(parsed) >= FLOW_VALUE_ARRAY) {
        bool ok = flow_field__clean(cleaning, parsed, ret_value);
        flow_value_unref(parsed);
        return ok;
    }
    flow_value_unref(parsed);
    cleaning->failed = false;
    flow_field__check_nul(cleaning, raw);
    if (!cleaning->failed)
        *ret_value = flow_value_ref(raw);
    return !cleaning->failed;
}

const FlowFieldOps flow_field__json = {
    .name = "JSONField",
    .widget = FLOW_WIDGET_TEXTAREA,
    .options = FLOW_OPTION_JSON,
    .convert = convert_json,
    .check = check_json,
    .finish = finish_json,
};
