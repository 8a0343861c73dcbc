#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client.h"
#include "flowengine/v1/production_service.pb-c.h"
#include "flowengine/v1/worker_service.pb-c.h"
#include "flowengine/v1/workflow_service.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/health.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection.h"
#include "grpc/server.h"

#define BYTES(text) text, sizeof(text) - 1
#define GET         "/flowengine.v1.WorkflowService/GetWorkflow"
#define LIST        "/flowengine.v1.WorkflowService/ListWorkflows"
#define WATCH       "/flowengine.v1.ProductionService/WatchRun"
#define ATTACH      "/flowengine.v1.WorkerService/Attach"

enum { MANY = 20000 };

/* ---- a thread that answers what it is given, as an engine would ---- */

typedef struct Later {
    struct Later *next;
    FlowRpcCall *call;
} Later;

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    Later *first;
    bool stop;
} worker = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void reply_id(FlowRpcCall *call)
{
    const Flowengine__V1__GetWorkflowRequest *request = flow_rpc_request(call);
    Flowengine__V1__GetWorkflowResponse response = FLOWENGINE__V1__GET_WORKFLOW_RESPONSE__INIT;
    Flowengine__V1__Workflow workflow = FLOWENGINE__V1__WORKFLOW__INIT;
    workflow.id = request->workflow_id;
    response.workflow = &workflow;
    flow_rpc_reply(call, &response.base);
}

static void *work(void *nothing)
{
    (void)nothing;
    pthread_mutex_lock(&worker.lock);
    while (!worker.stop || worker.first != NULL) {
        Later *later = worker.first;
        if (later == NULL) {
            pthread_cond_wait(&worker.changed, &worker.lock);
            continue;
        }
        worker.first = later->next;
        pthread_mutex_unlock(&worker.lock);
        reply_id(later->call);
        free(later);
        pthread_mutex_lock(&worker.lock);
    }
    pthread_mutex_unlock(&worker.lock);
    return NULL;
}

/* ---- handlers ---- */

/* What is asked for says what happens: "now", "later", "fail", "hold". */
static struct {
    pthread_mutex_t lock;
    FlowRpcCall *held;
    sem_t holding, cancelled, done, drained;
} seen;

static void on_hold_cancel(FlowRpcCall *call, void *data)
{
    (void)call, (void)data;
    sem_post(&seen.cancelled);
}

static void on_drain(FlowRpcCall *call, void *data)
{
    (void)call, (void)data;
    sem_post(&seen.drained);
}

static void on_done(void *data)
{
    (void)data;
    sem_post(&seen.done);
}

static const FlowRpcCallbacks hold_callbacks = {
    .on_cancel = on_hold_cancel, .on_drain = on_drain, .on_done = on_done};

static void get_workflow(FlowRpcCall *call, void *service)
{
    const Flowengine__V1__GetWorkflowRequest *request = flow_rpc_request(call);
    (void)service;
    if (strcmp(request->workflow_id, "fail") == 0) {
        FlowError error;
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", "workflow_id",
                       "no \"%s\", please: äö%%\n", request->workflow_id);
        flow_rpc_fail(call, &error);
    } else if (strcmp(request->workflow_id, "hold") == 0) {
        flow_rpc_watch(call, &hold_callbacks, NULL);
        seen.held = call;
        sem_post(&seen.holding);
    } else if (strncmp(request->workflow_id, "later", 5) == 0) {
        Later *later = flow_new(Later);
        later->call = call;
        pthread_mutex_lock(&worker.lock);
        later->next = worker.first;
        worker.first = later;
        pthread_cond_signal(&worker.changed);
        pthread_mutex_unlock(&worker.lock);
    } else {
        reply_id(call);
    }
}

/* Streams MANY events; run_id "polite" waits for room, "rude" doesn't, "endless" waits and never ends. */
typedef struct Producer {
    FlowRpcCall *call;
    int next, count;
    bool polite, ended;
} Producer;

