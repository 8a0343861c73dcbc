/* The life of runs and loops: states, stop, pause, finishing, policies, back-off, restarts, isolation. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "flows.h"
#include "value/json.h"

static int begin(void **state)
{
    (void)state;
    fakes_reset();
    return 0;
}

static void expect_text(char *got_take, const char *expected)
{
    assert_string_equal(got_take, expected);
    free(got_take);
}

/* ---- setup, cleanup ---- */

static void every_node_is_set_up_and_cleaned_up_in_reverse(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(flows, fakes_definition(NULL, "p>a a>h", "{'p': {'items': [1]}}", NULL));
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    expect_text(fakes_lives(), " +p +a +h -h -a -p");
    flows_close(flows);
    free(run);
}

static void a_failed_setup_fails_the_loop_and_cleans_up(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(flows, fakes_definition(NULL, "p>a a>z z>h p2>x2",
                                                    "{'p': {'items': [1]}, 'p2': {'items': [1, 2]}}", NULL));
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_FAILED);
    assert_int_equal(flows_loop(view, "p")->state, FLOW_LOOP_FAILED);
    assert_string_equal(flows_loop(view, "p")->last_error.reason, "SETUP_FAILED");
    assert_string_equal(flows_loop(view, "p")->last_error.node_id, "z");
    assert_int_equal(flows_loop(view, "p")->produced, 0);
    /* The others go on. */
    assert_int_equal(flows_loop(view, "p2")->state, FLOW_LOOP_COMPLETED);
    assert_int_equal(flows_loop(view, "p2")->done, 2);
    assert_int_equal(view->error.status, FLOW_FAILED_PRECONDITION);
    assert_non_null(strstr(view->error.message, "this one never works"));
    char *lives = fakes_lives();
    assert_non_null(strstr(lives, "-z"));
    assert_null(strstr(lives, "+h"));
    assert_int_equal(fakes_cleanups(), 5);
    flow_run_view_unref(view);
    flows_close(flows);
    free(lives);
    free(run);
}

/* ---- stop ---- */

static void stop_lets_the_current_unit_end(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>g g>w", "{'p': {'spin': true}, 'w': {'queue': 'q'}}", NULL));
    fakes_gate_wait("g", 1);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){0}), FLOW_OK);
    flows_expect(flows, run, FLOW_RUN_STOPPING);
    flows_expect_loop(flows, run, "p", FLOW_LOOP_STOPPING);
    fakes_gate_open("g", 1);
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_STOPPED);
    assert_int_equal(flows_loop(view, "p")->state, FLOW_LOOP_STOPPED);
    assert_int_equal(flows_loop(view, "p")->done, 1);
    flows_expect_queue(flows, "q", "[{'item': 0}]");
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){0}), FLOW_FAILED_PRECONDITION);
    assert_int_equal(flows_stop(flows, "nobody", &(FlowStopOptions){0}), FLOW_NOT_FOUND);
    flow_run_view_unref(view);
    flows_close(flows);
    free(run);
}

static void force_stop_cancels_and_makes_dead_letters(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>w p>g", "{'p': {'spin': true}, 'w': {'queue': 'q'}}", NULL));
    fakes_gate_wait("g", 1);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.force = true, .wait = true}), FLOW_OK);
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_STOPPED);
    assert_int_equal(flows_loop(view, "p")->dead_lettered, 1);
    assert_int_equal(flows_loop(view, "p")->in_flight, 0);
    FlowValue letters = flows_letters(flows, run);
    assert_int_equal(flow_array_count(letters), 1);
    FlowValue letter = *flow_array_at(letters, 0);
    expect_json(*flow_object_get(letter, "reason"), "'CANCELLED'");
    expect_json(*flow_object_get(letter, "node"), "'g'");
    expect_json(*flow_object_get(letter, "payload"), "{'item': 0}");
    flows_expect_queue(flows, "q", "[]");
    flow_value_unref(letters);
    flow_run_view_unref(view);
    flows_close(flows);
    free(run);
}

static void when_the_grace_is_over_units_are_cancelled(void **state)
{
    (void)state;
    FlowClock *clock = flow_test_clock_new(1700000000 * FLOW_NS_PER_S);
    Flows *flows = flows_open(&(FlowsOptions){.clock = clock});
    char *run = flows_start(flows, fakes_definition(NULL, "p>g", "{'p': {'spin': true}}", NULL));
    fakes_gate_wait("g", 1);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.grace_ns = 5 * FLOW_NS_PER_S}), FLOW_OK);
    flow_test_clock_advance(clock, 4 * FLOW_NS_PER_S);
    flows_expect(flows, run, FLOW_RUN_STOPPING);
    flow_test_clock_advance(clock, 2 * FLOW_NS_PER_S);
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_STOPPED);
    assert_int_equal(flows_loop(view, "p")->dead_lettered, 1);
    flow_run_view_unref(view);
    flows_close(flows);
    flow_test_clock_free(clock);
    free(run);
}

static void a_waiting_producer_does_not_hold_a_stop(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(flows, fakes_definition(NULL, "p>a", "{'p': {'items': [{'wait': true}]}}", NULL));
    fakes_gate_wait("p", 1);
    flows_expect_loop(flows, run, "p", FLOW_LOOP_WAITING);
    FlowRunView *view = flows_get(flows, run, NULL);
    assert_string_equal(view->loops[0].state_detail, "gate");
    flow_run_view_unref(view);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.wait = true}), FLOW_OK);
    view = flows_wait(flows, run, FLOW_RUN_STOPPED);
    assert_int_equal(view->loops[0].dead_lettered, 0);
    assert_int_equal(view->loops[0].produced, 0);
    /* It was asked to end: that is no failure. */
    assert_int_equal(flows_node(view, "p")->failed, 0);
    assert_string_equal(view->loops[0].last_error.message, "");
    flow_run_view_unref(view);
    flows_close(flows);
    free(run);
}

