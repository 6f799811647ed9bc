"""A test double that plays given answers through the transport seam: for our tests, and for programs that use Dragoman.

    transport = ReplayTransport(HttpResponse(status=429), Pieces(pieces=(b"data: one", b" event")))

Answers are played in order, one for each request, or chosen by a function of the request. `requests` keeps what was sent.
It opens no socket and keeps no time: deadlines never pass, but a TransportFailure of any kind can be played.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from dragoman.core.http import Headers, HttpRequest, HttpResponse, ResponseHead, Timeouts, TransportFailure


class Pieces(Struct, frozen=True, kw_only=True):
    """A response whose body comes in these pieces. `failure` is raised behind the last one, in place of a clean end."""

    status: int = 200
    headers: Headers = (("content-type", "text/event-stream"),)
    pieces: tuple[bytes, ...] = ()
    failure: TransportFailure | None = None


Answer = HttpResponse | Pieces | TransportFailure
"""A whole response, one in pieces, or the failure that comes instead of a response."""


class _Script:
    """What both worlds share: which answer is next, and what has been asked."""

    def __init__(self, *answers: Answer, choose: Callable[[HttpRequest], Answer] | None = None) -> None:
        self.requests: list[HttpRequest] = []
        self.closed = False
        self._answers = iter(answers)
        self._choose = choose or self._next

    def _next(self, request: HttpRequest) -> Answer:
        try:
            return next(self._answers)
        except StopIteration:
            raise LookupError(f"no answer is left for {request!r}, the request number {len(self.requests)}") from None

    def _played(self, request: HttpRequest) -> Pieces:
        self.requests.append(request)
        answer = self._choose(request)
        if isinstance(answer, TransportFailure):
            raise answer
        if isinstance(answer, HttpResponse):
            return Pieces(status=answer.status, headers=answer.headers, pieces=(answer.body,))
        return answer


class ReplayTransport(_Script):
    """A Transport. `choose` picks the answer for a request; without it `answers` are played in order."""

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:  # noqa: ARG002 - the seam's shape; no time passes
        return _whole(self._played(request))

    def stream(self, request: HttpRequest, timeouts: Timeouts) -> ReplayStream:  # noqa: ARG002 - as above
        return ReplayStream(self._played(request))

    def close(self) -> None:
        self.closed = True


class AsyncReplayTransport(_Script):
    """An AsyncTransport, as ReplayTransport."""

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:  # noqa: ARG002 - as above
        return _whole(self._played(request))

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> AsyncReplayStream:  # noqa: ARG002 - as above
        return AsyncReplayStream(self._played(request))

    async def aclose(self) -> None:
        self.closed = True


class ReplayStream:
    """A ByteStream. Empty pieces are skipped, for an empty one means the end. `closed`: the reader closed it."""

    def __init__(self, answer: Pieces) -> None:
        self.head = ResponseHead(status=answer.status, headers=answer.headers)
        self.closed = False
        self._pieces: Iterator[bytes] = (piece for piece in answer.pieces if piece)
        self._failure = answer.failure

    def read(self) -> bytes:
        if self.closed:
            raise TransportFailure("closed", "the stream was closed before its end")
        piece = next(self._pieces, b"")
        if not piece and self._failure is not None:
            raise self._failure
        return piece

    def close(self) -> None:
        self.closed = True


class AsyncReplayStream:
    """An AsyncByteStream, as ReplayStream."""

    def __init__(self, answer: Pieces) -> None:
        self._stream = ReplayStream(answer)
        self.head = self._stream.head

    @property
    def closed(self) -> bool:
        return self._stream.closed

    async def read(self) -> bytes:
        return self._stream.read()

    async def aclose(self) -> None:
        self._stream.close()


def _whole(answer: Pieces) -> HttpResponse:
    if answer.failure is not None:
        raise answer.failure
    return HttpResponse(status=answer.status, headers=answer.headers, body=b"".join(answer.pieces))
