#!/usr/bin/python3
"""The HTTP door of a real flowd: methods as JSON and protobuf, errors, what HTTP/1.1 asks of a server, streams."""
import gzip, json, sys, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "lib"))
from flowd import Flowd, POOL, message
from raw_http import Raw, WebSocket

HELLO = {"nodes": [{"id": "n", "type": "counter", "position": {"x": 1, "y": 2}, "selected": True,
                    "data": {"form": {"min": 0, "max": 3}}}],
         "edges": [], "viewport": {"zoom": 1.5}}


def status_of(body):
    status = json.loads(body)
    info = [d for d in status["details"] if d["@type"].endswith("ErrorInfo")][0]
    assert info["domain"] == "flowengine"
    return status["code"], info["reason"]


def ok(raw, *args, **kwargs):
    code, headers, body = raw.ask(*args, **kwargs)
    assert code == 200, (args, code, body)
    return json.loads(body)


def methods(flowd, raw):
    made = ok(raw, "POST", "/v1/workflows", dict(HELLO, id="w1", name="one"))
    assert made["id"] == "w1" and made["viewport"] == {"zoom": 1.5} and made["nodes"][0]["selected"] is True
    assert made["nodes"][0]["position"] == {"x": 1.0, "y": 2.0} and made["revision"] == "1", made
    assert ok(raw, "GET", "/v1/workflows/w1") == made
    changed = ok(raw, "PATCH", "/v1/workflows/w1?updateMask=name", {"name": "two", "etag": made["etag"]})
    assert changed["name"] == "two" and changed["nodes"] == made["nodes"]
    code, _, body = raw.ask("PATCH", "/v1/workflows/w1?updateMask=name", {"name": "x", "etag": made["etag"]})
    assert (code, *status_of(body)) == (409, 10, "ETAG_STALE")
    listed = ok(raw, "GET", "/v1/workflows?pageSize=10&filter=")
    assert [w["id"] for w in listed["workflows"]] == ["w1"], listed
    # What every method answers to besides, and the same by gRPC.
    plain = ok(raw, "POST", "/flowengine.v1.WorkflowService/GetWorkflow", {"workflowId": "w1"})
    assert plain["workflow"] == changed
    assert flowd.call("WorkflowService/GetWorkflow", workflow_id="w1").workflow.name == "two"
    problems = ok(raw, "POST", "/v1/workflows:validate", {"workflow": {"nodes": [{"id": "a", "type": "nothing"}]}})
    assert problems["problems"], problems
    assert ok(raw, "DELETE", "/v1/workflows/w1") == {}
    rendered = ok(raw, "POST", "/dev/render", {"template": "{{ data.a }}!", "data": {"a": 1}})
    assert rendered["text"] == "1!", rendered


def protobuf(flowd, raw):
    body = message("RenderTemplateRequest", template="a{{ 1 + 1 }}").SerializeToString()
    code, headers, answer = raw.ask("POST", "/dev/render", body, ["Content-Type: application/x-protobuf",
                                                                  "Accept: application/x-protobuf"])
    assert (code, headers["content-type"]) == (200, "application/x-protobuf"), (code, answer)
    response = type(message("RenderTemplateResponse")).FromString(answer)
    assert response.text == "a2"
    code, _, answer = raw.ask("POST", "/dev/render", b"\x0a\xff", ["Content-Type: application/x-protobuf"])
    assert (code, *status_of(answer)) == (400, 3, "MALFORMED_MESSAGE"), answer