static void force_cancels_units_with_others_behind_them(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    /* The first unit stays in the background; many end behind it and wait for it to settle. */
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>s s>c c.a>n c.b>h",
                                "{'p': {'items': ['a', 'b', 'b', 'a', 'b', 'b', {'wait': true}]}, "
                                "'c': {'by': 'item'}, 'n': {'gate': true}}",
                                NULL));
    fakes_gate_wait("n", 2);
    fakes_gate_wait("p", 1);
    FlowRunView *view = flows_get(flows, run, NULL);
    assert_int_equal(view->loops[0].in_flight, 6);
    flow_run_view_unref(view);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.force = true, .wait = true}), FLOW_OK);
    view = flows_wait(flows, run, FLOW_RUN_STOPPED);
    assert_int_equal(view->loops[0].done, 4);
    assert_int_equal(view->loops[0].dead_lettered, 2);
    flow_run_view_unref(view);
    flows_close(flows);
    free(run);
}

/* ---- pause ---- */

static void pause_holds_producers_after_the_current_unit(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>g g>w", "{'p': {'items': [1, 2, 3]}, 'w': {'queue': 'q'}}", NULL));
    fakes_gate_wait("g", 1);
    assert_int_equal(flows_pause(flows, run, NULL, true), FLOW_OK);
    flows_expect(flows, run, FLOW_RUN_PAUSED);
    fakes_gate_open("g", 1);
    flows_expect_queue(flows, "q", "[{'item': 1}]");
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_PAUSED);
    assert_int_equal(view->loops[0].produced, 1);
    assert_int_equal(view->loops[0].state, FLOW_LOOP_PAUSED);
    flow_run_view_unref(view);
    /* Once more changes nothing. */
    assert_int_equal(flows_pause(flows, run, NULL, true), FLOW_OK);
    assert_int_equal(flows_pause(flows, run, NULL, false), FLOW_OK);
    fakes_gate_open("g", 2);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "q", "[{'item': 1}, {'item': 2}, {'item': 3}]");
    assert_int_equal(flows_pause(flows, run, NULL, true), FLOW_FAILED_PRECONDITION);
    flows_close(flows);
    free(run);
}

static void one_loop_is_paused_by_its_producer(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>g p2>g2", "{'p': {'spin': true}, 'p2': {'items': [1, 2]}}", NULL));
    fakes_gate_wait("g", 1);
    fakes_gate_wait("g2", 1);
    assert_int_equal(flows_pause(flows, run, "p", true), FLOW_OK);
    assert_int_equal(flows_pause(flows, run, "nobody", true), FLOW_NOT_FOUND);
    flows_expect_loop(flows, run, "p", FLOW_LOOP_PAUSED);
    fakes_gate_open("g2", 2);
    flows_expect_loop(flows, run, "p2", FLOW_LOOP_COMPLETED);
    /* What goes on is held: so the run is. */
    flows_expect(flows, run, FLOW_RUN_PAUSED);
    assert_int_equal(flows_pause(flows, run, "p", false), FLOW_OK);
    flows_expect(flows, run, FLOW_RUN_RUNNING);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.force = true, .wait = true}), FLOW_OK);
    flows_close(flows);
    free(run);
}

static void a_paused_reader_gives_back_what_it_has_not_begun(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    for (int i = 0; i < 5; i++)
        flows_push(flows, "in", "{'n': 1}");
    char *run = flows_start(flows, fakes_definition(NULL, "r>g", "{'r': {'queue': 'in'}}", NULL));
    fakes_gate_wait("g", 1);
    assert_int_equal(flows_pause(flows, run, NULL, true), FLOW_OK);
    FlowQueueInfo ledger;
    do
        ledger = flows_ledger(flows, "in");
    while (ledger.queued != 4);
    assert_int_equal(ledger.in_flight, 1);
    assert_int_equal(flows_pause(flows, run, NULL, false), FLOW_OK);
    fakes_gate_open("g", 5);
    do
        ledger = flows_ledger(flows, "in");
    while (ledger.done != 5);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.wait = true}), FLOW_OK);
    flows_expect_balance(flows);
    flows_close(flows);
    free(run);
}

/* ---- finishing ---- */

static void a_completed_producer_waits_for_its_continuations(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>n n>w",
                                "{'p': {'items': [1, 2]}, 'n': {'gate': true}, 'w': {'queue': 'q'}}", NULL));
    fakes_gate_wait("n", 2);
    flows_expect(flows, run, FLOW_RUN_RUNNING);
    fakes_gate_open("n", 2);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "q", "[{'item': 1}, {'item': 2}]");
    flows_close(flows);
    free(run);
}

static void a_reader_ends_with_its_writers(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run =
        flows_start(flows, fakes_definition(NULL, "p>w w>r r>w2 p3>w3 w3>r",
                                            "{'p': {'items': [1, 2]}, 'p3': {'items': [{'wait': true}]}, "
                                            "'w2': {'queue': 'out'}}",
                                            NULL));
    flows_expect_queue(flows, "out", "[{'item': 1}, {'item': 2}]");
    flows_expect_loop(flows, run, "p", FLOW_LOOP_COMPLETED);
    /* One writer goes on. */
    flows_expect_loop(flows, run, "r", FLOW_LOOP_WAITING);
    fakes_gate_wait("p3", 1);
    fakes_gate_open("p3", 1);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "out", "[{'item': 1}, {'item': 2}, {'item': 'waited'}]");
    flows_expect_balance(flows);
    flows_close(flows);
    free(run);
}

static void a_writer_that_fails_ends_its_reader_too(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(flows, fakes_definition(NULL, "p>w w>r w>z r>w2",
                                                    "{'p': {'items': [1]}, 'w2': {'queue': 'out'}}", NULL));
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_FAILED);
    assert_int_equal(flows_loop(view, "p")->state, FLOW_LOOP_FAILED);
    assert_int_equal(flows_loop(view, "r")->state, FLOW_LOOP_COMPLETED);
    flow_run_view_unref(view);
    flows_close(flows);
    free(run);
}

static void a_reader_without_writers_runs_until_stopped(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    flows_push(flows, "in", "{'n': 1}");
    char *run = flows_start(
        flows, fakes_definition(NULL, "r>w", "{'r': {'queue': 'in'}, 'w': {'queue': 'out'}}", NULL));
    flows_expect_queue(flows, "out", "[{'n': 1}]");
    flows_expect_loop(flows, run, "r", FLOW_LOOP_WAITING);
    flows_push(flows, "in", "{'n': 2}");
    flows_expect_queue(flows, "out", "[{'n': 1}, {'n': 2}]");
    flows_expect(flows, run, FLOW_RUN_RUNNING);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.wait = true}), FLOW_OK);
    flows_expect(flows, run, FLOW_RUN_STOPPED);
    flows_close(flows);
    free(run);
}

