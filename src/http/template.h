/* template.h - reads a path template of google.api.http; see router.h for the grammar. */
#ifndef FLOW_HTTP_TEMPLATE_H
#define FLOW_HTTP_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

enum { FLOW_TEMPLATE_SEGMENTS = 32, FLOW_TEMPLATE_VARIABLES = 16 };

typedef struct FlowTemplateSegment {
    const char *text; /* of a literal */
    size_t len;
    bool any;  /* "*" */
    bool rest; /* "**" */
} FlowTemplateSegment;

typedef struct FlowTemplateVariable {
    const char *name; /* field path */
    size_t name_len;
    size_t first, count; /* segments */
    bool open_end;       /* its last segment is "**" */
} FlowTemplateVariable;

/* All texts point into the template. */
typedef struct FlowTemplate {
    FlowTemplateSegment segments[FLOW_TEMPLATE_SEGMENTS];
    size_t segment_count;
    FlowTemplateVariable variables[FLOW_TEMPLATE_VARIABLES];
    size_t variable_count;
    const char *verb; /* behind the last ":"; "" without one */
    size_t verb_len;
} FlowTemplate;

/* NULL when all is well, else what is wrong. */
const char *flow_template_path_parse(const char *text, FlowTemplate *ret_template);

#endif
