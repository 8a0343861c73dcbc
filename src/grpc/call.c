/*
 * call.c - one call on gRPC's core: from the armed request to the last batch. See internal.h for its life.
 *
 * The core never answers a call of which nobody tells it: so calls are taken generically, whatever their method,
 * and the method table decides.
 */
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

#include "base/mem.h"
#include "grpc/internal.h"

enum { IDLE_MAX = 256 };

static const FlowRpcDoor door;
static _Thread_local FlowGrpcQueue *this_queue;

static void on_new(FlowGrpcTag *tag, bool ok);
static void on_close(FlowGrpcTag *tag, bool ok);
static void on_receive(FlowGrpcTag *tag, bool ok);
static void on_send(FlowGrpcTag *tag, bool ok);
static void on_wake(FlowGrpcTag *tag, bool ok);

static FlowGrpcCall *of(const FlowRpcCall *call)
{
    return flow_container_of(call, FlowGrpcCall, base);
}

/* ---------------------------------------------------------------------------------------- memory */

static FlowGrpcCall *call_new(FlowGrpcQueue *queue)
{
    FlowGrpcCall *self = flow_new(FlowGrpcCall);
    flow_rpc_call_new(&self->base, &door, queue->server->rpc);
    self->queue = queue;
    flow_list_init(&self->link);
    self->on_new = (FlowGrpcTag){on_new, self};
    self->on_close = (FlowGrpcTag){on_close, self};
    self->on_receive = (FlowGrpcTag){on_receive, self};
    self->on_send = (FlowGrpcTag){on_send, self};
    self->on_wake = (FlowGrpcTag){on_wake, self};
    pthread_mutex_init(&self->lock, NULL);
    grpc_metadata_array_init(&self->metadata);
    return self;
}