static void a_cycle_of_queues_runs_until_stopped(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run =
        flows_start(flows, fakes_definition(NULL, "p>w w>r r>x r>c c.a>w2 w2>r",
                                            "{'p': {'items': [{'k': 1}]}, 'c': {'branch': 'b'}}", NULL));
    flows_expect_loop(flows, run, "p", FLOW_LOOP_COMPLETED);
    flows_expect_loop(flows, run, "r", FLOW_LOOP_WAITING);
    flows_expect(flows, run, FLOW_RUN_RUNNING);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.wait = true}), FLOW_OK);
    flows_expect(flows, run, FLOW_RUN_STOPPED);
    flows_close(flows);
    free(run);
}

static void leftovers_stay_and_are_read_by_the_next_start(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    flows_put(flows, "wf", fakes_definition("wf", "r>g", "{'r': {'queue': 'in'}}", NULL));
    for (int i = 0; i < 3; i++)
        flows_push(flows, "in", "{'n': 1}");
    FlowStartOptions start = {.workflow_id = "wf"};
    char *run = flows_try_start(flows, &start, NULL);
    fakes_gate_wait("g", 1);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){0}), FLOW_OK);
    fakes_gate_open("g", 1);
    flows_expect(flows, run, FLOW_RUN_STOPPED);
    FlowQueueInfo ledger = flows_ledger(flows, "in");
    assert_int_equal(ledger.queued, 2);
    assert_int_equal(ledger.done, 1);
    free(run);
    fakes_gate_open("g", 2);
    run = flows_try_start(flows, &start, NULL);
    assert_non_null(run);
    do
        ledger = flows_ledger(flows, "in");
    while (ledger.done != 3);
    flows_close(flows);
    free(run);
}

/* ---- back pressure ---- */

static bool is_blocked_by(const FlowRunView *view, const void *queue)
{
    return view->loops[0].state == FLOW_LOOP_BLOCKED && strcmp(view->loops[0].state_detail, queue) == 0;
}

static void a_full_queue_blocks_its_writer(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    flows_set_bound(flows, "q", 3);
    char *run =
        flows_start(flows, fakes_definition(NULL, "p>w", "{'p': {'spin': true}, 'w': {'queue': 'q'}}", NULL));
    FlowRunView *view = flows_until(flows, run, is_blocked_by, "q");
    flow_run_view_unref(view);
    FlowQueueInfo ledger = flows_ledger(flows, "q");
    assert_int_equal(ledger.queued, 3);
    assert_true(ledger.waiting_settles > 0);
    /* Force does not lose what has ended: it is pushed beyond the bound. */
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.force = true, .wait = true}), FLOW_OK);
    view = flows_wait(flows, run, FLOW_RUN_STOPPED);
    assert_int_equal(view->loops[0].in_flight, 0);
    ledger = flows_ledger(flows, "q");
    assert_int_equal(ledger.queued, view->loops[0].done);
    flow_run_view_unref(view);
    flows_expect_balance(flows);
    flows_close(flows);
    free(run);
}

static void a_slow_reader_paces_its_writer(void **state)
{
    (void)state;
    Flows *flows = flows_open(&(FlowsOptions){.queue_max_items = 4});
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>w w>r r>w2",
                                "{'p': {'items': [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]}, "
                                "'w2': {'queue': 'out'}}",
                                NULL));
    flows_expect_loop(flows, run, "r", FLOW_LOOP_BLOCKED);
    flows_set_bound(flows, "out", 100);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    FlowValue out = flows_queue(flows, "out");
    assert_int_equal(flow_array_count(out), 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(flow_value_get_int(*flow_object_get(*flow_array_at(out, (size_t)i), "item")), i + 1);
    flow_value_unref(out);
    flows_expect_balance(flows);
    flows_close(flows);
    free(run);
}

static void max_in_flight_bounds_the_background(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run =
        flows_start(flows, fakes_definition(NULL, "p>n n>a", "{'p': {'spin': true}, 'n': {'gate': true}}",
                                            "{'p': {'max_in_flight': 5}}"));
    fakes_gate_wait("n", 5);
    flows_expect_loop(flows, run, "p", FLOW_LOOP_BLOCKED);
    FlowRunView *view = flows_get(flows, run, NULL);
    assert_int_equal(view->loops[0].in_flight, 5);
    assert_string_equal(view->loops[0].state_detail, "max_in_flight");
    flow_run_view_unref(view);
    fakes_gate_open("n", 2);
    fakes_gate_wait("n", 5);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.force = true, .wait = true}), FLOW_OK);
    view = flows_wait(flows, run, FLOW_RUN_STOPPED);
    assert_int_equal(view->loops[0].done, 2);
    assert_int_equal(view->loops[0].dead_lettered, 5);
    flow_run_view_unref(view);
    flows_close(flows);
    free(run);
}

static void the_producer_goes_on_while_the_background_works(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>n n>w p>w2",
                                "{'p': {'items': [1, 2, 3]}, 'n': {'gate': true}, 'w': {'queue': 'q'}, "
                                "'w2': {'queue': 'q2'}}",
                                NULL));
    fakes_gate_wait("n", 3);
    /* A unit settles as a whole, when its background has ended. */
    flows_expect_queue(flows, "q2", "[]");
    fakes_gate_open("n", 3);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "q", "[{'item': 1}, {'item': 2}, {'item': 3}]");
    flows_expect_queue(flows, "q2", "[{'item': 1}, {'item': 2}, {'item': 3}]");
    flows_close(flows);
    free(run);
}

