"""A whole answer: a provider's 200 body -> ChatResponse, and ChatResponse -> the object that a client reads.

What an answer cannot say here is listed under `dragoman.warnings` in the body, together with the warnings that the answer
already carried; clients of this API ignore fields they do not know.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatResponse, Choice, Extra, Finish, Usage, Warning
from dragoman.core.errors import ErrorDetail, ResponseDecodeError, error_for
from dragoman.dialects.gemini.answer import AnswerReader, Events
from dragoman.dialects.gemini.common import Losses, encode_finish, mark, own
from dragoman.dialects.gemini.fields import UNREADABLE
from dragoman.dialects.gemini.grounding import metadata_of
from dragoman.dialects.gemini.logprobs import write_logprobs
from dragoman.dialects.gemini.usage import encode_usage
from dragoman.dialects.gemini.write_parts import PartWriter

Body = dict[str, Any]

_SHOWN = 500
"""Bytes of a senseless body that go into the error."""


def decode_response(body: bytes) -> ChatResponse:
    """An array is the answer of a stream that was not asked to be one of events."""
    try:
        value = json.decode(body)
        reader, events = AnswerReader(), Events()
        for piece in value if isinstance(value, list) else [value]:
            reader.take(piece, events)
            _raise_failure(events)
        if reader.empty:
            raise ValueError("it has neither candidates nor a reason for a block")
        reader.end(events)
    except (*UNREADABLE, ValueError) as error:  # FieldError is a ValueError
        shown = body[:_SHOWN].decode("utf-8", "replace")
        raise ResponseDecodeError(f"the provider's answer is no Gemini answer: {error}", body=shown) from None
    return assemble(events)


def _raise_failure(events: Events) -> None:
    last = events[-1] if events else None
    if isinstance(last, ev.StreamError):
        raise error_for(last.status, ErrorDetail(message=last.message, code=last.code, type=last.error_type))


def encode_response(response: ChatResponse) -> bytes:
    losses = Losses()
    losses.warnings.extend(response.warnings)
    candidates = [_candidate(choice, losses) for choice in response.choices]
    body = {"candidates": candidates, "usageMetadata": encode_usage(response.usage or Usage(), response.service_tier)}
    return json.encode(own(response.extra) | body | answer_head(response.id, response.model, response.extra) | noted(losses))


def _candidate(choice: Choice, losses: Losses) -> Body:
    parts = PartWriter(losses, reply=True).parts(choice.parts, f"candidates[{choice.index}].content.parts")
    content = {"content": {"parts": parts, "role": "model"}}
    grounding = metadata_of(choice.parts)
    found = {"groundingMetadata": grounding} if grounding else {}
    ended = {} if choice.finish is None else {"finishReason": encode_finish(choice.finish)}
    return content | ended | {"index": choice.index} | found | write_logprobs(choice.logprobs) | own(choice.extra)


def answer_head(id_: str, model: str, extra: Extra) -> Body:
    """What every answer, and every event of a stream, says of itself."""
    created = mark(extra, "_created")
    head = {"modelVersion": model} | ({"responseId": id_} if id_ else {})
    return head | ({"createTime": created} if created else {})


def ended_candidate(index: int, finish: Finish, extra: Extra) -> Body:
    """The end of a candidate of a stream. The vendor's client takes one without any part for a broken one."""
    return {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": encode_finish(finish), "index": index} | own(
        extra
    )


def noted(losses: Losses) -> Body:
    """The field that tells a client what its answer lost; empty without losses."""
    said = [_said(warning) for warning in losses.warnings]
    return {"dragoman": {"warnings": said}} if said else {}


def _said(warning: Warning) -> Body:
    return {"field": warning.field, "message": warning.message, "code": warning.code}
