#include "base/status.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int http;
    const char *advice;
} statuses[FLOW_STATUS_COUNT] = {
#define X(name, code, http, advice) [code] = {#name, http, advice},
    FLOW_STATUS_MAP(X)
#undef X
};

static int in_list(FlowStatus status)
{
    return (unsigned)status < FLOW_STATUS_COUNT ? (int)status : (int)FLOW_UNKNOWN;
}

const char *flow_status_name(FlowStatus status)
{
    return statuses[in_list(status)].name;
}

int flow_status_http(FlowStatus status)
{
    return statuses[in_list(status)].http;
}

const char *flow_status_advice(FlowStatus status)
{
    return statuses[in_list(status)].advice;
}

int flow_status_from_name(const char *name)
{
    for (int i = 0; i < FLOW_STATUS_COUNT; i++)
        if (strcmp(statuses[i].name, name) == 0)
            return i;
    return -1;
}

/* Drops a UTF-8 sequence that the end of the array cut in two, and what would break a log line. */
static void tidy(char *text, size_t size, int wanted)
{
    if (wanted < 0) {
        text[0] = '\0';
        return;
    }
    size_t len = (size_t)wanted < size ? (size_t)wanted : size - 1;
    if ((size_t)wanted >= size) {
        size_t start = len;
        while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
            start--;
        if (start > 0 && (unsigned char)text[start - 1] >= 0xc0)
            text[start - 1] = '\0';
    }
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
}

static void copy(char *to, size_t size, const char *from)
{
    tidy(to, size, snprintf(to, size, "%s", from != NULL ? from : ""));
}

FlowStatus flow_error_vset(FlowError *reterr, FlowStatus status, const char *reason, const char *where,
                           const char *format, va_list args)
{
    if (reterr == NULL)
        return status;
    /* Formatted aside first: the arguments may point into *reterr itself. */
    FlowError made = {.status = status};
    copy(made.reason, sizeof made.reason, reason);
    copy(made.where, sizeof made.where, where);
    tidy(made.message, sizeof made.message, vsnprintf(made.message, sizeof made.message, format, args));
    *reterr = made;
    return status;
}

FlowStatus flow_error_set(FlowError *reterr, FlowStatus status, const char *reason, const char *where,
                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flow_error_vset(reterr, status, reason, where, format, args);
    va_end(args);
    return status;
}

void flow_error_within(FlowError *error, const char *prefix)
{
    char whole[sizeof error->where];
    const char *dot = error->where[0] == '\0' || error->where[0] == '[' ? "" : ".";
    tidy(whole, sizeof whole, snprintf(whole, sizeof whole, "%s%s%s", prefix, dot, error->where));
    memcpy(error->where, whole, sizeof whole);
}

FlowStatus flow_error_no_memory(FlowError *reterr, const char *where, unsigned long long bytes)
{
    return flow_error_set(reterr, FLOW_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", where,
                          "cannot allocate %llu bytes", bytes);
}
