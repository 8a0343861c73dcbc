#include "http/door.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/binding.h"
#include "http/call.h"
#include "http/reply.h"
#include "http/ws.h"
#include "wire/cursor.h"
#include "wire/scalars.h"

enum { LETTING_GO_MS = 2000 };

/* ---------------------------------------------------------------------------------------- opening */

static FlowStatus add_method(FlowHttpDoor *self, const FlowRpcMethod *method, FlowError *reterr)
{
    FlowStatus status = FLOW_OK;
    for (size_t i = 0; i < method->wire->http_count && status == FLOW_OK; i++)
        status = flow_router_add(self->router, method->wire, &method->wire->http[i], (void *)method, reterr);
    FlowWireHttpRule plain = {.verb = "POST", .path = method->wire->path, .body = "*", .response_body = ""};
    return status == FLOW_OK ? flow_router_add(self->router, method->wire, &plain, (void *)method, reterr)
                             : status;
}

FlowStatus flow_http_door_new(FlowRpcServer *rpc, const FlowHttpDoorOptions *options, FlowHttpDoor **ret_door,
                              FlowError *reterr)
{
    FlowHttpDoor *self = flow_new(FlowHttpDoor);
    self->rpc = rpc;
    self->router = flow_router_new();
    flow_list_init(&self->calls);
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    FlowStatus status = flow_http_policy_init(&self->policy, options->origins != NULL ? options->origins : "",
                                              options->hosts != NULL ? options->hosts : "", reterr);
    for (size_t i = 0; i < flow_rpc_method_count(rpc) && status == FLOW_OK; i++)
        status = add_method(self, flow_rpc_method_at(rpc, i), reterr);
    if (status == FLOW_OK)
        status = flow_ws_new(self, &self->ws, reterr);
    if (status == FLOW_OK)
        *ret_door = self;
    else
        flow_http_door_free(self);
    return status;
}

void flow_http_door_open(FlowHttpDoor *door, FlowHttpServer *server)
{
    door->loop = flow_http_server_loop(server);
}

void flow_http__door_count(FlowHttpDoor *door, int change)
{
    pthread_mutex_lock(&door->lock);
    door->count += (size_t)change;
    if (door->count == 0)
        pthread_cond_broadcast(&door->changed);
    pthread_mutex_unlock(&door->lock);
}

FlowHttpDoor *flow_http_door_free(FlowHttpDoor *door)
{
    if (door == NULL)
        return NULL;
    flow_ws_free(door->ws);
    flow_router_free(door->router);
    flow_http_policy_done(&door->policy);
    pthread_cond_destroy(&door->changed);
    pthread_mutex_destroy(&door->lock);
    free(door);
    return NULL;
}

/* ---------------------------------------------------------------------------------------- closing */

static void drain_on_loop(FlowTask *task)
{
    FlowHttpDoor *self = flow_container_of(task, FlowHttpDoor, drain_task);
    self->draining = true;
    FLOW_LIST_FOR_EACH(link, &self->calls)
    {
        FlowHttpCall *call = flow_list_entry(link, FlowHttpCall, link);
        flow_http__call_tell(call, true, false);
    }
}

static void cancel_on_loop(FlowTask *task)
{
    FlowHttpDoor *self = flow_container_of(task, FlowHttpDoor, cancel_task);
    FlowError error;
    flow_error_set(&error, FLOW_UNAVAILABLE, "DRAINING", NULL,
                   "the server is shutting down: try again elsewhere, or later");
    FLOW_LIST_FOR_EACH(link, &self->calls)
    {
        FlowHttpCall *call = flow_list_entry(link, FlowHttpCall, link);
        flow_rpc_call_abort(&call->base, &error);
        flow_rpc_call_cancel(&call->base);
    }
    flow_ws_cancel(self->ws, &error);
}

static void orphan_on_loop(FlowTask *task)
{
    FlowHttpDoor *self = flow_container_of(task, FlowHttpDoor, orphan_task);
    FLOW_LIST_FOR_EACH(link, &self->calls)
    {
        flow_http__call_orphan(flow_list_entry(link, FlowHttpCall, link));
    }
}

void flow_http_door_drain(FlowHttpDoor *door)
{
    door->drain_task.run = drain_on_loop;
    flow_loop_post(door->loop, &door->drain_task);
    flow_ws_drain(door->ws);
}

