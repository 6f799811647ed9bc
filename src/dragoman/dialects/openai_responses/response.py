"""A whole answer: a provider's 200 body -> ChatResponse, and ChatResponse -> the response object that a client reads.

What an answer cannot say here (a second choice, another dialect's blocks) is listed under `dragoman.warnings` in the body,
with the warnings that the answer already carried. What the provider echoes of the request rides along in `extra`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from dragoman.core import json
from dragoman.core.chat import ChatResponse, Choice, Logprobs, Part, TokenLogprob, ToolCallPart, Usage, Warning
from dragoman.core.errors import BadRequestError, ResponseDecodeError, error_for
from dragoman.dialects.openai_chat.reader import Fields, mismatch
from dragoman.dialects.openai_chat.wire import UNREADABLE, read_tokens, said
from dragoman.dialects.openai_responses.errors import reported
from dragoman.dialects.openai_responses.read_items import read_output
from dragoman.dialects.openai_responses.usage import decode_usage, encode_usage
from dragoman.dialects.openai_responses.words import End, Losses, decode_finish, encode_finish, extra, mark, own
from dragoman.dialects.openai_responses.write_items import ItemWriter

_SHOWN = 500
"""Bytes of a senseless body that go into the error."""

_SAID_ELSEWHERE = (
    "object",
    "status",
    "error",
    "incomplete_details",
    "output",
    "output_text",
    "usage",
    "model",
    "id",
    "created_at",
)
"""What the vocabulary says, `output_text` being the client library's copy of the texts."""


# --------------------------------------------------------------------------------------------------------------- reading
def decode_response(body: bytes) -> ChatResponse:
    try:
        value = json.decode(body)
    except UNREADABLE as problem:
        raise _senseless(body, problem) from None
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        raise error_for(*reported(value))
    try:
        return _response(Fields(value, ""))
    except BadRequestError as problem:  # what the reader of JSON says of any body
        raise _senseless(body, problem) from None


def _senseless(body: bytes, problem: Exception) -> ResponseDecodeError:
    shown = body[:_SHOWN].decode("utf-8", "replace")
    return ResponseDecodeError(f"the provider's answer is no response object: {problem}", body=shown)


def _response(fields: Fields) -> ChatResponse:
    items = fields.items("output")
    if items is None:
        mismatch("output", "an array", None)
    parts = read_output(items, "output")
    usage = decode_usage(fields.peek("usage"), fields.peek("tool_usage"))
    status = fields.text("status")
    called = any(isinstance(part, ToolCallPart) for part in parts)
    finish = decode_finish(status, fields.peek("incomplete_details"), called=called)
    choice = Choice(parts=parts, finish=finish, logprobs=_logprobs(parts))
    return ChatResponse(**head(fields), choices=(choice,), usage=usage)


def head(fields: Fields) -> dict[str, Any]:
    """What ChatResponse and ResponseStart both say of a response, by the names of their fields."""
    created = fields.number("created_at")
    warnings = heard(fields.any("dragoman"))
    found: dict[str, Any] = {
        "id": fields.text("id") or "",
        "model": fields.text("model") or "",
        "created": None if created is None else int(created),
        "service_tier": fields.text("service_tier"),
        "system_fingerprint": fields.text("system_fingerprint"),
    }
    left = {key: value for key, value in said(fields.rest()).items() if key not in _SAID_ELSEWHERE}
    return found | {"extra": extra(left)} | ({"warnings": warnings} if warnings else {})


def _logprobs(parts: Iterable[Part]) -> Logprobs | None:
    lists = (read_tokens(mark(getattr(part, "extra", {}), "_logprobs")) for part in parts)
    tokens = [token for found in lists for token in found or ()]
    return Logprobs(content=tuple(tokens)) if tokens else None


class _Noted(msgspec.Struct):
    warnings: tuple[Warning, ...] = ()


def heard(value: Any) -> tuple[Warning, ...]:
    """The warnings of a gateway of our own kind upstream."""
    try:
        return msgspec.convert(value, _Noted).warnings if value else ()
    except msgspec.ValidationError:
        return ()


# --------------------------------------------------------------------------------------------------------------- writing
_DEFAULTS: dict[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""What clients expect to find where the provider echoed nothing of the request."""


def encode_response(response: ChatResponse, *, now: int) -> bytes:
    losses = Losses()
    losses.warnings.extend(response.warnings)
    choice = response.choices[0] if response.choices else Choice()
    for other in response.choices[1:]:
        losses.drop(f"choices[{other.index}]", "a response object holds one answer")
    writer = ItemWriter(losses, response.id or made_up(now))
    end = encode_finish(choice.finish)
    items = writer.items(choice.parts, "output", outside(choice.parts, choice.logprobs))
    return json.encode(response_object(response, now=now, end=end, output=items, warnings=losses.warnings))


def outside(parts: Iterable[Part], logprobs: Logprobs | None) -> tuple[TokenLogprob, ...] | None:
    """Log probabilities that no part remembers itself."""
    kept = any(mark(getattr(part, "extra", {}), "_logprobs") for part in parts)
    return None if logprobs is None or kept else logprobs.content


def made_up(now: int) -> str:
    """The id of a response whose provider gave none."""
    return f"resp_{now}"


def response_object(
    response: ChatResponse,
    *,
    now: int,
    end: End,
    output: list[dict[str, Any]],
    warnings: Iterable[Warning] = (),
    error: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The object of a whole answer, and of the events that begin and end a stream. Its choices are not looked at."""
    beyond = own(response.extra)
    noted = [{"field": warning.field, "message": warning.message, "code": warning.code} for warning in warnings]
    tier = beyond.pop("service_tier", response.service_tier)
    failure = error or ({"code": "server_error", "message": "the model failed to finish"} if end.status == "failed" else None)
    body = _DEFAULTS | beyond
    body |= {
        "id": response.id or made_up(now),
        "object": "response",
        "created_at": now if response.created is None else response.created,
        "model": response.model,
        "status": end.status,
        "error": failure,
        "incomplete_details": {"reason": end.reason} if end.reason else None,
        "output": output,
        "service_tier": tier,
        "usage": _usage(response.usage, beyond),
    }
    if response.system_fingerprint is not None:
        body["system_fingerprint"] = response.system_fingerprint
    return body | ({"dragoman": {"warnings": noted}} if noted else {})


def _usage(usage: Usage | None, beyond: dict[str, Any]) -> dict[str, Any] | None:
    return None if usage is None else encode_usage(usage, searches_told="tool_usage" in beyond)
