/* Requests of the contract from path, query and body: what becomes of them, and what is refused where. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/binding.h"
#include "wire/json.h"

static FlowRouter *router;

static int setup(void **state)
{
    (void)state;
    const FlowWirePool *pool = flow_wire_contract();
    router = flow_router_new();
    for (size_t i = 0; i < flow_wire_service_count(pool); i++) {
        const FlowWireService *service = flow_wire_service_at(pool, i);
        for (size_t m = 0; m < service->method_count; m++)
            for (size_t r = 0; r < service->methods[m].http_count; r++)
                if (flow_router_add(router, &service->methods[m], &service->methods[m].http[r], NULL, NULL) !=
                    FLOW_OK)
                    return 1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    router = flow_router_free(router);
    return 0;
}

static FlowStatus bind(const char *verb, const char *target, const char *body, FlowBodyKind kind, size_t len,
                       FlowBuf *to, const FlowWireMessage **ret_type, FlowError *error)
{
    FlowRouteMatch match;
    size_t path_len = strcspn(target, "?");
    if (flow_router_match(router, verb, target, path_len, &match, NULL, error) != FLOW_OK)
        fail_msg("%s %s: %s", verb, target, error->message);
    FlowHttpInput input = {.query = target[path_len] == '?' ? target + path_len + 1 : "",
                           .body = body,
                           .body_len = len,
                           .body_kind = kind,
                           .content_type = "text/csv"};
    *ret_type = match.route->method->request;
    return flow_binding_request(flow_wire_contract(), &match, &input, to, error);
}

static char *json_of(const FlowWireMessage *type, const FlowBuf *bytes)
{
    /* Split messages are merged on the way, as the unpacking does it. */
    FlowError error;
    FlowValue value;
    if (flow_message_to_value(flow_wire_contract(), type, bytes->data, bytes->len, 0, &value, &error) !=
        FLOW_OK)
        fail_msg("%s", error.message);
    char *text = flow_json_text(value, 0);
    flow_value_unref(value);
    return text;
}

typedef struct Row {
    const char *verb, *target, *body, *out;
} Row;

static const Row good[] = {
    {"GET", "/v1/workflows/w1", "", "{\"workflowId\":\"w1\"}"},
    {"GET", "/v1/workflows/a%20b%2Fc", "", "{\"workflowId\":\"a b/c\"}"},
    {"GET", "/v1/workflows/w1?revision=3", "", "{\"workflowId\":\"w1\",\"revision\":\"3\"}"},
    {"GET", "/v1/workflows?pageSize=10&pageToken=a%2Bb+c", "", "{\"pageSize\":10,\"pageToken\":\"a+b c\"}"},
    {"GET", "/v1/workflows?page_size=10&&", "", "{\"pageSize\":10}"},
    {"GET", "/v1/workflows?timeout=5s", "", "{}"},
    {"GET", "/v1/workflows?pageToken", "", "{}"},
    {"GET", "/v1/workflows?pageToken=a=b", "", "{\"pageToken\":\"a=b\"}"},
    {"GET", "/v1/deadLetters?reason=TIMEOUT&all=true&afterTime=2026-01-01T00:00:00Z", "",
     "{\"reason\":\"TIMEOUT\",\"afterTime\":\"2026-01-01T00:00:00Z\",\"all\":true}"},
    {"GET", "/v1/deadLetters?reason=4", "", "{\"reason\":\"TIMEOUT\"}"},
    {"GET", "/v1/deadLetters?reason=99", "", "{\"reason\":99}"},
    {"GET", "/v1/runs/r:watch?afterCursor=7&nodeIds=a&nodeIds=b", "",
     "{\"runId\":\"r\",\"afterCursor\":\"7\",\"nodeIds\":[\"a\",\"b\"]}"},
    {"POST", "/prod/start", "{\"workflowId\":\"w\",\"parameters\":{\"a\":[1]}}",
     "{\"workflowId\":\"w\",\"parameters\":{\"a\":[1]}}"},
    {"POST", "/prod/start", "", "{}"},
    {"POST", "/prod/start?timeout=1s", "{}", "{}"},
    {"POST", "/v1/workflows", "{\"id\":\"w\",\"viewport\":{\"zoom\":1}}",
     "{\"workflow\":{\"id\":\"w\",\"viewport\":{\"zoom\":1}}}"},
    {"PATCH", "/v1/workflows/w?updateMask=name,settings.undefined", "{\"name\":\"n\"}",
     "{\"workflow\":{\"id\":\"w\",\"name\":\"n\"},\"updateMask\":\"name,settings.undefined\"}"},
    {"PATCH", "/v1/workflows/w", "{\"name\":\"n\",\"id\":\"w\"}",
     "{\"workflow\":{\"id\":\"w\",\"name\":\"n\"}}"},
    {"PATCH", "/v1/workflows/w", "{\"id\":null}", "{\"workflow\":{\"id\":\"w\"}}"},
    {"PUT", "/dev/sessions/s/nodes/n/output?workflowId=w", "{\"data\":{\"a\":1}}", NULL},
    {"POST", "/v1/queues/q%2F1:push", "{\"payloads\":[{\"data\":{}}],\"queue\":\"q/1\"}",
     "{\"queue\":\"q/1\",\"payloads\":[{\"data\":{}}]}"},
    {"DELETE", "/v1/workflows/w?force=true", "", NULL},
};

