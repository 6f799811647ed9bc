"""The headers of the gateway's answers, beside their content type: who answered, after what, and in which time.

x-dragoman-deployment, -attempts, -warnings; -trail where there was more than one attempt; on errors -drops, who was left out
and why. Values are ASCII and bounded. Called by the pipeline.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
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
    if len(attempts) > 1:
        headers.append((b"x-dragoman-trail", _trail(attempts)))
    if call.warnings:
        headers.append((b"x-dragoman-warnings", _warnings(call.warnings)))
    return headers


def error_headers(error: DragomanError, identity: bytes, call: Call | None) -> Headers:
    """`call` is None for a request that never became one."""
    headers = [*JSON_HEADERS, (b"x-request-id", identity)]
    wait = getattr(error, "retry_after", None)
    if wait is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait))))
    if call is None:
        return headers
    headers.append((b"x-dragoman-attempts", b"%d" % len(call.attempts)))
    if call.attempts:
        headers.append((b"x-dragoman-trail", _trail(call.attempts)))
    if call.session is not None and call.clock is not None:
        drops = call.session.drops(call.clock())
        if drops:
            headers.append((b"x-dragoman-drops", _joined(f"{drop.deployment}: {drop.reason}" for drop in drops[:_MOST])))
    return headers


def _trail(attempts: list[Attempt]) -> bytes:
    """Written as server-timing: `fast#0;dur=12;error=RateLimitError, fast#1;dur=240`, in milliseconds."""
    return b", ".join(map(_attempt, attempts[-_MOST:]))


def _attempt(attempt: Attempt) -> bytes:
    told = b"%s;dur=%d" % (attempt.deployment.label[:_LONGEST], ((attempt.ended or attempt.began) - attempt.began) * 1000)
    return told if attempt.error is None else told + b";error=" + type(attempt.error).__name__.encode()


def _warnings(warnings: tuple[Warning, ...]) -> bytes:
    """All of them are on the call."""
    return _joined(f"{warning.field}: {warning.message}" for warning in warnings[:_MOST])


def _joined(texts: Iterable[str]) -> bytes:
    return b"; ".join(text.encode("ascii", "backslashreplace").translate(None, _CONTROL)[:_LONGEST] for text in texts)
