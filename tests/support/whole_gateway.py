"""A gateway without sockets: its route table asked with an exchange that keeps what it is told, over a replayed provider."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.engine.call import Call
from dragoman.gateway import serving
from dragoman.gateway.app import Gateway, assemble
from dragoman.gateway.config import read
from dragoman.gateway.exchange_base import BaseExchange
from dragoman.transport.replay import AsyncReplayTransport, Pieces

JSON = (("content-type", "application/json"),)


class KeptExchange(BaseExchange):
    """`status`, `head` and `answer` are what a client would get; `pieces` are its writes."""

    def __init__(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.method = method
        self.path, _, self.query = path.encode().partition(b"?")
        self.headers = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        self.body = body
        self.client = "203.0.113.9:5000"
        self.status = 0
        self.head: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.aborted = False
        self.over = asyncio.Event()

    def under_pressure(self) -> bool:
        return False

    def respond(self, status: int, headers: Any, body: bytes) -> None:
        self.start(status, headers)
        self.write(body)
        self.finish()

    def start(self, status: int, headers: Any) -> None:
        assert not self.response_started, "answered twice"
        self.status = status
        self.head = {name.decode(): value.decode("latin-1") for name, value in headers}
        self.response_started = True

    def write(self, data: bytes) -> None:
        assert self.response_started, "written before its head"
        assert not self.response_complete, "written after its end"
        self.pieces.append(bytes(data))

    async def drain(self) -> None:
        return

    def finish(self) -> None:
        self.response_complete = True
        self.over.set()

    def abort(self) -> None:
        self.response_complete = self.aborted = True
        self.over.set()

    @property
    def answer(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def text(self) -> str:
        return self.answer.decode()

    @property
    def value(self) -> Any:
        return json.loads(self.answer)


class WholeGateway:
    """`upstream` holds the requests that the provider got; `ended` the calls that settled."""

    def __init__(self, config: str, *answers: HttpResponse | Pieces, choose: Any = None, file: str = "dragoman.yaml") -> None:
        self.upstream = AsyncReplayTransport(*answers, choose=choose)
        settings, policy = read(
            config, file=file, env={"OPENAI_API_KEY": "sk-upstream", "ANTHROPIC_API_KEY": "sk-ant-upstream"}
        )
        self.gateway: Gateway = assemble(settings, policy, self.upstream)
        self.table = serving.RouteTable(self.gateway.routes)
        self.ended: list[Call] = []

    @property
    def asked(self) -> list[HttpRequest]:
        return self.upstream.requests

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> KeptExchange:
        """`body` is JSON, or bytes that need not be."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        exchange = KeptExchange(method, path, data, {"content-type": "application/json", **names})
        route = self.table.find(method.encode(), exchange.path)
        assert route is not None, f"nothing is at {method} {path}"
        rest = serving.begin(route, exchange)
        if rest is not None:
            await rest
        await exchange.over.wait()
        return exchange

    async def chat(self, text: str, path: str = "/v1/chat/completions", **more: Any) -> KeptExchange:
        headers = more.pop("headers", {})
        return await self.ask(
            "POST", path, {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": text}], **more}, **headers
        )


def openai_answer(text: str, **choice: Any) -> HttpResponse:
    message = {"role": "assistant", "content": text, **choice}
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
    return HttpResponse(status=200, headers=JSON, body=json.dumps(body).encode())


def openai_stream(*texts: str, broken: bool = False) -> Pieces:
    """A stream of these deltas; `broken`: it just ends."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": text} for text in texts)]
    chunks = [_chunk({"index": 0, "delta": delta, "finish_reason": None}) for delta in deltas]
    if not broken:
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        chunks += [_chunk({"index": 0, "delta": {}, "finish_reason": "stop"}), _chunk(None, usage=usage), b"data: [DONE]\n\n"]
    return Pieces(pieces=tuple(chunks))


def _chunk(choice: Any, **more: Any) -> bytes:
    choices = [] if choice is None else [choice]
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x", "choices": choices, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def said(stream: KeptExchange) -> str:
    """The text of a stream of OpenAI's chunks."""
    lines = [line.removeprefix("data: ") for line in stream.text.splitlines() if line.startswith("data: ")]
    chunks = [json.loads(line) for line in lines if line != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))
