/* The rules of store.h about queues, owners and the settle, on every store. */
#include <stdatomic.h>

#include "rig.h"

static void a_queue_is_first_in_first_out(void **state)
{
    Rig *rig = *state;
    uint64_t first = rig_push(rig, "q", 1, 3);
    assert_true(rig_push(rig, "q", 4, 1) > first + 2);
    assert_string_equal(rig_line(rig, "q"), "1 2 3 4");
    rig_run(rig, "r");
    FlowStoreLoop *loop = rig_loop(rig, "r", "1", false);
    FlowDelivery *taken[8];
    assert_int_equal(rig_take(rig, loop, "q", taken, 2), 2);
    assert_string_equal(taken[0]->payload_id, "1");
    assert_true(rig_blob_is(taken[1]->body, "2"));
    assert_int_equal(taken[0]->id, first);
    assert_string_equal(flow_store_queue_name(taken[0]->queue), "q");
    assert_string_equal(rig_line(rig, "q"), "3 4");
    assert_int_equal(rig_take(rig, loop, "q", taken + 2, 6), 2);
    assert_int_equal(rig_take(rig, loop, "q", taken + 4, 4), 0);
    assert_int_equal(rig_take(rig, loop, "no such queue", taken + 4, 4), 0);

    FlowQueueInfo info = rig_info(rig, "q");
    assert_int_equal(info.pushed, 4);
    assert_int_equal(info.in_flight, 4);
    assert_int_equal(info.queued + info.bytes, 0);
    rig_balance(rig);
    rig_settle(rig, loop, taken[0], FLOW_UNIT_DONE);
    rig_settle(rig, loop, taken[2], FLOW_UNIT_FILTERED); /* not in the order in which they were taken */
    rig_settle(rig, loop, taken[1], FLOW_UNIT_DEAD_LETTERED);
    rig_settle(rig, loop, taken[3], FLOW_UNIT_DONE);
    info = rig_info(rig, "q");
    assert_int_equal(info.done, 3);
    assert_int_equal(info.filtered, 1);
    assert_int_equal(info.dead_lettered, 1);
    assert_int_equal(info.in_flight, 0);
    rig_balance(rig);

    FlowStoreRunGet get = {.id = "r"};
    OK(rig, run_get, get);
    assert_int_equal(get.run.loop_count, 1);
    assert_int_equal(get.run.loops[0].produced, 4);
    assert_int_equal(get.run.loops[0].done, 3);
    assert_int_equal(get.run.loops[0].filtered, 1);
    assert_int_equal(get.run.loops[0].dead_lettered, 1);
    flow_store_op_done(&get.op);
    rig_close_loop(rig, loop);
}

static void a_settle_does_everything_at_once(void **state)
{
    Rig *rig = *state;
    rig_push(rig, "in", 1, 2);
    rig_run(rig, "r");
    FlowStoreLoop *loop = rig_loop(rig, "r", "1", false);
    FlowDelivery *taken[2];
    assert_int_equal(rig_take(rig, loop, "in", taken, 2), 2);
    FlowStoreQueue *out = rig_queue(rig, "out"), *more = rig_queue(rig, "more");
    FlowBlob *body = rig_blob("x"), *position = rig_blob("17"), *form = rig_blob("{\"a\":1}");
    FlowDeadLetter letter = {.id = "d1",
                             .workflow_id = "w",
                             .run_id = "r",
                             .producer_node_id = "1",
                             .node_id = "5",
                             .node_type = "http-request",
                             .queue = "in",
                             .reason = "NODE_FAILED",
                             .message = "no answer after 30 s",
                             .payload_id = "2",
                             .payload = taken[1]->body,
                             .form = form};
    const FlowStoreUnit units[] = {{taken[0], FLOW_UNIT_DONE, NULL},
                                   {taken[1], FLOW_UNIT_DEAD_LETTERED, &letter}};
    const FlowStoreHeldPush pushes[] = {{out, {"x", body, 0}}, {more, {"x", body, 3}}, {out, {"x", body, 0}}};
    const FlowNodeState states[] = {{"1", position}, {"2", form}};
    FlowStoreSettle settle = {.owner = loop,
                              .units = units,
                              .unit_count = 2,
                              .plain_done = 5,
                              .plain_filtered = 2,
                              .pushes = pushes,
                              .push_count = 3,
                              .states = states,
                              .state_count = 2,
                              .loop_state = 5,
                              .loop_ended = true};
    OK(rig, settle, settle);
    REFUSED(rig, settle, settle, FLOW_FAILED_PRECONDITION, "NOT_IN_FLIGHT");
    assert_string_equal(rig_line(rig, "out"), "x x");
    assert_string_equal(rig_line(rig, "more"), "x");
    FlowStoreDeadLetterGet get = {.id = "d1"};
    OK(rig, dead_letter_get, get);
    assert_string_equal(get.letter.node_type, "http-request");
    assert_true(rig_blob_is(get.letter.payload, "2"));
    assert_true(rig_blob_is(get.letter.form, "{\"a\":1}"));
    assert_null(get.letter.input);
    assert_int_equal(get.letter.state, FLOW_DEAD_LETTER_OPEN);
    assert_int_equal(strlen(get.letter.fingerprint), 16);
    assert_int_equal(get.letter.time_ns, flow_clock_wall_ns(rig->clock));
    flow_store_op_done(&get.op);
    /* A settle that is refused has changed nothing: the letter's id is taken. */
    rig_push(rig, "in", 3, 1);
    FlowDelivery *third;
    assert_int_equal(rig_take(rig, loop, "in", &third, 1), 1);
    const FlowStoreUnit again = {third, FLOW_UNIT_DEAD_LETTERED, &letter};
    FlowStoreSettle refused = {
        .owner = loop, .units = &again, .unit_count = 1, .pushes = pushes, .push_count = 3};
    REFUSED(rig, settle, refused, FLOW_ALREADY_EXISTS, "DEAD_LETTER");
    assert_string_equal(rig_line(rig, "out"), "x x");
    assert_int_equal(rig_info(rig, "in").in_flight, 1);
    FlowDelivery *const back = third;
    FlowStoreUntake untake = {.owner = loop, .deliveries = &back, .count = 1};
    OK(rig, untake, untake);
    flow_delivery_unref(third);
    rig_balance(rig);
    rig_close_loop(rig, loop);

    if (rig->kind->survives) {
        flow_store_queue_unref(out);
        rig_reopen(rig);
        assert_true(flow_store_recovery(rig->store).clean);
    }
    FlowStoreLoopOpen open = {.run_id = "r", .producer_node_id = "1"};
    OK(rig, loop_open, open);
    assert_int_equal(open.record.produced, 7);
    assert_int_equal(open.record.done, 6);
    assert_int_equal(open.record.filtered, 2);
    assert_int_equal(open.record.dead_lettered, 1);
    assert_int_equal(open.record.state, 5);
    assert_true(open.record.ended);
    assert_int_equal(open.state_count, 2);
    assert_string_equal(open.states[0].node_id, "1");
    assert_true(rig_blob_is(open.states[0].state, "17"));
    flow_store_op_done(&open.op);
    const FlowNodeState gone = {"2", NULL};
    FlowStoreSettle forget = {.owner = open.owner, .states = &gone, .state_count = 1};
    OK(rig, settle, forget);
    rig_close_loop(rig, open.owner);
    open = (FlowStoreLoopOpen){.run_id = "r", .producer_node_id = "1"};
    OK(rig, loop_open, open);
    assert_int_equal(open.state_count, 1);
    assert_int_equal(open.record.produced, 7);
    flow_store_op_done(&open.op);
    for (int i = 0; i < 2; i++)
        flow_delivery_unref(taken[i]);
    flow_blob_unref(body);
    flow_blob_unref(position);
    flow_blob_unref(form);
    rig_balance(rig);
}

