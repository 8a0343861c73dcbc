#!/usr/bin/python3
"""The client of tests/integration/go (grpc-go) and grpcurl against a real flowd. Skipped where there is no Go, or where
the Go module proxy can't be reached."""
import json, os, re, shutil, subprocess, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lib.flowd import POOL, ROOT, Flowd, run_tests

SOURCE = ROOT / "tests/integration/go"
PLACE = ROOT / "build/tests/go"
SKIPPED = 77
LEAST = (1, 19)
ENVIRONMENT = dict(os.environ, GOFLAGS="-mod=readonly -buildvcs=false", GOTOOLCHAIN="local", CGO_ENABLED="0")
ENVIRONMENT.setdefault("HOME", str(PLACE))


def go(*arguments, timeout=600):
    return subprocess.run(["go", *map(str, arguments)], cwd=SOURCE, env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout)


def skip(why):
    print(why)
    sys.exit(SKIPPED)


def build():
    """The programs, built again when their source or go.sum is newer."""
    version = re.search(r"go(\d+)\.(\d+)", go("version").stdout) if shutil.which("go") else None
    if version is None:
        skip("there is no Go (Debian's package golang-go would do)")
    if tuple(map(int, version.groups())) < LEAST:
        skip(f"Go {'.'.join(version.groups())} is older than {LEAST[0]}.{LEAST[1]}")
    PLACE.mkdir(parents=True, exist_ok=True)
    programs = {"client": ".", "grpcurl": "github.com/fullstorydev/grpcurl/cmd/grpcurl"}
    newest = max(path.stat().st_mtime for path in SOURCE.iterdir())
    if all((PLACE / name).exists() and (PLACE / name).stat().st_mtime >= newest for name in programs):
        return
    if (downloaded := go("mod", "download")).returncode != 0:
        print(downloaded.stderr)
        skip("the Go modules can't be downloaded: no network, or no module proxy")
    for name, package in programs.items():
        built = go("build", "-o", PLACE / name, package)
        assert built.returncode == 0, built.stderr


def test_grpc_go():
    with Flowd() as flowd:
        result = subprocess.run([PLACE / "client", flowd.grpc_address], timeout=120)
        assert result.returncode == 0


def grpcurl(flowd, *arguments, expect=(0,), data=None):
    before = ["-plaintext", "-max-time", "30"] + (["-d", data] if data is not None else [])
    result = subprocess.run([PLACE / "grpcurl", *before, flowd.grpc_address, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode in expect, (arguments, result)
    return result.stdout + result.stderr


def test_grpcurl_lists_describes_and_calls_without_proto_files():
    with Flowd() as flowd:
        services = grpcurl(flowd, "list").split()
        assert len(services) >= 12, services
        described = grpcurl(flowd, "describe")
        for service in services:
            assert f"service {service.rsplit('.', 1)[1]} {{" in described, service
            methods = grpcurl(flowd, "list", service).split()
            assert {m.rsplit(".", 1)[1] for m in methods} == {m.name for m in POOL.FindServiceByName(service).methods}, service
        assert "// " in grpcurl(flowd, "describe", "flowengine.v1.Workflow")
        # What it exits with is 64 + the gRPC code.
        calls = 0
        for service in (s for s in services if s.startswith("flowengine.")):
            for method in POOL.FindServiceByName(service).methods:
                if method.client_streaming or method.server_streaming:
                    continue
                output = grpcurl(flowd, f"{service}/{method.name}", data="{}", expect=(0, 64 + 3, 64 + 5, 64 + 9, 64 + 12))
                assert "Code: Internal" not in output, (method.full_name, output)
                calls += 1
        assert calls > 40, calls
        info = json.loads(grpcurl(flowd, "flowengine.v1.SystemService/GetServerInfo", data="{}"))
        assert info["serverInfo"]["ready"] is True, info
        output = grpcurl(flowd, "flowengine.v1.WorkflowService/GetWorkflow", data='{"workflowId": "nothing"}', expect=(64 + 5,))
        assert '"reason": "WORKFLOW_NOT_FOUND"' in output, output


if __name__ == "__main__":
    build()
    run_tests(globals())
