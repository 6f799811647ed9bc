"""Memory, disk and Redis keep the same promises; each has its own bound, and its own way to fail."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dragoman.caching.disk import DiskStore
from dragoman.caching.memory import OVERHEAD, MemoryStore
from dragoman.caching.redis import PREFIX, Breaker, RedisStore
from dragoman.caching.store import MOST_WAITING, Found, SlowStore, Store, Waiting
from dragoman.core.errors import ConfigurationError
from support.valkey import OwnValkey

LARGE = 1 << 26


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "disk", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    made: dict[str, Callable[[], Store]] = {
        "memory": lambda: MemoryStore(max_bytes=LARGE, clock=clock),
        "disk": lambda: DiskStore(tmp_path / "in" / "a.sqlite", max_bytes=LARGE, clock=clock),
        "redis": lambda: RedisStore(request.getfixturevalue("valkey"), clock=clock),
    }
    with closing(made[request.param]()) as opened:
        opened.clear()
        yield opened


def flush(store: Store) -> None:
    if isinstance(store, SlowStore):
        store.flush()


@pytest.mark.parametrize("written", [False, True], ids=["on its way", "written"])
def test_what_is_kept_is_found(store: Store, written: bool) -> None:
    store.write({"a": b"1", "b": b"\x00\xff"}, None)
    if written:
        flush(store)
    assert store.read(["b", "x", "a", "a"]) == [b"\x00\xff", None, b"1", b"1"]
    assert asyncio.run(store.aread(["a", "x"])) == [b"1", None]


def test_the_last_one_counts(store: Store) -> None:
    for value in (b"1", b"2"):
        store.write({"a": value}, 60)
        flush(store)
    assert store.read(["a"]) == [b"2"]


def test_clear_forgets(store: Store) -> None:
    store.write({"a": b"1"}, 60)
    store.clear()
    assert store.read(["a"]) == [None]


def test_many_keys_at_once(store: Store) -> None:
    entries = {f"k{number}": b"%d" % number for number in range(900)}
    store.write(entries, 60)
    flush(store)
    assert store.read([*entries, "x"]) == [*entries.values(), None]


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_an_entry_ends_with_its_time(kind: str, tmp_path: Path, clock: Clock) -> None:
    store = MemoryStore(max_bytes=LARGE, clock=clock)
    if kind == "disk":
        store = DiskStore(tmp_path / "a", max_bytes=LARGE, clock=clock)  # type: ignore[assignment]
    with closing(store):
        store.write({"a": b"1"}, 60)
        flush(store)
        clock.now += 59
        assert store.read(["a"]) == [b"1"]
        clock.now += 1
        assert store.read(["a"]) == [None]


def test_redis_is_told_the_time(valkey: str) -> None:
    import redis

    with closing(RedisStore(valkey)) as store, closing(redis.Redis.from_url(valkey)) as client:
        store.write({"timed": b"1"}, 60)
        store.write({"untimed": b"1"}, None)
        store.flush()
        assert 50_000 < client.pttl(f"{PREFIX}timed") <= 60_000
        assert client.pttl(f"{PREFIX}untimed") == -1


# ---------------------------------------------------------------------------------------------------------------- memory
def test_memory_forgets_what_was_not_used_for_the_longest_time() -> None:
    store = MemoryStore(max_bytes=3 * (OVERHEAD + 10))
    for key in "abc":
        store.write({key: bytes(10)}, None)
    store.read(["a"])
    store.write({"d": bytes(10)}, None)
    assert [found is not None for found in store.read(["a", "b", "c", "d"])] == [True, False, True, True]
    assert store.size <= 3 * (OVERHEAD + 10)


def test_what_is_larger_than_memory_is_not_kept_and_drives_nobody_out() -> None:
    store = MemoryStore(max_bytes=OVERHEAD + 10)
    store.write({"a": bytes(10)}, None)
    store.write({"b": bytes(11)}, None)
    assert (len(store), store.read(["b"])) == (1, [None])


# ------------------------------------------------------------------------------------------------------------------ disk
def test_the_file_is_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    path, most = tmp_path / "a", 1 << 20
    with closing(DiskStore(path, max_bytes=most)) as store:
        for number in range(40):
            store.write({f"k{number}": bytes(100_000)}, None)
            store.flush()
        found = [value is not None for value in store.read([f"k{number}" for number in range(40)])]
    assert found[-1]
    assert found == sorted(found)
    assert path.stat().st_size < 2 * most


def test_what_has_expired_makes_room_first(tmp_path: Path, clock: Clock) -> None:
    with closing(DiskStore(tmp_path / "a", max_bytes=1 << 20, clock=clock)) as store:
        store.write({"old": b"1"}, None)
        store.write({f"short{number}": bytes(100_000) for number in range(9)}, 5)
        store.flush()
        clock.now += 10
        store.write({f"new{number}": bytes(100_000) for number in range(5)}, None)
        store.flush()
        assert store.read(["old"]) == [b"1"]


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    with closing(DiskStore(tmp_path / "a", max_bytes=LARGE)) as store:
        store.write({"a": b"1"}, None)
        store.flush()
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}


def write_some(path: Path, name: str) -> None:
    with closing(DiskStore(path, max_bytes=LARGE)) as store:
        for number in range(50):
            store.write({f"{name}{number}": name.encode()}, None)
            store.flush()


def test_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=write_some, args=(path, name)) for name in "xy"]
    for other in others:
        other.start()
    write_some(path, "z")
    for other in others:
        other.join()
    with closing(DiskStore(path, max_bytes=LARGE)) as store:
        keys = [f"{name}{number}" for name in "xyz" for number in range(50)]
        assert store.read(keys) == [key[0].encode() for key in keys]


def test_what_waited_is_written_before_the_end(tmp_path: Path) -> None:
    with closing(DiskStore(tmp_path / "a", max_bytes=LARGE)) as store:
        store.write({"a": b"1"}, None)
    with closing(DiskStore(tmp_path / "a", max_bytes=LARGE)) as store:
        assert store.read(["a"]) == [b"1"]


@pytest.mark.parametrize("content", [b"this is no database" * 100, None], ids=["another file", "a folder"])
def test_a_file_that_is_none_is_told_at_once(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"cache: .*a cannot be used: .*; name another file"):
        DiskStore(path, max_bytes=LARGE)


def test_a_file_that_breaks_later_is_a_miss_and_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(DiskStore(tmp_path / "a", max_bytes=LARGE)) as store:
        with closing(sqlite3.connect(tmp_path / "a")) as other:
            other.execute("DROP TABLE answers")
        store.write({"a": b"1"}, None)
        store.flush()
        assert store.read(["a"]) == [None]
        store.clear()
    assert "cannot be read" in caplog.text
    assert "cannot be written" in caplog.text
    assert "cannot be cleared" in caplog.text


# ----------------------------------------------------------------------------------------------------------------- redis
def test_a_redis_that_is_away_is_a_miss_told_once_and_asked_again_later(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with closing(OwnValkey()) as server, closing(RedisStore(server.url, clock=clock)) as store:
        store.write({"a": b"1"}, None)
        store.flush()
        server.stop()
        for _ in range(5):
            assert store.read(["a"]) == [None]
            store.write({"b": b"2"}, None)
            store.flush()
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        server.start()
        store.write({"c": b"3"}, None)
        store.flush()
        assert store.read(["c"]) == [None]  # nobody asks yet
        clock.now += 1
        store.write({"c": b"3"}, None)
        store.flush()
        assert store.read(["c"]) == [b"3"]
        assert "is back" in caplog.messages[-1]


def test_a_breaker_waits_longer_each_time_and_lets_one_ask(clock: Clock) -> None:
    breaker = Breaker("x", clock)
    waits = []
    for _ in range(8):
        assert breaker.closed()
        breaker.failed(OSError())
        start = clock.now
        while not breaker.closed():
            clock.now += 0.5
        waits.append(clock.now - start)
        assert not breaker.closed()  # the one that asks has not come back
        clock.now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_of_many_that_find_it_back_one_says_so(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("x", clock)
    breaker.failed(OSError())
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: breaker.worked(), range(200)))
    assert [record.getMessage() for record in caplog.records if "is back" in record.getMessage()] == ["The cache at x is back"]
    assert breaker.closed()


@pytest.mark.parametrize("url", ["http://x", "nonsense", "redis://:hunter22/not-encoded@host:6379/0"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no address of Redis; expected redis://") as raised:
        RedisStore(url)
    assert "hunter22" not in str(raised.value)


def test_no_password_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with closing(RedisStore("redis://user:hunter22@127.0.0.1:1/0")) as store:
        assert store.read(["a"]) == [None]
    assert "127.0.0.1:1" in caplog.text
    assert "hunter22" not in caplog.text


# ------------------------------------------------------------------------------------------------------------ slow stores
class Stuck(SlowStore):
    """Writes when it is let."""

    def __init__(self) -> None:
        import threading

        super().__init__()
        self.gate, self.begun = threading.Event(), threading.Event()
        self.saved: dict[str, Any] = {}

    def fetch(self, keys: Any) -> Found:
        return [self.saved.get(key, (None,))[0] for key in keys]

    def save(self, entries: Waiting) -> None:
        self.begun.set()
        self.gate.wait()
        self.saved.update(entries)

    def clear(self) -> None:
        self.saved.clear()


def test_what_is_on_its_way_is_read_from_there_and_bounded() -> None:
    large = bytes(MOST_WAITING // 2)
    with closing(Stuck()) as store:
        store.write({"first": b"1"}, None)
        store.begun.wait()
        for key in ("a", "b", "c"):
            store.write({key: large}, None)
        assert [value is not None for value in store.read(["first", "a", "b", "c"])] == [True, True, True, False]
        store.gate.set()
        store.flush()
        assert set(store.saved) == {"first", "a", "b"}
        store.write({"c": large}, None)
        store.flush()
        assert store.read(["c"]) == [large]


class Failing(Stuck):
    def save(self, entries: Waiting) -> None:
        if "bad" in entries:
            raise MemoryError
        super().save(entries)


def test_a_surprise_while_writing_is_logged_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with closing(Failing()) as store:
        store.gate.set()
        for key in ("bad", "good"):
            store.write({key: b"1"}, None)
            store.flush()
        assert store.read(["bad", "good"]) == [None, b"1"]
    assert "could not keep 1 answers" in caplog.text


def test_nothing_is_kept_after_the_end() -> None:
    store = Stuck()
    store.gate.set()
    store.close()
    store.write({"a": b"1"}, None)
    assert store.read(["a"]) == [None]
