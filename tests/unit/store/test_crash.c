/*
 * kill -9 under load. A child process pushes payloads from outside, moves them in -> mid -> out by two loops, and
 * is killed at a random moment. Then every payload that was acknowledged must be in exactly one place, and none
 * in two.
 *
 * test_crash [KILLS [SEED]]
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

enum { WINDOW = 64, BATCH = 20, LOW_WATER = 400 };

/* In a file that both processes have mapped: what is written there survives the child. */
typedef struct Shared {
    _Atomic uint64_t begun, acknowledged; /* payload numbers: 1 … */
    _Atomic uint64_t hops;
} Shared;

static Shared *map_shared(const char *path, bool make)
{
    int fd = open(path, O_RDWR | (make ? O_CREAT : 0), 0600);
    if (fd < 0 || (make && ftruncate(fd, sizeof(Shared)) != 0))
        abort();
    Shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return shared;
}

/* ---- the child ------------------------------------------------------------------------------------------ */

typedef struct Mover {
    FlowStore *store;
    Shared *shared;
    const char *producer, *from, *to;
    bool requeue;
} Mover;

static void check(FlowStatus status, const FlowStoreOp *op)
{
    if (status == FLOW_OK)
        return;
    fprintf(stderr, "child: %s: %s\n", flow_status_name(status), op->error.message);
    abort();
}

static void *move(void *argument)
{
    Mover *self = argument;
    FlowStoreLoopOpen open = {
        .run_id = "r", .producer_node_id = self->producer, .requeue_interrupted = self->requeue};
    flow_store_loop_open(self->store, &open);
    check(flow_store_wait(self->store, &open.op), &open.op);
    flow_store_op_done(&open.op);
    FlowStoreQueue *from = flow_store_queue_open(self->store, self->from),
                   *to = flow_store_queue_open(self->store, self->to);
    FlowDelivery *taken[WINDOW];
    FlowStoreSettle settles[WINDOW];
    FlowStoreUnit units[WINDOW];
    FlowStoreHeldPush pushes[WINDOW];
    FlowNodeState states[WINDOW];
    for (;;) {
        FlowStoreTake take = {
            .owner = open.owner, .queue = from, .deliveries = taken, .max = WINDOW, .wait = true};
        flow_store_take(self->store, &take);
        check(flow_store_wait(self->store, &take.op), &take.op);
        for (size_t i = 0; i < take.count; i++) {
            FlowDelivery *d = taken[i];
            flow_delivery_start(d);
            static const FlowDeadLetter failure = {.reason = "NODE_FAILED", .message = "bad luck"};
            FlowDeadLetter letter = failure;
            letter.payload_id = d->payload_id;
            letter.payload = d->body;
            bool fails = atoi(d->payload_id) % 37 == 0;
            units[i] =
                (FlowStoreUnit){d, fails ? FLOW_UNIT_DEAD_LETTERED : FLOW_UNIT_DONE, fails ? &letter : NULL};
            pushes[i] = (FlowStoreHeldPush){to, {d->payload_id, d->body, 0}};
            states[i] = (FlowNodeState){"position", d->body};
            settles[i] = (FlowStoreSettle){.owner = open.owner,
                                           .units = &units[i],
                                           .unit_count = 1,
                                           .pushes = &pushes[i],
                                           .push_count = fails ? 0 : 1,
                                           .states = &states[i],
                                           .state_count = 1};
            flow_store_settle(self->store, &settles[i]);
            if (fails) /* the letter is on this stack */
                check(flow_store_wait(self->store, &settles[i].op), &settles[i].op);
        }
        for (size_t i = 0; i < take.count; i++) {
            if (units[i].dead_letter == NULL)
                check(flow_store_wait(self->store, &settles[i].op), &settles[i].op);
            flow_delivery_unref(taken[i]);
        }
        atomic_fetch_add(&self->shared->hops, take.count);
    }
    return NULL;
}

