#include "flowd/wire_up.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "flowd/exit.h"
#include "flowd/signals.h"
#include "grpc/reflection.h"

enum { REASONS_MAX = 8, FLOW_LISTENER_TEXT = 160 };

/* --------------------------------------------------------------------------------- data directory */

static FlowStatus make_directories(const char *path, FlowError *reterr)
{
    char *copy = flow_strdup(path);
    FlowStatus status = FLOW_OK;
    for (char *at = copy + 1; status == FLOW_OK; at++) {
        char was = *at;
        if (was != '/' && was != '\0')
            continue;
        *at = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            status = flow_error_set(reterr, FLOW_FAILED_PRECONDITION, NULL, "data-dir",
                                    "the data directory \"%s\" can't be made: %s", copy, strerror(errno));
        *at = was;
        if (was == '\0')
            break;
    }
    free(copy);
    return status;
}

static FlowStatus data_up(Flowd *self, FlowError *reterr)
{
    char path[4096];
    FlowStatus status = make_directories(self->settings->data_dir, reterr);
    if (status != FLOW_OK)
        return status;
    snprintf(path, sizeof path, "%s/flowd.lock", self->settings->data_dir);
    self->data_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->data_lock < 0)
        return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, NULL, "data-dir",
                              "the lock file \"%s\" can't be opened: %s", path, strerror(errno));
    if (flock(self->data_lock, LOCK_EX | LOCK_NB) != 0) {
        char owner[32] = "";
        if (pread(self->data_lock, owner, sizeof owner - 1, 0) > 0)
            owner[strcspn(owner, "\n")] = '\0';
        close(self->data_lock);
        return flow_error_set(
            reterr, FLOW_ALREADY_EXISTS, NULL, "data-dir",
            "the data directory \"%s\" is used by another flowd (process %s): stop it, or give "
            "this one a --data-dir of its own",
            self->settings->data_dir, *owner != '\0' ? owner : "unknown");
    }
    if (ftruncate(self->data_lock, 0) == 0)
        dprintf(self->data_lock, "%d\n", (int)getpid());
    return FLOW_OK;
}

static void data_down(Flowd *self)
{
    close(self->data_lock);
}

/* ----------------------------------------------------------------------------------- store, engine */

static FlowStatus store_up(Flowd *self, FlowError *reterr)
{
    return flow_core_store_up(&self->core, self->settings, reterr);
}

static void store_down(Flowd *self)
{
    flow_core_store_down(&self->core);
}

static FlowStatus engine_up(Flowd *self, FlowError *reterr)
{
    return flow_core_engine_up(&self->core, self->settings, self->name, reterr);
}

static void engine_down(Flowd *self)
{
    flow_core_engine_down(&self->core);
}

/* ------------------------------------------------------------------------------- methods, services */

static FlowStatus rpc_up(Flowd *self, FlowError *reterr)
{
    const FlowSettings *settings = self->settings;
    FlowRpcLimits limits = FLOW_RPC_LIMITS_DEFAULT;
    (void)reterr;
    limits.request_bytes = (size_t)settings->max_request_bytes;
    limits.reply_bytes = (size_t)settings->max_response_bytes;
    limits.calls = (unsigned)settings->max_calls;
    limits.streams = (unsigned)settings->max_streams;
    self->rpc = flow_rpc_server_new(flow_wire_contract(), &limits);
    return FLOW_OK;
}

static void rpc_down(Flowd *self)
{
    self->rpc = flow_rpc_server_free(self->rpc);
}

static size_t not_ready(void *data, const char *reasons[REASONS_MAX])
{
    Flowd *self = data;
    size_t count;
    flow_services_ready(self->core.services, reasons, REASONS_MAX, &count);
    return count;
}

static FlowStatus services_up(Flowd *self, FlowError *reterr)
{
    FlowStatus status = flow_grpc_reflection_bind(self->rpc, reterr);
    if (status == FLOW_OK)
        status = flow_grpc_health_new(self->rpc, &self->health, reterr);
    if (status != FLOW_OK)
        return status;
    status = flow_core_services_up(&self->core, self->rpc, self->name, reterr);
    if (status != FLOW_OK)
        self->health = flow_grpc_health_free(self->health);
    return status;
}

