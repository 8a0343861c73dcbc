/* fields_text.c - text, secrets, patterns, slugs, UUIDs. */
#include "forms/internal.h"

#include <string.h>

/* What Django's CharField.to_python() does: str(), strip(), the empty value. */
bool flow_field__convert_text(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    const FlowField *field = cleaning->field;
    bool keep = field->spec->type == FLOW_FIELD_REGEX ? !(field->spec->flags & FLOW_FIELD_STRIP)
                                                      : (field->spec->flags & FLOW_FIELD_KEEP_SPACE) != 0;
    if (flow_value__is_empty(raw)) {
        *ret_value = flow_value_ref(field->empty_value);
        return true;
    }
    bool ok = true, is_string = flow_value_kind(raw) == FLOW_VALUE_STRING;
    FlowBuf buf;
    flow_buf_init(&buf, FLOW_VALUE_MAX_SIZE / 2);
    if (!is_string)
        flow_py__print(&buf, raw);
    const char *text = is_string ? flow_value_text(&raw) : buf.data;
    size_t len = is_string ? flow_value_length(&raw) : buf.len, whole = len;
    if (buf.failed) {
        flow_buf_done(&buf);
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_TOO_LARGE, NULL);
    }
    if (!keep)
        flow_py__strip(&text, &len);
    if (len == 0)
        *ret_value = flow_value_ref(field->empty_value);
    else if (is_string && len == whole)
        *ret_value = flow_value_ref(raw);
    else
        ok = flow_cleaning__string(cleaning, text, len, ret_value);
    flow_buf_done(&buf);
    return ok;
}

void flow_field__check_lengths(FlowCleaning *cleaning, FlowValue value)
{
    const FlowField *field = cleaning->field;
    uint32_t min = field->spec->min_length, max = field->max_length;
    if ((min == 0 && max == 0) || flow_value_kind(value) != FLOW_VALUE_STRING)
        return;
    size_t len = flow_py__len(value);
    FlowMessageArgs args = {.show = flow_value_int((int64_t)len), .value = value};
    if (min != 0 && len < min) {
        args.limit = flow_value_int(min);
        args.count = min;
        flow_cleaning__fail(cleaning, FLOW_MESSAGE_MIN_LENGTH, &args);
    }
    if (max != 0 && len > max) {
        args.limit = flow_value_int(max);
        args.count = max;
        flow_cleaning__fail(cleaning, FLOW_MESSAGE_MAX_LENGTH, &args);
    }
}

void flow_field__check_nul(FlowCleaning *cleaning, FlowValue value)
{
    if (flow_value_kind(value) == FLOW_VALUE_STRING &&
        memchr(flow_value_text(&value), '\0', flow_value_length(&value)) != NULL)
        flow_cleaning__fail(cleaning, FLOW_MESSAGE_NUL, &(FlowMessageArgs){.value = value});
}

static void check_text(FlowCleaning *cleaning, FlowValue value)
{
    flow_field__check_lengths(cleaning, value);
    flow_field__check_nul(cleaning, value);
}

static bool convert_secret(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    if (flow_value_kind(raw) == FLOW_VALUE_STRING && flow_value_text_equals(&raw, FLOW_SECRET_MASK))
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_SECRET_MASK, NULL);
    return flow_field__convert_text(cleaning, raw, ret_value);
}

static void check_regex(FlowCleaning *cleaning, FlowValue value)
{
    check_text(cleaning, value);
    if (!flow_pattern__found(cleaning->field->pattern, flow_value_text(&value), flow_value_length(&value)))
        flow_cleaning__fail(cleaning, FLOW_MESSAGE_REGEX, &(FlowMessageArgs){.value = value});
}

static bool is_slug(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_'))
            return false;
    }
    return len > 0;
}

static void check_slug(FlowCleaning *cleaning, FlowValue value)
{
    const char *text = flow_value_text(&value);
    size_t len = flow_value_length(&value);
    bool unicode = (cleaning->field->spec->flags & FLOW_FIELD_UNICODE) != 0;
    if (!(unicode ? flow_pattern__found(cleaning->field->pattern, text, len) : is_slug(text, len)))
        flow_cleaning__fail(cleaning, unicode ? FLOW_MESSAGE_UNICODE_SLUG : FLOW_MESSAGE_SLUG,
                            &(FlowMessageArgs){.value = value});
    check_text(cleaning, value);
}

/* Takes every occurrence of `word` out of the text. */
static size_t without(char *text, size_t len, const char *word)
{
    size_t to = 0, word_len = strlen(word);
    for (size_t i = 0; i < len;) {
        if (len - i >= word_len && memcmp(text + i, word, word_len) == 0)
            i += word_len;
        else
            text[to++] = text[i++];
    }
    return to;
}

/* Python's UUID(): any mixture of urn:, uuid:, braces and hyphens around 32 hexadecimal digits. */
static bool read_uuid(const char *text, size_t len, char to[36])
{
    char hex[128];
    if (len > sizeof hex)
        return false;
    memcpy(hex, text, len);
    len = without(hex, len, "urn:");
    len = without(hex, len, "uuid:");
    const char *at = hex;
    while (len > 0 && (*at == '{' || *at == '}'))
        at++, len--;
    while (len > 0 && (at[len - 1] == '{' || at[len - 1] == '}'))
        len--;
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        char c = at[i];
        if (c == '-')
            continue;
        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) || count == 36)
            return false;
        if (count == 8 || count == 13 || count == 18 || count == 23)
            to[count++] = '-';
        to[count++] = c;
    }
    return count == 36;
}

static bool convert_uuid(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    char text[36];
    FlowValue value = flow_value_null();
    if (!flow_field__convert_text(cleaning, raw, &value))
        return false;
    if (flow_value__is_empty(value)) {
        flow_value_unref(value);
        *ret_value = flow_value_null();
        return true;
    }
    bool ok = read_uuid(flow_value_text(&value), flow_value_length(&value), text);
    flow_value_unref(value);
    if (!ok)
        return flow_cleaning__fail(cleaning, FLOW_MESSAGE_UUID, NULL);
    *ret_value = flow_value_stringn(text, sizeof text);
    return true;
}

const FlowFieldOps flow_field__text = {
    .name = "CharField",
    .widget = FLOW_WIDGET_TEXT,
    .options = FLOW_OPTION_LENGTH | FLOW_OPTION_EMPTY_VALUE,
    .convert = flow_field__convert_text,
    .check = check_text,
};

const FlowFieldOps flow_field__secret = {
    .name = "SecretField",
    .widget = FLOW_WIDGET_PASSWORD,
    .options = FLOW_OPTION_LENGTH | FLOW_OPTION_EMPTY_VALUE,
    .convert = convert_secret,
    .check = check_text,
};

const FlowFieldOps flow_field__regex = {
    .name = "RegexField",
    .widget = FLOW_WIDGET_TEXT,
    .options = FLOW_OPTION_LENGTH | FLOW_OPTION_REGEX | FLOW_OPTION_EMPTY_VALUE,
    .convert = flow_field__convert_text,
    .check = check_regex,
};

const FlowFieldOps flow_field__slug = {
    .name = "SlugField",
    .widget = FLOW_WIDGET_TEXT,
    .options = FLOW_OPTION_LENGTH | FLOW_OPTION_EMPTY_VALUE,
    .convert = flow_field__convert_text,
    .check = check_slug,
};

const FlowFieldOps flow_field__uuid = {
    .name = "UUIDField",
    .widget = FLOW_WIDGET_TEXT,
    .convert = convert_uuid,
};
