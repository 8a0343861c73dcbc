/*
 * Random operations against a store and against a simple model of it, which must agree: with little memory, so
 * that queues are read from the disk; with commits that fail, so that everything is undone; with reopening.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "rig.h"

enum { QUEUES = 3, LOOPS = 3, MAX = 4000 };

typedef struct Entry {
    uint64_t id;
    int payload;
    FlowDelivery *delivery; /* while in flight */
    bool started;
} Entry;

typedef struct List {
    Entry items[MAX];
    size_t count;
} List;

typedef struct Model {
    Rig *rig;
    unsigned seed;
    bool faults;
    List queued[QUEUES], flying[LOOPS];
    uint64_t pushed[QUEUES], done[QUEUES], dead[QUEUES], removed[QUEUES];
    uint64_t settled[LOOPS], state[LOOPS];
    bool has_state[LOOPS];
    FlowStoreLoop *loops[LOOPS];
    bool requeue[LOOPS];
    int next_payload;
    FlowBlob *large;
    size_t failed_commits;
} Model;

static const char *const queue_names[QUEUES] = {"q0", "q1", "q2"};
static const char *const loop_names[LOOPS] = {"l0", "l1", "l2"};

static unsigned pick(Model *m, unsigned below)
{
    return (unsigned)rand_r(&m->seed) % below;
}

static void append(List *list, Entry entry)
{
    assert_true(list->count < MAX);
    list->items[list->count++] = entry;
}

static Entry take_out(List *list, size_t index)
{
    Entry entry = list->items[index];
    memmove(&list->items[index], &list->items[index + 1], (list->count - index - 1) * sizeof entry);
    list->count--;
    return entry;
}

/* Back to its place: a queue is ordered by delivery id. */
static void insert(List *list, Entry entry)
{
    size_t at = 0;
    entry.delivery = NULL;
    entry.started = false;
    while (at < list->count && list->items[at].id < entry.id)
        at++;
    assert_true(list->count < MAX);
    memmove(&list->items[at + 1], &list->items[at], (list->count - at) * sizeof entry);
    list->items[at] = entry;
    list->count++;
}

static size_t queue_of(const Entry *entry)
{
    const char *name = flow_store_queue_name(entry->delivery->queue);
    return (size_t)(name[1] - '0');
}

/* ---- failing commits ------------------------------------------------------------------------------------ */

static atomic_bool fail_flushes;

/* SQLite's comes here: a commit that was written but can't be flushed is one that may turn up after a crash. */
int fdatasync(int fd)
{
    if (!atomic_load(&fail_flushes))
        return fsync(fd);
    errno = EIO;
    return -1;
}

static void allow_writes(bool allow)
{
    struct rlimit limit;
    atomic_store(&fail_flushes, false);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = allow ? limit.rlim_max : 0;
    setrlimit(RLIMIT_FSIZE, &limit);
}

/*
 * Waits for an operation that was submitted, maybe while nothing can be written. True: it has happened. Held ones
 * happen when writing is possible again, others have failed.
 */
static bool finish(Model *m, FlowStoreOp *op, bool failing, bool held)
{
    if (failing && held) {
        FlowStoreUntil away = {.condition = FLOW_STORE_IS_AWAY};
        OK(m->rig, until, away);
    }
    FlowStatus status = failing && held ? FLOW_OK : flow_store_wait(m->rig->store, op);
    if (failing) {
        allow_writes(true);
        m->failed_commits++;
        if (!held) {
            if (status != FLOW_UNAVAILABLE)
                fail_msg("%s: %s", flow_status_name(status), op->error.message);
            assert_string_equal(op->error.reason, "STORE_AWAY");
        }
        flow_test_clock_advance(m->rig->clock, m->rig->options.retry_ns);
        FlowStoreUntil ready = {.condition = FLOW_STORE_IS_READY};
        OK(m->rig, until, ready);
        if (held)
            status = flow_store_wait(m->rig->store, op);
    }
    if (status != FLOW_OK && status != FLOW_UNAVAILABLE)
        fail_msg("%s: %s", flow_status_name(status), op->error.message);
    return status == FLOW_OK;
}

