/* spec.c - from a declaration to a schema: every check that a form gets once, at registration. */
#include "forms/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/utf8.h"
#include "value/json.h"

enum { FIELDS_MAX = 256, NAME_MAX_BYTES = 64, RULES_MAX = 256 };

#define REASON "INVALID_FORM_SPEC"

#define refuse(reterr, field, ...)                                                                           \
    flow_error_set(reterr, FLOW_INVALID_ARGUMENT, REASON, (field)->spec->name, __VA_ARGS__)

bool flow_literal__value(const FlowLiteral *literal, FlowValue *ret_value)
{
    *ret_value = flow_value_null();
    switch (literal->kind) {
    case FLOW_LITERAL_KIND_BOOL:
        *ret_value = flow_value_bool(literal->integer != 0);
        return true;
    case FLOW_LITERAL_KIND_INT:
        *ret_value = flow_value_int(literal->integer);
        return true;
    case FLOW_LITERAL_KIND_FLOAT:
        *ret_value = flow_value_float(literal->real);
        return true;
    case FLOW_LITERAL_KIND_TEXT:
        *ret_value = flow_value_string(literal->text);
        return true;
    case FLOW_LITERAL_KIND_JSON:
        return flow_json_read(literal->text, strlen(literal->text), NULL, ret_value, NULL) == FLOW_OK;
    case FLOW_LITERAL_KIND_VALUE:
        *ret_value = flow_value_ref(*literal->value);
        return true;
    default:
        return true;
    }
}

/* ---- names ---- */

static bool name_ok(const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;
    if (len == 0 || len > NAME_MAX_BYTES || (*name >= '0' && *name <= '9'))
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == len;
}

static FlowStatus check_names(FlowFormSchema *schema, FlowError *reterr)
{
    for (size_t i = 0; i < schema->count; i++) {
        const FlowField *field = &schema->fields[i];
        if (!name_ok(field->spec->name))
            return flow_error_set(
                reterr, FLOW_INVALID_ARGUMENT, REASON, NULL,
                "field %zu has no usable name: letters, digits and _, at most %d, not a digit first", i,
                NAME_MAX_BYTES);
        if (flow_form_schema_find(schema, field->spec->name, field->name_len) != (int)i)
            return refuse(reterr, field, "two fields are called '%s'", field->spec->name);
        if (flow_field__ops(field->spec->type) == NULL)
            return refuse(reterr, field, "the field has no type");
    }
    return FLOW_OK;
}

/* "user_name" → "User name", as Django's pretty_name(). */
static FlowValue label_of(const FlowFieldSpec *spec)
{
    char label[NAME_MAX_BYTES + 1];
    size_t i = 0;
    if (spec->label != NULL)
        return flow_value_string(spec->label);
    for (; spec->name[i] != '\0'; i++) {
        char c = spec->name[i];
        bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
        label[i] = (char)(c == '_' ? ' ' : i == 0 && lower ? c - 32 : i > 0 && upper ? c + 32 : c);
    }
    return flow_value_stringn(label, i);
}

/* ---- options ---- */

/* A bound of a number, in the form that the type compares with. */
static FlowStatus read_bound(FlowField *field, const FlowLiteral *literal, const char *what, FlowValue *to,
                             FlowError *reterr)
{
    if (!flow_literal__value(literal, to))
        return refuse(reterr, field, "%s is not JSON", what);
    if (flow_value_is_null(*to))
        return FLOW_OK;
    if (!(field->ops->options & FLOW_OPTION_RANGE))
        return refuse(reterr, field, "a %s has no %s", field->ops->name, what);
    if (field->spec->type == FLOW_FIELD_DECIMAL) {
        FlowDecimal decimal;
        FlowBuf text;
        char *digits = NULL;
        flow_buf_init(&text, 4096);
        flow_py__print(&text, *to);
        bool ok = !text.failed && flow_decimal__read(flow_buf_text(&text), text.len, &decimal, &digits);
        flow_buf_clear(&text);
        if (ok)
            flow_decimal__print(&decimal, &text);
        ok = ok && !text.failed;
        if (ok)
            flow_value_assign_take(to, flow_value_stringn(text.data, text.len));
        free(digits);
        flow_buf_done(&text);
        return ok ? FLOW_OK : refuse(reterr, field, "%s is no decimal number", what);
    }
    if (!flow_value_is_number(*to))
        return refuse(reterr, field, "%s is no number", what);
    return FLOW_OK;
}

