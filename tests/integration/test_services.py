#!/usr/bin/python3
"""Every method that this version serves, over gRPC, with what it answers and what it refuses."""
import sys, uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from google.protobuf import json_format
from lib.flowd import (POOL, Flowd, as_dict, assert_balanced, details, message, queue_data, raises, run_tests, state_name,
                       wait_for_end, workflow)


def node(id, type, config=None, **form):
    data = {"form": form}
    if config:
        data["config"] = config
    return {"id": id, "type": type, "data": data}


def counter(id="count", name="counting", last=3, queue="counted"):
    return {"id": id, "name": name,
            "nodes": [node("c", "counter", min_value=1, max_value=last), node("w", "queue-writer", queue_name=queue)],
            "edges": [{"id": "e", "source": "c", "target": "w"}]}


def forever(id="forever"):
    """A run that goes on until it is stopped: its reader has no writer."""
    return {"id": id, "name": id, "nodes": [node("r", "queue-reader", queue_name=f"{id}.in"),
                                            node("w", "queue-writer", queue_name=f"{id}.out")],
            "edges": [{"id": "e", "source": "r", "target": "w"}]}


def reason(error):
    return next(d["reason"] for d in details(error)["details"] if d["@type"].endswith("ErrorInfo"))


# ---- WorkflowService ----

def test_workflow_life():
    with Flowd() as f:
        created = f.call("WorkflowService/CreateWorkflow", workflow=workflow(counter())).workflow
        assert created.revision == 1 and created.etag and created.create_time.seconds > 0
        error = raises("ALREADY_EXISTS", f.call, "WorkflowService/CreateWorkflow", workflow=workflow(counter()))
        assert reason(error) == "WORKFLOW_EXISTS", details(error)
        got = f.call("WorkflowService/GetWorkflow", workflow_id="count").workflow
        assert got == created
        same = f.call("WorkflowService/UpdateWorkflow", workflow=workflow(counter())).workflow
        assert same.revision == 1 and same.etag == created.etag, "an identical update changes nothing"
        changed = f.call("WorkflowService/UpdateWorkflow", workflow=workflow(counter(name="other"))).workflow
        assert changed.revision == 2 and changed.etag != created.etag and changed.name == "other"
        old = f.call("WorkflowService/GetWorkflow", workflow_id="count", revision=1).workflow
        assert old.name == "counting" and old.revision == 1
        stale = workflow(dict(counter(name="third"), etag=created.etag))
        assert reason(raises("ABORTED", f.call, "WorkflowService/UpdateWorkflow", workflow=stale)) == "ETAG_STALE"
        revisions = f.call("WorkflowService/ListWorkflowRevisions", workflow_id="count").revisions
        assert [r.revision for r in revisions] == [2, 1]
        f.call("WorkflowService/DeleteWorkflow", workflow_id="count")
        raises("NOT_FOUND", f.call, "WorkflowService/GetWorkflow", workflow_id="count")
        raises("NOT_FOUND", f.call, "WorkflowService/DeleteWorkflow", workflow_id="count")


def test_update_mask():
    with Flowd() as f:
        f.call("WorkflowService/CreateWorkflow", workflow=workflow(dict(counter(), viewport={"zoom": 2})))
        patched = f.call("WorkflowService/UpdateWorkflow", workflow={"id": "count", "description": "what it does"},
                         update_mask="description").workflow
        assert patched.description == "what it does" and len(patched.nodes) == 2 and patched.revision == 2
        assert json_format.MessageToDict(patched.editor) == {"viewport": {"zoom": 2.0}}
        error = raises("INVALID_ARGUMENT", f.call, "WorkflowService/UpdateWorkflow", workflow={"id": "count"},
                       update_mask="revision")
        assert reason(error) == "INVALID_MASK"
        broken = f.call("WorkflowService/UpdateWorkflow", workflow={"id": "count", "name": "n"}, update_mask="name").workflow
        assert broken.name == "n" and broken.revision == 3


def test_drafts_and_ids():
    with Flowd() as f:
        faulty = {"id": "d", "name": "d", "nodes": [node("1", "countr")], "edges": []}
        raises("INVALID_ARGUMENT", f.call, "WorkflowService/CreateWorkflow", workflow=workflow(faulty))
        draft = f.call("WorkflowService/CreateWorkflow", workflow=workflow(dict(faulty, draft=True))).workflow
        assert draft.draft
        raises("FAILED_PRECONDITION", f.call, "ProductionService/StartRun", workflow_id="d")
        made = f.call("WorkflowService/CreateWorkflow", workflow=workflow({k: v for k, v in counter().items() if k != "id"}))
        uuid.UUID(made.workflow.id)
        for bad in ("a b", "x" * 129, "ä"):
            error = raises("INVALID_ARGUMENT", f.call, "WorkflowService/CreateWorkflow", workflow=workflow(counter(id=bad)))
            assert "workflow.id" in str(details(error))