static bool maybe_fail(Model *m)
{
    bool failing = m->faults && pick(m, 6) == 0;
    if (failing && m->rig->options.durability == FLOW_DURABILITY_POWER && pick(m, 2) == 0)
        atomic_store(&fail_flushes, true);
    else if (failing)
        allow_writes(false);
    return failing;
}

/* ---- steps ---------------------------------------------------------------------------------------------- */

static FlowBlob *body_of(Model *m, int payload)
{
    char text[16];
    snprintf(text, sizeof text, "%d", payload);
    return payload % 3 == 0 ? flow_blob_ref(m->large) : rig_blob(text);
}

static void push(Model *m)
{
    size_t q = pick(m, QUEUES), count = 1 + pick(m, 20);
    FlowStoreItem items[20];
    char names[20][16];
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%d", m->next_payload + (int)i);
        items[i] = (FlowStoreItem){names[i], body_of(m, m->next_payload + (int)i), 0};
    }
    FlowStorePush op = {.queue = rig_queue(m->rig, queue_names[q]), .items = items, .count = count};
    bool failing = maybe_fail(m);
    flow_store_push(m->rig->store, &op);
    if (finish(m, &op.op, failing, false)) {
        for (size_t i = 0; i < count; i++)
            append(&m->queued[q], (Entry){op.first_id + i, m->next_payload + (int)i, NULL, false});
        m->pushed[q] += count;
        m->next_payload += (int)count;
    }
    for (size_t i = 0; i < count; i++)
        flow_blob_unref(items[i].body);
}

static void take(Model *m)
{
    size_t q = pick(m, QUEUES), l = pick(m, LOOPS);
    FlowDelivery *taken[30];
    FlowStoreTake op = {.owner = m->loops[l],
                        .queue = rig_queue(m->rig, queue_names[q]),
                        .deliveries = taken,
                        .max = 1 + pick(m, 30)};
    bool failing = m->queued[q].count != 0 && maybe_fail(m);
    flow_store_take(m->rig->store, &op);
    if (!finish(m, &op.op, failing, false)) {
        assert_int_equal(op.count, 0);
        return;
    }
    assert_int_equal(op.count, op.max < m->queued[q].count ? op.max : m->queued[q].count);
    for (size_t i = 0; i < op.count; i++) {
        Entry entry = take_out(&m->queued[q], 0);
        char text[16];
        snprintf(text, sizeof text, "%d", entry.payload);
        if (entry.id == UINT64_MAX)
            entry.id = taken[i]->id;
        assert_int_equal(taken[i]->id, entry.id);
        assert_string_equal(taken[i]->payload_id, text);
        assert_int_equal(flow_blob_len(taken[i]->body), entry.payload % 3 == 0 ? 2000 : strlen(text));
        entry.delivery = taken[i];
        entry.started = pick(m, 2) == 0;
        if (entry.started)
            flow_delivery_start(taken[i]);
        append(&m->flying[l], entry);
    }
}

