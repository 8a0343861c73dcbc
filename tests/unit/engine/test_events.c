/* Watching runs: a snapshot first, then events; cursors; filters; the slow are told what they lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "flows.h"

static int begin(void **state)
{
    (void)state;
    fakes_reset();
    return 0;
}

/* ---- a watcher ---- */

typedef struct Watcher {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    FlowWatch *watch;
    FlowError error;
    bool is_open, is_ready;
    FlowWatchStatus status;
    /* What was seen, as words: "snapshot run_state:RUNNING node_started:p …". */
    FlowBuf seen;
    uint64_t cursor, first_cursor, counts[FLOW_EVENT_KIND_COUNT], lost;
    bool cursors_grow;
    int run_state;  /* as the stream tells it */
    FlowValue data; /* of the last node event that had some */
} Watcher;

static void on_ready(void *context)
{
    Watcher *self = context;
    pthread_mutex_lock(&self->lock);
    self->is_ready = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static void on_open(void *context, const FlowError *error, FlowWatch *watch)
{
    Watcher *self = context;
    pthread_mutex_lock(&self->lock);
    self->watch = watch;
    self->error = *error;
    self->is_open = self->is_ready = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static void watch_open(Watcher *self, Flows *flows, FlowWatchOptions options)
{
    memset(self, 0, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    flow_buf_init(&self->seen, 0);
    self->cursors_grow = true;
    options.ready = on_ready;
    options.context = self;
    flow_engine_watch(flows->engine, &options, on_open, self);
    pthread_mutex_lock(&self->lock);
    while (!self->is_open)
        pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

static void watch_close(Watcher *self)
{
    if (self->watch)
        flow_watch_close(self->watch);
    flow_buf_done(&self->seen);
    flow_value_clear(&self->data);
}

static void see(Watcher *self, const FlowEvent *event)
{
    FlowBuf *seen = &self->seen;
    flow_buf_printf(seen, " %s", flow_event_kind_name(event->kind));
    self->counts[event->kind]++;
    switch (event->kind) {
    case FLOW_EVENT_SNAPSHOT:
        self->run_state = event->snapshot->state;
        break;
    case FLOW_EVENT_RUN_STATE:
        self->run_state = event->new_state;
        flow_buf_printf(seen, ":%s", flow_run_state_name((FlowRunState)event->new_state));
        break;
    case FLOW_EVENT_LOOP_STATE:
        flow_buf_printf(seen, ":%s:%s", event->producer_node_id,
                        flow_loop_state_name((FlowLoopState)event->new_state));
        break;
    case FLOW_EVENT_NODE_STARTED:
        flow_buf_printf(seen, ":%s", event->node_id);
        break;
    case FLOW_EVENT_NODE_COMPLETED:
        flow_buf_printf(seen, ":%s:%s", event->node_id, event->branch ? event->branch : "-");
        break;
    case FLOW_EVENT_NODE_FAILED:
    case FLOW_EVENT_DEAD_LETTERED:
        flow_buf_printf(seen, ":%s:%s", event->node_id, event->message);
        break;
    case FLOW_EVENT_ITERATION_COMPLETED:
        flow_buf_printf(seen, ":%llu:%d", (unsigned long long)event->iteration, event->outcome);
        break;
    case FLOW_EVENT_QUEUE_BOUND:
        flow_buf_printf(seen, ":%s:%d", event->queue, event->bound_reached);
        break;
    case FLOW_EVENT_EVENTS_DROPPED:
        for (unsigned kind = 0; kind < FLOW_EVENT_KIND_COUNT; kind++)
            self->lost += event->dropped[kind];
        break;
    default:
        break;
    }
    if (event->kind == FLOW_EVENT_NODE_COMPLETED && !flow_value_is_null(event->data))
        flow_value_assign_take(&self->data, flow_value_ref(event->data));
    if (event->kind == FLOW_EVENT_SNAPSHOT || event->kind == FLOW_EVENT_EVENTS_DROPPED)
        self->cursors_grow &= event->cursor >= self->cursor;
    else
        self->cursors_grow &= event->cursor > self->cursor;
    if (self->first_cursor == 0)
        self->first_cursor = event->cursor;
    self->cursor = event->cursor;
}

/* Reads what is there; true when the stream has ended. */
static bool watch_read(Watcher *self, size_t at_a_time)
{
    FlowEvent events[64];
    size_t count;
    self->status = flow_watch_read(self->watch, events, at_a_time, &count);
    for (size_t i = 0; i < count; i++)
        see(self, &events[i]);
    return self->status == FLOW_WATCH_ENDED;
}

static void watch_wait(Watcher *self)
{
    pthread_mutex_lock(&self->lock);
    while (!self->is_ready)
        pthread_cond_wait(&self->changed, &self->lock);
    self->is_ready = false;
    pthread_mutex_unlock(&self->lock);
}

static void watch_until_end(Watcher *self)
{
    for (;;) {
        if (watch_read(self, 64))
            return;
        if (self->status == FLOW_WATCH_EMPTY)
            watch_wait(self);
    }
}

static bool has_seen(Watcher *self, const char *word)
{
    return strstr(flow_buf_text(&self->seen), word) != NULL;
}

static void watch_until(Watcher *self, const char *word)
{
    while (!has_seen(self, word)) {
        assert_false(watch_read(self, 64));
        if (self->status == FLOW_WATCH_EMPTY && !has_seen(self, word))
            watch_wait(self);
    }
}

/* ---- the stream ---- */

static void a_snapshot_then_events_then_the_end(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>c c.a>w c.b>b",
                                "{'p': {'items': [{'wait': true}, 'a', 'b']}, 'c': {'by': 'item'}, "
                                "'w': {'queue': 'q'}}",
                                NULL));
    fakes_gate_wait("p", 1);
    Watcher watcher;
    watch_open(&watcher, flows, (FlowWatchOptions){.run_id = run});
    watch_until(&watcher, "snapshot");
    /* The loops are told that somebody watches before what is asked of them from now on. */
    assert_int_equal(flows_pause(flows, run, "p", false), FLOW_OK);
    fakes_gate_open("p", 1);
    watch_until_end(&watcher);
    const char *seen = flow_buf_text(&watcher.seen);
    assert_int_equal(strncmp(seen, " snapshot", 9), 0);
    assert_true(has_seen(
        &watcher, " node_started:p node_completed:p:default node_started:c node_completed:c:a node_started:w "
                  "node_completed:w:default"));
    assert_true(has_seen(&watcher, " node_started:b node_failed:b:bad"));
    assert_true(has_seen(&watcher, " dead_lettered:b:bad"));
    assert_true(has_seen(&watcher, " iteration_completed:2:0"));
    assert_true(has_seen(&watcher, " loop_state:p:COMPLETED run_state:COMPLETED"));
    assert_true(watcher.cursors_grow);
    watch_close(&watcher);
    flows_close(flows);
    free(run);
}

static void what_is_rare_is_kept_for_those_who_come_later(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(flows, fakes_definition(NULL, "p>b", "{'p': {'items': [1, 2]}}", NULL));
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    Watcher watcher;
    watch_open(&watcher, flows, (FlowWatchOptions){.run_id = run});
    watch_until_end(&watcher);
    assert_string_equal(flow_buf_text(&watcher.seen), " snapshot");
    uint64_t end = watcher.cursor;
    watch_close(&watcher);

    watch_open(&watcher, flows, (FlowWatchOptions){.run_id = run, .after_cursor = 1});
    watch_until_end(&watcher);
    assert_int_equal(watcher.counts[FLOW_EVENT_DEAD_LETTERED], 2);
    assert_int_equal(watcher.counts[FLOW_EVENT_SNAPSHOT], 0);
    assert_int_equal(watcher.counts[FLOW_EVENT_NODE_STARTED], 0);
    assert_true(has_seen(&watcher, " run_state:COMPLETED"));
    assert_int_equal(watcher.cursor, end);
    assert_int_equal(watcher.first_cursor, 2);
    watch_close(&watcher);

    /* Behind the last one there is nothing; a cursor from nowhere begins with a snapshot. */
    watch_open(&watcher, flows, (FlowWatchOptions){.run_id = run, .after_cursor = end});
    watch_until_end(&watcher);
    assert_int_equal(watcher.seen.len, 0);
    watch_close(&watcher);
    watch_open(&watcher, flows, (FlowWatchOptions){.run_id = run, .after_cursor = 1000000});
    watch_until_end(&watcher);
    assert_string_equal(flow_buf_text(&watcher.seen), " snapshot");
    watch_close(&watcher);
    flows_close(flows);
    free(run);
}

static void filters(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run =
        flows_start(flows, fakes_definition(NULL, "p>a a>h", "{'p': {'items': [{'wait': true}, 2]}}", NULL));
    fakes_gate_wait("p", 1);
    Watcher kinds, nodes;
    watch_open(&kinds, flows,
               (FlowWatchOptions){.run_id = run, .kinds = FLOW_EVENT_BIT(FLOW_EVENT_ITERATION_COMPLETED)});
    watch_open(&nodes, flows,
               (FlowWatchOptions){.run_id = run,
                                  .kinds = FLOW_EVENT_BIT(FLOW_EVENT_NODE_STARTED),
                                  .node_ids = (const char *const[]){"a", "nobody"},
                                  .node_id_count = 2});
    watch_until(&kinds, "snapshot");
    watch_until(&nodes, "snapshot");
    assert_int_equal(flows_pause(flows, run, NULL, false), FLOW_OK);
    fakes_gate_open("p", 1);
    watch_until_end(&kinds);
    watch_until_end(&nodes);
    assert_string_equal(flow_buf_text(&kinds.seen),
                        " snapshot iteration_completed:1:0 iteration_completed:2:0");
    assert_string_equal(flow_buf_text(&nodes.seen), " snapshot node_started:a node_started:a");
    watch_close(&kinds);
    watch_close(&nodes);
    flows_close(flows);
    free(run);
}

static void payloads_on_request(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows,
        fakes_definition(NULL, "p>a", "{'p': {'items': [{'wait': true}]}, 'a': {'set': {'k': 'v'}}}", NULL));
    fakes_gate_wait("p", 1);
    Watcher with, without, small;
    watch_open(&with, flows, (FlowWatchOptions){.run_id = run, .include_payloads = true});
    watch_open(&small, flows,
               (FlowWatchOptions){.run_id = run, .include_payloads = true, .payload_bytes = 8});
    watch_open(&without, flows, (FlowWatchOptions){.run_id = run});
    assert_int_equal(flows_pause(flows, run, NULL, false), FLOW_OK);
    fakes_gate_open("p", 1);
    watch_until_end(&with);
    watch_until_end(&small);
    watch_until_end(&without);
    expect_json(with.data, "{'item': 'waited', 'k': 'v'}");
    expect_json(without.data, "null");
    expect_json(small.data, "null");
    watch_close(&with);
    watch_close(&small);
    watch_close(&without);
    flows_close(flows);
    free(run);
}

static void a_queue_bound_is_told(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    flows_set_bound(flows, "q", 1);
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>w", "{'p': {'items': [1, 2, 3]}, 'w': {'queue': 'q'}}", NULL));
    Watcher watcher;
    watch_open(&watcher, flows, (FlowWatchOptions){.run_id = run, .after_cursor = 1});
    watch_until(&watcher, "queue_bound:q:1");
    flows_set_bound(flows, "q", 10);
    watch_until_end(&watcher);
    assert_true(has_seen(&watcher, "queue_bound:q:0"));
    watch_close(&watcher);
    flows_close(flows);
    free(run);
}

static void a_slow_watcher_loses_and_is_told(void **state)
{
    (void)state;
    Flows *flows = flows_open(&(FlowsOptions){.shards = 1});
    char *run = flows_start(flows, fakes_definition(NULL, "p>a a>h", "{'p': {'spin': true}}", NULL));
    Watcher slow;
    watch_open(&slow, flows, (FlowWatchOptions){.run_id = run});
    watch_until(&slow, "node_started");
    /* It looks away while the loop goes on; many times what a ring holds. */
    FlowRunView *view;
    uint64_t done;
    do {
        view = flows_get(flows, run, NULL);
        done = view->loops[0].done;
        flow_run_view_unref(view);
    } while (done < 200000);
    flow_buf_clear(&slow.seen);
    memset(slow.counts, 0, sizeof slow.counts);
    watch_until(&slow, "events_dropped snapshot");
    assert_true(slow.lost > 100000);
    assert_true(slow.cursors_grow);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.wait = true}), FLOW_OK);
    watch_until_end(&slow);
    assert_int_equal(slow.run_state, FLOW_RUN_STOPPED);
    assert_true(slow.cursors_grow);
    watch_close(&slow);
    flows_close(flows);
    free(run);
}

