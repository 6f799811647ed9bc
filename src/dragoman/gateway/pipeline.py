"""The way of one request through the gateway, top to bottom: who asks, for what, run the engine, reply, settle.

Called by the servers with an Exchange, knows no socket. Where the client's dialect is the provider's, bytes are relayed
(`relay.py`); elsewhere the answer is decoded and written anew in the client's dialect. Whatever happens the client gets
one whole answer or a typed error in its own dialect, and a client that leaves takes its upstream request with it.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import time
from collections.abc import Callable, Coroutine, Mapping
from time import perf_counter
from typing import Any, cast

import msgspec

from dragoman.core import json
from dragoman.core.chat import Warning
from dragoman.core.errors import BadRequestError, DragomanError, ErrorDetail, InvalidKeyError
from dragoman.dialects import registry
from dragoman.engine.call import Call, CallOptions, Settlement
from dragoman.engine.drive import Push, adrive
from dragoman.engine.flow import Answer, OpenedStream, answer, open_stream
from dragoman.engine.prepare import Prepared
from dragoman.engine.streams import StreamState
from dragoman.gateway import serving
from dragoman.gateway.exchange import Exchange, Headers
from dragoman.gateway.models import Models
from dragoman.gateway.relay import Relay, Rewrite, StreamWriter, push
from dragoman.gateway.request_ids import request_id
from dragoman.gateway.serving import JSON_HEADERS, end_unanswered, failed
from dragoman.transport.base import AsyncTransport

logger = logging.getLogger("dragoman.gateway")

_EVENTS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_CONTROL = bytes((*range(32), 127))
_STREAMED = frozenset({"chat"})
_UNREADABLE = (json.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading a body may end in: bad JSON, bad UTF-8 in a string, and nesting deeper than anyone means it."""


class Pipeline:
    """Everything a request needs, held once a process."""

    def __init__(self, models: Models, transport: AsyncTransport, *, options: CallOptions, api_key: str | None = None) -> None:
        self.models = models
        self.transport = transport
        self._options = msgspec.structs.replace(options, relay=True)
        self._api_key = None if api_key is None else api_key.encode()

    def route(self, operation: str, dialect: str) -> Route:
        return Route(self, operation, dialect)

    def authorise(self, header: Callable[[bytes], bytes | None]) -> None:
        """Raises InvalidKeyError unless the request shows the gateway's key, when there is one. `header` looks one up."""
        if self._api_key is None:
            return
        shown = header(b"authorization") or b""
        key = shown[7:] if shown[:7].lower() == b"bearer " else header(b"x-api-key") or header(b"api-key") or b""
        if not hmac.compare_digest(key, self._api_key):
            problem = "the API key is wrong" if key else "no API key was sent: use Authorization: Bearer KEY or x-api-key: KEY"
            raise InvalidKeyError(problem)

    def call(self, operation: str, dialect: str, exchange: Exchange) -> Call:
        """The call that the body asks for. Raises BadRequestError and NotFoundError."""
        try:
            envelope = json.decode_envelope(exchange.body)
        except _UNREADABLE as problem:
            raise _not_json(problem) from None
        model = _typed(envelope, "model", str)
        if model is None:
            raise BadRequestError("model: missing; name the model to ask", detail=_at("model"))
        stream = bool(_typed(envelope, "stream", bool))
        if stream and operation not in _STREAMED:
            raise BadRequestError(f"stream: the answer to {operation} comes whole; leave it out", detail=_at("stream"))
        deployments = self.models.find(model)
        provider = deployments[0].target.provider
        if operation not in provider.dialects:
            raise BadRequestError(
                f"model: {model!r} is served by {provider.name}, which offers no {operation}", detail=_at("model")
            )
        return Call(
            operation=operation,
            dialect=dialect,
            model=model,
            body=exchange.body,
            envelope=envelope,
            deployments=deployments,
            stream=stream,
            options=self._options,
        )


