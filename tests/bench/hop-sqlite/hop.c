/*
 * hop.c - durable queue hops per second: take + settle + push through the store, against a bare SQLite program
 * that moves the same payloads with as many hops in a transaction as the store had in a commit.
 *
 * hop DIRECTORY ROUNDS: prints a markdown table.
 */
#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/store.h"

enum { WINDOW = 256, IN_FLIGHT = FLOW_STORE_SETTLES_MAX, PRELOAD = 500, ROUNDS_MAX = 99 };

typedef struct Figures {
    double hops_per_s, cpu_us, hops_per_commit;
} Figures;

static double now_s(void)
{
    return (double)flow_clock_mono_ns(flow_clock_real()) / 1e9;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "hop: %s: %s\n", what, why);
    exit(1);
}

/* ---- through the store ---------------------------------------------------------------------------------- */

typedef struct Hop {
    FlowStoreSettle settle;
    FlowStoreUnit unit;
    FlowStoreHeldPush push;
    struct Mover *mover;
    struct Hop *next_free;
} Hop;

typedef struct Mover {
    FlowStore *store;
    FlowLoop *loop;
    FlowStoreLoop *owner;
    FlowStoreQueue *from, *to;
    bool changed; /* each hop makes a new body */
    char body[4096];
    size_t body_len;
    FlowStoreTake take;
    FlowDelivery *window[WINDOW], *ready[2 * WINDOW];
    size_t ready_first, ready_count;
    bool taking;
    Hop hops[IN_FLIGHT];
    Hop *free;
    size_t left_to_take, left_to_settle;
    FlowTask begin;
    sem_t *over;
} Mover;

static void go_on(Mover *self);

static void check(FlowStoreOp *op)
{
    if (op->error.status != FLOW_OK)
        die("store", op->error.message);
}

static void on_settled(FlowStoreOp *op)
{
    Hop *hop = flow_container_of(op, Hop, settle.op);
    Mover *self = hop->mover;
    check(op);
    flow_delivery_unref(hop->unit.input);
    hop->next_free = self->free;
    self->free = hop;
    if (--self->left_to_settle == 0)
        sem_post(self->over);
    else
        go_on(self);
}

static void on_taken(FlowStoreOp *op)
{
    Mover *self = flow_container_of(op, Mover, take.op);
    check(op);
    for (size_t i = 0; i < self->take.count; i++)
        self->ready[(self->ready_first + self->ready_count++) % FLOW_COUNT(self->ready)] = self->window[i];
    self->left_to_take -= self->take.count;
    self->taking = false;
    go_on(self);
}

static void go_on(Mover *self)
{
    while (self->free != NULL && self->ready_count != 0) {
        Hop *hop = self->free;
        self->free = hop->next_free;
        FlowDelivery *delivery = self->ready[self->ready_first];
        self->ready_first = (self->ready_first + 1) % FLOW_COUNT(self->ready);
        self->ready_count--;
        flow_delivery_start(delivery);
        FlowBlob *body =
            self->changed ? flow_blob_new(self->body, self->body_len) : flow_blob_ref(delivery->body);
        hop->unit = (FlowStoreUnit){.input = delivery, .outcome = FLOW_UNIT_DONE};
        flow_blob_unref(hop->push.item.body);
        hop->push = (FlowStoreHeldPush){self->to, {delivery->payload_id, body, 0}};
        hop->settle.owner = self->owner;
        hop->settle.units = &hop->unit;
        hop->settle.unit_count = 1;
        hop->settle.pushes = &hop->push;
        hop->settle.push_count = 1;
        hop->settle.op.loop = self->loop;
        hop->settle.op.done = on_settled;
        flow_store_settle(self->store, &hop->settle);
    }
    if (!self->taking && self->left_to_take != 0 && self->ready_count <= WINDOW) {
        self->taking = true;
        self->take.owner = self->owner;
        self->take.queue = self->from;
        self->take.deliveries = self->window;
        self->take.max = WINDOW;
        self->take.wait = true;
        self->take.op.loop = self->loop;
        self->take.op.done = on_taken;
        flow_store_take(self->store, &self->take);
    }
}

