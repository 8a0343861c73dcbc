/* conform.h - what flow-conform can be asked: one function per kind of request. Private to the room. */
#ifndef FLOW_CONFORM_CONFORM_H
#define FLOW_CONFORM_CONFORM_H

#include "value/value.h"

/* Each borrows the request and gives back an answer of its own. */
FlowValue flow_conform_template(FlowValue request);
FlowValue flow_conform_field(FlowValue request);
FlowValue flow_conform_form(FlowValue request);
FlowValue flow_conform_two_phase(FlowValue request);

/* {"error": kind, "detail": detail} */
FlowValue flow_conform_failure(const char *kind, const char *detail);
void flow_conform_put(FlowValue *object, const char *key, FlowValue value_take);

#endif
