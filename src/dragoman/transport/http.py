"""The SDK's sync transport: one httpx2 client for all calls, built when the first request is made.

It moves bytes and names failures. Deadlines are exact to one read: httpx2 waits on the socket for at most the time left,
and `total` is looked at between reads. Safe to use from several threads.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import httpx2

from dragoman.core.http import HttpRequest, HttpResponse, Timeouts, TransportFailure
from dragoman.transport import http_shared as shared
from dragoman.transport.content_coding import Inflater


class HttpTransport:
    """A Transport. `options` go to httpx2.Client as they are (`verify`, `proxy`, `mounts`, `transport`...)."""

    def __init__(self, *, max_body: int = shared.MAX_BODY, **options: Any) -> None:
        self._max_body = max_body
        self._options = options

    @cached_property
    def _client(self) -> httpx2.Client:
        return httpx2.Client(**shared.client_options(self._options))

    @cached_property
    def _requests(self) -> shared.Requests:
        return shared.Requests(self._client)

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        with contextlib.closing(self._open(request, timeouts, whole=True)) as stream:
            pieces, size = [], 0
            while piece := stream.read():
                pieces.append(piece)
                size += len(piece)
                if size > self._max_body:
                    raise shared.too_large(self._max_body)
        return HttpResponse(status=stream.head.status, headers=stream.head.headers, body=b"".join(pieces))

    def stream(self, request: HttpRequest, timeouts: Timeouts) -> HttpStream:
        return self._open(request, timeouts, whole=False)

    def close(self) -> None:
        if "_client" in self.__dict__:
            self._client.close()

    def _open(self, request: HttpRequest, timeouts: Timeouts, *, whole: bool) -> HttpStream:
        client = self._client
        now = time.monotonic()
        deadlines = shared.Deadlines(timeouts, now, whole=whole)
        limit, kind = deadlines.next(now)
        built = self._requests.build(request, timeouts, read=shared.finite(limit - now))
        try:
            response = client.send(built, stream=True)
        except httpx2.HTTPError as error:
            raise shared.failure(error, kind) from error
        try:
            return HttpStream(response, built.extensions["timeout"], deadlines)
        except TransportFailure:
            response.close()
            raise


class HttpStream:
    """A ByteStream. `timeout` is the dict that httpx2 reads its timeouts from."""

    def __init__(self, response: httpx2.Response, timeout: dict[str, float | None], deadlines: shared.Deadlines) -> None:
        self.head, self._inflater = shared.read_head(response)
        self._response = response
        self._timeout = timeout
        self._deadlines = deadlines
        self._ready: deque[bytes] = deque()
        self._iterations: list[Iterator[bytes]] = []
        self._late = "first_token"
        self._ended = False

    def read(self) -> bytes:
        try:
            if self._inflater is None:
                return b"" if self._ended else self._piece()
            while not self._ready and not self._ended:
                self._inflate(self._piece(), self._inflater)
        except BaseException:
            self._response.close()
            raise
        return self._ready.popleft() if self._ready else b""

    def close(self) -> None:
        self._ended = True
        self._ready.clear()
        self._response.close()

    def finish(self) -> None:
        self._deadlines.hurry(time.monotonic() + shared.END_GRACE)
        with contextlib.suppress(TransportFailure):
            self.read()
        self.close()

    def _piece(self) -> bytes:
        """What comes next of the body as it travels, b"" at its end."""
        now = time.monotonic()
        limit, kind = self._deadlines.next(now)
        if limit <= now:
            raise shared.overdue(kind)
        if kind != self._late or not self._iterations:
            # httpx2 looks at its timeout when an iteration over the body begins. An iteration that is closed closes the
            # response, so the one for the first piece is kept beside that for the rest.
            self._timeout["read"] = shared.finite(limit - now)
            self._iterations.append(iter(self._response.stream))  # type: ignore[arg-type]  # a sync client's stream is sync
            self._late = kind
        try:
            data = next(self._iterations[-1], b"")
        except httpx2.HTTPError as error:
            raise shared.failure(error, kind) from error
        self._deadlines.piece_came()
        self._ended = not data
        return data

    def _inflate(self, data: bytes, inflater: Inflater) -> None:
        if data:
            self._ready.extend(inflater.feed(data))
        else:
            inflater.finish()
