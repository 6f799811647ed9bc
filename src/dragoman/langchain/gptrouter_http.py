"""Asks a server that speaks GPTRouter's API: one request, whole or streamed, sync or async. The server owns retries.

Connections are shared by all models of the process (of the event loop), as those of the SDK are. Called by `gptrouter`.
"""

from __future__ import annotations

import atexit
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping, Sequence
from functools import cache
from typing import Any, cast

from dragoman.client.arguments import timeouts
from dragoman.client.per_loop import PerLoop
from dragoman.core.http import Headers, HttpRequest, TransportFailure
from dragoman.langchain.gptrouter_models import GPTRouterModel
from dragoman.langchain.gptrouter_wire import Answer, StreamDecoder, decode, status_error, transport_error
from dragoman.transport.base import AsyncByteStream, ByteStream
from dragoman.transport.by_scheme import AsyncSchemeTransport, SchemeTransport

Models = Sequence[GPTRouterModel]


Read = Callable[[int, Mapping[str, str], bytes, Models], Answer]
"""What makes an answer of status, headers and body."""


def send(request: HttpRequest, models: Models, timeout: Any, read: Read = decode) -> Answer:
    try:
        response = _transport().send(request, timeouts(timeout, None, stream=False))
    except TransportFailure as failure:
        raise transport_error(failure, models) from None
    return read(response.status, _headers(response.headers), response.body, models)


def stream(request: HttpRequest, models: Models, timeout: Any) -> Generator[Answer]:
    """Returns when the answer has begun. Raises what a failing answer means."""
    try:
        opened = _transport().stream(request, timeouts(timeout, None, stream=True))
        if opened.head.status != 200:
            raise status_error(opened.head.status, _headers(opened.head.headers), _whole(opened), models)
    except TransportFailure as failure:
        raise transport_error(failure, models) from None
    return _chunks(opened, models)


def _whole(opened: ByteStream) -> bytes:
    try:
        return b"".join(iter(opened.read, b""))
    finally:
        opened.close()


def _chunks(opened: ByteStream, models: Models) -> Generator[Answer]:
    decoder = StreamDecoder(_headers(opened.head.headers), models)
    try:
        while data := opened.read():
            yield from decoder.feed(data)
        decoder.close()
    except TransportFailure as failure:
        raise transport_error(failure, models) from None
    finally:
        opened.close()


async def asend(
    request: HttpRequest,
    models: Models,
    timeout: Any,  # noqa: ASYNC109 - carried out by the transport
    read: Read = decode,
) -> Answer:
    transport = await _async_transports.get()
    try:
        response = await transport.send(request, timeouts(timeout, None, stream=False))
    except TransportFailure as failure:
        raise transport_error(failure, models) from None
    return read(response.status, _headers(response.headers), response.body, models)


async def astream(request: HttpRequest, models: Models, timeout: Any) -> AsyncIterator[Answer]:  # noqa: ASYNC109 - as above
    transport = await _async_transports.get()
    try:
        opened = await transport.stream(request, timeouts(timeout, None, stream=True))
        if opened.head.status != 200:
            body = await _awhole(opened)
            raise status_error(opened.head.status, _headers(opened.head.headers), body, models)
    except TransportFailure as failure:
        raise transport_error(failure, models) from None
    return _achunks(opened, models)


async def _awhole(opened: AsyncByteStream) -> bytes:
    pieces = []
    try:
        while piece := await opened.read():
            pieces.append(piece)
    finally:
        await opened.aclose()
    return b"".join(pieces)


async def _achunks(opened: AsyncByteStream, models: Models) -> AsyncGenerator[Answer]:
    decoder = StreamDecoder(_headers(opened.head.headers), models)
    try:
        while data := await opened.read():
            for chunk in decoder.feed(data):
                yield chunk
        decoder.close()
    except TransportFailure as failure:
        raise transport_error(failure, models) from None
    finally:
        await opened.aclose()


def _headers(headers: Headers) -> dict[str, str]:
    return dict(headers)


# ------------------------------------------------------------------------------------------------------------ connections
@cache
def _transport() -> SchemeTransport:
    transport = SchemeTransport()
    atexit.register(transport.close)
    return transport


_async_transports: Any = PerLoop(cast("Any", AsyncSchemeTransport))
"""It wants nothing of what it keeps but `aclose`."""
