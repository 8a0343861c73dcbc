#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/mem.h"
#include "flowengine/v1/worker_service.pb-c.h"
#include "flowengine/v1/workflow_service.pb-c.h"
#include "wire/cursor.h"
#include "wire/unpack.h"

#define BYTES(text) text, sizeof(text) - 1

static const void *unpack(const char *name, const void *bytes, size_t len, FlowArena *arena)
{
    const FlowWireMessage *type = flow_wire_message(flow_wire_contract(), name);
    const FlowWireScanLimits limits = FLOW_WIRE_SCAN_LIMITS_DEFAULT;
    const ProtobufCMessage *message;
    FlowError error;
    flow_arena_init(arena, 0);
    assert_int_equal(flow_wire_unpack(type, bytes, len, &limits, arena, &message, &error), FLOW_OK);
    return message;
}

static void a_message_there_and_back(void **state)
{
    (void)state;
    FlowArena arena;
    FlowBuf packed;
    flow_buf_init(&packed, 0);
    const Flowengine__V1__CreateWorkflowRequest *request =
        unpack("flowengine.v1.CreateWorkflowRequest", BYTES("\x0a\x06\x0a\x01i\x12\x01n"), &arena);
    assert_string_equal(request->workflow->id, "i");
    assert_string_equal(request->workflow->name, "n");
    flow_wire_pack(&request->base, &packed);
    assert_int_equal(packed.len, 8);
    assert_memory_equal(packed.data, "\x0a\x06\x0a\x01i\x12\x01n", 8);
    flow_buf_done(&packed);
    flow_arena_done(&arena);
}

typedef struct Merge {
    const char *name;
    const char *type;
    const char *bytes;
    size_t len;
    const char *merged;
    size_t merged_len;
} Merge;

static const Merge merges[] = {
    {"two parts of a singular message", "flowengine.v1.CreateWorkflowRequest",
     BYTES("\x0a\x03\x0a\x01i\x0a\x03\x12\x01n"), BYTES("\x0a\x06\x0a\x01i\x12\x01n")},
    {"parts within parts", "flowengine.v1.CreateWorkflowRequest",
     BYTES("\x0a\x04\x52\x02\x08\x05\x0a\x07\x52\x02\x10\x07\x12\x01n"),
     BYTES("\x0a\x09\x52\x04\x08\x05\x10\x07\x12\x01n")},
    {"elements of a repeated field stay apart", "flowengine.v1.CreateWorkflowRequest",
     BYTES("\x0a\x0a\x22\x03\x0a\x01"
           "a\x22\x03\x0a\x01"
           "b\x0a\x00"),
     BYTES("\x0a\x0a\x22\x03\x0a\x01"
           "a\x22\x03\x0a\x01"
           "b")},
    {"a later member of the oneof wipes out", "flowengine.v1.AttachRequest",
     BYTES("\x0a\x03\x0a\x01"
           "a\x12\x02\x08\x01\x0a\x03\x1a\x01"
           "b"),
     BYTES("\x0a\x03\x1a\x01"
           "b")},
    {"a run of one member is merged", "flowengine.v1.AttachRequest",
     BYTES("\x12\x02\x08\x01\x0a\x03\x0a\x01"
           "a\x0a\x03\x1a\x01"
           "b"),
     BYTES("\x0a\x06\x0a\x01"
           "a\x1a\x01"
           "b")},
    {"unknown fields are kept", "flowengine.v1.CreateWorkflowRequest",
     BYTES("\xf8\x3f\x01\x0a\x00\x0a\x03\x12\x01n\xf8\x3f\x02"),
     BYTES("\xf8\x3f\x01\x0a\x03\x12\x01n\xf8\x3f\x02")},
};

static void check_merge(void **state)
{
    const Merge *row = *state;
    FlowBuf to;
    flow_buf_init(&to, 0);
    flow_wire_merge(flow_wire_message(flow_wire_contract(), row->type), row->bytes, row->len, &to);
    assert_false(to.failed);
    assert_int_equal(to.len, row->merged_len);
    assert_memory_equal(to.data, row->merged, row->merged_len);
    flow_buf_done(&to);
}

/* A chain of messages in which every link comes twice must not multiply the memory. */
static void merging_costs_bounded_memory(void **state)
{
    (void)state;
    const FlowWireMessage *value = flow_wire_message(flow_wire_contract(), "google.protobuf.Value");
    FlowBuf bytes, whole;
    flow_buf_init(&bytes, 0);
    char *text = flow_calloc(1, 1 << 20);
    memset(text, 'x', 1 << 20);
    flow_put_bytes(&bytes, 3, text, 1 << 20);
    free(text);
    for (int i = 0; i < 45; i++) {
        FlowBuf list, outer;
        flow_buf_init(&list, 0);
        flow_buf_init(&outer, 0);
        flow_put_bytes(&list, 1, bytes.data, bytes.len);
        flow_put_bytes(&outer, 6, list.data, list.len);
        flow_put_bytes(&outer, 6, "", 0);
        flow_buf_done(&list);
        flow_buf_done(&bytes);
        bytes = outer;
    }
    flow_buf_init(&whole, 0);
    flow_wire_merge(value, bytes.data, bytes.len, &whole);
    assert_true(whole.failed);
    flow_buf_done(&whole);
    flow_buf_done(&bytes);
}

static void an_arena_that_is_too_small_is_an_error(void **state)
{
    (void)state;
    const FlowWireMessage *type =
        flow_wire_message(flow_wire_contract(), "flowengine.v1.CreateWorkflowRequest");
    const FlowWireScanLimits limits = FLOW_WIRE_SCAN_LIMITS_DEFAULT;
    for (size_t limit = 1; limit < 2048; limit += 16) {
        FlowArena arena;
        const ProtobufCMessage *message = NULL;
        FlowError error;
        flow_arena_init(&arena, limit);
        FlowStatus status =
            flow_wire_unpack(type, BYTES("\x0a\x06\x0a\x01i\x12\x01n"), &limits, &arena, &message, &error);
        assert_true(status == FLOW_OK ? message != NULL : status == FLOW_RESOURCE_EXHAUSTED);
        flow_arena_done(&arena);
    }
}

int main(void)
{
    struct CMUnitTest tests[FLOW_COUNT(merges) + 3];
    size_t count = 0;
    for (; count < FLOW_COUNT(merges); count++)
        tests[count] =
            (struct CMUnitTest){merges[count].name, check_merge, NULL, NULL, (void *)&merges[count]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(a_message_there_and_back);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(merging_costs_bounded_memory);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(an_arena_that_is_too_small_is_an_error);
    return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