static int run_child(const char *url, const char *path, FlowDurability durability)
{
    Shared *shared = map_shared(path, false);
    FlowStoreOptions options = {.durability = durability, .queue_max_items = 1000000, .memory_bytes = 20000};
    FlowStore *store = NULL;
    FlowError error;
    if (flow_store_open(url, &options, &store, &error) != FLOW_OK) {
        fprintf(stderr, "child: %s\n", error.message);
        return 1;
    }
    Mover movers[] = {{store, shared, "a", "in", "mid", false}, {store, shared, "b", "mid", "out", true}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, move, &movers[i]);
    FlowStoreQueue *in = flow_store_queue_open(store, "in");
    unsigned seed = (unsigned)getpid();
    char body[3000];
    memset(body, 'x', sizeof body);
    for (;;) {
        FlowStoreItem items[BATCH];
        char names[BATCH][24], request[32];
        uint64_t first = atomic_load(&shared->begun) + 1, count = 1 + (unsigned)rand_r(&seed) % BATCH;
        for (uint64_t i = 0; i < count; i++) {
            snprintf(names[i], sizeof names[i], "%llu", (unsigned long long)(first + i));
            items[i] = (FlowStoreItem){names[i], flow_blob_new(body, (size_t)rand_r(&seed) % sizeof body), 0};
        }
        snprintf(request, sizeof request, "push-%llu", (unsigned long long)first);
        atomic_store(&shared->begun, first + count - 1);
        FlowStorePush push = {.queue = in, .items = items, .count = count, .request_id = request};
        flow_store_push(store, &push);
        check(flow_store_wait(store, &push.op), &push.op);
        atomic_store(&shared->acknowledged, first + count - 1);
        for (uint64_t i = 0; i < count; i++)
            flow_blob_unref(items[i].body);
        FlowStoreQueueView view = flow_store_queue_view(in);
        while (view.queued > LOW_WATER) {
            usleep(200);
            view = flow_store_queue_view(in);
        }
    }
    return 0;
}

/* ---- the parent ----------------------------------------------------------------------------------------- */

static int kills = 10;
static unsigned first_seed = 1;

typedef struct Places {
    uint8_t *count; /* by payload number */
    uint64_t last;
} Places;

static void note(Places *places, const char *payload_id)
{
    uint64_t number = strtoull(payload_id, NULL, 10);
    if (number == 0 || number > places->last)
        fail_msg("payload %s was never pushed", payload_id);
    if (places->count[number]++ != 0)
        fail_msg("payload %s is in two places", payload_id);
}

static void note_all(Rig *rig, Places *places)
{
    static const char *const queues[] = {"in", "mid", "out"};
    char token[FLOW_STORE_TOKEN];
    for (size_t q = 0; q < FLOW_COUNT(queues); q++) {
        token[0] = '\0';
        uint64_t before = 0;
        do {
            FlowStorePeek peek = {.queue = queues[q], .max = 1000, .token = token};
            FlowStatus status = DO(rig, peek, peek);
            if (status == FLOW_NOT_FOUND)
                break;
            assert_int_equal(status, FLOW_OK);
            for (size_t i = 0; i < peek.count; i++) {
                note(places, peek.deliveries[i].payload_id);
                uint64_t number = strtoull(peek.deliveries[i].payload_id, NULL, 10);
                if (number <= before)
                    fail_msg("payload %llu stands behind %llu in %s", (unsigned long long)number,
                             (unsigned long long)before, queues[q]);
                before = number;
            }
            strcpy(token, peek.next_token);
            flow_store_op_done(&peek.op);
        } while (token[0] != '\0');
    }
    token[0] = '\0';
    do {
        FlowStoreDeadLetterList list = {.max = 1000, .token = token};
        OK(rig, dead_letter_list, list);
        for (size_t i = 0; i < list.count; i++)
            note(places, list.letters[i].payload_id);
        strcpy(token, list.next_token);
        flow_store_op_done(&list.op);
    } while (token[0] != '\0');
}

