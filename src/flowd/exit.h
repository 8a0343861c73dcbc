/* exit.h - the exit codes of flowd, in one list: docs/operations.md shows it, a test compares. */
#ifndef FLOW_FLOWD_EXIT_H
#define FLOW_FLOWD_EXIT_H

/*      name       code  what happened */
#define FLOW_EXIT_MAP(X)                                                                                     \
    X(OK, 0, "It was asked to end, and everything was put away in order.")                                   \
    X(FAILED, 1, "It could not start, or something failed that has no code of its own; the log says what.")  \
    X(SETTINGS, 2, "A flag, an environment variable or the configuration file is wrong.")                    \
    X(ADDRESS, 3, "It can't listen: another process has the address, or this machine doesn't have it.")      \
    X(DATA_IN_USE, 4, "Another process uses the data directory or the store.")                               \
    X(STORE, 5, "The store can't be opened or used.")                                                        \
    X(HURRIED, 6, "A second signal came while it was ending: calls were cut off. Nothing accepted is lost.")

enum {
#define X(name, code, what) FLOW_EXIT_##name = code,
    FLOW_EXIT_MAP(X)
#undef X
};

#endif
