#include "grpc/reflection.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest Request;
typedef Grpc__Reflection__V1__ServerReflectionResponse Response;

/* The two versions differ in nothing but the package: one handler speaks both. */
_Static_assert(sizeof(Request) == sizeof(Grpc__Reflection__V1alpha__ServerReflectionRequest),
               "layouts differ");
_Static_assert(sizeof(Response) == sizeof(Grpc__Reflection__V1alpha__ServerReflectionResponse),
               "layouts differ");

enum { EXTENSIONS_MAX = 64 };

typedef struct Session {
    FlowRpcCall *call;
    const FlowWirePool *pool;
    bool waiting; /* the next request is asked for when there is room again */
    bool sent[];  /* by index of the file: the client has it already */
} Session;

static size_t index_of(const FlowWirePool *pool, const FlowWireFile *file)
{
    return (size_t)(file - flow_wire_file_at(pool, 0));
}

static bool answer(Session *self, const Request *request, Response *response)
{
    response->valid_host = request->host;
    response->original_request = (Request *)request;
    return flow_rpc_send(self->call, &response->base);
}

static bool answer_error(Session *self, const Request *request, FlowStatus status, const char *message)
{
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    Response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    error.error_code = (int32_t)status;
    error.error_message = (char *)message;
    response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    response.error_response = &error;
    return answer(self, request, &response);
}

/* The file, and of what it imports, near things first, all that the client doesn't have yet. */
static bool answer_file(Session *self, const Request *request, const FlowWireFile *file)
{
    if (file == NULL)
        return answer_error(self, request, FLOW_NOT_FOUND, "the contract has nothing of this name");
    size_t total = flow_wire_file_count(self->pool), count = 0;
    const FlowWireFile **files = flow_calloc(total, sizeof *files);
    ProtobufCBinaryData *bytes = flow_calloc(total, sizeof *bytes);
    bool *listed = flow_calloc(total, sizeof *listed);
    files[count++] = file;
    listed[index_of(self->pool, file)] = true;
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (ProtobufCBinaryData){files[i]->len, (uint8_t *)files[i]->bytes};
        self->sent[index_of(self->pool, files[i])] = true;
        for (size_t k = 0; k < files[i]->import_count; k++) {
            const FlowWireFile *import = flow_wire_file(self->pool, files[i]->imports[k]);
            size_t at = import != NULL ? index_of(self->pool, import) : 0;
            if (import == NULL || listed[at] || self->sent[at])
                continue;
            listed[at] = true;
            files[count++] = import;
        }
    }
    Grpc__Reflection__V1__FileDescriptorResponse found = GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    Response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    found.n_file_descriptor_proto = count;
    found.file_descriptor_proto = bytes;
    response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    response.file_descriptor_response = &found;
    bool room = answer(self, request, &response);
    free(listed);
    free(bytes);
    free(files);
    return room;
}

static bool answer_extensions(Session *self, const Request *request, const char *type)
{
    if (flow_wire_message(self->pool, type) == NULL)
        return answer_error(self, request, FLOW_NOT_FOUND, "the contract has no message of this name");
    int32_t numbers[EXTENSIONS_MAX];
    size_t count = flow_wire_extensions_of(self->pool, type, numbers, EXTENSIONS_MAX);
    Grpc__Reflection__V1__ExtensionNumberResponse found =
        GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;
    Response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    found.base_type_name = (char *)type;
    found.n_extension_number = count < EXTENSIONS_MAX ? count : EXTENSIONS_MAX;
    found.extension_number = numbers;
    response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
    response.all_extension_numbers_response = &found;
    return answer(self, request, &response);
}

static bool answer_services(Session *self, const Request *request)
{
    size_t count = flow_wire_service_count(self->pool);
    Grpc__Reflection__V1__ServiceResponse *services = flow_calloc(count, sizeof *services);
    Grpc__Reflection__V1__ServiceResponse **list = flow_calloc(count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        grpc__reflection__v1__service_response__init(&services[i]);
        services[i].name = (char *)flow_wire_service_at(self->pool, i)->full_name;
        list[i] = &services[i];
    }
    Grpc__Reflection__V1__ListServiceResponse found = GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    Response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    found.n_service = count;
    found.service = list;
    response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    response.list_services_response = &found;
    bool room = answer(self, request, &response);
    free(list);
    free(services);
    return room;
}

static void on_message(FlowRpcCall *call, const void *message, void *data)
{
    Session *self = data;
    const Request *request = message;
    bool room = false;
    switch (request->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        room = answer_file(self, request, flow_wire_file(self->pool, request->file_by_filename));
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        room =
            answer_file(self, request, flow_wire_file_of_symbol(self->pool, request->file_containing_symbol));
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION: {
        const Grpc__Reflection__V1__ExtensionRequest *wanted = request->file_containing_extension;
        room = answer_file(self, request,
                           flow_wire_file_of_extension(self->pool, wanted->containing_type,
                                                       (uint32_t)wanted->extension_number));
        break;
    }
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        room = answer_extensions(self, request, request->all_extension_numbers_of_type);
        break;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        room = answer_services(self, request);
        break;
    default: {
        FlowError error;
        flow_error_set(&error, FLOW_INVALID_ARGUMENT, NULL, "message_request",
                       "the request asks for nothing");
        flow_rpc_end(call, &error);
        return;
    }
    }
    self->waiting = !room;
    if (room)
        flow_rpc_receive(call);
}

static void on_ready(FlowRpcCall *call, void *data)
{
    Session *self = data;
    if (self->waiting)
        flow_rpc_receive(call);
    self->waiting = false;
}

static void on_end(FlowRpcCall *call, void *data)
{
    (void)data;
    flow_rpc_end(call, NULL);
}

static const FlowRpcCallbacks callbacks = {
    .on_cancel = on_end,
    .on_drain = on_end,
    .on_ready = on_ready,
    .on_message = on_message,
    .on_half_close = on_end,
    .on_done = free,
};

static void reflect(FlowRpcCall *call, void *pool)
{
    Session *self = flow_calloc(1, sizeof *self + flow_wire_file_count(pool) * sizeof self->sent[0]);
    self->call = call;
    self->pool = pool;
    flow_rpc_watch(call, &callbacks, self);
    flow_rpc_receive(call);
}

FlowStatus flow_grpc_reflection_bind(FlowRpcServer *rpc, FlowError *reterr)
{
    static const FlowRpcBinding bindings[] = {
        {"grpc.reflection.v1.ServerReflection/ServerReflectionInfo", reflect},
        {"grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", reflect},
    };
    return flow_rpc_server_bind(rpc, bindings, FLOW_COUNT(bindings), (void *)flow_rpc_server_pool(rpc),
                                reterr);
}
