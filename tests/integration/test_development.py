#!/usr/bin/python3
"""Development Mode over gRPC: single nodes on real data, what inputs are worth, pins, joins, loops, dead letters."""
import json, sys, urllib.error, urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lib.flowd import ROOT, Flowd, as_dict, details, message, queue_data, raises, run_tests, wait_for_end, workflow


def node(id, type, form=None, config=None):
    return {"id": id, "type": type, "data": {"form": form or {}, "config": config or {}}}


def edge(source, target, branch=None):
    return {"id": f"{source}-{target}-{branch or ''}", "source": source, "target": target, "sourceHandle": branch}


def graph(nodes, edges, **more):
    return workflow(dict({"name": "test", "nodes": nodes, "edges": [edge(*e) for e in edges]}, **more))


def numbers(maximum=5, **more):
    """1..n -> double -> show"""
    return graph([node("p", "counter", {"min_value": 1, "max_value": maximum}),
                  node("d", "set-fields", {"fields": {"double": "{{ data.counter.current * 2 }}"}}),
                  node("s", "set-fields", {"fields": {"text": "n={{ data.double }}"}})],
                 [("p", "d"), ("d", "s")], **more)


class Dev:
    """A session that executes nodes of one workflow."""

    def __init__(self, flowd, definition, session="s1"):
        self.flowd, self.definition, self.session = flowd, definition, session

    def ask(self, id, **fields):
        return self.flowd.call("DevelopmentService/ExecuteNode", workflow=self.definition, node_id=id,
                               session_id=self.session, **fields)

    def run(self, id, **fields):
        answer = self.ask(id, **fields)
        assert not answer.HasField("error"), answer.error
        return answer

    def call(self, method, **fields):
        return self.flowd.call(f"DevelopmentService/{method}", session_id=self.session, **fields)

    def pin(self, id, **output):
        return self.call("SetNodeOutput", node_id=id, output=output)


def data(answer):
    return as_dict(answer.output)["data"]


def states(answer):
    return {i["nodeId"]: i["state"] for i in as_dict(answer).get("inputs", [])}


def reasons(answer):
    return {i["nodeId"]: i["reason"] for i in as_dict(answer).get("inputs", [])}


def needed(error):
    return [v["subject"] for d in details(error).get("details", []) for v in d.get("violations", [])
            if v.get("description", "").startswith("execute this node")]


def reason(error):
    return next(d["reason"] for d in details(error)["details"] if "reason" in d)


def with_flowd(test):
    def run():
        with Flowd() as flowd:
            test(flowd)
    run.__name__ = test.__name__
    return run


# ---- stepping

@with_flowd
def test_steps_from_node_to_node(flowd):
    dev = Dev(flowd, numbers())
    first = dev.run("p")
    assert data(first)["counter"]["current"] == 1 and first.branch == "default" and first.session_id == "s1"
    assert first.node_type == "counter" and not first.HasField("input")
    second = dev.run("d")
    assert states(second) == {"p": "FRESH"} and data(second)["double"] == 2
    assert second.input.id == first.output.id == second.output.id, "a payload keeps its id"
    assert as_dict(second)["form"]["fields"] == {"double": 2}
    assert data(dev.run("s"))["text"] == "n=2"


@with_flowd
def test_names_what_is_missing(flowd):
    dev = Dev(flowd, numbers())
    error = raises("FAILED_PRECONDITION", dev.ask, "s")
    assert reason(error) == "MISSING_INPUT" and needed(error) == ["p", "d"], details(error)
    dev.run("p")
    assert needed(raises("FAILED_PRECONDITION", dev.ask, "s")) == ["d"]
    answer = dev.call("GetNodeInput", node_id="s")
    assert not answer.HasField("input") and states(answer) == {"d": "MISSING"}


