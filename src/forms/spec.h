/*
 * spec.h - how a form is declared: as constant tables in C, or as a JSON description (plugins, workers).
 *
 * A node type writes a FlowFormSpec:
 *
 *     enum { MIN_VALUE, MAX_VALUE, DIRECTION };
 *     static const FlowChoice directions[] = {{"increment", "Increment"}, {"decrement", "Decrement"}, {0}};
 *     static const FlowFieldSpec fields[] = {
 *         [MIN_VALUE] = {.name = "min_value", .type = FLOW_FIELD_INTEGER, .flags = FLOW_FIELD_REQUIRED,
 *                        .initial = FLOW_LITERAL_INT(0), .help = "The first number."},
 *         [MAX_VALUE] = {.name = "max_value", .type = FLOW_FIELD_INTEGER, .flags = FLOW_FIELD_REQUIRED,
 *                        .initial = FLOW_LITERAL_INT(10)},
 *         [DIRECTION] = {.name = "direction", .type = FLOW_FIELD_CHOICE, .flags = FLOW_FIELD_REQUIRED,
 *                        .choices = directions, .initial = FLOW_LITERAL_TEXT("increment")},
 *     };
 *     static const FlowFormRule rules[] = {
 *         {.kind = FLOW_RULE_CHECK, .fields = {"min_value", "max_value"}, .check = min_is_below_max,
 *          .message = "min_value must be less than max_value."},
 *     };
 *     const FlowFormSpec counter_form = {
 *         .fields = fields, .field_count = FLOW_COUNT(fields), .rules = rules, .rule_count =
 * FLOW_COUNT(rules)};
 *
 * and the registry makes a FlowFormSchema of it once: checked, patterns compiled, dependencies ordered. A
 * schema never changes, so any number of threads may use one. The meaning of types, options and messages is
 * Django's; docs/forms.md has an example of each and says where we decided otherwise.
 */
#ifndef FLOW_FORMS_SPEC_H
#define FLOW_FORMS_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"
#include "value/value.h"

/*      constant         name in descriptions           cleaned value */
#define FLOW_FIELD_TYPES(X)                                                                                  \
    X(TEXT, "CharField")                      /* string */                                                   \
    X(SECRET, "SecretField")                  /* string, shown as "********" */                              \
    X(REGEX, "RegexField")                    /* string; its white space stays unless FLOW_FIELD_STRIP */    \
    X(SLUG, "SlugField")                      /* string */                                                   \
    X(EMAIL, "EmailField")                    /* string */                                                   \
    X(URL, "URLField")                        /* string */                                                   \
    X(IP, "GenericIPAddressField")            /* string, normalised */                                       \
    X(UUID, "UUIDField")                      /* string, canonical; or null */                               \
    X(INTEGER, "IntegerField")                /* int or null */                                              \
    X(FLOAT, "FloatField")                    /* float or null */                                            \
    X(DECIMAL, "DecimalField")                /* string such as "1.50"; or null */                           \
    X(BOOLEAN, "BooleanField")                /* bool; required means: must be true */                       \
    X(NULL_BOOLEAN, "NullBooleanField")       /* bool or null */                                             \
    X(CHOICE, "ChoiceField")                  /* string */                                                   \
    X(TYPED_CHOICE, "TypedChoiceField")       /* what .coerce says */                                        \
    X(MULTIPLE_CHOICE, "MultipleChoiceField") /* array of strings */                                         \
    X(TYPED_MULTIPLE_CHOICE, "TypedMultipleChoiceField")                                                     \
    X(DATE, "DateField")         /* "2024-03-01" or null */                                                  \
    X(DATETIME, "DateTimeField") /* "2024-03-01T10:20:30+02:00" or null */                                   \
    X(TIME, "TimeField")         /* "10:20:30.500000" or null */                                             \
    X(DURATION, "DurationField") /* "1 02:03:04" or null; see flow_duration_read() */                        \
    X(JSON, "JSONField")         /* any value; text is parsed */

typedef enum FlowFieldType {
    FLOW_FIELD_UNSET,
#define X(constant, name) FLOW_FIELD_##constant,
    FLOW_FIELD_TYPES(X)
#undef X
        FLOW_FIELD_TYPE_COUNT
} FlowFieldType;

