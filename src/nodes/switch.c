/*
 * switch.c - any number of ways to go on. The cases decide which branches there are, so their names can't be templates;
 * what they compare with and their conditions are compiled once, at setup.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nodes/common.h"
#include "nodes/nodes.h"
#include "template/template.h"
#include "value/json.h"
#include "value/number.h"

enum { VALUE, CASES };

static const FlowFieldSpec fields[] = {
    [VALUE] = {.name = "value",
               .type = FLOW_FIELD_TEXT,
               .flags = FLOW_FIELD_REQUIRED,
               .help = "What `equals` is compared with, such as {{ data.order.kind }}."},
    /* Literal: the node itself compiles what is a template in here. */
    [CASES] =
        {.name = "cases",
         .type = FLOW_FIELD_JSON,
         .json = FLOW_JSON_KIND_ARRAY,
         .flags = FLOW_FIELD_REQUIRED | FLOW_FIELD_LITERAL,
         .widget = FLOW_WIDGET_TEXTAREA,
         .help =
             "A list of {\"name\": …, \"equals\": …} or {\"name\": …, \"condition\": …}; the first that fits "
             "names the branch."},
};

static const FlowFormSpec form = {.fields = fields, .field_count = FLOW_COUNT(fields)};

typedef struct Case {
    FlowTemplate *condition; /* an expression; NULL: compare */
    FlowTemplate *template;  /* what to compare with; NULL: a constant */
    FlowValue equals;
} Case;

typedef struct Switch {
    Case *cases;
    size_t count;
} Switch;

/* ---- the stored form ---- */

/* The list of cases as a value of yours: an array, or (in a faulty form) something else. */
static FlowValue get_cases(FlowValue form_values)
{
    const FlowValue *cases = flow_object_get(form_values, "cases");
    FlowValue parsed = flow_value_null();
    if (!cases)
        return parsed;
    if (flow_value_kind(*cases) != FLOW_VALUE_STRING)
        return flow_value_ref(*cases);
    if (flow_json_read(flow_value_text(cases), flow_value_length(cases), NULL, &parsed, NULL) != FLOW_OK)
        return flow_value_null();
    return parsed;
}

static FlowStatus bad_case(FlowError *reterr, size_t index, const char *what)
{
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FORM", "cases", "case %zu %s", index, what);
}

static FlowStatus check_case(FlowValue one, size_t index, FlowError *reterr)
{
    static const char *const keys[] = {"name", "equals", "condition"};
    if (flow_value_kind(one) != FLOW_VALUE_OBJECT)
        return bad_case(reterr, index, "must be an object with a name and `equals` or `condition`");
    const FlowValue *name = flow_object_get(one, "name");
    const FlowValue *condition = flow_object_get(one, "condition");
    if (!name || flow_value_kind(*name) != FLOW_VALUE_STRING || flow_value_length(name) == 0)
        return bad_case(reterr, index, "needs a name, which is the branch that it takes");
    if (flow_template_is_template(flow_value_text(name), flow_value_length(name)))
        return bad_case(reterr, index,
                        "has a template as its name, but branches are known before anything runs");
    if (flow_value_text_equals(name, "default"))
        return bad_case(reterr, index, "is named `default`, which is the branch when no case fits");
    if ((condition != NULL) == (flow_object_get(one, "equals") != NULL))
        return bad_case(reterr, index, "needs either `equals` or `condition`");
    if (condition && flow_value_kind(*condition) != FLOW_VALUE_STRING)
        return bad_case(reterr, index, "needs an expression as its condition");
    size_t count;
    const FlowMember *members = flow_object_members(one, &count);
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t k = 0; k < FLOW_COUNT(keys); k++)
            known |= flow_value_text_equals(&members[i].key, keys[k]);
        if (!known)
            return bad_case(reterr, index, "has an unknown key: only name, equals and condition are known");
    }
    return FLOW_OK;
}

