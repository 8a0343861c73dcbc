/* FlowDev with node types of the test's own: pools, cancelling, side effects, bounds, expiry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "dev/dev.h"
#include "value/json.h"

/* ---- node types ---- */

static _Atomic(int) blocked, effects;

static FlowNodeOutcome one_start(FlowNodeCall *call)
{
    return flow_node_call_result_take(call, flow_value_int(1));
}

static FlowNodeOutcome block_start(FlowNodeCall *call)
{
    atomic_fetch_add(&blocked, 1);
    while (!flow_node_call_cancelled(call))
        ;
    return flow_node_call_fail(call, FLOW_CANCELLED, NULL, "asked to end");
}

static FlowNodeOutcome effect_start(FlowNodeCall *call)
{
    atomic_fetch_add(&effects, 1);
    flow_node_call_log(call, FLOW_LOG_INFO, "done", flow_value_null());
    return flow_node_call_result_take(call, flow_value_bool(true));
}

static FlowNodeOutcome big_start(FlowNodeCall *call)
{
    static char text[1 << 20];
    memset(text, 'x', sizeof text);
    return flow_node_call_result_take(call, flow_value_stringn(text, sizeof text));
}

static const FlowNodeType types[] = {
    {.name = "one",
     .summary = "Gives 1.",
     .version = 1,
     .kind = FLOW_NODE_PRODUCER,
     .output_key = "one",
     .start = one_start},
    {.name = "block",
     .summary = "Blocks its thread.",
     .version = 1,
     .kind = FLOW_NODE_BLOCKING,
     .pool = FLOW_POOL_THREAD,
     .start = block_start},
    {.name = "effect",
     .summary = "Changes the world.",
     .version = 1,
     .kind = FLOW_NODE_BLOCKING,
     .pool = FLOW_POOL_THREAD,
     .flags = FLOW_NODE_SIDE_EFFECTS,
     .output_key = "effect",
     .start = effect_start},
    {.name = "big",
     .summary = "Gives much.",
     .version = 1,
     .kind = FLOW_NODE_BLOCKING,
     .output_key = "big",
     .start = big_start},
    {.name = "process",
     .summary = "Wants a process.",
     .version = 1,
     .kind = FLOW_NODE_BLOCKING,
     .pool = FLOW_POOL_PROCESS,
     .start = effect_start},
};

static const char workflow[] = "{\"id\": \"w\", \"name\": \"w\", \"nodes\": [{\"id\": \"p\", \"type\": "
                               "\"one\"}, {\"id\": \"b\", \"type\": \"block\"},"
                               " {\"id\": \"e\", \"type\": \"effect\"}, {\"id\": \"g\", \"type\": \"big\"}, "
                               "{\"id\": \"x\", \"type\": \"process\"}],"
                               " \"edges\": [{\"id\": \"1\", \"source\": \"p\", \"target\": \"b\"}, {\"id\": "
                               "\"2\", \"source\": \"p\", \"target\": \"e\"},"
                               " {\"id\": \"3\", \"source\": \"p\", \"target\": \"g\"}, {\"id\": \"4\", "
                               "\"source\": \"p\", \"target\": \"x\"}]}";

/* ---- asking ---- */

typedef struct World {
    FlowClock *clock;
    FlowStore *store;
    FlowRegistry *registry;
    FlowDev *dev;
    FlowValue workflow;
} World;

typedef struct Question {
    FlowDevRequest request;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done, seen;
    FlowError error, failure;
    bool has_output, mocked;
    size_t logs;
    uint32_t outputs;
    size_t bytes;
} Question;

static void on_done(FlowDevRequest *request)
{
    Question *question = flow_container_of(request, Question, request);
    pthread_mutex_lock(&question->lock);
    question->error = request->error;
    question->failure = request->failure;
    question->has_output = !flow_value_is_null(request->output.data);
    question->mocked = request->mocked;
    question->logs = request->log_count;
    question->outputs = request->session.output_count;
    question->bytes = request->session.bytes;
    question->done = true;
    pthread_cond_signal(&question->changed);
    pthread_mutex_unlock(&question->lock);
}

