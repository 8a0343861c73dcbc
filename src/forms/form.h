/*
 * form.h - the values of one node's form: loaded once, run for each unit.
 *
 * Load: constants are cleaned, templates compiled, and every problem is reported at once, so that a workflow
 * with a faulty form never starts. Run: templates are rendered with the unit's payload, the results cleaned,
 * the rules checked. A form without a template was finished at load: running it costs nothing and gives the
 * same values each time.
 *
 *     FlowForm *form;                                    at build time
 *     status = flow_form_load(schema, values, NULL, &form, &errors);
 *
 *     flow_cleanup(flow_form_values_done) FlowFormValues values = {0};      for each unit
 *     status = flow_form_run(form, context, &values, &errors);
 *     int64_t step = flow_form_values_int(&values, STEP, 1);
 *
 * A FlowForm never changes after load; threads may run one at the same time. FlowFormValues and
 * FlowFormErrors have one owner. Declaring a form: spec.h. Showing one to a person: view.h.
 */
#ifndef FLOW_FORMS_FORM_H
#define FLOW_FORMS_FORM_H

#include "forms/spec.h"
#include "template/template.h"

/* ---- errors ---- */

enum {
    FLOW_FORM_NO_FIELD = -1,    /* an error of the form as a whole, or of a key that is no field */
    FLOW_FORM_ERRORS_MAX = 1000 /* more are counted, not kept */
};

#define FLOW_FORM_REASON_INVALID  "INVALID_FORM"
#define FLOW_FORM_REASON_TEMPLATE "TEMPLATE_ERROR"

typedef struct FlowFormError {
    int field;           /* index, or FLOW_FORM_NO_FIELD */
    char *name;          /* of the field; the key where it is unknown; NULL for an error of the form */
    char *message;       /* for people; Django's words */
    char code[32];       /* for programs: "required", "min_value", "template", "unknown_key", … */
    bool template_error; /* the template does not compile or render: reason TEMPLATE_ERROR */
    bool warning;        /* does not fail the form: a key that no field has */
    FlowTemplateErrorKind template_kind; /* of a template_error */
    unsigned line, column;               /* in the template, from 1; 0 where there is no place */
} FlowFormError;

/* In the order of the fields, then those of the form. Set to {0} before the first use. */
struct FlowFormErrors {
    const FlowFormSchema *schema; /* private: of the call that filled it in */
    FlowFormError *items;
    size_t count;    /* all, warnings too */
    size_t failures; /* without the warnings; also those beyond FLOW_FORM_ERRORS_MAX */
    /* After a failed run: an object of all fields with what they rendered to, or their stored value where there
     * was nothing to render or it failed; secrets masked. Otherwise null. */
    FlowValue rendered;
};

/* Empties it; may be used again. */
void flow_form_errors_done(FlowFormErrors *errors);
/* For rules: `field` is an index of the schema, or FLOW_FORM_NO_FIELD. */
void flow_form_errors_add(FlowFormErrors *errors, int field, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* FLOW_FORM_REASON_TEMPLATE if any template failed, else FLOW_FORM_REASON_INVALID. */
const char *flow_form_errors_reason(const FlowFormErrors *errors);
/* All of it in one FlowError: FLOW_INVALID_ARGUMENT, the reason above, where = the first field. */
FlowStatus flow_form_errors_to_error(const FlowFormErrors *errors, FlowError *reterr);

/* ---- load and run ---- */

typedef struct FlowForm FlowForm;

typedef struct FlowFormOptions {
    bool lenient;                     /* undefined values print as nothing: settings.undefined = lenient */
    const FlowTemplateLimits *limits; /* NULL: the defaults. Copied */
} FlowFormOptions;

/*
 * `values`: the object stored in the workflow (null: empty); absent keys take the field's initial value.
 * `options` may be NULL. On failure FLOW_INVALID_ARGUMENT, *ret_form untouched, every problem in `errors`;
 * warnings may be there on success too. The form keeps a reference to the schema.
 */
FlowStatus flow_form_load(const FlowFormSchema *schema, FlowValue values, const FlowFormOptions *options,
                          FlowForm **ret_form, FlowFormErrors *errors);
FlowForm *flow_form_ref(const FlowForm *form);
/* NULL is fine; always returns NULL. */
FlowForm *flow_form_unref(const FlowForm *form);
void flow_form_unrefp(FlowForm **form); /* for flow_cleanup() */

/* True when no field needs rendering: every run gives the same values. */
bool flow_form_is_constant(const FlowForm *form);
/* What is stored for the field (or its initial value): the text of a template or an expression; borrowed. */
FlowValue flow_form_stored(const FlowForm *form, size_t field);
/* True when this field is rendered for each unit. */
bool flow_form_is_dynamic(const FlowForm *form, size_t field);
/* Calls back for every template and expression in the form, in the order of the fields. */
void flow_form_each_template(const FlowForm *form,
                             void (*each)(size_t field, const FlowTemplate *tmpl, void *data), void *data);

/*
 * Renders and cleans. `context` has the names that templates see and the limits; NULL stands for an empty
 * one. On failure FLOW_INVALID_ARGUMENT with every problem in `errors`, *ret_values untouched. The values are
 * valid until flow_form_values_done(), and no longer than the form.
 */
FlowStatus flow_form_run(const FlowForm *form, const FlowTemplateContext *context, FlowFormValues *ret_values,
                         FlowFormErrors *errors);

/* ---- cleaned values ---- */

struct FlowFormValues {
    const FlowForm *form;         /* private, borrowed */
    const FlowFormSchema *schema; /* private, borrowed */
    const FlowValue *cleaned;     /* private: one for each field */
    FlowValue *own;               /* private: what this run made; NULL for a constant form */
};

void flow_form_values_done(FlowFormValues *values);

/* Borrowed: valid as long as the values. */
FlowValue flow_form_values_get(const FlowFormValues *values, size_t field);
/* Neither null nor "", [] or {}. */
bool flow_form_values_given(const FlowFormValues *values, size_t field);
/* `otherwise` where the value is null or of another kind. */
int64_t flow_form_values_int(const FlowFormValues *values, size_t field, int64_t otherwise);
double flow_form_values_float(const FlowFormValues *values, size_t field, double otherwise);
bool flow_form_values_bool(const FlowFormValues *values, size_t field, bool otherwise);
/* Borrowed and NUL-terminated; "" where the value is no string. `ret_len` may be NULL. */
const char *flow_form_values_text(const FlowFormValues *values, size_t field, size_t *ret_len);
/* True when the value is this string: choices. */
bool flow_form_values_is(const FlowFormValues *values, size_t field, const char *text);

/* {name: cleaned value} of all fields; yours. Masked: secrets as "********", for what people and stores see;
 * unmasked: for cache keys. */
FlowValue flow_form_values_object(const FlowFormValues *values, bool masked);

/* ---- secrets ---- */

#define FLOW_SECRET_MASK "********"

/* Stored values as they may be shown: secrets masked, but not those that are nothing but one {{ … }}. Yours.
 */
FlowValue flow_form_mask(const FlowFormSchema *schema, FlowValue values);
/* Values as they come back from a person: where a secret is FLOW_SECRET_MASK, what is stored stays (nothing
 * stored: the key is dropped). Yours. */
FlowValue flow_form_unmask(const FlowFormSchema *schema, FlowValue stored, FlowValue incoming);

/* ---- durations ---- */

/* Reads the cleaned value of a DURATION field. Microseconds; false when it does not fit int64. */
bool flow_duration_read(const char *text, int64_t *ret_microseconds);

#endif
