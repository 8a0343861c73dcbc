/*
 * A template and, behind a NUL, its context as JSON (an object of top-level names); without one a context of
 * all kinds of values. Rendered leniently and strictly, and evaluated; the text must be UTF-8 each time.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "template/template.h"
#include "value/json.h"

enum { MOST_VARS = 16 };

static const char usual_context[] =
    "{\"data\":{\"name\":\"Zo\\u00eb\",\"n\":42,\"f\":2.5,\"big\":9223372036854775807,\"yes\":true,\"none\":"
    "null,"
    "\"list\":[3,1,2,\"a\",null,[1,2]],\"rows\":[{\"k\":\"b\",\"v\":1},{\"k\":\"A\",\"v\":2}],\"empty\":{},"
    "\"text\":\"<b>it's "
    "\\\"quoted\\\"</b>\\nline\",\"when\":\"2026-11-23T20:36:31Z\"},\"x\":[1,2,3],\"s\":\"a,b,c\"}";

static void render(const char *source, size_t len, bool strict, const FlowTemplateVar *vars, size_t count)
{
    static const FlowTemplateLimits limits = {.source_bytes = 65536,
                                              .steps = 200000,
                                              .time_ns = 3 * FLOW_NS_PER_S,
                                              .memory_bytes = 16 << 20,
                                              .output_bytes = 1 << 20,
                                              .value_bytes = 1 << 20,
                                              .value_items = 50000};
    FlowTemplateOptions options = {.strict = strict, .limits = &limits};
    FlowTemplateContext context = {.vars = vars, .var_count = count};
    FlowTemplate *tmpl = NULL;
    FlowTemplateError detail = {0};
    FlowError error;
    FlowValue value;
    FlowBuf out;
    if (flow_template_compile(source, len, &options, &tmpl, NULL, NULL) != FLOW_OK)
        return;
    flow_buf_init(&out, 0);
    if (flow_template_render(tmpl, &context, &out, &detail, &error) != FLOW_OK) {
        if (detail.kind == FLOW_TEMPLATE_NO_ERROR || out.len != 0 ||
            !flow_utf8_valid(error.message, strlen(error.message)))
            __builtin_trap();
    } else if (!flow_utf8_valid(out.data, out.len)) {
        __builtin_trap();
    }
    flow_buf_done(&out);
    if (flow_template_eval(tmpl, &context, &value, NULL, NULL) == FLOW_OK)
        flow_value_unref(value);
    flow_template_unref(tmpl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, '\0', size);
    size_t len = nul != NULL ? (size_t)(nul - data) : size;
    FlowValue all = flow_value_null();
    bool given =
        nul != NULL && flow_json_read((const char *)nul + 1, size - len - 1, NULL, &all, NULL) == FLOW_OK;
    if (!given && flow_json_read(usual_context, sizeof usual_context - 1, NULL, &all, NULL) != FLOW_OK)
        abort();
    FlowTemplateVar vars[MOST_VARS];
    size_t count;
    const FlowMember *members = flow_object_members(all, &count);
    if (count > MOST_VARS)
        count = MOST_VARS;
    for (size_t i = 0; i < count; i++)
        vars[i] = (FlowTemplateVar){flow_value_text(&members[i].key), members[i].value};
    render((const char *)data, len, false, vars, count);
    render((const char *)data, len, true, vars, count);
    flow_value_unref(all);
    return 0;
}
