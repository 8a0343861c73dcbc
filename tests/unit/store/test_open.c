/* Opening: who may, what is refused, what is found out; storage that fails; small parts of the room. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

static void with_sql(Rig *rig, const char *sql)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/flow.db", rig->directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static int set_up(void **state)
{
    *state = rig_new(&rig_stores[0], NULL);
    return 0;
}

static int tear_down(void **state)
{
    rig_free(*state);
    return 0;
}

static void urls_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        FlowStatus status;
        const char *reason;
    } rows[] = {
        {"mysql://x", FLOW_INVALID_ARGUMENT, "STORE_URL"},
        {"sqlite", FLOW_INVALID_ARGUMENT, "STORE_URL"},
        {"sqlite:", FLOW_INVALID_ARGUMENT, "STORE_URL"},
        {"", FLOW_INVALID_ARGUMENT, "STORE_URL"},
        {"sqlite:/no/such/directory/flow.db", FLOW_UNAVAILABLE, "STORE_OPEN"},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowError error;
        FlowStore *store = NULL;
        assert_int_equal(flow_store_open(rows[i].url, NULL, &store, &error), rows[i].status);
        assert_string_equal(error.reason, rows[i].reason);
        assert_null(store);
        assert_int_equal(flow_store_open(rows[i].url, NULL, &store, NULL), rows[i].status);
    }
    flow_store_close(NULL);
}

static void a_second_owner_is_refused(void **state)
{
    Rig *rig = *state;
    FlowError error;
    FlowStore *second = NULL;
    char owner[40];
    assert_int_equal(flow_store_open(rig->url, NULL, &second, &error), FLOW_FAILED_PRECONDITION);
    assert_string_equal(error.reason, "STORE_IN_USE");
    snprintf(owner, sizeof owner, "process %ld:", (long)getpid());
    assert_non_null(strstr(error.message, owner));
    /* In another process, too; the lock goes with the process that has it. */
    pid_t child = fork();
    if (child == 0)
        _exit(flow_store_open(rig->url, NULL, &second, NULL) == FLOW_FAILED_PRECONDITION ? 0 : 1);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    rig_reopen(rig);
}

static void what_cannot_be_understood_is_refused(void **state)
{
    Rig *rig = *state;
    static const struct {
        const char *sql;
        FlowStatus status;
        const char *reason, *repair;
    } rows[] = {
        {"PRAGMA user_version = 99", FLOW_FAILED_PRECONDITION, "STORE_TOO_NEW", "PRAGMA user_version = 1"},
        {"PRAGMA application_id = 7", FLOW_FAILED_PRECONDITION, "STORE_FOREIGN",
         "PRAGMA application_id = 1181511543"},
        {"DELETE FROM meta WHERE key = 'epoch'", FLOW_DATA_LOSS, "STORE_FAULT",
         "INSERT INTO meta VALUES ('epoch', 5)"},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowStore *store = NULL;
        FlowError error;
        flow_store_close(rig->store);
        with_sql(rig, rows[i].sql);
        assert_int_equal(flow_store_open(rig->url, &rig->options, &store, &error), rows[i].status);
        assert_string_equal(error.reason, rows[i].reason);
        with_sql(rig, rows[i].repair);
        assert_int_equal(flow_store_open(rig->url, &rig->options, &rig->store, &error), FLOW_OK);
    }
}

static void garbage_is_no_store(void **state)
{
    Rig *rig = *state;
    char path[128], url[160];
    snprintf(path, sizeof path, "%s/garbage", rig->directory);
    snprintf(url, sizeof url, "sqlite:%s", path);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database", file);
    fclose(file);
    FlowError error;
    FlowStore *store = NULL;
    assert_int_equal(flow_store_open(url, NULL, &store, &error), FLOW_DATA_LOSS);
    assert_string_equal(error.reason, "STORE_CORRUPT");
}

