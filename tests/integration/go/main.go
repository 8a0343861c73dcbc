// client ADDRESS: lists, describes and calls flowd with nothing but what the server says about itself.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

func check(good bool, format string, arguments ...any) {
	if !good {
		log.Fatalf(format, arguments...)
	}
}

func must(err error) { check(err == nil, "%v", err) }

// The contract as the server tells it: all services and the files that they need.
func describe(connection *grpc.ClientConn) ([]string, *protoregistry.Files) {
	stream, err := grpc_reflection_v1.NewServerReflectionClient(connection).ServerReflectionInfo(context.Background())
	must(err)
	ask := func(request *grpc_reflection_v1.ServerReflectionRequest) *grpc_reflection_v1.ServerReflectionResponse {
		must(stream.Send(request))
		answer, err := stream.Recv()
		must(err)
		return answer
	}
	listed := ask(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{ListServices: "*"}})
	var names []string
	set := &descriptorpb.FileDescriptorSet{}
	have := map[string]bool{}
	for _, service := range listed.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
		answer := ask(&grpc_reflection_v1.ServerReflectionRequest{
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service.GetName()}})
		for _, bytes := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
			file := &descriptorpb.FileDescriptorProto{}
			must(proto.Unmarshal(bytes, file))
			if !have[file.GetName()] {
				have[file.GetName()] = true
				set.File = append(set.File, file)
			}
		}
	}
	must(stream.CloseSend())
	files, err := protodesc.NewFiles(set)
	must(err)
	return names, files
}

type client struct {
	connection *grpc.ClientConn
	files      *protoregistry.Files
}

func (c client) method(name string) protoreflect.MethodDescriptor {
	service, method, _ := strings.Cut(name, "/")
	found, err := c.files.FindDescriptorByName(protoreflect.FullName("flowengine.v1." + service))
	must(err)
	return found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method))
}

func (c client) call(ctx context.Context, name, request string) (*dynamicpb.Message, error) {
	method := c.method(name)
	in, out := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	must(protojson.Unmarshal([]byte(request), in))
	return out, c.connection.Invoke(ctx, "/flowengine.v1."+name, in, out)
}

func (c client) watch(ctx context.Context, runID string) (grpc.ClientStream, protoreflect.MethodDescriptor) {
	method := c.method("ProductionService/WatchRun")
	stream, err := c.connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/flowengine.v1.ProductionService/WatchRun")
	must(err)
	in := dynamicpb.NewMessage(method.Input())
	in.Set(method.Input().Fields().ByName("run_id"), protoreflect.ValueOfString(runID))
	must(stream.SendMsg(in))
	must(stream.CloseSend())
	return stream, method
}

func field(message protoreflect.Message, names ...string) protoreflect.Value {
	value := protoreflect.ValueOfMessage(message)
	for _, name := range names {
		value = value.Message().Get(value.Message().Descriptor().Fields().ByName(protoreflect.Name(name)))
	}
	return value
}

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(err)
	defer connection.Close()
	background := context.Background()

	names, files := describe(connection)
	check(len(names) >= 12, "%v", names)
	c := client{connection, files}
	for _, name := range names {
		_, err := files.FindDescriptorByName(protoreflect.FullName(name))
		must(err)
	}
	fmt.Printf("listed and described %d services\n", len(names))

	health, err := grpc_health_v1.NewHealthClient(connection).Check(background, &grpc_health_v1.HealthCheckRequest{})
	must(err)
	check(health.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING, "%v", health)
	info, err := c.call(background, "SystemService/GetServerInfo", "{}")
	must(err)
	check(field(info, "server_info", "ready").Bool(), "%v", info)
	fmt.Println("called")

	var head metadata.MD
	method := c.method("WorkflowService/GetWorkflow")
	in := dynamicpb.NewMessage(method.Input())
	must(protojson.Unmarshal([]byte(`{"workflowId": "nothing"}`), in))
	ctx := metadata.AppendToOutgoingContext(background, "x-request-id", "go-1")
	err = connection.Invoke(ctx, "/flowengine.v1.WorkflowService/GetWorkflow", in, dynamicpb.NewMessage(method.Output()), grpc.Header(&head))
	failure := status.Convert(err)
	check(failure.Code() == codes.NotFound, "%v", err)
	check(len(head.Get("x-request-id")) == 1 && head.Get("x-request-id")[0] == "go-1", "%v", head)
	reason := ""
	for _, detail := range failure.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			reason = info.GetReason()
		}
	}
	check(reason == "WORKFLOW_NOT_FOUND", "%v", failure.Details())
	_, err = c.call(background, "WorkflowService/GetWorkflow", "{}")
	fields := 0
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			fields += len(bad.GetFieldViolations())
		}
	}
	check(status.Code(err) == codes.InvalidArgument && fields == 1, "%v", err)
	fmt.Println("got rich errors")

	run, err := c.call(background, "ProductionService/StartRun", `{"workflow": {
		"nodes": [{"id": "1", "type": "timer", "data": {"form": {"interval": "10", "unit": "milliseconds"}}}, {"id": "2", "type": "end", "data": {"form": {}}}],
		"edges": [{"id": "e", "source": "1", "target": "2"}]}}`)
	must(err)
	runID := field(run, "run", "id").String()
	cancellable, cancel := context.WithCancel(background)
	stream, method := c.watch(cancellable, runID)
	for i := 0; i < 20; i++ {
		must(stream.RecvMsg(dynamicpb.NewMessage(method.Output())))
	}
	cancel()
	for err = nil; err == nil; {
		err = stream.RecvMsg(dynamicpb.NewMessage(method.Output()))
	}
	check(status.Code(err) == codes.Canceled, "%v", err)
	fmt.Println("cancelled a stream in the middle")

	short, stop := context.WithTimeout(background, 300*time.Millisecond)
	defer stop()
	stream, method = c.watch(short, runID)
	for err = nil; err == nil; {
		err = stream.RecvMsg(dynamicpb.NewMessage(method.Output()))
	}
	check(status.Code(err) == codes.DeadlineExceeded, "%v", err)
	fmt.Println("met a deadline")

	for watchers := int64(1); watchers != 0; {
		info, err := c.call(background, "SystemService/GetServerInfo", "{}")
		must(err)
		watchers = field(info, "server_info", "counts", "watchers").Int()
	}
	_, err = c.call(background, "ProductionService/StopRun", fmt.Sprintf(`{"runId": %q, "force": true}`, runID))
	must(err)
	fmt.Println("ok")
}
