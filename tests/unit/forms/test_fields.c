/* Each field type: what it takes, what it makes of it, and in which words and order it refuses. */
#include "forms_test.h"

typedef struct Row {
    const char *field;    /* the description without its name */
    const char *value;    /* JSON; NULL: the key is absent */
    const char *expected; /* the cleaned value as JSON, or "! " and the messages joined by " | " */
} Row;

static const Row rows[] = {
    /* text */
    {"'type': 'CharField'", "'  padded  '", "'padded'"},
    {"'type': 'CharField'", "' \\u00a0\\u3000\\u001c '", "! This field is required."},
    {"'type': 'CharField'", NULL, "! This field is required."},
    {"'type': 'CharField'", "[]", "! This field is required."},
    {"'type': 'CharField'", "true", "'True'"},
    {"'type': 'CharField'", "1e16", "'1e+16'"},
    {"'type': 'CharField'", "[1, 'it\\'s', null, {'a': 0.5}]", "'[1, \\\"it\\'s\\\", None, {\\'a\\': 0.5}]'"},
    {"'type': 'CharField'", "['\\u0007\\n\\u00ad\\u200bé']", "'[\\'\\\\x07\\\\n\\\\xad\\\\u200bé\\']'"},
    {"'type': 'CharField', 'required': false", "null", "''"},
    {"'type': 'CharField', 'required': false, 'empty_value': null", "'  '", "null"},
    {"'type': 'CharField', 'strip': false", "'  '", "'  '"},
    {"'type': 'CharField', 'max_length': 2", "'😀😀😀'",
     "! Ensure this value has at most 2 characters (it has 3)."},
    {"'type': 'CharField', 'min_length': 1, 'max_length': 1", "'ab'",
     "! Ensure this value has at most 1 character (it has 2)."},
    {"'type': 'CharField', 'min_length': 5, 'max_length': 1", "'ab'",
     "! Ensure this value has at least 5 characters (it has 2). | Ensure this value has at most 1 character "
     "(it has 2)."},
    {"'type': 'CharField', 'max_length': 1", "'a\\u0000b'",
     "! Ensure this value has at most 1 character (it has 3). | Null characters are not allowed."},
    {"'type': 'CharField', 'error_messages': {'required': 'Say 100%% of it.'}", "''", "! Say 100%% of it."},
    {"'type': 'CharField', 'max_length': 1, 'error_messages': {'max_length': '%(show_value)s of "
     "%(limit_value)d, %%, %(x)s: %(value)s'}",
     "'ab'", "! 2 of 1, %, %(x)s: ab"},
    {"'type': 'RegexField', 'regex': '^[A-Z]{2}$'", "'AB'", "'AB'"},
    {"'type': 'RegexField', 'regex': '^[A-Z]{2}$'", "' AB'", "! Enter a valid value."},
    {"'type': 'RegexField', 'regex': '^[A-Z]{2}$'", "'AB\\n'", "'AB\\n'"},
    {"'type': 'RegexField', 'regex': '^[A-Z]{2}\\\\Z'", "'AB\\n'", "! Enter a valid value."},
    {"'type': 'RegexField', 'regex': '^[A-Z]{2}\\\\Z', 'strip': true", "' AB\\n'", "'AB'"},
    {"'type': 'RegexField', 'regex': '^(a+)+$'", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'",
     "! Enter a valid value."},
    {"'type': 'RegexField', 'regex': '^[]a[]+$'", "'][a'", "'][a'"},
    {"'type': 'RegexField', 'regex': '^\\\\d{5}$', 'max_length': 5", "'123456'",
     "! Ensure this value has at most 5 characters (it has 6). | Enter a valid value."},
    {"'type': 'SlugField'", "'my-slug_1'", "'my-slug_1'"},
    {"'type': 'SlugField'", "'été'",
     "! Enter a valid “slug” consisting of letters, numbers, underscores or hyphens."},
    {"'type': 'SlugField', 'allow_unicode': true", "'été-1'", "'été-1'"},
    {"'type': 'SlugField', 'allow_unicode': true, 'max_length': 2", "'a b'",
     "! Enter a valid “slug” consisting of Unicode letters, numbers, underscores, or hyphens. | Ensure this "
     "value has at most 2 "
     "characters (it has 3)."},
    {"'type': 'UUIDField'", "' {550E8400e29b41d4-a716-446655440000} '",
     "'550e8400-e29b-41d4-a716-446655440000'"},
    {"'type': 'UUIDField'", "'550e8400-e29b-41d4-a716-44665544000'", "! Enter a valid UUID."},
    {"'type': 'UUIDField'", "'550e8400-e29b-41d4-a716-4466554400000'", "! Enter a valid UUID."},
    {"'type': 'UUIDField', 'required': false", "''", "null"},
    {"'type': 'SecretField'", "' s3cret '", "'s3cret'"},
    {"'type': 'SecretField', 'strip': false", "' s3cret '", "' s3cret '"},
    {"'type': 'SecretField'", "'********'",
     "! This is the mask that stands for a stored secret, and none is stored. Enter the secret."},

    /* numbers */
    {"'type': 'IntegerField'", "' 5.00 '", "5"},
    {"'type': 'IntegerField'", "5.0", "5"},
    {"'type': 'IntegerField'", "'-0'", "0"},
    {"'type': 'IntegerField'", "'1_000'", "1000"},
    {"'type': 'IntegerField'", "'1__0'", "! Enter a whole number."},
    {"'type': 'IntegerField'", "'٣'", "3"},
    {"'type': 'IntegerField'", "5.5", "! Enter a whole number."},
    {"'type': 'IntegerField'", "'1e3'", "! Enter a whole number."},
    {"'type': 'IntegerField'", "'.0'", "! Enter a whole number."},
    {"'type': 'IntegerField'", "true", "! Enter a whole number."},
    {"'type': 'IntegerField'", "[1]", "! Enter a whole number."},
    {"'type': 'IntegerField'", "'9223372036854775807'", "9223372036854775807"},
    {"'type': 'IntegerField'", "'9223372036854775808'",
     "! Ensure this value is less than or equal to 9223372036854775807."},
    {"'type': 'IntegerField'", "'-9223372036854775809'",
     "! Ensure this value is greater than or equal to -9223372036854775808."},
    {"'type': 'IntegerField', 'min_value': 10, 'max_value': 1", "5",
     "! Ensure this value is less than or equal to 1. | Ensure this value is greater than or equal to 10."},
    {"'type': 'IntegerField', 'required': false", "''", "null"},
    {"'type': 'FloatField'", "'1_0.5'", "10.5"},
    {"'type': 'FloatField'", "true", "1.0"},
    {"'type': 'FloatField'", "9007199254740993", "9007199254740992.0"},
    {"'type': 'FloatField'", "'1e400'", "! Enter a number."},
    {"'type': 'FloatField'", "'nan'", "! Enter a number."},
    {"'type': 'FloatField'", "{'a': 1}", "! Enter a number."},
    {"'type': 'FloatField', 'min_value': 0.5, 'max_value': 100", "'0.25'",
     "! Ensure this value is greater than or equal to 0.5."},
    {"'type': 'DecimalField'", "'1.50'", "'1.50'"},
    {"'type': 'DecimalField'", "'1e2'", "'1E+2'"},
    {"'type': 'DecimalField'", "'-.000_000_1'", "'-1E-7'"},
    {"'type': 'DecimalField'", "'0.000'", "'0.000'"},
    {"'type': 'DecimalField'", "0.1", "'0.1'"},
    {"'type': 'DecimalField'", "'1e9999999999999999999'", "! Enter a number."},
    {"'type': 'DecimalField'", "'123456789012345678901234567890.5'", "'123456789012345678901234567890.5'"},
    {"'type': 'DecimalField', 'max_digits': 4, 'decimal_places': 2", "'12.345'",
     "! Ensure that there are no more than 4 digits in total."},
    {"'type': 'DecimalField', 'max_digits': 4, 'decimal_places': 2", "'0.001'",
     "! Ensure that there are no more than 2 decimal places."},
    {"'type': 'DecimalField', 'max_digits': 2, 'decimal_places': 1", "'12'",
     "! Ensure that there are no more than 1 digit before the decimal point."},
    {"'type': 'DecimalField', 'max_value': '1e1', 'min_value': '-0.10'", "'10.0'", "'10.0'"},
    {"'type': 'DecimalField', 'max_value': '1e1', 'min_value': '-0.10'", "'10.01'",
     "! Ensure this value is less than or equal to 1E+1."},
    {"'type': 'DecimalField', 'max_value': '1e1', 'min_value': '-0.10'", "'-0.11'",
     "! Ensure this value is greater than or equal to -0.10."},
    {"'type': 'BooleanField'", "'off'", "true"},
    {"'type': 'BooleanField'", "'FALSE'", "! This field is required."},
    {"'type': 'BooleanField', 'required': false", "'0'", "false"},
    {"'type': 'BooleanField', 'required': false", "0.0", "false"},
    {"'type': 'BooleanField', 'required': false", "['x']", "true"},
    {"'type': 'BooleanField', 'required': false", NULL, "false"},
    {"'type': 'NullBooleanField'", "'TRUE'", "null"},
    {"'type': 'NullBooleanField'", "1.0", "true"},
    {"'type': 'NullBooleanField'", "'false'", "false"},

    /* choices */
    {"'type': 'ChoiceField', 'choices': [[1, 'One'], ['G', [['a', 'A']]], {'value': 'o', 'text': 'O'}, "
     "'plain']",
     "1", "'1'"},
    {"'type': 'ChoiceField', 'choices': [[1, 'One'], ['G', [['a', 'A']]], {'value': 'o', 'text': 'O'}, "
     "'plain']",
     "'a'", "'a'"},
    {"'type': 'ChoiceField', 'choices': [[1, 'One'], ['G', [['a', 'A']]], {'value': 'o', 'text': 'O'}, "
     "'plain']",
     "'plain'", "'plain'"},
    {"'type': 'ChoiceField', 'choices': [[1, 'One'], ['G', [['a', 'A']]]]", "'G'",
     "! Select a valid choice. G is not one of the available choices."},
    {"'type': 'ChoiceField', 'choices': [[1, 'One']]", "1.0",
     "! Select a valid choice. 1.0 is not one of the available choices."},
    {"'type': 'ChoiceField', 'choices': [[1, 'One']], 'required': false", "{}", "''"},
    {"'type': 'TypedChoiceField', 'choices': [[1, 'One']], 'coerce': 'int'", "'1'", "1"},
    {"'type': 'TypedChoiceField', 'choices': [['1.0', 'One']], 'coerce': 'int'", "'1.0'",
     "! Select a valid choice. 1.0 is not one of the available choices."},
    {"'type': 'TypedChoiceField', 'choices': [['1', 'One']], 'coerce': 'float'", "'1'", "1.0"},
    {"'type': 'TypedChoiceField', 'choices': [['True', 'Yes'], ['False', 'No']], 'coerce': 'bool'", "'False'",
     "false"},
    {"'type': 'TypedChoiceField', 'choices': [[1, 'One']], 'coerce': 'int', 'required': false, "
     "'empty_value': null",
     "''", "null"},
    {"'type': 'MultipleChoiceField', 'choices': ['a', 'b']", "['b', 'b']", "['b','b']"},
    {"'type': 'MultipleChoiceField', 'choices': ['a', 'b']", "['a', 'x', 'y']",
     "! Select a valid choice. x is not one of the available choices."},
    {"'type': 'MultipleChoiceField', 'choices': ['a', 'b']", "'a'", "! Enter a list of values."},
    {"'type': 'MultipleChoiceField', 'choices': ['a', 'b'], 'required': false", "0", "[]"},
    {"'type': 'TypedMultipleChoiceField', 'choices': [1, 2], 'coerce': 'int'", "['2', 1]", "[2,1]"},

    /* addresses */
    {"'type': 'EmailField'", "' a@b.co '", "'a@b.co'"},
    {"'type': 'EmailField'", "'user@[::1]'", "'user@[::1]'"},
    {"'type': 'EmailField'", "'user@127.0.0.1'", "! Enter a valid email address."},
    {"'type': 'EmailField'", "'user@bücher.de'", "'user@bücher.de'"},
    {"'type': 'EmailField'", "'user@exa／mple.de'", "! Enter a valid email address."},
    {"'type': 'EmailField'", "'\\\"a\\\\\\\"b\\\"@example.com'", "'\\\"a\\\\\\\"b\\\"@example.com'"},
    {"'type': 'EmailField'", "'\\\"a b\\\"@example.com'", "! Enter a valid email address."},
    {"'type': 'URLField'", "'example.com/path'", "'http://example.com/path'"},
    {"'type': 'URLField'", "'HTTP://EXAMPLE.com'", "'http://EXAMPLE.com'"},
    {"'type': 'URLField'", "'http://user:pw@[::1]:80/?q#f'", "'http://user:pw@[::1]:80/?q#f'"},
    {"'type': 'URLField'", "'http://[::1'", "! Enter a valid URL."},
    {"'type': 'URLField'", "'http://😀.example'", "'http://😀.example'"},
    {"'type': 'URLField'", "'http://a.com/@x'", "'http://a.com/@x'"},
    {"'type': 'URLField'", "'javascript:alert(1)'", "! Enter a valid URL."},
    {"'type': 'GenericIPAddressField'", "'2001:DB8:0:0:1:0:0:1%eth0'", "'2001:db8::1:0:0:1'"},
    {"'type': 'GenericIPAddressField'", "'1:2:3:4:5:6:7::'", "'1:2:3:4:5:6:7:0'"},
    {"'type': 'GenericIPAddressField'", "'::ffff:a00:1'", "'::ffff:10.0.0.1'"},
    {"'type': 'GenericIPAddressField', 'unpack_ipv4': true", "'::ffff:a00:1'", "'10.0.0.1'"},
    {"'type': 'GenericIPAddressField'", "'01.2.3.4'", "! Enter a valid IPv4 or IPv6 address."},
    {"'type': 'GenericIPAddressField'", "'1::2::3'", "! This is not a valid IPv6 address."},
    {"'type': 'GenericIPAddressField', 'protocol': 'ipv4'", "'::1'", "! Enter a valid IPv4 address."},
    {"'type': 'GenericIPAddressField', 'protocol': 'ipv6'", "'1.2.3.4'", "! Enter a valid IPv6 address."},
    {"'type': 'GenericIPAddressField'", "5", "! Enter a valid IPv4 or IPv6 address."},

    /* times */
    {"'type': 'DateField'", "'1 March, 2024'", "'2024-03-01'"},
    {"'type': 'DateField'", "'03/01/69'", "'1969-03-01'"},
    {"'type': 'DateField'", "'2100-02-29'", "! Enter a valid date."},
    {"'type': 'DateField'", "5", "! Enter a valid date."},
    {"'type': 'DateField', 'input_formats': ['%Y%m%d']", "'2024131'", "'2024-01-31'"},
    {"'type': 'DateField', 'input_formats': ['%A %d %B %Y', '100%%%d%m%y']", "'friday  1 march 2024'",
     "'2024-03-01'"},
    {"'type': 'DateField', 'input_formats': ['%A %d %B %Y', '100%%%d%m%y']", "'100%010324'", "'2024-03-01'"},
    {"'type': 'TimeField'", "'10:20:30.5'", "'10:20:30.500000'"},
    {"'type': 'TimeField'", "'10:20:60'", "! Enter a valid time."},
    {"'type': 'TimeField', 'input_formats': ['%I:%M %p']", "'12:05 pm'", "'12:05:00'"},
    {"'type': 'DateTimeField'", "'2024-03-01T10:20:30,25-0530'", "'2024-03-01T10:20:30.250000-05:30'"},
    {"'type': 'DateTimeField'", "'2024-03-01T10:20+24'", "! Enter a valid date/time."},
    {"'type': 'DateTimeField'", "'March 1, 2024'", "'2024-03-01T00:00:00'"},
    {"'type': 'DurationField'", "'1:30'", "'00:01:30'"},
    {"'type': 'DurationField'", "'-1:30'", "'-1 23:58:30'"},
    {"'type': 'DurationField'", "'P1DT2H'", "'1 02:00:00'"},
    {"'type': 'DurationField'", "'PT1,5S'", "'00:00:01.500000'"},
    {"'type': 'DurationField'", "1.5", "'00:00:01.500000'"},
    {"'type': 'DurationField'", "' 30 '", "! Enter a valid duration."},
    {"'type': 'DurationField'", "'P4W'", "! Enter a valid duration."},
    {"'type': 'DurationField'", "'1000000000 days'",
     "! The number of days must be between -999999999 and 999999999."},
    {"'type': 'DurationField'", "'99999999999999999999999999999999'",
     "! The number of days must be between -999999999 and 999999999."},

    /* JSON */
    {"'type': 'JSONField'", "'{\\\"a\\\": [1, 2.5]}'", "{'a':[1,2.5]}"},
    {"'type': 'JSONField'", "[1]", "[1]"},
    {"'type': 'JSONField'", "false", "false"},
    {"'type': 'JSONField'", "'null'", "! This field is required."},
    {"'type': 'JSONField'", "'[]'", "! This field is required."},
    {"'type': 'JSONField', 'empty_ok': true", "'[]'", "[]"},
    {"'type': 'JSONField', 'empty_ok': true", "{}", "{}"},
    {"'type': 'JSONField'", "'{bad}'", "! Enter a valid JSON."},
    {"'type': 'JSONField'", "'NaN'", "! Enter a valid JSON."},
    {"'type': 'JSONField'", "'\\\"a\\\\u0000b\\\"'", "! Null characters are not allowed."},
    {"'type': 'JSONField', 'json': 'object'", "'[1]'", "! Enter a JSON object."},
    {"'type': 'JSONField', 'json': 'array'", "{'a': 1}", "! Enter a JSON array."},
    {"'type': 'JSONField', 'json': 'texts'", "['a', 1, true, 0.5]", "['a','1','true','0.5']"},
    {"'type': 'JSONField', 'json': 'texts'", "['a', null]", "! Enter a JSON array of texts."},
    {"'type': 'JSONField', 'json': 'text_map'", "{'a': 1, 'b': 'x'}", "{'a':'1','b':'x'}"},
    {"'type': 'JSONField', 'json': 'text_map'", "{'a': []}", "! Enter a JSON object whose values are texts."},
    {"'type': 'JSONField', 'json': 'array', 'json_lines': true", "'{\\\"a\\\": 1}\\n\\n[2]\\n'",
     "[{'a':1},[2]]"},
    {"'type': 'JSONField', 'json': 'array', 'json_lines': true", "'{\\\"a\\\": 1}\\nx'",
     "! Enter a valid JSON."},
    {"'type': 'JSONField', 'disabled': true, 'initial': '{'", "'ignored'", "'{'"},
};