static void survive(const RigStore *kind)
{
    FlowStoreOptions options = {.queue_max_items = 1000000};
    Rig *rig = rig_new(kind, &options);
    rig_run(rig, "r");
    char path[128], durability[8];
    snprintf(path, sizeof path, "%s/shared", rig->directory);
    snprintf(durability, sizeof durability, "%d", (int)kind->durability);
    Shared *shared = map_shared(path, true);
    Places places = {.count = flow_calloc(50000000, 1)};
    unsigned seed = first_seed;
    uint64_t interrupted = 0, requeued = 0, unclear = 0;
    for (int i = 0; i < kills; i++) {
        flow_store_close(rig->store);
        uint64_t hops = atomic_load(&shared->hops);
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "child", "--child", rig->url, path, durability, NULL);
            _exit(127);
        }
        int status = 0;
        while (atomic_load(&shared->hops) == hops && waitpid(child, &status, WNOHANG) == 0)
            usleep(1000); /* until it is at work */
        usleep((useconds_t)rand_r(&seed) % 60000);
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        FlowError error;
        if (flow_store_open(rig->url, &rig->options, &rig->store, &error) != FLOW_OK)
            fail_msg("%s", error.message);
        FlowStoreRecovery recovery = flow_store_recovery(rig->store);
        FlowStoreInfo info;
        flow_store_info(rig->store, &info);
        assert_true(info.balanced);
        assert_false(recovery.clean);
        assert_int_equal(recovery.active_runs, 1);
        rig_balance(rig);
        interrupted += recovery.interrupted;
        requeued += recovery.requeued;
        places.last = atomic_load(&shared->begun);
        memset(places.count, 0, places.last + 1);
        note_all(rig, &places);
        for (uint64_t n = 1; n <= atomic_load(&shared->acknowledged); n++)
            if (places.count[n] != 1)
                fail_msg("payload %llu is lost after kill %d", (unsigned long long)n, i + 1);
        /* A push that was under way is there with all its payloads, or with none. */
        uint64_t present = 0, doubtful = places.last - atomic_load(&shared->acknowledged);
        for (uint64_t n = atomic_load(&shared->acknowledged) + 1; n <= places.last; n++)
            present += places.count[n];
        assert_true(present == 0 || present == doubtful);
        unclear += present;
        atomic_store(&shared->acknowledged, places.last);
        if (present == 0 && doubtful != 0) /* numbers that nobody has: given again */
            atomic_store(&shared->begun, places.last - doubtful),
                atomic_store(&shared->acknowledged, places.last - doubtful);
    }
    print_message("%s: %d kills, %llu payloads, %llu hops; %llu interrupted, %llu requeued, %llu of unclear "
                  "pushes came\n",
                  kind->name, kills, (unsigned long long)atomic_load(&shared->begun),
                  (unsigned long long)atomic_load(&shared->hops), (unsigned long long)interrupted,
                  (unsigned long long)requeued, (unsigned long long)unclear);
    munmap(shared, sizeof *shared);
    free(places.count);
    rig_free(rig);
}

static void nothing_is_lost_or_doubled_by_kill_9(void **state)
{
    survive(*state);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "--child") == 0)
        return run_child(argv[2], argv[3], (FlowDurability)atoi(argv[4]));
    if (argc > 1)
        kills = atoi(argv[1]);
    if (argc > 2)
        first_seed = (unsigned)atoi(argv[2]);
    int failed = 0;
    for (size_t s = 0; s < rig_store_count; s++) {
        if (!rig_stores[s].survives)
            continue;
        const struct CMUnitTest tests[] = {
            {rig_stores[s].name, nothing_is_lost_or_doubled_by_kill_9, NULL, NULL, (void *)&rig_stores[s]}};
        failed += cmocka_run_group_tests_name("crash", tests, NULL, NULL);
    }
    return failed;
}
