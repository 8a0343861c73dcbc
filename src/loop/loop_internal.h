/* loop_internal.h - what loop.c and timer.c share. */
#ifndef FLOW_LOOP_LOOP_INTERNAL_H
#define FLOW_LOOP_LOOP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "loop/loop.h"
#include "loop/timer.h"

struct FlowLoop {
    char name[16];
    const FlowClock *clock;
    uv_loop_t uv;

    /* Other threads push onto `inbox` (newest first); the loop takes the whole stack and turns it round. */
    _Atomic(FlowTask *) inbox;
    int wake_fd; /* an eventfd */
    uv_poll_t wake;
    /* Tasks that the loop's own thread posted; `turn` keeps libuv from sleeping while there are any. */
    FlowTask *own_first, *own_last;
    uv_idle_t turn;
    bool ran_something;

    FlowTimer **heap; /* binary heap by (due_ns, number) */
    size_t armed, heap_capacity;
    uint64_t timer_number;
    uv_timer_t alarm;        /* real clock: goes off when the first timer is due */
    int64_t alarm_ns;        /* what it is set to; INT64_MAX: not set */
    _Atomic bool clock_told; /* test clock: clock_moved is posted */
    FlowTask clock_moved;

    _Atomic bool stopping;
    FlowTask stop_task;
    _Atomic bool stop_posted;
    bool has_thread;
    pthread_t thread;
};

void flow_loop__timers_init(FlowLoop *loop);
void flow_loop__timers_done(FlowLoop *loop);
/* Fires what is due. */
void flow_loop__timers_fire(FlowLoop *loop);

#endif
