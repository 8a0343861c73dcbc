#include "http/ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/binding.h"
#include "http/reply.h"
#include "http/ws_internal.h"
#include "wire/scalars.h"

enum { RX_SIZE = 32768, PING_S = 25, HANGUP_S = 60, HANDSHAKE_MAX = 2048 /* of libwebsockets' buffer */ };

static const char SUBPROTOCOL[] = "flow.v1.json";

/* ------------------------------------------------------------------------------------------ frames */

void flow_ws__push(FlowWsQueue *queue, const char *text, size_t len, bool counts)
{
    FlowWsFrame *frame = flow_malloc(sizeof *frame + LWS_PRE + len);
    frame->next = NULL;
    frame->len = len;
    frame->counts = counts;
    memcpy(frame->bytes + LWS_PRE, text, len);
    if (queue->last != NULL)
        queue->last->next = frame;
    else
        queue->first = frame;
    queue->last = frame;
    queue->bytes += len;
}

static FlowWsFrame *take(FlowWsQueue *queue)
{
    FlowWsFrame *frame = queue->first;
    if (frame == NULL)
        return NULL;
    queue->first = frame->next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->bytes -= frame->len;
    return frame;
}

void flow_ws__drop(FlowWsQueue *queue)
{
    for (FlowWsFrame *frame; (frame = take(queue)) != NULL;)
        free(frame);
}

void flow_ws__say(FlowWsSocket *socket, const char *text, size_t len)
{
    flow_ws__push(&socket->own, text, len, false);
    lws_callback_on_writable(socket->wsi);
}

void flow_ws__close(FlowWsSocket *socket, int code, const char *reason)
{
    if (socket->closing)
        return;
    socket->closing = true;
    socket->close_code = code;
    snprintf(socket->close_reason, sizeof socket->close_reason, "%s", reason);
    lws_callback_on_writable(socket->wsi);
}

/* Fair: each call writes one frame, then goes to the end of the line. */
static FlowWsFrame *next_frame(FlowWsSocket *socket, FlowWsCall **ret_call)
{
    *ret_call = NULL;
    FlowWsFrame *frame = take(&socket->own);
    if (frame != NULL)
        return frame;
    FLOW_LIST_FOR_EACH(link, &socket->calls)
    {
        FlowWsCall *call = flow_list_entry(link, FlowWsCall, link);
        frame = flow_ws__call_take(call);
        if (frame == NULL)
            continue;
        flow_list_remove(&call->link);
        flow_list_push_back(&socket->calls, &call->link);
        *ret_call = call;
        return frame;
    }
    return NULL;
}

/* -1: the socket is to be closed. */
static int write_frames(FlowWsSocket *socket)
{
    for (int i = 0; i < FLOW_WS_BURST; i++) {
        FlowWsCall *call;
        FlowWsFrame *frame = next_frame(socket, &call);
        if (frame == NULL && socket->closing) {
            lws_close_reason(socket->wsi, (enum lws_close_status)socket->close_code,
                             (unsigned char *)socket->close_reason, strlen(socket->close_reason));
            return -1;
        }
        if (frame == NULL)
            return 0;
        int sent =
            lws_write(socket->wsi, (unsigned char *)frame->bytes + LWS_PRE, frame->len, LWS_WRITE_TEXT);
        bool failed = sent < (int)frame->len;
        free(frame);
        if (call != NULL)
            flow_ws__call_written(call);
        if (failed)
            return -1;
        if (lws_send_pipe_choked(socket->wsi))
            break;
    }
    lws_callback_on_writable(socket->wsi);
    return 0;
}

/* ----------------------------------------------------------------------------------------- sockets */

static void job_free(FlowWsJob *job)
{
    flow_buf_done(&job->handshake);
    flow_buf_done(&job->headers);
    flow_buf_done(&job->request);
    free(job);
}

static void established(FlowWsSocket *socket)
{
    FlowWsJob *job = socket->job;
    socket->job = NULL;
    if (socket->many) {
        flow_ws__many_ready(socket);
    } else {
        FlowWsCall *call = flow_ws__call_new(socket, "", job->route, job->deadline_ns);
        flow_ws__call_start(call, job->request.data != NULL ? job->request.data : "", job->request.len);
    }
    job_free(job);
}

static void message_in(FlowWsSocket *socket, const char *text, size_t len)
{
    if (socket->many) {
        flow_ws__many_receive(socket, text, len);
        return;
    }
    if (flow_list_empty(&socket->calls))
        return;
    FlowWsCall *call = flow_list_entry(socket->calls.next, FlowWsCall, link);
    if (!call->route.method->client_streaming)
        flow_ws__close(socket, LWS_CLOSE_STATUS_POLICY_VIOLATION, "this stream takes no messages");
    else if (len == 0)
        flow_ws__call_half_close(call);
    else
        flow_ws__call_message(call, text, len);
}