static void an_unbalanced_ledger_stops_what_is_new(void **state)
{
    Rig *rig = *state;
    static const struct {
        const char *damage, *where, *repair;
    } rows[] = {
        {"UPDATE queue SET pushed = pushed + 1 WHERE name = 'q2'", "q2",
         "UPDATE queue SET pushed = pushed - 1 WHERE name = 'q2'"},
        {"UPDATE delivery SET key = key + (9 << 43) WHERE key = (SELECT max(key) FROM delivery)", "",
         "UPDATE delivery SET key = key - (9 << 43) WHERE key = (SELECT max(key) FROM delivery)"},
        {"UPDATE loop SET done = done + 1", "r", "UPDATE loop SET done = done - 1"},
        {"UPDATE meta SET value = value + 1 WHERE key = 'letters_made'", "dead letters",
         "UPDATE meta SET value = value - 1 WHERE key = 'letters_made'"},
    };
    rig_push(rig, "q1", 1, 2);
    rig_push(rig, "q2", 1, 2);
    rig_run(rig, "r");
    FlowStoreLoop *loop = rig_loop(rig, "r", "1", false);
    rig_close_loop(rig, loop);
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        flow_store_close(rig->store);
        with_sql(rig, rows[i].damage);
        FlowError error;
        assert_int_equal(flow_store_open(rig->url, &rig->options, &rig->store, &error), FLOW_OK);
        FlowStoreInfo info;
        flow_store_info(rig->store, &info);
        assert_false(info.balanced);
        assert_string_equal(info.imbalance.where, rows[i].where);
        FlowBlob *body = rig_blob("x");
        FlowStoreItem item = {"x", body, 0};
        FlowStorePush push = {.queue = rig_queue(rig, "q1"), .items = &item, .count = 1};
        REFUSED(rig, push, push, FLOW_UNAVAILABLE, "LEDGER_UNBALANCED");
        FlowStoreRunCreate create = {.id = "r2", .workflow_id = "w2", .definition = body};
        REFUSED(rig, run_create, create, FLOW_UNAVAILABLE, "LEDGER_UNBALANCED");
        assert_string_equal(create.op.error.where, rows[i].where);
        assert_string_equal(rig_line(rig, "q1"), "1 2"); /* reads are served */
        FlowStoreLedger ledger = {.queue = NULL};
        OK(rig, ledger, ledger);
        assert_false(ledger.balanced);
        flow_store_op_done(&ledger.op);
        flow_store_close(rig->store);
        with_sql(rig, rows[i].repair);
        assert_int_equal(flow_store_open(rig->url, &rig->options, &rig->store, &error), FLOW_OK);
        push.queue = rig_queue(rig, "q1");
        OK(rig, push, push);
        FlowStorePurge purge = {.queue = "q1"};
        OK(rig, purge, purge);
        rig_push(rig, "q1", 1, 2);
        rig_balance(rig);
        flow_blob_unref(body);
    }
}

static void information_is_given(void **state)
{
    Rig *rig = *state;
    FlowStoreInfo first, second;
    flow_store_info(rig->store, &first);
    assert_string_equal(first.kind, "sqlite");
    assert_string_equal(first.url, rig->url);
    assert_int_equal(first.schema_version, 1);
    assert_int_equal(first.state, FLOW_STORE_READY);
    assert_true(first.balanced);
    assert_int_equal(strlen(first.identity), 36);
    rig_push(rig, "q", 1, 3);
    rig_reopen(rig);
    flow_store_info(rig->store, &second);
    assert_string_equal(first.identity, second.identity);
    rig_push(rig, "q", 4, 2);
    flow_store_info(rig->store, &second);
    assert_int_equal(second.pushed, 2);
    assert_true(second.commits >= 1);
}

