"""Calls and flows without I/O: a call to an invented provider, and a flow run by hand on scripted outcomes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from random import Random
from typing import Any

from dragoman.core.http import Headers, HttpResponse, ResponseHead
from dragoman.engine.call import Call, CallOptions, Settlement
from dragoman.engine.steps import Close, Open, Read, Send, Sleep
from dragoman.providers.base import Provider, Quirks, Target
from dragoman.router.deployment import Deployment
from dragoman.router.retry import RetryPolicy

KEY = "sk-secret-of-the-test"
JSON: Headers = (("content-type", "application/json"),)
EVENTS: Headers = (("content-type", "text/event-stream"),)
HELLO = [{"role": "user", "content": "hello"}]


def deployment(name: str = "acme", dialect: str = "openai_chat", **row: Any) -> Deployment:
    row = {"base_url": f"https://api.{name}.test/v1", "dialects": {"chat": dialect}, "quirks": Quirks(), **row}
    provider = Provider(name=name, **row)
    return Deployment(Target(provider=provider, model="m-1", base_url=provider.base_url or "", api_key=KEY))


def make_call(
    *places: Deployment,
    body: dict[str, Any] | bytes | None = None,
    dialect: str = "openai_chat",
    operation: str = "chat",
    stream: bool = False,
    retries: int = 2,
    settled: list[Settlement] | None = None,
    **options: Any,
) -> Call:
    """`settled` collects every settlement that an observer sees."""
    fields = {"model": "asked", "messages": HELLO} if body is None else body
    if isinstance(fields, dict) and stream:
        fields = fields | {"stream": True}
    record = [] if settled is None else settled
    return Call(
        operation=operation,
        dialect=dialect,
        model="asked",
        body=fields if isinstance(fields, bytes) else json.dumps(fields).encode(),
        deployments=places or (deployment(),),
        stream=stream,
        options=CallOptions(**({"retry": RetryPolicy(max_retries=retries)} | options)),
        rng=Random(7),
        observers=(lambda call: record.append(call.settlement),),
    )


class FakeStream:
    """What a transport would give for `Open`. A piece that is an exception is what that read fails with."""

    def __init__(self, *pieces: bytes | BaseException, status: int = 200, headers: Headers = EVENTS) -> None:
        self.head = ResponseHead(status=status, headers=headers)
        self.closed = 0
        self._pieces = iter(pieces)

    def take(self) -> bytes:
        piece = next(self._pieces, b"")
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def read(self) -> bytes:
        return self.take()

    def close(self) -> None:
        self.closed += 1


class AsyncFakeStream(FakeStream):
    async def read(self) -> bytes:
        return self.take()

    async def aclose(self) -> None:
        self.close()


class Played:
    """What a flow did: the `steps` it asked for, `sleeps` in seconds, and its `result` or `error`."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.result: Any = None
        self.error: Any = None

    @property
    def names(self) -> str:
        return " ".join(type(step).__name__ for step in self.steps)

    @property
    def sleeps(self) -> list[float]:
        return [step.seconds for step in self.steps if isinstance(step, Sleep)]

    @property
    def requests(self) -> list[Any]:
        return [step.request for step in self.steps if isinstance(step, Send | Open)]


def play(flow: Any, *outcomes: HttpResponse | FakeStream | BaseException) -> Played:
    """Run a flow by hand. `outcomes` are what the requests lead to, in order; an exception is thrown into the flow."""
    played, script = Played(), iter(outcomes)
    resume, given = flow.send, None
    try:
        while True:
            step = resume(given)
            played.steps.append(step)
            resume, given = flow.send, _outcome(step, script)
            if isinstance(given, BaseException):
                resume = flow.throw
    except StopIteration as stop:
        played.result = stop.value
    except BaseException as error:  # noqa: BLE001 - recorded
        played.error = error
    assert not list(script), "the flow asked for less than was scripted"
    return played


def _outcome(step: Any, script: Iterable[Any]) -> Any:
    match step:
        case Send() | Open():
            return next(script)  # type: ignore[call-overload]
        case Read(stream):
            try:
                return stream.take()
            except BaseException as problem:  # noqa: BLE001 - thrown into the flow
                return problem
        case Close(stream):
            return stream.close()
        case Sleep():
            return None


def completion(text: str = "hi", **fields: Any) -> dict[str, Any]:
    """A chat completion as a provider writes it."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1-really",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        **fields,
    }


def respond(body: Any = None, status: int = 200, **headers: str) -> HttpResponse:
    data = body if isinstance(body, bytes) else json.dumps(completion() if body is None else body).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpResponse(status=status, headers=(*JSON, *named), body=data)


def fail(status: int, message: str = "no", **headers: str) -> HttpResponse:
    return respond({"error": {"message": message, "type": "some_error"}}, status, **headers)


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **fields: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1-really", "choices": choices, **fields}
    return b"data: %b\n\n" % json.dumps(value).encode()


ROLE = chunk({"role": "assistant", "content": ""})
HEL, LO = chunk({"content": "hel"}), chunk({"content": "lo"})
STOP = chunk({}, "stop")
USAGE = chunk(None, usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
DONE = b"data: [DONE]\n\n"
ERROR_EVENT = b'data: {"error": {"message": "overloaded", "type": "server_error", "status": 503, "code": "busy"}}\n\n'
STREAM = (ROLE, HEL, LO, STOP, USAGE, DONE)
