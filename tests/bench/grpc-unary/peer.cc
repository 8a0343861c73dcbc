// The peer: what the C++ documentation shows as an asynchronous server, one completion queue, one thread.
#include <grpcpp/grpcpp.h>

#include <cstdio>

#include "grpc/health/v1/health.grpc.pb.h"

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class Call {
  public:
    Call(Health::AsyncService *service, grpc::ServerCompletionQueue *queue)
        : service_(service), queue_(queue), responder_(&context_)
    {
        service_->RequestCheck(&context_, &request_, &responder_, queue_, queue_, this);
    }

    void Proceed()
    {
        if (finishing_) {
            delete this;
            return;
        }
        new Call(service_, queue_);
        HealthCheckResponse response;
        response.set_status(HealthCheckResponse::SERVING);
        finishing_ = true;
        responder_.Finish(response, grpc::Status::OK, this);
    }

  private:
    Health::AsyncService *service_;
    grpc::ServerCompletionQueue *queue_;
    grpc::ServerContext context_;
    HealthCheckRequest request_;
    grpc::ServerAsyncResponseWriter<HealthCheckResponse> responder_;
    bool finishing_ = false;
};

int main()
{
    Health::AsyncService service;
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    auto queue = builder.AddCompletionQueue();
    auto server = builder.BuildAndStart();
    std::printf("ready grpc=127.0.0.1:%d\n", port);
    std::fflush(stdout);
    for (int i = 0; i < 128; i++)
        new Call(&service, queue.get());
    void *tag;
    bool ok;
    while (queue->Next(&tag, &ok))
        if (ok)
            static_cast<Call *>(tag)->Proceed();
}
