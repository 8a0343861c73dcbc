/*
 * loop.c - the inbox of a loop, and its thread.
 *
 * Only the poster that finds the inbox empty wakes the loop: whoever comes later knows that a wake-up is on
 * its way, because the loop empties the inbox only after it woke.
 */
#include "loop/loop.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/loop_internal.h"

static _Thread_local FlowLoop *current_loop;

FlowLoop *flow_loop_current(void)
{
    return current_loop;
}

void flow_loop_assert(const FlowLoop *loop)
{
    if (flow_loop_current() == loop)
        return;
    const FlowLoop *here = flow_loop_current();
    fprintf(stderr, "flow: called on %s%s, but it belongs to loop %s\n",
            here != NULL ? "loop " : "a thread without a loop", here != NULL ? here->name : "", loop->name);
    abort();
}

const char *flow_loop_name(const FlowLoop *loop)
{
    return loop->name;
}

const FlowClock *flow_loop_clock(const FlowLoop *loop)
{
    return loop->clock;
}

struct uv_loop_s *flow_loop_uv(FlowLoop *loop)
{
    return &loop->uv;
}

static void run_chain(FlowLoop *loop, FlowTask *task)
{
    while (task != NULL) {
        FlowTask *next = task->next; /* read first: run() may free the task or post it again */
        loop->ran_something = true;
        task->run(task);
        task = next;
    }
}

static void run_inbox(FlowLoop *loop)
{
    FlowTask *newest = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    FlowTask *oldest = NULL;
    while (newest != NULL) {
        FlowTask *older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    run_chain(loop, oldest);
}

static void run_own(FlowLoop *loop)
{
    FlowTask *first = loop->own_first;
    loop->own_first = loop->own_last = NULL;
    run_chain(loop, first);
    if (loop->own_first == NULL)
        uv_idle_stop(&loop->turn);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    FlowLoop *loop = poll->data;
    uint64_t count;
    (void)status;
    (void)events;
    /* Before the inbox is emptied: who posts after that writes again. */
    if (read(loop->wake_fd, &count, sizeof count) < 0)
        return;
    run_inbox(loop);
}

static void wake(FlowLoop *loop)
{
    static const uint64_t one = 1;
    /* Can only fail when 2^64 - 2 wake-ups are on their way. */
    ssize_t written = write(loop->wake_fd, &one, sizeof one);
    (void)written;
}

static void on_turn(uv_idle_t *idle)
{
    FlowLoop *loop = idle->data;
    run_own(loop);
    /* A loop that is kept busy by itself would otherwise look at other threads' tasks only after a poll. */
    run_inbox(loop);
}

void flow_loop_post_chain(FlowLoop *loop, FlowTask *first, FlowTask *last)
{
    if (current_loop == loop) {
        last->next = NULL;
        if (loop->own_last != NULL)
            loop->own_last->next = first;
        else
            loop->own_first = first;
        loop->own_last = last;
        uv_idle_start(&loop->turn, on_turn);
        return;
    }
    /* The inbox is a stack: the chain goes in reversed, so that taking it out reversed gives its order back.
     */
    FlowTask *reversed = NULL, *next;
    for (FlowTask *task = first;; task = next) {
        next = task->next;
        task->next = reversed;
        reversed = task;
        if (task == last)
            break;
    }
    FlowTask *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        first->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &head, last, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL)
        wake(loop);
}

void flow_loop_post(FlowLoop *loop, FlowTask *task)
{
    flow_loop_post_chain(loop, task, task);
}

FlowStatus flow_loop_new(const char *name, const FlowClock *clock, FlowLoop **ret_loop, FlowError *reterr)
{
    FlowLoop *loop = flow_new(FlowLoop);
    snprintf(loop->name, sizeof loop->name, "%s", name);
    loop->clock = clock;
    int code = uv_loop_init(&loop->uv);
    if (code != 0)
        goto fail;
    /* Not uv_async_t: its receiver spins until the sender has come back from the system call that woke it. */
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    code = loop->wake_fd >= 0 ? uv_poll_init(&loop->uv, &loop->wake, loop->wake_fd) : -errno;
    if (code != 0) {
        if (loop->wake_fd >= 0)
            close(loop->wake_fd);
        uv_loop_close(&loop->uv);
        goto fail;
    }
    loop->wake.data = loop;
    uv_poll_start(&loop->wake, UV_READABLE, on_wake);
    uv_idle_init(&loop->uv, &loop->turn);
    loop->turn.data = loop;
    flow_loop__timers_init(loop);
    *ret_loop = loop;
    return FLOW_OK;
fail:
    free(loop);
    return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "NO_DESCRIPTORS", name,
                          "cannot make the event loop \"%s\": %s; raise the limit of open files (ulimit -n)",
                          name, uv_strerror(code));
}

