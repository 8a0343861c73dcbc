#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "rpc/details.h"

#define URL "type.googleapis.com/google.rpc."

static Google__Rpc__Status *decode(const FlowRpcDetails *details)
{
    FlowBuf bytes;
    flow_buf_init(&bytes, 0);
    flow_rpc_details_encode(details, &bytes);
    assert_in_range(bytes.len, 2, FLOW_RPC_DETAILS_MAX);
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, bytes.len, (uint8_t *)bytes.data);
    assert_non_null(status);
    flow_buf_done(&bytes);
    return status;
}

static const ProtobufCBinaryData *find(const Google__Rpc__Status *status, const char *type)
{
    const ProtobufCBinaryData *found = NULL;
    for (size_t i = 0; i < status->n_details; i++) {
        assert_memory_equal(status->details[i]->type_url, URL, strlen(URL));
        if (strcmp(status->details[i]->type_url + strlen(URL), type) != 0)
            continue;
        assert_null(found); /* each type at most once */
        found = &status->details[i]->value;
    }
    return found;
}

static const char *metadata(const Google__Rpc__ErrorInfo *info, const char *key)
{
    for (size_t i = 0; i < info->n_metadata; i++)
        if (strcmp(info->metadata[i]->key, key) == 0)
            return info->metadata[i]->value;
    return NULL;
}

static Google__Rpc__ErrorInfo *info_of(const Google__Rpc__Status *status)
{
    const ProtobufCBinaryData *bytes = find(status, "ErrorInfo");
    assert_non_null(bytes);
    Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(NULL, bytes->len, bytes->data);
    assert_non_null(info);
    assert_string_equal(info->domain, "flowengine");
    return info;
}

typedef struct Row {
    const char *name;
    FlowStatus status;
    const char *reason, *where;
    const char *expect_reason;
    bool field, precondition;
} Row;

static const Row rows[] = {
    {"a bad field", FLOW_INVALID_ARGUMENT, "INVALID_FORM", "form.url", "INVALID_FORM", true, false},
    {"a bad request without a field", FLOW_INVALID_ARGUMENT, "", "", "INVALID_FIELD", false, false},
    {"a wrong state", FLOW_FAILED_PRECONDITION, "RUN_ACTIVE", "runs/7", "RUN_ACTIVE", false, true},
    {"nothing there", FLOW_NOT_FOUND, "RUN_NOT_FOUND", "run_id", "RUN_NOT_FOUND", false, false},
    {"no reason given", FLOW_INTERNAL, "", "", "INTERNAL_ERROR", false, false},
    {"no reason given, not built", FLOW_UNIMPLEMENTED, "", "", "NOT_IMPLEMENTED", false, false},
};

static void check_row(void **state)
{
    const Row *row = *state;
    FlowError error;
    FlowRpcDetails details;
    flow_error_set(&error, row->status, row->reason, row->where, "what is wrong");
    flow_rpc_details_init(&details, &error);
    Google__Rpc__Status *status = decode(&details);
    assert_int_equal(status->code, row->status);
    assert_string_equal(status->message, "what is wrong");
    Google__Rpc__ErrorInfo *info = info_of(status);
    assert_string_equal(info->reason, row->expect_reason);
    if (row->where[0] != '\0')
        assert_string_equal(metadata(info, "where"), row->where);
    assert_int_equal(find(status, "BadRequest") != NULL, row->field);
    assert_int_equal(find(status, "PreconditionFailure") != NULL, row->precondition);
    google__rpc__error_info__free_unpacked(info, NULL);
    google__rpc__status__free_unpacked(status, NULL);
    flow_rpc_details_done(&details);
}

