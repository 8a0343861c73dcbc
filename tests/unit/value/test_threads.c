/*
 * One value, many threads: each takes references, makes changed copies, reads and drops them. For TSan above
 * all.
 */
#include "value_test.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, ROUNDS = 3000 };

typedef struct Shared {
    FlowValue value;
    pthread_barrier_t start;
} Shared;

static const char document[] = "{\"id\":1,\"name\":\"a name that needs a box of its "
                               "own\",\"rows\":[{\"n\":1},{\"n\":2}],\"a key of more than fourteen\":"
                               "{\"x\":[1,2,3]},\"k1\":1,\"k2\":2,\"k3\":3,\"k4\":4,\"k5\":5,\"k6\":6,\"k7\":"
                               "7,\"k8\":8,\"k9\":9,\"k10\":10,\"k11\":11}";

static void *work(void *argument)
{
    Shared *shared = argument;
    size_t wrong = 0;
    pthread_barrier_wait(&shared->start);
    for (int i = 0; i < ROUNDS; i++) {
        FlowValue mine = flow_value_ref(shared->value), inner;
        wrong += flow_object_set_take(&mine, "id", flow_value_int(i), NULL) != FLOW_OK;
        wrong += flow_object_set_take(&mine, "own", flow_value_string("something only of this thread"),
                                      NULL) != FLOW_OK;
        wrong += flow_value_get_int(*flow_object_get(mine, "id")) != i;
        wrong += flow_value_get_int(*flow_object_get(shared->value, "id")) != 1;
        inner = flow_value_ref(*flow_object_get(mine, "rows"));
        wrong +=
            flow_array_push_take(&inner, flow_value_ref(*flow_object_get(mine, "name")), NULL) != FLOW_OK;
        wrong += flow_array_count(*flow_object_get(shared->value, "rows")) != 2;
        flow_value_unref(mine);
        flow_value_unref(inner);
    }
    return (void *)wrong;
}

static void threads_share_a_value(void **state)
{
    (void)state;
    Shared shared = {.value = json(document)};
    pthread_t threads[THREADS];
    pthread_barrier_init(&shared.start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &shared), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    pthread_barrier_destroy(&shared.start);
    assert_json_take(shared.value, document);
}

/*
 * A value is handed from thread to thread; each changes it in place when it is the only holder, and frees
 * what others made.
 */
typedef struct Relay {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    FlowValue value;
    int turn;
} Relay;

typedef struct Runner {
    Relay *relay;
    int number;
} Runner;

static void *run(void *argument)
{
    Runner *runner = argument;
    Relay *relay = runner->relay;
    size_t wrong = 0;
    for (int round = 0; round < 200; round++) {
        pthread_mutex_lock(&relay->lock);
        while (relay->turn % THREADS != runner->number)
            pthread_cond_wait(&relay->changed, &relay->lock);
        FlowValue mine = flow_value_steal(&relay->value);
        pthread_mutex_unlock(&relay->lock);
        char key[32];
        snprintf(key, sizeof key, "a long key of runner %d", runner->number);
        FlowValue text = flow_value_string("text that the next thread will free");
        wrong += flow_object_set_take(&mine, key, text, NULL) != FLOW_OK;
        snprintf(key, sizeof key, "a long key of runner %d", (runner->number + 1) % THREADS);
        wrong += flow_object_remove(&mine, key, NULL) != FLOW_OK;
        pthread_mutex_lock(&relay->lock);
        relay->value = mine;
        relay->turn++;
        pthread_cond_broadcast(&relay->changed);
        pthread_mutex_unlock(&relay->lock);
    }
    return (void *)wrong;
}

static void threads_pass_a_value_on(void **state)
{
    (void)state;
    Relay relay = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .value = flow_value_object()};
    Runner runners[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        runners[i] = (Runner){&relay, i};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &runners[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(flow_object_count(relay.value), THREADS - 1);
    flow_value_unref(relay.value);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_a_value),
        cmocka_unit_test(threads_pass_a_value_on),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
