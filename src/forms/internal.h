/*
 * internal.h - what the files of this room share: compiled fields, the state of one cleaning, messages,
 * helpers that speak Python's dialect of text and numbers.
 */
#ifndef FLOW_FORMS_INTERNAL_H
#define FLOW_FORMS_INTERNAL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "forms/form.h"

/* ---- compiled fields ---- */

typedef struct FlowPattern FlowPattern;
typedef struct FlowCleaning FlowCleaning;
typedef struct FlowFieldOps FlowFieldOps;

/* An exact decimal number: (-1)^negative * digits * 10^exponent. */
typedef struct FlowDecimal {
    bool negative;
    const char *digits; /* no leading zeros, but at least one digit */
    size_t count;
    int64_t exponent;
} FlowDecimal;

typedef struct FlowField {
    const FlowFieldSpec *spec;
    const FlowFieldOps *ops;
    size_t index, name_len;
    FlowWidget widget; /* resolved: never FLOW_WIDGET_DEFAULT */
    FlowValue label;
    bool has_initial;
    FlowValue initial, empty_value;
    FlowValue min_value, max_value; /* null: no bound; of a DECIMAL the text */
    int64_t decimal_places;         /* -1: any */
    uint32_t max_length;            /* with the type's default */
    FlowPattern *pattern;
    size_t parents[FLOW_FIELD_PARENTS_MAX], parent_count;
    bool loads_choices; /* asks load_choices */
} FlowField;

/* Names of a rule as indices. */
typedef struct FlowRuleFields {
    size_t fields[FLOW_RULE_FIELDS_MAX], count;
    int target; /* or FLOW_FORM_NO_FIELD */
} FlowRuleFields;

struct FlowFormSchema {
    atomic_size_t refs;
    FlowArena arena; /* of a schema that was read: everything the spec points to */
    FlowFormSpec spec;
    FlowField *fields;
    size_t count;
    size_t *order;       /* field indices, parents before children */
    bool has_choices_of; /* some choices depend on what is entered elsewhere */
    FlowRuleFields *rules;
};

/* Choices that load_choices found, for one field. */
typedef struct FlowLoadedChoices {
    bool loaded;
    char *error;       /* why they could not be loaded; NULL: they could, or were not asked for */
    FlowChoice *items; /* ends with an entry without a value; in `arena` */
    FlowArena arena;
} FlowLoadedChoices;

/* ---- messages ---- */

#define FLOW_FORM_MESSAGES(X)                                                                                \
    X(REQUIRED, "required", "This field is required.", NULL)                                                 \
    X(INTEGER, "invalid", "Enter a whole number.", NULL)                                                     \
    X(NUMBER, "invalid", "Enter a number.", NULL)                                                            \
    X(MAX_VALUE, "max_value", "Ensure this value is less than or equal to %(limit_value)s.", NULL)           \
    X(MIN_VALUE, "min_value", "Ensure this value is greater than or equal to %(limit_value)s.", NULL)        \
    X(MIN_LENGTH, "min_length",                                                                              \
      "Ensure this value has at least %(limit_value)d character (it has %(show_value)d).",                   \
      "Ensure this value has at least %(limit_value)d characters (it has %(show_value)d).")                  \
    X(MAX_LENGTH, "max_length",                                                                              \
      "Ensure this value has at most %(limit_value)d character (it has %(show_value)d).",                    \
      "Ensure this value has at most %(limit_value)d characters (it has %(show_value)d).")                   \
    X(MAX_DIGITS, "max_digits", "Ensure that there are no more than %(max)s digit in total.",                \
      "Ensure that there are no more than %(max)s digits in total.")                                         \
    X(MAX_DECIMAL_PLACES, "max_decimal_places", "Ensure that there are no more than %(max)s decimal place.", \
      "Ensure that there are no more than %(max)s decimal places.")                                          \
    X(MAX_WHOLE_DIGITS, "max_whole_digits",                                                                  \
      "Ensure that there are no more than %(max)s digit before the decimal point.",                          \
      "Ensure that there are no more than %(max)s digits before the decimal point.")                         \
    X(NUL, "null_characters_not_allowed", "Null characters are not allowed.", NULL)                          \
    X(REGEX, "invalid", "Enter a valid value.", NULL)                                                        \
    X(SLUG, "invalid", "Enter a valid “slug” consisting of letters, numbers, underscores or hyphens.", NULL) \
    X(UNICODE_SLUG, "invalid",                                                                               \
      "Enter a valid “slug” consisting of Unicode letters, numbers, underscores, or hyphens.", NULL)         \
    X(UUID, "invalid", "Enter a valid UUID.", NULL)                                                          \
    X(EMAIL, "invalid", "Enter a valid email address.", NULL)                                                \
    X(URL, "invalid", "Enter a valid URL.", NULL)                                                            \
    X(IP, "invalid", "Enter a valid IPv4 or IPv6 address.", NULL)                                            \
    X(IPV4, "invalid", "Enter a valid IPv4 address.", NULL)                                                  \
    X(IPV6, "invalid", "Enter a valid IPv6 address.", NULL)                                                  \
    X(BROKEN_IPV6, "invalid", "This is not a valid IPv6 address.", NULL)                                     \
    X(CHOICE, "invalid_choice", "Select a valid choice. %(value)s is not one of the available choices.",     \
      NULL)                                                                                                  \
    X(LIST, "invalid_list", "Enter a list of values.", NULL)                                                 \
    X(DATE, "invalid", "Enter a valid date.", NULL)                                                          \
    X(DATETIME, "invalid", "Enter a valid date/time.", NULL)                                                 \
    X(TIME, "invalid", "Enter a valid time.", NULL)                                                          \
    X(DURATION, "invalid", "Enter a valid duration.", NULL)                                                  \
    X(DURATION_OVERFLOW, "overflow", "The number of days must be between -999999999 and 999999999.", NULL)   \
    X(JSON, "invalid", "Enter a valid JSON.", NULL)                                                          \
    X(JSON_OBJECT, "invalid_kind", "Enter a JSON object.", NULL)                                             \
    X(JSON_ARRAY, "invalid_kind", "Enter a JSON array.", NULL)                                               \
    X(JSON_TEXTS, "invalid_kind", "Enter a JSON array of texts.", NULL)                                      \
    X(JSON_TEXT_MAP, "invalid_kind", "Enter a JSON object whose values are texts.", NULL)                    \
    X(TOO_LARGE, "too_large", "This value is too large.", NULL)                                              \
    X(SECRET_MASK, "secret_mask",                                                                            \
      "This is the mask that stands for a stored secret, and none is stored. Enter the secret.", NULL)       \
    X(NO_TEMPLATE, "no_template", "This field can't hold a template.", NULL)

