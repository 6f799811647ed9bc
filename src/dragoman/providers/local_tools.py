"""A forced tool call for a model that cannot call tools: the request asks for JSON, the answer is repackaged as a call. Pure.

`force_call` turns tools into a JSON schema for `{"name": ..., "arguments": {...}}`, which the runtime always keeps to.
`repackage` and `CallStream` make `tool_calls` of the answer, whole and streamed. Which tools are forced is decided by
`providers.local.edit`; called by `transport.local`.
"""

from __future__ import annotations

import re
from typing import Any

from dragoman.core import json
from dragoman.core.sse import ServerSentEvent, SSEDecoder, encode_event

Body = dict[str, Any]

_ANY_OBJECT = {"type": "object"}
_OPENING = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*')


def force_call(body: Body) -> bool:
    """Rewrite a body whose tools must be called, in place. False: it has no tools, and its answer needs no repackaging."""
    tools = body.pop("tools", None)
    body.pop("tool_choice", None)
    if not tools:
        return False
    functions = [tool["function"] for tool in tools]
    calls = [_call_schema(function) for function in functions]
    schema = calls[0] if len(calls) == 1 else {"anyOf": calls}
    body["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema, "strict": True}}
    if isinstance(body.get("messages"), list):
        body["messages"] = _instructed(body["messages"], functions)
    return True


def _call_schema(function: Body) -> Body:
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": function.get("parameters") or _ANY_OBJECT},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _instruction(functions: list[Body]) -> str:
    described = " or ".join(f"{function['name']} ({function.get('description') or 'no description'})" for function in functions)
    return f"Answer with a call of {described} as JSON."


_EXAMPLE = (
    {
        "role": "user",
        "content": f"What time is it in Cairo?\n{_instruction([{'name': 'get_time', 'description': 'The time in a city'}])}",
    },
    {"role": "assistant", "content": '{"name": "get_time", "arguments": {"city": "Cairo"}}'},
)


def _instructed(messages: list[Any], functions: list[Body]) -> list[Any]:
    """The schema is kept to anyway; an example, and the wish beside the question, make the arguments right."""
    start = next((index for index, message in enumerate(messages) if not _is_system(message)), len(messages))
    messages = [*messages[:start], *_EXAMPLE, *messages[start:]]
    instruction, last = _instruction(functions), messages[-1]
    if isinstance(last, dict) and last.get("role") == "user" and isinstance(last.get("content"), str):
        return [*messages[:-1], last | {"content": f"{last['content']}\n{instruction}"}]
    return [*messages, {"role": "user", "content": instruction}]


def _is_system(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") in ("system", "developer")


class _CallText:
    """The JSON text of one call, arriving in pieces -> its name, and its arguments as text."""

    def __init__(self) -> None:
        self.name: str | None = None
        self._held = ""

    def feed(self, text: str) -> str:
        """More of the arguments. Closing braces are held back: the last one of all belongs to the wrapping, not to them."""
        self._held += text
        if self.name is None:
            opening = _OPENING.match(self._held)
            if opening is None:
                return ""
            self.name = json.decode(opening[1].encode())
            self._held = self._held[opening.end() :]
        settled = self._held.rstrip("} \t\r\n")
        ready, self._held = settled, self._held[len(settled) :]
        return ready

    def rest(self, *, complete: bool) -> str:
        """What was held back; an answer cut short has no wrapping to take off."""
        held = self._held.rstrip()
        return held.removesuffix("}") if complete else held


def _finish(choice: Body) -> None:
    if choice.get("finish_reason") == "stop":
        choice["finish_reason"] = "tool_calls"


def _call_id(response: Body, choice: int) -> str:
    return f"call_{str(response.get('id', '')).removeprefix('chatcmpl-')}{choice or ''}"


def repackage(body: bytes) -> bytes:
    """A whole 200 answer: its JSON text becomes the tool call it stands for."""
    response = json.decode(body)
    for choice in response["choices"]:
        text = _CallText()
        arguments = text.feed(choice["message"].get("content") or "")
        arguments += text.rest(complete=choice["finish_reason"] == "stop")
        if text.name is not None:
            function = {"name": text.name, "arguments": arguments}
            call = {"id": _call_id(response, choice["index"]), "type": "function", "function": function}
            choice["message"] |= {"content": None, "tool_calls": [call]}
        _finish(choice)
    return json.encode(response)


class CallStream:
    """The same for a stream: bytes in any slicing -> bytes to pass on. A new one for every response."""

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self._texts: dict[int, _CallText] = {}

    def feed(self, chunk: bytes) -> bytes:
        return b"".join(self._event(event) for event in self._decoder.feed(chunk))

    def flush(self) -> bytes:
        return b"".join(self._event(event) for event in self._decoder.flush())

    def _event(self, event: ServerSentEvent) -> bytes:
        if not event.data.startswith(b"{"):
            return encode_event(event.data, event.event)
        chunk = json.decode(event.data)
        for choice in chunk.get("choices") or ():
            self._choice(chunk, choice)
        return encode_event(json.encode(chunk), event.event)

    def _choice(self, chunk: Body, choice: Body) -> None:
        text = self._texts.setdefault(choice["index"], _CallText())
        delta, known = choice["delta"], text.name is not None
        arguments = text.feed(delta.pop("content", None) or "")
        if choice.get("finish_reason"):
            arguments += text.rest(complete=choice["finish_reason"] == "stop")
        if text.name is not None and not known:
            function = {"name": text.name, "arguments": arguments}
            delta["tool_calls"] = [
                {"index": 0, "id": _call_id(chunk, choice["index"]), "type": "function", "function": function}
            ]
        elif known and arguments:
            delta["tool_calls"] = [{"index": 0, "function": {"arguments": arguments}}]
        _finish(choice)
