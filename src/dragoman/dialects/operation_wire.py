"""What the dialects of the small operations share: reranking, moderation, decisions, token counts, lists of models.

Pure helpers with no wire format of their own: bodies in, objects with good errors out; counts of tokens under all their names;
what one dialect alone knows. Answers come whole, so there is nothing for streams. Called by those dialects only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dragoman.core import json
from dragoman.core.chat import Extra, Usage, Warning
from dragoman.core.errors import BadRequestError
from dragoman.core.json import Envelope
from dragoman.dialects import openai_errors
from dragoman.dialects.openai_chat.reader import Fields, refuse

Body = dict[str, Any]
_INPUT = ("input_tokens", "prompt_tokens")
_OUTPUT = ("output_tokens", "completion_tokens")


class WholeAnswers:
    """The verbs that these dialects have alike: no headers, OpenAI's errors, a model that stands in the body."""

    name = ""
    decode_error = staticmethod(openai_errors.decode_error)
    encode_error = staticmethod(openai_errors.encode_error)

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - no streams here
        return {**envelope, "model": json.raw_text(model)}


# --------------------------------------------------------------------------------------------------------------- requests
def read_fields(body: bytes) -> Fields:
    """A program's request. Raises BadRequestError where it is no JSON object."""
    try:
        given = json.decode(body)
    except (json.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadRequestError(f"the body is no JSON: {problem}", attempts=0) from None
    return Fields(given, "")


def no_more(fields: Fields) -> None:
    """For small objects whose every field is known: a further one is refused, not dropped."""
    for key in said(fields.rest()):
        refuse(fields.at(key), "this field is not known here; leave it out")


def said(fields: Body) -> Body:
    """The fields that say something: no nulls."""
    return {key: value for key, value in fields.items() if value is not None}


def extra_of(dialect: str, fields: Body) -> Extra:
    left = said(fields)
    return {dialect: left} if left else {}


def taken(extra: Extra, dialects: Iterable[str], names: Iterable[str] = ()) -> tuple[Body, tuple[Warning, ...]]:
    """The extra fields for a body: all that these `dialects` know, and these `names` from whichever; Warnings for the rest."""
    own, known = frozenset(dialects), frozenset(names)
    found: Body = {}
    lost: list[Warning] = []
    for dialect, fields in extra.items():
        for key, value in fields.items():
            if dialect in own or key in known:
                found[key] = value
            else:
                lost.append(Warning(field=f"extra.{dialect}.{key}", message=f"only {dialect} knows it; it was left out"))
    return found, tuple(lost)


# ---------------------------------------------------------------------------------------------------------------- answers
def read_usage(given: Any, dialect: str) -> Usage | None:
    """Tokens by either of their names; a total alone is input. What else is counted (cost) stays in `extra`."""
    if not isinstance(given, dict):
        return None
    output = count(given, *_OUTPUT)
    known = {*_INPUT, *_OUTPUT, "total_tokens"}
    return Usage(
        input_tokens=count(given, *_INPUT) or max(0, count(given, "total_tokens") - output),
        output_tokens=output,
        extra=extra_of(dialect, {key: value for key, value in given.items() if key not in known}),
    )


def write_usage(usage: Usage, dialect: str) -> Body:
    """In the words of OpenAI's older APIs, which Jina and others use for these operations."""
    counts: Body = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.total_tokens}
    if usage.output_tokens:
        counts["completion_tokens"] = usage.output_tokens
    return counts | usage.extra.get(dialect, {})


def count(given: Body, *names: str) -> int:
    """The first of these counts that is there and no nonsense, else 0."""
    values = (given.get(name) for name in names)
    return next((value for value in values if type(value) is int and value > 0), 0)
