/* datetime.h - the calendar, shared by the two halves of dates. Private to the room. */
#ifndef FLOW_TEMPLATE_DATETIME_H
#define FLOW_TEMPLATE_DATETIME_H

#include "template/natives.h"

enum { FLOW_SECONDS_OF_DAY = 86400 };

typedef struct FlowCivil {
    int64_t year;
    int month, day, hour, minute, second, weekday, yearday; /* weekday: Monday is 0; yearday from 1 */
} FlowCivil;

bool flow_civil__is_leap(int64_t year);
int flow_civil__days_in(int64_t year, int month);
/* Days since 1970-01-01. */
int64_t flow_civil__days(int64_t year, int month, int day);
FlowCivil flow_civil__of(int64_t seconds);

/* Fails outside of the years 1 to 9999. */
bool flow_datetime__make(FlowVm *vm, FlowDateTime t, FlowVal *ret);
bool flow_datetime__from_seconds(FlowVm *vm, double seconds, int32_t offset, bool aware, FlowVal *ret);
int64_t flow_datetime__utc(const FlowDateTime *t);

/* ---- text (datetime_text.c) ---- */

bool flow_datetime__format(FlowVm *vm, const FlowDateTime *t, FlowVal format, FlowVal *ret);
/* False when the text is something else; nothing fails. */
bool flow_datetime__read_iso(FlowVal text, FlowDateTime *ret);
bool flow_datetime__read(FlowVal text, FlowVal format, FlowDateTime *ret);

#endif
