"""Routes that are made when the first request for one of them comes: for faces that many gateways never serve.

What is below a beginning of paths (`*`) is the face's to answer, whether it is there or not.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from functools import cached_property
from typing import Any

from dragoman.core.errors import DragomanError
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.serving import Route, Routes, RouteTable


class LateRoutes:
    """`make` makes the routes. They must answer everything that the `keys` of `serving.Routes` stand for."""

    def __init__(self, make: Callable[[], Routes], keys: Iterable[tuple[str, bytes]]) -> None:
        self._make = make
        self.routes = dict.fromkeys(keys, Route(self._handle, self._encode_error))

    @cached_property
    def _table(self) -> RouteTable:
        return RouteTable(self._make())

    def _handle(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        found = self._table.find(exchange.method.encode(), exchange.path)
        if found is None:
            raise LookupError(f"no late route answers {exchange.method} {exchange.path.decode('latin-1')}")
        return found.handler(exchange)

    def _encode_error(self, error: DragomanError) -> bytes:
        """For a request that is refused before its path is looked up, in the words of the face."""
        return next(iter(self._table.exact.values())).encode_error(error)
