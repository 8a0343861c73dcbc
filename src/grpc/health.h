/*
 * health.h - grpc.health.v1: whether the server and each of its services serves. Load balancers, Kubernetes and
 * grpc_health_probe ask. All services share one state: they are ready, or leave, together.
 */
#ifndef FLOW_GRPC_HEALTH_H
#define FLOW_GRPC_HEALTH_H

#include <stdbool.h>

#include "rpc/rpc.h"

typedef struct FlowGrpcHealth FlowGrpcHealth;

/* Binds the handlers. Not serving until it is told so. Free it after the doors are closed. */
FlowStatus flow_grpc_health_new(FlowRpcServer *rpc, FlowGrpcHealth **ret_health, FlowError *reterr);
FlowGrpcHealth *flow_grpc_health_free(FlowGrpcHealth *health); /* always NULL */

/* Any thread. Tells everyone who watches. */
void flow_grpc_health_set(FlowGrpcHealth *health, bool serving);

#endif
