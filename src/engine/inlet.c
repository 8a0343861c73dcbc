/*
 * inlet.c - what a loop gets from a queue: deliveries are taken in windows ahead of their turn, so that the loop hardly
 * ever waits for the store. The window grows while the loop is quick and shrinks when it is slow, because what lies in
 * it can't go to another reader.
 *
 * The first take says what was there before the loop began. All others wait in the store until something comes; nobody
 * polls.
 */
#include "engine/runner_internal.h"

#include <string.h>

enum { FIRST_WINDOW = 8 };
static const int64_t QUICK_NS = 25 * FLOW_NS_PER_MS, SLOW_NS = 100 * FLOW_NS_PER_MS;

static void take(FlowInlet *inlet);

void flow_inlet__init(FlowInlet *inlet, FlowRunner *runner, FlowStoreQueue *queue_take)
{
    *inlet = (FlowInlet){.runner = runner, .queue = queue_take, .size = FIRST_WINDOW, .is_held = true};
}

void flow_inlet__done(FlowInlet *inlet)
{
    for (uint32_t i = 0; i < inlet->count; i++)
        flow_delivery_unref(inlet->window[inlet->first + i]);
    free(inlet->window);
    free(inlet->taken);
    inlet->queue = flow_store_queue_unref(inlet->queue);
}

static void adapt(FlowInlet *inlet, bool was_full)
{
    int64_t took_ns = inlet->runner->now_ns - inlet->filled_ns;
    if (was_full && took_ns < QUICK_NS && inlet->size < FLOW_STORE_TAKE_MAX)
        inlet->size *= 2;
    else if (took_ns > SLOW_NS && inlet->size > 1)
        inlet->size /= 2;
}

/* What was taken goes behind what the window still holds. */
static void add(FlowInlet *inlet, size_t count)
{
    if (inlet->first > 0 && inlet->count > 0)
        memmove(inlet->window, inlet->window + inlet->first, inlet->count * sizeof *inlet->window);
    inlet->first = 0;
    inlet->window = flow_realloc(inlet->window, (inlet->count + count + 1) * sizeof *inlet->window);
    for (size_t i = 0; i < count; i++)
        inlet->window[inlet->count++] = inlet->taken[i];
}

static void on_taken(FlowStoreOp *op)
{
    FlowStoreTake *done = flow_container_of(op, FlowStoreTake, op);
    FlowInlet *inlet = flow_container_of(done, FlowInlet, take);
    FlowRunner *runner = inlet->runner;
    inlet->is_taking = false;
    if (op->error.status == FLOW_OK) {
        adapt(inlet, done->count == done->max);
        inlet->filled_ns = runner->now_ns;
        add(inlet, done->count);
        inlet->has_looked = true;
    } else if (strcmp(op->error.reason, "STORE_AWAY") != 0 && op->error.status != FLOW_CANCELLED) {
        flow_runner__store_failed(runner, &op->error);
    }
    flow_store_op_done(op);
    flow_runner__turn_soon(runner);
}

static void take(FlowInlet *inlet)
{
    FlowStoreTake *op = &inlet->take;
    inlet->taken = flow_realloc(inlet->taken, inlet->size * sizeof *inlet->taken);
    *op = (FlowStoreTake){.op = {.loop = inlet->runner->loop, .done = on_taken},
                          .owner = inlet->runner->owner,
                          .queue = inlet->queue,
                          .deliveries = inlet->taken,
                          .max = inlet->size,
                          .wait = inlet->has_looked};
    inlet->is_taking = true;
    flow_store_take(flow_engine__store(inlet->runner->engine), op);
}

void flow_inlet__open(FlowInlet *inlet)
{
    inlet->is_held = false;
    if (!inlet->is_taking && !inlet->is_untaking)
        take(inlet);
}

FlowDelivery *flow_inlet__next(FlowInlet *inlet)
{
    FlowDelivery *delivery = NULL;
    if (inlet->is_untaking)
        return NULL;
    if (inlet->count > 0) {
        delivery = inlet->window[inlet->first++];
        inlet->count--;
    }
    if (!inlet->is_held && !inlet->is_taking && inlet->count <= inlet->size / 2)
        take(inlet);
    return delivery;
}

void flow_inlet__stop_taking(FlowInlet *inlet)
{
    inlet->is_held = true;
    if (inlet->is_taking)
        flow_store_cancel(flow_engine__store(inlet->runner->engine), &inlet->take.op);
}

typedef struct InletUntake {
    FlowStoreUntake op;
    FlowInlet *inlet;
} InletUntake;

static void on_untaken(FlowStoreOp *op)
{
    InletUntake *done = flow_container_of(flow_container_of(op, FlowStoreUntake, op), InletUntake, op);
    FlowInlet *inlet = done->inlet;
    FlowRunner *runner = inlet->runner;
    inlet->is_untaking = false;
    for (uint32_t i = 0; i < inlet->count; i++)
        flow_delivery_unref(inlet->window[inlet->first + i]);
    inlet->first = inlet->count = 0;
    if (op->error.status != FLOW_OK)
        flow_runner__store_failed(runner, &op->error);
    flow_store_op_done(op);
    free(done);
    if (!inlet->is_held && !inlet->is_taking)
        take(inlet);
    flow_runner__turn_soon(runner);
}

bool flow_inlet__give_back(FlowInlet *inlet)
{
    flow_inlet__stop_taking(inlet);
    if (inlet->is_taking || inlet->is_untaking)
        return false;
    if (inlet->count == 0)
        return true;
    InletUntake *untake = flow_new(InletUntake);
    untake->inlet = inlet;
    untake->op = (FlowStoreUntake){.op = {.loop = inlet->runner->loop, .done = on_untaken},
                                   .owner = inlet->runner->owner,
                                   .deliveries = inlet->window + inlet->first,
                                   .count = inlet->count};
    inlet->is_untaking = true;
    flow_store_untake(flow_engine__store(inlet->runner->engine), &untake->op);
    return false;
}
