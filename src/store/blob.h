/*
 * blob.h - bytes shared by reference count: payloads, definitions, node states, whatever the store keeps but
 * doesn't look into.
 *
 * A blob never changes once made, so threads share it without a lock. It may carry an attachment: the same
 * content in decoded form. A payload that goes from one loop to the next through memory then needs no
 * decoding: the reader finds the attachment. What comes back from the disk has none.
 *
 * returned FlowBlob *      yours; give it back with flow_blob_unref()
 * FlowBlob *parameter      borrowed; who keeps it takes a reference
 */
#ifndef FLOW_STORE_BLOB_H
#define FLOW_STORE_BLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

typedef struct FlowBlob FlowBlob;

/* A copy of the bytes. NULL when there is no memory for them. */
FlowBlob *flow_blob_new(const void *bytes, size_t len);
/* What the buffer holds, without copying; the buffer is empty afterwards. NULL when the buffer had failed. */
FlowBlob *flow_blob_take(FlowBuf *buf);
/*
 * Bytes that are made when they are first asked for, on the thread that asks (the store's): for states of which
 * only the last one is ever written. `encode` gets the attachment and must be ready to run on any thread; false
 * means that there was no memory, and leaves an empty blob. Never NULL.
 */
FlowBlob *flow_blob_lazy(bool (*encode)(const void *attachment, FlowBuf *to), void *attachment,
                         void (*free_attachment)(void *attachment));

FlowBlob *flow_blob_ref(FlowBlob *blob);   /* NULL stays NULL */
FlowBlob *flow_blob_unref(FlowBlob *blob); /* always NULL */

/* For the blob's maker, before anybody else sees it. `size`: about how much memory it holds. */
void flow_blob_attach(FlowBlob *blob, void *attachment, size_t size,
                      void (*free_attachment)(void *attachment));
/* Borrowed; NULL when there is none. */
void *flow_blob_attachment(const FlowBlob *blob);

/* Borrowed for as long as the reference is held. "" for an empty one, never NULL. */
const void *flow_blob_bytes(FlowBlob *blob, size_t *ret_len);
size_t flow_blob_len(FlowBlob *blob);
/* What it takes of memory, attachment included. */
size_t flow_blob_memory(const FlowBlob *blob);

#endif
