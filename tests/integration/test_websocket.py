#!/usr/bin/python3
"""WebSocket against a real flowd, frame by frame: streams on their own URL, many calls on /v1/ws, and what RFC 6455 asks."""
import json, struct, sys, threading, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lib"))
from flowd import Flowd
from raw_http import BINARY, CLOSE, PING, PONG, TEXT, Raw, WebSocket

COUNT = {"nodes": [{"id": "n", "type": "counter", "data": {"form": {}}},
                   {"id": "l", "type": "log", "data": {"form": {"level": "info", "message": "{{ data }}"}}}],
         "edges": [{"source": "n", "target": "l"}]}
SLOW = {"nodes": [{"id": "t", "type": "timer", "data": {"form": {"interval": 1, "unit": "hours"}}}], "edges": []}
WATCH = "flowengine.v1.ProductionService/WatchRun"


def start(flowd, workflow):
    with Raw(flowd.http_address) as raw:
        code, _, body = raw.ask("POST", "/prod/start", {"workflow": workflow})
        assert code == 200, body
        return json.loads(body)["id"]


def many(flowd):
    ws = WebSocket(flowd.http_address, "/v1/ws", "flow.v1.json")
    assert ws.code == 101 and ws.headers["sec-websocket-protocol"] == "flow.v1.json", ws.headers
    ready = ws.hear()
    assert ready["type"] == "ready" and ready["limits"]["calls"] > 1, ready
    return ws


def end_of(ws, call):
    """The messages of a call until its end, and its status."""
    messages = []
    while True:
        said = ws.hear()
        assert said["id"] == call, said
        if said["type"] == "end":
            return messages, said["status"]
        messages.append(said)


def one_stream(flowd):
    run = start(flowd, COUNT)
    with WebSocket(flowd.http_address, f"/v1/runs/{run}:watch?afterCursor=0") as ws:
        assert ws.code == 101
        seen = []
        while "end" not in (said := ws.hear()):
            seen.append(said["result"])
        assert said["end"]["cursor"] == seen[-1]["cursor"]
        assert ws.hear() == ("close", 1000)
    cursors = [int(e["cursor"]) for e in seen]
    assert cursors == sorted(set(cursors)), cursors


def errors_of_one_stream(flowd):
    with WebSocket(flowd.http_address, "/v1/runs/none:watch") as ws:
        assert ws.hear()["error"]["code"] == 5 and ws.hear() == ("close", 4404)
    with WebSocket(flowd.http_address, "/v1/runs/none:watch?nothing=1") as ws:
        assert ws.code == 400 and json.loads(ws.body)["code"] == 3
    with WebSocket(flowd.http_address, "/v1/nothing") as ws:
        assert ws.code == 404
    run = start(flowd, SLOW)
    with WebSocket(flowd.http_address, f"/v1/runs/{run}:watch?timeout=0.2s") as ws:
        while "error" not in (said := ws.hear()):
            pass
        assert said["error"]["code"] == 4 and ws.hear() == ("close", 4504)
    with WebSocket(flowd.http_address, f"/v1/runs/{run}:watch") as ws:
        ws.hear()
        ws.say("what?")
        while not isinstance(said := ws.hear(), tuple):
            pass
        assert said == ("close", 1008), said


def calls(flowd):
    with many(flowd) as ws:
        ws.say({"type": "init"})
        ws.say({"type": "call", "id": "a", "method": "flowengine.v1.DevelopmentService/RenderTemplate",
                "request": {"template": "{{ 6 * 7 }}"}})
        messages, status = end_of(ws, "a")
        assert [m["message"]["text"] for m in messages] == ["42"] and status == {"code": 0}, (messages, status)
        for method, request, code in [("flowengine.v1.ProductionService/GetRun", {"runId": "none"}, 5),
                                      ("flowengine.v1.ProductionService/GetRun", {"run": "none"}, 3),
                                      ("flowengine.v1.ProductionService/StopRun", {}, 3),
                                      ("flowengine.v1.Nothing/AtAll", {}, 12)]:
            ws.say({"type": "call", "id": "b", "method": method, "request": request})
            messages, status = end_of(ws, "b")
            assert messages == [] and status["code"] == code and status["details"], (method, status)
        ws.say({"type": "ping"})
        assert ws.hear() == {"type": "pong"}
        ws.say({"type": "cancel", "id": "gone"})
        ws.say({"type": "ping"})
        assert ws.hear() == {"type": "pong"}


