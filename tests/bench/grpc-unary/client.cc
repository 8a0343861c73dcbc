// client ADDRESS IN_FLIGHT SECONDS: keeps that many calls on their way; prints "CALLS P50_US".
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

using Clock = std::chrono::steady_clock;

struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
    grpc::ByteBuffer response;
    grpc::Status status;
    Clock::time_point begun;
};

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int in_flight = std::atoi(argv[2]);
    auto channel = grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
    grpc::GenericStub stub(channel);
    grpc::CompletionQueue queue;
    grpc::ByteBuffer request;
    std::vector<Call> calls(in_flight);
    std::vector<double> latencies;
    auto start = [&](Call *call) {
        call->context = std::make_unique<grpc::ClientContext>();
        call->begun = Clock::now();
        call->reader = stub.PrepareUnaryCall(call->context.get(), "/grpc.health.v1.Health/Check", request, &queue);
        call->reader->StartCall();
        call->reader->Finish(&call->response, &call->status, call);
    };
    grpc::Slice empty;
    request = grpc::ByteBuffer(&empty, 1);
    auto end = Clock::now() + std::chrono::duration<double>(std::atof(argv[3]));
    for (auto &call : calls)
        start(&call);
    void *tag;
    bool ok;
    int open = in_flight;
    while (open > 0 && queue.Next(&tag, &ok)) {
        Call *call = static_cast<Call *>(tag);
        if (!call->status.ok()) {
            std::fprintf(stderr, "%s\n", call->status.error_message().c_str());
            return 1;
        }
        auto now = Clock::now();
        latencies.push_back(std::chrono::duration<double, std::micro>(now - call->begun).count());
        if (now < end)
            start(call);
        else
            open--;
    }
    std::nth_element(latencies.begin(), latencies.begin() + latencies.size() / 2, latencies.end());
    std::printf("%zu %.1f\n", latencies.size(), latencies[latencies.size() / 2]);
}
