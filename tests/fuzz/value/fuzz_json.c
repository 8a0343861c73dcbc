/* Read, write, read again: the same value; and nothing that a text holds brings the reader down. */
#include <stdint.h>
#include <stdlib.h>

#include "value/json.h"
#include "value/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const unsigned styles[] = {
    0,
    FLOW_JSON_WRITE_PRETTY,
    FLOW_JSON_WRITE_ASCII | FLOW_JSON_WRITE_SORTED | FLOW_JSON_WRITE_SPACED,
};

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void round_trip(FlowValue value, unsigned style)
{
    FlowBuf buf;
    FlowValue again;
    FlowError error;
    flow_buf_init(&buf, 0);
    check(flow_json_write(value, &buf, style, &error) == FLOW_OK);
    check(flow_json_read(buf.data, buf.len, &(FlowJsonLimits){.depth = FLOW_VALUE_MAX_DEPTH}, &again,
                         &error) == FLOW_OK);
    check(flow_value_equal(value, again));
    check(flow_value_size(value) == flow_value_size(again) &&
          flow_value_depth(value) == flow_value_depth(again));
    FlowHash128 a = flow_value_hash(value), b = flow_value_hash(again);
    check(a.low == b.low && a.high == b.high);
    flow_value_unref(again);
    flow_buf_done(&buf);
}

/* Puts each member of an object back over itself, by its path, in a copy. */
static void paths(FlowValue value)
{
    size_t count;
    const FlowMember *members = flow_object_members(value, &count);
    FlowValue copy = flow_value_ref(value);
    for (size_t i = 0; i < count && i < 20; i++) {
        FlowBuf text;
        FlowPath *path;
        bool removed = false;
        flow_buf_init(&text, 0);
        flow_path_append_key(&text, flow_value_text(&members[i].key), flow_value_length(&members[i].key));
        if (flow_path_parse(text.data, text.len, &path, NULL) == FLOW_OK) {
            check(flow_path_get(value, path) == &members[i].value);
            check(flow_path_remove(&copy, path, &removed, NULL) == FLOW_OK && removed);
            check(flow_path_set_take(&copy, path, flow_value_ref(members[i].value), NULL) == FLOW_OK);
            flow_path_free(path);
        } else {
            check(text.len > FLOW_PATH_MAX_BYTES);
        }
        flow_buf_done(&text);
    }
    check(flow_value_equal(value, copy));
    flow_value_unref(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    /* The first byte chooses options, so that the corpus stays readable after it. */
    FlowJsonLimits limits = {
        .depth = FLOW_VALUE_MAX_DEPTH, .flags = data[0] & 7, .values = data[0] & 8 ? 100 : 0};
    FlowValue value;
    FlowError error;
    if (flow_json_read((const char *)data + 1, size - 1, &limits, &value, &error) != FLOW_OK) {
        check(error.message[0] != '\0' && error.reason[0] != '\0');
        return 0;
    }
    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++)
        round_trip(value, styles[i]);
    paths(value);
    flow_value_unref(value);
    return 0;
}
