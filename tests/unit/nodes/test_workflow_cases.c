/* The workflow cases of tests/data/workflows against the engine itself: definition in, queues and dead letters out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/payload.h"
#include "engine/problem.h"
#include "nodes/nodes.h"
#include "value/json.h"

typedef struct Case {
    FlowStore *store;
    FlowEngine *engine;
    FlowRegistry *registry;
    FlowValue whole, expect;
} Case;

/* ---- answers ---- */

typedef struct Answer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_there;
    FlowError error;
    FlowRunView *run;
    size_t problems;
    FlowBuf texts; /* of the problems */
} Answer;

static void on_answer(void *context, const FlowEngineReply *reply)
{
    Answer *answer = context;
    pthread_mutex_lock(&answer->lock);
    answer->error = reply->error;
    answer->run = flow_run_view_ref(reply->run);
    flow_buf_init(&answer->texts, 0);
    for (size_t i = 0; reply->problems && i < reply->problems->count; i++) {
        const FlowProblem *problem = &reply->problems->items[i];
        answer->problems += problem->severity == FLOW_SEVERITY_ERROR;
        flow_buf_printf(&answer->texts, "%s %s %s %s\n", problem->node_id, problem->edge_id, problem->field,
                        problem->message);
    }
    answer->is_there = true;
    pthread_cond_signal(&answer->changed);
    pthread_mutex_unlock(&answer->lock);
}

static void wait_for(Answer *answer)
{
    pthread_mutex_lock(&answer->lock);
    while (!answer->is_there)
        pthread_cond_wait(&answer->changed, &answer->lock);
    pthread_mutex_unlock(&answer->lock);
}

static void start(Case *self, Answer *answer)
{
    memset(answer, 0, sizeof *answer);
    pthread_mutex_init(&answer->lock, NULL);
    pthread_cond_init(&answer->changed, NULL);
    FlowStartOptions options = {.workflow = *flow_object_get(self->whole, "workflow")};
    flow_engine_start_run(self->engine, &options, on_answer, answer);
    wait_for(answer);
}

/* The view of the run once it has ended. */
static FlowRunView *end_of(Case *self, const char *run_id)
{
    for (;;) {
        Answer answer = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
        flow_engine_get_run(self->engine, run_id, on_answer, &answer);
        wait_for(&answer);
        assert_non_null(answer.run);
        if (flow_run_state_is_final(answer.run->state))
            return answer.run;
        flow_run_view_unref(answer.run);
    }
}

/* ---- what is expected ---- */

static const char *text(FlowValue object, const char *key)
{
    const FlowValue *value = flow_object_get(object, key);
    return value && flow_value_kind(*value) == FLOW_VALUE_STRING ? flow_value_text(value) : NULL;
}

static FlowValue data_of(FlowBlob *body)
{
    FlowValue data, metadata;
    assert_int_equal(flow_payload_decode(body, &data, &metadata, NULL), FLOW_OK);
    flow_value_unref(metadata);
    return data;
}

static void expect_queue(Case *self, const char *name, FlowValue expected)
{
    FlowStorePeek peek = {.queue = name, .max = FLOW_STORE_PAGE_MAX};
    flow_store_peek(self->store, &peek);
    if (flow_store_wait(self->store, &peek.op) != FLOW_OK)
        fail_msg("%s", peek.op.error.message);
    assert_int_equal(peek.count, flow_array_count(expected));
    for (size_t i = 0; i < peek.count; i++) {
        FlowValue data = data_of(peek.deliveries[i].body);
        if (!flow_value_equal(data, *flow_array_at(expected, i))) {
            FlowBuf got;
            flow_buf_init(&got, 0);
            flow_json_write(data, &got, 0, NULL);
            fail_msg("%s[%zu] is %s", name, i, flow_buf_text(&got));
        }
        flow_value_unref(data);
    }
    flow_store_op_done(&peek.op);
}

static bool has_all(FlowValue object, FlowValue expected)
{
    if (flow_value_kind(expected) != FLOW_VALUE_OBJECT)
        return flow_value_equal(object, expected);
    size_t count;
    const FlowMember *members = flow_object_members(expected, &count);
    for (size_t i = 0; i < count; i++) {
        const FlowValue *value = flow_object_get_key(object, members[i].key);
        if (value == NULL || !has_all(*value, members[i].value))
            return false;
    }
    return true;
}

