/* The rules of store.h about workflows, runs and dead letters, on every store. */
#include "rig.h"

static FlowStoreWorkflowPut put_of(bool create, const char *id, const char *name, FlowBlob *body)
{
    return (FlowStoreWorkflowPut){.create = create, .id = id, .name = name, .body = body};
}

static void put_text(Rig *rig, bool create, const char *id, const char *text)
{
    FlowBlob *body = rig_blob(text);
    FlowStoreWorkflowPut put = put_of(create, id, id, body);
    OK(rig, workflow_put, put);
    flow_store_op_done(&put.op);
    flow_blob_unref(body);
}

static void workflows_have_revisions(void **state)
{
    Rig *rig = *state;
    FlowBlob *one = rig_blob("one"), *two = rig_blob("two");
    FlowStoreWorkflowPut put = put_of(true, "orders", "Orders", one);
    OK(rig, workflow_put, put);
    assert_true(put.changed);
    assert_int_equal(put.workflow.revision, 1);
    assert_int_equal(put.workflow.create_ns, flow_clock_wall_ns(rig->clock));
    char first_etag[40];
    strcpy(first_etag, put.workflow.etag);
    REFUSED(rig, workflow_put, put, FLOW_ALREADY_EXISTS, "WORKFLOW_EXISTS");

    flow_test_clock_advance(rig->clock, FLOW_NS_PER_S);
    put = put_of(false, "orders", "Orders", one);
    put.etag = first_etag;
    OK(rig, workflow_put, put); /* the same: nothing grows */
    assert_false(put.changed);
    assert_int_equal(put.workflow.revision, 1);
    assert_string_equal(put.workflow.etag, first_etag);
    assert_int_equal(put.workflow.update_ns, flow_clock_wall_ns(rig->clock) - FLOW_NS_PER_S);

    put.body = two;
    OK(rig, workflow_put, put);
    assert_true(put.changed);
    assert_int_equal(put.workflow.revision, 2);
    assert_string_not_equal(put.workflow.etag, first_etag);
    assert_true(put.workflow.update_ns > put.workflow.create_ns);
    put.body = one;
    REFUSED(rig, workflow_put, put, FLOW_ABORTED, "ETAG_STALE");
    put.etag = "";
    put.name = "Other";
    OK(rig, workflow_put, put);
    assert_int_equal(put.workflow.revision, 3);
    put.draft = true;
    OK(rig, workflow_put, put);
    assert_int_equal(put.workflow.revision, 4);
    const FlowStoreLabel labels[] = {{"team", "b"}, {"env", "prod"}},
                         turned[] = {{"env", "prod"}, {"team", "b"}};
    put.labels = labels;
    put.label_count = 2;
    OK(rig, workflow_put, put);
    assert_int_equal(put.workflow.revision, 5);
    put.labels = turned;
    OK(rig, workflow_put, put);
    assert_false(put.changed);

    FlowStoreWorkflowGet get = {.id = "orders"};
    OK(rig, workflow_get, get);
    assert_int_equal(get.workflow.revision, 5);
    assert_string_equal(get.workflow.name, "Other");
    assert_true(get.workflow.draft);
    assert_true(rig_blob_is(get.workflow.body, "one"));
    flow_store_op_done(&get.op);
    get.revision = 2;
    OK(rig, workflow_get, get);
    assert_true(rig_blob_is(get.workflow.body, "two"));
    assert_string_equal(get.workflow.name, "Orders");
    assert_false(get.workflow.draft);
    flow_store_op_done(&get.op);
    get.revision = 9;
    REFUSED(rig, workflow_get, get, FLOW_NOT_FOUND, "REVISION_NOT_FOUND");
    get.id = "nope";
    REFUSED(rig, workflow_get, get, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND");
    put.id = "nope";
    REFUSED(rig, workflow_put, put, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND");
    put.id = "";
    REFUSED(rig, workflow_put, put, FLOW_INVALID_ARGUMENT, "ID_INVALID");

    FlowStoreRevisionList list = {.id = "orders", .max = 3};
    OK(rig, revision_list, list);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.revisions[0].revision, 5);
    char token[FLOW_STORE_TOKEN];
    strcpy(token, list.next_token);
    flow_store_op_done(&list.op);
    list.token = token;
    OK(rig, revision_list, list);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.revisions[1].revision, 1);
    assert_string_equal(list.revisions[1].etag, first_etag);
    assert_string_equal(list.next_token, "");
    flow_store_op_done(&list.op);
    flow_blob_unref(one);
    flow_blob_unref(two);
}

