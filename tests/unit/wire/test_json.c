/* Messages of the contract to JSON and back: tables of what is accepted, what it becomes, and what is refused where. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "value/json.h"
#include "wire/cursor.h"
#include "wire/json.h"

static const FlowWireMessage *type_of(const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", strchr(name, '.') != NULL ? "" : "flowengine.v1.", name);
    const FlowWireMessage *type = flow_wire_message(flow_wire_contract(), full);
    if (type == NULL)
        fail_msg("no message %s", full);
    return type;
}

static FlowStatus bytes_of(const char *name, const char *json, unsigned flags, FlowBuf *to, FlowError *error)
{
    static const FlowJsonLimits limits = {.depth = 100, .flags = FLOW_JSON_READ_BIG_AS_FLOAT};
    FlowValue value;
    FlowStatus status = flow_json_read(json, strlen(json), &limits, &value, error);
    if (status != FLOW_OK)
        fail_msg("%s: %s", json, error->message);
    status = flow_message_from_value(flow_wire_contract(), type_of(name), value, flags, to, error);
    flow_value_unref(value);
    return status;
}

static char *json_of(const char *name, const FlowBuf *bytes, unsigned flags)
{
    FlowError error;
    FlowValue value;
    FlowStatus status =
        flow_message_to_value(flow_wire_contract(), type_of(name), bytes->data != NULL ? bytes->data : "",
                              bytes->len, flags, &value, &error);
    if (status != FLOW_OK)
        fail_msg("%s: %s", name, error.message);
    char *text = flow_json_text(value, 0);
    flow_value_unref(value);
    return text;
}

/* ---- there and back ---- */

typedef struct Row {
    const char *type, *in, *out; /* out NULL: the same as `in` */
} Row;

