"""Samples of what was asked and answered, as it stood on the wire, for whoever has to look into it. Off unless configured.

`wrapped` puts it in front of the routes: a request that is kept gets an exchange that writes down what goes through. Bodies
only, no header: so no credential is in it. A key whose metadata says `request_log: false` is left out. `Keeper` is the seam for
other places than files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from dragoman.core import json
from dragoman.gateway.observing.logs import request_line
from dragoman.gateway.serving import Route

if TYPE_CHECKING:
    from dragoman.gateway.exchange import Exchange, Handler, Headers
    from dragoman.gateway.observing.entries import RequestLogEntry
    from dragoman.gateway.observing.requests import Ended
    from dragoman.gateway.serving import Routes

OPT_OUT = "request_log"
SUFFIX = ".jsonl"


class Keeper(Protocol):
    def keep(self, line: bytes) -> None:
        """One record, JSON without line breaks. Must neither wait nor raise."""


class RequestLog:
    """`share` of all requests are kept; `most` bytes of each body."""

    def __init__(self, keeper: Keeper, *, share: float, most: int, rng: Random | None = None) -> None:
        self._keeper = keeper
        self._share = share
        self._most = most
        self._rng = rng or Random()  # noqa: S311 - a sample, not a secret

    def wrapped(self, routes: Routes) -> dict[tuple[str, bytes], Route]:
        return {key: Route(self._handler(route.handler), route.encode_error) for key, route in routes.items()}

    def __call__(self, ended: Ended) -> None:
        """Told by `requests`, before the last byte has gone: the record is written when that has."""
        exchange: Any = ended.exchange
        if not isinstance(exchange, Kept):  # a face may show governance another one in its place
            exchange = getattr(exchange, "exchange", None)
        if isinstance(exchange, Kept):
            metadata = ended.who.key.metadata if ended.who is not None else {}
            exchange.line = request_line(ended, time.time()) if metadata.get(OPT_OUT) is not False else None
            exchange.tell()

    def _handler(self, handle: Handler) -> Handler:
        def kept(exchange: Exchange) -> Coroutine[Any, Any, None] | None:
            if self._rng.random() >= self._share:
                return handle(exchange)
            watched = Kept(exchange, self._most)
            rest = handle(watched)
            if rest is None:
                watched.when_done(self._write)
                return None
            return self._after(rest, watched)

        return kept

    async def _after(self, rest: Coroutine[Any, Any, None], watched: Kept) -> None:
        try:
            await rest
        finally:
            watched.when_done(self._write)

    def _write(self, watched: Kept) -> None:
        if watched.line is not None:
            request = _shown(watched.exchange.body, self._most)
            response = _shown(bytes(watched.answer), self._most, watched.size)
            self._keeper.keep(json.encode({**watched.line, "request": request, "response": response}))


class Kept:
    """An exchange that remembers what was answered, at most so many bytes of it. All else is the exchange's own."""

    def __init__(self, exchange: Exchange, most: int) -> None:
        self.exchange = exchange
        self.answer = bytearray()
        self.size = 0
        self.line: dict[str, Any] | None = None
        self._most = most
        self._done: Callable[[Kept], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.exchange, name)

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        self._take(body)
        self.exchange.respond(status, headers, body)
        self.tell()

    def write(self, data: bytes) -> None:
        self._take(data)
        self.exchange.write(data)

    def finish(self) -> None:
        self.exchange.finish()
        self.tell()

    def when_done(self, tell: Callable[[Kept], None]) -> None:
        """Told once, when nothing more will be written."""
        self._done = tell
        self.tell()

    def tell(self) -> None:
        over = self.exchange.response_complete or self.exchange.disconnected
        if over and self.line is not None and self._done is not None:
            tell, self._done = self._done, None
            tell(self)

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        room = self._most - len(self.answer)
        if room > 0:
            self.answer += data[:room]


def _shown(data: bytes, most: int, size: int | None = None) -> Any:
    """JSON as it is, other text as text; what was cut says how long it was."""
    size = len(data) if size is None else size
    if size <= most:
        try:
            return json.decode(data) if data else None
        except json.UNREADABLE:
            pass
    text = data[:most].decode("utf-8", "replace")
    return text if size <= most else {"beginning": text, "bytes": size}


class Files:
    """A folder of files of JSON lines. A full one is followed by the next; the oldest go by number and by age."""

    def __init__(self, entry: RequestLogEntry, clock: Callable[[], float] = time.time) -> None:
        self._folder = Path(entry.folder)
        self._limit = int(entry.file_mb * 1024 * 1024)
        self._files = entry.files
        self._seconds = entry.days * 86400
        self._clock = clock
        self._file = -1
        self._size = 0
        self._made = 0

    def keep(self, line: bytes) -> None:
        try:
            if self._file < 0 or self._size + len(line) > self._limit:
                self._turn()
            os.write(self._file, line + b"\n")
        except OSError:  # a full disk costs the sample, never the answer
            return
        self._size += len(line) + 1

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _turn(self) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._made += 1
        name = f"{int(self._clock() * 1000):015d}-{os.getpid()}-{self._made:06d}{SUFFIX}"
        self._file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = 0
        self._sweep()

    def _sweep(self) -> None:
        """A file's name says when it was begun."""
        paths = sorted(self._folder.glob("*" + SUFFIX))
        oldest = (self._clock() - self._seconds) * 1000
        gone = [path for path in paths[:-1] if int(path.name.partition("-")[0]) < oldest]
        for path in {*gone, *paths[: -self._files]}:
            path.unlink(missing_ok=True)
