"""What a request is for: its model, whether the answer is streamed, and its body taken apart. One function a way to say it.

Called by the pipeline with the exchange. Everything raises BadRequestError that names the field, what was found and what is
expected there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from dragoman.core import json, multipart
from dragoman.core.errors import BadRequestError, ErrorDetail
from dragoman.gateway.exchange import Exchange

JSON = "application/json"
UNREADABLE = json.UNREADABLE


class Asked(NamedTuple):
    """`envelope` is None for a body that is no JSON; `content_type` tells what it is. `alias`: how the client called the model,
    where that is a name of its key's own.
    """

    model: str
    stream: bool
    envelope: json.Envelope | None
    content_type: str = JSON
    alias: str = ""


Subject = Callable[[Exchange], Asked]


def aliased(subject: Subject, aliases: Mapping[str, str]) -> Subject:
    """The same where some names stand for other models: once, and not for one another."""

    def found(exchange: Exchange) -> Asked:
        asked = subject(exchange)
        model = aliases.get(asked.model)
        return asked if model is None else asked._replace(model=model, alias=asked.model)

    return found


def in_the_body(exchange: Exchange) -> Asked:
    """As most dialects say it: in the fields `model` and `stream`."""
    envelope = _envelope(exchange)
    model = _typed(envelope, "model", str)
    if model is None:
        raise BadRequestError("model: missing; name the model to ask", detail=at("model"))
    return Asked(model, bool(_typed(envelope, "stream", bool)), envelope)


def or_default(model: str) -> Subject:
    """As `in_the_body`, for an API whose `model` may be left out."""

    def found(exchange: Exchange) -> Asked:
        envelope = _envelope(exchange)
        return Asked(_typed(envelope, "model", str) or model, bool(_typed(envelope, "stream", bool)), envelope)

    return found


def in_the_path(exchange: Exchange) -> Asked:
    """As Gemini says it: /v1beta/models/MODEL:generateContent, or :streamGenerateContent."""
    model, verb = unquote(exchange.path.decode("latin-1")).rpartition("/models/")[2].rpartition(":")[::2]
    stream = _VERBS.get(verb)
    if stream is None or not model:
        raise BadRequestError(f"expected /models/MODEL:generateContent or :streamGenerateContent, found {verb[:80]!r}")
    return Asked(model, stream, _envelope(exchange))


_VERBS = {"generateContent": False, "streamGenerateContent": True}


def in_a_form(exchange: Exchange) -> Asked:
    """As requests with files say it: in fields of a multipart form; or in JSON after all."""
    content_type = (exchange.header(b"content-type") or b"").decode("latin-1")
    if not content_type.lower().startswith("multipart/"):
        return in_the_body(exchange)
    try:
        parts = multipart.decode(exchange.body, multipart.boundary_of(content_type))
        fields = {part.name: part.text for part in parts if part.name in {"model", "stream"} and part.filename is None}
    except multipart.MultipartError as problem:
        raise BadRequestError(f"the request body is no form: {problem}") from None
    if not fields.get("model"):
        raise BadRequestError("model: missing; name the model to ask", detail=at("model"))
    return Asked(fields["model"], fields.get("stream", "").lower() == "true", None, content_type)


SESSION = b"x-dragoman-session"


def session_of(exchange: Exchange) -> str | None:
    """The name that a client gives to requests which go on from one another."""
    named = exchange.header(SESSION) or exchange.header(b"x-litellm-session-id")
    return None if named is None else named.decode("latin-1")


def not_json(problem: Exception) -> BadRequestError:
    return BadRequestError(f"the request body is not a JSON object: {problem}")


def at(param: str) -> ErrorDetail:
    return ErrorDetail(message="", param=param)


def _envelope(exchange: Exchange) -> json.Envelope:
    try:
        return json.decode_envelope(exchange.body)
    except UNREADABLE as problem:
        raise not_json(problem) from None


def _typed(envelope: Mapping[str, Any], key: str, kind: type) -> Any:
    """The value under `key`, None when absent or null."""
    raw = envelope.get(key)
    if raw is None:
        return None
    value = json.decode(raw)
    if value is not None and not isinstance(value, kind):
        expected = "a string" if kind is str else "true or false"
        raise BadRequestError(
            f"{key}: expected {expected}, found {json.kind(value)} {json.encode(value).decode()[:80]}", detail=at(key)
        )
    return value
