/* judge.c - what came of a test beside what it expects. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/payload.h"
#include "trial/trial_internal.h"
#include "value/json.h"

enum { SHOWN = 300 };

typedef struct Judge {
    const TrialOutcome *outcome;
    FlowBuf *failures;
    bool exact;
} Judge;

/* Objects of the expectation may leave members out, unless the test is exact. */
static bool fits(const Judge *self, FlowValue wanted, FlowValue got)
{
    size_t count;
    if (self->exact || flow_value_kind(wanted) != flow_value_kind(got))
        return flow_value_equal_numbers(wanted, got);
    if (flow_value_kind(wanted) == FLOW_VALUE_OBJECT) {
        const FlowMember *members = flow_object_members(wanted, &count);
        for (size_t i = 0; i < count; i++) {
            const FlowValue *other = flow_object_get_key(got, members[i].key);
            if (other == NULL || !fits(self, members[i].value, *other))
                return false;
        }
        return true;
    }
    if (flow_value_kind(wanted) == FLOW_VALUE_ARRAY) {
        const FlowValue *items = flow_array_items(wanted, &count);
        bool fit = count == flow_array_count(got);
        for (size_t i = 0; fit && i < count; i++)
            fit = fits(self, items[i], *flow_array_at(got, i));
        return fit;
    }
    return flow_value_equal_numbers(wanted, got);
}

static void say(Judge *self, const char *what, const char *name, FlowValue wanted, FlowValue got)
{
    char *wanted_text = flow_json_text(wanted, 0), *got_text = flow_json_text(got, 0);
    flow_buf_printf(self->failures, "%s%s%s%s: expected %.*s, got %.*s\n", what, name[0] ? " of \"" : "",
                    name, name[0] ? "\"" : "", SHOWN, wanted_text ? wanted_text : "?", SHOWN,
                    got_text ? got_text : "?");
    free(wanted_text);
    free(got_text);
}

static void compare(Judge *self, const char *what, const char *name, FlowValue wanted, FlowValue got_take)
{
    if (!fits(self, wanted, got_take))
        say(self, what, name, wanted, got_take);
    flow_value_unref(got_take);
}

static void compare_text(Judge *self, const char *what, const FlowValue *wanted, const char *got)
{
    if (wanted)
        compare(self, what, "", *wanted, flow_value_string(got));
}

/* ---- nodes ---- */

static FlowValue given_by(const Judge *self, const char *node_id, bool branches)
{
    size_t count;
    const TrialRecord *records = trial_stage_records(self->outcome->stage, &count);
    FlowValue list = flow_value_array();
    for (size_t i = 0; i < count; i++) {
        if (strcmp(records[i].node_id, node_id) != 0)
            continue;
        FlowValue item = !branches           ? flow_value_ref(records[i].data)
                         : records[i].branch ? flow_value_string(records[i].branch)
                                             : flow_value_null();
        flow_array_push_take(&list, item, NULL);
    }
    return list;
}

static void judge_nodes(Judge *self, const FlowValue *expected, bool branches)
{
    size_t count = 0;
    const FlowMember *members = expected ? flow_object_members(*expected, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        const char *id = flow_value_text(&members[i].key);
        compare(self, branches ? "branches" : "outputs", id, members[i].value, given_by(self, id, branches));
    }
}

/* ---- queues ---- */

static FlowValue queued(const Judge *self, const char *queue)
{
    FlowValue list = flow_value_array();
    FlowStorePeek peek = {.queue = queue, .max = FLOW_STORE_PAGE_MAX};
    flow_store_peek(self->outcome->store, &peek);
    if (flow_store_wait(self->outcome->store, &peek.op) == FLOW_OK)
        for (size_t i = 0; i < peek.count; i++) {
            FlowValue data, metadata;
            if (flow_payload_decode(peek.deliveries[i].body, &data, &metadata, NULL) != FLOW_OK)
                continue;
            flow_array_push_take(&list, data, NULL);
            flow_value_unref(metadata);
        }
    flow_store_op_done(&peek.op);
    return list;
}