ERRORS = [  # method, target, body, headers → HTTP code, gRPC code, reason
    ("GET", "/v1/nothing", None, [], 404, 5, "ROUTE_NOT_FOUND"),
    ("GET", "/v1/workflows/", None, [], 404, 5, "ROUTE_NOT_FOUND"),
    ("GET", "/../etc/passwd", None, [], 404, 5, "ROUTE_NOT_FOUND"),
    ("GET", "/v1/workflows/..%2f..%2fetc", None, [], 400, 3, "INVALID_FIELD"),
    ("PUT", "/v1/workflows", b"", [], 405, 12, "METHOD_NOT_ALLOWED"),
    ("GET", "/v1/workflows/none", None, [], 404, 5, "WORKFLOW_NOT_FOUND"),
    ("GET", "/v1/workflows?pageSize=many", None, [], 400, 3, "OUT_OF_RANGE"),
    ("GET", "/v1/workflows?page=1", None, [], 400, 3, "UNKNOWN_FIELD"),
    ("GET", "/v1/workflows?timeout=soon", None, [], 400, 3, "INVALID_FIELD"),
    ("GET", "/v1/workflows", None, ["Grpc-Timeout: 1"], 400, 3, "INVALID_FIELD"),
    ("GET", "/v1/workflows/%zz", None, [], 400, 3, "INVALID_FIELD"),
    ("POST", "/v1/workflows", b"{", [], 400, 3, "INVALID_JSON"),
    ("POST", "/v1/workflows", b"{} x", [], 400, 3, "INVALID_JSON"),
    ("POST", "/v1/workflows", b'{"a":' * 70 + b"1" + b"}" * 70, [], 400, 3, "JSON_TOO_DEEP"),
    ("POST", "/v1/workflows", b'{"id":"a","id":"b"}', [], 400, 3, "DUPLICATE_KEY"),
    ("POST", "/v1/workflows", b'{"name":"\\ud800"}', [], 400, 3, "INVALID_JSON"),
    ("POST", "/v1/workflows", b'{"name":"\xff"}', [], 400, 3, "INVALID_JSON"),
    ("POST", "/v1/workflows", b"{}", ["Content-Type: text/plain"], 415, 3, "UNSUPPORTED_MEDIA_TYPE"),
    ("POST", "/v1/workflows", b"{}", ["Content-Encoding: gzip"], 415, 3, "UNSUPPORTED_MEDIA_TYPE"),
    ("POST", "/prod/stop", b"{}", [], 400, 3, "REQUIRED_FIELD"),
    ("GET", "/v1/workers:attach", None, [], 426, 9, "UPGRADE_REQUIRED"),
    ("GET", "/v1/runs/none:watch", None, [], 404, 5, "RUN_NOT_FOUND"),
    ("GET", "/v1/server", None, ["Origin: http://evil.example", "Upgrade: websocket", "Connection: upgrade"], 403, 7,
     "FOREIGN_ORIGIN"),
    ("POST", "/prod/start", b"{}", ["Origin: http://evil.example"], 403, 7, "FOREIGN_ORIGIN"),
    ("POST", "/prod/start", b"{}", ["Origin: null"], 403, 7, "FOREIGN_ORIGIN"),
    ("POST", "/flowengine.v1.Nothing/At", b"{}", [], 404, 5, "ROUTE_NOT_FOUND"),
]


def errors(flowd, raw):
    for method, target, body, headers, http, code, reason in ERRORS:
        got, reply_headers, answer = raw.ask(method, target, body, headers)
        assert (got, *status_of(answer)) == (http, code, reason), (method, target, got, answer)
        assert reply_headers["content-type"] == "application/json" and reply_headers.get("x-request-id"), (method, target, reply_headers)
    _, headers, _ = raw.ask("PUT", "/v1/workflows", b"")
    assert headers["allow"] == "GET, HEAD, POST"
    # The same error, however it is asked for.
    import grpc
    from flowd import details
    try:
        flowd.call("ProductionService/GetRun", run_id="none")
        raise AssertionError("no error")
    except grpc.RpcError as error:
        by_grpc = details(error)
    _, _, by_rest = raw.ask("GET", "/v1/runs/none")
    assert json.loads(by_rest) == by_grpc, (by_rest, by_grpc)


