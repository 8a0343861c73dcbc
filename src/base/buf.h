/*
 * buf.h - bytes that grow up to a limit. One owner, no locks.
 *
 * Failure is sticky: once the limit or memory is exhausted, `failed` is set, later appends do nothing, and
 * the content so far stays. So a writer appends freely and looks at `failed` once, at the end.
 */
#ifndef FLOW_BASE_BUF_H
#define FLOW_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct FlowBuf {
    char *data; /* NULL while nothing was appended; not NUL-terminated, see flow_buf_text() */
    size_t len, capacity, limit;
    bool failed;
} FlowBuf;

/* `limit` in bytes; 0 means no limit. Takes no memory until the first append. */
void flow_buf_init(FlowBuf *buf, size_t limit);
/* Frees the content; the buffer may be used again. */
void flow_buf_done(FlowBuf *buf);
/* Empties it and clears `failed`; keeps the memory. */
void flow_buf_clear(FlowBuf *buf);

/* Room for `more` bytes beyond len; false (and failed) when there can't be. */
bool flow_buf_reserve_slow(FlowBuf *buf, size_t more);

static inline bool flow_buf_reserve(FlowBuf *buf, size_t more)
{
    if (more < buf->capacity - buf->len && !buf->failed)
        return true;
    return flow_buf_reserve_slow(buf, more);
}

static inline void flow_buf_append(FlowBuf *buf, const void *bytes, size_t len)
{
    if (len == 0 || !flow_buf_reserve(buf, len))
        return;
    memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
}

static inline void flow_buf_byte(FlowBuf *buf, char byte)
{
    if (flow_buf_reserve(buf, 1))
        buf->data[buf->len++] = byte;
}

static inline void flow_buf_str(FlowBuf *buf, const char *text)
{
    flow_buf_append(buf, text, strlen(text));
}

void flow_buf_printf(FlowBuf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void flow_buf_vprintf(FlowBuf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* The content with a NUL behind it (not counted in len); "" when empty; NULL when that byte can't be had. */
const char *flow_buf_text(FlowBuf *buf);
/* The content, NUL-terminated, now the caller's to free(); the buffer is empty afterwards. NULL when it had
 * failed. */
char *flow_buf_take(FlowBuf *buf, size_t *ret_len);

#endif
