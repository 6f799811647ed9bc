"""Fragments of tool calls in a stream -> events. Called by `choice_decode`.

A fragment belongs to the call of its `index`; where providers leave that out, or give every call the same, its id decides,
then its position: a fragment with a name begins a call, one without continues the last. A call begins for us when its name
is known.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.chat import TokenLogprob, ToolCallPart, Warning
from dragoman.core.events import Event, PartEnd, PartStart, ToolCallDelta
from dragoman.dialects.openai_chat.chunk import Call, Function
from dragoman.dialects.openai_chat.message import google_signature
from dragoman.dialects.openai_chat.response_decode import arguments_text
from dragoman.dialects.openai_chat.wire import extra


class _OpenCall:
    __slots__ = ("held", "id", "kind", "name", "part", "signature")

    def __init__(self, call_id: str, kind: str) -> None:
        self.id = call_id
        self.kind = kind
        self.name = ""
        self.part: int | None = None
        self.held: list[str] = []
        self.signature: str | None = None


class CallsDecoder:
    """The tool calls of one choice. `origin` makes an id for a call that has none."""

    def __init__(self, choice: int, origin: str) -> None:
        self._choice = choice
        self._origin = origin
        self._calls: list[_OpenCall] = []
        self._by_index: dict[int, _OpenCall] = {}

    @property
    def present(self) -> bool:
        return any(call.part is not None for call in self._calls)

    def begins(self, call: Call) -> bool:
        return self._find(call) is None

    def add(self, call: Call, part: int, events: list[Event], tokens: tuple[TokenLogprob, ...] | None) -> int:
        """Returns the next free part index, which is `part` unless a call began."""
        held = call.function or call.custom or Function()
        found = self._find(call) or self._new(call)
        if type(held.name) is str and held.name:
            found.name = held.name
        found.signature = google_signature({"extra_content": call.extra_content}) or found.signature
        piece = arguments_text(held.arguments if held.input is None else held.input)
        return self._grow(found, piece, part, events, tokens)

    def add_legacy(self, function: Function, part: int, events: list[Event]) -> int:
        """The old `function_call`: one call, no id. An empty stand-in is none."""
        if not (function.name or function.arguments):
            return part
        call = next((call for call in self._calls if call.kind == "legacy"), None) or self._new(Call(type="legacy"))
        if type(function.name) is str and function.name:
            call.name = function.name
        return self._grow(call, arguments_text(function.arguments), part, events, None)

    def _find(self, call: Call) -> _OpenCall | None:
        call_id = call.id if type(call.id) is str else ""
        held = call.function or call.custom
        named = held is not None and bool(held.name)
        if type(call.index) is int:
            found = self._by_index.get(call.index)
            another = found is not None and named and bool(found.name) and bool(call_id) and call_id != found.id
            return None if another else found
        if call_id:
            return next((open_call for open_call in self._calls if open_call.id == call_id), None)
        return None if named or not self._calls else self._calls[-1]

    def _new(self, call: Call) -> _OpenCall:
        call_id = call.id if type(call.id) is str and call.id else f"{self._origin}_{len(self._calls)}"
        made = _OpenCall(call_id, call.type if call.type in ("custom", "legacy") else "function")
        self._calls.append(made)
        if type(call.index) is int:
            self._by_index[call.index] = made
        return made

    def _grow(
        self, call: _OpenCall, piece: str, part: int, events: list[Event], tokens: tuple[TokenLogprob, ...] | None
    ) -> int:
        if call.part is None:
            if not call.name:
                call.held.append(piece)
                return part
            call.part, part = part, part + 1
            events.append(PartStart(index=call.part, part=_first_state(call), choice=self._choice))
            piece = "".join(call.held) + piece
        if piece or tokens:
            events.append(ToolCallDelta(index=call.part, arguments=piece, choice=self._choice, logprobs=tokens))
        return part

    def close(self, events: list[Event]) -> None:
        for call in self._calls:
            if call.part is not None:
                events.append(PartEnd(index=call.part, choice=self._choice, signature=call.signature))
            elif any(call.held):
                events.append(
                    Warning(field=f"choices[{self._choice}].tool_calls", message="a call without a name was left out")
                )


def _first_state(call: _OpenCall) -> ToolCallPart:
    legacy: dict[str, Any] = {"_legacy": True} if call.kind == "legacy" else {}
    return ToolCallPart(
        id=call.id,
        name=call.name,
        arguments="",
        kind="custom" if call.kind == "custom" else "function",
        extra=extra(legacy),
    )
