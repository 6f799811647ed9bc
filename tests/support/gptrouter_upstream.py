"""A small real provider of pictures and decisions, for tests that drive the official clients: the demo upstream has neither."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.http_server import running, url_of

PNG = "iVBORw0KGgo="
ANSWERS: dict[str, Any] = {
    "/v1/images/generations": {"created": 1, "data": [{"url": "http://pictures.example/1.png", "revised_prompt": "q"}]},
    "/v1/images/edits": {"created": 1, "data": [{"b64_json": PNG}]},
    "/v1/systemone": {
        "model": "jev-1.13.0",
        "answers": {
            "sure": {"type": "noul", "noul": 0.97},
            "which": {"type": "choice", "choice": "a", "probabilities": {"a": 0.9, "b": 0.1}, "confidence": 0.9},
        },
        "usage": {"input_tokens": 5, "output_tokens": 2},
    },
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(ANSWERS[self.path]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silence: a test's output is its own."""


@contextmanager
def media_upstream() -> Iterator[str]:
    """Its URL, without a path."""
    with running(ThreadingHTTPServer(("127.0.0.1", 0), _Handler)) as server:
        yield url_of(server)