static const char *listed(Rig *rig, FlowStoreWorkflowList list)
{
    static char seen[300];
    char token[FLOW_STORE_TOKEN] = "";
    seen[0] = '\0';
    do {
        list.max = 2;
        list.token = token;
        OK(rig, workflow_list, list);
        for (size_t i = 0; i < list.count; i++) {
            strcat(strcat(seen, list.workflows[i].id), " ");
            assert_true((list.workflows[i].body != NULL) == list.with_bodies);
        }
        strcpy(token, list.next_token);
        flow_store_op_done(&list.op);
    } while (token[0] != '\0');
    return seen;
}

static void workflows_are_listed_and_filtered(void **state)
{
    Rig *rig = *state;
    static const char *const ids[] = {"b", "a", "d", "c", "e"};
    FlowBlob *body = rig_blob("{}");
    for (size_t i = 0; i < FLOW_COUNT(ids); i++) {
        const FlowStoreLabel labels[] = {{"env", i % 2 ? "test" : "prod"}, {"n", ids[i]}};
        FlowStoreWorkflowPut put = {.create = true,
                                    .id = ids[i],
                                    .name = i == 2 ? "The Orders" : "x",
                                    .body = body,
                                    .draft = i == 3,
                                    .labels = labels,
                                    .label_count = 2};
        OK(rig, workflow_put, put);
    }
    rig_run(rig, "inline-one"); /* unlisted */
    assert_string_equal(listed(rig, (FlowStoreWorkflowList){0}), "a b c d e ");
    assert_string_equal(listed(rig, (FlowStoreWorkflowList){.with_bodies = true}), "a b c d e ");
    assert_string_equal(listed(rig, (FlowStoreWorkflowList){.text = "orders"}), "d ");
    assert_string_equal(listed(rig, (FlowStoreWorkflowList){.text = "E"}), "d e ");
    assert_string_equal(listed(rig, (FlowStoreWorkflowList){.drafts = FLOW_WORKFLOWS_DRAFTS}), "c ");
    assert_string_equal(listed(rig, (FlowStoreWorkflowList){.drafts = FLOW_WORKFLOWS_NO_DRAFTS}), "a b d e ");
    const FlowStoreLabel prod[] = {{"env", "prod"}, {"n", "d"}};
    assert_string_equal(listed(rig, (FlowStoreWorkflowList){.labels = prod, .label_count = 1}), "b d e ");
    assert_string_equal(listed(rig, (FlowStoreWorkflowList){.labels = prod, .label_count = 2}), "d ");
    flow_blob_unref(body);
}

static FlowStoreRunCreate run_of(const char *id, const char *workflow_id)
{
    return (FlowStoreRunCreate){.id = id, .workflow_id = workflow_id, .workflow_name = "W", .state = 1};
}

static void end_run(Rig *rig, const char *id)
{
    FlowStoreRunSave save = {.id = id, .state = 5, .ended = true, .end_ns = 77};
    OK(rig, run_save, save);
}

