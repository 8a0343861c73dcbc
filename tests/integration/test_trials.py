#!/usr/bin/python3
"""`flowd test`: workflow tests as files pass, fail with reasons, and are refused where they name what isn't there."""
import json, subprocess, sys, tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lib.flowd import PROGRAMS, ROOT, run_tests

WORK = Path(tempfile.mkdtemp(prefix="trials-"))
COUNT = {"name": "count", "nodes": [
    {"id": "p", "type": "counter", "data": {"form": {"min_value": 1, "max_value": 2}}},
    {"id": "s", "type": "set-fields", "data": {"form": {"fields": {"n": "{{ data.counter.current }}"}}}}],
    "edges": [{"id": "1", "source": "p", "target": "s"}]}


def flowd_test(*arguments):
    return subprocess.run([PROGRAMS / "flowd", "test", *map(str, arguments)], capture_output=True, text=True, timeout=120)


def write(name, tests, workflow=COUNT):
    path = WORK / name
    path.write_text(json.dumps({"workflow": workflow, "tests": tests}))
    return path


def test_the_cases_pass():
    junit = WORK / "good.xml"
    files = sorted((ROOT / "tests/data/trials").glob("*.test.json"))
    result = flowd_test("--junit", junit, *files)
    assert result.returncode == 0, result.stdout + result.stderr
    cases = xml.parse(junit).getroot().findall("testcase")
    assert len(cases) >= 6 and not [c for c in cases if c.find("failure") is not None]


def test_failures_say_what_differs():
    junit = WORK / "bad.xml"
    path = write("bad.json", [
        {"name": "outputs", "expect": {"outputs": {"s": [{"n": 1}, {"n": 3}]}}},
        {"name": "letters", "mocks": {"s": {"error": "broken"}}, "expect": {"dead_letters": 1}},
        {"name": "queue", "expect": {"queues": {"nowhere": [{"a": 1}]}}},
        {"name": "too many calls", "mocks": {"s": [{"data": {}}]}, "expect": {}},
        {"name": "fine", "expect": {"branches": {"p": ["default", "default"]}, "outputs": {"s": [{"n": 1}, {"n": 2}]}}}])
    result = flowd_test("--junit", junit, path)
    assert result.returncode == 1, result.stdout
    assert "1 passed, 4 failed" in result.stdout, result.stdout
    assert 'outputs of "s": expected [{"n":1},{"n":3}], got' in result.stdout, result.stdout
    assert "dead letters: expected 1, got 2" in result.stdout and "broken" in result.stdout
    assert "more often than it has mocks" in result.stdout
    cases = xml.parse(junit).getroot().findall("testcase")
    assert [c.find("failure") is not None for c in cases] == [True, True, True, True, False]
    assert flowd_test("--filter", "fine", path).returncode == 0


def test_unknown_names_are_errors():
    for test, words in [({"mocks": {"nobody": {}}, "expect": {}}, '"nobody"'),
                        ({"inputs": {"q": []}, "expect": {}}, '"q"'),
                        ({"mocks": {"s": {"dta": {}}}, "expect": {}}, 'did you mean "data"'),
                        ({"expect": {"output": {}}}, 'did you mean "outputs"'),
                        ({"expect": {"outputs": {"x": []}}}, '"x"'),
                        ({"expects": {}}, 'did you mean "expect"'), ({}, "expect is missing")]:
        result = flowd_test(write("wrong.json", [test]))
        assert result.returncode == 2 and words in result.stderr, (test, result.stderr)
    assert flowd_test(WORK / "not-there.json").returncode == 2
    assert flowd_test().returncode == 2 and flowd_test("--help").returncode == 0
    (WORK / "broken.json").write_text("{")
    assert flowd_test(WORK / "broken.json").returncode == 2


def test_a_faulty_workflow():
    faulty = json.loads(json.dumps(COUNT))
    faulty["nodes"][1]["type"] = "set-feilds"
    path = write("faulty.json", [{"expect": {"error": "set-feilds"}}, {"expect": {}}], faulty)
    result = flowd_test(path)
    assert result.returncode == 1 and "1 passed, 1 failed" in result.stdout, result.stdout
    assert "did not start" in result.stdout


def test_a_run_without_end_is_stopped():
    endless = {"name": "endless", "nodes": [{"id": "t", "type": "timer", "data": {"form": {"interval": 1, "unit": "minutes"}}},
                                            {"id": "w", "type": "queue-writer", "data": {"form": {"queue_name": "out"}}}],
               "edges": [{"id": "1", "source": "t", "target": "w"}]}
    result = flowd_test(write("endless.json", [{"run_for": 200, "expect": {"state": "STOPPED", "outputs": {"t": [
        {"timer": {"tick": 1}}, {"timer": {"tick": 2}}, {"timer": {"tick": 3}}]}}}], endless))
    assert result.returncode == 0, result.stdout


run_tests(dict(globals()))