typedef enum FlowMessageId {
#define X(id, code, one, many) FLOW_MESSAGE_##id,
    FLOW_FORM_MESSAGES(X)
#undef X
        FLOW_MESSAGE_COUNT
} FlowMessageId;

/* What the placeholders stand for; `count` chooses between one and many. */
typedef struct FlowMessageArgs {
    FlowValue limit, show, value, max; /* borrowed */
    int64_t count;
} FlowMessageArgs;

extern const struct FlowMessage {
    const char *code, *one, *many;
} flow_form__messages[FLOW_MESSAGE_COUNT];

/* ---- cleaning one value ---- */

struct FlowCleaning {
    const FlowFormSchema *schema;
    const FlowField *field;
    FlowFormErrors *errors;
    const FlowValue *raw; /* what was entered in all fields, for choices that depend; may be NULL */
    const FlowLoadedChoices *loaded; /* one for each field; may be NULL */
    bool failed;
};

struct FlowFieldOps {
    const char *name; /* in descriptions */
    FlowWidget widget;
    unsigned options;      /* FLOW_OPTION_*: what the type understands */
    uint32_t max_length;   /* default */
    FlowMessageId invalid; /* what a value of an impossible kind is told */
    /* Turns what was entered into the value, or fails. The result is yours. */
    bool (*convert)(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value);
    /* All further checks on a value that is not empty; each failure is reported. May be NULL. */
    void (*check)(FlowCleaning *cleaning, FlowValue value);
    /* Replaces the checked value (coerced choices). May be NULL. */
    bool (*finish)(FlowCleaning *cleaning, FlowValue *value);
    /* Order for rules: -1, 0, 1; 2 where there is none. NULL: numbers, then strings by code point. */
    int (*compare)(FlowValue a, FlowValue b);
};

enum {
    FLOW_OPTION_LENGTH = 1 << 0,
    FLOW_OPTION_RANGE = 1 << 1,
    FLOW_OPTION_DIGITS = 1 << 2,
    FLOW_OPTION_CHOICES = 1 << 3,
    FLOW_OPTION_COERCE = 1 << 4,
    FLOW_OPTION_REGEX = 1 << 5,
    FLOW_OPTION_FORMATS = 1 << 6,
    FLOW_OPTION_JSON = 1 << 7,
    FLOW_OPTION_PROTOCOL = 1 << 8,
    FLOW_OPTION_EMPTY_VALUE = 1 << 9
};

extern const FlowFieldOps flow_field__text, flow_field__secret, flow_field__regex, flow_field__slug,
    flow_field__uuid, flow_field__email, flow_field__url, flow_field__ip, flow_field__integer,
    flow_field__float, flow_field__decimal, flow_field__boolean, flow_field__null_boolean, flow_field__choice,
    flow_field__typed_choice, flow_field__multiple_choice, flow_field__typed_multiple_choice,
    flow_field__date, flow_field__datetime, flow_field__time, flow_field__duration, flow_field__json;