static void a_slow_background_holds_up_only_its_own_delivery(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    for (int i = 0; i < 3; i++)
        flows_push(flows, "in", i == 0 ? "{'way': 'a'}" : "{'way': 'b'}");
    char *run =
        flows_start(flows, fakes_definition(NULL, "r>c c.a>n n>w c.b>w2",
                                            "{'r': {'queue': 'in'}, 'c': {'by': 'way'}, 'n': {'gate': true}, "
                                            "'w': {'queue': 'a'}, 'w2': {'queue': 'b'}}",
                                            NULL));
    flows_expect_queue(flows, "b", "[{'way': 'b'}, {'way': 'b'}]");
    FlowQueueInfo ledger;
    do
        ledger = flows_ledger(flows, "in");
    while (ledger.done != 2);
    assert_int_equal(ledger.in_flight, 1);
    fakes_gate_open("n", 1);
    flows_expect_queue(flows, "a", "[{'way': 'a'}]");
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.wait = true}), FLOW_OK);
    flows_expect_balance(flows);
    flows_close(flows);
    free(run);
}

static void one_at_a_time_waits_for_its_turn(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run =
        flows_start(flows, fakes_definition(NULL, "p>n n>o o>w",
                                            "{'p': {'items': [1, 2, 3]}, 'w': {'queue': 'q'}}", NULL));
    fakes_gate_wait("o", 1);
    FlowRunView *view = flows_get(flows, run, NULL);
    assert_int_equal(flows_node(view, "o")->in_flight, 1);
    flow_run_view_unref(view);
    for (int i = 0; i < 3; i++) {
        fakes_gate_wait("o", 1);
        fakes_gate_open("o", 1);
    }
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "q", "[{'item': 1}, {'item': 2}, {'item': 3}]");
    flows_close(flows);
    free(run);
}

/* ---- failures ---- */

static void a_dead_letter_says_everything(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(flows, fakes_definition(NULL, "p>w w>r r>x1 x1>b",
                                                    "{'p': {'items': [7]}, 'x1': {'set': {'k': 1}}, "
                                                    "'b': {'message': 'order 4711 is wrong'}}",
                                                    NULL));
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_COMPLETED);
    FlowValue letters = flows_letters(flows, run);
    assert_int_equal(flow_array_count(letters), 1);
    FlowValue letter = *flow_array_at(letters, 0);
    expect_json(*flow_object_get(letter, "node"), "'b'");
    expect_json(*flow_object_get(letter, "type"), "'fake-b'");
    expect_json(*flow_object_get(letter, "producer"), "'r'");
    expect_json(*flow_object_get(letter, "reason"), "'NODE_FAILED'");
    expect_json(*flow_object_get(letter, "code"), "'INVALID_ARGUMENT'");
    expect_json(*flow_object_get(letter, "message"), "'order 4711 is wrong'");
    expect_json(*flow_object_get(letter, "payload"), "{'item': 7, 'k': 1}");
    expect_json(*flow_object_get(*flow_object_get(letter, "form"), "script"),
                "{'message': 'order 4711 is wrong'}");
    const FlowLoopView *loop = flows_loop(view, "r");
    assert_string_equal(loop->last_error.message, "order 4711 is wrong");
    assert_string_equal(loop->last_error.node_id, "b");
    assert_int_equal(strlen(loop->last_error.dead_letter_id), 36);
    assert_true(flow_value_text_equals(flow_object_get(letter, "fingerprint"), loop->last_error.fingerprint));
    assert_string_equal(flows_node(view, "b")->last_error.message, "order 4711 is wrong");
    assert_int_equal(flows_node(view, "b")->failed, 1);
    flow_value_unref(letters);
    flow_run_view_unref(view);
    flows_expect_balance(flows);
    flows_close(flows);
    free(run);
}

static void a_failure_in_the_background_fails_the_whole_unit(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(flows, fakes_definition(NULL, "p>n n>g g>b p>n2 n2>g2 g2>w",
                                                    "{'p': {'items': [1]}, 'w': {'queue': 'q'}}", NULL));
    fakes_gate_wait("g", 1);
    fakes_gate_wait("g2", 1);
    fakes_gate_open("g", 1);
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_COMPLETED);
    assert_int_equal(view->loops[0].dead_lettered, 1);
    /* The other way of the unit was cancelled. */
    char *trace = fakes_trace();
    assert_non_null(strstr(trace, "!g2"));
    assert_null(strstr(trace, " w"));
    flows_expect_queue(flows, "q", "[]");
    flow_run_view_unref(view);
    flows_close(flows);
    free(trace);
    free(run);
}

static void policy_stop_fails_the_loop(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>b p2>a",
                                "{'p': {'items': [1, 2, 3]}, 'b': {'if': 2}, 'p2': {'items': [1]}}",
                                "{'p': {'on_error': 'stop'}}"));
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_FAILED);
    assert_int_equal(flows_loop(view, "p")->state, FLOW_LOOP_FAILED);
    assert_int_equal(flows_loop(view, "p")->produced, 2);
    assert_int_equal(flows_loop(view, "p2")->state, FLOW_LOOP_COMPLETED);
    flow_run_view_unref(view);
    flows_close(flows);
    free(run);
}

static void policy_pause_holds_the_loop(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows,
        fakes_definition(NULL, "p>b b>w", "{'p': {'items': [1, 2, 3]}, 'b': {'if': 2}, 'w': {'queue': 'q'}}",
                         "{'p': {'on_error': 'pause'}}"));
    flows_expect_loop(flows, run, "p", FLOW_LOOP_PAUSED);
    flows_expect(flows, run, FLOW_RUN_PAUSED);
    flows_expect_queue(flows, "q", "[{'item': 1}]");
    assert_int_equal(flows_pause(flows, run, NULL, false), FLOW_OK);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "q", "[{'item': 1}, {'item': 3}]");
    flows_close(flows);
    free(run);
}

static void failures_in_a_row_pause_the_loop(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>c c.a>b c.b>a",
                                "{'p': {'items': ['a', 'a', 'b', 'a', 'a', 'a', 'b']}, 'c': {'by': 'item'}}",
                                "{'p': {'error_threshold': 3}}"));
    flows_expect_loop(flows, run, "p", FLOW_LOOP_PAUSED);
    FlowRunView *view = flows_get(flows, run, NULL);
    assert_int_equal(view->loops[0].produced, 6);
    flow_run_view_unref(view);
    assert_int_equal(flows_pause(flows, run, NULL, false), FLOW_OK);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_close(flows);
    free(run);
}