@with_flowd
def test_run_upstream_runs_what_is_needed_once(flowd):
    dev = Dev(flowd, numbers())
    answer = dev.run("s", run_upstream=True)
    assert list(answer.executed_upstream) == ["p", "d"] and data(answer)["text"] == "n=2"
    again = dev.run("s", run_upstream=True)
    assert list(again.executed_upstream) == [] and data(again)["text"] == "n=2", "fresh ones aren't executed"
    dev.run("p")
    third = dev.run("s", run_upstream=True)
    assert list(third.executed_upstream) == ["d"] and data(third)["text"] == "n=4"


@with_flowd
def test_producers_step_on_and_complete(flowd):
    dev = Dev(flowd, numbers(3))
    assert [data(dev.run("p"))["counter"]["current"] for _ in range(3)] == [1, 2, 3]
    last = dev.run("p")
    assert last.completed and data(last)["counter"]["current"] == 3, "completed, its output unchanged"
    dev.call("ClearNodeOutput", node_id="p")
    assert data(dev.run("p"))["counter"]["current"] == 1, "cleared: it begins anew"


@with_flowd
def test_a_changed_form_makes_a_producer_begin_anew(flowd):
    dev = Dev(flowd, numbers(5))
    dev.run("p"), dev.run("p")
    dev.definition = graph([node("p", "counter", {"min_value": 10, "max_value": 12})], [])
    assert data(dev.run("p"))["counter"]["current"] == 10


@with_flowd
def test_input_and_form_values_hold_for_one_execution(flowd):
    dev = Dev(flowd, numbers())
    dev.run("p")
    answer = dev.run("d", input={"data": {"counter": {"current": 21}}})
    assert data(answer)["double"] == 42
    assert states(dev.run("s")) == {"d": "STALE"}, "made of an input that isn't the session's"
    other = dev.run("d", form_values={"fields": {"double": "{{ data.counter.current * 100 }}"}})
    assert data(other)["double"] == 100
    stale = dev.run("s")
    assert states(stale) == {"d": "STALE"} and data(stale)["text"] == "n=100"
    assert data(dev.run("d"))["double"] == 2 and states(dev.run("s")) == {"d": "FRESH"}


@with_flowd
def test_failures_and_refusals(flowd):
    definition = graph([node("p", "counter"), node("f", "if-condition", {"condition_expression": "1 / data.counter.current > 0"}),
                        node("t", "set-fields", {"fields": {"a": "{{ data.nothing.here }}"}})],
                       [("p", "f"), ("p", "t")])
    dev = Dev(flowd, definition)
    dev.run("p")
    error = raises("INVALID_ARGUMENT", dev.ask, "t")
    assert reason(error) == "TEMPLATE_ERROR" and "nothing" in error.details(), error.details()
    assert reason(raises("NOT_FOUND", dev.ask, "nope")) == "NODE_NOT_FOUND"
    assert reason(raises("INVALID_ARGUMENT", dev.ask, "p", form_values={"min_value": "x"})) == "INVALID_FORM"
    assert reason(raises("INVALID_ARGUMENT", dev.ask, "p", mock_output={"nobody": {"data": {}}})) == "INVALID_FIELD"
    other = Dev(flowd, graph([node("p", "counter")], [], id="other"))
    assert reason(raises("FAILED_PRECONDITION", other.ask, "p")) == "SESSION_OF_OTHER_WORKFLOW"


@with_flowd
def test_a_faulty_node_elsewhere_is_not_in_the_way(flowd):
    definition = graph([node("p", "counter"), node("d", "set-fields", {"fields": {"a": 1}}),
                        node("bad", "static-delay-node", {"interval": "soon"})], [("p", "d"), ("d", "bad")])
    dev = Dev(flowd, definition)
    assert data(dev.run("d", run_upstream=True))["a"] == 1
    assert reason(raises("INVALID_ARGUMENT", dev.ask, "bad")) == "INVALID_FORM"
    fixed = dev.run("bad", form_values={"interval": 1, "unit": "milliseconds"})
    assert data(fixed)["a"] == 1


