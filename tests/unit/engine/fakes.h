/*
 * fakes.h - node types whose behaviour a test writes down, for tests of the run side of the engine.
 *
 * The type is told by the first letter of a node's id, what it does by its form's one field `script`, an object:
 *
 *   p  producer: {"items": […]} one payload {"item": x} each, then completed; its position is durable. An item may be
 *      {"fail": "message"} (the call fails; once), {"wait": true} (waits at the gate of its id, then the next item).
 *      {"spin": true}: no end; items count up from 0. {"broken": true}: always fails.
 *   r  queue-reader    w  queue-writer    f  for-each: {"array": "key of data"} (default "array")
 *   c  conditional with branches a, b, c: {"by": "key of data"} holds the branch, or {"branch": "b"}
 *   n  non-blocking: passes on; {"gate": true}: at its gate first
 *   g  blocking: passes on when its gate lets it; {"deaf": true}: a cancel doesn't end it
 *   b  blocking: fails; {"if": x}: only when data.item is x; {"message": "…"}
 *   d  filtered; {"if": x}: only when data.item is x       e  ends its branch
 *   s  counts its calls, durably: adds "count"              o  like g, but one at a time
 *   t  THREAD: blocks its thread until its gate lets it or it is aborted
 *   z  can't be set up
 *   others: blocking: {"set": {…}} adds to data, {"remove": […]} removes, {"meta": {…}} adds to metadata, {"push": n}
 *
 * Each start is written to the trace: " id", in order.
 */
#ifndef TESTS_FAKES_H
#define TESTS_FAKES_H

#include "engine/engine.h"

FlowRegistry *fakes_registry(void);

/*
 * "p>a a>b c.yes>d x": edges and single nodes; `scripts` is an object {node id: script} or NULL, `configs` the same for
 * data.config. A node with "queue" in its script gets that queue_name. The workflow has this id (NULL: none).
 */
FlowValue fakes_definition(const char *id, const char *notation, const char *scripts, const char *configs);

/* Forgets trace and gates. */
void fakes_reset(void);
/* What has happened so far: " p a b"; yours to free(). */
char *fakes_trace(void);
/* The trace without those whose ids don't begin with one of `letters`. */
char *fakes_trace_of(const char *letters);
/* Waits until `count` calls stand at this gate. Aborts after a while. */
void fakes_gate_wait(const char *node_id, unsigned count);
/* Lets `count` calls through, now or when they come. */
void fakes_gate_open(const char *node_id, unsigned count);
unsigned fakes_cleanups(void); /* nodes that were cleaned up since reset … */
char *fakes_lives(void);       /* … and " +a +b -b -a": setups and cleanups in order; yours to free() */

/* The value of a JSON text with ' for "; a comma before } is fine. Aborts when it is none. */
FlowValue json(const char *text);

#endif