static const Row round_trips[] = {
    {"ListDeadLettersRequest", "{}", NULL},
    {"ListDeadLettersRequest", "{\"pageSize\":50,\"workflowId\":\"w\",\"reason\":\"TIMEOUT\",\"all\":true}",
     NULL},
    {"ListDeadLettersRequest", "{\"page_size\":7,\"workflow_id\":\"w\"}",
     "{\"pageSize\":7,\"workflowId\":\"w\"}"},
    {"ListDeadLettersRequest",
     "{\"pageSize\":0,\"workflowId\":\"\",\"all\":false,\"reason\":\"REASON_UNSPECIFIED\"}", "{}"},
    {"ListDeadLettersRequest", "{\"pageSize\":null,\"afterTime\":null}", "{}"},
    /* Numbers in all their spellings. */
    {"ListDeadLettersRequest", "{\"pageSize\":\"12\"}", "{\"pageSize\":12}"},
    {"ListDeadLettersRequest", "{\"pageSize\":1e2}", "{\"pageSize\":100}"},
    {"ListDeadLettersRequest", "{\"pageSize\":\"1e2\"}", "{\"pageSize\":100}"},
    {"ListDeadLettersRequest", "{\"pageSize\":1.0}", "{\"pageSize\":1}"},
    {"ListDeadLettersRequest", "{\"pageSize\":-2147483648}", NULL},
    {"ListDeadLettersRequest", "{\"pageSize\":2147483647}", NULL},
    {"DeleteDeadLettersResponse", "{\"deleted\":9223372036854775807}",
     "{\"deleted\":\"9223372036854775807\"}"},
    {"DeleteDeadLettersResponse", "{\"deleted\":\"-9223372036854775808\"}", NULL},
    {"DeleteDeadLettersResponse", "{\"deleted\":1e18}", "{\"deleted\":\"1000000000000000000\"}"},
    {"RedriveDeadLettersRequest", "{\"rate\":0.1}", NULL},
    {"RedriveDeadLettersRequest", "{\"rate\":\"1.5e300\"}", "{\"rate\":1.5e+300}"},
    {"RedriveDeadLettersRequest", "{\"rate\":\"NaN\"}", NULL},
    {"RedriveDeadLettersRequest", "{\"rate\":\"-Infinity\"}", NULL},
    {"RedriveDeadLettersRequest", "{\"rate\":3}", "{\"rate\":3.0}"},
    {"RedriveDeadLettersRequest", "{\"rate\":-0.0}", NULL},
    /* Enums. */
    {"ListDeadLettersRequest", "{\"reason\":4}", "{\"reason\":\"TIMEOUT\"}"},
    {"ListDeadLettersRequest", "{\"reason\":77}", NULL},
    {"ListDeadLettersRequest", "{\"reason\":-1}", NULL},
    /* Timestamp, Duration, masks, wrappers. */
    {"ListDeadLettersRequest", "{\"afterTime\":\"2026-01-31T10:00:00.500Z\"}", NULL},
    {"ListDeadLettersRequest", "{\"afterTime\":\"1970-01-01T01:00:00+01:00\"}",
     "{\"afterTime\":\"1970-01-01T00:00:00Z\"}"},
    {"ExecuteNodeRequest", "{\"timeout\":\"1.500s\"}", NULL},
    {"ExecuteNodeRequest", "{\"timeout\":\"-0.000000001s\"}", NULL},
    {"UpdateWorkflowRequest", "{\"updateMask\":\"name,settings.undefined\"}", NULL},
    {"UpdateQueueRequest", "{\"updateMask\":\"maxItems\"}", NULL},
    {"UpdateWorkflowRequest", "{\"updateMask\":\"\"}", NULL},
    {"WatchRunRequest", "{\"afterCursor\":\"0\"}", NULL},
    {"WatchRunRequest", "{\"afterCursor\":17}", "{\"afterCursor\":\"17\"}"},
    {"google.protobuf.BytesValue", "\"AP_-\"", "\"AP/+\""},
    {"google.protobuf.BytesValue", "\"AA\"", "\"AA==\""},
    {"google.protobuf.FloatValue", "0.1", NULL},
    {"google.protobuf.FloatValue", "16777216", "16777216.0"},
    {"google.protobuf.UInt64Value", "\"18446744073709551615\"", NULL},
    {"google.protobuf.UInt32Value", "4294967295", NULL},
    {"google.protobuf.BoolValue", "true", NULL},
    {"google.protobuf.StringValue", "\"\"", NULL},
    /* Struct, Value, ListValue. */
    {"Payload", "{\"data\":{\"a\":[1,2.5,null,true,\"x\",{}],\"b\":{\"c\":[]}},\"metadata\":{}}", NULL},
    {"Payload", "{\"data\":{\"safe\":9007199254740992}}", NULL},
    {"UpdateFormFieldRequest", "{\"type\":\"t\",\"field\":\"f\",\"value\":null}", NULL},
    {"UpdateFormFieldRequest", "{\"value\":[1,{\"a\":\"b\"}]}", NULL},
    {"UpdateFormFieldRequest", "{\"value\":\"text\"}", NULL},
    /* Maps: with texts, numbers, messages, lists. */
    {"Workflow", "{\"labels\":{\"b\":\"2\",\"a\":\"\"}}", NULL},
    {"ExecuteNodeRequest", "{\"mockOutput\":{\"n1\":{\"data\":{\"x\":1}},\"n2\":{}}}", NULL},
    {"Form", "{\"dependencies\":{\"country\":[\"city\",\"zip\"]}}", NULL},
    /* Any. */
    {"google.rpc.Status",
     "{\"code\":5,\"message\":\"no\",\"details\":[{\"@type\":\"type.googleapis.com/"
     "google.rpc.ErrorInfo\",\"reason\":"
     "\"R\",\"domain\":\"flowengine\",\"metadata\":{\"k\":\"v\"}}]}",
     NULL},
    {"google.protobuf.Any", "{\"reason\":\"R\",\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\"}",
     "{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"R\"}"},
    {"google.protobuf.Any", "{\"@type\":\"type.googleapis.com/google.protobuf.Duration\",\"value\":\"1s\"}",
     NULL},
    {"google.protobuf.Any", "{\"@type\":\"type.googleapis.com/google.protobuf.Struct\",\"value\":{\"a\":1}}",
     NULL},
    {"google.protobuf.Any",
     "{\"@type\":\"a.b/google.protobuf.Any\",\"value\":{\"@type\":\"a.b/"
     "google.protobuf.BoolValue\",\"value\":true}}",
     NULL},
    {"google.protobuf.Any", "{}", NULL},
    /* What editors add stands beside the message's own keys. */
    {"Workflow",
     "{\"id\":\"w\",\"nodes\":[{\"id\":\"1\",\"type\":\"counter\",\"position\":{\"x\":1.5,\"y\":-2.0},"
     "\"data\":{\"form\":{"
     "\"max\":5},\"label\":\"L\",\"icon\":\"i\"},\"selected\":true,\"measured\":{\"width\":10}}],\"edges\":[{"
     "\"id\":\"e\","
     "\"source\":\"1\",\"target\":\"2\",\"animated\":true}],\"viewport\":{\"x\":0,\"y\":0,\"zoom\":1}}",
     NULL},
    {"Edge", "{\"source\":\"1\",\"target\":\"2\",\"sourceHandle\":\"yes\",\"targetHandle\":null}",
     "{\"source\":\"1\",\"target\":\"2\",\"sourceHandle\":\"yes\"}"},
    {"Node", "{\"editor\":{\"selected\":true},\"dragging\":false}", "{\"selected\":true,\"dragging\":false}"},
    /* oneof: null does not count as given. */
    {"LoadSessionRequest", "{\"sessionId\":\"s\",\"fromDeadLetter\":\"d\",\"fromPayload\":null}",
     "{\"sessionId\":\"s\",\"fromDeadLetter\":\"d\"}"},
    {"LoadSessionRequest", "{\"fromPayload\":\"\"}", NULL},
    {"google.api.HttpBody", "{\"contentType\":\"text/plain\",\"data\":\"aGk=\"}", NULL},
    /* Texts beyond ASCII, NUL, the end of the Unicode range. */
    {"Workflow", "{\"name\":\"\xc3\xa9\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf\"}", NULL},
};