static FlowStatus switch_branches(FlowValue form_values, FlowNodeBranches *branches, FlowError *reterr)
{
    FlowValue cases = get_cases(form_values);
    size_t count = 0;
    const FlowValue *items = flow_array_items(cases, &count);
    FlowStatus status = FLOW_OK;
    if (flow_value_kind(cases) != FLOW_VALUE_ARRAY)
        status = flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FORM", "cases",
                                "cases must be a JSON list of {name, equals} or {name, condition}");
    for (size_t i = 0; i < count && status == FLOW_OK; i++) {
        status = check_case(items[i], i, reterr);
        if (status != FLOW_OK)
            break;
        const FlowValue *name = flow_object_get(items[i], "name");
        status = flow_node_branches_add(branches, flow_value_text(name), flow_value_length(name), reterr);
        if (status != FLOW_OK && reterr)
            flow_error_within(reterr, "cases");
    }
    if (status == FLOW_OK)
        status = flow_node_branches_add(branches, "default", strlen("default"), reterr);
    flow_value_unref(cases);
    return status;
}

/* ---- compiled ---- */

static void free_cases(Switch *self)
{
    for (size_t i = 0; i < self->count; i++) {
        flow_template_unref(self->cases[i].condition);
        flow_template_unref(self->cases[i].template);
        flow_value_unref(self->cases[i].equals);
    }
    free(self->cases);
    *self = (Switch){0};
}

static FlowStatus compile_case(Case *to, FlowValue one, size_t index, const FlowTemplateOptions *options,
                               FlowError *reterr)
{
    FlowError error;
    FlowStatus status = FLOW_OK;
    const FlowValue *condition = flow_object_get(one, "condition");
    const FlowValue *equals = flow_object_get(one, "equals");
    if (condition)
        status = flow_expression_compile(flow_value_text(condition), flow_value_length(condition), options,
                                         &to->condition, NULL, &error);
    else if (equals && flow_value_kind(*equals) == FLOW_VALUE_STRING &&
             flow_template_is_template(flow_value_text(equals), flow_value_length(equals)))
        status = flow_template_compile(flow_value_text(equals), flow_value_length(equals), options,
                                       &to->template, NULL, &error);
    else if (equals)
        to->equals = flow_value_ref(*equals);
    return status == FLOW_OK
               ? FLOW_OK
               : flow_error_set(reterr, status, error.reason, "cases", "case %zu: %s", index, error.message);
}

static FlowStatus compile(Switch *self, FlowValue form_values, bool lenient, FlowError *reterr)
{
    const FlowTemplateOptions options = {.strict = !lenient};
    FlowValue cases = get_cases(form_values);
    size_t count = 0;
    const FlowValue *items = flow_array_items(cases, &count);
    FlowStatus status = FLOW_OK;
    if (count > FLOW_NODE_BRANCHES_MAX) /* refused when the workflow was built */
        count = FLOW_NODE_BRANCHES_MAX;
    self->cases = flow_calloc(count + 1, sizeof(*self->cases));
    self->count = count;
    for (size_t i = 0; i < count && status == FLOW_OK; i++)
        status = compile_case(&self->cases[i], items[i], i, &options, reterr);
    flow_value_unref(cases);
    return status;
}

static FlowStatus switch_is_ready(FlowValue form_values, FlowError *reterr)
{
    Switch compiled = {0};
    FlowStatus status = compile(&compiled, form_values, true, reterr);
    free_cases(&compiled);
    return status;
}

static FlowStatus switch_setup(FlowNode *node, FlowError *reterr)
{
    FlowValue cases = flow_value_ref(flow_form_stored(node->form, CASES)), values = flow_value_object();
    FlowStatus status = flow_object_set_take(&values, "cases", cases, reterr);
    if (status == FLOW_OK)
        status = compile(node->memory, values, node->lenient_undefined, reterr);
    flow_value_unref(values);
    return status;
}

static void switch_cleanup(FlowNode *node)
{
    free_cases(node->memory);
}

/* ---- choosing ---- */

/* The value is text: it fits a number that it spells, true and false in any case, and null when it is empty. */
static bool fits(const FlowValue *value, FlowValue equals)
{
    const char *text = flow_value_text(value);
    size_t len = flow_value_length(value);
    int64_t integer;
    double number;
    switch (flow_value_kind(equals)) {
    case FLOW_VALUE_STRING:
        return flow_value_equal(*value, equals);
    case FLOW_VALUE_INT:
    case FLOW_VALUE_FLOAT:
        if (flow_parse_int(text, len, &integer))
            return flow_value_equal_numbers(flow_value_int(integer), equals);
        return flow_parse_double(text, len, &number) &&
               flow_value_equal_numbers(flow_value_float(number), equals);
    case FLOW_VALUE_BOOL:
        return strcasecmp(text, flow_value_get_bool(equals) ? "true" : "false") == 0;
    case FLOW_VALUE_NULL:
        return len == 0 || strcmp(text, "None") == 0;
    default:
        return false;
    }
}

