#include "flowd/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "flowd/exit.h"

static struct {
    sigset_t set;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    void (*asked)(unsigned count, void *data);
    void *data;
} self = {.lock = PTHREAD_MUTEX_INITIALIZER};

void flow_signals_block(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&self.set);
    sigaddset(&self.set, SIGTERM);
    sigaddset(&self.set, SIGINT);
    sigaddset(&self.set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &self.set, NULL);
}

static void *listen_for_signals(void *nothing)
{
    (void)nothing;
    for (;;) {
        int signal_number;
        if (sigwait(&self.set, &signal_number) != 0)
            continue;
        if (signal_number == SIGHUP) {
            flow_log(FLOW_LOG_INFO,
                     "SIGHUP changes nothing: TLS files are looked at by themselves, settings at start");
            continue;
        }
        pthread_mutex_lock(&self.lock);
        unsigned count = ++self.count;
        pthread_cond_broadcast(&self.changed);
        pthread_mutex_unlock(&self.lock);
        flow_log(FLOW_LOG_INFO,
                 count == 1 ? "asked to end: finishing what is under way" : "asked again: ending now",
                 FLOW_F_STR("signal", sigabbrev_np(signal_number)));
        if (count >= 3)
            _exit(FLOW_EXIT_HURRIED);
        self.asked(count, self.data);
    }
    return NULL;
}

void flow_signals_start(void (*asked)(unsigned count, void *data), void *data)
{
    pthread_t thread;
    self.asked = asked;
    self.data = data;
    if (pthread_create(&thread, NULL, listen_for_signals, NULL) != 0) {
        flow_log(FLOW_LOG_ERROR, "can't start the thread for signals");
        exit(FLOW_EXIT_FAILED);
    }
    pthread_setname_np(thread, "signals");
    pthread_detach(thread);
}

void flow_signals_wait(void)
{
    pthread_mutex_lock(&self.lock);
    while (self.count == 0)
        pthread_cond_wait(&self.changed, &self.lock);
    pthread_mutex_unlock(&self.lock);
}

void flow_signals_pause(long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&self.lock);
    while (self.count < 2 && pthread_cond_timedwait(&self.changed, &self.lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&self.lock);
}

unsigned flow_signals_count(void)
{
    pthread_mutex_lock(&self.lock);
    unsigned count = self.count;
    pthread_mutex_unlock(&self.lock);
    return count;
}