static void messages_go_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(round_trips); i++) {
        const Row *row = &round_trips[i];
        FlowError error;
        FlowBuf bytes;
        flow_buf_init(&bytes, 0);
        if (bytes_of(row->type, row->in, 0, &bytes, &error) != FLOW_OK)
            fail_msg("%s %s: %s", row->type, row->in, error.message);
        char *out = json_of(row->type, &bytes, 0);
        assert_string_equal(out, row->out != NULL ? row->out : row->in);
        free(out);
        flow_buf_done(&bytes);
    }
}

/* ---- refused ---- */

typedef struct Refusal {
    const char *type, *json, *reason, *where;
} Refusal;

static const Refusal refusals[] = {
    {"Workflow", "[]", "WRONG_TYPE", ""},
    {"Workflow", "\"w\"", "WRONG_TYPE", ""},
    {"Workflow", "null", "WRONG_TYPE", ""},
    {"ListDeadLettersRequest", "{\"pagesize\":1}", "UNKNOWN_FIELD", "pagesize"},
    {"ListDeadLettersRequest", "{\"pageSize\":1,\"page_size\":1}", "DUPLICATE_FIELD", "page_size"},
    {"ListDeadLettersRequest", "{\"pageSize\":1.5}", "OUT_OF_RANGE", "pageSize"},
    {"ListDeadLettersRequest", "{\"pageSize\":2147483648}", "OUT_OF_RANGE", "pageSize"},
    {"ListDeadLettersRequest", "{\"pageSize\":-2147483649}", "OUT_OF_RANGE", "pageSize"},
    {"ListDeadLettersRequest", "{\"pageSize\":\"\"}", "OUT_OF_RANGE", "pageSize"},
    {"ListDeadLettersRequest", "{\"pageSize\":\" 1\"}", "OUT_OF_RANGE", "pageSize"},
    {"ListDeadLettersRequest", "{\"pageSize\":\"1 \"}", "OUT_OF_RANGE", "pageSize"},
    {"ListDeadLettersRequest", "{\"pageSize\":\"+1\"}", "OUT_OF_RANGE", "pageSize"},
    {"ListDeadLettersRequest", "{\"pageSize\":\"01\"}", "OUT_OF_RANGE", "pageSize"},
    {"ListDeadLettersRequest", "{\"pageSize\":\"1x\"}", "OUT_OF_RANGE", "pageSize"},
    {"ListDeadLettersRequest", "{\"pageSize\":true}", "WRONG_TYPE", "pageSize"},
    {"ListDeadLettersRequest", "{\"pageSize\":[1]}", "WRONG_TYPE", "pageSize"},
    {"ListDeadLettersRequest", "{\"all\":\"true\"}", "WRONG_TYPE", "all"},
    {"ListDeadLettersRequest", "{\"all\":1}", "WRONG_TYPE", "all"},
    {"ListDeadLettersRequest", "{\"workflowId\":1}", "WRONG_TYPE", "workflowId"},
    {"ListDeadLettersRequest", "{\"reason\":\"TIME_OUT\"}", "UNKNOWN_ENUM_VALUE", "reason"},
    {"ListDeadLettersRequest", "{\"reason\":\"timeout\"}", "UNKNOWN_ENUM_VALUE", "reason"},
    {"ListDeadLettersRequest", "{\"reason\":1.5}", "OUT_OF_RANGE", "reason"},
    {"ListDeadLettersRequest", "{\"reason\":true}", "WRONG_TYPE", "reason"},
    {"DeleteDeadLettersResponse", "{\"deleted\":9223372036854775808}", "OUT_OF_RANGE", "deleted"},
    {"DeleteDeadLettersResponse", "{\"deleted\":\"9223372036854775808\"}", "OUT_OF_RANGE", "deleted"},
    {"DeleteDeadLettersResponse", "{\"deleted\":0.5}", "OUT_OF_RANGE", "deleted"},
    {"RedriveDeadLettersRequest", "{\"rate\":\"nan\"}", "WRONG_TYPE", "rate"},
    {"RedriveDeadLettersRequest", "{\"rate\":\"1.\"}", "WRONG_TYPE", "rate"},
    {"RedriveDeadLettersRequest", "{\"rate\":\"1e999\"}", "WRONG_TYPE", "rate"},
    {"RedriveDeadLettersRequest", "{\"rate\":\"\"}", "WRONG_TYPE", "rate"},
    {"RedriveDeadLettersRequest", "{\"ids\":\"x\"}", "WRONG_TYPE", "ids"},
    {"RedriveDeadLettersRequest", "{\"ids\":[\"x\",null]}", "WRONG_TYPE", "ids[1]"},
    {"google.protobuf.FloatValue", "3.5e38", "OUT_OF_RANGE", ""},
    {"google.protobuf.UInt32Value", "-1", "OUT_OF_RANGE", ""},
    {"google.protobuf.UInt64Value", "\"18446744073709551616\"", "OUT_OF_RANGE", ""},
    {"google.protobuf.BytesValue", "\"A\"", "WRONG_TYPE", ""},
    {"google.protobuf.BytesValue", "\"A A=\"", "WRONG_TYPE", ""},
    {"ListDeadLettersRequest", "{\"afterTime\":\"yesterday\"}", "OUT_OF_RANGE", "afterTime"},
    {"ListDeadLettersRequest", "{\"afterTime\":12}", "WRONG_TYPE", "afterTime"},
    {"ListDeadLettersRequest", "{\"afterTime\":{\"seconds\":1}}", "WRONG_TYPE", "afterTime"},
    {"ExecuteNodeRequest", "{\"timeout\":\"1\"}", "OUT_OF_RANGE", "timeout"},
    {"ExecuteNodeRequest", "{\"timeout\":1}", "WRONG_TYPE", "timeout"},
    {"ExecuteNodeRequest", "{\"timeout\":\"315576000001s\"}", "OUT_OF_RANGE", "timeout"},
    {"UpdateWorkflowRequest", "{\"updateMask\":\"max_items\"}", "WRONG_TYPE", "updateMask"},
    {"UpdateWorkflowRequest", "{\"updateMask\":{\"paths\":[]}}", "WRONG_TYPE", "updateMask"},
    {"Payload", "{\"data\":[]}", "INVALID_STRUCT", "data"},
    {"Payload", "{\"data\":{\"a\":{\"big\":9007199254740993}}}", "NUMBER_NOT_EXACT", "data.a.big"},
    {"Workflow", "{\"labels\":{\"a\":null}}", "WRONG_TYPE", "labels.a"},
    {"Workflow", "{\"labels\":{\"a\":1}}", "WRONG_TYPE", "labels.a"},
    {"Workflow", "{\"labels\":[]}", "WRONG_TYPE", "labels"},
    {"Workflow", "{\"nodes\":{\"id\":\"1\"}}", "WRONG_TYPE", "nodes"},
    {"Workflow", "{\"nodes\":[{\"id\":\"1\"},{\"id\":2}]}", "WRONG_TYPE", "nodes[1].id"},
    {"Workflow", "{\"nodes\":[{\"position\":{\"z\":1}}]}", "UNKNOWN_FIELD", "nodes[0].position.z"},
    {"Workflow", "{\"settings\":{\"undefinded\":\"strict\"}}", "UNKNOWN_FIELD", "settings.undefinded"},
    {"LoadSessionRequest", "{\"fromDeadLetter\":\"d\",\"fromPayload\":\"p\"}", "DUPLICATE_FIELD",
     "fromPayload"},
    {"google.protobuf.Any", "{\"value\":1}", "WRONG_TYPE", ""},
    {"google.protobuf.Any", "{\"@type\":\"flowengine.v1.Edge\"}", "UNKNOWN_TYPE", "@type"},
    {"google.protobuf.Any", "{\"@type\":\"t/flowengine.v1.Nothing\"}", "UNKNOWN_TYPE", "@type"},
    {"google.protobuf.Any", "{\"@type\":\"t/google.protobuf.Duration\"}", "WRONG_TYPE", ""},
    {"google.protobuf.Any", "{\"@type\":\"t/google.protobuf.Duration\",\"value\":\"1s\",\"more\":1}",
     "WRONG_TYPE", ""},
    {"google.protobuf.Any", "{\"@type\":\"t/google.rpc.ErrorInfo\",\"reason\":7}", "WRONG_TYPE", "reason"},
};