static void expect_dead_letters(Case *self, const char *run_id)
{
    const FlowValue *count = flow_object_get(self->expect, "dead_letters");
    const FlowValue *like = flow_object_get(self->expect, "dead_letter");
    FlowStoreDeadLetterList list = {.filter = {.run_id = run_id}, .with_bodies = true, .max = 100};
    flow_store_dead_letter_list(self->store, &list);
    assert_int_equal(flow_store_wait(self->store, &list.op), FLOW_OK);
    if (count)
        assert_int_equal(list.count, flow_value_get_int(*count));
    if (like) {
        /* The first one that was made. */
        const FlowDeadLetter *letter = &list.letters[list.count - 1];
        assert_string_equal(letter->node_id, text(*like, "node_id"));
        assert_string_equal(letter->node_type, text(*like, "node_type"));
        assert_string_equal(letter->reason, text(*like, "reason"));
        FlowValue data = data_of(letter->payload);
        assert_true(has_all(data, *flow_object_get(*like, "payload_data_has")));
        flow_value_unref(data);
    }
    flow_store_op_done(&list.op);
}

static void expect_refusal(Case *self, Answer *answer)
{
    assert_string_equal(flow_status_name(answer->error.status), text(self->expect, "error"));
    const FlowValue *least = flow_object_get(self->expect, "problems_at_least");
    const FlowValue *mentions = flow_object_get(self->expect, "mentions");
    if (least)
        assert_true((int64_t)answer->problems >= flow_value_get_int(*least));
    for (size_t i = 0; mentions && i < flow_array_count(*mentions); i++) {
        const FlowValue *word = flow_array_at(*mentions, i);
        if (strstr(flow_buf_text(&answer->texts), flow_value_text(word)) == NULL)
            fail_msg("nobody mentions %s", flow_value_text(word));
    }
}

static void expect_run(Case *self, const char *run_id)
{
    FlowRunView *view = end_of(self, run_id);
    assert_string_equal(flow_run_state_name(view->state), text(self->expect, "state"));
    for (size_t i = 0; i < view->loop_count; i++) {
        const FlowLoopView *loop = &view->loops[i];
        assert_int_equal(loop->produced, loop->done + loop->dead_lettered + loop->in_flight);
        assert_int_equal(loop->in_flight, 0);
    }
    const FlowValue *queues = flow_object_get(self->expect, "queues");
    size_t count;
    const FlowMember *members = queues ? flow_object_members(*queues, &count) : NULL;
    for (size_t i = 0; members && i < count; i++)
        expect_queue(self, flow_value_text(&members[i].key), members[i].value);
    expect_dead_letters(self, run_id);
    flow_run_view_unref(view);
}

/* ---- cases ---- */

static FlowValue read_case(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    FlowBuf content;
    flow_buf_init(&content, 0);
    char part[4096];
    for (size_t len; (len = fread(part, 1, sizeof part, file)) > 0;)
        flow_buf_append(&content, part, len);
    fclose(file);
    FlowValue value;
    FlowError error;
    if (flow_json_read(content.data, content.len, NULL, &value, &error) != FLOW_OK)
        fail_msg("%s: %s", path, error.message);
    flow_buf_done(&content);
    return value;
}

static void check_case(void **state)
{
    Case self = {.registry = flow_registry_new()};
    FlowError error;
    flow_log_set_level(FLOW_LOG_ERROR);
    assert_int_equal(flow_nodes_register(self.registry, &error), FLOW_OK);
    assert_int_equal(flow_store_open("sqlite::memory:", NULL, &self.store, &error), FLOW_OK);
    FlowEngineOptions options = {.store = self.store, .registry = self.registry, .shards = 2};
    assert_int_equal(flow_engine_open(&options, &self.engine, &error), FLOW_OK);
    self.whole = read_case(*state);
    self.expect = *flow_object_get(self.whole, "expect");

    Answer answer;
    start(&self, &answer);
    if (text(self.expect, "error"))
        expect_refusal(&self, &answer);
    else if (answer.run == NULL)
        fail_msg("%s\n%s", answer.error.message, flow_buf_text(&answer.texts));
    else
        expect_run(&self, answer.run->id);

    flow_run_view_unref(answer.run);
    flow_buf_done(&answer.texts);
    flow_value_unref(self.whole);
    flow_engine_close(self.engine);
    flow_store_close(self.store);
    flow_registry_free(self.registry);
}

int main(void)
{
    static char paths[256][512], names[256][256];
    static struct CMUnitTest tests[256];
    size_t count = 0;
    DIR *folder = opendir(FLOW_SOURCE_DIR "/tests/data/workflows");
    for (struct dirent *entry; folder && count < FLOW_COUNT(tests) && (entry = readdir(folder));) {
        if (strstr(entry->d_name, ".json") == NULL)
            continue;
        snprintf(names[count], sizeof names[count], "%s", entry->d_name);
        snprintf(paths[count], sizeof paths[count], "%s/tests/data/workflows/%s", FLOW_SOURCE_DIR,
                 entry->d_name);
        tests[count] = (struct CMUnitTest){names[count], check_case, NULL, NULL, paths[count]};
        count++;
    }
    if (folder)
        closedir(folder);
    /* No case at all would be a wrong path, not a success. */
    return count == 0 ? 1 : _cmocka_run_group_tests("workflow_cases", tests, count, NULL, NULL);
}
