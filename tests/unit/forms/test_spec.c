/* Declarations: what a table or a description must be to become a schema. */
#include "forms_test.h"

static const FlowChoice directions[] = {{"up", "Up", NULL}, {"down", "Down", NULL}, {0}};

enum { LOW, HIGH, DIRECTION };

static const FlowFieldSpec counter_fields[] = {
    [LOW] = {.name = "low",
             .type = FLOW_FIELD_INTEGER,
             .flags = FLOW_FIELD_REQUIRED,
             .initial = FLOW_LITERAL_INT(0)},
    [HIGH] = {.name = "high",
              .type = FLOW_FIELD_INTEGER,
              .flags = FLOW_FIELD_REQUIRED,
              .initial = FLOW_LITERAL_INT(10)},
    [DIRECTION] = {.name = "direction",
                   .type = FLOW_FIELD_CHOICE,
                   .flags = FLOW_FIELD_REQUIRED,
                   .choices = directions,
                   .initial = FLOW_LITERAL_TEXT("up")},
};

static bool low_is_below_high(const FlowFormValues *values, FlowFormErrors *errors)
{
    (void)errors;
    return flow_form_values_int(values, LOW, 0) < flow_form_values_int(values, HIGH, 0);
}

static bool blames_both(const FlowFormValues *values, FlowFormErrors *errors)
{
    if (flow_form_values_int(values, LOW, 0) == 7) {
        flow_form_errors_add(errors, LOW, "seven", "%d is not a good start.", 7);
        flow_form_errors_add(errors, 99, "seven", "The form is not good either.");
    }
    return true;
}

static const FlowFormRule counter_rules[] = {
    {.kind = FLOW_RULE_CHECK,
     .fields = {"low", "high"},
     .check = low_is_below_high,
     .message = "low must be less than high."},
    {.kind = FLOW_RULE_CHECK, .fields = {"low"}, .check = blames_both},
};

static const FlowFormSpec counter = {.fields = counter_fields,
                                     .field_count = FLOW_COUNT(counter_fields),
                                     .rules = counter_rules,
                                     .rule_count = FLOW_COUNT(counter_rules)};

static void a_table_becomes_a_schema(void **state)
{
    (void)state;
    FlowFormSchema *schema = NULL;
    assert_int_equal(flow_form_schema_new(&counter, &schema, NULL), FLOW_OK);
    assert_int_equal(flow_form_schema_count(schema), 3);
    assert_string_equal(flow_form_schema_name(schema, HIGH), "high");
    assert_int_equal(flow_form_schema_type(schema, DIRECTION), FLOW_FIELD_CHOICE);
    assert_int_equal(flow_form_schema_find(schema, "direction", 9), DIRECTION);
    assert_int_equal(flow_form_schema_find(schema, "direct", 6), -1);
    flow_cleanup(flow_form_schema_unrefp) FlowFormSchema *again = flow_form_schema_ref(schema);
    assert_null(flow_form_schema_unref(schema));
    assert_string_equal(flow_form_schema_name(again, LOW), "low");
}

static void absent_keys_take_the_initial_value(void **state)
{
    (void)state;
    FlowFormSchema *schema = NULL;
    FlowForm *form = NULL;
    FlowFormErrors errors = {0};
    FlowFormValues values = {0};
    assert_int_equal(flow_form_schema_new(&counter, &schema, NULL), FLOW_OK);
    FlowValue stored = json("{\"high\": \"20\"}");
    assert_int_equal(flow_form_load(schema, stored, NULL, &form, &errors), FLOW_OK);
    assert_true(flow_form_is_constant(form));
    assert_int_equal(flow_form_run(form, NULL, &values, &errors), FLOW_OK);
    assert_int_equal(flow_form_values_int(&values, LOW, -1), 0);
    assert_int_equal(flow_form_values_int(&values, HIGH, -1), 20);
    assert_true(flow_form_values_is(&values, DIRECTION, "up"));
    assert_json_take(flow_form_values_object(&values, true), "{\"low\":0,\"high\":20,\"direction\":\"up\"}");
    assert_json_take(flow_value_ref(flow_form_stored(form, HIGH)), "\"20\"");
    flow_form_values_done(&values);
    flow_form_unref(form);
    flow_value_unref(stored);
    /* An empty text is there: it takes no initial value. */
    stored = json("{\"low\": \"\"}");
    assert_int_equal(flow_form_load(schema, stored, NULL, &form, &errors), FLOW_INVALID_ARGUMENT);
    assert_string_equal(told(&errors), "low: This field is required.");
    flow_value_unref(stored);
    flow_form_errors_done(&errors);
    flow_form_schema_unref(schema);
}