void flow_http_door_hurry(FlowHttpDoor *door)
{
    pthread_mutex_lock(&door->lock);
    door->hurry = true;
    pthread_cond_broadcast(&door->changed);
    pthread_mutex_unlock(&door->lock);
}

/* Until no call is left. */
static bool wait_quiet(FlowHttpDoor *self, int64_t ns, bool mind_hurry)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t total = until.tv_nsec + ns;
    until.tv_sec += total / FLOW_NS_PER_S;
    until.tv_nsec = total % FLOW_NS_PER_S;
    pthread_mutex_lock(&self->lock);
    int late = 0;
    while (self->count != 0 && !(mind_hurry && self->hurry) && late == 0)
        late = pthread_cond_timedwait(&self->changed, &self->lock, &until);
    bool quiet = self->count == 0;
    pthread_mutex_unlock(&self->lock);
    return quiet;
}

void flow_http_door_stop(FlowHttpDoor *door, int64_t grace_ns)
{
    if (wait_quiet(door, grace_ns, true))
        return;
    door->cancel_task.run = cancel_on_loop;
    flow_loop_post(door->loop, &door->cancel_task);
    if (wait_quiet(door, LETTING_GO_MS * FLOW_NS_PER_MS, false))
        return;
    door->orphan_task.run = orphan_on_loop;
    flow_loop_post(door->loop, &door->orphan_task);
    flow_loop_sync(door->loop);
    flow_ws_orphan(door->ws);
}

/* ------------------------------------------------------------------------- who may come in at all */

