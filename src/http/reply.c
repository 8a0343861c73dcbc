#include "http/reply.h"

#include <string.h>
#include <zlib.h>

#include "value/json.h"
#include "wire/json.h"

int flow_http_code_of(FlowStatus status, const char *reason)
{
    static const struct {
        const char *reason;
        int code;
    } ours[] = {
        {"METHOD_NOT_ALLOWED", 405},
        {"UNSUPPORTED_MEDIA_TYPE", 415},
        {"UPGRADE_REQUIRED", 426},
        {"NOT_ACCEPTABLE", 406},
    };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(ours[i].reason, reason) == 0)
            return ours[i].code;
    return flow_status_http(status);
}

void flow_http_status_json(const FlowRpcDetails *details, FlowBuf *to)
{
    const FlowWirePool *pool = flow_wire_contract();
    FlowBuf packed;
    FlowValue value;
    flow_buf_init(&packed, 0);
    flow_rpc_details_encode(details, &packed);
    FlowStatus status = flow_message_to_value(pool, flow_wire_message(pool, "google.rpc.Status"), packed.data,
                                              packed.len, 0, &value, NULL);
    if (status == FLOW_OK) {
        (void)flow_json_write(value, to, 0, NULL);
        flow_value_unref(value);
    } else {
        flow_buf_printf(to, "{\"code\":%d}", (int)details->status);
    }
    flow_buf_byte(to, '\n');
    flow_buf_done(&packed);
}

bool flow_http_gzip(FlowBuf *body)
{
    enum { GZIP = 15 + 16, LEVEL = 1, MEMORY = 8 };
    z_stream stream = {.next_in = (Bytef *)body->data, .avail_in = (uInt)body->len};
    if (body->len > UINT32_MAX / 2 ||
        deflateInit2(&stream, LEVEL, Z_DEFLATED, GZIP, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    FlowBuf packed;
    flow_buf_init(&packed, body->len);
    bool ok = flow_buf_reserve(&packed, body->len - 1);
    if (ok) {
        stream.next_out = (Bytef *)packed.data;
        stream.avail_out = (uInt)body->len - 1;
        ok = deflate(&stream, Z_FINISH) == Z_STREAM_END;
        packed.len = (size_t)stream.total_out;
    }
    deflateEnd(&stream);
    if (ok) {
        FlowBuf old = *body;
        *body = packed;
        packed = old;
    }
    flow_buf_done(&packed);
    return ok;
}