typedef struct RuleRow {
    const char *values, *expected;
} RuleRow;

static const RuleRow rule_rows[] = {
    {"{\"low\": 10}", "low must be less than high."},
    {"{\"low\": 7}", "low: 7 is not a good start. | The form is not good either."},
    {"{\"low\": \"x\"}", "low: Enter a whole number."},
    {"{\"low\": \"x\", \"high\": \"\", \"direction\": \"left\"}",
     "low: Enter a whole number. | high: This field is required. | direction: Select a valid choice. left is "
     "not one of the "
     "available choices."},
    {"{\"hihg\": 3}", "warning hihg: There is no field 'hihg'. Did you mean 'high'?"},
    {"[1]", "A form's values are an object."},
};

static void check_rule_row(void **state)
{
    const RuleRow *row = *state;
    FlowFormSchema *schema = NULL;
    FlowForm *form = NULL;
    FlowFormErrors errors = {0};
    assert_int_equal(flow_form_schema_new(&counter, &schema, NULL), FLOW_OK);
    FlowValue values = json(row->values);
    FlowStatus status = flow_form_load(schema, values, NULL, &form, &errors);
    assert_int_equal(status, errors.failures > 0 ? FLOW_INVALID_ARGUMENT : FLOW_OK);
    assert_string_equal(told(&errors), row->expected);
    flow_value_unref(values);
    flow_form_unref(form);
    flow_form_errors_done(&errors);
    flow_form_schema_unref(schema);
}

static void errors_fit_one_flow_error(void **state)
{
    (void)state;
    FlowFormSchema *schema = NULL;
    FlowForm *form = NULL;
    FlowFormErrors errors = {0};
    FlowError error = {0};
    assert_int_equal(flow_form_schema_new(&counter, &schema, NULL), FLOW_OK);
    FlowValue values = json("{\"low\": \"x\", \"high\": \"\"}");
    flow_form_load(schema, values, NULL, &form, &errors);
    assert_int_equal(flow_form_errors_to_error(&errors, &error), FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "INVALID_FORM");
    assert_string_equal(error.where, "low");
    assert_string_equal(error.message, "low: Enter a whole number. high: This field is required.");
    flow_value_unref(values);
    flow_form_errors_done(&errors);
    flow_form_schema_unref(schema);
}

/* ---- faulty tables ---- */

typedef struct TableRow {
    const char *why;
    FlowFieldSpec fields[3];
    FlowFormRule rule;
    const char *where, *message; /* the message contains this */
} TableRow;

