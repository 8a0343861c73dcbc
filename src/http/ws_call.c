/* ws_call.c - a call on a WebSocket: what its handler does with it, and what its client. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/binding.h"
#include "http/reply.h"
#include "http/ws_internal.h"
#include "value/json.h"
#include "wire/json.h"

static void on_thread(FlowTask *task);

static FlowWsCall *of(const FlowRpcCall *call)
{
    return flow_container_of(call, FlowWsCall, base);
}

static bool is_single(const FlowWsCall *self)
{
    return *self->id == '\0';
}

/* Lock held. */
static void post(FlowWsCall *self)
{
    if (self->posted || self->orphan)
        return;
    self->posted = true;
    flow_rpc_ref(&self->base); /* the task's own hold */
    flow_ws__post(self->ws, &self->task);
}

/* ---------------------------------------------------------------------------------- what is written */

static int close_code_of(FlowStatus status, const char *reason)
{
    if (status == FLOW_OK)
        return LWS_CLOSE_STATUS_NORMAL;
    if (strcmp(reason, "DRAINING") == 0)
        return LWS_CLOSE_STATUS_GOINGAWAY;
    if (strcmp(reason, "SLOW_CONSUMER") == 0 || strcmp(reason, "LIMIT_REACHED") == 0)
        return 1013; /* try again later */
    if (status == FLOW_INTERNAL || status == FLOW_UNKNOWN || status == FLOW_DATA_LOSS)
        return LWS_CLOSE_STATUS_UNEXPECTED_CONDITION;
    return 4000 + flow_http_code_of(status, reason);
}

static void begin_message(const FlowWsCall *self, const char *type, FlowBuf *to)
{
    flow_buf_printf(to, "{\"type\":\"%s\",\"id\":", type);
    flow_json_write_string(to, self->id, strlen(self->id), 0);
}

/* Lock held. */
static void put_end(FlowWsCall *self, const FlowRpcDetails *details)
{
    FlowBuf status, text;
    flow_buf_init(&status, 0);
    flow_buf_init(&text, 0);
    if (details != NULL)
        flow_http_status_json(details, &status);
    size_t len = status.len > 0 ? status.len - 1 : 0; /* without its newline */
    if (!is_single(self)) {
        begin_message(self, "end", &text);
        flow_buf_str(&text, ",\"status\":");
        flow_buf_append(&text, details != NULL ? status.data : "{\"code\":0}", details != NULL ? len : 10);
    } else if (details != NULL) {
        flow_buf_str(&text, "{\"error\":");
        flow_buf_append(&text, status.data, len);
    } else {
        flow_buf_str(&text, "{\"end\":{");
        if (*self->cursor != '\0')
            flow_buf_printf(&text, "\"cursor\":\"%s\"", self->cursor);
        flow_buf_byte(&text, '}');
    }
    flow_buf_byte(&text, '}');
    flow_ws__push(&self->out, flow_buf_text(&text), text.len, false);
    self->closing = true;
    self->close_code =
        close_code_of(details != NULL ? details->status : FLOW_OK, details != NULL ? details->reason : "");
    flow_buf_done(&status);
    flow_buf_done(&text);
}

static FlowStatus encode(FlowWsCall *self, const ProtobufCMessage *message, FlowBuf *to, char cursor[24],
                         FlowError *error)
{
    FlowValue value, whole;
    FlowStatus status = flow_http__response_value(flow_rpc_server_pool(self->base.server), &self->route,
                                                  message, &value, &whole, error);
    if (status != FLOW_OK) {
        error->status = FLOW_INTERNAL;
        return FLOW_INTERNAL;
    }
    flow_http__cursor_of(&self->route, whole, cursor);
    flow_value_unref(whole);
    if (is_single(self)) {
        flow_buf_str(to, "{\"result\":");
    } else {
        begin_message(self, "next", to);
        if (*cursor != '\0')
            flow_buf_printf(to, ",\"cursor\":\"%s\"", cursor);
        flow_buf_str(to, ",\"message\":");
    }
    status = flow_json_write(value, to, 0, error);
    flow_buf_byte(to, '}');
    flow_value_unref(value);
    return status == FLOW_OK && to->failed ? flow_error_no_memory(error, NULL, to->len) : status;
}

/* --------------------------------------------------------------------------------------- the door */