static void call_free(FlowGrpcCall *self)
{
    grpc_metadata_array_destroy(&self->metadata);
    flow_rpc_call_done(&self->base);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

/* The last hold is gone. Only the queue's own thread may keep the struct for another call. */
static void door_free(FlowRpcCall *call)
{
    FlowGrpcCall *self = of(call);
    FlowGrpcQueue *queue = self->queue;
    if (this_queue == NULL || this_queue != queue || queue->idle_count >= IDLE_MAX) {
        call_free(self);
        return;
    }
    flow_list_push_front(&queue->idle, &self->link);
    queue->idle_count++;
}

void flow_grpc__queue_done(FlowGrpcQueue *queue)
{
    for (FlowList *link; (link = flow_list_pop_front(&queue->idle)) != NULL;)
        call_free(flow_list_entry(link, FlowGrpcCall, link));
}

void flow_grpc__arm(FlowGrpcQueue *queue)
{
    FlowList *link = flow_list_pop_front(&queue->idle);
    FlowGrpcCall *self;
    if (link != NULL) {
        self = flow_list_entry(link, FlowGrpcCall, link);
        queue->idle_count--;
    } else {
        self = call_new(queue);
    }
    self->call = NULL;
    self->first = self->last = NULL;
    self->queued = 0;
    self->batches = 0;
    self->sending = self->receiving = self->waking = self->head_sent = self->status_sent = false;
    self->ending = self->finished = self->closed = self->dead = self->wants_room = self->tell_drain = false;
    self->incoming = NULL;
    self->head = NULL;
    self->head_count = self->trailer_count = 0;
    self->message = grpc_empty_slice();
    self->metadata.count = 0;
    grpc_call_details_init(&self->details);
    FLOW_GRPC_HAND_OVER(&self->on_new);
    grpc_call_error error = grpc_server_request_call(queue->server->core, &self->call, &self->details,
                                                     &self->metadata, queue->cq, queue->cq, &self->on_new);
    if (error != GRPC_CALL_OK) {
        grpc_call_details_destroy(&self->details);
        call_free(self);
    }
}

/* --------------------------------------------------------------------------------------- batches */

/* Lock held. Every batch comes back as an event, and only that counts it down. */
static void start(FlowGrpcCall *self, const grpc_op *ops, size_t count, FlowGrpcTag *tag)
{
    self->batches++;
    FLOW_GRPC_HAND_OVER(tag);
    if (grpc_call_start_batch(self->call, ops, count, tag, NULL) != GRPC_CALL_OK) {
        flow_log(FLOW_LOG_ERROR, "gRPC refused a batch", FLOW_F_STR("request_id", self->base.request_id));
        abort();
    }
}

static void drop_queued(FlowGrpcCall *self)
{
    while (self->first != NULL) {
        FlowGrpcMessage *message = self->first;
        self->first = message->next;
        grpc_byte_buffer_destroy(message->buffer);
        free(message);
    }
    self->last = NULL;
    self->queued = 0;
}

static grpc_slice slice_of(const char *bytes, size_t len)
{
    return grpc_slice_from_copied_buffer(bytes, len);
}

/* The request id, and what the handler has set. */
static void make_head(FlowGrpcCall *self)
{
    const char *key, *value;
    size_t at = 0, key_len, value_len, count = 1;
    while (flow_rpc_call_reply_metadata(&self->base, &at, &key, &key_len, &value, &value_len))
        count++;
    self->head = count == 1 ? self->head_one : flow_calloc(count, sizeof *self->head);
    memset(self->head, 0, count * sizeof *self->head);
    self->head[0].key = grpc_slice_from_static_string("x-request-id");
    self->head[0].value = slice_of(self->base.request_id, strlen(self->base.request_id));
    self->head_count = 1;
    at = 0;
    while (flow_rpc_call_reply_metadata(&self->base, &at, &key, &key_len, &value, &value_len)) {
        grpc_metadata *pair = &self->head[self->head_count++];
        pair->key = slice_of(key, key_len);
        pair->value = slice_of(value, value_len);
    }
}

static size_t add_head(FlowGrpcCall *self, grpc_op *ops, size_t count)
{
    if (self->head_sent)
        return count;
    self->head_sent = true;
    make_head(self);
    ops[count].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[count].data.send_initial_metadata.count = self->head_count;
    ops[count].data.send_initial_metadata.metadata = self->head;
    return count + 1;
}

/* Lock held. Sends the next message, the status, or both; one such batch at a time. */
static void pump(FlowGrpcCall *self)
{
    FlowGrpcMessage *message = self->first;
    if (self->sending || self->status_sent || self->dead || (message == NULL && !self->ending))
        return;
    grpc_op ops[3];
    memset(ops, 0, sizeof ops);
    size_t count = add_head(self, ops, 0);
    if (message != NULL) {
        self->first = message->next;
        if (self->first == NULL)
            self->last = NULL;
        self->queued -= message->size;
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        /* More follows at once: the transport may wait for it and write both together. */
        ops[count].flags = self->first != NULL ? GRPC_WRITE_BUFFER_HINT : 0;
        ops[count++].data.send_message.send_message = message->buffer;
    }
    if (self->ending && self->first == NULL) {
        self->status_sent = true;
        ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
        ops[count].data.send_status_from_server.status = self->code;
        ops[count].data.send_status_from_server.status_details =
            self->code != GRPC_STATUS_OK ? &self->message : NULL;
        ops[count].data.send_status_from_server.trailing_metadata_count = self->trailer_count;
        ops[count++].data.send_status_from_server.trailing_metadata = self->trailer;
    }
    self->sending = true;
    start(self, ops, count, &self->on_send);
    if (message != NULL) {
        grpc_byte_buffer_destroy(message->buffer);
        free(message);
    }
}

void flow_grpc__wake(FlowGrpcCall *self)
{
    if (self->waking || self->call == NULL)
        return;
    self->waking = true;
    start(self, NULL, 0, &self->on_wake);
}

/* Lock held. */
static void receive(FlowGrpcCall *self)
{
    if (self->receiving || self->closed || self->call == NULL)
        return;
    self->receiving = true;
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &self->incoming;
    start(self, &op, 1, &self->on_receive);
}

/* ------------------------------------------------------------------------------------ its ending */

/* Gives back what belongs to the core. */
static void let_go(FlowGrpcCall *self)
{
    drop_queued(self);
    for (size_t i = 0; i < self->head_count; i++) {
        grpc_slice_unref(self->head[i].key);
        grpc_slice_unref(self->head[i].value);
    }
    if (self->head != self->head_one)
        free(self->head);
    self->head = NULL;
    self->head_count = 0;
    for (size_t i = 0; i < self->trailer_count; i++)
        grpc_slice_unref(self->trailer[i].value);
    self->trailer_count = 0;
    grpc_slice_unref(self->message);
    self->message = grpc_empty_slice();
    if (self->incoming != NULL)
        grpc_byte_buffer_destroy(self->incoming);
    self->incoming = NULL;
    grpc_call_details_destroy(&self->details);
    self->metadata.count = 0;
    grpc_call_unref(self->call);
    self->call = NULL;
}

/* The last thing in every event: looks whether the call is over. Not under the lock. */
static void leave(FlowGrpcCall *self)
{
    FlowGrpcQueue *queue = self->queue;
    pthread_mutex_lock(&self->lock);
    self->in_event = false;
    bool quiet = self->closed && self->batches == 0;
    bool over = quiet && self->finished;
    bool orphan = quiet && !over && atomic_load_explicit(&queue->server->letting_go, memory_order_acquire);
    if (!over && !orphan) {
        pthread_mutex_unlock(&self->lock);
        return;
    }
    let_go(self);
    if (orphan)
        self->queue = NULL; /* the door goes without waiting for the handler: see door_finish() */
    pthread_mutex_unlock(&self->lock);
    pthread_mutex_lock(&queue->lock);
    flow_list_remove(&self->link);
    pthread_mutex_unlock(&queue->lock);
    if (over) {
        flow_rpc_call_over(&self->base);
        flow_rpc_unref(&self->base);
    }
    if (atomic_fetch_sub(&queue->server->live, 1) == 1 && atomic_load(&queue->server->stopping))
        flow_grpc__quiet(queue->server);
}

static void set_status(FlowGrpcCall *self, const FlowRpcDetails *details)
{
    self->ending = true;
    self->code = details != NULL ? (grpc_status_code)details->status : GRPC_STATUS_OK;
    if (details == NULL)
        return;
    FlowBuf encoded;
    flow_buf_init(&encoded, 0);
    flow_rpc_details_encode(details, &encoded);
    self->message = slice_of(details->message, strlen(details->message));
    memset(self->trailer, 0, sizeof self->trailer);
    self->trailer[0].key = grpc_slice_from_static_string("grpc-status-details-bin");
    self->trailer[0].value = slice_of(encoded.data, encoded.len);
    self->trailer_count = 1;
    flow_buf_done(&encoded);
}

/* NULL when the message is larger than the limit. */
static FlowGrpcMessage *encode(FlowGrpcCall *self, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > flow_rpc_server_limits(self->base.server)->reply_bytes)
        return NULL;
    grpc_slice slice = grpc_slice_malloc(size);
    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    FlowGrpcMessage *made = flow_new(FlowGrpcMessage);
    made->buffer = grpc_raw_byte_buffer_create(&slice, 1);
    made->size = size;
    grpc_slice_unref(slice);
    return made;
}

