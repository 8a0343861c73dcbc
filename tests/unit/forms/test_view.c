/* Forms as a person sees them: values, options, errors, secrets, and what a change clears. */
#include "forms_test.h"

#include "forms/view.h"

static const char address[] =
    "{\"fields\": ["
    "{\"name\": \"country\", \"type\": \"ChoiceField\", \"choices\": [[\"\", \"---\"], [\"us\", \"United "
    "States\"], [\"ca\", "
    "\"Canada\"]]},"
    "{\"name\": \"state\", \"type\": \"ChoiceField\", \"choices_by\": {\"parent\": \"country\", \"empty\": "
    "[\"\", \"---\"], "
    "\"map\": {\"us\": [[\"ny\", \"New York\"], [\"tx\", \"Texas\"]], \"ca\": [[\"on\", \"Ontario\"]]}}},"
    "{\"name\": \"city\", \"type\": \"ChoiceField\", \"required\": false, \"choices_by\": {\"parent\": "
    "\"state\", \"map\": "
    "{\"ny\": [[\"nyc\", \"New York City\"]], \"tx\": [[\"aus\", \"Austin\"]]}}},"
    "{\"name\": \"note\", \"type\": \"CharField\", \"required\": false}]}";

static FlowFormView shown(const FlowFormSchema *schema, FlowFormMode mode, const char *values)
{
    FlowFormView view = {0};
    FlowFormInput input = {.mode = mode, .values = json(values)};
    assert_int_equal(flow_form_view_now(schema, &input, NULL, flow_value_null(), &view, NULL), FLOW_OK);
    flow_value_unref(input.values);
    return view;
}

static FlowFormView changed(const FlowFormSchema *schema, const char *values, const char *name,
                            const char *value)
{
    FlowFormView view = {0};
    FlowFormInput input = {.mode = FLOW_FORM_BOUND, .values = json(values)};
    FlowValue to = json(value);
    assert_int_equal(flow_form_view_now(schema, &input, name, to, &view, NULL), FLOW_OK);
    flow_value_unref(input.values);
    flow_value_unref(to);
    return view;
}

/* A member of the field called `name`; borrowed. */
static FlowValue of_field(const FlowFormView *view, const char *name, const char *member)
{
    FlowValue fields = *flow_object_get(view->form, "fields");
    for (size_t i = 0; i < flow_array_count(fields); i++) {
        FlowValue field = *flow_array_at(fields, i);
        if (flow_value_text_equals(flow_object_get(field, "name"), name))
            return *flow_object_get(field, member);
    }
    fail_msg("there is no field %s", name);
    return flow_value_null();
}

static void assert_field(const FlowFormView *view, const char *name, const char *member, const char *expected)
{
    assert_json_take(flow_value_ref(of_field(view, name, member)), expected);
}

static void a_whole_field(void **state)
{
    (void)state;
    FlowFormSchema *schema =
        schema_of("{\"fields\": [{\"name\": \"user_name\", \"type\": \"CharField\", \"max_length\": 3, "
                  "\"help_text\": \"Who?\", \"attrs\": {\"class\": \"wide\"}}]}");
    FlowFormView view = shown(schema, FLOW_FORM_BOUND, "{\"user_name\": \"long\"}");
    assert_false(view.valid);
    assert_json_take(
        flow_value_ref(view.form),
        "{\"fields\":[{\"name\":\"user_name\",\"html_name\":\"user_name\",\"id\":\"id_user_name\",\"tag\":"
        "\"input\","
        "\"type\":\"text\",\"field_type\":\"CharField\",\"label\":\"User name\",\"help_text\":\"Who?\","
        "\"required\":true,\"templates\":true,\"secret\":false,\"multiple\":false,\"checked\":false,"
        "\"value\":\"long\",\"options\":[],\"errors\":[\"Ensure this value has at most 3 characters (it has "
        "4).\"],"
        "\"error_codes\":[\"max_length\"],\"attributes\":{\"class\":\"wide\",\"maxlength\":\"3\","
        "\"required\":true}}],"
        "\"dependencies\":{},\"non_field_errors\":[],\"bound\":true,\"valid\":false}");
    assert_json_take(flow_value_ref(view.cleaned), "{}");
    flow_form_view_done(&view);
    flow_form_schema_unref(schema);
}