static void door_finish(FlowRpcCall *call, const ProtobufCMessage *message, const FlowRpcDetails *details)
{
    FlowWsCall *self = of(call);
    FlowBuf text;
    FlowError error;
    FlowRpcDetails failure;
    char cursor[24] = "";
    bool failed = false;
    flow_buf_init(&text, 0);
    if (message != NULL && encode(self, message, &text, cursor, &error) != FLOW_OK) {
        flow_rpc_details_init(&failure, &error);
        failed = true;
        details = &failure;
        call->status = failure.status;
    }
    pthread_mutex_lock(&self->lock);
    bool orphan = self->orphan;
    if (!self->closing) {
        if (message != NULL && !failed)
            flow_ws__push(&self->out, flow_buf_text(&text), text.len, false);
        put_end(self, details);
    }
    self->finished = true;
    post(self);
    pthread_mutex_unlock(&self->lock);
    flow_buf_done(&text);
    if (failed)
        flow_rpc_details_done(&failure);
    if (orphan) {
        flow_rpc_call_over(call);
        flow_rpc_unref(call);
    }
}

static void door_abort(FlowRpcCall *call, const FlowRpcDetails *details)
{
    FlowWsCall *self = of(call);
    pthread_mutex_lock(&self->lock);
    if (!self->closing) {
        flow_ws__drop(&self->out);
        put_end(self, details);
        post(self);
    }
    pthread_mutex_unlock(&self->lock);
}

static bool door_send(FlowRpcCall *call, const ProtobufCMessage *message)
{
    FlowWsCall *self = of(call);
    size_t limit = flow_rpc_server_limits(call->server)->stream_queue;
    FlowBuf text;
    FlowError error;
    char cursor[24] = "";
    flow_buf_init(&text, 0);
    FlowStatus status = encode(self, message, &text, cursor, &error);
    bool room = false;
    pthread_mutex_lock(&self->lock);
    if (status == FLOW_OK && !self->closing && !self->orphan) {
        if (self->out.bytes > 2 * limit) {
            status = flow_error_set(&error, FLOW_RESOURCE_EXHAUSTED, "SLOW_CONSUMER", NULL,
                                    "the client reads the stream too slowly");
        } else {
            flow_ws__push(&self->out, flow_buf_text(&text), text.len, true);
            memcpy(self->cursor, cursor, sizeof cursor);
            post(self);
        }
        room = self->out.bytes < limit;
        self->wants_room = !room;
    }
    pthread_mutex_unlock(&self->lock);
    flow_buf_done(&text);
    if (status != FLOW_OK)
        flow_rpc_call_abort(call, &error);
    return room && status == FLOW_OK;
}

static bool door_ready(const FlowRpcCall *call)
{
    FlowWsCall *self = of(call);
    pthread_mutex_lock(&self->lock);
    bool room = !self->closing && !self->orphan &&
                self->out.bytes < flow_rpc_server_limits(call->server)->stream_queue;
    pthread_mutex_unlock(&self->lock);
    return room;
}

