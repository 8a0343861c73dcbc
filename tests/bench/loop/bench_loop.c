/*
 * bench_loop.c - node executions of counter -> if-condition -> end in the engine, against a bare loop of C calls.
 *
 *   bench_loop WHAT UNITS     one line: executions, wall ns, CPU ns of the process, CPU ns of the loop's thread
 *
 * WHAT: `bare` function pointers over an array of nodes; `engine` nobody watches; `watched` one watcher reads all that
 * it can get; `idle-watcher` one watcher wants changes of state only; `fanout` 1 -> 8 -> join.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "nodes/nodes.h"
#include "value/json.h"

static void die(const char *what, const FlowError *error)
{
    fprintf(stderr, "bench_loop: %s: %s\n", what, error->message);
    exit(1);
}

/* ---- clocks ---- */

static int64_t wall_ns(void)
{
    return flow_clock_mono_ns(flow_clock_real());
}

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * FLOW_NS_PER_S + now.tv_nsec;
}

/* User and system time of the thread with this name, in steps of the scheduler's clock. */
static int64_t thread_cpu_ns(const char *name)
{
    int64_t ns = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        char path[300], comm[64] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fscanf(file, "%63s", comm) != 1)
            comm[0] = '\0';
        fclose(file);
        if (strcmp(comm, name) != 0)
            continue;
        unsigned long long on_cpu = 0;
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task->d_name);
        file = fopen(path, "r");
        if (file && fscanf(file, "%llu", &on_cpu) == 1)
            ns = (int64_t)on_cpu;
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return ns;
}

/* ---- bare ---- */

typedef struct BareNode BareNode;
struct BareNode {
    int (*run)(BareNode *node, int64_t *payload);
    int64_t state;
    BareNode *next[2];
};

static int bare_count(BareNode *node, int64_t *payload)
{
    *payload = node->state++;
    return 0;
}

static int bare_if(BareNode *node, int64_t *payload)
{
    (void)node;
    return *payload >= 0 ? 0 : 1;
}

static int bare_end(BareNode *node, int64_t *payload)
{
    node->state += *payload;
    return 0;
}

static uint64_t run_bare(uint64_t units)
{
    static BareNode nodes[3];
    nodes[0] = (BareNode){bare_count, 0, {&nodes[1], NULL}};
    nodes[1] = (BareNode){bare_if, 0, {&nodes[2], NULL}};
    nodes[2] = (BareNode){bare_end, 0, {NULL, NULL}};
    for (uint64_t i = 0; i < units; i++) {
        int64_t payload = 0;
        for (BareNode *volatile node = &nodes[0]; node;)
            node = node->next[node->run(node, &payload)];
    }
    return units * 3;
}

/* ---- the engine ---- */

typedef struct Wait {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_there, is_ready;
    char run_id[64];
    FlowRunState state;
    uint64_t executions;
    FlowWatch *watch;
    uint64_t events, lost;
} Wait;

static Wait waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void on_answer(void *context, const FlowEngineReply *reply)
{
    (void)context;
    if (reply->error.status != FLOW_OK)
        die("refused", &reply->error);
    pthread_mutex_lock(&waiting.lock);
    waiting.is_there = true;
    if (reply->run) {
        snprintf(waiting.run_id, sizeof waiting.run_id, "%s", reply->run->id);
        waiting.state = reply->run->state;
        waiting.executions = 0;
        for (size_t i = 0; i < reply->run->node_count; i++)
            waiting.executions += reply->run->nodes[i].completed;
    }
    pthread_cond_broadcast(&waiting.changed);
    pthread_mutex_unlock(&waiting.lock);
}

static void wait_answer(void)
{
    pthread_mutex_lock(&waiting.lock);
    while (!waiting.is_there)
        pthread_cond_wait(&waiting.changed, &waiting.lock);
    waiting.is_there = false;
    pthread_mutex_unlock(&waiting.lock);
}

static void on_ready(void *context)
{
    (void)context;
    pthread_mutex_lock(&waiting.lock);
    waiting.is_ready = true;
    pthread_cond_broadcast(&waiting.changed);
    pthread_mutex_unlock(&waiting.lock);
}

static void on_watch(void *context, const FlowError *error, FlowWatch *watch)
{
    (void)context;
    if (watch == NULL)
        die("watch", error);
    waiting.watch = watch;
    on_ready(NULL);
}

static bool read_events(void)
{
    FlowEvent events[256];
    size_t count;
    FlowWatchStatus status = flow_watch_read(waiting.watch, events, FLOW_COUNT(events), &count);
    waiting.events += count;
    for (size_t i = 0; i < count; i++)
        if (events[i].kind == FLOW_EVENT_EVENTS_DROPPED)
            for (unsigned kind = 0; kind < FLOW_EVENT_KIND_COUNT; kind++)
                waiting.lost += events[i].dropped[kind];
    if (status == FLOW_WATCH_EMPTY) {
        pthread_mutex_lock(&waiting.lock);
        while (!waiting.is_ready)
            pthread_cond_wait(&waiting.changed, &waiting.lock);
        waiting.is_ready = false;
        pthread_mutex_unlock(&waiting.lock);
    }
    return status != FLOW_WATCH_ENDED;
}

