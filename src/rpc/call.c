#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "rpc/door.h"
#include "rpc/required.h"
#include "rpc/server_internal.h"
#include "wire/unpack.h"

enum {
    REPLY_METADATA_MAX = 4096,
    BUSY_RETRY_MS = 1000,
    /* A handler that keeps the door's thread this long keeps all other calls waiting. */
    BLOCKED_MS = 100,
    EARLY_MS = 50
};

static int64_t now_ns(void)
{
    return flow_clock_mono_ns(flow_clock_real());
}

static FlowRpcCounters *counters_of(const FlowRpcCall *call)
{
    return call->method != NULL ? call->method->counters
                                : &call->server->counters[call->server->method_count];
}

/* ------------------------------------------------------------------------------------------ its life */

void flow_rpc_call_new(FlowRpcCall *call, const FlowRpcDoor *door, FlowRpcServer *server)
{
    *call = (FlowRpcCall){.door = door, .server = server};
    flow_arena_init(&call->arena, server->limits.request_memory);
    flow_arena_init(&call->message_arena, server->limits.request_memory);
    flow_buf_init(&call->reply_metadata, REPLY_METADATA_MAX);
    atomic_init(&call->refs, 1);
}

/* Ours are a random prefix of the process and a running number: unique, and cheap to make for every call. */
static void make_request_id(FlowRpcCall *call)
{
    uint64_t number = atomic_fetch_add_explicit(&call->server->id_next, 1, memory_order_relaxed);
    static const char digits[] = "0123456789abcdef";
    char *to = call->request_id;
    for (int shift = 60; shift >= 0; shift -= 4)
        *to++ = digits[call->server->id_prefix >> shift & 15];
    *to++ = '-';
    int shift = 60;
    while (shift > 0 && number >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *to++ = digits[number >> shift & 15];
    *to = '\0';
}

void flow_rpc_call_init(FlowRpcCall *call, int64_t deadline_ns)
{
    atomic_store_explicit(&call->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&call->cancelled, false, memory_order_relaxed);
    atomic_store_explicit(&call->ended, false, memory_order_relaxed);
    atomic_store_explicit(&call->abort_status, FLOW_OK, memory_order_relaxed);
    call->method = NULL;
    call->counted = call->started = call->watched = call->answered = false;
    call->status = FLOW_OK;
    call->started_ns = now_ns();
    call->deadline_ns = deadline_ns;
    call->reserved = 0;
    call->request = NULL;
    call->callbacks = NULL;
    call->callback_data = NULL;
    size_t len;
    const char *given = flow_rpc_metadata(call, "x-request-id", &len);
    if (given != NULL && flow_id_valid(given, len)) {
        memcpy(call->request_id, given, len);
        call->request_id[len] = '\0';
    } else {
        make_request_id(call);
    }
}

void flow_rpc_call_done(FlowRpcCall *call)
{
    flow_arena_done(&call->arena);
    flow_arena_done(&call->message_arena);
    flow_buf_done(&call->reply_metadata);
}

FlowRpcCall *flow_rpc_ref(FlowRpcCall *call)
{
    atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
    return call;
}

FlowRpcCall *flow_rpc_unref(FlowRpcCall *call)
{
    if (call != NULL && atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) == 1)
        call->door->free(call);
    return NULL;
}

/* --------------------------------------------------------------------------------------- its ending */

void flow_rpc_call_abort(FlowRpcCall *call, const FlowError *error)
{
    if (atomic_load_explicit(&call->abort_status, memory_order_relaxed) != FLOW_OK)
        return;
    FlowRpcDetails details;
    flow_rpc_details_init(&details, error);
    atomic_store_explicit(&call->abort_status, details.status, memory_order_relaxed);
    call->door->abort(call, &details);
    flow_rpc_details_done(&details);
}

/* What the client sees may be another status than the handler's: it may have given up before. */
static FlowStatus final_status(const FlowRpcCall *call, FlowStatus status)
{
    FlowStatus aborted = atomic_load_explicit(&call->abort_status, memory_order_relaxed);
    if (aborted != FLOW_OK)
        return aborted;
    if (!flow_rpc_cancelled(call))
        return status;
    /* A client that gives up at its deadline does so a little before that comes here. */
    return call->deadline_ns != FLOW_RPC_NO_DEADLINE &&
                   now_ns() >= call->deadline_ns - EARLY_MS * FLOW_NS_PER_MS
               ? FLOW_DEADLINE_EXCEEDED
               : FLOW_CANCELLED;
}