static void enqueue(FlowGrpcCall *self, FlowGrpcMessage *message)
{
    if (self->last != NULL)
        self->last->next = message;
    else
        self->first = message;
    self->last = message;
    self->queued += message->size;
}

static void drop(FlowGrpcMessage *message)
{
    if (message == NULL)
        return;
    grpc_byte_buffer_destroy(message->buffer);
    free(message);
}

static void too_large(FlowGrpcCall *self, FlowRpcDetails *details)
{
    FlowError error;
    flow_error_set(&error, FLOW_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", NULL,
                   "the answer is larger than the limit of %zu bytes: ask for less at a time",
                   flow_rpc_server_limits(self->base.server)->reply_bytes);
    flow_rpc_details_init(details, &error);
}

static void door_finish(FlowRpcCall *call, const ProtobufCMessage *message, const FlowRpcDetails *details)
{
    FlowGrpcCall *self = of(call);
    FlowRpcDetails large;
    FlowGrpcMessage *last = message != NULL ? encode(self, message) : NULL;
    bool refused = message != NULL && last == NULL;
    if (refused) {
        too_large(self, &large);
        details = &large;
        call->status = details->status;
    }
    pthread_mutex_lock(&self->lock);
    bool orphan = self->queue == NULL;
    if (!self->ending && !orphan) {
        if (last != NULL)
            enqueue(self, flow_steal(last));
        set_status(self, details);
        pump(self);
    }
    self->finished = true;
    /* Somebody has to see that it is over: an event that is still to come, or else this one. */
    if (!orphan && self->closed && self->batches == 0 && !(this_queue == self->queue && self->in_event))
        flow_grpc__wake(self);
    pthread_mutex_unlock(&self->lock);
    drop(last);
    if (refused)
        flow_rpc_details_done(&large);
    if (orphan) {
        flow_rpc_call_over(call);
        flow_rpc_unref(call);
    }
}

