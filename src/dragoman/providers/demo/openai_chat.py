"""OpenAI's chat completions as demo reads and writes them: bytes -> `Ask`, `Answer` -> the JSON body or the stream's events.

Independent of `dialects.openai_chat` on purpose: it stands in for the provider in that dialect's tests.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from dragoman.core import json
from dragoman.core.sse import DONE, encode_event
from dragoman.providers.demo import tokens
from dragoman.providers.demo.answers import answer
from dragoman.providers.demo.ask import Answer, Ask, Tool, ToolCall
from dragoman.providers.demo.reply import CREATED, Reply, identity, texts
from dragoman.providers.demo.script import Refusal
from dragoman.providers.demo.settings import Settings

FINGERPRINT = "demo"
_FINISH = {"stop": "stop", "stop_sequence": "stop", "length": "length", "tool_calls": "tool_calls"}
_OTHER_TOKENS = tuple(f" {word}" for word in "the a and of to in is that it for on as with was at by or if so no".split())


class _Function(Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Tool(Struct):
    function: _Function


class _Message(Struct):
    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _JsonSchema(Struct):
    schema: dict[str, Any] = {}


class _ResponseFormat(Struct):
    type: str
    json_schema: _JsonSchema | None = None


class Body(Struct):
    """What demo reads of a request; it leaves the rest unread, as it changes nothing here."""

    messages: Annotated[list[_Message], Meta(min_length=1)]
    tools: list[_Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop: str | list[str] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: _ResponseFormat | None = None
    reasoning_effort: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


_decode = msgspec.json.Decoder(Body).decode


def reply(raw: bytes, name: str, bare: str, settings: Settings) -> Reply:
    """`name` is the model as the caller wrote it, without parameters; `bare` the same without `demo/`."""
    body = _decode(raw)
    ask = _ask(body, bare, settings)
    out = _Writer(body, answer(ask), ask.input_tokens, {"id": f"chatcmpl-{identity(raw)}", "model": name})
    headers = (("x-request-id", f"req_{identity(raw)}"), ("openai-version", "2020-10-01"))
    if body.stream:
        return Reply(chunks=tuple(out.events(settings.chunk)), stream=True, headers=headers)
    count = out.answer.output_tokens * out.choices
    return Reply(chunks=((json.encode(out.body()), count),), headers=headers)


# -------------------------------------------------------------------------------------------------------------- reading
def _ask(body: Body, model: str, settings: Settings) -> Ask:
    tools = tuple(Tool(name=tool.function.name, parameters=tool.function.parameters or {}) for tool in body.tools or ())
    form = body.response_format
    return Ask(
        model=model,
        user=_last_user_text(body.messages),
        system="\n".join(texts(message.content) for message in body.messages if message.role in ("system", "developer")),
        tool_results=_closing_tool_results(body.messages),
        begun=texts(body.messages[-1].content) if body.messages[-1].role == "assistant" else "",
        tools=tools,
        tool_choice=_tool_choice(body.tool_choice, tools),
        parallel=body.parallel_tool_calls is not False,
        schema=form.json_schema.schema if form and form.type == "json_schema" and form.json_schema else None,
        json_object=form is not None and form.type == "json_object",
        think=None if body.reasoning_effort is None else body.reasoning_effort != "none",
        max_tokens=body.max_completion_tokens or body.max_tokens,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        input_tokens=sum(map(_message_tokens, body.messages)) + _json_tokens(body.tools),
        length=settings.length,
    )


def _last_user_text(messages: list[_Message]) -> str:
    return next((texts(message.content) for message in reversed(messages) if message.role == "user"), "")


def _closing_tool_results(messages: list[_Message]) -> tuple[str, ...]:
    closing = list(itertools.takewhile(lambda message: message.role == "tool", reversed(messages)))
    return tuple(texts(message.content) for message in reversed(closing))


def _tool_choice(choice: str | dict[str, Any] | None, tools: tuple[Tool, ...]) -> str | tuple[str]:
    if not isinstance(choice, dict):
        return choice or "auto"
    name = (choice.get("function") or {}).get("name")
    if name not in {tool.name for tool in tools}:
        raise Refusal(400, f"Tool choice {name!r} not found in 'tools'.", param="tool_choice")
    return (name,)


def _message_tokens(message: _Message) -> int:
    parts = message.content if isinstance(message.content, list) else ()
    media = sum(1 for part in parts if "text" not in part)
    text = tokens.count(texts(message.content)) + _json_tokens(message.tool_calls)
    return tokens.MESSAGE_FRAME + text + media * tokens.MEDIA_PART


def _json_tokens(value: Any) -> int:
    return tokens.count(json.encode(value).decode()) if value else 0


# -------------------------------------------------------------------------------------------------------------- writing
class _Writer:
    """One answer in OpenAI's words. Every choice says the same."""

    def __init__(self, body: Body, given: Answer, input_tokens: int, names: dict[str, str]) -> None:
        self.request = body
        self.answer = given
        self.input_tokens = input_tokens
        self.choices = body.n or 1
        self.names = names

    def body(self) -> dict[str, Any]:
        choices = [self._choice(index) for index in range(self.choices)]
        return self._frame("chat.completion") | {"choices": choices, "usage": self._usage()}

    def events(self, size: int) -> Iterator[tuple[bytes, int]]:
        """The stream: the choices take turns, then the usage if asked for, then [DONE]."""
        for turn in zip(*(self._choice_events(index, size) for index in range(self.choices)), strict=True):
            yield from turn
        if self._wants_usage():
            frame = self._frame("chat.completion.chunk") | {"choices": [], "usage": self._usage()}
            yield encode_event(json.encode(frame)), 0
        yield DONE, 0

    def _frame(self, kind: str) -> dict[str, Any]:
        head = {"id": self.names["id"], "object": kind, "created": CREATED, "model": self.names["model"]}
        return head | {"service_tier": "default", "system_fingerprint": FINGERPRINT}

    def _wants_usage(self) -> bool:
        return bool(self.request.stream_options and self.request.stream_options.include_usage)

    def _usage(self) -> dict[str, Any]:
        output = self.answer.output_tokens * self.choices
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": output,
            "total_tokens": self.input_tokens + output,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.answer.reasoning_tokens * self.choices,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def _choice(self, index: int) -> dict[str, Any]:
        said = self.answer
        message: dict[str, Any] = {"role": "assistant", "content": said.text or (None if said.calls else "")}
        if said.reasoning:
            message["reasoning_content"] = said.reasoning
        if said.calls:
            message["tool_calls"] = [self._call(call, place, index) for place, call in enumerate(said.calls)]
        message |= {"refusal": None, "annotations": []}
        logprobs = self._logprobs(tokens.split(said.text)) if not said.calls else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": _FINISH[said.finish]}

    def _choice_events(self, index: int, size: int) -> Iterator[tuple[bytes, int]]:
        said = self.answer
        first = {"role": "assistant", "content": None if said.calls else "", "refusal": None}
        yield self._event(index, first, []), 0
        for group in tokens.groups(said.reasoning, size):
            yield self._event(index, {"reasoning_content": "".join(group)}), len(group)
        for group in tokens.groups(said.text, size):
            yield self._event(index, {"content": "".join(group)}, group), len(group)
        for place, call in enumerate(said.calls):
            head = {"index": place, **self._call(ToolCall(call.name, ""), place, index)}
            yield self._event(index, {"tool_calls": [head]}), tokens.count(call.name)
            for group in tokens.groups(call.arguments, size):
                delta = {"tool_calls": [{"index": place, "function": {"arguments": "".join(group)}}]}
                yield self._event(index, delta), len(group)
        yield self._event(index, {}, finish=_FINISH[said.finish]), 0

    def _event(self, index: int, delta: dict[str, Any], text: list[str] | None = None, finish: str | None = None) -> bytes:
        logprobs = None if text is None else self._logprobs(text)
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        frame = self._frame("chat.completion.chunk") | {"choices": [choice]}
        if self._wants_usage():
            frame["usage"] = None
        return encode_event(json.encode(frame))

    def _call(self, call: ToolCall, place: int, choice: int) -> dict[str, Any]:
        made = identity(f"{self.names['id']}/{choice}/{place}".encode())
        return {"id": f"call_{made}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}

    def _logprobs(self, text: list[str]) -> dict[str, Any] | None:
        if not self.request.logprobs:
            return None
        return {"content": [_token_logprobs(token, self.request.top_logprobs or 0) for token in text], "refusal": None}


def _token_logprobs(token: str, alternatives: int) -> dict[str, Any]:
    """A probability between 0.5 and 1, made of the token; the alternatives share what is left."""
    share = 0.5 + zlib.crc32(token.encode()) % 500 / 1000
    others = [other for other in _OTHER_TOKENS if other != token][: max(0, alternatives - 1)]
    top = [(token, share), *((other, (1 - share) / 2 ** (place + 1)) for place, other in enumerate(others))]
    listed = [_logprob(text, chance) for text, chance in top]
    return listed[0] | {"top_logprobs": listed if alternatives else []}


def _logprob(token: str, chance: float) -> dict[str, Any]:
    return {"token": token, "logprob": round(math.log(chance), 6), "bytes": list(token.encode())}