static FlowStatus check_flags(const FlowField *field, FlowError *reterr)
{
    static const struct {
        unsigned flag;
        const char *name;
        uint64_t types;
    } rows[] = {
#define TYPE(name) (UINT64_C(1) << FLOW_FIELD_##name)
        {FLOW_FIELD_STRIP, "strip", TYPE(REGEX)},
        {FLOW_FIELD_KEEP_SPACE, "strip", TYPE(TEXT) | TYPE(SECRET) | TYPE(SLUG)},
        {FLOW_FIELD_EXPRESSION, "expression", TYPE(TEXT)},
        {FLOW_FIELD_NESTED, "nested", TYPE(JSON)},
        {FLOW_FIELD_NO_NATIVE, "native", TYPE(JSON)},
        {FLOW_FIELD_EMPTY_OK, "empty_ok", TYPE(JSON)},
        {FLOW_FIELD_JSON_LINES, "json_lines", TYPE(JSON)},
        {FLOW_FIELD_UNICODE, "allow_unicode", TYPE(SLUG)},
        {FLOW_FIELD_UNPACK_IPV4, "unpack_ipv4", TYPE(IP)},
        {FLOW_FIELD_SHOW_PASSWORD, "render_value", TYPE(TEXT)},
        {FLOW_FIELD_LOAD_CHOICES, "dynamic_choices",
         TYPE(CHOICE) | TYPE(TYPED_CHOICE) | TYPE(MULTIPLE_CHOICE) | TYPE(TYPED_MULTIPLE_CHOICE)},
#undef TYPE
    };
    unsigned flags = field->spec->flags;
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        if ((flags & rows[i].flag) && !(rows[i].types >> field->spec->type & 1))
            return refuse(reterr, field, "a %s has no option '%s'", field->ops->name, rows[i].name);
    unsigned modes =
        flags & (FLOW_FIELD_LITERAL | FLOW_FIELD_NO_TEMPLATE | FLOW_FIELD_EXPRESSION | FLOW_FIELD_NESTED);
    if ((modes & (modes - 1)) != 0)
        return refuse(reterr, field, "literal, never, expression and nested exclude each other");
    return FLOW_OK;
}