static bool producer_has_failed(const FlowRunView *view, const void *times)
{
    return flows_node(view, "p")->failed == *(const uint64_t *)times &&
           view->loops[0].state == FLOW_LOOP_BACKING_OFF;
}

static void a_failing_producer_backs_off(void **state)
{
    (void)state;
    FlowClock *clock = flow_test_clock_new(1700000000 * FLOW_NS_PER_S);
    Flows *flows = flows_open(&(FlowsOptions){.clock = clock});
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>w",
                                "{'p': {'items': [1, {'fail': 'no feed'}, 2]}, 'w': {'queue': 'q'}}", NULL));
    flows_expect_loop(flows, run, "p", FLOW_LOOP_BACKING_OFF);
    FlowRunView *view = flows_get(flows, run, NULL);
    assert_string_equal(view->loops[0].last_error.message, "no feed");
    assert_string_equal(view->loops[0].last_error.dead_letter_id, "");
    assert_int_equal(view->loops[0].dead_lettered, 0);
    flow_run_view_unref(view);
    flow_test_clock_advance(clock, 99 * FLOW_NS_PER_MS);
    flows_expect_loop(flows, run, "p", FLOW_LOOP_BACKING_OFF);
    flow_test_clock_advance(clock, 1 * FLOW_NS_PER_MS);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "q", "[{'item': 1}, {'item': {'fail': 'no feed'}}, {'item': 2}]");
    flows_close(flows);
    flow_test_clock_free(clock);
    free(run);
}

static bool has_ended_meanwhile(const FlowRunView *view, const void *clock)
{
    flow_test_clock_advance((FlowClock *)clock, 2 * FLOW_NS_PER_S);
    return view->state == FLOW_RUN_COMPLETED;
}

static void a_node_that_takes_too_long_times_out(void **state)
{
    (void)state;
    FlowClock *clock = flow_test_clock_new(1700000000 * FLOW_NS_PER_S);
    Flows *flows = flows_open(&(FlowsOptions){.clock = clock});
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>g", "{'p': {'items': [1]}}", "{'g': {'timeout': '2s'}}"));
    fakes_gate_wait("g", 1);
    /* The call stands at the gate a moment before its timer is set. */
    flow_run_view_unref(flows_until(flows, run, has_ended_meanwhile, clock));
    FlowValue letters = flows_letters(flows, run);
    expect_json(*flow_object_get(*flow_array_at(letters, 0), "reason"), "'TIMEOUT'");
    expect_json(*flow_object_get(*flow_array_at(letters, 0), "code"), "'DEADLINE_EXCEEDED'");
    flow_value_unref(letters);
    flows_close(flows);
    flow_test_clock_free(clock);
    free(run);
}

static void more_pushes_than_a_unit_may_make(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run = flows_start(
        flows,
        fakes_definition(NULL, "p>y", "{'p': {'items': [1]}, 'y': {'queue': 'q', 'push': 10001}}", NULL));
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    FlowValue letters = flows_letters(flows, run);
    expect_json(*flow_object_get(*flow_array_at(letters, 0), "reason"), "'PAYLOAD_TOO_LARGE'");
    assert_int_equal(flows_ledger(flows, "q").pushed, 0);
    flow_value_unref(letters);
    flows_close(flows);
    free(run);
}

static void the_back_off_doubles(void **state)
{
    (void)state;
    FlowClock *clock = flow_test_clock_new(1700000000 * FLOW_NS_PER_S);
    Flows *flows = flows_open(&(FlowsOptions){.clock = clock});
    char *run = flows_start(flows, fakes_definition(NULL, "p>a", "{'p': {'broken': true}}", NULL));
    int64_t expected_ms = 100;
    for (uint64_t failures = 1; failures < 12; failures++) {
        FlowRunView *view = flows_until(flows, run, producer_has_failed, &failures);
        assert_int_equal(view->loops[0].state, FLOW_LOOP_BACKING_OFF);
        flow_run_view_unref(view);
        /* A moment before it is due nothing happens. */
        flow_test_clock_advance(clock, (expected_ms - 1) * FLOW_NS_PER_MS);
        flows_expect_loop(flows, run, "p", FLOW_LOOP_BACKING_OFF);
        view = flows_get(flows, run, NULL);
        assert_int_equal(flows_node(view, "p")->failed, failures);
        flow_run_view_unref(view);
        flow_test_clock_advance(clock, FLOW_NS_PER_MS);
        expected_ms = expected_ms * 2 < 30000 ? expected_ms * 2 : 30000;
    }
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.wait = true}), FLOW_OK);
    flows_close(flows);
    flow_test_clock_free(clock);
    free(run);
}

/* ---- the entry of a loop ---- */

static void what_waits_at_the_entry_comes_before_the_producer(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    flows_put(flows, "wf",
              fakes_definition("wf", "p>a a>w", "{'p': {'items': [1]}, 'w': {'queue': 'q'}}", NULL));
    flows_push(flows, "wf.entry_p", "{'again': 1}");
    flows_push(flows, "wf.entry_p", "{'again': 2}");
    char *run = flows_try_start(flows, &(FlowStartOptions){.workflow_id = "wf"}, NULL);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "q", "[{'again': 1}, {'again': 2}, {'item': 1}]");
    char *trace = fakes_trace();
    assert_string_equal(trace, " a w a w p a w p");
    FlowQueueInfo ledger = flows_ledger(flows, "wf.entry_p");
    assert_int_equal(ledger.done, 2);
    FlowRunView *view = flows_get(flows, run, NULL);
    assert_int_equal(view->loops[0].done, 3);
    flow_run_view_unref(view);
    flows_expect_balance(flows);
    flows_close(flows);
    free(trace);
    free(run);
}

static void the_entry_is_open_while_the_producer_waits(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    flows_put(
        flows, "wf",
        fakes_definition("wf", "p>a a>w", "{'p': {'items': [{'wait': true}]}, 'w': {'queue': 'q'}}", NULL));
    char *run = flows_try_start(flows, &(FlowStartOptions){.workflow_id = "wf"}, NULL);
    fakes_gate_wait("p", 1);
    flows_push(flows, "wf.entry_p", "{'again': 1}");
    flows_expect_queue(flows, "q", "[{'again': 1}]");
    fakes_gate_wait("p", 1);
    fakes_gate_open("p", 1);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "q", "[{'again': 1}, {'item': 'waited'}]");
    flows_close(flows);
    free(run);
}