static void judge_queues(Judge *self, const FlowValue *expected)
{
    size_t count = 0;
    const FlowMember *members = expected ? flow_object_members(*expected, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        const char *name = flow_value_text(&members[i].key);
        compare(self, "queue", name, members[i].value, queued(self, name));
    }
}

/* ---- dead letters ---- */

static void judge_letter(Judge *self, FlowValue wanted, const FlowDeadLetter *got, size_t index)
{
    char name[48];
    FlowValue data, metadata;
    const FlowValue *message = trial_get(wanted, "message"), *payload = trial_get(wanted, "data");
    snprintf(name, sizeof name, "dead letter %zu: ", index + 1);
    const struct {
        const char *key, *got;
    } texts[] = {{"node_id", got->node_id}, {"reason", got->reason}};
    for (size_t i = 0; i < FLOW_COUNT(texts); i++) {
        char what[64];
        snprintf(what, sizeof what, "%s%s", name, texts[i].key);
        compare_text(self, what, trial_get(wanted, texts[i].key), texts[i].got);
    }
    if (message && flow_value_kind(*message) == FLOW_VALUE_STRING &&
        strstr(got->message, flow_value_text(message)) == NULL)
        flow_buf_printf(self->failures, "%sits message doesn't contain \"%s\": %s\n", name,
                        flow_value_text(message), got->message);
    if (payload && got->payload && flow_payload_decode(got->payload, &data, &metadata, NULL) == FLOW_OK) {
        compare(self, "data of a dead letter", "", *payload, data);
        flow_value_unref(metadata);
    }
}

static void judge_letters(Judge *self, const FlowValue *expected)
{
    FlowStoreDeadLetterList list = {.max = FLOW_STORE_PAGE_MAX, .with_bodies = true};
    flow_store_dead_letter_list(self->outcome->store, &list);
    flow_store_wait(self->outcome->store, &list.op);
    bool listed = expected && flow_value_kind(*expected) == FLOW_VALUE_ARRAY;
    int64_t wanted = listed     ? (int64_t)flow_array_count(*expected)
                     : expected ? flow_value_get_int(*expected)
                                : 0;
    if ((int64_t)list.count != wanted) {
        flow_buf_printf(self->failures, "dead letters: expected %lld, got %zu\n", (long long)wanted,
                        list.count);
        for (size_t i = list.count; i-- > 0;)
            flow_buf_printf(self->failures, "  node \"%s\", %s: %s\n", list.letters[i].node_id,
                            list.letters[i].reason, list.letters[i].message);
    } else if (listed) {
        /* The store lists the newest first. */
        for (size_t i = 0; i < list.count; i++)
            judge_letter(self, *flow_array_at(*expected, i), &list.letters[list.count - 1 - i], i);
    }
    flow_store_op_done(&list.op);
}

void trial_judge(const TrialCase *test, const TrialOutcome *outcome, FlowBuf *failures)
{
    const FlowValue *expect = trial_get(test->spec, "expect"), *exact = trial_get(test->spec, "exact");
    const FlowValue *error = trial_get(*expect, "error"), *state = trial_get(*expect, "state");
    Judge self = {.outcome = outcome,
                  .failures = failures,
                  .exact =
                      exact && flow_value_kind(*exact) == FLOW_VALUE_BOOL && flow_value_get_bool(*exact)};
    if (error) {
        if (flow_value_kind(*error) != FLOW_VALUE_STRING || outcome->error[0] == '\0' ||
            strstr(outcome->error, flow_value_text(error)) == NULL)
            compare_text(&self, "error", error, outcome->error);
        return;
    }
    if (outcome->error[0] != '\0') {
        flow_buf_printf(failures, "the run did not start: %s\n", outcome->error);
        return;
    }
    if (state)
        compare_text(&self, "state", state, outcome->state);
    else if (strcmp(outcome->state, "FAILED") == 0)
        flow_buf_str(failures, "the run FAILED\n");
    judge_nodes(&self, trial_get(*expect, "outputs"), false);
    judge_nodes(&self, trial_get(*expect, "branches"), true);
    judge_queues(&self, trial_get(*expect, "queues"));
    judge_letters(&self, trial_get(*expect, "dead_letters"));
}