@with_flowd
def test_timeout_is_an_answer(flowd):
    definition = graph([node("p", "counter"), node("w", "static-delay-node", {"interval": 1, "unit": "hours"})],
                       [("p", "w")])
    dev = Dev(flowd, definition)
    dev.run("p")
    def ask(patience, seconds):
        return flowd.call("DevelopmentService/ExecuteNode", timeout=patience,
                          request=message("ExecuteNodeRequest", node_id="w", session_id="s1", timeout=f"{seconds}s"))
    answer = ask(30, 0.05)
    assert as_dict(answer)["error"]["reason"] == "TIMEOUT" and not answer.HasField("output")
    raises("DEADLINE_EXCEEDED", ask, 0.05, 60)
    raises("INVALID_ARGUMENT", ask, 30, 3601)
    assert data(dev.run("p"))["counter"]["current"] == 1, "the session is free again"


@with_flowd
def test_a_cancelled_call_frees_the_session(flowd):
    definition = graph([node("p", "counter"), node("w", "static-delay-node", {"interval": 1, "unit": "hours"})],
                       [("p", "w")])
    dev = Dev(flowd, definition)
    dev.run("p")
    method, stub = flowd._method("DevelopmentService/ExecuteNode")
    call = stub.future(message(method.input_type.full_name, workflow=definition, node_id="w", session_id="s1"))
    waiting = stub.future(message(method.input_type.full_name, workflow=definition, node_id="p", session_id="s1"))
    call.cancel()
    assert as_dict(waiting.result(20).output)["data"]["counter"]["current"] == 1


# ---- what users of other systems complain about

@with_flowd
def test_stale_after_a_form_change_is_said(flowd):
    dev = Dev(flowd, numbers())
    dev.run("s", run_upstream=True)
    changed = numbers()
    changed.nodes[1].data.form["fields"] = {"double": "{{ data.counter.current * 3 }}"}
    dev.definition = changed
    answer = dev.run("s")
    assert states(answer) == {"d": "STALE"} and "form" in reasons(answer)["d"] and data(answer)["text"] == "n=2"
    output = dev.call("GetNodeOutput", node_id="d").output
    assert as_dict(output)["state"] == "STALE"
    answer = dev.run("s", run_upstream=True)
    assert list(answer.executed_upstream) == ["d"] and data(answer)["text"] == "n=3"


@with_flowd
def test_a_form_that_renders_alike_is_no_change(flowd):
    dev = Dev(flowd, numbers())
    dev.run("s", run_upstream=True)
    dev.definition = numbers()
    dev.definition.nodes[1].data.form["fields"] = {"double": "{{ 2 * data.counter.current }}"}
    assert states(dev.run("s")) == {"d": "FRESH"}


@with_flowd
def test_no_old_result_after_recomputing(flowd):
    dev = Dev(flowd, numbers())
    for n in (1, 2, 3):
        assert data(dev.run("p"))["counter"]["current"] == n
        answer = dev.ask("s") if n > 1 else dev.run("s", run_upstream=True)
        if n > 1:
            assert states(answer) == {"d": "STALE"} and '"p"' in reasons(answer)["d"], reasons(answer)
        assert data(dev.run("d"))["double"] == 2 * n
        assert data(dev.run("s"))["text"] == f"n={2 * n}"


@with_flowd
def test_a_failed_node_is_not_fresh(flowd):
    def definition(divisor):
        return graph([node("p", "counter", {"min_value": 1, "max_value": 3}),
                      node("d", "if-condition", {"condition_expression": "data.counter.current / run.parameters.by > 0"}),
                      node("s", "set-fields", {"fields": {"a": 1}})], [("p", "d"), ("d", "s", "yes")])
    dev = Dev(flowd, definition(1))
    dev.run("p")
    dev.run("d", parameters={"by": 1})
    assert states(dev.run("s")) == {"d": "FRESH"}
    raises("INVALID_ARGUMENT", dev.ask, "d", parameters={"by": 0})
    stale = dev.run("s")
    assert states(stale) == {"d": "STALE"}, stale


