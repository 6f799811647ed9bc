"""Carries requests to `custom://provider/...` to the handler that `dragoman.custom_provider_map` has for it: sync and async.

It knows no dialect: bodies and events are the handler's bridge's. An error with an HTTP status becomes an answer with that
status, so that it is told and retried as any provider's; one of ours stays itself; any other breaks the exchange, with its
cause. A method in an event loop is held to the deadlines; a plain one is told them, and keeps them itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, NoReturn, Self, TypeVar
from urllib.parse import unquote

from dragoman.core import json
from dragoman.core.errors import ConfigurationError, DragomanError
from dragoman.core.http import Headers, HttpRequest, HttpResponse, ResponseHead, Timeouts, TransportFailure, header
from dragoman.providers import custom
from dragoman.providers.custom import Asked, Bridge

Outcome = TypeVar("Outcome")

_OPERATIONS = {"/chat/completions": "chat", "/embeddings": "embedding", "/images/generations": "image"}
_JSON = (("content-type", "application/json"),)
_EVENTS = (("content-type", "text/event-stream"),)
_OURS = frozenset({"accept", "authorization", "content-type", "user-agent"})


def _read(request: HttpRequest, timeouts: Timeouts) -> tuple[Bridge, Asked]:
    """Whom to ask, and what. Raises ConfigurationError for a provider that is in the map no more."""
    rest = request.url.partition("://")[2]
    path = next(path for path in _OPERATIONS if rest.endswith(path))
    name, _, base = (unquote(part) for part in rest.removesuffix(path).partition("/"))
    bridge = custom.bridge(name)
    if bridge is None:
        raise ConfigurationError(f"dragoman.custom_provider_map has no handler for {name!r} any more")
    limits = [limit for limit in (timeouts.total, timeouts.first_token) if limit is not None]
    return bridge, Asked(
        operation=_OPERATIONS[path],
        body=json.decode(request.body),
        headers={name: value for name, value in request.headers if name not in _OURS},
        api_key=(header(request.headers, "authorization") or "").removeprefix("Bearer ") or None,
        api_base=base or None,
        timeout=min(limits, default=None),
    )


def _failed(error: Exception) -> HttpResponse:
    """What a handler raised, as an answer. Raises what is none."""
    status = getattr(error, "status_code", None)
    if isinstance(error, DragomanError | TransportFailure) or type(status) is not int or not 400 <= status < 600:
        _broken(error)
    wait = getattr(error, "retry_after", None)
    headers = (*_JSON, ("retry-after", str(wait))) if isinstance(wait, int | float) else _JSON
    body = json.encode({"error": {"message": str(getattr(error, "message", None) or error), "type": type(error).__name__}})
    return HttpResponse(status=status, headers=headers, body=body)


def _broken(error: Exception) -> NoReturn:
    if isinstance(error, DragomanError | TransportFailure):
        raise error
    raise TransportFailure("handler", f"{type(error).__name__}: {error}") from error


class _Stream:
    """A stream whose first piece has come. `pieces` is None for an answer that came whole."""

    def __init__(self, status: int, headers: Headers, first: bytes, pieces: Any = None, deadlines: Any = None) -> None:
        self.head = ResponseHead(status=status, headers=headers)
        self._first = first
        self._pieces = pieces
        self._deadlines = deadlines

    @classmethod
    def of(cls, whole: HttpResponse) -> Self:
        return cls(whole.status, whole.headers, whole.body)

    def _held(self) -> bytes:
        first, self._first = self._first, b""
        return first


# -------------------------------------------------------------------------------------------------------------------- sync
class CustomStream(_Stream):
    """A ByteStream over a handler's iterator."""

    def read(self) -> bytes:
        if self._first or self._pieces is None:
            return self._held()
        try:
            piece: bytes = next(self._pieces, b"")
        except Exception as error:  # noqa: BLE001 - a handler may fail in any way
            _broken(error)
        return piece

    def close(self) -> None:
        with contextlib.suppress(ValueError):  # it runs in another thread, and ends with what it is at
            getattr(self._pieces, "close", bool)()


