/* Load and run: what is checked when, what templates become, and what is told when they fail. */
#include "forms_test.h"

#include <pthread.h>

typedef struct Row {
    const char *fields;  /* the descriptions' insides, without brackets; ' stands for " */
    const char *values;  /* stored */
    const char *context; /* {name: value} */
    const char *load;    /* "constant", "dynamic", or what is wrong */
    const char *run;     /* all cleaned values, or "! " and what is wrong */
} Row;

static const Row rows[] = {
    {"{'name': 'n', 'type': 'IntegerField', 'max_value': 10}", "{'n': '{{ data.n }}'}", "{'data': {'n': 5}}",
     "dynamic", "{'n':5}"},
    {"{'name': 'n', 'type': 'IntegerField', 'max_value': 10}", "{'n': '{{ data.n }}'}", "{'data': {'n': 50}}",
     "dynamic", "! n: Ensure this value is less than or equal to 10."},
    {"{'name': 'n', 'type': 'IntegerField'}", "{'n': '50'}", "{}", "constant", "{'n':50}"},
    {"{'name': 'n', 'type': 'IntegerField'}", "{'n': 'x'}", "{}", "n: Enter a whole number.", NULL},
    {"{'name': 'n', 'type': 'CharField', 'max_length': 4}", "{'n': 'Hello {{ data.n }}'}",
     "{'data': {'n': ''}}", "dynamic", "! n: Ensure this value has at most 4 characters (it has 5)."},
    {"{'name': 'a', 'type': 'CharField', 'max_length': 3}, {'name': 'b', 'type': 'IntegerField'}, {'name': "
     "'c', 'type': 'CharField'}",
     "{'a': '{{ data.a }}', 'b': '{{ data.a }}', 'c': 'fixed'}", "{'data': {'a': 'long'}}", "dynamic",
     "! a: Ensure this value has at most 3 characters (it has 4). | b: Enter a whole number."},

    /* how text with braces is taken */
    {"{'name': 'a', 'type': 'CharField', 'template': 'literal'}", "{'a': '{{ data.a }}'}", "{}", "constant",
     "{'a':'{{ data.a }}'}"},
    {"{'name': 'a', 'type': 'CharField', 'template': 'never'}", "{'a': '{{ data.a }}'}", "{}",
     "a: This field can't hold a template.", NULL},
    {"{'name': 'a', 'type': 'CharField', 'template': 'never'}", "{'a': '{a}'}", "{}", "constant",
     "{'a':'{a}'}"},
    {"{'name': 'a', 'type': 'CharField', 'disabled': true, 'initial': 'x'}", "{'a': '{{ data.a }}'}", "{}",
     "constant", "{'a':'x'}"},
    {"{'name': 'a', 'type': 'CharField', 'initial': '{{ data.a }}'}", "{}", "{'data': {'a': 1}}", "dynamic",
     "{'a':'1'}"},

    /* native values */
    {"{'name': 'j', 'type': 'JSONField'}", "{'j': '{{ data.j }}'}", "{'data': {'j': {'a': [1, 2.5, null]}}}",
     "dynamic", "{'j':{'a':[1,2.5,null]}}"},
    {"{'name': 'j', 'type': 'JSONField'}", "{'j': '{{ data.j }}'}", "{'data': {'j': '02134'}}", "dynamic",
     "{'j':'02134'}"},
    {"{'name': 'j', 'type': 'JSONField'}", "{'j': '{{ data.j | tojson }}'}", "{'data': {'j': [1]}}",
     "dynamic", "{'j':[1]}"},
    {"{'name': 'j', 'type': 'JSONField'}", "{'j': '{{ data.j }}'}", "{'data': {'j': '{no json'}}", "dynamic",
     "{'j':'{no json'}"},
    {"{'name': 'j', 'type': 'JSONField'}", "{'j': '{{ data.j }}'}", "{'data': {'j': ''}}", "dynamic",
     "! j: This field is required."},
    {"{'name': 'j', 'type': 'JSONField', 'json': 'array'}", "{'j': '{{ data.j }}'}",
     "{'data': {'j': '[1, 2]'}}", "dynamic", "{'j':[1,2]}"},
    {"{'name': 'j', 'type': 'JSONField', 'json': 'array'}", "{'j': '{{ data.j }}'}", "{'data': {'j': 'x'}}",
     "dynamic", "! j: Enter a valid JSON."},
    {"{'name': 'j', 'type': 'JSONField', 'json': 'array'}", "{'j': '{{ data.j }}'}",
     "{'data': {'j': {'a': 1}}}", "dynamic", "! j: Enter a JSON array."},
    {"{'name': 'j', 'type': 'JSONField', 'json': 'array', 'empty_ok': true}", "{'j': '{{ data.j }}'}",
     "{'data': {'j': []}}", "dynamic", "{'j':[]}"},
    {"{'name': 'j', 'type': 'JSONField', 'native': false}", "{'j': '{{ data.j }}'}",
     "{'data': {'j': {'a': true}}}", "dynamic", "! j: Enter a valid JSON."},
    {"{'name': 'j', 'type': 'JSONField'}", "{'j': ' {{ data.j }}'}", "{'data': {'j': 5}}", "dynamic",
     "{'j':5}"},
    {"{'name': 'j', 'type': 'JSONField'}", "{'j': {'a': '{{ data.j }}'}}", "{}", "constant",
     "{'j':{'a':'{{ data.j }}'}}"},

    /* nested templates */
    {"{'name': 'j', 'type': 'JSONField', 'nested': true}",
     "{'j': {'a': ['{{ data.n }}', 'x{{ data.n }}', 7], 'b': {'c': 'd'}}}", "{'data': {'n': 1}}", "dynamic",
     "{'j':{'a':[1,'x1',7],'b':{'c':'d'}}}"},
    {"{'name': 'j', 'type': 'JSONField', 'nested': true, 'native': false}", "{'j': ['{{ data.n }}']}",
     "{'data': {'n': 1}}", "dynamic", "{'j':['1']}"},
    {"{'name': 'j', 'type': 'JSONField', 'nested': true}", "{'j': '[\\'{{ data.n }}\\']'}",
     "{'data': {'n': '\\',\\''}}", "dynamic", "{'j':['\\',\\'']}"},
    {"{'name': 'j', 'type': 'JSONField', 'nested': true}", "{'j': '{{ data.n }}'}", "{'data': {'n': [1]}}",
     "dynamic", "{'j':[1]}"},
    {"{'name': 'j', 'type': 'JSONField', 'nested': true}", "{'j': [1, {'a': []}]}", "{}", "constant",
     "{'j':[1,{'a':[]}]}"},
    {"{'name': 'j', 'type': 'JSONField', 'nested': true, 'json': 'text_map'}",
     "{'j': {'X-N': '{{ data.n }}'}}", "{'data': {'n': 5}}", "dynamic", "{'j':{'X-N':'5'}}"},
    {"{'name': 'j', 'type': 'JSONField', 'nested': true, 'json': 'text_map'}",
     "{'j': {'X-N': '{{ data.n }}'}}", "{'data': {'n': [5]}}", "dynamic",
     "! j: Enter a JSON object whose values are texts."},

    {"{'name': 'j', 'type': 'JSONField', 'nested': true, 'json': 'object'}", "{'j': ['{{ data.n }}']}", "{}",
     "j: Enter a JSON object.", NULL},

    /* expressions */
    {"{'name': 'e', 'type': 'CharField', 'expression': true}", "{'e': 'data.n > 2'}", "{'data': {'n': 3}}",
     "dynamic", "{'e':true}"},
    {"{'name': 'e', 'type': 'CharField', 'expression': true}", "{'e': '{{ data.n }} > 2'}",
     "{'data': {'n': '1'}}", "dynamic", "{'e':false}"},
    {"{'name': 'e', 'type': 'CharField', 'expression': true}", "{'e': true}", "{}", "constant", "{'e':true}"},
    {"{'name': 'e', 'type': 'CharField', 'expression': true}", "{'e': ' '}", "{}",
     "e: This field is required.", NULL},
    {"{'name': 'e', 'type': 'CharField', 'expression': true, 'required': false}", "{}", "{}", "constant",
     "{'e':null}"},

    /* rules wait for the last of their fields */
    {"{'name': 'a', 'type': 'IntegerField'}, {'name': 'b', 'type': 'IntegerField'}], 'rules': [{'rule': "
     "'ordered', 'fields': ['a', 'b'], "
     "'message': 'Not in order.', 'target': 'b'}",
     "{'a': 5, 'b': '{{ data.b }}'}", "{'data': {'b': 4}}", "dynamic", "! b: Not in order."},
    {"{'name': 'a', 'type': 'IntegerField'}, {'name': 'b', 'type': 'IntegerField'}], 'rules': [{'rule': "
     "'ordered', 'fields': ['a', 'b'], "
     "'message': 'Not in order.'}",
     "{'a': 5, 'b': '{{ data.b }}'}", "{'data': {'b': 'x'}}", "dynamic", "! b: Enter a whole number."},
    {"{'name': 'a', 'type': 'IntegerField'}, {'name': 'b', 'type': 'IntegerField'}, {'name': 'c', 'type': "
     "'CharField'}], 'rules': "
     "[{'rule': 'ordered', 'fields': ['a', 'b'], 'message': 'Not in order.'}",
     "{'a': 5, 'b': 4, 'c': '{{ data.c }}'}", "{}", "Not in order.", NULL},

    /* choices that depend on what is rendered */
    {"{'name': 'p', 'type': 'ChoiceField', 'choices': ['us', 'ca']}, {'name': 'c', 'type': 'ChoiceField', "
     "'choices_by': {'parent': 'p', "
     "'map': {'us': ['ny'], 'ca': ['on']}}}",
     "{'p': '{{ data.p }}', 'c': 'on'}", "{'data': {'p': 'ca'}}", "dynamic", "{'p':'ca','c':'on'}"},
    {"{'name': 'p', 'type': 'ChoiceField', 'choices': ['us', 'ca']}, {'name': 'c', 'type': 'ChoiceField', "
     "'choices_by': {'parent': 'p', "
     "'map': {'us': ['ny'], 'ca': ['on']}}}",
     "{'p': '{{ data.p }}', 'c': 'on'}", "{'data': {'p': 'us'}}", "dynamic",
     "! c: Select a valid choice. on is not one of the available choices."},
};

