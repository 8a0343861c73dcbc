#include "engine/node_type_doc.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "forms/view.h"
#include "value/json.h"

void flow_node_type_label(const FlowNodeType *type, FlowBuf *to)
{
    if (type->label && *type->label) {
        flow_buf_str(to, type->label);
        return;
    }
    for (const char *c = type->name; *c; c++)
        flow_buf_byte(to, *c == '-' ? ' ' : c == type->name ? (char)(*c - 'a' + 'A') : *c);
}

const char *flow_node_type_category(const FlowNodeType *type)
{
    switch (type->kind) {
    case FLOW_NODE_PRODUCER:
        return "producers";
    case FLOW_NODE_CONDITIONAL:
        return "flow";
    case FLOW_NODE_NON_BLOCKING:
        return "non-blocking";
    default:
        return type->flags & FLOW_NODE_FOR_EACH ? "flow" : "blocking";
    }
}

/* ---- Markdown ---- */

static FlowValue get(FlowValue object, const char *key)
{
    const FlowValue *value = flow_object_get(object, key);
    return value ? *value : flow_value_null();
}

static bool is_true(FlowValue object, const char *key)
{
    FlowValue value = get(object, key);
    return flow_value_kind(value) == FLOW_VALUE_BOOL && flow_value_get_bool(value);
}

/* Text that can stand in a table's cell. */
static void add_cell(FlowBuf *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '|')
            flow_buf_byte(to, '\\');
        flow_buf_byte(to, text[i] == '\n' ? ' ' : text[i]);
    }
}

static void add_json(FlowBuf *to, FlowValue value)
{
    char *text = flow_json_text(value, FLOW_JSON_WRITE_SPACED);
    if (!text)
        return;
    flow_buf_byte(to, '`');
    add_cell(to, text, strlen(text));
    flow_buf_byte(to, '`');
    free(text);
}

/* Django's names in plain words; the others explain themselves. */
static const char *type_in_words(const char *type)
{
    static const char *const words[][2] = {
        {"CharField", "text"},    {"SecretField", "secret text"},  {"IntegerField", "whole number"},
        {"FloatField", "number"}, {"BooleanField", "true, false"}, {"JSONField", "JSON"},
    };
    for (size_t i = 0; i < FLOW_COUNT(words); i++) {
        if (strcmp(type, words[i][0]) == 0)
            return words[i][1];
    }
    return type;
}

static void add_field(FlowBuf *to, FlowValue field)
{
    FlowValue name = get(field, "name"), help = get(field, "help_text"), value = get(field, "value");
    FlowValue type = get(field, "field_type");
    flow_buf_str(to, "| `");
    add_cell(to, flow_value_text(&name), flow_value_length(&name));
    flow_buf_str(to, is_true(field, "required") ? "` * | " : "` | ");
    size_t count = 0;
    const FlowValue *options = flow_array_items(get(field, "options"), &count);
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        FlowValue option = get(options[i], "value");
        if (flow_value_kind(option) != FLOW_VALUE_STRING || flow_value_length(&option) == 0)
            continue;
        flow_buf_str(to, first ? "`" : ", `");
        add_cell(to, flow_value_text(&option), flow_value_length(&option));
        flow_buf_byte(to, '`');
        first = false;
    }
    if (first && flow_value_kind(type) == FLOW_VALUE_STRING)
        flow_buf_str(to, type_in_words(flow_value_text(&type)));
    flow_buf_str(to, " | ");
    bool is_empty = flow_value_is_null(value) ||
                    (flow_value_kind(value) == FLOW_VALUE_STRING && !flow_value_length(&value));
    if (!is_empty)
        add_json(to, value);
    flow_buf_str(to, " | ");
    if (flow_value_kind(help) == FLOW_VALUE_STRING)
        add_cell(to, flow_value_text(&help), flow_value_length(&help));
    flow_buf_str(to, " |\n");
}

static void add_fields(FlowBuf *to, const FlowFormSchema *schema)
{
    const FlowFormInput input = {
        .mode = FLOW_FORM_UNBOUND, .values = flow_value_object(), .initial = flow_value_object()};
    FlowFormView view;
    if (!schema || flow_form_schema_count(schema) == 0 ||
        flow_form_view_now(schema, &input, NULL, flow_value_null(), &view, NULL) != FLOW_OK)
        return;
    size_t count;
    const FlowValue *fields = flow_array_items(get(view.form, "fields"), &count);
    flow_buf_str(to, "| field | type | default | |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < count; i++)
        add_field(to, fields[i]);
    flow_buf_byte(to, '\n');
    flow_form_view_done(&view);
}

void flow_node_type_markdown(const FlowNodeType *type, const FlowFormSchema *schema, FlowBuf *to)
{
    static const char *const kinds[FLOW_NODE_KIND_COUNT] = {
        [FLOW_NODE_PRODUCER] = "producer",
        [FLOW_NODE_BLOCKING] = "blocking",
        [FLOW_NODE_NON_BLOCKING] = "non-blocking",
        [FLOW_NODE_CONDITIONAL] = "conditional",
    };
    flow_buf_printf(to, "*%s, %s%s*\n\n%s\n", kinds[type->kind], flow_pool_name(type->pool),
                    type->flags & FLOW_NODE_SIDE_EFFECTS ? ", works on the world outside" : "",
                    type->summary);
    if (type->description)
        flow_buf_printf(to, "\n%s\n", type->description);
    flow_buf_byte(to, '\n');
    add_fields(to, schema);
    if (type->result)
        flow_buf_printf(to, "Result: %s.\n\n", type->result);
    for (const FlowNodeBranch *branch = type->branches; branch && branch->name; branch++)
        flow_buf_printf(to, "- branch `%s`: %s\n", branch->name, branch->summary);
    if (type->branches)
        flow_buf_byte(to, '\n');
}

/* ---- the example ---- */

FlowValue flow_node_type_example(const FlowNodeType *type)
{
    FlowValue example = flow_value_null();
    if (type->example &&
        flow_json_read(type->example, strlen(type->example), NULL, &example, NULL) != FLOW_OK)
        return flow_value_null();
    return example;
}

FlowValue flow_node_type_example_form(const FlowNodeType *type)
{
    FlowValue example = flow_node_type_example(type), form = flow_value_null();
    size_t count = 0;
    const FlowValue *nodes = flow_array_items(get(example, "nodes"), &count);
    for (size_t i = 0; i < count && flow_value_is_null(form); i++) {
        FlowValue name = get(nodes[i], "type");
        if (flow_value_kind(name) == FLOW_VALUE_STRING && flow_value_text_equals(&name, type->name))
            form = flow_value_ref(get(get(nodes[i], "data"), "form"));
    }
    flow_value_unref(example);
    return flow_value_is_null(form) ? flow_value_object() : form;
}