static void what_is_wrong_is_refused_with_its_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(refusals); i++) {
        const Refusal *row = &refusals[i];
        FlowError error;
        FlowBuf bytes;
        flow_buf_init(&bytes, 0);
        flow_buf_str(&bytes, "before");
        if (bytes_of(row->type, row->json, 0, &bytes, &error) == FLOW_OK)
            fail_msg("%s %s was accepted", row->type, row->json);
        if (strcmp(error.reason, row->reason) != 0 || strcmp(error.where, row->where) != 0)
            fail_msg("%s %s: %s at \"%s\": %s", row->type, row->json, error.reason, error.where,
                     error.message);
        assert_int_equal(error.status, FLOW_INVALID_ARGUMENT);
        assert_int_equal(bytes.len, 6); /* a failure appends nothing */
        flow_buf_done(&bytes);
    }
}

static void messages_say_what_was_meant(void **state)
{
    (void)state;
    static const struct {
        const char *type, *json, *part;
    } rows[] = {
        {"ListDeadLettersRequest", "{\"pagSize\":1}", "did you mean \"pageSize\"?"},
        {"ListDeadLettersRequest", "{\"reason\":\"TIMEOT\"}", "did you mean \"TIMEOUT\"?"},
        {"Payload", "{\"data\":{\"a\":123456789012345678}}", "send it as a string"},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        FlowError error;
        FlowBuf bytes;
        flow_buf_init(&bytes, 0);
        assert_int_not_equal(bytes_of(rows[i].type, rows[i].json, 0, &bytes, &error), FLOW_OK);
        if (strstr(error.message, rows[i].part) == NULL)
            fail_msg("%s", error.message);
        flow_buf_done(&bytes);
    }
}