static bool produce_one(Producer *self)
{
    Flowengine__V1__WatchRunResponse response = FLOWENGINE__V1__WATCH_RUN_RESPONSE__INIT;
    Flowengine__V1__RunEvent event = FLOWENGINE__V1__RUN_EVENT__INIT;
    char text[200];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    event.cursor = self->next++;
    event.run_id = text;
    response.event = &event;
    return flow_rpc_send(self->call, &response.base);
}

static void produce(Producer *self)
{
    bool room = true;
    while (self->next < self->count && (room || !self->polite))
        room = produce_one(self);
    if (self->next == self->count && !self->ended) {
        self->ended = true;
        flow_rpc_end(self->call, NULL);
    }
}

static void on_ready(FlowRpcCall *call, void *data)
{
    (void)call;
    produce(data);
}

static void on_produce_cancel(FlowRpcCall *call, void *data)
{
    Producer *self = data;
    sem_post(&seen.cancelled);
    if (!self->ended) {
        self->ended = true;
        flow_rpc_end(call, NULL);
    }
}

static void on_produce_done(void *data)
{
    free(data);
    sem_post(&seen.done);
}

static const FlowRpcCallbacks produce_callbacks = {
    .on_cancel = on_produce_cancel, .on_ready = on_ready, .on_done = on_produce_done};

static void watch_run(FlowRpcCall *call, void *service)
{
    const Flowengine__V1__WatchRunRequest *request = flow_rpc_request(call);
    Producer *self = flow_new(Producer);
    (void)service;
    self->call = call;
    self->polite = strcmp(request->run_id, "rude") != 0;
    self->count = strcmp(request->run_id, "endless") == 0 ? INT_MAX : MANY;
    flow_rpc_watch(call, &produce_callbacks, self);
    produce(self);
}

/* Echoes the worker id of each hello. */
static void on_hello(FlowRpcCall *call, const void *message, void *data)
{
    const Flowengine__V1__AttachRequest *request = message;
    Flowengine__V1__AttachResponse response = FLOWENGINE__V1__ATTACH_RESPONSE__INIT;
    Flowengine__V1__WorkerWelcome welcome = FLOWENGINE__V1__WORKER_WELCOME__INIT;
    (void)data;
    welcome.attach_id = request->hello->worker_id;
    response.message_case = FLOWENGINE__V1__ATTACH_RESPONSE__MESSAGE_WELCOME;
    response.welcome = &welcome;
    flow_rpc_send(call, &response.base);
    flow_rpc_receive(call);
}

static void on_attach_end(FlowRpcCall *call, void *data)
{
    (void)data;
    flow_rpc_end(call, NULL);
}

static const FlowRpcCallbacks attach_callbacks = {
    .on_cancel = on_attach_end, .on_message = on_hello, .on_half_close = on_attach_end, .on_done = on_done};

static void attach(FlowRpcCall *call, void *service)
{
    (void)service;
    flow_rpc_watch(call, &attach_callbacks, NULL);
    flow_rpc_receive(call);
}

static const FlowRpcBinding bindings[] = {
    {"flowengine.v1.WorkflowService/GetWorkflow", get_workflow},
    {"flowengine.v1.ProductionService/WatchRun", watch_run},
    {"flowengine.v1.WorkerService/Attach", attach},
};

/* ---- the server of each test ---- */

static FlowRpcServer *rpc;
static FlowGrpcHealth *health;
static FlowGrpcServer *server;
static TestClient client;

static void open_server(const char *listen, unsigned threads)
{
    FlowError error;
    FlowRpcLimits limits = FLOW_RPC_LIMITS_DEFAULT;
    limits.stream_queue = 16384;
    rpc = flow_rpc_server_new(flow_wire_contract(), &limits);
    assert_int_equal(flow_rpc_server_bind(rpc, bindings, FLOW_COUNT(bindings), NULL, &error), FLOW_OK);
    assert_int_equal(flow_grpc_reflection_bind(rpc, &error), FLOW_OK);
    assert_int_equal(flow_grpc_health_new(rpc, &health, &error), FLOW_OK);
    const FlowGrpcOptions options = {.listen = listen, .threads = threads};
    if (flow_grpc_server_open(rpc, &options, &server, &error) != FLOW_OK)
        fail_msg("%s", error.message);
    flow_grpc_health_set(health, true);
    test_client_open(&client, flow_grpc_server_address(server));
}

