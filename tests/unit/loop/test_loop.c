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
#include "loop/loop.h"

static FlowLoop *open_loop(void)
{
    FlowLoop *loop = NULL;
    FlowError error;
    assert_int_equal(flow_loop_open("test", flow_clock_real(), &loop, &error), FLOW_OK);
    return loop;
}

typedef struct Note {
    FlowTask task;
    FlowLoop *loop;
    int *log;
    int *count;
    int value;
} Note;

static void write_note(FlowTask *task)
{
    Note *note = flow_container_of(task, Note, task);
    flow_loop_assert(note->loop);
    note->log[(*note->count)++] = note->value;
}

static void one_posters_tasks_keep_their_order(void **state)
{
    (void)state;
    enum { N = 1000 };
    FlowLoop *loop = open_loop();
    static Note notes[N];
    static int log[N];
    int count = 0;
    for (int i = 0; i < N; i++)
        notes[i] = (Note){{NULL, write_note}, loop, log, &count, i};
    for (int i = 0; i < N / 2; i++)
        flow_loop_post(loop, &notes[i].task);
    for (int i = N / 2; i < N - 1; i++)
        notes[i].task.next = &notes[i + 1].task;
    flow_loop_post_chain(loop, &notes[N / 2].task, &notes[N - 1].task);
    flow_loop_sync(loop);
    assert_int_equal(count, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(log[i], i);
    flow_loop_free(loop);
}

enum { POSTERS = 4, EACH = 20000 };

typedef struct Poster {
    FlowLoop *loop;
    int number;
} Poster;

typedef struct Numbered {
    FlowTask task;
    int poster, number;
} Numbered;

static int last_seen[POSTERS], total_seen; /* the loop's thread only */

static void see(FlowTask *task)
{
    Numbered *self = flow_container_of(task, Numbered, task);
    if (self->number != last_seen[self->poster] + 1)
        abort(); /* cmocka's assertions only work on the test's own thread */
    last_seen[self->poster] = self->number;
    total_seen++;
    free(self);
}

static void *post_many(void *argument)
{
    Poster *poster = argument;
    for (int i = 1; i <= EACH; i++) {
        Numbered *task = flow_new(Numbered);
        *task = (Numbered){{NULL, see}, poster->number, i};
        flow_loop_post(poster->loop, &task->task);
    }
    return NULL;
}

static void many_posters_lose_nothing(void **state)
{
    (void)state;
    FlowLoop *loop = open_loop();
    pthread_t threads[POSTERS];
    Poster posters[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (Poster){loop, i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    flow_loop_free(loop); /* runs what is still in the inbox */
    assert_int_equal(total_seen, POSTERS * EACH);
}

typedef struct Ping {
    FlowTask task;
    FlowLoop *loops[2];
    int left;
    sem_t over;
} Ping;

static void ping(FlowTask *task)
{
    Ping *self = flow_container_of(task, Ping, task);
    if (--self->left > 0) {
        flow_loop_post(self->loops[self->left % 2], task);
        return;
    }
    sem_post(&self->over);
}

static void two_loops_wake_each_other(void **state)
{
    (void)state;
    Ping self = {.task = {NULL, ping}, .loops = {open_loop(), open_loop()}, .left = 5000};
    sem_init(&self.over, 0, 0);
    flow_loop_post(self.loops[0], &self.task);
    sem_wait(&self.over);
    sem_destroy(&self.over);
    flow_loop_free(self.loops[0]);
    flow_loop_free(self.loops[1]);
}

typedef struct Chain {
    FlowTask task;
    FlowLoop *loop;
    int left;
} Chain;

static void chain(FlowTask *task)
{
    Chain *self = flow_container_of(task, Chain, task);
    flow_loop_assert(self->loop);
    if (--self->left > 0)
        flow_loop_post(self->loop, task);
}

static void a_loop_goes_turn_by_turn(void **state)
{
    (void)state;
    FlowLoop *loop = NULL;
    assert_int_equal(flow_loop_new("turns", flow_clock_real(), &loop, NULL), FLOW_OK);
    assert_null(flow_loop_current());
    assert_false(flow_loop_turn(loop));
    Chain self = {{NULL, chain}, loop, 3};
    flow_loop_post(loop, &self.task);
    int turns = 0;
    while (flow_loop_turn(loop))
        turns++;
    assert_int_equal(self.left, 0);
    /* What a task posts waits for the next turn: nobody can keep the loop from its I/O. */
    assert_int_equal(turns, 3);
    self.left = 2;
    flow_loop_enter(loop);
    flow_loop_post(loop, &self.task);
    flow_loop_leave(loop);
    flow_loop_free(loop); /* runs the rest */
    assert_int_equal(self.left, 0);
    flow_loop_free(NULL);
}

static void stop(FlowTask *task)
{
    (void)task;
    flow_loop_stop(flow_loop_current());
    flow_loop_stop(flow_loop_current());
}

static void run_ends_when_asked(void **state)
{
    (void)state;
    FlowLoop *loop = NULL;
    assert_int_equal(flow_loop_new("here", flow_clock_real(), &loop, NULL), FLOW_OK);
    assert_string_equal(flow_loop_name(loop), "here");
    assert_ptr_equal(flow_loop_clock(loop), flow_clock_real());
    FlowTask task = {NULL, stop};
    flow_loop_post(loop, &task);
    flow_loop_run(loop);
    flow_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_posters_tasks_keep_their_order),
        cmocka_unit_test(many_posters_lose_nothing),
        cmocka_unit_test(two_loops_wake_each_other),
        cmocka_unit_test(a_loop_goes_turn_by_turn),
        cmocka_unit_test(run_ends_when_asked),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