def http(flowd, raw):
    # One connection for all of this.
    code, headers, body = raw.ask("HEAD", "/v1/server")
    assert code == 200 and int(headers["content-length"]) > 100 and body == b""
    code, headers, _ = raw.ask("GET", "/v1/server", headers=["X-Request-Id: mine-1"])
    assert headers["x-request-id"] == "mine-1"
    code, headers, _ = raw.ask("GET", "/v1/server", headers=["X-Request-Id: not mine!"])
    assert headers["x-request-id"] != "not mine!"
    code, headers, body = raw.ask("GET", "/v1/nodeTypes", headers=["Accept-Encoding: br, gzip;q=1"])
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body)) == ok(raw, "GET", "/v1/nodeTypes")
    # A body in chunks, with an extension and a trailer that mean nothing.
    raw.send("POST /dev/render HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
             "4\r\n{\"te\r\nf;x=y\r\nmplate\": \"{{ 7*\r\n5\r\n6}}\"}\r\n0\r\nHost: other\r\n\r\n")
    code, _, body = raw.reply()
    assert code == 200 and json.loads(body)["text"] == "42", body
    # Pipelined, with a body in between, in one piece.
    raw.send("GET /v1/server HTTP/1.1\r\nHost: localhost\r\n\r\n"
             "POST /dev/render HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16\r\n\r\n{\"template\":\"a\"}"
             "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
    for _ in range(20):
        assert [raw.reply()[0] for _ in range(3)] == [200, 200, 200]
    raw.send("POST /dev/render HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 16\r\n\r\n")
    assert raw.line() == "HTTP/1.1 100 Continue" and raw.line() == ""
    raw.send('{"template":"b"}')
    assert raw.reply()[0] == 200
    # What curl -d says of everything, and a request byte by byte.
    assert ok(raw, "POST", "/dev/render", b'{"template":"c"}',
              ["Content-Type: application/x-www-form-urlencoded"])["text"] == "c"
    for byte in b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n":
        raw.send(bytes([byte]))
    assert raw.reply()[2] == b"ok\n"
    # An absolute target is its path.
    assert raw.ask("GET", "http://localhost/healthz")[0] == 200
    code, headers, _ = raw.ask("OPTIONS", "/v1/workflows")
    assert code == 204 and "POST" in headers["allow"]
    with Raw(flowd.http_address) as old:
        old.send("GET /healthz HTTP/1.0\r\n\r\n")
        code, headers, body = old.reply()
        assert (code, headers["connection"]) == (200, "close") and old.closed()


SMUGGLING = [  # what is sent → the code of the only answer, after which the connection is closed
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n{}  ", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nContent-Length: 4, 4\r\n\r\n{}  ", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nContent-Length: +4\r\n\r\n{}  ", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nContent-Length: 0x4\r\n\r\n{}  ", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nContent-Length: -1\r\n\r\n{}  ", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /dev/render HTTP/1.0\r\nHost: l\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\nHost: l\n\n", 400),
    ("GET /healthz HTTP/1.1\r\nHost: l\r\nA: b\rC: d\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\nHost: l\r\nA: b\r\n folded\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\n Host: l\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\nHost: l\r\nA: \x00\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("GET /healthz HTTP/1.1\r\n\r\n", 400),
    ("GET  /healthz HTTP/1.1\r\nHost: l\r\n\r\n", 400),
    ("GET /heal thz HTTP/1.1\r\nHost: l\r\n\r\n", 400),
    ("GET healthz HTTP/1.1\r\nHost: l\r\n\r\n", 400),
    ("GET /healthz HTTP/2.0\r\nHost: l\r\n\r\n", 505),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 405, 505)),
    ("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", (400, 405)),
    ("FETCH /healthz HTTP/1.1\r\nHost: l\r\n\r\n", 405),
    ("GET /healthz HTTP/1.1\r\nHost: l\r\nExpect: magic\r\n\r\n", 417),
    ("GET /" + "a" * 20000 + " HTTP/1.1\r\nHost: l\r\n\r\n", 431),
    ("GET /healthz HTTP/1.1\r\nHost: l\r\n" + "A: b\r\n" * 200 + "\r\n", 431),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nContent-Length: 99999999999\r\n\r\n", 413),
    ("POST /dev/render HTTP/1.1\r\nHost: l\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
]


