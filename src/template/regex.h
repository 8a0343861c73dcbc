/*
 * regex.h - regular expressions by PCRE2, bounded in steps, memory and depth. Private to the room. The names
 * that filters give are regex_match, regex_search, regex_replace, regex_findall.
 */
#ifndef FLOW_TEMPLATE_REGEX_H
#define FLOW_TEMPLATE_REGEX_H

#include "template/values.h"

/* Does the pattern (ours, not the author's) match somewhere in the text? */
bool flow_regex__matches(FlowVm *vm, const char *pattern, const char *text, size_t len, bool ignore_case,
                         bool *ret);

#endif
