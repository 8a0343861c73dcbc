/* reply.h - bodies of replies: errors as google.rpc.Status in JSON, and compression. */
#ifndef FLOW_HTTP_REPLY_H
#define FLOW_HTTP_REPLY_H

#include "base/buf.h"
#include "base/status.h"
#include "http/server.h"
#include "rpc/details.h"

/* The HTTP code of a status; a few reasons of this room have one of their own. */
int flow_http_code_of(FlowStatus status, const char *reason);
/* Appends {"code":5,"message":"…","details":[…]}. */
void flow_http_status_json(const FlowRpcDetails *details, FlowBuf *to);
/* The error with another code than its status has. */
void flow_http_fail_with_code(FlowHttpRequest *request, int http_code, const FlowError *error);

/* Gives the reply the client's request id, or one that is made, unless it has one. */
void flow_http_set_request_id(FlowHttpRequest *request);

/* Replaces the content by what gzip makes of it; false (and unchanged) when that isn't smaller. */
bool flow_http_gzip(FlowBuf *body);
enum { FLOW_HTTP_GZIP_FROM = 2048 }; /* bytes from which it pays */

/* Whether a comma-separated header has this word, in any case; parameters don't count. NULL has none. */
bool flow_http_list_has(const char *list, const char *word);

/* What the access log calls the request; borrowed until the reply is complete. */
void flow_http_set_log_id(FlowHttpRequest *request, const char *id);

/* ---- connection.c, for request.c ---- */
void flow_http__put(FlowHttpRequest *request, const void *bytes, size_t len);
void flow_http__flush(FlowHttpRequest *request);
void flow_http__done(FlowHttpRequest *request);

#endif
