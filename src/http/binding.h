/*
 * binding.h - the request message of a call over HTTP: from body, path and query (google.api.http).
 *
 * The body is the whole message (body: "*"), a field of it, or not allowed; variables of the path are set in it; what is
 * left may stand in the query, where body isn't "*". Query keys are field paths, each part in either of its spellings;
 * values are texts. A repeated scalar takes a key many times, a singular one once. Everything that isn't understood is
 * refused with its name in `where`.
 */
#ifndef FLOW_HTTP_BINDING_H
#define FLOW_HTTP_BINDING_H

#include "base/buf.h"
#include "base/status.h"
#include "http/router.h"
#include "value/json.h"
#include "wire/descriptors.h"

enum { FLOW_QUERY_PARAMETERS = 1000 };

typedef enum FlowBodyKind {
    FLOW_BODY_JSON,
    FLOW_BODY_PROTOBUF,
    FLOW_BODY_RAW /* for a google.api.HttpBody */
} FlowBodyKind;

typedef struct FlowHttpInput {
    const char *query; /* behind the "?", not decoded; "" without one */
    const char *body;
    size_t body_len;
    FlowBodyKind body_kind;
    const char *content_type; /* of a raw body; may be NULL */
    bool query_is_free;       /* the query isn't bound: a webhook takes any */
} FlowHttpInput;

/* Bounds of JSON bodies; NUL is refused because C structs end texts with it. */
extern const FlowJsonLimits flow_binding_json_limits;

/* Whether the body goes into a google.api.HttpBody, so that it may be of any type. */
bool flow_binding_takes_raw(const FlowRoute *route);

/*
 * Appends the packed request. `match` is of flow_router_match(). Errors: INVALID_ARGUMENT with the reasons INVALID_JSON,
 * INVALID_FIELD, UNKNOWN_FIELD, DUPLICATE_FIELD and those of flow_message_from_value().
 */
FlowStatus flow_binding_request(const FlowWirePool *pool, const FlowRouteMatch *match,
                                const FlowHttpInput *input, FlowBuf *to, FlowError *reterr);

/* Text of a query or path, as the JSON value that a singular field of this kind takes. */
FlowStatus flow_binding_scalar(const FlowWireField *field, const char *text, size_t len, FlowValue *ret_value,
                               FlowError *reterr);

#endif
