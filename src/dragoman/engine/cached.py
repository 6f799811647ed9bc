"""`answer` and `open_stream` of `flow.py`, for faces that may have been given a cache. A call that has none pays nothing.

`use` gives a call its `Lookup`, which does the rest; it is loaded when there is a cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dragoman.engine import flow
from dragoman.engine.call import Call
from dragoman.engine.flow import Answer, OpenedStream
from dragoman.engine.steps import Flow

if TYPE_CHECKING:
    from dragoman.caching.cache import Cache
    from dragoman.caching.controls import Controls

Clock = Callable[[], float]


def use(call: Call, cache: Cache, controls: Controls, *scope: Any) -> None:
    """Have the call answered from the cache where it can be, and its answer kept where it may be.

    `scope` is what else must be equal: whose call it is, and what chooses among deployments that answer differently.
    """
    from dragoman.engine.lookup import Lookup  # noqa: PLC0415 - who has no cache does not pay for it

    call.lookup = Lookup(cache, controls, scope)


def answer(call: Call, clock: Clock, wall: Clock) -> Flow[Answer]:
    """As `flow.answer`."""
    return flow.answer(call, clock, wall) if call.lookup is None else call.lookup.answer(call, clock, wall)


def open_stream(call: Call, clock: Clock, wall: Clock) -> Flow[OpenedStream]:
    """As `flow.open_stream`."""
    return flow.open_stream(call, clock, wall) if call.lookup is None else call.lookup.open_stream(call, clock, wall)