typedef enum FlowFieldFlags {
    FLOW_FIELD_REQUIRED = 1 << 0,
    /* Text types: white space at both ends is part of the value (separators, file contents, passwords). */
    FLOW_FIELD_KEEP_SPACE = 1 << 1,
    FLOW_FIELD_STRIP = 1 << 2, /* REGEX only */
    /* Always has its initial value, whatever is entered. */
    FLOW_FIELD_DISABLED = 1 << 3,

    /* Templates. Without any of these: text with {{, {% or {# is rendered for each unit, then cleaned. */
    FLOW_FIELD_LITERAL = 1 << 4,     /* text is taken as it stands, whatever braces it has */
    FLOW_FIELD_NO_TEMPLATE = 1 << 5, /* a template here is an error when the form is loaded */
    /* The text is one Jinja expression; the cleaned value is true or false. TEXT only. */
    FLOW_FIELD_EXPRESSION = 1 << 6,
    /* Strings inside the JSON value are templates. Text that is JSON is parsed first, so that what a payload
     * holds can't change the structure. JSON only. */
    FLOW_FIELD_NESTED = 1 << 7,
    /* Without this, a JSON field (and each string in a NESTED one) that is nothing but one {{ expression }}
     * takes the expression's value with its type. */
    FLOW_FIELD_NO_NATIVE = 1 << 8,

    FLOW_FIELD_EMPTY_OK = 1 << 9,       /* JSON: [] and {} count as values (a loop over nothing) */
    FLOW_FIELD_JSON_LINES = 1 << 10,    /* JSON: text may also be one JSON value per line */
    FLOW_FIELD_UNICODE = 1 << 11,       /* SLUG: letters of all scripts */
    FLOW_FIELD_UNPACK_IPV4 = 1 << 12,   /* IP: ::ffff:10.0.0.1 becomes 10.0.0.1 */
    FLOW_FIELD_SHOW_PASSWORD = 1 << 13, /* TEXT with FLOW_WIDGET_PASSWORD: the form shows what was entered */
    /* Choice types: the form's load_choices is asked for the choices as soon as every parent has a value. */
    FLOW_FIELD_LOAD_CHOICES = 1 << 14
} FlowFieldFlags;

/* A constant that can stand in a static table. */
typedef enum FlowLiteralKind {
    FLOW_LITERAL_KIND_NONE,
    FLOW_LITERAL_KIND_NULL,
    FLOW_LITERAL_KIND_BOOL,
    FLOW_LITERAL_KIND_INT,
    FLOW_LITERAL_KIND_FLOAT,
    FLOW_LITERAL_KIND_TEXT,
    FLOW_LITERAL_KIND_JSON,
    FLOW_LITERAL_KIND_VALUE
} FlowLiteralKind;

typedef struct FlowLiteral {
    FlowLiteralKind kind;
    union {
        int64_t integer; /* BOOL too */
        double real;
        const char *text;
        const FlowValue *value; /* borrowed: lives as long as the tables */
    };
} FlowLiteral;

#define FLOW_LITERAL_NULL                                                                                    \
    {                                                                                                        \
        .kind = FLOW_LITERAL_KIND_NULL                                                                       \
    }
#define FLOW_LITERAL_BOOL(b)                                                                                 \
    {                                                                                                        \
        .kind = FLOW_LITERAL_KIND_BOOL, .integer = (b)                                                       \
    }
#define FLOW_LITERAL_INT(n)                                                                                  \
    {                                                                                                        \
        .kind = FLOW_LITERAL_KIND_INT, .integer = (n)                                                        \
    }
#define FLOW_LITERAL_FLOAT(x)                                                                                \
    {                                                                                                        \
        .kind = FLOW_LITERAL_KIND_FLOAT, .real = (x)                                                         \
    }
#define FLOW_LITERAL_TEXT(t)                                                                                 \
    {                                                                                                        \
        .kind = FLOW_LITERAL_KIND_TEXT, .text = (t)                                                          \
    }