static void a_commit_may_wait_for_company(void **state)
{
    (void)state;
    FlowStoreOptions options = {.commit_wait_ms = 2, .commit_operations = 8};
    FlowStore *store = NULL;
    assert_int_equal(flow_store_open("sqlite::memory:", &options, &store, NULL), FLOW_OK);
    FlowBlob *body = rig_blob("x");
    FlowStoreItem item = {"x", body, 0};
    FlowStoreQueue *queue = flow_store_queue_open(store, "q");
    FlowStorePush pushes[20];
    for (size_t i = 0; i < FLOW_COUNT(pushes); i++) {
        pushes[i] = (FlowStorePush){.queue = queue, .items = &item, .count = 1};
        flow_store_push(store, &pushes[i]);
    }
    for (size_t i = 0; i < FLOW_COUNT(pushes); i++)
        assert_int_equal(flow_store_wait(store, &pushes[i].op), FLOW_OK);
    FlowStoreInfo info;
    flow_store_info(store, &info);
    assert_int_equal(info.pushed, FLOW_COUNT(pushes));
    assert_in_range(info.commits, 3, 10); /* at least one for 8, and one of recovery; at most few */
    flow_store_close(store);
    flow_blob_unref(body);
}

/* Names that are asked for and never used take no memory for ever. */
static void forgotten_queues_are_swept_away(void **state)
{
    Rig *rig = *state;
    FlowStoreQueue *kept = rig_queue(rig, "kept");
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "name-%d", i);
        flow_store_queue_unref(rig_queue(rig, name));
    }
    rig_push(rig, "used", 1, 1);
    flow_test_clock_advance(rig->clock, 61 * FLOW_NS_PER_S);
    FlowStoreFlush flush = {.op = {.loop = NULL}};
    OK(rig, flush, flush);
    OK(rig, flush, flush);
    assert_string_equal(flow_store_queue_name(kept), "kept");
    FlowStoreQueue *again = rig_queue(rig, "kept");
    assert_ptr_equal(again, kept);
    assert_string_equal(rig_line(rig, "used"), "1");
    rig_push(rig, "name-5", 1, 1);
    rig_push(rig, "kept", 1, 1);
    assert_int_equal(flow_store_queue_view(kept).queued, 1);
    rig_balance(rig);
}

/* ---- storage that fails --------------------------------------------------------------------------------- */

