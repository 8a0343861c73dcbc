/*
 * string_iterator_producer.c - gives the parts of a text one by one. Its durable state is how many it has given; where
 * in the text that is, it remembers as long as the text stays the same.
 */
#include <string.h>

#include "base/utf8.h"
#include "nodes/common.h"
#include "nodes/nodes.h"

enum { DATA_CONTENT, SEPARATOR_TYPE, CUSTOM_SEPARATOR };

static bool custom_has_separator(const FlowFormValues *values, FlowFormErrors *errors)
{
    (void)errors;
    return !flow_form_values_is(values, SEPARATOR_TYPE, "custom") ||
           flow_form_values_given(values, CUSTOM_SEPARATOR);
}

static const FlowChoice separators[] = {
    {"newline", "New line", NULL}, {"comma", "Comma", NULL}, {"custom", "Custom", NULL}, {NULL, NULL, NULL}};

static const FlowFieldSpec fields[] = {
    [DATA_CONTENT] = {.name = "data_content",
                      .type = FLOW_FIELD_TEXT,
                      .flags = FLOW_FIELD_REQUIRED,
                      .widget = FLOW_WIDGET_TEXTAREA,
                      .help = "The text that is taken apart."},
    [SEPARATOR_TYPE] = {.name = "separator_type",
                        .type = FLOW_FIELD_CHOICE,
                        .flags = FLOW_FIELD_REQUIRED,
                        .choices = separators,
                        .initial = FLOW_LITERAL_TEXT("newline"),
                        .help = "What stands between two items."},
    [CUSTOM_SEPARATOR] = {.name = "custom_separator",
                          .type = FLOW_FIELD_TEXT,
                          .flags = FLOW_FIELD_KEEP_SPACE,
                          .help = "With the separator type `custom`: any text, white space included."},
};

static const FlowFormRule rules[] = {
    {.kind = FLOW_RULE_CHECK,
     .fields = {"separator_type", "custom_separator"},
     .check = custom_has_separator,
     .target = "custom_separator",
     .message = "Enter the separator, or choose another separator type."},
};

static const FlowFormSpec form = {
    .fields = fields, .field_count = FLOW_COUNT(fields), .rules = rules, .rule_count = FLOW_COUNT(rules)};

typedef struct Iterator {
    int64_t given;
    /* Where to go on, good for this text and separator only. */
    FlowValue content, separator;
    size_t offset;
    int64_t given_before_offset;
} Iterator;

static FlowStatus iterator_setup(FlowNode *node, FlowError *reterr)
{
    (void)reterr;
    Iterator *self = node->memory;
    if (flow_value_kind(node->state) == FLOW_VALUE_INT)
        self->given = flow_value_get_int(node->state);
    return FLOW_OK;
}

static void iterator_cleanup(FlowNode *node)
{
    Iterator *self = node->memory;
    flow_value_clear(&self->content);
    flow_value_clear(&self->separator);
}

/* What Python's str.strip() takes away. */
static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static void trim(const char **text, size_t *len)
{
    size_t size;
    while (*len && is_space(flow_utf8_decode(*text, *len, &size))) {
        *text += size;
        *len -= size;
    }
    while (*len) {
        size_t last = *len - 1;
        while (last && ((unsigned char)(*text)[last] & 0xc0) == 0x80)
            last--;
        if (!is_space(flow_utf8_decode(*text + last, *len - last, &size)))
            break;
        *len = last;
    }
}

/* The next item that isn't empty, from *offset on; false at the end of the text. */
static bool next_item(const char *text, size_t len, const char *separator, size_t separator_len,
                      size_t *offset, const char **ret_item, size_t *ret_item_len)
{
    while (*offset <= len) {
        const char *from = text + *offset;
        size_t rest = len - *offset;
        const char *end = memmem(from, rest, separator, separator_len);
        size_t item_len = end ? (size_t)(end - from) : rest;
        *offset += item_len + separator_len;
        trim(&from, &item_len);
        if (item_len) {
            *ret_item = from;
            *ret_item_len = item_len;
            return true;
        }
    }
    return false;
}

static bool same(FlowValue a, FlowValue b)
{
    return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

static FlowNodeOutcome iterator_start(FlowNodeCall *call)
{
    Iterator *self = call->node->memory;
    FlowValue content = flow_form_values_get(call->form, DATA_CONTENT);
    FlowValue custom = flow_form_values_get(call->form, CUSTOM_SEPARATOR);
    const char *separator = "\n";
    if (flow_form_values_is(call->form, SEPARATOR_TYPE, "comma"))
        separator = ",";
    size_t separator_len = 1;
    if (flow_form_values_is(call->form, SEPARATOR_TYPE, "custom"))
        separator = flow_form_values_text(call->form, CUSTOM_SEPARATOR, &separator_len);
    size_t len;
    const char *text = flow_form_values_text(call->form, DATA_CONTENT, &len);

    if (!same(content, self->content) || !same(custom, self->separator)) {
        flow_value_assign_take(&self->content, flow_value_ref(content));
        flow_value_assign_take(&self->separator, flow_value_ref(custom));
        self->offset = 0;
        self->given_before_offset = 0;
    }
    const char *item = NULL;
    size_t item_len = 0;
    do {
        if (!next_item(text, len, separator, separator_len, &self->offset, &item, &item_len))
            return FLOW_NODE_COMPLETED;
    } while (self->given_before_offset++ < self->given);
    self->given++;
    flow_node_call_state_take(call, flow_value_int(self->given));
    const FlowMember members[] = {
        flow_nodes__member("value", flow_value_stringn(item, item_len)),
        flow_nodes__member("iteration_index", flow_value_int(self->given)),
    };
    return flow_nodes__result_take(call, members, FLOW_COUNT(members));
}

const FlowNodeType flow_node_string_iterator_producer = {
    .name = "string-iterator-producer",
    .label = "String iterator",
    .summary = "Takes a text apart and gives one payload per item.",
    .description =
        "Items are trimmed, empty ones skipped. Behind the last item the producer is completed. After a "
        "restart of the server it goes on behind the last item that was settled.",
    .result = "string_iterator: {value, iteration_index}; iteration_index counts from 1",
    .example = "{\"name\": \"names\", \"nodes\": ["
               "{\"id\": \"names\", \"type\": \"string-iterator-producer\", \"data\": {\"form\": "
               "{\"data_content\": \"ada, "
               "grace, linus\", \"separator_type\": \"comma\"}}},"
               "{\"id\": \"greet\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"Hello {{ "
               "data.string_iterator.value | title }}\"}}}],"
               "\"edges\": [{\"id\": \"e1\", \"source\": \"names\", \"target\": \"greet\"}]}",
    .version = 1,
    .kind = FLOW_NODE_PRODUCER,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_ONLY_ADDS,
    .output_key = "string_iterator",
    .form = &form,
    .instance_size = sizeof(Iterator),
    .setup = iterator_setup,
    .start = iterator_start,
    .cleanup = iterator_cleanup,
};
