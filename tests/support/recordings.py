"""The recorded provider traffic, if it lies beside the checkout; a stranger's clone has none and runs the golden cases alone.

`exchanges(kind=..., provider=...)` gives the recordings to parametrise over. `DRAGOMAN_RECORDINGS` names another folder.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "recordings"
FOLDER = Path(os.environ.get("DRAGOMAN_RECORDINGS", _BESIDE))


@dataclass(frozen=True)
class Entry:
    """One line of the index; `load` reads the exchange itself."""

    id: str
    provider: str
    kind: tuple[str, ...]
    status: int
    path: str

    @property
    def streaming(self) -> bool:
        return "streaming" in self.kind

    def load(self) -> Exchange:
        return Exchange(json.loads((FOLDER / self.path).read_text()))


class Exchange:
    """A recorded request and response. `request_json` is None where the body is no JSON or was not recorded."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.id: str = data["id"]
        self.status: int = data["response"]["status"]
        self.headers: dict[str, str] = data["response"]["headers"]

    @property
    def request_json(self) -> Any:
        request = self.data["request"]
        return request["body"] if request["recorded"] and request["body_encoding"] == "json" else None

    @property
    def response_json(self) -> Any:
        response = self.data["response"]
        return response["body"] if response["body_encoding"] == "json" else None

    @property
    def response_bytes(self) -> bytes:
        return body_bytes(self.data["response"])


def body_bytes(part: dict[str, Any]) -> bytes:
    encoders = {
        "none": lambda _: b"",
        "json": lambda body: json.dumps(body, ensure_ascii=False).encode(),
        "text": str.encode,
        "base64": base64.b64decode,
    }
    return encoders[part["body_encoding"]](part["body"])


@cache
def _index() -> tuple[Entry, ...]:
    index = FOLDER / "index.jsonl"
    if not index.exists():
        return ()
    rows = (json.loads(line) for line in index.read_text().splitlines())
    return tuple(Entry(row["id"], row["provider"], tuple(row["kind"]), row["status"], row["path"]) for row in rows)


def everything() -> tuple[Entry, ...]:
    """All recordings. Empty when there are none."""
    return _index()


def exchanges(kind: str, *, provider: str | None = None, streaming: bool | None = None, ok: bool | None = None) -> list[Entry]:
    """Recordings of an endpoint (`chat`, `messages`, `embeddings`...), filtered. Empty when there are no recordings."""
    return [
        entry
        for entry in _index()
        if entry.kind[0] == kind
        and (provider is None or entry.provider == provider)
        and (streaming is None or entry.streaming == streaming)
        and (ok is None or (entry.status == 200) == ok)
    ]