static void finish(FlowRpcCall *call, const ProtobufCMessage *message, const FlowRpcDetails *details)
{
    if (atomic_exchange_explicit(&call->ended, true, memory_order_acq_rel)) {
        /* Where it is seen at all: the call may be gone by then. */
        flow_rpc_log(call, FLOW_LOG_ERROR, "a handler ended its call twice");
#ifdef FLOW_DEBUG
        abort();
#endif
        return;
    }
    call->answered = true;
    call->status = final_status(call, details != NULL ? details->status : FLOW_OK);
    call->door->finish(call, message, details);
}

static bool is_our_fault(FlowStatus status)
{
    return status == FLOW_INTERNAL || status == FLOW_UNKNOWN || status == FLOW_DATA_LOSS;
}

void flow_rpc_fail_with(FlowRpcCall *call, const FlowRpcDetails *details)
{
    if (is_our_fault(details->status))
        flow_log(FLOW_LOG_ERROR, details->message, FLOW_F_STR("request_id", call->request_id),
                 FLOW_F_STR("method", call->method != NULL ? call->method->wire->full_name : NULL),
                 FLOW_F_STR("status", flow_status_name(details->status)),
                 FLOW_F_STR("reason", details->reason));
    finish(call, NULL, details);
}

void flow_rpc_fail(FlowRpcCall *call, const FlowError *error)
{
    FlowRpcDetails details;
    flow_rpc_details_init(&details, error);
    flow_rpc_fail_with(call, &details);
    flow_rpc_details_done(&details);
}

void flow_rpc_reply(FlowRpcCall *call, const ProtobufCMessage *message)
{
    finish(call, message, NULL);
}

void flow_rpc_end(FlowRpcCall *call, const FlowError *error)
{
    if (error != NULL) {
        flow_rpc_fail(call, error);
    } else if (!call->method->wire->server_streaming) {
        FlowError missing;
        flow_error_set(&missing, FLOW_INTERNAL, "INTERNAL_ERROR", NULL, "the method ended without an answer");
        flow_rpc_fail(call, &missing);
    } else {
        finish(call, NULL, NULL);
    }
}

void flow_rpc_call_refuse(FlowRpcCall *call, FlowStatus status, const char *reason, const char *format, ...)
{
    FlowError error;
    va_list args;
    va_start(args, format);
    flow_error_vset(&error, status, reason, NULL, format, args);
    va_end(args);
    flow_rpc_fail(call, &error);
}

static void shed(FlowRpcCall *call, const char *what, unsigned long long limit)
{
    FlowError error;
    FlowRpcDetails details;
    atomic_fetch_add_explicit(&counters_of(call)->shed, 1, memory_order_relaxed);
    flow_error_set(&error, FLOW_RESOURCE_EXHAUSTED, "LIMIT_REACHED", NULL,
                   "the server is busy: it has reached its limit of %llu %s; try again later", limit, what);
    flow_rpc_details_init(&details, &error);
    flow_rpc_details_retry(&details, BUSY_RETRY_MS);
    flow_rpc_fail_with(call, &details);
    flow_rpc_details_done(&details);
}