static void on_begin(FlowTask *task)
{
    go_on(flow_container_of(task, Mover, begin));
}

static void wait_for(FlowStore *store, FlowStoreOp *op)
{
    if (flow_store_wait(store, op) != FLOW_OK)
        die("store", op->error.message);
}

static Figures through_the_store(const char *path, FlowDurability durability, size_t size, bool changed,
                                 int loops, size_t items)
{
    char url[300], name[16];
    snprintf(url, sizeof url, "sqlite:%s", path);
    FlowStoreOptions options = {
        .durability = durability, .queue_max_items = 1u << 30, .queue_max_bytes = 1ull << 40};
    FlowStore *store = NULL;
    FlowError error;
    if (flow_store_open(url, &options, &store, &error) != FLOW_OK)
        die(url, error.message);
    static Mover movers[2];
    sem_t over;
    sem_init(&over, 0, 0);
    memset(movers, 0, sizeof movers);
    memset(movers[0].body, 'x', size);
    FlowBlob *definition = flow_blob_new("{}", 2);
    FlowStoreRunCreate create = {.id = "r", .workflow_id = "w", .definition = definition, .state = 1};
    flow_store_run_create(store, &create);
    wait_for(store, &create.op);
    flow_store_op_done(&create.op);
    flow_blob_unref(definition);
    for (int i = 0; i < loops; i++) {
        Mover *m = &movers[i];
        m->store = store;
        m->changed = changed;
        m->body_len = size;
        memset(m->body, 'y', size);
        m->over = &over;
        m->begin.run = on_begin;
        m->left_to_take = m->left_to_settle = items;
        if (flow_loop_open("mover", flow_clock_real(), &m->loop, &error) != FLOW_OK)
            die("loop", error.message);
        snprintf(name, sizeof name, "q%d", i);
        m->from = flow_store_queue_open(store, name);
        snprintf(name, sizeof name, "q%d", i + 1);
        m->to = flow_store_queue_open(store, name);
        FlowStoreLoopOpen open = {.run_id = "r", .producer_node_id = name};
        open.op.loop = NULL;
        flow_store_loop_open(store, &open);
        wait_for(store, &open.op);
        m->owner = open.owner;
        flow_store_op_done(&open.op);
        for (int h = 0; h < IN_FLIGHT; h++) {
            m->hops[h].mover = m;
            m->hops[h].next_free = m->free;
            m->free = &m->hops[h];
        }
    }
    for (size_t pushed = 0; pushed < items;) {
        static char names[PRELOAD][48];
        FlowStoreItem batch[PRELOAD];
        size_t count = items - pushed < PRELOAD ? items - pushed : PRELOAD;
        for (size_t i = 0; i < count; i++) {
            snprintf(names[i], sizeof names[i], "01932f1e-7a54-7c3e-9a1b-%012zu", pushed + i);
            batch[i] = (FlowStoreItem){names[i], flow_blob_new(movers[0].body, size), 0};
        }
        FlowStorePush push = {.queue = movers[0].from, .items = batch, .count = count};
        flow_store_push(store, &push);
        wait_for(store, &push.op);
        for (size_t i = 0; i < count; i++)
            flow_blob_unref(batch[i].body);
        pushed += count;
    }
    FlowStoreInfo before, after;
    flow_store_info(store, &before);
    double start = now_s(), cpu = cpu_s();
    for (int i = 0; i < loops; i++)
        flow_loop_post(movers[i].loop, &movers[i].begin);
    for (int i = 0; i < loops; i++)
        sem_wait(&over);
    double hops = (double)items * loops;
    Figures figures = {.hops_per_s = hops / (now_s() - start), .cpu_us = (cpu_s() - cpu) / hops * 1e6};
    flow_store_info(store, &after);
    figures.hops_per_commit = hops / (double)(after.commits - before.commits);
    FlowStoreLedger ledger = {.check = true};
    flow_store_ledger(store, &ledger);
    wait_for(store, &ledger.op);
    if (!ledger.balanced)
        die("ledger", ledger.imbalance.message);
    flow_store_op_done(&ledger.op);
    flow_store_close(store);
    for (int i = 0; i < loops; i++) {
        flow_loop_free(movers[i].loop);
        for (int h = 0; h < IN_FLIGHT; h++)
            flow_blob_unref(movers[i].hops[h].push.item.body);
    }
    sem_destroy(&over);
    return figures;
}