/* Rows write ' for " (and \' for the escaped quote inside JSON text). */
static char *unquoted(const char *text)
{
    char *copy = malloc(strlen(text) * 2 + 1), *to = copy;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\' && at[1] == '\'')
            *to++ = '\\';
        else if (strncmp(at, "can't", 5) == 0) {
            memcpy(to, at, 5);
            to += 5;
            at += 4;
        } else
            *to++ = *at == '\'' ? '"' : *at;
    }
    *to = '\0';
    return copy;
}

typedef struct Vars {
    FlowTemplateVar vars[4];
    FlowTemplateContext context;
    FlowValue object;
} Vars;

static void vars_init(Vars *self, const char *text)
{
    size_t count;
    self->object = json(text);
    const FlowMember *members = flow_object_members(self->object, &count);
    for (size_t i = 0; i < count; i++)
        self->vars[i] = (FlowTemplateVar){flow_value_text(&members[i].key), members[i].value};
    self->context = (FlowTemplateContext){.vars = self->vars, .var_count = count};
}

static void check_row(void **state)
{
    const Row *row = *state;
    char *fields = unquoted(row->fields), *stored = unquoted(row->values), *names = unquoted(row->context);
    char *load = unquoted(row->load), *run = row->run != NULL ? unquoted(row->run) : NULL;
    FlowBuf description, got;
    flow_buf_init(&description, 0);
    flow_buf_init(&got, 0);
    flow_buf_printf(&description, "{\"fields\": [%s]}", fields);
    FlowFormSchema *schema = schema_of(flow_buf_text(&description));
    FlowValue values = json(stored);
    FlowForm *form = NULL;
    FlowFormErrors errors = {0};
    Vars vars;
    vars_init(&vars, names);
    FlowStatus status = flow_form_load(schema, values, NULL, &form, &errors);
    flow_value_unref(values);
    if (status == FLOW_OK) {
        FlowFormValues cleaned = {0};
        assert_string_equal(flow_form_is_constant(form) ? "constant" : "dynamic", load);
        status = flow_form_run(form, &vars.context, &cleaned, &errors);
        if (status == FLOW_OK) {
            FlowValue object = flow_form_values_object(&cleaned, false);
            flow_json_write(object, &got, 0, NULL);
            flow_value_unref(object);
            flow_form_values_done(&cleaned);
        } else {
            assert_int_equal(status, FLOW_INVALID_ARGUMENT);
            assert_string_equal(flow_form_errors_reason(&errors), "INVALID_FORM");
            flow_buf_printf(&got, "! %s", told(&errors));
        }
        assert_string_equal(flow_buf_text(&got), run);
        flow_form_unref(form);
    } else {
        assert_string_equal(told(&errors), load);
        assert_null(run);
    }
    flow_form_errors_done(&errors);
    flow_value_unref(vars.object);
    flow_form_schema_unref(schema);
    flow_buf_done(&description);
    flow_buf_done(&got);
    free(fields);
    free(stored);
    free(names);
    free(load);
    free(run);
}

