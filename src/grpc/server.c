#include "grpc/server.h"

#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "grpc/internal.h"

/*
 * Debian's core has known holes, see docs/operations.md. One polling thread for each hostile connection stops it, so
 * there are many of them where strangers can connect; with few requests armed, streams that are opened and reset
 * at once pile up in memory without bound.
 */
enum { QUEUES_LOCAL = 1, QUEUES_EXPOSED = 16, ARMED = 128, STREAMS = 256 };
static const size_t memory_default = (size_t)128 << 20;

enum { LINGER_MS = 100, LETTING_GO_MS = 10000 };

/* --------------------------------------------------------------------------------------- settings */

static grpc_arg integer(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

static grpc_server *make_core(FlowGrpcServer *self, const FlowGrpcOptions *options)
{
    const FlowRpcLimits *limits = flow_rpc_server_limits(self->rpc);
    grpc_arg args[] = {
        /* Without this a second server shares the port in silence. */
        integer(GRPC_ARG_ALLOW_REUSEPORT, 0),
        integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)limits->request_bytes),
        integer(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, (int)limits->reply_bytes),
        integer(GRPC_ARG_MAX_METADATA_SIZE, 16384),
        /* The core would decompress without bound: we do it ourselves, see inflate.c. */
        integer(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        integer(GRPC_ARG_MAX_CONCURRENT_STREAMS, (int)(options->streams != 0 ? options->streams : STREAMS)),
        integer(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10000),
        /* Streams may be quiet for hours: look whether the peer is alive, and let clients do the same. */
        integer(GRPC_ARG_KEEPALIVE_TIME_MS, 30000),
        integer(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000),
        integer(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        integer(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10000),
        integer(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        {.type = GRPC_ARG_POINTER,
         .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
         .value.pointer = {self->quota, grpc_resource_quota_arg_vtable()}},
    };
    return grpc_server_create(&(grpc_channel_args){FLOW_COUNT(args), args}, NULL);
}

/* While a server binds its addresses; what fails then is explained better by us. */
static _Atomic bool binding;

static void on_core_log(gpr_log_func_args *args)
{
    FlowLogLevel level = atomic_load(&binding)                      ? FLOW_LOG_DEBUG
                         : args->severity == GPR_LOG_SEVERITY_ERROR ? FLOW_LOG_WARNING
                         : args->severity == GPR_LOG_SEVERITY_INFO  ? FLOW_LOG_INFO
                                                                    : FLOW_LOG_DEBUG;
    flow_log(level, "gRPC core", FLOW_F_STR("text", args->message));
}

/* -------------------------------------------------------------------------------------- listeners */

static FlowStatus check_exposed(const FlowGrpcOptions *options, const FlowListen *listen, FlowError *reterr)
{
    char text[FLOW_LISTEN_TEXT];
    if (listen->local || options->insecure_listen || options->tls.cert != NULL)
        return FLOW_OK;
    flow_listen_text(listen, text);
    return flow_error_set(
        reterr, FLOW_INVALID_ARGUMENT, NULL, NULL,
        "others can reach %s, and it would be in clear text: give --tls-cert and --tls-key (and "
        "--tls-client-ca to let in only clients with a certificate), or say --insecure-listen",
        text);
}

FlowStatus flow_grpc_options_check(const FlowGrpcOptions *options, FlowError *reterr)
{
    FlowListen listens[FLOW_LISTEN_MAX];
    size_t count = 0;
    FlowStatus status = flow_listen_parse_list(options->listen, listens, &count, reterr);
    for (size_t i = 0; i < count && status == FLOW_OK; i++)
        status = check_exposed(options, &listens[i], reterr);
    if (status != FLOW_OK || options->tls.cert == NULL)
        return status;
    FlowTlsMaterial *material;
    status = flow_tls_load(&options->tls, &material, reterr);
    if (status == FLOW_OK)
        flow_tls_free(material);
    return status;
}

/* Binds one address; fills in the port. */
static FlowStatus bind_one(FlowGrpcServer *self, const FlowGrpcOptions *options, FlowListen *listen,
                           FlowError *reterr)
{
    size_t at = self->listener_count++;
    grpc_server_credentials *credentials = NULL;
    char text[FLOW_LISTEN_TEXT];
    self->lock_fds[at] = -1;
    FlowStatus status = check_exposed(options, listen, reterr);
    if (status == FLOW_OK)
        status = flow_listen_lock(listen, &self->lock_fds[at], reterr);
    if (status == FLOW_OK && options->tls.cert != NULL && listen->kind == FLOW_LISTEN_TCP)
        status = flow_grpc__tls_new(&options->tls, &self->tls[at], &credentials, reterr);
    if (status != FLOW_OK)
        return status;
    if (credentials == NULL)
        credentials = grpc_insecure_server_credentials_create();
    flow_listen_text(listen, text);
    atomic_store(&binding, true);
    int port = grpc_server_add_http2_port(self->core, text, credentials);
    atomic_store(&binding, false);
    grpc_server_credentials_release(credentials);
    if (port == 0)
        return flow_listen_explain(listen, reterr);
    if (listen->kind == FLOW_LISTEN_TCP)
        listen->port = port;
    else if (listen->kind == FLOW_LISTEN_UNIX)
        chmod(listen->host, 0600);
    return FLOW_OK;
}

static FlowStatus bind_all(FlowGrpcServer *self, const FlowGrpcOptions *options, FlowListen *listens,
                           size_t count, FlowError *reterr)
{
    FlowBuf address;
    flow_buf_init(&address, 0);
    FlowStatus status = FLOW_OK;
    for (size_t i = 0; i < count && status == FLOW_OK; i++) {
        char text[FLOW_LISTEN_TEXT];
        status = bind_one(self, options, &listens[i], reterr);
        flow_listen_text(&listens[i], text);
        flow_buf_printf(&address, "%s%s", i != 0 ? "," : "", text);
    }
    self->address = flow_strdup(flow_buf_text(&address));
    flow_buf_done(&address);
    return status;
}

/* -------------------------------------------------------------------------------- opening, closing */

static void on_shutdown(FlowGrpcTag *tag, bool ok)
{
    FlowGrpcServer *self = flow_container_of(tag, FlowGrpcServer, on_shutdown);
    (void)ok;
    pthread_mutex_lock(&self->lock);
    self->shut_down = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static void make_queues(FlowGrpcServer *self, const FlowGrpcOptions *options, bool exposed)
{
    size_t count = options->threads != 0 ? options->threads : exposed ? QUEUES_EXPOSED : QUEUES_LOCAL;
    self->queue_count = count < FLOW_GRPC_QUEUES_MAX ? count : FLOW_GRPC_QUEUES_MAX;
    /* Hostile clients may all come to one queue: with several, each still has enough armed. */
    self->armed_per_queue = self->queue_count == 1 ? ARMED : ARMED / 4;
    for (size_t i = 0; i < self->queue_count; i++) {
        FlowGrpcQueue *queue = &self->queues[i];
        queue->server = self;
        queue->cq = grpc_completion_queue_create_for_next(NULL);
        pthread_mutex_init(&queue->lock, NULL);
        flow_list_init(&queue->live);
        flow_list_init(&queue->idle);
        grpc_server_register_completion_queue(self->core, queue->cq, NULL);
    }
}

static void free_all(FlowGrpcServer *self)
{
    grpc_server_destroy(self->core);
    for (size_t i = 0; i < self->queue_count; i++) {
        grpc_completion_queue_destroy(self->queues[i].cq);
        flow_grpc__queue_done(&self->queues[i]);
        pthread_mutex_destroy(&self->queues[i].lock);
    }
    grpc_resource_quota_unref(self->quota);
    grpc_shutdown();
    for (size_t i = 0; i < self->listener_count; i++) {
        flow_grpc__tls_free(self->tls[i]);
        if (self->lock_fds[i] >= 0)
            close(self->lock_fds[i]);
    }
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    free(self->address);
    free(self);
}

static void start_threads(FlowGrpcServer *self)
{
    for (size_t i = 0; i < self->queue_count; i++)
        for (size_t n = 0; n < self->armed_per_queue; n++)
            flow_grpc__arm(&self->queues[i]);
    for (size_t i = 0; i < self->queue_count; i++) {
        FlowGrpcQueue *queue = &self->queues[i];
        char name[16];
        if (pthread_create(&queue->thread, NULL, flow_grpc__queue_thread, queue) != 0) {
            flow_log(FLOW_LOG_ERROR, "can't start a thread for gRPC");
            abort();
        }
        snprintf(name, sizeof name, "grpc-%zu", i % 100);
        pthread_setname_np(queue->thread, name);
    }
}

/* For a server that never started: its queues have no threads that could drain them. */
static void undo(FlowGrpcServer *self)
{
    FLOW_GRPC_HAND_OVER(&self->on_shutdown);
    grpc_server_shutdown_and_notify(self->core, self->queues[0].cq, &self->on_shutdown);
    for (size_t i = 0; i < self->queue_count; i++) {
        grpc_completion_queue *cq = self->queues[i].cq;
        if (i == 0)
            (void)grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        grpc_completion_queue_shutdown(cq);
        while (grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
               GRPC_QUEUE_SHUTDOWN)
            ;
    }
    free_all(self);
}

FlowStatus flow_grpc_server_open(FlowRpcServer *rpc, const FlowGrpcOptions *options,
                                 FlowGrpcServer **ret_server, FlowError *reterr)
{
    FlowListen listens[FLOW_LISTEN_MAX];
    size_t count;
    FlowStatus status = flow_listen_parse_list(options->listen, listens, &count, reterr);
    if (status != FLOW_OK)
        return status;
    bool exposed = false;
    for (size_t i = 0; i < count; i++)
        exposed |= !listens[i].local;

    gpr_set_log_function(on_core_log);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    grpc_init();
    FlowGrpcServer *self = flow_new(FlowGrpcServer);
    self->rpc = rpc;
    self->on_shutdown.run = on_shutdown;
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    self->quota = grpc_resource_quota_create("flowd");
    grpc_resource_quota_resize(self->quota, options->memory != 0 ? options->memory : memory_default);
    self->core = make_core(self, options);
    make_queues(self, options, exposed);
    status = bind_all(self, options, listens, count, reterr);
    if (status != FLOW_OK) {
        undo(self);
        return status;
    }
    grpc_server_start(self->core);
    start_threads(self);
    *ret_server = self;
    return FLOW_OK;
}

const char *flow_grpc_server_address(const FlowGrpcServer *server)
{
    return server->address;
}

/* Wakes every call on its own thread. */
static void wake_all(FlowGrpcServer *self, bool drain)
{
    for (size_t i = 0; i < self->queue_count; i++) {
        FlowGrpcQueue *queue = &self->queues[i];
        pthread_mutex_lock(&queue->lock);
        FLOW_LIST_FOR_EACH(link, &queue->live)
        {
            /* It stays in the list, and with that alive, until leave() has taken it out under this lock. */
            FlowGrpcCall *call = flow_list_entry(link, FlowGrpcCall, link);
            pthread_mutex_lock(&call->lock);
            call->tell_drain |= drain;
            flow_grpc__wake(call);
            pthread_mutex_unlock(&call->lock);
        }
        pthread_mutex_unlock(&queue->lock);
    }
}

void flow_grpc_server_drain(FlowGrpcServer *server)
{
    wake_all(server, true);
}

void flow_grpc_server_hurry(FlowGrpcServer *server)
{
    pthread_mutex_lock(&server->lock);
    server->hurry = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

void flow_grpc__quiet(FlowGrpcServer *server)
{
    pthread_mutex_lock(&server->lock);
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* Until the core has shut down, or (if `calls`) no call is left or somebody is in a hurry; at most `ns`. */
static bool wait_shut_down(FlowGrpcServer *self, int64_t ns, bool calls)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ns / FLOW_NS_PER_S;
    until.tv_nsec += ns % FLOW_NS_PER_S;
    if (until.tv_nsec >= FLOW_NS_PER_S) {
        until.tv_sec++;
        until.tv_nsec -= FLOW_NS_PER_S;
    }
    pthread_mutex_lock(&self->lock);
    int late = 0;
    while (!self->shut_down && !(calls && (self->hurry || atomic_load(&self->live) == 0)) && late == 0)
        late = pthread_cond_timedwait(&self->changed, &self->lock, &until);
    bool done = self->shut_down;
    pthread_mutex_unlock(&self->lock);
    return done;
}

void flow_grpc_server_stop(FlowGrpcServer *server, int64_t grace_ns)
{
    FlowGrpcServer *self = server;
    atomic_store(&self->stopping, true);
    FLOW_GRPC_HAND_OVER(&self->on_shutdown);
    grpc_server_shutdown_and_notify(self->core, self->queues[0].cq, &self->on_shutdown);
    /* The core waits for its clients to close; when all calls are over, they get a moment to do so. */
    if (!wait_shut_down(self, grace_ns, true) && !wait_shut_down(self, LINGER_MS * FLOW_NS_PER_MS, false)) {
        atomic_store_explicit(&self->letting_go, true, memory_order_release);
        grpc_server_cancel_all_calls(self->core);
        wake_all(self, false);
        if (!wait_shut_down(self, LETTING_GO_MS * FLOW_NS_PER_MS, false)) {
            flow_log(FLOW_LOG_ERROR, "gRPC does not let go of its connections");
            abort();
        }
    }
    for (size_t i = 0; i < self->queue_count; i++)
        grpc_completion_queue_shutdown(self->queues[i].cq);
    for (size_t i = 0; i < self->queue_count; i++)
        pthread_join(self->queues[i].thread, NULL);
}

FlowGrpcServer *flow_grpc_server_free(FlowGrpcServer *server)
{
    if (server != NULL)
        free_all(server);
    return NULL;
}
