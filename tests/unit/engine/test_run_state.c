#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/run_state.h"

static void names(void **state)
{
    (void)state;
    assert_string_equal(flow_run_state_name(FLOW_RUN_STOPPING), "STOPPING");
    assert_string_equal(flow_run_state_name(0), "UNSPECIFIED");
    assert_string_equal(flow_run_state_name(99), "UNSPECIFIED");
    assert_string_equal(flow_loop_state_name(FLOW_LOOP_BACKING_OFF), "BACKING_OFF");
    assert_string_equal(flow_loop_state_name(FLOW_LOOP_STATE_COUNT), "UNSPECIFIED");
}

static void final_states_are_left_by_nothing(void **state)
{
    (void)state;
    for (int now = 1; now < FLOW_RUN_STATE_COUNT; now++)
        for (int next = 1; next < FLOW_RUN_STATE_COUNT; next++)
            if (flow_run_state_is_final(now))
                assert_false(flow_run_state_may_follow(now, next));
    for (int now = 1; now < FLOW_LOOP_STATE_COUNT; now++)
        for (int next = 1; next < FLOW_LOOP_STATE_COUNT; next++)
            if (flow_loop_state_is_final(now))
                assert_false(flow_loop_state_may_follow(now, next));
    assert_true(flow_run_state_is_final(FLOW_RUN_COMPLETED));
    assert_true(flow_run_state_is_final(FLOW_RUN_STOPPED));
    assert_true(flow_run_state_is_final(FLOW_RUN_FAILED));
    assert_false(flow_run_state_is_final(FLOW_RUN_PAUSED));
    assert_false(flow_run_state_is_final(0));
}

static void every_state_leads_to_an_end(void **state)
{
    (void)state;
    for (int now = 1; now < FLOW_RUN_STATE_COUNT; now++)
        if (!flow_run_state_is_final(now))
            assert_true(flow_run_state_may_follow(now, FLOW_RUN_FAILED));
    for (int now = 1; now < FLOW_LOOP_STATE_COUNT; now++)
        if (!flow_loop_state_is_final(now)) {
            assert_true(flow_loop_state_may_follow(now, FLOW_LOOP_FAILED));
            assert_true(flow_loop_state_may_follow(now, FLOW_LOOP_STOPPED));
            assert_true(flow_loop_state_may_follow(now, FLOW_LOOP_COMPLETED));
        }
}

static void stopping_is_not_taken_back(void **state)
{
    (void)state;
    assert_false(flow_run_state_may_follow(FLOW_RUN_STOPPING, FLOW_RUN_RUNNING));
    assert_false(flow_run_state_may_follow(FLOW_RUN_STOPPING, FLOW_RUN_PAUSED));
    assert_false(flow_run_state_may_follow(FLOW_RUN_STOPPING, FLOW_RUN_COMPLETED));
    assert_false(flow_loop_state_may_follow(FLOW_LOOP_STOPPING, FLOW_LOOP_WAITING));
    assert_false(flow_loop_state_may_follow(FLOW_LOOP_STOPPING, FLOW_LOOP_PAUSED));
}

static void the_gate(void **state)
{
    (void)state;
    _Atomic(FlowRunState) run = 0;
    assert_true(flow_run_state_set(&run, FLOW_RUN_STARTING));
    assert_false(flow_run_state_set(&run, FLOW_RUN_STARTING));
    assert_true(flow_run_state_set(&run, FLOW_RUN_RUNNING));
    assert_int_equal(run, FLOW_RUN_RUNNING);
    _Atomic(FlowLoopState) loop = FLOW_LOOP_WAITING;
    assert_true(flow_loop_state_set(&loop, FLOW_LOOP_RUNNING));
    assert_int_equal(loop, FLOW_LOOP_RUNNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(final_states_are_left_by_nothing),
        cmocka_unit_test(every_state_leads_to_an_end),
        cmocka_unit_test(stopping_is_not_taken_back),
        cmocka_unit_test(the_gate),
    };
    return cmocka_run_group_tests_name("run_state", tests, NULL, NULL);
}