static void untaken_deliveries_stand_where_they_stood(void **state)
{
    Rig *rig = *state;
    rig_push(rig, "q", 1, 9);
    rig_run(rig, "r");
    FlowStoreLoop *a = rig_loop(rig, "r", "a", false), *b = rig_loop(rig, "r", "b", false);
    FlowDelivery *of_a[5], *of_b[2];
    assert_int_equal(rig_take(rig, a, "q", of_a, 5), 5); /* 1 … 5 */
    assert_int_equal(rig_take(rig, b, "q", of_b, 2), 2); /* 6, 7 */
    FlowDelivery *const some[] = {of_a[3], of_a[1]};
    FlowStoreUntake untake = {.owner = a, .deliveries = some, .count = 2};
    OK(rig, untake, untake);
    assert_string_equal(rig_line(rig, "q"), "2 4 8 9");
    REFUSED(rig, untake, untake, FLOW_FAILED_PRECONDITION, "NOT_IN_FLIGHT");
    FlowStoreUntake of_others = {.owner = a, .deliveries = of_b, .count = 1};
    REFUSED(rig, untake, of_others, FLOW_FAILED_PRECONDITION, "NOT_IN_FLIGHT");
    flow_delivery_start(of_a[0]);
    FlowStoreUntake started = {.owner = a, .deliveries = of_a, .count = 1};
    REFUSED(rig, untake, started, FLOW_FAILED_PRECONDITION, "NOT_IN_FLIGHT");
    FlowDelivery *const twice[] = {of_a[2], of_a[2]};
    FlowStoreUntake double_untake = {.owner = a, .deliveries = twice, .count = 2};
    REFUSED(rig, untake, double_untake, FLOW_FAILED_PRECONDITION, "NOT_IN_FLIGHT");
    rig_balance(rig);
    flow_delivery_unref(of_a[1]);
    flow_delivery_unref(of_a[3]);

    FlowDelivery *again[4];
    assert_int_equal(rig_take(rig, b, "q", again, 3), 3); /* 2, 4, 8: over two gaps */
    assert_string_equal(again[0]->payload_id, "2");
    assert_string_equal(again[1]->payload_id, "4");
    assert_string_equal(again[2]->payload_id, "8");
    assert_int_equal(again[0]->redelivered, 0);
    assert_string_equal(rig_line(rig, "q"), "9");
    rig_settle(rig, a, of_a[0], FLOW_UNIT_DONE);
    rig_settle(rig, b, again[1], FLOW_UNIT_DONE);
    rig_settle(rig, a, of_a[4], FLOW_UNIT_DONE);
    rig_settle(rig, b, of_b[1], FLOW_UNIT_DONE);
    rig_balance(rig);
    rig_close_loop(rig, a); /* gives back 3, which was never started */
    assert_string_equal(rig_line(rig, "q"), "3 9");
    rig_close_loop(rig, b);
    assert_string_equal(rig_line(rig, "q"), "2 3 6 8 9");
    rig_balance(rig);
    flow_delivery_unref(of_a[2]);
    flow_delivery_unref(of_b[0]);
    flow_delivery_unref(again[0]);
    flow_delivery_unref(again[2]);
    assert_int_equal(rig_info(rig, "q").done, 4);
}

