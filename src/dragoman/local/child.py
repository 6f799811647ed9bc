"""The process that runs one model: `python -m dragoman.local.child`, started by `local.runtime` and by nobody else.

It reads one JSON line (`Settings`) from stdin, serves the OpenAI wire format on a free loopback port, and writes one JSON line
with that port to stdout. It ends when stdin does, or when its parent is gone: however the parent ended, no process is left.
What it serves is in `serve_chat` and `serve_embedding`, of which it imports one.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import threading
from importlib import import_module

import msgspec
from msgspec import Struct

from dragoman.core import json

PARENT_CHECK_SECONDS = 1.0


class Settings(Struct, frozen=True, kw_only=True):
    """What to run. All from `gguf` on is for chat alone; an empty template means the one inside the file.

    `slots`: requests answered at once, each with a context window of its own; the others wait. `small_cache`: attention's
    memory at half the size, which not every model can. `state`: a file to keep the read template in, "" for none.
    """

    operation: str
    name: str
    key: str
    threads: int
    parent: int
    gguf: str = ""
    chat_template: str = ""
    context_window: int = 4096
    slots: int = 2
    small_cache: bool = False
    state: str = ""


def main() -> None:
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
    if sys.platform == "linux":  # where SIGIO ends a process: also one that hangs inside a library
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=_end_with_parent, args=(settings.parent,), daemon=True).start()
    report = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints goes to the log
    server = import_module(f"dragoman.local.serve_{settings.operation}").start(settings)
    os.write(report, json.encode({"port": server.port}) + b"\n")
    os.close(report)
    server.wait()


def _end_with_parent(parent: int) -> None:
    """The parent takes stdin with it, unless a fork of it holds the other end: hence the second look."""
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], PARENT_CHECK_SECONDS)
        if readable and not os.read(0, 1):
            break
    os._exit(0)


if __name__ == "__main__":
    main()
