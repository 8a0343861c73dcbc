#include "http/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/reply.h"
#include "value/json.h"

enum {
    SOCKET_HIGH = 256 << 10, /* bytes that may wait in the connection; what is more waits in the call */
    HEARTBEAT_MS = 15000
};

static void on_loop(FlowTask *task);

static FlowHttpCall *of(const FlowRpcCall *call)
{
    return flow_container_of(call, FlowHttpCall, base);
}

static bool is_stream(const FlowHttpCall *self)
{
    return self->format == FLOW_FORMAT_NDJSON || self->format == FLOW_FORMAT_SSE;
}

/* Lock held. */
static void post(FlowHttpCall *self)
{
    if (self->posted || self->orphan)
        return;
    self->posted = true;
    flow_rpc_ref(&self->base); /* the task's own hold */
    flow_loop_post(self->door->loop, &self->task);
}

/* ------------------------------------------------------------------------------ what is to be said */

static void put_error_reply(FlowHttpCall *self, const FlowRpcDetails *details)
{
    flow_buf_clear(&self->body);
    flow_http_status_json(details, &self->body);
    self->plain = true;
    self->code = flow_http_code_of(details->status, details->reason);
    snprintf(self->type, sizeof self->type, "application/json");
    if (self->code == 401)
        flow_buf_str(&self->extra, "WWW-Authenticate: Bearer\r\n");
    if (details->retry_ms >= 0)
        flow_buf_printf(&self->extra, "Retry-After: %lld\r\n", (long long)(details->retry_ms + 999) / 1000);
}

/* {"end":{"cursor":"7"}} or {"error":{…}}, in the stream's format. */
static void put_last_record(FlowHttpCall *self, const FlowRpcDetails *details)
{
    bool sse = self->format == FLOW_FORMAT_SSE;
    if (details != NULL) {
        FlowBuf status;
        flow_buf_init(&status, 0);
        flow_http_status_json(details, &status);
        size_t len = status.len > 0 ? status.len - 1 : 0; /* without its newline */
        flow_buf_str(&self->body, sse ? "event: error\ndata: " : "{\"error\":");
        flow_buf_append(&self->body, status.data, len);
        flow_buf_str(&self->body, sse ? "\n\n" : "}\n");
        flow_buf_done(&status);
        if (!sse)
            return;
    }
    flow_buf_str(&self->body, sse ? "event: end\ndata: {" : "{\"end\":{");
    if (*self->cursor != '\0')
        flow_buf_printf(&self->body, "\"cursor\":\"%s\"", self->cursor);
    flow_buf_str(&self->body, sse ? "}\n\n" : "}}\n");
}

/* Reply metadata as headers; x-http-code is the reply's code. */
static void put_metadata(FlowHttpCall *self)
{
    const char *key, *value;
    size_t at = 0, key_len, value_len;
    while (flow_rpc_call_reply_metadata(&self->base, &at, &key, &key_len, &value, &value_len)) {
        if (key_len == 11 && memcmp(key, "x-http-code", 11) == 0) {
            int code = 0;
            for (size_t i = 0; i < value_len && code < 1000; i++)
                code = value[i] >= '0' && value[i] <= '9' ? code * 10 + value[i] - '0' : 1000;
            if (code >= 200 && code <= 599)
                self->code = code;
            continue;
        }
        static const char *const framing[] = {
            "content-length",   "transfer-encoding", "connection", "content-type",
            "content-encoding", "upgrade",           "date"};
        bool ours = false;
        for (size_t i = 0; i < FLOW_COUNT(framing); i++)
            ours |= strlen(framing[i]) == key_len && memcmp(framing[i], key, key_len) == 0;
        if (ours || (key_len > 4 && memcmp(key + key_len - 4, "-bin", 4) == 0))
            continue;
        flow_buf_append(&self->extra, key, key_len);
        flow_buf_str(&self->extra, ": ");
        flow_buf_append(&self->extra, value, value_len);
        flow_buf_str(&self->extra, "\r\n");
    }
}

