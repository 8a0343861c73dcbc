/* The first line is a template, the rest a path: nothing crashes, and what a template matches it can take apart. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/router.h"
#include "http/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FlowWireField fields[3];
    static FlowWireMessage message = {.full_name = "t.M", .name = "M", .fields = fields, .field_count = 3};
    static const char *const names[] = {"a", "b", "c"};
    for (uint32_t i = 0; i < 3; i++)
        fields[i] = (FlowWireField){.name = names[i],
                                    .json_name = names[i],
                                    .number = i + 1,
                                    .type = FLOW_WIRE_STRING,
                                    .owner = &message};
    FlowWireMethod method = {.full_name = "t.S/M", .name = "M", .request = &message, .response = &message};
    const uint8_t *line = memchr(data, '\n', size);
    size_t len = line != NULL ? (size_t)(line - data) : size;
    char *text = calloc(1, len + 1);
    memcpy(text, data, len);
    FlowRouter *router = flow_router_new();
    FlowWireHttpRule rule = {"GET", text, "", ""}, fixed = {"GET", "/a/{b=**}:c", "", ""};
    FlowError error;
    (void)flow_router_add(router, &method, &rule, NULL, &error);
    (void)flow_router_add(router, &method, &fixed, NULL, &error);
    FlowRouteMatch match;
    FlowBuf allow;
    flow_buf_init(&allow, 0);
    if (line != NULL && flow_router_match(router, "GET", (const char *)line + 1, size - len - 1, &match,
                                          &allow, &error) == FLOW_OK) {
        for (size_t i = 0; i < match.route->variable_count; i++) {
            FlowBuf value;
            flow_buf_init(&value, 0);
            (void)flow_route_variable_text(&match, &match.route->variables[i], &value, &error);
            flow_buf_done(&value);
        }
    }
    flow_buf_done(&allow);
    flow_router_free(router);
    free(text);
    return 0;
}
