"""Whole answers: a provider's 200 body -> ChatResponse, and the way back to a text completion object for a program.

Lenient when reading: Mistral's fill-in-the-middle answers with chat messages, some servers leave out the id or the index.
What an answer holds that no text completion can (thinking, tool calls) is listed under `dragoman.warnings` in the body.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dragoman.core import json
from dragoman.core.chat import ChatResponse, Choice, Part, RefusalPart, TextPart, Warning
from dragoman.core.errors import ResponseDecodeError, error_for
from dragoman.dialects.losses import own
from dragoman.dialects.openai_chat.response_decode import created_of
from dragoman.dialects.openai_chat.usage import decode_usage, encode_usage
from dragoman.dialects.openai_chat.wire import UNREADABLE, finish, finish_word, said
from dragoman.dialects.openai_completions.words import NAME, Body, extra, read_logprobs, text_of, write_logprobs
from dragoman.dialects.openai_errors import embedded_status, read_error

_HEAD = 500
_KNOWN = frozenset({"id", "object", "created", "model", "system_fingerprint", "choices", "usage", "error", "p", "value"})
KNOWN_CHOICE = frozenset({"index", "text", "message", "delta", "logprobs", "log_probs", "finish_reason"})


def decode_response(body: bytes) -> ChatResponse:
    try:
        value = json.decode(body)
        choices = value.get("choices")
        if value.get("error") and not choices:
            status = embedded_status(value)
            raise error_for(status, read_error(status, value), body=body.decode("utf-8", "replace"))
        if not choices:
            raise ValueError("it holds no choices")
        return _response(value, choices)
    except (*UNREADABLE, AttributeError, TypeError, ValueError) as problem:
        shown = body[:_HEAD].decode("utf-8", "replace")
        raise ResponseDecodeError(f"the answer is no text completion: {problem}", body=shown) from None


def _response(value: Body, choices: list[Body]) -> ChatResponse:
    return ChatResponse(
        id=text_of(value.get("id")),
        model=text_of(value.get("model")),
        created=created_of(value.get("created")),
        system_fingerprint=text_of(value.get("system_fingerprint")) or None,
        choices=tuple(_choice(said(choice), place) for place, choice in enumerate(choices)),
        usage=decode_usage(value.get("usage")),
        extra=extra(rest_of(value)),
    )


def rest_of(value: Body) -> Body:
    """What a provider tells beyond the vocabulary."""
    return {key: held for key, held in said(value).items() if key not in _KNOWN}


def _choice(value: Body, place: int) -> Choice:
    text, index, stop = piece_of(value), value.get("index"), value.get("stop_reason")
    left = {key: held for key, held in value.items() if key not in KNOWN_CHOICE}
    if type(stop) is str:
        del left["stop_reason"]
    return Choice(
        index=index if type(index) is int else place,
        parts=(TextPart(text=text),) if text else (),
        finish=finish(value.get("finish_reason"), has_tool_calls=False, stop_reason=stop),
        logprobs=read_logprobs(value.get("logprobs")),
        extra=extra(left),
    )


def piece_of(choice: Body) -> str:
    """The text of a choice, whole or a piece of a stream, wherever it stands."""
    text = choice.get("text")
    if text is None:
        held = choice.get("message") or choice.get("delta") or {}
        text = held.get("content")
    if text is not None and type(text) is not str:
        raise TypeError(f"a text is a {json.kind(text)}")
    return text or ""


# ---------------------------------------------------------------------------------------------------------------- writing
def encode_response(response: ChatResponse, *, now: int) -> bytes:
    lost: list[Warning] = []
    body: Body = {
        "id": response.id,
        "object": "text_completion",
        "created": now if response.created is None else response.created,
        "model": response.model,
        "choices": [_written(choice, lost) for choice in response.choices],
    }
    if response.usage is not None:
        body["usage"] = encode_usage(response.usage)
    if response.system_fingerprint is not None:
        body["system_fingerprint"] = response.system_fingerprint
    return json.encode(body | own(response.extra, NAME) | noted(lost))


def _written(choice: Choice, lost: list[Warning]) -> Body:
    lost += [lost_part(part, choice.index) for part in choice.parts if not is_text(part)]
    written: Body = {
        "text": "".join(part.text for part in choice.parts if isinstance(part, TextPart | RefusalPart)),
        "index": choice.index,
        "logprobs": write_logprobs(choice.logprobs),
        "finish_reason": finish_word(choice.finish, legacy=False),
    }
    if choice.finish is not None and choice.finish.stop_sequence is not None:
        written["stop_reason"] = choice.finish.stop_sequence
    return written | own(choice.extra, NAME)


def is_text(part: Part) -> bool:
    return isinstance(part, TextPart | RefusalPart)


def lost_part(part: Part, choice: int) -> Warning:
    return Warning(field=f"choices[{choice}]", message=f"a text completion is text; a {type(part).__name__} was left out")


def noted(lost: Iterable[Warning]) -> dict[str, Any]:
    """The field that tells a client what its answer lost; empty without losses."""
    told = [{"field": warning.field, "message": warning.message, "code": warning.code} for warning in lost]
    return {"dragoman": {"warnings": told}} if told else {}