static void allow_writes(bool allow)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = allow ? limit.rlim_max : 0;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static void everything_resumes_when_the_storage_is_back(void **state)
{
    Rig *rig = *state;
    rig_push(rig, "q", 1, 3);
    rig_run(rig, "r");
    FlowStoreLoop *loop = rig_loop(rig, "r", "1", false);
    FlowDelivery *taken[2], *later[1];
    assert_int_equal(rig_take(rig, loop, "q", taken, 2), 2);
    FlowStoreQueue *out = rig_queue(rig, "out"), *q = rig_queue(rig, "q");
    FlowStoreTake waiting = {.owner = loop, .queue = out, .deliveries = later, .max = 1, .wait = true};
    flow_store_take(rig->store, &waiting);
    FlowBlob *body = rig_blob("b");
    FlowStoreItem item = {"b", body, 0};
    FlowStorePush push = {.queue = q, .items = &item, .count = 1};

    allow_writes(false);
    assert_int_equal(DO(rig, push, push), FLOW_UNAVAILABLE);
    FlowStoreUntil away = {.condition = FLOW_STORE_IS_AWAY}, ready = {.condition = FLOW_STORE_IS_READY};
    FlowStatus away_status = DO(rig, until, away);
    flow_store_until(rig->store, &ready);
    FlowStatus second = DO(rig, push, push); /* at once, without trying */
    /* Settles are held, in order. */
    FlowStoreUnit units[] = {{taken[0], FLOW_UNIT_DONE, NULL}, {taken[1], FLOW_UNIT_DONE, NULL}};
    FlowStoreHeldPush held = {out, {"1", body, 0}};
    FlowStoreSettle settles[] = {
        {.owner = loop, .units = &units[0], .unit_count = 1, .pushes = &held, .push_count = 1},
        {.owner = loop, .units = &units[1], .unit_count = 1}};
    flow_store_settle(rig->store, &settles[0]);
    flow_store_settle(rig->store, &settles[1]);
    FlowStoreQueueGet get = {.name = "q"};
    FlowStatus read = DO(rig, queue_get, get); /* reads are tried */
    uint64_t in_flight = get.info.in_flight, queued = get.info.queued;
    flow_store_op_done(&get.op);
    FlowStoreQueueView view = flow_store_queue_view(q);
    FlowStoreInfo info;
    flow_store_info(rig->store, &info);
    for (int i = 0; i < 3; i++) /* attempts in vain */
        flow_test_clock_advance(rig->clock, 500 * FLOW_NS_PER_MS);
    FlowStatus still = DO(rig, push, push);
    allow_writes(true);

    assert_int_equal(away_status, FLOW_OK);
    assert_int_equal(second, FLOW_UNAVAILABLE);
    assert_int_equal(still, FLOW_UNAVAILABLE);
    assert_string_equal(push.op.error.reason, "STORE_AWAY");
    assert_int_equal(read, FLOW_OK);
    assert_int_equal(in_flight, 2);
    assert_int_equal(queued, 1);
    assert_int_equal(view.in_flight, 2);
    assert_int_equal(info.state, FLOW_STORE_AWAY);
    assert_int_equal(info.state_error.status, FLOW_UNAVAILABLE);
    flow_test_clock_advance(rig->clock, 500 * FLOW_NS_PER_MS);
    assert_int_equal(flow_store_wait(rig->store, &ready.op), FLOW_OK);
    assert_int_equal(flow_store_wait(rig->store, &settles[0].op), FLOW_OK);
    assert_int_equal(flow_store_wait(rig->store, &settles[1].op), FLOW_OK);
    assert_int_equal(flow_store_wait(rig->store, &waiting.op), FLOW_OK);
    assert_int_equal(waiting.count, 1);
    OK(rig, push, push);
    assert_string_equal(rig_line(rig, "q") + 0, "3 b");
    flow_store_info(rig->store, &info);
    assert_int_equal(info.state, FLOW_STORE_READY);
    rig_balance(rig);
    flow_delivery_unref(taken[0]);
    flow_delivery_unref(taken[1]);
    flow_delivery_unref(later[0]);
    flow_blob_unref(body);
}

static void settles_that_wait_for_room_outlast_a_failure_in_order(void **state)
{
    Rig *rig = *state;
    rig_run(rig, "r");
    rig_push(rig, "full", 1, 1);
    FlowStoreQueueUpdate update = {.name = "full", .max_items = 1};
    OK(rig, queue_update, update);
    flow_store_op_done(&update.op);
    FlowStoreLoop *writer = rig_loop(rig, "r", "w", false), *other = rig_loop(rig, "r", "o", false);
    FlowStoreQueue *full = rig_queue(rig, "full"), *log = rig_queue(rig, "log");
    FlowStoreSettle settles[4];
    FlowStoreHeldPush pushes[4];
    char names[4][16];
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        pushes[i] = (FlowStoreHeldPush){i == 1 ? full : log, {names[i], rig_blob(names[i]), 0}};
        settles[i] =
            (FlowStoreSettle){.owner = writer, .plain_done = 1, .pushes = &pushes[i], .push_count = 1};
        flow_store_settle(rig->store, &settles[i]);
    }
    assert_false(rig_pending(rig, &settles[0].op));
    assert_true(rig_pending(rig, &settles[3].op));
    FlowStoreSettle trigger = {.owner = other, .plain_done = 1};
    allow_writes(false);
    flow_store_settle(rig->store, &trigger);
    FlowStoreUntil away = {.condition = FLOW_STORE_IS_AWAY}, ready = {.condition = FLOW_STORE_IS_READY};
    FlowStatus status = DO(rig, until, away);
    allow_writes(true);
    assert_int_equal(status, FLOW_OK);
    flow_test_clock_advance(rig->clock, 500 * FLOW_NS_PER_MS);
    OK(rig, until, ready);
    assert_int_equal(flow_store_wait(rig->store, &trigger.op), FLOW_OK);
    assert_true(rig_pending(rig, &settles[1].op) && rig_pending(rig, &settles[2].op));
    assert_string_equal(rig_line(rig, "log"), "0");
    FlowStorePurge purge = {.queue = "full"};
    OK(rig, purge, purge);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(flow_store_wait(rig->store, &settles[i].op), FLOW_OK);
        flow_blob_unref(pushes[i].item.body);
    }
    assert_string_equal(rig_line(rig, "log"), "0 2 3");
    assert_string_equal(rig_line(rig, "full"), "1");
    rig_balance(rig);
}

