"""A healthy script -> the same one failing. One row a fault; a status is an answer, the others happen to the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from dragoman.core.http import ResponseHead
from dragoman.providers.demo.errors import ERROR_REQUEST_ID, ErrorWire
from dragoman.providers.demo.script import MARK, Piece, Refusal, Script, whole
from dragoman.providers.demo.settings import STATUS_FAULTS, Settings

GARBAGE_EVENT = b'data: {"id": "demo", "choices": [{"index": 0, "delta": {"cont\n\n'
GARBAGE_BODY = b"<html><body>This is not the JSON you are looking for.</body></html>"

_MESSAGES = {
    400: "The demo provider was told to refuse this request (fail=400).",
    401: "The demo provider was told not to accept this key (fail=401).",
    429: "The demo provider was told that you ask too often (fail=429).",
    500: "The demo provider was told to break (fail=500).",
    503: "The demo provider was told to be unavailable (fail=503).",
    529: "The demo provider was told to be overloaded (fail=529).",
}
Fault = Callable[[Script, Settings, ErrorWire], Script]


def failing(script: Script, settings: Settings, wire: ErrorWire) -> Script:
    """`script` with the fault that `settings.fail` names."""
    fault = str(settings.fail)
    return _FAULTS[fault](script, settings, wire)


def error_answer(refusal: Refusal, settings: Settings, wire: ErrorWire) -> Script:
    headers = [(wire.request_id, ERROR_REQUEST_ID)]
    if settings.retry_after is not None:
        headers.append(("retry-after", f"{settings.retry_after:g}"))
    return whole(refusal.status, wire.body(refusal), headers=tuple(headers), delay=settings.latency / 1000)


def _status(status: int) -> Fault:
    return lambda _script, settings, wire: error_answer(Refusal(status, _MESSAGES[status]), settings, wire)


def _silent(_script: Script, _settings: Settings, _wire: ErrorWire) -> Script:
    return Script(head=None, end="stall")


def _refused(_script: Script, _settings: Settings, _wire: ErrorWire) -> Script:
    return Script(head=None, end="cut")


def _ending(end: Literal["cut", "stall"]) -> Fault:
    return lambda script, settings, _: msgspec.structs.replace(script, pieces=_before(script, settings), end=end)


def _garbage(script: Script, settings: Settings, _wire: ErrorWire) -> Script:
    return _interrupted(script, settings, GARBAGE_EVENT, GARBAGE_BODY)


def _malformed(script: Script, settings: Settings, _wire: ErrorWire) -> Script:
    """Garbage between good events. A plain answer has none, and is well."""
    if not script.streaming:
        return script
    before = _before(script, settings)
    pieces = (*before, Piece(0.0, GARBAGE_EVENT), *script.pieces[len(before) :])
    return msgspec.structs.replace(script, pieces=pieces)


def _error_event(script: Script, settings: Settings, wire: ErrorWire) -> Script:
    refusal = Refusal(529, "The demo provider was told to fail inside a 200 answer (fail=error_event).")
    return _interrupted(script, settings, wire.event(refusal), wire.body(refusal))


def _interrupted(script: Script, settings: Settings, event: bytes, body: bytes) -> Script:
    """A stream: some pieces, then the event, then a proper end of the HTTP body. A plain answer: another body, still 200."""
    if script.streaming:
        return msgspec.structs.replace(script, pieces=(*_before(script, settings), Piece(0.0, event)))
    return whole(200, body, headers=_own_headers(script.head), delay=script.delay)


def _before(script: Script, settings: Settings) -> tuple[Piece, ...]:
    """The pieces that still come: never the last. A plain body counts four, so that it can be cut inside."""
    pieces = script.pieces if script.streaming else _quarters(script.pieces[0].data)
    asked = len(pieces) // 2 if settings.fail_after is None else settings.fail_after
    return pieces[: min(asked, len(pieces) - 1)]


def _quarters(body: bytes) -> tuple[Piece, ...]:
    size = -(-len(body) // 4)
    return tuple(Piece(0.0, body[start : start + size]) for start in range(0, len(body), size))


def _own_headers(head: ResponseHead | None) -> tuple[tuple[str, str], ...]:
    framing = {"content-type", "content-length", *(name for name, _ in MARK)}
    return tuple(pair for pair in (head.headers if head else ()) if pair[0] not in framing)


_FAULTS: dict[str, Fault] = {
    **{status: _status(int(status)) for status in STATUS_FAULTS},
    "timeout": _silent,
    "refuse": _refused,
    "cut": _ending("cut"),
    "stall": _ending("stall"),
    "garbage": _garbage,
    "malformed": _malformed,
    "error_event": _error_event,
}