static void free_server(void)
{
    server = flow_grpc_server_free(server);
    health = flow_grpc_health_free(health);
    rpc = flow_rpc_server_free(rpc);
}

static int set_up(void **state)
{
    (void)state;
    sem_init(&seen.holding, 0, 0);
    sem_init(&seen.cancelled, 0, 0);
    sem_init(&seen.done, 0, 0);
    sem_init(&seen.drained, 0, 0);
    worker.stop = false;
    pthread_create(&worker.thread, NULL, work, NULL);
    open_server("127.0.0.1:0", 0);
    return 0;
}

static int set_up_threads(void **state)
{
    set_up(state);
    test_client_close(&client);
    flow_grpc_server_stop(server, 0);
    free_server();
    open_server("127.0.0.1:0", 4);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_client_close(&client);
    flow_grpc_server_stop(server, FLOW_NS_PER_S);
    pthread_mutex_lock(&worker.lock);
    worker.stop = true;
    pthread_cond_signal(&worker.changed);
    pthread_mutex_unlock(&worker.lock);
    pthread_join(worker.thread, NULL);
    FlowRpcCounts counts;
    flow_rpc_server_counts(rpc, &counts);
    assert_int_equal(counts.calls_in_flight + counts.streams_in_flight, 0);
    free_server();
    return 0;
}

/* ---- tests ---- */

static void unary_calls(void **state)
{
    TestReply reply;
    (void)state;
    test_client_call(&client, GET, BYTES("\x0a\x03now"), 0, "x-request-id", "mine-1", &reply);
    assert_int_equal(reply.status, GRPC_STATUS_OK);
    assert_string_equal(reply.request_id, "mine-1");
    assert_int_equal(reply.len, 7);
    assert_memory_equal(reply.bytes, "\x0a\x05\x0a\x03now", 7);
    test_client_call(&client, GET, BYTES("\x0a\x05later"), 0, NULL, NULL, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_OK);
    assert_string_not_equal(reply.request_id, "");
    /* A large one, which comes in pieces. */
    char *large = flow_malloc(3 << 20);
    memset(large, 'x', 3 << 20);
    memcpy(large, "\x0a\xfb\xff\xbf\x01", 5);
    test_client_call(&client, GET, large, 3 << 20, 0, NULL, NULL, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_OK);
    free(large);
}

static void errors(void **state)
{
    TestReply reply;
    (void)state;
    test_client_call(&client, GET,
                     BYTES("\x0a\x04"
                           "fail"),
                     0, "x-request-id", "mine-2", &reply);
    assert_int_equal(reply.status, GRPC_STATUS_INVALID_ARGUMENT);
    assert_string_equal(reply.message, "no \"fail\", please: äö% ");
    assert_string_equal(reply.request_id, "mine-2");
    Google__Rpc__Status *status =
        google__rpc__status__unpack(NULL, reply.details_len, (const uint8_t *)reply.details);
    assert_non_null(status);
    assert_int_equal(status->code, reply.status);
    assert_string_equal(status->message, reply.message);
    assert_int_equal(status->n_details, 2);
    google__rpc__status__free_unpacked(status, NULL);

    test_client_call(&client, LIST, "", 0, 0, NULL, NULL, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_UNIMPLEMENTED);
    test_client_call(&client, "/no.Such/Method", "", 0, 0, NULL, NULL, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_UNIMPLEMENTED);
    test_client_call(&client, GET, BYTES("\x0a\x09x"), 0, NULL, NULL, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_INVALID_ARGUMENT);
    char *large = flow_calloc(1, 5 << 20);
    test_client_call(&client, GET, large, 5 << 20, 0, NULL, NULL, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_RESOURCE_EXHAUSTED);
    free(large);

    TestStream stream;
    memset(&reply, 0, sizeof reply);
    test_stream_open(&client, GET, 0, &stream);
    test_stream_half_close(&stream);
    test_stream_finish(&stream, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_INVALID_ARGUMENT);
}