static void many_violations_are_cut_and_counted(void **state)
{
    (void)state;
    FlowError error;
    FlowRpcDetails details;
    flow_error_set(
        &error, FLOW_INVALID_ARGUMENT, "INVALID_WORKFLOW", NULL, "%s",
        "the workflow has problems, and this text is as long as an error's text may become: äöüäöüäöüäöüäöü");
    flow_rpc_details_init(&details, &error);
    for (int i = 0; i < 500; i++) {
        char field[64];
        snprintf(field, sizeof field, "workflow.nodes[%d].data.form.url", i);
        flow_rpc_details_field(&details, field,
                               "this field is wrong in a way that takes a few words to explain");
    }
    Google__Rpc__Status *status = decode(&details);
    Google__Rpc__ErrorInfo *info = info_of(status);
    assert_string_equal(metadata(info, "total"), "500");
    assert_string_equal(metadata(info, "truncated"), "true");
    const ProtobufCBinaryData *bytes = find(status, "BadRequest");
    Google__Rpc__BadRequest *request = google__rpc__bad_request__unpack(NULL, bytes->len, bytes->data);
    assert_in_range(request->n_field_violations, 20, 60);
    assert_string_equal(request->field_violations[0]->field, "workflow.nodes[0].data.form.url");
    google__rpc__bad_request__free_unpacked(request, NULL);
    google__rpc__error_info__free_unpacked(info, NULL);
    google__rpc__status__free_unpacked(status, NULL);
    flow_rpc_details_done(&details);
}

static void all_kinds_at_once_at_their_largest(void **state)
{
    (void)state;
    FlowError error;
    FlowRpcDetails details;
    char text[3001];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "ä", 2);
    text[sizeof text - 1] = '\0';
    flow_error_set(&error, FLOW_FAILED_PRECONDITION, text, text, "%s", text);
    flow_rpc_details_init(&details, &error);
    for (int i = 0; i < 20; i++) {
        flow_rpc_details_metadata(&details, "key", text);
        flow_rpc_details_field(&details, text, text);
        flow_rpc_details_precondition(&details, text, text, text);
    }
    flow_rpc_details_resource(&details, text, text, text);
    flow_rpc_details_retry(&details, 1500);
    Google__Rpc__Status *status = decode(&details);
    assert_true(flow_utf8_valid(status->message, strlen(status->message)));
    Google__Rpc__ErrorInfo *info = info_of(status);
    for (size_t i = 0; i < info->n_metadata; i++)
        assert_true(flow_utf8_valid(info->metadata[i]->value, strlen(info->metadata[i]->value)));
    google__rpc__error_info__free_unpacked(info, NULL);
    google__rpc__status__free_unpacked(status, NULL);
    flow_rpc_details_done(&details);
}

static void resource_and_retry(void **state)
{
    (void)state;
    FlowError error;
    FlowRpcDetails details;
    flow_error_set(&error, FLOW_NOT_FOUND, "WORKFLOW_NOT_FOUND", NULL, "no such workflow");
    flow_rpc_details_init(&details, &error);
    flow_rpc_details_resource(&details, "Workflow", "old", "first");
    flow_rpc_details_resource(&details, "Workflow", "orders", "it isn't stored");
    flow_rpc_details_retry(&details, 2500);
    Google__Rpc__Status *status = decode(&details);
    const ProtobufCBinaryData *bytes = find(status, "ResourceInfo");
    Google__Rpc__ResourceInfo *resource = google__rpc__resource_info__unpack(NULL, bytes->len, bytes->data);
    assert_string_equal(resource->resource_name, "orders");
    google__rpc__resource_info__free_unpacked(resource, NULL);
    bytes = find(status, "RetryInfo");
    Google__Rpc__RetryInfo *retry = google__rpc__retry_info__unpack(NULL, bytes->len, bytes->data);
    assert_int_equal(retry->retry_delay->seconds, 2);
    assert_int_equal(retry->retry_delay->nanos, 500000000);
    google__rpc__retry_info__free_unpacked(retry, NULL);
    google__rpc__status__free_unpacked(status, NULL);
    flow_rpc_details_done(&details);
}

int main(void)
{
    struct CMUnitTest tests[FLOW_COUNT(rows) + 3];
    size_t count = 0;
    for (; count < FLOW_COUNT(rows); count++)
        tests[count] = (struct CMUnitTest){rows[count].name, check_row, NULL, NULL, (void *)&rows[count]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(many_violations_are_cut_and_counted);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(all_kinds_at_once_at_their_largest);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(resource_and_retry);
    return cmocka_run_group_tests_name("details", tests, NULL, NULL);
}
