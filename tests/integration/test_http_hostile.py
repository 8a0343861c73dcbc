#!/usr/bin/python3
"""flow-test: alone. Clients that mean harm: slow ones, idle ones, large ones, deep ones. A healthy client is served meanwhile
(p99 below 100 ms), and the server's memory stays bounded."""
import json, resource, socket, sys, threading, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lib"))
from flowd import Flowd, RELEASE_PROGRAMS
from raw_http import Raw

IDLE = 5000


class Healthy(threading.Thread):
    """Asks all the time, and remembers how long each answer took."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.took, self.stop, self.failed = address, [], False, None

    def run(self):
        try:
            while not self.stop:
                with Raw(self.address) as raw:
                    for _ in range(50):
                        started = time.monotonic()
                        assert raw.ask("POST", "/dev/render", {"template": "{{ 1 + 1 }}"})[0] == 200
                        self.took.append(time.monotonic() - started)
                        if self.stop:
                            return
        except Exception as error:  # seen by the main thread
            self.failed = error

    def end(self, name):
        self.stop = True
        self.join(20)
        assert self.failed is None, (name, self.failed)
        took = sorted(self.took)
        p99 = took[int(len(took) * 0.99)]
        print(f"{name}: {len(took)} healthy requests, p99 {p99 * 1000:.1f} ms", flush=True)
        assert took, name


def memory(flowd):
    for line in Path(f"/proc/{flowd.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) // 1024


def drip(address, start, piece, seconds, ends):
    """Sends a piece ten times a second until the server has had enough."""
    raw = Raw(address, timeout=seconds + 5)
    raw.send(start)
    until = time.monotonic() + seconds
    raw.socket.settimeout(0.1)
    while time.monotonic() < until:
        try:
            if not raw.socket.recv(4096):
                break
            continue
        except socket.timeout:
            pass
        except ConnectionError:
            break
        try:
            raw.send(piece)
        except OSError:
            break
    else:
        ends.append(start[:30])
    raw.socket.close()


def slow(flowd):
    modes = [("GET /healthz HTTP/1.1\r\nHost: localhost\r\n", "A: b\r\n"),  # never-ending head
             ("POST /dev/render HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", "x"),  # a body in drips
             ("POST /dev/render HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
             ("G", "")]  # silence
    left = []
    threads = [threading.Thread(target=drip, args=(flowd.http_address, *mode, 25, left)) for mode in modes for _ in range(25)]
    # And clients that ask for much and read nothing.
    deaf = []
    for _ in range(20):
        raw = Raw(flowd.http_address)
        raw.send("GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        deaf.append(raw)
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert left == [], f"not cut off: {set(left)}"
    for raw in deaf:
        raw.socket.close()


def idle(flowd):
    resource.setrlimit(resource.RLIMIT_NOFILE, (IDLE + 500,) * 2)
    before = memory(flowd)
    sockets = []
    for _ in range(IDLE):
        sockets.append(socket.create_connection(tuple(flowd.http_address.rsplit(":", 1)), timeout=10))
    each = (memory(flowd) - before) * 1024 / IDLE
    print(f"{IDLE} idle connections: {each:.1f} KiB each")
    assert each < 32
    for s in sockets:
        s.close()


def large(flowd):
    """1 GB in one body, and in chunks that say nothing of the end."""
    before = memory(flowd)
    for head in ("Content-Length: 1000000000", "Transfer-Encoding: chunked"):
        with Raw(flowd.http_address) as raw:
            raw.send(f"POST /dev/render HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n")
            block = b"x" * (1 << 20)
            if "chunked" in head:
                block = b"100000\r\n" + block + b"\r\n"
            try:
                for _ in range(1000):
                    raw.send(block)
            except OSError:
                pass
            try:
                code, _, body = raw.reply()
                assert code == 413 and json.loads(body)["code"] == 8, (code, body)
            except (ConnectionError, EOFError):
                pass
    assert memory(flowd) - before < 64, (before, memory(flowd))


def bombs(flowd):
    before = memory(flowd)
    bodies = [b"[" * 2000000, b'{"a":' * 300000, b"[" + b"0," * 1500000 + b"0]", b'{"template":"' + b"\\u0041" * 600000 + b'"}',
              b"{" + b",".join(b'"%d":1' % i for i in range(250000)) + b"}", b"1" * 3000000, b"1e" + b"9" * 3000000,
              b'{"data":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", b'"' + b"\xff" * 1000000 + b'"', b" " * 4000000]
    for body in bodies * 2:
        with Raw(flowd.http_address, timeout=30) as raw:
            code, _, answer = raw.ask("POST", "/dev/render", body)
            assert code in (200, 400, 413), (body[:20], code, answer[:200])
    with Raw(flowd.http_address) as raw:
        assert raw.ask("GET", "/v1/runs?" + "pageSize=1&" * 1400)[0] in (400, 431)
    assert memory(flowd) - before < 200, (before, memory(flowd))


def main():
    flowd = Flowd(programs=RELEASE_PROGRAMS)
    try:
        for test in (slow, idle, large, bombs):
            healthy = Healthy(flowd.http_address)
            healthy.start()
            test(flowd)
            healthy.end(test.__name__)
        assert flowd.process.poll() is None
        print(f"memory at the end: {memory(flowd)} MiB")
    finally:
        flowd.process.kill()


main()