/* Encodes before the lock is taken; the call's own memory for the text is filled under it. */
static FlowStatus encode_reply(FlowHttpCall *self, const ProtobufCMessage *message, FlowBuf *to,
                               char type[128], FlowError *error)
{
    size_t limit = flow_rpc_server_limits(self->base.server)->reply_bytes;
    if (protobuf_c_message_get_packed_size(message) > limit)
        return flow_error_set(error, FLOW_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", NULL,
                              "the answer is larger than the limit of %zu bytes: ask for less at a time",
                              limit);
    FlowStatus status = flow_http__response_body(flow_rpc_server_pool(self->base.server), self->route,
                                                 message, self->format, to, type, error);
    if (status != FLOW_OK) {
        /* Our own message, which JSON can't say: not the client's fault. */
        error->status = FLOW_INTERNAL;
        return FLOW_INTERNAL;
    }
    return to->failed ? flow_error_no_memory(error, NULL, to->len) : FLOW_OK;
}

/* -------------------------------------------------------------------------- what handlers make of it */

static void door_finish(FlowRpcCall *call, const ProtobufCMessage *message, const FlowRpcDetails *details)
{
    FlowHttpCall *self = of(call);
    FlowBuf body;
    FlowError error;
    FlowRpcDetails failure;
    char type[128] = "";
    bool failed = false;
    flow_buf_init(&body, 0);
    if (message != NULL && !atomic_load_explicit(&call->cancelled, memory_order_relaxed) &&
        encode_reply(self, message, &body, type, &error) != FLOW_OK) {
        flow_rpc_details_init(&failure, &error);
        failed = true;
        details = &failure;
        call->status = failure.status;
    }
    bool zipped =
        !failed && message != NULL && self->gzip && body.len >= FLOW_HTTP_GZIP_FROM && flow_http_gzip(&body);
    pthread_mutex_lock(&self->lock);
    bool orphan = self->orphan;
    if (!self->closing) {
        self->closing = true;
        if (is_stream(self) && (self->said || details == NULL)) {
            put_last_record(self, details);
        } else if (details != NULL) {
            put_error_reply(self, details);
            put_metadata(self);
        } else {
            FlowBuf old = self->body;
            self->body = body;
            body = old;
            self->plain = true;
            self->code = 200;
            memcpy(self->type, type, sizeof type);
            if (zipped)
                flow_buf_str(&self->extra, "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n");
            put_metadata(self);
        }
    }
    self->finished = true;
    post(self);
    pthread_mutex_unlock(&self->lock);
    flow_buf_done(&body);
    if (failed)
        flow_rpc_details_done(&failure);
    if (orphan) {
        flow_rpc_call_over(call);
        flow_rpc_unref(call);
    }
}

static void door_abort(FlowRpcCall *call, const FlowRpcDetails *details)
{
    FlowHttpCall *self = of(call);
    pthread_mutex_lock(&self->lock);
    if (!self->closing) {
        self->closing = true;
        if (is_stream(self) && self->said) {
            flow_buf_clear(&self->body); /* whole records: what waits is forgotten */
            put_last_record(self, details);
        } else {
            put_error_reply(self, details);
        }
        post(self);
    }
    pthread_mutex_unlock(&self->lock);
}

static FlowStatus encode_piece(FlowHttpCall *self, const ProtobufCMessage *message, FlowBuf *to,
                               char cursor[24], FlowError *error)
{
    FlowValue value, whole;
    FlowStatus status = flow_http__response_value(flow_rpc_server_pool(self->base.server), self->route,
                                                  message, &value, &whole, error);
    if (status != FLOW_OK) {
        error->status = FLOW_INTERNAL;
        return FLOW_INTERNAL;
    }
    flow_http__cursor_of(self->route, whole, cursor);
    flow_value_unref(whole);
    if (self->format == FLOW_FORMAT_SSE) {
        if (*cursor != '\0')
            flow_buf_printf(to, "id: %s\n", cursor);
        flow_buf_str(to, "data: ");
        status = flow_json_write(value, to, 0, error);
        flow_buf_str(to, "\n\n");
    } else {
        flow_buf_str(to, "{\"result\":");
        status = flow_json_write(value, to, 0, error);
        flow_buf_str(to, "}\n");
    }
    flow_value_unref(value);
    return status == FLOW_OK && to->failed ? flow_error_no_memory(error, NULL, to->len) : status;
}

