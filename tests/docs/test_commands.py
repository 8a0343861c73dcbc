#!/usr/bin/python3
"""The commands of the README work as printed: its blocks marked `<!-- test -->` run in order against a fresh flowd.

Blocks marked `<!-- test: file NAME -->` become that file first. Blocks that need grpcurl are skipped where it can't be had.
"""
import os, re, subprocess, sys, tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from lib.flowd import RELEASE_PROGRAMS, ROOT, Flowd
from lib.tools import grpcurl

MARKED = re.compile(r"^<!-- test(?:: file (\S+))? -->\n```\w*\n(.*?)^```$", re.M | re.S)
tool = grpcurl()
skipped = 0
with tempfile.TemporaryDirectory() as work, Flowd(programs=RELEASE_PROGRAMS) as flowd:
    (Path(work) / "build").symlink_to(ROOT / "build")
    environment = dict(os.environ, FLOW_SERVER=flowd.grpc_address,
                       PATH=(str(Path(tool).parent) + ":" if tool else "") + os.environ["PATH"])
    for page in ["README.md", "docs/rest.md", "docs/websocket.md"]:
        blocks = MARKED.findall((ROOT / page).read_text())
        assert blocks, f"{page} has no marked block"
        for file, text in blocks:
            if file:
                (Path(work) / file).write_text(text)
                continue
            if "grpcurl" in text and not tool:
                skipped += 1
                continue
            text = text.replace("127.0.0.1:50051", flowd.grpc_address).replace("127.0.0.1:8080", flowd.http_address)
            result = subprocess.run(["bash", "-euc", text], cwd=work, env=environment, capture_output=True, text=True, timeout=60)
            assert result.returncode == 0, f"{page}:\n{text}\n{result.stdout}{result.stderr}"
            print(f"--- {text.strip()}\n{result.stdout[:1500]}", flush=True)
if skipped:
    print(f"grpcurl can't be had here (no Go, or no network): {skipped} blocks of the README were not run")
    sys.exit(77)