static void deadlines_and_cancellation_reach_the_handler(void **state)
{
    TestReply reply;
    TestStream stream;
    (void)state;
    int64_t before = flow_clock_mono_ns(flow_clock_real());
    test_client_call(&client, GET, BYTES("\x0a\x04hold"), 300, NULL, NULL, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_DEADLINE_EXCEEDED);
    sem_wait(&seen.holding);
    sem_wait(&seen.cancelled);
    int64_t deadline = flow_rpc_deadline_ns(seen.held);
    assert_in_range((deadline - before) / FLOW_NS_PER_MS, 200, 10000);
    assert_true(flow_rpc_cancelled(seen.held));
    reply_id(seen.held); /* too late, but the handler must end it */
    sem_wait(&seen.done);

    test_stream_open(&client, GET, 0, &stream);
    test_stream_send(&stream, BYTES("\x0a\x04hold"));
    test_stream_half_close(&stream);
    sem_wait(&seen.holding);
    assert_int_equal(flow_rpc_deadline_ns(seen.held), FLOW_RPC_NO_DEADLINE);
    assert_false(flow_rpc_cancelled(seen.held));
    test_stream_cancel(&stream);
    sem_wait(&seen.cancelled);
    reply_id(seen.held);
    sem_wait(&seen.done);
    memset(&reply, 0, sizeof reply);
    test_stream_finish(&stream, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_CANCELLED);
    FlowRpcCounts counts;
    flow_rpc_server_counts(rpc, &counts);
    assert_int_equal(counts.ended[FLOW_DEADLINE_EXCEEDED], 1);
    assert_int_equal(counts.ended[FLOW_CANCELLED], 1);
}

static void open_watch(const char *run_id, TestStream *stream)
{
    char request[64];
    size_t len = strlen(run_id);
    request[0] = 0x0a;
    request[1] = (char)len;
    memcpy(request + 2, run_id, len);
    test_stream_open(&client, WATCH, 0, stream);
    test_stream_send(stream, request, len + 2);
    test_stream_half_close(stream);
}

static int64_t cursor_of(const TestReply *reply)
{
    Flowengine__V1__WatchRunResponse *response =
        flowengine__v1__watch_run_response__unpack(NULL, reply->len, (const uint8_t *)reply->bytes);
    assert_non_null(response);
    int64_t cursor = response->event->cursor;
    flowengine__v1__watch_run_response__free_unpacked(response, NULL);
    return cursor;
}

static void a_stream_waits_for_its_reader(void **state)
{
    TestReply reply;
    TestStream stream;
    (void)state;
    memset(&reply, 0, sizeof reply);
    open_watch("polite", &stream);
    int64_t expected = 0;
    while (test_stream_receive(&stream, &reply))
        assert_int_equal(cursor_of(&reply), expected++);
    assert_int_equal(expected, MANY);
    test_stream_finish(&stream, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_OK);
    sem_wait(&seen.done);
}

