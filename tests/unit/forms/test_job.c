/* Choices that are loaded: at once, later, from another thread, never; in the order of dependencies. */
#include "forms_test.h"

#include <pthread.h>
#include <stdatomic.h>

#include "forms/view.h"

/* The three below each other, and one that wants two parents. */
static const char chain[] =
    "{\"fields\": [{\"name\": \"city\", \"type\": \"ChoiceField\", \"parents\": [\"state\"], "
    "\"dynamic_choices\": true, "
    "\"required\": false},"
    "{\"name\": \"state\", \"type\": \"ChoiceField\", \"parents\": [\"country\"], \"dynamic_choices\": true, "
    "\"required\": false},"
    "{\"name\": \"country\", \"type\": \"ChoiceField\", \"choices\": [\"us\", \"ca\"]},"
    "{\"name\": \"both\", \"type\": \"ChoiceField\", \"parents\": [\"country\", \"note\"], "
    "\"dynamic_choices\": true, "
    "\"required\": false},"
    "{\"name\": \"note\", \"type\": \"CharField\", \"required\": false}]}";

typedef struct Loader {
    enum { AT_ONCE, KEEP, IN_A_THREAD, WITH_AN_ERROR, WITH_NONSENSE } how;
    FlowChoicesRequest *kept;
    char asked[200]; /* "state(country=us)" and so on, in the order of asking */
    pthread_t threads[16];
    size_t thread_count;
} Loader;

/* One choice, named after the field: "state-1". */
static FlowValue made_choices(const FlowChoicesRequest *request)
{
    char value[80];
    FlowValue choices = flow_value_array();
    snprintf(
        value, sizeof value, "%s-1",
        flow_form_schema_name(flow_choices_request_schema(request), flow_choices_request_field(request)));
    flow_array_push_take(&choices, flow_value_string(value), NULL);
    return choices;
}

static void *answer_in_thread(void *request)
{
    flow_choices_request_finish(request, made_choices(request), NULL);
    return NULL;
}

static void load_choices(FlowChoicesRequest *request)
{
    Loader *loader = flow_choices_request_data(request);
    size_t len = strlen(loader->asked);
    char *values = flow_json_text(flow_choices_request_values(request), 0);
    snprintf(
        loader->asked + len, sizeof loader->asked - len, "%s%s", len > 0 ? " " : "",
        flow_form_schema_name(flow_choices_request_schema(request), flow_choices_request_field(request)));
    free(values);
    FlowError error;
    switch (loader->how) {
    case AT_ONCE:
        flow_choices_request_finish(request, made_choices(request), NULL);
        break;
    case KEEP:
        loader->kept = request;
        break;
    case IN_A_THREAD:
        pthread_create(&loader->threads[loader->thread_count++], NULL, answer_in_thread, request);
        break;
    case WITH_AN_ERROR:
        flow_error_set(&error, FLOW_UNAVAILABLE, NULL, NULL, "the registry is away");
        flow_choices_request_finish(request, flow_value_null(), &error);
        break;
    default:
        flow_choices_request_finish(request, json("[[1, 2, 3]]"), NULL);
    }
}

typedef struct Outcome {
    atomic_int calls;
    FlowStatus status;
    FlowFormView view;
} Outcome;

static void on_done(FlowFormView *view, const FlowError *error, void *data)
{
    Outcome *outcome = data;
    outcome->status = error != NULL ? error->status : FLOW_OK;
    if (view != NULL) {
        outcome->view = *view;
        *view = (FlowFormView){0};
    }
    atomic_fetch_add(&outcome->calls, 1);
}

static FlowFormSchema *chain_schema(Loader *loader)
{
    FlowFormSchema *schema = NULL;
    FlowValue description = json(chain);
    assert_int_equal(flow_form_schema_read(description, load_choices, loader, &schema, NULL), FLOW_OK);
    flow_value_unref(description);
    return schema;
}

static FlowFormJob *show(const FlowFormSchema *schema, const char *values, Outcome *outcome)
{
    FlowFormInput input = {.mode = FLOW_FORM_BOUND, .values = json(values)};
    FlowFormJob *job = flow_form_show(schema, &input, on_done, outcome);
    flow_value_unref(input.values);
    return job;
}

static const char *first_option(const FlowFormView *view, size_t field)
{
    static char text[80];
    const FlowValue *option = flow_array_at(
        *flow_object_get(*flow_array_at(*flow_object_get(view->form, "fields"), field), "options"), 0);
    snprintf(text, sizeof text, "%s",
             option != NULL ? flow_value_text(flow_object_get(*option, "value")) : "");
    return text;
}

