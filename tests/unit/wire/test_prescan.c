#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "flowengine/v1/workflow_service.pb-c.h"
#include "wire/cursor.h"
#include "wire/unpack.h"

static const FlowWireMessage *type(const char *name)
{
    const FlowWireMessage *found = flow_wire_message(flow_wire_contract(), name);
    assert_non_null(found);
    return found;
}

static FlowStatus scan(const FlowWireMessage *of, const void *bytes, size_t len, FlowWireScan *ret_scan,
                       FlowError *reterr)
{
    const FlowWireScanLimits limits = FLOW_WIRE_SCAN_LIMITS_DEFAULT;
    return flow_wire_scan(of, bytes, len, &limits, ret_scan, reterr);
}

typedef struct Row {
    const char *name;
    const char *message;
    const char *bytes;
    size_t len;
    FlowStatus status;
    const char *where;
} Row;

#define BYTES(text) text, sizeof(text) - 1
#define CREATE      "flowengine.v1.CreateWorkflowRequest"
#define LIST        "flowengine.v1.ListWorkflowsRequest"
#define STRUCT      "google.protobuf.Struct"

static const Row rows[] = {
    {"nothing is an empty message", CREATE, BYTES(""), FLOW_OK, ""},
    {"a workflow with a name", CREATE, BYTES("\x0a\x03\x12\x01x"), FLOW_OK, ""},
    {"an unknown field", CREATE, BYTES("\xf8\x3f\x01"), FLOW_OK, ""},
    {"a number of ten bytes", LIST, BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), FLOW_OK, ""},
    {"a number of eleven bytes", LIST, BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     FLOW_INVALID_ARGUMENT, ""},
    {"a torn number", LIST, BYTES("\x08\x80"), FLOW_INVALID_ARGUMENT, ""},
    {"a tag without a value", LIST, BYTES("\x08"), FLOW_INVALID_ARGUMENT, ""},
    {"a length behind the end", CREATE, BYTES("\x0a\x05\x12\x01x"), FLOW_INVALID_ARGUMENT, ""},
    {"a length behind the end, within", CREATE, BYTES("\x0a\x03\x12\x07x"), FLOW_INVALID_ARGUMENT,
     "workflow"},
    {"a length of 2^63", CREATE, BYTES("\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), FLOW_INVALID_ARGUMENT,
     ""},
    {"field number 0", CREATE, BYTES("\x02\x00"), FLOW_INVALID_ARGUMENT, ""},
    {"a group", CREATE, BYTES("\x0b\x0c"), FLOW_INVALID_ARGUMENT, ""},
    {"wire type 7", CREATE, BYTES("\x0f"), FLOW_INVALID_ARGUMENT, ""},
    {"a number where a message should be", CREATE, BYTES("\x08\x01"), FLOW_INVALID_ARGUMENT, "workflow"},
    {"a text where a number should be", LIST, BYTES("\x0a\x01x"), FLOW_INVALID_ARGUMENT, "page_size"},
    {"text that is no UTF-8", CREATE, BYTES("\x0a\x03\x12\x01\xff"), FLOW_INVALID_ARGUMENT, "workflow.name"},
    {"overlong UTF-8", CREATE, BYTES("\x0a\x04\x12\x02\xc0\x80"), FLOW_INVALID_ARGUMENT, "workflow.name"},
    {"a surrogate", CREATE, BYTES("\x0a\x05\x12\x03\xed\xa0\x80"), FLOW_INVALID_ARGUMENT, "workflow.name"},
    {"a NUL in a text", CREATE,
     BYTES("\x0a\x05\x12\x03"
           "a\0b"),
     FLOW_INVALID_ARGUMENT, "workflow.name"},
    {"the second node's type", CREATE, BYTES("\x0a\x07\x22\x00\x22\x03\x12\x01\xff"), FLOW_INVALID_ARGUMENT,
     "workflow.nodes[1].type"},
    {"a key of a map", CREATE, BYTES("\x0a\x05\x32\x03\x0a\x01\xff"), FLOW_INVALID_ARGUMENT,
     "workflow.labels[0]"},
    {"a NUL in a Struct is a character", STRUCT,
     BYTES("\x0a\x08\x0a\x01"
           "a\x12\x03\x1a\x01\0"),
     FLOW_OK, ""},
    {"no UTF-8 in a Struct", STRUCT,
     BYTES("\x0a\x08\x0a\x01"
           "a\x12\x03\x1a\x01\xff"),
     FLOW_INVALID_ARGUMENT, "fields[0].string_value"},
    {"packed numbers", "flowengine.v1.WatchRunRequest", BYTES("\x22\x03\x01\x80\x01"), FLOW_OK, ""},
    {"torn packed numbers", "flowengine.v1.WatchRunRequest", BYTES("\x22\x02\x01\x80"), FLOW_INVALID_ARGUMENT,
     "kinds[0]"},
};