const FlowFieldOps *flow_field__ops(FlowFieldType type);

/* Django's Field.clean(): convert, required, checks. *ret_value is yours; untouched on failure. */
bool flow_field__clean(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value);
/* The same for what an {{ expression }} gave: a string stays one, unless it is a JSON list or object. */
bool flow_field__clean_native(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value);
/* The kind of JSON that the field asks for, as far as it can be seen before templates inside are rendered. */
bool flow_field__check_json_kind(FlowCleaning *cleaning, FlowValue value);
/* A string as JSON, with the bounds that hold for all fields. */
bool flow_form__read_json(FlowValue text, FlowValue *ret_value);
/* null, "", [] and {} */
bool flow_value__is_empty(FlowValue value);
int flow_field__compare(const FlowField *field, FlowValue a, FlowValue b);
/* Equal as Python has it: "1.50" of a DECIMAL and 1.5, one instant in two time zones. */
bool flow_field__equal(const FlowField *field_a, FlowValue a, const FlowField *field_b, FlowValue b);

/* Reports a failure in the field's own words if it has any. Always false. `args` NULL: no placeholders. */
bool flow_cleaning__fail(FlowCleaning *cleaning, FlowMessageId id, const FlowMessageArgs *args);
/* The same with the words of the table, whatever the field says. */
bool flow_cleaning__fail_plainly(FlowCleaning *cleaning, FlowMessageId id);
/* A string value of this text; fails the cleaning when it is too large. */
bool flow_cleaning__string(FlowCleaning *cleaning, const char *text, size_t len, FlowValue *ret_value);

/* The shared parts of text types (fields_text.c). */
bool flow_field__convert_text(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value);
void flow_field__check_lengths(FlowCleaning *cleaning, FlowValue value);
void flow_field__check_nul(FlowCleaning *cleaning, FlowValue value);

/* Builds a schema; `arena_take` (may be NULL) has what a spec that was read points to. */
FlowStatus flow_form__build(const FlowFormSpec *spec, FlowArena *arena_take, FlowFormSchema **ret_schema,
                            FlowError *reterr);
/* The constant as a value of yours; false where its JSON is faulty. NONE gives null. */
bool flow_literal__value(const FlowLiteral *literal, FlowValue *ret_value);
/* Choices from JSON (describe.c): [value, text], {"value", "text", "group"} or [group, [[value, text], …]]. */
FlowStatus flow_choices__read(FlowValue value, FlowArena *arena, FlowChoice **ret_items, FlowError *reterr);

/* Calls back for each choice on offer, in order; stops when `each` answers false. */
void flow_field__each_choice(const FlowCleaning *cleaning, bool (*each)(const FlowChoice *choice, void *data),
                             void *data);

/* Parses an address (ip.c). */
bool flow_ip__v4(const char *text, size_t len, uint8_t ret_address[4]);
bool flow_ip__v6(const char *text, size_t len, uint8_t ret_address[16]);
/* Compressed, lower case, IPv4-mapped ones with dots. */
size_t flow_ip__print_v6(const uint8_t address[16], char to[64]);

/* Host names (host.c). */
bool flow_host__email_domain(const char *text, size_t len);
bool flow_host__url_host(const char *text, size_t len);
/* Appends the name with labels in other scripts as xn--…; false when it has none. */
bool flow_host__to_ascii(const char *text, size_t len, FlowBuf *to);

/* strptime's formats: checked at registration (datetime.c). */
bool flow_time__format_ok(const char *format);

/* ---- decimals (decimal.c) ---- */

/* Reads what Python's Decimal() takes, finite numbers only; `digits` points into *ret_buf (yours). */
bool flow_decimal__read(const char *text, size_t len, FlowDecimal *ret_decimal, char **ret_buf);
/* str(Decimal) */
void flow_decimal__print(const FlowDecimal *decimal, FlowBuf *to);
int flow_decimal__compare(const FlowDecimal *a, const FlowDecimal *b);
/* Of decimals as text, or numbers; 2 where one is neither. */
int flow_decimal__compare_values(FlowValue a, FlowValue b);

/* ---- patterns (pattern.c) ---- */

/* A pattern in Python's syntax. NULL (and reterr) when it does not compile. */
FlowPattern *flow_pattern__compile(const char *pattern, size_t len, FlowError *reterr);
void flow_pattern__free(FlowPattern *pattern);
/* Whether it is found anywhere; false also when the search costs too much. Any thread. */
bool flow_pattern__found(const FlowPattern *pattern, const char *text, size_t len);

/* ---- Python's texts (pytext.c) ---- */