static FlowStatus check_options(const FlowField *field, FlowError *reterr)
{
    const FlowFieldSpec *spec = field->spec;
    unsigned options = field->ops->options;
    /* A select can also be the widget of a text. */
    bool selects = field->widget == FLOW_WIDGET_SELECT || field->widget == FLOW_WIDGET_RADIO;
    const struct {
        bool given;
        unsigned option;
        const char *name;
    } rows[] = {
        {spec->min_length != 0 || spec->max_length != 0, FLOW_OPTION_LENGTH, "length"},
        {spec->max_digits != 0, FLOW_OPTION_DIGITS, "max_digits"},
        {spec->decimal_places.kind != FLOW_LITERAL_KIND_NONE, FLOW_OPTION_DIGITS, "decimal_places"},
        {spec->regex != NULL, FLOW_OPTION_REGEX, "regex"},
        {spec->input_formats != NULL, FLOW_OPTION_FORMATS, "input_formats"},
        {spec->json != FLOW_JSON_KIND_ANY, FLOW_OPTION_JSON, "json"},
        {spec->protocol != FLOW_IP_BOTH, FLOW_OPTION_PROTOCOL, "protocol"},
        {spec->coerce != FLOW_COERCE_TEXT, FLOW_OPTION_COERCE, "coerce"},
        {spec->empty_value.kind != FLOW_LITERAL_KIND_NONE, FLOW_OPTION_EMPTY_VALUE, "empty_value"},
        {spec->choices != NULL && !selects, FLOW_OPTION_CHOICES, "choices"},
        {spec->choices_of != NULL, FLOW_OPTION_CHOICES, "choices_of"},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        if (rows[i].given && !(options & rows[i].option))
            return refuse(reterr, field, "a %s has no option '%s'", field->ops->name, rows[i].name);
    if ((unsigned)spec->json > FLOW_JSON_KIND_TEXT_MAP || (unsigned)spec->protocol > FLOW_IP_V6 ||
        (unsigned)spec->coerce > FLOW_COERCE_BOOL || (unsigned)spec->widget >= FLOW_WIDGET_COUNT)
        return refuse(reterr, field, "an option has a number that means nothing");
    if ((spec->flags & FLOW_FIELD_UNPACK_IPV4) && spec->protocol != FLOW_IP_BOTH)
        return refuse(reterr, field, "unpack_ipv4 goes only with the protocol 'both'");
    for (const char *const *format = spec->input_formats; format != NULL && *format != NULL; format++)
        if (!flow_time__format_ok(*format))
            return refuse(reterr, field,
                          "the format '%s' has a directive that is not known, or one twice: "
                          "%%Y %%y %%m %%d %%H %%I %%M %%S %%f %%p %%b %%B %%a %%A %%z %%%% are",
                          *format);
    return FLOW_OK;
}

static FlowStatus compile_pattern(FlowField *field, FlowError *reterr)
{
    static const char unicode_slug[] = "^[-\\w]+\\Z";
    const char *pattern = field->spec->regex;
    FlowError error;
    if (field->spec->type == FLOW_FIELD_SLUG && (field->spec->flags & FLOW_FIELD_UNICODE))
        pattern = unicode_slug;
    if (field->spec->type == FLOW_FIELD_REGEX && pattern == NULL)
        return refuse(reterr, field, "a RegexField needs a regex");
    if (pattern == NULL)
        return FLOW_OK;
    field->pattern = flow_pattern__compile(pattern, strlen(pattern), &error);
    return field->pattern != NULL ? FLOW_OK : refuse(reterr, field, "%s", error.message);
}

static FlowStatus build_field(FlowField *field, FlowError *reterr)
{
    const FlowFieldSpec *spec = field->spec;
    FlowValue places = flow_value_null();
    field->ops = flow_field__ops(spec->type);
    field->widget = spec->widget != FLOW_WIDGET_DEFAULT ? spec->widget : field->ops->widget;
    field->label = label_of(spec);
    field->max_length = spec->max_length != 0 ? spec->max_length : field->ops->max_length;
    field->decimal_places = -1;
    FlowStatus status = check_flags(field, reterr);
    if (status == FLOW_OK)
        status = check_options(field, reterr);
    if (status == FLOW_OK)
        status = read_bound(field, &spec->min_value, "min_value", &field->min_value, reterr);
    if (status == FLOW_OK)
        status = read_bound(field, &spec->max_value, "max_value", &field->max_value, reterr);
    if (status == FLOW_OK)
        status = compile_pattern(field, reterr);
    if (status != FLOW_OK)
        return status;
    if (spec->decimal_places.kind != FLOW_LITERAL_KIND_NONE &&
        (!flow_literal__value(&spec->decimal_places, &places) || flow_value_kind(places) != FLOW_VALUE_INT ||
         flow_value_get_int(places) < 0 || flow_value_get_int(places) > 1000)) {
        flow_value_unref(places);
        return refuse(reterr, field, "decimal_places is a number from 0 to 1000");
    }
    if (spec->decimal_places.kind != FLOW_LITERAL_KIND_NONE)
        field->decimal_places = flow_value_get_int(places);
    if (!flow_literal__value(&spec->initial, &field->initial) ||
        !flow_literal__value(&spec->empty_value, &field->empty_value))
        return refuse(reterr, field, "initial or empty_value is not JSON");
    field->has_initial = spec->initial.kind != FLOW_LITERAL_KIND_NONE;
    if (spec->empty_value.kind == FLOW_LITERAL_KIND_NONE)
        field->empty_value =
            spec->type == FLOW_FIELD_TYPED_MULTIPLE_CHOICE ? flow_value_array() : flow_value_string("");
    return FLOW_OK;
}

/* ---- dependencies ---- */

static FlowStatus no_such_field(const FlowFormSchema *schema, const char *where, const char *name,
                                FlowError *reterr)
{
    const char *names[FIELDS_MAX];
    for (size_t i = 0; i < schema->count; i++)
        names[i] = schema->fields[i].spec->name;
    const char *nearest = flow_nearest_name(name, strlen(name), names, schema->count);
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, REASON, where, "there is no field '%s'%s%s%s", name,
                          nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                          nearest != NULL ? "'?" : "");
}

static FlowStatus find_parents(FlowFormSchema *schema, FlowField *field, FlowError *reterr)
{
    const FlowFieldSpec *spec = field->spec;
    for (size_t i = 0; i < FLOW_FIELD_PARENTS_MAX && spec->parents[i] != NULL; i++) {
        int parent = flow_form_schema_find(schema, spec->parents[i], strlen(spec->parents[i]));
        if (parent < 0)
            return no_such_field(schema, spec->name, spec->parents[i], reterr);
        field->parents[field->parent_count++] = (size_t)parent;
    }
    if (spec->choices_of != NULL && (field->parent_count != 1 || (spec->flags & FLOW_FIELD_LOAD_CHOICES)))
        return refuse(reterr, field,
                      "choices by the value of a parent need exactly one parent, and are not loaded");
    schema->has_choices_of |= spec->choices_of != NULL;
    field->loads_choices = (spec->flags & FLOW_FIELD_LOAD_CHOICES) != 0;
    if (field->loads_choices && schema->spec.load_choices == NULL)
        return refuse(reterr, field, "the form has no load_choices, which this field needs");
    return FLOW_OK;
}

