#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "flowengine/v1/production_service.pb-c.h"
#include "flowengine/v1/worker_service.pb-c.h"
#include "flowengine/v1/workflow_service.pb-c.h"
#include "rpc/door.h"

#define BYTES(text) text, sizeof(text) - 1

/* A door without a wire: it notes what it was told. */
typedef struct Fake {
    FlowRpcCall base;
    const char *request_id; /* metadata x-request-id; NULL: none */
    unsigned sends, receives, finishes, aborts, frees;
    bool room;
    FlowStatus status;
    char reason[64], message[256];
    char reply[64]; /* packed */
    size_t reply_len;
} Fake;

static Fake *of(const FlowRpcCall *call)
{
    return (Fake *)call;
}

static bool fake_send(FlowRpcCall *call, const ProtobufCMessage *message)
{
    (void)message;
    of(call)->sends++;
    return of(call)->room;
}

static bool fake_ready(const FlowRpcCall *call)
{
    return of(call)->room;
}

static void note(Fake *self, const FlowRpcDetails *details)
{
    self->status = details != NULL ? details->status : FLOW_OK;
    snprintf(self->reason, sizeof self->reason, "%s", details != NULL ? details->reason : "");
    snprintf(self->message, sizeof self->message, "%.250s", details != NULL ? details->message : "");
}

static void fake_finish(FlowRpcCall *call, const ProtobufCMessage *message, const FlowRpcDetails *details)
{
    Fake *self = of(call);
    self->finishes++;
    if (self->aborts == 0)
        note(self, details);
    if (message != NULL) {
        self->reply_len = protobuf_c_message_get_packed_size(message);
        assert_in_range(self->reply_len, 0, sizeof self->reply);
        protobuf_c_message_pack(message, (uint8_t *)self->reply);
    }
}

static void fake_abort(FlowRpcCall *call, const FlowRpcDetails *details)
{
    of(call)->aborts++;
    note(of(call), details);
}

static void fake_receive(FlowRpcCall *call)
{
    of(call)->receives++;
}

static bool fake_metadata_at(const FlowRpcCall *call, size_t index, const char **ret_key, size_t *ret_key_len,
                             const char **ret_value, size_t *ret_value_len)
{
    if (index != 0 || of(call)->request_id == NULL)
        return false;
    *ret_key = "x-request-id";
    *ret_key_len = strlen(*ret_key);
    *ret_value = of(call)->request_id;
    *ret_value_len = strlen(*ret_value);
    return true;
}

static void fake_peer(const FlowRpcCall *call, FlowRpcPeer *ret_peer)
{
    (void)call;
    snprintf(ret_peer->address, sizeof ret_peer->address, "fake:");
}

static void fake_free(FlowRpcCall *call)
{
    of(call)->frees++;
}

static const FlowRpcDoor door = {.name = "fake",
                                 .send = fake_send,
                                 .ready = fake_ready,
                                 .finish = fake_finish,
                                 .abort = fake_abort,
                                 .receive = fake_receive,
                                 .metadata_at = fake_metadata_at,
                                 .peer = fake_peer,
                                 .free = fake_free};

/* What the handlers below note. */
static struct {
    char text[64];
    unsigned cancels, drains, readies, messages, half_closes, dones;
    FlowRpcCall *call;
} seen;

static void get_workflow(FlowRpcCall *call, void *service)
{
    const Flowengine__V1__GetWorkflowRequest *request = flow_rpc_request(call);
    Flowengine__V1__GetWorkflowResponse response = FLOWENGINE__V1__GET_WORKFLOW_RESPONSE__INIT;
    Flowengine__V1__Workflow workflow = FLOWENGINE__V1__WORKFLOW__INIT;
    assert_string_equal(service, "service");
    snprintf(seen.text, sizeof seen.text, "%s", request->workflow_id);
    workflow.id = request->workflow_id;
    response.workflow = &workflow;
    flow_rpc_reply(call, &response.base);
}

