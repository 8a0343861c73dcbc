/*
 * router.h - from an HTTP verb and a path to a method: templates of google.api.http.
 *
 *   Template = "/" Segments [":" LITERAL]     Segments = Segment {"/" Segment}
 *   Segment  = "*" | "**" | LITERAL | Variable
 *   Variable = "{" FieldPath ["=" Segments] "}"     {x} is {x=*}
 *
 * `**` stands for any number of segments, and last. A literal goes before `*`, that before `**`; what a template has
 * behind its last ":" (its custom verb) goes before everything. Routes are added first, then matched by any thread.
 */
#ifndef FLOW_HTTP_ROUTER_H
#define FLOW_HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "wire/descriptors.h"

enum {
    FLOW_ROUTE_SEGMENTS = 64,  /* in a path; longer ones match nothing */
    FLOW_ROUTE_VARIABLES = 16, /* in a template */
    FLOW_ROUTE_FIELDS = 8      /* parts of a variable's field path */
};

typedef struct FlowRouter FlowRouter;

/* A field of a request, perhaps inside others: "workflow.id". */
typedef struct FlowFieldPath {
    const FlowWireField *fields[FLOW_ROUTE_FIELDS];
    size_t count;
} FlowFieldPath;

typedef struct FlowRouteVariable {
    FlowFieldPath path;
    const char *name; /* as in the template */
    size_t first;     /* segment where it begins */
    size_t count;     /* of segments; SIZE_MAX: all the rest */
    bool whole;       /* several segments: %2F stays as it is */
} FlowRouteVariable;

typedef struct FlowRoute {
    const char *verb; /* "GET" */
    const char *template_text;
    const FlowWireMethod *method;
    void *target;                       /* of whoever added it */
    bool body_is_request;               /* body: "*" */
    const FlowWireField *body;          /* NULL: no body, or "*" */
    const FlowWireField *response_body; /* NULL: the whole response */
    FlowRouteVariable variables[FLOW_ROUTE_VARIABLES];
    size_t variable_count;
} FlowRoute;

FlowRouter *flow_router_new(void);
FlowRouter *flow_router_free(FlowRouter *router); /* always NULL */

/*
 * Adds a rule of `method`. INVALID_ARGUMENT says what is wrong with it: a template that the grammar doesn't know,
 * variables that are no singular scalar fields of the request or stand twice, a body or response_body that is no field
 * of the message, a verb and pattern that another route has already.
 */
FlowStatus flow_router_add(FlowRouter *router, const FlowWireMethod *method, const FlowWireHttpRule *rule,
                           void *target, FlowError *reterr);

/* A path's segments, as they came: pointers into it. */
typedef struct FlowRouteMatch {
    const FlowRoute *route;
    const char *segments[FLOW_ROUTE_SEGMENTS];
    size_t lengths[FLOW_ROUTE_SEGMENTS];
    size_t count;
} FlowRouteMatch;

/*
 * `path` begins with "/", has no query and is not decoded; HEAD finds routes of GET. NOT_FOUND (ROUTE_NOT_FOUND) when
 * nothing has this path; UNIMPLEMENTED (METHOD_NOT_ALLOWED) when it has other verbs: *ret_allow (initialised, may be
 * NULL) gets them, as in an Allow header.
 */
FlowStatus flow_router_match(const FlowRouter *router, const char *verb, const char *path, size_t len,
                             FlowRouteMatch *ret_match, FlowBuf *ret_allow, FlowError *reterr);

/* Appends the decoded text of a variable. INVALID_ARGUMENT for a bad escape, or text that is not UTF-8. */
FlowStatus flow_route_variable_text(const FlowRouteMatch *match, const FlowRouteVariable *variable,
                                    FlowBuf *to, FlowError *reterr);

/* "page_size", "pageSize", "workflow.settings.undefined": each part under either of its names. NULL where there is no
 * such field; *ret_path holds what was found until then. */
bool flow_field_path_find(const FlowWireMessage *type, const char *text, size_t len, FlowFieldPath *ret_path);

/* Appends what %XX escapes mean; with `keep_slash` %2F stays. With `plus` a "+" is a space. False for a bad escape. */
bool flow_percent_decode(FlowBuf *to, const char *text, size_t len, bool keep_slash, bool plus);

#endif