static void modes_differ_in_what_they_ask_for(void **state)
{
    (void)state;
    FlowFormSchema *schema = schema_of(
        "{\"fields\": [{\"name\": \"a\", \"type\": \"IntegerField\"}, {\"name\": \"b\", \"type\": "
        "\"IntegerField\", \"initial\": 5}, {\"name\": \"c\", \"type\": \"IntegerField\"}], \"rules\": "
        "[{\"rule\": \"any_of\", \"fields\": [\"a\", \"b\"], \"message\": \"!\"}]}");
    FlowFormView view = shown(schema, FLOW_FORM_UNBOUND, "{\"a\": \"x\"}");
    assert_false(view.valid);
    assert_field(&view, "a", "value", "null");
    assert_field(&view, "a", "errors", "[]");
    assert_field(&view, "b", "value", "5");
    flow_form_view_done(&view);

    view = shown(schema, FLOW_FORM_BOUND, "{\"a\": \"x\"}");
    assert_field(&view, "a", "errors", "[\"Enter a whole number.\"]");
    assert_field(&view, "b", "value", "5");
    assert_field(&view, "c", "errors", "[\"This field is required.\"]");
    assert_json_take(flow_value_ref(view.cleaned), "{\"b\":5}");
    flow_form_view_done(&view);

    view = shown(schema, FLOW_FORM_PARTIAL, "{\"a\": \"7\"}");
    assert_true(view.valid);
    assert_field(&view, "b", "value", "5");
    assert_field(&view, "c", "errors", "[]");
    assert_json_take(flow_value_ref(view.cleaned), "{\"a\":7}");
    assert_json_take(flow_value_ref(view.values), "{\"a\":\"7\"}");
    assert_json_take(flow_value_ref(view.cleared), "[]");
    flow_form_view_done(&view);
    flow_form_schema_unref(schema);
}

static void a_change_clears_what_is_below(void **state)
{
    (void)state;
    FlowFormSchema *schema = schema_of(address);
    FlowFormView view =
        changed(schema, "{\"country\": \"us\", \"state\": \"ny\", \"city\": \"nyc\", \"note\": \"n\"}",
                "country", "\"ca\"");
    assert_true(view.valid);
    assert_json_take(flow_value_ref(view.cleared), "[\"state\",\"city\"]");
    assert_json_take(flow_value_ref(view.values), "{\"country\":\"ca\",\"note\":\"n\"}");
    assert_field(&view, "state", "options",
                 "[{\"value\":\"\",\"text\":\"---\",\"selected\":true},{\"value\":\"on\",\"text\":"
                 "\"Ontario\",\"selected\":false}]");
    assert_field(&view, "state", "value", "null");
    assert_field(&view, "city", "options", "[]");
    assert_json_take(flow_value_ref(*flow_object_get(view.form, "dependencies")),
                     "{\"country\":[\"state\"],\"state\":[\"city\"]}");
    flow_form_view_done(&view);

    view = changed(schema, "{\"country\": \"us\", \"state\": \"ny\", \"city\": \"nyc\"}", "state", "\"tx\"");
    assert_json_take(flow_value_ref(view.cleared), "[\"city\"]");
    assert_field(&view, "city", "options", "[{\"value\":\"aus\",\"text\":\"Austin\",\"selected\":false}]");
    flow_form_view_done(&view);

    /* What was empty anyway is not told of. */
    view = changed(schema, "{\"country\": \"us\", \"state\": \"\"}", "country", "null");
    assert_json_take(flow_value_ref(view.cleared), "[]");
    assert_json_take(flow_value_ref(view.values), "{}");
    flow_form_view_done(&view);
    flow_form_schema_unref(schema);
}

static void an_unknown_field_cannot_change(void **state)
{
    (void)state;
    FlowFormSchema *schema = schema_of(address);
    FlowFormInput input = {.values = flow_value_null()};
    FlowFormView view = {0};
    FlowError error = {0};
    assert_int_equal(flow_form_view_now(schema, &input, "contry", flow_value_null(), &view, &error),
                     FLOW_NOT_FOUND);
    assert_string_equal(error.reason, "FIELD_NOT_FOUND");
    assert_string_equal(error.message, "the form has no field 'contry'; did you mean 'country'?");
    flow_form_schema_unref(schema);
}

static void a_stale_child_is_told_of(void **state)
{
    (void)state;
    FlowFormSchema *schema = schema_of(address);
    FlowFormView view =
        shown(schema, FLOW_FORM_BOUND, "{\"country\": \"ca\", \"state\": \"ny\", \"city\": \"nyc\"}");
    assert_field(&view, "state", "errors",
                 "[\"Select a valid choice. ny is not one of the available choices.\"]");
    /* The city goes by the state as it was entered. */
    assert_field(&view, "city", "errors", "[]");
    flow_form_view_done(&view);
    flow_form_schema_unref(schema);
}

