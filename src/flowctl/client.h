/*
 * client.h - calls flowd's methods over gRPC, by name; messages are wire bytes, so no generated code is involved.
 * One thread. Calls block until they end.
 */
#ifndef FLOW_FLOWCTL_CLIENT_H
#define FLOW_FLOWCTL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

typedef struct FlowClient FlowClient;

typedef struct FlowClientOptions {
    const char *server;                      /* "127.0.0.1:50051", "unix:/run/flowd.sock" */
    const char *tls_ca, *tls_cert, *tls_key; /* PEM files; all NULL: no TLS */
    double timeout_s;                        /* of a call; 0: none */
} FlowClientOptions;

FlowStatus flow_client_open(const FlowClientOptions *options, FlowClient **ret_client, FlowError *reterr);
FlowClient *flow_client_close(FlowClient *client); /* always NULL */

/* One message of the answer; false ends the call. */
typedef bool (*FlowClientMessage)(void *context, const uint8_t *bytes, size_t len);

/*
 * `method` is "package.Service/Method". The status is the server's; `details` gets the bytes of google.rpc.Status where it
 * sent one. A call that on_message ended counts as OK.
 */
FlowStatus flow_client_call(FlowClient *client, const char *method, const FlowBuf *request,
                            FlowClientMessage on_message, void *context, FlowBuf *details, FlowError *reterr);

#endif