static void door_abort(FlowRpcCall *call, const FlowRpcDetails *details)
{
    FlowGrpcCall *self = of(call);
    pthread_mutex_lock(&self->lock);
    if (!self->ending && self->queue != NULL) {
        drop_queued(self);
        set_status(self, details);
        pump(self);
    }
    pthread_mutex_unlock(&self->lock);
}

/* --------------------------------------------------------------------------------------- streams */

static bool door_send(FlowRpcCall *call, const ProtobufCMessage *message)
{
    FlowGrpcCall *self = of(call);
    size_t limit = flow_rpc_server_limits(call->server)->stream_queue;
    FlowGrpcMessage *made = encode(self, message);
    FlowError error;
    error.status = FLOW_OK;
    pthread_mutex_lock(&self->lock);
    bool room = false;
    if (made == NULL) {
        flow_error_set(&error, FLOW_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", NULL,
                       "a message of the stream is larger than the limit");
    } else if (!self->dead && !self->ending) {
        /* One message more than the limit is for who looked before it sent; twice the limit is for nobody. */
        if (self->queued > 2 * limit)
            flow_error_set(&error, FLOW_RESOURCE_EXHAUSTED, "SLOW_CONSUMER", NULL,
                           "the client reads the stream too slowly");
        else
            enqueue(self, flow_steal(made));
        pump(self);
        room = self->queued < limit;
        self->wants_room = !room;
    }
    pthread_mutex_unlock(&self->lock);
    drop(made);
    if (error.status != FLOW_OK)
        flow_rpc_call_abort(call, &error);
    return room && error.status == FLOW_OK;
}

static bool door_ready(const FlowRpcCall *call)
{
    FlowGrpcCall *self = of(call);
    pthread_mutex_lock(&self->lock);
    bool room =
        !self->dead && !self->ending && self->queued < flow_rpc_server_limits(call->server)->stream_queue;
    pthread_mutex_unlock(&self->lock);
    return room;
}

static void door_receive(FlowRpcCall *call)
{
    FlowGrpcCall *self = of(call);
    pthread_mutex_lock(&self->lock);
    receive(self);
    pthread_mutex_unlock(&self->lock);
}

/* -------------------------------------------------------------------------------- what a call brings */

static bool door_metadata_at(const FlowRpcCall *call, size_t index, const char **ret_key, size_t *ret_key_len,
                             const char **ret_value, size_t *ret_value_len)
{
    const FlowGrpcCall *self = of(call);
    if (index >= self->metadata.count)
        return false;
    const grpc_metadata *pair = &self->metadata.metadata[index];
    *ret_key = (const char *)GRPC_SLICE_START_PTR(pair->key);
    *ret_key_len = GRPC_SLICE_LENGTH(pair->key);
    *ret_value = (const char *)GRPC_SLICE_START_PTR(pair->value);
    *ret_value_len = GRPC_SLICE_LENGTH(pair->value);
    return true;
}

static void copy_property(grpc_auth_context *context, const char *name, char *to, size_t size)
{
    grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(context, name);
    const grpc_auth_property *property = grpc_auth_property_iterator_next(&it);
    if (property != NULL && property->value_length < size) {
        memcpy(to, property->value, property->value_length);
        to[property->value_length] = '\0';
    }
}

