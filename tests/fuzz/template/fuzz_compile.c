/* Lexer, parser and compiler on any bytes, as a template and as an expression. */
#include <stdint.h>

#include "template/program.h"
#include "template/template.h"

static void compile(const uint8_t *data, size_t size, bool expression)
{
    static const FlowTemplateLimits limits = {.source_bytes = 65536, .memory_bytes = 32 << 20};
    static const FlowTemplateOptions options = {.limits = &limits};
    FlowTemplate *tmpl = NULL;
    FlowTemplateError detail = {0};
    FlowError error;
    FlowStatus status = (expression ? flow_expression_compile : flow_template_compile)(
        (const char *)data, size, &options, &tmpl, &detail, &error);
    if (status != FLOW_OK) {
        if (detail.kind == FLOW_TEMPLATE_NO_ERROR || detail.line == 0 || detail.message[0] == '\0')
            __builtin_trap();
        return;
    }
    FlowBuf text;
    flow_buf_init(&text, 1 << 24);
    flow_template__disassemble(tmpl, &text);
    flow_buf_done(&text);
    for (size_t i = 0; i < flow_template_path_count(tmpl); i++) {
        if (flow_template_path(tmpl, i)->line == 0)
            __builtin_trap();
    }
    flow_template_unref(tmpl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    compile(data, size, false);
    compile(data, size, true);
    return 0;
}
