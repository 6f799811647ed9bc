"""Requests to providers that are no calls, and their answers as they come: what cannot be had is one of the errors of calls.

One of these asks one provider. Nothing is tried twice, translated or counted here. Called by what passes requests on, and by
who looks after files and batches.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from dragoman.core.errors import APIConnectionError, DragomanError, Timeout, error_for
from dragoman.core.http import Headers, HttpRequest, TransportFailure
from dragoman.dialects import registry
from dragoman.engine.call import CallOptions
from dragoman.engine.interpret import retry_after, without_key
from dragoman.engine.steps import Authorize
from dragoman.gateway.raw import wire
from dragoman.providers.base import Target
from dragoman.transport.base import AsyncTransport

MAX_WHOLE = 64 * 1024 * 1024
"""Bytes of an answer that is read whole."""
_PHASES = {"connect_timeout": "connect", "first_token": "first_token", "idle": "idle", "total": "total"}


class Answer:
    """An answer whose body is still to be read; it must be closed. `secrets`: what its request carried."""

    def __init__(self, stream: Any, target: Target, secrets: tuple[bytes, ...]) -> None:
        self.head = stream.head
        self.secrets = secrets
        self._stream = stream
        self._target = target

    async def read(self) -> bytes:
        """The next piece, b"" at the end. Raises the errors of calls."""
        try:
            piece: bytes = await self._stream.read()
        except TransportFailure as failure:
            raise _failed(failure, self._target) from failure
        return piece

    async def whole(self) -> bytes:
        """The body. Raises the errors of calls."""
        body = bytearray()
        while piece := await self.read():
            body += piece
            if len(body) > MAX_WHOLE:
                raise _failed(TransportFailure("too_large", f"the answer is over {MAX_WHOLE} bytes"), self._target)
        return bytes(body)

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines of the body, without those that are empty. Raises the errors of calls."""
        held = b""
        while piece := await self.read():
            *lines, held = (held + piece).split(b"\n")
            for line in lines:
                if line.strip():
                    yield line
        if held.strip():
            yield held

    async def aclose(self) -> None:
        await self._stream.aclose()


class Upstream:
    """Asks `target`."""

    def __init__(self, transport: AsyncTransport, options: CallOptions, target: Target) -> None:
        self.target = target
        self._transport = transport
        self._options = options

    async def open(self, request: HttpRequest) -> Answer:
        """Raises the errors of calls; an answer that says no is one."""
        if self.target.provider.authorizer and self.target.api_key is None:
            request = await Authorize(request, self.target).aperform(None)
        try:
            stream = await self._transport.stream(request, self._options.timeouts)
        except (TransportFailure, ValueError) as failure:
            raise _failed(failure, self.target) from failure
        return Answer(stream, self.target, wire.secrets_of(request.headers))

    async def answered(self, method: str, path: str, headers: Headers, body: bytes = b"", content_type: str = "") -> Answer:
        """As `open`, of a path below the base URL; an answer that says no is an error."""
        if content_type:
            headers = (*headers, ("content-type", content_type))
        url = self.target.base_url + path
        answer = await self.open(HttpRequest(method=method, url=url, headers=headers, body=body))
        if answer.head.status < 300:
            return answer
        try:
            raise self._refused(answer, await answer.whole())
        finally:
            await answer.aclose()

    async def asked(self, method: str, path: str, headers: Headers, body: bytes = b"", content_type: str = "") -> bytes:
        """The whole of what was `answered`."""
        answer = await self.answered(method, path, headers, body, content_type)
        try:
            return await answer.whole()
        finally:
            await answer.aclose()

    def _refused(self, answer: Answer, body: bytes) -> DragomanError:
        target, status = self.target, answer.head.status
        text = without_key(body.decode("utf-8", "replace"), target)
        detail = registry.get(target.provider.dialects["chat"]).decode_error(status, text.encode())
        wait = retry_after(status, answer.head.headers, detail, now=time.time())
        return error_for(status, detail, body=text[:4096], retry_after=wait, llm_provider=target.provider.name)


def _failed(failure: TransportFailure | ValueError, target: Target) -> APIConnectionError:
    name, kind = target.provider.name, getattr(failure, "kind", "protocol")
    message, phase = f"{name}: {failure} ({kind})", _PHASES.get(kind)
    if phase is not None:
        return Timeout(message, phase=phase, llm_provider=name)
    return APIConnectionError(message, llm_provider=name)