typedef struct Reader {
    pthread_t thread;
    Watcher watcher;
} Reader;

static void *read_all(void *context)
{
    watch_until_end(&((Reader *)context)->watcher);
    return NULL;
}

static void many_watchers_come_and_go(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(flows, fakes_definition(NULL, "p>w w>r r>a p2>h",
                                                    "{'p': {'spin': true}, 'p2': {'spin': true}}", NULL));
    Reader readers[6];
    for (size_t i = 0; i < FLOW_COUNT(readers); i++) {
        watch_open(&readers[i].watcher, flows, (FlowWatchOptions){.run_id = run, .include_payloads = i % 2});
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_all, &readers[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        Watcher visitor;
        watch_open(&visitor, flows, (FlowWatchOptions){.run_id = run});
        watch_until(&visitor, i % 2 ? "node_completed" : "snapshot");
        watch_close(&visitor);
    }
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.wait = true}), FLOW_OK);
    for (size_t i = 0; i < FLOW_COUNT(readers); i++) {
        pthread_join(readers[i].thread, NULL);
        assert_true(readers[i].watcher.cursors_grow);
        assert_int_equal(readers[i].watcher.run_state, FLOW_RUN_STOPPED);
        watch_close(&readers[i].watcher);
    }
    FlowEngineCounts counts;
    flow_engine_counts(flows->engine, &counts);
    assert_int_equal(counts.watches, 0);
    flows_close(flows);
    free(run);
}

static void a_run_that_is_not_there(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    Watcher watcher;
    watch_open(&watcher, flows, (FlowWatchOptions){.run_id = "nobody"});
    assert_null(watcher.watch);
    assert_int_equal(watcher.error.status, FLOW_NOT_FOUND);
    watch_close(&watcher);
    flows_close(flows);
}

#define TEST(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_snapshot_then_events_then_the_end),
        TEST(what_is_rare_is_kept_for_those_who_come_later),
        TEST(filters),
        TEST(payloads_on_request),
        TEST(a_queue_bound_is_told),
        TEST(a_slow_watcher_loses_and_is_told),
        TEST(many_watchers_come_and_go),
        TEST(a_run_that_is_not_there),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
