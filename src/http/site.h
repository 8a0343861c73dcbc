/* site.h - what the HTTP door serves besides methods: the page at /, /openapi.json, /metrics. */
#ifndef FLOW_HTTP_SITE_H
#define FLOW_HTTP_SITE_H

#include "http/server.h"
#include "rpc/rpc.h"

typedef struct FlowHttpSite FlowHttpSite;

/* More lines for /metrics, in Prometheus' text format: what others count. Any thread; must not block. */
typedef void (*FlowHttpMetrics)(FlowBuf *to, void *data);

FlowHttpSite *flow_http_site_new(const FlowRpcServer *rpc, FlowHttpMetrics metrics, void *data);
FlowHttpSite *flow_http_site_free(FlowHttpSite *site); /* always NULL */

/* Answers a request that is for the site; false: it is not. */
bool flow_http_site_handle(FlowHttpSite *site, FlowHttpRequest *request);

/* A counter or gauge with its help, for FlowHttpMetrics. */
void flow_http_metric(FlowBuf *to, const char *name, const char *kind, const char *help, double value);

#endif