static void a_store_can_be_closed_while_it_is_away(void **state)
{
    Rig *rig = *state;
    rig_push(rig, "q", 1, 2);
    rig_run(rig, "r");
    FlowStoreLoop *loop = rig_loop(rig, "r", "1", true);
    FlowDelivery *taken[1];
    assert_int_equal(rig_take(rig, loop, "q", taken, 1), 1);
    FlowStoreUnit unit = {taken[0], FLOW_UNIT_DONE, NULL};
    FlowStoreSettle settle = {.owner = loop, .units = &unit, .unit_count = 1};
    allow_writes(false);
    flow_store_settle(rig->store, &settle);
    FlowStoreUntil away = {.condition = FLOW_STORE_IS_AWAY};
    FlowStatus away_status = DO(rig, until, away);
    flow_store_close(rig->store);
    allow_writes(true);
    assert_int_equal(away_status, FLOW_OK);
    FlowError error;
    assert_int_equal(flow_store_open(rig->url, &rig->options, &rig->store, &error), FLOW_OK);
    assert_int_equal(settle.op.error.status, FLOW_UNAVAILABLE);
    assert_string_equal(settle.op.error.reason, "STORE_CLOSED");
    /* As of the last commit: the delivery was in flight, and its owner wanted it back. */
    assert_false(flow_store_recovery(rig->store).clean);
    assert_int_equal(flow_store_recovery(rig->store).requeued, 1);
    assert_string_equal(rig_line(rig, "q"), "1 2");
    rig_balance(rig);
    flow_delivery_unref(taken[0]);
}

/* ---- blobs, fingerprints -------------------------------------------------------------------------------- */

static int freed, encoded;

static void count_free(void *attachment)
{
    (void)attachment;
    freed++;
}

static bool encode(const void *attachment, FlowBuf *to)
{
    encoded++;
    flow_buf_str(to, attachment);
    return ((const char *)attachment)[0] != '\0';
}

static void blobs_carry_attachments_and_are_made_late(void **state)
{
    (void)state;
    static char text[] = "late", none[] = "";
    FlowBlob *blob = rig_blob("abc");
    flow_blob_attach(blob, text, 100, count_free);
    assert_ptr_equal(flow_blob_attachment(blob), text);
    assert_true(flow_blob_memory(blob) >= 103);
    assert_ptr_equal(flow_blob_ref(blob), blob);
    flow_blob_unref(blob);
    assert_int_equal(freed, 0);
    assert_null(flow_blob_unref(blob));
    assert_int_equal(freed, 1);

    blob = flow_blob_lazy(encode, text, count_free);
    assert_int_equal(encoded, 0);
    assert_true(rig_blob_is(blob, "late"));
    assert_int_equal(flow_blob_len(blob), 4);
    assert_int_equal(encoded, 1);
    flow_blob_unref(blob);
    assert_int_equal(freed, 2);
    blob = flow_blob_lazy(encode, none, NULL);
    assert_int_equal(flow_blob_len(blob), 0);
    flow_blob_unref(blob);

    FlowBuf buf;
    flow_buf_init(&buf, 3);
    flow_buf_str(&buf, "xy");
    blob = flow_blob_take(&buf);
    assert_int_equal(buf.len, 0);
    assert_true(rig_blob_is(blob, "xy"));
    flow_blob_unref(blob);
    flow_buf_str(&buf, "too long");
    assert_null(flow_blob_take(&buf));
    flow_buf_done(&buf);
    blob = flow_blob_new(NULL, 0);
    assert_int_equal(flow_blob_len(blob), 0);
    assert_non_null(flow_blob_attachment(blob) == NULL ? blob : NULL);
    flow_blob_unref(blob);
    assert_null(flow_blob_ref(NULL));
    assert_null(flow_blob_new(NULL, SIZE_MAX));
}

