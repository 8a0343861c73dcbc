/*
 * cron.h - cron expressions: when they come next, in a time zone.
 *
 * Five fields (minute, hour, day of month, month, day of week) or six with seconds in front; *, lists, ranges, steps,
 * names of months and weekdays, ? for *; @hourly, @daily, @weekly, @monthly, @yearly. Where both days are restricted,
 * either one will do, as in every cron.
 *
 * When the clocks change: a time that is left out comes at the moment of the change, a time that comes twice only the
 * first time. An expression for every hour goes by elapsed time instead: it misses nothing and repeats the hour.
 */
#ifndef FLOW_NODES_CRON_H
#define FLOW_NODES_CRON_H

#include <stddef.h>

#include "nodes/timezone.h"

typedef struct FlowCron {
    uint64_t seconds, minutes; /* bit n: n */
    uint32_t hours, days, months;
    uint8_t weekdays; /* bit 0: Sunday */
    bool any_day, any_weekday;
} FlowCron;

/* INVALID_ARGUMENT with a sentence that names the field; also for a date that never comes. */
FlowStatus flow_cron_parse(const char *text, size_t len, FlowCron *ret_cron, FlowError *reterr);
/* The first time behind `utc_s`, in UTC seconds; INT64_MAX when there is none in ten years. */
int64_t flow_cron_next(const FlowCron *cron, const FlowTimezone *zone, int64_t utc_s);

#endif