static void services_down(Flowd *self)
{
    flow_core_services_down(&self->core);
    self->health = flow_grpc_health_free(self->health);
}

/* ------------------------------------------------------------------------------------------ doors */

static const char *given(const char *text)
{
    return *text != '\0' ? text : NULL;
}

static FlowGrpcOptions grpc_options(const FlowSettings *settings)
{
    return (FlowGrpcOptions){
        .listen = settings->grpc_listen,
        .tls = {given(settings->tls_cert), given(settings->tls_key), given(settings->tls_client_ca)},
        .insecure_listen = settings->insecure_listen,
        .threads = (unsigned)settings->grpc_threads,
        .streams = (unsigned)settings->grpc_streams,
        .memory = (size_t)settings->grpc_memory,
    };
}

static FlowStatus grpc_up(Flowd *self, FlowError *reterr)
{
    FlowGrpcOptions options = grpc_options(self->settings);
    FlowGrpcServer *server;
    FlowStatus status = flow_grpc_server_open(self->rpc, &options, &server, reterr);
    if (status != FLOW_OK)
        return status;
    pthread_mutex_lock(&self->grpc_lock);
    self->grpc = server;
    pthread_mutex_unlock(&self->grpc_lock);
    return FLOW_OK;
}

static void grpc_down(Flowd *self)
{
    FlowGrpcServer *server = self->grpc;
    flow_grpc_server_stop(server, self->settings->drain_grace_ms * FLOW_NS_PER_MS);
    pthread_mutex_lock(&self->grpc_lock);
    self->grpc = NULL;
    pthread_mutex_unlock(&self->grpc_lock);
    flow_grpc_server_free(server);
}

static size_t not_ready_count(Flowd *self)
{
    const char *reasons[REASONS_MAX];
    return not_ready(self, reasons);
}

static void reply_ready(FlowHttpRequest *request, Flowd *self)
{
    const char *reasons[REASONS_MAX];
    size_t count = not_ready(self, reasons);
    FlowBuf body;
    flow_buf_init(&body, 0);
    flow_buf_printf(&body, "{\"ready\":%s,\"reasons\":[", count == 0 ? "true" : "false");
    for (size_t i = 0; i < count; i++)
        flow_buf_printf(&body, "%s\"%s\"", i != 0 ? "," : "", reasons[i]);
    flow_buf_str(&body, "]}\n");
    flow_http_reply(request, count == 0 ? 200 : 503, "application/json", body.data, body.len);
    flow_buf_done(&body);
}

static void handle_http(FlowHttpRequest *request, void *data)
{
    Flowd *self = data;
    const char *path = flow_http_path(request), *method = flow_http_method(request);
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    bool healthz = strcmp(path, "/healthz") == 0, readyz = strcmp(path, "/readyz") == 0;
    if (!flow_http_door_admit(self->http_door, request))
        return;
    if ((healthz || readyz) && !reads) {
        flow_http_set_header(request, "Allow", "GET, HEAD");
        flow_http_reply(request, 405, "application/json", "{\"code\":12,\"message\":\"use GET\"}\n", 32);
    } else if (healthz) {
        flow_http_reply(request, 200, "text/plain; charset=utf-8", "ok\n", 3);
    } else if (readyz) {
        reply_ready(request, self);
    } else if (!flow_http_site_handle(self->http_site, request)) {
        flow_http_door_handle(self->http_door, request);
    }
}

