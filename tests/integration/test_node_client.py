#!/usr/bin/python3
"""The client of tests/integration/node (@grpc/grpc-js) against a real flowd. Skipped where npm's registry can't be reached."""
import shutil, subprocess, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lib.flowd import ROOT, Flowd

SOURCE = ROOT / "tests/integration/node"
PLACE = ROOT / "build/tests/node"
SKIPPED = 77


def install():
    """node_modules as package-lock.json pins them; kept until that changes."""
    lock = SOURCE / "package-lock.json"
    stamp = PLACE / "installed.json"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return True
    PLACE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCE / name, PLACE)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=PLACE, capture_output=True,
                          text=True, timeout=300)
    if done.returncode != 0:
        print(done.stdout + done.stderr)
        return False
    shutil.copy(lock, stamp)
    return True


if shutil.which("node") is None or shutil.which("npm") is None:
    print("there is no node and npm")
    sys.exit(SKIPPED)
if not install():
    print("the npm packages can't be installed: no network, or no registry")
    sys.exit(SKIPPED)
shutil.copy(SOURCE / "client.mjs", PLACE)
with Flowd() as flowd:
    result = subprocess.run(["node", "client.mjs", flowd.grpc_address], cwd=PLACE, timeout=120)
    assert result.returncode == 0
