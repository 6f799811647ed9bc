"""A program's request -> ChatRequest. Wrong kinds raise BadRequestError with path, finding and expectation.

Fields without a word in the vocabulary (previous_response_id, store, prompt, background, context_management, ...) are kept
in `extra` and written back by this dialect; what a store would answer is for the gateway to know. The mark `_input` tells
that a request was made in this dialect, whose defaults then hold.
"""

from __future__ import annotations

from typing import Any, Literal

from dragoman.core import json
from dragoman.core.chat import (
    ChatRequest,
    Extra,
    Message,
    NativeTool,
    Reasoning,
    ResponseFormat,
    TextPart,
    Tool,
    ToolChoice,
)
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.dialects.openai_chat.wire import UNREADABLE, said
from dragoman.dialects.openai_responses.read_items import read_input
from dragoman.dialects.openai_responses.words import ENCRYPTED, LOGPROBS, NAME, extra

_FORMATS = ("text", "json_object", "json_schema")


def decode_request(body: bytes) -> ChatRequest:
    try:
        value = json.decode(body)
    except UNREADABLE as error:
        refuse("", f"the request body is no JSON: {error}")
    if type(value) is not dict:
        refuse("", f"the request body: expected an object, found {json.kind(value)}")
    fields = Fields(value, "")
    given = fields.any("input")
    include = _include(fields)
    known: dict[str, Any] = {
        "model": fields.need_text("model"),
        "messages": (*_instructions(fields.text("instructions")), *read_input(given)),
        "tools": tuple(_tool(item, f"tools[{place}]") for place, item in enumerate(fields.items("tools") or ())),
        "tool_choice": _tool_choice(fields),
        "logprobs": LOGPROBS in include or None,
        "response_format": _format(fields),
        "reasoning": _reasoning(fields),
    }
    return ChatRequest(**known, **_plain(fields), extra=_extra(fields, given, include))


def _plain(fields: Fields) -> dict[str, Any]:
    """The parameters that mean here what they mean there."""
    return {
        "parallel_tool_calls": fields.flag("parallel_tool_calls"),
        "max_tokens": fields.integer("max_output_tokens"),
        "temperature": fields.number("temperature"),
        "top_p": fields.number("top_p"),
        "top_logprobs": fields.integer("top_logprobs"),
        "user": fields.text("user"),
        "service_tier": fields.text("service_tier"),
        "metadata": fields.mapping("metadata"),
        "stream": fields.flag("stream") or False,
    }


def _extra(fields: Fields, given: Any, include: list[str]) -> Extra:
    """`store: false` is what every other dialect means anyway, so it is a mark and no loss elsewhere."""
    left = said(fields.rest())
    if left.get("store") is False:
        left["_store"] = left.pop("store")
    if include:
        left["_include"] = include
        if unknown := [entry for entry in include if entry not in (ENCRYPTED, LOGPROBS)]:
            left["include"] = unknown
    return {NAME: left | {"_input": json.kind(given)}}


def _include(fields: Fields) -> list[str]:
    entries = fields.items("include") or []
    for place, entry in enumerate(entries):
        if type(entry) is not str:
            mismatch(f"include[{place}]", "a string", entry)
    return entries


def _instructions(text: str | None) -> tuple[Message, ...]:
    if text is None:
        return ()
    return (Message(role="system", parts=(TextPart(text=text),), extra=extra({"_instructions": True})),)


def _tool(value: Any, path: str) -> Tool | NativeTool:
    """Functions are strict here unless it is said otherwise, hence the mark."""
    fields = Fields(value, path)
    if fields.need_text("type") != "function":
        return NativeTool(dialect=NAME, value=value)
    strict = fields.flag("strict")
    known: dict[str, Any] = {"name": fields.need_text("name"), "description": fields.text("description")}
    parameters = fields.mapping("parameters")
    left = said(fields.rest()) | ({} if strict is not None else {"_strict": "default"})
    return Tool(**known, parameters=parameters, strict=strict, extra=extra(left))


_MODES: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}


def _tool_choice(fields: Fields) -> ToolChoice | None:
    """A word or a function; any other object is one that only this dialect knows."""
    value = fields.any("tool_choice")
    if value is None:
        return None
    if type(value) is str:
        if value not in _MODES:
            refuse("tool_choice", f"expected one of {', '.join(_MODES)} or an object, found {value[:60]!r}")
        return ToolChoice(mode=_MODES[value])
    choice = Fields(value, "tool_choice")
    kind = choice.need_text("type")
    if kind == "function":
        return ToolChoice(mode="named", name=choice.need_text("name"))
    return ToolChoice(mode=_MODES.get(choice.text("mode") or "", "required"), extra=extra({kind: value}))


def _format(fields: Fields) -> ResponseFormat | None:
    """`text.format`; how talkative the answer is to be stays under `text` in `extra`."""
    if fields.peek("text") is None:
        return None
    text = fields.inner("text")
    if text.peek("format") is None:
        form = None
    else:
        given = text.inner("format")
        kind = given.word("type", _FORMATS)
        known = {"name": given.text("name"), "description": given.text("description"), "strict": given.flag("strict")}
        schema = given.mapping("schema")
        form = ResponseFormat(kind=kind, schema=schema, **known, extra=extra(said(given.rest())))  # type: ignore[arg-type] # checked by `word`
    if left := said(text.rest()):
        fields.rest()["text"] = left
    return form


def _reasoning(fields: Fields) -> Reasoning | None:
    if fields.peek("reasoning") is None:
        return None
    reasoning = fields.inner("reasoning")
    effort = reasoning.text("effort")
    return Reasoning(effort=effort, extra=extra(said(reasoning.rest())))