def smuggling(flowd, raw):
    for sent, expected in SMUGGLING:
        with Raw(flowd.http_address) as one:
            one.send(sent + "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            code, headers, _ = one.reply()
            assert code in (expected if isinstance(expected, tuple) else (expected,)), (sent[:200], code)
            assert headers.get("connection") == "close" and one.closed(), sent[:200]


def hosts(flowd, raw):
    for host, code in [("localhost", 200), ("127.0.0.1:8080", 200), ("[::1]:8080", 200), ("a.localhost", 200),
                       ("flow.example:80", 200), ("evil.example", 403), ("localhost.evil.example", 403),
                       ("127.0.0.1.evil.example", 403), ("[::1", 403), ("a b", 403), ("", 200)]:
        got, _, body = raw.ask("GET", "/v1/server", host=host)
        assert got == code, (host, got, body)


def cors(flowd, raw):
    page = "https://console.example"
    code, headers, _ = raw.ask("OPTIONS", "/prod/start", headers=[f"Origin: {page}", "Access-Control-Request-Method: POST",
                                                                  "Access-Control-Request-Headers: content-type"])
    assert code == 204 and headers["access-control-allow-origin"] == page, headers
    assert "POST" in headers["access-control-allow-methods"] and headers["access-control-allow-headers"] == "content-type"
    code, headers, _ = raw.ask("GET", "/v1/server", headers=[f"Origin: {page}"])
    assert code == 200 and headers["access-control-allow-origin"] == page and headers["vary"] == "Origin"
    code, headers, _ = raw.ask("GET", "/v1/server", headers=["Origin: https://evil.example"])
    assert code == 200 and "access-control-allow-origin" not in headers
    code, headers, _ = raw.ask("OPTIONS", "/prod/start", headers=["Origin: https://evil.example",
                                                                  "Access-Control-Request-Method: POST"])
    assert code == 403 and "access-control-allow-origin" not in headers
    assert raw.ask("POST", "/dev/render", {"template": "a"}, [f"Origin: http://{flowd.http_address}"],
                   host=flowd.http_address)[0] == 200


def records(raw):
    """NDJSON, one by one."""
    rest = b""
    while True:
        while b"\n" in rest:
            line, rest = rest.split(b"\n", 1)
            yield json.loads(line)
        piece = raw.chunk()
        if not piece:
            assert rest == b""
            return
        rest += piece


def events(raw):
    """Server-sent events: (event, id, data)."""
    rest = b""
    while True:
        while b"\n\n" in rest:
            block, rest = rest.split(b"\n\n", 1)
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
            if fields:
                yield (fields.get(b"event", b"message").decode(), fields.get(b"id", b"").decode(), json.loads(fields[b"data"]))
        piece = raw.chunk()
        if not piece:
            assert rest == b""
            return
        rest += piece


def streams(flowd, raw):
    run = ok(raw, "POST", "/prod/start", {"workflow": HELLO})
    with Raw(flowd.http_address) as one:
        one.send(f"GET /v1/runs/{run['id']}:watch?afterCursor=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        code, headers = one.head()
        assert (code, headers["content-type"], headers["cache-control"]) == (200, "application/x-ndjson", "no-store")
        seen = list(records(one))
        # The connection goes on.
        assert one.ask("GET", "/healthz")[0] == 200
    assert all(set(r) == {"result"} for r in seen[:-1]) and set(seen[-1]) == {"end"}, seen[-2:]
    cursors = [int(r["result"]["cursor"]) for r in seen[:-1]]
    assert cursors == sorted(set(cursors)) and seen[-1]["end"]["cursor"] == str(cursors[-1]), (cursors, seen[-1])
    with Raw(flowd.http_address) as one:
        one.send(f"GET /v1/runs/{run['id']}:watch?afterCursor=0 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        code, headers = one.head()
        assert (code, headers["content-type"]) == (200, "text/event-stream")
        told = list(events(one))
    assert told[-1][0] == "end" and all(e[0] == "message" and e[1] == e[2]["cursor"] for e in told[:-1]), told[-1]
    # Behind the last event there is nothing: an EventSource is told to come no more.
    last = told[-2][1]
    code, headers, body = raw.ask("GET", f"/v1/runs/{run['id']}:watch", headers=["Accept: text/event-stream",
                                                                                 f"Last-Event-ID: {last}"])
    assert code == 204, (code, body)
    code, _, body = raw.ask("GET", f"/v1/runs/{run['id']}:watch", headers=["Accept: text/event-stream", "Last-Event-ID: x"])
    assert (code, *status_of(body)) == (400, 3, "INVALID_FIELD")
    assert raw.ask("HEAD", f"/v1/runs/{run['id']}:watch")[0] == 200


SLOW = {"nodes": [{"id": "t", "type": "timer", "data": {"form": {"interval": 1, "unit": "hours"}}}], "edges": []}


def deadlines_and_leaving(flowd, raw):
    run = ok(raw, "POST", "/prod/start", {"workflow": SLOW})
    for how in ("?timeout=0.3s", ""):
        started = time.monotonic()
        headers = [] if how else ["Grpc-Timeout: 300m"]
        code, _, body = raw.ask("GET", f"/v1/runs/{run['id']}:watch{how}", headers=headers)
        assert code == 200 and b'"error":{"code":4' in body.splitlines()[-1], body
        assert 0.2 < time.monotonic() - started < 5
    watchers = [Raw(flowd.http_address) for _ in range(20)]
    for w in watchers:
        w.send(f"GET /v1/runs/{run['id']}:watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
        w.head()
        w.chunk()
    for w in watchers:
        w.socket.close()
    ok(raw, "POST", "/prod/stop", {"runId": run["id"], "force": True})


def draining(flowd, raw):
    run = ok(raw, "POST", "/prod/start", {"workflow": SLOW})
    with Raw(flowd.http_address) as one:
        one.send(f"GET /v1/runs/{run['id']}:watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
        one.head()
        flowd.process.terminate()
        last = list(records(one))[-1]
    assert "end" in last or last["error"]["code"] == 14, last
    assert flowd.process.wait(30) == 0, flowd.log()[-2000:]


def tls_and_unix():
    """Both at once: TCP speaks TLS, and wants a certificate of the client; the Unix socket is in clear."""
    import os, socket, ssl, subprocess, tempfile
    work = tempfile.mkdtemp()
    def make(name, *more):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-keyout", f"{work}/{name}.key", "-out", f"{work}/{name}.pem", "-subj", f"/CN={name}",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", *more], check=True, capture_output=True)
    make("server")
    make("client")
    path = f"{work}/http.sock"
    flowd = Flowd("--tls-cert", f"{work}/server.pem", "--tls-key", f"{work}/server.key", "--tls-client-ca", f"{work}/client.pem",
                  "--http-listen", f"127.0.0.1:0,unix:{path}")
    try:
        address = flowd.http_address.split(",")[0]
        context = ssl.create_default_context(cafile=f"{work}/server.pem")
        context.set_alpn_protocols(["h2", "http/1.1"])
        def connect(with_certificate):
            if with_certificate:
                context.load_cert_chain(f"{work}/client.pem", f"{work}/client.key")
            raw = Raw(address)
            raw.socket = context.wrap_socket(raw.socket, server_hostname="localhost")
            return raw
        try:
            with connect(False) as raw:
                raw.ask("GET", "/healthz")
            raise AssertionError("a client without a certificate was served")
        except (ssl.SSLError, EOFError, ConnectionError):
            pass
        with connect(True) as raw:
            assert raw.socket.selected_alpn_protocol() == "http/1.1"
            assert ok(raw, "POST", "/dev/render", {"template": "x" * 200000})["text"] == "x" * 200000
            assert [raw.ask("GET", "/healthz")[0] for _ in range(3)] == [200] * 3
            run = ok(raw, "POST", "/prod/start", {"workflow": HELLO})
            raw.send(f"GET /v1/runs/{run['id']}:watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert raw.head()[0] == 200 and "end" in list(records(raw))[-1]
        wrap = lambda plain: context.wrap_socket(plain, server_hostname="localhost")
        with WebSocket(address, "/v1/ws", wrap=wrap) as ws:
            assert ws.hear()["type"] == "ready"
            text = "y" * 900000
            ws.say({"type": "call", "id": "1", "method": "flowengine.v1.DevelopmentService/RenderTemplate", "request": {"template": text}})
            assert ws.hear()["message"]["text"] == text and ws.hear()["status"] == {"code": 0}
            ws.say("nonsense")
            assert ws.hear() == ("close", 4400)
        with WebSocket(address, f"/v1/runs/{run['id']}:watch", wrap=wrap) as ws:
            while not isinstance(said := ws.hear(), tuple):
                pass
            assert said == ("close", 1000) and ws.closed()
        # In clear on the TLS port: closed, and the server lives.
        with Raw(address) as raw:
            raw.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                while raw.socket.recv(4096):
                    pass
            except ConnectionError:
                pass
        # The certificate changes: new connections see the new one.
        make("server")
        os.utime(f"{work}/server.pem", (1, 1))
        local = Raw.__new__(Raw)
        local.socket, local.buffer = socket.socket(socket.AF_UNIX), b""
        local.socket.connect(path)
        assert local.ask("GET", "/v1/server", host="anything")[0] == 200
        assert oct(os.stat(path).st_mode & 0o777) == "0o600"
        local.socket.close()
        time.sleep(1.1)  # the server looks at its files once a second
        context = ssl.create_default_context(cafile=f"{work}/server.pem")
        with connect(True) as raw:
            assert raw.ask("GET", "/healthz")[0] == 200
        flowd.process.terminate()
        assert flowd.process.wait(20) == 0 and not os.path.exists(path), flowd.log()[-2000:]
    finally:
        if flowd.process.poll() is None:
            flowd.process.kill()


def site(flowd, raw):
    code, headers, body = raw.ask("GET", "/")
    assert code == 200 and b"<title>FlowEngine" in body and "default-src 'none'" in headers["content-security-policy"]
    assert raw.ask("GET", "/", headers=[f"If-None-Match: {headers['etag']}"])[0] == 304
    assert raw.ask("HEAD", "/")[2] == b"" and raw.ask("POST", "/", b"")[0] == 405
    document = ok(raw, "GET", "/openapi.json")
    operations = [o for path in document["paths"].values() for o in path.values()]
    methods = {m.full_name for name in ("Workflow", "Production", "Queue", "DeadLetter", "NodeType", "Development", "System", "Webhook",
                                        "Worker") for m in POOL.FindServiceByName(f"flowengine.v1.{name}Service").methods}
    assert {f"/{m.rsplit('.', 1)[0]}/{m.rsplit('.', 1)[1]}" for m in methods} - set(document["paths"]) == \
        {"/flowengine.v1.WorkerService/Attach"}
    assert len({o["operationId"] for o in operations}) == len(operations) > 100
    import re
    for kind, name in set(re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', json.dumps(document))):
        assert name in document["components"][kind], name
    code, headers, body = raw.ask("GET", "/metrics")
    assert code == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = body.decode().splitlines()
    assert any(l.startswith('flowd_calls_total{method="flowengine.v1.SystemService/GetServerInfo",status="OK"} ') for l in lines), lines
    assert any(l == "flowd_ready 1" for l in lines) and all(re.match(r"#|\w+(\{[^}]*\})? [-+.\de]+$", l) for l in lines)


def main():
    tls_and_unix()
    print("tls_and_unix: ok", flush=True)
    flowd = Flowd("--http-origins", "https://console.example", "--http-hosts", "flow.example", "--access-log")
    try:
        for test in (methods, protobuf, errors, http, smuggling, hosts, cors, site, streams, deadlines_and_leaving, draining):
            with Raw(flowd.http_address) as raw:
                test(flowd, raw)
            print(f"{test.__name__}: ok", flush=True)
    finally:
        if flowd.process.poll() is None:
            flowd.process.kill()
        text = flowd.log()
        if "ERROR: " in text or "runtime error" in text:
            print(text[-6000:])


main()