/* ---- settling ---- */

static void units_without_effects_are_settled_together(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    FlowStoreInfo before, after;
    flow_store_info(flows->store, &before);
    FlowBuf items;
    flow_buf_init(&items, 0);
    flow_buf_str(&items, "{'p': {'items': [0");
    for (int i = 1; i < 2000; i++)
        flow_buf_printf(&items, ", %d", i);
    flow_buf_str(&items, "]}}");
    char *run = flows_start(flows, fakes_definition(NULL, "p>a a>s", flow_buf_text(&items), NULL));
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_COMPLETED);
    flow_store_info(flows->store, &after);
    assert_int_equal(view->loops[0].done, 2000);
    assert_true(after.operations - before.operations < 200);
    flow_run_view_unref(view);
    flow_buf_done(&items);
    flows_expect_balance(flows);
    flows_close(flows);
    free(run);
}

static void queues_exist_from_the_start(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    char *run =
        flows_start(flows, fakes_definition(NULL, "p>w p>w2 w2>r",
                                            "{'p': {'items': [{'wait': true}]}, 'w': {'queue': 'q'}}", NULL));
    while (flows_ledger(flows, "q").max_items == 0)
        ;
    FlowStoreQueueList list = {.max = 10};
    flow_store_queue_list(flows->store, &list);
    assert_int_equal(flow_store_wait(flows->store, &list.op), FLOW_OK);
    assert_int_equal(list.count, 2);
    bool found = false;
    for (size_t i = 0; i < list.count; i++)
        found |=
            strcmp(list.queues[i].short_name, "queue_w2_r") == 0 && list.queues[i].kind == FLOW_QUEUE_MAPPED;
    assert_true(found);
    flow_store_op_done(&list.op);
    flows_close(flows);
    free(run);
}

/* ---- isolation ---- */

static void a_spinning_loop_starves_nobody(void **state)
{
    (void)state;
    Flows *flows = flows_open(&(FlowsOptions){.shards = 1});
    char *spin = flows_start(flows, fakes_definition(NULL, "p>a a>h", "{'p': {'spin': true}}", NULL));
    flows_expect(flows, spin, FLOW_RUN_RUNNING);
    char *run =
        flows_start(flows, fakes_definition(NULL, "p>w w>r r>w2",
                                            "{'p': {'items': [1, 2, 3]}, 'w2': {'queue': 'out'}}", NULL));
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    assert_int_equal(flows_stop(flows, spin, &(FlowStopOptions){.wait = true}), FLOW_OK);
    flows_close(flows);
    free(spin);
    free(run);
}

static void a_thread_loop_has_its_own_thread(void **state)
{
    (void)state;
    Flows *flows = flows_open(&(FlowsOptions){.shards = 1, .threads_max = 1});
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>t t>w", "{'p': {'items': [1]}, 'w': {'queue': 'q'}}", NULL));
    fakes_gate_wait("t", 1);
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_RUNNING);
    assert_int_equal(view->loops[0].pool, FLOW_POOL_THREAD);
    assert_non_null(strstr(view->loops[0].pool_reason, "node t"));
    flow_run_view_unref(view);
    /* A second one waits for a thread, and says so. */
    char *second = flows_start(flows, fakes_definition(NULL, "p>t2", "{'p': {'items': [1]}}", NULL));
    view = flows_get(flows, second, NULL);
    assert_int_equal(view->loops[0].state, FLOW_LOOP_STARTING);
    assert_string_equal(view->loops[0].state_detail, "waits for a thread");
    flow_run_view_unref(view);
    /* It can be stopped while it waits. */
    char *third = flows_start(flows, fakes_definition(NULL, "p>t3", "{'p': {'items': [1]}}", NULL));
    assert_int_equal(flows_stop(flows, third, &(FlowStopOptions){.wait = true}), FLOW_OK);
    flows_expect(flows, third, FLOW_RUN_STOPPED);
    free(third);
    fakes_gate_open("t", 1);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "q", "[{'item': 1}]");
    fakes_gate_wait("t2", 1);
    /* Blocked in its thread, it still sees a force stop. */
    assert_int_equal(flows_stop(flows, second, &(FlowStopOptions){.force = true, .wait = true}), FLOW_OK);
    flows_expect(flows, second, FLOW_RUN_STOPPED);
    flows_close(flows);
    free(second);
    free(run);
}

/* ---- starting ---- */

static void one_active_run_per_workflow(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    FlowError error;
    flows_put(flows, "wf", fakes_definition("wf", "p>g", "{'p': {'spin': true}}", NULL));
    char *run = flows_try_start(flows, &(FlowStartOptions){.workflow_id = "wf", .request_id = "one"}, &error);
    assert_non_null(run);
    assert_null(flows_try_start(flows, &(FlowStartOptions){.workflow_id = "wf"}, &error));
    assert_int_equal(error.status, FLOW_FAILED_PRECONDITION);
    assert_non_null(strstr(error.message, run));
    /* The same request gives the same answer; another one with its id is refused. */
    char *again =
        flows_try_start(flows, &(FlowStartOptions){.workflow_id = "wf", .request_id = "one"}, &error);
    assert_string_equal(again, run);
    FlowValue parameters = json("{'x': 1}");
    assert_null(flows_try_start(
        flows, &(FlowStartOptions){.workflow_id = "wf", .request_id = "one", .parameters = parameters},
        &error));
    assert_int_equal(error.status, FLOW_INVALID_ARGUMENT);
    flow_value_unref(parameters);
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.force = true, .wait = true}), FLOW_OK);
    char *next = flows_try_start(flows, &(FlowStartOptions){.workflow_id = "wf"}, &error);
    assert_non_null(next);
    flows_close(flows);
    free(next);
    free(again);
    free(run);
}

