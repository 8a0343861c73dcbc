"""A real flowd for a test: started on free ports over a data directory of its own, and ended with the test.

    with Flowd() as flowd:
        run = flowd.call("ProductionService/StartRun", workflow_id="hello").run

Messages and stubs are made from generated/descriptors.binpb, so there is no Python code to generate. Needs Debian's
python3-grpcio and python3-protobuf: begin a test with #!/usr/bin/python3.
"""
import json, os, re, signal, subprocess, tempfile, time
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

ROOT = Path(os.environ.get("FLOW_ROOT", Path(__file__).resolve().parents[3]))
PROGRAMS = Path(os.environ.get("FLOW_ASAN", ROOT / "build/asan")) / "bin"
RELEASE_PROGRAMS = Path(os.environ.get("FLOW_RELEASE", ROOT / "build/release")) / "bin"
PACKAGE = "flowengine.v1."


def _load_contract():
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString((ROOT / "generated/descriptors.binpb").read_bytes())
    for file in files.file:
        pool.Add(file)
    return pool


POOL = _load_contract()
_FACTORY = message_factory.MessageFactory(POOL)


def message(name, /, **fields):
    """A message of the contract by its name, "Workflow" or "google.rpc.Status". Dicts become messages by proto3 JSON."""
    kind = _FACTORY.GetPrototype(POOL.FindMessageTypeByName(name if "." in name else PACKAGE + name))
    made = kind()
    json_format.ParseDict({k: _jsonable(v) for k, v in fields.items()}, made, descriptor_pool=POOL)
    return made


def _jsonable(value):
    if hasattr(value, "DESCRIPTOR"):
        return json_format.MessageToDict(value, descriptor_pool=POOL)
    if isinstance(value, (list, tuple)):
        return [_jsonable(v) for v in value]
    return value


def as_dict(msg, defaults=True):
    return json_format.MessageToDict(msg, including_default_value_fields=defaults, descriptor_pool=POOL)


def workflow(definition):
    """A Workflow message from React Flow JSON: what the JSON doors fold into `editor` is folded here by hand."""
    def fold(value, known):
        extra = {k: v for k, v in value.items() if k not in known}
        kept = {k: v for k, v in value.items() if k in known and v is not None}
        if extra:
            kept["editor"] = extra
        return kept
    made = fold(definition, {"id", "name", "description", "nodes", "edges", "labels", "settings", "draft", "etag", "editor"})
    nodes = []
    for node in definition.get("nodes", []):
        node = fold(node, {"id", "type", "position", "data", "editor"})
        if "data" in node:
            node["data"] = fold(node["data"], {"form", "config", "label", "editor"})
        nodes.append(node)
    made["nodes"] = nodes
    made["edges"] = [fold(e, {"id", "source", "target", "sourceHandle", "targetHandle", "editor"})
                     for e in definition.get("edges", [])]
    return message("Workflow", **made)


def details(error):
    """The google.rpc.Status of a failed call as a dict, or {}."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = _FACTORY.GetPrototype(POOL.FindMessageTypeByName("google.rpc.Status"))()
            status.ParseFromString(value)
            return json_format.MessageToDict(status, descriptor_pool=POOL)
    return {}


class Client:
    """Calls methods by name over one channel."""

    def __init__(self, address, credentials=None, options=()):
        options = [("grpc.max_receive_message_length", 64 << 20), *options]
        self.channel = (grpc.secure_channel(address, credentials, options) if credentials
                        else grpc.insecure_channel(address, options))

    def _method(self, name):
        service, method = (name if "." in name.split("/")[0] else PACKAGE + name).split("/")
        found = POOL.FindServiceByName(service).FindMethodByName(method)
        answer = _FACTORY.GetPrototype(found.output_type)
        path = f"/{service}/{method}"
        serialize = lambda m: m.SerializeToString()
        if found.server_streaming and found.client_streaming:
            stub = self.channel.stream_stream(path, serialize, answer.FromString)
        elif found.server_streaming:
            stub = self.channel.unary_stream(path, serialize, answer.FromString)
        else:
            stub = self.channel.unary_unary(path, serialize, answer.FromString)
        return found, stub

    def call(self, name, /, timeout=30, metadata=None, request=None, **fields):
        """A unary call's answer, or a stream to iterate over (and to cancel())."""
        method, stub = self._method(name)
        request = request if request is not None else message(method.input_type.full_name, **fields)
        return stub(request, timeout=timeout, metadata=metadata)

    def close(self):
        self.channel.close()