static void requests_are_put_together(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(good); i++) {
        const Row *row = &good[i];
        FlowError error;
        FlowBuf bytes;
        const FlowWireMessage *type;
        flow_buf_init(&bytes, 0);
        if (bind(row->verb, row->target, row->body, FLOW_BODY_JSON, strlen(row->body), &bytes, &type,
                 &error) != FLOW_OK)
            fail_msg("%s %s: %s", row->verb, row->target, error.message);
        char *out = json_of(type, &bytes);
        if (row->out != NULL && strcmp(out, row->out) != 0)
            fail_msg("%s %s:\n%s\nnot %s", row->verb, row->target, out, row->out);
        free(out);
        flow_buf_done(&bytes);
    }
}

typedef struct Refusal {
    const char *verb, *target, *body, *reason, *where;
} Refusal;

static const Refusal bad[] = {
    {"GET", "/v1/workflows?pagesize=1", "", "UNKNOWN_FIELD", "pagesize"},
    {"GET", "/v1/workflows?=1", "", "UNKNOWN_FIELD", ""},
    {"GET", "/v1/workflows?pageSize=1&page_size=1", "", "DUPLICATE_FIELD", "page_size"},
    {"GET", "/v1/workflows?pageSize=1&pageSize=1", "", "DUPLICATE_FIELD", "pageSize"},
    {"GET", "/v1/workflows?pageSize=99999999999", "", "OUT_OF_RANGE", "pageSize"},
    {"GET", "/v1/workflows?pageSize=", "", "OUT_OF_RANGE", "pageSize"},
    {"GET", "/v1/workflows?pageSize=1.5", "", "OUT_OF_RANGE", "pageSize"},
    {"GET", "/v1/workflows?pageToken=%", "", "INVALID_FIELD", "pageToken"},
    {"GET", "/v1/workflows?pageToken=%ff", "", "INVALID_FIELD", "pageToken"},
    {"GET", "/v1/workflows?pageToken=%00", "", "INVALID_FIELD", "pageToken"},
    {"GET", "/v1/workflows/w?workflowId=v", "", "DUPLICATE_FIELD", "workflowId"},
    {"GET", "/v1/workflows", "{}", "INVALID_FIELD", ""},
    {"GET", "/v1/deadLetters?all=1", "", "WRONG_TYPE", "all"},
    {"GET", "/v1/deadLetters?reason=NONE", "", "UNKNOWN_ENUM_VALUE", "reason"},
    {"GET", "/v1/deadLetters?afterTime=now", "", "OUT_OF_RANGE", "afterTime"},
    {"GET", "/v1/deadLetters?afterTime.seconds=1", "", "UNKNOWN_FIELD", "afterTime.seconds"},
    {"POST", "/prod/start?workflowId=w", "{}", "UNKNOWN_FIELD", "workflowId"},
    {"POST", "/prod/start", "{\"workflowID\":\"w\"}", "UNKNOWN_FIELD", "workflowID"},
    {"POST", "/prod/start", "{", "INVALID_JSON", ""},
    {"POST", "/prod/start", "{\"a\":1,\"a\":2}", "DUPLICATE_KEY", ""},
    {"POST", "/prod/start", "{} {}", "INVALID_JSON", ""},
    {"POST", "/prod/start", "{\"workflowId\":\"\\u0000\"}", "INVALID_JSON", ""},
    {"POST", "/prod/start", "{\"workflow\":{\"nodes\":[{},{\"data\":{\"form\":7}}]}}", "INVALID_STRUCT",
     "workflow.nodes[1].data.form"},
    {"POST", "/v1/workflows", "{\"nodes\":7}", "WRONG_TYPE", "workflow.nodes"},
    {"POST", "/v1/workflows?workflow.id=w", "{}", "INVALID_FIELD", "workflow.id"},
    {"PATCH", "/v1/workflows/w", "{\"id\":\"v\"}", "INVALID_FIELD", "workflow.id"},
    {"POST", "/v1/queues/q:push", "{\"queue\":\"other\"}", "INVALID_FIELD", "queue"},
};

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(bad); i++) {
        const Refusal *row = &bad[i];
        FlowError error;
        FlowBuf bytes;
        const FlowWireMessage *type;
        flow_buf_init(&bytes, 0);
        FlowStatus status =
            bind(row->verb, row->target, row->body, FLOW_BODY_JSON, strlen(row->body), &bytes, &type, &error);
        if (status != FLOW_INVALID_ARGUMENT)
            fail_msg("%s %s: %s", row->verb, row->target, flow_status_name(status));
        if (strcmp(error.reason, row->reason) != 0 || strcmp(error.where, row->where) != 0)
            fail_msg("%s %s %s: %s at \"%s\": %s", row->verb, row->target, row->body, error.reason,
                     error.where, error.message);
        flow_buf_done(&bytes);
    }
}

