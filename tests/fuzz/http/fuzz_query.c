/* The first byte chooses a method, then a path and query up to a newline, then a body: nothing crashes, and what is bound
 * passes the pre-scan or is refused there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/binding.h"
#include "wire/prescan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FlowRouter *make_router(void)
{
    const FlowWirePool *pool = flow_wire_contract();
    FlowRouter *router = flow_router_new();
    for (size_t i = 0; i < flow_wire_service_count(pool); i++) {
        const FlowWireService *service = flow_wire_service_at(pool, i);
        for (size_t m = 0; m < service->method_count; m++)
            for (size_t r = 0; r < service->methods[m].http_count; r++)
                if (flow_router_add(router, &service->methods[m], &service->methods[m].http[r], NULL, NULL) !=
                    FLOW_OK)
                    abort();
    }
    return router;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const verbs[] = {"GET", "POST", "PATCH", "PUT", "DELETE"};
    static FlowRouter *router;
    if (router == NULL)
        router = make_router();
    if (size < 2)
        return 0;
    const char *verb = verbs[data[0] % 5];
    const uint8_t *line = memchr(data + 1, '\n', size - 1);
    size_t len = line != NULL ? (size_t)(line - data) - 1 : size - 1;
    char *target = calloc(1, len + 1);
    memcpy(target, data + 1, len);
    size_t path_len = strcspn(target, "?");
    FlowHttpInput input = {.query = target[path_len] == '?' ? target + path_len + 1 : "",
                           .body = line != NULL ? (const char *)line + 1 : "",
                           .body_len = line != NULL ? size - len - 2 : 0,
                           .body_kind = data[0] & 0x80 ? FLOW_BODY_PROTOBUF : FLOW_BODY_JSON};
    FlowRouteMatch match;
    FlowError error;
    FlowBuf bytes;
    flow_buf_init(&bytes, 1 << 20);
    if (flow_router_match(router, verb, target, path_len, &match, NULL, &error) == FLOW_OK &&
        flow_binding_request(flow_wire_contract(), &match, &input, &bytes, &error) == FLOW_OK) {
        static const FlowWireScanLimits limits = FLOW_WIRE_SCAN_LIMITS_DEFAULT;
        FlowWireScan scan;
        FlowStatus status =
            flow_wire_scan(match.route->method->request, bytes.data, bytes.len, &limits, &scan, &error);
        if (status != FLOW_OK && input.body_kind == FLOW_BODY_JSON)
            abort(); /* what we wrote ourselves must be right */
    }
    flow_buf_done(&bytes);
    free(target);
    return 0;
}