static void a_take_may_wait(void **state)
{
    Rig *rig = *state;
    rig_run(rig, "r");
    FlowStoreLoop *a = rig_loop(rig, "r", "a", false), *b = rig_loop(rig, "r", "b", false);
    FlowStoreQueue *queue = rig_queue(rig, "q");
    FlowDelivery *of_a[4], *of_b[4];
    FlowStoreTake first = {.owner = a, .queue = queue, .deliveries = of_a, .max = 1, .wait = true};
    FlowStoreTake second = {.owner = b, .queue = queue, .deliveries = of_b, .max = 4, .wait = true};
    flow_store_take(rig->store, &first);
    flow_store_take(rig->store, &second);
    assert_true(rig_pending(rig, &first.op));
    assert_int_equal(flow_store_queue_view(queue).waiting_takes, 2);
    rig_push(rig, "q", 1, 3);
    assert_int_equal(flow_store_wait(rig->store, &first.op), FLOW_OK);
    assert_int_equal(flow_store_wait(rig->store, &second.op), FLOW_OK);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 2);
    assert_string_equal(of_a[0]->payload_id, "1");
    assert_string_equal(of_b[1]->payload_id, "3");
    assert_int_equal(flow_store_queue_view(queue).waiting_takes, 0);
    assert_int_equal(flow_store_queue_view(queue).in_flight, 3);

    /* A paused queue counts as empty until it is resumed. */
    FlowStoreQueueUpdate update = {.name = "q", .pause = FLOW_QUEUE_PAUSE};
    OK(rig, queue_update, update);
    assert_true(update.info.paused);
    flow_store_op_done(&update.op);
    rig_push(rig, "q", 4, 1);
    flow_store_take(rig->store, &first);
    assert_true(rig_pending(rig, &first.op));
    flow_delivery_unref(of_a[0]);
    update = (FlowStoreQueueUpdate){.name = "q", .pause = FLOW_QUEUE_RESUME};
    OK(rig, queue_update, update);
    flow_store_op_done(&update.op);
    assert_int_equal(flow_store_wait(rig->store, &first.op), FLOW_OK);
    assert_string_equal(of_a[0]->payload_id, "4");
    flow_delivery_unref(of_a[0]);
    flow_delivery_unref(of_b[0]);
    flow_delivery_unref(of_b[1]);
    rig_balance(rig);

    /* Closing the loop ends its wait. */
    flow_store_take(rig->store, &first);
    rig_close_loop(rig, a);
    assert_int_equal(flow_store_wait(rig->store, &first.op), FLOW_ABORTED);
    /* So does closing the store, in the rig. */
    flow_store_queue_unref(queue);
}

static void pushes_from_outside_keep_to_the_bounds(void **state)
{
    Rig *rig = *state;
    FlowStoreQueueMake make = {.queue = rig_queue(rig, "w.queue_1_2"),
                               .kind = FLOW_QUEUE_MAPPED,
                               .workflow_id = "w",
                               .short_name = "queue_1_2"};
    OK(rig, queue_make, make);
    assert_true(make.made);
    OK(rig, queue_make, make);
    assert_false(make.made);
    FlowStoreQueueUpdate update = {.name = "w.queue_1_2", .max_items = 3, .max_bytes = 10};
    OK(rig, queue_update, update);
    assert_int_equal(update.info.max_items, 3);
    assert_int_equal(update.info.kind, FLOW_QUEUE_MAPPED);
    assert_string_equal(update.info.short_name, "queue_1_2");
    flow_store_op_done(&update.op);
    FlowBlob *small = rig_blob("1234"), *large = rig_blob("12345678901");
    FlowStoreItem items[] = {{"a", small, 0}, {"b", small, 0}, {"c", small, 0}};
    FlowStorePush push = {.queue = make.queue, .items = items, .count = 3};
    REFUSED(rig, push, push, FLOW_RESOURCE_EXHAUSTED, "QUEUE_FULL"); /* 12 bytes */
    push.count = 2;
    OK(rig, push, push);
    push.count = 1;
    REFUSED(rig, push, push, FLOW_RESOURCE_EXHAUSTED, "QUEUE_FULL");
    assert_string_equal(push.op.error.where, "w.queue_1_2");
    push.ignore_bounds = true;
    OK(rig, push, push);
    assert_int_equal(rig_info(rig, "w.queue_1_2").queued, 3);
    FlowStoreQueueView view = flow_store_queue_view(make.queue);
    assert_false(flow_store_queue_has_room(&view));
    items[0].body = large;
    push.ignore_bounds = false;
    push.queue = rig_queue(rig, "other");
    OK(rig, push, push);
    items[0].body = NULL;
    REFUSED(rig, push, push, FLOW_INVALID_ARGUMENT, "BODY_INVALID");
    push.count = 0;
    REFUSED(rig, push, push, FLOW_INVALID_ARGUMENT, "PUSH_EMPTY");
    flow_blob_unref(small);
    flow_blob_unref(large);
    rig_balance(rig);
    assert_null(flow_store_queue_open(rig->store, ""));
}

static FlowStoreSettle settle_with(FlowStoreLoop *loop, const FlowStoreHeldPush *push)
{
    return (FlowStoreSettle){.owner = loop, .plain_done = 1, .pushes = push, .push_count = 1};
}

