"""Instructions the hot path takes, counted by valgrind's callgrind: the guard that no machine noise can blur.

    python bench/instructions.py            compare with bench/instructions.json, fail above +3 %
    python bench/instructions.py --update   write the counts there

The counts are those of one request (plain, a stream of 50 chunks, a body of 64 KB, one under governance) through `sansio.py`:
two runs of different length, their difference divided. They depend on the Python that runs them, so the file keeps one set for
each version and kind of build; a set that is missing is reported and is no failure. Without valgrind it says so and ends.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILE = HERE / "instructions.json"
LENGTHS = {"plain": (20, 120), "stream": (5, 25), "large": (20, 80), "governed": (20, 120)}
ALLOWED = 1.03
OPTIMISED = "optimised" if "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "") else "plain"
KEY = f"CPython {platform.python_version()} {OPTIMISED} build, {platform.machine()}"


def counted(mode: str, count: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "sansio.py", mode, str(count)]
    env = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, check=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if found is None:
        sys.exit(f"valgrind printed no count: {run.stderr[-300:]}")
    return int(found.group(1))


def measure() -> dict[str, int]:
    result = {}
    for mode, (few, many) in LENGTHS.items():
        result[mode] = round((counted(mode, many) - counted(mode, few)) / (many - few))
        print(f"{mode:<8}{result[mode]:>12,} instructions", flush=True)
    return result


def main() -> None:
    if shutil.which("valgrind") is None:
        print("instruction counts: skipped, valgrind is not installed")
        return
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    seen = measure()
    if "--update" in sys.argv:
        FILE.write_text(json.dumps({**known, KEY: seen}, indent=1, sort_keys=True) + "\n")
        return
    if KEY not in known:
        print(f"instruction counts: no numbers are kept for {KEY}; add them with --update")
        return
    worse = {mode: count for mode, count in seen.items() if count > known[KEY][mode] * ALLOWED}
    for mode, count in worse.items():
        print(f"{mode}: {count:,} instructions, {count / known[KEY][mode] - 1:+.1%} over the {known[KEY][mode]:,} kept")
    if worse:
        sys.exit("the hot path got dearer: make it cheaper, or run bench/instructions.py --update and say why")


if __name__ == "__main__":
    main()