def test_list_workflows():
    with Flowd() as f:
        for i in range(7):
            f.call("WorkflowService/CreateWorkflow",
                   workflow=workflow(dict(counter(id=f"w{i}", name=f"Number {i}"), labels={"team": "a" if i % 2 else "b"})))
        seen, token = [], ""
        while True:
            page = f.call("WorkflowService/ListWorkflows", page_size=3, page_token=token)
            assert len(page.workflows) <= 3
            seen += [w.id for w in page.workflows]
            token = page.next_page_token
            if not token:
                break
        assert seen == [f"w{i}" for i in range(7)]
        found = f.call("WorkflowService/ListWorkflows", filter="label.team=a").workflows
        assert [w.id for w in found] == ["w1", "w3", "w5"]
        assert [w.id for w in f.call("WorkflowService/ListWorkflows", filter="number label.team=b").workflows] == \
            ["w0", "w2", "w4", "w6"]
        raises("INVALID_ARGUMENT", f.call, "WorkflowService/ListWorkflows", page_token="nonsense")
        raises("INVALID_ARGUMENT", f.call, "WorkflowService/ListWorkflows", page_size=-1)


def test_analyze():
    definition = {"id": "two", "name": "two",
                  "nodes": [node("c", "counter"), node("w", "queue-writer"), node("r", "queue-reader"), node("l", "log", message="x")],
                  "edges": [{"id": "1", "source": "c", "target": "w"}, {"id": "2", "source": "w", "target": "r"},
                            {"id": "3", "source": "r", "target": "l"}]}
    with Flowd() as f:
        f.call("WorkflowService/CreateWorkflow", workflow=workflow(definition))
        a = f.call("WorkflowService/AnalyzeWorkflow", workflow_id="two", from_node_id="c", to_node_id="l").analysis
        assert list(a.producer_node_ids) == ["c", "r"] and a.first_node_id == "c"
        assert [list(l.members) for l in a.loops] == [["c", "w"], ["r", "l"]]
        assert [(q.queue, q.short_name) for q in a.queues] == [("two.queue_w_r", "queue_w_r")]
        assert list(a.chain) == ["c", "w", "r", "l"]
        assert list(a.non_blocking_node_ids) == ["w", "l"]
        raises("NOT_FOUND", f.call, "WorkflowService/AnalyzeWorkflow", workflow_id="two", from_node_id="nope", to_node_id="l")


# ---- ProductionService ----

def test_start_is_idempotent():
    with Flowd() as f:
        f.call("WorkflowService/CreateWorkflow", workflow=workflow(counter()))
        first = f.call("ProductionService/StartRun", workflow_id="count", request_id="r1").run
        wait_for_end(f, first.id)
        again = f.call("ProductionService/StartRun", workflow_id="count", request_id="r1").run
        assert again.id == first.id and state_name(again) == "COMPLETED"
        error = raises("INVALID_ARGUMENT", f.call, "ProductionService/StartRun", workflow_id="count", request_id="r1",
                       parameters={"x": 1})
        assert reason(error) == "REQUEST_ID_REUSED"
        assert len(queue_data(f, "counted")) == 3


def test_one_active_run_and_stop():
    with Flowd() as f:
        f.call("WorkflowService/CreateWorkflow", workflow=workflow(forever()))
        run = f.call("ProductionService/StartRun", workflow_id="forever").run
        error = raises("FAILED_PRECONDITION", f.call, "ProductionService/StartRun", workflow_id="forever")
        assert run.id in error.details() and reason(error) == "RUN_ACTIVE"
        raises("FAILED_PRECONDITION", f.call, "WorkflowService/DeleteWorkflow", workflow_id="forever")
        raises("FAILED_PRECONDITION", f.call, "ProductionService/DeleteRun", run_id=run.id)
        assert [r.id for r in f.call("ProductionService/ListRuns", active=True).runs] == [run.id]
        assert not f.call("ProductionService/ListRuns", state="COMPLETED").runs
        f.call("ProductionService/StopRun", run_id=run.id)
        assert state_name(wait_for_end(f, run.id)) == "STOPPED"
        assert state_name(f.call("ProductionService/StopRun", run_id=run.id).run) == "STOPPED", "stopping it again changes nothing"
        second = f.call("ProductionService/StartRun", workflow_id="forever").run
        f.call("ProductionService/StopRun", run_id=second.id, force=True)
        assert state_name(wait_for_end(f, second.id)) == "STOPPED"
        f.call("ProductionService/DeleteRun", run_id=run.id)
        raises("NOT_FOUND", f.call, "ProductionService/GetRun", run_id=run.id)