#define FLOW_LITERAL_JSON(t)                                                                                 \
    {                                                                                                        \
        .kind = FLOW_LITERAL_KIND_JSON, .text = (t)                                                          \
    } /* "[1, 2]" */

/* A list ends with an entry without a value. `group` is the heading that options are shown under. */
typedef struct FlowChoice {
    const char *value, *text, *group;
} FlowChoice;

/* Choices that depend on the value of another field. Lists end with an entry without a value. */
typedef struct FlowChoicesOf {
    const char *value; /* of the parent */
    const FlowChoice *choices;
} FlowChoicesOf;

/* What a TYPED_ choice becomes. */
typedef enum FlowCoerce { FLOW_COERCE_TEXT, FLOW_COERCE_INT, FLOW_COERCE_FLOAT, FLOW_COERCE_BOOL } FlowCoerce;

typedef enum FlowIpProtocol { FLOW_IP_BOTH, FLOW_IP_V4, FLOW_IP_V6 } FlowIpProtocol;

/* Which JSON a JSON field takes. */
typedef enum FlowJsonKind {
    FLOW_JSON_KIND_ANY,
    FLOW_JSON_KIND_OBJECT,
    FLOW_JSON_KIND_ARRAY,
    FLOW_JSON_KIND_TEXTS,   /* an array of strings; numbers and booleans in it become strings */
    FLOW_JSON_KIND_TEXT_MAP /* an object of strings; the same */
} FlowJsonKind;

typedef enum FlowWidget {
    FLOW_WIDGET_DEFAULT, /* what fits the type */
    FLOW_WIDGET_TEXT,
    FLOW_WIDGET_TEXTAREA,
    FLOW_WIDGET_PASSWORD,
    FLOW_WIDGET_HIDDEN,
    FLOW_WIDGET_NUMBER,
    FLOW_WIDGET_EMAIL,
    FLOW_WIDGET_URL,
    FLOW_WIDGET_CHECKBOX,
    FLOW_WIDGET_SELECT,
    FLOW_WIDGET_NULL_BOOLEAN_SELECT,
    FLOW_WIDGET_SELECT_MULTIPLE,
    FLOW_WIDGET_RADIO,
    FLOW_WIDGET_CHECKBOXES,
    FLOW_WIDGET_COUNT
} FlowWidget;

/* A message of our own for an error code: "required", "invalid", "min_value", … (docs/forms.md lists them).
 * It may hold %(limit_value)s, %(show_value)s, %(value)s, %(max)s. Lists end with an entry without a code. */
typedef struct FlowFieldMessage {
    const char *code, *text;
} FlowFieldMessage;

/* An HTML attribute of the widget, such as {"rows", "4"}. Lists end with an entry without a name. */
typedef struct FlowFieldAttribute {
    const char *name, *value;
} FlowFieldAttribute;

enum { FLOW_FIELD_PARENTS_MAX = 8, FLOW_RULE_FIELDS_MAX = 8 };

typedef struct FlowChoicesRequest FlowChoicesRequest;
typedef struct FlowFormErrors FlowFormErrors;
typedef struct FlowFormValues FlowFormValues;

/* Only name and type must be given; zero everywhere else means "not asked for". */
typedef struct FlowFieldSpec {
    const char *name; /* the key in the node's form values: [A-Za-z_][A-Za-z0-9_]{0,63} */
    FlowFieldType type;
    unsigned flags;    /* FlowFieldFlags */
    const char *label; /* NULL: made of the name, "user_name" → "User name" */
    const char *help;  /* a sentence for the person who fills it in */
    /* Shown in an empty form, and taken for a key that is absent before `required` is checked. */
    FlowLiteral initial;
    FlowLiteral empty_value; /* of optional text and typed choices; otherwise "" */

    uint32_t min_length, max_length;  /* text, in code points; 0: no bound */
    FlowLiteral min_value, max_value; /* numbers; of a DECIMAL as text */
    uint32_t max_digits;              /* DECIMAL; 0: any */
    FlowLiteral decimal_places;       /* DECIMAL: an int */
    const char *regex;                /* REGEX; searched, so anchor it with ^ and \Z */
    FlowIpProtocol protocol;          /* IP */
    const char *const *input_formats; /* DATE, DATETIME, TIME: strptime formats, NULL at the end */
    FlowJsonKind json;                /* JSON */

    const FlowChoice *choices; /* the choice types; also the options of a select on a TEXT field */
    FlowCoerce coerce;         /* TYPED_ choices */
    /* Cascades: a change of one of these clears this field. What its choices then are: with one parent, what
     * choices_of has for the parent's value; with FLOW_FIELD_LOAD_CHOICES, what load_choices finds; in both cases
     * behind `choices`, which are always on offer (an empty option). */
    const char *parents[FLOW_FIELD_PARENTS_MAX];
    const FlowChoicesOf *choices_of;

    FlowWidget widget;
    const FlowFieldAttribute *attributes;
    const FlowFieldMessage *messages;
} FlowFieldSpec;