class CustomTransport:
    """A Transport."""

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        return self._whole(*_read(request, timeouts))

    def stream(self, request: HttpRequest, timeouts: Timeouts) -> CustomStream:
        bridge, asked = _read(request, timeouts)
        pieces: Iterator[bytes] | None = bridge.stream(asked)
        if pieces is None:
            return CustomStream.of(self._whole(bridge, asked))
        try:
            first = next(pieces, b"")
        except Exception as error:  # noqa: BLE001 - as above
            return CustomStream.of(_failed(error))
        return CustomStream(200, _EVENTS, first, pieces)

    def close(self) -> None:
        """Nothing is held between requests."""

    def _whole(self, bridge: Bridge, asked: Asked) -> HttpResponse:
        try:
            return HttpResponse(status=200, headers=_JSON, body=bridge.answer(asked))
        except Exception as error:  # noqa: BLE001 - as above
            return _failed(error)


# ------------------------------------------------------------------------------------------------------------------- async
async def _by(moment: float | None, kind: str, outcome: Awaitable[Outcome]) -> Outcome:
    try:
        async with asyncio.timeout_at(moment) as deadline:
            return await outcome
    except TimeoutError:
        if deadline.expired():
            raise TransportFailure(kind, f"the handler was silent past the {kind} deadline") from None
        raise


class _Deadlines:
    """When the next piece must have come, on the loop's clock; None: whenever."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._now = asyncio.get_running_loop().time
        self._began = self._now()

    def next(self, *, begun: bool) -> tuple[float | None, str]:
        limits = self._timeouts
        own, since, kind = (limits.idle, self._now(), "idle") if begun else (limits.first_token, self._began, "first_token")
        moments = [(since + own, kind)] if own is not None else []
        if limits.total is not None:
            moments.append((self._began + limits.total, "total"))
        return min(moments, default=(None, "total"))


class AsyncCustomStream(_Stream):
    """An AsyncByteStream over a handler's asynchronous iterator. Closing it cancels a `read` that waits in another task."""

    _reading: asyncio.Future[bytes] | None = None
    _closed = False

    async def read(self) -> bytes:
        if self._first or self._pieces is None:
            return self._held()
        moment, kind = self._deadlines.next(begun=True)
        self._reading = asyncio.ensure_future(_next(self._pieces))
        try:
            return await _by(moment, kind, self._reading)
        except asyncio.CancelledError:
            if self._closed:
                raise TransportFailure("closed", "the stream was closed on our side") from None
            raise
        except Exception as error:  # noqa: BLE001 - as above
            _broken(error)

    async def aclose(self) -> None:
        self._closed = True
        if self._reading is not None and not self._reading.done():
            self._reading.cancel()
            await asyncio.wait([self._reading])
        if hasattr(self._pieces, "aclose"):
            await self._pieces.aclose()


class AsyncCustomTransport:
    """An AsyncTransport."""

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        return await self._whole(*_read(request, timeouts), _Deadlines(timeouts))

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> AsyncCustomStream:
        bridge, asked = _read(request, timeouts)
        deadlines = _Deadlines(timeouts)
        pieces: AsyncIterator[bytes] | None = bridge.astream(asked)
        if pieces is None:
            return AsyncCustomStream.of(await self._whole(bridge, asked, deadlines))
        try:
            first = await _by(*deadlines.next(begun=False), _next(pieces))
        except Exception as error:  # noqa: BLE001 - as above
            return AsyncCustomStream.of(_failed(error))
        return AsyncCustomStream(200, _EVENTS, first, pieces, deadlines)

    async def aclose(self) -> None:
        """Nothing is held between requests."""

    async def _whole(self, bridge: Bridge, asked: Asked, deadlines: _Deadlines) -> HttpResponse:
        try:
            body = await _by(*deadlines.next(begun=False), bridge.aanswer(asked))
        except Exception as error:  # noqa: BLE001 - as above
            return _failed(error)
        return HttpResponse(status=200, headers=_JSON, body=body)


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces, b"")