static void door_peer(const FlowRpcCall *call, FlowRpcPeer *ret_peer)
{
    FlowGrpcCall *self = of(call);
    pthread_mutex_lock(&self->lock);
    if (self->call != NULL) {
        char *peer = grpc_call_get_peer(self->call);
        strncpy(ret_peer->address, peer, sizeof ret_peer->address - 1);
        gpr_free(peer);
        grpc_auth_context *context = grpc_call_auth_context(self->call);
        if (context != NULL) {
            char transport[32] = "";
            copy_property(context, GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME, transport, sizeof transport);
            ret_peer->secure = strcmp(transport, GRPC_SSL_TRANSPORT_SECURITY_TYPE) == 0;
            if (grpc_auth_context_peer_is_authenticated(context) != 0)
                copy_property(context, GRPC_X509_CN_PROPERTY_NAME, ret_peer->identity,
                              sizeof ret_peer->identity);
            grpc_auth_context_release(context);
        }
    }
    pthread_mutex_unlock(&self->lock);
}

static const FlowRpcDoor door = {
    .name = "grpc",
    .send = door_send,
    .ready = door_ready,
    .finish = door_finish,
    .abort = door_abort,
    .receive = door_receive,
    .metadata_at = door_metadata_at,
    .peer = door_peer,
    .free = door_free,
};

/* ---------------------------------------------------------------------------------------- events */

static int64_t deadline_of(gpr_timespec deadline)
{
    if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0)
        return FLOW_RPC_NO_DEADLINE;
    gpr_timespec mono = gpr_convert_clock_type(deadline, GPR_CLOCK_MONOTONIC);
    return mono.tv_sec * FLOW_NS_PER_S + mono.tv_nsec;
}

static void on_new(FlowGrpcTag *tag, bool ok)
{
    FlowGrpcCall *self = tag->call;
    FlowGrpcQueue *queue = self->queue;
    if (!ok) {
        /* The server is stopping: no call has come, and none will. */
        grpc_call_details_destroy(&self->details);
        call_free(self);
        return;
    }
    if (!atomic_load_explicit(&queue->server->stopping, memory_order_relaxed))
        flow_grpc__arm(queue);
    atomic_fetch_add(&queue->server->live, 1);
    pthread_mutex_lock(&queue->lock);
    flow_list_push_back(&queue->live, &self->link);
    pthread_mutex_unlock(&queue->lock);

    self->in_event = true;
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &self->cancelled;
    pthread_mutex_lock(&self->lock);
    start(self, &op, 1, &self->on_close);
    pthread_mutex_unlock(&self->lock);

    flow_rpc_call_init(&self->base, deadline_of(self->details.deadline));
    const char *path = (const char *)GRPC_SLICE_START_PTR(self->details.method);
    size_t len = GRPC_SLICE_LENGTH(self->details.method);
    if (len > 0 && *path == '/') {
        path++;
        len--;
    }
    if (flow_rpc_call_begin(&self->base, path, len)) {
        if (self->base.method->wire->client_streaming)
            flow_rpc_call_start_stream(&self->base);
        else
            door_receive(&self->base);
    }
    leave(self);
}

static void deliver_bytes(FlowGrpcCall *self, const void *bytes, size_t len)
{
    if (self->base.method->wire->client_streaming)
        flow_rpc_call_message(&self->base, bytes, len);
    else
        flow_rpc_call_start(&self->base, bytes, len);
}

static void deliver_compressed(FlowGrpcCall *self, const grpc_byte_buffer *buffer)
{
    FlowBuf whole;
    FlowError error;
    flow_buf_init(&whole, 0);
    size_t limit = flow_rpc_server_limits(self->base.server)->request_bytes;
    if (flow_grpc__inflate(buffer, limit, &whole, &error) == FLOW_OK)
        deliver_bytes(self, whole.data, whole.len);
    else if (self->base.started)
        flow_rpc_call_abort(&self->base, &error);
    else
        flow_rpc_fail(&self->base, &error);
    flow_buf_done(&whole);
}