static void write_metrics(FlowBuf *to, void *data)
{
    Flowd *self = data;
    FlowEngineCounts counts;
    flow_engine_counts(self->core.engine, &counts);
    const struct {
        const char *name, *kind, *help;
        double value;
    } rows[] = {
        {"flowd_ready", "gauge", "1 when the server is ready.", not_ready_count(self) == 0},
        {"flowd_runs_active", "gauge", "Runs that have not ended.", (double)counts.runs_active},
        {"flowd_loops_active", "gauge", "Loops of these.", (double)counts.loops_active},
        {"flowd_runs_started_total", "counter", "Runs that were started.", (double)counts.runs_started},
        {"flowd_runs_completed_total", "counter", "Runs that ended by themselves.",
         (double)counts.runs_completed},
        {"flowd_runs_stopped_total", "counter", "Runs that were stopped.", (double)counts.runs_stopped},
        {"flowd_runs_failed_total", "counter", "Runs that failed.", (double)counts.runs_failed},
        {"flowd_units_done_total", "counter", "Units that ended well.", (double)counts.units_done},
        {"flowd_units_dead_lettered_total", "counter", "Units that became dead letters.",
         (double)counts.units_dead_lettered},
        {"flowd_node_executions_total", "counter", "Nodes that were executed.",
         (double)counts.node_executions},
        {"flowd_watches", "gauge", "Watches that are open.", counts.watches},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++)
        flow_http_metric(to, rows[i].name, rows[i].kind, rows[i].help, rows[i].value);
}

static void http_opened(FlowHttpServer *server, void *data)
{
    Flowd *self = data;
    flow_http_door_open(self->http_door, server);
}

static bool has_http(const FlowSettings *settings)
{
    return strcmp(settings->http_listen, "none") != 0;
}

static FlowHttpOptions http_options(const FlowSettings *settings)
{
    return (FlowHttpOptions){
        .listen = settings->http_listen,
        .tls = {given(settings->tls_cert), given(settings->tls_key), given(settings->tls_client_ca)},
        .insecure_listen = settings->insecure_listen,
        .handle = handle_http,
        .opened = http_opened,
        .body_bytes = (size_t)settings->max_request_bytes,
        .connections = (unsigned)settings->http_connections,
        .access_log = settings->access_log,
    };
}

static void http_free(Flowd *self)
{
    pthread_mutex_lock(&self->grpc_lock);
    self->http_door = flow_http_door_free(self->http_door);
    self->http_site = flow_http_site_free(self->http_site);
    pthread_mutex_unlock(&self->grpc_lock);
}

static FlowStatus http_up(Flowd *self, FlowError *reterr)
{
    if (!has_http(self->settings))
        return FLOW_OK;
    FlowHttpDoorOptions door = {.origins = self->settings->http_origins, .hosts = self->settings->http_hosts};
    FlowHttpDoor *made;
    FlowStatus status = flow_http_door_new(self->rpc, &door, &made, reterr);
    if (status != FLOW_OK)
        return status;
    pthread_mutex_lock(&self->grpc_lock);
    self->http_door = made;
    pthread_mutex_unlock(&self->grpc_lock);
    self->http_site = flow_http_site_new(self->rpc, write_metrics, self);
    FlowHttpOptions options = http_options(self->settings);
    options.data = self;
    status = flow_http_server_open(&options, &self->http, reterr);
    if (status != FLOW_OK)
        http_free(self);
    return status;
}

static void http_down(Flowd *self)
{
    if (self->http_door == NULL)
        return;
    flow_http_door_stop(self->http_door, self->settings->drain_grace_ms * FLOW_NS_PER_MS);
    self->http = flow_http_server_close(self->http);
    http_free(self);
}

/* Who connects before the runs are under way again is served, but told that the server isn't ready. */
static FlowStatus announce_up(Flowd *self, FlowError *reterr)
{
    char grpc[FLOW_LISTENER_TEXT], http[FLOW_LISTENER_TEXT];
    const char *const listeners[] = {grpc, http};
    snprintf(grpc, sizeof grpc, "grpc=%s", flow_grpc_server_address(self->grpc));
    snprintf(http, sizeof http, "http=%s",
             self->http != NULL ? flow_http_server_address(self->http) : "none");
    flow_services_set_listeners(self->core.services, listeners, FLOW_COUNT(listeners));
    FlowStatus status = flow_core_resume(&self->core, reterr);
    if (status == FLOW_OK)
        flow_grpc_health_set(self->health, true);
    return status;
}

static void announce_down(Flowd *self)
{
    flow_grpc_health_set(self->health, false);
}