/* ---- secrets ---- */

static const char login[] =
    "{\"fields\": [{\"name\": \"user\", \"type\": \"CharField\"}, {\"name\": \"token\", \"type\": "
    "\"SecretField\"}, {\"name\": \"pw\", \"type\": \"CharField\", \"widget\": \"PasswordInput\", "
    "\"required\": false}]}";

static void secrets_are_not_shown(void **state)
{
    (void)state;
    FlowFormSchema *schema = schema_of(login);
    FlowFormView view =
        shown(schema, FLOW_FORM_BOUND, "{\"user\": \"u\", \"token\": \"s3cret\", \"pw\": \"x\"}");
    assert_true(view.valid);
    assert_field(&view, "token", "value", "\"********\"");
    assert_field(&view, "token", "type", "\"password\"");
    assert_field(&view, "token", "secret", "true");
    assert_field(&view, "pw", "value", "null");
    flow_form_view_done(&view);

    /* The mask stands for what is stored: nothing is wrong with it. */
    view = shown(schema, FLOW_FORM_BOUND, "{\"user\": \"u\", \"token\": \"********\"}");
    assert_true(view.valid);
    assert_field(&view, "token", "value", "\"********\"");
    flow_form_view_done(&view);

    view = shown(schema, FLOW_FORM_BOUND, "{\"user\": \"u\", \"token\": \"\"}");
    assert_field(&view, "token", "value", "\"\"");
    assert_field(&view, "token", "errors", "[\"This field is required.\"]");
    flow_form_view_done(&view);
    flow_form_schema_unref(schema);
}

typedef struct SecretRow {
    const char *stored, *shown;
} SecretRow;

static const SecretRow secret_rows[] = {
    {"{\"token\": \"s3cret\", \"user\": \"u\"}", "{\"token\":\"********\",\"user\":\"u\"}"},
    {"{\"token\": \"{{ env.TOKEN }}\"}", "{\"token\":\"{{ env.TOKEN }}\"}"},
    {"{\"token\": \" {{ env.TOKEN | trim }} \"}", "{\"token\":\" {{ env.TOKEN | trim }} \"}"},
    {"{\"token\": \"Bearer {{ env.TOKEN }}\"}", "{\"token\":\"********\"}"},
    {"{\"token\": \"{{ 's3cret' }}\"}", "{\"token\":\"********\"}"},
    {"{\"token\": \"{{ a }}s3cret{{ b }}\"}", "{\"token\":\"********\"}"},
    {"{\"token\": \"\"}", "{\"token\":\"\"}"},
    {"{\"token\": 12345}", "{\"token\":\"********\"}"},
    {"{\"user\": \"u\"}", "{\"user\":\"u\"}"},
    {"null", "null"},
};

static void check_secret_row(void **state)
{
    const SecretRow *row = *state;
    FlowFormSchema *schema = schema_of(login);
    FlowValue stored = json(row->stored), mask = flow_form_mask(schema, stored);
    assert_json_take(flow_value_ref(mask), row->shown);
    /* What was shown and comes back unchanged is what was stored. */
    FlowValue back = flow_form_unmask(schema, stored, mask);
    assert_true(flow_value_equal(back, stored));
    flow_value_unref(back);
    flow_value_unref(mask);
    flow_value_unref(stored);
    flow_form_schema_unref(schema);
}

static void new_secrets_replace_old_ones(void **state)
{
    (void)state;
    FlowFormSchema *schema = schema_of(login);
    FlowValue stored = json("{\"token\": \"old\"}"), incoming = json("{\"token\": \"new\"}");
    assert_json_take(flow_form_unmask(schema, stored, incoming), "{\"token\":\"new\"}");
    flow_value_unref(incoming);
    /* A mask for nothing: the key is dropped, so that the field is found missing. */
    incoming = json("{\"token\": \"********\", \"user\": \"********\"}");
    assert_json_take(flow_form_unmask(schema, flow_value_null(), incoming), "{\"user\":\"********\"}");
    flow_value_unref(incoming);
    flow_value_unref(stored);
    flow_form_schema_unref(schema);
}