static FlowStatus test_case(const Case *one, const FlowValue *value, const FlowTemplateContext *context,
                            bool *ret_fits, FlowError *reterr)
{
    if (one->condition)
        return flow_expression_test(one->condition, context, ret_fits, NULL, NULL, reterr);
    if (!one->template) {
        *ret_fits = fits(value, one->equals);
        return FLOW_OK;
    }
    FlowValue equals = flow_value_null();
    FlowStatus status = flow_template_eval(one->template, context, &equals, NULL, reterr);
    if (status == FLOW_OK)
        *ret_fits = fits(value, equals);
    flow_value_unref(equals);
    return status;
}

static FlowNodeOutcome switch_start(FlowNodeCall *call)
{
    const Switch *self = call->node->memory;
    FlowValue value = flow_form_values_get(call->form, VALUE);
    for (size_t i = 0; i < self->count; i++) {
        bool is_it = false;
        FlowError error;
        if (test_case(&self->cases[i], &value, call->context, &is_it, &error) != FLOW_OK)
            return flow_node_call_fail(call, error.status, "TEMPLATE_ERROR", "case %zu: %s", i,
                                       error.message);
        if (is_it) {
            call->branch = (uint32_t)i;
            return FLOW_NODE_DONE;
        }
    }
    call->branch = (uint32_t)self->count;
    return FLOW_NODE_DONE;
}

const FlowNodeType flow_node_switch = {
    .name = "switch",
    .label = "Switch",
    .summary = "Goes on by the first of several cases that fits.",
    .description =
        "Each case has a name, which is the branch that it takes (upper and lower case don't count), and "
        "either "
        "`equals`, a value or a template, or `condition`, an expression. When no case fits it is `default`. "
        "The value is text: 5 fits \"5\" and 5.0, true fits \"true\" and \"True\".",
    .result = "nothing: the payload goes on as it came",
    .example =
        "{\"name\": \"shipping\", \"nodes\": ["
        "{\"id\": \"orders\", \"type\": \"json-iterator\", \"data\": {\"form\": {\"items\": [{\"to\": "
        "\"de\", \"kg\": 2}, "
        "{\"to\": \"us\", \"kg\": 40}]}}},"
        "{\"id\": \"way\", \"type\": \"switch\", \"data\": {\"form\": {\"value\": \"{{ data.item.value.to "
        "}}\", \"cases\": "
        "[{\"name\": \"home\", \"equals\": \"de\"}, {\"name\": \"heavy\", \"condition\": "
        "\"data.item.value.kg > "
        "30\"}]}}},"
        "{\"id\": \"truck\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"by truck\"}}},"
        "{\"id\": \"ship\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"by ship\"}}},"
        "{\"id\": \"plane\", \"type\": \"log\", \"data\": {\"form\": {\"message\": \"by plane\"}}}],"
        "\"edges\": [{\"id\": \"e1\", \"source\": \"orders\", \"target\": \"way\"},"
        "{\"id\": \"e2\", \"source\": \"way\", \"target\": \"truck\", \"sourceHandle\": \"home\"},"
        "{\"id\": \"e3\", \"source\": \"way\", \"target\": \"ship\", \"sourceHandle\": \"heavy\"},"
        "{\"id\": \"e4\", \"source\": \"way\", \"target\": \"plane\", \"sourceHandle\": \"default\"}]}",
    .version = 1,
    .kind = FLOW_NODE_CONDITIONAL,
    .pool = FLOW_POOL_ASYNC,
    .flags = FLOW_NODE_OWN_BRANCHES | FLOW_NODE_PURE | FLOW_NODE_ONLY_ADDS,
    .branches_of = switch_branches,
    .form = &form,
    .is_ready = switch_is_ready,
    .instance_size = sizeof(Switch),
    .setup = switch_setup,
    .start = switch_start,
    .cleanup = switch_cleanup,
};
