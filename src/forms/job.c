/*
 * job.c - making a view when choices have to be loaded on the way: field after field, parents first, one request
 * at a time. A request may be answered before load_choices returns, or later on any thread; whoever comes second,
 * the answer or the return, goes on with the job, so that nothing recurses and nothing runs twice.
 */
#include "forms/view_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"

/* Choices of one field may take this much. */
enum { CHOICES_BYTES = 8 << 20, FIELDS_MAX = 256 };

typedef enum RequestState { REQUEST_ASKED, REQUEST_WAITS, REQUEST_ANSWERED } RequestState;

struct FlowChoicesRequest {
    FlowFormJob *job;
    size_t field;
    _Atomic int state; /* RequestState */
};

struct FlowFormJob {
    atomic_size_t refs;
    atomic_bool ended; /* done was called, or is about to be */
    const FlowFormSchema *schema;
    FlowFormMode mode;
    FlowValue values, initial, cleared;
    bool plain;
    bool *below;
    FlowLoadedChoices *loaded;
    size_t at; /* in schema->order */
    FlowFormDone done;
    void *data;
};

static FlowFormJob *job_ref(FlowFormJob *job)
{
    atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
    return job;
}

FlowFormJob *flow_form_job_unref(FlowFormJob *job)
{
    if (job == NULL || atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < job->schema->count; i++) {
        flow_arena_done(&job->loaded[i].arena);
        free(job->loaded[i].error);
    }
    free(job->loaded);
    free(job->below);
    flow_value_unref(job->values);
    flow_value_unref(job->initial);
    flow_value_unref(job->cleared);
    flow_form_schema_unref(job->schema);
    free(job);
    return NULL;
}

static FlowViewParts parts_of(const FlowFormJob *job)
{
    return (FlowViewParts){.mode = job->mode,
                           .values = job->values,
                           .initial = job->initial,
                           .plain = job->plain,
                           .loaded = job->loaded,
                           .below = job->below};
}

/* True for the one who may call done. */
static bool end(FlowFormJob *job)
{
    return !atomic_exchange(&job->ended, true);
}

static void deliver(FlowFormJob *job)
{
    FlowFormView view = {0};
    FlowViewParts parts = parts_of(job);
    flow_view__build(job->schema, &parts, &view);
    view.values = flow_value_ref(job->values);
    view.cleared = flow_value_ref(job->cleared);
    if (end(job))
        job->done(&view, NULL, job->data);
    flow_form_view_done(&view);
}

/* A value that children can go by: a template has none yet. */
static bool has_value(const FlowFormJob *job, size_t index)
{
    FlowViewParts parts = parts_of(job);
    FlowValue value = flow_view__raw(&job->schema->fields[index], &parts);
    bool is_template = !job->plain && flow_value_kind(value) == FLOW_VALUE_STRING &&
                       flow_template_is_template(flow_value_text(&value), flow_value_length(&value));
    return !flow_value__is_empty(value) && !is_template;
}

static bool wants_choices(const FlowFormJob *job, const FlowField *field)
{
    if (!field->loads_choices)
        return false;
    for (size_t i = 0; i < field->parent_count; i++)
        if (!has_value(job, field->parents[i]))
            return false;
    return true;
}

/* Goes on until a request has to be waited for. The caller's reference to the job is used up. */
static void advance(FlowFormJob *job)
{
    const FlowFormSchema *schema = job->schema;
    while (job->at < schema->count && !atomic_load(&job->ended)) {
        const FlowField *field = &schema->fields[schema->order[job->at++]];
        if (!wants_choices(job, field))
            continue;
        FlowChoicesRequest *request = flow_new(FlowChoicesRequest);
        request->job = job;
        request->field = field->index;
        atomic_init(&request->state, REQUEST_ASKED);
        schema->spec.load_choices(request);
        if (atomic_exchange(&request->state, REQUEST_WAITS) != REQUEST_ANSWERED)
            return; /* the answer goes on, with our reference */
        free(request);
    }
    if (job->at == schema->count)
        deliver(job);
    flow_form_job_unref(job);
}

void flow_choices_request_finish(FlowChoicesRequest *request, FlowValue choices_take, const FlowError *error)
{
    FlowFormJob *job = request->job;
    FlowLoadedChoices *loaded = &job->loaded[request->field];
    FlowError faulty = {0};
    if (error == NULL) {
        flow_arena_init(&loaded->arena, CHOICES_BYTES);
        if (flow_choices__read(choices_take, &loaded->arena, &loaded->items, &faulty) == FLOW_OK)
            loaded->loaded = true;
        else
            error = &faulty;
    }
    if (error != NULL)
        loaded->error = flow_strdup(error->message[0] != '\0' ? error->message : "no reason was given");
    flow_value_unref(choices_take);
    if (atomic_exchange(&request->state, REQUEST_ANSWERED) == REQUEST_WAITS) {
        free(request);
        advance(job);
    }
}

const FlowFormSchema *flow_choices_request_schema(const FlowChoicesRequest *request)
{
    return request->job->schema;
}

size_t flow_choices_request_field(const FlowChoicesRequest *request)
{
    return request->field;
}

FlowValue flow_choices_request_values(const FlowChoicesRequest *request)
{
    return request->job->values;
}