static void what_can_not_start_says_why(void **state)
{
    (void)state;
    Flows *flows = flows_open(NULL);
    FlowError error;
    assert_null(flows_try_start(flows, &(FlowStartOptions){.workflow_id = "nobody"}, &error));
    assert_int_equal(error.status, FLOW_NOT_FOUND);
    FlowValue faulty = fakes_definition(NULL, "p>a q.nohandle>a", NULL, NULL);
    assert_null(flows_try_start(flows, &(FlowStartOptions){.workflow = faulty}, &error));
    assert_int_equal(error.status, FLOW_INVALID_ARGUMENT);
    flow_value_unref(faulty);
    FlowValue idle = fakes_definition(NULL, "a>h", NULL, NULL);
    assert_null(flows_try_start(flows, &(FlowStartOptions){.workflow = idle}, &error));
    assert_int_equal(error.status, FLOW_FAILED_PRECONDITION);
    assert_string_equal(error.reason, "PRODUCER_MISSING");
    flow_value_unref(idle);
    FlowValue process = fakes_definition(NULL, "p>a", "{'p': {'items': []}}", "{'a': {'pool': 'PROCESS'}}");
    assert_null(flows_try_start(flows, &(FlowStartOptions){.workflow = process}, &error));
    assert_int_equal(error.status, FLOW_UNIMPLEMENTED);
    flow_value_unref(process);
    flows_close(flows);
}

/* ---- restarts of the server ---- */

static void make_path(char path[64])
{
    strcpy(path, "/tmp/flow-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    strcat(path, "/store.db");
}

static void remove_path(char *path)
{
    char command[128];
    *strrchr(path, '/') = '\0';
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static void a_running_run_goes_on_under_its_id(void **state)
{
    (void)state;
    char path[64];
    make_path(path);
    Flows *flows = flows_open(&(FlowsOptions){.path = path});
    char *run = flows_start(
        flows, fakes_definition(
                   NULL, "p>s s>g g>w w>r r>w2 p2>a",
                   "{'p': {'items': [1, 2, 3, 4]}, 'p2': {'items': [1]}, 'w2': {'queue': 'out'}}", NULL));
    fakes_gate_wait("g", 1);
    fakes_gate_open("g", 1);
    flows_expect_queue(flows, "out", "[{'item': 1, 'count': 1}]");
    flows_expect_loop(flows, run, "p2", FLOW_LOOP_COMPLETED);
    fakes_gate_wait("g", 1);
    /* SIGTERM: the current unit ends and settles. */
    flows_drain(flows, 30 * FLOW_NS_PER_S);
    flows_expect_loop(flows, run, "p", FLOW_LOOP_STOPPING);
    fakes_gate_open("g", 1);
    flows_close(flows);

    flows = flows_open(&(FlowsOptions){.path = path});
    FlowRunView *view = flows_wait(flows, run, FLOW_RUN_RUNNING);
    assert_int_equal(flows_loop(view, "p2")->state, FLOW_LOOP_COMPLETED);
    assert_int_equal(flows_loop(view, "p2")->done, 1);
    flow_run_view_unref(view);
    fakes_gate_open("g", 4);
    view = flows_wait(flows, run, FLOW_RUN_COMPLETED);
    flows_expect_queue(flows, "out",
                       "[{'item': 1, 'count': 1}, {'item': 2, 'count': 2}, {'item': 3, 'count': 3}, {'item': "
                       "4, 'count': 4}]");
    assert_int_equal(flows_loop(view, "p")->produced, 4);
    assert_int_equal(flows_loop(view, "r")->done, 4);
    flow_run_view_unref(view);
    flows_expect_balance(flows);
    flows_close(flows);

    /* What has ended can still be looked at. */
    flows = flows_open(&(FlowsOptions){.path = path});
    FlowError error;
    view = flows_get(flows, run, &error);
    assert_int_equal(view->state, FLOW_RUN_COMPLETED);
    assert_int_equal(flows_loop(view, "p")->done, 4);
    assert_int_equal(flows_loop(view, "p")->member_count, 4);
    assert_true(flows_node(view, "s")->completed > 0);
    flow_run_view_unref(view);
    flows_close(flows);
    remove_path(path);
    free(run);
}

static bool second_has_failed_twice(const FlowRunView *view, const void *context)
{
    (void)context;
    return flows_loop(view, "p2")->dead_lettered == 2;
}

static void a_paused_run_stays_paused(void **state)
{
    (void)state;
    char path[64];
    make_path(path);
    Flows *flows = flows_open(&(FlowsOptions){.path = path});
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>g g>w p2>b",
                                "{'p': {'items': [1, 2]}, 'w': {'queue': 'q'}, 'p2': {'items': [1, 2]}}",
                                "{'p2': {'on_error': 'pause'}}"));
    fakes_gate_wait("g", 1);
    assert_int_equal(flows_pause(flows, run, "p", true), FLOW_OK);
    fakes_gate_open("g", 1);
    flows_expect_queue(flows, "q", "[{'item': 1}]");
    flows_expect_loop(flows, run, "p2", FLOW_LOOP_PAUSED);
    flows_expect(flows, run, FLOW_RUN_PAUSED);
    flows_drain(flows, 30 * FLOW_NS_PER_S);
    flows_close(flows);

    flows = flows_open(&(FlowsOptions){.path = path});
    flows_expect(flows, run, FLOW_RUN_PAUSED);
    flows_expect_loop(flows, run, "p", FLOW_LOOP_PAUSED);
    flows_expect_loop(flows, run, "p2", FLOW_LOOP_PAUSED);
    FlowRunView *view = flows_get(flows, run, NULL);
    assert_string_equal(flows_loop(view, "p2")->last_error.message, "bad");
    assert_int_equal(flows_node(view, "b")->failed, 1);
    flow_run_view_unref(view);
    fakes_gate_open("g", 1);
    assert_int_equal(flows_pause(flows, run, "p", false), FLOW_OK);
    flows_expect_queue(flows, "q", "[{'item': 1}, {'item': 2}]");
    assert_int_equal(flows_pause(flows, run, NULL, false), FLOW_OK);
    flow_run_view_unref(flows_until(flows, run, second_has_failed_twice, NULL));
    flows_expect_loop(flows, run, "p2", FLOW_LOOP_PAUSED);
    assert_int_equal(flows_pause(flows, run, NULL, false), FLOW_OK);
    flows_expect(flows, run, FLOW_RUN_COMPLETED);
    flows_close(flows);
    remove_path(path);
    free(run);
}

