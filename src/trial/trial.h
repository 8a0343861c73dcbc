/*
 * trial.h - workflow tests as files: `flowd test FILE…` (docs/development.md describes them).
 *
 * Each test has a store in memory, an engine and a clock of its own, so tests don't see each other. The clock is moved
 * when nothing goes on any more: delays and timers cost no time.
 */
#ifndef FLOW_TRIAL_TRIAL_H
#define FLOW_TRIAL_TRIAL_H

/*
 * What stands behind `flowd test`: [--junit FILE] [--filter TEXT] FILE…. Reports to standard output. Answers the exit
 * status: 0: all tests passed; 1: some failed; 2: the arguments or a file are wrong.
 */
int flow_trial_main(int argc, char *const *argv);

#endif
