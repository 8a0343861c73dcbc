/*
 * graph_notation.h - graphs for tests in one line: "p>c c.yes>a c.no>b a>j b>j".
 *
 * Words are edges `a>b`, edges from a handle `c.yes>a`, or single nodes `x`. A node's type is told by the first letter
 * of its id: p producer, r queue-reader, w queue-writer, c conditional (yes, no), n non-blocking, f for-each, e an end, t a
 * THREAD node, u an unknown type, all others blocking. `w=name` gives a node the queue_name. Edges are called e0, e1, …
 */
#ifndef TESTS_GRAPH_NOTATION_H
#define TESTS_GRAPH_NOTATION_H

#include "engine/analyzer.h"
#include "engine/builder.h"

/* A registry with the types above; test-writer and so on. */
FlowRegistry *test_registry(void);
FlowValue test_definition(const char *notation);
/* Builds with the workflow id "wf"; problems are initialised here. */
FlowGraph *test_build(FlowRegistry *registry, const char *notation, FlowProblems *problems);

#endif
