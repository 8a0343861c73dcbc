#include "base/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { TEXT_MAX = 8 * 1024, LINE_MAX_BYTES = 64 * 1024 };

static const char *const level_names[FLOW_LOG_LEVEL_COUNT] = {"debug", "info", "warning", "error"};

static struct {
    _Atomic int least;
    FlowLogFormat format;
    int fd;
    const FlowClock *clock;
} sink = {FLOW_LOG_INFO, FLOW_LOG_HUMAN, STDERR_FILENO, NULL};

void flow_log_setup(FlowLogLevel least, FlowLogFormat format, int fd, const FlowClock *clock)
{
    sink.format = format;
    sink.fd = fd;
    sink.clock = clock;
    flow_log_set_level(least);
}

void flow_log_set_level(FlowLogLevel least)
{
    atomic_store_explicit(&sink.least, (int)least, memory_order_relaxed);
}

bool flow_log_enabled(FlowLogLevel level)
{
    return (int)level >= atomic_load_explicit(&sink.least, memory_order_relaxed);
}

static void append_quoted(FlowBuf *line, const char *text, size_t len)
{
    flow_buf_byte(line, '"');
    if (len > TEXT_MAX)
        len = TEXT_MAX;
    for (size_t i = 0; i < len;) {
        size_t size;
        uint32_t code = flow_utf8_decode(text + i, len - i, &size);
        if (code == FLOW_UTF8_INVALID)
            flow_buf_str(line, "\\ufffd");
        else if (code == '"' || code == '\\')
            flow_buf_printf(line, "\\%c", (int)code);
        else if (code == '\n')
            flow_buf_str(line, "\\n");
        else if (code < 0x20 || code == 0x7f)
            flow_buf_printf(line, "\\u%04x", (unsigned)code);
        else
            flow_buf_append(line, text + i, size);
        i += size;
    }
    flow_buf_byte(line, '"');
}

/* A person reads key=word more easily than key="word"; anything that could be mistaken gets quotes. */
static bool is_word(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return len > 0 && len <= TEXT_MAX;
}

static void append_value(FlowBuf *line, const FlowLogField *field)
{
    size_t len = field->text_len == SIZE_MAX ? strlen(field->text) : field->text_len;
    switch (field->kind) {
    case FLOW_LOG_FIELD_TEXT:
        if (sink.format == FLOW_LOG_HUMAN && is_word(field->text, len))
            flow_buf_append(line, field->text, len);
        else
            append_quoted(line, field->text, len);
        break;
    case FLOW_LOG_FIELD_INT:
        flow_buf_printf(line, "%" PRId64, field->integer);
        break;
    case FLOW_LOG_FIELD_FLOAT:
        if (isfinite(field->number))
            flow_buf_printf(line, "%.6g", field->number);
        else
            flow_buf_str(line, "null");
        break;
    case FLOW_LOG_FIELD_BOOL:
        flow_buf_str(line, field->integer ? "true" : "false");
        break;
    }
}

void flow_log_write(FlowLogLevel level, const char *message, const FlowLogField *fields, size_t count)
{
    FlowBuf line;
    flow_buf_init(&line, LINE_MAX_BYTES);
    char now[FLOW_TIME_TEXT];
    flow_time_format(flow_clock_wall_ns(sink.clock != NULL ? sink.clock : flow_clock_real()), now);
    if (sink.format == FLOW_LOG_JSON) {
        flow_buf_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", now, level_names[level]);
        append_quoted(&line, message, strlen(message));
    } else {
        flow_buf_printf(&line, "%s %-7s %s", now, level_names[level], message);
    }
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name == NULL || fields[i].text == NULL)
            continue;
        /* A field that does not fit is left out whole, so that the line stays well-formed. */
        size_t before = line.len;
        flow_buf_printf(&line, sink.format == FLOW_LOG_JSON ? ",\"%s\":" : " %s=", fields[i].name);
        append_value(&line, &fields[i]);
        if (line.failed || line.len > LINE_MAX_BYTES - 2) {
            line.failed = false;
            line.len = before;
        }
    }
    flow_buf_str(&line, sink.format == FLOW_LOG_JSON ? "}\n" : "\n");
    if (line.len > 0) {
        ssize_t written = write(sink.fd, line.data, line.len);
        (void)written; /* nobody is left to tell */
    }
    flow_buf_done(&line);
}

void flow_log_error(FlowLogLevel level, const char *message, const FlowError *error)
{
    flow_log(level, message, FLOW_F_STR("error", error->message),
             FLOW_F_STR("status", flow_status_name(error->status)),
             FLOW_F_STR("reason", error->reason[0] != '\0' ? error->reason : NULL),
             FLOW_F_STR("where", error->where[0] != '\0' ? error->where : NULL));
}

int flow_log_level_from_name(const char *name)
{
    for (size_t i = 0; i < FLOW_COUNT(level_names); i++)
        if (strcmp(level_names[i], name) == 0)
            return (int)i;
    return -1;
}

const char *flow_log_level_name(FlowLogLevel level)
{
    return level_names[level];
}
