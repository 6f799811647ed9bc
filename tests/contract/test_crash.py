"""Workers killed with -9 at random instants under load: the ledger says what the upstream counted, for every key.

`bench/crash.py` does the same 200 times, and stops databases as well.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from random import Random

import pytest

from support.crash import CountingUpstream, Findings, Load, compare, disturbed, gateway_config, issue, kill_a_worker
from support.gateway import gateway

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc to find the workers in")


def test_ten_kills_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    findings, rng = Findings(), Random(11)
    database, journal = f"sqlite:///{tmp_path}/ledger.db", tmp_path / "journal"

    async def scenario() -> None:
        upstream = CountingUpstream(findings)
        await upstream.start()
        config = gateway_config(upstream.url, database, journal, workers=2)
        with gateway(config, log=tmp_path / "log") as served:
            load = Load(served.address, await issue(served, 3), findings)
            await disturbed(load, findings, [kill_a_worker(served, rng)] * 10, rng)
            served.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(served.process.wait, 60) == 0
        await upstream.stop()
        await compare(findings, database, journal)

    asyncio.run(scenario())
    assert findings.faults == {}, str(findings)
    assert findings.interrupted > 0
    assert len(findings.delivered) > 100
