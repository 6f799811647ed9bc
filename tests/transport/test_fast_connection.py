"""The connection and its streams without a network: a transport that only remembers, bytes cut anywhere, any bytes at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.core.http import Timeouts, TransportFailure
from dragoman.transport.fast_connection import MAX_HEAD, Connection
from dragoman.transport.fast_deadlines import Sweeper
from dragoman.transport.fast_incoming import QUEUE_BOUND, FastStream
from support.upstream import CHUNKED, LAST_CHUNK, OK, chunk, run


class Remembering(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False
        self.reading = True

    def write(self, data: Any) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Owner:
    """Counts what a pool would be told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def opened(self, _: Connection) -> None:
        self.told.append("opened")

    def give_back(self, _: Connection) -> None:
        self.told.append("give_back")

    def unusable(self, _: Connection) -> None:
        self.told.append("unusable")

    def lost(self, _: Connection) -> None:
        self.told.append("lost")


class Heard:
    """A receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.heads: list[tuple[int, Any]] = []
        self.body = b""
        self.ends: list[BaseException | None] = []

    def begin(self, status: int, headers: Any) -> None:
        self.heads.append((status, headers))

    def piece(self, data: bytes) -> None:
        assert not self.ends, "a piece came behind the end"
        self.body += data

    def end(self) -> None:
        self.ends.append(None)

    def fail(self, failure: BaseException) -> None:
        self.ends.append(failure)


def exchange(pieces: Iterable[bytes], *, lost: Exception | None = None) -> tuple[Heard, Owner, Remembering]:
    """Send one request, feed these pieces as long as the connection wants any, then lose it."""
    owner, transport, heard = Owner(), Remembering(), Heard()
    connection = Connection(owner, lambda: 1.0)
    connection.connection_made(transport)
    connection.start(heard, b"POST / HTTP/1.1\r\ncontent-length: ", b"{}")
    for piece in pieces:
        if transport.aborted or heard.ends:
            break
        connection.data_received(piece)
    if not transport.aborted:
        connection.eof_received()
    connection.connection_lost(lost)
    return heard, owner, transport


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]


WHOLE = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nX-A: 1\r\nx-b:  two  \r\ntransfer-encoding: chunked\r\n\r\n"
    + chunk(b"hello ") + chunk(b"world") + b"0\r\nx-trailer: 1\r\n\r\n"
)  # fmt: skip
SEEDS = (OK, WHOLE, CHUNKED + chunk(b"one") + LAST_CHUNK, b"HTTP/1.0 200 OK\r\n\r\nold", b"HTTP/1.1 204 No\r\n\r\n")


@given(places=st.lists(st.integers(0, 1000), max_size=20))
def test_cuts_make_no_difference(places: list[int]) -> None:
    heard, owner, _ = exchange(cut(WHOLE, places))
    assert heard.heads == [(201, (("x-a", "1"), ("x-b", "two"), ("transfer-encoding", "chunked")))]
    assert (heard.body, heard.ends) == (b"hello world", [None])
    assert owner.told == ["opened", "give_back", "unusable", "lost"]


def test_byte_by_byte() -> None:
    heard, _, _ = exchange([WHOLE[at : at + 1] for at in range(len(WHOLE))])
    assert (heard.body, heard.ends) == (b"hello world", [None])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good answer with some of it replaced, removed, repeated or made up."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        filling = draw(st.one_of(st.binary(max_size=12), st.just(data[start:end] * 2), st.sampled_from(SEEDS)))
        data = data[:start] + filling + data[end:]
    return data


@settings(max_examples=600)
@given(
    data=st.one_of(mutated(), st.binary(max_size=200)),
    places=st.lists(st.integers(0, 1000), max_size=8),
    lost=st.sampled_from([None, ConnectionResetError("reset")]),
)
def test_whatever_comes_the_exchange_ends_once_and_in_no_other_way_than_it_may(
    data: bytes, places: list[int], lost: Exception | None
) -> None:
    heard, owner, transport = exchange(cut(data, places), lost=lost)
    assert len(heard.ends) == 1
    [end] = heard.ends
    if end is not None:
        assert isinstance(end, TransportFailure)
        assert end.kind in ("closed", "protocol", "too_large")
    else:
        assert len(heard.heads) == 1
        assert heard.heads[0][0] >= 200
    assert owner.told.count("lost") == owner.told.count("unusable") == 1
    assert owner.told.count("give_back") <= 1
    assert not (transport.aborted and "give_back" in owner.told)


@given(size=st.integers(1, MAX_HEAD * 2))
def test_a_head_without_an_end_is_given_up_in_bounded_memory(size: int) -> None:
    data = b"HTTP/1.1 200 OK\r\nx: " + b"a" * size
    heard, _, _ = exchange(cut(data, range(0, len(data), 1000)))
    [end] = heard.ends
    assert isinstance(end, TransportFailure)
    assert end.kind == ("too_large" if len(data) > MAX_HEAD else "closed")


def test_large_bodies_are_not_copied_and_small_ones_go_out_with_their_head() -> None:
    for size in (0, 10, 1_000_000):
        transport = Remembering()
        connection = Connection(Owner(), lambda: 1.0)
        connection.connection_made(transport)
        connection.start(Heard(), b"POST / HTTP/1.1\r\ncontent-length: ", b"x" * size)
        assert transport.written == b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size


class Streamed:
    """A FastStream on a connection without a network; `now` is the clock."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.now = 100.0
        self.transport = Remembering()
        self.connection = Connection(Owner(), lambda: self.now)
        self.connection.connection_made(self.transport)
        self.sweeper = Sweeper(asyncio.get_running_loop())
        self.stream = FastStream(timeouts, self.sweeper, 2**26)
        self.stream.send(self.connection, b"POST / HTTP/1.1\r\ncontent-length: ", b"", self.now, self.now)

    def look(self) -> None:
        """As the sweeper does."""
        if self.stream.due <= self.now:
            self.stream.overdue(self.now)