/* ---- flags ---- */

static void unknown_things_are_passed_over_when_asked(void **state)
{
    (void)state;
    FlowError error;
    FlowBuf bytes;
    flow_buf_init(&bytes, 0);
    assert_int_equal(bytes_of("ListDeadLettersRequest", "{\"pagSize\":1,\"reason\":\"NEW\",\"all\":true}",
                              FLOW_MESSAGE_IGNORE_UNKNOWN, &bytes, &error),
                     FLOW_OK);
    char *out = json_of("ListDeadLettersRequest", &bytes, 0);
    assert_string_equal(out, "{\"all\":true}");
    free(out);
    flow_buf_done(&bytes);
}

static void output_flags(void **state)
{
    (void)state;
    FlowError error;
    FlowBuf bytes;
    flow_buf_init(&bytes, 0);
    assert_int_equal(
        bytes_of("GroupDeadLettersRequest", "{\"pageSize\":3,\"reason\":\"TIMEOUT\"}", 0, &bytes, &error),
        FLOW_OK);
    static const struct {
        unsigned flags;
        const char *out;
    } rows[] = {
        {FLOW_MESSAGE_PROTO_NAMES, "{\"page_size\":3,\"reason\":\"TIMEOUT\"}"},
        {FLOW_MESSAGE_ENUM_NUMBERS, "{\"pageSize\":3,\"reason\":4}"},
        {FLOW_MESSAGE_WITH_DEFAULTS, "{\"pageSize\":3,\"pageToken\":\"\",\"workflowId\":\"\",\"runId\":\"\","
                                     "\"nodeId\":\"\",\"reason\":\"TIMEOUT\"}"},
    };
    for (size_t i = 0; i < FLOW_COUNT(rows); i++) {
        char *out = json_of("GroupDeadLettersRequest", &bytes, rows[i].flags);
        assert_string_equal(out, rows[i].out);
        free(out);
    }
    flow_buf_clear(&bytes);
    char *out = json_of("Form", &bytes, FLOW_MESSAGE_WITH_DEFAULTS);
    assert_non_null(strstr(out, "\"fields\":[]"));
    assert_non_null(strstr(out, "\"dependencies\":{}"));
    free(out);
    flow_buf_done(&bytes);
}

