"""Calls the methods of a `CustomLLM` with LiteLLM's arguments, and writes what they give as OpenAI's bodies and events.

The engine's side of it is `providers.custom.Bridge`: whoever answers, retries, streams, fallbacks and costs are the engine's.
What a method raises goes through unchanged.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec

from dragoman.client.custom import CustomLLM
from dragoman.client.media_objects import ImageResponse
from dragoman.client.objects import EmbeddingResponse, ModelResponse
from dragoman.core.sse import DONE, encode_event
from dragoman.providers.custom import Asked


class _Methods(NamedTuple):
    """Of one operation: the names of its methods, and the field of the body that they take by name."""

    plain: str
    awaited: str
    subject: str


_METHODS = {
    "chat": _Methods("completion", "acompletion", "messages"),
    "embedding": _Methods("embedding", "aembedding", "input"),
    "image": _Methods("image_generation", "aimage_generation", "prompt"),
}
_STREAMS = _Methods("streaming", "astreaming", "messages")


class HandlerBridge:
    """A `Bridge`. `operations`: those that the handler has a method for."""

    def __init__(self, handler: CustomLLM) -> None:
        self._handler = handler
        ways = (*_METHODS.items(), ("chat", _STREAMS))
        self.operations = frozenset(
            operation for operation, names in ways if self._written(names.plain) or self._written(names.awaited)
        )

    def answer(self, asked: Asked) -> bytes:
        return _encode(self._method(_METHODS[asked.operation].plain)(**_arguments(asked, awaited=False)))

    async def aanswer(self, asked: Asked) -> bytes:
        names = _METHODS[asked.operation]
        if self._written(names.plain) and not self._written(names.awaited):
            return await asyncio.to_thread(self.answer, asked)
        found = self._method(names.awaited)(**_arguments(asked, awaited=True))
        return _encode(await found if inspect.isawaitable(found) else found)

    def stream(self, asked: Asked) -> Iterator[bytes] | None:
        if not self._written(_STREAMS.plain):
            return None
        return self._events(asked)

    def astream(self, asked: Asked) -> AsyncIterator[bytes] | None:
        if self._written(_STREAMS.awaited):
            return self._aevents(asked)
        return _in_thread(self._events(asked)) if self._written(_STREAMS.plain) else None

    def _events(self, asked: Asked) -> Iterator[bytes]:
        writer = _Writer(asked.body["model"])
        for piece in self._method(_STREAMS.plain)(**_arguments(asked, awaited=False)):
            yield writer.event(piece)
        yield writer.end()

    async def _aevents(self, asked: Asked) -> AsyncIterator[bytes]:
        writer = _Writer(asked.body["model"])
        found = self._method(_STREAMS.awaited)(**_arguments(asked, awaited=True))
        pieces = await found if inspect.isawaitable(found) else found
        try:
            async for piece in pieces:
                yield writer.event(piece)
        finally:
            if hasattr(pieces, "aclose"):
                await pieces.aclose()
        yield writer.end()

    def _written(self, name: str) -> bool:
        return getattr(type(self._handler), name) is not getattr(CustomLLM, name)

    def _method(self, name: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self._handler, name)
        return found


async def _in_thread(events: Iterator[bytes]) -> AsyncIterator[bytes]:
    while event := await asyncio.to_thread(next, events, b""):
        yield event


# ------------------------------------------------------------------------------------------------------------ what is asked
def _arguments(asked: Asked, *, awaited: bool) -> dict[str, Any]:
    """LiteLLM's keywords for the method of one operation."""
    subject = _METHODS[asked.operation].subject
    body = asked.body
    own: dict[str, Any] = {
        "model": body["model"],
        subject: body.get(subject),
        "optional_params": {name: body[name] for name in body if name not in ("model", "stream", subject)},
        "model_response": _EMPTY[asked.operation](body["model"]),
        "api_key": asked.api_key,
        "api_base": asked.api_base,
        "timeout": asked.timeout,
        "logging_obj": SimpleNamespace(pre_call=_nothing, post_call=_nothing),
    }
    if asked.operation == "image":
        return own | {"client": None}
    own |= {"print_verbose": _nothing, "litellm_params": {}}
    if asked.operation == "embedding":
        return own
    idle: dict[str, Any] = {"custom_prompt_dict": {}, "encoding": None, "logger_fn": None, "client": None}
    return own | idle | {"acompletion": awaited, "headers": asked.headers}


def _nothing(*_: Any, **__: Any) -> None:
    """What LiteLLM's loggers are told is told to nobody here."""


def _empty_chat(model: str) -> Any:
    message = {"role": "assistant", "content": None}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    head = {"id": _new_id(), "object": "chat.completion", "created": int(time.time()), "model": model}
    return ModelResponse.of({**head, "choices": [choice]})


_EMPTY: dict[str, Callable[[str], Any]] = {
    "chat": _empty_chat,
    "embedding": lambda model: EmbeddingResponse.of({"object": "list", "model": model, "data": []}),
    "image": lambda _: ImageResponse.of({"created": int(time.time()), "data": []}),
}


def _new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


# --------------------------------------------------------------------------------------------------------- what is answered
class _Writer:
    """Pieces of one stream -> OpenAI's events, one each."""

    def __init__(self, model: str) -> None:
        self._head = {"id": _new_id(), "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
        self._open = {0: "stop"}
        self._begun: set[int] = set()

    def event(self, piece: Any) -> bytes:
        fields = _dumped(piece) if hasattr(piece, "model_dump") else dict(piece)
        if "choices" not in fields:
            fields = self._chunk(fields)
        for choice in fields["choices"]:
            self._note(choice)
        return encode_event(_encode(fields))

    def end(self) -> bytes:
        """The end mark, and before it the reasons that the handler left out."""
        left = [{"index": index, "delta": {}, "finish_reason": reason} for index, reason in self._open.items()]
        return (encode_event(_encode({**self._head, "choices": left})) if left else b"") + DONE

    def _chunk(self, piece: dict[str, Any]) -> dict[str, Any]:
        delta: dict[str, Any] = {"content": piece["text"]} if piece.get("text") else {}
        if piece.get("tool_use"):
            delta["tool_calls"] = [piece["tool_use"]]
        if piece.get("provider_specific_fields"):
            delta["provider_specific_fields"] = piece["provider_specific_fields"]
        reason = (piece.get("finish_reason") or "stop") if piece.get("is_finished") else None
        chunk = {**self._head, "choices": [{"index": piece.get("index") or 0, "delta": delta, "finish_reason": reason}]}
        return {**chunk, "usage": piece["usage"]} if piece.get("usage") else chunk

    def _note(self, choice: dict[str, Any]) -> None:
        index = choice.get("index", 0)
        if choice.get("finish_reason"):
            self._open.pop(index, None)
            self._begun.add(index)
        elif (choice.get("delta") or {}).get("tool_calls"):
            self._open[index] = "tool_calls"
        elif index not in self._begun:
            self._open.setdefault(index, "stop")


def _dumped(value: Any) -> Any:
    """A pydantic object as plain data: the answers of other clients are such."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"a handler's answer holds a {type(value).__name__}, which is no JSON value")
    return dump(exclude_none=True)


_encode = msgspec.json.Encoder(enc_hook=_dumped).encode
