#include "store/blob.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

struct FlowBlob {
    _Atomic uint32_t refs;
    size_t len;
    const void *bytes;                                   /* behind this struct, or `owned` */
    void *owned;                                         /* NULL, or what a buffer gave away */
    bool (*encode)(const void *attachment, FlowBuf *to); /* not NULL: the bytes are still to be made */
    void *attachment;
    size_t attachment_size;
    void (*free_attachment)(void *attachment);
    char content[];
};

static FlowBlob *init(FlowBlob *blob)
{
    *blob = (FlowBlob){.bytes = ""};
    atomic_init(&blob->refs, 1);
    return blob;
}

FlowBlob *flow_blob_new(const void *bytes, size_t len)
{
    FlowBlob *blob = len < SIZE_MAX - sizeof *blob ? flow_try_malloc(sizeof *blob + len) : NULL;
    if (blob == NULL)
        return NULL;
    init(blob);
    if (len != 0) {
        memcpy(blob->content, bytes, len);
        blob->bytes = blob->content;
        blob->len = len;
    }
    return blob;
}

FlowBlob *flow_blob_take(FlowBuf *buf)
{
    if (buf->failed)
        return NULL;
    FlowBlob *blob = init(flow_malloc(sizeof *blob));
    if (buf->len != 0) {
        blob->len = buf->len;
        blob->bytes = blob->owned = buf->data;
        *buf = (FlowBuf){.limit = buf->limit};
    }
    return blob;
}

FlowBlob *flow_blob_lazy(bool (*encode)(const void *, FlowBuf *), void *attachment,
                         void (*free_attachment)(void *))
{
    FlowBlob *blob = init(flow_malloc(sizeof *blob));
    blob->encode = encode;
    blob->attachment = attachment;
    blob->free_attachment = free_attachment;
    return blob;
}

FlowBlob *flow_blob_ref(FlowBlob *blob)
{
    if (blob != NULL)
        atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

FlowBlob *flow_blob_unref(FlowBlob *blob)
{
    if (blob == NULL || atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) != 1)
        return NULL;
    if (blob->attachment != NULL && blob->free_attachment != NULL)
        blob->free_attachment(blob->attachment);
    free(blob->owned);
    free(blob);
    return NULL;
}

void flow_blob_attach(FlowBlob *blob, void *attachment, size_t size, void (*free_attachment)(void *))
{
    blob->attachment = attachment;
    blob->attachment_size = size;
    blob->free_attachment = free_attachment;
}

void *flow_blob_attachment(const FlowBlob *blob)
{
    return blob->attachment;
}

const void *flow_blob_bytes(FlowBlob *blob, size_t *ret_len)
{
    if (blob->encode != NULL) {
        FlowBuf buf;
        flow_buf_init(&buf, 0);
        if (blob->encode(blob->attachment, &buf) && !buf.failed && buf.len != 0) {
            blob->len = buf.len;
            blob->bytes = blob->owned = buf.data;
        } else {
            flow_buf_done(&buf);
        }
        blob->encode = NULL;
    }
    *ret_len = blob->len;
    return blob->bytes;
}

size_t flow_blob_len(FlowBlob *blob)
{
    size_t len;
    flow_blob_bytes(blob, &len);
    return len;
}

size_t flow_blob_memory(const FlowBlob *blob)
{
    return sizeof *blob + blob->len + blob->attachment_size;
}