static void fail(FlowHttpRequest *request, FlowStatus status, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void fail(FlowHttpRequest *request, FlowStatus status, const char *reason, const char *format, ...)
{
    FlowError error;
    va_list args;
    va_start(args, format);
    flow_error_vset(&error, status, reason, NULL, format, args);
    va_end(args);
    flow_http_fail(request, &error);
}

static void answer_preflight(FlowHttpRequest *request)
{
    const char *headers = flow_http_header(request, "access-control-request-headers");
    flow_http_set_header(request, "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
    if (headers != NULL && strlen(headers) < 1000)
        flow_http_set_header(request, "Access-Control-Allow-Headers", headers);
    flow_http_set_header(request, "Access-Control-Max-Age", "600");
    flow_http_reply(request, 204, NULL, "", 0);
}

bool flow_http_door_admit(FlowHttpDoor *door, FlowHttpRequest *request)
{
    const char *host = flow_http_header(request, "host"), *origin = flow_http_header(request, "origin");
    const char *method = flow_http_method(request);
    if (!flow_http_is_unix(request) &&
        !flow_http_host_allowed(&door->policy, host, flow_http_is_local(request))) {
        fail(request, FLOW_PERMISSION_DENIED, "FOREIGN_HOST",
             "this server is not known as \"%.100s\": ask for localhost, or name it with --http-hosts", host);
        return false;
    }
    FlowOrigin kind = flow_http_origin_kind(&door->policy, origin, host, flow_http_is_secure(request));
    bool preflight =
        strcmp(method, "OPTIONS") == 0 && flow_http_header(request, "access-control-request-method") != NULL;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (kind == FLOW_ORIGIN_LISTED) {
        flow_http_set_header(request, "Access-Control-Allow-Origin", origin);
        flow_http_set_header(request, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
    }
    if (origin != NULL)
        flow_http_set_header(request, "Vary", "Origin");
    if (kind == FLOW_ORIGIN_FOREIGN && (preflight || !reads || flow_http_wants_websocket(request))) {
        fail(request, FLOW_PERMISSION_DENIED, "FOREIGN_ORIGIN",
             "web pages of %.100s may not call this server: name that origin with --http-origins", origin);
        return false;
    }
    if (preflight) {
        answer_preflight(request);
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------------------------------- serving */

/* "100m": at most 8 digits and a unit, as in gRPC. */
static bool parse_grpc_timeout(const char *text, int64_t *ret_ns)
{
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {{'H', 3600 * FLOW_NS_PER_S},
                 {'M', 60 * FLOW_NS_PER_S},
                 {'S', FLOW_NS_PER_S},
                 {'m', FLOW_NS_PER_MS},
                 {'u', 1000},
                 {'n', 1}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 8 || strlen(text) != digits + 1)
        return false;
    for (size_t i = 0; i < FLOW_COUNT(units); i++)
        if (units[i].unit == text[digits]) {
            *ret_ns = strtoll(text, NULL, 10) * units[i].ns;
            return true;
        }
    return false;
}

/* "1.5s", as a Duration has it in JSON. */
static bool parse_duration(const char *text, size_t len, int64_t *ret_ns)
{
    int64_t seconds;
    int32_t nanos;
    if (!flow_duration_parse(text, len, &seconds, &nanos) || seconds < 0 || nanos < 0 ||
        seconds > 100 * 365 * 86400LL)
        return false;
    *ret_ns = seconds * FLOW_NS_PER_S + nanos;
    return true;
}

/* On the monotonic clock: the earlier of header and query. */
static bool deadline_of(const FlowHttpRequest *request, int64_t *ret_ns)
{
    const char *header = flow_http_header(request, "grpc-timeout");
    int64_t least = INT64_MAX, ns;
    if (header != NULL) {
        if (!parse_grpc_timeout(header, &ns))
            return false;
        least = ns;
    }
    for (const char *at = flow_http_query(request); *at != '\0';) {
        size_t len = strcspn(at, "&");
        if (strncmp(at, "timeout=", 8) == 0) {
            if (!parse_duration(at + 8, len - 8, &ns))
                return false;
            least = ns < least ? ns : least;
        }
        at += len + (at[len] == '&');
    }
    *ret_ns = least == INT64_MAX ? FLOW_RPC_NO_DEADLINE : flow_clock_mono_ns(flow_clock_real()) + least;
    return true;
}

static bool type_is(const char *type, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(type, name, len) == 0 && (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

/* False: it has been answered. */
static bool body_kind(FlowHttpRequest *request, const FlowRoute *route, FlowBodyKind *ret_kind)
{
    const char *type = flow_http_header(request, "content-type"),
               *encoding = flow_http_header(request, "content-encoding");
    size_t len;
    (void)flow_http_body(request, &len);
    *ret_kind = flow_binding_takes_raw(route) ? FLOW_BODY_RAW : FLOW_BODY_JSON;
    if (encoding != NULL && *ret_kind != FLOW_BODY_RAW && strcasecmp(encoding, "identity") != 0) {
        fail(request, FLOW_INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE",
             "request bodies can't be compressed: send them as they are");
        return false;
    }
    if (*ret_kind == FLOW_BODY_RAW || type == NULL || type_is(type, "application/json"))
        return true;
    if (type_is(type, "application/x-protobuf") || type_is(type, "application/protobuf")) {
        *ret_kind = FLOW_BODY_PROTOBUF;
        return true;
    }
    /* What `curl -d` says of everything. A page can send it without asking, but not without an Origin. */
    if (len == 0 || type_is(type, "application/x-www-form-urlencoded"))
        return true;
    fail(request, FLOW_INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE",
         "a body of type \"%.60s\" can't be read: send application/json or application/x-protobuf", type);
    return false;
}

static FlowHttpFormat format_of(const FlowHttpRequest *request, const FlowRoute *route)
{
    const char *accept = flow_http_header(request, "accept");
    if (route->method->server_streaming)
        return flow_http_list_has(accept, "text/event-stream") ? FLOW_FORMAT_SSE : FLOW_FORMAT_NDJSON;
    return flow_http_list_has(accept, "application/x-protobuf") ||
                   flow_http_list_has(accept, "application/protobuf")
               ? FLOW_FORMAT_PROTOBUF
               : FLOW_FORMAT_JSON;
}

/* Last-Event-ID goes where the stream's rules say, unless the query has said it. */
static FlowStatus bind_resume(const FlowRoute *route, const char *id, FlowBuf *to, FlowError *reterr)
{
    const FlowWireMethod *method = route->method;
    if (id == NULL || *id == '\0' || *method->resume_field == '\0')
        return FLOW_OK;
    const FlowWireField *field =
        flow_wire_field_named(method->request, method->resume_field, strlen(method->resume_field));
    char *end;
    errno = 0;
    long long number = strtoll(id, &end, 10);
    if (field == NULL || *end != '\0' || errno != 0)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "INVALID_FIELD", method->resume_field,
                              "Last-Event-ID \"%.40s\" is no cursor of this stream", id);
    size_t begin = flow_put_begin(to, field->number);
    flow_put_tag(to, 1, FLOW_WT_VARINT);
    flow_put_varint(to, (uint64_t)number);
    flow_put_end(to, begin);
    return FLOW_OK;
}

static void start_call(FlowHttpDoor *self, FlowHttpRequest *request, const FlowRouteMatch *match,
                       FlowBodyKind kind, int64_t deadline_ns)
{
    const FlowRoute *route = match->route;
    const char *last_id = flow_http_header(request, "last-event-id");
    FlowHttpCall *call = flow_http__call_new(self, request, route, deadline_ns);
    call->format = format_of(request, route);
    call->gzip = flow_http_list_has(flow_http_header(request, "accept-encoding"), "gzip");
    call->resumes = last_id != NULL && *last_id != '\0' && *route->method->resume_field != '\0';
    if (!flow_rpc_call_begin_method(&call->base, route->target))
        return;
    FlowHttpInput input = {.query = flow_http_query(request),
                           .body_kind = kind,
                           .content_type = flow_http_header(request, "content-type"),
                           .query_is_free = kind == FLOW_BODY_RAW};
    input.body = flow_http_body(request, &input.body_len);
    FlowBuf packed;
    FlowError error;
    flow_buf_init(&packed, 0);
    FlowStatus status = flow_binding_request(flow_rpc_server_pool(self->rpc), match, &input, &packed, &error);
    if (status == FLOW_OK)
        status = bind_resume(route, last_id, &packed, &error);
    if (status == FLOW_OK)
        flow_rpc_call_start(&call->base, packed.data != NULL ? packed.data : "", packed.len);
    else
        flow_rpc_fail(&call->base, &error);
    if (self->draining)
        flow_http__call_tell(call, true, false);
    flow_buf_done(&packed);
}

/* Streams are not started to learn what their head would be. */
static void answer_head_of_stream(FlowHttpRequest *request, const FlowRoute *route)
{
    bool sse = format_of(request, route) == FLOW_FORMAT_SSE;
    flow_http_reply(request, 200, sse ? "text/event-stream" : "application/x-ndjson", "", 0);
}

static void refuse_timeout(FlowHttpRequest *request)
{
    fail(request, FLOW_INVALID_ARGUMENT, "INVALID_FIELD",
         "the timeout can't be read: say ?timeout=1.5s, or Grpc-Timeout: 1500m");
}

void flow_http_door_handle(FlowHttpDoor *door, FlowHttpRequest *request)
{
    FlowRouteMatch match;
    FlowBuf allow;
    FlowError error;
    FlowBodyKind kind;
    int64_t deadline_ns;
    const char *method = flow_http_method(request), *path = flow_http_path(request);
    if (strcmp(path, "/v1/ws") == 0 && flow_http_wants_websocket(request)) {
        flow_http_set_request_id(request);
        flow_ws_accept(door->ws, request, NULL, FLOW_RPC_NO_DEADLINE);
        return;
    }
    flow_buf_init(&allow, 256);
    FlowStatus status = flow_router_match(door->router, method, path, strlen(path), &match, &allow, &error);
    if (status == FLOW_UNIMPLEMENTED)
        flow_http_set_header(request, "Allow", flow_buf_text(&allow));
    flow_buf_done(&allow);
    if (status != FLOW_OK) {
        flow_http_set_request_id(request);
        if (status == FLOW_UNIMPLEMENTED && strcmp(method, "OPTIONS") == 0)
            flow_http_reply(request, 204, NULL, "", 0);
        else
            flow_http_fail(request, &error);
        return;
    }
    const FlowWireMethod *wire = match.route->method;
    if (wire->server_streaming && flow_http_wants_websocket(request)) {
        flow_http_set_request_id(request);
        if (deadline_of(request, &deadline_ns))
            flow_ws_accept(door->ws, request, &match, deadline_ns);
        else
            refuse_timeout(request);
    } else if (wire->client_streaming) {
        flow_http_set_request_id(request);
        flow_http_set_header(request, "Upgrade", "websocket");
        fail(request, FLOW_FAILED_PRECONDITION, "UPGRADE_REQUIRED",
             "%s streams both ways: connect with WebSocket", wire->name);
    } else if (wire->server_streaming && strcmp(method, "HEAD") == 0) {
        flow_http_set_request_id(request);
        answer_head_of_stream(request, match.route);
    } else if (!deadline_of(request, &deadline_ns)) {
        flow_http_set_request_id(request);
        refuse_timeout(request);
    } else if (body_kind(request, match.route, &kind)) {
        start_call(door, request, &match, kind, deadline_ns);
    }
}