static void every_faulty_template_is_told_of_at_load(void **state)
{
    (void)state;
    FlowFormSchema *schema = schema_of(
        "{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\"}, {\"name\": \"e\", \"type\": "
        "\"CharField\", \"expression\": true}, {\"name\": \"j\", \"type\": \"JSONField\", \"nested\": "
        "true}, {\"name\": \"n\", \"type\": \"IntegerField\"}]}");
    FlowValue values =
        json("{\"a\": \"x\\n {{ data.\", \"e\": \"1 +\", \"j\": {\"k\": [\"{% if %}\"]}, \"n\": \"x\"}");
    FlowForm *form = NULL;
    FlowFormErrors errors = {0};
    FlowError error;
    assert_int_equal(flow_form_load(schema, values, NULL, &form, &errors), FLOW_INVALID_ARGUMENT);
    assert_null(form);
    assert_int_equal(errors.failures, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(errors.items[i].field, i);
        assert_int_equal(errors.items[i].template_error, i < 3);
        assert_string_equal(errors.items[i].code, i < 3 ? "template" : "invalid");
    }
    assert_int_equal(errors.items[0].template_kind, FLOW_TEMPLATE_SYNTAX);
    assert_int_equal(errors.items[0].line, 2);
    assert_int_equal(strncmp(errors.items[2].message, "k[0]: line 1", 12), 0);
    assert_int_equal(flow_form_errors_to_error(&errors, &error), FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "TEMPLATE_ERROR");
    flow_form_errors_done(&errors);
    flow_value_unref(values);
    flow_form_schema_unref(schema);
}

