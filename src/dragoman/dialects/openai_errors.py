"""Errors as OpenAI writes them, and every shape in which servers that call themselves OpenAI-compatible write theirs.

Shared by the OpenAI-shaped dialects (chat, embeddings). Reading never raises and always finds something to say; it keeps
the provider's words and decides nothing: which class an error becomes is `core.errors.refine`'s business.
Source: https://platform.openai.com/docs/guides/error-codes, and recorded failures of some thirty providers.
"""

from __future__ import annotations

import re
from typing import Any

from dragoman.core import errors, json
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.events import StreamError
from dragoman.core.sse import encode_event

MAX_MESSAGE = 2000
"""Characters of a provider's message that are kept: an HTML page or an echoed prompt is no message."""
MAX_DEPTH = 6
"""How deep in nested JSON a message is looked for."""


# -------------------------------------------------------------------------------------------------------------- reading
def decode_error(status: int, body: bytes) -> ErrorDetail:
    """What a failure says, whatever its shape: JSON of any kind, text, HTML, nothing. Never raises."""
    try:
        value = json.decode(body)
    except (json.DecodeError, UnicodeDecodeError, RecursionError):
        return ErrorDetail(message=_clipped(_plain(body.decode("utf-8", "replace"))) or _nothing(status))
    return read_error(status, value)


def read_error(status: int, value: Any) -> ErrorDetail:
    """The same for JSON that is already decoded, as in an error event inside a stream."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    outer = value if isinstance(value, dict) else {"message": value}
    inner = outer["error"] if isinstance(outer.get("error"), dict) else outer
    message = _first(inner, _MESSAGE_KEYS)
    upstream = _upstream(inner.get("metadata"))
    code = _word(inner.get("code"))
    return ErrorDetail(
        message=_clipped(f"{message}: {upstream}" if message and upstream else message or upstream) or _nothing(status),
        type=_first_word(inner, ("type", "error_type", "status")),
        code=None if code == str(status) else code,
        param=_word(inner.get("param")) or _location(inner.get("detail")),
        retry_after=_retry_after(outer, inner, message),
    )


def stream_error(value: Any) -> StreamError:
    """A failure that the provider reported inside a stream, as the event that ends it."""
    status = embedded_status(value)
    detail = read_error(status, value)
    return StreamError(message=detail.message, status=status, code=detail.code, error_type=detail.type)


def embedded_status(value: Any) -> int:
    """The HTTP status that an error inside a 200 (a body, a stream event) names, or that its type stands for; else 502."""
    outer = value if isinstance(value, dict) else {}
    inner = outer["error"] if isinstance(outer.get("error"), dict) else outer
    named = (fields.get(key) for fields in (inner, outer) for key in ("status_code", "code", "status", "raw_status_code"))
    for found in named:
        status = int(found) if isinstance(found, str) and found.isascii() and found.isdigit() else found
        if type(status) is int and 400 <= status < 600:
            return status
    words = (inner.get(key) for key in ("code", "type", "error_type"))
    return next((_STATUSES[word] for word in words if isinstance(word, str) and word in _STATUSES), 502)


_STATUSES = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "tool_use_failed": 400,
    "validation": 422,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "server_error": 500,
    "internal_server_error": 500,
    "api_error": 500,
    "overloaded": 503,
    "overloaded_error": 503,
    "service_unavailable": 503,
}
"""Codes and types -> the status under which OpenAI (and text-generation-inference) would have sent them."""

_MESSAGE_KEYS = ("message", "error", "detail", "msg", "errors", "title", "description", "reason", "code", "type")
"""Where a human message may stand, best place first; a bare code is better than silence."""


def _first(fields: dict[str, Any], keys: tuple[str, ...], depth: int = 0) -> str:
    return next((said for key in keys if (said := _say(fields.get(key), depth))), "")


def _say(value: Any, depth: int = 0) -> str:
    """A message in words: text, a list of messages, or a validation finding of the form {loc, msg}."""
    if isinstance(value, str):
        return _plain(value) if value.lstrip().startswith("<") else value.strip()
    if depth > MAX_DEPTH:
        return ""
    if isinstance(value, list):
        return "; ".join(said for item in value if (said := _say(item, depth + 1)))
    if isinstance(value, dict):
        said, place = _first(value, _MESSAGE_KEYS, depth + 1), _path(value.get("loc"))
        return f"{place}: {said}" if said and place else said
    return ""


def _path(location: Any) -> str:
    """FastAPI's ["body", "messages", 0] as messages.0."""
    if not isinstance(location, list):
        return ""
    return ".".join(str(step) for step in location if step != "body")


def _location(detail: Any) -> str | None:
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        return _path(detail[0].get("loc")) or None
    return None


def _upstream(metadata: Any) -> str:
    """OpenRouter says only "Provider returned error" and keeps what the provider said in metadata.raw."""
    return _say(metadata.get("raw")) if isinstance(metadata, dict) else ""