static bool door_send(FlowRpcCall *call, const ProtobufCMessage *message)
{
    FlowHttpCall *self = of(call);
    size_t limit = flow_rpc_server_limits(call->server)->stream_queue;
    FlowBuf piece;
    FlowError error;
    char cursor[24] = "";
    flow_buf_init(&piece, 0);
    FlowStatus status = encode_piece(self, message, &piece, cursor, &error);
    bool room = false;
    pthread_mutex_lock(&self->lock);
    if (status == FLOW_OK && !self->closing && !self->orphan) {
        if (self->body.len > 2 * limit) {
            status = flow_error_set(&error, FLOW_RESOURCE_EXHAUSTED, "SLOW_CONSUMER", NULL,
                                    "the client reads the stream too slowly");
        } else {
            flow_buf_append(&self->body, piece.data, piece.len);
            memcpy(self->cursor, cursor, sizeof cursor);
            self->said = true;
            post(self);
        }
        room = self->body.len < limit;
        self->wants_room = !room;
    }
    pthread_mutex_unlock(&self->lock);
    flow_buf_done(&piece);
    if (status != FLOW_OK)
        flow_rpc_call_abort(call, &error);
    return room && status == FLOW_OK;
}

static bool door_ready(const FlowRpcCall *call)
{
    FlowHttpCall *self = of(call);
    pthread_mutex_lock(&self->lock);
    bool room = !self->closing && !self->orphan &&
                self->body.len < flow_rpc_server_limits(call->server)->stream_queue;
    pthread_mutex_unlock(&self->lock);
    return room;
}

/* Methods whose clients stream come over WebSocket, never here. */
static void door_receive(FlowRpcCall *call)
{
    (void)call;
}

bool flow_http__pair_at(const FlowBuf *pairs, size_t index, const char **ret_key, size_t *ret_key_len,
                        const char **ret_value, size_t *ret_value_len)
{
    const char *at = pairs->data, *end = at + pairs->len;
    for (size_t i = 0; pairs->len != 0 && at < end; i++) {
        size_t key_len = strlen(at), value_len = strlen(at + key_len + 1);
        if (i == index) {
            *ret_key = at;
            *ret_key_len = key_len;
            *ret_value = at + key_len + 1;
            *ret_value_len = value_len;
            return true;
        }
        at += key_len + value_len + 2;
    }
    return false;
}

static bool door_metadata_at(const FlowRpcCall *call, size_t index, const char **ret_key, size_t *ret_key_len,
                             const char **ret_value, size_t *ret_value_len)
{
    return flow_http__pair_at(&of(call)->headers, index, ret_key, ret_key_len, ret_value, ret_value_len);
}

static void door_peer(const FlowRpcCall *call, FlowRpcPeer *ret_peer)
{
    *ret_peer = of(call)->peer;
}

