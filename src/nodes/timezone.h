/*
 * timezone.h - time zones of the IANA database, read from the system's files (RFC 8536). Nothing here looks at TZ or
 * calls the C library's time functions, which share one zone per process. A zone never changes once open; any thread.
 */
#ifndef FLOW_NODES_TIMEZONE_H
#define FLOW_NODES_TIMEZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct FlowTimezone FlowTimezone;

/* A time without change of the clocks: UTC seconds [start, end), local time = UTC + offset. */
typedef struct FlowTimeSpan {
    int64_t start, end;    /* INT64_MIN, INT64_MAX where there is no change */
    int32_t offset;        /* seconds */
    int32_t offset_before; /* of the span before; the same where there is none */
} FlowTimeSpan;

/* "Europe/Berlin", "UTC". NOT_FOUND for a name that the system doesn't know; reads a file. */
FlowStatus flow_timezone_open(const char *name, FlowTimezone **ret_zone, FlowError *reterr);
FlowTimezone *flow_timezone_free(FlowTimezone *zone); /* always NULL */

/* The span that this time is in. */
FlowTimeSpan flow_timezone_span(const FlowTimezone *zone, int64_t utc_s);

/* Days since 1970-01-01 of a date in the Gregorian calendar, and back. */
int64_t flow_date_to_days(int64_t year, int month, int day);
void flow_date_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);

#endif
