#!/usr/bin/python3
"""The workflow cases of tests/data/workflows hold over gRPC: states, queues, dead letters, problems."""
import json, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lib.flowd import (ROOT, Flowd, assert_balanced, details, queue_data, raises, run_tests, state_name, wait_for_end,
                       workflow)

# What these need comes later: their node types are not there yet.
LATER = set()


def check_invalid(flowd, case):
    expect = case["expect"]
    definition = workflow(case["workflow"])
    problems = flowd.call("WorkflowService/ValidateWorkflow", workflow=definition).problems
    assert len(problems) >= expect["problems_at_least"], problems
    text = json.dumps([[p.message, p.node_id, p.edge_id, p.field] for p in problems])
    for word in expect["mentions"]:
        assert word in text, f"{word} not in {text}"
    error = raises(expect["error"], flowd.call, "ProductionService/StartRun", workflow=definition)
    assert "fieldViolations" in json.dumps(details(error)), details(error)
    raises(expect["error"], flowd.call, "WorkflowService/CreateWorkflow", workflow=definition)
    assert len(flowd.call("WorkflowService/ListWorkflows").workflows) == 0
    assert len(flowd.call("ProductionService/ListRuns").runs) == 0


def check_run(flowd, case):
    expect = case["expect"]
    definition = workflow(dict(case["workflow"], id=case["name"]))
    flowd.call("WorkflowService/CreateWorkflow", workflow=definition)
    started = flowd.call("ProductionService/StartRun", workflow_id=case["name"]).run
    run = wait_for_end(flowd, started.id)
    assert state_name(run) == expect["state"], run
    for queue, wanted in expect.get("queues", {}).items():
        got = queue_data(flowd, queue)
        assert got == wanted, f"{queue}: {got} instead of {wanted}"
    letters = flowd.call("DeadLetterService/ListDeadLetters", workflow_id=case["name"]).dead_letters
    assert len(letters) == expect["dead_letters"], letters
    if "dead_letter" in expect:
        check_letter(flowd, letters, expect["dead_letter"])
    analysis = flowd.call("WorkflowService/AnalyzeWorkflow", workflow_id=case["name"]).analysis
    for name in expect.get("mapped_queues", []):
        assert name in [q.short_name for q in analysis.queues], analysis.queues
    assert_balanced(flowd)


def check_letter(flowd, letters, wanted):
    from google.protobuf import json_format
    letter = letters[-1]  # newest first: this is the oldest
    assert letter.node_id == wanted["node_id"] and letter.node_type == wanted["node_type"], letter
    reason = letter.DESCRIPTOR.fields_by_name["reason"].enum_type.values_by_number[letter.reason].name
    assert reason == wanted["reason"], letter
    data = json_format.MessageToDict(letter.payload.data)
    for key, value in wanted["payload_data_has"].items():
        assert {k: data[key][k] for k in value} == value, data
    assert letter.fingerprint and letter.id
    again = flowd.call("DeadLetterService/GetDeadLetter", id=letter.id).dead_letter
    assert again == letter
    groups = {l.fingerprint for l in letters}
    assert len(groups) == 1, "the same cause has one fingerprint"


def make_test(path):
    def test():
        case = json.loads(path.read_text())
        with Flowd() as flowd:
            (check_invalid if "error" in case["expect"] else check_run)(flowd, case)
    return test


for path in sorted((ROOT / "tests/data/workflows").glob("*.json")):
    if path.stem not in LATER:
        globals()["test_" + path.stem.replace("-", "_")] = make_test(path)

run_tests(dict(globals()))