/* ---- bare SQLite ---------------------------------------------------------------------------------------- */

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
    return statement;
}

static void step(sqlite3 *db, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE)
        die(sqlite3_sql(statement), sqlite3_errmsg(db));
    sqlite3_reset(statement);
}

static void execute(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
}

/* What one would write: read the heads, put each into the other queue, delete it, count. */
static Figures bare(const char *path, FlowDurability durability, size_t size, int loops, size_t items,
                    int batch)
{
    sqlite3 *db;
    char *body = flow_malloc(size);
    memset(body, 'y', size);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        die(path, sqlite3_errmsg(db));
    execute(db,
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 4000;"
            "PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY");
    execute(db, durability == FLOW_DURABILITY_POWER ? "PRAGMA synchronous = FULL"
                                                    : "PRAGMA synchronous = NORMAL");
    execute(db,
            "CREATE TABLE item (key INTEGER PRIMARY KEY, payload_id TEXT, push_ns INTEGER, body BLOB) STRICT;"
            "CREATE TABLE queue (no INTEGER PRIMARY KEY, pushed INTEGER, done INTEGER) STRICT;"
            "INSERT INTO queue VALUES (0, 0, 0), (1, 0, 0), (2, 0, 0)");
    sqlite3_stmt *begin = prepare(db, "BEGIN IMMEDIATE"), *commit = prepare(db, "COMMIT");
    sqlite3_stmt *heads = prepare(
        db, "SELECT key, payload_id, body FROM item WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3");
    sqlite3_stmt *insert =
        prepare(db, "INSERT INTO item (key, payload_id, push_ns, body) VALUES (?1, ?2, ?3, ?4)");
    sqlite3_stmt *delete = prepare(db, "DELETE FROM item WHERE key = ?1");
    sqlite3_stmt *count =
        prepare(db, "UPDATE queue SET pushed = pushed + ?2, done = done + ?3 WHERE no = ?1");
    int64_t tail[3] = {0, INT64_C(1) << 43, INT64_C(2) << 43};
    step(db, begin);
    for (size_t i = 0; i < items; i++) {
        char id[48];
        snprintf(id, sizeof id, "01932f1e-7a54-7c3e-9a1b-%012zu", i);
        sqlite3_bind_int64(insert, 1, tail[0]++);
        sqlite3_bind_text(insert, 2, id, -1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 3, flow_clock_wall_ns(flow_clock_real()));
        sqlite3_bind_blob(insert, 4, body, (int)size, SQLITE_STATIC);
        step(db, insert);
        if (i % PRELOAD == PRELOAD - 1) {
            step(db, commit);
            step(db, begin);
        }
    }
    step(db, commit);
    int64_t *keys = flow_calloc((size_t)batch, sizeof *keys);
    char(*ids)[48] = flow_calloc((size_t)batch, sizeof *ids);
    uint64_t commits = 0;
    size_t moved = 0;
    double start = now_s(), cpu = cpu_s();
    for (int q = 0; moved < items * (size_t)loops; q = (q + 1) % loops) {
        int n = 0;
        step(db, begin);
        sqlite3_bind_int64(heads, 1, (int64_t)q << 43);
        sqlite3_bind_int64(heads, 2, ((int64_t)(q + 1) << 43) - 1);
        sqlite3_bind_int(heads, 3, batch);
        for (; sqlite3_step(heads) == SQLITE_ROW; n++) {
            keys[n] = sqlite3_column_int64(heads, 0);
            snprintf(ids[n], sizeof ids[n], "%s", (const char *)sqlite3_column_text(heads, 1));
        }
        sqlite3_reset(heads);
        for (int i = 0; i < n; i++) {
            sqlite3_bind_int64(insert, 1, tail[q + 1]++);
            sqlite3_bind_text(insert, 2, ids[i], -1, SQLITE_STATIC);
            sqlite3_bind_int64(insert, 3, flow_clock_wall_ns(flow_clock_real()));
            sqlite3_bind_blob(insert, 4, body, (int)size, SQLITE_STATIC);
            step(db, insert);
            sqlite3_bind_int64(delete, 1, keys[i]);
            step(db, delete);
        }
        for (int i = 0; i < 2; i++) {
            sqlite3_bind_int(count, 1, q + i);
            sqlite3_bind_int(count, 2, i == 1 ? n : 0);
            sqlite3_bind_int(count, 3, i == 0 ? n : 0);
            step(db, count);
        }
        step(db, commit);
        commits++;
        moved += (size_t)n;
    }
    Figures figures = {.hops_per_s = (double)moved / (now_s() - start),
                       .cpu_us = (cpu_s() - cpu) / (double)moved * 1e6,
                       .hops_per_commit = (double)moved / (double)commits};
    sqlite3_stmt *const all[] = {begin, commit, heads, insert, delete, count};
    for (size_t i = 0; i < FLOW_COUNT(all); i++)
        sqlite3_finalize(all[i]);
    sqlite3_close(db);
    free(keys);
    free(ids);
    free(body);
    return figures;
}