static const TableRow table_rows[] = {
    {.why = "no name", .fields = {{.type = FLOW_FIELD_TEXT}}, .where = "", .message = "no usable name"},
    {.why = "a digit first",
     .fields = {{.name = "1a", .type = FLOW_FIELD_TEXT}},
     .where = "",
     .message = "no usable name"},
    {.why = "the same name twice",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT}, {.name = "a", .type = FLOW_FIELD_TEXT}},
     .where = "a",
     .message = "two fields are called 'a'"},
    {.why = "no type", .fields = {{.name = "a"}}, .where = "a", .message = "no type"},
    {.why = "a type beyond the list",
     .fields = {{.name = "a", .type = 999}},
     .where = "a",
     .message = "no type"},
    {.why = "an option of another type",
     .fields = {{.name = "a", .type = FLOW_FIELD_INTEGER, .max_length = 3}},
     .where = "a",
     .message = "no option 'length'"},
    {.why = "a flag of another type",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT, .flags = FLOW_FIELD_NESTED}},
     .where = "a",
     .message = "no option 'nested'"},
    {.why = "two ways with templates",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT, .flags = FLOW_FIELD_LITERAL | FLOW_FIELD_EXPRESSION}},
     .where = "a",
     .message = "exclude each other"},
    {.why = "a bound that is no number",
     .fields = {{.name = "a", .type = FLOW_FIELD_INTEGER, .min_value = FLOW_LITERAL_TEXT("1")}},
     .where = "a",
     .message = "min_value is no number"},
    {.why = "a bound that is no decimal",
     .fields = {{.name = "a", .type = FLOW_FIELD_DECIMAL, .max_value = FLOW_LITERAL_TEXT("x")}},
     .where = "a",
     .message = "max_value is no decimal"},
    {.why = "a RegexField without a pattern",
     .fields = {{.name = "a", .type = FLOW_FIELD_REGEX}},
     .where = "a",
     .message = "needs a regex"},
    {.why = "a pattern that does not compile",
     .fields = {{.name = "a", .type = FLOW_FIELD_REGEX, .regex = "(x"}},
     .where = "a",
     .message = "does not compile"},
    {.why = "an unknown time format",
     .fields = {{.name = "a",
                 .type = FLOW_FIELD_DATE,
                 .input_formats = (const char *const[]){"%Y-%Q", NULL}}},
     .where = "a",
     .message = "'%Y-%Q'"},
    {.why = "a directive twice",
     .fields = {{.name = "a", .type = FLOW_FIELD_DATE, .input_formats = (const char *const[]){"%d%d", NULL}}},
     .where = "a",
     .message = "'%d%d'"},
    {.why = "an initial value that is not valid",
     .fields = {{.name = "a",
                 .type = FLOW_FIELD_INTEGER,
                 .min_value = FLOW_LITERAL_INT(1),
                 .initial = FLOW_LITERAL_INT(0)}},
     .where = "a",
     .message = "the initial value is not valid: Ensure this value is greater than or equal to 1."},
    {.why = "an initial value that is not JSON",
     .fields = {{.name = "a", .type = FLOW_FIELD_JSON, .initial = FLOW_LITERAL_JSON("{")}},
     .where = "a",
     .message = "not JSON"},
    {.why = "a parent that is not there",
     .fields = {{.name = "state", .type = FLOW_FIELD_CHOICE, .parents = {"country"}},
                {.name = "county", .type = FLOW_FIELD_TEXT}},
     .where = "state",
     .message = "there is no field 'country'; did you mean 'county'?"},
    {.why = "its own parent",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT, .parents = {"a"}}},
     .where = "a",
     .message = "circle: a → a"},
    {.why = "a circle of three",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT, .parents = {"c"}},
                {.name = "b", .type = FLOW_FIELD_TEXT, .parents = {"a"}},
                {.name = "c", .type = FLOW_FIELD_TEXT, .parents = {"b"}}},
     .where = "a",
     .message = "circle: a → c → b → a"},
    {.why = "a circle behind a field that is free of it",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT, .parents = {"b"}},
                {.name = "b", .type = FLOW_FIELD_TEXT, .parents = {"c"}},
                {.name = "c", .type = FLOW_FIELD_TEXT, .parents = {"b"}}},
     .where = "b",
     .message = "circle: b → c → b"},
    {.why = "choices to load without a loader",
     .fields = {{.name = "a", .type = FLOW_FIELD_CHOICE, .flags = FLOW_FIELD_LOAD_CHOICES}},
     .where = "a",
     .message = "no load_choices"},
    {.why = "choices to load for a text",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT, .flags = FLOW_FIELD_LOAD_CHOICES}},
     .where = "a",
     .message = "no option 'dynamic_choices'"},
    {.why = "a rule without fields",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT}},
     .rule = {.kind = FLOW_RULE_ANY_OF, .message = "?"},
     .where = "rules[0]",
     .message = "a rule has"},
    {.why = "a check without a function",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT}},
     .rule = {.kind = FLOW_RULE_CHECK, .fields = {"a"}, .message = "?"},
     .where = "rules[0]",
     .message = "a rule has"},
    {.why = "a rule over an unknown field",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT}},
     .rule = {.kind = FLOW_RULE_ANY_OF, .fields = {"b"}, .message = "?"},
     .where = "rules[0]",
     .message = "there is no field 'b'"},
    {.why = "a rule that blames an unknown field",
     .fields = {{.name = "a", .type = FLOW_FIELD_TEXT}},
     .rule = {.kind = FLOW_RULE_ANY_OF, .fields = {"a"}, .message = "?", .target = "b"},
     .where = "rules[0]",
     .message = "there is no field 'b'"},
};

