"""GET /metrics: the numbers of this worker and of those beside it. Wants the gateway's key, or a virtual one that may see what
all others do, unless the configuration opens it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.errors import DragomanError, PermissionDeniedError
from dragoman.gateway.observing.series import added
from dragoman.gateway.pages import key_error
from dragoman.gateway.serving import JSON_HEADERS, Route, encode_plain_error

if TYPE_CHECKING:
    from dragoman.gateway.exchange import Exchange
    from dragoman.gateway.observing.metrics import Metrics
    from dragoman.gateway.observing.worker_files import WorkerFiles
    from dragoman.gateway.pipeline import Pipeline

PATH = b"/metrics"
_SEEING = frozenset({"admin", "viewer"})
"""Roles that may see what everybody does."""


class MetricsPage:
    def __init__(self, pipeline: Pipeline, metrics: Metrics, files: WorkerFiles | None, *, open_: bool) -> None:
        self._pipeline = pipeline
        self._metrics = metrics
        self._files = files
        self._open = open_

    def routes(self) -> dict[tuple[str, bytes], Route]:
        return {("GET", PATH): Route(self._answer)}

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._check(exchange)
        except PermissionDeniedError as error:
            exchange.respond(error.status_code, JSON_HEADERS, encode_plain_error(error))
            return
        except DragomanError as error:
            exchange.respond(error.status_code, JSON_HEADERS, key_error(error))
            return
        from dragoman.gateway.observing.exposition import written  # noqa: PLC0415 - loaded by the first scrape

        accept = (exchange.header(b"accept") or b"").decode("latin-1")
        others = self._files.others() if self._files else []
        text, media_type = written(added([self._metrics.tables(), self._metrics.current(), *others]), accept)
        exchange.respond(200, [(b"content-type", media_type.encode())], text)

    async def _check(self, exchange: Exchange) -> None:
        if self._open:
            return
        who = await self._pipeline.authorised(exchange.header, exchange.client)
        if who is not None and who.role not in _SEEING:
            raise PermissionDeniedError("metrics tell what all keys do: this takes a key of an admin or a viewer", attempts=0)
