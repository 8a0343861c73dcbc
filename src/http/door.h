/*
 * door.h - doors 2 and 3: the methods of an FlowRpcServer over HTTP/1.1, as JSON or protobuf, by their google.api.http
 * rules; and each also as POST /package.Service/Method.
 *
 * Unary answers are one body; errors always a google.rpc.Status in JSON. Streams are NDJSON, or server-sent events
 * where the client accepts text/event-stream. Everything runs on the HTTP server's loop; handlers may answer from any
 * thread.
 *
 * In this order: new, then the server is opened with a handler that calls flow_http_door_handle(), flow_http_door_open(),
 * … flow_http_door_drain(), flow_http_door_stop(), the server is closed, free.
 */
#ifndef FLOW_HTTP_DOOR_H
#define FLOW_HTTP_DOOR_H

#include <stdint.h>

#include "base/status.h"
#include "http/server.h"
#include "rpc/rpc.h"

typedef struct FlowHttpDoor FlowHttpDoor;

typedef struct FlowHttpDoorOptions {
    const char
        *origins; /* web pages that may call: "https://console.example, http://localhost:3000"; "" for none */
    const char
        *hosts; /* names under which clients may reach local listeners, besides localhost; "" for none */
} FlowHttpDoorOptions;

/* INVALID_ARGUMENT for an HTTP rule of the contract that makes no sense, or an origin or host that is none. */
FlowStatus flow_http_door_new(FlowRpcServer *rpc, const FlowHttpDoorOptions *options, FlowHttpDoor **ret_door,
                              FlowError *reterr);
/* Before the first request: on whose loop all of it happens. */
void flow_http_door_open(FlowHttpDoor *door, FlowHttpServer *server);

/*
 * Whether the request may be served at all: by its Host and Origin. Sets the headers for web pages, answers preflight
 * requests. False: it has been answered.
 */
bool flow_http_door_admit(FlowHttpDoor *door, FlowHttpRequest *request);
/* Serves a request that was admitted. */
void flow_http_door_handle(FlowHttpDoor *door, FlowHttpRequest *request);

/* Any thread: tells streams that the end is near. */
void flow_http_door_drain(FlowHttpDoor *door);
/* Waits for calls at most so long, then cancels them; those that don't end even then are left to their handlers. The
 * loop must still run. Any thread but the loop's. */
void flow_http_door_stop(FlowHttpDoor *door, int64_t grace_ns);
/* Any thread: a stop that waits cancels all calls now. */
void flow_http_door_hurry(FlowHttpDoor *door);
/* When the server is closed. Always NULL. */
FlowHttpDoor *flow_http_door_free(FlowHttpDoor *door);

#endif