typedef enum FlowRuleKind {
    FLOW_RULE_EQUAL,   /* all fields have the same value */
    FLOW_RULE_ORDERED, /* each is ≤ the next; fields without a value are left out */
    FLOW_RULE_ANY_OF,  /* at least one has a value */
    FLOW_RULE_CHECK    /* what `check` says */
} FlowRuleKind;

/*
 * A rule over several fields. It is skipped while one of them has an error of its own. Where all of them are
 * constant it is checked when the form is loaded, otherwise for each unit.
 */
typedef struct FlowFormRule {
    FlowRuleKind kind;
    const char *fields[FLOW_RULE_FIELDS_MAX];
    const char *message;
    const char *target; /* the field that gets the message; NULL: an error of the form */
    /* True when all is well. May read only the rule's own fields. To say more than `message` (or to blame
     * several fields), add errors with flow_form_errors_add() and return true. No blocking, any thread. */
    bool (*check)(const FlowFormValues *values, FlowFormErrors *errors);
} FlowFormRule;

/* Finds choices for one field. Answer exactly once with flow_choices_request_finish(), now or later, from any
 * thread. Asked on the thread that wants the form, which must not be blocked. */
typedef void (*FlowChoicesLoad)(FlowChoicesRequest *request);

typedef struct FlowFormSpec {
    const FlowFieldSpec *fields; /* in the order shown; their indices are what FlowFormValues go by */
    size_t field_count;
    const FlowFormRule *rules;
    size_t rule_count;
    FlowChoicesLoad load_choices; /* for fields with FLOW_FIELD_LOAD_CHOICES */
    void *data;                   /* for load_choices */
} FlowFormSpec;

typedef struct FlowFormSchema FlowFormSchema;

/*
 * Checks a declaration and makes the schema that everything else works with. The tables (and what they point
 * to) must outlive it. Refused with FLOW_INVALID_ARGUMENT, reason INVALID_FORM_SPEC and where = the field:
 * double or bad names, unknown fields in rules and parents, dependencies in a circle, options that do not fit
 * the type, patterns and formats that do not compile, an initial value that is not valid.
 */
FlowStatus flow_form_schema_new(const FlowFormSpec *spec, FlowFormSchema **ret_schema, FlowError *reterr);

/*
 * The same from a JSON description (docs/forms.md): {"fields": [{"name", "type": "IntegerField", …}],
 * "rules": […]}. `load_choices` and `data` as in FlowFormSpec; may be NULL. Hostile input is fine.
 */
FlowStatus flow_form_schema_read(FlowValue description, FlowChoicesLoad load_choices, void *data,
                                 FlowFormSchema **ret_schema, FlowError *reterr);

FlowFormSchema *flow_form_schema_ref(const FlowFormSchema *schema);
/* NULL is fine; always returns NULL. */
FlowFormSchema *flow_form_schema_unref(const FlowFormSchema *schema);
void flow_form_schema_unrefp(FlowFormSchema **schema); /* for flow_cleanup() */

size_t flow_form_schema_count(const FlowFormSchema *schema);
/* Borrowed, NUL-terminated. */
const char *flow_form_schema_name(const FlowFormSchema *schema, size_t field);
FlowFieldType flow_form_schema_type(const FlowFormSchema *schema, size_t field);
/* The index of the field called so, or -1. */
int flow_form_schema_find(const FlowFormSchema *schema, const char *name, size_t len);

#endif