static void check_row(void **state)
{
    const Row *row = *state;
    FlowWireScan result = {.nodes = 77};
    FlowError error = {.status = FLOW_OK};
    FlowStatus status = scan(type(row->message), row->bytes, row->len, &result, &error);
    assert_int_equal(status, row->status);
    if (status == FLOW_OK) {
        assert_int_not_equal(result.nodes, 77);
        return;
    }
    assert_int_equal(result.nodes, 77);
    assert_string_equal(error.reason, "MALFORMED_MESSAGE");
    assert_string_equal(error.where, row->where);
    assert_int_not_equal(strlen(error.message), 0);
}

/* Value{struct_value: Struct{fields: {"": Value{…}}}}, or lists; from the inside out. */
static void nest(FlowBuf *to, size_t levels, bool lists)
{
    FlowBuf inner;
    for (size_t i = 0; i < levels; i++) {
        flow_buf_init(&inner, 0);
        flow_put_bytes(&inner, lists ? 1 : 2, to->data, to->len);
        if (!lists) {
            FlowBuf entry;
            flow_buf_init(&entry, 0);
            flow_put_bytes(&entry, 1, inner.data, inner.len);
            flow_buf_done(&inner);
            inner = entry;
        }
        flow_buf_clear(to);
        flow_put_bytes(to, lists ? 6 : 5, inner.data, inner.len);
        flow_buf_done(&inner);
    }
}

