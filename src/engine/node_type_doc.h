/* node_type_doc.h - what a node type says about itself, for people: its reference page and its example. */
#ifndef FLOW_ENGINE_NODE_TYPE_DOC_H
#define FLOW_ENGINE_NODE_TYPE_DOC_H

#include "base/buf.h"
#include "engine/registry.h"

/* The title: the type's label, or one made of its name ("Static delay node"). */
void flow_node_type_label(const FlowNodeType *type, FlowBuf *to);
/* Its group in a palette: "producers", "flow" (conditional and for-each), "blocking", "non-blocking". */
const char *flow_node_type_category(const FlowNodeType *type);
/* The reference as Markdown, without a heading: kind, text, fields, result, branches. `schema` may be NULL. */
void flow_node_type_markdown(const FlowNodeType *type, const FlowFormSchema *schema, FlowBuf *to);

/* The example as a workflow's JSON, parsed: an object, or null when there is none. Yours. */
FlowValue flow_node_type_example(const FlowNodeType *type);
/* The form values of the node of this type in its example: an object, empty when there is none. Yours. */
FlowValue flow_node_type_example_form(const FlowNodeType *type);

#endif