/* str(value) */
void flow_py__print(FlowBuf *to, FlowValue value);
/* str.strip() */
void flow_py__strip(const char **text, size_t *len);
/* The same for int() and float(), to which the separators 0x1c to 0x1f are no white space. */
void flow_py__strip_number(const char **text, size_t *len);
bool flow_py__is_space(uint32_t code_point);
/* Shown by repr() as it is. */
bool flow_py__is_printable(uint32_t code_point);
/* The text with decimal digits of all scripts as 0-9: itself, or in *ret_buf (yours to free()). */
const char *flow_py__ascii_digits(const char *text, size_t *len, char **ret_buf);
/* len(text) */
size_t flow_py__len(FlowValue string);
/* json.dumps(value, ensure_ascii=False) as a string; null when it is too large. Yours. */
FlowValue flow_py__json_dumps(FlowValue value);

/* ---- errors (errors.c) ---- */

/* The struct is ready for a call that works on `schema`; what was in it is gone. */
void flow_form_errors__begin(FlowFormErrors *errors, const FlowFormSchema *schema);
/* NULL when there are too many. */
FlowFormError *flow_form_errors__push(FlowFormErrors *errors, int field, const char *code,
                                      const char *message, size_t len);
/* `path`: where in the field's JSON the template stands; "" for the field itself. */
void flow_form_errors__template(FlowFormErrors *errors, int field, const char *path,
                                const FlowTemplateError *detail, const FlowError *error);
bool flow_form_errors__has(const FlowFormErrors *errors, int field);
/* Fields first, in their order; the form's own errors last. Stable. */
void flow_form_errors__sort(FlowFormErrors *errors);

/* ---- forms (form.c) ---- */

typedef struct FlowNested FlowNested;

typedef enum FlowSlotKind {
    FLOW_SLOT_ABSENT,     /* partial: nothing was entered, nothing is validated */
    FLOW_SLOT_CONSTANT,   /* cleaned at load */
    FLOW_SLOT_LATE,       /* constant, but its choices depend on a template */
    FLOW_SLOT_TEMPLATE,   /* text to render */
    FLOW_SLOT_NATIVE,     /* one {{ expression }} whose value is taken */
    FLOW_SLOT_EXPRESSION, /* true or false */
    FLOW_SLOT_NESTED      /* JSON with templates in it */
} FlowSlotKind;

typedef struct FlowSlot {
    FlowSlotKind kind;
    bool failed; /* at load */
    bool given;  /* the key is there */
    FlowValue stored;
    FlowTemplate *tmpl;
    FlowNested *nested;
} FlowSlot;

struct FlowForm {
    atomic_size_t refs;
    const FlowFormSchema *schema;
    FlowSlot *slots;
    FlowValue *cleaned; /* of constant slots; null otherwise */
    bool constant;
};

typedef struct FlowFormBind {
    const FlowFormOptions *options;  /* may be NULL */
    const FlowLoadedChoices *loaded; /* may be NULL */
    FlowValue initial;               /* object or null */
    bool plain, partial;
    bool view; /* for showing: a masked secret stands for the stored one */
} FlowFormBind;

/* Cleans and compiles everything that can be at load. Always gives a form; its slots say what failed. */
FlowForm *flow_form__bind(const FlowFormSchema *schema, FlowValue values, const FlowFormBind *how,
                          FlowFormErrors *errors);
/* The field's initial value, the form's own first. False when there is none. */
bool flow_form__initial(const FlowField *field, FlowValue initial, FlowValue *ret_value);
/* What a widget makes of posted data (plain forms). Yours. */
FlowValue flow_form__from_post(const FlowField *field, const FlowValue *posted);

/* At load the rules whose fields are all constant, later the others. A rule with a field that failed is skipped. */
void flow_form__check_rules(const FlowFormValues *values, bool at_load, FlowFormErrors *errors);

/* Templates inside a JSON value (nested.c). NULL when there is none; errors are reported at `field`. */
FlowNested *flow_nested__compile(const FlowField *field, FlowValue value, const FlowTemplateOptions *options,
                                 FlowFormErrors *errors, bool *ret_failed);
void flow_nested__free(FlowNested *nested);
/* As flow_form_each_template(). `nested` may be NULL. */
void flow_nested__each_template(const FlowNested *nested, size_t field,
                                void (*each)(size_t field, const FlowTemplate *tmpl, void *data), void *data);
FlowStatus flow_nested__render(const FlowNested *nested, const FlowTemplateContext *context, FlowBuf *scratch,
                               FlowValue *ret_value, FlowTemplateError *detail, FlowError *reterr);

/* True for a string that is nothing but one {{ … }}: may be shown even in a secret. */
bool flow_secret__may_show(FlowValue value);

#endif
