"""What came back -> an error of our tree, when it is one. Pure.

One status table for all providers (`core.errors`); the provider's message, code, request id and wait are kept, the secrets of
the deployment are taken out wherever a provider repeats them. A wait is read on 429, 503 and 529 alone: some providers send
`retry-after` with good answers too. A redirect is not followed, because the key belongs to the host that was named.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import msgspec

from dragoman.core import json
from dragoman.core.errors import (
    APIConnectionError,
    APIStatusError,
    CallError,
    ConfigurationError,
    DragomanError,
    ErrorDetail,
    ResponseDecodeError,
    Timeout,
    error_for,
)
from dragoman.core.events import StreamError
from dragoman.core.http import Headers, HttpResponse, TransportFailure, header
from dragoman.engine.prepare import Prepared
from dragoman.providers.base import Target

_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "x-goog-request-id", "cf-ray")
_WAIT_STATUSES = frozenset({429, 503, 529})
_SHORTEST_SECRET = 8
_SECRET_HEADER = re.compile(r"auth|cookie|key|password|secret|token", re.IGNORECASE)
"""The name of a configured header whose value is a secret has one of these in it."""
_TIMEOUT_PHASES = {"connect_timeout": "connect", "first_token": "first_token", "idle": "idle", "total": "total"}
_FAILURE_ADVICE = {
    "connect": "is the base URL right, and the server up?",
    "connect_timeout": "raise timeouts.connect, or check the network to it",
    "first_token": "raise timeouts.first_token if this model needs longer to begin",
    "idle": "raise timeouts.idle if this model pauses that long",
    "total": "raise timeout if the whole answer may take longer",
    "closed": "the connection was closed before the answer was complete",
    "protocol": "is this an HTTP endpoint?",
    "too_large": "the answer is over the size limit",
}


def status_error(prepared: Prepared, response: HttpResponse, *, attempts: int, now: float) -> DragomanError:
    """The error for an answer with a status from 300 up. `now` is Unix seconds, for waits given as a date."""
    if response.status < 400:
        return _redirect(prepared.deployment.target, response)
    mask = masking(prepared.deployment.target)
    body = mask(response.body.decode("utf-8", "replace"))
    detail = _masked(prepared.dialect.decode_error(response.status, body.encode()), mask)
    if detail.type is None and (named := header(response.headers, "x-amzn-errortype")):
        detail = msgspec.structs.replace(detail, type=named.partition(":")[0])  # AWS names the kind of a failure nowhere else
    return error_for(
        response.status,
        detail,
        body=body[:4096],
        retry_after=retry_after(response.status, response.headers, detail, now=now),
        headers={name: mask(value) for name, value in response.headers},
        **context(prepared, attempts=attempts, headers=response.headers),
    )


def stream_error(prepared: Prepared, event: StreamError, *, attempts: int, headers: Headers) -> CallError:
    """The error for a failure that came inside a 200 stream before its first event."""
    if event.broken:
        where = context(prepared, attempts=attempts, headers=headers)
        message = without_key(event.message, prepared.deployment.target)
        return ResponseDecodeError(f"{prepared.deployment.target.provider.name}: {message}", **where)
    detail = ErrorDetail(message=event.message, code=event.code, type=event.error_type)
    return reported_error(prepared, event.status, detail, attempts=attempts, headers=headers)


def reported_error(prepared: Prepared, status: int, detail: ErrorDetail, *, attempts: int, headers: Headers = ()) -> CallError:
    """The error for a failure that the provider reported inside a 200."""
    safe = _masked(detail, masking(prepared.deployment.target))
    return error_for(status, safe, **context(prepared, attempts=attempts, headers=headers))


def unreadable(prepared: Prepared, response: HttpResponse, problem: str, *, attempts: int) -> ResponseDecodeError:
    """The error for an answer that makes no sense, for this reason."""
    target = prepared.deployment.target
    return ResponseDecodeError(
        without_key(f"{target.provider.name}: {problem}", target),
        body=without_key(response.body.decode("utf-8", "replace"), target)[:2048],
        **context(prepared, attempts=attempts, headers=response.headers),
    )


def clean(error: CallError, target: Target) -> None:
    """Take the deployment's secrets out of an error that somebody else has made."""
    mask = masking(target)
    for name in ("message", "body", "code", "param"):
        if isinstance(text := getattr(error, name, None), str):
            setattr(error, name, mask(text))
    error.args = (error.message,)
    if isinstance(error, APIStatusError) and error.detail is not None:
        error.detail = _masked(error.detail, mask)


