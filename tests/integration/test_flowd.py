#!/usr/bin/python3
"""flowd as a program: settings from everywhere, refusals with their exit codes, health, signals, sockets; and that
docs/operations.md lists what there is. With --write it brings the lists in that page up to date."""
import http.client, os, re, signal, socket, subprocess, sys, tempfile, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lib.flowd import PROGRAMS, ROOT, Client, Flowd, raises, run_tests

FLOWD = PROGRAMS / "flowd"
PAGE = ROOT / "docs/operations.md"


def flowd(*arguments, environment=None, expect=0):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("FLOWD_")}
    result = subprocess.run([FLOWD, *arguments], capture_output=True, text=True, timeout=60, env=dict(clean, **(environment or {})))
    assert result.returncode == expect, (arguments, result)
    return result.stdout + result.stderr


def refused(code, *arguments, says="", **options):
    """flowd with these settings doesn't start, and says why."""
    output = flowd("--data-dir", tempfile.mkdtemp(), "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", *arguments,
                   expect=code, **options)
    assert says in output, (says, output)
    return output


def listed():
    rows = [line.split("\t") for line in flowd("--list-settings").splitlines()]
    return [r[1:] for r in rows if r[0] == "setting"], [r[1:] for r in rows if r[0] == "exit"]


def tables():
    settings, exits = listed()
    escape = lambda text: text.replace("|", "\\|")
    yield "settings", ["| setting | value | default | what it does |", "| --- | --- | --- | --- |"] + [
        f"| `{name}` | {escape(value) or 'true, false'} | {escape(default) and f'`{escape(default)}`'} | {escape(text)} |"
        for name, value, default, text in settings]
    yield "exit codes", ["| code | what happened |", "| --- | --- |"] + [f"| {code} | {escape(text)} |" for code, text in exits]


def page_with_tables(text):
    for name, lines in tables():
        pattern = re.compile(rf"(<!-- {name}: begin[^\n]*-->\n).*?(<!-- {name}: end -->)", re.S)
        assert pattern.search(text), name
        text = pattern.sub(lambda m: m.group(1) + "\n".join(lines) + "\n" + m.group(2), text)
    return text


def test_the_page_lists_all_settings_and_exit_codes():
    text = PAGE.read_text()
    assert text == page_with_tables(text), "run tests/integration/test_flowd.py --write"
    help_text = flowd("--help")
    for name, *_ in listed()[0]:
        assert f"--{name}" in help_text, name


def test_version_and_check():
    assert re.match(r"flowd \d+\.\d+\.\d+\n", flowd("--version"))
    assert "good" in flowd("--check-config")
    assert "good" in flowd("--check-config", "--grpc-listen", "0.0.0.0:1", "--http-listen", "[::]:1", "--insecure-listen")
    for bad in (["--grpc-listen", "0.0.0.0:50051"], ["--http-listen", "0.0.0.0:80"], ["--grpc-listen", "nonsense"],
                ["--tls-cert", "/nothing", "--tls-key", "/nothing"]):
        flowd("--check-config", *bad, expect=2)


def test_wrong_settings_are_named():
    for arguments, says in (
            (["--no-such"], "no-such"), (["--grpc-liste", "x"], 'did you mean "grpc-listen"'), (["x"], "no flag"),
            (["--grpc-listen"], "wants a value"), (["--shards", "many"], "many"), (["--shards", "257"], "0 to 256"),
            (["--max-request-bytes", "1"], "size"), (["--max-request-bytes", "4X"], "4X"), (["--drain-wait", "5"], "time"),
            (["--drain-wait", "99999999999999999999s"], "time"), (["--log-level", "loud"], "debug|info|warning|error"),
            (["--insecure-listen=maybe"], "true or false"), (["--tls-cert", "x"], "tls-key"), (["--tls-client-ca", "x"], "tls-cert"),
            (["--config", "/no/such"], "/no/such")):
        output = flowd(*arguments, expect=2)
        assert says in output and len(output.splitlines()) == 1, (arguments, output)
    assert "FLOWD_SHARDS" in flowd(environment={"FLOWD_SHARDS": "x"}, expect=2)
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("# a comment\n\nlog-level = debug\nshards = x\n")
        file.flush()
        assert f"{file.name}:4" in flowd("--config", file.name, expect=2)


def test_flags_win_over_environment_over_file():
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("name=from-file\nlog-format = json\nmax-calls = 7   \n")
        file.flush()
        config = ["--config", file.name]
        environment = {"FLOWD_NAME": "from-environment", "FLOWD_NO_SUCH": "1"}

        def name_of(arguments, environment):
            with Flowd(*arguments, environment=environment) as server:
                assert '"level":"info"' in server.log() or '"level": "info"' in server.log(), server.log()
                return server.call("SystemService/GetServerInfo").server_info.name, server.log()
        assert name_of(config, {})[0] == "from-file"
        name, log = name_of(config, environment)
        assert name == "from-environment" and "FLOWD_NO_SUCH" in log, log
        assert name_of([*config, "--name", "from-flag"], environment)[0] == "from-flag"
        assert name_of(["--name=from-flag"], dict(environment, FLOWD_CONFIG=file.name))[0] == "from-flag"


