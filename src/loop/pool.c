/* pool.c - one lock guards a pool's queue and counters; it is never held while a work runs. */
#include "loop/pool.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct FlowPool {
    char name[16];
    unsigned max_threads, max_waiting;
    pthread_mutex_t lock;
    pthread_cond_t more;
    FlowList queue;
    unsigned waiting, busy, threads;
    bool closing;
    pthread_t *handles;
};

FlowPool *flow_pool_new(const char *name, unsigned max_threads, unsigned max_waiting)
{
    FlowPool *pool = flow_new(FlowPool);
    snprintf(pool->name, sizeof pool->name, "%s", name);
    pool->max_threads = max_threads;
    pool->max_waiting = max_waiting;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->more, NULL);
    flow_list_init(&pool->queue);
    pool->handles = flow_calloc(max_threads, sizeof *pool->handles);
    return pool;
}

static void on_done(FlowTask *task)
{
    FlowWork *work = flow_container_of(task, FlowWork, task);
    work->done(work, work->ran);
}

static void give_back(FlowWork *work, bool ran)
{
    work->ran = ran;
    work->task.run = on_done;
    flow_loop_post(work->loop, &work->task);
}

static void *thread_main(void *argument)
{
    FlowPool *pool = argument;
    pthread_setname_np(pthread_self(), pool->name);
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        FlowList *link = flow_list_pop_front(&pool->queue);
        if (link == NULL) {
            if (pool->closing)
                break;
            pthread_cond_wait(&pool->more, &pool->lock);
            continue;
        }
        FlowWork *work = flow_list_entry(link, FlowWork, link);
        bool run = !pool->closing;
        work->waiting = false;
        pool->waiting--;
        pool->busy++;
        pthread_mutex_unlock(&pool->lock);
        if (run)
            work->work(work);
        give_back(work, run);
        pthread_mutex_lock(&pool->lock);
        pool->busy--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

FlowStatus flow_pool_submit(FlowPool *pool, FlowWork *work, FlowError *reterr)
{
    FlowStatus status = FLOW_OK;
    pthread_mutex_lock(&pool->lock);
    bool all_busy = pool->busy + pool->waiting >= pool->threads;
    if (all_busy && pool->threads < pool->max_threads) {
        int code = pthread_create(&pool->handles[pool->threads], NULL, thread_main, pool);
        if (code == 0)
            pool->threads++;
        else if (pool->threads == 0)
            status =
                flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "NO_THREAD", pool->name,
                               "cannot start a thread of the pool \"%s\": %s", pool->name, strerror(code));
    }
    if (status == FLOW_OK && pool->busy + pool->waiting >= pool->threads + pool->max_waiting)
        status = flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "POOL_FULL", pool->name,
                                "the pool \"%s\" is full: %u threads are busy and %u works wait", pool->name,
                                pool->busy, pool->waiting);
    if (status == FLOW_OK) {
        work->waiting = true;
        flow_list_push_back(&pool->queue, &work->link);
        pool->waiting++;
        pthread_cond_signal(&pool->more);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

bool flow_pool_cancel(FlowPool *pool, FlowWork *work)
{
    pthread_mutex_lock(&pool->lock);
    bool caught = work->waiting;
    if (caught) {
        work->waiting = false;
        flow_list_remove(&work->link);
        pool->waiting--;
    }
    pthread_mutex_unlock(&pool->lock);
    return caught;
}

FlowPoolStats flow_pool_stats(FlowPool *pool)
{
    pthread_mutex_lock(&pool->lock);
    FlowPoolStats stats = {pool->threads, pool->busy, pool->waiting};
    pthread_mutex_unlock(&pool->lock);
    return stats;
}

void flow_pool_free(FlowPool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++)
        pthread_join(pool->handles[i], NULL);
    pthread_cond_destroy(&pool->more);
    pthread_mutex_destroy(&pool->lock);
    free(pool->handles);
    free(pool);
}