static void a_settle_waits_for_room(void **state)
{
    Rig *rig = *state;
    rig_run(rig, "r");
    FlowStoreLoop *writer = rig_loop(rig, "r", "w", false), *reader = rig_loop(rig, "r", "r", false);
    FlowStoreQueue *queue = rig_queue(rig, "q"), *free_queue = rig_queue(rig, "free");
    rig_push(rig, "q", 1, 1);
    FlowStoreQueueUpdate update = {.name = "q", .max_items = 2};
    OK(rig, queue_update, update);
    flow_store_op_done(&update.op);
    FlowBlob *body = rig_blob("p");
    const FlowStoreHeldPush to_q = {queue, {"p", body, 0}}, to_free = {free_queue, {"p", body, 0}};
    const FlowStoreHeldPush three[] = {to_q, to_q, to_q};
    /* Below the bound: all its pushes are made, beyond the bound too. */
    FlowStoreSettle first = {.owner = writer, .plain_done = 1, .pushes = three, .push_count = 3};
    OK(rig, settle, first);
    assert_int_equal(rig_info(rig, "q").queued, 4);
    FlowStoreSettle second = settle_with(writer, &to_q), third = settle_with(writer, &to_free),
                    fourth = settle_with(writer, &to_q);
    FlowStoreLoopSave save = {.owner = writer, .state = 9};
    flow_store_settle(rig->store, &second);
    flow_store_settle(rig->store, &third);
    flow_store_loop_save(rig->store, &save);
    flow_store_settle(rig->store, &fourth);
    assert_true(rig_pending(rig, &second.op));
    assert_true(rig_pending(rig, &third.op)); /* behind the second, though its queue has room */
    assert_true(rig_pending(rig, &save.op));
    assert_int_equal(flow_store_queue_view(queue).waiting_settles, 1);
    rig_balance(rig);

    FlowDelivery *taken[4];
    assert_int_equal(rig_take(rig, reader, "q", taken, 1), 1);
    assert_true(rig_pending(rig, &second.op)); /* 3 of 2 */
    assert_int_equal(rig_take(rig, reader, "q", taken + 1, 2), 2);
    assert_int_equal(flow_store_wait(rig->store, &second.op), FLOW_OK);
    assert_int_equal(flow_store_wait(rig->store, &third.op), FLOW_OK);
    assert_int_equal(flow_store_wait(rig->store, &save.op), FLOW_OK);
    assert_true(rig_pending(rig, &fourth.op)); /* the second has filled it again */
    assert_int_equal(rig_info(rig, "q").queued, 2);

    flow_store_loop_ignore_bounds(rig->store, writer);
    assert_int_equal(flow_store_wait(rig->store, &fourth.op), FLOW_OK);
    assert_int_equal(rig_info(rig, "q").queued, 3);
    assert_int_equal(flow_store_queue_view(queue).waiting_settles, 0);
    for (int i = 0; i < 3; i++)
        rig_settle(rig, reader, taken[i], FLOW_UNIT_DONE);
    flow_blob_unref(body);
    rig_balance(rig);
    rig_close_loop(rig, writer);
    rig_close_loop(rig, reader);
}

static void raising_a_bound_lets_settles_go_on(void **state)
{
    Rig *rig = *state;
    rig_run(rig, "r");
    FlowStoreLoop *a = rig_loop(rig, "r", "a", false), *b = rig_loop(rig, "r", "b", false);
    rig_push(rig, "q", 1, 1);
    FlowStoreQueueUpdate update = {.name = "q", .max_items = 1};
    OK(rig, queue_update, update);
    flow_store_op_done(&update.op);
    FlowBlob *body = rig_blob("p");
    const FlowStoreHeldPush push = {rig_queue(rig, "q"), {"p", body, 0}};
    FlowStoreSettle of_a = settle_with(a, &push), of_b = settle_with(b, &push);
    flow_store_settle(rig->store, &of_a);
    flow_store_settle(rig->store, &of_b);
    assert_true(rig_pending(rig, &of_a.op) && rig_pending(rig, &of_b.op));
    FlowStoreUntil room = {.condition = FLOW_STORE_QUEUE_HAS_ROOM, .queue = push.queue};
    flow_store_until(rig->store, &room);
    assert_true(rig_pending(rig, &room.op));
    update = (FlowStoreQueueUpdate){.name = "q", .max_items = 2};
    OK(rig, queue_update, update);
    flow_store_op_done(&update.op);
    assert_int_equal(flow_store_wait(rig->store, &of_a.op), FLOW_OK);
    assert_true(rig_pending(rig, &of_b.op));
    FlowStorePurge purge = {.queue = "q"};
    OK(rig, purge, purge);
    assert_int_equal(purge.removed, 2);
    assert_int_equal(flow_store_wait(rig->store, &of_b.op), FLOW_OK);
    assert_int_equal(flow_store_wait(rig->store, &room.op), FLOW_OK);
    assert_int_equal(rig_info(rig, "q").removed, 2);
    flow_blob_unref(body);
    rig_balance(rig);
}

static void conditions_are_told(void **state)
{
    Rig *rig = *state;
    FlowStoreQueue *queue = rig_queue(rig, "q");
    FlowStoreUntil items = {.condition = FLOW_STORE_QUEUE_HAS_ITEMS, .queue = queue};
    FlowStoreUntil drained = {.condition = FLOW_STORE_QUEUE_DRAINED, .queue = queue};
    FlowStoreUntil ready = {.condition = FLOW_STORE_IS_READY}, away = {.condition = FLOW_STORE_IS_AWAY};
    OK(rig, until, drained);
    OK(rig, until, ready);
    flow_store_until(rig->store, &away);
    flow_store_until(rig->store, &items);
    assert_true(rig_pending(rig, &items.op));
    rig_push(rig, "q", 1, 1);
    assert_int_equal(flow_store_wait(rig->store, &items.op), FLOW_OK);
    flow_store_until(rig->store, &drained);
    rig_run(rig, "r");
    FlowStoreLoop *loop = rig_loop(rig, "r", "1", false);
    FlowDelivery *taken;
    assert_int_equal(rig_take(rig, loop, "q", &taken, 1), 1);
    assert_true(rig_pending(rig, &drained.op));
    rig_settle(rig, loop, taken, FLOW_UNIT_DONE);
    assert_int_equal(flow_store_wait(rig->store, &drained.op), FLOW_OK);
    FlowStoreUntil nothing = {.condition = FLOW_STORE_QUEUE_DRAINED};
    REFUSED(rig, until, nothing, FLOW_INVALID_ARGUMENT, "ID_INVALID");
    assert_true(rig_pending(rig, &away.op));
}

/* ---- cancelling, on a loop ------------------------------------------------------------------------------ */

typedef struct Cancelling {
    FlowTask task;
    Rig *rig;
    FlowStoreSettle *settles; /* two */
    FlowStoreTake *take;
    atomic_int answered;
    FlowStatus status[3];
    FlowStoreQueue *blocked_on[8];
    atomic_int blocked_count;
} Cancelling;