static void door_receive(FlowRpcCall *call)
{
    FlowWsCall *self = of(call);
    pthread_mutex_lock(&self->lock);
    self->wants_message = true;
    post(self);
    pthread_mutex_unlock(&self->lock);
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

static void drop_messages(FlowWsCall *self)
{
    while (self->first_message != NULL) {
        FlowWsMessage *message = self->first_message;
        self->first_message = message->next;
        free(message);
    }
    self->last_message = NULL;
    self->message_count = 0;
}

static void door_free(FlowRpcCall *call)
{
    FlowWsCall *self = of(call);
    flow_rpc_call_done(&self->base);
    flow_buf_done(&self->headers);
    flow_ws__drop(&self->out);
    drop_messages(self);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static const FlowRpcDoor door = {
    .name = "websocket",
    .send = door_send,
    .ready = door_ready,
    .finish = door_finish,
    .abort = door_abort,
    .receive = door_receive,
    .metadata_at = door_metadata_at,
    .peer = door_peer,
    .free = door_free,
};

/* ------------------------------------------------------------------------------ on the service thread */

static void leave_socket(FlowWsCall *self)
{
    if (self->socket == NULL)
        return;
    flow_list_remove(&self->link);
    self->socket->call_count--;
    FlowWsSocket *socket = self->socket;
    self->socket = NULL;
    if (socket->many && self->ws->draining && flow_list_empty(&socket->calls))
        flow_ws__close(socket, LWS_CLOSE_STATUS_GOINGAWAY, "the server is shutting down");
}

static void over(FlowWsCall *self)
{
    FlowHttpDoor *http = self->ws->door;
    leave_socket(self);
    lws_sul_cancel(&self->deadline);
    flow_list_remove(&self->all);
    flow_rpc_call_over(&self->base);
    flow_rpc_unref(&self->base);
    flow_http__door_count(http, -1);
}

/* One message at a time, and only when the handler has asked. */
static void hand_over_message(FlowWsCall *self)
{
    pthread_mutex_lock(&self->lock);
    bool told = self->wants_message && !self->closing;
    bool message = told && self->first_message != NULL,
         end = told && !message && self->half_closed && !self->half_close_told;
    if (message || end)
        self->wants_message = false;
    pthread_mutex_unlock(&self->lock);
    if (end) {
        self->half_close_told = true;
        flow_rpc_call_half_close(&self->base);
    }
    if (!message)
        return;
    FlowWsMessage *first = self->first_message;
    self->first_message = first->next;
    if (self->first_message == NULL)
        self->last_message = NULL;
    if (self->message_count-- == FLOW_WS_INCOMING && self->socket != NULL && is_single(self))
        lws_rx_flow_control(self->socket->wsi, 1);
    flow_rpc_call_message(&self->base, first->bytes, first->len);
    free(first);
}

/* Lock held. What is queued may wait for credit that won't come; an end behind it is no longer the whole truth. */
static void give_up(FlowWsCall *self)
{
    FlowRpcDetails details;
    FlowError error;
    flow_ws__drop(&self->out);
    if (!self->closing)
        return;
    flow_error_set(&error, FLOW_CANCELLED, "CALL_CANCELLED", NULL, "the client cancelled the call");
    flow_rpc_details_init(&details, &error);
    put_end(self, &details);
    flow_rpc_details_done(&details);
}

static void on_thread(FlowTask *task)
{
    FlowWsCall *self = flow_container_of(task, FlowWsCall, task);
    pthread_mutex_lock(&self->lock);
    self->posted = false;
    bool drain = self->tell_drain, cancel = self->tell_cancel;
    self->tell_drain = self->tell_cancel = false;
    if (cancel && self->out.first != NULL)
        give_up(self);
    bool writes = self->out.first != NULL;
    pthread_mutex_unlock(&self->lock);
    if (writes && self->socket != NULL)
        lws_callback_on_writable(self->socket->wsi);
    if (cancel)
        flow_rpc_call_cancel(&self->base);
    if (drain)
        flow_rpc_call_drain(&self->base);
    hand_over_message(self);
    pthread_mutex_lock(&self->lock);
    bool last =
        self->finished && !self->orphan && !self->posted && (self->out.first == NULL || self->socket == NULL);
    pthread_mutex_unlock(&self->lock);
    if (last)
        over(self);
    flow_rpc_unref(&self->base);
}

FlowWsFrame *flow_ws__call_take(FlowWsCall *call)
{
    pthread_mutex_lock(&call->lock);
    FlowWsFrame *frame = call->out.first;
    if (frame != NULL && frame->counts && call->credit == 0 && !is_single(call))
        frame = NULL;
    if (frame != NULL) {
        call->out.first = frame->next;
        if (call->out.first == NULL)
            call->out.last = NULL;
        call->out.bytes -= frame->len;
        if (frame->counts && call->credit > 0)
            call->credit--;
    }
    pthread_mutex_unlock(&call->lock);
    return frame;
}

void flow_ws__call_written(FlowWsCall *call)
{
    pthread_mutex_lock(&call->lock);
    bool room = call->wants_room && !call->closing &&
                call->out.bytes <= flow_rpc_server_limits(call->base.server)->stream_queue / 2;
    if (room)
        call->wants_room = false;
    bool ended = call->closing && call->out.first == NULL;
    int code = call->close_code;
    if (ended)
        post(call); /* looks whether the call is over */
    pthread_mutex_unlock(&call->lock);
    if (ended && call->socket != NULL && is_single(call))
        flow_ws__close(call->socket, code, "");
    if (ended && !is_single(call))
        leave_socket(call);
    if (room)
        flow_rpc_call_ready(&call->base);
}

static void on_deadline(lws_sorted_usec_list_t *sul)
{
    FlowWsCall *self = flow_container_of(sul, FlowWsCall, deadline);
    FlowError error;
    flow_error_set(&error, FLOW_DEADLINE_EXCEEDED, "DEADLINE_PASSED", NULL,
                   "the time that the client gave has passed");
    flow_rpc_call_abort(&self->base, &error);
    flow_rpc_call_cancel(&self->base);
}

/* -------------------------------------------------------------------------- what the socket tells it */

FlowWsCall *flow_ws__call_new(FlowWsSocket *socket, const char *id, const FlowRoute *route,
                              int64_t deadline_ns)
{
    FlowWsCall *self = flow_calloc(1, sizeof *self);
    self->ws = socket->ws;
    self->socket = socket;
    self->route = *route;
    snprintf(self->id, sizeof self->id, "%s", id);
    self->task.run = on_thread;
    self->credit = FLOW_WS_CREDIT;
    pthread_mutex_init(&self->lock, NULL);
    flow_list_init(&self->link);
    flow_list_init(&self->all);
    flow_buf_init(&self->headers, 0);
    flow_buf_append(&self->headers, socket->headers.data, socket->headers.len);
    self->peer = socket->peer;
    flow_rpc_call_new(&self->base, &door, self->ws->door->rpc);
    flow_rpc_call_init(&self->base, deadline_ns);
    flow_list_push_back(&socket->calls, &self->link);
    socket->call_count++;
    flow_list_push_back(&self->ws->calls, &self->all);
    flow_http__door_count(self->ws->door, 1);
    if (deadline_ns != FLOW_RPC_NO_DEADLINE) {
        int64_t left = deadline_ns - flow_clock_mono_ns(flow_clock_real());
        lws_sul_schedule(self->ws->context, 0, &self->deadline, on_deadline, left > 1000 ? left / 1000 : 1);
    }
    return self;
}

void flow_ws__call_start(FlowWsCall *call, const void *packed, size_t len)
{
    if (!flow_rpc_call_begin_method(&call->base, call->route.target))
        return;
    if (call->route.method->client_streaming)
        flow_rpc_call_start_stream(&call->base);
    else
        flow_rpc_call_start(&call->base, packed, len);
    if (call->ws->draining)
        flow_ws__call_tell(call, true, false);
}

void flow_ws__call_message(FlowWsCall *call, const char *json, size_t len)
{
    FlowBuf packed;
    FlowError error;
    FlowValue value;
    flow_buf_init(&packed, 0);
    FlowStatus status = flow_json_read(json, len, &flow_binding_json_limits, &value, &error);
    if (status == FLOW_OK) {
        status = flow_message_from_value(flow_rpc_server_pool(call->base.server), call->route.method->request,
                                         value, 0, &packed, &error);
        flow_value_unref(value);
    }
    if (status == FLOW_OK && (call->half_closed || call->message_count > 4 * FLOW_WS_INCOMING))
        status = flow_error_set(&error, FLOW_RESOURCE_EXHAUSTED, "LIMIT_REACHED", NULL,
                                call->half_closed ? "there can't be a message behind the end"
                                                  : "too many messages wait for the server");
    if (status == FLOW_OK) {
        FlowWsMessage *message = flow_malloc(sizeof *message + packed.len);
        message->next = NULL;
        message->len = packed.len;
        if (packed.len != 0)
            memcpy(message->bytes, packed.data, packed.len);
        if (call->last_message != NULL)
            call->last_message->next = message;
        else
            call->first_message = message;
        call->last_message = message;
        if (++call->message_count == FLOW_WS_INCOMING && is_single(call) && call->socket != NULL)
            lws_rx_flow_control(call->socket->wsi, 0);
        flow_ws__call_tell(call, false, false);
    } else {
        flow_rpc_call_abort(&call->base, &error);
        flow_rpc_call_cancel(&call->base);
    }
    flow_buf_done(&packed);
}

void flow_ws__call_half_close(FlowWsCall *call)
{
    call->half_closed = true;
    flow_ws__call_tell(call, false, false);
}

void flow_ws__call_tell(FlowWsCall *call, bool drain, bool cancel)
{
    pthread_mutex_lock(&call->lock);
    call->tell_drain |= drain;
    call->tell_cancel |= cancel;
    post(call);
    pthread_mutex_unlock(&call->lock);
}

void flow_ws__call_lost(FlowWsCall *call)
{
    leave_socket(call);
    pthread_mutex_lock(&call->lock);
    flow_ws__drop(&call->out);
    call->tell_cancel = true;
    post(call);
    pthread_mutex_unlock(&call->lock);
}

void flow_ws__call_orphan(FlowWsCall *call)
{
    leave_socket(call);
    lws_sul_cancel(&call->deadline);
    pthread_mutex_lock(&call->lock);
    /* One that is finished has its last task on the way. */
    bool finished = call->finished;
    call->orphan = !finished;
    pthread_mutex_unlock(&call->lock);
    if (finished)
        return;
    flow_list_remove(&call->all);
    flow_http__door_count(call->ws->door, -1);
}