static void door_free(FlowRpcCall *call)
{
    FlowHttpCall *self = of(call);
    flow_rpc_call_done(&self->base);
    flow_buf_done(&self->headers);
    flow_buf_done(&self->body);
    flow_buf_done(&self->extra);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

const FlowRpcDoor flow_http__rpc_door = {
    .name = "http",
    .send = door_send,
    .ready = door_ready,
    .finish = door_finish,
    .abort = door_abort,
    .receive = door_receive,
    .metadata_at = door_metadata_at,
    .peer = door_peer,
    .free = door_free,
};

/* ------------------------------------------------------------------------------------ on the loop */

static void end_request(FlowHttpCall *self)
{
    self->request = NULL;
    flow_timer_stop(&self->heartbeat);
}

static void put_extra(FlowHttpRequest *request, const FlowBuf *extra)
{
    /* Lines that were made under the lock, for flow_http_set_header(): the last one at a time. */
    const char *at = extra->data, *end = at + extra->len;
    while (extra->len != 0 && at < end) {
        const char *colon = memchr(at, ':', (size_t)(end - at)), *stop = memchr(at, '\r', (size_t)(end - at));
        char name[160], value[1024];
        snprintf(name, sizeof name, "%.*s", (int)(colon - at), at);
        snprintf(value, sizeof value, "%.*s", (int)(stop - colon - 2), colon + 2);
        flow_http_set_header(request, name, value);
        at = stop + 2;
    }
}

static void begin_stream(FlowHttpCall *self)
{
    bool sse = self->format == FLOW_FORMAT_SSE;
    self->began = true;
    flow_http_set_header(self->request, "X-Request-Id", self->base.request_id);
    flow_http_set_header(self->request, "X-Accel-Buffering", "no");
    flow_http_begin(self->request, 200, sse ? "text/event-stream" : "application/x-ndjson");
    if (sse)
        flow_timer_start(&self->heartbeat, HEARTBEAT_MS * FLOW_NS_PER_MS);
}

static void on_heartbeat(FlowTimer *timer)
{
    FlowHttpCall *self = flow_container_of(timer, FlowHttpCall, heartbeat);
    if (self->request == NULL)
        return;
    if (flow_http_waiting(self->request) == 0)
        flow_http_write(self->request, ":\n\n", 3);
    if (self->request != NULL)
        flow_timer_start(&self->heartbeat, HEARTBEAT_MS * FLOW_NS_PER_MS);
}

/* What a step on the loop took out from under the lock. */
typedef struct Step {
    bool finished, closing, plain, said, gone, drain, room, more;
    int code;
    FlowBuf body, extra;
    char type[128];
} Step;

static void take_step(FlowHttpCall *self, Step *step)
{
    *step = (Step){.finished = self->finished,
                   .closing = self->closing,
                   .plain = self->plain,
                   .said = self->said,
                   .gone = self->tell_gone,
                   .drain = self->tell_drain,
                   .code = self->code};
    flow_buf_init(&step->body, 0);
    flow_buf_init(&step->extra, 0);
    self->tell_gone = self->tell_drain = false;
    bool blocked = self->request != NULL && is_stream(self) && flow_http_waiting(self->request) > SOCKET_HIGH;
    step->more = blocked && self->body.len != 0;
    if (!blocked) {
        FlowBuf swap = self->body;
        self->body = step->body;
        step->body = swap;
        swap = self->extra;
        self->extra = step->extra;
        step->extra = swap;
        memcpy(step->type, self->type, sizeof step->type);
    }
    if (self->wants_room && !self->closing &&
        self->body.len <= flow_rpc_server_limits(self->base.server)->stream_queue / 2) {
        step->room = true;
        self->wants_room = false;
    }
}

static void reply(FlowHttpCall *self, const Step *step)
{
    FlowHttpRequest *request = self->request;
    end_request(self);
    flow_http_set_header(request, "X-Request-Id", self->base.request_id);
    put_extra(request, &step->extra);
    flow_http_reply(request, step->code, *step->type != '\0' ? step->type : NULL,
                    step->body.data != NULL ? step->body.data : "", step->body.len);
}

static void say(FlowHttpCall *self, const Step *step)
{
    if (self->gone) {
        FlowHttpRequest *request = self->request;
        end_request(self);
        flow_http_break(request);
        return;
    }
    if (step->closing && step->plain) {
        reply(self, step);
        return;
    }
    if (!is_stream(self))
        return;
    /* Nothing new behind what the client has seen: 204 tells an EventSource to come no more. */
    if (!self->began && step->closing && self->resumes && self->format == FLOW_FORMAT_SSE && !step->said) {
        FlowHttpRequest *request = self->request;
        end_request(self);
        flow_http_set_header(request, "X-Request-Id", self->base.request_id);
        flow_http_reply(request, 204, NULL, "", 0);
        return;
    }
    if (!self->began && step->body.len != 0)
        begin_stream(self);
    if (step->body.len != 0)
        flow_http_write(self->request, step->body.data, step->body.len);
    if (step->closing && !step->more) {
        FlowHttpRequest *request = self->request;
        end_request(self);
        flow_http_end(request);
    }
}

static void over(FlowHttpCall *self)
{
    FlowHttpDoor *door = self->door;
    flow_timer_stop(&self->deadline);
    flow_timer_stop(&self->heartbeat);
    flow_list_remove(&self->link);
    flow_rpc_call_over(&self->base);
    flow_rpc_unref(&self->base);
    flow_http__door_count(door, -1);
}

static void on_loop(FlowTask *task)
{
    FlowHttpCall *self = flow_container_of(task, FlowHttpCall, task);
    Step step;
    pthread_mutex_lock(&self->lock);
    self->posted = false;
    take_step(self, &step);
    pthread_mutex_unlock(&self->lock);
    if (step.gone)
        self->gone = true;
    if (self->request != NULL)
        say(self, &step);
    flow_buf_done(&step.body);
    flow_buf_done(&step.extra);
    if (step.gone)
        flow_rpc_call_cancel(&self->base);
    if (step.drain)
        flow_rpc_call_drain(&self->base);
    if (step.room && !self->gone)
        flow_rpc_call_ready(&self->base);
    /* A callback may have ended the call: then its task is posted again, and this is not the last one. */
    pthread_mutex_lock(&self->lock);
    bool last = self->finished && !self->orphan && !self->posted && self->request == NULL;
    pthread_mutex_unlock(&self->lock);
    if (last)
        over(self);
    flow_rpc_unref(&self->base);
}

static void nudge(FlowHttpCall *self)
{
    pthread_mutex_lock(&self->lock);
    post(self);
    pthread_mutex_unlock(&self->lock);
}

void flow_http__call_tell(FlowHttpCall *self, bool drain, bool gone)
{
    pthread_mutex_lock(&self->lock);
    self->tell_drain |= drain;
    self->tell_gone |= gone;
    post(self);
    pthread_mutex_unlock(&self->lock);
}

void flow_http__call_orphan(FlowHttpCall *self)
{
    FlowHttpDoor *door = self->door;
    flow_timer_stop(&self->deadline);
    flow_timer_stop(&self->heartbeat);
    flow_list_remove(&self->link);
    if (self->request != NULL) {
        FlowHttpRequest *request = self->request;
        end_request(self);
        flow_http_watch(request, NULL, NULL);
        flow_http_break(request);
    }
    pthread_mutex_lock(&self->lock);
    /* One that is finished has its last task on the way, and that task still runs on this loop. */
    bool finished = self->finished;
    self->orphan = !finished;
    pthread_mutex_unlock(&self->lock);
    if (finished)
        return;
    flow_http__door_count(door, -1);
}

static void on_gone(FlowHttpRequest *request, void *data)
{
    (void)request;
    flow_http__call_tell(data, false, true);
}

static void on_drained(FlowHttpRequest *request, void *data)
{
    (void)request;
    nudge(data);
}

static const FlowHttpWatch watch = {.on_gone = on_gone, .on_drained = on_drained};

static void on_deadline(FlowTimer *timer)
{
    FlowHttpCall *self = flow_container_of(timer, FlowHttpCall, deadline);
    FlowError error;
    flow_error_set(
        &error, FLOW_DEADLINE_EXCEEDED, "DEADLINE_PASSED", NULL,
        "the time that the client gave has passed; look whether it took effect before trying again");
    flow_rpc_call_abort(&self->base, &error);
    flow_rpc_call_cancel(&self->base);
}

/* ------------------------------------------------------------------------------------- beginning */

static void put_pair(FlowBuf *to, const char *name, const char *value)
{
    flow_buf_append(to, name, strlen(name) + 1);
    flow_buf_append(to, value, strlen(value) + 1);
}

/* Headers are the call's metadata; x-http-… are ours, whatever the client says. */
void flow_http__copy_headers(FlowBuf *to, const FlowHttpRequest *request)
{
    const char *name, *value;
    for (size_t i = 0; flow_http_header_at(request, i, &name, &value); i++)
        if (strncmp(name, "x-http-", 7) != 0)
            put_pair(to, name, value);
    put_pair(to, "x-http-method", flow_http_method(request));
    put_pair(to, "x-http-path", flow_http_path(request));
    put_pair(to, "x-http-query", flow_http_query(request));
}

void flow_http__copy_peer(FlowRpcPeer *to, const FlowHttpRequest *request)
{
    snprintf(to->address, sizeof to->address, "%s", flow_http_peer(request));
    flow_http_identity(request, to->identity, sizeof to->identity);
    to->secure = flow_http_is_secure(request);
}

FlowHttpCall *flow_http__call_new(FlowHttpDoor *door, FlowHttpRequest *request, const FlowRoute *route,
                                  int64_t deadline_ns)
{
    FlowHttpCall *self = flow_calloc(1, sizeof *self);
    self->door = door;
    self->request = request;
    self->route = route;
    self->task.run = on_loop;
    flow_list_init(&self->link);
    flow_timer_init(&self->deadline, door->loop, on_deadline);
    flow_timer_init(&self->heartbeat, door->loop, on_heartbeat);
    pthread_mutex_init(&self->lock, NULL);
    flow_buf_init(&self->headers, 0);
    flow_buf_init(&self->body, 0);
    flow_buf_init(&self->extra, 0);
    flow_http__copy_headers(&self->headers, request);
    flow_http__copy_peer(&self->peer, request);
    flow_rpc_call_new(&self->base, &flow_http__rpc_door, door->rpc);
    flow_rpc_call_init(&self->base, deadline_ns);
    flow_list_push_back(&door->calls, &self->link);
    flow_http__door_count(door, 1);
    flow_http_watch(request, &watch, self);
    flow_http_set_log_id(request, self->base.request_id);
    if (deadline_ns != FLOW_RPC_NO_DEADLINE)
        flow_timer_start_at(&self->deadline, deadline_ns);
    return self;
}