def test_reading_from_upstream_stops_over_the_bound_and_goes_on_below_it() -> None:
    async def main() -> None:
        case = Streamed(Timeouts())
        case.connection.data_received(CHUNKED)
        piece = bytes(16 * 1024)
        sent = 0
        while case.transport.reading:
            case.connection.data_received(chunk(piece))
            sent += len(piece)
        assert QUEUE_BOUND < sent <= QUEUE_BOUND + len(piece)
        reads = 0
        while not case.transport.reading:
            assert await case.stream.read() == piece
            reads += 1
        assert 1 < reads < sent // len(piece)
        case.sweeper.stop()

    run(main())


@pytest.mark.parametrize("first", [Timeouts(idle=10), Timeouts(first_token=1, idle=10), Timeouts(first_token=None, idle=10)])
def test_the_idle_deadline_counts_from_the_last_piece(first: Timeouts) -> None:
    async def main() -> None:
        case = Streamed(first)
        case.connection.data_received(CHUNKED + chunk(b"one"))
        for _ in range(5):
            case.now += 9
            case.look()
            case.connection.data_received(chunk(b"more"))
        case.now += 9.9
        case.look()
        assert not case.transport.aborted
        case.now += 0.1
        case.look()
        assert case.transport.aborted
        case.sweeper.stop()

    run(main())


def test_time_in_which_we_do_not_read_is_not_idle_but_counts_as_total() -> None:
    async def main() -> None:
        case = Streamed(Timeouts(idle=10, total=1000))
        case.connection.data_received(CHUNKED + chunk(b"one"))
        case.stream.pause()
        assert not case.transport.reading
        for _ in range(50):
            case.now += 10
            case.look()
        case.stream.resume()
        assert case.transport.reading
        case.now += 9
        case.look()
        assert not case.transport.aborted
        case.stream.pause()
        case.now = 1100.0
        case.look()
        assert case.transport.aborted
        assert await case.stream.read() == b"one"
        with pytest.raises(TransportFailure) as caught:
            await case.stream.read()
        assert caught.value.kind == "total"
        case.sweeper.stop()

    run(main())


def test_a_connection_that_was_paused_at_the_end_reads_again_for_the_next_request() -> None:
    async def main() -> None:
        case = Streamed(Timeouts())
        case.connection.data_received(CHUNKED)
        relaying = asyncio.create_task(case.stream.relay(lambda _: case.stream.pause()))
        await asyncio.sleep(0)
        case.connection.data_received(chunk(b"one") + LAST_CHUNK)
        await relaying
        assert case.transport.reading
        case.sweeper.stop()

    run(main())