static Cancelling *cancelling;

static void on_done(FlowStoreOp *op)
{
    int i = op == &cancelling->take->op ? 2 : op == &cancelling->settles[1].op;
    flow_loop_assert(op->loop);
    cancelling->status[i] = op->error.status;
    atomic_fetch_add(&cancelling->answered, 1);
}

static void cancel_all(FlowTask *task)
{
    Cancelling *self = flow_container_of(task, Cancelling, task);
    flow_store_cancel(self->rig->store, &self->settles[0].op);
    flow_store_cancel(self->rig->store, &self->settles[0].op);
    flow_store_cancel(self->rig->store, &self->take->op);
}

static void on_blocked(void *context, FlowStoreQueue *queue)
{
    Cancelling *self = context;
    int i = atomic_fetch_add(&self->blocked_count, 1);
    if (i < 8)
        self->blocked_on[i] = queue;
}

static void what_waits_can_be_cancelled(void **state)
{
    Rig *rig = *state;
    FlowLoop *thread = NULL;
    assert_int_equal(flow_loop_open("test", flow_clock_real(), &thread, NULL), FLOW_OK);
    rig_run(rig, "r");
    Cancelling self = {.task = {.run = cancel_all}, .rig = rig};
    cancelling = &self;
    FlowStoreLoopOpen open = {
        .run_id = "r", .producer_node_id = "1", .blocked = on_blocked, .context = &self};
    open.op.loop = thread;
    open.op.done = on_done;
    self.take = (FlowStoreTake *)&open; /* only its address is compared */
    FlowStoreSettle settles[2];
    self.settles = settles;
    flow_store_loop_open(rig->store, &open);
    while (atomic_load(&self.answered) < 1)
        flow_loop_sync(thread);
    flow_store_op_done(&open.op);

    rig_push(rig, "full", 1, 1);
    FlowStoreQueueUpdate update = {.name = "full", .max_items = 1};
    OK(rig, queue_update, update);
    flow_store_op_done(&update.op);
    FlowBlob *body = rig_blob("p");
    const FlowStoreHeldPush to_full = {rig_queue(rig, "full"), {"p", body, 0}},
                            to_free = {rig_queue(rig, "free"), {"p", body, 0}};
    FlowDelivery *taken[1];
    FlowStoreTake take = {
        .owner = open.owner, .queue = rig_queue(rig, "empty"), .deliveries = taken, .max = 1, .wait = true};
    self.take = &take;
    settles[0] = settle_with(open.owner, &to_full);
    settles[1] = settle_with(open.owner, &to_free);
    settles[0].op.loop = settles[1].op.loop = take.op.loop = thread;
    settles[0].op.done = settles[1].op.done = take.op.done = on_done;
    flow_store_settle(rig->store, &settles[0]);
    flow_store_settle(rig->store, &settles[1]);
    flow_store_take(rig->store, &take);
    assert_true(rig_pending(rig, &settles[1].op));
    flow_loop_sync(thread);
    assert_int_equal(atomic_load(&self.blocked_count), 1);
    assert_ptr_equal(self.blocked_on[0], to_full.queue);
    flow_loop_post(thread, &self.task);
    while (atomic_load(&self.answered) < 4)
        flow_loop_sync(thread);
    assert_int_equal(self.status[0], FLOW_CANCELLED);
    assert_int_equal(self.status[1], FLOW_OK); /* nothing stands before it any more */
    assert_int_equal(self.status[2], FLOW_CANCELLED);
    flow_loop_sync(thread);
    assert_int_equal(atomic_load(&self.blocked_count), 2);
    assert_null(self.blocked_on[1]);
    assert_string_equal(rig_line(rig, "free"), "p");
    assert_string_equal(rig_line(rig, "full"), "1");

    /* What is done already can't be cancelled; the answer comes once. */
    atomic_store(&self.answered, 0);
    for (int i = 0; i < 200; i++) {
        settles[0] = settle_with(open.owner, &to_free);
        settles[0].op.loop = thread;
        settles[0].op.done = on_done;
        self.take->op.phase = 2;
        flow_store_settle(rig->store, &settles[0]);
        flow_loop_post(thread, &self.task);
        while (atomic_load(&self.answered) <= i)
            flow_loop_sync(thread);
        assert_true(self.status[0] == FLOW_OK || self.status[0] == FLOW_CANCELLED);
        flow_loop_sync(thread);
    }
    rig_balance(rig);
    flow_blob_unref(body);
    flow_store_close(rig->store);
    flow_loop_free(thread);
    FlowError error;
    assert_int_equal(flow_store_open(rig->url, &rig->options, &rig->store, &error), FLOW_OK);
}

/* ---- owners --------------------------------------------------------------------------------------------- */

