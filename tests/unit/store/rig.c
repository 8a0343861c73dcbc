#include "rig.h"

#include <dirent.h>
#include <stdatomic.h>
#include <unistd.h>

const RigStore rig_stores[] = {
    {"sqlite, power", "sqlite:%s/flow.db", FLOW_DURABILITY_POWER, true},
    {"sqlite, process", "sqlite:%s/flow.db", FLOW_DURABILITY_PROCESS, true},
    {"sqlite in memory", "sqlite::memory:", FLOW_DURABILITY_PROCESS, false},
};
const size_t rig_store_count = FLOW_COUNT(rig_stores);

static void open_store(Rig *rig)
{
    FlowError error;
    if (flow_store_open(rig->url, &rig->options, &rig->store, &error) != FLOW_OK)
        fail_msg("%s: %s", rig->url, error.message);
}

Rig *rig_new(const RigStore *kind, const FlowStoreOptions *options)
{
    Rig *rig = flow_new(Rig);
    rig->kind = kind;
    strcpy(rig->directory, "/tmp/flow-store-XXXXXX");
    assert_non_null(mkdtemp(rig->directory));
    snprintf(rig->url, sizeof rig->url, kind->url, rig->directory);
    if (options != NULL)
        rig->options = *options;
    rig->options.durability = kind->durability;
    rig->clock = flow_test_clock_new(INT64_C(1700000000) * FLOW_NS_PER_S);
    rig->options.clock = rig->clock;
    open_store(rig);
    return rig;
}

void rig_free(Rig *rig)
{
    flow_store_close(rig->store);
    flow_test_clock_free(rig->clock);
    DIR *directory = opendir(rig->directory);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", rig->directory, entry->d_name);
        unlink(path);
    }
    closedir(directory);
    rmdir(rig->directory);
    free(rig);
}

void rig_reopen(Rig *rig)
{
    flow_store_close(rig->store);
    open_store(rig);
}

bool rig_pending(Rig *rig, const FlowStoreOp *op)
{
    FlowStoreFlush flush = {0};
    OK(rig, flush, flush);
    return atomic_load((_Atomic int *)&op->phase) == 0;
}

FlowBlob *rig_blob(const char *text)
{
    return flow_blob_new(text, strlen(text));
}

bool rig_blob_is(FlowBlob *blob, const char *text)
{
    size_t len;
    const void *bytes = flow_blob_bytes(blob, &len);
    return len == strlen(text) && memcmp(bytes, text, len) == 0;
}

FlowStoreQueue *rig_queue(Rig *rig, const char *name)
{
    FlowStoreQueue *queue = flow_store_queue_open(rig->store, name);
    assert_non_null(queue);
    return queue;
}

uint64_t rig_push(Rig *rig, const char *queue, int first, int count)
{
    FlowStoreItem *items = flow_calloc((size_t)count, sizeof *items);
    char(*names)[16] = flow_calloc((size_t)count, sizeof *names);
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%d", first + i);
        items[i] = (FlowStoreItem){.payload_id = names[i], .body = rig_blob(names[i])};
    }
    FlowStorePush push = {.queue = rig_queue(rig, queue), .items = items, .count = (size_t)count};
    OK(rig, push, push);
    for (int i = 0; i < count; i++)
        flow_blob_unref(items[i].body);
    flow_store_queue_unref(push.queue);
    free(items);
    free(names);
    return push.first_id;
}

FlowQueueInfo rig_info(Rig *rig, const char *queue)
{
    FlowStoreQueueGet get = {.name = queue};
    OK(rig, queue_get, get);
    flow_store_op_done(&get.op);
    get.info.name = get.info.workflow_id = get.info.short_name = NULL;
    return get.info;
}

const char *rig_line(Rig *rig, const char *queue)
{
    static char line[100000];
    char token[FLOW_STORE_TOKEN] = "";
    size_t len = 0;
    line[0] = '\0';
    do {
        FlowStorePeek peek = {.queue = queue, .max = 100, .token = token};
        OK(rig, peek, peek);
        for (size_t i = 0; i < peek.count; i++) {
            assert_true(len + 50 < sizeof line);
            len += (size_t)sprintf(line + len, "%s%s", len != 0 ? " " : "", peek.deliveries[i].payload_id);
            assert_true(rig_blob_is(peek.deliveries[i].body, peek.deliveries[i].payload_id));
        }
        strcpy(token, peek.next_token);
        flow_store_op_done(&peek.op);
    } while (token[0] != '\0');
    return line;
}

void rig_balance(Rig *rig)
{
    FlowStoreLedger ledger = {.check = true};
    OK(rig, ledger, ledger);
    if (!ledger.balanced)
        fail_msg("unbalanced: %s", ledger.imbalance.message);
    for (size_t i = 0; i < ledger.queue_count; i++) {
        const FlowQueueInfo *q = &ledger.queues[i];
        assert_int_equal(q->pushed, q->queued + q->in_flight + q->done + q->dead_lettered + q->removed);
    }
    for (size_t i = 0; i < ledger.loop_count; i++) {
        const FlowLoopRecord *loop = &ledger.loops[i].loop;
        assert_int_equal(loop->produced, loop->done + loop->dead_lettered + loop->in_flight);
    }
    const FlowDeadLetterLedger *d = &ledger.dead_letters;
    assert_int_equal(d->made, d->open + d->redriven + d->consumed + d->deleted + d->expired);
    flow_store_op_done(&ledger.op);
}

void rig_run(Rig *rig, const char *run_id)
{
    FlowBlob *body = rig_blob("{}");
    FlowStoreRunCreate create = {
        .id = run_id, .workflow_id = run_id, .workflow_name = "W", .definition = body, .state = 2};
    OK(rig, run_create, create);
    flow_store_op_done(&create.op);
    flow_blob_unref(body);
}

FlowStoreLoop *rig_loop(Rig *rig, const char *run_id, const char *producer, bool requeue)
{
    FlowStoreLoopOpen open = {.run_id = run_id,
                              .producer_node_id = producer,
                              .producer_type = "counter",
                              .requeue_interrupted = requeue};
    OK(rig, loop_open, open);
    flow_store_op_done(&open.op);
    return open.owner;
}

void rig_close_loop(Rig *rig, FlowStoreLoop *loop)
{
    FlowStoreLoopClose close = {.owner = loop};
    OK(rig, loop_close, close);
}

size_t rig_take(Rig *rig, FlowStoreLoop *loop, const char *queue, FlowDelivery **deliveries, size_t max)
{
    FlowStoreTake take = {
        .owner = loop, .queue = rig_queue(rig, queue), .deliveries = deliveries, .max = max};
    OK(rig, take, take);
    flow_store_queue_unref(take.queue);
    return take.count;
}

void rig_settle(Rig *rig, FlowStoreLoop *loop, FlowDelivery *input, FlowUnitOutcome outcome)
{
    FlowDeadLetter letter = {.reason = "NODE_FAILED",
                             .node_id = "n",
                             .message = "it failed",
                             .queue = input->queue != NULL ? flow_store_queue_name(input->queue) : "",
                             .payload_id = input->payload_id,
                             .payload = input->body};
    FlowStoreUnit unit = {.input = input,
                          .outcome = outcome,
                          .dead_letter = outcome == FLOW_UNIT_DEAD_LETTERED ? &letter : NULL};
    FlowStoreSettle settle = {.owner = loop, .units = &unit, .unit_count = 1};
    OK(rig, settle, settle);
    flow_delivery_unref(input);
}
