"""Programs of other ecosystems that tests use, installed once into build/tools; None where they can't be had."""
import os, shutil, subprocess
from pathlib import Path

ROOT = Path(os.environ.get("FLOW_ROOT", Path(__file__).resolve().parents[3]))
TOOLS = ROOT / "build/tools"
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"


def grpcurl():
    """Path of grpcurl: the one on PATH, or built by Go from the module proxy."""
    found = shutil.which("grpcurl")
    if found:
        return found
    path = TOOLS / "bin/grpcurl"
    if not path.exists() and shutil.which("go"):
        subprocess.run(["go", "install", GRPCURL], env=dict(os.environ, GOBIN=str(path.parent)), capture_output=True,
                       timeout=300)
    return str(path) if path.exists() else None
