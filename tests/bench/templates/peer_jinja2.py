"""Jinja2's side: the same lines in, CPU nanoseconds out."""
import json
import sys
import time

import jinja2

cases = json.load(open(sys.argv[1], encoding="utf-8"))
environment = jinja2.Environment()
templates = [environment.from_string(c["template"]) for c in cases]
for line in sys.stdin:
    what, index, count = line.split()
    case, template = cases[int(index)], templates[int(index)]
    if what == "show":
        print(template.render(case["context"]), flush=True)
        continue
    start = time.process_time_ns()
    if what == "render":
        for _ in range(int(count)):
            template.render(case["context"])
    else:
        for _ in range(int(count)):
            environment.from_string(case["template"])
    print(time.process_time_ns() - start, flush=True)
