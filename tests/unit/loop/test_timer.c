#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdlib.h>

#include "base/mem.h"
#include "loop/timer.h"

typedef struct Tick {
    FlowTimer timer;
    int *log;
    int *count;
    int value;
    int again;
} Tick;

static void tick(FlowTimer *timer)
{
    Tick *self = flow_container_of(timer, Tick, timer);
    self->log[(*self->count)++] = self->value;
    if (self->again-- > 0)
        flow_timer_start(timer, 0);
}

static void settle(FlowLoop *loop)
{
    while (flow_loop_turn(loop))
        ;
}

static void a_test_clock_fires_in_order(void **state)
{
    (void)state;
    FlowClock *clock = flow_test_clock_new(0);
    FlowLoop *loop = NULL;
    assert_int_equal(flow_loop_new("timers", clock, &loop, NULL), FLOW_OK);
    static const int delays[] = {50, 10, 30, 10, 40, 20};
    Tick ticks[FLOW_COUNT(delays)];
    int log[32], count = 0;
    flow_loop_enter(loop);
    for (size_t i = 0; i < FLOW_COUNT(delays); i++) {
        ticks[i] = (Tick){.log = log, .count = &count, .value = (int)i};
        flow_timer_init(&ticks[i].timer, loop, tick);
        flow_timer_start(&ticks[i].timer, delays[i]);
        assert_true(flow_timer_armed(&ticks[i].timer));
    }
    flow_timer_stop(&ticks[4].timer);
    flow_timer_stop(&ticks[4].timer);
    flow_loop_leave(loop);

    settle(loop);
    assert_int_equal(count, 0);
    flow_test_clock_advance(clock, 9);
    settle(loop);
    assert_int_equal(count, 0);
    flow_test_clock_advance(clock, 1);
    settle(loop);
    assert_int_equal(count, 2);
    flow_test_clock_advance(clock, 100);
    settle(loop);
    static const int expected[] = {1, 3, 5, 2, 0};
    assert_int_equal(count, FLOW_COUNT(expected));
    for (int i = 0; i < count; i++)
        assert_int_equal(log[i], expected[i]);
    assert_false(flow_timer_armed(&ticks[0].timer));

    /* One that starts itself with no delay goes on turn by turn, and is not lost. */
    flow_loop_enter(loop);
    ticks[0].again = 5;
    flow_timer_start(&ticks[0].timer, 0);
    flow_timer_start_at(&ticks[1].timer, INT64_MAX);
    flow_loop_leave(loop);
    count = 0;
    settle(loop);
    assert_int_equal(count, 6);
    flow_loop_free(loop);
    assert_false(flow_timer_armed(&ticks[1].timer));
    flow_test_clock_free(clock);
}

static void many_timers_against_a_sorted_list(void **state)
{
    (void)state;
    enum { N = 500 };
    FlowClock *clock = flow_test_clock_new(0);
    FlowLoop *loop = NULL;
    assert_int_equal(flow_loop_new("timers", clock, &loop, NULL), FLOW_OK);
    static Tick ticks[N];
    static int log[2 * N];
    int count = 0;
    unsigned seed = 7;
    flow_loop_enter(loop);
    for (int i = 0; i < N; i++) {
        ticks[i] = (Tick){.log = log, .count = &count, .value = i};
        flow_timer_init(&ticks[i].timer, loop, tick);
        flow_timer_start(&ticks[i].timer, (int64_t)(rand_r(&seed) % 1000));
    }
    int stopped = 0;
    for (int i = 0; i < N; i++) {
        switch (rand_r(&seed) % 3) {
        case 0:
            flow_timer_stop(&ticks[i].timer);
            stopped++;
            break;
        case 1:
            flow_timer_start(&ticks[i].timer, (int64_t)(rand_r(&seed) % 1000));
            break;
        }
    }
    flow_loop_leave(loop);
    flow_test_clock_advance(clock, 1000);
    settle(loop);
    assert_int_equal(count, N - stopped);
    for (int i = 1; i < count; i++)
        assert_true(ticks[log[i - 1]].timer.due_ns <= ticks[log[i]].timer.due_ns);
    flow_loop_free(loop);
    flow_test_clock_free(clock);
}

typedef struct Alarm {
    FlowTask task;
    FlowTimer timer;
    FlowLoop *loop;
    int64_t delay_ns, early_ns;
    sem_t rang;
} Alarm;

static void ring(FlowTimer *timer)
{
    Alarm *self = flow_container_of(timer, Alarm, timer);
    self->early_ns = timer->due_ns - flow_clock_mono_ns(flow_loop_clock(self->loop));
    sem_post(&self->rang);
}

static void set(FlowTask *task)
{
    Alarm *self = flow_container_of(task, Alarm, task);
    flow_timer_init(&self->timer, self->loop, ring);
    flow_timer_start(&self->timer, self->delay_ns);
}

static void on_a_thread(const FlowClock *clock, FlowClock *movable)
{
    Alarm alarm = {.task = {NULL, set}, .delay_ns = 3 * FLOW_NS_PER_MS + 300};
    sem_init(&alarm.rang, 0, 0);
    assert_int_equal(flow_loop_open("timers", clock, &alarm.loop, NULL), FLOW_OK);
    flow_loop_post(alarm.loop, &alarm.task);
    if (movable != NULL) {
        flow_loop_sync(alarm.loop);
        flow_test_clock_advance(movable, alarm.delay_ns);
    }
    sem_wait(&alarm.rang);
    flow_loop_free(alarm.loop);
    assert_true(alarm.early_ns <= 0);
    sem_destroy(&alarm.rang);
}

static void the_real_clock_is_never_early(void **state)
{
    (void)state;
    on_a_thread(flow_clock_real(), NULL);
}

static void a_test_clock_wakes_another_thread(void **state)
{
    (void)state;
    FlowClock *clock = flow_test_clock_new(0);
    on_a_thread(clock, clock);
    flow_test_clock_free(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_test_clock_fires_in_order),
        cmocka_unit_test(many_timers_against_a_sorted_list),
        cmocka_unit_test(the_real_clock_is_never_early),
        cmocka_unit_test(a_test_clock_wakes_another_thread),
    };
    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