static void settle(Model *m)
{
    size_t l = pick(m, LOOPS), count = pick(m, 6);
    FlowStoreUnit units[6];
    FlowStoreHeldPush pushes[12];
    Entry entries[6];
    char names[12][16];
    size_t push_count = 0, dead = 0;
    FlowDeadLetter letter = {.reason = "NODE_FAILED", .message = "model"};
    if (count > m->flying[l].count)
        count = m->flying[l].count;
    for (size_t i = 0; i < count; i++) {
        entries[i] = take_out(&m->flying[l], pick(m, (unsigned)m->flying[l].count));
        units[i] = (FlowStoreUnit){.input = entries[i].delivery, .outcome = (FlowUnitOutcome)pick(m, 3)};
        if (units[i].outcome == FLOW_UNIT_DEAD_LETTERED) {
            units[i].dead_letter = &letter;
            dead++;
            continue;
        }
        for (unsigned n = pick(m, 3); n != 0; n--) { /* the payload goes on as it is */
            snprintf(names[push_count], sizeof names[0], "%d", entries[i].payload);
            pushes[push_count] = (FlowStoreHeldPush){rig_queue(m->rig, queue_names[pick(m, QUEUES)]),
                                                     {names[push_count], entries[i].delivery->body, 0}};
            push_count++;
        }
    }
    char text[32];
    uint64_t plain = 1 + pick(m, 3);
    snprintf(text, sizeof text, "%llu", (unsigned long long)(m->settled[l] + count + plain));
    FlowBlob *blob = rig_blob(text);
    FlowNodeState state = {"node", blob};
    FlowStoreSettle op = {.owner = m->loops[l],
                          .units = units,
                          .unit_count = count,
                          .plain_done = plain,
                          .pushes = pushes,
                          .push_count = push_count,
                          .states = &state,
                          .state_count = 1};
    bool failing = maybe_fail(m);
    flow_store_settle(m->rig->store, &op);
    assert_true(finish(m, &op.op, failing, true));
    m->settled[l] += count + plain;
    m->state[l] = m->settled[l];
    m->has_state[l] = true;
    for (size_t i = 0; i < count; i++) {
        size_t q = queue_of(&entries[i]);
        *(units[i].outcome == FLOW_UNIT_DEAD_LETTERED ? &m->dead[q] : &m->done[q]) += 1;
        flow_delivery_unref(entries[i].delivery);
    }
    for (size_t i = 0; i < push_count; i++) {
        size_t q = (size_t)(flow_store_queue_name(pushes[i].queue)[1] - '0');
        /* Ids of settled pushes aren't told: look them up below, all are larger than what is there. */
        append(&m->queued[q], (Entry){UINT64_MAX, atoi(pushes[i].item.payload_id), NULL, false});
        m->pushed[q]++;
    }
    flow_blob_unref(blob);
}

/* Finds out the ids of deliveries that settles have pushed, and compares everything else. */
static void compare(Model *m)
{
    for (size_t q = 0; q < QUEUES; q++) {
        List *list = &m->queued[q];
        char token[FLOW_STORE_TOKEN] = "";
        size_t at = 0;
        if (m->pushed[q] == 0)
            continue;
        do {
            FlowStorePeek peek = {.queue = queue_names[q], .max = 70, .token = token};
            OK(m->rig, peek, peek);
            for (size_t i = 0; i < peek.count; i++, at++) {
                assert_true(at < list->count);
                Entry *entry = &list->items[at];
                assert_int_equal(atoi(peek.deliveries[i].payload_id), entry->payload);
                if (entry->id == UINT64_MAX)
                    entry->id = peek.deliveries[i].id;
                assert_int_equal(peek.deliveries[i].id, entry->id);
            }
            strcpy(token, peek.next_token);
            flow_store_op_done(&peek.op);
        } while (token[0] != '\0');
        assert_int_equal(at, list->count);
        FlowQueueInfo info = rig_info(m->rig, queue_names[q]);
        assert_int_equal(info.queued, list->count);
        assert_int_equal(info.pushed, m->pushed[q]);
        assert_int_equal(info.done, m->done[q]);
        assert_int_equal(info.dead_lettered, m->dead[q]);
        assert_int_equal(info.removed, m->removed[q]);
        FlowStoreQueue *handle = rig_queue(m->rig, queue_names[q]);
        assert_int_equal(flow_store_queue_view(handle).queued, list->count);
        flow_store_queue_unref(handle);
    }
    rig_balance(m->rig);
}

