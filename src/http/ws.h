/*
 * ws.h - door 3: streams over WebSocket. The HTTP door checks a handshake, then hands the socket over to a thread that
 * runs libwebsockets; from then on all of the socket happens there.
 *
 * On a method's own URL the socket is one call: each frame out is {"result": …}, the last one {"end": {…}} or
 * {"error": Status}; where the client streams too, each frame in is one request message and an empty one says that there
 * are no more. On /v1/ws many calls share a socket, see docs/websocket.md.
 */
#ifndef FLOW_HTTP_WS_H
#define FLOW_HTTP_WS_H

#include "http/call.h"

typedef struct FlowWs FlowWs;

/* RESOURCE_EXHAUSTED when there is no thread or context to be had. */
FlowStatus flow_ws_new(FlowHttpDoor *door, FlowWs **ret_ws, FlowError *reterr);
/* Ends the thread; sockets that are open are closed. When no call is left. Always NULL. */
FlowWs *flow_ws_free(FlowWs *ws);

/* Answers the request, or takes its socket over. `match` is the method's route; NULL: the socket for many calls. */
void flow_ws_accept(FlowWs *ws, FlowHttpRequest *request, const FlowRouteMatch *match, int64_t deadline_ns);

/* Any thread: the same for sockets as for calls over plain HTTP. */
void flow_ws_drain(FlowWs *ws);
void flow_ws_cancel(FlowWs *ws, const FlowError *error);
/* Waits until it is done. */
void flow_ws_orphan(FlowWs *ws);

#endif