static void bodies_may_be_protobuf(void **state)
{
    (void)state;
    FlowError error;
    FlowBuf bytes;
    const FlowWireMessage *type;
    flow_buf_init(&bytes, 0);
    /* A Workflow { name: "n" } as the body field, the id from the path. */
    assert_int_equal(
        bind("PATCH", "/v1/workflows/w", "\x12\x01n", FLOW_BODY_PROTOBUF, 3, &bytes, &type, &error), FLOW_OK);
    char *out = json_of(type, &bytes);
    assert_string_equal(out, "{\"workflow\":{\"id\":\"w\",\"name\":\"n\"}}");
    free(out);
    flow_buf_clear(&bytes);
    assert_int_equal(bind("POST", "/prod/start", "\x0a\x01w", FLOW_BODY_PROTOBUF, 3, &bytes, &type, &error),
                     FLOW_OK);
    out = json_of(type, &bytes);
    assert_string_equal(out, "{\"workflowId\":\"w\"}");
    free(out);
    flow_buf_done(&bytes);
}

static void a_webhook_takes_any_body(void **state)
{
    (void)state;
    FlowError error;
    FlowBuf bytes;
    const FlowWireMessage *type;
    flow_buf_init(&bytes, 0);
    assert_int_equal(bind("POST", "/webhooks/h1", "a\0b", FLOW_BODY_RAW, 3, &bytes, &type, &error), FLOW_OK);
    char *out = json_of(type, &bytes);
    assert_string_equal(out,
                        "{\"webhookId\":\"h1\",\"body\":{\"contentType\":\"text/csv\",\"data\":\"YQBi\"}}");
    free(out);
    flow_buf_done(&bytes);
}

static void too_many_parameters(void **state)
{
    (void)state;
    FlowError error;
    FlowBuf target, bytes;
    const FlowWireMessage *type;
    flow_buf_init(&target, 0);
    flow_buf_init(&bytes, 0);
    flow_buf_str(&target, "/v1/runs/r:watch?");
    for (int i = 0; i <= FLOW_QUERY_PARAMETERS; i++)
        flow_buf_str(&target, "nodeIds=a&");
    assert_int_equal(bind("GET", flow_buf_text(&target), "", FLOW_BODY_JSON, 0, &bytes, &type, &error),
                     FLOW_INVALID_ARGUMENT);
    flow_buf_done(&target);
    flow_buf_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_put_together), cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(bodies_may_be_protobuf),    cmocka_unit_test(a_webhook_takes_any_body),
        cmocka_unit_test(too_many_parameters),
    };
    return cmocka_run_group_tests_name("binding", tests, setup, teardown);
}
