"""A whole answer: a provider's 200 body -> ChatResponse, and ChatResponse -> the message that a client reads.

What an answer cannot say here (a second choice, generated sound) is listed under `dragoman.warnings` in the body, together
with the warnings that the answer already carried; clients of this API are told to ignore fields they do not know.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dragoman.core import json
from dragoman.core.chat import ChatResponse, Choice, RefusalPart, Warning
from dragoman.core.errors import ResponseDecodeError, error_for
from dragoman.dialects.anthropic_messages.common import RESPONSE_TIERS, Losses, decode_finish, encode_finish, own
from dragoman.dialects.anthropic_messages.errors import reported
from dragoman.dialects.anthropic_messages.fields import UNREADABLE, FieldError, Fields
from dragoman.dialects.anthropic_messages.read_blocks import decode_content
from dragoman.dialects.anthropic_messages.usage import decode_usage, encode_usage
from dragoman.dialects.anthropic_messages.write_blocks import BlockWriter

_SHOWN = 500
"""Bytes of a senseless body that go into the error."""


def decode_response(body: bytes) -> ChatResponse:
    try:
        value = json.decode(body)
        if isinstance(value, dict) and value.get("type") == "error":
            raise error_for(*reported(value))
        return _message(Fields(value, ""))
    except (*UNREADABLE, FieldError) as error:
        shown = body[:_SHOWN].decode("utf-8", "replace")
        raise ResponseDecodeError(f"the provider's answer is no Anthropic message: {error}", body=shown) from None


def _message(message: Fields) -> ChatResponse:
    usage = message.take("usage", "an object")
    native, sequence = message.take("stop_reason", "a string"), message.take("stop_sequence", "a string")
    for known in ("type", "role"):
        message.values.pop(known, None)
    warnings = heard(message)
    choice = Choice(
        parts=decode_content(message.need("content", "an array"), "content"),
        finish=None if native is None else decode_finish(native, sequence),
    )
    return ChatResponse(
        id=message.take("id", "a string") or "",
        model=message.take("model", "a string") or "",
        choices=(choice,),
        usage=None if usage is None else decode_usage(usage),
        service_tier=tier_of(usage),
        warnings=tuple(warnings),
        extra=message.extra(),
    )


def tier_of(usage: dict[str, Any] | None) -> str | None:
    """The service tier, which Anthropic reports among the counts."""
    tier = (usage or {}).get("service_tier")
    return RESPONSE_TIERS.get(tier, tier) if isinstance(tier, str) else None


def encode_response(response: ChatResponse, *, now: int) -> bytes:
    losses = Losses()
    losses.warnings.extend(response.warnings)
    choice = response.choices[0] if response.choices else Choice()
    for other in response.choices[1:]:
        losses.drop(f"choices[{other.index}]", "an Anthropic message holds one answer")
    body = message_head(response.id, response.model, now) | {
        "content": BlockWriter(losses, reply=True).blocks(choice.parts, "content"),
        **encode_finish(choice.finish, refused=any(isinstance(part, RefusalPart) for part in choice.parts)),
        "usage": encode_usage(response.usage, response.service_tier),
    }
    return json.encode(own(response.extra) | body | noted(losses.warnings))


def message_head(id_: str, model: str, now: int) -> dict[str, Any]:
    """What every message begins with. A provider that gave no id gets one of the time, as clients expect one."""
    return {"id": id_ or f"msg_{now}", "type": "message", "role": "assistant", "model": model}


def noted(warnings: list[Warning]) -> dict[str, Any]:
    """The field that tells a client what its answer lost; empty without losses."""
    said = [{"field": warning.field, "message": warning.message, "code": warning.code} for warning in warnings]
    return {"dragoman": {"warnings": said}} if said else {}


def heard(fields: Fields) -> list[Warning]:
    """The warnings of a gateway of our own kind upstream."""
    said = fields.values.pop("dragoman", None)
    try:
        return msgspec.convert(said, _Noted).warnings if said else []
    except msgspec.ValidationError:
        return []


class _Noted(msgspec.Struct):
    warnings: list[Warning] = []