/* The disk is full, or has room again: for this process. */
static void allow_writes(bool allowed)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = allowed ? limit.rlim_max : 0;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static bool is_away(const FlowRunView *view, const void *context)
{
    (void)context;
    return flows_loop(view, "p")->state == FLOW_LOOP_BLOCKED &&
           strcmp(flows_loop(view, "p")->state_detail, "the store is away") == 0;
}

static bool is_back(const FlowRunView *view, const void *clock)
{
    flow_test_clock_advance((FlowClock *)clock, 500 * FLOW_NS_PER_MS);
    return flows_loop(view, "p")->state != FLOW_LOOP_BLOCKED;
}

static void loops_wait_while_the_store_is_away(void **state)
{
    (void)state;
    char path[64];
    make_path(path);
    signal(SIGXFSZ, SIG_IGN);
    FlowClock *clock = flow_test_clock_new(1700000000 * FLOW_NS_PER_S);
    Flows *flows = flows_open(&(FlowsOptions){.path = path, .clock = clock, .queue_max_items = 1000000});
    char *run = flows_start(
        flows, fakes_definition(NULL, "p>w w>r r>w2", "{'p': {'spin': true}, 'w2': {'queue': 'out'}}", NULL));
    while (flows_ledger(flows, "out").queued < 100)
        ;
    allow_writes(false);
    FlowRunView *view = flows_until(flows, run, is_away, NULL);
    uint64_t produced = flows_loop(view, "p")->produced;
    flow_run_view_unref(view);
    /* Nothing piles up meanwhile. */
    for (int i = 0; i < 20; i++) {
        view = flows_get(flows, run, NULL);
        assert_true(flows_loop(view, "p")->produced <= produced + 1);
        flow_run_view_unref(view);
    }
    allow_writes(true);
    flow_run_view_unref(flows_until(flows, run, is_back, clock));
    assert_int_equal(flows_stop(flows, run, &(FlowStopOptions){.wait = true, .grace_ns = -1}), FLOW_OK);
    view = flows_wait(flows, run, FLOW_RUN_STOPPED);
    assert_int_equal(flows_loop(view, "p")->dead_lettered, 0);
    assert_int_equal(flows_loop(view, "p")->in_flight, 0);
    flow_run_view_unref(view);
    flows_expect_balance(flows);
    flows_close(flows);
    flow_test_clock_free(clock);
    remove_path(path);
    free(run);
}

static void a_drain_without_grace_cancels(void **state)
{
    (void)state;
    char path[64];
    make_path(path);
    Flows *flows = flows_open(&(FlowsOptions){.path = path});
    flows_push(flows, "in", "{'n': 1}");
    flows_push(flows, "in", "{'n': 2}");
    char *run = flows_start(
        flows, fakes_definition(NULL, "r>g g>w", "{'r': {'queue': 'in'}, 'w': {'queue': 'q'}}", NULL));
    fakes_gate_wait("g", 1);
    flows_close(flows);
    flows = flows_open(&(FlowsOptions){.path = path});
    fakes_gate_open("g", 1);
    flows_expect_queue(flows, "q", "[{'n': 2}]");
    FlowValue letters = flows_letters(flows, run);
    assert_int_equal(flow_array_count(letters), 1);
    expect_json(*flow_object_get(*flow_array_at(letters, 0), "reason"), "'CANCELLED'");
    flow_value_unref(letters);
    flows_expect(flows, run, FLOW_RUN_RUNNING);
    flows_expect_balance(flows);
    flows_close(flows);
    remove_path(path);
    free(run);
}

#define TEST(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_node_is_set_up_and_cleaned_up_in_reverse),
        TEST(a_failed_setup_fails_the_loop_and_cleans_up),
        TEST(stop_lets_the_current_unit_end),
        TEST(force_stop_cancels_and_makes_dead_letters),
        TEST(when_the_grace_is_over_units_are_cancelled),
        TEST(a_waiting_producer_does_not_hold_a_stop),
        TEST(force_cancels_units_with_others_behind_them),
        TEST(pause_holds_producers_after_the_current_unit),
        TEST(one_loop_is_paused_by_its_producer),
        TEST(a_paused_reader_gives_back_what_it_has_not_begun),
        TEST(a_completed_producer_waits_for_its_continuations),
        TEST(a_reader_ends_with_its_writers),
        TEST(a_writer_that_fails_ends_its_reader_too),
        TEST(a_reader_without_writers_runs_until_stopped),
        TEST(a_cycle_of_queues_runs_until_stopped),
        TEST(leftovers_stay_and_are_read_by_the_next_start),
        TEST(a_full_queue_blocks_its_writer),
        TEST(a_slow_reader_paces_its_writer),
        TEST(max_in_flight_bounds_the_background),
        TEST(the_producer_goes_on_while_the_background_works),
        TEST(a_slow_background_holds_up_only_its_own_delivery),
        TEST(one_at_a_time_waits_for_its_turn),
        TEST(a_dead_letter_says_everything),
        TEST(a_failure_in_the_background_fails_the_whole_unit),
        TEST(policy_stop_fails_the_loop),
        TEST(policy_pause_holds_the_loop),
        TEST(failures_in_a_row_pause_the_loop),
        TEST(a_failing_producer_backs_off),
        TEST(the_back_off_doubles),
        TEST(what_waits_at_the_entry_comes_before_the_producer),
        TEST(the_entry_is_open_while_the_producer_waits),
        TEST(units_without_effects_are_settled_together),
        TEST(queues_exist_from_the_start),
        TEST(a_node_that_takes_too_long_times_out),
        TEST(more_pushes_than_a_unit_may_make),
        TEST(a_spinning_loop_starves_nobody),
        TEST(a_thread_loop_has_its_own_thread),
        TEST(one_active_run_per_workflow),
        TEST(what_can_not_start_says_why),
        TEST(a_running_run_goes_on_under_its_id),
        TEST(a_paused_run_stays_paused),
        TEST(loops_wait_while_the_store_is_away),
        TEST(a_drain_without_grace_cancels),
    };
    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
