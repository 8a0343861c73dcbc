/* fields_net.c - mail addresses and IP addresses. */
#include "forms/internal.h"

#include <string.h>

#include "base/utf8.h"

enum { EMAIL_MAX = 320, IPV6_MAX = 39 };

static bool is_atom_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-!#$%&'*+/=?^_`{}|~", c) != NULL);
}

/* Words joined by single dots: user.name+tag */
static bool is_dot_atom(const char *text, size_t len)
{
    bool word = false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.') {
            if (!word)
                return false;
            word = false;
        } else {
            size_t size;
            /* The dotless i and its three friends count as letters, as everywhere in this room. */
            uint32_t c = flow_utf8_decode(text + i, len - i, &size);
            if (c >= 0x80 ? c != 0x130 && c != 0x131 && c != 0x17f && c != 0x212a
                          : !is_atom_char((unsigned char)c))
                return false;
            i += size - 1;
            word = true;
        }
    }
    return word;
}

/* What may stand between the quotes of "…"@example.com: behind a backslash nearly everything. */
static bool is_quoted_char(unsigned char c, bool escaped)
{
    if (c == 0x00 || c == 0x0a || c == 0x0d || c >= 0x80)
        return false;
    return escaped || (c != 0x09 && c != 0x20 && c != '"' && c != '\\');
}

static bool is_quoted(const char *text, size_t len)
{
    if (len < 2 || text[0] != '"' || text[len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < len; i++) {
        if (is_quoted_char((unsigned char)text[i], false))
            continue;
        /* The closing quote can't be the one that is escaped. */
        if (text[i] != '\\' || i + 2 >= len || !is_quoted_char((unsigned char)text[++i], true))
            return false;
    }
    return true;
}

static bool is_ip(const char *text, size_t len)
{
    uint8_t address[16];
    return flow_ip__v4(text, len, address) || (len <= IPV6_MAX && flow_ip__v6(text, len, address));
}

static bool is_domain(const char *text, size_t len)
{
    if (len > 2 && text[0] == '[' && text[len - 1] == ']' && memchr(text, '%', len) == NULL &&
        is_ip(text + 1, len - 2))
        return true;
    return flow_host__email_domain(text, len);
}

static bool is_email(const char *text, size_t len)
{
    const char *at = memrchr(text, '@', len);
    if (at == NULL || flow_utf8_count(text, len) > EMAIL_MAX)
        return false;
    size_t user = (size_t)(at - text), domain = len - user - 1;
    if (!is_dot_atom(text, user) && !is_quoted(text, user))
        return false;
    if ((domain == 9 && memcmp(at + 1, "localhost", 9) == 0) || is_domain(at + 1, domain))
        return true;
    FlowBuf ascii;
    flow_buf_init(&ascii, 4096);
    bool ok =
        flow_host__to_ascii(at + 1, domain, &ascii) && !ascii.failed && is_domain(ascii.data, ascii.len);
    flow_buf_done(&ascii);
    return ok;
}

static void check_email(FlowCleaning *cleaning, FlowValue value)
{
    if (!is_email(flow_value_text(&value), flow_value_length(&value)))
        flow_cleaning__fail(cleaning, FLOW_MESSAGE_EMAIL, &(FlowMessageArgs){.value = value});
    flow_field__check_lengths(cleaning, value);
    flow_field__check_nul(cleaning, value);
}

static FlowMessageId ip_message(const FlowField *field)
{
    static const FlowMessageId ids[] = {FLOW_MESSAGE_IP, FLOW_MESSAGE_IPV4, FLOW_MESSAGE_IPV6};
    return ids[field->spec->protocol];
}

/* An IPv6 address is normalised here; everything else is judged by check_ip(). */
static bool convert_ip(FlowCleaning *cleaning, FlowValue raw, FlowValue *ret_value)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const FlowField *field = cleaning->field;
    uint8_t address[16];
    char printed[64];
    if (flow_value__is_empty(raw)) {
        *ret_value = flow_value_string("");
        return true;
    }
    if (flow_value_kind(raw) != FLOW_VALUE_STRING)
        return flow_cleaning__fail(cleaning, ip_message(field), NULL);
    const char *text = flow_value_text(&raw);
    size_t len = flow_value_length(&raw);
    flow_py__strip(&text, &len);
    if (memchr(text, ':', len) == NULL)
        return flow_cleaning__string(cleaning, text, len, ret_value);
    if (flow_utf8_count(text, len) > field->max_length || !flow_ip__v6(text, len, address))
        return flow_cleaning__fail_plainly(cleaning, FLOW_MESSAGE_BROKEN_IPV6);
    size_t count = flow_ip__print_v6(address, printed), skip = 0;
    if ((field->spec->flags & FLOW_FIELD_UNPACK_IPV4) && memcmp(address, mapped, sizeof mapped) == 0)
        skip = strlen("::ffff:");
    *ret_value = flow_value_stringn(printed + skip, count - skip);
    return true;
}

static void check_ip(FlowCleaning *cleaning, FlowValue value)
{
    const FlowField *field = cleaning->field;
    const char *text = flow_value_text(&value);
    size_t len = flow_value_length(&value);
    uint8_t address[16];
    bool v4 = flow_ip__v4(text, len, address);
    bool v6 = !v4 && len <= IPV6_MAX && flow_ip__v6(text, len, address);
    if (!((v4 && field->spec->protocol != FLOW_IP_V6) || (v6 && field->spec->protocol != FLOW_IP_V4)))
        flow_cleaning__fail(cleaning, ip_message(field), &(FlowMessageArgs){.value = value});
    flow_field__check_lengths(cleaning, value);
    flow_field__check_nul(cleaning, value);
}

const FlowFieldOps flow_field__email = {
    .name = "EmailField",
    .widget = FLOW_WIDGET_EMAIL,
    .options = FLOW_OPTION_LENGTH | FLOW_OPTION_EMPTY_VALUE,
    .max_length = EMAIL_MAX,
    .convert = flow_field__convert_text,
    .check = check_email,
};

const FlowFieldOps flow_field__ip = {
    .name = "GenericIPAddressField",
    .widget = FLOW_WIDGET_TEXT,
    .options = FLOW_OPTION_LENGTH | FLOW_OPTION_PROTOCOL,
    .max_length = IPV6_MAX,
    .convert = convert_ip,
    .check = check_ip,
};