static void what_was_rendered_is_kept_for_the_person_who_looks(void **state)
{
    (void)state;
    FlowFormSchema *schema = schema_of("{\"fields\": [{\"name\": \"n\", \"type\": \"IntegerField\"}, "
                                       "{\"name\": \"t\", \"type\": \"SecretField\"}, "
                                       "{\"name\": \"u\", \"type\": \"CharField\"}, "
                                       "{\"name\": \"c\", \"type\": \"CharField\"}, "
                                       "{\"name\": \"s\", \"type\": \"SecretField\", \"required\": false}]}");
    FlowValue values = json("{\"n\": \"{{ data.n }}\", \"t\": \"{{ data.t }}\", \"u\": \"{{ "
                            "data.missing.deep }}\", \"c\": \"constant\"}");
    FlowForm *form = NULL;
    FlowFormErrors errors = {0};
    FlowFormValues cleaned = {0};
    Vars vars;
    vars_init(&vars, "{\"data\": {\"n\": \"x\", \"t\": \"s3cret\"}}");
    assert_int_equal(flow_form_load(schema, values, NULL, &form, &errors), FLOW_OK);
    assert_int_equal(flow_form_run(form, &vars.context, &cleaned, &errors), FLOW_INVALID_ARGUMENT);
    assert_null(cleaned.cleaned);
    assert_int_equal(errors.failures, 2);
    assert_string_equal(errors.items[0].message, "Enter a whole number.");
    assert_true(errors.items[1].template_error);
    assert_int_equal(errors.items[1].field, 2);
    assert_string_equal(flow_form_errors_reason(&errors), "TEMPLATE_ERROR");
    assert_json_take(
        flow_value_ref(errors.rendered),
        "{\"n\":\"x\",\"t\":\"********\",\"u\":\"{{ data.missing.deep }}\",\"c\":\"constant\",\"s\":null}");
    flow_form_errors_done(&errors);
    flow_value_unref(vars.object);
    flow_form_unref(form);
    flow_value_unref(values);
    flow_form_schema_unref(schema);
}

