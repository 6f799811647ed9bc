"""How long a client of the gateway waits: headers that shorten the time limits of the configuration, and never lengthen them.

    x-dragoman-timeout: 20           seconds for all of it, every attempt and the whole stream; x-litellm-timeout is the same
    x-litellm-stream-timeout: 5      of a stream: seconds to its first token and between two

Called by the pipeline for each request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from dragoman.core.errors import BadRequestError, ErrorDetail
from dragoman.core.http import Timeouts
from dragoman.engine.call import CallOptions

_STREAM = b"x-litellm-stream-timeout"
_NAMES = frozenset({b"x-dragoman-timeout", b"x-litellm-timeout", _STREAM})


def asked_options(options: CallOptions, headers: Mapping[bytes, bytes], *, stream: bool) -> CallOptions:
    """The options with the client's time limits. Raises BadRequestError that names the header."""
    if _NAMES.isdisjoint(headers):
        return options
    asked = {name: _seconds(name, value) for name, value in headers.items() if name in _NAMES}
    quiet = asked.pop(_STREAM, None)
    return replace(options, timeouts=_shorter(options.timeouts, asked.values(), quiet if stream else None))


def _shorter(given: Timeouts, totals: Iterable[float], quiet: float | None) -> Timeouts:
    return Timeouts(
        connect=given.connect,
        first_token=_least(given.first_token, quiet),
        idle=_least(given.idle, quiet),
        total=_least(given.total, *totals),
    )


def _seconds(name: bytes, value: bytes) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        shown = value[:40].decode("latin-1")
        message = f"{name.decode()}: expected seconds above 0, found {shown!r}"
        raise BadRequestError(message, detail=ErrorDetail(message=message, param=name.decode()), attempts=0)
    return seconds


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)