def test_inline_run_with_parameters():
    definition = workflow({"name": "inline",
                           "nodes": [node("c", "counter", min_value=1, max_value=2),
                                     node("t", "data-transformer", output_template='{"hi": "{{ run.parameters.who }}"}'),
                                     node("w", "queue-writer", queue_name="inline.out")],
                           "edges": [{"id": "1", "source": "c", "target": "t"}, {"id": "2", "source": "t", "target": "w"}]})
    with Flowd() as f:
        run = f.call("ProductionService/StartRun", workflow=definition, parameters={"who": "Ada"}, labels={"team": "x"}).run
        ended = wait_for_end(f, run.id)
        assert state_name(ended) == "COMPLETED" and ended.labels["team"] == "x"
        assert json_format.MessageToDict(ended.parameters) == {"who": "Ada"}
        assert queue_data(f, "inline.out") == [{"hi": "Ada"}, {"hi": "Ada"}]
        assert not f.call("WorkflowService/ListWorkflows").workflows, "an inline workflow is not listed"


def test_counters_and_loops():
    with Flowd() as f:
        f.call("WorkflowService/CreateWorkflow", workflow=workflow(counter(last=10)))
        run = wait_for_end(f, f.call("ProductionService/StartRun", workflow_id="count").run.id)
        loop = run.loops[0]
        assert (loop.produced, loop.done, loop.dead_lettered, loop.in_flight) == (10, 10, 0, 0)
        by_id = {n.node_id: n for n in run.nodes}
        assert by_id["w"].completed == 10 and by_id["w"].failed == 0 and by_id["w"].latency.count == 10
        assert list(loop.members) == ["c", "w"] and loop.pool == 1


def test_watch_resumes():
    with Flowd() as f:
        f.call("WorkflowService/CreateWorkflow", workflow=workflow(forever()))
        run = f.call("ProductionService/StartRun", workflow_id="forever").run
        watch = f.call("ProductionService/WatchRun", run_id=run.id, timeout=60)
        first = next(watch).event
        assert first.WhichOneof("event") == "snapshot" and first.snapshot.id == run.id
        f.call("QueueService/PushPayloads", queue="forever.in", payloads=[message("Payload", data={"n": 1})])
        seen = []
        for answer in watch:
            seen.append(answer.event)
            if answer.event.WhichOneof("event") == "iteration_completed":
                break
        watch.cancel()
        cursors = [e.cursor for e in seen]
        assert cursors == sorted(cursors)
        f.call("ProductionService/StopRun", run_id=run.id)
        wait_for_end(f, run.id)
        resumed = [a.event for a in f.call("ProductionService/WatchRun", run_id=run.id, after_cursor=str(cursors[-1]), timeout=60)]
        assert all(e.cursor > cursors[-1] for e in resumed if e.WhichOneof("event") != "snapshot"), resumed
        assert resumed[-1].WhichOneof("event") == "run_state" and resumed[-1].run_state.to == 6
        raises("NOT_FOUND", f.call, "ProductionService/WatchRun", run_id="nope")


def test_watch_filters():
    with Flowd() as f:
        run = f.call("ProductionService/StartRun", workflow=workflow(counter(last=5))).run
        wait_for_end(f, run.id)
        events = [a.event for a in f.call("ProductionService/WatchRun", run_id=run.id, kinds=["RUN_STATE"])]
        assert {e.WhichOneof("event") for e in events} <= {"snapshot", "run_state"}, events


# ---- QueueService ----

def test_push_is_idempotent():
    with Flowd() as f:
        payloads = [message("Payload", data={"n": i}) for i in range(3)]
        first = f.call("QueueService/PushPayloads", queue="q", payloads=payloads, request_id="p1")
        again = f.call("QueueService/PushPayloads", queue="q", payloads=payloads, request_id="p1")
        assert again.repeated_request and not first.repeated_request
        assert list(again.delivery_ids) == list(first.delivery_ids) and list(again.payload_ids) == list(first.payload_ids)
        error = raises("INVALID_ARGUMENT", f.call, "QueueService/PushPayloads", queue="q", request_id="p1",
                       payloads=[message("Payload", data={"n": 9})])
        assert reason(error) == "REQUEST_ID_REUSED"
        assert [d["n"] for d in queue_data(f, "q")] == [0, 1, 2]
        peeked = f.call("QueueService/PeekPayloads", queue="q").payloads
        assert [p.id for p in peeked] == list(first.payload_ids)
        assert [p.delivery_id for p in peeked] == list(first.delivery_ids)


