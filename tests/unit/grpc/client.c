#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <string.h>

#include "client.h"

void test_client_open(TestClient *client, const char *address)
{
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, .value.integer = 1},
        {.type = GRPC_ARG_INTEGER, .key = (char *)GRPC_ARG_ENABLE_RETRIES, .value.integer = 0},
    };
    grpc_init();
    grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
    client->channel = grpc_channel_create(address, credentials, &(grpc_channel_args){2, args});
    grpc_channel_credentials_release(credentials);
}

void test_client_close(TestClient *client)
{
    grpc_channel_destroy(client->channel);
    grpc_shutdown();
}

/* One batch, to its end. */
static bool run(TestStream *stream, const grpc_op *ops, size_t count)
{
    assert_int_equal(grpc_call_start_batch(stream->call, ops, count, stream, NULL), GRPC_CALL_OK);
    grpc_event event = grpc_completion_queue_next(stream->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    assert_int_equal(event.type, GRPC_OP_COMPLETE);
    return event.success != 0;
}

static void open_with(TestClient *client, const char *method, int deadline_ms, grpc_metadata *metadata,
                      size_t count, TestStream *stream)
{
    memset(stream, 0, sizeof *stream);
    grpc_metadata_array_init(&stream->head);
    grpc_metadata_array_init(&stream->trailer);
    gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    if (deadline_ms != 0)
        deadline =
            gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(deadline_ms, GPR_TIMESPAN));
    stream->cq = grpc_completion_queue_create_for_next(NULL);
    grpc_slice name = grpc_slice_from_copied_string(method);
    stream->call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, stream->cq, name,
                                            NULL, deadline, NULL);
    grpc_slice_unref(name);
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_INITIAL_METADATA;
    op.data.send_initial_metadata.count = count;
    op.data.send_initial_metadata.metadata = metadata;
    run(stream, &op, 1);
}

void test_stream_open(TestClient *client, const char *method, int deadline_ms, TestStream *ret_stream)
{
    open_with(client, method, deadline_ms, NULL, 0, ret_stream);
}

void test_stream_send(TestStream *stream, const void *bytes, size_t len)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes, len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = buffer;
    run(stream, &op, 1);
    grpc_byte_buffer_destroy(buffer);
    grpc_slice_unref(slice);
}

void test_stream_half_close(TestStream *stream)
{
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    run(stream, &op, 1);
}

static void copy_value(const grpc_metadata_array *from, const char *key, char *to, size_t size,
                       size_t *ret_len)
{
    for (size_t i = 0; i < from->count; i++) {
        if (grpc_slice_str_cmp(from->metadata[i].key, key) != 0)
            continue;
        size_t len = GRPC_SLICE_LENGTH(from->metadata[i].value);
        assert_in_range(len, 0, size - 1);
        memcpy(to, GRPC_SLICE_START_PTR(from->metadata[i].value), len);
        to[len] = '\0';
        *ret_len = len;
    }
}

bool test_stream_receive(TestStream *stream, TestReply *reply)
{
    grpc_byte_buffer *buffer = NULL;
    grpc_op ops[2];
    size_t count = 0;
    memset(ops, 0, sizeof ops);
    if (!stream->head_asked) {
        stream->head_asked = true;
        ops[count].op = GRPC_OP_RECV_INITIAL_METADATA;
        ops[count++].data.recv_initial_metadata.recv_initial_metadata = &stream->head;
    }
    ops[count].op = GRPC_OP_RECV_MESSAGE;
    ops[count++].data.recv_message.recv_message = &buffer;
    run(stream, ops, count);
    if (buffer == NULL)
        return false;
    grpc_byte_buffer_reader reader;
    grpc_byte_buffer_reader_init(&reader, buffer);
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    reply->len =
        GRPC_SLICE_LENGTH(slice) < sizeof reply->bytes ? GRPC_SLICE_LENGTH(slice) : sizeof reply->bytes;
    memcpy(reply->bytes, GRPC_SLICE_START_PTR(slice), reply->len);
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(buffer);
    return true;
}

void test_stream_cancel(TestStream *stream)
{
    grpc_call_cancel(stream->call, NULL);
}

void test_stream_finish(TestStream *stream, TestReply *reply)
{
    grpc_status_code status = GRPC_STATUS_OK;
    grpc_slice text = grpc_empty_slice();
    grpc_op ops[2];
    size_t len = 0, count = 0;
    memset(ops, 0, sizeof ops);
    if (!stream->head_asked) {
        ops[count].op = GRPC_OP_RECV_INITIAL_METADATA;
        ops[count++].data.recv_initial_metadata.recv_initial_metadata = &stream->head;
    }
    ops[count].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[count].data.recv_status_on_client.status = &status;
    ops[count].data.recv_status_on_client.status_details = &text;
    ops[count++].data.recv_status_on_client.trailing_metadata = &stream->trailer;
    run(stream, ops, count);
    reply->status = status;
    size_t shown = GRPC_SLICE_LENGTH(text) < sizeof reply->message - 1 ? GRPC_SLICE_LENGTH(text)
                                                                       : sizeof reply->message - 1;
    memcpy(reply->message, GRPC_SLICE_START_PTR(text), shown);
    reply->message[shown] = '\0';
    copy_value(&stream->head, "x-request-id", reply->request_id, sizeof reply->request_id, &len);
    copy_value(&stream->trailer, "x-request-id", reply->request_id, sizeof reply->request_id, &len);
    copy_value(&stream->trailer, "grpc-status-details-bin", reply->details, sizeof reply->details,
               &reply->details_len);
    grpc_slice_unref(text);
    grpc_metadata_array_destroy(&stream->head);
    grpc_metadata_array_destroy(&stream->trailer);
    grpc_call_unref(stream->call);
    grpc_completion_queue_shutdown(stream->cq);
    while (grpc_completion_queue_next(stream->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(stream->cq);
}

void test_client_call(TestClient *client, const char *method, const void *bytes, size_t len, int deadline_ms,
                      const char *key, const char *value, TestReply *ret_reply)
{
    TestStream stream;
    grpc_metadata metadata;
    memset(ret_reply, 0, sizeof *ret_reply);
    memset(&metadata, 0, sizeof metadata);
    if (key != NULL) {
        metadata.key = grpc_slice_from_static_string(key);
        metadata.value = grpc_slice_from_static_string(value);
    }
    open_with(client, method, deadline_ms, &metadata, key != NULL ? 1 : 0, &stream);
    test_stream_send(&stream, bytes, len);
    test_stream_half_close(&stream);
    test_stream_receive(&stream, ret_reply);
    test_stream_finish(&stream, ret_reply);
}
