/*
 * flow-conform - the template engine and the form system behind a line protocol: one JSON request per line on
 * standard input, one JSON answer per line on standard output. tests/data/conformance/grade.py speaks it, and
 * so do the tests that compare with Jinja and Django.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform/conform.h"
#include "value/json.h"

static const struct {
    const char *kind;
    FlowValue (*answer)(FlowValue request);
} kinds[] = {
    {"template", flow_conform_template},
    {"field", flow_conform_field},
    {"form", flow_conform_form},
    {"two_phase", flow_conform_two_phase},
};

static FlowValue answer(FlowValue request)
{
    const FlowValue *kind = flow_object_get(request, "kind");
    for (size_t i = 0; kind != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (flow_value_kind(*kind) == FLOW_VALUE_STRING && flow_value_text_equals(kind, kinds[i].kind))
            return kinds[i].answer(request);
    }
    return flow_conform_failure("unimplemented", "this kind of request is not known");
}

int main(void)
{
    static const FlowJsonLimits limits = {.depth = FLOW_VALUE_MAX_DEPTH, .flags = FLOW_JSON_READ_DUPLICATES};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        FlowValue request = flow_value_null(), reply;
        FlowError error;
        if (flow_json_read(line, (size_t)length, &limits, &request, &error) == FLOW_OK)
            reply = answer(request);
        else
            reply = flow_conform_failure("protocol", error.message);
        char *text = flow_json_text(reply, 0);
        puts(text != NULL ? text : "{\"error\":\"protocol\"}");
        fflush(stdout);
        free(text);
        flow_value_unref(reply);
        flow_value_unref(request);
    }
    free(line);
    return 0;
}