static void a_handler_that_does_not_wait_loses_the_stream(void **state)
{
    TestReply reply;
    TestStream stream;
    (void)state;
    memset(&reply, 0, sizeof reply);
    open_watch("rude", &stream);
    sem_wait(&seen.done);
    int64_t got = 0;
    while (test_stream_receive(&stream, &reply))
        got++;
    test_stream_finish(&stream, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_in_range(got, 0, MANY - 1);
    assert_non_null(strstr(reply.message, "too slowly"));
}

static void a_stream_is_cancelled_in_the_middle(void **state)
{
    TestReply reply;
    TestStream stream;
    (void)state;
    memset(&reply, 0, sizeof reply);
    open_watch("endless", &stream);
    for (int i = 0; i < 10; i++)
        assert_true(test_stream_receive(&stream, &reply));
    test_stream_cancel(&stream);
    sem_wait(&seen.cancelled);
    sem_wait(&seen.done);
    test_stream_finish(&stream, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_CANCELLED);
}

static void messages_both_ways(void **state)
{
    TestReply reply;
    TestStream stream;
    (void)state;
    memset(&reply, 0, sizeof reply);
    test_stream_open(&client, ATTACH, 0, &stream);
    for (int i = 0; i < 50; i++) {
        char hello[] = "\x0a\x04\x0a\x02"
                       "aa";
        hello[4] = (char)('a' + i % 26);
        test_stream_send(&stream, hello, 6);
        assert_true(test_stream_receive(&stream, &reply));
        assert_int_equal(reply.len, 6);
        assert_memory_equal(reply.bytes + 4, hello + 4, 2);
    }
    test_stream_half_close(&stream);
    assert_false(test_stream_receive(&stream, &reply));
    test_stream_finish(&stream, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_OK);
    sem_wait(&seen.done);

    memset(&reply, 0, sizeof reply);
    test_stream_open(&client, ATTACH, 0, &stream);
    test_stream_send(&stream, BYTES("\x0a\x04\x0a\x02\xff\xff"));
    assert_false(test_stream_receive(&stream, &reply));
    test_stream_finish(&stream, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_INVALID_ARGUMENT);
    sem_wait(&seen.done);
}

static void health_is_watched(void **state)
{
    TestReply reply;
    TestStream stream;
    (void)state;
    memset(&reply, 0, sizeof reply);
    test_client_call(&client, "/grpc.health.v1.Health/Check", "", 0, 0, NULL, NULL, &reply);
    assert_int_equal(reply.len, 2);
    assert_memory_equal(reply.bytes, "\x08\x01", 2);
    test_client_call(&client, "/grpc.health.v1.Health/Check", BYTES("\x0a\x01x"), 0, NULL, NULL, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_NOT_FOUND);
    test_stream_open(&client, "/grpc.health.v1.Health/Watch", 0, &stream);
    test_stream_send(&stream, "", 0);
    test_stream_half_close(&stream);
    assert_true(test_stream_receive(&stream, &reply));
    assert_memory_equal(reply.bytes, "\x08\x01", 2);
    flow_grpc_health_set(health, false);
    assert_true(test_stream_receive(&stream, &reply));
    assert_memory_equal(reply.bytes, "\x08\x02", 2);
    flow_grpc_server_drain(server);
    assert_false(test_stream_receive(&stream, &reply));
    test_stream_finish(&stream, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_UNAVAILABLE);
}

static void *call_often(void *argument)
{
    bool *wrong = argument;
    for (int i = 0; i < 100; i++) {
        TestReply reply;
        const char *request = i % 2 == 0 ? "\x0a\x05later"
                                         : "\x0a\x05"
                                           "now..";
        test_client_call(&client, GET, request, 7, 0, NULL, NULL, &reply);
        *wrong |=
            reply.status != GRPC_STATUS_OK || reply.len != 9 || memcmp(reply.bytes + 4, request + 2, 5) != 0;
    }
    return NULL;
}

static void many_calls_at_a_time(void **state)
{
    enum { CALLERS = 8 };
    pthread_t callers[CALLERS];
    bool wrong[CALLERS] = {false};
    (void)state;
    for (int i = 0; i < CALLERS; i++)
        pthread_create(&callers[i], NULL, call_often, &wrong[i]);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i], NULL);
        assert_false(wrong[i]);
    }
    FlowRpcCounts counts;
    flow_rpc_server_counts(rpc, &counts);
    assert_int_equal(counts.started, CALLERS * 100);
}

static void *stop_with_grace(void *nothing)
{
    (void)nothing;
    flow_grpc_server_stop(server, 60 * FLOW_NS_PER_S);
    return NULL;
}

