"""Moderation as OpenAI has it (POST /moderations), both halves and the relay; Mistral copied it, with categories of its own.

A request is a text, several of them, or texts and images that are judged together. Mistral says of no text whether it is
flagged: it is when any category is. Source: https://platform.openai.com/docs/api-reference/moderations
"""

from __future__ import annotations

from typing import Any

import msgspec

from dragoman.core import json
from dragoman.core.chat import MediaPart, TextPart, Usage
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import ModerationRequest, ModerationResponse, ModerationResult
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import left_over, read_answer, text_or_none
from dragoman.dialects.openai_chat.reader import Fields, mismatch
from dragoman.dialects.openai_chat.wire import split_data_url
from dragoman.dialects.operation_wire import Body, WholeAnswers, extra_of, no_more, read_fields, read_usage, taken, write_usage

NAME = "openai_moderations"
_KNOWN = frozenset({"id", "model", "results", "usage"})
_RESULT_KNOWN = frozenset({"flagged", "categories", "category_scores", "category_applied_input_types"})
_EXPECTED = "a text, an array of texts, or an array of parts of type text and image_url"


class OpenAIModerations(WholeAnswers):
    """See `dialects.base.Dialect`; there is no stream."""

    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/moderations"

    def encode_request(self, request: ModerationRequest) -> EncodedRequest:
        own, lost = taken(request.extra, (NAME,))
        body: Body = {"input": [item if isinstance(item, str) else _write_part(item) for item in request.input]}
        if request.model:
            body["model"] = request.model
        return EncodedRequest(body | own, lost)

    def decode_response(self, body: bytes) -> ModerationResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        value = read_answer(body)
        results = value.get("results")
        if not isinstance(results, list):
            raise ResponseDecodeError("the answer is no object with an array `results`")
        return ModerationResponse(
            model=text_or_none(value.get("model")) or "",
            results=tuple(_read_result(item, place) for place, item in enumerate(results)),
            id=text_or_none(value.get("id")),
            usage=read_usage(value.get("usage"), NAME),
            extra=left_over(value, _KNOWN, NAME),
        )

    def decode_request(self, body: bytes) -> ModerationRequest:
        """Raises BadRequestError that names the path. Without a model it is "", which the provider takes for its own."""
        fields = read_fields(body)
        model = fields.text("model") or ""
        return ModerationRequest(input=_read_input(fields.any("input")), model=model, extra=extra_of(NAME, fields.rest()))

    def encode_response(self, response: ModerationResponse, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        body: Body = {"id": response.id or "", "model": response.model}
        body["results"] = [_write_result(result) for result in response.results]
        if response.usage is not None:
            body["usage"] = write_usage(response.usage, NAME)
        return json.encode(body | response.extra.get(NAME, {}))

    def read_usage(self, body: bytes) -> Usage | None:
        """None where nothing is counted, which is the rule."""
        try:
            return read_usage(read_answer(body).get("usage"), NAME)
        except ResponseDecodeError:
            return None


DIALECT = OpenAIModerations()


# ------------------------------------------------------------------------------------------------------------------ input
def _read_input(value: Any) -> tuple[str, ...] | tuple[TextPart | MediaPart, ...]:
    """Always several: one text becomes a tuple of one."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not value:
        mismatch("input", _EXPECTED, value)
    if all(isinstance(item, str) for item in value):
        return tuple(value)
    return tuple(_read_part(item, f"input[{place}]") for place, item in enumerate(value))


def _read_part(value: Any, path: str) -> TextPart | MediaPart:
    fields = Fields(value, path)
    kind = fields.word("type", ("text", "image_url"))
    part = TextPart(text=fields.need_text("text")) if kind == "text" else _image(fields.inner("image_url"))
    no_more(fields)
    return part


def _image(fields: Fields) -> MediaPart:
    url, detail = fields.need_text("url"), fields.text("detail")
    no_more(fields)
    embedded = split_data_url(url)
    if embedded is None:
        return MediaPart(kind="image", url=url, detail=detail)
    return MediaPart(kind="image", media_type=embedded[0], data=embedded[1], detail=detail)


def _write_part(part: TextPart | MediaPart) -> Body:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    url = part.url if part.data is None else f"data:{part.media_type or 'image/png'};base64,{part.data}"
    detail = {} if part.detail is None else {"detail": part.detail}
    return {"type": "image_url", "image_url": {"url": url, **detail}}


# ---------------------------------------------------------------------------------------------------------------- results
class _Result(msgspec.Struct):
    categories: dict[str, bool | None]
    category_scores: dict[str, float | None] | None = None
    category_applied_input_types: dict[str, tuple[str, ...]] | None = None
    flagged: bool | None = None


def _read_result(item: Any, place: int) -> ModerationResult:
    """A category that was not judged is null, and left out."""
    try:
        read = msgspec.convert(item, _Result)
    except msgspec.ValidationError as problem:
        raise ResponseDecodeError(f"results[{place}] is no judgement: {problem}") from None
    categories = {name: value for name, value in read.categories.items() if value is not None}
    return ModerationResult(
        flagged=any(categories.values()) if read.flagged is None else read.flagged,
        categories=categories,
        category_scores={name: score for name, score in (read.category_scores or {}).items() if score is not None},
        applied_input_types=read.category_applied_input_types,
        extra=left_over(item, _RESULT_KNOWN, NAME),
    )


def _write_result(result: ModerationResult) -> Body:
    body: Body = {"flagged": result.flagged, "categories": result.categories, "category_scores": result.category_scores}
    if result.applied_input_types is not None:
        body["category_applied_input_types"] = result.applied_input_types
    return body | result.extra.get(NAME, {})
