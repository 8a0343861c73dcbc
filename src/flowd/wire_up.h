/*
 * wire_up.h - everything that a running flowd consists of, created in order and undone in reverse. The only place
 * where rooms meet that don't know of each other.
 */
#ifndef FLOW_FLOWD_WIRE_UP_H
#define FLOW_FLOWD_WIRE_UP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "flowd/core.h"
#include "flowd/settings.h"
#include "grpc/health.h"
#include "grpc/server.h"
#include "http/door.h"
#include "http/server.h"
#include "http/site.h"
#include "rpc/rpc.h"

typedef struct Flowd {
    const FlowSettings *settings;
    char name[256];
    int data_lock; /* fd of DATA_DIR/flowd.lock */
    FlowCore core;
    FlowRpcServer *rpc;
    FlowGrpcHealth *health;
    pthread_mutex_t grpc_lock; /* for changes of `grpc` and `http_door` */
    FlowGrpcServer *grpc;      /* NULL while it is not open */
    FlowHttpServer *http;
    FlowHttpSite *http_site;
    FlowHttpDoor *http_door; /* NULL while it is not open */
    _Atomic bool draining;
    size_t stages; /* how many are up */
} Flowd;

/* Undoes what it has done when it fails; *ret_exit then is the exit code that fits. */
FlowStatus flowd_up(Flowd *self, const FlowSettings *settings, int *ret_exit, FlowError *reterr);
/* What could fail in flowd_up() because of the settings, without touching anything. */
FlowStatus flowd_check(const FlowSettings *settings, FlowError *reterr);
/* Prints the ready line. */
void flowd_announce(const Flowd *self);
/* Not ready any more; then, after --drain-wait, streams are told. Still serves. */
void flowd_drain(Flowd *self);
void flowd_down(Flowd *self);
/* Any thread: a flowd_down() under way cuts calls off. */
void flowd_hurry(Flowd *self);

#endif
