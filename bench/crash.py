"""The crash proof at length: workers killed with -9 under load, databases stopped and started, a disk that is full.

    python bench/crash.py [--kills 200] [--workers 2] [--database sqlite|postgresql] [--valkey] [--restarts 5] [--seed 1]
    python bench/crash.py --disk-full            # Linux, as root: mounts a file system of 40 MB

Prints what was found and ends with status 1 when the ledger and the upstream disagree. Part of `make soak`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.crash import (
    CountingUpstream,
    Disturbance,
    Findings,
    Load,
    compare,
    disturbed,
    gateway_config,
    issue,
    kill_a_worker,
)
from support.gateway import gateway
from support.postgres import OwnPostgres
from support.valkey import OwnValkey

AWAY = 2.0
"""Seconds that a server is stopped."""


async def crash(asked: argparse.Namespace, folder: Path, log: Path) -> Findings:
    findings, rng = Findings(), Random(asked.seed)
    journal = folder / "journal"
    with ExitStack() as stack:
        stops: list[Disturbance] = []
        database, shared = f"sqlite:///{folder}/ledger.db", None
        if asked.database == "postgresql":
            postgres = stack.enter_context(closing(OwnPostgres()))
            database = postgres.url
            stops += [_restart(postgres)] * asked.restarts
        if asked.valkey:
            valkey = stack.enter_context(closing(OwnValkey()))
            shared = valkey.url
            stops += [_restart(valkey)] * asked.restarts
        upstream = CountingUpstream(findings)
        await upstream.start()
        config = gateway_config(upstream.url, database, journal, workers=asked.workers, shared=shared)
        with gateway(config, log=log) as served:
            limits = [{"kind": "requests", "amount": 10**6, "time_period": "1d"}]
            keys = await issue(served, 5, limits=limits, max_budget=10**6)
            plan = [kill_a_worker(served, rng)] * asked.kills + stops
            rng.shuffle(plan)
            load = Load(served.address, keys, findings)
            await disturbed(load, findings, plan, rng)
            served.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(served.process.wait, 60)
        await upstream.stop()
        await compare(findings, database, journal)
    return findings


def _restart(server: OwnPostgres | OwnValkey) -> Disturbance:
    async def restart() -> None:
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(AWAY)
        await asyncio.to_thread(server.start)

    return restart


@contextmanager
def small_disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass


async def disk_full(asked: argparse.Namespace, folder: Path, log: Path) -> Findings:
    """Somebody else fills the journal's disk while calls go on, for long enough to need another file of it."""
    findings, rng = Findings(), Random(asked.seed)
    with small_disk() as disk:
        upstream = CountingUpstream(findings)
        await upstream.start()
        database, journal = f"sqlite:///{folder}/ledger.db", disk / "journal"
        with gateway(gateway_config(upstream.url, database, journal, workers=1), log=log) as served:
            keys = await issue(served, 5)

            async def fill() -> None:
                await asyncio.to_thread(_fill, disk / "filling")
                await asyncio.sleep(asked.seconds)

            load = Load(served.address, keys, findings)
            await disturbed(load, findings, [fill], rng)
            served.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(served.process.wait, 60)
        await upstream.stop()
        await compare(findings, database, journal)
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--valkey", action="store_true")
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--disk-full", action="store_true")
    parser.add_argument("--log", type=Path, default=Path("crash.log"), help="What the gateway says.")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = disk_full if asked.disk_full else crash
        findings = asyncio.run(run(asked, Path(folder), asked.log))
    print(f"{findings}; {time.monotonic() - began:.0f} s")
    sys.exit(bool(findings.faults))


if __name__ == "__main__":
    main()