/* ---- the table ------------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static void clear(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal", ".lock"};
    for (size_t i = 0; i < FLOW_COUNT(ends); i++) {
        char name[320];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

int main(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : ".";
    int rounds = argc > 2 ? atoi(argv[2]) : 7;
    if (rounds < 1 || rounds > ROUNDS_MAX)
        die("rounds", "1 to 99");
    static const struct {
        const char *label;
        FlowDurability durability;
        size_t size;
        bool changed;
        int loops;
        size_t items;
    } cases[] = {
        {"power, 256 B, one loop", FLOW_DURABILITY_POWER, 256, true, 1, 60000},
        {"power, 256 B, two loops", FLOW_DURABILITY_POWER, 256, true, 2, 40000},
        {"power, 4 KiB, one loop", FLOW_DURABILITY_POWER, 4096, true, 1, 12000},
        {"power, 4 KiB unchanged, one loop", FLOW_DURABILITY_POWER, 4096, false, 1, 12000},
        {"process, 256 B, one loop", FLOW_DURABILITY_PROCESS, 256, true, 1, 60000},
        {"process, 4 KiB, two loops", FLOW_DURABILITY_PROCESS, 4096, true, 2, 8000},
    };
    char path[256];
    snprintf(path, sizeof path, "%s/hop.db", directory);
    printf("| durable hops (take + settle + push) | store hops/s | CPU us/hop | hops/commit | bare hops/s | "
           "CPU us/hop | ratio of rates |\n");
    printf("| --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t c = 0; c < FLOW_COUNT(cases); c++) {
        double ours[5][ROUNDS_MAX], ratio[ROUNDS_MAX];
        for (int r = 0; r < rounds; r++) {
            clear(path);
            Figures store = through_the_store(path, cases[c].durability, cases[c].size, cases[c].changed,
                                              cases[c].loops, cases[c].items);
            clear(path);
            int batch = store.hops_per_commit < 1 ? 1 : (int)(store.hops_per_commit + 0.5);
            Figures plain =
                bare(path, cases[c].durability, cases[c].size, cases[c].loops, cases[c].items, batch);
            ours[0][r] = store.hops_per_s;
            ours[1][r] = store.cpu_us;
            ours[2][r] = store.hops_per_commit;
            ours[3][r] = plain.hops_per_s;
            ours[4][r] = plain.cpu_us;
            ratio[r] = store.hops_per_s / plain.hops_per_s;
        }
        clear(path);
        printf("| %s | %.0f | %.2f | %.0f | %.0f | %.2f | %.2f |\n", cases[c].label, median(ours[0], rounds),
               median(ours[1], rounds), median(ours[2], rounds), median(ours[3], rounds),
               median(ours[4], rounds), median(ratio, rounds));
        fflush(stdout);
    }
    return 0;
}
