#!/usr/bin/python3
"""Hostile messages to real methods: refused in order, at the price of bounded memory and time, while others are served."""
# flow-test: alone
import gzip, socket, struct, sys, threading, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import grpc
from lib.flowd import PROGRAMS, RELEASE_PROGRAMS, Client, Flowd, message, run_tests

CREATE = "/flowengine.v1.WorkflowService/CreateWorkflow"
PUSH = "/flowengine.v1.QueueService/PushPayloads"
EXECUTE = "/flowengine.v1.DevelopmentService/ExecuteNode"
ATTACH = "/flowengine.v1.WorkerService/Attach"
LIMIT = 4 << 20


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def nested(levels, *numbers):
    """Messages within messages, given by the field numbers on the way in. Built from the inside out, in one pass."""
    parts, size = [], 0
    for i in range(levels):
        for number in reversed(numbers):
            head = varint(number << 3 | 2) + varint(size)
            parts.append(head)
            size += len(head)
    return b"".join(reversed(parts))


def payload(struct):
    return field(1, b"q") + field(2, field(2, struct))


HOSTILE = {
    # name: (method, bytes, codes it may have)
    "100,000 lists in each other": (PUSH, payload(field(1, field(1, b"k") + field(2, nested(100000, 6, 1)))), ["INVALID_ARGUMENT"]),
    "100,000 objects in each other": (PUSH, payload(nested(100000, 1, 2, 5)), ["INVALID_ARGUMENT"]),
    "34 objects in each other": (PUSH, payload(nested(34, 1, 2, 5)), ["INVALID_ARGUMENT"]),
    "text that is no UTF-8": (CREATE, field(1, field(2, b"\xff\xfe")), ["INVALID_ARGUMENT"]),
    "a NUL in a name": (CREATE, field(1, field(2, b"a\0b")), ["INVALID_ARGUMENT"]),
    "no UTF-8 in a payload": (PUSH, payload(field(1, field(1, b"k") + field(2, field(3, b"\xff")))), ["INVALID_ARGUMENT"]),
    "a torn message": (CREATE, b"\x0a\xff\xff\x7f\x0a", ["INVALID_ARGUMENT"]),
    "a length of 2^63": (CREATE, b"\x0a" + b"\x80" * 9 + b"\x01", ["INVALID_ARGUMENT"]),
    "a group": (CREATE, b"\x0b\x0c", ["INVALID_ARGUMENT"]),
    "a number where text should be": (CREATE, field(1, b"\x10\x01"), ["INVALID_ARGUMENT"]),
    "2 million empty nodes": (CREATE, field(1, b"\x22\x00" * 2000000), ["RESOURCE_EXHAUSTED"]),
    "900,000 empty nodes": (CREATE, field(1, b"\x22\x00" * 900000), ["RESOURCE_EXHAUSTED"]),
    "1 million labels with one key": (CREATE, field(1, b"\x32\x00" * 990000), ["RESOURCE_EXHAUSTED"]),
    "2 million unknown fields": (CREATE, b"\xf8\x3f\x01" * 1300000, ["RESOURCE_EXHAUSTED"]),
    "4 million packed numbers": ("/flowengine.v1.ProductionService/WatchRun", field(1, b"r") + field(4, b"\x01" * 4100000),
                                 ["RESOURCE_EXHAUSTED"]),
    "a workflow in 1 million parts": (CREATE, b"\x0a\x00" * 900000, ["RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"]),
    "a value in parts, 45 deep": (PUSH, payload(field(1, field(1, b"k") + field(2, nested(45, 6, 1) + b"\x32\x00" * 500000))),
                                  ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"]),
    "700,000 values in a payload": (PUSH, payload(field(1, field(1, b"k") + field(2, field(6, b"\x0a\x02\x20\x01" * 700000)))),
                                    ["RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "NOT_FOUND", "OK"]),
    "5 MiB": (CREATE, b"\x00" * (5 << 20), ["RESOURCE_EXHAUSTED"]),
    "form values of nothing but keys": (EXECUTE, field(1, b"w") + field(3, b"n") + field(6, b"\x0a\x00" * 1000000),
                                        ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "NOT_FOUND", "UNIMPLEMENTED"]),
}


def memory(flowd, name="VmHWM"):
    for line in Path(f"/proc/{flowd.process.pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) // 1024
    raise AssertionError(name)


def send(client, method, bytes_, timeout=60):
    try:
        if method.endswith("WatchRun"):
            for _ in client.channel.unary_stream(method)(bytes_, timeout=timeout):
                pass
        else:
            client.channel.unary_unary(method)(bytes_, timeout=timeout)
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


def hostile_client(flowd, **options):
    return Client(flowd.grpc_address, options=[("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1),
                                               *options.items()])


def check_all(programs, most_mib=None):
    with Flowd(programs=programs) as flowd:
        client = hostile_client(flowd)
        before = memory(flowd)
        for name, (method, bytes_, codes) in HOSTILE.items():
            started = time.monotonic()
            code = send(client, method, bytes_)
            assert code in codes, f"{name}: {code}"
            assert time.monotonic() - started < 20, name
            flowd.call("SystemService/GetServerInfo", timeout=10)
            if most_mib is not None:
                print(f"      {name}: {code}, {memory(flowd)} MiB at most so far")
        client.close()
        if most_mib is not None:
            assert memory(flowd) < most_mib, f"{memory(flowd)} MiB, {before} MiB before"


def test_refused_in_order():
    check_all(PROGRAMS)


def test_memory_stays_bounded():
    check_all(RELEASE_PROGRAMS, most_mib=400)


def test_many_at_once():
    """The largest ones from many connections: what is in flight is bounded for all together."""
    with Flowd(programs=RELEASE_PROGRAMS) as flowd:
        large = [HOSTILE[n] for n in ("900,000 empty nodes", "700,000 values in a payload", "a value in parts, 45 deep",
                                      "1 million labels with one key")]
        codes, lock = {}, threading.Lock()

        def attack(number):
            client = hostile_client(flowd)
            for i in range(6):
                method, bytes_, _ = large[(number + i) % len(large)]
                code = send(client, method, bytes_)
                with lock:
                    codes[code] = codes.get(code, 0) + 1
            client.close()
        threads = [threading.Thread(target=attack, args=(i,)) for i in range(12)]
        for thread in threads:
            thread.start()
        slowest = 0
        while any(t.is_alive() for t in threads):
            started = time.monotonic()
            flowd.call("grpc.health.v1.Health/Check", timeout=30)
            slowest = max(slowest, time.monotonic() - started)
        for thread in threads:
            thread.join()
        print(f"      {codes}, {memory(flowd)} MiB at most, slowest health check {slowest:.2f} s")
        assert not set(codes) - {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "NOT_FOUND", "OK"}, codes
        assert memory(flowd) < 900, memory(flowd)


def test_a_compressed_bomb():
    """256 MiB of zeros in 256 KiB: nothing of that size may be unpacked."""
    with Flowd(programs=RELEASE_PROGRAMS) as flowd:
        before = memory(flowd)
        bomb = gzip.compress(b"\0" * (256 << 20), 9)
        with grpc_stream(flowd.grpc_address, CREATE, [("grpc-encoding", "gzip")]) as stream:
            stream.data(b"\x01" + struct.pack(">I", len(bomb)) + bomb)
            stream.wait_closed()
        # Compressed messages of a decent size are understood.
        plain = flowd.channel.unary_unary(CREATE)
        try:
            plain(field(1, field(2, b"x" * 20000) + field(12, b"")), compression=grpc.Compression.Gzip)
        except grpc.RpcError as error:
            assert "wire type" in error.details(), error
        flowd.call("SystemService/GetServerInfo", timeout=10)
        assert memory(flowd) - before < 150, f"{before} -> {memory(flowd)} MiB"


def test_a_bad_message_in_a_stream():
    with Flowd() as flowd:
        client = hostile_client(flowd)
        for bytes_ in (b"\xff", field(1, field(1, b"\xff")), nested(20000, 1, 2)):
            stream = client.channel.stream_stream(ATTACH)(iter([bytes_]), timeout=30)
            try:
                for _ in stream:
                    pass
                raise AssertionError("no error")
            except grpc.RpcError as error:
                assert error.code().name in ("INVALID_ARGUMENT", "UNIMPLEMENTED"), error
        client.close()


def test_not_grpc_at_all():
    with Flowd() as flowd:
        for bytes_ in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 10000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
                       b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\4\1\4\0\0\0\0" + b"\xff\xff\xff\xff"):
            with socket.create_connection(address_of(flowd.grpc_address), timeout=30) as peer:
                peer.sendall(bytes_)
                peer.settimeout(2)
                try:
                    while peer.recv(65536):
                        pass
                except (ConnectionResetError, TimeoutError):
                    pass
        assert flowd.call("grpc.health.v1.Health/Check").status == 1


# ---- a bare HTTP/2 client: one stream, so that frames can be sent that no library sends ----

def address_of(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


class grpc_stream:
    def __init__(self, address, path, extra=()):
        self.peer = socket.create_connection(address_of(address), timeout=30)
        self.peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(4, 0, 0, b"") + self.frame(8, 0, 0, struct.pack(">I", 1 << 30)))
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers"),
                   ("content-type", "application/grpc"), *extra]
        block = b"".join(b"\0" + bytes([len(k)]) + k.encode() + bytes([len(v)]) + v.encode() for k, v in headers)
        self.peer.sendall(self.frame(1, 4, 1, block))
        self.window, self.stream_window = 65535, 65535
        self.buffer = b""

    @staticmethod
    def frame(kind, flags, stream, content):
        return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content

    def read_frame(self):
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            more = self.peer.recv(65536)
            if not more:
                return None
            self.buffer += more
        length = int.from_bytes(self.buffer[:3], "big")
        kind, flags, stream = self.buffer[3], self.buffer[4], int.from_bytes(self.buffer[5:9], "big")
        content, self.buffer = self.buffer[9:9 + length], self.buffer[9 + length:]
        if kind == 8:
            if stream == 0:
                self.window += int.from_bytes(content, "big")
            else:
                self.stream_window += int.from_bytes(content, "big")
        elif kind == 4 and not flags & 1:
            for at in range(0, len(content), 6):
                if content[at:at + 2] == b"\0\4":
                    self.stream_window += int.from_bytes(content[at + 2:at + 6], "big") - 65535
            self.peer.sendall(self.frame(4, 1, 0, b""))
        elif kind == 6 and not flags & 1:
            self.peer.sendall(self.frame(6, 1, 0, content))
        return kind, flags, stream, content

    def data(self, bytes_):
        """False when the server ended the stream before all was sent."""
        while bytes_:
            room = min(self.window, self.stream_window, 16384)
            if room <= 0:
                frame = self.read_frame()
                if frame is None or frame[2] == 1 and (frame[0] == 3 or frame[1] & 1):
                    return False
                continue
            piece, bytes_ = bytes_[:room], bytes_[room:]
            self.window -= len(piece)
            self.stream_window -= len(piece)
            self.peer.sendall(self.frame(0, 0 if bytes_ else 1, 1, piece))
        return True

    def wait_closed(self):
        while True:
            frame = self.read_frame()
            if frame is None or frame[2] == 1 and (frame[0] == 3 or frame[1] & 1 and frame[0] in (0, 1)):
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()


if __name__ == "__main__":
    run_tests(globals())
