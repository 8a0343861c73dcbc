#include "flowctl/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include "base/mem.h"

struct FlowClient {
    grpc_channel *channel;
    grpc_completion_queue *queue;
    double timeout_s;
};

enum { MESSAGE_MAX = 64 << 20, PEM_MAX = 1 << 20 };

static FlowStatus read_file(const char *path, char **ret_text, FlowError *reterr)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return flow_error_set(reterr, FLOW_INVALID_ARGUMENT, NULL, path, "can't open \"%s\": %s", path,
                              strerror(errno));
    char *text = flow_malloc(PEM_MAX);
    size_t len = fread(text, 1, PEM_MAX - 1, file);
    fclose(file);
    text[len] = '\0';
    *ret_text = text;
    return FLOW_OK;
}

static FlowStatus make_credentials(const FlowClientOptions *options, grpc_channel_credentials **ret,
                                   FlowError *reterr)
{
    if (options->tls_ca == NULL && options->tls_cert == NULL) {
        *ret = grpc_insecure_credentials_create();
        return FLOW_OK;
    }
    flow_cleanup(flow_freep) char *roots = NULL, *cert = NULL, *key = NULL;
    FlowStatus status = FLOW_OK;
    if (options->tls_ca != NULL)
        status = read_file(options->tls_ca, &roots, reterr);
    if (status == FLOW_OK && options->tls_cert != NULL)
        status = read_file(options->tls_cert, &cert, reterr);
    if (status == FLOW_OK && options->tls_key != NULL)
        status = read_file(options->tls_key, &key, reterr);
    if (status != FLOW_OK)
        return status;
    grpc_ssl_pem_key_cert_pair pair = {key, cert};
    *ret = grpc_ssl_credentials_create(roots, cert != NULL && key != NULL ? &pair : NULL, NULL, NULL);
    return FLOW_OK;
}

FlowStatus flow_client_open(const FlowClientOptions *options, FlowClient **ret_client, FlowError *reterr)
{
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    grpc_init();
    grpc_channel_credentials *credentials = NULL;
    FlowStatus status = make_credentials(options, &credentials, reterr);
    if (status != FLOW_OK) {
        grpc_shutdown();
        return status;
    }
    grpc_arg arg = {.type = GRPC_ARG_INTEGER,
                    .key = (char *)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
                    .value.integer = MESSAGE_MAX};
    FlowClient *client = flow_new(FlowClient);
    client->channel = grpc_channel_create(options->server, credentials, &(grpc_channel_args){1, &arg});
    client->queue = grpc_completion_queue_create_for_next(NULL);
    client->timeout_s = options->timeout_s;
    grpc_channel_credentials_release(credentials);
    *ret_client = client;
    return FLOW_OK;
}

FlowClient *flow_client_close(FlowClient *client)
{
    if (client == NULL)
        return NULL;
    grpc_channel_destroy(client->channel);
    grpc_completion_queue_shutdown(client->queue);
    while (grpc_completion_queue_next(client->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(client->queue);
    grpc_shutdown();
    free(client);
    return NULL;
}

/* One call under way: three batches, told apart by their tags (the addresses of these members). */
typedef struct Call {
    grpc_call *call;
    grpc_metadata_array initial, trailing;
    grpc_status_code code;
    grpc_slice text;
    grpc_byte_buffer *message;
    char begin_tag, message_tag, status_tag;
    bool reading, over;
} Call;

static void start(Call *call, const grpc_op *ops, size_t count, void *tag)
{
    grpc_call_error error = grpc_call_start_batch(call->call, ops, count, tag, NULL);
    GPR_ASSERT(error == GRPC_CALL_OK);
}

static void begin(Call *call, grpc_byte_buffer *request)
{
    grpc_op ops[4] = {0};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = request;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    start(call, ops, 4, &call->begin_tag);
    grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    status.data.recv_status_on_client.trailing_metadata = &call->trailing;
    status.data.recv_status_on_client.status = &call->code;
    status.data.recv_status_on_client.status_details = &call->text;
    start(call, &status, 1, &call->status_tag);
}

static void read_next(Call *call)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &call->message;
    start(call, &op, 1, &call->message_tag);
    call->reading = true;
}

/* False: the caller has enough. */
static bool deliver(Call *call, FlowClientMessage on_message, void *context)
{
    grpc_byte_buffer_reader reader;
    bool more = true;
    if (grpc_byte_buffer_reader_init(&reader, call->message)) {
        grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
        more = on_message(context, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
        grpc_slice_unref(slice);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    grpc_byte_buffer_destroy(call->message);
    call->message = NULL;
    return more;
}

static void take_details(const Call *call, FlowBuf *details)
{
    for (size_t i = 0; i < call->trailing.count; i++) {
        grpc_slice key = call->trailing.metadata[i].key, value = call->trailing.metadata[i].value;
        if (grpc_slice_str_cmp(key, "grpc-status-details-bin") == 0)
            flow_buf_append(details, GRPC_SLICE_START_PTR(value), GRPC_SLICE_LENGTH(value));
    }
}

static gpr_timespec deadline(const FlowClient *client)
{
    if (client->timeout_s <= 0)
        return gpr_inf_future(GPR_CLOCK_REALTIME);
    return gpr_time_add(gpr_now(GPR_CLOCK_REALTIME),
                        gpr_time_from_millis((int64_t)(client->timeout_s * 1000), GPR_TIMESPAN));
}

FlowStatus flow_client_call(FlowClient *client, const char *method, const FlowBuf *request,
                            FlowClientMessage on_message, void *context, FlowBuf *details, FlowError *reterr)
{
    char path[256];
    snprintf(path, sizeof path, "/%s", method);
    Call call = {.code = GRPC_STATUS_UNKNOWN};
    grpc_metadata_array_init(&call.initial);
    grpc_metadata_array_init(&call.trailing);
    call.text = grpc_empty_slice();
    grpc_slice path_slice = grpc_slice_from_copied_string(path);
    call.call = grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, client->queue,
                                         path_slice, NULL, deadline(client), NULL);
    grpc_slice_unref(path_slice);
    grpc_slice slice =
        grpc_slice_from_copied_buffer(request->data != NULL ? request->data : "", request->len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    begin(&call, buffer);
    read_next(&call);

    bool enough = false;
    for (int pending = 2; pending > 0 || call.reading;) {
        grpc_event event =
            grpc_completion_queue_next(client->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (event.tag != &call.message_tag) {
            pending--;
            continue;
        }
        call.reading = false;
        if (call.message == NULL)
            continue; /* the end of the stream; the status follows */
        if (!deliver(&call, on_message, context)) {
            enough = true;
            grpc_call_cancel(call.call, NULL);
        } else {
            read_next(&call);
        }
    }
    FlowStatus status = enough ? FLOW_OK : (FlowStatus)call.code;
    if (status != FLOW_OK) {
        char *text = grpc_slice_to_c_string(call.text);
        flow_error_set(reterr, status, NULL, NULL, "%s", text);
        gpr_free(text);
        take_details(&call, details);
    }
    grpc_byte_buffer_destroy(buffer);
    grpc_slice_unref(call.text);
    grpc_metadata_array_destroy(&call.initial);
    grpc_metadata_array_destroy(&call.trailing);
    grpc_call_unref(call.call);
    return status;
}
