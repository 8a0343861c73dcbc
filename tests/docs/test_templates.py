#!/usr/bin/env python3
"""The examples of docs/templates.md, run by flow-conform: template, context, result; blank lines between."""
import json, os, re, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
program = Path(os.environ.get("FLOW_ASAN", ROOT / "build/asan")) / "bin/flow-conform"
engine = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
bad = count = 0
for block in re.findall(r"^```template\n(.*?)^```$", (ROOT / "docs/templates.md").read_text(), re.M | re.S):
    for example in block.strip("\n").split("\n\n"):
        template, context, expected = example.split("\n")
        engine.stdin.write(json.dumps({"kind": "template", "id": "x", "template": template, "context": json.loads(context)}) + "\n")
        engine.stdin.flush()
        got = json.loads(engine.stdout.readline())
        count += 1
        if got.get("expect", "").strip() != expected.strip():
            bad += 1
            print(f"{template}\n  gives {got}, not {expected!r}")
engine.stdin.close()
engine.wait()
print(f"{count} examples, {bad} wrong")
sys.exit(1 if bad or count < 100 else 0)
