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
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from dragoman.core import json
from dragoman.core.chat import Warning
from dragoman.core.errors import BadRequestError, DragomanError, ErrorDetail, InvalidKeyError
from dragoman.dialects import registry
from dragoman.engine.call import Call, CallOptions, Settlement
from dragoman.engine.drive import adrive
from dragoman.engine.flow import OpenedStream, answer, open_stream
from dragoman.engine.prepare import Prepared
from dragoman.engine.streams import StreamState
from dragoman.gateway.exchange import Exchange, Headers
from dragoman.gateway.models import Models
from dragoman.gateway.relay import Relay, Rewrite, StreamWriter, push
from dragoman.gateway.request_ids import request_id
from dragoman.transport.base import AsyncTransport

logger = logging.getLogger("dragoman.gateway")

_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_CONTROL = bytes((*range(32), 127))
_NO_CACHE = (b"cache-control", b"no-cache")
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
        self._pipeline = pipeline
        self._operation = operation
        self._name = dialect
        self._dialect = registry.get(dialect)

    def encode_error(self, error: DragomanError) -> bytes:
        body: bytes = self._dialect.encode_error(error)
        return body

    async def __call__(self, exchange: Exchange) -> None:
        began = time.perf_counter()
        identity = request_id(exchange.header(b"x-request-id"))
        call: Call | None = None
        try:
            self._pipeline.authorise(exchange.header)
            call = self._pipeline.call(self._operation, self._name, exchange)
            _cancel_on_disconnect(exchange)
            if call.stream:
                await self._stream(exchange, call, identity, began)
            else:
                await self._whole(exchange, call, identity, began)
        except DragomanError as error:
            self._refuse(exchange, error, identity)
        except _UNREADABLE as problem:
            if call is not None and call.attempts:
                raise
            self._refuse(exchange, _not_json(problem), identity)  # in a value that nobody had looked at yet
        except asyncio.CancelledError:
            if not exchange.disconnected:
                raise
        finally:
            if call is not None and call.settlement is None:
                call.settle(Settlement(cancelled=True))

    def _refuse(self, exchange: Exchange, error: DragomanError, identity: bytes) -> None:
        status = error.status_code if 400 <= error.status_code < 600 else 502  # providers have sent stranger ones
        exchange.respond(status, _error_headers(error, identity), self.encode_error(error))

    async def _whole(self, exchange: Exchange, call: Call, identity: bytes, began: float) -> None:
        found = await adrive(answer(call, time.perf_counter, time.time), self._pipeline.transport)
        relayed = found.response is None
        body = found.raw.body if relayed else self._dialect.encode_response(found.response, now=int(time.time()))
        exchange.respond(200, [_JSON, *_headers(call, found.prepared, identity, began)], body)

    async def _stream(self, exchange: Exchange, call: Call, identity: bytes, began: float) -> None:
        opened = await adrive(open_stream(call, time.perf_counter, time.time), self._pipeline.transport)
        try:
            exchange.start(200, [_EVENTS, _NO_CACHE, *_headers(call, opened.prepared, identity, began)])
            await push(opened.stream, self._writer(opened, call, exchange), exchange)
        finally:
            if opened.stream is not None:
                await opened.stream.aclose()

    def _writer(self, opened: OpenedStream, call: Call, exchange: Exchange) -> StreamWriter:
        if opened.relay:
            return Relay(opened, call, exchange, self._dialect)
        encoder = self._dialect.stream_encoder(call.request, now=int(time.time()))
        return Rewrite(StreamState(opened, call), exchange, self._dialect, encoder)


def _cancel_on_disconnect(exchange: Exchange) -> None:
    task = asyncio.current_task()
    if task is not None:
        exchange.on_disconnect(cast("Callable[[], None]", task.cancel))


def _headers(call: Call, prepared: Prepared, identity: bytes, began: float) -> Headers:
    """What the client may want to know: who answered, after how many attempts, and the gateway's own share of the time."""
    attempts = call.attempts
    upstream = sum([(attempt.ended or attempt.began) - attempt.began for attempt in attempts])
    own = (time.perf_counter() - began - upstream) * 1000
    headers = [
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
    headers = [_JSON, (b"x-request-id", identity)]
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