void *flow_choices_request_data(const FlowChoicesRequest *request)
{
    return request->job->schema->spec.data;
}

/* ---- starting ---- */

static FlowFormJob *job_new(const FlowFormSchema *schema, const FlowFormInput *input, FlowFormDone done,
                            void *data)
{
    FlowFormJob *job = flow_new(FlowFormJob);
    atomic_init(&job->refs, 1);
    atomic_init(&job->ended, false);
    job->schema = flow_form_schema_ref(schema);
    job->mode = input->mode;
    job->values = flow_value_kind(input->values) == FLOW_VALUE_OBJECT ? flow_value_ref(input->values)
                                                                      : flow_value_object();
    job->initial = flow_value_ref(input->initial);
    job->plain = input->plain;
    job->cleared = flow_value_array();
    job->loaded = flow_calloc(schema->count + 1, sizeof *job->loaded);
    job->done = done;
    job->data = data;
    return job;
}

FlowFormJob *flow_form_show(const FlowFormSchema *schema, const FlowFormInput *input, FlowFormDone done,
                            void *data)
{
    FlowFormJob *job = job_new(schema, input, done, data);
    advance(job_ref(job));
    return job;
}

/* Everything below the field that changed, found in the order of dependencies. */
static void mark_below(FlowFormJob *job, size_t changed)
{
    const FlowFormSchema *schema = job->schema;
    job->below = flow_calloc(schema->count + 1, sizeof *job->below);
    for (size_t i = 0; i < schema->count; i++) {
        const FlowField *field = &schema->fields[schema->order[i]];
        for (size_t k = 0; k < field->parent_count; k++)
            if (field->parents[k] == changed || job->below[field->parents[k]])
                job->below[field->index] = true;
    }
}

static FlowStatus change(FlowFormJob *job, const char *name, FlowValue value, FlowError *reterr)
{
    const FlowFormSchema *schema = job->schema;
    int changed = flow_form_schema_find(schema, name, strlen(name));
    if (changed < 0) {
        const char *names[FIELDS_MAX];
        for (size_t i = 0; i < schema->count; i++)
            names[i] = schema->fields[i].spec->name;
        const char *nearest = flow_nearest_name(name, strlen(name), names, schema->count);
        return flow_error_set(reterr, FLOW_NOT_FOUND, "FIELD_NOT_FOUND", name,
                              "the form has no field '%s'%s%s%s", name,
                              nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                              nearest != NULL ? "'?" : "");
    }
    FlowStatus status = flow_value_is_null(value)
                            ? flow_object_remove(&job->values, name, reterr)
                            : flow_object_set_take(&job->values, name, flow_value_ref(value), reterr);
    mark_below(job, (size_t)changed);
    for (size_t i = 0; i < schema->count && status == FLOW_OK; i++) {
        const char *below = schema->fields[i].spec->name;
        const FlowValue *held = job->below[i] ? flow_object_get(job->values, below) : NULL;
        if (held == NULL)
            continue;
        if (!flow_value__is_empty(*held))
            status = flow_array_push_take(&job->cleared, flow_value_string(below), reterr);
        if (status == FLOW_OK)
            status = flow_object_remove(&job->values, below, reterr);
    }
    return status;
}

FlowFormJob *flow_form_update_field(const FlowFormSchema *schema, const FlowFormInput *input,
                                    const char *name, FlowValue value, FlowFormDone done, void *data)
{
    FlowFormJob *job = job_new(schema, input, done, data);
    FlowError error = {0};
    job->mode = FLOW_FORM_PARTIAL;
    if (change(job, name, value, &error) == FLOW_OK)
        advance(job_ref(job));
    else if (end(job))
        done(NULL, &error, data);
    return job;
}

void flow_form_job_cancel(FlowFormJob *job)
{
    FlowError error;
    if (!end(job))
        return;
    flow_error_set(&error, FLOW_CANCELLED, NULL, NULL, "the form is no longer wanted");
    job->done(NULL, &error, job->data);
}

/* ---- at once ---- */

typedef struct Now {
    bool done;
    FlowFormView view;
    FlowStatus status;
    FlowError *reterr;
} Now;

static void on_done(FlowFormView *view, const FlowError *error, void *data)
{
    Now *now = data;
    now->done = true;
    if (view != NULL) {
        now->view = *view;
        *view = (FlowFormView){0};
        return;
    }
    now->status = error->status;
    if (now->reterr != NULL)
        *now->reterr = *error;
}

FlowStatus flow_form_view_now(const FlowFormSchema *schema, const FlowFormInput *input, const char *name,
                              FlowValue value, FlowFormView *ret_view, FlowError *reterr)
{
    Now now = {.status = FLOW_OK, .reterr = reterr};
    FlowFormJob *job = name == NULL ? flow_form_show(schema, input, on_done, &now)
                                    : flow_form_update_field(schema, input, name, value, on_done, &now);
    if (!now.done) {
        flow_form_job_cancel(job);
        now.status = flow_error_set(reterr, FLOW_FAILED_PRECONDITION, NULL, NULL,
                                    "the choices of this form are loaded asynchronously");
    }
    flow_form_job_unref(job);
    if (now.status == FLOW_OK)
        *ret_view = now.view;
    else
        flow_form_view_done(&now.view);
    return now.status;
}
