/* client.h - a blocking gRPC client for tests; a stream belongs to one thread. */
#ifndef FLOW_TEST_GRPC_CLIENT_H
#define FLOW_TEST_GRPC_CLIENT_H

#include <grpc/grpc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TestClient {
    grpc_channel *channel;
} TestClient;

typedef struct TestStream {
    grpc_completion_queue *cq;
    grpc_call *call;
    grpc_metadata_array head, trailer;
    bool head_asked;
} TestStream;

typedef struct TestReply {
    int status; /* gRPC code */
    char message[512];
    char request_id[160]; /* x-request-id of the answer */
    char details[8192];   /* grpc-status-details-bin */
    size_t details_len;
    char bytes[4096]; /* of the last message */
    size_t len;
} TestReply;

void test_client_open(TestClient *client, const char *address);
void test_client_close(TestClient *client);

/* A unary call. `key` and `value` are metadata (may be NULL), `deadline_ms` 0 is none. */
void test_client_call(TestClient *client, const char *method, const void *bytes, size_t len, int deadline_ms,
                      const char *key, const char *value, TestReply *ret_reply);

void test_stream_open(TestClient *client, const char *method, int deadline_ms, TestStream *ret_stream);
void test_stream_send(TestStream *stream, const void *bytes, size_t len);
void test_stream_half_close(TestStream *stream);
/* False: there are no more. */
bool test_stream_receive(TestStream *stream, TestReply *reply);
void test_stream_cancel(TestStream *stream);
/* Waits for the status and frees the stream. */
void test_stream_finish(TestStream *stream, TestReply *reply);

#endif
