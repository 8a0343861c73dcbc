/*
 * signals.h - SIGTERM and SIGINT ask flowd to end: the first in order, the second at once, the third without any
 * clean-up. SIGHUP is noted and ignored, SIGPIPE ignored.
 */
#ifndef FLOW_FLOWD_SIGNALS_H
#define FLOW_FLOWD_SIGNALS_H

/* Before any other thread starts: they inherit what is blocked here. */
void flow_signals_block(void);
/* `asked` is called on a thread of its own, with 1 for the first signal, 2 for the second. */
void flow_signals_start(void (*asked)(unsigned count, void *data), void *data);
/* Blocks until the first signal. */
void flow_signals_wait(void);
/* After the first: blocks `ms`, or less when the second comes. */
void flow_signals_pause(long ms);
/* How many have come. */
unsigned flow_signals_count(void);

#endif