static const char simple_workflow[] =
    "{\"name\": \"bench\", \"nodes\": ["
    "{\"id\": \"count\", \"type\": \"counter\", \"data\": {\"form\": {\"min_value\": 1, \"max_value\": "
    "%llu}}},"
    "{\"id\": \"if\", \"type\": \"if-condition\", \"data\": {\"form\": {\"condition_expression\": "
    "\"data.counter.current > 0\"}}},"
    "{\"id\": \"end\", \"type\": \"end\"}],"
    "\"edges\": [{\"source\": \"count\", \"target\": \"if\"}, {\"source\": \"if\", \"target\": \"end\", "
    "\"sourceHandle\": \"yes\"}]}";

static void fanout_workflow(FlowBuf *to, unsigned long long units)
{
    flow_buf_printf(
        to,
        "{\"name\": \"fanout\", \"nodes\": [{\"id\": \"count\", \"type\": \"counter\", \"data\": {\"form\": "
        "{\"min_value\": 1, \"max_value\": %llu}}}, {\"id\": \"join\", \"type\": \"end\"}",
        units);
    for (int i = 0; i < 8; i++)
        flow_buf_printf(to,
                        ", {\"id\": \"n%d\", \"type\": \"set-fields\", \"data\": {\"form\": {\"fields\": "
                        "{\"k%d\": %d}}}}",
                        i, i, i);
    flow_buf_str(to, "], \"edges\": [");
    for (int i = 0; i < 8; i++)
        flow_buf_printf(
            to, "%s{\"source\": \"count\", \"target\": \"n%d\"}, {\"source\": \"n%d\", \"target\": \"join\"}",
            i ? ", " : "", i, i);
    flow_buf_str(to, "]}");
}

static uint64_t run_engine(const char *what, uint64_t units, int64_t *ret_wall, int64_t *ret_cpu,
                           int64_t *ret_thread)
{
    FlowError error;
    FlowStore *store;
    FlowEngine *engine;
    FlowRegistry *registry = flow_registry_new();
    char folder[] = "/tmp/bench-loop-XXXXXX", url[128], command[128];
    if (mkdtemp(folder) == NULL)
        exit(1);
    snprintf(url, sizeof url, "sqlite:%s/store.db", folder);
    flow_log_set_level(FLOW_LOG_ERROR);
    if (flow_nodes_register(registry, &error) != FLOW_OK ||
        flow_store_open(url, NULL, &store, &error) != FLOW_OK)
        die("open", &error);
    FlowEngineOptions options = {.store = store, .registry = registry, .shards = 1};
    if (flow_engine_open(&options, &engine, &error) != FLOW_OK)
        die("open", &error);

    FlowBuf text;
    FlowValue workflow;
    flow_buf_init(&text, 0);
    if (strcmp(what, "fanout") == 0)
        fanout_workflow(&text, units);
    else
        flow_buf_printf(&text, simple_workflow, (unsigned long long)units);
    if (flow_json_read(text.data, text.len, NULL, &workflow, &error) != FLOW_OK)
        die("workflow", &error);

    int64_t wall = wall_ns(), cpu = cpu_ns(), thread = thread_cpu_ns("shard-0");
    flow_engine_start_run(engine, &(FlowStartOptions){.workflow = workflow}, on_answer, NULL);
    wait_answer();
    FlowWatchOptions watch = {.run_id = waiting.run_id, .ready = on_ready};
    bool watched = strstr(what, "watche") != NULL;
    if (strcmp(what, "idle-watcher") != 0)
        watch.kinds = 0;
    else
        watch.kinds = FLOW_EVENT_BIT(FLOW_EVENT_RUN_STATE);
    if (!watched)
        watch.kinds = FLOW_EVENT_BIT(FLOW_EVENT_RUN_STATE);
    /* Even with nobody watching somebody has to see the end: a watch of nothing but the run's state. */
    flow_engine_watch(engine, &watch, on_watch, NULL);
    pthread_mutex_lock(&waiting.lock);
    while (!waiting.is_ready)
        pthread_cond_wait(&waiting.changed, &waiting.lock);
    waiting.is_ready = false;
    pthread_mutex_unlock(&waiting.lock);
    while (read_events())
        ;
    *ret_wall = wall_ns() - wall;
    *ret_cpu = cpu_ns() - cpu;
    *ret_thread = thread_cpu_ns("shard-0") - thread;
    flow_watch_close(waiting.watch);
    flow_engine_get_run(engine, waiting.run_id, on_answer, NULL);
    wait_answer();
    uint64_t executions = waiting.executions;

    flow_value_unref(workflow);
    flow_buf_done(&text);
    flow_engine_close(engine);
    flow_store_close(store);
    flow_registry_free(registry);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", folder);
    return executions;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bench_loop bare|engine|watched|fanout UNITS\n");
        return 2;
    }
    uint64_t units = strtoull(argv[2], NULL, 10), executions;
    int64_t wall, cpu, thread;
    if (strcmp(argv[1], "bare") == 0) {
        wall = wall_ns();
        cpu = cpu_ns();
        executions = run_bare(units);
        wall = wall_ns() - wall;
        thread = cpu = cpu_ns() - cpu;
    } else {
        executions = run_engine(argv[1], units, &wall, &cpu, &thread);
    }
    printf("%llu %lld %lld %lld %llu %llu\n", (unsigned long long)executions, (long long)wall, (long long)cpu,
           (long long)thread, (unsigned long long)waiting.events, (unsigned long long)waiting.lost);
    return 0;
}