static void untake(Model *m)
{
    size_t l = pick(m, LOOPS), count = 0;
    FlowDelivery *deliveries[10];
    Entry entries[10];
    compare(m);
    for (size_t i = 0; i < m->flying[l].count && count < 10;) {
        if (m->flying[l].items[i].started || pick(m, 3) == 0) {
            i++;
            continue;
        }
        entries[count] = take_out(&m->flying[l], i);
        deliveries[count] = entries[count].delivery;
        count++;
    }
    FlowStoreUntake op = {.owner = m->loops[l], .deliveries = deliveries, .count = count};
    bool failing = count != 0 && maybe_fail(m);
    flow_store_untake(m->rig->store, &op);
    assert_true(finish(m, &op.op, failing, true));
    for (size_t i = 0; i < count; i++) {
        insert(&m->queued[queue_of(&entries[i])], entries[i]);
        flow_delivery_unref(deliveries[i]);
    }
}

static void remove_some(Model *m)
{
    size_t q = pick(m, QUEUES), target = pick(m, QUEUES + 1), count = 0;
    uint64_t ids[8];
    size_t places[8];
    compare(m);
    if (m->pushed[q] == 0)
        return;
    for (size_t i = 0; i < m->queued[q].count && count < 8; i++)
        if (pick(m, 5) == 0) {
            places[count] = i;
            ids[count++] = m->queued[q].items[i].id;
        }
    FlowStoreRemove op = {.queue = queue_names[q],
                          .ids = ids,
                          .count = count,
                          .move_to = target < QUEUES ? rig_queue(m->rig, queue_names[target]) : NULL};
    bool failing = count != 0 && maybe_fail(m);
    flow_store_remove(m->rig->store, &op);
    if (!finish(m, &op.op, failing, false))
        return;
    assert_int_equal(op.removed, count);
    Entry entries[8];
    for (size_t i = count; i-- > 0;)
        entries[i] = take_out(&m->queued[q], places[i]);
    for (size_t i = 0; i < count && target < QUEUES; i++)
        append(&m->queued[target], (Entry){UINT64_MAX, entries[i].payload, NULL, false});
    m->removed[q] += count;
    if (target < QUEUES)
        m->pushed[target] += count;
}

static void purge(Model *m)
{
    size_t q = pick(m, QUEUES);
    if (m->pushed[q] == 0 || pick(m, 4) != 0)
        return;
    FlowStorePurge op = {.queue = queue_names[q]};
    bool failing = m->queued[q].count != 0 && maybe_fail(m);
    flow_store_purge(m->rig->store, &op);
    if (!finish(m, &op.op, failing, false))
        return;
    assert_int_equal(op.removed, m->queued[q].count);
    m->removed[q] += m->queued[q].count;
    m->queued[q].count = 0;
}

/* What the loop's next owner finds of what this one had in flight. */
static void lose(Model *m, size_t l, bool knows_started)
{
    for (; m->flying[l].count != 0;) {
        Entry entry = take_out(&m->flying[l], 0);
        size_t q = queue_of(&entry);
        if ((knows_started && !entry.started) || m->requeue[l]) {
            insert(&m->queued[q], entry);
        } else {
            m->dead[q]++;
            m->settled[l]++;
        }
        flow_delivery_unref(entry.delivery);
    }
}

static void open_loop(Model *m, size_t l)
{
    for (;;) {
        bool failing = maybe_fail(m);
        m->requeue[l] = pick(m, 2) == 0;
        FlowStoreLoopOpen op = {
            .run_id = "r", .producer_node_id = loop_names[l], .requeue_interrupted = m->requeue[l]};
        flow_store_loop_open(m->rig->store, &op);
        bool ok = finish(m, &op.op, failing, false);
        if (ok) {
            assert_int_equal(op.record.produced, m->settled[l]);
            assert_int_equal(op.state_count, m->has_state[l]);
            char text[32];
            snprintf(text, sizeof text, "%llu", (unsigned long long)m->state[l]);
            if (op.state_count != 0)
                assert_true(rig_blob_is(op.states[0].state, text));
            m->loops[l] = op.owner;
        }
        flow_store_op_done(&op.op);
        if (ok)
            return;
        assert_null(op.owner);
    }
}

