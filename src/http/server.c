#include "http/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/internal.h"

enum { BACKLOG = 512, CONNECTIONS = 10000, HEADER_MS = 10000, IDLE_MS = 60000 };
static const size_t body_default = (size_t)4 << 20;

static void on_connection(uv_stream_t *stream, int status)
{
    if (status == 0)
        flow_http__accept(stream->data);
    else
        flow_log(FLOW_LOG_WARNING, "can't accept a connection", FLOW_F_STR("error", uv_strerror(status)));
}

static FlowStatus explain(const FlowListen *listen, int error, FlowError *reterr)
{
    char text[FLOW_LISTEN_TEXT];
    if (listen->kind == FLOW_LISTEN_TCP && error == UV_EADDRINUSE)
        return flow_listen_explain(listen, reterr);
    flow_listen_text(listen, text);
    return flow_error_set(reterr, FLOW_FAILED_PRECONDITION, NULL, NULL, "can't listen on %s: %s", text,
                          uv_strerror(error));
}

static int bind_tcp(FlowHttpListener *self, uv_loop_t *loop)
{
    struct sockaddr_storage address;
    char port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    snprintf(port, sizeof port, "%d", self->address.port);
    uv_tcp_init(loop, &self->socket.tcp);
    if (getaddrinfo(self->address.host, port, &hints, &found) != 0)
        return UV_EADDRNOTAVAIL;
    memcpy(&address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    int error = uv_tcp_bind(&self->socket.tcp, (struct sockaddr *)&address, 0);
    if (error == 0)
        error = uv_listen(&self->socket.stream, BACKLOG, on_connection);
    int len = sizeof address;
    if (error == 0 && uv_tcp_getsockname(&self->socket.tcp, (struct sockaddr *)&address, &len) == 0)
        self->address.port =
            ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                : ((struct sockaddr_in *)&address)->sin_port);
    return error;
}

static int bind_unix(FlowHttpListener *self, uv_loop_t *loop)
{
    uv_pipe_init(loop, &self->socket.pipe, 0);
    /* The lock is ours: a socket that lies there is a dead server's. */
    unlink(self->address.host);
    int error = uv_pipe_bind(&self->socket.pipe, self->address.host);
    if (error == 0)
        error = uv_listen(&self->socket.stream, BACKLOG, on_connection);
    if (error == 0)
        chmod(self->address.host, 0600);
    return error;
}

static FlowStatus check(const FlowHttpOptions *options, const FlowListen *address, FlowError *reterr)
{
    char text[FLOW_LISTEN_TEXT];
    flow_listen_text(address, text);
    if (!address->local && !options->insecure_listen && options->tls.cert == NULL)
        return flow_error_set(
            reterr, FLOW_INVALID_ARGUMENT, NULL, NULL,
            "others can reach %s, and it would be in clear text: give --tls-cert and --tls-key (and "
            "--tls-client-ca to let in only clients with a certificate), or say --insecure-listen",
            text);
    if (address->kind == FLOW_LISTEN_UNIX_ABSTRACT)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, NULL, NULL,
                              "the HTTP door can't listen on %s: use unix:/PATH", text);
    return FLOW_OK;
}

FlowStatus flow_http_options_check(const FlowHttpOptions *options, FlowError *reterr)
{
    FlowListen addresses[FLOW_LISTEN_MAX];
    size_t count = 0;
    FlowStatus status = flow_listen_parse_list(options->listen, addresses, &count, reterr);
    for (size_t i = 0; i < count && status == FLOW_OK; i++)
        status = check(options, &addresses[i], reterr);
    FlowHttpCertificates *certificates = NULL;
    if (status == FLOW_OK && options->tls.cert != NULL)
        status = flow_http__certificates_new(&options->tls, &certificates, reterr);
    flow_http__certificates_free(certificates);
    return status;
}