static void check_table_row(void **state)
{
    const TableRow *row = *state;
    size_t count = 0;
    while (count < FLOW_COUNT(row->fields) &&
           (row->fields[count].name != NULL || row->fields[count].type != FLOW_FIELD_UNSET))
        count++;
    FlowFormSpec spec = {.fields = row->fields,
                         .field_count = count,
                         .rules = &row->rule,
                         .rule_count = row->rule.message != NULL};
    FlowFormSchema *schema = NULL;
    FlowError error = {0};
    assert_int_equal(flow_form_schema_new(&spec, &schema, &error), FLOW_INVALID_ARGUMENT);
    assert_null(schema);
    assert_string_equal(error.reason, "INVALID_FORM_SPEC");
    assert_string_equal(error.where, row->where);
    if (strstr(error.message, row->message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, row->message);
}

/* ---- faulty descriptions ---- */

typedef struct DescriptionRow {
    const char *description, *where, *message;
} DescriptionRow;

static const DescriptionRow description_rows[] = {
    {"null", "", "a list of fields"},
    {"{\"fields\": {}}", "", "a list of fields"},
    {"{\"fields\": [1]}", "fields[0]", "a name and a type"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"IntField\"}]}", "fields[0]", "no field type 'IntField'"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"ChrField\"}]}", "fields[0]", "did you mean 'CharField'?"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": 3}]}", "fields[0]", "a field has a type"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\", \"max_lenght\": 3}]}", "fields[0].max_lenght",
     "did you mean 'max_length'?"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\", \"max_length\": -3}]}", "fields[0].max_length",
     "whole number"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\", \"label\": 3}]}", "fields[0].label",
     "a text is expected"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\", \"label\": \"\\u0000\"}]}", "fields[0].label",
     "a text is expected"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\", \"required\": 1}]}", "fields[0].required",
     "true or false"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\", \"widget\": \"Knob\"}]}", "fields[0].widget",
     "one of these"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"ChoiceField\", \"choices\": 3}]}", "fields[0].choices",
     "a list of choices"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"ChoiceField\", \"choices\": [[1]]}]}", "fields[0].choices",
     "[value, text]"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"ChoiceField\", \"choices\": [[\"g\", [[\"h\", [[1, "
     "2]]]]]]}]}",
     "fields[0].choices", "can't hold another group"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"ChoiceField\", \"choices_by\": {\"parent\": \"b\"}}]}",
     "fields[0].choices_by", "a parent, a map"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\", \"error_messages\": []}]}",
     "fields[0].error_messages", "an object of texts"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\"}], \"dependencies\": {\"a\": [\"b\"]}}",
     "dependencies", "there is no field 'b'"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\"}], \"dependencies\": {\"a\": [\"a\"]}}", "a",
     "circle: a → a"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\"}], \"rules\": [{\"rule\": \"all\", \"fields\": "
     "[\"a\"], "
     "\"message\": \"?\"}]}",
     "rules[0]", "one of these is expected: equal, ordered, any_of"},
    {"{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\"}], \"rules\": [{\"fields\": [\"a\"]}]}",
     "rules[0]", "a rule has"},
};

static void check_description_row(void **state)
{
    const DescriptionRow *row = *state;
    FlowFormSchema *schema = NULL;
    FlowError error = {0};
    FlowValue description = json(row->description);
    assert_int_equal(flow_form_schema_read(description, NULL, NULL, &schema, &error), FLOW_INVALID_ARGUMENT);
    flow_value_unref(description);
    assert_null(schema);
    assert_string_equal(error.where, row->where);
    if (strstr(error.message, row->message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, row->message);
}

static void a_description_outlives_its_value(void **state)
{
    (void)state;
    FlowFormErrors errors = {0};
    FlowForm *form = NULL;
    FlowFormSchema *schema =
        schema_of("{\"fields\": [{\"name\": \"kind\", \"type\": \"ChoiceField\", \"choices\": [[\"a rather "
                  "long value\", \"text\"]], "
                  "\"initial\": \"a rather long value\", \"label\": \"A rather long label\"}], \"rules\": "
                  "[{\"rule\": \"any_of\", "
                  "\"fields\": [\"kind\"], \"message\": \"Give one.\", \"target\": \"kind\"}]}");
    assert_int_equal(flow_form_load(schema, flow_value_null(), NULL, &form, &errors), FLOW_OK);
    assert_null(flow_form_unref(form));
    flow_form_errors_done(&errors);
    flow_form_schema_unref(schema);
}

static void too_many_fields_are_refused(void **state)
{
    (void)state;
    FlowFormSchema *schema = NULL;
    FlowValue fields = flow_value_array(), description = flow_value_object();
    for (int i = 0; i < 257; i++)
        flow_array_push_take(&fields, json("{\"name\": \"a\", \"type\": \"CharField\"}"), NULL);
    flow_object_set_take(&description, "fields", fields, NULL);
    assert_int_equal(flow_form_schema_read(description, NULL, NULL, &schema, NULL), FLOW_INVALID_ARGUMENT);
    flow_value_unref(description);
}

int main(void)
{
    int failed_ = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_becomes_a_schema),    cmocka_unit_test(absent_keys_take_the_initial_value),
        cmocka_unit_test(errors_fit_one_flow_error),   cmocka_unit_test(a_description_outlives_its_value),
        cmocka_unit_test(too_many_fields_are_refused),
    };
    failed_ += cmocka_run_group_tests_name("spec", tests, NULL, NULL);
    RUN_ROWS(rule_rows, values, check_rule_row, "rules of a table");
    RUN_ROWS(table_rows, why, check_table_row, "faulty tables");
    RUN_ROWS(description_rows, description, check_description_row, "faulty descriptions");
    return failed_;
}
