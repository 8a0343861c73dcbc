#!/usr/bin/env python3
"""Hostile templates, under ASan+UBSan: each ends quickly, with an error where one is due, and nothing gets out."""
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data/conformance/sandbox"
PROGRAM = Path(os.environ["FLOW_ASAN"]) / "bin/flow-conform"
SECONDS = 10  # under sanitizers and on a busy machine; the bound on time itself is 2 s


def ask(template, context):
    request = json.dumps({"kind": "template", "template": template, "context": context}) + "\n"
    result = subprocess.run([PROGRAM], input=request.encode(), capture_output=True, timeout=SECONDS)
    if result.returncode != 0:
        raise RuntimeError(f"ended with {result.returncode}: {result.stderr.decode()[-1500:]}")
    return json.loads(result.stdout)


def why_limit_fails(case):
    try:
        answer = ask("".join(text * times for text, times in case["build"]), case["context"])
    except subprocess.TimeoutExpired:
        return "takes too long"
    except RuntimeError as e:
        return str(e)
    if case["must"] == "error" and "error" not in answer:
        return "no error"
    if case["must"] == "ok":
        text = answer.get("expect", "")
        if len(text) != case["expect_len"] or hashlib.sha256(text.encode()).hexdigest() != case["expect_sha256"]:
            return f"other text, or an error: {str(answer)[:200]}"
    return None


def why_escape_fails(case):
    try:
        answer = ask(case["template"], case["context"])
    except (subprocess.TimeoutExpired, RuntimeError) as e:
        return str(e)
    text = answer.get("expect", "")
    leaks = [word for word in case["leak"] if word in text]
    if leaks:
        return f"lets out {leaks}"
    if case["context"]["data"] and ("'x': 1" in text or "9]" in text):
        return "changes the payload"
    return None


failures = count = 0
for name, judge in (("limits.jsonl", why_limit_fails), ("escape.jsonl", why_escape_fails)):
    for line in open(DATA / name, encoding="utf-8"):
        case = json.loads(line)
        started = time.monotonic()
        why = judge(case)
        count += 1
        if why:
            failures += 1
            print(f"{case['id']}: {why} ({time.monotonic() - started:.1f} s)")
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
print(f"{count} cases, {failures} failures, largest process {peak} MiB")
sys.exit(1 if failures else 0)