void flow_rpc_call_over(FlowRpcCall *call)
{
    FlowRpcCounters *counters = counters_of(call);
    int64_t took = now_ns() - call->started_ns;
    atomic_fetch_add_explicit(&counters->ended[call->status], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->duration_ns, (uint64_t)took, memory_order_relaxed);
    if (call->counted) {
        bool stream = flow_rpc__is_stream(call->method);
        atomic_fetch_sub_explicit(&counters->in_flight, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(stream ? &call->server->streams : &call->server->calls, 1,
                                  memory_order_relaxed);
    }
    if (flow_log_enabled(FLOW_LOG_DEBUG))
        flow_log(FLOW_LOG_DEBUG, "call", FLOW_F_STR("request_id", call->request_id),
                 FLOW_F_STR("method", call->method != NULL ? call->method->wire->full_name : NULL),
                 FLOW_F_STR("door", call->door->name), FLOW_F_STR("status", flow_status_name(call->status)),
                 FLOW_F_FLOAT("ms", (double)took / 1e6));
    if (call->watched && call->callbacks->on_done != NULL)
        call->callbacks->on_done(call->callback_data);
    call->watched = false;
    if (call->reserved != 0)
        atomic_fetch_sub_explicit(&call->server->memory, call->reserved, memory_order_relaxed);
    call->reserved = 0;
    call->request = NULL;
    flow_arena_reset(&call->arena);
    flow_arena_reset(&call->message_arena);
    flow_buf_clear(&call->reply_metadata);
}

/* ------------------------------------------------------------------------------------ its beginning */

/* Something near in the same service: "did you mean". */
static const char *nearest_method(const FlowRpcServer *server, const char *name, size_t len)
{
    const char *slash = memchr(name, '/', len);
    if (slash == NULL || (size_t)(slash - name) >= FLOW_ID_MAX)
        return NULL;
    char service_name[FLOW_ID_MAX];
    snprintf(service_name, sizeof service_name, "%.*s", (int)(slash - name), name);
    const FlowWireService *service = flow_wire_service(server->pool, service_name);
    const char *names[64];
    size_t count = 0;
    for (; service != NULL && count < service->method_count && count < FLOW_COUNT(names); count++)
        names[count] = service->methods[count].name;
    return count != 0 ? flow_nearest_name(slash + 1, len - (size_t)(slash + 1 - name), names, count) : NULL;
}

bool flow_rpc_call_begin(FlowRpcCall *call, const char *name, size_t len)
{
    const FlowRpcMethod *method = flow_rpc_method_find(call->server, name, len);
    if (method != NULL)
        return flow_rpc_call_begin_method(call, method);
    atomic_fetch_add_explicit(&counters_of(call)->started, 1, memory_order_relaxed);
    const char *near = nearest_method(call->server, name, len);
    int shown = len < 200 ? (int)len : 200;
    flow_rpc_call_refuse(
        call, FLOW_UNIMPLEMENTED, "NOT_IMPLEMENTED", "this server has no method \"%.*s\"%s%s%s", shown, name,
        near != NULL ? ": did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?" : "");
    return false;
}

bool flow_rpc_call_begin_method(FlowRpcCall *call, const FlowRpcMethod *method)
{
    FlowRpcServer *server = call->server;
    FlowRpcCounters *counters = method->counters;
    call->method = method;
    atomic_fetch_add_explicit(&counters->started, 1, memory_order_relaxed);
    if (method->start == NULL) {
        flow_rpc_call_refuse(call, FLOW_UNIMPLEMENTED, "NOT_IMPLEMENTED",
                             "%s is part of the contract, but this version does not do it yet",
                             method->wire->full_name);
        return false;
    }
    bool stream = flow_rpc__is_stream(method);
    unsigned limit = stream ? server->limits.streams : server->limits.calls;
    atomic_fetch_add_explicit(&counters->in_flight, 1, memory_order_relaxed);
    call->counted = true;
    if (atomic_fetch_add_explicit(stream ? &server->streams : &server->calls, 1, memory_order_relaxed) >=
        limit) {
        shed(call, stream ? "streams" : "calls", limit);
        return false;
    }
    return true;
}

/* Unpacks into `arena`. Answers false when the call has been ended. */
static bool unpack(FlowRpcCall *call, const void *bytes, size_t len, FlowArena *arena,
                   const ProtobufCMessage **ret_message)
{
    FlowRpcServer *server = call->server;
    const FlowWireMessage *type = call->method->wire->request;
    FlowError error;
    FlowWireScan scan;
    if (len > server->limits.request_bytes) {
        flow_rpc_call_refuse(call, FLOW_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE",
                             "the message has %zu bytes, the limit is %zu: send less at a time", len,
                             server->limits.request_bytes);
        return false;
    }
    FlowStatus status = flow_wire_scan(type, bytes, len, &server->scan_limits, &scan, &error);
    if (status != FLOW_OK) {
        flow_rpc_fail(call, &error);
        return false;
    }
    atomic_fetch_sub_explicit(&server->memory, call->reserved, memory_order_relaxed);
    call->reserved = scan.memory;
    size_t before = atomic_fetch_add_explicit(&server->memory, scan.memory, memory_order_relaxed);
    if (before + scan.memory > server->limits.total_memory) {
        shed(call, "bytes for requests in flight", server->limits.total_memory);
        return false;
    }
    status = flow_wire_unpack_scanned(type, bytes, len, &scan, arena, ret_message, &error);
    if (status != FLOW_OK)
        flow_rpc_fail(call, &error);
    return status == FLOW_OK;
}

static void run_handler(FlowRpcCall *call)
{
    const FlowRpcMethod *method = call->method;
    call->started = true;
    /* The handler may end the call, but only flow_rpc_call_over() frees it, and never from within. */
    int64_t before = now_ns();
    method->start(call, method->service);
    int64_t took = now_ns() - before;
    if (took > BLOCKED_MS * FLOW_NS_PER_MS)
        flow_log(FLOW_LOG_WARNING, "a handler kept the door's thread waiting",
                 FLOW_F_STR("method", method->wire->full_name), FLOW_F_INT("ms", took / FLOW_NS_PER_MS));
}

void flow_rpc_call_start(FlowRpcCall *call, const void *bytes, size_t len)
{
    const ProtobufCMessage *request;
    if (unpack(call, bytes, len, &call->arena, &request))
        flow_rpc_call_start_unpacked(call, request);
}

void flow_rpc_call_start_unpacked(FlowRpcCall *call, const ProtobufCMessage *request)
{
    FlowRpcDetails details;
    if (!flow_rpc_required_present(call->method->wire->request, request, &details)) {
        flow_rpc_fail_with(call, &details);
        flow_rpc_details_done(&details);
        return;
    }
    call->request = request;
    run_handler(call);
}

void flow_rpc_call_start_stream(FlowRpcCall *call)
{
    run_handler(call);
}

/* ------------------------------------------------------------------------ what the door has to tell */

#define TELL(call, slot, ...)                                                                                \
    do {                                                                                                     \
        if ((call)->watched && (call)->callbacks->slot != NULL)                                              \
            (call)->callbacks->slot(__VA_ARGS__);                                                            \
    } while (0)

void flow_rpc_call_message(FlowRpcCall *call, const void *bytes, size_t len)
{
    if (atomic_load_explicit(&call->ended, memory_order_acquire))
        return;
    flow_arena_reset(&call->message_arena);
    FlowError error;
    const ProtobufCMessage *message;
    FlowStatus status = flow_wire_unpack(call->method->wire->request, bytes, len, &call->server->scan_limits,
                                         &call->message_arena, &message, &error);
    if (status == FLOW_OK)
        TELL(call, on_message, call, message, call->callback_data);
    else
        flow_rpc_call_abort(call, &error);
}

void flow_rpc_call_half_close(FlowRpcCall *call)
{
    if (!atomic_load_explicit(&call->ended, memory_order_acquire))
        TELL(call, on_half_close, call, call->callback_data);
}

void flow_rpc_call_ready(FlowRpcCall *call)
{
    if (!atomic_load_explicit(&call->ended, memory_order_acquire))
        TELL(call, on_ready, call, call->callback_data);
}

void flow_rpc_call_cancel(FlowRpcCall *call)
{
    if (!atomic_exchange_explicit(&call->cancelled, true, memory_order_acq_rel) &&
        !atomic_load_explicit(&call->ended, memory_order_acquire))
        TELL(call, on_cancel, call, call->callback_data);
}

void flow_rpc_call_drain(FlowRpcCall *call)
{
    if (!atomic_load_explicit(&call->ended, memory_order_acquire))
        TELL(call, on_drain, call, call->callback_data);
}

/* ------------------------------------------------------------------------------- what handlers call */

FlowRpcServer *flow_rpc_call_server(const FlowRpcCall *call)
{
    return call->server;
}

const FlowRpcMethod *flow_rpc_method(const FlowRpcCall *call)
{
    return call->method;
}

const void *flow_rpc_request(const FlowRpcCall *call)
{
    return call->request;
}

FlowArena *flow_rpc_arena(FlowRpcCall *call)
{
    return &call->arena;
}

const char *flow_rpc_request_id(const FlowRpcCall *call)
{
    return call->request_id;
}

bool flow_rpc_metadata_at(const FlowRpcCall *call, size_t index, const char **ret_key, size_t *ret_key_len,
                          const char **ret_value, size_t *ret_value_len)
{
    return call->door->metadata_at(call, index, ret_key, ret_key_len, ret_value, ret_value_len);
}

const char *flow_rpc_metadata(const FlowRpcCall *call, const char *key, size_t *ret_len)
{
    const char *name, *value;
    size_t name_len, wanted = strlen(key);
    for (size_t i = 0; flow_rpc_metadata_at(call, i, &name, &name_len, &value, ret_len); i++)
        if (name_len == wanted && memcmp(name, key, wanted) == 0)
            return value;
    return NULL;
}

void flow_rpc_peer(const FlowRpcCall *call, FlowRpcPeer *ret_peer)
{
    *ret_peer = (FlowRpcPeer){.secure = false};
    call->door->peer(call, ret_peer);
}

int64_t flow_rpc_deadline_ns(const FlowRpcCall *call)
{
    return call->deadline_ns;
}

bool flow_rpc_cancelled(const FlowRpcCall *call)
{
    return atomic_load_explicit(&call->cancelled, memory_order_acquire);
}

void flow_rpc_watch(FlowRpcCall *call, const FlowRpcCallbacks *callbacks, void *data)
{
    call->callbacks = callbacks;
    call->callback_data = data;
    call->watched = true;
    if (flow_rpc_cancelled(call))
        TELL(call, on_cancel, call, data);
}

bool flow_rpc_send(FlowRpcCall *call, const ProtobufCMessage *message)
{
    call->answered = true;
    return !flow_rpc_cancelled(call) && call->door->send(call, message);
}

bool flow_rpc_ready(const FlowRpcCall *call)
{
    return !flow_rpc_cancelled(call) && call->door->ready(call);
}

void flow_rpc_receive(FlowRpcCall *call)
{
    call->door->receive(call);
}

/* --------------------------------------------------------------------------------- reply metadata */

static bool key_valid(const char *key, size_t len)
{
    if (len == 0 || len > 128 || (len >= 5 && memcmp(key, "grpc-", 5) == 0) ||
        strcmp(key, "x-request-id") == 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!((key[i] >= 'a' && key[i] <= 'z') || (key[i] >= '0' && key[i] <= '9') ||
              (key[i] != '\0' && strchr("-_.", key[i]) != NULL)))
            return false;
    return true;
}

static bool value_valid(const char *key, size_t key_len, const char *value, size_t len)
{
    if (key_len >= 4 && memcmp(key + key_len - 4, "-bin", 4) == 0)
        return true;
    for (size_t i = 0; i < len; i++)
        if (value[i] < 0x20 || value[i] > 0x7e)
            return false;
    return true;
}

bool flow_rpc_set_metadata(FlowRpcCall *call, const char *key, const char *value, size_t len)
{
    size_t key_len = strlen(key);
    FlowBuf *to = &call->reply_metadata;
    if (call->answered || !key_valid(key, key_len) || len > REPLY_METADATA_MAX ||
        !value_valid(key, key_len, value, len) || to->len + 4 + key_len + len > REPLY_METADATA_MAX)
        return false;
    uint16_t sizes[2] = {(uint16_t)key_len, (uint16_t)len};
    flow_buf_append(to, sizes, sizeof sizes);
    flow_buf_append(to, key, key_len);
    flow_buf_append(to, value, len);
    return !to->failed;
}

bool flow_rpc_call_reply_metadata(const FlowRpcCall *call, size_t *at, const char **ret_key,
                                  size_t *ret_key_len, const char **ret_value, size_t *ret_value_len)
{
    const FlowBuf *from = &call->reply_metadata;
    uint16_t sizes[2];
    if (*at + sizeof sizes > from->len)
        return false;
    memcpy(sizes, from->data + *at, sizeof sizes);
    *ret_key = from->data + *at + sizeof sizes;
    *ret_key_len = sizes[0];
    *ret_value = *ret_key + sizes[0];
    *ret_value_len = sizes[1];
    *at += sizeof sizes + sizes[0] + sizes[1];
    return true;
}