class Route:
    """A handler for one (operation, client dialect)."""

    def __init__(self, pipeline: Pipeline, operation: str, dialect: str) -> None:
        self.pipeline = pipeline
        self.operation = operation
        self.name = dialect
        self.dialect = registry.get(dialect)

    def encode_error(self, error: DragomanError) -> bytes:
        body: bytes = self.dialect.encode_error(error)
        return body

    def __call__(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        return Answering(self, exchange).begin()


class Answering:
    """One request on its way. A whole answer goes through in callbacks, a stream in a task."""

    __slots__ = ("_began", "_call", "_exchange", "_identity", "_route")

    def __init__(self, route: Route, exchange: Exchange) -> None:
        self._route = route
        self._exchange = exchange
        self._began = perf_counter()
        self._identity = request_id(exchange.header(b"x-request-id"))
        self._call: Call | None = None

    def begin(self) -> Coroutine[Any, Any, None] | None:
        route, exchange = self._route, self._exchange
        pipeline = route.pipeline
        try:
            pipeline.authorise(exchange.header)
            call = self._call = pipeline.call(route.operation, route.name, exchange)
        except (DragomanError, *_UNREADABLE) as problem:
            self._explained(problem)
            return None
        if call.stream:
            return self._stream(call)
        run = Push(answer(call, perf_counter, time.time), pipeline.transport, self._whole)
        exchange.on_disconnect(run.cancel)
        run.start()
        return None

    def _whole(self, found: Answer, problem: BaseException | None) -> None:
        """The end of the flow. What fails here reaches nobody else, so it becomes the answer."""
        call = self._call
        try:
            if problem is not None or call is None:
                raise problem or LookupError("an answer to no call")
            self._respond(found, call)
        except asyncio.CancelledError:
            end_unanswered(self._serving(), self._exchange)
        except Exception as other:  # noqa: BLE001 - the client has to be told, and the log
            if not self._explained(other):
                failed(self._serving(), self._exchange, other)
        self._settle()

    def _respond(self, found: Answer, call: Call) -> None:
        relayed = found.response is None
        body = found.raw.body if relayed else self._route.dialect.encode_response(found.response, now=int(time.time()))
        self._exchange.respond(200, _headers(JSON_HEADERS, call, found.prepared, self._identity, self._began), body)

    async def _stream(self, call: Call) -> None:
        exchange, transport = self._exchange, self._route.pipeline.transport
        _cancel_on_disconnect(exchange)
        try:
            opened = await adrive(open_stream(call, perf_counter, time.time), transport)
            try:
                exchange.start(200, _headers(_EVENTS, call, opened.prepared, self._identity, self._began))
                await push(opened.stream, self._writer(opened, call), exchange)
            finally:
                if opened.stream is not None:
                    await opened.stream.aclose()
        except asyncio.CancelledError:
            if not exchange.disconnected:
                raise
        except Exception as problem:
            if not self._explained(problem):
                raise
        finally:
            self._settle()

    def _writer(self, opened: OpenedStream, call: Call) -> StreamWriter:
        dialect = self._route.dialect
        if opened.relay:
            return Relay(opened, call, self._exchange, dialect)
        encoder = dialect.stream_encoder(call.request, now=int(time.time()))
        return Rewrite(StreamState(opened, call), self._exchange, dialect, encoder)

    def _explained(self, problem: Exception) -> bool:
        """Whether the problem says what is wrong with the request or the call; then it is the answer."""
        if isinstance(problem, DragomanError):
            self._refuse(problem)
        elif isinstance(problem, _UNREADABLE) and not (self._call and self._call.attempts):
            self._refuse(_not_json(problem))  # in a value that nobody had looked at yet
        else:
            return False
        return True

    def _refuse(self, error: DragomanError) -> None:
        status = error.status_code if 400 <= error.status_code < 600 else 502  # providers have sent stranger ones
        self._exchange.respond(status, _error_headers(error, self._identity), self._route.encode_error(error))

    def _settle(self) -> None:
        call = self._call
        if call is not None and call.settlement is None:
            call.settle(Settlement(cancelled=True))

    def _serving(self) -> serving.Route:
        return serving.Route(self._route, self._route.encode_error)


def _cancel_on_disconnect(exchange: Exchange) -> None:
    task = asyncio.current_task()
    if task is not None:
        exchange.on_disconnect(cast("Callable[[], None]", task.cancel))


def _headers(content: Headers, call: Call, prepared: Prepared, identity: bytes, began: float) -> Headers:
    """What the client may want to know: who answered, after how many attempts, and the gateway's own share of the time."""
    attempts = call.attempts
    upstream = 0.0
    for attempt in attempts:
        upstream += (attempt.ended or attempt.began) - attempt.began
    own = (perf_counter() - began - upstream) * 1000
    headers = [
        *content,
        (b"x-request-id", identity),
        (b"x-dragoman-deployment", prepared.deployment.label),
        (b"x-dragoman-attempts", b"%d" % len(attempts)),
        (b"server-timing", b"gateway;dur=%.3f, upstream;dur=%.3f" % (own, upstream * 1000)),
    ]
    if call.warnings:
        headers.append((b"x-dragoman-warnings", _warnings(call.warnings)))
    return headers


def _warnings(warnings: tuple[Warning, ...]) -> bytes:
    """Warnings as a header may hold them: ASCII, of bounded length. All of them are on the call."""
    return b"; ".join(
        f"{warning.field}: {warning.message}".encode("ascii", "backslashreplace").translate(None, _CONTROL)[:300]
        for warning in warnings[:10]
    )


def _error_headers(error: DragomanError, identity: bytes) -> Headers:
    headers = [*JSON_HEADERS, (b"x-request-id", identity)]
    wait = getattr(error, "retry_after", None)
    if wait is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait))))
    return headers


def _typed(envelope: Mapping[str, Any], key: str, kind: type) -> Any:
    """The value under `key`, None when absent or null. Raises BadRequestError when it is of another type."""
    raw = envelope.get(key)
    if raw is None:
        return None
    value = json.decode(raw)
    if value is not None and not isinstance(value, kind):
        expected = "a string" if kind is str else "true or false"
        raise BadRequestError(
            f"{key}: expected {expected}, found {json.kind(value)} {json.encode(value).decode()[:80]}", detail=_at(key)
        )
    return value


def _not_json(problem: Exception) -> BadRequestError:
    return BadRequestError(f"the request body is not a JSON object: {problem}")


def _at(param: str) -> ErrorDetail:
    return ErrorDetail(message="", param=param)