static int receive(FlowWsSocket *socket, const char *bytes, size_t len)
{
    if (socket->closing)
        return 0;
    if (lws_frame_is_binary(socket->wsi)) {
        flow_ws__close(socket, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, "messages are JSON in text frames");
        return 0;
    }
    bool first = lws_is_first_fragment(socket->wsi) != 0, last = lws_is_final_fragment(socket->wsi) != 0;
    if (first)
        flow_buf_clear(&socket->incoming);
    if (first && last) {
        message_in(socket, bytes, len);
        return 0;
    }
    flow_buf_append(&socket->incoming, bytes, len);
    if (socket->incoming.failed) {
        flow_ws__close(socket, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "the message is too large");
    } else if (last) {
        message_in(socket, flow_buf_text(&socket->incoming), socket->incoming.len);
        flow_buf_clear(&socket->incoming);
    }
    return 0;
}

static void socket_gone(FlowWsSocket *socket)
{
    while (!flow_list_empty(&socket->calls))
        flow_ws__call_lost(flow_list_entry(socket->calls.next, FlowWsCall, link));
    flow_list_remove(&socket->link);
    flow_ws__drop(&socket->own);
    flow_buf_done(&socket->incoming);
    flow_buf_done(&socket->headers);
    if (socket->job != NULL)
        job_free(socket->job);
    free(socket);
}

static void run_tasks(FlowWs *self)
{
    pthread_mutex_lock(&self->lock);
    FlowTask *task = self->first_task;
    self->first_task = self->last_task = NULL;
    self->woken = false;
    pthread_mutex_unlock(&self->lock);
    while (task != NULL) {
        FlowTask *next = task->next; /* read first: run() may free the task, or post it again */
        task->run(task);
        task = next;
    }
}

static FlowWsSocket *take_adopted(struct lws *wsi)
{
    FlowWs *self = lws_context_user(lws_get_context(wsi));
    FlowWsSocket *socket = self->adopting;
    self->adopting = NULL;
    if (socket != NULL) {
        socket->wsi = wsi;
        lws_set_opaque_user_data(wsi, socket);
    }
    return socket;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    FlowWsSocket *socket = wsi != NULL ? lws_get_opaque_user_data(wsi) : NULL;
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        run_tasks(lws_context_user(lws_get_context(wsi)));
        return 0;
    case LWS_CALLBACK_HTTP:
        return -1; /* plain HTTP is never served here */
    case LWS_CALLBACK_ESTABLISHED:
        if (socket == NULL)
            socket = take_adopted(wsi);
        if (socket == NULL)
            return -1;
        established(socket);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return socket != NULL ? receive(socket, in, len) : -1;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return socket != NULL ? write_frames(socket) : -1;
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        if (socket != NULL) {
            lws_set_opaque_user_data(wsi, NULL);
            socket_gone(socket);
        }
        return 0;
    default:
        return 0;
    }
}

/* ----------------------------------------------------------------------------------- handing over */

static void adopt_on_thread(FlowTask *task)
{
    FlowWsJob *job = flow_container_of(task, FlowWsJob, task);
    FlowWs *self = job->ws;
    FlowWsSocket *socket = flow_new(FlowWsSocket);
    socket->ws = self;
    socket->many = job->many;
    socket->job = job;
    flow_list_init(&socket->link);
    flow_list_init(&socket->calls);
    flow_buf_init(&socket->incoming, 2 * flow_rpc_server_limits(self->door->rpc)->request_bytes);
    socket->headers = job->headers;
    flow_buf_init(&job->headers, 0);
    socket->peer = job->peer;
    flow_list_push_back(&self->sockets, &socket->link);
    /* It reads the handshake at once, so the socket may be established, or even gone, when it returns. */
    self->adopting = socket;
    struct lws *wsi = NULL;
    if (!self->draining)
        wsi = lws_adopt_socket_vhost_readbuf(self->vhost, job->fd, job->handshake.data, job->handshake.len);
    else
        close(job->fd);
    if (self->adopting != socket)
        return;
    self->adopting = NULL;
    if (wsi == NULL) {
        socket_gone(socket); /* libwebsockets has closed the descriptor */
        return;
    }
    socket->wsi = wsi;
    lws_set_opaque_user_data(wsi, socket);
}

