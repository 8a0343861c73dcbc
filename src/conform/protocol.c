/* protocol.c - helpers that every kind of answer uses. */
#include "conform/conform.h"

#include <stdlib.h>

void flow_conform_put(FlowValue *object, const char *key, FlowValue value_take)
{
    if (flow_object_set_take(object, key, value_take, NULL) != FLOW_OK)
        abort();
}

FlowValue flow_conform_failure(const char *kind, const char *detail)
{
    FlowValue answer = flow_value_object();
    flow_conform_put(&answer, "error", flow_value_string(kind));
    flow_conform_put(&answer, "detail", flow_value_string(detail));
    return answer;
}
