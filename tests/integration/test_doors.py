#!/usr/bin/python3
"""The same request through both doors: every method of the contract, with generated requests, gives the same answer or the
same error over gRPC and over REST. A method that nobody generates a request for is a failure."""
import json, random, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lib"))
import grpc
from flowd import Flowd, POOL, as_dict, details, message
from google.protobuf import descriptor_pb2, json_format, message_factory
from raw_http import Raw

F = descriptor_pb2.FieldDescriptorProto
ROOT = Path(__file__).resolve().parents[2]
rng = random.Random(7)
# What differs from call to call, whoever asks.
VOLATILE = {"uptime", "requestId", "startTime", "duration", "createTime", "updateTime", "time", "id", "runId", "workflowId",
            "redriveId", "sessionId", "etag", "cursor", "oldestTime", "endTime", "deliveryId", "latency", "pushTime", "p50", "state",
            "expireTime", "purged", "deleted", "moved", "deliveryIds", "payloadIds", "nextPageToken", "bytes", "depth", "pushed", "loops", "nodes", "ledger", "revision"}
IDS = ["w1", "none", "q-1", "a b/c", "x" * 200, ""]


def services():
    files = descriptor_pb2.FileDescriptorSet.FromString((ROOT / "generated/descriptors.binpb").read_bytes())
    for file in files.file:
        if file.package == "flowengine.v1":
            for service in file.service:
                yield POOL.FindServiceByName(f"{file.package}.{service.name}")


def scalar(field):
    if field.type == F.TYPE_STRING:
        return rng.choice(IDS) if rng.random() < 0.7 else rng.choice(["{{ 1 + 1 }}", "{{ nothing }}", "name,labels", "gr\u00f6\u00dfe"])
    if field.type == F.TYPE_BOOL:
        return rng.random() < 0.5
    if field.type == F.TYPE_BYTES:
        return b"\x00\xff"
    if field.type == F.TYPE_ENUM:
        return rng.choice([v.number for v in field.enum_type.values] + [99])
    if field.type in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
        return rng.choice([0.0, -1.5, 1e9])
    return rng.choice([0, 1, 7, -1, 2**31 - 1])


def fill(made, depth):
    name = made.DESCRIPTOR.full_name
    if name == "google.protobuf.Struct":
        made.update({"a": rng.choice([1, "x", None, [1, {"b": True}]])})
        return made
    if name in ("google.protobuf.Value", "google.protobuf.ListValue"):
        json_format.ParseDict([1] if name.endswith("ListValue") else 1, made)
        return made
    if name == "google.protobuf.Timestamp":
        made.seconds = rng.randint(0, 2**31)
        return made
    if name == "google.protobuf.Duration":
        made.seconds = rng.choice([-1, 0, 1])
        return made
    if name == "google.protobuf.FieldMask":
        made.paths.extend(rng.choice([["name"], ["nothing"], ["labels", "name"]]))
        return made
    for field in made.DESCRIPTOR.fields:
        if rng.random() < (0.5 if depth == 2 else 0.8) or field.name == "editor":
            continue
        if field.containing_oneof is not None and made.WhichOneof(field.containing_oneof.name):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.label == F.LABEL_REPEATED:
            if field.type == F.TYPE_MESSAGE:
                if depth > 0:
                    fill(getattr(made, field.name).add(), depth - 1)
            else:
                getattr(made, field.name).append(scalar(field))
        elif field.type == F.TYPE_MESSAGE:
            if depth > 0:
                getattr(made, field.name).SetInParent()
                fill(getattr(made, field.name), depth - 1)
        else:
            setattr(made, field.name, scalar(field))
    return made


def without_volatile(value):
    if isinstance(value, dict):
        return {k: without_volatile(v) for k, v in value.items() if k not in VOLATILE}
    if isinstance(value, list):
        return [without_volatile(v) for v in value]
    return value


def without_ids(text):
    """Messages name ids that were made for this call."""
    import re
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27,}", "ID", text)


def by_grpc(flowd, service, method, request):
    """("ok", [answers]) or ("error", status)."""
    try:
        answer = flowd.call(f"{service.full_name}/{method.name}", request=request, timeout=5)
        answers = list(answer) if method.server_streaming else [answer]
        return "ok", [json.loads(json_format.MessageToJson(a, descriptor_pool=POOL)) for a in answers]
    except grpc.RpcError as error:
        return "error", details(error) or {"code": error.code().value[0], "message": error.details()}


def by_rest(raw, service, method, request):
    body = json_format.MessageToJson(request, descriptor_pool=POOL, indent=None).encode()
    code, headers, answer = raw.ask("POST", f"/{service.full_name}/{method.name}?timeout=5s", body)
    assert code < 500 or code in (501, 503, 504), (method.full_name, code, answer)
    if headers["content-type"] == "application/x-ndjson":
        lines = [json.loads(line) for line in answer.splitlines()]
        if "error" in lines[-1]:
            return "error", lines[-1]["error"]
        return "ok", [line["result"] for line in lines[:-1]]
    if code >= 400:
        return "error", json.loads(answer)
    return "ok", [json.loads(answer)]


def compare(flowd, raw, service, method, request):
    kind = message_factory.MessageFactory(POOL).GetPrototype(method.input_type)
    twin = kind()
    twin.CopyFrom(request)
    a = by_grpc(flowd, service, method, request)
    b = by_rest(raw, service, method, twin)
    same = a[0] == b[0]
    if same and a[0] == "error":
        same = (a[1].get("code"), without_ids(a[1].get("message", ""))) == (b[1].get("code"), without_ids(b[1].get("message", "")))
        same = same and len(a[1].get("details", [])) == len(b[1].get("details", []))
    elif same:
        same = without_volatile(a[1]) == without_volatile(b[1])
    assert same, f"{method.full_name}\nrequest {request}\ngRPC {json.dumps(a)[:1500]}\nREST {json.dumps(b)[:1500]}"
    return a[0]


def main():
    methods = [(s, m) for s in services() for m in s.methods]
    flowd = Flowd()
    compared, answered = {}, {}
    try:
        with Raw(flowd.http_address) as raw:
            for service, method in methods:
                if method.client_streaming:  # over HTTP a WebSocket: test_websocket.py
                    code, _, _ = raw.ask("POST", f"/{service.full_name}/{method.name}", b"")
                    assert code == 426, code
                    compared[method.full_name] = 1
                    continue
                factory = message_factory.MessageFactory(POOL)
                watches = method.server_streaming and "Watch" in method.name
                for attempt in range(3 if watches else 12):
                    request = factory.GetPrototype(method.input_type)()
                    fill(request, 2)
                    if watches and method.name == "WatchDeadLetters":
                        request.node_id = "x" * 500  # refused by both: a watch that is let in has no end
                    # What makes something new each time is asked for it by different ids, or can't be compared.
                    for name in ("request_id",):
                        if name in method.input_type.fields_by_name:
                            request.ClearField(name)
                    if method.name in ("CreateWorkflow", "StartRun"):
                        request.ClearField("workflow")
                    outcome = compare(flowd, raw, service, method, request)
                    compared[method.full_name] = compared.get(method.full_name, 0) + 1
                    answered[outcome] = answered.get(outcome, 0) + 1
    finally:
        flowd.process.kill()
    assert set(compared) == {m.full_name for _, m in methods}, "a method was left out"
    print(f"{len(compared)} methods, {sum(compared.values())} requests: {answered}")


main()
