/*
 * testee.c - what protobuf's conformance runner talks to: requests on standard input, answers on standard output, each
 * behind its length as four little-endian bytes. Every message takes the way that requests and answers take in flowd:
 * JSON to wire bytes, pre-scan, unpacked into the C structs, packed again, and back to JSON.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_messages_proto3.pb-c.h"

#include "base/mem.h"
#include "value/json.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/unpack.h"

enum { PROTOBUF = 1, JSON = 2, IGNORE_UNKNOWN = 3 };
/* Fields of ConformanceResponse. */
enum {
    PARSE_ERROR = 1,
    RUNTIME_ERROR = 2,
    PROTOBUF_PAYLOAD = 3,
    JSON_PAYLOAD = 4,
    SKIPPED = 5,
    SERIALIZE_ERROR = 6
};

static const FlowWirePool *pool;

static bool read_all(void *to, size_t len)
{
    for (char *at = to; len > 0;) {
        ssize_t got = read(STDIN_FILENO, at, len);
        if (got <= 0)
            return false;
        at += got;
        len -= (size_t)got;
    }
    return true;
}

static void answer(FlowBuf *to, uint32_t field, const void *bytes, size_t len)
{
    flow_put_bytes(to, field, bytes, len);
}

static void answer_text(FlowBuf *to, uint32_t field, const char *text)
{
    answer(to, field, text, strlen(text));
}

static FlowStatus from_json(const FlowWireMessage *type, FlowSpan json, unsigned flags, FlowBuf *to,
                            FlowError *error)
{
    static const FlowJsonLimits limits = {.depth = 100, .flags = FLOW_JSON_READ_BIG_AS_FLOAT};
    FlowValue value;
    FlowStatus status = flow_json_read((const char *)json.next, flow_span_len(json), &limits, &value, error);
    if (status != FLOW_OK)
        return status;
    status = flow_message_from_value(pool, type, value, flags, to, error);
    flow_value_unref(value);
    return status;
}

/* Unpacks and packs again, as the doors do. */
static FlowStatus through_structs(const FlowWireMessage *type, FlowBuf *bytes, FlowError *error)
{
    FlowWireScanLimits limits = FLOW_WIRE_SCAN_LIMITS_DEFAULT;
    FlowArena arena;
    flow_arena_init(&arena, 0);
    const ProtobufCMessage *message;
    FlowStatus status = flow_wire_unpack(type, bytes->data != NULL ? bytes->data : "", bytes->len, &limits,
                                         &arena, &message, error);
    if (status == FLOW_OK) {
        flow_buf_clear(bytes);
        flow_wire_pack(message, bytes);
    }
    flow_arena_done(&arena);
    return status;
}

static void serve(FlowSpan request, FlowBuf *to)
{
    FlowWireItem item;
    FlowSpan input = {0};
    int format_in = 0, format_out = 0;
    unsigned flags = 0;
    char type_name[256] = "";
    while (flow_span_next(&request, &item) > 0) {
        if (item.number == 1 || item.number == 2) {
            format_in = item.number == 1 ? PROTOBUF : JSON;
            input = item.bytes;
        } else if (item.number == 3) {
            format_out = (int)item.integer;
        } else if (item.number == 4) {
            snprintf(type_name, sizeof type_name, "%.*s", (int)flow_span_len(item.bytes),
                     (const char *)item.bytes.next);
        } else if (item.number == 5 && item.integer == IGNORE_UNKNOWN) {
            flags = FLOW_MESSAGE_IGNORE_UNKNOWN;
        }
    }
    if (strcmp(type_name, "conformance.FailureSet") == 0) {
        answer(to, PROTOBUF_PAYLOAD, "", 0);
        return;
    }
    const FlowWireMessage *type = flow_wire_message(pool, type_name);
    if (type == NULL || type->c == NULL || format_in == 0 || (format_out != PROTOBUF && format_out != JSON)) {
        answer_text(to, SKIPPED, "only proto3 in binary and JSON");
        return;
    }
    FlowError error;
    FlowBuf bytes, text;
    flow_buf_init(&bytes, 0);
    flow_buf_init(&text, 0);
    FlowStatus status = FLOW_OK;
    if (format_in == JSON)
        status = from_json(type, input, flags, &bytes, &error);
    else
        flow_buf_append(&bytes, input.next, flow_span_len(input));
    if (status == FLOW_OK)
        status = through_structs(type, &bytes, &error);
    FlowValue value;
    if (status != FLOW_OK) {
        answer_text(to, PARSE_ERROR, error.message);
    } else if (format_out == PROTOBUF) {
        answer(to, PROTOBUF_PAYLOAD, bytes.data, bytes.len);
    } else if (flow_message_to_value(pool, type, bytes.data != NULL ? bytes.data : "", bytes.len, 0, &value,
                                     &error) != FLOW_OK) {
        answer_text(to, SERIALIZE_ERROR, error.message);
    } else {
        if (flow_json_write(value, &text, 0, &error) == FLOW_OK)
            answer(to, JSON_PAYLOAD, text.data, text.len);
        else
            answer_text(to, SERIALIZE_ERROR, error.message);
        flow_value_unref(value);
    }
    flow_buf_done(&bytes);
    flow_buf_done(&text);
}

int main(void)
{
    FlowError error;
    FlowWirePool *made;
    FlowBuf set;
    flow_buf_init(&set, 0);
    const char *path = getenv("FLOW_TEST_MESSAGES");
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "FLOW_TEST_MESSAGES names no descriptor set\n");
        return 2;
    }
    char piece[65536];
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;)
        flow_buf_append(&set, piece, got);
    fclose(file);
    FlowStatus status = flow_wire_pool_new(set.data, set.len, &made, &error);
    if (status == FLOW_OK)
        status = flow_wire_pool_join(made, &protobuf_test_messages__proto3__test_all_types_proto3__descriptor,
                                     &error);
    if (status != FLOW_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    pool = made;
    for (uint32_t len; read_all(&len, sizeof len);) {
        char *request = flow_malloc(len + 1);
        if (!read_all(request, len))
            return 1;
        FlowBuf response;
        flow_buf_init(&response, 0);
        serve(flow_span(request, len), &response);
        uint32_t out = (uint32_t)response.len;
        if (write(STDOUT_FILENO, &out, sizeof out) != sizeof out ||
            write(STDOUT_FILENO, response.data != NULL ? response.data : "", out) != (ssize_t)out)
            return 1;
        flow_buf_done(&response);
        free(request);
    }
    flow_wire_pool_free(made);
    flow_buf_done(&set);
    return 0;
}
