#include <grpc/compression.h>
#include <zlib.h>

#include "grpc/internal.h"

static FlowStatus broken(FlowError *reterr)
{
    return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, "MALFORMED_MESSAGE", NULL,
                          "the message can't be decompressed");
}

/* One piece of the input, to the end of it. */
static FlowStatus inflate_slice(z_stream *stream, const grpc_slice *slice, size_t limit, FlowBuf *to,
                                bool *ended, FlowError *reterr)
{
    stream->next_in = (Bytef *)GRPC_SLICE_START_PTR(*slice);
    stream->avail_in = (uInt)GRPC_SLICE_LENGTH(*slice);
    while (stream->avail_in > 0 && !*ended) {
        char piece[16384];
        stream->next_out = (Bytef *)piece;
        stream->avail_out = sizeof piece;
        int result = inflate(stream, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END)
            return broken(reterr);
        size_t len = sizeof piece - stream->avail_out;
        if (len > limit - to->len)
            return flow_error_set(
                reterr, FLOW_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", NULL,
                "the message has more than %zu bytes when it is decompressed: send less at a time", limit);
        flow_buf_append(to, piece, len);
        if (to->failed)
            return flow_error_no_memory(reterr, NULL, limit);
        *ended = result == Z_STREAM_END;
    }
    return stream->avail_in == 0 ? FLOW_OK : broken(reterr);
}

FlowStatus flow_grpc__inflate(const grpc_byte_buffer *buffer, size_t limit, FlowBuf *to, FlowError *reterr)
{
    enum { WINDOW = 15, GZIP = 16 };
    z_stream stream = {.next_in = NULL};
    bool gzip = buffer->data.raw.compression == GRPC_COMPRESS_GZIP, ended = false;
    if (inflateInit2(&stream, gzip ? WINDOW + GZIP : WINDOW) != Z_OK)
        return flow_error_no_memory(reterr, NULL, 1 << WINDOW);
    const grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    FlowStatus status = FLOW_OK;
    for (size_t i = 0; i < slices->count && status == FLOW_OK; i++)
        status = inflate_slice(&stream, &slices->slices[i], limit, to, &ended, reterr);
    inflateEnd(&stream);
    return status == FLOW_OK && !ended ? broken(reterr) : status;
}