@with_flowd
def test_pins_stay(flowd):
    dev = Dev(flowd, numbers())
    dev.run("s", run_upstream=True)
    pinned = dev.pin("d", data={"double": 1000})
    assert as_dict(pinned)["output"]["state"] == "PINNED"
    answer = dev.run("s", run_upstream=True)
    assert states(answer) == {"d": "PINNED"} and data(answer)["text"] == "n=1000" and not answer.executed_upstream
    dev.run("p"), dev.run("p")
    dev.definition = numbers(9)
    assert data(dev.run("s", run_upstream=True))["text"] == "n=1000", "neither steps nor changes drop a pin"
    assert data(dev.run("d"))["double"] == 6, "executing it shows what it gives ..."
    assert data(dev.run("s"))["text"] == "n=1000", "... and the pin stays"
    dev.call("ClearNodeOutput", node_id="d")
    answer = dev.run("s", run_upstream=True)
    assert list(answer.executed_upstream)[-1] == "d" and data(answer)["text"] != "n=1000"


def joined(flowd):
    return graph([node("p", "counter", {"min_value": 1, "max_value": 9}),
                  node("a", "set-fields", {"fields": {"a": "{{ data.counter.current * 10 }}", "both": "a"}}),
                  node("b", "set-fields", {"fields": {"b": "{{ data.counter.current * 100 }}", "both": "b"}}),
                  node("j", "set-fields", {"fields": {"sum": "{{ data.a + data.b }}"}})],
                 [("p", "a"), ("p", "b"), ("a", "j"), ("b", "j")])


@with_flowd
def test_a_merge_is_right_every_time(flowd):
    dev = Dev(flowd, joined(flowd))
    for n in (1, 2, 3):
        dev.run("p"), dev.run("a"), dev.run("b")
        for _ in range(2):
            got = data(dev.run("j"))
            assert got["sum"] == 110 * n and got["both"] == "a" and got["both_2"] == "b", got
            assert "counter_2" not in got


@with_flowd
def test_a_merge_of_pinned_outputs(flowd):
    dev = Dev(flowd, joined(flowd))
    dev.run("p")
    dev.pin("a", data={"counter": {"current": 1}, "a": 1})
    dev.pin("b", data={"counter": {"current": 1}, "b": 2})
    answer = dev.run("j", run_upstream=True)
    assert data(answer)["sum"] == 3 and not answer.executed_upstream
    dev.call("ClearNodeOutput", node_id="p")
    got = data(dev.run("j", run_upstream=True))
    assert got["sum"] == 3 and "counter_2" not in got, got


@with_flowd
def test_never_another_session_or_run(flowd):
    flowd.call("WorkflowService/CreateWorkflow", workflow=numbers(id="numbers"))
    ask = lambda session, id, **more: flowd.call("DevelopmentService/ExecuteNode", workflow_id="numbers",
                                                 node_id=id, session_id=session, **more)
    run = flowd.call("ProductionService/StartRun", workflow_id="numbers").run
    assert data(ask("ann", "p"))["counter"]["current"] == 1
    assert data(ask("ann", "p"))["counter"]["current"] == 2
    assert data(ask("bob", "p"))["counter"]["current"] == 1
    error = raises("FAILED_PRECONDITION", ask, "bob", "s")
    assert needed(error) == ["d"]
    assert data(ask("ann", "s", run_upstream=True))["text"] == "n=4"
    assert data(ask("bob", "s", run_upstream=True))["text"] == "n=2"
    ended = wait_for_end(flowd, run.id)
    assert as_dict(ended)["loops"][0]["done"] == "5", "the run counts its own"
    assert data(ask("bob", "p"))["counter"]["current"] == 2, "and the sessions theirs"


# ---- branches

def forked():
    return graph([node("p", "counter", {"min_value": 1, "max_value": 4}),
                  node("c", "if-condition", {"condition_expression": "data.counter.current % 2 == 0"}),
                  node("y", "set-fields", {"fields": {"even": True}}),
                  node("n", "set-fields", {"fields": {"odd": True}}),
                  node("j", "set-fields", {"fields": {"joined": True}})],
                 [("p", "c"), ("c", "y", "yes"), ("c", "n", "no"), ("y", "j"), ("n", "j")])