static void nothing_is_asked_before_parents_have_values(void **state)
{
    (void)state;
    Loader loader = {.how = AT_ONCE};
    Outcome outcome = {0};
    FlowFormSchema *schema = chain_schema(&loader);
    flow_form_job_unref(show(schema, "{\"note\": \"x\"}", &outcome));
    assert_int_equal(outcome.calls, 1);
    assert_string_equal(loader.asked, "");
    flow_form_view_done(&outcome.view);

    flow_form_job_unref(show(schema, "{\"country\": \"us\"}", &outcome));
    assert_string_equal(loader.asked, "state");
    assert_string_equal(first_option(&outcome.view, 1), "state-1");
    assert_string_equal(first_option(&outcome.view, 0), "");
    flow_form_view_done(&outcome.view);
    flow_form_schema_unref(schema);
}

static void parents_come_before_children(void **state)
{
    (void)state;
    Loader loader = {.how = AT_ONCE};
    Outcome outcome = {0};
    FlowFormSchema *schema = chain_schema(&loader);
    flow_form_job_unref(
        show(schema, "{\"country\": \"us\", \"state\": \"state-1\", \"city\": \"nowhere\", \"note\": \"n\"}",
             &outcome));
    assert_string_equal(loader.asked, "state both city");
    assert_false(outcome.view.valid);
    assert_json_take(flow_value_ref(outcome.view.cleaned),
                     "{\"state\":\"state-1\",\"country\":\"us\",\"both\":\"\",\"note\":\"n\"}");
    flow_form_view_done(&outcome.view);
    flow_form_schema_unref(schema);
}

static void a_template_is_no_value_yet(void **state)
{
    (void)state;
    Loader loader = {.how = AT_ONCE};
    FlowFormSchema *schema = chain_schema(&loader);
    FlowFormInput input = {.mode = FLOW_FORM_UNBOUND,
                           .initial = json("{\"country\": \"{{ data.c }}\", \"note\": \"n\"}")};
    FlowFormView view = {0};
    assert_int_equal(flow_form_view_now(schema, &input, NULL, flow_value_null(), &view, NULL), FLOW_OK);
    assert_string_equal(loader.asked, "");
    flow_form_view_done(&view);
    flow_value_unref(input.initial);
    flow_form_schema_unref(schema);
}

static void a_change_loads_only_the_next_choices(void **state)
{
    (void)state;
    Loader loader = {.how = AT_ONCE};
    FlowFormSchema *schema = chain_schema(&loader);
    FlowFormInput input = {.values =
                               json("{\"country\": \"us\", \"state\": \"state-1\", \"city\": \"city-1\"}")};
    FlowFormView view = {0};
    FlowValue value = json("\"ca\"");
    assert_int_equal(flow_form_view_now(schema, &input, "country", value, &view, NULL), FLOW_OK);
    assert_string_equal(loader.asked, "state");
    assert_json_take(flow_value_ref(view.cleared), "[\"city\",\"state\"]");
    flow_form_view_done(&view);
    flow_value_unref(input.values);
    flow_value_unref(value);
    flow_form_schema_unref(schema);
}

static void answers_may_come_later(void **state)
{
    (void)state;
    Loader loader = {.how = KEEP};
    Outcome outcome = {0};
    FlowFormSchema *schema = chain_schema(&loader);
    FlowFormJob *job = show(schema, "{\"country\": \"us\", \"state\": \"state-1\"}", &outcome);
    /* The job lives on without its maker's reference. */
    flow_form_job_unref(job);
    assert_int_equal(outcome.calls, 0);
    flow_choices_request_finish(loader.kept, made_choices(loader.kept), NULL);
    assert_int_equal(outcome.calls, 0);
    assert_string_equal(loader.asked, "state city");
    flow_choices_request_finish(loader.kept, made_choices(loader.kept), NULL);
    assert_int_equal(outcome.calls, 1);
    assert_string_equal(first_option(&outcome.view, 0), "city-1");
    flow_form_view_done(&outcome.view);
    flow_form_schema_unref(schema);
}

static void answers_may_come_from_threads(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        Loader loader = {.how = IN_A_THREAD};
        Outcome outcome = {0};
        FlowFormSchema *schema = chain_schema(&loader);
        FlowFormJob *job = show(
            schema, "{\"country\": \"us\", \"state\": \"state-1\", \"note\": \"n\", \"both\": \"both-1\"}",
            &outcome);
        /* Each thread's answer starts the next one; a thread is joined only after it was made. */
        for (size_t i = 0; i < 3; i++)
            pthread_join(loader.threads[i], NULL);
        assert_int_equal(loader.thread_count, 3);
        assert_int_equal(atomic_load(&outcome.calls), 1);
        assert_true(outcome.view.valid);
        flow_form_job_unref(job);
        flow_form_view_done(&outcome.view);
        flow_form_schema_unref(schema);
    }
}