def test_two_on_one_port():
    with Flowd() as first:
        refused(3, "--grpc-listen", first.grpc_address, says="another process")
        refused(3, "--http-listen", first.http_address, says="another process")
        refused(3, "--grpc-listen", "192.0.2.1:0", "--insecure-listen", says="192.0.2.1")


def test_two_on_one_data_directory():
    with Flowd() as first:
        output = flowd("--data-dir", first.data_dir, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", expect=4)
        assert str(first.process.pid) in output and "another flowd" in output, output
        assert first.call("SystemService/GetServerInfo").server_info.ready
    with tempfile.NamedTemporaryFile() as file:
        refused(1, "--data-dir", file.name + "/x", says=file.name)


def test_not_on_a_network_in_the_clear():
    refused(2, "--grpc-listen", "0.0.0.0:0", says="--insecure-listen")
    refused(2, "--grpc-listen", "[::]:0", says="--insecure-listen")
    refused(2, "--http-listen", "0.0.0.0:0", says="--insecure-listen")
    with Flowd("--grpc-listen", "0.0.0.0:0", "--insecure-listen") as server:
        client = Client(server.grpc_address.replace("0.0.0.0", "127.0.0.1"))
        assert client.call("grpc.health.v1.Health/Check").status == 1
        # Many polling threads where strangers may connect.
        names = [Path(t, "comm").read_text() for t in Path(f"/proc/{server.process.pid}/task").iterdir()]
        assert sum(n.startswith("grpc-") for n in names) == 16, names
        client.close()


def test_unix_sockets():
    path = Path(tempfile.mkdtemp()) / "flowd.sock"
    with Flowd("--grpc-listen", f"127.0.0.1:0,unix:{path}", "--http-listen", f"unix:{path}.http") as server:
        assert server.grpc_address.endswith(f",unix:{path}"), server.grpc_address
        assert path.stat().st_mode & 0o777 == 0o600
        for address in server.grpc_address.split(","):
            client = Client(address)
            assert client.call("grpc.health.v1.Health/Check").status == 1
            client.close()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(f"{path}.http")
            peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert peer.recv(1000).startswith(b"HTTP/1.1 200")
        refused(3, "--grpc-listen", f"unix:{path}", says="another process")
        client = Client(f"unix:{path}")
        assert client.call("grpc.health.v1.Health/Check").status == 1
        client.close()
        server.kill()
        assert path.exists()  # left behind by a process that was killed: the next one takes it over
        server.start()
        client = Client(f"unix:{path}")
        assert client.call("grpc.health.v1.Health/Check").status == 1
        client.close()


def get(server, path, method="GET"):
    connection = http.client.HTTPConnection(server.http_address, timeout=30)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_health_endpoints():
    with Flowd("--drain-wait", "30s") as server:
        server.may_end_with.add(6)
        assert get(server, "/healthz") == (200, b"ok\n")
        status, body = get(server, "/readyz")
        assert status == 200 and b'"ready":true' in body, body
        assert get(server, "/readyz", "HEAD") == (200, b"")
        assert get(server, "/healthz", "POST")[0] == 405
        watch = server.call("grpc.health.v1.Health/Watch", timeout=60)
        assert next(watch).status == 1
        server.process.terminate()
        assert next(watch).status == 2
        # Not ready, and still serving: load balancers have time to look elsewhere.
        status, body = get(server, "/readyz")
        assert status == 503 and b"reasons" in body, body
        assert get(server, "/healthz")[0] == 200
        assert server.call("grpc.health.v1.Health/Check").status == 2
        server.process.terminate()
        assert server.process.wait(60) == 6
    with Flowd("--http-listen", "none") as server:
        assert server.http_address == "none"


def test_signals():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Flowd() as server:
            server.process.send_signal(signal.SIGHUP)
            server.call("SystemService/GetServerInfo")
            server.process.send_signal(number)
            assert server.process.wait(60) == 0
            assert server.process.stdout.read() == "", "nothing but the ready line goes to standard output"
            assert "has ended" in server.log()


def test_a_second_signal_ends_at_once():
    with Flowd("--drain-wait", "100s", "--drain-grace", "100s") as server:
        server.may_end_with.add(6)
        stream = server.call("grpc.health.v1.Health/Watch", timeout=60)
        assert next(stream).status == 1
        server.process.terminate()
        assert next(stream).status == 2
        started = time.monotonic()
        server.process.terminate()
        assert server.process.wait(60) == 6
        assert time.monotonic() - started < 20
        raises("UNAVAILABLE", lambda: stream)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page_with_tables(PAGE.read_text()))
        print(f"{PAGE} is up to date")
    else:
        run_tests(globals())
