#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "loop/pool.h"

typedef struct Job {
    FlowWork work;
    sem_t *begun, *gate, *over;
    int input, output;
    int done; /* 0: not yet, 1: ran, 2: given back */
} Job;

static void work(FlowWork *w)
{
    Job *job = flow_container_of(w, Job, work);
    if (flow_loop_current() != NULL)
        abort(); /* cmocka's assertions only work on the test's own thread */
    if (job->begun != NULL)
        sem_post(job->begun);
    if (job->gate != NULL)
        sem_wait(job->gate);
    job->output = job->input * 2;
}

static void done(FlowWork *w, bool ran)
{
    Job *job = flow_container_of(w, Job, work);
    flow_loop_assert(w->loop);
    job->done = ran ? 1 : 2;
    sem_post(job->over);
}

static FlowLoop *loop;

static int open_loop(void **state)
{
    (void)state;
    return (int)flow_loop_open("test", flow_clock_real(), &loop, NULL);
}

static int close_loop(void **state)
{
    (void)state;
    flow_loop_free(loop);
    return 0;
}

static void works_run_and_come_back(void **state)
{
    (void)state;
    enum { N = 300 };
    FlowPool *pool = flow_pool_new("test", 4, N);
    static Job jobs[N];
    sem_t over;
    sem_init(&over, 0, 0);
    for (int i = 0; i < N; i++) {
        jobs[i] = (Job){.work = {.loop = loop, .work = work, .done = done}, .over = &over, .input = i};
        assert_int_equal(flow_pool_submit(pool, &jobs[i].work, NULL), FLOW_OK);
    }
    for (int i = 0; i < N; i++)
        sem_wait(&over);
    for (int i = 0; i < N; i++) {
        assert_int_equal(jobs[i].output, i * 2);
        assert_int_equal(jobs[i].done, 1);
    }
    assert_in_range(flow_pool_stats(pool).threads, 1, 4);
    flow_pool_free(pool);
    flow_pool_free(NULL);
    sem_destroy(&over);
}

static void a_full_pool_refuses_and_a_waiting_work_can_be_cancelled(void **state)
{
    (void)state;
    FlowPool *pool = flow_pool_new("narrow", 1, 2);
    sem_t begun, gate, over;
    sem_init(&begun, 0, 0);
    sem_init(&gate, 0, 0);
    sem_init(&over, 0, 0);
    Job jobs[4];
    for (int i = 0; i < 4; i++)
        jobs[i] = (Job){.work = {.loop = loop, .work = work, .done = done},
                        .begun = &begun,
                        .gate = &gate,
                        .over = &over};
    assert_int_equal(flow_pool_submit(pool, &jobs[0].work, NULL), FLOW_OK);
    sem_wait(&begun);
    assert_int_equal(flow_pool_submit(pool, &jobs[1].work, NULL), FLOW_OK);
    assert_int_equal(flow_pool_submit(pool, &jobs[2].work, NULL), FLOW_OK);
    FlowError error;
    assert_int_equal(flow_pool_submit(pool, &jobs[3].work, &error), FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(error.reason, "POOL_FULL");
    assert_false(flow_pool_cancel(pool, &jobs[0].work));
    assert_true(flow_pool_cancel(pool, &jobs[1].work));
    assert_false(flow_pool_cancel(pool, &jobs[1].work));
    assert_int_equal(flow_pool_submit(pool, &jobs[3].work, NULL), FLOW_OK);
    FlowPoolStats stats = flow_pool_stats(pool);
    assert_int_equal(stats.busy, 1);
    assert_int_equal(stats.waiting, 2);
    for (int i = 0; i < 3; i++)
        sem_post(&gate);
    for (int i = 0; i < 3; i++)
        sem_wait(&over);
    assert_int_equal(jobs[0].done, 1);
    assert_int_equal(jobs[1].done, 0);
    assert_int_equal(jobs[2].done, 1);
    assert_int_equal(jobs[3].done, 1);
    flow_pool_free(pool);
    sem_destroy(&begun);
    sem_destroy(&gate);
    sem_destroy(&over);
}

static void *free_pool(void *pool)
{
    flow_pool_free(pool);
    return NULL;
}

static void freeing_gives_back_what_waits(void **state)
{
    (void)state;
    FlowPool *pool = flow_pool_new("closing", 1, 10);
    sem_t begun, gate, over;
    sem_init(&begun, 0, 0);
    sem_init(&gate, 0, 0);
    sem_init(&over, 0, 0);
    Job jobs[3];
    for (int i = 0; i < 3; i++) {
        jobs[i] = (Job){.work = {.loop = loop, .work = work, .done = done},
                        .begun = &begun,
                        .gate = &gate,
                        .over = &over};
        assert_int_equal(flow_pool_submit(pool, &jobs[i].work, NULL), FLOW_OK);
    }
    sem_wait(&begun);
    pthread_t thread;
    pthread_create(&thread, NULL, free_pool, pool);
    /* The first one sits at the gate; whether the others begin depends on who comes first, but all come back.
     */
    for (int i = 0; i < 3; i++)
        sem_post(&gate);
    pthread_join(thread, NULL);
    for (int i = 0; i < 3; i++)
        sem_wait(&over);
    assert_int_equal(jobs[0].done, 1);
    assert_int_not_equal(jobs[1].done, 0);
    assert_int_not_equal(jobs[2].done, 0);
    sem_destroy(&begun);
    sem_destroy(&gate);
    sem_destroy(&over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works_run_and_come_back),
        cmocka_unit_test(a_full_pool_refuses_and_a_waiting_work_can_be_cancelled),
        cmocka_unit_test(freeing_gives_back_what_waits),
    };
    return cmocka_run_group_tests_name("pool", tests, open_loop, close_loop);
}