/* Hands the bytes on; without a copy when they lie in one piece. */
static void deliver(FlowGrpcCall *self, grpc_byte_buffer *buffer)
{
    const grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    if (buffer->data.raw.compression != GRPC_COMPRESS_NONE) {
        deliver_compressed(self, buffer);
    } else if (slices->count <= 1) {
        deliver_bytes(self, slices->count != 0 ? GRPC_SLICE_START_PTR(slices->slices[0]) : NULL,
                      slices->length);
    } else {
        grpc_byte_buffer_reader reader;
        grpc_byte_buffer_reader_init(&reader, buffer);
        grpc_slice whole = grpc_byte_buffer_reader_readall(&reader);
        deliver_bytes(self, GRPC_SLICE_START_PTR(whole), GRPC_SLICE_LENGTH(whole));
        grpc_slice_unref(whole);
        grpc_byte_buffer_reader_destroy(&reader);
    }
}

static void on_receive(FlowGrpcTag *tag, bool ok)
{
    FlowGrpcCall *self = tag->call;
    self->in_event = true;
    pthread_mutex_lock(&self->lock);
    self->receiving = false;
    self->batches--;
    grpc_byte_buffer *buffer = ok ? flow_steal(self->incoming) : NULL;
    pthread_mutex_unlock(&self->lock);

    bool streaming = self->base.method->wire->client_streaming;
    if (buffer != NULL)
        deliver(self, buffer);
    else if (ok && streaming)
        flow_rpc_call_half_close(&self->base);
    else if (!streaming && !self->base.started && !self->finished)
        flow_rpc_call_refuse(&self->base, ok ? FLOW_INVALID_ARGUMENT : FLOW_CANCELLED,
                             ok ? "MALFORMED_MESSAGE" : "CALL_CANCELLED",
                             ok ? "the call ended without a request message" : "the request did not arrive");
    if (buffer != NULL)
        grpc_byte_buffer_destroy(buffer);
    leave(self);
}

static void on_send(FlowGrpcTag *tag, bool ok)
{
    FlowGrpcCall *self = tag->call;
    self->in_event = true;
    pthread_mutex_lock(&self->lock);
    self->sending = false;
    self->batches--;
    if (!ok && !self->dead) {
        self->dead = true;
        drop_queued(self);
    }
    pump(self);
    bool tell = self->wants_room && !self->dead && !self->ending &&
                self->queued <= flow_rpc_server_limits(self->base.server)->stream_queue / 2;
    if (tell)
        self->wants_room = false;
    pthread_mutex_unlock(&self->lock);
    if (tell)
        flow_rpc_call_ready(&self->base);
    leave(self);
}

static void on_close(FlowGrpcTag *tag, bool ok)
{
    FlowGrpcCall *self = tag->call;
    (void)ok;
    self->in_event = true;
    pthread_mutex_lock(&self->lock);
    self->batches--;
    self->closed = true;
    bool gone = self->cancelled != 0 || !self->finished;
    if (gone) {
        self->dead = true;
        drop_queued(self);
    }
    pthread_mutex_unlock(&self->lock);
    if (gone)
        flow_rpc_call_cancel(&self->base);
    leave(self);
}

static void on_wake(FlowGrpcTag *tag, bool ok)
{
    FlowGrpcCall *self = tag->call;
    (void)ok;
    self->in_event = true;
    pthread_mutex_lock(&self->lock);
    self->batches--;
    self->waking = false;
    bool drain = self->tell_drain;
    self->tell_drain = false;
    pthread_mutex_unlock(&self->lock);
    if (drain)
        flow_rpc_call_drain(&self->base);
    leave(self);
}

void *flow_grpc__queue_thread(void *argument)
{
    FlowGrpcQueue *queue = argument;
    this_queue = queue;
    for (;;) {
        grpc_event event = grpc_completion_queue_next(queue->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        FlowGrpcTag *tag = event.tag;
        FLOW_GRPC_TAKE_OVER(tag);
        tag->run(tag, event.success != 0);
    }
}