@with_flowd
def test_dead_edges_are_neither_needed_nor_merged(flowd):
    dev = Dev(flowd, forked())
    answer = dev.run("j", run_upstream=True)
    assert list(answer.executed_upstream) == ["p", "c", "n"]
    assert states(answer) == {"y": "NOT_TAKEN", "n": "FRESH"}, states(answer)
    got = data(answer)
    assert got["odd"] and got["joined"] and "even" not in got
    assert dev.run("c").branch == "no"
    dev.run("p")
    answer = dev.run("j", run_upstream=True)
    assert list(answer.executed_upstream) == ["c", "y"] and "odd" not in data(answer), "the old output is dead"


@with_flowd
def test_off_the_branch_it_executes_and_says_so(flowd):
    dev = Dev(flowd, forked())
    dev.run("p"), dev.run("c")
    answer = dev.run("y")
    assert answer.off_branch and data(answer)["even"] and states(answer) == {"c": "NOT_TAKEN"}
    assert not dev.run("n").off_branch
    got = data(dev.run("j"))
    assert "even" not in got and got["odd"], "what was executed off the branch isn't merged"


@with_flowd
def test_filtered(flowd):
    definition = graph([node("p", "counter"), node("f", "filter", {"condition_expression": "data.counter.current > 0"}),
                        node("s", "set-fields", {"fields": {"a": 1}})], [("p", "f"), ("f", "s")])
    dev = Dev(flowd, definition)
    dev.run("p")
    assert dev.run("f").branch_ended and dev.run("f").branch == ""
    answer = dev.run("s")
    assert answer.off_branch and data(answer)["a"] == 1
    dev.run("p")
    assert not dev.run("s", run_upstream=True).off_branch


# ---- several producers, queues, bodies

@with_flowd
def test_of_several_producers_the_last_one_counts(flowd):
    definition = graph([node("p", "counter", {"min_value": 1, "max_value": 9}),
                        node("q", "counter", {"min_value": 100, "max_value": 109}),
                        node("s", "set-fields", {"fields": {"a": "{{ data.counter.current }}"}})],
                       [("p", "s"), ("q", "s")])
    dev = Dev(flowd, definition)
    dev.run("p")
    assert data(dev.run("s"))["a"] == 1
    dev.run("q")
    answer = dev.run("s")
    assert data(answer)["a"] == 100 and states(answer) == {"q": "FRESH"}
    dev.run("p")
    assert data(dev.run("s"))["a"] == 2


def two_loops():
    return graph([node("p", "counter", {"min_value": 1, "max_value": 5}), node("w", "queue-writer"),
                  node("r", "queue-reader"), node("s", "set-fields", {"fields": {"seen": "{{ data.counter.current }}"}})],
                 [("p", "w"), ("w", "r"), ("r", "s")], id="two")


@with_flowd
def test_queues_are_the_sessions(flowd):
    flowd.call("WorkflowService/CreateWorkflow", workflow=two_loops())
    dev = Dev(flowd, two_loops())
    error = raises("FAILED_PRECONDITION", dev.ask, "r")
    assert reason(error) == "QUEUE_EMPTY" and needed(error) == ["w"]
    dev.run("p"), dev.run("w"), dev.run("p"), dev.run("w")
    assert data(dev.run("r"))["counter"]["current"] == 1
    second = dev.run("r")
    assert data(second)["counter"]["current"] == 2 and second.output.id
    assert reason(raises("FAILED_PRECONDITION", dev.ask, "r")) == "QUEUE_EMPTY"
    assert data(dev.run("s"))["seen"] == 2
    assert not flowd.call("QueueService/ListQueues").queues, "production has no queue yet"
    answer = Dev(flowd, two_loops(), "s2").run("s", run_upstream=True)
    assert list(answer.executed_upstream) == ["p", "w", "r"] and data(answer)["seen"] == 1