static void undefined_values_fail_unless_lenient(void **state)
{
    (void)state;
    FlowFormSchema *schema =
        schema_of("{\"fields\": [{\"name\": \"a\", \"type\": \"CharField\", \"required\": false}]}");
    FlowValue values = json("{\"a\": \"{{ data.nothing }}\"}");
    Vars vars;
    vars_init(&vars, "{\"data\": {}}");
    for (int lenient = 0; lenient < 2; lenient++) {
        FlowFormOptions options = {.lenient = lenient};
        FlowForm *form = NULL;
        FlowFormErrors errors = {0};
        FlowFormValues cleaned = {0};
        assert_int_equal(flow_form_load(schema, values, &options, &form, &errors), FLOW_OK);
        assert_int_equal(flow_form_run(form, &vars.context, &cleaned, &errors),
                         lenient ? FLOW_OK : FLOW_INVALID_ARGUMENT);
        if (!lenient)
            assert_int_equal(errors.items[0].template_kind, FLOW_TEMPLATE_UNDEFINED);
        flow_form_values_done(&cleaned);
        flow_form_errors_done(&errors);
        flow_form_unref(form);
    }
    flow_value_unref(vars.object);
    flow_value_unref(values);
    flow_form_schema_unref(schema);
}

static void values_are_read_by_kind(void **state)
{
    (void)state;
    enum { I, F, B, T, E };
    FlowFormSchema *schema = schema_of("{\"fields\": [{\"name\": \"i\", \"type\": \"IntegerField\"}, "
                                       "{\"name\": \"f\", \"type\": \"FloatField\"}, "
                                       "{\"name\": \"b\", \"type\": \"BooleanField\"}, {\"name\": \"t\", "
                                       "\"type\": \"CharField\"}, {\"name\": \"e\", "
                                       "\"type\": \"IntegerField\", \"required\": false}]}");
    FlowValue values =
        json("{\"i\": 3, \"f\": \"1.5\", \"b\": true, \"t\": \"a text that is longer than fourteen\"}");
    FlowForm *form = NULL;
    FlowFormErrors errors = {0};
    FlowFormValues cleaned = {0};
    size_t len;
    assert_int_equal(flow_form_load(schema, values, NULL, &form, &errors), FLOW_OK);
    assert_int_equal(flow_form_run(form, NULL, &cleaned, &errors), FLOW_OK);
    assert_int_equal(flow_form_values_int(&cleaned, I, -1), 3);
    assert_int_equal(flow_form_values_int(&cleaned, E, -1), -1);
    assert_true(flow_form_values_float(&cleaned, F, 0) == 1.5);
    assert_true(flow_form_values_float(&cleaned, I, 0) == 3);
    assert_true(flow_form_values_bool(&cleaned, B, false));
    assert_true(flow_form_values_bool(&cleaned, I, true));
    assert_string_equal(flow_form_values_text(&cleaned, T, &len), "a text that is longer than fourteen");
    assert_int_equal(len, 35);
    assert_string_equal(flow_form_values_text(&cleaned, I, &len), "");
    assert_true(flow_form_values_given(&cleaned, I));
    assert_false(flow_form_values_given(&cleaned, E));
    assert_false(flow_form_values_is(&cleaned, I, "3"));
    flow_form_values_done(&cleaned);
    flow_form_values_done(&cleaned);
    flow_form_unref(form);
    flow_value_unref(values);
    flow_form_schema_unref(schema);
}

