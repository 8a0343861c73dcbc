/* output.h - answers as people and programs want them. */
#ifndef FLOW_FLOWCTL_OUTPUT_H
#define FLOW_FLOWCTL_OUTPUT_H

#include "base/buf.h"
#include "base/status.h"
#include "value/value.h"

/* Pretty JSON and a newline on standard output; compact: on one line. */
void flow_print_json(FlowValue value, bool compact);
/* A table of the objects in `list`: columns are paths, "state" or "loops[0].state", ended by NULL. */
void flow_print_table(FlowValue list, const char *const *columns);
/* One line per event of a run. */
void flow_print_event(FlowValue event);
/* The error and its field violations on standard error; `details` are the bytes of a google.rpc.Status. */
void flow_print_error(const FlowError *error, const FlowBuf *details);
/* The program's exit status for it; docs/flowctl.md lists them. */
int flow_exit_status(FlowStatus status);

#endif
