/*
 * view.h - a form as a person sees it: fields with their options, values and errors, and what happens when
 * one field changes. The server owns this state; a client sends values and gets the whole form back.
 *
 * Choices that depend on other fields are loaded on the way, maybe asynchronously, parents before children,
 * and never before every parent has a value.
 *
 * Threads: a job starts on the caller's thread; `done` is called exactly once, either before start returns or
 * on the thread that answers the last choices request. Cancel may come from any thread.
 */
#ifndef FLOW_FORMS_VIEW_H
#define FLOW_FORMS_VIEW_H

#include "forms/form.h"

typedef enum FlowFormMode {
    FLOW_FORM_UNBOUND, /* an empty form: initial values, no errors */
    FLOW_FORM_BOUND,   /* values were entered: everything is validated */
    FLOW_FORM_PARTIAL  /* someone is still filling it in: only what is there is validated */
} FlowFormMode;

typedef struct FlowFormInput {
    FlowFormMode mode;
    FlowValue values;  /* object or null: stored or entered, templates included */
    FlowValue initial; /* object or null: wins over the fields' own initial values */
    /* What Django does with a posted form, nothing more: absent keys take no initial value, and {{ is text.
     */
    bool plain;
} FlowFormInput;

typedef struct FlowFormView {
    /* The contract's Form message: {"fields": [{name, html_name, id, tag, type, field_type, label, help_text,
     * required, templates, secret, multiple, checked, value, options: [{value, text, selected, group}], errors,
     * error_codes, attributes}], "dependencies": {parent: [children]}, "non_field_errors": [], bound, valid}.
     * `attributes` has the other HTML attributes as texts; true is one without a value. Secrets are masked. */
    FlowValue form;
    FlowValue values;  /* object: the input's values after the change; secrets as they were sent */
    FlowValue cleaned; /* object: of the fields without an error; templates are left out */
    FlowValue cleared; /* array: names of the fields that a change cleared, in the order of the form */
    bool valid;        /* bound or partial, and without an error */
} FlowFormView;

void flow_form_view_done(FlowFormView *view);

typedef struct FlowFormJob FlowFormJob;

/* `error` is NULL when all is well; otherwise there is no view. The view is freed after the call: take what
 * you need (flow_value_ref) or move it (*view = (FlowFormView){0}). */
typedef void (*FlowFormDone)(FlowFormView *view, const FlowError *error, void *data);

/* Shows the form. Borrows `input`. The job is yours: release it with flow_form_job_unref(). */
FlowFormJob *flow_form_show(const FlowFormSchema *schema, const FlowFormInput *input, FlowFormDone done,
                            void *data);
/* The field takes `value` (null: none), all fields below it are cleared, the next choices are loaded. The view is
 * FLOW_FORM_PARTIAL, whatever the input's mode. FLOW_NOT_FOUND where there is no such field. */
FlowFormJob *flow_form_update_field(const FlowFormSchema *schema, const FlowFormInput *input,
                                    const char *name, FlowValue value, FlowFormDone done, void *data);
/* Ends it with FLOW_CANCELLED if it hasn't ended; late answers of load_choices are dropped. */
void flow_form_job_cancel(FlowFormJob *job);
FlowFormJob *flow_form_job_unref(FlowFormJob *job);

/* The same at once, for schemas whose load_choices answers before it returns (or that have none); otherwise
 * FLOW_FAILED_PRECONDITION. `name` NULL: only show. */
FlowStatus flow_form_view_now(const FlowFormSchema *schema, const FlowFormInput *input, const char *name,
                              FlowValue value, FlowFormView *ret_view, FlowError *reterr);

/* ---- for load_choices ---- */

const FlowFormSchema *flow_choices_request_schema(const FlowChoicesRequest *request);
size_t flow_choices_request_field(const FlowChoicesRequest *request);
/* Object with all values entered so far; borrowed. */
FlowValue flow_choices_request_values(const FlowChoicesRequest *request);
void *flow_choices_request_data(const FlowChoicesRequest *request);
/* Answers: an array of [value, text], {"value", "text", "group"?} or [group, [[value, text], …]] (taken); or
 * an error, which the form shows at the field. The request is gone afterwards. */
void flow_choices_request_finish(FlowChoicesRequest *request, FlowValue choices_take, const FlowError *error);

#endif