static bool is_key(const char *key)
{
    FlowBuf bytes;
    flow_buf_init(&bytes, 64);
    bool ok = key != NULL && strlen(key) == 24 && flow_base64_decode(&bytes, key, 24) && bytes.len == 16;
    flow_buf_done(&bytes);
    return ok;
}

static void fail(FlowHttpRequest *request, int code, const char *reason, const char *what)
{
    FlowError error;
    flow_error_set(&error, FLOW_INVALID_ARGUMENT, reason, NULL, "%s", what);
    flow_http_fail_with_code(request, code, &error);
}

/* False: it has been answered. */
static bool check_handshake(FlowHttpRequest *request)
{
    const char *version = flow_http_header(request, "sec-websocket-version");
    const char *offered = flow_http_header(request, "sec-websocket-protocol");
    if (strcmp(flow_http_method(request), "GET") != 0) {
        fail(request, 405, "METHOD_NOT_ALLOWED", "a WebSocket begins with GET");
    } else if (version == NULL || strcmp(version, "13") != 0) {
        flow_http_set_header(request, "Sec-WebSocket-Version", "13");
        fail(request, 426, "UPGRADE_REQUIRED", "this server speaks version 13 of WebSocket");
    } else if (!is_key(flow_http_header(request, "sec-websocket-key"))) {
        fail(request, 400, "INVALID_FIELD", "Sec-WebSocket-Key must be 16 bytes in base64");
    } else if (offered != NULL && !flow_http_list_has(offered, SUBPROTOCOL)) {
        fail(request, 400, "INVALID_FIELD", "the only subprotocol is flow.v1.json, and it needn't be named");
    } else {
        return true;
    }
    return false;
}

/* What libwebsockets reads is written here, so it sees nothing that wasn't checked. */
static void write_handshake(FlowWsJob *job, FlowHttpRequest *request)
{
    flow_buf_printf(&job->handshake,
                    "GET / HTTP/1.1\r\nHost: flowd\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
                    flow_http_header(request, "sec-websocket-key"));
    if (flow_http_header(request, "sec-websocket-protocol") != NULL)
        flow_buf_printf(&job->handshake, "Sec-WebSocket-Protocol: %s\r\n", SUBPROTOCOL);
    flow_buf_str(&job->handshake, "\r\n");
}

void flow_ws_accept(FlowWs *ws, FlowHttpRequest *request, const FlowRouteMatch *match, int64_t deadline_ns)
{
    FlowError error;
    if (!check_handshake(request))
        return;
    FlowWsJob *job = flow_new(FlowWsJob);
    *job =
        (FlowWsJob){.task.run = adopt_on_thread, .ws = ws, .many = match == NULL, .deadline_ns = deadline_ns};
    flow_buf_init(&job->handshake, 0);
    flow_buf_init(&job->headers, 0);
    flow_buf_init(&job->request, 0);
    FlowStatus status = FLOW_OK;
    if (match != NULL) {
        job->route = match->route;
        FlowHttpInput input = {.query = flow_http_query(request), .body = "", .body_kind = FLOW_BODY_JSON};
        if (match->route->method->client_streaming)
            input.query_is_free = true;
        status =
            flow_binding_request(flow_rpc_server_pool(ws->door->rpc), match, &input, &job->request, &error);
    }
    if (status != FLOW_OK) {
        flow_http_fail(request, &error);
        job_free(job);
        return;
    }
    flow_http__copy_headers(&job->headers, request);
    flow_http__copy_peer(&job->peer, request);
    write_handshake(job, request);
    job->fd = flow_http_take_socket(request, &job->handshake);
    if (job->fd >= 0 && job->handshake.len <= HANDSHAKE_MAX) {
        flow_ws__post(ws, &job->task);
        return;
    }
    /* A client that says so much before it has an answer is none. */
    if (job->fd >= 0)
        close(job->fd);
    job_free(job);
}

/* ------------------------------------------------------------------------------------- the thread */

void flow_ws__post(FlowWs *ws, FlowTask *task)
{
    pthread_mutex_lock(&ws->lock);
    task->next = NULL;
    if (ws->last_task != NULL)
        ws->last_task->next = task;
    else
        ws->first_task = task;
    ws->last_task = task;
    bool wake = !ws->woken;
    ws->woken = true;
    pthread_mutex_unlock(&ws->lock);
    if (wake)
        lws_cancel_service(ws->context);
}

static void *service(void *data)
{
    FlowWs *self = data;
    while (!self->stop && lws_service(self->context, 0) >= 0)
        ;
    return NULL;
}

static void stop_on_thread(FlowTask *task)
{
    FlowWs *self = flow_container_of(task, FlowWs, stop_task);
    self->stop = true;
}