/* "a → b → a": from a field that waits for itself. */
static FlowStatus circle(const FlowFormSchema *schema, const bool *placed, FlowError *reterr)
{
    char text[400];
    size_t len = 0, at = 0, steps;
    bool seen[FIELDS_MAX] = {false};
    while (placed[at])
        at++;
    /* Each field that is left has a parent that is left: walking upwards ends in the circle. */
    for (steps = 0; !seen[at]; steps++) {
        const FlowField *field = &schema->fields[at];
        seen[at] = true;
        for (size_t i = 0; i < field->parent_count; i++)
            if (!placed[field->parents[i]]) {
                at = field->parents[i];
                break;
            }
    }
    size_t start = at;
    text[0] = '\0';
    do {
        const FlowField *field = &schema->fields[at];
        len += (size_t)snprintf(text + len, sizeof text - len, "%s → ", field->spec->name);
        for (size_t i = 0; i < field->parent_count; i++)
            if (!placed[field->parents[i]]) {
                at = field->parents[i];
                break;
            }
    } while (at != start && len < sizeof text - NAME_MAX_BYTES - 8);
    return refuse(reterr, &schema->fields[start], "the dependencies go round in a circle: %s%s", text,
                  schema->fields[start].spec->name);
}

/* Parents before children, otherwise as declared. */
static FlowStatus order_fields(FlowFormSchema *schema, FlowError *reterr)
{
    bool placed[FIELDS_MAX] = {false};
    size_t count = 0;
    schema->order = flow_calloc(schema->count + 1, sizeof *schema->order);
    for (bool progress = true; progress && count < schema->count;) {
        progress = false;
        for (size_t i = 0; i < schema->count; i++) {
            const FlowField *field = &schema->fields[i];
            bool ready = !placed[i];
            for (size_t k = 0; ready && k < field->parent_count; k++)
                ready = placed[field->parents[k]];
            if (ready) {
                schema->order[count++] = i;
                placed[i] = progress = true;
            }
        }
    }
    return count == schema->count ? FLOW_OK : circle(schema, placed, reterr);
}

/* ---- rules ---- */

static FlowStatus build_rules(FlowFormSchema *schema, FlowError *reterr)
{
    const FlowFormSpec *spec = &schema->spec;
    char where[32];
    schema->rules = flow_calloc(spec->rule_count + 1, sizeof *schema->rules);
    for (size_t i = 0; i < spec->rule_count; i++) {
        const FlowFormRule *rule = &spec->rules[i];
        FlowRuleFields *to = &schema->rules[i];
        snprintf(where, sizeof where, "rules[%zu]", i);
        for (; to->count < FLOW_RULE_FIELDS_MAX && rule->fields[to->count] != NULL; to->count++) {
            const char *name = rule->fields[to->count];
            int field = flow_form_schema_find(schema, name, strlen(name));
            if (field < 0)
                return no_such_field(schema, where, name, reterr);
            to->fields[to->count] = (size_t)field;
        }
        to->target = FLOW_FORM_NO_FIELD;
        if (rule->target != NULL) {
            to->target = flow_form_schema_find(schema, rule->target, strlen(rule->target));
            if (to->target < 0)
                return no_such_field(schema, where, rule->target, reterr);
        }
        bool check = rule->kind == FLOW_RULE_CHECK;
        if ((unsigned)rule->kind > FLOW_RULE_CHECK || to->count == 0 || (rule->check != NULL) != check ||
            (rule->message == NULL && !check))
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, REASON, where,
                                  "a rule has a kind, fields, a message, and a function if it is a CHECK");
    }
    return FLOW_OK;
}

/* An initial value that could never be submitted would fail every form that leaves the field out. */
static FlowStatus check_initial(const FlowFormSchema *schema, const FlowField *field, FlowError *reterr)
{
    bool text = flow_value_kind(field->initial) == FLOW_VALUE_STRING;
    if (!field->has_initial || flow_value__is_empty(field->initial) || field->parent_count > 0 ||
        field->loads_choices || (field->spec->flags & (FLOW_FIELD_EXPRESSION | FLOW_FIELD_NESTED)) ||
        (text &&
         flow_template_is_template(flow_value_text(&field->initial), flow_value_length(&field->initial))))
        return FLOW_OK;
    FlowFormErrors errors = {.schema = schema};
    FlowCleaning cleaning = {.schema = schema, .field = field, .errors = &errors};
    FlowValue cleaned = flow_value_null();
    FlowStatus status = FLOW_OK;
    if (flow_field__clean(&cleaning, field->initial, &cleaned))
        flow_value_unref(cleaned);
    else
        status = refuse(reterr, field, "the initial value is not valid: %s", errors.items[0].message);
    flow_form_errors_done(&errors);
    return status;
}

