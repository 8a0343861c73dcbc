/* service_internal.h - what the files of this room share. */
#ifndef FLOW_SERVICE_SERVICE_INTERNAL_H
#define FLOW_SERVICE_SERVICE_INTERNAL_H

#include <stdatomic.h>

#include "dev/dev.h"
#include "loop/loop.h"
#include "loop/pool.h"
#include "rpc/details.h"
#include "service/service.h"

enum { FLOW_LISTENERS_MAX = 8, FLOW_PAGE_DEFAULT = 50 };

struct FlowServices {
    FlowEngine *engine;
    FlowStore *store;
    FlowRegistry *registry;
    const FlowClock *clock;
    const FlowRpcServer *server;
    FlowLoop *loop;        /* where store operations are answered */
    FlowPool *definitions; /* builds graphs of definitions: some of them are large */
    FlowDev *dev;
    FlowValue env;
    const char *server_name;
    int64_t start_wall_ns, start_mono_ns;
    char listeners[FLOW_LISTENERS_MAX][160];
    size_t listener_count;
    atomic_bool resumed, stopping;
};

/* Each service's handlers, ended by an entry without a method. */
extern const FlowRpcBinding flow_workflow_handlers[], flow_production_handlers[], flow_queue_handlers[],
    flow_dead_letter_handlers[], flow_node_type_handlers[], flow_development_handlers[],
    flow_system_handlers[];

/* session.c: DevelopmentService's methods on sessions. */
void flow_session__execute(FlowRpcCall *call, void *services);
void flow_session__get_input(FlowRpcCall *call, void *services);
void flow_session__get_output(FlowRpcCall *call, void *services);
void flow_session__set_output(FlowRpcCall *call, void *services);
void flow_session__clear_output(FlowRpcCall *call, void *services);
void flow_session__list(FlowRpcCall *call, void *services);
void flow_session__clear(FlowRpcCall *call, void *services);
void flow_session__load(FlowRpcCall *call, void *services);

/* ---- answers ---- */

/* Fails the call: the answer doesn't fit into its arena. */
void flow_service_no_room(FlowRpcCall *call);
/* Fails the call with details that name what was not found, or what state is in the way. */
void flow_service_fail_resource(FlowRpcCall *call, const FlowError *error, const char *type,
                                const char *name);
/* Fails the call with a field violation for each error among `problems` (may be NULL). */
void flow_service_fail_problems(FlowRpcCall *call, const FlowError *error, const FlowProblems *problems);

/* Checks page_size (0: 50; beyond 1000: 1000; negative: refused, the call is failed and 0 answered). */
size_t flow_service_page_size(FlowRpcCall *call, int32_t page_size);

#endif