static FlowStatus bind_one(FlowHttpServer *server, const FlowListen *address, FlowError *reterr)
{
    FlowStatus status = check(&server->options, address, reterr);
    if (status != FLOW_OK)
        return status;
    FlowHttpListener *self = &server->listeners[server->listener_count];
    self->server = server;
    self->address = *address;
    status = flow_listen_lock(address, &self->lock_fd, reterr);
    if (status != FLOW_OK)
        return status;
    server->listener_count++;
    uv_loop_t *loop = flow_loop_uv(server->loop);
    self->socket.handle.data = NULL;
    int error = address->kind == FLOW_LISTEN_TCP ? bind_tcp(self, loop) : bind_unix(self, loop);
    self->socket.handle.data = self;
    return error == 0 ? FLOW_OK : explain(address, error, reterr);
}

static void on_closed(uv_handle_t *handle)
{
    FlowHttpListener *self = handle->data;
    if (self->address.kind == FLOW_LISTEN_UNIX)
        unlink(self->address.host);
    if (self->lock_fd >= 0)
        close(self->lock_fd);
}

static void close_on_loop(FlowTask *task)
{
    FlowHttpServer *self = flow_container_of(task, FlowHttpServer, close_task);
    self->closing = true;
    for (size_t i = 0; i < self->listener_count; i++)
        uv_close(&self->listeners[i].socket.handle, on_closed);
    flow_http__close_all(self);
}

FlowStatus flow_http_server_open(const FlowHttpOptions *options, FlowHttpServer **ret_server,
                                 FlowError *reterr)
{
    FlowListen addresses[FLOW_LISTEN_MAX];
    size_t count;
    FlowStatus status = flow_listen_parse_list(options->listen, addresses, &count, reterr);
    if (status != FLOW_OK)
        return status;
    FlowHttpServer *self = flow_new(FlowHttpServer);
    self->options = *options;
    self->options.body_bytes = options->body_bytes != 0 ? options->body_bytes : body_default;
    self->options.connections = options->connections != 0 ? options->connections : CONNECTIONS;
    self->options.header_ms = options->header_ms != 0 ? options->header_ms : HEADER_MS;
    self->options.idle_ms = options->idle_ms != 0 ? options->idle_ms : IDLE_MS;
    flow_list_init(&self->connections);
    if (options->tls.cert != NULL)
        status = flow_http__certificates_new(&options->tls, &self->certificates, reterr);
    if (status != FLOW_OK) {
        free(self);
        return status;
    }
    http_parser_set_max_header_size(FLOW_HTTP_HEAD_MAX);
    status = flow_loop_new("http", flow_clock_real(), &self->loop, reterr);
    if (status != FLOW_OK) {
        flow_http__certificates_free(self->certificates);
        free(self);
        return status;
    }
    FlowBuf text;
    flow_buf_init(&text, 0);
    for (size_t i = 0; i < count && status == FLOW_OK; i++) {
        char one[FLOW_LISTEN_TEXT];
        status = bind_one(self, &addresses[i], reterr);
        if (status == FLOW_OK)
            flow_listen_text(&self->listeners[i].address, one);
        flow_buf_printf(&text, "%s%s", i != 0 ? "," : "", status == FLOW_OK ? one : "");
    }
    self->address = flow_strdup(flow_buf_text(&text));
    flow_buf_done(&text);
    if (status == FLOW_OK && options->opened != NULL)
        options->opened(self, options->data);
    if (status == FLOW_OK)
        status = flow_loop_start(self->loop, reterr);
    if (status != FLOW_OK) {
        close_on_loop(&self->close_task);
        flow_loop_free(self->loop);
        flow_http__certificates_free(self->certificates);
        free(self->address);
        free(self);
        return status;
    }
    *ret_server = self;
    return FLOW_OK;
}

const char *flow_http_server_address(const FlowHttpServer *server)
{
    return server->address;
}

FlowLoop *flow_http_server_loop(const FlowHttpServer *server)
{
    return server->loop;
}

FlowHttpServer *flow_http_server_close(FlowHttpServer *server)
{
    if (server == NULL)
        return NULL;
    server->close_task.run = close_on_loop;
    flow_loop_post(server->loop, &server->close_task);
    /* Runs until the last handle is closed. */
    flow_loop_free(server->loop);
    flow_http__certificates_free(server->certificates);
    free(server->address);
    free(server);
    return NULL;
}
