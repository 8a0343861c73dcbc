/* openapi.h - the OpenAPI 3.1 document of the contract, as the HTTP door serves it. */
#ifndef FLOW_HTTP_OPENAPI_H
#define FLOW_HTTP_OPENAPI_H

#include "base/buf.h"
#include "rpc/rpc.h"

/* Appends the document: every method with its rules, and everything that is accepted: both spellings of names, numbers
 * also as strings. */
void flow_openapi_write(const FlowRpcServer *rpc, FlowBuf *to);

#endif
