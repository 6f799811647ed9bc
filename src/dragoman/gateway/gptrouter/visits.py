"""Requests of the face that ask models and are answered whole, as JSON that is written by hand: the handler, and one request.

A request may be several calls (n images). They share its id and who asks, which is found out once; all of them settle, and the
answer's headers tell what they cost together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING

from dragoman.core import json
from dragoman.core.errors import DragomanError
from dragoman.engine.call import Call, Settlement
from dragoman.engine.prepare import Prepared
from dragoman.engine.price import price
from dragoman.gateway.answer_headers import answer_headers
from dragoman.gateway.exchange import Exchange, Headers
from dragoman.gateway.gptrouter.face import Answer, Face
from dragoman.gateway.request_ids import request_id
from dragoman.gateway.serving import JSON_HEADERS
from dragoman.gateway.turn import Turn

if TYPE_CHECKING:
    from dragoman.gateway.governance.identity import Identity


class Visit:
    """One request: `who` asks, `identity` is its id, `calls` it has made."""

    def __init__(self, face: Face, exchange: Exchange, operation: str) -> None:
        self.face = face
        self.exchange = exchange
        self.identity = request_id(exchange.header(b"x-request-id"))
        self.who: Identity | None = None
        self.calls: list[Call] = []
        self.prepared: Prepared | None = None
        """Of the call that was answered last."""
        self._operation = operation
        self._began = perf_counter()
        self._told: list[DragomanError] = []

    def refused(self, problem: DragomanError, call: Call | None = None) -> None:
        """Whoever watches is told, once."""
        if not any(problem is known for known in self._told):
            self._told.append(problem)
            self.face.refused(problem, self.exchange, self.identity, self._operation, call=call)

    def explained(self, problem: Exception) -> bool:
        if not isinstance(problem, DragomanError):
            return False
        self.refused(problem)
        self.face.respond_error(problem, self.exchange, self.identity)
        return True

    def settle(self) -> None:
        for call in self.calls:
            call.settle(Settlement(cancelled=True))

    def headers(self) -> Headers:
        if self.prepared is None:
            return [*JSON_HEADERS, (b"x-request-id", self.identity)]
        found = answer_headers(JSON_HEADERS, self.calls[-1], self.prepared, self.identity, self._began)
        return found if len(self.calls) == 1 else _with_total(found, self.calls)


class Calling:
    """A handler for what `function` makes of a visit. `operation` says what is asked for."""

    def __init__(self, face: Face, operation: str, function: Callable[[Visit], Awaitable[Answer]]) -> None:
        self._face = face
        self._operation = operation
        self._function = function

    async def __call__(self, exchange: Exchange) -> None:
        visit = Visit(self._face, exchange, self._operation)
        with Turn(exchange, visit.explained, visit.settle):
            visit.who = await self._face.authorised(exchange)
            status, value = await self._function(visit)
            exchange.respond(status, visit.headers(), json.encode(value))


def _with_total(headers: Headers, calls: list[Call]) -> Headers:
    """The cost of one call in them becomes that of all; where one has no price there is none."""
    from dragoman.gateway.governance import budgets  # noqa: PLC0415 - there is no cost in them without governance

    costs = [price(call, call.settlement.usage) for call in calls if call.settlement is not None]
    known = [cost.nano_dollars for cost in costs if cost is not None and cost.nano_dollars is not None]
    total = dict(budgets.headers(sum(known))) if len(known) == len(calls) else {}
    names = dict(budgets.headers(0))
    return [(name, total.get(name, value)) for name, value in headers if name not in names or name in total]