static void revisions_that_runs_use_are_kept(void **state)
{
    Rig *outer = *state;
    FlowStoreOptions options = {.revisions_max = 2};
    Rig *rig = rig_new(outer->kind, &options);
    put_text(rig, true, "w", "1");
    FlowStoreRunCreate create = run_of("r1", "w");
    OK(rig, run_create, create);
    assert_int_equal(create.run.workflow_revision, 1);
    flow_store_op_done(&create.op);
    for (int i = 2; i <= 6; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d", i);
        put_text(rig, false, "w", text);
        if (i == 3) {
            FlowStoreLoop *loop = rig_loop(rig, "r1", "p", false);
            FlowStoreLoopSave save = {.owner = loop, .workflow_revision = 3}; /* a loop of it was swapped */
            OK(rig, loop_save, save);
            rig_close_loop(rig, loop);
        }
    }
    const struct {
        int64_t revision;
        FlowStatus status;
    } rows[] = {{1, FLOW_OK},        {2, FLOW_NOT_FOUND}, {3, FLOW_OK},
                {4, FLOW_NOT_FOUND}, {5, FLOW_OK},        {6, FLOW_OK}};
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowStoreWorkflowGet get = {.id = "w", .revision = rows[i].revision};
        assert_int_equal(DO(rig, workflow_get, get), rows[i].status);
        flow_store_op_done(&get.op);
    }
    FlowStoreWorkflowDelete delete = {.id = "w"};
    REFUSED(rig, workflow_delete, delete, FLOW_FAILED_PRECONDITION, "RUN_ACTIVE");
    assert_string_equal(delete.op.error.where, "r1");
    end_run(rig, "r1");
    delete.etag = "stale";
    REFUSED(rig, workflow_delete, delete, FLOW_ABORTED, "ETAG_STALE");
    delete.etag = NULL;
    OK(rig, workflow_delete, delete);
    REFUSED(rig, workflow_delete, delete, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND");
    FlowStoreWorkflowGet get = {.id = "w"};
    REFUSED(rig, workflow_get, get, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND");
    get.revision = 1; /* the run that used it can still be looked at */
    OK(rig, workflow_get, get);
    flow_store_op_done(&get.op);
    get.revision = 6;
    REFUSED(rig, workflow_get, get, FLOW_NOT_FOUND, "REVISION_NOT_FOUND");
    create = run_of("r2", "w");
    REFUSED(rig, run_create, create, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND");
    FlowBlob *body = rig_blob("again");
    FlowStoreWorkflowPut put = put_of(true, "w", "W", body);
    OK(rig, workflow_put, put);
    assert_int_equal(put.workflow.revision, 7); /* numbers are not used twice */
    flow_blob_unref(body);
    rig_free(rig);
}

static void a_workflow_has_one_active_run(void **state)
{
    Rig *rig = *state;
    put_text(rig, true, "w", "1");
    put_text(rig, false, "w", "2");
    FlowBlob *spec = rig_blob("{\"p\":1}");
    FlowStoreRunCreate create = run_of("r1", "w");
    create.spec = spec;
    create.workflow_revision = 1;
    OK(rig, run_create, create);
    assert_int_equal(create.run.workflow_revision, 1);
    assert_true(create.run.active);
    assert_true(rig_blob_is(create.run.spec, "{\"p\":1}"));
    assert_int_equal(create.run.create_ns, flow_clock_wall_ns(rig->clock));
    flow_store_op_done(&create.op);
    REFUSED(rig, run_create, create, FLOW_ALREADY_EXISTS, "RUN_EXISTS");
    FlowStoreRunCreate second = run_of("r2", "w");
    REFUSED(rig, run_create, second, FLOW_FAILED_PRECONDITION, "RUN_ACTIVE");
    assert_string_equal(second.op.error.where, "r1");
    flow_store_op_done(&second.op);
    second.workflow_id = "nope";
    REFUSED(rig, run_create, second, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND");

    FlowBlob *status = rig_blob("status");
    FlowStoreRunSave save = {.id = "r1", .state = 3, .start_ns = 5, .status = status};
    OK(rig, run_save, save);
    FlowStoreRunDelete delete = {.id = "r1"};
    REFUSED(rig, run_delete, delete, FLOW_FAILED_PRECONDITION, "RUN_ACTIVE");
    FlowStoreLoop *loop = rig_loop(rig, "r1", "p", false);
    FlowNodeState node = {"n", status};
    FlowStoreSettle settle = {
        .owner = loop, .plain_done = 3, .plain_filtered = 1, .states = &node, .state_count = 1};
    OK(rig, settle, settle);
    FlowStoreLoopSave shown = {.owner = loop, .state = 8, .status = status};
    OK(rig, loop_save, shown);
    rig_close_loop(rig, loop);
    end_run(rig, "r1");
    FlowStoreRunGet get = {.id = "r1"};
    OK(rig, run_get, get);
    assert_false(get.run.active);
    assert_int_equal(get.run.state, 5);
    assert_int_equal(get.run.start_ns, 5);
    assert_int_equal(get.run.end_ns, 77);
    assert_true(rig_blob_is(get.run.status, "status"));
    assert_int_equal(get.run.loop_count, 1);
    assert_string_equal(get.run.loops[0].producer_node_id, "p");
    assert_int_equal(get.run.loops[0].state, 8);
    assert_true(rig_blob_is(get.run.loops[0].status, "status"));
    assert_int_equal(get.run.loops[0].produced, 3);
    flow_store_op_done(&get.op);
    FlowStoreLedger ledger = {.run_id = "r1"};
    OK(rig, ledger, ledger);
    assert_int_equal(ledger.loop_count, 1);
    assert_int_equal(ledger.loops[0].loop.filtered, 1);
    assert_true(ledger.balanced);
    flow_store_op_done(&ledger.op);

    second.workflow_id = "w";
    OK(rig, run_create, second);
    assert_int_equal(second.run.workflow_revision, 2);
    flow_store_op_done(&second.op);
    OK(rig, run_delete, delete);
    REFUSED(rig, run_get, get, FLOW_NOT_FOUND, "RUN_NOT_FOUND");
    REFUSED(rig, run_delete, delete, FLOW_NOT_FOUND, "RUN_NOT_FOUND");
    REFUSED(rig, run_save, save, FLOW_NOT_FOUND, "RUN_NOT_FOUND");
    rig_balance(rig);
    flow_blob_unref(spec);
    flow_blob_unref(status);
}

static void a_run_starts_once_per_request_id(void **state)
{
    Rig *rig = *state;
    FlowBlob *definition = rig_blob("{}");
    FlowStoreRunCreate create = run_of("r1", "inline-1");
    create.definition = definition;
    create.request_id = "req";
    create.request_hash[0] = 1;
    OK(rig, run_create, create);
    assert_true(create.run.inline_workflow);
    assert_int_equal(create.run.workflow_revision, 1);
    flow_store_op_done(&create.op);
    FlowStoreRunCreate again = create;
    again.id = "r2";
    again.workflow_id = "inline-2";
    OK(rig, run_create, again);
    assert_true(again.replayed);
    assert_string_equal(again.run.id, "r1");
    flow_store_op_done(&again.op);
    again.request_hash[0] = 2;
    REFUSED(rig, run_create, again, FLOW_INVALID_ARGUMENT, "REQUEST_ID_REUSED");
    /* A push may have the same id: requests of different kinds are different requests. */
    FlowStoreItem item = {"a", definition, 0};
    FlowStorePush push = {.queue = rig_queue(rig, "q"), .items = &item, .count = 1, .request_id = "req"};
    OK(rig, push, push);
    FlowStoreWorkflowGet get = {.id = "inline-1"};
    OK(rig, workflow_get, get);
    assert_true(rig_blob_is(get.workflow.body, "{}"));
    flow_store_op_done(&get.op);
    end_run(rig, "r1");
    FlowStoreRunDelete delete = {.id = "r1"};
    OK(rig, run_delete, delete);
    REFUSED(rig, workflow_get, get, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND"); /* goes with its last run */
    flow_blob_unref(definition);
}

static void runs_are_listed_newest_first(void **state)
{
    Rig *rig = *state;
    put_text(rig, true, "w", "1");
    for (int i = 1; i <= 5; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        FlowStoreRunCreate create = run_of(id, "w");
        OK(rig, run_create, create);
        flow_store_op_done(&create.op);
        if (i < 5)
            end_run(rig, id);
    }
    rig_run(rig, "x");
    char seen[100] = "", token[FLOW_STORE_TOKEN] = "";
    do {
        FlowStoreRunList list = {.workflow_id = "w", .max = 2, .token = token};
        OK(rig, run_list, list);
        for (size_t i = 0; i < list.count; i++)
            strcat(strcat(seen, list.runs[i].id), " ");
        strcpy(token, list.next_token);
        flow_store_op_done(&list.op);
    } while (token[0] != '\0');
    assert_string_equal(seen, "r5 r4 r3 r2 r1 ");
    const struct {
        FlowStoreRunList list;
        size_t count;
    } rows[] = {{{.active_only = true}, 2},
                {{.states = 1 << 5}, 4},
                {{.states = 1 << 1 | 1 << 2}, 2},
                {{.workflow_id = "no"}, 0}};
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowStoreRunList list = rows[i].list;
        list.max = 10;
        OK(rig, run_list, list);
        assert_int_equal(list.count, rows[i].count);
        flow_store_op_done(&list.op);
    }
    if (rig->kind->survives) {
        rig_reopen(rig);
        assert_int_equal(flow_store_recovery(rig->store).active_runs, 2);
    }
}

/* ---- dead letters --------------------------------------------------------------------------------------- */

static void make_letter(Rig *rig, FlowStoreLoop *loop, FlowDeadLetter letter)
{
    FlowStoreUnit unit = {.outcome = FLOW_UNIT_DEAD_LETTERED, .dead_letter = &letter};
    FlowStoreSettle settle = {.owner = loop, .units = &unit, .unit_count = 1};
    OK(rig, settle, settle);
}

static void dead_letters_are_found_and_deleted(void **state)
{
    Rig *rig = *state;
    rig_run(rig, "r");
    FlowStoreLoop *loop = rig_loop(rig, "r", "1", false);
    FlowBlob *payload = rig_blob("p"), *details = rig_blob("d");
    for (int i = 0; i < 20; i++) {
        char id[16], message[64], run[16];
        snprintf(id, sizeof id, "d%d", i);
        snprintf(run, sizeof run, "r%d", i % 4);
        snprintf(message, sizeof message, "item %d is \"%d\" too large", i, i * 7);
        make_letter(rig, loop,
                    (FlowDeadLetter){.id = i < 18 ? id : "",
                                     .workflow_id = i % 2 ? "odd" : "even",
                                     .run_id = run,
                                     .node_id = i < 10 ? "a" : "b",
                                     .producer_node_id = "1",
                                     .queue = "q",
                                     .reason = i % 5 ? "NODE_FAILED" : "TIMEOUT",
                                     .message = message,
                                     .payload_id = id,
                                     .payload = payload,
                                     .input = payload,
                                     .details = details,
                                     .time_ns = 1000 + i});
    }
    FlowStoreDeadLetterGet first = {.id = "d0"};
    OK(rig, dead_letter_get, first);
    assert_true(rig_blob_is(first.letter.details, "d"));
    assert_true(rig_blob_is(first.letter.input, "p"));
    char print[FLOW_FINGERPRINT_TEXT];
    flow_dead_letter_fingerprint("TIMEOUT", "even", "a", "item 55 is \"x\" too large", print);
    assert_string_equal(first.letter.fingerprint, print);
    flow_store_op_done(&first.op);

    const struct {
        FlowDeadLetterFilter filter;
        size_t count;
    } rows[] = {
        {{0}, 20},
        {{.workflow_id = "odd"}, 10},
        {{.run_id = "r1"}, 5},
        {{.node_id = "a", .workflow_id = "even"}, 5},
        {{.reason = "TIMEOUT"}, 4},
        {{.fingerprint = print}, 1},
        {{.queue = "q", .producer_node_id = "1"}, 20},
        {{.queue = "other"}, 0},
        {{.after_ns = 1005, .before_ns = 1008}, 3},
        {{.states = 1 << FLOW_DEAD_LETTER_REDRIVEN}, 0},
        {{.states = 1 << FLOW_DEAD_LETTER_REDRIVEN | 1 << FLOW_DEAD_LETTER_OPEN}, 20},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowStoreDeadLetterCount count = {.filter = rows[i].filter};
        OK(rig, dead_letter_count, count);
        assert_int_equal(count.count, rows[i].count);
        size_t seen = 0;
        int64_t last = INT64_MAX;
        char token[FLOW_STORE_TOKEN] = "";
        do {
            FlowStoreDeadLetterList list = {
                .filter = rows[i].filter, .max = 3, .token = token, .with_bodies = i % 2 == 0};
            OK(rig, dead_letter_list, list);
            for (size_t k = 0; k < list.count; k++, seen++) {
                assert_true(list.letters[k].time_ns < last);
                last = list.letters[k].time_ns;
                assert_true((list.letters[k].payload != NULL) == (i % 2 == 0));
                assert_int_not_equal(list.letters[k].id[0], 0);
            }
            strcpy(token, list.next_token);
            flow_store_op_done(&list.op);
        } while (token[0] != '\0');
        assert_int_equal(seen, rows[i].count);
    }
    FlowStoreDeadLetterList small = {.max = 10, .with_bodies = true, .max_bytes = 7};
    OK(rig, dead_letter_list, small);
    assert_int_equal(small.count, 2); /* 3 bytes each */
    flow_store_op_done(&small.op);

    const char *const ids[] = {"d3", "unknown", "d4"};
    FlowStoreDeadLetterDelete by_id = {.ids = ids, .count = 3};
    OK(rig, dead_letter_delete, by_id);
    assert_int_equal(by_id.deleted, 2);
    FlowStoreDeadLetterGet get = {.id = "d3"};
    REFUSED(rig, dead_letter_get, get, FLOW_NOT_FOUND, "DEAD_LETTER_NOT_FOUND");
    FlowStoreDeadLetterDelete by_filter = {.filter = {.workflow_id = "odd"}, .max = 4};
    OK(rig, dead_letter_delete, by_filter);
    assert_int_equal(by_filter.deleted, 4);
    assert_true(by_filter.more);
    by_filter.max = 0;
    OK(rig, dead_letter_delete, by_filter);
    assert_int_equal(by_filter.deleted, 5);
    assert_false(by_filter.more);
    FlowStoreLedger ledger = {.check = true};
    OK(rig, ledger, ledger);
    assert_int_equal(ledger.dead_letters.made, 20);
    assert_int_equal(ledger.dead_letters.open, 9);
    assert_int_equal(ledger.dead_letters.deleted, 11);
    assert_true(ledger.balanced);
    flow_store_op_done(&ledger.op);
    flow_blob_unref(payload);
    flow_blob_unref(details);
}

#define RULE(function)                                                                                       \
    {                                                                                                        \
#function, function                                                                                  \
    }
static const struct {
    const char *name;
    CMUnitTestFunction function;
} rules[] = {
    RULE(workflows_have_revisions),           RULE(workflows_are_listed_and_filtered),
    RULE(revisions_that_runs_use_are_kept),   RULE(a_workflow_has_one_active_run),
    RULE(a_run_starts_once_per_request_id),   RULE(runs_are_listed_newest_first),
    RULE(dead_letters_are_found_and_deleted),
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
