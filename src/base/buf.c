#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void flow_buf_init(FlowBuf *buf, size_t limit)
{
    *buf = (FlowBuf){.limit = limit != 0 ? limit : SIZE_MAX};
}

void flow_buf_done(FlowBuf *buf)
{
    free(buf->data);
    flow_buf_init(buf, buf->limit);
}

void flow_buf_clear(FlowBuf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

bool flow_buf_reserve_slow(FlowBuf *buf, size_t more)
{
    if (buf->failed)
        return false;
    /* As a subtraction: len + more could wrap when `more` comes from a hostile header. */
    if (more > buf->limit - buf->len) {
        buf->failed = true;
        return false;
    }
    if (more <= buf->capacity - buf->len)
        return true;
    size_t wanted = buf->capacity < SIZE_MAX / 2 ? buf->capacity * 2 : SIZE_MAX;
    if (wanted < 64)
        wanted = 64;
    if (wanted < buf->len + more)
        wanted = buf->len + more;
    if (wanted > buf->limit)
        wanted = buf->limit;
    char *grown = realloc(buf->data, wanted);
    if (grown == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = grown;
    buf->capacity = wanted;
    return true;
}

void flow_buf_vprintf(FlowBuf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    char small[256];
    int wanted = vsnprintf(small, sizeof small, format, args);
    if (wanted >= 0 && (size_t)wanted < sizeof small) {
        flow_buf_append(buf, small, (size_t)wanted);
    } else if (wanted >= 0) {
        /* vsnprintf wants a byte for its NUL, which is not part of the content. */
        char *large = malloc((size_t)wanted + 1);
        if (large == NULL) {
            buf->failed = true;
        } else {
            vsnprintf(large, (size_t)wanted + 1, format, again);
            flow_buf_append(buf, large, (size_t)wanted);
            free(large);
        }
    }
    va_end(again);
}

void flow_buf_printf(FlowBuf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flow_buf_vprintf(buf, format, args);
    va_end(args);
}

/* The terminator may stand one byte beyond the limit: it is not content. */
static bool terminate(FlowBuf *buf)
{
    if (buf->len == buf->capacity) {
        char *grown = realloc(buf->data, buf->len + 1);
        if (grown == NULL)
            return false;
        buf->data = grown;
        buf->capacity = buf->len + 1;
    }
    buf->data[buf->len] = '\0';
    return true;
}

const char *flow_buf_text(FlowBuf *buf)
{
    if (buf->data == NULL)
        return "";
    return terminate(buf) ? buf->data : NULL;
}

char *flow_buf_take(FlowBuf *buf, size_t *ret_len)
{
    if (buf->failed || !terminate(buf))
        return NULL;
    char *data = buf->data;
    if (ret_len != NULL)
        *ret_len = buf->len;
    flow_buf_init(buf, buf->limit);
    return data;
}