/* Rows write ' for ", and \' for '. */
static char *unquoted(const char *text)
{
    char *copy = flow_strdup(text), *to = copy;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\' && at[1] == '\'')
            *to++ = *++at;
        else
            *to++ = *at == '\'' ? '"' : *at;
    }
    *to = '\0';
    return copy;
}

static void check_row(void **state)
{
    const Row *row = *state;
    FlowBuf description, got;
    FlowFormErrors errors = {0};
    FlowForm *form = NULL;
    char *field = unquoted(row->field), *text = row->value != NULL ? unquoted(row->value) : NULL;
    char *expected = row->expected[0] == '!' ? flow_strdup(row->expected) : unquoted(row->expected);
    flow_buf_init(&description, 0);
    flow_buf_init(&got, 0);
    flow_buf_printf(&description, "{\"fields\": [{\"name\": \"f\", \"template\": \"literal\", %s}]}", field);
    FlowFormSchema *schema = schema_of(flow_buf_text(&description));
    FlowValue values = flow_value_object();
    if (text != NULL)
        assert_int_equal(flow_object_set_take(&values, "f", json(text), NULL), FLOW_OK);
    FlowStatus status = flow_form_load(schema, values, NULL, &form, &errors);
    if (status == FLOW_OK) {
        FlowFormValues cleaned = {0};
        assert_int_equal(flow_form_run(form, NULL, &cleaned, &errors), FLOW_OK);
        assert_int_equal(flow_json_write(flow_form_values_get(&cleaned, 0), &got, 0, NULL), FLOW_OK);
        flow_form_values_done(&cleaned);
        flow_form_unref(form);
    } else {
        assert_null(form);
        flow_buf_str(&got, "!");
        for (size_t i = 0; i < errors.count; i++) {
            assert_int_equal(errors.items[i].field, 0);
            assert_string_equal(errors.items[i].name, "f");
            assert_true(errors.items[i].code[0] != '\0');
            flow_buf_printf(&got, "%s %s", i > 0 ? " |" : "", errors.items[i].message);
        }
    }
    assert_string_equal(flow_buf_text(&got), expected);
    flow_value_unref(values);
    flow_form_errors_done(&errors);
    flow_form_schema_unref(schema);
    flow_buf_done(&description);
    flow_buf_done(&got);
    free(field);
    free(text);
    free(expected);
}

int main(void)
{
    int failed_ = 0;
    RUN_ROWS(rows, field, check_row, "fields");
    return failed_;
}