def credit_and_cancel(flowd):
    run = start(flowd, COUNT)
    with Raw(flowd.http_address) as raw:
        while json.loads(raw.ask("GET", f"/v1/runs/{run}")[2])["state"] != "COMPLETED":
            time.sleep(0.02)
    with many(flowd) as ws:
        ws.say({"type": "call", "id": "w", "method": WATCH, "request": {"runId": run}, "cursor": "1", "credit": 2})
        first = [ws.hear(), ws.hear()]
        assert [m["type"] for m in first] == ["next", "next"] and first[0]["cursor"] == first[0]["message"]["cursor"], first
        ws.say({"type": "ping"})
        assert ws.hear() == {"type": "pong"}, "nothing comes without credit"
        ws.say({"type": "credit", "id": "w", "n": 1})
        assert ws.hear()["type"] == "next"
        ws.say({"type": "cancel", "id": "w"})
        messages, status = end_of(ws, "w")
        assert status["code"] == 1 and messages == [], (messages, status)
        # Resumed behind what was seen: nothing lost, nothing doubled.
        ws.say({"type": "call", "id": "x", "method": WATCH, "request": {"runId": run}, "cursor": "1", "credit": 1000})
        everything, status = end_of(ws, "x")
        assert status == {"code": 0}
        half = everything[len(everything) // 2]["cursor"]
        ws.say({"type": "call", "id": "y", "method": WATCH, "request": {"runId": run}, "cursor": half, "credit": 1000})
        rest, _ = end_of(ws, "y")
        assert [m["cursor"] for m in rest] == [m["cursor"] for m in everything if int(m["cursor"]) > int(half)]


def bad_messages(flowd):
    call = {"type": "call", "id": "w", "method": WATCH, "request": {"runId": start(flowd, SLOW)}}
    rows = [("no JSON", 4400), ([], 4400), ({}, 4400), ({"type": "dance", "id": "1"}, 4400), ({"type": "call"}, 4400),
            ({"type": "call", "id": 7, "method": WATCH}, 4400), ({"type": "call", "id": "", "method": WATCH}, 4400),
            ({"type": "call", "id": "x" * 64, "method": WATCH}, 4400), (dict(call, credit=0), 4400),
            ({"type": "credit", "id": "w", "n": 0}, 4400), ([call, call], 4409)]
    for row, code in rows:
        with many(flowd) as ws:
            if row and isinstance(row, list):
                for message in row:
                    ws.say(message)
            elif isinstance(row, dict) and row.get("type") == "credit":
                ws.say(call)
                ws.say(row)
            else:
                ws.say(row)
            while not isinstance(said := ws.hear(), tuple):
                pass
            assert said == ("close", code), (row, said)


def handshakes(flowd):
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    good = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    rows = [({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": "short"}, 400), ({"Sec-WebSocket-Version": "12"}, 426),
            ({"Sec-WebSocket-Version": None}, 426), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
            ({"Sec-WebSocket-Protocol": "chat"}, 400), ({"Sec-WebSocket-Protocol": "chat, flow.v1.json"}, 101),
            ({"Connection": "keep-alive, Upgrade"}, 101), ({"Upgrade": "WebSocket"}, 101), ({}, 101)]
    for change, code in rows:
        headers = {k: v for k, v in dict(good, **change).items() if v is not None}
        with Raw(flowd.http_address) as raw:
            raw.send("GET /v1/ws HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n")
            got, reply = raw.head()
            assert got == code, (change, got)
            if code == 426:
                assert reply["sec-websocket-version"] == "13"
    with Raw(flowd.http_address) as raw:
        assert raw.ask("POST", "/v1/ws", b"", [f"{k}: {v}" for k, v in good.items()])[0] == 405


def frames(flowd):
    """Lengths, pieces, pings: each with a call whose answer shows that it arrived whole."""
    def render(ws, text, send):
        message = json.dumps({"type": "call", "id": "r", "method": "flowengine.v1.DevelopmentService/RenderTemplate",
                              "request": {"template": text}}).encode()
        send(message)
        messages, status = end_of(ws, "r")
        assert status == {"code": 0} and messages[0]["message"]["text"] == text, (len(text), status)

    with many(flowd) as ws:
        for size in (1, 125, 126, 127, 65535, 65536, 131072):
            render(ws, "x" * size, lambda m: ws.frame(TEXT, m))
        def in_pieces(m):
            for i in range(len(m)):
                ws.frame(TEXT if i == 0 else 0, m[i:i + 1], fin=i == len(m) - 1)
                if i == 5:
                    ws.frame(PING, b"between")
                    assert ws.receive() == (PONG, b"between")
        render(ws, "gr\u00f6\u00dfe \U0001f600", in_pieces)
        for payload in (b"", b"p" * 125):
            ws.frame(PING, payload)
            assert ws.receive() == (PONG, payload)
        ws.frame(PONG, b"nobody asked")
        render(ws, "after", lambda m: ws.frame(TEXT, m))
        ws.frame(CLOSE, struct.pack(">H", 1000))
        assert ws.hear() == ("close", 1000)


def broken_frames(flowd):
    close = lambda code: struct.pack(">H", code)
    rows = [("rsv1", [(TEXT, b"{}", True, 4)]), ("rsv2", [(TEXT, b"{}", True, 2)]), ("rsv3", [(TEXT, b"{}", True, 1)]),
            ("opcode 3", [(3, b"", True, 0)]), ("opcode 11", [(11, b"", True, 0)]),
            ("continuation first", [(0, b"{}", True, 0)]), ("text inside a message", [(TEXT, b"{", False, 0), (TEXT, b"}", True, 0)]),
            ("long ping", [(PING, b"x" * 126, True, 0)]), ("ping in pieces", [(PING, b"x", False, 0)]),
            ("bad UTF-8", [(TEXT, b"\xff", True, 0)]), ("surrogate", [(TEXT, b"\xed\xa0\x80", True, 0)]),
            ("overlong", [(TEXT, b"\xc0\xaf", True, 0)]), ("above U+10FFFF", [(TEXT, b"\xf4\x90\x80\x80", True, 0)]),
            ("UTF-8 cut over frames", [(TEXT, b"\xc3", False, 0), (0, b"\x28", True, 0)]),
            ("binary", [(BINARY, b"{}", True, 0)]), ("close of one byte", [(CLOSE, b"\x03", True, 0)]),
            ("close 999", [(CLOSE, close(999), True, 0)]), ("close 1005", [(CLOSE, close(1005), True, 0)]),
            ("close 1006", [(CLOSE, close(1006), True, 0)])]
    for name, sent in rows:
        with many(flowd) as ws:
            for opcode, payload, fin, rsv in sent:
                try:
                    ws.frame(opcode, payload, fin=fin, rsv=rsv)
                except (BrokenPipeError, ConnectionResetError):
                    pass
            try:
                while not isinstance(said := ws.hear(), tuple):
                    pass
                assert said[1] in (1002, 1003, 1007, 1005), (name, said)
            except (EOFError, ConnectionResetError):
                pass
            except TimeoutError:
                raise AssertionError(f"{name} is taken") from None
    # Whatever that did to them: others are served.
    with many(flowd) as ws:
        ws.say({"type": "ping"})
        assert ws.hear() == {"type": "pong"}


def too_large(flowd):
    with many(flowd) as ws:
        try:
            for i in range(400):
                ws.frame(TEXT if i == 0 else 0, b"x" * 65536, fin=False)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            assert ws.hear() == ("close", 1009)
        except (EOFError, ConnectionResetError):
            pass


def many_sockets(flowd):
    run = start(flowd, SLOW)
    sockets = [WebSocket(flowd.http_address, f"/v1/runs/{run}:watch") for _ in range(100)]
    for ws in sockets:
        assert "result" in ws.hear()
    for ws in sockets[::2]:
        ws.socket.close()
    def finish(ws, seen):
        while True:
            said = ws.hear()
            if isinstance(said, tuple):
                seen.append(said)
                return
    seen = []
    threads = [threading.Thread(target=finish, args=(ws, seen)) for ws in sockets[1::2]]
    for thread in threads:
        thread.start()
    with Raw(flowd.http_address) as raw:
        assert raw.ask("POST", "/prod/stop", {"runId": run, "force": True})[0] == 200
    for thread in threads:
        thread.join(20)
    assert seen == [("close", 1000)] * 50, seen
    for ws in sockets:
        ws.socket.close()


def going_down(flowd):
    run = start(flowd, SLOW)
    with many(flowd) as ws, WebSocket(flowd.http_address, f"/v1/runs/{run}:watch") as one:
        one.hear()
        flowd.process.terminate()
        assert ws.hear()["type"] == "drain"
        assert ws.hear() == ("close", 1001)
        while not isinstance(said := one.hear(), tuple):
            pass
        assert said[1] in (1000, 1001), said
    assert flowd.process.wait(30) == 0, flowd.log()[-3000:]


def main():
    flowd = Flowd()
    try:
        for test in (one_stream, errors_of_one_stream, calls, credit_and_cancel, bad_messages, handshakes, frames,
                     broken_frames, too_large, many_sockets, going_down):
            test(flowd)
            print(f"{test.__name__}: ok", flush=True)
    finally:
        if flowd.process.poll() is None:
            flowd.process.kill()
        text = flowd.log()
        if "ERROR: " in text or "runtime error" in text:
            print(text[-6000:])


main()