static void a_new_owner_fences_the_old_one(void **state)
{
    Rig *rig = *state;
    rig_push(rig, "q", 1, 3);
    rig_run(rig, "r");
    FlowStoreLoopOpen open = {.run_id = "r", .producer_node_id = "1"};
    OK(rig, loop_open, open);
    FlowStoreLoop *old = open.owner;
    int64_t epoch = open.epoch;
    flow_store_op_done(&open.op);
    FlowDelivery *taken[2], *waits[1];
    assert_int_equal(rig_take(rig, old, "q", taken, 2), 2);
    FlowStoreTake waiting = {
        .owner = old, .queue = rig_queue(rig, "empty"), .deliveries = waits, .max = 1, .wait = true};
    flow_store_take(rig->store, &waiting);
    FlowStoreLoopOpen second = {.run_id = "r", .producer_node_id = "1", .requeue_interrupted = true};
    OK(rig, loop_open, second);
    assert_true(second.epoch > epoch);
    assert_int_equal(second.record.dead_lettered, 2);
    flow_store_op_done(&second.op);
    assert_int_equal(flow_store_wait(rig->store, &waiting.op), FLOW_ABORTED);
    FlowStoreUnit unit = {taken[0], FLOW_UNIT_DONE, NULL};
    FlowStoreSettle late = {.owner = old, .units = &unit, .unit_count = 1};
    REFUSED(rig, settle, late, FLOW_ABORTED, "FENCED");
    FlowStoreTake late_take = {.owner = old, .queue = waiting.queue, .deliveries = waits, .max = 1};
    REFUSED(rig, take, late_take, FLOW_ABORTED, "FENCED");
    FlowStoreLoopSave late_save = {.owner = old, .state = 3};
    REFUSED(rig, loop_save, late_save, FLOW_ABORTED, "FENCED");
    FlowStoreSettle stolen = {.owner = second.owner, .units = &unit, .unit_count = 1};
    REFUSED(rig, settle, stolen, FLOW_FAILED_PRECONDITION, "NOT_IN_FLIGHT");
    FlowStoreDeadLetterList list = {.filter = {.reason = "INTERRUPTED"}, .max = 10, .with_bodies = true};
    OK(rig, dead_letter_list, list);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.letters[0].payload_id, "2"); /* newest first */
    assert_string_equal(list.letters[1].payload_id, "1");
    assert_true(rig_blob_is(list.letters[0].payload, "2"));
    assert_string_equal(list.letters[0].queue, "q");
    assert_string_equal(list.letters[0].run_id, "r");
    assert_string_equal(list.letters[0].producer_node_id, "1");
    assert_string_equal(list.letters[0].fingerprint, list.letters[1].fingerprint);
    assert_int_equal(list.letters[1].delivery_id, taken[0]->id);
    flow_store_op_done(&list.op);
    rig_balance(rig);
    flow_delivery_unref(taken[0]);
    flow_delivery_unref(taken[1]);

    /* This owner wants what was interrupted back: it goes to the head, marked. */
    rig_push(rig, "q", 4, 1);
    assert_int_equal(rig_take(rig, second.owner, "q", taken, 1), 1);
    FlowStoreLoop *third = rig_loop(rig, "r", "1", false);
    assert_string_equal(rig_line(rig, "q"), "3 4");
    FlowDelivery *again[2];
    assert_int_equal(rig_take(rig, third, "q", again, 2), 2);
    assert_string_equal(again[0]->payload_id, "3");
    assert_int_equal(again[0]->redelivered, 1);
    assert_int_equal(again[1]->redelivered, 0);
    rig_balance(rig);
    rig_close_loop(rig, old);
    rig_close_loop(rig, second.owner);
    flow_delivery_unref(taken[0]);
    rig_settle(rig, third, again[0], FLOW_UNIT_DONE);
    flow_delivery_start(again[1]);
    rig_close_loop(rig, third); /* started and not settled: a dead letter */
    flow_delivery_unref(again[1]);
    assert_int_equal(rig_info(rig, "q").dead_lettered, 3);
    rig_balance(rig);
    FlowStoreLoopOpen nobody = {.run_id = "no such run", .producer_node_id = "1"};
    REFUSED(rig, loop_open, nobody, FLOW_NOT_FOUND, "RUN_NOT_FOUND");
    flow_store_queue_unref(waiting.queue);
}

static void closing_gives_back_what_was_not_started(void **state)
{
    Rig *rig = *state;
    if (!rig->kind->survives)
        skip();
    rig_push(rig, "q", 1, 5);
    rig_run(rig, "r");
    FlowStoreLoop *a = rig_loop(rig, "r", "a", false), *b = rig_loop(rig, "r", "b", true);
    FlowDelivery *taken[4];
    assert_int_equal(rig_take(rig, a, "q", taken, 2), 2);
    assert_int_equal(rig_take(rig, b, "q", taken + 2, 2), 2);
    flow_delivery_start(taken[1]);
    flow_delivery_start(taken[2]);
    int64_t epoch = flow_store_recovery(rig->store).epoch;
    rig_reopen(rig);
    FlowStoreRecovery recovery = flow_store_recovery(rig->store);
    assert_true(recovery.clean && recovery.epoch > epoch);
    assert_int_equal(recovery.interrupted + recovery.requeued, 0); /* closing has seen to it */
    assert_int_equal(recovery.active_runs, 1);
    assert_string_equal(rig_line(rig, "q"), "1 3 4 5");
    assert_int_equal(rig_info(rig, "q").dead_lettered, 1);
    for (int i = 0; i < 4; i++)
        flow_delivery_unref(taken[i]);
    rig_balance(rig);
    rig_reopen(rig);
    assert_string_equal(rig_line(rig, "q"), "1 3 4 5");
    rig_balance(rig);
}

/* ---- looking and removing ------------------------------------------------------------------------------- */

