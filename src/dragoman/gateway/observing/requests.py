"""The requests that are under way, and what became of each: told once to whoever counts or writes down.

The pipeline tells it of every request that begins a call, and of each that is refused before its call has come to an end. What
watches must be quick: it is called between the answer and its last byte.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from msgspec import Struct

from dragoman.core.errors import DragomanError
from dragoman.engine.call import Call, Settlement

if TYPE_CHECKING:
    from dragoman.gateway.exchange import Exchange
    from dragoman.gateway.governance.identity import Identity
    from dragoman.telemetry.named import Hook

logger = logging.getLogger("dragoman.gateway")

TRACE_HEADERS = ("traceparent", "tracestate")
CANCELLED = 499
"""The status of a request whose client left, as nginx counts it."""


class Begun(Struct, frozen=True):
    """A request under way. `began` is `perf_counter`'s; `identity` its id; `who` asks, where there is governance."""

    began: float
    exchange: Exchange
    identity: bytes
    who: Identity | None


class Ended(Struct, frozen=True):
    """What became of a request. `call` is None, or has not run, where it was refused. `status` is what its client saw, but that
    a stream which broke has that of its error.
    """

    operation: str
    dialect: str
    exchange: Exchange
    identity: bytes
    who: Identity | None
    call: Call | None
    status: int
    seconds: float
    error: Exception | None

    @property
    def refused(self) -> bool:
        return self.call is None or self.call.settlement is None


class Requests:
    """`told`: who hears of each end. `hooks`: what is asked when a call begins."""

    def __init__(self) -> None:
        self.open: dict[Call, Begun] = {}
        self.told: list[Callable[[Ended], None]] = []
        self.hooks: list[Hook] = []

    def begins(self, call: Call, exchange: Exchange, identity: bytes, who: Identity | None) -> None:
        self.open[call] = Begun(perf_counter(), exchange, identity, who)
        call.observers += (self._ended,)
        if self.hooks:
            found = {name: exchange.header(name.encode()) for name in TRACE_HEADERS}
            carrier = {name: value.decode("latin-1") for name, value in found.items() if value is not None}
            for hook in self.hooks:
                call.watch(hook.begin(call, carrier=carrier))

    def refused(
        self,
        error: DragomanError,
        *,
        operation: str,
        dialect: str,
        exchange: Exchange,
        identity: bytes,
        call: Call | None,
    ) -> None:
        """The answer is an error. Where the call has ended that is known already."""
        if call is not None and call.settlement is not None:
            return
        begun = None if call is None else self.open.pop(call, None)
        seconds = perf_counter() - begun.began if begun else 0.0
        who = begun.who if begun else None
        self._tell(Ended(operation, dialect, exchange, identity, who, call, error.status_code, seconds, error))

    def _ended(self, call: Call) -> None:
        begun = self.open.pop(call, None)
        if begun is None:
            return  # it was refused
        settlement = call.settlement or Settlement(cancelled=True)
        seconds = perf_counter() - begun.began
        who, exchange, identity = begun.who, begun.exchange, begun.identity
        status = _status(settlement)
        self._tell(Ended(call.operation, call.dialect, exchange, identity, who, call, status, seconds, settlement.error))

    def _tell(self, ended: Ended) -> None:
        for tell in self.told:
            try:
                tell(ended)
            except Exception:
                logger.exception("What became of a request could not be noted")


def _status(settlement: Settlement) -> int:
    if settlement.error is not None:
        return getattr(settlement.error, "status_code", 400)  # else it is a body that cannot be read
    return CANCELLED if settlement.cancelled else 200
