"""How the workers of a machine know each other's numbers: each leaves its own in a file of a common folder, once a second.

Whoever is asked for /metrics adds them up. A worker that has ended still counts, but nothing is in flight there; its numbers
are put into one file with those of all that ended before it, by whoever finds them first. Files are replaced whole, so a reader
never sees half of one, and a lock keeps readers from seeing a worker twice, or not at all, while that happens.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from dragoman.gateway.observing.series import Tables, added

VARIABLE = "DRAGOMAN_METRICS_FOLDER"
SUFFIX = ".metrics"
ENDED = "ended" + SUFFIX
"""Where the numbers of all workers are that have ended. No process has its name."""
LOCK = "lock"
SILENT = 60.0
"""Seconds without a word after which a worker whose process is not to be found has ended: it may be in another container."""


class _Left(msgspec.Struct):
    """What stands in a file. `merged`: the files whose numbers are in it, as far as they may still be there."""

    pid: int
    counted: Tables
    current: Tables
    merged: tuple[str, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Left).decode


class WorkerFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pid = os.getpid()
        self._own = folder / f"{self._pid}-{secrets.token_hex(4)}{SUFFIX}"

    def leave(self, counted: Tables, current: Tables) -> None:
        """Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        _write(self._own, _Left(self._pid, counted, current))

    def others(self) -> list[Tables]:
        """The numbers of all other workers, dead or alive."""
        with self._locked(fcntl.LOCK_SH):
            files = self._read()
        merged = files[ENDED].merged if ENDED in files else ()
        found: list[Tables] = []
        for name, left in files.items():
            if name not in merged:
                found.append(left.counted)
                if name != ENDED and _alive(left.pid):
                    found.append(left.current)
        return found

    def merge(self, now: float) -> None:
        """Put the numbers of those that have ended into one file. `now`: Unix seconds. Raises OSError.

        After a kill in the middle the files that are left are known to be merged.
        """
        with self._locked(fcntl.LOCK_EX):
            files = self._read()
            gone = [name for name, left in files.items() if name != ENDED and self._ended(name, left, now)]
            if not gone:
                return
            ended = files.get(ENDED) or _Left(0, {}, {})
            new = [files[name].counted for name in gone if name not in ended.merged]
            _write(self._folder / ENDED, _Left(0, added([ended.counted, *new]), {}, tuple(gone)))
            for name in gone:
                (self._folder / name).unlink()
                _new(self._folder / name).unlink(missing_ok=True)

    def _ended(self, name: str, left: _Left, now: float) -> bool:
        return not _alive(left.pid) and now - (self._folder / name).stat().st_mtime > SILENT

    def _read(self) -> dict[str, _Left]:
        """What the others have left, by name."""
        found: dict[str, _Left] = {}
        for path in sorted(self._folder.glob("*" + SUFFIX)):
            if path != self._own:
                with suppress(OSError, msgspec.DecodeError):  # it is of another version, or just gone
                    found[path.name] = _decode(path.read_bytes())
        return found

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """For the few milliseconds of reading or merging. Where nothing can be written nobody merges."""
        try:
            held = (self._folder / LOCK).open("ab")
        except OSError:
            yield
            return
        with held:
            fcntl.flock(held, how)
            yield


def _write(path: Path, left: _Left) -> None:
    new = _new(path)
    new.write_bytes(_encode(left))
    new.replace(path)


def _new(path: Path) -> Path:
    return path.with_suffix(".new")


def folder(configured: str | None, env: Mapping[str, str]) -> Path | None:
    """Where the files are; None where there are no other workers."""
    chosen = configured or env.get(VARIABLE)
    return Path(chosen) if chosen else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
