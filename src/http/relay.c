/*
 * relay.c - a TLS connection that is handed over to another protocol: its bytes go in clear through a pair of sockets,
 * of which the other protocol has one. Each side is read only as fast as the other takes it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/internal.h"

enum { RELAY_HIGH = 1 << 20, PIECE = 65536 };

struct FlowHttpRelay {
    uv_pipe_t pipe;
    FlowHttpConnection *connection;
    bool reading; /* the pipe is being read */
    bool closed;
    char buffer[PIECE];
};

typedef struct Write {
    uv_write_t write;
    FlowHttpRelay *relay;
    char bytes[];
} Write;

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    FlowHttpRelay *self = handle->data;
    (void)wanted;
    *ret = uv_buf_init(self->buffer, sizeof self->buffer);
}

static void on_closed(uv_handle_t *handle)
{
    FlowHttpRelay *self = handle->data;
    FlowHttpConnection *connection = self->connection;
    free(self);
    flow_http__let_go(connection);
}

void flow_http__relay_close(FlowHttpRelay *self)
{
    if (self->closed)
        return;
    self->closed = true;
    uv_close((uv_handle_t *)&self->pipe, on_closed);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    FlowHttpRelay *self = stream->data;
    if (len < 0) {
        flow_http__relay_end(self->connection);
        return;
    }
    flow_http__relay_out(self->connection, buffer->base, (size_t)len);
    flow_http__relay_look(self);
}

/* Reads the other protocol as long as the client takes what it says. */
void flow_http__relay_look(FlowHttpRelay *self)
{
    bool wanted = !self->closed && self->connection->out.len + self->connection->sending.len < RELAY_HIGH;
    if (wanted && !self->reading)
        uv_read_start((uv_stream_t *)&self->pipe, on_alloc, on_read);
    else if (!wanted && self->reading && !self->closed)
        uv_read_stop((uv_stream_t *)&self->pipe);
    self->reading = wanted;
}

static void on_written(uv_write_t *write, int status)
{
    Write *self = flow_container_of(write, Write, write);
    FlowHttpRelay *relay = self->relay;
    free(self);
    if (status != 0)
        flow_http__close(relay->connection);
    else
        flow_http__relay_room(relay->connection);
}

void flow_http__relay_in(FlowHttpRelay *self, const char *bytes, size_t len)
{
    if (self->closed || len == 0)
        return;
    Write *write = flow_malloc(sizeof *write + len);
    write->relay = self;
    memcpy(write->bytes, bytes, len);
    uv_buf_t piece = uv_buf_init(write->bytes, (unsigned)len);
    if (uv_write(&write->write, (uv_stream_t *)&self->pipe, &piece, 1, on_written) != 0) {
        free(write);
        flow_http__close(self->connection);
    }
}

bool flow_http__relay_full(const FlowHttpRelay *self)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&self->pipe) > RELAY_HIGH;
}

FlowHttpRelay *flow_http__relay_new(FlowHttpConnection *connection, int *ret_fd)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return NULL;
    FlowHttpRelay *self = flow_new(FlowHttpRelay);
    self->connection = connection;
    uv_pipe_init(flow_loop_uv(connection->server->loop), &self->pipe, 0);
    self->pipe.data = self;
    if (uv_pipe_open(&self->pipe, pair[0]) != 0) {
        close(pair[0]);
        close(pair[1]);
        connection->holds++;
        flow_http__relay_close(self);
        return NULL;
    }
    connection->holds++; /* the pipe's */
    *ret_fd = pair[1];
    flow_http__relay_look(self);
    return self;
}