@with_flowd
def test_a_production_queue_is_only_peeked(flowd):
    definition = graph([node("r", "queue-reader", {"queue_name": "outside"}),
                        node("s", "set-fields", {"fields": {"b": "{{ data.a }}"}})], [("r", "s")])
    flowd.call("QueueService/PushPayloads", queue="outside", payloads=[{"data": {"a": 7}}])
    dev = Dev(flowd, definition)
    raises("FAILED_PRECONDITION", dev.ask, "r")
    assert data(dev.run("r", peek_queues=True)) == {"a": 7}
    assert data(dev.run("s"))["b"] == 7
    assert queue_data(flowd, "outside") == [{"a": 7}]


def with_body():
    return graph([node("p", "json-iterator", {"items": [{"list": [3, 1, 2]}]}),
                  node("e", "for-each", {"array_expression": "{{ data.item.value.list }}"}),
                  node("f", "filter", {"condition_expression": "data.for_each.item > 1"}),
                  node("b", "set-fields", {"fields": {"square": "{{ data.for_each.item * data.for_each.item }}"}}),
                  node("z", "set-fields", {"fields": {"n": "{{ data.for_each.results | length }}"}})],
                 [("p", "e"), ("e", "f", "body"), ("f", "b"), ("e", "z", "default")])


@with_flowd
def test_for_each(flowd):
    dev = Dev(flowd, with_body())
    answer = dev.run("z", run_upstream=True)
    assert list(answer.executed_upstream) == ["p", "e"] and data(answer)["n"] == 2
    each = data(answer)["for_each"]
    assert each["count"] == 3 and [r["square"] for r in each["results"]] == [9, 4]
    assert dev.run("f").branch == "default", "the first element"
    assert data(dev.run("b"))["square"] == 9
    assert dev.run("f", for_each_index=1).branch_ended
    assert data(dev.run("f", for_each_index=2))["for_each"] == {"item": 2, "index": 2, "count": 3}
    assert data(dev.run("b", for_each_index=2))["square"] == 4
    raises("FAILED_PRECONDITION", dev.ask, "f", for_each_index=3)


# ---- mocks and loading

@with_flowd
def test_mocks(flowd):
    dev = Dev(flowd, forked())
    answer = dev.run("j", run_upstream=True, mock_output={"c": {"data": {"counter": {"current": 5}}, "branch": "yes"}})
    assert data(answer)["even"] and "c" not in answer.executed_upstream
    dev.run("p")
    answer = dev.run("c", mock_output={"c": {"data": {"x": 1}, "branch": "yes"}})
    assert answer.mocked and answer.branch == "yes" and data(answer) == {"x": 1}
    failed = dev.ask("c", mock_output={"c": {"error_message": "no luck"}})
    assert failed.error.message == "no luck" and failed.error.node_id == "c"
    assert reason(raises("INVALID_ARGUMENT", dev.ask, "c", mock_output={"c": {"branch": "maybe"}})) == "INVALID_FIELD"


@with_flowd
def test_a_dead_letter_in_a_session(flowd):
    definition = graph([node("p", "counter", {"min_value": 1, "max_value": 2}),
                        node("d", "set-fields", {"fields": {"a": "{{ data.counter.currant }}"}}),
                        node("s", "set-fields", {"fields": {"b": "{{ data.a }}"}})], [("p", "d"), ("d", "s")], id="dl")
    flowd.call("WorkflowService/CreateWorkflow", workflow=definition)
    wait_for_end(flowd, flowd.call("ProductionService/StartRun", workflow_id="dl").run.id)
    letters = flowd.call("DeadLetterService/ListDeadLetters", workflow_id="dl").dead_letters
    assert len(letters) == 2
    loaded = flowd.call("DevelopmentService/LoadSession", session_id="s1", from_dead_letter=letters[0].id)
    assert loaded.node_id == "d" and loaded.session.workflow_id == "dl"
    assert [o["nodeId"] for o in as_dict(loaded)["outputs"]] == ["p"]
    ask = lambda id, **more: flowd.call("DevelopmentService/ExecuteNode", session_id="s1", node_id=id, **more)
    assert reason(raises("INVALID_ARGUMENT", ask, "d")) == "TEMPLATE_ERROR"
    fixed = ask("d", form_values={"fields": {"a": "{{ data.counter.current }}"}})
    assert data(fixed)["a"] == 2 and fixed.output.id == letters[0].payload.id
    assert states(fixed) == {"p": "PINNED"} and letters[0].id in reasons(fixed)["p"]
    assert data(ask("s"))["b"] == 2
    direct = flowd.call("DevelopmentService/ExecuteNode", from_dead_letter=letters[1].id,
                        form_values={"fields": {"a": "{{ data.counter.current }}"}})
    assert direct.node_id == "d" and data(direct)["a"] == 1
    assert len(flowd.call("DeadLetterService/ListDeadLetters", workflow_id="dl").dead_letters) == 2