/* ----------------------------------------------------------------------------------- all of them */

/* In the order of their creation; each may use those above it. */
static const struct {
    const char *name;
    FlowStatus (*up)(Flowd *self, FlowError *reterr);
    void (*down)(Flowd *self);
    int exit_code; /* when `up` fails otherwise than by a wrong setting */
} stages[] = {
    {"data directory", data_up, data_down, FLOW_EXIT_FAILED},
    {"store", store_up, store_down, FLOW_EXIT_STORE},
    {"engine", engine_up, engine_down, FLOW_EXIT_FAILED},
    {"methods", rpc_up, rpc_down, FLOW_EXIT_FAILED},
    {"services", services_up, services_down, FLOW_EXIT_FAILED},
    {"HTTP door", http_up, http_down, FLOW_EXIT_ADDRESS},
    {"gRPC door", grpc_up, grpc_down, FLOW_EXIT_ADDRESS},
    {"health", announce_up, announce_down, FLOW_EXIT_FAILED},
};

void flowd_down(Flowd *self)
{
    while (self->stages > 0) {
        self->stages--;
        flow_log(FLOW_LOG_DEBUG, "down", FLOW_F_STR("stage", stages[self->stages].name));
        stages[self->stages].down(self);
    }
}

FlowStatus flowd_up(Flowd *self, const FlowSettings *settings, int *ret_exit, FlowError *reterr)
{
    *self = (Flowd){.settings = settings, .data_lock = -1};
    pthread_mutex_init(&self->grpc_lock, NULL);
    pthread_mutex_init(&self->core.drain_lock, NULL);
    snprintf(self->name, sizeof self->name, "%s", settings->name);
    if (*self->name == '\0' && gethostname(self->name, sizeof self->name - 1) != 0)
        snprintf(self->name, sizeof self->name, "flowd");
    for (; self->stages < FLOW_COUNT(stages); self->stages++) {
        FlowStatus status = stages[self->stages].up(self, reterr);
        if (status == FLOW_OK)
            continue;
        bool in_use = (status == FLOW_ALREADY_EXISTS && strcmp(reterr->where, "data-dir") == 0) ||
                      strcmp(reterr->reason, "STORE_IN_USE") == 0;
        *ret_exit = status == FLOW_INVALID_ARGUMENT ? FLOW_EXIT_SETTINGS
                    : in_use                        ? FLOW_EXIT_DATA_IN_USE
                                                    : stages[self->stages].exit_code;
        flowd_down(self);
        return status;
    }
    return FLOW_OK;
}

FlowStatus flowd_check(const FlowSettings *settings, FlowError *reterr)
{
    FlowGrpcOptions grpc = grpc_options(settings);
    FlowHttpOptions http = http_options(settings);
    FlowStatus status = flow_grpc_options_check(&grpc, reterr);
    if (status == FLOW_OK && has_http(settings))
        status = flow_http_options_check(&http, reterr);
    return status;
}

void flowd_announce(const Flowd *self)
{
    printf("ready grpc=%s http=%s\n", flow_grpc_server_address(self->grpc),
           self->http != NULL ? flow_http_server_address(self->http) : "none");
    fflush(stdout);
}

void flowd_drain(Flowd *self)
{
    atomic_store(&self->draining, true);
    flow_grpc_health_set(self->health, false);
    flow_services_set_stopping(self->core.services);
    flow_signals_pause(self->settings->drain_wait_ms);
    flow_core_drain(&self->core, self->settings->drain_grace_ms * FLOW_NS_PER_MS);
    flow_grpc_server_drain(self->grpc);
    if (self->http_door != NULL)
        flow_http_door_drain(self->http_door);
}

void flowd_hurry(Flowd *self)
{
    flow_core_hurry(&self->core);
    pthread_mutex_lock(&self->grpc_lock);
    if (self->grpc != NULL)
        flow_grpc_server_hurry(self->grpc);
    if (self->http_door != NULL)
        flow_http_door_hurry(self->http_door);
    pthread_mutex_unlock(&self->grpc_lock);
}