/* ---- schemas ---- */

static FlowStatus build(FlowFormSchema *schema, FlowError *reterr)
{
    FlowStatus status = check_names(schema, reterr);
    for (size_t i = 0; status == FLOW_OK && i < schema->count; i++)
        status = build_field(&schema->fields[i], reterr);
    for (size_t i = 0; status == FLOW_OK && i < schema->count; i++)
        status = find_parents(schema, &schema->fields[i], reterr);
    if (status == FLOW_OK)
        status = order_fields(schema, reterr);
    return status == FLOW_OK ? build_rules(schema, reterr) : status;
}

FlowStatus flow_form__build(const FlowFormSpec *spec, FlowArena *arena_take, FlowFormSchema **ret_schema,
                            FlowError *reterr)
{
    FlowFormSchema *schema = flow_new(FlowFormSchema);
    atomic_init(&schema->refs, 1);
    schema->spec = *spec;
    if (arena_take != NULL) {
        schema->arena = *arena_take;
        *arena_take = (FlowArena){0};
    }
    FlowStatus status = FLOW_OK;
    if (spec->field_count > FIELDS_MAX || spec->rule_count > RULES_MAX) {
        status = flow_error_set(reterr, FLOW_INVALID_ARGUMENT, REASON, NULL,
                                "a form has at most %d fields and %d rules", FIELDS_MAX, RULES_MAX);
    } else {
        schema->count = spec->field_count;
        schema->fields = flow_calloc(schema->count + 1, sizeof *schema->fields);
        for (size_t i = 0; i < schema->count; i++) {
            schema->fields[i].spec = &spec->fields[i];
            schema->fields[i].index = i;
            schema->fields[i].name_len = spec->fields[i].name != NULL ? strlen(spec->fields[i].name) : 0;
        }
        status = build(schema, reterr);
    }
    if (status != FLOW_OK) {
        flow_form_schema_unref(schema);
        return status;
    }
    *ret_schema = schema;
    return FLOW_OK;
}

FlowStatus flow_form_schema_new(const FlowFormSpec *spec, FlowFormSchema **ret_schema, FlowError *reterr)
{
    FlowFormSchema *schema;
    FlowStatus status = flow_form__build(spec, NULL, &schema, reterr);
    if (status != FLOW_OK)
        return status;
    for (size_t i = 0; status == FLOW_OK && i < schema->count; i++)
        status = check_initial(schema, &schema->fields[i], reterr);
    if (status != FLOW_OK) {
        flow_form_schema_unref(schema);
        return status;
    }
    *ret_schema = schema;
    return FLOW_OK;
}

FlowFormSchema *flow_form_schema_ref(const FlowFormSchema *schema)
{
    /* Counting owners is no change to the schema. */
    FlowFormSchema *self = (FlowFormSchema *)schema;
    atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
    return self;
}

FlowFormSchema *flow_form_schema_unref(const FlowFormSchema *schema)
{
    FlowFormSchema *self = (FlowFormSchema *)schema;
    if (self == NULL || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < self->count; i++) {
        FlowField *field = &self->fields[i];
        flow_value_unref(field->label);
        flow_value_unref(field->initial);
        flow_value_unref(field->empty_value);
        flow_value_unref(field->min_value);
        flow_value_unref(field->max_value);
        flow_pattern__free(field->pattern);
    }
    free(self->fields);
    free(self->order);
    free(self->rules);
    flow_arena_done(&self->arena);
    free(self);
    return NULL;
}

void flow_form_schema_unrefp(FlowFormSchema **schema)
{
    *schema = flow_form_schema_unref(*schema);
}

size_t flow_form_schema_count(const FlowFormSchema *schema)
{
    return schema->count;
}

const char *flow_form_schema_name(const FlowFormSchema *schema, size_t field)
{
    return schema->fields[field].spec->name;
}

FlowFieldType flow_form_schema_type(const FlowFormSchema *schema, size_t field)
{
    return schema->fields[field].spec->type;
}

int flow_form_schema_find(const FlowFormSchema *schema, const char *name, size_t len)
{
    for (size_t i = 0; i < schema->count; i++) {
        const FlowField *field = &schema->fields[i];
        if (field->name_len == len && field->spec->name != NULL && memcmp(field->spec->name, name, len) == 0)
            return (int)i;
    }
    return -1;
}
