#include "http/site.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "http/openapi.h"
#include "http/page.h"
#include "http/reply.h"

typedef struct Asset {
    const char *path, *type;
    FlowBuf body, zipped;
    char etag[24];
} Asset;

struct FlowHttpSite {
    const FlowRpcServer *rpc;
    FlowHttpMetrics metrics;
    void *data;
    Asset assets[2];
};

static void finish_asset(Asset *asset, const char *path, const char *type)
{
    asset->path = path;
    asset->type = type;
    static const uint64_t key[2] = {0x666c6f77, 0x64};
    FlowHash128 hash = flow_siphash128(asset->body.data, asset->body.len, key);
    snprintf(asset->etag, sizeof asset->etag, "\"%016" PRIx64 "\"", hash.low);
    flow_buf_init(&asset->zipped, 0);
    flow_buf_append(&asset->zipped, asset->body.data, asset->body.len);
    if (!flow_http_gzip(&asset->zipped))
        flow_buf_done(&asset->zipped);
}

FlowHttpSite *flow_http_site_new(const FlowRpcServer *rpc, FlowHttpMetrics metrics, void *data)
{
    FlowHttpSite *self = flow_new(FlowHttpSite);
    self->rpc = rpc;
    self->metrics = metrics;
    self->data = data;
    flow_buf_init(&self->assets[0].body, 0);
    flow_buf_str(&self->assets[0].body, flow_http_page);
    finish_asset(&self->assets[0], "/", "text/html; charset=utf-8");
    flow_buf_init(&self->assets[1].body, 0);
    flow_openapi_write(rpc, &self->assets[1].body);
    finish_asset(&self->assets[1], "/openapi.json", "application/json");
    return self;
}

FlowHttpSite *flow_http_site_free(FlowHttpSite *site)
{
    if (site == NULL)
        return NULL;
    for (size_t i = 0; i < FLOW_COUNT(site->assets); i++) {
        flow_buf_done(&site->assets[i].body);
        flow_buf_done(&site->assets[i].zipped);
    }
    free(site);
    return NULL;
}

static void send_asset(FlowHttpRequest *request, const Asset *asset)
{
    const char *seen = flow_http_header(request, "if-none-match");
    bool zipped =
        asset->zipped.len != 0 && flow_http_list_has(flow_http_header(request, "accept-encoding"), "gzip");
    flow_http_set_header(request, "ETag", asset->etag);
    flow_http_set_header(request, "Cache-Control", "no-cache");
    flow_http_set_header(request, "Vary", "Accept-Encoding");
    flow_http_set_header(
        request, "Content-Security-Policy",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'");
    if (seen != NULL && flow_http_list_has(seen, asset->etag)) {
        flow_http_reply(request, 304, NULL, "", 0);
        return;
    }
    if (zipped)
        flow_http_set_header(request, "Content-Encoding", "gzip");
    const FlowBuf *body = zipped ? &asset->zipped : &asset->body;
    flow_http_reply(request, 200, asset->type, body->data, body->len);
}

/* ---- metrics ---- */

static void head(FlowBuf *to, const char *name, const char *kind, const char *help)
{
    flow_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

void flow_http_metric(FlowBuf *to, const char *name, const char *kind, const char *help, double value)
{
    head(to, name, kind, help);
    flow_buf_printf(to, "%s %.17g\n", name, value);
}

static void each_method(const FlowHttpSite *self, FlowBuf *to, const char *name,
                        void (*write)(FlowBuf *to, const char *name, const char *method,
                                      const FlowRpcCounts *counts))
{
    for (size_t i = 0; i < flow_rpc_method_count(self->rpc); i++) {
        const FlowRpcMethod *method = flow_rpc_method_at(self->rpc, i);
        FlowRpcCounts counts;
        flow_rpc_method_counts(method, &counts);
        if (counts.started != 0)
            write(to, name, method->wire->full_name, &counts);
    }
}

static void write_ended(FlowBuf *to, const char *name, const char *method, const FlowRpcCounts *counts)
{
    for (int i = 0; i < FLOW_STATUS_COUNT; i++)
        if (counts->ended[i] != 0)
            flow_buf_printf(to, "%s{method=\"%s\",status=\"%s\"} %" PRIu64 "\n", name, method,
                            flow_status_name((FlowStatus)i), counts->ended[i]);
}

static void write_seconds(FlowBuf *to, const char *name, const char *method, const FlowRpcCounts *counts)
{
    flow_buf_printf(to, "%s{method=\"%s\"} %.9f\n", name, method, (double)counts->duration_ns / 1e9);
}

static void write_in_flight(FlowBuf *to, const char *name, const char *method, const FlowRpcCounts *counts)
{
    flow_buf_printf(to, "%s{method=\"%s\"} %u\n", name, method,
                    counts->calls_in_flight + counts->streams_in_flight);
}

static void write_shed(FlowBuf *to, const char *name, const char *method, const FlowRpcCounts *counts)
{
    if (counts->shed != 0)
        flow_buf_printf(to, "%s{method=\"%s\"} %" PRIu64 "\n", name, method, counts->shed);
}

static void send_metrics(FlowHttpSite *self, FlowHttpRequest *request)
{
    FlowBuf body;
    flow_buf_init(&body, 0);
    head(&body, "flowd_calls_total", "counter", "Calls that have ended, over all doors.");
    each_method(self, &body, "flowd_calls_total", write_ended);
    head(&body, "flowd_calls_seconds_total", "counter", "Time that these took.");
    each_method(self, &body, "flowd_calls_seconds_total", write_seconds);
    head(&body, "flowd_calls_in_flight", "gauge", "Calls and streams under way.");
    each_method(self, &body, "flowd_calls_in_flight", write_in_flight);
    head(&body, "flowd_calls_shed_total", "counter", "Calls that were refused because a limit was reached.");
    each_method(self, &body, "flowd_calls_shed_total", write_shed);
    if (self->metrics != NULL)
        self->metrics(&body, self->data);
    flow_http_reply(request, 200, "text/plain; version=0.0.4; charset=utf-8", body.data, body.len);
    flow_buf_done(&body);
}

bool flow_http_site_handle(FlowHttpSite *site, FlowHttpRequest *request)
{
    const char *path = flow_http_path(request), *method = flow_http_method(request);
    const Asset *asset = NULL;
    for (size_t i = 0; i < FLOW_COUNT(site->assets); i++)
        if (strcmp(site->assets[i].path, path) == 0)
            asset = &site->assets[i];
    bool metrics = strcmp(path, "/metrics") == 0;
    if (asset == NULL && !metrics)
        return false;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        FlowError error;
        flow_http_set_header(request, "Allow", "GET, HEAD");
        flow_error_set(&error, FLOW_UNIMPLEMENTED, "METHOD_NOT_ALLOWED", NULL, "%s can only be read", path);
        flow_http_fail(request, &error);
    } else if (metrics) {
        send_metrics(site, request);
    } else {
        send_asset(request, asset);
    }
    return true;
}
