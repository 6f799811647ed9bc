"""How the workers of a machine know each other's numbers: each leaves its own in a file of a common folder, once a second.

Whoever is asked for /metrics adds them up. A worker that has ended still counts, but nothing is in flight there. Files are
replaced whole, so a reader never sees half of one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from dragoman.gateway.observing.series import Tables

VARIABLE = "DRAGOMAN_METRICS_FOLDER"
SUFFIX = ".metrics"


class _Left(msgspec.Struct):
    """What stands in a file."""

    pid: int
    counted: Tables
    current: Tables


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
        new = self._own.with_suffix(".new")
        new.write_bytes(_encode(_Left(self._pid, counted, current)))
        new.replace(self._own)

    def others(self) -> list[Tables]:
        """The numbers of all other workers, dead or alive."""
        found: list[Tables] = []
        for path in sorted(self._folder.glob("*" + SUFFIX)):
            if path == self._own:
                continue
            try:
                left = _decode(path.read_bytes())
            except (OSError, msgspec.DecodeError):
                continue  # it is of another version, or just gone
            found.append(left.counted)
            if _alive(left.pid):
                found.append(left.current)
        return found


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