def _word(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def _first_word(fields: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((fields[key] for key in keys if isinstance(fields.get(key), str) and fields[key]), None)


def _retry_after(outer: dict[str, Any], inner: dict[str, Any], message: str) -> float | None:
    """Seconds: a field, Hugging Face's `estimated_time`, Google's RetryInfo ("34.4s"), or the words "try again in 1m2.5s"."""
    for found in (inner.get("retry_after"), outer.get("retry_after"), outer.get("estimated_time")):
        if isinstance(found, int | float) and not isinstance(found, bool):
            return float(found)
    details = inner.get("details")
    delays = [detail.get("retryDelay") for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []
    told = next((f"in {delay}" for delay in delays if isinstance(delay, str)), message)
    match = _WAIT.search(told)
    return sum(float(count) * _SECONDS[unit] for count, unit in _SPAN.findall(match[1])) if match else None


_WAIT = re.compile(r"(?:again |retry |^)in ((?:\d+(?:\.\d+)?(?:ms|[hms]))+)", re.IGNORECASE)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|[hms])")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_INVISIBLE = re.compile(r"<(script|style|head)\b.*?(</\1\s*>|$)|<!--.*?(-->|$)", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^<>]*>([^<]*)<", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def _plain(text: str) -> str:
    """Text for people out of text or HTML: the title of a page, or what it shows."""
    text = text[: 16 * MAX_MESSAGE]
    if text.lstrip()[:1] == "<":
        title = _TITLE.search(text)
        text = (title and title[1].strip()) or _TAG.sub(" ", _INVISIBLE.sub(" ", text))
    return " ".join(text.split())


def _clipped(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "..."


def _nothing(status: int) -> str:
    return f"status {status} without a message"


# -------------------------------------------------------------------------------------------------------------- writing
_SHAPES: dict[type[DragomanError], tuple[str, str | None]] = {
    DragomanError: ("server_error", None),
    errors.ConfigurationError: ("server_error", "configuration_error"),
    errors.NoDeploymentError: ("server_error", "no_deployment"),
    errors.APIConnectionError: ("server_error", "upstream_unreachable"),
    errors.Timeout: ("server_error", "timeout"),
    errors.StreamInterruptedError: ("server_error", "stream_interrupted"),
    errors.ResponseDecodeError: ("server_error", "invalid_upstream_response"),
    errors.BadRequestError: ("invalid_request_error", None),
    errors.ContextWindowExceededError: ("invalid_request_error", "context_length_exceeded"),
    errors.ContentPolicyViolationError: ("invalid_request_error", "content_policy_violation"),
    errors.UnsupportedParamsError: ("invalid_request_error", "unsupported_parameter"),
    errors.AuthenticationError: ("invalid_request_error", "invalid_api_key"),
    errors.PaymentRequiredError: ("insufficient_quota", "insufficient_quota"),
    errors.PermissionDeniedError: ("invalid_request_error", "permission_denied"),
    errors.NotFoundError: ("invalid_request_error", "model_not_found"),
    errors.ConflictError: ("invalid_request_error", "conflict"),
    errors.RequestTooLargeError: ("invalid_request_error", "request_too_large"),
    errors.UnprocessableEntityError: ("invalid_request_error", None),
    errors.ServiceUnavailableError: ("server_error", "service_unavailable"),
    errors.RateLimitError: ("rate_limit_error", "rate_limit_exceeded"),
    errors.GatewayError: ("invalid_request_error", None),
    errors.InvalidKeyError: ("invalid_request_error", "invalid_api_key"),
    errors.BudgetExceededError: ("insufficient_quota", "budget_exceeded"),
    errors.RateLimitExceededError: ("rate_limit_error", "rate_limit_exceeded"),
    errors.GuardrailRejectedError: ("invalid_request_error", "guardrail_rejected"),
}
"""Class -> OpenAI's `type` and `code`; a class that is not here is written as its nearest ancestor that is."""


_READ_OFF = errors.CONTEXT_WINDOW_CODES | errors.CONTENT_POLICY_CODES
_REFINED = (errors.ContextWindowExceededError, errors.ContentPolicyViolationError)


def encode_error(error: DragomanError) -> bytes:
    """{"error": {message, type, param, code}}. A code or parameter that the provider named goes before our own.

    Except where we found out by the body what is wrong: programs look for those two codes, whoever is behind us.
    """
    kind, code = next(_SHAPES[ancestor] for ancestor in type(error).__mro__ if ancestor in _SHAPES)
    given = getattr(error, "code", None)
    if given and not (isinstance(error, _REFINED) and given.lower() not in _READ_OFF):
        code = given
    return json.encode(
        {"error": {"message": error.message, "type": kind, "param": getattr(error, "param", None), "code": code}}
    )


def encode_stream_error(error: DragomanError) -> bytes:
    """OpenAI clients raise on a chunk with `error`; no [DONE] follows, so none takes it for a clean end."""
    return encode_event(encode_error(error))