static void depth_is_bounded(void **state)
{
    (void)state;
    static const struct {
        size_t levels;
        bool lists;
        FlowStatus status;
    } cases[] = {
        {32, false, FLOW_OK},
        {33, false, FLOW_OK},
        {34, false, FLOW_INVALID_ARGUMENT},
        {49, true, FLOW_OK},
        {50, true, FLOW_INVALID_ARGUMENT},
        {5000, true, FLOW_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < FLOW_COUNT(cases); i++) {
        FlowBuf bytes;
        FlowWireScan result;
        FlowError error;
        flow_buf_init(&bytes, 0);
        nest(&bytes, cases[i].levels, cases[i].lists);
        FlowStatus status = scan(type("google.protobuf.Value"), bytes.data, bytes.len, &result, &error);
        assert_int_equal(status, cases[i].status);
        if (status == FLOW_OK)
            assert_int_equal(result.depth, 1 + cases[i].levels * (cases[i].lists ? 2 : 3));
        flow_buf_done(&bytes);
    }
}

static void counts_and_memory_are_bounded(void **state)
{
    (void)state;
    FlowBuf workflow, bytes;
    flow_buf_init(&workflow, 0);
    flow_buf_init(&bytes, 0);
    for (size_t i = 0; i < 100000; i++)
        flow_put_bytes(&workflow, 4, "", 0); /* an empty node: 2 bytes here, far more in memory */
    flow_put_bytes(&bytes, 1, workflow.data, workflow.len);
    FlowWireScanLimits limits = FLOW_WIRE_SCAN_LIMITS_DEFAULT;
    FlowWireScan result;
    FlowError error;
    assert_int_equal(flow_wire_scan(type(CREATE), bytes.data, bytes.len, &limits, &result, &error), FLOW_OK);
    assert_in_range(result.nodes, 100001, 100001);
    limits.nodes = 1000;
    assert_int_equal(flow_wire_scan(type(CREATE), bytes.data, bytes.len, &limits, &result, &error),
                     FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(error.where, "workflow.nodes[999]");
    limits = FLOW_WIRE_SCAN_LIMITS_DEFAULT;
    limits.memory = 1 << 20;
    assert_int_equal(flow_wire_scan(type(CREATE), bytes.data, bytes.len, &limits, &result, &error),
                     FLOW_RESOURCE_EXHAUSTED);
    assert_string_equal(error.reason, "MESSAGE_TOO_LARGE");
    flow_buf_done(&workflow);
    flow_buf_done(&bytes);
}

/* What the scan foretells must be enough for what unpacking takes. */
static void unpack_and_compare(const FlowWireMessage *of, const void *bytes, size_t len, unsigned *accepted)
{
    FlowWireScan result;
    FlowError error;
    if (scan(of, bytes, len, &result, &error) != FLOW_OK)
        return;
    FlowArena arena;
    const ProtobufCMessage *message;
    flow_arena_init(&arena, result.memory);
    FlowStatus status = flow_wire_unpack_scanned(of, bytes, len, &result, &arena, &message, &error);
    assert_true(status == FLOW_OK || status == FLOW_INVALID_ARGUMENT);
    flow_arena_done(&arena);
    *accepted += status == FLOW_OK;
}

static void what_is_accepted_unpacks_in_the_memory_foretold(void **state)
{
    (void)state;
    FlowBuf node, workflow, bytes;
    flow_buf_init(&node, 0);
    flow_buf_init(&workflow, 0);
    flow_buf_init(&bytes, 0);
    flow_put_bytes(&node, 1, "n1", 2);
    flow_put_bytes(&node, 2, "counter", 7);
    flow_put_bytes(&node, 4,
                   BYTES("\x0a\x0a\x0a\x08\x0a\x01"
                         "a\x12\x03\x1a\x01x"));
    flow_put_bytes(&workflow, 1, "w", 1);
    flow_put_bytes(&workflow, 2, "a name that is longer than a few bytes", 38);
    for (int i = 0; i < 3; i++)
        flow_put_bytes(&workflow, 4, node.data, node.len);
    for (int i = 0; i < 20; i++)
        flow_put_bytes(&workflow, 5,
                       BYTES("\x0a\x01"
                             "e"));
    flow_put_bytes(&workflow, 6, BYTES("\x0a\x01k\x12\x01v"));
    flow_put_bytes(&workflow, 10, BYTES("\x08\x05\x10\x07"));
    flow_put_bytes(&bytes, 1, workflow.data, workflow.len);
    flow_put_bytes(&bytes, 1, BYTES("\x12\x01y"));
    const FlowWireMessage *of = type(CREATE);
    unsigned accepted = 0;
    unpack_and_compare(of, bytes.data, bytes.len, &accepted);
    assert_int_equal(accepted, 1);
    uint32_t random = 12345;
    for (int round = 0; round < 30000; round++) {
        char copy[1024];
        size_t len = bytes.len;
        memcpy(copy, bytes.data, len);
        for (int change = 0; change < 1 + round % 3; change++) {
            random = random * 1664525 + 1013904223;
            copy[(random >> 8) % len] = (char)(random >> 24);
        }
        random = random * 1664525 + 1013904223;
        if (round % 5 == 0)
            len = (random >> 8) % len;
        unpack_and_compare(of, copy, len, &accepted);
    }
    assert_in_range(accepted, 1000, 30000);
    flow_buf_done(&node);
    flow_buf_done(&workflow);
    flow_buf_done(&bytes);
}

int main(void)
{
    struct CMUnitTest tests[FLOW_COUNT(rows) + 3];
    size_t count = 0;
    for (; count < FLOW_COUNT(rows); count++)
        tests[count] = (struct CMUnitTest){rows[count].name, check_row, NULL, NULL, (void *)&rows[count]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(depth_is_bounded);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(counts_and_memory_are_bounded);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(what_is_accepted_unpacks_in_the_memory_foretold);
    return cmocka_run_group_tests_name("prescan", tests, NULL, NULL);
}
