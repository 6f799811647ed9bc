"""`make bench`: what the gateway and the SDK cost, beside their floors and their peers, in one run.

    python bench/run.py [--rounds 3] [--seconds 3] [--only NAME ...] [--mode NAME ...]

Modes: plain, large, stream, slow, latency, sdk, start.

The figure is CPU time of the measured process tree for each request (or streamed event): ratios of it are comparable, times
of day are not. All candidates are alive in one run, the idle ones are stopped, rounds are interleaved with their order
reversed, and the median is shown with its spread. The gateway under test has one core, upstream and load share the other.
A table goes to the terminal, everything to bench/results.json. A candidate that cannot be had here is named with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from candidates import CANDIDATES, Candidate, Unavailable
from process_tree import cpu_seconds, resident_bytes
from sdk import measure_sdk
from start import measure_start

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / ".bench"
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0, 0]

MODES = {
    # name: body, connections, unit, requests a second (0: as fast as it goes), upstream
    "plain": ("plain", 32, "request", 0, "fast"),
    "large": ("large", 32, "request", 0, "fast"),
    "stream": ("stream", 100, "event", 0, "fast"),
    "slow": ("plain", 400, "request", 0, "slow"),
    "latency": ("plain", 8, "request", 50, "fast"),
}
UPSTREAMS = {
    # name: port, chunks of a stream, microseconds between them, microseconds before a plain answer
    "fast": ("9101", "150", "5000", "0"),
    "slow": ("9102", "150", "5000", "50000"),
    "burst": ("9103", "150", "0", "0"),
}


def build_tools() -> None:
    BUILD.mkdir(exist_ok=True)
    for name in ("upstream", "load"):
        source, binary = HERE / "native" / f"{name}.c", BUILD / name
        if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["cc", "-O2", "-o", str(binary), str(source)], check=True)


def pinned(core: int) -> list[str]:
    return ["taskset", "-c", str(CORES[min(core, len(CORES) - 1)])]


def load(candidate: Candidate, mode: str, seconds: float) -> dict[str, float]:
    body, connections, _, rate, upstream = MODES[mode]
    file = BUILD / f"{candidate.name}-{body}.json"
    file.write_bytes(candidate.body(body))
    port = candidate.ports[upstream]
    command = [*pinned(0), str(BUILD / "load"), str(port), candidate.path, str(file), str(connections), str(seconds)]
    env = {**os.environ, "UPSTREAM_PORT": UPSTREAMS[upstream][0]}
    run = subprocess.run([*command, str(rate)] if rate else command, capture_output=True, text=True, check=True, env=env)
    return json.loads(run.stdout)


def measure(candidate: Candidate, mode: str, seconds: float) -> dict[str, float]:
    """One round: warm up, then the CPU of the process tree around a load."""
    pid = candidate.pids[MODES[mode][4]]
    candidate.resume()
    try:
        load(candidate, mode, 0.5)
        before = cpu_seconds(pid)
        seen = load(candidate, mode, seconds)
        spent = cpu_seconds(pid) - before
    finally:
        candidate.pause()
    units = seen["events"] if MODES[mode][2] == "event" else seen["ok"]
    seen["cpu_us"] = spent * 1e6 / max(1.0, units)
    return seen


def measure_mode(mode: str, candidates: list[Candidate], rounds: int, seconds: float) -> dict[str, dict[str, object]]:
    seen: dict[str, list[dict[str, float]]] = {candidate.name: [] for candidate in candidates}
    for number in range(rounds):
        order = candidates if number % 2 == 0 else candidates[::-1]
        for candidate in order:
            seen[candidate.name].append(measure(candidate, mode, seconds))
    return {name: summary(rows) for name, rows in seen.items()}


def summary(rows: list[dict[str, float]]) -> dict[str, object]:
    costs = [row["cpu_us"] for row in rows]
    return {
        "cpu_us": round(median(costs), 2),
        "spread": [round(min(costs), 2), round(max(costs), 2)],
        "per_second": round(median((row["events"] or row["ok"]) / row["seconds"] for row in rows)),
        "p50_us": median(row["p50_us"] for row in rows),
        "p99_us": median(row["p99_us"] for row in rows),
        "relay_p50_us": median(row["relay_p50_us"] for row in rows),
        "failed": sum(row["failed"] for row in rows),
        "events": [min(row["events_min"] for row in rows), max(row["events_max"] for row in rows)],
    }


def table(mode: str, rows: dict[str, dict[str, object]]) -> None:
    unit, base = MODES[mode][2], rows.get("nginx", {}).get("cpu_us")
    print(f"\n{mode}: CPU microseconds a {unit}")
    print(
        f"  {'':<22}{'us':>9} {'spread':>17} {'x nginx':>8} {'a second':>9} {'p50 us':>8} {'p99 us':>8} {'failed':>7}  events"
    )
    for name, row in sorted(rows.items(), key=lambda item: item[1]["cpu_us"]):
        ratio = f"{row['cpu_us'] / base:.2f}" if base else "-"
        spread = "{}-{}".format(*row["spread"])
        events = "{}..{}".format(*row["events"]) if row["events"][1] else ""
        print(
            f"  {name:<22}{row['cpu_us']:>9} {spread:>17} {ratio:>8} {row['per_second']:>9} {row['p50_us']:>8.0f}"
            f" {row['p99_us']:>8.0f} {row['failed']:>7}  {events}"
        )


def memory(candidates: list[Candidate]) -> dict[str, float]:
    return {c.name: round(resident_bytes(c.pids["fast"]) / 1e6, 1) for c in candidates}


def started(names: list[str] | None, stack: ExitStack) -> tuple[list[Candidate], dict[str, str]]:
    ready: list[Candidate] = []
    skipped: dict[str, str] = {}
    for candidate in CANDIDATES:
        if names and candidate.name not in names:
            continue
        try:
            candidate.start(BUILD, pinned(1), {name: int(UPSTREAMS[name][0]) for name in ("fast", "slow")})
        except Unavailable as reason:
            candidate.stop()
            skipped[candidate.name] = str(reason)
            print(f"skipped {candidate.name}: {reason}", flush=True)
            continue
        stack.callback(candidate.stop)
        candidate.pause()
        ready.append(candidate)
    return ready, skipped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--mode", nargs="*", default=[*MODES, "sdk", "start"])
    chosen = parser.parse_args()
    build_tools()
    results: dict[str, object] = {"machine": platform.platform(), "python": sys.version.split()[0], "cores": len(CORES)}
    with ExitStack() as stack:
        for name, row in UPSTREAMS.items():
            process = subprocess.Popen([*pinned(0), str(BUILD / "upstream"), *row])
            CANDIDATES[0].pids[name] = process.pid
            stack.callback(process.wait)
            stack.callback(process.send_signal, signal.SIGTERM)
        time.sleep(0.3)
        modes = [mode for mode in chosen.mode if mode in MODES]
        candidates, results["skipped"] = started(chosen.only, stack) if modes else ([], {})
        results["resident_mb"] = memory(candidates)
        for mode in modes:
            results[mode] = measure_mode(mode, candidates, chosen.rounds, chosen.seconds)
            table(mode, results[mode])
        results["resident_mb_after"] = memory(candidates)
        for title, key in (("idle", "resident_mb"), ("after the load", "resident_mb_after")):
            print(f"resident MB, {title}: {json.dumps(results[key])}")
        if "sdk" in chosen.mode:
            results["sdk"] = measure_sdk(BUILD, {name: int(row[0]) for name, row in UPSTREAMS.items()})
        if "start" in chosen.mode:
            results["start"] = measure_start(BUILD, int(UPSTREAMS["fast"][0]))
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwritten: {HERE / 'results.json'}")


if __name__ == "__main__":
    main()
