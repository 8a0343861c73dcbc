#include "rpc/details.h"

#include <stdio.h>
#include <string.h>

#include "wire/cursor.h"

#define DOMAIN     "flowengine"
#define URL_PREFIX "type.googleapis.com/google.rpc."

/* Field numbers of google/rpc/status.proto and google/rpc/error_details.proto. */
enum {
    STATUS_CODE = 1,
    STATUS_MESSAGE = 2,
    STATUS_DETAILS = 3,
    ANY_TYPE_URL = 1,
    ANY_VALUE = 2,
    INFO_REASON = 1,
    INFO_DOMAIN = 2,
    INFO_METADATA = 3,
    VIOLATION = 1,
    RETRY_DELAY = 1
};

enum { VIOLATIONS_KEPT = FLOW_RPC_DETAILS_MAX, TEXT_MAX = 512, METADATA_MAX = 1024 };

/* Cut at a character: the text is UTF-8 and must stay so. */
static void put_text(FlowBuf *to, unsigned number, const char *text, size_t max)
{
    size_t len = strlen(text);
    if (len > max) {
        len = max;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    if (len != 0)
        flow_put_bytes(to, number, text, len);
}

static size_t size_of_bytes(size_t len)
{
    return 1 + flow_varint_size(len) + len;
}

/* What ErrorInfo.reason says when the error itself has none; see flowengine.v1.ApiError.Reason. */
static const char *const default_reasons[FLOW_STATUS_COUNT] = {
    [FLOW_CANCELLED] = "CALL_CANCELLED",       [FLOW_UNKNOWN] = "INTERNAL_ERROR",
    [FLOW_INVALID_ARGUMENT] = "INVALID_FIELD", [FLOW_DEADLINE_EXCEEDED] = "DEADLINE_PASSED",
    [FLOW_PERMISSION_DENIED] = "NOT_ALLOWED",  [FLOW_RESOURCE_EXHAUSTED] = "LIMIT_REACHED",
    [FLOW_UNIMPLEMENTED] = "NOT_IMPLEMENTED",  [FLOW_INTERNAL] = "INTERNAL_ERROR",
    [FLOW_DATA_LOSS] = "STORE_DAMAGED",        [FLOW_UNAUTHENTICATED] = "BAD_CREDENTIALS",
};

static const char *reason_of(FlowStatus status)
{
    return default_reasons[status] != NULL ? default_reasons[status] : flow_status_name(status);
}

void flow_rpc_details_init(FlowRpcDetails *details, const FlowError *error)
{
    FlowStatus status = error->status == FLOW_OK || (unsigned)error->status >= FLOW_STATUS_COUNT
                            ? FLOW_INTERNAL
                            : error->status;
    details->status = status;
    snprintf(details->message, sizeof details->message, "%s", error->message);
    snprintf(details->reason, sizeof details->reason, "%s",
             error->reason[0] != '\0' ? error->reason : reason_of(status));
    flow_buf_init(&details->metadata, METADATA_MAX);
    flow_buf_init(&details->fields, VIOLATIONS_KEPT);
    flow_buf_init(&details->preconditions, VIOLATIONS_KEPT);
    flow_buf_init(&details->resource, TEXT_MAX * 4);
    details->total = details->kept = 0;
    details->retry_ms = -1;
    if (error->where[0] != '\0')
        flow_rpc_details_metadata(details, "where", error->where);
    if (error->where[0] != '\0' && (status == FLOW_INVALID_ARGUMENT || status == FLOW_OUT_OF_RANGE))
        flow_rpc_details_field(details, error->where, error->message);
    else if (status == FLOW_FAILED_PRECONDITION)
        flow_rpc_details_precondition(details, details->reason, error->where, error->message);
}

void flow_rpc_details_done(FlowRpcDetails *details)
{
    flow_buf_done(&details->metadata);
    flow_buf_done(&details->fields);
    flow_buf_done(&details->preconditions);
    flow_buf_done(&details->resource);
}

/* Appends whole entries only: what doesn't fit leaves the buffer as it was. */
static bool append_entry(FlowBuf *to, unsigned number, const FlowBuf *entry)
{
    if (entry->failed || to->len + size_of_bytes(entry->len) > to->limit)
        return false;
    flow_put_bytes(to, number, entry->data, entry->len);
    return !to->failed;
}

void flow_rpc_details_metadata(FlowRpcDetails *details, const char *key, const char *value)
{
    FlowBuf entry;
    flow_buf_init(&entry, METADATA_MAX);
    put_text(&entry, 1, key, 64);
    put_text(&entry, 2, value, 256);
    append_entry(&details->metadata, INFO_METADATA, &entry);
    flow_buf_done(&entry);
}

static void add_violation(FlowRpcDetails *details, FlowBuf *to, const char *first, const char *second,
                          const char *third)
{
    FlowBuf entry;
    flow_buf_init(&entry, TEXT_MAX * 4);
    put_text(&entry, 1, first, TEXT_MAX);
    put_text(&entry, 2, second, TEXT_MAX);
    if (third != NULL)
        put_text(&entry, 3, third, TEXT_MAX);
    details->total++;
    /* Once one is left out, so are all that follow: what is sent is a prefix. */
    if (details->kept == details->total - 1 && append_entry(to, VIOLATION, &entry))
        details->kept++;
    flow_buf_done(&entry);
}

void flow_rpc_details_field(FlowRpcDetails *details, const char *field, const char *description)
{
    add_violation(details, &details->fields, field, description, NULL);
}

void flow_rpc_details_precondition(FlowRpcDetails *details, const char *type, const char *subject,
                                   const char *description)
{
    add_violation(details, &details->preconditions, type, subject, description);
}

void flow_rpc_details_resource(FlowRpcDetails *details, const char *type, const char *name,
                               const char *description)
{
    flow_buf_clear(&details->resource);
    put_text(&details->resource, 1, type, TEXT_MAX);
    put_text(&details->resource, 2, name, TEXT_MAX);
    put_text(&details->resource, 4, description, TEXT_MAX);
}

void flow_rpc_details_retry(FlowRpcDetails *details, int64_t ms)
{
    details->retry_ms = ms > 0 ? ms : 0;
}

/* Appends one Any; the caller has seen that it fits. */
static void put_detail(FlowBuf *to, const char *type, const void *bytes, size_t len)
{
    char url[64];
    size_t url_len = (size_t)snprintf(url, sizeof url, URL_PREFIX "%s", type);
    size_t size = size_of_bytes(url_len) + size_of_bytes(len);
    flow_put_tag(to, STATUS_DETAILS, FLOW_WT_LENGTH);
    flow_put_varint(to, size);
    flow_put_bytes(to, ANY_TYPE_URL, url, url_len);
    flow_put_bytes(to, ANY_VALUE, bytes, len);
}

enum { DETAIL_OVERHEAD = 64 }; /* type URL, tags and lengths of one Any */

/* The violations that fit into `room`, as one Any; answers how many. */
static size_t put_violations(FlowBuf *to, const char *type, const FlowBuf *entries, size_t room)
{
    FlowSpan reader = flow_span(entries->data, entries->len);
    FlowWireItem item;
    size_t fitting = 0, count = 0;
    while (flow_span_next(&reader, &item) > 0) {
        size_t end = entries->len - (size_t)(reader.end - reader.next);
        if (end + DETAIL_OVERHEAD > room)
            break;
        fitting = end;
        count++;
    }
    if (fitting != 0)
        put_detail(to, type, entries->data, fitting);
    return count;
}

static void put_info(FlowBuf *to, const FlowRpcDetails *details, bool truncated)
{
    FlowBuf info;
    flow_buf_init(&info, 0);
    put_text(&info, INFO_REASON, details->reason, 63);
    put_text(&info, INFO_DOMAIN, DOMAIN, 63);
    flow_buf_append(&info, details->metadata.data, details->metadata.len);
    char total[24];
    snprintf(total, sizeof total, "%zu", details->total);
    const char *extra[][2] = {{"total", total}, {"truncated", "true"}};
    for (size_t i = 0; i < (truncated ? 2 : details->total > 1 ? 1 : 0); i++) {
        FlowBuf entry;
        flow_buf_init(&entry, 0);
        put_text(&entry, 1, extra[i][0], 64);
        put_text(&entry, 2, extra[i][1], 64);
        flow_put_bytes(&info, INFO_METADATA, entry.data, entry.len);
        flow_buf_done(&entry);
    }
    put_detail(to, "ErrorInfo", info.data, info.len);
    flow_buf_done(&info);
}

void flow_rpc_details_encode(const FlowRpcDetails *details, FlowBuf *to)
{
    FlowBuf others, head;
    flow_buf_init(&others, 0);
    flow_buf_init(&head, 0);
    flow_put_tag(&head, STATUS_CODE, FLOW_WT_VARINT);
    flow_put_varint(&head, (uint64_t)details->status);
    put_text(&head, STATUS_MESSAGE, details->message, FLOW_RPC_MESSAGE_MAX);
    /* With the ErrorInfo at its largest there are still more than 1.5 KiB for the rest. */
    size_t info_max = details->metadata.len + 256;
    if (details->resource.len != 0)
        put_detail(&others, "ResourceInfo", details->resource.data, details->resource.len);
    if (details->retry_ms >= 0) {
        FlowBuf duration, retry;
        flow_buf_init(&duration, 0);
        flow_buf_init(&retry, 0);
        flow_put_tag(&duration, 1, FLOW_WT_VARINT);
        flow_put_varint(&duration, (uint64_t)(details->retry_ms / 1000));
        flow_put_tag(&duration, 2, FLOW_WT_VARINT);
        flow_put_varint(&duration, (uint64_t)(details->retry_ms % 1000) * 1000000);
        flow_put_bytes(&retry, RETRY_DELAY, duration.data, duration.len);
        put_detail(&others, "RetryInfo", retry.data, retry.len);
        flow_buf_done(&duration);
        flow_buf_done(&retry);
    }
    size_t used = head.len + info_max + others.len;
    if (used + DETAIL_OVERHEAD > FLOW_RPC_DETAILS_MAX) {
        flow_buf_clear(&others);
        used = head.len + info_max;
    }
    size_t room = FLOW_RPC_DETAILS_MAX - used, before = others.len;
    size_t sent = put_violations(&others, "PreconditionFailure", &details->preconditions, room);
    room -= others.len - before;
    sent += put_violations(&others, "BadRequest", &details->fields, room);
    flow_buf_append(to, head.data, head.len);
    put_info(to, details, sent < details->total);
    flow_buf_append(to, others.data, others.len);
    flow_buf_done(&others);
    flow_buf_done(&head);
}
