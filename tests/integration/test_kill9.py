#!/usr/bin/python3
"""kill -9 at random moments under load (flow-test: alone). After each restart the ledger balances; at the end every payload
that was accepted is in exactly one place: through both loops, or in one dead letter.

FLOW_KILLS says how often (50), FLOW_SEED repeats a run.
"""
import os, random, sys, tempfile, threading, time
from collections import Counter
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).parent))
from google.protobuf import json_format
from lib.flowd import (RELEASE_PROGRAMS, Flowd, assert_balanced, message, queue_data, run_tests, state_name, workflow)

KILLS = int(os.environ.get("FLOW_KILLS", "50"))
SEED = int(os.environ.get("FLOW_SEED", str(random.randrange(1 << 30))))
BATCH, COUNTED = 20, 20000


def node(id, type, **form):
    return {"id": id, "type": type, "data": {"form": form}}


def edge(source, target):
    return {"id": f"{source}-{target}", "source": source, "target": target}


DEFINITION = workflow({
    "id": "relay", "name": "relay",
    "nodes": [node("in", "queue-reader", queue_name="relay.in"),
              node("first", "data-transformer", output_template='{"n": {{ data.n }}, "hops": 1}'),
              node("pass", "queue-writer"),
              node("take", "queue-reader"),
              node("second", "data-transformer", output_template='{"n": {{ data.n }}, "hops": {{ data.hops + 1 }}}'),
              node("out", "queue-writer", queue_name="relay.out"),
              node("count", "counter", min_value=1, max_value=COUNTED),
              node("kept", "queue-writer", queue_name="relay.counted")],
    "edges": [edge("in", "first"), edge("first", "pass"), edge("pass", "take"), edge("take", "second"),
              edge("second", "out"), edge("count", "kept")]})


class Pusher(threading.Thread):
    """Pushes numbered payloads. A push whose outcome is unknown is repeated under its request id, so it counts once."""

    def __init__(self):
        super().__init__(daemon=True)
        self.address, self.stopped, self.accepted = None, False, 0

    def run(self):
        number = 0
        while not self.stopped:
            payloads = [message("Payload", data={"n": number + i}) for i in range(BATCH)]
            if self.push(f"batch-{number}", payloads):
                number += BATCH
                self.accepted = number

    def push(self, request_id, payloads):
        while not self.stopped:
            address = self.address
            if address is None:
                time.sleep(0.005)
                continue
            client = self.client_of(address)
            try:
                client.call("QueueService/PushPayloads", queue="relay.in", payloads=payloads, request_id=request_id, timeout=10)
                return True
            except grpc.RpcError as error:
                if error.code().name == "RESOURCE_EXHAUSTED":
                    time.sleep(0.01)
                elif error.code().name not in ("UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "UNKNOWN"):
                    raise
            except ValueError:
                pass  # the channel was closed under us
        return False

    def client_of(self, address):
        from lib.flowd import Client
        if getattr(self, "known", None) != address:
            self.known, self.client = address, Client(address)
        return self.client


def check_after_restart(flowd):
    ledger = assert_balanced(flowd)
    runs = flowd.call("ProductionService/ListRuns").runs
    assert len(runs) == 1 and state_name(runs[0]) in ("STARTING", "RUNNING"), runs
    return ledger


def wait_drained(flowd, pusher):
    """Until both queues are empty and the counter has finished."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        ledger = assert_balanced(flowd)
        queues = {q.queue: q for q in ledger.queues}
        open_ones = [q for name, q in queues.items() if name not in ("relay.out", "relay.counted")
                     and q.queued + q.in_flight > 0]
        if not open_ones and queues["relay.counted"].queued >= COUNTED:
            return ledger
        time.sleep(0.05)
    raise AssertionError(f"not drained: {ledger}")


def dead_letter_numbers(flowd):
    numbers, token = [], ""
    while True:
        page = flowd.call("DeadLetterService/ListDeadLetters", page_size=500, page_token=token)
        for letter in page.dead_letters:
            reason = letter.DESCRIPTOR.fields_by_name["reason"].enum_type.values_by_number[letter.reason].name
            assert reason == "INTERRUPTED", letter
            numbers.append(int(json_format.MessageToDict(letter.payload.data)["n"]))
        token = page.next_page_token
        if not token:
            return numbers


def test_kill9():
    print(f"seed {SEED}, {KILLS} kills", flush=True)
    rng = random.Random(SEED)
    flowd = Flowd(data_dir=tempfile.mkdtemp(prefix="flowd-"), programs=RELEASE_PROGRAMS)
    for queue in ("relay.out", "relay.counted"):
        flowd.call("QueueService/PushPayloads", queue=queue, payloads=[message("Payload", data={"n": -1})])
        flowd.call("QueueService/UpdateQueue", queue={"name": queue, "maxItems": "100000000"})
    flowd.call("WorkflowService/CreateWorkflow", workflow=DEFINITION)
    flowd.call("ProductionService/StartRun", workflow_id="relay")
    pusher = Pusher()
    pusher.address = flowd.grpc_address
    pusher.start()
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.01, 0.25))
        pusher.address = None
        flowd.kill()
        flowd.start()
        check_after_restart(flowd)
        pusher.address = flowd.grpc_address
    time.sleep(0.2)
    pusher.stopped = True
    pusher.join(30)
    assert pusher.accepted > 0, "nothing was pushed"
    wait_drained(flowd, pusher)

    arrived = [int(d["n"]) for d in queue_data(flowd, "relay.out")]
    assert all(d.get("hops", 2) == 2 for d in queue_data(flowd, "relay.out")[1:])
    letters = dead_letter_numbers(flowd)
    places = Counter(arrived[1:]) + Counter(letters)
    lost = [n for n in range(pusher.accepted) if places[n] == 0]
    doubled = [n for n, times in places.items() if times > 1]
    # The last batch may have been accepted without its answer reaching us: more than `accepted` is no loss.
    assert not lost, f"{len(lost)} lost: {lost[:10]}"
    assert not doubled, f"{len(doubled)} doubled: {doubled[:10]}"
    counted = sorted(int(d["counter"]["current"]) for d in queue_data(flowd, "relay.counted")[1:])
    assert counted == list(range(1, COUNTED + 1)), f"the counter's units: {len(counted)}, {len(set(counted))} different"
    print(f"{pusher.accepted} accepted, {len(arrived) - 1} arrived, {len(letters)} interrupted, 0 lost, 0 doubled; "
          f"{COUNTED} counted once each", flush=True)
    flowd.stop()


run_tests(dict(globals()))