static void fingerprints_leave_out_what_varies(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"timed out after 30 s", "timed out after 5 s", true},
        {"no user \"alice\"", "no user \"bob smith\"", true},
        {"no user 'alice'", "no user \"bob\"", true},
        {"id 01932f1e-7a54-7c3e-9a1b-7d1e2f3a4b5c is gone", "id 01932f1e-0000-7c3e-9a1b-7d1e2f3a4b5c is gone",
         true},
        {"GET http://10.0.0.1:80/x?id=1: 500", "GET http://10.0.0.2:81/x?id=2: 500", true},
        {"can't parse it", "can't read it", false},
        {"a \"quoted", "a \"other", false},
        {"field name is required", "field age is required", false},
        {"", "x", false},
        {"at 2026-11-23T20:36:31Z", "at 2027-01-01T00:00:00Z", true},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        char a[FLOW_FINGERPRINT_TEXT], b[FLOW_FINGERPRINT_TEXT];
        flow_dead_letter_fingerprint("NODE_FAILED", "w", "1", rows[i].a, a);
        flow_dead_letter_fingerprint("NODE_FAILED", "w", "1", rows[i].b, b);
        if ((strcmp(a, b) == 0) != rows[i].same)
            fail_msg("\"%s\" and \"%s\"", rows[i].a, rows[i].b);
        flow_dead_letter_fingerprint("TIMEOUT", "w", "1", rows[i].a, b);
        assert_string_not_equal(a, b);
        flow_dead_letter_fingerprint("NODE_FAILED", "w", "2", rows[i].a, b);
        assert_string_not_equal(a, b);
        flow_dead_letter_fingerprint(NULL, NULL, NULL, NULL, b);
        assert_string_not_equal(a, b);
    }
    /* Stored, so it must never change. */
    char fixed[FLOW_FINGERPRINT_TEXT];
    flow_dead_letter_fingerprint("NODE_FAILED", "orders", "7", "no answer after 30 s", fixed);
    assert_string_equal(fixed, "fd5c4a24cfe44acd");
}

int main(void)
{
    signal(SIGXFSZ, SIG_IGN);
#define ON_A_STORE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_checked),
        ON_A_STORE(a_second_owner_is_refused),
        ON_A_STORE(what_cannot_be_understood_is_refused),
        ON_A_STORE(garbage_is_no_store),
        ON_A_STORE(an_unbalanced_ledger_stops_what_is_new),
        ON_A_STORE(information_is_given),
        cmocka_unit_test(a_commit_may_wait_for_company),
        ON_A_STORE(forgotten_queues_are_swept_away),
        ON_A_STORE(everything_resumes_when_the_storage_is_back),
        ON_A_STORE(settles_that_wait_for_room_outlast_a_failure_in_order),
        ON_A_STORE(a_store_can_be_closed_while_it_is_away),
        cmocka_unit_test(blobs_carry_attachments_and_are_made_late),
        cmocka_unit_test(fingerprints_leave_out_what_varies),
    };
    return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
