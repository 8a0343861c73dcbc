/*
 * listen.h - where a door listens: the addresses of --grpc-listen and --http-listen, and who may reach them.
 *
 *   127.0.0.1:50051   [::1]:50051   localhost:0   0.0.0.0:50051   unix:/run/flowd.sock   unix-abstract:flowd
 */
#ifndef FLOW_RPC_LISTEN_H
#define FLOW_RPC_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { FLOW_LISTEN_MAX = 8, FLOW_LISTEN_TEXT = 300 };

typedef enum FlowListenKind { FLOW_LISTEN_TCP, FLOW_LISTEN_UNIX, FLOW_LISTEN_UNIX_ABSTRACT } FlowListenKind;

typedef struct FlowListen {
    FlowListenKind kind;
    char host[256]; /* without brackets; of unix sockets the path or name */
    int port;       /* 0: any free one; TCP only */
    bool local;     /* only this machine can reach it: loopback addresses and unix sockets */
} FlowListen;

/* One address. INVALID_ARGUMENT says what an address looks like. */
FlowStatus flow_listen_parse(const char *text, FlowListen *ret_listen, FlowError *reterr);
/* Several, separated by commas; at most FLOW_LISTEN_MAX. */
FlowStatus flow_listen_parse_list(const char *text, FlowListen *ret_listens, size_t *ret_count,
                                  FlowError *reterr);

/* "127.0.0.1:50051", "[::1]:50051", "unix:/path". */
void flow_listen_text(const FlowListen *listen, char to[FLOW_LISTEN_TEXT]);

/*
 * Holds a unix socket's path for this process: a lock file beside it (PATH.lock), because a second server would
 * otherwise take the path over in silence. ALREADY_EXISTS when another process has it. *ret_fd is -1 for TCP.
 */
FlowStatus flow_listen_lock(const FlowListen *listen, int *ret_fd, FlowError *reterr);

/* Why binding to a TCP address failed, found out by trying: fills the error. */
FlowStatus flow_listen_explain(const FlowListen *listen, FlowError *reterr);

#endif
