"""A gateway worker without the gateway, to be killed: it admits and settles calls for ever, eight in flight.

What its upstream counted goes to stdout, one JSON line a call, written when the upstream has answered and before the gateway
hears of it: `python ledger_worker.py DATABASE JOURNAL KEY`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dragoman.catalog.cost import Cost
from dragoman.core.chat import Usage
from dragoman.gateway.governance.governance import Governance
from dragoman.gateway.governance.identity import Identity
from dragoman.gateway.store.shipping import Pace, begin
from support.governing import call, facts, header


async def lane(governance: Governance, identity: Identity, number: int) -> None:
    used = Usage(input_tokens=7)
    count = 0
    while True:
        count += 1
        name = f"{os.getpid()}-{number}-{count}"
        hold = governance.admit(identity, facts(nano=1000, request_id=name), time.time())
        await asyncio.sleep(0.0005)
        cost = 10 + count % 90
        os.write(1, json.dumps({"id": name, "cost": cost}).encode() + b"\n")
        governance.settle(hold, call(usage=used), used, Cost(nano_dollars=cost), time.time())
        await asyncio.sleep(0)


async def main(database: str, journal: str, key: str) -> None:
    governance, _ = await begin(database=database, journal=Path(journal), pace=Pace(turn=0.02, recovery=0.1))
    identity = await governance.load(header(key), "127.0.0.1", time.time())
    await asyncio.gather(*(lane(governance, identity, number) for number in range(8)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