def transport_error(prepared: Prepared, failure: TransportFailure, *, attempts: int) -> CallError:
    target = prepared.deployment.target
    place = f"{target.provider.name} at {prepared.base_url or target.base_url}"
    told = without_key(failure.message, target)
    message = f"{place}: {told} ({failure.kind}): {_FAILURE_ADVICE.get(failure.kind, 'try again')}"
    where = context(prepared, attempts=attempts)
    phase = _TIMEOUT_PHASES.get(failure.kind)
    return APIConnectionError(message, **where) if phase is None else Timeout(message, phase=phase, **where)


def context(prepared: Prepared, *, attempts: int, headers: Headers = ()) -> dict[str, Any]:
    """Who was asked, for any CallError."""
    target = prepared.deployment.target
    found = (header(headers, name) for name in _REQUEST_ID_HEADERS)
    identity = next((value for value in found if value), None)
    return {
        "llm_provider": target.provider.name,
        "model": target.model,
        "request_id": identity and without_key(identity, target),
        "attempts": attempts,
    }


def named(answer: Any, prepared: Prepared, headers: Headers) -> Any:
    """An answer or a stream's head with the model and the id that some APIs (Converse) do not repeat; the rest as it is."""
    lacking = {}
    if getattr(answer, "model", None) == "":
        lacking["model"] = prepared.deployment.target.model
    if getattr(answer, "id", None) == "":
        lacking["id"] = context(prepared, attempts=0, headers=headers)["request_id"] or ""
    return msgspec.structs.replace(answer, **lacking) if lacking else answer


def retry_after(status: int, headers: Headers, detail: ErrorDetail, *, now: float) -> float | None:
    """Seconds to wait that the provider named: the longest of its header forms, else what its body says."""
    if status not in _WAIT_STATUSES:
        return None
    milliseconds = _number(header(headers, "retry-after-ms"))
    named = [None if milliseconds is None else milliseconds / 1000, _seconds(header(headers, "retry-after"), now)]
    waits = [wait for wait in named if wait is not None]
    return max(waits) if waits else _number(detail.retry_after)


def _redirect(target: Target, response: HttpResponse) -> ConfigurationError:
    location = without_key((header(response.headers, "location") or "nowhere").partition("?")[0], target)
    return ConfigurationError(
        f"{target.provider.name} at {target.base_url} answered {response.status}, a redirect to {location}: redirects are "
        "not followed, because the key belongs to the host that was named; correct the base URL"
    )


def without_key(text: str, target: Target) -> str:
    """The text without the deployment's own secrets, be it the key or what an authorizer signs with."""
    return masking(target)(text)


def masking(target: Target) -> Callable[[str], str]:
    """As `without_key`, for several texts. Secrets are found as they are, and as JSON and URLs write them."""
    sent = [value.rpartition(" ")[2] for name, value in target.headers if _SECRET_HEADER.search(name)]
    secrets = {secret for secret in (target.api_key or "", *target.secrets.values(), *sent) if len(secret) >= _SHORTEST_SECRET}
    written = {form for secret in secrets for form in _written(secret)}

    def mask(text: str) -> str:
        for form in sorted(written, key=len, reverse=True):  # of two that begin alike the longer one first
            text = text.replace(form, "[key]")
        return text

    return mask


def _written(secret: str) -> tuple[str, ...]:
    quoted = json.encode(secret).decode()[1:-1]
    return secret, quoted, quoted.replace("/", "\\/"), quote(secret, safe="")


def _masked(detail: ErrorDetail, mask: Callable[[str], str]) -> ErrorDetail:
    said = {name: mask(text) for name in ("message", "type", "code", "param") if isinstance(text := getattr(detail, name), str)}
    return msgspec.structs.replace(detail, **said)


def _seconds(value: str | None, now: float) -> float | None:
    """Seconds, or an HTTP date (which is in UTC whether it says so or not)."""
    number = _number(value)
    if number is not None or value is None:
        return number
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _number(value: str | float | None) -> float | None:
    """Seconds that can be waited for."""
    try:
        number = -1.0 if value is None else float(value)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