def test_queue_bounds_pause_purge():
    with Flowd() as f:
        push = lambda n: f.call("QueueService/PushPayloads", queue="b", payloads=[message("Payload", data={"n": n})])
        push(0)
        queue = f.call("QueueService/UpdateQueue", queue={"name": "b", "maxItems": "2"}, update_mask="maxItems").queue
        assert queue.max_items == 2 and queue.depth == 1
        push(1)
        error = raises("RESOURCE_EXHAUSTED", push, 2)
        assert reason(error) == "QUEUE_FULL" and "b" in error.details()
        raises("INVALID_ARGUMENT", f.call, "QueueService/UpdateQueue", queue={"name": "b", "maxItems": "-1"}, update_mask="maxItems")
        assert f.call("QueueService/PauseQueue", queue="b").queue.paused
        assert not f.call("QueueService/ResumeQueue", queue="b").queue.paused
        assert f.call("QueueService/PurgeQueue", queue="b").purged == 2
        ledger = assert_balanced(f).queues[0]
        assert (ledger.pushed, ledger.queued, ledger.removed) == (2, 0, 2)
        assert [q.name for q in f.call("QueueService/ListQueues").queues] == ["b"]
        raises("NOT_FOUND", f.call, "QueueService/GetQueue", queue="nope")
        raises("NOT_FOUND", f.call, "QueueService/PeekPayloads", queue="nope")
        raises("INVALID_ARGUMENT", f.call, "QueueService/PushPayloads", queue="a b", payloads=[message("Payload")])
        raises("INVALID_ARGUMENT", f.call, "QueueService/PushPayloads", queue="b", payloads=[])
        bad = message("Payload", id="not-a-uuid")
        assert "payloads[0].id" in str(details(raises("INVALID_ARGUMENT", f.call, "QueueService/PushPayloads", queue="b", payloads=[bad])))


def test_numbers_stay_exact():
    with Flowd() as f:
        payload = message("Payload", data={"big": 2 ** 53, "half": 0.5, "minus": -7, "text": "9007199254740993"})
        f.call("QueueService/PushPayloads", queue="n", payloads=[payload])
        got = queue_data(f, "n")[0]
        assert got == {"big": float(2 ** 53), "half": 0.5, "minus": -7, "text": "9007199254740993"}, got


# ---- DeadLetterService ----

def test_dead_letters():
    definition = {"id": "f", "name": "f", "nodes": [node("c", "counter", min_value=0, max_value=4),
                                                    node("t", "data-transformer", output_template='{"q": {{ 12 // (data.counter.current % 2) }}}')],
                  "edges": [{"id": "1", "source": "c", "target": "t"}]}
    with Flowd() as f:
        f.call("WorkflowService/CreateWorkflow", workflow=workflow(definition))
        run = wait_for_end(f, f.call("ProductionService/StartRun", workflow_id="f").run.id)
        assert state_name(run) == "COMPLETED" and run.loops[0].dead_lettered == 3
        letters = f.call("DeadLetterService/ListDeadLetters").dead_letters
        assert len(letters) == 3 and {l.node_id for l in letters} == {"t"} and {l.run_id for l in letters} == {run.id}
        assert run.loops[0].last_error.dead_letter_id == letters[0].id
        assert json_format.MessageToDict(letters[0].form)["output_template"]
        count = lambda **filter: len(f.call("DeadLetterService/ListDeadLetters", **filter).dead_letters)
        assert count(node_id="t") == 3 and count(node_id="x") == 0 and count(reason="TEMPLATE_ERROR") == 3
        assert count(reason="TIMEOUT") == 0 and count(fingerprint=letters[0].fingerprint) == 3 and count(run_id="x") == 0
        page = f.call("DeadLetterService/ListDeadLetters", page_size=2)
        assert len(page.dead_letters) == 2 and page.next_page_token
        assert len(f.call("DeadLetterService/ListDeadLetters", page_size=2, page_token=page.next_page_token).dead_letters) == 1
        raises("INVALID_ARGUMENT", f.call, "DeadLetterService/DeleteDeadLetters")
        assert f.call("DeadLetterService/DeleteDeadLetters", filter={"nodeId": "t"}, dry_run=True).deleted == 3
        assert f.call("DeadLetterService/DeleteDeadLetters", ids=[letters[0].id, "nope"]).deleted == 1
        assert f.call("DeadLetterService/DeleteDeadLetters", filter={"workflowId": "f"}).deleted == 2
        raises("NOT_FOUND", f.call, "DeadLetterService/GetDeadLetter", id=letters[0].id)
        ledger = assert_balanced(f).dead_letters
        assert (ledger.made, ledger.open, ledger.deleted) == (3, 0, 3)


