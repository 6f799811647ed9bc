"""The frame of a request that is answered in a task: a client that leaves ends it, what fails is its answer, its call settles.

    with Turn(exchange, explained, settle):
        who = await pipeline.authorised(...)
        ...

Every face stands in it: inference routes, GPTRouter's, pass-through and files. It asks nobody and writes nothing itself; who
may ask what is said inside, so that a refusal is an answer like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import cast

from dragoman.gateway.exchange import Exchange


class Turn:
    """`explained`: whether the client was told of a problem; what it was not is raised. `settle` is called last, always."""

    __slots__ = ("_exchange", "_explained", "_settle")

    def __init__(self, exchange: Exchange, explained: Callable[[Exception], bool], settle: Callable[[], None]) -> None:
        self._exchange = exchange
        self._explained = explained
        self._settle = settle

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._exchange.on_disconnect(cast("Callable[[], None]", task.cancel))

    def __exit__(self, _: type[BaseException] | None, problem: BaseException | None, __: TracebackType | None) -> bool:
        try:
            if isinstance(problem, asyncio.CancelledError):
                return self._exchange.disconnected
            return isinstance(problem, Exception) and self._explained(problem)
        finally:
            self._settle()
