/*
 * describe.c - a schema from a JSON description, as plugins and workers send it: the options have Django's names,
 * and ours beside them. The description becomes the same tables that C code declares.
 */
#include "forms/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"

/* Everything that one description may make us keep. */
enum { ARENA_BYTES = 16 << 20 };

#define REASON "INVALID_FORM_SPEC"

typedef struct Reader {
    FlowArena *arena;
    FlowFormSpec spec;
    FlowFieldSpec *fields;
    char where[120];
    FlowError *reterr;
} Reader;

static FlowStatus refuse(Reader *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
static FlowStatus refuse(Reader *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flow_error_vset(self->reterr, FLOW_INVALID_ARGUMENT, REASON, self->where, format, args);
    va_end(args);
    return FLOW_INVALID_ARGUMENT;
}

static FlowStatus too_large(Reader *self)
{
    return flow_error_set(self->reterr, FLOW_RESOURCE_EXHAUSTED, REASON, self->where,
                          "the description is too large: at most %d MiB are kept", ARENA_BYTES >> 20);
}

static void *take(Reader *self, size_t count, size_t size)
{
    return flow_arena_calloc(self->arena, count, size);
}

/* ---- single values ---- */

static FlowStatus read_text(Reader *self, FlowValue value, const char **ret_text)
{
    if (flow_value_kind(value) != FLOW_VALUE_STRING ||
        memchr(flow_value_text(&value), '\0', flow_value_length(&value)) != NULL)
        return refuse(self, "a text is expected");
    *ret_text = flow_arena_strndup(self->arena, flow_value_text(&value), flow_value_length(&value));
    return *ret_text != NULL ? FLOW_OK : too_large(self);
}

/* str(value): what choices are compared with; null is the empty one. */
static FlowStatus read_printed(Reader *self, FlowValue value, const char **ret_text)
{
    FlowBuf buf;
    flow_buf_init(&buf, ARENA_BYTES);
    if (!flow_value_is_null(value))
        flow_py__print(&buf, value);
    bool nul = buf.len > 0 && memchr(buf.data, '\0', buf.len) != NULL;
    *ret_text =
        buf.failed || nul ? NULL : flow_arena_strndup(self->arena, buf.len > 0 ? buf.data : "", buf.len);
    flow_buf_done(&buf);
    if (nul)
        return refuse(self, "a text can't hold a null character");
    return *ret_text != NULL ? FLOW_OK : too_large(self);
}

static FlowStatus read_count(Reader *self, FlowValue value, uint32_t *ret_count)
{
    int64_t count;
    if (!flow_value_to_int(value, &count) || count < 0 || count > INT32_MAX)
        return refuse(self, "a whole number from 0 on is expected");
    *ret_count = (uint32_t)count;
    return FLOW_OK;
}

static FlowStatus read_word(Reader *self, FlowValue value, const char *const *words, size_t count,
                            int *ret_index)
{
    for (size_t i = 0; i < count; i++)
        if (words[i] != NULL && flow_value_kind(value) == FLOW_VALUE_STRING &&
            flow_value_text_equals(&value, words[i])) {
            *ret_index = (int)i;
            return FLOW_OK;
        }
    FlowBuf list;
    flow_buf_init(&list, 0);
    for (size_t i = 0; i < count; i++)
        if (words[i] != NULL)
            flow_buf_printf(&list, "%s%s", list.len > 0 ? ", " : "", words[i]);
    FlowStatus status = refuse(self, "one of these is expected: %s", flow_buf_text(&list));
    flow_buf_done(&list);
    return status;
}

/* ---- choices ---- */

typedef struct ChoiceList {
    FlowChoice *items;
    size_t count, capacity;
} ChoiceList;

static FlowStatus add_choice(Reader *self, ChoiceList *list, const char *value, const char *text,
                             const char *group)
{
    if (list->count + 1 >= list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        FlowChoice *items = take(self, capacity, sizeof *items);
        if (items == NULL)
            return too_large(self);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = (FlowChoice){value, text, group};
    list->items[list->count] = (FlowChoice){0};
    return FLOW_OK;
}

static FlowStatus read_choices(Reader *self, FlowValue value, const char *group, ChoiceList *list);

/* [value, text], [group, [choices]], {"value", "text", "group"}, or a text that stands for itself. */
static FlowStatus read_choice(Reader *self, FlowValue value, const char *group, ChoiceList *list)
{
    const char *text = NULL, *key = NULL;
    FlowStatus status = FLOW_OK;
    if (flow_value_kind(value) == FLOW_VALUE_OBJECT) {
        const FlowValue *of = flow_object_get(value, "value"), *shown = flow_object_get(value, "text"),
                        *under = flow_object_get(value, "group");
        if (of == NULL)
            return refuse(self, "a choice has a value and a text");
        status = read_printed(self, *of, &key);
        if (status == FLOW_OK)
            status = read_printed(self, shown != NULL ? *shown : *of, &text);
        if (status == FLOW_OK && under != NULL && !flow_value_is_null(*under))
            status = read_printed(self, *under, &group);
    } else if (flow_value_kind(value) == FLOW_VALUE_ARRAY) {
        const FlowValue *first = flow_array_at(value, 0), *second = flow_array_at(value, 1);
        if (flow_array_count(value) != 2)
            return refuse(self, "a choice is [value, text] or [group, [choices]]");
        status = read_printed(self, *first, &key);
        if (status == FLOW_OK && flow_value_kind(*second) == FLOW_VALUE_ARRAY) {
            if (group != NULL)
                return refuse(self, "a group of choices can't hold another group");
            return read_choices(self, *second, key, list);
        }
        if (status == FLOW_OK)
            status = read_printed(self, *second, &text);
    } else {
        status = read_printed(self, value, &key);
        text = key;
    }
    return status == FLOW_OK ? add_choice(self, list, key, text, group) : status;
}

/* Groups don't nest, so this is two deep at most. */
static FlowStatus read_choices(Reader *self, FlowValue value, const char *group, ChoiceList *list)
{
    size_t count;
    const FlowValue *items = flow_array_items(value, &count);
    if (flow_value_kind(value) != FLOW_VALUE_ARRAY)
        return refuse(self, "a list of choices is expected");
    if (list->items == NULL && (list->items = take(self, 1, sizeof *list->items)) == NULL)
        return too_large(self);
    for (size_t i = 0; i < count; i++) {
        FlowStatus status = read_choice(self, items[i], group, list);
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}

FlowStatus flow_choices__read(FlowValue value, FlowArena *arena, FlowChoice **ret_items, FlowError *reterr)
{
    ChoiceList list = {0};
    Reader reader = {.arena = arena, .where = "choices", .reterr = reterr};
    FlowStatus status = read_choices(&reader, value, NULL, &list);
    if (status == FLOW_OK)
        *ret_items = list.items;
    return status;
}

static FlowStatus add_parent(Reader *self, FlowFieldSpec *field, const char *name)
{
    for (size_t i = 0; i < FLOW_FIELD_PARENTS_MAX; i++) {
        if (field->parents[i] == NULL)
            field->parents[i] = name;
        if (strcmp(field->parents[i], name) == 0)
            return FLOW_OK;
    }
    return refuse(self, "a field depends on at most %d others", FLOW_FIELD_PARENTS_MAX);
}

/* {"parent": "country", "map": {"us": [["ny", "New York"]]}, "empty": ["", "---"]} */
static FlowStatus read_choices_by(Reader *self, FlowValue value, FlowFieldSpec *field)
{
    const FlowValue *parent = flow_object_get(value, "parent"), *map = flow_object_get(value, "map"),
                    *empty = flow_object_get(value, "empty");
    const char *name;
    size_t count;
    if (parent == NULL || map == NULL || flow_value_kind(*map) != FLOW_VALUE_OBJECT)
        return refuse(self,
                      "choices_by has a parent, a map from its values to choices, and maybe an empty choice");
    FlowStatus status = read_text(self, *parent, &name);
    if (status == FLOW_OK)
        status = add_parent(self, field, name);
    ChoiceList always = {0};
    if (status == FLOW_OK && empty != NULL && !flow_value_is_null(*empty)) {
        status = read_choice(self, *empty, NULL, &always);
        field->choices = always.items;
    }
    const FlowMember *members = flow_object_members(*map, &count);
    FlowChoicesOf *of = take(self, count + 1, sizeof *of);
    if (of == NULL)
        return too_large(self);
    for (size_t i = 0; i < count && status == FLOW_OK; i++) {
        ChoiceList list = {0};
        status = read_text(self, members[i].key, &of[i].value);
        if (status == FLOW_OK)
            status = read_choices(self, members[i].value, NULL, &list);
        of[i].choices = list.items;
    }
    field->choices_of = of;
    return status;
}

/* ---- lists of texts ---- */

static FlowStatus read_texts(Reader *self, FlowValue value, const char *const **ret_texts)
{
    size_t count;
    const FlowValue *items = flow_array_items(value, &count);
    const char **texts = take(self, count + 1, sizeof *texts);
    if (texts == NULL)
        return too_large(self);
    if (flow_value_kind(value) != FLOW_VALUE_ARRAY)
        return refuse(self, "a list of texts is expected");
    for (size_t i = 0; i < count; i++) {
        FlowStatus status = read_text(self, items[i], &texts[i]);
        if (status != FLOW_OK)
            return status;
    }
    *ret_texts = texts;
    return FLOW_OK;
}

/* {"name": "text"}; FlowFieldMessage and FlowFieldAttribute are both such pairs. */
_Static_assert(sizeof(FlowFieldMessage) == sizeof(FlowFieldAttribute), "both are a name and a text");

static FlowStatus read_pairs(Reader *self, FlowValue value, const FlowFieldAttribute **ret_pairs)
{
    size_t count;
    const FlowMember *members = flow_object_members(value, &count);
    FlowFieldAttribute *pairs = take(self, count + 1, sizeof *pairs);
    if (pairs == NULL)
        return too_large(self);
    if (flow_value_kind(value) != FLOW_VALUE_OBJECT)
        return refuse(self, "an object of texts is expected");
    for (size_t i = 0; i < count; i++) {
        FlowStatus status = read_text(self, members[i].key, &pairs[i].name);
        if (status == FLOW_OK)
            status = read_printed(self, members[i].value, &pairs[i].value);
        if (status != FLOW_OK)
            return status;
    }
    *ret_pairs = pairs;
    return FLOW_OK;
}

/* ---- fields ---- */

typedef enum OptionKind {
    OPTION_IGNORED, /* read elsewhere */
    OPTION_TEXT,
    OPTION_LITERAL,
    OPTION_COUNT,
    OPTION_FLAG,
    OPTION_NOT_FLAG,
    OPTION_WORD,
    OPTION_TEMPLATE,
    OPTION_STRIP,
    OPTION_CHOICES,
    OPTION_CHOICES_BY,
    OPTION_PARENTS,
    OPTION_FORMATS,
    OPTION_MESSAGES,
    OPTION_ATTRIBUTES
} OptionKind;

static const char *const protocols[] = {"both", "ipv4", "ipv6"};
static const char *const coercions[] = {"str", "int", "float", "bool"};
static const char *const json_kinds[] = {"any", "object", "array", "texts", "text_map"};
static const char *const templates[] = {"allowed", "literal", "never"};
static const char *const widgets[FLOW_WIDGET_COUNT] = {
    [FLOW_WIDGET_TEXT] = "TextInput",
    [FLOW_WIDGET_TEXTAREA] = "Textarea",
    [FLOW_WIDGET_PASSWORD] = "PasswordInput",
    [FLOW_WIDGET_HIDDEN] = "HiddenInput",
    [FLOW_WIDGET_NUMBER] = "NumberInput",
    [FLOW_WIDGET_EMAIL] = "EmailInput",
    [FLOW_WIDGET_URL] = "URLInput",
    [FLOW_WIDGET_CHECKBOX] = "CheckboxInput",
    [FLOW_WIDGET_SELECT] = "Select",
    [FLOW_WIDGET_NULL_BOOLEAN_SELECT] = "NullBooleanSelect",
    [FLOW_WIDGET_SELECT_MULTIPLE] = "SelectMultiple",
    [FLOW_WIDGET_RADIO] = "RadioSelect",
    [FLOW_WIDGET_CHECKBOXES] = "CheckboxSelectMultiple",
};

static const struct Option {
    const char *name;
    OptionKind kind;
    size_t offset; /* of the member */
    unsigned flag;
    const char *const *words;
    size_t word_count;
} options[] = {
#define MEMBER(member) offsetof(FlowFieldSpec, member)
    {"name", OPTION_IGNORED, 0, 0, NULL, 0},
    {"type", OPTION_IGNORED, 0, 0, NULL, 0},
    {"label", OPTION_TEXT, MEMBER(label), 0, NULL, 0},
    {"help_text", OPTION_TEXT, MEMBER(help), 0, NULL, 0},
    {"regex", OPTION_TEXT, MEMBER(regex), 0, NULL, 0},
    {"initial", OPTION_LITERAL, MEMBER(initial), 0, NULL, 0},
    {"empty_value", OPTION_LITERAL, MEMBER(empty_value), 0, NULL, 0},
    {"min_value", OPTION_LITERAL, MEMBER(min_value), 0, NULL, 0},
    {"max_value", OPTION_LITERAL, MEMBER(max_value), 0, NULL, 0},
    {"decimal_places", OPTION_LITERAL, MEMBER(decimal_places), 0, NULL, 0},
    {"min_length", OPTION_COUNT, MEMBER(min_length), 0, NULL, 0},
    {"max_length", OPTION_COUNT, MEMBER(max_length), 0, NULL, 0},
    {"max_digits", OPTION_COUNT, MEMBER(max_digits), 0, NULL, 0},
    {"required", OPTION_FLAG, 0, FLOW_FIELD_REQUIRED, NULL, 0},
    {"disabled", OPTION_FLAG, 0, FLOW_FIELD_DISABLED, NULL, 0},
    {"allow_unicode", OPTION_FLAG, 0, FLOW_FIELD_UNICODE, NULL, 0},
    {"unpack_ipv4", OPTION_FLAG, 0, FLOW_FIELD_UNPACK_IPV4, NULL, 0},
    {"render_value", OPTION_FLAG, 0, FLOW_FIELD_SHOW_PASSWORD, NULL, 0},
    {"expression", OPTION_FLAG, 0, FLOW_FIELD_EXPRESSION, NULL, 0},
    {"nested", OPTION_FLAG, 0, FLOW_FIELD_NESTED, NULL, 0},
    {"empty_ok", OPTION_FLAG, 0, FLOW_FIELD_EMPTY_OK, NULL, 0},
    {"json_lines", OPTION_FLAG, 0, FLOW_FIELD_JSON_LINES, NULL, 0},
    {"native", OPTION_NOT_FLAG, 0, FLOW_FIELD_NO_NATIVE, NULL, 0},
    {"strip", OPTION_STRIP, 0, 0, NULL, 0},
    {"template", OPTION_TEMPLATE, 0, 0, templates, FLOW_COUNT(templates)},
    {"protocol", OPTION_WORD, MEMBER(protocol), 0, protocols, FLOW_COUNT(protocols)},
    {"coerce", OPTION_WORD, MEMBER(coerce), 0, coercions, FLOW_COUNT(coercions)},
    {"json", OPTION_WORD, MEMBER(json), 0, json_kinds, FLOW_COUNT(json_kinds)},
    {"widget", OPTION_WORD, MEMBER(widget), 0, widgets, FLOW_COUNT(widgets)},
    {"choices", OPTION_CHOICES, 0, 0, NULL, 0},
    {"widget_choices", OPTION_CHOICES, 0, 0, NULL, 0},
    {"choices_by", OPTION_CHOICES_BY, 0, 0, NULL, 0},
    {"parents", OPTION_PARENTS, 0, 0, NULL, 0},
    {"dynamic_choices", OPTION_FLAG, 0, FLOW_FIELD_LOAD_CHOICES, NULL, 0},
    {"input_formats", OPTION_FORMATS, 0, 0, NULL, 0},
    {"error_messages", OPTION_MESSAGES, 0, 0, NULL, 0},
    {"attrs", OPTION_ATTRIBUTES, 0, 0, NULL, 0},
#undef MEMBER
};

static FlowStatus read_flag(Reader *self, FlowValue value, unsigned flag, bool when, FlowFieldSpec *field)
{
    if (flow_value_kind(value) != FLOW_VALUE_BOOL)
        return refuse(self, "true or false is expected");
    if (flow_value_get_bool(value) == when)
        field->flags |= flag;
    else
        field->flags &= ~flag;
    return FLOW_OK;
}

static FlowStatus read_literal(Reader *self, FlowValue value, FlowLiteral *to)
{
    FlowValue *kept = take(self, 1, sizeof *kept);
    if (kept == NULL)
        return too_large(self);
    *kept = value;
    *to = (FlowLiteral){.kind = FLOW_LITERAL_KIND_VALUE, .value = kept};
    return FLOW_OK;
}

static FlowStatus read_parents(Reader *self, FlowValue value, FlowFieldSpec *field)
{
    const char *const *names;
    FlowStatus status = read_texts(self, value, &names);
    for (; status == FLOW_OK && *names != NULL; names++)
        status = add_parent(self, field, *names);
    return status;
}

static FlowStatus read_option(Reader *self, const struct Option *option, FlowValue value,
                              FlowFieldSpec *field)
{
    void *member = (char *)field + option->offset;
    ChoiceList list = {0};
    int word = 0;
    FlowStatus status = FLOW_OK;
    /* null is "not given", but for the empty value it is the value. */
    if (flow_value_is_null(value) && member != &field->empty_value)
        return FLOW_OK;
    switch (option->kind) {
    case OPTION_IGNORED:
        return FLOW_OK;
    case OPTION_TEXT:
        return read_text(self, value, member);
    case OPTION_LITERAL:
        return read_literal(self, value, member);
    case OPTION_COUNT:
        return read_count(self, value, member);
    case OPTION_FLAG:
        return read_flag(self, value, option->flag, true, field);
    case OPTION_NOT_FLAG:
        return read_flag(self, value, option->flag, false, field);
    case OPTION_STRIP:
        return field->type == FLOW_FIELD_REGEX ? read_flag(self, value, FLOW_FIELD_STRIP, true, field)
                                               : read_flag(self, value, FLOW_FIELD_KEEP_SPACE, false, field);
    case OPTION_WORD:
        status = read_word(self, value, option->words, option->word_count, &word);
        if (status == FLOW_OK)
            *(int *)member = word;
        return status;
    case OPTION_TEMPLATE:
        status = read_word(self, value, option->words, option->word_count, &word);
        if (status == FLOW_OK && word > 0)
            field->flags |= word == 1 ? FLOW_FIELD_LITERAL : FLOW_FIELD_NO_TEMPLATE;
        return status;
    case OPTION_CHOICES:
        status = read_choices(self, value, NULL, &list);
        field->choices = list.items;
        return status;
    case OPTION_CHOICES_BY:
        return read_choices_by(self, value, field);
    case OPTION_PARENTS:
        return read_parents(self, value, field);
    case OPTION_FORMATS:
        return read_texts(self, value, &field->input_formats);
    case OPTION_MESSAGES:
        return read_pairs(self, value, (const FlowFieldAttribute **)&field->messages);
    default:
        return read_pairs(self, value, &field->attributes);
    }
}

_Static_assert(sizeof(FlowWidget) == sizeof(int) && sizeof(FlowJsonKind) == sizeof(int),
               "words are stored as int");

static FlowStatus unknown_option(Reader *self, const char *name)
{
    const char *names[FLOW_COUNT(options)];
    for (size_t i = 0; i < FLOW_COUNT(options); i++)
        names[i] = options[i].name;
    const char *nearest = flow_nearest_name(name, strlen(name), names, FLOW_COUNT(options));
    return refuse(self, "there is no option '%s'%s%s%s", name, nearest != NULL ? "; did you mean '" : "",
                  nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

static FlowStatus read_type(Reader *self, FlowValue value, FlowFieldType *ret_type)
{
    const char *names[FLOW_FIELD_TYPE_COUNT];
    size_t count = 0;
    for (int type = FLOW_FIELD_UNSET + 1; type < FLOW_FIELD_TYPE_COUNT; type++) {
        names[count++] = flow_field__ops((FlowFieldType)type)->name;
        if (flow_value_kind(value) == FLOW_VALUE_STRING && flow_value_text_equals(&value, names[count - 1])) {
            *ret_type = (FlowFieldType)type;
            return FLOW_OK;
        }
    }
    if (flow_value_kind(value) != FLOW_VALUE_STRING)
        return refuse(self, "a field has a type, such as \"CharField\"");
    const char *nearest = flow_nearest_name(flow_value_text(&value), flow_value_length(&value), names, count);
    return refuse(self, "there is no field type '%s'%s%s%s", flow_value_text(&value),
                  nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                  nearest != NULL ? "'?" : "");
}

static FlowStatus read_field(Reader *self, size_t index, FlowValue value, FlowFieldSpec *field)
{
    const FlowValue *name = flow_object_get(value, "name"), *type = flow_object_get(value, "type");
    size_t count;
    snprintf(self->where, sizeof self->where, "fields[%zu]", index);
    if (name == NULL || type == NULL)
        return refuse(self, "a field has a name and a type");
    FlowStatus status = read_text(self, *name, &field->name);
    if (status == FLOW_OK)
        status = read_type(self, *type, &field->type);
    field->flags = FLOW_FIELD_REQUIRED;
    const FlowMember *members = flow_object_members(value, &count);
    for (size_t i = 0; i < count && status == FLOW_OK; i++) {
        const char *key = flow_value_text(&members[i].key);
        size_t k = 0;
        snprintf(self->where, sizeof self->where, "fields[%zu].%.60s", index, key);
        while (k < FLOW_COUNT(options) && !flow_value_text_equals(&members[i].key, options[k].name))
            k++;
        status = k < FLOW_COUNT(options) ? read_option(self, &options[k], members[i].value, field)
                                         : unknown_option(self, key);
    }
    return status;
}

/* ---- forms ---- */

static FlowStatus read_rule(Reader *self, size_t index, FlowValue value, FlowFormRule *rule)
{
    static const char *const kinds[] = {"equal", "ordered", "any_of"};
    const FlowValue *kind = flow_object_get(value, "rule"), *fields = flow_object_get(value, "fields"),
                    *message = flow_object_get(value, "message"), *target = flow_object_get(value, "target");
    const char *const *names;
    int word;
    snprintf(self->where, sizeof self->where, "rules[%zu]", index);
    if (kind == NULL || fields == NULL || message == NULL)
        return refuse(self, "a rule has rule, fields, message, and maybe a target");
    FlowStatus status = read_word(self, *kind, kinds, FLOW_COUNT(kinds), &word);
    if (status == FLOW_OK)
        status = read_texts(self, *fields, &names);
    if (status == FLOW_OK)
        status = read_text(self, *message, &rule->message);
    if (status == FLOW_OK && target != NULL && !flow_value_is_null(*target))
        status = read_text(self, *target, &rule->target);
    if (status != FLOW_OK)
        return status;
    rule->kind = (FlowRuleKind)word;
    for (size_t i = 0; names[i] != NULL; i++) {
        if (i == FLOW_RULE_FIELDS_MAX)
            return refuse(self, "a rule has at most %d fields", FLOW_RULE_FIELDS_MAX);
        rule->fields[i] = names[i];
    }
    return FLOW_OK;
}

/* {"parent": ["child", …]} */
static FlowStatus read_dependencies(Reader *self, FlowValue value)
{
    size_t count;
    const FlowMember *members = flow_object_members(value, &count);
    snprintf(self->where, sizeof self->where, "dependencies");
    if (flow_value_kind(value) != FLOW_VALUE_OBJECT)
        return refuse(self, "an object from parents to lists of children is expected");
    for (size_t i = 0; i < count; i++) {
        const char *parent, *const *children;
        FlowStatus status = read_text(self, members[i].key, &parent);
        if (status == FLOW_OK)
            status = read_texts(self, members[i].value, &children);
        for (; status == FLOW_OK && *children != NULL; children++) {
            size_t k = 0;
            while (k < self->spec.field_count && strcmp(self->fields[k].name, *children) != 0)
                k++;
            status = k < self->spec.field_count ? add_parent(self, &self->fields[k], parent)
                                                : refuse(self, "there is no field '%s'", *children);
        }
        if (status != FLOW_OK)
            return status;
    }
    return FLOW_OK;
}

static FlowStatus read_form(Reader *self, FlowValue description)
{
    const FlowValue *fields = flow_object_get(description, "fields"),
                    *rules = flow_object_get(description, "rules"),
                    *dependencies = flow_object_get(description, "dependencies");
    size_t count = 0, rule_count = 0;
    const FlowValue *items = fields != NULL ? flow_array_items(*fields, &count) : NULL;
    if (fields == NULL || flow_value_kind(*fields) != FLOW_VALUE_ARRAY)
        return refuse(self, "a form has a list of fields");
    FlowStatus status = FLOW_OK;
    FlowFormRule *rule_table = NULL;
    self->fields = take(self, count + 1, sizeof *self->fields);
    if (self->fields == NULL)
        return too_large(self);
    for (size_t i = 0; i < count && status == FLOW_OK; i++)
        status = read_field(self, i, items[i], &self->fields[i]);
    self->spec.fields = self->fields;
    self->spec.field_count = count;
    if (status == FLOW_OK && dependencies != NULL && !flow_value_is_null(*dependencies))
        status = read_dependencies(self, *dependencies);
    if (status != FLOW_OK || rules == NULL)
        return status;
    items = flow_array_items(*rules, &rule_count);
    rule_table = take(self, rule_count + 1, sizeof *rule_table);
    if (rule_table == NULL)
        return too_large(self);
    for (size_t i = 0; i < rule_count && status == FLOW_OK; i++)
        status = read_rule(self, i, items[i], &rule_table[i]);
    self->spec.rules = rule_table;
    self->spec.rule_count = rule_count;
    return status;
}

FlowStatus flow_form_schema_read(FlowValue description, FlowChoicesLoad load_choices, void *data,
                                 FlowFormSchema **ret_schema, FlowError *reterr)
{
    FlowArena arena;
    flow_arena_init(&arena, ARENA_BYTES);
    Reader reader = {.arena = &arena, .spec = {.load_choices = load_choices, .data = data}, .reterr = reterr};
    FlowStatus status = read_form(&reader, description);
    if (status == FLOW_OK)
        status = flow_form__build(&reader.spec, &arena, ret_schema, reterr);
    flow_arena_done(&arena);
    return status;
}