static void failures_are_shown_at_the_field(void **state)
{
    (void)state;
    static const struct {
        int how;
        const char *errors;
    } rows[] = {
        {WITH_AN_ERROR, "[\"The choices could not be loaded: the registry is away\"]"},
        {WITH_NONSENSE,
         "[\"The choices could not be loaded: a choice is [value, text] or [group, [choices]]\"]"},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        Loader loader = {.how = rows[i].how};
        Outcome outcome = {0};
        FlowFormSchema *schema = chain_schema(&loader);
        flow_form_job_unref(show(schema, "{\"country\": \"us\"}", &outcome));
        assert_false(outcome.view.valid);
        assert_json_take(flow_value_ref(*flow_object_get(
                             *flow_array_at(*flow_object_get(outcome.view.form, "fields"), 1), "errors")),
                         rows[i].errors);
        flow_form_view_done(&outcome.view);
        flow_form_schema_unref(schema);
    }
}

static void cancelled_once_and_for_all(void **state)
{
    (void)state;
    Loader loader = {.how = KEEP};
    Outcome outcome = {0};
    FlowFormSchema *schema = chain_schema(&loader);
    FlowFormJob *job = show(schema, "{\"country\": \"us\"}", &outcome);
    flow_form_job_cancel(job);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.status, FLOW_CANCELLED);
    flow_form_job_cancel(job);
    flow_form_job_unref(job);
    /* The answer that comes too late is dropped. */
    flow_choices_request_finish(loader.kept, made_choices(loader.kept), NULL);
    assert_int_equal(outcome.calls, 1);
    flow_form_schema_unref(schema);
}

static void now_means_now(void **state)
{
    (void)state;
    Loader loader = {.how = KEEP};
    FlowFormSchema *schema = chain_schema(&loader);
    FlowFormInput input = {.mode = FLOW_FORM_BOUND, .values = json("{\"country\": \"us\"}")};
    FlowFormView view = {0};
    assert_int_equal(flow_form_view_now(schema, &input, NULL, flow_value_null(), &view, NULL),
                     FLOW_FAILED_PRECONDITION);
    flow_choices_request_finish(loader.kept, flow_value_null(), NULL);
    flow_value_unref(input.values);
    flow_form_schema_unref(schema);
}

static void choices_without_parents_are_asked_for_at_once(void **state)
{
    (void)state;
    Loader loader = {.how = AT_ONCE};
    FlowFormSchema *schema = NULL;
    FlowFormView view = {0};
    FlowFormInput input = {.mode = FLOW_FORM_UNBOUND};
    FlowValue description =
        json("{\"fields\": [{\"name\": \"workflow\", \"type\": \"ChoiceField\", \"choices\": [[\"\", "
             "\"---\"]], \"dynamic_choices\": true}]}");
    assert_int_equal(flow_form_schema_read(description, load_choices, &loader, &schema, NULL), FLOW_OK);
    assert_int_equal(flow_form_view_now(schema, &input, NULL, flow_value_null(), &view, NULL), FLOW_OK);
    assert_string_equal(loader.asked, "workflow");
    assert_string_equal(first_option(&view, 0), "");
    flow_form_view_done(&view);
    flow_value_unref(description);
    flow_form_schema_unref(schema);
}

static void a_load_does_not_judge_loaded_choices(void **state)
{
    (void)state;
    Loader loader = {.how = KEEP};
    FlowForm *form = NULL;
    FlowFormErrors errors = {0};
    FlowFormSchema *schema = chain_schema(&loader);
    FlowValue values = json("{\"country\": \"us\", \"state\": \"anything\"}");
    assert_int_equal(flow_form_load(schema, values, NULL, &form, &errors), FLOW_OK);
    assert_string_equal(loader.asked, "");
    flow_value_unref(values);
    flow_form_unref(form);
    flow_form_schema_unref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_asked_before_parents_have_values),
        cmocka_unit_test(parents_come_before_children),
        cmocka_unit_test(a_template_is_no_value_yet),
        cmocka_unit_test(a_change_loads_only_the_next_choices),
        cmocka_unit_test(answers_may_come_later),
        cmocka_unit_test(answers_may_come_from_threads),
        cmocka_unit_test(failures_are_shown_at_the_field),
        cmocka_unit_test(cancelled_once_and_for_all),
        cmocka_unit_test(now_means_now),
        cmocka_unit_test(choices_without_parents_are_asked_for_at_once),
        cmocka_unit_test(a_load_does_not_judge_loaded_choices),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
