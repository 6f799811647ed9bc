"""How the client's operations are sent: over our transports, with failures as the client's exceptions. Once sync, once async.

Nothing is sent twice by itself but a stream that has not begun. A key travels in `ws-secret`, to the one host of the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from dragoman.core import json
from dragoman.core.http import HttpRequest, HttpResponse, ResponseHead, Timeouts, TransportFailure, header
from dragoman.gptrouter.exceptions import (
    GPTRouterApiTimeoutError,
    GPTRouterConnectionError,
    GPTRouterError,
    GPTRouterInternalServerError,
    GPTRouterStreamingError,
    for_status,
)
from dragoman.gptrouter.models import ChunkedGenerationResponse
from dragoman.gptrouter.operations import Operation
from dragoman.gptrouter.stream import EventReader

if TYPE_CHECKING:
    from dragoman.transport.http import HttpTransport
    from dragoman.transport.http_async import HttpAsyncTransport

Result = TypeVar("Result")
_TIMEOUTS = frozenset({"connect_timeout", "first_token", "idle", "total"})
_MAX_ERROR_BODY = 64 * 1024


class Connection:
    """`timeout`: seconds for a whole answer, or until a stream begins; `idle`: between two pieces of a stream, None as that."""

    def __init__(self, base_url: str, key: str, timeout: float, idle: float | None) -> None:
        self._root = base_url if base_url.endswith("/api") else f"{base_url}/api"
        self._headers = (("content-type", "application/json"), ("accept", "*/*"), ("ws-secret", key))
        self._whole = Timeouts(connect=timeout, first_token=timeout, idle=timeout, total=timeout)
        self._streamed = Timeouts(connect=timeout, first_token=timeout, idle=timeout if idle is None else idle)

    @cached_property
    def _sync(self) -> HttpTransport:
        from dragoman.transport.http import HttpTransport  # noqa: PLC0415 - it brings the HTTP library, which a type needs not

        return HttpTransport()

    @cached_property
    def _async(self) -> HttpAsyncTransport:
        from dragoman.transport.http_async import HttpAsyncTransport  # noqa: PLC0415 - as above

        return HttpAsyncTransport()

    # Whole answers

    def ask(self, operation: Operation[Result]) -> Result:
        try:
            response = self._sync.send(self._request(operation), self._whole)
        except TransportFailure as failure:
            raise _failed(failure) from failure
        return _read(operation, response)

    async def aask(self, operation: Operation[Result]) -> Result:
        try:
            response = await self._async.send(self._request(operation), self._whole)
        except TransportFailure as failure:
            raise _failed(failure) from failure
        return _read(operation, response)

    # Streams

    def stream(
        self, operation: Operation[Any], attempts: int = 1, *, switch: bool = False
    ) -> Generator[ChunkedGenerationResponse]:
        for left in range(attempts - 1, -1, -1):
            given = False
            try:
                for chunk in self._once(operation):
                    given = True
                    yield chunk
            except GPTRouterError as error:
                if given or not left or not _passes(error):
                    raise
                operation = _switched(operation, error) if switch else operation
            else:
                return

    def _once(self, operation: Operation[Any]) -> Generator[ChunkedGenerationResponse]:
        reader = EventReader()
        try:
            stream = self._sync.stream(self._request(operation), self._streamed)
        except TransportFailure as failure:
            raise _failed(failure) from failure
        try:
            if stream.head.status >= 300:
                raise _refused(stream.head, b"".join(iter(stream.read, b"")))
            while not reader.ended:
                yield from reader.feed(stream.read())
        except TransportFailure as failure:
            raise _broken(failure, reader) from failure
        finally:
            stream.close()

    async def astream(
        self, operation: Operation[Any], attempts: int = 1, *, switch: bool = False, stop: asyncio.Event | None = None
    ) -> AsyncGenerator[ChunkedGenerationResponse]:
        for left in range(attempts - 1, -1, -1):
            given = False
            try:
                async for chunk in self._aonce(operation, stop):
                    given = True
                    yield chunk
            except GPTRouterError as error:
                if given or not left or not _passes(error):
                    raise
                operation = _switched(operation, error) if switch else operation
            else:
                return

    async def _aonce(self, operation: Operation[Any], stop: asyncio.Event | None) -> AsyncGenerator[ChunkedGenerationResponse]:
        reader = EventReader()
        try:
            stream = await self._async.stream(self._request(operation), self._streamed)
        except TransportFailure as failure:
            raise _failed(failure) from failure
        try:
            if stream.head.status >= 300:
                raise _refused(stream.head, await _rest(stream))
            while not reader.ended:
                piece = await _unless(stop, stream)
                if piece is None:
                    return
                for chunk in reader.feed(piece):
                    yield chunk
        except TransportFailure as failure:
            raise _broken(failure, reader) from failure
        finally:
            await stream.aclose()

    def close(self) -> None:
        if "_sync" in self.__dict__:
            self._sync.close()

    async def aclose(self) -> None:
        self.close()
        if "_async" in self.__dict__:
            await self._async.aclose()

    def _request(self, operation: Operation[Any]) -> HttpRequest:
        body = b"" if operation.body is None else json.encode(operation.body)
        return HttpRequest(method=operation.method, url=self._root + operation.path, headers=self._headers, body=body)


async def _rest(stream: Any) -> bytes:
    body = bytearray()
    while len(body) < _MAX_ERROR_BODY and (piece := await stream.read()):
        body += piece
    return bytes(body)


async def _unless(stop: asyncio.Event | None, stream: Any) -> bytes | None:
    """The next piece, or None once the signal is set, however long the piece would take."""
    if stop is None:
        piece: bytes = await stream.read()
        return piece
    reading, stopping = asyncio.ensure_future(stream.read()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
        return None if stop.is_set() else await reading
    finally:
        for task in (reading, stopping):
            task.cancel()
        await asyncio.gather(reading, stopping, return_exceptions=True)


def _read(operation: Operation[Result], response: HttpResponse) -> Result:
    if response.status >= 300:
        raise _refused(ResponseHead(status=response.status, headers=response.headers), response.body)
    value = _decoded(response.body)
    if isinstance(value, str):
        raise GPTRouterInternalServerError(f"the server answered something that is no JSON: {value[:200]!r}")
    try:
        return operation.read(value)
    except (ValueError, TypeError, AttributeError) as problem:
        raise GPTRouterInternalServerError(f"the server's answer makes no sense: {problem}") from problem


def _decoded(body: bytes) -> Any:
    """JSON, or the text that it is instead (a proxy's page)."""
    try:
        return json.decode(body)
    except (json.DecodeError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")


def _refused(head: ResponseHead, body: bytes) -> GPTRouterError:
    """An error status. Of a stream the body may be an error event."""
    wait = header(head.headers, "retry-after") or ""
    return for_status(head.status, _told(_decoded(body), body), float(wait) if wait.isdigit() else None)


def _told(value: Any, body: bytes) -> Any:
    if not isinstance(value, str):
        return value
    try:
        EventReader().feed(body)
    except GPTRouterStreamingError as told:
        return told.body
    return value


def _failed(failure: TransportFailure) -> GPTRouterError:
    kind = GPTRouterApiTimeoutError if failure.kind in _TIMEOUTS else GPTRouterConnectionError
    return kind(failure.message)


def _broken(failure: TransportFailure, reader: EventReader) -> GPTRouterError:
    """A stream that fails before its first text has not begun; after it the text so far goes along."""
    if not reader.text:
        return _failed(failure)
    error = GPTRouterStreamingError(f"the stream broke: {failure.message}")
    error.text = reader.text
    return error


def _passes(error: GPTRouterError) -> bool:
    """Whether asking again may help."""
    return isinstance(error, GPTRouterApiTimeoutError | GPTRouterConnectionError | GPTRouterInternalServerError)


def _switched(operation: Operation[Any], error: GPTRouterError) -> Operation[Any]:
    """The first two candidates exchanged, after a timeout."""
    body = operation.body or {}
    data = body.get("data")
    if not isinstance(error, GPTRouterApiTimeoutError) or not isinstance(data, list) or len(data) < 2:
        return operation
    first, second, *others = data
    turned = [{**second, "order": first["order"]}, {**first, "order": second["order"]}, *others]
    return operation._replace(body={**body, "data": turned})
