#!/usr/bin/python3
"""The gRPC door over the wire: reflection, health, errors, request ids, deadlines, cancellation, limits."""
import sys, threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from lib.flowd import POOL, Client, Flowd, as_dict, details, message, raises, run_tests, workflow

SERVICES = {"flowengine.v1." + name for name in (
    "DeadLetterService", "DevelopmentService", "NodeTypeService", "ProductionService", "QueueService", "SystemService",
    "WebhookService", "WorkerService", "WorkflowService")} | {
    "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
REASONS = set(POOL.FindMessageTypeByName("flowengine.v1.ApiError").enum_types_by_name["Reason"].values_by_name)


def reflect(client, version, *requests):
    """Asks all of them on one stream; gives the answers in order."""
    name = f"grpc.reflection.{version}.ServerReflectionRequest"
    _, stub = client._method(f"grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
    answers = list(stub(iter([message(name, **r) for r in requests]), timeout=30))
    assert len(answers) == len(requests)
    for request, answer in zip(requests, answers):
        assert answer.original_request == message(name, **request), answer.original_request
    return answers


def files_of(answer):
    assert answer.WhichOneof("message_response") == "file_descriptor_response", answer
    return [descriptor_pb2.FileDescriptorProto.FromString(b) for b in answer.file_descriptor_response.file_descriptor_proto]


def test_reflection_lists_and_describes_everything():
    with Flowd() as flowd:
        for version in ("v1", "v1alpha"):
            listed, = reflect(flowd, version, {"listServices": "*"})
            assert {s.name for s in listed.list_services_response.service} == SERVICES
            # As a client does it: a symbol of each service, all imports, until everything can be linked.
            symbols = [{"fileContainingSymbol": name} for name in sorted(SERVICES)]
            known = {f.name: f for answer in reflect(flowd, version, *symbols) for f in files_of(answer)}
            pool = descriptor_pool.DescriptorPool()

            def add(name):
                file = known.pop(name, None)
                if file is not None:
                    for imported in file.dependency:
                        add(imported)
                    pool.Add(file)
            for name in list(known):
                add(name)
            for service in SERVICES:
                assert len(pool.FindServiceByName(service).methods) == len(POOL.FindServiceByName(service).methods)


def test_reflection_answers_every_kind_of_question():
    with Flowd() as flowd:
        requests = [{"fileByFilename": "google/protobuf/struct.proto", "host": "h"},
                    {"fileContainingSymbol": "flowengine.v1.Run.State"},
                    {"fileContainingSymbol": "flowengine.v1.ProductionService.WatchRun"},
                    {"fileContainingExtension": {"containingType": "google.protobuf.MethodOptions", "extensionNumber": 72295728}},
                    {"allExtensionNumbersOfType": "google.protobuf.MethodOptions"},
                    {"allExtensionNumbersOfType": "flowengine.v1.Run"},
                    {"fileByFilename": "no/such.proto"}, {"fileContainingSymbol": "no.Such"},
                    {"allExtensionNumbersOfType": "no.Such"}, {"listServices": ""}]
        answers = reflect(flowd, "v1", *requests)
        assert answers[0].valid_host == "h"
        names = ["google/protobuf/struct.proto", "flowengine/v1/run.proto", "flowengine/v1/production_service.proto",
                 "google/api/annotations.proto"]
        for answer, name in zip(answers, names):
            assert files_of(answer)[0].name == name
        # What the stream has had once isn't sent again, but what was asked for always is.
        assert all("google/protobuf/struct.proto" != f.name for f in files_of(answers[1]))
        assert sorted(answers[4].all_extension_numbers_response.extension_number) == [51231, 72295728]
        assert list(answers[5].all_extension_numbers_response.extension_number) == []
        for answer in answers[6:9]:
            assert answer.error_response.error_code == 5, answer
        assert len(answers[9].list_services_response.service) == len(SERVICES)
        _, stub = flowd._method("grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        raises("INVALID_ARGUMENT", lambda: stub(iter([message("grpc.reflection.v1.ServerReflectionRequest")])))


def test_health():
    with Flowd() as flowd:
        for service in ["", *SERVICES]:
            assert flowd.call("grpc.health.v1.Health/Check", service=service).status == 1, service
        raises("NOT_FOUND", flowd.call, "grpc.health.v1.Health/Check", service="no.Such")
        assert set(flowd.call("grpc.health.v1.Health/List").statuses) == SERVICES | {""}
        unknown = flowd.call("grpc.health.v1.Health/Watch", service="no.Such")
        assert next(unknown).status == 3
        unknown.cancel()
        watch = flowd.call("grpc.health.v1.Health/Watch", timeout=60)
        assert next(watch).status == 1
        flowd.process.terminate()
        assert next(watch).status == 2
        assert raises("UNAVAILABLE", lambda: watch).details()
        assert flowd.process.wait(30) == 0


def test_every_method_answers_something_sensible():
    """An empty request gets an answer or a refusal with a reason of the contract, never a fault of ours."""
    with Flowd() as flowd:
        count = 0
        for name in sorted(SERVICES):
            for method in POOL.FindServiceByName(name).methods:
                if method.client_streaming:
                    continue
                count += 1
                try:
                    answer = flowd.call(f"{name}/{method.name}", timeout=20)
                    if method.server_streaming:
                        next(answer)
                        answer.cancel()
                except grpc.RpcError as error:
                    code = error.code().name
                    assert code not in ("UNKNOWN", "INTERNAL", "DEADLINE_EXCEEDED", "UNAVAILABLE"), (method.full_name, error)
                    check_details(error)
                except StopIteration:
                    pass
        assert count > 50
        assert "level=error" not in flowd.log() and " error " not in flowd.log(), flowd.log()


def check_details(error):
    status = details(error)
    assert status["code"] == error.code().value[0] and status["message"] == error.details(), status
    info, = [d for d in status["details"] if d["@type"].endswith("ErrorInfo")]
    assert info["domain"] == "flowengine" and info["reason"] in REASONS, info
    raw, = [v for k, v in error.trailing_metadata() if k == "grpc-status-details-bin"]
    assert len(raw) <= 4096
    return status, info


def test_errors_carry_details():
    with Flowd() as flowd:
        error = raises("NOT_FOUND", flowd.call, "WorkflowService/GetWorkflow", workflow_id="nothing")
        status, info = check_details(error)
        assert info["reason"] == "WORKFLOW_NOT_FOUND", info
        error = raises("INVALID_ARGUMENT", flowd.call, "WorkflowService/GetWorkflow")
        status, info = check_details(error)
        assert info["reason"] == "REQUIRED_FIELD", info
        fields = [d for d in status["details"] if d["@type"].endswith("BadRequest")][0]["fieldViolations"]
        assert fields[0]["field"] == "workflow_id", fields
        # More problems than fit into a trailer: some are sent, the number of all is.
        many = workflow({"nodes": [{"id": f"n{i}", "type": f"no-such-type-{i}", "data": {"form": {}}} for i in range(500)],
                         "edges": []})
        status, info = check_details(raises("INVALID_ARGUMENT", flowd.call, "WorkflowService/CreateWorkflow", workflow=many))
        assert int(info["metadata"]["total"]) >= 500 and info["metadata"]["truncated"] == "true", info
        error = raises("UNIMPLEMENTED", lambda: flowd.channel.unary_unary("/flowengine.v1.WorkflowService/GetWorkflo")(b""))
        assert "did you mean \"GetWorkflow\"" in error.details()
        check_details(error)
        check_details(raises("UNIMPLEMENTED", lambda: flowd.channel.unary_unary("/x")(b"")))


def test_request_ids():
    with Flowd("--log-level", "debug") as flowd:
        method, stub = flowd._method("SystemService/GetServerInfo")

        def id_of(metadata):
            _, call = stub.with_call(message(method.input_type.full_name), metadata=metadata)
            found = [v for k, v in call.initial_metadata() if k == "x-request-id"]
            assert len(found) == 1
            return found[0]
        assert id_of([("x-request-id", "order-17.a_b")]) == "order-17.a_b"
        made = id_of([])
        assert made and made != id_of([])
        assert id_of([("x-request-id", "with space")]) != "with space"
        assert id_of([("x-request-id", "x" * 200)]) != "x" * 200
        try:
            flowd._method("WorkflowService/GetWorkflow")[1](message("GetWorkflowRequest"), metadata=[("x-request-id", "bad-1")])
        except grpc.RpcError as error:
            assert ("x-request-id", "bad-1") in [(k, v) for k, v in error.initial_metadata()], error.initial_metadata()
    log = flowd.log()
    for request_id in ("order-17.a_b", made, "bad-1"):
        assert f"request_id={request_id}" in log, request_id


def counts(flowd):
    return flowd.call("SystemService/GetServerInfo").server_info.counts


def start_endless(flowd):
    """A run that does nothing for an hour."""
    definition = {"nodes": [{"id": "1", "type": "timer", "data": {"form": {"interval": "3600000"}}},
                            {"id": "2", "type": "end", "data": {"form": {}}}],
                  "edges": [{"id": "e", "source": "1", "target": "2"}]}
    return flowd.call("ProductionService/StartRun", workflow=workflow(definition)).run.id


def test_deadlines_end_streams():
    with Flowd() as flowd:
        run_id = start_endless(flowd)
        raises("DEADLINE_EXCEEDED", flowd.call, "ProductionService/WatchRun", run_id=run_id, timeout=0.5)
        while counts(flowd).watchers:
            pass
        raises("DEADLINE_EXCEEDED", flowd.call, "SystemService/GetServerInfo", timeout=-1)
        flowd.call("ProductionService/StopRun", run_id=run_id, force=True)


def test_cancelling_a_stream_frees_its_watcher():
    with Flowd() as flowd:
        run_id = start_endless(flowd)
        streams = [flowd.call("ProductionService/WatchRun", run_id=run_id, timeout=60) for _ in range(20)]
        for stream in streams:
            next(stream)
        assert counts(flowd).watchers == 20
        for stream in streams[:10]:
            stream.cancel()
        # Ten more vanish with their connection.
        other = Client(flowd.grpc_address, options=[("grpc.use_local_subchannel_pool", 1)])
        vanishing = [other.call("ProductionService/WatchRun", run_id=run_id, timeout=60) for _ in range(10)]
        for stream in vanishing:
            next(stream)
        other.close()
        while counts(flowd).watchers != 10:
            pass
        for stream in streams[10:]:
            stream.cancel()
        while counts(flowd).watchers:
            pass
        flowd.call("ProductionService/StopRun", run_id=run_id, force=True)


def test_streams_end_with_the_server():
    with Flowd("--drain-grace", "30s") as flowd:
        run_id = start_endless(flowd)
        stream = flowd.call("ProductionService/WatchRun", run_id=run_id, timeout=60)
        next(stream)
        flowd.process.terminate()
        raises("UNAVAILABLE", lambda: stream)
        assert flowd.process.wait(20) == 0


def test_limits():
    with Flowd("--max-request-bytes", "100K", "--max-response-bytes", "64K", "--max-streams", "3") as flowd:
        raises("RESOURCE_EXHAUSTED", flowd.call, "WorkflowService/CreateWorkflow",
               workflow={"name": "x", "description": "d" * 200000})
        run_id = start_endless(flowd)
        streams = [flowd.call("ProductionService/WatchRun", run_id=run_id, timeout=60) for _ in range(3)]
        for stream in streams:
            next(stream)
        error = raises("RESOURCE_EXHAUSTED", flowd.call, "ProductionService/WatchRun", run_id=run_id, timeout=60)
        status, info = check_details(error)
        assert info["reason"] == "LIMIT_REACHED" and any(d["@type"].endswith("RetryInfo") for d in status["details"]), status
        streams[0].cancel()
        while counts(flowd).watchers != 2:
            pass
        again = flowd.call("ProductionService/WatchRun", run_id=run_id, timeout=60)
        next(again)
        for stream in [again, *streams]:
            stream.cancel()
        # The core closes a connection that sends too much metadata; others go on.
        other = Client(flowd.grpc_address, options=[("grpc.use_local_subchannel_pool", 1)])
        raises("RESOURCE_EXHAUSTED", other.call, "SystemService/GetServerInfo", metadata=[("x-large", "v" * 60000)])
        other.close()
        assert counts(flowd)
        flowd.call("ProductionService/StopRun", run_id=run_id, force=True)


def test_many_calls_at_a_time():
    with Flowd("--grpc-threads", "4") as flowd:
        failures = []

        def caller():
            client = Client(flowd.grpc_address, options=[("grpc.use_local_subchannel_pool", 1)])
            try:
                for _ in range(50):
                    client.call("SystemService/GetServerInfo")
                    raises("NOT_FOUND", client.call, "WorkflowService/GetWorkflow", workflow_id="nothing")
            except Exception as error:
                failures.append(error)
            client.close()
        threads = [threading.Thread(target=caller) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures


if __name__ == "__main__":
    run_tests(globals())
