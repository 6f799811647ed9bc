"""Chat in the child process: the HTTP server inside the runtime library, told what to run. Called by `local.child`.

The template's example turns are the same in every prompt, and reading them takes a second, so their state is kept in a
file: a later start loads it in a millisecond. Without that file everything works, only the first answer comes later.
"""

from __future__ import annotations

import os
import threading
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import xllamacpp

from dragoman.core import json

if TYPE_CHECKING:
    from dragoman.local.child import Settings  # it runs as __main__: imported, it would be a second module


class ChatServer:
    """It runs, on threads of its own, as long as somebody refers to it."""

    def __init__(self, server: Any, port: int) -> None:
        self._server = server
        self.port = port

    def wait(self) -> None:
        """For ever: the child's watcher ends the process."""
        threading.Event().wait()


def start(settings: Settings) -> ChatServer:
    state = Path(settings.state) if settings.state else None
    server = xllamacpp.Server(_parameters(settings, state))
    port = urlsplit(server.listening_address).port
    if port is None:
        raise SystemExit("the runtime did not begin to listen")
    if state is not None:
        _warm(_Own(port, settings.key), state, settings.slots)
    return ChatServer(server, port)


def _parameters(settings: Settings, state: Path | None) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = settings.gguf
    params.model_alias = {settings.name}
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [settings.key]
    params.chat_template = settings.chat_template
    params.n_parallel = settings.slots
    params.n_ctx = settings.slots * settings.context_window
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
    params.cache_ram_mib = 0  # else it keeps up to 8 GB of old prompts
    params.warmup = params.ui = params.endpoint_slots = False
    params.verbosity = 1
    if settings.small_cache:
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
    if state is not None:
        params.slot_save_path = f"{state.parent}/"
    return params


class _Own:
    """The server just started, as its first client."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port)
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    def post(self, path: str, **body: Any) -> bool:
        """Whether it was done."""
        self._connection.request("POST", path, json.encode(body), self._headers)
        response = self._connection.getresponse()
        response.read()
        return response.status == 200


def _warm(own: _Own, state: Path, slots: int) -> None:
    """The template's beginning into every slot: from the file, else read once and written there whole."""
    if not (state.is_file() and own.post("/slots/0?action=restore", filename=state.name)):
        half = state.with_name(f"{state.name}.{os.getpid()}")
        beginning = [{"role": "user", "content": ""}]
        own.post("/v1/chat/completions", messages=beginning, max_tokens=1, id_slot=0)
        if not own.post("/slots/0?action=save", filename=half.name):
            return
        half.replace(state)
    for slot in range(1, slots):
        own.post(f"/slots/{slot}?action=restore", filename=state.name)
