/* view_internal.h - what view.c, widget.c and job.c share. */
#ifndef FLOW_FORMS_VIEW_INTERNAL_H
#define FLOW_FORMS_VIEW_INTERNAL_H

#include "forms/internal.h"
#include "forms/view.h"

const char *flow_widget__tag(FlowWidget widget);
/* "" where the element has none. */
const char *flow_widget__type(FlowWidget widget);
bool flow_widget__has_options(FlowWidget widget);
bool flow_widget__is_multiple(FlowWidget widget);
/* str(value); yours. */
FlowValue flow_widget__printed(FlowValue value);
/* All attributes but name, id, type, value, multiple, checked; yours. */
FlowValue flow_widget__attributes(const FlowField *field, const FlowCleaning *offer);
FlowValue flow_widget__options(const FlowField *field, const FlowCleaning *offer, FlowValue value);

void flow_view__put(FlowValue *object, const char *key, FlowValue value_take);

/* What a view is made of: the input after a change, and the choices that were loaded. */
typedef struct FlowViewParts {
    FlowFormMode mode;
    FlowValue values, initial; /* borrowed */
    bool plain;
    const FlowLoadedChoices *loaded; /* one for each field */
    const bool *below; /* fields below one that changed: shown without initial value; may be NULL */
} FlowViewParts;

/* Fills in form, cleaned and valid. */
void flow_view__build(const FlowFormSchema *schema, const FlowViewParts *parts, FlowFormView *view);
/* What the field shows and what its children go by; borrowed. */
FlowValue flow_view__raw(const FlowField *field, const FlowViewParts *parts);

#endif