static void on_library_log(int level, const char *line)
{
    if (level & (LLL_ERR | LLL_WARN))
        flow_log(FLOW_LOG_DEBUG, "libwebsockets", FLOW_F_STRN("text", line, strcspn(line, "\n")));
}

FlowStatus flow_ws_new(FlowHttpDoor *door, FlowWs **ret_ws, FlowError *reterr)
{
    static const struct lws_protocols protocols[] = {{SUBPROTOCOL, on_event, 0, RX_SIZE, 0, NULL, 0},
                                                     {NULL, NULL, 0, 0, 0, NULL, 0}};
    static const lws_retry_bo_t idle = {.secs_since_valid_ping = PING_S, .secs_since_valid_hangup = HANGUP_S};
    FlowWs *self = flow_new(FlowWs);
    self->door = door;
    flow_list_init(&self->sockets);
    flow_list_init(&self->calls);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    lws_set_log_level(LLL_ERR | LLL_WARN, on_library_log);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8,
        .user = self,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .vhost_name = "flowd",
        .retry_and_idle_policy = &idle,
        .timeout_secs = 10,
    };
    self->context = lws_create_context(&info);
    self->vhost = self->context != NULL ? lws_create_vhost(self->context, &info) : NULL;
    if (self->vhost == NULL || pthread_create(&self->thread, NULL, service, self) != 0) {
        if (self->context != NULL)
            lws_context_destroy(self->context);
        free(self);
        return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, NULL, NULL, "WebSocket can't be started");
    }
    pthread_setname_np(self->thread, "websocket");
    *ret_ws = self;
    return FLOW_OK;
}

FlowWs *flow_ws_free(FlowWs *ws)
{
    if (ws == NULL)
        return NULL;
    /* Not the drain's task: that may still wait for its turn. */
    ws->stop_task.run = stop_on_thread;
    flow_ws__post(ws, &ws->stop_task);
    pthread_join(ws->thread, NULL);
    lws_context_destroy(ws->context);
    ws->draining = true;
    run_tasks(ws); /* what lost calls have posted meanwhile */
    pthread_cond_destroy(&ws->changed);
    pthread_mutex_destroy(&ws->lock);
    free(ws);
    return NULL;
}

static void drain_on_thread(FlowTask *task)
{
    FlowWs *self = flow_container_of(task, FlowWs, drain_task);
    static const char bye[] = "{\"type\":\"drain\",\"reconnectMs\":1000}";
    self->draining = true;
    FLOW_LIST_FOR_EACH(link, &self->sockets)
    {
        FlowWsSocket *socket = flow_list_entry(link, FlowWsSocket, link);
        if (!socket->many || socket->wsi == NULL || socket->job != NULL)
            continue;
        flow_ws__say(socket, bye, sizeof bye - 1);
        if (flow_list_empty(&socket->calls))
            flow_ws__close(socket, LWS_CLOSE_STATUS_GOINGAWAY, "the server is shutting down");
    }
    FLOW_LIST_FOR_EACH(link, &self->calls)
    {
        flow_ws__call_tell(flow_list_entry(link, FlowWsCall, all), true, false);
    }
}

static void cancel_on_thread(FlowTask *task)
{
    FlowWs *self = flow_container_of(task, FlowWs, cancel_task);
    FLOW_LIST_FOR_EACH(link, &self->calls)
    {
        FlowWsCall *call = flow_list_entry(link, FlowWsCall, all);
        flow_rpc_call_abort(&call->base, &self->cancel_error);
        flow_rpc_call_cancel(&call->base);
    }
}

static void orphan_on_thread(FlowTask *task)
{
    FlowWs *self = flow_container_of(task, FlowWs, orphan_task);
    FLOW_LIST_FOR_EACH(link, &self->calls)
    {
        flow_ws__call_orphan(flow_list_entry(link, FlowWsCall, all));
    }
    pthread_mutex_lock(&self->lock);
    self->orphaned = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

void flow_ws_drain(FlowWs *ws)
{
    ws->drain_task.run = drain_on_thread;
    flow_ws__post(ws, &ws->drain_task);
}

void flow_ws_cancel(FlowWs *ws, const FlowError *error)
{
    ws->cancel_error = *error;
    ws->cancel_task.run = cancel_on_thread;
    flow_ws__post(ws, &ws->cancel_task);
}

void flow_ws_orphan(FlowWs *ws)
{
    ws->orphan_task.run = orphan_on_thread;
    flow_ws__post(ws, &ws->orphan_task);
    pthread_mutex_lock(&ws->lock);
    while (!ws->orphaned)
        pthread_cond_wait(&ws->changed, &ws->lock);
    pthread_mutex_unlock(&ws->lock);
}