# ---- NodeTypeService, DevelopmentService, SystemService ----

def test_node_types():
    with Flowd() as f:
        types = {t.type: t for t in f.call("NodeTypeService/ListNodeTypes", page_size=1000).node_types}
        for wanted in ("counter", "string-iterator-producer", "json-iterator", "timer", "queue-reader", "queue-writer",
                       "if-condition", "data-transformer", "filter", "log", "end", "static-delay-node"):
            assert wanted in types, wanted
        for t in types.values():
            assert t.description and t.documentation and t.label and t.version, t
        assert [p.name for p in types["if-condition"].outputs] == ["yes", "no"]
        assert not types["counter"].inputs and types["counter"].kind == 1
        pages, token = [], ""
        while True:
            page = f.call("NodeTypeService/ListNodeTypes", page_size=5, page_token=token)
            pages += [t.type for t in page.node_types]
            token = page.next_page_token
            if not token:
                break
        assert pages == sorted(types)
        error = raises("NOT_FOUND", f.call, "NodeTypeService/GetNodeType", type="countr")
        assert "counter" in error.details()
        unbound = f.call("NodeTypeService/GetForm", type="counter").form
        assert not unbound.bound and [x.name for x in unbound.fields] == ["min_value", "max_value", "direction", "step"]
        bound = f.call("NodeTypeService/GetForm", type="counter", values={"min_value": 9, "max_value": 3}).form
        assert bound.bound and not bound.valid and bound.non_field_errors, bound
        changed = f.call("NodeTypeService/UpdateFormField", type="counter", values={"min_value": 1}, field="max_value", value=5)
        assert json_format.MessageToDict(changed.values)["max_value"] == 5
        raises("NOT_FOUND", f.call, "NodeTypeService/UpdateFormField", type="counter", field="nope", value=1)


def test_render_template():
    with Flowd() as f:
        render = lambda **fields: f.call("DevelopmentService/RenderTemplate", **fields)
        assert render(template="Hello {{ data.name | upper }}", data={"name": "Ada"}).text == "Hello ADA"
        whole = render(template="{{ data.rows }}", data={"rows": [1, 2]})
        assert json_format.MessageToDict(whole.value) == [1, 2]
        condition = render(template="{{ data.n }} > 2", data={"n": "3"}, expression=True)
        assert json_format.MessageToDict(condition.value) is True
        wrong = render(template="a\n{{ data.emial }}", data={"email": "x"}).error
        assert wrong.line == 2 and "email" in wrong.suggestion and "^" in wrong.excerpt, wrong
        assert render(template="[{{ data.missing }}]", lenient=True).text == "[]"
        assert render(template="{{ ").error.kind == 1
        assert render(template="{% for i in range(1000000000) %}x{% endfor %}").error.kind == 4


def test_server_info():
    with Flowd("--name", "tester") as f:
        info = f.call("SystemService/GetServerInfo").server_info
        assert info.name == "tester" and info.ready and info.store.kind == "sqlite" and info.store.available
        assert info.store.durability == 2 and info.limits.max_page_size == 1000
        assert any(f.grpc_address in l for l in info.listeners), info.listeners


def test_unserved_methods_say_so():
    """Nothing of the contract is forgotten: what isn't served answers UNIMPLEMENTED, or INVALID_ARGUMENT for an empty request."""
    with Flowd() as f:
        for name in ("WorkflowService", "ProductionService", "QueueService", "DeadLetterService", "NodeTypeService", "SystemService"):
            for method in POOL.FindServiceByName("flowengine.v1." + name).methods:
                if method.client_streaming:
                    continue
                try:
                    answer = f.call(f"{name}/{method.name}", timeout=20)
                    if method.server_streaming:
                        answer.cancel()
                except Exception as error:
                    assert error.code().name in ("UNIMPLEMENTED", "INVALID_ARGUMENT", "NOT_FOUND"), (method.name, error)
                    assert details(error)["details"][0]["@type"].endswith("ErrorInfo")


run_tests(dict(globals()))
