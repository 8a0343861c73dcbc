/*
 * pytext.c - text as Python sees it, because Django's fields are written in its terms: str() of values, what
 * counts as white space and as a digit, lengths in code points.
 */
#include "forms/internal.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "template/unicode.h"
#include "value/json.h"
#include "value/number.h"

bool flow_py__is_space(uint32_t code_point)
{
    return flow_unicode__is(code_point, UNI_SPACE);
}

bool flow_py__is_printable(uint32_t code_point)
{
    return flow_unicode__is(code_point, UNI_PRINTABLE);
}

static void strip(const char **text, size_t *len, bool (*is_space)(uint32_t))
{
    const char *at = *text, *end = at + *len;
    size_t size;
    while (at < end && is_space(flow_utf8_decode(at, (size_t)(end - at), &size)))
        at += size;
    while (end > at) {
        const char *last = end - 1;
        while (last > at && ((unsigned char)*last & 0xc0) == 0x80)
            last--;
        if (!is_space(flow_utf8_decode(last, (size_t)(end - last), &size)))
            break;
        end = last;
    }
    *text = at;
    *len = (size_t)(end - at);
}

void flow_py__strip(const char **text, size_t *len)
{
    strip(text, len, flow_py__is_space);
}

static bool is_number_space(uint32_t code_point)
{
    return flow_py__is_space(code_point) && !(code_point >= 0x1c && code_point <= 0x1f);
}

void flow_py__strip_number(const char **text, size_t *len)
{
    strip(text, len, is_number_space);
}

const char *flow_py__ascii_digits(const char *text, size_t *len, char **ret_buf)
{
    size_t i = 0;
    *ret_buf = NULL;
    while (i < *len && (unsigned char)text[i] < 0x80)
        i++;
    if (i == *len)
        return text;
    char *buf = flow_try_malloc(*len + 1);
    if (buf == NULL)
        return text;
    size_t to = 0;
    for (i = 0; i < *len;) {
        size_t size;
        uint32_t c = flow_utf8_decode(text + i, *len - i, &size);
        if (flow_unicode__is(c, UNI_DECIMAL)) {
            buf[to++] = (char)('0' + flow_unicode__decimal(c));
        } else {
            memcpy(buf + to, text + i, size);
            to += size;
        }
        i += size;
    }
    buf[to] = '\0';
    *len = to;
    return *ret_buf = buf;
}

size_t flow_py__len(FlowValue string)
{
    return flow_utf8_count(flow_value_text(&string), flow_value_length(&string));
}

static void print_repr(FlowBuf *to, const char *text, size_t len)
{
    char quote = memchr(text, '\'', len) != NULL && memchr(text, '"', len) == NULL ? '"' : '\'';
    flow_buf_byte(to, quote);
    for (size_t i = 0; i < len;) {
        size_t size;
        uint32_t c = flow_utf8_decode(text + i, len - i, &size);
        if (c == (unsigned char)quote || c == '\\')
            flow_buf_printf(to, "\\%c", (int)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            flow_buf_printf(to, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (flow_py__is_printable(c))
            flow_buf_append(to, text + i, size);
        else
            flow_buf_printf(to, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
        i += size;
    }
    flow_buf_byte(to, quote);
}

/* Depth is bounded by FLOW_VALUE_MAX_DEPTH. */
static void print(FlowBuf *to, FlowValue value, bool repr)
{
    char number[FLOW_DOUBLE_TEXT];
    size_t count;
    switch (flow_value_kind(value)) {
    case FLOW_VALUE_BOOL:
        flow_buf_str(to, flow_value_get_bool(value) ? "True" : "False");
        break;
    case FLOW_VALUE_INT:
        flow_buf_append(to, number, flow_format_int(number, flow_value_get_int(value)));
        break;
    case FLOW_VALUE_FLOAT:
        flow_buf_append(to, number,
                        flow_format_double(number, flow_value_get_float(value), FLOW_DOUBLE_PYTHON));
        break;
    case FLOW_VALUE_STRING:
        if (repr)
            print_repr(to, flow_value_text(&value), flow_value_length(&value));
        else
            flow_buf_append(to, flow_value_text(&value), flow_value_length(&value));
        break;
    case FLOW_VALUE_ARRAY: {
        const FlowValue *items = flow_array_items(value, &count);
        flow_buf_byte(to, '[');
        for (size_t i = 0; i < count && !to->failed; i++) {
            if (i > 0)
                flow_buf_str(to, ", ");
            print(to, items[i], true);
        }
        flow_buf_byte(to, ']');
        break;
    }
    case FLOW_VALUE_OBJECT: {
        const FlowMember *members = flow_object_members(value, &count);
        flow_buf_byte(to, '{');
        for (size_t i = 0; i < count && !to->failed; i++) {
            if (i > 0)
                flow_buf_str(to, ", ");
            print(to, members[i].key, true);
            flow_buf_str(to, ": ");
            print(to, members[i].value, true);
        }
        flow_buf_byte(to, '}');
        break;
    }
    default:
        flow_buf_str(to, "None");
    }
}

void flow_py__print(FlowBuf *to, FlowValue value)
{
    print(to, value, false);
}

FlowValue flow_py__json_dumps(FlowValue value)
{
    FlowBuf buf;
    FlowValue text = flow_value_null();
    flow_buf_init(&buf, FLOW_VALUE_MAX_SIZE / 2);
    if (flow_json_write(value, &buf, FLOW_JSON_WRITE_SPACED, NULL) == FLOW_OK &&
        flow_value_try_string(buf.data, buf.len, &text, NULL) != FLOW_OK)
        text = flow_value_null();
    flow_buf_done(&buf);
    return text;
}
