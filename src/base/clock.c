#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * FLOW_NS_PER_S + now.tv_nsec;
}

static int64_t real_wall_ns(const FlowClock *clock)
{
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

static int64_t real_mono_ns(const FlowClock *clock)
{
    (void)clock;
    return read_clock(CLOCK_MONOTONIC);
}

const FlowClock *flow_clock_real(void)
{
    static const FlowClock real = {.wall_ns = real_wall_ns, .mono_ns = real_mono_ns};
    return &real;
}

enum { MOVERS_MAX = 256 };

typedef struct TestClock {
    FlowClock base;
    int64_t start_wall_ns;
    _Atomic int64_t moved_ns;
    pthread_mutex_t lock; /* guards movers */
    struct {
        void (*moved)(void *);
        void *context;
    } movers[MOVERS_MAX];
    int mover_count;
} TestClock;

static int64_t test_mono_ns(const FlowClock *clock)
{
    return atomic_load(&((const TestClock *)clock)->moved_ns);
}

static int64_t test_wall_ns(const FlowClock *clock)
{
    return ((const TestClock *)clock)->start_wall_ns + test_mono_ns(clock);
}

FlowClock *flow_test_clock_new(int64_t start_wall_ns)
{
    TestClock *self = flow_new(TestClock);
    self->base = (FlowClock){.wall_ns = test_wall_ns, .mono_ns = test_mono_ns, .is_test = true};
    self->start_wall_ns = start_wall_ns;
    pthread_mutex_init(&self->lock, NULL);
    return &self->base;
}

void flow_test_clock_free(FlowClock *clock)
{
    TestClock *self = (TestClock *)clock;
    if (self == NULL)
        return;
    pthread_mutex_destroy(&self->lock);
    free(self);
}

void flow_test_clock_advance(FlowClock *clock, int64_t ns)
{
    TestClock *self = (TestClock *)clock;
    atomic_fetch_add(&self->moved_ns, ns);
    /* Called with the lock held: a mover that was removed is not called any more once the removal returns. */
    pthread_mutex_lock(&self->lock);
    for (int i = 0; i < self->mover_count; i++)
        self->movers[i].moved(self->movers[i].context);
    pthread_mutex_unlock(&self->lock);
}

void flow_clock_on_move(FlowClock *clock, void (*moved)(void *), void *context)
{
    TestClock *self = (TestClock *)clock;
    pthread_mutex_lock(&self->lock);
    if (self->mover_count == MOVERS_MAX)
        abort();
    self->movers[self->mover_count].moved = moved;
    self->movers[self->mover_count++].context = context;
    pthread_mutex_unlock(&self->lock);
}

void flow_clock_off_move(FlowClock *clock, void (*moved)(void *), void *context)
{
    TestClock *self = (TestClock *)clock;
    pthread_mutex_lock(&self->lock);
    for (int i = 0; i < self->mover_count; i++) {
        if (self->movers[i].moved == moved && self->movers[i].context == context) {
            self->movers[i] = self->movers[--self->mover_count];
            break;
        }
    }
    pthread_mutex_unlock(&self->lock);
}

void flow_time_format(int64_t wall_ns, char to[FLOW_TIME_TEXT])
{
    static const int64_t first = INT64_C(-62135596800), last = INT64_C(253402300799);
    int64_t seconds = wall_ns / FLOW_NS_PER_S, rest = wall_ns % FLOW_NS_PER_S;
    if (rest < 0)
        seconds--, rest += FLOW_NS_PER_S;
    time_t t = (time_t)(seconds < first ? first : seconds > last ? last : seconds);
    struct tm tm;
    gmtime_r(&t, &tm);
    char whole[80]; /* the compiler can't know that all parts are in range, and warns of less */
    snprintf(whole, sizeof whole, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (tm.tm_year + 1900) % 10000,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(rest / FLOW_NS_PER_MS));
    memcpy(to, whole, FLOW_TIME_TEXT - 1);
    to[FLOW_TIME_TEXT - 1] = '\0';
}
