/*
 * harness.h - executes one node: a host of the node contract with a test clock, for tests of node types.
 *
 *     Harness *h = harness_new("static-delay-node", "{\"interval\": 5, \"unit\": \"seconds\"}");
 *     assert_int_equal(harness_start(h, "{\"n\": 1}"), FLOW_NODE_PENDING);
 *     harness_advance(h, 5 * FLOW_NS_PER_S);
 *     assert_int_equal(h->outcome, FLOW_NODE_DONE);
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include "base/buf.h"
#include "base/clock.h"
#include "engine/registry.h"
#include "forms/form.h"
#include "loop/loop.h"

typedef struct Harness {
    FlowRegistry *registry;
    FlowClock *clock; /* begins at 2024-02-29T12:00:00Z */
    FlowLoop *loop;
    FlowForm *form;
    FlowNode node;
    FlowNodeCall call;
    FlowFormValues values;
    FlowTemplateVar vars[2];
    FlowTemplateContext context;
    bool is_open; /* a call is */
    /* Of the last call that ended. */
    FlowNodeOutcome outcome;
    uint32_t branch;
    char *data, *metadata; /* JSON of what goes on */
    FlowValue elements;
    FlowError error;
    /* Of all calls. */
    FlowValue state; /* the last that was given */
    FlowBuf pushes;  /* "queue: {json}\n" each */
    FlowBuf log;     /* "level: message\n" each */
    const char *waiting;
} Harness;

/* Aborts the test when the form doesn't load. Setup was called. */
Harness *harness_new(const char *type, const char *form);
/* With a state that was left before a restart; taken. */
Harness *harness_new_with(const char *type, const char *form, FlowValue state_take, const char *const *queues,
                          uint32_t queue_count);
/* Runs the form, then starts; data may be NULL (producers). Gives the outcome, FLOW_NODE_PENDING while it is open.
 * A form that doesn't validate is FLOW_NODE_FAILED with its error. */
FlowNodeOutcome harness_start(Harness *h, const char *data);
void harness_advance(Harness *h, int64_t ns);
void harness_cancel(Harness *h);
/* Cleanup is called; fails the test when a call is still open. */
void harness_free(Harness *h);

/* What is wrong with a form when it is loaded: "field: message; …", "" for nothing. Yours to free(). */
char *harness_form_errors(const char *type, const char *form);

/* JSON for tests. */
FlowValue harness_json(const char *text);

#endif