static void cleaned_secrets_are_masked_for_people(void **state)
{
    (void)state;
    FlowFormSchema *schema = schema_of(login);
    FlowValue stored = json("{\"user\": \"u\", \"token\": \"s3cret\"}");
    FlowForm *form = NULL;
    FlowFormErrors errors = {0};
    FlowFormValues values = {0};
    assert_int_equal(flow_form_load(schema, stored, NULL, &form, &errors), FLOW_OK);
    assert_int_equal(flow_form_run(form, NULL, &values, &errors), FLOW_OK);
    assert_json_take(flow_form_values_object(&values, true),
                     "{\"user\":\"u\",\"token\":\"********\",\"pw\":\"\"}");
    assert_json_take(flow_form_values_object(&values, false),
                     "{\"user\":\"u\",\"token\":\"s3cret\",\"pw\":\"\"}");
    flow_form_values_done(&values);
    flow_form_unref(form);
    flow_value_unref(stored);
    flow_form_schema_unref(schema);
}

/* ---- other widgets ---- */

typedef struct WidgetRow {
    const char *field, *member, *value, *expected;
} WidgetRow;

static const WidgetRow widget_rows[] = {
    {"\"type\": \"FloatField\"", "attributes", "1", "{\"step\":\"any\",\"required\":true}"},
    {"\"type\": \"DecimalField\", \"decimal_places\": 7", "attributes", "1",
     "{\"step\":\"1e-7\",\"required\":true}"},
    {"\"type\": \"DecimalField\", \"decimal_places\": 0, \"min_value\": \"0.5\"", "attributes", "1",
     "{\"min\":\"0.5\",\"step\":\"1\",\"required\":true}"},
    {"\"type\": \"JSONField\"", "value", "{\"a\": [1, \"é\"]}", "\"{\\\"a\\\": [1, \\\"é\\\"]}\""},
    {"\"type\": \"JSONField\"", "value", "\"{ \\\"a\\\":1}\"", "\"{ \\\"a\\\":1}\""},
    {"\"type\": \"JSONField\"", "attributes", "1", "{\"cols\":\"40\",\"rows\":\"10\",\"required\":true}"},
    {"\"type\": \"BooleanField\"", "checked", "true", "true"},
    {"\"type\": \"BooleanField\", \"required\": false", "checked", "false", "false"},
    {"\"type\": \"NullBooleanField\"", "options", "false",
     "[{\"value\":\"unknown\",\"text\":\"Unknown\",\"selected\":false},{\"value\":\"true\",\"text\":\"Yes\","
     "\"selected\":false},"
     "{\"value\":\"false\",\"text\":\"No\",\"selected\":true}]"},
    {"\"type\": \"MultipleChoiceField\", \"choices\": [\"a\", \"b\"], \"widget\": \"CheckboxSelectMultiple\"",
     "attributes", "[\"a\"]", "{}"},
    {"\"type\": \"MultipleChoiceField\", \"choices\": [\"a\", \"b\"]", "options", "[\"b\", \"a\"]",
     "[{\"value\":\"a\",\"text\":\"a\",\"selected\":true},{\"value\":\"b\",\"text\":\"b\",\"selected\":true}"
     "]"},
    {"\"type\": \"CharField\", \"template\": \"never\"", "templates", "\"x\"", "false"},
    {"\"type\": \"CharField\", \"widget\": \"HiddenInput\", \"max_length\": 3", "attributes", "\"x\"", "{}"},
};

static void check_widget_row(void **state)
{
    const WidgetRow *row = *state;
    FlowBuf text;
    flow_buf_init(&text, 0);
    flow_buf_printf(&text, "{\"fields\": [{\"name\": \"f\", %s}]}", row->field);
    FlowFormSchema *schema = schema_of(flow_buf_text(&text));
    flow_buf_clear(&text);
    flow_buf_printf(&text, "{\"f\": %s}", row->value);
    FlowFormView view = shown(schema, FLOW_FORM_BOUND, flow_buf_text(&text));
    assert_field(&view, "f", row->member, row->expected);
    flow_form_view_done(&view);
    flow_buf_done(&text);
    flow_form_schema_unref(schema);
}

int main(void)
{
    int failed_ = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_field),
        cmocka_unit_test(modes_differ_in_what_they_ask_for),
        cmocka_unit_test(a_change_clears_what_is_below),
        cmocka_unit_test(an_unknown_field_cannot_change),
        cmocka_unit_test(a_stale_child_is_told_of),
        cmocka_unit_test(secrets_are_not_shown),
        cmocka_unit_test(new_secrets_replace_old_ones),
        cmocka_unit_test(cleaned_secrets_are_masked_for_people),
    };
    failed_ += cmocka_run_group_tests_name("view", tests, NULL, NULL);
    RUN_ROWS(secret_rows, stored, check_secret_row, "masked and back");
    RUN_ROWS(widget_rows, field, check_widget_row, "widgets");
    return failed_;
}
