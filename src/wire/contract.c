#include <pthread.h>
#include <stdlib.h>

/* In angle brackets: this folder has a descriptors.h too, and it is the one in generated/ that is meant. */
#include <descriptors.h>

#include "base/log.h"
#include "base/mem.h"
#include "flowengine/v1/dead_letter_service.pb-c.h"
#include "flowengine/v1/development_service.pb-c.h"
#include "flowengine/v1/node_type_service.pb-c.h"
#include "flowengine/v1/production_service.pb-c.h"
#include "flowengine/v1/queue_service.pb-c.h"
#include "flowengine/v1/system_service.pb-c.h"
#include "flowengine/v1/webhook_service.pb-c.h"
#include "flowengine/v1/worker_service.pb-c.h"
#include "flowengine/v1/workflow_service.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"
#include "wire/descriptors.h"

/* Everything that is reached from these gets its generated code; a test finds a service that is missing. */
static const ProtobufCServiceDescriptor *const services[] = {
    &flowengine__v1__dead_letter_service__descriptor,
    &flowengine__v1__development_service__descriptor,
    &flowengine__v1__node_type_service__descriptor,
    &flowengine__v1__production_service__descriptor,
    &flowengine__v1__queue_service__descriptor,
    &flowengine__v1__system_service__descriptor,
    &flowengine__v1__webhook_service__descriptor,
    &flowengine__v1__worker_service__descriptor,
    &flowengine__v1__workflow_service__descriptor,
    &grpc__health__v1__health__descriptor,
    &grpc__reflection__v1__server_reflection__descriptor,
    &grpc__reflection__v1alpha__server_reflection__descriptor,
};

/* What errors carry, inside an Any. */
static const ProtobufCMessageDescriptor *const messages[] = {
    &google__rpc__status__descriptor,        &google__rpc__error_info__descriptor,
    &google__rpc__bad_request__descriptor,   &google__rpc__precondition_failure__descriptor,
    &google__rpc__resource_info__descriptor, &google__rpc__retry_info__descriptor,
};

static FlowWirePool *contract;

static FlowStatus load(FlowError *reterr)
{
    size_t len = (size_t)(flow_descriptors_end - flow_descriptors_begin);
    FlowStatus status = flow_wire_pool_new(flow_descriptors_begin, len, &contract, reterr);
    for (size_t i = 0; status == FLOW_OK && i < FLOW_COUNT(services); i++)
        status = flow_wire_pool_join_service(contract, services[i], reterr);
    for (size_t i = 0; status == FLOW_OK && i < FLOW_COUNT(messages); i++)
        status = flow_wire_pool_join(contract, messages[i], reterr);
    return status;
}

static void load_once(void)
{
    FlowError error;
    if (load(&error) != FLOW_OK) {
        flow_log_error(FLOW_LOG_ERROR, "this program was built from two different contracts", &error);
        abort();
    }
}

const FlowWirePool *flow_wire_contract(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_once);
    return contract;
}