static void stopping_waits_for_calls(void **state)
{
    TestReply reply;
    TestStream stream;
    pthread_t stopper;
    (void)state;
    test_stream_open(&client, GET, 0, &stream);
    test_stream_send(&stream, BYTES("\x0a\x04hold"));
    test_stream_half_close(&stream);
    sem_wait(&seen.holding);
    flow_grpc_server_drain(server);
    sem_wait(&seen.drained);
    pthread_create(&stopper, NULL, stop_with_grace, NULL);
    reply_id(seen.held);
    memset(&reply, 0, sizeof reply);
    assert_true(test_stream_receive(&stream, &reply));
    test_stream_finish(&stream, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_OK);
    pthread_join(stopper, NULL);
    free_server();
    test_client_close(&client);
    open_server("127.0.0.1:0", 0);
}

/* The handler ends its call only when the door is gone: nothing may be left behind. */
static void a_handler_may_outlive_the_door(void **state)
{
    TestReply reply;
    TestStream stream;
    pthread_t stopper;
    (void)state;
    test_stream_open(&client, GET, 0, &stream);
    test_stream_send(&stream, BYTES("\x0a\x04hold"));
    test_stream_half_close(&stream);
    sem_wait(&seen.holding);
    pthread_create(&stopper, NULL, stop_with_grace, NULL);
    flow_grpc_server_hurry(server);
    memset(&reply, 0, sizeof reply);
    test_stream_finish(&stream, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_UNAVAILABLE);
    sem_wait(&seen.cancelled);
    pthread_join(stopper, NULL);
    server = flow_grpc_server_free(server);
    reply_id(seen.held);
    sem_wait(&seen.done);
    free_server();
    test_client_close(&client);
    open_server("127.0.0.1:0", 0);
}

static void listeners(void **state)
{
    FlowGrpcServer *second = NULL;
    FlowError error;
    char directory[] = "/tmp/flow-grpc-XXXXXX", path[100];
    (void)state;
    FlowGrpcOptions options = {.listen = flow_grpc_server_address(server)};
    assert_int_equal(flow_grpc_server_open(rpc, &options, &second, &error), FLOW_ALREADY_EXISTS);
    assert_non_null(strstr(error.message, "another process"));
    options.listen = "0.0.0.0:0";
    assert_int_equal(flow_grpc_server_open(rpc, &options, &second, &error), FLOW_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "--insecure-listen"));
    options.listen = "192.0.2.7:0";
    options.insecure_listen = true;
    assert_int_equal(flow_grpc_server_open(rpc, &options, &second, &error), FLOW_FAILED_PRECONDITION);

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "unix:%s/s", directory);
    options.listen = path;
    assert_int_equal(flow_grpc_server_open(rpc, &options, &second, &error), FLOW_OK);
    TestClient local;
    TestReply reply;
    test_client_open(&local, path);
    test_client_call(&local, GET, BYTES("\x0a\x03now"), 0, NULL, NULL, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_OK);
    FlowGrpcServer *third = NULL;
    assert_int_equal(flow_grpc_server_open(rpc, &options, &third, &error), FLOW_ALREADY_EXISTS);
    test_client_call(&local, GET, BYTES("\x0a\x03now"), 0, NULL, NULL, &reply);
    assert_int_equal(reply.status, GRPC_STATUS_OK);
    test_client_close(&local);
    flow_grpc_server_stop(second, 0);
    flow_grpc_server_free(second);
    snprintf(path, sizeof path, "%s/s.lock", directory);
    unlink(path);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(unary_calls),
        TEST(errors),
        TEST(deadlines_and_cancellation_reach_the_handler),
        TEST(a_stream_waits_for_its_reader),
        TEST(a_handler_that_does_not_wait_loses_the_stream),
        TEST(a_stream_is_cancelled_in_the_middle),
        TEST(messages_both_ways),
        TEST(health_is_watched),
        cmocka_unit_test_setup_teardown(many_calls_at_a_time, set_up_threads, tear_down),
        TEST(stopping_waits_for_calls),
        TEST(a_handler_may_outlive_the_door),
        TEST(listeners),
    };
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