static void on_seen(FlowDevRequest *request)
{
    Question *question = flow_container_of(request, Question, request);
    pthread_mutex_lock(&question->lock);
    question->seen = true;
    pthread_cond_signal(&question->changed);
    pthread_mutex_unlock(&question->lock);
}

static void begin(World *world, Question *question, const char *session, const char *node)
{
    pthread_mutex_init(&question->lock, NULL);
    pthread_cond_init(&question->changed, NULL);
    question->request.done = on_done;
    question->request.cancel_seen = on_seen;
    question->request.session_id = session;
    question->request.node_id = node;
    if (question->request.verb == FLOW_DEV_EXECUTE)
        question->request.workflow = world->workflow;
    flow_dev_submit(world->dev, &question->request);
}

static void wait_for(Question *question, bool seen)
{
    pthread_mutex_lock(&question->lock);
    while (!question->done || (seen && !question->seen))
        pthread_cond_wait(&question->changed, &question->lock);
    pthread_mutex_unlock(&question->lock);
}

static Question ask(World *world, Question question, const char *session, const char *node)
{
    begin(world, &question, session, node);
    wait_for(&question, false);
    return question;
}

static Question execute(World *world, const char *session, const char *node)
{
    return ask(world, (Question){.request = {.run_upstream = true}}, session, node);
}

static void open_world(World *world, FlowClock *clock, unsigned sessions, size_t bytes)
{
    FlowError error;
    FlowStoreOptions store = {.durability = FLOW_DURABILITY_PROCESS};
    world->clock = clock;
    assert_int_equal(flow_store_open("sqlite::memory:", &store, &world->store, &error), FLOW_OK);
    world->registry = flow_registry_new();
    for (size_t i = 0; i < FLOW_COUNT(types); i++)
        assert_int_equal(flow_registry_add(world->registry, &types[i], &error), FLOW_OK);
    FlowDevOptions options = {.store = world->store,
                              .registry = world->registry,
                              .clock = clock,
                              .env = flow_value_object(),
                              .sessions_max = sessions,
                              .session_bytes = bytes};
    assert_int_equal(flow_dev_open(&options, &world->dev, &error), FLOW_OK);
    assert_int_equal(flow_json_read(workflow, strlen(workflow), NULL, &world->workflow, &error), FLOW_OK);
    atomic_store(&effects, 0);
}

static void close_world(World *world)
{
    flow_dev_close(world->dev);
    flow_store_close(world->store);
    flow_registry_free(world->registry);
    flow_value_unref(world->workflow);
}

/* ---- tests ---- */

static void test_a_blocking_node_has_a_thread(void **state)
{
    (void)state;
    World world = {0};
    open_world(&world, NULL, 0, 0);
    Question slow = {.request = {.run_upstream = true}};
    int before = atomic_load(&blocked);
    begin(&world, &slow, "a", "b");
    while (atomic_load(&blocked) == before)
        ;
    Question other = execute(&world, "b", "p");
    assert_int_equal(other.error.status, FLOW_OK);
    assert_true(other.has_output);
    flow_dev_cancel(&slow.request);
    wait_for(&slow, true);
    assert_int_equal(slow.error.status, FLOW_CANCELLED);
    assert_int_equal(execute(&world, "a", "p").error.status, FLOW_OK);

    Question late = {.request = {.run_upstream = true, .timeout_ns = 20 * FLOW_NS_PER_MS}};
    late = ask(&world, late, "a", "b");
    assert_int_equal(late.error.status, FLOW_OK);
    assert_string_equal(late.failure.reason, "TIMEOUT");
    close_world(&world);
}

