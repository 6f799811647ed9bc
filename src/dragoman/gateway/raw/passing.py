"""One request that is passed on, top to bottom: who asks, may they, send it, give the answer back, settle.

It is a call like any other to governance and observers; but it is tried once, at one place, and nothing of it is translated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dragoman.core.chat import Usage
from dragoman.core.errors import CallError, DragomanError, ErrorDetail, error_for
from dragoman.core.http import Headers, HttpRequest, header
from dragoman.engine.call import Attempt, Call, CallOptions, Settlement
from dragoman.gateway.answer_headers import error_headers
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.governance.keys import shown
from dragoman.gateway.raw import wire
from dragoman.gateway.raw.meaning import UNKNOWN, Meaning, meaning
from dragoman.gateway.raw.upstream import Answer, Upstream
from dragoman.gateway.request_ids import request_id
from dragoman.gateway.turn import Turn
from dragoman.providers.base import Target
from dragoman.router.deployment import Deployment

if TYPE_CHECKING:
    from dragoman.gateway.governance.identity import Identity
    from dragoman.gateway.pipeline import Pipeline


class Passing:
    """See the module. `operation` says what is asked for; `encode_error` is that of the face which the client sees."""

    def __init__(
        self,
        pipeline: Pipeline,
        options: CallOptions,
        exchange: Exchange,
        operation: str,
        encode_error: Callable[[DragomanError], bytes],
    ) -> None:
        self._pipeline = pipeline
        self._operation = operation
        self._options = options
        self._exchange = exchange
        self._encode_error = encode_error
        self.identity = request_id(exchange.header(b"x-request-id"))
        self._shown = shown(exchange.header).decode("latin-1")
        self._call: Call | None = None

    async def run(self, work: Callable[[Identity | None], Any]) -> None:
        """`work` is awaited with who asks. What it raises is the answer; a client that leaves ends it."""
        exchange = self._exchange
        with Turn(exchange, self._explained, partial(self._settle, Settlement(cancelled=True))):
            await work(await self._pipeline.authorised(exchange.header, exchange.client))

    def _explained(self, problem: Exception) -> bool:
        if not isinstance(problem, DragomanError):
            return False
        exchange, call = self._exchange, self._call
        if call is not None and call.attempts:
            self._settle(Settlement(error=problem))
        if getattr(problem, "llm_provider", None) is None:  # else a provider has failed, and nobody refused
            name = UNKNOWN if call is None else call.dialect
            self._pipeline.refused(problem, exchange, self.identity, self._operation, name, call=call)
        if exchange.response_started:
            exchange.abort()
        else:
            status = problem.status_code if 400 <= problem.status_code < 600 else 502
            exchange.respond(status, error_headers(problem, self.identity, call), self._encode_error(problem))
        return True

    async def open(self, request: HttpRequest, target: Target) -> Answer:
        """The provider's answer. Raises the errors of calls."""
        return await Upstream(self._pipeline.transport, self._options, target).open(request)

    async def _admitted(self, who: Identity | None, request: HttpRequest, target: Target, known: Meaning) -> Answer:
        """As `open`, as a call under governance."""
        call = self._call = self._made(request, target, known)
        await self._pipeline.admit(who, call, self._exchange, self.identity)
        attempt = Attempt(call.deployments[0], perf_counter())
        call.attempts.append(attempt)
        try:
            return await self.open(request, target)
        except CallError as problem:
            attempt.error = problem
            raise
        finally:
            attempt.ended = perf_counter()

    def headers(self, target: Target) -> Headers:
        """The client's, as the provider gets them."""
        return wire.forwarded(self._exchange.headers, target, self._shown)

    async def pass_on(self, who: Identity | None, target: Target, path: str) -> None:
        """The request as it is, and the answer as it comes. `path`: below the root of the target."""
        exchange = self._exchange
        url = wire.address(target, path, exchange.query.decode("latin-1"), self._shown)
        request = HttpRequest(method=exchange.method, url=url, headers=self.headers(target), body=exchange.body)
        known = meaning(target, request.method, request.url, request.body)
        stream = await self._admitted(who, request, target, known)
        try:
            kind = (header(stream.head.headers, "content-type") or "").lower()
            if kind.startswith("application/json"):
                body = await stream.whole()
                self._ended(stream.head.status, None if known.dialect is None else known.dialect.read_usage(body))
                self.respond(stream, body)
            else:
                tap = known.dialect.stream_tap() if known.stream and hasattr(known.dialect, "stream_tap") else None
                await self.stream(stream, tap)
                self._ended(stream.head.status, None if tap is None else tap.usage)
                exchange.finish()
        finally:
            await stream.aclose()

    def respond(self, stream: Answer, body: bytes) -> None:
        body = wire.Scrubber(stream.secrets).feed(body, last=True)
        self._exchange.respond(stream.head.status, self._headers(stream), body)

    async def stream(self, stream: Answer, tap: Any) -> None:
        """The body as it comes, all but the end of the answer. `tap`, if any, is fed with it."""
        exchange, scrubber = self._exchange, wire.Scrubber(stream.secrets)
        exchange.start(stream.head.status, self._headers(stream))
        while piece := await stream.read():
            if tap is not None:
                tap.feed(piece)
            if data := scrubber.feed(piece):
                exchange.write(data)
                await exchange.drain()
        if data := scrubber.feed(b"", last=True):
            exchange.write(data)

    def _ended(self, status: int, usage: Usage | None) -> None:
        """The provider has answered: so."""
        error = None
        if status >= 400 and self._call is not None:
            target = self._call.deployments[0].target
            error = error_for(status, ErrorDetail(message="passed on to the client"), llm_provider=target.provider.name)
            self._call.attempts[-1].error = error
        self._settle(Settlement(usage=usage, error=error))

    def _made(self, request: HttpRequest, target: Target, known: Meaning) -> Call:
        provider = target.provider.name
        name = f"{provider}/{known.model or UNKNOWN}"
        place = Deployment(replace(target, model=known.model or UNKNOWN), group=name, id=f"passthrough/{provider}")
        return Call(
            operation=known.operation,
            dialect=known.name or UNKNOWN,
            model=name,
            body=request.body,
            content_type="application/json" if known.dialect is not None else "application/octet-stream",
            deployments=(place,),
            stream=known.stream,
            options=self._options,
        )

    def _headers(self, stream: Answer) -> list[tuple[bytes, bytes]]:
        own = b"x-request-id"
        given = wire.returned(stream.head.headers, stream.secrets)
        return given if any(name == own for name, _ in given) else [*given, (own, self.identity)]

    def _settle(self, settlement: Settlement) -> None:
        if self._call is not None:
            self._call.settle(settlement)