static void durations_become_microseconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t us;
    } cases[] = {
        {"00:00:01.500000", true, 1500000},
        {"-1 23:00:00", true, -3600000000},
        {"999999999 23:59:59", false, 0},
        {"x", false, 0},
        {NULL, false, 0},
    };
    for (size_t i = 0; i < FLOW_COUNT(cases); i++) {
        int64_t us = 7;
        assert_int_equal(flow_duration_read(cases[i].text, &us), cases[i].ok);
        assert_int_equal(us, cases[i].ok ? cases[i].us : 7);
    }
}

/* ---- threads ---- */

typedef struct Shared {
    FlowForm *form;
    int first;
} Shared;

static void *run_many(void *data)
{
    const Shared *shared = data;
    for (int i = 0; i < 300; i++) {
        char text[64];
        Vars vars;
        FlowFormErrors errors = {0};
        FlowFormValues cleaned = {0};
        snprintf(text, sizeof text, "{\"data\": {\"n\": %d}}", shared->first + i);
        vars_init(&vars, text);
        if (flow_form_run(shared->form, &vars.context, &cleaned, &errors) != FLOW_OK ||
            flow_form_values_int(&cleaned, 0, -1) != shared->first + i)
            return (void *)1;
        flow_form_values_done(&cleaned);
        flow_value_unref(vars.object);
    }
    return NULL;
}

static void eight_threads_run_one_form(void **state)
{
    (void)state;
    FlowFormSchema *schema =
        schema_of("{\"fields\": [{\"name\": \"n\", \"type\": \"IntegerField\"}, {\"name\": \"r\", \"type\": "
                  "\"RegexField\", \"regex\": \"^\\\\d+$\"}, {\"name\": \"c\", \"type\": \"CharField\"}]}");
    FlowValue values = json(
        "{\"n\": \"{{ data.n }}\", \"r\": \"{{ data.n }}\", \"c\": \"a constant that does not fit inline\"}");
    FlowForm *form = NULL;
    FlowFormErrors errors = {0};
    pthread_t threads[8];
    Shared shared[8];
    assert_int_equal(flow_form_load(schema, values, NULL, &form, &errors), FLOW_OK);
    for (int i = 0; i < 8; i++) {
        shared[i] = (Shared){form, i * 1000};
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &shared[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    flow_form_unref(form);
    flow_value_unref(values);
    flow_form_schema_unref(schema);
}

int main(void)
{
    int failed_ = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_faulty_template_is_told_of_at_load),
        cmocka_unit_test(what_was_rendered_is_kept_for_the_person_who_looks),
        cmocka_unit_test(undefined_values_fail_unless_lenient),
        cmocka_unit_test(values_are_read_by_kind),
        cmocka_unit_test(durations_become_microseconds),
        cmocka_unit_test(eight_threads_run_one_form),
    };
    RUN_ROWS(rows, values, check_row, "load and run");
    failed_ += cmocka_run_group_tests_name("form", tests, NULL, NULL);
    return failed_;
}
