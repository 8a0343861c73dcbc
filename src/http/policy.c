#include "http/policy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static bool is_host_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || ((text[i] | 32) >= 'a' && (text[i] | 32) <= 'z') ||
              strchr("-._:[]", text[i]) != NULL))
            return false;
    return len > 0 && len < 256;
}

static bool is_origin(const char *text)
{
    size_t scheme = strncmp(text, "http://", 7) == 0 ? 7 : strncmp(text, "https://", 8) == 0 ? 8 : 0;
    return scheme != 0 && is_host_text(text + scheme, strlen(text + scheme));
}

static FlowStatus add_all(char *list, const char **entries, size_t *count, bool origins, FlowError *reterr)
{
    char *save;
    for (char *at = strtok_r(list, ", ", &save); at != NULL; at = strtok_r(NULL, ", ", &save)) {
        if (origins ? !is_origin(at) : !is_host_text(at, strlen(at)))
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, NULL,
                                  origins ? "http-origins" : "http-hosts",
                                  origins ? "\"%s\" is no origin such as https://console.example"
                                          : "\"%s\" is no name of a host such as flow.example",
                                  at);
        if (*count == FLOW_POLICY_ENTRIES)
            return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, NULL,
                                  origins ? "http-origins" : "http-hosts", "at most %d entries are possible",
                                  FLOW_POLICY_ENTRIES);
        entries[(*count)++] = at;
    }
    return FLOW_OK;
}

FlowStatus flow_http_policy_init(FlowHttpPolicy *policy, const char *origins, const char *hosts,
                                 FlowError *reterr)
{
    size_t origins_len = strlen(origins), hosts_len = strlen(hosts);
    *policy = (FlowHttpPolicy){.texts = flow_malloc(origins_len + hosts_len + 2)};
    memcpy(policy->texts, origins, origins_len + 1);
    memcpy(policy->texts + origins_len + 1, hosts, hosts_len + 1);
    FlowStatus status = add_all(policy->texts, policy->origins, &policy->origin_count, true, reterr);
    if (status == FLOW_OK)
        status = add_all(policy->texts + origins_len + 1, policy->hosts, &policy->host_count, false, reterr);
    if (status != FLOW_OK)
        flow_http_policy_done(policy);
    return status;
}

void flow_http_policy_done(FlowHttpPolicy *policy)
{
    free(policy->texts);
    *policy = (FlowHttpPolicy){.texts = NULL};
}

/* The host without its port; false for what is none. */
static bool split_host(const char *host, char to[256])
{
    size_t len;
    if (!is_host_text(host, strlen(host)))
        return false;
    if (*host == '[') {
        const char *end = strchr(host, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':'))
            return false;
        len = (size_t)(end - host) - 1;
        host++;
    } else {
        len = strcspn(host, ":");
        if (host[len] == ':' && strchr(host + len + 1, ':') != NULL)
            return false;
    }
    memcpy(to, host, len);
    to[len] = '\0';
    return len > 0;
}

static bool is_address(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcasecmp(text + len - end_len, end) == 0;
}

bool flow_http_host_allowed(const FlowHttpPolicy *policy, const char *host, bool local)
{
    char name[256];
    if (host == NULL || *host == '\0')
        return true; /* HTTP/1.0 has none; browsers always send one */
    if (!split_host(host, name))
        return false;
    if (is_address(name) || strcasecmp(name, "localhost") == 0 || ends_with(name, ".localhost"))
        return true;
    if (!local && policy->host_count == 0)
        return true;
    for (size_t i = 0; i < policy->host_count; i++)
        if (strcasecmp(policy->hosts[i], name) == 0)
            return true;
    return false;
}

FlowOrigin flow_http_origin_kind(const FlowHttpPolicy *policy, const char *origin, const char *host,
                                 bool secure)
{
    if (origin == NULL)
        return FLOW_ORIGIN_NONE;
    for (size_t i = 0; i < policy->origin_count; i++)
        if (strcasecmp(policy->origins[i], origin) == 0)
            return FLOW_ORIGIN_LISTED;
    size_t scheme = strncasecmp(origin, "http://", 7) == 0 && !secure ? 7
                    : strncasecmp(origin, "https://", 8) == 0         ? 8
                                                                      : 0;
    if (scheme != 0 && host != NULL && strcasecmp(origin + scheme, host) == 0)
        return FLOW_ORIGIN_SAME;
    return FLOW_ORIGIN_FOREIGN;
}