class Flowd(Client):
    """Ends with the test, unless kill() or stop() came before; start() starts it again over the same data."""

    def __init__(self, *arguments, data_dir=None, programs=PROGRAMS, environment=None):
        self.data_dir = data_dir or tempfile.mkdtemp(prefix="flowd-")
        self.arguments, self.programs = arguments, programs
        self.environment = dict(os.environ, **(environment or {}))
        self.log_path = Path(self.data_dir).parent / (Path(self.data_dir).name + ".log")
        self.process = None
        self.may_end_with = {0, -signal.SIGKILL}  # a test that expects another exit code adds it
        self.start()

    def start(self, wait=True):
        command = [str(self.programs / "flowd"), "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                   "--data-dir", str(self.data_dir), *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(self.log_path, "a"), text=True,
                                        env=self.environment)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        line = self.process.stdout.readline()
        match = re.match(r"ready grpc=(\S+) http=(\S+)$", line)
        if not match:
            self.process.wait(30)
            raise AssertionError(f"flowd did not start: {line!r}\n{self.log()[-4000:]}")
        self.grpc_address, self.http_address = match.groups()
        super().__init__(self.grpc_address)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def kill(self):
        """kill -9, as a crash would."""
        self.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self, expect=0, timeout=60):
        """SIGTERM; its exit status must be `expect`."""
        self.close()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout)
        self.process.stdout.close()
        assert status == expect, f"flowd ended with {status}\n{self.log()[-4000:]}"

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            if kind is None:
                self.stop()
            else:
                self.kill()
        elif kind is None and self.process.returncode not in self.may_end_with:
            raise AssertionError(f"flowd ended with {self.process.returncode}\n{self.log()[-4000:]}")
        if kind is not None:
            print(f"---- flowd's log ({self.log_path}) ----\n{self.log()[-6000:]}")


FINAL = ("COMPLETED", "STOPPED", "FAILED")


def state_name(run):
    return run.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[run.state].name


def wait_for_end(flowd, run_id, timeout=60):
    """Watches the run until it has ended; gives the run. No polling: the watch of an ended run ends."""
    for _ in flowd.call("ProductionService/WatchRun", run_id=run_id, kinds=["RUN_STATE"], timeout=timeout):
        pass
    run = flowd.call("ProductionService/GetRun", run_id=run_id).run
    assert state_name(run) in FINAL, state_name(run)
    return run


def queue_data(flowd, queue):
    """The data of everything that is queued, in order."""
    found, token = [], ""
    while True:
        page = flowd.call("QueueService/PeekPayloads", queue=queue, page_size=1000, page_token=token)
        found += [json_format.MessageToDict(p.data) for p in page.payloads]
        token = page.next_page_token
        if not token:
            return found


def assert_balanced(flowd):
    ledger = flowd.call("QueueService/GetLedger").ledger
    assert ledger.balanced, ledger
    for q in ledger.queues:
        assert q.pushed == q.queued + q.in_flight + q.done + q.dead_lettered + q.removed, q
    for l in ledger.loops:
        assert l.produced == l.done + l.dead_lettered + l.in_flight, l
    return ledger


def case(name):
    return json.loads((ROOT / "tests/data/workflows" / f"{name}.json").read_text())


def raises(code, function, *arguments, **keywords):
    """Calls and expects this gRPC code ("NOT_FOUND"); gives the error."""
    try:
        answer = function(*arguments, **keywords)
        if hasattr(answer, "__next__"):
            for _ in answer:
                pass
    except grpc.RpcError as error:
        assert error.code().name == code, f"{error.code().name} instead of {code}: {error.details()}"
        return error
    raise AssertionError(f"no error instead of {code}")


def run_tests(namespace):
    """Runs every test_* function of a script, says which one failed, exits accordingly."""
    import sys, traceback
    failed = 0
    for name, function in list(namespace.items()):
        if not name.startswith("test_") or not callable(function):
            continue
        started = time.monotonic()
        try:
            function()
            print(f"ok    {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL  {name}", flush=True)
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)