static void people_look_remove_and_move(void **state)
{
    Rig *rig = *state;
    uint64_t first = rig_push(rig, "q", 1, 10);
    rig_run(rig, "r");
    FlowStoreLoop *loop = rig_loop(rig, "r", "1", false);
    FlowDelivery *taken[2];
    assert_int_equal(rig_take(rig, loop, "q", taken, 2), 2);
    FlowStorePeek peek = {.queue = "q", .max = 3};
    OK(rig, peek, peek);
    assert_int_equal(peek.count, 3);
    assert_int_equal(peek.deliveries[0].id, first + 2);
    assert_int_equal(peek.deliveries[0].push_ns, flow_clock_wall_ns(rig->clock));
    flow_store_op_done(&peek.op);
    const uint64_t ids[] = {first + 4, first, first + 4, first + 7, 12345, first + 400};
    FlowStoreRemove remove = {.queue = "q", .ids = ids, .count = FLOW_COUNT(ids)};
    OK(rig, remove, remove);
    assert_int_equal(remove.removed, 2); /* the first is in flight, the others were never here */
    assert_string_equal(rig_line(rig, "q"), "3 4 6 7 9 10");
    const uint64_t moved[] = {first + 9, first + 3};
    FlowStoreRemove move = {.queue = "q", .ids = moved, .count = 2, .move_to = rig_queue(rig, "other")};
    OK(rig, remove, move);
    assert_string_equal(rig_line(rig, "other"), "10 4");
    assert_string_equal(rig_line(rig, "q"), "3 6 7 9");
    const uint64_t front[] = {first + 2};
    FlowStoreRemove to_end = {.queue = "q", .ids = front, .count = 1, .move_to = rig_queue(rig, "q")};
    OK(rig, remove, to_end);
    assert_string_equal(rig_line(rig, "q"), "6 7 9 3");
    FlowQueueInfo info = rig_info(rig, "q");
    assert_int_equal(info.removed, 5);
    assert_int_equal(info.moved_out, 3);
    assert_int_equal(info.pushed, 11);
    FlowStoreQueueUpdate update = {.name = "other", .max_items = 2};
    OK(rig, queue_update, update);
    flow_store_op_done(&update.op);
    const uint64_t sixth[] = {first + 5};
    FlowStoreRemove full = {.queue = "q", .ids = sixth, .count = 1, .move_to = move.move_to};
    REFUSED(rig, remove, full, FLOW_RESOURCE_EXHAUSTED, "QUEUE_FULL");
    rig_balance(rig);
    FlowStorePurge purge = {.queue = "q"};
    OK(rig, purge, purge);
    assert_int_equal(purge.removed, 4);
    assert_string_equal(rig_line(rig, "q"), "");
    rig_push(rig, "q", 20, 2);
    assert_string_equal(rig_line(rig, "q"), "20 21");
    rig_settle(rig, loop, taken[0], FLOW_UNIT_DONE);
    FlowStoreQueueDelete delete = {.name = "q"};
    REFUSED(rig, queue_delete, delete, FLOW_FAILED_PRECONDITION, "QUEUE_NOT_EMPTY");
    rig_settle(rig, loop, taken[1], FLOW_UNIT_DONE);
    OK(rig, purge, purge);
    OK(rig, queue_delete, delete);
    FlowStoreQueueGet get = {.name = "q"};
    REFUSED(rig, queue_get, get, FLOW_NOT_FOUND, "QUEUE_NOT_FOUND");
    REFUSED(rig, purge, purge, FLOW_NOT_FOUND, "QUEUE_NOT_FOUND");
    rig_balance(rig);
    /* Made anew, with empty counters; delivery ids go on. */
    assert_true(rig_push(rig, "q", 1, 1) > first + 10);
    assert_int_equal(rig_info(rig, "q").pushed, 1);
    rig_balance(rig);
}

static void queues_are_listed_in_pages(void **state)
{
    Rig *rig = *state;
    static const char *const names[] = {"b.2", "a", "b.1", "c", "b.3", "b"};
    for (size_t i = 0; i < FLOW_COUNT(names); i++)
        rig_push(rig, names[i], 1, (int)i + 1);
    FlowStoreQueueMake make = {.queue = rig_queue(rig, "d"), .kind = FLOW_QUEUE_ENTRY, .workflow_id = "wf"};
    OK(rig, queue_make, make);
    char seen[100] = "", token[FLOW_STORE_TOKEN] = "";
    do {
        FlowStoreQueueList list = {.max = 2, .token = token};
        OK(rig, queue_list, list);
        for (size_t i = 0; i < list.count; i++)
            strcat(strcat(seen, list.queues[i].name), " ");
        strcpy(token, list.next_token);
        flow_store_op_done(&list.op);
    } while (token[0] != '\0');
    assert_string_equal(seen, "a b b.1 b.2 b.3 c d ");
    FlowStoreQueueList list = {.max = 10, .prefix = "b."};
    OK(rig, queue_list, list);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.queues[1].name, "b.2");
    assert_int_equal(list.queues[1].queued, 1);
    assert_int_not_equal(list.queues[1].oldest_ns, 0);
    flow_store_op_done(&list.op);
    list = (FlowStoreQueueList){.max = 10, .workflow_id = "wf"};
    OK(rig, queue_list, list);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.queues[0].kind, FLOW_QUEUE_ENTRY);
    assert_int_equal(list.queues[0].oldest_ns, 0);
    flow_store_op_done(&list.op);
    static const char *const wrong[] = {"x", "0", "zz11", "05", "ffabcd", "02zz"};
    for (size_t i = 0; i < FLOW_COUNT(wrong); i++) {
        list = (FlowStoreQueueList){.max = 10, .token = wrong[i]};
        REFUSED(rig, queue_list, list, FLOW_INVALID_ARGUMENT, "PAGE_TOKEN");
    }
    list = (FlowStoreQueueList){.max = 0};
    REFUSED(rig, queue_list, list, FLOW_INVALID_ARGUMENT, "PAGE_SIZE");
    FlowStoreLedger ledger = {.queue = "b"};
    OK(rig, ledger, ledger);
    assert_int_equal(ledger.queue_count, 1);
    assert_int_equal(ledger.total.queued, 6);
    flow_store_op_done(&ledger.op);
}

/* ---- large things --------------------------------------------------------------------------------------- */