# ---- sessions

@with_flowd
def test_sessions(flowd):
    dev = Dev(flowd, numbers())
    dev.run("s", run_upstream=True)
    listed = dev.call("ListNodeOutputs")
    assert [o["nodeId"] for o in as_dict(listed)["outputs"]] == ["p", "d", "s"]
    assert {o["state"] for o in as_dict(listed)["outputs"]} == {"FRESH"}
    assert listed.session.output_count == 3 and listed.session.bytes > 0
    page = dev.call("ListNodeOutputs", page_size=2)
    assert len(page.outputs) == 2 and page.next_page_token
    rest = dev.call("ListNodeOutputs", page_size=2, page_token=page.next_page_token)
    assert [o.node_id for o in rest.outputs] == ["s"] and not rest.next_page_token
    raises("INVALID_ARGUMENT", dev.call, "ListNodeOutputs", page_token="x")
    raises("INVALID_ARGUMENT", dev.pin, "p", data={}, branch="sideways")
    dev.call("ClearSession")
    assert reason(raises("NOT_FOUND", dev.call, "ListNodeOutputs")) == "SESSION_NOT_FOUND"
    dev.call("ClearSession")
    assert data(dev.run("p"))["counter"]["current"] == 1
    made = flowd.call("DevelopmentService/ExecuteNode", workflow=numbers(), node_id="p")
    assert len(made.session_id) == 36


@with_flowd
def test_render_template_with_what_a_node_is_given(flowd):
    dev = Dev(flowd, numbers())
    dev.run("s", run_upstream=True)
    assert dev.call("RenderTemplate", node_id="s", template="{{ data.double }}!").text == "2!"
    answer = dev.call("RenderTemplate", node_id="s", template="{{ data.dubble }}")
    assert answer.error.line == 1 and "dubble" in answer.error.message


@with_flowd
def test_over_http(flowd):
    flowd.call("WorkflowService/CreateWorkflow", workflow=numbers(id="numbers"))

    def http(method, path, body=None):
        request = urllib.request.Request(f"http://{flowd.http_address}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    status, answer = http("POST", "/dev/execute", {"workflowId": "numbers", "nodeId": "s", "sessionId": "web",
                                                   "runUpstream": True})
    assert status == 200 and answer["output"]["data"]["text"] == "n=2" and answer["inputs"][0]["state"] == "FRESH", answer
    status, output = http("GET", "/dev/sessions/web/nodes/d/output")
    assert status == 200 and output["data"]["double"] == 2 and output["state"] == "FRESH", output
    status, pinned = http("PUT", "/dev/sessions/web/nodes/d/output", {"data": {"double": 7}})
    assert status == 200 and pinned["state"] == "PINNED", pinned
    assert http("GET", "/dev/sessions/web/nodes/s/input")[1]["input"]["data"] == {"double": 7}
    assert len(http("GET", "/dev/sessions/web")[1]["outputs"]) == 3
    assert http("DELETE", "/dev/sessions/web/nodes/d/output")[0] == 200
    status, error = http("POST", "/dev/execute", {"sessionId": "web", "nodeId": "s"})
    assert status == 400 and error["code"] == 9 and "MISSING_INPUT" in json.dumps(error), (status, error)
    assert http("DELETE", "/dev/sessions/web")[0] == 200
    assert http("GET", "/dev/sessions/web")[0] == 404


