"""A small real HTTP server that speaks GPTRouter's API in the shapes of its contract, for tests of its client class.

    with gptrouter_server() as server: GPTRouter(gpt_router_api_base=server.url, gpt_router_api_key=server.key, ...)

It answers by the rules of `support.langchain`; `script` may answer otherwise. `requests` keeps what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dragoman.dialects import registry
from support.http_server import running
from support.langchain import fault, respond

KEY = "secret-of-the-gateway"
Script = Callable[[dict[str, Any]], tuple[int, bytes, str]]
"""Request body -> status, body, content type."""


class GPTRouterServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = KEY
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.script: Script = answers


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: GPTRouterServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
        if self.path != "/api/v1/generate":
            return self._say(404, json.dumps({"message": f"Route POST:{self.path} not found"}).encode())
        if self.headers["ws-secret"] != KEY:
            return self._say(401, b'{"message":"Unauthorized"}')
        return self._say(*self.server.script(body))

    def _say(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silence: a test's output is its own."""


@contextmanager
def gptrouter_server() -> Iterator[GPTRouterServer]:
    with running(GPTRouterServer()) as server:
        yield server


# ----------------------------------------------------------------------------------------------------------------- answers
def answers(body: dict[str, Any]) -> tuple[int, bytes, str]:
    """The first candidate answers."""
    first = min(body["data"], key=lambda one: one["order"])
    asked = {"model": first["modelName"], **first["promptParams"]}
    request = registry.get("openai_chat").decode_request(json.dumps(asked).encode())
    problem = fault(request)
    if problem:
        return 400, json.dumps({"message": problem, "error": {"type": "invalid_request_error"}}).encode(), "application/json"
    whole = json.loads(registry.get("openai_chat").encode_response(respond(request), now=1))
    return (200, *(_stream(whole, first) if body["stream"] else _whole(whole)))


def _whole(answer: dict[str, Any]) -> tuple[bytes, str]:
    choice = answer["choices"][0]
    calls = {"tool_calls": choice["message"]["tool_calls"]} if choice["message"].get("tool_calls") else {}
    text = choice["message"]["content"] or ""
    said = {"index": 0, "text": text, "finish_reason": choice["finish_reason"], "role": "assistant"} | calls
    meta = {"usage": answer["usage"], **{key: value for key, value in answer["usage"].items() if type(value) is int}}
    ids = {"providerId": "7a6e4c1b-0000-4000-8000-000000000001", "modelId": "68ad5e8f-0000-4000-8000-000000000002"}
    body = {"id": answer["id"], "model": answer["model"], "choices": [said], "meta": meta, **ids}
    return json.dumps(body).encode(), "application/json"


def _stream(answer: dict[str, Any], first: dict[str, Any]) -> tuple[bytes, str]:
    choice = answer["choices"][0]
    text = choice["message"]["content"] or ""
    updates = [{"text": piece, "finish_reason": None} for piece in pieces(text)]
    calls = [{"index": index, **call} for index, call in enumerate(choice["message"].get("tool_calls") or ())]
    if calls:
        updates.append({"text": "", "finish_reason": None, "tool_calls": calls})
    updates.append({"text": "", "finish_reason": choice["finish_reason"]})
    events: list[dict[str, Any]] = [{"id": answer["id"], "event": "update", "data": data} for data in updates]
    events.append({"event": "meta", "data": {"text": text, "model": first["modelName"], "usage": answer["usage"]}})
    events.append({"event": "generation_source", "data": {"modelId": "m-1", "providerId": "p-1"}})
    events.append({"event": "end", "data": "end"})
    return transcript(*events), "text/event-stream; charset=utf-8"


def transcript(*events: dict[str, Any]) -> bytes:
    """The events on the wire, with the retry line before them and the plugin's trailer behind."""
    lines = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    return b"retry: 3000\n\n" + lines + b"event: end\ndata: Stream closed\n\n"


def pieces(text: str, size: int = 7) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]