static void large_bodies_are_shared_and_freed(void **state)
{
    Rig *rig = *state;
    char *text = flow_malloc(5001);
    memset(text, 'z', 5000);
    text[5000] = '\0';
    FlowBlob *body = rig_blob(text);
    FlowStoreItem item = {"big", body, 0};
    FlowStoreQueue *q = rig_queue(rig, "q"), *r = rig_queue(rig, "r"), *s = rig_queue(rig, "s");
    FlowStorePush push = {.queue = q, .items = &item, .count = 1};
    OK(rig, push, push);
    rig_run(rig, "run");
    FlowStoreLoop *loop = rig_loop(rig, "run", "1", false);
    FlowDelivery *taken[4];
    assert_int_equal(rig_take(rig, loop, "q", taken, 4), 1);
    FlowStoreUnit unit = {taken[0], FLOW_UNIT_DONE, NULL};
    const FlowStoreHeldPush both[] = {{r, {"big", taken[0]->body, 0}}, {s, {"big", taken[0]->body, 0}}};
    FlowStoreSettle settle = {
        .owner = loop, .units = &unit, .unit_count = 1, .pushes = both, .push_count = 2};
    OK(rig, settle, settle);
    flow_delivery_unref(taken[0]);
    rig_close_loop(rig, loop);
    if (rig->kind->survives)
        rig_reopen(rig);
    loop = rig_loop(rig, "run", "1", false);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rig_take(rig, loop, i == 0 ? "r" : "s", taken, 4), 1);
        assert_true(rig_blob_is(taken[0]->body, text));
        rig_settle(rig, loop, taken[0], FLOW_UNIT_DONE);
        rig_balance(rig);
    }
    flow_blob_unref(body);
    free(text);
}

static void more_than_fits_into_memory_is_read_from_the_disk(void **state)
{
    FlowStoreOptions options = {.memory_bytes = 2000, .queue_max_items = 100000};
    Rig *outer = *state;
    Rig *rig = rig_new(outer->kind, &options);
    enum { N = 3000 };
    rig_push(rig, "q", 0, N / 2);
    rig_push(rig, "q", N / 2, N / 2);
    rig_run(rig, "r");
    FlowStoreLoop *a = rig_loop(rig, "r", "a", false), *b = rig_loop(rig, "r", "b", false);
    FlowDelivery *taken[100];
    int next = 0;
    for (int round = 0; next < N; round++) {
        size_t count = rig_take(rig, round % 2 ? a : b, "q", taken, 1 + (size_t)(round * 7 % 100));
        size_t back = round % 5 == 4 ? count / 2 : 0; /* the last ones go back */
        FlowStoreUntake untake = {
            .owner = round % 2 ? a : b, .deliveries = taken + count - back, .count = back};
        OK(rig, untake, untake);
        for (size_t i = 0; i < count; i++) {
            if (i < count - back) {
                char expected[16];
                snprintf(expected, sizeof expected, "%d", next++);
                assert_string_equal(taken[i]->payload_id, expected);
                rig_settle(rig, round % 2 ? a : b, taken[i], FLOW_UNIT_DONE);
            } else {
                flow_delivery_unref(taken[i]);
            }
        }
    }
    rig_balance(rig);
    assert_int_equal(rig_info(rig, "q").done, N);
    rig_free(rig);
}

/* ---- request ids ---------------------------------------------------------------------------------------- */

static void a_push_happens_once_per_request_id(void **state)
{
    Rig *rig = *state;
    FlowBlob *body = rig_blob("a");
    FlowStoreItem item = {"a", body, 0};
    FlowStorePush push = {
        .queue = rig_queue(rig, "q"), .items = &item, .count = 1, .request_id = "id-1", .request_hash = {1}};
    OK(rig, push, push);
    uint64_t first = push.first_id;
    assert_false(push.replayed);
    if (rig->kind->survives) {
        rig_reopen(rig);
        push.queue = rig_queue(rig, "q");
    }
    OK(rig, push, push);
    assert_true(push.replayed);
    assert_int_equal(push.first_id, first);
    assert_string_equal(rig_line(rig, "q"), "a");
    push.request_hash[0] = 2;
    REFUSED(rig, push, push, FLOW_INVALID_ARGUMENT, "REQUEST_ID_REUSED");
    flow_test_clock_advance(rig->clock, 24 * 3600 * FLOW_NS_PER_S - 1);
    REFUSED(rig, push, push, FLOW_INVALID_ARGUMENT, "REQUEST_ID_REUSED");
    flow_test_clock_advance(rig->clock, 2);
    OK(rig, push, push);
    assert_false(push.replayed);
    assert_int_equal(rig_info(rig, "q").pushed, 2);
    flow_blob_unref(body);
}

/* ---- running them --------------------------------------------------------------------------------------- */

#define RULE(function)                                                                                       \
    {                                                                                                        \
#function, function                                                                                  \
    }
static const struct {
    const char *name;
    CMUnitTestFunction function;
} rules[] = {
    RULE(a_queue_is_first_in_first_out),
    RULE(a_settle_does_everything_at_once),
    RULE(untaken_deliveries_stand_where_they_stood),
    RULE(a_take_may_wait),
    RULE(pushes_from_outside_keep_to_the_bounds),
    RULE(a_settle_waits_for_room),
    RULE(raising_a_bound_lets_settles_go_on),
    RULE(conditions_are_told),
    RULE(what_waits_can_be_cancelled),
    RULE(a_new_owner_fences_the_old_one),
    RULE(closing_gives_back_what_was_not_started),
    RULE(people_look_remove_and_move),
    RULE(queues_are_listed_in_pages),
    RULE(large_bodies_are_shared_and_freed),
    RULE(more_than_fits_into_memory_is_read_from_the_disk),
    RULE(a_push_happens_once_per_request_id),
};

static int set_up(void **state)
{
    *state = rig_new(*state, NULL);
    return 0;
}

static int tear_down(void **state)
{
    rig_free(*state);
    return 0;
}

int main(void)
{
    int failed = 0;
    for (size_t s = 0; s < rig_store_count; s++) {
        struct CMUnitTest tests[FLOW_COUNT(rules)];
        for (size_t i = 0; i < FLOW_COUNT(rules); i++)
            tests[i] = (struct CMUnitTest){rules[i].name, rules[i].function, set_up, tear_down,
                                           (void *)&rig_stores[s]};
        failed += cmocka_run_group_tests_name(rig_stores[s].name, tests, NULL, NULL);
    }
    return failed;
}