def test_the_server_ends_what_goes_on():
    definition = graph([node("p", "counter"), node("w", "static-delay-node", {"interval": 1, "unit": "hours"})],
                       [("p", "w")])
    with Flowd("--drain-grace", "100ms") as flowd:
        Dev(flowd, definition).run("p")
        method, stub = flowd._method("DevelopmentService/ExecuteNode")
        call = stub.future(message(method.input_type.full_name, workflow=definition, node_id="w", session_id="s1"))
        Dev(flowd, definition, "other").run("p")
        flowd.process.terminate()
        assert flowd.process.wait(30) == 0
        assert call.exception(30) is not None
        flowd.process.stdout.close()


# ---- the same as in production

class Stepper:
    """Steps a whole workflow through, unit by unit, as production would, and collects what was pushed."""

    def __init__(self, flowd, definition, session):
        self.dev, self.definition, self.pushed = Dev(flowd, definition, session), definition, {}
        self.failures = 0

    def run(self):
        self.dev.flowd.call("WorkflowService/CreateWorkflow", workflow=self.definition)
        analysis = self.dev.flowd.call("WorkflowService/AnalyzeWorkflow", workflow_id=self.definition.id).analysis
        types = {n.id: n.type for n in self.definition.nodes}
        for loop in sorted(as_dict(analysis)["loops"], key=lambda l: types[l["producerNodeId"]] == "queue-reader"):
            while self.unit(loop, types):
                pass
        return self.pushed

    def unit(self, loop, types):
        producer = loop["producerNodeId"]
        try:
            first = self.dev.ask(producer)
        except Exception as error:
            assert "QUEUE_EMPTY" in str(details(error)), error
            return False
        if first.completed:
            return False
        body = self.bodies(types)
        for id in loop["members"]:
            if id == producer or id in body:
                continue
            given = as_dict(self.dev.call("GetNodeInput", node_id=id))
            if all(i["state"] == "NOT_TAKEN" for i in given["inputs"]):
                continue
            try:
                answer = self.dev.ask(id)
            except Exception as error:
                assert reason(error) in ("TEMPLATE_ERROR", "INVALID_FORM"), error
                self.failures += 1
                return True
            assert all(s in ("FRESH", "NOT_TAKEN") for s in states(answer).values()), answer
            if answer.HasField("error"):
                self.failures += 1
                return True
            if types[id] == "queue-writer":
                name = as_dict(answer)["form"].get("queue_name") or id
                payload = as_dict(answer)["form"].get("payload") or as_dict(answer.input)["data"]
                self.pushed.setdefault(name, []).append(payload)
        return True

    def bodies(self, types):
        edges = [(e.source, e.target, e.source_handle.value if hasattr(e.source_handle, "value") else e.source_handle)
                 for e in self.definition.edges]
        found = {t for s, t, h in edges if types.get(s) == "for-each" and str(h).lower() == "body"}
        while True:
            more = {t for s, t, _ in edges if s in found} - found
            if not more:
                return found
            found |= more


def make_case(path):
    @with_flowd
    def test(flowd):
        case = json.loads(path.read_text())
        definition = workflow(dict(case["workflow"], id=case["name"]))
        stepper = Stepper(flowd, definition, "step")
        pushed = stepper.run()
        for queue, wanted in case["expect"].get("queues", {}).items():
            assert pushed.get(queue, []) == wanted, f"{queue}: {pushed.get(queue)} instead of {wanted}"
        assert stepper.failures == case["expect"]["dead_letters"]
        assert not flowd.call("QueueService/ListQueues").queues
        assert not flowd.call("DeadLetterService/ListDeadLetters").dead_letters
    return test


for path in sorted((ROOT / "tests/data/workflows").glob("*.json")):
    if "error" not in json.loads(path.read_text())["expect"]:
        globals()["test_steps_" + path.stem.replace("-", "_")] = make_case(path)

run_tests(dict(globals()))