void flow_loop_run(FlowLoop *loop)
{
    FlowLoop *outer = current_loop;
    current_loop = loop;
    while (!atomic_load_explicit(&loop->stopping, memory_order_acquire))
        uv_run(&loop->uv, UV_RUN_ONCE);
    current_loop = outer;
}

bool flow_loop_turn(FlowLoop *loop)
{
    FlowLoop *outer = current_loop;
    current_loop = loop;
    loop->ran_something = false;
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    current_loop = outer;
    return loop->ran_something;
}

void flow_loop_enter(FlowLoop *loop)
{
    if (current_loop != NULL || loop->has_thread) {
        fprintf(stderr, "flow: loop %s can't be entered here\n", loop->name);
        abort();
    }
    current_loop = loop;
}

void flow_loop_leave(FlowLoop *loop)
{
    flow_loop_assert(loop);
    current_loop = NULL;
}

static void *thread_main(void *argument)
{
    FlowLoop *loop = argument;
    pthread_setname_np(pthread_self(), loop->name);
    flow_loop_run(loop);
    return NULL;
}

FlowStatus flow_loop_start(FlowLoop *loop, FlowError *reterr)
{
    /* pthread_create and not libuv's: ThreadSanitizer doesn't see what uninstrumented libraries start. */
    int code = pthread_create(&loop->thread, NULL, thread_main, loop);
    if (code != 0)
        return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "NO_THREAD", loop->name,
                              "cannot start the thread \"%s\": %s", loop->name, strerror(code));
    loop->has_thread = true;
    return FLOW_OK;
}

FlowStatus flow_loop_open(const char *name, const FlowClock *clock, FlowLoop **ret_loop, FlowError *reterr)
{
    FlowLoop *loop = NULL;
    FlowStatus status = flow_loop_new(name, clock, &loop, reterr);
    if (status != FLOW_OK)
        return status;
    status = flow_loop_start(loop, reterr);
    if (status != FLOW_OK) {
        flow_loop_free(loop);
        return status;
    }
    *ret_loop = loop;
    return FLOW_OK;
}

static void on_stop(FlowTask *task)
{
    FlowLoop *loop = flow_container_of(task, FlowLoop, stop_task);
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
}

void flow_loop_stop(FlowLoop *loop)
{
    if (atomic_exchange(&loop->stop_posted, true))
        return;
    loop->stop_task.run = on_stop;
    flow_loop_post(loop, &loop->stop_task);
}

void flow_loop_free(FlowLoop *loop)
{
    if (loop == NULL)
        return;
    flow_loop_stop(loop);
    if (loop->has_thread)
        pthread_join(loop->thread, NULL);
    FlowLoop *outer = current_loop;
    current_loop = loop;
    while (loop->own_first != NULL || atomic_load(&loop->inbox) != NULL) {
        run_inbox(loop);
        run_own(loop);
    }
    flow_loop__timers_done(loop);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->turn, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    current_loop = outer;
    if (uv_loop_close(&loop->uv) != 0) {
        fprintf(stderr, "flow: loop %s is freed while handles on it are open\n", loop->name);
        abort();
    }
    close(loop->wake_fd);
    free(loop);
}

typedef struct Barrier {
    FlowTask task;
    sem_t passed;
} Barrier;

static void on_barrier(FlowTask *task)
{
    sem_post(&flow_container_of(task, Barrier, task)->passed);
}

void flow_loop_sync(FlowLoop *loop)
{
    Barrier barrier = {.task = {.run = on_barrier}};
    sem_init(&barrier.passed, 0, 0);
    flow_loop_post(loop, &barrier.task);
    while (sem_wait(&barrier.passed) != 0)
        ; /* a signal came in between */
    sem_destroy(&barrier.passed);
}
