"""Two attempts of one call side by side: a step that runs flows of their own until one of them has an answer.

A flow in a race gives its result, or None where its attempt failed; it records by itself how it ended. Yielded by the call loop
for a hedged attempt alone, so that nobody else pays for it.

Only an event loop can race: a thread that waits for a socket cannot be told to stop, so the loser would go on and be paid for.
A plain thread has it run in a loop beside it, where its transport has one (`aside`); else `first` runs alone, unhedged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dragoman.engine.drive import adrive, drive
from dragoman.engine.steps import Flow, Step


class Race(Step, frozen=True):
    """Run `first`, and when it is silent for `after` seconds, the flow that `second` gives beside it (None: nobody).

    Comes back: a list of results. Its first is the winner's; any other came in the same moment and is of no use. Empty when
    nobody had one. Who still ran is cancelled, and has ended by then.
    """

    first: Flow[Any]
    after: float
    second: Callable[[], Flow[Any] | None]

    def perform(self, transport: Any) -> Any:
        aside = getattr(transport, "aside", None)
        if aside is not None:
            return aside(self.aperform)
        found = drive(self.first, transport)
        return [] if found is None else [found]

    async def aperform(self, transport: Any) -> Any:
        lanes = [asyncio.create_task(adrive(self.first, transport))]
        try:
            done, _ = await asyncio.wait(lanes, timeout=self.after)
            if not done and (second := self.second()) is not None:
                lanes.append(asyncio.create_task(adrive(second, transport)))
            return await _first_of(lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)


async def _first_of(lanes: list[asyncio.Task[Any]]) -> list[Any]:
    """The results that are there once there is any, in the order of the lanes; what a flow could not handle is raised."""
    while True:
        found = [result for lane in lanes if lane.done() and (result := lane.result()) is not None]
        running = [lane for lane in lanes if not lane.done()]
        if found or not running:
            return found
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
