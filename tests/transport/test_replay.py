"""The test double plays what it is given, through both sides of the seam."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.core.http import HttpRequest, HttpResponse, Timeouts, TransportFailure
from dragoman.transport.replay import AsyncReplayTransport, Pieces, ReplayTransport
from support.upstream import run

REQUEST = HttpRequest(method="POST", url="http://h.invalid/", headers=(("authorization", "Bearer secret"),), body=b"{}")
WHOLE = HttpResponse(status=429, headers=(("retry-after", "1"),), body=b"slow down")
CUT = Pieces(pieces=(b"one", b"", b"two"), failure=TransportFailure("closed", "cut"))


class Sync:
    """The sync transport, spoken to as the async one is."""

    def __init__(self, *answers: Any, **options: Any) -> None:
        self.transport = ReplayTransport(*answers, **options)

    async def send(self) -> HttpResponse:
        return self.transport.send(REQUEST, Timeouts())

    async def read_all(self) -> tuple[Any, list[bytes]]:
        stream = self.transport.stream(REQUEST, Timeouts())
        pieces = []
        try:
            while piece := stream.read():
                pieces.append(piece)
        except TransportFailure as failure:
            pieces.append(failure.kind.encode())
        stream.close()
        assert stream.closed
        return stream.head, pieces


class Async:
    def __init__(self, *answers: Any, **options: Any) -> None:
        self.transport = AsyncReplayTransport(*answers, **options)

    async def send(self) -> HttpResponse:
        return await self.transport.send(REQUEST, Timeouts())

    async def read_all(self) -> tuple[Any, list[bytes]]:
        stream = await self.transport.stream(REQUEST, Timeouts())
        pieces = []
        try:
            while piece := await stream.read():
                pieces.append(piece)
        except TransportFailure as failure:
            pieces.append(failure.kind.encode())
        await stream.aclose()
        assert stream.closed
        return stream.head, pieces


both = pytest.mark.parametrize("kind", [Sync, Async])


@both
def test_answers_are_played_in_order_and_requests_are_kept(kind: Any) -> None:
    async def main() -> None:
        player = kind(WHOLE, CUT, TransportFailure("connect", "nobody", sent=False), WHOLE)
        assert await player.send() == WHOLE
        head, pieces = await player.read_all()
        assert (head.status, pieces) == (200, [b"one", b"two", b"closed"])
        with pytest.raises(TransportFailure, match="nobody"):
            await player.send()
        head, pieces = await player.read_all()
        assert (head.status, head.headers, pieces) == (429, WHOLE.headers, [b"slow down"])
        assert player.transport.requests == [REQUEST] * 4

    run(main())


@both
def test_pieces_can_be_asked_for_whole(kind: Any) -> None:
    async def main() -> None:
        player = kind(Pieces(pieces=(b"one", b"two")), CUT)
        assert (await player.send()).body == b"onetwo"
        with pytest.raises(TransportFailure, match="cut"):
            await player.send()

    run(main())


@both
def test_a_function_may_choose(kind: Any) -> None:
    async def main() -> None:
        player = kind(choose=lambda request: HttpResponse(status=200, body=request.url.encode()))
        assert (await player.send()).body == b"http://h.invalid/"

    run(main())


@both
def test_more_requests_than_answers_is_an_error_that_tells_no_secret(kind: Any) -> None:
    async def main() -> None:
        with pytest.raises(LookupError, match="no answer is left") as caught:
            await kind().send()
        assert "secret" not in str(caught.value)

    run(main())