static void close_loop(Model *m, size_t l)
{
    compare(m);
    FlowStoreLoopClose op = {.owner = m->loops[l]};
    bool failing = m->flying[l].count != 0 && maybe_fail(m);
    flow_store_loop_close(m->rig->store, &op);
    assert_true(finish(m, &op.op, failing, true));
    lose(m, l, true);
}

static void change_owner(Model *m)
{
    size_t l = pick(m, LOOPS);
    if (pick(m, 3) != 0)
        return;
    if (pick(m, 2) == 0) {
        close_loop(m, l);
        open_loop(m, l);
        return;
    }
    compare(m);
    FlowStoreLoop *old = m->loops[l];
    bool failing = maybe_fail(m), requeue = m->requeue[l];
    FlowStoreLoopOpen op = {
        .run_id = "r", .producer_node_id = loop_names[l], .requeue_interrupted = !requeue};
    flow_store_loop_open(m->rig->store, &op);
    if (finish(m, &op.op, failing, false)) {
        lose(m, l, false);
        m->loops[l] = op.owner;
        m->requeue[l] = !requeue;
        rig_close_loop(m->rig, old);
    }
    flow_store_op_done(&op.op);
}

static void reopen(Model *m)
{
    if (!m->rig->kind->survives || pick(m, 12) != 0)
        return;
    compare(m);
    if (pick(m, 2) == 0)
        for (size_t l = 0; l < LOOPS; l++)
            close_loop(m, l);
    for (size_t l = 0; l < LOOPS; l++) /* while the queues' handles are there */
        lose(m, l, true);
    rig_reopen(m->rig);
    for (size_t l = 0; l < LOOPS; l++)
        open_loop(m, l);
}

static void play(const RigStore *kind, unsigned seed, bool faults)
{
    static Model model;
    Model *m = &model;
    *m = (Model){.seed = seed, .faults = faults, .next_payload = 1};
    FlowStoreOptions options = {.memory_bytes = seed % 3 == 0 ? 3000 : 0, .retry_ns = FLOW_NS_PER_S};
    char text[2000];
    memset(text, 'L', sizeof text);
    m->large = flow_blob_new(text, sizeof text);
    m->rig = rig_new(kind, &options);
    rig_run(m->rig, "r");
    m->faults = false;
    for (size_t l = 0; l < LOOPS; l++)
        open_loop(m, l);
    m->faults = faults;
    static void (*const steps[])(Model *) = {push,   take,        take,  settle,       settle, settle,
                                             untake, remove_some, purge, change_owner, reopen};
    for (int i = 0; i < 300; i++)
        steps[pick(m, FLOW_COUNT(steps))](m);
    compare(m);
    for (size_t l = 0; l < LOOPS; l++)
        close_loop(m, l);
    compare(m);
    if (faults)
        assert_true(m->failed_commits > 5);
    rig_free(m->rig);
    flow_blob_unref(m->large);
}

static unsigned first_seed, seed_count;

static void store_and_model_agree(void **state)
{
    for (unsigned seed = first_seed; seed < first_seed + seed_count; seed++)
        for (size_t s = 0; s < rig_store_count; s++)
            play(&rig_stores[s], seed, false);
    (void)state;
}

static void they_agree_when_commits_fail(void **state)
{
    for (unsigned seed = first_seed; seed < first_seed + seed_count; seed++)
        for (size_t s = 0; s < rig_store_count; s++)
            if (rig_stores[s].survives)
                play(&rig_stores[s], seed, true);
    (void)state;
}

/* test_model [FIRST_SEED COUNT] */
int main(int argc, char **argv)
{
    first_seed = argc > 2 ? (unsigned)atoi(argv[1]) : 1;
    seed_count = argc > 2 ? (unsigned)atoi(argv[2]) : 6;
    signal(SIGXFSZ, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_and_model_agree),
        cmocka_unit_test(they_agree_when_commits_fail),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
