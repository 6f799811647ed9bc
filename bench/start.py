"""What starting costs: importing the package, and the gateway from its process's start to its first answer."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from statistics import median

from candidates import Dragoman

IMPORT = """
import resource, sys
def used():
    seen = resource.getrusage(resource.RUSAGE_SELF)
    return seen.ru_utime + seen.ru_stime
before, modules = used(), len(sys.modules)
import dragoman
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
print((used() - before) * 1e3, len(sys.modules) - modules, rss)
"""


def measure_start(build: Path, upstream: int) -> dict[str, object]:
    rows = [
        subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(5)
    ]
    result: dict[str, object] = {
        "import_cpu_ms": round(median(float(row[0]) for row in rows), 1),
        "import_modules": int(rows[0][1]),
        "import_rss_mb": round(median(float(row[2]) for row in rows), 1),
        "first_answer_ms": round(median(first_answer(build, upstream) for _ in range(5)), 1),
    }
    print(f"\nstart: {json.dumps(result)}")
    return result


def first_answer(build: Path, upstream: int) -> float:
    """Milliseconds of wall time until a chat completion through a new gateway has come back."""
    candidate = Dragoman("dragoman-start")
    began = time.monotonic()
    folder = build / "peers" / candidate.name
    candidate.prepare(folder)
    candidate.ports["fast"] = 9109
    candidate.processes.append(candidate.launch(folder, [], 9109, upstream, "fast"))
    try:
        while True:
            with contextlib.suppress(OSError):
                request = urllib.request.Request(
                    f"http://127.0.0.1:9109{candidate.path}",
                    data=candidate.body("plain"),
                    headers={"content-type": "application/json"},
                )
                with urllib.request.urlopen(request, timeout=5):
                    return (time.monotonic() - began) * 1e3
            time.sleep(0.005)
    finally:
        candidate.stop()
