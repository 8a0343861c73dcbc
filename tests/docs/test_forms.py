#!/usr/bin/env python3
"""The examples of docs/forms.md, run by flow-conform."""
import json
import os
import re
import subprocess
import sys

ROOT = os.environ.get("FLOW_ROOT", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("FLOW_ASAN", os.path.join(ROOT, "build", "asan"))


def blocks(text):
    """-> (kind, first line number, lines) of each fenced block that holds examples"""
    kind = start = None
    for number, line in enumerate(text.split("\n"), 1):
        fence = re.match(r"```(\w*)$", line)
        if fence and kind is None:
            kind, start, lines = fence.group(1), number, []
        elif fence:
            if kind in ("field", "form", "template"):
                yield kind, start, lines
            kind = None
        elif kind is not None:
            lines.append((number, line))


def description_and_examples(lines):
    """The description may take several lines: it ends where it reads as JSON."""
    for count in range(1, len(lines) + 1):
        try:
            return json.loads("\n".join(line for _, line in lines[:count])), lines[count:]
        except ValueError:
            continue
    raise SystemExit("docs/forms.md:%d: no description" % lines[0][0])


def expected(text):
    """-> (cleaned, None) or (None, [messages])"""
    text = text.strip()
    return (None, [part.strip() for part in text[1:].split(" | ")]) if text.startswith("!") else (json.loads(text), None)


def request_for(kind, description, entered):
    if kind == "field":
        request = {"kind": "field", "field": description}
        request.update({"missing": True} if entered == "absent" else {"value": json.loads(entered)})
        return request
    if kind == "template":
        value, context = entered.split(" with ")
        return {"kind": "two_phase", "field": description, "value": json.loads(value), "context": json.loads(context)}
    return {"kind": "form", "form": description, "bound": True, "data": json.loads(entered), "initial": {}}


def outcome(kind, answer):
    if kind == "form":
        answer = answer["expect"]
        messages = ["%s: %s" % (f["name"], e) for f in answer["fields"] for e in f["errors"]] + answer["non_field_errors"]
        return (answer["cleaned"], None) if answer["is_valid"] else (None, messages)
    if kind == "template":
        answer = answer["run"]
    return (answer["cleaned"], None) if answer.get("ok") else (None, answer.get("errors", [str(answer)]))


def main():
    engine = subprocess.Popen([os.path.join(BUILD, "bin", "flow-conform")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    text = open(os.path.join(ROOT, "docs", "forms.md"), encoding="utf-8").read()
    wrong = count = 0
    types = set()
    for kind, start, lines in blocks(text):
        description, examples = description_and_examples(lines)
        types.update(f["type"] for f in description.get("fields", [description]))
        if not examples:
            raise SystemExit("docs/forms.md:%d: a block without an example" % start)
        for number, line in examples:
            entered, result = line.split(" => ")
            engine.stdin.write((json.dumps(request_for(kind, description, entered.strip())) + "\n").encode())
            engine.stdin.flush()
            got, want = outcome(kind, json.loads(engine.stdout.readline())), expected(result)
            count += 1
            if json.dumps(got) != json.dumps(want):
                wrong += 1
                print("docs/forms.md:%d: %s\n  says %s\n  got  %s" % (number, line, want, got))
    known = set(re.findall(r'X\(\w+, "(\w+Field)"\)', open(os.path.join(ROOT, "src", "forms", "spec.h"), encoding="utf-8").read()))
    missing = known - types
    if missing or not known:
        wrong += 1
        print("field types without an example: %s" % sorted(missing))
    print("%d examples, %d wrong" % (count, wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
