"""A worker's journal: files of fixed size, mapped into memory. Writing a row is a copy into memory that belongs to the kernel.

So a row costs no system call, and is there after a kill -9 of the worker the moment the copy is done. `sync` brings it to the
disk, for when the machine itself fails. A file goes when the store has every row in it. A live worker holds a lock on its
files, which a kill releases: `abandoned` finds what dead ones left. The disk is reserved before it is needed; when it
is full, new calls are refused until the store has what is in the last file, and those in flight end as usual.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dragoman.core.errors import ServiceUnavailableError
from dragoman.gateway.governance import ledger
from dragoman.gateway.governance.ledger import Row

logger = logging.getLogger("dragoman.gateway")

SEGMENT_BYTES = 16 * 1024 * 1024
SUFFIX = ".journal"


class _Segment:
    """One file. `pending`: ids of rows in it that the store does not have, or that are open."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.pending: set[str] = set()
        self.position = 0
        self.size = size
        new = path.with_suffix(".new")
        self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _reserve(self._file, size)
            self.memory = mmap.mmap(self._file, size)
            new.rename(path)  # locked before it has the name that others look for
        except BaseException:
            os.close(self._file)
            new.unlink(missing_ok=True)
            raise

    def write(self, frame: bytes) -> None:
        end = self.position + len(frame)
        self.memory[self.position : end] = frame
        self.position = end

    def rewind(self) -> None:
        """Begin anew; the store has all that was in it."""
        self.memory[: self.position] = bytes(self.position)
        self.position = 0

    def close(self) -> None:
        self.memory.close()
        os.close(self._file)


class FileJournal:
    """See the module. `worker` is in the names of the files and unique among workers."""

    def __init__(self, folder: Path, worker: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.worker = worker
        self._size = segment_bytes
        self._made = 0
        self._warned = False
        self._next: _Segment | None = None
        self._segments = [self._make()]

    def append(self, row: Row) -> None:
        """Raises ServiceUnavailableError for an open row when the disk is full. A closing row stays in memory then."""
        frame = ledger.frame(row)
        try:
            segment = self._room(len(frame))
        except OSError as problem:
            if row.outcome == ledger.OPEN:
                raise ServiceUnavailableError(
                    "the gateway's journal cannot be written, so it takes no calls", attempts=0
                ) from problem
            logger.error("The journal cannot be written: the row %s is in memory alone until the store has it", row.id)  # noqa: TRY400 - no traceback for each row
            return
        segment.write(frame)
        segment.pending.add(row.id)

    def shipped(self, ids: Iterable[str]) -> None:
        """The store has these rows."""
        gone = set(ids)
        for segment in self._segments:
            segment.pending -= gone
        kept = [segment for segment in self._segments[:-1] if segment.pending]
        for segment in self._segments[:-1]:
            if not segment.pending:
                _remove(segment)
        self._segments = [*kept, self._segments[-1]]

    def prepare(self) -> None:
        """Have the next file ready before it is needed. Called beside the requests."""
        current = self._segments[-1]
        if self._next is None and current.position > current.size // 2:
            try:
                self._next = self._make()
                self._warned = False
            except OSError as problem:
                if not self._warned:
                    logger.warning("The journal's next file cannot be made: %s", problem)
                self._warned = True

    def sync(self) -> None:
        """Bring to the disk what was written. Blocks; call it in a thread."""
        for segment in self._segments[-2:]:
            segment.memory.flush()

    def close(self) -> None:
        """Leave; what is not shipped stays for whoever comes next."""
        for segment in [*self._segments, *([self._next] if self._next else [])]:
            if segment.pending:
                segment.close()
            else:
                _remove(segment)
        self._segments, self._next = [], None

    def _room(self, length: int) -> _Segment:
        current = self._segments[-1]
        if current.position + length <= current.size:
            return current
        if self._next is None and not current.pending:
            current.rewind()  # so it goes on where the disk is full
            return current
        made = self._next or self._make()
        self._next = None
        self._segments.append(made)
        return made

    def _make(self) -> _Segment:
        self._made += 1
        return _Segment(self.folder / f"{self.worker}-{self._made:06d}{SUFFIX}", self._size)


@contextmanager
def abandoned(folder: Path, now: float) -> Iterator[list[Row]]:
    """The rows that dead workers left in this folder. Their files go when the block ends without an error."""
    locked: list[tuple[Path, int]] = []
    try:
        rows: list[Row] = []
        for path in sorted(folder.glob("*" + SUFFIX)):
            file = _lock(path)
            if file is not None:
                locked.append((path, file))
                rows += ledger.frames(path.read_bytes())
        yield ledger.recovered(rows, now)
        for path, _ in locked:
            path.unlink(missing_ok=True)
    finally:
        for _, file in locked:
            os.close(file)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock of the file; None when somebody else does."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def _remove(segment: _Segment) -> None:
    segment.path.unlink(missing_ok=True)
    segment.close()


def _reserve(file: int, size: int) -> None:
    """Take the disk now, so that writing to memory never meets a full one."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:  # macOS
        os.pwrite(file, bytes(size), 0)
