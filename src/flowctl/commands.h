/* commands.h - what flowctl can do: a table, and two commands that take several calls. */
#ifndef FLOW_FLOWCTL_COMMANDS_H
#define FLOW_FLOWCTL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "flowctl/client.h"
#include "value/value.h"

enum { FLOW_COMMAND_ARGS = 2 };

typedef struct FlowCommand {
    const char *name;
    const char *arguments; /* as help shows them */
    const char *method;    /* without the package; NULL: `run` does it */
    /* Where each argument goes in the request's JSON; "=field" when the argument is JSON, a file or "-". */
    const char *fields[FLOW_COMMAND_ARGS];
    int least_arguments;
    const char *list; /* the answer's list, shown as a table of these columns; NULL: JSON */
    const char *columns[9];
    int (*run)(FlowClient *client, const struct FlowCommand *command, int argc, char **argv);
    const char *summary;
} FlowCommand;

extern const FlowCommand flow_commands[];
extern const size_t flow_command_count;

/* Set from the command line before a command runs. */
extern struct FlowCommandFlags {
    bool json;        /* lists as JSON */
    bool force;       /* stop --force */
    bool watch;       /* run --watch */
    const char *only; /* --only: kinds of events, separated by commas; NULL: all */
} flow_command_flags;

/* Runs it; the program's exit status. */
int flow_command_run(FlowClient *client, const FlowCommand *command, int argc, char **argv);

#endif