static void test_a_cancelled_request_that_waits(void **state)
{
    (void)state;
    World world = {0};
    open_world(&world, NULL, 0, 0);
    Question first = {.request = {.run_upstream = true}}, second = {.request = {.run_upstream = true}};
    int before = atomic_load(&blocked);
    begin(&world, &first, "a", "b");
    while (atomic_load(&blocked) == before)
        ;
    begin(&world, &second, "a", "p");
    flow_dev_cancel(&second.request);
    wait_for(&second, true);
    assert_int_equal(second.error.status, FLOW_CANCELLED);
    /* A session that is cleared ends what goes on in it. */
    assert_int_equal(ask(&world, (Question){.request = {.verb = FLOW_DEV_CLEAR}}, "a", "").error.status,
                     FLOW_OK);
    wait_for(&first, false);
    assert_string_equal(first.failure.reason, "CANCELLED");
    close_world(&world);
}

static void test_side_effects_must_be_allowed(void **state)
{
    (void)state;
    World world = {0};
    open_world(&world, NULL, 0, 0);
    Question refused = execute(&world, "a", "e");
    assert_int_equal(refused.error.status, FLOW_FAILED_PRECONDITION);
    assert_string_equal(refused.error.reason, "SIDE_EFFECTS_NOT_ALLOWED");
    Question dry = ask(&world, (Question){.request = {.dry_run = true}}, "a", "e");
    assert_int_equal(dry.error.status, FLOW_OK);
    assert_true(dry.has_output && dry.mocked);
    assert_int_equal(atomic_load(&effects), 0);
    Question allowed = ask(&world, (Question){.request = {.allow_side_effects = true}}, "a", "e");
    assert_int_equal(allowed.error.status, FLOW_OK);
    assert_int_equal(allowed.logs, 1);
    assert_int_equal(atomic_load(&effects), 1);
    assert_string_equal(execute(&world, "a", "x").error.reason, "POOL_UNAVAILABLE");
    close_world(&world);
}

static void test_bounds(void **state)
{
    (void)state;
    World world = {0};
    open_world(&world, NULL, 2, 512 << 10);
    assert_int_equal(execute(&world, "a", "p").error.status, FLOW_OK);
    Question big = execute(&world, "a", "g");
    assert_int_equal(big.error.status, FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(big.error.reason, "LIMIT_REACHED");
    Question listed = ask(&world, (Question){.request = {.verb = FLOW_DEV_LIST, .page_size = 10}}, "a", "");
    assert_int_equal(listed.outputs, 1);
    assert_int_equal(execute(&world, "b", "p").error.status, FLOW_OK);
    assert_string_equal(execute(&world, "c", "p").error.reason, "LIMIT_REACHED");
    assert_int_equal(ask(&world, (Question){.request = {.verb = FLOW_DEV_CLEAR}}, "b", "").error.status,
                     FLOW_OK);
    assert_int_equal(execute(&world, "c", "p").error.status, FLOW_OK);
    assert_int_equal(execute(&world, "no/id", "p").error.status, FLOW_INVALID_ARGUMENT);
    close_world(&world);
}

static void test_sessions_expire(void **state)
{
    (void)state;
    World world = {0};
    FlowClock *clock = flow_test_clock_new(INT64_C(1700000000) * FLOW_NS_PER_S);
    open_world(&world, clock, 0, 0);
    const Question list = {.request = {.verb = FLOW_DEV_LIST, .page_size = 10}};
    execute(&world, "a", "p");
    execute(&world, "b", "p");
    flow_test_clock_advance(clock, FLOW_DEV_LIFE_NS / 2);
    assert_int_equal(ask(&world, list, "b", "").error.status, FLOW_OK);
    flow_test_clock_advance(clock, FLOW_DEV_LIFE_NS / 2 + FLOW_NS_PER_S);
    execute(&world, "c", "p");
    assert_string_equal(ask(&world, list, "a", "").error.reason, "SESSION_NOT_FOUND");
    assert_int_equal(ask(&world, list, "b", "").error.status, FLOW_OK);
    close_world(&world);
    flow_test_clock_free(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_blocking_node_has_a_thread),
        cmocka_unit_test(test_a_cancelled_request_that_waits),
        cmocka_unit_test(test_side_effects_must_be_allowed),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_sessions_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
