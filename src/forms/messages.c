/* messages.c - what failures are told in: the table of messages, their placeholders, a field's own words. */
#include "forms/internal.h"

#include <string.h>

#include "base/utf8.h"

/* A message quotes what was entered; this much of it is enough for anybody. */
enum { MESSAGE_BYTES = 16 * 1024 };

const struct FlowMessage flow_form__messages[FLOW_MESSAGE_COUNT] = {
#define X(id, code, one, many) {code, one, many},
    FLOW_FORM_MESSAGES(X)
#undef X
};

/* The value that the placeholder "%(name)s" or "%(name)d" at `at` stands for; its length in *ret_len. */
static const FlowValue *placeholder(const char *at, const FlowMessageArgs *args, size_t *ret_len)
{
    const struct {
        const char *name;
        const FlowValue *value;
    } names[] = {{"%(limit_value)", &args->limit},
                 {"%(show_value)", &args->show},
                 {"%(value)", &args->value},
                 {"%(max)", &args->max}};
    for (size_t i = 0; i < FLOW_COUNT(names); i++) {
        size_t len = strlen(names[i].name);
        if (strncmp(at, names[i].name, len) == 0 && (at[len] == 's' || at[len] == 'd')) {
            *ret_len = len + 1;
            return names[i].value;
        }
    }
    return NULL;
}

static void expand(FlowBuf *to, const char *text, const FlowMessageArgs *args)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "%");
        flow_buf_append(to, text, len);
        text += len;
        if (*text == '\0')
            break;
        const FlowValue *value = placeholder(text, args, &len);
        if (value != NULL) {
            flow_py__print(to, *value);
            text += len;
        } else {
            flow_buf_byte(to, '%');
            text += text[1] == '%' ? 2 : 1;
        }
    }
}

static bool fail(FlowCleaning *cleaning, FlowMessageId id, const char *text, const FlowMessageArgs *args)
{
    FlowBuf buf;
    flow_buf_init(&buf, MESSAGE_BYTES);
    if (args != NULL)
        expand(&buf, text, args);
    else
        flow_buf_str(&buf, text);
    /* A full buffer ends wherever it got full. */
    size_t len = buf.failed ? flow_utf8_valid_prefix(buf.data, buf.len) : buf.len;
    flow_form_errors__push(cleaning->errors, (int)cleaning->field->index, flow_form__messages[id].code,
                           buf.data != NULL ? buf.data : "", len);
    flow_buf_done(&buf);
    cleaning->failed = true;
    return false;
}

bool flow_cleaning__fail(FlowCleaning *cleaning, FlowMessageId id, const FlowMessageArgs *args)
{
    const struct FlowMessage *message = &flow_form__messages[id];
    const char *text = message->one;
    if (message->many != NULL && args != NULL && args->count != 1)
        text = message->many;
    const FlowFieldMessage *own = cleaning->field->spec->messages;
    for (; own != NULL && own->code != NULL; own++)
        if (strcmp(own->code, message->code) == 0)
            text = own->text;
    return fail(cleaning, id, text, args);
}

bool flow_cleaning__fail_plainly(FlowCleaning *cleaning, FlowMessageId id)
{
    return fail(cleaning, id, flow_form__messages[id].one, NULL);
}

bool flow_cleaning__string(FlowCleaning *cleaning, const char *text, size_t len, FlowValue *ret_value)
{
    if (flow_value_try_string(text, len, ret_value, NULL) == FLOW_OK)
        return true;
    return flow_cleaning__fail(cleaning, FLOW_MESSAGE_TOO_LARGE, NULL);
}