/* ---- bytes that others wrote ---- */

static void put_text(FlowBuf *to, uint32_t number, const char *text)
{
    flow_put_bytes(to, number, text, strlen(text));
}

static void later_parts_are_merged_and_later_scalars_win(void **state)
{
    (void)state;
    FlowBuf bytes;
    flow_buf_init(&bytes, 0);
    put_text(&bytes, 2, "first"); /* name */
    flow_put_bytes(&bytes, 7,
                   "\x0a\x01"
                   "a",
                   3);           /* settings { undefined: a } */
    put_text(&bytes, 2, "last"); /* name again */
    flow_put_bytes(&bytes, 7,
                   "\x0a\x01"
                   "b",
                   3);                /* settings again */
    flow_put_bytes(&bytes, 7, "", 0); /* … and empty: merges to nothing new */
    flow_put_bytes(&bytes, 6,
                   "\x0a\x01k\x12\x01"
                   "1",
                   6); /* labels k: 1 */
    flow_put_bytes(&bytes, 6,
                   "\x12\x01"
                   "2\x0a\x01k",
                   6);                          /* labels k: 2, value before key */
    flow_put_bytes(&bytes, 6, "", 0);           /* labels "": "" */
    flow_put_tag(&bytes, 1000, FLOW_WT_VARINT); /* unknown: dropped */
    flow_put_varint(&bytes, 1);
    char *out = json_of("Workflow", &bytes, 0);
    assert_string_equal(
        out, "{\"name\":\"last\",\"labels\":{\"k\":\"2\",\"\":\"\"},\"settings\":{\"undefined\":\"b\"}}");
    free(out);
    flow_buf_done(&bytes);
}

static void a_oneof_has_its_last_member(void **state)
{
    (void)state;
    FlowBuf bytes;
    flow_buf_init(&bytes, 0);
    put_text(&bytes, 2, "dead");
    put_text(&bytes, 3, "payload");
    put_text(&bytes, 2, "again");
    char *out = json_of("LoadSessionRequest", &bytes, 0);
    assert_string_equal(out, "{\"fromDeadLetter\":\"again\"}");
    free(out);
    flow_buf_done(&bytes);
}

static void wide_varints_are_cut(void **state)
{
    (void)state;
    FlowBuf bytes;
    flow_buf_init(&bytes, 0);
    flow_put_tag(&bytes, 1, FLOW_WT_VARINT);
    flow_put_varint(&bytes, UINT64_C(1) << 33);
    char *out = json_of("ListDeadLettersRequest", &bytes, 0);
    assert_string_equal(out, "{}");
    free(out);
    flow_buf_done(&bytes);
}

