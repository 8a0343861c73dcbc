/*
 * fuzz_clean.c - hostile values in every field type, and hostile descriptions of forms.
 *
 * The first byte chooses: below the number of fields in the table, the rest is what somebody entered there, as text and,
 * where it reads as JSON, as that value; otherwise the rest is a description, a NUL, and the values of the form.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "forms/form.h"
#include "forms/view.h"
#include "value/json.h"

static const char *const fields[] = {
    "{\"type\": \"CharField\", \"min_length\": 3, \"max_length\": 9}",
    "{\"type\": \"CharField\", \"strip\": false, \"required\": false, \"empty_value\": null}",
    "{\"type\": \"CharField\", \"expression\": true}",
    "{\"type\": \"SecretField\"}",
    "{\"type\": \"RegexField\", \"regex\": \"^(\\\\w+\\\\s?)+\\\\Z\"}",
    "{\"type\": \"SlugField\"}",
    "{\"type\": \"SlugField\", \"allow_unicode\": true}",
    "{\"type\": \"EmailField\"}",
    "{\"type\": \"URLField\"}",
    "{\"type\": \"GenericIPAddressField\", \"unpack_ipv4\": true}",
    "{\"type\": \"GenericIPAddressField\", \"protocol\": \"ipv6\"}",
    "{\"type\": \"UUIDField\"}",
    "{\"type\": \"IntegerField\", \"min_value\": -5, \"max_value\": 5}",
    "{\"type\": \"FloatField\", \"min_value\": -0.5, \"max_value\": 1e300}",
    "{\"type\": \"DecimalField\", \"max_digits\": 5, \"decimal_places\": 2, \"max_value\": \"1e9\"}",
    "{\"type\": \"BooleanField\", \"required\": false}",
    "{\"type\": \"NullBooleanField\"}",
    "{\"type\": \"ChoiceField\", \"choices\": [\"a\", [\"G\", [[\"b\", \"B\"]]], [1, \"One\"]]}",
    "{\"type\": \"TypedChoiceField\", \"choices\": [1, \"2.5\", \"x\"], \"coerce\": \"float\"}",
    "{\"type\": \"MultipleChoiceField\", \"choices\": [\"a\", \"b\"]}",
    "{\"type\": \"TypedMultipleChoiceField\", \"choices\": [1, 2], \"coerce\": \"int\"}",
    "{\"type\": \"DateField\"}",
    "{\"type\": \"DateField\", \"input_formats\": [\"%a %d%m%Y %H%M%S%f%p %z\", \"%d. %B %y\"]}",
    "{\"type\": \"DateTimeField\"}",
    "{\"type\": \"TimeField\", \"input_formats\": [\"%I:%M %p\", \"%H%M%S.%f\"]}",
    "{\"type\": \"DurationField\"}",
    "{\"type\": \"JSONField\"}",
    "{\"type\": \"JSONField\", \"json\": \"text_map\", \"nested\": true, \"empty_ok\": true}",
    "{\"type\": \"JSONField\", \"json\": \"array\", \"json_lines\": true, \"template\": \"literal\"}",
    "{\"type\": \"JSONField\", \"json\": \"texts\", \"native\": false}",
};

static void show(const FlowFormSchema *schema, FlowValue values, bool plain)
{
    static const FlowFormMode modes[] = {FLOW_FORM_UNBOUND, FLOW_FORM_BOUND, FLOW_FORM_PARTIAL};
    for (size_t i = 0; i < FLOW_COUNT(modes); i++) {
        FlowFormInput input = {.mode = modes[i], .values = values, .initial = values, .plain = plain};
        FlowFormView view = {0};
        if (flow_form_view_now(schema, &input, NULL, flow_value_null(), &view, NULL) == FLOW_OK)
            flow_form_view_done(&view);
        if (flow_form_schema_count(schema) > 0 &&
            flow_form_view_now(schema, &input, flow_form_schema_name(schema, 0), values, &view, NULL) ==
                FLOW_OK)
            flow_form_view_done(&view);
    }
}

static void try_values(const FlowFormSchema *schema, FlowValue values)
{
    const FlowTemplateLimits limits = {.steps = 2000, .memory_bytes = 1 << 20, .output_bytes = 1 << 16};
    const FlowFormOptions options = {.lenient = true, .limits = &limits};
    const FlowTemplateVar vars[] = {{"data", values}};
    const FlowTemplateContext context = {.vars = vars, .var_count = 1};
    FlowFormErrors errors = {0};
    FlowForm *form = NULL;
    FlowValue shown = flow_form_mask(schema, values), back = flow_form_unmask(schema, values, shown);
    if (flow_form_load(schema, values, &options, &form, &errors) == FLOW_OK) {
        FlowFormValues cleaned = {0};
        if (flow_form_run(form, &context, &cleaned, &errors) == FLOW_OK) {
            flow_value_unref(flow_form_values_object(&cleaned, true));
            flow_form_values_done(&cleaned);
        } else if (errors.failures == 0) {
            abort();
        }
        flow_form_unref(form);
    } else if (errors.failures == 0) {
        abort();
    }
    FlowError error;
    if (errors.failures > 0)
        flow_form_errors_to_error(&errors, &error);
    flow_form_errors_done(&errors);
    show(schema, values, false);
    show(schema, values, true);
    flow_value_unref(shown);
    flow_value_unref(back);
}

static void try_one_value(const FlowFormSchema *schema, FlowValue value_take)
{
    FlowValue values = flow_value_object();
    if (flow_object_set_take(&values, "f", value_take, NULL) == FLOW_OK)
        try_values(schema, values);
    flow_value_unref(values);
}

static void try_field(size_t index, const char *text, size_t len)
{
    static FlowFormSchema *schemas[FLOW_COUNT(fields)];
    FlowValue parsed;
    if (schemas[index] == NULL) {
        FlowValue field, list = flow_value_array(), description = flow_value_object();
        if (flow_json_read(fields[index], strlen(fields[index]), NULL, &field, NULL) != FLOW_OK ||
            flow_object_set_take(&field, "name", flow_value_string("f"), NULL) != FLOW_OK ||
            flow_array_push_take(&list, field, NULL) != FLOW_OK ||
            flow_object_set_take(&description, "fields", list, NULL) != FLOW_OK ||
            flow_form_schema_read(description, NULL, NULL, &schemas[index], NULL) != FLOW_OK)
            abort();
        flow_value_unref(description);
    }
    try_one_value(schemas[index], flow_value_stringn(text, len));
    if (flow_json_read(text, len, NULL, &parsed, NULL) == FLOW_OK)
        try_one_value(schemas[index], parsed);
}

static void try_description(const char *text, size_t len)
{
    const char *end = memchr(text, '\0', len);
    FlowValue description, values = flow_value_null();
    FlowFormSchema *schema = NULL;
    size_t first = end != NULL ? (size_t)(end - text) : len;
    if (flow_json_read(text, first, NULL, &description, NULL) != FLOW_OK)
        return;
    if (end != NULL && flow_json_read(end + 1, len - first - 1, NULL, &values, NULL) != FLOW_OK)
        values = flow_value_null();
    if (flow_form_schema_read(description, NULL, NULL, &schema, NULL) == FLOW_OK) {
        try_values(schema, values);
        flow_form_schema_unref(schema);
    }
    flow_value_unref(description);
    flow_value_unref(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)bytes + 1;
    size_t len = flow_utf8_valid_prefix(text, size - 1);
    if (bytes[0] < FLOW_COUNT(fields))
        try_field(bytes[0], text, len);
    else
        try_description(text, len);
    return 0;
}
