/* policy.h - which Host and Origin headers are let in: against web pages that reach a local server by tricks. */
#ifndef FLOW_HTTP_POLICY_H
#define FLOW_HTTP_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { FLOW_POLICY_ENTRIES = 32 };

typedef struct FlowHttpPolicy {
    char *texts; /* private: what the others point into */
    const char *origins[FLOW_POLICY_ENTRIES];
    size_t origin_count;
    const char *hosts[FLOW_POLICY_ENTRIES];
    size_t host_count;
} FlowHttpPolicy;

/* Both are lists separated by commas or spaces. INVALID_ARGUMENT names the entry that is no origin or host. */
FlowStatus flow_http_policy_init(FlowHttpPolicy *policy, const char *origins, const char *hosts,
                                 FlowError *reterr);
void flow_http_policy_done(FlowHttpPolicy *policy);

/*
 * A local listener is asked by an address, by localhost, or by a name of the list: any other name is one that somebody
 * else's DNS points here. A listener for others takes all names when the list is empty.
 */
bool flow_http_host_allowed(const FlowHttpPolicy *policy, const char *host, bool local);

typedef enum FlowOrigin {
    FLOW_ORIGIN_NONE,
    FLOW_ORIGIN_SAME,
    FLOW_ORIGIN_LISTED,
    FLOW_ORIGIN_FOREIGN
} FlowOrigin;
/* `origin` and `host` are the headers (NULL: absent). */
FlowOrigin flow_http_origin_kind(const FlowHttpPolicy *policy, const char *origin, const char *host,
                                 bool secure);

#endif