typedef struct Torn {
    const char *type, *bytes;
    size_t len;
    const char *where;
} Torn;

static const Torn torn[] = {
    {"Workflow", "\x0a", 1, ""},
    {"Workflow",
     "\x0a\x05"
     "ab",
     4, ""},
    {"Workflow", "\x0a\x01\xff", 3, "id"},
    {"Workflow", "\x08\x01", 2, "id"},
    {"Workflow", "\x0b", 1, ""},
    {"Workflow", "\x00\x01", 2, ""},
    {"Workflow", "\x22\x02\x0a\x05", 4, "nodes[0]"},
    {"Workflow", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, ""},
    {"Workflow", "\x52\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00", 13, "createTime"},
    {"google.protobuf.Any",
     "\x0a\x03"
     "a/b",
     5, ""},
};

static void torn_bytes_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOW_COUNT(torn); i++) {
        FlowError error;
        FlowValue value;
        FlowStatus status = flow_message_to_value(flow_wire_contract(), type_of(torn[i].type), torn[i].bytes,
                                                  torn[i].len, 0, &value, &error);
        assert_int_equal(status, FLOW_INVALID_ARGUMENT);
        if (strcmp(error.where, torn[i].where) != 0)
            fail_msg("row %zu: \"%s\": %s", i, error.where, error.message);
    }
}

/* ---- limits ---- */

static void depth_is_bounded_both_ways(void **state)
{
    (void)state;
    FlowBuf json, bytes;
    FlowError error;
    flow_buf_init(&json, 0);
    flow_buf_init(&bytes, 0);
    for (int i = 0; i < 33; i++)
        flow_buf_str(&json, "{\"a\":");
    flow_buf_str(&json, "1");
    for (int i = 0; i < 33; i++)
        flow_buf_str(&json, "}");
    assert_int_equal(bytes_of("google.protobuf.Struct", flow_buf_text(&json), 0, &bytes, &error),
                     FLOW_INVALID_ARGUMENT);
    assert_string_equal(error.reason, "STRUCT_TOO_LARGE");
    flow_buf_clear(&json);
    for (int i = 0; i < 110; i++) { /* Any in Any in Any, on the wire */
        FlowBuf outer;
        flow_buf_init(&outer, 0);
        put_text(&outer, 1, "t/google.protobuf.Any");
        flow_put_bytes(&outer, 2, bytes.data, bytes.len);
        flow_buf_done(&bytes);
        bytes = outer;
    }
    FlowValue value;
    assert_int_equal(flow_message_to_value(flow_wire_contract(), type_of("google.protobuf.Any"), bytes.data,
                                           bytes.len, 0, &value, &error),
                     FLOW_INVALID_ARGUMENT);
    flow_buf_done(&bytes);
    flow_buf_done(&json);
}

static void a_full_buffer_is_an_error_and_keeps_what_was_there(void **state)
{
    (void)state;
    FlowError error;
    FlowBuf bytes;
    flow_buf_init(&bytes, 16);
    flow_buf_str(&bytes, "12345678");
    assert_int_equal(bytes_of("Workflow", "{\"name\":\"0123456789\"}", 0, &bytes, &error),
                     FLOW_RESOURCE_EXHAUSTED);
    assert_int_equal(bytes.len, 8);
    flow_buf_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_there_and_back),
        cmocka_unit_test(what_is_wrong_is_refused_with_its_path),
        cmocka_unit_test(messages_say_what_was_meant),
        cmocka_unit_test(unknown_things_are_passed_over_when_asked),
        cmocka_unit_test(output_flags),
        cmocka_unit_test(later_parts_are_merged_and_later_scalars_win),
        cmocka_unit_test(a_oneof_has_its_last_member),
        cmocka_unit_test(wide_varints_are_cut),
        cmocka_unit_test(torn_bytes_are_refused),
        cmocka_unit_test(depth_is_bounded_both_ways),
        cmocka_unit_test(a_full_buffer_is_an_error_and_keeps_what_was_there),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
