#!/usr/bin/python3
"""Random templates, rendered by flow-conform and by Jinja2 itself: the same text, or an error of the same kind.

    FLOW_TEMPLATES=20000 FLOW_SEED=1 tests/differential/test_templates.py    more of them, others
    tests/differential/test_templates.py SEED                                one of them, shown
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import jinja2  # noqa: E402
from template_generator import case  # noqa: E402

ROOT = Path(os.environ.get("FLOW_ROOT", Path(__file__).parent.parent.parent))
PROGRAM = Path(os.environ.get("FLOW_ASAN", ROOT / "build/asan")) / "bin/flow-conform"

# What Jinja prints for functions, generators and other things of Python's; docs/templates.md says what we print.
PYTHON_SHOWS = re.compile(r"<(built-in|generator|function|bound method|class|jinja2|.* object at 0x)|dict_(keys|values|items)|reverseiterator")


ENVIRONMENTS = {False: jinja2.Environment(), True: jinja2.Environment(undefined=jinja2.StrictUndefined)}


def expected(source, context, strict):
    try:
        return {"expect": ENVIRONMENTS[strict].from_string(source).render(json.loads(json.dumps(context)))}
    except jinja2.TemplateSyntaxError:
        return {"error": "syntax"}
    except jinja2.UndefinedError:
        return {"error": "undefined"}
    except SyntaxError:  # Jinja accepted it, but wrote Python that Python does not accept
        return {"error": "syntax"}
    except Exception as e:  # every exception of Python counts as a failed render
        return {"error": "runtime", "detail": f"{type(e).__name__}: {e}"}


def is_strict(seed):
    return seed % 4 == 3


def agree(want, got):
    if "expect" in want:
        return got.get("expect") == want["expect"]
    kinds = {want["error"], got.get("error")}
    return len(kinds) == 1 or kinds == {"undefined", "runtime"}


def accepted(source, want, got):
    """Differences that are decided; each is described in docs/templates.md."""
    detail = got.get("detail", "")
    return (
        ("expect" in want and PYTHON_SHOWS.search(want["expect"]) is not None)
        or got.get("error") == "limit"
        or "would change the payload" in detail
        or "can't be raised to a fraction" in detail  # no complex numbers
        or ("expect" in want and "Missing end of" in detail)  # of a comment or raw block right at the end
        or ("expect" in want and "tojson(indent" in source and got.get("error") == "undefined")
    )


class Engine:
    def __init__(self):
        self.process = subprocess.Popen([str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, source, context, strict):
        request = {"kind": "template", "template": source, "context": context, "strict": strict}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"flow-conform died on {source!r} with {json.dumps(context)}")
        return json.loads(line)


def main():
    engine = Engine()
    if len(sys.argv) > 1:
        seed = int(sys.argv[1])
        source, context, strict = *case(seed), is_strict(seed)
        print(source, json.dumps(context, ensure_ascii=False), expected(source, context, strict), engine.ask(source, context, strict), sep="\n\n")
        return 0
    count, first = int(os.environ.get("FLOW_TEMPLATES", 3000)), int(os.environ.get("FLOW_SEED", 20261123)) * 1000000
    different = decided = errors = 0
    for seed in range(first, first + count):
        source, context, strict = *case(seed), is_strict(seed)
        want, got = expected(source, context, strict), engine.ask(source, context, strict)
        errors += "error" in want
        if agree(want, got):
            continue
        if accepted(source, want, got):
            decided += 1
            continue
        different += 1
        if different <= 15:
            print(f"seed {seed}{' (strict)' if strict else ''}\n  template {source!r}\n  Jinja2   {want!r:.400}\n  ours     {got!r:.400}")
    print(f"{count} templates ({errors} with an error in Jinja2), {decided} decided differences, {different} others")
    return 1 if different else 0


sys.exit(main())
