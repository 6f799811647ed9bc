"""The headers of the gateway's answers, beside their content type: who answered, after what, and in which time.

x-dragoman-deployment, -attempts, -warnings; -cache and -cache-key where there is a cache; -cost and x-ratelimit-* under
governance, the latter on errors too; -trail where there was more than one attempt; on errors -drops, who was left out and why.
x-langsmith-gateway-metadata says who answered in the words that LangChain's tracers read. Values are ASCII and bounded. Called
by the pipeline.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import lru_cache
from time import perf_counter

from dragoman.core.chat import Warning
from dragoman.core.errors import DragomanError
from dragoman.engine.call import Attempt, Call
from dragoman.engine.prepare import Prepared
from dragoman.gateway.exchange import Headers
from dragoman.gateway.serving import JSON_HEADERS

_CONTROL = bytes((*range(32), 127))
_MOST = 10
_LONGEST = 300


def answer_headers(content: Headers, call: Call, prepared: Prepared, identity: bytes, began: float) -> Headers:
    """What the client may want to know: who answered, after how many attempts, and the gateway's own share of the time."""
    attempts = call.attempts
    upstream = 0.0
    for attempt in attempts:
        upstream += (attempt.ended or attempt.began) - attempt.began
    own = (perf_counter() - began - upstream) * 1000
    headers = [
        *content,
        (b"x-request-id", identity),
        (b"x-dragoman-deployment", prepared.deployment.label),
        (b"x-dragoman-attempts", b"%d" % len(attempts)),
        (b"server-timing", b"gateway;dur=%.3f, upstream;dur=%.3f" % (own, upstream * 1000)),
    ]
    target = prepared.deployment.target
    told = _for_langsmith(target.provider.name, target.model)
    if told is not None:
        headers.append((b"x-langsmith-gateway-metadata", told))
    if len(attempts) > 1:
        headers.append((b"x-dragoman-trail", _trail(attempts)))
    headers += call.headers
    if call.warnings:
        headers.append((b"x-dragoman-warnings", _warnings(call.warnings)))
    if call.lookup is not None and call.lookup.status:
        headers += [(b"x-dragoman-cache", call.lookup.status.encode()), (b"x-dragoman-cache-key", call.lookup.key.encode())]
    if call.marks:
        headers.append((b"x-dragoman-guardrails", _joined(call.marks[:_MOST])))
    return headers


def error_headers(error: DragomanError, identity: bytes, call: Call | None) -> Headers:
    """`call` is None for a request that never became one."""
    headers = [*JSON_HEADERS, (b"x-request-id", identity)]
    wait = getattr(error, "retry_after", None)
    if wait is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait))))
    headers += getattr(error, "limits", ())
    if call is None:
        return headers
    headers += call.headers
    headers.append((b"x-dragoman-attempts", b"%d" % len(call.attempts)))
    if call.attempts:
        headers.append((b"x-dragoman-trail", _trail(call.attempts)))
    if call.session is not None and call.clock is not None:
        drops = call.session.drops(call.clock())
        if drops:
            headers.append((b"x-dragoman-drops", _joined(f"{drop.deployment}: {drop.reason}" for drop in drops[:_MOST])))
    return headers


@lru_cache(maxsize=512)
def _for_langsmith(provider: str, model: str) -> bytes | None:
    """{"provider": ..., "model": ...}, in ASCII; None for a name that is too long to be one."""
    told = json.dumps({"provider": provider, "model": model}).encode().translate(None, _CONTROL)
    return told if len(told) <= _LONGEST else None


def _trail(attempts: list[Attempt]) -> bytes:
    """Written as server-timing: `fast#0;dur=12;error=RateLimitError, fast#1;dur=240`, in milliseconds."""
    return b", ".join(map(_attempt, attempts[-_MOST:]))


def _attempt(attempt: Attempt) -> bytes:
    told = b"%s;dur=%d" % (attempt.deployment.label[:_LONGEST], ((attempt.ended or attempt.began) - attempt.began) * 1000)
    if attempt.cancelled:
        return told + b";cancelled"
    return told if attempt.error is None else told + b";error=" + type(attempt.error).__name__.encode()


def warning_headers(warnings: tuple[Warning, ...]) -> Headers:
    """For answers of no call."""
    return [(b"x-dragoman-warnings", _warnings(warnings))] if warnings else []


def _warnings(warnings: tuple[Warning, ...]) -> bytes:
    """All of them are on the call."""
    return _joined(f"{warning.field}: {warning.message}" for warning in warnings[:_MOST])


def _joined(texts: Iterable[str]) -> bytes:
    return b"; ".join(text.encode("ascii", "backslashreplace").translate(None, _CONTROL)[:_LONGEST] for text in texts)