static void delete_workflow(FlowRpcCall *call, void *service)
{
    FlowError error;
    (void)service;
    flow_error_set(&error, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND", NULL, "no such workflow");
    flow_rpc_fail(call, &error);
}

static void list_workflows(FlowRpcCall *call, void *service)
{
    (void)service;
    seen.call = call; /* answers later */
}

static void on_cancel(FlowRpcCall *call, void *data)
{
    assert_ptr_equal(data, &seen);
    seen.cancels++;
    flow_rpc_end(call, NULL);
}

static void on_drain(FlowRpcCall *call, void *data)
{
    (void)call, (void)data;
    seen.drains++;
}

static void on_ready(FlowRpcCall *call, void *data)
{
    (void)call, (void)data;
    seen.readies++;
}

static void on_message(FlowRpcCall *call, const void *message, void *data)
{
    const Flowengine__V1__AttachRequest *request = message;
    (void)data;
    seen.messages++;
    if (request->message_case == FLOWENGINE__V1__ATTACH_REQUEST__MESSAGE_HELLO)
        snprintf(seen.text, sizeof seen.text, "%s", request->hello->worker_id);
    flow_rpc_receive(call);
}

static void on_half_close(FlowRpcCall *call, void *data)
{
    (void)data;
    seen.half_closes++;
    flow_rpc_end(call, NULL);
}

static void on_done(void *data)
{
    assert_ptr_equal(data, &seen);
    seen.dones++;
}

static const FlowRpcCallbacks callbacks = {on_cancel, on_drain, on_ready, on_message, on_half_close, on_done};

static void attach(FlowRpcCall *call, void *service)
{
    (void)service;
    seen.call = call;
    flow_rpc_watch(call, &callbacks, &seen);
    flow_rpc_receive(call);
}

static void watch_run(FlowRpcCall *call, void *service)
{
    (void)service;
    seen.call = call;
    flow_rpc_watch(call, &callbacks, &seen);
}

static const FlowRpcBinding bindings[] = {
    {"flowengine.v1.WorkflowService/GetWorkflow", get_workflow},
    {"flowengine.v1.WorkflowService/DeleteWorkflow", delete_workflow},
    {"flowengine.v1.WorkflowService/ListWorkflows", list_workflows},
    {"flowengine.v1.ProductionService/WatchRun", watch_run},
    {"flowengine.v1.WorkerService/Attach", attach},
};

static FlowRpcServer *server;

static int set_up(void **state)
{
    FlowError error;
    FlowRpcLimits limits = FLOW_RPC_LIMITS_DEFAULT;
    (void)state;
    memset(&seen, 0, sizeof seen);
    limits.calls = 2;
    limits.request_bytes = 1000;
    limits.total_memory = 20000;
    server = flow_rpc_server_new(flow_wire_contract(), &limits);
    assert_int_equal(flow_rpc_server_bind(server, bindings, FLOW_COUNT(bindings), "service", &error),
                     FLOW_OK);
    return 0;
}

static int tear_down(void **state)
{
    FlowRpcCounts counts;
    (void)state;
    flow_rpc_server_counts(server, &counts);
    assert_int_equal(counts.calls_in_flight, 0);
    assert_int_equal(counts.streams_in_flight, 0);
    server = flow_rpc_server_free(server);
    return 0;
}

static void begin(Fake *fake, const char *method, bool expected)
{
    memset(fake, 0, sizeof *fake);
    fake->room = true;
    flow_rpc_call_new(&fake->base, &door, server);
    flow_rpc_call_init(&fake->base, FLOW_RPC_NO_DEADLINE);
    assert_int_equal(flow_rpc_call_begin(&fake->base, method, strlen(method)), expected);
}

static void over(Fake *fake)
{
    assert_int_equal(fake->finishes, 1);
    flow_rpc_call_over(&fake->base);
    flow_rpc_unref(&fake->base);
    assert_int_equal(fake->frees, 1);
    flow_rpc_call_done(&fake->base);
}

static void a_call_is_answered(void **state)
{
    Fake fake;
    (void)state;
    begin(&fake, "flowengine.v1.WorkflowService/GetWorkflow", true);
    flow_rpc_call_start(&fake.base, BYTES("\x0a\x02w1"));
    assert_string_equal(seen.text, "w1");
    assert_int_equal(fake.status, FLOW_OK);
    assert_int_equal(fake.reply_len, 6);
    assert_memory_equal(fake.reply, "\x0a\x04\x0a\x02w1", 6);
    over(&fake);
    FlowRpcCounts counts;
    flow_rpc_server_counts(server, &counts);
    assert_int_equal(counts.started, 1);
    assert_int_equal(counts.ended[FLOW_OK], 1);
}

static void a_failure_has_a_reason(void **state)
{
    Fake fake;
    (void)state;
    begin(&fake, "flowengine.v1.WorkflowService/DeleteWorkflow", true);
    flow_rpc_call_start(&fake.base, BYTES("\x0a\x02w1"));
    assert_int_equal(fake.status, FLOW_NOT_FOUND);
    assert_string_equal(fake.reason, "WORKFLOW_NOT_FOUND");
    over(&fake);
}

static void what_cannot_be_called(void **state)
{
    static const struct {
        const char *method, *bytes;
        size_t len;
        FlowStatus status;
        const char *reason, *says;
    } rows[] = {
        {"flowengine.v1.WorkflowService/GetWorkflo", NULL, 0, FLOW_UNIMPLEMENTED, "NOT_IMPLEMENTED",
         "did you mean \"GetWorkflow\""},
        {"nonsense", NULL, 0, FLOW_UNIMPLEMENTED, "NOT_IMPLEMENTED", "nonsense"},
        {"", NULL, 0, FLOW_UNIMPLEMENTED, "NOT_IMPLEMENTED", "no method"},
        {"flowengine.v1.QueueService/PauseQueue", NULL, 0, FLOW_UNIMPLEMENTED, "NOT_IMPLEMENTED",
         "flowengine.v1.QueueService/PauseQueue is part of the contract"},
        {"flowengine.v1.WorkflowService/GetWorkflow", BYTES("\x0a\x05w1"), FLOW_INVALID_ARGUMENT,
         "MALFORMED_MESSAGE", "torn"},
        {"flowengine.v1.WorkflowService/GetWorkflow", BYTES(""), FLOW_INVALID_ARGUMENT, "REQUIRED_FIELD",
         "workflow_id"},
        {"flowengine.v1.WorkflowService/GetWorkflow", BYTES("\x0a\x00"), FLOW_INVALID_ARGUMENT,
         "REQUIRED_FIELD", "workflow_id"},
    };
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        Fake fake;
        begin(&fake, rows[i].method, rows[i].bytes != NULL);
        if (rows[i].bytes != NULL)
            flow_rpc_call_start(&fake.base, rows[i].bytes, rows[i].len);
        assert_int_equal(fake.status, rows[i].status);
        assert_string_equal(fake.reason, rows[i].reason);
        if (strstr(fake.message, rows[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", fake.message, rows[i].says);
        over(&fake);
    }
}

static void too_much_is_shed(void **state)
{
    Fake first, second, third;
    (void)state;
    begin(&first, "flowengine.v1.WorkflowService/ListWorkflows", true);
    begin(&second, "flowengine.v1.WorkflowService/ListWorkflows", true);
    begin(&third, "flowengine.v1.WorkflowService/ListWorkflows", false);
    assert_int_equal(third.status, FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(third.reason, "LIMIT_REACHED");
    over(&third);
    flow_rpc_call_start(&first.base, BYTES(""));
    flow_rpc_end(seen.call, NULL); /* no answer where there must be one */
    assert_int_equal(first.status, FLOW_INTERNAL);
    over(&first);
    begin(&third, "flowengine.v1.WorkflowService/GetWorkflow", true);
    flow_rpc_call_start(&third.base, BYTES("\x0a\x02w1"));
    assert_int_equal(third.status, FLOW_OK);
    over(&third);
    flow_rpc_call_refuse(&second.base, FLOW_CANCELLED, NULL, "gone");
    over(&second);
    FlowRpcCounts counts;
    flow_rpc_server_counts(server, &counts);
    assert_int_equal(counts.shed, 1);
    assert_int_equal(counts.started, 4);
}

static void messages_are_bounded(void **state)
{
    Fake fake;
    char large[1001];
    (void)state;
    memset(large, 'x', sizeof large);
    begin(&fake, "flowengine.v1.WorkflowService/GetWorkflow", true);
    flow_rpc_call_start(&fake.base, large, sizeof large);
    assert_int_equal(fake.status, FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(fake.reason, "MESSAGE_TOO_LARGE");
    over(&fake);
    /* 900 bytes of fields that nobody knows are kept, and take more than all calls together may. */
    for (size_t i = 0; i < 900; i += 2)
        memcpy(large + i, "\x22\x00", 2);
    begin(&fake, "flowengine.v1.WorkflowService/ListWorkflows", true);
    flow_rpc_call_start(&fake.base, large, 900);
    assert_int_equal(fake.status, FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(fake.reason, "LIMIT_REACHED");
    over(&fake);
}

static void request_ids(void **state)
{
    Fake fake, next;
    (void)state;
    begin(&fake, "nonsense", false);
    begin(&next, "nonsense", false);
    assert_string_not_equal(flow_rpc_request_id(&fake.base), "");
    assert_string_not_equal(flow_rpc_request_id(&fake.base), flow_rpc_request_id(&next.base));
    over(&fake);
    over(&next);
    static const struct {
        const char *given;
        bool taken;
    } rows[] = {{"abc-123_x.y", true}, {"", false}, {"with space", false}, {"a\nb", false}};
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        memset(&fake, 0, sizeof fake);
        fake.request_id = rows[i].given;
        flow_rpc_call_new(&fake.base, &door, server);
        flow_rpc_call_init(&fake.base, FLOW_RPC_NO_DEADLINE);
        assert_int_equal(strcmp(flow_rpc_request_id(&fake.base), rows[i].given) == 0, rows[i].taken);
        flow_rpc_call_done(&fake.base);
    }
}

static void a_stream_with_messages_both_ways(void **state)
{
    Fake fake;
    Flowengine__V1__AttachResponse response = FLOWENGINE__V1__ATTACH_RESPONSE__INIT;
    (void)state;
    begin(&fake, "flowengine.v1.WorkerService/Attach", true);
    flow_rpc_call_start_stream(&fake.base);
    assert_int_equal(fake.receives, 1);
    flow_rpc_call_message(&fake.base, BYTES("\x0a\x04\x0a\x02id"));
    assert_string_equal(seen.text, "id");
    assert_int_equal(fake.receives, 2);
    assert_true(flow_rpc_send(seen.call, &response.base));
    fake.room = false;
    assert_false(flow_rpc_send(seen.call, &response.base));
    assert_false(flow_rpc_ready(seen.call));
    flow_rpc_call_ready(&fake.base);
    assert_int_equal(seen.readies, 1);
    flow_rpc_call_drain(&fake.base);
    assert_int_equal(seen.drains, 1);
    flow_rpc_call_half_close(&fake.base);
    assert_int_equal(seen.half_closes, 1);
    assert_int_equal(fake.status, FLOW_OK);
    /* Ended: nothing of this reaches the handler any more. */
    flow_rpc_call_half_close(&fake.base);
    flow_rpc_call_ready(&fake.base);
    flow_rpc_call_cancel(&fake.base);
    flow_rpc_call_drain(&fake.base);
    assert_int_equal(seen.cancels + seen.half_closes + seen.readies + seen.drains, 3);
    assert_int_equal(seen.dones, 0);
    over(&fake);
    assert_int_equal(seen.dones, 1);
}

static void a_bad_message_ends_the_stream(void **state)
{
    Fake fake;
    (void)state;
    begin(&fake, "flowengine.v1.WorkerService/Attach", true);
    flow_rpc_call_start_stream(&fake.base);
    flow_rpc_call_message(&fake.base, BYTES("\x0a\x04\x0a\x02\xff\xff"));
    assert_int_equal(seen.messages, 0);
    assert_int_equal(fake.aborts, 1);
    assert_int_equal(fake.status, FLOW_INVALID_ARGUMENT);
    flow_rpc_call_cancel(&fake.base); /* as the door does once the client's side is over */
    assert_int_equal(seen.cancels, 1);
    over(&fake);
    FlowRpcCounts counts;
    flow_rpc_server_counts(server, &counts);
    assert_int_equal(counts.ended[FLOW_INVALID_ARGUMENT], 1);
}

static void a_cancelled_stream(void **state)
{
    Fake fake;
    Flowengine__V1__WatchRunResponse response = FLOWENGINE__V1__WATCH_RUN_RESPONSE__INIT;
    (void)state;
    begin(&fake, "flowengine.v1.ProductionService/WatchRun", true);
    flow_rpc_call_start(&fake.base, BYTES("\x0a\x01r"));
    FlowRpcCall *held = flow_rpc_ref(seen.call);
    assert_true(flow_rpc_send(seen.call, &response.base));
    assert_false(flow_rpc_cancelled(held));
    flow_rpc_call_cancel(&fake.base);
    flow_rpc_call_cancel(&fake.base);
    assert_int_equal(seen.cancels, 1);
    assert_true(flow_rpc_cancelled(held));
    assert_int_equal(fake.sends, 1);
    flow_rpc_call_over(&fake.base);
    flow_rpc_unref(&fake.base);
    assert_int_equal(fake.frees, 0);
    assert_string_not_equal(flow_rpc_request_id(held), "");
    flow_rpc_unref(held);
    assert_int_equal(fake.frees, 1);
    flow_rpc_call_done(&fake.base);
    FlowRpcCounts counts;
    flow_rpc_server_counts(server, &counts);
    assert_int_equal(counts.ended[FLOW_CANCELLED], 1);
}

static void reply_metadata(void **state)
{
    Fake fake;
    char large[5000];
    const char *key, *value;
    size_t at = 0, key_len, value_len;
    (void)state;
    memset(large, 'x', sizeof large);
    begin(&fake, "flowengine.v1.WorkflowService/ListWorkflows", true);
    flow_rpc_call_start(&fake.base, BYTES(""));
    assert_true(flow_rpc_set_metadata(&fake.base, "x-http-code", "201", 3));
    assert_true(flow_rpc_set_metadata(&fake.base, "x-raw-bin", "\0\xff", 2));
    assert_false(flow_rpc_set_metadata(&fake.base, "x-text", "\xff", 1));
    assert_false(flow_rpc_set_metadata(&fake.base, "X-Upper", "v", 1));
    assert_false(flow_rpc_set_metadata(&fake.base, "grpc-status", "0", 1));
    assert_false(flow_rpc_set_metadata(&fake.base, ":path", "/", 1));
    assert_false(flow_rpc_set_metadata(&fake.base, "x-request-id", "mine", 4));
    assert_false(flow_rpc_set_metadata(&fake.base, "", "v", 1));
    assert_false(flow_rpc_set_metadata(&fake.base, "x-large", large, sizeof large));
    assert_true(flow_rpc_call_reply_metadata(&fake.base, &at, &key, &key_len, &value, &value_len));
    assert_int_equal(key_len, 11);
    assert_memory_equal(value, "201", 3);
    assert_true(flow_rpc_call_reply_metadata(&fake.base, &at, &key, &key_len, &value, &value_len));
    assert_int_equal(value_len, 2);
    assert_false(flow_rpc_call_reply_metadata(&fake.base, &at, &key, &key_len, &value, &value_len));
    Flowengine__V1__ListWorkflowsResponse response = FLOWENGINE__V1__LIST_WORKFLOWS_RESPONSE__INIT;
    flow_rpc_reply(seen.call, &response.base);
    assert_false(flow_rpc_set_metadata(&fake.base, "x-late", "v", 1));
    over(&fake);
}

static void binding_is_checked(void **state)
{
    static const FlowRpcBinding unknown[] = {{"flowengine.v1.WorkflowService/Nothing", get_workflow}};
    FlowError error;
    (void)state;
    assert_int_equal(flow_rpc_server_bind(server, unknown, 1, NULL, &error), FLOW_INTERNAL);
    assert_int_equal(flow_rpc_server_bind(server, bindings, 1, NULL, &error), FLOW_INTERNAL);
    assert_non_null(strstr(error.message, "GetWorkflow"));
    assert_null(flow_rpc_method_find(server, "x", 1));
    const FlowRpcMethod *method =
        flow_rpc_method_find(server, bindings[0].method, strlen(bindings[0].method));
    assert_string_equal(method->wire->name, "GetWorkflow");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_answered),
        TEST(a_failure_has_a_reason),
        TEST(what_cannot_be_called),
        TEST(too_much_is_shed),
        TEST(messages_are_bounded),
        TEST(request_ids),
        TEST(a_stream_with_messages_both_ways),
        TEST(a_bad_message_ends_the_stream),
        TEST(a_cancelled_stream),
        TEST(reply_metadata),
        TEST(binding_is_checked),
    };
    return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
